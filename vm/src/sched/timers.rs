//! What is to happen at a time: one timing wheel for each carrier (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987).
//!
//! A timer is the waiter of a sleeping task itself (or of an arm of `select`, or of a scope): it costs nothing besides. To set or to take one out takes a few stores, whatever
//! there is besides it. A level has 64 slots; a slot of the lowest one stands for a *tick*, one of each further level for 64 of the level below. As time reaches
//! a slot, its timers move to where they belong now, in the end into `current`, a list in the order of deadlines: so they fire exactly in that order and not
//! before their time, however long a tick is.
//!
//! Contract of the unsafe code: a wheel and the waiters in it are touched under the lock of its shard; a task takes its timers out before it goes on, a
//! scope before it is dropped.

use super::scope::Scope;
use super::wait::{Claimed, NodeKind, Waiter, insert_before, unlink};
use crate::prefetch::prefetch;
use crate::sync::{AtomicU64, Lock, Ordering, mutation};
use crate::task::Task;
use std::sync::Arc;

/// A tick is 2^16 nanoseconds, 66 µs: sleepers of a millisecond lie in different slots, those of a second two levels up.
const TICK_BITS: u32 = 16;
const LEVEL_BITS: u32 = 6;
const SLOTS: usize = 1 << LEVEL_BITS;
/// Eight levels reach beyond the largest deadline.
const LEVELS: usize = 8;
const HEADS: usize = LEVELS * SLOTS + 1;

/// The timers of one carrier. Anybody may look whether something is due, and fire it: a carrier that is busy, blocked or gone holds nothing up.
pub(crate) struct Shard {
    wheel: Lock<Option<Wheel>>,
    /// Not later than the next deadline; `u64::MAX`: none.
    next: AtomicU64,
}

// SAFETY: see the head of the file.
unsafe impl Send for Wheel {}

/// The rings lead into `heads`, into tasks, into the vectors of arms and into scopes, none of which moves: a task never does, its arms do not while it waits, a scope
/// lies in an `Arc` of which the wheel holds one. Tasks of a program that is stopped are dropped after `Shard::clear`.
struct Wheel {
    /// Heads of the slots' rings, and behind them that of `current`; they are no timers. A block of its own, reached by pointers only, since the rings lead into it.
    heads: *mut Waiter,
    /// Slots that may hold timers.
    occupied: [u64; LEVELS],
    /// Ticks up to this one have been moved to `current`.
    tick: u64,
    count: usize,
    /// Empty: room for those that are moved.
    moving: Ring,
}

/// The timers of a ring, in its order but in two halves: see `take_all`.
#[derive(Default)]
struct Ring {
    front: Vec<*mut Waiter>,
    /// Backwards.
    back: Vec<*mut Waiter>,
}

/// Of many timers none is in a cache: so many before their turn they are called for.
pub(super) const FETCHED_AHEAD: usize = 8;

/// Larger room for moving timers is not kept.
const MOST_KEPT: usize = 4096;

/// What fired.
#[derive(Default)]
pub(crate) struct Fired {
    /// Claimed tasks, to be woken.
    pub(crate) tasks: Vec<*mut Task>,
    pub(crate) scopes: Vec<Arc<Scope>>,
}

impl Default for Shard {
    fn default() -> Shard {
        Shard {
            wheel: Lock::new(None),
            next: AtomicU64::new(u64::MAX),
        }
    }
}

