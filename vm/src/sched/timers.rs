//! What is to happen at a time: a binary heap of deadlines whose entries know where they are, so that a wait that ends early takes its timer
//! with it and nothing piles up.

use super::scope::Scope;
use crate::task::Task;
use std::sync::Arc;

/// No timer.
pub(crate) const NO_TIMER: u32 = u32::MAX;

/// Whom a timer wakes.
pub(crate) enum Target {
    /// A waiting task. It takes its timer out before it goes on, so it is alive.
    Task(*mut Task),
    /// A scope with a time limit; taken out when the scope ends.
    Scope(Arc<Scope>),
}

enum Slot {
    /// Position in the heap.
    Used(u32, Target),
    /// Next free slot.
    Free(u32),
}

#[derive(Clone, Copy)]
struct Entry {
    /// Nanoseconds of the scheduler's clock.
    deadline: u64,
    /// Among equal deadlines the first made is the first due.
    sequence: u64,
    slot: u32,
}

impl Entry {
    fn is_before(&self, other: &Entry) -> bool {
        (self.deadline, self.sequence) < (other.deadline, other.sequence)
    }
}

/// Deadlines, the next one first.
pub(crate) struct Timers {
    heap: Vec<Entry>,
    slots: Vec<Slot>,
    free: u32,
    sequence: u64,
}

// SAFETY: tasks named here are touched only after their claim was won.
unsafe impl Send for Timers {}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            heap: Vec::new(),
            slots: Vec::new(),
            free: NO_TIMER,
            sequence: 0,
        }
    }
}

impl Timers {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.heap.len()
    }
    /// The next deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.deadline)
    }
    /// Adds a timer; gives its name for `remove`.
    pub(crate) fn add(&mut self, deadline: u64, target: Target) -> u32 {
        let at = self.heap.len() as u32;
        let slot = if self.free == NO_TIMER {
            self.slots.push(Slot::Used(at, target));
            (self.slots.len() - 1) as u32
        } else {
            let slot = self.free;
            match std::mem::replace(&mut self.slots[slot as usize], Slot::Used(at, target)) {
                Slot::Free(next) => self.free = next,
                Slot::Used(..) => unreachable!("the free list holds free slots"),
            }
            slot
        };
        self.sequence += 1;
        self.heap.push(Entry {
            deadline,
            sequence: self.sequence,
            slot,
        });
        self.up(at as usize);
        slot
    }
    /// Takes a timer out.
    pub(crate) fn remove(&mut self, slot: u32) -> Option<Target> {
        let Some(&Slot::Used(at, _)) = self.slots.get(slot as usize) else {
            return None;
        };
        let at = at as usize;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.place(at);
            self.down(at);
            self.up(at);
        }
        let freed = std::mem::replace(&mut self.slots[slot as usize], Slot::Free(self.free));
        self.free = slot;
        if self.heap.is_empty() {
            // A burst of sleepers gives its memory back.
            *self = Timers {
                sequence: self.sequence,
                ..Timers::default()
            };
        }
        match freed {
            Slot::Used(_, target) => Some(target),
            Slot::Free(_) => None,
        }
    }
    /// The name of the next timer that is due at `now`.
    pub(crate) fn due(&self, now: u64) -> Option<u32> {
        let first = self.heap.first()?;
        (first.deadline <= now).then_some(first.slot)
    }

    /// Tells the slot of entry `at` where it is.
    fn place(&mut self, at: usize) {
        let slot = self.heap[at].slot as usize;
        if let Slot::Used(position, _) = &mut self.slots[slot] {
            *position = at as u32;
        }
    }
    fn up(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.heap[at].is_before(&self.heap[parent]) {
                break;
            }
            self.heap.swap(at, parent);
            self.place(at);
            at = parent;
        }
        self.place(at);
    }
    fn down(&mut self, mut at: usize) {
        loop {
            let left = 2 * at + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let child = if right < self.heap.len() && self.heap[right].is_before(&self.heap[left]) {
                right
            } else {
                left
            };
            if !self.heap[child].is_before(&self.heap[at]) {
                break;
            }
            self.heap.swap(at, child);
            self.place(at);
            at = child;
        }
        self.place(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Target {
        Target::Scope(Scope::for_tests())
    }

    #[test]
    fn due_in_order_and_first_come_first() {
        let mut timers = Timers::default();
        let names: Vec<u32> = [30, 10, 20, 10].map(|at| timers.add(at, scope())).into();
        assert_eq!(timers.next(), Some(10));
        assert_eq!(timers.due(9), None);
        let mut order = Vec::new();
        while let Some(name) = timers.due(100) {
            order.push(names.iter().position(|n| *n == name).unwrap());
            timers.remove(name);
        }
        assert_eq!(order, [1, 3, 2, 0]);
    }

    #[test]
    fn removed_ones_leave_the_rest_in_order() {
        let mut timers = Timers::default();
        let mut names: Vec<(u64, u32)> = Vec::new();
        let mut seed = 7u64;
        for _ in 0..1000 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let at = seed >> 50;
            if seed >> 40 & 3 == 0 && !names.is_empty() {
                let (_, name) = names.swap_remove((seed >> 20) as usize % names.len());
                assert!(timers.remove(name).is_some());
            } else {
                names.push((at, timers.add(at, scope())));
            }
            assert_eq!(timers.next(), names.iter().map(|(at, _)| *at).min());
        }
        assert_eq!(timers.len(), names.len());
    }
}
