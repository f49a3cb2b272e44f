//! Ints of any size.
//!
//! One form per number: what fits 48 bits is inline, what fits 64 an `Int64` object, beyond that a `BigIntObject` whose top limb
//! is not zero. So ints of different forms are never equal. `int_bits`, `int_float` and `int_text` have the rest.
//!
//! Work on huge ints is bounded: what would take longer than a few milliseconds fails with `NeedsSteps`, naming the prelude
//! function that splits it into parts (see `STEP_LIMBS`).

use super::int_bits::shl;
use super::int_float::to_f64;
use super::memory::reserve;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::object::{BigIntObject, FLAG_LARGE, Header, Int64, Kind, type_id};
use crate::types::ErrorKind;
use crate::value::Value;
use num_bigint::{BigInt, BigUint, Sign};
use std::cmp::Ordering;

/// Products and quotients of operands both longer than this many limbs are made in steps (about 4 ms at this size).
pub const STEP_LIMBS: usize = 4 * 1024;
/// As are those of one short operand and one that is longer than this.
const LONG_LIMBS: usize = 256 * 1024;
/// Text of more limbs than this is made in steps.
pub const TEXT_STEP_LIMBS: usize = 2 * 1024;
/// No int has more bits than this: comparing and hashing such ints takes some milliseconds.
const MAX_BITS: u64 = 1 << 28;

/// An int as arithmetic sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Int<'a> {
    Small(i64),
    /// Beyond 64 bits.
    Big {
        is_negative: bool,
        limbs: &'a [u64],
    },
}

/// The bytes of a huge int; 0 for others.
pub(crate) fn bytes(value: Value) -> usize {
    match view(value) {
        Some(Int::Big { limbs, .. }) => size_of_val(limbs),
        _ => 0,
    }
}

/// The int in a value, if it is one.
#[inline]
pub(crate) fn view<'a>(value: Value) -> Option<Int<'a>> {
    if value.is_small_int() {
        return Some(Int::Small(value.as_small_int()));
    }
    match value.kind() {
        // SAFETY: the kind says what the object is; it is alive and stays where it is until the next collection.
        Some(Kind::Int64) => Some(Int::Small(unsafe {
            (*value.as_object().cast::<Int64>()).value
        })),
        Some(Kind::BigInt) => {
            let object = value.as_object().cast::<BigIntObject>();
            // SAFETY: as above; `limbs` words follow the object's fixed part.
            unsafe {
                Some(Int::Big {
                    is_negative: (*object).header.aux == 1,
                    limbs: std::slice::from_raw_parts(
                        object.add(1).cast(),
                        (*object).limbs as usize,
                    ),
                })
            }
        }
        _ => None,
    }
}

/// Whether the value is an int.
#[inline]
pub fn is_int(value: Value) -> bool {
    value.is_small_int() || matches!(value.kind(), Some(Kind::Int64 | Kind::BigInt))
}

/// How many bits the magnitude of an int has.
pub fn bit_length(value: Value) -> Option<u64> {
    view(value).map(|i| i.bits())
}

/// The int if it fits 64 bits.
#[inline]
pub fn to_i64(value: Value) -> Option<i64> {
    match view(value) {
        Some(Int::Small(i)) => Some(i),
        _ => None,
    }
}

/// The int if it is not negative and fits 64 bits.
pub fn to_u64(value: Value) -> Option<u64> {
    match view(value) {
        Some(Int::Small(i)) => u64::try_from(i).ok(),
        Some(Int::Big {
            is_negative: false,
            limbs: &[limb],
        }) => Some(limb),
        _ => None,
    }
}

