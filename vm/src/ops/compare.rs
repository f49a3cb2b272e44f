//! Equality and order.
//!
//! `==` compares by value: numbers exactly, containers part by part, things without a value of their own by identity.
//! `quick_equal` does everything that needs neither script code nor long work; the rest goes through `compare_steps`.

use super::{TypeLookup, fields_of, list, map, method, text};
use super::{int, int_float};
use crate::object::{
    BoundMethod, Closure, FLAG_FROZEN, Handle, HostObject, Kind, ModuleObject, NativeFunction,
    Range, TaskObject, TypeObject,
};
use crate::value::Value;
use std::cmp::Ordering;

/// How deep `quick_equal` follows nested values.
const QUICK_DEPTH: u32 = 16;
/// How many pairs `quick_equal` compares.
const QUICK_PAIRS: u32 = 4096;

/// Texts and bytes from this length on are compared in steps.
const LONG_TEXT: usize = 4 * 1024 * 1024;

/// Whether it is a text, or bytes, that is compared in steps.
pub(crate) fn is_long_text(value: Value) -> bool {
    text_bytes(value).len() >= LONG_TEXT
}

/// The bytes of a text or of bytes; of anything else there are none.
pub(crate) fn text_bytes<'a>(value: Value) -> &'a [u8] {
    match value.kind() {
        Some(Kind::Str) => text::str_of(value).as_bytes(),
        Some(Kind::Bytes) => text::bytes_of(value),
        _ => &[],
    }
}

/// The captures of a closure, of which the caller knows that it is one.
pub(crate) fn captures_of<'a>(value: Value) -> &'a [Value] {
    let closure = value.as_object().cast::<Closure>();
    // SAFETY: by the layout `aux` values follow the fixed part.
    unsafe { std::slice::from_raw_parts(closure.add(1).cast(), (*closure).header.aux as usize) }
}

/// The outcome of comparing two values without looking at parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shallow {
    Equal,
    Unequal,
    /// Two containers or long texts of one kind and length, or instances of one type: their parts decide.
    Parts,
    /// A method `==` of the left one (or else the right one) decides.
    Script,
}

impl From<bool> for Shallow {
    fn from(equal: bool) -> Shallow {
        if equal {
            Shallow::Equal
        } else {
            Shallow::Unequal
        }
    }
}

/// Compares numbers; `None` if one is no number, `Some(None)` if one is NaN.
#[inline]
pub fn compare_numbers(a: Value, b: Value) -> Option<Option<Ordering>> {
    if a.is_small_int() && b.is_small_int() {
        return Some(Some(a.as_small_int().cmp(&b.as_small_int())));
    }
    match (a.is_float(), b.is_float()) {
        (true, true) => Some(a.as_float().partial_cmp(&b.as_float())),
        (false, true) => Some(int_float::compare_float(int::view(a)?, b.as_float())),
        (true, false) => {
            Some(int_float::compare_float(int::view(b)?, a.as_float()).map(Ordering::reverse))
        }
        (false, false) => Some(Some(int_float::compare(int::view(a)?, int::view(b)?))),
    }
}

/// Compares without looking at parts.
#[inline]
pub(crate) fn shallow(types: &dyn TypeLookup, a: Value, b: Value) -> Shallow {
    if a == b {
        // The same object equals itself; NaN is no object.
        return Shallow::from(!a.is_float() || !a.as_float().is_nan());
    }
    if let Some(order) = compare_numbers(a, b) {
        return Shallow::from(order == Some(Ordering::Equal));
    }
    shallow_objects(types, a, b)
}

