//! Locks and atomics of everything that several carriers touch: one place, so that model checks put `loom`'s there (`--cfg loom`, see `models`).
//!
//! `loom` sees the order of atomic operations and locks. So that it also sees what they protect, memory that is handed from one OS thread to another is
//! wrapped in a `Tracked` or has a `Witness` beside it, which are told of each access; outside models they are nothing.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(loom)]
pub(crate) use waiting::{Condvar, Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::thread::{Builder, JoinHandle, yield_now};
#[cfg(not(loom))]
pub(crate) use std::thread::{Builder, JoinHandle, yield_now};

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// `mutation!(name, right, wrong)`: the right one. A model build takes the wrong one if the environment names it: `tests/models/run` proves that each of
/// these mistakes is found by the model that its list says.
macro_rules! mutation {
    ($name:literal, $right:expr, $wrong:expr) => {
        if crate::sync::is_mutated($name) {
            $wrong
        } else {
            $right
        }
    };
}
pub(crate) use mutation;

#[cfg(loom)]
pub(crate) use crate::sched::models::is_mutated;
#[cfg(not(any(loom, heddle_sanitized)))]
#[inline(always)]
pub(crate) const fn is_mutated(_: &str) -> bool {
    false
}
/// Under sanitizers one can be chosen, a race: `tests/sanitizers` proves that it finds that.
#[cfg(all(not(loom), heddle_sanitized))]
pub(crate) fn is_mutated(name: &str) -> bool {
    const PLANTED: &str = "unlock_relaxed";
    /// 0: not known yet.
    static IS_PLANTED: AtomicU32 = AtomicU32::new(0);
    if name != PLANTED {
        return false;
    }
    if IS_PLANTED.load(Ordering::Relaxed) == 0 {
        let wanted = std::env::var("HEDDLE_MUTATION").is_ok_and(|wanted| wanted == PLANTED);
        IS_PLANTED.store(1 + u32::from(wanted), Ordering::Relaxed);
    }
    IS_PLANTED.load(Ordering::Relaxed) == 2
}

/// A place where it matters what others do between one step and the next. A build with `--cfg heddle_delays` may stay there for a while: see `tests/delays`.
#[cfg(not(heddle_delays))]
#[inline(always)]
pub(crate) const fn window(_: &str) {}
#[cfg(heddle_delays)]
pub(crate) use delays::window;

#[cfg(heddle_delays)]
mod delays {
    use crate::sched::choices::SplitMix;
    use std::cell::Cell;
    use std::sync::LazyLock;
    use std::time::Duration;

    /// What `HEDDLE_DELAYS` says: `seed:N` stays at one place in forty, for up to 200 microseconds; `NAME:MILLISECONDS` at that place each time.
    enum Delays {
        Random(u64),
        Named(String, Duration),
        No,
    }

    static DELAYS: LazyLock<Delays> = LazyLock::new(|| {
        let text = std::env::var("HEDDLE_DELAYS").unwrap_or_default();
        let number = |text: &str| text.parse().expect("HEDDLE_DELAYS: a number is expected");
        match text.split_once(':') {
            Some(("seed", seed)) => Delays::Random(number(seed)),
            Some((name, milliseconds)) => {
                Delays::Named(name.into(), Duration::from_millis(number(milliseconds)))
            }
            None => Delays::No,
        }
    });

    thread_local! {
        static RANDOM: Cell<Option<SplitMix>> = const { Cell::new(None) };
    }

    pub(crate) fn window(name: &str) {
        match &*DELAYS {
            Delays::No => {}
            Delays::Named(wanted, time) if wanted == name => std::thread::sleep(*time),
            Delays::Named(..) => {}
            Delays::Random(seed) => stay(*seed),
        }
    }
    /// Each OS thread has numbers of its own.
    fn stay(seed: u64) {
        const ONE_IN: u64 = 40;
        const MOST_MICROSECONDS: u64 = 200;
        RANDOM.with(|random| {
            let own = std::ptr::from_ref(random) as u64;
            let mut numbers = random.take().unwrap_or(SplitMix(seed ^ own));
            if numbers.below(ONE_IN) == 0 {
                match numbers.below(MOST_MICROSECONDS) {
                    0..5 => std::thread::yield_now(),
                    time => std::thread::sleep(Duration::from_micros(time)),
                }
            }
            random.set(Some(numbers));
        });
    }
}

/// Stands for memory beside it: the models check that accesses to that are ordered.
pub(crate) struct Witness(#[cfg(loom)] loom::cell::UnsafeCell<()>);

impl Witness {
    pub(crate) fn new() -> Witness {
        Witness(
            #[cfg(loom)]
            loom::cell::UnsafeCell::new(()),
        )
    }
    #[inline(always)]
    #[track_caller]
    pub(crate) fn read(&self) {
        #[cfg(loom)]
        self.0.with(|_| ());
    }
    #[inline(always)]
    #[track_caller]
    pub(crate) fn write(&self) {
        #[cfg(loom)]
        self.0.with_mut(|_| ());
    }
}

/// A value that whoever may touch it reaches by a pointer.
pub(crate) struct Tracked<T> {
    value: std::cell::UnsafeCell<T>,
    witness: Witness,
}

impl<T> Tracked<T> {
    pub(crate) fn new(value: T) -> Tracked<T> {
        Tracked {
            value: std::cell::UnsafeCell::new(value),
            witness: Witness::new(),
        }
    }
    /// To read through.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn get(&self) -> *const T {
        self.witness.read();
        self.value.get()
    }
    #[inline(always)]
    #[track_caller]
    pub(crate) fn get_mut(&self) -> *mut T {
        self.witness.write();
        self.value.get()
    }
}

/// A lock for short stretches of code: some tens of instructions that neither wait nor call script.
///
/// It is a byte. To take it costs one read-modify-write operation, to give it back an ordinary store; a lock with a queue of waiting OS threads
/// needs two. That is a tenth of a hop over a channel. Who finds it taken spins, and lets other OS threads run after a while, since the holder may have
/// been preempted by the system.
///
/// If there are more OS threads than cores, the holder may have lost its core: who spins gives its own up after some turns, again and again, so the holder runs as soon as
/// the system lets it; nothing but the system's scheduler (real-time priorities, which carriers never ask for) can keep it from that. What is inside must therefore
/// not wait, call script or collect: to drop the last handle of a shared object may take other locks (`Subscription`), never the one that is held, since its holder has a handle.
///
/// A panic inside leaves nothing half done that the next holder relies on, so there is no poisoning.
pub(crate) struct Lock<T> {
    held: AtomicBool,
    value: Tracked<T>,
    /// In models of what is done under locks, which take it for granted that one holds the lock: `loom` gets lost among three OS threads that spin.
    #[cfg(loom)]
    blocking: Option<Mutex<()>>,
}

// SAFETY: the value is reached only by who holds the lock.
unsafe impl<T: Send> Send for Lock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Lock<T> {}

/// Turns of spinning before the OS thread is given up.
const SPINS: u32 = 64;

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Lock<T> {
        Lock {
            held: AtomicBool::new(false),
            value: Tracked::new(value),
            #[cfg(loom)]
            blocking: Some(Mutex::new(())),
        }
    }
    /// The lock as it is, for the models of itself.
    #[cfg(loom)]
    pub(crate) fn spinning(value: T) -> Lock<T> {
        Lock {
            blocking: None,
            ..Lock::new(value)
        }
    }
    #[inline]
    pub(crate) fn lock(&self) -> LockGuard<'_, T> {
        #[cfg(loom)]
        if let Some(blocking) = &self.blocking {
            return LockGuard {
                lock: self,
                here: PhantomData,
                blocking: Some(blocking.lock()),
            };
        }
        window("lock");
        // Acquire: what the last holder wrote before its release store.
        let acquire = mutation!("lock_relaxed", Ordering::Acquire, Ordering::Relaxed);
        if self
            .held
            .compare_exchange(false, true, acquire, Ordering::Relaxed)
            .is_err()
        {
            self.wait();
        }
        LockGuard {
            lock: self,
            here: PhantomData,
            #[cfg(loom)]
            blocking: None,
        }
    }
    /// As `lock`. `is_solo`: no other OS thread can reach the lock now (see `sched::solo`); who comes before it is given back finds it held.
    #[inline]
    pub(crate) fn lock_where(&self, is_solo: bool) -> LockGuard<'_, T> {
        if !is_solo || cfg!(loom) {
            return self.lock();
        }
        debug_assert!(!self.held.load(Ordering::Relaxed), "a lock is held twice");
        self.held.store(true, Ordering::Relaxed);
        LockGuard {
            lock: self,
            here: PhantomData,
            #[cfg(loom)]
            blocking: None,
        }
    }
    #[cold]
    fn wait(&self) {
        let mut turns = 0u32;
        loop {
            if !self.held.load(Ordering::Relaxed)
                && self
                    .held
                    .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            turns += 1;
            if turns < SPINS && !cfg!(loom) {
                std::hint::spin_loop();
            } else {
                yield_now();
            }
        }
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Lock<T> {
        Lock::new(T::default())
    }
}

