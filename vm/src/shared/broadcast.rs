//! `Broadcast`: what is sent goes to every subscriber, each of which holds up to so many messages that it has not received yet; a full one
//! lets senders wait.
//!
//! Three objects take part. The *broadcast* knows the slots and the waiting senders. A *slot* is what one subscriber has not received yet,
//! and who waits for its messages. The *subscription* is what the script holds (a `Subscriber`); when it is closed, or dropped, its
//! slot leaves the broadcast, so that it holds nobody up.
//!
//! Locks: the broadcast's, then that of one slot; never the other way round. Messages go into slots, and slots come and go, only under the broadcast's
//! lock; receivers take messages out under the slot's alone. So a slot that was seen with room keeps it while the broadcast is locked. Who takes
//! a message out of a full slot looks after the senders afterwards (`BroadcastState::advance`): a sender enlists under the broadcast's
//! lock, so it either saw the room or is seen. No message is dropped under a lock, since that may end a subscription.

use super::messages::Messages;
use super::support::{self, Claimant};
use super::{Message, ObjectState, SharedObject, object_of};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::sched::Scheduler;
use crate::sched::wait::Delivery;
use crate::sched::wait::{WaitList, Waiter};
use crate::sync::Ordering;
use crate::task::{Task, Wait};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// `Broadcast` and `Subscriber`.
pub static BROADCAST: &[NativeDef] = crate::natives! {
    /// Sends to all its subscribers, each of which holds up to `capacity` messages.
    plain "Broadcast" (capacity) => make;
    /// Sends an immutable value to all subscribers, waiting for room in each.
    suspending "Broadcast.send" (self, value) => send;
    /// Sends if there is room in all subscribers; whether it did.
    plain "Broadcast.try_send" (self, value) => try_send;
    /// A new subscriber: it gets all that is sent from now on.
    plain "Broadcast.subscribe" (self) => subscribe;
    /// How many subscribers there are.
    plain "Broadcast.len" (self) => |ctx| with(ctx, |b| Value::small_int(b.slots.len() as i64));
    /// How many messages a subscriber can hold.
    plain "Broadcast.capacity" (self) => capacity;
    /// Whether it was closed.
    plain "Broadcast.is_closed" (self) => |ctx| with(ctx, |b| Value::bool(b.is_closed));
    /// Nothing can be sent from now on; subscribers can still receive what they hold.
    plain "Broadcast.close" (self) => close;
    /// The next message, waiting for one; throws `ChannelClosed` when there will be none.
    suspending "Subscriber.recv" (self) => |ctx| receive(ctx, Wait::Subscriber);
    /// The next message, or `default` (nil) if there is none now.
    plain "Subscriber.try_recv" (self, "default?") => try_receive;
    /// The next message of a loop, which ends when there will be none.
    suspending "Subscriber.next" (self) => |ctx| receive(ctx, Wait::Next);
    /// The subscriber itself: loops over its messages.
    plain "Subscriber.iter" (self) => |ctx| Ok(ctx.arg(0));
    /// How many messages it holds.
    plain "Subscriber.len" (self) => |ctx| with_slot(ctx, |slot| Value::small_int(slot.queue.len() as i64));
    /// Whether it gets no more messages.
    plain "Subscriber.is_closed" (self) => |ctx| with_slot(ctx, |slot| Value::bool(slot.is_closed));
    /// It gets no more messages, and drops those that it holds.
    plain "Subscriber.close" (self) => unsubscribe;
};

pub(crate) struct BroadcastState {
    capacity: usize,
    /// Handles of slots by their numbers, in the order in which they came.
    slots: BTreeMap<u64, Message>,
    /// How many slots there were.
    last_slot: u64,
    /// The slot that was found to be full last. Until a message is handed out none becomes full: so who looks for another one begins here, and all looks together are one way around.
    full: u64,
    pub(crate) senders: WaitList,
    is_closed: bool,
    /// For subscriptions that end where no thread is at hand.
    scheduler: Weak<Scheduler>,
}

/// What a subscriber has not received yet.
pub(crate) struct SlotState {
    /// In its broadcast.
    number: u64,
    queue: Messages,
    pub(crate) receivers: WaitList,
    /// No more messages come.
    is_closed: bool,
}

/// What a `Subscriber` leads to.
pub(crate) struct Subscription {
    broadcast: Message,
    slot: Message,
    scheduler: Weak<Scheduler>,
}

