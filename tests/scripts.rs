//! Runs every language script under `tests/scripts` and every tour program under `tests/tour` as a child process, and
//! compares what it does with the expectations written in it.
//!
//! One trial per script and mode, named `area/name [mode]`. Expectations are comments on the line that they concern:
//!
//! | comment | meaning |
//! | --- | --- |
//! | `# expect: text` | the next line of standard output is `text` (order of comments = order of lines) |
//! | `# expect error: Kind: part of the message` | the program ends here with this uncaught error, exit code 1 |
//! | `# expect deadlock: part … part` | the program ends with `Deadlock`, exit code 1; its report lists a task that waits on this line, in words with these parts in this order |
//! | `# expect deadlock 3 times: part` | the same for three tasks (what no such comment expects must not be listed) |
//! | `# expect stderr: part … part` | a line of standard error has these parts in this order |
//! | `# expect compile error: code or part of the message` | `heddle check` reports an error on this line (any, without the part behind the colon) |
//! | `# expect compile error anywhere` | the same on any line (for what ends too early) |
//! | `# expect warning: code or part of the message` | the same for a warning |
//! | `# args: a b`, `# flags: --memory=16mb`, `# stdin: line` | how the program is run |
//! | `# command: test` | run `heddle test FILE` in place of `heddle run FILE` |
//! | `# exit: N` | the exit code, if it is not the one that follows from the rest |
//! | `# output has: text`, `# output lacks: text` | standard output or error contains this text, or does not |
//! | `# skip stress: reason`, `# skip stress-gc: …`, `# skip seed: …`, `# skip: reason` | not run in modes that begin so |
//!
//! `HEDDLE_SCRIPT_MODES`, a comma list, chooses the modes:
//!
//! | mode | the program runs with | by default |
//! | --- | --- | --- |
//! | `plain` | | yes |
//! | `stress-gc`, `stress-suspend` | `--stress=gc`, `--stress=suspend` | yes |
//! | `slice-1` | `--slice=1`: another thread may get its turn at every safepoint | the folders about concurrency |
//! | `carriers-2` (any number) | `--carriers=2` | the same |
//! | `migrate` | `--stress=migrate`: another OS thread after each slice | the same |
//! | `seed-1` (any number) | `--schedule=seed:1` | 1 and 2: the same |
//! | `threadlets-split`, `threadlets-random-1` (any number) | `--threadlets=split`, `--threadlets=random:1` | the folder about threadlets; `split` and 1: the folders about the system |
//! | `faults-1` (any number) | `--schedule=seed:1 --faults=short`: calls on sockets do less than they were asked for | the folders about connections |
//! | `blocking-capture` | `--blocking=capture` | the folders about the system |
//! | `blocking-error` | `--blocking=error`, all that blocks allowed | the same |
//! | `repeat` | twice with `--schedule=seed:1`: output and trace are the same (the output only, if the program says that it is not repeatable) | the same |

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

#[path = "support/mod.rs"]
mod support;
use support::{Outcome, Program};

/// Tour programs that need parts of the language which come later, with the reason.
const TOUR_NOT_YET: &[(&str, &str)] = &[
    ("09_troops", "needs troops"),
    ("11_blocking", "needs troops"),
];

/// Tour programs that run in the plain mode only, with the reason.
const TOUR_PLAIN_ONLY: &[(&str, &str)] = &[
    ("02_functions", "hundreds of thousands of calls"),
    (
        "05_tasks",
        "a hundred thousand tasks, looked at by each of as many collections",
    ),
    ("04_errors", "a stack of a million frames"),
];

/// The modes that scripts run in if none is chosen: first all scripts, then those of the folders about concurrency.
const DEFAULT_MODES: &[&str] = &["plain", "stress-gc", "stress-suspend"];
const CONCURRENCY_MODES: &[&str] = &[
    "slice-1",
    "carriers-2",
    "migrate",
    "seed-1",
    "seed-2",
    "repeat",
];
const THREADLET_MODES: &[&str] = &[
    "threadlets-split",
    "threadlets-random-1",
    "threadlets-random-2",
    "threadlets-random-3",
];

