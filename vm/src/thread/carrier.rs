//! Mounting: a carrier takes a thread's heap and parts, runs its tasks one after the other, and puts them back.

use super::{BlockRef, Failure, Mounted, Parts, SLACK, Stopped, Stress, Thread};
use crate::account;
use crate::heap::{Collect, GraphError, Heap};
use crate::interp::frame;
#[cfg(debug_assertions)]
use crate::interp::frame::Frames;
use crate::interp::{self, Exit};
use crate::native::NativeDef;
use crate::object::{Closure, Kind, TaskObject};
use crate::sched::block::{CANCEL, HOME, KILL, KILL_TASKS, Outcome, SCOPES};
use crate::sched::{Next, Own, Scheduler, ThreadBlock, sites::NO_SITE};
use crate::shared::Message;
use crate::sync::Ordering;
use crate::task::{self, Stack, Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::mem::ManuallyDrop;
use std::sync::Arc;

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

/// How a thread's turn ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It has nothing to run, or the program ends.
    Over,
    /// Others wait.
    Spent,
    /// Another carrier has it.
    HandedOver,
}

/// What every carrier's machine is made by.
pub(crate) struct Settings {
    pub(crate) memory: usize,
    pub(crate) depth: usize,
    pub(crate) stress: Stress,
    /// Fuel of one slice.
    pub(crate) slice: i64,
    pub(crate) script_args: Box<[String]>,
    pub(crate) on_many_tasks: Option<fn()>,
    pub(crate) on_shrunk: Option<fn()>,
    /// How many carriers run threads at a time.
    pub(crate) carriers: usize,
    pub(crate) max_workers: usize,
    pub(crate) threadlets: super::Threadlets,
    pub(crate) trace_pinned: super::TracePinned,
    pub(crate) blocking_warn: Option<super::BlockingWarn>,
}

/// Why the program ends at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    Exit(i32),
    OutOfFuel,
    /// Ctrl-C while everything waited.
    Interrupted,
}

/// Slots of a carrier's run stack; it grows when frames need more.
pub(super) const RUN_STACK_SLOTS: usize = 2048;
/// A run stack that has grown beyond this is given back when its task ends.
const MOST_KEPT_SLOTS: usize = 64 * 1024;
/// Frames of a task that was just mounted may use so many slots before they must ask.
pub(super) const FIRST_SLOTS: usize = 64;
/// Beyond the stack limit frames use no more than these slots (arguments that are put in front of others).
pub(super) const TAIL_SLOTS: usize = 16;
/// What mounting a task costs of a slice.
const SWITCH_FUEL: i64 = 10;
/// The clock is looked at for timers before every so many tasks, besides at the end of each slice and before a carrier looks for another thread.
const TURNS_BETWEEN_CLOCKS: u32 = 16;
/// The same for the system, which costs more: a multiple of that.
const TURNS_BETWEEN_POLLS: u32 = 64;

/// The id of the thread that a host calls.
pub(crate) const HOST_THREAD: u64 = 1;

/// A machine on its way to an OS thread of its own.
pub(crate) struct Carrier(Box<Thread>);

impl Carrier {
    pub(crate) fn for_scheduler(scheduler: &Arc<Scheduler>, own: Own) -> Carrier {
        let nothing = ThreadBlock::new(0, Mounted::new(0), None, None, NO_SITE);
        Carrier(Thread::machine(scheduler, Arc::new(nothing), own))
    }
    /// Runs threads until the program ends; gives the queues back.
    pub(crate) fn run(mut self, scheduler: &Arc<Scheduler>) -> Own {
        account::enter(Some(&scheduler.account));
        self.0.own.progress.note_os_thread();
        crate::sched::carrier_loop(&mut self.0, scheduler);
        let own = self.0.take_own();
        drop(self);
        account::enter(None);
        own
    }
}

