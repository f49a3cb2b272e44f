//! Objects over 4 KiB: each has an allocation of its own, which never moves except when its only owner grows it.
//!
//! | allocation | |
//! | --- | --- |
//! | word 0 | index in the table of large objects |
//! | word 1 | unused (keeps the object 16-aligned) |
//! | from word 2 | the object |
//!
//! A large object is *young* until the first collection that reaches it, listed in `young`. Young ones that are not reached are
//! freed at once, old ones by the sweep. A large `ValueBuffer` of an old owner has a card table (one bit per `CARD_BYTES` of data):
//! the write barrier marks the card of the slot, and a minor collection looks at marked cards only.
//!
//! They come from the system's allocator, whatever the program's is: it moves the pages of a large block that grows instead of copying them, and
//! gives zero pages for nothing.
//!
//! Contract: object pointers passed in here lead to objects with `FLAG_LARGE` of this heap.

use crate::account;
use crate::object::size::object_room;
use crate::object::*;
use crate::value::Value;
use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ops::Range;

/// Bytes in front of a large object.
const PREFIX_BYTES: usize = 16;
/// The memory of a larger object goes back to the system so much at a time: unmapping takes a fifth of a millisecond for each megabyte.
const FREE_BYTES: usize = if cfg!(test) { 2 << 20 } else { 16 << 20 };
/// One card: a value. So a collection looks at no more values than were stored, however far apart.
pub(crate) const CARD_BYTES: usize = size_of::<Value>();

pub(crate) struct LargeEntry {
    /// Null: a free entry.
    pub(crate) object: *mut Header,
    /// Bytes of the allocation.
    bytes: usize,
    /// Set bit: values of this card may be young, or were stored during the running mark.
    pub(crate) cards: Vec<u64>,
    /// Words of `cards` in front of it and behind it are zero.
    pub(crate) marked: Range<usize>,
}

#[derive(Default)]
pub(crate) struct LargeSpace {
    pub(crate) entries: Vec<LargeEntry>,
    free: Vec<u32>,
    /// Indices of objects not yet reached by a collection.
    pub(crate) young: Vec<u32>,
    /// Allocations of dead objects of which some is not freed yet, and their bytes.
    dying: Vec<(*mut u8, usize)>,
    /// Bytes of all allocations but those.
    pub(crate) bytes: usize,
    pub(crate) dying_bytes: usize,
    /// Bytes allocated or grown since the last collection.
    pub(crate) new_bytes: usize,
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 16).expect("a large object's size was checked against the limit")
}

impl LargeSpace {
    /// Allocates an object of `bytes`, header not yet written.
    pub(crate) fn alloc(&mut self, bytes: usize, zeroed: bool) -> *mut Header {
        let bytes = object_room(bytes) + PREFIX_BYTES;
        let layout = layout(bytes);
        // SAFETY: the size is not 0.
        let base = unsafe {
            if zeroed {
                System.alloc_zeroed(layout)
            } else {
                System.alloc(layout)
            }
        };
        if base.is_null() {
            handle_alloc_error(layout);
        }
        account::add(bytes);
        let object: *mut Header = base.wrapping_add(PREFIX_BYTES).cast();
        let index = self.enter(LargeEntry {
            object,
            bytes,
            cards: Vec::new(),
            marked: 0..0,
        });
        self.young.push(index);
        self.new_bytes += bytes;
        object
    }

    /// As `alloc`, of an object that is old from the beginning.
    pub(crate) fn alloc_old(&mut self, bytes: usize) -> *mut Header {
        let object = self.alloc(bytes, false);
        let index = self.young.pop().expect("entered by `alloc`");
        self.new_bytes -= self.entries[index as usize].bytes;
        object
    }

    /// Takes an allocation into the table.
    fn enter(&mut self, entry: LargeEntry) -> u32 {
        let base = entry.object.cast::<u8>().wrapping_sub(PREFIX_BYTES);
        self.bytes += entry.bytes;
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                index
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        // SAFETY: the first word of the allocation.
        unsafe { base.cast::<u64>().write(index as u64) };
        index
    }

    /// Takes over all objects of another space.
    pub(crate) fn take_over(&mut self, other: &mut LargeSpace) {
        let mut is_young = vec![false; other.entries.len()];
        for index in other.young.drain(..) {
            is_young[index as usize] = true;
        }
        for (entry, is_young) in other.entries.drain(..).zip(is_young) {
            if !entry.object.is_null() {
                let index = self.enter(entry);
                if is_young {
                    self.young.push(index);
                }
            }
        }
        self.new_bytes += other.new_bytes;
        self.dying.append(&mut other.dying);
        self.dying_bytes += std::mem::take(&mut other.dying_bytes);
    }

    /// The index of a large object.
    pub(crate) fn index_of(&self, object: *mut Header) -> u32 {
        // SAFETY: the contract: a word with the index lies in front.
        let index = unsafe { object.cast::<u64>().sub(2).read() } as u32;
        debug_assert!(self.entries[index as usize].object == object);
        index
    }

    pub(crate) fn entry(&mut self, object: *mut Header) -> &mut LargeEntry {
        let index = self.index_of(object);
        &mut self.entries[index as usize]
    }

