//! What scripts call: tasks, threads, scopes, `select`, time, and the thread-safe builtins.

use super::channel::{ChannelState, Received, Sent};
use super::permits::{GateState, MutexState, SemaphoreState};
use super::support::make;
use super::{Message, ObjectState, SharedObject, object_of};
use crate::native::{Ctx, FastPath, NativeDef, NativeResult, Trap};
use crate::object::{Kind, TaskObject, type_id};
use crate::sched::block::{CANCEL, KILL, Outcome};
use crate::sched::scope::Scope;
use crate::sched::wait::{Claimed, Owner, Waiter};
use crate::sync::Ordering;
use crate::task::{Wait, flag};
use crate::thread::{Thread, thread_of};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

/// Natives of tasks, threads and what they share.
pub static CONCURRENCY: &[NativeDef] = crate::natives! {
    /// Waits until the task has ended; gives its result or throws its error.
    suspending "Task.join" (self) => join, fast_path join_usually;
    /// Whether the task has ended, well or not.
    plain "Task.done" (self) => |ctx| Ok(Value::bool(task_of(ctx)?.is_none()));
    /// Lets the task throw `Cancelled` at its next blocking point.
    plain "Task.cancel" (self) => task_cancel;
    /// The program does not report how it ends.
    plain "Task.detach" (self) => task_detach;
    /// The task that runs.
    plain "Task.current" () => |ctx| { let task = ctx.thread.task_pointer(); Ok(ctx.thread.handle_of(task, Value::NIL)) };
    /// The thread that runs.
    plain "Thread.current" () => |ctx| { let block = ctx.thread.block.to_arc(); Ok(ctx.thread.thread_handle(block)) };
    /// The tasks of this thread that have not ended, in the order of their starts. Only the thread itself can ask: tasks do not cross.
    plain "Thread.tasks" (self) => thread_tasks;
    /// The troop that this thread belongs to.
    plain "Troop.current" () => |ctx| Ok(ctx.thread.troop_handle());
    /// The threads of the troop that have not ended, in the order of their starts.
    plain "Troop.threads" (self) => troop_threads;
    /// Waits until the thread has ended; gives its result or throws its error. A mutable result goes to the first who joins.
    suspending "Thread.join" (self) => join, fast_path join_usually;
    /// Whether the thread has ended, well or not.
    plain "Thread.done" (self) => |ctx| { let block = thread_arg(ctx)?; Ok(Value::bool(block.has_ended())) };
    /// Lets all tasks of the thread throw `Cancelled` at their next blocking points.
    plain "Thread.cancel" (self) => |ctx| thread_request(ctx, CANCEL);
    /// Ends the thread at its next safepoint, busy or not; its defers run.
    plain "Thread.kill" (self) => |ctx| thread_request(ctx, KILL);
    /// The program neither waits for the thread nor reports how it ends.
    plain "Thread.detach" (self) => thread_detach;

    /// Lets so much time pass.
    suspending "sleep" (duration) => sleep;
    /// `scope`: opens one; gives what stands for it. The compiler calls this and the next two.
    plain "__scope_enter" (timeout) => scope_enter;
    /// The body of the next module that a program runs; nil if that is the main one, which comes if asked for.
    plain "__next_body" (is_main) => next_body;
    /// Waits for what was started in a scope; true when there is nothing left to wait for.
    suspending "__scope_wait" (scope) => scope_wait;
    /// A scope is left, by an error or without: what it throws, if it does.
    plain "__scope_close" (scope, "error?") => scope_close;
    /// A scope was left by an error: what was started in it is cancelled.
    plain "__scope_cancel" (scope) => scope_cancel;
    /// `select`: one letter of `kinds` (recv, send, Send of a copy, join) and two of `arms` (object, operand) for each; gives (arm, value).
    suspending "__select" (kinds, timeout, has_else, "..arms") => select;

    /// A channel that holds up to `capacity` messages; 0: each send waits for its receiver.
    plain "Channel" ("capacity?") => channel;
    /// Sends an immutable value (or `copy(x)`), waiting for room.
    suspending crossing "Channel.send" (self, value) => send, fast_path send_usually;
    /// Sends if there is room; whether it did.
    plain crossing "Channel.try_send" (self, value) => try_send;
    /// The next message, waiting for one; throws `ChannelClosed` when the channel is closed and empty.
    suspending "Channel.recv" (self) => |ctx| receive(ctx, Wait::Receive), fast_path receive_usually;
    /// The next message, or `default` (nil) if there is none now.
    plain "Channel.try_recv" (self, "default?") => try_receive;
    /// The next message of a loop, which ends when the channel is closed and empty.
    suspending "Channel.next" (self) => |ctx| receive(ctx, Wait::Next);
    /// The channel itself: loops over its messages.
    plain "Channel.iter" (self) => |ctx| Ok(ctx.arg(0));
    /// Nothing can be sent from now on; what was sent can still be received.
    plain "Channel.close" (self) => close;
    /// Whether it was closed.
    plain "Channel.is_closed" (self) => |ctx| with_channel(ctx, |c| Value::bool(c.is_closed));
    /// How many messages it holds.
    plain "Channel.len" (self) => |ctx| with_channel(ctx, |c| Value::small_int(c.queue.len() as i64));
    /// How many messages it can hold.
    plain "Channel.capacity" (self) => capacity;

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

    /// A value that depends on where one is called from: `with` sets it for a call and what that starts.
    plain "Scoped" ("default?") => |ctx| { let value = ctx.arg_or_nil(0); let value = ctx.thread.share_frozen(value, "default")?; make(ctx, type_id::SCOPED, ObjectState::Atomic(value)) };
    /// The value here.
    plain "Scoped.get" (self) => scoped_get;
    plain "__scoped_push" (scoped, value) => scoped_push;
    plain "__scoped_pop" () => |ctx| { ctx.thread.task().more().scoped.pop(); ctx.nil() };

    /// An immutable value that threads change atomically.
    plain "Atomic" ("value?") => atomic;
    /// Its value.
    plain "Atomic.get" (self) => |ctx| { let object = atomic_object(ctx)?; read_atomic(ctx, object) };
    /// Sets it.
    plain "Atomic.set" (self, value) => |ctx| { atomic_swap(ctx)?; ctx.nil() };
    /// Sets it; gives what it was.
    plain "Atomic.swap" (self, value) => atomic_swap;
    /// Adds a number; gives the sum.
    plain "__atomic_add" (self, amount) => atomic_add;
    /// Sets it to `new` if it is `old` (the same number, text or object); whether it did.
    plain "Atomic.cas" (self, old, new) => atomic_cas;
};