impl Mounted {
    /// Of a thread without tasks.
    #[inline(always)]
    pub(crate) fn new(memory: usize) -> Mounted {
        let mut parts = Parts::default();
        parts.has_heap = true;
        Mounted {
            parts,
            heap: ManuallyDrop::new(Heap::new(memory)),
        }
    }
    pub(crate) fn heap(&mut self) -> &mut Heap {
        debug_assert!(self.parts.has_heap);
        &mut self.heap
    }
    #[inline]
    pub(super) fn take_heap(&mut self) -> Heap {
        debug_assert!(self.parts.has_heap);
        self.parts.has_heap = false;
        // SAFETY: it is there, and from now on it is not.
        unsafe { ManuallyDrop::take(&mut self.heap) }
    }
    #[inline]
    fn put_heap(&mut self, heap: Heap) {
        debug_assert!(!self.parts.has_heap);
        self.heap = ManuallyDrop::new(heap);
        self.parts.has_heap = true;
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // First: what its tasks wait for lives in the heap's bundles.
        super::drop_tasks(&mut self.parts.tasks);
        if self.parts.has_heap {
            drop(self.take_heap());
        }
    }
}

impl Thread {
    /// Runs `function` as a task of the host's thread, and then everything that it started; the result is that task's.
    ///
    /// After `stay` it ends with that task.
    pub fn run(&mut self, function: Value, args: &[Value]) -> Result<Value, Failure> {
        let _entered = self.enter();
        if self.scheduler.host_stays() {
            return self.run_and_stay(function, args);
        }
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        let first = self.new_task(function, args.iter().copied(), NO_SITE);
        // SAFETY: just made.
        unsafe { (*first).set(flag::IS_FIRST) };
        self.add_task(first);
        let handle = self.handle_of(first, Value::NIL);
        let handle = self.new_handle(handle);
        {
            let mut end = main.end.lock();
            (end.is_detached, end.is_uncounted) = (false, false);
        }
        self.forget_failures();
        let proto = match function.is_kind(Kind::Closure) {
            // SAFETY: its kind was tested.
            true => unsafe { (*function.as_object().cast::<Closure>()).proto().cast_mut() },
            false => std::ptr::null_mut(),
        };
        scheduler.main_function.store(proto, Ordering::Relaxed);
        scheduler.has_detached.store(false, Ordering::Relaxed);
        scheduler.register(&self.own, main.clone());
        scheduler.note_host(false);
        self.park_thread();
        main.signal.requeue();
        scheduler.enqueue_woken(&self.own, Arc::as_ptr(&main));
        let deadlock = self.run_to_end();
        let (failed, ended) = self.stop_all();
        let object = self.handle(handle);
        self.free_handle(handle);
        let more = self.parts.more();
        let loose_trace = std::mem::take(&mut more.loose_trace);
        let unjoined = std::mem::take(&mut more.failed);
        self.loose_trace = loose_trace;
        self.failed_sites.clear();
        // SAFETY: a task's handle.
        let (result, how) = unsafe {
            let object = object.as_object().cast::<TaskObject>();
            ((*object).result, (*object).header.aux)
        };
        if let Some(ended) = ended {
            return Err(self.failure_of(ended));
        }
        // The first of these is the program's error, and the others are reported with it: errors that nobody joined for, too.
        let mut errors = Vec::new();
        if let Some(report) = deadlock {
            self.throw_new(ErrorKind::Deadlock, &report);
            errors.push((self.new_handle(self.thrown), Vec::new()));
        }
        if how == task::Ended::Failed as u16 {
            errors.push((self.new_handle(result), Vec::new()));
        }
        for (task, site) in unjoined {
            // SAFETY: a task's handle.
            let error = unsafe { (*task.as_object().cast::<TaskObject>()).result };
            errors.push((self.new_handle(error), scheduler.sites.chain(site)));
        }
        for block in failed {
            let mut end = block.end.lock();
            if end.is_joined || end.is_detached {
                continue;
            }
            if let Outcome::Failed(message) = std::mem::replace(&mut end.outcome, Outcome::Taken) {
                drop(end);
                let error = self.deliver(message).unwrap_or(Value::NIL);
                errors.push((self.new_handle(error), scheduler.sites.chain(block.site)));
            }
        }
        if errors.is_empty() {
            return Ok(result);
        }
        let (first, sites) = errors.remove(0);
        self.thrown = self.handle(first);
        self.free_handle(first);
        self.failed_sites = sites;
        self.also_failed = errors;
        Err(Failure::Thrown)
    }
    /// Tasks that the last run did not wait for, and that nothing could have woken: a line for each; empty if there were none, or it failed.
    pub fn leaks_at_exit(&self) -> Vec<String> {
        self.scheduler.leaks_at_exit.lock().clone()
    }
    /// Errors of the last run that were not reported.
    fn forget_failures(&mut self) {
        for (handle, _) in std::mem::take(&mut self.also_failed) {
            self.free_handle(handle);
        }
        self.scheduler.lost_errors.lock().clear();
        self.scheduler.leaks_at_exit.lock().clear();
    }

