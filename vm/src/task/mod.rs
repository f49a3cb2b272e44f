//! Tasks: what is suspended and resumed.
//!
//! A task is data: registers, the position in the top frame, and what it waits for. Nothing of it is on a native stack. It never moves,
//! since wakers of other threads point to it (see `sched::wait`); it is freed when it ends, and its result lives in its handle.
//!
//! **Where its registers are.** While it runs, in the carrier's run stack. While it does not, in the room behind its header, which is as large as its first
//! function needs: a task that waits there is one block of some 200 bytes. If it was left in a deeper frame they are in a block of their own, which is
//! exactly as large as they are; and if they fill more than half of the run stack, they keep that and the carrier takes another.
//!
//! Contract of the unsafe code: a task is used by who has its thread mounted. While it waits, wakers touch its claim word, its waiter and what that holds, as
//! `sched::wait` says, and nothing else; so code that may run at the same time as a waker makes no reference to the whole task.

mod hopper;
mod list;
mod pool;
mod stack;

pub(crate) use hopper::Hopper;
pub(crate) use list::{ReadyQueue, TaskList};
pub(crate) use pool::TaskPool;
pub(crate) use stack::Stack;

use crate::account;
use crate::sched::ThreadBlock;
use crate::sched::scope::Scope;
use crate::sched::wait::{ArmWaiter, Claim, NodeKind, WaitList, Waiter};
use crate::shared::Message;
use crate::value::Value;
use std::sync::Arc;

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
#[repr(u8)]
pub(crate) enum Wait {
    None,
    Sleep,
    Receive,
    /// `next` of a channel: its end is a `StopIteration`.
    Next,
    /// A `for` loop over a channel: its end is that of the loop.
    Loop,
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
    /// A source: the native is run again.
    Io,
    /// Work on another OS thread.
    Work,
}

impl Wait {
    /// As dumps and reports name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wait::None => "nothing",
            Wait::Sleep => "sleep",
            Wait::Receive | Wait::Next | Wait::Loop => "recv of a channel",
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
            Wait::Io => "the system",
            Wait::Work => "a blocking call",
        }
    }
}

/// What a task is, as bits of `Task::flags`.
pub(crate) mod flag {
    /// It has run, or was made, since a collection last visited all roots: see `TaskList`.
    pub(crate) const TOUCHED: u16 = 1;
    /// It has not begun: its registers hold a call of its function.
    pub(crate) const IS_NEW: u16 = 1 << 1;
    /// Throws `Cancelled` at its next blocking point.
    pub(crate) const CANCEL_PENDING: u16 = 1 << 2;
    /// It stands at a `yield`, which is a blocking point.
    pub(crate) const HAS_YIELDED: u16 = 1 << 3;
    /// `Cancelled` was thrown, and no scope has absorbed it: see `thread::cancel`.
    pub(crate) const WAS_CANCELLED: u16 = 1 << 4;
    /// `cancelled_for` was set because the owner of the scope is past it, not because it was cancelled.
    pub(crate) const IS_OWN_CANCEL: u16 = 1 << 5;
    pub(crate) const IS_KILLED: u16 = 1 << 6;
    /// It was killed, and runs its defers.
    pub(crate) const IS_DYING: u16 = 1 << 7;
    pub(crate) const IS_DETACHED: u16 = 1 << 8;
    /// The task that its thread was started for: its result is the thread's.
    pub(crate) const IS_FIRST: u16 = 1 << 9;
    /// Its registers are in the run stack of a carrier that it has taken along.
    pub(crate) const HAS_RUN_STACK: u16 = 1 << 10;
    /// Cancelled for good, by `cancel` and not by a scope, which would absorb that.
    pub(crate) const IS_CANCELLED: u16 = 1 << 11;
    /// Threadlets are under way on its stack (for one that does not run): see `More::boundary`.
    pub(crate) const HAS_THREADLETS: u16 = 1 << 12;
    /// A threadlet that is to be split off at the first call that may wait.
    pub(crate) const SPLITS_EARLY: u16 = 1 << 13;
    /// It waits below a native frame: it can go on only on `More::carrier`, and keeps its run stack.
    pub(crate) const IS_PINNED: u16 = 1 << 14;
    /// It waits in a native whose arguments do not lie where its instruction says.
    pub(crate) const KEEPS_ALL: u16 = 1 << 15;
}

