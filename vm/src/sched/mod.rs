//! Running threads of the language on OS threads (carriers).
//!
//! | file | |
//! | --- | --- |
//! | `mod` | the scheduler: what carriers share |
//! | `idle` | carriers: started, out of work, woken, stopped; deadlock |
//! | `host` | a host that stays while what it started goes on |
//! | `queues` | where runnable threads wait |
//! | `choices` | what is left open: decided ordinarily, or by a seed |
//! | `migrants` | `--stress=migrate` |
//! | `registry` | all threads |
//! | `block` | a thread as carriers see it: its word, its end |
//! | `wait` | claims and lists of waiting tasks |
//! | `timers` | what is due when |
//! | `reactor` | what the system tells of |
//! | `workers` | OS threads for calls that block |
//! | `pinned` | carriers that wait for one task |
//! | `capture` | carriers that are held by calls that block |
//! | `solo` | no other OS thread: cheaper operations |
//! | `scope` | structured concurrency |
//! | `sites` | where tasks and threads were started |
//! | `models` | model checks of all that |
//!
//! The protocol is told in `docs/scheduler.md`.

pub(crate) mod block;
pub(crate) mod capture;
pub(crate) mod choices;
pub(crate) mod host;
mod idle;
mod migrants;
#[cfg(loom)]
pub(crate) mod models;
pub(crate) mod pinned;
pub(crate) mod progress;
mod queues;
pub(crate) mod reactor;
mod registry;
pub(crate) mod scope;
pub(crate) mod sites;
mod solo;
pub(crate) mod timers;
pub(crate) mod wait;
pub(crate) mod workers;

pub use block::ThreadBlock;
pub(crate) use idle::carrier_loop;
pub(crate) use queues::Own;
pub use workers::DEFAULT_MAX as DEFAULT_MAX_WORKERS;

use crate::account::Account;
use crate::counted::Counted;
use crate::engine::Engine;
use crate::shared::Message;
use crate::shared::SharedObject;
use crate::sync::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence, mutation,
};
use crate::task::Task;
use crate::thread::{Settings, Stress};
use choices::Choices;
use idle::Idle;
use migrants::Migrants;
use parking_lot::Mutex;
use queues::{Injector, Others, Queued};
use registry::Part;
use sites::Sites;
use std::io::Write;
use std::sync::atomic::AtomicPtr;
use std::sync::{Arc, OnceLock};
use timers::{Fired, Shard};

/// So many timers fire at once; the next when fewer threads than `MANY_WOKEN` wait for their turn, or else few of them.
const MOST_FIRED: usize = 256;
const MANY_WOKEN: usize = 128;
/// Fewer than a carrier runs from one look at the clock to the next.
const FEW_FIRED: usize = 4;

/// Bits of `Scheduler::control`: carriers leave what they run, for good or for a moment.
const STOPPING: u8 = 1;
const PAUSED: u8 = 2;

/// What a carrier does next.
pub(crate) enum Next {
    Run(*const ThreadBlock, bool),
    /// The program is over.
    Stop,
    /// Every thread has ended (told to the host's carrier only).
    Done,
    /// Nothing can ever wake any task (told to the host's carrier only).
    Deadlock,
    /// Ctrl-C (told to the host's carrier only).
    Interrupted,
    /// A host that stays is called (told to its carrier only).
    Called,
}

/// Places in code: see `Thread::collect_trace`.
pub(crate) struct Places(pub(crate) Vec<(*const crate::module::Proto, u64)>);
// SAFETY: prototypes are shared and live as long as the engine.
unsafe impl Send for Places {}

/// What all carriers see of one.
struct CarrierSlot {
    queues: Others,
    timers: Shard,
    threads: Part,
    /// Threads whose first ready task is pinned to this one.
    handed: Mutex<Vec<Queued>>,
}

/// Errors of tasks of threads that failed in another way, or were joined for.
#[derive(Default)]
pub(crate) struct LostErrors {
    /// The first, each with the site of its task.
    pub(crate) list: Vec<(Message, u32)>,
    /// How many more there were.
    pub(crate) left_out: usize,
}

impl LostErrors {
    const MOST: usize = 1000;

