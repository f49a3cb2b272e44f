//! What carriers know of a thread of the language: its word, its end, and, while no carrier has it mounted, its parts.

use super::scope::{Failure, Place, Scope};
use super::wait::{Delivery, NodeKind, WaitList, Waiter, deliver};
use crate::account;
use crate::counted::COUNT_BYTES;
use crate::shared::Message;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Lock, Ordering, Tracked, mutation};
use crate::task::{ReadyQueue, Task};
use crate::thread::{Mounted, Stopped};
use std::sync::Arc;

const IDLE: usize = 0;
const QUEUED: usize = 1;
const RUNNING: usize = 2;
const ENDED: usize = 3;
const STATE: usize = 3;
/// Something else than a woken task came: look at the requests.
const NOTIFIED: usize = 4;
/// The newest task of the inbox: tasks are aligned to more than the bits above take.
const INBOX: usize = !7;

/// Requests from outside, read at safepoints and when the thread is mounted.
pub(crate) const CANCEL: u32 = 1;
pub(crate) const KILL: u32 = 2;
/// A scope of the thread was cancelled.
pub(crate) const SCOPES: u32 = 4;
/// The host wants its thread: see `sched::host`.
pub(crate) const HOME: u32 = 8;
/// Look at `Host::kills`.
pub(crate) const KILL_TASKS: u32 = 16;
/// Collect: see `Thread::collects_before_deadlock`.
pub(crate) const COLLECT: u32 = 32;
/// Who joined for it has given up: see `Thread::stop_awaiting`.
pub(crate) const FAILURES: u32 = 64;

/// The word of a thread: its state and its inbox of woken tasks in one, so that a waker does all with one operation and touches nothing afterwards unless it was the
/// one that made the thread runnable.
///
/// States: `IDLE → QUEUED` (whoever makes this change puts the thread into a queue) `→ RUNNING` (the carrier that took it out) `→ IDLE` or `QUEUED`, or `ENDED`. The inbox is a
/// stack of tasks linked through their waiters, newest first. A carrier leaves `RUNNING` for `IDLE` only if the inbox is empty and nothing was notified: compare-and-swap on the
/// whole word, so nothing is left behind.
pub(crate) struct Signal {
    word: AtomicUsize,
    requests: AtomicU32,
}

/// The next task in a list that is linked through waiters.
pub(crate) fn next_of(task: *mut Task) -> *mut Task {
    // SAFETY: callers pass tasks that they own.
    let next = unsafe {
        (*task).waiter.next_use.read();
        (*task).waiter.next
    };
    if next.is_null() {
        std::ptr::null_mut()
    } else {
        Task::of_waiter(next)
    }
}

/// The first woken first, from an inbox's newest.
fn reversed(mut newest: *mut Task) -> *mut Task {
    let mut first: *mut Task = std::ptr::null_mut();
    while !newest.is_null() {
        let older = next_of(newest);
        // SAFETY: tasks of the inbox are the taker's since they were claimed and pushed.
        unsafe {
            (*newest).waiter.next_use.write();
            (*newest).waiter.next = if first.is_null() {
                std::ptr::null_mut()
            } else {
                &raw mut (*first).waiter
            };
        }
        first = newest;
        newest = older;
    }
    first
}

