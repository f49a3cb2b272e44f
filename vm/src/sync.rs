//! Locks and atomics of everything that several carriers touch: one place, so that model checks can put others there.

pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// A lock that is never poisoned: a panic inside a critical section of ours leaves nothing half done that the next holder relies on.
#[derive(Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Mutex<T> {
        Mutex(parking_lot::Mutex::new(value))
    }
    #[inline]
    pub(crate) fn lock(&self) -> parking_lot::MutexGuard<'_, T> {
        self.0.lock()
    }
}
