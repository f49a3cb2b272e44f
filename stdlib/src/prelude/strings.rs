//! Methods of strings and bytes.

use super::call_prelude;
use crate::support::{new_bytes, new_str, position_arg, settle, slice_bounds};
use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// Texts of more bytes are split in steps.
const LONG: usize = 256 * 1024;

pub(super) static STRINGS: &[NativeDef] = natives! {
    /// The number of characters (code points).
    plain "string.len" (self) => |ctx| { let n = ops::text::char_count(ctx.arg(0)); Ok(ctx.int(n as i64)) };
    /// Whether it has no characters.
    plain "string.is_empty" (self) => |ctx| Ok(Value::bool(ctx.str_arg(0)?.is_empty()));
    /// In upper case.
    plain "string.upper" (self) => upper;
    /// In lower case.
    plain "string.lower" (self) => lower;
    /// Without white space (or the given characters) at both ends.
    plain "string.trim" (self, "chars?") => |ctx| trim(ctx, true, true);
    /// Without white space (or the given characters) at the start.
    plain "string.trim_start" (self, "chars?") => |ctx| trim(ctx, true, false);
    /// Without white space (or the given characters) at the end.
    plain "string.trim_end" (self, "chars?") => |ctx| trim(ctx, false, true);
    /// A list of the parts between `sep`, at most `limit` of them; without `sep`, of the words between white space.
    plain "string.split" (self, "sep?", "limit?") => split;
    /// A list of the lines, without their ends.
    plain "string.lines" (self) => lines;
    /// The text as UTF-8.
    plain "string.bytes" (self) => |ctx| { let text = ctx.str_arg(0)?; new_bytes(ctx, text.as_bytes()) };
    /// Whether `part` occurs in it.
    plain "string.contains" (self, part) => |ctx| Ok(Value::bool(ctx.str_arg(0)?.contains(ctx.str_arg(1)?)));
    /// Whether it begins with `part`.
    plain "string.starts_with" (self, part) => |ctx| Ok(Value::bool(ctx.str_arg(0)?.starts_with(ctx.str_arg(1)?)));
    /// Whether it ends with `part`.
    plain "string.ends_with" (self, part) => |ctx| Ok(Value::bool(ctx.str_arg(0)?.ends_with(ctx.str_arg(1)?)));
    /// The position of the first `part` at or after `start`, or nil.
    plain "string.find" (self, part, "start?") => find;
    /// The position of the last `part`, or nil.
    plain "string.rfind" (self, part) => rfind;
    /// How often `part` occurs, without overlaps.
    plain "string.count" (self, part) => count;
    /// With `to` instead of each `from`, or of the first `limit`.
    plain "string.replace" (self, from, to, "limit?") => replace;
    /// The text `n` times.
    plain "string.repeat" (self, n) => repeat;
    /// With `fill` (a space) in front until it has `width` characters.
    plain "string.pad_left" (self, width, "fill?") => |ctx| pad(ctx, true);
    /// With `fill` (a space) behind it until it has `width` characters.
    plain "string.pad_right" (self, width, "fill?") => |ctx| pad(ctx, false);
    /// The characters from `start` up to `end`; negative positions count from the end, all are clamped.
    plain "string.slice" (self, "start?", "end?") => slice;
    /// The int that it spells, or nil.
    plain "string.to_int" (self) => to_int;
    /// The float that it spells, or nil.
    plain "string.to_float" (self) => to_float;
    /// The code point of its only character. Throws ValueError if it has not exactly one.
    plain "string.ord" (self) => ord;
    /// The string of one character with this code point. Throws ValueError if there is none.
    plain "chr" (n) => chr;
    plain "__reverse_text" (text) => reverse_text;
    plain "__split_step" (text, sep, limit, at, out) => split_step;

    /// The number of bytes.
    plain "bytes.len" (self) => |ctx| { let n = ctx.bytes_arg(0)?.len(); Ok(ctx.int(n as i64)) };
    /// Whether there are none.
    plain "bytes.is_empty" (self) => |ctx| Ok(Value::bool(ctx.bytes_arg(0)?.is_empty()));
    /// The bytes from `start` up to `end`; negative positions count from the end, all are clamped.
    plain "bytes.slice" (self, "start?", "end?") => slice_of_bytes;
    /// The text that they encode in UTF-8. Throws ValueError if they do not.
    plain "bytes.to_string" (self) => decode;
    /// The text that they encode in UTF-8. Throws ValueError if they do not.
    plain "bytes.decode" (self) => decode;
    /// Two hexadecimal digits for each byte.
    plain "bytes.hex" (self) => hex;
    /// The position of the first `part`, or nil.
    plain "bytes.find" (self, part) => find_bytes;
    /// Whether `part` occurs.
    plain "bytes.contains" (self, part) => |ctx| Ok(Value::bool(!find_bytes(ctx)?.is_nil()));
    /// Whether they begin with `part`.
    plain "bytes.starts_with" (self, part) => |ctx| Ok(Value::bool(ctx.bytes_arg(0)?.starts_with(ctx.bytes_arg(1)?)));
    /// Whether they end with `part`.
    plain "bytes.ends_with" (self, part) => |ctx| Ok(Value::bool(ctx.bytes_arg(0)?.ends_with(ctx.bytes_arg(1)?)));
    /// Bytes of a text (UTF-8), a list of ints, or so many zeros.
    plain "bytes" ("value?") => make_bytes;
};

