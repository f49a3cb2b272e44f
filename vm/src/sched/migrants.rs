//! `--stress=migrate`: a thread that has used up its slice is mounted next by another carrier, so by another OS thread.
//!
//! Such threads wait here, not in a carrier's queues, and a carrier takes none that it has put here itself. If there is only one carrier, since the system gave no more, it takes
//! all.

use super::queues::{Queued, Taken};
use super::{Own, Scheduler, ThreadBlock};
use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::ThreadId;

/// See the head of the file.
#[derive(Default)]
pub(super) struct Migrants {
    waiting: Mutex<VecDeque<Migrant>>,
    /// As many as `waiting`: to be read without the lock.
    count: AtomicUsize,
    changes: AtomicU64,
}

struct Migrant {
    queued: Queued,
    /// The carrier that ran it, and that carrier's OS thread.
    from: usize,
    os_thread: ThreadId,
}

impl Migrants {
    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }
    /// Whether there is one that this carrier, one of so many, may take.
    pub(super) fn has_for(&self, number: usize, carriers: usize) -> bool {
        let may_take = |migrant: &Migrant| migrant.from != number || carriers < 2;
        !self.is_empty() && self.waiting.lock().iter().any(may_take)
    }
    pub(super) fn take(&self, number: usize, carriers: usize) -> Option<Taken> {
        if self.is_empty() {
            return None;
        }
        let mut waiting = self.waiting.lock();
        let may_take = |migrant: &Migrant| migrant.from != number || carriers < 2;
        let at = waiting.iter().position(may_take)?;
        let migrant = waiting.remove(at)?;
        self.count.store(waiting.len(), Ordering::Release);
        drop(waiting);
        if carriers >= 2 {
            let here = std::thread::current().id();
            assert_ne!(here, migrant.os_thread, "the OS thread changes");
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        Some(Taken {
            block: migrant.queued.0,
            goes_on: false,
        })
    }
    pub(super) fn clear(&self) {
        self.waiting.lock().clear();
        self.count.store(0, Ordering::Release);
    }
    /// How often a thread went on on another OS thread.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

impl Scheduler {
    /// A thread used up its slice on this carrier.
    #[cold]
    pub(super) fn enqueue_migrant(self: &Arc<Self>, own: &Own, block: *const ThreadBlock) {
        {
            let mut waiting = self.migrants.waiting.lock();
            waiting.push_back(Migrant {
                queued: Queued(block),
                from: own.number,
                os_thread: std::thread::current().id(),
            });
            self.migrants.count.store(waiting.len(), Ordering::Release);
        }
        self.wake_all_carriers();
    }
}
