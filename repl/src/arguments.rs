//! The command line. The only file that knows clap.

use crate::run::ErrorFormat;
use crate::tests::{CoverageKind, CoveragePlan};
use clap::builder::{OsStringValueParser, PathBufValueParser};
use clap::{Arg, ArgAction, ArgMatches};
use heddle::{
    BlockingPolicy as Policy, EngineBuilder, FaultLevel, Outside, Schedule, Stress, Threadlets,
    TracePinned,
};
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

/// How long a function may hold an OS thread before that is told.
const BLOCKING_WARN: Duration = Duration::from_millis(10);

/// What is to be done, and how.
pub(crate) struct Command {
    pub(crate) job: Job,
    pub(crate) settings: Settings,
}

pub(crate) enum Job {
    Run {
        program: Program,
        args: Vec<String>,
    },
    Check {
        files: Vec<PathBuf>,
        format: ErrorFormat,
    },
    Test {
        paths: Vec<PathBuf>,
        plan: TestPlan,
    },
    Format {
        /// `-` is standard input.
        paths: Vec<PathBuf>,
        /// Say what is not in the style, write nothing.
        only_checks: bool,
    },
    /// What codes of errors and warnings mean; none: the list.
    Explain(Vec<String>),
    Disassemble(PathBuf),
    /// Answer an editor's questions.
    LanguageServer,
    Repl,
}

/// Which tests are run, and how that is told.
pub(crate) struct TestPlan {
    /// Only those whose name contains it.
    pub(crate) filter: Option<String>,
    pub(crate) schedules: Option<Schedules>,
    /// The first failure is enough.
    pub(crate) fail_fast: bool,
    /// The seed of another order.
    pub(crate) shuffle: Option<u64>,
    /// Files at a time.
    pub(crate) jobs: usize,
    pub(crate) format: crate::tests::Format,
    pub(crate) coverage: Option<CoveragePlan>,
}

/// Each test is run under many seeds.
pub(crate) struct Schedules {
    pub(crate) count: usize,
    /// What tests may read from outside.
    pub(crate) allowed: Vec<Outside>,
}

/// Where a program's text is.
pub(crate) enum Program {
    File(PathBuf),
    Code(OsString),
    StandardInput,
}

/// Flags that concern the engine.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings {
    memory: Option<usize>,
    depth: Option<usize>,
    carriers: Option<usize>,
    max_carriers: Option<usize>,
    blocking: Policy,
    threadlets: Option<Threadlets>,
    trace_pinned: TracePinned,
    max_workers: Option<usize>,
    /// Functions, each with a file or without. Read once, so they may stay.
    allowed: &'static [(String, Option<String>)],
    /// Zero: never.
    blocking_warn: Duration,
    schedule: Schedule,
    faults: FaultLevel,
    slice: Option<usize>,
    stress: Stress,
    trace_safepoints: bool,
    trace_schedule: bool,
}

impl Settings {
    pub(crate) fn engine(self) -> EngineBuilder {
        let mut builder = heddle::Engine::builder()
            .on_large(crate::memory::large)
            .on_shrunk(crate::memory::shrunk)
            .stress(self.stress)
            .schedule(self.schedule)
            .faults(self.faults)
            .blocking(self.blocking)
            .threadlets(self.threadlets.unwrap_or_default())
            .trace_pinned(self.trace_pinned)
            .trace_safepoints(self.trace_safepoints);
        if let Some(bytes) = self.memory {
            builder = builder.memory_limit(bytes);
        }
        if let Some(frames) = self.depth {
            builder = builder.depth_limit(frames);
        }
        if let Some(carriers) = self.carriers {
            builder = builder.carriers(carriers);
        }
        if let Some(carriers) = self.max_carriers {
            builder = builder.max_carriers(carriers);
        }
        if let Some(workers) = self.max_workers {
            builder = builder.max_workers(workers);
        }
        for (function, file) in self.allowed {
            builder = builder.allow_blocking(function, file.as_deref());
        }
        if !self.blocking_warn.is_zero() {
            builder = builder.blocking_warn(self.blocking_warn, crate::output::complain);
        }
        if let Some(fuel) = self.slice {
            builder = builder.slice(fuel);
        }
        builder
    }
    pub(crate) fn with_seed(self, seed: u64) -> Settings {
        // A third of the seeds each: code behind threadlets must be right in all ways.
        let threadlets = match seed % 3 {
            0 => Threadlets::Random(seed),
            1 => Threadlets::Inline,
            _ => Threadlets::Split,
        };
        Settings {
            schedule: Schedule::Seed(seed),
            threadlets: self.threadlets.or(Some(threadlets)),
            ..self
        }
    }
    pub(crate) fn seed(self) -> Option<u64> {
        match self.schedule {
            Schedule::Ordinary => None,
            Schedule::Seed(seed) => Some(seed),
        }
    }
    pub(crate) fn traces_schedule(self) -> bool {
        self.trace_schedule
    }
}

