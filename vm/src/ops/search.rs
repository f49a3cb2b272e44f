//! Searching containers: `v in x`, and lists in steps.

use super::map::Lookup;
use super::{OpFail, OpResult, TypeLookup, compare, int, list, map, range, text};
use crate::heap::Heap;
use crate::object::Kind;
use crate::value::Value;

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
pub fn contains(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    container: Value,
    value: Value,
) -> OpResult<Option<bool>> {
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
            _ if int::is_int(value) => {
                let byte = int::to_i64(value).and_then(|i| u8::try_from(i).ok());
                Ok(Some(byte.is_some_and(|byte| {
                    text::bytes_of(container).contains(&byte)
                })))
            }
            _ => Err(OpFail::wrong_type(
                "only an int or bytes can be in bytes, not {0}",
                value,
            )),
        },
        Some(Kind::Range) => range::contains(heap, container, value).map(Some),
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