const FAULT_MODES: &[&str] = &["faults-1", "faults-2", "faults-3"];
/// Modes of the folders about files, processes and so on.
const BLOCKING_MODES: &[&str] = &["blocking-capture", "blocking-error"];
const SYSTEM_THREADLET_MODES: &[&str] = &["threadlets-split", "threadlets-random-1"];
const SYSTEM: &[&str] = &[
    "blocking",
    "fs",
    "http",
    "io",
    "modules_std",
    "net",
    "process",
];

const CONCURRENCY: &[&str] = &[
    "blocking",
    "broadcast",
    "channels",
    "current",
    "deadlocks",
    "freeze_copy",
    "fs",
    "http",
    "io",
    "leaks",
    "locks",
    "net",
    "not_deadlocks",
    "once",
    "process",
    "queue",
    "scopes",
    "select",
    "shared_map",
    "tasks",
    "thread_local",
    "threadlets",
    "threads",
    "tour",
];

/// A way to run scripts: its name and the flags of `heddle run` that it adds.
#[derive(Clone, Debug)]
struct Mode {
    name: String,
    flags: Vec<String>,
    /// The folders whose scripts run in it; `None`: all.
    folders: Option<&'static [&'static str]>,
}

impl Mode {
    /// `None`: there is no such mode.
    fn named(name: &str, folders: Option<&'static [&'static str]>) -> Option<Mode> {
        let numbered = |prefix: &str| {
            let number: u64 = name.strip_prefix(prefix)?.parse().ok()?;
            Some(number)
        };
        let flags = match name {
            "plain" => vec![],
            "stress-gc" => vec!["--stress=gc".to_owned()],
            "stress-suspend" => vec!["--stress=suspend".to_owned()],
            "migrate" => vec!["--stress=migrate".to_owned(), "--carriers=2".to_owned()],
            "threadlets-split" => vec!["--threadlets=split".to_owned()],
            "blocking-capture" => vec!["--blocking=capture".to_owned()],
            "blocking-error" => vec![
                "--blocking=error".to_owned(),
                "--blocking-allow=net.*,fs.*,File.*,os.*,process.*".to_owned(),
            ],
            "repeat" => vec![
                "--schedule=seed:1".to_owned(),
                "--trace-schedule".to_owned(),
            ],
            name if name.starts_with("faults-") => vec![
                format!("--schedule=seed:{}", numbered("faults-")?),
                "--faults=short".to_owned(),
            ],
            _ => {
                let known = [
                    ("slice-", "--slice="),
                    ("carriers-", "--carriers="),
                    ("seed-", "--schedule=seed:"),
                    ("threadlets-random-", "--threadlets=random:"),
                ];
                let mut found = known
                    .iter()
                    .filter_map(|(prefix, flag)| Some(format!("{flag}{}", numbered(prefix)?)));
                vec![found.next()?]
            }
        };
        Some(Mode {
            name: name.to_owned(),
            flags,
            folders,
        })
    }
    fn is_plain(&self) -> bool {
        self.flags.is_empty()
    }
    fn is_for(&self, script: &str) -> bool {
        let area = script.split_once('/').map_or(script, |(area, _)| area);
        self.folders.is_none_or(|folders| folders.contains(&area))
    }
    /// A flag of the script itself wins.
    fn flags_beside(&self, own: &[String]) -> Vec<String> {
        let option = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        let is_free = |flag: &&String| own.iter().all(|o| option(o) != option(flag));
        self.flags.iter().filter(is_free).cloned().collect()
    }
}

