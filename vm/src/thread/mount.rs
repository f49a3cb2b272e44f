//! Tasks are mounted on the run stack of a carrier, run, and left again.

use super::carrier::{Ended, HOST_THREAD};
use super::wait::claim_own;
use super::{SLACK, Stress, Thread};
use crate::heap::Collect;
use crate::interp::frame;
#[cfg(debug_assertions)]
use crate::interp::frame::Frames;
use crate::interp::{self, Exit};
use crate::sched::wait::Claimed;
use crate::sync::Ordering;
use crate::task::{self, Stack, Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;

/// Slots of a carrier's run stack; it grows when frames need more.
pub(super) const RUN_STACK_SLOTS: usize = 2048;
/// A run stack that has grown beyond this is given back when its task ends.
pub(super) const MOST_KEPT_SLOTS: usize = 64 * 1024;
/// Frames of a task that was just mounted may use so many slots before they must ask.
pub(crate) const FIRST_SLOTS: usize = 64;
/// Beyond the stack limit calls use no more than these slots (arguments that are put in front of others); frames: see `slots_beyond_limit`.
pub(super) const TAIL_SLOTS: usize = 16;
/// What mounting a task costs of a slice.
pub(super) const SWITCH_FUEL: i64 = 10;

/// Flags of tasks for which mounting takes more than their registers.
const UNUSUAL: u16 = flag::HAS_RUN_STACK | flag::HAS_THREADLETS | flag::IS_DYING;

/// Copies registers. Most often they are few: then a call of `memcpy` costs more than they do.
///
/// # Safety
/// Both blocks have so many slots, and do not overlap.
#[inline(always)]
unsafe fn copy_slots(from: *const Value, to: *mut Value, count: usize) {
    /// Copies the first and the last `N` of `count`, up to twice as many: some of these twice.
    ///
    /// # Safety
    /// As of `copy_slots`; there are at least `N`.
    #[inline(always)]
    unsafe fn copy_both_ends<const N: usize>(from: *const Value, to: *mut Value, count: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            let copy_row = |i: usize| {
                let row = from.add(i).cast::<[Value; N]>().read_unaligned();
                to.add(i).cast::<[Value; N]>().write_unaligned(row);
            };
            copy_row(0);
            copy_row(count - N);
        }
    }
    // SAFETY: promised by the caller.
    unsafe {
        match count {
            9..=16 => copy_both_ends::<8>(from, to, count),
            4..=8 => copy_both_ends::<4>(from, to, count),
            17..=32 => copy_both_ends::<16>(from, to, count),
            _ => std::ptr::copy_nonoverlapping(from, to, count),
        }
    }
}

