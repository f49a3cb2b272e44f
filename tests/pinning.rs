//! Functions of a host that call back into script: they pin the task that called them, which may wait nevertheless.

use heddle::{Context, Engine, EngineBuilder, Error, Handle, Stress, Threadlets};

fn builder() -> EngineBuilder {
    Engine::builder()
        // Calls the function, between two native frames' own values.
        .function(
            "twice",
            |context: &mut Context<'_>, f: Handle| -> Result<(i64, i64), Error> {
                let first: i64 = context.call(&f, ())?;
                let second: i64 = context.call(&f, ())?;
                Ok((first, second))
            },
        )
        .function(
            "run",
            |context: &mut Context<'_>, f: Handle| -> Result<Handle, Error> {
                context.call(&f, ())
            },
        )
        // Gives a value even if the call has failed.
        .function(
            "attempt",
            |context: &mut Context<'_>, f: Handle| -> String {
                match context.call::<i64>(&f, ()) {
                    Ok(value) => value.to_string(),
                    Err(error) => error.kind().to_string(),
                }
            },
        )
}

/// Runs in each of several ways; the script asserts what it expects.
fn check(script: &str) {
    type Way = fn(EngineBuilder) -> EngineBuilder;
    let ways: [(&str, Way); 5] = [
        ("plain", |b| b),
        ("one carrier", |b| b.carriers(1)),
        ("two carriers", |b| b.carriers(2)),
        ("collecting", |b| b.stress(Stress::Collect)),
        ("short slices", |b| b.carriers(2).slice(7)),
    ];
    for (name, way) in ways {
        let mut engine = way(builder()).build();
        if let Err(error) = engine.run_str("pinned", script) {
            panic!("{name}: {error:?}");
        }
    }
}