/// The chosen modes, or those that are not known.
fn modes() -> Result<Vec<Mode>, String> {
    let chosen = std::env::var("HEDDLE_SCRIPT_MODES").unwrap_or_default();
    let chosen: Vec<&str> = chosen
        .split(',')
        .map(str::trim)
        .filter(|m| !m.is_empty())
        .collect();
    let named = |name: &&str, folders| Mode::named(name, folders).ok_or_else(|| name.to_string());
    if !chosen.is_empty() {
        return chosen.iter().map(|name| named(name, None)).collect();
    }
    let sets = [
        (DEFAULT_MODES, None),
        (CONCURRENCY_MODES, Some(CONCURRENCY)),
        (THREADLET_MODES, Some(&["threadlets"])),
        (FAULT_MODES, Some(&["http", "net"])),
        (BLOCKING_MODES, Some(SYSTEM)),
        (BLOCKING_MODES, Some(&["tour"])),
        // The tour shows in which order threadlets run.
        (SYSTEM_THREADLET_MODES, Some(SYSTEM)),
    ];
    sets.iter()
        .flat_map(|(names, folders)| names.iter().map(move |name| named(name, *folders)))
        .collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));

    let modes = match modes() {
        Ok(modes) => modes,
        Err(unknown) => {
            eprintln!("HEDDLE_SCRIPT_MODES: no mode is called `{unknown}`");
            return ExitCode::from(2);
        }
    };

    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests");
    let mut trials = Vec::new();
    for path in script_files(&tests.join("scripts")) {
        let name = script_name(&path);
        let script = match Script::read(&path) {
            Ok(script) => script,
            Err(fault) => {
                trials.push(Trial::test(name, move || Err(Failed::from(fault))));
                continue;
            }
        };
        for mode in modes.iter().filter(|mode| mode.is_for(&name)) {
            if !mode.is_plain() && !script.has_modes() {
                continue;
            }
            let skipped = script.skips.iter().any(|skip| {
                let is_seeded = mode.name == "repeat" && "seed".starts_with(skip.as_str());
                mode.name.starts_with(skip.as_str()) || is_seeded
            });
            let (script, this) = (script.clone(), mode.clone());
            let mode = &mode.name;
            let trial = Trial::test(format!("{name} [{mode}]"), move || script.run(&this));
            trials.push(trial.with_ignored_flag(skipped));
        }
    }
    for path in programs_in(&tests.join("tour")) {
        let name = script_name(&path);
        let find = |list: &'static [(&str, &'static str)]| {
            let program = list.iter().find(|(program, _)| name.ends_with(program));
            program.map(|(_, reason)| *reason)
        };
        for mode in modes.iter().filter(|mode| mode.is_for(&name)) {
            let in_stress = if mode.name.starts_with("stress") {
                find(TOUR_PLAIN_ONLY)
            } else {
                None
            };
            let reason = find(TOUR_NOT_YET).or(in_stress);
            let (path, this) = (path.clone(), mode.clone());
            let mode = &mode.name;
            let trial = Trial::test(format!("{name} [{mode}]"), move || run_tour(&path, &this));
            let trial = match reason {
                Some(reason) => trial
                    .with_kind(format!("skipped: {reason}"))
                    .with_ignored_flag(true),
                None => trial,
            };
            trials.push(trial);
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// All `*.hd` of the area folders; what lies in `_lib` is imported by others and not run itself.
fn script_files(folder: &Path) -> Vec<PathBuf> {
    let mut areas: Vec<PathBuf> = entries(folder).into_iter().filter(|p| p.is_dir()).collect();
    areas.sort();
    areas.iter().flat_map(|area| programs_in(area)).collect()
}

fn programs_in(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(folder)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "hd"))
        .collect();
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(list) => list
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .collect(),
        Err(_) => Vec::new(),
    }
}

/// `area/name`
fn script_name(path: &Path) -> String {
    let part = |p: Option<&std::ffi::OsStr>| p.unwrap_or_default().to_string_lossy().into_owned();
    format!(
        "{}/{}",
        part(path.parent().and_then(Path::file_name)),
        part(path.file_stem())
    )
}

