//! `ThreadLocal`: a value of which each thread has its own. The object itself holds only what each begins with; the values lie in a
//! `local var` of the prelude.

use super::ObjectState;
use super::support;
use crate::native::{Ctx, NativeDef, NativeResult};
use crate::object::type_id;
use crate::value::Value;

/// `ThreadLocal`. `get` and `set` are written in Heddle.
pub static THREAD_LOCAL: &[NativeDef] = crate::natives! {
    /// A value of which each thread has its own: at first `init()`, or `init` if that is no function. A thread that has used it keeps its value to its end: make few, at module level.
    plain "ThreadLocal" ("init?") => make;
    plain "__thread_local_init" (self) => init;
};

fn make(ctx: &mut Ctx) -> NativeResult {
    let init = ctx.arg_or_nil(0);
    let init = ctx.thread.share_frozen(init, "init")?;
    support::make(ctx, type_id::THREAD_LOCAL, ObjectState::Atomic(init))
}
fn init(ctx: &mut Ctx) -> NativeResult {
    let object = support::object_arg(ctx, type_id::THREAD_LOCAL, "a ThreadLocal")?;
    let init = match &*object.state.lock() {
        ObjectState::Atomic(init) => init.again(),
        _ => None,
    };
    match init {
        Some(init) => ctx.thread.deliver_in_native(init),
        None => Ok(Value::NIL),
    }
}
