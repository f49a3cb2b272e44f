//! What belongs to a thread of the language besides its heap, and how the machine that has it mounted refers to it.

use crate::counted::Counted;
use crate::module::{Module, Proto};
use crate::sched::ThreadBlock;
use crate::sched::scope::Scope;
use crate::task::{ReadyQueue, TaskList, TaskPool};
use crate::value::Value;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// What belongs to a thread of the language, besides its heap.
pub(crate) struct Parts {
    pub(crate) tasks: TaskList,
    pub(crate) ready: ReadyQueue,
    /// What its first task returned or threw.
    pub(crate) main_result: Value,
    pub(crate) next_task: u64,
    /// How its first task ended, or that it has not.
    pub(crate) main_ended: crate::task::Ended,
    pub(crate) stopped: Stopped,
    /// How many of its tasks are detached.
    pub(crate) detached: u32,
    /// Its heap lies beside this.
    pub(super) has_heap: bool,
    /// `MoreParts::early` is not empty.
    pub(crate) has_early: bool,
    /// The carrier that had it mounted last.
    pub(super) carrier: u32,
    pub(super) more: Option<Box<MoreParts>>,
}

/// What a thread was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stopped {
    No,
    Cancelled,
    /// What its tasks start from now on never runs.
    Killed,
}

/// What few threads have.
#[derive(Default)]
pub(crate) struct MoreParts {
    /// Its module-level variables; empty until it sets one.
    pub(crate) vars: Vec<Value>,
    /// Values that hosts and scopes hold.
    pub(crate) handles: Vec<Value>,
    pub(crate) free_handles: Vec<usize>,
    pub(crate) failed: Failures,
    /// Where the last error that nobody caught was thrown, if it is no error object.
    pub(crate) loose_trace: Vec<(*const Proto, u64)>,
    /// Threadlets that failed before they waited, as numbers of kept handles, and the scopes of which they were members. See `Thread::fail_scopes`.
    pub(crate) early: VecDeque<(usize, Arc<Scope>)>,
    /// How many tasks that do not run have threadlets under way (`flag::HAS_THREADLETS`), or more.
    pub(super) with_threadlets: u32,
    /// Used since the program failed.
    pub(crate) fuel_after_failure: u64,
    /// Of the host's thread: modules whose bodies are yet to run, the next one last (see `Thread::run_modules`).
    pub(super) bodies: Vec<Arc<Module>>,
    /// Stack slot of the main module's registers, if its body is called by `__run_bodies`; 0: it is the task's function.
    pub(super) main_base: usize,
}

/// Handles of tasks that failed and that nobody has joined for yet, and where these were started, in the order of their ends.
#[derive(Default)]
pub(crate) struct Failures {
    /// Those that were taken out are unset.
    list: Vec<(Value, u32)>,
    /// The first that was not taken out, or one in front of it.
    first: usize,
}

impl Failures {
    pub(crate) fn push(&mut self, handle: Value, site: u32) {
        self.list.push((handle, site));
    }
    /// Few steps if they are taken out in the order in which they came, or the other way around.
    pub(crate) fn remove(&mut self, handle: Value) {
        let is_gone = |entry: Option<&(Value, u32)>| entry.is_some_and(|entry| entry.0.is_unset());
        let rest = &self.list[self.first..];
        let at = match rest.last() {
            Some(last) if last.0 == handle => Some(rest.len() - 1),
            _ => rest.iter().position(|entry| entry.0 == handle),
        };
        let Some(at) = at else { return };
        self.list[self.first + at].0 = Value::UNSET;
        while is_gone(self.list.get(self.first)) {
            self.first += 1;
        }
        while is_gone(self.list.last()) {
            self.list.pop();
        }
        self.first = self.first.min(self.list.len());
        if self.first > self.list.len() / 2 {
            self.list.drain(..self.first);
            self.first = 0;
        }
    }
    pub(crate) fn to_vec(&self) -> Vec<(Value, u32)> {
        let live = self.list[self.first..].iter();
        live.copied().filter(|entry| !entry.0.is_unset()).collect()
    }
    /// Takes the first out.
    pub(crate) fn take_first(&mut self) -> Option<(Value, u32)> {
        let first = self.list.get(self.first).copied()?;
        self.remove(first.0);
        Some(first)
    }
    /// The handles, for the collector.
    pub(crate) fn handles(&mut self) -> impl Iterator<Item = &mut Value> {
        let live = self.list.iter_mut().map(|entry| &mut entry.0);
        live.filter(|handle| !handle.is_unset())
    }
}

