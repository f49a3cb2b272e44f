//! Hashes: equal values hash alike, `1` and `1.0` too. What is mutable has none.
//!
//! `quick` does everything that needs neither script code nor long work; the rest goes through `hash_steps`.
//! Things without a value of their own (functions, types, tasks …) are equal by identity and hash by what never moves, nor depends on addresses: a
//! name and a place, an id, a number. Hashes differ with the engine's seed, are 32 bits and never 0.

use super::compare::{self};
use super::int;
use super::int_float::{self, hash_word};
use super::{OpFail, OpResult, TypeLookup, fields_of, list, map, method, text};
use crate::module::Proto;
use crate::object::{
    Closure, FLAG_FROZEN, Handle, HostObject, Kind, ModuleObject, NativeFunction, Range,
    TaskObject, Tuple, TypeObject, type_id,
};
use crate::sched::ThreadBlock;
use crate::shared::SharedObject;
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::atomic::Ordering;

/// How deep `quick` follows nested values.
const QUICK_DEPTH: u32 = 16;
/// How many values `quick` looks at.
const QUICK_VALUES: u32 = 4096;

/// Joins the hash of a part to that of the parts before it.
#[inline]
pub(crate) fn join(state: u32, part: u32, seed: u64) -> u32 {
    hash_word((state as u64) << 32 | part as u64, seed)
}

/// What nested hashes begin with: kinds that are never equal differ.
fn first(kind: Kind, type_id: u32, seed: u64) -> u32 {
    hash_word((kind as u64) << 32 | type_id as u64, !seed)
}

/// The hash of an inline int.
#[inline]
pub(crate) fn of_small_int(value: Value, seed: u64) -> u32 {
    hash_word(value.as_small_int() as u64, seed)
}
/// The hash of a value that has no parts; `None` for those that have.
pub(crate) fn of_simple(value: Value, seed: u64) -> OpResult<Option<u32>> {
    if value.is_small_int() {
        return Ok(Some(of_small_int(value, seed)));
    }
    if value.is_float() {
        if value.as_float().is_nan() {
            return Err(OpFail::error(ErrorKind::Value, "nan cannot be a key"));
        }
        return Ok(Some(int_float::hash_float(value.as_float(), seed)));
    }
    let Some(kind) = value.kind() else {
        return Ok(Some(hash_word(value.bits(), !seed)));
    };
    let object = value.as_object();
    // SAFETY: the kind says what the object is.
    let identity = unsafe {
        match kind {
            Kind::Int64 | Kind::BigInt => {
                return Ok(int::view(value).map(|i| int_float::hash(i, seed)));
            }
            Kind::Str => return Ok(Some(text::hash(value, seed))),
            Kind::Bytes => return Ok(Some(text::hash_of_bytes(value, seed))),
            Kind::Duration => super::duration::view(value).unwrap_or(0) as u64,
            Kind::Range => {
                let range = &*object.cast::<Range>();
                let mut state = first(kind, range.header.aux as u32, seed);
                for part in [range.start, range.end, range.step] {
                    state = join(state, of_simple(part, seed)?.unwrap_or(1), seed);
                }
                return Ok(Some(state));
            }
            // Closures of one prototype differ by what they captured.
            Kind::Closure => {
                let closure = &*object.cast::<Closure>();
                let mut state = hash_of_function(&*closure.proto(), seed);
                for capture in compare::captures_of(value) {
                    if !capture.is_object() || capture.is_kind(Kind::Str) {
                        state = join(
                            state,
                            of_simple(*capture, seed).ok().flatten().unwrap_or(1),
                            seed,
                        );
                    }
                }
                return Ok(Some(state));
            }
            Kind::Native => {
                return Ok(Some(hash_of_name(
                    (*(*object.cast::<NativeFunction>()).def).name,
                    seed,
                )));
            }
            Kind::Type => u64::from((*(*object.cast::<TypeObject>()).info).id),
            Kind::Module => {
                return Ok(Some(hash_of_name(
                    &(*(*object.cast::<ModuleObject>()).module).name,
                    seed,
                )));
            }
            Kind::Task => (*object.cast::<TaskObject>()).id,
            Kind::Host => (*object.cast::<HostObject>()).index,
            Kind::Handle => {
                let target = (*object.cast::<Handle>()).target;
                match (*object).type_id {
                    type_id::THREAD => (*target.cast::<ThreadBlock>()).id,
                    // There is one.
                    type_id::TROOP => 0,
                    _ => u64::from((*target.cast::<SharedObject>()).number()),
                }
            }
            Kind::BoundMethod => {
                let bound = &*object.cast::<crate::object::BoundMethod>();
                return of_simple(bound.function, seed);
            }
            Kind::Tuple | Kind::List | Kind::Map | Kind::Set | Kind::Struct | Kind::Variant => {
                return Ok(None);
            }
            _ => return Err(mutable(value)),
        }
    };
    Ok(Some(hash_word(
        identity,
        first(kind, 0, seed) as u64 ^ seed,
    )))
}

/// The hash of a function without what it has captured. Not by its address, nor those of names: a run under a seed could not be repeated.
fn hash_of_function(proto: &Proto, seed: u64) -> u32 {
    let span = u64::from(proto.span.start) << 32 | u64::from(proto.span.end);
    join(hash_of_name(&proto.name, seed), hash_word(span, seed), seed)
}
fn hash_of_name(name: &str, seed: u64) -> u32 {
    // Not that of the text.
    let seed = seed ^ u64::from(first(Kind::Native, 0, seed));
    text::hash_bytes(name.as_bytes(), seed)
}

