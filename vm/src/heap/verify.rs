//! Checks of a whole heap: every value that can be reached leads to an object of this heap or to a shared one, headers are
//! sound, and every old object that refers to a young one is remembered. Panics with what is wrong.
//!
//! Slow: for tests, and before and after each collection of mode `Stress` in debug builds.

use super::barrier::large_buffer;
use super::graph::AddressMap;
use super::large::CARD_BYTES;
use super::{Extent, Heap, Roots};
use crate::object::size::{buffer_of, object_bytes};
use crate::object::trace::{all_values, buffered_values};
use crate::object::*;
use crate::value::Value;

impl Heap {
    /// Checks the heap; see the head of the file.
    pub fn verify(&mut self, roots: &mut dyn Roots) {
        let bump = self.bump;
        if bump.is_null() && self.inner.is_none() {
            return;
        }
        self.inner().young.retire(bump);
        // About as many objects as there may be: a map that grows on its way took a quarter of the time.
        let mut seen = AddressMap::default();
        seen.reserve(self.used_bytes() / 64);
        let mut check = Check {
            heap: self,
            seen,
            work: Vec::new(),
            bytes: 0,
        };
        roots.visit(Extent::Look, &mut |first, count| {
            for i in 0..count {
                // SAFETY: roots are values.
                check.meet(unsafe { first.add(i).read() }, &"a root");
            }
        });
        check.run();
        let bytes = check.bytes;
        assert!(
            bytes <= self.used_bytes(),
            "{bytes} bytes are alive, but only {} counted",
            self.used_bytes()
        );
    }
}

struct Check<'heap> {
    heap: &'heap Heap,
    seen: AddressMap<()>,
    work: Vec<*mut Header>,
    /// Of all objects met.
    bytes: usize,
}