// --- tasks and threads

fn next_body(ctx: &mut Ctx) -> NativeResult {
    let is_main = ctx.arg(0).is_truthy();
    let args = ctx.args.cast::<Value>();
    Ok(ctx.thread.next_body(is_main, args))
}
fn join(ctx: &mut Ctx) -> NativeResult {
    let handle = ctx.task_arg(0)?;
    ctx.thread.join(handle)
}
/// The fast path of both: of a task or thread that has not ended, or a task that has returned.
fn join_usually(thread: &mut Thread, args: *const Value) -> FastPath {
    if !thread.passes_blocking_points() {
        return FastPath::NotUsual;
    }
    // SAFETY: a fast path gets all arguments.
    thread.join_usually(unsafe { *args })
}
/// The task of `self`, `None` if it has ended.
fn task_of(ctx: &mut Ctx) -> Result<Option<*mut crate::task::Task>, Trap> {
    let handle = ctx.arg(0);
    if !handle.is_kind(Kind::Task) {
        return Err(ctx.wrong_type(0, "a Task"));
    }
    // SAFETY: its kind was tested.
    let task = unsafe { (*handle.as_object().cast::<TaskObject>()).task() };
    Ok((!task.is_null()).then_some(task))
}
fn task_cancel(ctx: &mut Ctx) -> NativeResult {
    if let Some(task) = task_of(ctx)? {
        ctx.thread.cancel_task(task);
    }
    ctx.nil()
}
fn task_detach(ctx: &mut Ctx) -> NativeResult {
    if let Some(task) = task_of(ctx)? {
        // The program ends no earlier than its own task.
        let is_hosts = ctx.thread.block.id == crate::thread::HOST_THREAD;
        // SAFETY: a task of this thread that has not ended.
        unsafe {
            let is_first = is_hosts && (*task).is(flag::IS_FIRST);
            if !(is_first || (*task).is(flag::IS_DETACHED)) {
                (*task).set(flag::IS_DETACHED);
                ctx.thread.parts.detached += 1;
                let has_detached = &ctx.thread.scheduler.has_detached;
                has_detached.store(true, Ordering::Relaxed);
            }
        }
    } else {
        // It has ended, as a threadlet may at once: nobody asks how.
        ctx.thread.forget_failure(ctx.arg(0));
    }
    ctx.nil()
}
fn thread_arg(ctx: &mut Ctx) -> Result<&'static crate::sched::ThreadBlock, Trap> {
    let handle = ctx.arg(0);
    if handle.type_id() != type_id::THREAD {
        return Err(ctx.wrong_type(0, "a Thread"));
    }
    Ok(thread_of(handle))
}
fn thread_detach(ctx: &mut Ctx) -> NativeResult {
    let block = thread_arg(ctx)?;
    // The program ends no earlier than its own thread.
    if block.id != crate::thread::HOST_THREAD {
        ctx.thread.scheduler.detach(&ctx.thread.own, block);
    }
    ctx.nil()
}
fn thread_tasks(ctx: &mut Ctx) -> NativeResult {
    let block = thread_arg(ctx)?;
    if !std::ptr::eq(block, ctx.thread.block.as_ptr()) {
        let message = "the tasks of another thread belong to that and cannot cross";
        return Err(ctx.throw(ErrorKind::Share, message));
    }
    // Threadlets that have not waited so far are among them.
    ctx.thread.make_all_identities();
    let mut tasks = ctx.thread.parts.tasks.to_vec();
    // SAFETY: tasks of this thread.
    tasks.sort_by_key(|task| unsafe { (**task).id() });
    ctx.reserve(tasks.len() * 64)?;
    let handles = tasks
        .into_iter()
        .map(|task| ctx.thread.handle_of(task, Value::NIL))
        .collect::<Vec<_>>();
    ctx.list(&handles)
}
fn troop_threads(ctx: &mut Ctx) -> NativeResult {
    if ctx.arg(0).type_id() != type_id::TROOP {
        return Err(ctx.wrong_type(0, "a Troop"));
    }
    let mut threads = ctx.thread.scheduler.threads();
    threads.retain(|block| !block.has_ended());
    threads.sort_by_key(|block| block.id);
    ctx.reserve(threads.len() * 16)?;
    let handles = threads
        .into_iter()
        .map(|block| ctx.thread.thread_handle(block))
        .collect::<Vec<_>>();
    ctx.list(&handles)
}
fn thread_request(ctx: &mut Ctx, what: u32) -> NativeResult {
    let block = thread_arg(ctx)?;
    if !block.has_ended() {
        ctx.thread.scheduler.request(&ctx.thread.own, block, what);
        if std::ptr::eq(block, ctx.thread.block.as_ptr()) {
            // The next safepoint is now.
            ctx.thread.end_slice();
        }
    }
    ctx.nil()
}

