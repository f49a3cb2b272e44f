//! What becomes of an error that a task or a thread ends by: it goes to who joins for it; else to the scope of which that is a member; else it is the program's.

use super::join::thread_of;
use super::{HOST_THREAD, Stopped, Thread};
use crate::object::{Kind, TaskObject, type_id};
use crate::sched::block::FAILURES;
use crate::sched::scope::{Failure, Scope};
use crate::sched::sites::NO_SITE;
use crate::sched::wait::Claimed;
use crate::shared::Message;
use crate::task::Ended;
use crate::types::ErrorKind;
use crate::value::Value;
use std::collections::VecDeque;
use std::sync::Arc;

impl Thread {
    /// Who was to get the outcome of a task or thread was killed before it did. If that is an error that nobody else knows, it is nobody's again.
    #[cold]
    pub(super) fn keep_failure(&mut self, handle: Value) {
        if handle.type_id() == type_id::THREAD {
            let block = thread_of(handle);
            let mut end = block.end.lock();
            if !end.give_up() {
                return;
            }
            let Some(scope) = &block.scope else {
                drop(end);
                return self.scheduler.keep_failed(block);
            };
            let told = end.tell_scope(None, scope);
            drop(end);
            if told.is_ok() {
                self.scheduler.cancel_scope(&self.own, scope);
            } else if scope.has_ended_well() {
                // It counted on the joiner, and can throw nothing any more.
                self.scheduler.keep_failed(block);
            }
            return;
        }
        if !handle.is_kind(Kind::Task) {
            return;
        }
        // SAFETY: its kind was tested.
        let object = unsafe { &mut *handle.as_object().cast::<TaskObject>() };
        if object.ended() != Ended::Failed as u16 || object.header.aux & TaskObject::KNOWN != 0 {
            return;
        }
        object.header.aux |= TaskObject::KNOWN;
        let is_for_scope = {
            let end = self.block.end.lock();
            !end.is_detached && !end.is_awaited()
        };
        if is_for_scope
            && let Some(scope) = self.block.scope.clone().filter(|s| s.takes_failure())
            && let Some(message) = self.error_for_outside(object.result)
        {
            let _ = self.fail_other_scope(message, &scope);
            return;
        }
        self.parts.more().failed.push(handle, NO_SITE);
        if self.block.id == HOST_THREAD {
            self.scheduler.note_failed_task();
        }
    }
    /// Somebody knows how a task has ended, or nobody wants to.
    pub(crate) fn forget_failure(&mut self, handle: Value) {
        // SAFETY: a task's handle.
        unsafe { (*handle.as_object().cast::<TaskObject>()).header.aux |= TaskObject::KNOWN };
        if let Some(more) = self.parts.more_if_any_mut() {
            more.failed.remove(handle);
        }
        if self.parts.has_early {
            self.forget_early(handle);
        }
    }
    #[cold]
    fn forget_early(&mut self, handle: Value) {
        let Some(more) = self.parts.more_if_any_mut() else {
            return;
        };
        // Those that are joined for are most often the last, or the first.
        let is_it = |&(kept, _): &(usize, _)| more.handles[kept] == handle;
        let at = match more.early.back().is_some_and(is_it) {
            true => Some(more.early.len() - 1),
            false => more.early.iter().position(is_it),
        };
        let removed = at.and_then(|at| more.early.remove(at));
        self.parts.has_early = !more.early.is_empty();
        if let Some((kept, _)) = removed {
            self.free_handle(kept);
        }
    }
    /// A threadlet that fails before it waits has failed before its caller could join for it, or detach it. So its scope hears of that only when the caller has had
    /// the chance, as of a task that was split off: when it waits, yields or ends, or closes the scope.
    #[cold]
    pub(crate) fn fail_scopes(&mut self) {
        self.parts.has_early = false;
        for (kept, scope) in std::mem::take(&mut self.parts.more().early) {
            self.fail_early(kept, &scope);
        }
    }
    /// The same of one scope, which is being closed; whether there was such a threadlet.
    #[cold]
    pub(crate) fn fail_scope(&mut self, scope: &Arc<Scope>) -> bool {
        let early = std::mem::take(&mut self.parts.more().early);
        let (here, others): (VecDeque<_>, VecDeque<_>) = early
            .into_iter()
            .partition(|(_, other)| Arc::ptr_eq(other, scope));
        self.parts.has_early = !others.is_empty();
        self.parts.more().early = others;
        let has_failed = !here.is_empty();
        for (kept, scope) in here {
            self.fail_early(kept, &scope);
        }
        has_failed
    }
    /// See `fail_scopes`.
    #[cold]
    pub(super) fn keep_early(&mut self, handle: Value, scope: Arc<Scope>) {
        let kept = self.new_handle(handle);
        self.parts.more().early.push_back((kept, scope));
        self.parts.has_early = true;
    }
    /// A task of a thread that is a member of a scope has failed, and nobody joins for it: what is started inside is a member, so the scope does not wait for the thread's end to fail.
    #[cold]
    pub(super) fn fail_scope_around(&mut self, error: Value, scope: &Arc<Scope>) {
        if self.parts.stopped == Stopped::Killed || !scope.takes_failure() {
            return;
        }
        {
            // Who joins for the thread gets it when that ends.
            let end = self.block.end.lock();
            if end.is_detached || end.is_awaited() {
                return;
            }
        }
        if let Some(message) = self.error_for_outside(error) {
            let _ = self.fail_other_scope(message, scope);
        }
    }
    /// The running task does not wait for a thread any more, though that has not ended. Errors of that thread's tasks that it would have got with the end are its scope's
    /// from now on, unless others join.
    pub(crate) fn stop_awaiting(&mut self, handle: Value) {
        if handle.type_id() != type_id::THREAD {
            return;
        }
        let block = thread_of(handle);
        if block
            .scope
            .as_ref()
            .is_some_and(|scope| scope.takes_failure())
        {
            self.scheduler.request(&self.own, block, FAILURES);
        }
    }
    /// The same of a `select`: of its arms, all but the one that was claimed.
    #[inline]
    pub(super) fn stop_awaiting_others(&mut self, operands: Value, claimed: Claimed) {
        let count = self.elements(operands).map_or(0, <[Value]>::len);
        for i in 0..count {
            let object = self.elements(operands).map_or(Value::NIL, |all| all[i]);
            if object.type_id() == type_id::THREAD && claimed != Claimed::Arm(i as u32) {
                self.stop_awaiting(object);
            }
        }
    }
    /// The first error of the mounted thread that nobody has got goes to the scope around it, if nobody joins for the thread.
    #[cold]
    pub(super) fn tell_scope_around(&mut self) {
        let Some(around) = self.block.scope.clone() else {
            return;
        };
        if self.heap.is_held() {
            // Its objects are the walk's: after that.
            let _ = self.block.signal.request(FAILURES);
            return;
        }
        let first = match self.parts.main_ended {
            Ended::Failed => Some(self.parts.main_result),
            _ => self.first_unjoined_error(),
        };
        if let Some(error) = first {
            self.fail_scope_around(error, &around);
        }
    }
    /// The first of `unjoined_errors`, without those of threadlets whose callers could not join for them yet.
    fn first_unjoined_error(&self) -> Option<Value> {
        let more = self.parts.more_if_any()?;
        let is_early = |handle| {
            let mut early = more.early.iter();
            early.any(|&(kept, _)| more.handles[kept] == handle)
        };
        let failed = more.failed.to_vec();
        let (handle, _) = failed.into_iter().find(|&(handle, _)| !is_early(handle))?;
        // SAFETY: a task's handle.
        Some(unsafe { (*handle.as_object().cast::<TaskObject>()).result })
    }
    /// A scope of another thread hears of an error; gives it back if that has failed already.
    #[cold]
    fn fail_other_scope(&mut self, error: Message, scope: &Arc<Scope>) -> Result<(), Message> {
        match scope.fail(Failure::Thread(error)) {
            Err(Failure::Thread(error)) => return Err(error),
            Ok(()) => self.scheduler.cancel_scope(&self.own, scope),
            Err(Failure::Task(_)) => unreachable!("what comes back is what was given"),
        }
        Ok(())
    }
    /// The mounted thread, which is a member of a scope, ends by another error than these of its tasks, or was stopped. Who joins for it gets only that; then these are the scope's.
    #[cold]
    pub(super) fn tell_scope_of_others(&mut self, others: &[(Value, u32)], was_stopped: bool) {
        let block = self.block;
        let (Some(scope), Some(&(error, _))) = (&block.scope, others.first()) else {
            return;
        };
        let is_wanted = {
            let end = block.end.lock();
            !end.is_detached && (was_stopped || end.is_awaited())
        };
        if is_wanted
            && scope.takes_failure()
            && let Some(message) = self.error_for_outside(error)
        {
            let _ = self.fail_other_scope(message, scope);
        }
    }
    fn fail_early(&mut self, kept: usize, scope: &Arc<Scope>) {
        let around = self.block.scope.as_ref();
        if around.is_some_and(|around| Arc::ptr_eq(around, scope)) {
            let object = self.handle(kept).as_object().cast::<TaskObject>();
            self.free_handle(kept);
            // SAFETY: a task's handle.
            return self.fail_scope_around(unsafe { (*object).result }, scope);
        }
        match scope.fail(Failure::Task(kept)) {
            Ok(()) => self.scheduler.cancel_scope(&self.own, scope),
            Err(_) => self.free_handle(kept),
        }
    }

