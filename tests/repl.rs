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
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} does not come, but {:?}", self.seen),
            }
        }
    }
    fn end(mut self) -> Option<i32> {
        self.wait_for(PROMPT);
        self.press("\x04");
        self.child.wait().expect("it ends").code()
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
    let id = terminal.child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status();
    assert!(killed.is_ok_and(|s| s.success()));
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
