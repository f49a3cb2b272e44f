//! OS threads that make blocking calls while their tasks are parked (`--blocking=offload`).
//!
//! They are started on demand and end when they have had nothing to do for a while. A job is put into one queue; a worker that sleeps is woken for it. With all of them busy, the job waits for one of them,
//! as most calls are short; only if it has waited for `RELIEF` (`sched::idle`) another one is started: whoever carries threads looks at that between two of them, and a carrier that
//! sleeps does not sleep for longer while jobs wait. So a thousand short calls share a worker or two, and a thousand long ones get as many as there may be.
//!
//! A job is a shared object in whose list its task waits. The worker puts the outcome there and claims the task, under the object's lock; a task that was cancelled is not there
//! any more, and the outcome is dropped.

use super::{Scheduler, idle};
use crate::io::Outcome;
use crate::shared::{ObjectState, SharedObject};
use parking_lot::{Condvar, Mutex, RwLock};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    workers: usize,
    sleeping: usize,
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
        let is_late = |queued: &Queued| queued.since.elapsed() >= idle::RELIEF;
        if state.sleeping == 0
            && state.workers < self.settings.max_workers
            && state.queue.front().is_some_and(is_late)
        {
            self.start_worker(&mut state);
        }
    }
    fn start_worker(self: &Arc<Self>, state: &mut State) -> bool {
        let scheduler = self.clone();
        let started = std::thread::Builder::new()
            .name("heddle-worker".into())
            .spawn(move || scheduler.work());
        state.workers += usize::from(started.is_ok());
        started.is_ok()
    }
    /// A worker.
    fn work(self: Arc<Self>) {
        let workers = &self.workers;
        loop {
            let job = {
                let mut state = workers.state.lock();
                loop {
                    if let Some(job) = workers.take(&mut state) {
                        break job;
                    }
                    state.sleeping += 1;
                    let is_over = workers.changed.wait_for(&mut state, IDLE_TIME).timed_out();
                    state.sleeping -= 1;
                    if is_over && state.queue.is_empty() {
                        state.workers -= 1;
                        return;
                    }
                }
            };
            self.do_job(&job.job, job.program);
        }
    }
    fn do_job(self: &Arc<Self>, job: &Arc<SharedObject>, program: u64) {
        let work = match &mut *job.state.lock() {
            ObjectState::Job(job) => job.take_work(),
            _ => unreachable!("a job's state"),
        };
        // None: its task was cancelled before it began.
        let outcome = work.map(|work| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
                .unwrap_or_else(|panic| Outcome::of_panic(panic.as_ref()))
        });
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
        // Release: see `is_busy`.
        self.workers.jobs.fetch_sub(1, Ordering::Release);
        if task.is_none() {
            // Nobody was woken: it may have been the last that anybody could wait for.
            self.wake_sleepers();
        }
    }
}
