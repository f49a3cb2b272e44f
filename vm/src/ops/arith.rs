//! The binary and unary operators on built-in values. Operands with methods of the script's own are the caller's matter.

use super::int::{self, Int};
use super::{OpFail, OpResult, TypeLookup, duration, float, list, set, text};
use super::{int_bits, int_float, int_steps};
use crate::heap::Heap;
use crate::object::Kind;
use crate::types::ErrorKind;
use crate::value::Value;

/// A binary operator that is no comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
}

impl BinaryOp {
    /// As it is written, which is also the name of the method that defines it for a struct.
    pub fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::FloorDiv => "//",
            BinaryOp::Mod => "%",
            BinaryOp::Pow => "**",
            BinaryOp::BitAnd => "&",
            BinaryOp::BitOr => "|",
            BinaryOp::BitXor => "^",
            BinaryOp::Shl => "<<",
            BinaryOp::Shr => ">>",
        }
    }
    fn is_bitwise(self) -> bool {
        matches!(
            self,
            BinaryOp::BitAnd | BinaryOp::BitOr | BinaryOp::BitXor | BinaryOp::Shl | BinaryOp::Shr
        )
    }
}

/// `a op b`.
#[inline]
pub fn binary(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    op: BinaryOp,
    a: Value,
    b: Value,
) -> OpResult {
    if a.is_float()
        && b.is_float()
        && let Some(result) = float_binary(op, a.as_float(), b.as_float())
    {
        return Ok(Value::float(result));
    }
    binary_slow(heap, types, op, a, b)
}

#[inline(never)]
fn binary_slow(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    op: BinaryOp,
    a: Value,
    b: Value,
) -> OpResult {
    match (int::view(a), int::view(b)) {
        (Some(x), Some(y)) => return int_binary(heap, op, x, y),
        (None, None) if !a.is_float() && !b.is_float() => {}
        _ => {
            if let (Some(x), Some(y)) = (float::number(a), float::number(b))
                && let Some(result) = float_binary(op, x, y)
            {
                return Ok(Value::float(result));
            }
        }
    }
    if let Some(result) = object_binary(heap, types, op, a, b) {
        return result;
    }
    Err(wrong_operands(op, a, b))
}

/// `None` for the operators that floats do not have.
#[inline]
fn float_binary(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::FloorDiv => float::floor_div(a, b),
        BinaryOp::Mod => float::modulo(a, b),
        BinaryOp::Pow => a.powf(b),
        _ => return None,
    })
}

/// The number behind `number` in a range: at once, as loops have it.
pub(crate) fn step_on(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    number: Value,
    by: Value,
) -> OpResult {
    match (int::view(number), int::view(by)) {
        (Some(number), Some(by)) => int::add(heap, number, by),
        _ => binary(heap, types, BinaryOp::Add, number, by),
    }
}

fn int_binary(heap: &mut Heap, op: BinaryOp, a: Int, b: Int) -> OpResult {
    if let Some(steps) = int_steps::by_steps(op, a, b) {
        return Err(OpFail::NeedsSteps(steps));
    }
    match op {
        BinaryOp::Add => int::add(heap, a, b),
        BinaryOp::Sub => int::sub(heap, a, b),
        BinaryOp::Mul => int::mul(heap, a, b),
        BinaryOp::Div => int_float::true_div(a, b).map(Value::float),
        BinaryOp::FloorDiv => int::floor_div(heap, a, b),
        BinaryOp::Mod => int::modulo(heap, a, b),
        BinaryOp::Pow => int::pow(heap, a, b),
        BinaryOp::BitAnd => int_bits::and(heap, a, b),
        BinaryOp::BitOr => int_bits::or(heap, a, b),
        BinaryOp::BitXor => int_bits::xor(heap, a, b),
        BinaryOp::Shl => int_bits::shl(heap, a, b),
        BinaryOp::Shr => int_bits::shr(heap, a, b),
    }
}

