//! Reading and writing by index: `xs[i]`, `xs[a..b]`, `s[i]`.

use crate::heap::Heap;
use crate::object::Kind;
use crate::ops::{self, OpFail, OpResult, range};
use crate::types::ErrorKind;
use crate::value::Value;

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
    if object.is_kind(Kind::Str) && ops::text::needs_table(object) {
        return Err(OpFail::NeedsSteps("__index_with_table"));
    }
    if index.is_kind(Kind::Range) {
        return match object.kind() {
            Some(Kind::List) => {
                let (from, to) = range::slice_bounds(index, ops::list::len(object))?;
                check_short(to - from, ops::list::LONG_COPY)?;
                ops::list::slice(heap, object, from, to)
            }
            Some(Kind::Tuple) => {
                let (from, to) = range::slice_bounds(index, ops::list::tuple_items(object).len())?;
                check_short(to - from, ops::list::LONG_COPY)?;
                ops::list::tuple_slice(heap, object, from, to)
            }
            Some(Kind::Str) => {
                let (from, to) = range::slice_bounds(index, ops::text::char_count(object))?;
                check_short(to - from, ops::text::LONG_COPY)?;
                ops::text::slice(heap, object, from, to)
            }
            Some(Kind::Bytes) => {
                let (from, to) = range::slice_bounds(index, ops::text::bytes_of(object).len())?;
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
        Some(Kind::Range) if range::is_closed(object) => range::get(heap, object, index),
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
