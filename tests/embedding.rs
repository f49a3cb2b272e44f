//! The library as a Rust host uses it.

use heddle::{Context, Engine, Error, Handle, Stress};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An output that can be looked at.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn eval<T: heddle::FromValue>(text: &str) -> T {
    heddle::eval(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}
#[track_caller]
fn refused<T: heddle::FromValue>(text: &str, kind: &str, message: &str) {
    match heddle::eval::<T>(text) {
        Ok(_) => panic!("{text} should fail"),
        Err(error) => assert_eq!((error.kind(), error.message()), (kind, message)),
    }
}

#[test]
fn values_become_rusts() {
    assert_eq!(eval::<i64>("2 ** 62"), 1 << 62);
    assert_eq!(eval::<u64>("2 ** 64 - 1"), u64::MAX);
    assert_eq!(eval::<u8>("255"), 255);
    assert_eq!(eval::<f64>("1.5"), 1.5);
    assert_eq!(eval::<f64>("3"), 3.0);
    assert!(eval::<bool>("1 < 2"));
    assert_eq!(eval::<String>("'a' + 'ß'"), "aß");
    assert_eq!(eval::<Duration>("250ms"), Duration::from_millis(250));
    assert_eq!(eval::<Option<i64>>("nil"), None);
    assert_eq!(eval::<Option<i64>>("1"), Some(1));
    assert_eq!(eval::<Vec<i64>>("[1, 2, 3]"), [1, 2, 3]);
    assert_eq!(
        eval::<Vec<Option<String>>>("('a', nil)"),
        [Some("a".into()), None]
    );
    assert_eq!(
        eval::<(i64, String, bool)>("(1, 'a', true)"),
        (1, "a".into(), true)
    );
    let map: BTreeMap<String, Vec<i64>> = eval("{a: [1], b: []}");
    assert_eq!(
        map,
        BTreeMap::from([("a".into(), vec![1]), ("b".into(), vec![])])
    );
    let map: HashMap<i64, bool> = eval("{1: true}");
    assert_eq!(map, HashMap::from([(1, true)]));
    eval::<()>("[1, 2]");
}

#[test]
fn what_does_not_fit_is_refused() {
    refused::<i64>(
        "'a'",
        "TypeError",
        "the result: an int was expected, got a string",
    );
    refused::<i64>(
        "1.0",
        "TypeError",
        "the result: an int was expected, got a float",
    );
    refused::<u8>("256", "TypeError", "the result: 256 is out of range of u8");
    refused::<i64>(
        "2 ** 63",
        "TypeError",
        "the result: 9223372036854775808 is out of range of i64",
    );
    refused::<Vec<i64>>(
        "[1, nil]",
        "TypeError",
        "the result: at [1]: an int was expected, got nil",
    );
    refused::<BTreeMap<String, i64>>(
        "{a: 'x'}",
        "TypeError",
        "the result: at \"a\": an int was expected, got a string",
    );
    refused::<(i64, i64)>(
        "(1, 2, 3)",
        "TypeError",
        "the result: a tuple of 2 was expected, got a tuple",
    );
    refused::<Duration>(
        "0s - 1s",
        "TypeError",
        "the result: a duration that is not negative was expected, got a duration",
    );
}

#[test]
fn values_come_from_rust() {
    let mut engine = Engine::new();
    let module = engine
        .load_str("echo", "pub fn show(x) { repr(x) }")
        .unwrap();
    let mut show = |args: &dyn Fn(&mut Engine) -> Result<String, Error>| args(&mut engine).unwrap();
    assert_eq!(show(&|e| e.call(&module, "show", (1,))), "1");
    assert_eq!(
        show(&|e| e.call(&module, "show", (u64::MAX,))),
        "18446744073709551615"
    );
    assert_eq!(
        show(&|e| e.call(&module, "show", (i64::MIN,))),
        "-9223372036854775808"
    );
    assert_eq!(show(&|e| e.call(&module, "show", (0.5,))), "0.5");
    assert_eq!(show(&|e| e.call(&module, "show", ("ä\n",))), "\"ä\\n\"");
    assert_eq!(show(&|e| e.call(&module, "show", ((),))), "nil");
    assert_eq!(show(&|e| e.call(&module, "show", (None::<i64>,))), "nil");
    assert_eq!(
        show(&|e| e.call(&module, "show", (vec![Some(1), None],))),
        "[1, nil]"
    );
    assert_eq!(
        show(&|e| e.call(&module, "show", ((1, "a", [true]),))),
        "(1, \"a\", [true])"
    );
    assert_eq!(
        show(&|e| e.call(&module, "show", (BTreeMap::from([("k", 1.0)]),))),
        "{\"k\": 1.0}"
    );
    assert_eq!(
        show(&|e| e.call(&module, "show", (Duration::from_secs(2),))),
        "2s"
    );
}

#[test]
fn calls_with_wrong_arguments_are_errors_of_the_script() {
    let mut engine = Engine::new();
    let module = engine
        .load_str(
            "one",
            "pub fn one(x) { x }\npub let two = 2\nfn hidden() {}",
        )
        .unwrap();
    let error = engine.call::<i64>(&module, "one", (1, 2)).unwrap_err();
    assert_eq!(error.kind(), "TypeError");
    let error = engine.call::<i64>(&module, "two", ()).unwrap_err();
    assert_eq!(error.kind(), "TypeError");
    let error = engine.call::<i64>(&module, "hidden", ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "NameError: module one exports no 'hidden'"
    );
    let error = engine.call::<i64>(&module, "onne", ()).unwrap_err();
    assert_eq!(
        error.message(),
        "module one exports no 'onne'; did you mean 'one'?"
    );
}

#[test]
fn functions_of_the_host() {
    let total = Arc::new(AtomicI64::new(0));
    let mut engine = Engine::builder()
        .function("host.add", {
            let total = total.clone();
            move |n: i64| total.fetch_add(n, Ordering::Relaxed) + n
        })
        .function("greet", |name: String, greeting: Option<String>| {
            format!("{} {name}", greeting.unwrap_or_else(|| "hello".into()))
        })
        .function(
            "eight",
            |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| vec![a, b, c, d, e, f, g, h],
        )
        .function("nothing", || ())
        .build();
    assert_eq!(
        engine
            .eval::<i64>("import host; host.add(2); host.add(3)")
            .unwrap(),
        5
    );
    assert_eq!(total.load(Ordering::Relaxed), 5);
    assert_eq!(engine.eval::<String>("greet('Ada')").unwrap(), "hello Ada");
    assert_eq!(
        engine.eval::<String>("greet('Ada', 'hi')").unwrap(),
        "hi Ada"
    );
    assert_eq!(
        engine
            .eval::<Vec<u8>>("eight(1, 2, 3, 4, 5, 6, 7, 8)")
            .unwrap(),
        [1, 2, 3, 4, 5, 6, 7, 8]
    );
    assert!(
        engine
            .eval::<bool>("nothing() is nil and greet is function")
            .unwrap()
    );
    let error = engine.eval::<String>("greet(5)").unwrap_err();
    assert_eq!(
        error.to_string(),
        "TypeError: greet: argument 1: a string was expected, got an int"
    );
    assert_eq!(
        engine.eval::<String>("greet()").unwrap_err().kind(),
        "TypeError"
    );
    assert_eq!(
        engine.eval::<String>("greet(1, 2, 3)").unwrap_err().kind(),
        "TypeError"
    );
}

#[test]
fn errors_and_panics_of_the_host_become_errors_of_the_script() {
    let mut engine = Engine::builder()
        .function("parse", |text: String| text.parse::<i64>())
        .function("burst", || -> i64 { panic!("burst") })
        .build();
    let text = "try { parse('x') } catch e { \"{e.kind}: {e.message}\" }";
    assert_eq!(
        engine.eval::<String>(text).unwrap(),
        "Error: invalid digit found in string"
    );
    let text = "let e = try { burst() } catch e { e }\ne.message";
    assert!(engine.eval::<String>(text).unwrap().contains("burst"));
    assert_eq!(engine.eval::<i64>("parse('42')").unwrap(), 42);
}

#[test]
fn the_host_calls_back() {
    let mut engine = Engine::builder()
        .function(
            "apply",
            |context: &mut Context<'_>, f: Handle, xs: Vec<i64>| {
                xs.into_iter()
                    .map(|x| context.call::<i64>(&f, (x,)))
                    .collect::<Result<Vec<_>, _>>()
            },
        )
        .build();
    assert_eq!(
        engine
            .eval::<Vec<i64>>("let k = 10\napply(|x| x * k, [1, 2])")
            .unwrap(),
        [10, 20]
    );
    assert_eq!(
        engine
            .eval::<Vec<i64>>("apply(|x| apply(|y| y + 1, [x])[0], [1, 2])")
            .unwrap(),
        [2, 3]
    );
    let text = "struct Odd: Error { n }\ntry { apply(|x| throw Odd('odd', x), [7]) } catch e if e is Odd { e.n }";
    assert_eq!(
        engine.eval::<i64>(text).unwrap(),
        7,
        "an error passes through the host as it is"
    );
    let error = engine.eval::<()>("apply(|x| [][x], [7])").unwrap_err();
    assert_eq!(error.kind(), "IndexError");
    let error = engine
        .eval::<()>("fn f(x) { apply(f, [x]) }\nf(1)")
        .unwrap_err();
    assert_eq!(error.kind(), "StackOverflow");
    assert_eq!(
        engine
            .eval::<()>("import os\napply(|x| os.exit(x), [7])")
            .unwrap_err()
            .exit_code(),
        Some(7)
    );
}

