//! The end of a task, and of a thread, which has no tasks any more: results, failures, joiners.

use super::{HOST_THREAD, Stopped, Thread};
use crate::counted::Counted;
use crate::heap::{GraphError, Heap};
use crate::object::TaskObject;
use crate::sched::block::Outcome;
use crate::sched::scope::{self, Failure, Scope};
use crate::sched::wait::Waiter;
use crate::shared::{self, Message, ObjectState};
use crate::task::{Ended, Task, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

impl Thread {
    #[inline]
    pub(crate) fn end_task(&mut self, task: *mut Task, value: Value, how: Ended) {
        self.end_task_as(task, value, how, false);
    }
    /// `is_inline`: it is a threadlet that has not waited.
    pub(crate) fn end_task_as(
        &mut self,
        task: *mut Task,
        value: Value,
        how: Ended,
        is_inline: bool,
    ) {
        // SAFETY: the task that has just ended.
        let is_first = unsafe { (*task).is(flag::IS_FIRST) };
        if how == Ended::Failed && !is_first {
            // The error is reported by the handle.
            self.handle_of(task, Value::NIL);
        }
        self.parts.tasks.remove(task);
        // SAFETY: a task of the mounted thread that has just ended; nobody waits for it but its joiners, which are this thread's.
        let (handle, flags, site, scope, joiner) = unsafe {
            debug_assert!(!(*task).waiter.is_linked());
            let handle = (*task).handle;
            if handle.is_object() {
                let object = handle.as_object().cast::<TaskObject>();
                (*object).result = value;
                (*object).header.aux |= how as u16;
                if (*task).is(flag::IS_DETACHED) {
                    (*object).header.aux |= TaskObject::KNOWN;
                }
                self.heap.barrier(object.cast(), value);
            }
            let joiner = (*task).joiners.claim_first();
            (
                handle,
                (*task).flags,
                (*task).site,
                (*task).scope.take(),
                joiner,
            )
        };
        // Before those that it has opened are closed, by which it is known as their owner.
        let membership = match is_first {
            true => None,
            false => scope::membership(task, scope.as_ref()),
        };
        if let Some(scope) = scope.as_ref().filter(|scope| scope.is_of(task)) {
            self.abandon_scopes(task, scope);
        }
        // SAFETY: as above.
        if let Some(more) = unsafe { (*task).more_if_any_mut() } {
            for lock in std::mem::take(&mut more.locks) {
                self.unlock_for(lock, task);
            }
        }
        let has_failed = how == Ended::Failed;
        self.parts.detached -= (flags & flag::IS_DETACHED != 0) as u32;
        let is_joined = joiner.is_some();
        if is_first {
            self.parts.main_result = value;
            self.parts.main_ended = how;
            if self.block.id == HOST_THREAD && self.scheduler.host_stays() {
                // It is mounted, so nobody has to enqueue it.
                let _ = self.block.signal.request(crate::sched::block::HOME);
            }
        } else {
            let scope = membership;
            if has_failed && !is_joined && flags & flag::IS_DETACHED == 0 {
                match &scope {
                    None => {
                        self.parts.more().failed.push(handle, site);
                        if self.block.id == HOST_THREAD {
                            self.scheduler.note_failed_task();
                        }
                        match self.block.scope.clone() {
                            Some(around) if is_inline => self.keep_early(handle, around),
                            Some(around) => self.fail_scope_around(value, &around),
                            None => {}
                        }
                    }
                    Some(scope) if is_inline => self.keep_early(handle, scope.clone()),
                    Some(scope) => {
                        let kept = self.new_handle(handle);
                        match scope.fail(Failure::Task(kept)) {
                            Ok(()) => self.scheduler.cancel_scope(&self.own, scope),
                            Err(_) => self.free_handle(kept),
                        }
                    }
                }
            }
            self.wake_joiners(task, joiner);
            if let Some(scope) = scope
                && let Some(owner) = scope.leave(task)
            {
                self.wake(owner);
            }
        }
        if is_first {
            self.wake_joiners(task, joiner);
            // With its last task the thread ends, and tells the scope itself.
            if has_failed
                && !is_joined
                && !self.parts.tasks.is_empty()
                && let Some(around) = self.block.scope.clone()
            {
                self.fail_scope_around(value, &around);
            }
        }
        // SAFETY: made by a pool; nothing leads to it any more.
        unsafe { self.pool.give(task) };
    }
    /// The program does not wait for the mounted thread if all its tasks are detached: looked at when it waits, and, as they may be busy, at the end of a slice.
    #[cold]
    pub(crate) fn uncount_if_all_are_detached(&mut self) {
        let is_hosts = self.block.id == HOST_THREAD;
        if self.parts.detached as usize == self.parts.tasks.count
            && !(is_hosts && self.scheduler.host_stays())
        {
            self.scheduler.uncount(&self.own, &self.block);
        }
    }
    /// Wakes those who wait for a task that has ended: `first`, claimed already, and the others.
    #[inline]
    fn wake_joiners(&mut self, task: *mut Task, first: Option<*mut Waiter>) {
        let mut next = first;
        while let Some(waiter) = next {
            // SAFETY: who is claimed is ours until it is woken; all are this thread's, as is the list.
            unsafe {
                self.make_ready((*waiter).task());
                next = (*task).joiners.claim_first();
            }
        }
        // Arms of a `select` that something else has ended.
        // SAFETY: as above.
        unsafe { (*task).joiners.let_go() };
    }
    /// A task ended while it held a mutex, or called the function of a `Once`.
    fn unlock_for(&mut self, lock: Message, task: *mut Task) {
        let Some(object) = lock.peek().and_then(shared::held_by_task) else {
            return;
        };
        let next = match &mut *object.state.lock() {
            ObjectState::Mutex(mutex) if mutex.holder == Some(task) => mutex.unlock(),
            ObjectState::Once(once) => once.leave(task),
            _ => None,
        };
        self.wake_all(next);
    }

    // --- threads

    /// The mounted thread has no tasks any more: its result goes to its joiners.
    pub(super) fn end_thread(&mut self) {
        let block = self.block;
        let result = self.parts.main_result;
        let main_ended = self.parts.main_ended;
        let mut has_failed = main_ended != Ended::Returned;
        let mut value = result;
        let mut others = self.unjoined_errors();
        // Who joins a killed thread gets that; errors of its tasks are reported, or its scope's.
        let is_killed = self.parts.stopped == Stopped::Killed && block.scope.is_none();
        if !has_failed && !others.is_empty() && !is_killed {
            has_failed = true;
            (value, _) = others.remove(0);
        }
        if !others.is_empty() {
            let was_stopped = matches!(main_ended, Ended::Cancelled | Ended::Killed);
            self.tell_scope_of_others(&others, was_stopped);
            self.report_lost(&others);
        }
        let was_killed = self.parts.stopped == Stopped::Killed && !has_failed;
        if was_killed {
            // Its first task had returned before that, but not all the others.
            value = self.ended_error("the thread was killed");
            has_failed = true;
        }
        let stopped = match main_ended {
            Ended::Killed => Stopped::Killed,
            _ if was_killed => Stopped::Killed,
            Ended::Cancelled => Stopped::Cancelled,
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
        self.scheduler.dropped.forget(block.id);
        self.park_thread();
        // The run stack may hold values of its heap: whoever is mounted next clears it.
        self.stack_owner = 0;
        // SAFETY: still ours: the state is running.
        let mounted = unsafe { &mut *block.parts.get_mut() };
        mounted.parts.more = None;
        // A scope of which it is a member throws its error, but its owner may join for it before it comes to know that; each has one of their own.
        let is_wanted = |scope: &Arc<Scope>| scope.takes_failure() && !block.end.lock().is_detached;
        let for_scope =
            (has_failed && stopped == Stopped::No && block.scope.as_ref().is_some_and(is_wanted))
                .then(|| mounted.heap().copy_out(value).ok())
                .flatten()
                .map(|(heap, copy)| Message::copied(heap, copy));
        let mut is_refused = false;
        let message = match Message::parcel(mounted.heap(), value) {
            Ok(message) => message,
            Err(refused) => {
                let fresh = Heap::new(memory_limit);
                is_refused = !has_failed;
                self.for_joiner(mounted.take_heap(), fresh, value, has_failed, &refused)
            }
        };
        mounted.drop_heap();
        let (mut woken, is_joined, is_detached, counts) = {
            let mut end = block.end.lock_where(self.scheduler.is_solo());
            let outcome = match has_failed {
                _ if is_refused => Outcome::Refused(message),
                false => Outcome::Returned(message),
                true => Outcome::Failed(message),
            };
            let woken = end.finish(outcome, stopped);
            (woken, end.is_joined, end.is_detached, !end.is_uncounted)
        };
        self.scheduler.cancelled.forget(block.id);
        crate::sync::window("thread_end");
        block.signal.end();
        crate::sync::window("thread_ended");
        let was_stopped = stopped != Stopped::No;
        let reports =
            has_failed && !is_joined && !is_detached && !was_stopped && block.scope.is_none();
        if let Some(scope) = &block.scope {
            if has_failed && !is_joined && !is_detached && !was_stopped && scope.takes_failure() {
                // A copy, if there is one, so that who joins late gets the error, too; what cannot be copied goes to whoever is first.
                let told = block.end.lock().tell_scope(for_scope, scope);
                if told.is_ok() {
                    self.scheduler.cancel_scope(&self.own, scope);
                }
            }
            if let Some(owner) = scope.leave_thread(&block) {
                woken.push_back(owner);
            }
        }
        while let Some(task) = woken.pop_front() {
            // SAFETY: claimed above.
            unsafe { self.scheduler.wake(&self.own, task) };
        }
        if let Some(block) = self
            .scheduler
            .unregister(&self.own, &block, counts, reports)
        {
            Counted::give_back(block, self.scheduler.is_solo());
        }
    }
    /// What joiners of a thread get whose result, or error, leads to something that is bound to it, in `fresh`: a `ShareError`; the error, without those of its parts
    /// that cannot cross.
    #[cold]
    pub(super) fn for_joiner(
        &mut self,
        heap: Heap,
        fresh: Heap,
        value: Value,
        has_failed: bool,
        refused: &GraphError,
    ) -> Message {
        let outside = std::mem::replace(&mut self.heap, heap);
        if has_failed && self.is_error(value) {
            self.replace_parts_by_text(value);
            if let Ok(message) = Message::parcel(&mut self.heap, value) {
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
        let mut heap = std::mem::replace(&mut self.heap, outside);
        Message::parcel(&mut heap, error).unwrap_or_else(|_| Message::shared(Value::NIL))
    }
    /// What cannot cross in an error, or in one of those that caused it, is replaced by its text.
    fn replace_parts_by_text(&mut self, error: Value) {
        let mut errors = vec![error];
        let mut at = 0;
        while let Some(&error) = errors.get(at) {
            at += 1;
            // SAFETY: an error has its five fields; `data` and `cause` are what scripts put there.
            unsafe {
                let object = error.as_object();
                let fields = object.cast::<Value>().add(1);
                for i in 0..(*object).aux as usize {
                    let part = *fields.add(i);
                    if !part.is_local() || errors.contains(&part) {
                        continue;
                    }
                    if self.heap.copy_out(part).is_ok() {
                        continue;
                    }
                    if self.is_error(part) {
                        errors.push(part);
                        continue;
                    }
                    let text = self.repr_short(part);
                    let text = self.text_value(&text);
                    *fields.add(i) = text;
                    self.heap.barrier(object, text);
                }
            }
        }
    }
    pub(super) fn is_stop_error(&self, value: Value) -> bool {
        value.is_unset() || value.type_id() == ErrorKind::Cancelled.type_id()
    }
}