/// Operators of which at least one operand is neither int nor float; `None` if there is no such operator.
fn object_binary(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    op: BinaryOp,
    a: Value,
    b: Value,
) -> Option<OpResult> {
    if duration::view(a).is_some() || duration::view(b).is_some() {
        return duration::binary(heap, op, a, b);
    }
    match (op, a.kind(), b.kind()) {
        (BinaryOp::Add, Some(Kind::Str), Some(Kind::Str)) => Some(text::concat(heap, &[a, b])),
        (BinaryOp::Add, Some(Kind::Bytes), Some(Kind::Bytes)) => {
            Some(text::concat_bytes(heap, a, b))
        }
        (BinaryOp::Add, Some(Kind::List), Some(Kind::List)) => Some(list::concat(heap, a, b)),
        (BinaryOp::Add, Some(Kind::Tuple), Some(Kind::Tuple)) => {
            Some(list::concat_tuples(heap, a, b))
        }
        (BinaryOp::Mul, Some(Kind::Str | Kind::Bytes | Kind::List | Kind::Tuple), _) => {
            repeat(heap, a, b)
        }
        (BinaryOp::Mul, _, Some(Kind::Str | Kind::Bytes | Kind::List | Kind::Tuple)) => {
            repeat(heap, b, a)
        }
        (BinaryOp::BitAnd, Some(Kind::Set), Some(Kind::Set)) => {
            Some(set::intersect(heap, types, a, b))
        }
        (BinaryOp::BitOr, Some(Kind::Set), Some(Kind::Set)) => Some(set::union(heap, types, a, b)),
        (BinaryOp::Sub, Some(Kind::Set), Some(Kind::Set)) => {
            Some(set::difference(heap, types, a, b))
        }
        _ => None,
    }
}

/// `sequence * count`; a negative count is none.
fn repeat(heap: &mut Heap, sequence: Value, count: Value) -> Option<OpResult> {
    let count = match int::view(count)? {
        Int::Small(i) => i.max(0) as u64,
        Int::Big {
            is_negative: true, ..
        } => 0,
        Int::Big { .. } => u64::MAX,
    };
    Some(match sequence.kind() {
        Some(Kind::Str) => text::repeat(heap, sequence, count),
        Some(Kind::Bytes) => text::repeat_bytes(heap, sequence, count),
        Some(Kind::Tuple) => list::repeat_tuple(heap, sequence, count),
        _ => list::repeat(heap, sequence, count),
    })
}

/// The `TypeError` for operands that an operator does not take.
#[cold]
pub fn wrong_operands(op: BinaryOp, a: Value, b: Value) -> OpFail {
    let text = match op {
        BinaryOp::Add => "cannot add {0} and {1}".to_string(),
        BinaryOp::Sub => "cannot subtract {1} from {0}".to_string(),
        BinaryOp::Mul => "cannot multiply {0} and {1}".to_string(),
        BinaryOp::Div | BinaryOp::FloorDiv => "cannot divide {0} by {1}".to_string(),
        BinaryOp::Mod => "cannot take {0} modulo {1}".to_string(),
        BinaryOp::Pow => "cannot raise {0} to the power of {1}".to_string(),
        op => format!("cannot apply {} to {{0}} and {{1}}", op.symbol()),
    };
    debug_assert!(op.is_bitwise() || !text.contains("apply"));
    OpFail::typed(ErrorKind::Type, text, a, b)
}

/// `-a`
pub fn neg(heap: &mut Heap, a: Value) -> OpResult {
    if a.is_float() {
        return Ok(Value::float(-a.as_float()));
    }
    if let Some(i) = int::view(a) {
        if int_steps::is_long(i) {
            return Err(OpFail::NeedsSteps("__int_neg"));
        }
        return int::neg(heap, i);
    }
    match duration::view(a) {
        Some(ns) => duration::from_i128(heap, -(ns as i128)),
        None => Err(OpFail::wrong_type("cannot negate {0}", a)),
    }
}

/// `~a`
pub fn bit_not(heap: &mut Heap, a: Value) -> OpResult {
    match int::view(a) {
        Some(i) if int_steps::is_long(i) => Err(OpFail::NeedsSteps("__int_not")),
        Some(i) => int_bits::not(heap, i),
        None => Err(OpFail::wrong_type("cannot apply ~ to {0}", a)),
    }
}