/// The line of an expectation that holds wherever the report is placed.
const ANYWHERE: usize = 0;

/// A place in the script and what is expected there.
#[derive(Clone, Debug)]
struct Expected {
    line: usize,
    text: String,
}

#[derive(Clone, Debug)]
struct Script {
    path: PathBuf,
    output: Vec<Expected>,
    error: Option<Expected>,
    /// One for each task that the report of a deadlock lists.
    deadlocks: Vec<Expected>,
    stderr: Vec<Expected>,
    compile_errors: Vec<Expected>,
    warnings: Vec<Expected>,
    has: Vec<String>,
    lacks: Vec<String>,
    command: String,
    arguments: Vec<String>,
    flags: Vec<String>,
    stdin: String,
    exit: Option<i32>,
    /// Mode names (or their beginnings) in which the script does not run.
    skips: Vec<String>,
}

impl Script {
    fn read(path: &Path) -> Result<Script, String> {
        // Scripts about encodings are not UTF-8: what cannot be read as text holds no expectation.
        let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut script = Script {
            path: path.to_owned(),
            output: Vec::new(),
            error: None,
            deadlocks: Vec::new(),
            stderr: Vec::new(),
            compile_errors: Vec::new(),
            warnings: Vec::new(),
            has: Vec::new(),
            lacks: Vec::new(),
            command: "run".to_owned(),
            arguments: Vec::new(),
            flags: Vec::new(),
            stdin: String::new(),
            exit: None,
            skips: Vec::new(),
        };
        for (index, text) in text.lines().enumerate() {
            script.read_line(index + 1, text)?;
        }
        let expects_nothing = script.output.is_empty()
            && script.error.is_none()
            && script.deadlocks.is_empty()
            && script.stderr.is_empty()
            && script.compile_errors.is_empty()
            && script.warnings.is_empty()
            && script.has.is_empty()
            && script.exit.is_none();
        if expects_nothing {
            return Err(format!("{}: the script expects nothing", path.display()));
        }
        Ok(script)
    }

    fn read_line(&mut self, line: usize, text: &str) -> Result<(), String> {
        if let Some(at) = text.rfind("# expect") {
            let rest = &text[at + "# expect".len()..];
            let expected = |rest: &str| Expected {
                line,
                text: rest.strip_prefix(':').unwrap_or(rest).trim().to_owned(),
            };
            if let Some(rest) = rest.strip_prefix(" compile error") {
                match rest.strip_prefix(" anywhere") {
                    Some(rest) => self.compile_errors.push(Expected {
                        line: ANYWHERE,
                        ..expected(rest)
                    }),
                    None => self.compile_errors.push(expected(rest)),
                }
            } else if let Some(rest) = rest.strip_prefix(" warning") {
                self.warnings.push(expected(rest));
            } else if let Some(rest) = rest.strip_prefix(" deadlock") {
                let (times, rest) = match rest.split_once(" times") {
                    Some((times, rest)) if !times.starts_with(':') => (
                        times
                            .trim()
                            .parse()
                            .map_err(|e| format!("line {line}: how many times: {e}"))?,
                        rest,
                    ),
                    _ => (1, rest),
                };
                let expected = expected(rest);
                self.deadlocks.extend(std::iter::repeat_n(expected, times));
            } else if let Some(rest) = rest.strip_prefix(" stderr") {
                self.stderr.push(expected(rest));
            } else if let Some(rest) = rest.strip_prefix(" error") {
                if self.error.replace(expected(rest)).is_some() {
                    return Err(format!("line {line}: a second uncaught error is expected"));
                }
            } else if let Some(rest) = rest.strip_prefix(':') {
                let text = rest.strip_prefix(' ').unwrap_or(rest).trim_end().to_owned();
                self.output.push(Expected { line, text });
            }
            return Ok(());
        }
        let Some((key, value)) = text.strip_prefix("# ").and_then(|t| t.split_once(':')) else {
            return Ok(());
        };
        let value = value.trim();
        match key {
            "args" => self.arguments = value.split_whitespace().map(str::to_owned).collect(),
            "flags" => self.flags = value.split_whitespace().map(str::to_owned).collect(),
            "stdin" => {
                self.stdin.push_str(value);
                self.stdin.push('\n');
            }
            "command" => self.command = value.to_owned(),
            "exit" => {
                self.exit = Some(
                    value
                        .parse()
                        .map_err(|e| format!("line {line}: exit: {e}"))?,
                )
            }
            "output has" => self.has.push(value.to_owned()),
            "output lacks" => self.lacks.push(value.to_owned()),
            "skip" => self.skips.push(String::new()),
            _ => {
                if let Some(mode) = key.strip_prefix("skip ") {
                    self.skips.push(mode.to_owned());
                }
            }
        }
        Ok(())
    }

