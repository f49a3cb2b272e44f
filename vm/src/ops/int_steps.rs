//! Sums, differences and bit operators of long ints in steps: the prelude's `__int_linear` calls these.
//!
//! Both operands are read limb by limb as two's complement without end, and the result is written so; then, if it is negative, its limbs
//! are negated in place, since an int is a sign and a magnitude.

use super::OpResult;
use super::arith::BinaryOp;
use super::int::{Int, check_bits, from_limbs, limbs_of, unfinished, view};
use super::memory::reserve;
use crate::heap::Heap;
use crate::object::BigIntObject;
use crate::value::Value;

/// Operands of more limbs are worked on in steps, so many limbs at a time.
const LONG_LIMBS: usize = 256 * 1024;
const STEP_LIMBS: usize = 64 * 1024;

/// The operators, in the order of the prelude's numbers, with the functions of the prelude.
const OPERATORS: [(BinaryOp, &str); 5] = [
    (BinaryOp::Add, "__int_add"),
    (BinaryOp::Sub, "__int_sub"),
    (BinaryOp::BitAnd, "__int_and"),
    (BinaryOp::BitOr, "__int_or"),
    (BinaryOp::BitXor, "__int_xor"),
];

/// Whether so much is worked on in steps.
pub(super) fn is_long(a: Int) -> bool {
    matches!(a, Int::Big { limbs, .. } if limbs.len() > LONG_LIMBS)
}

/// The function of the prelude for an operator on long ints, if it has one.
pub(super) fn by_steps(op: BinaryOp, a: Int, b: Int) -> Option<&'static str> {
    if !is_long(a) && !is_long(b) {
        return None;
    }
    let mut operators = OPERATORS.iter();
    operators.find(|(o, _)| *o == op).map(|(_, name)| *name)
}

/// How far it has come: what is carried over from limb to limb, and the limb.
#[derive(Clone, Copy)]
struct State {
    /// Of the negation of a, of the negation of b, of the sum; of the negation of the result.
    carries: [bool; 3],
    is_negating: bool,
    at: usize,
}

impl State {
    /// At the beginning, each negation adds one; so does what is subtracted.
    fn unpack(state: u64) -> State {
        let bit = |i: u64| state >> i & 1 == 1;
        State {
            carries: [!bit(0), !bit(1), bit(2)],
            is_negating: bit(3),
            at: (state >> 4) as usize,
        }
    }
    fn pack(self) -> u64 {
        let bit = |is: bool, i: u64| u64::from(is) << i;
        bit(!self.carries[0], 0)
            | bit(!self.carries[1], 1)
            | bit(self.carries[2], 2)
            | bit(self.is_negating, 3)
            | (self.at as u64) << 4
    }
}

/// A limb of a number of which `is_negative` tells whether its magnitude is to be negated.
fn limb_of(limbs: &[u64], i: usize, is_negative: bool, carry: &mut bool) -> u64 {
    let limb = limbs.get(i).copied().unwrap_or(0);
    if !is_negative {
        return limb;
    }
    let (negated, over) = (!limb).overflowing_add(u64::from(*carry));
    *carry = over;
    negated
}

/// The result of an operator, to be filled by `step` and made an int by `end`.
pub fn begin(heap: &mut Heap, a: Value, b: Value) -> OpResult {
    let bits = |x| view(x).expect("an int").bits();
    check_bits(heap, bits(a).max(bits(b)) + 1)?;
    let limbs = |x| view(x).expect("an int").limb_count();
    let count = limbs(a).max(limbs(b)).max(LONG_LIMBS) + 1;
    Ok(unfinished(heap, false, count, count))
}