    pub(crate) fn is_full(&mut self) -> bool {
        let is_full = self.list.len() >= Self::MOST;
        self.left_out += usize::from(is_full);
        is_full
    }
}

/// What the carriers of a host's thread share.
pub(crate) struct Scheduler {
    /// One for each carrier that was ever started.
    slots: Box<[OnceLock<CarrierSlot>]>,
    /// How many of them are in use.
    slot_count: AtomicUsize,
    injector: Injector<Queued>,
    idle: Idle,
    pub(crate) host: host::Host,
    /// Threads that ended by an error that nobody has joined for yet.
    failed: Mutex<Vec<Counted<ThreadBlock>>>,
    pub(crate) sites: Sites,
    pub(crate) choices: Choices,
    reactor: reactor::Reactor,
    /// Standard input, since something has waited for it.
    pub(crate) input: OnceLock<Box<crate::io::Source>>,
    pub(crate) workers: workers::Workers,
    pub(crate) blocking: crate::io::Blocking,
    /// Places for carriers that are held by blocking calls.
    places: SharedObject,
    held: capture::Held,
    /// Handles that hosts have dropped.
    pub(crate) dropped: Arc<crate::hosting::Dropped>,
    /// How often a task waited while it was pinned.
    pub(crate) pins: AtomicU64,
    /// Scopes for whose sake threads were asked to look.
    pub(crate) cancelled: scope::Cancelled,
    /// How many threads were handed over to carriers that have not taken them yet.
    handed: AtomicUsize,
    migrants: Migrants,
    /// A thread goes to another carrier after each slice.
    is_migrating: bool,
    /// What the program has taken of its limit of memory.
    pub(crate) account: Arc<Account>,
    pub(crate) settings: Settings,
    /// What may still be used of the fuel; `u64::MAX`: no limit.
    fuel: AtomicU64,
    fuel_limit: AtomicU64,
    next_thread: AtomicU64,
    pub(crate) output: Mutex<Box<dyn Write + Send>>,
    /// Something was printed since the output was flushed.
    has_printed: AtomicBool,
    /// `os.exit` was called, or fuel ran out, on whatever carrier.
    pub(crate) exit: Mutex<Option<crate::thread::Ended>>,
    /// Where the fuel ran out.
    pub(crate) end_trace: Mutex<Option<Places>>,
    /// The host's thread has no task any more that the program waits for: before, the program cannot be over.
    has_host_ended: AtomicBool,
    /// The host was told that the program is large.
    is_told_large: AtomicBool,
    /// `STOPPING`, `PAUSED`: looked at by all carriers, at each safepoint and before each task.
    control: AtomicU8,
    /// See `solo`.
    is_shared: AtomicBool,
    /// So many threads have a heap whose objects nobody may read; see `heap::long`.
    pub(crate) held_heaps: AtomicUsize,
    /// Everything was collected since a collection last woke somebody, and everything waits.
    pub(crate) has_collected_all: AtomicBool,
    /// What all threads were asked for, and those that are started after them are: `CANCEL`, `KILL`.
    pub(crate) ending: AtomicU32,
    /// The program's own thread was told of an interrupt: its defers run.
    pub(crate) is_interrupted: AtomicBool,
    /// Something was detached.
    pub(crate) has_detached: AtomicBool,
    /// The function of the program's first task; null: it is none of a script.
    pub(crate) main_function: AtomicPtr<crate::module::Proto>,
    /// Detached tasks that nothing can wake, found when the program's first task returned.
    pub(crate) leaks_at_exit: Mutex<Vec<String>>,
    /// Reports of errors that went with the heap of their thread.
    pub(crate) lost_errors: Mutex<LostErrors>,
    /// Dropped last: messages lead to its objects.
    pub(crate) engine: Arc<Engine>,
}

