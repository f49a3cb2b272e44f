//! Being cancelled, and being killed: what is thrown when, and what may wait meanwhile.
//!
//! **Cancel.** `Cancelled` is thrown at a blocking point, once: handlers and defers may wait. It is thrown again at the next blocking point if a handler swallowed it, that is,
//! caught it and ended normally. How that is known: while an error unwinds a cancelled task (be it `Cancelled` or what took its place), each handler that is entered is noted
//! (`More::handler`: the frame and the handler's code). At a blocking point, the task is still tidying up if that frame stands in that code. An inner
//! handler, in what the noted one calls, changes nothing.
//!
//! | flags | |
//! | --- | --- |
//! | `CANCEL_PENDING` | to be thrown at the next blocking point |
//! | `WAS_CANCELLED` | thrown; further cancels do not disturb, since it comes again unless the task ends by it |
//! | `IS_CANCELLED` | asked for by `cancel`: no scope absorbs it |
//!
//! A scope that was cancelled absorbs what was thrown on its behalf (`cancelled_for`) when it closes. The wait for the members of a cancelled scope is no blocking point:
//! they have been told already.
//!
//! **Kill.** The unset value is thrown, which only cleanups see. An error that a defer throws ends that defer and no more; a wait in one ends it, too. So does the end of
//! the fuel that a killed task has (`KILL_FUEL`); what is left of its defers gets a little more, and then the task ends without them.

