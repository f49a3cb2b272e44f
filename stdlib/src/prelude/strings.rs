//! Methods of strings and bytes.

use super::builder::{Builder, boundary};
use super::call_prelude;
use crate::support::{new_bytes, new_str, position_arg, settle, slice_bounds};
use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::ops::OpFail;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// Texts of more bytes are searched in steps.
const LONG_SEARCH: usize = 8 << 20;
/// A search looks at about so many in the time of a call.
pub(super) const BYTES_PER_UNIT: usize = 64;
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
    plain "string.bytes" (self) => bytes_of_text;
    /// Whether `part` occurs in it.
    plain "string.contains" (self, part) => contains;
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
    plain "__split_step" (text, sep, limit, at, search, out) => split_step;
    plain "__table_step" (text, at, chars) => table_step;
    plain "__replace_step" (builder, text, from, to, at, left) => replace_step;
    plain "__rsearch_step" (text, part, end) => search_back_step;
    plain "__bytes_search_step" (bytes, part, at) => search_bytes_step;
    plain "__search_step" (text, part, at, only_first) => search_step;
    plain "__case_step" (builder, text, at, is_upper) => case_step;
    plain "__reverse_step" (builder, text, at) => reverse_step;
    plain "__decode_step" (builder, bytes, at, is_hex) => decode_step;
    plain "__encode_step" (out, text, at) => encode_step;
    plain "__trim_step" (text, chars, at, is_at_start) => trim_step;
    plain "__all_step" (text, test, at) => crate::modules::text::all_step;
    plain "__recase_step" (builder, text, at, is_title) => crate::modules::text::recase_step;
    plain "__char_position" (text, byte) => |ctx| { ctx.str_arg(0)?; let byte = ctx.int_arg(1)?.max(0) as usize; char_position(ctx, Some(byte)) };

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
    change_case(ctx, true)
}

fn change_case(ctx: &mut Ctx, is_upper: bool) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > LONG {
        let text = ctx.arg(0);
        return Err(call_prelude(
            ctx,
            "__case_long",
            &[text, Value::bool(is_upper)],
        ));
    }
    let changed = if is_upper {
        text.to_uppercase()
    } else {
        text.to_lowercase()
    };
    new_str(ctx, &changed)
}

fn lower(ctx: &mut Ctx) -> NativeResult {
    change_case(ctx, false)
}

fn trim(ctx: &mut Ctx, at_start: bool, at_end: bool) -> NativeResult {
    let mut text = ctx.str_arg(0)?;
    let chars = ctx.opt_str_arg(1)?;
    let before = text.len();
    let mut start = 0;
    let mut is_more = false;
    if at_start {
        let near = &text[..boundary(text, TRIM_STEP)];
        start = near.len() - trimmed_start(near, chars).len();
        is_more |= start == near.len() && start < text.len();
        text = &text[start..];
    }
    if at_end {
        let near = &text[boundary(text, text.len().saturating_sub(TRIM_STEP))..];
        let gone = near.len() - trimmed_end(near, chars).len();
        is_more |= gone == near.len() && gone < text.len();
        text = &text[..text.len() - gone];
    }
    if is_more {
        let args = [
            ctx.arg(0),
            ctx.arg_or_nil(1),
            Value::bool(at_start),
            Value::bool(at_end),
        ];
        return Err(call_prelude(ctx, "__trim_long", &args));
    }
    if text.len() == before {
        return Ok(ctx.arg(0));
    }
    if text.len() > ops::text::LONG_COPY {
        let whole = ctx.arg(0);
        let part = [start, start + text.len()].map(|at| Value::small_int(at as i64));
        return Err(call_prelude(ctx, "__text_part", &[whole, part[0], part[1]]));
    }
    new_str(ctx, text)
}

/// Bytes that are looked at for what is to be trimmed, in one step.
const TRIM_STEP: usize = 1 << 20;