impl Default for Parts {
    fn default() -> Parts {
        Parts {
            tasks: TaskList::default(),
            ready: ReadyQueue::default(),
            main_result: Value::NIL,
            next_task: 0,
            main_ended: crate::task::Ended::Returned,
            stopped: Stopped::No,
            detached: 0,
            has_heap: false,
            has_early: false,
            carrier: u32::MAX,
            more: None,
        }
    }
}

impl Parts {
    /// The number of a new task.
    #[inline]
    pub(crate) fn new_number(&mut self) -> u64 {
        self.next_task += 1;
        self.next_task
    }
    pub(crate) fn more(&mut self) -> &mut MoreParts {
        self.more.get_or_insert_default()
    }
    pub(crate) fn more_if_any(&self) -> Option<&MoreParts> {
        self.more.as_deref()
    }
    /// Whether tasks have failed that nobody has joined for.
    pub(super) fn has_failed_tasks(&self) -> bool {
        let more = self.more_if_any();
        more.is_some_and(|more| more.failed.list.len() > more.failed.first)
    }
    pub(crate) fn more_if_any_mut(&mut self) -> Option<&mut MoreParts> {
        self.more.as_deref_mut()
    }
}

impl Drop for Parts {
    #[inline]
    fn drop(&mut self) {
        drop_tasks(&mut self.tasks);
    }
}

/// Ends tasks without running them any further. Nobody else may wake one: no carrier runs, or all their objects are their thread's.
#[inline]
pub(crate) fn drop_tasks(tasks: &mut TaskList) {
    // A thread that has ended has none.
    if !tasks.is_empty() {
        drop_all_tasks(tasks);
    }
}
#[cold]
fn drop_all_tasks(tasks: &mut TaskList) {
    // First all: a task may wait for another one's end.
    for task in tasks.iter() {
        // SAFETY: made by a pool, and alive; so is what it waits for, which its heap holds.
        unsafe {
            super::wait::unlink(task);
            if let Some(more) = (*task).more_if_any_mut() {
                crate::shared::permits::abandon(std::mem::take(&mut more.locks), task);
            }
        }
    }
    while let Some(task) = tasks.pop() {
        // SAFETY: as above; nothing leads to it any more.
        unsafe { TaskPool::free(task) };
    }
}

/// The parts of the mounted thread, which lie in its block.
pub(crate) struct PartsRef {
    pub(super) parts: *mut Parts,
    /// Stands for those of no thread.
    pub(super) none: Box<Parts>,
}

impl PartsRef {
    pub(super) fn none() -> PartsRef {
        let mut none = Box::<Parts>::default();
        PartsRef {
            parts: &raw mut *none,
            none,
        }
    }
    pub(super) fn set(&mut self, parts: *mut Parts) {
        self.parts = parts;
    }
    pub(super) fn set_to_none(&mut self) {
        self.parts = &raw mut *self.none;
    }
}

impl Deref for PartsRef {
    type Target = Parts;
    #[inline]
    fn deref(&self) -> &Parts {
        // SAFETY: the mounted thread's, which this carrier has for itself.
        unsafe { &*self.parts }
    }
}
impl DerefMut for PartsRef {
    #[inline]
    fn deref_mut(&mut self) -> &mut Parts {
        // SAFETY: as above.
        unsafe { &mut *self.parts }
    }
}

/// The block of the mounted thread. It is not counted: the registry keeps a thread that has not ended, and the machine that of its host.
#[derive(Clone, Copy)]
pub(crate) struct BlockRef(*const ThreadBlock);

impl BlockRef {
    pub(super) fn new(block: &Counted<ThreadBlock>) -> BlockRef {
        BlockRef(Counted::as_ptr(block))
    }
    /// # Safety
    /// The block lives as long as this is used.
    pub(super) unsafe fn from_ptr(block: *const ThreadBlock) -> BlockRef {
        BlockRef(block)
    }
    pub(crate) fn as_ptr(&self) -> *const ThreadBlock {
        self.0
    }
    /// A counted reference.
    pub(crate) fn to_arc(self) -> Counted<ThreadBlock> {
        // SAFETY: it is alive.
        unsafe { Counted::another(self.0) }
    }
}

impl Deref for BlockRef {
    type Target = ThreadBlock;
    #[inline]
    fn deref(&self) -> &ThreadBlock {
        // SAFETY: see the type.
        unsafe { &*self.0 }
    }
}
