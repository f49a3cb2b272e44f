//! Floats: text, rounding to ints, and the floored operators.

use super::int;
use super::int_float;
use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::types::ErrorKind;
use crate::value::Value;
use std::fmt::Write;

/// Appends the shortest text that reads back, always with a point or exponent: `3.0`, `1e16`, `1.5e-7`, `inf`, `nan`.
pub fn write_float(out: &mut String, f: f64) {
    let magnitude = f.abs();
    // Writing to a string cannot fail.
    let _ = if f.is_nan() {
        out.write_str("nan")
    } else if f.is_infinite() {
        out.write_str(if f > 0.0 { "inf" } else { "-inf" })
    } else if magnitude != 0.0 && !(1e-5..1e16).contains(&magnitude) {
        write!(out, "{f:e}")
    } else if f.trunc() == f {
        write!(out, "{f:.1}")
    } else {
        write!(out, "{f}")
    };
}

/// What `float(text)` makes of a text; `None` if it is no number.
pub fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.contains('_') {
        return text.parse().ok();
    }
    let bytes = text.as_bytes();
    let is_digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let is_between_digits = |i: usize| i > 0 && is_digit(i - 1) && is_digit(i + 1);
    if (0..bytes.len()).any(|i| bytes[i] == b'_' && !is_between_digits(i)) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// Longer text is parsed in steps.
pub const LONG_TEXT: usize = 400_000;
/// More significant digits decide nothing but on which side of a float the number lies, which one digit more tells: halfway between two floats lie only numbers of
/// at most 768.
const KEPT_DIGITS: usize = 800;
/// Digits that are skipped and exponents are counted up to here: beyond lie zero and infinity whatever the digits are.
const MAX_SHIFT: i64 = 1 << 40;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    Fraction,
    /// Behind `e`.
    ExponentSign,
    Exponent,
}

/// The text of a number, read in steps; see `parse`. A long text that is no number in digits is none at all.
pub struct Scan {
    /// What is yet to be read.
    at: usize,
    end: usize,
    part: Part,
    is_negative: bool,
    /// Significant digits, the first not 0.
    digits: String,
    /// Digits that were left out, or are zeros in front, as a power of ten.
    shift: i64,
    has_digits: bool,
    /// Something other than zeros was left out.
    is_inexact: bool,
    exponent: i64,
    is_exponent_negative: bool,
    /// The last byte.
    last: u8,
}

impl Scan {
    /// Begins.
    pub fn new(text: &str) -> Scan {
        let end = text.trim_end().len();
        let at = text.len() - text.trim_start().len();
        let sign = text.as_bytes().get(at).copied();
        let has_sign = matches!(sign, Some(b'-' | b'+'));
        Scan {
            at: at + usize::from(has_sign),
            end,
            part: Part::Whole,
            is_negative: sign == Some(b'-'),
            digits: String::new(),
            shift: 0,
            has_digits: false,
            is_inexact: false,
            exponent: 0,
            is_exponent_negative: false,
            last: 0,
        }
    }

    /// Reads so many bytes on: `None` if there is more, else what `parse` gives of the whole.
    pub fn step(&mut self, text: &[u8], most: usize) -> Option<Option<f64>> {
        let end = self.end.min(text.len());
        let to = end.min(self.at + most);
        while self.at < to {
            let byte = text[self.at];
            if !self.take(byte) {
                return Some(None);
            }
            self.last = byte;
            self.at += 1;
        }
        (self.at >= end).then(|| self.finish())
    }

    /// The next byte; false if it cannot stand there.
    fn take(&mut self, byte: u8) -> bool {
        match byte {
            b'0'..=b'9' => self.digit(byte),
            b'_' => return self.last.is_ascii_digit(),
            _ if self.last == b'_' => return false,
            b'.' if self.part == Part::Whole => self.part = Part::Fraction,
            b'e' | b'E' if matches!(self.part, Part::Whole | Part::Fraction) && self.has_digits => {
                self.part = Part::ExponentSign;
            }
            b'+' | b'-' if self.part == Part::ExponentSign => {
                self.is_exponent_negative = byte == b'-';
                self.part = Part::Exponent;
            }
            _ => return false,
        }
        true
    }

