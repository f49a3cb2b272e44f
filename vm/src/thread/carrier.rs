//! Mounting: a carrier takes a thread's heap and parts, runs its tasks one after the other, and puts them back.

use super::{Failure, Mounted, Parts, SLACK, Stress, Thread};
use crate::heap::{Collect, Heap};
use crate::interp::frame::{self, Frames};
use crate::interp::{self, Exit};
use crate::object::{Kind, TaskObject};
use crate::sched::block::{CANCEL, KILL, Outcome, SCOPES};
use crate::sched::{Next, Scheduler, ThreadBlock};
use crate::shared::Message;
use crate::task::{self, Stack, Task, TaskState, Wait};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

/// What every carrier's machine is made by.
pub(crate) struct Settings {
    pub(crate) memory: usize,
    pub(crate) depth: usize,
    pub(crate) stress: Stress,
    pub(crate) script_args: Box<[String]>,
}

/// Why the program ends at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Exit(i32),
    OutOfFuel,
    /// Ctrl-C while everything waited.
    Interrupted,
}

/// With more tasks or threads than this, tasks that do not run have stacks as small as they can be.
const MANY_TASKS: usize = 32;
/// A task that is mounted has room for at least so many slots, or its stack grows.
const LEAST_FREE_SLOTS: usize = 64;
/// The largest stack that is kept for the next task.
const MOST_SPARE_SLOTS: usize = 2048;
/// What mounting a task costs of a slice.
const SWITCH_FUEL: i64 = 10;

/// The id of the thread that a host calls.
pub(crate) const HOST_THREAD: u64 = 1;

/// A machine on its way to an OS thread of its own.
pub(crate) struct Carrier(Box<Thread>);

impl Carrier {
    pub(crate) fn for_scheduler(scheduler: &Arc<Scheduler>) -> Option<Carrier> {
        let nothing = ThreadBlock::new(0, Mounted::new(0), None, None, (std::ptr::null(), 0));
        Some(Carrier(Thread::machine(scheduler, Arc::new(nothing))))
    }
    pub(crate) fn run(mut self, scheduler: &Arc<Scheduler>) {
        crate::sched::carrier_loop(&mut self.0, scheduler);
    }
}

impl Mounted {
    /// Of a thread without tasks.
    pub(crate) fn new(memory: usize) -> Mounted {
        Mounted {
            heap: Heap::new(memory),
            parts: Parts::default(),
        }
    }
}

impl Thread {
    /// Runs `function` as a task of the host's thread, and then everything that it started; the result is that task's.
    pub fn run(&mut self, function: Value, args: &[Value]) -> Result<Value, Failure> {
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        let first = self.new_task(function, args, None, (std::ptr::null(), 0));
        // SAFETY: just made.
        let handle = unsafe {
            (*first).is_first = true;
            (*first).handle
        };
        let handle = self.new_handle(handle);
        scheduler.register(&main);
        self.park_thread();
        main.signal.requeue();
        scheduler.enqueue(main.clone());
        let mut deadlock = None;
        loop {
            match scheduler.next(true, self.engine()) {
                Next::Run(block) => self.run_block(block),
                Next::Deadlock => {
                    deadlock = Some(self.deadlock_report());
                    for block in scheduler.threads() {
                        scheduler.request(&block, KILL);
                    }
                }
                Next::Interrupted => {
                    let _ = self.engine.take_interrupt();
                    scheduler.end_program(Ended::Interrupted);
                }
                Next::Done | Next::Stop => break,
            }
        }
        // From here on no other carrier runs.
        let failed = scheduler.stop();
        main.signal.requeue();
        main.signal.begin();
        self.mount_thread(main);
        self.discard_tasks();
        let object = self.handle(handle);
        self.free_handle(handle);
        self.drop_stack();
        let ended = scheduler.exit.lock().take();
        self.loose_trace = std::mem::take(&mut self.parts.loose_trace);
        let unjoined = std::mem::take(&mut self.parts.failed);
        let sites = std::mem::take(&mut self.parts.failed_sites);
        self.failed_site = None;
        // SAFETY: a task's handle.
        let (result, how) = unsafe {
            let object = object.as_object().cast::<TaskObject>();
            ((*object).result, (*object).header.aux)
        };
        match ended {
            Some(Ended::Exit(code)) => {
                self.exit_code = code;
                return Err(Failure::Exit(code));
            }
            Some(Ended::OutOfFuel) => {
                self.is_out_of_fuel = true;
                let limit = scheduler.fuel_limit();
                self.throw_new(
                    ErrorKind::Limit,
                    &format!("out of fuel: the limit is {limit}"),
                );
                if let Some(trace) = scheduler.end_trace.lock().take() {
                    self.set_trace(self.thrown, &trace.0);
                }
                return Err(Failure::Thrown);
            }
            Some(Ended::Interrupted) => {
                self.throw_new(ErrorKind::Cancelled, "interrupted");
                return Err(Failure::Thrown);
            }
            None => {}
        }
        if let Some(report) = deadlock {
            self.throw_new(ErrorKind::Deadlock, &report);
            return Err(Failure::Thrown);
        }
        if how == task::Ended::Failed as u16 {
            self.thrown = result;
            return Err(Failure::Thrown);
        }
        // An error that nobody joined for is the program's.
        if let Some(task) = unjoined.first() {
            // SAFETY: a task's handle.
            self.thrown = unsafe { (*task.as_object().cast::<TaskObject>()).result };
            self.failed_site = sites.first().copied();
            return Err(Failure::Thrown);
        }
        for block in failed {
            let mut end = block.end.lock();
            if end.is_joined || end.is_detached {
                continue;
            }
            if let Outcome::Failed(message) = std::mem::replace(&mut end.outcome, Outcome::Taken) {
                drop(end);
                self.thrown = self.deliver(message).unwrap_or(Value::NIL);
                self.failed_site = Some(block.site);
                return Err(Failure::Thrown);
            }
        }
        Ok(result)
    }

