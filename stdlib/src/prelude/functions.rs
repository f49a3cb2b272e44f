//! Functions of the prelude: text, conversions, numbers, identity.

use super::{call_prelude, done_in_steps};
use crate::modules::io::read_line;
use crate::support::{new_str, write_text};
use heddle_vm::native::{Ctx, NativeDef, NativeResult, Trap};
use heddle_vm::object::Kind;
use heddle_vm::ops::OpFail;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};
use std::io::Write;

pub(super) static FUNCTIONS: &[NativeDef] = natives! {
    /// Writes the text of each argument, separated by spaces, and a newline.
    plain "print" ("..xs") => print;
    /// Like print, on standard error.
    plain "eprint" ("..xs") => eprint;
    plain "__print_texts" (texts) => |ctx| { let texts = ctx.list_arg(0)?; write_line(ctx, texts, false) };
    plain "__eprint_texts" (texts) => |ctx| { let texts = ctx.list_arg(0)?; write_line(ctx, texts, true) };
    /// Writes `prompt` and reads a line from standard input: its text without the end, or nil at the end of input.
    suspending "input" ("prompt?") => input;
    /// The text of a value, for people.
    plain "str" (x) => |ctx| text_of(ctx, false);
    /// The text of a value, for programmers: strings are quoted.
    plain "repr" (x) => |ctx| text_of(ctx, true);
    /// The same as `str`: types are functions, too.
    plain "string" ("x?") => |ctx| if ctx.arg(0).is_unset() { Ok(ctx.str("")) } else { text_of(ctx, false) };
    /// The name of a value's type.
    plain "type" (x) => |ctx| { let name = ctx.type_name(ctx.arg(0)); new_str(ctx, &name) };
    /// Whether a value counts as true: all but nil and false do.
    plain "bool" (x) => |ctx| Ok(Value::bool(ctx.arg(0).is_truthy()));
    /// An int from a number (its fraction is cut off), a bool, or a text in this base (10; `0x`, `0o`, `0b` and `_` are understood). Throws ValueError.
    plain "int" ("x?", "base?") => int;
    /// A float from a number or a text. Throws ValueError.
    plain "float" ("x?") => float;
    /// The number of elements, characters or bytes; for a struct, what its method `len` says.
    plain "len" (x) => len;
    /// A list of what an iterable gives.
    plain "list" ("xs?") => list;
    /// A tuple of what an iterable gives.
    plain "tuple" ("xs?") => tuple;
    /// f(x) for each element: a list for a list, else lazily. With one argument, a map of pairs.
    plain "map" ("f?", "xs?") => map;
    /// The ints from `a` (0) up to, not including, `b`, by `step` (1).
    plain "range" (a, "b?", "step?") => range;
    /// The least of the arguments, or of what the one argument gives; nil of nothing.
    plain "min" ("..xs") => |ctx| extreme(ctx, std::cmp::Ordering::Less, "__min_of");
    /// The greatest of the arguments, or of what the one argument gives; nil of nothing.
    plain "max" ("..xs") => |ctx| extreme(ctx, std::cmp::Ordering::Greater, "__max_of");
    /// A number or duration without its sign.
    plain "abs" (x) => abs;
    /// The nearest int, half away from zero; with `digits`, a float rounded to so many digits after the point.
    plain "round" (x, "digits?") => round;
    /// The greatest int that is not above x.
    plain "floor" (x) => |ctx| to_int(ctx, ops::float::floor);
    /// The least int that is not below x.
    plain "ceil" (x) => |ctx| to_int(ctx, ops::float::ceil);
    /// The square root, as a float; nan below 0.
    plain "sqrt" (x) => |ctx| Ok(Value::float(ctx.float_arg(0)?.sqrt()));
    /// An int that equal values share. Throws TypeError for what is mutable.
    plain "hash" (x) => hash;
    /// Whether two mutable objects, frozen containers or handles are one; for other values, whether they are equal.
    plain "same" (a, b) => same;
    /// A deeply immutable version of a value. Throws TypeError for what cannot be.
    plain "freeze" (x) => freeze;
    /// A deep, mutable copy of a value.
    plain "copy" (x) => copy;
    /// Whether a value is deeply immutable.
    plain "is_frozen" (x) => is_frozen;

    plain "__bad_number" (text, what) => bad_number;
    plain "__digits_begin" (text, base) => digits_begin;
    plain "__digits_step" (text, at, end, base, is_loose) => digits_step;
    plain "__float_begin" (text) => float_begin;
    plain "__float_step" (scan, text) => float_step;
    plain "__list_of" (xs) => list_of;
    plain "__plain_step" (out, xs, at) => plain_step;
    plain "__graph_step" (x, is_copy) => graph_step;
    plain "__iterable_kind" (x) => iterable_kind;
    plain "__is_callable" (x) => |ctx| Ok(Value::bool(ctx.is_callable(ctx.arg(0))));
    plain "__has_method" (x, name) => has_method;
    plain "__arity" (f) => arity;
};

