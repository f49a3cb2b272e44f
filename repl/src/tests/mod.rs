//! `heddle test`: runs the `test` blocks of files, several files at a time, each with an engine of its own, and tells how they ended.
//!
//! Files are looked at by a few OS threads; what they find is told in the order of the files. Under a seed each test has an engine of its own, so that it
//! does the same whichever tests are run with it.

mod coverage;
mod report;

use crate::arguments::{Schedules, Settings, TestPlan};
use crate::files::files;
use crate::output::complain;
use crate::run::not_repeatable;
use crate::signals::{INTERRUPTED, Interrupts};
use coverage::Coverage;
pub(crate) use coverage::{Kind as CoverageKind, Plan as CoveragePlan};
use heddle::{Engine, EngineBuilder, Error, Outside, ScheduleTrace};
pub(crate) use report::Format;
use report::Reporter;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What became of a file: its tests in the order in which they ran.
struct FileReport {
    file: PathBuf,
    /// It could not be loaded.
    broken: Option<Error>,
    /// What it printed while it was loaded.
    output: String,
    tests: Vec<TestReport>,
    /// Empty unless it is wanted.
    coverage: Coverage,
    was_interrupted: bool,
}

struct TestReport {
    name: String,
    time: Duration,
    fault: Option<Fault>,
    /// What the test printed.
    output: String,
}

/// Why a test failed.
struct Fault {
    kind: String,
    message: String,
    /// For people: with the place, the values, the trace.
    text: String,
    /// The seed under which it did.
    seed: Option<u64>,
}

impl Fault {
    fn of(error: &Error) -> Fault {
        Fault {
            kind: error.kind().to_owned(),
            message: error.message().to_owned(),
            text: error.render(),
            seed: None,
        }
    }
}

/// Runs tests; 0 if all passed.
pub(crate) fn test(paths: &[PathBuf], plan: &TestPlan, settings: Settings) -> u8 {
    let mut files = match files(paths) {
        Ok(files) => files,
        Err((path, error)) => {
            complain(&format!("error: cannot read {}: {error}\n", path.display()));
            return 1;
        }
    };
    if let Some(seed) = plan.shuffle {
        shuffle(&mut files, seed);
    }
    let runner = Runner {
        files: &files,
        plan,
        settings,
        next: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let mut reporter = Reporter::new(plan);
    let jobs = plan.jobs.clamp(1, files.len().max(1));
    let was_interrupted = match jobs {
        1 => runner.run_here(&mut reporter),
        _ => std::thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            for _ in 0..jobs {
                let sender = sender.clone();
                let runner = &runner;
                scope.spawn(move || runner.work(&sender));
            }
            drop(sender);
            // Told in the order of the files, whichever was ready first.
            let mut waiting = BTreeMap::new();
            let mut next = 0;
            let mut was_interrupted = false;
            for (index, report) in receiver {
                waiting.insert(index, report);
                while let Some(report) = waiting.remove(&next) {
                    was_interrupted |= runner.tell(report, &mut reporter);
                    next += 1;
                }
            }
            was_interrupted
        }),
    };
    let code = reporter.finish();
    if was_interrupted { INTERRUPTED } else { code }
}

/// Puts things in an order that the seed decides: Fisher and Yates's, by SplitMix64.
fn shuffle<T>(things: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..things.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        things.swap(last, (z % (last as u64 + 1)) as usize);
    }
}

struct Runner<'a> {
    files: &'a [PathBuf],
    plan: &'a TestPlan,
    settings: Settings,
    /// The next file that nobody looks at yet.
    next: AtomicUsize,
    /// Interrupted, or a test has failed and that is enough.
    is_over: AtomicBool,
}