impl Shard {
    /// Not later than the next deadline; `u64::MAX`: none. Cheap.
    #[inline]
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
    /// Sets a timer.
    ///
    /// # Safety
    /// See the head of the file; the waiter is in no list.
    pub(crate) unsafe fn add(&self, waiter: *mut Waiter, deadline: u64, now: u64) {
        let mut wheel = self.wheel.lock();
        let wheel = wheel.get_or_insert_with(|| Wheel::new(now >> TICK_BITS));
        // SAFETY: promised by the caller.
        unsafe {
            (*waiter).set_deadline(deadline);
            wheel.place(waiter);
        }
        wheel.count += 1;
        if deadline < self.next() {
            // Release: who reads it and takes the lock finds the timer anyway; this is for the idle carrier that only compares.
            self.next.store(deadline, Ordering::Release);
        }
    }
    /// Takes a timer out if it has not fired; whether it had not.
    ///
    /// # Safety
    /// See the head of the file; the waiter is in this shard or in no list.
    pub(crate) unsafe fn remove(&self, waiter: *mut Waiter) -> bool {
        // SAFETY: promised by the caller.
        let before = mutation!("timer_looked_unlocked", true, unsafe {
            (*waiter).is_linked()
        });
        let mut wheel = self.wheel.lock();
        // SAFETY: promised by the caller.
        unsafe {
            if !mutation!("timer_looked_unlocked", (*waiter).is_linked(), before) {
                return false;
            }
            unlink(waiter);
            (*waiter).clear_deadline();
        }
        let is_empty = wheel.as_mut().is_some_and(|wheel| {
            wheel.count -= 1;
            wheel.count == 0
        });
        if is_empty {
            self.next.store(u64::MAX, Ordering::Release);
        }
        true
    }
    /// Claims whatever is due at `now`.
    pub(crate) fn fire(&self, now: u64, fired: &mut Fired) {
        let mut wheel = self.wheel.lock();
        let Some(wheel) = wheel.as_mut() else { return };
        wheel.advance(now >> TICK_BITS);
        // SAFETY: under the lock; timers in the wheel are alive.
        unsafe {
            let head = wheel.current();
            loop {
                let first = (*head).next;
                if first == head || (*first).deadline() > now {
                    break;
                }
                unlink(first);
                (*first).clear_deadline();
                wheel.count -= 1;
                match (*first).kind() {
                    NodeKind::Sole => {
                        let task = (*first).task();
                        (*task).claim.set(Claimed::TimedOut);
                        fired.tasks.push(task);
                    }
                    NodeKind::Arm => {
                        let task = (*first).task();
                        if mutation!("late_timer_wakes", false, true)
                            | (*task).claim.try_claim(Claimed::TimedOut)
                        {
                            fired.tasks.push(task);
                        }
                    }
                    NodeKind::Scope => fired.scopes.extend(Scope::of_timer(first)),
                }
            }
        }
        self.next.store(wheel.next(), Ordering::Release);
    }
    /// Forgets what is left, without firing it.
    pub(crate) fn clear(&self) {
        *self.wheel.lock() = None;
        self.next.store(u64::MAX, Ordering::Release);
    }
}

/// The first of a ring.
///
/// # Safety
/// Under the lock; it is a head's.
unsafe fn first_of(head: *mut Waiter) -> Option<*mut Waiter> {
    // SAFETY: promised by the caller; a ring leads to itself at least.
    let first = unsafe { (*head).next };
    (first != head).then_some(first)
}

impl Ring {
    /// Takes all out of a ring, to put them elsewhere at once: their links stay what they were.
    ///
    /// Of many sleepers none is in a cache, and who goes from one to the next waits for memory at each. So two go, from both ends, and wait at the same time.
    ///
    /// # Safety
    /// Under the lock; it is a head's.
    unsafe fn take_all(&mut self, head: *mut Waiter) {
        // SAFETY: promised by the caller; all in a ring are alive.
        unsafe {
            let (mut first, mut last) = ((*head).next, (*head).prev);
            if first == head {
                return;
            }
            loop {
                self.front.push(first);
                if first == last {
                    break;
                }
                self.back.push(last);
                let next = (*first).next;
                if next == last {
                    break;
                }
                (first, last) = (next, (*last).prev);
            }
            (*head).next = head;
            (*head).prev = head;
        }
        self.front.extend(self.back.drain(..).rev());
    }
}