    /// Is a carrier until everything has ended; gives the report of a deadlock, if that was why.
    pub(super) fn run_to_end(&mut self) -> Option<String> {
        let scheduler = self.scheduler.clone();
        if scheduler.settings.blocking_warn.is_some() {
            self.own.progress.note_os_thread();
        }
        let mut deadlock = None;
        loop {
            let engine = self.engine();
            match scheduler.next(&mut self.own, true, engine) {
                Next::Run(block, was_woken_here) => self.run_block(block, was_woken_here),
                Next::Deadlock => {
                    deadlock = Some(self.deadlock_report());
                    scheduler.kill_all(&self.own, std::ptr::null());
                }
                Next::Interrupted => self.interrupt_program(true),
                Next::Called => {}
                Next::Done | Next::Stop => return deadlock.or(self.pinned_deadlock.take()),
            }
        }
    }
    /// Ctrl-C was pressed. The program's own thread throws `Cancelled` wherever it waits, so its defers run; then the program ends. If it does not wait now it sees the interrupt
    /// itself, unless that is taken from it (`takes_it`).
    #[cold]
    pub(super) fn interrupt_program(&mut self, takes_it: bool) {
        let scheduler = self.scheduler.clone();
        let main = scheduler.host_thread();
        match main {
            Some(main) if !scheduler.has_host_ended() => {
                if !takes_it && !main.signal.is_idle() {
                    return;
                }
                let _ = self.engine.take_interrupt();
                scheduler.exit.lock().get_or_insert(Ended::Interrupted);
                scheduler.request(&self.own, &main, CANCEL);
            }
            _ => {
                let _ = self.engine.take_interrupt();
                scheduler.end_program(Ended::Interrupted);
            }
        }
    }
    /// Stops the other carriers, drops what is left, and mounts the host's thread; gives the threads that failed, and why the program ended at once, if it did.
    pub(super) fn stop_all(&mut self) -> (Vec<Arc<ThreadBlock>>, Option<Ended>) {
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        // From here on no other carrier runs.
        let failed = scheduler.stop(&mut self.own);
        main.signal.requeue();
        let _ = main.signal.begin();
        self.mount_thread(BlockRef::new(&main));
        self.discard_tasks();
        self.base = std::ptr::null_mut();
        self.goes_home = false;
        main.note_unregistered();
        (failed, scheduler.exit.lock().take())
    }
    /// What the host is told of a program that ended at once.
    pub(super) fn failure_of(&mut self, ended: Ended) -> Failure {
        match ended {
            Ended::Exit(code) => {
                self.exit_code = code;
                return Failure::Exit(code);
            }
            Ended::OutOfFuel => {
                self.is_out_of_fuel = true;
                let limit = self.scheduler.fuel_limit();
                self.throw_new(
                    ErrorKind::Limit,
                    &format!("out of fuel: the limit is {limit}"),
                );
                let trace = self.scheduler.end_trace.lock().take();
                if let Some(trace) = trace {
                    self.set_trace(self.thrown, &trace.0);
                }
            }
            Ended::Interrupted => {
                self.throw_new(ErrorKind::Cancelled, "interrupted");
            }
        }
        Failure::Thrown
    }

    #[inline]
    pub(super) fn look_for_watchdog(&mut self) {
        if !self.scheduler.is_watched() {
            self.begin_to_watch();
        }
    }
    /// From now on the watchdog looks whether carriers get on, if there is anything that one could keep from running.
    #[cold]
    fn begin_to_watch(&mut self) {
        let is_concurrent = self.scheduler.has_threads() || self.parts.tasks.count > 1;
        if is_concurrent
            && self.scheduler.settings.blocking_warn.is_some()
            && !self.scheduler.choices.is_seeded()
        {
            self.scheduler.call_watchdog();
        }
    }
    /// A native that has ended held the carrier for long: counts it, and tells of it the first time.
    #[cold]
    pub(crate) fn note_held(&mut self, def: &'static NativeDef) {
        let time = self.own.progress.take_overdue(self.scheduler.now());
        let Some(warn) = &self.scheduler.settings.blocking_warn else {
            return;
        };
        if time < warn.after {
            return;
        }
        let place = self.program_place();
        if self.scheduler.blocking.note_held(def, place, time) {
            let mut trace = self.collect_trace();
            if trace.is_empty() {
                trace.extend(place);
            }
            let mut text = format!(
                "warning: {} held an OS thread for {} ms\n",
                def.public_name(),
                time.as_millis()
            );
            for line in crate::error::lines_of(trace) {
                text += &format!("    at {line}\n");
            }
            (warn.tell)(&text);
        }
    }

