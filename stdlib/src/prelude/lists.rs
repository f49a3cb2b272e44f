//! Methods of lists and tuples that call no script, and the helpers of those that do.
//!
//! A search stops at the first element that only script code can compare, and after `STEP` elements: the
//! Heddle code does that one element and calls again for the rest.

use super::{call_prelude, done_in_steps};
use crate::support::{element_position, position_arg, slice_bounds};
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
    plain "__append_step" (out, xs, from, to) => append_step;
    plain "__tuple_begin" (n) => |ctx| { let n = ctx.int_arg(0)?.max(0) as usize; let made = ops::list::unfinished_tuple(ctx.heap(), n); ctx.done(made) };
    plain "__list_reserve" (list, n) => reserve;
    plain "__slice_bounds" (xs, range) => bounds_of_slice;
    plain "__replace" (list, xs) => replace;
    plain "__check_changeable" (list) => |ctx| { let done = ops::list::check_not_frozen(ctx.arg(0)); ctx.done(done)?; Ok(Value::NIL) };
    plain "__copy_within" (to, at, from, start, end) => copy_within;
    plain "__reverse_items" (list, at) => reverse_step;
    plain "__move_up" (list, from, to) => move_up;
    plain "__move_down" (list, to) => move_down;
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
    done_in_steps(ctx, done, &[list, i, value])?;
    Ok(Value::NIL)
}

fn remove(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    ctx.int_arg(1)?;
    let (list, i) = (ctx.arg(0), ctx.arg(1));
    let removed = ops::list::remove(ctx.heap(), list, i);
    done_in_steps(ctx, removed, &[list, i])
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
    if end - start > ops::list::LONG_COPY {
        return Err(part_long(ctx, list, start, end));
    }
    let part = ops::list::slice(ctx.heap(), list, start, end);
    ctx.done(part)
}

/// Elements `start` to `end` of a list or tuple, copied in steps.
pub(super) fn part_long(ctx: &mut Ctx, xs: Value, start: usize, end: usize) -> Trap {
    let (start, end) = (ctx.int(start as i64), ctx.int(end as i64));
    call_prelude(ctx, "__part_long", &[xs, start, end])
}

fn slice_tuple(ctx: &mut Ctx) -> NativeResult {
    let length = tuple_arg(ctx)?.len();
    let (start, end) = (position_arg(ctx, 1)?, position_arg(ctx, 2)?);
    let (start, end) = slice_bounds(start, end, length);
    let tuple = ctx.arg(0);
    if end - start > ops::list::LONG_COPY {
        return Err(part_long(ctx, tuple, start, end));
    }
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
    done_in_steps(ctx, done, &[list])?;
    Ok(Value::NIL)
}

/// Exchanges elements from `at` on with those as far from the end; gives where to go on, nil at the middle.
fn reverse_step(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let at = ctx.int_arg(1)?.max(0) as usize;
    let list = ctx.arg(0);
    ctx.charge(ops::list::LONG_COPY / 4);
    let next = ops::list::reverse_step(ctx.heap(), list, at);
    Ok(match ctx.done(next)? {
        Some(at) => ctx.int(at as i64),
        None => Value::NIL,
    })
}

/// Moves elements in front of `to`, and not in front of `from`, up by one; gives the position that is free then.
fn move_up(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    let to = (ctx.int_arg(2)?.max(0) as usize).min(length.saturating_sub(1));
    let from = (ctx.int_arg(1)?.max(0) as usize).min(to);
    let list = ctx.arg(0);
    ctx.charge(ops::list::LONG_COPY / 4);
    let moved = ops::list::move_up(ctx.heap(), list, from, to);
    let free = ctx.done(moved)?;
    Ok(ctx.int(free as i64))
}

/// Moves elements behind `to` down by one; gives the position that is free then, nil at the end.
fn move_down(ctx: &mut Ctx) -> NativeResult {
    let length = ctx.list_arg(0)?.len();
    let to = ctx.int_arg(1)?.max(0) as usize;
    if to + 1 >= length {
        return Ok(Value::NIL);
    }
    let list = ctx.arg(0);
    ctx.charge(ops::list::LONG_COPY / 4);
    let moved = ops::list::move_down(ctx.heap(), list, to);
    let free = ctx.done(moved)?;
    Ok(ctx.int(free as i64))
}

