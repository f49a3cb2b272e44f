//! `Queue`: hands any value from task to task of one thread. It holds as many as memory does, so only receivers wait.
//!
//! The queue is a local object (`Iter`, which cannot cross): its source is a tuple of two lists and a handle. The values go into one list
//! and come out of the end of the other; when that is empty, what came in is turned over, and the lists change places. The handle leads to who waits.
//!
//! A waiting receiver that is claimed owns the first value that nobody owns, but takes it only when it runs (values of a thread cannot travel
//! in a message): until then it counts as *given*. Tasks run in the order in which they were woken, so the given ones come first, and who comes
//! meanwhile takes the one behind them.

use super::support::{self, Claimant};
use super::{Message, ObjectState, SharedObject, object_of};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::{Header, Iter, Kind, type_id};
use crate::ops::list;
use crate::sched::wait::Delivery;
use crate::sched::wait::{WaitList, Waiter};
use crate::task::{Task, Wait};
use crate::types::ErrorKind;
use crate::value::Value;

/// `Queue`. `recv` and `next` are written in Heddle.
pub static QUEUE: &[NativeDef] = crate::natives! {
    /// A queue for the tasks of this thread.
    plain "Queue" () => make;
    /// Adds a value, of any kind.
    plain "Queue.send" (self, value) => send;
    /// Adds a value; there is always room.
    plain "Queue.try_send" (self, value) => |ctx| { send(ctx)?; Ok(Value::TRUE) };
    /// The next value, or `default` (nil) if there is none now.
    plain "Queue.try_recv" (self, "default?") => try_receive;
    /// The queue itself: loops over its values.
    plain "Queue.iter" (self) => |ctx| Ok(ctx.arg(0));
    /// How many values it holds.
    plain "Queue.len" (self) => |ctx| { let queue = parts(ctx)?; Ok(Value::small_int(queue.left() as i64)) };
    /// Whether it holds none.
    plain "Queue.is_empty" (self) => |ctx| { let queue = parts(ctx)?; Ok(Value::bool(queue.left() == 0)) };
    /// Nothing can be added from now on; what it holds can still be received.
    plain "Queue.close" (self) => close;
    /// Whether it was closed.
    plain "Queue.is_closed" (self) => |ctx| { let queue = parts(ctx)?; Ok(Value::bool(queue.with(|state| state.is_closed))) };
    suspending "__queue_wait" (self, is_loop) => wait;
    plain "__queue_take" (self, is_given) => take;
};

#[derive(Default)]
pub(crate) struct QueueState {
    pub(crate) receivers: WaitList,
    /// Values owned by receivers that were woken and have not run yet.
    given: usize,
    is_closed: bool,
    /// The second list is the one that values come in by.
    is_turned: bool,
}

impl QueueState {
    /// A value was added; gives whom to wake.
    fn added(&mut self) -> Option<*mut Task> {
        // SAFETY: under the lock of the object.
        let receiver = unsafe { Claimant::first(&mut self.receivers) }?;
        self.given += 1;
        Some(receiver.give_value(Value::TRUE))
    }
    /// Gives whom to wake.
    fn close(&mut self) -> Vec<*mut Task> {
        self.is_closed = true;
        let mut woken = Vec::new();
        // SAFETY: under the lock of the object.
        while let Some(receiver) = unsafe { Claimant::first(&mut self.receivers) } {
            woken.push(receiver.give(Delivery::Closed));
        }
        woken
    }
}

/// The parts of a queue.
struct Queue {
    /// Newest last.
    incoming: Value,
    /// Next last.
    outgoing: Value,
    object: &'static SharedObject,
}

