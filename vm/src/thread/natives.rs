//! What scripts call on tasks, threads, their troop and scopes.

use super::{HOST_THREAD, Thread, thread_of};
use crate::native::{Ctx, FastPath, NativeDef, NativeResult, Trap};
use crate::object::{Kind, TaskObject, type_id};
use crate::sched::ThreadBlock;
use crate::sched::block::{CANCEL, KILL};
use crate::sched::scope::Scope;
use crate::sync::Ordering;
use crate::task::{Task, Wait, flag};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::Arc;

/// Natives of tasks, threads and scopes.
pub static CONCURRENCY: &[NativeDef] = crate::natives! {
    /// Waits until the task has ended; gives its result or throws its error.
    suspending "Task.join" (self) => join, fast_path join_usually;
    /// Whether the task has ended, well or not.
    plain "Task.done" (self) => |ctx| Ok(Value::bool(task_of(ctx)?.is_none()));
    /// Lets the task throw `Cancelled` at its next blocking point.
    plain "Task.cancel" (self) => task_cancel;
    /// The program does not report how it ends.
    plain "Task.detach" (self) => task_detach;
    /// The task that runs.
    plain "Task.current" () => |ctx| { let task = ctx.thread.task_pointer(); Ok(ctx.thread.handle_of(task, Value::NIL)) };
    /// The thread that runs.
    plain "Thread.current" () => |ctx| { let block = ctx.thread.block.to_arc(); Ok(ctx.thread.thread_handle(block)) };
    /// The tasks of this thread that have not ended, in the order of their starts. Only the thread itself can ask: tasks do not cross.
    plain "Thread.tasks" (self) => thread_tasks;
    /// The troop that this thread belongs to.
    plain "Troop.current" () => |ctx| Ok(ctx.thread.troop_handle());
    /// The threads of the troop that have not ended, in the order of their starts.
    plain "Troop.threads" (self) => troop_threads;
    /// Waits until the thread has ended; gives its result or throws its error. A mutable result goes to the first who joins.
    suspending "Thread.join" (self) => join, fast_path join_usually;
    /// Whether the thread has ended, well or not.
    plain "Thread.done" (self) => |ctx| { let block = thread_arg(ctx)?; Ok(Value::bool(block.has_ended())) };
    /// Lets all tasks of the thread throw `Cancelled` at their next blocking points.
    plain "Thread.cancel" (self) => |ctx| thread_request(ctx, CANCEL);
    /// Ends the thread at its next safepoint, busy or not; its defers run.
    plain "Thread.kill" (self) => |ctx| thread_request(ctx, KILL);
    /// The program neither waits for the thread nor reports how it ends.
    plain "Thread.detach" (self) => thread_detach;

    /// Lets so much time pass.
    suspending "sleep" (duration) => sleep;
    /// `scope`: opens one; gives what stands for it. The compiler calls this and the next two.
    plain "__scope_enter" (timeout) => scope_enter;
    /// The body of the next module that a program runs; nil if that is the main one, which comes if asked for.
    plain "__next_body" (is_main) => next_body;
    /// Waits for what was started in a scope; true when there is nothing left to wait for.
    suspending "__scope_wait" (scope) => scope_wait;
    /// A scope is left, by an error or without: what it throws, if it does.
    plain "__scope_close" (scope, "error?") => scope_close;
    /// A scope was left by an error: what was started in it is cancelled.
    plain "__scope_cancel" (scope) => scope_cancel;
};

