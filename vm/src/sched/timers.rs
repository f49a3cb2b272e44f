//! What is to happen at a time: one timing wheel for each carrier (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987).
//!
//! A timer is the waiter of a sleeping task itself (or of an arm of `select`, or of a scope), and an entry of 16 bytes in a slot. To set or to take one out takes a few
//! stores, whatever there is besides it. A level has 64 slots; a slot of the lowest one stands for a *tick*, one of each further level for 64 of the level below. As time
//! reaches a slot, its timers move to where they belong now, in the end into `current`, a list in the order of deadlines: so they fire exactly in that order and not
//! before their time, however long a tick is.
//!
//! Of a million sleepers none is in a cache. So a slot is a row of entries that hold the deadlines, and what moves is called for ahead: a list through the timers
//! would wait for memory at each. And no more fire at once than the carrier has run before they are out of its caches again.
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

/// The timers of one carrier. Anybody may look whether something is due, and fire it: a carrier that is busy, blocked or gone holds nothing up.
pub(crate) struct Shard {
    wheel: Lock<Option<Wheel>>,
    /// Not later than the next deadline; `u64::MAX`: none.
    next: AtomicU64,
}

// SAFETY: see the head of the file.
unsafe impl Send for Wheel {}

/// What is in it leads into tasks, into the vectors of arms and into scopes, none of which moves: a task never does, its arms do not while it waits, a scope
/// lies in an `Arc` of which the wheel holds one. Tasks of a program that is stopped are dropped after `Shard::clear`.
struct Wheel {
    /// `LEVELS * SLOTS`. The waiter of an entry knows its place: see `Place`.
    slots: Box<[Row]>,
    /// Slots that may hold timers.
    occupied: [u64; LEVELS],
    /// Head of the ring of those that are due within the current tick or before, in the order of their deadlines; it is no timer. A block of its own, reached by
    /// pointers only, since the ring leads into it.
    current: *mut Waiter,
    /// How many are in that ring.
    due: usize,
    /// The slot that time has reached, whose timers are not all moved yet, and how many of its entries are: these say nothing any more.
    emptying: Option<(usize, usize)>,
    /// Empty: room for sorting.
    sorted: Vec<Entry>,
    /// Ticks up to this one have been moved to `current`, or are in `emptying`.
    tick: u64,
    count: usize,
}

#[derive(Clone, Copy)]
struct Entry {
    deadline: u64,
    timer: *mut Waiter,
}

/// The entries of a slot, in pieces: to move all because there is one more would take long if there are many.
#[derive(Default)]
struct Row {
    /// All but the last one are full.
    pieces: Vec<Vec<Entry>>,
    len: usize,
}

const PIECE: usize = 256;

impl Row {
    fn push(&mut self, entry: Entry) {
        if self.len.is_multiple_of(PIECE) && self.pieces.len() == self.len / PIECE {
            let room = if self.len == 0 { MOST_KEPT } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        self.pieces[self.len / PIECE].push(entry);
        self.len += 1;
    }
    fn get(&self, at: usize) -> Option<Entry> {
        self.pieces.get(at / PIECE)?.get(at % PIECE).copied()
    }
    /// Takes one out; the last one takes its place.
    fn swap_remove(&mut self, at: usize) -> Entry {
        self.len -= 1;
        let piece = &mut self.pieces[self.len / PIECE];
        let last = piece.pop().expect("the last one");
        if self.len > 0 && self.len.is_multiple_of(PIECE) {
            self.pieces.pop();
        }
        match at == self.len {
            true => last,
            false => std::mem::replace(&mut self.pieces[at / PIECE][at % PIECE], last),
        }
    }
    fn clear(&mut self) {
        self.pieces.truncate(1);
        self.len = 0;
        if let Some(first) = self.pieces.first_mut() {
            first.clear();
            first.shrink_to(MOST_KEPT);
        }
    }
    fn iter(&self) -> impl Iterator<Item = Entry> {
        self.pieces.iter().flatten().copied()
    }
}

/// When what begins now has lasted so many nanoseconds (none if that is negative); no later than 146 years after the program's start, so that a virtual clock that is put forward
/// to one deadline after the other does not run over.
pub(crate) fn deadline(now: u64, nanoseconds: i64) -> u64 {
    const LAST: u64 = 1 << 62;
    now.saturating_add(nanoseconds.max(0) as u64).min(LAST)
}

/// So many timers in front of the one that moves are called for.
const FETCHED_AHEAD: usize = 8;
/// At most so many move in one go, while others wait for the lock.
const MOVED_AT_ONCE: usize = 4096;
/// Room of a slot that is kept when it is empty.
const MOST_KEPT: usize = 16;

/// Where the entry of a timer is, as its `prev`: `index | slot:9 | 1`. (Neighbours in a ring have even addresses.)
#[derive(Clone, Copy)]
struct Place(usize);

impl Place {
    const SLOT_BITS: u32 = LEVELS.ilog2() + LEVEL_BITS;