impl Signal {
    /// Of a thread that is about to be put into a queue.
    pub(crate) fn queued() -> Signal {
        Signal {
            word: AtomicUsize::new(QUEUED),
            requests: AtomicU32::new(0),
        }
    }
    /// Puts a task that the caller has claimed into the inbox. `true`: the caller must put the thread into a queue; until it does, nobody runs the thread. `false`: the
    /// thread may run and end at once, and the caller must not touch it any more.
    ///
    /// The thread lives until the exchange succeeds, as it has a task that was claimed and not run. `newest` may have been run and freed since it was read: only its
    /// address is used, and if the exchange finds it again it is the newest once more (the same task, or another one at its address), which the link then rightly names.
    ///
    /// `is_solo`: see `sched::solo`; for the operations below, too.
    ///
    /// # Safety
    /// The task belongs to this thread, is claimed by the caller, and nobody else uses its link.
    #[must_use]
    pub(crate) unsafe fn push(&self, task: *mut Task, is_solo: bool) -> bool {
        // Release: who takes the inbox sees what the waker wrote into the task.
        crate::sync::window("push");
        let release = mutation!("push_relaxed", Ordering::Release, Ordering::Relaxed);
        let mut word = self.word.load(Ordering::Relaxed);
        let first = word;
        loop {
            let newest = (word & INBOX) as *mut Task;
            // SAFETY: the caller owns the task until it is in the inbox.
            unsafe {
                (*task).waiter.next_use.write();
                (*task).waiter.next = if newest.is_null() {
                    std::ptr::null_mut()
                } else {
                    &raw mut (*newest).waiter
                };
            }
            let was_idle = mutation!("push_looks_once", word, first) & STATE == IDLE;
            let state = if was_idle { QUEUED } else { word & STATE };
            let new = task as usize | word & NOTIFIED | state;
            if is_solo {
                self.word.store(new, Ordering::Relaxed);
                return was_idle;
            }
            match self
                .word
                .compare_exchange_weak(word, new, release, Ordering::Relaxed)
            {
                Ok(_) => return was_idle,
                Err(now) => word = now,
            }
        }
    }
    /// Whether it waits: nothing of it runs or is about to.
    pub(crate) fn is_idle(&self) -> bool {
        self.word.load(Ordering::Relaxed) & STATE == IDLE
    }
    /// Asks the thread for something; `true`: the caller must put it into a queue. The caller holds a reference to the thread.
    #[must_use]
    pub(crate) fn request(&self, what: u32) -> bool {
        self.requests.fetch_or(what, Ordering::Release);
        crate::sync::window("requested");
        let notified = mutation!("request_unmarked", NOTIFIED, 0);
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let was_idle = word & STATE == IDLE;
            let new = if was_idle { word | QUEUED } else { word } | notified;
            // Release: who sees the mark sees the request.
            match self
                .word
                .compare_exchange_weak(word, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return was_idle,
                Err(now) => word = now,
            }
        }
    }
    /// Requests that are pending. Cheap: for safepoints.
    #[inline]
    pub(crate) fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) != 0
    }
    pub(crate) fn take_requests(&self) -> u32 {
        self.requests.swap(0, Ordering::Acquire)
    }
    /// Forgets a request.
    pub(crate) fn drop_request(&self, what: u32) {
        self.requests.fetch_and(!what, Ordering::Relaxed);
    }
    /// A carrier took the thread out of a queue and mounts it; gives what the inbox holds (see `take_inbox`).
    pub(crate) fn begin(&self) -> *mut Task {
        // Acquire: what the last carrier and the wakers wrote.
        let acquire = mutation!("begin_relaxed", Ordering::AcqRel, Ordering::Relaxed);
        let before = self.word.swap(RUNNING, acquire);
        debug_assert!(
            cfg!(loom) || before & STATE == QUEUED,
            "only queued threads are mounted"
        );
        reversed((before & INBOX) as *mut Task)
    }
    /// The same for one that was taken out of a queue; `None`: the program ends, and the carrier to which a task of it is pinned was faster (`seize`).
    pub(crate) fn try_begin(&self, is_solo: bool) -> Option<*mut Task> {
        crate::sync::window("begin");
        let begin = |word: usize| (word & STATE == QUEUED).then_some(RUNNING);
        if is_solo {
            let before = self.word.load(Ordering::Relaxed);
            self.word.store(begin(before)?, Ordering::Relaxed);
            return Some(reversed((before & INBOX) as *mut Task));
        }
        let before = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, begin)
            .ok()?;
        Some(reversed((before & INBOX) as *mut Task))
    }
    /// The carrier has unmounted the thread, which has nothing to run: `true` if that is so; else something came meanwhile, and the thread is still the caller's.
    #[must_use]
    pub(crate) fn finish(&self, is_solo: bool) -> bool {
        // Release: the next carrier sees what this one wrote.
        crate::sync::window("finish");
        if is_solo {
            let has_nothing = self.word.load(Ordering::Relaxed) == RUNNING;
            if has_nothing {
                self.word.store(IDLE, Ordering::Relaxed);
            }
            return has_nothing;
        }
        let release = mutation!("finish_relaxed", Ordering::AcqRel, Ordering::Relaxed);
        if mutation!("inbox_not_read_again", false, true) {
            self.word.store(IDLE, release);
            return true;
        }
        self.word
            .compare_exchange(RUNNING, IDLE, release, Ordering::Relaxed)
            .is_ok()
    }
    /// Takes a thread that nobody runs, when the program ends and queues do not matter any more. `false`: somebody runs it.
    #[must_use]
    pub(crate) fn seize(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word & STATE != RUNNING
            && self
                .word
                .compare_exchange(
                    word,
                    word & !STATE | RUNNING,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                )
                .is_ok()
    }
    /// Takes a thread that is idle, to look at its parts: `finish` lets go of it. `false`: it is not idle.
    #[must_use]
    pub(crate) fn hold(&self) -> bool {
        self.word
            .compare_exchange(IDLE, RUNNING, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
    /// The carrier has unmounted the thread, which still has something to run: the caller puts it into a queue.
    pub(crate) fn requeue(&self) {
        crate::sync::window("requeue");
        let mut word = self.word.load(Ordering::Relaxed);
        while let Err(now) = self.word.compare_exchange_weak(
            word,
            word & !STATE | QUEUED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        ) {
            word = now;
        }
    }
    /// The thread's last task has ended, so nobody can wake one.
    pub(crate) fn end(&self) {
        self.word.store(ENDED, Ordering::Release);
    }
    #[cfg(loom)]
    pub(crate) fn is_ended(&self) -> bool {
        self.word.load(Ordering::Acquire) & STATE == ENDED
    }
    pub(crate) fn name(&self) -> &'static str {
        match self.word.load(Ordering::Relaxed) & STATE {
            IDLE => "waiting",
            QUEUED => "runnable",
            ENDED => "ended",
            _ => "running",
        }
    }
    /// Whether there is something in the inbox, or a request. Cheap.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.word.load(Ordering::Relaxed) & !STATE != 0
    }
    /// For the carrier that has the thread mounted: takes the inbox's tasks, the first woken first, linked by `next_of`.
    pub(crate) fn take_inbox(&self) -> *mut Task {
        if !self.has_news() {
            return std::ptr::null_mut();
        }
        let before = self.word.swap(RUNNING, Ordering::AcqRel);
        debug_assert_eq!(before & STATE, RUNNING);
        reversed((before & INBOX) as *mut Task)
    }
}