/// A line of execution within a thread.
#[repr(C)]
pub struct Task {
    pub(crate) block: *const ThreadBlock,
    pub(crate) claim: Claim,
    pub(crate) flags: u16,
    pub(crate) wait: Wait,
    /// Register of the top frame that gets the result of the wait.
    pub(crate) wait_dest: u8,
    /// Its place where it waits, or, while it is ready, in a queue of tasks (`Waiter::next`).
    pub(crate) waiter: Waiter,
    /// Its registers, while it does not run.
    pub(crate) start: *mut Value,
    /// Slots that may be used at `start`.
    pub(crate) capacity: u32,
    /// Slot of the top frame's base; `MOUNTED` while it runs.
    base: u32,
    pub(crate) pc: *const u64,
    /// Its handle, which gets its result. As long as nobody has asked for one: its number; unset: it is the first of a thread that another one started.
    pub(crate) handle: Value,
    pub(super) all_prev: *mut Task,
    pub(super) all_next: *mut Task,
    /// Tasks of the thread that wait for its end.
    pub(crate) joiners: WaitList,
    /// The innermost scope that it has open, else that of which it is a member: what it starts belongs to that.
    pub(crate) scope: Option<Arc<Scope>>,
    /// What few tasks have.
    more: Option<Box<More>>,
    /// Where it was started: see `sched::sites`.
    pub(crate) site: u32,
    /// Slots behind the header.
    own_slots: u16,
    /// Registers of the top frame that are live, for one that does not run: as many as its prototype says, or, of one that has not begun or waits in a native, up to the end of the call's window.
    pub(crate) live: u16,
}

/// What few tasks have.
pub(crate) struct More {
    /// The waiters of a `select`.
    pub(crate) arms: Vec<ArmWaiter>,
    /// What it waits for, if that is a value of the thread: a task's handle, a `select`'s operands.
    pub(crate) wait_value: Value,
    /// The scope for which it was cancelled already.
    pub(crate) cancelled_for: Option<Arc<Scope>>,
    pub(crate) name: Option<Box<str>>,
    /// The innermost `Scoped` that was set.
    pub(crate) scoped: crate::shared::scoped::Bindings,
    /// Handles of the mutexes that it holds, and of each `Once` that it calls the function of, or waits for.
    pub(crate) locks: Vec<Message>,
    /// See `Stack::counted`.
    pub(crate) counted: Vec<(usize, usize)>,
    /// The handler or cleanup that it is in since it was cancelled or killed.
    pub(crate) handler: Option<InHandler>,
    /// Scopes that it has opened while it tidied up, the innermost first.
    pub(crate) tidying: Option<Box<Tidying>>,
    /// Fuel that it has used since it was killed.
    pub(crate) kill_fuel: u64,
    /// The native that waits for a source or for work.
    pub(crate) native: Option<WaitingNative>,
    /// See `Thread::boundary`, for one that does not run.
    pub(crate) boundary: usize,
    /// Of a task that was left with threadlets under way: the identity of the innermost.
    pub(crate) identity: *mut Task,
    /// Of a pinned one: its carrier.
    pub(crate) carrier: usize,
}

/// A call of a native that waits in the middle of it.
pub(crate) struct WaitingNative {
    pub(crate) def: &'static crate::native::NativeDef,
    /// Its window in the top frame.
    pub(crate) at: u16,
    pub(crate) argc: u16,
    /// See `Ctx::state`.
    pub(crate) state: u64,
    /// The window is that of the instruction.
    pub(crate) is_usual: bool,
    /// What it has another OS thread do.
    pub(crate) work: Option<Arc<crate::shared::SharedObject>>,
}

impl Drop for More {
    fn drop(&mut self) {
        account::subtract(size_of::<More>() + self.arms.capacity() * size_of::<ArmWaiter>());
    }
}

impl Default for More {
    fn default() -> More {
        account::add(size_of::<More>());
        More {
            arms: Vec::new(),
            wait_value: Value::default(),
            cancelled_for: None,
            name: None,
            scoped: crate::shared::scoped::Bindings::default(),
            locks: Vec::new(),
            counted: Vec::new(),
            handler: None,
            tidying: None,
            kill_fuel: 0,
            native: None,
            boundary: 0,
            identity: std::ptr::null_mut(),
            carrier: 0,
        }
    }
}

