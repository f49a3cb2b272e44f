//! Methods of numbers, durations and ranges.

use heddle_vm::native::{Ctx, NativeDef, NativeResult, Trap};
use heddle_vm::ops::duration::UNITS;
use heddle_vm::{Value, natives, ops};

pub(super) static NUMBERS: &[NativeDef] = natives! {
    /// How many bits the magnitude has.
    plain "int.bit_length" (self) => bit_length;
    /// The float nearest to it.
    plain "int.to_float" (self) => |ctx| Ok(Value::float(ctx.float_arg(0)?));
    /// The float without its fraction. Throws ValueError for nan and the infinities.
    plain "float.to_int" (self) => to_int;
    /// Whether it is not a number.
    plain "float.is_nan" (self) => |ctx| Ok(Value::bool(ctx.float_arg(0)?.is_nan()));
    /// Whether it is infinite.
    plain "float.is_inf" (self) => |ctx| Ok(Value::bool(ctx.float_arg(0)?.is_infinite()));

    /// In hours: an int if it is a whole number of them.
    plain "duration.hours" (self) => |ctx| in_unit(ctx, 0);
    /// In minutes: an int if it is a whole number of them.
    plain "duration.mins" (self) => |ctx| in_unit(ctx, 1);
    /// In seconds: an int if it is a whole number of them.
    plain "duration.secs" (self) => |ctx| in_unit(ctx, 2);
    /// In milliseconds: an int if it is a whole number of them.
    plain "duration.ms" (self) => |ctx| in_unit(ctx, 3);
    /// In microseconds: an int if it is a whole number of them.
    plain "duration.us" (self) => |ctx| in_unit(ctx, 4);
    /// In nanoseconds.
    plain "duration.ns" (self) => |ctx| in_unit(ctx, 5);

    /// How many numbers it has.
    plain "range.len" (self) => count;
    /// Whether it has none.
    plain "range.is_empty" (self) => |ctx| Ok(Value::bool(count(ctx)? == Value::small_int(0)));
    /// Every nth of its numbers; for a negative n a range without a step goes down, from a start above its end.
    plain "range.step" (self, n) => step;
    /// The same numbers, last first.
    plain "range.rev" (self) => reversed;
    /// Whether x is one of its numbers.
    plain "range.contains" (self, x) => range_contains;

    plain "__int_shl_begin" (a, n) => |ctx| { let (a, n) = shift_args(ctx)?; let made = ops::int_bits::shl_begin(ctx.heap(), a, n); ctx.done(made) };
    plain "__int_shl_step" (made, a, n, at) => shl_step;
    plain "__int_lossy_step" (a, n, at) => lossy_step;
    plain "__int_shr_begin" (a, n, is_lossy) => shr_begin;
    plain "__int_shr_step" (made, a, n, at) => shr_step;
    plain "__int_linear_begin" (a, b) => |ctx| { let (a, b) = two_ints(ctx, 0)?; let made = ops::int_steps::begin(ctx.heap(), a, b); ctx.done(made) };
    plain "__int_linear_step" (made, op, a, b, state) => linear_step;
    plain "__int_linear_end" (made) => |ctx| { let made = ctx.arg(0); let made = ops::int_steps::end(ctx.heap(), made); ctx.done(made) };
    plain "__int_grow" (made) => |ctx| { let made = ctx.arg(0); ops::int_bits::grow_magnitude(ctx.heap(), made); Ok(Value::NIL) };
};

/// An int and how far it is shifted.
fn shift_args(ctx: &mut Ctx) -> Result<(Value, u64), Trap> {
    if !ops::int::is_int(ctx.arg(0)) {
        return Err(ctx.wrong_type(0, "an int"));
    }
    Ok((ctx.arg(0), ctx.int_arg(1)?.max(0) as u64))
}

/// What a step of a shift charges: a tenth of a millisecond or so.
const SHIFT_FUEL: usize = 20_000;

/// Arguments `i` and `i + 1`.
fn two_ints(ctx: &mut Ctx, i: usize) -> Result<(Value, Value), Trap> {
    for i in [i, i + 1] {
        if !ops::int::is_int(ctx.arg(i)) {
            return Err(ctx.wrong_type(i, "an int"));
        }
    }
    Ok((ctx.arg(i), ctx.arg(i + 1)))
}

