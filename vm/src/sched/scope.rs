//! `scope { … }`: what is started inside ends before the scope does.
//!
//! Members are tasks of the owner's thread and threads. A scope is cancelled by setting its flag and asking the owner's thread to look
//! (`block::SCOPES`): only the carrier that has a thread mounted touches its tasks.
//!
//! **Who is inside.** A scope knows the threads that are its members, and each scope directly in it that has members. So a cancel finds the threads it concerns without a look at
//! the others, of which there may be a million, and tells whether it concerns any task but the owner. A thread that a member thread starts is a member of the same scope (as the member
//! has not ended, the scope is not over). A scope without members, as most time limits are, is entered and left without
//! a word to the one around it. All these scopes are of one thread: a thread's own tasks begin without a scope. Where two scopes are locked at once it is the inner one first.
//!
//! The owner waits for its members without a waiter in a list: `is_awaited`, under the lock of the state, says that it does, and who sets it back has claimed the owner.

use super::block::{Outcome, ThreadBlock};
use super::timers::Shard;
use super::wait::{Claimed, NodeKind, Owner, Waiter};
use crate::account;
use crate::counted::{Counted, WeakCounted};
use crate::heap::table::AddressHasher;
use crate::shared::Message;
use crate::sync::{AtomicBool, AtomicU32, Lock, LockGuard, Ordering, mutation};
use crate::task::Task;
use slab::Slab;
use std::cell::UnsafeCell;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Weak};

/// Why a scope throws.
pub(crate) enum Failure {
    /// A task of the thread failed: its handle, kept by the thread under this number.
    Task(usize),
    /// A thread failed.
    Thread(Message),
}

pub(crate) struct ScopeState {
    /// Members that have not ended.
    pub(crate) live: usize,
    /// Made when the first of those comes.
    inside: Option<Box<Inside>>,
    pub(crate) failure: Option<Failure>,
    pub(crate) is_cancelled: bool,
    pub(crate) is_timed_out: bool,
    /// It had failed, or its time was over, before an error left its body.
    pub(crate) had_failed: bool,
    /// What its owner was interrupted in was deferred: there may be an error already, on its way out.
    pub(crate) was_told_in_defer: bool,
    /// Members were told to end since the time was over.
    pub(crate) has_cut_members: bool,
    /// The owner waits for `live` to become 0.
    pub(crate) is_awaited: bool,
    /// The owner cannot wait where it is (see `Thread::refuse_wait`): members are cancelled, and not awaited.
    pub(crate) is_refused: bool,
    /// The owner has left it, and need not exist any more.
    pub(crate) is_closed: bool,
    /// It is closed, and the owner went on behind it: no error was on its way out.
    pub(crate) has_ended_well: bool,
}

/// Whom a cancel of the scope concerns, besides the owner.
#[derive(Default)]
struct Inside {
    /// Members that have not ended: tasks, all of the owner's thread, and threads.
    tasks: TaskSet,
    threads: Slab<WeakCounted<ThreadBlock>>,
    /// Scopes whose parent it is, as long as they have members, or there are such scopes in them.
    scopes: Slab<Weak<Scope>>,
}

/// Tasks, each once. Few are searched; of many each takes little more than a pointer.
#[derive(Default)]
struct TaskSet {
    few: Vec<*mut Task>,
    /// Empty, or all.
    many: HashSet<*mut Task, BuildHasherDefault<AddressHasher>>,
}

impl TaskSet {
    const FEW: usize = 16;

    fn insert(&mut self, task: *mut Task) {
        if self.few.len() == TaskSet::FEW {
            self.many.extend(std::mem::take(&mut self.few));
        }
        match self.many.is_empty() {
            true => self.few.push(task),
            false => _ = self.many.insert(task),
        }
    }
    fn remove(&mut self, task: *mut Task) {
        let was_there = match self.many.is_empty() {
            true => {
                let at = self.few.iter().rposition(|&other| other == task);
                at.map(|at| self.few.swap_remove(at)).is_some()
            }
            false => self.many.remove(&task),
        };
        debug_assert!(was_there, "a member is in the set");
        if self.many.len() <= TaskSet::FEW / 2 && self.many.capacity() > 0 {
            self.few.extend(std::mem::take(&mut self.many));
        }
    }
    fn iter(&self) -> impl Iterator<Item = *mut Task> {
        self.few.iter().chain(&self.many).copied()
    }
}