/// A place on a task's stack: a frame that is in a handler's own code.
#[derive(Clone, Copy)]
pub(crate) struct InHandler {
    /// Of the frame's base.
    pub(crate) slot: usize,
    pub(crate) proto: *const crate::module::Proto,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// A cancelled task tidies up, and has opened a scope in doing so. In there it is as one that was not cancelled, so that a time limit holds; this is what it was outside.
pub(crate) struct Tidying {
    pub(crate) scope: Arc<Scope>,
    pub(crate) cancelled_for: Option<Arc<Scope>>,
    pub(crate) handler: Option<InHandler>,
    pub(crate) outer: Option<Box<Tidying>>,
}

impl Drop for Tidying {
    fn drop(&mut self) {
        // They may be nested deep: not by recursion.
        let mut outer = self.outer.take();
        while let Some(mut tidying) = outer {
            outer = tidying.outer.take();
        }
    }
}

impl More {
    /// Bytes that so many arms take which have no room yet.
    pub(crate) fn bytes_for_arms(&self, count: usize) -> usize {
        match self.arms.capacity() < count {
            true => count * size_of::<ArmWaiter>(),
            false => 0,
        }
    }
    /// Makes the arms with which `task` waits.
    pub(crate) fn make_arms(&mut self, task: *mut Task, count: usize) -> *mut ArmWaiter {
        let before = self.arms.capacity();
        self.arms.clear();
        self.arms.reserve_exact(count);
        account::add((self.arms.capacity() - before) * size_of::<ArmWaiter>());
        let arms = (0..count as u32).map(|arm| ArmWaiter::new(task, arm));
        self.arms.extend(arms);
        self.arms.as_mut_ptr()
    }
    /// The places of handlers on the task's stack.
    pub(crate) fn handlers(&mut self) -> impl Iterator<Item = &mut InHandler> {
        let outer = self.tidying.as_deref_mut();
        let mut next = outer;
        let of_outer = std::iter::from_fn(move || {
            let tidying = next.take()?;
            next = tidying.outer.as_deref_mut();
            Some(&mut tidying.handler)
        });
        self.handler.iter_mut().chain(of_outer.flatten())
    }
}

impl InHandler {
    pub(crate) fn holds(&self, proto: *const crate::module::Proto, word: u32) -> bool {
        self.proto == proto && (self.start..self.end).contains(&word)
    }
}

/// `Task::base` of the one that runs.
const MOUNTED: u32 = u32::MAX;

impl Task {
    /// What a waiter of kind `Sole` is part of.
    #[inline]
    pub(crate) fn of_waiter(waiter: *const Waiter) -> *mut Task {
        waiter
            .cast_mut()
            .wrapping_byte_sub(std::mem::offset_of!(Task, waiter))
            .cast()
    }
    fn fresh(block: *const ThreadBlock, own_slots: u16) -> Task {
        Task {
            block,
            claim: Claim::new(),
            flags: flag::TOUCHED,
            wait: Wait::None,
            wait_dest: 0,
            waiter: Waiter::new(NodeKind::Sole),
            start: std::ptr::null_mut(),
            capacity: 0,
            base: 0,
            pc: std::ptr::null(),
            handle: Value::UNSET,
            all_prev: std::ptr::null_mut(),
            all_next: std::ptr::null_mut(),
            joiners: WaitList::default(),
            scope: None,
            more: None,
            site: 0,
            own_slots,
            live: 0,
        }
    }
    /// The room behind the header.
    #[inline]
    pub(crate) fn own_room(task: *mut Task) -> *mut Value {
        task.wrapping_add(1).cast()
    }

