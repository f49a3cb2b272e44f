//! Throwing: traces, and the search for a handler.

use super::Exit;
use super::frame::{self, Frames};
use crate::bytecode::{HandlerRange, Op, Word};
use crate::module::Proto;
use crate::native::Trap;
use crate::object::{Generator, Header, Kind, Trace, type_id};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

/// Traces keep this many of the innermost and of the outermost frames.
const TRACE_HALF: usize = 50;
/// Position of an error's trace among its fields.
pub(crate) const TRACE_FIELD: usize = 4;

/// States of a generator object.
pub(crate) mod generator_state {
    pub(crate) const STARTED: u64 = 0;
    pub(crate) const SUSPENDED: u64 = 1;
    pub(crate) const RUNNING: u64 = 2;
    pub(crate) const DONE: u64 = 3;
}

/// Who resumed a running generator: kept in its `pc` field meanwhile.
pub(crate) mod resumed_by {
    /// A call (`next`): its end throws `StopIteration`.
    pub(crate) const CALL: u64 = 0;
    /// A loop: its end ends the loop.
    pub(crate) const LOOP: u64 = 1;
    /// `IterClose`.
    pub(crate) const CLOSE: u64 = 2;
    /// A loop over pairs: takes each value apart.
    pub(crate) const PAIRS: u64 = 3;
}

/// Whether a handler is the end of a threadlet, which has a task that must end, too; it runs no code of the program.
fn ends_threadlet(proto: &Proto, handler: &HandlerRange) -> bool {
    // SAFETY: verified: the target is inside the code.
    let word = unsafe { super::code_word(proto.code_start.add(handler.target as usize)) };
    Word(word).op() == Some(Op::ThreadletFail)
}

impl Thread {
    /// Acts on what a slow path could not finish. `Some`: leave the loop.
    pub(crate) fn handle_trap(&mut self, trap: Trap) -> Option<Exit> {
        match trap {
            Trap::Throw => self.unwind(),
            Trap::Collect => {
                // SAFETY: `pc` is behind the instruction's word.
                self.pc = unsafe { self.pc.sub(1) };
                if self.retry_pc == self.pc {
                    self.retry_pc = std::ptr::null();
                    // SAFETY: as above, undoing it so that the trace names the instruction.
                    self.pc = unsafe { self.pc.add(1) };
                    self.throw_limit();
                    return self.unwind();
                }
                self.retry_pc = self.pc;
                self.collect_full();
                None
            }
            Trap::Safepoint => self.safepoint(),
            Trap::Suspend if self.boundary != 0 && self.can_split() => {
                let is_ready =
                    std::mem::take(&mut self.yielded) || std::mem::take(&mut self.parks_ready);
                let task = self.task_pointer();
                self.split_threadlet();
                if is_ready {
                    // SAFETY: a task of the mounted thread.
                    unsafe {
                        if (*task).wait == crate::task::Wait::None {
                            (*task).set(crate::task::flag::HAS_YIELDED);
                        }
                    }
                    self.make_ready(task);
                } else {
                    // SAFETY: as above; it has begun to wait.
                    unsafe { self.wake_killed(task) };
                }
                None
            }
            Trap::Suspend if self.yielded => {
                self.yielded = false;
                Some(Exit::Yielded)
            }
            Trap::Exit if self.returned => {
                self.returned = false;
                Some(Exit::Returned)
            }
            Trap::Suspend => Some(Exit::Parked),
            Trap::Exit => Some(Exit::Ended),
            Trap::Call => unreachable!("tail calls are made where natives are called"),
        }
    }