/// Whom to wake and what to drop once all locks are released.
#[derive(Default)]
struct After {
    woken: Vec<*mut Task>,
    dropped: Vec<Message>,
}

/// How an attempt to send ended.
enum Sent {
    ToAll,
    /// A subscriber has no room.
    Full(Message),
    /// Queues of subscribers must grow first, by so many bytes.
    NoPlace(Message, usize),
    Closed(Message),
}

/// How an attempt to receive ended.
enum Received {
    /// The message, and whether there was no room until now.
    Message(Message, bool),
    Empty,
    Closed,
}

impl BroadcastState {
    fn new(capacity: usize, scheduler: Weak<Scheduler>) -> BroadcastState {
        BroadcastState {
            capacity,
            slots: BTreeMap::new(),
            last_slot: 0,
            full: 0,
            senders: WaitList::default(),
            is_closed: false,
            scheduler,
        }
    }
    /// Handles of slots.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &Message> {
        self.slots.values()
    }
    /// A new slot, which gets what is sent from now on.
    fn add(&mut self) -> Message {
        self.last_slot += 1;
        let slot = SlotState::new(self.last_slot, self.capacity, self.is_closed);
        let slot = Message::owned(SharedObject::handle(SLOT, ObjectState::Slot(slot)));
        if !self.is_closed {
            let again = slot.again().expect("a handle is shared");
            self.slots.insert(self.last_slot, again);
        }
        slot
    }
    /// Whether a subscriber has no room.
    fn is_full(&mut self) -> bool {
        let from_there = self.slots.range(self.full..);
        let full = from_there
            .chain(self.slots.range(..self.full))
            .find(|(_, slot)| lock_slot(slot, |slot| slot.queue.is_full()))
            .map(|(&number, _)| number);
        self.full = full.unwrap_or(self.full);
        full.is_some()
    }
    /// Bytes that the subscribers' queues need for another message.
    fn needed_bytes(&self) -> usize {
        let needed = |slot| lock_slot(slot, |slot: &mut SlotState| slot.queue.needed_bytes());
        self.slots.values().map(needed).sum()
    }
    /// Every slot has room.
    fn hand_out(&mut self, message: Message, after: &mut After) {
        for slot in self.slots.values() {
            let copy = message.again().expect("only what is shared is sent");
            after.woken.extend(lock_slot(slot, |slot| slot.put(copy)));
        }
        after.dropped.push(message);
    }
    /// Waiting senders send, as long as there is room.
    fn advance(&mut self, after: &mut After) {
        while !self.senders.is_empty() && !self.is_full() {
            // SAFETY: under the lock of the broadcast.
            let Some(mut sender) = (unsafe { Claimant::first(&mut self.senders) }) else {
                return;
            };
            let message = sender.take_message();
            after.woken.push(sender.give_value(Value::NIL));
            self.hand_out(message, after);
        }
    }
    /// `may_grow`: the limit of memory allows what queues need that grow.
    fn send(&mut self, message: Message, may_grow: bool, after: &mut After) -> Sent {
        if self.is_closed {
            return Sent::Closed(message);
        }
        // Those who wait come first.
        self.advance(after);
        if self.is_full() {
            return Sent::Full(message);
        }
        match self.needed_bytes() {
            bytes if bytes > 0 && !may_grow => Sent::NoPlace(message, bytes),
            _ => {
                self.hand_out(message, after);
                Sent::ToAll
            }
        }
    }
    fn close(&mut self, after: &mut After) {
        self.is_closed = true;
        // SAFETY: under the lock of the broadcast.
        while let Some(mut sender) = unsafe { Claimant::first(&mut self.senders) } {
            after.dropped.push(sender.take_message());
            after.woken.push(sender.give(Delivery::Closed));
        }
        for slot in self.slots.values() {
            lock_slot(slot, |slot| slot.close(after));
        }
        after
            .dropped
            .extend(std::mem::take(&mut self.slots).into_values());
    }
    /// A slot leaves, with what it holds.
    fn remove(&mut self, slot: &Message, after: &mut After) {
        let number = lock_slot(slot, |slot| slot.number);
        after.dropped.extend(self.slots.remove(&number));
        lock_slot(slot, |slot| {
            slot.close(after);
            after.dropped.extend(slot.queue.drain());
        });
        self.advance(after);
    }
}

