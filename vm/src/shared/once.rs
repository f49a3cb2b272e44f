//! `Once`: a call that is made once, by the first who needs its result; the others wait for that.
//!
//! | state | means | left by |
//! | --- | --- | --- |
//! | `Idle` | nobody has called it, or all that did failed | the next who comes → `Running` |
//! | `Running` | a task calls the function | its end → `Done`; its failure → `Running` by the first who waits, `Idle` without one |
//! | `Done` | there is a result | nothing |
//!
//! Who is claimed gets true (it has to call the function now) or false (there is a result).

use super::support::{self, Claimant};
use super::{Message, ObjectState};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::sched::wait::WaitList;
use crate::task::{Task, Wait};
use crate::types::ErrorKind;
use crate::value::Value;

/// `Once`. `call` is written in Heddle.
pub static ONCE: &[NativeDef] = crate::natives! {
    /// A call that is made once.
    plain "Once" () => |ctx| support::make(ctx, type_id::ONCE, ObjectState::Once(OnceState::default()));
    /// Whether there is a result.
    plain "Once.done" (self) => |ctx| with(ctx, |once| Value::bool(matches!(once.progress, Progress::Done(_))));
    /// The result, or `default` (nil) if there is none yet.
    plain "Once.get" (self, "default?") => get;
    plain "__once_check" (self) => check;
    suspending "__once_begin" (self) => begin;
    plain "__once_set" (self, result) => set;
    plain "__once_leave" (self) => leave;
};

#[derive(Default)]
enum Progress {
    #[default]
    Idle,
    /// The task has this among its `locks`, so it is left at the latest when that ends, or is dropped.
    Running(*mut Task),
    Done(Message),
}

#[derive(Default)]
pub(crate) struct OnceState {
    progress: Progress,
    pub(crate) waiting: WaitList,
}

/// How an attempt to begin ended.
#[derive(Debug, PartialEq)]
enum Begun {
    /// This task calls the function.
    Here,
    Done,
    MustWait,
}

impl OnceState {
    fn begin(&mut self, task: *mut Task) -> Begun {
        match self.progress {
            Progress::Done(_) => Begun::Done,
            Progress::Running(_) => Begun::MustWait,
            Progress::Idle => {
                self.progress = Progress::Running(task);
                Begun::Here
            }
        }
    }
    /// The task that called the function has its result; gives whom to wake. A second result is not taken.
    fn set(&mut self, task: *mut Task, result: Message) -> Vec<*mut Task> {
        let mut woken = Vec::new();
        if !self.is_run_by(task) {
            return woken;
        }
        self.progress = Progress::Done(result);
        // SAFETY: under the lock of the object.
        while let Some(claimant) = unsafe { Claimant::first(&mut self.waiting) } {
            woken.push(claimant.give_value(Value::FALSE));
        }
        woken
    }
    /// The task that called the function has no result: the first who waits calls it now; gives whom to wake.
    pub(crate) fn leave(&mut self, task: *mut Task) -> Option<*mut Task> {
        if !self.is_run_by(task) {
            return None;
        }
        // SAFETY: under the lock of the object.
        match unsafe { Claimant::first(&mut self.waiting) } {
            Some(claimant) => {
                self.progress = Progress::Running(claimant.task());
                Some(claimant.give_value(Value::TRUE))
            }
            None => {
                self.progress = Progress::Idle;
                None
            }
        }
    }
    /// The program was stopped: the task calls the function no further, and who waits for it is dropped as well.
    pub(crate) fn abandon(&mut self, task: *mut Task) {
        if self.is_run_by(task) {
            self.progress = Progress::Idle;
        }
    }
    /// The task that calls the function.
    pub(crate) fn runner(&self) -> Option<*mut Task> {
        match self.progress {
            Progress::Running(by) => Some(by),
            _ => None,
        }
    }
    /// The result.
    pub(crate) fn result(&self) -> Option<&Message> {
        match &self.progress {
            Progress::Done(result) => Some(result),
            _ => None,
        }
    }
    fn is_run_by(&self, task: *mut Task) -> bool {
        matches!(self.progress, Progress::Running(by) if by == task)
    }
}

