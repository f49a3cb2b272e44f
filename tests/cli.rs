//! The command line: how programs are given to `heddle`, what it prints where, and its exit codes.

use std::fs;
use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

mod support;
use support::{Outcome, Program, finish};

/// Writes a program into a file of its own and gives the path.
fn program(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&folder).expect("the folder for generated files can be made");
    let path = folder.join(format!("{name}.hd"));
    fs::write(&path, text).expect("a program can be written");
    path
}

fn heddle(arguments: &[&str]) -> Outcome {
    Program::heddle().args(arguments.iter().copied()).run()
}

/// The program ended with this code and wrote this to standard output.
#[track_caller]
fn expect(outcome: &Outcome, code: i32, stdout: &str) {
    let mut faults = String::new();
    outcome.check_exit(code, &mut faults);
    assert!(
        faults.is_empty() && outcome.stdout == stdout,
        "{faults}$ {}\n--- standard output\n{}\n--- expected\n{stdout}\n--- standard error\n{}",
        outcome.command,
        outcome.stdout,
        outcome.stderr
    );
}

#[test]
fn code_on_the_command_line() {
    expect(&heddle(&["-e", "print(1 + 2)"]), 0, "3\n");
    expect(
        &heddle(&["-e", "let a = 1\nfor i in 0..2 { print(i + a) }"]),
        0,
        "1\n2\n",
    );
}

#[test]
fn code_on_the_command_line_gets_arguments() {
    let outcome = heddle(&["-e", "import os; print(os.args)", "a", "-b", "--c"]);
    expect(&outcome, 0, "[\"a\", \"-b\", \"--c\"]\n");
}

#[test]
fn program_from_standard_input() {
    let outcome = Program::heddle()
        .arg("-")
        .stdin(b"print('from stdin')\n")
        .run();
    expect(&outcome, 0, "from stdin\n");
}

#[test]
fn run_a_file_with_arguments() {
    let file = program("arguments", "import os\nprint(os.args)\n");
    let outcome = Program::heddle()
        .arg("run")
        .arg(&file)
        .args(["x", "--memory=1", "-e", "y"])
        .run();
    expect(&outcome, 0, "[\"x\", \"--memory=1\", \"-e\", \"y\"]\n");
    let outcome = Program::heddle().arg(&file).args(["x", "-y"]).run();
    expect(&outcome, 0, "[\"x\", \"-y\"]\n");
}

#[test]
fn a_file_named_like_a_command_is_given_with_its_folder() {
    let file = program("check", "print('a file')\n");
    expect(&Program::heddle().arg(&file).run(), 0, "a file\n");
}

#[test]
fn missing_file() {
    let outcome = heddle(&["run", "no/such/file.hd"]);
    assert!(matches!(outcome.code(), Some(1 | 2)), "{}", outcome.status);
    assert!(
        outcome.stderr.contains("no/such/file.hd"),
        "{}",
        outcome.stderr
    );
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["run"][..],
        &["--no-such-flag"],
        &["run", "--no-such-flag", "x.hd"],
        &["run", "--memory=lots", "x.hd"],
    ] {
        let outcome = heddle(arguments);
        assert_eq!(
            outcome.code(),
            Some(2),
            "{}: {}",
            outcome.command,
            outcome.stderr
        );
        assert!(!outcome.stderr.is_empty());
        assert!(outcome.stdout.is_empty());
    }
}

#[test]
fn help_and_version() {
    let help = heddle(&["--help"]);
    assert_eq!(help.code(), Some(0));
    for word in ["run", "check", "test", "dis", "-e"] {
        assert!(
            help.stdout.contains(word),
            "the help lacks `{word}`: {}",
            help.stdout
        );
    }
    let version = heddle(&["--version"]);
    assert_eq!(version.code(), Some(0));
    assert_eq!(version.stdout.lines().count(), 1, "{}", version.stdout);
    assert!(version.stdout.starts_with("heddle "), "{}", version.stdout);
}

