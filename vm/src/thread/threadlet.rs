//! Threadlets: calls that become tasks of their own only if they wait.
//!
//! `threadlet f(x)` is an ordinary call between two instructions, `Threadlet` and `ThreadletEnd`, with a handler around it that leads to `ThreadletFail`. While it is under way three registers of the caller say
//! what is known of it:
//!
//! | register | |
//! | --- | --- |
//! | `IDENTITY` | nil; or the address of its task, if anybody has asked for one; true: it has been split off, and the result is its handle |
//! | `OUTER` | the stack slot of these registers of the threadlet around it; 0: none |
//! | `NAME` | its name, or nil; once it has a task, the address of the identity around it |
//!
//! **Identity.** A threadlet is a task of its own from the beginning: its locks, scopes, `Task.current` and cancel are not its caller's. But most need none of that, so the task is made
//! when something asks for the running task (`Thread::task`). Until it is split off it has no registers: its frames lie on the stack of the task that is mounted (`Thread::current`), and it counts as
//! mounted. `Thread::identity` is the innermost such task; without threadlets, the one that is mounted.
//!
//! **Split.** A native that must wait makes the identity wait (`begin_wait`) and leaves by `Trap::Suspend`. Then the frames above the caller's, or the native's window if there are none, are moved into
//! the identity's own stack, above a stub as of any task: registers are addressed relative to their frames, so only the first return word changes. The caller goes on at
//! `ThreadletEnd`, at once, with the handle. Whoever wakes the task meanwhile puts it into the inbox of its thread, which this carrier has mounted.
//!
//! A host's function between the two on the native stack prevents that: the threadlet is part of a pinned task then.

use super::start::first_slots;
use super::{Stopped, Thread};
use crate::bytecode::Word;
use crate::interp::frame::{self, COUNTED, Frames};
use crate::native::Trap;
use crate::object::{Header, Kind, TaskObject, type_id};
use crate::task::{Ended, More, Task, flag};
use crate::value::{TAG_INT, TAG_SHIFT, Value};

/// When threadlets become tasks of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threadlets {
    /// When they wait.
    #[default]
    Inline,
    /// At once.
    Split,
    /// Each as a seed says: at once, at the first call that may wait, or when they wait.
    Random(u64),
}

/// Registers of the caller's: see the head of the file.
pub(crate) const IDENTITY: usize = 0;
pub(crate) const OUTER: usize = 1;
pub(crate) const NAME: usize = 2;
/// Where the window lies in the stub's frame of a task that was split off, and the slot of that.
const STUB_WINDOW: usize = 1;
const WINDOW_SLOT: usize = 2 + STUB_WINDOW;