impl ScopeState {
    fn inside(&mut self) -> &mut Inside {
        self.inside.get_or_insert_default()
    }
    /// Whether anybody is in it, or in a scope in it.
    pub(crate) fn has_members(&self) -> bool {
        let has_scopes = |inside: &Inside| !inside.scopes.is_empty();
        self.live > 0 || self.inside.as_deref().is_some_and(has_scopes)
    }
}

/// Where a thread, or a scope, is in the one around it. Used under the lock of that.
pub(crate) struct Place(AtomicU32);

impl Place {
    pub(super) fn nowhere() -> Place {
        Place(AtomicU32::new(u32::MAX))
    }
    fn set(&self, at: usize) {
        debug_assert!(at < u32::MAX as usize, "each takes some hundred bytes");
        self.0.store(at as u32, Ordering::Relaxed);
    }
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed) as usize
    }
}

/// See the head of the file.
pub(crate) struct Scope {
    pub(crate) parent: Option<Arc<Scope>>,
    /// The task that opened it; alive as long as the scope is open.
    pub(crate) owner: *mut Task,
    pub(crate) block: WeakCounted<ThreadBlock>,
    pub(crate) state: Lock<ScopeState>,
    /// The outermost of its chain, which the chain keeps; null: it is that itself.
    root: *const Scope,
    /// Of the outermost: how many scopes that are somewhere inside it, or itself, were cancelled and exist yet. As long as it is none, nobody who enters one has to look at all those
    /// around it. Counted before the canceller looks for members, under the locks that those take who enter: who is not seen there sees this.
    cancelled: AtomicU32,
    /// A cancelled task has opened it while it tidied up: what happens to those around it does not reach in here.
    is_shield: bool,
    /// In the parent.
    place: Place,
    /// Its place among the timers, which hold a reference while it is there. Used under their lock.
    timer: UnsafeCell<Waiter>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        account::subtract(Scope::BYTES);
        if !self.root.is_null() && self.state.lock().is_cancelled {
            // SAFETY: see `root`.
            unsafe { (*self.root).cancelled.fetch_sub(1, Ordering::Relaxed) };
        }
        // They may be nested deep: not by recursion.
        let mut parent = self.parent.take();
        while let Some(mut scope) = parent.and_then(Arc::into_inner) {
            parent = scope.parent.take();
        }
    }
}

// SAFETY: the owner is touched only after it was claimed, or by its thread; the timer under its shard's lock.
unsafe impl Send for Scope {}
// SAFETY: as above.
unsafe impl Sync for Scope {}

impl Scope {
    /// What one takes, with the counts of its references.
    pub(crate) const BYTES: usize = size_of::<Scope>() + 2 * size_of::<usize>();

