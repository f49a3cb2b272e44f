//! Where runnable threads wait for a carrier: two queues for each carrier, and the injector for what comes from elsewhere.
//!
//! A carrier runs threads that woke, one after the other, for a slice in all; then one thread that used up a slice has its turn, for another one; and so on. So
//! who is busy gets half of the time, however many talk to each other, and these the other half, however little each of them does when it has its turn.
//!
//! The only file that knows `crossbeam_deque`. Queued threads are kept alive by the registry: a thread in a queue cannot end.

use super::block::ThreadBlock;
use super::progress::Progress;
use super::reactor::Found;
#[cfg(not(loom))]
pub(super) use crossbeam_deque::Injector;
#[cfg(not(loom))]
use crossbeam_deque::{Steal, Stealer, Worker};
#[cfg(loom)]
pub(super) use stand_in::Injector;
#[cfg(loom)]
use stand_in::{Steal, Stealer, Worker};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Every so many turns a carrier looks around before it takes the next thread: the turns between are those of `take_at_once`.
const LOOKS_EVERY: u32 = 8;
/// Every so many turns it looks into the injector first. As the next one, a multiple of `LOOKS_EVERY`.
const INJECTED_EVERY: u32 = 64;

/// Every so many turns it looks at the system, besides at the end of each slice.
const SYSTEM_EVERY: u32 = 32;
const _: () =
    assert!(INJECTED_EVERY.is_multiple_of(LOOKS_EVERY) && SYSTEM_EVERY.is_multiple_of(LOOKS_EVERY));

/// A runnable thread.
#[derive(Clone, Copy)]
pub(crate) struct Queued(pub(crate) *const ThreadBlock);
// SAFETY: blocks may be used from everywhere.
unsafe impl Send for Queued {}

/// Threads that come from elsewhere than a carrier.
pub(super) type Injected = Injector<Queued>;

/// A carrier's own ends of its queues.
pub(crate) struct Own {
    /// Threads that woke or were started, first in, first out.
    woken: Worker<Queued>,
    /// The first of these, or null: as long as there is no other carrier (see `solo`), it need not go through the queue.
    next: Arc<AtomicPtr<ThreadBlock>>,
    /// Threads that used up a slice.
    spent: Worker<Queued>,
    /// What was taken last comes from `spent`.
    runs_spent: Cell<bool>,
    /// A slice of those that woke is over.
    is_spent_due: Cell<bool>,
    turn: u32,
    /// In so many turns on end there was one carrier too many: see `Scheduler::is_surplus`.
    pub(super) surplus: u32,
    /// Which carrier it is.
    pub(crate) number: usize,
    /// What it found in a poll and has not acted upon yet.
    pub(super) found: Vec<Found>,
    /// What it tells of itself.
    pub(crate) progress: Arc<Progress>,
}

/// What other carriers see of them.
pub(super) struct Others {
    /// Left from the time before there were others.
    next: Arc<AtomicPtr<ThreadBlock>>,
    woken: Stealer<Queued>,
    spent: Stealer<Queued>,
    pub(super) progress: Arc<Progress>,
}

/// What a carrier takes next, and whether it goes on with the slice of who ran before.
pub(crate) struct Taken {
    pub(crate) block: *const ThreadBlock,
    pub(crate) goes_on: bool,
}

