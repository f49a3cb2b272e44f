//! `select`: a wait for the first of several.

use super::channel::{Received, Sent, make_place};
use super::{Message, ObjectState, object_of};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::{Kind, TaskObject, type_id};
use crate::sched::block::Outcome;
use crate::sched::wait::{Claimed, Owner, Waiter};
use crate::task::{Task, Wait};
use crate::thread::{Thread, thread_of};
use crate::types::ErrorKind;
use crate::value::Value;

/// What the compiler makes a `select` of.
pub static SELECT: &[NativeDef] = crate::natives! {
    /// `select`: one letter of `kinds` (recv, send, Send of a copy, join) and two of `arms` (object, operand) for each; gives (arm, value).
    suspending "__select" (kinds, timeout, has_else, "..arms") => select;
};

/// An arm that can be taken now: what it gives, and whom to wake.
enum Ready {
    Value(Message, Option<*mut Task>),
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

impl Thread {
    /// A number below `n`, for fairness.
    pub(crate) fn random_below(&mut self, n: usize) -> usize {
        self.scheduler.choices.arm(&mut self.random, n)
    }
}