    /// Ends what is left of the mounted thread, without running it any further.
    pub(crate) fn discard_tasks(&mut self) {
        super::drop_tasks(&mut self.parts.tasks);
        self.parts.ready.clear();
        self.parts.was_stopped = false;
        self.parts.main_failed = false;
    }

    // --- threads

    /// Takes the parts of a thread whose state is running.
    fn mount_thread(&mut self, block: Arc<ThreadBlock>) {
        // SAFETY: the state is running, and this carrier made it so.
        let mounted = unsafe { &mut *block.parts.get() };
        std::mem::swap(&mut self.heap, &mut mounted.heap);
        std::mem::swap(&mut self.parts, &mut mounted.parts);
        self.block = block;
        self.use_vars();
    }
    /// Puts the parts back.
    fn park_thread(&mut self) {
        // SAFETY: as in `mount_thread`; it is still so.
        let mounted = unsafe { &mut *self.block.parts.get() };
        std::mem::swap(&mut self.heap, &mut mounted.heap);
        std::mem::swap(&mut self.parts, &mut mounted.parts);
        self.thrown = Value::NIL;
        self.result = Value::NIL;
        self.pending_call = (Value::NIL, Vec::new());
        self.loose_trace.clear();
    }
    fn unmount_thread(&mut self) {
        let has_more = !self.parts.ready.is_empty();
        let block = self.block.clone();
        self.park_thread();
        if has_more {
            block.signal.requeue();
            self.scheduler.enqueue(block);
        } else if block.signal.finish() {
            self.scheduler.enqueue(block);
        } else if !block.signal.is_inbox_empty() && block.signal.notify() {
            // Pushed after the last look and before the state was stored: that waker saw it running.
            self.scheduler.enqueue(block);
        }
    }

    /// Mounts a thread that was taken out of the queue, runs it for a slice or until it waits, unmounts it.
    pub(crate) fn run_block(&mut self, block: Arc<ThreadBlock>) {
        block.signal.begin();
        self.mount_thread(block.clone());
        self.start_slice();
        self.run_tasks();
        if self.scheduler.is_stopping() || self.scheduler.has_ended() {
            self.park_thread();
            return;
        }
        if !self.parts.tasks.is_empty() {
            self.unmount_thread();
        } else if block.id == HOST_THREAD {
            // It stays, and its heap with it: the host may call it again.
            self.park_thread();
            let _ = block.signal.finish();
            self.scheduler.unregister(&block, true, false);
        } else {
            self.end_thread();
        }
    }