impl Check<'_> {
    fn meet(&mut self, value: Value, holder: &dyn std::fmt::Debug) {
        if !value.is_object() {
            return;
        }
        let object = value.as_object();
        if value.is_shared() {
            // SAFETY: shared objects are never freed while a value leads to them; if this one was, the check may crash, too.
            let header = unsafe { &*object };
            assert!(
                header.has(FLAG_SHARED),
                "{value:?} in {holder:?} is not shared: {header:?}"
            );
            #[cfg(test)]
            // SAFETY: as above.
            if let Some(head) = unsafe { super::bundle::bundle_of(object) } {
                super::bundle::live::check(head);
            }
            return;
        }
        if self.seen.insert(object as usize, ()).is_none() {
            self.object(object, holder);
            self.work.push(object);
        }
    }

    /// Checks that an object lies here and that its header is sound.
    fn object(&mut self, object: *mut Header, holder: &dyn std::fmt::Debug) {
        let inner = self.heap.inner.as_deref().expect("a heap with objects");
        let address: *const u8 = object.cast();
        assert!(
            (address as usize).is_multiple_of(ALIGN),
            "{object:?} in {holder:?} is not aligned"
        );
        let is_young = inner.young.contains_object(address);
        let is_old = inner
            .generations
            .as_deref()
            .is_some_and(|generations| generations.space.is_cell(address));
        let is_large = !is_young
            && !is_old
            && inner
                .large
                .entries
                .iter()
                .any(|entry| entry.object == object);
        assert!(
            is_young || is_old || is_large,
            "{object:?} in {holder:?} does not lie in this heap"
        );
        // SAFETY: memory of this heap.
        let kind = unsafe { address.add(std::mem::offset_of!(Header, kind)).read() };
        assert!(
            kind < Kind::Forward as u8,
            "{object:?} in {holder:?} has moved or is free"
        );
        // SAFETY: the kind is one of the enum's.
        unsafe {
            let header = object.read();
            let bytes = object_bytes(object);
            assert!(
                !header.has(FLAG_SHARED),
                "local {object:?} in {holder:?}: {header:?}"
            );
            assert_eq!(header.has(FLAG_LARGE), is_large, "{header:?} in {holder:?}");
            assert!(
                header.has(FLAG_OLD) == is_old || is_large,
                "{header:?} in {holder:?}"
            );
            assert!(
                header.has(FLAG_OLD) || header.flags & (FLAG_BARRIER | FLAG_REMEMBERED) == 0,
                "young {header:?} in {holder:?}"
            );
            assert!(
                is_large || bytes <= super::MAX_SMALL_BYTES,
                "{header:?} of {bytes} bytes in {holder:?} lies among the small"
            );
            self.bytes += bytes;
        }
    }

    fn run(&mut self) {
        while let Some(object) = self.work.pop() {
            // SAFETY: checked in `object`.
            unsafe {
                let header = object.read();
                match header.kind {
                    Kind::List => {
                        let list = object.cast::<List>();
                        assert!(
                            (*list).len <= (*list).capacity,
                            "list of {} in {}",
                            (*list).len,
                            (*list).capacity
                        );
                        self.buffer((*list).items.cast(), (*list).capacity as usize * 8, header);
                    }
                    Kind::Map | Kind::Set => {
                        let map = object.cast::<Map>();
                        assert!((*map).used <= (*map).capacity && (*map).len <= (*map).used);
                        self.buffer((*map).entries.cast(), (*map).capacity as usize * 16, header);
                        self.buffer((*map).index.cast(), (*map).index_slots as usize * 8, header);
                        if !(*map).next_index.is_null() {
                            let bytes = (*map).index_slots as usize * 16 + 8;
                            self.buffer((*map).next_index.cast(), bytes, header);
                        }
                    }
                    Kind::Generator => {
                        let generator = object.cast::<Generator>();
                        assert!(header.aux as u64 <= (*generator).capacity);
                    }
                    _ => {}
                }
                let mut young = None;
                all_values(object, |first, count| {
                    for i in 0..count {
                        let value = first.add(i).read();
                        self.meet(value, &header);
                        if value.is_local() && !(*value.as_object()).has(FLAG_OLD) {
                            young = Some(value);
                            self.card(object, first.add(i));
                        }
                    }
                });
                if header.has(FLAG_OLD)
                    && let Some(value) = young
                {
                    let value = *value.as_object();
                    assert!(
                        header.has(FLAG_REMEMBERED),
                        "{header:?} refers to young {value:?}, but no barrier was told of the store"
                    );
                    let generations = self
                        .heap
                        .inner
                        .as_deref()
                        .and_then(|i| i.generations.as_deref());
                    assert!(generations.is_some_and(|g| g.remembered.contains(&object)));
                }
            }
        }
    }

    /// Checks a buffer of which the owner uses `bytes`.
    unsafe fn buffer(&mut self, data: *mut u8, bytes: usize, owner: Header) {
        if data.is_null() {
            assert_eq!(bytes, 0, "{owner:?} has no buffer");
            return;
        }
        // SAFETY: the check in `object` comes before the header is read.
        unsafe {
            let buffer = buffer_of(data);
            let is_new = self.seen.insert(buffer as usize, ()).is_none();
            assert!(is_new, "the buffer of {owner:?} has two owners");
            self.object(buffer.cast(), &owner);
            let header = (*buffer).header;
            assert!(
                matches!(header.kind, Kind::ValueBuffer | Kind::RawBuffer),
                "{header:?}"
            );
            assert!(
                (*buffer).bytes as usize >= bytes,
                "{owner:?} uses more than its buffer"
            );
            assert!(
                !owner.has(FLAG_OLD) || header.has(FLAG_OLD) || owner.has(FLAG_REMEMBERED),
                "{owner:?} has a young buffer, but no barrier was told"
            );
        }
    }

    /// Checks that the card of a slot with a young value is marked.
    unsafe fn card(&self, owner: *mut Header, slot: *mut Value) {
        // SAFETY: the owner is sound.
        unsafe {
            let Some(buffer) = large_buffer(owner) else {
                return;
            };
            if !(*owner).has(FLAG_OLD) || !(*buffer).has(FLAG_OLD) {
                return;
            }
            let inner = self.heap.inner.as_deref().expect("a heap with objects");
            let entry = &inner.large.entries[inner.large.index_of(buffer) as usize];
            let card = (slot as usize - buffered_values(owner).0 as usize) / CARD_BYTES;
            let is_marked = entry
                .cards
                .get(card / 64)
                .is_some_and(|word| word >> (card % 64) & 1 == 1);
            assert!(
                is_marked,
                "no barrier was told of a store into {:?}",
                *owner
            );
        }
    }
}