impl Scheduler {
    /// A scheduler, and the queues of the host's carrier.
    pub(crate) fn new(
        engine: Arc<Engine>,
        settings: Settings,
        schedule: choices::Schedule,
        faults: crate::io::FaultLevel,
        max_carriers: usize,
        blocking: crate::io::Policy,
        output: Box<dyn Write + Send>,
    ) -> (Arc<Scheduler>, Own) {
        let is_migrating = settings.stress == Stress::Migrate && settings.carriers > 1;
        let scheduler = Arc::new(Scheduler {
            slots: (0..max_carriers.max(1)).map(|_| OnceLock::new()).collect(),
            slot_count: AtomicUsize::new(0),
            injector: Injector::new(),
            idle: Idle::new(),
            host: host::Host::new(),
            failed: Mutex::default(),
            sites: Sites::default(),
            engine,
            account: Arc::default(),
            settings,
            fuel: AtomicU64::new(u64::MAX),
            fuel_limit: AtomicU64::new(u64::MAX),
            choices: Choices::new(schedule, faults),
            reactor: reactor::Reactor::default(),
            input: OnceLock::new(),
            workers: workers::Workers::default(),
            blocking: crate::io::Blocking::new(blocking),
            places: capture::places(max_carriers),
            held: capture::Held::default(),
            dropped: Arc::default(),
            pins: AtomicU64::new(0),
            cancelled: scope::Cancelled::default(),
            handed: AtomicUsize::new(0),
            migrants: Migrants::default(),
            is_migrating,
            next_thread: AtomicU64::new(2),
            output: Mutex::new(output),
            has_printed: AtomicBool::new(false),
            exit: Mutex::new(None),
            end_trace: Mutex::new(None),
            has_host_ended: AtomicBool::new(false),
            is_told_large: AtomicBool::new(false),
            control: AtomicU8::new(0),
            is_shared: AtomicBool::new(false),
            held_heaps: AtomicUsize::new(0),
            has_collected_all: AtomicBool::new(false),
            ending: AtomicU32::new(0),
            is_interrupted: AtomicBool::new(false),
            has_detached: AtomicBool::new(false),
            main_function: AtomicPtr::default(),
            leaks_at_exit: Mutex::default(),
            lost_errors: Mutex::default(),
        });
        let own = scheduler.open_slot(0);
        (scheduler, own)
    }
    /// Makes the queues of carrier number `number`.
    fn open_slot(&self, number: usize) -> Own {
        let (own, queues) = Own::new(number);
        let slot = CarrierSlot {
            queues,
            timers: Shard::default(),
            threads: Part::default(),
            handed: Mutex::default(),
        };
        assert!(
            self.slots[number].set(slot).is_ok(),
            "a carrier's number is given once"
        );
        self.slot_count.store(number + 1, Ordering::Release);
        own
    }
    fn slots(&self) -> impl Iterator<Item = &CarrierSlot> + Clone {
        let count = self.slot_count.load(Ordering::Acquire);
        self.slots[..count].iter().filter_map(OnceLock::get)
    }
    fn slot(&self, number: usize) -> &CarrierSlot {
        self.slots[number].get().expect("a carrier has a slot")
    }

    /// Nanoseconds since the scheduler was made.
    pub(crate) fn now(&self) -> u64 {
        self.choices.now()
    }
    pub(crate) fn new_thread_id(&self) -> u64 {
        if self.is_solo() {
            let id = self.next_thread.load(Ordering::Relaxed);
            self.next_thread.store(id + 1, Ordering::Relaxed);
            return id;
        }
        self.next_thread.fetch_add(1, Ordering::Relaxed)
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.control.load(Ordering::Relaxed) & STOPPING != 0
    }
    /// Another carrier wants to look at what this one has mounted: see `Scheduler::pause`.
    pub(crate) fn is_paused(&self) -> bool {
        self.control.load(Ordering::Relaxed) & PAUSED != 0
    }
    /// One of both.
    #[inline]
    pub(crate) fn is_disturbed(&self) -> bool {
        self.control.load(Ordering::Relaxed) != 0
    }

    // --- fuel

