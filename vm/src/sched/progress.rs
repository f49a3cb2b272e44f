//! Whether carriers get on, and what becomes of natives that hold one for longer than `--blocking-warn`.
//!
//! A carrier counts up a word of its own when a native ends, at each safepoint, and when it begins to run a thread. The watchdog (`sched::capture`) looks at these words now and then; one that has not changed for so
//! long, though its carrier runs, stands for a native that is under way (between two safepoints without natives there are some microseconds of script). It sets a mark beside the
//! word. The carrier finds the mark when that native ends: only then, and by the carrier, can the script's stack be read.
//!
//! What does not count: calls that went through `Ctx::block`, collections, and time in which the system gave the processor to others.
//!
//! These words are no part of any protocol that lets tasks wait and wake, so models do not see them.

use super::Scheduler;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a carrier tells of itself.
#[derive(Default)]
pub(crate) struct Progress {
    /// Written by the carrier only.
    stamp: AtomicU32,
    /// The native that runs now is overdue. Set by the watchdog, cleared by the carrier.
    is_overdue: AtomicBool,
    /// It runs script or natives, and nothing that may take long.
    is_running: AtomicBool,
    /// Its OS thread, as the system calls it; 0: not known.
    os_thread: AtomicU32,
    /// When the watchdog first saw that it does not get on, in nanoseconds of `Scheduler::now`, and how long the OS thread had waited for a processor by then.
    since: AtomicU64,
    waited: AtomicU64,
}

impl Progress {
    /// A native has ended; whether it was overdue.
    #[inline(always)]
    pub(crate) fn step(&self) -> bool {
        let stamp = self.stamp.load(Ordering::Relaxed);
        self.stamp.store(stamp.wrapping_add(1), Ordering::Relaxed);
        self.is_overdue.load(Ordering::Relaxed)
    }
    /// It gets on without a native: what was overdue before was none.
    #[inline]
    pub(crate) fn pass(&self) {
        if self.step() {
            self.is_overdue.store(false, Ordering::Relaxed);
        }
    }
    /// It begins to run something.
    #[inline]
    pub(crate) fn begin(&self) {
        self.pass();
        self.is_running.store(true, Ordering::Relaxed);
    }
    /// From now on it may take its time.
    #[inline]
    pub(crate) fn pause(&self) {
        self.is_running.store(false, Ordering::Relaxed);
    }
    /// The calling OS thread is the carrier's.
    pub(crate) fn note_os_thread(&self) {
        #[cfg(target_os = "linux")]
        self.os_thread.store(
            rustix::thread::gettid().as_raw_nonzero().get() as u32,
            Ordering::Relaxed,
        );
    }
    /// How long its OS thread has waited for a processor; 0 where the system does not say.
    fn waited_ns(&self) -> u64 {
        let number = self.os_thread.load(Ordering::Relaxed);
        let known = match number {
            0 => None,
            n => std::fs::read_to_string(format!("/proc/self/task/{n}/schedstat")).ok(),
        };
        // Time on a processor, time of waiting for one, turns.
        let waited = known.and_then(|text| text.split(' ').nth(1)?.parse().ok());
        waited.unwrap_or(0)
    }
    /// The mark, taken away: how long the native that has ended now held the carrier.
    pub(crate) fn take_overdue(&self, now: u64) -> Duration {
        self.is_overdue.store(false, Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        let waited = self.waited_ns();
        let waited = waited.saturating_sub(self.waited.load(Ordering::Relaxed));
        Duration::from_nanos(now.saturating_sub(since).saturating_sub(waited))
    }
}

/// What the watchdog remembers of a carrier.
#[derive(Clone, Copy, Default)]
pub(super) struct Look {
    stamp: u32,
    since: Option<Instant>,
}

impl Scheduler {
    /// Looks at all carriers; whether any of them runs.
    pub(super) fn look_at_progress(
        self: &Arc<Self>,
        looks: &mut Vec<Look>,
        most: Duration,
    ) -> bool {
        let mut is_any_running = false;
        for (i, slot) in self.slots().enumerate() {
            if i == looks.len() {
                looks.push(Look::default());
            }
            let progress = &slot.queues.progress;
            if !progress.is_running.load(Ordering::Relaxed) {
                looks[i].since = None;
                continue;
            }
            is_any_running = true;
            let stamp = progress.stamp.load(Ordering::Relaxed);
            let look = &mut looks[i];
            if look.stamp != stamp {
                *look = Look { stamp, since: None };
                continue;
            }
            match look.since {
                None => {
                    let waited = progress.waited_ns();
                    progress.waited.store(waited, Ordering::Relaxed);
                    progress.since.store(self.now(), Ordering::Relaxed);
                    look.since = Some(Instant::now());
                }
                Some(since) if since.elapsed() >= most => {
                    progress.is_overdue.store(true, Ordering::Relaxed);
                }
                Some(_) => {}
            }
        }
        is_any_running
    }
}
