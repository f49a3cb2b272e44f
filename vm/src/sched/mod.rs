//! Running threads of the language on OS threads (carriers).
//!
//! | file | |
//! | --- | --- |
//! | `mod` | the queue of runnable threads, carriers, clock, deadlock |
//! | `block` | a thread as carriers see it: state word, inbox, end |
//! | `wait` | claims and lists of waiting tasks |
//! | `timers` | what is due when |
//! | `scope` | structured concurrency |
//!
//! Carriers start when there is a backlog, up to a maximum; a program without threads has the one that called `Thread::run`. Who finds
//! nothing to do sleeps; the last one to fall asleep while no timer runs has found a deadlock: nothing outside can wake a task.

pub(crate) mod block;
pub(crate) mod scope;
pub(crate) mod timers;
pub(crate) mod wait;

pub use block::ThreadBlock;

use crate::engine::Engine;
use crate::task::Task;
use crate::thread::{Carrier, Settings, Thread};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use timers::{NO_TIMER, Target, Timers};
use wait::Claimed;

/// How long the host's OS thread sleeps at most before it looks for an interrupt.
const INTERRUPT_CHECK: Duration = Duration::from_millis(50);

/// What a carrier does next.
pub(crate) enum Next {
    Run(Arc<ThreadBlock>),
    /// The program is over.
    Stop,
    /// Every thread has ended (told to the host's carrier only).
    Done,
    /// Nothing can ever wake any task (told to the host's carrier only).
    Deadlock,
    /// Ctrl-C (told to the host's carrier only).
    Interrupted,
}

struct Queues {
    ready: VecDeque<Arc<ThreadBlock>>,
    carriers: usize,
    idle: usize,
    /// Threads that have not ended and are not detached.
    live: usize,
    /// Every thread that has not ended; its position is in the block.
    threads: Vec<Arc<ThreadBlock>>,
    /// Ended by an error that nobody has joined for yet.
    failed: Vec<Arc<ThreadBlock>>,
    is_stopping: bool,
    is_deadlocked: bool,
    handles: Vec<std::thread::JoinHandle<()>>,
}

/// Places in code: see `Thread::collect_trace`.
pub(crate) struct Places(pub(crate) Vec<(*const crate::module::Proto, u64)>);
// SAFETY: prototypes are shared and live as long as the engine.
unsafe impl Send for Places {}

/// What the carriers of a host's thread share.
pub(crate) struct Scheduler {
    queues: Mutex<Queues>,
    changed: Condvar,
    /// As many as `ready` holds: for safepoints, without the lock.
    backlog: AtomicUsize,
    timers: Mutex<Timers>,
    /// The next deadline; `u64::MAX`: none.
    deadline: AtomicU64,
    /// How many threads have not ended.
    thread_count: AtomicUsize,
    start: Instant,
    pub(crate) engine: Arc<Engine>,
    pub(crate) settings: Settings,
    /// What may still be used of the fuel; `u64::MAX`: no limit.
    fuel: AtomicU64,
    fuel_limit: AtomicU64,
    max_carriers: usize,
    next_thread: AtomicU64,
    pub(crate) output: Mutex<Box<dyn Write + Send>>,
    /// `os.exit` was called, or fuel ran out, on whatever carrier.
    pub(crate) exit: Mutex<Option<crate::thread::Ended>>,
    /// Where the fuel ran out.
    pub(crate) end_trace: Mutex<Option<Places>>,
    is_stopping: AtomicBool,
}