#[test]
fn callbacks_survive_collections() {
    for stress in [Stress::None, Stress::Collect, Stress::Suspend] {
        let mut engine = Engine::builder()
            .stress(stress)
            .function(
                "fold",
                |context: &mut Context<'_>, f: Handle, first: Handle, times: usize| {
                    (0..times).try_fold(first, |all, i| context.call::<Handle>(&f, (all, i)))
                },
            )
            .build();
        let text =
            r#"fold(|all, i| all + ["item {i}".repeat(20)], [], 200).map(|s| s.len()).sum()"#;
        let expected: usize = (0..200).map(|i| format!("item {i}").len() * 20).sum();
        assert_eq!(engine.eval::<usize>(text).unwrap(), expected);
        // Deep below and deep inside: the stack grows and moves while the host's call is under way.
        let text = "fn deep(n) { if n == 0 { 1 } else { deep(n - 1) + 1 } }
            fn f(n) { if n == 0 { fold(|all, i| all + deep(3000), 0, 3) } else { f(n - 1) + 1 } }
            f(500)";
        assert_eq!(engine.eval::<usize>(text).unwrap(), 3 * 3001 + 500);
    }
}

#[test]
fn a_mutex_outlives_a_holder_that_was_stopped() {
    let mut engine = Engine::new();
    let text = "import os
        let lock = Mutex()
        pub fn leave() { lock.lock(); os.exit(3) }
        pub fn is_free() { let taken = lock.try_lock(); if taken { lock.unlock() }; taken }";
    let module = engine.load_str("locks", text).unwrap();
    let left = engine.call::<()>(&module, "leave", ()).unwrap_err();
    assert_eq!(left.exit_code(), Some(3));
    assert!(engine.call::<bool>(&module, "is_free", ()).unwrap());
}

