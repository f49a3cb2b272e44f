//! The write barrier's slow path: which old objects a minor collection must look at.
//!
//! | flags of an old object | |
//! | --- | --- |
//! | `BARRIER` | not remembered; the next store of an object into it comes here |
//! | `REMEMBERED` | in `remembered`: the next minor collection looks at all of it |
//! | both | in `remembered`; if its buffer of values is large and old, only marked cards are looked at, and each store comes here and marks its card |
//!
//! Shared objects count as young ones do: a minor collection must meet the bundles that entered since the last (see `table`).
//!
//! A buffer that is not yet old is always looked at whole, through its owner, whatever the cards say.
//!
//! While a mark runs the same set keeps it right: a minor collection visits what remembered objects refer to as it visits the
//! roots, and marks the old objects that it meets; a mark ends only directly after a minor collection.

use super::Heap;
use crate::object::size::{buffer_data, buffer_of};
use crate::object::trace::buffered_values;
use crate::object::*;
use crate::value::Value;

impl Heap {
    /// What the barriers do for an old owner; `slot` null: any value of it may have changed.
    #[cold]
    #[inline(never)]
    pub(crate) fn barrier_slow(&mut self, owner: *mut Header, slot: *mut Value, _value: Value) {
        // SAFETY: the owner is alive; its buffer is its own; a slot lies in the buffer of values or in the owner.
        unsafe {
            debug_assert!((*owner).flags & (FLAG_OLD | FLAG_BARRIER) == FLAG_OLD | FLAG_BARRIER);
            match large_buffer(owner) {
                Some(buffer) => {
                    let entry = self.inner().large.entry(buffer);
                    if slot.is_null() {
                        entry.mark_all_cards();
                    } else {
                        let data = buffer_data(buffer.cast());
                        if entry.mark_card(slot as usize - data as usize) {
                            self.note_written(1);
                        }
                    }
                }
                None => (*owner).flags &= !FLAG_BARRIER,
            }
        }
        self.remember(owner);
    }

    /// After values of `owner` moved inside its buffer, or it got another buffer.
    #[inline(always)]
    pub(crate) fn elements_moved(&mut self, owner: *mut Header) {
        // SAFETY: the owner is alive.
        if unsafe { (*owner).has(FLAG_OLD) } {
            self.elements_moved_slow(owner);
        }
    }

    #[cold]
    #[inline(never)]
    fn elements_moved_slow(&mut self, owner: *mut Header) {
        // SAFETY: the owner is alive and old.
        unsafe {
            if let Some(buffer) = large_buffer(owner) {
                self.inner().large.entry(buffer).mark_all_cards();
            }
        }
        self.remember(owner);
    }

    /// After `count` values were written from `first` on, a part of the buffer of `owner` (or of its body, if it has none). Values that
    /// are no objects cost a look only: a long copy of numbers gives the next collection nothing to do.
    pub(crate) fn range_written(&mut self, owner: *mut Header, first: *mut Value, count: usize) {
        // SAFETY: the owner is alive, the values are its own.
        unsafe {
            if !(*owner).has(FLAG_OLD) {
                self.note_written(count);
                return;
            }
            let values = std::slice::from_raw_parts(first, count);
            match large_buffer(owner) {
                Some(buffer) => {
                    let data = buffer_data(buffer.cast()) as usize;
                    let entry = self.inner().large.entry(buffer);
                    let mut objects = 0;
                    for (i, value) in values.iter().enumerate() {
                        if value.is_object() {
                            entry.mark_card(first as usize + i * size_of::<Value>() - data);
                            objects += 1;
                        }
                    }
                    if objects == 0 {
                        return;
                    }
                    self.note_written(objects);
                }
                None if !values.iter().any(|value| value.is_object()) => return,
                None => (*owner).flags &= !FLAG_BARRIER,
            }
        }
        self.remember(owner);
    }

    /// Puts an old object into the remembered set.
    pub(super) fn remember(&mut self, owner: *mut Header) {
        let generations = self.inner().generations.as_deref_mut();
        // SAFETY: the owner is alive.
        unsafe {
            if !(*owner).has(FLAG_REMEMBERED) {
                (*owner).flags |= FLAG_REMEMBERED;
                generations
                    .expect("an old object lies in an old space")
                    .remembered
                    .push(owner);
            }
        }
    }
}

/// The owner's buffer of values, if that has an allocation of its own.
///
/// # Safety
/// The owner is alive.
#[inline]
pub(super) unsafe fn large_buffer(owner: *mut Header) -> Option<*mut Header> {
    // SAFETY: as above.
    unsafe {
        let (first, _) = buffered_values(owner);
        if first.is_null() {
            return None;
        }
        let buffer: *mut Header = buffer_of(first.cast()).cast();
        (*buffer).has(FLAG_LARGE).then_some(buffer)
    }
}