pub(crate) struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
    /// Neither `Send` nor `Sync`: `Lock` asks of its value only that it may be used by one OS thread after the other.
    here: PhantomData<*mut T>,
    #[cfg(loom)]
    blocking: Option<MutexGuard<'a, ()>>,
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard exists only while the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}
impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.lock.value.get_mut() }
    }
}
impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(loom)]
        if self.blocking.is_some() {
            return;
        }
        // Release: the next holder sees what was written.
        let release = mutation!("unlock_relaxed", Ordering::Release, Ordering::Relaxed);
        self.lock.held.store(false, release);
        window("unlock");
    }
}

/// `loom`'s locks behind the interface of those that are used otherwise. No time passes in models: who waits for some time waits until it is woken, so nothing
/// that a deadline would repair stays hidden.
#[cfg(loom)]
mod waiting {
    use std::ops::{Deref, DerefMut};

    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);
    pub(crate) struct MutexGuard<'a, T>(Option<loom::sync::MutexGuard<'a, T>>, &'a Mutex<T>);
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            let guard = self.0.lock().expect("models do not go on after a panic");
            MutexGuard(Some(guard), self)
        }
    }
    impl<T> MutexGuard<'_, T> {
        pub(crate) fn unlocked<R>(this: &mut Self, f: impl FnOnce() -> R) -> R {
            drop(this.0.take());
            let result = f();
            let again = this.1.lock();
            this.0 = again.0;
            result
        }
    }
    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("it does not wait")
        }
    }
    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("it does not wait")
        }
    }
    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar(loom::sync::Condvar::new())
        }
        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            let inner = guard.0.take().expect("it does not wait");
            guard.0 = self.0.wait(inner).ok();
        }
        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: std::time::Duration) {
            self.wait(guard);
        }
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_of_several_os_threads_add_up() {
        let lock = Lock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        *lock.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), 40_000);
    }

    /// See `sched::solo`: who is started while a lock is held that was taken by an ordinary store waits for it.
    #[test]
    fn a_lock_taken_without_others_holds_them_off() {
        let lock = Lock::new(0u64);
        std::thread::scope(|scope| {
            let mut value = lock.lock_where(true);
            let other = scope.spawn(|| *lock.lock() *= 10);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!other.is_finished());
            *value = 7;
            drop(value);
        });
        assert_eq!(*lock.lock_where(true), 70);
    }
}