fn with<R>(ctx: &mut Ctx, f: impl FnOnce(&mut OnceState) -> R) -> Result<R, Trap> {
    let object = support::object_arg(ctx, type_id::ONCE, "a Once")?;
    match &mut *object.state.lock() {
        ObjectState::Once(once) => Ok(f(once)),
        _ => unreachable!("the type says that it is a once"),
    }
}
fn get(ctx: &mut Ctx) -> NativeResult {
    let result = with(ctx, |once| match &once.progress {
        Progress::Done(result) => result.again(),
        _ => None,
    })?;
    match result {
        Some(result) => ctx.thread.deliver_in_native(result),
        None => Ok(ctx.arg_or_nil(1)),
    }
}
/// Whether there is a result. A task that is about to wait for itself gets an error.
fn check(ctx: &mut Ctx) -> NativeResult {
    let task = ctx.thread.task_pointer();
    let (is_done, is_mine) = with(ctx, |once| {
        let is_done = matches!(once.progress, Progress::Done(_));
        (is_done, once.is_run_by(task))
    })?;
    if is_mine {
        let message = "the function that a Once calls calls it again";
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok(Value::bool(is_done))
}
/// Whether this task has to call the function; waits while another does.
fn begin(ctx: &mut Ctx) -> NativeResult {
    let object = support::object_arg(ctx, type_id::ONCE, "a Once")?;
    let handle = ctx.arg(0);
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    let task = thread.task_pointer();
    if let ObjectState::Once(once) = &mut *object.state.lock() {
        let begun = once.begin(task);
        if begun == Begun::Done {
            return Ok(Value::FALSE);
        }
        // Though it may have to wait: it may be the next one as soon as it does.
        thread.task().more().locks.push(Message::shared(handle));
        if begun == Begun::Here {
            return Ok(Value::TRUE);
        }
        // SAFETY: under the lock of the object.
        unsafe {
            support::park(thread, Wait::Once, object, &mut once.waiting, Message::NONE)?;
        }
    }
    Err(Trap::Suspend)
}
fn set(ctx: &mut Ctx) -> NativeResult {
    let (task, value) = (ctx.thread.task_pointer(), ctx.arg(1));
    let result = ctx.thread.share_frozen(value, "the result")?;
    let woken = with(ctx, |once| once.set(task, result))?;
    ctx.thread.wake_all(woken);
    Ok(value)
}
fn leave(ctx: &mut Ctx) -> NativeResult {
    let (task, handle) = (ctx.thread.task_pointer(), ctx.arg(0));
    let woken = with(ctx, |once| once.leave(task))?;
    if let Some(more) = ctx.thread.task().more_if_any_mut() {
        let at = more.locks.iter().rposition(|l| l.peek() == Some(handle));
        at.map(|at| more.locks.remove(at));
    }
    ctx.thread.wake_all(woken);
    ctx.nil()
}

#[cfg(test)]
mod tests {
    use super::support::tests::Waiting;
    use super::*;

    fn task(n: usize) -> *mut Task {
        std::ptr::without_provenance_mut(n * 64)
    }

    #[test]
    fn the_first_runs_and_the_others_get_its_result() {
        let mut once = OnceState::default();
        assert_eq!(once.begin(task(1)), Begun::Here);
        assert_eq!(once.begin(task(2)), Begun::MustWait);
        let a = Waiting::in_list(&mut once.waiting, Message::NONE);
        let b = Waiting::in_list(&mut once.waiting, Message::NONE);
        let result = Message::shared(Value::small_int(7));
        assert_eq!(once.set(task(1), result), [a.0, b.0]);
        assert_eq!(a.given(), Some(Some(Value::FALSE)));
        assert_eq!(b.given(), Some(Some(Value::FALSE)));
        assert_eq!(once.begin(task(3)), Begun::Done);
        assert_eq!(once.leave(task(1)), None, "it has a result");
        assert_eq!(once.begin(task(3)), Begun::Done);
    }

    #[test]
    fn after_a_failure_the_next_who_waits_runs() {
        let mut once = OnceState::default();
        once.begin(task(1));
        let cancelled = Waiting::in_list(&mut once.waiting, Message::NONE);
        let next = Waiting::in_list(&mut once.waiting, Message::NONE);
        assert!(cancelled.cancel(&mut once.waiting));
        assert_eq!(once.leave(task(1)), Some(next.0));
        assert_eq!(next.given(), Some(Some(Value::TRUE)));
        assert!(once.is_run_by(next.0));
        assert_eq!(once.leave(task(1)), None, "it is not the one who runs");
        assert_eq!(once.leave(next.0), None);
        assert_eq!(once.begin(task(3)), Begun::Here);
        cancelled.take_out(&mut once.waiting);
    }
}
