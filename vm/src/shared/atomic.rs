//! `Atomic`: an immutable value that threads change.

use super::support::{make, object_arg};
use super::{Message, ObjectState, SharedObject};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::value::Value;

/// Natives of `Atomic`.
pub static ATOMIC: &[NativeDef] = crate::natives! {
    /// An immutable value that threads change atomically.
    plain "Atomic" ("value?") => atomic;
    /// Its value.
    plain "Atomic.get" (self) => |ctx| { let object = atomic_object(ctx)?; read_atomic(ctx, object) };
    /// Sets it.
    plain "Atomic.set" (self, value) => |ctx| { atomic_swap(ctx)?; ctx.nil() };
    /// Sets it; gives what it was.
    plain "Atomic.swap" (self, value) => atomic_swap;
    /// Adds a number; gives the sum.
    plain "__atomic_add" (self, amount) => atomic_add;
    /// Sets it to `new` if it is `old` (the same number, text or object); whether it did.
    plain "Atomic.cas" (self, old, new) => atomic_cas;
};

fn atomic(ctx: &mut Ctx) -> NativeResult {
    let value = ctx.arg_or_nil(0);
    let message = ctx.thread.share_frozen(value, "value")?;
    make(ctx, type_id::ATOMIC, ObjectState::Atomic(message))
}
fn atomic_object(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::ATOMIC, "an Atomic")
}
pub(super) fn read_atomic(ctx: &mut Ctx, object: &'static SharedObject) -> NativeResult {
    let message = match &*object.state.lock() {
        ObjectState::Atomic(value) => value.again(),
        _ => None,
    };
    match message {
        Some(message) => ctx.thread.deliver_in_native(message),
        None => ctx.nil(),
    }
}
fn atomic_swap(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let value = ctx.arg(1);
    let message = ctx.thread.share_frozen(value, "value")?;
    let old = match &mut *object.state.lock() {
        ObjectState::Atomic(value) => std::mem::replace(value, message),
        _ => Message::NONE,
    };
    ctx.thread.deliver_in_native(old)
}
/// Nil if the sum takes more than adding small ints or floats.
fn atomic_add(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let amount = ctx.arg(1);
    let mut state = object.state.lock();
    let ObjectState::Atomic(message) = &mut *state else {
        return Ok(Value::NIL);
    };
    let Some(value) = message.peek() else {
        return Ok(Value::NIL);
    };
    let sum = if value.is_small_int() && amount.is_small_int() {
        match Value::try_small_int(value.as_small_int() + amount.as_small_int()) {
            Some(sum) => sum,
            None => return Ok(Value::NIL),
        }
    } else if value.is_float() && amount.is_float() {
        Value::float(value.as_float() + amount.as_float())
    } else {
        return Ok(Value::NIL);
    };
    *message = Message::shared(sum);
    Ok(sum)
}
fn atomic_cas(ctx: &mut Ctx) -> NativeResult {
    let object = atomic_object(ctx)?;
    let (old, new) = (ctx.arg(1), ctx.arg(2));
    let new = ctx.thread.share_frozen(new, "value")?;
    let engine = ctx.engine();
    let before = {
        let mut state = object.state.lock();
        let ObjectState::Atomic(message) = &mut *state else {
            return Ok(Value::FALSE);
        };
        let Some(value) = message.peek() else {
            return Ok(Value::FALSE);
        };
        let is_equal =
            value == old || crate::ops::compare::quick_equal(engine, value, old) == Some(true);
        if !is_equal {
            return Ok(Value::FALSE);
        }
        std::mem::replace(message, new)
    };
    drop(before);
    Ok(Value::TRUE)
}
