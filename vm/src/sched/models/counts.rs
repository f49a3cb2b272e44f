//! Counted pointers (`crate::counted`): who drops what they lead to.

use super::*;
use crate::counted::WeakCounted;
use crate::sync::Tracked;

/// What a reference leads to: a number, which it loses when it goes.
struct Probe {
    number: Tracked<u32>,
    drops: Arc<AtomicUsize>,
}
impl Probe {
    fn new(drops: &Arc<AtomicUsize>) -> Counted<Probe> {
        Counted::new(Probe {
            number: Tracked::new(7),
            drops: drops.clone(),
        })
    }
    fn read(&self) {
        // SAFETY: written at its birth and at its end only.
        assert_eq!(unsafe { *self.number.get() }, 7);
    }
}
impl Drop for Probe {
    fn drop(&mut self) {
        // SAFETY: nobody else has a reference: that is what is under test.
        unsafe { *self.number.get_mut() = 0 };
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two look at it and let go of it: one of them drops it, behind what the other did.
#[test]
fn the_last_of_two_references() {
    check("the_last_of_two_references", PREEMPTIONS, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let here = Probe::new(&drops);
        let there = here.clone();
        let other = loom::thread::spawn(move || {
            there.read();
            drop(there);
        });
        here.read();
        drop(here);
        other.join().expect("it ends");
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// The last strong reference goes while a weak one is upgraded: it is either seen, or gives nothing.
#[test]
fn the_last_reference_against_an_upgrade() {
    check("the_last_reference_against_an_upgrade", PREEMPTIONS, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let here = Probe::new(&drops);
        let weak: WeakCounted<Probe> = Counted::downgrade(&here);
        let other = loom::thread::spawn(move || {
            if let Some(again) = weak.upgrade() {
                again.read();
            }
        });
        drop(here);
        other.join().expect("it ends");
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

/// One makes a weak reference of its strong one, which it drops, and upgrades it; the other drops its own meanwhile.
#[test]
fn strong_and_weak_references_change_places() {
    check(
        "strong_and_weak_references_change_places",
        PREEMPTIONS,
        || {
            let drops = Arc::new(AtomicUsize::new(0));
            let here = Probe::new(&drops);
            let there = here.clone();
            let other = loom::thread::spawn(move || {
                let weak = Counted::downgrade(&there);
                drop(there);
                let again = weak.upgrade();
                drop(weak);
                if let Some(again) = again {
                    again.read();
                }
            });
            drop(here);
            other.join().expect("it ends");
            assert_eq!(drops.load(Ordering::Relaxed), 1);
        },
    );
}
