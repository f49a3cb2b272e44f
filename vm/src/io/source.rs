//! Sources: what the system tells of (`sched::reactor`), as values of the language. They cross between threads as handles.

use crate::heap::bundle;
use crate::native::{Ctx, Trap};
use crate::object::{Handle, HandleForm, Kind};
use crate::sched::reactor::Sources;
use crate::sched::wait::{Delivery, Owner, WaitList, deliver};
use crate::shared::{ObjectState, SharedObject};
use crate::sync::{Lock, mutation};
use crate::task::{Task, Wait};
use crate::value::Value;
use std::any::Any;
use std::io;
use std::sync::Arc;

/// The system's object behind a source, and what belongs to it. It is shared by all who hold the handle, so it locks what it changes.
pub trait Resource: Any + Send + Sync {
    /// What it is, for dumps: `a connection to 127.0.0.1:80`.
    fn title(&self) -> String;
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Something to read or to accept, or the end of it.
    Read,
    /// Room to write, or that a connection is made.
    Write,
}

/// What was known of a source before a native looked at what it had read already: see `Ctx::seen`.
#[derive(Clone, Copy)]
pub struct Seen {
    told: u32,
    is_drained: bool,
}

/// What the system tells of a source.
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
    /// The other side will send no more. (It may have sent something before.)
    pub(crate) has_ended: bool,
}

/// Who waits for a source, and what the system told of it.
pub(crate) struct SourceState {
    pub(crate) readers: WaitList,
    pub(crate) writers: WaitList,
    /// How often the system told that it is worth trying, by direction.
    told: [u32; 2],
    /// `told` when a call found that there is no more: until it changes, the next call would wait.
    drained: [Option<u32>; 2],
    /// Nothing more will be told of reading: what was told last may have been data and the end at once.
    has_ended: bool,
    sources: Arc<Sources>,
}

impl SourceState {
    fn new(sources: Arc<Sources>) -> SourceState {
        SourceState {
            readers: WaitList::default(),
            writers: WaitList::default(),
            told: [0; 2],
            drained: [None; 2],
            has_ended: false,
            sources,
        }
    }
    fn seen(&self, direction: Direction) -> Seen {
        let told = self.told[direction as usize];
        Seen {
            told,
            is_drained: self.drained[direction as usize] == Some(told),
        }
    }
    /// What to remember before a call is tried; `None`: it would wait, as the last one has found. `seen`: before the caller looked at what was read already: another reader may have
    /// drained the source since, and what it left is there only for a call.
    fn before_call(&mut self, direction: Direction, seen: Option<Seen>) -> Option<u32> {
        let now = self.seen(direction);
        let is_as_seen = seen.is_none_or(|seen| seen.is_drained && seen.told == now.told);
        if now.is_drained && is_as_seen {
            return None;
        }
        self.drained[direction as usize] = None;
        Some(now.told)
    }
    /// A call has found nothing.
    fn after_call(&mut self, direction: Direction, told: u32) {
        self.drained[direction as usize] = Some(told);
    }
    /// Whether a call would wait: nothing was told since one found nothing.
    fn must_wait(&self, direction: Direction) -> bool {
        let told = self.told[direction as usize];
        let is_same = self.drained[direction as usize] == Some(told);
        mutation!("told_not_compared", is_same, true)
    }
    /// The system told that one may go on; claims those who wait.
    fn tell(&mut self, told: Told, woken: &mut Vec<*mut Task>) {
        self.has_ended |= told.has_ended;
        for (direction, is_told) in [
            (Direction::Read, told.can_read),
            (Direction::Write, told.can_write),
        ] {
            if is_told {
                self.told[direction as usize] = self.told[direction as usize].wrapping_add(1);
                claim_all(self.list(direction), woken);
            }
        }
    }
    fn list(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Read => &mut self.readers,
            Direction::Write => &mut self.writers,
        }
    }
    /// A waiter was taken out unclaimed.
    pub(crate) fn has_left(&mut self) {
        self.sources.end_waits(1);
    }
}

/// A source: a shared object, and behind it what natives use.
#[repr(C)]
pub(crate) struct Source {
    /// First: waiters name it as their owner.
    object: SharedObject,
    resource: Box<dyn Resource>,
    sources: Arc<Sources>,
    /// Its place in the table of sources.
    index: u32,
}

