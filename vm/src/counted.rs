//! Counted pointers as `std::sync::Arc`, for blocks that are made and dropped by the million. Two things are cheaper here:
//!
//! - Both counts lie in one word. So who drops a reference sees in one look that there is no other one, strong or weak, and needs no read-modify-write operation; these are most of
//!   what such a block costs besides its memory. (The two counts of an `Arc` can change one after the other between two looks.)
//! - A block may be born with two references.
//!
//! | bits of the word | |
//! | --- | --- |
//! | low 32 | strong references, which keep the value |
//! | high 32 | weak references, which keep the memory; all the strong ones together hold one |

use crate::sync::{AtomicU64, Ordering, fence, mutation};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::NonNull;

const STRONG: u64 = 1;
const WEAK: u64 = 1 << 32;
/// Each reference takes a word somewhere, so there cannot be so many.
const MOST: u32 = u32::MAX / 2;

#[repr(C)]
struct Inner<T> {
    counts: AtomicU64,
    value: T,
}

/// Bytes in front of the value.
pub(crate) const COUNT_BYTES: usize = size_of::<u64>();

/// A reference that keeps the value; see the head of the file.
pub(crate) struct Counted<T> {
    inner: NonNull<Inner<T>>,
    owns: PhantomData<T>,
}

/// One that does not.
pub(crate) struct WeakCounted<T> {
    inner: NonNull<Inner<T>>,
}

// SAFETY: as of an `Arc`: a reference gives access to the value from several OS threads, and the last one may drop it on any.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Send for WeakCounted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for WeakCounted<T> {}

/// Memory for a value that is written where it will lie.
pub(crate) struct Unborn<T>(NonNull<Inner<T>>);

impl<T> Unborn<T> {
    pub(crate) fn new() -> Unborn<T> {
        let layout = Layout::new::<Inner<T>>();
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc(layout) };
        match NonNull::new(memory.cast()) {
            Some(inner) => Unborn(inner),
            None => handle_alloc_error(layout),
        }
    }
    pub(crate) fn place(&self) -> *mut T {
        // SAFETY: within the memory.
        unsafe { &raw mut (*self.0.as_ptr()).value }
    }
    /// # Safety
    /// The value has been written.
    pub(crate) unsafe fn born(self) -> Counted<T> {
        let inner = self.0;
        std::mem::forget(self);
        // SAFETY: the memory is this one's.
        unsafe { (&raw mut (*inner.as_ptr()).counts).write(AtomicU64::new(WEAK | STRONG)) };
        Counted {
            inner,
            owns: PhantomData,
        }
    }
    /// The same with two references.
    ///
    /// # Safety
    /// As for `born`.
    pub(crate) unsafe fn born_twice(self) -> (Counted<T>, Counted<T>) {
        let inner = self.0;
        // SAFETY: promised by the caller; nobody else knows the word yet.
        unsafe {
            let first = self.born();
            (&raw mut (*inner.as_ptr()).counts).write(AtomicU64::new(WEAK + 2 * STRONG));
            let second = Counted {
                inner,
                owns: PhantomData,
            };
            (first, second)
        }
    }
}

impl<T> Drop for Unborn<T> {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and nobody else's.
        unsafe { free(self.0) };
    }
}

/// # Safety
/// Nobody uses it any more, and the value is gone, or never was.
unsafe fn free<T>(inner: NonNull<Inner<T>>) {
    // SAFETY: promised by the caller; made with this layout.
    unsafe { dealloc(inner.as_ptr().cast(), Layout::new::<Inner<T>>()) }
}

/// All accesses of those who gave their references back come before what follows.
fn acquire(counts: &AtomicU64) {
    if cfg!(heddle_sanitized) {
        // ThreadSanitizer does not know fences.
        counts.load(Ordering::Acquire);
    } else {
        fence(Ordering::Acquire);
    }
}

fn check_count(before: u32) {
    if before > MOST {
        std::process::abort();
    }
}