#[test]
fn a_pinned_task_sleeps() {
    check(r#"assert run(|| { sleep(1ms); 7 }) == 7"#);
}
#[test]
fn its_state_says_so() {
    check(
        r#"
let t = spawn run(|| sleep(1h))
yield
assert t.state == "pinned, waiting for sleep"
t.cancel()
"#,
    );
}
#[test]
fn it_waits_for_a_sibling() {
    check(
        r#"
let c = Channel()
let t = spawn { for i in 0..4 { c.send(i) } }
assert twice(|| c.recv() + c.recv()) == (1, 5)
t.join()
"#,
    );
}
#[test]
fn pinned_siblings_wait_for_each_other() {
    check(
        r#"
let there = Channel()
let back = Channel()
let a = spawn run(|| { there.send(1); back.recv() })
let b = spawn run(|| { let x = there.recv(); back.send(x + 1); x })
assert (a.join(), b.join()) == (2, 1)
"#,
    );
}
#[test]
fn many_pinned_tasks_wait_for_one_latch() {
    check(
        r#"
let gate = Latch(1)
let ts = (0..8).map(|i| spawn run(|| { gate.wait(); i })).to_list()
yield
gate.count_down()
assert ts.map(|t| t.join()).sum() == 28
"#,
    );
}
#[test]
fn pinned_tasks_of_threads_wait_for_each_other() {
    check(
        r#"
let c = Channel()
let ts = (0..6).map(|i| thread run(|| { if i % 2 == 0 { c.send(i) ; 0 } else { c.recv() } })).to_list()
assert ts.map(|t| t.join()).sum() == 0 + 2 + 4
"#,
    );
}
#[test]
fn others_go_on_meanwhile() {
    check(
        r#"
var ticks = 0
let ticker = spawn { loop { sleep(1ms); ticks += 1 } }
run(|| { while ticks < 3 { sleep(1ms) } })
ticker.cancel()
"#,
    );
}
#[test]
fn calls_nest() {
    check(
        r#"
let c = Channel()
spawn { for i in 0..3 { sleep(1ms); c.send(i) } }
assert run(|| c.recv() + run(|| c.recv() + run(|| c.recv()))) == 3
"#,
    );
}
#[test]
fn it_yields() {
    check(
        r#"
var is_done = false
spawn { is_done = true }
run(|| { while not is_done { yield } })
assert is_done
"#,
    );
}
#[test]
fn it_is_cancelled_and_goes_on_with_its_defers() {
    check(
        r#"
let log = []
let t = spawn run(|| { defer log.push("deferred"); sleep(1h) })
yield
t.cancel()
assert (try { t.join() } catch e { e.kind }) == "Cancelled"
assert log == ["deferred"]
"#,
    );
}
#[test]
fn a_thread_with_a_pinned_task_is_killed() {
    check(
        r#"
let c = Channel(1)
let t = thread run(|| { defer c.send("deferred"); sleep(1h) })
sleep(5ms)
t.kill()
assert (try { t.join() } catch e { e.kind }) == "Cancelled"
"#,
    );
}
#[test]
fn errors_leave_through_the_native() {
    check(
        r#"
assert attempt(|| { sleep(1ms); throw KeyError("k") }) == "KeyError"
assert (try { run(|| { sleep(1ms); throw KeyError("k") }) } catch e { e.message }) == "k"
"#,
    );
}
#[test]
fn a_time_limit_reaches_it() {
    check(r#"assert (try { timeout(5ms, || run(|| sleep(1h))) } catch e { e.kind }) == "Timeout""#);
}
#[test]
fn a_threadlet_above_a_native_frame_splits() {
    check(
        r#"
let t = run(|| {
    let t = threadlet { sleep(2ms); 5 }
    assert not t.done()
    t
})
assert t.join() == 5
"#,
    );
}
#[test]
fn a_threadlet_below_a_native_frame_is_pinned() {
    check(
        r#"
let t = threadlet run(|| { sleep(2ms); 6 })
# It could not be split off: it has ended.
assert t.done()
assert t.join() == 6
"#,
    );
}
#[test]
fn a_deadlock_is_found() {
    let mut engine = builder().build();
    let error = engine
        .run_str("pinned", "let c = Channel()\nrun(|| c.recv())")
        .unwrap_err();
    assert_eq!(error.kind(), "Deadlock");
    assert!(error.message().contains("recv of a channel"), "{error:?}");
    // The engine is as good as new.
    engine
        .run_str("again", "assert run(|| { sleep(1ms); 1 }) == 1")
        .unwrap();
}
#[test]
fn a_deadlock_in_a_thread_is_found() {
    let mut engine = builder().build();
    let error = engine
        .run_str(
            "pinned",
            "let c = Channel()\nlet t = thread run(|| c.recv())\nt.join()",
        )
        .unwrap_err();
    assert_eq!(error.kind(), "Deadlock");
}
#[test]
fn the_program_ends_while_it_waits() {
    let mut engine = builder().build();
    let error = engine
        .run_str(
            "pinned",
            "import os\nfor _ in 0..3 { thread run(|| sleep(1h)) }\nspawn { sleep(5ms); os.exit(3) }\nrun(|| sleep(1h))",
        )
        .unwrap_err();
    assert_eq!(error.exit_code(), Some(3));
    engine
        .run_str("again", "assert run(|| { sleep(1ms); 1 }) == 1")
        .unwrap();
}
#[test]
fn waits_while_pinned_are_counted() {
    let mut engine = builder().build();
    let pins: i64 = engine
        .eval("import runtime\nrun(|| sleep(1ms))\nruntime.stats().pins")
        .unwrap();
    assert_eq!(pins, 1);
}
#[test]
fn a_busy_callback_ends_with_the_program() {
    let mut engine = builder().carriers(2).build();
    let error = engine
        .run_str(
            "pinned",
            "import os\nlet c = Channel()\nthread run(|| { c.send(1); loop { } })\nc.recv()\nos.exit(3)",
        )
        .unwrap_err();
    assert_eq!(error.exit_code(), Some(3));
}
#[test]
fn a_busy_callback_is_killed() {
    check(
        r#"
let c = Channel(2)
let t = thread run(|| { defer c.try_send("deferred"); c.send("begun"); loop { } })
assert c.recv() == "begun"
t.kill()
assert (try { t.join() } catch e { e.kind }) == "Cancelled"
assert c.recv() == "deferred"
"#,
    );
}
#[test]
fn as_many_as_may_be_pinned() {
    // One OS thread is never pinned: what would pin the last is told so, and the rest goes on.
    let mut engine = builder().carriers(1).max_carriers(3).build();
    engine
        .run_str(
            "pinned",
            r#"
let gate = Latch(1)
let ts = (0..10).map(|i| thread run(|| { try { gate.wait(); 1 } catch e { assert e.kind == "BlockingError"; 0 } })).to_list()
sleep(5ms)
gate.count_down()
assert ts.map(|t| t.join()).sum() >= 2
"#,
        )
        .unwrap();
}
#[test]
fn a_host_cannot_swallow_a_kill() {
    check(
        r#"
let log = Channel(10)
for f in [|| sleep(1h), || { loop { } }] {
    let t = thread {
        defer log.try_send("deferred")
        attempt(|| { defer log.try_send("inner"); log.send("begun"); f(); 0 })
        log.try_send("swallowed")
        loop { }
    }
    assert log.recv() == "begun"
    t.kill()
    assert (try { t.join() } catch e { e.kind }) == "Cancelled"
    assert log.recv() == "inner"
    assert log.recv() == "deferred"
    assert log.len() == 0
}
# Not even of a task that it calls back for from a defer.
let t = thread {
    defer log.try_send(attempt(|| 5))
    attempt(|| { log.send("begun"); sleep(1h); 0 })
}
assert log.recv() == "begun"
t.kill()
assert (try { t.join() } catch e { e.kind }) == "Cancelled"
assert log.recv() == "5"
"#,
    );
}

#[test]
fn busy_callbacks_are_looked_at() {
    let script = r#"
import runtime
let c = Channel()
let stop = Atomic(false)
let ts = (0..2).map(|i| thread(name: "busy {i}") run(|| { let held = [i]; c.send(i); while not stop.get() { } ; held[0] })).to_list()
(spawn { Channel().recv() }).detach()
yield
c.recv()
c.recv()
fn are_busy() {
    let dump = runtime.dump()
    dump.contains("'busy 0': running") and dump.contains("'busy 1': running")
}
while not are_busy() { sleep(1ms) }
for _ in 0..5 {
    assert are_busy()
    assert runtime.stats()["threads"] == 3
    assert runtime.leaks().len() == 1
}
stop.set(true)
assert ts.map(|t| t.join()).sum() == 1
"#;
    for carriers in [2, 3, 4] {
        for slice in [7, 20_000] {
            let mut engine = builder().carriers(carriers).slice(slice).build();
            engine.run_str("pinned", script).unwrap();
        }
    }
}

// --- sessions: the host's OS thread may be the one that a task is pinned to

fn session(carriers: usize) -> heddle::Session {
    heddle::Session::new(builder().carriers(carriers).build())
}
#[test]
fn a_session_gets_its_thread_back_from_pinned_tasks() {
    for carriers in [1, 2, 4] {
        let mut session = session(carriers);
        session.run("let c = Channel()").unwrap();
        // Those that wait on the session's OS thread when their input ends are killed, the others go on.
        session
            .run("let ts = (0..3).map(|_| spawn { try { run(|| c.recv()) } catch e { } }).to_list()\nsleep(2ms)")
            .unwrap();
        session
            .run("let u = thread run(|| sleep(1h))\nsleep(2ms)")
            .unwrap();
        assert_eq!(
            session.run("run(|| { sleep(1ms); 3 })").unwrap().as_deref(),
            Some("3")
        );
        session
            .run("let v = spawn { let x = threadlet sleep(1h); run(|| x.join()) }\nyield")
            .unwrap();
        assert_eq!(session.run("1 + 1").unwrap().as_deref(), Some("2"));
    }
}
#[test]
fn a_deadlock_of_a_pinned_input_is_its_own() {
    for carriers in [1, 2, 4] {
        let mut session = session(carriers);
        session
            .run("let c = Channel()\nlet t = spawn { c.recv() }\nlet d = Channel()")
            .unwrap();
        for text in [
            "run(|| d.recv())",
            "run(|| { let x = threadlet run(|| d.recv()); x.join() })",
            "let x = threadlet run(|| d.recv())",
        ] {
            let error = session.run(text).unwrap_err();
            assert_eq!(error.kind(), "Deadlock", "{text}: {error:?}");
        }
        session.run("c.send(4)").unwrap();
        assert_eq!(session.run("t.join()").unwrap().as_deref(), Some("4"));
    }
}
#[test]
fn a_pinned_input_is_interrupted() {
    let mut session = session(2);
    let flag = session.engine().interrupt_flag();
    let pressed = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        flag.store(true, std::sync::atomic::Ordering::Release);
    });
    let error = session.run("run(|| sleep(1h))").unwrap_err();
    assert_eq!(error.kind(), "Cancelled");
    pressed.join().unwrap();
    assert_eq!(session.run("1 + 1").unwrap().as_deref(), Some("2"));
}
#[test]
fn an_idle_session_is_woken_from_pinned_tasks() {
    let mut session = session(1);
    session
        .run("let t = thread run(|| sleep(1h))\nlet u = spawn { sleep(1ms); run(|| sleep(1h)) }")
        .unwrap();
    let waker = session.waker();
    let input = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        waker.wake();
    });
    assert!(matches!(session.idle(), heddle::Idle::Woken));
    input.join().unwrap();
    assert_eq!(session.run("1 + 1").unwrap().as_deref(), Some("2"));
    session.finish(true).unwrap();
}

