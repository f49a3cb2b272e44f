//! The values of literals: numbers, the text of strings, format specs.
//!
//! Works on slices of the source that the lexer has delimited. Each function pushes what it finds wrong and
//! returns something usable all the same.

use crate::ast::{ExprKind, Span};
use crate::diagnostics::Diagnostic;
use crate::lexer::Quote;
use num_bigint::BigUint;

/// Longer whole numbers are refused: to turn them into binary takes time that grows with the square.
const MAX_DIGITS: usize = 100_000;

const DURATIONS: [(&str, i128); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
const SIZES: [(&str, u64); 3] = [("kb", 1 << 10), ("mb", 1 << 20), ("gb", 1 << 30)];

/// The value of a number token.
pub(crate) fn number(text: &str, span: Span, diagnostics: &mut Vec<Diagnostic>) -> ExprKind {
    // Most numbers are short and plain.
    if text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit()) {
        return ExprKind::Int(
            text.bytes()
                .fold(0, |n, digit| n * 10 + i64::from(digit - b'0')),
        );
    }
    number_slow(text).unwrap_or_else(|(message, help)| {
        let diagnostic = Diagnostic::error("E0004", message, span);
        diagnostics.push(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
        ExprKind::Int(0)
    })
}

type Wrong = (String, Option<&'static str>);

fn number_slow(text: &str) -> Result<ExprKind, Wrong> {
    let clean: String = text.chars().filter(|&c| c != '_').collect();
    if clean.len() > MAX_DIGITS {
        return Err((
            format!("number with more than {MAX_DIGITS} digits"),
            Some("compute it, or read it with `int(…)`"),
        ));
    }
    let lower = clean.to_ascii_lowercase();
    for (prefix, radix, name) in [
        ("0x", 16, "hexadecimal"),
        ("0b", 2, "binary"),
        ("0o", 8, "octal"),
    ] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return Err((format!("`{}` is not a {name} number", shown(text)), None));
            }
            return Ok(match i64::from_str_radix(digits, radix) {
                Ok(n) => ExprKind::Int(n),
                Err(_) => big(digits, radix),
            });
        }
    }
    // Digits, an optional fraction and exponent, then a unit.
    let bytes = lower.as_bytes();
    let mut at = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut is_float = false;
    if at < bytes.len() && bytes[at] == b'.' {
        is_float = true;
        at += 1;
        at += bytes[at..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
    }
    if at < bytes.len() && bytes[at] == b'e' {
        let mut end = at + 1;
        if end < bytes.len() && matches!(bytes[end], b'+' | b'-') {
            end += 1;
        }
        let digits = bytes[end..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits > 0 {
            is_float = true;
            at = end + digits;
        }
    }
    let (digits, unit) = (&lower[..at], &clean[at..]);
    if unit.is_empty() {
        if is_float {
            return match digits.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(ExprKind::Float(value)),
                _ => Err((format!("`{}` is too large for a float", shown(text)), None)),
            };
        }
        return Ok(match digits.parse::<i64>() {
            Ok(n) => ExprKind::Int(n),
            Err(_) => big(digits, 10),
        });
    }
    if let Some((_, scale)) = DURATIONS.iter().find(|(name, _)| *name == unit) {
        return duration(digits, *scale)
            .map(ExprKind::Duration)
            .ok_or_else(|| {
                (
                    format!(
                        "`{}` is no whole number of nanoseconds that fits 64 bits",
                        shown(text)
                    ),
                    None,
                )
            });
    }
    if let Some((_, scale)) = SIZES.iter().find(|(name, _)| *name == unit) {
        let size = digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*scale))
            .and_then(|n| i64::try_from(n).ok());
        return size.map(ExprKind::Int).ok_or_else(|| {
            (
                format!("`{}` is not a size", shown(text)),
                Some("sizes are whole numbers: `1536kb`"),
            )
        });
    }
    Err((
        format!("unknown unit `{}` behind a number", shown(unit)),
        Some(
            "units are ns us ms s m h for durations, kb mb gb for sizes; a name cannot begin with a digit",
        ),
    ))
}

