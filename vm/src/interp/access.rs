//! Ranges, and reading and writing by index: `xs[i]`, `xs[a..b]`, `s[i]`.

use crate::heap::Heap;
use crate::object::{Header, Kind, Range, type_id};
use crate::ops::{self, OpFail, OpResult};
use crate::types::ErrorKind;
use crate::value::Value;
use std::cmp::Ordering;

/// Bits of a range's `aux`.
pub(crate) const INCLUSIVE: u16 = 1;
const OPEN_START: u16 = 4;
const OPEN_END: u16 = 8;

fn range(v: Value) -> *mut Range {
    debug_assert!(v.is_kind(Kind::Range));
    v.as_object().cast()
}
fn aux(v: Value) -> u16 {
    // SAFETY: a range.
    unsafe { (*range(v)).header.aux }
}
fn order(x: Value, y: Value) -> Ordering {
    ops::compare::compare_numbers(x, y)
        .flatten()
        .unwrap_or(Ordering::Equal)
}

/// `start..end`; nil ends are open.
pub(crate) fn new_range(heap: &mut Heap, start: Value, end: Value, inclusive: bool) -> OpResult {
    for v in [start, end] {
        if !v.is_nil() && !ops::int::is_int(v) {
            return Err(OpFail::wrong_type("a range needs ints, got {0}", v));
        }
    }
    Ok(range_with_step(
        heap,
        start,
        end,
        Value::small_int(1),
        inclusive,
    ))
}

/// A range whose parts are known to be good.
pub fn range_with_step(
    heap: &mut Heap,
    start: Value,
    end: Value,
    step: Value,
    inclusive: bool,
) -> Value {
    let aux = inclusive as u16
        | if start.is_nil() { OPEN_START } else { 0 }
        | if end.is_nil() { OPEN_END } else { 0 };
    let object = heap
        .alloc(
            Header::new(Kind::Range, type_id::RANGE, aux),
            size_of::<Range>(),
        )
        .cast::<Range>();
    // SAFETY: `alloc` made room.
    unsafe {
        (*object).start = start;
        (*object).end = end;
        (*object).step = step;
    }
    Value::local(object.cast())
}

/// Start, end, step, inclusive.
pub fn range_parts(v: Value) -> (Value, Value, Value, bool) {
    // SAFETY: a range.
    unsafe {
        (
            (*range(v)).start,
            (*range(v)).end,
            (*range(v)).step,
            aux(v) & INCLUSIVE != 0,
        )
    }
}

/// Has both ends, so that it can be iterated.
pub(crate) fn is_closed(v: Value) -> bool {
    aux(v) & (OPEN_START | OPEN_END) == 0
}

