//! `scope { … }`: opened, awaited, closed, abandoned. (Who is a member, and who is told: `sched::scope`.)

use super::Thread;
use crate::counted::Counted;
use crate::native::Trap;
use crate::sched::scope::{Failure, Scope};
use crate::sched::timers;
use crate::task::{Task, Tidying, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

impl Thread {
    /// `scope { … }` begins; gives the object that stands for it.
    pub(crate) fn enter_scope(&mut self, limit: Option<i64>) -> Arc<Scope> {
        let block = Counted::downgrade(&self.block.to_arc());
        let owner = self.task_pointer();
        let parent = self.task().scope.clone();
        let is_tidying = self.task().is(flag::WAS_CANCELLED) && self.is_in_handler();
        let scope = Scope::new(parent, owner, block, is_tidying);
        // One that is over already is noticed at the first blocking point, not only when somebody looks at the timers.
        let is_over = limit.is_some_and(|nanoseconds| nanoseconds <= 0);
        if is_over {
            let mut state = scope.state.lock();
            scope.mark_cancelled(&mut state);
            state.is_timed_out = true;
        } else if let Some(nanoseconds) = limit {
            let now = self.scheduler.now();
            let deadline = timers::deadline(now, nanoseconds);
            let timers = self.scheduler.timers(&self.own);
            // SAFETY: a new scope; the scheduler lives longer than its scopes.
            unsafe { scope.set_timer(timers, deadline, now) };
        }
        let task = self.task();
        task.scope = Some(scope.clone());
        if is_tidying {
            task.clear(flag::WAS_CANCELLED);
            let more = task.more();
            more.tidying = Some(Box::new(Tidying {
                scope: scope.clone(),
                cancelled_for: more.cancelled_for.take(),
                handler: more.handler.take(),
                outer: more.tidying.take(),
            }));
        }
        if is_over {
            self.cancel_in_scopes_of(owner);
        }
        scope
    }
    /// Waits for the members of a scope; `false`: the task is parked, and the native is run again.
    pub(crate) fn await_scope(&mut self, scope: &Arc<Scope>) -> Result<bool, Trap> {
        {
            let mut state = scope.state.lock();
            if state.live == 0 {
                return Ok(true);
            }
            self.begin_wait(Wait::Scope)?;
            state.is_awaited = true;
        }
        Ok(false)
    }
    /// A scope is over: if the task opened it while it tidied up, it is again what it was before.
    fn go_on_tidying(&mut self, scope: &Arc<Scope>) {
        let task = self.task();
        let Some(more) = task.more_if_any_mut() else {
            return;
        };
        let of_scope = |tidying: &mut Box<Tidying>| Arc::ptr_eq(&tidying.scope, scope);
        if let Some(mut tidying) = more.tidying.take_if(of_scope) {
            more.cancelled_for = tidying.cancelled_for.take();
            more.handler = tidying.handler.take();
            more.tidying = tidying.outer.take();
            task.clear(flag::CANCEL_PENDING);
            task.set(flag::WAS_CANCELLED);
        }
    }
    /// A task has ended and left scopes open, since it was killed where it waited for their members, or its cleanups were cut short: nobody awaits these members, so they are cancelled.
    #[cold]
    pub(super) fn abandon_scopes(&mut self, task: *mut Task, innermost: &Arc<Scope>) {
        let mut at = Some(innermost);
        while let Some(scope) = at.filter(|scope| scope.is_of(task)) {
            // SAFETY: the scheduler is alive.
            unsafe { scope.remove_timer() };
            if let Some(Failure::Task(kept)) = scope.abandon() {
                self.free_handle(kept);
            }
            self.scheduler.cancel_scope(&self.own, scope);
            at = scope.parent.as_ref();
        }
    }
    /// The scope is over: what it throws, if it does. `error`: what left it.
    pub(crate) fn close_scope(
        &mut self,
        scope: &Arc<Scope>,
        error: Option<Value>,
    ) -> Result<Value, Trap> {
        // SAFETY: the scheduler is alive.
        unsafe { scope.remove_timer() };
        let (failure, is_timed_out, had_failed, has_cut_members, was_told_in_defer) = {
            let mut state = scope.state.lock();
            state.is_closed = true;
            let failure = state.failure.take();
            state.has_ended_well = failure.is_none() && error.is_none();
            (
                failure,
                state.is_timed_out,
                state.had_failed,
                state.has_cut_members,
                state.was_told_in_defer,
            )
        };
        let task = self.task();
        task.scope = scope.parent.clone();
        let is_own = task.take(flag::IS_OWN_CANCEL);
        let marked = task.more_if_any_mut().map(|more| &mut more.cancelled_for);
        let was_marked = match marked {
            Some(marked) if marked.as_ref().is_some_and(|m| Arc::ptr_eq(m, scope)) => {
                *marked = None;
                true
            }
            _ => false,
        };
        let was_cancelled_here = was_marked && !is_own;
        let was_interrupted = was_cancelled_here && task.is(flag::WAS_CANCELLED);
        if was_cancelled_here {
            task.clear(flag::CANCEL_PENDING | flag::WAS_CANCELLED);
            let is_tidying = task.more_if_any().is_some_and(|m| m.tidying.is_some());
            if task.is(flag::IS_CANCELLED) && !is_tidying {
                // The task itself was cancelled meanwhile. (One that tidies up was told before.)
                task.set(flag::CANCEL_PENDING);
            }
            self.forget_handler();
        }
        // From outside, or by a kill.
        let is_stopped = self.task().is(flag::WAS_CANCELLED | flag::IS_KILLED);
        self.go_on_tidying(scope);
        let is_cancel = error.is_some_and(|e| e.type_id() == ErrorKind::Cancelled.type_id());
        // The first error is thrown. What left the body later came of it: a handler has thrown it that had caught the scope's `Cancelled` (not one in what is deferred: that may run as an
        // earlier error goes out), or it is what who joins a member gets that was cancelled for the first.
        let comes_of_it = is_cancel || failure.is_some() && was_interrupted;
        let is_late = had_failed && comes_of_it && !was_told_in_defer && !is_stopped;
        if let Some(error) = error
            && !(is_cancel && was_cancelled_here)
            && !is_late
        {
            if let Some(Failure::Task(kept)) = failure {
                self.free_handle(kept);
            }
            self.thrown = error;
            return Err(Trap::Throw);
        }
        match failure {
            Some(Failure::Task(kept)) => {
                let handle = self.handle(kept);
                self.free_handle(kept);
                self.task_outcome(handle)
            }
            Some(Failure::Thread(message)) => {
                let error = self.deliver(message)?;
                Err(self.throw_outcome(error))
            }
            // Who came to the end without being interrupted has what it wanted: a message that was received is not lost.
            None if is_timed_out && (error.is_some() || was_interrupted || has_cut_members) => {
                Err(self.throw_new(ErrorKind::Timeout, "the time limit was reached"))
            }
            None => match error {
                Some(error) => {
                    self.thrown = error;
                    Err(Trap::Throw)
                }
                None => Ok(Value::NIL),
            },
        }
    }
}