    /// The script does not compile, so there is nothing to run.
    fn is_checked_only(&self) -> bool {
        !self.compile_errors.is_empty()
    }

    /// The modes concern `heddle run` only.
    fn has_modes(&self) -> bool {
        !self.is_checked_only() && self.command == "run"
    }

    fn run(&self, mode: &Mode) -> Result<(), Failed> {
        if self.is_checked_only() || (!self.warnings.is_empty() && mode.is_plain()) {
            self.check()?;
        }
        if self.is_checked_only() {
            return Ok(());
        }
        let mode_flags = mode.flags_beside(&self.flags);
        let run = || {
            self.program(&self.command)
                .args(self.flags.iter().map(String::as_str))
                .args(mode_flags.iter().map(String::as_str))
                .arg(self.file_name())
                .args(self.arguments.iter().map(String::as_str))
                .stdin(self.stdin.as_bytes())
                .run()
        };
        let outcome = run();
        let mut faults = String::new();
        if mode.name == "repeat" {
            outcome.compare_repeated(&run(), &mut faults);
            return outcome.verdict(faults);
        }
        self.compare_output(&outcome, &mut faults);
        self.compare_error(&outcome, &mut faults);
        self.compare_deadlock(&outcome, &mut faults);
        for expected in &self.stderr {
            if !outcome
                .stderr
                .lines()
                .any(|line| has_parts(line, &expected.text))
            {
                let _ = writeln!(
                    faults,
                    "line {}: no line of standard error has `{}`",
                    expected.line, expected.text
                );
            }
        }
        let fails = self.error.is_some() || !self.deadlocks.is_empty();
        let expected_exit = self.exit.unwrap_or(i32::from(fails));
        outcome.check_exit(expected_exit, &mut faults);
        for text in &self.has {
            if !outcome.stdout.contains(text.as_str()) && !outcome.stderr.contains(text.as_str()) {
                let _ = writeln!(faults, "the output lacks `{text}`");
            }
        }
        for text in &self.lacks {
            if outcome.stdout.contains(text.as_str()) || outcome.stderr.contains(text.as_str()) {
                let _ = writeln!(faults, "the output has `{text}`");
            }
        }
        outcome.verdict(faults)
    }

    fn compare_output(&self, outcome: &Outcome, faults: &mut String) {
        if self.output.is_empty() && !self.has.is_empty() {
            return; // a command such as `test`, whose report is looked at by its parts
        }
        let lines: Vec<&str> = outcome.stdout.lines().map(str::trim_end).collect();
        for (index, expected) in self.output.iter().enumerate() {
            let got = lines.get(index).copied();
            if got != Some(expected.text.as_str()) {
                let _ = writeln!(
                    faults,
                    "line {}: expected `{}`\n{:>width$} got `{}`",
                    expected.line,
                    expected.text,
                    "",
                    got.unwrap_or("(end of output)"),
                    width = "line : expected".len() + expected.line.to_string().len() - 4,
                );
                return; // the rest would only repeat the shift
            }
        }
        if lines.len() > self.output.len() {
            let _ = writeln!(
                faults,
                "output goes on after what is expected: `{}`",
                lines[self.output.len()]
            );
        }
    }