fn shown(text: &str) -> &str {
    if text.len() > 40 { &text[..40] } else { text }
}

fn big(digits: &str, radix: u32) -> ExprKind {
    if radix == 10 {
        let digits = digits.trim_start_matches('0');
        return if digits.len() <= 18 {
            ExprKind::Int(digits.parse().unwrap_or(0))
        } else {
            match digits.parse() {
                Ok(n) => ExprKind::Int(n),
                Err(_) => ExprKind::BigInt(digits.into()),
            }
        };
    }
    match BigUint::parse_bytes(digits.as_bytes(), radix) {
        Some(value) => ExprKind::BigInt(value.to_string().into()),
        None => ExprKind::Int(0),
    }
}

/// `digits` may have a fraction, as in `1.5s`, but not an exponent.
fn duration(digits: &str, scale: i128) -> Option<i64> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if fraction.len() > 18 || whole.len() > 30 {
        return None;
    }
    let unit = 10i128.checked_pow(fraction.len() as u32)?;
    let value = whole
        .parse::<i128>()
        .ok()?
        .checked_mul(unit)?
        .checked_add(if fraction.is_empty() {
            0
        } else {
            fraction.parse().ok()?
        })?
        .checked_mul(scale)?;
    (value % unit == 0)
        .then(|| i64::try_from(value / unit).ok())
        .flatten()
}

/// Reports escapes that do not exist in `text`, which begins at `offset` in the file.
pub(crate) fn check_escapes(
    text: &str,
    offset: usize,
    quote: Quote,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if quote.is_bytes
        && let Some((at, c)) = text.char_indices().find(|(_, c)| !c.is_ascii())
    {
        diagnostics.push(
            Diagnostic::error(
                "E0006",
                format!("`{c}` in bytes"),
                Span::new(offset + at, offset + at + c.len_utf8()),
            )
            .help("bytes hold ASCII text and \\x00; `\"…\".bytes()` encodes any"),
        );
    }
    if quote.is_raw || !text.contains('\\') {
        return;
    }
    let mut rest = text;
    while let Some(found) = rest.find('\\') {
        let at = offset + (text.len() - rest.len()) + found;
        let (result, used) = escape(&rest[found..], quote);
        if result.is_err() && diagnostics.len() < crate::lexer::MAX_DIAGNOSTICS {
            let shown = rest[found..].chars().take(2).collect::<String>();
            let help = match (rest.as_bytes().get(found + 1), quote.is_bytes) {
                (Some(b'x'), true) => "two hexadecimal digits follow: \\x0f",
                (Some(b'x'), false) => "in a string write \\u{…}; \\x is for b\"…\"",
                (Some(b'u'), false) => "one to six hexadecimal digits in braces: \\u{1F600}",
                (_, true) => "known are \\n \\t \\r \\0 \\\\ \\\" \\x00",
                _ => {
                    "known are \\n \\t \\r \\0 \\\\ \\\" \\' \\{ \\u{…}; write \\\\ for a backslash, or r'…'"
                }
            };
            diagnostics.push(
                Diagnostic::error(
                    "E0005",
                    format!(
                        "unknown escape `{}`",
                        shown.escape_default().to_string().replace("\\\\", "\\")
                    ),
                    Span::new(at, at + used),
                )
                .help(help),
            );
        }
        rest = &rest[found + used..];
    }
}