// ASCII first: that is much quicker than going by characters.
fn trimmed_start<'t>(text: &'t str, chars: Option<&str>) -> &'t str {
    match chars {
        None => text.trim_ascii_start().trim_start(),
        Some(chars) => text.trim_start_matches(|c| chars.contains(c)),
    }
}
fn trimmed_end<'t>(text: &'t str, chars: Option<&str>) -> &'t str {
    match chars {
        None => text.trim_ascii_end().trim_end(),
        Some(chars) => text.trim_end_matches(|c| chars.contains(c)),
    }
}

/// (how far what is to be trimmed goes from byte `at` on, or down to, at most a step; whether there may be more).
fn trim_step(ctx: &mut Ctx) -> NativeResult {
    let (text, chars) = (ctx.str_arg(0)?, ctx.opt_str_arg(1)?);
    let at = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let (near, rest, on) = if ctx.bool_arg(3)? {
        let near = &text[at..boundary(text, at + TRIM_STEP)];
        let rest = trimmed_start(near, chars).len();
        (near, rest, at + near.len() - rest)
    } else {
        let near = &text[boundary(text, at.saturating_sub(TRIM_STEP))..at];
        let rest = trimmed_end(near, chars).len();
        (near, rest, at - (near.len() - rest))
    };
    ctx.charge(TRIM_STEP / 64);
    let is_more = rest == 0 && !near.is_empty();
    let on = ctx.int(on as i64);
    ctx.tuple(&[on, Value::bool(is_more)])
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

/// Bytes gone through in one step.
const STEP: usize = 64 * 1024;
/// The same of a search, which is much quicker than a split.
const SEARCH: usize = 16 * STEP;
/// Parts of more bytes are copied in steps of their own.
const LONG_PART: usize = 256 * 1024;

/// Where the next separator from byte `from` on begins, looking at about a step's length: `Ok(None)`: there is none in the whole rest;
/// `Err`: go on there.
fn find_near(
    text: &str,
    from: usize,
    finder: &memchr::memmem::Finder<'_>,
) -> Result<Option<usize>, usize> {
    let overlap = finder.needle().len().saturating_sub(1);
    let end = text.len().min(from + STEP + overlap);
    match finder.find(&text.as_bytes()[from..end]) {
        Some(i) => Ok(Some(from + i)),
        None if end == text.len() => Ok(None),
        None => Err(boundary(text, end - overlap).max(from + 1)),
    }
}

/// Appends parts of a text to `out`. `sep`: a text, nil for white space, true for ends of lines; the present part begins at byte `at`, its end is
/// looked for from `search` on. Gives nil at the end, else (at, search, from, to): `from` to `to` is a long part, to be appended next if
/// it is not nil; an `at` of nil is the end.
fn split_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let separator = ctx.as_str(ctx.arg(1));
    let is_lines = ctx.arg(1) == Value::TRUE;
    let limit = ctx
        .opt_int_arg(2)?
        .map_or(usize::MAX, |n| n.max(1) as usize);
    let start = boundary(text, ctx.int_arg(3)?.max(0) as usize);
    let mut search = boundary(text, ctx.int_arg(4)?.max(0) as usize).max(start);
    let mut count = ctx.list_arg(5)?.len();
    let out = ctx.arg(5);
    ctx.reserve(STEP * 16 + LONG_PART + count * 16)?;
    ctx.charge(STEP / 8);
    let finder = memchr::memmem::Finder::new(match separator {
        Some(separator) => separator,
        None => "\n",
    });
    let is_words = separator.is_none() && !is_lines;
    let mut at = start;
    let first = search;
    while search - first < STEP {
        if is_words && search == at {
            let near = &text[at..boundary(text, at + STEP)];
            at += near.len() - near.trim_start().len();
            search = at;
            if at < text.len() && near.trim_start().is_empty() {
                continue;
            }
        }
        if at == text.len() && separator.is_none() {
            return Ok(Value::NIL);
        }
        let found = if count + 1 >= limit {
            Ok(None)
        } else if is_words {
            let near = &text[search..boundary(text, search + STEP)];
            match near.find(char::is_whitespace) {
                Some(i) => Ok(Some(search + i)),
                None if search + near.len() == text.len() => Ok(None),
                None => Err(search + near.len()),
            }
        } else {
            find_near(text, search, &finder)
        };
        let end = match found {
            Ok(end) => end,
            Err(on) => {
                search = on;
                continue;
            }
        };
        let mut to = end.unwrap_or(text.len());
        let next = end.map(|end| {
            end + match separator {
                Some(separator) => separator.len(),
                None => is_lines as usize,
            }
        });
        if is_lines && end.is_some() && text[at..to].ends_with('\r') {
            to -= 1;
        }
        if to - at > LONG_PART {
            let next = next.map_or(Value::NIL, |next| Value::small_int(next as i64));
            let part = [at, to].map(|at| Value::small_int(at as i64));
            return ctx.tuple(&[next, next, part[0], part[1]]);
        }
        let part = ctx.str(&text[at..to]);
        let pushed = ctx.list_push(out, part);
        settle(ctx, pushed)?;
        count += 1;
        match next {
            Some(next) => (at, search) = (next, next),
            None => return Ok(Value::NIL),
        }
    }
    let (at, search) = (ctx.int(at as i64), ctx.int(search as i64));
    ctx.tuple(&[at, search, Value::NIL, Value::NIL])
}