fn sleep(ctx: &mut Ctx) -> NativeResult {
    let nanoseconds = ctx.duration_arg(0)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    thread.begin_wait(Wait::Sleep)?;
    thread.sleep_for(nanoseconds);
    Err(Trap::Suspend)
}

// --- scopes

fn scope_enter(ctx: &mut Ctx) -> NativeResult {
    let limit = match ctx.arg_or_nil(0) {
        Value::NIL => None,
        _ => Some(ctx.duration_arg(0)?),
    };
    ctx.thread.reserve_shared(Scope::BYTES)?;
    let scope = ctx.thread.enter_scope(limit);
    Ok(ctx.host(Box::new(scope), "scope"))
}
fn scope_arg(ctx: &mut Ctx) -> Result<Arc<Scope>, Trap> {
    Ok(ctx.host_arg::<Arc<Scope>>(0)?.clone())
}
fn scope_wait(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    if ctx.thread.parts.has_early && ctx.thread.fail_scope(&scope) {
        ctx.thread.cancel_in_scopes();
    }
    if ctx.thread.is_killing {
        // What is inside is being killed, too, or is told to.
        ctx.thread.scheduler.cancel_scope(&ctx.thread.own, &scope);
        return Ok(Value::TRUE);
    }
    let (is_cancelled, is_refused) = {
        let state = scope.state.lock();
        (state.is_cancelled, state.is_refused)
    };
    if is_refused {
        return Ok(Value::TRUE);
    }
    if !is_cancelled {
        ctx.thread.blocking_point()?;
    }
    if ctx.thread.await_scope(&scope)? {
        return Ok(Value::TRUE);
    }
    Err(Trap::Suspend)
}
fn scope_cancel(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    let task = ctx.thread.task();
    // The owner itself is past that.
    if task.more().cancelled_for.is_none() {
        task.more().cancelled_for = Some(scope.clone());
        task.set(flag::IS_OWN_CANCEL);
    }
    let has_members = {
        let mut state = scope.state.lock();
        state.had_failed |= state.failure.is_some() || state.is_timed_out;
        scope.mark_cancelled(&mut state);
        state.live > 0
    };
    // The scopes that the owner opened in it are closed; so without members, who alone could start some, nobody else is inside. To find who is takes a look at every task.
    if has_members {
        ctx.thread.scheduler.cancel_scope(&ctx.thread.own, &scope);
        ctx.thread.cancel_in_scopes();
    }
    ctx.nil()
}
fn scope_close(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    let error = ctx.arg(1);
    let error = (!error.is_unset()).then_some(error);
    ctx.thread.close_scope(&scope, error)
}

// --- channels

