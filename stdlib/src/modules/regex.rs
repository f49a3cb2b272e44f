//! `regex`: regular expressions by the engine of the `regex` crate, whose time is linear in the text. The type `Pattern` is Heddle code.
//!
//! Natives that search take the text, a `Search` for texts that are long, and answer `false` if they are to be called again with it.

mod pike;
mod search;

use crate::prelude::builder::{Builder, boundary};
use crate::prelude::call_prelude;
use crate::support::new_str;
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use regex_automata::Input;
use regex_automata::util::captures::Captures;
use regex_automata::util::interpolate;
use regex_automata::util::primitives::PatternID;
use search::{Pattern, Place, SIZES, Search, Want};
use std::ops::Range;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "regex",
    functions: natives! {
        /// The pattern that matches exactly this text.
        plain "regex.escape" (text) => |ctx| { let bytes = ctx.str_arg(0)?.len(); ctx.reserve(3 * bytes)?; let text = regex_syntax::escape(ctx.str_arg(0)?); new_str(ctx, &text) };
        plain "regex.__new" (pattern) => compile;
        plain "regex.__search" (text) => search_of;
        plain "regex.__is_match" (pattern, text, search) => is_match;
        plain "regex.__find" (pattern, text, search) => find;
        plain "regex.__captures" (pattern, text, search) => captures;
        plain "regex.__names" (pattern) => names;
        plain "regex.__next" (pattern, text, from, search) => next;
        plain "regex.__replace_step" (pattern, text, with, builder, at, left, last, search) => replace_step;
        plain "regex.__pieces" (pattern, with) => pieces;
        plain "regex.__builder" () => |ctx| Ok(ctx.host(Box::new(Builder::default()), "text builder"));
        plain "regex.__add" (builder, text, from, to) => |ctx| tail(ctx, "__add_part", 4);
        plain "regex.__build" (builder) => |ctx| tail(ctx, "__build", 1);
        plain "regex.__part" (text, from, to) => |ctx| tail(ctx, "__text_part", 3);
    },
    constants: |_| {},
    source: Some(heddle_source!("regex")),
};

/// Goes on in a function of the prelude with the same arguments.
fn tail(ctx: &mut Ctx, name: &str, count: usize) -> NativeResult {
    let args: Vec<Value> = (0..count).map(|i| ctx.arg_or_nil(i)).collect();
    Err(call_prelude(ctx, name, &args))
}

fn pattern<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Pattern, Trap> {
    ctx.shared_host_arg::<Pattern>(0)
}