const SUBCOMMANDS: &[&str] = &[
    "run", "check", "test", "fmt", "explain", "dis", "lsp", "repl", "help",
];

/// Reads the process's arguments.
pub(crate) fn read() -> Result<Command, clap::Error> {
    read_from(std::env::args_os().collect())
}

fn read_from(arguments: Vec<OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(plain(arguments))?;
    let (name, sub) = match matches.subcommand() {
        Some((name, sub)) => (name, sub),
        None => ("", &matches),
    };
    let paths =
        |id: &str| -> Vec<PathBuf> { sub.get_many(id).unwrap_or_default().cloned().collect() };
    let job = match name {
        "check" => Job::Check {
            files: paths("files"),
            format: sub.get_one("error-format").copied().unwrap_or_default(),
        },
        "test" => Job::Test {
            paths: paths("paths"),
            plan: TestPlan {
                filter: sub.get_one("filter").cloned(),
                schedules: sub.get_one("schedules").map(|&count| Schedules {
                    count,
                    allowed: sub
                        .get_many("allow-outside")
                        .unwrap_or_default()
                        .copied()
                        .collect(),
                }),
                fail_fast: sub.get_flag("fail-fast"),
                shuffle: sub.get_one("shuffle").copied(),
                jobs: sub.get_one("jobs").copied().unwrap_or_else(processors),
                format: sub.get_one("format").copied().unwrap_or_default(),
                coverage: sub.get_one("coverage").map(|&kind| CoveragePlan {
                    kind,
                    output: sub.get_one("coverage-output").cloned(),
                }),
            },
        },
        "fmt" => Job::Format {
            paths: paths("paths"),
            only_checks: sub.get_flag("check"),
        },
        "explain" => Job::Explain(sub.get_many("codes").unwrap_or_default().cloned().collect()),
        "dis" => Job::Disassemble(paths("file").remove(0)),
        "lsp" => Job::LanguageServer,
        "repl" => Job::Repl,
        _ => program(sub),
    };
    if let Job::Format { .. } | Job::Explain(_) | Job::LanguageServer = job {
        // No program runs.
        let settings = Settings::default();
        return Ok(Command { job, settings });
    }
    let settings = Settings {
        memory: sub.get_one("memory").copied(),
        depth: sub.get_one("depth").copied(),
        carriers: sub.get_one("carriers").copied(),
        max_carriers: sub.get_one("carriers-max").copied(),
        blocking: sub.get_one("blocking").copied().unwrap_or_default(),
        threadlets: sub.get_one("threadlets").copied(),
        trace_pinned: sub.get_one("trace-pinned").copied().unwrap_or_default(),
        max_workers: sub.get_one("offload-max").copied(),
        allowed: sub
            .get_many("blocking-allow")
            .unwrap_or_default()
            .cloned()
            .collect::<Vec<_>>()
            .leak(),
        blocking_warn: sub
            .get_one("blocking-warn")
            .copied()
            .unwrap_or(BLOCKING_WARN),
        schedule: sub.get_one("schedule").copied().unwrap_or_default(),
        faults: sub.get_one("faults").copied().unwrap_or_default(),
        slice: sub.get_one("slice").copied(),
        stress: sub.get_one("stress").copied().unwrap_or_default(),
        trace_safepoints: sub.get_flag("trace-safepoints"),
        trace_schedule: sub.get_flag("trace-schedule"),
    };
    Ok(Command { job, settings })
}