fn next_body(ctx: &mut Ctx) -> NativeResult {
    let is_main = ctx.arg(0).is_truthy();
    let args = ctx.args.cast::<Value>();
    Ok(ctx.thread.next_body(is_main, args))
}
fn join(ctx: &mut Ctx) -> NativeResult {
    let handle = ctx.task_arg(0)?;
    ctx.thread.join(handle)
}
/// The fast path of both: of a task or thread that has not ended, or a task that has returned.
fn join_usually(thread: &mut Thread, args: *const Value) -> FastPath {
    if !thread.passes_blocking_points() {
        return FastPath::NotUsual;
    }
    // SAFETY: a fast path gets all arguments.
    thread.join_usually(unsafe { *args })
}
/// The task of `self`, `None` if it has ended.
fn task_of(ctx: &mut Ctx) -> Result<Option<*mut Task>, Trap> {
    let handle = ctx.arg(0);
    if !handle.is_kind(Kind::Task) {
        return Err(ctx.wrong_type(0, "a Task"));
    }
    // SAFETY: its kind was tested.
    let task = unsafe { (*handle.as_object().cast::<TaskObject>()).task() };
    Ok((!task.is_null()).then_some(task))
}
fn task_cancel(ctx: &mut Ctx) -> NativeResult {
    if let Some(task) = task_of(ctx)? {
        ctx.thread.cancel_task(task);
    }
    ctx.nil()
}
fn task_detach(ctx: &mut Ctx) -> NativeResult {
    if let Some(task) = task_of(ctx)? {
        // The program ends no earlier than its own task.
        let is_hosts = ctx.thread.block.id == HOST_THREAD;
        // SAFETY: a task of this thread that has not ended.
        unsafe {
            let is_first = is_hosts && (*task).is(flag::IS_FIRST);
            if !(is_first || (*task).is(flag::IS_DETACHED)) {
                (*task).set(flag::IS_DETACHED);
                ctx.thread.parts.detached += 1;
                let has_detached = &ctx.thread.scheduler.has_detached;
                has_detached.store(true, Ordering::Relaxed);
            }
        }
    } else {
        // It has ended, as a threadlet may at once: nobody asks how.
        ctx.thread.forget_failure(ctx.arg(0));
    }
    ctx.nil()
}
fn thread_arg(ctx: &mut Ctx) -> Result<&'static ThreadBlock, Trap> {
    let handle = ctx.arg(0);
    if handle.type_id() != type_id::THREAD {
        return Err(ctx.wrong_type(0, "a Thread"));
    }
    Ok(thread_of(handle))
}
fn thread_detach(ctx: &mut Ctx) -> NativeResult {
    let block = thread_arg(ctx)?;
    // The program ends no earlier than its own thread.
    if block.id != HOST_THREAD {
        ctx.thread.scheduler.detach(&ctx.thread.own, block);
    }
    ctx.nil()
}
fn thread_tasks(ctx: &mut Ctx) -> NativeResult {
    let block = thread_arg(ctx)?;
    if !std::ptr::eq(block, ctx.thread.block.as_ptr()) {
        let message = "the tasks of another thread belong to that and cannot cross";
        return Err(ctx.throw(ErrorKind::Share, message));
    }
    // Threadlets that have not waited so far are among them.
    ctx.thread.make_all_identities();
    let mut tasks = ctx.thread.parts.tasks.to_vec();
    // SAFETY: tasks of this thread.
    tasks.sort_by_key(|task| unsafe { (**task).id() });
    ctx.reserve(tasks.len() * 64)?;
    let handles = tasks
        .into_iter()
        .map(|task| ctx.thread.handle_of(task, Value::NIL))
        .collect::<Vec<_>>();
    ctx.list(&handles)
}
fn troop_threads(ctx: &mut Ctx) -> NativeResult {
    if ctx.arg(0).type_id() != type_id::TROOP {
        return Err(ctx.wrong_type(0, "a Troop"));
    }
    let mut threads = ctx.thread.scheduler.threads();
    threads.retain(|block| !block.has_ended());
    threads.sort_by_key(|block| block.id);
    ctx.reserve(threads.len() * 16)?;
    let handles = threads
        .into_iter()
        .map(|block| ctx.thread.thread_handle(block))
        .collect::<Vec<_>>();
    ctx.list(&handles)
}
fn thread_request(ctx: &mut Ctx, what: u32) -> NativeResult {
    let block = thread_arg(ctx)?;
    if !block.has_ended() {
        ctx.thread.scheduler.request(&ctx.thread.own, block, what);
        if std::ptr::eq(block, ctx.thread.block.as_ptr()) {
            // The next safepoint is now.
            ctx.thread.end_slice();
        }
    }
    ctx.nil()
}

fn sleep(ctx: &mut Ctx) -> NativeResult {
    let nanoseconds = ctx.duration_arg(0)?;
    let thread = &mut *ctx.thread;
    thread.blocking_point()?;
    thread.begin_wait(Wait::Sleep)?;
    thread.sleep_for(nanoseconds);
    Err(Trap::Suspend)
}

// --- scopes

fn scope_enter(ctx: &mut Ctx) -> NativeResult {
    let limit = match ctx.arg_or_nil(0) {
        Value::NIL => None,
        _ => Some(ctx.duration_arg(0)?),
    };
    ctx.thread.reserve_shared(Scope::BYTES)?;
    let scope = ctx.thread.enter_scope(limit);
    Ok(ctx.host(Box::new(scope), "scope"))
}
fn scope_arg(ctx: &mut Ctx) -> Result<Arc<Scope>, Trap> {
    Ok(ctx.host_arg::<Arc<Scope>>(0)?.clone())
}
fn scope_wait(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    if ctx.thread.parts.has_early && ctx.thread.fail_scope(&scope) {
        ctx.thread.cancel_in_scopes();
    }
    if ctx.thread.is_killing {
        // What is inside is being killed, too, or is told to.
        ctx.thread.scheduler.cancel_scope(&ctx.thread.own, &scope);
        return Ok(Value::TRUE);
    }
    let (is_cancelled, is_refused) = {
        let state = scope.state.lock();
        (state.is_cancelled, state.is_refused)
    };
    if is_refused {
        return Ok(Value::TRUE);
    }
    if !is_cancelled {
        ctx.thread.blocking_point()?;
    }
    if ctx.thread.await_scope(&scope)? {
        return Ok(Value::TRUE);
    }
    Err(Trap::Suspend)
}
fn scope_cancel(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    let task = ctx.thread.task();
    // The owner itself is past that.
    if task.more().cancelled_for.is_none() {
        task.more().cancelled_for = Some(scope.clone());
        task.set(flag::IS_OWN_CANCEL);
    }
    let has_members = {
        let mut state = scope.state.lock();
        state.had_failed |= state.failure.is_some() || state.is_timed_out;
        scope.mark_cancelled(&mut state);
        state.live > 0
    };
    // The scopes that the owner opened in it are closed; so without members, who alone could start some, nobody else is inside. To find who is takes a look at every task.
    if has_members {
        ctx.thread.scheduler.cancel_scope(&ctx.thread.own, &scope);
        ctx.thread.cancel_in_scopes();
    }
    ctx.nil()
}
fn scope_close(ctx: &mut Ctx) -> NativeResult {
    let scope = scope_arg(ctx)?;
    let error = ctx.arg(1);
    let error = (!error.is_unset()).then_some(error);
    ctx.thread.close_scope(&scope, error)
}
