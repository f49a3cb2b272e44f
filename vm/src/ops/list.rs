//! Lists and tuples.
//!
//! A list's elements are in a `ValueBuffer` of its own. Growth leaves half as much room again in short lists and a sixteenth in
//! long ones, so that a list of a million elements takes hardly more than 8 MB.

use super::memory::{self, MAX_BYTES, reserve};
use super::{OpFail, OpResult, checked_index};
use crate::heap::Heap;
use crate::object::{FLAG_FROZEN, FLAG_LARGE, Header, Kind, List, Tuple, type_id};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::atomic::AtomicU32;

/// Lists longer than this grow by a sixteenth.
const LONG: usize = 64 * 1024;
/// Longer lists are repeated in steps.
const STEP_ITEMS: usize = 1_000_000;
/// More elements than this are copied in steps, so many at a time.
pub const LONG_COPY: usize = 256 * 1024;
pub const COPY_STEP: usize = 64 * 1024;
/// Up to so many stores tell the collector each for itself, more all together.
const FEW_STORES: usize = 64;
/// No list or tuple has more elements.
const MAX_LEN: usize = MAX_BYTES / 2;

#[inline]
fn list(value: Value) -> *mut List {
    debug_assert!(value.is_kind(Kind::List));
    value.as_object().cast()
}

/// The elements of a list, of which the caller knows that it is one. Valid until the list changes or a collection.
#[inline]
pub(crate) fn items_of<'a>(value: Value) -> &'a [Value] {
    let list = list(value);
    // SAFETY: `len` elements of the buffer are set; a dangling slice of length 0 stands for no buffer.
    unsafe {
        match (*list).len {
            0 => &[],
            len => std::slice::from_raw_parts((*list).items, len as usize),
        }
    }
}

/// The elements of a tuple, of which the caller knows that it is one.
#[inline]
pub(crate) fn tuple_items<'a>(value: Value) -> &'a [Value] {
    debug_assert!(value.is_kind(Kind::Tuple));
    let tuple = value.as_object().cast::<Tuple>();
    // SAFETY: by the layout `len` values follow the fixed part.
    unsafe { std::slice::from_raw_parts(tuple.add(1).cast(), (*tuple).len as usize) }
}

/// The elements of a list or tuple, `None` for other values.
#[inline]
pub(crate) fn sequence_items<'a>(value: Value) -> Option<&'a [Value]> {
    match value.kind() {
        Some(Kind::List) => Some(items_of(value)),
        Some(Kind::Tuple) => Some(tuple_items(value)),
        _ => None,
    }
}

#[inline]
pub fn len(value: Value) -> usize {
    items_of(value).len()
}

// --- making

fn check_count(heap: &mut Heap, count: usize, what: &str) -> OpResult<()> {
    if count > MAX_LEN {
        return Err(OpFail::error(
            ErrorKind::Limit,
            format!("{what} of more than {MAX_LEN} elements"),
        ));
    }
    reserve(heap, count * size_of::<Value>() + 64)
}

/// An empty list with room for so many elements.
pub fn with_capacity(heap: &mut Heap, capacity: usize) -> OpResult {
    check_count(heap, capacity, "list")?;
    let object = heap
        .alloc(Header::new(Kind::List, type_id::LIST, 0), size_of::<List>())
        .cast::<List>();
    // SAFETY: freshly allocated with room for a `List`.
    unsafe {
        (*object).len = 0;
        (*object).capacity = 0;
        (*object).items = std::ptr::null_mut();
        if capacity > 0 {
            (*object).items =
                memory::grow_values(heap, object.cast(), std::ptr::null_mut(), capacity);
            (*object).capacity = capacity as u32;
        }
    }
    Ok(Value::local(object.cast()))
}

/// A list of these elements.
pub fn new(heap: &mut Heap, items: &[Value]) -> OpResult {
    let value = with_capacity(heap, items.len())?;
    append_reserved(heap, value, items);
    Ok(value)
}

/// A tuple of these elements.
pub fn new_tuple(heap: &mut Heap, items: &[Value]) -> OpResult {
    tuple_of_parts(heap, &[items])
}