#[test]
fn handles_keep_values_alive_and_belong_to_one_engine() {
    let mut engine = Engine::new();
    let module = engine
        .load_str("handles", "pub fn make(n) { [n, 'text {n}'] }\npub fn first(x) { x[0] }\npub fn churn() { for i in 0..20000 { [i, [i]] } }")
        .unwrap();
    let handles: Vec<Handle> = (0..100)
        .map(|n| engine.call(&module, "make", (n,)).unwrap())
        .collect();
    engine.call::<()>(&module, "churn", ()).unwrap();
    for (n, handle) in handles.iter().enumerate() {
        assert_eq!(
            engine.call::<usize>(&module, "first", (handle,)).unwrap(),
            n
        );
    }
    let mut other = Engine::new();
    let error = other.call::<()>(&module, "churn", ()).unwrap_err();
    assert_eq!(error.message(), "module handles belongs to another engine");
    let module = other.load_str("other", "pub fn f(x) { x }").unwrap();
    let error = other.call::<()>(&module, "f", (&handles[0],)).unwrap_err();
    assert_eq!(error.message(), "f: the handle belongs to another engine");
}

#[test]
fn errors_tell_everything() {
    let error = heddle::eval::<()>("let a = nope\nlet b = nada").unwrap_err();
    assert_eq!(error.kind(), "SyntaxError");
    assert_eq!(
        error
            .findings()
            .iter()
            .filter(|f| f.diagnostic.is_error())
            .count(),
        2
    );
    assert_eq!(error.findings()[0].position(), (1, 9));
    assert!(
        error.render().contains("--> <string>:1:9"),
        "{}",
        error.render()
    );

    let text = "fn f() {\n    throw ValueError('outer', cause: KeyError('inner'))\n}\nf()";
    let error = heddle::eval::<()>(text).unwrap_err();
    assert_eq!(error.to_string(), "ValueError: outer");
    let cause = std::error::Error::source(&error).expect("there is a cause");
    assert_eq!(cause.to_string(), "KeyError: inner");
    let report = error.render();
    assert!(
        report.starts_with("error: uncaught ValueError: outer\n  --> <string>:2:5\n"),
        "{report}"
    );
    assert!(report.contains("caused by: KeyError: inner"), "{report}");

    let error = Engine::new()
        .load_file("no/such/file.hd")
        .err()
        .expect("there is no such file");
    assert_eq!(error.kind(), "IoError");
    assert!(std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>()));

    let error = heddle::eval::<()>("import os; os.exit(3)").unwrap_err();
    assert_eq!(error.exit_code(), Some(3));

    fn is_shareable<T: Send + Sync + 'static>() {}
    is_shareable::<Error>();
    is_shareable::<Handle>();
}