    /// Runs the mounted thread's tasks until none is ready, the slice is used up, or the program ends.
    fn run_tasks(&mut self) {
        loop {
            if self.scheduler.is_stopping() || self.scheduler.has_ended() {
                return;
            }
            let mut woken = self.block.signal.take_inbox();
            while !woken.is_null() {
                // SAFETY: tasks of the inbox are this thread's.
                unsafe {
                    let next = (*woken).next;
                    self.make_ready(woken);
                    woken = next;
                }
            }
            if self.block.signal.has_requests() {
                self.take_requests();
            }
            self.scheduler.fire_timers();
            let Some(task) = self.parts.ready.pop_front() else {
                return;
            };
            self.mount(task);
            self.begin_stretch();
            let exit = self.run_mounted();
            self.end_stretch();
            self.unmount(exit);
            if exit == Exit::Preempted && self.scheduler.has_backlog() {
                return;
            }
        }
    }

    pub(crate) fn make_ready(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread.
        unsafe { (*task).state = TaskState::Ready };
        self.parts.ready.push_back(task);
    }

    /// Acts on what others asked of the mounted thread.
    pub(crate) fn take_requests(&mut self) {
        let requests = self.block.signal.take_requests();
        if requests & KILL != 0 {
            self.parts.was_stopped = true;
            for task in self.parts.tasks.clone() {
                self.kill_task(task);
            }
        }
        if requests & CANCEL != 0 {
            self.parts.was_stopped = true;
            for task in self.parts.tasks.clone() {
                self.cancel_task(task);
            }
        }
        if requests & SCOPES != 0 {
            self.cancel_in_scopes();
        }
    }

    /// The program's first task has failed: the program is a scope, so everything else ends.
    fn end_others(&mut self) {
        for block in self.scheduler.threads() {
            if Arc::ptr_eq(&block, &self.block) {
                for task in self.parts.tasks.clone() {
                    self.kill_task(task);
                }
            } else {
                self.scheduler.request(&block, KILL);
            }
        }
    }

    /// The mounted thread has no tasks any more: its result goes to its joiners.
    fn end_thread(&mut self) {
        let block = self.block.clone();
        let result = self.parts.main_result;
        let failed_task = self.parts.failed.first().copied();
        let (value, has_failed) = match failed_task {
            Some(handle) if !self.parts.main_failed => {
                // SAFETY: a task's handle.
                (
                    unsafe { (*handle.as_object().cast::<TaskObject>()).result },
                    true,
                )
            }
            _ => (result, self.parts.main_failed),
        };
        let was_stopped = self.parts.was_stopped && (!has_failed || self.is_stop_error(value));
        // What is immutable can be joined for again and again.
        let engine = self.engine();
        let value = match value.is_local() {
            true => self
                .heap
                .promote(value, |id| engine.type_info(id).is_mutable)
                .unwrap_or(value),
            false => value,
        };
        self.park_thread();
        // SAFETY: still ours: the state is running.
        let mounted = std::mem::replace(unsafe { &mut *block.parts.get() }, Mounted::new(0));
        let (message, rest) = if value.is_local() {
            (Message::parcel(mounted.heap, value), None)
        } else {
            (Message::shared(value), Some(mounted.heap))
        };
        drop((rest, mounted.parts));
        let mut woken = Vec::new();
        let (is_joined, counts) = {
            let mut end = block.end.lock();
            end.outcome = match has_failed {
                false => Outcome::Returned(message),
                true => Outcome::Failed(message),
            };
            end.was_stopped = was_stopped;
            // SAFETY: under the lock of the list's owner.
            while let Some(waiter) = unsafe { end.joiners.claim_first() } {
                // SAFETY: claimed.
                woken.push(unsafe { (*waiter).task });
                end.is_joined = true;
            }
            (end.is_joined, !end.is_detached)
        };
        block.signal.end();
        let in_scope = block.scope.clone();
        let reports = has_failed && !is_joined && counts && !was_stopped && in_scope.is_none();
        if let Some(scope) = in_scope {
            if has_failed && !is_joined && !was_stopped {
                let again = match &block.end.lock().outcome {
                    Outcome::Failed(message) => message.again(),
                    _ => None,
                };
                let message = again.or_else(|| {
                    match std::mem::replace(&mut block.end.lock().outcome, Outcome::Taken) {
                        Outcome::Failed(message) => Some(message),
                        _ => None,
                    }
                });
                if let Some(message) = message
                    && scope
                        .fail(crate::sched::scope::Failure::Thread(message))
                        .is_ok()
                {
                    self.scheduler.cancel_scope(&scope);
                }
            }
            woken.extend(scope.leave());
        }
        for task in woken {
            // SAFETY: claimed above.
            unsafe { self.scheduler.wake_remote(task) };
        }
        self.scheduler.unregister(&block, counts, reports);
    }
    fn is_stop_error(&self, value: Value) -> bool {
        value.is_unset() || value.type_id() == ErrorKind::Cancelled.type_id()
    }

