//! `|`, `&` and `-` of sets. Sets are maps without values; see `map`.

use super::map::{Inserted, Lookup, copy, entries_of, find, insert, len, new_set};
use super::{OpFail, OpResult, TypeLookup};
use crate::heap::Heap;
use crate::value::Value;

/// Sets with more elements than this are combined in steps.
const STEP_ENTRIES: usize = 8 * 1024;

/// `a | b`
pub fn union(heap: &mut Heap, types: &dyn TypeLookup, a: Value, b: Value) -> OpResult {
    check_steps(a, b, "__set_union")?;
    let result = copy(heap, a)?;
    for entry in entries_of(b).iter().filter(|entry| !entry.key.is_unset()) {
        if insert(heap, types, result, entry.key, Value::NIL)? == Inserted::NeedsScript {
            return Err(OpFail::NeedsSteps("__set_union"));
        }
    }
    Ok(result)
}

/// `a & b`, in the order of `a`.
pub fn intersect(heap: &mut Heap, types: &dyn TypeLookup, a: Value, b: Value) -> OpResult {
    check_steps(a, b, "__set_intersect")?;
    select(heap, types, a, b, true, "__set_intersect")
}

/// `a - b`
pub fn difference(heap: &mut Heap, types: &dyn TypeLookup, a: Value, b: Value) -> OpResult {
    check_steps(a, b, "__set_difference")?;
    select(heap, types, a, b, false, "__set_difference")
}

fn check_steps(a: Value, b: Value, steps: &'static str) -> OpResult<()> {
    if len(a) + len(b) > STEP_ENTRIES {
        Err(OpFail::NeedsSteps(steps))
    } else {
        Ok(())
    }
}

/// The elements of `a` that are (or are not) in `b`.
fn select(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    a: Value,
    b: Value,
    in_both: bool,
    steps: &'static str,
) -> OpResult {
    let result = new_set(heap, 0)?;
    for entry in entries_of(a).iter().filter(|entry| !entry.key.is_unset()) {
        let is_there = match find(types, b, entry.key)? {
            Lookup::Found(_) => true,
            Lookup::Missing => false,
            Lookup::NeedsScript => return Err(OpFail::NeedsSteps(steps)),
        };
        if is_there == in_both
            && insert(heap, types, result, entry.key, Value::NIL)? == Inserted::NeedsScript
        {
            return Err(OpFail::NeedsSteps(steps));
        }
    }
    Ok(result)
}