impl Own {
    pub(super) fn new(number: usize) -> (Own, Others) {
        let (woken, spent) = (Worker::new_fifo(), Worker::new_fifo());
        let progress = Arc::<Progress>::default();
        let next = Arc::<AtomicPtr<ThreadBlock>>::default();
        let others = Others {
            next: next.clone(),
            woken: woken.stealer(),
            spent: spent.stealer(),
            progress: progress.clone(),
        };
        let own = Own {
            woken,
            next,
            spent,
            runs_spent: Cell::new(false),
            is_spent_due: Cell::new(false),
            turn: 0,
            surplus: 0,
            number,
            found: Vec::new(),
            progress,
        };
        (own, others)
    }
    /// Stands for those that were given away.
    pub(crate) fn nothing() -> Own {
        Own::new(usize::MAX).0
    }
    /// Gives whether there are several now.
    #[inline]
    pub(super) fn push_woken(&self, block: *const ThreadBlock, is_solo: bool) -> bool {
        if is_solo && self.is_woken_empty() {
            // Who is started later sees it.
            self.next.store(block.cast_mut(), Ordering::Relaxed);
            return !self.spent.is_empty();
        }
        self.woken.push(Queued(block));
        self.len() > 1
    }
    /// The first that woke.
    #[inline]
    fn pop_woken(&self, is_solo: bool) -> Option<Queued> {
        let mut next = self.next.load(Ordering::Relaxed);
        if next.is_null() {
            return self.woken.pop();
        }
        match is_solo {
            true => self.next.store(std::ptr::null_mut(), Ordering::Relaxed),
            false => next = self.next.swap(std::ptr::null_mut(), Ordering::AcqRel),
        }
        match next.is_null() {
            // Somebody else was faster.
            true => self.woken.pop(),
            false => Some(Queued(next)),
        }
    }
    #[inline]
    fn is_woken_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed).is_null() && self.woken.is_empty()
    }
    /// A slice is over. `is_late`: the thread had less than half of it, as it woke when others had had their part; so it waits among those that woke.
    #[inline]
    pub(super) fn push_spent(&self, block: *const ThreadBlock, is_late: bool) {
        self.is_spent_due.set(!self.runs_spent.get());
        match is_late {
            true => self.woken.push(Queued(block)),
            false => self.spent.push(Queued(block)),
        }
    }
    pub(super) fn len(&self) -> usize {
        self.len_woken() + self.spent.len()
    }
    pub(super) fn len_woken(&self) -> usize {
        self.woken.len() + usize::from(!self.next.load(Ordering::Relaxed).is_null())
    }
    /// The next of its own.
    pub(super) fn pop(&self) -> Option<Queued> {
        self.pop_woken(false).or_else(|| self.spent.pop())
    }
    /// Every so many turns: before the next one.
    #[inline]
    pub(super) fn looks_at_system(&self) -> bool {
        self.turn.wrapping_add(1).is_multiple_of(SYSTEM_EVERY)
    }
    /// The first that woke here, unless it is the turn of others. `is_solo`: see `solo`.
    #[inline]
    pub(super) fn take_at_once(&mut self, is_solo: bool) -> Option<Queued> {
        let turn = self.turn.wrapping_add(1);
        if turn.is_multiple_of(LOOKS_EVERY) || !self.found.is_empty() || self.is_spent_due.get() {
            return None;
        }
        let queued = self.pop_woken(is_solo)?;
        self.runs_spent.set(false);
        self.turn = turn;
        Some(queued)
    }
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.is_woken_empty() && self.spent.is_empty()
    }
    /// The next of its own and of the injector.
    pub(super) fn take(&mut self, injector: &Injected) -> Option<Taken> {
        self.turn = self.turn.wrapping_add(1);
        self.runs_spent.set(false);
        // Those that come from elsewhere, too: if each began a slice, and did little, none would ever be over, and nobody who is busy had a turn.
        let next = |queued: Queued| Taken {
            block: queued.0,
            goes_on: true,
        };
        let spent = |queued: Queued| Taken {
            block: queued.0,
            goes_on: false,
        };
        if self.turn.is_multiple_of(INJECTED_EVERY)
            && let Some(queued) = self.take_injected(injector)
        {
            return Some(next(queued));
        }
        if self.is_spent_due.take()
            && let Some(queued) = self.take_spent()
        {
            return Some(spent(queued));
        }
        if !self.is_woken_empty()
            && let Some(queued) = self.pop_woken(false)
        {
            return Some(next(queued));
        }
        if let Some(queued) = self.take_injected(injector) {
            return Some(next(queued));
        }
        self.take_spent().map(spent)
    }
    fn take_spent(&self) -> Option<Queued> {
        if self.spent.is_empty() {
            return None;
        }
        self.runs_spent.set(true);
        self.spent.pop()
    }
    fn take_injected(&self, injector: &Injected) -> Option<Queued> {
        if injector.is_empty() {
            return None;
        }
        loop {
            match injector.steal_batch_and_pop(&self.woken) {
                Steal::Success(queued) => return Some(queued),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }
    /// Takes half of what another carrier has.
    pub(super) fn steal_from(&self, other: &Others) -> Option<Taken> {
        if !other.next.load(Ordering::Relaxed).is_null() {
            let next = other.next.swap(std::ptr::null_mut(), Ordering::AcqRel);
            if !next.is_null() {
                return Some(Taken {
                    block: next,
                    goes_on: false,
                });
            }
        }
        for (from, to) in [(&other.woken, &self.woken), (&other.spent, &self.spent)] {
            loop {
                match from.steal_batch_and_pop(to) {
                    Steal::Success(queued) => {
                        return Some(Taken {
                            block: queued.0,
                            goes_on: false,
                        });
                    }
                    Steal::Empty => break,
                    Steal::Retry => {}
                }
            }
        }
        None
    }
    /// Takes out all that there is to run: what woke, what used up its slice, what comes from elsewhere.
    pub(super) fn drain(&mut self, injector: &Injected, mut to: impl FnMut(Queued)) {
        while let Some(queued) = self.pop_woken(false).or_else(|| self.spent.pop()) {
            to(queued);
        }
        while !injector.is_empty() {
            if let Steal::Success(queued) = injector.steal() {
                to(queued);
            }
        }
    }
    /// Empties the queues.
    pub(super) fn clear(&mut self) {
        while self.pop_woken(false).is_some() || self.spent.pop().is_some() {}
    }
}

impl Others {
    pub(super) fn is_empty(&self) -> bool {
        self.next.load(Ordering::Relaxed).is_null()
            && self.woken.is_empty()
            && self.spent.is_empty()
    }
}

/// What `crossbeam_deque` guarantees, for models: who takes an element sees what was written before it was pushed; `is_empty` and `len` may be answered by
/// older states, as far as nothing else orders them.
#[cfg(loom)]
mod stand_in {
    use crate::sync::{AtomicUsize, Mutex, Ordering};
    use std::collections::VecDeque;
    use std::sync::Arc;

    pub(in crate::sched) struct Injector<T> {
        elements: Mutex<VecDeque<T>>,
        count: AtomicUsize,
    }
    pub(super) struct Worker<T>(Arc<Injector<T>>);
    pub(super) struct Stealer<T>(Arc<Injector<T>>);
    pub(in crate::sched) enum Steal<T> {
        Success(T),
        Empty,
        #[expect(dead_code, reason = "the library's may lose a race")]
        Retry,
    }

    impl<T> Injector<T> {
        pub(in crate::sched) fn new() -> Injector<T> {
            Injector {
                elements: Mutex::new(VecDeque::new()),
                count: AtomicUsize::new(0),
            }
        }
        pub(in crate::sched) fn push(&self, element: T) {
            let mut elements = self.elements.lock();
            elements.push_back(element);
            self.count.fetch_add(1, Ordering::Release);
        }
        fn pop(&self) -> Option<T> {
            if self.is_empty() {
                return None;
            }
            let mut elements = self.elements.lock();
            let element = elements.pop_front();
            if element.is_some() {
                self.count.fetch_sub(1, Ordering::AcqRel);
            }
            element
        }
        pub(in crate::sched) fn steal(&self) -> Steal<T> {
            self.pop().map_or(Steal::Empty, Steal::Success)
        }
        pub(in crate::sched) fn is_empty(&self) -> bool {
            self.count.load(Ordering::Acquire) == 0
        }
        pub(super) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            let taken = self.steal();
            if self.count.load(Ordering::Acquire) > 1
                && let Steal::Success(more) = self.steal()
            {
                to.push(more);
            }
            taken
        }
    }
    impl<T> Worker<T> {
        pub(super) fn new_fifo() -> Worker<T> {
            Worker(Arc::new(Injector::new()))
        }
        pub(super) fn stealer(&self) -> Stealer<T> {
            Stealer(self.0.clone())
        }
        pub(super) fn push(&self, element: T) {
            self.0.push(element);
        }
        pub(super) fn pop(&self) -> Option<T> {
            self.0.pop()
        }
        pub(super) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        pub(super) fn len(&self) -> usize {
            self.0.count.load(Ordering::Acquire)
        }
    }
    impl<T> Stealer<T> {
        pub(super) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
        pub(super) fn steal_batch_and_pop(&self, to: &Worker<T>) -> Steal<T> {
            self.0.steal_batch_and_pop(to)
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn block(address: usize) -> *const ThreadBlock {
        std::ptr::without_provenance(address)
    }

    #[test]
    fn what_woke_before_there_were_others_comes_first_and_can_be_stolen() {
        let (own, others) = Own::new(0);
        assert!(others.is_empty());
        for address in [8, 16, 24] {
            own.push_woken(block(address), true);
        }
        assert!(!others.is_empty() && !own.is_empty() && own.len() == 3);
        assert_eq!(own.pop().map(|queued| queued.0), Some(block(8)));
        // From now on others are there.
        own.push_woken(block(32), false);
        let (thief, _) = Own::new(1);
        let stolen = thief.steal_from(&others).map(|taken| taken.block);
        assert_eq!(stolen, Some(block(16)));

        let (mut own, others) = Own::new(0);
        own.push_woken(block(8), true);
        own.push_woken(block(16), false);
        let stolen = thief.steal_from(&others).map(|taken| taken.block);
        assert_eq!(stolen, Some(block(8)));
        assert_eq!(
            own.take_at_once(false).map(|queued| queued.0),
            Some(block(16))
        );
        assert!(own.is_empty() && others.is_empty() && own.pop().is_none());
    }
}
