//! Tasks: what is suspended and resumed.
//!
//! A task is data: a register stack, the position in the top frame, and what it waits for. Nothing of it is on a native stack.

mod hopper;
mod stack;

pub(crate) use hopper::Hopper;
pub(crate) use stack::Stack;

use crate::interp::frame;
use crate::module::Proto;
use crate::thread::Wait;
use crate::value::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Ready,
    Running,
    Waiting,
    Ended,
    Failed,
}

/// A line of execution within a thread.
pub struct Task {
    pub id: u64,
    pub name: Option<String>,
    pub state: TaskState,
    /// Somebody got, or will get, its outcome.
    pub is_joined: bool,
    pub(crate) stack: Stack,
    /// Top frame; null while it is mounted.
    pub(crate) base: *mut Value,
    pub(crate) pc: *const u64,
    /// Since it was unmounted, a collection has cleared what lies above its top frame.
    pub(crate) is_clear_above: bool,
    /// Above this slot (and the slack) nothing was left behind by frames that are gone.
    pub(crate) soft_limit: usize,
    /// It has not begun: the stub's window holds a call with so many arguments.
    pub(crate) first_call: Option<usize>,
    pub(crate) wait: Option<Wait>,
    /// Register of the top frame that gets the result of the wait.
    pub(crate) wait_dest: usize,
    /// Result or error, once it has ended.
    pub(crate) result: Value,
    pub(crate) loose_trace: Vec<(*const Proto, u64)>,
    /// Tasks that wait for its end.
    pub(crate) joiners: Vec<u64>,
}

impl Task {
    pub(crate) fn new(id: u64, name: Option<String>) -> Task {
        Task {
            id,
            name,
            state: TaskState::Ready,
            is_joined: false,
            stack: Stack::empty(),
            base: std::ptr::null_mut(),
            is_clear_above: false,
            pc: std::ptr::null(),
            soft_limit: 0,
            first_call: None,
            wait: None,
            wait_dest: 0,
            result: Value::NIL,
            loose_trace: Vec::new(),
            joiners: Vec::new(),
        }
    }
    pub fn is_done(&self) -> bool {
        matches!(self.state, TaskState::Ended | TaskState::Failed)
    }
    /// Makes the stack: the stub's frame, and in its window the call that the task is.
    pub(crate) fn prepare(&mut self, stub: Value, function: Value, args: &[Value]) {
        let slots = (4 + args.len() + crate::thread::SLACK * 2).next_multiple_of(64);
        self.stack.resize(slots);
        // SAFETY: the stack was made with room for these; the stub's frame has its base at slot 2.
        unsafe {
            let start = self.stack.start;
            *start = stub;
            *start.add(1) = Value::from_bits(0);
            *start.add(2) = function;
            for (i, arg) in args.iter().enumerate() {
                *start.add(4 + i) = *arg;
            }
            self.base = start.add(2);
            self.pc = (*frame::proto(self.base)).code_start;
        }
        self.first_call = Some(args.len());
    }
    /// Registers of the top frame that are live although its prototype does not say so.
    /// Values of frames that are gone lie above the top frame: the collector does not see them, so later frames must not either.
    /// For a task that is not mounted.
    pub(crate) fn clear_above_top(&mut self) {
        if self.base.is_null() || self.is_clear_above {
            return;
        }
        self.is_clear_above = true;
        // SAFETY: base is the top frame's, whose registers lie in the stack, as all up to its end.
        unsafe {
            let registers = (*crate::interp::frame::proto(self.base)).registers as usize;
            let top = self.base.add(registers.max(self.extra()));
            let end = self.stack.start.add(self.stack.capacity);
            if top < end {
                std::ptr::write_bytes(top, 0, end.offset_from(top) as usize);
            }
        }
    }
    pub(crate) fn extra(&self) -> usize {
        self.first_call.map_or(0, |argc| 2 + argc)
    }
}