#[test]
fn uncaught_error_report() {
    let file = program("uncaught", "print('before')\nfn f(x) { x + 1 }\nf('a')\n");
    let outcome = Program::heddle().arg(&file).run();
    expect(&outcome, 1, "before\n");
    let mut lines = outcome.stderr.lines();
    let first = lines.next().unwrap_or_default();
    assert!(
        first.starts_with("error: uncaught TypeError: "),
        "{}",
        outcome.stderr
    );
    let place = lines.next().unwrap_or_default();
    assert!(
        place.starts_with("  --> ") && place.contains("uncaught.hd:2:"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn compile_error_report() {
    let file = program("compile_error", "print('before')\nlet a = nope\n");
    for command in ["run", "check"] {
        let outcome = Program::heddle().arg(command).arg(&file).run();
        expect(&outcome, 1, "");
        let first = outcome.stderr.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("error[E") && first.contains("nope"),
            "{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("compile_error.hd:2:9"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn check_runs_nothing() {
    let file = program("check_only", "print('side effect')\nthrow Error('x')\n");
    expect(&Program::heddle().arg("check").arg(&file).run(), 0, "");
}

#[test]
fn test_command() {
    let good = program(
        "tests_good",
        "print('module runs')\nfn f() { 1 }\ntest \"f is one\" { assert f() == 1 }\n",
    );
    let outcome = Program::heddle().arg("test").arg(&good).run();
    assert_eq!(
        outcome.code(),
        Some(0),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    assert!(outcome.stdout.contains("f is one"), "{}", outcome.stdout);
    let bad = program(
        "tests_bad",
        "test \"good\" { assert true }\ntest \"bad\" { assert 1 == 2 }\n",
    );
    let outcome = Program::heddle().arg("test").arg(&bad).run();
    assert_eq!(
        outcome.code(),
        Some(1),
        "{}{}",
        outcome.stdout,
        outcome.stderr
    );
    let both = Program::heddle().arg("test").arg(&good).arg(&bad).run();
    assert_eq!(both.code(), Some(1), "{}{}", both.stdout, both.stderr);
    assert!(
        both.stdout.contains("f is one") && both.stdout.contains("bad"),
        "{}",
        both.stdout
    );
}

#[test]
fn a_test_that_is_cut_off_has_failed() {
    let file = program(
        "tests_cut_off",
        "test \"killed\" { Thread.current().kill(); sleep(1ms); assert false }\n\
         test \"cancelled\" { Task.current().cancel(); sleep(1ms); assert false }\n\
         test \"behind\" { assert true }\n",
    );
    let outcome = Program::heddle().arg("test").arg(&file).run();
    assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
    assert!(
        outcome.stdout.contains("1 passed, 2 failed"),
        "{}",
        outcome.stdout
    );
    let told = "the test was cancelled or killed before its end";
    assert_eq!(
        outcome.stdout.matches(told).count(),
        2,
        "{}",
        outcome.stdout
    );
}

/// A folder with a file of tests that pass and fail, and one that cannot be loaded.
fn folder_of_tests(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}"));
    fs::create_dir_all(&folder).expect("the folder can be made");
    let tests = "test \"one\" { print(\"unseen\") }\ntest \"two <&>\" { print(\"seen\"); assert 1 == 2 }\n\
                 test \"long\" { assert (0..100).to_list() == (1..101).to_list() }\n";
    fs::write(folder.join("a.hd"), tests).expect("a program can be written");
    fs::write(folder.join("b.hd"), "test \"x\" { nope }\n").expect("a program can be written");
    folder
}

#[test]
fn output_of_tests_is_shown_if_they_fail() {
    let folder = folder_of_tests("captured");
    let outcome = Program::heddle().arg("test").arg(&folder).run();
    assert_eq!(outcome.code(), Some(1));
    for part in [
        "one ... ok",
        "two <&> ... FAILED",
        "    > seen\n",
        "left:  [0, 1, 2",
        "1 passed, 2 failed, 1 file could not be loaded\n",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("unseen"), "{}", outcome.stdout);
    assert!(outcome.stderr.contains("E0201"), "{}", outcome.stderr);
}

#[test]
fn examples_in_comments_are_tests() {
    let file = program(
        "documented",
        "## The area.\n## ```\n## assert area(3) == 9\n## ```\n## ```\n## assert area(2) == 5\n## ```\npub fn area(w, h = w) { w * h }\n\
         ## ```\n## let s = Square(\n## ```\nstruct Square { side }\n",
    );
    let outcome = Program::heddle().arg("test").arg(&file).run();
    assert_eq!(outcome.code(), Some(1));
    for part in [
        "example of area, line 3 ... ok\n",
        "example of area, line 6 ... FAILED\n",
        "assert area(2) == 5",
        "example of Square, line 10 ... FAILED\n",
        "1 passed, 2 failed\n",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    expect(
        &heddle(&["run", file.to_str().expect("a plain path")]),
        0,
        "",
    );
}

#[test]
fn tests_may_be_told_to_programs() {
    let folder = folder_of_tests("formats");
    let run = |format: &str| {
        let program = Program::heddle().arg("test").arg(format);
        let outcome = program.arg(&folder).run();
        assert_eq!(outcome.code(), Some(1));
        outcome.stdout
    };
    let tap = run("--format=tap");
    assert!(tap.starts_with("TAP version 14\nok 1 - "), "{tap}");
    assert!(
        tap.contains("\nnot ok 2 - ") && tap.ends_with("1..4\n"),
        "{tap}"
    );
    let junit = run("--format=junit");
    for part in [
        "<testsuites tests=\"4\" failures=\"2\" errors=\"1\"",
        "name=\"two &lt;&amp;&gt;\"",
        "<failure type=\"AssertError\"",
        "<system-out>seen&#10;</system-out>",
    ] {
        assert!(junit.contains(part), "{part}: {junit}");
    }
    let json = run("--format=json");
    assert_eq!(json.lines().count(), 5, "{json}");
    for part in [
        "\"name\": \"one\", \"passed\": true",
        "\"type\": \"broken\"",
        "\"passed\": 1, \"failed\": 2, \"broken\": 1",
    ] {
        assert!(json.contains(part), "{part}: {json}");
    }
}

#[test]
fn tests_in_another_order_and_until_one_fails() {
    let text: String = (0..20)
        .map(|n| format!("test \"n{n}\" {{ assert {n} != 7 }}\n"))
        .collect();
    let file = program("ordered", &text);
    let order = |arguments: &[&str]| {
        let program = Program::heddle().arg("test").arg(&file);
        let outcome = program.args(arguments.iter().copied()).run();
        let names = outcome.stdout.lines().filter(|line| line.contains(" ... "));
        names
            .map(|line| line.trim().split(' ').next().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order(&[]).len(), 20);
    assert_eq!(order(&["--fail-fast"]).last().unwrap(), "n7");
    let shuffled = order(&["--shuffle=1"]);
    assert_eq!(shuffled, order(&["--shuffle=1"]));
    assert_ne!(shuffled, order(&["--shuffle=2"]));
    assert_ne!(shuffled, order(&[]));
}

#[test]
fn disassembly() {
    let file = program("disassembled", "fn add(a, b) { a + b }\nprint(add(1, 2))\n");
    let outcome = Program::heddle().arg("dis").arg(&file).run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("add"), "{}", outcome.stdout);
    assert!(outcome.stdout.lines().count() > 4, "{}", outcome.stdout);
}

#[test]
fn exit_code_of_the_program() {
    expect(
        &heddle(&["-e", "import os; print('out'); os.exit(7)"]),
        7,
        "out\n",
    );
    expect(&heddle(&["-e", "import os; os.exit(0); throw 1"]), 0, "");
}

#[test]
fn output_is_flushed_at_an_error() {
    let text = "for i in 0..5000 { print(i) }\nthrow Error('end')\n";
    let outcome = heddle(&["-e", text]);
    let expected: String = (0..5000).map(|i| format!("{i}\n")).collect();
    expect(&outcome, 1, &expected);
    assert!(
        outcome.stderr.contains("uncaught Error: end"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn output_is_flushed_at_exit() {
    let outcome = heddle(&["-e", "import os\nfor i in 0..5000 { print(i) }\nos.exit(3)"]);
    let expected: String = (0..5000).map(|i| format!("{i}\n")).collect();
    expect(&outcome, 3, &expected);
}

#[test]
fn standard_error_is_apart() {
    let outcome = heddle(&["-e", "print('out'); eprint('err')"]);
    expect(&outcome, 0, "out\n");
    assert_eq!(outcome.stderr, "err\n");
}

#[test]
fn broken_pipe_ends_silently() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_heddle"))
        .args(["-e", "var i = 0\nwhile i < 100000000 { print(i); i += 1 }"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("heddle can be started");
    // Read a little, then close the pipe, as `head` does.
    let mut stdout = child.stdout.take().expect("stdout is a pipe");
    let mut start = [0; 4];
    stdout.read_exact(&mut start).expect("the program prints");
    assert_eq!(&start, b"0\n1\n");
    drop(stdout);
    let outcome = finish(
        child,
        "heddle … | head".to_owned(),
        Duration::from_secs(120),
    );
    assert!(outcome.limit.is_none(), "still running with nobody reading");
    assert_eq!(outcome.stderr, "", "nothing is said about the broken pipe");
}

#[cfg(unix)]
#[test]
fn interrupt_ends_a_busy_loop_with_130() {
    for code in [
        "import io\nprint('ready')\nio.flush()\nloop { }",
        "import io\nfn f() { var n = 0; while true { n += 1 } }\nprint('ready')\nio.flush()\nf()",
    ] {
        let mut child = Program::heddle().arg("-e").arg(code).start();
        drop(child.stdin.take());
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let id = child.id().to_string();
        let status = Command::new("kill").args(["-INT", &id]).status();
        assert!(status.is_ok_and(|status| status.success()));
        let outcome = finish(
            child,
            format!("heddle -e '{code}'"),
            Duration::from_secs(120),
        );
        expect(&outcome, 130, "");
    }
}

#[test]
fn memory_limit() {
    let text = "let xs = []\nloop { xs.push('x' * 1000) }\n";
    let file = program("memory", text);
    let outcome = Program::heddle()
        .args(["run", "--memory=64mb"])
        .arg(&file)
        .run();
    expect(&outcome, 1, "");
    assert!(
        outcome.stderr.starts_with("error: uncaught LimitError"),
        "{}",
        outcome.stderr
    );
    let enough = heddle(&[
        "--memory=64mb",
        "-e",
        "let xs = []\nfor i in 0..1000 { xs.push('x' * 1000) }\nprint(xs.len())",
    ]);
    expect(&enough, 0, "1000\n");
}

#[test]
fn depth_limit() {
    let text = "fn f(n) { 1 + f(n + 1) }\nprint(try { f(0) } catch e { e.kind })";
    expect(&heddle(&["--depth=100", "-e", text]), 0, "StackOverflow\n");
    let text = "fn f(n) { if n == 0 { 0 } else { 1 + f(n - 1) } }\nprint(f(90), try { f(200) } catch e { e.kind })";
    expect(
        &heddle(&["--depth=100", "-e", text]),
        0,
        "90 StackOverflow\n",
    );
}

#[test]
fn shebang_line() {
    let file = program("shebang", "#!/usr/bin/env heddle\nprint('ran')\n");
    expect(&Program::heddle().arg(&file).run(), 0, "ran\n");
}

#[test]
fn standard_input_belongs_to_the_program() {
    let outcome = Program::heddle()
        .args(["-e", "import io\nprint(io.read_line(), io.read_all())"])
        .stdin(b"first\nrest")
        .run();
    expect(&outcome, 0, "first rest\n");
}

#[test]
fn no_colours_in_a_pipe() {
    let outcome = heddle(&["-e", "let a = nope"]);
    assert!(!outcome.stderr.contains('\u{1b}'), "{}", outcome.stderr);
}

#[test]
fn empty_programs() {
    expect(&heddle(&["-e", ""]), 0, "");
    expect(&Program::heddle().arg("-").run(), 0, "");
}

#[test]
fn output_without_a_reader_of_input() {
    // A program that reads nothing ends although its input is still open.
    let mut child = Program::heddle().args(["-e", "print(1)"]).start();
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    let _ = stdin.write_all(b"not read\n");
    let outcome = finish(
        child,
        "heddle -e 'print(1)'".to_owned(),
        Duration::from_secs(120),
    );
    drop(stdin);
    expect(&outcome, 0, "1\n");
}

#[cfg(unix)]
#[test]
fn interrupt_ends_a_wait_for_input_at_once() {
    for program in [
        "import io\nprint('ready')\nio.flush()\ndefer print('deferred')\nio.read_line()",
        "import io\nprint('ready')\nio.flush()\ndefer print('deferred')\nio.read_all()",
    ] {
        let mut child = Program::heddle().arg("-e").arg(program).start();
        // Standard input stays open and silent: only the signal can end the program. (If it does not, the end of input does, with code 0.)
        let input = child.stdin.take();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(100));
            drop(input);
        });
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let status = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
        line.clear();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "deferred\n");
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

/// Ctrl-C is meant for the program, not for the thread or task that happens to run: its first task ends by `Cancelled`, and tidies up.
#[cfg(unix)]
#[test]
fn interrupt_runs_defers_while_others_are_busy() {
    for (others, wait) in [
        ("thread { loop { } }", "loop { sleep(1s) }"),
        ("for _ in 0..4 { thread { loop { } } }", "Channel().recv()"),
        ("thread { loop { } }", "loop { }"),
        ("let t = thread { loop { } }", "scope { spawn t.join() }"),
        ("spawn { sleep(1ms); loop { } }", "sleep(1000s)"),
        // The scope waits for what has no blocking point, which is killed.
        ("fn f() { loop { } }", "scope { thread f() }"),
        ("fn f() { loop { } }", "scope { thread f(); loop { } }"),
        // These never use up a slice, as each goes on with what the other one left of it.
        (
            "let (a, b) = (Channel(), Channel())\nthread { for x in a { b.send(x) } }",
            "loop { a.send(1); b.recv() }",
        ),
        ("fn f() { 1 }", "loop { (thread f()).join() }"),
        ("(thread sleep(1h)).detach()", "sleep(1000s)"),
    ] {
        let program = format!(
            "import io\n{others}\ndefer print('deferred')\nprint('ready')\nio.flush()\n{wait}"
        );
        for carriers in ["--carriers=1", "--carriers=3"] {
            let mut child = Program::heddle().args([carriers, "-e", &program]).start();
            let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n", "{program}");
            let id = child.id().to_string();
            let status = Command::new("kill").args(["-INT", &id]).status();
            assert!(status.is_ok_and(|status| status.success()));
            let outcome = finish(child, program.clone(), Duration::from_secs(120));
            expect(&outcome, 130, "");
            let mut rest = String::new();
            output.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "deferred\n", "{program}");
        }
    }
}

/// What was printed into a pipe is seen when the program waits.
#[cfg(unix)]
#[test]
fn output_is_flushed_when_the_program_waits() {
    for program in [
        "print('ready')\nsleep(1000s)",
        "import net\nlet l = net.listen('127.0.0.1:0')\nprint('ready')\nl.accept()",
        "let c = Channel()\nthread { print('ready'); c.recv() }\nsleep(1000s)",
        "import http\nlet s = http.listen('127.0.0.1:0')\nprint('ready')\ns.serve(|req| '')",
    ] {
        let mut child = Program::heddle().args(["-e", program]).start();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{program}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[cfg(unix)]
#[test]
fn standard_input_is_waited_for_while_others_run() {
    // The other task runs when the first one waits: then there is something to read.
    let code = "import io\nspawn { print('waits'); io.flush() }\nprint(io.read_line())";
    let mut child = Program::heddle().arg("-e").arg(code).start();
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the program prints");
    assert_eq!(line, "waits\n");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(b"half").expect("the program reads");
    stdin.write_all(b" of it\n").expect("the program reads");
    let mut rest = String::new();
    stdout
        .read_to_string(&mut rest)
        .expect("the program prints");
    assert_eq!(rest, "half of it\n");
    expect(
        &finish(child, "heddle".into(), Duration::from_secs(120)),
        0,
        "",
    );
}

#[cfg(unix)]
#[test]
fn interrupt_reaches_who_waits_for_standard_input() {
    for others in [
        "",
        "let t = spawn { loop { sleep(1ms) } }\n",
        "let t = thread { loop { sleep(1ms) } }\n",
    ] {
        let code = format!(
            "import io\n{others}defer print('tidied up')\nprint('ready')\nio.flush()\nio.read_line()\nprint('not reached')"
        );
        let mut child = Program::heddle().arg("-e").arg(&code).start();
        // Open as long as the program runs.
        let stdin = child.stdin.take();
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the program prints");
        let id = child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.is_ok(), "kill can be started");
        let outcome = finish(
            child,
            format!("heddle -e '{code}'"),
            Duration::from_secs(120),
        );
        expect(&outcome, 130, "");
        drop(stdin);
        let mut rest = String::new();
        stdout
            .read_to_string(&mut rest)
            .expect("the program prints");
        assert!(!rest.contains("not reached"), "{rest}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn standard_input_stays_in_its_mode() {
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().expect("a pipe can be made");
    let flags = || {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", reader.as_raw_fd()));
        let info = info.expect("the descriptor is known");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        flags.expect("it has flags").trim().to_owned()
    };
    let before = flags();
    let mut child = Command::new(support::binary())
        .args(["-e", "import io\nprint('ready')\nio.flush()\nprint(io.read_line())\nio.flush()\nprint(io.read_line())"])
        .stdin(reader.try_clone().expect("a descriptor can be cloned"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("heddle can be started");
    let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    for (send, answer) in [("", "ready\n"), ("one\n", "one\n"), ("two\n", "two\n")] {
        writer
            .write_all(send.as_bytes())
            .expect("the program reads");
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the program prints");
        assert_eq!(line, answer);
        assert_eq!(flags(), before);
    }
    expect(
        &finish(child, "heddle".into(), Duration::from_secs(120)),
        0,
        "",
    );
    assert_eq!(flags(), before);
}

#[cfg(target_os = "linux")]
#[test]
fn a_native_that_holds_an_os_thread_is_told_of() {
    held_by_print("sleep(1ms)");
    // A carrier that never looks for something to run.
    held_by_print("yield");
}
/// Another task does `other`, again and again.
#[cfg(target_os = "linux")]
fn held_by_print(other: &str) {
    // It prints until it was noticed; whoever reads is slow.
    let code = "import blocking, io\nlet t = spawn { loop { OTHER } }\nfn noisy() { print('x'.repeat(200_000)) }\n\
                while blocking.held().is_empty() { noisy(); yield }\nt.cancel()\nlet h = blocking.held()[0]\n\
                io.write_error('{h.function} {h.count > 0} {h.site}\\n')";
    let file = program(
        "held",
        &code
            .replace(
                "'{h.function} {h.count > 0} {h.site}\\n'",
                "\"{h.function} {h.count > 0}\\n\"",
            )
            .replace("OTHER", other),
    );
    let mut child = Program::heddle()
        .args(["--blocking-warn=5ms", file.to_str().expect("a plain path")])
        .start();
    let mut stdout = child.stdout.take().expect("stdout is a pipe");
    let slow = std::thread::spawn(move || {
        let mut bytes = vec![0; 65536];
        while stdout.read(&mut bytes).is_ok_and(|n| n > 0) {
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    let outcome = finish(child, "heddle".into(), Duration::from_secs(120));
    slow.join().expect("the reader ends");
    expect(&outcome, 0, "");
    for part in [
        "warning: print held an OS thread for ",
        "    at noisy (",
        "held.hd:3:",
        "print true",
    ] {
        assert!(
            outcome.stderr.contains(part),
            "{part} in\n{}",
            outcome.stderr
        );
    }
}

#[test]
fn fmt_writes_the_style() {
    let file = program("untidy", "if true{print( 1,2 )}\nelse{ }\n");
    let path = file.to_str().expect("a plain path");
    let outcome = heddle(&["fmt", "--check", path]);
    expect(&outcome, 1, "");
    assert!(
        outcome.stderr.contains("untidy.hd is not in the style"),
        "{}",
        outcome.stderr
    );
    expect(&heddle(&["fmt", path]), 0, "");
    let text = fs::read_to_string(&file).expect("it is still there");
    assert_eq!(text, "if true { print(1, 2) } else { }\n");
    expect(&heddle(&["fmt", "--check", path]), 0, "");
    // From standard input, for editors.
    let outcome = Program::heddle()
        .args(["fmt", "-"])
        .stdin(b"let x=[1,2 ,] # two")
        .run();
    expect(&outcome, 0, "let x = [1, 2] # two\n");
    let outcome = Program::heddle()
        .args(["fmt", "--check", "-"])
        .stdin(b"let x=1\n")
        .run();
    expect(&outcome, 1, "");
}

#[test]
fn fmt_leaves_what_does_not_parse() {
    let file = program("broken_untidy", "let  x = [1\nprint(x)\n");
    let path = file.to_str().expect("a plain path");
    let outcome = heddle(&["fmt", path]);
    expect(&outcome, 1, "");
    for part in ["E0010", "broken_untidy.hd:1:10"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    let text = fs::read_to_string(&file).expect("it is still there");
    assert_eq!(text, "let  x = [1\nprint(x)\n");
    let outcome = heddle(&["fmt", "nowhere.hd"]);
    expect(&outcome, 1, "");
    assert!(outcome.stderr.contains("cannot read nowhere.hd"));
}

#[test]
fn explain_tells_what_codes_mean() {
    let outcome = heddle(&["explain", "e0102"]);
    outcome.check_exit(0, &mut String::new());
    for part in [
        "E0102: comparisons or ranges in a chain",
        "Wrong:\n\n    let n = 5\n    print(0 < n < 10)\n",
        "Mended:\n\n    let n = 5\n    print(0 < n and n < 10)\n",
    ] {
        assert!(outcome.stdout.contains(part), "{}", outcome.stdout);
    }
    let outcome = heddle(&["explain"]);
    assert!(
        outcome
            .stdout
            .contains("\nW0201  a variable that is never used\n")
    );
    let outcome = heddle(&["explain", "E9999"]);
    expect(&outcome, 1, "");
    assert!(outcome.stderr.contains("there is no code E9999"));
}

#[test]
fn findings_may_be_told_to_programs() {
    let file = program(
        "found",
        "let x = 1\nlet x = totel\nfn f() { 'é'; let y = 2; 1 }\n",
    );
    let path = file.to_str().expect("a plain path");
    let outcome = heddle(&["check", "--error-format=short", path]);
    expect(&outcome, 1, "");
    assert!(
        outcome
            .stderr
            .contains("found.hd:2:9: error[E0201]: `totel` is not defined\n"),
        "{}",
        outcome.stderr
    );
    let outcome = heddle(&["check", "--error-format=json", path]);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(1), ""));
    for part in [
        "\"line\": 2, \"column\": 5, \"end_line\": 2, \"end_column\": 6, \"severity\": \"error\", \"code\": \"E0202\"",
        "\"related\": [{\"line\": 1, \"column\": 5,",
        "\"severity\": \"warning\", \"code\": \"W0201\"",
        // A letter of two bytes stands in front.
        "\"fix\": {\"title\": \"name it `_y`\", \"edits\": [{\"start\": 43, \"end\": 44, \"line\": 3, \"column\": 19, \"end_line\": 3, \"end_column\": 20, \"text\": \"_y\"}]}",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    for line in outcome.stdout.lines() {
        assert!(
            line.starts_with("{\"file\": ") && line.ends_with('}'),
            "{line}"
        );
    }
}

#[test]
fn log_is_set_by_the_environment() {
    let run = |level: &str, format: &str| {
        let code =
            "import log; log.info('one'); log.new('db').debug('two', {n: 1}); log.warn('three')";
        let output = Command::new(support::binary())
            .args(["-e", code])
            .env("HEDDLE_LOG", level)
            .env("HEDDLE_LOG_FORMAT", format)
            .output()
            .expect("heddle can be started");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).expect("it is text")
    };
    let text = run("warn,db=debug", "text");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.get(25..)).collect();
    assert_eq!(lines, ["DEBUG db: two n=1", "WARN  three"], "{text}");
    let json = run("error,db=trace", "json");
    assert!(
        json.lines().count() == 1 && json.contains(r#""logger":"db","message":"two","n":1"#),
        "{json}"
    );
    assert!(run("loud", "text").contains("HEDDLE_LOG must be one of trace, debug"));
}
