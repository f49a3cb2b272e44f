//! Every thread that has not ended: what reports and requests go through, and what keeps a thread alive.
//!
//! Each carrier has a part of its own, for the threads that were started on it, so that a million starts and ends on several carriers do not take turns at one lock.

use super::block::ThreadBlock;
use crate::counted::Counted;
use crate::sync::{AtomicU64, Lock, Ordering, mutation};

/// One carrier's part.
#[derive(Default)]
pub(crate) struct Part {
    threads: Lock<Table>,
    /// Threads that the program waits for: how many were started on this carrier, and how many have ended (or were detached) on it. Only that carrier writes them.
    started: AtomicU64,
    ended: AtomicU64,
    /// How many are in `threads`, to be read without the lock.
    count: AtomicU64,
}

/// Threads at places that they keep, nearly always: who goes leaves a gap for the next one, and no other thread, which is in no cache, is told of a new place.
#[derive(Default)]
struct Table {
    places: Vec<Option<Counted<ThreadBlock>>>,
    gaps: Vec<usize>,
}

impl Table {
    fn len(&self) -> usize {
        self.places.len() - self.gaps.len()
    }
    /// `tell`: it has this place.
    fn add(&mut self, block: Counted<ThreadBlock>, tell: impl FnOnce(&ThreadBlock, usize)) {
        let gap = self.gaps.pop();
        tell(&block, gap.unwrap_or(self.places.len()));
        match gap {
            Some(at) => self.places[at] = Some(block),
            None => self.places.push(Some(block)),
        }
    }
    /// Takes out what is there. `true`: there are many gaps.
    fn remove(&mut self, at: usize) -> (Option<Counted<ThreadBlock>>, bool) {
        let taken = self.places[at].take();
        self.gaps.push(at);
        let has_gaps = self.places.len() > MOST_KEPT && self.len() < self.places.len() / 4;
        (taken, has_gaps)
    }
    /// Closes the gaps; `tell`: a thread has a new place.
    fn close_gaps(&mut self, mut tell: impl FnMut(&ThreadBlock, usize)) {
        self.places.retain(Option::is_some);
        for (at, block) in self.places.iter().flatten().enumerate() {
            tell(block, at);
        }
        self.gaps = Vec::new();
        let room = 2 * self.places.len();
        self.places.shrink_to(room);
    }
    fn iter(&self) -> impl Iterator<Item = &Counted<ThreadBlock>> {
        self.places.iter().flatten()
    }
}

/// Where in its part a thread is, and which part: `part:16 | index:48`; `NOWHERE`: in none.
const INDEX_BITS: u32 = 48;
/// Larger tables shrink with what is in them.
const MOST_KEPT: usize = 1024;
pub(super) const NOWHERE: u64 = u64::MAX;

impl Part {
    /// A thread begins that the program waits for, or the program waits for one again. For the carrier whose part this is.
    pub(super) fn note_start(&self) {
        self.started
            .store(self.started.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
    /// A thread begins. `is_solo`: see `sched::solo`.
    pub(super) fn add(&self, number: usize, block: Counted<ThreadBlock>, is_solo: bool) {
        self.note_start();
        let mut threads = self.threads.lock_where(is_solo);
        threads.add(block, |block, at| {
            let place = place_of(number as u64, at);
            block.registered.store(place, Ordering::Relaxed);
        });
        self.count.store(threads.len() as u64, Ordering::Relaxed);
    }
    /// A thread that the program waits for has ended, or the program does not wait for it any more. For the carrier whose part this is.
    pub(super) fn note_end(&self) {
        self.ended
            .store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
    pub(super) fn clone_to(&self, all: &mut Vec<Counted<ThreadBlock>>) {
        all.extend(self.threads.lock().iter().cloned());
    }
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed) as usize
    }
    /// Forgets all threads.
    pub(super) fn clear(&self) -> Vec<Counted<ThreadBlock>> {
        self.started.store(0, Ordering::Relaxed);
        self.ended.store(0, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        let table = std::mem::take(&mut *self.threads.lock());
        let threads: Vec<_> = table.places.into_iter().flatten().collect();
        threads.iter().for_each(|block| block.note_unregistered());
        threads
    }
}

fn place_of(part: u64, at: usize) -> u64 {
    part << INDEX_BITS | at as u64
}

/// Takes a thread out; `None`: it was in no part. `is_solo`: see `sched::solo`.
pub(super) fn remove<'a>(
    block: &ThreadBlock,
    part_of: impl FnOnce(usize) -> &'a Part,
    is_solo: bool,
) -> Option<Counted<ThreadBlock>> {
    let place = block.registered.load(Ordering::Relaxed);
    if place == NOWHERE {
        return None;
    }
    // The part stays what it is; the index may change until the lock is held, by removals that close gaps.
    let number = place >> INDEX_BITS;
    let part = part_of(number as usize);
    let mut threads = part.threads.lock_where(is_solo);
    let place = block.registered.load(Ordering::Relaxed);
    if place == NOWHERE {
        // Somebody else has taken it out: the host's thread ends again if it is cancelled at its end.
        return None;
    }
    block.registered.store(NOWHERE, Ordering::Relaxed);
    let at = (place & ((1 << INDEX_BITS) - 1)) as usize;
    let (taken, has_gaps) = threads.remove(at);
    debug_assert!(
        taken
            .as_deref()
            .is_some_and(|taken| std::ptr::eq(taken, block))
    );
    part.count.store(threads.len() as u64, Ordering::Relaxed);
    if has_gaps {
        threads.close_gaps(|block, at| {
            let place = place_of(number, at);
            block.registered.store(place, Ordering::Relaxed);
        });
    }
    taken
}

/// Whether no thread is left that the program waits for.
///
/// First all ends are added up, then all starts. Both only grow, and a thread's start is counted before its end. So if the sums are equal, then at the time between, as many had
/// started as had ended; and with none left, none can start.
pub(super) fn is_empty<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> bool {
    let acquire = mutation!("ends_relaxed", Ordering::Acquire, Ordering::Relaxed);
    let ended = parts.clone().map(|part| part.ended.load(acquire));
    let started = parts.map(|part| part.started.load(Ordering::Acquire));
    mutation!(
        "starts_first",
        ended.sum::<u64>() == started.sum(),
        started.sum::<u64>() == ended.sum()
    )
}
