//! The bundles that a heap holds values of: one reference each, however many values lead there.
//!
//! | part | entries | |
//! | --- | --- | --- |
//! | `few` | two | in the heap itself: a thread that holds a channel and a message allocates nothing for it |
//! | `More` | the others | in the order in which they entered |
//!
//! **Where an entry is.** Up to `IN_A_ROW` entries of `More` are searched. Of more, the bundle itself knows its place in the table of one heap (`BundleHead::place`): of the one
//! that most often holds it alone. Whether that is this heap is seen by looking there. A heap that finds another one's place in a bundle keeps its own in a map
//! (`elsewhere`). So a million handles enter one after the other into memory that is written in a row, and are found without a hash table.
//!
//! An entry is one word: the head's address, and in its low bits what is known of it.
//!
//! | bit | |
//! | --- | --- |
//! | `OLD` | a collection has met it since it entered; else it is *young* |
//! | `MET` | met by the collection, or since the mark began |
//! | `NAMED` | its bundle knows this place, which only this heap changes until it takes it back |
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

use super::bundle::{BundleHead, UNIT_BYTES, bundle_of, release, release_later, retain};
use crate::account;
use crate::object::Header;
use crate::value::Value;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// So many entries of `More` are searched for.
const IN_A_ROW: usize = 12;
/// A bundle that others hold, too, counts as at most so much of what entered: giving it back frees nothing by itself.
const MAX_SHARED_ENTERED_UNITS: u64 = 1024 / UNIT_BYTES as u64;

const OLD: usize = 1;
const MET: usize = 2;
const NAMED: usize = 4;
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
    /// Another heap may have its place in the bundle from now on.
    fn give_place_back(&mut self) {
        if self.has(NAMED) {
            self.0 &= !NAMED;
            // SAFETY: the table's reference keeps the bundle, and the place is this table's.
            unsafe { (*self.head()).give_place_back() };
        }
    }
}