// --- text

/// Arguments, all of them: they are in a row.
fn arguments(ctx: &Ctx) -> Vec<Value> {
    (0..ctx.argc()).map(|i| ctx.arg(i)).collect()
}

fn print(ctx: &mut Ctx) -> NativeResult {
    print_to(ctx, false, "__print_slow")
}

fn eprint(ctx: &mut Ctx) -> NativeResult {
    print_to(ctx, true, "__eprint_slow")
}

fn print_to(ctx: &mut Ctx, to_error: bool, by_script: &str) -> NativeResult {
    let xs = arguments(ctx);
    if xs.iter().all(|&x| ops::text::can_concat(x)) {
        return write_line(ctx, &xs, to_error);
    }
    // Containers without script code in them are written at once, too.
    let mut texts = Vec::with_capacity(xs.len());
    for &x in &xs {
        match quick_text(ctx, x, false)? {
            Some(text) => texts.push(text),
            None => {
                let list = ctx.list(&xs)?;
                return Err(call_prelude(ctx, by_script, &[list]));
            }
        }
    }
    write_line(ctx, &texts, to_error)
}

/// Writes texts that need no script code, and a newline.
fn write_line(ctx: &mut Ctx, texts: &[Value], to_error: bool) -> NativeResult {
    let mut line = String::new();
    for (i, &text) in texts.iter().enumerate() {
        if i > 0 {
            line.push(' ');
        }
        write_text(ctx, &mut line, text)?;
    }
    line.push('\n');
    let written = if to_error {
        // What was printed before comes first.
        ctx.output()
            .flush()
            .and_then(|()| std::io::stderr().write_all(line.as_bytes()))
    } else {
        ctx.output().write_all(line.as_bytes())
    };
    match written {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(crate::support::io_error(ctx, "", &e)),
    }
}

fn input(ctx: &mut Ctx) -> NativeResult {
    // What has waited is called again: the prompt is there.
    if let Some(prompt) = ctx.opt_str_arg(0)?
        && ctx.state == 0
        && let Err(e) = ctx.output().write_all(prompt.as_bytes())
    {
        return Err(crate::support::io_error(ctx, "", &e));
    }
    ctx.state = 1;
    read_line(ctx)
}

/// The text of a value, unless that takes script code or long.
fn quick_text(ctx: &mut Ctx, x: Value, quoted: bool) -> Result<Option<Value>, Trap> {
    let engine = ctx.engine();
    let shown = ops::show::quick(ctx.heap(), engine, x, quoted);
    ctx.done(shown)
}

fn text_of(ctx: &mut Ctx, quoted: bool) -> NativeResult {
    let x = ctx.arg(0);
    match quick_text(ctx, x, quoted)? {
        Some(text) => Ok(text),
        None => Err(call_prelude(
            ctx,
            if quoted { "__repr" } else { "__str" },
            &[x],
        )),
    }
}

// --- conversions

fn bad_text(ctx: &mut Ctx, i: usize, what: &str) -> Trap {
    let shown = ctx.repr_short(ctx.arg(i));
    ctx.throw(ErrorKind::Value, format!("{what}: {shown} is no {what}"))
}

/// Throws what `int` and `float` throw of such a text.
fn bad_number(ctx: &mut Ctx) -> NativeResult {
    let what = ctx.str_arg(1)?;
    Err(bad_text(ctx, 0, what))
}

fn is_base(base: i64) -> bool {
    (2..=36).contains(&base)
}

/// Bytes of a number's text that are looked at in a step.
const NUMBER_STEP: usize = 400_000;