    pub(crate) fn new(
        parent: Option<Arc<Scope>>,
        owner: *mut Task,
        block: WeakCounted<ThreadBlock>,
        is_shield: bool,
    ) -> Arc<Scope> {
        account::add(Scope::BYTES);
        let root = parent
            .as_ref()
            .map_or(std::ptr::null(), |parent| parent.root());
        Arc::new(Scope {
            root,
            is_shield,
            cancelled: AtomicU32::new(0),
            parent,
            owner,
            block,
            state: Lock::new(ScopeState {
                live: 0,
                inside: None,
                failure: None,
                is_cancelled: false,
                is_timed_out: false,
                had_failed: false,
                was_told_in_defer: false,
                has_cut_members: false,
                is_awaited: false,
                is_refused: false,
                is_closed: false,
                has_ended_well: false,
            }),
            place: Place::nowhere(),
            timer: UnsafeCell::new(Waiter::new(NodeKind::Scope)),
        })
    }
    #[cfg(test)]
    pub(crate) fn for_tests() -> Arc<Scope> {
        let block = ThreadBlock::new(0, crate::thread::Mounted::new(0), None, None, 0);
        let gone = Counted::downgrade(&Counted::new(block));
        Scope::new(None, std::ptr::null_mut(), gone, false)
    }
    /// A task is a member from now on. `true`: the scope, or one around it, was cancelled, so the task is to be cancelled from the beginning.
    #[must_use]
    pub(crate) fn enter(self: &Arc<Self>, task: *mut Task) -> bool {
        self.add_member(|state| state.inside().tasks.insert(task))
    }
    /// The same of a thread.
    #[must_use]
    #[inline(never)]
    pub(crate) fn enter_thread(self: &Arc<Self>, block: &Counted<ThreadBlock>) -> bool {
        self.add_member(|state| {
            let at = state.inside().threads.insert(Counted::downgrade(block));
            block.scope_place.set(at);
        })
    }
    #[inline]
    fn add_member(self: &Arc<Self>, note: impl FnOnce(&mut ScopeState)) -> bool {
        let mut state = self.state.lock();
        let is_first = !state.has_members();
        state.live += 1;
        note(&mut state);
        let is_cancelled = state.is_cancelled;
        state.has_cut_members |= is_cancelled;
        let Some(parent) = &self.parent else {
            return is_cancelled;
        };
        match is_first {
            true => self.tell_parents(state, true),
            false => drop(state),
        }
        // SAFETY: see `root`.
        let is_any_cancelled = unsafe { (*self.root()).cancelled.load(Ordering::Relaxed) > 0 };
        is_cancelled || !self.is_shield && is_any_cancelled && cancelled_in(Some(parent)).is_some()
    }
    fn root(&self) -> *const Scope {
        match self.root.is_null() {
            true => self,
            false => self.root,
        }
    }
    /// The scope is cancelled from now on; `state` is its own.
    pub(crate) fn mark_cancelled(&self, state: &mut ScopeState) {
        if !std::mem::replace(&mut state.is_cancelled, true) {
            // SAFETY: see `root`.
            unsafe { (*self.root()).cancelled.fetch_add(1, Ordering::Relaxed) };
        }
    }
    /// A member has ended well. `Some`: the owner waited for that and was claimed; the caller wakes it.
    #[must_use]
    pub(crate) fn leave(self: &Arc<Self>, task: *mut Task) -> Option<*mut Task> {
        self.remove_member(|state| state.inside().tasks.remove(task))
    }
    /// The same of a thread.
    #[must_use]
    pub(crate) fn leave_thread(self: &Arc<Self>, block: &ThreadBlock) -> Option<*mut Task> {
        self.remove_member(|state| {
            state.inside().threads.remove(block.scope_place.get());
        })
    }
    #[inline]
    fn remove_member(self: &Arc<Self>, note: impl FnOnce(&mut ScopeState)) -> Option<*mut Task> {
        let mut state = self.state.lock();
        note(&mut state);
        state.live -= 1;
        let is_claimed = state.live == 0 && std::mem::take(&mut state.is_awaited);
        if is_claimed {
            // SAFETY: the owner waits in this scope, and cannot go on before it is handed over.
            unsafe { (*self.owner).claim.set(Claimed::Arm(0)) };
        }
        if self.parent.is_some() && !state.has_members() {
            self.tell_parents(state, false);
        }
        is_claimed.then_some(self.owner)
    }
    /// There is somebody inside from now on, or nobody any more; `state` is this scope's. What a scope is said to have and what it has cannot differ, as it is locked until the
    /// one around it was told.
    fn tell_parents<'s>(self: &'s Arc<Self>, state: LockGuard<'s, ScopeState>, has_members: bool) {
        let (mut scope, mut _locked) = (self, Some(state));
        while let Some(parent) = &scope.parent {
            if mutation!("scope_told_unlocked", false, true) {
                _locked = None;
            }
            let mut outer = parent.state.lock();
            let had_members = outer.has_members();
            let scopes = &mut outer.inside().scopes;
            if has_members {
                scope.place.set(scopes.insert(Arc::downgrade(scope)));
            } else {
                scopes.remove(scope.place.get());
            }
            if had_members == outer.has_members() {
                return;
            }
            _locked = Some(outer);
            scope = parent;
        }
    }
    /// Calls `look` with this scope and all in it that have members.
    fn each_inside(self: &Arc<Self>, mut look: impl FnMut(&ScopeState)) {
        let mut scopes = vec![self.clone()];
        while let Some(scope) = scopes.pop() {
            let state = scope.state.lock();
            look(&state);
            if let Some(inside) = &state.inside {
                let inner = inside.scopes.iter().filter_map(|(_, s)| s.upgrade());
                scopes.extend(inner.filter(|scope| !scope.is_shield));
            }
        }
    }
    /// The threads inside, at any depth.
    pub(crate) fn threads_inside(self: &Arc<Self>) -> Vec<Counted<ThreadBlock>> {
        let mut threads = Vec::new();
        self.each_inside(|state| {
            let inside = state.inside.iter().flat_map(|inside| &inside.threads);
            threads.extend(inside.filter_map(|(_, thread)| thread.upgrade()));
        });
        threads
    }
    /// The tasks inside, at any depth, in no order, and the owner, unless it has left.
    pub(crate) fn tasks_inside(self: &Arc<Self>) -> Vec<*mut Task> {
        let mut tasks = Vec::new();
        self.each_inside(|state| {
            let inside = state.inside.iter();
            tasks.extend(inside.flat_map(|inside| inside.tasks.iter()));
        });
        // (An owner of an inner one is a member of one around it.)
        if !self.state.lock().is_closed {
            tasks.push(self.owner);
        }
        tasks
    }
    /// Claims the owner for something else than the end of its members, if it waits for that.
    pub(crate) fn claim_owner(&self, by: Claimed) -> bool {
        let mut state = self.state.lock();
        let is_mine = mutation!(
            "scope_claimed_twice",
            std::mem::take(&mut state.is_awaited),
            state.is_awaited
        );
        if is_mine {
            // SAFETY: as in `leave`.
            unsafe { (*self.owner).claim.set(by) };
        }
        is_mine
    }
    /// Whether this task has opened it, and has not ended since: another one may lie at its address then, which may be a member.
    pub(crate) fn is_of(&self, task: *mut Task) -> bool {
        self.owner == task && !self.state.lock().is_closed
    }
    /// Nobody will look after its members any more: gives its failure.
    pub(crate) fn abandon(&self) -> Option<Failure> {
        let mut state = self.state.lock();
        self.mark_cancelled(&mut state);
        state.is_closed = true;
        state.is_awaited = false;
        state.failure.take()
    }
    /// Whether a failure that came now would be the one that it throws.
    pub(crate) fn takes_failure(&self) -> bool {
        let state = self.state.lock();
        state.failure.is_none() && !state.is_timed_out && !state.is_closed
    }
    /// Whether it is over, and threw nothing.
    pub(crate) fn has_ended_well(&self) -> bool {
        self.state.lock().has_ended_well
    }
    /// The first failure cancels the scope; gives whether this was it, else the failure back.
    pub(crate) fn fail(&self, failure: Failure) -> Result<(), Failure> {
        let mut state = self.state.lock();
        if state.failure.is_some() || state.is_timed_out || state.is_closed {
            return Err(failure);
        }
        state.failure = Some(failure);
        self.mark_cancelled(&mut state);
        Ok(())
    }

    // --- its time limit

    /// # Safety
    /// It has no timer yet; the shard lives until `remove_timer` or `Shard::clear`.
    pub(crate) unsafe fn set_timer(self: &Arc<Self>, shard: &Shard, deadline: u64, now: u64) {
        // The timers' reference: given back by `of_timer`.
        let this = Arc::into_raw(self.clone());
        // SAFETY: promised by the caller; nobody else uses the waiter before it is in the wheel.
        unsafe {
            let timer = (*this).timer.get();
            (*timer).set_owner(Owner::Timers(shard), 0);
            shard.add(timer, deadline, now);
        }
    }
    /// Whether it has a timer that has not fired. Nobody uses the timers meanwhile.
    pub(crate) fn has_timer(&self) -> bool {
        // SAFETY: promised by the caller.
        unsafe { (*self.timer.get()).is_linked() }
    }
    /// Takes the timer out, if it has one that has not fired; whether it had.
    ///
    /// # Safety
    /// The shard that it was set in is alive.
    pub(crate) unsafe fn remove_timer(&self) -> bool {
        let timer = self.timer.get();
        // SAFETY: the owner is set once, before the timer; the waiter is used under the shard's lock.
        unsafe {
            match Waiter::owner_of(timer).0 {
                Owner::Timers(shard) if (*shard).remove(timer) => {
                    drop(Scope::of_timer(timer));
                    true
                }
                _ => false,
            }
        }
    }
    /// The scope of a timer that was taken out of the wheel, with the wheel's reference.
    ///
    /// # Safety
    /// As said; once for each `set_timer`.
    pub(super) unsafe fn of_timer(timer: *mut Waiter) -> Option<Arc<Scope>> {
        let scope: *const Scope = timer
            .wrapping_byte_sub(std::mem::offset_of!(Scope, timer))
            .cast();
        // SAFETY: promised by the caller.
        Some(unsafe { Arc::from_raw(scope) })
    }
}