/// Appends a text from byte `at` on to a builder, `to` instead of each `from`, but no more than `left` (nil: all) of them. Gives (where to go
/// on, how many are left), nil at the end.
fn replace_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let (text, from, to) = (ctx.str_arg(1)?, ctx.str_arg(2)?, ctx.str_arg(3)?);
    let mut at = boundary(text, ctx.int_arg(4)?.max(0) as usize);
    let mut left = ctx.opt_int_arg(5)?.unwrap_or(i64::MAX);
    ctx.reserve(builder.bytes() + 2 * LONG_PART + to.len())?;
    ctx.charge(STEP / 8);
    let finder = memchr::memmem::Finder::new(from);
    let mut piece = String::new();
    let start = at;
    while at - start < STEP && piece.len() < LONG_PART && left > 0 {
        let is_found;
        let end = match find_near(text, at, &finder) {
            Ok(found) => {
                is_found = found.is_some();
                found.unwrap_or(text.len())
            }
            Err(on) => {
                is_found = false;
                on
            }
        };
        piece.push_str(&text[at..end]);
        at = end;
        if is_found {
            piece.push_str(to);
            at += from.len();
            left -= 1;
        } else if at == text.len() {
            break;
        }
    }
    let is_done = left > 0 && at == text.len();
    builder.take(&mut piece);
    if is_done {
        return Ok(Value::NIL);
    }
    let (at, left) = (ctx.int(at as i64), ctx.int(left));
    ctx.tuple(&[at, left])
}

/// (where to go on or nil, how often `part` was found from byte `at` up to there, where it was found first or nil).
fn search_step(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let start = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let only_first = ctx.bool_arg(3)?;
    let finder = memchr::memmem::Finder::new(part);
    let (mut at, mut count, mut first) = (start, 0, None);
    let mut is_done = false;
    while at - start < SEARCH {
        match find_near(text, at, &finder) {
            Ok(Some(found)) => {
                first = first.or(Some(found));
                count += 1;
                at = found + part.len();
            }
            Ok(None) => {
                is_done = true;
                break;
            }
            Err(on) => at = on,
        }
        if only_first && first.is_some() {
            break;
        }
    }
    ctx.charge((at - start) / 64 + count);
    let next = if is_done {
        Value::NIL
    } else {
        ctx.int(at as i64)
    };
    let first = first.map_or(Value::NIL, |first| Value::small_int(first as i64));
    let count = ctx.int(count as i64);
    ctx.tuple(&[next, count, first])
}