/// Where the digits of an int's text begin and end, and their base; nil if there are none.
fn digits_begin(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let base = ctx.opt_int_arg(1)?.map(|base| base as u32);
    let (start, end, radix) = ops::int_text::digits_of(text, base);
    if start >= end || base.is_none() && text.as_bytes()[end - 1] == b'_' {
        return Ok(Value::NIL);
    }
    let found = [start as i64, end as i64, i64::from(radix)].map(|n| ctx.int(n));
    ctx.tuple(&found)
}

/// Whether bytes `at` to `end` are digits, as far as a step looks; gives where to go on, nil if they are not.
fn digits_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.as_bytes();
    let end = (ctx.int_arg(2)?.max(0) as usize).min(text.len());
    let at = (ctx.int_arg(1)?.max(0) as usize).min(end);
    let (radix, is_loose) = (ctx.int_arg(3)?, ctx.arg(4).is_truthy());
    let next = end.min(at + NUMBER_STEP);
    ctx.charge(NUMBER_STEP / 16);
    Ok(
        match ops::int_text::are_digits(text, at, next, radix.clamp(2, 36) as u32, is_loose) {
            true => ctx.int(next as i64),
            false => Value::NIL,
        },
    )
}

fn float_begin(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let scan = ops::float::Scan::new(text);
    Ok(ctx.host(Box::new(scan), "number in progress"))
}

/// Reads on; gives true if there is more, else the float, nil if the text is none.
fn float_step(ctx: &mut Ctx) -> NativeResult {
    let scan = ctx.host_arg::<ops::float::Scan>(0)?;
    let text = ctx.str_arg(1)?;
    ctx.charge(NUMBER_STEP / 16);
    Ok(match scan.step(text.as_bytes(), NUMBER_STEP) {
        None => Value::TRUE,
        Some(made) => made.map_or(Value::NIL, Value::float),
    })
}

/// More digits in a given base are parsed in steps.
const LONG_INT: usize = 20_000;

fn int(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    if x.is_unset() {
        return Ok(Value::small_int(0));
    }
    let base = ctx.opt_int_arg(1)?;
    if let Some(text) = ctx.as_str(x) {
        if text.len() > ops::int_text::LINEAR_STEP_DIGITS && base.is_none_or(is_base) {
            let base = ctx.arg_or_nil(1);
            return Err(call_prelude(ctx, "__int_of_long_text", &[x, base]));
        }
        let text = text.trim();
        let parsed = match base {
            None => ops::int_text::parse(ctx.heap(), text),
            Some(base @ 2..=36) => {
                ctx.reserve(text.len())?;
                let plain = text.replace('_', "");
                if plain.len() > LONG_INT {
                    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
                    if !digits.chars().all(|c| c.is_digit(base as u32)) {
                        return Err(bad_text(ctx, 0, "int"));
                    }
                    let base = ctx.arg(1);
                    return Err(call_prelude(ctx, "__int_parse", &[x, base]));
                }
                match i64::from_str_radix(&plain, base as u32) {
                    Ok(n) => return Ok(ctx.int(n)),
                    Err(_) => {
                        match num_bigint::BigInt::parse_bytes(plain.as_bytes(), base as u32) {
                            Some(n) => ops::int::from_bigint(ctx.heap(), &n).map(Some),
                            None => Ok(None),
                        }
                    }
                }
            }
            Some(base) => {
                return Err(ctx.throw(
                    ErrorKind::Value,
                    format!("int: base must be from 2 to 36, got {base}"),
                ));
            }
        };
        if let Err(OpFail::NeedsSteps(steps)) = parsed {
            return Err(call_prelude(ctx, steps, &[x]));
        }
        return match ctx.done(parsed)? {
            Some(n) => Ok(n),
            None => Err(bad_text(ctx, 0, "int")),
        };
    }
    if base.is_some() {
        return Err(ctx.wrong_type(0, "a string, as a base is given"));
    }
    if ops::int::is_int(x) {
        return Ok(x);
    }
    if x.is_float() {
        let truncated = ops::float::truncate(ctx.heap(), x.as_float());
        return ctx.done(truncated);
    }
    if x.is_bool() {
        return Ok(Value::small_int(i64::from(x.is_truthy())));
    }
    Err(ctx.wrong_type(0, "a number, a bool or a string"))
}