    fn compare_error(&self, outcome: &Outcome, faults: &mut String) {
        let Some(expected) = &self.error else { return };
        let mut report = outcome
            .stderr
            .lines()
            .skip_while(|line| !line.starts_with("error: uncaught "));
        let Some(first) = report.next() else {
            let _ = writeln!(
                faults,
                "line {}: expected the uncaught error `{}`, none is reported",
                expected.line, expected.text
            );
            return;
        };
        // A message may have several lines.
        let is_place = |line: &&str| line.trim_start().starts_with("--> ");
        let place = report.find(is_place).unwrap_or("(no place is reported)");
        let text = first.trim_start_matches("error: uncaught ");
        let (kind, part) = expected
            .text
            .split_once(": ")
            .unwrap_or((&expected.text, ""));
        let fits = text
            .strip_prefix(kind)
            .is_some_and(|rest| rest.contains(part));
        if !fits {
            let _ = writeln!(
                faults,
                "line {}: expected the uncaught error `{}`, got `{text}`",
                expected.line, expected.text
            );
        }
        let line = place_line(place, &self.file_name());
        if line != Some(expected.line) {
            let _ = writeln!(
                faults,
                "the error should be placed at line {}, but is at `{}`",
                expected.line,
                place.trim()
            );
        }
    }

    /// Every task that the report of a deadlock lists is expected, at its place, and the other way round.
    fn compare_deadlock(&self, outcome: &Outcome, faults: &mut String) {
        if self.deadlocks.is_empty() {
            return;
        }
        let report = outcome.stderr.split_once("error: uncaught Deadlock");
        let Some((_, report)) = report else {
            let _ = writeln!(faults, "a deadlock is expected, none is reported");
            return;
        };
        // What is said of a task begins at the line that says what it waits for.
        let mut listed: Vec<String> = Vec::new();
        for line in report.lines() {
            if line.contains(" waits for ") {
                listed.push(line.to_owned());
            } else if let Some(last) = listed.last_mut() {
                last.push(' ');
                last.push_str(line.trim());
            }
        }
        let name = self.file_name();
        for expected in &self.deadlocks {
            let place = format!("{name}:{}:", expected.line);
            let fits = |task: &String| task.contains(&place) && has_parts(task, &expected.text);
            match listed.iter().position(fits) {
                Some(at) => drop(listed.swap_remove(at)),
                None => {
                    let _ = writeln!(
                        faults,
                        "line {}: the report of the deadlock lists no task at `{place}` with `{}`",
                        expected.line, expected.text
                    );
                }
            }
        }
        for task in listed {
            let _ = writeln!(
                faults,
                "the report of the deadlock lists, unexpected: `{task}`"
            );
        }
    }

    /// Compares what `heddle check` reports with the expected compile errors and warnings.
    fn check(&self) -> Result<(), Failed> {
        let outcome = self.program("check").arg(self.file_name()).run();
        let mut faults = String::new();
        let reported = diagnostics(&outcome.stderr, &self.file_name());
        for (severity, expected) in [("error", &self.compile_errors), ("warning", &self.warnings)] {
            let of_severity: Vec<_> = reported.iter().filter(|d| d.severity == severity).collect();
            for e in expected {
                let fits = |d: &&&Diagnostic| {
                    (d.line == e.line || e.line == ANYWHERE) && d.head.contains(&e.text)
                };
                if of_severity.iter().find(fits).is_none() {
                    let _ = writeln!(
                        faults,
                        "line {}: expected the {severity} `{}`, it is not reported",
                        e.line, e.text
                    );
                }
            }
            let lines: BTreeSet<usize> = expected.iter().map(|e| e.line).collect();
            if severity == "error" && !lines.contains(&ANYWHERE) {
                for d in of_severity.iter().filter(|d| !lines.contains(&d.line)) {
                    let _ = writeln!(faults, "line {}: unexpected `{}`", d.line, d.head);
                }
            }
        }
        outcome.check_exit(i32::from(!self.compile_errors.is_empty()), &mut faults);
        outcome.verdict(faults)
    }