impl Thread {
    /// Takes a task's machine state: its registers go to the run stack, or its own stack becomes that.
    #[inline(always)]
    pub(super) fn mount(&mut self, task: *mut Task) {
        self.current = task;
        self.identity = task;
        // SAFETY: a task of the mounted thread that is ready: nobody else uses it.
        let (flags, base, used) =
            unsafe { ((*task).flags, (*task).base_slot(), (*task).used_slots()) };
        let is_usual = flags & (flag::TOUCHED | UNUSUAL) == flag::TOUCHED
            && used + SLACK + FIRST_SLOTS <= self.stack.capacity;
        self.is_killing = false;
        if is_usual {
            // SAFETY: as above; both have so many slots.
            unsafe { copy_slots((*task).start, self.stack.start, used) };
        } else {
            self.mount_unusual(task, used);
        }
        // SAFETY: as above.
        let task = unsafe { &mut *task };
        if let Some(more) = task.more_if_any_mut()
            && !more.counted.is_empty()
        {
            std::mem::swap(&mut more.counted, &mut self.stack.counted);
        }
        self.base = self.stack.start.wrapping_add(base);
        self.pc = task.pc;
        task.note_mounted();
        let room = match is_usual {
            true => used + FIRST_SLOTS,
            false => {
                let room = (used + FIRST_SLOTS).min(self.stack.capacity - SLACK);
                self.has_low_limit |= room < used + FIRST_SLOTS;
                room
            }
        };
        let least = self.stack.start.wrapping_add(room);
        if self.stack_limit < least {
            // What lies above the limit is clear.
            self.stack_limit = least;
        }
        // A frame takes two slots at least.
        if used / 2 + super::SLICE_FUEL as usize > self.depth_limit {
            self.mind_depth();
        }
        // A switch costs some fuel, but never the last of it: a task that was preempted must get on.
        if self.fuel > SWITCH_FUEL {
            self.fuel -= SWITCH_FUEL;
        }
    }
    /// What `mount` does besides of a task that was not run since the last collection, or is deep, or was left in threadlets or defers.
    #[inline(never)]
    fn mount_unusual(&mut self, task: *mut Task, used: usize) {
        self.parts.tasks.touch(task);
        // SAFETY: as in `mount`.
        let task = unsafe { &mut *task };
        if task.take(flag::HAS_RUN_STACK) {
            let stack = Stack::from_parts(
                std::mem::replace(&mut task.start, std::ptr::null_mut()),
                std::mem::take(&mut task.capacity) as usize,
            );
            self.exchange_run_stack(stack);
        } else {
            let least = used + SLACK + FIRST_SLOTS;
            if self.stack.capacity < least {
                self.grow_stack(least.next_multiple_of(64));
            }
            // SAFETY: both have so many slots.
            unsafe { copy_slots(task.start, self.stack.start, used) };
        }
        if task.take(flag::HAS_THREADLETS)
            && let Some(more) = task.more_if_any_mut()
        {
            (self.boundary, self.identity) = (more.boundary, more.identity);
            let count = &mut self.parts.more().with_threadlets;
            *count = count.saturating_sub(1);
        }
        // A killed task that was preempted in its defers goes on with them.
        self.is_killing = task.is(flag::IS_DYING);
    }
    /// The mounted task is so deep that a slice could take it beyond the limit.
    #[cold]
    fn mind_depth(&mut self) {
        self.lower_stack_limit();
        // Not the whole of it, or a task between others that are busy would be left before it gets on.
        let depth_left = self.depth_left().max(1);
        if (self.fuel.max(0) as usize) > depth_left {
            self.slice -= self.fuel - depth_left as i64;
            self.fuel = depth_left as i64;
        }
    }
    /// Uses another run stack from now on, in which nothing lies above the registers of its task.
    pub(super) fn exchange_run_stack(&mut self, stack: Stack) {
        self.clear_run_stack();
        let old = std::mem::replace(&mut self.stack, stack);
        self.forget_stack_limit();
        if self.spare_stack.is_none() && old.capacity <= MOST_KEPT_SLOTS {
            self.spare_stack = Some(old);
        }
    }
    /// Clears what frames may have left in the run stack; nothing is mounted.
    pub(super) fn clear_run_stack(&mut self) {
        self.clear_run_stack_from(0);
        self.forget_stack_limit();
    }
    pub(super) fn clear_run_stack_from(&mut self, slot: usize) {
        let limit = self.stack_index(self.stack_limit);
        let end = (limit + self.slots_beyond_limit()).min(self.stack.capacity);
        if slot < end {
            // SAFETY: the range lies in the stack.
            unsafe { std::ptr::write_bytes(self.stack.start.add(slot), 0, end - slot) };
        }
        if cfg!(debug_assertions) {
            let checked = (limit + SLACK).min(self.stack.capacity);
            for i in end..checked {
                assert_eq!(
                    self.stack_slot(i).bits(),
                    0,
                    "nothing is written so far beyond the stack limit"
                );
            }
        }
    }

    /// What the mounted task does before it goes on in its code: it gets what it waited for, or ends, or begins. `Some`: it does not go on.
    #[inline(never)]
    pub(super) fn begin_run(&mut self) -> Option<Exit> {
        // SAFETY: the mounted task.
        let task = unsafe { &mut *self.current };
        if task.wait != Wait::None {
            let wait = task.wait;
            let exit = match wait {
                Wait::Join | Wait::JoinThread => self.finish_join(),
                _ => self.finish_wait(),
            };
            if exit.is_some() {
                return exit;
            }
            // It was killed after somebody had woken it: it gets what it was given, and does not go on; but with what has to be given back it goes on
            // to the next safepoint, so that it can defer that.
            // SAFETY: as above.
            let is_killed = unsafe { (*self.current).is(flag::IS_KILLED) };
            let owes = matches!(wait, Wait::Acquire | Wait::Lock | Wait::Once);
            if is_killed && !owes && !self.is_killing && !self.is_in_deferred() {
                self.begin_kill();
                if let Some(exit) = self.unwind() {
                    return Some(exit);
                }
            }
        } else if task.is(flag::IS_KILLED)
            && !task.is(flag::IS_DYING)
            && !self.is_in_deferred()
            // Else its next safepoint tells it.
            && !self.heap.is_held()
        {
            // At a `yield` it stands behind that; else it was left in front of an instruction, which may be the first that a cleanup protects.
            // SAFETY: as above.
            if unsafe { !(*self.current).is(flag::HAS_YIELDED | flag::IS_NEW) } {
                let before = self.pc;
                self.step_to_kill();
                if !self.is_protected() {
                    self.pc = before;
                }
            }
            self.begin_kill();
            if let Some(exit) = self.unwind() {
                return Some(exit);
            }
        } else if task.is(flag::CANCEL_PENDING)
            && (task.is(flag::IS_NEW) || task.is(flag::HAS_YIELDED))
        {
            // Cancelled before it began: it never runs; or while it stood at a `yield`.
            task.clear(flag::CANCEL_PENDING | flag::IS_NEW | flag::HAS_YIELDED);
            let trap = self.throw_cancelled();
            if let Some(exit) = self.handle_trap(trap) {
                return Some(exit);
            }
        } else if task.take(flag::IS_NEW) {
            // The stub's frame is on top: call what its window holds.
            let argc = task.live as usize - 2;
            if self.call_plain_closure(0, argc, 0) {
                return None;
            }
            if let Err(trap) = self.call_window(0, argc, 0, &[])
                && let Some(exit) = self.handle_trap(trap)
            {
                return Some(exit);
            }
        }
        None
    }

