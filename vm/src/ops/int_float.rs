//! Ints against ints and floats: order, hashes, conversion and division, all exact or rounded once.

use super::OpResult;
use super::int::{Int, STEP_LIMBS, compare_magnitudes, division_by_zero, from_i64, from_limbs};
use crate::heap::Heap;
use crate::value::Value;
use std::cmp::Ordering;

/// `a / b`, correctly rounded.
pub(crate) fn true_div(a: Int, b: Int) -> OpResult<f64> {
    /// Up to here conversion to a float is exact, so one division rounds once.
    const EXACT: i64 = 1 << 53;
    match (a, b) {
        (_, Int::Small(0)) => Err(division_by_zero()),
        (Int::Small(x), Int::Small(y))
            if (-EXACT..=EXACT).contains(&x) && (-EXACT..=EXACT).contains(&y) =>
        {
            Ok(x as f64 / y as f64)
        }
        _ => {
            if a.limb_count().max(b.limb_count()) > STEP_LIMBS {
                return true_div_huge(a, b);
            }
            Ok(true_div_exact(a, b))
        }
    }
}

/// The quotient to 66 bits and whether anything is left, rounded to a float at once.
fn true_div_exact(a: Int, b: Int) -> f64 {
    let is_negative = a.is_negative() != b.is_negative();
    let shift = 66 - (a.bits() as i64 - b.bits() as i64);
    let (mut x, mut y) = (a.to_bigint().into_parts().1, b.to_bigint().into_parts().1);
    if shift >= 0 {
        x <<= shift as u64;
    } else {
        y <<= (-shift) as u64;
    }
    let quotient = &x / &y;
    let has_rest = &quotient * &y != x;
    let limbs: Vec<u64> = quotient.iter_u64_digits().collect();
    let magnitude = scaled_to_f64(&limbs, has_rest, -shift);
    if is_negative { -magnitude } else { magnitude }
}

/// For operands of megabytes: their top bits decide, to within one unit in the last place.
fn true_div_huge(a: Int, b: Int) -> OpResult<f64> {
    fn top(i: Int) -> (Vec<u64>, i64) {
        let mut buffer = [0];
        let (_, limbs) = i.parts(&mut buffer);
        let skip = limbs.len().saturating_sub(4);
        let mut kept = limbs[skip..].to_vec();
        if limbs[..skip].iter().any(|&limb| limb != 0) {
            kept[0] |= 1;
        }
        (kept, skip as i64 * 64)
    }
    let ((x, x_shift), (y, y_shift)) = (top(a), top(b));
    if x.is_empty() {
        return Ok(0.0);
    }
    let quotient = true_div_exact(
        Int::Big {
            is_negative: a.is_negative(),
            limbs: &x,
        },
        Int::Big {
            is_negative: b.is_negative(),
            limbs: &y,
        },
    );
    let exponent = (x_shift - y_shift).clamp(-4000, 4000) as i32;
    // Two factors, since one power of two may leave the range of floats while the product does not.
    let (half, rest) = (exponent / 2, exponent - exponent / 2);
    Ok(quotient * 2f64.powi(half) * 2f64.powi(rest))
}

/// `limbs * 2**exponent`, correctly rounded; `sticky`: a little more than that.
fn scaled_to_f64(limbs: &[u64], sticky: bool, exponent: i64) -> f64 {
    let Some(top) = limbs.iter().rposition(|&limb| limb != 0) else {
        return 0.0;
    };
    let zeros = limbs[top].leading_zeros();
    let mut head = limbs[top] << zeros;
    let mut sticky = sticky;
    if top > 0 {
        let next = limbs[top - 1];
        if zeros > 0 {
            head |= next >> (64 - zeros);
            sticky |= next << zeros != 0;
        } else {
            sticky |= next != 0;
        }
        sticky |= limbs[..top - 1].iter().any(|&limb| limb != 0);
    }
    // The number is `head * 2**exponent`, its top bit set.
    let exponent = exponent + top as i64 * 64 - zeros as i64;
    let top_bit = exponent + 63;
    if top_bit > 1023 {
        return f64::INFINITY;
    }
    // How many bits of the mantissa there is room for: 53, fewer for subnormal numbers.
    let kept = if top_bit >= -1022 {
        53
    } else {
        53 - (-1022 - top_bit)
    };
    if kept < 0 {
        return 0.0;
    }
    let drop = 64 - kept as u32;
    let (mantissa, rest, half) = if drop == 64 {
        (0, head, 1u64 << 63)
    } else {
        (head >> drop, head & ((1 << drop) - 1), 1u64 << (drop - 1))
    };
    let round_up = rest > half || (rest == half && (sticky || mantissa & 1 == 1));
    let mantissa = mantissa + round_up as u64;
    let scale = exponent + drop as i64;
    // Exact: the mantissa has at most 53 bits, and the result is representable (or rounds up to infinity).
    let (half, rest) = (scale / 2, scale - scale / 2);
    mantissa as f64 * 2f64.powi(half as i32) * 2f64.powi(rest as i32)
}

