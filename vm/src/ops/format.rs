//! Format specs applied to values: `"{x:>8.2}"`.

use super::format_spec::{Align, FormatSpec, FormatType, Sign};
use super::int::{self, Int};
use super::int_float;
use super::{OpFail, OpResult, duration, float, int_text, text};
use crate::heap::Heap;
use crate::types::ErrorKind;
use crate::value::Value;

/// A value formatted; `None` if its `str` must be made first (then format that: `text`).
pub fn value(heap: &mut Heap, spec: &FormatSpec, value: Value) -> OpResult<Option<Value>> {
    let formatted = if let Some(i) = int::view(value) {
        int(spec, i)?
    } else if value.is_float() {
        float(spec, value.as_float())?
    } else if let Some(content) = text::as_str(value) {
        self::text(spec, content)?
    } else if let Some(ns) = duration::view(value) {
        self::text(spec, &duration::to_text(ns))?
    } else if !value.is_object() {
        let mut plain = String::new();
        text::write_plain(&mut plain, value)?;
        self::text(spec, &plain)?
    } else {
        return Ok(None);
    };
    text::new(heap, &formatted).map(Some)
}

/// A text formatted: the precision is its maximum length.
pub fn text(spec: &FormatSpec, content: &str) -> OpResult<String> {
    if spec.kind != FormatType::Plain {
        return Err(wrong_kind(spec, "a number"));
    }
    let end = spec
        .precision
        .and_then(|most| content.char_indices().nth(most))
        .map_or(content.len(), |(at, _)| at);
    Ok(pad(spec, "", &content[..end], Align::Left, false))
}

fn wrong_kind(spec: &FormatSpec, wanted: &str) -> OpFail {
    let letter = match spec.kind {
        FormatType::Decimal => 'd',
        FormatType::LowerHex => 'x',
        FormatType::UpperHex => 'X',
        FormatType::Binary => 'b',
        FormatType::Octal => 'o',
        FormatType::LowerExp => 'e',
        FormatType::UpperExp => 'E',
        FormatType::Fixed => 'f',
        FormatType::Percent => '%',
        FormatType::Plain => ' ',
    };
    OpFail::error(
        ErrorKind::Value,
        format!("format type {letter} needs {wanted}"),
    )
}

/// An int formatted whose decimal text is known, since making it took steps.
pub fn int_of_text(heap: &mut Heap, spec: &FormatSpec, i: Value, decimal: &str) -> OpResult<Value> {
    let Some(i) = int::view(i) else {
        return Err(wrong_kind(spec, "an int"));
    };
    let formatted = int_with(spec, i, Some(decimal))?;
    text::new(heap, &formatted)
}

/// An int formatted; a huge one only if its decimal text is not needed.
pub(crate) fn int(spec: &FormatSpec, i: Int) -> OpResult<String> {
    int_with(spec, i, None)
}
fn int_with(spec: &FormatSpec, i: Int, decimal: Option<&str>) -> OpResult<String> {
    let (radix, prefix) = match spec.kind {
        FormatType::LowerHex | FormatType::UpperHex => (16, "0x"),
        FormatType::Binary => (2, "0b"),
        FormatType::Octal => (8, "0o"),
        FormatType::LowerExp | FormatType::UpperExp => return float(spec, int_float::to_f64(i)),
        _ => (10, ""),
    };
    let digits = match (radix, decimal) {
        (10, Some(decimal)) => decimal.to_string(),
        (10, None) => int_text::to_text(i)?,
        _ => int_text::to_radix(i, radix),
    };
    let mut digits = digits.trim_start_matches('-').to_string();
    if spec.kind == FormatType::UpperHex {
        digits.make_ascii_uppercase();
    }
    if spec.kind == FormatType::Percent && digits != "0" {
        digits.push_str("00");
    }
    if spec.has_commas {
        digits = with_commas(&digits);
    }
    let after_point = match spec.kind {
        FormatType::Plain | FormatType::Percent => spec.precision.unwrap_or(0),
        FormatType::Fixed => spec.precision.unwrap_or(6),
        _ => 0,
    };
    if after_point > 0 {
        digits.push('.');
        digits.extend(std::iter::repeat_n('0', after_point));
    }
    if spec.kind == FormatType::Percent {
        digits.push('%');
    }
    let mut front = sign(spec, i.is_negative()).to_string();
    if spec.has_prefix {
        front.push_str(prefix);
    }
    Ok(pad(spec, &front, &digits, Align::Right, true))
}