fn float(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    if x.is_unset() {
        return Ok(Value::float(0.0));
    }
    if let Some(text) = ctx.as_str(x) {
        if text.len() > ops::float::LONG_TEXT {
            return Err(call_prelude(ctx, "__float_of_long_text", &[x]));
        }
        return match ops::float::parse(text.trim()) {
            Some(f) => Ok(Value::float(f)),
            None => Err(bad_text(ctx, 0, "float")),
        };
    }
    if x.is_bool() {
        return Ok(Value::float(if x.is_truthy() { 1.0 } else { 0.0 }));
    }
    Ok(Value::float(ctx.float_arg(0)?))
}

fn len(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    let n = match x.kind() {
        Some(Kind::List) => ctx.list_arg(0)?.len(),
        Some(Kind::Str) => ops::text::char_count(x),
        Some(Kind::Map | Kind::Set) => ops::map::len(x),
        Some(Kind::Tuple) => ctx.as_tuple(x).map_or(0, <[Value]>::len),
        Some(Kind::Bytes) => ctx.bytes_arg(0)?.len(),
        _ => {
            let name = ctx.symbol("len");
            return match ctx.engine().type_info(x.type_id()).method(name) {
                Some(method) if method.has_self => Err(ctx.tail_call(method.function, &[x])),
                _ => Err(ctx.wrong_type(0, "something with a length")),
            };
        }
    };
    Ok(ctx.int(n as i64))
}

fn list(ctx: &mut Ctx) -> NativeResult {
    let xs = ctx.arg(0);
    if xs.is_unset() {
        return ctx.list(&[]);
    }
    Err(call_prelude(ctx, "__to_list", &[xs]))
}

fn tuple(ctx: &mut Ctx) -> NativeResult {
    let xs = ctx.arg(0);
    if xs.is_unset() {
        return ctx.tuple(&[]);
    }
    Err(call_prelude(ctx, "__new_tuple", &[xs]))
}

fn map(ctx: &mut Ctx) -> NativeResult {
    let (f, xs) = (ctx.arg(0), ctx.arg(1));
    if f.is_unset() {
        return ctx.map();
    }
    if xs.is_unset() {
        return Err(call_prelude(ctx, "__new_map", &[f]));
    }
    Err(call_prelude(ctx, "__map_function", &[f, xs]))
}

/// A copy of the elements of a container as a list, if that is quickly made; else nil.
fn list_of(ctx: &mut Ctx) -> NativeResult {
    /// Longer texts and ranges are gone through in Heddle.
    const MOST: usize = 20_000;
    let xs = ctx.arg(0);
    match xs.kind() {
        Some(Kind::List) => {
            let length = ctx.list_arg(0)?.len();
            if length > ops::list::LONG_COPY {
                return Err(super::lists::part_long(ctx, xs, 0, length));
            }
            let copy = ops::list::slice(ctx.heap(), xs, 0, length);
            ctx.done(copy)
        }
        Some(Kind::Tuple) => {
            let items = ctx.as_tuple(xs).unwrap_or(&[]);
            if items.len() > ops::list::LONG_COPY {
                let n = ctx.int(items.len() as i64);
                return Err(call_prelude(
                    ctx,
                    "__list_part",
                    &[xs, Value::small_int(0), n],
                ));
            }
            ctx.list(items)
        }
        Some(Kind::Str) => {
            let text = ctx.str_arg(0)?;
            if text.len() > MOST {
                return Ok(Value::NIL);
            }
            ctx.reserve(text.len() * 32)?;
            let mut buffer = [0; 4];
            let chars: Vec<Value> = text
                .chars()
                .map(|c| ctx.str(c.encode_utf8(&mut buffer)))
                .collect();
            ctx.list(&chars)
        }
        Some(Kind::Bytes) => {
            if ctx.bytes_arg(0)?.len() > ops::list::LONG_COPY {
                return Ok(Value::NIL);
            }
            let bytes: Vec<Value> = ctx
                .bytes_arg(0)?
                .iter()
                .map(|&byte| Value::small_int(byte.into()))
                .collect();
            ctx.list(&bytes)
        }
        _ => Ok(Value::NIL),
    }
}

/// 0: a container; 1: an iterator; 2: a struct that can be iterated; nil: not iterable.
fn iterable_kind(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    Ok(match x.kind() {
        Some(Kind::List | Kind::Tuple | Kind::Map | Kind::Set | Kind::Str | Kind::Bytes) => {
            Value::small_int(0)
        }
        Some(Kind::Range | Kind::Generator | Kind::Iter) => Value::small_int(1),
        Some(_) if method_exists(ctx, x, "iter") || method_exists(ctx, x, "next") => {
            Value::small_int(2)
        }
        _ => Value::NIL,
    })
}