#[test]
fn engines_are_apart_and_may_move_between_os_threads() {
    fn is_send<T: Send>() {}
    is_send::<Engine>();
    let outputs: Vec<Shared> = (0..3).map(|_| Shared::default()).collect();
    let running: Vec<_> = outputs
        .iter()
        .enumerate()
        .map(|(n, output)| {
            let mut engine = Engine::builder()
                .output(output.clone())
                .script_args([n.to_string()])
                .build();
            std::thread::spawn(move || {
                engine
                    .run_str(
                        "main",
                        "import os\nprint(os.args)\nstruct Own { x }\nprint(Own(1))",
                    )
                    .unwrap();
                engine.flush().unwrap();
            })
        })
        .collect();
    for thread in running {
        thread.join().unwrap();
    }
    for (n, output) in outputs.iter().enumerate() {
        assert_eq!(output.text(), format!("[\"{n}\"]\nOwn(x: 1)\n"));
    }
}

#[test]
fn limits() {
    let mut engine = Engine::builder()
        .memory_limit(16 << 20)
        .depth_limit(100)
        .build();
    let error = engine
        .eval::<()>("let xs = []\nloop { xs.push('x' * 1000) }")
        .unwrap_err();
    assert_eq!(error.kind(), "LimitError");
    let error = engine.eval::<()>("fn f() { 1 + f() }\nf()").unwrap_err();
    assert_eq!(error.kind(), "StackOverflow");
    assert_eq!(
        engine.eval::<i64>("1 + 1").unwrap(),
        2,
        "the engine goes on"
    );
    let module = engine.load_str("id", "pub fn size(x) { x.len() }").unwrap();
    let error = engine
        .call::<usize>(&module, "size", ("x".repeat(64 << 20),))
        .unwrap_err();
    assert_eq!(error.kind(), "LimitError");
    assert_eq!(
        engine
            .call::<usize>(&module, "size", ("x".repeat(1 << 20),))
            .unwrap(),
        1 << 20
    );
}

#[test]
fn an_interrupt_stops_what_runs() {
    let mut engine = Engine::new();
    let flag = engine.interrupt_flag();
    let output = Shared::default();
    let stopper = std::thread::spawn({
        let output = output.clone();
        move || {
            while output.text().is_empty() {
                std::thread::yield_now();
            }
            flag.store(true, Ordering::Release);
        }
    });
    engine.register("ready", {
        let output = output.clone();
        move || output.clone().write_all(b"ready").is_ok()
    });
    let error = engine
        .eval::<()>("ready()\ndefer ready()\nloop {}")
        .unwrap_err();
    stopper.join().unwrap();
    assert_eq!(error.kind(), "Cancelled");
    assert_eq!(output.text(), "readyready", "defers run");
    assert_eq!(engine.eval::<i64>("1 + 1").unwrap(), 2);
}

