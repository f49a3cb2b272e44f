//! Whether one OS thread alone touches what carriers share.
//!
//! An atomic read-modify-write operation takes some twenty cycles even if nobody else is there, and waits for all stores before it; the start and end of a thread had a dozen of them.
//! Most programs with a few threads never need a second carrier, nor do hosts that ask for one. As long as that is so, the words and locks of threads are changed by ordinary loads
//! and stores (`Signal::push`, `Lock::lock_where`, …), which do the same.
//!
//! Why that is safe: a program begins solo, and the one carrier that there is ends that, for good, *before* anything can make another OS thread touch these words and locks: it is
//! about to start a carrier, to be held by a captured call (so that the watchdog may start one), to give a job to a worker, or to serve a host that others may call. So an ordinary
//! load and its store have nobody between them, and come before the start of the other OS thread, in whose eyes they are done. (A lock that the carrier holds meanwhile is marked as
//! held, so the other one waits for it.) The watchdog itself looks at nothing but `Progress` and `Held`. What is dropped where no carrier is at hand (`wake_without_thread`)
//! is dropped by the carrier's own OS thread, or after its program. The host may move its machine from one OS thread to another between two runs: what it does to move it orders these.
//!
//! What scripts share belongs to one scheduler, since an engine has one host (`Engine::take_host`). Models know no solo.

use super::Scheduler;
use crate::sync::Ordering;

impl Scheduler {
    /// No other OS thread than the caller's, a carrier, touches what carriers share. To be asked anew for each operation.
    #[inline(always)]
    pub(crate) fn is_solo(&self) -> bool {
        !cfg!(loom) && !self.is_shared.load(Ordering::Relaxed)
    }
    /// From now on others may.
    pub(super) fn end_solo(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }
}