    /// Ends what is left of the mounted thread, without running it any further.
    pub(crate) fn discard_tasks(&mut self) {
        super::drop_tasks(&mut self.parts.tasks);
        self.parts.ready.clear();
        self.parts.stopped = Stopped::No;
        self.parts.main_ended = task::Ended::Returned;
        self.parts.detached = 0;
    }

    // --- threads

    /// Takes the parts of a thread whose state is running.
    #[inline]
    pub(super) fn mount_thread(&mut self, block: BlockRef) {
        // SAFETY: the state is running, and this carrier made it so.
        let mounted = unsafe { &mut *block.parts.get_mut() };
        let here = self.own.number as u32;
        if self.stack_owner != block.id || mounted.parts.carrier != here {
            // What frames of another thread left in the run stack are values of another heap; what those of this one left may have been moved by a collection
            // on another carrier since.
            self.clear_run_stack();
            self.stack_owner = block.id;
            mounted.parts.carrier = here;
        }
        debug_assert!(self.heap.is_fresh());
        // A machine without a thread has an empty heap, which owns nothing.
        std::mem::forget(std::mem::replace(&mut self.heap, mounted.take_heap()));
        self.parts.set(&mut mounted.parts);
        self.block = block;
        self.use_vars();
    }
    /// Puts the parts back.
    #[inline]
    pub(super) fn park_thread(&mut self) {
        // SAFETY: as in `mount_thread`; it is still so.
        let mounted = unsafe { &mut *self.block.parts.get_mut() };
        mounted.put_heap(std::mem::replace(&mut self.heap, Heap::new(0)));
        self.parts.set_to_none();
        self.thrown = Value::NIL;
        self.result = Value::NIL;
        if !self.pending_call.1.is_empty() {
            self.pending_call = (Value::NIL, Vec::new());
        }
        self.pending_call.0 = Value::NIL;
        self.loose_trace.clear();
        // As soon as its state is no longer running, the thread may end elsewhere.
        self.block = BlockRef::new(&self.main);
    }
    /// Puts the parts back of a thread with a task that has used up its slice.
    fn unmount_spent(&mut self) {
        if self.goes_home {
            return self.go_home();
        }
        let block = self.block;
        self.park_thread();
        block.signal.requeue();
        self.scheduler.enqueue_spent(&self.own, block.as_ptr());
    }

    /// Mounts a thread that was taken out of a queue, runs it for a slice or until it waits, unmounts it. `goes_on`: it was woken by the last one, whose slice it goes on with.
    pub(crate) fn run_block(&mut self, block: *const ThreadBlock, goes_on: bool) {
        // SAFETY: a thread in a queue is kept by the registry, and stays there at least until it has been run.
        let block = unsafe { BlockRef::from_ptr(block) };
        let inbox = block.signal.begin();
        self.mount_thread(block);
        self.parts.ready.append(inbox);
        if block.signal.has_requests() {
            self.take_requests();
            if self.goes_home {
                return self.go_home();
            }
        }
        if !goes_on || self.fuel <= SWITCH_FUEL {
            self.start_slice();
        }
        self.look_for_watchdog();
        loop {
            let turn = self.run_tasks();
            if turn == Turn::HandedOver {
                return;
            }
            if self.scheduler.is_stopping() {
                self.park_thread();
                // A carrier to which one of its tasks is pinned waits for that.
                block.signal.requeue();
                return;
            }
            if turn == Turn::Spent {
                return self.unmount_spent();
            }
            if self.parts.tasks.is_empty() {
                break;
            }
            if self.parts.detached as usize == self.parts.tasks.count
                && !(block.id == HOST_THREAD && self.scheduler.host_stays())
            {
                self.scheduler.uncount(&self.own, &block);
            }
            self.park_thread();
            if block.signal.finish() {
                // From here on another carrier may run it, and it may end.
                return;
            }
            // Something came meanwhile: it is still ours.
            self.mount_thread(block);
        }
        if block.id == HOST_THREAD && self.scheduler.host_stays() {
            self.go_home();
        } else if block.id == HOST_THREAD {
            // It stays, and its heap with it: the host may call it again.
            self.park_thread();
            let _ = block.signal.finish();
            // If only detached tasks were left it does not count any more.
            let counts = !block.end.lock().is_uncounted;
            self.scheduler.unregister(&self.own, &block, counts, false);
            self.scheduler.note_host(true);
        } else {
            self.end_thread();
        }
    }