fn upper(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.to_uppercase();
    new_str(ctx, &text)
}

fn lower(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.to_lowercase();
    new_str(ctx, &text)
}

fn trim(ctx: &mut Ctx, at_start: bool, at_end: bool) -> NativeResult {
    let mut text = ctx.str_arg(0)?;
    let chars = ctx.opt_str_arg(1)?;
    let is_trimmed = |c: char| match chars {
        None => c.is_whitespace(),
        Some(chars) => chars.contains(c),
    };
    let before = text.len();
    if at_start {
        text = text.trim_start_matches(is_trimmed);
    }
    if at_end {
        text = text.trim_end_matches(is_trimmed);
    }
    if text.len() == before {
        return Ok(ctx.arg(0));
    }
    new_str(ctx, text)
}

fn split(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let separator = ctx.opt_str_arg(1)?;
    let limit = match ctx.opt_int_arg(2)? {
        None => usize::MAX,
        Some(n) if n >= 1 => n as usize,
        Some(n) => {
            return Err(ctx.throw(
                ErrorKind::Value,
                format!("split: the limit must be at least 1, got {n}"),
            ));
        }
    };
    if text.len() > LONG && separator != Some("") {
        let args = [ctx.arg(0), ctx.arg_or_nil(1), ctx.arg_or_nil(2)];
        return Err(call_prelude(ctx, "__split_long", &args));
    }
    match separator {
        Some("") => Err(ctx.throw(ErrorKind::Value, "split: the separator is empty")),
        // A single character is searched for faster than a text of one.
        Some(separator) if limit == usize::MAX && separator.len() == 1 => {
            let separator = char::from(separator.as_bytes()[0]);
            list_of_parts(ctx, text.split(separator), text.len())
        }
        Some(separator) if limit == usize::MAX => {
            list_of_parts(ctx, text.split(separator), text.len())
        }
        Some(separator) => list_of_parts(ctx, text.splitn(limit, separator), text.len()),
        None if limit == usize::MAX => list_of_parts(ctx, text.split_whitespace(), text.len()),
        None => {
            let mut rest = text.trim();
            let mut parts = Vec::new();
            while !rest.is_empty() {
                if parts.len() + 1 == limit {
                    parts.push(rest);
                    break;
                }
                let (part, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                parts.push(part);
                rest = after.trim_start();
            }
            list_of_parts(ctx, parts.into_iter(), text.len())
        }
    }
}

fn lines(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > LONG {
        let args = [ctx.arg(0), Value::TRUE, Value::NIL];
        return Err(call_prelude(ctx, "__split_long", &args));
    }
    list_of_parts(ctx, text.lines(), text.len())
}

/// Appends parts of a text from byte `at` on to `out`; gives where to go on, nil at the end. `sep`: a text, nil for white space,
/// true for ends of lines.
fn split_step(ctx: &mut Ctx) -> NativeResult {
    /// Bytes gone through in one step.
    const STEP: usize = 64 * 1024;
    let text = ctx.str_arg(0)?;
    let separator = ctx.as_str(ctx.arg(1));
    let is_lines = ctx.arg(1) == Value::TRUE;
    let limit = ctx
        .opt_int_arg(2)?
        .map_or(usize::MAX, |n| n.max(1) as usize);
    let start = ctx.int_arg(3)?.max(0) as usize;
    let mut count = ctx.list_arg(4)?.len();
    let out = ctx.arg(4);
    ctx.reserve(STEP * 16 + count * 16)?;
    let mut at = start;
    while at - start < STEP {
        let mut rest = &text[at..];
        if separator.is_none() && !is_lines {
            rest = rest.trim_start();
        }
        if rest.is_empty() && separator.is_none() {
            return Ok(Value::NIL);
        }
        let found = match separator {
            _ if count + 1 >= limit => None,
            Some(separator) => rest.find(separator).map(|i| (i, separator.len())),
            None if is_lines => rest.find('\n').map(|i| (i, 1)),
            None => rest.find(char::is_whitespace).map(|i| (i, 0)),
        };
        let (length, behind) = found.unwrap_or((rest.len(), 0));
        let part = &rest[..length];
        let part = match found {
            Some(_) if is_lines => part.strip_suffix('\r').unwrap_or(part),
            _ => part,
        };
        // A part is as long as it is: room for a huge one was not asked for, but then it is the only one.
        let part = ctx.str(part);
        let pushed = ctx.list_push(out, part);
        settle(ctx, pushed)?;
        count += 1;
        if found.is_none() {
            return Ok(Value::NIL);
        }
        at = text.len() - rest.len() + length + behind;
    }
    Ok(ctx.int(at as i64))
}

/// A list of parts of a text of `bytes` bytes.
fn list_of_parts<'t>(
    ctx: &mut Ctx,
    parts: impl Iterator<Item = &'t str>,
    bytes: usize,
) -> NativeResult {
    let parts: Vec<&str> = parts.collect();
    ctx.reserve(bytes + parts.len() * 32)?;
    let parts: Vec<Value> = parts.into_iter().map(|part| ctx.str(part)).collect();
    ctx.list(&parts)
}