impl Source {
    fn new<R: Resource>(
        sources: &Arc<Sources>,
        mut resource: R,
        what: impl FnOnce(&mut R) -> &mut dyn mio::event::Source,
        interest: mio::Interest,
    ) -> io::Result<Box<Source>> {
        let index = sources.register(what(&mut resource), interest)?;
        let state = SourceState::new(sources.clone());
        let source = Box::new(Source {
            object: SharedObject::new(Lock::new(ObjectState::Source(state))),
            resource: Box::new(resource),
            sources: sources.clone(),
            index,
        });
        sources.enter(index, &raw const *source);
        Ok(source)
    }
    /// The system told that one may go on; claims those who wait.
    pub(crate) fn tell(&self, told: Told, woken: &mut Vec<*mut Task>) {
        let mut state = self.object.state.lock();
        let ObjectState::Source(state) = &mut *state else {
            unreachable!("a source's state")
        };
        state.tell(told, woken);
    }
    fn note_drained(&self, direction: Direction, told: u32) {
        if let ObjectState::Source(state) = &mut *self.object.state.lock()
            && !state.has_ended
        {
            state.drained[direction as usize] = Some(told);
        }
    }
    pub(crate) fn title(&self) -> String {
        self.resource.title()
    }
    /// The source that a shared object is the head of.
    ///
    /// # Safety
    /// The object's state is that of a source.
    pub(crate) unsafe fn of_object<'a>(object: *const SharedObject) -> &'a Source {
        // SAFETY: such objects are made by `Ctx::new_source` only, as the first field.
        unsafe { &*object.cast::<Source>() }
    }
}

