//! A thread of the language: one heap, its tasks, and the machine state of the task that is mounted.
//!
//! While the interpreter runs, the mounted task's registers are `pc`, `base` and the `stack_*` fields here; when the task is left they are in its
//! `Task`. Everything that a suspended task needs is data in `Task` and in its register stack, so a thread may be resumed on
//! another OS thread (`--stress=suspend` does that at every safepoint).

mod cancel;
mod carrier;
mod collection;
mod cross;
mod end;
mod expression;
mod failures;
mod join;
mod leaks;
mod liveness;
mod mount;
mod named;
mod names;
pub mod natives;
mod operand;
mod options;
mod parts;
mod pin;
pub(crate) mod report;
mod roots;
mod runtime;
mod safepoint;
mod scopes;
mod stack;
mod start;
mod stay;
pub(crate) mod threadlet;
mod values;
mod wait;
mod wakers;
#[cfg(loom)]
pub(crate) use wait::{claim_own, end_wait};

pub(crate) use carrier::{Carrier, Ended, HOST_THREAD, Settings};
pub(crate) use join::thread_of;
pub use runtime::RUNTIME;

pub use crate::sched::host::{TaskInfo, Waker};
pub(crate) use mount::FIRST_SLOTS;
pub use options::{BlockingWarn, Failure, Options, Stress};
pub(crate) use parts::{BlockRef, Parts, PartsRef, Stopped, drop_tasks};
pub use pin::TracePinned;
pub use stay::Idled;
pub use threadlet::Threadlets;

use crate::account;
use crate::counted::Counted;
use crate::engine::{Engine, Hooks};
use crate::heap::Heap;
use crate::interp::frame;
use crate::interp::{self, Exit};
use crate::module::{Link, Module, Proto};
use crate::native::Trap;
use crate::object::type_id;
pub use crate::sched::choices::{Outside, Schedule, ScheduleTrace};
use crate::sched::{Own, Scheduler, ThreadBlock, sites};
use crate::stretch::Stretches;
use crate::task::{Stack, Task, TaskPool};
use crate::types::{ErrorKind, Sym};
use crate::value::Value;
use std::collections::HashMap;
use std::io::Write;
use std::mem::ManuallyDrop;
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

/// More OS threads than this are never made: see `Options::carriers`.
pub const MOST_CARRIERS: usize = 4096;
/// See `Options::max_carriers`.
const DEFAULT_MAX_CARRIERS: usize = 64;

/// What the prelude itself needs, and a little more.
const LEAST_DEPTH: usize = 32;

/// So many tasks or threads are many: see `Options::on_large`.
pub const MANY_TASKS: usize = 10_000;
/// So many bytes are much: see `Options::on_large`.
pub const LARGE_BYTES: usize = 16 * 1024 * 1024;

/// See the head of this file.
#[repr(C)]
pub struct Thread {
    pub(crate) fuel: i64,
    /// Frames may not reach beyond this slot; `ensure_stack` moves it.
    pub(crate) stack_limit: *mut Value,
    pub(crate) heap: Heap,
    pub(crate) methods: *const Value,
    /// The variables of the mounted thread, or a table in which all are unset.
    pub(crate) vars: *mut Value,
    /// See `cache`.
    pub(crate) member_cache: *mut crate::cache::Entry,
    pub(crate) pc: *const u64,
    pub(crate) base: *mut Value,
    /// How many `vars` has.
    pub(crate) var_count: u32,
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
    /// What messages have called operands lately.
    names: operand::Names,
    pub(crate) result: Value,
    pub(crate) returned: bool,
    pub(crate) yielded: bool,
    /// Where `Trap::Collect` was last answered.
    pub(crate) retry_pc: *const u64,
    pub(crate) pending_call: (Value, Vec<Value>),
    /// Register of the top frame that gets the result of a wait.
    pub(crate) wait_dest: usize,
    /// What is known of the registers of tasks that wait.
    roots: roots::Roots,
    /// Registers of the top frame that are live beyond its own (arguments of a native).
    pub(crate) scan_extra: usize,
    /// During a call of a crossing native: which arguments (bit 0: the first behind self) were written `copy(x)`.
    pub(crate) copy_mask: u32,
    pub(crate) exit_code: i32,
    /// The first task of the last run was cancelled or killed.
    pub(crate) was_cut_off: bool,
    /// Host functions on the native stack that have called back.
    pub(crate) nesting: usize,
    /// A callback of the host's function that runs has ended the program: the function may not go on with it.
    pub(crate) is_leaving: bool,
    pub(crate) scheduler: Arc<Scheduler>,
    /// The thread that is mounted.
    pub(crate) block: BlockRef,
    /// The thread that a host calls, whose heap holds its values.
    pub(crate) main: Counted<ThreadBlock>,
    /// What of the mounted thread is not at hand above.
    pub(crate) parts: PartsRef,
    /// The engine's table of that many variables that are all unset; null, and `u32::MAX`: not asked for yet.
    no_vars: *mut Value,
    no_var_count: u32,
    /// How many threads it has started.
    pub(crate) started: u32,
    /// This carrier's queues.
    pub(crate) own: Own,
    /// See `pressure_at`.
    pressure: (u64, usize),
    /// How many tasks it has run.
    turn: u32,
    /// The mounted thread had less than half of a slice in front of it when it was mounted.
    is_late: bool,
    /// Number of the thread whose values lie in the run stack; 0: none. (Not its address, which another may have by now.)
    stack_owner: u64,
    /// See `slots_beyond_limit`.
    has_low_limit: bool,
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
    /// Whether a `ShareError` may advise `copy()`.
    offers_copy: bool,
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
    /// Dropped last: what all the others hold may lead to its objects.
    _keeps_engine: Arc<Engine>,
}

