//! Running the `heddle` program as a child process, with a time limit, and judging how it ended. Shared by the tests
//! of scripts, of bad input and of the command line.
#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a program may take before it is ended: a hang is found by it, no speed is measured, and machines may be busy.
/// `HEDDLE_TIME_LIMIT` has more seconds for builds that are slow on purpose.
pub(crate) fn time_limit() -> Duration {
    let seconds = std::env::var("HEDDLE_TIME_LIMIT");
    Duration::from_secs(seconds.ok().and_then(|n| n.parse().ok()).unwrap_or(240))
}

/// The program under test: the one built with the tests, or what `HEDDLE_BIN` names (another build of it).
pub(crate) fn binary() -> OsString {
    std::env::var_os("HEDDLE_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_heddle").into())
}

/// A call of `heddle`, in the making.
pub(crate) struct Program {
    arguments: Vec<OsString>,
    folder: Option<PathBuf>,
    stdin: Vec<u8>,
    limit: Duration,
}

impl Program {
    pub(crate) fn heddle() -> Program {
        Program {
            arguments: Vec::new(),
            folder: None,
            stdin: Vec::new(),
            limit: time_limit(),
        }
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Program {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Program {
        self.arguments
            .extend(arguments.into_iter().map(OsString::from));
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Program {
        self.folder = Some(folder.to_owned());
        self
    }

    pub(crate) fn stdin(mut self, bytes: &[u8]) -> Program {
        self.stdin = bytes.to_vec();
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Program {
        self.limit = limit;
        self
    }

    /// The command line, for messages.
    fn shown(&self) -> String {
        let mut text = "heddle".to_owned();
        for argument in &self.arguments {
            let _ = write!(text, " {}", argument.to_string_lossy());
        }
        text
    }

    pub(crate) fn start(&self) -> Child {
        let mut command = Command::new(binary());
        command.args(&self.arguments).env("NO_COLOR", "1");
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("heddle can be started")
    }

    /// Runs the program to its end, or to the end of its time.
    pub(crate) fn run(self) -> Outcome {
        let command = self.shown();
        let mut child = self.start();
        let input = self.stdin;
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A program that ends without reading its input closes the pipe: that is no fault.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let outcome = finish(child, command, self.limit);
        let _ = writer.join();
        outcome
    }
}

/// Waits for a started program and gathers its output; ends it when its time is over.
pub(crate) fn finish(mut child: Child, command: String, limit: Duration) -> Outcome {
    let stdout = child.stdout.take().map(read_in_background);
    let stderr = child.stderr.take().map(read_in_background);
    let started = Instant::now();
    let mut pause = Duration::from_micros(500);
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if started.elapsed() > limit {
            timed_out = true;
            let _ = child.kill();
            break child.wait().expect("a killed child ends");
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let text = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader
            .map(|r| r.join().expect("the reader ends"))
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Outcome {
        command,
        stdout: text(stdout),
        stderr: text(stderr),
        status,
        limit: timed_out.then_some(limit),
    }
}

fn read_in_background(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// How a program ended and what it wrote.
pub(crate) struct Outcome {
    pub(crate) command: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
    /// The limit that it ran into, if it did.
    pub(crate) limit: Option<Duration>,
}

impl Outcome {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Notes a wrong exit code, an end by a signal or by the time limit, and a panic.
    pub(crate) fn check_exit(&self, expected: i32, faults: &mut String) {
        self.check_sound(faults);
        if self.limit.is_none() && self.code() != Some(expected) {
            let _ = writeln!(faults, "{}, expected exit code {expected}", self.status);
        }
    }

    /// Notes what no program may ever do, whatever its text is.
    pub(crate) fn check_sound(&self, faults: &mut String) {
        if let Some(limit) = self.limit {
            let _ = writeln!(faults, "still running after {} s", limit.as_secs());
        } else if self.code().is_none() {
            let _ = writeln!(faults, "ended by a signal: {}", self.status);
        }
        if self.stderr.contains("panicked") {
            let _ = writeln!(faults, "the program panicked");
        }
    }

    /// Notes what a second run under the same seed, with `--trace-schedule`, did otherwise.
    pub(crate) fn compare_repeated(&self, second: &Outcome, faults: &mut String) {
        self.check_sound(faults);
        if self.limit.is_some() || second.limit.is_some() {
            return;
        }
        if !self.stderr.contains("schedule: seed ") {
            let _ = writeln!(faults, "no trace of the schedule is shown");
        }
        // Who reads what can be different each time, standard input or the clock, may make other choices then; the program says so.
        let is_repeatable = !self.stderr.contains("not repeatable: ");
        let both = [
            ("standard output", &self.stdout, &second.stdout),
            ("standard error", &self.stderr, &second.stderr),
        ];
        for (what, first, second) in both.into_iter().take(1 + usize::from(is_repeatable)) {
            let differing = first.lines().zip(second.lines()).find(|(a, b)| a != b);
            if let Some((first, second)) = differing {
                let _ = writeln!(faults, "{what} was `{first}`, then `{second}`");
            } else if first != second {
                let _ = writeln!(faults, "{what} was longer one time than the other");
            }
        }
        if self.code() != second.code() {
            let _ = writeln!(faults, "{}, then {}", self.status, second.status);
        }
    }

    /// Success if there are no faults, else a message that shows what the program wrote.
    pub(crate) fn verdict(&self, faults: String) -> Result<(), libtest_mimic::Failed> {
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{faults}\n$ {}\n--- standard output\n{}--- standard error\n{}",
            self.command,
            shortened(&self.stdout),
            shortened(&self.stderr)
        )
        .into())
    }
}

/// At most 40 lines of at most 300 characters.
pub(crate) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for line in text.lines().take(40) {
        short.extend(line.chars().take(300));
        short.push('\n');
    }
    if text.lines().count() > 40 {
        short.push_str("…\n");
    }
    short
}
