//! Calls that hold an OS thread while they wait for the system.
//!
//! A blocking native has three parts: it takes owned data out of its arguments; *works*, without any value of the language; and *finishes*, which makes the result. So the middle part may run anywhere, and
//! nobody but the carrier that has the thread mounted ever touches its heap.

use super::policy::{Policy, Way};
use crate::native::{Class, Ctx, NativeResult, Trap};
use crate::sched::wait::{Delivery, Owner, WaitList, deliver};
use crate::shared::{ObjectState, SharedObject};
use crate::sync::Lock;
use crate::task::{Task, Wait, WaitingNative};
use crate::types::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

/// The last part of a blocking native.
pub(crate) struct Outcome(Box<dyn FnOnce(&mut Ctx) -> NativeResult + Send>);

impl Outcome {
    fn new(finish: impl FnOnce(&mut Ctx) -> NativeResult + Send + 'static) -> Outcome {
        Outcome(Box::new(finish))
    }
    /// The work panicked.
    pub(crate) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Outcome {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic")
            .to_string();
        Outcome::new(move |ctx| {
            let message = format!("{}: internal error: {text}", ctx.name());
            Err(ctx.throw(ErrorKind::Error, message))
        })
    }
    pub(crate) fn make(self, ctx: &mut Ctx) -> NativeResult {
        (self.0)(ctx)
    }
}

type Work = Box<dyn FnOnce() -> Outcome + Send>;

/// What another OS thread does for a task: the state of a shared object that only the two of them know.
pub(crate) struct Job {
    /// The task.
    pub(crate) waiting: WaitList,
    work: Option<Work>,
    outcome: Option<Outcome>,
}

impl Job {
    pub(crate) fn take_work(&mut self) -> Option<Work> {
        self.work.take()
    }
    /// It is done: the task to wake, claimed; or, if that waits no more, what is left of the job.
    pub(crate) fn finish(
        &mut self,
        outcome: Option<Outcome>,
    ) -> (Option<*mut Task>, Option<Outcome>) {
        // SAFETY: under the lock of the list's owner; a claimed task is ours until it is handed over.
        unsafe {
            match self.waiting.claim_first() {
                Some(waiter) => {
                    self.outcome = outcome;
                    let task = (*waiter).task();
                    deliver(task, Delivery::None);
                    (Some(task), None)
                }
                None => (None, outcome),
            }
        }
    }
    /// The task waits no more.
    pub(crate) fn has_left(&mut self) {
        // What has not begun need not.
        self.work = None;
    }
}

impl<'c> Ctx<'c> {
    /// The middle and the last part of a blocking native: does `work` where the blocking policy says, then `finish`, which makes the result. Meanwhile the task may be parked, so `work` owns
    /// what it needs; `finish` finds no arguments, and may ask for room (`reserve`) although something has been done.
    pub fn block<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
        finish: impl FnOnce(&mut Ctx, T) -> NativeResult + Send + 'static,
    ) -> NativeResult {
        self.has_blocked = true;
        self.thread.blocking_point()?;
        let (site, way) = self.thread.way_to_block(self.def)?;
        let timed = move || {
            let start = Instant::now();
            let result = work();
            site.note(start.elapsed());
            result
        };
        match way {
            Way::Inline => {
                self.thread.hold_nested();
                let outcome = self.work_here(|| {
                    let result = timed();
                    Outcome::new(move |ctx| finish(ctx, result))
                });
                self.finish_here(outcome)
            }
            Way::Capture => {
                self.thread.begin_capture()?;
                let outcome = self.work_here(|| {
                    let result = timed();
                    Outcome::new(move |ctx| finish(ctx, result))
                });
                self.thread.end_capture();
                self.finish_here(outcome)
            }
            Way::Offload => {
                let work: Work = Box::new(move || {
                    let result = timed();
                    Outcome::new(move |ctx| finish(ctx, result))
                });
                self.offload(work)
            }
        }
    }
    /// Instead of `block`: this call has what it needs at hand and need not wait for the system. `false`: the program forbids such calls, so it must go through `block` all the same.
    pub fn need_not_block(&mut self) -> bool {
        self.has_blocked = self.thread.scheduler.blocking.policy() != Policy::Error;
        self.has_blocked
    }
    /// A blocking native that has come to its end has gone through `block`.
    #[inline]
    pub(crate) fn check_blocked(&self) {
        // SAFETY: definitions live as long as the engine.
        let is_blocking = || unsafe { (*self.def).class == Class::Blocking };
        debug_assert!(
            self.has_blocked || !is_blocking(),
            "{} did not go through `Ctx::block`",
            self.name()
        );
    }
    /// The middle part on this OS thread. If it panics, the carrier is not held any more, as at a worker.
    fn work_here(&mut self, work: impl FnOnce() -> Outcome) -> Outcome {
        self.thread.own.progress.pause();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .unwrap_or_else(|panic| Outcome::of_panic(panic.as_ref()));
        self.thread.own.progress.begin();
        outcome
    }
    /// The last part, while the native is still being called. It may collect: the native holds no values any more, and its window is visited.
    fn finish_here(&mut self, outcome: Outcome) -> NativeResult {
        // SAFETY: the window lies behind the base.
        let first = unsafe { self.args.offset_from(self.thread.base) } as usize;
        self.thread.scan_extra = first + self.argc;
        self.may_collect = true;
        let result = outcome.make(self);
        self.may_collect = false;
        self.thread.scan_extra = 0;
        result
    }
    fn offload(&mut self, work: Work) -> NativeResult {
        let job = Arc::new(SharedObject::new(Lock::new(ObjectState::Job(Job {
            waiting: WaitList::default(),
            work: Some(work),
            outcome: None,
        }))));
        let thread = &mut *self.thread;
        let waiter = thread.begin_single_wait(Wait::Work, Owner::Shared(Arc::as_ptr(&job)), 0);
        if let ObjectState::Job(state) = &mut *job.state.lock() {
            // SAFETY: under the job's lock.
            unsafe { state.waiting.push(waiter) };
        }
        // SAFETY: definitions live as long as the engine.
        let def = unsafe { &*self.def };
        thread.task().more().native = Some(WaitingNative {
            def,
            at: 0,
            argc: 0,
            state: 0,
            // Told later: see `Thread::note_waiting`.
            is_usual: false,
            work: Some(job.clone()),
        });
        if thread.scheduler.give_work(job.clone()) {
            return Err(Trap::Suspend);
        }
        // The system has no OS thread for it: this one does it.
        let work = match &mut *job.state.lock() {
            ObjectState::Job(job) => job.take_work(),
            _ => None,
        };
        thread.abandon_wait();
        thread.task().more().native = None;
        match work {
            Some(work) => self.finish_here(work()),
            None => unreachable!("nobody else has the job"),
        }
    }
}

/// What was done for a task that was woken.
pub(crate) fn take_outcome(native: &WaitingNative) -> Option<Outcome> {
    let job = native.work.as_ref()?;
    match &mut *job.state.lock() {
        ObjectState::Job(job) => job.outcome.take(),
        _ => None,
    }
}