/// Where a callback makes the stack grow and there is no room, the heap is collected: the function that is called may move.
#[test]
fn a_callback_that_makes_the_stack_grow_near_the_memory_limit() {
    let mut engine = builder().memory_limit(4 << 20).build();
    engine
        .run_str(
            "pinned",
            r#"
            fn deep(n, k) {
                if n == 0 {
                    let mine = [k]
                    return attempt(|| { assert mine[0] == k; mine[0] })
                }
                deep(n - 1, k)
            }
            fn ballast(n) { let xs = []; for i in 0..n { xs.push("item {i}") }; xs }
            fn run(depth, n) {
                var b = ballast(n)
                b = nil
                deep(depth, n)
            }
            for n in 1..200 {
                sleep(1us)
                let r = try { run(40 * n, n * 150) } catch e { e.kind }
                assert r == str(n * 150) or r == "LimitError" or r == "StackOverflow", r
            }
            "#,
        )
        .expect("the callbacks find what they captured");
}

/// A pinned task that yields again and again is told what comes from outside, and those that were woken have their turn.
#[test]
fn a_pinned_task_that_yields_is_killed_and_cancelled() {
    check(
        r#"
for stop in [|t| t.kill(), |t| t.cancel()] {
    let started = Latch(1)
    let t = thread run(|| { started.count_down(); loop { yield } })
    started.wait()
    stop(t)
    assert try { t.join() } catch e { e.kind } == "Cancelled"
}
"#,
    );
}
#[test]
fn a_pinned_task_that_yields_lets_those_run_that_were_woken() {
    check(
        r#"
let (go, done) = (Channel(), Atomic(false))
let t = thread {
    spawn { go.recv(); done.set(true) }
    run(|| { while not done.get() { yield } })
    "both"
}
sleep(1ms)
go.send(1)
assert t.join() == "both"
let woken = Atomic(false)
spawn { sleep(1ms); woken.set(true) }
run(|| { while not woken.get() { yield } })
"#,
    );
}
#[test]
fn a_time_limit_ends_a_pinned_task_that_yields() {
    check(
        r#"assert try { run(|| timeout(5ms, || { loop { yield } })) } catch e { e.kind } == "Timeout""#,
    );
}
/// Threadlets that split off by chance: functions of the host are called all the same.
#[test]
fn functions_are_called_from_threadlets_that_split_by_chance() {
    for seed in 0..12 {
        let mut engine = builder()
            .function("add", |a: i64, b: i64| a + b)
            .blocking_function("slow", |n: i64| n + 1)
            .threadlets(Threadlets::Random(seed))
            .build();
        let script = r#"
for i in 0..6 {
    assert (threadlet add(3, i)).join() == 3 + i
    assert (threadlet (|| { let x = add(1, i); x })()).join() == 1 + i
    assert (threadlet run(|| { yield; [i] })).join() == [i]
    assert (threadlet slow(i)).join() == i + 1
}
"#;
        if let Err(error) = engine.run_str("threadlets", script) {
            panic!("seed {seed}: {error:?}");
        }
    }
}

