//! The interactive session: at a pipe, and at a terminal, which is a pseudo-terminal here.
#![cfg(unix)]

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

mod support;
use support::{Outcome, Program};

fn piped(text: &str) -> Outcome {
    Program::heddle().arg("repl").stdin(text.as_bytes()).run()
}

#[test]
fn values_are_shown_as_repr_and_nil_is_not() {
    let outcome = piped("1 + 2\n'a'\nnil\nlet x = 5\n[x, nil]\nprint('out')\n");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.code()),
        ("3\n\"a\"\n[5, nil]\nout\n", Some(0))
    );
}

#[test]
fn inputs_may_have_several_lines() {
    let outcome = piped("fn f(x) {\n    x * 2\n}\nf(\n  4\n)\n");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("8\n", "")
    );
}

#[test]
fn a_local_var_is_there_in_later_inputs() {
    let outcome = piped("local var n = 5\nn\nn += 1\nfn f() { n += 10; n }\nf()\nn\n");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.stderr.as_str()),
        ("5\n16\n16\n", "")
    );
}

#[test]
fn errors_do_not_end_the_session() {
    let outcome = piped("let a = 1\nthrow KeyError('gone')\nnope\n1 +* 2\na\n");
    assert_eq!((outcome.stdout.as_str(), outcome.code()), ("1\n", Some(0)));
    for part in ["uncaught KeyError: gone", "`nope`", "<repl>:1:"] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
}

