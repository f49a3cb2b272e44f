//! Waiting, being woken, being cancelled: what the running task and its thread do. (Who may wake whom: `sched::wait`.)

use super::Thread;
use crate::counted::Counted;
use crate::interp::Exit;
use crate::native::{FastPath, Trap};
use crate::object::{Handle, Kind, TaskObject, type_id};
use crate::sched::ThreadBlock;
use crate::sched::block::Outcome;
use crate::sched::scope::{self, Failure, Scope};
use crate::sched::sites::NO_SITE;
use crate::sched::timers;
use crate::sched::wait::{Claimed, Delivery, Owner, Waiter, take_delivery};
use crate::shared::{self, Message, ObjectState};
use crate::sync::mutation;
use crate::task::{Ended, Task, Tidying, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::collections::VecDeque;
use std::sync::Arc;

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

    // --- joining

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
    fn throw_outcome(&mut self, value: Value) -> Trap {
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
    /// Who was to get the outcome of a task or thread was killed before it did. If that is an error that nobody else knows, it is nobody's again.
    #[cold]
    fn keep_failure(&mut self, handle: Value) {
        if handle.type_id() == type_id::THREAD {
            let block = thread_of(handle);
            let mut end = block.end.lock();
            if !end.give_up() {
                return;
            }
            let Some(scope) = &block.scope else {
                drop(end);
                return self.scheduler.keep_failed(block);
            };
            let message = end.error_for_scope();
            drop(end);
            if let Some(message) = message {
                self.fail_other_scope(message, scope);
            }
            return;
        }
        if !handle.is_kind(Kind::Task) {
            return;
        }
        // SAFETY: its kind was tested.
        let object = unsafe { &mut *handle.as_object().cast::<TaskObject>() };
        if object.ended() != Ended::Failed as u16 || object.header.aux & TaskObject::KNOWN != 0 {
            return;
        }
        object.header.aux |= TaskObject::KNOWN;
        let is_for_scope = {
            let end = self.block.end.lock();
            !end.is_detached && !end.is_awaited()
        };
        if is_for_scope
            && let Some(scope) = self.block.scope.clone().filter(|s| s.takes_failure())
            && let Some(message) = self.error_for_outside(object.result)
        {
            return self.fail_other_scope(message, &scope);
        }
        self.parts.more().failed.push(handle, NO_SITE);
        if self.block.id == super::carrier::HOST_THREAD {
            self.scheduler.note_failed_task();
        }
    }
    /// Somebody knows how a task has ended, or nobody wants to.
    pub(crate) fn forget_failure(&mut self, handle: Value) {
        // SAFETY: a task's handle.
        unsafe { (*handle.as_object().cast::<TaskObject>()).header.aux |= TaskObject::KNOWN };
        if let Some(more) = self.parts.more_if_any_mut() {
            more.failed.remove(handle);
        }
        if self.parts.has_early {
            self.forget_early(handle);
        }
    }
    #[cold]
    fn forget_early(&mut self, handle: Value) {
        let Some(more) = self.parts.more_if_any_mut() else {
            return;
        };
        // Those that are joined for are most often the last, or the first.
        let is_it = |&(kept, _): &(usize, _)| more.handles[kept] == handle;
        let at = match more.early.back().is_some_and(is_it) {
            true => Some(more.early.len() - 1),
            false => more.early.iter().position(is_it),
        };
        let removed = at.and_then(|at| more.early.remove(at));
        self.parts.has_early = !more.early.is_empty();
        if let Some((kept, _)) = removed {
            self.free_handle(kept);
        }
    }
    /// A threadlet that fails before it waits has failed before its caller could join for it, or detach it. So its scope hears of that only when the caller has had
    /// the chance, as of a task that was split off: when it waits, yields or ends, or closes the scope.
    #[cold]
    pub(crate) fn fail_scopes(&mut self) {
        self.parts.has_early = false;
        for (kept, scope) in std::mem::take(&mut self.parts.more().early) {
            self.fail_early(kept, &scope);
        }
    }
    /// The same of one scope, which is being closed; whether there was such a threadlet.
    #[cold]
    pub(crate) fn fail_scope(&mut self, scope: &Arc<Scope>) -> bool {
        let early = std::mem::take(&mut self.parts.more().early);
        let (here, others): (VecDeque<_>, VecDeque<_>) = early
            .into_iter()
            .partition(|(_, other)| Arc::ptr_eq(other, scope));
        self.parts.has_early = !others.is_empty();
        self.parts.more().early = others;
        let has_failed = !here.is_empty();
        for (kept, scope) in here {
            self.fail_early(kept, &scope);
        }
        has_failed
    }
    /// See `fail_scopes`.
    #[cold]
    fn keep_early(&mut self, handle: Value, scope: Arc<Scope>) {
        let kept = self.new_handle(handle);
        self.parts.more().early.push_back((kept, scope));
        self.parts.has_early = true;
    }
    /// A task of a thread that is a member of a scope has failed, and nobody joins for it: what is started inside is a member, so the scope does not wait for the thread's end to fail.
    #[cold]
    fn fail_scope_around(&mut self, error: Value, scope: &Arc<Scope>) {
        if self.parts.stopped == super::Stopped::Killed || !scope.takes_failure() {
            return;
        }
        {
            // Who joins for the thread gets it when that ends.
            let end = self.block.end.lock();
            if end.is_detached || end.is_awaited() {
                return;
            }
        }
        if let Some(message) = self.error_for_outside(error) {
            self.fail_other_scope(message, scope);
        }
    }
    /// A scope of another thread hears of an error.
    #[cold]
    fn fail_other_scope(&mut self, error: Message, scope: &Arc<Scope>) {
        if scope.fail(Failure::Thread(error)).is_ok() {
            self.scheduler.cancel_scope(&self.own, scope);
        }
    }
    fn fail_early(&mut self, kept: usize, scope: &Arc<Scope>) {
        let around = self.block.scope.as_ref();
        if around.is_some_and(|around| Arc::ptr_eq(around, scope)) {
            let object = self.handle(kept).as_object().cast::<TaskObject>();
            self.free_handle(kept);
            // SAFETY: a task's handle.
            return self.fail_scope_around(unsafe { (*object).result }, scope);
        }
        match scope.fail(Failure::Task(kept)) {
            Ok(()) => self.scheduler.cancel_scope(&self.own, scope),
            Err(_) => self.free_handle(kept),
        }
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
        } else if block.id == super::HOST_THREAD {
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
        if std::ptr::eq(block, self.block.as_ptr()) || block.id == super::HOST_THREAD {
            return FastPath::NotUsual;
        }
        let mut end = block.end.lock();
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

    // --- the end of a task

    #[inline]
    pub(crate) fn end_task(&mut self, task: *mut Task, value: Value, how: Ended) {
        self.end_task_as(task, value, how, false);
    }
    /// `is_inline`: it is a threadlet that has not waited.
    pub(crate) fn end_task_as(
        &mut self,
        task: *mut Task,
        value: Value,
        how: Ended,
        is_inline: bool,
    ) {
        // SAFETY: the task that has just ended.
        let is_first = unsafe { (*task).is(flag::IS_FIRST) };
        if how == Ended::Failed && !is_first {
            // The error is reported by the handle.
            self.handle_of(task, Value::NIL);
        }
        self.parts.tasks.remove(task);
        // SAFETY: a task of the mounted thread that has just ended; nobody waits for it but its joiners, which are this thread's.
        let (handle, flags, site, scope, joiner) = unsafe {
            debug_assert!(!(*task).waiter.is_linked());
            let handle = (*task).handle;
            if handle.is_object() {
                let object = handle.as_object().cast::<TaskObject>();
                (*object).result = value;
                (*object).header.aux |= how as u16;
                if (*task).is(flag::IS_DETACHED) {
                    (*object).header.aux |= TaskObject::KNOWN;
                }
                self.heap.barrier(object.cast(), value);
            }
            let joiner = (*task).joiners.claim_first();
            (
                handle,
                (*task).flags,
                (*task).site,
                (*task).scope.take(),
                joiner,
            )
        };
        // Before those that it has opened are closed, by which it is known as their owner.
        let membership = match is_first {
            true => None,
            false => scope::membership(task, scope.as_ref()),
        };
        if let Some(scope) = scope.as_ref().filter(|scope| scope.is_of(task)) {
            self.abandon_scopes(task, scope);
        }
        // SAFETY: as above.
        if let Some(more) = unsafe { (*task).more_if_any_mut() } {
            for lock in std::mem::take(&mut more.locks) {
                self.unlock_for(lock, task);
            }
        }
        let has_failed = how == Ended::Failed;
        self.parts.detached -= (flags & flag::IS_DETACHED != 0) as u32;
        let is_joined = joiner.is_some();
        if is_first {
            self.parts.main_result = value;
            self.parts.main_ended = how;
            if self.block.id == super::carrier::HOST_THREAD && self.scheduler.host_stays() {
                // It is mounted, so nobody has to enqueue it.
                let _ = self.block.signal.request(crate::sched::block::HOME);
            }
        } else {
            let scope = membership;
            if has_failed && !is_joined && flags & flag::IS_DETACHED == 0 {
                match &scope {
                    None => {
                        self.parts.more().failed.push(handle, site);
                        if self.block.id == super::carrier::HOST_THREAD {
                            self.scheduler.note_failed_task();
                        }
                        match self.block.scope.clone() {
                            Some(around) if is_inline => self.keep_early(handle, around),
                            Some(around) => self.fail_scope_around(value, &around),
                            None => {}
                        }
                    }
                    Some(scope) if is_inline => self.keep_early(handle, scope.clone()),
                    Some(scope) => {
                        let kept = self.new_handle(handle);
                        match scope.fail(Failure::Task(kept)) {
                            Ok(()) => self.scheduler.cancel_scope(&self.own, scope),
                            Err(_) => self.free_handle(kept),
                        }
                    }
                }
            }
            self.wake_joiners(task, joiner);
            if let Some(scope) = scope
                && let Some(owner) = scope.leave(task)
            {
                self.wake(owner);
            }
        }
        if is_first {
            self.wake_joiners(task, joiner);
            // With its last task the thread ends, and tells the scope itself.
            if has_failed
                && !is_joined
                && !self.parts.tasks.is_empty()
                && let Some(around) = self.block.scope.clone()
            {
                self.fail_scope_around(value, &around);
            }
        }
        // SAFETY: made by a pool; nothing leads to it any more.
        unsafe { self.pool.give(task) };
    }
    /// The program does not wait for the mounted thread if all its tasks are detached: looked at when it waits, and, as they may be busy, at the end of a slice.
    #[cold]
    pub(crate) fn uncount_if_all_are_detached(&mut self) {
        let is_hosts = self.block.id == super::HOST_THREAD;
        if self.parts.detached as usize == self.parts.tasks.count
            && !(is_hosts && self.scheduler.host_stays())
        {
            self.scheduler.uncount(&self.own, &self.block);
        }
    }
    /// A task has ended and left scopes open, since it was killed where it waited for their members, or its cleanups were cut short: nobody awaits these members, so they are cancelled.
    #[cold]
    fn abandon_scopes(&mut self, task: *mut Task, innermost: &Arc<Scope>) {
        let mut at = Some(innermost);
        while let Some(scope) = at.filter(|scope| scope.is_of(task)) {
            // SAFETY: the scheduler is alive.
            unsafe { scope.remove_timer() };
            if let Some(Failure::Task(kept)) = scope.abandon() {
                self.free_handle(kept);
            }
            self.scheduler.cancel_scope(&self.own, scope);
            at = scope.parent.as_ref();
        }
    }
    /// Wakes those who wait for a task that has ended: `first`, claimed already, and the others.
    #[inline]
    fn wake_joiners(&mut self, task: *mut Task, first: Option<*mut Waiter>) {
        let mut next = first;
        while let Some(waiter) = next {
            // SAFETY: who is claimed is ours until it is woken; all are this thread's, as is the list.
            unsafe {
                self.make_ready((*waiter).task());
                next = (*task).joiners.claim_first();
            }
        }
        // Arms of a `select` that something else has ended.
        // SAFETY: as above.
        unsafe { (*task).joiners.let_go() };
    }
    /// A task ended while it held a mutex, or called the function of a `Once`.
    fn unlock_for(&mut self, lock: Message, task: *mut Task) {
        let Some(object) = lock.peek().and_then(shared::held_by_task) else {
            return;
        };
        let next = match &mut *object.state.lock() {
            ObjectState::Mutex(mutex) if mutex.holder == Some(task) => mutex.unlock(),
            ObjectState::Once(once) => once.leave(task),
            _ => None,
        };
        self.wake_all(next);
    }

    // --- cancelling

    /// `cancel` of a task of the mounted thread.
    pub(crate) fn cancel_task(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread; its flags are its thread's.
        let is_tidying = unsafe {
            (*task).flags |= flag::IS_CANCELLED;
            (*task)
                .more_if_any()
                .is_some_and(|more| more.tidying.is_some())
        };
        if !is_tidying {
            self.deliver_cancel(task);
        }
    }
    /// It is thrown where the task waits, or at its next blocking point. While the task tidies up after an earlier one, nothing happens; nor while it waits for the members of a
    /// scope that is cancelled itself.
    pub(super) fn deliver_cancel(&mut self, task: *mut Task) {
        // SAFETY: as above.
        let is_tidying = unsafe {
            let awaits_cancelled = (*task).wait == Wait::Scope
                && (*task)
                    .scope
                    .as_ref()
                    .is_some_and(|scope| scope.state.lock().is_cancelled);
            if (*task).flags & flag::WAS_CANCELLED != 0 {
                return;
            }
            awaits_cancelled
        };
        if !is_tidying && claim_own(task, Claimed::Cancelled) {
            self.make_ready(task);
        } else {
            // SAFETY: a task of the mounted thread; its flags are its thread's.
            unsafe { (*task).flags |= flag::CANCEL_PENDING };
        }
    }
    pub(crate) fn kill_task(&mut self, task: *mut Task) {
        // SAFETY: as above.
        unsafe {
            if (*task).flags & flag::IS_KILLED != 0 {
                return;
            }
            (*task).flags |= flag::IS_KILLED;
        }
        if claim_own(task, Claimed::Killed) {
            self.make_ready(task);
        }
    }
    /// Cancels the tasks in scopes of the mounted thread that were cancelled, each once for each scope.
    pub(crate) fn cancel_in_scopes(&mut self) {
        // Members without an identity are counted only with one.
        self.make_all_identities();
        let scopes = self.scheduler.cancelled.take(self.block.id);
        // (Tasks that are discarded leave no scope.)
        if self.parts.tasks.is_empty() {
            return;
        }
        for scope in scopes {
            let mut tasks = scope.tasks_inside();
            // Those that were started last first, whatever their addresses are: a schedule can be repeated.
            // SAFETY: members that have not ended, of this thread.
            tasks.sort_by_key(|task| std::cmp::Reverse(unsafe { (**task).id() }));
            for task in tasks {
                self.cancel_in_scopes_of(task);
            }
        }
    }
    /// Cancels a task of the mounted thread if a scope that it is in was cancelled, and it was not told so far.
    #[inline(never)]
    pub(super) fn cancel_in_scopes_of(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread.
        let (scope, is_waiting_for_scope) =
            unsafe { ((*task).scope.clone(), (*task).wait == Wait::Scope) };
        // SAFETY: as above.
        let is_tidying = unsafe { (*task).more_if_any().is_some_and(|m| m.tidying.is_some()) };
        let Some(cancelled) = scope::cancelled_in(scope.as_ref()) else {
            return;
        };
        let awaits_this =
            is_waiting_for_scope && scope.as_ref().is_some_and(|s| Arc::ptr_eq(s, &cancelled));
        // SAFETY: as above.
        let (seen, is_cancelled) = unsafe {
            (
                (*task).more_if_any().and_then(|m| m.cancelled_for.as_ref()),
                (*task).is(flag::IS_CANCELLED),
            )
        };
        if !awaits_this
            && (is_tidying || !is_cancelled)
            && seen.is_none_or(|seen| !Arc::ptr_eq(seen, &cancelled))
        {
            // SAFETY: as above.
            unsafe { (*task).more().cancelled_for = Some(cancelled) };
            self.deliver_cancel(task);
        }
    }

    // --- scopes

    /// `scope { … }` begins; gives the object that stands for it.
    pub(crate) fn enter_scope(&mut self, limit: Option<i64>) -> Arc<Scope> {
        let block = Counted::downgrade(&self.block.to_arc());
        let owner = self.task_pointer();
        let parent = self.task().scope.clone();
        let is_tidying = self.task().is(flag::WAS_CANCELLED) && self.is_in_handler();
        let scope = Scope::new(parent, owner, block, is_tidying);
        // One that is over already is noticed at the first blocking point, not only when somebody looks at the timers.
        let is_over = limit.is_some_and(|nanoseconds| nanoseconds <= 0);
        if is_over {
            let mut state = scope.state.lock();
            scope.mark_cancelled(&mut state);
            state.is_timed_out = true;
        } else if let Some(nanoseconds) = limit {
            let now = self.scheduler.now();
            let deadline = timers::deadline(now, nanoseconds);
            let timers = self.scheduler.timers(&self.own);
            // SAFETY: a new scope; the scheduler lives longer than its scopes.
            unsafe { scope.set_timer(timers, deadline, now) };
        }
        let task = self.task();
        task.scope = Some(scope.clone());
        if is_tidying {
            task.clear(flag::WAS_CANCELLED);
            let more = task.more();
            more.tidying = Some(Box::new(Tidying {
                scope: scope.clone(),
                cancelled_for: more.cancelled_for.take(),
                handler: more.handler.take(),
                outer: more.tidying.take(),
            }));
        }
        if is_over {
            self.cancel_in_scopes_of(owner);
        }
        scope
    }
    /// Waits for the members of a scope; `false`: the task is parked, and the native is run again.
    pub(crate) fn await_scope(&mut self, scope: &Arc<Scope>) -> Result<bool, Trap> {
        {
            let mut state = scope.state.lock();
            if state.live == 0 {
                return Ok(true);
            }
            self.begin_wait(Wait::Scope)?;
            state.is_awaited = true;
        }
        Ok(false)
    }
    /// A scope is over: if the task opened it while it tidied up, it is again what it was before.
    fn go_on_tidying(&mut self, scope: &Arc<Scope>) {
        let task = self.task();
        let Some(more) = task.more_if_any_mut() else {
            return;
        };
        let of_scope = |tidying: &mut Box<Tidying>| Arc::ptr_eq(&tidying.scope, scope);
        if let Some(mut tidying) = more.tidying.take_if(of_scope) {
            more.cancelled_for = tidying.cancelled_for.take();
            more.handler = tidying.handler.take();
            more.tidying = tidying.outer.take();
            task.clear(flag::CANCEL_PENDING);
            task.set(flag::WAS_CANCELLED);
        }
    }
    /// The scope is over: what it throws, if it does. `error`: what left it.
    pub(crate) fn close_scope(
        &mut self,
        scope: &Arc<Scope>,
        error: Option<Value>,
    ) -> Result<Value, Trap> {
        // SAFETY: the scheduler is alive.
        unsafe { scope.remove_timer() };
        let (failure, is_timed_out, has_cut_members) = {
            let mut state = scope.state.lock();
            state.is_closed = true;
            let failure = state.failure.take();
            (failure, state.is_timed_out, state.has_cut_members)
        };
        let task = self.task();
        task.scope = scope.parent.clone();
        let is_own = task.take(flag::IS_OWN_CANCEL);
        let marked = task.more_if_any_mut().map(|more| &mut more.cancelled_for);
        let was_marked = match marked {
            Some(marked) if marked.as_ref().is_some_and(|m| Arc::ptr_eq(m, scope)) => {
                *marked = None;
                true
            }
            _ => false,
        };
        let was_cancelled_here = was_marked && !is_own;
        let was_interrupted = was_cancelled_here && task.is(flag::WAS_CANCELLED);
        if was_cancelled_here {
            task.clear(flag::CANCEL_PENDING | flag::WAS_CANCELLED);
            let is_tidying = task.more_if_any().is_some_and(|m| m.tidying.is_some());
            if task.is(flag::IS_CANCELLED) && !is_tidying {
                // The task itself was cancelled meanwhile. (One that tidies up was told before.)
                task.set(flag::CANCEL_PENDING);
            }
            self.forget_handler();
        }
        self.go_on_tidying(scope);
        let is_cancel = error.is_some_and(|e| e.type_id() == ErrorKind::Cancelled.type_id());
        if let Some(error) = error
            && !(is_cancel && was_cancelled_here)
        {
            if let Some(Failure::Task(kept)) = failure {
                self.free_handle(kept);
            }
            self.thrown = error;
            return Err(Trap::Throw);
        }
        match failure {
            Some(Failure::Task(kept)) => {
                let handle = self.handle(kept);
                self.free_handle(kept);
                self.task_outcome(handle)
            }
            Some(Failure::Thread(message)) => {
                let error = self.deliver(message)?;
                Err(self.throw_outcome(error))
            }
            // Who came to the end without being interrupted has what it wanted: a message that was received is not lost.
            None if is_timed_out && (error.is_some() || was_interrupted || has_cut_members) => {
                Err(self.throw_new(ErrorKind::Timeout, "the time limit was reached"))
            }
            None => match error {
                Some(error) => {
                    self.thrown = error;
                    Err(Trap::Throw)
                }
                None => Ok(Value::NIL),
            },
        }
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
