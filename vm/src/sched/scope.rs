//! `scope { … }`: what is started inside ends before the scope does.
//!
//! Members are tasks of the owner's thread and threads. A scope is cancelled by setting its flag and asking the owner's thread to look
//! (`block::SCOPES`): only the carrier that has a thread mounted touches its tasks.

use super::block::ThreadBlock;
use super::timers::NO_TIMER;
use crate::shared::Message;
use crate::sync::Mutex;
use crate::task::Task;
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
    pub(crate) timer: Mutex<u32>,
    pub(crate) state: Mutex<ScopeState>,
}

// SAFETY: the owner is touched only after its claim was won, or by its thread.
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
            timer: Mutex::new(NO_TIMER),
            state: Mutex::new(ScopeState {
                live: 0,
                failure: None,
                is_cancelled: false,
                is_timed_out: false,
                is_awaited: false,
            }),
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
        self.claim_owner(&mut state)
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
    fn claim_owner(&self, state: &mut ScopeState) -> Option<*mut Task> {
        if state.live > 0 || !state.is_awaited {
            return None;
        }
        // SAFETY: the owner waits in this scope, so it is alive, and cannot go on before it has taken this lock.
        let is_mine = unsafe { (*self.owner).claim.try_claim(super::wait::Claimed::Arm(0)) };
        if is_mine {
            state.is_awaited = false;
        }
        is_mine.then_some(self.owner)
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