    #[inline]
    pub(crate) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
    #[inline]
    pub(crate) fn set(&mut self, flag: u16) {
        self.flags |= flag;
    }
    #[inline]
    pub(crate) fn clear(&mut self, flag: u16) {
        self.flags &= !flag;
    }
    /// Clears a flag; whether it was set.
    #[inline]
    pub(crate) fn take(&mut self, flag: u16) -> bool {
        let was = self.is(flag);
        self.clear(flag);
        was
    }
    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }
    #[inline]
    pub(crate) fn more_if_any(&self) -> Option<&More> {
        self.more.as_deref()
    }
    #[inline]
    pub(crate) fn more_if_any_mut(&mut self) -> Option<&mut More> {
        self.more.as_deref_mut()
    }
    pub(crate) fn name(&self) -> Option<&str> {
        self.more.as_ref()?.name.as_deref()
    }
    /// Its number within its thread.
    pub(crate) fn id(&self) -> u64 {
        if self.handle.is_object() {
            // SAFETY: a task's handle.
            return unsafe { (*self.handle.as_object().cast::<crate::object::TaskObject>()).id };
        }
        if self.handle.is_unset() {
            1
        } else {
            self.handle.as_small_int() as u64
        }
    }
    /// Its number, of one for whose handle nobody has asked yet.
    pub(crate) fn set_number(&mut self, number: u64) {
        self.handle = Value::small_int(number as i64);
    }
    /// `task 3 'left'`.
    pub(crate) fn title(&self) -> String {
        match self.name() {
            Some(name) => format!("task {} '{name}'", self.id()),
            None => format!("task {}", self.id()),
        }
    }

    /// The top frame's base; null while it runs.
    #[inline]
    pub(crate) fn base(&self) -> *mut Value {
        if self.base == MOUNTED {
            std::ptr::null_mut()
        } else {
            self.start.wrapping_add(self.base as usize)
        }
    }
    #[inline]
    pub(crate) fn set_base(&mut self, slot: usize) {
        self.base = u32::try_from(slot).expect("stacks are bounded by the memory limit");
    }
    #[inline]
    pub(crate) fn base_slot(&self) -> usize {
        self.base as usize
    }
    /// It runs, or is a threadlet on the stack of one that does.
    #[inline]
    pub(crate) fn is_mounted(&self) -> bool {
        self.base == MOUNTED
    }
    #[inline]
    pub(crate) fn note_mounted(&mut self) {
        self.base = MOUNTED;
    }
    /// Slots that are live, for one that does not run.
    #[inline]
    pub(crate) fn used_slots(&self) -> usize {
        self.base as usize + self.live as usize
    }

    /// Makes room for `slots` registers of one that does not run any more; what was there is not kept.
    ///
    /// # Safety
    /// The task is used by the caller alone.
    #[inline]
    pub(crate) unsafe fn make_room(task: *mut Task, slots: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            debug_assert!(!(*task).is(flag::HAS_RUN_STACK));
            let own = (*task).own_slots as usize;
            let is_own = (*task).start == Task::own_room(task);
            let capacity = (*task).capacity as usize;
            let fits = match is_own {
                true => slots <= own,
                false => slots > own && slots <= capacity && capacity <= 2 * slots,
            };
            if !fits {
                Task::make_other_room(task, slots);
            }
        }
    }
    /// # Safety
    /// As for `make_room`; the room that it has is too small or too large.
    #[inline(never)]
    unsafe fn make_other_room(task: *mut Task, slots: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            let own = (*task).own_slots as usize;
            let is_own = (*task).start == Task::own_room(task);
            if slots <= own {
                if !is_own {
                    (*task).free_block(task);
                }
                (*task).start = Task::own_room(task);
                (*task).capacity = own as u32;
                return;
            }
            (*task).free_block(task);
            let wanted = slots.next_multiple_of(4);
            (*task).start = stack::allocate(wanted);
            (*task).capacity = wanted as u32;
        }
    }
    /// Gives back a block of registers that is its own.
    fn free_block(&mut self, task: *mut Task) {
        if !self.start.is_null() && self.start != Task::own_room(task) {
            stack::free(self.start, self.capacity as usize);
        }
        self.start = std::ptr::null_mut();
        self.capacity = 0;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A killed task may leave many: on the stack of a carrier.
    #[test]
    fn what_is_nested_deep_is_dropped_without_recursion() {
        let mut tidying = None;
        for _ in 0..200_000 {
            tidying = Some(Box::new(Tidying {
                scope: Scope::for_tests(),
                cancelled_for: None,
                handler: None,
                outer: tidying,
            }));
        }
        drop(tidying);
    }
}