#[test]
fn commands() {
    let outcome = piped(":type 1.5\n:nonsense\n:help\n:quit\nprint('not reached')\n");
    assert!(outcome.stdout.starts_with("float\n"), "{}", outcome.stdout);
    assert!(
        outcome.stdout.contains(":type EXPR") && !outcome.stdout.contains("not reached"),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome.stderr.contains("no command :nonsense"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_last_value_and_the_last_error_have_names() {
    let outcome = piped("6 * 7\n_ + 1\nlet x = 5\n_\n[][1]\n_err.kind\n_\n");
    assert_eq!(
        outcome.stdout,
        "42\n43\n43\n\"IndexError\"\n\"IndexError\"\n"
    );
}

/// The session that README.md shows.
#[test]
fn the_session_of_the_readme() {
    let readme = include_str!("../README.md");
    let session = readme
        .split("```text\n> let")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("there is a session");
    let session = format!("> let{session}");
    let (inputs, shown): (Vec<&str>, Vec<&str>) =
        session.lines().partition(|line| line.starts_with("> "));
    let typed: String = inputs
        .iter()
        .map(|line| format!("{}\n", &line[2..]))
        .collect();
    let outcome = piped(&typed);
    let written = format!("{}{}", outcome.stdout, outcome.stderr);
    // Whether the thread sleeps yet is not for sure.
    let written = written.replace("\"runnable\"", "\"waiting for sleep\"");
    let written = written.replace("\"running\"", "\"waiting for sleep\"");
    assert_eq!(written.trim_end().lines().collect::<Vec<_>>(), shown);
}

#[test]
fn sessions_are_saved_loaded_and_begun_anew() {
    let file = format!("{}/saved.hd", env!("CARGO_TARGET_TMPDIR"));
    let outcome = piped(&format!(
        "fn twice(x) {{ 2 * x }}\nnope\nvar n = 3\n:vars\n:save {file}\n:reset\n:vars\n:load {file}\ntwice(n)\nn = 9\n:reload\nn\n:dis twice\n:time 1 + 1\n"
    ));
    for part in [
        "  twice  function  <fn twice>\n  n      int       3\n",
        "2 inputs are in ",
        "nothing is declared\n6\n3\n",
        "#1 twice(x)",
        "took ",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let outcome = piped(":load nowhere.hd\n:reload\n:dis nothing\n:save\n:dump\n");
    for part in [
        "cannot read nowhere.hd",
        "no input has declared \"nothing\"",
        "say where",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert!(outcome.stdout.contains("thread 1 'main'"));
}

#[test]
fn long_values_are_cut() {
    let outcome = piped("'x'.repeat(100_000)\n_.len()\n");
    assert!(outcome.stdout.len() < 11_000, "{}", outcome.stdout.len());
    assert!(
        outcome
            .stdout
            .contains("… (100002 characters; `_` has it all)\n100000\n"),
        "{}",
        &outcome.stdout[outcome.stdout.len() - 100..]
    );
}

#[test]
fn exit_ends_the_session_with_its_code() {
    let outcome = piped("import os\nos.exit(7)\nprint('not reached')\n");
    assert_eq!((outcome.stdout.as_str(), outcome.code()), ("", Some(7)));
}

#[test]
fn what_is_incomplete_at_the_end_is_an_error() {
    let outcome = piped("1\nfn f() {\n");
    assert_eq!(outcome.stdout, "1\n");
    assert!(outcome.stderr.contains("error[E"), "{}", outcome.stderr);
}

/// The prompt, with the cursor behind it. The editor drops keys that come before.
const PROMPT: &str = "> \r\u{1b}[2C";

/// A session at a pseudo-terminal.
struct Terminal {
    child: Child,
    keys: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    fn open(home: &str) -> Terminal {
        let pair = nix::pty::openpty(None, None).expect("there are pseudo-terminals");
        let end = || Stdio::from(pair.slave.try_clone().expect("a handle can be copied"));
        let home = format!("{}/{home}", env!("CARGO_TARGET_TMPDIR"));
        let child = Command::new(env!("CARGO_BIN_EXE_heddle"))
            .env("HOME", home)
            .env_remove("XDG_STATE_HOME")
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("heddle can be started");
        let keys = File::from(pair.master);
        let mut output = keys.try_clone().expect("a handle can be copied");
        let (sender, screen) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal's end is an error on Linux.
            while let Ok(count) = output.read(&mut bytes) {
                if count == 0 || sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let mut terminal = Terminal {
            child,
            keys,
            screen,
            seen: String::new(),
        };
        terminal.wait_for(PROMPT);
        terminal
    }
    fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .expect("keys can be pressed");
    }
    /// Waits until this has come on the screen since the last time.
    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        self.read_to(text);
    }
    /// What has come on the screen since the last time, up to this text.
    #[track_caller]
    fn read_to(&mut self, text: &str) -> String {
        let end = Instant::now() + Duration::from_secs(120);
        while !self.seen.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => {
                    let from = self.seen.len().saturating_sub(2000);
                    let seen = String::from_utf8_lossy(&self.seen.as_bytes()[from..]);
                    panic!("{text:?} does not come, but {seen:?}");
                }
            }
        }
        let at = self.seen.find(text).expect("it was seen");
        self.seen.drain(..at + text.len()).collect()
    }
    fn interrupt(&self) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &id]).status();
        assert!(killed.is_ok_and(|s| s.success()));
    }
    /// The number that `:tasks` shows of the task with this name, and what it shows behind that.
    #[track_caller]
    fn id_of(&mut self, name: &str) -> (String, String) {
        self.press(":tasks\r");
        self.wait_for("thread ");
        let before = self.read_to(name);
        let mut ids = before
            .split_whitespace()
            .filter(|word| word.contains('.') && word.chars().all(|c| ".0123456789".contains(c)));
        let id = ids.next_back().expect("it has a number").to_string();
        (id, self.read_to(PROMPT))
    }
    fn end(mut self) -> Option<i32> {
        self.wait_for(PROMPT);
        self.press("\x04");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Terminal {
    /// After a test that failed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_session_at_a_terminal() {
    let mut terminal = Terminal::open("repl_home");
    terminal.press("40 + 2\r");
    terminal.wait_for("\n42\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("fn f() {\r    'several' + ' lines'\r}\r");
    terminal.wait_for("}\u{1b}[?2004l\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("f()\r");
    terminal.wait_for("\"several lines\"\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("print('begun'); var n = 0; loop { n += 1 }\r");
    terminal.wait_for("\nbegun\r\n");
    terminal.interrupt();
    terminal.wait_for("interrupted");
    terminal.wait_for(PROMPT);
    terminal.press("nonsense of a line\x03");
    terminal.wait_for(PROMPT);
    terminal.press("n > 0\r");
    terminal.wait_for("\ntrue\r\n");
    assert_eq!(terminal.end(), Some(0));

    let mut terminal = Terminal::open("repl_home");
    terminal.press("\x1b[A\r");
    terminal.wait_for("n > 0");
    terminal.wait_for("`n` is not defined");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_piped_session_waits_for_the_background() {
    let outcome = piped(
        "let c = Channel()\nlet t = spawn { c.recv(); sleep(20ms); print('late') }\nprint('first')\nc.send(1)\n:quit\n",
    );
    assert_eq!(
        (outcome.stdout.as_str(), outcome.code()),
        ("first\nlate\n", Some(0))
    );
    let outcome = piped("let c = Channel()\nlet t = thread { c.recv() }\nc.send(1)\nt.join()\n");
    assert_eq!((outcome.stdout.as_str(), outcome.code()), ("1\n", Some(0)));
}

#[test]
fn what_can_never_end_is_a_deadlock_at_a_pipe() {
    let outcome = piped("let c = Channel()\nc.recv()\nlet t = spawn { c.recv() }\n'on'\n");
    assert_eq!(
        (outcome.stdout.as_str(), outcome.code()),
        ("\"on\"\n", Some(1))
    );
    assert_eq!(
        outcome.stderr.matches("uncaught Deadlock").count(),
        2,
        "{}",
        outcome.stderr
    );
}

#[test]
fn the_background_goes_on_above_the_prompt() {
    let mut terminal = Terminal::open("repl_above");
    terminal.press("var n = 0\r");
    terminal.wait_for(PROMPT);
    terminal.press("let t = spawn { loop { sleep(5ms); n += 1; print(n, 'ticks') } }\r");
    terminal.wait_for("3 ticks\r\n> ");
    // A line that is being typed stays below what comes.
    terminal.press("40 +");
    terminal.wait_for("\r\n> 40 +");
    terminal.wait_for("\r\n> 40 +");
    terminal.press(" 2\r");
    terminal.wait_for("\n42\r\n");
    let counted = terminal.read_to(PROMPT);
    // So do those of other threads.
    terminal.press("let u = thread { print('from afar') }\r");
    terminal.wait_for("from afar\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("n > 3\r");
    terminal.wait_for("\ntrue\r\n");
    assert!(!counted.contains("error"), "{counted}");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn names_are_completed() {
    let mut terminal = Terminal::open("repl_completion");
    terminal.press("let warp_and_weft = {needle: 1}; import text\r");
    terminal.wait_for(PROMPT);
    terminal.press("warp_a\t.nee\t + 1\r");
    terminal.wait_for("\n2\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("'abc'\r");
    terminal.wait_for(PROMPT);
    terminal.press("_.starts_w\t('a')\r");
    terminal.wait_for("starts_with");
    terminal.wait_for("\ntrue\r\n");
    terminal.wait_for(PROMPT);
    terminal.press(":rese\t\r");
    terminal.wait_for(PROMPT);
    terminal.press(":var\t\r");
    terminal.wait_for("nothing is declared\r\n");
    // Completion asks the new session.
    terminal.wait_for(PROMPT);
    terminal.press("let shuttle = 8\r");
    terminal.wait_for(PROMPT);
    terminal.press("shutt\t\r");
    terminal.wait_for("\n8\r\n");
    terminal.wait_for(PROMPT);
    terminal.press(":history\r");
    terminal.wait_for("  let shuttle = 8\r\n");
    assert_eq!(terminal.end(), Some(0));
}

/// A task that lets nobody else of its thread run keeps completion from answering, and nothing else.
#[test]
fn completion_does_not_wait_for_a_busy_task() {
    let mut terminal = Terminal::open("repl_busy_completion");
    terminal.press("let hog = spawn(name: 'hog') { loop { } }\r");
    terminal.wait_for(PROMPT);
    terminal.press("pri\t'typed'\x03");
    terminal.wait_for("'typed'");
    terminal.wait_for(PROMPT);
    let (hog, _) = terminal.id_of("hog");
    terminal.press(&format!(":kill {hog}\r"));
    terminal.wait_for(PROMPT);
    terminal.press("'again'\r");
    terminal.wait_for("\n\"again\"\r\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn tasks_are_listed_and_killed() {
    let mut terminal = Terminal::open("repl_tasks");
    terminal.press(":tasks\r");
    terminal.wait_for("nothing is in the background\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("let t = spawn(name: 'dozer') { defer print('swept'); sleep(1h) }\r");
    terminal.wait_for(PROMPT);
    terminal.press("let u = thread(name: 'worker') { defer print('gone'); loop { } }\r");
    terminal.wait_for(PROMPT);
    let (dozer, rest) = terminal.id_of("dozer");
    assert!(dozer.starts_with("1."), "{dozer}");
    for part in ["waits for sleep", "<repl>:1:", "'worker'", "runnable"] {
        assert!(rest.contains(part), "{part}: {rest}");
    }
    terminal.press(&format!(":kill {dozer}\r"));
    terminal.wait_for("swept\r\n");
    terminal.wait_for(PROMPT);
    terminal.press(":kill 1.9999\r");
    terminal.wait_for("there is no task 1.9999");
    terminal.wait_for(PROMPT);
    terminal.press("'u:{u.id}'\r".replace('\'', "\"").as_str());
    terminal.wait_for("\"u:");
    terminal.wait_for("\"u:");
    let thread = terminal.read_to("\"").replace('"', "");
    terminal.wait_for(PROMPT);
    terminal.press(&format!(":kill {thread}\r"));
    terminal.wait_for("gone\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("try { u.join() } catch e { nil }; [t.state, u.state]\r");
    terminal.wait_for("[\"killed\", \"killed\"]\r\n");
    terminal.wait_for(PROMPT);
    terminal.press(":tasks\r");
    terminal.wait_for("nothing is in the background\r\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn an_interrupt_is_for_the_input() {
    let mut terminal = Terminal::open("repl_interrupt");
    terminal.press("var n = 0; let c = Channel()\r");
    terminal.wait_for(PROMPT);
    terminal.press("let t = spawn { loop { sleep(1ms); n += 1 } }\r");
    terminal.wait_for(PROMPT);
    terminal.press("let u = thread { loop { } }\r");
    terminal.wait_for(PROMPT);
    for input in ["loop { sleep(1ms) }", "c.recv()", "loop { }", "t.join()"] {
        terminal.press(&format!("print('begun'); {input}\r"));
        terminal.wait_for("\nbegun\r\n");
        terminal.interrupt();
        terminal.wait_for("interrupted\r\n");
        terminal.wait_for(PROMPT);
        terminal.press(
            "let before = n; loop { sleep(1ms); if n > before { break } }; [t.done(), u.done()]\r",
        );
        terminal.wait_for("[false, false]\r\n");
        terminal.wait_for(PROMPT);
    }
    // A task that lets nobody else of its thread run does not stop the session.
    terminal.press("let hog = spawn(name: 'hog') { loop { } }\r");
    terminal.wait_for(PROMPT);
    terminal.press("'never'\r");
    terminal.wait_for("'never'");
    // While a line is read, the editor takes interrupts.
    terminal.wait_for("\x1b[?2004l");
    terminal.interrupt();
    terminal.wait_for("interrupted\r\n");
    terminal.wait_for(PROMPT);
    let (hog, _) = terminal.id_of("hog");
    terminal.press(&format!(":kill {hog}\r"));
    terminal.wait_for(PROMPT);
    terminal.press("'again'\r");
    terminal.wait_for("\n\"again\"\r\n");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn errors_of_the_background_are_reported_once() {
    let mut terminal = Terminal::open("repl_errors");
    terminal.press("let t = spawn { sleep(10ms); throw ValueError('lost') }\r");
    terminal.wait_for("uncaught ValueError: lost");
    terminal.wait_for(PROMPT);
    terminal.press("let u = thread { throw KeyError('far') }\r");
    let until = terminal.read_to("uncaught KeyError: far");
    assert!(!until.contains("lost"), "{until}");
    terminal.wait_for(PROMPT);
    terminal.press(
        "let v = spawn { throw ValueError('joined') }; try { v.join() } catch e { 'caught' }\r",
    );
    terminal.wait_for("\"caught\"\r\n");
    terminal.wait_for(PROMPT);
    terminal.press("let c = Channel(); let w = spawn { c.recv() }\r");
    terminal.wait_for(PROMPT);
    terminal.press("'last'\r");
    let rest = terminal.read_to("\n\"last\"\r\n");
    for part in ["far", "joined\n", "Deadlock"] {
        assert!(!rest.contains(part), "{part}: {rest}");
    }
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn the_end_of_a_session_ends_the_background() {
    let mut terminal = Terminal::open("repl_end");
    terminal.press("let t = thread { defer print('swept'); loop { } }\r");
    terminal.wait_for(PROMPT);
    terminal.press("let u = spawn { defer print('tidied'); sleep(1h) }\r");
    terminal.wait_for(PROMPT);
    terminal.press("\x04");
    let rest = terminal.read_to("2 tasks in the background are ended\r\n");
    let rest = rest + &terminal.read_to("swept");
    let all = rest + &std::mem::take(&mut terminal.seen);
    assert!(!all.contains("error"), "{all}");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(0));

    let mut terminal = Terminal::open("repl_end");
    terminal.press("import os\r");
    terminal.wait_for(PROMPT);
    terminal.press("let t = spawn { sleep(10ms); os.exit(5) }\r");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(5));
}