/// Spreads addresses.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }
    fn write_usize(&mut self, n: usize) {
        let mixed = (self.0 ^ n as u64 >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// The entries beyond the first two.
#[derive(Default)]
struct More {
    entries: Vec<Entry>,
    /// Those in front of it entered before the last collection.
    first_young: usize,
    /// There are more than are searched for.
    has_places: bool,
    /// Places of the entries that are not `NAMED`, by the addresses of the heads.
    elsewhere: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
    /// Saves the look-up when values of the same bundle are met in a row; null: none.
    last_met: *mut BundleHead,
    /// What the account was told of both.
    counted_bytes: usize,
}

impl More {
    fn find(&self, head: *mut BundleHead) -> Option<usize> {
        if !self.has_places {
            return self.entries.iter().position(|entry| entry.is(head));
        }
        // SAFETY: the caller's: the bundle is alive.
        let place = unsafe { (*head).place() };
        if self.entries.get(place).is_some_and(|entry| entry.is(head)) {
            return Some(place);
        }
        if self.elsewhere.is_empty() {
            return None;
        }
        self.elsewhere.get(&(head as usize)).copied()
    }
    /// Adds an entry whose head is not there.
    #[inline(never)]
    fn insert(&mut self, entry: Entry) {
        if !self.has_places && self.entries.len() == IN_A_ROW {
            self.has_places = true;
            (0..IN_A_ROW).for_each(|at| self.note_place(at));
        }
        let is_full = self.entries.len() == self.entries.capacity();
        self.entries.push(entry);
        if self.has_places {
            self.note_place(self.entries.len() - 1);
        }
        if is_full {
            self.count();
        }
    }
    /// From now on the entry is found by its place.
    fn note_place(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        // SAFETY: the table's reference keeps the bundle.
        if unsafe { (*entry.head()).claim_place(at) } {
            entry.0 |= NAMED;
        } else {
            self.elsewhere.insert(entry.head() as usize, at);
        }
    }
    /// The entry goes, or will be searched for.
    fn forget_place(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        if entry.has(NAMED) {
            entry.give_place_back();
        } else {
            self.elsewhere.remove(&(entry.head() as usize));
        }
    }
    fn move_entry(&mut self, from: usize, to: usize) {
        let entry = self.entries[from];
        self.entries[to] = entry;
        if entry.has(NAMED) {
            // SAFETY: the table's reference keeps the bundle, and the place is this table's.
            unsafe { (*entry.head()).set_place(to) };
        } else if self.has_places {
            self.elsewhere.insert(entry.head() as usize, to);
        }
    }
    #[inline(never)]
    fn release_all(mut self) {
        for mut entry in std::mem::take(&mut self.entries) {
            entry.give_place_back();
            // SAFETY: the table's reference.
            unsafe { release(entry.head()) };
        }
    }
    /// A collection ends: `settle` says of each entry that it may concern whether it stays.
    fn end(&mut self, is_full: bool, mut settle: impl FnMut(&mut Entry) -> Fate) {
        let first = if is_full { 0 } else { self.first_young };
        let mut kept = first;
        for at in first..self.entries.len() {
            match settle(&mut self.entries[at]) {
                Fate::Stays => {
                    if kept != at {
                        self.move_entry(at, kept);
                    }
                    kept += 1;
                }
                Fate::Goes => {
                    if self.has_places {
                        self.forget_place(at);
                    }
                    // SAFETY: the table's reference.
                    unsafe { release(self.entries[at].head()) };
                }
            }
        }
        self.entries.truncate(kept);
        self.first_young = kept;
        self.last_met = std::ptr::null_mut();
        if self.has_places && kept <= IN_A_ROW {
            (0..kept).for_each(|at| self.forget_place(at));
            self.has_places = false;
            self.elsewhere = HashMap::default();
        }
        if self.entries.capacity() > 4 * kept.max(IN_A_ROW) {
            self.entries.shrink_to(2 * kept);
        }
        self.count();
    }
    /// Tells the account what the table takes.
    fn count(&mut self) {
        let entries = self.entries.capacity() * size_of::<Entry>();
        let elsewhere = self.elsewhere.capacity() * size_of::<(usize, usize)>();
        account::subtract(self.counted_bytes);
        self.counted_bytes = entries + elsewhere;
        account::add(self.counted_bytes);
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
                unsafe { release_later(head) };
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
        let few = std::mem::take(&mut other.few).into_iter();
        let more = more.map(|mut more| std::mem::take(&mut more.entries));
        let more = more.into_iter().flatten();
        for mut entry in few.chain(more).filter(|entry| !entry.is_none()) {
            let head = entry.head();
            entry.give_place_back();
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
            Some(&mut more.entries[at])
        });
        if let Some(entry) = entry
            && !entry.has(OLD)
        {
            entry.0 |= OLD;
            // SAFETY: the table's reference keeps it.
            add(&mut self.aged, unsafe { (*head).units() });
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
                    release_later(head);
                }
                return;
            }
            if !is_owned {
                retain(head);
            }
            self.enter_new(head);
        }
    }
    /// The same of a bundle that is not in the table; the caller's reference becomes the table's.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline]
    pub(crate) unsafe fn enter_new(&mut self, head: *mut BundleHead) {
        // SAFETY: the caller's reference keeps the bundle.
        let (units, is_alone) = unsafe { ((*head).units(), (*head).is_unique()) };
        let weight = match is_alone {
            true => units,
            false => units.min(MAX_SHARED_ENTERED_UNITS),
        };
        add(&mut self.entered, weight);
        self.insert(Entry::new(head, 0));
    }

    #[inline]
    fn insert(&mut self, entry: Entry) {
        match self.few.iter_mut().find(|entry| entry.is_none()) {
            Some(place) => *place = entry,
            None => self.more.get_or_insert_default().insert(entry),
        }
    }

    /// Whether the heap holds this one.
    pub(super) fn holds(&self, head: *mut BundleHead) -> bool {
        let more = || self.more.as_ref().is_some_and(|m| m.find(head).is_some());
        self.few.iter().any(|entry| entry.is(head)) || more()
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
        few + self.more.as_ref().map_or(0, |more| more.entries.len())
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
            for entry in &mut more.entries {
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
                more.entries[at].0 |= MET;
                more.last_met = head;
                return;
            }
        }
        // SAFETY: the object is alive, so its bundle is.
        unsafe {
            retain(head);
            add(
                &mut self.aged,
                (*head).units().min(MAX_SHARED_ENTERED_UNITS),
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
                        add(&mut aged, (*head).units());
                    }
                    return Fate::Stays;
                }
            }
            Fate::Goes
        };
        for entry in &mut self.few {
            if let Fate::Goes = settle(entry) {
                // SAFETY: the table's reference.
                unsafe { release(std::mem::take(entry).head()) };
            }
        }
        if let Some(more) = &mut self.more {
            more.end(is_full, settle);
            while !more.has_places
                && let Some(place) = self.few.iter_mut().find(|entry| entry.is_none())
                && let Some(entry) = more.entries.pop()
            {
                *place = entry;
                more.first_young = more.entries.len();
            }
            if more.entries.is_empty() {
                self.more = None;
            }
        }
        (self.aged, self.entered) = (aged, 0);
    }
}

/// Adds to a counter, which stops at its maximum.
fn add(counter: &mut u32, units: u64) {
    *counter = counter.saturating_add(u32::try_from(units).unwrap_or(u32::MAX));
}

impl Drop for BundleTable {
    #[inline]
    fn drop(&mut self) {
        for entry in self.few {
            if !entry.is_none() {
                // SAFETY: the table's reference.
                unsafe { release(entry.head()) };
            }
        }
        if let Some(more) = self.more.take() {
            more.release_all();
        }
    }
}