    fn digit(&mut self, digit: u8) {
        if matches!(self.part, Part::ExponentSign | Part::Exponent) {
            self.part = Part::Exponent;
            let value = i64::from(digit - b'0');
            self.exponent = (self.exponent * 10 + value).min(MAX_SHIFT);
            return;
        }
        self.has_digits = true;
        if self.digits.is_empty() && digit == b'0' {
            self.shift -= i64::from(self.part == Part::Fraction);
        } else if self.digits.len() < KEPT_DIGITS {
            self.digits.push(digit as char);
            self.shift -= i64::from(self.part == Part::Fraction);
        } else {
            self.is_inexact |= digit != b'0';
            self.shift += i64::from(self.part == Part::Whole);
        }
    }

    fn finish(&mut self) -> Option<f64> {
        // Behind `e` and its sign stands a digit.
        let ends_well = match self.part {
            Part::Whole | Part::Fraction => self.last != b'_',
            Part::ExponentSign => false,
            Part::Exponent => self.last.is_ascii_digit(),
        };
        if !self.has_digits || !ends_well {
            return None;
        }
        let sign = if self.is_negative { "-" } else { "" };
        if self.digits.is_empty() {
            return format!("{sign}0").parse().ok();
        }
        let exponent = match self.is_exponent_negative {
            true => -self.exponent,
            false => self.exponent,
        };
        let mut power = self.shift + exponent;
        if self.is_inexact {
            self.digits.push('1');
            power -= 1;
        }
        format!("{sign}{}e{power}", self.digits).parse().ok()
    }
}

/// The int that a float is after rounding it; a `ValueError` for nan and the infinities.
pub fn to_int(heap: &mut Heap, f: f64) -> OpResult {
    int_float::from_whole_float(heap, f).ok_or_else(|| {
        let mut text = String::new();
        write_float(&mut text, f);
        OpFail::error(ErrorKind::Value, format!("cannot convert {text} to int"))
    })
}

/// To the nearest int, half away from zero.
pub fn round(heap: &mut Heap, f: f64) -> OpResult {
    to_int(heap, f.round())
}

pub fn floor(heap: &mut Heap, f: f64) -> OpResult {
    to_int(heap, f.floor())
}

pub fn ceil(heap: &mut Heap, f: f64) -> OpResult {
    to_int(heap, f.ceil())
}

/// Towards zero.
pub fn truncate(heap: &mut Heap, f: f64) -> OpResult {
    to_int(heap, f.trunc())
}

/// `a % b`, with the sign of `b`.
#[inline]
pub fn modulo(a: f64, b: f64) -> f64 {
    let remainder = a % b;
    if remainder != 0.0 {
        if (remainder < 0.0) != (b < 0.0) {
            remainder + b
        } else {
            remainder
        }
    } else {
        // A zero takes the sign of the divisor.
        0f64.copysign(b)
    }
}

/// `a // b`, consistent with `modulo`.
#[inline]
pub fn floor_div(a: f64, b: f64) -> f64 {
    if b == 0.0 || !a.is_finite() || b.is_infinite() && (a == 0.0 || (a < 0.0) == (b < 0.0)) {
        return (a / b).floor();
    }
    let remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder != 0.0 && (remainder < 0.0) != (b < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0f64.copysign(a / b);
    }
    let whole = quotient.floor();
    if quotient - whole > 0.5 {
        whole + 1.0
    } else {
        whole
    }
}

/// Writes the value's text: what `str` gives for a float.
pub fn to_text(f: f64) -> String {
    let mut text = String::new();
    write_float(&mut text, f);
    text
}

/// The float in a value, ints converted.
pub fn number(value: Value) -> Option<f64> {
    if value.is_float() {
        Some(value.as_float())
    } else {
        int::view(value).map(int_float::to_f64)
    }
}
