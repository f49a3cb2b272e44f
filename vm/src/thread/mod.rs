//! A thread of the language: one heap, its tasks, and the machine state of the task that is mounted.
//!
//! While the interpreter runs, the mounted task's registers are `pc`, `base` and the `stack_*` fields here; when the task is left they are in its
//! `Task`. Everything that a suspended task needs is data in `Task` and in its register stack, so a thread may be resumed on
//! another OS thread (`--stress=suspend` does that at every safepoint).

mod cancel;
mod carrier;
mod cross;
mod expression;
mod leaks;
mod liveness;
mod operand;
mod pin;
pub(crate) mod report;
mod runtime;
mod start;
mod stay;
pub(crate) mod threadlet;
mod wait;
#[cfg(loom)]
pub(crate) use wait::{claim_own, end_wait};

pub(crate) use carrier::{Carrier, Ended, HOST_THREAD, Settings};
pub use runtime::RUNTIME;
pub(crate) use wait::thread_of;

pub use crate::sched::host::{TaskInfo, Waker};
pub use pin::TracePinned;
pub use stay::Idled;
pub use threadlet::Threadlets;

use crate::account;
use crate::bytecode::{Op, Word};
use crate::engine::{Engine, Hooks};
use crate::heap::{Collect, Extent, Heap, Roots};
use crate::interp::frame::{self, Frames};
use crate::interp::{self, Exit};
use crate::module::{Link, Module, Proto, Slot};
use crate::native::Trap;
use crate::object::{Closure, Header, Kind, List, Tuple, TypeObject, type_id};
use crate::ops::{self, OpFail};
pub use crate::sched::choices::{Outside, Schedule, ScheduleTrace};
use crate::sched::{Own, Scheduler, ThreadBlock, sites};
use crate::stretch::Stretches;
use crate::task::{ReadyQueue, Stack, Task, TaskList, TaskPool, flag};
use crate::types::{ErrorKind, Shape, Sym, TypeInfo};
use crate::value::Value;
use std::any::Any;
use std::collections::HashMap;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Slots behind the stack limit that binding of arguments may use without asking.
pub(crate) const SLACK: usize = 512;
/// Fuel of one slice: about 100 µs.
const SLICE_FUEL: i64 = 20_000;
/// The same under `--stress=migrate`, at first: after so many changes of carrier, which take some twenty microseconds each, it doubles.
const MIGRATION_FUEL: i64 = 64;
const MIGRATIONS_BY_LENGTH: u64 = 100;
/// Slots above the top are known to be clear up to the soft limit: no further than this above the top.
const SOFT_SLOTS: usize = 16 * 1024;
/// How deep calls may nest unless the host says otherwise.
pub const DEFAULT_DEPTH: usize = 1_000_000;

/// See `Options::max_carriers`.
const DEFAULT_MAX_CARRIERS: usize = 64;

/// See `Options::on_many_tasks`.
pub const MANY_TASKS: usize = 10_000;

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
    /// Called once, when there are more than `MANY_TASKS` tasks or threads: the program may want to set its memory up for that.
    pub on_many_tasks: Option<fn()>,
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
            on_many_tasks: None,
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

/// See the head of this file.
#[repr(C)]
pub struct Thread {
    pub(crate) fuel: i64,
    /// Frames may not reach beyond this slot; `ensure_stack` moves it.
    pub(crate) stack_limit: *mut Value,
    pub(crate) heap: Heap,
    pub(crate) methods: *const Value,
    pub(crate) vars: *mut Value,
    /// See `cache`.
    pub(crate) member_cache: *mut crate::cache::Entry,
    pub(crate) pc: *const u64,
    pub(crate) base: *mut Value,
    #[cfg(heddle_tail_calls)]
    pub(crate) handlers: [crate::interp::tail::Handler; 256],
    pub(crate) stack: Stack,
    pub(crate) engine: Arc<Engine>,
    pub(crate) hooks: Hooks,
    /// The `push` of lists, which calls of it are quickened for; unset until the prelude is there.
    pub(crate) list_push: Value,
    /// What is being thrown; unset: a generator is being closed.
    pub(crate) thrown: Value,
    /// The trace of a thrown value that is no error.
    pub(crate) loose_trace: Vec<(*const Proto, u64)>,
    pub(crate) result: Value,
    pub(crate) returned: bool,
    pub(crate) yielded: bool,
    /// Where `Trap::Collect` was last answered.
    pub(crate) retry_pc: *const u64,
    pub(crate) pending_call: (Value, Vec<Value>),
    /// Register of the top frame that gets the result of a wait.
    pub(crate) wait_dest: usize,
    /// Registers of the top frame that are live beyond its own (arguments of a native).
    pub(crate) scan_extra: usize,
    /// During a call of a crossing native: which arguments (bit 0: the first behind self) were written `copy(x)`.
    pub(crate) copy_mask: u32,
    pub(crate) exit_code: i32,
    /// Host functions on the native stack that have called back.
    pub(crate) nesting: usize,
    pub(crate) scheduler: Arc<Scheduler>,
    /// The thread that is mounted.
    pub(crate) block: BlockRef,
    /// The thread that a host calls, whose heap holds its values.
    pub(crate) main: Arc<ThreadBlock>,
    /// What of the mounted thread is not at hand above.
    pub(crate) parts: PartsRef,
    /// The engine's table of that many variables that are all unset; null, and `u32::MAX`: not asked for yet.
    no_vars: *mut Value,
    no_var_count: u32,
    /// How many threads it has started.
    pub(crate) started: u32,
    /// This carrier's queues.
    pub(crate) own: Own,
    /// How many tasks it has run.
    turn: u32,
    /// Number of the thread whose values lie in the run stack; 0: none. (Not its address, which another may have by now.)
    stack_owner: u64,
    pub(crate) site_cache: sites::SiteCache,
    pub(crate) pool: TaskPool,
    /// The task that runs; null: none.
    pub(crate) current: *mut Task,
    /// The innermost task of a threadlet that is under way, else `current`: see `threadlet`.
    pub(crate) identity: *mut Task,
    /// Stack slot of the state of the innermost threadlet that is under way; 0: none.
    pub(crate) boundary: usize,
    pub(crate) threadlets: Threadlets,
    /// What waits can go on at once: it was only to leave the stack.
    pub(crate) parks_ready: bool,
    /// Another carrier runs what this one cannot, as a host's function is busy on it.
    pub(crate) is_replaced: bool,
    /// Stack slot of the stub of the innermost call that a host's function makes; 0: none.
    pub(crate) nested_slot: usize,
    /// It is the host's.
    is_host: bool,
    /// Where the task or thread was started whose error ended the program, and where its starters were.
    pub(crate) failed_sites: Vec<(*const Proto, u64)>,
    /// Other errors that nobody joined for: handles of them, and where what failed was started.
    pub(crate) also_failed: Vec<(usize, Vec<(*const Proto, u64)>)>,
    /// A clear run stack, for when a task takes this one along.
    spare_stack: Option<Stack>,
    /// State of `random_below`.
    pub(crate) random: u64,
    /// The running task is being killed: no handler but cleanups sees that.
    pub(crate) is_killing: bool,
    stress: Stress,
    pub(crate) stretches: Option<Box<Stretches>>,
    /// Fuel that was given for this slice, and what the thread may use from the beginning of the slice on.
    slice: i64,
    is_out_of_fuel: bool,
    depth_limit: usize,
    stress_ticks: usize,
    memory_limit: usize,
    hopper: Option<crate::task::Hopper>,
    member_entries: Box<[crate::cache::Entry]>,
    /// Constants for strings of symbols, made when first needed.
    symbol_values: HashMap<Sym, Value>,
    /// The mounted thread is the host's, which wants it.
    goes_home: bool,
    /// The host waits for its thread, which it has sent away to let a pinned task leave.
    wants_home: bool,
    /// Ctrl-C was pressed for the input, which was not told yet.
    is_interrupted: bool,
    /// Every task waited while the host's carrier was pinned: the report.
    pinned_deadlock: Option<String>,
    /// Everything was stopped while a host that stays asked for something else.
    pending_end: Option<Failure>,
}

