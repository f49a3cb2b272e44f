//! A register stack: one block of slots, owned by one task.

use crate::value::Value;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

/// Slots `start..start + capacity`. Fresh slots are zero, which reads as a float.
pub(crate) struct Stack {
    pub(crate) start: *mut Value,
    pub(crate) capacity: usize,
    /// Slot of the base and depth of frames whose return word bears the mark `COUNTED`, from the bottom up. Entries of frames that are gone
    /// may lie on top of those of frames that are there.
    pub(crate) counted: Vec<(usize, usize)>,
}

impl Stack {
    pub(crate) fn empty() -> Stack {
        Stack {
            start: std::ptr::null_mut(),
            capacity: 0,
            counted: Vec::new(),
        }
    }
    fn layout(capacity: usize) -> Layout {
        Layout::array::<Value>(capacity).expect("stacks are bounded by the memory limit")
    }
    /// Keeps the first `used` slots only, in a block of their own; gives the old one.
    pub(crate) fn shrink(&mut self, used: usize) -> Stack {
        debug_assert!(0 < used && used <= self.capacity);
        let mut small = Stack::empty();
        small.resize(used);
        // SAFETY: both blocks hold so many.
        unsafe { std::ptr::copy_nonoverlapping(self.start, small.start, used) };
        std::mem::swap(&mut small.counted, &mut self.counted);
        std::mem::replace(self, small)
    }
    /// Puts the slots into the front of a larger, clear stack.
    pub(crate) fn move_into(&mut self, mut larger: Stack) {
        debug_assert!(larger.capacity >= self.capacity);
        // SAFETY: both blocks hold so many.
        unsafe { std::ptr::copy_nonoverlapping(self.start, larger.start, self.capacity) };
        std::mem::swap(&mut larger.counted, &mut self.counted);
        *self = larger;
    }
    /// Makes every slot what it was when the stack was made.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the block has so many slots.
        unsafe { std::ptr::write_bytes(self.start, 0, self.capacity) };
        self.counted.clear();
    }
    /// Moves the slots to a new block of `capacity` slots (at least the old capacity); the old one is poisoned in debug builds and freed.
    pub(crate) fn resize(&mut self, capacity: usize) {
        debug_assert!(capacity >= self.capacity && capacity > 0);
        let layout = Stack::layout(capacity);
        // SAFETY: the layout is not empty; both blocks hold the old capacity.
        unsafe {
            let start = alloc_zeroed(layout).cast::<Value>();
            if start.is_null() {
                handle_alloc_error(layout);
            }
            if self.capacity > 0 {
                std::ptr::copy_nonoverlapping(self.start, start, self.capacity);
                if cfg!(debug_assertions) {
                    std::ptr::write_bytes(self.start, 0xDB, self.capacity);
                }
                dealloc(self.start.cast(), Stack::layout(self.capacity));
            }
            self.start = start;
        }
        self.capacity = capacity;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: made by `resize` with this layout.
            unsafe { dealloc(self.start.cast(), Stack::layout(self.capacity)) }
        }
    }
}
