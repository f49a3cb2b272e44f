//! A host that stays: what a call of it has started goes on when the call has ended, during later calls and while the host is idle.
//!
//! Between its calls such a host has its thread of the language mounted, as every host has, and other carriers may run other threads. During `run` and `idle` it
//! is a carrier like the others. See `sched::host` for how it gets its thread back.

use super::carrier::HOST_THREAD;
use super::{BlockRef, Ended, Failure, Stopped, Thread};
use crate::counted::Counted;
use crate::object::TaskObject;
use crate::sched::block::{HOME, KILL, KILL_TASKS, Outcome};
use crate::sched::host::{TaskInfo, Waker};
use crate::sched::sites::NO_SITE;
use crate::sched::{Next, ThreadBlock};
use crate::task::{self, ReadyQueue, Task, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::atomic::Ordering;

/// Why `Thread::idle` has ended.
#[derive(Debug)]
pub enum Idled {
    /// Its `Waker` was used.
    Woken,
    /// Something failed that nobody had joined for: see `Thread::take_unjoined`.
    Failed,
    /// `os.exit`, or the fuel is used up: nothing runs any more.
    Ended(Failure),
}

impl Thread {
    /// From now on `run` ends with the task that it began, and what that started goes on: in other calls of `run`, and in `idle`. Ctrl-C is for the task that `run` began.
    pub fn stay(&mut self) {
        self.scheduler.set_host_stays(true);
    }
    /// What wakes the host out of `idle`.
    pub fn waker(&self) -> Waker {
        Waker(self.scheduler.clone())
    }

    /// `run` of a host that stays.
    pub(super) fn run_and_stay(
        &mut self,
        function: Value,
        args: &[Value],
    ) -> Result<Value, Failure> {
        if let Some(failure) = self.pending_end.take() {
            return Err(failure);
        }
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        // Who killed the thread did not mean what comes later: tasks that were there are marked.
        self.parts.stopped = Stopped::No;
        let first = self.new_task(function, args.iter().copied(), NO_SITE);
        // SAFETY: just made.
        unsafe { (*first).set(flag::IS_FIRST) };
        self.add_task(first);
        let handle = self.handle_of(first, Value::NIL);
        let handle = self.new_handle(handle);
        scheduler.host.has_input.store(true, Ordering::Relaxed);
        scheduler.has_collected_all.store(false, Ordering::Relaxed);
        self.leave_home();
        self.is_interrupted = false;
        let mut deadlock = None;
        let outcome = loop {
            let engine = self.engine();
            match scheduler.next(&mut self.own, true, engine) {
                Next::Run(block, goes_on) => self.run_block(block, goes_on),
                Next::Called => {
                    self.note_interrupt();
                    if scheduler.host.is_home.load(Ordering::Acquire) {
                        self.mount_home();
                        let object = self.handle(handle).as_object().cast::<TaskObject>();
                        // SAFETY: a task's handle.
                        if unsafe { (*object).task() }.is_null() {
                            break Ok(());
                        }
                        self.stop_input(first, deadlock.is_some());
                        self.leave_home();
                    } else if self.is_interrupted || self.wants_home {
                        scheduler.request(&self.own, &main, HOME);
                    }
                }
                // There is no input until this one ends, so nothing can ever wake it. The rest may wait for a later one.
                Next::Deadlock if self.collects_before_deadlock() => {}
                Next::Deadlock => {
                    if deadlock.is_none() {
                        deadlock = Some(self.deadlock_report());
                    }
                    scheduler.request(&self.own, &main, HOME);
                }
                Next::Stop => break Err(self.end_all()),
                Next::Done | Next::Interrupted => unreachable!("told to hosts that do not stay"),
            }
        };
        scheduler.host.has_input.store(false, Ordering::Relaxed);
        scheduler
            .host
            .is_interrupting
            .store(false, Ordering::Relaxed);
        let object = self.handle(handle);
        self.free_handle(handle);
        let pinned_deadlock = self.pinned_deadlock.take();
        let deadlock = deadlock.or(pinned_deadlock);
        outcome?;
        let loose_trace = std::mem::take(&mut self.parts.more().loose_trace);
        self.loose_trace = loose_trace;
        self.failed_sites.clear();
        // SAFETY: a task's handle.
        let (result, how) = unsafe {
            let object = object.as_object().cast::<TaskObject>();
            ((*object).result, (*object).ended())
        };
        if let Some(report) = deadlock {
            self.throw_new(ErrorKind::Deadlock, &report);
            return Err(Failure::Thrown);
        }
        if how != task::Ended::Returned as u16 {
            self.thrown = result;
            return Err(Failure::Thrown);
        }
        Ok(result)
    }

    /// Runs what earlier calls have started, until the host is woken or something fails that nobody had joined for. With nothing to run it sleeps.
    pub fn idle(&mut self) -> Idled {
        let _entered = self.enter();
        let scheduler = self.scheduler.clone();
        // The next call may wake whatever waits.
        self.serve(|host| host.scheduler.is_idle_over());
        if let Some(failure) = self.pending_end.take() {
            return Idled::Ended(failure);
        }
        if scheduler.host.is_woken.swap(false, Ordering::AcqRel) {
            Idled::Woken
        } else {
            Idled::Failed
        }
    }

    /// Is a carrier until `is_enough` or everything ends (`pending_end`); then the host's thread is mounted again.
    fn serve(&mut self, mut is_enough: impl FnMut(&Thread) -> bool) {
        if self.pending_end.is_some() || is_enough(self) {
            return;
        }
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        scheduler.add_source();
        self.leave_home();
        scheduler.call_host();
        loop {
            let engine = self.engine();
            match scheduler.next(&mut self.own, true, engine) {
                Next::Run(block, goes_on) => self.run_block(block, goes_on),
                Next::Called if !is_enough(self) => {}
                Next::Called => {
                    if scheduler.host.is_home.load(Ordering::Acquire) {
                        self.mount_home();
                        break;
                    }
                    scheduler.request(&self.own, &main, HOME);
                }
                Next::Stop => {
                    self.pending_end = Some(self.end_all());
                    break;
                }
                Next::Deadlock | Next::Done | Next::Interrupted => {
                    unreachable!("a source is counted, and this host stays")
                }
            }
        }
        scheduler.remove_source();
    }

    /// Runs what earlier calls have started to its end; `kills`: ends it, so that only its defers run. `Deadlock`, `os.exit` and the like are errors, and of those that nobody joined
    /// for `take_unjoined` tells.
    pub fn finish(&mut self, kills: bool) -> Result<(), Failure> {
        let _entered = self.enter();
        if let Some(failure) = self.pending_end.take() {
            return Err(failure);
        }
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        if main.is_registered() {
            // It is counted anew: what it has detached is not waited for.
            let counts = !main.end.lock().is_uncounted;
            drop(scheduler.unregister(&self.own, &main, counts, false));
        }
        if kills {
            self.kill_all_tasks();
            scheduler.kill_all(&self.own, Counted::as_ptr(&main));
        }
        scheduler.set_host_stays(false);
        scheduler.note_host(self.parts.tasks.is_empty());
        self.leave_home();
        let deadlock = self.run_to_end();
        let (failed, ended) = self.stop_all();
        scheduler.put_failed(failed);
        scheduler.set_host_stays(true);
        if let Some(ended) = ended {
            return Err(self.failure_of(ended));
        }
        if let Some(report) = deadlock {
            self.throw_new(ErrorKind::Deadlock, &report);
            return Err(Failure::Thrown);
        }
        Ok(())
    }

    /// Everything was stopped: why.
    fn end_all(&mut self) -> Failure {
        let (failed, ended) = self.stop_all();
        drop(failed);
        // Only `end_program` stops the carriers of a host that stays.
        self.failure_of(ended.unwrap_or(Ended::Interrupted))
    }

    // --- what failed

    /// Takes the next error that nobody had joined for when it ended its task or thread: `thrown`, until there is none (`false`).
    pub fn take_unjoined(&mut self) -> bool {
        let host = &self.scheduler.host;
        host.has_failed_task.store(false, Ordering::Release);
        if let Some((task, site)) = self.parts.more().failed.take_first() {
            // SAFETY: a task's handle.
            self.thrown = unsafe { (*task.as_object().cast::<TaskObject>()).result };
            self.failed_sites = self.scheduler.sites.chain(site);
            return true;
        }
        while let Some(block) = self.scheduler.take_failed() {
            let mut end = block.end.lock();
            if end.is_known() {
                continue;
            }
            // Who joins later still gets it, if it is immutable.
            let again = match &end.outcome {
                Outcome::Failed(message) => message.again(),
                _ => None,
            };
            let message = match again {
                Some(message) => message,
                None => match std::mem::replace(&mut end.outcome, Outcome::Taken) {
                    Outcome::Failed(message) => message,
                    other => {
                        end.outcome = other;
                        continue;
                    }
                },
            };
            drop(end);
            self.thrown = self.deliver(message).unwrap_or(Value::NIL);
            self.failed_sites = self.scheduler.sites.chain(block.site);
            return true;
        }
        let lost = self.scheduler.take_lost();
        if let Some((message, site)) = lost {
            self.thrown = self.deliver(message).unwrap_or(Value::NIL);
            self.failed_sites = self.scheduler.sites.chain(site);
            return true;
        }
        false
    }

    // --- going and coming home

    /// The host's thread may be run by any carrier from now on; if it has tasks.
    fn leave_home(&mut self) {
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        let has_tasks = !self.parts.tasks.is_empty();
        if has_tasks && !main.is_registered() {
            {
                let mut end = main.end.lock();
                (end.is_detached, end.is_uncounted) = (false, false);
            }
            scheduler.register(&self.own, main.clone());
        }
        self.park_thread();
        scheduler.host.is_home.store(!has_tasks, Ordering::Release);
        if has_tasks {
            main.signal.requeue();
            scheduler.enqueue_woken(&self.own, Counted::as_ptr(&main));
        }
    }
    /// The host's thread is mounted again.
    fn mount_home(&mut self) {
        self.wants_home = false;
        let main = self.main.clone();
        self.scheduler.host.is_home.store(false, Ordering::Relaxed);
        main.signal.drop_request(HOME);
        self.mount_thread(BlockRef::new(&main));
        self.parts.ready.append(main.signal.take_inbox());
        self.base = std::ptr::null_mut();
    }
    /// The mounted thread is the host's, and goes home.
    pub(super) fn go_home(&mut self) {
        self.goes_home = false;
        let block = self.block;
        let is_empty = self.parts.tasks.is_empty();
        self.park_thread();
        if is_empty {
            let counts = !block.end.lock().is_uncounted;
            drop(self.scheduler.unregister(&self.own, &block, counts, false));
        }
        self.scheduler.bring_home();
    }
    /// The host is wanted while its OS thread waits for one of `tasks` of `block` (the one that lies on its native stack, and the one that waits), which are pinned to it:
    /// see `thread::pin`. Nothing is mounted. `true`: they are to leave.
    pub(super) fn answer_pinned(
        &mut self,
        block: &Counted<ThreadBlock>,
        tasks: [*mut Task; 2],
    ) -> bool {
        let scheduler = self.scheduler.clone();
        let main = self.main.clone();
        if scheduler.host.has_input.load(Ordering::Relaxed) {
            self.note_interrupt();
        }
        if !scheduler.host.is_home.load(Ordering::Acquire) {
            scheduler.request(&self.own, &main, HOME);
            scheduler.pass_all_on(&self.own);
            std::thread::yield_now();
            return false;
        }
        self.mount_home();
        let all = self.parts.tasks.to_vec();
        // SAFETY: tasks of the mounted thread, none of which runs.
        let first = unsafe { all.into_iter().find(|&task| (*task).is(flag::IS_FIRST)) };
        if let Some(first) = first {
            self.stop_input(first, false);
            self.leave_home();
            return false;
        }
        // The input is over, and its OS thread is wanted.
        if std::ptr::eq(Counted::as_ptr(block), Counted::as_ptr(&main)) {
            for task in tasks {
                self.kill_task(task);
                self.put_first(task);
            }
            // It is fetched when those have left.
            self.leave_home();
            self.wants_home = true;
        } else {
            // SAFETY: tasks that are pinned to this carrier live until it lets them go on.
            let numbers = tasks.map(|task| (block.id, unsafe { (*task).id() }));
            scheduler.host.kills.lock().extend(numbers);
            scheduler.request(&self.own, block, KILL_TASKS);
            self.park_thread();
            scheduler.host.is_home.store(true, Ordering::Release);
        }
        true
    }
    /// The mounted thread is the host's: its input is told of a deadlock or of Ctrl-C, if there was one.
    fn stop_input(&mut self, first: *mut Task, is_deadlock: bool) {
        let is_deadlock = is_deadlock || self.pinned_deadlock.is_some();
        let is_interrupted = std::mem::take(&mut self.is_interrupted);
        if !is_deadlock && !is_interrupted {
            return;
        }
        // A threadlet that waits on its stack is what keeps it.
        // SAFETY: a task of the mounted thread that does not run.
        let inner = unsafe {
            let has_inner = (*first).is(flag::HAS_THREADLETS);
            (*first)
                .more_if_any()
                .map(|more| more.identity)
                .filter(|&task| has_inner && task != first)
        };
        for task in [Some(first), inner].into_iter().flatten() {
            if is_deadlock {
                self.kill_task(task);
            } else {
                self.cancel_task(task);
            }
            self.put_first(task);
        }
    }
    /// Ctrl-C while there is an input.
    fn note_interrupt(&mut self) {
        if self.engine.take_interrupt() {
            self.is_interrupted = true;
            let host = &self.scheduler.host;
            host.is_interrupting.store(true, Ordering::Relaxed);
        }
    }
    /// Whether the running task is the input, below a function of the host, and Ctrl-C was pressed for it: it does not leave its carrier to be told.
    pub(super) fn takes_interrupt_nested(&mut self) -> bool {
        // SAFETY: while the loop runs there is a task.
        if self.block.id != HOST_THREAD || !unsafe { (*self.current).is(flag::IS_FIRST) } {
            return false;
        }
        let host = &self.scheduler.host;
        self.engine.take_interrupt() || host.is_interrupting.swap(false, Ordering::Relaxed)
    }
    /// A ready task is the next to run, even if another one was preempted.
    fn put_first(&mut self, task: *mut Task) {
        let mut others = ReadyQueue::default();
        let mut is_ready = false;
        while let Some(next) = self.parts.ready.pop_front() {
            if next == task {
                is_ready = true;
            } else {
                others.push_back(next);
            }
        }
        self.parts.ready = others;
        if is_ready {
            self.parts.ready.push_front(task);
        }
    }
    /// Whether Ctrl-C may be for the running task.
    pub(crate) fn is_interruptible(&mut self) -> bool {
        !self.scheduler.host_stays()
            || self.block.id == HOST_THREAD && self.task().is(flag::IS_FIRST)
    }
    /// Whether the running task is the input, and Ctrl-C was pressed for it.
    pub(super) fn takes_interrupt(&mut self) -> bool {
        if !self.scheduler.host.is_interrupting.load(Ordering::Relaxed)
            || self.block.id != HOST_THREAD
        {
            return false;
        }
        let task = self.task();
        task.is(flag::IS_FIRST) && task.is(flag::CANCEL_PENDING)
    }

    // --- lists and orders

    /// All tasks that have not ended, by thread and number.
    pub fn tasks(&mut self) -> Vec<TaskInfo> {
        let mut tasks = Vec::new();
        match self.snapshot() {
            Some(threads) => {
                for thread in threads {
                    let entries = thread.tasks.into_iter().map(|entry| TaskInfo {
                        thread: thread.id,
                        thread_name: thread.name.clone(),
                        task: entry.id,
                        name: entry.name,
                        state: match entry.waits_for {
                            Some(what) => format!("waits for {what}"),
                            None => entry.state.into(),
                        },
                        place: entry.place,
                    });
                    tasks.extend(entries);
                }
            }
            // One is busy in a native.
            None => {
                let mut threads = self.scheduler.threads();
                threads.sort_by_key(|block| block.id);
                tasks.extend(threads.into_iter().map(|block| TaskInfo {
                    thread: block.id,
                    thread_name: block.name().map(Into::into),
                    task: 0,
                    name: None,
                    state: block.signal.name().into(),
                    place: String::new(),
                }));
            }
        }
        tasks
    }
    /// Kills a thread, or one task of it. What runs ends at its next safepoint.
    pub fn kill(&mut self, thread: u64, task: Option<u64>) {
        let scheduler = self.scheduler.clone();
        if let Some(task) = task {
            scheduler.host.kills.lock().push((thread, task));
        }
        if thread == HOST_THREAD {
            match task {
                Some(_) => self.kill_listed(),
                None => self.kill_all_tasks(),
            }
            return;
        }
        let found = scheduler.threads().into_iter().find(|b| b.id == thread);
        if let Some(block) = found {
            let what = if task.is_some() { KILL_TASKS } else { KILL };
            scheduler.request(&self.own, &block, what);
        }
    }
    fn kill_all_tasks(&mut self) {
        for task in self.parts.tasks.to_vec() {
            self.kill_task(task);
        }
    }
    /// Kills those of the mounted thread's tasks that somebody asked for.
    pub(super) fn kill_listed(&mut self) {
        let thread = self.block.id;
        let mut wanted = Vec::new();
        self.scheduler.host.kills.lock().retain(|&(of, task)| {
            if of == thread {
                wanted.push(task);
            }
            of != thread
        });
        for task in self.parts.tasks.to_vec() {
            // SAFETY: a task of the mounted thread.
            if wanted.contains(&unsafe { (*task).id() }) {
                self.kill_task(task);
            }
        }
    }
}