fn reversed(ctx: &mut Ctx) -> NativeResult {
    if ctx.list_arg(0)?.len() > ops::list::LONG_COPY {
        let list = ctx.arg(0);
        return Err(call_prelude(ctx, "__reversed_long", &[list]));
    }
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

/// Makes room for `n` more elements.
fn reserve(ctx: &mut Ctx) -> NativeResult {
    ctx.list_arg(0)?;
    let n = ctx.int_arg(1)?.max(0) as usize;
    let list = ctx.arg(0);
    let done = ops::list::check_not_frozen(list)
        .and_then(|()| ops::list::reserve_items(ctx.heap(), list, n));
    ctx.done(done)?;
    Ok(Value::NIL)
}

/// The positions (from, to) of a slice.
fn bounds_of_slice(ctx: &mut Ctx) -> NativeResult {
    let xs = ctx.arg(0);
    let length = match xs.kind() {
        Some(Kind::Str) => ops::text::char_count(xs),
        Some(Kind::Bytes) => ctx.bytes_arg(0)?.len(),
        Some(Kind::Tuple) => tuple_arg(ctx)?.len(),
        _ => ctx.list_arg(0)?.len(),
    };
    let bounds = ops::range::slice_bounds(ctx.arg(1), length);
    let (from, to) = ctx.done(bounds)?;
    let bounds = [ctx.int(from as i64), ctx.int(to as i64)];
    ctx.tuple(&bounds)
}

fn tuple_of(ctx: &mut Ctx) -> NativeResult {
    let items = ctx.list_arg(0)?;
    if items.len() > ops::list::LONG_COPY {
        let list = ctx.arg(0);
        return Err(call_prelude(ctx, "__tuple_long", &[list]));
    }
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
    if items.len() > ops::list::LONG_COPY {
        return Err(call_prelude(ctx, "__extend_long", &[list, source]));
    }
    ctx.charge(items.len() / 4);
    let done = ops::list::extend(ctx.heap(), list, items);
    ctx.done(done)?;
    Ok(Value::TRUE)
}

/// Appends elements from `from` up to `to` of a list or tuple to a list or a tuple in the making; gives where to go on, nil at the end.
fn append_step(ctx: &mut Ctx) -> NativeResult {
    let (out, source) = (ctx.arg(0), ctx.arg(1));
    let (from, to) = (ctx.int_arg(2)?.max(0), ctx.int_arg(3)?.max(0));
    let Some(items) = ctx.as_list(source).or_else(|| ctx.as_tuple(source)) else {
        return Err(ctx.wrong_type(1, "a list or tuple"));
    };
    // The source may have become shorter meanwhile.
    let to = (to as usize).min(items.len());
    let from = (from as usize).min(to);
    let end = to.min(from + ops::list::COPY_STEP);
    let part = &items[from..end];
    ctx.charge(part.len() / 4);
    if out.is_kind(Kind::Tuple) {
        ops::list::append_to_tuple(ctx.heap(), out, part);
    } else {
        let done = ops::list::extend(ctx.heap(), out, part);
        ctx.done(done)?;
    }
    Ok(if end < to {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

/// Gives a list the elements of another.
fn replace(ctx: &mut Ctx) -> NativeResult {
    let old = ctx.list_arg(0)?.len();
    let items = ctx.list_arg(1)?;
    let list = ctx.arg(0);
    if items.len() > ops::list::LONG_COPY {
        let items = ctx.arg(1);
        return Err(call_prelude(ctx, "__replace_items", &[list, items]));
    }
    ctx.charge(items.len() / 4);
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
    if part.len() > ops::list::LONG_COPY {
        let args = [ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4)];
        return Err(call_prelude(ctx, "__copy_within_long", &args));
    }
    ctx.charge(part.len() / 4);
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
    ctx.charge(end - done);
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
    let scan = ops::search::scan(ctx.engine(), items, from, x);
    let to = match scan {
        Scan::Found(i) | Scan::More(i) | Scan::NeedsScript(i) => i,
        Scan::NotFound => items.len(),
    };
    ctx.charge(to.saturating_sub(from) / 4);
    Ok(match scan {
        Scan::Found(i) => ctx.int(i as i64),
        Scan::NotFound => Value::NIL,
        Scan::More(i) | Scan::NeedsScript(i) => ctx.int(-(i as i64) - 1),
    })
}