/// The position in characters of a position in bytes.
fn char_position(ctx: &mut Ctx, byte: Option<usize>) -> NativeResult {
    Ok(match byte {
        None => Value::NIL,
        Some(byte) => {
            let position = ops::text::char_position(ctx.arg(0), byte);
            ctx.int(position as i64)
        }
    })
}

fn find(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let start = match position_arg(ctx, 2)? {
        None | Some(0) => 0,
        Some(n) => {
            let length = ops::text::char_count(ctx.arg(0));
            let (start, _) = slice_bounds(Some(n), None, length);
            ops::text::byte_offset(ctx.arg(0), start)
        }
    };
    let found = text[start..].find(part).map(|i| i + start);
    char_position(ctx, found)
}

fn rfind(ctx: &mut Ctx) -> NativeResult {
    let found = ctx.str_arg(0)?.rfind(ctx.str_arg(1)?);
    char_position(ctx, found)
}

fn count(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let n = text.matches(part).count();
    Ok(ctx.int(n as i64))
}

fn replace(ctx: &mut Ctx) -> NativeResult {
    let (text, from, to) = (ctx.str_arg(0)?, ctx.str_arg(1)?, ctx.str_arg(2)?);
    let replaced = match ctx.opt_int_arg(3)? {
        Some(n) => text.replacen(from, to, n.max(0) as usize),
        None if text.len() > LONG && !from.is_empty() => {
            let args = [ctx.arg(0), ctx.arg(1), ctx.arg(2)];
            return Err(call_prelude(ctx, "__replace_long", &args));
        }
        None => {
            // The result may be far larger than the texts: its size is known before it is made.
            let hits = if to.len() > from.len() {
                text.matches(from).count()
            } else {
                0
            };
            ctx.reserve(text.len() + hits * (to.len().saturating_sub(from.len())))?;
            text.replace(from, to)
        }
    };
    new_str(ctx, &replaced)
}

fn repeat(ctx: &mut Ctx) -> NativeResult {
    ctx.str_arg(0)?;
    let n = ctx.int_arg(1)?.max(0) as u64;
    let text = ctx.arg(0);
    let repeated = ops::text::repeat(ctx.heap(), text, n);
    ctx.done(repeated)
}

fn pad(ctx: &mut Ctx, at_start: bool) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let width = ctx.int_arg(1)?.max(0) as usize;
    let fill = ctx.opt_str_arg(2)?.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(ctx.throw(
            ErrorKind::Value,
            format!("{}: fill must be one character, got {fill:?}", ctx.name()),
        ));
    }
    let missing = width.saturating_sub(ops::text::char_count(ctx.arg(0)));
    if missing == 0 {
        return Ok(ctx.arg(0));
    }
    ctx.reserve(
        text.len()
            .saturating_add(missing.saturating_mul(fill.len())),
    )?;
    let fill = fill.repeat(missing);
    let padded = if at_start {
        fill + text
    } else {
        text.to_string() + &fill
    };
    Ok(ctx.str(&padded))
}