fn shallow_objects(types: &dyn TypeLookup, a: Value, b: Value) -> Shallow {
    // Nil calls no user code.
    if a.is_nil() || b.is_nil() {
        return Shallow::Unequal;
    }
    let (left, right) = (a.kind(), b.kind());
    let is_instance = |kind| matches!(kind, Some(Kind::Struct | Kind::Variant));
    if is_instance(left) || is_instance(right) {
        let eq = types.operators().eq;
        let has_method = |value, kind| is_instance(kind) && method(types, value, eq).is_some();
        if has_method(a, left) || has_method(b, right) {
            return Shallow::Script;
        }
        if left != right || a.type_id() != b.type_id() {
            return Shallow::Unequal;
        }
        return Shallow::Parts;
    }
    let (Some(kind), true) = (left, left == right) else {
        return Shallow::Unequal;
    };
    let (x, y) = (a.as_object(), b.as_object());
    // SAFETY: the kind says what both objects are.
    unsafe {
        match kind {
            Kind::Str | Kind::Bytes if is_long_text(a) => {
                (text_bytes(a).len() == text_bytes(b).len()).into_parts()
            }
            Kind::Str => text::equal(a, b).into(),
            Kind::Bytes => (text::bytes_of(a) == text::bytes_of(b)).into(),
            Kind::Duration => (super::duration::view(a) == super::duration::view(b)).into(),
            Kind::Range => {
                let (x, y) = (&*x.cast::<Range>(), &*y.cast::<Range>());
                let same = |a: Value, b: Value| {
                    a == b || compare_numbers(a, b) == Some(Some(Ordering::Equal))
                };
                (x.header.aux == y.header.aux
                    && same(x.start, y.start)
                    && same(x.end, y.end)
                    && same(x.step, y.step))
                .into()
            }
            Kind::Tuple => (list::tuple_items(a).len() == list::tuple_items(b).len()).into_parts(),
            Kind::List => (list::len(a) == list::len(b)).into_parts(),
            Kind::Map | Kind::Set => (map::len(a) == map::len(b)).into_parts(),
            Kind::BoundMethod => {
                let (x, y) = (&*x.cast::<BoundMethod>(), &*y.cast::<BoundMethod>());
                (x.receiver == y.receiver && x.function == y.function).into()
            }
            // A type or module may have several objects.
            Kind::Native => {
                ((*x.cast::<NativeFunction>()).def == (*y.cast::<NativeFunction>()).def).into()
            }
            Kind::Type => ((*x.cast::<TypeObject>()).info == (*y.cast::<TypeObject>()).info).into(),
            Kind::Module => {
                ((*x.cast::<ModuleObject>()).module == (*y.cast::<ModuleObject>()).module).into()
            }
            Kind::Task => ((*x.cast::<TaskObject>()).id == (*y.cast::<TaskObject>()).id).into(),
            Kind::Host => {
                ((*x.cast::<HostObject>()).index == (*y.cast::<HostObject>()).index).into()
            }
            Kind::Handle => ((*x.cast::<Handle>()).target == (*y.cast::<Handle>()).target).into(),
            // Two errors are equal wherever they were thrown.
            Kind::Trace => Shallow::Equal,
            _ => Shallow::Unequal,
        }
    }
}

trait IntoParts {
    fn into_parts(self) -> Shallow;
}

impl IntoParts for bool {
    /// Whether lengths are equal: then the parts decide.
    fn into_parts(self) -> Shallow {
        if self {
            Shallow::Parts
        } else {
            Shallow::Unequal
        }
    }
}

/// The parts of a value that are compared in order; `None` for maps and sets.
pub(crate) fn ordered_parts<'a>(value: Value) -> Option<&'a [Value]> {
    match value.kind() {
        Some(Kind::List) => Some(list::items_of(value)),
        Some(Kind::Tuple) => Some(list::tuple_items(value)),
        Some(Kind::Struct | Kind::Variant) => Some(fields_of(value)),
        _ => None,
    }
}

/// Whether two values are equal; `None` if that takes script code or more than a little work.
#[inline]
pub fn quick_equal(types: &dyn TypeLookup, a: Value, b: Value) -> Option<bool> {
    match shallow(types, a, b) {
        Shallow::Equal => Some(true),
        Shallow::Unequal => Some(false),
        Shallow::Script => None,
        Shallow::Parts => quick_parts(types, a, b, QUICK_DEPTH, &mut { QUICK_PAIRS }),
    }
}

