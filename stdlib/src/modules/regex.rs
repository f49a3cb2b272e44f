//! `regex`: regular expressions of the `regex` crate, whose time is linear in the text. The type `Pattern` is Heddle code.

use crate::prelude::builder::{Builder, boundary};
use crate::prelude::call_prelude;
use crate::support::new_str;
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use regex::{Captures, Regex, RegexBuilder};

/// No compiled pattern takes more bytes.
const MOST_BYTES: usize = 4 << 20;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "regex",
    functions: natives! {
        /// The pattern that matches exactly this text.
        plain "regex.escape" (text) => |ctx| { let text = regex::escape(ctx.str_arg(0)?); new_str(ctx, &text) };
        plain "regex.__compile" (pattern) => compile;
        plain "regex.__is_match" (pattern, text) => |ctx| Ok(Value::bool(pattern(ctx)?.is_match(ctx.str_arg(1)?)));
        plain "regex.__find" (pattern, text) => find;
        plain "regex.__captures" (pattern, text) => captures;
        plain "regex.__names" (pattern) => names;
        plain "regex.__next" (pattern, text, from) => next;
        plain "regex.__replace_step" (pattern, text, with, builder, at, left, last) => replace_step;
        plain "regex.__builder" () => |ctx| Ok(ctx.host(Box::new(Builder::default()), "text builder"));
        plain "regex.__add" (builder, text, from, to) => |ctx| tail(ctx, "__add_part", 4);
        plain "regex.__build" (builder) => |ctx| tail(ctx, "__build", 1);
        plain "regex.__part" (text, from, to) => |ctx| tail(ctx, "__text_part", 3);
    },
    constants: |_| {},
    source: Some(include_str!("regex.hd")),
};

/// Goes on in a function of the prelude with the same arguments.
fn tail(ctx: &mut Ctx, name: &str, count: usize) -> NativeResult {
    let args: Vec<Value> = (0..count).map(|i| ctx.arg_or_nil(i)).collect();
    Err(call_prelude(ctx, name, &args))
}

fn pattern<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Regex, Trap> {
    Ok(ctx.host_arg::<Regex>(0)?)
}

fn compile(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    match RegexBuilder::new(text).size_limit(MOST_BYTES).build() {
        Ok(pattern) => Ok(ctx.host(Box::new(pattern), "compiled pattern")),
        Err(e) => {
            // The crate's message shows the pattern over several lines; the last says what is wrong.
            let text = e.to_string();
            let reason = text
                .lines()
                .last()
                .unwrap_or(&text)
                .trim_start_matches("error: ");
            let message = format!("regex.new: {reason}, in {}", ctx.repr_short(ctx.arg(0)));
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

fn find(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text) = (pattern(ctx)?, ctx.str_arg(1)?);
    match pattern.find(text) {
        Some(found) => new_str(ctx, found.as_str()),
        None => Ok(Value::NIL),
    }
}

/// A list of the texts of the groups, the whole match first; nil for those that took no part.
fn groups(ctx: &mut Ctx, captures: &Captures) -> NativeResult {
    let parts: Vec<Value> = captures
        .iter()
        .map(|group| group.map_or(Value::NIL, |group| ctx.str(group.as_str())))
        .collect();
    ctx.list(&parts)
}

fn captures(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text) = (pattern(ctx)?, ctx.str_arg(1)?);
    ctx.reserve(text.len())?;
    match pattern.captures(text) {
        Some(captures) => groups(ctx, &captures),
        None => Ok(Value::NIL),
    }
}

fn names(ctx: &mut Ctx) -> NativeResult {
    let names: Vec<Value> = pattern(ctx)?
        .capture_names()
        .map(|name| name.map_or(Value::NIL, |name| ctx.str(name)))
        .collect();
    ctx.list(&names)
}

/// (start, end, where to go on, groups) of the first match from byte `from` on, all in bytes; nil if there is none.
fn next(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text) = (pattern(ctx)?, ctx.str_arg(1)?);
    let from = ctx.int_arg(2)?.max(0) as usize;
    if from > text.len() {
        return Ok(Value::NIL);
    }
    ctx.reserve(text.len() - from)?;
    let Some(captures) = pattern.captures_at(text, from) else {
        return Ok(Value::NIL);
    };
    ctx.charge((captures.get_match().end() - from) / 32);
    let whole = captures.get_match();
    let (start, end) = (whole.start(), whole.end());
    // Behind an empty match the search goes on one character further.
    let on = match text[end..].chars().next() {
        Some(c) if start == end => end + c.len_utf8(),
        None if start == end => end + 1,
        _ => end,
    };
    let groups = groups(ctx, &captures)?;
    let parts = [
        Value::small_int(start as i64),
        Value::small_int(end as i64),
        Value::small_int(on as i64),
        groups,
    ];
    ctx.tuple(&parts)
}