impl<'a> Int<'a> {
    /// Sign and magnitude; `buffer` holds the one limb of a small int.
    pub(crate) fn parts<'b>(&self, buffer: &'b mut [u64; 1]) -> (bool, &'b [u64])
    where
        'a: 'b,
    {
        match *self {
            Int::Small(i) => {
                buffer[0] = i.unsigned_abs();
                (i < 0, if i == 0 { &[] } else { &buffer[..] })
            }
            Int::Big { is_negative, limbs } => (is_negative, limbs),
        }
    }
    pub(crate) fn is_negative(&self) -> bool {
        match *self {
            Int::Small(i) => i < 0,
            Int::Big { is_negative, .. } => is_negative,
        }
    }
    /// Bits of the magnitude.
    pub(crate) fn bits(&self) -> u64 {
        match *self {
            Int::Small(i) => 64 - i.unsigned_abs().leading_zeros() as u64,
            Int::Big { limbs, .. } => {
                limbs.len() as u64 * 64 - limbs[limbs.len() - 1].leading_zeros() as u64
            }
        }
    }
    /// Its value; one of more than 64 bits as a number that is as far from zero as matters to what has 64 bits.
    pub(crate) fn to_i128_or_far(self) -> i128 {
        match self {
            Int::Small(i) => i.into(),
            Int::Big { is_negative, limbs } => {
                let magnitude = match limbs {
                    &[limb] => limb.into(),
                    _ => 1 << 100,
                };
                if is_negative { -magnitude } else { magnitude }
            }
        }
    }
    pub(crate) fn limb_count(&self) -> usize {
        match *self {
            Int::Small(_) => 1,
            Int::Big { limbs, .. } => limbs.len(),
        }
    }
    pub(crate) fn to_bigint(self) -> BigInt {
        match self {
            Int::Small(i) => BigInt::from(i),
            Int::Big { is_negative, limbs } => BigInt::from_biguint(
                if is_negative { Sign::Minus } else { Sign::Plus },
                to_biguint(limbs),
            ),
        }
    }
}

fn to_biguint(limbs: &[u64]) -> BigUint {
    let mut halves = Vec::with_capacity(limbs.len() * 2);
    for &limb in limbs {
        halves.push(limb as u32);
        halves.push((limb >> 32) as u32);
    }
    BigUint::new(halves)
}

// --- making

/// The value of an int.
#[inline]
pub fn from_i64(heap: &mut Heap, i: i64) -> Value {
    match Value::try_small_int(i) {
        Some(value) => value,
        None => new_int64(heap, i),
    }
}

#[cold]
fn new_int64(heap: &mut Heap, i: i64) -> Value {
    let object = heap.alloc(
        Header::new(Kind::Int64, type_id::INT, 0),
        size_of::<Int64>(),
    );
    // SAFETY: freshly allocated with room for an `Int64`.
    unsafe { (*object.cast::<Int64>()).value = i };
    Value::local(object)
}

/// The value of an int.
pub fn from_i128(heap: &mut Heap, i: i128) -> Value {
    if let Ok(small) = i64::try_from(i) {
        return from_i64(heap, small);
    }
    let magnitude = i.unsigned_abs();
    from_limbs(heap, i < 0, &[magnitude as u64, (magnitude >> 64) as u64])
}

/// The value of an int.
pub fn from_u64(heap: &mut Heap, i: u64) -> Value {
    from_i128(heap, i as i128)
}

/// The value of a sign and a magnitude, leading zeros allowed. The caller has reserved room.
pub(crate) fn from_limbs(heap: &mut Heap, is_negative: bool, limbs: &[u64]) -> Value {
    let count = limbs
        .iter()
        .rposition(|&limb| limb != 0)
        .map_or(0, |last| last + 1);
    match count {
        0 => return Value::small_int(0),
        1 if limbs[0] <= i64::MAX as u64 + is_negative as u64 => {
            let i = if is_negative {
                (limbs[0] as i64).wrapping_neg()
            } else {
                limbs[0] as i64
            };
            return from_i64(heap, i);
        }
        _ => {}
    }
    let header = Header::new(Kind::BigInt, type_id::INT, is_negative as u16);
    let object = heap
        .alloc(header, size_of::<BigIntObject>() + count * 8)
        .cast::<BigIntObject>();
    // SAFETY: freshly allocated with room for `count` limbs behind the fixed part.
    unsafe {
        (*object).limbs = count as u64;
        std::ptr::copy_nonoverlapping(limbs.as_ptr(), object.add(1).cast(), count);
    }
    Value::local(object.cast())
}