impl Wheel {
    fn new(tick: u64) -> Wheel {
        let heads: Box<[Waiter]> = (0..HEADS).map(|_| Waiter::new(NodeKind::Scope)).collect();
        let heads = Box::into_raw(heads).cast::<Waiter>();
        for i in 0..HEADS {
            // SAFETY: one of the heads; an empty ring is its head alone.
            unsafe {
                let head = heads.add(i);
                (*head).prev = head;
                (*head).next = head;
            }
        }
        Wheel {
            heads,
            occupied: [0; LEVELS],
            tick,
            count: 0,
            moving: Ring::default(),
        }
    }
    fn head(&self, level: usize, slot: usize) -> *mut Waiter {
        self.heads.wrapping_add(level * SLOTS + slot)
    }
    /// Head of the ring of those that are due within the current tick, in the order of their deadlines.
    fn current(&self) -> *mut Waiter {
        self.heads.wrapping_add(HEADS - 1)
    }
    /// Puts a timer where its deadline belongs now.
    ///
    /// # Safety
    /// Under the lock; the timer is in no list, whatever its links say.
    unsafe fn place(&mut self, waiter: *mut Waiter) {
        // SAFETY: promised by the caller.
        unsafe {
            let deadline = (*waiter).deadline();
            let tick = deadline >> TICK_BITS;
            if tick <= self.tick {
                // From the end: most come in order.
                let head = self.current();
                let mut at = head;
                while (*at).prev != head && (*(*at).prev).deadline() > deadline {
                    at = (*at).prev;
                }
                insert_before(at, waiter);
                return;
            }
            let (level, slot) = self.slot_of(tick);
            self.occupied[level] |= 1 << slot;
            insert_before(self.head(level, slot), waiter);
        }
    }
    /// The level is that of the highest digit in which the tick differs from the present one.
    fn slot_of(&self, tick: u64) -> (usize, usize) {
        let level = ((63 - (tick ^ self.tick).leading_zeros()) / LEVEL_BITS) as usize;
        let slot = (tick >> (level as u32 * LEVEL_BITS)) as usize & (SLOTS - 1);
        (level, slot)
    }
    /// The next slot that time will reach, and the tick at which it does.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        for level in 0..LEVELS {
            let shift = level as u32 * LEVEL_BITS;
            let now = (self.tick >> shift) as usize & (SLOTS - 1);
            // Within a level, slots before the present one belong to its next round, which lies a level higher.
            let later = self.occupied[level] & u64::MAX.checked_shl(now as u32 + 1).unwrap_or(0);
            if later != 0 {
                let slot = later.trailing_zeros() as usize;
                let round = self
                    .tick
                    .checked_shr(shift + LEVEL_BITS)
                    .unwrap_or(0)
                    .checked_shl(shift + LEVEL_BITS)
                    .unwrap_or(0);
                return Some((level, slot, round | (slot as u64) << shift));
            }
        }
        None
    }
    /// Time has come to `tick`: moves what lies in the slots up to there.
    fn advance(&mut self, tick: u64) {
        while self.tick < tick {
            let Some((level, slot, start)) = self.next_slot().filter(|next| next.2 <= tick) else {
                self.tick = tick;
                return;
            };
            self.tick = start;
            self.occupied[level] &= !(1 << slot);
            self.empty_slot(level, slot);
        }
    }
    fn empty_slot(&mut self, level: usize, slot: usize) {
        let mut moving = std::mem::take(&mut self.moving);
        // SAFETY: under the lock; timers in the wheel are alive, and each that was taken out is put elsewhere.
        unsafe {
            moving.take_all(self.head(level, slot));
            if level == 0 {
                // All are due within this tick: sorted, they follow those that are due already.
                moving.front.sort_by_key(|timer| (**timer).deadline());
            }
            for (i, &timer) in moving.front.iter().enumerate() {
                if let Some(&later) = moving.front.get(i + FETCHED_AHEAD) {
                    prefetch::<1, _>(later);
                }
                self.place(timer);
            }
            moving.front.clear();
        }
        if moving.front.capacity() <= MOST_KEPT {
            self.moving = moving;
        }
    }
    /// Not later than the next deadline.
    fn next(&self) -> u64 {
        if self.count == 0 {
            return u64::MAX;
        }
        let head = self.current();
        // SAFETY: the first of the ring is alive.
        let first = unsafe { (*head).next };
        if !std::ptr::eq(first, head) {
            // SAFETY: as above.
            return unsafe { (*first).deadline() };
        }
        self.next_slot()
            .map_or(u64::MAX, |(_, _, tick)| tick << TICK_BITS)
    }
    fn clear(&mut self) {
        for i in 0..HEADS {
            let head = self.heads.wrapping_add(i);
            // SAFETY: under the lock.
            unsafe {
                while let Some(first) = first_of(head) {
                    unlink(first);
                    (*first).clear_deadline();
                    if (*first).kind() == NodeKind::Scope {
                        drop(Scope::of_timer(first));
                    }
                }
            }
        }
    }
}