/// Makes two things plain to clap. Flags in front of a subcommand are moved behind it (`heddle --flag run …`), so that no
/// later word is taken for one; and `--` is put in front of the script, since all that follows belongs to it.
fn plain(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    let mut has_command = false;
    while let Some(argument) = arguments.get(at) {
        let text = argument.to_string_lossy();
        match &*text {
            "--memory" | "--depth" | "--carriers" | "--carriers-max" | "--blocking"
            | "--offload-max" | "--threadlets" | "--blocking-warn" | "--blocking-allow"
            | "--schedule" | "--faults" | "--slice" | "--stress" => at += 2,
            "run" if !has_command => {
                has_command = true;
                let name = arguments.remove(at);
                arguments.insert(1, name);
                at += 1;
            }
            name if !has_command && SUBCOMMANDS.contains(&name) => {
                let name = arguments.remove(at);
                arguments.insert(1, name);
                break;
            }
            _ if text.starts_with("--") && text.contains('=') => at += 1,
            _ if text.starts_with('-') && text.len() > 1 => break,
            _ => {
                arguments.insert(at, "--".into());
                break;
            }
        }
    }
    arguments
}

/// What `run`, or no subcommand, is to run.
fn program(matches: &ArgMatches) -> Job {
    let words =
        |id: &str| -> Vec<OsString> { matches.get_many(id).unwrap_or_default().cloned().collect() };
    let mut rest = words("file");
    rest.extend(words("args"));
    let text = |args: Vec<OsString>| {
        args.iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect()
    };
    let mut code = words("code");
    if !code.is_empty() {
        let program = Program::Code(code.remove(0));
        code.extend(rest);
        return Job::Run {
            program,
            args: text(code),
        };
    }
    if rest.is_empty() {
        if std::io::stdin().is_terminal() {
            return Job::Repl;
        }
        rest.push("-".into());
    }
    let file = rest.remove(0);
    Job::Run {
        program: if file == OsStr::new("-") {
            Program::StandardInput
        } else {
            Program::File(file.into())
        },
        args: text(rest),
    }
}