fn slice(ctx: &mut Ctx) -> NativeResult {
    ctx.str_arg(0)?;
    let length = ops::text::char_count(ctx.arg(0));
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, length);
    let text = ctx.arg(0);
    let part = ops::text::slice(ctx.heap(), text, start, end);
    ctx.done(part)
}

fn to_int(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.trim();
    let parsed = ops::int_text::parse(ctx.heap(), text);
    Ok(ctx.done(parsed)?.unwrap_or(Value::NIL))
}

fn to_float(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.trim();
    Ok(ops::float::parse(text).map_or(Value::NIL, Value::float))
}

fn ord(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(ctx.int(c as i64)),
        _ => {
            let shown = ctx.repr_short(ctx.arg(0));
            Err(ctx.throw(
                ErrorKind::Value,
                format!("ord: expected a string of one character, got {shown}"),
            ))
        }
    }
}

fn chr(ctx: &mut Ctx) -> NativeResult {
    ctx.int_arg(0)?;
    let code = ctx.arg(0);
    let made = ops::text::from_code_point(ctx.heap(), code);
    ctx.done(made)
}

fn reverse_text(ctx: &mut Ctx) -> NativeResult {
    let text: String = ctx.str_arg(0)?.chars().rev().collect();
    new_str(ctx, &text)
}

fn slice_of_bytes(ctx: &mut Ctx) -> NativeResult {
    let bytes = ctx.bytes_arg(0)?;
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, bytes.len());
    new_bytes(ctx, &bytes[start..end])
}

fn decode(ctx: &mut Ctx) -> NativeResult {
    match std::str::from_utf8(ctx.bytes_arg(0)?) {
        Ok(text) => new_str(ctx, text),
        Err(e) => Err(ctx.throw(
            ErrorKind::Value,
            format!("{}: no UTF-8 at byte {}", ctx.name(), e.valid_up_to()),
        )),
    }
}

fn hex(ctx: &mut Ctx) -> NativeResult {
    let bytes = ctx.bytes_arg(0)?;
    ctx.reserve(bytes.len() * 2)?;
    let text: String = bytes
        .iter()
        .flat_map(|byte| {
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?'))
        })
        .collect();
    new_str(ctx, &text)
}

fn find_bytes(ctx: &mut Ctx) -> NativeResult {
    let (bytes, part) = (ctx.bytes_arg(0)?, ctx.bytes_arg(1)?);
    Ok(match memchr::memmem::find(bytes, part) {
        Some(i) => ctx.int(i as i64),
        None => Value::NIL,
    })
}

/// `bytes(text)`, `bytes([1, 2])`, `bytes(n)`: n zeros.
fn make_bytes(ctx: &mut Ctx) -> NativeResult {
    let value = ctx.arg_or_nil(0);
    if value.is_nil() {
        return new_bytes(ctx, &[]);
    }
    if ctx.as_bytes(value).is_some() {
        return Ok(value);
    }
    if let Some(text) = ctx.as_str(value) {
        return new_bytes(ctx, text.as_bytes());
    }
    if let Some(n) = ops::int::to_i64(value) {
        if n < 0 {
            return Err(ctx.throw(
                ErrorKind::Value,
                format!("bytes: the length must not be negative, got {n}"),
            ));
        }
        ctx.reserve(n as usize)?;
        return new_bytes(ctx, &vec![0; n as usize]);
    }
    let Some(items) = ctx.as_list(value).or_else(|| ctx.as_tuple(value)) else {
        return Err(ctx.wrong_type(0, "a string, an int or a list of ints"));
    };
    ctx.reserve(items.len())?;
    let mut bytes = Vec::with_capacity(items.len());
    for &item in items {
        match ops::int::to_i64(item).map(u8::try_from) {
            Some(Ok(byte)) => bytes.push(byte),
            _ => {
                let shown = ctx.repr_short(item);
                return Err(ctx.throw(
                    ErrorKind::Value,
                    format!("bytes: expected ints from 0 to 255, got {shown}"),
                ));
            }
        }
    }
    new_bytes(ctx, &bytes)
}