/// Fills some limbs; `state` is 0 at first. Gives the next state, `None` at the end.
pub fn step(made: Value, op: usize, a: Value, b: Value, state: u64) -> Option<u64> {
    let mut state = State::unpack(state);
    let op = OPERATORS.get(op)?.0;
    let to = limbs_of(made);
    let end = to.len().min(state.at.saturating_add(STEP_LIMBS));
    if state.is_negating {
        for limb in to.get_mut(state.at..end)? {
            *limb = limb_of(&[*limb], 0, true, &mut state.carries[2]);
        }
    } else {
        let (mut left, mut right) = ([0], [0]);
        let (a_negative, a) = view(a)?.parts(&mut left);
        let (b_negative, b) = view(b)?.parts(&mut right);
        let b_negative = b_negative != (op == BinaryOp::Sub);
        let [mut a_carry, mut b_carry, mut carry] = state.carries;
        let made = to.get_mut(state.at..end)?;
        for (i, limb) in (state.at..).zip(made) {
            let x = limb_of(a, i, a_negative, &mut a_carry);
            let y = limb_of(b, i, b_negative, &mut b_carry);
            *limb = match op {
                BinaryOp::BitAnd => x & y,
                BinaryOp::BitOr => x | y,
                BinaryOp::BitXor => x ^ y,
                _ => {
                    let (sum, over) = x.overflowing_add(y);
                    let (sum, over_again) = sum.overflowing_add(u64::from(carry));
                    carry = over || over_again;
                    sum
                }
            };
        }
        state.carries = [a_carry, b_carry, carry];
    }
    state.at = end;
    if end < to.len() {
        return Some(state.pack());
    }
    let is_negative = to.last().is_some_and(|&top| top >> 63 == 1);
    if state.is_negating || !is_negative {
        return None;
    }
    let object = made.as_object().cast::<BigIntObject>();
    // SAFETY: a live int that only the loop which finishes it has.
    unsafe { (*object).header.aux = 1 };
    state = State {
        carries: [false, false, true],
        is_negating: true,
        at: 0,
    };
    Some(state.pack())
}

/// The int that `step` has filled.
pub fn end(heap: &mut Heap, made: Value) -> OpResult {
    let object = made.as_object().cast::<BigIntObject>();
    let limbs = limbs_of(made);
    let top = limbs.iter().rposition(|&limb| limb != 0);
    let count = top.map_or(0, |top| top + 1);
    // SAFETY: a live int that only the loop which finishes it has.
    let is_negative = unsafe { (*object).header.aux == 1 };
    if count <= LONG_LIMBS {
        reserve(heap, count * 8 + 16)?;
        return Ok(from_limbs(heap, is_negative, &limbs[..count]));
    }
    // SAFETY: as above; it has room for more.
    unsafe { (*object).limbs = count as u64 };
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::int::from_bigint;
    use num_bigint::BigInt;

    /// In steps and by another library.
    fn check(op: usize, a: &BigInt, b: &BigInt) {
        // Nothing is collected here.
        let heap = &mut Heap::new(1 << 32);
        let expected = match OPERATORS[op].0 {
            BinaryOp::Add => a + b,
            BinaryOp::Sub => a - b,
            BinaryOp::BitAnd => a & b,
            BinaryOp::BitOr => a | b,
            _ => a ^ b,
        };
        let mut made = |i: &BigInt| from_bigint(heap, i).expect("there is room");
        let (a, b, expected) = (made(a), made(b), made(&expected));
        let result = begin(heap, a, b).expect("there is room");
        let mut state = 0;
        while let Some(next) = step(result, op, a, b, state) {
            state = next;
        }
        let result = end(heap, result).expect("there is room");
        let show = |x| view(x).expect("an int").to_bigint();
        assert!(show(result) == show(expected), "{:?}", OPERATORS[op].0);
    }

    #[test]
    fn as_another_library_has_it() {
        let long = BigInt::from(1) << ((LONG_LIMBS + 10) * 64);
        let longer = BigInt::from(1) << ((LONG_LIMBS + 3 * STEP_LIMBS) * 64 + 17);
        let one = BigInt::from(1);
        let numbers = [one.clone(), &long - &one, &longer - &long, longer];
        for op in 0..OPERATORS.len() {
            for a in &numbers {
                for b in &numbers {
                    check(op, a, b);
                    check(op, &-a, b);
                    check(op, &-a, &-b);
                }
            }
        }
    }
}
