//! Sorting in steps: runs are sorted where they lie, then merged back and forth between two lists. Stable, and linear for what
//! is sorted already.
//!
//! An item is one element, or two of which the first is compared. A comparison that needs script code, or long, ends the native
//! sort: no element is lost, equal ones are still in their order, and Heddle code sorts on.

use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::ops::TypeLookup;
use heddle_vm::{Value, natives, ops};
use std::cmp::Ordering;

/// Items per run: sorting one takes less than a millisecond.
const RUN: usize = 4096;
/// Items merged in a step.
const MERGE: usize = 32 * 1024;

pub(super) static SORTING: &[NativeDef] = natives! {
    plain "__sort_short" (list, width) => sort_short;
    plain "__sort_begin" (list, width) => sort_begin;
    plain "__sort_step" (state, a, b) => sort_step;
};

/// A sort in progress: plain numbers, since the items are in lists of the program.
struct Sort {
    width: usize,
    items: usize,
    /// Items of list `a` that lie in sorted runs.
    sorted: usize,
    /// Starts of the sorted runs of the source, and the end.
    runs: Vec<usize>,
    /// Starts of the runs made in the present pass.
    merged: Vec<usize>,
    /// The pair of runs being merged (index of the first), and what has been taken of each.
    pair: usize,
    left_taken: usize,
    right_taken: usize,
    /// The source is list `b`.
    from_b: bool,
}

/// Orders values. One that cannot be ordered at once makes it stuck: everything is equal from then on, and Heddle code, which
/// may also throw, has to sort.
struct Order<'a> {
    types: &'a dyn TypeLookup,
    is_stuck: bool,
}

impl Order<'_> {
    #[inline]
    fn is_less(&mut self, a: Value, b: Value) -> bool {
        if a.is_small_int() && b.is_small_int() {
            return a.as_small_int() < b.as_small_int();
        }
        if a.is_float() && b.is_float() {
            return order_floats(a.as_float(), b.as_float()) == Ordering::Less;
        }
        if let (Some(a), Some(b)) = (ops::text::as_str(a), ops::text::as_str(b)) {
            return a < b;
        }
        if self.is_stuck {
            return false;
        }
        match ops::compare_steps::quick_less(self.types, a, b, false) {
            Ok(Some(is_less)) => is_less,
            _ => {
                self.is_stuck = true;
                false
            }
        }
    }
}

/// Sorts items in a vector; `false` if the order is stuck, and then the vector is of no use.
fn sort_items<const WIDTH: usize>(items: &mut Vec<[Value; WIDTH]>, order: &mut Order<'_>) -> bool {
    if WIDTH == 1 && items.iter().all(|item| item[0].is_small_int()) {
        // Equal ints cannot be told apart.
        items.sort_unstable_by_key(|item| item[0].as_small_int());
        return true;
    }
    if items.iter().all(|item| item[0].is_float()) {
        items.sort_by(|a, b| order_floats(a[0].as_float(), b[0].as_float()));
        return true;
    }
    merge_sort(items, order);
    !order.is_stuck
}

/// NaNs go behind all numbers.
fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// A stable sort that bears any comparison: the one of the standard library may panic if that is inconsistent, and one that got
/// stuck is.
fn merge_sort<const WIDTH: usize>(items: &mut Vec<[Value; WIDTH]>, order: &mut Order<'_>) {
    /// Pieces of this length are sorted by insertion.
    const SHORT: usize = 12;
    for piece in items.chunks_mut(SHORT) {
        for i in 1..piece.len() {
            let mut j = i;
            while j > 0 && order.is_less(piece[j][0], piece[j - 1][0]) {
                piece.swap(j, j - 1);
                j -= 1;
            }
        }
    }
    let mut other: Vec<[Value; WIDTH]> = Vec::with_capacity(items.len());
    let mut run = SHORT;
    while run < items.len() && !order.is_stuck {
        other.clear();
        for pair in items.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            let is_in_order = match (left.last(), right.first()) {
                (Some(x), Some(y)) => !order.is_less(y[0], x[0]),
                _ => true,
            };
            while !is_in_order && let (Some(x), Some(y)) = (left.first(), right.first()) {
                if order.is_less(y[0], x[0]) {
                    other.push(*y);
                    right = &right[1..];
                } else {
                    other.push(*x);
                    left = &left[1..];
                }
            }
            other.extend_from_slice(left);
            other.extend_from_slice(right);
        }
        std::mem::swap(items, &mut other);
        run *= 2;
    }
}

/// Sorts a whole slice of elements, `width` per item. `None`: the order is stuck.
fn sorted(elements: &[Value], width: usize, order: &mut Order<'_>) -> Option<Vec<Value>> {
    if width == 1 {
        let mut items = elements.as_chunks::<1>().0.to_vec();
        sort_items(&mut items, order).then(|| items.into_flattened())
    } else {
        let mut items = elements.as_chunks::<2>().0.to_vec();
        sort_items(&mut items, order).then(|| items.into_flattened())
    }
}

/// `__sort_short(list, width)`: true if it could sort the list at once.
fn sort_short(ctx: &mut Ctx) -> NativeResult {
    let elements = ctx.list_arg(0)?;
    let width = ctx.int_arg(1)? as usize;
    if elements.len() > RUN * width {
        return Ok(Value::FALSE);
    }
    let mut order = Order {
        types: ctx.engine(),
        is_stuck: false,
    };
    let Some(sorted) = sorted(elements, width, &mut order) else {
        return Ok(Value::FALSE);
    };
    let list = ctx.arg(0);
    ops::list::write_at(ctx.heap(), list, 0, &sorted);
    Ok(Value::TRUE)
}

