//! Methods of lists and tuples that call no script, and the helpers of those that do.
//!
//! A search or a join stops at the first element that only script code can compare or print, and after `STEP` elements: the
//! Heddle code does that one element and calls again for the rest.

use crate::support::{element_position, new_str, position_arg, slice_bounds, write_text};
use heddle_vm::native::{Ctx, NativeDef, NativeResult, Trap};
use heddle_vm::object::Kind;
use heddle_vm::ops::search::Scan;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// Elements looked at in one step: well below a millisecond.
const STEP: usize = 50_000;

pub(super) static LISTS: &[NativeDef] = natives! {
    /// Appends an element.
    plain "list.push" (self, value) => push;
    /// Removes the last element and gives it. Throws IndexError if there is none.
    plain "list.pop" (self) => pop;
    /// Puts an element before that at position `i`; at the end if `i` is the length.
    plain "list.insert" (self, i, value) => insert;
    /// Removes the element at position `i` and gives it. Throws IndexError if there is none.
    plain "list.remove" (self, i) => remove;
    /// Removes all elements.
    plain "list.clear" (self) => clear;
    /// The number of elements.
    plain "list.len" (self) => |ctx| { let n = ctx.list_arg(0)?.len(); Ok(ctx.int(n as i64)) };
    /// Whether there are none.
    plain "list.is_empty" (self) => |ctx| Ok(Value::bool(ctx.list_arg(0)?.is_empty()));
    /// The first element, or nil.
    plain "list.first" (self) => |ctx| Ok(ctx.list_arg(0)?.first().copied().unwrap_or(Value::NIL));
    /// The last element, or nil.
    plain "list.last" (self) => |ctx| Ok(ctx.list_arg(0)?.last().copied().unwrap_or(Value::NIL));
    /// The element at position `i`, or `default` (nil) if there is none.
    plain "list.get" (self, i, "default?") => |ctx| { let items = ctx.list_arg(0)?; get(ctx, items) };
    /// A copy of the elements from `start` up to `end`; negative positions count from the end, all are clamped.
    plain "list.slice" (self, "start?", "end?") => slice;
    /// Turns the order around.
    plain "list.reverse" (self) => reverse;
    /// A copy in reverse order.
    plain "list.reversed" (self) => reversed;
    /// A copy of the first `n` elements.
    plain "list.take" (self, n) => take;
    /// A copy without the first `n` elements.
    plain "list.drop" (self, n) => drop_first;
    /// A copy of the list; the elements are the same.
    plain "list.copy" (self) => copy_list;
    /// The list itself.
    plain "list.to_list" (self) => |ctx| { ctx.list_arg(0)?; Ok(ctx.arg(0)) };

    /// The number of elements.
    plain "tuple.len" (self) => |ctx| { let n = tuple_arg(ctx)?.len(); Ok(ctx.int(n as i64)) };
    /// Whether there are none.
    plain "tuple.is_empty" (self) => |ctx| Ok(Value::bool(tuple_arg(ctx)?.is_empty()));
    /// The first element, or nil.
    plain "tuple.first" (self) => |ctx| Ok(tuple_arg(ctx)?.first().copied().unwrap_or(Value::NIL));
    /// The last element, or nil.
    plain "tuple.last" (self) => |ctx| Ok(tuple_arg(ctx)?.last().copied().unwrap_or(Value::NIL));
    /// The element at position `i`, or `default` (nil) if there is none.
    plain "tuple.get" (self, i, "default?") => |ctx| { let items = tuple_arg(ctx)?; get(ctx, items) };
    /// A tuple of the elements from `start` up to `end`.
    plain "tuple.slice" (self, "start?", "end?") => slice_tuple;
    /// A list of the elements.
    plain "tuple.to_list" (self) => |ctx| { let items = tuple_arg(ctx)?; ctx.list(items) };

    plain "__list_with_capacity" (n) => with_capacity;
    plain "__list_copy" (xs) => copy_list;
    plain "__tuple_of" (xs) => tuple_of;
    plain "__extend" (list, xs) => extend;
    plain "__replace" (list, xs) => replace;
    plain "__check_changeable" (list) => |ctx| { let done = ops::list::check_not_frozen(ctx.arg(0)); ctx.done(done)?; Ok(Value::NIL) };
    plain "__copy_within" (to, at, from, start, end) => copy_within;
    plain "__second_of_pairs" (pairs, out) => second_of_pairs;
    plain "__find_step" (xs, x, from) => find_step;
};

