//! `x[i]`, `x[i] = v` and `v in x` for built-in values.

use super::map::{Inserted, Lookup};
use super::{OpFail, OpResult, TypeLookup, compare, list, map, range, show, slice_bounds, text};
use crate::heap::Heap;
use crate::object::Kind;
use crate::types::ErrorKind;
use crate::value::Value;

/// The `KeyError` for a key that is not there.
#[cold]
pub fn missing_key(types: &dyn TypeLookup, key: Value) -> OpFail {
    OpFail::error(
        ErrorKind::Key,
        format!("key {} is not there", show::short(types, key, 60)),
    )
}

/// `object[key]`; `None` if only script code can tell (`hash` or `==` of a key).
pub fn get(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    object: Value,
    key: Value,
) -> OpResult<Option<Value>> {
    let is_slice = key.is_kind(Kind::Range);
    let result = match object.kind() {
        Some(Kind::List) if !is_slice => list::get(object, key),
        Some(Kind::Map) => {
            return match map::get(types, object, key)? {
                Lookup::Found(value) => Ok(Some(value)),
                Lookup::Missing => Err(missing_key(types, key)),
                Lookup::NeedsScript => Ok(None),
            };
        }
        Some(Kind::Tuple) if !is_slice => list::tuple_get(object, key),
        Some(Kind::Str) if !is_slice => text::index(heap, object, key),
        Some(Kind::Bytes) if !is_slice => text::bytes_index(object, key),
        Some(Kind::Range) if !is_slice => range::index(heap, object, key),
        Some(Kind::List | Kind::Tuple | Kind::Str | Kind::Bytes) => slice(heap, object, key),
        _ => Err(OpFail::wrong_type("{0} has no elements to index", object)),
    };
    result.map(Some)
}

/// `object[range]`
fn slice(heap: &mut Heap, object: Value, range: Value) -> OpResult {
    let len = match object.kind() {
        Some(Kind::Str) => text::char_count(object),
        Some(Kind::Bytes) => text::bytes_of(object).len(),
        _ => list::sequence_items(object).map_or(0, |items| items.len()),
    };
    let (from, to) = slice_bounds(range, len)?;
    match object.kind() {
        Some(Kind::Str) => text::slice(heap, object, from, to),
        Some(Kind::Bytes) => text::bytes_slice(heap, object, from, to),
        Some(Kind::Tuple) => list::tuple_slice(heap, object, from, to),
        _ => list::slice(heap, object, from, to),
    }
}

/// `object[key] = value`; false if only script code can tell (`hash` or `==` of a key).
pub fn set(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    object: Value,
    key: Value,
    value: Value,
) -> OpResult<bool> {
    match object.kind() {
        Some(Kind::List) => list::set(heap, object, key, value).map(|()| true),
        Some(Kind::Map) => {
            Ok(map::insert(heap, types, object, key, value)? != Inserted::NeedsScript)
        }
        Some(Kind::Tuple | Kind::Str | Kind::Bytes | Kind::Range) => {
            Err(OpFail::wrong_type("{0} cannot be changed", object))
        }
        _ => Err(OpFail::wrong_type(
            "{0} has no elements to assign to",
            object,
        )),
    }
}

/// How far a search came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    Found(usize),
    NotFound,
    /// Go on from this position: enough for one step.
    More(usize),
    /// Script code must compare the element at this position; then go on behind it.
    NeedsScript(usize),
}

/// Elements looked at in one step of `scan`.
const STEP_ELEMENTS: usize = 50_000;

/// Searches for an equal element, from a position on.
pub fn scan(types: &dyn TypeLookup, items: &[Value], from: usize, value: Value) -> Scan {
    let to = items.len().min(from.saturating_add(STEP_ELEMENTS));
    for (at, &item) in items.iter().enumerate().take(to).skip(from) {
        match compare::quick_equal(types, item, value) {
            Some(true) => return Scan::Found(at),
            Some(false) => {}
            None => return Scan::NeedsScript(at),
        }
    }
    if to < items.len() {
        Scan::More(to)
    } else {
        Scan::NotFound
    }
}

/// `value in container`; `None` if it takes script code or long: search in steps (`scan`) or by `==`.
pub fn contains(types: &dyn TypeLookup, container: Value, value: Value) -> OpResult<Option<bool>> {
    match container.kind() {
        Some(Kind::Map | Kind::Set) => Ok(match map::find(types, container, value)? {
            Lookup::Found(_) => Some(true),
            Lookup::Missing => Some(false),
            Lookup::NeedsScript => None,
        }),
        Some(Kind::Str) => match text::as_str(value) {
            Some(part) => Ok(Some(text::str_of(container).contains(part))),
            None => Err(OpFail::wrong_type(
                "only a string can be in a string, not {0}",
                value,
            )),
        },
        Some(Kind::Bytes) => match value.kind() {
            Some(Kind::Bytes) => {
                let part = text::bytes_of(value);
                let found = part.is_empty()
                    || text::bytes_of(container)
                        .windows(part.len())
                        .any(|window| window == part);
                Ok(Some(found))
            }
            _ if value.is_small_int() => {
                let byte = u8::try_from(value.as_small_int()).ok();
                Ok(Some(byte.is_some_and(|byte| {
                    text::bytes_of(container).contains(&byte)
                })))
            }
            _ => Err(OpFail::wrong_type(
                "only an int or bytes can be in bytes, not {0}",
                value,
            )),
        },
        Some(Kind::Range) => Ok(Some(range::contains(container, value))),
        Some(Kind::List | Kind::Tuple) => {
            let items = list::sequence_items(container).unwrap_or(&[]);
            Ok(match scan(types, items, 0, value) {
                Scan::Found(_) => Some(true),
                Scan::NotFound => Some(false),
                Scan::More(_) | Scan::NeedsScript(_) => None,
            })
        }
        _ => Err(OpFail::wrong_type(
            "{0} is no container to search in",
            container,
        )),
    }
}