/// Appends a text from byte `at` on to a builder, `with` instead of each match, but no more than `left` of them, as many as a step allows.
/// `last` is where the match before it ended: an empty match is not looked at there. Gives (at, left, last, from): if `from` is not nil, the text from
/// there up to `at` (nil: to the end, which is all that is left to do) is to be appended first.
fn replace_step(ctx: &mut Ctx) -> NativeResult {
    /// Bytes gone through, and bytes written, in one step.
    const STEP: usize = 32 * 1024;
    let pattern = pattern(ctx)?;
    let (text, with) = (ctx.str_arg(1)?, ctx.str_arg(2)?);
    let builder = ctx.host_arg::<Builder>(3)?;
    let mut at = boundary(text, ctx.int_arg(4)?.max(0) as usize);
    let mut left = ctx.int_arg(5)?;
    let mut last = ctx.opt_int_arg(6)?.map(|last| last.max(0) as usize);
    ctx.reserve(builder.bytes() + 4 * STEP)?;
    let is_plain = !with.contains('$');
    let mut piece = String::new();
    let start = at;
    let mut copied = at;
    let mut is_done = false;
    while at - start < STEP && piece.len() < STEP {
        let captures = if left == 0 || is_plain {
            None
        } else {
            pattern.captures_at(text, at)
        };
        let found = match &captures {
            Some(captures) => captures.get(0),
            None if left > 0 && is_plain => pattern.find_at(text, at),
            None => None,
        };
        let Some(found) = found else {
            is_done = true;
            break;
        };
        if found.is_empty() && last == Some(found.end()) {
            // Directly behind a match: goes on behind the next character.
            match text[at..].chars().next() {
                Some(c) => at += c.len_utf8(),
                None => {
                    is_done = true;
                    break;
                }
            }
            continue;
        }
        if found.start() - copied > LONG_GAP {
            // Copied in steps of its own, up to the match, which is then looked for again.
            builder.take(&mut piece);
            if copied < found.start() {
                at = found.start();
                let parts = [copied, at].map(|at| Value::small_int(at as i64));
                let (left, last) = (ctx.int(left), position(last));
                return ctx.tuple(&[parts[1], left, last, parts[0]]);
            }
        }
        piece.push_str(&text[copied..found.start()]);
        match &captures {
            Some(captures) => captures.expand(with, &mut piece),
            None => piece.push_str(with),
        }
        left -= 1;
        copied = found.end();
        at = copied;
        last = Some(at);
    }
    ctx.charge((at - start + piece.len()) / 4);
    if !is_done {
        piece.push_str(&text[copied..at]);
    }
    builder.take(&mut piece);
    if is_done {
        let (at, last) = (Value::small_int(copied as i64), position(last));
        return ctx.tuple(&[Value::NIL, Value::small_int(0), last, at]);
    }
    let (at, left, last) = (Value::small_int(at as i64), ctx.int(left), position(last));
    ctx.tuple(&[at, left, last, Value::NIL])
}

fn position(at: Option<usize>) -> Value {
    at.map_or(Value::NIL, |at| Value::small_int(at as i64))
}

/// Text between matches that is longer is copied in steps of its own.
const LONG_GAP: usize = 256 * 1024;
