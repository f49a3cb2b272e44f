//! What handles of tasks can do.

use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

pub(super) static TASKS: &[NativeDef] = natives! {
    /// Waits until the task has ended; gives its result or throws its error.
    suspending "task.join" (self) => |ctx| { let task = ctx.task_arg(0)?; Err(ctx.wait_for_task(task)) };
    /// Whether the task has ended, well or not.
    plain "task.done" (self) => |ctx| { let task = ctx.task_arg(0)?; Ok(Value::bool(ctx.task_is_done(task))) };
    /// `scope`: opens one; gives what stands for it. The compiler calls this and the next two.
    plain "__scope_enter" (timeout) => |ctx| not_built(ctx, "scope");
    /// A scope is left without an error: waits for what was started in it.
    suspending "__scope_exit" (scope) => |ctx| not_built(ctx, "scope");
    /// A scope is left by an error: cancels and waits, then throws it or what takes its place.
    suspending "__scope_fail" (scope, "error?") => |ctx| not_built(ctx, "scope");
    /// `select`: one letter of `kinds` (recv, send, Send of a copy, join) and two of `arms` (object, operand) for each; gives (arm, value).
    suspending "__select" (kinds, timeout, has_else, "..arms") => |ctx| not_built(ctx, "select");
};

fn not_built(ctx: &mut Ctx, what: &str) -> NativeResult {
    Err(ctx.throw(ErrorKind::Error, format!("{what} is not built yet")))
}