/// The outermost cancelled scope of a chain that concerns who is in its innermost: none around one in which a cancelled task tidies up.
pub(crate) fn cancelled_in(chain: Option<&Arc<Scope>>) -> Option<Arc<Scope>> {
    let mut at = chain;
    let mut found = None;
    while let Some(scope) = at {
        if scope.state.lock().is_cancelled {
            found = Some(scope.clone());
        }
        if scope.is_shield {
            break;
        }
        at = scope.parent.as_ref();
    }
    found
}

/// The scope of which a task is a member: the innermost of its chain that it did not open itself.
pub(crate) fn membership(task: *mut Task, innermost: Option<&Arc<Scope>>) -> Option<Arc<Scope>> {
    let mut at = innermost;
    while let Some(scope) = at {
        if !scope.is_of(task) {
            return Some(scope.clone());
        }
        at = scope.parent.as_ref();
    }
    None
}

/// Scopes that were cancelled, of threads that are asked to look for them (`block::SCOPES`).
#[derive(Default)]
pub(crate) struct Cancelled {
    /// By the numbers of the threads.
    scopes: Lock<HashMap<u64, Vec<Arc<Scope>>>>,
    /// There may be some: to be read without the lock.
    has_any: AtomicBool,
}

impl Cancelled {
    /// Of a thread that has not ended.
    pub(super) fn add(&self, block: &ThreadBlock, scope: &Arc<Scope>) {
        let mut scopes = self.scopes.lock();
        // Before the look at the thread: if it has not ended, its end sees this, and takes what is added here.
        self.has_any.store(true, Ordering::Relaxed);
        if matches!(block.end.lock().outcome, Outcome::None) {
            scopes.entry(block.id).or_default().push(scope.clone());
        }
    }
    /// Those of one thread. When it has ended nobody adds any more.
    pub(crate) fn take(&self, thread: u64) -> Vec<Arc<Scope>> {
        match self.has_any.load(Ordering::Relaxed) {
            true => self.take_some(thread),
            false => Vec::new(),
        }
    }
    /// The thread has ended.
    #[inline]
    pub(crate) fn forget(&self, thread: u64) {
        if self.has_any.load(Ordering::Relaxed) {
            drop(self.take_some(thread));
        }
    }
    #[cold]
    fn take_some(&self, thread: u64) -> Vec<Arc<Scope>> {
        let mut scopes = self.scopes.lock();
        let taken = scopes.remove(&thread).unwrap_or_default();
        if scopes.is_empty() {
            self.has_any.store(false, Ordering::Relaxed);
        }
        taken
    }
    /// Everything was stopped.
    pub(super) fn clear(&self) {
        let scopes = std::mem::take(&mut *self.scopes.lock());
        drop(scopes);
    }
}
