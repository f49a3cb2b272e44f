//! Ints as text, and back: decimal, and bases 2, 8 and 16 with their prefixes.

use super::int::{Int, TEXT_STEP_LIMBS, from_bigint, from_i64};
use super::memory::reserve;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::types::ErrorKind;
use crate::value::Value;
use num_bigint::{BigInt, BigUint, Sign};

/// Decimal text of more digits than this is parsed in steps: the work grows with the square.
const PARSE_STEP_DIGITS: usize = 40_000;
/// Longer text is not even looked at in one go.
pub const LINEAR_STEP_DIGITS: usize = 400_000;

/// Decimal text.
pub(crate) fn to_text(i: Int) -> OpResult<String> {
    match i {
        Int::Small(i) => Ok(i.to_string()),
        Int::Big { limbs, .. } if limbs.len() > TEXT_STEP_LIMBS => {
            Err(OpFail::NeedsSteps("__int_str"))
        }
        big => Ok(big.to_bigint().to_str_radix(10)),
    }
}

/// Whether `to_text` can do it.
pub(crate) fn has_short_text(i: Int) -> bool {
    match i {
        Int::Small(_) => true,
        Int::Big { limbs, .. } => limbs.len() <= TEXT_STEP_LIMBS,
    }
}

/// Text in base 2, 8 or 16 (lower case), a sign in front, no prefix. The work grows with the length only.
pub(crate) fn to_radix(i: Int, radix: u32) -> String {
    match i {
        Int::Small(i) => {
            let sign = if i < 0 { "-" } else { "" };
            let magnitude = i.unsigned_abs();
            match radix {
                2 => format!("{sign}{magnitude:b}"),
                8 => format!("{sign}{magnitude:o}"),
                _ => format!("{sign}{magnitude:x}"),
            }
        }
        big => big.to_bigint().to_str_radix(radix),
    }
}

/// The parts of an int's text: sign, base, digits (with `_` between them).
fn parts(text: &str) -> Option<(bool, u32, &str)> {
    let text = text.trim();
    let (is_negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        _ => (10, rest),
    };
    let mut last_was_digit = false;
    for byte in digits.bytes() {
        match byte {
            b'_' if last_was_digit => last_was_digit = false,
            _ if (byte as char).is_digit(radix) => last_was_digit = true,
            _ => return None,
        }
    }
    last_was_digit.then_some((is_negative, radix, digits))
}

/// Where the digits of an int's text begin and end, and their base: as `parts` finds them, without a look at the digits. With a base given there is no prefix.
pub fn digits_of(text: &str, base: Option<u32>) -> (usize, usize, u32) {
    let end = text.trim_end().len();
    let mut start = text.len() - text.trim_start().len();
    let rest = || text.as_bytes().get(start..end).unwrap_or_default();
    if let [b'-' | b'+', ..] = rest() {
        start += 1;
    }
    let rest = text.as_bytes().get(start..end).unwrap_or_default();
    let (prefix, radix) = match (base, rest) {
        (Some(base), _) => (0, base),
        (None, [b'0', b'x' | b'X', ..]) => (2, 16),
        (None, [b'0', b'o' | b'O', ..]) => (2, 8),
        (None, [b'0', b'b' | b'B', ..]) => (2, 2),
        _ => (0, 10),
    };
    (start + prefix, end, radix)
}

/// Whether these bytes of an int's text are digits, and each `_` among them stands behind one (or anywhere).
pub fn are_digits(text: &[u8], from: usize, to: usize, radix: u32, is_loose: bool) -> bool {
    let is_digit = |byte: u8| (byte as char).is_digit(radix);
    (from..to).all(|i| match text[i] {
        b'_' => is_loose || i > 0 && is_digit(text[i - 1]),
        byte => is_digit(byte),
    })
}

/// What `int(text)` makes of a text; `None` if it is no int.
pub fn parse(heap: &mut Heap, text: &str) -> OpResult<Option<Value>> {
    if text.len() > LINEAR_STEP_DIGITS {
        return Err(OpFail::NeedsSteps("__int_parse_long"));
    }
    // What most texts are: a few digits.
    if (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let i = text
            .bytes()
            .fold(0i64, |sum, byte| sum * 10 + (byte - b'0') as i64);
        return Ok(Some(from_i64(heap, i)));
    }
    let Some((is_negative, radix, digits)) = parts(text) else {
        return Ok(None);
    };
    // Up to 18 decimal digits fit 64 bits whatever they are.
    if digits.len() <= 18 && radix == 10 {
        let magnitude = digits
            .bytes()
            .filter(|&byte| byte != b'_')
            .fold(0i64, |sum, byte| sum * 10 + (byte - b'0') as i64);
        return Ok(Some(from_i64(
            heap,
            if is_negative { -magnitude } else { magnitude },
        )));
    }
    // In the other bases the work grows with the length.
    if digits.len() > PARSE_STEP_DIGITS && radix == 10 {
        return Err(OpFail::NeedsSteps("__int_parse"));
    }
    reserve(heap, digits.len() / 2 + 16)?;
    let plain: Vec<u8> = digits.bytes().filter(|&byte| byte != b'_').collect();
    let magnitude = BigUint::parse_bytes(&plain, radix)
        .ok_or_else(|| OpFail::error(ErrorKind::Value, "digits out of range"))?;
    let sign = if is_negative { Sign::Minus } else { Sign::Plus };
    from_bigint(heap, &BigInt::from_biguint(sign, magnitude)).map(Some)
}
