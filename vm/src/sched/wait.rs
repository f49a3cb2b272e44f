//! How a task waits, and how it is woken: exactly once, by exactly one waker.
//!
//! A task that waits has a *waiter* (a node in its own memory) in the list of each thing that could wake it. Two kinds of wait:
//!
//! - **Sole**: one waiter, in one list (a channel's receivers, the timers …). Whoever takes the waiter out of its list, under that list's lock, has claimed
//!   the task: a sender, the timers, or the task's own thread that cancels it. No further word is needed to decide, and no atomic operation.
//! - **Several** (`select`): the task's *claim word* is `WAITING`, and a waker must win it by compare-and-swap, under the lock of its list, before it touches the
//!   task; who loses goes on to the next waiter. The woken task takes the waiters that are left out of their lists, before it does anything else.
//!
//! From then on the waker alone owns the task's waiter and payload, until it hands the task to its thread (`Thread::wake`). So a waiter that is in a list
//! always belongs to the wait that is going on now, and its task is alive.
//!
//! Contract of the unsafe code: lists are touched only under the lock of what they belong to; a waiter stays where it is while it is linked.

use crate::shared::Message;
use crate::sync::{AtomicU32, Ordering, Witness, mutation};
use crate::task::Task;
use crate::value::Value;

/// Who has claimed a waiting task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// Nobody: it does not wait.
    None,
    /// The waiter with this number.
    Arm(u32),
    TimedOut,
    Cancelled,
    Killed,
    /// Itself: it cannot wait where it is.
    Refused,
}

const IDLE: u32 = 0;
const WAITING: u32 = 1;
const TIMED_OUT: u32 = 2;
const CANCELLED: u32 = 3;
const KILLED: u32 = 4;
const REFUSED: u32 = 5;
const FIRST_ARM: u32 = 8;

/// The word that says whether a task waits, and who wakes it.
pub(crate) struct Claim(AtomicU32);

impl Claim {
    pub(crate) fn new() -> Claim {
        Claim(AtomicU32::new(IDLE))
    }
    /// The task is about to put its waiters into lists; their locks publish the store.
    #[inline]
    pub(crate) fn begin(&self) {
        self.0.store(WAITING, Ordering::Relaxed);
    }
    fn word(by: Claimed) -> u32 {
        match by {
            Claimed::None => IDLE,
            Claimed::Arm(arm) => FIRST_ARM + arm,
            Claimed::TimedOut => TIMED_OUT,
            Claimed::Cancelled => CANCELLED,
            Claimed::Killed => KILLED,
            Claimed::Refused => REFUSED,
        }
    }
    /// Tries to become the one who wakes a task that waits for several things. Acquire: what the task wrote before it began to wait; release: the waker's
    /// order for whoever reads the word (the task itself gets the waker's writes by the hand-over to its thread).
    #[inline]
    pub(crate) fn try_claim(&self, by: Claimed) -> bool {
        if mutation!("claim_without_cas", false, self.is_waiting()) {
            self.0.store(Claim::word(by), Ordering::Release);
            return true;
        }
        self.0
            .compare_exchange(
                WAITING,
                Claim::word(by),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }
    /// Notes who has claimed a task whose sole waiter the caller has taken out of its list: nobody else can. The hand-over publishes the store.
    #[inline]
    pub(crate) fn set(&self, by: Claimed) {
        debug_assert!(self.is_waiting());
        self.0.store(Claim::word(by), Ordering::Relaxed);
    }
    /// Whether nobody has claimed it; may be outdated at once.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WAITING
    }
    /// Whether what it waited for has come. For the woken task.
    #[inline]
    pub(crate) fn is_by_arm(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= FIRST_ARM
    }
    /// The woken task: the wait is over.
    #[inline]
    pub(crate) fn end(&self) -> Claimed {
        let word = self.0.load(Ordering::Acquire);
        self.0.store(IDLE, Ordering::Relaxed);
        match word {
            IDLE | WAITING => Claimed::None,
            TIMED_OUT => Claimed::TimedOut,
            CANCELLED => Claimed::Cancelled,
            KILLED => Claimed::Killed,
            REFUSED => Claimed::Refused,
            arm => Claimed::Arm(arm - FIRST_ARM),
        }
    }
    /// The same where what it waited for has come, which is known already.
    #[inline]
    pub(crate) fn end_by_arm(&self) {
        let word = self.0.load(Ordering::Acquire);
        debug_assert!(word >= FIRST_ARM);
        self.0.store(IDLE, Ordering::Relaxed);
    }
}

