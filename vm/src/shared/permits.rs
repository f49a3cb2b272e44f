//! Semaphores, mutexes, latches and barriers: counts, and those who wait for them to change.

use super::support::{count_arg, make, object_arg};
use super::{Message, ObjectState, SharedObject};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::sched::wait::{Delivery, Owner, WaitList, deliver};
use crate::task::{Task, Wait};
use crate::types::ErrorKind;
use crate::value::Value;

/// Natives of `Semaphore`, `Mutex`, `Latch` and `Barrier`.
pub static PERMITS: &[NativeDef] = crate::natives! {
    /// A semaphore with so many permits.
    plain "Semaphore" (permits) => semaphore;
    /// Takes a permit, waiting for one.
    suspending "Semaphore.acquire" (self) => acquire;
    /// Takes a permit if there is one; whether it did.
    plain "Semaphore.try_acquire" (self) => try_acquire;
    /// Gives a permit back.
    plain "Semaphore.release" (self) => release;
    /// A lock that one task holds at a time.
    plain "Mutex" () => |ctx| make(ctx, type_id::MUTEX, ObjectState::Mutex(MutexState::default()));
    /// Takes the lock, waiting for it; it is given back when the task ends.
    suspending "Mutex.lock" (self) => lock;
    /// Takes the lock if it is free; whether it did.
    plain "Mutex.try_lock" (self) => try_lock;
    /// Gives the lock back.
    plain "Mutex.unlock" (self) => unlock;
    /// Opens when it was counted down `count` times.
    plain "Latch" (count) => |ctx| gate(ctx, false);
    /// Counts down.
    plain "Latch.count_down" (self) => |ctx| { let object = gate_object(ctx)?; count_down(ctx, object) };
    /// Waits until it is open.
    suspending "Latch.wait" (self) => latch_wait;
    /// Lets `parties` tasks go together, again and again.
    plain "Barrier" (parties) => |ctx| gate(ctx, true);
    /// Waits until `parties` tasks wait.
    suspending "Barrier.wait" (self) => barrier_wait;
};

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

fn semaphore(ctx: &mut Ctx) -> NativeResult {
    let permits = count_arg(ctx, 0, 0)? as u64;
    let state = SemaphoreState {
        permits,
        waiting: Default::default(),
    };
    make(ctx, type_id::SEMAPHORE, ObjectState::Semaphore(state))
}
fn semaphore_arg(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::SEMAPHORE, "a Semaphore")
}
fn acquire(ctx: &mut Ctx) -> NativeResult {
    let object = semaphore_arg(ctx)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let mut state = object.state.lock();
    if let ObjectState::Semaphore(semaphore) = &mut *state {
        if semaphore.try_acquire() {
            return Ok(Value::NIL);
        }
        let waiter = thread.begin_single_wait(Wait::Acquire, Owner::Shared(object), 0);
        // SAFETY: under the semaphore's lock.
        unsafe { semaphore.waiting.push(waiter) };
    }
    Err(Trap::Suspend)
}
fn try_acquire(ctx: &mut Ctx) -> NativeResult {
    let object = semaphore_arg(ctx)?;
    match &mut *object.state.lock() {
        ObjectState::Semaphore(semaphore) => Ok(Value::bool(semaphore.try_acquire())),
        _ => unreachable!("the type says that it is a semaphore"),
    }
}
fn release(ctx: &mut Ctx) -> NativeResult {
    let object = semaphore_arg(ctx)?;
    let woken = match &mut *object.state.lock() {
        ObjectState::Semaphore(semaphore) => semaphore.release(),
        _ => None,
    };
    ctx.thread.wake_all(woken);
    ctx.nil()
}

