//! Texts and bytes in the making: what is long is put together and copied in steps.
//!
//! A `Builder` collects pieces; at the end a string of the right size is made and filled piece by piece, each given back to the system as
//! soon as it is copied. So the work of making a text of any length is spread over steps, and its memory is taken about once.

use crate::support::write_text;
use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::object::Kind;
use heddle_vm::{Value, natives, ops};
use std::collections::VecDeque;

/// Elements joined in one step: well below a millisecond.
const STEP: usize = 50_000;
/// Bytes appended or copied in one step.
const STEP_BYTES: usize = ops::text::COPY_STEP;
/// Pieces are collected until they are so long.
const PIECE: usize = 256 * 1024;
/// Bytes of copying that are charged like a call.
pub(crate) const BYTES_PER_UNIT: usize = 32;

pub(super) static BUILDING: &[NativeDef] = natives! {
    plain "__join_short" (xs, sep) => join_short;
    plain "__builder" () => |ctx| Ok(ctx.host(Box::new(Builder::default()), "text builder"));
    plain "__join_step" (builder, xs, sep, from) => join_step;
    plain "__add_step" (builder, text, from, to) => add_step;
    plain "__build_begin" (builder) => build_begin;
    plain "__build_step" (builder, text) => build_step;
    plain "__byte_len" (text) => |ctx| { let n = byte_len(ctx)?; Ok(ctx.int(n as i64)) };
    plain "__is_long_text" (text) => |ctx| Ok(Value::bool(byte_len(ctx)? > PIECE));
    plain "__byte_bounds" (text, from, to) => byte_bounds;
    plain "__bytes_begin" (n) => |ctx| { let n = ctx.int_arg(0)?.max(0) as usize; let made = ops::text::unfinished_bytes(ctx.heap(), n); ctx.done(made) };
    plain "__bytes_step" (out, at, bytes, from, to) => bytes_step;
};

/// A text in the making.
#[derive(Default)]
pub(crate) struct Builder {
    pieces: VecDeque<String>,
    bytes: usize,
    chars: usize,
    /// Bytes that have been copied into the finished string.
    copied: usize,
}

impl Builder {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
    fn count(&mut self, text: &str) {
        self.bytes += text.len();
        self.chars += if text.is_ascii() {
            text.len()
        } else {
            text.chars().count()
        };
    }
    pub(crate) fn push(&mut self, text: &str) {
        self.count(text);
        match self.pieces.back_mut() {
            Some(last) if last.len() + text.len() <= PIECE => last.push_str(text),
            // There may be very many builders at once: one for each level of a recursion through `str`.
            _ if text.is_empty() => {}
            _ => self.pieces.push_back(text.to_string()),
        }
    }
    /// Takes a piece over without copying it, if it is long enough for that.
    pub(crate) fn take(&mut self, piece: &mut String) {
        if piece.len() < PIECE / 4 {
            self.push(piece);
            piece.clear();
        } else {
            self.count(piece);
            self.pieces.push_back(std::mem::take(piece));
        }
    }
}

/// The joined text, or nil if it takes steps or script code.
fn join_short(ctx: &mut Ctx) -> NativeResult {
    let items = ctx.list_arg(0)?;
    let separator = ctx.str_arg(1)?;
    if items.len() > STEP || !items.iter().all(|&item| ops::text::can_concat(item)) {
        return Ok(Value::NIL);
    }
    let mut bytes = separator.len().saturating_mul(items.len());
    for &item in items {
        bytes = bytes.saturating_add(ctx.as_str(item).map_or(0, str::len));
    }
    if bytes > ops::text::LONG_COPY {
        return Ok(Value::NIL);
    }
    ctx.charge(items.len() + bytes / BYTES_PER_UNIT);
    if items.iter().all(|item| item.is_kind(Kind::Str)) {
        let joined = ops::text::join(ctx.heap(), items, separator);
        return ctx.done(joined);
    }
    let mut text = String::new();
    for (i, &item) in items.iter().enumerate() {
        if i > 0 {
            text.push_str(separator);
        }
        write_text(ctx, &mut text, item)?;
    }
    crate::support::new_str(ctx, &text)
}