/// Whose list a waiter is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    None,
    /// A list of a shared object.
    Shared(*const crate::shared::SharedObject),
    /// The joiners of a task of the same thread.
    Task(*mut Task),
    /// The joiners of a thread.
    Thread(*const super::block::ThreadBlock),
    /// The timers of a carrier.
    Timers(*const super::timers::Shard),
    /// The members of a scope, whose owner waits. (Its waiter is in no list: see `scope`.)
    Scope(*const super::scope::Scope),
}

/// What a waiter is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// `Task::waiter`. (As a number 0: see `Place`.)
    Sole,
    /// `ArmWaiter::waiter`.
    Arm,
    /// `Scope::timer`.
    Scope,
}

/// An owner, the number of its list and the kind of the waiter in one word: `address:48 | owner:4 | list:4 | kind:4` (low to high).
#[derive(Clone, Copy)]
struct Place(u64);

const ADDRESS: u64 = (1 << 48) - 1;

impl Place {
    #[inline]
    fn new(owner: Owner, list: u8, kind: NodeKind) -> Place {
        let (address, which) = match owner {
            Owner::None => (0, 0),
            Owner::Shared(p) => (p as u64, 1),
            Owner::Task(p) => (p as u64, 2),
            Owner::Thread(p) => (p as u64, 3),
            Owner::Timers(p) => (p as u64, 4),
            Owner::Scope(p) => (p as u64, 5),
        };
        debug_assert!(address & !ADDRESS == 0, "addresses of user space");
        Place(address | which << 48 | (list as u64) << 52 | (kind as u64) << 56)
    }
    /// Of the same waiter.
    #[inline]
    fn with_owner(self, owner: Owner, list: u8) -> Place {
        let other = Place::new(owner, list, NodeKind::Sole);
        Place(other.0 | self.0 >> 56 << 56)
    }
    #[inline]
    fn owner(self) -> Owner {
        let address = self.0 & ADDRESS;
        match self.0 >> 48 & 15 {
            1 => Owner::Shared(address as *const _),
            2 => Owner::Task(address as *mut _),
            3 => Owner::Thread(address as *const _),
            4 => Owner::Timers(address as *const _),
            5 => Owner::Scope(address as *const _),
            _ => Owner::None,
        }
    }
    #[inline]
    fn list(self) -> u8 {
        (self.0 >> 52 & 15) as u8
    }
    #[inline]
    fn kind(self) -> NodeKind {
        match self.0 >> 56 {
            0 => NodeKind::Sole,
            1 => NodeKind::Arm,
            _ => NodeKind::Scope,
        }
    }
}

/// A task's place in a list of waiting ones. Lists are rings, so a waiter that is in one has neighbours, if only itself.
#[repr(C)]
pub(crate) struct Waiter {
    /// Null: it is in no list. Odd: it is a timer in a slot of a wheel (see `timers::Place`).
    pub(super) prev: *mut Waiter,
    /// Also the link of tasks that are ready, and of those in the inbox of their thread: these wait nowhere.
    pub(crate) next: *mut Waiter,
    place: Place,
    /// A message (a sender's, later taken by whoever claims it; or what the claimed task is given), or the deadline of a timer.
    payload: u64,
    /// For the models: who may touch which field. `prev` and `next` are two matters: a waker puts the task into the inbox by `next`, without a lock, while the task's own
    /// thread, that would cancel it, looks at `prev` under the lock of the list and finds that it came too late.
    prev_use: Witness,
    pub(crate) next_use: Witness,
    payload_use: Witness,
}

/// `payload` of a task that was woken because the channel was closed. (No value has these bits.)
const CLOSED: u64 = Value::UNSET.0 + 1;

/// What the one who claimed a task left for it.
pub(crate) enum Delivery {
    None,
    Value(Message),
    /// The channel was closed.
    Closed,
}