fn linear_step(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = two_ints(ctx, 2)?;
    let (op, state) = (ctx.int_arg(1)?.max(0), ctx.int_arg(4)?.max(0));
    ctx.charge(SHIFT_FUEL);
    let next = ops::int_steps::step(ctx.arg(0), op as usize, a, b, state as u64);
    position_or_nil(ctx, next.map(|state| state as usize))
}

fn position_or_nil(ctx: &mut Ctx, at: Option<usize>) -> NativeResult {
    Ok(at.map_or(Value::NIL, |at| ctx.int(at as i64)))
}

fn shl_step(ctx: &mut Ctx) -> NativeResult {
    let (n, at) = (ctx.int_arg(2)?.max(0), ctx.int_arg(3)?.max(0));
    ctx.charge(SHIFT_FUEL);
    let next = ops::int_bits::shl_step(ctx.arg(0), ctx.arg(1), n as u64, at as usize);
    position_or_nil(ctx, next)
}

/// Whether the shift loses bits, or where to look on.
fn lossy_step(ctx: &mut Ctx) -> NativeResult {
    let (a, n) = shift_args(ctx)?;
    let at = ctx.int_arg(2)?.max(0) as usize;
    ctx.charge(SHIFT_FUEL);
    Ok(match ops::int_bits::lossy_step(a, n, at) {
        Ok(is_lossy) => Value::bool(is_lossy),
        Err(at) => ctx.int(at as i64),
    })
}

/// The result, and whether it is whole.
fn shr_begin(ctx: &mut Ctx) -> NativeResult {
    let (a, n) = shift_args(ctx)?;
    let is_lossy = ctx.arg(2).is_truthy();
    let begun = ops::int_bits::shr_begin(ctx.heap(), a, n, is_lossy);
    let (made, is_whole) = ctx.done(begun)?;
    ctx.tuple(&[made, Value::bool(is_whole)])
}

fn shr_step(ctx: &mut Ctx) -> NativeResult {
    let (n, at) = (ctx.int_arg(2)?.max(0), ctx.int_arg(3)?.max(0));
    ctx.charge(SHIFT_FUEL);
    let next = ops::int_bits::shr_step(ctx.arg(0), ctx.arg(1), n as u64, at as usize);
    position_or_nil(ctx, next)
}

fn bit_length(ctx: &mut Ctx) -> NativeResult {
    match ops::int::bit_length(ctx.arg(0)) {
        Some(bits) => Ok(ctx.int(bits as i64)),
        None => Err(ctx.wrong_type(0, "an int")),
    }
}

fn to_int(ctx: &mut Ctx) -> NativeResult {
    let f = ctx.float_arg(0)?;
    let truncated = ops::float::truncate(ctx.heap(), f);
    ctx.done(truncated)
}

fn in_unit(ctx: &mut Ctx, unit: usize) -> NativeResult {
    let ns = ctx.duration_arg(0)?;
    let unit = UNITS[unit].1;
    Ok(if ns % unit == 0 {
        ctx.int(ns / unit)
    } else {
        Value::float(ns as f64 / unit as f64)
    })
}

fn count(ctx: &mut Ctx) -> NativeResult {
    let range = ctx.arg(0);
    let count = ops::range::len(ctx.heap(), range);
    ctx.done(count)
}

fn range_contains(ctx: &mut Ctx) -> NativeResult {
    let (range, x) = (ctx.arg(0), ctx.arg(1));
    let found = ops::range::contains(ctx.heap(), range, x);
    ctx.done(found).map(Value::bool)
}

fn reversed(ctx: &mut Ctx) -> NativeResult {
    let range = ctx.arg(0);
    let reversed = ops::range::reversed(ctx.heap(), range);
    ctx.done(reversed)
}

fn step(ctx: &mut Ctx) -> NativeResult {
    let (range, step) = (ctx.arg(0), ctx.arg(1));
    if !ops::int::is_int(step) {
        return Err(ctx.wrong_type(1, "an int"));
    }
    let stepped = ops::range::every(ctx.heap(), range, step);
    ctx.done(stepped)
}
