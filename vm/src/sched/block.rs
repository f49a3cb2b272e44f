//! What carriers know of a thread of the language: its state word, its inbox of woken tasks, and, while no carrier has it mounted, its parts.
//!
//! State word: `IDLE → QUEUED` (whoever makes this change puts the thread into a queue) `→ RUNNING` (the carrier that took it out)
//! `→ NOTIFIED` (somebody put something into the inbox meanwhile) `→ IDLE` or `QUEUED` again. A waker first pushes, then notifies; a
//! carrier that unmounts stores `IDLE` and then looks into the inbox again. Either of them sees the other, so nothing is left behind.

use super::scope::Scope;
use super::wait::WaitList;
use crate::module::Proto;
use crate::shared::Message;
use crate::sync::{AtomicPtr, AtomicU32, Mutex, Ordering};
use crate::task::Task;
use crate::thread::Mounted;
use std::cell::UnsafeCell;
use std::sync::Arc;

const IDLE: u32 = 0;
const QUEUED: u32 = 1;
const RUNNING: u32 = 2;
const NOTIFIED: u32 = 3;
const ENDED: u32 = 4;
const STATE: u32 = 7;
/// Requests from outside, read at safepoints and when the thread is mounted.
pub(crate) const CANCEL: u32 = 8;
pub(crate) const KILL: u32 = 16;
/// A scope of the thread was cancelled.
pub(crate) const SCOPES: u32 = 32;
const REQUESTS: u32 = CANCEL | KILL | SCOPES;

/// The state word and the inbox: what wakers touch.
pub(crate) struct Signal {
    state: AtomicU32,
    inbox: AtomicPtr<Task>,
}

impl Signal {
    /// Of a thread that is about to be put into a queue.
    pub(crate) fn queued() -> Signal {
        Signal {
            state: AtomicU32::new(QUEUED),
            inbox: AtomicPtr::new(std::ptr::null_mut()),
        }
    }
    /// Puts a task that the caller has claimed into the inbox. `true`: the caller must put the thread into a queue.
    ///
    /// # Safety
    /// The task belongs to this thread, is claimed by the caller, and nobody else uses its link.
    #[must_use]
    pub(crate) unsafe fn push(&self, task: *mut Task) -> bool {
        let mut head = self.inbox.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller owns the task until it is in the inbox.
            unsafe { (*task).next = head };
            match self
                .inbox
                .compare_exchange_weak(head, task, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
        self.notify()
    }
    /// Something was put into the inbox, or a request was made. `true`: the caller must put the thread into a queue.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state & STATE {
                IDLE => QUEUED,
                RUNNING => NOTIFIED,
                // Queued: it will look. Notified: it will look again.
                same => same,
            };
            // Even if nothing changes: the release pairs with the acquire of `begin` and `finish`, so that they see what was pushed.
            match self.state.compare_exchange_weak(
                state,
                state & !STATE | next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return state & STATE == IDLE,
                Err(now) => state = now,
            }
        }
    }
    /// Asks the thread for something; `true`: the caller must put it into a queue.
    #[must_use]
    pub(crate) fn request(&self, what: u32) -> bool {
        self.state.fetch_or(what, Ordering::Release);
        self.notify()
    }
    /// Requests that are pending. Cheap: for safepoints.
    pub(crate) fn has_requests(&self) -> bool {
        self.state.load(Ordering::Relaxed) & REQUESTS != 0
    }
    pub(crate) fn take_requests(&self) -> u32 {
        self.state.fetch_and(!REQUESTS, Ordering::AcqRel) & REQUESTS
    }
    /// A carrier took the thread out of a queue and mounts it.
    pub(crate) fn begin(&self) {
        let before = self.replace(RUNNING);
        debug_assert_eq!(before, QUEUED, "only queued threads are mounted");
    }
    /// The carrier has unmounted the thread, which has nothing to run. `true`: it was notified meanwhile; the caller must put it into a queue.
    #[must_use]
    pub(crate) fn finish(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = if state & STATE == NOTIFIED {
                QUEUED
            } else {
                IDLE
            };
            match self.state.compare_exchange_weak(
                state,
                state & !STATE | next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return next == QUEUED,
                Err(now) => state = now,
            }
        }
    }
    /// The carrier has unmounted the thread, which still has something to run: the caller puts it into a queue.
    pub(crate) fn requeue(&self) {
        self.replace(QUEUED);
    }
    pub(crate) fn end(&self) {
        self.replace(ENDED);
    }
    pub(crate) fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) & STATE == ENDED
    }
    pub(crate) fn name(&self) -> &'static str {
        match self.state.load(Ordering::Relaxed) & STATE {
            IDLE => "waiting",
            QUEUED => "runnable",
            ENDED => "ended",
            _ => "running",
        }
    }
    fn replace(&self, next: u32) -> u32 {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            match self.state.compare_exchange_weak(
                state,
                state & !STATE | next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return state & STATE,
                Err(now) => state = now,
            }
        }
    }
    pub(crate) fn is_inbox_empty(&self) -> bool {
        self.inbox.load(Ordering::Acquire).is_null()
    }
    /// Takes the inbox's tasks, the first woken first, linked by `next`.
    pub(crate) fn take_inbox(&self) -> *mut Task {
        if self.inbox.load(Ordering::Relaxed).is_null() {
            return std::ptr::null_mut();
        }
        let mut newest = self.inbox.swap(std::ptr::null_mut(), Ordering::Acquire);
        let mut first: *mut Task = std::ptr::null_mut();
        while !newest.is_null() {
            // SAFETY: tasks in the inbox are this thread's, and nobody else's since they were claimed and pushed.
            unsafe {
                let older = (*newest).next;
                (*newest).next = first;
                first = newest;
                newest = older;
            }
        }
        first
    }
}