impl Waiter {
    pub(crate) fn new(kind: NodeKind) -> Waiter {
        Waiter {
            prev: std::ptr::null_mut(),
            next: std::ptr::null_mut(),
            place: Place::new(Owner::None, 0, kind),
            payload: Value::UNSET.0,
            prev_use: Witness::new(),
            next_use: Witness::new(),
            payload_use: Witness::new(),
        }
    }
    /// The waiter is about to be put into this list of the owner.
    #[inline]
    pub(crate) fn set_owner(&mut self, owner: Owner, list: u8) {
        self.place = self.place.with_owner(owner, list);
    }
    /// The same of a task's sole waiter.
    #[inline]
    pub(crate) fn set_sole_owner(&mut self, owner: Owner, list: u8) {
        debug_assert!(matches!(self.kind(), NodeKind::Sole));
        self.place = Place::new(owner, list, NodeKind::Sole);
    }
    /// In whose list a waiter is, or was last. Written by its own thread only; the links beside it may change meanwhile, so no reference is made.
    ///
    /// # Safety
    /// The waiter is alive, and the caller's thread is that of its task.
    #[inline]
    pub(crate) unsafe fn owner_of(waiter: *const Waiter) -> (Owner, u8) {
        // SAFETY: promised by the caller.
        let place = unsafe { (*waiter).place };
        (place.owner(), place.list())
    }
    #[inline]
    pub(crate) fn kind(&self) -> NodeKind {
        self.place.kind()
    }
    #[inline]
    fn write_links(&self) {
        self.prev_use.write();
        self.next_use.write();
    }
    #[inline]
    pub(crate) fn is_linked(&self) -> bool {
        self.prev_use.read();
        !self.prev.is_null()
    }
    /// Puts a message there; there is none.
    #[inline]
    pub(crate) fn set_message(&mut self, message: Message) {
        debug_assert_eq!(self.payload, Value::UNSET.0);
        self.payload = message.into_bits();
    }
    /// The message, if there is one; `Message::NONE` else.
    #[inline]
    pub(crate) fn take_message(&mut self) -> Message {
        self.payload_use.write();
        let bits = std::mem::replace(&mut self.payload, Value::UNSET.0);
        if bits == CLOSED {
            return Message::NONE;
        }
        // SAFETY: put there by `set_message`, and nobody has taken it since.
        unsafe { Message::from_bits(bits) }
    }
    /// Takes what the message is, with its reference, if there is one and it is no parcel: one that was delivered, or not taken.
    #[inline]
    pub(crate) fn take_plain_message(&mut self) -> Option<Value> {
        self.payload_use.write();
        let is_message = self.payload.wrapping_sub(Value::UNSET.0) > CLOSED - Value::UNSET.0;
        if !is_message || Value::from_bits(self.payload).is_local() {
            return None;
        }
        let bits = std::mem::replace(&mut self.payload, Value::UNSET.0);
        Some(Value::from_bits(bits))
    }
    /// What the message is, which stays where it is; nil if there is none. Nobody else may use the waiter.
    pub(crate) fn message_inside(&self) -> Value {
        // One that is in no list any more may be the place of something that was delivered.
        let is_none = self.is_linked() && matches!(self.place.owner(), Owner::Timers(_));
        if is_none || self.payload == CLOSED || self.payload == Value::UNSET.0 {
            return Value::NIL;
        }
        // SAFETY: put there by `set_message`; not dropped, so it is still owned by the waiter.
        let message = std::mem::ManuallyDrop::new(unsafe { Message::from_bits(self.payload) });
        message.inside()
    }
    pub(super) fn deadline(&self) -> u64 {
        self.payload_use.read();
        self.payload
    }
    pub(super) fn set_deadline(&mut self, deadline: u64) {
        self.payload_use.write();
        self.payload = deadline;
    }
    /// Where a timer's entry is; 0: nowhere.
    #[inline]
    pub(super) fn set_place(&mut self, place: usize) {
        self.prev_use.write();
        self.prev = std::ptr::without_provenance_mut(place);
    }
    /// A timer's waiter that is in no list any more holds no message.
    pub(super) fn clear_deadline(&mut self) {
        self.payload_use.write();
        self.payload = Value::UNSET.0;
    }
    /// The task whose waiter this is; null: a scope's.
    #[inline]
    pub(crate) fn task(&self) -> *mut Task {
        let this = std::ptr::from_ref(self);
        match self.kind() {
            NodeKind::Sole => Task::of_waiter(this),
            // SAFETY: such a waiter is the first field of an `ArmWaiter`.
            NodeKind::Arm => unsafe { (*this.cast::<ArmWaiter>()).task },
            NodeKind::Scope => std::ptr::null_mut(),
        }
    }
    #[inline]
    fn claimed_as(&self) -> Claimed {
        match self.kind() {
            // SAFETY: as in `task`.
            NodeKind::Arm => unsafe {
                Claimed::Arm((*std::ptr::from_ref(self).cast::<ArmWaiter>()).arm)
            },
            _ => Claimed::Arm(0),
        }
    }
}