    // --- tasks

    /// Takes a task's machine state.
    fn mount(&mut self, task: *mut Task) {
        self.current = task;
        // SAFETY: a task of the mounted thread, which waits nowhere.
        let task = unsafe { &mut *task };
        self.stack = std::mem::replace(&mut task.stack, Stack::empty());
        self.base = std::mem::replace(&mut task.base, std::ptr::null_mut());
        self.pc = task.pc;
        // A killed task that was preempted in its defers goes on with them.
        self.is_killing = task.is_dying;
        task.state = TaskState::Running;
        let (extra, limit) = (task.extra(), task.soft_limit);
        // SAFETY: the top frame's prototype.
        let registers = unsafe { (*frame::proto(self.base)).registers as usize };
        let used = self.stack_index(self.base) + registers.max(extra);
        let is_small = self.stack.capacity < used + SLACK + LEAST_FREE_SLOTS;
        if is_small {
            let before = self.stack.capacity;
            let least = used + SLACK + 2 * LEAST_FREE_SLOTS;
            self.stack_limit = self.stack.start;
            match self.spare_stack.take() {
                Some(spare) if spare.capacity >= least => {
                    let at = self.stack_index(self.base);
                    self.stack.move_into(spare);
                    self.base = self.stack.start.wrapping_add(at);
                }
                _ => self.grow_stack(least.next_multiple_of(64)),
            }
            self.parts.stack_bytes += (self.stack.capacity - before) * size_of::<Value>();
        }
        if self.depth_left() < super::SLICE_FUEL as usize {
            self.end_slice();
        }
        if is_small {
            self.set_soft_limit_for(registers.max(extra));
        } else {
            self.stack_limit = self.stack.start.wrapping_add(limit);
        }
        // A switch costs some fuel, but never the last of it: a task that was preempted must get on.
        if self.fuel > SWITCH_FUEL {
            self.fuel -= SWITCH_FUEL;
        }
    }

    /// Runs the mounted task until it ends, waits or yields.
    fn run_mounted(&mut self) -> Exit {
        // SAFETY: the mounted task.
        let task = unsafe { &mut *self.current };
        if task.wait != Wait::None {
            if let Some(exit) = self.finish_wait() {
                return exit;
            }
        } else if task.is_killed && !task.is_dying {
            self.is_killing = true;
            self.thrown = Value::UNSET;
            if let Some(exit) = self.unwind() {
                return exit;
            }
        } else if task.is_cancel_pending
            && (task.first_call.is_some() || std::mem::take(&mut task.has_yielded))
        {
            // Cancelled before it began: it never runs; or while it stood at a `yield`.
            task.is_cancel_pending = false;
            task.first_call = None;
            let trap = self.throw_cancelled();
            if let Some(exit) = self.handle_trap(trap) {
                return exit;
            }
        } else if let Some(argc) = task.first_call.take() {
            // The stub's frame is on top: call what its window holds.
            if let Err(trap) = self.call_window(0, argc, 0, &[])
                && let Some(exit) = self.handle_trap(trap)
            {
                return exit;
            }
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
            if self.scheduler.has_backlog() {
                return exit;
            }
        }
    }

    /// `--stress=suspend`: the registers move to a new block, the heap is collected; what is left is checked to be data.
    fn leave_and_move(&mut self) {
        #[cfg(debug_assertions)]
        self.check_suspended();
        let capacity = self.stack.capacity;
        self.grow_stack(capacity);
        self.collect_now(Collect::Stress);
    }

    /// Runs the next slice on another OS thread than the last one.
    fn run_elsewhere(&mut self) -> Exit {
        let mut hopper = self.hopper.take().unwrap_or_default();
        let thread: *mut Thread = self;
        let exit = hopper.run(thread);
        self.hopper = Some(hopper);
        exit
    }

