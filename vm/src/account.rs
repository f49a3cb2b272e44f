//! How much memory a program has taken: heaps, bundles, tasks, threads, and what shared objects hold. All of it counts against the one limit.
//!
//! | what is counted | where |
//! | --- | --- |
//! | chunks, blocks of old objects, large objects | by the heaps that take them |
//! | bundles | by `heap::bundle`, when they are made and freed |
//! | blocks of tasks, register stacks | by `task::pool` and `task::stack` |
//! | threads, ended ones too as long as somebody holds them | by `sched::block` |
//! | what few tasks have, and what they wait with in a `select` | by `task`, when they are made and freed |
//! | scopes | by `sched::scope` |
//! | shared objects, the room of their queues and tables | by `shared`, when they grow and shrink |
//!
//! A message is therefore counted as what it leads to, and costs nothing here when it travels; a parcel is a heap.
//!
//! **Each OS thread adds up for itself**, in a variable of its own, and brings the sum to the program's account when it is more than `STEP_BYTES`: memory is taken
//! and given back everywhere, and carriers must not take turns at one word for it. So the account may be wrong by one step for each carrier.
//!
//! **Which program** an OS thread works for it says with `enter`: a carrier for good; a host whenever it uses a machine. What an OS thread frees that works for none is
//! not counted.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Up to so much is added up before the account is told.
const STEP_BYTES: isize = 16 * 1024;

/// A program that had less has nothing to give back that is worth it.
const LEAST_PEAK_BYTES: isize = 32 * 1024 * 1024;
/// An OS thread gives memory back no more often: one burst after the other needs it again.
const TRIM_PAUSE: Duration = Duration::from_millis(100);

/// What a program has taken, in bytes, about.
#[derive(Default)]
pub(crate) struct Account {
    bytes: AtomicIsize,
    /// The most it has had since the last time that this was twice as much as it had.
    peak: AtomicIsize,
    /// How often that was so.
    shrinks: AtomicU32,
    /// Numbers that were given out: see `next_number`.
    numbers: AtomicU32,
}

/// What an OS thread has to tell its account.
struct Here {
    untold: Cell<isize>,
    /// Kept by `KEPT`; null: none.
    account: Cell<*const Account>,
    /// How many of the account's `shrinks` it knows of.
    seen: Cell<u32>,
    trimmed_at: Cell<Option<Instant>>,
}

/// Keeps the account of an OS thread.
struct Kept(RefCell<Option<Arc<Account>>>);

thread_local! {
    static HERE: Here = const {
        Here {
            untold: Cell::new(0),
            account: Cell::new(std::ptr::null()),
            seen: Cell::new(0),
            trimmed_at: Cell::new(None),
        }
    };
    static KEPT: Kept = const { Kept(RefCell::new(None)) };
}

impl Drop for Kept {
    fn drop(&mut self) {
        tell();
        HERE.with(|here| here.account.set(std::ptr::null()));
    }
}

/// From now on this OS thread works for the program with this account (`None`: for none).
pub(crate) fn enter(account: Option<&Arc<Account>>) {
    let address = account.map_or(std::ptr::null(), Arc::as_ptr);
    if HERE.with(|here| here.account.get()) != address {
        change(account.cloned());
    }
}
#[cold]
fn change(account: Option<Arc<Account>>) {
    crate::heap::bundle::settle();
    tell();
    let address = account.as_ref().map_or(std::ptr::null(), Arc::as_ptr);
    let shrinks = account
        .as_ref()
        .map_or(0, |a| a.shrinks.load(Ordering::Relaxed));
    // An OS thread that ends keeps nothing any more.
    let is_kept = KEPT.try_with(|kept| drop(kept.0.replace(account))).is_ok();
    let address = if is_kept { address } else { std::ptr::null() };
    HERE.with(|here| {
        here.account.set(address);
        here.seen.set(shrinks);
    });
}

/// As `enter`, until the result is dropped.
pub(crate) fn enter_for_now(account: &Arc<Account>) -> Entered {
    let outer = current();
    enter(Some(account));
    Entered(outer)
}

