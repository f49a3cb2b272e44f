//! A register stack: one block of slots.

use crate::account;
use crate::value::Value;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};

/// Slots `start..start + capacity`. Fresh slots are zero, which reads as a float.
pub(crate) struct Stack {
    pub(crate) start: *mut Value,
    pub(crate) capacity: usize,
    /// Slot of the base and depth of frames whose return word bears the mark `COUNTED`, from the bottom up. Entries of frames that are gone
    /// may lie on top of those of frames that are there.
    pub(crate) counted: Vec<(usize, usize)>,
}

fn layout(capacity: usize) -> Layout {
    Layout::array::<Value>(capacity).expect("stacks are bounded by the memory limit")
}

/// A block of slots that the caller fills.
pub(super) fn allocate(capacity: usize) -> *mut Value {
    let layout = layout(capacity);
    // SAFETY: callers ask for at least one slot.
    let start = unsafe { alloc(layout) };
    if start.is_null() {
        handle_alloc_error(layout);
    }
    account::add(layout.size());
    start.cast()
}
pub(super) fn free(start: *mut Value, capacity: usize) {
    account::subtract(layout(capacity).size());
    // SAFETY: allocated with this layout, by `allocate` or `Stack::resize`.
    unsafe { dealloc(start.cast(), layout(capacity)) }
}

impl Stack {
    pub(crate) fn empty() -> Stack {
        Stack {
            start: std::ptr::null_mut(),
            capacity: 0,
            counted: Vec::new(),
        }
    }
    /// A stack whose slots are all clear.
    pub(crate) fn with_capacity(capacity: usize) -> Stack {
        let mut stack = Stack::empty();
        stack.resize(capacity);
        stack
    }
    /// Takes over a block of this many slots.
    pub(crate) fn from_parts(start: *mut Value, capacity: usize) -> Stack {
        Stack {
            start,
            capacity,
            counted: Vec::new(),
        }
    }
    /// Gives the block away.
    pub(crate) fn into_parts(mut self) -> (*mut Value, usize) {
        let parts = (self.start, self.capacity);
        self.start = std::ptr::null_mut();
        self.capacity = 0;
        parts
    }
    /// Moves the slots to a new block of `capacity` slots (at least the old capacity); the old one is poisoned in debug builds and freed.
    pub(crate) fn resize(&mut self, capacity: usize) {
        debug_assert!(capacity >= self.capacity && capacity > 0);
        let layout = layout(capacity);
        // SAFETY: the layout is not empty; both blocks hold the old capacity.
        unsafe {
            let start = alloc_zeroed(layout).cast::<Value>();
            if start.is_null() {
                handle_alloc_error(layout);
            }
            account::add(layout.size());
            if self.capacity > 0 {
                std::ptr::copy_nonoverlapping(self.start, start, self.capacity);
                if cfg!(debug_assertions) {
                    std::ptr::write_bytes(self.start, 0xDB, self.capacity);
                }
                free(self.start, self.capacity);
            }
            self.start = start;
        }
        self.capacity = capacity;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.capacity > 0 {
            free(self.start, self.capacity);
        }
    }
}
