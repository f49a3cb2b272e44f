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
pub(crate) fn number(value: Value) -> Option<f64> {
    if value.is_float() {
        Some(value.as_float())
    } else {
        int::view(value).map(int_float::to_f64)
    }
}