fn command() -> clap::Command {
    let file = |is_required: bool| {
        [
            Arg::new("code")
                .short('e')
                .value_name("CODE")
                .num_args(1..)
                .allow_hyphen_values(true)
                .value_parser(OsStringValueParser::new())
                .help("Runs CODE; what follows it belongs to the script"),
            Arg::new("file")
                .value_name("FILE")
                .required_unless_present_any(is_required.then_some("code"))
                .value_parser(OsStringValueParser::new())
                .help("The script; `-` is standard input"),
            Arg::new("args")
                .value_name("ARGS")
                .num_args(..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(OsStringValueParser::new())
                .help("Arguments of the script: `os.args`"),
        ]
    };
    let path = |id: &'static str, name: &'static str| {
        Arg::new(id)
            .value_name(name)
            .value_parser(PathBufValueParser::new())
    };
    clap::Command::new("heddle")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Runs programs written in Heddle. Without arguments: the interactive session, or a program from standard input.")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(false)
        .args(file(false))
        .args(flags())
        .subcommand(
            clap::Command::new("run")
                .about("Runs a program")
                .args(file(true))
                .args(flags()),
        )
        .subcommand(
            clap::Command::new("check")
                .about("Compiles files and what they import, shows errors and warnings, runs nothing")
                .arg(path("files", "FILE").num_args(1..).required(true))
                .arg(
                    Arg::new("error-format")
                        .long("error-format")
                        .value_name("FORMAT")
                        .value_parser(error_format)
                        .help("How errors and warnings are told: long, with lines of the file; short, a line each; json, an object in a line each, on standard output"),
                )
                .args(flags()),
        )
        .subcommand(
            clap::Command::new("test")
                .about("Runs the test blocks of files, or of all .hd files in folders")
                .arg(path("paths", "PATH").num_args(..))
                .arg(
                    Arg::new("filter")
                        .long("filter")
                        .value_name("TEXT")
                        .help("Only tests whose name contains TEXT"),
                )
                .arg(
                    Arg::new("schedules")
                        .long("schedules")
                        .value_name("N")
                        .value_parser(count)
                        .conflicts_with("schedule")
                        .help("Runs each test under the seeds 1 to N; see --schedule"),
                )
                .arg(
                    Arg::new("fail-fast")
                        .long("fail-fast")
                        .action(ArgAction::SetTrue)
                        .help("Ends after the first test that fails"),
                )
                .arg(
                    Arg::new("shuffle")
                        .long("shuffle")
                        .value_name("SEED")
                        .value_parser(clap::value_parser!(u64))
                        .help("Runs files and tests in an order that SEED, a number, decides"),
                )
                .arg(
                    Arg::new("jobs")
                        .long("jobs")
                        .short('j')
                        .value_name("N")
                        .value_parser(count)
                        .help("Files that are tested at the same time (one for each processor)"),
                )
                .arg(
                    Arg::new("format")
                        .long("format")
                        .value_name("FORMAT")
                        .value_parser(format)
                        .help("How the ends of tests are told: pretty, tap, junit, json"),
                )
                .arg(
                    Arg::new("coverage")
                        .long("coverage")
                        .value_name("WHAT")
                        .num_args(0..=1)
                        .require_equals(true)
                        .default_missing_value("summary")
                        .value_parser(coverage)
                        .help("Counts which lines are run: summary, a table behind the tests, or lcov, a trace in lcov.info"),
                )
                .arg(
                    Arg::new("coverage-output")
                        .long("coverage-output")
                        .value_name("FILE")
                        .value_parser(clap::value_parser!(PathBuf))
                        .requires("coverage")
                        .help("Where the coverage goes instead; - is standard output"),
                )
                .arg(
                    Arg::new("allow-outside")
                        .long("allow-outside")
                        .value_name("WHAT")
                        .value_delimiter(',')
                        .value_parser(outside)
                        .requires("schedules")
                        .help("What tests may read that can be different each time: stdin, clock, files, env, process"),
                )
                .args(flags()),
        )
        .subcommand(
            clap::Command::new("fmt")
                .about("Writes files, or all .hd files in folders, in the one style")
                .arg(
                    path("paths", "PATH")
                        .num_args(0..)
                        .help("Files and folders (this folder); `-`: from standard input to standard output"),
                )
                .arg(
                    Arg::new("check")
                        .long("check")
                        .action(ArgAction::SetTrue)
                        .help("Writes nothing: names the files that are not in the style, and fails if there are any"),
                ),
        )
        .subcommand(
            clap::Command::new("explain")
                .about("Tells what a code of an error or warning means, with an example")
                .arg(
                    Arg::new("codes")
                        .value_name("CODE")
                        .num_args(0..)
                        .help("Such as E0102; without: the list of all"),
                ),
        )
        .subcommand(
            clap::Command::new("dis")
                .about("Shows a file's bytecode")
                .arg(path("file", "FILE").required(true))
                .args(flags()),
        )
        .subcommand(
            clap::Command::new("lsp")
                .about("The language server: answers an editor on standard input and output (Language Server Protocol)")
                .long_about(
                    "The language server. An editor starts it and speaks the Language Server Protocol with it on standard input and output; \
                     docs/editors.md tells how editors are set up.\n\nIt shows errors and warnings as `heddle check` does, with fixes, and knows hover, completion, \
                     signatures, definitions, references, rename, symbols, folding, highlighting and formatting. It runs no program.",
                )
                .arg(
                    Arg::new("stdio")
                        .long("stdio")
                        .action(ArgAction::SetTrue)
                        .help("What some editors add; it is so anyway"),
                ),
        )
        .subcommand(clap::Command::new("repl").about("The interactive session").args(flags()))
}

fn flags() -> [Arg; 16] {
    [
        Arg::new("memory")
            .long("memory")
            .value_name("SIZE")
            .value_parser(size)
            .help("Limits memory: 64mb, 2gb"),
        Arg::new("depth")
            .long("depth")
            .value_name("FRAMES")
            .value_parser(count)
            .help("Limits how deep calls nest (1,000,000)"),
        Arg::new("carriers")
            .long("carriers")
            .value_name("N")
            .value_parser(os_threads)
            .help("The most OS threads that run threads of the program (one for each processor)"),
        Arg::new("blocking")
            .long("blocking")
            .value_name("POLICY")
            .value_parser(policy)
            .help("What becomes of calls that block: offload (other OS threads make them), capture, error"),
        Arg::new("offload-max")
            .long("offload-max")
            .value_name("N")
            .value_parser(os_threads)
            .help("The most OS threads that make calls that block (64)"),
        Arg::new("threadlets")
            .long("threadlets")
            .value_name("MODE")
            .value_parser(threadlets)
            .help("When threadlets become tasks: inline (when they wait), split (at once), random:SEED"),
        Arg::new("trace-pinned")
            .long("trace-pinned")
            .value_name("short|full")
            .value_parser(trace_pinned)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("short")
            .help("Shows the stack whenever a task waits while a native function of a host has called it back"),
        Arg::new("blocking-allow")
            .long("blocking-allow")
            .value_name("NAMES")
            .value_delimiter(',')
            .value_parser(allowance)
            .help("Exceptions from --blocking=error: functions, `fs.read`, `fs.*`, `fs.read@lib/cache.hd` in one file only"),
        Arg::new("blocking-warn")
            .long("blocking-warn")
            .value_name("TIME")
            .value_parser(time)
            .help("Tells of functions that hold an OS thread for longer than TIME while others could run, though they are not known to block (10ms; 0: never)"),
        Arg::new("carriers-max")
            .long("carriers-max")
            .value_name("N")
            .value_parser(os_threads)
            .help("The most OS threads that run the program, with those that calls hold (64)"),
        Arg::new("schedule")
            .long("schedule")
            .value_name("seed:N")
            .value_parser(schedule)
            .help("Makes the run repeatable: the seed decides who runs when, random numbers, time"),
        Arg::new("faults")
            .long("faults")
            .value_name("LEVEL")
            .value_parser(faults)
            .requires("schedule")
            .hide(true)
            .help("Lets calls on sockets do less than they were asked for, by the seed: short, all (resets, too)"),
        Arg::new("trace-schedule")
            .long("trace-schedule")
            .action(ArgAction::SetTrue)
            .help("Says at the end what the schedule was, in a word, and what makes it not repeatable"),
        Arg::new("slice")
            .long("slice")
            .value_name("FUEL")
            .value_parser(count)
            .hide(true)
            .help("Calls and turns of loops after which another thread may get its turn (20,000)"),
        Arg::new("stress")
            .long("stress")
            .value_name("WHAT")
            .value_parser(stress)
            .action(ArgAction::Set)
            .help("Strains the VM, for its own tests: gc, suspend, migrate"),
        Arg::new("trace-safepoints")
            .long("trace-safepoints")
            .action(ArgAction::SetTrue)
            .hide(true)
            .help("Says at the end how long the program ran without a safepoint"),
    ]
}

fn coverage(text: &str) -> Result<CoverageKind, String> {
    match text {
        "summary" => Ok(CoverageKind::Summary),
        "lcov" => Ok(CoverageKind::Lcov),
        _ => Err("one of summary, lcov".into()),
    }
}

fn format(text: &str) -> Result<crate::tests::Format, String> {
    use crate::tests::Format;
    match text {
        "pretty" => Ok(Format::Pretty),
        "tap" => Ok(Format::Tap),
        "junit" => Ok(Format::Junit),
        "json" => Ok(Format::Json),
        _ => Err("one of pretty, tap, junit, json".into()),
    }
}

fn error_format(text: &str) -> Result<ErrorFormat, String> {
    match text {
        "long" => Ok(ErrorFormat::Long),
        "short" => Ok(ErrorFormat::Short),
        "json" => Ok(ErrorFormat::Json),
        _ => Err("one of long, short, json".into()),
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn faults(text: &str) -> Result<FaultLevel, String> {
    match text {
        "short" => Ok(FaultLevel::Short),
        "all" => Ok(FaultLevel::All),
        _ => Err("one of short, all".into()),
    }
}

/// `10ms`, `1s`, `500us`, `0`.
fn time(text: &str) -> Result<Duration, String> {
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = count(number)? as u64;
    match unit {
        "us" => Ok(Duration::from_micros(number)),
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "" if number == 0 => Ok(Duration::ZERO),
        _ => Err("times look like 10ms".into()),
    }
}

/// `fs.read`, `fs.*`, `fs.read@lib/cache.hd`.
fn allowance(text: &str) -> Result<(String, Option<String>), String> {
    let (function, file) = match text.split_once('@') {
        Some((function, file)) => (function, Some(file.to_string())),
        None => (text, None),
    };
    if heddle::blocks(function) {
        Ok((function.to_string(), file))
    } else {
        Err(format!("{function:?} is no function that blocks"))
    }
}

fn policy(text: &str) -> Result<Policy, String> {
    Policy::from_name(text).ok_or_else(|| "one of offload, capture, error".into())
}

fn trace_pinned(text: &str) -> Result<TracePinned, String> {
    match text {
        "short" => Ok(TracePinned::Short),
        "full" => Ok(TracePinned::Full),
        _ => Err("short or full".into()),
    }
}

fn threadlets(text: &str) -> Result<Threadlets, String> {
    match text.split_once(':') {
        None if text == "inline" => Ok(Threadlets::Inline),
        None if text == "split" => Ok(Threadlets::Split),
        Some(("random", seed)) => {
            let seed = seed.parse().map(Threadlets::Random);
            seed.map_err(|_| "the seed is a number".into())
        }
        _ => Err("one of inline, split, random:SEED".into()),
    }
}

/// `64mb`, `1_000kb`, `4096`.
fn size(text: &str) -> Result<usize, String> {
    let text = text.to_ascii_lowercase();
    let end = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor: usize = match unit {
        "" | "b" => 1,
        "kb" | "k" => 1 << 10,
        "mb" | "m" => 1 << 20,
        "gb" | "g" => 1 << 30,
        _ => return Err("sizes look like 64mb".into()),
    };
    count(number)?
        .checked_mul(factor)
        .ok_or_else(|| "the size is too large".into())
}

fn count(text: &str) -> Result<usize, String> {
    text.replace('_', "")
        .parse()
        .map_err(|_| "a whole number is expected".into())
}

/// The most OS threads for which there is an option.
const MOST_OS_THREADS: usize = heddle::MOST_CARRIERS;

fn os_threads(text: &str) -> Result<usize, String> {
    let n = count(text)?;
    match n <= MOST_OS_THREADS {
        true => Ok(n),
        false => Err(format!("at most {MOST_OS_THREADS} are possible")),
    }
}

fn stress(text: &str) -> Result<Stress, String> {
    match text {
        "gc" => Ok(Stress::Collect),
        "suspend" => Ok(Stress::Suspend),
        "migrate" => Ok(Stress::Migrate),
        _ => Err("gc, suspend or migrate is expected".into()),
    }
}

fn schedule(text: &str) -> Result<Schedule, String> {
    text.strip_prefix("seed:")
        .and_then(|number| number.parse().ok())
        .map(Schedule::Seed)
        .ok_or_else(|| "seed:N is expected, N a whole number".into())
}

fn outside(text: &str) -> Result<Outside, String> {
    let found = Outside::ALL.into_iter().find(|what| what.name() == text);
    found.ok_or_else(|| "stdin, clock, files, env or process is expected".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Command, clap::Error> {
        let words = ["heddle"].iter().chain(line).map(OsString::from);
        read_from(words.collect())
    }
    #[track_caller]
    fn runs(line: &[&str], file: &str, script_args: &[&str]) {
        match parse(line).map(|c| c.job) {
            Ok(Job::Run { program, args }) => {
                let found = match program {
                    Program::File(path) => path.into_os_string(),
                    Program::Code(code) => code,
                    Program::StandardInput => "-".into(),
                };
                assert_eq!(
                    (found, args.as_slice()),
                    (
                        file.into(),
                        &script_args
                            .iter()
                            .map(|s| s.to_string())
                            .collect::<Vec<_>>()[..]
                    )
                );
            }
            Ok(_) => panic!("{line:?} is no run"),
            Err(error) => panic!("{line:?}: {error}"),
        }
    }

    #[test]
    fn what_follows_the_script_belongs_to_it() {
        runs(&["f.hd"], "f.hd", &[]);
        runs(
            &["f.hd", "--depth=3", "-e", "run"],
            "f.hd",
            &["--depth=3", "-e", "run"],
        );
        runs(
            &["run", "f.hd", "--help", "--", "-x"],
            "f.hd",
            &["--help", "--", "-x"],
        );
        runs(&["--depth=3", "run", "f.hd", "check"], "f.hd", &["check"]);
        runs(&["--depth", "3", "f.hd", "check"], "f.hd", &["check"]);
        runs(&["-e", "1", "a", "-b", "--c"], "1", &["a", "-b", "--c"]);
        runs(&["--memory=1mb", "-e", "", "run"], "", &["run"]);
        runs(&["run", "-e", "- 1"], "- 1", &[]);
        runs(&["-", "-x"], "-", &["-x"]);
        runs(&["run.hd", "test"], "run.hd", &["test"]);
    }

    #[test]
    fn wrong_usage_is_an_error() {
        for line in [
            &["run"][..],
            &["--nope"],
            &["run", "--nope", "x"],
            &["--memory=lots", "x"],
            &["check"],
            &["dis"],
            &["--stress=x", "f"],
            &["--schedule=7", "f"],
            &["--schedule=seed:", "f"],
            &["test", "--schedules=3", "--allow-outside=moon"],
            &["test", "--allow-outside=env"],
            &["test", "--schedules=3", "--schedule=seed:3"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64mb"), Ok(64 << 20));
        assert_eq!(size("1_000KB"), Ok(1000 << 10));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["", "mb", "1tb", "1.5mb", "99999999999gb", "-1"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