/// No float has more digits behind its point.
const MOST_PLACES: usize = 1100;

/// Digits with so many more zeros in front of their exponent or their end.
fn with_zeros(mut digits: String, zeros: usize) -> String {
    if zeros > 0 {
        let end = digits.find(['e', 'E']).unwrap_or(digits.len());
        digits.insert_str(end, &"0".repeat(zeros));
    }
    digits
}

/// A float formatted.
pub(crate) fn float(spec: &FormatSpec, f: f64) -> OpResult<String> {
    let magnitude = f.abs();
    let mut digits = if !f.is_finite() {
        float::to_text(magnitude)
    } else {
        let precision = match spec.kind {
            FormatType::Fixed => Some(spec.precision.unwrap_or(6)),
            FormatType::Percent => Some(spec.precision.unwrap_or(0)),
            _ => spec.precision,
        };
        // What would be behind these digits are zeros; more of them than 65535 would be too many for `format!`.
        let n = precision.unwrap_or(0).min(MOST_PLACES);
        let digits = match (spec.kind, precision) {
            (FormatType::Plain, None) => float::to_text(magnitude),
            (FormatType::Plain | FormatType::Fixed, _) => format!("{magnitude:.n$}"),
            (FormatType::Percent, _) => format!("{:.n$}", magnitude * 100.0),
            (FormatType::LowerExp, None) => format!("{magnitude:e}"),
            (FormatType::LowerExp, Some(_)) => format!("{magnitude:.n$e}"),
            (FormatType::UpperExp, None) => format!("{magnitude:E}"),
            (FormatType::UpperExp, Some(_)) => format!("{magnitude:.n$E}"),
            _ => return Err(wrong_kind(spec, "an int, not float")),
        };
        with_zeros(digits, precision.unwrap_or(0) - n)
    };
    if spec.has_commas {
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits = format!("{}{}", with_commas(&digits[..end]), &digits[end..]);
    }
    if spec.kind == FormatType::Percent {
        digits.push('%');
    }
    let is_negative = f.is_sign_negative() && !f.is_nan();
    Ok(pad(
        spec,
        sign(spec, is_negative),
        &digits,
        Align::Right,
        f.is_finite(),
    ))
}

fn sign(spec: &FormatSpec, is_negative: bool) -> &'static str {
    match spec.sign {
        _ if is_negative => "-",
        Sign::Plus => "+",
        Sign::Space => " ",
        Sign::Nothing => "",
    }
}

fn with_commas(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The text in its field; `front` (sign, prefix) stands before the zeros.
fn pad(
    spec: &FormatSpec,
    front: &str,
    content: &str,
    natural: Align,
    zeros_allowed: bool,
) -> String {
    let missing = spec
        .width
        .saturating_sub(front.len() + content.chars().count());
    let fill = |n: usize, c: char| std::iter::repeat_n(c, n);
    let mut out = String::with_capacity(front.len() + content.len() + missing);
    if spec.has_zeros && spec.align.is_none() && zeros_allowed {
        out.push_str(front);
        out.extend(fill(missing, '0'));
        out.push_str(content);
        return out;
    }
    let before = match spec.align.unwrap_or(natural) {
        Align::Left => 0,
        Align::Right => missing,
        Align::Center => missing / 2,
    };
    out.extend(fill(before, spec.fill));
    out.push_str(front);
    out.push_str(content);
    out.extend(fill(missing - before, spec.fill));
    out
}
