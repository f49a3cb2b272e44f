//! Maps and sets in insertion order.
//!
//! Entries lie in a row in the order of insertion; removing one leaves a gap (an unset key) that the next growth closes. Up to
//! `FEW` entries are searched in a row. More have an index: open addressing by the top bits of the hash, linear probing, no
//! tombstones. A slot is `hash:32 | position + 1:32` (low to high), so growing the index needs no key, and goes through old and
//! new slots in order.
//!
//! A large index is doubled bit by bit, so that no insertion takes long: the new one (`next_index`) is made next to the old one, which goes on
//! serving, and each insertion carries a few slots over, in order. The word behind the new one's slots counts the old slots carried over.
//! Invariant: what stands in the old index before that count stands in the new one, too, and what stands in the new one stands in the old one;
//! when all is carried over, the new one takes the old one's place.
//!
//! A key whose hash needs script code is never in a map without index: `insert_hashed` makes one. So hashes are computed anew
//! only of keys for which `hash::quick` can do it.
//!
//! Script code for `hash` and `==` of keys is driven from outside: where it is needed, operations answer `NeedsScript`, and the
//! library goes by `candidate`, `entry_at`, `insert_hashed`, `set_at`, `remove_at`, starting again if `stamp` has changed.

use super::list::check_not_frozen;
use super::memory::{self, MAX_BYTES, reserve};
use super::{OpFail, OpResult, TypeLookup, compare, hash, text};
use crate::heap::Heap;
use crate::object::{Entry, Header, Kind, Map, type_id};
use crate::types::ErrorKind;
use crate::value::Value;

/// Up to so many entries are searched in a row.
const FEW: usize = 8;
/// An index of more slots is doubled bit by bit, so many slots at each insertion; it is three quarters full when that begins.
const LONG_INDEX: usize = if cfg!(test) { 32 } else { 64 * 1024 };
const CARRIED_AT_ONCE: usize = if cfg!(test) { 8 } else { 32 };
/// More entries than this grow by a quarter instead of a half.
const MANY: usize = 64 * 1024;
/// No map has more entries.
const MAX_LEN: usize = MAX_BYTES / 4;

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lookup<T> {
    Found(T),
    Missing,
    /// Only script code (`hash` or `==` of a key) can tell.
    NeedsScript,
}

#[inline]
fn map(value: Value) -> *mut Map {
    debug_assert!(value.is_kind(Kind::Map) || value.is_kind(Kind::Set));
    value.as_object().cast()
}

/// The entries, gaps included. Valid until the map changes or a collection.
#[inline]
pub(crate) fn entries_of<'a>(value: Value) -> &'a [Entry] {
    let map = map(value);
    // SAFETY: `used` entries of the buffer are set.
    unsafe {
        match (*map).used {
            0 => &[],
            used => std::slice::from_raw_parts((*map).entries, used as usize),
        }
    }
}

#[inline]
fn index_of<'a>(value: Value) -> &'a [u64] {
    let map = map(value);
    // SAFETY: the index has `index_slots` words.
    unsafe {
        match (*map).index_slots {
            0 => &[],
            slots => std::slice::from_raw_parts((*map).index, slots as usize),
        }
    }
}

/// The number of live entries.
#[inline]
pub fn len(value: Value) -> usize {
    // SAFETY: the callers know that it is a map or set.
    unsafe { (*map(value)).len as usize }
}

/// Changes whenever a key comes or goes, even if the size is then the same again: what an iteration compares to notice it. It has 47 bits.
#[inline]
pub fn stamp(value: Value) -> i64 {
    // SAFETY: the callers know that it is a map or set.
    unsafe { ((*map(value)).header.aux as i64) << 31 | (*map(value)).len as i64 }
}

/// A key has come or gone. The count starts again after 65,536 changes.
fn count_change(object: *mut Map) {
    // SAFETY: the map is live; the word that others use for a size is not used otherwise in maps.
    unsafe { (*object).header.aux = (*object).header.aux.wrapping_add(1) };
}

