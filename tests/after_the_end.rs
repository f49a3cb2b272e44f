//! What outlives a run: an engine is called again, and its modules keep handles of tasks, threads, locks and values that the run before had left half-way.

use heddle::{Context, Engine, Error, Handle, Module, Session};
use std::time::Duration;

/// Calls functions without arguments and results.
struct Calls(Engine, Module);

impl Calls {
    fn new(mut engine: Engine, text: &str) -> Calls {
        let module = engine
            .load_str("left", text)
            .unwrap_or_else(|error| panic!("{error:?}"));
        Calls(engine, module)
    }
    fn call(&mut self, name: &str) -> Result<(), Error> {
        self.0.call::<()>(&self.1, name, ())
    }
    #[track_caller]
    fn ok(&mut self, name: &str) {
        self.call(name)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    fn text(&mut self, name: &str) -> String {
        self.0.call::<String>(&self.1, name, ()).unwrap()
    }
}

fn calls(text: &str) -> Calls {
    Calls::new(Engine::new(), text)
}

#[test]
fn handles_of_tasks() {
    let mut it = calls(
        "var ts = []
        pub fn start() { let t = spawn(name: 'x') { sleep(1h) }; t.detach(); ts.push(t) }
        pub fn state() { ts[0].state }
        pub fn join() { try { ts[0].join() } catch e { e.kind + ': ' + e.message } }
        pub fn others() {
            ts[0].cancel()
            ts[0].detach()
            let joined = select { ts[0].join() => 'joined', after 1s => 'time' }
            joined
        }
        pub fn choose() { try { others() } catch e { e.kind } }",
    );
    it.ok("start");
    // Its leaks are looked for at the end: among them must be no task of the run before.
    it.ok("start");
    assert_eq!(it.text("state"), "killed");
    assert_eq!(
        it.text("join"),
        "Cancelled: the program ended before the task did"
    );
    assert_eq!(it.text("choose"), "Cancelled");
}

#[test]
fn handles_of_tasks_after_an_exit() {
    let mut it = calls(
        "import os
        var ts = []
        pub fn leave() {
            let c = Channel()
            ts = (0..20).map(|i| spawn { c.recv() }).to_list()
            ts.push(spawn { scope { spawn { sleep(1h) }; threadlet sleep(1h) } })
            yield
            spawn { throw 'early' }
            yield
            os.exit(3)
        }
        pub fn look() {
            for t in ts { t.cancel(); assert t.state == 'killed' }
            let errors = ts.map(|t| try { t.join() } catch e { e.kind }).to_list()
            str(errors == ['Cancelled'] * 21)
        }",
    );
    for _ in 0..3 {
        assert_eq!(it.call("leave").unwrap_err().exit_code(), Some(3));
        assert_eq!(it.text("look"), "true");
    }
}

#[test]
fn handles_of_threads() {
    let mut it = calls(
        "let c = Channel()
        local var kept = nil
        pub fn start() { let t = thread c.recv(); t.detach(); kept = t; sleep(5ms) }
        pub fn again() {
            let others = (0..3).map(|i| thread { sleep(2ms); i }).to_list()
            select { c.send(1) => nil, after 10ms => nil }
            assert others.map(|t| t.join()).to_list() == [0, 1, 2]
        }
        pub fn state() { kept.state }
        pub fn join() { try { kept.join() } catch e { e.kind + ': ' + e.message } }
        pub fn stop() { kept.cancel(); kept.kill(); kept.detach() }",
    );
    it.ok("start");
    it.ok("again");
    assert_eq!(it.text("state"), "killed");
    for _ in 0..2 {
        assert_eq!(
            it.text("join"),
            "Cancelled: the program ended before the thread did"
        );
    }
    it.ok("stop");
    it.ok("again");
}

#[test]
fn handles_of_threads_in_scopes() {
    let mut it = calls(
        "import os
        let c = Channel()
        var kept = []
        pub fn leave() {
            scope {
                kept = (0..10).map(|i| thread { scope { thread c.recv(); c.recv() } }).to_list()
                thread { sleep(2ms); os.exit(4) }
            }
        }
        pub fn again() {
            for i in 0..40 { select { c.send(i) => nil, after 100us => nil } }
            for t in kept { assert t.state == 'killed' }
        }",
    );
    for _ in 0..3 {
        assert_eq!(it.call("leave").unwrap_err().exit_code(), Some(4));
        it.ok("again");
    }
}

#[test]
fn a_heap_whose_copy_was_under_way() {
    for fuel in (200_000..1_400_000).step_by(100_000) {
        let mut it = calls(
            "var xs = []
            pub fn fill() { for i in 0..200_000 { xs.push([i]) } }
            pub fn go() { let f = freeze(xs); let g = copy(xs); f == g }
            pub fn look() {
                for i in 0..200_000 { assert xs[i][0] == i }
                let g = copy(xs)
                for i in 0..200_000 { assert g[i][0] == i }
                xs[7].push(3)
                assert g[7].len() == 1
                let f = freeze(xs)
                assert f[7] == [7, 3]
            }",
        );
        it.ok("fill");
        it.0.set_fuel_limit(fuel);
        let _ = it.call("go");
        it.0.set_fuel_limit(u64::MAX);
        it.ok("look");
    }
}

#[test]
fn a_heap_whose_copy_was_under_way_when_another_thread_left() {
    let mut it = calls(
        "import os
        var xs = []
        pub fn fill() { for i in 0..200_000 { xs.push([i]) } }
        pub fn go() {
            let n = len(xs)
            thread { os.exit(n % 7) }
            for i in 0..100 { freeze(xs) }
        }
        pub fn look() {
            for i in 0..200_000 { assert xs[i][0] == i }
            assert copy(xs) == xs
        }",
    );
    it.ok("fill");
    for _ in 0..5 {
        let _ = it.call("go");
        it.ok("look");
    }
}

#[test]
fn a_once_whose_caller_was_stopped() {
    let mut it = calls(
        "import os
        let once = Once()
        pub fn leave() { once.call(|| os.exit(3)) }
        pub fn waiting() {
            for i in 0..3 { spawn { once.call(|| 'no') } }
            once.call(|| { yield; os.exit(3) })
        }
        pub fn again() { once.call(|| 'yes') }",
    );
    assert_eq!(it.call("leave").unwrap_err().exit_code(), Some(3));
    assert_eq!(it.call("waiting").unwrap_err().exit_code(), Some(3));
    assert_eq!(it.text("again"), "yes");
}

#[test]
fn a_message_outlives_the_session() {
    let mut session = Session::new(Engine::new());
    let waker = session.waker();
    session
        .run("thread { spawn { throw 'lost' }; yield; yield; throw 'first' }")
        .unwrap();
    std::thread::sleep(Duration::from_millis(50));
    drop(session);
    drop(waker);
}

#[test]
fn an_exit_cannot_be_swallowed_by_a_host_function() {
    let attempt =
        |context: &mut Context<'_>, f: Handle| -> i64 { context.call(&f, ()).unwrap_or(-1) };
    let engine = Engine::builder().function("attempt", attempt).build();
    let mut it = Calls::new(
        engine,
        "import os
        var went_on = false
        pub fn leave() { attempt(|| { threadlet { os.exit(5) }; 0 }); went_on = true; sleep(1ms) }
        pub fn state() { str(went_on) }",
    );
    assert_eq!(it.call("leave").unwrap_err().exit_code(), Some(5));
    assert_eq!(it.text("state"), "false");
}

#[test]
fn a_module_that_was_linked_but_not_run() {
    let mut session = Session::new(Engine::builder().output(std::io::sink()).build());
    session.run("struct Thing { a }").unwrap();
    let error = session
        .run("import argparse; struct Wrong: Thing { b }")
        .unwrap_err();
    assert_eq!(error.kind(), "LinkError");
    session.run("import argparse").unwrap();
    session
        .run("let p = argparse.new('x')")
        .unwrap_or_else(|error| panic!("{error:?}"));
}

#[test]
fn a_thread_that_stays_mounted_runs_code_of_later_inputs() {
    let engine = Engine::builder().carriers(2).build();
    let mut session = Session::new(engine);
    let mut run = |text: &str| {
        session
            .run(text)
            .unwrap_or_else(|error| panic!("{text}: {error:?}"))
    };
    run("local var k = 0; let f = Atomic(|| 0); let sum = Atomic(0)");
    run("let t = thread { k = 1; loop { sum.set(f.get()()); if sum.get() == -1 { break } } }");
    for round in 0..50 {
        let mut names = String::new();
        for i in 0..10 {
            names += &format!("local var n{round}_{i} = {i}; ");
        }
        run(&format!("{names}f.set(|| n{round}_1 + n{round}_9)"));
        run(&format!(
            "let g{round} = [1]; let h{round} = freeze(g{round}); f.set(|| len(h{round}) + n{round}_3)"
        ));
    }
    run("f.set(|| -1)");
    run("t.join()");
}