/// An OS thread works for a program for some time, and then again for this one.
#[must_use]
pub(crate) struct Entered(Option<Arc<Account>>);

impl Drop for Entered {
    fn drop(&mut self) {
        // The host may not come back to this OS thread.
        crate::heap::bundle::settle();
        enter(self.0.as_ref());
    }
}

/// The program that this OS thread works for.
pub(crate) fn current() -> Option<Arc<Account>> {
    KEPT.try_with(|kept| kept.0.borrow().clone()).ok().flatten()
}

/// A number that nothing else of the program has, but for wrapping around: 1, 2, 3 …
pub(crate) fn next_number() -> u32 {
    static OF_NO_PROGRAM: AtomicU32 = AtomicU32::new(0);
    let account = current();
    let numbers = account.as_deref().map_or(&OF_NO_PROGRAM, |a| &a.numbers);
    numbers.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// So many bytes were taken.
#[inline]
pub(crate) fn add(bytes: usize) {
    change_by(bytes as isize);
}
/// So many bytes that were taken were given back.
#[inline]
pub(crate) fn subtract(bytes: usize) {
    change_by(-(bytes as isize));
}
#[inline]
fn change_by(bytes: isize) {
    HERE.with(|here| {
        let untold = here.untold.get() + bytes;
        here.untold.set(untold);
        if untold.wrapping_add(STEP_BYTES) as usize > 2 * STEP_BYTES as usize {
            tell();
        }
    });
}
/// The account is told what this OS thread has added up.
#[cold]
pub(crate) fn tell() {
    HERE.with(|here| {
        let untold = here.untold.replace(0);
        // SAFETY: `KEPT` keeps it.
        if let Some(account) = unsafe { here.account.get().as_ref() } {
            let bytes = account.bytes.fetch_add(untold, Ordering::Relaxed) + untold;
            let peak = account.peak.load(Ordering::Relaxed);
            if bytes > peak {
                account.peak.store(bytes, Ordering::Relaxed);
            } else if peak > LEAST_PEAK_BYTES && bytes < peak / 2 {
                account.peak.store(bytes, Ordering::Relaxed);
                account.shrinks.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
}
/// Whether this OS thread, which has nothing to do, may give back what its allocator keeps: its program needs much less than before.
pub(crate) fn is_trim_due() -> bool {
    HERE.with(|here| {
        // SAFETY: `KEPT` keeps it.
        let Some(account) = (unsafe { here.account.get().as_ref() }) else {
            return false;
        };
        let shrinks = account.shrinks.load(Ordering::Relaxed);
        if shrinks == here.seen.get() {
            return false;
        }
        let now = Instant::now();
        let before = here.trimmed_at.get();
        if before.is_some_and(|before| now.duration_since(before) < TRIM_PAUSE) {
            return false;
        }
        here.seen.set(shrinks);
        here.trimmed_at.set(Some(now));
        true
    })
}
/// What the program has taken that this OS thread works for; 0: it works for none.
#[inline]
pub(crate) fn total() -> usize {
    HERE.with(|here| {
        // SAFETY: `KEPT` keeps it.
        match unsafe { here.account.get().as_ref() } {
            Some(account) => {
                let told = account.bytes.load(Ordering::Relaxed);
                usize::try_from(told + here.untold.get()).unwrap_or(0)
            }
            None => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_threads_add_up() {
        let account = Arc::new(Account::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    enter(Some(&account));
                    for _ in 0..1000 {
                        add(100);
                        subtract(40);
                    }
                    enter(None);
                });
            }
        });
        enter(Some(&account));
        assert_eq!(total(), 240_000);
        add(7);
        assert_eq!(total(), 240_007);
        let other = Arc::new(Account::default());
        enter(Some(&other));
        assert_eq!(total(), 0);
        subtract(5);
        assert_eq!(total(), 0, "what comes from elsewhere is not owed");
        enter(Some(&account));
        assert_eq!(total(), 240_007);
        enter(None);
        assert_eq!(total(), 0);
    }
}