fn tuple_arg<'c>(ctx: &mut Ctx<'c>) -> Result<&'c [Value], Trap> {
    match ctx.as_tuple(ctx.arg(0)) {
        Some(items) => Ok(items),
        None => Err(ctx.wrong_type(0, "a tuple")),
    }
}

fn push(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let (list, value) = (ctx.arg(0), ctx.arg(1));
    ctx.list_push(list, value)?;
    Ok(Value::NIL)
}

fn pop(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let popped = ops::list::pop(ctx.arg(0));
    match ctx.done(popped)? {
        Some(value) => Ok(value),
        None => Err(ctx.throw(ErrorKind::Index, "pop: the list is empty")),
    }
}

fn insert(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    ctx.int_arg(1)?;
    let (list, i, value) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let done = ops::list::insert(ctx.heap(), list, i, value);
    ctx.done(done)?;
    Ok(Value::NIL)
}

fn remove(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    ctx.int_arg(1)?;
    let (list, i) = (ctx.arg(0), ctx.arg(1));
    let removed = ops::list::remove(ctx.heap(), list, i);
    ctx.done(removed)
}

fn clear(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let done = ops::list::clear(ctx.arg(0));
    ctx.done(done)?;
    Ok(Value::NIL)
}

fn get(ctx: &mut Ctx, items: &[Value]) -> NativeResult {
    let Some(i) = position_arg(ctx, 1)? else {
        return Err(ctx.wrong_type(1, "an int"));
    };
    Ok(match element_position(i, items.len()) {
        Some(i) => items[i],
        None => ctx.arg_or_nil(2),
    })
}

fn slice(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, length);
    part(ctx, start, end)
}

fn part(ctx: &mut Ctx, start: usize, end: usize) -> NativeResult {
    let list = ctx.arg(0);
    let part = ops::list::slice(ctx.heap(), list, start, end);
    ctx.done(part)
}

fn slice_tuple(ctx: &mut Ctx) -> NativeResult {
    let length = tuple_arg(ctx)?.len();
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, length);
    let tuple = ctx.arg(0);
    let part = ops::list::tuple_slice(ctx.heap(), tuple, start, end);
    ctx.done(part)
}

/// How many elements; what is negative counts as none.
fn count_arg(ctx: &mut Ctx) -> Result<usize, Trap> {
    match position_arg(ctx, 1)? {
        Some(n) => Ok(n.max(0) as usize),
        None => Err(ctx.wrong_type(1, "an int")),
    }
}

fn take(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    let n = count_arg(ctx)?;
    part(ctx, 0, n.min(length))
}

fn drop_first(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    let n = count_arg(ctx)?;
    part(ctx, n.min(length), length)
}

fn copy_list(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    part(ctx, 0, length)
}

fn reverse(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let list = ctx.arg(0);
    let done = ops::list::reverse(ctx.heap(), list);
    ctx.done(done)?;
    Ok(Value::NIL)
}

fn reversed(ctx: &mut Ctx) -> NativeResult {
    let copy = copy_list(ctx)?;
    let done = ops::list::reverse(ctx.heap(), copy);
    ctx.done(done)?;
    Ok(copy)
}

fn with_capacity(ctx: &mut Ctx) -> NativeResult {
    let n = ctx.int_arg(0)?.max(0) as usize;
    let made = ops::list::with_capacity(ctx.heap(), n);
    ctx.done(made)
}

fn tuple_of(ctx: &mut Ctx) -> NativeResult {
    let items = ctx.list_arg(0)?;
    let made = ops::list::new_tuple(ctx.heap(), items);
    ctx.done(made)
}

/// Appends the elements of a list or tuple; false for other values.
fn extend(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let (list, source) = (ctx.arg(0), ctx.arg(1));
    let Some(items) = ctx.as_list(source).or_else(|| ctx.as_tuple(source)) else {
        return Ok(Value::FALSE);
    };
    let done = ops::list::extend(ctx.heap(), list, items);
    ctx.done(done)?;
    Ok(Value::TRUE)
}

