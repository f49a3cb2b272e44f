//! `heddle test`: runs the `test` blocks of files, one engine per file, and counts.
//!
//! Under a seed each test has an engine of its own, so that it does the same whichever tests are run with it.

use crate::arguments::{Schedules, Settings};
use crate::files::files;
use crate::output::{complain, for_scripts, is_coloured};
use crate::run::not_repeatable;
use crate::signals::{INTERRUPTED, Interrupts};
use heddle::{Engine, Error, Outside, ScheduleTrace};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

struct Counts {
    passed: usize,
    failed: usize,
    /// Files that could not be loaded.
    broken: usize,
}

/// Runs tests; 0 if all passed.
pub(crate) fn test(
    paths: &[PathBuf],
    filter: Option<&str>,
    schedules: Option<Schedules>,
    settings: Settings,
) -> u8 {
    let mut counts = Counts {
        passed: 0,
        failed: 0,
        broken: 0,
    };
    let files = match files(paths) {
        Ok(files) => files,
        Err((path, error)) => {
            complain(&format!("error: cannot read {}: {error}\n", path.display()));
            return 1;
        }
    };
    for file in &files {
        if schedules.is_some() || settings.seed().is_some() {
            let seeded = Seeded {
                file,
                schedules: schedules.as_ref(),
                settings,
            };
            if seeded.run_file(filter, &mut counts) == Ended::Interrupted {
                return INTERRUPTED;
            }
            continue;
        }
        let mut engine = settings.engine().output(for_scripts()).build();
        let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
        run_file(file, filter, &mut engine, &mut counts);
        if interrupts.was_pressed() {
            return INTERRUPTED;
        }
    }
    let broken = match counts.broken {
        0 => String::new(),
        1 => ", 1 file could not be loaded".to_string(),
        n => format!(", {n} files could not be loaded"),
    };
    say(&format!(
        "{} passed, {} failed{broken}\n",
        counts.passed, counts.failed
    ));
    u8::from(counts.failed + counts.broken > 0)
}

fn run_file(file: &Path, filter: Option<&str>, engine: &mut Engine, counts: &mut Counts) {
    let loaded = engine.load_tests(file);
    let _ = engine.flush();
    let module = match loaded {
        Ok(module) => module,
        Err(error) => {
            counts.broken += 1;
            complain(&error.render_with(is_coloured()));
            return;
        }
    };
    let is_wanted = |name: &&String| filter.is_none_or(|text| name.contains(text));
    let names: Vec<String> = module.tests().map(str::to_string).collect();
    if names.iter().any(|name| is_wanted(&name)) {
        say(&format!("{}\n", file.display()));
    }
    for (index, name) in names.iter().enumerate().filter(|(_, name)| is_wanted(name)) {
        let outcome = engine.run_test(&module, index);
        let _ = engine.flush();
        match outcome {
            Ok(()) => {
                counts.passed += 1;
                say(&format!("  {name} ... {}\n", painted("ok", "32")));
            }
            Err(error) => {
                counts.failed += 1;
                say(&format!(
                    "  {name} ... {}\n{}",
                    painted("FAILED", "1;31"),
                    indented(&error)
                ));
            }
        }
    }
}

/// Runs the tests of a file under seeds.
struct Seeded<'a> {
    file: &'a Path,
    /// `None`: under the one of the settings.
    schedules: Option<&'a Schedules>,
    settings: Settings,
}

#[derive(PartialEq, Eq)]
enum Ended {
    Whole,
    Interrupted,
}

/// One run of one test.
struct Run {
    /// What the test, or the loading of its file, threw.
    outcome: Result<(), Error>,
    output: Vec<u8>,
    trace: ScheduleTrace,
    was_interrupted: bool,
}

