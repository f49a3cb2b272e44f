//! What the system tells of: that a socket can be read again, that a child has ended.
//!
//! There is no OS thread for that. A carrier with nothing to do waits *in the poll* instead of at the condition variable of `idle`, one at a time; busy ones look now and then. The
//! reactor is made with the first source, so a program without any has none.
//!
//! **No wake-up is lost between the system and a task.** Sources are registered once, for both directions, edge-triggered: the system tells of each change once. A source counts what it
//! was told (`SourceState::told`). A native reads that number, tries its call, and if that would wait, it becomes a waiter only if the number is still the same, under the lock under
//! which the number grows; else it tries again. So whatever came after its call is seen either by the next try, or by the waiter.
//!
//! **None is lost between carriers.** Who wakes sleepers looks, under the lock of `idle`, whether one is in the poll, and if so uses the system's waker; the poller says that it is
//! one under that lock, before it waits. The system's waker stays set until a poll has seen it. That can be the poll of a busy carrier, which only looks, while the other one is still on its
//! way: it sets the waker again.
//!
//! What a poll found is acted upon only after the carrier has left the sleepers, and not while the world is stopped: see `Scheduler::next`.

use super::{Own, Scheduler};
use crate::io::{Source, Told};
use crate::sync::{AtomicUsize, Ordering};
use mio::event::Event;
use mio::{Events, Interest, Poll, Registry, Token};
use parking_lot::Mutex;
#[cfg(loom)]
pub(crate) use stand_in::Reactor;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Told of at most in one poll; the rest comes with the next.
const EVENTS: usize = 1024;
const WAKER: Token = Token(usize::MAX);
const INTERRUPT: Token = Token(usize::MAX - 1);
/// A token's low half is the position in the table, its high half the generation.
const INDEX_BITS: u32 = usize::BITS / 2;

/// What a poll found.
#[derive(Clone, Copy)]
pub(super) struct Found {
    token: Token,
    told: Told,
}

impl Found {
    fn new(event: &Event) -> Found {
        Found {
            token: event.token(),
            told: Told {
                can_read: event.is_readable() || event.is_read_closed() || event.is_error(),
                can_write: event.is_writable() || event.is_write_closed() || event.is_error(),
                has_ended: event.is_read_closed() || event.is_error(),
            },
        }
    }
}

/// See the head of the file.
#[cfg(not(loom))]
#[derive(Default)]
pub(crate) struct Reactor {
    system: OnceLock<System>,
    /// Held while the system is made.
    making: Mutex<()>,
}

#[cfg(not(loom))]
struct System {
    sources: Arc<Sources>,
    waker: mio::Waker,
    /// Held by who polls.
    poll: Mutex<(Poll, Events)>,
    /// What a signal's handler writes into: see `Engine::interrupt_pipe`.
    #[cfg(unix)]
    interrupts: Mutex<mio::unix::pipe::Receiver>,
    #[cfg(unix)]
    interrupter: mio::unix::pipe::Sender,
    #[cfg(unix)]
    interrupt_pipe: Arc<std::sync::atomic::AtomicI32>,
}

/// The sources that the system tells of, by token.
pub(crate) struct Sources {
    #[cfg(not(loom))]
    registry: Registry,
    table: Mutex<Table>,
    /// Tasks that wait for one.
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

struct Entry {
    /// Null: free. A source takes itself out, under the lock of the table, before it is gone.
    source: *const Source,
    generation: u32,
    /// The system told of the end before the source was entered.
    has_ended: bool,
}

// SAFETY: what the entries point to may be used from everywhere.
unsafe impl Send for Table {}

impl Table {
    fn add(&mut self) -> (u32, Token) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry {
                source: std::ptr::null(),
                generation: 0,
                has_ended: false,
            });
            (self.entries.len() - 1) as u32
        });
        let generation = self.entries[index as usize].generation as usize;
        (index, Token(index as usize | generation << INDEX_BITS))
    }
    fn get(&mut self, token: Token) -> Option<&mut Entry> {
        let index = token.0 & ((1 << INDEX_BITS) - 1);
        let entry = self.entries.get_mut(index)?;
        let is_same = entry.generation as usize == token.0 >> INDEX_BITS;
        is_same.then_some(entry)
    }
}