impl Drop for Wheel {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: made by `new`.
        drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.heads, HEADS)) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Timers of scopes that stand for numbers.
    struct Model {
        shard: Shard,
        scopes: Vec<(u64, Arc<Scope>)>,
    }

    impl Model {
        fn new() -> Model {
            Model {
                shard: Shard::default(),
                scopes: Vec::new(),
            }
        }
        fn add(&mut self, deadline: u64, now: u64) {
            let scope = Scope::for_tests();
            // SAFETY: the scope lives as long as the model.
            unsafe { scope.set_timer(&self.shard, deadline, now) };
            self.scopes.push((deadline, scope));
        }
        /// Deadlines of what fires at `now`.
        fn fire(&mut self, now: u64) -> Vec<u64> {
            let mut fired = Fired::default();
            self.shard.fire(now, &mut fired);
            let deadline_of = |scope: &Arc<Scope>| {
                let at = self
                    .scopes
                    .iter()
                    .position(|(_, s)| Arc::ptr_eq(s, scope))
                    .expect("a timer of the model");
                self.scopes.remove(at).0
            };
            let mut deadlines = Vec::new();
            let mut find = deadline_of;
            for scope in &fired.scopes {
                deadlines.push(find(scope));
            }
            deadlines
        }
    }

    #[test]
    fn due_in_order_and_not_before_their_time() {
        let mut model = Model::new();
        for deadline in [30, 10, 20, 10, 1 << 20, (1 << 20) + 1] {
            model.add(deadline, 0);
        }
        assert!(model.shard.next() <= 10);
        assert!(model.fire(9).is_empty());
        assert_eq!(model.fire(20), [10, 10, 20]);
        assert_eq!(model.fire(1 << 20), [30, 1 << 20]);
        assert_eq!(model.fire(u64::MAX), [(1 << 20) + 1]);
        assert_eq!(model.shard.next(), u64::MAX);
    }

    #[test]
    fn like_a_sorted_list() {
        let mut model = Model::new();
        let mut seed = 7u64;
        let mut random = move || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed >> 33
        };
        let mut now = 0;
        for _ in 0..20_000 {
            match random() % 4 {
                0 => {
                    // Deadlines of every magnitude, in the past too.
                    let distance = random() << (random() % 30) >> (random() % 30);
                    model.add(now + distance, now);
                }
                1 if !model.scopes.is_empty() => {
                    let at = random() as usize % model.scopes.len();
                    let (_, scope) = model.scopes.swap_remove(at);
                    // SAFETY: set by `add`.
                    assert!(unsafe { scope.remove_timer() });
                }
                _ => {
                    now += random() << (random() % 20) >> (random() % 31);
                    let mut expected: Vec<u64> = model
                        .scopes
                        .iter()
                        .map(|(deadline, _)| *deadline)
                        .filter(|deadline| *deadline <= now)
                        .collect();
                    expected.sort_unstable();
                    assert_eq!(model.fire(now), expected);
                }
            }
            let first = model.scopes.iter().map(|(deadline, _)| *deadline).min();
            match first {
                Some(first) => assert!(model.shard.next() <= first),
                None => assert_eq!(model.shard.next(), u64::MAX),
            }
        }
        let rest: Vec<Arc<Scope>> = model.scopes.drain(..).map(|(_, scope)| scope).collect();
        model.shard.clear();
        for scope in rest {
            assert_eq!(
                Arc::strong_count(&scope),
                1,
                "the wheel gave its reference back"
            );
        }
    }
}
