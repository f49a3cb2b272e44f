//! Ranges of ints: `0..10`, `0..=10`, with a step; open ends where they index, and in patterns.

use super::compare::compare_numbers;
use super::int::{self, Int};
use super::{OpFail, OpResult, float, range_form};
use crate::heap::Heap;
use crate::object::{Header, Kind, Range, type_id};
use crate::types::ErrorKind;
use crate::value::Value;
use std::cmp::Ordering;

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
            return Err(OpFail::wrong_type("a range needs ints, got {0}", bound));
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
    if [range.start, range.end]
        .iter()
        .any(|end| !int::is_int(*end))
    {
        return Err(open_range());
    }
    small_bounds(range)
        .and_then(|(start, step, count)| {
            Some((
                i64::try_from(start).ok()?,
                i64::try_from(step).ok()?,
                u64::try_from(count).ok()?,
            ))
        })
        .ok_or_else(|| OpFail::error(ErrorKind::Limit, "a range this large cannot be counted"))
}

/// The number of elements: any int, if neither end is open.
pub fn len(heap: &mut Heap, value: Value) -> OpResult {
    let range = range_of(value);
    if is_closed(value)
        && let Some((_, _, count)) = small_bounds(range)
    {
        return Ok(int::from_i128(heap, count));
    }
    let (Some(start), Some(end), Some(step)) = (
        int::view(range.start),
        int::view(range.end),
        int::view(range.step),
    ) else {
        return Err(open_range());
    };
    if !is_before_end(value, range.start) {
        return Ok(Value::small_int(0));
    }
    // How far the last number that may be an element is from the first; by what the step divides that, so often it is taken.
    let distance = int::sub(heap, end, start)?;
    let back = i64::from(!is_inclusive(range)) * if step.is_negative() { -1 } else { 1 };
    let distance = int::view(distance).map(|distance| int::sub(heap, distance, Int::Small(back)));
    let steps = match distance.transpose()?.and_then(int::view) {
        Some(distance) => int::floor_div(heap, distance, step)?,
        None => return Err(open_range()),
    };
    match int::view(steps) {
        Some(steps) => int::add(heap, steps, Int::Small(1)),
        None => Err(open_range()),
    }
}

fn open_range() -> OpFail {
    OpFail::error(ErrorKind::Value, "an open range has no elements to count")
}

/// First int, step and number of elements, if the ends and the step fit 64 bits.
fn small_bounds(range: &Range) -> Option<(i128, i128, i128)> {
    let part = |part: Value| int::to_i64(part).map(i128::from);
    let (start, end, step) = (part(range.start)?, part(range.end)?, part(range.step)?);
    let end = if is_inclusive(range) {
        end + step.signum()
    } else {
        end
    };
    let count = match step {
        0 => 0,
        step if step > 0 => (end - start + step - 1).max(0) / step,
        step => (start - end - step - 1).max(0) / -step,
    };
    Some((start, step, count))
}

/// Has both ends, so that it can be iterated.
pub(crate) fn is_closed(value: Value) -> bool {
    range_of(value).header.aux & (range_form::OPEN_START | range_form::OPEN_END) == 0
}

fn is_inclusive(range: &Range) -> bool {
    range.header.aux & range_form::INCLUSIVE != 0
}

fn order(x: Value, y: Value) -> Ordering {
    compare_numbers(x, y).flatten().unwrap_or(Ordering::Equal)
}

fn is_negative(number: Value) -> bool {
    order(number, Value::small_int(0)) == Ordering::Less
}

