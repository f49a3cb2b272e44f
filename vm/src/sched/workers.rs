//! OS threads that make blocking calls while their tasks are parked (`--blocking=offload`).
//!
//! They are started on demand and end when they have had nothing to do for a while. A job is put into one queue; a worker that sleeps is woken for it. With all of them busy, the job waits for one of them,
//! as most calls are short; only if it has waited for `RELIEF` (`sched::idle`) another one is considered: whoever carries threads looks at that between two of them, and a carrier that
//! sleeps does not sleep for longer while jobs wait. If the calls that ended of late were short, they did not wait but kept a processor busy, and more workers than there are carriers would only take
//! turns at that: so many are enough, and others end. A worker that has been in a call for `HANG` does not count. So a thousand short calls share a worker or two, and a thousand long ones get as
//! many as there may be.
//!
//! A job is a shared object in whose list its task waits. The worker puts the outcome there and claims the task, under the object's lock; a task that was cancelled is not there
//! any more, and the outcome is dropped.

use super::{Scheduler, idle};
use crate::io::Outcome;
use crate::shared::{ObjectState, SharedObject};
use crate::sync::{AtomicUsize, Ordering, mutation};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A worker with nothing to do ends after this time.
const IDLE_TIME: Duration = Duration::from_secs(1);
/// How many workers there may be unless the host says otherwise.
pub const DEFAULT_MAX: usize = 64;

/// A job that no worker has begun yet.
struct Queued {
    job: Arc<SharedObject>,
    since: Instant,
    /// `Workers::ended` when it was given.
    program: u64,
}

/// A job that takes less time does not wait for the system, but keeps a processor busy.
const LONG: Duration = Duration::from_micros(100);
/// A worker hangs that has been in a job for so long. (Or others have the processors.)
const HANG: Duration = Duration::from_millis(4);
/// What a long job adds to `State::length`, so that one of so many makes all count as long; and the most that it can be.
const LONG_WEIGHT: u32 = 8;
const MAX_LENGTH: u32 = 64;

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    workers: usize,
    sleeping: usize,
    /// When each worker began the job that it is in. Places of workers that ended are used again.
    begun: Vec<Option<Instant>>,
    free: Vec<usize>,
    /// Grows with each job that was long, and shrinks with each that was short.
    length: u32,
}