    // --- a thread has ended, or the program has

    /// Errors of the mounted thread's tasks that nobody has joined for, with the places of their starts.
    pub(super) fn unjoined_errors(&self) -> Vec<(Value, u32)> {
        let Some(more) = self.parts.more_if_any() else {
            return Vec::new();
        };
        let failed = more.failed.to_vec().into_iter();
        failed
            // SAFETY: a task's handle.
            .map(|(handle, site)| unsafe {
                ((*handle.as_object().cast::<TaskObject>()).result, site)
            })
            .collect()
    }
    /// The program has ended before this thread, which is mounted, as it waits for nothing but detached tasks: its errors are reported.
    #[cold]
    pub(super) fn report_errors_of_stopped(&mut self) {
        let mut errors = self.unjoined_errors();
        let is_awaited = self.block.end.lock().is_awaited();
        if self.parts.main_ended == Ended::Failed {
            errors.insert(0, (self.parts.main_result, self.block.site));
        }
        if is_awaited && !errors.is_empty() {
            // A joiner would have got it.
            errors.remove(0);
        }
        if !errors.is_empty() && self.parts.stopped != Stopped::Killed {
            self.report_lost(&errors);
        }
    }
    /// Keeps errors of tasks of a thread that ends, besides the one that is the thread's: its heap goes.
    #[cold]
    pub(super) fn report_lost(&mut self, failed: &[(Value, u32)]) {
        let block = self.block;
        if block.scope.is_some() || block.end.lock().is_detached {
            return;
        }
        let scheduler = self.scheduler.clone();
        for &(error, site) in failed {
            if scheduler.lost_errors.lock().is_full() {
                continue;
            }
            if let Some(message) = self.error_for_outside(error) {
                scheduler.lost_errors.lock().list.push((message, site));
            }
        }
        scheduler.call_host();
    }
    /// A copy of an error, for who is not of this thread.
    #[cold]
    pub(super) fn error_for_outside(&mut self, error: Value) -> Option<Message> {
        let copy = self.heap.copy_out(error).or_else(|_| {
            // It leads to what is bound to the thread.
            let text = self.show_short(error);
            let text = self.text_value(&text);
            let plain = self.new_error(ErrorKind::Error, text);
            self.heap.copy_out(plain)
        });
        let (heap, copy) = copy.ok()?;
        Some(Message::copied(heap, copy))
    }
}
