//! Channels: a bounded queue, and those who wait for room or for a message.
//!
//! A message is handed to a claimed receiver directly; so values come out in the order in which their `send`s began to hold them.

use super::messages::Messages;
use super::support::{count_arg, make, object_arg};
use super::{Message, ObjectState, SharedObject, object_of};
use crate::native::{Ctx, FastPath, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::sched::wait::{Delivery, Owner, WaitList, Waiter, deliver};
use crate::task::{Task, Wait};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

/// Natives of `Channel`.
pub static CHANNEL: &[NativeDef] = crate::natives! {
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
};

pub(crate) struct ChannelState {
    pub(crate) queue: Messages,
    pub(crate) receivers: WaitList,
    pub(crate) senders: WaitList,
    pub(crate) is_closed: bool,
}

/// How an attempt to send ended.
pub(crate) enum Sent {
    /// A receiver got it: wake that.
    To(*mut Task),
    Queued,
    /// No room.
    Full(Message),
    /// The queue must grow first (`Messages::grow`).
    NoPlace(Message),
    Closed,
}

/// How an attempt to receive ended.
pub(crate) enum Received {
    /// The message, and a sender that has room now: wake it.
    Message(Message, Option<*mut Task>),
    Empty,
    Closed,
}

impl ChannelState {
    pub(crate) fn new(capacity: usize) -> ChannelState {
        ChannelState {
            queue: Messages::new(capacity),
            receivers: WaitList::default(),
            senders: WaitList::default(),
            is_closed: false,
        }
    }
    /// One whose queue need not grow: for models.
    #[cfg(loom)]
    pub(crate) fn grown(capacity: usize) -> ChannelState {
        let mut channel = ChannelState::new(capacity);
        if channel.queue.needed_bytes() > 0 {
            channel.queue.grow();
        }
        channel
    }
    #[inline(always)]
    pub(crate) fn send(&mut self, message: Message) -> Sent {
        if self.is_closed {
            return Sent::Closed;
        }
        // SAFETY: under the channel's lock; a claimed task is ours until it is woken.
        unsafe {
            if let Some(waiter) = self.receivers.claim_first() {
                let task = (*waiter).task();
                deliver(task, Delivery::Value(message));
                return Sent::To(task);
            }
        }
        if self.queue.has_place() {
            self.queue.push(message);
            return Sent::Queued;
        }
        if self.queue.is_full() {
            Sent::Full(message)
        } else {
            Sent::NoPlace(message)
        }
    }
    #[inline(always)]
    pub(crate) fn receive(&mut self) -> Received {
        // SAFETY: under the channel's lock; a claimed task is ours until it is woken.
        unsafe {
            if let Some(message) = self.queue.pop() {
                let sender = self.senders.claim_first();
                if let Some(sender) = sender {
                    self.queue.push((*sender).take_message());
                }
                return Received::Message(message, sender.map(|s| sent(s)));
            }
            if let Some(sender) = self.senders.claim_first() {
                let message = (*sender).take_message();
                return Received::Message(message, Some(sent(sender)));
            }
        }
        self.queue.shrink();
        if self.is_closed {
            Received::Closed
        } else {
            Received::Empty
        }
    }
    /// A message that was received comes back, as its receiver has no room for it: whom to wake.
    #[cold]
    pub(crate) fn give_back(&mut self, message: Message) -> Option<*mut Task> {
        // SAFETY: under the channel's lock; a claimed task is ours until it is woken.
        unsafe {
            let Some(waiter) = self.receivers.claim_first() else {
                self.queue.put_back(message);
                return None;
            };
            let task = (*waiter).task();
            deliver(task, Delivery::Value(message));
            Some(task)
        }
    }
    /// Nothing can be sent from now on; gives whom to wake.
    pub(crate) fn close(&mut self) -> Vec<*mut Task> {
        self.is_closed = true;
        let mut woken = Vec::new();
        for list in [&mut self.receivers, &mut self.senders] {
            // SAFETY: under the channel's lock; claimed tasks are ours until they are woken.
            unsafe {
                while let Some(waiter) = list.claim_first() {
                    drop((*waiter).take_message());
                    let task = (*waiter).task();
                    deliver(task, Delivery::Closed);
                    woken.push(task);
                }
            }
        }
        woken
    }
}

/// The task of a sender whose message was taken.
///
/// # Safety
/// The waiter was claimed by the caller.
unsafe fn sent(waiter: *mut Waiter) -> *mut Task {
    // SAFETY: promised by the caller.
    unsafe {
        let task = (*waiter).task();
        deliver(
            task,
            Delivery::Value(Message::shared(crate::value::Value::NIL)),
        );
        task
    }
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
pub(super) fn make_place(thread: &mut Thread, object: &SharedObject) -> Result<(), Trap> {
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
    pub(super) fn deliver_received(
        &mut self,
        object: &SharedObject,
        message: Message,
    ) -> NativeResult {
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
}