/// How a thread ended.
pub(crate) enum Outcome {
    /// It has not.
    None,
    Returned(Message),
    Failed(Message),
    /// It returned what cannot cross: who joins gets this error.
    Refused(Message),
    /// A mutable result was handed to the first joiner.
    Taken,
}

/// What joiners and the thread's end share.
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) joiners: WaitList,
    /// Somebody got its outcome, or was claimed for it.
    pub(crate) is_joined: bool,
    /// Somebody has asked for it (`take`), and not only been claimed.
    is_taken: bool,
    /// How many were claimed at its end who have not asked, nor given up.
    claimed: u32,
    /// The program does not ask how it ended.
    pub(crate) is_detached: bool,
    /// The program does not wait for it.
    pub(crate) is_uncounted: bool,
    /// Whether it ended because it was cancelled or killed.
    pub(crate) stopped: Stopped,
}

impl End {
    /// Of a thread that has not ended.
    #[inline(always)]
    fn open() -> End {
        End {
            outcome: Outcome::None,
            joiners: WaitList::default(),
            is_joined: false,
            is_taken: false,
            claimed: 0,
            is_detached: false,
            is_uncounted: false,
            stopped: Stopped::No,
        }
    }
    /// Whether nobody needs to be told how it ended.
    pub(crate) fn is_known(&self) -> bool {
        self.is_joined || self.is_detached
    }
    /// The thread has ended: how. Gives its joiners, claimed; who only joins has an immutable result with it, and need not come back for that.
    pub(crate) fn finish(&mut self, outcome: Outcome, stopped: Stopped) -> ReadyQueue {
        self.outcome = outcome;
        self.stopped = stopped;
        let mut joiners = ReadyQueue::default();
        // SAFETY: under the lock of the list's owner; who is claimed is ours until it is woken.
        while let Some(waiter) = unsafe { self.joiners.claim_first() } {
            // SAFETY: as above.
            unsafe {
                let task = (*waiter).task();
                if matches!((*waiter).kind(), NodeKind::Sole)
                    && let Some(message) = self.returned()
                {
                    deliver(task, Delivery::Value(message));
                }
                joiners.push_back(task);
            }
            self.is_joined = true;
            self.claimed += 1;
        }
        joiners
    }
    /// Whether somebody waits for it. (Arms of a `select` that others have won may be in the list yet.)
    pub(crate) fn is_awaited(&self) -> bool {
        // SAFETY: under the lock of the list's owner.
        unsafe { self.joiners.count_waiting() > 0 }
    }
    /// One who was claimed at its end was killed before it could ask for the outcome. `true`: that is an error, and nobody knows of it.
    pub(crate) fn give_up(&mut self) -> bool {
        self.claimed = self.claimed.saturating_sub(1);
        let is_lost = self.claimed == 0
            && !self.is_taken
            && !self.is_detached
            && self.stopped == Stopped::No
            && matches!(self.outcome, Outcome::Failed(_));
        self.is_joined &= !is_lost;
        is_lost
    }
    /// Puts a joiner into the list; `false`: the thread has ended, there is nothing to wait for.
    ///
    /// # Safety
    /// As for `WaitList::push`.
    pub(crate) unsafe fn wait(&mut self, joiner: *mut Waiter) -> bool {
        let is_there = !matches!(self.outcome, Outcome::None);
        if mutation!("join_without_look", is_there, false) {
            return false;
        }
        // It may give up: whether it gets the outcome shows at the end.
        // SAFETY: promised by the caller.
        unsafe { self.joiners.push(joiner) };
        true
    }
    /// What a thread has returned, with a reference of its own, if it has and the value is immutable.
    #[inline]
    pub(crate) fn returned(&mut self) -> Option<Message> {
        let Outcome::Returned(message) = &self.outcome else {
            return None;
        };
        let again = message.again()?;
        self.is_joined = true;
        Some(again)
    }
    /// The scope of which the thread is a member gets the error by which that has ended: `copy`, or else the error itself, which then is the scope's for good if it is
    /// mutable. If the scope does not take it, it stays for who joins. As all this is under the lock of the end, the error is in one of both places whenever somebody looks.
    /// What comes back is to be dropped without the lock.
    pub(crate) fn tell_scope(
        &mut self,
        copy: Option<Message>,
        scope: &Scope,
    ) -> Result<(), Option<Message>> {
        let is_copy = copy.is_some();
        let Some(error) = copy.or_else(|| self.error_for_scope()) else {
            return Err(None);
        };
        let Err(Failure::Thread(error)) = scope.fail(Failure::Thread(error)) else {
            return Ok(());
        };
        if is_copy || !matches!(self.outcome, Outcome::Taken) {
            return Err(Some(error));
        }
        self.outcome = Outcome::Failed(error);
        Err(None)
    }
    fn error_for_scope(&mut self) -> Option<Message> {
        let again = match &self.outcome {
            Outcome::Failed(message) => message.again(),
            _ => return None,
        };
        again.or_else(
            || match std::mem::replace(&mut self.outcome, Outcome::Taken) {
                Outcome::Failed(message) => Some(message),
                _ => None,
            },
        )
    }
    /// The outcome for a joiner, and whether it is an error: what is shared can be had again and again, what is mutable goes to the first. `None`: it did.
    pub(crate) fn take(&mut self) -> Option<(Message, bool)> {
        (self.is_joined, self.is_taken) = (true, true);
        let again = match &self.outcome {
            Outcome::Returned(message) => message.again().map(|m| (m, false)),
            Outcome::Failed(message) | Outcome::Refused(message) => {
                message.again().map(|m| (m, true))
            }
            _ => None,
        };
        again.or_else(
            || match std::mem::replace(&mut self.outcome, Outcome::Taken) {
                Outcome::Returned(message) => Some((message, false)),
                Outcome::Failed(message) | Outcome::Refused(message) => Some((message, true)),
                _ => None,
            },
        )
    }
}