impl Sources {
    /// The system tells of `what` from now on. `enter` puts the source into the table as soon as it has its place.
    pub(crate) fn register(
        &self,
        what: &mut dyn mio::event::Source,
        interest: Interest,
    ) -> io::Result<u32> {
        let (index, token) = self.table.lock().add();
        #[cfg(loom)]
        let registered = what.register(unreachable!("models register nothing"), token, interest);
        #[cfg(not(loom))]
        let registered = self.registry.register(what, token, interest);
        if let Err(error) = registered {
            self.remove(index);
            return Err(error);
        }
        Ok(index)
    }
    /// The source has its place. What was told before is not missed: nobody has tried a call yet. But that the other side has ended is told once, maybe together with data: who
    /// reads less than it asked for must know that there is something behind it.
    pub(crate) fn enter(&self, index: u32, source: *const Source) {
        let mut table = self.table.lock();
        let entry = &mut table.entries[index as usize];
        entry.source = source;
        if std::mem::take(&mut entry.has_ended) {
            let told = Told {
                can_read: true,
                can_write: false,
                has_ended: true,
            };
            let mut woken = Vec::new();
            // SAFETY: the caller has just made it.
            unsafe { (*source).tell(told, &mut woken) };
            debug_assert!(woken.is_empty(), "nobody knows it yet");
        }
    }
    /// The source is no more.
    pub(crate) fn remove(&self, index: u32) {
        let mut table = self.table.lock();
        let entry = &mut table.entries[index as usize];
        entry.source = std::ptr::null();
        entry.has_ended = false;
        // Tokens never look like those of the waker.
        entry.generation = (entry.generation + 1) & (u32::MAX >> 1);
        table.free.push(index);
    }
    pub(crate) fn begin_wait(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn end_waits(&self, count: usize) {
        self.waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(not(loom))]
impl Reactor {
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.system.get().is_some()
    }
    /// Whether a task waits for a source: then the system may wake it.
    pub(super) fn is_awaited(&self) -> bool {
        let system = self.system.get();
        system.is_some_and(|system| system.sources.waiting.load(Ordering::Relaxed) > 0)
    }
    /// The sources; made now if there were none.
    fn open(&self, engine: &crate::Engine) -> io::Result<Arc<Sources>> {
        let _making = match self.system.get() {
            Some(system) => return Ok(system.sources.clone()),
            None => self.making.lock(),
        };
        if self.system.get().is_none() {
            let _ = self.system.set(System::new(engine)?);
        }
        let made = self.system.get().expect("set under the lock");
        Ok(made.sources.clone())
    }
    /// Lets whoever is in the poll come out of it.
    pub(super) fn wake(&self) {
        if let Some(system) = self.system.get() {
            // It can fail only if the counter of an event descriptor is full: then it is set.
            let _ = system.waker.wake();
        }
    }
    /// Waits until something is found, or the time is over, or `wake`. Nothing if another one is in the poll.
    pub(super) fn poll(&self, timeout: Option<Duration>, found: &mut Vec<Found>) {
        let Some(system) = self.system.get() else {
            return;
        };
        let Some(mut poll) = system.poll.try_lock() else {
            return;
        };
        let (poll, events) = &mut *poll;
        // It fails if a signal came.
        if poll.poll(events, timeout).is_ok() {
            found.extend(events.iter().map(Found::new));
        }
    }
}

#[cfg(all(unix, not(loom)))]
impl Drop for System {
    fn drop(&mut self) {
        // Before the pipe is closed.
        let pipe = std::os::fd::AsRawFd::as_raw_fd(&self.interrupter);
        let _ = self.interrupt_pipe.compare_exchange(
            pipe,
            crate::engine::NO_PIPE,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }
}

#[cfg(not(loom))]
impl System {
    fn new(engine: &crate::Engine) -> io::Result<System> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = mio::Waker::new(&registry, WAKER)?;
        #[cfg(unix)]
        let (interrupter, interrupts) = {
            let (sender, mut receiver) = mio::unix::pipe::new()?;
            registry.register(&mut receiver, INTERRUPT, Interest::READABLE)?;
            engine.set_interrupt_pipe(std::os::fd::AsRawFd::as_raw_fd(&sender));
            (sender, receiver)
        };
        Ok(System {
            sources: Arc::new(Sources {
                registry,
                table: Mutex::default(),
                waiting: AtomicUsize::new(0),
            }),
            waker,
            poll: Mutex::new((poll, Events::with_capacity(EVENTS))),
            #[cfg(unix)]
            interrupts: Mutex::new(interrupts),
            #[cfg(unix)]
            interrupter,
            #[cfg(unix)]
            interrupt_pipe: engine.interrupt_pipe(),
        })
    }
}

#[cfg(not(loom))]
impl Scheduler {
    pub(crate) fn sources(&self) -> io::Result<Arc<Sources>> {
        self.reactor.open(&self.engine)
    }
    /// Wakes those who waited for what a poll found.
    pub(super) fn take_found(self: &Arc<Self>, own: &mut Own) {
        let Some(system) = self.reactor.system.get() else {
            return;
        };
        let mut woken = Vec::new();
        {
            let mut table = system.sources.table.lock();
            for found in own.found.drain(..) {
                match found.token {
                    WAKER => {}
                    INTERRUPT => self.note_interrupt(),
                    token => {
                        let Some(entry) = table.get(token) else {
                            continue;
                        };
                        if entry.source.is_null() {
                            entry.has_ended |= found.told.has_ended;
                        } else {
                            // SAFETY: it would have to take itself out first, which needs the table.
                            unsafe { (*entry.source).tell(found.told, &mut woken) };
                        }
                    }
                }
            }
        }
        system.sources.end_waits(woken.len());
        crate::sync::window("found_claimed");
        for task in woken {
            // SAFETY: claimed by `tell`.
            unsafe { self.wake(own, task) };
        }
    }
    /// Looks whether the system has something to tell, without waiting.
    #[inline]
    pub(crate) fn look_at_system(self: &Arc<Self>, own: &mut Own) {
        if self.reactor.is_open() {
            self.poll_now(own);
        }
    }
    #[cold]
    fn poll_now(self: &Arc<Self>, own: &mut Own) {
        self.reactor.poll(Some(Duration::ZERO), &mut own.found);
        crate::sync::window("polled_now");
        if own.found.iter().any(|found| found.token == WAKER) {
            self.pass_on_waker();
        }
        if !own.found.is_empty() {
            self.take_found(own);
        }
    }
    /// A signal came: who has to act upon that may sleep.
    #[cold]
    fn note_interrupt(&self) {
        #[cfg(unix)]
        if let Some(system) = self.reactor.system.get() {
            let mut bytes = [0; 16];
            let mut pipe = system.interrupts.lock();
            while io::Read::read(&mut *pipe, &mut bytes).is_ok_and(|n| n > 0) {}
        }
        self.wake_sleepers();
    }
}

/// What the system guarantees, for models: a waker stays set until a poll has seen it.
#[cfg(loom)]
mod stand_in {
    use super::{Duration, Found, Own, Scheduler, Sources};
    use crate::sync::{Condvar, Mutex};
    use std::io;
    use std::sync::Arc;