#[test]
fn files_import_files() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("embedding");
    std::fs::create_dir_all(folder.join("lib")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write(
        "main.hd",
        "import \"./lib/a.hd\"\nfrom \"./lib/b.hd\" import runs\nimport missing\npub fn answer() { (a.value, runs()) }",
    );
    write(
        "lib/a.hd",
        "import \"./b.hd\"\nb.ran()\npub let value = 'a'",
    );
    write(
        "lib/b.hd",
        "var n = 0\npub fn ran() { n += 1 }\npub fn runs() { n }",
    );
    let mut engine = Engine::new();
    let error = engine
        .load_file(folder.join("main.hd"))
        .err()
        .expect("a module is missing");
    assert!(
        error
            .message()
            .contains("there is no standard module `missing`"),
        "{error}"
    );
    engine.register("missing.nothing", || ());
    let module = engine.load_file(folder.join("main.hd")).unwrap();
    assert_eq!(
        engine.call::<(String, i64)>(&module, "answer", ()).unwrap(),
        ("a".into(), 1)
    );
    assert_eq!(module.name(), "main");
    let again = engine.load_file(folder.join("main.hd")).unwrap();
    assert_eq!(
        engine.call::<(String, i64)>(&again, "answer", ()).unwrap(),
        ("a".into(), 1),
        "imports are loaded once"
    );
}

#[test]
fn a_module_that_failed_is_loaded_again() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("embedding_failing");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("part.hd"), "pub let x = check()").unwrap();
    let is_good = Arc::new(AtomicI64::new(0));
    let mut engine = Engine::builder()
        .function("check", {
            let is_good = is_good.clone();
            move || match is_good.load(Ordering::Relaxed) {
                0 => Err("not yet"),
                n => Ok(n),
            }
        })
        .build();
    let path = folder.join("main.hd");
    std::fs::write(&path, "import \"./part.hd\"\npub let y = part.x").unwrap();
    assert_eq!(
        engine.load_file(&path).err().expect("it fails").message(),
        "not yet"
    );
    is_good.store(5, Ordering::Relaxed);
    let module = engine.load_file(&path).unwrap();
    assert_eq!(engine.get::<i64>(&module, "y").unwrap(), 5);
}

#[test]
fn collections_do_not_read_a_deep_stack_again() {
    let mut engine = Engine::new();
    let source = "fn f(n) { let x = [n, [n]]; if n == 0 { 0 } else { let r = f(n - 1); r + len(x) } }\npub fn run() { f(100_000) }";
    let module = engine.load_str("deep", source).unwrap();
    let before = engine.heap_stats();
    assert_eq!(engine.call::<i64>(&module, "run", ()).unwrap(), 200_000);
    let after = engine.heap_stats();
    let (collections, values) = (
        after.minor - before.minor,
        after.root_values - before.root_values,
    );
    assert!(collections > 10, "{collections} collections");
    // About ten registers a frame. Read by every collection they would be several millions.
    assert!(
        values < 3_000_000,
        "{values} values read by {collections} collections"
    );
}

#[test]
fn long_work_of_the_library_counts_against_the_fuel() {
    // Each of these takes few calls and turns of loops of the script, but many steps; so it also has many safepoints.
    let made = "let xs = [1, 2] * 500_000\nlet text = 'hello world ' * 400_000\nlet rows = [[1, 'a'], {b: 2.5}] * 50_000\n";
    let programs = [
        ("slice", "xs[1..]"),
        ("sum", "xs + xs"),
        ("list", "list(xs)"),
        ("tuple", "tuple(xs)"),
        ("str", "str(xs)"),
        ("compare", "xs == xs.copy()"),
        ("sort", "xs.sort()"),
        ("join", "xs.join(',')"),
        ("text sum", "text + text"),
        ("text slice", "text[1..]"),
        ("split", "text.split('q')"),
        ("replace", "text.replace('world', 'w')"),
        ("count", "text.count('world')"),
        ("upper", "text.upper()"),
        ("bytes", "text.bytes().to_string()"),
        ("encode", "json.encode(rows)"),
        ("parse", "json.parse('[' + '1, ' * 200_000 + '2]')"),
        ("regex", "regex.new('[a-z]+').replace(text, 'w')"),
    ];
    for (name, program) in programs {
        let source = format!("import json\nimport regex\n{made}pub fn run() {{ {program} }}\n");
        let mut engine = Engine::new();
        let module = engine.load_str(name, &source).unwrap();
        engine.set_fuel_limit(20_000);
        let error = engine.call::<Handle>(&module, "run", ()).err();
        let error = error.unwrap_or_else(|| panic!("{name} takes no fuel"));
        assert!(
            error.message().contains("out of fuel"),
            "{name}: {}",
            error.message()
        );
        engine.set_fuel_limit(u64::MAX);
        assert!(
            engine.call::<Handle>(&module, "run", ()).is_ok(),
            "{name} works"
        );
    }
}