    /// Runs the mounted task until it ends, waits or yields.
    #[inline(always)]
    pub(super) fn run_mounted(&mut self) -> Exit {
        // SAFETY: the mounted task.
        let task = unsafe { &*self.current };
        let stands_in_code = task.wait == Wait::None
            && !task.is(flag::IS_KILLED | flag::CANCEL_PENDING | flag::IS_NEW);
        if !stands_in_code
            && !self.finish_plain_wait()
            && let Some(exit) = self.begin_run()
        {
            return exit;
        }
        loop {
            let exit = if self.stress == Stress::Suspend {
                self.run_elsewhere()
            } else {
                interp::run(self)
            };
            if exit != Exit::Preempted {
                return exit;
            }
            if self.stress == Stress::Suspend {
                self.leave_and_move();
            }
            if self.scheduler.has_backlog(&self.own)
                || self.scheduler.is_paused()
                || self.is_called_off()
            {
                return exit;
            }
        }
    }

    /// `--stress=suspend`: the registers move to a new block, the heap is collected; what is left is checked to be data.
    pub(super) fn leave_and_move(&mut self) {
        #[cfg(debug_assertions)]
        self.check_suspended();
        let mut roots = std::mem::take(&mut self.roots);
        self.trim_running(&mut roots, false);
        self.roots = roots;
        let capacity = self.stack.capacity;
        self.grow_stack(capacity);
        self.collect_now(Collect::Stress);
    }

    /// Runs the next slice on another OS thread than the last one.
    pub(super) fn run_elsewhere(&mut self) -> Exit {
        let mut hopper = self.hopper.take().unwrap_or_default();
        let thread: *mut Thread = self;
        let exit = hopper.run(thread);
        self.hopper = Some(hopper);
        exit
    }

    /// Walks the suspended task: every frame's closure, code position and registers must be values and data.
    #[cfg(debug_assertions)]
    pub(super) fn check_suspended(&self) {
        // SAFETY: the top frame's.
        for frame in unsafe { Frames::new(self.base, self.pc) } {
            // SAFETY: prototypes live as long as the engine; the closure slot is below the base.
            unsafe {
                let closure = *frame.base.sub(2);
                // (Of a heap whose graph is walked in steps, headers are the walk's.)
                assert!(
                    self.heap.is_held() || closure.is_kind(crate::object::Kind::Closure),
                    "a frame's callee is a closure"
                );
                let proto = &*frame.proto;
                let offset = frame.pc.offset_from(proto.code_start);
                assert!(
                    (0..=proto.code_len() as isize).contains(&offset),
                    "{} is left inside its code",
                    proto.name
                );
                for i in 0..proto.registers as usize {
                    let v = *frame.base.add(i);
                    if v.is_object() {
                        assert!(!v.as_object().is_null(), "a register holds a value");
                    }
                }
            }
        }
        assert_eq!(
            self.nesting, 0,
            "no native frame is part of a suspended task"
        );
        let _ = frame::SEEN;
    }