/// What a step of a search answers: the byte at which a part begins; or below 0, where to go on (-1 less that byte); or nil: nowhere.
fn search_answer(ctx: &mut Ctx, found: Option<usize>, goes_on: Option<usize>) -> NativeResult {
    Ok(match (found, goes_on) {
        (Some(found), _) => ctx.int(found as i64),
        (None, Some(at)) => ctx.int(-1 - at as i64),
        (None, None) => Value::NIL,
    })
}

/// Looks for the last part that ends at or before byte `end`.
fn search_back_step(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let end = (ctx.int_arg(2)?.max(0) as usize).min(text.len());
    let overlap = part.len() - 1;
    let from = end.saturating_sub(SEARCH + overlap);
    ctx.charge((end - from) / 64);
    let found = memchr::memmem::rfind(&text.as_bytes()[from..end], part.as_bytes());
    let goes_on = (from > 0).then_some(from + overlap);
    search_answer(ctx, found.map(|i| from + i), goes_on)
}

/// Looks for the first part at or after byte `at`.
fn search_bytes_step(ctx: &mut Ctx) -> NativeResult {
    let (bytes, part) = (ctx.bytes_arg(0)?, ctx.bytes_arg(1)?);
    let at = (ctx.int_arg(2)?.max(0) as usize).min(bytes.len());
    let overlap = part.len() - 1;
    let end = bytes.len().min(at + SEARCH + overlap);
    ctx.charge((end - at) / 64);
    let found = memchr::memmem::find(&bytes[at..end], part);
    let goes_on = (end < bytes.len()).then_some(end - overlap);
    search_answer(ctx, found.map(|i| at + i), goes_on)
}

/// Appends a text from byte `at` on in upper or lower case; gives where to go on, nil at the end.
fn case_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let text = ctx.str_arg(1)?;
    let at = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let is_upper = ctx.bool_arg(3)?;
    let mut end = boundary(text, at + 2 * STEP);
    if end < text.len() && !text[at..end].is_ascii() {
        // How a final sigma is written depends on the letters around it: the text is cut behind white space.
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\n');
        let bytes = text.as_bytes();
        end = match bytes[at..end].iter().rposition(is_blank) {
            Some(i) => at + i + 1,
            None => bytes[end..]
                .iter()
                .position(is_blank)
                .map_or(text.len(), |i| end + i + 1),
        };
    }
    ctx.reserve(builder.bytes() + 3 * (end - at))?;
    let mut piece = if is_upper {
        text[at..end].to_uppercase()
    } else {
        text[at..end].to_lowercase()
    };
    builder.take(&mut piece);
    ctx.charge((end - at) / 8);
    Ok(if end < text.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

/// Appends the characters of a text in front of byte `at`, last first; gives where to go on, nil at the end.
fn reverse_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let text = ctx.str_arg(1)?;
    let end = boundary(
        text,
        ctx.opt_int_arg(2)?
            .map_or(text.len(), |at| at.max(0) as usize),
    );
    let at = boundary(text, end.saturating_sub(2 * STEP));
    ctx.reserve(builder.bytes() + (end - at))?;
    let mut piece: String = text[at..end].chars().rev().collect();
    builder.take(&mut piece);
    ctx.charge((end - at) / 8);
    Ok(if at > 0 {
        ctx.int(at as i64)
    } else {
        Value::NIL
    })
}