/// The first live entry at or after `position`, and its position: iteration in order.
#[inline]
pub fn next_entry(value: Value, position: usize) -> Option<(usize, Entry)> {
    entries_of(value)
        .iter()
        .enumerate()
        .skip(position)
        .find(|(_, entry)| !entry.key.is_unset())
        .map(|(at, entry)| (at, *entry))
}

/// The entry at a position, if it is live.
pub fn entry_at(value: Value, position: usize) -> Option<Entry> {
    entries_of(value)
        .get(position)
        .copied()
        .filter(|entry| !entry.key.is_unset())
}

// --- making

/// An empty map with room for so many entries.
pub fn new_map(heap: &mut Heap, room: usize) -> OpResult {
    new(heap, Kind::Map, type_id::MAP, room)
}

/// An empty set with room for so many elements.
pub fn new_set(heap: &mut Heap, room: usize) -> OpResult {
    new(heap, Kind::Set, type_id::SET, room)
}

fn new(heap: &mut Heap, kind: Kind, type_id: u32, room: usize) -> OpResult {
    check_room(heap, room)?;
    let object = heap
        .alloc(Header::new(kind, type_id, 0), size_of::<Map>())
        .cast::<Map>();
    // SAFETY: freshly allocated with room for a `Map`; written through the fields, since the header is set already.
    unsafe {
        (*object).len = 0;
        (*object).used = 0;
        (*object).capacity = 0;
        (*object).index_slots = 0;
        (*object).entries = std::ptr::null_mut();
        (*object).index = std::ptr::null_mut();
        (*object).next_index = std::ptr::null_mut();
        if room > 0 {
            grow_entries(heap, object, room);
        }
        if room > FEW {
            new_index(heap, object, slots_for(room));
        }
    }
    Ok(Value::local(object.cast()))
}

/// The slots of an index for so many entries: at most three quarters full.
fn slots_for(entries: usize) -> usize {
    (entries * 4 / 3 + 1).next_power_of_two().max(16)
}

fn check_room(heap: &mut Heap, room: usize) -> OpResult<()> {
    if room > MAX_LEN {
        return Err(OpFail::error(
            ErrorKind::Limit,
            format!("map of {room} entries is too large"),
        ));
    }
    let index = if room > FEW { slots_for(room) * 8 } else { 0 };
    reserve(heap, room * size_of::<Entry>() + index)
}

/// # Safety
/// `map` is live; `capacity` is at least its `used`.
unsafe fn grow_entries(heap: &mut Heap, map: *mut Map, capacity: usize) {
    // SAFETY: by the contract.
    unsafe {
        (*map).entries =
            memory::grow_values(heap, map.cast(), (*map).entries.cast(), capacity * 2).cast();
        (*map).capacity = capacity as u32;
    }
}

/// Gives the map an empty index.
///
/// # Safety
/// `map` is live.
unsafe fn new_index(heap: &mut Heap, map: *mut Map, slots: usize) {
    // SAFETY: by the contract; a raw buffer comes zeroed: all slots are free.
    unsafe {
        (*map).index = memory::raw_buffer(heap, map.cast(), slots * 8).cast();
        (*map).index_slots = slots as u32;
    }
}

// --- the index

#[inline]
fn home(hash: u32, slots: usize) -> usize {
    ((hash as u64 * slots as u64) >> 32) as usize
}

#[inline]
fn slot_position(slot: u64) -> usize {
    (slot >> 32) as usize - 1
}

/// Puts an entry's position into the first free slot; gives which that is.
fn index_insert(index: &mut [u64], hash: u32, position: usize) -> usize {
    index_put(index, hash as u64 | (position as u64 + 1) << 32)
}

/// Puts a slot's word into the first free slot, unless it is there.
fn index_put(index: &mut [u64], word: u64) -> usize {
    let mask = index.len() - 1;
    let mut at = home(word as u32, index.len());
    while index[at] != 0 && index[at] != word {
        at = (at + 1) & mask;
    }
    index[at] = word;
    at
}