/// A big int of so many limbs, zero at first, with room for `room`: more than a small object has. No script sees it before its highest limb is set.
pub(super) fn unfinished(heap: &mut Heap, is_negative: bool, count: usize, room: usize) -> Value {
    let header = Header::new(Kind::BigInt, type_id::INT, is_negative as u16);
    let object = heap
        .alloc_zeroed(header, size_of::<BigIntObject>() + room * 8)
        .cast::<BigIntObject>();
    // SAFETY: freshly allocated with room for the fixed part.
    unsafe { (*object).limbs = count as u64 };
    Value::local(object.cast())
}

/// The limbs of an int that is yet to be finished.
pub(super) fn limbs_of<'a>(made: Value) -> &'a mut [u64] {
    assert!(made.is_kind(Kind::BigInt));
    let object = made.as_object().cast::<BigIntObject>();
    // SAFETY: a live int that only the loop which finishes it has; by the layout so many limbs follow the fixed part.
    unsafe {
        assert!((*object).header.has(FLAG_LARGE));
        std::slice::from_raw_parts_mut(object.add(1).cast(), (*object).limbs as usize)
    }
}

fn from_biguint(heap: &mut Heap, is_negative: bool, magnitude: &BigUint) -> OpResult {
    let limbs: Vec<u64> = magnitude.iter_u64_digits().collect();
    finish(heap, is_negative, &limbs)
}

/// The value of a big int.
pub fn from_bigint(heap: &mut Heap, i: &BigInt) -> OpResult {
    from_biguint(heap, i.sign() == Sign::Minus, i.magnitude())
}

/// `from_limbs` for results whose size is not bounded by a small one.
fn finish(heap: &mut Heap, is_negative: bool, limbs: &[u64]) -> OpResult {
    reserve(heap, limbs.len() * 8 + 16)?;
    Ok(from_limbs(heap, is_negative, limbs))
}

/// Asks for room for an int of so many bits.
pub(crate) fn check_bits(heap: &mut Heap, bits: u64) -> OpResult<()> {
    if bits > MAX_BITS {
        return Err(OpFail::error(
            ErrorKind::Limit,
            format!("int of more than {MAX_BITS} bits"),
        ));
    }
    reserve(heap, (bits / 8) as usize + 16)
}

// --- magnitudes

pub(crate) fn compare_magnitudes(a: &[u64], b: &[u64]) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

pub(crate) fn add_magnitudes(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut sum = Vec::with_capacity(long.len() + 1);
    let mut carry = false;
    for (i, &limb) in long.iter().enumerate() {
        let (with, over) = limb.overflowing_add(short.get(i).copied().unwrap_or(0));
        let (with, over_carry) = with.overflowing_add(carry as u64);
        carry = over | over_carry;
        sum.push(with);
    }
    if carry {
        sum.push(1);
    }
    sum
}

/// `a - b` for `a >= b`.
fn sub_magnitudes(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut difference = Vec::with_capacity(a.len());
    let mut borrow = false;
    for (i, &limb) in a.iter().enumerate() {
        let (without, under) = limb.overflowing_sub(b.get(i).copied().unwrap_or(0));
        let (without, under_borrow) = without.overflowing_sub(borrow as u64);
        borrow = under | under_borrow;
        difference.push(without);
    }
    debug_assert!(!borrow);
    difference
}