fn method_exists(ctx: &Ctx, x: Value, name: &str) -> bool {
    let name = ctx.symbol(name);
    ctx.engine()
        .type_info(x.type_id())
        .method(name)
        .is_some_and(|method| method.has_self)
}

fn has_method(ctx: &mut Ctx) -> NativeResult {
    let name = ctx.str_arg(1)?;
    Ok(Value::bool(method_exists(ctx, ctx.arg(0), name)))
}

/// How many parameters a function must be given; nil if it cannot be told.
fn arity(ctx: &mut Ctx) -> NativeResult {
    Ok(match ctx.arity(ctx.arg(0)) {
        Some(n) => ctx.int(n as i64),
        None => Value::NIL,
    })
}

// --- numbers

fn range(ctx: &mut Ctx) -> NativeResult {
    let (start, end) = match (ctx.arg(0), ctx.arg_or_nil(1)) {
        (end, Value::NIL) => (Value::small_int(0), end),
        (start, end) => (start, end),
    };
    for i in 0..ctx.argc().min(3) {
        let x = ctx.arg_or_nil(i);
        if !x.is_nil() && !ops::int::is_int(x) {
            return Err(ctx.wrong_type(i, "an int"));
        }
    }
    let made = ops::range::new(ctx.heap(), start, end, false);
    let range = ctx.done(made)?;
    match ctx.arg_or_nil(2) {
        Value::NIL => Ok(range),
        step => {
            let stepped = ops::range::with_step(ctx.heap(), range, step);
            ctx.done(stepped)
        }
    }
}

/// Numbers among themselves; the rest is Heddle's matter.
fn extreme(ctx: &mut Ctx, wanted: std::cmp::Ordering, by_script: &str) -> NativeResult {
    if ctx.argc() >= 2 {
        let mut best = ctx.arg(0);
        let mut are_numbers = true;
        for i in 1..ctx.argc() {
            let x = ctx.arg(i);
            match ops::compare::compare_numbers(x, best) {
                Some(Some(order)) if order == wanted => best = x,
                Some(_) => {}
                None => {
                    are_numbers = false;
                    break;
                }
            }
        }
        if are_numbers {
            return Ok(best);
        }
    }
    let xs = arguments(ctx);
    let xs = ctx.list(&xs)?;
    Err(call_prelude(ctx, by_script, &[xs]))
}

fn abs(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    if x.is_float() {
        return Ok(Value::float(x.as_float().abs()));
    }
    let is_negative = match ctx.as_duration(x) {
        Some(ns) => ns < 0,
        None => match ops::compare::compare_numbers(x, Value::small_int(0)) {
            Some(order) => order == Some(std::cmp::Ordering::Less),
            None => return Err(ctx.wrong_type(0, "a number or a duration")),
        },
    };
    if !is_negative {
        return Ok(x);
    }
    let negated = ops::arith::neg(ctx.heap(), x);
    done_in_steps(ctx, negated, &[x])
}

type Rounding = fn(&mut heddle_vm::heap::Heap, f64) -> ops::OpResult;

fn to_int(ctx: &mut Ctx, rounding: Rounding) -> NativeResult {
    let x = ctx.arg(0);
    if ops::int::is_int(x) {
        return Ok(x);
    }
    let f = ctx.float_arg(0)?;
    let rounded = rounding(ctx.heap(), f);
    ctx.done(rounded)
}

fn round(ctx: &mut Ctx) -> NativeResult {
    let Some(digits) = ctx.opt_int_arg(1)? else {
        return to_int(ctx, ops::float::round);
    };
    if ops::int::is_int(ctx.arg(0)) {
        if digits >= 0 {
            return Ok(ctx.arg(0));
        }
        // To tens, hundreds …: beyond 64 bits as a float.
        if let (Some(n), Some(unit)) = (
            ops::int::to_i64(ctx.arg(0)),
            10i64.checked_pow(digits.unsigned_abs().min(64) as u32),
        ) {
            let half = unit / 2 * n.signum();
            if let Some(sum) = n.checked_add(half) {
                return Ok(ctx.int(sum / unit * unit));
            }
        }
    }
    let x = ctx.float_arg(0)?;
    Ok(Value::float(round_to(x, digits)))
}