fn tuple_of_parts(heap: &mut Heap, parts: &[&[Value]]) -> OpResult {
    let count = parts.iter().map(|part| part.len()).sum::<usize>();
    check_count(heap, count, "tuple")?;
    let bytes = size_of::<Tuple>() + count * size_of::<Value>();
    let object = heap
        .alloc(Header::new(Kind::Tuple, type_id::TUPLE, 0), bytes)
        .cast::<Tuple>();
    // SAFETY: freshly allocated with room for `count` values behind the fixed part.
    unsafe {
        (*object).len = count as u32;
        (*object).hash = AtomicU32::new(0);
        let mut to = object.add(1).cast::<Value>();
        for part in parts {
            std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
            to = to.add(part.len());
        }
    }
    Ok(Value::local(object.cast()))
}

// --- changing

/// Fails if the list, map or set may not be changed.
#[inline]
pub fn check_not_frozen(value: Value) -> OpResult<()> {
    // SAFETY: the callers know that it is an object.
    if unsafe { (*value.as_object()).has(FLAG_FROZEN) } {
        return Err(OpFail::typed(
            ErrorKind::Frozen,
            "this {0} is frozen and cannot be changed",
            value,
            value,
        ));
    }
    Ok(())
}

/// Makes room for `more` elements. Nothing else changes.
#[inline]
pub fn reserve_items(heap: &mut Heap, value: Value, more: usize) -> OpResult<()> {
    let list = list(value);
    // SAFETY: `value` is a live list.
    let (len, capacity) = unsafe { ((*list).len as usize, (*list).capacity as usize) };
    if more <= capacity - len {
        return Ok(());
    }
    grow(heap, list, len + more)
}

#[cold]
fn grow(heap: &mut Heap, list: *mut List, needed: usize) -> OpResult<()> {
    // SAFETY: `list` is a live list.
    unsafe {
        let capacity = (*list).capacity as usize;
        let spare = if capacity < LONG {
            capacity / 2
        } else {
            capacity / 16
        };
        let wanted = needed.max(capacity + spare).max(4).min(MAX_LEN.max(needed));
        check_count(heap, wanted, "list")?;
        (*list).items = memory::grow_values(heap, list.cast(), (*list).items, wanted);
        (*list).capacity = wanted as u32;
    }
    Ok(())
}

/// Whether one of the elements is an object.
fn has_object(items: &[Value]) -> bool {
    crate::heap::any_object(items)
}

/// Appends where room was made before.
fn append_reserved(heap: &mut Heap, value: Value, items: &[Value]) {
    if items.is_empty() {
        return;
    }
    let list = list(value);
    // SAFETY: `reserve_items` or `with_capacity` made room.
    unsafe {
        debug_assert!((*list).capacity as usize - (*list).len as usize >= items.len());
        let to = (*list).items.add((*list).len as usize);
        std::ptr::copy(items.as_ptr(), to, items.len());
        (*list).len += items.len() as u32;
        if items.len() <= FEW_STORES {
            for i in 0..items.len() {
                heap.barrier_at(list.cast(), to.add(i), *to.add(i));
            }
        } else {
            heap.range_written(list.cast(), to, items.len());
        }
    }
}

/// A tuple that has no element yet and room for so many: for `append_to_tuple`. No script sees it before it is whole.
pub fn unfinished_tuple(heap: &mut Heap, capacity: usize) -> OpResult {
    check_count(heap, capacity, "tuple")?;
    let bytes = size_of::<Tuple>() + capacity.max(LONG_COPY) * size_of::<Value>();
    let object = heap
        .alloc(Header::new(Kind::Tuple, type_id::TUPLE, 0), bytes)
        .cast::<Tuple>();
    // SAFETY: freshly allocated; it is a large object, so that its size does not follow from its length.
    unsafe {
        (*object).len = 0;
        (*object).hash = AtomicU32::new(0);
    }
    Ok(Value::local(object.cast()))
}

/// Appends to a tuple made by `unfinished_tuple`; no more than it has room for.
pub fn append_to_tuple(heap: &mut Heap, tuple: Value, items: &[Value]) {
    let object = tuple.as_object().cast::<Tuple>();
    // SAFETY: a live tuple; the allocation has room for as many values as its size says.
    unsafe {
        let len = (*object).len as usize;
        assert!(tuple.is_kind(Kind::Tuple) && (*object).header.has(FLAG_LARGE));
        let bytes = size_of::<Tuple>() + (len + items.len()) * size_of::<Value>();
        assert!(
            bytes <= heap.large_bytes(object.cast()),
            "room was made before"
        );
        let to = object.add(1).cast::<Value>().add(len);
        std::ptr::copy_nonoverlapping(items.as_ptr(), to, items.len());
        (*object).len += items.len() as u32;
        heap.range_written(object.cast(), to, items.len());
    }
}