/// Whether a number comes before the end, going by the sign of the step.
pub(crate) fn is_before_end(value: Value, number: Value) -> bool {
    let range = range_of(value);
    let order = order(number, range.end);
    let wanted = if is_negative(range.step) {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    order == wanted || (is_inclusive(range) && order == Ordering::Equal)
}

/// Whether a range contains a whole number (a float that is one counts); false for anything else.
pub fn contains(heap: &mut Heap, value: Value, number: Value) -> OpResult<bool> {
    let is_whole = int::is_int(number) || (number.is_float() && number.as_float().fract() == 0.0);
    if !is_whole {
        return Ok(false);
    }
    let range = range_of(value);
    let from_start = match order(number, range.start) {
        Ordering::Equal => true,
        Ordering::Greater => !is_negative(range.step),
        Ordering::Less => is_negative(range.step),
    };
    let has = |open: u16| range.header.aux & open == 0;
    if has(range_form::OPEN_START) && !from_start
        || has(range_form::OPEN_END) && !is_before_end(value, number)
    {
        return Ok(false);
    }
    if range.step == Value::small_int(1) {
        return Ok(true);
    }
    let number = if number.is_float() {
        float::truncate(heap, number.as_float())?
    } else {
        number
    };
    let (Some(number), Some(start), Some(step)) = (
        int::view(number),
        int::view(range.start),
        int::view(range.step),
    ) else {
        return Ok(false);
    };
    let distance = int::sub(heap, number, start)?;
    let Some(distance) = int::view(distance) else {
        return Ok(false);
    };
    let rest = int::modulo(heap, distance, step)?;
    Ok(rest == Value::small_int(0))
}

/// The part of a sequence of `len` elements that an index range means: negative positions count from the end, both ends are clamped. It goes forwards, by ones.
pub fn slice_bounds(value: Value, len: usize) -> OpResult<(usize, usize)> {
    let range = range_of(value);
    if range.step != Value::small_int(1) {
        return Err(OpFail::error(
            ErrorKind::Value,
            "an index range takes each element, forwards: it has no step",
        ));
    }
    let position = |v: Value, default: usize, add: i64| -> usize {
        if v.is_nil() {
            return default;
        }
        let p = match int::to_i64(v) {
            Some(p) => p,
            None => return if is_negative(v) { 0 } else { len },
        };
        let p = if p < 0 {
            p.saturating_add(len as i64)
        } else {
            p
        };
        p.saturating_add(add).clamp(0, len as i64) as usize
    };
    let from = position(range.start, 0, 0);
    let to = position(range.end, len, is_inclusive(range) as i64);
    Ok((from, to.max(from)))
}

/// `r[i]` of a range that has both ends.
pub(crate) fn get(heap: &mut Heap, value: Value, index: Value) -> OpResult {
    let range = range_of(value);
    let Some(i) = int::view(index).map(|i| i.to_i128_or_far()) else {
        return Err(OpFail::wrong_type(
            "a range is indexed by an int, got {0}",
            index,
        ));
    };
    let (Some(start), Some(end), Some(step)) = (
        int::to_i64(range.start),
        int::to_i64(range.end),
        int::to_i64(range.step),
    ) else {
        return Err(OpFail::error(
            ErrorKind::Limit,
            "a range this large cannot be indexed",
        ));
    };
    let (start, end, step) = (start as i128, end as i128, step as i128);
    let end = if is_inclusive(range) {
        end + step.signum()
    } else {
        end
    };
    let len = ((end - start + step - step.signum()) / step).max(0);
    let at = if i < 0 { i + len } else { i };
    if !(0..len).contains(&at) {
        return Err(OpFail::error(
            ErrorKind::Index,
            format!(
                "range index {} is out of range (length {len})",
                super::shown_index(index)
            ),
        ));
    }
    Ok(int::from_i128(heap, start + at * step))
}

/// `start..end` in steps of `step`: down, if that is negative.
pub fn with_step(heap: &mut Heap, value: Value, step: Value) -> OpResult {
    check_step(step)?;
    let range = range_of(value);
    let form = range.header.aux | range_form::STEP;
    Ok(make(heap, range.start, range.end, step, form))
}

fn check_step(step: Value) -> OpResult<()> {
    match int::view(step) {
        Some(Int::Small(0)) => Err(OpFail::error(ErrorKind::Value, "a step of 0")),
        Some(_) => Ok(()),
        None => Err(OpFail::wrong_type("a step must be an int, not {0}", step)),
    }
}

/// `r.step(n)`: every nth of its elements. Of a range that has no step yet, a negative one goes down, from a start above its end; of any other, it goes the
/// other way from the start, and so gives at most that.
pub fn every(heap: &mut Heap, value: Value, step: Value) -> OpResult {
    check_step(step)?;
    let range = range_of(value);
    if range.header.aux & range_form::STEP == 0 {
        return with_step(heap, value, step);
    }
    let (Some(own), Some(by)) = (int::view(range.step), int::view(step)) else {
        return Err(OpFail::wrong_type("a step must be an int, not {0}", step));
    };
    let step = int::mul(heap, own, by)?;
    with_step(heap, value, step)
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