/// Threads that wait for each other use up no slice, and yet all that they use is charged.
#[test]
fn threads_in_conversation_take_fuel() {
    for program in [
        "let (a, b) = (Channel(), Channel())\n    thread { for x in a { b.send(x) } }\n    loop { a.send(1); b.recv() }",
        "loop { (thread { 1 }).join() }",
    ] {
        let mut engine = Engine::new();
        let source = format!("pub fn run() {{\n    {program}\n}}\n");
        let module = engine.load_str("talk", &source).unwrap();
        engine.set_fuel_limit(200_000);
        let error = engine.call::<Handle>(&module, "run", ()).err();
        let error = error.unwrap_or_else(|| panic!("{program} ends"));
        assert!(
            error.message().contains("out of fuel"),
            "{program}: {}",
            error.message()
        );
    }
}

#[test]
fn an_engine_may_end_with_its_os_thread() {
    thread_local! {
        static KEPT: std::cell::RefCell<Option<Engine>> = const { std::cell::RefCell::new(None) };
    }
    fn engine() -> Engine {
        let mut engine = Engine::new();
        let script = "struct S { x }\nlet frozen = freeze([1, [2], S(3)])\nlet c = Channel(1)\nc.send(frozen)";
        engine.run_str("frozen", script).unwrap();
        engine
    }
    let end = std::thread::spawn(|| {
        KEPT.set(Some(engine()));
        // Frees what engines share before the kept engine is freed by the end of the OS thread.
        drop(engine());
    });
    assert!(end.join().is_ok());
}

/// What becomes of a host's functions that block is told by the policy, as for those of the library.
#[test]
fn functions_that_block() {
    use heddle::BlockingPolicy;
    let two_at_once = "
        import disk, blocking
        let tasks = [1, 2].map(|n| spawn { disk.meet(n, 'x') })
        let sum = tasks.map(|t| t.join()).sum()
        let site = blocking.report().filter(|site| site.function == 'disk.meet')[0]
        (sum, site.count, site.site.ends_with(':3'))
    ";
    for policy in [BlockingPolicy::Offload, BlockingPolicy::Capture] {
        // Both must be under way at a time.
        let barrier = std::sync::Barrier::new(2);
        let mut engine = Engine::builder()
            .blocking(policy)
            .blocking_function("disk.meet", move |n: i64, name: String| {
                barrier.wait();
                n + name.len() as i64
            })
            .build();
        // A captured call holds its task's thread: then they are threads.
        let program = match policy {
            BlockingPolicy::Capture => two_at_once.replace("spawn", "thread"),
            _ => two_at_once.into(),
        };
        let done: (i64, i64, bool) = engine.eval(&program).unwrap();
        assert_eq!(done, (5, 2, true));
    }

    let mut engine = Engine::builder()
        .blocking(BlockingPolicy::Error)
        .allow_blocking("disk.open", None)
        .blocking_function("disk.read", || "data".to_string())
        .blocking_function("disk.open", |name: Option<String>| match name {
            Some(name) => Err(format!("no {name}")),
            None => Ok(vec![1i64, 2]),
        })
        .function("plain", || 1i64)
        .build();
    let error = engine
        .eval::<String>("import disk\ndisk.read()")
        .unwrap_err();
    assert_eq!(error.kind(), "BlockingError");
    assert!(
        error
            .message()
            .starts_with("disk.read blocks at <string>:2"),
        "{}",
        error.message()
    );
    assert_eq!(engine.eval::<i64>("plain()").unwrap(), 1);
    let open: Vec<i64> = engine.eval("import disk\ndisk.open()").unwrap();
    assert_eq!(open, [1, 2]);
    let error = engine
        .eval::<()>("import disk\ndisk.open('x')")
        .unwrap_err();
    assert_eq!(error.message(), "no x");
    let error = engine.eval::<()>("import disk\ndisk.open(1)").unwrap_err();
    assert_eq!(
        error.message(),
        "disk.open: argument 1: a string was expected, got an int"
    );

    // Registered later; one that panics is an error of the script.
    let mut engine = Engine::new();
    engine.register_blocking("fail", |text: String| -> i64 { panic!("{text}") });
    let caught: String = engine
        .eval("spawn { }\ntry { fail('oh') } catch e { e.message }")
        .unwrap();
    assert_eq!(caught, "fail: internal error: oh");
}
