//! What values can do: the slow paths of arithmetic, comparison, hashing and printing, and the algorithms of ints, strings,
//! lists and maps.
//!
//! Invariants: nothing here collects garbage, calls script code, recurses natively by the depth of data, or runs for long.
//! What would need one of these is handed back as an `OpFail` (collect and try again; run it in steps) or as a step to be
//! driven by the caller (`compare`, `hash`, `show`). So values may be held as they are in all of these functions.

pub mod arith;
pub mod compare;
pub mod compare_steps;
pub mod duration;
pub mod float;
pub mod format;
pub use heddle_bytecode::format_spec;
pub mod hash;
pub mod hash_steps;
pub mod int;
pub mod int_bits;
pub(crate) mod int_float;
pub mod int_steps;
pub mod int_text;
pub mod list;
pub mod map;
mod memory;
pub mod range;
pub mod search;
pub mod set;
pub mod show;
pub mod text;

use crate::object::{Instance, Kind, type_id};
use crate::types::{ERROR_KINDS, ErrorKind, Shape, Sym, TypeInfo};
use crate::value::Value;

/// What the engine knows of types and names.
pub trait TypeLookup {
    /// The type of this id; `None` for ids that are not in use.
    fn info(&self, id: u32) -> Option<&TypeInfo>;
    /// The text of a name.
    fn symbol(&self, sym: Sym) -> &str;
    /// The names of the operators that a struct may define.
    fn operators(&self) -> &OperatorNames;
    /// The engine's seed of hashes.
    fn seed(&self) -> u64;
}

/// Names of methods by which a struct defines how it is compared, hashed and printed.
#[derive(Clone, Copy, Debug)]
pub struct OperatorNames {
    /// `==`
    pub eq: Sym,
    /// `<`
    pub lt: Sym,
    /// `hash`
    pub hash: Sym,
    /// `str`
    pub str: Sym,
}

/// The method of a struct or variant value with this name.
pub(crate) fn method(types: &dyn TypeLookup, value: Value, name: Sym) -> Option<Value> {
    let info = types.info(value.type_id())?;
    if let Some(method) = info.method(name) {
        return Some(method.function);
    }
    // A variant has the methods of its enum.
    let parent = types.info(info.parent.filter(|_| info.shape == Shape::Variant)?)?;
    parent.method(name).map(|method| method.function)
}

/// The fields of a struct or variant, of which the caller knows that it is one. Valid until a collection.
#[inline]
pub(crate) fn fields_of<'a>(value: Value) -> &'a [Value] {
    debug_assert!(value.is_kind(Kind::Struct) || value.is_kind(Kind::Variant));
    let object = value.as_object().cast::<Instance>();
    // SAFETY: by the layout `aux` values follow the header.
    unsafe { std::slice::from_raw_parts(object.add(1).cast(), (*object).header.aux as usize) }
}

/// An error to be thrown.
#[derive(Debug, Clone, PartialEq)]
pub struct OpError {
    /// What to throw.
    pub kind: ErrorKind,
    /// `{0}` and `{1}` stand for the names of `types`.
    text: String,
    types: [u32; 2],
}

impl OpError {
    /// An error with this text.
    pub fn new(kind: ErrorKind, text: impl Into<String>) -> OpError {
        OpError {
            kind,
            text: text.into(),
            types: [0; 2],
        }
    }
    /// An error about the types of values: `{0}` and `{1}` in the text become their names.
    pub fn typed(kind: ErrorKind, text: impl Into<String>, a: Value, b: Value) -> OpError {
        OpError {
            kind,
            text: text.into(),
            types: [a.type_id(), b.type_id()],
        }
    }
    /// The text, names of types filled in.
    pub fn message(&self, types: &dyn TypeLookup) -> String {
        if self.types == [0; 2] {
            return self.text.clone();
        }
        let name = |id: u32| match builtin_type_name(id) {
            Some(name) => name,
            None => types.info(id).map_or("object", |info| &info.name),
        };
        let mut message = String::with_capacity(self.text.len() + 32);
        let mut rest = self.text.as_str();
        while let Some((before, behind)) = rest.split_once('{') {
            message.push_str(before);
            (rest, _) = match behind.as_bytes() {
                [b'0', b'}', ..] => (&behind[2..], message.push_str(name(self.types[0]))),
                [b'1', b'}', ..] => (&behind[2..], message.push_str(name(self.types[1]))),
                _ => (behind, message.push('{')),
            };
        }
        message.push_str(rest);
        message
    }
}

