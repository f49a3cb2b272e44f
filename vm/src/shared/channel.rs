//! Channels: a bounded queue, and those who wait for room or for a message.
//!
//! A message is handed to a claimed receiver directly; so values come out in the order in which their `send`s began to hold them.

use super::Message;
use super::messages::Messages;
use crate::sched::wait::{Delivery, WaitList, Waiter, deliver};
use crate::task::Task;

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
