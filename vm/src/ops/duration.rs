//! Durations: signed nanoseconds in 64 bits (292 years); what does not fit is an `ArithmeticError`.

use super::arith::BinaryOp;
use super::int::{self, Int};
use super::int_float;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::object::{Header, Int64, Kind, type_id};
use crate::types::ErrorKind;
use crate::value::Value;

/// The units in which durations are written and printed, largest first, with their nanoseconds.
pub const UNITS: &[(&str, i64)] = &[
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The nanoseconds in a value, if it is a duration.
#[inline]
pub fn view(value: Value) -> Option<i64> {
    if value.is_small_duration() {
        Some(value.as_small_duration())
    } else if value.is_kind(Kind::Duration) {
        // SAFETY: durations have the layout of `Int64`; it is alive until the next collection.
        Some(unsafe { (*value.as_object().cast::<Int64>()).value })
    } else {
        None
    }
}

/// A duration of so many nanoseconds.
pub fn new(heap: &mut Heap, ns: i64) -> Value {
    if let Some(inline) = Value::try_small_duration(ns) {
        return inline;
    }
    let object = heap.alloc(
        Header::new(Kind::Duration, type_id::DURATION, 0),
        size_of::<Int64>(),
    );
    // SAFETY: freshly allocated with room for an `Int64`.
    unsafe { (*object.cast::<Int64>()).value = ns };
    Value::local(object)
}

fn out_of_range() -> OpFail {
    OpFail::error(
        ErrorKind::Arithmetic,
        "duration is out of range (292 years)",
    )
}

pub(crate) fn from_i128(heap: &mut Heap, ns: i128) -> OpResult {
    match i64::try_from(ns) {
        Ok(ns) => Ok(new(heap, ns)),
        Err(_) => Err(out_of_range()),
    }
}

/// A duration of so many nanoseconds, rounded.
pub fn from_f64(heap: &mut Heap, ns: f64) -> OpResult {
    let ns = ns.round();
    if ns.abs() < 9_223_372_036_854_775_808.0 {
        Ok(new(heap, ns as i64))
    } else {
        Err(out_of_range())
    }
}

/// In the largest unit that divides it: `250ms`, `90s`, `0s`.
pub fn to_text(ns: i64) -> String {
    if ns == 0 {
        return "0s".to_string();
    }
    let (unit, size) = UNITS
        .iter()
        .find(|(_, size)| ns % size == 0)
        .unwrap_or(&("ns", 1));
    format!("{}{unit}", ns / size)
}

/// Operators with a duration among their operands; `None` if there is no such operator.
pub(crate) fn binary(heap: &mut Heap, op: BinaryOp, a: Value, b: Value) -> Option<OpResult> {
    let zero = || OpFail::error(ErrorKind::Arithmetic, "division by zero");
    match (view(a), view(b)) {
        (Some(x), Some(y)) => Some(match op {
            BinaryOp::Add => from_i128(heap, x as i128 + y as i128),
            BinaryOp::Sub => from_i128(heap, x as i128 - y as i128),
            BinaryOp::Div if y == 0 => Err(zero()),
            BinaryOp::Div => int_float::true_div(Int::Small(x), Int::Small(y)).map(Value::float),
            BinaryOp::FloorDiv => int::floor_div(heap, Int::Small(x), Int::Small(y)),
            BinaryOp::Mod if y == 0 => Err(zero()),
            BinaryOp::Mod => {
                let remainder = x.wrapping_rem(y);
                let fix = remainder != 0 && (remainder < 0) != (y < 0);
                Ok(new(heap, if fix { remainder + y } else { remainder }))
            }
            _ => return None,
        }),
        (Some(x), None) if matches!(op, BinaryOp::Mul | BinaryOp::Div | BinaryOp::FloorDiv) => {
            Some(with_number(heap, op, x, b)?)
        }
        (None, Some(y)) if op == BinaryOp::Mul => with_number(heap, op, y, a),
        _ => None,
    }
}

/// `ns * number`, `ns / number`, `ns // number`.
fn with_number(heap: &mut Heap, op: BinaryOp, ns: i64, number: Value) -> Option<OpResult> {
    let zero = || Err(OpFail::error(ErrorKind::Arithmetic, "division by zero"));
    if number.is_float() {
        let factor = number.as_float();
        return Some(match op {
            BinaryOp::Mul => from_f64(heap, ns as f64 * factor),
            _ if factor == 0.0 => zero(),
            BinaryOp::Div => from_f64(heap, ns as f64 / factor),
            _ => from_f64(heap, (ns as f64 / factor).floor()),
        });
    }
    // One beyond 64 bits is as good as another: durations are smaller by far.
    let i = int::view(number)?.to_i128_or_far();
    let ns = i128::from(ns);
    Some(match op {
        BinaryOp::Mul => from_i128(heap, ns.saturating_mul(i)),
        _ if i == 0 => zero(),
        BinaryOp::Div => {
            // To the nearest nanosecond, half away from zero.
            let (quotient, remainder) = (ns / i, ns % i);
            let up = remainder.abs() * 2 >= i.abs();
            from_i128(
                heap,
                if up {
                    quotient + if (ns < 0) != (i < 0) { -1 } else { 1 }
                } else {
                    quotient
                },
            )
        }
        _ => {
            let quotient = ns / i;
            from_i128(
                heap,
                if ns % i != 0 && (ns < 0) != (i < 0) {
                    quotient - 1
                } else {
                    quotient
                },
            )
        }
    })
}