/// Puts an element at the end.
#[inline]
pub fn push(heap: &mut Heap, value: Value, element: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    let list = list(value);
    // SAFETY: `value` is a live list; `grow` makes room for one more.
    unsafe {
        if (*list).len == (*list).capacity {
            grow(heap, list, (*list).len as usize + 1)?;
        }
        let slot = (*list).items.add((*list).len as usize);
        memory::store(heap, list.cast(), slot, element);
        (*list).len += 1;
    }
    Ok(())
}

/// Takes the last element away; `None` if there is none.
pub fn pop(value: Value) -> OpResult<Option<Value>> {
    check_not_frozen(value)?;
    let list = list(value);
    let last = items_of(value).last().copied();
    if last.is_some() {
        // SAFETY: `value` is a live list that is not empty.
        unsafe { (*list).len -= 1 };
    }
    Ok(last)
}

/// Appends all these; they may be elements of the list itself.
pub fn extend(heap: &mut Heap, value: Value, items: &[Value]) -> OpResult<()> {
    check_not_frozen(value)?;
    let (own, count) = (items_of(value), items.len());
    let is_own = own.as_ptr_range().contains(&items.as_ptr());
    let start = if is_own {
        (items.as_ptr() as usize - own.as_ptr() as usize) / size_of::<Value>()
    } else {
        0
    };
    reserve_items(heap, value, count)?;
    // Growing moves the list's own elements.
    let items = if is_own {
        &items_of(value)[start..start + count]
    } else {
        items
    };
    append_reserved(heap, value, items);
    Ok(())
}

/// Appends elements of another list, if none of them is an object; `false`: one is. The collector need not hear of what is appended.
pub fn extend_with_plain(heap: &mut Heap, value: Value, items: &[Value]) -> OpResult<bool> {
    /// Looked at and copied while they lie in the first cache.
    const PIECE: usize = 1024;
    check_not_frozen(value)?;
    reserve_items(heap, value, items.len())?;
    let list = list(value);
    for piece in items.chunks(PIECE) {
        if has_object(piece) {
            return Ok(false);
        }
        // SAFETY: there is room; the pieces are another list's.
        unsafe {
            let to = (*list).items.add((*list).len as usize);
            std::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
            (*list).len += piece.len() as u32;
        }
    }
    Ok(true)
}

/// `xs[i]`
#[inline]
pub fn get(value: Value, position: Value) -> OpResult {
    let items = items_of(value);
    if position.is_small_int()
        && let Some(&item) = items.get(position.as_small_int() as usize)
    {
        return Ok(item);
    }
    Ok(items[checked_index(position, items.len(), "list")?])
}

/// `t[i]`
#[inline]
pub fn tuple_get(value: Value, position: Value) -> OpResult {
    let items = tuple_items(value);
    if position.is_small_int()
        && let Some(&item) = items.get(position.as_small_int() as usize)
    {
        return Ok(item);
    }
    Ok(items[checked_index(position, items.len(), "tuple")?])
}

/// `xs[i] = element`
#[inline]
pub fn set(heap: &mut Heap, value: Value, position: Value, element: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    let at = checked_index(position, len(value), "list")?;
    let list = list(value);
    // SAFETY: `at` is less than the length.
    unsafe { memory::store(heap, list.cast(), (*list).items.add(at), element) };
    Ok(())
}

/// Puts an element before that at `position`, which may be the length: at the end. Far from the end of a long list it needs steps.
pub fn insert(heap: &mut Heap, value: Value, position: Value, element: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    let len = len(value);
    let at = match super::int::to_i64(position) {
        Some(i) if i == len as i64 => len,
        _ => checked_index(position, len, "list")?,
    };
    reserve_items(heap, value, 1)?;
    if len - at > LONG_COPY {
        return Err(OpFail::NeedsSteps("__list_insert"));
    }
    let list = list(value);
    // SAFETY: room for one more was made; `at <= len`.
    unsafe {
        let slot = (*list).items.add(at);
        std::ptr::copy(slot, slot.add(1), len - at);
        (*list).len += 1;
        memory::store(heap, list.cast(), slot, element);
        heap.elements_moved(list.cast());
    }
    Ok(())
}