/// How a thread ended.
pub(crate) enum Outcome {
    /// It has not.
    None,
    Returned(Message),
    Failed(Message),
    /// A mutable result was handed to the first joiner.
    Taken,
}

/// What joiners and the thread's end share.
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) joiners: WaitList,
    /// Somebody got, or will get, its outcome.
    pub(crate) is_joined: bool,
    /// The program does not wait for it, nor ask how it ended.
    pub(crate) is_detached: bool,
    /// It ended because it was cancelled or killed.
    pub(crate) was_stopped: bool,
}

/// A thread of the language; see the head of the file.
pub struct ThreadBlock {
    pub(crate) signal: Signal,
    pub(crate) id: u64,
    pub(crate) parts: UnsafeCell<Mounted>,
    pub(crate) end: Mutex<End>,
    pub(crate) name: Option<Box<str>>,
    /// The scope it belongs to.
    pub(crate) scope: Option<Arc<Scope>>,
    /// Where it was started.
    pub(crate) site: (*const Proto, u64),
    /// Position in the registry.
    pub(crate) registered: AtomicU32,
}

// SAFETY: the parts are touched only by the carrier that changed the state from queued to running; the rest is locked, atomic or constant.
unsafe impl Send for ThreadBlock {}
// SAFETY: as above.
unsafe impl Sync for ThreadBlock {}

impl ThreadBlock {
    pub(crate) fn new(
        id: u64,
        parts: Mounted,
        name: Option<Box<str>>,
        scope: Option<Arc<Scope>>,
        site: (*const Proto, u64),
    ) -> ThreadBlock {
        ThreadBlock {
            signal: Signal::queued(),
            id,
            parts: UnsafeCell::new(parts),
            end: Mutex::new(End {
                outcome: Outcome::None,
                joiners: WaitList::default(),
                is_joined: false,
                is_detached: false,
                was_stopped: false,
            }),
            name,
            scope,
            site,
            registered: AtomicU32::new(u32::MAX),
        }
    }
    /// What `.state` says.
    pub(crate) fn state_name(&self) -> &'static str {
        let end = self.end.lock();
        match &end.outcome {
            Outcome::None => self.signal.name(),
            _ if end.was_stopped => "cancelled",
            Outcome::Failed(_) => "failed",
            _ => "ended",
        }
    }
    /// `thread 3 'grower'`.
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("thread {} '{name}'", self.id),
            None => format!("thread {}", self.id),
        }
    }
}
