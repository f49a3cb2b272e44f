//! Pinning: a host's function that calls back into script lies on the native stack of a carrier, so the task can go on only there.
//!
//! What is pinned is the *task*, not its thread. While it waits, its registers (the whole run stack, which native frames refer to) are its own, the thread is unmounted, and its other tasks
//! run on any other carrier; so it may wait for one of them, and pinned tasks of a thread for each other. The carrier runs no other thread meanwhile: what lies in its queues is passed on, and another
//! carrier takes its place. It still fires timers and looks at the system. Whoever finds the woken task at the front of its thread's queue hands the thread over to that carrier.

use super::carrier::HOST_THREAD;
use super::wait::claim_own;
use super::{BlockRef, Thread};
use crate::counted::Counted;
use crate::interp::Exit;
use crate::native::Trap;
use crate::sched::ThreadBlock;
use crate::sched::pinned::NextPinned;
use crate::sched::wait::Claimed;
use crate::sync::Ordering;
use crate::task::{Task, Wait, flag};
use crate::types::ErrorKind;
use std::fmt::Write;

/// What is shown of tasks that wait while they are pinned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TracePinned {
    #[default]
    No,
    /// The native's caller, and what has called back from it.
    Short,
    /// The whole stack.
    Full,
}

impl Thread {
    /// The running task waits (or yields) below a native frame: returns when it can go on, or why it must leave.
    pub(super) fn wait_pinned(&mut self, exit: Exit) -> Option<Exit> {
        if exit == Exit::Yielded {
            // Those who were woken stand in front of the one that yields.
            if self.block.signal.has_news() || self.block.signal.has_requests() {
                self.take_news();
            }
            if self.parts.ready.is_empty() && !self.goes_home {
                return None;
            }
        }
        // From here on there may be one carrier more.
        if !self.is_replaced && !self.scheduler.begin_pinned() {
            if exit == Exit::Yielded {
                return None;
            }
            return self.refuse_wait();
        }
        self.scheduler.pins.fetch_add(1, Ordering::Relaxed);
        if self.scheduler.settings.trace_pinned != TracePinned::No {
            self.trace_pinned();
        }
        let task = self.current;
        // A threadlet that cannot be split off waits itself; what it lies on is what is left.
        let waiter = match exit {
            Exit::Yielded => task,
            _ => self.identity,
        };
        let block = self.block.to_arc();
        let nesting = std::mem::take(&mut self.nesting);
        let nested_slot = std::mem::take(&mut self.nested_slot);
        // SAFETY: the running task, and a threadlet on its stack. Wakers of what waits touch other fields.
        unsafe {
            (*task).flags |= flag::IS_PINNED;
            (*waiter).flags |= flag::IS_PINNED;
            (*waiter).more().carrier = self.own.number;
            (*waiter).wait_dest = self.wait_dest as u8;
        }
        self.unmount(exit);
        let mut ended = None;
        if !self.leave_pinned(&block, waiter) {
            ended = self.await_pinned(&block, task, waiter);
        }
        if !self.is_replaced {
            self.scheduler.end_pinned();
        }
        self.start_slice();
        self.mount(task);
        // SAFETY: mounted again.
        unsafe {
            (*task).clear(flag::IS_PINNED);
            (*waiter).clear(flag::IS_PINNED);
        }
        (self.nesting, self.nested_slot) = (nesting, nested_slot);
        if ended.is_some() {
            self.abandon_wait();
            return ended;
        }
        // SAFETY: as above.
        let (wait, is_killed) = unsafe { ((*waiter).wait, (*task).is(flag::IS_KILLED)) };
        if wait != Wait::None {
            return self.finish_wait();
        }
        if is_killed && !self.is_killing && !self.is_in_deferred() {
            self.begin_kill();
            return self.unwind();
        }
        None
    }
    /// The running task cannot wait where it is, since no carrier may take this one's place: its wait ends by an error, unless somebody was faster to end it. (It is in the lists of what it
    /// waits for already, so others may have claimed it.)
    #[cold]
    fn refuse_wait(&mut self) -> Option<Exit> {
        let task = self.identity;
        // SAFETY: the running task; wakers touch other fields.
        unsafe { (*task).wait_dest = self.wait_dest as u8 };
        self.scan_extra = 0;
        // SAFETY: as above.
        if unsafe { (*task).wait } == Wait::None {
            self.throw_refused(Wait::None);
            return self.unwind();
        }
        if !claim_own(task, Claimed::Refused) {
            // Who has claimed it puts it into the inbox.
            loop {
                self.take_news();
                if self.parts.ready.remove(task) {
                    break;
                }
                std::thread::yield_now();
            }
        }
        self.finish_wait()
    }
    /// The wait of the running task was refused.
    #[cold]
    pub(super) fn throw_refused(&mut self, wait: Wait) -> Trap {
        let mut message = "cannot wait here: all OS threads but one wait below functions of the host that call back".to_string();
        if wait == Wait::Scope
            && let Some(scope) = self.task().scope.clone()
        {
            scope.state.lock().is_refused = true;
            message += "; what was started in the scope is cancelled, and not waited for";
        }
        self.throw_new(ErrorKind::Blocking, &message)
    }
    /// The running task, below a native frame, has reached a safepoint: if another carrier wants to look at what this one has, it may.
    pub(super) fn stand_still_pinned(&mut self) {
        if !self.scheduler.is_paused() {
            return;
        }
        let task = self.current;
        let block = self.block;
        let nesting = std::mem::take(&mut self.nesting);
        let nested_slot = std::mem::take(&mut self.nested_slot);
        // SAFETY: the running task.
        unsafe { (*task).flags |= flag::IS_PINNED };
        self.unmount(Exit::Preempted);
        // Its state stays: nobody else mounts it meanwhile.
        self.park_thread();
        while self.scheduler.is_paused() {
            self.scheduler.stand_still_busy();
        }
        self.mount_thread(block);
        self.parts.ready.remove(task);
        self.mount(task);
        // SAFETY: mounted again.
        unsafe { (*task).clear(flag::IS_PINNED) };
        (self.nesting, self.nested_slot) = (nesting, nested_slot);
    }
    /// A blocking call below a host's function holds the carrier: what is queued here, timers and the system are for another one meanwhile.
    pub(crate) fn hold_nested(&mut self) {
        let scheduler = &self.scheduler;
        let is_alone = !scheduler.has_threads() && self.parts.tasks.count == 1;
        if self.nesting > 0 && !is_alone && !scheduler.choices.is_seeded() {
            self.be_replaced();
        }
    }
    /// A callback of a host's function is busy, and other threads wait: they are for another carrier.
    #[cold]
    pub(super) fn be_replaced(&mut self) {
        if !self.is_replaced {
            self.is_replaced = self.scheduler.begin_pinned();
        }
        if self.is_replaced {
            self.scheduler.pass_all_on(&self.own);
        }
        self.scheduler.help();
    }
    /// Gives the mounted thread to others; `true`: the task can go on already, and the thread is still mounted.
    fn leave_pinned(&mut self, block: &Counted<ThreadBlock>, task: *mut Task) -> bool {
        loop {
            if self.goes_home {
                // The host wants its thread.
                self.go_home();
                return false;
            }
            let others_first = self.parts.ready.first().is_some_and(|first| first != task);
            if !others_first && self.parts.ready.remove(task) {
                return true;
            }
            let has_ready = !self.parts.ready.is_empty();
            self.park_thread();
            if has_ready {
                block.signal.requeue();
                self.scheduler.pass_on(Counted::as_ptr(block));
                return false;
            }
            if block.signal.finish(false) {
                return false;
            }
            self.mount_thread(BlockRef::new(block));
            self.take_news();
        }
    }
    /// Waits until the task is woken, with the thread mounted; it, or a threadlet, lies on the stack of `below`. `Some`: the program ends.
    fn await_pinned(
        &mut self,
        block: &Counted<ThreadBlock>,
        below: *mut Task,
        task: *mut Task,
    ) -> Option<Exit> {
        let scheduler = self.scheduler.clone();
        let mut has_left = false;
        loop {
            let engine = self.engine();
            let thread = Counted::as_ptr(block);
            match scheduler.next_pinned(&mut self.own, thread, self.is_host, engine, has_left) {
                NextPinned::Run => {
                    let inbox = block.signal.begin();
                    self.mount_thread(BlockRef::new(block));
                    self.parts.ready.append(inbox);
                    if block.signal.has_requests() {
                        self.take_requests();
                    }
                    if self.leave_pinned(block, task) {
                        return None;
                    }
                }
                NextPinned::Called => {
                    has_left |= self.answer_pinned(block, [below, task]);
                }
                NextPinned::Deadlock if self.collects_before_deadlock() => {}
                NextPinned::Deadlock if scheduler.host_stays() => {
                    // As in `run_and_stay`: the input ends, the rest may wait for a later one.
                    let report = self.deadlock_report();
                    self.pinned_deadlock.get_or_insert(report);
                    let main = self.main.clone();
                    scheduler.request(&self.own, &main, crate::sched::block::HOME);
                }
                NextPinned::Deadlock => {
                    let report = self.deadlock_report();
                    self.pinned_deadlock.get_or_insert(report);
                    // The program waits for the defers of detached ones, too.
                    scheduler.count_all(&self.own);
                    scheduler.kill_all(&self.own, std::ptr::null());
                }
                NextPinned::Stop => {
                    // Other carriers leave the thread where they are.
                    while !block.signal.seize() {
                        std::thread::yield_now();
                    }
                    self.mount_thread(BlockRef::new(block));
                    self.parts.ready.remove(task);
                    return Some(Exit::Ended);
                }
            }
        }
    }
    /// A ready task is pinned to another carrier: hands the mounted thread over to that. The task is the first there.
    #[cold]
    pub(super) fn hand_over(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread that does not run.
        let carrier = unsafe { (*task).more().carrier };
        self.parts.ready.push_front(task);
        let block = self.block;
        self.park_thread();
        block.signal.requeue();
        self.scheduler.hand_over(block.as_ptr(), carrier);
    }
    /// Whether a ready task can go on only on another carrier.
    #[inline]
    pub(super) fn is_pinned_elsewhere(&self, task: *mut Task) -> bool {
        // SAFETY: a task of the mounted thread that does not run.
        unsafe {
            (*task).is(flag::IS_PINNED)
                && (*task)
                    .more_if_any()
                    .is_some_and(|more| more.carrier != self.own.number)
        }
    }

    #[cold]
    fn trace_pinned(&mut self) {
        let is_short = self.scheduler.settings.trace_pinned == TracePinned::Short;
        // SAFETY: the running task.
        let (task, wait) = unsafe { ((*self.identity).title(), (*self.identity).wait) };
        let what = match wait {
            Wait::None => "yields",
            _ => "waits for ",
        };
        let name = match wait {
            Wait::None => "",
            wait => wait.name(),
        };
        let of = match self.block.id {
            HOST_THREAD => String::new(),
            _ => format!(" of {}", self.block.title()),
        };
        let mut text = format!("pinned: {task}{of} {what}{name}\n");
        let mut lines = 0;
        for line in crate::error::pinned_lines(self) {
            lines += 1;
            if is_short && lines > 8 {
                let _ = writeln!(text, "  …");
                break;
            }
            let _ = writeln!(text, "  {line}");
        }
        eprint!("{text}");
    }
}
