//! What a host that stays (an interactive session) and its carriers tell each other.
//!
//! The host's thread of the language is either **at home**, that is parked with its state word at running, for the host alone; or it is scheduled like any other, on any carrier.
//! The host asks for it with the request `block::HOME`: whichever carrier runs it, or takes it out of a queue next, brings it home. It comes home by itself when its last task ends.
//!
//! **Calls** reach the host's carrier wherever it is: `call_host` sets the flag, and then notifies under the lock of `idle`, under which the host looks at the flag before it sleeps. One that
//! runs a thread looks at the flag at safepoints.
//!
//! **Sources.** Who may wake tasks from outside the carriers (a session that waits for its next input) is counted as an external source, and while there is one, nothing is a
//! deadlock: see `Scheduler::add_source`.

use super::{Scheduler, ThreadBlock};
use crate::counted::Counted;
use crate::engine::Engine;
use crate::sync::{AtomicBool, Mutex, Ordering};
use std::sync::Arc;

/// A task, or a thread that did not say which it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInfo {
    pub thread: u64,
    pub thread_name: Option<String>,
    /// Its number within its thread, from 1; 0: the thread does not say which it has (it is busy in a native), so this stands for all of them.
    pub task: u64,
    pub name: Option<String>,
    /// `running`, `runnable`, `waits for sleep` …
    pub state: String,
    /// `f.hd:3:5`: where it is, or where it was started if it has not begun; empty if only the library knows.
    pub place: String,
}

/// See the head of the file.
pub(crate) struct Host {
    /// The host stays: what is started goes on when a call of it has ended.
    stays: AtomicBool,
    is_called: AtomicBool,
    /// Somebody woke the host by its `Waker`.
    pub(crate) is_woken: AtomicBool,
    pub(crate) is_home: AtomicBool,
    /// An input runs: Ctrl-C is for the host to act upon.
    pub(crate) has_input: AtomicBool,
    /// The input is to throw at its next safepoint.
    pub(crate) is_interrupting: AtomicBool,
    /// A task of the host's thread failed that nobody had joined for.
    pub(crate) has_failed_task: AtomicBool,
    /// Tasks that are to be killed: thread and number.
    pub(crate) kills: Mutex<Vec<(u64, u64)>>,
}

impl Host {
    pub(super) fn new() -> Host {
        let no = || AtomicBool::new(false);
        Host {
            stays: no(),
            is_called: no(),
            is_woken: no(),
            is_home: no(),
            has_input: no(),
            is_interrupting: no(),
            has_failed_task: no(),
            kills: Mutex::new(Vec::new()),
        }
    }
}

/// Wakes a host that waits in `Thread::idle`, from any OS thread. A host that does not wait is woken the next time.
#[derive(Clone)]
pub struct Waker(pub(crate) Arc<Scheduler>);

impl Waker {
    pub fn wake(&self) {
        self.0.host.is_woken.store(true, Ordering::Release);
        self.0.call_host();
    }
}

impl Scheduler {
    #[inline]
    pub(crate) fn host_stays(&self) -> bool {
        self.host.stays.load(Ordering::Relaxed)
    }
    pub(crate) fn set_host_stays(&self, stays: bool) {
        self.host.stays.store(stays, Ordering::Relaxed);
    }
    /// There is something that the host should look at. Does nothing for hosts that do not stay.
    pub(crate) fn call_host(&self) {
        if self.host_stays() {
            self.host.is_called.store(true, Ordering::SeqCst);
            self.wake_sleepers();
        }
    }
    /// Whether the host, which stays, is called, or Ctrl-C was pressed for its input.
    pub(crate) fn is_host_called(&self, engine: &Engine) -> bool {
        let has_input = || self.host.has_input.load(Ordering::Relaxed);
        self.host.is_called.load(Ordering::SeqCst) || has_input() && engine.has_interrupt()
    }
    /// The same for a host whose OS thread waits for a pinned task.
    pub(super) fn is_pinned_host_called(&self, engine: &Engine) -> bool {
        let host = &self.host;
        self.host_stays()
            && match host.has_input.load(Ordering::Relaxed) {
                true => host.is_home.load(Ordering::Acquire) || engine.has_interrupt(),
                false => self.is_idle_over(),
            }
    }
    /// What ends `Thread::idle`: a `Waker`, or an error that nobody had joined for.
    pub(crate) fn is_idle_over(&self) -> bool {
        self.host.is_woken.load(Ordering::Acquire)
            || self.host.has_failed_task.load(Ordering::Acquire)
            || self.has_failed()
    }
    /// Whether the host must look now and then, since nobody calls it.
    pub(super) fn must_host_look(&self) -> bool {
        // With a reactor, signals come through that.
        !self.reactor.is_open()
            && (!self.host_stays() || self.host.has_input.load(Ordering::Relaxed))
    }
    /// A task of the host's thread failed, and nobody had joined for it.
    pub(crate) fn note_failed_task(&self) {
        self.host.has_failed_task.store(true, Ordering::Release);
        self.call_host();
    }
    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.lock().is_empty() || !self.lost_errors.lock().list.is_empty()
    }
    pub(crate) fn take_lost(&self) -> Option<(crate::shared::Message, u32)> {
        let list = &mut self.lost_errors.lock().list;
        (!list.is_empty()).then(|| list.remove(0))
    }
    pub(crate) fn take_failed(&self) -> Option<Counted<ThreadBlock>> {
        let mut failed = self.failed.lock();
        (!failed.is_empty()).then(|| failed.remove(0))
    }
    pub(crate) fn put_failed(&self, failed: Vec<Counted<ThreadBlock>>) {
        self.failed.lock().extend(failed);
    }
    /// The host will look now.
    pub(crate) fn take_host_call(&self) {
        self.host.is_called.store(false, Ordering::SeqCst);
    }
    /// The host's thread is parked, for the host alone.
    pub(crate) fn bring_home(&self) {
        self.host.is_home.store(true, Ordering::Release);
        self.call_host();
    }
}