impl Thread {
    /// `Threadlet`: calls what is in window `at`; registers `state`.
    pub(crate) fn begin_threadlet(
        &mut self,
        at: usize,
        state: usize,
        argc: usize,
    ) -> Result<(), Trap> {
        let mode = match self.threadlets {
            Threadlets::Inline => Threadlets::Inline,
            Threadlets::Split => Threadlets::Split,
            Threadlets::Random(seed) => self.random_mode(seed),
        };
        if mode == Threadlets::Split {
            // (It is no call: `ThreadletEnd` takes what is made here.)
            let handle = self.spawn(at, argc, self.reg(state + NAME), true)?;
            self.set_reg(at, handle);
            self.set_reg(state + IDENTITY, Value::TRUE);
            return Ok(());
        }
        if self.heap.has_refused() {
            self.reserve_shared(super::start::TASK_BYTES)?;
        }
        let slot = self.stack_index(self.base.wrapping_add(state));
        self.set_reg(state + IDENTITY, Value::NIL);
        self.set_reg(state + OUTER, Value::small_int(self.boundary as i64));
        self.boundary = slot;
        if mode != Threadlets::Inline {
            self.task().set(flag::SPLITS_EARLY);
        }
        self.call_window(at, argc, at, &[])
    }
    #[cold]
    fn random_mode(&mut self, seed: u64) -> Threadlets {
        // The same threadlets of a thread are treated alike in each run: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
        let number =
            self.block.id << 32 ^ self.parts.next_task ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        match (mixed ^ mixed >> 31) % 3 {
            0 => Threadlets::Inline,
            1 => Threadlets::Split,
            _ => Threadlets::Random(seed),
        }
    }
    /// `ThreadletEnd`: the handle of the threadlet with the registers `state`, whose call has returned `result`.
    pub(crate) fn end_threadlet(&mut self, state: usize, result: Value) -> Value {
        let identity = self.reg(state + IDENTITY);
        if identity == Value::TRUE {
            return result;
        }
        if !identity.is_nil() {
            return self.end_identity(state, result, Ended::Returned);
        }
        self.boundary = self.reg(state + OUTER).as_small_int() as usize;
        let name = self.reg(state + NAME);
        self.ended_handle(name, result)
    }
    /// `ThreadletFail`: the same of one that was left by an error. `None`: the task around it is being killed.
    pub(crate) fn fail_threadlet(&mut self, state: usize, error: Value) -> Option<Value> {
        if self.reg(state + IDENTITY) == Value::TRUE {
            // It was to be split off at once, and could not be.
            return None;
        }
        if error.is_unset() {
            // Nobody has it who could ask how it ended, but those whom it told of itself.
            if self.reg(state + IDENTITY).is_nil() {
                self.boundary = self.reg(state + OUTER).as_small_int() as usize;
            } else {
                let message = self.text_value("the task was killed");
                let error = self.new_error(crate::types::ErrorKind::Cancelled, message);
                self.end_identity(state, error, Ended::Killed);
            }
            return None;
        }
        let was_cancelled = self.task().is(flag::WAS_CANCELLED);
        let is_cancel = error.type_id() == crate::types::ErrorKind::Cancelled.type_id();
        let how = match was_cancelled && is_cancel {
            true => Ended::Cancelled,
            false => Ended::Failed,
        };
        Some(self.end_identity(state, error, how))
    }
    /// The innermost threadlet, which has a task, has ended; gives its handle.
    fn end_identity(&mut self, state: usize, value: Value, how: Ended) -> Value {
        let task = self.identity;
        let outer = self.reg(state + OUTER).as_small_int() as usize;
        // SAFETY: the identity is a task of the mounted thread.
        let handle = unsafe { (*task).handle };
        self.identity = address_in(self.reg(state + NAME));
        self.boundary = outer;
        self.end_task_as(task, value, how, true);
        handle
    }
    /// The handle of a task that there never was: its call has returned.
    fn ended_handle(&mut self, name: Value, result: Value) -> Value {
        let is_named = name.is_kind(Kind::Str);
        let bytes = size_of::<TaskObject>() + if is_named { size_of::<Value>() } else { 0 };
        let aux = Ended::Returned as u16 | if is_named { TaskObject::NAMED } else { 0 };
        let object = self
            .heap
            .alloc(Header::new(Kind::Task, type_id::TASK, aux), bytes)
            .cast::<TaskObject>();
        let id = self.parts.new_number();
        // SAFETY: `alloc` made room.
        unsafe {
            (*object).id = id;
            (*object).result = result;
            if is_named {
                *object.add(1).cast::<Value>() = name;
            }
        }
        Value::local(object.cast())
    }

    // --- identity

