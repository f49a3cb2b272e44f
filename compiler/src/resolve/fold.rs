//! Arithmetic on literals, done once instead of at every run, where it cannot fail and no digit is lost.

use crate::ast::{BinaryOp, UnaryOp};

/// A number known at compile time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Literal {
    Int(i64),
    Float(f64),
}

/// Ints up to here are floats exactly.
const EXACT_IN_FLOAT: i64 = 1 << 53;

impl Literal {
    fn as_float(self) -> Option<f64> {
        match self {
            Literal::Float(value) => Some(value),
            Literal::Int(value) => (-EXACT_IN_FLOAT..=EXACT_IN_FLOAT)
                .contains(&value)
                .then_some(value as f64),
        }
    }
    /// The whole number with which comparing gives the same answers.
    pub(crate) fn as_compared_int(self) -> Option<i64> {
        match self {
            Literal::Int(value) => Some(value),
            Literal::Float(value) => {
                let whole = value as i64;
                (whole as f64 == value && whole.unsigned_abs() < EXACT_IN_FLOAT.unsigned_abs())
                    .then_some(whole)
            }
        }
    }
}

pub(crate) fn fold_unary(op: UnaryOp, value: Literal) -> Option<Literal> {
    match (op, value) {
        (UnaryOp::Neg, Literal::Int(value)) => value.checked_neg().map(Literal::Int),
        (UnaryOp::Neg, Literal::Float(value)) => Some(Literal::Float(-value)),
        (UnaryOp::BitNot, Literal::Int(value)) => Some(Literal::Int(!value)),
        _ => None,
    }
}

pub(crate) fn fold_binary(op: BinaryOp, left: Literal, right: Literal) -> Option<Literal> {
    if let (Literal::Int(a), Literal::Int(b)) = (left, right) {
        return fold_ints(op, a, b);
    }
    let (a, b) = (left.as_float()?, right.as_float()?);
    let value = match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        // `//`, `%` and `**` of floats are left to the VM, whose rounding is the definition.
        _ => return None,
    };
    Some(Literal::Float(value))
}

fn fold_ints(op: BinaryOp, a: i64, b: i64) -> Option<Literal> {
    let value = match op {
        BinaryOp::Add => a.checked_add(b)?,
        BinaryOp::Sub => a.checked_sub(b)?,
        BinaryOp::Mul => a.checked_mul(b)?,
        BinaryOp::Div => {
            if b == 0 {
                return None;
            }
            let value = Literal::Int(a).as_float()? / Literal::Int(b).as_float()?;
            return Some(Literal::Float(value));
        }
        BinaryOp::FloorDiv => {
            let quotient = a.checked_div(b)?;
            quotient - i64::from(a % b != 0 && (a < 0) != (b < 0))
        }
        BinaryOp::Mod => {
            let rest = a.checked_rem(b)?;
            if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            }
        }
        BinaryOp::Pow => a.checked_pow(u32::try_from(b).ok()?)?,
        BinaryOp::BitAnd => a & b,
        BinaryOp::BitOr => a | b,
        BinaryOp::BitXor => a ^ b,
        _ => return None,
    };
    Some(Literal::Int(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_floor() {
        let fold = |op, a, b| fold_binary(op, Literal::Int(a), Literal::Int(b));
        assert_eq!(fold(BinaryOp::FloorDiv, -7, 2), Some(Literal::Int(-4)));
        assert_eq!(fold(BinaryOp::Mod, -7, 3), Some(Literal::Int(2)));
        assert_eq!(fold(BinaryOp::Mod, 7, -3), Some(Literal::Int(-2)));
        assert_eq!(fold(BinaryOp::Div, 7, 2), Some(Literal::Float(3.5)));
    }

    #[test]
    fn what_may_fail_or_lose_digits_stays() {
        let fold = |op, a, b| fold_binary(op, Literal::Int(a), Literal::Int(b));
        assert_eq!(fold(BinaryOp::FloorDiv, 1, 0), None);
        assert_eq!(fold(BinaryOp::Add, i64::MAX, 1), None);
        assert_eq!(fold(BinaryOp::Pow, 2, 100), None);
        assert_eq!(fold(BinaryOp::Pow, 2, -1), None);
        assert_eq!(fold(BinaryOp::Div, i64::MAX, 2), None);
    }
}