    fn program(&self, command: &str) -> Program {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        Program::heddle().folder(folder).arg(command)
    }

    fn file_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }
}

/// Whether the parts of an expectation, `a … b`, occur in the text, in this order.
fn has_parts(text: &str, parts: &str) -> bool {
    let mut rest = text;
    parts.split('…').all(|part| {
        let part = part.trim();
        match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        }
    })
}

/// One diagnostic as `heddle check` prints it: `error[E0102]: message`, then ` --> file:line:column`.
struct Diagnostic {
    severity: &'static str,
    head: String,
    line: usize,
}

fn diagnostics(stderr: &str, file: &str) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut head: Option<(&'static str, &str)> = None;
    for text in stderr.lines() {
        if text.starts_with("error") {
            head = Some(("error", text));
        } else if text.starts_with("warning") {
            head = Some(("warning", text));
        } else if let Some(line) = place_line(text, file)
            && let Some((severity, text)) = head.take()
        {
            found.push(Diagnostic {
                severity,
                head: text.to_owned(),
                line,
            });
        }
    }
    found
}

/// The line of ` --> path/file:line:column`, if it names this file.
fn place_line(text: &str, file: &str) -> Option<usize> {
    let place = text.trim().strip_prefix("--> ")?;
    let (rest, _column) = place.rsplit_once(':')?;
    let (path, line) = rest.rsplit_once(':')?;
    let same_file = Path::new(path).file_name().is_some_and(|name| name == file);
    same_file.then(|| line.parse().ok())?
}

/// A tour program prints exactly its `.out`, ends with the code in `.exit` (0 without), and each line of its `.err`
/// occurs in standard error.
fn run_tour(path: &Path, mode: &Mode) -> Result<(), Failed> {
    let beside = |extension: &str| fs::read_to_string(path.with_extension(extension)).ok();
    let expected = beside("out").ok_or_else(|| format!("{} has no .out", path.display()))?;
    let exit = beside("exit").map_or(Ok(0), |code| code.trim().parse());
    let exit = exit.map_err(|e| format!("{}: .exit: {e}", path.display()))?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let run = || {
        Program::heddle()
            .folder(path.parent().unwrap_or(Path::new(".")))
            .arg("run")
            .args(mode.flags.iter().map(String::as_str))
            .arg(&name)
            .run()
    };
    let outcome = run();
    let mut faults = String::new();
    if mode.name == "repeat" {
        outcome.compare_repeated(&run(), &mut faults);
        return outcome.verdict(faults);
    }
    if outcome.stdout != expected {
        let got: Vec<&str> = outcome.stdout.lines().collect();
        let want: Vec<&str> = expected.lines().collect();
        let at = (0..got.len().max(want.len()))
            .find(|&i| got.get(i) != want.get(i))
            .unwrap_or(0);
        let show = |lines: &[&str]| {
            lines
                .get(at)
                .copied()
                .unwrap_or("(end of output)")
                .to_owned()
        };
        let _ = writeln!(
            faults,
            "line {} of the output: expected `{}`, got `{}`",
            at + 1,
            show(&want),
            show(&got)
        );
    }
    outcome.check_exit(exit, &mut faults);
    for line in beside("err").unwrap_or_default().lines() {
        if !outcome.stderr.contains(line) {
            let _ = writeln!(faults, "standard error lacks `{line}`");
        }
    }
    outcome.verdict(faults)
}