/// Appends bytes from `at` on as text, or as hexadecimal digits; gives where to go on, nil at the end.
fn decode_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let bytes = ctx.bytes_arg(1)?;
    let at = (ctx.int_arg(2)?.max(0) as usize).min(bytes.len());
    let is_hex = ctx.bool_arg(3)?;
    let end = bytes.len().min(at + 2 * STEP);
    ctx.reserve(builder.bytes() + 2 * (end - at))?;
    ctx.charge((end - at) / 8);
    let part = &bytes[at..end];
    if is_hex {
        builder.take(&mut hex_text(part));
        return Ok(if end < bytes.len() {
            ctx.int(end as i64)
        } else {
            Value::NIL
        });
    }
    let valid = match std::str::from_utf8(part) {
        Ok(text) => text,
        // The step ends inside a character.
        Err(e) if e.error_len().is_none() && end < bytes.len() => {
            std::str::from_utf8(&part[..e.valid_up_to()]).unwrap_or("")
        }
        Err(e) => {
            let message = format!("bytes.to_string: no UTF-8 at byte {}", at + e.valid_up_to());
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    builder.push(valid);
    let at = at + valid.len();
    Ok(if at < bytes.len() {
        ctx.int(at as i64)
    } else {
        Value::NIL
    })
}

/// The UTF-8 of a text from byte `at` on, copied to unfinished bytes; gives where to go on, nil at the end.
fn encode_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?.as_bytes();
    let at = (ctx.int_arg(2)?.max(0) as usize).min(text.len());
    let end = text.len().min(at + ops::text::COPY_STEP);
    ctx.bytes_arg(0)?;
    ops::text::fill_bytes(ctx.arg(0), at, &text[at..end]);
    ctx.charge((end - at) / 32);
    Ok(if end < text.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
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
            let text = ctx.arg(0);
            if ops::text::needs_table(text) {
                let byte = ctx.int(byte as i64);
                return Err(call_prelude(ctx, "__position_with_table", &[text, byte]));
            }
            let position = ops::text::char_position(text, byte);
            ctx.int(position as i64)
        }
    })
}

/// Notes where characters begin, from byte `at` on with `chars` in front of it; gives both for the next step, nil at the end.
fn table_step(ctx: &mut Ctx) -> NativeResult {
    ctx.str_arg(0)?;
    let (at, chars) = (ctx.int_arg(1)?.max(0), ctx.int_arg(2)?.max(0));
    ctx.charge(20_000);
    match ops::text::fill_table_step(ctx.arg(0), at as usize, chars as usize) {
        None => Ok(Value::NIL),
        Some((at, chars)) => {
            let next = [ctx.int(at as i64), ctx.int(chars as i64)];
            ctx.tuple(&next)
        }
    }
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
    if text.len() - start > LONG_SEARCH && !part.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1), ctx.int(start as i64)];
        return Err(call_prelude(ctx, "__find_long", &args));
    }
    ctx.charge((text.len() - start) / BYTES_PER_UNIT);
    let found = text[start..].find(part).map(|i| i + start);
    char_position(ctx, found)
}

fn contains(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    if text.len() > LONG_SEARCH && !part.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1)];
        return Err(call_prelude(ctx, "__contains_long", &args));
    }
    ctx.charge(text.len() / BYTES_PER_UNIT);
    Ok(Value::bool(text.contains(part)))
}

fn bytes_of_text(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > ops::text::LONG_COPY {
        let text = ctx.arg(0);
        return Err(call_prelude(ctx, "__bytes_of_text", &[text]));
    }
    new_bytes(ctx, text.as_bytes())
}

fn rfind(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    if text.len() > LONG_SEARCH && !part.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1)];
        return Err(call_prelude(ctx, "__rfind_long", &args));
    }
    let found = text.rfind(part);
    char_position(ctx, found)
}

fn count(ctx: &mut Ctx) -> NativeResult {
    let (text, part) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    if text.len() > LONG && !part.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1)];
        return Err(call_prelude(ctx, "__count_long", &args));
    }
    let n = text.matches(part).count();
    Ok(ctx.int(n as i64))
}

