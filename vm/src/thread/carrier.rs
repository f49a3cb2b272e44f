//! Mounting: a carrier takes a thread's heap and parts, runs its tasks one after the other, and puts them back.

use super::mount::SWITCH_FUEL;
use super::{BlockRef, Failure, Mounted, Parts, Stopped, Stress, Thread};
use crate::account;
use crate::counted::Counted;
use crate::heap::Heap;
use crate::interp::Exit;
use crate::native::NativeDef;
use crate::object::{Closure, Kind, TaskObject};
use crate::sched::block::{CANCEL, COLLECT, FAILURES, HOME, KILL, KILL_TASKS, Outcome, SCOPES};
use crate::sched::scope::Failure as ScopeFailure;
use crate::sched::{Next, Own, Scheduler, ThreadBlock, sites::NO_SITE};
use crate::shared::Message;
use crate::sync::Ordering;
use crate::task::{self, Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// See `look_at_pressure`.
const TURNS_BETWEEN_LOOKS: u32 = 64;

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
    pub(crate) on_large: Option<fn()>,
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

/// The clock is looked at for timers before every so many tasks, besides at the end of each slice and before a carrier looks for another thread.
const TURNS_BETWEEN_CLOCKS: u32 = 16;
/// The same for the system, which costs more: a multiple of that.
const TURNS_BETWEEN_POLLS: u32 = 64;

/// Fuel that a thread may use after the program has failed, before it is killed: about a second.
const FUEL_AFTER_FAILURE: u64 = 200_000_000;

/// The id of the thread that a host calls.
pub(crate) const HOST_THREAD: u64 = 1;

/// A machine on its way to an OS thread of its own.
pub(crate) struct Carrier(Box<Thread>);

impl Carrier {
    pub(crate) fn for_scheduler(scheduler: &Arc<Scheduler>, own: Own) -> Carrier {
        let nothing = ThreadBlock::new(0, Mounted::new(0), None, None, NO_SITE);
        Carrier(Thread::machine(scheduler, Counted::new(nothing), own))
    }
    /// Runs threads until the program ends; gives the queues back.
    pub(crate) fn run(mut self, scheduler: &Arc<Scheduler>) -> Own {
        debug_assert!(!scheduler.is_solo());
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
    /// The thread goes no further.
    pub(crate) fn end(&mut self) {
        // First: what its tasks wait for lives in the heap's bundles.
        super::drop_tasks(&mut self.parts.tasks);
        self.parts.ready.clear();
        self.parts.more = None;
        self.parts.main_result = Value::NIL;
        self.drop_heap();
    }
    #[inline]
    pub(super) fn drop_heap(&mut self) {
        if std::mem::take(&mut self.parts.has_heap) {
            // SAFETY: it was there, and is not from now on.
            unsafe { ManuallyDrop::drop(&mut self.heap) };
        }
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
        self.end();
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
        let mut main_module = None;
        if let Some(more) = self.parts.more_if_any_mut() {
            more.main_base = 0;
            main_module = more.bodies.first().cloned();
        }
        let proto = match (main_module, function.is_kind(Kind::Closure)) {
            (Some(main), _) => Arc::as_ptr(&main.body()).cast_mut(),
            // SAFETY: its kind was tested.
            (None, true) => unsafe { (*function.as_object().cast::<Closure>()).proto().cast_mut() },
            (None, false) => std::ptr::null_mut(),
        };
        scheduler.main_function.store(proto, Ordering::Relaxed);
        scheduler.has_detached.store(false, Ordering::Relaxed);
        scheduler.register(&self.own, main.clone());
        scheduler.note_host(false);
        self.park_thread();
        main.signal.requeue();
        scheduler.enqueue_woken(&self.own, Counted::as_ptr(&main));
        let deadlock = self.run_to_end();
        let (failed, ended) = self.stop_all();
        let object = self.handle(handle);
        self.free_handle(handle);
        let more = self.parts.more();
        let loose_trace = std::mem::take(&mut more.loose_trace);
        let unjoined = more.failed.to_vec();
        more.failed = Default::default();
        self.loose_trace = loose_trace;
        self.failed_sites.clear();
        // SAFETY: a task's handle.
        let (result, how) = unsafe {
            let object = object.as_object().cast::<TaskObject>();
            ((*object).result, (*object).header.aux)
        };
        self.was_cut_off =
            how == task::Ended::Cancelled as u16 || how == task::Ended::Killed as u16;
        if let Some(ended) = ended {
            return Err(self.failure_of(ended));
        }
        // The first of these is the program's error, and the others are reported with it: errors that nobody joined for, too.
        let mut errors = Vec::new();
        if how == task::Ended::Failed as u16 {
            errors.push((self.new_handle(result), Vec::new()));
        }
        if let Some(report) = deadlock {
            self.throw_new(ErrorKind::Deadlock, &report);
            errors.push((self.new_handle(self.thrown), Vec::new()));
        }
        for (task, site) in unjoined {
            // SAFETY: a task's handle.
            let error = unsafe { (*task.as_object().cast::<TaskObject>()).result };
            errors.push((self.new_handle(error), scheduler.sites.chain(site)));
        }
        for block in failed {
            let mut end = block.end.lock();
            if end.is_known() {
                continue;
            }
            if let Outcome::Failed(message) = std::mem::replace(&mut end.outcome, Outcome::Taken) {
                drop(end);
                let error = self.deliver(message).unwrap_or(Value::NIL);
                errors.push((self.new_handle(error), scheduler.sites.chain(block.site)));
            }
        }
        let lost = std::mem::take(&mut scheduler.lost_errors.lock().list);
        for (message, site) in lost {
            let error = self.deliver(message).unwrap_or(Value::NIL);
            errors.push((self.new_handle(error), scheduler.sites.chain(site)));
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
        *self.scheduler.lost_errors.lock() = Default::default();
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
            if let Some(block) = self.next_at_once() {
                self.run_block(block, true);
                continue;
            }
            let engine = self.engine();
            match scheduler.next(&mut self.own, true, engine) {
                Next::Run(block, goes_on) => self.run_block(block, goes_on),
                Next::Deadlock if self.collects_before_deadlock() => {}
                Next::Deadlock => {
                    deadlock = Some(self.deadlock_report());
                    scheduler.count_all(&self.own);
                    scheduler.kill_all(&self.own, std::ptr::null());
                }
                Next::Interrupted => self.interrupt_program(true),
                Next::Called => {}
                Next::Done | Next::Stop => return deadlock.or(self.pinned_deadlock.take()),
            }
        }
    }
    /// Everything waits. A subscriber that nothing leads to any more holds the senders up until a collection finds it: if that may be, there is one in each thread first.
    #[cold]
    pub(super) fn collects_before_deadlock(&mut self) -> bool {
        let scheduler = self.scheduler.clone();
        let threads = scheduler.threads();
        // SAFETY: every carrier is idle and nothing can wake one.
        let may_be_held_up = threads.iter().any(|block| unsafe {
            let tasks = super::report::tasks_of(block);
            let waits = |task: &*mut Task| matches!((**task).wait, Wait::Broadcast | Wait::Select);
            tasks.iter().any(waits)
        });
        if !may_be_held_up || scheduler.has_collected_all.swap(true, Ordering::Relaxed) {
            return false;
        }
        for block in threads {
            scheduler.request(&self.own, &block, COLLECT);
        }
        true
    }
    /// A thread that goes on with the slice of the last one, as long as that lasts, if there is one at hand.
    #[inline]
    pub(crate) fn next_at_once(&mut self) -> Option<*const ThreadBlock> {
        if self.fuel <= SWITCH_FUEL {
            return None;
        }
        self.scheduler.next_at_once(&mut self.own)
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
                scheduler.is_interrupted.store(true, Ordering::Relaxed);
                scheduler.request(&self.own, &main, CANCEL);
            }
            _ => {
                let _ = self.engine.take_interrupt();
                scheduler.end_program(Ended::Interrupted);
            }
        }
    }
    /// Stops the other carriers, drops what is left, and mounts the host's thread; gives the threads that failed, and why the program ended at once, if it did.
    pub(super) fn stop_all(&mut self) -> (Vec<Counted<ThreadBlock>>, Option<Ended>) {
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        // From here on no other carrier runs.
        let (failed, left) = scheduler.stop(&mut self.own);
        if scheduler.exit.lock().is_none() {
            self.report_errors_of(&left);
        }
        main.signal.requeue();
        let _ = main.signal.begin();
        // What others asked of this run is not for the next one.
        let _ = main.signal.take_requests();
        self.mount_thread(BlockRef::new(&main));
        // The host calls it again.
        self.make_objects_whole();
        self.discard_tasks();
        self.base = std::ptr::null_mut();
        self.goes_home = false;
        main.note_unregistered();
        self.end_threads(left);
        (failed, scheduler.exit.lock().take())
    }
    /// A walk of the mounted heap that was cut off has left objects without headers.
    fn make_objects_whole(&mut self) {
        while self.heap.is_held() {
            self.heap.abort_long_graph();
            let _ = self.heap.long_graph_step();
        }
    }
    /// Errors that nobody has joined for, of threads that the program has not waited for, as only detached tasks were left in them.
    fn report_errors_of(&mut self, left: &[Counted<ThreadBlock>]) {
        for block in left {
            // SAFETY: no carrier has it mounted, and none runs.
            let parts = unsafe { &(*block.parts.get()).parts };
            let may_have_some = parts.main_ended == task::Ended::Failed || parts.has_failed_tasks();
            let is_left_out = may_have_some && block.end.lock().is_uncounted;
            if is_left_out && !Counted::ptr_eq(block, &self.main) && !block.has_ended() {
                self.mount_thread(BlockRef::new(block));
                self.make_objects_whole();
                self.report_errors_of_stopped();
                self.park_thread();
            }
        }
    }
    /// Threads that were stopped where they were: what holds a handle of one finds it ended.
    fn end_threads(&mut self, left: Vec<Counted<ThreadBlock>>) {
        let mut error = None;
        for block in left {
            if Counted::ptr_eq(&block, &self.main) || Counted::strong_count(&block) == 1 {
                continue;
            }
            let error = error.get_or_insert_with(|| {
                let error = self.ended_error("the program ended before the thread did");
                let engine = self.engine();
                let is_mutable = |id| engine.type_info(id).is_mutable;
                let error = self.heap.promote(error, is_mutable).unwrap_or(error);
                Message::parcel(&mut self.heap, error).ok()
            });
            block.end_where_it_is(error.as_ref().and_then(Message::again));
        }
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
            crate::sched::call_host(|| (warn.tell)(&text));
        }
    }

    /// Ends what is left of the host's thread, which is mounted, without running it any further. Its heap lives on, and handles of tasks in it: they find that these have ended.
    fn discard_tasks(&mut self) {
        let tasks = self.parts.tasks.to_vec();
        let mut error = None;
        for &task in &tasks {
            // SAFETY: a task of the mounted thread, which no carrier runs; a task's handle.
            unsafe {
                if (*task).handle.is_object() {
                    let error = *error.get_or_insert_with(|| {
                        self.ended_error("the program ended before the task did")
                    });
                    let object = (*task).handle.as_object().cast::<TaskObject>();
                    (*object).result = error;
                    (*object).header.aux |= task::Ended::Killed as u16;
                    self.heap.barrier(object.cast(), error);
                }
                self.forget_scopes(task);
            }
        }
        if std::mem::take(&mut self.parts.has_early) {
            for (kept, _) in std::mem::take(&mut self.parts.more().early) {
                self.free_handle(kept);
            }
        }
        if let Some(more) = self.parts.more_if_any_mut() {
            more.with_threadlets = 0;
            more.fuel_after_failure = 0;
        }
        super::drop_tasks(&mut self.parts.tasks);
        self.parts.ready.clear();
        self.parts.stopped = Stopped::No;
        self.parts.main_result = Value::NIL;
        self.parts.main_ended = task::Ended::Returned;
        self.parts.detached = 0;
    }
    /// Scopes that a task has opened keep no errors of their members in the thread's handles any more, and nobody inside leads to them.
    ///
    /// # Safety
    /// A task of the mounted thread, which no carrier runs.
    unsafe fn forget_scopes(&mut self, task: *mut Task) {
        // SAFETY: promised by the caller.
        let mut at = unsafe { (*task).scope.clone() };
        while let Some(scope) = at.filter(|scope| scope.is_of(task)) {
            if let Some(ScopeFailure::Task(kept)) = scope.abandon() {
                self.free_handle(kept);
            }
            at = scope.parent.clone();
        }
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
        self.scheduler
            .enqueue_spent(&self.own, block.as_ptr(), self.is_late);
    }

    /// Mounts a thread that was taken out of a queue, runs it for a slice or until it waits, unmounts it. `goes_on`: with the slice of the last one.
    pub(crate) fn run_block(&mut self, block: *const ThreadBlock, goes_on: bool) {
        // SAFETY: a thread in a queue is kept by the registry, and stays there at least until it has been run.
        let block = unsafe { BlockRef::from_ptr(block) };
        let Some(inbox) = block.signal.try_begin(self.scheduler.is_solo()) else {
            return;
        };
        self.mount_thread(block);
        self.parts.ready.append(inbox);
        if block.signal.has_requests() {
            self.take_requests();
            if self.goes_home {
                return self.go_home();
            }
            if self.heap.collect_wanted && self.parts.ready.is_empty() {
                self.collect_full();
            }
        }
        // One that never uses up a slice, now and then.
        if self.turn.is_multiple_of(TURNS_BETWEEN_LOOKS) {
            self.look_at_pressure();
        }
        // One that goes on where little is left comes to its safepoint soon: there the slice is charged, and interrupts and timers are looked for.
        if !goes_on {
            self.charge_slice();
            self.start_slice();
        }
        self.is_late = goes_on && self.fuel * 2 < self.scheduler.settings.slice;
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
            if self.parts.detached != 0 {
                self.uncount_if_all_are_detached();
            }
            self.park_thread();
            if block.signal.finish(self.scheduler.is_solo()) {
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
            let _ = block.signal.finish(self.scheduler.is_solo());
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
        if requests & (HOME | KILL_TASKS | COLLECT | FAILURES) != 0 {
            self.take_orders(requests);
        }
    }
    /// What is asked for rarely.
    #[cold]
    fn take_orders(&mut self, requests: u32) {
        if requests & KILL_TASKS != 0 {
            self.kill_listed();
        }
        self.goes_home |= requests & HOME != 0;
        if requests & COLLECT != 0 {
            self.heap.want_full_collection();
        }
        if requests & FAILURES != 0 {
            self.tell_scope_around();
        }
    }
    /// The host wants its thread, which is mounted, or the host's carrier is called.
    pub(super) fn is_called_off(&self) -> bool {
        self.goes_home
            || self.is_host
                && self.scheduler.host_stays()
                && self.scheduler.is_host_called(&self.engine)
    }

    /// The program has failed, and this thread goes on: a cancel acts at blocking points only, and nobody is there to kill what has none.
    #[cold]
    pub(super) fn count_after_failure(&mut self, spent: u64) {
        let used = &mut self.parts.more().fuel_after_failure;
        let before = *used;
        *used += spent;
        if before < FUEL_AFTER_FAILURE && *used >= FUEL_AFTER_FAILURE {
            let _ = self.block.signal.request(KILL);
        }
    }
    /// The program's first task has failed: the program is a scope, so everything else is cancelled.
    pub(super) fn cancel_others(&mut self) {
        let scheduler = self.scheduler.clone();
        for task in self.parts.tasks.to_vec() {
            self.cancel_task(task);
        }
        scheduler.end_all(&self.own, self.block.as_ptr(), CANCEL);
    }
}