fn mutex_arg(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::MUTEX, "a Mutex")
}
fn lock(ctx: &mut Ctx) -> NativeResult {
    let object = mutex_arg(ctx)?;
    let handle = ctx.arg(0);
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let task = thread.task_pointer();
    let mut state = object.state.lock();
    if let ObjectState::Mutex(mutex) = &mut *state {
        if mutex.holder == Some(task) {
            drop(state);
            let message = "this task holds the lock already";
            return Err(ctx.throw(ErrorKind::Value, message));
        }
        if mutex.try_lock(task) {
            thread.task().more().locks.push(Message::shared(handle));
            return Ok(Value::NIL);
        }
        thread.begin_wait(Wait::Lock)?;
        thread.task().more().locks.push(Message::shared(handle));
        let waiter = thread.single_waiter(Owner::Shared(object), 0);
        // SAFETY: under the mutex's lock.
        unsafe { mutex.waiting.push(waiter) };
    }
    Err(Trap::Suspend)
}
fn try_lock(ctx: &mut Ctx) -> NativeResult {
    let object = mutex_arg(ctx)?;
    let handle = ctx.arg(0);
    let task = ctx.thread.task_pointer();
    let is_mine = match &mut *object.state.lock() {
        ObjectState::Mutex(mutex) => mutex.try_lock(task),
        _ => false,
    };
    if is_mine {
        ctx.thread.task().more().locks.push(Message::shared(handle));
    }
    Ok(Value::bool(is_mine))
}
fn unlock(ctx: &mut Ctx) -> NativeResult {
    let object = mutex_arg(ctx)?;
    let handle = ctx.arg(0);
    let task = ctx.thread.task_pointer();
    let next = match &mut *object.state.lock() {
        ObjectState::Mutex(mutex) if mutex.holder == Some(task) => Ok(mutex.unlock()),
        _ => Err(()),
    };
    match next {
        Ok(next) => {
            ctx.thread
                .task()
                .more()
                .locks
                .retain(|lock| lock.peek() != Some(handle));
            ctx.thread.wake_all(next);
            ctx.nil()
        }
        Err(()) => Err(ctx.throw(ErrorKind::Value, "this task does not hold the lock")),
    }
}

fn gate(ctx: &mut Ctx, is_barrier: bool) -> NativeResult {
    let parties = count_arg(ctx, 0, is_barrier as i64)? as u64;
    let state = GateState {
        parties,
        left: if is_barrier { 0 } else { parties },
        is_barrier,
        waiting: Default::default(),
    };
    let id = if is_barrier {
        type_id::BARRIER
    } else {
        type_id::LATCH
    };
    make(ctx, id, ObjectState::Gate(state))
}
fn gate_object(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    let id = ctx.arg(0).type_id();
    if id == type_id::BARRIER {
        return object_arg(ctx, id, "a Barrier");
    }
    object_arg(ctx, type_id::LATCH, "a Latch")
}
fn count_down(ctx: &mut Ctx, object: &'static SharedObject) -> NativeResult {
    let woken = match &mut *object.state.lock() {
        ObjectState::Gate(gate) => gate.count_down(),
        _ => Vec::new(),
    };
    ctx.thread.wake_all(woken);
    ctx.nil()
}
fn latch_wait(ctx: &mut Ctx) -> NativeResult {
    let object = gate_object(ctx)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    if let ObjectState::Gate(gate) = &mut *object.state.lock() {
        if gate.left == 0 {
            return Ok(Value::NIL);
        }
        let waiter = thread.begin_single_wait(Wait::Gate, Owner::Shared(object), 0);
        // SAFETY: under the gate's lock.
        unsafe { gate.waiting.push(waiter) };
    }
    Err(Trap::Suspend)
}
fn barrier_wait(ctx: &mut Ctx) -> NativeResult {
    let object = gate_object(ctx)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let mut state = object.state.lock();
    if let ObjectState::Gate(gate) = &mut *state {
        if let Some(woken) = gate.arrive() {
            drop(state);
            thread.wake_all(woken);
            return Ok(Value::NIL);
        }
        thread.begin_wait(Wait::Gate)?;
        gate.left += 1;
        let waiter = thread.single_waiter(Owner::Shared(object), 0);
        // SAFETY: under the gate's lock.
        unsafe { gate.waiting.push(waiter) };
    }
    Err(Trap::Suspend)
}