/// What stands for the escape at the start of `text`, and its length.
fn escape(text: &str, quote: Quote) -> (Result<char, ()>, usize) {
    let mut chars = text.char_indices().skip(1);
    let Some((_, c)) = chars.next() else {
        return (Err(()), text.len());
    };
    let simple = match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        '\\' | '"' | '\'' | '{' | '}' => c,
        'x' if quote.is_bytes => {
            let digits = text.get(2..4).unwrap_or("");
            return match u8::from_str_radix(digits, 16) {
                Ok(byte) if !digits.starts_with('+') => (Ok(char::from(byte)), 4),
                _ => (Err(()), 2),
            };
        }
        'u' if !quote.is_bytes => {
            let body = text.get(2..).unwrap_or("");
            let Some(close) = body
                .strip_prefix('{')
                .and_then(|_| body.bytes().take(10).position(|b| b == b'}'))
            else {
                return (Err(()), 2);
            };
            let digits = &body[1..close];
            let value = u32::from_str_radix(digits, 16)
                .ok()
                .filter(|_| !digits.is_empty() && digits.len() <= 6 && !digits.starts_with('+'))
                .and_then(char::from_u32);
            return (value.ok_or(()), 2 + close + 1);
        }
        _ => return (Err(()), 1 + c.len_utf8()),
    };
    (Ok(simple), 2)
}

/// Replaces escapes; wrong ones were reported by `check_escapes` and stay as they are.
pub(crate) fn unescape(text: &str, quote: Quote) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    if !quote.is_raw {
        while let Some(found) = rest.find('\\') {
            out.push_str(&rest[..found]);
            let (result, used) = escape(&rest[found..], quote);
            match result {
                Ok(c) => out.push(c),
                Err(()) => out.push_str(&rest[found..found + used]),
            }
            rest = &rest[found + used..];
        }
    }
    out.push_str(rest);
    out
}

/// The bytes of a `b"…"` literal's text: each character below 256 is a byte.
pub(crate) fn bytes(text: &str, quote: Quote) -> Box<[u8]> {
    unescape(text, quote).chars().map(|c| c as u8).collect()
}

/// Removes from a triple-quoted string, cut by its interpolations into `pieces`, the newline behind the
/// opening quotes and the white space that all lines begin with. Lines of white space only do not count and
/// become empty; text in the line of the opening quotes stays as it is.
pub(crate) fn dedent(pieces: &[&str]) -> Vec<String> {
    let mut indent: Option<&str> = None;
    for (index, piece) in pieces.iter().enumerate() {
        for line in piece.split('\n').skip(1) {
            let body = line.trim_start_matches([' ', '\t', '\r']);
            // A line that goes on behind an interpolation is not blank; the last one ends at the quotes.
            let is_last_of_piece =
                line.as_bytes().as_ptr_range().end == piece.as_bytes().as_ptr_range().end;
            if body.is_empty() && !(is_last_of_piece && index + 1 < pieces.len()) {
                continue;
            }
            let own = line[..line.len() - body.len()].trim_end_matches('\r');
            indent = Some(match indent {
                None => own,
                Some(common) => {
                    let same = common
                        .bytes()
                        .zip(own.bytes())
                        .take_while(|(a, b)| a == b)
                        .count();
                    &common[..same]
                }
            });
        }
    }
    let indent = indent.unwrap_or("");
    pieces
        .iter()
        .enumerate()
        .map(|(index, piece)| {
            let mut out = String::with_capacity(piece.len());
            for (number, line) in piece.split('\n').enumerate() {
                let is_last_of_piece =
                    line.as_bytes().as_ptr_range().end == piece.as_bytes().as_ptr_range().end;
                let goes_on = is_last_of_piece && index + 1 < pieces.len();
                let is_blank = !goes_on && line.trim_start_matches([' ', '\t', '\r']).is_empty();
                let line = if is_last_of_piece {
                    line
                } else {
                    line.strip_suffix('\r').unwrap_or(line)
                };
                if number == 0 {
                    if index == 0 && is_blank && !is_last_of_piece {
                        continue;
                    }
                    out.push_str(line);
                    continue;
                }
                let is_first = number == 1 && index == 0 && out.is_empty() && {
                    let first = piece.split('\n').next().unwrap_or("");
                    first.trim_start_matches([' ', '\t', '\r']).is_empty()
                };
                if !is_first {
                    out.push('\n');
                }
                if !is_blank {
                    out.push_str(line.strip_prefix(indent).unwrap_or(line));
                }
            }
            out
        })
        .collect()
}