/// Takes the element at `position` away. Far from the end of a long list it needs steps.
pub fn remove(heap: &mut Heap, value: Value, position: Value) -> OpResult {
    check_not_frozen(value)?;
    let len = len(value);
    let at = checked_index(position, len, "list")?;
    if len - at > LONG_COPY {
        return Err(OpFail::NeedsSteps("__list_remove"));
    }
    Ok(remove_at_once(heap, value, at))
}

/// As `remove`, however long the list is; there is an element at the position.
pub(crate) fn remove_at_once(heap: &mut Heap, value: Value, at: usize) -> Value {
    let (list, len) = (list(value), len(value));
    assert!(at < len);
    // SAFETY: `at < len`.
    unsafe {
        let slot = (*list).items.add(at);
        let element = *slot;
        std::ptr::copy(slot.add(1), slot, len - at - 1);
        (*list).len -= 1;
        heap.elements_moved(list.cast());
        element
    }
}

/// Takes all elements away, and the room for them.
pub fn clear(value: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    let list = list(value);
    // SAFETY: `value` is a live list; its buffer becomes garbage.
    unsafe {
        (*list).len = 0;
        (*list).capacity = 0;
        (*list).items = std::ptr::null_mut();
    }
    Ok(())
}

/// Keeps the first `count` elements.
pub fn truncate(value: Value, count: usize) -> OpResult<()> {
    check_not_frozen(value)?;
    let list = list(value);
    // SAFETY: `value` is a live list.
    unsafe { (*list).len = (*list).len.min(count as u32) };
    Ok(())
}

/// Moves elements in front of position `to` up by one, as many as a step does and not those in front of `from`; gives the position of the first that was moved.
/// There must be one at `to`, which is overwritten.
pub fn move_up(heap: &mut Heap, value: Value, from: usize, to: usize) -> OpResult<usize> {
    check_not_frozen(value)?;
    assert!(from <= to && to < len(value));
    let start = from.max(to.saturating_sub(LONG_COPY));
    let list = list(value);
    // SAFETY: positions up to `to` exist.
    unsafe {
        let slot = (*list).items.add(start);
        std::ptr::copy(slot, slot.add(1), to - start);
        heap.range_written(list.cast(), slot.add(1), to - start);
    }
    Ok(start)
}

/// Moves elements behind position `to` down by one, as many as a step does; gives the position of the last that was moved, which stays where it is, too.
pub fn move_down(heap: &mut Heap, value: Value, to: usize) -> OpResult<usize> {
    check_not_frozen(value)?;
    assert!(to < len(value));
    let count = LONG_COPY.min(len(value) - 1 - to);
    let list = list(value);
    // SAFETY: positions up to `to + count` exist.
    unsafe {
        let slot = (*list).items.add(to);
        std::ptr::copy(slot.add(1), slot, count);
        heap.range_written(list.cast(), slot, count);
    }
    Ok(to + count)
}

/// Exchanges elements from position `at` on with those as far from the end, as many as a step does; gives where to go on, `None` at the middle.
pub fn reverse_step(heap: &mut Heap, value: Value, at: usize) -> OpResult<Option<usize>> {
    check_not_frozen(value)?;
    let (list, len) = (list(value), len(value));
    let end = (at + LONG_COPY / 2).min(len / 2);
    if at >= end {
        return Ok(None);
    }
    // SAFETY: `len` elements are set, and nobody else refers to them now.
    unsafe {
        let items = std::slice::from_raw_parts_mut((*list).items, len);
        let (front, back) = items.split_at_mut(len - end);
        let mirrored = back[..end - at].iter_mut().rev();
        for (a, b) in front[at..end].iter_mut().zip(mirrored) {
            std::mem::swap(a, b);
        }
        heap.range_written(list.cast(), (*list).items.add(at), end - at);
        heap.range_written(list.cast(), (*list).items.add(len - end), end - at);
    }
    Ok(Some(end))
}

/// Turns the order around; of a long list in steps.
pub fn reverse(heap: &mut Heap, value: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    if len(value) > LONG_COPY {
        return Err(OpFail::NeedsSteps("__list_reverse"));
    }
    reverse_at_once(heap, value);
    Ok(())
}