// SAFETY: a thread owns what its pointers lead to; it is used by one OS thread at a time.
unsafe impl Send for Thread {}

/// What belongs to a thread of the language, besides its heap.
pub(crate) struct Parts {
    pub(crate) tasks: TaskList,
    pub(crate) ready: ReadyQueue,
    /// What its first task returned or threw.
    pub(crate) main_result: Value,
    pub(crate) next_task: u64,
    /// How its first task ended, or that it has not.
    pub(crate) main_ended: crate::task::Ended,
    pub(crate) stopped: Stopped,
    /// How many of its tasks are detached.
    pub(crate) detached: u32,
    /// Its heap lies beside this.
    has_heap: bool,
    /// The carrier that had it mounted last.
    carrier: u32,
    more: Option<Box<MoreParts>>,
}

/// What a thread was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopped {
    No,
    Cancelled,
    /// What its tasks start from now on never runs.
    Killed,
}

/// What few threads have.
#[derive(Default)]
pub(crate) struct MoreParts {
    /// Its module-level variables; empty until it sets one.
    pub(crate) vars: Vec<Value>,
    /// Values that hosts and scopes hold.
    pub(crate) handles: Vec<Value>,
    pub(crate) free_handles: Vec<usize>,
    /// Handles of tasks that failed and that nobody has joined for yet, and where these were started.
    pub(crate) failed: Vec<(Value, u32)>,
    /// Methods of local types that capture variables.
    pub(crate) local_methods: HashMap<(u32, Sym), usize>,
    /// Where the last error that nobody caught was thrown, if it is no error object.
    pub(crate) loose_trace: Vec<(*const Proto, u64)>,
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            tasks: TaskList::default(),
            ready: ReadyQueue::default(),
            main_result: Value::NIL,
            next_task: 0,
            main_ended: crate::task::Ended::Returned,
            stopped: Stopped::No,
            detached: 0,
            has_heap: false,
            carrier: u32::MAX,
            more: None,
        }
    }
}

impl Parts {
    /// The number of a new task.
    #[inline]
    pub(crate) fn new_number(&mut self) -> u64 {
        self.next_task += 1;
        self.next_task
    }
    pub(crate) fn more(&mut self) -> &mut MoreParts {
        self.more.get_or_insert_default()
    }
    pub(crate) fn more_if_any(&self) -> Option<&MoreParts> {
        self.more.as_deref()
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        drop_tasks(&mut self.tasks);
    }
}

/// Ends tasks without running them any further. Nobody else may wake one: no carrier runs, or all their objects are their thread's.
pub(crate) fn drop_tasks(tasks: &mut TaskList) {
    // First all: a task may wait for another one's end.
    for task in tasks.iter() {
        // SAFETY: made by a pool, and alive; so is what it waits for, which its heap holds.
        unsafe {
            wait::unlink(task);
            if let Some(more) = (*task).more_if_any_mut() {
                crate::shared::permits::abandon(std::mem::take(&mut more.locks), task);
            }
        }
    }
    while let Some(task) = tasks.pop() {
        // SAFETY: as above; nothing leads to it any more.
        unsafe { TaskPool::free(task) };
    }
}

/// The parts of the mounted thread, which lie in its block.
pub(crate) struct PartsRef {
    parts: *mut Parts,
    /// Stands for those of no thread.
    none: Box<Parts>,
}

impl PartsRef {
    fn none() -> PartsRef {
        let mut none = Box::<Parts>::default();
        PartsRef {
            parts: &raw mut *none,
            none,
        }
    }
    fn set(&mut self, parts: *mut Parts) {
        self.parts = parts;
    }
    fn set_to_none(&mut self) {
        self.parts = &raw mut *self.none;
    }
}

impl Deref for PartsRef {
    type Target = Parts;
    #[inline]
    fn deref(&self) -> &Parts {
        // SAFETY: the mounted thread's, which this carrier has for itself.
        unsafe { &*self.parts }
    }
}
impl DerefMut for PartsRef {
    #[inline]
    fn deref_mut(&mut self) -> &mut Parts {
        // SAFETY: as above.
        unsafe { &mut *self.parts }
    }
}

/// The block of the mounted thread. It is not counted: the registry keeps a thread that has not ended, and the machine that of its host.
#[derive(Clone, Copy)]
pub(crate) struct BlockRef(*const ThreadBlock);

impl BlockRef {
    fn new(block: &Arc<ThreadBlock>) -> BlockRef {
        BlockRef(Arc::as_ptr(block))
    }
    /// # Safety
    /// The block lives as long as this is used.
    unsafe fn from_ptr(block: *const ThreadBlock) -> BlockRef {
        BlockRef(block)
    }
    pub(crate) fn as_ptr(&self) -> *const ThreadBlock {
        self.0
    }
    /// A counted reference.
    pub(crate) fn to_arc(self) -> Arc<ThreadBlock> {
        // SAFETY: blocks are made in `Arc`s, and this one is alive.
        unsafe {
            Arc::increment_strong_count(self.0);
            Arc::from_raw(self.0)
        }
    }
}

impl Deref for BlockRef {
    type Target = ThreadBlock;
    #[inline]
    fn deref(&self) -> &ThreadBlock {
        // SAFETY: see the type.
        unsafe { &*self.0 }
    }
}

/// What of a thread of the language lies in its block.
pub(crate) struct Mounted {
    pub(crate) parts: Parts,
    /// With the carrier while that has the thread mounted.
    heap: ManuallyDrop<Heap>,
}

struct ThreadRoots<'a> {
    thread: &'a mut ThreadParts,
}
/// The thread without its heap, as the collector's roots see it.
struct ThreadParts {
    thread: *mut Thread,
}