/// The nearest float, ties to even; infinite beyond the range of floats.
pub(crate) fn to_f64(i: Int) -> f64 {
    match i {
        Int::Small(i) => i as f64,
        Int::Big { is_negative, limbs } => {
            let magnitude = scaled_to_f64(limbs, false, 0);
            if is_negative { -magnitude } else { magnitude }
        }
    }
}

pub(crate) fn compare(a: Int, b: Int) -> Ordering {
    if let (Int::Small(x), Int::Small(y)) = (a, b) {
        return x.cmp(&y);
    }
    match (a.is_negative(), b.is_negative()) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (is_negative, _) => {
            let (mut left, mut right) = ([0], [0]);
            let order = compare_magnitudes(a.parts(&mut left).1, b.parts(&mut right).1);
            if is_negative { order.reverse() } else { order }
        }
    }
}

/// Exactly; `None` for NaN.
pub(crate) fn compare_float(i: Int, f: f64) -> Option<Ordering> {
    if f.is_nan() {
        return None;
    }
    Some(match i {
        Int::Small(i) => {
            if f >= 9_223_372_036_854_775_808.0 {
                Ordering::Less
            } else if f < -9_223_372_036_854_775_808.0 {
                Ordering::Greater
            } else {
                let whole = f.trunc();
                i.cmp(&(whole as i64))
                    .then_with(|| 0.0.partial_cmp(&(f - whole)).unwrap_or(Ordering::Equal))
            }
        }
        Int::Big { is_negative, limbs } => {
            if (f < 0.0) != is_negative || f.abs() < 9_223_372_036_854_775_808.0 {
                if is_negative {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            } else {
                let order = if f.is_infinite() {
                    Ordering::Less
                } else {
                    compare_magnitudes(limbs, float_limbs(f).as_slice())
                };
                if is_negative { order.reverse() } else { order }
            }
        }
    })
}

/// The magnitude of a whole, finite float of at least 2**63, no leading zeros.
fn float_limbs(f: f64) -> Vec<u64> {
    let bits = f.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as usize - 1075;
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let (whole, part) = (exponent / 64, exponent % 64);
    let mut limbs = vec![0; whole];
    limbs.push(mantissa << part);
    if part > 11 {
        limbs.push(mantissa >> (64 - part));
    }
    limbs
}

/// Whether the whole part of a float fits 64 bits.
fn fits_i64(f: f64) -> bool {
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&f)
}

/// The int that a whole float is; `None` for those that are not whole or not finite.
pub(crate) fn from_whole_float(heap: &mut Heap, f: f64) -> Option<Value> {
    if fits_i64(f) {
        let i = f as i64;
        return (i as f64 == f).then(|| from_i64(heap, i));
    }
    f.is_finite()
        .then(|| from_limbs(heap, f < 0.0, &float_limbs(f)))
}

fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash that differs with the seed; never 0.
#[inline]
pub(crate) fn hash_word(word: u64, seed: u64) -> u32 {
    let mixed = fold(
        word ^ seed,
        0x9E37_79B9_7F4A_7C15 ^ seed.rotate_left(23) | 1,
    );
    ((mixed >> 32) as u32).max(1)
}

fn hash_limbs(is_negative: bool, limbs: &[u64], seed: u64) -> u32 {
    let mut state = seed ^ is_negative as u64;
    for &limb in limbs {
        state = fold(state ^ limb, 0xD6E8_FEB8_6659_FD93);
    }
    hash_word(state, seed)
}

pub(crate) fn hash(i: Int, seed: u64) -> u32 {
    match i {
        Int::Small(i) => hash_word(i as u64, seed),
        Int::Big { is_negative, limbs } => hash_limbs(is_negative, limbs, seed),
    }
}

/// As the equal int's, if there is one.
pub(crate) fn hash_float(f: f64, seed: u64) -> u32 {
    if fits_i64(f) {
        let i = f as i64;
        if i as f64 == f {
            return hash_word(i as u64, seed);
        }
        return hash_word(f.to_bits() ^ 0x5555_0000_0000_5555, seed);
    }
    if f.is_infinite() {
        return hash_word(f.to_bits(), seed);
    }
    hash_limbs(f < 0.0, &float_limbs(f), seed)
}
