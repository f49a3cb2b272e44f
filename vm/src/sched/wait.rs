//! How a task waits, and how it is woken: exactly once, by exactly one waker.
//!
//! A task that waits has its *claim word* set to `WAITING` and a *waiter* (a node of its own) in the list of each thing that could wake it. A
//! waker holds the lock of its list, and must win the claim by compare-and-swap before it touches the task; who loses goes on to the next waiter.
//! From then on the waker alone owns the task, until it hands it to its thread (`Thread::wake`).
//!
//! The waiter that was claimed is unlinked by the waker, all others by the woken task itself, before it does anything else, each under the lock of
//! its list. So a waiter that is in a list always belongs to the wait that is going on now, and its task is alive.
//!
//! Contract of the unsafe code: lists are touched only under the lock of what they belong to; a waiter stays where it is while it is linked.

use crate::shared::Message;
use crate::sync::{AtomicU32, Ordering};
use crate::task::Task;

/// Who has claimed a waiting task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Nobody: it does not wait.
    None,
    /// The waiter with this number.
    Arm(u32),
    TimedOut,
    Cancelled,
    Killed,
}

const IDLE: u32 = 0;
const WAITING: u32 = 1;
const TIMED_OUT: u32 = 2;
const CANCELLED: u32 = 3;
const KILLED: u32 = 4;
const FIRST_ARM: u32 = 8;

/// The word that decides who wakes a task.
pub(crate) struct Claim(AtomicU32);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(AtomicU32::new(IDLE))
    }
    /// The task is about to put its waiters into lists; their locks publish the store.
    pub(crate) fn begin(&self) {
        self.0.store(WAITING, Ordering::Relaxed);
    }
    /// Tries to become the one who wakes the task. Acquire: what the task wrote before it began to wait; release: the waker's order for whoever
    /// reads the word (the task itself gets the waker's writes by the hand-over to its thread).
    pub(crate) fn try_claim(&self, by: Claimed) -> bool {
        let word = match by {
            Claimed::None => IDLE,
            Claimed::Arm(arm) => FIRST_ARM + arm,
            Claimed::TimedOut => TIMED_OUT,
            Claimed::Cancelled => CANCELLED,
            Claimed::Killed => KILLED,
        };
        self.0
            .compare_exchange(WAITING, word, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
    /// Whether nobody has claimed it; may be outdated at once.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WAITING
    }
    /// The woken task: the wait is over.
    pub(crate) fn end(&self) -> Claimed {
        let word = self.0.load(Ordering::Acquire);
        self.0.store(IDLE, Ordering::Relaxed);
        match word {
            IDLE | WAITING => Claimed::None,
            TIMED_OUT => Claimed::TimedOut,
            CANCELLED => Claimed::Cancelled,
            KILLED => Claimed::Killed,
            arm => Claimed::Arm(arm - FIRST_ARM),
        }
    }
}

/// Whose list a waiter is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    None,
    /// List number `list` of a shared object.
    Shared(*const crate::shared::SharedObject),
    /// The joiners of a task of the same thread.
    Task(*mut Task),
    /// The joiners of a thread.
    Thread(*const super::block::ThreadBlock),
}

/// A task's place in a list of waiting ones.
pub(crate) struct Waiter {
    prev: *mut Waiter,
    next: *mut Waiter,
    pub(crate) task: *mut Task,
    pub(crate) owner: Owner,
    /// Which arm of a `select` (0 where there is only one).
    pub(crate) arm: u32,
    pub(crate) list: u8,
    is_linked: bool,
    /// A sender's message, taken by whoever claims it.
    pub(crate) message: Message,
}

impl Waiter {
    pub(crate) fn new(task: *mut Task) -> Waiter {
        Waiter {
            prev: std::ptr::null_mut(),
            next: std::ptr::null_mut(),
            task,
            owner: Owner::None,
            arm: 0,
            list: 0,
            is_linked: false,
            message: Message::NONE,
        }
    }
    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked
    }
}

/// Waiting tasks, first come first.
pub(crate) struct WaitList {
    head: *mut Waiter,
    tail: *mut Waiter,
}

// SAFETY: a list is used under the lock of its owner, and its waiters with it.
unsafe impl Send for WaitList {}

impl Default for WaitList {
    fn default() -> WaitList {
        WaitList {
            head: std::ptr::null_mut(),
            tail: std::ptr::null_mut(),
        }
    }
}

impl WaitList {
    /// # Safety
    /// See the head of the file; the waiter is in no list.
    pub(crate) unsafe fn push(&mut self, waiter: *mut Waiter) {
        // SAFETY: promised by the caller.
        unsafe {
            debug_assert!(!(*waiter).is_linked);
            (*waiter).is_linked = true;
            (*waiter).prev = self.tail;
            (*waiter).next = std::ptr::null_mut();
            if self.tail.is_null() {
                self.head = waiter;
            } else {
                (*self.tail).next = waiter;
            }
            self.tail = waiter;
        }
    }
    /// How many waiters nobody has claimed.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn count_waiting(&self) -> u64 {
        let mut count = 0;
        let mut at = self.head;
        while !at.is_null() {
            // SAFETY: waiters in the list are alive while the lock is held.
            unsafe {
                count += (*(*at).task).claim.is_waiting() as u64;
                at = (*at).next;
            }
        }
        count
    }
    /// Whether a task other than this one waits here, claimed by nobody.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn has_other(&self, task: *mut Task) -> bool {
        let mut at = self.head;
        while !at.is_null() {
            // SAFETY: waiters in the list are alive while the lock is held.
            unsafe {
                if (*at).task != task && (*(*at).task).claim.is_waiting() {
                    return true;
                }
                at = (*at).next;
            }
        }
        false
    }
    /// Takes a waiter out, if it is (still) in the list.
    ///
    /// # Safety
    /// See the head of the file; the waiter is in this list or in none.
    pub(crate) unsafe fn remove(&mut self, waiter: *mut Waiter) {
        // SAFETY: promised by the caller: neighbours are linked and alive.
        unsafe {
            if !(*waiter).is_linked {
                return;
            }
            (*waiter).is_linked = false;
            let (prev, next) = ((*waiter).prev, (*waiter).next);
            if prev.is_null() {
                self.head = next;
            } else {
                (*prev).next = next;
            }
            if next.is_null() {
                self.tail = prev;
            } else {
                (*next).prev = prev;
            }
        }
    }
    /// Claims the first waiter that nobody else has claimed, and takes it out.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn claim_first(&mut self) -> Option<*mut Waiter> {
        // SAFETY: waiters in the list are alive while the lock is held.
        unsafe { self.claim_first_where(|_| true) }
    }
    /// The same among those for which `suits` holds.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn claim_first_where(
        &mut self,
        mut suits: impl FnMut(&Waiter) -> bool,
    ) -> Option<*mut Waiter> {
        let mut at = self.head;
        while !at.is_null() {
            // SAFETY: waiters in the list are alive while the lock is held.
            unsafe {
                if suits(&*at) && (*(*at).task).claim.try_claim(Claimed::Arm((*at).arm)) {
                    self.remove(at);
                    return Some(at);
                }
                at = (*at).next;
            }
        }
        None
    }
}