/// The index in the making, and how many slots of the old one have been carried over.
///
/// # Safety
/// `map` is live and nobody else refers to its indexes now.
unsafe fn next_index_mut<'a>(map: *mut Map) -> Option<(&'a mut [u64], &'a mut u64)> {
    // SAFETY: by the contract; it has twice the slots of the index and a word more.
    unsafe {
        if (*map).next_index.is_null() {
            return None;
        }
        let slots = (*map).index_slots as usize * 2;
        let index = std::slice::from_raw_parts_mut((*map).next_index, slots);
        Some((index, &mut *(*map).next_index.add(slots)))
    }
}

/// Carries some slots over to the index in the making; the last ones end it.
fn carry_over(map: *mut Map) {
    // SAFETY: the map is live, and this is the only use of its indexes.
    unsafe {
        let old = index_mut(map);
        let Some((index, carried)) = next_index_mut(map) else {
            return;
        };
        let start = *carried as usize;
        let end = old.len().min(start + CARRIED_AT_ONCE);
        for &word in &old[start..end] {
            if word != 0 {
                index_put(index, word);
            }
        }
        *carried = end as u64;
        if end == old.len() {
            (*map).index = (*map).next_index;
            (*map).index_slots *= 2;
            (*map).next_index = std::ptr::null_mut();
        }
    }
}

/// # Safety
/// `map` is live and nobody else refers to its index now.
unsafe fn index_mut<'a>(map: *mut Map) -> &'a mut [u64] {
    // SAFETY: by the contract; the index has `index_slots` words.
    unsafe { std::slice::from_raw_parts_mut((*map).index, (*map).index_slots as usize) }
}

/// Takes a slot out of the map's index, and its word out of the one in the making.
///
/// # Safety
/// `map` is live and nobody else refers to its indexes now.
unsafe fn remove_slot(map: *mut Map, slot: usize) {
    // SAFETY: by the contract.
    unsafe {
        let old = index_mut(map);
        let Some((index, carried)) = next_index_mut(map) else {
            index_remove(old, slot, |_, _, _| {});
            return;
        };
        let carried = *carried as usize;
        let word = old[slot];
        // Closing a gap may have moved a word that was carried over behind the count: so it is looked for in any case.
        let mask = index.len() - 1;
        let mut at = home(word as u32, index.len());
        while index[at] != word && index[at] != 0 {
            at = (at + 1) & mask;
        }
        if index[at] == word {
            index_remove(index, at, |_, _, _| {});
        }
        index_remove(old, slot, |word, from, to| {
            if to < carried && from >= carried {
                index_put(index, word);
            }
        });
    }
}

/// Takes the slot of a position out and closes the gap, so that probing never meets a tombstone. `moved(word, from, to)` hears of words that
/// come to stand elsewhere.
fn index_remove(index: &mut [u64], hash_or_slot: usize, mut moved: impl FnMut(u64, usize, usize)) {
    let mask = index.len() - 1;
    let mut gap = hash_or_slot;
    let mut at = gap;
    loop {
        at = (at + 1) & mask;
        let slot = index[at];
        if slot == 0 {
            break;
        }
        // A slot may move back into the gap unless its home lies behind the gap.
        let home = home(slot as u32, index.len());
        if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
            index[gap] = slot;
            moved(slot, at, gap);
            gap = at;
        }
    }
    index[gap] = 0;
}

/// The slot in which a position stands that has this hash.
fn slot_of_position(value: Value, hash: u32, position: usize) -> Option<usize> {
    let index = index_of(value);
    let mask = index.len() - 1;
    let wanted = hash as u64 | (position as u64 + 1) << 32;
    let mut at = home(hash, index.len());
    while index[at] != wanted {
        if index[at] == 0 {
            return None;
        }
        at = (at + 1) & mask;
    }
    Some(at)
}

// --- searching

/// The position of a key. `Err` if it can be no key.
#[inline]
pub fn find(types: &dyn TypeLookup, value: Value, key: Value) -> OpResult<Lookup<usize>> {
    let slots = index_of(value).len();
    if key.is_kind(Kind::Str) {
        return Ok(if slots == 0 {
            find_str_in_row(value, key)
        } else {
            find_str(value, key, text::hash(key, types.seed()))
        });
    }
    if slots != 0 && key.is_small_int() {
        return find_int(types, value, key);
    }
    find_other(types, value, key)
}