impl<T> Counted<T> {
    pub(crate) fn new(value: T) -> Counted<T> {
        let unborn = Unborn::<T>::new();
        // SAFETY: written between the two.
        unsafe {
            unborn.place().write(value);
            unborn.born()
        }
    }
    fn counts(&self) -> &AtomicU64 {
        // SAFETY: alive while there is a reference.
        unsafe { &(*self.inner.as_ptr()).counts }
    }
    pub(crate) fn as_ptr(this: &Counted<T>) -> *const T {
        // SAFETY: alive while there is a reference.
        unsafe { &raw const (*this.inner.as_ptr()).value }
    }
    pub(crate) fn ptr_eq(this: &Counted<T>, other: &Counted<T>) -> bool {
        this.inner == other.inner
    }
    /// The value's address, which owns what the reference did.
    pub(crate) fn into_raw(this: Counted<T>) -> *const T {
        let value = Counted::as_ptr(&this);
        std::mem::forget(this);
        value
    }
    /// # Safety
    /// From `into_raw`, once.
    pub(crate) unsafe fn from_raw(value: *const T) -> Counted<T> {
        let inner = value
            .cast_mut()
            .wrapping_byte_sub(std::mem::offset_of!(Inner<T>, value))
            .cast();
        Counted {
            // SAFETY: made by `into_raw`, so it is not null.
            inner: unsafe { NonNull::new_unchecked(inner) },
            owns: PhantomData,
        }
    }
    /// Another reference to a value that somebody else keeps.
    ///
    /// # Safety
    /// As said, during the call.
    pub(crate) unsafe fn another(value: *const T) -> Counted<T> {
        // SAFETY: it is not dropped, so it takes nothing away.
        let kept = std::mem::ManuallyDrop::new(unsafe { Counted::from_raw(value) });
        Counted::clone(&kept)
    }
    pub(crate) fn downgrade(this: &Counted<T>) -> WeakCounted<T> {
        let before = this.counts().fetch_add(WEAK, Ordering::Relaxed);
        check_count((before >> 32) as u32);
        WeakCounted { inner: this.inner }
    }
    pub(crate) fn strong_count(this: &Counted<T>) -> u32 {
        this.counts().load(Ordering::Relaxed) as u32
    }
    /// Drops it. `is_solo`: no other OS thread has a reference (see `sched::solo`).
    #[inline]
    pub(crate) fn give_back(this: Counted<T>, is_solo: bool) {
        let counts = this.counts().load(Ordering::Relaxed);
        if is_solo && counts as u32 > 1 {
            // Others keep the value.
            this.counts().store(counts - STRONG, Ordering::Relaxed);
            std::mem::forget(this);
        }
    }
    #[cold]
    fn drop_value(&mut self) {
        // SAFETY: no strong reference is left, and none can be made; weak ones keep the memory.
        unsafe { std::ptr::drop_in_place(Counted::as_ptr(self).cast_mut()) };
        drop(WeakCounted { inner: self.inner });
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Counted<T> {
        // Relaxed: who has a reference knows the value.
        let before = self.counts().fetch_add(STRONG, Ordering::Relaxed);
        check_count(before as u32);
        Counted {
            inner: self.inner,
            owns: PhantomData,
        }
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: alive while there is a reference.
        unsafe { &*Counted::as_ptr(self) }
    }
}

impl<T> Drop for Counted<T> {
    #[inline]
    fn drop(&mut self) {
        // Acquire: what those did who gave theirs back before. Who sees no other reference of either kind has the value alone: only a reference makes another.
        let counts = self.counts().load(Ordering::Acquire);
        let is_alone =
            mutation!("alone_but_for_weak", counts, counts as u32 as u64 | WEAK) == WEAK | STRONG;
        if is_alone {
            // SAFETY: as said.
            unsafe { std::ptr::drop_in_place(Counted::as_ptr(self).cast_mut()) };
            // (A model that is wrong finds the value gone, not stray memory.)
            if mutation!("alone_but_for_weak", true, false) {
                // SAFETY: as said; the value is gone.
                unsafe { free(self.inner) };
            }
            return;
        }
        let release = mutation!("count_relaxed", Ordering::Release, Ordering::Relaxed);
        let before = self.counts().fetch_sub(STRONG, release);
        if before as u32 == 1 {
            acquire(self.counts());
            self.drop_value();
        }
    }
}

impl<T> WeakCounted<T> {
    fn counts(&self) -> &AtomicU64 {
        // SAFETY: the memory is there while there is a reference.
        unsafe { &(*self.inner.as_ptr()).counts }
    }
    /// Where the value is, or was.
    pub(crate) fn as_ptr(&self) -> *const T {
        // SAFETY: the memory is there while there is a reference.
        unsafe { &raw const (*self.inner.as_ptr()).value }
    }
    /// A reference that keeps the value, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<Counted<T>> {
        let mut counts = self.counts().load(Ordering::Relaxed);
        while counts as u32 > 0 {
            check_count(counts as u32);
            match self.counts().compare_exchange_weak(
                counts,
                counts + STRONG,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Some(Counted {
                        inner: self.inner,
                        owns: PhantomData,
                    });
                }
                Err(now) => counts = now,
            }
        }
        None
    }
}

