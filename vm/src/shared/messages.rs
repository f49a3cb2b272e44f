//! The messages that a channel or a subscriber holds: a bounded queue that grows with what it holds, and is counted (see `account`).

use super::Message;
use crate::account;
use std::collections::VecDeque;

/// Places of the smallest queue that is not empty.
const FEW: usize = 4;
/// A queue with more places gives them back when it has become empty.
const MOST_KEPT: usize = 1024;

/// See the head of the file.
pub(crate) struct Messages {
    capacity: usize,
    /// Places that there are, at most `capacity`.
    room: usize,
    queue: VecDeque<Message>,
}

impl Messages {
    /// A queue of up to `capacity`.
    pub(crate) fn new(capacity: usize) -> Messages {
        Messages {
            capacity,
            room: 0,
            queue: VecDeque::new(),
        }
    }
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.queue.iter()
    }
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
    /// It can hold no more.
    pub(crate) fn is_full(&self) -> bool {
        self.queue.len() >= self.capacity
    }
    /// It can hold another one as it is.
    #[inline]
    pub(crate) fn has_place(&self) -> bool {
        self.queue.len() < self.room
    }
    /// Bytes that another message needs before it can be held: 0 if there is a place, or if it is full.
    pub(crate) fn needed_bytes(&self) -> usize {
        if self.has_place() || self.is_full() {
            0
        } else {
            self.next_room() * size_of::<Message>()
        }
    }
    fn next_room(&self) -> usize {
        (self.room * 2).max(FEW).min(self.capacity)
    }
    /// Makes room for more; who can ask for memory has asked for `needed_bytes`.
    #[cold]
    pub(crate) fn grow(&mut self) {
        self.room = self.next_room();
        self.change(|queue, room| queue.reserve_exact(room.saturating_sub(queue.len())));
    }
    fn change(&mut self, change: impl FnOnce(&mut VecDeque<Message>, usize)) {
        let before = self.queue.capacity();
        change(&mut self.queue, self.room);
        account::subtract(before * size_of::<Message>());
        account::add(self.queue.capacity() * size_of::<Message>());
    }
    /// Puts a message behind the others; it is not full.
    #[inline]
    pub(crate) fn push(&mut self, message: Message) {
        if !self.has_place() {
            self.grow();
        }
        self.queue.push_back(message);
    }
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Message> {
        self.queue.pop_front()
    }
    /// Puts the message back in front that was taken out last. If another one came meanwhile, there is one more than may be.
    #[cold]
    pub(crate) fn put_back(&mut self, message: Message) {
        self.change(|queue, _| queue.push_front(message));
    }
    /// Gives back what places for many messages took, if there is none.
    #[inline]
    pub(crate) fn shrink(&mut self) {
        if self.room > MOST_KEPT && self.queue.is_empty() {
            self.room = 0;
            self.change(|queue, _| *queue = VecDeque::new());
        }
    }
    /// All that it holds.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Message> {
        self.queue.drain(..)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        account::subtract(self.queue.capacity() * size_of::<Message>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    #[test]
    fn it_grows_to_its_capacity_and_shrinks_when_empty() {
        let number = |n| Message::shared(Value::small_int(n));
        let mut messages = Messages::new(3000);
        assert!(!messages.has_place() && messages.needed_bytes() == FEW * 8);
        for n in 0..3000 {
            assert!(!messages.is_full());
            messages.push(number(n));
        }
        assert!(messages.is_full() && messages.needed_bytes() == 0);
        assert_eq!(messages.room, 3000);
        messages.shrink();
        for n in 0..3000 {
            let message = messages.pop().and_then(|m| m.peek());
            assert_eq!(message, Some(Value::small_int(n)));
        }
        messages.shrink();
        assert_eq!((messages.room, messages.queue.capacity()), (0, 0));
        assert!(Messages::new(0).is_full());
    }
}
