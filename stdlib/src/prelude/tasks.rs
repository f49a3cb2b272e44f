//! What handles of tasks can do.

use heddle_vm::native::NativeDef;
use heddle_vm::{Value, natives};

pub(super) static TASKS: &[NativeDef] = natives! {
    /// Waits until the task has ended; gives its result or throws its error.
    suspending "task.join" (self) => |ctx| { let task = ctx.task_arg(0)?; Err(ctx.wait_for_task(task)) };
    /// Whether the task has ended, well or not.
    plain "task.done" (self) => |ctx| { let task = ctx.task_arg(0)?; Ok(Value::bool(ctx.task_is_done(task))) };
};
