//! Locks and atomics of everything that several carriers touch. Model checks (`--cfg loom`) put loom's in their place, so that they run the
//! production types.

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    /// A lock that is never poisoned: a panic inside a critical section of ours aborts nothing that the next holder relies on.
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
}
#[cfg(loom)]
mod real {
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("models do not panic inside locks")
        }
    }
}
pub(crate) use real::*;