/// A thread of the language; see the head of the file.
pub struct ThreadBlock {
    pub(crate) signal: Signal,
    /// Position in the registry: see `sched::registry`.
    pub(crate) registered: AtomicU64,
    pub(crate) id: u64,
    pub(crate) parts: Tracked<Mounted>,
    pub(crate) end: Lock<End>,
    /// Boxed twice: few have one.
    name: Option<Box<Box<str>>>,
    /// The scope it belongs to.
    pub(crate) scope: Option<Arc<Scope>>,
    pub(super) scope_place: Place,
    /// Where it was started: see `sched::sites`.
    pub(crate) site: u32,
}

// SAFETY: the parts are touched only by the carrier that changed the state from queued to running; the rest is locked, atomic or constant.
unsafe impl Send for ThreadBlock {}
// SAFETY: as above.
unsafe impl Sync for ThreadBlock {}

/// What a thread takes besides its heap and its tasks: its block, and its handle.
fn bytes_of(name: Option<&str>) -> usize {
    // With its counts, and a place in the registry.
    size_of::<ThreadBlock>() + COUNT_BYTES + size_of::<usize>() + name.map_or(0, str::len)
}

impl Drop for ThreadBlock {
    fn drop(&mut self) {
        account::subtract(bytes_of(self.name()));
    }
}