impl SlotState {
    fn new(number: u64, capacity: usize, is_closed: bool) -> SlotState {
        SlotState {
            number,
            queue: Messages::new(capacity),
            receivers: WaitList::default(),
            is_closed,
        }
    }
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.queue.iter()
    }
    /// Hands a message to the first who waits, or keeps it; gives whom to wake.
    fn put(&mut self, message: Message) -> Option<*mut Task> {
        // SAFETY: under the lock of the slot.
        match unsafe { Claimant::first(&mut self.receivers) } {
            Some(receiver) => Some(receiver.give(Delivery::Value(message))),
            None => {
                self.queue.push(message);
                None
            }
        }
    }
    fn take(&mut self) -> Received {
        let was_full = self.queue.is_full();
        match self.queue.pop() {
            Some(message) => Received::Message(message, was_full),
            None => {
                self.queue.shrink();
                match self.is_closed {
                    true => Received::Closed,
                    false => Received::Empty,
                }
            }
        }
    }
    fn close(&mut self, after: &mut After) {
        self.is_closed = true;
        // SAFETY: under the lock of the slot.
        while let Some(receiver) = unsafe { Claimant::first(&mut self.receivers) } {
            after.woken.push(receiver.give(Delivery::Closed));
        }
    }
}

impl Subscription {
    /// Handles of the broadcast and the slot.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Message> {
        [&self.broadcast, &self.slot].into_iter()
    }
    /// From now on it holds nobody up.
    fn end(&self) -> After {
        let mut after = After::default();
        let broadcast = support::object_in(&self.broadcast, type_id::BROADCAST);
        lock(broadcast, |b| b.remove(&self.slot, &mut after));
        after
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let after = self.end();
        if let Some(scheduler) = self.scheduler.upgrade() {
            scheduler.has_collected_all.store(false, Ordering::Relaxed);
        }
        support::wake_without_thread(&self.scheduler, after.woken);
    }
}

/// A slot's handle is seen by nobody else: it has the type of what is not visible to programs.
const SLOT: u32 = type_id::INTERNAL;

fn lock<R>(object: &SharedObject, f: impl FnOnce(&mut BroadcastState) -> R) -> R {
    match &mut *object.state.lock() {
        ObjectState::Broadcast(broadcast) => f(broadcast),
        _ => unreachable!("the type says that it is a broadcast"),
    }
}
fn lock_slot<R>(slot: &Message, f: impl FnOnce(&mut SlotState) -> R) -> R {
    match &mut *support::object_in(slot, SLOT).state.lock() {
        ObjectState::Slot(slot) => f(slot),
        _ => unreachable!("only slots have handles of this type"),
    }
}
/// The slot of argument 0, a subscriber, and its broadcast: its registers keep them.
fn parts(ctx: &mut Ctx) -> Result<(&'static SharedObject, &'static SharedObject), Trap> {
    let object = support::object_arg(ctx, type_id::SUBSCRIBER, "a Subscriber")?;
    Ok(parts_of(object))
}
fn parts_of(object: &SharedObject) -> (&'static SharedObject, &'static SharedObject) {
    match &*object.state.lock() {
        ObjectState::Subscriber(subscription) => (
            support::object_in(&subscription.slot, SLOT),
            support::object_in(&subscription.broadcast, type_id::BROADCAST),
        ),
        _ => unreachable!("the type says that it is a subscriber"),
    }
}
fn broadcast_arg(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    support::object_arg(ctx, type_id::BROADCAST, "a Broadcast")
}
fn with(ctx: &mut Ctx, f: impl FnOnce(&mut BroadcastState) -> Value) -> NativeResult {
    let object = broadcast_arg(ctx)?;
    Ok(lock(object, f))
}
fn with_slot(ctx: &mut Ctx, f: impl FnOnce(&mut SlotState) -> Value) -> NativeResult {
    let (slot, _) = parts(ctx)?;
    match &mut *slot.state.lock() {
        ObjectState::Slot(slot) => Ok(f(slot)),
        _ => unreachable!("only slots have handles of this type"),
    }
}