/// As `reverse`, however long the list is.
pub(crate) fn reverse_at_once(heap: &mut Heap, value: Value) {
    let (list, len) = (list(value), len(value));
    if len > 1 {
        // SAFETY: `len` elements are set, and nobody else refers to them now.
        unsafe {
            std::slice::from_raw_parts_mut((*list).items, len).reverse();
            heap.elements_moved(list.cast());
        }
    }
}

/// Replaces all elements (a sort's result); the count stays the same.
pub fn replace_all(heap: &mut Heap, value: Value, items: &[Value]) -> OpResult<()> {
    check_not_frozen(value)?;
    let list = list(value);
    let count = items.len().min(len(value));
    if count > 0 {
        // SAFETY: `count` elements are set; `items` may be the same memory.
        unsafe {
            std::ptr::copy(items.as_ptr(), (*list).items, count);
            heap.elements_moved(list.cast());
        }
    }
    Ok(())
}

/// Overwrites elements from a position on; all must exist.
pub fn write_at(heap: &mut Heap, value: Value, position: usize, items: &[Value]) {
    let list = list(value);
    assert!(position + items.len() <= len(value));
    if items.is_empty() {
        return;
    }
    // SAFETY: the elements exist; `items` may be the same memory.
    unsafe {
        let slot = (*list).items.add(position);
        std::ptr::copy(items.as_ptr(), slot, items.len());
        heap.range_written(list.cast(), slot, items.len());
    }
}

/// Overwrites two elements that follow each other; both must exist.
pub(crate) fn write_two(
    heap: &mut Heap,
    value: Value,
    position: usize,
    first: Value,
    second: Value,
) {
    assert!(position + 1 < len(value));
    let list = list(value);
    // SAFETY: both positions are less than the length.
    unsafe {
        memory::store(heap, list.cast(), (*list).items.add(position), first);
        memory::store(heap, list.cast(), (*list).items.add(position + 1), second);
    }
}

// --- parts and sums

/// `xs[from..to]`: a list; positions within it (see `slice_bounds`).
pub fn slice(heap: &mut Heap, value: Value, from: usize, to: usize) -> OpResult {
    new(heap, &items_of(value)[from..to])
}

/// `t[from..to]`: a tuple; positions within it.
pub fn tuple_slice(heap: &mut Heap, value: Value, from: usize, to: usize) -> OpResult {
    let items = tuple_items(value);
    if from == 0 && to == items.len() {
        return Ok(value);
    }
    new_tuple(heap, &items[from..to])
}

/// `xs + ys`
pub fn concat(heap: &mut Heap, a: Value, b: Value) -> OpResult {
    if len(a) + len(b) > LONG_COPY {
        return Err(OpFail::NeedsSteps("__list_concat"));
    }
    let sum = with_capacity(heap, len(a) + len(b))?;
    append_reserved(heap, sum, items_of(a));
    append_reserved(heap, sum, items_of(b));
    Ok(sum)
}

pub fn concat_tuples(heap: &mut Heap, a: Value, b: Value) -> OpResult {
    if tuple_items(a).len() + tuple_items(b).len() > LONG_COPY {
        return Err(OpFail::NeedsSteps("__tuple_concat"));
    }
    tuple_of_parts(heap, &[tuple_items(a), tuple_items(b)])
}

/// `xs * n`
pub fn repeat(heap: &mut Heap, value: Value, count: u64) -> OpResult {
    let items = items_of(value);
    let total = items
        .len()
        .saturating_mul(usize::try_from(count).unwrap_or(usize::MAX));
    if total > STEP_ITEMS && total <= MAX_LEN {
        reserve(heap, total * size_of::<Value>())?;
        return Err(OpFail::NeedsSteps("__list_repeat"));
    }
    let result = with_capacity(heap, total)?;
    let mut done = 0;
    while done < total {
        // Doubling what is there keeps the number of copies small.
        let part = if done == 0 {
            items
        } else {
            &items_of(result)[..done.min(total - done)]
        };
        append_reserved(heap, result, part);
        done += part.len();
    }
    Ok(result)
}

pub fn repeat_tuple(heap: &mut Heap, value: Value, count: u64) -> OpResult {
    let items = tuple_items(value);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let total = items.len().saturating_mul(count);
    check_count(heap, total, "tuple")?;
    if total > LONG_COPY {
        return Err(OpFail::NeedsSteps("__tuple_repeat"));
    }
    tuple_of_parts(heap, &vec![items; if items.is_empty() { 0 } else { count }])
}
