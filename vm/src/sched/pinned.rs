//! Carriers that wait for one task, which is pinned to them: see `thread::pin`.
//!
//! Such a carrier sleeps at a condition of its own, so that a call for help never reaches one that could not. It counts for the question whether anybody can still wake a task.

use super::queues::Queued;
use super::{Own, Scheduler, ThreadBlock};
use crate::engine::Engine;
use crate::sync::{Ordering, fence};
use std::sync::Arc;

/// What a pinned carrier does next.
pub(crate) enum NextPinned {
    /// The thread is there, its state queued.
    Run,
    /// The program is over.
    Stop,
    /// Nothing can ever wake any task (told to the host's carrier only).
    Deadlock,
    /// This is the OS thread of a host that stays, and the host is wanted.
    Called,
}

impl Scheduler {
    /// Puts a runnable thread where any carrier finds it, and sees to it that there is one.
    pub(crate) fn pass_on(self: &Arc<Self>, block: *const ThreadBlock) {
        self.injector.push(Queued(block));
        fence(Ordering::SeqCst);
        self.help();
    }
    /// The same of all threads in a carrier's own queues.
    pub(crate) fn pass_all_on(self: &Arc<Self>, own: &Own) {
        while let Some(queued) = own.pop() {
            self.pass_on(queued.0);
        }
    }
    /// A runnable thread, whose first ready task is pinned to that carrier.
    pub(crate) fn hand_over(&self, block: *const ThreadBlock, carrier: usize) {
        self.handed.fetch_add(1, Ordering::SeqCst);
        crate::sync::window("hand_over");
        self.slot(carrier).handed.lock().push(Queued(block));
        self.wake_pinned();
    }
    fn take_handed(&self, own: &Own, block: *const ThreadBlock) -> bool {
        let mut handed = self.slot(own.number).handed.lock();
        let at = handed.iter().position(|queued| queued.0 == block);
        let Some(at) = at else { return false };
        handed.swap_remove(at);
        self.handed.fetch_sub(1, Ordering::SeqCst);
        true
    }
    /// Waits until the thread can go on here. `has_left`: the task is to leave already, so that the host gets its OS thread back.
    pub(crate) fn next_pinned(
        self: &Arc<Self>,
        own: &mut Own,
        block: *const ThreadBlock,
        is_host: bool,
        engine: &Engine,
        has_left: bool,
    ) -> NextPinned {
        let is_called = || is_host && !has_left && self.is_pinned_host_called(engine);
        loop {
            if self.is_paused() {
                self.stand_still();
            }
            if !own.found.is_empty() {
                self.take_found(own);
            }
            self.fire_timers(own);
            self.relieve_workers();
            if self.is_stopping() {
                return NextPinned::Stop;
            }
            if is_host && engine.has_interrupt() && !self.host_stays() {
                let _ = engine.take_interrupt();
                self.end_program(crate::thread::Ended::Interrupted);
                return NextPinned::Stop;
            }
            if is_called() {
                return NextPinned::Called;
            }
            let mut is_here = self.take_handed(own, block);
            while let Some(queued) = own.pop() {
                if queued.0 == block {
                    is_here = true;
                } else {
                    self.pass_on(queued.0);
                }
            }
            if is_here {
                return NextPinned::Run;
            }
            let is_interrupted = || is_host && engine.has_interrupt() && !self.host_stays();
            let has_come = || {
                !self.slot(own.number).handed.lock().is_empty() || is_called() || is_interrupted()
            };
            let mut found = std::mem::take(&mut own.found);
            let is_deadlock = self.sleep_pinned(&mut found, is_host, has_come);
            own.found = found;
            if is_deadlock {
                return NextPinned::Deadlock;
            }
        }
    }
}
