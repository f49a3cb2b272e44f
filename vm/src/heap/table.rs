//! The bundles that a heap holds values of: one reference each, however many values lead there.
//!
//! | part | entries | |
//! | --- | --- | --- |
//! | `few` | two | in the heap itself: a thread that holds a channel and a message allocates nothing for it |
//! | `More`, in a row | up to `IN_A_ROW` | |
//! | `More`, hashed | beyond | open addressing |
//!
//! An entry is one word: the head's address, and in its low bits what is known of it.
//!
//! | bit | |
//! | --- | --- |
//! | `OLD` | a collection has met it since it entered; else it is *young* |
//! | `MET` | met by the collection, or since the mark began |
//!
//! **What enters is young. Each minor collection makes those old that it meets and gives the others back**, so its work is
//! proportional to what entered since the last one. Old entries are given back by full collections only. That is right
//! although a minor collection does not look at everything: a value that entered since the last one lies where it does look
//! (in frames that ran since, in young objects, in old objects that a barrier remembered; a barrier is told of every object value
//! that is stored, a shared one too). And what such a collection leaves out, an earlier one has seen as it is, and so made old what it
//! leads to.
//!
//! **A bundle that is met without being in the table enters as an old one.** Its value was read out of another shared object, by which it was kept
//! so far: by a bundle that may go in this very collection. If the table is empty when a collection begins, all that can be met is kept by
//! permanent objects: then nothing need be looked at, and a program that shares nothing pays nothing.
//!
//! Contract: heads passed in belong to live bundles.

use super::bundle::{BundleHead, bundle_of, release, retain};
use crate::account;
use crate::object::Header;
use crate::value::Value;

/// So many entries of `More` lie in a row.
const IN_A_ROW: usize = 12;
/// Slots of the smallest hash table.
const MIN_SLOTS: usize = 32;
/// A bundle that others hold, too, counts as at most so many bytes of what entered: giving it back frees nothing by itself.
const MAX_SHARED_ENTERED_BYTES: usize = 1024;
/// Unit of the counters of bytes.
const UNIT_BYTES: usize = 16;

const OLD: usize = 1;
const MET: usize = 2;
const BITS: usize = 15;

/// See the head of the file; 0: none.
#[derive(Clone, Copy, Default)]
struct Entry(usize);

impl Entry {
    fn new(head: *mut BundleHead, bits: usize) -> Entry {
        debug_assert!(head as usize & BITS == 0 && !head.is_null());
        Entry(head as usize | bits)
    }
    fn head(self) -> *mut BundleHead {
        (self.0 & !BITS) as *mut BundleHead
    }
    #[inline(always)]
    fn is(self, head: *mut BundleHead) -> bool {
        self.0 ^ head as usize <= BITS
    }
    fn is_none(self) -> bool {
        self.0 == 0
    }
    fn has(self, bit: usize) -> bool {
        self.0 & bit != 0
    }
}

/// The entries beyond the first two.
#[derive(Default)]
struct More {
    /// In a row, or the slots of a hash table (then at least `MIN_SLOTS`, a power of two).
    slots: Vec<Entry>,
    len: usize,
    /// Of a hash table: the young entries.
    young: Vec<*mut BundleHead>,
    /// Saves the look-up when values of the same bundle are met in a row; null: none.
    last_met: *mut BundleHead,
    /// What the account was told of the slots.
    counted_bytes: usize,
}