/// The position of an inline int: only a float could be equal and look different.
#[inline]
fn find_int(types: &dyn TypeLookup, value: Value, key: Value) -> OpResult<Lookup<usize>> {
    let (index, entries) = (index_of(value), entries_of(value));
    let hash = hash::of_small_int(key, types.seed());
    let mask = index.len() - 1;
    let mut at = home(hash, index.len());
    loop {
        let slot = index[at];
        if slot == 0 {
            return Ok(Lookup::Missing);
        }
        if slot as u32 == hash {
            let position = slot_position(slot);
            let other = entries[position].key;
            if other == key {
                return Ok(Lookup::Found(position));
            }
            if !other.is_small_int() {
                return find_other(types, value, key);
            }
        }
        at = (at + 1) & mask;
    }
}

#[inline]
fn find_str_in_row(value: Value, key: Value) -> Lookup<usize> {
    let entries = entries_of(value);
    match entries.iter().position(|entry| {
        entry.key == key || entry.key.is_kind(Kind::Str) && text::equal(entry.key, key)
    }) {
        Some(position) => Lookup::Found(position),
        None => Lookup::Missing,
    }
}

#[inline]
fn find_str(value: Value, key: Value, hash: u32) -> Lookup<usize> {
    let (index, entries) = (index_of(value), entries_of(value));
    let mask = index.len() - 1;
    let mut at = home(hash, index.len());
    loop {
        let slot = index[at];
        if slot == 0 {
            return Lookup::Missing;
        }
        if slot as u32 == hash {
            let position = slot_position(slot);
            let other = entries[position].key;
            if other == key || other.is_kind(Kind::Str) && text::equal(other, key) {
                return Lookup::Found(position);
            }
        }
        at = (at + 1) & mask;
    }
}

fn find_other(types: &dyn TypeLookup, value: Value, key: Value) -> OpResult<Lookup<usize>> {
    // A small int, the most frequent key after strings.
    let is_indexed = !index_of(value).is_empty();
    let hash = if key.is_small_int() && !is_indexed {
        0
    } else {
        match hash::quick(types, key)? {
            Some(hash) => hash,
            None => return Ok(Lookup::NeedsScript),
        }
    };
    let mut cursor = 0;
    while let Some((next, position)) = candidate(value, hash, cursor) {
        let other = entries_of(value)[position].key;
        if other == key {
            return Ok(Lookup::Found(position));
        }
        match compare::quick_equal(types, other, key) {
            Some(true) => return Ok(Lookup::Found(position)),
            Some(false) => {}
            None => return Ok(Lookup::NeedsScript),
        }
        cursor = next;
    }
    Ok(Lookup::Missing)
}

/// The entries that may have a key of this hash, one after the other: start with cursor 0, go on with the returned one.
/// Without an index, these are all entries.
#[inline]
pub fn candidate(value: Value, hash: u32, cursor: usize) -> Option<(usize, usize)> {
    let index = index_of(value);
    if index.is_empty() {
        let (position, _) = next_entry(value, cursor)?;
        return Some((position + 1, position));
    }
    let mask = index.len() - 1;
    let mut distance = cursor;
    loop {
        let slot = index[(home(hash, index.len()) + distance) & mask];
        if slot == 0 {
            return None;
        }
        distance += 1;
        if slot as u32 == hash {
            return Some((distance, slot_position(slot)));
        }
    }
}

/// The value of a key.
#[inline]
pub fn get(types: &dyn TypeLookup, value: Value, key: Value) -> OpResult<Lookup<Value>> {
    Ok(match find(types, value, key)? {
        Lookup::Found(position) => Lookup::Found(entries_of(value)[position].value),
        Lookup::Missing => Lookup::Missing,
        Lookup::NeedsScript => Lookup::NeedsScript,
    })
}

/// The value of a string key, of which the caller knows that it is one.
#[inline]
pub fn get_str(value: Value, key: Value, seed: u64) -> Option<Value> {
    let found = if index_of(value).is_empty() {
        find_str_in_row(value, key)
    } else {
        find_str(value, key, text::hash(key, seed))
    };
    match found {
        Lookup::Found(position) => Some(entries_of(value)[position].value),
        _ => None,
    }
}

