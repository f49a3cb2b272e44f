//! Bit operators of ints of any size, in two's complement without end.

use super::int::{Int, add_magnitudes, check_bits, from_i64, from_i128, from_limbs, sub};
use super::memory::reserve;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::types::ErrorKind;
use crate::value::Value;

/// Two's complement of so many limbs.
fn to_twos(i: Int, count: usize) -> Vec<u64> {
    let mut buffer = [0];
    let (is_negative, limbs) = i.parts(&mut buffer);
    let mut words = limbs.to_vec();
    words.resize(count, 0);
    if is_negative {
        negate_twos(&mut words);
    }
    words
}

fn negate_twos(words: &mut [u64]) {
    let mut carry = true;
    for word in words {
        let (negated, over) = (!*word).overflowing_add(carry as u64);
        *word = negated;
        carry = over;
    }
}

fn from_twos(heap: &mut Heap, mut words: Vec<u64>) -> Value {
    let is_negative = words.last().is_some_and(|&top| top >> 63 == 1);
    if is_negative {
        negate_twos(&mut words);
    }
    from_limbs(heap, is_negative, &words)
}

fn bitwise(heap: &mut Heap, a: Int, b: Int, op: impl Fn(u64, u64) -> u64) -> OpResult {
    if let (Int::Small(x), Int::Small(y)) = (a, b) {
        return Ok(from_i64(heap, op(x as u64, y as u64) as i64));
    }
    let count = a.limb_count().max(b.limb_count()) + 1;
    reserve(heap, count * 8)?;
    let mut words = to_twos(a, count);
    for (x, y) in words.iter_mut().zip(to_twos(b, count)) {
        *x = op(*x, y);
    }
    Ok(from_twos(heap, words))
}

pub(crate) fn and(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    bitwise(heap, a, b, |x, y| x & y)
}

pub(crate) fn or(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    bitwise(heap, a, b, |x, y| x | y)
}

pub(crate) fn xor(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    bitwise(heap, a, b, |x, y| x ^ y)
}

/// `~a`
pub(crate) fn not(heap: &mut Heap, a: Int) -> OpResult {
    sub(heap, Int::Small(-1), a)
}

fn negative_shift() -> OpFail {
    OpFail::error(ErrorKind::Value, "negative shift count")
}

pub(crate) fn shl(heap: &mut Heap, a: Int, by: Int) -> OpResult {
    if by.is_negative() {
        return Err(negative_shift());
    }
    let by = match (a, by) {
        (Int::Small(0), _) => return Ok(Value::small_int(0)),
        (_, Int::Small(by)) => by as u64,
        (_, Int::Big { .. }) => u64::MAX,
    };
    if let Int::Small(x) = a
        && by < 64
    {
        return Ok(from_i128(heap, (x as i128) << by));
    }
    check_bits(heap, a.bits().saturating_add(by))?;
    let mut buffer = [0];
    let (is_negative, limbs) = a.parts(&mut buffer);
    let (whole, part) = ((by / 64) as usize, (by % 64) as u32);
    let mut shifted = vec![0; whole];
    let mut carry = 0;
    for &limb in limbs {
        shifted.push(limb << part | carry);
        carry = if part == 0 { 0 } else { limb >> (64 - part) };
    }
    shifted.push(carry);
    Ok(from_limbs(heap, is_negative, &shifted))
}

/// Towards negative infinity.
pub(crate) fn shr(heap: &mut Heap, a: Int, by: Int) -> OpResult {
    if by.is_negative() {
        return Err(negative_shift());
    }
    let by = match by {
        Int::Small(by) => by as u64,
        Int::Big { .. } => u64::MAX,
    };
    let limbs = match a {
        Int::Small(x) => return Ok(from_i64(heap, x >> by.min(63))),
        Int::Big { limbs, .. } => limbs,
    };
    let is_negative = a.is_negative();
    if by >= a.bits() {
        return Ok(Value::small_int(if is_negative { -1 } else { 0 }));
    }
    reserve(heap, limbs.len() * 8)?;
    let (whole, part) = ((by / 64) as usize, (by % 64) as u32);
    let kept = &limbs[whole..];
    let mut shifted: Vec<u64> = (0..kept.len())
        .map(|i| {
            let above = kept.get(i + 1).copied().unwrap_or(0);
            if part == 0 {
                kept[i]
            } else {
                kept[i] >> part | above << (64 - part)
            }
        })
        .collect();
    let lost_bits =
        limbs[..whole].iter().any(|&limb| limb != 0) || part > 0 && kept[0] << (64 - part) != 0;
    if is_negative && lost_bits {
        shifted = add_magnitudes(&shifted, &[1]);
    }
    Ok(from_limbs(heap, is_negative, &shifted))
}
