//! Types at run time: one `TypeInfo` per built-in type, struct, enum, variant and trait, named by a 32-bit id that is never used
//! again in an engine. Inline caches compare ids.

use crate::value::Value;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// An interned name of the engine (fields, methods, operators).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sym(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Builtin,
    Struct,
    Enum,
    Variant,
    Trait,
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: Sym,
    pub is_var: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// A closure or native function; shared.
    pub function: Value,
    /// Position in the engine's method table (what an inline cache remembers).
    pub index: u32,
    /// `fn origin()`: called on the type, not on an instance.
    pub has_self: bool,
}

// SAFETY: the values in here are shared (never moved, alive as long as the engine).
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

/// Everything that is known of a type.
pub struct TypeInfo {
    pub id: u32,
    pub name: Box<str>,
    pub shape: Shape,
    /// A variant's enum, an error kind's more general kind.
    pub parent: Option<u32>,
    /// Traits it has (theirs included).
    pub traits: Vec<u32>,
    pub fields: Vec<Field>,
    pub is_error: bool,
    /// Declared in a function, and captures: each time that the declaration runs, it makes a `TypeObject` with what was captured. Instances lead to theirs in
    /// a slot behind their fields.
    pub is_local: bool,
    /// Some field is `var`.
    pub is_mutable: bool,
    pub variants: Vec<u32>,
    pub is_unit: bool,
    pub methods: RwLock<HashMap<Sym, Method>>,
    /// The type as a value; shared.
    pub value: RwLock<Value>,
    /// What calling the type calls; unset: cannot be called.
    pub constructor: LinkedValue,
    /// The one instance of a unit variant.
    pub unit: RwLock<Value>,
}

/// A shared value that is set when a module is linked, and read by every carrier without a lock.
#[derive(Debug)]
pub struct LinkedValue(AtomicU64);

impl LinkedValue {
    pub(crate) fn new(value: Value) -> LinkedValue {
        LinkedValue(AtomicU64::new(value.bits()))
    }
    #[inline(always)]
    pub fn get(&self) -> Value {
        // Acquire: what it leads to was made before it.
        Value::from_bits(self.0.load(Ordering::Acquire))
    }
    pub(crate) fn set(&self, value: Value) {
        self.0.store(value.bits(), Ordering::Release);
    }
}

// SAFETY: the values in here are shared.
unsafe impl Send for TypeInfo {}
// SAFETY: as above.
unsafe impl Sync for TypeInfo {}

impl TypeInfo {
    /// The position of a field.
    pub fn field_index(&self, name: Sym) -> Option<usize> {
        self.fields.iter().position(|f| f.name == name)
    }
    /// A method of this name, with or without `self`.
    pub fn method(&self, name: Sym) -> Option<Method> {
        self.methods.read().get(&name).copied()
    }
}

/// In the order of their type ids from `type_id::ERROR` on.
pub use crate::bytecode::ERROR_KINDS;

/// A built-in kind of error (an index of `ERROR_KINDS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorKind {
    Error,
    Type,
    Value,
    Arithmetic,
    Index,
    Key,
    Match,
    Name,
    Assert,
    StackOverflow,
    Frozen,
    Share,
    Troop,
    Limit,
    Blocking,
    Permission,
    Cancelled,
    Timeout,
    ChannelClosed,
    Deadlock,
    Io,
    StopIteration,
}

impl ErrorKind {
    /// All, in the order of `ERROR_KINDS`.
    pub const ALL: [ErrorKind; ERROR_KINDS.len()] = [
        ErrorKind::Error,
        ErrorKind::Type,
        ErrorKind::Value,
        ErrorKind::Arithmetic,
        ErrorKind::Index,
        ErrorKind::Key,
        ErrorKind::Match,
        ErrorKind::Name,
        ErrorKind::Assert,
        ErrorKind::StackOverflow,
        ErrorKind::Frozen,
        ErrorKind::Share,
        ErrorKind::Troop,
        ErrorKind::Limit,
        ErrorKind::Blocking,
        ErrorKind::Permission,
        ErrorKind::Cancelled,
        ErrorKind::Timeout,
        ErrorKind::ChannelClosed,
        ErrorKind::Deadlock,
        ErrorKind::Io,
        ErrorKind::StopIteration,
    ];
    pub fn type_id(self) -> u32 {
        crate::object::type_id::ERROR + self as u32
    }
    pub fn name(self) -> &'static str {
        ERROR_KINDS[self as usize]
    }
}
