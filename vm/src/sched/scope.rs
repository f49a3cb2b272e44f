//! `scope { … }`: what is started inside ends before the scope does.
//!
//! Members are tasks of the owner's thread and threads. A scope is cancelled by setting its flag and asking the owner's thread to look
//! (`block::SCOPES`): only the carrier that has a thread mounted touches its tasks.
//!
//! The owner waits for its members without a waiter in a list: `is_awaited`, under the lock of the state, says that it does, and who sets it back has claimed the owner.

use super::block::ThreadBlock;
use super::timers::Shard;
use super::wait::{Claimed, NodeKind, Owner, Waiter};
use crate::shared::Message;
use crate::sync::{Lock, mutation};
use crate::task::Task;
use std::cell::UnsafeCell;
use std::sync::{Arc, Weak};

/// Why a scope throws.
pub(crate) enum Failure {
    /// A task of the thread failed: its handle, kept by the thread under this number.
    Task(usize),
    /// A thread failed.
    Thread(Message),
}

pub(crate) struct ScopeState {
    /// Members that have not ended.
    pub(crate) live: usize,
    pub(crate) failure: Option<Failure>,
    pub(crate) is_cancelled: bool,
    pub(crate) is_timed_out: bool,
    /// The owner waits for `live` to become 0.
    pub(crate) is_awaited: bool,
}

/// See the head of the file.
pub(crate) struct Scope {
    pub(crate) parent: Option<Arc<Scope>>,
    /// The task that opened it; alive as long as the scope is open.
    pub(crate) owner: *mut Task,
    pub(crate) block: Weak<ThreadBlock>,
    pub(crate) state: Lock<ScopeState>,
    /// Its place among the timers, which hold a reference while it is there. Used under their lock.
    timer: UnsafeCell<Waiter>,
}

// SAFETY: the owner is touched only after it was claimed, or by its thread; the timer under its shard's lock.
unsafe impl Send for Scope {}
// SAFETY: as above.
unsafe impl Sync for Scope {}

impl Scope {
    pub(crate) fn new(
        parent: Option<Arc<Scope>>,
        owner: *mut Task,
        block: Weak<ThreadBlock>,
    ) -> Arc<Scope> {
        Arc::new(Scope {
            parent,
            owner,
            block,
            state: Lock::new(ScopeState {
                live: 0,
                failure: None,
                is_cancelled: false,
                is_timed_out: false,
                is_awaited: false,
            }),
            timer: UnsafeCell::new(Waiter::new(NodeKind::Scope)),
        })
    }
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Scope> {
        Scope::new(None, std::ptr::null_mut(), Weak::new())
    }
    pub(crate) fn enter(&self) {
        self.state.lock().live += 1;
    }
    /// A member has ended well. `Some`: the owner waited for that and was claimed; the caller wakes it.
    #[must_use]
    pub(crate) fn leave(&self) -> Option<*mut Task> {
        let mut state = self.state.lock();
        state.live -= 1;
        if state.live > 0 || !std::mem::take(&mut state.is_awaited) {
            return None;
        }
        // SAFETY: the owner waits in this scope, and cannot go on before it is handed over.
        unsafe { (*self.owner).claim.set(Claimed::Arm(0)) };
        Some(self.owner)
    }
    /// Claims the owner for something else than the end of its members, if it waits for that.
    pub(crate) fn claim_owner(&self, by: Claimed) -> bool {
        let mut state = self.state.lock();
        let is_mine = mutation!(
            "scope_claimed_twice",
            std::mem::take(&mut state.is_awaited),
            state.is_awaited
        );
        if is_mine {
            // SAFETY: as in `leave`.
            unsafe { (*self.owner).claim.set(by) };
        }
        is_mine
    }
    /// The first failure cancels the scope; gives whether this was it, else the failure back.
    pub(crate) fn fail(&self, failure: Failure) -> Result<(), Failure> {
        let mut state = self.state.lock();
        if state.failure.is_some() || state.is_timed_out {
            return Err(failure);
        }
        state.failure = Some(failure);
        state.is_cancelled = true;
        Ok(())
    }

    // --- its time limit

    /// # Safety
    /// It has no timer yet; the shard lives until `remove_timer` or `Shard::clear`.
    pub(crate) unsafe fn set_timer(self: &Arc<Self>, shard: &Shard, deadline: u64, now: u64) {
        // The timers' reference: given back by `of_timer`.
        let this = Arc::into_raw(self.clone());
        // SAFETY: promised by the caller; nobody else uses the waiter before it is in the wheel.
        unsafe {
            let timer = (*this).timer.get();
            (*timer).set_owner(Owner::Timers(shard), 0);
            shard.add(timer, deadline, now);
        }
    }
    /// Whether it has a timer that has not fired. Nobody uses the timers meanwhile.
    pub(crate) fn has_timer(&self) -> bool {
        // SAFETY: promised by the caller.
        unsafe { (*self.timer.get()).is_linked() }
    }
    /// Takes the timer out, if it has one that has not fired; whether it had.
    ///
    /// # Safety
    /// The shard that it was set in is alive.
    pub(crate) unsafe fn remove_timer(&self) -> bool {
        let timer = self.timer.get();
        // SAFETY: the owner is set once, before the timer; the waiter is used under the shard's lock.
        unsafe {
            match Waiter::owner_of(timer).0 {
                Owner::Timers(shard) if (*shard).remove(timer) => {
                    drop(Scope::of_timer(timer));
                    true
                }
                _ => false,
            }
        }
    }
    /// The scope of a timer that was taken out of the wheel, with the wheel's reference.
    ///
    /// # Safety
    /// As said; once for each `set_timer`.
    pub(super) unsafe fn of_timer(timer: *mut Waiter) -> Option<Arc<Scope>> {
        let scope: *const Scope = timer
            .wrapping_byte_sub(std::mem::offset_of!(Scope, timer))
            .cast();
        // SAFETY: promised by the caller.
        Some(unsafe { Arc::from_raw(scope) })
    }
}

/// Whether `scope` is `inner` or around it.
pub(crate) fn is_around(scope: &Arc<Scope>, inner: Option<&Arc<Scope>>) -> bool {
    let mut at = inner;
    while let Some(s) = at {
        if Arc::ptr_eq(s, scope) {
            return true;
        }
        at = s.parent.as_ref();
    }
    false
}

/// The outermost cancelled scope of a chain.
pub(crate) fn cancelled_in(chain: Option<&Arc<Scope>>) -> Option<Arc<Scope>> {
    let mut at = chain;
    let mut found = None;
    while let Some(scope) = at {
        if scope.state.lock().is_cancelled {
            found = Some(scope.clone());
        }
        at = scope.parent.as_ref();
    }
    found
}

/// The scope of which a task is a member: the innermost of its chain that it did not open itself.
pub(crate) fn membership(task: *mut Task, innermost: Option<&Arc<Scope>>) -> Option<Arc<Scope>> {
    let mut at = innermost;
    while let Some(scope) = at {
        if scope.owner != task {
            return Some(scope.clone());
        }
        at = scope.parent.as_ref();
    }
    None
}