impl ThreadBlock {
    /// Writes one without a number, a name and a scope, and without tasks, part by part: made elsewhere, it would be copied from place to place.
    ///
    /// # Safety
    /// The place may be written, and has nothing that would be dropped.
    #[inline(always)]
    pub(crate) unsafe fn write(place: *mut ThreadBlock, memory: usize, site: u32) {
        account::add(bytes_of(None));
        // SAFETY: promised by the caller.
        unsafe {
            (&raw mut (*place).signal).write(Signal::queued());
            (&raw mut (*place).registered).write(AtomicU64::new(super::registry::NOWHERE));
            (&raw mut (*place).id).write(0);
            (&raw mut (*place).parts).write(Tracked::new(Mounted::new(memory)));
            (&raw mut (*place).end).write(Lock::new(End::open()));
            (&raw mut (*place).name).write(None);
            (&raw mut (*place).scope).write(None);
            (&raw mut (*place).scope_place).write(Place::nowhere());
            (&raw mut (*place).site).write(site);
        }
    }
    /// Of one that has none yet.
    #[cold]
    pub(crate) fn set_name(&mut self, name: Box<str>) {
        account::add(name.len());
        self.name = Some(Box::new(name));
    }
    pub(crate) fn new(
        id: u64,
        parts: Mounted,
        name: Option<Box<str>>,
        scope: Option<Arc<Scope>>,
        site: u32,
    ) -> ThreadBlock {
        account::add(bytes_of(name.as_deref()));
        ThreadBlock {
            signal: Signal::queued(),
            registered: AtomicU64::new(super::registry::NOWHERE),
            id,
            parts: Tracked::new(parts),
            end: Lock::new(End::open()),
            name: name.map(Box::new),
            scope,
            scope_place: Place::nowhere(),
            site,
        }
    }
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref().map(|name| &**name)
    }
    /// Whether it has an outcome: who has joined it sees that it has ended, though its carrier may be about to say so in the state word yet.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.end.lock().outcome, Outcome::None)
    }
    pub(crate) fn is_registered(&self) -> bool {
        self.registered.load(Ordering::Relaxed) != super::registry::NOWHERE
    }
    /// The registry was emptied.
    pub(crate) fn note_unregistered(&self) {
        self.registered
            .store(super::registry::NOWHERE, Ordering::Relaxed);
    }
    /// The program was stopped, and no carrier runs: the thread goes no further, whoever has a handle of it. `error`: for who joins.
    pub(crate) fn end_where_it_is(&self, error: Option<Message>) {
        self.note_unregistered();
        // SAFETY: no carrier has it mounted, and it is in no queue.
        unsafe { (*self.parts.get_mut()).end() };
        let mut end = self.end.lock();
        end.outcome = error.map_or(Outcome::Taken, Outcome::Failed);
        end.stopped = Stopped::Killed;
        // Joiners were dropped with their threads, or are.
        drop(end);
        let _ = self.signal.take_requests();
        self.signal.end();
    }
    /// What `.state` says of one that has ended.
    pub(crate) fn end_name(&self) -> Option<&'static str> {
        let end = self.end.lock();
        Some(match (&end.outcome, end.stopped) {
            (Outcome::None, _) => return None,
            (_, Stopped::Cancelled) => "cancelled",
            (_, Stopped::Killed) => "killed",
            (Outcome::Failed(_), _) => "failed",
            _ => "ended",
        })
    }
    /// `thread 3 'grower'`.
    pub(crate) fn title(&self) -> String {
        match self.name() {
            Some(name) => format!("thread {} '{name}'", self.id),
            None => format!("thread {}", self.id),
        }
    }
}

/// With the counts in front of it, a thread takes 256 bytes, which allocators have blocks of; the next larger ones take 320.
#[cfg(all(not(loom), target_pointer_width = "64"))]
const _: () = assert!(COUNT_BYTES + size_of::<ThreadBlock>() <= 256);
