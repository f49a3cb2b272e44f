//! Carriers that are held by blocking calls (`--blocking=capture`), and the watchdog that has them replaced.
//!
//! A capture costs two counters: most calls are over before a replacement would run. The watchdog looks at short intervals while carriers are held, at longer ones otherwise, and sleeps for good when none has been
//! for some time and nothing runs (as Go's `sysmon` does). If it finds that all carriers are held or asleep, it wakes one that sleeps or starts another, up to a maximum. One place is never captured, so there is always a
//! carrier for the rest: with all places taken, the task waits for one.

use super::Scheduler;
use crate::native::Trap;
use crate::sched::wait::{Delivery, Owner, WaitList, deliver};
use crate::shared::{ObjectState, SharedObject};
use crate::sync::{AtomicBool, AtomicUsize, Lock, Ordering};
use crate::task::Wait;
use crate::thread::Thread;
use parking_lot::{Condvar, Mutex};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How often the watchdog looks while carriers are held, and at most when it finds nothing to do.
const FIRST_INTERVAL: Duration = Duration::from_micros(50);
const LAST_INTERVAL: Duration = Duration::from_millis(5);
/// It sleeps for good after so many looks at the longest interval at which no carrier was held.
const IDLE_LOOKS: u32 = 100;

/// Places for held carriers.
pub(crate) struct Places {
    free: usize,
    pub(crate) waiting: WaitList,
}

/// All places but one.
pub(super) fn places(max_carriers: usize) -> SharedObject {
    SharedObject::new(Lock::new(ObjectState::Places(Places {
        free: max_carriers.saturating_sub(1).max(1),
        waiting: WaitList::default(),
    })))
}

/// Carriers that are held now, and who looks after them.
#[derive(Default)]
pub(super) struct Held {
    pub(super) count: AtomicUsize,
    /// The watchdog looks at intervals: it need not be woken.
    is_watched: AtomicBool,
    has_watchdog: Mutex<bool>,
    called: Condvar,
}

impl Thread {
    /// The carrier is about to be held by a blocking call.
    pub(crate) fn begin_capture(&mut self) -> Result<(), Trap> {
        let scheduler = self.scheduler.clone();
        {
            let mut state = scheduler.places.state.lock();
            let ObjectState::Places(places) = &mut *state else {
                unreachable!("the state of places")
            };
            if places.free == 0 {
                let waiter = self.begin_single_wait(
                    Wait::Work,
                    Owner::Shared(&raw const scheduler.places),
                    0,
                );
                // SAFETY: under the lock of the list's owner.
                unsafe { places.waiting.push(waiter) };
                return Err(Trap::Suspend);
            }
            places.free -= 1;
        }
        scheduler.end_solo();
        scheduler.held.count.fetch_add(1, Ordering::SeqCst);
        if !scheduler.held.is_watched.load(Ordering::SeqCst) {
            scheduler.call_watchdog();
        }
        Ok(())
    }
    /// It is not held any more.
    pub(crate) fn end_capture(&mut self) {
        let scheduler = self.scheduler.clone();
        scheduler.held.count.fetch_sub(1, Ordering::SeqCst);
        self.pass_place_on(1);
    }
    /// A task was woken for a free place, and may have ended, or thrown, without taking it: then the next one is.
    #[cold]
    pub(crate) fn leave_place(&mut self) {
        self.pass_place_on(0);
    }
    /// So many places more are free: wakes who waits for one.
    fn pass_place_on(&mut self, freed: usize) {
        let scheduler = self.scheduler.clone();
        let next = {
            let mut state = scheduler.places.state.lock();
            let ObjectState::Places(places) = &mut *state else {
                unreachable!("the state of places")
            };
            places.free += freed;
            if places.free == 0 {
                return;
            }
            // SAFETY: under the lock of the list's owner; a claimed task is ours until it is woken.
            unsafe {
                places.waiting.claim_first().map(|waiter| {
                    let task = (*waiter).task();
                    deliver(task, Delivery::None);
                    task
                })
            }
        };
        // It tries again.
        self.wake_all(next);
    }
}

impl Scheduler {
    /// What a task waits in that waits for a place.
    #[inline]
    pub(crate) fn places(&self) -> *const SharedObject {
        &raw const self.places
    }
    /// Whether the watchdog looks after carriers.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.held.is_watched.load(Ordering::Relaxed)
    }
    #[cold]
    pub(crate) fn call_watchdog(self: &Arc<Self>) {
        let held = &self.held;
        let mut has_watchdog = held.has_watchdog.lock();
        held.is_watched.store(true, Ordering::SeqCst);
        if *has_watchdog {
            held.called.notify_one();
            return;
        }
        let scheduler = Arc::downgrade(self);
        let started = std::thread::Builder::new()
            .name("heddle-watchdog".into())
            .spawn(move || watch(&scheduler));
        // Without one, a held carrier is replaced when it comes back.
        *has_watchdog = started.is_ok();
    }
    /// Has held carriers replaced; whether there are any.
    fn replace_held(self: &Arc<Self>) -> bool {
        let held = self.held.count.load(Ordering::SeqCst);
        if held > 0 {
            self.replace_carriers(held);
        }
        held > 0
    }
}

/// The watchdog.
fn watch(scheduler: &Weak<Scheduler>) {
    let mut interval = FIRST_INTERVAL;
    let mut looks = 0;
    let mut carriers = Vec::new();
    let mut last_look = Instant::now();
    let mut is_running = false;
    loop {
        std::thread::sleep(interval);
        let Some(scheduler) = scheduler.upgrade() else {
            return;
        };
        if let Some(warn) = &scheduler.settings.blocking_warn
            && last_look.elapsed() >= warn.after / 2
        {
            is_running = scheduler.look_at_progress(&mut carriers, warn.after);
            last_look = Instant::now();
        }
        if scheduler.replace_held() {
            interval = FIRST_INTERVAL;
            looks = 0;
            continue;
        }
        if is_running {
            looks = 0;
        }
        interval = (interval * 2).min(LAST_INTERVAL);
        looks += u32::from(interval == LAST_INTERVAL);
        if looks < IDLE_LOOKS {
            continue;
        }
        // Who is held from now on either finds that nobody watches, or is counted here.
        let mut has_watchdog = scheduler.held.has_watchdog.lock();
        scheduler.held.is_watched.store(false, Ordering::SeqCst);
        if scheduler.held.count.load(Ordering::SeqCst) == 0 {
            scheduler
                .held
                .called
                .wait_for(&mut has_watchdog, Duration::from_secs(10));
            if !scheduler.held.is_watched.load(Ordering::SeqCst) {
                *has_watchdog = false;
                return;
            }
        }
        scheduler.held.is_watched.store(true, Ordering::SeqCst);
        (interval, looks) = (FIRST_INTERVAL, 0);
    }
}
