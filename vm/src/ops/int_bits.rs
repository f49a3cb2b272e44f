//! Bit operators of ints of any size, in two's complement without end.

use super::int::{
    Int, add_magnitudes, check_bits, from_i64, from_i128, from_limbs, limbs_of, sub, unfinished,
    view,
};
use super::memory::reserve;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::object::BigIntObject;
use crate::types::ErrorKind;
use crate::value::Value;

/// Ints of more limbs are shifted in steps, so many limbs at a time.
const LONG_LIMBS: usize = 256 * 1024;
const STEP_LIMBS: usize = 64 * 1024;

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
    let bits = a.bits().saturating_add(by);
    check_bits(heap, bits)?;
    if bits.div_ceil(64) > LONG_LIMBS as u64 {
        return Err(OpFail::NeedsSteps("__int_shl"));
    }
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
    if limbs.len() > LONG_LIMBS {
        return Err(OpFail::NeedsSteps("__int_shr"));
    }
    reserve(heap, limbs.len() * 8)?;
    let (whole, part) = split(by);
    let is_lossy = limbs[..whole].iter().any(|&limb| limb != 0) || low_bits(limbs[whole], part);
    Ok(shifted_right(
        heap,
        is_negative,
        &limbs[whole..],
        part,
        is_lossy,
    ))
}

/// Whole limbs and bits.
fn split(by: u64) -> (usize, u32) {
    ((by / 64) as usize, (by % 64) as u32)
}

/// Whether one of the lowest bits is set.
fn low_bits(limb: u64, count: u32) -> bool {
    limb & ((1 << count) - 1) != 0
}

/// Limb `i` of what is shifted right by less than a limb.
#[inline]
fn limb_of_right(limbs: &[u64], i: usize, part: u32) -> u64 {
    match limbs.get(i + 1) {
        Some(&above) if part > 0 => limbs[i] >> part | above << (64 - part),
        _ => limbs[i] >> part,
    }
}

/// Limb `i` of what is shifted left by less than a limb; there is one more than before.
#[inline]
fn limb_of_left(limbs: &[u64], i: usize, part: u32) -> u64 {
    let own = limbs.get(i).map_or(0, |&limb| limb << part);
    match i.checked_sub(1) {
        Some(below) if part > 0 => own | limbs[below] >> (64 - part),
        _ => own,
    }
}

fn shifted_right(
    heap: &mut Heap,
    is_negative: bool,
    limbs: &[u64],
    part: u32,
    is_lossy: bool,
) -> Value {
    let mut shifted: Vec<u64> = (0..limbs.len())
        .map(|i| limb_of_right(limbs, i, part))
        .collect();
    if is_negative && is_lossy {
        shifted = add_magnitudes(&shifted, &[1]);
    }
    from_limbs(heap, is_negative, &shifted)
}

// --- in steps: the prelude's `__int_shl` and `__int_shr` call these

/// `a << by`, to be filled by `shl_step`.
pub fn shl_begin(heap: &mut Heap, a: Value, by: u64) -> OpResult {
    let a = view(a).expect("an int");
    let bits = a.bits().saturating_add(by);
    check_bits(heap, bits)?;
    let count = bits.div_ceil(64) as usize;
    Ok(unfinished(heap, a.is_negative(), count, count))
}

/// Shifts some limbs, from `at` on; gives where to go on, `None` at the end.
pub fn shl_step(made: Value, a: Value, by: u64, at: usize) -> Option<usize> {
    let mut buffer = [0];
    let (_, limbs) = view(a)?.parts(&mut buffer);
    let (whole, part) = split(by);
    let to = limbs_of(made).get_mut(whole..)?;
    let end = to.len().min(at + STEP_LIMBS);
    for (i, limb) in to.iter_mut().enumerate().take(end).skip(at) {
        *limb = limb_of_left(limbs, i, part);
    }
    (end < to.len()).then_some(end)
}

/// Whether `a >> by` loses bits, as far as a step looks from limb `at` on: where to go on, or the answer.
pub fn lossy_step(a: Value, by: u64, at: usize) -> Result<bool, usize> {
    let Some(Int::Big { limbs, .. }) = view(a) else {
        return Ok(false);
    };
    let (whole, part) = split(by);
    let end = whole.min(at + STEP_LIMBS);
    if limbs
        .get(at..end)
        .is_some_and(|some| some.iter().any(|&limb| limb != 0))
    {
        return Ok(true);
    }
    if end < whole {
        return Err(end);
    }
    Ok(limbs.get(whole).is_some_and(|&limb| low_bits(limb, part)))
}

/// `a >> by`, and whether that is all; else it is to be filled by `shr_step`, and then made greater if it is negative and bits are lost.
pub fn shr_begin(heap: &mut Heap, a: Value, by: u64, is_lossy: bool) -> OpResult<(Value, bool)> {
    let a = view(a).expect("an int");
    let mut buffer = [0];
    let (is_negative, limbs) = a.parts(&mut buffer);
    let (whole, part) = split(by);
    let kept = limbs.get(whole..).unwrap_or_default();
    reserve(heap, kept.len() * 8 + 16)?;
    if kept.len() <= LONG_LIMBS {
        return Ok((shifted_right(heap, is_negative, kept, part, is_lossy), true));
    }
    let count = (a.bits() - by).div_ceil(64) as usize;
    Ok((unfinished(heap, is_negative, count, count + 1), false))
}

/// Shifts some limbs, from `at` on; gives where to go on, `None` at the end.
pub fn shr_step(made: Value, a: Value, by: u64, at: usize) -> Option<usize> {
    let Some(Int::Big { limbs, .. }) = view(a) else {
        return None;
    };
    let (whole, part) = split(by);
    let kept = limbs.get(whole..)?;
    let to = limbs_of(made);
    let end = to.len().min(at + STEP_LIMBS);
    for (i, limb) in to.iter_mut().enumerate().take(end).skip(at) {
        *limb = limb_of_right(kept, i, part);
    }
    (end < to.len()).then_some(end)
}

/// Makes the magnitude of what `shr_step` has filled greater by one.
pub fn grow_magnitude(heap: &mut Heap, made: Value) {
    for limb in limbs_of(made) {
        let (sum, is_over) = limb.overflowing_add(1);
        *limb = sum;
        if !is_over {
            return;
        }
    }
    let object = made.as_object().cast::<BigIntObject>();
    // SAFETY: a live int; `shr_begin` made room for one limb more, which is tested.
    unsafe {
        let count = (*object).limbs as usize;
        let bytes = size_of::<BigIntObject>() + (count + 1) * 8;
        assert!(
            bytes <= heap.large_bytes(object.cast()),
            "room was made before"
        );
        object.add(1).cast::<u64>().add(count).write(1);
        (*object).limbs += 1;
    }
}