fn sort_begin(ctx: &mut Ctx) -> NativeResult {
    let elements = ctx.list_arg(0)?.len();
    let width = (ctx.int_arg(1)? as usize).max(1);
    let sort = Sort {
        width,
        items: elements / width,
        sorted: 0,
        runs: vec![0],
        merged: vec![0],
        pair: 0,
        left_taken: 0,
        right_taken: 0,
        from_b: false,
    };
    Ok(ctx.host(Box::new(sort), "sort in progress"))
}

/// `__sort_step(state, a, b)`: 0: call again; 1 or 2: the result is `a` or `b`; 3 or 4: script must sort `a` or `b`.
fn sort_step(ctx: &mut Ctx) -> NativeResult {
    ctx.charge(MERGE / 2);
    let sort = ctx.host_arg::<Sort>(0)?;
    let (a, b) = (ctx.list_arg(1)?, ctx.list_arg(2)?);
    let (list_a, list_b) = (ctx.arg(1), ctx.arg(2));
    let mut order = Order {
        types: ctx.engine(),
        is_stuck: false,
    };
    if sort.sorted < sort.items {
        let from = sort.sorted;
        let to = (from + RUN).min(sort.items);
        let width = sort.width;
        let Some(run) = sorted(&a[from * width..to * width], width, &mut order) else {
            return Ok(Value::small_int(3));
        };
        let joins_last =
            from > 0 && !order.is_less(run[0], a[(from - 1) * width]) && !order.is_stuck;
        ops::list::write_at(ctx.heap(), list_a, from * width, &run);
        if joins_last {
            // It continues the run before it: what is sorted already needs no merging.
            sort.runs.pop();
        }
        sort.runs.push(to);
        sort.sorted = to;
        return Ok(Value::small_int(0));
    }
    if sort.runs.len() <= 2 {
        return Ok(Value::small_int(if sort.from_b { 2 } else { 1 }));
    }
    let (source, target) = if sort.from_b {
        (b, list_a)
    } else {
        (a, list_b)
    };
    let at = sort.runs[sort.pair] + sort.left_taken + sort.right_taken;
    let merged = merge(sort, source, &mut order);
    if order.is_stuck {
        return Ok(Value::small_int(if sort.from_b { 4 } else { 3 }));
    }
    ops::list::write_at(ctx.heap(), target, at * sort.width, &merged);
    if sort.pair + 1 >= sort.runs.len() {
        // The pass is over: what was made is the source of the next.
        sort.runs = std::mem::replace(&mut sort.merged, vec![0]);
        sort.pair = 0;
        sort.from_b = !sort.from_b;
    }
    Ok(Value::small_int(0))
}

/// Merges up to `MERGE` items of the present pair of runs, and goes on to the next pair when that is done.
fn merge(sort: &mut Sort, source: &[Value], order: &mut Order<'_>) -> Vec<Value> {
    let width = sort.width;
    let start = sort.runs[sort.pair];
    let middle = sort.runs[sort.pair + 1];
    // A last run without a partner is copied.
    let end = sort.runs.get(sort.pair + 2).copied().unwrap_or(middle);
    let mut left = start + sort.left_taken;
    let mut right = middle + sort.right_taken;
    let count = MERGE.min(middle - left + (end - right));
    let mut out = Vec::with_capacity(count * width);
    for made in 0..count {
        if left == middle || right == end {
            // One side is used up: the rest is copied.
            let rest = count - made;
            let from = if left == middle {
                &mut right
            } else {
                &mut left
            };
            out.extend_from_slice(&source[*from * width..(*from + rest) * width]);
            *from += rest;
            break;
        }
        let from = if order.is_less(source[right * width], source[left * width]) {
            &mut right
        } else {
            &mut left
        };
        out.extend_from_slice(&source[*from * width..(*from + 1) * width]);
        *from += 1;
    }
    sort.left_taken = left - start;
    sort.right_taken = right - middle;
    if left == middle && right == end {
        sort.merged.push(end);
        sort.pair += 2;
        sort.left_taken = 0;
        sort.right_taken = 0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(numbers: &[i64]) -> Vec<Value> {
        numbers.iter().map(|&n| Value::small_int(n)).collect()
    }

    #[test]
    fn pairs_keep_the_order_of_equal_keys() {
        let pairs = ints(&[2, 0, 1, 1, 2, 2, 1, 3]);
        let engine = heddle_vm::Engine::new();
        let mut order = Order {
            types: &*engine,
            is_stuck: false,
        };
        let sorted = sorted(&pairs, 2, &mut order).expect("ints compare");
        assert!(sorted == ints(&[1, 1, 1, 3, 2, 0, 2, 2]));
    }

    #[test]
    fn merging_in_steps_gives_all_items_in_order() {
        let n = MERGE + 1000;
        let source: Vec<Value> = (0..n)
            .map(|i| Value::small_int((i % (n / 2)) as i64))
            .collect();
        let mut sort = Sort {
            width: 1,
            items: n,
            sorted: n,
            runs: vec![0, n / 2, n],
            merged: vec![0],
            pair: 0,
            left_taken: 0,
            right_taken: 0,
            from_b: false,
        };
        let engine = heddle_vm::Engine::new();
        let mut order = Order {
            types: &*engine,
            is_stuck: false,
        };
        let mut out = merge(&mut sort, &source, &mut order);
        assert_eq!(out.len(), MERGE);
        out.extend(merge(&mut sort, &source, &mut order));
        assert_eq!(out.len(), n);
        assert!(out.is_sorted_by_key(|v| v.as_small_int()));
        assert_eq!(sort.merged, [0, n]);
    }
}