impl More {
    fn is_hashed(&self) -> bool {
        self.slots.len() > IN_A_ROW
    }
    fn first_slot(&self, head: *mut BundleHead) -> usize {
        let mixed = (head as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & (self.slots.len() - 1)
    }
    fn find(&self, head: *mut BundleHead) -> Option<usize> {
        if !self.is_hashed() {
            return self.slots.iter().position(|entry| entry.is(head));
        }
        let mut at = self.first_slot(head);
        while !self.slots[at].is_none() {
            if self.slots[at].is(head) {
                return Some(at);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }
    /// Adds an entry whose head is not there.
    fn insert(&mut self, entry: Entry) {
        if self.len < IN_A_ROW && !self.is_hashed() {
            self.slots.push(entry);
        } else {
            if !self.is_hashed() || (self.len + 1) * 4 > self.slots.len() * 3 {
                let old = std::mem::take(&mut self.slots);
                self.slots =
                    vec![Entry::default(); (old.len() * 2).next_power_of_two().max(MIN_SLOTS)];
                if old.len() <= IN_A_ROW {
                    let young = old.iter().filter(|entry| !entry.has(OLD));
                    self.young.extend(young.map(|entry| entry.head()));
                }
                for entry in old.into_iter().filter(|entry| !entry.is_none()) {
                    self.place(entry);
                }
                self.count();
            }
            self.place(entry);
            if !entry.has(OLD) {
                self.young.push(entry.head());
            }
        }
        self.len += 1;
    }
    fn count(&mut self) {
        account::subtract(self.counted_bytes);
        self.counted_bytes = (self.slots.capacity() + self.young.capacity()) * size_of::<Entry>();
        account::add(self.counted_bytes);
    }
    /// Puts an entry into the hash table, which has room.
    fn place(&mut self, entry: Entry) {
        let mut at = self.first_slot(entry.head());
        while !self.slots[at].is_none() {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = entry;
    }
    fn remove(&mut self, at: usize) {
        self.len -= 1;
        if !self.is_hashed() {
            self.slots.swap_remove(at);
            return;
        }
        // What lies behind the gap moves into it, if a look-up would come by there.
        let mask = self.slots.len() - 1;
        let mut gap = at;
        let mut next = (at + 1) & mask;
        while !self.slots[next].is_none() {
            let first = self.first_slot(self.slots[next].head());
            if next.wrapping_sub(first) & mask >= next.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
            next = (next + 1) & mask;
        }
        self.slots[gap] = Entry::default();
    }
}

impl Drop for More {
    fn drop(&mut self) {
        account::subtract(self.counted_bytes);
    }
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct BundleTable {
    few: [Entry; 2],
    /// Never empty.
    more: Option<Box<More>>,
    /// Of young entries, in units.
    entered: u32,
    /// Of entries that became old since the last full collection, in units.
    aged: u32,
}

/// What happens to an entry at the end of a collection.
enum Fate {
    Stays,
    /// Its reference is given back.
    Goes,
}

impl BundleTable {
    /// A value of the bundle has come to this heap. `is_owned`: the caller's reference becomes the table's.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline]
    pub(crate) unsafe fn enter(&mut self, head: *mut BundleHead, is_owned: bool) {
        if self.few[0].is(head) || self.few[1].is(head) {
            if is_owned {
                // SAFETY: the caller's reference; the table has another.
                unsafe { release(head) };
            }
            return;
        }
        // SAFETY: the caller's.
        unsafe { self.enter_slow(head, is_owned) }
    }

    /// A shared value has come to this heap.
    ///
    /// # Safety
    /// The value is alive.
    #[inline]
    pub(crate) unsafe fn enter_value(&mut self, value: Value) {
        // SAFETY: the caller's.
        unsafe {
            if let Some(head) = bundle_of(value.as_object()) {
                self.enter(head, false);
            }
        }
    }

    /// Takes over what another table holds. `as_old`: a minor collection may not meet it.
    pub(crate) fn take_over(&mut self, mut other: BundleTable, as_old: bool) {
        let more = other.more.take();
        let few = std::mem::take(&mut other.few);
        let more = more.iter().flat_map(|more| more.slots.iter());
        for entry in few.iter().chain(more).filter(|entry| !entry.is_none()) {
            let head = entry.head();
            // SAFETY: the other table's reference.
            unsafe {
                self.enter(head, true);
                if as_old {
                    self.make_old(head);
                }
            }
        }
    }

    /// What is in the table is old from now on.
    fn make_old(&mut self, head: *mut BundleHead) {
        let few = self.few.iter_mut().find(|entry| entry.is(head));
        let entry = few.or_else(|| {
            let more = self.more.as_deref_mut()?;
            let at = more.find(head)?;
            if !more.slots[at].has(OLD)
                && let Some(young) = more.young.iter().rposition(|&young| young == head)
            {
                more.young.swap_remove(young);
            }
            Some(&mut more.slots[at])
        });
        if let Some(entry) = entry
            && !entry.has(OLD)
        {
            entry.0 |= OLD;
            // SAFETY: the table's reference keeps it.
            add(&mut self.aged, unsafe { (*head).bytes() });
        }
    }

    #[inline(never)]
    unsafe fn enter_slow(&mut self, head: *mut BundleHead, is_owned: bool) {
        // SAFETY: the caller's reference or value keeps the bundle.
        unsafe {
            if self
                .more
                .as_ref()
                .is_some_and(|more| more.find(head).is_some())
            {
                if is_owned {
                    release(head);
                }
                return;
            }
            let bytes = (*head).bytes();
            let is_alone = is_owned && (*head).is_unique();
            if !is_owned {
                retain(head);
            }
            let weight = if is_alone {
                bytes
            } else {
                bytes.min(MAX_SHARED_ENTERED_BYTES)
            };
            add(&mut self.entered, weight);
            self.insert(Entry::new(head, 0));
        }
    }

    fn insert(&mut self, entry: Entry) {
        match self.few.iter_mut().find(|entry| entry.is_none()) {
            Some(place) => *place = entry,
            None => self.more.get_or_insert_default().insert(entry),
        }
    }

    /// Whether the heap holds none.
    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.few[0].0 | self.few[1].0 == 0 && self.more.is_none()
    }
    #[cfg(test)]
    pub(super) fn is_inline(&self) -> bool {
        self.more.is_none()
    }
    /// How many bundles the heap holds.
    pub(crate) fn len(&self) -> usize {
        let few = self.few.iter().filter(|entry| !entry.is_none()).count();
        few + self.more.as_ref().map_or(0, |more| more.len)
    }
    /// Bytes of what entered since the last collection.
    #[inline]
    pub(crate) fn entered_bytes(&self) -> usize {
        self.entered as usize * UNIT_BYTES
    }
    /// Bytes of what became old since the last full collection.
    pub(crate) fn aged_bytes(&self) -> usize {
        self.aged as usize * UNIT_BYTES
    }

    /// A full collection begins: what it meets from now on is kept.
    pub(crate) fn begin_full(&mut self) {
        for entry in &mut self.few {
            entry.0 &= !MET;
        }
        if let Some(more) = &mut self.more {
            for entry in &mut more.slots {
                entry.0 &= !MET;
            }
            more.last_met = std::ptr::null_mut();
        }
    }

    /// A collection met this shared object.
    ///
    /// # Safety
    /// The object is alive.
    #[inline(never)]
    pub(crate) unsafe fn meet(&mut self, object: *mut Header) {
        if self.is_empty() {
            return;
        }
        // SAFETY: the object is alive.
        let Some(head) = (unsafe { bundle_of(object) }) else {
            return;
        };
        if let Some(entry) = self.few.iter_mut().find(|entry| entry.is(head)) {
            entry.0 |= MET;
            return;
        }
        if let Some(more) = &mut self.more {
            if more.last_met == head {
                return;
            }
            if let Some(at) = more.find(head) {
                more.slots[at].0 |= MET;
                more.last_met = head;
                return;
            }
        }
        // SAFETY: the object is alive, so its bundle is.
        unsafe {
            retain(head);
            add(
                &mut self.aged,
                (*head).bytes().min(MAX_SHARED_ENTERED_BYTES),
            );
        }
        self.insert(Entry::new(head, OLD | MET));
    }

    /// A minor collection ends: the young entries that it met are old now, the others are given back.
    pub(crate) fn end_minor(&mut self) {
        if self.entered > 0 {
            self.end(false);
        }
        if let Some(more) = &mut self.more {
            more.last_met = std::ptr::null_mut();
        }
    }

    /// A full collection ends: what it did not meet is given back.
    pub(crate) fn end_full(&mut self) {
        if !self.is_empty() {
            self.end(true);
        }
        self.aged = 0;
    }

    fn end(&mut self, is_full: bool) {
        let mut aged = self.aged;
        let mut settle = |entry: &mut Entry| {
            if entry.is_none() || !is_full && entry.has(OLD) {
                return Fate::Stays;
            }
            let head = entry.head();
            // SAFETY: the table's reference keeps the bundle until here.
            unsafe {
                if entry.has(MET) {
                    if !entry.has(OLD) {
                        entry.0 |= OLD;
                        add(&mut aged, (*head).bytes());
                    }
                    return Fate::Stays;
                }
                release(head);
            }
            Fate::Goes
        };
        for entry in &mut self.few {
            if let Fate::Goes = settle(entry) {
                *entry = Entry::default();
            }
        }
        if let Some(more) = &mut self.more {
            if !more.is_hashed() {
                let mut at = 0;
                while at < more.slots.len() {
                    match settle(&mut more.slots[at]) {
                        Fate::Stays => at += 1,
                        Fate::Goes => more.remove(at),
                    }
                }
            } else if is_full {
                // Anew, as small as what is left allows.
                let slots = std::mem::take(&mut more.slots);
                more.young = Vec::new();
                more.len = 0;
                for mut entry in slots {
                    if !entry.is_none()
                        && let Fate::Stays = settle(&mut entry)
                    {
                        more.insert(entry);
                    }
                }
                more.young.clear();
                more.count();
            } else {
                let mut young = std::mem::take(&mut more.young);
                for head in young.drain(..) {
                    let at = more.find(head).expect("a young entry is in the table");
                    if let Fate::Goes = settle(&mut more.slots[at]) {
                        more.remove(at);
                    }
                }
                more.young = young;
            }
            more.last_met = std::ptr::null_mut();
            while !more.is_hashed()
                && let Some(place) = self.few.iter_mut().find(|entry| entry.is_none())
                && let Some(entry) = more.slots.pop()
            {
                more.len -= 1;
                *place = entry;
            }
            if more.len == 0 {
                self.more = None;
            }
        }
        (self.aged, self.entered) = (aged, 0);
    }
}

/// Adds bytes to a counter of units, at least one; stops at its maximum.
fn add(counter: &mut u32, bytes: usize) {
    let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
    *counter = counter.saturating_add(units.max(1));
}

impl Drop for BundleTable {
    fn drop(&mut self) {
        let more = self.more.take();
        let more = more.iter().flat_map(|more| more.slots.iter());
        for entry in self.few.iter().chain(more) {
            if !entry.is_none() {
                // SAFETY: the table's reference.
                unsafe { release(entry.head()) };
            }
        }
    }
}
