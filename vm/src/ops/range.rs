//! Ranges of ints: `0..10`, `0..=10`, with a step; open ends only where they index.

use super::int::{self, Int};
use super::{OpFail, OpResult, range_form};
use crate::heap::Heap;
use crate::object::{Header, Kind, Range, type_id};
use crate::types::ErrorKind;
use crate::value::Value;

/// `start..end`; nil stands for an open end.
pub fn new(heap: &mut Heap, start: Value, end: Value, is_inclusive: bool) -> OpResult {
    let mut form = if is_inclusive {
        range_form::INCLUSIVE
    } else {
        0
    };
    for (bound, open) in [(start, range_form::OPEN_START), (end, range_form::OPEN_END)] {
        if bound.is_nil() {
            form |= open;
        } else if !int::is_int(bound) {
            return Err(OpFail::wrong_type("a range needs ints, not {0}", bound));
        }
    }
    Ok(make(heap, start, end, Value::small_int(1), form))
}

fn make(heap: &mut Heap, start: Value, end: Value, step: Value, form: u16) -> Value {
    let object = heap
        .alloc(
            Header::new(Kind::Range, type_id::RANGE, form),
            size_of::<Range>(),
        )
        .cast::<Range>();
    // SAFETY: freshly allocated with room for a `Range`.
    unsafe {
        (*object).start = start;
        (*object).end = end;
        (*object).step = step;
    }
    Value::local(object.cast())
}

/// The parts of a range, of which the caller knows that it is one.
pub(crate) fn range_of<'a>(value: Value) -> &'a Range {
    debug_assert!(value.is_kind(Kind::Range));
    // SAFETY: the caller's word.
    unsafe { &*value.as_object().cast() }
}

/// First int, step, and number of elements, if all fit 64 bits and the end is not open.
pub fn bounds(value: Value) -> OpResult<(i64, i64, u64)> {
    let range = range_of(value);
    let part = |part: Value| match int::view(part) {
        Some(Int::Small(i)) => Ok(i as i128),
        Some(Int::Big { .. }) => Err(OpFail::error(
            ErrorKind::Limit,
            "a range this large cannot be counted",
        )),
        None => Err(OpFail::error(
            ErrorKind::Value,
            "an open range has no elements to count",
        )),
    };
    let (start, end, step) = (part(range.start)?, part(range.end)?, part(range.step)?);
    let end = if range.header.aux & range_form::INCLUSIVE != 0 {
        end + step.signum()
    } else {
        end
    };
    let count = match step {
        0 => 0,
        step if step > 0 => (end - start + step - 1).max(0) / step,
        step => (start - end - step - 1).max(0) / -step,
    };
    let count = u64::try_from(count)
        .map_err(|_| OpFail::error(ErrorKind::Limit, "a range this large cannot be counted"))?;
    Ok((start as i64, step as i64, count))
}

/// Whether a number is an element of the range; never throws.
pub fn contains(value: Value, number: Value) -> bool {
    let number = if number.is_float() {
        let f = number.as_float();
        if f.fract() != 0.0 || f.abs() >= 9e18 {
            return false;
        }
        f as i64
    } else {
        match int::view(number) {
            Some(Int::Small(i)) => i,
            _ => return false,
        }
    };
    let Ok((start, step, count)) = bounds(value) else {
        return false;
    };
    let (distance, step) = (number as i128 - start as i128, step as i128);
    step != 0 && distance % step == 0 && (0..count as i128).contains(&(distance / step))
}

/// `r.step(n)`
pub fn with_step(heap: &mut Heap, value: Value, step: Value) -> OpResult {
    match int::view(step) {
        Some(Int::Small(0)) => return Err(OpFail::error(ErrorKind::Value, "a step of 0")),
        Some(_) => {}
        None => return Err(OpFail::wrong_type("a step must be an int, not {0}", step)),
    }
    let range = range_of(value);
    Ok(make(
        heap,
        range.start,
        range.end,
        step,
        range.header.aux | range_form::STEP,
    ))
}

/// `r.rev()`: the same elements, last first.
pub fn reversed(heap: &mut Heap, value: Value) -> OpResult {
    let (start, step, count) = bounds(value)?;
    let form = range_form::STEP;
    if count == 0 {
        return Ok(make(
            heap,
            Value::small_int(0),
            Value::small_int(0),
            Value::small_int(-1),
            form,
        ));
    }
    let last = start as i128 + (count as i128 - 1) * step as i128;
    let (first, end) = (
        int::from_i128(heap, last),
        int::from_i128(heap, start as i128 - step.signum() as i128),
    );
    let step = int::from_i128(heap, -(step as i128));
    Ok(make(heap, first, end, step, form))
}