/// The `TypeError` for what may change and so has no hash.
#[cold]
fn mutable(value: Value) -> OpFail {
    let text = match value.kind() {
        Some(Kind::List | Kind::Map | Kind::Set | Kind::Struct) => {
            "{0} is mutable and cannot be a key; freeze() it"
        }
        _ => "{0} cannot be a key",
    };
    OpFail::wrong_type(text, value)
}

/// How the hash of a value with parts is made.
pub(crate) enum Parts<'a> {
    /// One after the other.
    InOrder(&'a [Value]),
    /// Of a frozen map or set: in any order.
    Entries(&'a [crate::object::Entry]),
    /// By its own method.
    Script,
}

/// What the hash of a value with parts is made of; a `TypeError` if it is mutable.
pub(crate) fn parts<'a>(types: &dyn TypeLookup, value: Value) -> OpResult<Parts<'a>> {
    // SAFETY: the callers know that it is an object.
    let is_frozen = unsafe { (*value.as_object()).has(FLAG_FROZEN) };
    match value.kind() {
        Some(Kind::Tuple) => Ok(Parts::InOrder(list::tuple_items(value))),
        Some(Kind::List) if is_frozen => Ok(Parts::InOrder(list::items_of(value))),
        Some(Kind::Map | Kind::Set) if is_frozen => Ok(Parts::Entries(map::entries_of(value))),
        Some(Kind::Struct | Kind::Variant) => {
            let info = types.info(value.type_id());
            if info.is_none_or(|info| info.is_mutable) && !is_frozen {
                return Err(mutable(value));
            }
            let names = types.operators();
            if method(types, value, names.hash).is_some() {
                return Ok(Parts::Script);
            }
            if method(types, value, names.eq).is_some() {
                return Err(OpFail::wrong_type(
                    "{0} cannot be a key: it defines == but not hash",
                    value,
                ));
            }
            if info.is_some_and(|info| info.is_error) && !is_frozen {
                return Err(mutable(value));
            }
            Ok(Parts::InOrder(fields_of(value)))
        }
        _ => Err(mutable(value)),
    }
}

/// The hash of a value; `None` if that takes script code or more than a little work. `TypeError` for what is mutable,
/// `ValueError` for NaN.
#[inline]
pub fn quick(types: &dyn TypeLookup, value: Value) -> OpResult<Option<u32>> {
    let seed = types.seed();
    match of_simple(value, seed)? {
        Some(hash) => Ok(Some(hash)),
        None => quick_nested(types, value, seed, QUICK_DEPTH, &mut { QUICK_VALUES }),
    }
}

fn quick_nested(
    types: &dyn TypeLookup,
    value: Value,
    seed: u64,
    depth: u32,
    budget: &mut u32,
) -> OpResult<Option<u32>> {
    if let Some(hash) = of_simple(value, seed)? {
        *budget = budget.saturating_sub(1);
        return Ok(Some(hash));
    }
    if let Some(hash) = cached(value) {
        return Ok(Some(hash));
    }
    if depth == 0 || *budget == 0 {
        return Ok(None);
    }
    let mut state = first_of(value, seed);
    match parts(types, value)? {
        Parts::Script => return Ok(None),
        Parts::InOrder(items) => {
            if items.len() > *budget as usize {
                return Ok(None);
            }
            for &item in items {
                match quick_nested(types, item, seed, depth - 1, budget)? {
                    Some(hash) => state = join(state, hash, seed),
                    None => return Ok(None),
                }
            }
        }
        Parts::Entries(entries) => {
            if entries.len() > *budget as usize {
                return Ok(None);
            }
            let mut sum = 0u32;
            for entry in entries.iter().filter(|entry| !entry.key.is_unset()) {
                let key = quick_nested(types, entry.key, seed, depth - 1, budget)?;
                let element = quick_nested(types, entry.value, seed, depth - 1, budget)?;
                let (Some(key), Some(element)) = (key, element) else {
                    return Ok(None);
                };
                sum = sum.wrapping_add(join(key, element, seed));
            }
            state = join(state, sum, seed);
        }
    }
    store_cached(value, state);
    Ok(Some(state))
}

pub(crate) fn first_of(value: Value, seed: u64) -> u32 {
    let kind = value.kind().unwrap_or(Kind::Tuple);
    first(kind, value.type_id(), seed)
}

/// The hash that a tuple remembers.
pub(crate) fn cached(value: Value) -> Option<u32> {
    if !value.is_kind(Kind::Tuple) {
        return None;
    }
    // SAFETY: a live tuple.
    let hash = unsafe {
        (*value.as_object().cast::<Tuple>())
            .hash
            .load(Ordering::Relaxed)
    };
    (hash != 0).then_some(hash)
}

pub(crate) fn store_cached(value: Value, hash: u32) {
    if value.is_kind(Kind::Tuple) {
        // SAFETY: a live tuple; several carriers may store the same.
        unsafe {
            (*value.as_object().cast::<Tuple>())
                .hash
                .store(hash, Ordering::Relaxed)
        };
    }
}