fn replace(ctx: &mut Ctx) -> NativeResult {
    let (text, from, to) = (ctx.str_arg(0)?, ctx.str_arg(1)?, ctx.str_arg(2)?);
    let limit = ctx.opt_int_arg(3)?;
    if text.len() > LONG && !from.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg_or_nil(3)];
        return Err(call_prelude(ctx, "__replace_long", &args));
    }
    let replaced = match limit {
        Some(n) => text.replacen(from, to, n.max(0) as usize),
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
    match ops::text::repeat(ctx.heap(), text, n) {
        Err(OpFail::NeedsSteps(steps)) => {
            let n = ctx.int(n as i64);
            Err(call_prelude(ctx, steps, &[text, n]))
        }
        repeated => ctx.done(repeated),
    }
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
    if missing * fill.len() > ops::text::LONG_COPY {
        let (text, n) = (ctx.arg(0), ctx.int(missing as i64));
        let fill = ctx.str(fill);
        return Err(call_prelude(
            ctx,
            "__pad_long",
            &[text, n, fill, Value::bool(at_start)],
        ));
    }
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
    let is_part = end - start < length;
    if is_part && (end - start > ops::text::LONG_COPY || ops::text::needs_table(text)) {
        return Err(super::lists::part_long(ctx, text, start, end));
    }
    let part = ops::text::slice(ctx.heap(), text, start, end);
    ctx.done(part)
}

fn to_int(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.trim();
    match ops::int_text::parse(ctx.heap(), text) {
        Err(OpFail::NeedsSteps(steps)) => {
            let text = ctx.arg(0);
            Err(call_prelude(ctx, steps, &[text]))
        }
        parsed => Ok(ctx.done(parsed)?.unwrap_or(Value::NIL)),
    }
}

fn to_float(ctx: &mut Ctx) -> NativeResult {
    if ctx.str_arg(0)?.len() > ops::float::LONG_TEXT {
        let text = ctx.arg(0);
        return Err(call_prelude(ctx, "__float_parse", &[text]));
    }
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
    if ctx.str_arg(0)?.len() > LONG {
        let text = ctx.arg(0);
        return Err(call_prelude(ctx, "__reverse_long", &[text]));
    }
    let text: String = ctx.str_arg(0)?.chars().rev().collect();
    new_str(ctx, &text)
}

fn slice_of_bytes(ctx: &mut Ctx) -> NativeResult {
    let bytes = ctx.bytes_arg(0)?;
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, bytes.len());
    if end - start > ops::text::LONG_COPY {
        let bytes = ctx.arg(0);
        return Err(super::lists::part_long(ctx, bytes, start, end));
    }
    new_bytes(ctx, &bytes[start..end])
}

fn decode(ctx: &mut Ctx) -> NativeResult {
    if ctx.bytes_arg(0)?.len() > LONG {
        let bytes = ctx.arg(0);
        return Err(call_prelude(ctx, "__decode_long", &[bytes, Value::FALSE]));
    }
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
    if bytes.len() > LONG {
        let bytes = ctx.arg(0);
        return Err(call_prelude(ctx, "__decode_long", &[bytes, Value::TRUE]));
    }
    ctx.reserve(bytes.len() * 2)?;
    new_str(ctx, &hex_text(bytes))
}

fn hex_text(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| {
            [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('?'))
        })
        .collect()
}

fn find_bytes(ctx: &mut Ctx) -> NativeResult {
    let (bytes, part) = (ctx.bytes_arg(0)?, ctx.bytes_arg(1)?);
    if bytes.len() > LONG_SEARCH && !part.is_empty() {
        let args = [ctx.arg(0), ctx.arg(1)];
        return Err(call_prelude(ctx, "__bytes_find_long", &args));
    }
    ctx.charge(bytes.len() / BYTES_PER_UNIT);
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
    if ctx.as_str(value).is_some() {
        return bytes_of_text(ctx);
    }
    if let Some(n) = ops::int::to_i64(value) {
        if n < 0 {
            return Err(ctx.throw(
                ErrorKind::Value,
                format!("bytes: the length must not be negative, got {n}"),
            ));
        }
        // What is large comes from the system as zeros, a page when it is first used.
        let zeros = ops::text::unfinished_bytes(ctx.heap(), n as usize);
        return ctx.done(zeros);
    }
    let Some(items) = ctx.as_list(value).or_else(|| ctx.as_tuple(value)) else {
        return Err(ctx.wrong_type(0, "a string, an int or a list of ints"));
    };
    if items.len() > 100_000 {
        return Err(call_prelude(ctx, "__bytes_of_list", &[value]));
    }
    ctx.charge(items.len() / 4);
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