    /// Looks for a handler of `self.thrown`, leaving frames on the way. An unset `thrown` closes a generator: only cleanups see it,
    /// and it ends with the generator's frame.
    pub(crate) fn unwind(&mut self) -> Option<Exit> {
        self.retry_pc = std::ptr::null();
        let mut closing = self.thrown.is_unset();
        let is_noting = self.is_noting_handlers();
        let is_out = is_noting && self.has_no_kill_fuel();
        loop {
            // SAFETY: `base` and `pc` are those of the top frame.
            let (proto, word) = unsafe {
                let top = frame::Frame {
                    proto: frame::proto(self.base),
                    base: self.base,
                    pc: self.pc,
                };
                (&*top.proto, top.word())
            };
            if proto.is_stub() {
                return Some(Exit::Threw);
            }
            if is_noting && self.is_killing && !closing && self.leaves_cleanup(proto, word) {
                self.thrown = Value::UNSET;
                closing = true;
            }
            if let Some(handler) = proto
                .handlers
                .iter()
                .find(|h| h.start <= word && word < h.end && (!closing || h.is_cleanup))
                && (!is_out || ends_threadlet(proto, handler))
            {
                if is_noting {
                    self.note_handler(proto, handler);
                }
                // SAFETY: verified: the register is inside the frame, the target inside the code.
                unsafe {
                    *self.base.add(handler.reg as usize) = self.thrown;
                    self.pc = proto.code_start.add(handler.target as usize);
                    // What lies above belongs to the body that was left, or to the callees in it: a handler of `LimitError`
                    // needs the memory. (A cleanup goes on with the body's registers.)
                    if !handler.is_cleanup {
                        for dead in handler.reg as usize + 1..proto.registers as usize {
                            *self.base.add(dead) = Value::NIL;
                        }
                    }
                }
                return None;
            }
            if proto.is_generator {
                self.finish_generator();
            }
            // SAFETY: the return word leads to the caller; the frame's registers are nobody's any more. They may lie among those of a
            // frame below, where what was left would be kept alive: after a LimitError that matters.
            unsafe {
                let ret = frame::ret(self.base);
                std::ptr::write_bytes(self.base, 0, proto.registers as usize);
                self.base = self.base.sub(frame::return_distance(ret) + 2);
                self.pc = frame::return_pc(ret);
            }
            if closing && proto.is_generator && !self.is_killing {
                self.thrown = Value::NIL;
                return None;
            }
        }
    }

    /// The generator that runs in the top frame is exhausted. Gives who resumed it.
    pub(crate) fn finish_generator(&mut self) -> u64 {
        // SAFETY: `resume_generator` put the generator there; before `GenBegin` it may be anything of the caller's.
        unsafe {
            let generator = *self.base.sub(super::frame::GENERATOR_BELOW);
            if generator.is_kind(Kind::Generator) {
                let generator = generator.as_object().cast::<Generator>();
                if (*generator).closure == *self.base.sub(2)
                    && (*generator).state == generator_state::RUNNING
                {
                    (*generator).state = generator_state::DONE;
                    (*generator).header.aux = 0;
                    return (*generator).pc;
                }
            }
        }
        resumed_by::CALL
    }

    /// Makes `value` the thrown one, with a trace if it has none.
    pub(crate) fn throw_value(&mut self, value: Value) -> Trap {
        self.thrown = value;
        self.add_trace(value);
        Trap::Throw
    }

    /// Throws a new error of a built-in kind.
    pub fn throw_new(&mut self, kind: ErrorKind, message: &str) -> Trap {
        let message = crate::ops::text::new_reserved(&mut self.heap, message);
        let error = self.new_error(kind, message);
        self.throw_value(error)
    }

    /// The same; `data` becomes the error's.
    pub(crate) fn throw_with(&mut self, kind: ErrorKind, message: &str, data: Value) -> Trap {
        let message = crate::ops::text::new_reserved(&mut self.heap, message);
        let error = self.new_error(kind, message);
        // SAFETY: a new error has five fields, the third of them is `data`, and nothing was allocated since it was made.
        unsafe { *error.as_object().cast::<Value>().add(3) = data };
        self.throw_value(error)
    }

    /// An error object without a trace.
    pub(crate) fn new_error(&mut self, kind: ErrorKind, message: Value) -> Value {
        let template = Header::new(Kind::Struct, kind.type_id(), 5);
        let object = self
            .heap
            .alloc(template, size_of::<Header>() + 5 * size_of::<Value>());
        // SAFETY: there is room for five fields.
        unsafe {
            let fields = object.cast::<Value>().add(1);
            *fields = message;
            for i in 1..5 {
                *fields.add(i) = Value::NIL;
            }
        }
        Value::local(object)
    }

    /// Whether a value is an instance of an error type.
    pub(crate) fn is_error(&self, v: Value) -> bool {
        v.is_kind(Kind::Struct) && self.engine.type_info(v.type_id()).is_error
    }

