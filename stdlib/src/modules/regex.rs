//! `regex`: regular expressions of the `regex` crate, whose time is linear in the text. The type `Pattern` is Heddle code.

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
        plain "regex.__replace" (pattern, text, with, limit) => replace;
    },
    constants: |_| {},
    source: Some(include_str!("regex.hd")),
};

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

fn replace(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text, with) = (pattern(ctx)?, ctx.str_arg(1)?, ctx.str_arg(2)?);
    let limit = ctx.int_arg(3)?.max(0) as usize;
    let replaced = pattern.replacen(text, limit, with);
    new_str(ctx, &replaced)
}