fn capacity(ctx: &mut Ctx) -> NativeResult {
    let mut capacity = 0;
    with(ctx, |broadcast| {
        capacity = broadcast.capacity;
        Value::NIL
    })?;
    Ok(ctx.int(capacity as i64))
}
fn make(ctx: &mut Ctx) -> NativeResult {
    let capacity = ctx.int_arg(0)?;
    if capacity < 1 {
        let message = format!("Broadcast: capacity must be at least 1, got {capacity}");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let scheduler = Arc::downgrade(&ctx.thread.scheduler);
    let state = BroadcastState::new(capacity as usize, scheduler);
    support::make(ctx, type_id::BROADCAST, ObjectState::Broadcast(state))
}
fn send(ctx: &mut Ctx) -> NativeResult {
    let object = broadcast_arg(ctx)?;
    let value = ctx.arg(1);
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let mut message = thread.share_frozen(value, "value")?;
    let mut may_grow = false;
    loop {
        let mut after = After::default();
        let result = lock(object, |broadcast| {
            let sent = broadcast.send(message, may_grow, &mut after);
            if let Sent::Full(message) = sent {
                // SAFETY: under the lock of the broadcast.
                unsafe {
                    let senders = &mut broadcast.senders;
                    support::park(thread, Wait::Broadcast, object, senders, message)?;
                }
                return Err(Trap::Suspend);
            }
            Ok(sent)
        });
        thread.wake_all(after.woken);
        match result? {
            Sent::ToAll => return Ok(Value::NIL),
            Sent::NoPlace(back, bytes) => {
                thread.reserve_shared(bytes)?;
                (message, may_grow) = (back, true);
            }
            Sent::Full(message) | Sent::Closed(message) => {
                drop(message);
                return Err(thread.throw_closed_at_wait());
            }
        }
    }
}
fn try_send(ctx: &mut Ctx) -> NativeResult {
    let object = broadcast_arg(ctx)?;
    let value = ctx.arg(1);
    let mut message = ctx.thread.share_frozen(value, "value")?;
    let mut may_grow = false;
    loop {
        let mut after = After::default();
        let sent = lock(object, |broadcast| {
            broadcast.send(message, may_grow, &mut after)
        });
        ctx.thread.wake_all(after.woken);
        match sent {
            Sent::ToAll => return Ok(Value::TRUE),
            Sent::Full(_) => return Ok(Value::FALSE),
            Sent::Closed(_) => return Err(ctx.thread.throw_closed()),
            Sent::NoPlace(back, bytes) => {
                ctx.thread.reserve_shared(bytes)?;
                (message, may_grow) = (back, true);
            }
        }
    }
}
/// Sends for a `select`; the message comes back if it would have to wait.
pub(super) fn offer(
    thread: &mut Thread,
    broadcast: Value,
    message: Message,
) -> Result<Option<Message>, Trap> {
    let object = object_of(broadcast, type_id::BROADCAST).expect("tested by the caller");
    let mut message = message;
    let mut may_grow = false;
    loop {
        let mut after = After::default();
        let sent = lock(object, |broadcast| {
            broadcast.send(message, may_grow, &mut after)
        });
        thread.wake_all(after.woken);
        match sent {
            Sent::ToAll => return Ok(None),
            Sent::Full(message) => return Ok(Some(message)),
            Sent::Closed(_) => return Err(thread.throw_closed()),
            Sent::NoPlace(back, bytes) => {
                thread.reserve_shared(bytes)?;
                (message, may_grow) = (back, true);
            }
        }
    }
}
/// Puts the waiter of a `select`, which has its message, among those who wait for room; `false`: there is room, or nothing can be sent.
///
/// # Safety
/// The waiter is the running task's, which is about to wait, and in no list.
pub(super) unsafe fn enlist_sender(broadcast: Value, waiter: *mut Waiter) -> bool {
    let object = object_of(broadcast, type_id::BROADCAST).expect("tested by the caller");
    lock(object, |broadcast| {
        if broadcast.is_closed || !broadcast.is_full() {
            return false;
        }
        // SAFETY: under the lock of the broadcast; promised by the caller.
        unsafe { support::enlist(waiter, object, &mut broadcast.senders) };
        true
    })
}
fn subscribe(ctx: &mut Ctx) -> NativeResult {
    let object = broadcast_arg(ctx)?;
    let handle = ctx.arg(0);
    // Of the slot and the subscription.
    ctx.thread.reserve_shared(2 * SharedObject::BYTES)?;
    let (slot, scheduler) = lock(object, |broadcast| {
        (broadcast.add(), broadcast.scheduler.clone())
    });
    let subscription = Subscription {
        broadcast: Message::shared(handle),
        slot,
        scheduler,
    };
    support::make(
        ctx,
        type_id::SUBSCRIBER,
        ObjectState::Subscriber(subscription),
    )
}
fn close(ctx: &mut Ctx) -> NativeResult {
    let object = broadcast_arg(ctx)?;
    let mut after = After::default();
    lock(object, |broadcast| broadcast.close(&mut after));
    ctx.thread.wake_all(after.woken);
    ctx.nil()
}
fn unsubscribe(ctx: &mut Ctx) -> NativeResult {
    let object = support::object_arg(ctx, type_id::SUBSCRIBER, "a Subscriber")?;
    let after = match &*object.state.lock() {
        ObjectState::Subscriber(subscription) => subscription.end(),
        _ => After::default(),
    };
    ctx.thread.wake_all(after.woken);
    ctx.nil()
}

/// A message was taken out of a full slot: senders may go on.
fn made_room(thread: &mut Thread, broadcast: &SharedObject) {
    let mut after = After::default();
    lock(broadcast, |broadcast| broadcast.advance(&mut after));
    thread.wake_all(after.woken);
}
fn receive(ctx: &mut Ctx, wait: Wait) -> NativeResult {
    let (slot, broadcast) = parts(ctx)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let received = match &mut *slot.state.lock() {
        ObjectState::Slot(state) => {
            let received = state.take();
            if let Received::Empty = received {
                // SAFETY: under the lock of the slot.
                unsafe {
                    support::park(thread, wait, slot, &mut state.receivers, Message::NONE)?;
                }
                return Err(Trap::Suspend);
            }
            received
        }
        _ => unreachable!("only slots have handles of this type"),
    };
    match received {
        Received::Message(message, was_full) => {
            if was_full {
                made_room(thread, broadcast);
            }
            thread.deliver_in_native(message)
        }
        Received::Closed if wait == Wait::Next => {
            let error = thread.new_error(ErrorKind::StopIteration, Value::NIL);
            Err(thread.throw_value(error))
        }
        _ => Err(thread.throw_closed_at_wait()),
    }
}
/// The next message of a subscriber, for a `select`; `None`: it would wait.
pub(super) fn poll(thread: &mut Thread, subscriber: Value) -> Result<Option<Value>, Trap> {
    let object = object_of(subscriber, type_id::SUBSCRIBER).expect("tested by the caller");
    let (slot, broadcast) = parts_of(object);
    let received = match &mut *slot.state.lock() {
        ObjectState::Slot(slot) => slot.take(),
        _ => unreachable!("only slots have handles of this type"),
    };
    match received {
        Received::Message(message, was_full) => {
            if was_full {
                made_room(thread, broadcast);
            }
            thread.deliver_in_native(message).map(Some)
        }
        Received::Empty => Ok(None),
        Received::Closed => Err(thread.throw_closed()),
    }
}
/// Puts the waiter of a `select` among those who wait for the next message of a subscriber; `false`: there is one, or there will be none.
///
/// # Safety
/// The waiter is the running task's, which is about to wait, and in no list.
pub(super) unsafe fn enlist(subscriber: Value, waiter: *mut Waiter) -> bool {
    let object = object_of(subscriber, type_id::SUBSCRIBER).expect("tested by the caller");
    let (slot, _) = parts_of(object);
    match &mut *slot.state.lock() {
        ObjectState::Slot(state) => {
            if !state.queue.is_empty() || state.is_closed {
                return false;
            }
            // SAFETY: under the lock of the slot; promised by the caller.
            unsafe { support::enlist(waiter, slot, &mut state.receivers) };
            true
        }
        _ => unreachable!("only slots have handles of this type"),
    }
}
fn try_receive(ctx: &mut Ctx) -> NativeResult {
    let (slot, broadcast) = parts(ctx)?;
    let received = match &mut *slot.state.lock() {
        ObjectState::Slot(slot) => slot.take(),
        _ => unreachable!("only slots have handles of this type"),
    };
    match received {
        Received::Message(message, was_full) => {
            if was_full {
                made_room(ctx.thread, broadcast);
            }
            ctx.thread.deliver_in_native(message)
        }
        Received::Empty => Ok(ctx.arg_or_nil(1)),
        Received::Closed => Err(ctx.thread.throw_closed()),
    }
}

#[cfg(test)]
mod tests {
    use super::support::tests::Waiting;
    use super::*;

    fn number(n: i64) -> Message {
        Message::shared(Value::small_int(n))
    }
    fn add_slot(broadcast: &mut BroadcastState) -> Message {
        broadcast.add()
    }
    fn take(slot: &Message) -> Option<i64> {
        match lock_slot(slot, SlotState::take) {
            Received::Message(message, _) => message.peek().map(|v| v.as_small_int()),
            _ => None,
        }
    }
    fn sends(broadcast: &mut BroadcastState, n: i64) -> bool {
        matches!(
            broadcast.send(number(n), true, &mut After::default()),
            Sent::ToAll
        )
    }

    #[test]
    fn each_gets_what_was_sent_after_it_came() {
        let mut broadcast = BroadcastState::new(2, Weak::new());
        assert!(sends(&mut broadcast, 1), "nobody is no reason to wait");
        let a = add_slot(&mut broadcast);
        assert!(sends(&mut broadcast, 2));
        let b = add_slot(&mut broadcast);
        assert!(sends(&mut broadcast, 3));
        assert_eq!((take(&a), take(&a), take(&a)), (Some(2), Some(3), None));
        assert_eq!((take(&b), take(&b)), (Some(3), None));
    }

    #[test]
    fn the_fullest_holds_senders_up() {
        let mut broadcast = BroadcastState::new(1, Weak::new());
        let a = add_slot(&mut broadcast);
        let b = add_slot(&mut broadcast);
        assert!(sends(&mut broadcast, 1));
        assert_eq!(take(&a), Some(1));
        assert!(!sends(&mut broadcast, 2), "b is full");
        let sender = Waiting::in_list(&mut broadcast.senders, number(2));
        let mut after = After::default();
        broadcast.advance(&mut after);
        assert!(after.woken.is_empty());
        assert!(matches!(
            lock_slot(&b, SlotState::take),
            Received::Message(_, true)
        ));
        broadcast.advance(&mut after);
        assert_eq!(after.woken, [sender.0]);
        assert_eq!((take(&a), take(&b)), (Some(2), Some(2)));
    }

    #[test]
    fn who_waits_sends_before_who_comes() {
        let mut broadcast = BroadcastState::new(2, Weak::new());
        let a = add_slot(&mut broadcast);
        let cancelled = Waiting::in_list(&mut broadcast.senders, number(1));
        let sender = Waiting::in_list(&mut broadcast.senders, number(2));
        assert!(cancelled.cancel(&mut broadcast.senders));
        assert!(sends(&mut broadcast, 3));
        assert_eq!(sender.given(), Some(Some(Value::NIL)));
        assert_eq!((take(&a), take(&a)), (Some(2), Some(3)));
        cancelled.take_out(&mut broadcast.senders);
    }

    #[test]
    fn a_waiting_receiver_gets_the_message_itself() {
        let mut broadcast = BroadcastState::new(1, Weak::new());
        let a = add_slot(&mut broadcast);
        let receiver = lock_slot(&a, |slot| {
            Waiting::in_list(&mut slot.receivers, Message::NONE)
        });
        assert!(sends(&mut broadcast, 1));
        assert!(sends(&mut broadcast, 2));
        assert_eq!(receiver.given(), Some(Some(Value::small_int(1))));
        assert_eq!(take(&a), Some(2));
    }

    #[test]
    fn a_slot_that_leaves_holds_nobody_up() {
        let mut broadcast = BroadcastState::new(1, Weak::new());
        let a = add_slot(&mut broadcast);
        assert!(sends(&mut broadcast, 1));
        let sender = Waiting::in_list(&mut broadcast.senders, number(2));
        let mut after = After::default();
        broadcast.remove(&a, &mut after);
        assert_eq!(after.woken, [sender.0]);
        assert!(broadcast.slots.is_empty());
        assert!(matches!(lock_slot(&a, SlotState::take), Received::Closed));
    }

    #[test]
    fn closing_wakes_all_and_keeps_what_was_sent() {
        let mut broadcast = BroadcastState::new(1, Weak::new());
        let a = add_slot(&mut broadcast);
        let b = add_slot(&mut broadcast);
        let receiver = lock_slot(&b, |slot| {
            Waiting::in_list(&mut slot.receivers, Message::NONE)
        });
        let sender = Waiting::in_list(&mut broadcast.senders, number(9));
        lock_slot(&a, |slot| slot.put(number(1)));
        let mut after = After::default();
        broadcast.close(&mut after);
        assert_eq!(after.woken, [sender.0, receiver.0]);
        assert_eq!((sender.given(), receiver.given()), (Some(None), Some(None)));
        assert_eq!(take(&a), Some(1));
        assert!(matches!(lock_slot(&a, SlotState::take), Received::Closed));
        assert!(matches!(
            broadcast.send(number(2), true, &mut After::default()),
            Sent::Closed(_)
        ));
    }
}