fn count_arg(ctx: &mut Ctx, i: usize, least: i64) -> Result<i64, Trap> {
    let n = ctx.int_arg(i)?;
    if n < least {
        let (name, what) = (ctx.name(), ctx.param_name(i));
        let message = format!("{name}: {what} must be at least {least}, got {n}");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok(n)
}
fn capacity(ctx: &mut Ctx) -> NativeResult {
    let mut capacity = 0;
    with_channel(ctx, |channel| {
        capacity = channel.queue.capacity();
        Value::NIL
    })?;
    Ok(ctx.int(capacity as i64))
}
fn channel(ctx: &mut Ctx) -> NativeResult {
    let capacity = match ctx.arg(0).is_unset() {
        true => 0,
        false => count_arg(ctx, 0, 0)?,
    };
    make(
        ctx,
        type_id::CHANNEL,
        ObjectState::Channel(ChannelState::new(capacity as usize)),
    )
}
#[inline]
fn object_arg(ctx: &mut Ctx, id: u32, expected: &str) -> Result<&'static SharedObject, Trap> {
    match object_of(ctx.arg(0), id) {
        Some(object) => Ok(object),
        None => Err(ctx.wrong_type(0, expected)),
    }
}
#[inline]
fn channel_arg(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::CHANNEL, "a Channel")
}
fn with_channel(ctx: &mut Ctx, f: impl FnOnce(&mut ChannelState) -> Value) -> NativeResult {
    let object = channel_arg(ctx)?;
    match &mut *object.state.lock() {
        ObjectState::Channel(channel) => Ok(f(channel)),
        _ => unreachable!("the type says that it is a channel"),
    }
}
/// Argument 1 as a message.
#[inline]
fn message_arg(ctx: &mut Ctx) -> Result<Message, Trap> {
    let value = ctx.arg(1);
    if ctx.thread.copy_mask & 1 == 1 {
        ctx.thread.share_copy(value, "value")
    } else {
        ctx.thread.share(value, "value")
    }
}
fn send(ctx: &mut Ctx) -> NativeResult {
    let object = channel_arg(ctx)?;
    ctx.thread.blocking_point()?;
    let mut message = message_arg(ctx)?;
    loop {
        match ctx.thread.send_now(object, message) {
            SentNow::Done => return Ok(Value::NIL),
            SentNow::Waits => return Err(Trap::Suspend),
            SentNow::Closed => return Err(ctx.thread.throw_closed_at_wait()),
            SentNow::NoPlace(back) => {
                make_place(ctx.thread, object)?;
                message = back;
            }
        }
    }
}
/// The fast path of `send`: for what crosses as it is.
fn send_usually(thread: &mut Thread, args: *const Value) -> FastPath {
    // SAFETY: a fast path gets all arguments.
    let (channel, value) = unsafe { (*args, *args.add(1)) };
    if value.is_local() || !thread.passes_blocking_points() {
        return FastPath::NotUsual;
    }
    let Some(object) = object_of(channel, type_id::CHANNEL) else {
        return FastPath::NotUsual;
    };
    match thread.send_now(object, Message::shared(value)) {
        SentNow::Done => FastPath::Done(Value::NIL),
        SentNow::Waits => FastPath::Parked,
        SentNow::Closed | SentNow::NoPlace(_) => FastPath::NotUsual,
    }
}
/// The fast path of `recv`.
fn receive_usually(thread: &mut Thread, args: *const Value) -> FastPath {
    // SAFETY: a fast path gets all arguments.
    let channel = unsafe { *args };
    thread.receive_usually(channel, Wait::Receive)
}
/// Lets the queue of a channel grow, if the limit of memory allows that; no lock is held.
#[cold]
#[inline(never)]
fn make_place(thread: &mut Thread, object: &SharedObject) -> Result<(), Trap> {
    let with = |f: &mut dyn FnMut(&mut ChannelState)| match &mut *object.state.lock() {
        ObjectState::Channel(channel) => f(channel),
        _ => unreachable!("the type says that it is a channel"),
    };
    let mut bytes = 0;
    with(&mut |channel| bytes = channel.queue.needed_bytes());
    thread.reserve_shared(bytes)?;
    with(&mut |channel| {
        if channel.queue.needed_bytes() > 0 {
            channel.queue.grow();
        }
    });
    Ok(())
}
fn try_send(ctx: &mut Ctx) -> NativeResult {
    let object = channel_arg(ctx)?;
    let mut message = message_arg(ctx)?;
    loop {
        let sent = match &mut *object.state.lock() {
            ObjectState::Channel(channel) => channel.send(message),
            _ => unreachable!("the type says that it is a channel"),
        };
        return match sent {
            Sent::To(task) => {
                ctx.thread.wake(task);
                Ok(Value::TRUE)
            }
            Sent::Queued => Ok(Value::TRUE),
            Sent::Full(_) => Ok(Value::FALSE),
            Sent::Closed => Err(ctx.thread.throw_closed()),
            Sent::NoPlace(back) => {
                make_place(ctx.thread, object)?;
                message = back;
                continue;
            }
        };
    }
}
fn receive(ctx: &mut Ctx, wait: Wait) -> NativeResult {
    let object = channel_arg(ctx)?;
    let thread = &mut *ctx.thread;
    if let Some(value) = thread.receive_from(object, wait)? {
        return Ok(value);
    }
    if wait == Wait::Next {
        let error = thread.new_error(ErrorKind::StopIteration, Value::NIL);
        return Err(thread.throw_value(error));
    }
    Err(thread.throw_closed_at_wait())
}
fn try_receive(ctx: &mut Ctx) -> NativeResult {
    let object = channel_arg(ctx)?;
    let received = match &mut *object.state.lock() {
        ObjectState::Channel(channel) => channel.receive(),
        _ => unreachable!("the type says that it is a channel"),
    };
    match received {
        Received::Message(message, sender) => {
            ctx.thread.wake_all(sender);
            ctx.thread.deliver_received(object, message)
        }
        Received::Empty => Ok(ctx.arg_or_nil(1)),
        Received::Closed => Err(ctx.thread.throw_closed()),
    }
}
fn close(ctx: &mut Ctx) -> NativeResult {
    let object = channel_arg(ctx)?;
    let woken = match &mut *object.state.lock() {
        ObjectState::Channel(channel) => channel.close(),
        _ => unreachable!("the type says that it is a channel"),
    };
    ctx.thread.wake_all(woken);
    ctx.nil()
}