impl Scheduler {
    pub(crate) fn new(
        engine: Arc<Engine>,
        settings: Settings,
        max_carriers: usize,
        output: Box<dyn Write + Send>,
    ) -> Arc<Scheduler> {
        Arc::new(Scheduler {
            engine,
            settings,
            fuel: AtomicU64::new(u64::MAX),
            fuel_limit: AtomicU64::new(u64::MAX),
            queues: Mutex::new(Queues {
                ready: VecDeque::new(),
                carriers: 1,
                idle: 0,
                live: 0,
                threads: Vec::new(),
                failed: Vec::new(),
                is_stopping: false,
                is_deadlocked: false,
                handles: Vec::new(),
            }),
            changed: Condvar::new(),
            backlog: AtomicUsize::new(0),
            timers: Mutex::default(),
            deadline: AtomicU64::new(u64::MAX),
            thread_count: AtomicUsize::new(0),
            start: Instant::now(),
            max_carriers: max_carriers.max(1),
            next_thread: AtomicU64::new(2),
            output: Mutex::new(output),
            exit: Mutex::new(None),
            end_trace: Mutex::new(None),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// Nanoseconds since the scheduler was made.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }
    pub(crate) fn new_thread_id(&self) -> u64 {
        self.next_thread.fetch_add(1, Ordering::Relaxed)
    }
    /// Some thread could run if a carrier were free.
    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.load(Ordering::Relaxed) > 0
    }
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
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
            let less = |fuel: u64| Some(fuel.saturating_sub(spent));
            let _ = self
                .fuel
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    // --- threads

    /// A thread begins; it counts until `thread_ended`.
    pub(crate) fn register(&self, block: &Arc<ThreadBlock>) {
        let mut queues = self.queues.lock();
        queues.live += 1;
        let at = queues.threads.len() as u32;
        block.registered.store(at, Ordering::Relaxed);
        queues.threads.push(block.clone());
        self.thread_count
            .store(queues.threads.len(), Ordering::Relaxed);
    }
    /// A thread has ended; `has_failed`: with an error that nobody has joined for yet.
    pub(crate) fn unregister(&self, block: &Arc<ThreadBlock>, counts: bool, has_failed: bool) {
        let mut queues = self.queues.lock();
        let at = block.registered.swap(u32::MAX, Ordering::Relaxed) as usize;
        if at == u32::MAX as usize {
            // The host's thread was asked for something after it had ended.
            return;
        }
        if at < queues.threads.len() {
            queues.threads.swap_remove(at);
            if let Some(moved) = queues.threads.get(at) {
                moved.registered.store(at as u32, Ordering::Relaxed);
            }
        }
        self.thread_count
            .store(queues.threads.len(), Ordering::Relaxed);
        if has_failed {
            queues.failed.push(block.clone());
        }
        if counts {
            queues.live -= 1;
            if queues.live == 0 {
                self.changed.notify_all();
            }
        }
    }
    /// The program does not wait for this one.
    pub(crate) fn detach(&self, block: &ThreadBlock) {
        let is_new = !std::mem::replace(&mut block.end.lock().is_detached, true);
        if is_new && !block.signal.is_ended() {
            let mut queues = self.queues.lock();
            queues.live -= 1;
            self.changed.notify_all();
        }
    }
    /// Whether a second thread was ever started.
    pub(crate) fn has_threads(&self) -> bool {
        self.next_thread.load(Ordering::Relaxed) > 2
    }
    pub(crate) fn has_ended(&self) -> bool {
        self.is_stopping()
    }
    pub(crate) fn thread_count(&self) -> usize {
        self.thread_count.load(Ordering::Relaxed)
    }
    pub(crate) fn threads(&self) -> Vec<Arc<ThreadBlock>> {
        self.queues.lock().threads.clone()
    }
    /// Asks a thread for something (`block::CANCEL` …).
    pub(crate) fn request(self: &Arc<Self>, block: &Arc<ThreadBlock>, what: u32) {
        if block.signal.request(what) {
            self.enqueue(block.clone());
        }
    }

    // --- the queue

    /// Puts a thread whose state the caller has changed to queued into the queue.
    pub(crate) fn enqueue(self: &Arc<Self>, block: Arc<ThreadBlock>) {
        let mut queues = self.queues.lock();
        queues.ready.push_back(block);
        self.backlog.store(queues.ready.len(), Ordering::Relaxed);
        // One waiting thread is for the carrier that put it there, which will soon look; more are a backlog.
        if queues.ready.len() > 1 || queues.idle == queues.carriers {
            self.help(queues);
        }
    }
    /// A slice has ended and others wait: another carrier may take them.
    pub(crate) fn share_backlog(self: &Arc<Self>) {
        let queues = self.queues.lock();
        if !queues.ready.is_empty() {
            self.help(queues);
        }
    }
    fn help(self: &Arc<Self>, mut queues: parking_lot::MutexGuard<'_, Queues>) {
        if queues.idle > 0 {
            drop(queues);
            self.changed.notify_one();
        } else if queues.carriers < self.max_carriers && !queues.is_stopping {
            queues.carriers += 1;
            drop(queues);
            self.start_carrier();
        }
    }
    fn start_carrier(self: &Arc<Self>) {
        let scheduler = self.clone();
        let started = Carrier::for_scheduler(&scheduler).and_then(|carrier| {
            std::thread::Builder::new()
                .name("heddle-carrier".into())
                .spawn(move || carrier.run(&scheduler))
                .ok()
        });
        let mut queues = self.queues.lock();
        match started {
            Some(handle) => queues.handles.push(handle),
            // The system has no more: those that run do all the work.
            None => queues.carriers -= 1,
        }
    }

    /// Waits for something to do.
    pub(crate) fn next(self: &Arc<Self>, is_host: bool, engine: &crate::engine::Engine) -> Next {
        loop {
            self.fire_timers();
            let mut queues = self.queues.lock();
            if queues.is_stopping {
                return Next::Stop;
            }
            if is_host && queues.live == 0 {
                return Next::Done;
            }
            if let Some(block) = queues.ready.pop_front() {
                self.backlog.store(queues.ready.len(), Ordering::Relaxed);
                return Next::Run(block);
            }
            if is_host && engine.has_interrupt() {
                return Next::Interrupted;
            }
            queues.idle += 1;
            let deadline = self.deadline.load(Ordering::Acquire);
            if queues.idle == queues.carriers && deadline == u64::MAX && queues.live > 0 {
                queues.is_deadlocked = true;
                self.changed.notify_all();
            }
            if queues.is_deadlocked && is_host {
                queues.is_deadlocked = false;
                queues.idle -= 1;
                return Next::Deadlock;
            }
            let now = self.now();
            let until_deadline = match deadline {
                u64::MAX => None,
                at => Some(Duration::from_nanos(at.saturating_sub(now))),
            };
            let longest = match (until_deadline, is_host) {
                (Some(wait), true) => Some(wait.min(INTERRUPT_CHECK)),
                (None, true) => Some(INTERRUPT_CHECK),
                (wait, false) => wait,
            };
            match longest {
                Some(wait) => {
                    self.changed.wait_for(&mut queues, wait);
                }
                None => self.changed.wait(&mut queues),
            }
            queues.idle -= 1;
        }
    }

    /// Carriers leave what they run and end; what still waits is dropped. Gives the threads that failed, in the order of their ends.
    pub(crate) fn stop(&self) -> Vec<Arc<ThreadBlock>> {
        self.is_stopping.store(true, Ordering::Release);
        let handles = {
            let mut queues = self.queues.lock();
            queues.is_stopping = true;
            self.changed.notify_all();
            std::mem::take(&mut queues.handles)
        };
        for handle in handles {
            let _ = handle.join();
        }
        // What is left belongs to nobody: dropped with its blocks.
        let failed;
        let left = {
            let mut queues = self.queues.lock();
            queues.carriers = 1;
            queues.idle = 0;
            queues.live = 0;
            queues.is_stopping = false;
            queues.is_deadlocked = false;
            self.backlog.store(0, Ordering::Relaxed);
            failed = std::mem::take(&mut queues.failed);
            (
                std::mem::take(&mut queues.ready),
                std::mem::take(&mut queues.threads),
            )
        };
        let timers = std::mem::take(&mut *self.timers.lock());
        self.deadline.store(u64::MAX, Ordering::Release);
        self.is_stopping.store(false, Ordering::Release);
        drop((left, timers));
        failed
    }
    /// The program ends now: every carrier stops at its next safepoint.
    pub(crate) fn end_program(&self, how: crate::thread::Ended) {
        self.exit.lock().get_or_insert(how);
        self.is_stopping.store(true, Ordering::Release);
        self.queues.lock().is_stopping = true;
        self.changed.notify_all();
    }

    // --- timers

    pub(crate) fn add_timer(&self, deadline: u64, target: Target) -> u32 {
        let mut timers = self.timers.lock();
        let task = match &target {
            Target::Task(task) => Some(*task),
            Target::Scope(_) => None,
        };
        let timer = timers.add(deadline, target);
        if let Some(task) = task {
            // SAFETY: the caller's own task; its `timer` is used under this lock.
            unsafe { (*task).timer = timer };
        }
        self.note_deadline(&timers);
        timer
    }
    /// Takes the timer of the woken task out, if it is still there.
    pub(crate) fn remove_timer_of(&self, task: &mut Task) {
        if task.has_timer {
            task.has_timer = false;
            let mut timers = self.timers.lock();
            if task.timer != NO_TIMER {
                timers.remove(task.timer);
                task.timer = NO_TIMER;
                self.note_deadline(&timers);
            }
        }
    }
    pub(crate) fn remove_scope_timer(&self, scope: &scope::Scope) {
        let mut timers = self.timers.lock();
        let timer = std::mem::replace(&mut *scope.timer.lock(), NO_TIMER);
        if timer != NO_TIMER {
            timers.remove(timer);
            self.note_deadline(&timers);
        }
    }
    fn note_deadline(&self, timers: &Timers) {
        self.deadline
            .store(timers.next().unwrap_or(u64::MAX), Ordering::Release);
    }
    /// Wakes whatever is due. Cheap when nothing is.
    pub(crate) fn fire_timers(self: &Arc<Self>) {
        let deadline = self.deadline.load(Ordering::Relaxed);
        if deadline == u64::MAX || self.now() < deadline {
            return;
        }
        let mut woken = Vec::new();
        let mut scopes = Vec::new();
        {
            let mut timers = self.timers.lock();
            let now = self.now();
            while let Some(timer) = timers.due(now) {
                match timers.remove(timer) {
                    Some(Target::Task(task)) => {
                        // SAFETY: a task takes its timer out, under this lock, before it goes on: it is still waiting.
                        unsafe {
                            (*task).timer = NO_TIMER;
                            if (*task).claim.try_claim(Claimed::TimedOut) {
                                woken.push(task);
                            }
                        }
                    }
                    Some(Target::Scope(scope)) => {
                        *scope.timer.lock() = NO_TIMER;
                        scopes.push(scope);
                    }
                    None => unreachable!("a due timer exists"),
                }
            }
            self.note_deadline(&timers);
        }
        for task in woken {
            // SAFETY: claimed above.
            unsafe { self.wake_remote(task) };
        }
        for scope in scopes {
            {
                let mut state = scope.state.lock();
                if state.failure.is_some() {
                    continue;
                }
                state.is_timed_out = true;
                state.is_cancelled = true;
            }
            self.cancel_scope(&scope);
        }
    }

    /// A scope was cancelled: tells its threads and the owner's thread.
    pub(crate) fn cancel_scope(self: &Arc<Self>, scope: &Arc<scope::Scope>) {
        for block in self.threads() {
            if scope::is_around(scope, block.scope.as_ref()) {
                self.request(&block, block::CANCEL);
            }
        }
        if let Some(block) = scope.block.upgrade() {
            self.request(&block, block::SCOPES);
        }
    }

    /// Hands a task over to its thread, which may be mounted anywhere.
    ///
    /// # Safety
    /// The caller has claimed the task.
    pub(crate) unsafe fn wake_remote(self: &Arc<Self>, task: *mut Task) {
        // SAFETY: a claimed task, and with it its thread, lives until it has been handed over; the block is held beyond that.
        unsafe {
            let block = (*task).block;
            Arc::increment_strong_count(block);
            let block = Arc::from_raw(block);
            if block.signal.push(task) {
                self.enqueue(block);
            }
        }
    }
}

/// Runs threads until the program ends: a carrier other than the host's.
pub(crate) fn carrier_loop(machine: &mut Thread, scheduler: &Arc<Scheduler>) {
    loop {
        match scheduler.next(false, machine.engine()) {
            Next::Run(block) => machine.run_block(block),
            _ => return,
        }
    }
}