fn quick_nested(
    types: &dyn TypeLookup,
    a: Value,
    b: Value,
    depth: u32,
    budget: &mut u32,
) -> Option<bool> {
    match shallow(types, a, b) {
        Shallow::Equal => Some(true),
        Shallow::Unequal => Some(false),
        Shallow::Script => None,
        Shallow::Parts => quick_parts(types, a, b, depth, budget),
    }
}

fn quick_parts(
    types: &dyn TypeLookup,
    a: Value,
    b: Value,
    depth: u32,
    budget: &mut u32,
) -> Option<bool> {
    if depth == 0 || is_long_text(a) {
        return None;
    }
    if let (Some(left), Some(right)) = (ordered_parts(a), ordered_parts(b)) {
        for (&x, &y) in left.iter().zip(right) {
            *budget = budget.checked_sub(1)?;
            if !is_trace(x, y) && !quick_nested(types, x, y, depth - 1, budget)? {
                return Some(false);
            }
        }
        return Some(left.len() == right.len());
    }
    for entry in map::entries_of(a)
        .iter()
        .filter(|entry| !entry.key.is_unset())
    {
        *budget = budget.checked_sub(1)?;
        let position = match map::find(types, b, entry.key) {
            Ok(map::Lookup::Found(position)) => position,
            Ok(map::Lookup::Missing) => return Some(false),
            _ => return None,
        };
        let other = map::entries_of(b)[position].value;
        if !quick_nested(types, entry.value, other, depth - 1, budget)? {
            return Some(false);
        }
    }
    Some(true)
}

/// The trace of an error, which is no part of its value (and made lazily).
pub(crate) fn is_trace(a: Value, b: Value) -> bool {
    a.is_kind(Kind::Trace) || b.is_kind(Kind::Trace)
}

/// Whether the value has an identity that `same` tells: mutable objects, frozen containers, handles, functions.
pub fn has_identity(types: &dyn TypeLookup, value: Value) -> bool {
    match value.kind() {
        None
        | Some(
            Kind::Int64
            | Kind::BigInt
            | Kind::Duration
            | Kind::Str
            | Kind::Bytes
            | Kind::Tuple
            | Kind::Range
            | Kind::Variant,
        ) => false,
        Some(Kind::Struct) => {
            // SAFETY: the kind says that it is an object.
            let is_frozen = unsafe { (*value.as_object()).has(FLAG_FROZEN) };
            is_frozen
                || types
                    .info(value.type_id())
                    .is_none_or(|info| info.is_mutable)
        }
        Some(_) => true,
    }
}

/// `same(a, b)` where it tells identity; `None` where it is `==`.
pub fn same(types: &dyn TypeLookup, a: Value, b: Value) -> Option<bool> {
    (has_identity(types, a) || has_identity(types, b)).then(|| shallow_identity(a, b))
}

fn shallow_identity(a: Value, b: Value) -> bool {
    if a == b {
        return true;
    }
    let (Some(left), Some(right)) = (a.kind(), b.kind()) else {
        return false;
    };
    if left != right {
        return false;
    }
    let (x, y) = (a.as_object(), b.as_object());
    // SAFETY: the kind says what both objects are.
    unsafe {
        match left {
            Kind::Native => (*x.cast::<NativeFunction>()).def == (*y.cast::<NativeFunction>()).def,
            Kind::Type => (*x.cast::<TypeObject>()).info == (*y.cast::<TypeObject>()).info,
            Kind::Module => {
                (*x.cast::<ModuleObject>()).module == (*y.cast::<ModuleObject>()).module
            }
            Kind::Task => (*x.cast::<TaskObject>()).id == (*y.cast::<TaskObject>()).id,
            Kind::Host => (*x.cast::<HostObject>()).index == (*y.cast::<HostObject>()).index,
            Kind::Handle => (*x.cast::<Handle>()).target == (*y.cast::<Handle>()).target,
            _ => false,
        }
    }
}