// --- select

/// An arm that can be taken now: what it gives, and whom to wake.
enum Ready {
    Value(Message, Option<*mut crate::task::Task>),
    Joined(Value),
    Throws(Trap),
}

fn select(ctx: &mut Ctx) -> NativeResult {
    let kinds: Vec<u8> = ctx.str_arg(0)?.bytes().collect();
    let limit = match ctx.arg_or_nil(1) {
        Value::NIL => None,
        _ => Some(ctx.duration_arg(1)?),
    };
    let has_else = ctx.bool_arg(2)?;
    ctx.thread.blocking_point()?;
    let count = kinds.len();
    let object_of_arm = |ctx: &Ctx, arm: usize| ctx.arg(3 + 2 * arm);
    // What is sent is checked first, so that a wrong value is told whichever arm is taken.
    let mut messages: Vec<Option<Message>> = Vec::with_capacity(count);
    for (arm, kind) in kinds.iter().enumerate() {
        let object = object_of_arm(ctx, arm);
        if *kind == b'j' {
            ctx.thread.check_joinable(object)?;
        }
        let fits = match kind {
            b'j' => object.is_kind(Kind::Task) || object.type_id() == type_id::THREAD,
            b'r' => matches!(
                object.type_id(),
                type_id::CHANNEL | type_id::SUBSCRIBER | type_id::QUEUE
            ),
            _ => matches!(
                object.type_id(),
                type_id::CHANNEL | type_id::BROADCAST | type_id::QUEUE
            ),
        };
        if !fits {
            let name = crate::native::with_article(&ctx.type_name(object));
            let message = match kind {
                b'j' => format!("select can join a Task or a Thread, got {name}"),
                b'r' => {
                    format!("select can receive from a Channel, Subscriber or Queue, got {name}")
                }
                _ => format!("select can send to a Channel, Broadcast or Queue, got {name}"),
            };
            return Err(ctx.throw(ErrorKind::Type, message));
        }
        let operand = ctx.arg(4 + 2 * arm);
        messages.push(match kind {
            // Its values stay in this thread.
            _ if object.type_id() == type_id::QUEUE => None,
            b's' => Some(ctx.thread.share(operand, "value")?),
            b'S' => Some(ctx.thread.share_copy(operand, "value")?),
            _ => None,
        });
    }
    loop {
        // The first arm in random order that is ready.
        let first = if count > 0 {
            ctx.thread.random_below(count)
        } else {
            0
        };
        for i in 0..count {
            let arm = (first + i) % count;
            let object = object_of_arm(ctx, arm);
            let message = messages[arm].take();
            if object.type_id() == type_id::QUEUE && kinds[arm] != b'r' {
                // There is always room in it.
                let mut value = ctx.arg(4 + 2 * arm);
                if kinds[arm] == b'S' {
                    value = ctx.deep_copy(value)?;
                }
                super::queue::put(ctx, object, value)?;
                return ctx.thread.pair(arm as i64, Value::NIL);
            }
            match poll(ctx, kinds[arm], object, message) {
                Ok(ready) => return taken(ctx, arm, ready),
                Err(message) => messages[arm] = message,
            }
        }
        if has_else {
            return ctx.thread.pair(-2, Value::NIL);
        }
        if limit.is_some_and(|limit| limit <= 0) {
            return ctx.thread.pair(-1, Value::NIL);
        }
        if wait_for_all(ctx, &kinds, &mut messages, limit)? {
            return Err(Trap::Suspend);
        }
    }
}