impl Runner<'_> {
    fn run_here(&self, reporter: &mut Reporter) -> bool {
        let mut was_interrupted = false;
        while let Some((_, report)) = self.take() {
            was_interrupted |= self.tell(report, reporter);
        }
        was_interrupted
    }
    fn work(&self, sender: &Sender<(usize, FileReport)>) {
        while let Some(done) = self.take() {
            if sender.send(done).is_err() {
                return;
            }
        }
    }
    /// Runs the tests of the next file.
    fn take(&self) -> Option<(usize, FileReport)> {
        if self.is_over.load(Ordering::Relaxed) {
            return None;
        }
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        let file = self.files.get(index)?;
        let report = match self.plan.schedules.is_some() || self.settings.seed().is_some() {
            true => self.seeded(file).run_file(),
            false => self.run_file(file),
        };
        let has_failed = report.broken.is_some() || report.tests.iter().any(|t| t.fault.is_some());
        if report.was_interrupted || has_failed && self.plan.fail_fast {
            self.is_over.store(true, Ordering::Relaxed);
        }
        Some((index, report))
    }
    /// Gives whether Ctrl-C was pressed.
    fn tell(&self, report: FileReport, reporter: &mut Reporter) -> bool {
        reporter.tell(&report);
        reporter.coverage.merge(report.coverage);
        report.was_interrupted
    }
    fn engine(&self, settings: Settings) -> EngineBuilder {
        let counts = self.plan.coverage.is_some();
        settings.engine().count_lines(counts)
    }
    fn seeded<'a>(&'a self, file: &'a Path) -> Seeded<'a> {
        Seeded {
            file,
            schedules: self.plan.schedules.as_ref(),
            runner: self,
        }
    }
    /// The tests that are wanted, with their indices, in the order in which they are to run.
    fn wanted<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<(usize, String)> {
        let filter = self.plan.filter.as_deref();
        let mut wanted: Vec<_> = names
            .enumerate()
            .filter(|(_, name)| filter.is_none_or(|text| name.contains(text)))
            .map(|(index, name)| (index, name.to_owned()))
            .collect();
        if let Some(seed) = self.plan.shuffle {
            shuffle(&mut wanted, seed);
        }
        wanted
    }
    /// Whether the tests behind this one are not run.
    fn ends_with(&self, test: &TestReport) -> bool {
        test.fault.is_some() && self.plan.fail_fast || self.is_over.load(Ordering::Relaxed)
    }
    fn run_file(&self, file: &Path) -> FileReport {
        let output = Output::default();
        let mut engine = self.engine(self.settings).output(output.clone()).build();
        let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
        let mut report = FileReport::new(file);
        let loaded = engine.load_tests(file);
        report.output = output.take(&mut engine);
        match loaded {
            Ok(module) => {
                for (index, name) in self.wanted(module.tests()) {
                    let start = Instant::now();
                    let outcome = engine.run_test(&module, index);
                    let test = TestReport {
                        name,
                        time: start.elapsed(),
                        fault: outcome.err().as_ref().map(Fault::of),
                        output: output.take(&mut engine),
                    };
                    let is_last = self.ends_with(&test) || interrupts.was_pressed();
                    report.tests.push(test);
                    if is_last {
                        break;
                    }
                }
            }
            Err(error) => report.broken = Some(error),
        }
        report.was_interrupted = interrupts.was_pressed();
        report.coverage.add(&engine);
        report
    }
}

impl FileReport {
    fn new(file: &Path) -> FileReport {
        FileReport {
            file: file.to_owned(),
            broken: None,
            output: String::new(),
            tests: Vec::new(),
            coverage: Coverage::default(),
            was_interrupted: false,
        }
    }
}

/// Runs the tests of a file under seeds.
struct Seeded<'a> {
    file: &'a Path,
    /// `None`: under the one of the settings.
    schedules: Option<&'a Schedules>,
    runner: &'a Runner<'a>,
}

/// One run of one test.
struct Run {
    /// What the test, or the loading of its file, threw.
    outcome: Result<(), Error>,
    output: String,
    trace: ScheduleTrace,
    coverage: Coverage,
    was_interrupted: bool,
}