impl State {
    fn note_length(&mut self, time: Duration) {
        self.length = match time >= LONG {
            true => (self.length + LONG_WEIGHT).min(MAX_LENGTH),
            false => self.length.saturating_sub(1),
        };
    }
    /// Whether the jobs of late were long.
    fn is_long(&self) -> bool {
        self.length > MAX_LENGTH / 2
    }
    fn end_worker(&mut self, place: usize) {
        self.workers -= 1;
        self.free.push(place);
    }
    /// Workers that do not hang.
    fn lively(&self, now: Instant) -> usize {
        let begun = self.begun.iter().flatten();
        let hanging = begun.filter(|&&begun| now.saturating_duration_since(begun) >= HANG);
        self.workers - hanging.count()
    }
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct Workers {
    state: Mutex<State>,
    changed: Condvar,
    /// Jobs that were given and are not done.
    jobs: AtomicUsize,
    /// As many as `State::queue`: to be read without the lock.
    queued: AtomicUsize,
    /// How many programs have ended (`Scheduler::stop`). Read while a task is claimed and handed over: a job of an earlier program wakes nobody, since its task may be gone.
    ended: RwLock<u64>,
}

impl Workers {
    /// Whether some job may still wake a task. Acquire: if not, what all of them have woken is in the queues.
    pub(super) fn is_busy(&self) -> bool {
        self.jobs.load(Ordering::Acquire) > 0
    }
    /// Whether jobs wait for a worker.
    #[inline]
    pub(super) fn is_late(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > 0
    }
    /// The program ends, and its tasks will be dropped: jobs that have not begun will not, and those that have will wake nobody.
    pub(super) fn forget(&self) {
        *self.ended.write() += 1;
        let mut state = self.state.lock();
        self.jobs.fetch_sub(state.queue.len(), Ordering::Release);
        let jobs = std::mem::take(&mut state.queue);
        self.queued.store(0, Ordering::Relaxed);
        drop(state);
        drop(jobs);
    }
    fn take(&self, state: &mut State) -> Option<Queued> {
        let queued = state.queue.pop_front()?;
        self.queued.store(state.queue.len(), Ordering::Relaxed);
        Some(queued)
    }
}

impl Scheduler {
    /// Gives a job to the workers; `false`: there is none, and none can be started.
    pub(crate) fn give_work(self: &Arc<Self>, job: Arc<SharedObject>) -> bool {
        self.end_solo();
        let workers = &self.workers;
        let program = *workers.ended.read();
        let mut state = workers.state.lock();
        if state.workers == 0 && !self.start_worker(&mut state) {
            return false;
        }
        workers.jobs.fetch_add(1, Ordering::Relaxed);
        state.queue.push_back(Queued {
            job,
            since: Instant::now(),
            program,
        });
        workers.queued.store(state.queue.len(), Ordering::Relaxed);
        // One that has just been started is awake.
        let wakes = state.sleeping > 0;
        drop(state);
        if wakes {
            workers.changed.notify_one();
        }
        true
    }
    /// Starts another worker if jobs have waited for too long.
    #[inline]
    pub(crate) fn relieve_workers(self: &Arc<Self>) {
        if self.workers.is_late() {
            self.relieve();
        }
    }
    #[cold]
    fn relieve(self: &Arc<Self>) {
        let mut state = self.workers.state.lock();
        let now = Instant::now();
        let is_late = |queued: &Queued| now.saturating_duration_since(queued.since) >= idle::RELIEF;
        if state.sleeping == 0
            && state.workers < self.settings.max_workers
            && state.queue.front().is_some_and(is_late)
            && (state.is_long() || state.lively(now) < self.settings.carriers)
        {
            self.start_worker(&mut state);
        }
    }
    fn start_worker(self: &Arc<Self>, state: &mut State) -> bool {
        let place = state.free.pop().unwrap_or_else(|| {
            state.begun.push(None);
            state.begun.len() - 1
        });
        let scheduler = self.clone();
        let started = std::thread::Builder::new()
            .name("heddle-worker".into())
            .spawn(move || scheduler.work(place));
        match started.is_ok() {
            true => state.workers += 1,
            false => state.free.push(place),
        }
        started.is_ok()
    }
    /// A worker.
    fn work(self: Arc<Self>, place: usize) {
        let workers = &self.workers;
        loop {
            let job = {
                let mut state = workers.state.lock();
                let mut now = Instant::now();
                if let Some(begun) = state.begun[place].take() {
                    state.note_length(now - begun);
                    let most = self.settings.carriers;
                    let is_needed =
                        state.workers <= most || state.length > 0 || state.lively(now) <= most;
                    if !is_needed {
                        return state.end_worker(place);
                    }
                }
                loop {
                    if let Some(job) = workers.take(&mut state) {
                        state.begun[place] = Some(now);
                        break job;
                    }
                    state.sleeping += 1;
                    let is_over = workers.changed.wait_for(&mut state, IDLE_TIME).timed_out();
                    state.sleeping -= 1;
                    if is_over && state.queue.is_empty() {
                        return state.end_worker(place);
                    }
                    now = Instant::now();
                }
            };
            self.do_job(&job.job, job.program);
        }
    }
    fn do_job(self: &Arc<Self>, job: &Arc<SharedObject>, program: u64) {
        debug_assert!(cfg!(loom) || !self.is_solo());
        let work = match &mut *job.state.lock() {
            ObjectState::Job(job) => job.take_work(),
            _ => unreachable!("a job's state"),
        };
        // None: its task was cancelled before it began.
        let outcome = work.map(|work| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Outcome::of_panic(panic.as_ref()))
        });
        crate::sync::window("work_done");
        // Held until the task is handed over: tasks are dropped only after `forget`.
        let ended = self.workers.ended.read();
        let (task, left) = match &mut *job.state.lock() {
            ObjectState::Job(job) if *ended == program => job.finish(outcome),
            _ => (None, outcome),
        };
        if let Some(task) = task {
            // SAFETY: claimed by `finish`; its program has not ended.
            unsafe { self.wake_from_outside(task) };
        }
        drop(ended);
        drop(left);
        crate::sync::window("job_done");
        self.end_job(task.is_none());
    }
    /// A job is done; `has_woken_nobody`: it has woken nobody.
    pub(super) fn end_job(&self, has_woken_nobody: bool) {
        // Release: see `is_busy`.
        self.workers.jobs.fetch_sub(1, Ordering::Release);
        // It may have been the last that anybody could wait for: nobody was woken, or who was has gone to sleep again before this.
        if mutation!("job_ends_silently", self.is_job_awaited(), false) || has_woken_nobody {
            self.wake_sleepers();
        }
    }
    #[cfg(loom)]
    pub(super) fn begin_job(&self) {
        self.workers.jobs.fetch_add(1, Ordering::Relaxed);
    }
}