    /// Records where `error` is thrown, unless it says so already.
    fn add_trace(&mut self, error: Value) {
        if !self.is_error(error) {
            self.loose_trace = self.collect_trace();
            return;
        }
        let object = error.as_object();
        // SAFETY: an error has five fields in front of its own.
        let slot = unsafe { object.cast::<Value>().add(1 + TRACE_FIELD) };
        // SAFETY: as above.
        if unsafe { !(*slot).is_nil() } || error.is_shared() {
            return;
        }
        let entries = self.collect_trace_of(
            // The end of an iteration is hardly ever looked at: its place is enough.
            if error.type_id() == ErrorKind::StopIteration.type_id() {
                1
            } else {
                usize::MAX
            },
        );
        self.set_trace(error, &entries);
    }

    /// (prototype, word) of each frame, newest first; a null prototype stands for as many frames left out.
    pub(crate) fn collect_trace(&self) -> Vec<(*const Proto, u64)> {
        self.collect_trace_of(usize::MAX)
    }

    /// The program's own line that runs; where the running task was started if only the library's code is on its stack, as after
    /// `spawn fs.read(path)`.
    pub(crate) fn program_place(&self) -> Option<(*const Proto, u64)> {
        let own = self.collect_trace_of(1).first().copied();
        own.or_else(|| {
            if self.current.is_null() {
                return None;
            }
            // SAFETY: the innermost task that there is.
            let site = unsafe { (*self.identity).site };
            self.scheduler.sites.chain(site).first().copied()
        })
    }
    /// As `collect_trace`, of the `most` newest frames.
    pub(crate) fn collect_trace_of(&self, most: usize) -> Vec<(*const Proto, u64)> {
        let mut inner = Vec::new();
        let mut outer: std::collections::VecDeque<(*const Proto, u64)> =
            std::collections::VecDeque::new();
        let mut left_out = 0u64;
        if self.base.is_null() {
            return inner;
        }
        // SAFETY: `base` and `pc` are those of the top frame.
        for frame in unsafe { Frames::new(self.base, self.pc) } {
            // SAFETY: prototypes live as long as the engine.
            let proto = unsafe { &*frame.proto };
            if proto.is_stub() || proto.is_internal {
                continue;
            }
            if inner.len() == most {
                break;
            }
            let entry = (frame.proto, frame.word() as u64);
            if inner.len() < TRACE_HALF {
                inner.push(entry);
            } else {
                if outer.len() == TRACE_HALF {
                    outer.pop_front();
                    left_out += 1;
                }
                outer.push_back(entry);
            }
        }
        if left_out > 0 {
            inner.push((std::ptr::null(), left_out));
        }
        inner.extend(outer);
        inner
    }

    /// Gives an error this trace.
    pub(crate) fn set_trace(&mut self, error: Value, entries: &[(*const Proto, u64)]) {
        if !self.is_error(error) {
            return;
        }
        let bytes = size_of::<Trace>() + entries.len() * 16;
        let trace = self
            .heap
            .alloc(Header::new(Kind::Trace, type_id::INTERNAL, 0), bytes)
            .cast::<Trace>();
        // SAFETY: room for the header, the length and two words for each entry; an error has five fields in front of its own.
        unsafe {
            (*trace).len = entries.len() as u64;
            let words = trace.add(1).cast::<u64>();
            for (i, (proto, word)) in entries.iter().enumerate() {
                *words.add(2 * i) = *proto as u64;
                *words.add(2 * i + 1) = *word;
            }
            let object = error.as_object();
            let slot = object.cast::<Value>().add(1 + TRACE_FIELD);
            *slot = Value::local(trace.cast());
            self.heap.barrier(object, *slot);
        }
    }

    /// The trace that an error carries, as `collect_trace` made it.
    pub(crate) fn trace_of(&self, error: Value) -> Vec<(*const Proto, u64)> {
        if !self.is_error(error) {
            return self.loose_trace.clone();
        }
        // SAFETY: an error's fifth field is nil or a trace.
        unsafe {
            let slot = *error.as_object().cast::<Value>().add(1 + TRACE_FIELD);
            if !slot.is_kind(Kind::Trace) {
                return Vec::new();
            }
            let trace = slot.as_object().cast::<Trace>();
            let words = trace.add(1).cast::<u64>();
            (0..(*trace).len as usize)
                .map(|i| (*words.add(2 * i) as *const Proto, *words.add(2 * i + 1)))
                .collect()
        }
    }
}