/// Gives a claimed task what it waited for.
///
/// # Safety
/// The task is claimed by the caller, and not handed over yet.
#[inline]
pub(crate) unsafe fn deliver(task: *mut Task, delivery: Delivery) {
    // SAFETY: promised by the caller: the payload is the waker's until the hand-over.
    unsafe {
        let waiter = &mut (*task).waiter;
        match delivery {
            Delivery::None => {}
            Delivery::Value(message) => {
                waiter.payload_use.write();
                debug_assert_eq!(
                    waiter.payload,
                    Value::UNSET.0,
                    "who waits for a message sends none"
                );
                waiter.payload = message.into_bits();
            }
            Delivery::Closed => {
                drop(waiter.take_message());
                waiter.payload = CLOSED;
            }
        }
    }
}

/// What the woken task was given.
#[inline]
pub(crate) fn take_delivery(waiter: &mut Waiter) -> Delivery {
    waiter.payload_use.write();
    match waiter.payload {
        CLOSED => {
            waiter.payload = Value::UNSET.0;
            Delivery::Closed
        }
        bits if bits == Value::UNSET.0 => Delivery::None,
        _ => Delivery::Value(waiter.take_message()),
    }
}

/// One of the waiters of a `select`.
#[repr(C)]
pub(crate) struct ArmWaiter {
    pub(crate) waiter: Waiter,
    pub(crate) task: *mut Task,
    pub(crate) arm: u32,
}

impl ArmWaiter {
    pub(crate) fn new(task: *mut Task, arm: u32) -> ArmWaiter {
        ArmWaiter {
            waiter: Waiter::new(NodeKind::Arm),
            task,
            arm,
        }
    }
}

impl Drop for ArmWaiter {
    fn drop(&mut self) {
        debug_assert!(!self.waiter.is_linked());
        drop(self.waiter.take_message());
    }
}

/// Waiting tasks, first come first: a ring, named by its first.
pub(crate) struct WaitList {
    first: *mut Waiter,
}

// SAFETY: a list is used under the lock of its owner, and its waiters with it.
unsafe impl Send for WaitList {}

impl Default for WaitList {
    fn default() -> WaitList {
        WaitList {
            first: std::ptr::null_mut(),
        }
    }
}