fn multiply_magnitudes(a: &[u64], b: &[u64]) -> Vec<u64> {
    /// Above this many limbs of the shorter operand, num-bigint's algorithms win in spite of the conversion.
    const SCHOOL: usize = 24;
    if a.len().min(b.len()) > SCHOOL {
        return (to_biguint(a) * to_biguint(b)).iter_u64_digits().collect();
    }
    let mut product = vec![0u64; a.len() + b.len()];
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0u128;
        for (slot, &y) in product[i..].iter_mut().zip(b) {
            let sum = x as u128 * y as u128 + *slot as u128 + carry;
            *slot = sum as u64;
            carry = sum >> 64;
        }
        product[i + b.len()] = carry as u64;
    }
    product
}

// --- arithmetic

/// `a + b`, or `a - b` if `negate`.
fn add_signed(heap: &mut Heap, a: Int, b: Int, negate: bool) -> OpResult {
    if let (Int::Small(x), Int::Small(y)) = (a, b) {
        let y = if negate { -(y as i128) } else { y as i128 };
        return Ok(from_i128(heap, x as i128 + y));
    }
    reserve(heap, (a.limb_count().max(b.limb_count()) + 1) * 8)?;
    let (mut left, mut right) = ([0], [0]);
    let (a_negative, a) = a.parts(&mut left);
    let (b_negative, b) = b.parts(&mut right);
    let b_negative = b_negative != negate;
    if a_negative == b_negative {
        return Ok(from_limbs(heap, a_negative, &add_magnitudes(a, b)));
    }
    Ok(match compare_magnitudes(a, b) {
        Ordering::Less => from_limbs(heap, b_negative, &sub_magnitudes(b, a)),
        _ => from_limbs(heap, a_negative, &sub_magnitudes(a, b)),
    })
}

pub(crate) fn add(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    add_signed(heap, a, b, false)
}

pub(crate) fn sub(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    add_signed(heap, a, b, true)
}

pub(crate) fn neg(heap: &mut Heap, a: Int) -> OpResult {
    add_signed(heap, Int::Small(0), a, true)
}

pub(crate) fn mul(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    if let (Int::Small(x), Int::Small(y)) = (a, b) {
        return Ok(from_i128(heap, x as i128 * y as i128));
    }
    if is_long_work(a.limb_count(), b.limb_count()) {
        return Err(OpFail::NeedsSteps("__int_mul"));
    }
    reserve(heap, (a.limb_count() + b.limb_count()) * 8 + 16)?;
    let (mut left, mut right) = ([0], [0]);
    let (a_negative, a) = a.parts(&mut left);
    let (b_negative, b) = b.parts(&mut right);
    if a.is_empty() || b.is_empty() {
        return Ok(Value::small_int(0));
    }
    let product = multiply_magnitudes(a, b);
    Ok(from_limbs(heap, a_negative != b_negative, &product))
}

/// Whether a product or quotient of operands of these lengths takes long.
fn is_long_work(a: usize, b: usize) -> bool {
    a.max(b) > LONG_LIMBS || a.min(b) > 1 && a.saturating_mul(b) > STEP_LIMBS * STEP_LIMBS
}

pub(crate) fn division_by_zero() -> OpFail {
    OpFail::error(ErrorKind::Arithmetic, "division by zero")
}

/// Floored quotient and remainder of magnitudes with signs.
fn div_mod_big(a: Int, b: Int) -> (BigInt, BigInt) {
    let (a, b) = (a.to_bigint(), b.to_bigint());
    let quotient = &a / &b;
    let remainder = a - &quotient * &b;
    if remainder.sign() != Sign::NoSign && remainder.sign() != b.sign() {
        (quotient - 1, remainder + b)
    } else {
        (quotient, remainder)
    }
}

/// `a // b`, towards negative infinity.
pub(crate) fn floor_div(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    match (a, b) {
        (_, Int::Small(0)) => Err(division_by_zero()),
        (Int::Small(x), Int::Small(y)) => Ok(from_i128(heap, floor_div_i128(x as i128, y as i128))),
        (Int::Small(x), Int::Big { is_negative, .. }) => {
            Ok(Value::small_int(if x != 0 && (x < 0) != is_negative {
                -1
            } else {
                0
            }))
        }
        _ => {
            check_division(heap, a, b, "__int_floor_div")?;
            from_bigint(heap, &div_mod_big(a, b).0)
        }
    }
}