    /// Whether the innermost threadlet has no task yet.
    #[inline]
    pub(crate) fn has_bare_threadlet(&self) -> bool {
        self.boundary != 0 && self.stack_slot(self.boundary + IDENTITY).is_nil()
    }
    /// Makes the tasks of all threadlets that are under way on the running task's stack.
    #[cold]
    pub(crate) fn make_identities(&mut self) {
        let frames = Stretch {
            start: self.stack.start,
            base: self.base,
            pc: self.pc,
        };
        self.identity = self.make_bare(&frames, self.boundary, self.identity);
    }
    /// The same for all tasks of the mounted thread: they are to be told something.
    #[cold]
    pub(crate) fn make_all_identities(&mut self) {
        if !self.current.is_null() && self.boundary != 0 {
            self.make_identities();
        }
        let more = self.parts.more_if_any();
        if more.is_none_or(|more| more.with_threadlets == 0) {
            return;
        }
        for task in self.parts.tasks.to_vec() {
            // SAFETY: a task of the mounted thread that does not run: its registers are its own.
            unsafe {
                if !(*task).is(flag::HAS_THREADLETS) {
                    continue;
                }
                let frames = Stretch {
                    start: (*task).start,
                    base: (*task).base(),
                    pc: (*task).pc,
                };
                let (boundary, identity) = ((*task).more().boundary, (*task).more().identity);
                let identity = self.make_bare(&frames, boundary, identity);
                (*task).more().identity = identity;
            }
        }
    }
    /// Makes what tasks of threadlets are missing on a stack, from the outside in; gives the innermost.
    fn make_bare(&mut self, frames: &Stretch, boundary: usize, innermost: *mut Task) -> *mut Task {
        // SAFETY: slots of states, which name each other from the inside out.
        let state = |slot: usize| unsafe { &mut *frames.start.add(slot).cast::<[Value; 3]>() };
        let mut bare = Vec::new();
        let mut slot = boundary;
        while slot != 0 {
            if state(slot)[IDENTITY].is_nil() {
                bare.push(slot);
            }
            slot = state(slot)[OUTER].as_small_int() as usize;
        }
        let mut around = innermost;
        // The bare ones are the innermost: to ask for a task makes those of all threadlets around it.
        for slot in bare.into_iter().rev() {
            around = self.make_identity(frames, slot, around);
        }
        around
    }
    fn make_identity(&mut self, stretch: &Stretch, slot: usize, around: *mut Task) -> *mut Task {
        let state = stretch.start.wrapping_add(slot);
        // SAFETY: the frames of a stack; one of them holds the registers.
        let (callee, site, name) = unsafe {
            let mut frames = Frames::new(stretch.base, stretch.pc);
            let caller = frames
                .find(|frame| frame.base <= state)
                .expect("the caller of a threadlet is on the stack");
            let window = threadlet_of(caller.pc).a();
            let callee = *caller.base.add(window);
            let place = (caller.proto, u64::from(caller.word()));
            let parent = (*around).site;
            let site = self.site_cache.get(parent, caller.pc).unwrap_or_else(|| {
                let site = self.scheduler.sites.intern(parent, place);
                self.site_cache.set(parent, caller.pc, site);
                site
            });
            (callee, site, *state.add(NAME))
        };
        // It is too late to refuse this one; the next one will be.
        let _ = self.reserve_shared(super::start::TASK_BYTES);
        let task = self
            .pool
            .take(self.block.as_ptr(), STUB_WINDOW + first_slots(callee, 0));
        // SAFETY: just made; the one around it is a task of the mounted thread.
        unsafe {
            (*task).site = site;
            (*task).set(flag::IS_NEW);
            (*task).note_mounted();
            self.add_unready_task(task);
            self.handle_of(task, name);
            (*task).clear(flag::IS_NEW);
            if self.parts.stopped == Stopped::Killed {
                // If it is split off it never runs.
                (*task).set(flag::IS_KILLED);
            }
            if let Some(name) = crate::ops::text::as_str(name) {
                (*task).more().name = Some(name.into());
            }
            if let Some(scope) = &(*around).scope {
                let is_cancelled = scope.enter(task);
                (*task).scope = Some(scope.clone());
                if is_cancelled {
                    self.cancel_in_scopes_of(task);
                }
            }
            super::start::inherit(&*around, task);
            *state.add(IDENTITY) = address_of(task);
            *state.add(NAME) = address_of(around);
        }
        task
    }

    // --- splitting off