    /// Puts the machine state back and acts on why the task was left.
    #[inline(always)]
    pub(super) fn unmount(&mut self, exit: Exit) {
        if matches!(exit, Exit::Yielded | Exit::Preempted | Exit::Parked) {
            self.leave(exit);
        } else {
            self.end_mounted(exit);
        }
        self.stack.counted.clear();
        if self.stack.capacity > MOST_KEPT_SLOTS {
            self.shrink_run_stack();
        }
    }
    /// The mounted task goes on later.
    #[inline(always)]
    pub(super) fn leave(&mut self, exit: Exit) {
        if self.parts.has_early && exit != Exit::Preempted {
            self.fail_scopes();
        }
        let task = std::mem::replace(&mut self.current, std::ptr::null_mut());
        let identity = std::mem::replace(&mut self.identity, std::ptr::null_mut());
        // SAFETY: this thread's task, which was just mounted. If it waits and was claimed already, it lies in the inbox; wakers touch other fields.
        unsafe {
            if self.boundary != 0 {
                self.leave_threadlets(task, identity);
            }
            (*task).pc = self.pc;
            self.save_registers(task);
            let mut flags = (*task).flags & !(flag::IS_DYING | flag::HAS_YIELDED);
            if self.is_killing {
                flags |= flag::IS_DYING;
            }
            if exit == Exit::Parked {
                (*task).flags = flags;
                (*task).wait_dest = self.wait_dest as u8;
                self.wake_killed(identity);
            } else if exit == Exit::Yielded {
                (*task).flags = flags | flag::HAS_YIELDED;
                self.parts.ready.push_back(task);
            } else {
                (*task).flags = flags;
                // Nothing of the thread changes behind its back: it stays the first.
                self.parts.ready.push_front(task);
            }
        }
    }
    /// A task that waits from now on was killed while something that it had deferred ran, so that it was not told so far: it does not wait.
    ///
    /// # Safety
    /// A task of the mounted thread that has begun to wait.
    #[inline]
    pub(crate) unsafe fn wake_killed(&mut self, waiter: *mut Task) {
        // SAFETY: promised by the caller.
        if unsafe { (*waiter).is(flag::IS_KILLED) } && !self.is_killing {
            self.wake_killed_now(waiter);
        }
    }
    #[cold]
    fn wake_killed_now(&mut self, waiter: *mut Task) {
        if claim_own(waiter, Claimed::Killed) {
            self.make_ready(waiter);
        }
    }
    /// Threadlets are under way on the stack of the task that is left.
    ///
    /// # Safety
    /// As in `leave`.
    #[cold]
    unsafe fn leave_threadlets(&mut self, task: *mut Task, identity: *mut Task) {
        // SAFETY: promised by the caller.
        unsafe {
            (*task).set(flag::HAS_THREADLETS);
            self.parts.more().with_threadlets += 1;
            let more = (*task).more();
            more.boundary = std::mem::take(&mut self.boundary);
            more.identity = identity;
        }
    }
    /// The mounted task has ended, or the program has.
    #[inline(never)]
    pub(super) fn end_mounted(&mut self, exit: Exit) {
        if self.parts.has_early {
            self.fail_scopes();
        }
        let task = std::mem::replace(&mut self.current, std::ptr::null_mut());
        self.identity = std::ptr::null_mut();
        self.boundary = 0;
        match exit {
            Exit::Returned => {
                if self.block.id == HOST_THREAD
                    && self.scheduler.has_detached.load(Ordering::Relaxed)
                    && !self.scheduler.host_stays()
                    // SAFETY: the task that was just unmounted.
                    && unsafe { (*task).is(flag::IS_FIRST) }
                {
                    self.note_leaks_at_exit();
                }
                let result = std::mem::replace(&mut self.result, Value::NIL);
                self.base = std::ptr::null_mut();
                self.end_task(task, result, task::Ended::Returned);
            }
            Exit::Threw => {
                self.base = std::ptr::null_mut();
                let (thrown, how) = self.how_it_ended(task);
                if how == task::Ended::Failed && thrown.is_local() {
                    // SAFETY: the task that was just unmounted.
                    self.place_at_start(thrown, unsafe { (*task).site });
                }
                if !self.loose_trace.is_empty() {
                    let loose_trace = std::mem::take(&mut self.loose_trace);
                    self.parts.more().loose_trace = loose_trace;
                }
                // SAFETY: the task that was just unmounted.
                let is_first = unsafe { (*task).is(flag::IS_FIRST) };
                self.end_task(task, thrown, how);
                if is_first && self.block.id == HOST_THREAD && !self.scheduler.host_stays() {
                    self.cancel_others();
                }
            }
            Exit::Ended => {
                self.base = std::ptr::null_mut();
                if !self.scheduler.is_stopping() {
                    let ended = if self.is_out_of_fuel {
                        *self.scheduler.end_trace.lock() =
                            Some(crate::sched::Places(self.trace_of(self.thrown)));
                        Ended::OutOfFuel
                    } else {
                        Ended::Exit(self.exit_code)
                    };
                    self.scheduler.end_program(ended);
                }
            }
            Exit::Yielded | Exit::Preempted | Exit::Parked => unreachable!("it goes on later"),
        }
    }
    /// An error that no code has thrown, as the task's function is a native: its place is where that was started.
    fn place_at_start(&mut self, error: Value, site: u32) {
        if self.is_error(error)
            && self.trace_of(error).is_empty()
            && let Some(&place) = self.scheduler.sites.chain(site).first()
        {
            self.set_trace(error, &[place]);
        }
    }
    #[cold]
    pub(super) fn shrink_run_stack(&mut self) {
        let fresh = self.fresh_run_stack();
        self.stack = fresh;
        self.forget_stack_limit();
    }
    pub(super) fn fresh_run_stack(&mut self) -> Stack {
        match self.spare_stack.take() {
            Some(spare) => spare,
            None => Stack::with_capacity(RUN_STACK_SLOTS),
        }
    }
    /// Puts the registers of the task that is left into a place of its own.
    ///
    /// # Safety
    /// The task was mounted; wakers may touch what is theirs of it.
    #[inline(always)]
    pub(super) unsafe fn save_registers(&mut self, task: *mut Task) {
        let base = self.stack_index(self.base);
        // SAFETY: the top frame's prototype; the task's registers are this carrier's business alone.
        unsafe {
            let registers = (*frame::proto(self.base)).registers as usize;
            let live = registers.max(std::mem::take(&mut self.scan_extra));
            let used = base + live;
            (*task).live = live as u16;
            self.base = std::ptr::null_mut();
            if used * 2 <= self.stack.capacity && !(*task).is(flag::IS_PINNED) {
                Task::make_room(task, used);
                copy_slots(self.stack.start, (*task).start, used);
            } else {
                self.give_run_stack(task, used);
            }
            if !self.stack.counted.is_empty() {
                (*task).more().counted = std::mem::take(&mut self.stack.counted);
            }
            (*task).set_base(base);
        }
    }
    /// The task keeps the run stack, of which it has filled so many slots.
    ///
    /// # Safety
    /// As for `save_registers`.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn give_run_stack(&mut self, task: *mut Task, used: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            Task::make_room(task, 0);
            self.clear_run_stack_from(used);
            let fresh = self.fresh_run_stack();
            let counted = std::mem::take(&mut self.stack.counted);
            let (start, capacity) = std::mem::replace(&mut self.stack, fresh).into_parts();
            self.stack.counted = counted;
            self.forget_stack_limit();
            (*task).start = start;
            (*task).capacity =
                u32::try_from(capacity).expect("stacks are bounded by the memory limit");
            (*task).flags |= flag::HAS_RUN_STACK;
        }
    }
    pub(super) fn how_it_ended(&mut self, task: *mut Task) -> (Value, task::Ended) {
        let thrown = self.thrown;
        // SAFETY: the task that was just unmounted.
        let (is_killed, was_cancelled) =
            unsafe { ((*task).is(flag::IS_KILLED), (*task).is(flag::WAS_CANCELLED)) };
        let is_cancel = thrown.type_id() == ErrorKind::Cancelled.type_id();
        if is_killed && thrown.is_unset() {
            let error = self.ended_error("the task was killed");
            (error, task::Ended::Killed)
        } else if was_cancelled && is_cancel {
            (thrown, task::Ended::Cancelled)
        } else {
            (thrown, task::Ended::Failed)
        }
    }
    pub(super) fn ended_error(&mut self, message: &str) -> Value {
        let message = self.text_value(message);
        self.new_error(ErrorKind::Cancelled, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counted::Counted;
    use crate::sched::{ThreadBlock, sites::NO_SITE};
    use crate::thread::Options;
    use crate::thread::{BlockRef, Mounted};

    /// A block that gets the address of one that has ended elsewhere is another thread: what that left in this carrier's run stack is cleared.
    #[test]
    fn a_thread_at_the_address_of_an_ended_one_gets_a_clear_stack() {
        let mut machine = Thread::new(crate::Engine::new(), Options::default());
        machine.park_thread();
        let thread = |id| ThreadBlock::new(id, Mounted::new(0), None, None, NO_SITE);
        let block = Counted::new(thread(2));
        machine.mount_thread(BlockRef::new(&block));
        // SAFETY: slots of the run stack.
        unsafe { *machine.stack.start = Value::small_int(7) };
        machine.stack_limit = machine.stack.start.wrapping_add(1);
        machine.park_thread();
        // SAFETY: nobody else holds it.
        unsafe { *Counted::as_ptr(&block).cast_mut() = thread(3) };
        machine.mount_thread(BlockRef::new(&block));
        assert_eq!(machine.stack_slot(0).bits(), 0);
        machine.park_thread();
        let main = BlockRef::new(&machine.main);
        machine.mount_thread(main);
    }
}