    /// Runs the mounted thread's tasks until none is ready, the slice is used up and others wait, or the program ends.
    fn run_tasks(&mut self) -> Turn {
        loop {
            if self.scheduler.is_disturbed() {
                return match self.scheduler.is_stopping() {
                    true => Turn::Over,
                    false => Turn::Spent,
                };
            }
            if self.block.signal.has_news() {
                self.take_news();
                if self.goes_home {
                    return Turn::Spent;
                }
            }
            self.turn = self.turn.wrapping_add(1);
            if self.turn.is_multiple_of(TURNS_BETWEEN_CLOCKS) {
                self.look_for_watchdog();
                // Tasks that only end, or wait again, come to no safepoint.
                self.own.progress.pass();
                self.scheduler.fire_timers(&self.own);
                self.scheduler.relieve_workers();
                if self.turn.is_multiple_of(TURNS_BETWEEN_POLLS) {
                    self.scheduler.look_at_system(&mut self.own);
                }
            }
            let Some(task) = self.parts.ready.pop_front() else {
                return Turn::Over;
            };
            if self.is_pinned_elsewhere(task) {
                self.hand_over(task);
                return Turn::HandedOver;
            }
            self.mount(task);
            self.begin_stretch();
            let exit = self.run_mounted();
            self.end_stretch();
            self.unmount(exit);
            if exit == Exit::Preempted
                && (self.scheduler.has_backlog(&self.own)
                    || self.scheduler.is_paused()
                    || self.is_called_off())
            {
                return Turn::Spent;
            }
            // As most threads have one task.
            if self.parts.ready.is_empty() && !self.block.signal.has_news() {
                return Turn::Over;
            }
        }
    }

    /// Takes what came for the mounted thread: woken tasks, requests.
    #[inline(never)]
    pub(super) fn take_news(&mut self) {
        let inbox = self.block.signal.take_inbox();
        self.parts.ready.append(inbox);
        if self.block.signal.has_requests() {
            self.take_requests();
        }
    }
    #[inline]
    pub(crate) fn make_ready(&mut self, task: *mut Task) {
        self.parts.ready.push_back(task);
    }

    /// Acts on what others asked of the mounted thread.
    pub(crate) fn take_requests(&mut self) {
        // Threadlets are asked, too.
        self.make_all_identities();
        let requests = self.block.signal.take_requests();
        if requests & KILL != 0 {
            self.parts.stopped = Stopped::Killed;
            for task in self.parts.tasks.to_vec() {
                self.kill_task(task);
            }
        }
        if requests & CANCEL != 0 {
            self.parts.stopped = self.parts.stopped.max(Stopped::Cancelled);
            for task in self.parts.tasks.to_vec() {
                self.cancel_task(task);
            }
        }
        if requests & SCOPES != 0 {
            self.cancel_in_scopes();
        }
        if requests & (HOME | KILL_TASKS) != 0 {
            self.take_orders(requests);
        }
    }
    /// What hosts that stay ask for.
    #[cold]
    fn take_orders(&mut self, requests: u32) {
        if requests & KILL_TASKS != 0 {
            self.kill_listed();
        }
        self.goes_home |= requests & HOME != 0;
    }
    /// The host wants its thread, which is mounted, or the host's carrier is called.
    pub(super) fn is_called_off(&self) -> bool {
        self.goes_home
            || self.is_host
                && self.scheduler.host_stays()
                && self.scheduler.is_host_called(&self.engine)
    }

    /// The program's first task has failed: the program is a scope, so everything else ends.
    fn end_others(&mut self) {
        let scheduler = self.scheduler.clone();
        self.parts.stopped = Stopped::Killed;
        for task in self.parts.tasks.to_vec() {
            self.kill_task(task);
        }
        scheduler.kill_all(&self.own, self.block.as_ptr());
    }