fn claim_all(list: &mut WaitList, woken: &mut Vec<*mut Task>) {
    // SAFETY: under the lock of the list's owner; a claimed task is ours until it is handed over.
    unsafe {
        while let Some(waiter) = list.claim_first() {
            let task = (*waiter).task();
            deliver(task, Delivery::None);
            woken.push(task);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // First: the table's lock ends what a poller does with it.
        self.sources.remove(self.index);
    }
}

impl<'c> Ctx<'c> {
    /// Makes a source of what the system can tell of; its methods are those of the type `type_name` in the tables. `what` is a part of `resource`, so that closing that ends the registration.
    pub fn new_source<R: Resource>(
        &mut self,
        type_name: &'static str,
        resource: R,
        what: impl FnOnce(&mut R) -> &mut dyn mio::event::Source,
    ) -> Result<Value, io::Error> {
        let sources = self.thread.scheduler.sources()?;
        let type_id = self.engine().host_type(type_name);
        let interest = mio::Interest::READABLE | mio::Interest::WRITABLE;
        let source = Source::new(&sources, resource, what, interest)?;
        let target: *const Source = &raw const *source;
        let handle = bundle::new_handle(type_id, target.cast(), bundle::Payload::Source(source));
        Ok(self.thread.heap.adopt_new(handle))
    }
    fn source(&self, i: usize) -> Option<&'c Source> {
        let value = self.arg(i);
        if !value.is_kind(Kind::Handle) {
            return None;
        }
        // SAFETY: its kind was tested; what it names lives as long as its bundle, which the caller's registers hold for the call.
        unsafe {
            let handle = value.as_object().cast::<Handle>();
            ((*handle).header.aux == HandleForm::SOURCE)
                .then(|| &*(*handle).target.cast::<Source>())
        }
    }
    /// The resource of a source that is an argument.
    pub fn resource_arg<R: Resource>(&mut self, i: usize, expected: &str) -> Result<&'c R, Trap> {
        let found = self.source(i).and_then(|source| {
            let any: &dyn Any = &*source.resource;
            any.downcast_ref::<R>()
        });
        match found {
            Some(resource) => Ok(resource),
            None => Err(self.wrong_type(i, expected)),
        }
    }
    /// Makes a call of the system on the source that is argument `i`. If it says that it would wait (`WouldBlock`), the task is parked until the system tells of a change, and then
    /// **the native is run again from its beginning**: so it must not have done anything before. A call that has taken all that there was (a read that got less than it asked for)
    /// says so by its second argument: then the next one waits without trying.
    pub fn try_io<R: Resource, T>(
        &mut self,
        i: usize,
        expected: &str,
        direction: Direction,
        call: impl FnMut(&R, &mut bool) -> io::Result<T>,
    ) -> Result<io::Result<T>, Trap> {
        self.try_io_since(i, expected, direction, None, call)
    }
    /// What is known of the source that is argument `i`. A native that reads ahead, for itself or for others who read the same source, asks for this before it looks at what was read
    /// already; its call looks at that, too, before it asks the system.
    pub fn seen(&self, i: usize, direction: Direction) -> Option<Seen> {
        match &*self.source(i)?.object.state.lock() {
            ObjectState::Source(state) => Some(state.seen(direction)),
            _ => unreachable!("a source's state"),
        }
    }
    /// `try_io` of a native that has looked at what was read already: see `seen`.
    pub fn try_io_since<R: Resource, T>(
        &mut self,
        i: usize,
        expected: &str,
        direction: Direction,
        seen: Option<Seen>,
        mut call: impl FnMut(&R, &mut bool) -> io::Result<T>,
    ) -> Result<io::Result<T>, Trap> {
        let resource = self.resource_arg::<R>(i, expected)?;
        let source = self.source(i).expect("it has a resource");
        self.thread.blocking_point()?;
        let done = self.try_source(source, direction, seen, |has_all| call(resource, has_all))?;
        if done.is_err() {
            self.thread.blocking_point_that_failed()?;
        }
        Ok(done)
    }
    /// Like `try_io` for the one source that belongs to the program: its standard input. It is made as soon as a call would wait.
    pub fn try_input<R: Resource, T>(
        &mut self,
        mut call: impl FnMut() -> io::Result<T>,
        make: impl FnOnce() -> R,
        what: impl FnOnce(&mut R) -> &mut dyn mio::event::Source,
    ) -> Result<io::Result<T>, Trap> {
        self.thread.blocking_point()?;
        loop {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Ok(done),
            }
        }
        let scheduler = self.thread.scheduler.clone();
        let source = match scheduler.input.get() {
            Some(source) => source,
            None => {
                let interest = mio::Interest::READABLE;
                let made = scheduler
                    .sources()
                    .and_then(|sources| Source::new(&sources, make(), what, interest));
                match made {
                    // Another one may have made it meanwhile: then this one ends here.
                    Ok(made) => scheduler.input.get_or_init(|| made),
                    Err(error) if scheduler.input.get().is_none() => return Ok(Err(error)),
                    Err(_) => scheduler.input.get().expect("just found"),
                }
            }
        };
        self.try_source(source, Direction::Read, None, |_| call())
    }
    fn try_source<T>(
        &mut self,
        source: &Source,
        direction: Direction,
        mut seen: Option<Seen>,
        mut call: impl FnMut(&mut bool) -> io::Result<T>,
    ) -> Result<io::Result<T>, Trap> {
        loop {
            let told = {
                let mut state = source.object.state.lock();
                let ObjectState::Source(state) = &mut *state else {
                    unreachable!("a source's state")
                };
                state.before_call(direction, seen)
            };
            let known = told.or(seen.map(|seen| seen.told));
            if let Some(told) = told {
                let mut has_all = false;
                match call(&mut has_all) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if self.thread.scheduler.choices.take_false_wait() {
                            // The system will not tell of what was there before.
                            return Err(self.pause(std::time::Duration::from_nanos(1)));
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    done => {
                        if has_all {
                            source.note_drained(direction, told);
                        }
                        return Ok(done);
                    }
                }
                let mut state = source.object.state.lock();
                let ObjectState::Source(state) = &mut *state else {
                    unreachable!("a source's state")
                };
                state.after_call(direction, told);
            }
            if self.await_source(source, direction, known)? {
                return Err(Trap::Suspend);
            }
            // Whatever came meanwhile, only a call finds it.
            seen = seen.map(|seen| Seen {
                is_drained: false,
                ..seen
            });
        }
    }
    /// Parks the task for so long; then **the native is run again from its beginning**.
    pub fn pause(&mut self, time: std::time::Duration) -> Trap {
        let thread = &mut *self.thread;
        let begun = thread
            .blocking_point()
            .and_then(|()| thread.begin_wait(Wait::Io));
        match begun {
            Ok(()) => {
                thread.sleep_for(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
                Trap::Suspend
            }
            Err(trap) => trap,
        }
    }
    /// How calls of the system go.
    #[inline]
    pub fn faults(&self) -> super::Faults<'c> {
        let scheduler = Arc::as_ptr(&self.thread.scheduler);
        // SAFETY: the thread holds its scheduler for longer than any call of a native.
        super::Faults::new(unsafe { &(*scheduler).choices })
    }
    /// The task waits for the source, unless something was told meanwhile (`false`).
    fn await_source(
        &mut self,
        source: &Source,
        direction: Direction,
        known: Option<u32>,
    ) -> Result<bool, Trap> {
        let thread = &mut *self.thread;
        let mut state = source.object.state.lock();
        let ObjectState::Source(state) = &mut *state else {
            unreachable!("a source's state")
        };
        let is_as_known = known.is_none_or(|told| state.told[direction as usize] == told);
        if !is_as_known || !state.must_wait(direction) {
            return Ok(false);
        }
        thread.begin_wait(Wait::Io)?;
        state.sources.begin_wait();
        let waiter = thread.single_waiter(Owner::Shared(&raw const source.object), direction as u8);
        // SAFETY: under the source's lock.
        unsafe { state.list(direction).push(waiter) };
        Ok(true)
    }
    /// How often something was told of the source that is argument `i`: for `await_told`.
    pub fn told(&self, i: usize, direction: Direction) -> u32 {
        let Some(source) = self.source(i) else {
            return 0;
        };
        match &*source.object.state.lock() {
            ObjectState::Source(state) => state.told[direction as usize],
            _ => unreachable!("a source's state"),
        }
    }
    /// Waits until something is told of the source, by the system or by `tell_source`: the task parks and **the native is run again from its beginning**, unless something was told since `told`
    /// was asked for (`false`). For natives that wait for each other.
    pub fn await_told(&mut self, i: usize, direction: Direction, told: u32) -> Result<bool, Trap> {
        self.thread.blocking_point()?;
        let Some(source) = self.source(i) else {
            return Ok(false);
        };
        let thread = &mut *self.thread;
        let mut state = source.object.state.lock();
        let ObjectState::Source(state) = &mut *state else {
            unreachable!("a source's state")
        };
        if state.told[direction as usize] != told {
            return Ok(false);
        }
        thread.begin_wait(Wait::Io)?;
        state.sources.begin_wait();
        let waiter = thread.single_waiter(Owner::Shared(&raw const source.object), direction as u8);
        // SAFETY: under the source's lock.
        unsafe { state.list(direction).push(waiter) };
        Ok(true)
    }
    /// Lets those try again who wait for this direction of the source that is argument `i`.
    pub fn tell_source(&mut self, i: usize, direction: Direction) {
        self.tell_all(
            i,
            Told {
                can_read: direction == Direction::Read,
                can_write: direction == Direction::Write,
                has_ended: false,
            },
        );
    }
    /// Lets all who wait for the source try again: it was closed.
    pub fn wake_source(&mut self, i: usize) {
        self.tell_all(
            i,
            Told {
                can_read: true,
                can_write: true,
                has_ended: true,
            },
        );
    }
    fn tell_all(&mut self, i: usize, told: Told) {
        let Some(source) = self.source(i) else { return };
        let mut woken = Vec::new();
        source.tell(told, &mut woken);
        source.sources.end_waits(woken.len());
        self.thread.wake_all(woken);
    }
}

