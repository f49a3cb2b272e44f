//! Every thread that has not ended: what reports and requests go through, and what keeps a thread alive.
//!
//! Each carrier has a part of its own, for the threads that were started on it, so that a million starts and ends on several carriers do not take turns at one lock.

use super::block::ThreadBlock;
use crate::sync::{AtomicU64, Lock, Ordering, mutation};
use std::sync::Arc;

/// One carrier's part.
#[derive(Default)]
pub(crate) struct Part {
    threads: Lock<Vec<Arc<ThreadBlock>>>,
    /// Threads that the program waits for: how many were started on this carrier, and how many have ended (or were detached) on it. Only that carrier writes them.
    started: AtomicU64,
    ended: AtomicU64,
    /// Length of `threads`, to be read without the lock.
    count: AtomicU64,
}

/// Where in its part a thread is, and which part: `part:16 | index:48`; `NOWHERE`: in none.
const INDEX_BITS: u32 = 48;
/// Larger tables shrink with what is in them.
const MOST_KEPT: usize = 1024;
pub(super) const NOWHERE: u64 = u64::MAX;

impl Part {
    /// A thread begins.
    pub(super) fn add(&self, number: usize, block: Arc<ThreadBlock>) {
        self.started
            .store(self.started.load(Ordering::Relaxed) + 1, Ordering::Release);
        let mut threads = self.threads.lock();
        let place = (number as u64) << INDEX_BITS | threads.len() as u64;
        block.registered.store(place, Ordering::Relaxed);
        threads.push(block);
        self.count.store(threads.len() as u64, Ordering::Relaxed);
    }
    /// A thread that the program waits for has ended, or the program does not wait for it any more. For the carrier whose part this is.
    pub(super) fn note_end(&self) {
        self.ended
            .store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
    pub(super) fn clone_to(&self, all: &mut Vec<Arc<ThreadBlock>>) {
        all.extend(self.threads.lock().iter().cloned());
    }
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed) as usize
    }
    /// Forgets all threads.
    pub(super) fn clear(&self) -> Vec<Arc<ThreadBlock>> {
        self.started.store(0, Ordering::Relaxed);
        self.ended.store(0, Ordering::Relaxed);
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.threads.lock())
    }
}

/// Takes a thread out; `None`: it was in no part.
pub(super) fn remove<'a>(
    block: &ThreadBlock,
    part_of: impl FnOnce(usize) -> &'a Part,
) -> Option<Arc<ThreadBlock>> {
    let place = block.registered.load(Ordering::Relaxed);
    if place == NOWHERE {
        return None;
    }
    // The part stays what it is; the index may change until the lock is held, by removals that fill a gap with this thread.
    let number = place >> INDEX_BITS;
    let part = part_of(number as usize);
    let mut threads = part.threads.lock();
    let place = block.registered.load(Ordering::Relaxed);
    block.registered.store(NOWHERE, Ordering::Relaxed);
    let at = (place & ((1 << INDEX_BITS) - 1)) as usize;
    let taken = threads.swap_remove(at);
    debug_assert!(std::ptr::eq(&*taken, block));
    part.count.store(threads.len() as u64, Ordering::Relaxed);
    if threads.len() < threads.capacity() / 4 && threads.capacity() > MOST_KEPT {
        let room = 2 * threads.len();
        threads.shrink_to(room);
    }
    if let Some(moved) = threads.get(at) {
        moved
            .registered
            .store(number << INDEX_BITS | at as u64, Ordering::Relaxed);
    }
    Some(taken)
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