/// Appends elements from `from` on; gives the position of the first that it did not append, or -(i + 1) if element i must be turned into
/// text by script code or is so long that it takes steps of its own.
fn join_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let items = ctx.list_arg(1)?;
    let separator = ctx.str_arg(2)?;
    let from = ctx.int_arg(3)?.max(0) as usize;
    let end = items.len().min(from.saturating_add(STEP));
    ctx.reserve(builder.bytes)?;
    let mut text = String::new();
    let mut i = from;
    let mut stuck = false;
    while i < end && text.len() < STEP_BYTES {
        let item = items[i];
        let length = ctx.as_str(item).map_or(0, str::len) + separator.len();
        if length > PIECE || !ops::text::can_concat(item) {
            stuck = true;
            break;
        }
        if i > 0 {
            text.push_str(separator);
        }
        write_text(ctx, &mut text, item)?;
        i += 1;
    }
    ctx.charge(i - from + text.len() / BYTES_PER_UNIT);
    builder.take(&mut text);
    Ok(ctx.int(if stuck { -(i as i64) - 1 } else { i as i64 }))
}

/// The last position up to `at` at which a character begins.
pub(crate) fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Appends bytes `from` to `to` (nil: the end) of a text, as many as a step allows; gives where to go on, nil at the end.
fn add_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let text = ctx.str_arg(1)?;
    let from = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let to = ctx
        .opt_int_arg(3)?
        .map_or(text.len(), |to| to.max(0) as usize);
    let to = boundary(text, to).max(from);
    let end = if to - from > STEP_BYTES {
        boundary(text, from + STEP_BYTES)
    } else {
        to
    };
    ctx.reserve(builder.bytes + (end - from))?;
    builder.push(&text[from..end]);
    ctx.charge((end - from) / BYTES_PER_UNIT);
    Ok(if end < to {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

/// The string that will hold the text, not yet filled.
fn build_begin(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let made = ops::text::unfinished(ctx.heap(), builder.bytes, builder.chars);
    ctx.done(made)
}

/// Copies some pieces; true if there are more.
fn build_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    ctx.str_arg(1)?;
    let mut done = 0;
    while done < STEP_BYTES
        && let Some(piece) = builder.pieces.pop_front()
    {
        ops::text::fill(ctx.arg(1), builder.copied, &piece);
        builder.copied += piece.len();
        done += piece.len();
    }
    ctx.charge(done / BYTES_PER_UNIT);
    Ok(Value::bool(!builder.pieces.is_empty()))
}

fn byte_len(ctx: &mut Ctx) -> Result<usize, heddle_vm::native::Trap> {
    Ok(ctx.str_arg(0)?.len())
}

/// Positions in characters as positions in bytes.
fn byte_bounds(ctx: &mut Ctx) -> NativeResult {
    ctx.str_arg(0)?;
    let (from, to) = (ctx.int_arg(1)?.max(0), ctx.int_arg(2)?.max(0));
    let bounds = [from, to].map(|at| {
        let at = ops::text::byte_offset(ctx.arg(0), at as usize);
        ctx.int(at as i64)
    });
    ctx.tuple(&bounds)
}

/// Copies bytes `from` to `to` to position `at` of unfinished bytes, as many as a step allows; gives where to go on, nil at the end.
fn bytes_step(ctx: &mut Ctx) -> NativeResult {
    let bytes = ctx.bytes_arg(2)?;
    let at = ctx.int_arg(1)?.max(0) as usize;
    let to = (ctx.int_arg(4)?.max(0) as usize).min(bytes.len());
    let from = (ctx.int_arg(3)?.max(0) as usize).min(to);
    let end = to.min(from + STEP_BYTES);
    ctx.bytes_arg(0)?;
    ops::text::fill_bytes(ctx.arg(0), at, &bytes[from..end]);
    ctx.charge((end - from) / BYTES_PER_UNIT);
    Ok(if end < to {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}