impl<T> Drop for WeakCounted<T> {
    fn drop(&mut self) {
        // As for `Counted`: the last reference of all.
        if self.counts().load(Ordering::Acquire) != WEAK {
            let before = self.counts().fetch_sub(WEAK, Ordering::Release);
            if before >> 32 != 1 {
                return;
            }
            acquire(self.counts());
        }
        // SAFETY: nobody is left, and the value is gone, as the strong ones held one of the weak.
        unsafe { free(self.inner) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Probe<'a>(&'a AtomicUsize);
    impl Drop for Probe<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_strong_reference_drops_the_value() {
        let drops = AtomicUsize::new(0);
        let dropped = || drops.load(Ordering::Relaxed);
        let first = Counted::new(Probe(&drops));
        let second = first.clone();
        assert!(Counted::ptr_eq(&first, &second));
        drop(first);
        assert_eq!((dropped(), Counted::strong_count(&second)), (0, 1));
        let weak = Counted::downgrade(&second);
        assert_eq!(weak.as_ptr(), Counted::as_ptr(&second));
        let again = weak.upgrade().expect("it is alive");
        drop(second);
        assert_eq!(dropped(), 0);
        drop(again);
        assert_eq!(dropped(), 1);
        assert!(weak.upgrade().is_none());
        let other = Counted::downgrade(&Counted::new(Probe(&drops)));
        assert_eq!(dropped(), 2);
        drop((weak, other));
    }
    #[test]
    fn one_may_be_born_twice_or_never() {
        let drops = AtomicUsize::new(0);
        drop(Unborn::<Probe>::new());
        let unborn = Unborn::<Probe>::new();
        // SAFETY: written at once; the raw pointer is taken back once.
        unsafe {
            unborn.place().write(Probe(&drops));
            let (first, second) = unborn.born_twice();
            let raw = Counted::into_raw(first);
            let third = Counted::another(raw);
            drop(Counted::from_raw(raw));
            drop(second);
            assert_eq!(drops.load(Ordering::Relaxed), 0);
            drop(third);
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }
    #[test]
    fn os_threads_share_and_drop_it() {
        let drops: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
        let shared = Counted::new(Probe(drops));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (shared, weak) = (shared.clone(), Counted::downgrade(&shared));
                std::thread::spawn(move || {
                    for _ in 0..if cfg!(miri) { 10 } else { 1000 } {
                        drop(shared.clone());
                        drop(weak.upgrade());
                    }
                })
            })
            .collect();
        drop(shared);
        for thread in threads {
            thread.join().expect("no panic");
        }
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    }
}