impl Roots for ThreadRoots<'_> {
    fn visit(&mut self, extent: Extent, visit: &mut dyn FnMut(*mut Value, usize)) {
        // SAFETY: the collector runs on behalf of this thread and touches only the heap; the fields visited here are others.
        unsafe {
            let t = self.thread.thread;
            if !(*t).base.is_null() {
                visit_stack((*t).base, (*t).scan_extra, extent, visit);
            }
            let current = (*t).current;
            let parts: &Parts = &(*t).parts;
            for task in parts.tasks.iter() {
                // SAFETY: a task of the list. One that waits may be claimed meanwhile: wakers touch other fields.
                let is_touched = (*task).flags & flag::TOUCHED != 0;
                if extent == Extent::Changed && !is_touched {
                    break;
                }
                if (*task).handle.is_object() {
                    visit(&raw mut (*task).handle, 1);
                }
                if let Some(more) = (*task).more_if_any_mut() {
                    visit(&raw mut more.wait_value, 1);
                }
                let base = (*task).base();
                if !base.is_null() {
                    // What lies above its registers in a run stack that it took along is clear.
                    visit_stack(base, (*task).live as usize, extent, visit);
                }
                if extent != Extent::Look && !(*task).is_mounted() {
                    (*task).flags &= !flag::TOUCHED;
                }
            }
            visit(&raw mut (*t).thrown, 1);
            visit(&raw mut (*t).result, 1);
            visit(&raw mut (*t).pending_call.0, 1);
            let pending = &mut (*t).pending_call.1;
            visit(pending.as_mut_ptr(), pending.len());
            let parts: &mut Parts = &mut (*t).parts;
            if extent != Extent::Look && !current.is_null() {
                parts.tasks.put_first(current);
            }
            visit(&raw mut parts.main_result, 1);
            if let Some(more) = parts.more.as_deref_mut() {
                visit(more.handles.as_mut_ptr(), more.handles.len());
                for failed in &mut more.failed {
                    visit(&raw mut failed.0, 1);
                }
                visit(more.vars.as_mut_ptr(), more.vars.len());
            }
        }
    }
}

/// Visits the registers of the frames of a stack, from the top down to where `extent` says; see `frame::SEEN`.
///
/// The closure of a frame may have moved on behalf of another root: its slot is visited before the prototype is asked for.
///
/// # Safety
/// `base` must be that of the stack's top frame.
unsafe fn visit_stack(
    mut base: *mut Value,
    extra: usize,
    extent: Extent,
    visit: &mut dyn FnMut(*mut Value, usize),
) {
    let mut above: Option<*mut Value> = None;
    // SAFETY: promised by the caller; each frame's closure slot lies two below its base, and return words lead to the callers.
    unsafe {
        loop {
            visit(base.sub(2), 1);
            let live = match above {
                // What lies above the callee's closure slot belongs to the callee.
                Some(callee) => callee.sub(2).offset_from(base) as usize,
                None => ((*frame::proto(base)).registers as usize).max(extra),
            };
            visit(base, live);
            above = Some(base);
            let word = frame::ret(base);
            match extent {
                Extent::Look => {}
                Extent::Changed if word & frame::SEEN != 0 => break,
                Extent::Changed | Extent::All => frame::set_mark(base, frame::SEEN),
            }
            if word == 0 {
                break;
            }
            base = base.sub(frame::return_distance(word) + 2);
        }
    }
}

impl Thread {
    /// A thread without tasks, for a host.
    pub fn new(engine: Arc<Engine>, options: Options) -> Box<Thread> {
        let carriers = match options.schedule {
            Schedule::Ordinary => options.carriers.max(1),
            Schedule::Seed(_) => 1,
        };
        let settings = Settings {
            memory: options.memory,
            depth: options.depth.max(1),
            stress: options.stress,
            slice: options.slice.map_or(SLICE_FUEL, |fuel| {
                i64::try_from(fuel.max(1)).map_or(SLICE_FUEL, |fuel| fuel.min(SLICE_FUEL))
            }),
            script_args: options.script_args.into(),
            on_many_tasks: options.on_many_tasks,
            on_shrunk: options.on_shrunk,
            carriers,
            max_workers: options.max_workers.max(1),
            threadlets: options.threadlets,
            trace_pinned: options.trace_pinned,
            blocking_warn: options.blocking_warn,
        };
        // With a seed, too: a pinned task's carrier is replaced by another one.
        let max_carriers = options.max_carriers.max(carriers);
        let (scheduler, own) = Scheduler::new(
            engine,
            settings,
            options.schedule,
            options.faults,
            max_carriers,
            options.blocking,
            options.output,
        );
        account::enter(Some(&scheduler.account));
        for (function, file) in &options.allowed {
            scheduler.blocking.allow(function, file.as_deref());
        }
        let main = Arc::new(ThreadBlock::new(
            1,
            Mounted::new(options.memory),
            Some("main".into()),
            None,
            sites::NO_SITE,
        ));
        let _ = main.signal.begin();
        let mut this = Thread::machine(&scheduler, main.clone(), own);
        // SAFETY: the state is running, and this carrier made it so.
        this.heap = unsafe { (*main.parts.get_mut()).take_heap() };
        this.stack_owner = main.id;
        // SAFETY: the state is running, and this carrier made it so.
        this.parts
            .set(unsafe { &raw mut (*main.parts.get_mut()).parts });
        this.is_host = true;
        this.stretches = options.trace_safepoints.then(|| Box::new(Stretches::new()));
        this.start_slice();
        this
    }
    /// What runs threads: with nothing mounted but the empty heap.
    fn machine(scheduler: &Arc<Scheduler>, main: Arc<ThreadBlock>, own: Own) -> Box<Thread> {
        let engine = scheduler.engine.clone();
        let settings = &scheduler.settings;
        let methods = engine.methods_base();
        let hooks = *engine.hooks.read();
        let mut member_entries =
            vec![crate::cache::Entry::default(); crate::cache::SIZE].into_boxed_slice();
        let stack = Stack::with_capacity(carrier::RUN_STACK_SLOTS);
        Box::new(Thread {
            fuel: 0,
            stack_limit: stack.start,
            heap: Heap::new(settings.memory),
            methods,
            vars: engine.no_vars(),
            member_cache: member_entries.as_mut_ptr(),
            member_entries,
            pc: std::ptr::null(),
            base: std::ptr::null_mut(),
            #[cfg(heddle_tail_calls)]
            handlers: crate::interp::tail::HANDLERS,
            stack,
            engine,
            hooks,
            list_push: Value::UNSET,
            thrown: Value::NIL,
            loose_trace: Vec::new(),
            result: Value::NIL,
            returned: false,
            yielded: false,
            retry_pc: std::ptr::null(),
            pending_call: (Value::NIL, Vec::new()),
            wait_dest: 0,
            scan_extra: 0,
            copy_mask: 0,
            exit_code: 0,
            nesting: 0,
            block: BlockRef::new(&main),
            main,
            parts: PartsRef::none(),
            no_vars: std::ptr::null_mut(),
            no_var_count: u32::MAX,
            started: 0,
            own,
            turn: 0,
            stack_owner: 0,
            site_cache: sites::SiteCache::new(),
            pool: TaskPool::new(),
            current: std::ptr::null_mut(),
            identity: std::ptr::null_mut(),
            boundary: 0,
            threadlets: settings.threadlets,
            parks_ready: false,
            is_replaced: false,
            nested_slot: 0,
            is_killing: false,
            stress: settings.stress,
            stretches: None,
            slice: 0,
            is_out_of_fuel: false,
            depth_limit: settings.depth,
            stress_ticks: 0,
            memory_limit: settings.memory,
            hopper: None,
            symbol_values: HashMap::new(),
            goes_home: false,
            wants_home: false,
            is_interrupted: false,
            pinned_deadlock: None,
            pending_end: None,
            scheduler: scheduler.clone(),
            is_host: false,
            failed_sites: Vec::new(),
            also_failed: Vec::new(),
            spare_stack: None,
            random: 0x9E37_79B9_7F4A_7C15,
        })
    }