impl Queue {
    fn with<R>(&self, f: impl FnOnce(&mut QueueState) -> R) -> R {
        match &mut *self.object.state.lock() {
            ObjectState::Queue(state) => f(state),
            _ => unreachable!("the type says that it is a queue"),
        }
    }
    fn len(&self) -> usize {
        list::len(self.incoming) + list::len(self.outgoing)
    }
    /// How many values nobody owns.
    fn left(&self) -> usize {
        self.len() - self.with(|state| state.given)
    }
    /// Takes out the value at this place in the order.
    fn remove(&self, ctx: &mut Ctx, mut at: usize) -> NativeResult {
        let mut from = self.outgoing;
        if list::len(from) == 0 {
            list::reverse_at_once(&mut ctx.thread.heap, self.incoming);
            ctx.charge(list::len(self.incoming) / 100);
            self.with(|state| state.is_turned = !state.is_turned);
            from = self.incoming;
        }
        let length = list::len(from);
        let position = if at < length {
            length - 1 - at
        } else {
            // It is in the other list, in the order of coming.
            from = self.incoming;
            at -= length;
            at
        };
        Ok(list::remove_at_once(&mut ctx.thread.heap, from, position))
    }
}

const QUEUE_HANDLE: u32 = type_id::INTERNAL;