/// Puts the task into the lists of all arms. Between the look at an arm and this, others may have made it ready: so each is looked at again under
/// its lock, while the task counts as waiting already. `false`: one is ready and nobody has claimed the task; it waits nowhere.
fn wait_for_all(
    ctx: &mut Ctx,
    kinds: &[u8],
    messages: &mut [Option<Message>],
    limit: Option<i64>,
) -> Result<bool, Trap> {
    let objects: Vec<Value> = (0..kinds.len()).map(|arm| ctx.arg(3 + 2 * arm)).collect();
    let operands = crate::ops::list::new_tuple(&mut ctx.thread.heap, &objects);
    let operands = ctx.done(operands)?;
    let thread = &mut *ctx.thread;
    // One more for the time limit, behind the arms.
    let count = kinds.len() + limit.is_some() as usize;
    let bytes = thread.task().more().bytes_for_arms(count);
    thread.reserve_shared(bytes)?;
    thread.begin_wait(Wait::Select)?;
    let current = thread.task_pointer();
    let more = thread.task().more();
    more.wait_value = operands;
    let arms = more.make_arms(current, count);
    // SAFETY: the waiters stay in the task's vector, which does not change while it waits; one that is in no list is the task's alone.
    let waiter_of = |arm: usize| unsafe { &raw mut (*arms.add(arm)).waiter };
    for (arm, object) in objects.iter().enumerate() {
        let waiter = waiter_of(arm);
        // SAFETY: as above.
        unsafe {
            if let Some(message) = messages[arm].take() {
                (*waiter).set_message(message);
            }
            if enlist(kinds[arm], *object, waiter) {
                continue;
            }
            if !(*current).claim.try_claim(Claimed::Cancelled) {
                // Another arm was taken while this one became ready: the task is woken.
                return Ok(true);
            }
            // The claim is the task's own: nobody touches its waiters any more.
            for (i, message) in messages.iter_mut().enumerate().take(arm + 1) {
                if matches!(kinds[i], b's' | b'S') {
                    *message = Some((*waiter_of(i)).take_message());
                }
            }
        }
        thread.abandon_wait();
        for (object, _) in objects
            .iter()
            .zip(kinds)
            .take(arm)
            .filter(|(_, kind)| **kind == b'j')
        {
            thread.stop_awaiting(*object);
        }
        return Ok(false);
    }
    if let Some(limit) = limit {
        let waiter = waiter_of(kinds.len());
        let scheduler = thread.scheduler.clone();
        let timers = scheduler.timers(&thread.own);
        let now = scheduler.now();
        // SAFETY: as above; the scheduler lives longer than its tasks.
        unsafe {
            (*waiter).set_owner(Owner::Timers(timers), 0);
            timers.add(waiter, crate::sched::timers::deadline(now, limit), now);
        }
    }
    Ok(true)
}

/// Takes an arm if it is ready; else the message comes back.
fn poll(
    ctx: &mut Ctx,
    kind: u8,
    object: Value,
    message: Option<Message>,
) -> Result<Ready, Option<Message>> {
    if kind == b'j' {
        let has_ended = if object.is_kind(Kind::Task) {
            // SAFETY: a task's handle.
            unsafe { (*object.as_object().cast::<TaskObject>()).ended() != 0 }
        } else {
            thread_of(object).has_ended()
        };
        if !has_ended {
            return Err(None);
        }
        let outcome = if object.is_kind(Kind::Task) {
            ctx.thread.task_outcome(object)
        } else {
            ctx.thread.thread_outcome(object)
        };
        return Ok(match outcome {
            Ok(value) => Ready::Joined(value),
            Err(trap) => Ready::Throws(trap),
        });
    }
    if object.type_id() == type_id::BROADCAST {
        let message = message.expect("made by the caller");
        return match super::broadcast::offer(ctx.thread, object, message) {
            Ok(None) => Ok(Ready::Joined(Value::NIL)),
            Ok(Some(message)) => Err(Some(message)),
            Err(trap) => Ok(Ready::Throws(trap)),
        };
    }
    let received = match object.type_id() {
        type_id::SUBSCRIBER => Some(super::broadcast::poll(ctx.thread, object)),
        type_id::QUEUE => Some(super::queue::poll(ctx, object)),
        _ => None,
    };
    if let Some(received) = received {
        return match received {
            Ok(Some(value)) => Ok(Ready::Joined(value)),
            Ok(None) => Err(None),
            Err(trap) => Ok(Ready::Throws(trap)),
        };
    }
    let shared = object_of(object, type_id::CHANNEL).expect("tested by the caller");
    let mut state = shared.state.lock();
    let ObjectState::Channel(channel) = &mut *state else {
        unreachable!("the type says that it is a channel")
    };
    match message {
        None => match channel.receive() {
            Received::Message(message, sender) => Ok(Ready::Value(message, sender)),
            Received::Empty => Err(None),
            Received::Closed => {
                drop(state);
                Ok(Ready::Throws(ctx.thread.throw_closed()))
            }
        },
        Some(message) => match channel.send(message) {
            Sent::To(task) => Ok(Ready::Value(Message::shared(Value::NIL), Some(task))),
            Sent::Queued => Ok(Ready::Value(Message::shared(Value::NIL), None)),
            Sent::Full(message) => Err(Some(message)),
            Sent::Closed => {
                drop(state);
                Ok(Ready::Throws(ctx.thread.throw_closed()))
            }
            Sent::NoPlace(message) => {
                drop(state);
                match make_place(ctx.thread, shared) {
                    Ok(()) => poll(ctx, kind, object, Some(message)),
                    Err(trap) => Ok(Ready::Throws(trap)),
                }
            }
        },
    }
}
fn taken(ctx: &mut Ctx, arm: usize, ready: Ready) -> NativeResult {
    match ready {
        Ready::Value(message, woken) => {
            ctx.thread.wake_all(woken);
            let channel = object_of(ctx.arg(3 + 2 * arm), type_id::CHANNEL);
            let channel = channel.expect("other arms give values");
            let value = ctx.thread.deliver_received(channel, message)?;
            ctx.thread.pair(arm as i64, value)
        }
        Ready::Joined(value) => ctx.thread.pair(arm as i64, value),
        Ready::Throws(trap) => Err(trap),
    }
}
/// Puts a waiter into the list of its arm; `false` if the arm is ready.
fn enlist(kind: u8, object: Value, waiter: *mut Waiter) -> bool {
    // SAFETY: lists are locked or of this thread; the waiter is the running task's, which is about to wait.
    unsafe {
        if object.is_kind(Kind::Task) {
            let other = (*object.as_object().cast::<TaskObject>()).task();
            if other.is_null() {
                return false;
            }
            (*waiter).set_owner(Owner::Task(other), 0);
            (*other).joiners.push(waiter);
            return true;
        }
        if kind == b'j' {
            let block = thread_of(object);
            let mut end = block.end.lock();
            if !matches!(end.outcome, Outcome::None) {
                return false;
            }
            (*waiter).set_owner(Owner::Thread(block), 0);
            end.joiners.push(waiter);
            return true;
        }
        match object.type_id() {
            type_id::SUBSCRIBER => return super::broadcast::enlist(object, waiter),
            type_id::BROADCAST => return super::broadcast::enlist_sender(object, waiter),
            type_id::QUEUE => return super::queue::enlist(object, waiter),
            _ => {}
        }
        let shared = object_of(object, type_id::CHANNEL).expect("tested by the caller");
        let mut state = shared.state.lock();
        let ObjectState::Channel(channel) = &mut *state else {
            unreachable!("the type says that it is a channel")
        };
        (*waiter).set_owner(Owner::Shared(shared), (kind != b'r') as u8);
        // The task's own arms do not meet, and who was cancelled, but is in the list yet, meets nobody.
        let task = (*waiter).task();
        if kind == b'r' {
            if !channel.queue.is_empty() || channel.senders.has_other(task) || channel.is_closed {
                return false;
            }
            channel.receivers.push(waiter);
        } else {
            if !channel.queue.is_full() || channel.receivers.has_other(task) || channel.is_closed {
                return false;
            }
            channel.senders.push(waiter);
        }
        true
    }
}

