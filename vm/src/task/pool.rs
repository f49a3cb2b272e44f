//! Blocks of tasks: a header with room for the registers of its first function behind it. A carrier keeps a few of those that ended for the next ones.

use super::Task;
use crate::account;
use crate::sched::ThreadBlock;
use crate::value::Value;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Rooms are multiples of this.
const STEP_SLOTS: usize = 2;
/// Larger rooms are not kept.
const MOST_KEPT_SLOTS: usize = 32;
/// How many blocks of each size are kept: what a burst leaves behind goes back to the system's allocator.
const MOST_KEPT: usize = 64;
const CLASSES: usize = MOST_KEPT_SLOTS / STEP_SLOTS + 1;

/// See the head of the file.
pub(crate) struct TaskPool {
    kept: [Vec<*mut Task>; CLASSES],
}

// SAFETY: the blocks are free memory.
unsafe impl Send for TaskPool {}

fn layout(slots: usize) -> Layout {
    Layout::from_size_align(
        size_of::<Task>() + slots * size_of::<Value>(),
        align_of::<Task>(),
    )
    .expect("rooms are small")
}

/// Gives a block back to the system's allocator.
///
/// # Safety
/// It is free, and has room for so many slots.
unsafe fn free_block(task: *mut Task, slots: usize) {
    account::subtract(layout(slots).size());
    // SAFETY: promised by the caller.
    unsafe { dealloc(task.cast(), layout(slots)) }
}

impl TaskPool {
    pub(crate) fn new() -> TaskPool {
        TaskPool {
            kept: [const { Vec::new() }; CLASSES],
        }
    }
    /// A task of the thread with room for `slots` registers, in no list; `Task::start` is that room.
    #[inline]
    pub(crate) fn take(&mut self, block: *const ThreadBlock, slots: usize) -> *mut Task {
        let slots = slots.next_multiple_of(STEP_SLOTS);
        let kept = self
            .kept
            .get_mut(slots / STEP_SLOTS)
            .and_then(|class| class.pop());
        let task = kept.unwrap_or_else(|| {
            // SAFETY: the layout is not empty.
            let task = unsafe { alloc(layout(slots)) };
            if task.is_null() {
                handle_alloc_error(layout(slots));
            }
            account::add(layout(slots).size());
            task.cast()
        });
        // SAFETY: a block of this size.
        unsafe {
            task.write(Task::fresh(block, slots as u16));
            (*task).start = Task::own_room(task);
            (*task).capacity = slots as u32;
        }
        task
    }
    /// Takes back a task that nothing leads to any more.
    ///
    /// # Safety
    /// As said; it was made by `take` of some pool.
    pub(crate) unsafe fn give(&mut self, task: *mut Task) {
        // SAFETY: promised by the caller.
        unsafe {
            let slots = clear(task);
            match self.kept.get_mut(slots / STEP_SLOTS) {
                Some(class) if class.len() < MOST_KEPT => class.push(task),
                _ => free_block(task, slots),
            }
        }
    }
    /// As `give`, back to the system's allocator.
    ///
    /// # Safety
    /// As for `give`.
    pub(crate) unsafe fn free(task: *mut Task) {
        // SAFETY: promised by the caller.
        unsafe {
            let slots = clear(task);
            free_block(task, slots);
        }
    }
}

/// Drops what a task owns; gives the size of its room.
///
/// # Safety
/// As for `TaskPool::give`.
unsafe fn clear(task: *mut Task) -> usize {
    // SAFETY: promised by the caller.
    unsafe {
        debug_assert!(!(*task).waiter.is_linked());
        let slots = (*task).own_slots as usize;
        (*task).free_block(task);
        drop((*task).waiter.take_message());
        std::ptr::drop_in_place(task);
        slots
    }
}

impl Drop for TaskPool {
    fn drop(&mut self) {
        for (class, tasks) in self.kept.iter_mut().enumerate() {
            for task in tasks.drain(..) {
                // SAFETY: free blocks of this size.
                unsafe { free_block(task, class * STEP_SLOTS) };
            }
        }
    }
}
