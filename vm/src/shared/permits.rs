//! Semaphores, mutexes, latches and barriers: counts, and those who wait for them to change.

use super::Message;
use crate::sched::wait::{Delivery, WaitList, deliver};
use crate::task::Task;
use crate::value::Value;

/// Permits go to waiting tasks in the order in which they came.
pub(crate) struct SemaphoreState {
    pub(crate) permits: u64,
    pub(crate) waiting: WaitList,
}

/// A lock that one task holds.
#[derive(Default)]
pub(crate) struct MutexState {
    /// The task that holds it (only compared), and its name for reports.
    pub(crate) holder: Option<*mut Task>,
    pub(crate) waiting: WaitList,
}

/// A latch opens when its count comes to 0 and stays open; a barrier lets its tasks go together and begins anew.
pub(crate) struct GateState {
    pub(crate) parties: u64,
    /// What a latch has to be counted down yet; of a barrier, how many waiters are in the list.
    pub(crate) left: u64,
    pub(crate) is_barrier: bool,
    pub(crate) waiting: WaitList,
}

/// Takes the first waiting task; it gets `value`.
///
/// # Safety
/// Under the lock of the list's owner.
unsafe fn claim(list: &mut WaitList, value: Value) -> Option<*mut Task> {
    // SAFETY: promised by the caller; a claimed task is ours until it is woken.
    unsafe {
        let waiter = list.claim_first()?;
        let task = (*waiter).task();
        deliver(task, Delivery::Value(Message::shared(value)));
        Some(task)
    }
}

impl SemaphoreState {
    pub(crate) fn try_acquire(&mut self) -> bool {
        let is_free = self.permits > 0;
        self.permits -= is_free as u64;
        is_free
    }
    /// Gives one permit back; it goes to the first waiting task, if there is one: wake that.
    pub(crate) fn release(&mut self) -> Option<*mut Task> {
        // SAFETY: under the semaphore's lock.
        let task = unsafe { claim(&mut self.waiting, Value::NIL) };
        if task.is_none() {
            self.permits += 1;
        }
        task
    }
}

impl MutexState {
    pub(crate) fn try_lock(&mut self, task: *mut Task) -> bool {
        if self.holder.is_none() {
            self.holder = Some(task);
            return true;
        }
        false
    }
    /// The holder is done; the first waiting task holds the lock now: wake it.
    pub(crate) fn unlock(&mut self) -> Option<*mut Task> {
        // SAFETY: under the mutex's lock.
        self.holder = unsafe { claim(&mut self.waiting, Value::NIL) };
        self.holder
    }
}

/// A task is dropped without having run to its end (the program was stopped): its mutexes may outlive it, and are free again, as are those `Once`s that it called the function of.
/// Whoever waits for one is dropped as well.
pub(crate) fn abandon(locks: Vec<Message>, task: *mut Task) {
    for lock in locks {
        let handle = lock.peek().expect("a handle travels as it is");
        let Some(object) = super::held_by_task(handle) else {
            continue;
        };
        match &mut *object.state.lock() {
            super::ObjectState::Mutex(mutex) if mutex.holder == Some(task) => mutex.holder = None,
            super::ObjectState::Once(once) => once.abandon(task),
            _ => {}
        }
    }
}

impl GateState {
    /// Counts a latch down by one; gives whom to wake.
    pub(crate) fn count_down(&mut self) -> Vec<*mut Task> {
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            return Vec::new();
        }
        self.claim_all()
    }
    fn claim_all(&mut self) -> Vec<*mut Task> {
        let mut woken = Vec::new();
        // SAFETY: under the gate's lock.
        while let Some(task) = unsafe { claim(&mut self.waiting, Value::NIL) } {
            woken.push(task);
        }
        woken
    }
    /// One more comes to a barrier: whom to wake if it was the last, else it has to wait. Those who were cancelled, but are in the list
    /// yet, do not count; they leave it by themselves (`has_left`).
    pub(crate) fn arrive(&mut self) -> Option<Vec<*mut Task>> {
        let others = self.parties - 1;
        if self.left < others {
            return None;
        }
        // SAFETY: under the gate's lock.
        if unsafe { self.waiting.count_waiting() } < others {
            return None;
        }
        let woken = self.claim_all();
        self.left -= woken.len() as u64;
        Some(woken)
    }
    /// A waiter was taken out of the list unclaimed.
    pub(crate) fn has_left(&mut self) {
        if self.is_barrier {
            self.left -= 1;
        }
    }
}