// --- changing

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    New,
    /// The key was there; its value was replaced, the key itself stays the one first inserted.
    Replaced,
    /// Only script code (`hash` or `==` of a key) can tell; nothing has changed.
    NeedsScript,
}

/// `m[key] = element`; for a set, the element is nil.
#[inline]
pub fn insert(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    value: Value,
    key: Value,
    element: Value,
) -> OpResult<Inserted> {
    check_not_frozen(value)?;
    match find(types, value, key)? {
        Lookup::Found(position) => {
            set_at(heap, value, position, element);
            Ok(Inserted::Replaced)
        }
        Lookup::NeedsScript => Ok(Inserted::NeedsScript),
        Lookup::Missing => {
            make_room(heap, types, value)?;
            if index_of(value).is_empty() {
                push_entry(heap, value, key, element);
            } else {
                let hash = hash::quick(types, key)?
                    .expect("a key that was searched for hashes without script code");
                append(heap, value, key, element, hash);
            }
            Ok(Inserted::New)
        }
    }
}

/// Inserts a key that is not yet there and whose hash script code computed.
pub fn insert_hashed(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    value: Value,
    key: Value,
    element: Value,
    hash: u32,
) -> OpResult<()> {
    check_not_frozen(value)?;
    if index_of(value).is_empty() {
        build_index(heap, types, value, slots_for(len(value) + 1))?;
    }
    make_room(heap, types, value)?;
    append(heap, value, key, element, hash);
    Ok(())
}

/// Replaces the value at a position.
pub fn set_at(heap: &mut Heap, value: Value, position: usize, element: Value) {
    let map = map(value);
    debug_assert!(position < entries_of(value).len());
    // SAFETY: the position is one of a live entry.
    unsafe {
        let slot = &raw mut (*(*map).entries.add(position)).value;
        memory::store(heap, map.cast(), slot, element);
    }
}

fn push_entry(heap: &mut Heap, value: Value, key: Value, element: Value) {
    let map = map(value);
    // SAFETY: `make_room` made room for one more.
    unsafe {
        debug_assert!((*map).used < (*map).capacity);
        let entry = (*map).entries.add((*map).used as usize);
        memory::store(heap, map.cast(), &raw mut (*entry).key, key);
        memory::store(heap, map.cast(), &raw mut (*entry).value, element);
        (*map).used += 1;
        (*map).len += 1;
        count_change(map);
    }
}

fn append(heap: &mut Heap, value: Value, key: Value, element: Value, hash: u32) {
    let position = entries_of(value).len();
    push_entry(heap, value, key, element);
    let object = map(value);
    // SAFETY: the map is live; no other reference to its index is in use.
    unsafe {
        let slot = index_insert(index_mut(object), hash, position);
        if let Some((index, carried)) = next_index_mut(object) {
            if slot < *carried as usize {
                index_insert(index, hash, position);
            }
            carry_over(object);
        }
    }
}

/// Makes room for one more entry, in the row and in the index. Nothing visible changes.
fn make_room(heap: &mut Heap, types: &dyn TypeLookup, value: Value) -> OpResult<()> {
    let object = map(value);
    // SAFETY: `value` is a live map.
    let (len, used, capacity, slots) = unsafe {
        (
            (*object).len as usize,
            (*object).used as usize,
            (*object).capacity as usize,
            (*object).index_slots as usize,
        )
    };
    if used == capacity {
        if len < used - used / 4 {
            close_gaps(heap, value);
        } else {
            let spare = if used < MANY { used / 2 } else { used / 4 };
            let wanted = (used + spare).max(4);
            check_room(heap, wanted)?;
            // SAFETY: more than before.
            unsafe { grow_entries(heap, object, wanted) };
        }
    }
    if slots == 0 && entries_of(value).len() >= FEW {
        build_index(heap, types, value, slots_for(len + 1))?;
    } else if slots > 0 && (len + 1) * 4 > slots * 3 {
        // SAFETY: `value` is a live map.
        let is_growing = unsafe { !(*object).next_index.is_null() };
        if slots > LONG_INDEX {
            if !is_growing {
                reserve(heap, slots * 16 + 8)?;
                // SAFETY: a raw buffer comes zeroed: all slots are free, and none is carried over.
                unsafe {
                    (*object).next_index =
                        memory::raw_buffer(heap, object.cast(), slots * 16 + 8).cast();
                }
            }
        } else {
            grow_index(heap, value)?;
        }
    }
    Ok(())
}