    /// Whether the innermost threadlet can be split off: no host's function lies on the native stack above it.
    #[inline]
    pub(crate) fn can_split(&self) -> bool {
        self.boundary > self.nested_slot
    }
    /// The identity waits, or yields: its frames become its own stack, and the caller goes on.
    pub(crate) fn split_threadlet(&mut self) {
        debug_assert!(self.can_split() && !self.has_bare_threadlet());
        let task = self.identity;
        let state = self.stack.start.wrapping_add(self.boundary);
        // SAFETY: the frames of the machine's stack, one of which holds the registers; the task is of the mounted thread, and nobody else uses its registers.
        unsafe {
            // The frames that move have no marks of depths any more.
            let mut first: Option<*mut Value> = None;
            let mut caller = None;
            for frame in Frames::new(self.base, self.pc) {
                if frame.base <= state {
                    caller = Some(frame);
                    break;
                }
                first = Some(frame.base);
                let word = frame::ret(frame.base);
                *frame.base.sub(1) = Value::from_bits(word & !COUNTED);
            }
            let caller = caller.expect("the caller of a threadlet is on the stack");
            let window = threadlet_of(caller.pc).a();
            let from = caller.base.add(window);
            let registers = (*frame::proto(self.base)).registers as usize;
            let live = registers.max(std::mem::take(&mut self.scan_extra));
            let count = self.base.add(live).offset_from(from) as usize;
            Task::make_room(task, WINDOW_SLOT + count);
            let start = (*task).start;
            let stub = self.engine().stub();
            *start = stub;
            *start.add(1) = Value::from_bits(0);
            *start.add(2) = Value::NIL;
            std::ptr::copy_nonoverlapping(from, start.add(WINDOW_SLOT), count);
            let stub_code = (*frame::proto(start.add(2))).code_start;
            match first {
                Some(first) => {
                    let word = frame::ret(first);
                    let distance = frame::return_distance(word) - window + STUB_WINDOW;
                    let base = start.add(2 + distance + 2);
                    *base.sub(1) = Value::from_bits(frame::return_word(stub_code, distance, 0));
                    (*task).set_base(WINDOW_SLOT + self.base.offset_from(from) as usize);
                    (*task).pc = self.pc;
                    (*task).live = live as u16;
                    (*task).wait_dest = self.wait_dest as u8;
                }
                None => {
                    // A native that was called directly.
                    (*task).set_base(2);
                    (*task).pc = stub_code;
                    (*task).live = (live - window + STUB_WINDOW) as u16;
                    (*task).wait_dest = 0;
                    if let Some(more) = (*task).more_if_any_mut()
                        && let Some(native) = &mut more.native
                    {
                        native.at = (native.at as usize - window + STUB_WINDOW) as u16;
                    }
                }
            }
            let from_slot = self.stack_index(from);
            let handlers = (*task).more_if_any_mut().into_iter();
            for handler in handlers.flat_map(More::handlers) {
                if handler.slot != usize::MAX && handler.slot >= from_slot {
                    handler.slot = handler.slot - from_slot + WINDOW_SLOT;
                }
            }
            self.parts.tasks.touch(task);
            let counted = &mut self.stack.counted;
            while counted.last().is_some_and(|last| last.0 >= from_slot) {
                counted.pop();
            }
            // The caller.
            self.base = caller.base;
            self.pc = caller.pc;
            *from = (*task).handle;
            self.boundary = (*state.add(OUTER)).as_small_int() as usize;
            *state.add(IDENTITY) = Value::TRUE;
            self.identity = address_in(*state.add(NAME));
            // In a cancelled scope it was cancelled when it got its task, which may have been for this very wait, behind the look at its beginning.
            if (*task).is(flag::CANCEL_PENDING) {
                self.deliver_cancel(task);
            }
        }
    }
    /// A native that may wait is about to be called in a threadlet that is to be split off at such a call: it parks at once, and the native is called when it goes on.
    #[cold]
    pub(crate) fn splits_early(&mut self) -> bool {
        // A call with `copy(x)` among its arguments is made at once: what parks does not keep which these are.
        if self.has_bare_threadlet() || !self.can_split() || self.copy_mask != 0 {
            return false;
        }
        // SAFETY: the identity is a task of the mounted thread.
        unsafe { (*self.identity).take(flag::SPLITS_EARLY) }
    }
}

/// The frames of a task's stack.
struct Stretch {
    start: *mut Value,
    base: *mut Value,
    pc: *const u64,
}

/// An address in the form of an int, which the collector leaves alone.
fn address_of(task: *mut Task) -> Value {
    Value::from_bits(TAG_INT | task as u64)
}
fn address_in(value: Value) -> *mut Task {
    (value.bits() & ((1 << TAG_SHIFT) - 1)) as *mut Task
}

/// The instruction that has called what returns to `pc`.
///
/// # Safety
/// `pc` is that of a frame that has called a threadlet.
unsafe fn threadlet_of(pc: *const u64) -> Word {
    // SAFETY: promised by the caller: the word before.
    Word(unsafe { crate::interp::code_word(pc.sub(1)) })
}