    /// What this OS thread takes is this program's, until it drops the result: then it works for whom it worked for before.
    pub(crate) fn enter(&self) -> account::Entered {
        account::enter_for_now(&self.scheduler.account)
    }

    #[inline]
    pub fn engine(&self) -> &'static Engine {
        // SAFETY: the `Arc` is held as long as the thread; the reference is used only while the thread is.
        unsafe { &*Arc::as_ptr(&self.engine) }
    }
    pub fn engine_arc(&self) -> Arc<Engine> {
        self.engine.clone()
    }
    pub(crate) fn types(&self) -> &'static Engine {
        self.engine()
    }

    pub(crate) fn own(&mut self) -> &mut Own {
        &mut self.own
    }
    /// Gives its queues away: it runs no more.
    fn take_own(&mut self) -> Own {
        std::mem::replace(&mut self.own, Own::nothing())
    }

    // --- registers of the top frame

    #[inline]
    pub(crate) fn reg(&self, i: usize) -> Value {
        // SAFETY: callers pass registers of the running frame or its call windows, which lie inside the stack and its slack.
        unsafe { *self.base.add(i) }
    }
    #[inline]
    pub(crate) fn set_reg(&mut self, i: usize, value: Value) {
        // SAFETY: as in `reg`.
        unsafe { *self.base.add(i) = value }
    }
    #[inline]
    pub(crate) fn constant(&self, index: i32) -> Value {
        // SAFETY: verified: the constant exists.
        unsafe { *frame::constants(self.base).add(index as usize) }
    }
    #[inline]
    pub(crate) fn constant_place(&self, index: i32) -> *const Value {
        // SAFETY: verified: the constant exists.
        unsafe { frame::constants(self.base).add(index as usize) }
    }
    pub(crate) fn running_module(&self) -> &'static Module {
        // SAFETY: modules live as long as the engine.
        unsafe { &*(*frame::proto(self.base)).module }
    }
    pub(crate) fn stack_index(&self, p: *mut Value) -> usize {
        // SAFETY: `p` points into the stack.
        unsafe { p.offset_from(self.stack.start) as usize }
    }
    pub(crate) fn stack_slot(&self, index: usize) -> Value {
        // SAFETY: made by `stack_index`.
        unsafe { *self.stack.start.add(index) }
    }

    // --- names

    /// Operand symbols are those of the engine once a module is linked.
    pub(crate) fn engine_symbol(&self, imm: i32) -> Sym {
        Sym(imm as u32)
    }
    pub(crate) fn symbol_text(&self, imm: i32) -> String {
        self.engine().symbol_text(Sym(imm as u32)).to_string()
    }
    /// The text of a symbol as a (permanent) string.
    pub(crate) fn symbol_value(&mut self, name: Sym) -> Value {
        if let Some(v) = self.symbol_values.get(&name) {
            return *v;
        }
        let v = self.engine().permanent_str(self.engine().symbol_text(name));
        self.symbol_values.insert(name, v);
        v
    }
    pub(crate) fn text_value(&mut self, text: &str) -> Value {
        ops::text::new_reserved(&mut self.heap, text)
    }
    pub(crate) fn global_name(&self, index: u32) -> String {
        self.slot_name(self.running_module(), Slot::Global(index))
    }
    pub(crate) fn var_name(&self, index: u32) -> String {
        let module = self.running_module();
        self.slot_name(module, Slot::Var(index - module.var_base))
    }
    fn slot_name(&self, module: &Module, slot: Slot) -> String {
        let name = module
            .names
            .iter()
            .find(|(_, (s, _))| *s == slot)
            .map(|(n, _)| *n);
        name.map_or("a name".into(), |n| {
            self.engine().symbol_text(n).to_string()
        })
    }
    /// A variable of the mounted thread; unset: it has none.
    pub(crate) fn var(&mut self, index: u32) -> Value {
        let vars = self.parts.more_if_any().map(|more| &more.vars);
        let value = vars.and_then(|vars| vars.get(index as usize));
        value.copied().unwrap_or(Value::UNSET)
    }
    pub(crate) fn set_var(&mut self, index: u32, value: Value) {
        self.ensure_vars(index + 1);
        self.parts.more().vars[index as usize] = value;
    }
    /// Makes room in the variable table; new slots are unset.
    pub(crate) fn ensure_vars(&mut self, count: u32) {
        if self.parts.more().vars.len() < count as usize {
            // The fast path reads any variable there is.
            let all = self.engine().var_count().max(count);
            self.parts.more().vars.resize(all as usize, Value::UNSET);
        }
        self.use_vars();
    }
    /// Lets the fast path read the mounted thread's variables; one that has none reads a table in which every slot is unset.
    #[inline]
    pub(crate) fn use_vars(&mut self) {
        // Most threads set none.
        if self.parts.more.is_none() && self.no_var_count == self.engine.var_count() {
            self.vars = self.no_vars;
        } else {
            self.look_for_vars();
        }
    }
    #[inline(never)]
    fn look_for_vars(&mut self) {
        let engine = self.engine();
        self.vars = match &mut self.parts.more {
            Some(more) if !more.vars.is_empty() => {
                let count = engine.var_count() as usize;
                if more.vars.len() < count {
                    more.vars.resize(count, Value::UNSET);
                }
                more.vars.as_mut_ptr()
            }
            _ => {
                // The engine's table is behind a lock, which carriers would take turns at with each thread that they mount.
                let count = engine.var_count();
                if self.no_vars.is_null() || self.no_var_count < count {
                    self.no_vars = engine.no_vars();
                    self.no_var_count = count;
                }
                self.no_vars
            }
        };
    }
    /// The function that gives a `local var` its first value.
    pub(crate) fn var_initialiser(&mut self, index: u32) -> Option<Value> {
        let module = self.running_module();
        let proto = module
            .initialisers
            .get()?
            .get(&(index - module.var_base))?
            .clone();
        Some(self.closure_of(&proto))
    }

    /// A closure without captures.
    pub(crate) fn closure_of(&mut self, proto: &Arc<Proto>) -> Value {
        let object = self
            .heap
            .alloc(
                Header::new(Kind::Closure, type_id::FUNCTION, 0),
                size_of::<Closure>(),
            )
            .cast::<Closure>();
        // SAFETY: `alloc` made room; prototypes live as long as the engine.
        unsafe { (*object).consts = proto.consts_start };
        Value::local(object.cast())
    }

    /// Remembers a member: in the cache word if that is free, else in the thread's table, by which the instruction goes from then on.
    pub(crate) fn remember(
        &mut self,
        word: *mut u64,
        type_id: u32,
        symbol: Sym,
        what: u64,
        index: u32,
    ) {
        // SAFETY: verified: a cache word follows the instruction's; carriers write both whole.
        let (code, word) = unsafe {
            let word = word.cast::<std::sync::atomic::AtomicU64>();
            (&*word.sub(1), &*word)
        };
        if word.load(Ordering::Relaxed) == 0 {
            word.store(type_id as u64 | (index as u64) << 32, Ordering::Relaxed);
            return;
        }
        let instruction = Word(code.load(Ordering::Relaxed));
        let by_table = match instruction.op() {
            Some(Op::GetField) => Some(Op::GetFieldT),
            Some(Op::SetField) => Some(Op::SetFieldT),
            Some(Op::Invoke | Op::InvokePush | Op::InvokeNative) => Some(Op::InvokeT),
            _ => None,
        };
        if let Some(op) = by_table {
            code.store(instruction.with_op(op).0, Ordering::Relaxed);
        }
        let key = crate::cache::key(type_id, symbol.0, what);
        self.member_entries[crate::cache::slot(key)] = crate::cache::Entry { key, index };
    }

    // --- types

    pub(crate) fn type_info_of(&self, ty: Value) -> *const TypeInfo {
        // SAFETY: the caller knows it is a type.
        unsafe { (*ty.as_object().cast::<TypeObject>()).info }
    }
    /// `Shape.Circle`, `Point`.
    pub(crate) fn qualified_name(&self, id: u32) -> String {
        let info = self.engine().type_info(id);
        match info.parent {
            Some(parent) if info.shape == Shape::Variant => {
                format!("{}.{}", self.engine().type_info(parent).name, info.name)
            }
            _ => info.name.to_string(),
        }
    }
    pub(crate) fn type_name(&self, v: Value) -> String {
        if v.is_kind(Kind::Variant) {
            let info = self.engine().type_info(v.type_id());
            return info.parent.map_or_else(
                || info.name.to_string(),
                |p| self.engine().type_info(p).name.to_string(),
            );
        }
        self.engine().type_info(v.type_id()).name.to_string()
    }
    /// Whether `v` is an instance of the type, of a kind or variant of it, or has the trait.
    pub(crate) fn is_instance(&self, v: Value, ty: u32) -> bool {
        let mut id = v.type_id();
        if id == ty {
            return true;
        }
        loop {
            let info = self.engine().type_info(id);
            if info.traits.contains(&ty) {
                return true;
            }
            match info.parent {
                Some(parent) if parent == ty => return true,
                Some(parent) => id = parent,
                None => return false,
            }
        }
    }
    /// The elements of a list or tuple.
    pub(crate) fn elements(&self, v: Value) -> Option<&'static [Value]> {
        match v.kind() {
            // SAFETY: the slice is used before anything can change or collect the object.
            Some(Kind::List) => Some(unsafe {
                let list = v.as_object().cast::<List>();
                if (*list).len == 0 {
                    &[]
                } else {
                    std::slice::from_raw_parts((*list).items, (*list).len as usize)
                }
            }),
            // SAFETY: as above.
            Some(Kind::Tuple) => Some(unsafe {
                let tuple = v.as_object().cast::<Tuple>();
                std::slice::from_raw_parts(tuple.add(1).cast::<Value>(), (*tuple).len as usize)
            }),
            _ => None,
        }
    }
    pub(crate) fn map_string_keys(&self, map: Value) -> Vec<String> {
        let map = map.as_object().cast::<crate::object::Map>();
        // SAFETY: the caller knows it is a map.
        unsafe {
            let entries = if (*map).used == 0 {
                &[]
            } else {
                std::slice::from_raw_parts((*map).entries, (*map).used as usize)
            };
            entries
                .iter()
                .take(1000)
                .filter(|e| e.key.is_kind(Kind::Str))
                .map(|e| ops::text::str_of(e.key).to_string())
                .collect()
        }
    }
    pub(crate) fn set_local_method(&mut self, ty: u32, name: Sym, function: Value) {
        // The engine's table is no root: the closure is kept alive by a handle and frozen in place by promotion.
        let function = self.freeze(function).unwrap_or(function);
        let known = self.parts.more().local_methods.get(&(ty, name)).copied();
        match known {
            Some(handle) => self.parts.more().handles[handle] = function,
            None => {
                let handle = self.new_handle(function);
                self.parts.more().local_methods.insert((ty, name), handle);
            }
        }
        self.engine()
            .add_method(ty, name, function, true, known.is_some());
    }

    // --- errors of operations

    /// Turns the failure of an operation into a trap.
    pub(crate) fn trap(&mut self, fail: OpFail) -> Trap {
        match fail {
            OpFail::Error(error) => {
                let message = error.message(self.engine());
                self.throw_new(error.kind, &message)
            }
            OpFail::NeedsCollection(_) => Trap::Collect,
            OpFail::NeedsSteps(function) => {
                self.throw_new(ErrorKind::Error, &format!("{function} is needed here"))
            }
        }
    }
    pub(crate) fn checked<T>(&mut self, result: Result<T, OpFail>) -> Result<T, Trap> {
        result.map_err(|fail| self.trap(fail))
    }
    pub(crate) fn throw_limit(&mut self) -> Trap {
        let limit = self.memory_limit;
        self.throw_new(
            ErrorKind::Limit,
            &format!("out of memory: the limit is {limit} bytes"),
        )
    }
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Trap> {
        self.heap.reserve(bytes).map_err(|_| Trap::Collect)
    }
    /// As `reserve`, for what is shared, tasks and threads: see `Heap::reserve_shared`.
    pub(crate) fn reserve_shared(&mut self, bytes: usize) -> Result<(), Trap> {
        self.heap.reserve_shared(bytes).map_err(|_| Trap::Collect)
    }
    /// Calls a function of the prelude by name.
    pub(crate) fn call_prelude(
        &mut self,
        name: &str,
        dest: usize,
        args: &[Value],
    ) -> Result<(), Trap> {
        match self.engine().prelude_value(name) {
            Some(function) => self.call_into(dest, function, args),
            None => Err(self.throw_new(ErrorKind::Error, &format!("the prelude lacks {name}"))),
        }
    }
    /// A deeply immutable version.
    pub fn freeze(&mut self, value: Value) -> Result<Value, Trap> {
        let frozen = self.heap.freeze(value);
        frozen.map_err(|error| self.graph_trap(error, false))
    }
    /// As `freeze`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub(crate) fn freeze_few(&mut self, value: Value) -> Result<Option<Value>, Trap> {
        let frozen = self.heap.freeze_few(value);
        frozen.map_err(|error| self.graph_trap(error, false))
    }
    /// As `deep_copy`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub(crate) fn copy_few(&mut self, value: Value) -> Result<Option<Value>, Trap> {
        let copy = self.heap.copy_few(value);
        copy.map_err(|error| self.graph_trap(error, true))
    }
    pub(crate) fn graph_trap(&mut self, error: crate::heap::GraphError, is_copy: bool) -> Trap {
        match error {
            crate::heap::GraphError::NeedsCollection => Trap::Collect,
            crate::heap::GraphError::Refused { value, .. } if is_copy => {
                self.cannot_be_copied(value)
            }
            crate::heap::GraphError::Refused { value, .. } => self.cannot_be_frozen(value),
        }
    }
    fn cannot_be_frozen(&mut self, value: Value) -> Trap {
        let text = format!(
            "{} cannot be frozen: {}",
            crate::native::with_article(&self.type_name(value)),
            self.repr_short(value)
        );
        self.throw_new(ErrorKind::Type, &text)
    }
    /// `repr` for messages: cut to 60 characters, never calling script.
    pub(crate) fn repr_short(&mut self, v: Value) -> String {
        crate::error::short(self.engine(), v, true, 60)
    }
    /// `str` for messages.
    pub(crate) fn show_short(&mut self, v: Value) -> String {
        crate::error::short(self.engine(), v, false, 2000)
    }
    /// `x` formatted by the text of a spec; `x` is no object whose `str` only script code knows.
    pub(crate) fn format_value(&mut self, x: Value, spec: Value) -> Result<Value, Trap> {
        let spec = ops::text::as_str(spec).unwrap_or("");
        let result = match ops::format_spec::FormatSpec::parse(spec) {
            Ok(spec) => ops::format::value(&mut self.heap, &spec, x),
            Err(why) => Err(OpFail::error(
                ErrorKind::Value,
                format!("wrong format spec '{spec}': {why}"),
            )),
        };
        match self.checked(result)? {
            Some(value) => Ok(value),
            None => {
                let text = self.show_short(x);
                Ok(self.text_value(&text))
            }
        }
    }
    pub(crate) fn new_host(
        &mut self,
        object: Box<dyn Any + Send>,
        type_name: &'static str,
    ) -> Value {
        let id = self.engine().host_type(type_name);
        Value::local(self.heap.alloc_host(id, object))
    }
    pub(crate) fn trace_value(&mut self, error: Value) -> Value {
        let lines = crate::error::trace_lines(self, error);
        let items: Vec<Value> = lines
            .iter()
            .map(|l| ops::text::new_reserved(&mut self.heap, l))
            .collect();
        ops::list::new(&mut self.heap, &items).unwrap_or(Value::NIL)
    }

    // --- collection

    #[inline]
    pub(crate) fn is_stressed(&self) -> bool {
        self.stress == Stress::Collect
    }
    /// `--stress=gc`.
    #[inline]
    pub(crate) fn collects_always(&mut self) -> bool {
        self.stress == Stress::Collect && self.is_stress_due()
    }
    /// Every time while the stack is small. A collection reads the whole stack, so above some thousand registers it is every n-th time:
    /// otherwise a recursion of depth n would take n² steps.
    fn is_stress_due(&mut self) -> bool {
        const WHOLE_STACK_SLOTS: usize = 4096;
        self.stress_ticks = self.stress_ticks.wrapping_add(1);
        let used = if self.base.is_null() {
            0
        } else {
            self.stack_index(self.base)
        };
        self.stress_ticks
            .is_multiple_of(1 + used / WHOLE_STACK_SLOTS)
    }

    /// Before an operation that allocates: all values are in registers, so this may collect.
    #[inline]
    pub(crate) fn poll(&mut self) {
        if self.heap.collect_wanted || self.collects_always() {
            self.collect_now(Collect::Minor);
        }
    }
    /// After an operation that allocated: the next safepoint collects if need be.
    #[inline]
    pub(crate) fn after_alloc(&mut self) {
        if self.heap.collect_wanted {
            self.end_slice();
        }
    }
    pub(crate) fn collect_stress(&mut self) {
        self.collect_now(Collect::Stress);
    }
    pub(crate) fn collect_full(&mut self) {
        self.collect_now(Collect::Full);
    }
    fn collect_now(&mut self, how: Collect) {
        if self.heap.is_held() {
            return;
        }
        let how = match self.stress {
            Stress::None | Stress::Migrate => how,
            Stress::Collect | Stress::Suspend => Collect::Stress,
        };
        self.end_stretch();
        if self.scheduler.choices.is_seeded() {
            self.heap.set_timeless();
        }
        self.own.progress.pause();
        let mut parts = ThreadParts { thread: self };
        self.heap
            .collect(&mut ThreadRoots { thread: &mut parts }, how);
        self.own.progress.begin();
        self.clear_above_top();
        self.begin_stretch();
    }
    /// Registers above the top frame hold values of frames that are gone: what the collector did not see must not be seen later.
    fn clear_above_top(&mut self) {
        if self.base.is_null() {
            self.clear_run_stack();
            return;
        }
        // SAFETY: the range lies in the stack.
        unsafe {
            let top = self
                .base
                .add(((*frame::proto(self.base)).registers as usize).max(self.scan_extra));
            let end = self
                .stack_limit
                .add(SLACK)
                .min(self.stack.start.add(self.stack.capacity));
            if top < end {
                std::ptr::write_bytes(top, 0, end.offset_from(top) as usize);
            }
        }
        // No higher than before: what lies between is cleared again and again.
        let before = self.stack_limit;
        self.set_soft_limit();
        self.stack_limit = self.stack_limit.min(before);
    }

    // --- stretches between safepoints

    #[inline]
    pub(crate) fn begin_stretch(&mut self) {
        if let Some(stretches) = &mut self.stretches {
            stretches.begin();
        }
    }
    #[inline]
    pub(crate) fn end_stretch(&mut self) {
        if self.stretches.is_some() {
            self.note_stretch();
        }
    }
    #[cold]
    fn note_stretch(&mut self) {
        if let Some(stretches) = &mut self.stretches
            && stretches.end()
            && !self.base.is_null()
        {
            let place = crate::error::running_place(self);
            self.stretches.as_mut().expect("there are some").longest_at = place;
        }
    }
    /// What was chosen so far, if a seed chooses.
    pub fn schedule_trace(&self) -> Option<ScheduleTrace> {
        self.scheduler.choices.trace()
    }
    /// How often a thread went to another OS thread because its slice was over, under `Stress::Migrate`.
    pub fn carrier_changes(&self) -> u64 {
        self.scheduler.carrier_changes()
    }
    /// What `Options::trace_safepoints` asked for.
    pub fn stretches(&self) -> Option<&Stretches> {
        self.stretches.as_deref()
    }

    // --- fuel

    /// Charges work of a native (a unit is that of a call, some nanoseconds): what does much between two safepoints brings the next one nearer.
    pub(crate) fn charge_work(&mut self, units: usize) {
        self.fuel = self.fuel.saturating_sub(units.min(1 << 40) as i64);
    }

    /// Calls and backward jumps that the thread may make from now on. Past it the program ends with a `LimitError` that
    /// nothing catches, and no `defer` runs.
    pub fn set_fuel_limit(&mut self, fuel: u64) {
        self.scheduler.set_fuel(fuel);
        self.is_out_of_fuel = false;
        self.start_slice();
    }
    /// A slice is no longer than the depth that is left. As each call takes fuel, calls cannot nest beyond the limit within a slice, however many
    /// large frames have made room for small ones.
    fn start_slice(&mut self) {
        let most = match self.stress {
            Stress::None => self.scheduler.settings.slice,
            Stress::Collect | Stress::Suspend => 1,
            Stress::Migrate => {
                let longer = (self.scheduler.carrier_changes() / MIGRATIONS_BY_LENGTH).min(8);
                self.scheduler.settings.slice.min(MIGRATION_FUEL << longer)
            }
        };
        let spent = self.slice - self.fuel.max(0);
        let usual = self.scheduler.choices.slice(spent, most);
        self.slice = usual.min(i64::try_from(self.scheduler.fuel_left()).unwrap_or(i64::MAX));
        if !self.base.is_null() {
            let depth_left = self.depth_left();
            if depth_left < SLICE_FUEL as usize {
                self.lower_stack_limit();
                self.slice = self.slice.min(depth_left.max(1) as i64);
            }
        }
        self.fuel = self.slice;
    }
    /// Makes the next call or backward jump a safepoint; the rest of the slice is given back.
    pub(crate) fn end_slice(&mut self) {
        self.slice -= self.fuel.max(0);
        self.fuel = 0;
    }
    /// Charges the slice that has ended.
    fn charge_slice(&mut self) {
        let spent = self.slice - self.fuel.max(0);
        self.scheduler.charge(spent.max(0) as u64);
    }

    /// The time, in nanoseconds since some moment before the program.
    pub(crate) fn clock(&mut self) -> u64 {
        if self.scheduler.choices.is_seeded() {
            // Up to now, so that whatever is set after a look at the clock counts from there.
            self.charge_slice();
            self.scheduler.choices.pass(self.slice - self.fuel.max(0));
            self.slice = self.fuel.max(0);
        }
        self.scheduler.now()
    }

    /// A point at which the task may be left: collects if wanted, sees requests from outside.
    pub(crate) fn safepoint(&mut self) -> Option<Exit> {
        self.end_stretch();
        let exit = self.act_at_safepoint();
        self.begin_stretch();
        exit
    }
    fn act_at_safepoint(&mut self) -> Option<Exit> {
        self.charge_slice();
        if self.scheduler.fuel_left() == 0 {
            // SAFETY: `pc` is at the instruction's word; behind it the trace names it.
            self.pc = unsafe { self.pc.add(1) };
            let limit = self.scheduler.fuel_limit();
            self.throw_new(
                ErrorKind::Limit,
                &format!("out of fuel: the limit is {limit}"),
            );
            self.is_out_of_fuel = true;
            return Some(Exit::Ended);
        }
        let spent = (self.slice - self.fuel.max(0)).max(0) as u64;
        self.own.progress.pass();
        self.look_for_watchdog();
        self.start_slice();
        if self.heap.is_held() {
            return self.safepoint_of_held();
        }
        if self.heap.collect_wanted || self.collects_always() {
            self.collect_now(Collect::Minor);
        }
        if self.heap.is_over_limit() {
            self.collect_now(Collect::Full);
            if self.heap.is_over_limit() {
                // The instruction is not run again: step behind it so that the trace names it.
                // SAFETY: `pc` is at the instruction's word.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_limit();
                return self.unwind();
            }
        }
        if self.scheduler.is_stopping() {
            return Some(Exit::Ended);
        }
        if self.block.signal.has_requests() {
            self.take_requests();
        }
        // SAFETY: while the loop runs there is a task.
        let is_killed = unsafe { (*self.current).is(flag::IS_KILLED) };
        if is_killed
            && (!self.is_killing && !self.is_in_deferred() || self.uses_up_kill_fuel(spent))
        {
            // SAFETY: as below.
            self.pc = unsafe { self.pc.add(1) };
            self.begin_kill();
            return self.unwind();
        }
        // Below a host's function the task goes on: it leaves its OS thread only where it waits.
        let may_leave = self.nesting == 0;
        if may_leave && self.scheduler.host_stays() {
            if self.takes_interrupt() {
                // SAFETY: as above.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_cancelled();
                return self.unwind();
            }
            if self.is_called_off() {
                return Some(Exit::Preempted);
            }
        } else if self.scheduler.host_stays() && self.takes_interrupt_nested() {
            // SAFETY: as above.
            self.pc = unsafe { self.pc.add(1) };
            self.throw_cancelled();
            return self.unwind();
        }
        self.scheduler.fire_timers(&self.own);
        self.scheduler.look_at_system(&mut self.own);
        self.scheduler.relieve_workers();
        // Before others have their turn. (Of a host that stays it is the input that is interrupted.)
        if self.engine.has_interrupt() && !self.scheduler.host_stays() {
            if self.block.id != carrier::HOST_THREAD {
                // It is the program that is interrupted, not the thread that happens to run.
                self.interrupt_program(false);
                if may_leave && self.scheduler.is_stopping() {
                    return Some(Exit::Ended);
                }
            } else if self.engine.take_interrupt() {
                // SAFETY: as above.
                if !unsafe { (*self.current).is(flag::IS_FIRST) } {
                    self.interrupt_program(true);
                }
                // SAFETY: as above.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_new(ErrorKind::Cancelled, "interrupted");
                return self.unwind();
            }
        }
        if self.scheduler.has_backlog(&self.own) {
            if may_leave {
                self.scheduler.help();
                return Some(Exit::Preempted);
            }
            self.be_replaced();
        }
        if self.scheduler.is_paused() {
            return Some(Exit::Preempted);
        }
        if self.stress == Stress::Suspend && self.nesting == 0 && self.is_stress_due() {
            Some(Exit::Preempted)
        } else {
            None
        }
    }

    // --- the register stack

    /// Makes sure that `slots` slots above the running frame's base may be used by a frame.
    pub(crate) fn ensure_stack(&mut self, slots: usize) -> Result<(), Trap> {
        // SAFETY: only compared.
        let end = self.base.wrapping_add(slots);
        // Without fuel the depth may be used up: frames that no call instruction pushes (operators, hooks) are found here.
        if end <= self.stack_limit && self.fuel >= 0 {
            Ok(())
        } else {
            self.move_stack_limit(slots)
        }
    }

    fn move_stack_limit(&mut self, slots: usize) -> Result<(), Trap> {
        if self.depth_left() == 0 {
            let limit = self.depth_limit;
            return Err(self.throw_overflow(&format!("calls nest more than {limit} deep")));
        }
        let used = self.stack_index(self.base) + slots;
        let wanted = used + SLACK;
        if wanted + SLACK > self.stack.capacity {
            let capacity = (self.stack.capacity * 2)
                .max(wanted + SLACK)
                .next_multiple_of(64);
            // The run stack is the carrier's; but who makes it large pays for it.
            let bytes = capacity * size_of::<Value>();
            if self.heap.reserve(bytes).is_err() {
                self.scan_extra = self.scan_extra.max(slots);
                self.collect_full();
                self.scan_extra = 0;
                if self.heap.reserve(bytes).is_err() {
                    return Err(self.throw_overflow("calls nest too deep for the memory limit"));
                }
            }
            self.grow_stack(capacity);
        }
        self.set_soft_limit_for(slots);
        Ok(())
    }
    fn throw_overflow(&mut self, message: &str) -> Trap {
        self.throw_new(ErrorKind::StackOverflow, message)
    }
    /// How many frames more the limit of depth allows.
    fn depth_left(&mut self) -> usize {
        let depth = self.count_frames();
        self.depth_limit.saturating_sub(depth)
    }
    /// The frames of the mounted stack: those above the last counted one are walked, so that many counts together take few steps more than there
    /// were calls.
    fn count_frames(&mut self) -> usize {
        const NOT_WORTH_MARKING: usize = 32;
        let mut above = 0;
        let mut below = 0;
        // SAFETY: the top frame's; the marks are those of the same frames.
        unsafe {
            for frame in Frames::new(self.base, self.pc) {
                let is_counted = frame::ret(frame.base) & frame::COUNTED != 0;
                if is_counted {
                    let at = self.stack_index(frame.base);
                    while self.stack.counted.last().is_some_and(|last| last.0 > at) {
                        self.stack.counted.pop();
                    }
                    let counted = self.stack.counted.last();
                    debug_assert_eq!(counted.map(|last| last.0), Some(at));
                    below = counted.map_or(0, |last| last.1);
                    break;
                }
                above += 1;
            }
            if below == 0 {
                self.stack.counted.clear();
            }
            let depth = below + above;
            if above > NOT_WORTH_MARKING && frame::ret(self.base) != 0 {
                frame::set_mark(self.base, frame::COUNTED);
                let at = self.stack_index(self.base);
                self.stack.counted.push((at, depth));
            }
            depth
        }
    }
    fn set_soft_limit(&mut self) {
        // SAFETY: the running frame's prototype.
        let registers = unsafe { (*frame::proto(self.base)).registers as usize };
        self.set_soft_limit_for(registers.max(self.scan_extra));
    }
    /// The depth comes close to its limit: the soft limit must be no higher than the frames above allow.
    fn lower_stack_limit(&mut self) {
        self.set_soft_limit();
    }
    /// The soft limit: no further than the stack, than what was cleared, and than the depth that is left allows.
    fn set_soft_limit_for(&mut self, slots: usize) {
        let at = self.stack_index(self.base);
        let used = at + slots;
        // The smallest frame takes two slots.
        let by_depth = at.saturating_add(self.depth_left().saturating_mul(2));
        // Twice as far each time: what is below the limit has to be cleared when another thread uses the stack.
        let limit = (used + used.clamp(carrier::FIRST_SLOTS, SOFT_SLOTS))
            .min(by_depth)
            .min(self.stack.capacity - SLACK);
        let limit = self.stack.start.wrapping_add(limit.max(used));
        if limit < self.stack_limit {
            // What lies beyond the limit, but for a few slots, is clear.
            let from = limit.wrapping_add(carrier::TAIL_SLOTS);
            let count = self.stack_index(self.stack_limit) - self.stack_index(limit);
            // SAFETY: the old limit, and so many slots behind it, lie in the stack.
            unsafe { std::ptr::write_bytes(from, 0, count) };
        }
        self.stack_limit = limit;
    }
    /// Moves the registers to a larger block; return words are relative, so only `base` and the limit change.
    fn grow_stack(&mut self, capacity: usize) {
        let old = self.stack.start;
        self.stack.resize(capacity);
        let moved = |p: *mut Value| {
            let bytes = p as usize - old as usize;
            self.stack.start.wrapping_byte_add(bytes)
        };
        if !self.base.is_null() {
            self.base = moved(self.base);
        }
        self.stack_limit = moved(self.stack_limit);
    }

    // --- handles of hosts

    /// Keeps a value alive until `free_handle`.
    pub fn new_handle(&mut self, value: Value) -> usize {
        let more = self.parts.more();
        match more.free_handles.pop() {
            Some(i) => {
                more.handles[i] = value;
                i
            }
            None => {
                more.handles.push(value);
                more.handles.len() - 1
            }
        }
    }
    /// The value of a handle as it is now.
    pub fn handle(&self, index: usize) -> Value {
        let more = self.parts.more_if_any();
        more.expect("there are handles").handles[index]
    }
    pub fn free_handle(&mut self, index: usize) {
        let more = self.parts.more();
        more.handles[index] = Value::NIL;
        more.free_handles.push(index);
    }

    // --- running

    /// Calls script from a native of the host and waits for the result, on the native stack.
    pub fn call_nested(&mut self, function: Value, args: &[Value]) -> Result<Value, Trap> {
        if self.base.is_null() {
            // Called from outside any task.
            return self.run(function, args).map_err(|failure| match failure {
                Failure::Thrown => Trap::Throw,
                Failure::Exit(code) => {
                    self.exit_code = code;
                    Trap::Exit
                }
            });
        }
        if self.nesting >= 100 {
            return Err(self.throw_new(
                ErrorKind::StackOverflow,
                "native functions call back more than 100 deep",
            ));
        }
        let (saved_pc, saved_base, saved_dest) =
            (self.pc, self.stack_index(self.base), self.wait_dest);
        let saved_nested = self.nested_slot;
        let saved_extra = self.scan_extra;
        // SAFETY: the running prototype.
        let at = unsafe { (*frame::proto(self.base)).registers as usize }
            .max(saved_extra)
            .min(SLACK / 2);
        self.ensure_stack(at + 2 + 16 + args.len())?;
        // A stub frame whose window holds the call: its `Exit` ends the nested loop.
        let stub = self.engine().stub();
        self.set_reg(at, stub);
        // SAFETY: inside the stack.
        unsafe {
            let base = self.base.add(at + 2);
            *base.sub(1) = Value::from_bits(frame::return_word(self.pc, at, 0));
            self.base = base;
            self.pc = (*frame::proto(base)).code_start;
            self.nested_slot = self.stack_index(base);
        }
        self.set_reg(0, function);
        for (i, arg) in args.iter().enumerate() {
            self.set_reg(2 + i, *arg);
        }
        self.scan_extra = 0;
        self.nesting += 1;
        let mut exit = match self.call_window(0, args.len(), 0, &[]) {
            Ok(()) => interp::run(self),
            Err(trap) => self.handle_trap(trap).unwrap_or_else(|| interp::run(self)),
        };
        loop {
            // Pinned: the end of a slice is not the end of its turn.
            exit = match exit {
                Exit::Preempted => {
                    self.stand_still_pinned();
                    interp::run(self)
                }
                Exit::Yielded | Exit::Parked => match self.wait_pinned(exit) {
                    Some(exit) => exit,
                    None => interp::run(self),
                },
                _ => break,
            };
        }
        self.nesting -= 1;
        if self.nesting == 0 && std::mem::take(&mut self.is_replaced) {
            self.scheduler.end_pinned();
        }
        self.nested_slot = saved_nested;
        self.base = self.stack.start.wrapping_add(saved_base);
        self.pc = saved_pc;
        self.wait_dest = saved_dest;
        self.scan_extra = saved_extra;
        match exit {
            Exit::Returned => Ok(self.result),
            Exit::Ended => Err(Trap::Exit),
            _ => Err(Trap::Throw),
        }
    }

    /// What was thrown last and not caught.
    pub fn thrown(&self) -> Value {
        self.thrown
    }
    pub fn heap(&mut self) -> &mut Heap {
        account::enter(Some(&self.scheduler.account));
        &mut self.heap
    }
    /// Writes out what the program printed.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.scheduler.output.lock().flush()
    }
    /// Runs a module's body once; its imports must have run.
    pub fn run_module(&mut self, module: &Arc<Module>) -> Result<Value, Failure> {
        if module.has_run.swap(true, Ordering::AcqRel) {
            return Ok(Value::NIL);
        }
        module.owner.store(self.block.id, Ordering::Relaxed);
        self.hooks = *self.engine.hooks.read();
        let engine = self.engine();
        let push = engine
            .type_info(type_id::LIST)
            .method(engine.symbol("push"));
        self.list_push = push.map_or(Value::UNSET, |method| method.function);
        self.ensure_vars(module.var_base + module.var_count);
        let body = self.closure_of(&module.body());
        self.run(body, &[])
    }
    /// The link of a constant of the running function.
    #[expect(dead_code, reason = "for debuggers")]
    pub(crate) fn link(&self, index: u32) -> Option<&'static Link> {
        // SAFETY: prototypes live as long as the engine.
        unsafe { (*frame::proto(self.base)).links.get(&index) }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if self.is_host {
            account::enter(Some(&self.scheduler.account));
            // Carriers to which tasks of the host's thread are pinned leave those with it mounted.
            self.park_thread();
            self.main.signal.requeue();
            drop(self.stop_all());
            self.park_thread();
            let _ = self.scheduler.output.lock().flush();
        }
    }
}