    /// The mounted thread has no tasks any more: its result goes to its joiners.
    fn end_thread(&mut self) {
        let block = self.block;
        let result = self.parts.main_result;
        let main_ended = self.parts.main_ended;
        let mut has_failed = main_ended != task::Ended::Returned;
        let mut value = result;
        let mut others = match self.parts.more_if_any() {
            Some(more) => more.failed.clone(),
            None => Vec::new(),
        };
        if !has_failed && !others.is_empty() {
            has_failed = true;
            let (handle, _) = others.remove(0);
            // SAFETY: a task's handle.
            value = unsafe { (*handle.as_object().cast::<TaskObject>()).result };
        }
        if !others.is_empty() {
            self.report_lost(&others);
        }
        let stopped = match main_ended {
            task::Ended::Killed => Stopped::Killed,
            task::Ended::Cancelled => Stopped::Cancelled,
            _ if has_failed && self.is_stop_error(value) => self.parts.stopped,
            _ => Stopped::No,
        };
        // What is immutable can be joined for again and again.
        let engine = self.engine();
        let value = match value.is_local() {
            true => self
                .heap
                .promote(value, |id| engine.type_info(id).is_mutable)
                .unwrap_or(value),
            false => value,
        };
        let memory_limit = self.memory_limit;
        // Its table goes.
        drop(self.scheduler.dropped.take(block.id));
        self.park_thread();
        // The run stack may hold values of its heap: whoever is mounted next clears it.
        self.stack_owner = 0;
        // SAFETY: still ours: the state is running.
        let mounted = unsafe { &mut *block.parts.get_mut() };
        mounted.parts.more = None;
        let mut is_refused = false;
        let (message, rest) = match Message::parcel(mounted.take_heap(), value) {
            Ok(done) => done,
            Err((heap, refused)) => {
                let fresh = Heap::new(memory_limit);
                is_refused = !has_failed;
                (
                    self.for_joiner(heap, fresh, value, has_failed, &refused),
                    None,
                )
            }
        };
        drop(rest);
        let (mut woken, is_joined, is_detached, counts) = {
            let mut end = block.end.lock();
            let outcome = match has_failed {
                _ if is_refused => Outcome::Refused(message),
                false => Outcome::Returned(message),
                true => Outcome::Failed(message),
            };
            let woken = end.finish(outcome, stopped);
            (woken, end.is_joined, end.is_detached, !end.is_uncounted)
        };
        block.signal.end();
        let was_stopped = stopped != Stopped::No;
        let reports =
            has_failed && !is_joined && !is_detached && !was_stopped && block.scope.is_none();
        if let Some(scope) = &block.scope {
            if has_failed && !is_joined && !was_stopped {
                let mut end = block.end.lock();
                let again = match &end.outcome {
                    Outcome::Failed(message) => message.again(),
                    _ => None,
                };
                let message =
                    again.or_else(
                        || match std::mem::replace(&mut end.outcome, Outcome::Taken) {
                            Outcome::Failed(message) => Some(message),
                            other => {
                                end.outcome = other;
                                None
                            }
                        },
                    );
                drop(end);
                if let Some(message) = message
                    && scope
                        .fail(crate::sched::scope::Failure::Thread(message))
                        .is_ok()
                {
                    self.scheduler.cancel_scope(&self.own, scope);
                }
            }
            if let Some(owner) = scope.leave() {
                woken.push_back(owner);
            }
        }
        while let Some(task) = woken.pop_front() {
            // SAFETY: claimed above.
            unsafe { self.scheduler.wake(&self.own, task) };
        }
        drop(
            self.scheduler
                .unregister(&self.own, &block, counts, reports),
        );
    }
    /// Errors of tasks of a thread that ends, besides the one that is the thread's, as text: their values go with the heap.
    #[cold]
    fn report_lost(&mut self, failed: &[(Value, u32)]) {
        let block = self.block;
        if block.scope.is_some() || block.end.lock().is_detached {
            return;
        }
        for &(handle, site) in failed {
            // SAFETY: a task's handle.
            let error = unsafe { (*handle.as_object().cast::<TaskObject>()).result };
            let mut lost = String::new();
            crate::error::report_one(self, error, self.scheduler.sites.chain(site), &mut lost);
            self.scheduler.lost_errors.lock().push(lost);
        }
    }
    /// What joiners of a thread get whose result, or error, leads to something that is bound to it, in `fresh`: a `ShareError`; the error, without those of its parts
    /// that cannot cross.
    #[cold]
    fn for_joiner(
        &mut self,
        heap: Heap,
        fresh: Heap,
        value: Value,
        has_failed: bool,
        refused: &GraphError,
    ) -> Message {
        let outside = std::mem::replace(&mut self.heap, heap);
        if has_failed && self.is_error(value) {
            // SAFETY: an error has its five fields; `data` and `cause` are what scripts put there.
            unsafe {
                let object = value.as_object();
                let fields = object.cast::<Value>().add(1);
                for i in 0..(*object).aux as usize {
                    let part = *fields.add(i);
                    if part.is_local() && self.heap.copy_out(part).is_err() {
                        let text = self.repr_short(part);
                        let text = self.text_value(&text);
                        *fields.add(i) = text;
                        self.heap.barrier(object, text);
                    }
                }
            }
            let heap = std::mem::replace(&mut self.heap, Heap::new(0));
            if let Ok((message, _)) = Message::parcel(heap, value) {
                self.heap = outside;
                return message;
            }
            self.heap = fresh;
        } else {
            let text = match refused {
                GraphError::Refused { path, value } => {
                    let what = if has_failed {
                        "the error"
                    } else {
                        "the result"
                    };
                    self.share_error_text(what, path, *value)
                }
                GraphError::NeedsCollection => "the result cannot be handed over".into(),
            };
            // The old heap goes.
            self.heap = fresh;
            self.throw_new(ErrorKind::Share, &text);
        }
        let error = std::mem::replace(&mut self.thrown, Value::NIL);
        let heap = std::mem::replace(&mut self.heap, outside);
        match Message::parcel(heap, error) {
            Ok((message, _)) => message,
            Err(_) => Message::shared(Value::NIL),
        }
    }
    fn is_stop_error(&self, value: Value) -> bool {
        value.is_unset() || value.type_id() == ErrorKind::Cancelled.type_id()
    }