/// Whether `x` comes before the end, going by the sign of the step.
pub(crate) fn is_before_end(v: Value, x: Value) -> bool {
    let (_, end, step, inclusive) = range_parts(v);
    let order = order(x, end);
    let wanted = if is_negative(step) {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    order == wanted || (inclusive && order == Ordering::Equal)
}
fn is_negative(step: Value) -> bool {
    order(step, Value::small_int(0)) == Ordering::Less
}

/// Whether a range contains a whole number (a float that is one counts).
pub(crate) fn range_contains(
    heap: &mut Heap,
    types: &dyn ops::TypeLookup,
    v: Value,
    x: Value,
) -> OpResult<bool> {
    let is_whole = ops::int::is_int(x) || (x.is_float() && x.as_float().fract() == 0.0);
    if !is_whole {
        return Ok(false);
    }
    let (start, _, step, _) = range_parts(v);
    let from_start = match order(x, start) {
        Ordering::Equal => true,
        Ordering::Greater => !is_negative(step),
        Ordering::Less => is_negative(step),
    };
    if aux(v) & OPEN_START == 0 && !from_start || aux(v) & OPEN_END == 0 && !is_before_end(v, x) {
        return Ok(false);
    }
    if step == Value::small_int(1) {
        return Ok(true);
    }
    let offset = ops::arith::binary(heap, types, ops::arith::BinaryOp::Sub, x, start)?;
    let rest = ops::arith::binary(heap, types, ops::arith::BinaryOp::Mod, offset, step)?;
    Ok(order(rest, Value::small_int(0)) == Ordering::Equal)
}

/// The part of a sequence of `len` elements that an index range means: negative positions count from the end, both ends are clamped.
pub fn slice_bounds(v: Value, len: usize) -> OpResult<(usize, usize)> {
    let (start, end, _, inclusive) = range_parts(v);
    let position = |v: Value, default: usize, add: i64| -> usize {
        if v.is_nil() {
            return default;
        }
        let p = match ops::int::to_i64(v) {
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
    let from = position(start, 0, 0);
    let to = position(end, len, if inclusive && !end.is_nil() { 1 } else { 0 });
    Ok((from, to.max(from)))
}

/// Long slices are copied in steps.
fn check_short(length: usize, most: usize) -> OpResult<()> {
    if length > most {
        Err(OpFail::NeedsSteps("__slice_long"))
    } else {
        Ok(())
    }
}

/// `object[index]` for built-in types other than maps.
pub(crate) fn get_index(heap: &mut Heap, object: Value, index: Value) -> OpResult {
    if index.is_kind(Kind::Range) {
        return match object.kind() {
            Some(Kind::List) => {
                let (from, to) = slice_bounds(index, ops::list::len(object))?;
                check_short(to - from, ops::list::LONG_COPY)?;
                ops::list::slice(heap, object, from, to)
            }
            Some(Kind::Tuple) => {
                let (from, to) = slice_bounds(index, ops::list::tuple_items(object).len())?;
                check_short(to - from, ops::list::LONG_COPY)?;
                ops::list::tuple_slice(heap, object, from, to)
            }
            Some(Kind::Str) => {
                let (from, to) = slice_bounds(index, ops::text::char_count(object))?;
                check_short(to - from, ops::text::LONG_COPY)?;
                ops::text::slice(heap, object, from, to)
            }
            Some(Kind::Bytes) => {
                let (from, to) = slice_bounds(index, ops::text::bytes_of(object).len())?;
                check_short(to - from, ops::text::LONG_COPY)?;
                ops::text::bytes_slice(heap, object, from, to)
            }
            _ => Err(OpFail::wrong_type("{0} cannot be sliced", object)),
        };
    }
    match object.kind() {
        Some(Kind::List) => ops::list::get(object, index),
        Some(Kind::Tuple) => ops::list::tuple_get(object, index),
        Some(Kind::Str) => ops::text::index(heap, object, index),
        Some(Kind::Bytes) => ops::text::bytes_index(object, index),
        Some(Kind::Range) if is_closed(object) => {
            let (start, end, step, inclusive) = range_parts(object);
            let (Some(i), Some(start), Some(end), Some(step)) = (
                ops::int::to_i64(index),
                ops::int::to_i64(start),
                ops::int::to_i64(end),
                ops::int::to_i64(step),
            ) else {
                return Err(OpFail::wrong_type(
                    "a range is indexed by an int, got {0}",
                    index,
                ));
            };
            let (start, end, step) = (start as i128, end as i128, step as i128);
            let end = if inclusive { end + step.signum() } else { end };
            let len = ((end - start + step - step.signum()) / step).max(0);
            let at = if i < 0 { i as i128 + len } else { i as i128 };
            if !(0..len).contains(&at) {
                return Err(OpFail::error(
                    ErrorKind::Index,
                    format!("range index {i} is out of range (length {len})"),
                ));
            }
            Ok(ops::int::from_i128(heap, start + at * step))
        }
        None if object.is_nil() => Err(OpFail::error(ErrorKind::Type, "nil cannot be indexed")),
        _ => Err(OpFail::wrong_type("{0} cannot be indexed", object)),
    }
}

/// `object[index] = value` for built-in types other than maps.
pub(crate) fn set_index(
    heap: &mut Heap,
    object: Value,
    index: Value,
    value: Value,
) -> OpResult<()> {
    match object.kind() {
        Some(Kind::List) => ops::list::set(heap, object, index, value),
        None if object.is_nil() => Err(OpFail::error(
            ErrorKind::Type,
            "nil cannot be assigned by index",
        )),
        _ => Err(OpFail::wrong_type(
            "{0} cannot be assigned by index",
            object,
        )),
    }
}