fn compile(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    // What the parser takes for a text.
    ctx.reserve(text.len() * 400)?;
    match Pattern::new(text) {
        Ok(pattern) => ctx.shared_host(Box::new(pattern), "compiled pattern"),
        Err(e) => {
            let text = match (e.syntax_error(), e.size_limit()) {
                (Some(e), _) => e.to_string(),
                (_, Some(most)) => format!("the compiled pattern exceeds {most} bytes"),
                _ => e.to_string(),
            };
            // The parser's message shows the pattern over several lines; the last says what is wrong.
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

/// What a search in this text needs: nil if it is short.
fn search_of(ctx: &mut Ctx) -> NativeResult {
    if ctx.str_arg(0)?.len() <= SIZES.long {
        return Ok(Value::NIL);
    }
    Ok(ctx.host(Box::new(Search::new(SIZES)), "search"))
}

/// Where the first match from byte `from` on is looked for; argument `i` is the search, or nil.
fn place(ctx: &mut Ctx, text: &str, from: usize, i: usize, want: Want) -> Result<Place, Trap> {
    if text.len() - from <= SIZES.long || ctx.arg_or_nil(i).is_nil() {
        return Ok(Place::In(from..text.len()));
    }
    let pattern = pattern(ctx)?;
    let place = ctx.host_arg::<Search>(i)?.step(pattern, text, from, want);
    if matches!(place, Place::Further) {
        ctx.charge(SIZES.step / 32);
    }
    Ok(place)
}

fn is_match(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text) = (pattern(ctx)?, ctx.str_arg(1)?);
    Ok(match place(ctx, text, 0, 2, Want::Any)? {
        Place::Match(..) => Value::TRUE,
        Place::In(place) => Value::bool(pattern.regex.is_match(Input::new(text).span(place))),
        Place::Nowhere => Value::FALSE,
        Place::Further => Value::NIL,
    })
}

fn find(ctx: &mut Ctx) -> NativeResult {
    let (pattern, text) = (pattern(ctx)?, ctx.str_arg(1)?);
    let found = match place(ctx, text, 0, 2, Want::Span)? {
        Place::Match(range, _) => Some(range),
        Place::In(place) => {
            let found = pattern.regex.search(&Input::new(text).span(place));
            found.map(|found| found.range())
        }
        Place::Nowhere => None,
        Place::Further => return Ok(Value::FALSE),
    };
    match found {
        Some(range) => part(ctx, text, range),
        None => Ok(Value::NIL),
    }
}

/// A part of a text, or its bounds if it is so long that it is to be copied in steps.
fn part(ctx: &mut Ctx, text: &str, range: Range<usize>) -> NativeResult {
    if range.len() <= SIZES.long {
        return new_str(ctx, &text[range]);
    }
    let bounds = [range.start, range.end].map(|at| Value::small_int(at as i64));
    ctx.tuple(&bounds)
}

/// The groups of the first match in a place.
fn captures_in(pattern: &Pattern, text: &str, place: std::ops::Range<usize>) -> Option<Captures> {
    let mut captures = pattern.regex.create_captures();
    let input = Input::new(text).span(place);
    pattern.regex.search_captures(&input, &mut captures);
    captures.is_match().then_some(captures)
}

/// A list of the texts of the groups, the whole match first; nil for those that took no part, bounds for long ones (see `part`).
fn groups(ctx: &mut Ctx, text: &str, captures: &Captures) -> NativeResult {
    let spans = || captures.iter().map(|span| span.map(|span| span.range()));
    let bytes = |range: Range<usize>| {
        64 + if range.len() <= SIZES.long {
            range.len()
        } else {
            0
        }
    };
    ctx.reserve(spans().flatten().map(bytes).sum())?;
    let mut parts = Vec::with_capacity(captures.group_len());
    for span in spans() {
        parts.push(match span {
            Some(span) => part(ctx, text, span)?,
            None => Value::NIL,
        });
    }
    ctx.list(&parts)
}

/// The groups of the first match from byte `from` on; argument `i` is the search, or nil.
fn first_match(
    ctx: &mut Ctx,
    text: &str,
    from: usize,
    i: usize,
) -> Result<Result<Option<Captures>, Unknown>, Trap> {
    let pattern = pattern(ctx)?;
    Ok(match place(ctx, text, from, i, Want::Groups)? {
        Place::Match(_, captures) => Ok(captures),
        Place::In(place) => Ok(captures_in(pattern, text, place)),
        Place::Nowhere => Ok(None),
        Place::Further => Err(Unknown),
    })
}

/// More steps are to be made.
struct Unknown;

fn captures(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?;
    match first_match(ctx, text, 0, 2)? {
        Ok(Some(captures)) => groups(ctx, text, &captures),
        Ok(None) => Ok(Value::NIL),
        Err(Unknown) => Ok(Value::FALSE),
    }
}

fn names(ctx: &mut Ctx) -> NativeResult {
    let names: Vec<Value> = pattern(ctx)?
        .regex
        .group_info()
        .pattern_names(PatternID::ZERO)
        .map(|name| name.map_or(Value::NIL, |name| ctx.str(name)))
        .collect();
    ctx.list(&names)
}

/// (start, end, where to go on, groups) of the first match from byte `from` on, all in bytes; nil if there is none.
fn next(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?;
    let from = ctx.int_arg(2)?.max(0) as usize;
    if from > text.len() {
        return Ok(Value::NIL);
    }
    let Ok(found) = first_match(ctx, text, from, 3)? else {
        return Ok(Value::FALSE);
    };
    let Some((captures, whole)) = found.and_then(|c| c.get_match().map(|whole| (c, whole))) else {
        return Ok(Value::NIL);
    };
    let (start, end) = (whole.start(), whole.end());
    // Behind an empty match the search goes on one character further.
    let on = match text[end..].chars().next() {
        Some(c) if start == end => end + c.len_utf8(),
        None if start == end => end + 1,
        _ => end,
    };
    let groups = groups(ctx, text, &captures)?;
    ctx.charge((end - from).min(SIZES.long) / 32);
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
/// there up to `at` (nil: to the end, which is all that is left to do) is to be appended first. A match that is long is not replaced: `from` is then a tuple of
/// where the text in front of it begins and ends, and its groups.
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
        let place = if left == 0 {
            Place::Nowhere
        } else {
            let want = if is_plain { Want::Span } else { Want::Groups };
            place(ctx, text, at, 7, want)?
        };
        let (found, captures) = match place {
            Place::Further => break,
            Place::Nowhere => (None, None),
            Place::Match(whole, captures) => {
                let captures = if is_plain { None } else { captures };
                (Some(whole), captures)
            }
            Place::In(place) if is_plain => {
                let found = pattern.regex.search(&Input::new(text).span(place));
                (found.map(|found| found.range()), None)
            }
            Place::In(place) => {
                let captures = captures_in(pattern, text, place);
                let whole = captures.as_ref().and_then(Captures::get_match);
                (whole.map(|whole| whole.range()), captures)
            }
        };
        let Some(found) = found else {
            is_done = true;
            break;
        };
        if found.is_empty() && last == Some(found.end) {
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
        if found.len() > SIZES.long
            && let Some(captures) = &captures
        {
            // Its groups may be long, too: they are copied in steps.
            builder.take(&mut piece);
            let groups = groups(ctx, text, captures)?;
            let bounds = [copied, found.start].map(|at| Value::small_int(at as i64));
            let long = ctx.tuple(&[bounds[0], bounds[1], groups])?;
            let (end, left) = (Value::small_int(found.end as i64), ctx.int(left - 1));
            return ctx.tuple(&[end, left, end, long]);
        }
        if found.start - copied > LONG_GAP {
            // Copied in steps of its own, up to the match, which is then looked for again.
            builder.take(&mut piece);
            if copied < found.start {
                at = found.start;
                let parts = [copied, at].map(|at| Value::small_int(at as i64));
                let (left, last) = (ctx.int(left), position(last));
                return ctx.tuple(&[parts[1], left, last, parts[0]]);
            }
        }
        piece.push_str(&text[copied..found.start]);
        match &captures {
            Some(captures) => expand(ctx, text, captures, with, builder.bytes(), &mut piece)?,
            None => piece.push_str(with),
        }
        left -= 1;
        copied = found.end;
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

/// What a text with references is made of: a list of texts and of numbers of groups.
fn pieces(ctx: &mut Ctx) -> NativeResult {
    let (pattern, with) = (pattern(ctx)?, ctx.str_arg(1)?);
    ctx.reserve(with.len() * 40)?;
    let info = pattern.regex.group_info();
    let mut found: Vec<(String, Option<usize>)> = Vec::new();
    let mut rest = String::new();
    let reference = |group: usize, text: &mut String| {
        found.push((std::mem::take(text), Some(group)));
    };
    let number = |name: &str| info.to_index(PatternID::ZERO, name);
    interpolate::string(with, reference, number, &mut rest);
    found.push((rest, None));
    let mut pieces = Vec::with_capacity(2 * found.len());
    for (text, group) in found {
        pieces.push(ctx.str(&text));
        pieces.extend(group.map(|group| Value::small_int(group as i64)));
    }
    ctx.list(&pieces)
}

/// Appends what `with` stands for, reference by reference, as it may be far longer than the texts.
fn expand(
    ctx: &mut Ctx,
    text: &str,
    captures: &Captures,
    with: &str,
    before: usize,
    piece: &mut String,
) -> Result<(), Trap> {
    let mut rest = with;
    while !rest.is_empty() {
        // Up to the next `$` that begins a reference; `$$` is one of its own.
        let begin = if rest.starts_with("$$") { 2 } else { 1 };
        let end = rest.bytes().skip(begin).position(|byte| byte == b'$');
        let (part, after) = rest.split_at(end.map_or(rest.len(), |i| begin + i));
        captures.interpolate_string_into(text, part, piece);
        rest = after;
        if piece.len() > LONG_GAP {
            ctx.reserve(before + 2 * piece.len())?;
        }
    }
    Ok(())
}

fn position(at: Option<usize>) -> Value {
    at.map_or(Value::NIL, |at| Value::small_int(at as i64))
}

/// Text between matches that is longer is copied in steps of its own.
const LONG_GAP: usize = 256 * 1024;