    // --- tasks

    /// Takes a task's machine state: its registers go to the run stack, or its own stack becomes that.
    #[inline(always)]
    pub(super) fn mount(&mut self, task: *mut Task) {
        self.parts.tasks.touch(task);
        self.current = task;
        self.identity = task;
        // SAFETY: a task of the mounted thread that is ready: nobody else uses it.
        let task = unsafe { &mut *task };
        let (base, used) = (task.base_slot(), task.used_slots());
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
        if let Some(more) = task.more_if_any_mut()
            && !more.counted.is_empty()
        {
            std::mem::swap(&mut more.counted, &mut self.stack.counted);
        }
        self.base = self.stack.start.wrapping_add(base);
        self.pc = task.pc;
        task.note_mounted();
        if task.take(flag::HAS_THREADLETS)
            && let Some(more) = task.more_if_any_mut()
        {
            (self.boundary, self.identity) = (more.boundary, more.identity);
        }
        // A killed task that was preempted in its defers goes on with them.
        self.is_killing = task.is(flag::IS_DYING);
        let least = self
            .stack
            .start
            .wrapping_add((used + FIRST_SLOTS).min(self.stack.capacity - SLACK));
        if self.stack_limit < least {
            // What lies above the limit is clear.
            self.stack_limit = least;
        }
        // A frame takes two slots at least.
        if self.depth_limit.saturating_sub(used / 2) < super::SLICE_FUEL as usize {
            self.lower_stack_limit();
            // Not the whole of it, or a task between others that are busy would be left before it gets on.
            let depth_left = self.depth_left().max(1);
            if (self.fuel.max(0) as usize) > depth_left {
                self.slice -= self.fuel - depth_left as i64;
                self.fuel = depth_left as i64;
            }
        }
        // A switch costs some fuel, but never the last of it: a task that was preempted must get on.
        if self.fuel > SWITCH_FUEL {
            self.fuel -= SWITCH_FUEL;
        }
    }
    /// Uses another run stack from now on, in which nothing lies above the registers of its task.
    fn exchange_run_stack(&mut self, stack: Stack) {
        self.clear_run_stack();
        let old = std::mem::replace(&mut self.stack, stack);
        self.stack_limit = self.stack.start;
        if self.spare_stack.is_none() && old.capacity <= MOST_KEPT_SLOTS {
            self.spare_stack = Some(old);
        }
    }
    /// Clears what frames may have left in the run stack; nothing is mounted.
    pub(super) fn clear_run_stack(&mut self) {
        self.clear_run_stack_from(0);
        self.stack_limit = self.stack.start;
    }
    fn clear_run_stack_from(&mut self, slot: usize) {
        let limit = self.stack_index(self.stack_limit);
        let end = (limit + TAIL_SLOTS).min(self.stack.capacity);
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
    fn begin_run(&mut self) -> Option<Exit> {
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
    fn run_mounted(&mut self) -> Exit {
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
    fn leave(&mut self, exit: Exit) {
        let task = std::mem::replace(&mut self.current, std::ptr::null_mut());
        let identity = std::mem::replace(&mut self.identity, std::ptr::null_mut());
        // SAFETY: this thread's task, which was just mounted. If it waits and was claimed already, it lies in the inbox; wakers touch other fields.
        unsafe {
            if self.boundary != 0 {
                (*task).set(flag::HAS_THREADLETS);
                let more = (*task).more();
                more.boundary = std::mem::take(&mut self.boundary);
                more.identity = identity;
            }
            (*task).pc = self.pc;
            self.save_registers(task);
            let mut flags = (*task).flags & !(flag::IS_DYING | flag::HAS_YIELDED);
            if self.is_killing {
                flags |= flag::IS_DYING;
            }
            if exit == Exit::Yielded {
                flags |= flag::HAS_YIELDED;
            }
            (*task).flags = flags;
            match exit {
                Exit::Yielded => self.parts.ready.push_back(task),
                // Nothing of the thread changes behind its back: it stays the first.
                Exit::Preempted => self.parts.ready.push_front(task),
                _ => (*task).wait_dest = self.wait_dest as u8,
            }
        }
    }
    /// The mounted task has ended, or the program has.
    #[inline(never)]
    fn end_mounted(&mut self, exit: Exit) {
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
                if !self.loose_trace.is_empty() {
                    let loose_trace = std::mem::take(&mut self.loose_trace);
                    self.parts.more().loose_trace = loose_trace;
                }
                // SAFETY: the task that was just unmounted.
                let is_first = unsafe { (*task).is(flag::IS_FIRST) };
                self.end_task(task, thrown, how);
                if is_first && self.block.id == HOST_THREAD && !self.scheduler.host_stays() {
                    self.end_others();
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
    #[cold]
    fn shrink_run_stack(&mut self) {
        let fresh = self.fresh_run_stack();
        self.stack = fresh;
        self.stack_limit = self.stack.start;
    }
    fn fresh_run_stack(&mut self) -> Stack {
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
    unsafe fn save_registers(&mut self, task: *mut Task) {
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
    unsafe fn give_run_stack(&mut self, task: *mut Task, used: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            Task::make_room(task, 0);
            self.clear_run_stack_from(used);
            let fresh = self.fresh_run_stack();
            let counted = std::mem::take(&mut self.stack.counted);
            let (start, capacity) = std::mem::replace(&mut self.stack, fresh).into_parts();
            self.stack.counted = counted;
            self.stack_limit = self.stack.start;
            (*task).start = start;
            (*task).capacity =
                u32::try_from(capacity).expect("stacks are bounded by the memory limit");
            (*task).flags |= flag::HAS_RUN_STACK;
        }
    }
    fn how_it_ended(&mut self, task: *mut Task) -> (Value, task::Ended) {
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
    fn ended_error(&mut self, message: &str) -> Value {
        let message = self.text_value(message);
        self.new_error(ErrorKind::Cancelled, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::Options;

    /// A block that gets the address of one that has ended elsewhere is another thread: what that left in this carrier's run stack is cleared.
    #[test]
    fn a_thread_at_the_address_of_an_ended_one_gets_a_clear_stack() {
        let mut machine = Thread::new(crate::Engine::new(), Options::default());
        machine.park_thread();
        let thread = |id| ThreadBlock::new(id, Mounted::new(0), None, None, NO_SITE);
        let mut block = Arc::new(thread(2));
        machine.mount_thread(BlockRef::new(&block));
        // SAFETY: slots of the run stack.
        unsafe { *machine.stack.start = Value::small_int(7) };
        machine.stack_limit = machine.stack.start.wrapping_add(1);
        machine.park_thread();
        *Arc::get_mut(&mut block).expect("nobody else holds it") = thread(3);
        machine.mount_thread(BlockRef::new(&block));
        assert_eq!(machine.stack_slot(0).bits(), 0);
        machine.park_thread();
        let main = BlockRef::new(&machine.main);
        machine.mount_thread(main);
    }
}
