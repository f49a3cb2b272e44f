//! Tasks: what is suspended and resumed.
//!
//! A task is data: a register stack, the position in the top frame, and what it waits for. Nothing of it is on a native stack. It never moves,
//! since wakers of other threads point to it (see `sched::wait`); it is freed when it ends, and its result lives in its handle.

mod hopper;
mod stack;

pub(crate) use hopper::Hopper;
pub(crate) use stack::Stack;

use crate::interp::frame;
use crate::module::Proto;
use crate::sched::ThreadBlock;
use crate::sched::scope::Scope;
use crate::sched::timers::NO_TIMER;
use crate::sched::wait::{Claim, WaitList, Waiter};
use crate::shared::Message;
use crate::value::Value;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    Ready,
    Running,
    Waiting,
}

/// How a task ended: `aux` of its handle (0 while it has not).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Ended {
    Returned = 1,
    Failed = 2,
    Cancelled = 3,
    Killed = 4,
}

/// What a task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    None,
    Sleep,
    Receive,
    /// A `for` loop over a channel: its end is no error.
    Next,
    Send,
    Join,
    JoinThread,
    Select,
    /// The end of what was started in a scope.
    Scope,
    Acquire,
    Lock,
    Gate,
    /// Room in all subscribers of a broadcast.
    Broadcast,
    Subscriber,
    /// The end of the call that a `Once` makes.
    Once,
    Queue,
}

impl Wait {
    /// As dumps and reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wait::None => "nothing",
            Wait::Sleep => "sleep",
            Wait::Receive | Wait::Next => "recv of a channel",
            Wait::Send => "send to a channel",
            Wait::Join => "join of a task",
            Wait::JoinThread => "join of a thread",
            Wait::Select => "select",
            Wait::Scope => "the tasks of a scope",
            Wait::Acquire => "acquire of a semaphore",
            Wait::Lock => "lock of a mutex",
            Wait::Gate => "wait of a latch or barrier",
            Wait::Broadcast => "send to a broadcast",
            Wait::Subscriber => "recv of a broadcast's subscriber",
            Wait::Once => "the call of a once",
            Wait::Queue => "recv of a queue",
        }
    }
}

/// What the one who claimed a task left for it.
pub(crate) enum Delivery {
    None,
    Value(Message),
    /// The channel was closed.
    Closed,
}

/// A line of execution within a thread.
pub struct Task {
    /// In the inbox of its thread.
    pub(crate) next: *mut Task,
    pub(crate) block: *const ThreadBlock,
    pub(crate) claim: Claim,
    /// Position in the thread's table.
    pub(crate) index: u32,
    pub id: u64,
    /// Its timer, while it has one; used under the lock of the timers.
    pub(crate) timer: u32,
    pub(crate) has_timer: bool,
    pub state: TaskState,
    pub(crate) wait: Wait,
    pub(crate) waiter: Waiter,
    /// The waiters of a `select`.
    pub(crate) arms: Vec<Waiter>,
    /// Written by whoever claimed it.
    pub(crate) delivery: Delivery,
    /// What it waits for, if that is a value of the thread: a task's handle, a `select`'s operands.
    pub(crate) wait_value: Value,
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
    /// Register of the top frame that gets the result of the wait.
    pub(crate) wait_dest: usize,
    /// Its handle, which gets its result.
    pub(crate) handle: Value,
    /// Tasks of the thread that wait for its end.
    pub(crate) joiners: WaitList,
    /// The scope that waits for it.
    pub(crate) member: Option<Arc<Scope>>,
    /// The innermost scope that it has open, else that of which it is a member: what it starts belongs to that.
    pub(crate) scope: Option<Arc<Scope>>,
    /// Throws `Cancelled` at its next blocking point.
    pub(crate) is_cancel_pending: bool,
    /// It stands at a `yield`, which is a blocking point.
    pub(crate) has_yielded: bool,
    /// The scope for which it was cancelled already.
    pub(crate) cancelled_for: *const Scope,
    pub(crate) was_cancelled: bool,
    /// `cancelled_for` was set because the owner of the scope is past it, not because it was cancelled.
    pub(crate) is_own_cancel: bool,
    pub(crate) is_killed: bool,
    /// It was killed, and runs its defers.
    pub(crate) is_dying: bool,
    pub(crate) is_detached: bool,
    /// The task that its thread was started for: its result is the thread's.
    pub(crate) is_first: bool,
    pub(crate) name: Option<Box<str>>,
    /// Where it was started.
    pub(crate) site: (*const Proto, u64),
    /// The innermost `Scoped` that was set.
    pub(crate) scoped: Option<Arc<crate::shared::Binding>>,
    /// Handles of the mutexes that it holds.
    pub(crate) locks: Vec<Message>,
}

impl Task {
    pub(crate) fn new(id: u64, block: *const ThreadBlock, name: Option<Box<str>>) -> *mut Task {
        let task = Box::into_raw(Box::new(Task {
            next: std::ptr::null_mut(),
            block,
            claim: Claim::new(),
            index: 0,
            id,
            timer: NO_TIMER,
            has_timer: false,
            state: TaskState::Ready,
            wait: Wait::None,
            waiter: Waiter::new(std::ptr::null_mut()),
            arms: Vec::new(),
            delivery: Delivery::None,
            wait_value: Value::NIL,
            stack: Stack::empty(),
            base: std::ptr::null_mut(),
            pc: std::ptr::null(),
            is_clear_above: false,
            soft_limit: 0,
            first_call: None,
            wait_dest: 0,
            handle: Value::NIL,
            joiners: WaitList::default(),
            member: None,
            scope: None,
            is_cancel_pending: false,
            has_yielded: false,
            cancelled_for: std::ptr::null(),
            was_cancelled: false,
            is_own_cancel: false,
            is_killed: false,
            is_dying: false,
            is_detached: false,
            is_first: false,
            name,
            site: (std::ptr::null(), 0),
            scoped: None,
            locks: Vec::new(),
        }));
        // SAFETY: just made; it never moves.
        unsafe { (*task).waiter.task = task };
        task
    }
    /// `task 3 'left'`.
    pub(crate) fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("task {} '{name}'", self.id),
            None => format!("task {}", self.id),
        }
    }
    /// Makes the stack: the stub's frame, and in its window the call that the task is.
    pub(crate) fn prepare(&mut self, stub: Value, function: Value, args: &[Value]) {
        // The rest is added when it begins.
        // SAFETY: the stub is a closure; prototypes live as long as the engine.
        let registers = unsafe {
            (*(*stub.as_object().cast::<crate::object::Closure>()).proto()).registers as usize
        };
        let slots = 2 + registers.max(2 + args.len());
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
    /// Gives back what its stack has room for beyond the top frame. For a task that is not mounted.
    pub(crate) fn shrink_stack(&mut self) -> Option<Stack> {
        // SAFETY: base is the top frame's, whose registers lie in the stack.
        let used = unsafe {
            let registers = (*crate::interp::frame::proto(self.base)).registers as usize;
            self.base.offset_from(self.stack.start) as usize + registers.max(self.extra())
        };
        if used * 2 < self.stack.capacity {
            // SAFETY: as above.
            let at = unsafe { self.base.offset_from(self.stack.start) } as usize;
            let large = self.stack.shrink(used);
            self.base = self.stack.start.wrapping_add(at);
            self.is_clear_above = true;
            return Some(large);
        }
        None
    }
    /// Registers of the top frame that are live although its prototype does not say so.
    pub(crate) fn extra(&self) -> usize {
        self.first_call.map_or(0, |argc| 2 + argc)
    }
}
