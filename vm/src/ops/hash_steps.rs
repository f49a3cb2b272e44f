//! Hashing in steps: nested values of any depth and size, and methods `hash` of the script's own.
//!
//! The state is a list of the heap, a stack of frames: a container, the position of its next part, the hash so far, and for an
//! entry of a map the hash of its key. A value that contains itself is found when the stack has grown to twice the depth at which
//! the cycle was entered: each new frame is compared with that whose depth is the last power of two.
//!
//! The driver, in words: `start`, then `step` until `Done`: on `Call(f, x)` call `f(x)` and hand the int to the next step.

use super::hash::{Parts, cached, first_of, join, of_simple, parts, store_cached};
use super::int_float;
use super::{OpFail, OpResult, TypeLookup, int, list, method};
use crate::heap::Heap;
use crate::types::ErrorKind;
use crate::value::Value;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HashStep {
    /// The hash.
    Done(u32),
    /// Call `step` again.
    More,
    /// Call this method with this value and hand the int to `step`.
    Call(Value, Value),
}

/// Parts hashed in one step.
const STEP_WORK: usize = 20_000;
/// Values of a frame: container, position (of entries: twice, plus one behind the key), hash so far, hash of the key.
const FRAME: usize = 4;

/// The state in which `value` is about to be hashed; for `step`.
pub fn start(heap: &mut Heap, value: Value) -> OpResult {
    // The first value stands there alone until it is begun.
    list::new(heap, &[value])
}

/// The int that a method `hash` gave, as a hash.
pub fn of_given(types: &dyn TypeLookup, given: Value) -> OpResult<u32> {
    match int::view(given) {
        Some(i) => Ok(int_float::hash(i, types.seed())),
        None => Err(OpFail::wrong_type(
            "a method hash must give an int, not {0}",
            given,
        )),
    }
}

/// A value met on the way.
enum Met {
    Hash(u32),
    /// A frame was pushed for it.
    Begun,
    Call(Value),
}

/// Goes on; `given` is what the call that the last step asked for gave.
pub fn step(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    state: Value,
    given: Option<Value>,
) -> OpResult<HashStep> {
    list::reserve_items(heap, state, FRAME)?;
    let mut finished = match given {
        Some(given) => Some(of_given(types, given)?),
        None => None,
    };
    if let [value] = list::items_of(state) {
        if let Some(hash) = finished {
            return Ok(HashStep::Done(hash));
        }
        let value = *value;
        match meet(heap, types, state, value)? {
            Met::Hash(hash) => return Ok(HashStep::Done(hash)),
            Met::Call(f) => return Ok(HashStep::Call(f, value)),
            Met::Begun => {}
        }
    }
    for _ in 0..STEP_WORK {
        if let Some(hash) = finished.take()
            && let Some(whole) = feed(heap, types, state, hash)?
        {
            return Ok(HashStep::Done(whole));
        }
        if list::reserve_items(heap, state, FRAME).is_err() {
            // The next step fails at its beginning and is run again after a collection.
            return Ok(HashStep::More);
        }
        let Some(part) = next_part(types, state)? else {
            finished = Some(close(types, state)?);
            continue;
        };
        match meet(heap, types, state, part)? {
            Met::Hash(hash) => finished = Some(hash),
            Met::Begun => {}
            Met::Call(f) => return Ok(HashStep::Call(f, part)),
        }
    }
    if let Some(hash) = finished
        && let Some(whole) = feed(heap, types, state, hash)?
    {
        return Ok(HashStep::Done(whole));
    }
    Ok(HashStep::More)
}

/// The first value, at position 0, is followed by frames.
fn top(state: Value) -> Option<(Value, usize, u32, u32)> {
    let items = list::items_of(state);
    let frame = items[1..].rchunks_exact(FRAME).next()?;
    let number = |at: usize| frame[at].as_small_int();
    Some((
        frame[0],
        number(1) as usize,
        number(2) as u32,
        number(3) as u32,
    ))
}

fn set_top(heap: &mut Heap, state: Value, position: usize, hash: u32, key: u32) -> OpResult<()> {
    let from = list::len(state) as i64 - FRAME as i64;
    for (at, number) in [(1, position as i64), (2, hash as i64), (3, key as i64)] {
        list::set(
            heap,
            state,
            Value::small_int(from + at),
            Value::small_int(number),
        )?;
    }
    Ok(())
}

/// Hashes a value, or begins it.
fn meet(heap: &mut Heap, types: &dyn TypeLookup, state: Value, value: Value) -> OpResult<Met> {
    let seed = types.seed();
    if let Some(hash) = of_simple(value, seed)?.or_else(|| cached(value)) {
        return Ok(Met::Hash(hash));
    }
    if let Parts::Script = parts(types, value)? {
        let f = method(types, value, types.operators().hash).unwrap_or(Value::NIL);
        return Ok(Met::Call(f));
    }
    let items = list::items_of(state);
    let depth = items.len() / FRAME;
    if depth > 0 {
        let mark = 1 << depth.ilog2();
        if items[1 + (mark - 1) * FRAME] == value {
            return Err(OpFail::wrong_type(
                "{0} contains itself and cannot be hashed",
                value,
            ));
        }
    }
    let first = Value::small_int(first_of(value, seed) as i64);
    let zero = Value::small_int(0);
    list::extend(heap, state, &[value, zero, first, zero])?;
    Ok(Met::Begun)
}

/// The next part of the topmost frame, `None` behind its last.
fn next_part(types: &dyn TypeLookup, state: Value) -> OpResult<Option<Value>> {
    let Some((value, position, ..)) = top(state) else {
        return Ok(None);
    };
    Ok(match parts(types, value)? {
        Parts::InOrder(items) => items.get(position).copied(),
        Parts::Entries(entries) => {
            // Frozen, so gaps stay where they are; the position was set past them.
            entries
                .get(position / 2)
                .map(|entry| match (entry.key.is_unset(), position % 2) {
                    (true, _) => Value::NIL,
                    (_, 0) => entry.key,
                    _ => entry.value,
                })
        }
        Parts::Script => None,
    })
}

/// Gives the hash of a part to the topmost frame; without one, it is the whole.
fn feed(heap: &mut Heap, types: &dyn TypeLookup, state: Value, hash: u32) -> OpResult<Option<u32>> {
    let seed = types.seed();
    let Some((value, position, so_far, key)) = top(state) else {
        return Ok(Some(hash));
    };
    if let Parts::Entries(entries) = parts(types, value)? {
        let is_gap = entries[position / 2].key.is_unset();
        if position % 2 == 0 {
            set_top(heap, state, position + 1, so_far, hash)?;
        } else {
            // Entries may come in any order: the key slot's sum begins at 0, apart from the first hash.
            let sum = if is_gap {
                so_far
            } else {
                so_far.wrapping_add(join(key, hash, seed))
            };
            set_top(heap, state, position + 1, sum, 0)?;
        }
    } else {
        set_top(heap, state, position + 1, join(so_far, hash, seed), 0)?;
    }
    Ok(None)
}

/// Takes the topmost frame away; gives its hash.
fn close(types: &dyn TypeLookup, state: Value) -> OpResult<u32> {
    let seed = types.seed();
    let Some((value, _, so_far, _)) = top(state) else {
        return Err(OpFail::error(ErrorKind::Value, "nothing to hash"));
    };
    let hash = match parts(types, value)? {
        Parts::Entries(_) => {
            let first = first_of(value, seed);
            join(first, so_far.wrapping_sub(first), seed)
        }
        _ => so_far,
    };
    store_cached(value, hash);
    list::truncate(state, list::len(state) - FRAME)?;
    Ok(hash)
}