/// Why an operation has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum OpFail {
    /// Throw this.
    Error(Box<OpError>),
    /// Nothing has happened yet: collect garbage, so that this many bytes fit the limit, and try again.
    NeedsCollection(usize),
    /// It would take long: call this function of the prelude with the same operands instead.
    NeedsSteps(&'static str),
}

impl OpFail {
    /// An error with this text.
    pub fn error(kind: ErrorKind, text: impl Into<String>) -> OpFail {
        OpFail::Error(Box::new(OpError::new(kind, text)))
    }
    /// An error about the types of values: `{0}` and `{1}` in the text become their names.
    pub fn typed(kind: ErrorKind, text: impl Into<String>, a: Value, b: Value) -> OpFail {
        OpFail::Error(Box::new(OpError::typed(kind, text, a, b)))
    }
    /// A `TypeError` about one value: `{0}` in the text becomes its type's name.
    pub fn wrong_type(text: impl Into<String>, value: Value) -> OpFail {
        OpFail::typed(ErrorKind::Type, text, value, value)
    }
}

/// The outcome of an operation.
pub type OpResult<T = Value> = Result<T, OpFail>;

/// The name of a built-in type, as `type(x)` gives it.
pub fn builtin_type_name(id: u32) -> Option<&'static str> {
    Some(match id {
        type_id::NIL => "nil",
        type_id::BOOL => "bool",
        type_id::INT => "int",
        type_id::FLOAT => "float",
        type_id::STRING => "string",
        type_id::BYTES => "bytes",
        type_id::DURATION => "duration",
        type_id::RANGE => "range",
        type_id::TUPLE => "tuple",
        type_id::LIST => "list",
        type_id::MAP => "map",
        type_id::SET => "set",
        type_id::FUNCTION => "function",
        type_id::TYPE => "type",
        type_id::MODULE => "module",
        type_id::GENERATOR => "generator",
        type_id::ITERATOR => "iterator",
        type_id::TASK => "Task",
        type_id::THREAD => "Thread",
        type_id::CHANNEL => "Channel",
        type_id::SEMAPHORE => "Semaphore",
        type_id::MUTEX => "Mutex",
        type_id::BARRIER => "Barrier",
        type_id::LATCH => "Latch",
        type_id::ATOMIC => "Atomic",
        type_id::TROOP => "Troop",
        type_id::SCOPED => "Scoped",
        type_id::BROADCAST => "Broadcast",
        type_id::SUBSCRIBER => "Subscriber",
        type_id::ONCE => "Once",
        type_id::SHARED_MAP => "SharedMap",
        type_id::THREAD_LOCAL => "ThreadLocal",
        type_id::QUEUE => "Queue",
        type_id::HOST => "host object",
        type_id::INTERNAL => "internal object",
        id => {
            return ERROR_KINDS
                .get(id.checked_sub(type_id::ERROR)? as usize)
                .copied();
        }
    })
}

/// An index in a message that says that it is out of range.
pub(crate) fn shown_index(position: Value) -> String {
    match int::view(position).map(int_text::to_text) {
        Some(Ok(text)) if text.len() <= 40 => text,
        _ => "of many digits".to_owned(),
    }
}

/// The position that an index means in something of `len` parts; negative ones count from the end.
pub(crate) fn checked_index(position: Value, len: usize, what: &str) -> OpResult<usize> {
    let at = match int::view(position) {
        Some(int::Int::Small(i)) => i,
        Some(int::Int::Big { is_negative, .. }) => {
            if is_negative {
                i64::MIN
            } else {
                i64::MAX
            }
        }
        None => {
            return Err(OpFail::wrong_type(
                format!("{what} index must be an int, not {{0}}"),
                position,
            ));
        }
    };
    let from_start = if at < 0 {
        at.saturating_add(len as i64)
    } else {
        at
    };
    if (0..len as i64).contains(&from_start) {
        return Ok(from_start as usize);
    }
    Err(OpFail::error(
        ErrorKind::Index,
        format!(
            "{what} index {} is out of range (length {len})",
            shown_index(position)
        ),
    ))
}

/// Bits of a range's `aux`.
pub mod range_form {
    pub const INCLUSIVE: u16 = 1;
    pub const STEP: u16 = 2;
    pub const OPEN_START: u16 = 4;
    pub const OPEN_END: u16 = 8;
}

#[cfg(test)]
mod tests;