    pub(crate) struct Reactor {
        is_open: std::sync::atomic::AtomicBool,
        is_woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Default for Reactor {
        fn default() -> Reactor {
            Reactor {
                is_open: false.into(),
                is_woken: Mutex::new(false),
                changed: Condvar::new(),
            }
        }
    }
    impl Reactor {
        /// Before a model begins.
        pub(in crate::sched) fn open(&self) {
            self.is_open
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
        pub(in crate::sched) fn is_open(&self) -> bool {
            self.is_open.load(std::sync::atomic::Ordering::Relaxed)
        }
        pub(in crate::sched) fn is_awaited(&self) -> bool {
            false
        }
        pub(in crate::sched) fn wake(&self) {
            *self.is_woken.lock() = true;
            self.changed.notify_all();
        }
        pub(in crate::sched) fn poll(&self, _: Option<Duration>, _: &mut Vec<Found>) {
            let mut is_woken = self.is_woken.lock();
            while !*is_woken {
                self.changed.wait(&mut is_woken);
            }
            *is_woken = false;
        }
    }
    impl Scheduler {
        pub(crate) fn sources(&self) -> io::Result<Arc<Sources>> {
            Err(io::ErrorKind::Unsupported.into())
        }
        pub(in crate::sched) fn take_found(self: &Arc<Self>, own: &mut Own) {
            own.found.clear();
        }
        pub(crate) fn look_at_system(self: &Arc<Self>, _: &mut Own) {
            if self.reactor.is_open() && std::mem::take(&mut *self.reactor.is_woken.lock()) {
                self.pass_on_waker();
            }
        }
    }
    impl Sources {
        pub(crate) fn for_models() -> Arc<Sources> {
            Arc::new(Sources {
                table: super::Mutex::default(),
                waiting: crate::sync::AtomicUsize::new(0),
            })
        }
    }
}