// --- semaphores, mutexes, latches, barriers

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

// --- scoped values

fn scoped_object(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::SCOPED, "a Scoped")
}
fn scoped_get(ctx: &mut Ctx) -> NativeResult {
    let object = scoped_object(ctx)?;
    let more = ctx.thread.task().more_if_any();
    match more.and_then(|more| more.scoped.value_of(object)) {
        Some(value) => ctx.thread.deliver_in_native(value),
        None => read_atomic(ctx, object),
    }
}
fn scoped_push(ctx: &mut Ctx) -> NativeResult {
    let object = scoped_object(ctx)?;
    let handle = ctx.arg(0);
    let value = ctx.arg(1);
    let value = ctx.thread.share_frozen(value, "value")?;
    let bindings = &mut ctx.thread.task().more().scoped;
    bindings.push(object, Message::shared(handle), value);
    ctx.nil()
}

// --- atomics

fn atomic(ctx: &mut Ctx) -> NativeResult {
    let value = ctx.arg_or_nil(0);
    let message = ctx.thread.share_frozen(value, "value")?;
    make(ctx, type_id::ATOMIC, ObjectState::Atomic(message))
}
fn atomic_object(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::ATOMIC, "an Atomic")
}
fn read_atomic(ctx: &mut Ctx, object: &'static SharedObject) -> NativeResult {
    let message = match &*object.state.lock() {
        ObjectState::Atomic(value) => value.again(),
        _ => None,
    };
    match message {
        Some(message) => ctx.thread.deliver_in_native(message),
        None => ctx.nil(),
    }
}
fn atomic_swap(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let value = ctx.arg(1);
    let message = ctx.thread.share_frozen(value, "value")?;
    let old = match &mut *object.state.lock() {
        ObjectState::Atomic(value) => std::mem::replace(value, message),
        _ => Message::NONE,
    };
    ctx.thread.deliver_in_native(old)
}
/// Nil if the sum takes more than adding small ints or floats.
fn atomic_add(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let amount = ctx.arg(1);
    let mut state = object.state.lock();
    let ObjectState::Atomic(message) = &mut *state else {
        return Ok(Value::NIL);
    };
    let Some(value) = message.peek() else {
        return Ok(Value::NIL);
    };
    let sum = if value.is_small_int() && amount.is_small_int() {
        match Value::try_small_int(value.as_small_int() + amount.as_small_int()) {
            Some(sum) => sum,
            None => return Ok(Value::NIL),
        }
    } else if value.is_float() && amount.is_float() {
        Value::float(value.as_float() + amount.as_float())
    } else {
        return Ok(Value::NIL);
    };
    *message = Message::shared(sum);
    Ok(sum)
}
fn atomic_cas(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let (old, new) = (ctx.arg(1), ctx.arg(2));
    let new = ctx.thread.share_frozen(new, "value")?;
    let engine = ctx.engine();
    let before = {
        let mut state = object.state.lock();
        let ObjectState::Atomic(message) = &mut *state else {
            return Ok(Value::FALSE);
        };
        let Some(value) = message.peek() else {
            return Ok(Value::FALSE);
        };
        let is_equal =
            value == old || crate::ops::compare::quick_equal(engine, value, old) == Some(true);
        if !is_equal {
            return Ok(Value::FALSE);
        }
        std::mem::replace(message, new)
    };
    drop(before);
    Ok(Value::TRUE)
}