/// Gives a map without index one, from the keys, all of which hash without script code.
fn build_index(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    value: Value,
    slots: usize,
) -> OpResult<()> {
    reserve(heap, slots * 8)?;
    let mut hashes = Vec::with_capacity(FEW + 1);
    for (position, entry) in entries_of(value).iter().enumerate() {
        if !entry.key.is_unset() {
            let hash = hash::quick(types, entry.key)?
                .expect("keys in a map without index hash without script code");
            hashes.push((hash, position));
        }
    }
    // SAFETY: the map is live; the new index is referred to by nobody else.
    unsafe {
        new_index(heap, map(value), slots);
        for (hash, position) in hashes {
            index_insert(index_mut(map(value)), hash, position);
        }
    }
    Ok(())
}

/// Doubles the index. Goes through both in order: homes are in the order of hashes.
fn grow_index(heap: &mut Heap, value: Value) -> OpResult<()> {
    let old = index_of(value);
    reserve(heap, old.len() * 16)?;
    // A probe sequence that wraps around starts before the first free slot: begin behind one.
    let start = old.iter().position(|&slot| slot == 0).unwrap_or(0);
    // SAFETY: the map is live; the old index stays readable until the next collection.
    let index = unsafe {
        new_index(heap, map(value), old.len() * 2);
        index_mut(map(value))
    };
    for &slot in old[start..].iter().chain(&old[..start]) {
        if slot != 0 {
            index_insert(index, slot as u32, slot_position(slot));
        }
    }
    Ok(())
}

/// Moves the entries together and sets the positions in the index right.
fn close_gaps(heap: &mut Heap, value: Value) {
    let object = map(value);
    let used = entries_of(value).len();
    let mut moved_to = vec![0u32; used];
    // SAFETY: the map is live, nobody else refers to its entries and index; entries only move towards the front.
    unsafe {
        let entries = std::slice::from_raw_parts_mut((*object).entries, used);
        let mut to = 0;
        for from in 0..used {
            if !entries[from].key.is_unset() {
                entries[to] = entries[from];
                moved_to[from] = to as u32;
                to += 1;
            }
        }
        (*object).used = to as u32;
        // An index in the making begins anew.
        (*object).next_index = std::ptr::null_mut();
        if (*object).index_slots > 0 {
            for slot in index_mut(object) {
                if *slot != 0 {
                    let position = moved_to[slot_position(*slot)] as u64;
                    *slot = *slot as u32 as u64 | (position + 1) << 32;
                }
            }
        }
    }
    heap.elements_moved(object.cast());
}

/// Takes a key away; gives its value.
pub fn remove(types: &dyn TypeLookup, value: Value, key: Value) -> OpResult<Lookup<Value>> {
    check_not_frozen(value)?;
    let position = match find(types, value, key)? {
        Lookup::Found(position) => position,
        Lookup::Missing => return Ok(Lookup::Missing),
        Lookup::NeedsScript => return Ok(Lookup::NeedsScript),
    };
    let hash = if index_of(value).is_empty() {
        None
    } else {
        hash::quick(types, key)?
    };
    let removed = remove_at(value, position, hash.unwrap_or(0));
    debug_assert!(removed.is_some(), "every live entry is in the index");
    Ok(removed.map_or(Lookup::Missing, Lookup::Found))
}