/// To so many decimal digits, half away from zero: what the shortest text of the float says, not its binary value.
fn round_to(x: f64, digits: i64) -> f64 {
    if !x.is_finite() || digits > 20 {
        return x;
    }
    if digits < 0 {
        // Powers that are computed are not exact.
        let unit = format!("1e{}", digits.max(-400).unsigned_abs());
        let unit = unit.parse().unwrap_or(f64::INFINITY);
        return if unit.is_finite() {
            (x / unit).round() * unit
        } else {
            0.0
        };
    }
    let text = ops::float::to_text(x);
    if text.contains('e') {
        return format!("{x:.*}", digits as usize).parse().unwrap_or(x);
    }
    let fraction = text
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    if fraction <= digits as usize {
        return x;
    }
    // A half in the text is rounded away from zero: the next digit up makes it more than a half.
    let kept = text.len() - fraction + digits as usize;
    let is_up = text.as_bytes()[kept] >= b'5';
    let cut: f64 = text[..kept].trim_end_matches('.').parse().unwrap_or(x);
    if !is_up {
        return cut;
    }
    let unit = 10f64.powi(digits as i32);
    let whole = (cut.abs() * unit).round() + 1.0;
    format!("{}{whole}e-{digits}", if x < 0.0 { "-" } else { "" })
        .parse()
        .unwrap_or(x)
}

// --- identity

fn hash(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    let hash = ops::hash::quick(ctx.engine(), x);
    match ctx.done(hash)? {
        Some(hash) => Ok(ctx.int(i64::from(hash))),
        None => Err(call_prelude(ctx, "__hash", &[x])),
    }
}

fn same(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (ctx.arg(0), ctx.arg(1));
    match ops::compare::same(ctx.engine(), a, b) {
        Some(same) => Ok(Value::bool(same)),
        None => Err(call_prelude(ctx, "__eq", &[a, b])),
    }
}

fn freeze(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    match ctx.freeze_few(x)? {
        Some(frozen) => Ok(frozen),
        None => Err(call_prelude(ctx, "__graph_long", &[x, Value::FALSE])),
    }
}

/// `__graph_step(x, is_copy)`: does a part of freezing or copying; nil: call again.
fn graph_step(ctx: &mut Ctx) -> NativeResult {
    let is_copy = ctx.bool_arg(1)?;
    // So much is a step's work.
    ctx.charge(10_000);
    let x = ctx.arg(0);
    ctx.long_graph_step(x, is_copy)
}

/// Appends some elements from `at` on to a list: gives where to go on, nil at the end, -1 at one that is an object.
fn plain_step(ctx: &mut Ctx) -> NativeResult {
    let out = ctx.arg(0);
    let items = ctx.list_arg(1)?;
    let at = (ctx.int_arg(2)?.max(0) as usize).min(items.len());
    let end = items.len().min(at + ops::list::COPY_STEP);
    let part = &items[at..end];
    ctx.charge(part.len() / 4);
    let done = ops::list::extend_with_plain(ctx.heap(), out, part);
    if !ctx.done(done)? {
        return Ok(Value::small_int(-1));
    }
    Ok(if end < items.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

fn copy(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    if ctx
        .as_list(x)
        .is_some_and(|items| items.len() > ops::list::LONG_COPY)
    {
        return Err(call_prelude(ctx, "__copy_long", &[x]));
    }
    match ctx.copy_few(x)? {
        Some(copy) => Ok(copy),
        None => Err(call_prelude(ctx, "__graph_long", &[x, Value::TRUE])),
    }
}

fn is_frozen(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    Ok(Value::bool(ctx.is_frozen(x)))
}

#[cfg(test)]
mod tests {
    use super::round_to;

    #[test]
    fn rounding_goes_by_the_decimal_text() {
        for (x, digits, expected) in [
            (2.675, 2, 2.68),
            (-2.675, 2, -2.68),
            (1.005, 2, 1.01),
            (0.125, 2, 0.13),
            (2.5, 0, 3.0),
            (9.995, 2, 10.0),
            (1.25, 5, 1.25),
            (1234.5, -2, 1200.0),
            (0.05, 1, 0.1),
            (-0.04, 1, -0.0),
        ] {
            assert_eq!(round_to(x, digits), expected, "{x} to {digits}");
        }
    }
}
