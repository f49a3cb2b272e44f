//! Waiting, being woken, being cancelled: what the running task and its thread do. (Who may wake whom: `sched::wait`.)

use super::Thread;
use crate::interp::Exit;
use crate::native::Trap;
use crate::object::{Kind, type_id};
use crate::sched::timers;
use crate::sched::wait::{Claimed, Delivery, Owner, Waiter, take_delivery};
use crate::shared::{self, Message, ObjectState};
use crate::sync::mutation;
use crate::task::{Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;

/// Takes a waiter out of its list; whether it was (still) there.
///
/// # Safety
/// What the waiter waits for is alive; the caller's thread is that of the waiter's task.
unsafe fn take_out(waiter: *mut Waiter) -> bool {
    // SAFETY: promised by the caller; lists are locked, or of this thread.
    unsafe {
        let (owner, number) = Waiter::owner_of(waiter);
        match owner {
            Owner::None | Owner::Scope(_) => false,
            Owner::Shared(object) => {
                let mut state = (*object).state.lock();
                let was_there = state.list(number).is_some_and(|list| list.remove(waiter));
                if was_there {
                    state.has_left();
                }
                was_there
            }
            Owner::Task(other) => (*other).joiners.remove(waiter),
            Owner::Thread(block) => (*block).end.lock().joiners.remove(waiter),
            Owner::Timers(shard) => (*shard).remove(waiter),
        }
    }
}

/// Takes a task's waiters out of all lists.
///
/// Waiters that are in lists are reached by pointers only: their neighbours' wakers write into them, so that a `&mut Task` or `&mut ArmWaiter` would be a
/// false promise to the compiler (it might keep what it read before the lock).
///
/// # Safety
/// The task does not wait, or is about to be dropped; what it waited for is alive.
pub(crate) unsafe fn unlink(task: *mut Task) {
    // SAFETY: promised by the caller. Who took a sole waiter out did it for good, before the task was handed over: its own thread sees that without the lock.
    // If it is linked still, nobody has claimed it, and no carrier runs (`drop_tasks`) or it was never in a list.
    unsafe {
        let waiter = &raw mut (*task).waiter;
        if (*waiter).is_linked() {
            take_out(waiter);
        }
        let Some(more) = (*task).more_if_any_mut() else {
            return;
        };
        let (arms, count) = (more.arms.as_mut_ptr(), more.arms.len());
        for i in 0..count {
            let arm = &raw mut (*arms.add(i)).waiter;
            if Waiter::owner_of(arm).0 != Owner::None {
                take_out(arm);
            }
        }
        more.arms.clear();
    }
}

/// The first that a woken task does: it waits no more, nowhere. What it waited for, and who claimed it.
///
/// # Safety
/// The task was claimed and handed over; what it waited for is alive.
pub(crate) unsafe fn end_wait(task: *mut Task) -> (Wait, Claimed) {
    // SAFETY: promised by the caller.
    unsafe {
        let wait = std::mem::replace(&mut (*task).wait, Wait::None);
        let claimed = (*task).claim.end();
        if mutation!("unlinked_later", wait == Wait::Select, false) {
            unlink(task);
        }
        (wait, claimed)
    }
}

/// Claims a task of the mounted thread for its own thread: it was cancelled or killed. `false`: it does not wait, or somebody else has claimed it.
pub(crate) fn claim_own(task: *mut Task, by: Claimed) -> bool {
    // SAFETY: a task of the mounted thread. While it waits, what it waits for is alive, and it changes no list itself.
    unsafe {
        match (*task).wait {
            Wait::None => false,
            Wait::Select => (*task).claim.try_claim(by),
            Wait::Scope => match &(*task).scope {
                Some(scope) => scope.claim_owner(by),
                None => false,
            },
            _ => {
                let was_there = (*task).claim.is_waiting() && take_out(&raw mut (*task).waiter);
                let is_mine = mutation!("kill_takes_all", was_there, true);
                if is_mine {
                    (*task).claim.set(by);
                    drop((*task).waiter.take_message());
                }
                is_mine
            }
        }
    }
}

impl Thread {
    /// The running task. In a threadlet, that of the threadlet, made now if there is none.
    #[inline]
    pub(crate) fn task(&mut self) -> &mut Task {
        debug_assert!(!self.current.is_null(), "natives run in tasks");
        if self.has_bare_threadlet() {
            self.make_identities();
        }
        // SAFETY: the mounted task, or one on its stack, which only this carrier uses while it runs.
        unsafe { &mut *self.identity }
    }
    /// The same, as a pointer.
    pub(crate) fn task_pointer(&mut self) -> *mut Task {
        self.task()
    }

    /// The running task is about to wait; its waiters are linked after this, under the locks of what it waits for.
    #[inline]
    pub(crate) fn begin_wait(&mut self, wait: Wait) -> Result<(), Trap> {
        let task = self.task();
        task.wait = wait;
        task.claim.begin();
        Ok(())
    }
    /// The running task is about to wait in one list, into which the waiter is put after this, under its lock.
    #[inline(always)]
    pub(crate) fn begin_single_wait(&mut self, wait: Wait, owner: Owner, list: u8) -> *mut Waiter {
        let task = self.task();
        task.wait = wait;
        task.claim.begin();
        task.waiter.set_sole_owner(owner, list);
        &raw mut task.waiter
    }
    /// Undoes `begin_wait`.
    pub(crate) fn abandon_wait(&mut self) {
        let task = self.task();
        if task.wait != Wait::None {
            task.claim.end();
            task.wait = Wait::None;
            // SAFETY: the task runs.
            unsafe { unlink(task) };
            drop(self.task().waiter.take_message());
        }
    }
    /// The one waiter of a task that does not select.
    #[inline]
    pub(crate) fn single_waiter(&mut self, owner: Owner, list: u8) -> *mut Waiter {
        let waiter = &mut self.task().waiter;
        waiter.set_owner(owner, list);
        waiter
    }
    /// The running task sleeps.
    pub(crate) fn sleep_for(&mut self, nanoseconds: i64) {
        let scheduler = self.scheduler.clone();
        let timers = scheduler.timers(&self.own);
        let waiter = self.single_waiter(Owner::Timers(timers), 0);
        let now = scheduler.now();
        let deadline = timers::deadline(now, nanoseconds);
        // SAFETY: the task's waiter is in no list; the scheduler lives longer than its tasks.
        unsafe { timers.add(waiter, deadline, now) };
    }

    /// Hands a task that this carrier has claimed over to its thread.
    #[inline]
    pub(crate) fn wake(&mut self, task: *mut Task) {
        // SAFETY: claimed, so alive.
        unsafe {
            if (*task).block == self.block.as_ptr() {
                self.make_ready(task);
            } else {
                self.scheduler.wake(&self.own, task);
            }
        }
    }
    pub(crate) fn wake_all(&mut self, tasks: impl IntoIterator<Item = *mut Task>) {
        for task in tasks {
            self.wake(task);
        }
    }

    /// As most waits end: the mounted task was woken with a message that is no parcel, or its own was taken. `false`: it was not, and nothing is done.
    #[inline(always)]
    pub(super) fn finish_plain_wait(&mut self) -> bool {
        if self.boundary != 0 {
            return false;
        }
        // SAFETY: the mounted task.
        let task = unsafe { &mut *self.current };
        // Of one that was cancelled instead nothing is left there.
        if !matches!(
            task.wait,
            Wait::Receive | Wait::Next | Wait::Loop | Wait::Send
        ) || task.is(flag::IS_KILLED)
        {
            return false;
        }
        let Some(value) = task.waiter.take_plain_message() else {
            return false;
        };
        debug_assert!(!task.waiter.is_linked());
        // What had one waiter is in no list any more.
        task.wait = Wait::None;
        task.claim.end_by_arm();
        let dest = task.wait_dest as usize;
        // The message's reference becomes the heap's.
        let value = self.heap.adopt_owned(value);
        self.set_reg(dest, value);
        self.after_alloc();
        true
    }
    /// As `finish_wait`, of one that joins: most often for what has ended.
    #[inline]
    pub(super) fn finish_join(&mut self) -> Option<Exit> {
        let task = self.task();
        if task.is(flag::IS_KILLED) || !task.claim.is_by_arm() {
            return self.finish_wait();
        }
        debug_assert!(!task.waiter.is_linked());
        let dest = task.wait_dest as usize;
        let wait = std::mem::replace(&mut task.wait, Wait::None);
        task.claim.end();
        let given = task.waiter.take_plain_message();
        let joined = std::mem::replace(&mut task.more().wait_value, Value::NIL);
        let outcome = match wait {
            Wait::Join => self.task_outcome(joined),
            // The message's reference becomes the heap's.
            _ if let Some(value) = given => Ok(self.heap.adopt_owned(value)),
            _ => self.thread_outcome(joined),
        };
        match outcome {
            Ok(value) => {
                self.set_reg(dest, value);
                self.after_alloc();
                None
            }
            Err(trap) => self.handle_trap(trap),
        }
    }
    /// The mounted task was woken: what it gets. `Some`: it ends.
    pub(crate) fn finish_wait(&mut self) -> Option<Exit> {
        // SAFETY: it was claimed and handed over; what it waited for is in its registers.
        let (wait, claimed) = unsafe { end_wait(self.identity) };
        if wait == Wait::Sleep {
            self.parts.tasks.call_for_neighbours(self.identity);
        }
        let places = self.scheduler.places();
        let task = self.task();
        let dest = task.wait_dest as usize;
        let mut operand = Value::NIL;
        if matches!(wait, Wait::Select | Wait::Join | Wait::JoinThread) {
            operand = std::mem::replace(&mut task.more().wait_value, Value::NIL);
        }
        // Whoever claimed a task with one waiter took that out of its list.
        debug_assert!(!task.waiter.is_linked());
        let delivery = take_delivery(&mut task.waiter);
        // SAFETY: the running task's own waiter.
        let owner = unsafe { Waiter::owner_of(&raw const task.waiter).0 };
        let is_killed = task.is(flag::IS_KILLED);
        match wait {
            Wait::Select => self.stop_awaiting_others(operand, claimed),
            Wait::JoinThread if !matches!(claimed, Claimed::Arm(_)) => self.stop_awaiting(operand),
            _ => {}
        }
        let task = self.task();
        let was_given_place = wait == Wait::Work
            && matches!(claimed, Claimed::Arm(_))
            && matches!(owner, Owner::Shared(object) if std::ptr::eq(object, places));
        if is_killed {
            // What it was given just before is lost, but for a permit: others wait for that. (A lock is given back at its end.)
            if let (Wait::Acquire, Claimed::Arm(_), Owner::Shared(object)) = (wait, claimed, owner)
            {
                // SAFETY: its registers hold the semaphore.
                let object = unsafe { &*object };
                let next = match &mut *object.state.lock() {
                    ObjectState::Semaphore(semaphore) => semaphore.release(),
                    _ => None,
                };
                self.wake_all(next);
            }
            if was_given_place {
                self.leave_place();
            }
            if let Wait::Io | Wait::Work = wait
                && let Some(native) = self.task().more().native.take()
            {
                self.give_up_native(native);
            }
            match (wait, claimed) {
                (Wait::Join | Wait::JoinThread, Claimed::Arm(_)) => self.keep_failure(operand),
                (Wait::Select, Claimed::Arm(arm)) => {
                    let operands = self.elements(operand).unwrap_or(&[]);
                    self.keep_failure(operands.get(arm as usize).copied().unwrap_or(Value::NIL));
                }
                _ => {}
            }
            self.begin_kill();
            return self.unwind();
        }
        let native = match wait {
            Wait::Io | Wait::Work => task.more().native.take(),
            _ => None,
        };
        // The registers of the native's window hold its arguments: they stay roots until it has its result.
        let result = match claimed {
            Claimed::Killed => unreachable!("a killed task was dealt with above"),
            Claimed::Cancelled | Claimed::Refused => {
                if let Some(native) = native {
                    self.give_up_native(native);
                }
                if wait == Wait::Lock {
                    // The one that it waited for came last.
                    self.task().more().locks.pop();
                }
                match claimed {
                    Claimed::Refused => Err(self.throw_refused(wait)),
                    _ => Err(self.throw_cancelled()),
                }
            }
            Claimed::Arm(_) | Claimed::TimedOut if let Some(native) = native => {
                let resumed = self.resume_native(native, dest);
                if was_given_place {
                    self.leave_place();
                }
                return match resumed {
                    Ok(()) => None,
                    Err(trap) => self.handle_trap(trap),
                };
            }
            Claimed::TimedOut if wait == Wait::Select => self.pair(-1, Value::NIL),
            Claimed::TimedOut | Claimed::None => Ok(Value::NIL),
            Claimed::Arm(arm) => match (wait, delivery) {
                (Wait::Next, Delivery::Closed) => {
                    let error = self.new_error(ErrorKind::StopIteration, Value::NIL);
                    Err(self.throw_value(error))
                }
                (Wait::Loop, Delivery::Closed) => {
                    self.end_loop();
                    return None;
                }
                (_, Delivery::Closed) => Err(self.throw_closed_at_wait()),
                (Wait::Select, Delivery::Value(message)) => {
                    let operands = self.elements(operand).unwrap_or(&[]);
                    let object = operands.get(arm as usize).copied().unwrap_or(Value::NIL);
                    let value = match object.type_id() {
                        type_id::QUEUE => shared::queue::take_given(&mut self.values(), object),
                        _ => {
                            let channel = shared::object_of(object, type_id::CHANNEL);
                            self.deliver_from(channel, message)
                        }
                    };
                    value.and_then(|value| self.pair(arm as i64, value))
                }
                (_, Delivery::Value(message)) => {
                    // SAFETY: the running task's; what it waited for is in its registers.
                    let channel = match unsafe { Waiter::owner_of(&raw const self.task().waiter).0 }
                    {
                        // SAFETY: as above.
                        Owner::Shared(object) => Some(unsafe { &*object }),
                        _ => None,
                    };
                    self.deliver_from(channel, message)
                }
                (Wait::Join, Delivery::None) => self.task_outcome(operand),
                (Wait::JoinThread, Delivery::None) => self.thread_outcome(operand),
                (Wait::Select, Delivery::None) => {
                    let operands = self.elements(operand).unwrap_or(&[]);
                    let joined = operands.get(arm as usize).copied().unwrap_or(Value::NIL);
                    let outcome = if joined.is_kind(Kind::Task) {
                        self.task_outcome(joined)
                    } else {
                        self.thread_outcome(joined)
                    };
                    outcome.and_then(|value| self.pair(arm as i64, value))
                }
                _ => Ok(Value::NIL),
            },
        };
        match result {
            Ok(value) => {
                self.set_reg(dest, value);
                self.after_alloc();
                None
            }
            Err(trap) => self.handle_trap(trap),
        }
    }
    pub(crate) fn pair(&mut self, arm: i64, value: Value) -> Result<Value, Trap> {
        let arm = Value::small_int(arm);
        if let Ok(pair) = crate::ops::list::new_tuple(&mut self.heap, &[arm, value]) {
            return Ok(pair);
        }
        // What was taken cannot be taken again: so the instruction is not to run another time.
        let kept = self.new_handle(value);
        self.collect_for_delivery();
        let value = self.handle(kept);
        self.free_handle(kept);
        crate::ops::list::new_tuple(&mut self.heap, &[arm, value]).map_err(|_| self.throw_limit())
    }
    /// Makes room for what has come to a native that waited for it, or runs. The arguments of that native are roots, though they may lie above the registers of the frame.
    #[cold]
    fn collect_for_delivery(&mut self) {
        const MOST_ARGUMENTS: usize = 8;
        if self.base.is_null() {
            // Between two runs: the host takes what a thread has left.
            return self.collect_full();
        }
        let before = self.scan_extra;
        // SAFETY: the top frame's prototype.
        let registers = unsafe { (*crate::interp::frame::proto(self.base)).registers as usize };
        self.scan_extra = before.max(registers + 2 + MOST_ARGUMENTS);
        self.collect_full();
        self.scan_extra = before;
    }
    pub(crate) fn throw_closed(&mut self) -> Trap {
        self.throw_new(ErrorKind::ChannelClosed, "the channel is closed")
    }
    /// The same for who would have waited.
    pub(crate) fn throw_closed_at_wait(&mut self) -> Trap {
        match self.blocking_point_that_failed() {
            Ok(()) => self.throw_closed(),
            Err(cancelled) => cancelled,
        }
    }
    /// A message becomes a value of the mounted thread.
    #[inline]
    pub(crate) fn deliver(&mut self, message: Message) -> Result<Value, Trap> {
        self.deliver_from(None, message)
    }
    /// The same; a message for which there is no room goes back to the channel that it came from.
    #[inline]
    fn deliver_from(
        &mut self,
        channel: Option<&shared::SharedObject>,
        message: Message,
    ) -> Result<Value, Trap> {
        match message.deliver(&mut self.heap) {
            Ok(value) => Ok(value),
            Err(message) => {
                self.collect_for_delivery();
                match message.deliver(&mut self.heap) {
                    Ok(value) => Ok(value),
                    Err(message) => {
                        if let Some(channel) = channel {
                            self.give_back(channel, message);
                        }
                        Err(self.throw_limit())
                    }
                }
            }
        }
    }
}