impl Seeded<'_> {
    fn run_file(&self) -> FileReport {
        let runner = self.runner;
        let mut report = FileReport::new(self.file);
        let settings = runner.settings.with_seed(0);
        let mut engine = runner.engine(settings).output(io::sink()).build();
        let wanted = match engine.load_tests(self.file) {
            Ok(module) => runner.wanted(module.tests()),
            Err(error) => {
                report.broken = Some(error);
                return report;
            }
        };
        report.coverage.add(&engine);
        drop(engine);
        for (index, name) in wanted {
            let Some(test) = self.run_test(index, name, &mut report.coverage) else {
                report.was_interrupted = true;
                break;
            };
            let is_last = runner.ends_with(&test);
            report.tests.push(test);
            if is_last {
                break;
            }
        }
        report
    }
    /// `None`: Ctrl-C was pressed.
    fn run_test(&self, index: usize, name: String, coverage: &mut Coverage) -> Option<TestReport> {
        let seeds = match (self.schedules, self.runner.settings.seed()) {
            (Some(schedules), _) => 1..=schedules.count as u64,
            (None, seed) => seed.unwrap_or(1)..=seed.unwrap_or(1),
        };
        let start = Instant::now();
        let first = *seeds.start();
        let mut report = TestReport {
            name,
            time: Duration::ZERO,
            fault: None,
            output: String::new(),
        };
        for seed in seeds {
            let run = self.run(index, seed);
            if run.was_interrupted {
                return None;
            }
            let fault = self.fault_of(&run).or_else(|| {
                // What the marks of outside input do not tell: each test is looked at once.
                let is_other = seed == first
                    && self.schedules.is_some()
                    && self.run(index, seed).trace != run.trace;
                is_other.then(|| not_the_same("the same seed gave another run the second time\n"))
            });
            report.output = run.output;
            coverage.merge(run.coverage);
            if let Some(fault) = fault {
                report.fault = Some(Fault {
                    seed: Some(seed),
                    ..fault
                });
                break;
            }
        }
        report.time = start.elapsed();
        Some(report)
    }
    fn fault_of(&self, run: &Run) -> Option<Fault> {
        if let Err(error) = &run.outcome {
            return Some(Fault::of(error));
        }
        let allowed = &self.schedules?.allowed;
        let outside: &[(Outside, String, String)] = &run.trace.outside;
        let text: String = outside
            .iter()
            .filter(|(what, ..)| !allowed.contains(what))
            .map(|(what, name, place)| not_repeatable(*what, name, place))
            .collect();
        let hint = "(--allow-outside=WHAT lets tests do that)\n";
        (!text.is_empty()).then(|| not_the_same(&(text + hint)))
    }
    fn run(&self, index: usize, seed: u64) -> Run {
        let output = Output::default();
        let settings = self.runner.settings.with_seed(seed);
        let mut engine = self.runner.engine(settings).output(output.clone()).build();
        let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
        let outcome = engine
            .load_tests(self.file)
            .and_then(|module| engine.run_test(&module, index));
        let output = output.take(&mut engine);
        let trace = engine.schedule_trace();
        let mut coverage = Coverage::default();
        coverage.add(&engine);
        Run {
            coverage,
            outcome,
            output,
            trace: trace.expect("the engine has a seed"),
            was_interrupted: interrupts.was_pressed(),
        }
    }
}

/// Keeps what is printed.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    /// What was printed since the last time.
    fn take(&self, engine: &mut Engine) -> String {
        let _ = engine.flush();
        let bytes = std::mem::take(&mut *self.0.lock().unwrap_or_else(|e| e.into_inner()));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.0.lock().unwrap_or_else(|e| e.into_inner());
        kept.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run that cannot be repeated.
fn not_the_same(text: &str) -> Fault {
    Fault {
        kind: "NotRepeatable".into(),
        message: text.trim_end().into(),
        text: text.into(),
        seed: None,
    }
}
