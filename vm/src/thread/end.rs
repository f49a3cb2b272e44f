//! A thread has no tasks any more: its result, its failures, its joiners.

use super::{Stopped, Thread};
use crate::heap::{GraphError, Heap};
use crate::object::TaskObject;
use crate::sched::block::Outcome;
use crate::sched::scope::{Failure, Scope};
use crate::shared::Message;
use crate::task::{self};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

impl Thread {
    /// The mounted thread has no tasks any more: its result goes to its joiners.
    pub(super) fn end_thread(&mut self) {
        let block = self.block;
        let result = self.parts.main_result;
        let main_ended = self.parts.main_ended;
        let mut has_failed = main_ended != task::Ended::Returned;
        let mut value = result;
        let mut others = self.unjoined_errors();
        // Who joins a killed thread gets that; errors of its tasks are reported, or its scope's.
        let is_killed = self.parts.stopped == Stopped::Killed && block.scope.is_none();
        if !has_failed && !others.is_empty() && !is_killed {
            has_failed = true;
            (value, _) = others.remove(0);
        }
        if !others.is_empty() {
            self.report_lost(&others);
        }
        let was_killed = self.parts.stopped == Stopped::Killed && !has_failed;
        if was_killed {
            // Its first task had returned before that, but not all the others.
            value = self.ended_error("the thread was killed");
            has_failed = true;
        }
        let stopped = match main_ended {
            task::Ended::Killed => Stopped::Killed,
            _ if was_killed => Stopped::Killed,
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
            let mut end = block.end.lock();
            let outcome = match has_failed {
                _ if is_refused => Outcome::Refused(message),
                false => Outcome::Returned(message),
                true => Outcome::Failed(message),
            };
            let woken = end.finish(outcome, stopped);
            (woken, end.is_joined, end.is_detached, !end.is_uncounted)
        };
        drop(self.scheduler.cancelled.take(block.id));
        crate::sync::window("thread_end");
        block.signal.end();
        crate::sync::window("thread_ended");
        let was_stopped = stopped != Stopped::No;
        let reports =
            has_failed && !is_joined && !is_detached && !was_stopped && block.scope.is_none();
        if let Some(scope) = &block.scope {
            if has_failed && !is_joined && !is_detached && !was_stopped && scope.takes_failure() {
                let mut end = block.end.lock();
                // What cannot be copied either goes to the scope alone, unless somebody was faster.
                let message = for_scope.or_else(|| end.error_for_scope());
                let is_moved = matches!(end.outcome, Outcome::Taken);
                drop(end);
                match message.map(|message| scope.fail(Failure::Thread(message))) {
                    Some(Ok(())) => self.scheduler.cancel_scope(&self.own, scope),
                    // Another one was faster.
                    Some(Err(Failure::Thread(message))) if is_moved => {
                        block.end.lock().outcome = Outcome::Failed(message);
                    }
                    _ => {}
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
        drop(
            self.scheduler
                .unregister(&self.own, &block, counts, reports),
        );
    }
    /// Errors of the mounted thread's tasks that nobody has joined for, with the places of their starts.
    fn unjoined_errors(&self) -> Vec<(Value, u32)> {
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
        if self.parts.main_ended == task::Ended::Failed {
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