/// `a % b`, with the sign of `b`.
pub(crate) fn modulo(heap: &mut Heap, a: Int, b: Int) -> OpResult {
    match (a, b) {
        (_, Int::Small(0)) => Err(division_by_zero()),
        (Int::Small(x), Int::Small(y)) => {
            let remainder = x.wrapping_rem(y);
            let fix = remainder != 0 && (remainder < 0) != (y < 0);
            Ok(from_i64(heap, if fix { remainder + y } else { remainder }))
        }
        _ => {
            check_division(heap, a, b, "__int_mod")?;
            from_bigint(heap, &div_mod_big(a, b).1)
        }
    }
}

fn check_division(heap: &mut Heap, a: Int, b: Int, steps: &'static str) -> OpResult<()> {
    let quotient = a.limb_count().saturating_sub(b.limb_count()) + 1;
    // Burnikel–Ziegler division costs about twice a product.
    if is_long_work(quotient.saturating_mul(2), b.limb_count()) {
        return Err(OpFail::NeedsSteps(steps));
    }
    reserve(heap, a.limb_count() * 8 + 16)
}

fn floor_div_i128(a: i128, b: i128) -> i128 {
    let quotient = a / b;
    if a % b != 0 && (a < 0) != (b < 0) {
        quotient - 1
    } else {
        quotient
    }
}

/// Powers of two of more bits are shifted in steps.
const LONG_POWER_BITS: u64 = 1 << 23;

/// `base ** exponent`: an int for a non-negative exponent, else a float.
pub(crate) fn pow(heap: &mut Heap, base: Int, exponent: Int) -> OpResult {
    if exponent.is_negative() {
        if let Int::Small(0) = base {
            return Err(OpFail::error(
                ErrorKind::Arithmetic,
                "division by zero: 0 raised to a negative power",
            ));
        }
        return Ok(Value::float(to_f64(base).powf(to_f64(exponent))));
    }
    let is_odd = match exponent {
        Int::Small(e) => e & 1 == 1,
        Int::Big { limbs, .. } => limbs[0] & 1 == 1,
    };
    match (base, exponent) {
        (_, Int::Small(0)) | (Int::Small(1), _) => return Ok(Value::small_int(1)),
        (Int::Small(0), _) => return Ok(Value::small_int(0)),
        (Int::Small(-1), _) => return Ok(Value::small_int(if is_odd { -1 } else { 1 })),
        _ => {}
    }
    let is_negative = base.is_negative() && is_odd;
    let bits = match exponent {
        Int::Small(e) => base.bits().saturating_mul(e as u64),
        Int::Big { .. } => u64::MAX,
    };
    let Int::Small(exponent) = exponent else {
        return Err(check_bits(heap, bits).expect_err("more bits than any int may have"));
    };
    if let (Int::Small(b), true) = (base, bits <= 62) {
        return Ok(from_i64(heap, b.pow(exponent as u32)));
    }
    check_bits(heap, bits)?;
    if bits as usize / 64 > STEP_LIMBS {
        let mut buffer = [0];
        let (_, limbs) = base.parts(&mut buffer);
        if limbs.len() == 1 && limbs[0].is_power_of_two() {
            if bits > LONG_POWER_BITS {
                return Err(OpFail::NeedsSteps("__int_power_of_two"));
            }
            let one = shl(
                heap,
                Int::Small(1),
                Int::Small(limbs[0].trailing_zeros() as i64 * exponent),
            )?;
            return match (is_negative, view(one)) {
                (true, Some(one)) => neg(heap, one),
                _ => Ok(one),
            };
        }
        return Err(OpFail::NeedsSteps("__int_pow"));
    }
    let mut buffer = [0];
    let (_, limbs) = base.parts(&mut buffer);
    let power = to_biguint(limbs).pow(exponent as u32);
    from_biguint(heap, is_negative, &power)
}