use super::Thread;
use super::carrier::HOST_THREAD;
use super::wait::claim_own;
use crate::bytecode::{HandlerRange, Op, Word};
use crate::interp::frame::Frames;
use crate::module::Proto;
use crate::native::Trap;
use crate::sched::scope;
use crate::sched::wait::Claimed;
use crate::task::{InHandler, Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// No frame's slot: the handler has been left.
const LEFT: usize = usize::MAX;

/// Fuel for the defers of a killed task: some tens of milliseconds.
const KILL_FUEL: u64 = 10_000_000;
/// And for those that come after the one that has used it up.
const REST_OF_KILL_FUEL: u64 = 1_000_000;
/// What it takes to be cancelled once more after the program has failed.
const SWALLOWED_FUEL: usize = 5_000;

impl Thread {
    /// `cancel` of a task of the mounted thread.
    pub(crate) fn cancel_task(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread; its flags are its thread's.
        let is_tidying = unsafe {
            (*task).flags |= flag::IS_CANCELLED;
            (*task)
                .more_if_any()
                .is_some_and(|more| more.tidying.is_some())
        };
        if !is_tidying {
            self.deliver_cancel(task);
        }
    }
    /// It is thrown where the task waits, or at its next blocking point. While the task tidies up after an earlier one, nothing happens; nor while it waits for the members of a
    /// scope that is cancelled itself.
    pub(super) fn deliver_cancel(&mut self, task: *mut Task) {
        // SAFETY: as above.
        let is_tidying = unsafe {
            let awaits_cancelled = (*task).wait == Wait::Scope
                && (*task)
                    .scope
                    .as_ref()
                    .is_some_and(|scope| scope.state.lock().is_cancelled);
            if (*task).flags & flag::WAS_CANCELLED != 0 {
                return;
            }
            awaits_cancelled
        };
        if !is_tidying && claim_own(task, Claimed::Cancelled) {
            self.make_ready(task);
        } else {
            // SAFETY: a task of the mounted thread; its flags are its thread's.
            unsafe { (*task).flags |= flag::CANCEL_PENDING };
        }
    }
    pub(crate) fn kill_task(&mut self, task: *mut Task) {
        // SAFETY: as above.
        unsafe {
            if (*task).flags & flag::IS_KILLED != 0 {
                return;
            }
            (*task).flags |= flag::IS_KILLED;
        }
        if claim_own(task, Claimed::Killed) {
            self.make_ready(task);
        }
    }
    /// Cancels the tasks in scopes of the mounted thread that were cancelled, each once for each scope.
    pub(crate) fn cancel_in_scopes(&mut self) {
        // Members without an identity are counted only with one.
        self.make_all_identities();
        let scopes = self.scheduler.cancelled.take(self.block.id);
        // (Tasks that are discarded leave no scope.)
        if self.parts.tasks.is_empty() {
            return;
        }
        for scope in scopes {
            let mut tasks = scope.tasks_inside();
            // Those that were started last first, whatever their addresses are: a schedule can be repeated.
            // SAFETY: members that have not ended, of this thread.
            tasks.sort_by_key(|task| std::cmp::Reverse(unsafe { (**task).id() }));
            for task in tasks {
                self.cancel_in_scopes_of(task);
            }
        }
    }
    /// Cancels a task of the mounted thread if a scope that it is in was cancelled, and it was not told so far.
    #[inline(never)]
    pub(super) fn cancel_in_scopes_of(&mut self, task: *mut Task) {
        // SAFETY: a task of the mounted thread.
        let (scope, is_waiting_for_scope) =
            unsafe { ((*task).scope.clone(), (*task).wait == Wait::Scope) };
        // SAFETY: as above.
        let is_tidying = unsafe { (*task).more_if_any().is_some_and(|m| m.tidying.is_some()) };
        let Some(cancelled) = scope::cancelled_in(scope.as_ref()) else {
            return;
        };
        let awaits_this =
            is_waiting_for_scope && scope.as_ref().is_some_and(|s| Arc::ptr_eq(s, &cancelled));
        // SAFETY: as above.
        let (seen, is_cancelled) = unsafe {
            (
                (*task).more_if_any().and_then(|m| m.cancelled_for.as_ref()),
                (*task).is(flag::IS_CANCELLED),
            )
        };
        if !awaits_this
            && (is_tidying || !is_cancelled)
            && seen.is_none_or(|seen| !Arc::ptr_eq(seen, &cancelled))
        {
            // SAFETY: as above.
            unsafe { (*task).more().cancelled_for = Some(cancelled) };
            self.deliver_cancel(task);
        }
    }
    /// A killed task has used so much more fuel: whether the cleanup that it is in ends now.
    #[cold]
    pub(super) fn uses_up_kill_fuel(&mut self, spent: u64) -> bool {
        // SAFETY: the mounted task: its threadlets have no fuel of their own, or a defer could go on for ever by starting more of them.
        let used = unsafe { &mut (*self.current).more().kill_fuel };
        let before = *used;
        *used += spent;
        before < KILL_FUEL && *used >= KILL_FUEL || *used >= KILL_FUEL + REST_OF_KILL_FUEL
    }
    /// The running task is killed and has had all the fuel that its cleanups get.
    #[cold]
    pub(crate) fn has_no_kill_fuel(&mut self) -> bool {
        let limit = KILL_FUEL + REST_OF_KILL_FUEL;
        // SAFETY: as above.
        let more = unsafe { (*self.current).more_if_any() };
        self.is_killing && more.is_some_and(|more| more.kill_fuel >= limit)
    }
    /// Every suspending native begins with this: throws `Cancelled` if the task was cancelled.
    #[inline]
    pub(crate) fn blocking_point(&mut self) -> Result<(), Trap> {
        if self.current.is_null() {
            return Ok(());
        }
        // SAFETY: a task on the machine's stack. A threadlet that has no task yet was not cancelled.
        let was_cancelled =
            unsafe { (*self.identity).is(flag::CANCEL_PENDING | flag::WAS_CANCELLED) }
                && !self.has_bare_threadlet();
        if self.is_killing || was_cancelled {
            return self.throw_at_blocking_point();
        }
        Ok(())
    }
    /// Whether a blocking point is one for sure: nobody cancelled the running task, and it runs in no threadlet.
    #[inline(always)]
    pub(crate) fn passes_blocking_points(&self) -> bool {
        if self.current.is_null() || self.boundary != 0 || self.is_killing {
            return false;
        }
        // SAFETY: the mounted task.
        unsafe { !(*self.current).is(flag::CANCEL_PENDING | flag::WAS_CANCELLED) }
    }
    /// The same for a native that has tried and failed, perhaps because of what was done after this thread had been cancelled from outside: the cancel came first.
    #[cold]
    pub(crate) fn blocking_point_that_failed(&mut self) -> Result<(), Trap> {
        if self.nesting == 0 && self.block.signal.has_requests() {
            self.take_requests();
        }
        self.blocking_point()
    }
    #[cold]
    fn throw_at_blocking_point(&mut self) -> Result<(), Trap> {
        if self.is_killing {
            // A wait in the cleanups of a killed task.
            self.thrown = Value::UNSET;
            return Err(Trap::Throw);
        }
        if self.task().is(flag::CANCEL_PENDING | flag::WAS_CANCELLED) {
            return self.blocking_point_of_cancelled();
        }
        Ok(())
    }
    #[cold]
    fn blocking_point_of_cancelled(&mut self) -> Result<(), Trap> {
        if self.task().is(flag::WAS_CANCELLED) && self.is_in_handler() {
            return Ok(());
        }
        Err(self.throw_cancelled())
    }
    pub(super) fn throw_cancelled(&mut self) -> Trap {
        if self.scheduler.ending.load(Ordering::Relaxed) != 0 {
            // Who swallows it again and again shall be killed soon: see `count_after_failure`.
            self.charge_work(SWALLOWED_FUEL);
        }
        let task = self.task();
        let is_first = !task.is(flag::WAS_CANCELLED);
        task.clear(flag::CANCEL_PENDING);
        task.set(flag::WAS_CANCELLED);
        let scope = task
            .more_if_any()
            .and_then(|more| more.cancelled_for.clone());
        self.forget_handler();
        if let Some(scope) = scope
            && is_first
            && scope.is_of(self.task_pointer())
            && self.is_in_deferred()
        {
            scope.state.lock().was_told_in_defer = true;
        }
        if self.block.id == HOST_THREAD && self.task().is(flag::IS_FIRST) {
            let host = &self.scheduler.host;
            host.is_interrupting.store(false, Ordering::Relaxed);
        }
        self.throw_new(ErrorKind::Cancelled, "the task was cancelled")
    }
    /// The running task ends now, but for its cleanups.
    pub(crate) fn begin_kill(&mut self) {
        self.is_killing = true;
        self.thrown = Value::UNSET;
        self.forget_handler();
    }
    /// The running task stands at an instruction that it has not run, and is killed there: what protects that instruction protects it. (For kills only, which nothing but cleanups
    /// see: a `catch` in a loop's body must not see what came at the loop's step.)
    ///
    /// A loop's step is not protected by the cleanup that closes the loop's generator, since one that throws is closed already. But here the generator has not been resumed yet.
    pub(crate) fn step_to_kill(&mut self) {
        // SAFETY: the top frame's; `pc` is at an instruction of its code, which is verified.
        unsafe {
            let proto = &*crate::interp::frame::proto(self.base);
            let word = Word((*self.pc.cast::<AtomicU64>()).load(Ordering::Relaxed));
            self.pc = self.pc.add(1);
            if !proto.is_stub() && matches!(word.op(), Some(Op::ForNext | Op::ForNext2)) {
                let body = self.pc.offset_from(proto.code_start) as u32;
                let closes = |h: &HandlerRange| h.is_cleanup && h.start == body && h.end > body;
                if proto.handlers.iter().any(closes) {
                    self.pc = self.pc.add(1);
                }
            }
        }
    }
    /// Whether a cleanup protects the running instruction of the top frame.
    pub(super) fn is_protected(&self) -> bool {
        // SAFETY: the top frame's.
        let frame = unsafe { Frames::new(self.base, self.pc) }.next();
        frame.is_some_and(|frame| {
            // SAFETY: prototypes live as long as the engine.
            let handlers = unsafe { &(*frame.proto).handlers };
            let word = frame.word();
            handlers
                .iter()
                .any(|h| h.is_cleanup && h.start <= word && word < h.end)
        })
    }
    /// Whether the running task runs something that it has deferred: a kill waits for the end of that, as it is out of the list of what is left to run.
    pub(crate) fn is_in_deferred(&self) -> bool {
        // SAFETY: the top frame's; prototypes live as long as the engine; a word lies in front of each function's code.
        unsafe {
            // It is about to be called. (If the word is no instruction but looks like this one, the next safepoint is soon enough.)
            let word = (*self.pc.sub(1).cast::<AtomicU64>()).load(Ordering::Relaxed);
            let is_popped = Word(word).op() == Some(Op::DeferPop);
            is_popped || Frames::new(self.base, self.pc).any(|frame| (*frame.proto).is_deferred())
        }
    }
    pub(super) fn forget_handler(&mut self) {
        if let Some(more) = self.task().more_if_any_mut() {
            more.handler = None;
        }
    }
    fn handler_noted(&mut self) -> Option<InHandler> {
        self.task().more_if_any().and_then(|more| more.handler)
    }

    /// Whether the running task still tidies up: stands in the handler that was noted.
    pub(super) fn is_in_handler(&mut self) -> bool {
        let Some(noted) = self.handler_noted() else {
            return false;
        };
        let base = self.stack.start.wrapping_add(noted.slot);
        // SAFETY: `base` and `pc` are those of the top frame.
        let mut frames = unsafe { Frames::new(self.base, self.pc) };
        let frame = frames.find(|frame| frame.base <= base);
        frame.is_some_and(|frame| frame.base == base && noted.holds(frame.proto, frame.word()))
    }
    /// An error begins to unwind the running task: whether handlers are to be noted.
    #[inline]
    pub(crate) fn is_noting_handlers(&mut self) -> bool {
        if self.current.is_null() {
            return false;
        }
        // SAFETY: as in `blocking_point`.
        let was_cancelled = unsafe { (*self.identity).is(flag::WAS_CANCELLED) };
        self.is_killing || was_cancelled && !self.has_bare_threadlet() && self.is_cancel_unwinding()
    }
    #[cold]
    fn is_cancel_unwinding(&mut self) -> bool {
        if self.handler_noted().is_none() || self.is_in_handler() {
            return true;
        }
        // The cancel was swallowed, and this is another error: it is thrown again, whatever happens to this one.
        if let Some(handler) = &mut self.task().more().handler {
            handler.slot = LEFT;
        }
        false
    }
    /// The error goes to this handler in the top frame.
    #[cold]
    pub(crate) fn note_handler(&mut self, proto: &Proto, handler: &HandlerRange) {
        let slot = self.stack_index(self.base);
        let is_inner = self.handler_noted().is_some_and(|noted| {
            slot > noted.slot || slot == noted.slot && noted.holds(proto, handler.target)
        });
        if !is_inner {
            self.task().more().handler = Some(InHandler {
                slot,
                proto,
                start: handler.target,
                end: handler.target_end,
            });
        }
    }
    /// Whether an error leaves, at this place of the top frame, what a killed task deferred.
    #[cold]
    pub(crate) fn leaves_cleanup(&mut self, proto: &Proto, word: u32) -> bool {
        let slot = self.stack_index(self.base);
        self.handler_noted()
            .is_some_and(|noted| slot == noted.slot && noted.holds(proto, word))
    }
}
