//! Moving collections: what is alive in the young space moves, the rest is left behind.
//!
//! Three modes of one pass. `COPYING`: a small heap, all of it is young and moves to a new space. `GENERATIONAL`: an object that
//! moved before is promoted to the old space, another moves to the new young space. `MARKING`: the same while a mark of the old
//! space runs: what is promoted is marked, and old objects that roots, young and remembered objects refer to are marked.
//!
//! Invariant: an object of the from-space is either whole or a `Forward` (`aux` 1: to the old space); every object in `work` is
//! large, or lies in the to-space or old space; it is whole and its values still lead to the from-space.
//!
//! Contract: roots and remembered objects are alive; a buffer is reached only through its owner, which is scanned once.

use super::Generations;
use super::barrier::large_buffer;
use super::bundle::BundleTable;
use super::large::{CARD_BYTES, LargeSpace};
use super::nursery::{ChunkPool, Space};
use crate::object::size::{buffer_data, buffer_of, object_bytes};
use crate::object::trace::{buffered_values, inline_values, is_leaf};
use crate::object::*;
use crate::value::Value;

pub(super) const COPYING: u8 = 0;
pub(super) const GENERATIONAL: u8 = 1;
pub(super) const MARKING: u8 = 2;

/// On a young object: it survived a collection.
const FLAG_AGED: u8 = FLAG_MARK;
const CARD_VALUES: usize = CARD_BYTES / size_of::<Value>();

pub(super) struct Evacuation<'heap> {
    pub(super) to: Space,
    pub(super) bump: *mut u8,
    pub(super) bump_end: *mut u8,
    pub(super) pool: &'heap mut ChunkPool,
    /// Size of the first chunk of the new young space.
    pub(super) chunk_goal: usize,
    pub(super) large: &'heap mut LargeSpace,
    pub(super) bundles: &'heap mut BundleTable,
    pub(super) work: &'heap mut Vec<*mut Header>,
    /// `None` in mode `COPYING` only.
    pub(super) generations: Option<&'heap mut Generations>,
    /// Everything that is alive goes to the old space.
    pub(super) promote_all: bool,
    pub(super) promoted_bytes: usize,
}