/// Where no further OS thread may take the place of one below a host's function, what would wait throws. By then others can see that it waits, and may have woken it.
#[test]
fn a_wait_that_is_refused_is_undone() {
    let script = r#"
let refused = Atomic(0)
fn busy(time) { let until = time_ns() + time; while time_ns() < until { } }
fn waits(f) { run(|| { try { f() } catch e { if e is BlockingError { refused.add(1) } else { throw e } } }) }
let c = Channel()
let lock = Mutex()
for round in 0..30 {
    let members = (0..3).map(|i| thread {
        waits(|| scope {
            thread { busy(200_000) }
            thread waits(|| { busy(100_000); sleep(100us) })
            busy(100_000)
        })
        waits(|| lock.with(|| { busy(20_000); yield }))
        waits(|| select { x = c.recv() => x, after 50us => nil })
        waits(|| c.recv())
        waits(|| sleep(50us))
        waits(|| (spawn { yield; 1 }).join())
    }).to_list()
    let feeder = thread { loop { select { c.send(1) => nil, after 20us => nil } } }
    let (first, second) = (members[0], members[1])
    let killer = thread { busy(300_000); first.cancel(); second.kill() }
    for m in members { try { m.join() } catch e { assert e is Cancelled } }
    killer.join()
    feeder.kill()
    assert lock.try_lock()
    lock.unlock()
}
"#;
    for (carriers, most) in [(2, 2), (2, 3), (3, 3), (1, 2)] {
        let mut engine = builder()
            .carriers(carriers)
            .max_carriers(most)
            .function("time_ns", |_: &mut Context<'_>| -> i64 {
                let now = std::time::SystemTime::now();
                now.duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos() as i64
            })
            .build();
        if let Err(error) = engine.run_str("pinned", script) {
            panic!("{carriers} {most}: {error:?}");
        }
    }
}