// SAFETY: a thread owns what its pointers lead to; it is used by one OS thread at a time.
unsafe impl Send for Thread {}

/// What of a thread of the language lies in its block.
pub(crate) struct Mounted {
    pub(crate) parts: Parts,
    /// With the carrier while that has the thread mounted.
    heap: ManuallyDrop<Heap>,
}

impl Thread {
    /// A thread without tasks, for a host.
    ///
    /// # Panics
    ///
    /// If another one has been made for this engine: what scripts share belongs to one host (see `sched::solo`).
    pub fn new(engine: Arc<Engine>, options: Options) -> Box<Thread> {
        assert!(engine.take_host(), "an engine has one thread of a host");
        let carriers = match options.schedule {
            Schedule::Ordinary => options.carriers.clamp(1, MOST_CARRIERS),
            Schedule::Seed(_) => 1,
        };
        let settings = Settings {
            memory: options.memory,
            depth: options.depth.max(LEAST_DEPTH),
            stress: options.stress,
            slice: options.slice.map_or(SLICE_FUEL, |fuel| {
                i64::try_from(fuel.max(1)).map_or(SLICE_FUEL, |fuel| fuel.min(SLICE_FUEL))
            }),
            script_args: options.script_args.into(),
            on_large: options.on_large,
            on_shrunk: options.on_shrunk,
            carriers,
            max_workers: options.max_workers.max(1),
            threadlets: options.threadlets,
            trace_pinned: options.trace_pinned,
            blocking_warn: options.blocking_warn,
        };
        // With a seed, too: a pinned task's carrier is replaced by another one.
        let max_carriers = options.max_carriers.clamp(carriers, MOST_CARRIERS);
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
        let main = Counted::new(ThreadBlock::new(
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
    fn machine(scheduler: &Arc<Scheduler>, main: Counted<ThreadBlock>, own: Own) -> Box<Thread> {
        let engine = scheduler.engine.clone();
        let kept_engine = engine.clone();
        let settings = &scheduler.settings;
        let methods = engine.methods_base();
        let hooks = *engine.hooks.read();
        let mut member_entries =
            vec![crate::cache::Entry::default(); crate::cache::SIZE].into_boxed_slice();
        let stack = Stack::with_capacity(mount::RUN_STACK_SLOTS);
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
            var_count: 0,
            #[cfg(heddle_tail_calls)]
            handlers: crate::interp::tail::HANDLERS,
            stack,
            engine,
            hooks,
            list_push: Value::UNSET,
            thrown: Value::NIL,
            loose_trace: Vec::new(),
            names: operand::Names::default(),
            result: Value::NIL,
            returned: false,
            yielded: false,
            retry_pc: std::ptr::null(),
            pending_call: (Value::NIL, Vec::new()),
            wait_dest: 0,
            scan_extra: 0,
            roots: Default::default(),
            copy_mask: 0,
            exit_code: 0,
            was_cut_off: false,
            nesting: 0,
            is_leaving: false,
            block: BlockRef::new(&main),
            main,
            parts: PartsRef::none(),
            no_vars: std::ptr::null_mut(),
            no_var_count: u32::MAX,
            started: 0,
            own,
            pressure: (0, 0),
            turn: 0,
            is_late: false,
            stack_owner: 0,
            has_low_limit: false,
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
            offers_copy: true,
            memory_limit: settings.memory,
            hopper: None,
            symbol_values: HashMap::new(),
            goes_home: false,
            wants_home: false,
            is_interrupted: false,
            pinned_deadlock: None,
            pending_end: None,
            _keeps_engine: kept_engine,
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
    // --- types
    // --- errors of operations
    // --- collection
    // --- stretches between safepoints
    // --- fuel
    // --- the register stack
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
        if self.is_leaving {
            return Err(Trap::Exit);
        }
        let saved_nested = self.nested_slot;
        let saved_extra = self.scan_extra;
        let saved_threadlet = (self.boundary, self.identity);
        // SAFETY: the running prototype.
        let at = unsafe { (*frame::proto(self.base)).registers as usize }
            .max(saved_extra)
            .min(SLACK / 2);
        let mut moved = Vec::new();
        let (function, args) =
            self.ensure_stack_for(at + 2 + 16 + args.len(), function, args, &mut moved)?;
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
            Exit::Ended => {
                // Threadlets of the callback are under way no more.
                (self.boundary, self.identity) = saved_threadlet;
                self.is_leaving = true;
                Err(Trap::Exit)
            }
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
        if module.has_run.load(Ordering::Acquire) {
            return Ok(Value::NIL);
        }
        let body = self.begin_module(module);
        self.run(body, &[])
    }
    /// Runs the bodies of modules that have not run, each after its imports, as one program: what the first have started goes on while the later ones run. The result is that of the last.
    /// After an error, gives how many were run to their ends, too.
    pub fn run_modules(&mut self, modules: &[Arc<Module>]) -> Result<Value, (Failure, usize)> {
        let modules: Vec<_> = modules
            .iter()
            .filter(|module| !module.has_run.load(Ordering::Acquire))
            .cloned()
            .collect();
        let run_bodies = self.engine.prelude_value("__run_bodies");
        match &modules[..] {
            [] => Ok(Value::NIL),
            [one] => self.run_module(one).map_err(|failure| (failure, 0)),
            _ => {
                let count = modules.len();
                let bodies = modules.into_iter().rev().collect();
                self.parts.more().bodies = bodies;
                let result = self.run(run_bodies.expect("the prelude has it"), &[]);
                let left = std::mem::take(&mut self.parts.more().bodies).len();
                // The one that was taken last is the one that failed, unless something did that an earlier one had started.
                result.map_err(|failure| (failure, (count - left).saturating_sub(1)))
            }
        }
    }
    /// The body of the next module to run; nil: it is the main one, and that was not asked for. `args`: of the native that asks, in whose window the body is called.
    pub(crate) fn next_body(&mut self, is_main: bool, args: *mut Value) -> Value {
        let base = self.stack_index(args);
        let more = self.parts.more();
        if is_main {
            more.main_base = base;
        } else if more.bodies.len() == 1 {
            return Value::NIL;
        }
        match more.bodies.pop() {
            Some(module) => self.begin_module(&module),
            None => Value::NIL,
        }
    }
    /// Where the registers of the main module's body were, which has just returned; `None`: not known.
    pub(super) fn main_registers(&self) -> Option<*mut Value> {
        let first = self.stack.start.wrapping_add(start::FIRST_BASE);
        let main_base = self.parts.more_if_any().map_or(0, |more| more.main_base);
        if main_base == 0 {
            return Some(first);
        }
        let around = self.engine.prelude_value("__run_bodies")?;
        // SAFETY: it is a closure; its code lives as long as the engine.
        let around = unsafe { &*(*around.as_object().cast::<crate::object::Closure>()).proto() };
        // Its window, or the one that what gave the body had inside that.
        let places = [main_base - start::WINDOW_SLOTS, main_base];
        let places = places.map(|slot| self.stack.start.wrapping_add(slot));
        places.into_iter().find(|base| {
            // SAFETY: slots of the stack that were in use when the function returned.
            let after = frame::return_pc(unsafe { (*base.sub(1)).bits() });
            let code = around.code_start.addr();
            (code..=code + around.code_len() * size_of::<u64>()).contains(&after.addr())
        })
    }
    /// A module's body, which is about to be called.
    fn begin_module(&mut self, module: &Arc<Module>) -> Value {
        module.has_run.store(true, Ordering::Release);
        module.owner.store(self.block.id, Ordering::Relaxed);
        self.hooks = *self.engine.hooks.read();
        let engine = self.engine();
        let push = engine
            .type_info(type_id::LIST)
            .method(engine.symbol("push"));
        self.list_push = push.map_or(Value::UNSET, |method| method.function);
        self.ensure_vars(module.var_base + module.var_count);
        self.closure_of(&module.body())
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