#[cfg(loom)]
pub(crate) mod model {
    use super::*;
    use crate::sync::Mutex;

    /// One that has nothing to read.
    pub(crate) fn source() -> ObjectState {
        ObjectState::Source(SourceState::new(Sources::for_models()))
    }
    fn with_state<R>(object: &SharedObject, f: impl FnOnce(&mut SourceState) -> R) -> R {
        match &mut *object.state.lock() {
            ObjectState::Source(state) => f(state),
            _ => unreachable!("a source's state"),
        }
    }
    /// As `Ctx::try_io` for a call that takes what the system holds: `false`: the task waits.
    pub(crate) fn read(
        object: &SharedObject,
        data: &Mutex<bool>,
        waits: impl Fn(&mut WaitList),
    ) -> bool {
        loop {
            if let Some(told) = with_state(object, |s| s.before_call(Direction::Read, None)) {
                if std::mem::take(&mut *data.lock()) {
                    return true;
                }
                with_state(object, |s| s.after_call(Direction::Read, told));
            }
            let is_waiting = with_state(object, |s| {
                let must_wait = s.must_wait(Direction::Read);
                if must_wait {
                    s.sources.begin_wait();
                    waits(&mut s.readers);
                }
                must_wait
            });
            if is_waiting {
                return false;
            }
        }
    }
    /// As a poll that tells of data.
    pub(crate) fn tell(object: &SharedObject) -> Vec<*mut Task> {
        let mut woken = Vec::new();
        let told = Told {
            can_read: true,
            can_write: false,
            has_ended: false,
        };
        with_state(object, |s| s.tell(told, &mut woken));
        woken
    }
}
