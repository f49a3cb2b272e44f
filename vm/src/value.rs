//! A value: 8 bytes, `Copy`, a NaN-box.
//!
//! | bits 63–48 | what |
//! | --- | --- |
//! | ≤ `0xFFF8` (with payload 0 for `0xFFF8`) | a float, as it is |
//! | `0xFFFA` | nil, false, true, unset |
//! | `0xFFFC` | pointer to an object of this thread's heap (*local*) |
//! | `0xFFFD` | pointer to a *shared* object: permanent or in a bundle; never moves |
//! | `0xFFFE` | a duration of a 48-bit signed number of nanoseconds (39 hours) |
//! | `0xFFFF` | a 48-bit signed int |
//!
//! Invariant: an int that fits 48 bits is always inline, one that fits 64 bits always an `Int64` object, so equal ints have
//! one form. So do durations: one that fits 48 bits is always inline. A float NaN always has a payload that reads as a float.
//!
//! A `Value` is only a number: what it points to is alive as long as the heap it came from has not collected without it among
//! its roots. Collections happen only at safepoints of the interpreter and inside `Ctx::call` (see `heap`), never during an
//! allocation, so natives and slow paths may hold values across allocations.

use crate::object::Header;

/// A value of the language.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Value(pub(crate) u64);

pub(crate) const TAG_SHIFT: u32 = 48;
const PAYLOAD: u64 = (1 << TAG_SHIFT) - 1;
const TAG_SPECIAL: u64 = 0xFFFA << TAG_SHIFT;
const TAG_LOCAL: u64 = 0xFFFC << TAG_SHIFT;
const TAG_SHARED: u64 = 0xFFFD << TAG_SHIFT;
const TAG_DURATION: u64 = 0xFFFE << TAG_SHIFT;
pub(crate) const TAG_INT: u64 = 0xFFFF << TAG_SHIFT;
const MAX_FLOAT: u64 = 0xFFF8 << TAG_SHIFT;

/// The largest int that is stored inline.
pub const MAX_SMALL_INT: i64 = (1 << 47) - 1;
/// The smallest int that is stored inline.
pub const MIN_SMALL_INT: i64 = -(1 << 47);

impl Default for Value {
    fn default() -> Value {
        Value::NIL
    }
}

impl Value {
    pub const NIL: Value = Value(TAG_SPECIAL);
    pub const FALSE: Value = Value(TAG_SPECIAL | 1);
    pub const TRUE: Value = Value(TAG_SPECIAL | 2);
    /// An argument that was not given, a variable not yet set, a removed map entry: never seen by programs.
    pub const UNSET: Value = Value(TAG_SPECIAL | 3);

    #[inline(always)]
    pub fn bool(b: bool) -> Value {
        Value(TAG_SPECIAL + 1 + b as u64)
    }
    /// `i` must fit 48 bits.
    #[inline(always)]
    pub fn small_int(i: i64) -> Value {
        debug_assert!((MIN_SMALL_INT..=MAX_SMALL_INT).contains(&i));
        Value(TAG_INT | (i as u64 & PAYLOAD))
    }
    /// `Some` if `i` fits 48 bits.
    #[inline(always)]
    pub fn try_small_int(i: i64) -> Option<Value> {
        if (i << 16) >> 16 == i {
            Some(Value::small_int(i))
        } else {
            None
        }
    }
    /// `Some` if so many nanoseconds fit 48 bits; else a duration is an object.
    #[inline(always)]
    pub(crate) fn try_small_duration(ns: i64) -> Option<Value> {
        if (ns << 16) >> 16 == ns {
            Some(Value(TAG_DURATION | (ns as u64 & PAYLOAD)))
        } else {
            None
        }
    }
    #[inline(always)]
    pub fn float(f: f64) -> Value {
        let bits = f.to_bits();
        Value(if bits > MAX_FLOAT { MAX_FLOAT } else { bits })
    }
    /// A float that is the result of arithmetic on floats: the hardware's NaNs need no check.
    #[inline(always)]
    pub(crate) fn float_result(f: f64) -> Value {
        Value(f.to_bits())
    }
    #[inline(always)]
    pub(crate) fn local(object: *mut Header) -> Value {
        Value(TAG_LOCAL | object as u64)
    }
    #[inline(always)]
    pub(crate) fn shared(object: *mut Header) -> Value {
        Value(TAG_SHARED | object as u64)
    }
    #[inline(always)]
    pub fn bits(self) -> u64 {
        self.0
    }
    #[inline(always)]
    pub(crate) fn from_bits(bits: u64) -> Value {
        Value(bits)
    }

    #[inline(always)]
    pub fn is_nil(self) -> bool {
        self.0 == Value::NIL.0
    }
    #[inline(always)]
    pub fn is_unset(self) -> bool {
        self.0 == Value::UNSET.0
    }
    #[inline(always)]
    pub fn is_bool(self) -> bool {
        self.0.wrapping_sub(Value::FALSE.0) <= 1
    }
    /// nil and false are falsy, everything else is truthy.
    #[inline(always)]
    pub fn is_truthy(self) -> bool {
        self.0 & !1 != Value::NIL.0
    }
    #[inline(always)]
    pub fn is_small_int(self) -> bool {
        self.0 >= TAG_INT
    }
    #[inline(always)]
    pub fn is_float(self) -> bool {
        self.0 <= MAX_FLOAT
    }
    /// Points to an object, local or shared.
    #[inline(always)]
    pub fn is_object(self) -> bool {
        self.0 >> 49 == 0x7FFE
    }
    #[inline(always)]
    pub fn is_local(self) -> bool {
        self.0 >> TAG_SHIFT == 0xFFFC
    }
    #[inline(always)]
    pub fn is_shared(self) -> bool {
        self.0 >> TAG_SHIFT == 0xFFFD
    }
    #[inline(always)]
    pub(crate) fn is_small_duration(self) -> bool {
        self.0 >> TAG_SHIFT == 0xFFFE
    }
    /// The nanoseconds in a value for which `is_small_duration` holds.
    #[inline(always)]
    pub(crate) fn as_small_duration(self) -> i64 {
        debug_assert!(self.is_small_duration());
        ((self.0 << 16) as i64) >> 16
    }
    /// The int in a value for which `is_small_int` holds.
    #[inline(always)]
    pub fn as_small_int(self) -> i64 {
        debug_assert!(self.is_small_int());
        ((self.0 << 16) as i64) >> 16
    }
    /// The float in a value for which `is_float` holds.
    #[inline(always)]
    pub fn as_float(self) -> f64 {
        debug_assert!(self.is_float());
        f64::from_bits(self.0)
    }
    /// The object of a value for which `is_object` holds.
    #[inline(always)]
    pub(crate) fn as_object(self) -> *mut Header {
        debug_assert!(self.is_object(), "{self:?} is no object");
        (self.0 & PAYLOAD) as *mut Header
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Value::NIL => f.write_str("nil"),
            Value::FALSE => f.write_str("false"),
            Value::TRUE => f.write_str("true"),
            Value::UNSET => f.write_str("unset"),
            v if v.is_small_int() => write!(f, "{}", v.as_small_int()),
            v if v.is_float() => write!(f, "{:?}", v.as_float()),
            v if v.is_small_duration() => write!(f, "{}ns", v.as_small_duration()),
            v => write!(f, "object {:#x}", v.0),
        }
    }
}