/// Gives a list the elements of another.
fn replace(ctx: &mut Ctx) -> NativeResult {
    let old = ctx.list_arg(0)?.len();
    let items = ctx.list_arg(1)?;
    let list = ctx.arg(0);
    let done = if items.len() == old {
        ops::list::replace_all(ctx.heap(), list, items)
    } else {
        // It changed while it was being sorted.
        ops::list::truncate(list, 0).and_then(|()| ops::list::extend(ctx.heap(), list, items))
    };
    ctx.done(done)?;
    Ok(Value::NIL)
}

/// `to[at..] = from[start..end]`, within the bounds of both.
fn copy_within(ctx: &mut Ctx) -> NativeResult {
    let (to, from) = (ctx.list_arg(0)?, ctx.list_arg(2)?);
    let (at, start, end) = (ctx.int_arg(1)?, ctx.int_arg(3)?, ctx.int_arg(4)?);
    let end = (end.max(0) as usize).min(from.len());
    let start = (start.max(0) as usize).min(end);
    let at = (at.max(0) as usize).min(to.len());
    let part = &from[start..end];
    let part = &part[..part.len().min(to.len() - at)];
    let to = ctx.arg(0);
    ops::list::write_at(ctx.heap(), to, at, part);
    Ok(Value::NIL)
}

/// Appends the second elements of pairs, as many as a step allows; true if there are more.
fn second_of_pairs(ctx: &mut Ctx) -> NativeResult {
    let pairs = ctx.list_arg(0)?;
    let done = ctx.list_arg(1)?.len();
    let out = ctx.arg(1);
    let end = (pairs.len() / 2).min(done + STEP);
    for i in done..end {
        ctx.list_push(out, pairs[2 * i + 1])?;
    }
    Ok(Value::bool(end < pairs.len() / 2))
}

/// The position from `from` on of an element that equals `x`; nil: none; -(i + 1): look at element i, then go on behind it.
fn find_step(ctx: &mut Ctx) -> NativeResult {
    let items = match ctx.as_tuple(ctx.arg(0)) {
        Some(items) => items,
        None => ctx.list_arg(0)?,
    };
    let x = ctx.arg(1);
    let from = ctx.int_arg(2)?.max(0) as usize;
    Ok(match ops::search::scan(ctx.engine(), items, from, x) {
        Scan::Found(i) => ctx.int(i as i64),
        Scan::NotFound => Value::NIL,
        Scan::More(i) | Scan::NeedsScript(i) => ctx.int(-(i as i64) - 1),
    })
}

// --- joining

/// A text in the making.
struct Builder(String);

pub(super) static JOINING: &[NativeDef] = natives! {
    plain "__join_short" (xs, sep) => join_short;
    plain "__builder" () => |ctx| Ok(ctx.host(Box::new(Builder(String::new())), "text builder"));
    plain "__join_step" (builder, xs, sep, from) => join_step;
    plain "__join_one" (builder, text, sep, i) => join_one;
    plain "__build" (builder) => build;
};

/// The joined text, or nil if it takes steps or script code.
fn join_short(ctx: &mut Ctx) -> NativeResult {
    let items = ctx.list_arg(0)?;
    let separator = ctx.str_arg(1)?;
    if items.len() > STEP || !items.iter().all(|&item| ops::text::can_concat(item)) {
        return Ok(Value::NIL);
    }
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
    new_str(ctx, &text)
}

/// Appends elements from `from` on; gives the position of the first that it did not append.
fn join_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let items = ctx.list_arg(1)?;
    let separator = ctx.str_arg(2)?;
    let from = ctx.int_arg(3)?.max(0) as usize;
    let mut i = from;
    let end = items.len().min(from.saturating_add(STEP));
    ctx.reserve(builder.0.len())?;
    while i < end && ops::text::can_concat(items[i]) {
        if i > 0 {
            builder.0.push_str(separator);
        }
        write_text(ctx, &mut builder.0, items[i])?;
        i += 1;
    }
    Ok(ctx.int(i as i64))
}

fn join_one(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let text = ctx.str_arg(1)?;
    let separator = ctx.str_arg(2)?;
    if ctx.int_arg(3)? > 0 {
        builder.0.push_str(separator);
    }
    builder.0.push_str(text);
    Ok(Value::NIL)
}

fn build(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    ctx.reserve(builder.0.len())?;
    let text = std::mem::take(&mut builder.0);
    Ok(ctx.str(&text))
}
