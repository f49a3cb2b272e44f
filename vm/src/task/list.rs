//! Where a thread keeps its tasks: one list of all, and the queue of those that can run.

use super::{Task, flag};
use crate::prefetch::prefetch;
use crate::sched::wait::Waiter;

/// Every task of a thread that has not ended.
///
/// Those that were made or have run since a collection last visited them (`flag::TOUCHED`) come first. What the others lead to is old by then, if the heap has an
/// old space, so that a minor collection need not look at a million tasks that sleep.
pub(crate) struct TaskList {
    first: *mut Task,
    pub(crate) count: usize,
}

// SAFETY: tasks belong to their thread, and go where it goes.
unsafe impl Send for TaskList {}

impl Default for TaskList {
    fn default() -> TaskList {
        TaskList {
            first: std::ptr::null_mut(),
            count: 0,
        }
    }
}

impl TaskList {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }
    /// Adds a task that is in no list.
    pub(crate) fn add(&mut self, task: *mut Task) {
        self.link_first(task);
        self.count += 1;
    }
    fn link_first(&mut self, task: *mut Task) {
        // SAFETY: tasks of the list are alive.
        unsafe {
            (*task).all_prev = std::ptr::null_mut();
            (*task).all_next = self.first;
            if !self.first.is_null() {
                (*self.first).all_prev = task;
            }
        }
        self.first = task;
    }
    fn unlink(&mut self, task: *mut Task) {
        // SAFETY: as above.
        unsafe {
            let (prev, next) = ((*task).all_prev, (*task).all_next);
            if prev.is_null() {
                self.first = next;
            } else {
                (*prev).all_next = next;
            }
            if !next.is_null() {
                (*next).all_prev = prev;
            }
        }
    }
    pub(crate) fn remove(&mut self, task: *mut Task) {
        self.unlink(task);
        self.count -= 1;
    }
    /// The task has slept long and may soon end: calls for its neighbours, into which `remove` writes.
    #[inline]
    pub(crate) fn call_for_neighbours(&self, task: *mut Task) {
        // SAFETY: as above; addresses of null are only called for.
        unsafe {
            prefetch::<1, _>(
                (&raw const (*task).all_prev)
                    .read()
                    .wrapping_byte_add(NEXT_OFFSET),
            );
            prefetch::<1, _>(
                (&raw const (*task).all_next)
                    .read()
                    .wrapping_byte_add(NEXT_OFFSET),
            );
        }
    }
    /// The task is about to run.
    #[inline]
    pub(crate) fn touch(&mut self, task: *mut Task) {
        // SAFETY: as above.
        unsafe {
            if !(*task).is(flag::TOUCHED) {
                (*task).set(flag::TOUCHED);
                self.put_first(task);
            }
        }
    }
    /// A collection has visited all tasks that were touched: only the running one still is, so it stands in front of those made before.
    pub(crate) fn put_first(&mut self, task: *mut Task) {
        if self.first != task {
            self.unlink(task);
            self.link_first(task);
        }
    }
    /// All tasks, those touched last first. The list must not change meanwhile, but for the task that was given last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = *mut Task> + use<> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let at = next;
            if at.is_null() {
                return None;
            }
            // SAFETY: as above.
            next = unsafe { (*at).all_next };
            Some(at)
        })
    }
    /// The tasks as they are now.
    pub(crate) fn to_vec(&self) -> Vec<*mut Task> {
        self.iter().collect()
    }
    pub(crate) fn pop(&mut self) -> Option<*mut Task> {
        let task = self.first;
        if task.is_null() {
            return None;
        }
        self.remove(task);
        Some(task)
    }
}

/// Tasks that can run, first in, first out, linked through their waiters: a task that can run waits nowhere.
pub(crate) struct ReadyQueue {
    first: *mut Waiter,
    last: *mut Waiter,
}

impl Default for ReadyQueue {
    fn default() -> ReadyQueue {
        ReadyQueue {
            first: std::ptr::null_mut(),
            last: std::ptr::null_mut(),
        }
    }
}

/// Where in a task its links in the list of all are; both lie in one line.
const NEXT_OFFSET: usize = std::mem::offset_of!(Task, all_next);

/// A task's header, and most often all its registers.
const TASK_LINES: usize = size_of::<Task>() / 64 + 2;

fn link(task: *mut Task) -> *mut Waiter {
    // SAFETY: tasks in queues are alive.
    unsafe { &raw mut (*task).waiter }
}

impl ReadyQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }
    #[inline]
    pub(crate) fn push_back(&mut self, task: *mut Task) {
        let node = link(task);
        // SAFETY: as above.
        unsafe {
            (*node).next_use.write();
            (*node).next = std::ptr::null_mut();
            if self.first.is_null() {
                self.first = node;
            } else {
                (*self.last).next_use.write();
                (*self.last).next = node;
            }
        }
        self.last = node;
    }
    /// Takes over what `Signal::take_inbox` gave: linked through the waiters, the first woken first.
    pub(crate) fn append(&mut self, mut task: *mut Task) {
        while !task.is_null() {
            let next = crate::sched::block::next_of(task);
            self.push_back(task);
            task = next;
        }
    }
    pub(crate) fn push_front(&mut self, task: *mut Task) {
        let node = link(task);
        // SAFETY: as above.
        unsafe {
            (*node).next_use.write();
            (*node).next = self.first;
        }
        if self.first.is_null() {
            self.last = node;
        }
        self.first = node;
    }
    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<*mut Task> {
        let node = self.first;
        if node.is_null() {
            return None;
        }
        // SAFETY: as above.
        unsafe {
            (*node).next_use.write();
            self.first = (*node).next;
            (*node).next = std::ptr::null_mut();
        }
        if !self.first.is_null() {
            // Of many sleepers none is in a cache: while this one runs, the next comes.
            prefetch::<TASK_LINES, _>(Task::of_waiter(self.first));
        }
        Some(Task::of_waiter(node))
    }
    pub(crate) fn first(&self) -> Option<*mut Task> {
        (!self.first.is_null()).then(|| Task::of_waiter(self.first))
    }
    /// Takes a task out; whether it was there.
    pub(crate) fn remove(&mut self, task: *mut Task) -> bool {
        let mut others = ReadyQueue::default();
        let mut was_there = false;
        while let Some(next) = self.pop_front() {
            if next == task {
                was_there = true;
            } else {
                others.push_back(next);
            }
        }
        *self = others;
        was_there
    }
    pub(crate) fn clear(&mut self) {
        *self = ReadyQueue::default();
    }
}