    fn new(slot: usize, index: usize) -> Place {
        Place((index << Place::SLOT_BITS | slot) << 1 | 1)
    }
    fn slot(self) -> usize {
        self.0 >> 1 & ((1 << Place::SLOT_BITS) - 1)
    }
    fn index(self) -> usize {
        self.0 >> 1 >> Place::SLOT_BITS
    }
}

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
            wheel.place(waiter, deadline);
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
        }
        let is_empty = wheel.as_mut().is_some_and(|wheel| {
            // SAFETY: as above; what is linked is in the wheel.
            unsafe {
                wheel.take_out(waiter);
                (*waiter).clear_deadline();
            }
            wheel.count -= 1;
            wheel.count == 0
        });
        if is_empty {
            self.next.store(u64::MAX, Ordering::Release);
        }
        true
    }
    /// Claims what is due at `now`, the first `most` of it: if more is, `next` says so.
    pub(crate) fn fire(&self, now: u64, most: usize, fired: &mut Fired) {
        let mut wheel = self.wheel.lock();
        let Some(wheel) = wheel.as_mut() else { return };
        wheel.advance(now >> TICK_BITS, most);
        // What has not moved yet may be due before others of its tick.
        let now = match wheel.emptying {
            Some(_) => (wheel.tick << TICK_BITS).saturating_sub(1).min(now),
            None => now,
        };
        // SAFETY: under the lock; timers in the wheel are alive.
        unsafe {
            let head = wheel.current;
            for _ in 0..most {
                let first = (*head).next;
                if first == head || (*first).deadline() > now {
                    break;
                }
                wheel.take_out(first);
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

/// Calls for the task whose timer this is, and for its thread: they will run soon.
///
/// # Safety
/// The timer is in the wheel, under the lock.
unsafe fn prefetch_sleeper(timer: *mut Waiter) {
    // SAFETY: promised by the caller; who waits is alive, and has a thread.
    unsafe {
        let task = (*timer).task();
        if !task.is_null() {
            prefetch::<4, _>((*task).block);
            prefetch::<3, _>(task);
        }
    }
}

impl Wheel {
    fn new(tick: u64) -> Wheel {
        let current = Box::into_raw(Box::new(Waiter::new(NodeKind::Scope)));
        // SAFETY: just made; an empty ring is its head alone.
        unsafe {
            (*current).prev = current;
            (*current).next = current;
        }
        Wheel {
            slots: (0..LEVELS * SLOTS).map(|_| Row::default()).collect(),
            occupied: [0; LEVELS],
            current,
            due: 0,
            emptying: None,
            sorted: Vec::new(),
            tick,
            count: 0,
        }
    }
    /// Puts a timer where its deadline belongs now.
    ///
    /// # Safety
    /// Under the lock; the timer is nowhere, whatever its links say.
    unsafe fn place(&mut self, timer: *mut Waiter, deadline: u64) {
        let tick = deadline >> TICK_BITS;
        if tick > self.tick {
            let (level, slot) = self.slot_of(tick);
            self.occupied[level] |= 1 << slot;
            // SAFETY: promised by the caller.
            unsafe { self.push(level * SLOTS + slot, Entry { deadline, timer }) };
            return;
        }
        // SAFETY: promised by the caller; a ring leads to itself at least.
        unsafe {
            // From the end: most come in order.
            let mut at = self.current;
            while (*at).prev != self.current && (*(*at).prev).deadline() > deadline {
                at = (*at).prev;
            }
            insert_before(at, timer);
        }
        self.due += 1;
    }
    /// Puts a timer into a slot.
    ///
    /// # Safety
    /// As of `place`.
    unsafe fn push(&mut self, slot: usize, entry: Entry) {
        // SAFETY: promised by the caller.
        unsafe { (*entry.timer).set_place(Place::new(slot, self.slots[slot].len).0) };
        self.slots[slot].push(entry);
    }
    /// The level is that of the highest digit in which the tick differs from the present one.
    fn slot_of(&self, tick: u64) -> (usize, usize) {
        let level = ((63 - (tick ^ self.tick).leading_zeros()) / LEVEL_BITS) as usize;
        let slot = (tick >> (level as u32 * LEVEL_BITS)) as usize & (SLOTS - 1);
        (level, slot)
    }
    /// Takes a timer out of its slot, or out of `current`.
    ///
    /// # Safety
    /// Under the lock; the timer is in this wheel.
    unsafe fn take_out(&mut self, timer: *mut Waiter) {
        // SAFETY: promised by the caller; the others in the wheel are alive.
        unsafe {
            let place = Place((*timer).prev as usize);
            if place.0 & 1 == 0 {
                unlink(timer);
                self.due -= 1;
                return;
            }
            let slot = &mut self.slots[place.slot()];
            let taken = slot.swap_remove(place.index());
            debug_assert_eq!(taken.timer, timer);
            if let Some(moved) = slot.get(place.index()) {
                (*moved.timer).set_place(place.0);
            }
            (*timer).set_place(0);
        }
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
    /// Time has come to `tick`: moves what lies in the slots up to there, until at least `enough` are due.
    fn advance(&mut self, tick: u64, enough: usize) {
        loop {
            if self.emptying.is_some() && !self.empty_some() {
                return;
            }
            if self.tick >= tick || self.due >= enough {
                return;
            }
            let Some((level, slot, start)) = self.next_slot().filter(|next| next.2 <= tick) else {
                self.tick = tick;
                return;
            };
            self.tick = start;
            self.occupied[level] &= !(1 << slot);
            match level {
                0 => self.empty_lowest(slot),
                _ => self.emptying = Some((level * SLOTS + slot, 0)),
            }
        }
    }
    /// Moves all timers out of a slot of the lowest level, which time has reached. All are due within this tick: sorted, they follow those that are due already.
    fn empty_lowest(&mut self, slot: usize) {
        let mut row = std::mem::take(&mut self.slots[slot]);
        let mut entries: Vec<Entry> = std::mem::take(&mut self.sorted);
        entries.extend(row.iter());
        entries.sort_by_key(|entry| entry.deadline);
        for (at, entry) in entries.iter().enumerate() {
            if let Some(later) = entries.get(at + FETCHED_AHEAD) {
                prefetch::<1, _>(later.timer);
            }
            // SAFETY: under the lock; timers in the wheel are alive, and the entry says nothing any more.
            unsafe {
                self.place(entry.timer, entry.deadline);
                prefetch_sleeper(entry.timer);
            }
        }
        entries.clear();
        entries.shrink_to(PIECE);
        self.sorted = entries;
        row.clear();
        self.slots[slot] = row;
    }
    /// Moves timers out of the slot that time has reached; `false`: there are more. Nothing is put into that slot meanwhile: what is to come before its end belongs to lower levels.
    fn empty_some(&mut self) -> bool {
        let Some((slot, begin)) = self.emptying else {
            return true;
        };
        // Those of its first tick are sorted when all are known. Their slot is empty, since time has reached it.
        let first_slot = self.tick as usize & (SLOTS - 1);
        let mut row = std::mem::take(&mut self.slots[slot]);
        let end = row.len.min(begin + MOVED_AT_ONCE);
        for at in begin..end {
            if let Some(later) = row.get(at + FETCHED_AHEAD) {
                prefetch::<1, _>(later.timer);
            }
            if let Some(entry) = row.get(at) {
                // SAFETY: under the lock; timers in the wheel are alive, and this entry says nothing any more.
                unsafe {
                    if entry.deadline >> TICK_BITS == self.tick {
                        self.push(first_slot, entry);
                    } else {
                        self.place(entry.timer, entry.deadline);
                    }
                }
            }
        }
        let is_done = end == row.len;
        if is_done {
            row.clear();
        }
        self.slots[slot] = row;
        self.emptying = (!is_done).then_some((slot, end));
        if is_done {
            self.empty_lowest(first_slot);
        }
        is_done
    }
    /// Not later than the next deadline.
    fn next(&self) -> u64 {
        if self.count == 0 {
            return u64::MAX;
        }
        // SAFETY: the first of the ring is alive, if it is not its head.
        let due = unsafe {
            let first = (*self.current).next;
            (first != self.current).then(|| (*first).deadline())
        };
        let slot = match (self.emptying, due) {
            (Some(_), _) => Some(self.tick),
            // What is in slots is later.
            (None, Some(_)) => None,
            (None, None) => self.next_slot().map(|(_, _, tick)| tick),
        };
        let slot = slot.map_or(u64::MAX, |tick| tick << TICK_BITS);
        due.map_or(slot, |due| due.min(slot))
    }
    fn clear(&mut self) {
        // SAFETY: under the lock; timers in the wheel are alive.
        let forget = |timer: *mut Waiter| unsafe {
            (*timer).clear_deadline();
            if (*timer).kind() == NodeKind::Scope {
                drop(Scope::of_timer(timer));
            }
        };
        let moved = self.emptying.take();
        for (i, slot) in self.slots.iter_mut().enumerate() {
            let begin = moved
                .filter(|moved| moved.0 == i)
                .map_or(0, |moved| moved.1);
            for entry in slot.iter().skip(begin) {
                // SAFETY: as above.
                unsafe { (*entry.timer).set_place(0) };
                forget(entry.timer);
            }
            slot.clear();
        }
        // SAFETY: as above; a ring leads to itself at least.
        unsafe {
            while !std::ptr::eq((*self.current).next, self.current) {
                let first = (*self.current).next;
                unlink(first);
                forget(first);
            }
        }
    }
}

impl Drop for Wheel {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: made by `new`.
        drop(unsafe { Box::from_raw(self.current) });
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
            self.shard.fire(now, usize::MAX, &mut fired);
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

    /// Numbers as in `like_a_sorted_list`.
    fn random_numbers(mut seed: u64) -> impl FnMut() -> u64 {
        move || {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            seed >> 33
        }
    }

    /// As `Model`, for many timers.
    struct Sorted {
        shard: Shard,
        /// By deadline, then by number.
        set: std::collections::BTreeSet<(u64, usize)>,
        scopes: Vec<(u64, Arc<Scope>)>,
        numbers: std::collections::HashMap<*const Scope, usize>,
        now: u64,
    }

    impl Sorted {
        fn new() -> Sorted {
            Sorted {
                shard: Shard::default(),
                set: Default::default(),
                scopes: Vec::new(),
                numbers: Default::default(),
                now: 0,
            }
        }
        fn add(&mut self, deadline: u64) {
            let scope = Scope::for_tests();
            // SAFETY: the scope lives as long as the model.
            unsafe { scope.set_timer(&self.shard, deadline, self.now) };
            let number = self.scopes.len();
            self.numbers.insert(Arc::as_ptr(&scope), number);
            self.set.insert((deadline, number));
            self.scopes.push((deadline, scope));
        }
        fn remove(&mut self, number: usize) {
            let (deadline, scope) = &self.scopes[number];
            let is_there = self.set.remove(&(*deadline, number));
            // SAFETY: set by `add`.
            assert_eq!(unsafe { scope.remove_timer() }, is_there);
        }
        /// How many fired.
        fn fire(&mut self, now: u64, most: usize) -> usize {
            self.now = now;
            let mut fired = Fired::default();
            self.shard.fire(now, most, &mut fired);
            assert!(fired.scopes.len() <= most);
            for scope in &fired.scopes {
                let number = self.numbers[&Arc::as_ptr(scope)];
                let deadline = self.scopes[number].0;
                assert!(deadline <= now, "not before its time");
                assert_eq!(self.set.first().map(|first| first.0), Some(deadline));
                assert!(self.set.remove(&(deadline, number)), "not twice");
            }
            match self.set.first() {
                Some(first) => assert!(self.shard.next() <= first.0),
                None => assert_eq!(self.shard.next(), u64::MAX),
            }
            fired.scopes.len()
        }
    }

    /// Big slots move in pieces; meanwhile timers are set and taken out, and few fire at a time.
    #[test]
    fn many_in_one_slot_and_few_at_once() {
        for seed in 0..6 {
            let mut random = random_numbers(seed);
            let mut model = Sorted::new();
            // All of one slot, two levels up or three, at few or at many times; some elsewhere.
            let (begin, width) = if seed % 2 == 0 {
                (1 << 30, 1 << 28)
            } else {
                (3 << 34, 1 << 34)
            };
            let step = if seed % 3 == 0 { width / 64 } else { 1 << 10 };
            let in_slot = MOVED_AT_ONCE + MOVED_AT_ONCE / 2 + random() as usize % (2 * PIECE);
            for _ in 0..in_slot {
                model.add(begin + random() % (width / step) * step);
            }
            for _ in 0..500 {
                let distance = random() << (random() % 20);
                model.add(distance);
            }
            // Down to the boundaries of pieces, and up again.
            for _ in 0..3 * PIECE {
                model.remove(random() as usize % model.scopes.len());
            }
            model.add(u64::MAX);
            let mut without_any = 0;
            while !model.set.is_empty() {
                let first = model.set.first().map_or(0, |first| first.0);
                let now = match random() % 8 {
                    0 => model.now,
                    1..6 => first.saturating_add(random() % (1 << 20)),
                    6 => model.now.saturating_add(random() << (random() % 12)),
                    // A carrier whose clock was read earlier.
                    _ => model.now.saturating_sub(random() % (1 << 20)),
                };
                let is_due = first <= now;
                let most = [1, 4, 100, 256, 1000][random() as usize % 5];
                match model.fire(now, most) {
                    0 if is_due => without_any += 1,
                    _ => without_any = 0,
                }
                assert!(without_any < 10, "something fires");
                for _ in 0..random() % 40 {
                    // Among them such as have fired.
                    let number = random() as usize % model.scopes.len();
                    model.remove(number);
                }
                if model.scopes.len() < 2 * in_slot {
                    for _ in 0..random() % 30 {
                        let distance = random() >> (random() % 31);
                        let past = random() % 1000;
                        model.add(model.now.saturating_add(distance).saturating_sub(past));
                    }
                }
            }
            assert!(
                model
                    .scopes
                    .iter()
                    .all(|(_, scope)| Arc::strong_count(scope) == 1)
            );
        }
    }

    /// The wheel is dropped while a slot is moved.
    #[test]
    fn cleared_while_a_slot_is_moved() {
        let mut model = Sorted::new();
        for i in 0..2 * MOVED_AT_ONCE as u64 + 10 {
            model.add((1 << 30) + i % 100 * (1 << 20));
        }
        assert_eq!(model.fire(1 << 30, 1), 0);
        for number in (0..model.scopes.len()).step_by(3) {
            model.remove(number);
        }
        model.shard.clear();
        assert!(
            model
                .scopes
                .iter()
                .all(|(_, scope)| Arc::strong_count(scope) == 1)
        );
        for (_, scope) in &model.scopes {
            // SAFETY: set by `add`.
            assert!(unsafe { !scope.remove_timer() });
        }
    }

    /// Where a slot of a higher level begins, those of its first tick come in no order.
    #[test]
    fn many_in_the_first_tick_of_a_slot() {
        let mut model = Sorted::new();
        let count = 30_000;
        for i in 0..count {
            model.add((1 << 30) + count - i);
        }
        // One that comes while others move is not in front of them.
        assert_eq!(model.fire(1 << 31, 256), 0);
        model.add((1 << 30) + count / 2);
        while !model.set.is_empty() {
            model.fire(1 << 31, 256);
        }
    }
}