fn make(ctx: &mut Ctx) -> NativeResult {
    let (first, second) = (ctx.list(&[])?, ctx.list(&[])?);
    ctx.reserve(size_of::<Iter>() + 64)?;
    let state = ObjectState::Queue(QueueState::default());
    let handle = support::make(ctx, QUEUE_HANDLE, state)?;
    let source = ctx.tuple(&[first, second, handle])?;
    let header = Header::new(Kind::Iter, type_id::QUEUE, 0);
    let object = ctx
        .thread
        .heap
        .alloc(header, size_of::<Iter>())
        .cast::<Iter>();
    // SAFETY: freshly allocated with room for an `Iter`; the header is set.
    unsafe {
        (*object).source = source;
        (*object).position = 0;
        (*object).expected = 0;
        (*object).extra = Value::NIL;
    }
    Ok(Value::local(object.cast()))
}
/// The queue in argument 0.
fn parts(ctx: &mut Ctx) -> Result<Queue, Trap> {
    let queue = ctx.arg(0);
    if !queue.is_kind(Kind::Iter) || queue.type_id() != type_id::QUEUE {
        return Err(ctx.wrong_type(0, "a Queue"));
    }
    Ok(parts_of(queue))
}
fn parts_of(queue: Value) -> Queue {
    // SAFETY: the layout of an `Iter`.
    let source = unsafe { (*queue.as_object().cast::<Iter>()).source };
    let [first, second, handle] = *list::tuple_items(source) else {
        unreachable!("made by `make`")
    };
    let object = object_of(handle, QUEUE_HANDLE).expect("made by `make`");
    let mut queue = Queue {
        incoming: first,
        outgoing: second,
        object,
    };
    if queue.with(|state| state.is_turned) {
        std::mem::swap(&mut queue.incoming, &mut queue.outgoing);
    }
    queue
}
fn send(ctx: &mut Ctx) -> NativeResult {
    parts(ctx)?;
    let (queue, value) = (ctx.arg(0), ctx.arg(1));
    put(ctx, queue, value)
}
/// Sends to a queue.
pub(super) fn put(ctx: &mut Ctx, queue: Value, value: Value) -> NativeResult {
    let queue = parts_of(queue);
    if queue.with(|state| state.is_closed) {
        return Err(throw_closed(ctx));
    }
    ctx.list_push(queue.incoming, value)?;
    let woken = queue.with(QueueState::added);
    ctx.thread.wake_all(woken);
    ctx.nil()
}
fn throw_closed(ctx: &mut Ctx) -> Trap {
    ctx.throw(ErrorKind::ChannelClosed, "the queue is closed")
}
fn try_receive(ctx: &mut Ctx) -> NativeResult {
    let queue = parts(ctx)?;
    let given = queue.with(|state| state.given);
    if queue.len() > given {
        return queue.remove(ctx, given);
    }
    if queue.with(|state| state.is_closed) {
        return Err(throw_closed(ctx));
    }
    Ok(ctx.arg_or_nil(1))
}
/// Waits for a value: true if it is given to this task, false if it has only to be taken.
fn wait(ctx: &mut Ctx) -> NativeResult {
    let queue = parts(ctx)?;
    let is_loop = ctx.bool_arg(1)?;
    ctx.thread.blocking_point()?;
    if queue.left() > 0 {
        return Ok(Value::FALSE);
    }
    if queue.with(|state| state.is_closed) {
        if is_loop {
            let error = ctx.thread.new_error(ErrorKind::StopIteration, Value::NIL);
            return Err(ctx.throw_value(error));
        }
        return Err(throw_closed(ctx));
    }
    let kind = if is_loop { Wait::Next } else { Wait::Queue };
    let thread = &mut *ctx.thread;
    queue.with(|state| {
        let receivers = &mut state.receivers;
        // SAFETY: under the lock of the object.
        unsafe { support::park(thread, kind, queue.object, receivers, Message::NONE) }
    })?;
    Err(Trap::Suspend)
}
/// Takes the value that `wait` has promised.
fn take(ctx: &mut Ctx) -> NativeResult {
    let queue = parts(ctx)?;
    let is_given = ctx.bool_arg(1)?;
    if is_given {
        let value = queue.remove(ctx, 0)?;
        queue.with(|state| state.given -= 1);
        return Ok(value);
    }
    let given = queue.with(|state| state.given);
    queue.remove(ctx, given)
}
/// The next value, for a `select`; `None`: it would wait.
pub(super) fn poll(ctx: &mut Ctx, queue: Value) -> Result<Option<Value>, Trap> {
    let queue = parts_of(queue);
    if queue.left() > 0 {
        let given = queue.with(|state| state.given);
        return queue.remove(ctx, given).map(Some);
    }
    if queue.with(|state| state.is_closed) {
        return Err(throw_closed(ctx));
    }
    Ok(None)
}
/// Puts the waiter of a `select` among the receivers; `false`: there is a value, or there will be none.
///
/// # Safety
/// The waiter is the running task's, which is about to wait, and in no list.
pub(super) unsafe fn enlist(queue: Value, waiter: *mut Waiter) -> bool {
    let queue = parts_of(queue);
    if queue.left() > 0 || queue.with(|state| state.is_closed) {
        return false;
    }
    // SAFETY: under the lock of the object; promised by the caller.
    queue.with(|state| unsafe { support::enlist(waiter, queue.object, &mut state.receivers) });
    true
}
/// The value that was given to a `select`, which has been woken.
pub(crate) fn take_given(ctx: &mut Ctx, queue: Value) -> NativeResult {
    let queue = parts_of(queue);
    let value = queue.remove(ctx, 0)?;
    queue.with(|state| state.given -= 1);
    Ok(value)
}
fn close(ctx: &mut Ctx) -> NativeResult {
    let queue = parts(ctx)?;
    let woken = queue.with(QueueState::close);
    ctx.thread.wake_all(woken);
    ctx.nil()
}

#[cfg(test)]
mod tests {
    use super::support::tests::Waiting;
    use super::*;

    #[test]
    fn a_value_is_given_to_the_first_who_waits() {
        let mut state = QueueState::default();
        assert_eq!(state.added(), None);
        let cancelled = Waiting::in_list(&mut state.receivers, Message::NONE);
        let next = Waiting::in_list(&mut state.receivers, Message::NONE);
        assert!(cancelled.cancel(&mut state.receivers));
        assert_eq!(state.added(), Some(next.0));
        assert_eq!((state.given, state.added()), (1, None));
        assert_eq!(next.given(), Some(Some(Value::TRUE)));
        cancelled.take_out(&mut state.receivers);
    }

    #[test]
    fn closing_wakes_all_who_wait() {
        let mut state = QueueState::default();
        let a = Waiting::in_list(&mut state.receivers, Message::NONE);
        let b = Waiting::in_list(&mut state.receivers, Message::NONE);
        assert_eq!(state.close(), [a.0, b.0]);
        assert_eq!((a.given(), b.given()), (Some(None), Some(None)));
        assert_eq!(state.given, 0);
    }
}
