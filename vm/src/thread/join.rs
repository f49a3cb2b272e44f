//! Joining: waiting for the end of a task or a thread, and the outcome.

use super::{HOST_THREAD, Thread};
use crate::native::{FastPath, Trap};
use crate::object::{Handle, Kind, TaskObject, type_id};
use crate::sched::ThreadBlock;
use crate::sched::block::Outcome;
use crate::sched::wait::Owner;
use crate::task::{Ended, Wait};
use crate::types::ErrorKind;
use crate::value::Value;

impl Thread {
    /// The outcome of a task that has ended.
    pub(crate) fn task_outcome(&mut self, handle: Value) -> Result<Value, Trap> {
        let object = handle.as_object().cast::<TaskObject>();
        // SAFETY: a task's handle.
        let (result, how) = unsafe { ((*object).result, (*object).ended()) };
        if how == Ended::Returned as u16 {
            return Ok(result);
        }
        self.forget_failure(handle);
        Err(self.throw_outcome(result))
    }
    /// Throws what a task or thread has thrown. If that was never thrown by any code, as what stands for a kill, it comes from here.
    pub(super) fn throw_outcome(&mut self, value: Value) -> Trap {
        const KINDS: [ErrorKind; 3] = [ErrorKind::Cancelled, ErrorKind::Share, ErrorKind::Limit];
        let kind = KINDS
            .into_iter()
            .find(|kind| kind.type_id() == value.type_id());
        if let Some(kind) = kind
            && self.trace_of(value).is_empty()
        {
            // SAFETY: an error's first field is its message.
            let message = unsafe { *value.as_object().cast::<Value>().add(1) };
            let fresh = self.new_error(kind, message);
            return self.throw_value(fresh);
        }
        self.thrown = value;
        Trap::Throw
    }
    /// The outcome of a thread that has ended; a mutable result goes to the first who asks.
    pub(crate) fn thread_outcome(&mut self, handle: Value) -> Result<Value, Trap> {
        let block = thread_of(handle);
        let taken = block.end.lock().take();
        let Some((message, has_failed)) = taken else {
            let message = format!(
                "the result of {} is mutable and was handed over to the first who joined",
                block.title()
            );
            return Err(self.throw_new(ErrorKind::Share, &message));
        };
        let value = self.deliver(message)?;
        if has_failed {
            // It may have come with much memory.
            self.after_alloc();
            return Err(self.throw_outcome(value));
        }
        Ok(value)
    }
    /// Throws if the running task waits for the end of a thread that can only come after its own.
    pub(crate) fn check_joinable(&mut self, handle: Value) -> Result<(), Trap> {
        if handle.type_id() != type_id::THREAD {
            return Ok(());
        }
        let block = thread_of(handle);
        let message = if std::ptr::eq(block, self.block.as_ptr()) {
            "a thread cannot join itself"
        } else if block.id == HOST_THREAD {
            "the program's first thread cannot be joined: it ends after all others"
        } else {
            return Ok(());
        };
        Err(self.throw_new(ErrorKind::Value, message))
    }
    /// `join` of a task or thread.
    pub(crate) fn join(&mut self, handle: Value) -> Result<Value, Trap> {
        self.blocking_point()?;
        if handle.is_kind(Kind::Task) {
            // SAFETY: a task's handle; the task is alive while it is not null.
            let other = unsafe { (*handle.as_object().cast::<TaskObject>()).task() };
            if other.is_null() {
                return self.task_outcome(handle);
            }
            if other == self.task_pointer() {
                return Err(self.throw_new(ErrorKind::Value, "a task cannot join itself"));
            }
            let waiter = self.begin_single_wait(Wait::Join, Owner::Task(other), 0);
            self.task().more().wait_value = handle;
            // SAFETY: a task of this thread.
            unsafe { (*other).joiners.push(waiter) };
            return Err(Trap::Suspend);
        }
        self.check_joinable(handle)?;
        let block = thread_of(handle);
        let waiter = self.begin_single_wait(Wait::JoinThread, Owner::Thread(block), 0);
        self.task().more().wait_value = handle;
        // SAFETY: under the lock of the list's owner.
        if unsafe { block.end.lock().wait(waiter) } {
            return Err(Trap::Suspend);
        }
        self.abandon_wait();
        self.thread_outcome(handle)
    }
    /// As `join`, on a fast path.
    #[inline(always)]
    pub(crate) fn join_usually(&mut self, handle: Value) -> FastPath {
        if handle.is_kind(Kind::Task) {
            let object = handle.as_object().cast::<TaskObject>();
            // SAFETY: a task's handle; the task is alive while it is not null.
            let other = unsafe { (*object).task() };
            if other.is_null() {
                // SAFETY: as above.
                return match unsafe { (*object).ended() == Ended::Returned as u16 } {
                    // SAFETY: as above.
                    true => FastPath::Done(unsafe { (*object).result }),
                    false => FastPath::NotUsual,
                };
            }
            if other == self.current {
                return FastPath::NotUsual;
            }
            let waiter = self.begin_single_wait(Wait::Join, Owner::Task(other), 0);
            self.task().more().wait_value = handle;
            // SAFETY: a task of this thread.
            unsafe { (*other).joiners.push(waiter) };
            return FastPath::Parked;
        }
        if handle.type_id() != type_id::THREAD {
            return FastPath::NotUsual;
        }
        let block = thread_of(handle);
        if std::ptr::eq(block, self.block.as_ptr()) || block.id == HOST_THREAD {
            return FastPath::NotUsual;
        }
        let mut end = block.end.lock_where(self.scheduler.is_solo());
        if !matches!(end.outcome, Outcome::None) {
            let Some(message) = end.returned() else {
                return FastPath::NotUsual;
            };
            drop(end);
            return match message.deliver(&mut self.heap) {
                Ok(value) => FastPath::Done(value),
                Err(_) => unreachable!("only parcels need room"),
            };
        }
        let waiter = self.begin_single_wait(Wait::JoinThread, Owner::Thread(block), 0);
        self.task().more().wait_value = handle;
        // SAFETY: under the lock of the list's owner.
        let waits = unsafe { end.wait(waiter) };
        debug_assert!(waits);
        FastPath::Parked
    }
}

/// The thread that a handle names. It lives as long as the handle, which the caller's heap holds while it uses this.
pub(crate) fn thread_of(handle: Value) -> &'static ThreadBlock {
    // SAFETY: the caller knows it is a thread's handle, which owns a reference to the block.
    unsafe {
        &*(*handle.as_object().cast::<Handle>())
            .target
            .cast::<ThreadBlock>()
    }
}