    /// Walks the suspended task: every frame's closure, code position and registers must be values and data.
    #[cfg(debug_assertions)]
    fn check_suspended(&self) {
        // SAFETY: the top frame's.
        for frame in unsafe { Frames::new(self.base, self.pc) } {
            // SAFETY: prototypes live as long as the engine; the closure slot is below the base.
            unsafe {
                let closure = *frame.base.sub(2);
                assert!(
                    closure.is_kind(Kind::Closure),
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
    fn unmount(&mut self, exit: Exit) {
        let task = std::mem::replace(&mut self.current, std::ptr::null_mut());
        let (stack, base, pc) = (
            std::mem::replace(&mut self.stack, Stack::empty()),
            self.base,
            self.pc,
        );
        let soft_limit = (self.stack_limit as usize - stack.start as usize) / size_of::<Value>();
        self.base = std::ptr::null_mut();
        self.stack_limit = std::ptr::null_mut();
        match exit {
            Exit::Yielded | Exit::Preempted | Exit::Parked => {
                // SAFETY: this thread's task. (If it waits and was claimed already, it lies in the inbox; wakers touch other fields.)
                let task = unsafe { &mut *task };
                task.soft_limit = soft_limit;
                task.stack = stack;
                task.is_dying = self.is_killing;
                task.base = base;
                task.is_clear_above = false;
                task.pc = pc;
                if self.parts.tasks.len() + self.scheduler.thread_count() > MANY_TASKS {
                    let before = task.stack.capacity;
                    let large = task.shrink_stack();
                    if let Some(large) = large {
                        self.keep_stack(large);
                    }
                    self.parts.stack_bytes = self
                        .parts
                        .stack_bytes
                        .saturating_sub((before - task.stack.capacity) * size_of::<Value>());
                }
                match exit {
                    Exit::Yielded => {
                        task.state = TaskState::Ready;
                        task.has_yielded = true;
                        self.parts.ready.push_back(task);
                    }
                    Exit::Preempted => {
                        task.has_yielded = false;
                        // Nothing of the thread changes behind its back: it stays the first.
                        task.state = TaskState::Ready;
                        self.parts.ready.push_front(task);
                    }
                    _ => {
                        task.has_yielded = false;
                        task.wait_dest = self.wait_dest;
                        if task.state == TaskState::Running {
                            task.state = TaskState::Waiting;
                        }
                    }
                }
            }
            Exit::Returned => {
                let result = std::mem::replace(&mut self.result, Value::NIL);
                self.free_stack(stack);
                self.end_task(task, result, task::Ended::Returned);
            }
            Exit::Threw => {
                self.free_stack(stack);
                let (thrown, how) = self.how_it_ended(task);
                self.parts.loose_trace = std::mem::take(&mut self.loose_trace);
                // SAFETY: the task that was just unmounted.
                let is_first = unsafe { (*task).is_first };
                self.end_task(task, thrown, how);
                if is_first && self.block.id == HOST_THREAD {
                    self.end_others();
                }
            }
            Exit::Ended => {
                self.free_stack(stack);
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
        }
    }
    /// One stack is kept for the next task.
    fn keep_stack(&mut self, mut stack: Stack) {
        if stack.capacity <= MOST_SPARE_SLOTS && self.spare_stack.is_none() && stack.capacity > 0 {
            stack.clear();
            self.spare_stack = Some(stack);
        }
    }
    fn free_stack(&mut self, stack: Stack) {
        self.parts.stack_bytes = self
            .parts
            .stack_bytes
            .saturating_sub(stack.capacity * size_of::<Value>());
        self.keep_stack(stack);
    }
    fn how_it_ended(&mut self, task: *mut Task) -> (Value, task::Ended) {
        let thrown = self.thrown;
        // SAFETY: the task that was just unmounted.
        let (is_killed, was_cancelled) = unsafe { ((*task).is_killed, (*task).was_cancelled) };
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
    fn ended_error(&mut self, message: &str) -> Value {
        let message = self.text_value(message);
        self.new_error(ErrorKind::Cancelled, message)
    }

    fn drop_stack(&mut self) {
        self.stack = Stack::empty();
        self.base = std::ptr::null_mut();
        self.stack_limit = std::ptr::null_mut();
    }
}