impl Evacuation<'_> {
    fn generations(&mut self) -> &mut Generations {
        debug_assert!(self.generations.is_some());
        // SAFETY: called in the modes that have generations only.
        unsafe { self.generations.as_deref_mut().unwrap_unchecked() }
    }

    /// Moves what these values lead to; true: some are still young.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline(always)]
    pub(super) unsafe fn visit<const MODE: u8>(&mut self, first: *mut Value, count: usize) -> bool {
        let mut has_young = false;
        // SAFETY: the values are live; headers are whole or forwarded.
        unsafe {
            for i in 0..count {
                let slot = first.add(i);
                let value = slot.read();
                if value.is_local() {
                    let object = value.as_object();
                    let header = object.read();
                    if header.flags & (FLAG_OLD | FLAG_LARGE) != 0 {
                        self.reach::<MODE>(object, header);
                    } else if header.kind == Kind::Forward {
                        slot.write(Value::local((*object.cast::<Forward>()).to));
                        has_young |= header.aux == 0;
                    } else {
                        let (copy, is_young) = self.move_object::<MODE>(object, header);
                        slot.write(Value::local(copy));
                        has_young |= is_young;
                    }
                } else if MODE != GENERATIONAL && value.is_shared() {
                    self.bundles.meet(value.as_object());
                }
            }
        }
        has_young
    }

    /// An object that does not move.
    #[inline(always)]
    unsafe fn reach<const MODE: u8>(&mut self, object: *mut Header, header: Header) {
        // SAFETY: the object is alive.
        unsafe {
            if MODE == COPYING {
                if !header.has(FLAG_MARK) {
                    (*object).flags |= FLAG_MARK;
                    self.work.push(object);
                }
            } else if header.has(FLAG_OLD) {
                if MODE == MARKING && !header.has(FLAG_MARK) {
                    self.generations().marking.mark(object);
                }
            } else {
                self.settle::<MODE>(object);
                self.work.push(object);
            }
        }
    }

    /// A young large object or buffer becomes an old one.
    unsafe fn settle<const MODE: u8>(&mut self, object: *mut Header) {
        // SAFETY: the object is alive.
        unsafe {
            (*object).flags |= FLAG_OLD | FLAG_BARRIER;
            if MODE == MARKING {
                (*object).flags |= FLAG_MARK;
                let bytes = object_bytes(object);
                self.generations().marking.bytes += bytes;
            }
        }
    }

    /// Moves one object; true: to the young space.
    #[inline(always)]
    unsafe fn move_object<const MODE: u8>(
        &mut self,
        object: *mut Header,
        header: Header,
    ) -> (*mut Header, bool) {
        // SAFETY: the object is whole.
        unsafe {
            let is_promoted = MODE != COPYING
                && (self.promote_all
                    || header.has(FLAG_AGED)
                    || (matches!(header.kind, Kind::List | Kind::Map | Kind::Set)
                        && large_buffer(object).is_some()));
            let copy = if is_promoted {
                self.promote::<MODE>(object, header)
            } else {
                self.copy(object, header)
            };
            if !is_leaf(header.kind) {
                self.work.push(copy);
            }
            (copy, !is_promoted)
        }
    }

    #[inline(always)]
    unsafe fn promote<const MODE: u8>(
        &mut self,
        object: *mut Header,
        mut header: Header,
    ) -> *mut Header {
        // SAFETY: the object is whole; the cell has room for it.
        unsafe {
            let bytes = object_bytes(object);
            self.promoted_bytes += bytes;
            let copy = self.generations().space.alloc(bytes);
            header.flags = header.flags & !FLAG_AGED | FLAG_OLD | FLAG_BARRIER;
            if MODE == MARKING {
                header.flags |= FLAG_MARK;
            }
            transfer(object, copy, header, bytes, 1);
            copy
        }
    }

    #[inline(always)]
    unsafe fn copy(&mut self, object: *mut Header, mut header: Header) -> *mut Header {
        // SAFETY: the object is whole; its place has room for it.
        unsafe {
            let bytes = object_bytes(object);
            if self.bump_end as usize - (self.bump as usize) < bytes {
                self.add_chunk(bytes);
            }
            let copy: *mut Header = self.bump.cast();
            self.bump = self.bump.wrapping_add(bytes);
            header.flags |= FLAG_AGED;
            transfer(object, copy, header, bytes, 0);
            copy
        }
    }

    #[cold]
    #[inline(never)]
    fn add_chunk(&mut self, bytes: usize) {
        self.to.retire(self.bump);
        let chunk = self.to.next_chunk_bytes().max(self.chunk_goal).max(bytes);
        (self.bump, self.bump_end) = self.to.add_chunk(self.pool, chunk);
    }

    /// Scans what waits, until nothing does.
    ///
    /// # Safety
    /// See the head of the file.
    pub(super) unsafe fn run<const MODE: u8>(&mut self) {
        // SAFETY: objects in `work` are whole.
        unsafe {
            while let Some(object) = self.work.pop() {
                let has_young = self.scan::<MODE>(object);
                if MODE != COPYING && has_young && (*object).has(FLAG_OLD) {
                    self.remember(object);
                }
            }
        }
    }

    /// Moves all that an object refers to; true: some of it is still young.
    #[inline(always)]
    unsafe fn scan<const MODE: u8>(&mut self, object: *mut Header) -> bool {
        // SAFETY: the object is whole.
        unsafe {
            let mut has_young = false;
            match (*object).kind {
                Kind::List | Kind::Map | Kind::Set => {
                    self.move_buffers::<MODE>(object);
                    let (first, count) = buffered_values(object);
                    match large_buffer(object) {
                        Some(buffer) if MODE != COPYING => {
                            self.visit_cards::<MODE>(buffer, first, count, true)
                        }
                        _ => self.visit::<MODE>(first, count),
                    }
                }
                _ => {
                    inline_values(object, |first, count| {
                        has_young |= self.visit::<MODE>(first, count)
                    });
                    has_young
                }
            }
        }
    }

    /// Scans a remembered object: of a large old buffer the marked cards only. True: it still refers to young objects.
    ///
    /// # Safety
    /// See the head of the file.
    pub(super) unsafe fn scan_remembered<const MODE: u8>(&mut self, object: *mut Header) -> bool {
        // SAFETY: the object is alive and old.
        unsafe {
            if matches!((*object).kind, Kind::List | Kind::Map | Kind::Set)
                && let Some(buffer) = large_buffer(object)
                && (*buffer).has(FLAG_OLD)
            {
                // A map's index may be new.
                self.move_buffers::<MODE>(object);
                let (first, count) = buffered_values(object);
                self.visit_cards::<MODE>(buffer, first, count, false)
            } else {
                self.scan::<MODE>(object)
            }
        }
    }

    /// Visits the marked cards (or all) of a large buffer. Only cards with young values are marked afterwards.
    unsafe fn visit_cards<const MODE: u8>(
        &mut self,
        buffer: *mut Header,
        first: *mut Value,
        count: usize,
        all: bool,
    ) -> bool {
        let index = self.large.index_of(buffer) as usize;
        let mut cards = std::mem::take(&mut self.large.entries[index].cards);
        let mut has_young = false;
        let used = count.div_ceil(CARD_VALUES).div_ceil(64);
        if all {
            cards.clear();
            cards.resize(
                super::large::card_words(self.large.entries[index].bytes()),
                0,
            );
            cards[..used].fill(!0);
        }
        // SAFETY: the owner says that `count` values are in use.
        unsafe {
            for (at, word) in cards.iter_mut().enumerate() {
                let mut rest = std::mem::take(word);
                if at >= used {
                    continue;
                }
                while rest != 0 {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    let from = (at * 64 + bit) * CARD_VALUES;
                    if from >= count {
                        break;
                    }
                    let values = (count - from).min(CARD_VALUES);
                    if self.visit::<MODE>(first.add(from), values) {
                        *word |= 1 << bit;
                        has_young = true;
                    }
                }
            }
        }
        self.large.entries[index].cards = cards;
        has_young
    }

    /// Moves the buffers of an object that is in its final place.
    #[inline(always)]
    unsafe fn move_buffers<const MODE: u8>(&mut self, owner: *mut Header) {
        // SAFETY: the owner is whole.
        unsafe {
            let is_old = (*owner).has(FLAG_OLD);
            if (*owner).kind == Kind::List {
                let list = owner.cast::<List>();
                (*list).items = self
                    .move_buffer::<MODE>((*list).items.cast(), is_old)
                    .cast();
            } else {
                let map = owner.cast::<Map>();
                (*map).entries = self
                    .move_buffer::<MODE>((*map).entries.cast(), is_old)
                    .cast();
                (*map).index = self.move_buffer::<MODE>((*map).index.cast(), is_old).cast();
            }
        }
    }

    #[inline(always)]
    unsafe fn move_buffer<const MODE: u8>(&mut self, data: *mut u8, is_old: bool) -> *mut u8 {
        if data.is_null() {
            return data;
        }
        // SAFETY: the owner's buffer, whole.
        unsafe {
            let buffer: *mut Header = buffer_of(data).cast();
            let header = buffer.read();
            debug_assert!(header.kind != Kind::Forward, "a buffer with two owners");
            if header.flags & (FLAG_LARGE | FLAG_OLD) != 0 {
                if MODE == COPYING {
                    (*buffer).flags |= FLAG_MARK;
                } else if !header.has(FLAG_OLD) {
                    self.settle::<MODE>(buffer);
                } else if MODE == MARKING {
                    self.generations().marking.mark_buffer(data);
                }
                return data;
            }
            let copy = if MODE != COPYING && is_old {
                self.promote::<MODE>(buffer, header)
            } else {
                self.copy(buffer, header)
            };
            buffer_data(copy.cast())
        }
    }

    /// An old object refers to young ones.
    unsafe fn remember(&mut self, object: *mut Header) {
        // SAFETY: the object is alive and old.
        unsafe {
            if !(*object).has(FLAG_REMEMBERED) {
                (*object).flags |= FLAG_REMEMBERED;
                if large_buffer(object).is_none() {
                    (*object).flags &= !FLAG_BARRIER;
                }
                self.generations().remembered.push(object);
            }
        }
    }
}

/// Copies an object and leaves a `Forward` in its place.
#[inline(always)]
unsafe fn transfer(object: *mut Header, copy: *mut Header, header: Header, bytes: usize, aux: u16) {
    // SAFETY: both have `bytes` bytes, at least 16, aligned to 8.
    unsafe {
        copy.write(header);
        let (from, to) = (object.cast::<u64>(), copy.cast::<u64>());
        if bytes <= 64 {
            let mut word = 1;
            while word < bytes / 8 {
                to.add(word).write(from.add(word).read());
                word += 1;
            }
        } else {
            std::ptr::copy_nonoverlapping(from.add(1), to.add(1), bytes / 8 - 1);
        }
        object.cast::<Forward>().write(Forward {
            header: Header::new(Kind::Forward, 0, aux),
            to: copy,
        });
    }
}