    pub(crate) fn set_fuel(&self, fuel: u64) {
        self.fuel.store(fuel, Ordering::Relaxed);
        self.fuel_limit.store(fuel, Ordering::Relaxed);
    }
    pub(crate) fn fuel_left(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }
    pub(crate) fn fuel_limit(&self) -> u64 {
        self.fuel_limit.load(Ordering::Relaxed)
    }
    pub(crate) fn charge(&self, spent: u64) {
        if self.fuel_left() != u64::MAX {
            let _ = self
                .fuel
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    Some(left.saturating_sub(spent))
                });
        }
    }

    // --- threads

    /// A thread begins; it counts until `unregister`.
    pub(crate) fn register(&self, own: &Own, block: Counted<ThreadBlock>) {
        let is_solo = self.is_solo();
        let part = &self.slot(own.number).threads;
        part.add(own.number, block, is_solo);
    }
    /// A thread has failed with an error that nobody has joined for yet: it is reported at the end, unless somebody does.
    pub(crate) fn keep_failed(&self, block: &ThreadBlock) {
        // SAFETY: blocks are counted, and this one is alive.
        let block = unsafe { Counted::another(std::ptr::from_ref(block)) };
        let mut failed = self.failed.lock();
        if failed.len() == failed.capacity() {
            // Those that somebody has asked for since are not kept; nor many that nobody can ask for.
            let mut left_out = 0;
            let mut unreachable = 0;
            let (gone, others): (Vec<_>, Vec<_>) =
                std::mem::take(&mut *failed).into_iter().partition(|block| {
                    let is_known = block.end.lock().is_known();
                    let is_unreachable = Counted::strong_count(block) == 1;
                    unreachable += usize::from(is_unreachable);
                    let is_left_out = !is_known && is_unreachable && unreachable > LostErrors::MOST;
                    left_out += usize::from(is_left_out);
                    is_known || is_left_out
                });
            self.lost_errors.lock().left_out += left_out;
            *failed = others;
            let len = failed.len();
            failed.reserve(len.max(16));
            failed.push(block);
            // With them go errors, and what these lead to may wake somebody.
            drop(failed);
            drop(gone);
        } else {
            failed.push(block);
            drop(failed);
        }
        self.call_host();
    }
    /// A thread has ended; `counts`: the program waits for it; `has_failed`: with an error that nobody has joined for yet.
    pub(crate) fn unregister(
        &self,
        own: &Own,
        block: &ThreadBlock,
        counts: bool,
        has_failed: bool,
    ) -> Option<Counted<ThreadBlock>> {
        let part_of = |number: usize| &self.slot(number).threads;
        let block = registry::remove(block, part_of, self.is_solo())?;
        if has_failed {
            self.keep_failed(&block);
        }
        if counts {
            self.slot(own.number).threads.note_end();
            self.tell_if_done();
        }
        Some(block)
    }
    /// The program neither waits for this one, nor asks how it ends.
    pub(crate) fn detach(&self, own: &Own, block: &ThreadBlock) {
        block.end.lock().is_detached = true;
        self.has_detached.store(true, Ordering::Relaxed);
        self.uncount(own, block);
    }
    /// The program does not wait for this one.
    pub(crate) fn uncount(&self, own: &Own, block: &ThreadBlock) {
        {
            let mut end = block.end.lock();
            let is_new = !std::mem::replace(&mut end.is_uncounted, true);
            if is_new && matches!(end.outcome, block::Outcome::None) {
                self.slot(own.number).threads.note_end();
            }
        }
        if block.id == crate::thread::HOST_THREAD {
            // From now on the program may be over.
            self.note_host(true);
        }
        self.tell_if_done();
    }
    /// A thread whose tasks were all detached has one again that is not: the program waits for it, unless the thread is detached itself.
    #[cold]
    pub(crate) fn count_again(&self, own: &Own, block: &ThreadBlock) {
        {
            let mut end = block.end.lock();
            if end.is_detached || !std::mem::take(&mut end.is_uncounted) {
                return;
            }
            self.slot(own.number).threads.note_start();
        }
        if block.id == crate::thread::HOST_THREAD && !self.host_stays() {
            self.note_host(false);
        }
    }
    /// The program waits for all from now on, detached or not: before they are killed, so that their defers run. All carriers sleep, but for the caller's.
    pub(crate) fn count_all(&self, own: &Own) {
        for block in self.threads() {
            let mut end = block.end.lock();
            if matches!(end.outcome, block::Outcome::None) && std::mem::take(&mut end.is_uncounted)
            {
                self.slot(own.number).threads.note_start();
            }
        }
    }
    pub(crate) fn note_host(&self, has_ended: bool) {
        self.has_host_ended.store(has_ended, Ordering::Relaxed);
        let is_interrupted =
            has_ended && matches!(*self.exit.lock(), Some(crate::thread::Ended::Interrupted));
        if is_interrupted {
            // Its defers are done; nobody waits for the rest.
            self.end_program(crate::thread::Ended::Interrupted);
        }
        self.tell_if_done();
    }
    pub(crate) fn has_host_ended(&self) -> bool {
        self.has_host_ended.load(Ordering::Relaxed)
    }
    /// Whether no thread is left that the program waits for.
    pub(crate) fn is_done(&self) -> bool {
        registry::is_empty(self.slots().map(|slot| &slot.threads))
    }
    /// Whether a second thread was ever started.
    pub(crate) fn has_threads(&self) -> bool {
        self.next_thread.load(Ordering::Relaxed) > 2
    }
    /// How often a thread went to another carrier because its slice was over, under `--stress=migrate`.
    pub(crate) fn carrier_changes(&self) -> u64 {
        self.migrants.changes()
    }
    /// There are many tasks or threads, or much memory: tells the host, once.
    #[cold]
    pub(crate) fn note_large(&self) {
        if let Some(tell) = self.settings.on_large
            && !self.is_told_large.swap(true, Ordering::Relaxed)
        {
            call_host(tell);
        }
    }
    #[inline]
    pub(crate) fn note_printed(&self) {
        if !self.has_printed.load(Ordering::Relaxed) {
            self.has_printed.store(true, Ordering::Relaxed);
        }
    }
    /// Whether something is printed that nobody can see yet.
    pub(super) fn has_printed(&self) -> bool {
        !cfg!(loom) && self.has_printed.load(Ordering::Relaxed)
    }
    /// The program was interrupted, and may be ended at once: what it has printed can be seen.
    #[cold]
    pub(crate) fn flush_for_interrupt(&self) {
        if self.has_printed() {
            self.flush_printed();
        }
    }
    #[cold]
    pub(super) fn flush_printed(&self) {
        self.has_printed.store(false, Ordering::Relaxed);
        // Whoever prints next, or the end of the program, finds an error again.
        call_host(|| drop(self.output.lock().flush()));
    }
    /// The thread that the host calls, as long as it is there.
    #[cold]
    pub(crate) fn host_thread(&self) -> Option<Counted<ThreadBlock>> {
        let mut all = self.threads().into_iter();
        all.find(|block| block.id == crate::thread::HOST_THREAD)
    }
    /// How many threads there are, about.
    pub(crate) fn thread_count(&self) -> usize {
        self.slots().map(|slot| slot.threads.count()).sum()
    }
    pub(crate) fn threads(&self) -> Vec<Counted<ThreadBlock>> {
        let mut all = Vec::new();
        for slot in self.slots() {
            slot.threads.clone_to(&mut all);
        }
        all
    }

    // --- the queues

    /// A thread whose state the caller, a carrier, has changed to queued because it woke.
    #[inline]
    pub(crate) fn enqueue_woken(self: &Arc<Self>, own: &Own, block: *const ThreadBlock) {
        // One waiting thread is for this carrier, which will soon look; more are a backlog.
        if own.push_woken(block, self.is_solo()) {
            self.help();
        }
    }
    /// The same of one in whose turn a slice was used up. `is_late`: most of that by others.
    pub(crate) fn enqueue_spent(
        self: &Arc<Self>,
        own: &Own,
        block: *const ThreadBlock,
        is_late: bool,
    ) {
        if self.is_migrating {
            return self.enqueue_migrant(own, block);
        }
        own.push_spent(block, is_late);
        if own.len() > 1 {
            self.help();
        }
    }
    /// Some thread could run if a carrier were free.
    #[inline]
    pub(crate) fn has_backlog(&self, own: &Own) -> bool {
        !own.is_empty()
            || !self.injector.is_empty()
            || self.is_migrating
            || self.choices.has_queued()
    }
    /// Asks a thread for something (`block::CANCEL` …).
    pub(crate) fn request(self: &Arc<Self>, own: &Own, block: &ThreadBlock, what: u32) {
        if block.signal.request(what) {
            self.enqueue_woken(own, block);
        }
    }
    /// Ends all threads but `except`.
    pub(crate) fn kill_all(self: &Arc<Self>, own: &Own, except: *const ThreadBlock) {
        self.end_all(own, except, block::KILL);
    }
    /// Cancels or kills (`how`) all threads but `except`. None of them goes on before all have been told: what the end of one gives back wakes nobody. What they
    /// start meanwhile is cancelled or killed from the beginning.
    pub(crate) fn end_all(self: &Arc<Self>, own: &Own, except: *const ThreadBlock, how: u32) {
        self.ending.fetch_or(how, Ordering::Relaxed);
        let mut threads = self.threads();
        threads.retain(|block| Counted::as_ptr(block) != except && block.signal.request(how));
        for block in threads {
            self.enqueue_woken(own, Counted::as_ptr(&block));
        }
    }
    /// Hands a task over to its thread, which may be mounted anywhere.
    ///
    /// # Safety
    /// The caller has claimed the task.
    #[inline]
    pub(crate) unsafe fn wake(self: &Arc<Self>, own: &Own, task: *mut Task) {
        // SAFETY: a claimed task, and with it its thread, lives until it is in the inbox; and if the thread was idle then, until it is in the queue.
        unsafe {
            let block = (*task).block;
            if (*block).signal.push(task, self.is_solo()) {
                self.enqueue_woken(own, block);
            }
        }
    }

    /// The same where no carrier's queues are at hand.
    ///
    /// # Safety
    /// As for `wake`.
    pub(crate) unsafe fn wake_from_outside(self: &Arc<Self>, task: *mut Task) {
        // SAFETY: as in `wake`.
        unsafe {
            let block = (*task).block;
            if (*block).signal.push(task, false) {
                self.injector.push(Queued(block));
                crate::sync::window("injected");
                // A carrier that is about to sleep either finds it there, or is seen here.
                if mutation!("injector_unfenced", true, false) {
                    fence(Ordering::SeqCst);
                }
                self.help();
            }
        }
    }

    // --- timers

    /// The timers of a carrier.
    pub(crate) fn timers(&self, own: &Own) -> &Shard {
        &self.slot(own.number).timers
    }
    /// Not later than the next deadline; `u64::MAX`: none.
    pub(crate) fn next_deadline(&self) -> u64 {
        let mut next = u64::MAX;
        for slot in self.slots() {
            next = next.min(slot.timers.next());
        }
        next
    }
    /// Wakes whatever is due. Cheap when there are no timers.
    #[inline]
    pub(crate) fn fire_timers(self: &Arc<Self>, own: &Own) {
        if self.next_deadline() != u64::MAX {
            self.fire_due(own);
        }
    }
    fn fire_due(self: &Arc<Self>, own: &Own) {
        let now = self.now();
        // What has woken lies in the carrier's caches when its turn comes, if that is soon: see `timers`. Beside many others it is some nevertheless.
        let most = match own.len_woken() {
            // Whoever is due can be chosen.
            _ if self.choices.is_seeded() => usize::MAX,
            0..MANY_WOKEN => MOST_FIRED,
            _ => FEW_FIRED,
        };
        for slot in self.slots() {
            if slot.timers.next() > now {
                continue;
            }
            let mut fired = Fired::default();
            slot.timers.fire(now, most, &mut fired);
            crate::sync::window("timers_fired");
            for task in fired.tasks {
                // SAFETY: claimed by the timers.
                unsafe { self.wake(own, task) };
            }
            for scope in fired.scopes {
                {
                    let mut state = scope.state.lock();
                    if state.failure.is_some() {
                        continue;
                    }
                    state.is_timed_out = true;
                    state.has_cut_members = state.has_members();
                    scope.mark_cancelled(&mut state);
                }
                self.cancel_scope(own, &scope);
            }
        }
    }

    /// A scope was cancelled: tells the threads in it and the owner's thread.
    pub(crate) fn cancel_scope(self: &Arc<Self>, own: &Own, scope: &Arc<scope::Scope>) {
        for block in scope.threads_inside() {
            self.request(own, &block, block::CANCEL);
        }
        if let Some(block) = scope.block.upgrade() {
            self.cancelled.add(&block, scope);
            self.request(own, &block, block::SCOPES);
        }
    }
}

/// Calls something of the host's where no panic may pass: the thread goes on without it. (The panic hook has told of it.)
pub(crate) fn call_host(call: impl FnOnce()) {
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call));
}