impl WaitList {
    /// Under the lock of its owner.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }
    /// # Safety
    /// See the head of the file; the waiter is in no list.
    #[inline]
    pub(crate) unsafe fn push(&mut self, waiter: *mut Waiter) {
        // SAFETY: promised by the caller.
        unsafe {
            debug_assert!(!(*waiter).is_linked());
            if self.first.is_null() {
                (*waiter).write_links();
                (*waiter).prev = waiter;
                (*waiter).next = waiter;
                self.first = waiter;
            } else {
                insert_before(self.first, waiter);
            }
        }
    }
    /// Every waiter, first come first.
    ///
    /// # Safety
    /// See the head of the file; the list does not change meanwhile.
    pub(crate) unsafe fn iter(&self) -> impl Iterator<Item = *mut Waiter> {
        let first = self.first;
        let mut next = first;
        std::iter::from_fn(move || {
            let at = next;
            if at.is_null() {
                return None;
            }
            // SAFETY: waiters in the list are alive while the lock is held.
            let after = unsafe {
                (*at).next_use.read();
                (*at).next
            };
            next = if after == first {
                std::ptr::null_mut()
            } else {
                after
            };
            Some(at)
        })
    }
    /// How many waiters nobody has claimed.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn count_waiting(&self) -> u64 {
        // SAFETY: waiters in the list are alive while the lock is held.
        unsafe {
            self.iter()
                .filter(|at| (*(**at).task()).claim.is_waiting())
                .count() as u64
        }
    }
    /// Whether a task other than this one waits here, claimed by nobody.
    ///
    /// # Safety
    /// See the head of the file.
    pub(crate) unsafe fn has_other(&mut self, task: *mut Task) -> bool {
        // SAFETY: promised by the caller.
        unsafe {
            self.find(|waiter| {
                let other = waiter.task();
                let waits = (*other).claim.is_waiting();
                match other != task && waits {
                    true => Found::It,
                    false if waits || other == task => Found::Another,
                    false => Found::Claimed,
                }
            })
            .is_some()
        }
    }
    /// Takes a waiter out, if it is (still) in the list; whether it was.
    ///
    /// # Safety
    /// See the head of the file; the waiter is in this list or in none.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, waiter: *mut Waiter) -> bool {
        // SAFETY: promised by the caller: neighbours are linked and alive.
        unsafe {
            if !(*waiter).is_linked() {
                return false;
            }
            if self.first == waiter {
                (*waiter).next_use.read();
                let next = (*waiter).next;
                self.first = if next == waiter {
                    std::ptr::null_mut()
                } else {
                    next
                };
            }
            unlink(waiter);
            true
        }
    }
    /// The list goes: those who are in it still, whom others have claimed, are in none from now on.
    ///
    /// # Safety
    /// See the head of the file; they have not run since.
    #[inline]
    pub(crate) unsafe fn let_go(&mut self) {
        while !self.first.is_null() {
            // SAFETY: promised by the caller.
            unsafe {
                let waiter = self.first;
                self.remove(waiter);
                (*waiter).set_owner(Owner::None, 0);
            }
        }
    }
    /// Claims the first waiter that nobody else has claimed, and takes it out.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline]
    pub(crate) unsafe fn claim_first(&mut self) -> Option<*mut Waiter> {
        // SAFETY: promised by the caller.
        unsafe {
            let first = self.find(|waiter| match claim(waiter) {
                true => Found::It,
                false => Found::Claimed,
            })?;
            self.remove(first);
            Some(first)
        }
    }
    /// The first waiter that is it. Those that others have claimed are taken out on the way: their tasks would do it when they run, but until then whoever comes
    /// here would meet them again, which takes quadratic time if they are many.
    ///
    /// # Safety
    /// See the head of the file.
    #[inline(always)]
    unsafe fn find(&mut self, mut what: impl FnMut(&Waiter) -> Found) -> Option<*mut Waiter> {
        let mut at = self.first;
        while !at.is_null() {
            // SAFETY: waiters in the list are alive while the lock is held.
            unsafe {
                let found = what(&*at);
                if found == Found::It {
                    return Some(at);
                }
                (*at).next_use.read();
                let next = (*at).next;
                let is_last = next == self.first;
                if found == Found::Claimed {
                    self.take_out_claimed(at);
                }
                if is_last {
                    break;
                }
                at = next;
            }
        }
        None
    }
    /// # Safety
    /// See the head of the file; an arm in this list, which another one has won.
    #[cold]
    unsafe fn take_out_claimed(&mut self, arm: *mut Waiter) {
        // SAFETY: promised by the caller. Of other owners the task's thread may be reading now whose the arm is, and finds it taken out under the lock; a task's list is that thread's
        // own, and may go before the arm does.
        unsafe {
            self.remove(arm);
            if let (Owner::Task(_), _) = Waiter::owner_of(arm) {
                (*arm).set_owner(Owner::None, 0);
            }
        }
    }
}

/// What somebody who looks through a list says of a waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    It,
    Another,
    /// Of a task that waits no more.
    Claimed,
}

/// Tries to claim the task of a waiter that is in a list whose lock the caller holds; who succeeds takes the waiter out.
///
/// # Safety
/// As said.
#[inline]
unsafe fn claim(waiter: &Waiter) -> bool {
    // SAFETY: the task of a waiter in a list is alive.
    unsafe {
        let claim = &(*waiter.task()).claim;
        match waiter.kind() {
            NodeKind::Arm => claim.try_claim(waiter.claimed_as()),
            _ => {
                claim.set(Claimed::Arm(0));
                true
            }
        }
    }
}

/// Puts a waiter in front of one that is in a ring.
///
/// # Safety
/// The caller holds the lock of the ring; the waiter is in none.
#[inline]
pub(super) unsafe fn insert_before(at: *mut Waiter, waiter: *mut Waiter) {
    // SAFETY: promised by the caller.
    unsafe {
        let prev = (*at).prev;
        (*at).prev_use.write();
        (*prev).next_use.write();
        (*waiter).write_links();
        (*waiter).prev = prev;
        (*waiter).next = at;
        (*prev).next = waiter;
        (*at).prev = waiter;
    }
}

/// Takes a waiter out of its ring.
///
/// # Safety
/// The caller holds the lock of the ring, and sees to what names its first.
#[inline]
pub(super) unsafe fn unlink(waiter: *mut Waiter) {
    // SAFETY: promised by the caller.
    unsafe {
        let (prev, next) = ((*waiter).prev, (*waiter).next);
        (*prev).next_use.write();
        (*next).prev_use.write();
        (*waiter).write_links();
        (*prev).next = next;
        (*next).prev = prev;
        (*waiter).prev = std::ptr::null_mut();
        (*waiter).next = std::ptr::null_mut();
    }
}