/// How a `send` went on.
enum SentNow {
    Done,
    /// The task is about to wait for room.
    Waits,
    Closed,
    /// The queue must grow first.
    NoPlace(Message),
}

impl Thread {
    /// Sends to a channel, or waits for room; the blocking point is past.
    #[inline(always)]
    fn send_now(&mut self, object: &'static SharedObject, message: Message) -> SentNow {
        let mut state = object.state.lock_where(self.scheduler.is_solo());
        let ObjectState::Channel(channel) = &mut *state else {
            unreachable!("the type says that it is a channel")
        };
        match channel.send(message) {
            Sent::To(task) => {
                drop(state);
                self.wake(task);
                SentNow::Done
            }
            Sent::Queued => SentNow::Done,
            Sent::Closed => SentNow::Closed,
            Sent::Full(message) => {
                let waiter = self.begin_single_wait(Wait::Send, Owner::Shared(object), 1);
                // SAFETY: under the channel's lock.
                unsafe {
                    (*waiter).set_message(message);
                    channel.senders.push(waiter);
                }
                SentNow::Waits
            }
            Sent::NoPlace(back) => SentNow::NoPlace(back),
        }
    }
    /// Receives from a channel, or waits for a message: all that can be done on a fast path.
    #[inline(always)]
    pub(crate) fn receive_usually(&mut self, channel: Value, wait: Wait) -> FastPath {
        if !self.passes_blocking_points() {
            return FastPath::NotUsual;
        }
        let Some(object) = object_of(channel, type_id::CHANNEL) else {
            return FastPath::NotUsual;
        };
        match self.receive_now(object, wait) {
            Ok(Some(value)) => FastPath::Done(value),
            Err(Trap::Suspend) => FastPath::Parked,
            // What had no room went back to where it was.
            Ok(None) | Err(_) => FastPath::NotUsual,
        }
    }
    /// The next message of a channel; `None`: it is closed and empty. If there is none yet the task is about to wait.
    #[inline]
    pub(crate) fn receive_from(
        &mut self,
        object: &'static SharedObject,
        wait: Wait,
    ) -> Result<Option<Value>, Trap> {
        self.blocking_point()?;
        self.receive_now(object, wait)
    }
    /// The same behind the blocking point: the only traps are `Suspend` and `Collect`.
    #[inline(always)]
    fn receive_now(
        &mut self,
        object: &'static SharedObject,
        wait: Wait,
    ) -> Result<Option<Value>, Trap> {
        let mut state = object.state.lock_where(self.scheduler.is_solo());
        let ObjectState::Channel(channel) = &mut *state else {
            unreachable!("the type says that it is a channel")
        };
        match channel.receive() {
            Received::Message(message, sender) => {
                drop(state);
                if let Some(sender) = sender {
                    self.wake(sender);
                }
                self.deliver_received(object, message).map(Some)
            }
            Received::Closed => Ok(None),
            Received::Empty => {
                let waiter = self.begin_single_wait(wait, Owner::Shared(object), 0);
                // SAFETY: under the channel's lock.
                unsafe { channel.receivers.push(waiter) };
                Err(Trap::Suspend)
            }
        }
    }
    /// A message that was taken out of a channel becomes a value. If there is no room it goes back to where it was, the first of its queue, and the native is run again
    /// after a collection.
    #[inline(always)]
    fn deliver_received(&mut self, object: &SharedObject, message: Message) -> NativeResult {
        match message.deliver(&mut self.heap) {
            Ok(value) => Ok(value),
            Err(message) => {
                self.give_back(object, message);
                Err(Trap::Collect)
            }
        }
    }
    /// A message that its receiver has no room for goes to another who waits for one, or back to the front of its channel.
    #[cold]
    pub(crate) fn give_back(&mut self, object: &SharedObject, message: Message) {
        let woken = match &mut *object.state.lock() {
            ObjectState::Channel(channel) => channel.give_back(message),
            _ => None,
        };
        self.wake_all(woken);
    }
    /// A message becomes a value while a native runs, which collects nothing: a parcel that does not fit is a `LimitError`.
    #[inline]
    pub(crate) fn deliver_in_native(&mut self, message: Message) -> NativeResult {
        match message.deliver(&mut self.heap) {
            Ok(value) => Ok(value),
            Err(_) => Err(self.throw_limit()),
        }
    }
    /// A number below `n`, for fairness.
    pub(crate) fn random_below(&mut self, n: usize) -> usize {
        self.scheduler.choices.arm(&mut self.random, n)
    }
}
