//! What the natives of shared objects have in common.
//!
//! Contract of the unsafe functions here: lists are used under the lock of their owner, and a task that was claimed is handed over
//! (`Thread::wake`, or `wake_without_thread`) by the caller, once, after the lock is released.

use super::{Message, ObjectState, SharedObject, object_of};
use crate::native::{Ctx, NativeResult, Trap};
use crate::sched::Scheduler;
use crate::sched::wait::{Delivery, Owner, WaitList, Waiter, deliver};
use crate::task::{Task, Wait};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Weak;

/// A new object, in a handle that this heap holds.
pub(crate) fn make(ctx: &mut Ctx, type_id: u32, state: ObjectState) -> NativeResult {
    ctx.thread.reserve_shared(SharedObject::BYTES)?;
    let handle = SharedObject::handle(type_id, state);
    Ok(ctx.thread.heap.adopt_new(handle))
}
/// The object of argument 0.
#[inline]
pub(super) fn object_arg(
    ctx: &mut Ctx,
    id: u32,
    expected: &str,
) -> Result<&'static SharedObject, Trap> {
    match object_of(ctx.arg(0), id) {
        Some(object) => Ok(object),
        None => Err(ctx.wrong_type(0, expected)),
    }
}
/// A whole number that is `least` or more.
pub(super) fn count_arg(ctx: &mut Ctx, i: usize, least: i64) -> Result<i64, Trap> {
    let n = ctx.int_arg(i)?;
    if n < least {
        let (name, what) = (ctx.name(), ctx.param_name(i));
        let message = format!("{name}: {what} must be at least {least}, got {n}");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok(n)
}
/// The object that a message leads to.
pub(super) fn object_in(message: &Message, id: u32) -> &'static SharedObject {
    let handle = message.peek().expect("a handle travels as it is");
    object_of(handle, id).expect("the message holds a handle of this type")
}

impl Thread {
    /// A message becomes a value while a native runs, which collects nothing: a parcel that does not fit is a `LimitError`.
    #[inline]
    pub(crate) fn deliver_in_native(&mut self, message: Message) -> NativeResult {
        match message.deliver(&mut self.heap) {
            Ok(value) => Ok(value),
            Err(_) => Err(self.throw_limit()),
        }
    }
}

/// The running task waits in the list, which is the only one of `object`; whoever claims it may take the message. After this the native
/// answers `Suspend`.
///
/// # Safety
/// See the head of the file; the list is that of `object`.
pub(super) unsafe fn park(
    thread: &mut Thread,
    wait: Wait,
    object: &SharedObject,
    list: &mut WaitList,
    message: Message,
) -> Result<(), Trap> {
    let waiter = thread.begin_single_wait(wait, Owner::Shared(object), 0);
    // SAFETY: promised by the caller; the waiter is the running task's, which is in no list.
    unsafe {
        (*waiter).set_message(message);
        list.push(waiter);
    }
    Ok(())
}
/// Puts the waiter of a `select` into the list, which is the only one of `object`.
///
/// # Safety
/// See the head of the file; the list is that of `object`; the waiter is the running task's, which is about to wait, and in no list.
pub(super) unsafe fn enlist(waiter: *mut Waiter, object: &SharedObject, list: &mut WaitList) {
    // SAFETY: promised by the caller.
    unsafe {
        (*waiter).set_owner(Owner::Shared(object), 0);
        list.push(waiter);
    }
}
/// A claimed task, before it is handed over.
pub(super) struct Claimant(*mut Waiter);

impl Claimant {
    /// The first who waits.
    ///
    /// # Safety
    /// See the head of the file.
    pub(super) unsafe fn first(list: &mut WaitList) -> Option<Claimant> {
        // SAFETY: promised by the caller.
        unsafe { list.claim_first().map(Claimant) }
    }
    /// The message that it came with.
    pub(super) fn take_message(&mut self) -> Message {
        // SAFETY: a claimed task is ours until it is handed over.
        unsafe { (*self.0).take_message() }
    }
    /// The task itself, only to be compared.
    pub(super) fn task(&self) -> *mut Task {
        // SAFETY: as above.
        unsafe { (*self.0).task() }
    }
    /// What its wait gives; the task is to be woken.
    pub(super) fn give(self, delivery: Delivery) -> *mut Task {
        // SAFETY: as above.
        unsafe {
            let task = (*self.0).task();
            deliver(task, delivery);
            task
        }
    }
    pub(super) fn give_value(self, value: Value) -> *mut Task {
        self.give(Delivery::Value(Message::shared(value)))
    }
}

/// Wakes claimed tasks where no thread is at hand: from the end of an object. Those of a program that was stopped stay as they are; they
/// are about to be dropped.
pub(super) fn wake_without_thread(scheduler: &Weak<Scheduler>, tasks: Vec<*mut Task>) {
    if tasks.is_empty() {
        return;
    }
    let Some(scheduler) = scheduler.upgrade() else {
        return;
    };
    for task in tasks {
        // SAFETY: claimed by the caller, so alive, or left of a stopped program and not dropped yet, as it was linked until now; and so is its thread.
        unsafe {
            if (*(*task).block).is_registered() {
                scheduler.wake_from_outside(task);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sched::wait::{Claimed, take_delivery};
    use crate::task::TaskPool;

    /// A task that waits, of no thread.
    pub(crate) struct Waiting(pub(crate) *mut Task);

    impl Waiting {
        pub(crate) fn in_list(list: &mut WaitList, message: Message) -> Waiting {
            let task = TaskPool::new().take(std::ptr::null(), 0);
            // SAFETY: the test's own task.
            unsafe {
                (*task).claim.begin();
                (*task).waiter.set_message(message);
                list.push(&raw mut (*task).waiter);
            }
            Waiting(task)
        }
        /// As a `cancel` that is faster than every waker.
        pub(crate) fn cancel(&self, list: &mut WaitList) -> bool {
            // SAFETY: the test's own task.
            unsafe {
                let is_mine = list.remove(&raw mut (*self.0).waiter);
                if is_mine {
                    (*self.0).claim.set(Claimed::Cancelled);
                }
                is_mine
            }
        }
        /// What it was given: `None` if nothing, `Some(None)` if the object was closed.
        pub(crate) fn given(&self) -> Option<Option<Value>> {
            // SAFETY: as above.
            match unsafe { take_delivery(&mut (*self.0).waiter) } {
                Delivery::None => None,
                Delivery::Closed => Some(None),
                Delivery::Value(message) => Some(message.peek()),
            }
        }
        pub(crate) fn take_out(self, list: &mut WaitList) {
            // SAFETY: as above.
            unsafe { list.remove(&raw mut (*self.0).waiter) };
        }
    }
    impl Drop for Waiting {
        fn drop(&mut self) {
            // SAFETY: made by `Task::new`; the tests take it out of its list first.
            unsafe {
                assert!(!(*self.0).waiter.is_linked());
                TaskPool::free(self.0);
            }
        }
    }
}
