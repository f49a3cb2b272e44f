//! How a thread is made, and how it may fail.

use super::{DEFAULT_DEPTH, DEFAULT_MAX_CARRIERS, Threadlets, TracePinned};
use crate::sched::choices::Schedule;

/// How tests strain the VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stress {
    #[default]
    None,
    /// Collect at every allocation.
    Collect,
    /// At every safepoint leave the task, move its registers, collect, resume it on another OS thread.
    Suspend,
    /// Short slices, and after each another carrier (another OS thread) goes on with the thread, if there are two.
    Migrate,
}

/// How a thread is made.
pub struct Options {
    /// Bytes its heap and stacks may take.
    pub memory: usize,
    /// Frames a task may nest.
    pub depth: usize,
    pub stress: Stress,
    /// Measures the stretches between safepoints.
    pub trace_safepoints: bool,
    /// The most OS threads that run threads of the language at a time.
    pub carriers: usize,
    /// By what the scheduler goes; with a seed, one carrier runs all.
    pub schedule: Schedule,
    /// Fuel of one slice, if it is not the usual one; at most that.
    pub slice: Option<usize>,
    pub output: Box<dyn std::io::Write + Send>,
    /// `os.args`.
    pub script_args: Vec<String>,
    /// What calls of the system answer; needs a seed.
    pub faults: crate::io::FaultLevel,
    /// The most carriers there are, with those that are held by blocking calls.
    pub max_carriers: usize,
    /// When threadlets become tasks of their own.
    pub threadlets: Threadlets,
    /// Whether it is shown when a task waits while it is pinned.
    pub trace_pinned: TracePinned,
    /// What becomes of blocking calls.
    pub blocking: crate::io::Policy,
    /// Exceptions from the policy `Error`: functions, each for all files or for those whose path ends so.
    pub allowed: Vec<(String, Option<String>)>,
    /// The most OS threads that make blocking calls for parked tasks.
    pub max_workers: usize,
    /// When to tell of a native that holds a carrier although it is not known to block; `None`: never.
    pub blocking_warn: Option<BlockingWarn>,
    /// Called once, when there are more than `MANY_TASKS` tasks or threads or they have more than `LARGE_BYTES`: the program may want to set its memory up for that.
    pub on_large: Option<fn()>,
    /// Called by OS threads without work, each for itself, after the program's memory has become much less than it was: the allocator may keep some that
    /// could go back to the system.
    pub on_shrunk: Option<fn()>,
}

/// See `Options::blocking_warn`.
#[derive(Clone, Copy, Debug)]
pub struct BlockingWarn {
    /// How long a native may hold a carrier while there are others that could run.
    pub after: std::time::Duration,
    /// Called with the report, the first time for each native and place.
    pub tell: fn(&str),
}

impl Default for Options {
    fn default() -> Options {
        Options {
            memory: usize::MAX / 4,
            depth: DEFAULT_DEPTH,
            stress: Stress::None,
            trace_safepoints: false,
            carriers: std::thread::available_parallelism().map_or(1, usize::from),
            schedule: Schedule::Ordinary,
            faults: crate::io::FaultLevel::None,
            slice: None,
            output: Box::new(std::io::BufWriter::new(std::io::stdout())),
            script_args: Vec::new(),
            max_carriers: DEFAULT_MAX_CARRIERS,
            threadlets: Threadlets::default(),
            trace_pinned: TracePinned::default(),
            blocking: crate::io::Policy::default(),
            max_workers: crate::sched::DEFAULT_MAX_WORKERS,
            blocking_warn: None,
            allowed: Vec::new(),
            on_large: None,
            on_shrunk: None,
        }
    }
}

/// An error that nobody caught.
#[derive(Debug)]
pub enum Failure {
    /// An uncaught value: the thread's `thrown`.
    Thrown,
    /// `os.exit(code)`.
    Exit(i32),
}