    /// Gives the object room for `bytes`, in place where the allocator can; returns where it is now.
    pub(crate) fn resize(&mut self, object: *mut Header, bytes: usize) -> *mut Header {
        let index = self.index_of(object) as usize;
        let old_bytes = self.entries[index].bytes;
        let bytes = object_room(bytes) + PREFIX_BYTES;
        let base = object.cast::<u8>().wrapping_sub(PREFIX_BYTES);
        // SAFETY: base was allocated with this layout; the caller is the only owner and takes the new place.
        let base = unsafe { System.realloc(base, layout(old_bytes), bytes) };
        if base.is_null() {
            handle_alloc_error(layout(bytes));
        }
        account::subtract(old_bytes);
        account::add(bytes);
        let object: *mut Header = base.wrapping_add(PREFIX_BYTES).cast();
        let entry = &mut self.entries[index];
        entry.object = object;
        entry.bytes = bytes;
        if !entry.cards.is_empty() {
            entry.cards.resize(card_words(bytes), 0);
            entry.marked.end = entry.marked.end.min(entry.cards.len());
        }
        self.bytes = self.bytes - old_bytes + bytes;
        self.new_bytes += bytes.saturating_sub(old_bytes);
        object
    }

    /// After a collection of the young objects: frees those that were not reached. In a heap without an old space the others
    /// stay young (`FLAG_MARK` says which were reached), else they are old now.
    pub(crate) fn free_unreached(&mut self, stay_young: bool) {
        let young = std::mem::take(&mut self.young);
        let reached = if stay_young { FLAG_MARK } else { FLAG_OLD };
        for index in young {
            let object = self.entries[index as usize].object;
            // SAFETY: listed objects are alive until they are freed here.
            unsafe {
                if !(*object).has(reached) {
                    self.free(index);
                } else if stay_young {
                    (*object).flags &= !FLAG_MARK;
                    self.young.push(index);
                }
            }
        }
    }

    /// Frees an object; its entry is used again. A very large one is left to `free_some`.
    pub(crate) fn free(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let base = entry.object.cast::<u8>().wrapping_sub(PREFIX_BYTES);
        if entry.bytes > FREE_BYTES {
            self.dying.push((base, entry.bytes));
            self.dying_bytes += entry.bytes;
        } else {
            // SAFETY: allocated with this layout; nobody reaches the object any more.
            unsafe { System.dealloc(base, layout(entry.bytes)) };
            account::subtract(entry.bytes);
        }
        self.bytes -= entry.bytes;
        entry.object = std::ptr::null_mut();
        entry.cards = Vec::new();
        entry.marked = 0..0;
        self.free.push(index);
    }
}

impl LargeSpace {
    /// Gives memory of dead objects back to the system: some of it, or all.
    pub(crate) fn free_some(&mut self, all: bool) {
        let mut rest = FREE_BYTES;
        while let Some((base, bytes)) = self.dying.pop() {
            let mut freed = bytes;
            if !all && bytes > rest {
                // SAFETY: allocated with this layout, and not made larger; nobody reaches the object any more.
                let shorter = unsafe { System.realloc(base, layout(bytes), bytes - rest) };
                if !shorter.is_null() {
                    freed = rest;
                    self.dying.push((shorter, bytes - rest));
                }
            }
            if freed == bytes {
                // SAFETY: as above; it was not shortened.
                unsafe { System.dealloc(base, layout(bytes)) };
            }
            account::subtract(freed);
            self.dying_bytes -= freed;
            rest = rest.saturating_sub(freed);
            if rest == 0 && !all {
                break;
            }
        }
    }
}

/// Words of the card table of an allocation of `bytes`.
pub(crate) fn card_words(bytes: usize) -> usize {
    bytes.div_ceil(CARD_BYTES).div_ceil(64)
}

impl LargeEntry {
    /// Bytes of the allocation.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
    /// Bytes of it that are the object's.
    pub(crate) fn room(&self) -> usize {
        self.bytes - PREFIX_BYTES
    }
    /// Marks every card.
    pub(crate) fn mark_all_cards(&mut self) {
        self.cards.clear();
        self.cards.resize(card_words(self.bytes), !0);
        self.marked = 0..self.cards.len();
    }
    /// Marks the card of the byte at `offset` behind the buffer's header.
    /// Gives whether it was not yet marked.
    pub(crate) fn mark_card(&mut self, offset: usize) -> bool {
        if self.cards.is_empty() {
            self.cards.resize(card_words(self.bytes), 0);
        }
        let card = offset / CARD_BYTES;
        let at = card / 64;
        self.marked = match self.marked.is_empty() {
            true => at..at + 1,
            false => self.marked.start.min(at)..self.marked.end.max(at + 1),
        };
        let word = &mut self.cards[at];
        let is_new = *word >> (card % 64) & 1 == 0;
        *word |= 1 << (card % 64);
        is_new
    }
}

impl Drop for LargeSpace {
    fn drop(&mut self) {
        self.free_some(true);
        for entry in &self.entries {
            if !entry.object.is_null() {
                let base = entry.object.cast::<u8>().wrapping_sub(PREFIX_BYTES);
                // SAFETY: allocated with this layout; the heap goes, and with it all who might reach the object.
                unsafe { System.dealloc(base, layout(entry.bytes)) };
                account::subtract(entry.bytes);
            }
        }
    }
}