impl Seeded<'_> {
    fn run_file(&self, filter: Option<&str>, counts: &mut Counts) -> Ended {
        let mut engine = self
            .settings
            .with_seed(0)
            .engine()
            .output(io::sink())
            .build();
        let names: Vec<String> = match engine.load_tests(self.file) {
            Ok(module) => module.tests().map(str::to_string).collect(),
            Err(error) => {
                counts.broken += 1;
                complain(&error.render_with(is_coloured()));
                return Ended::Whole;
            }
        };
        drop(engine);
        let is_wanted = |name: &str| filter.is_none_or(|text| name.contains(text));
        if names.iter().any(|name| is_wanted(name)) {
            say(&format!("{}\n", self.file.display()));
        }
        for (index, name) in names.iter().enumerate() {
            if is_wanted(name) && self.run_test(index, name, counts) == Ended::Interrupted {
                return Ended::Interrupted;
            }
        }
        Ended::Whole
    }
    fn run_test(&self, index: usize, name: &str, counts: &mut Counts) -> Ended {
        let seeds = match (self.schedules, self.settings.seed()) {
            (Some(schedules), _) => 1..=schedules.count as u64,
            (None, seed) => seed.unwrap_or(1)..=seed.unwrap_or(1),
        };
        let first = *seeds.start();
        let mut fault = None;
        for seed in seeds {
            let run = self.run(index, seed);
            if run.was_interrupted {
                return Ended::Interrupted;
            }
            if self.schedules.is_none() {
                let mut output = for_scripts();
                let _ = output.write_all(&run.output).and_then(|()| output.flush());
            }
            let found = self.fault_of(&run).or_else(|| {
                // What the marks of outside input do not tell: each test is looked at once.
                let is_other = seed == first
                    && self.schedules.is_some()
                    && self.run(index, seed).trace != run.trace;
                is_other.then(|| "    the same seed gave another run the second time\n".into())
            });
            if let Some(text) = found {
                fault = Some((seed, text));
                break;
            }
        }
        match fault {
            None => {
                counts.passed += 1;
                say(&format!("  {name} ... {}\n", painted("ok", "32")));
            }
            Some((seed, text)) => {
                counts.failed += 1;
                let file = self.file.display();
                say(&format!(
                    "  {name} ... {} with seed {seed}\n{text}    repeat: heddle test --schedule=seed:{seed} {file} --filter {name:?}\n",
                    painted("FAILED", "1;31"),
                ));
            }
        }
        Ended::Whole
    }
    fn fault_of(&self, run: &Run) -> Option<String> {
        if let Err(error) = &run.outcome {
            let mut text = indented(error);
            if self.schedules.is_some() {
                for line in String::from_utf8_lossy(&run.output).lines() {
                    text.push_str(&format!("    > {line}\n"));
                }
            }
            return Some(text);
        }
        let allowed = &self.schedules?.allowed;
        let mut text = String::new();
        let outside: &[(Outside, String, String)] = &run.trace.outside;
        for (what, name, place) in outside.iter().filter(|(what, ..)| !allowed.contains(what)) {
            text.push_str("    ");
            text.push_str(&not_repeatable(*what, name, place));
        }
        (!text.is_empty()).then(|| text + "    (--allow-outside=WHAT lets tests do that)\n")
    }
    fn run(&self, index: usize, seed: u64) -> Run {
        let output = Output::default();
        let mut engine = self
            .settings
            .with_seed(seed)
            .engine()
            .output(output.clone())
            .build();
        let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
        let outcome = engine
            .load_tests(self.file)
            .and_then(|module| engine.run_test(&module, index));
        let _ = engine.flush();
        let trace = engine.schedule_trace();
        Run {
            outcome,
            output: std::mem::take(&mut *output.0.lock().unwrap_or_else(|e| e.into_inner())),
            trace: trace.expect("the engine has a seed"),
            was_interrupted: interrupts.was_pressed(),
        }
    }
}

/// Keeps what is printed.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        kept.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn indented(error: &Error) -> String {
    let report = error.render();
    report.lines().map(|line| format!("    {line}\n")).collect()
}

fn painted(text: &str, colour: &str) -> String {
    let is_plain =
        std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || !io::stdout().is_terminal();
    if is_plain {
        text.to_string()
    } else {
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

fn say(text: &str) {
    let mut output = for_scripts();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}