/// Takes the live entry at a position away, whose key has this hash (any, if the map has no index); gives its value. `None`: there is no such entry, since script code
/// that compared keys has changed the map so often that `stamp` was the same again.
pub fn remove_at(value: Value, position: usize, hash: u32) -> Option<Value> {
    let object = map(value);
    entry_at(value, position)?;
    if !index_of(value).is_empty() {
        let slot = slot_of_position(value, hash, position)?;
        // SAFETY: the map is live; no other reference to its index is in use.
        unsafe { remove_slot(object, slot) };
    }
    // SAFETY: the position is that of a live entry.
    unsafe {
        let entry = (*object).entries.add(position);
        let element = (*entry).value;
        (*entry).key = Value::UNSET;
        (*entry).value = Value::NIL;
        (*object).len -= 1;
        count_change(object);
        // Gaps at the end need no closing.
        while (*object).used > 0
            && (*(*object).entries.add((*object).used as usize - 1))
                .key
                .is_unset()
        {
            (*object).used -= 1;
        }
        Some(element)
    }
}

/// Takes all entries away, and the room for them.
pub fn clear(value: Value) -> OpResult<()> {
    check_not_frozen(value)?;
    let object = map(value);
    count_change(object);
    // SAFETY: the map is live; its buffers become garbage.
    unsafe {
        (*object).len = 0;
        (*object).used = 0;
        (*object).capacity = 0;
        (*object).index_slots = 0;
        (*object).entries = std::ptr::null_mut();
        (*object).index = std::ptr::null_mut();
        (*object).next_index = std::ptr::null_mut();
    }
    Ok(())
}

// --- whole maps

/// A shallow copy, not frozen.
pub fn copy(heap: &mut Heap, value: Value) -> OpResult {
    let (entries, index) = (entries_of(value), index_of(value));
    reserve(
        heap,
        std::mem::size_of_val(entries) + std::mem::size_of_val(index) + 256,
    )?;
    let result = if value.is_kind(Kind::Set) {
        new_set(heap, 0)?
    } else {
        new_map(heap, 0)?
    };
    let object = map(result);
    if entries.is_empty() {
        return Ok(result);
    }
    // SAFETY: the new map is live and gets room for all entries and slots; positions stay the same.
    unsafe {
        grow_entries(heap, object, entries.len());
        std::ptr::copy_nonoverlapping(entries.as_ptr(), (*object).entries, entries.len());
        (*object).used = entries.len() as u32;
        (*object).len = len(value) as u32;
        heap.elements_moved(object.cast());
        if !index.is_empty() {
            new_index(heap, object, index.len());
            index_mut(object).copy_from_slice(index);
        }
    }
    Ok(result)
}

/// Maps with more entries than this are copied in steps.
pub const LONG_COPY: usize = 128 * 1024;
/// Entries or slots of the index copied in a step.
const COPY_STEP: usize = 64 * 1024;

/// Goes on with a copy: `copy` was empty at first, `at` was 0; gives the next `at`, `None` at the end. The source must not change meanwhile.
pub fn copy_step(
    heap: &mut Heap,
    source: Value,
    copy: Value,
    at: usize,
) -> OpResult<Option<usize>> {
    let (entries, index) = (entries_of(source), index_of(source));
    let object = map(copy);
    // SAFETY: the copy is live, nobody else refers to its entries and index, and gets room for all entries and slots at first.
    unsafe {
        if at == 0 {
            let bytes = std::mem::size_of_val(entries) + std::mem::size_of_val(index);
            reserve(heap, bytes + 256)?;
            grow_entries(heap, object, entries.len());
            if !index.is_empty() {
                new_index(heap, object, index.len());
            }
        }
        if at < entries.len() {
            let from = at.min((*object).used as usize);
            let part = &entries[from..entries.len().min(from + COPY_STEP)];
            assert!(from + part.len() <= (*object).capacity as usize);
            let to = (*object).entries.add(from);
            std::ptr::copy_nonoverlapping(part.as_ptr(), to, part.len());
            let live = part.iter().filter(|entry| !entry.key.is_unset()).count();
            (*object).used = (from + part.len()) as u32;
            (*object).len += live as u32;
            heap.range_written(object.cast(), to.cast(), part.len() * 2);
            return Ok(Some(from + part.len()));
        }
        let from = at - entries.len();
        let to = index.len().min(from + COPY_STEP);
        if from < to && (*object).index_slots as usize == index.len() {
            index_mut(object)[from..to].copy_from_slice(&index[from..to]);
            return Ok(Some(entries.len() + to));
        }
    }
    Ok(None)
}
