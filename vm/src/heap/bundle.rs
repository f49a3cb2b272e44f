//! Shared objects: permanent ones in an arena, and bundles: frozen graphs in one block with one atomic count.
//!
//! A shared object never moves and is never changed. Its header has `FLAG_SHARED`; if it has `FLAG_IN_BUNDLE` too, the word in
//! front of it is the address of the bundle's head.
//!
//! Who counts: each heap that holds values of a bundle holds *one* reference, through its `BundleTable` (see `table`), no matter
//! how many values lead there; each `SharedRef` or message under way holds one; a bundle holds one to each bundle that its
//! objects refer to. Freeing uses a worklist.
//!
//! | a bundle's block | |
//! | --- | --- |
//! | `BundleHead` | three words: count, size and place, link |
//! | word, object | the head's address in front of each object; buffers need none |
//! | … | |
//!
//! Contract: values passed in here are alive; `SharedArena` outlives all heaps that hold values of it.

use super::graph::{Graph, GraphError, Target, Visit};
use super::{Heap, NeedsCollection};
use crate::account;
use crate::counted::Counted;
use crate::object::size::object_bytes;
use crate::object::trace::inline_values;
use crate::object::*;
use crate::value::Value;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// On a shared object: it lies in a bundle.
pub(crate) const FLAG_IN_BUNDLE: u8 = FLAG_OLD;

/// The first words of a bundle.
#[repr(C)]
pub(crate) struct BundleHead {
    /// Of references. Of one that has none and waits to be freed: the next of those.
    count: AtomicUsize,
    /// `size:36 | place:28` (high to low): bytes of the whole block in units; its place in the table of one heap, see `table`.
    extent: AtomicU64,
    link: Link,
}

const HEAD_BYTES: usize = size_of::<BundleHead>();
const _: () = assert!(HEAD_BYTES == 24);

/// Sizes of blocks are multiples of it, as their alignment: an allocator need not make them larger to align them.
pub(super) const UNIT_BYTES: usize = 16;
const PLACE_BITS: u32 = 28;
/// No heap's table knows it.
const NO_PLACE: u64 = (1 << PLACE_BITS) - 1;

impl BundleHead {
    /// Of a block of so many bytes, with one reference.
    fn new(bytes: usize, link: Link) -> BundleHead {
        let units = bytes.div_ceil(UNIT_BYTES) as u64;
        BundleHead {
            count: AtomicUsize::new(1),
            extent: AtomicU64::new(units << PLACE_BITS | NO_PLACE),
            link,
        }
    }
    /// Of the whole block.
    pub(crate) fn bytes(&self) -> usize {
        self.units() as usize * UNIT_BYTES
    }
    /// The same in units.
    #[inline]
    pub(crate) fn units(&self) -> u64 {
        self.extent.load(Ordering::Relaxed) >> PLACE_BITS
    }
    /// Whether the caller's reference is the only one at this moment.
    pub(crate) fn is_unique(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 1
    }

    /// Where some heap's table has it, if any has.
    pub(crate) fn place(&self) -> usize {
        (self.extent.load(Ordering::Relaxed) & NO_PLACE) as usize
    }
    /// If no table has its place here, that of the caller does from now on: only that may change it until it is given back. Nothing else depends on the place,
    /// which is looked up before it is believed: so relaxed is enough.
    pub(crate) fn claim_place(&self, place: usize) -> bool {
        let now = self.extent.load(Ordering::Relaxed);
        if now & NO_PLACE != NO_PLACE || place as u64 >= NO_PLACE {
            return false;
        }
        let claimed = now & !NO_PLACE | place as u64;
        if self.is_unique() {
            // Nobody else knows the bundle.
            self.extent.store(claimed, Ordering::Relaxed);
            return true;
        }
        self.extent
            .compare_exchange(now, claimed, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
    /// For the table whose place it is.
    pub(crate) fn set_place(&self, place: usize) {
        let size = self.extent.load(Ordering::Relaxed) & !NO_PLACE;
        self.extent.store(size | place as u64, Ordering::Relaxed);
    }
    /// As `set_place`.
    pub(crate) fn give_place_back(&self) {
        self.set_place(NO_PLACE as usize);
    }
}

/// What goes when a bundle goes, in one word: its low bits say what.
///
/// | bits | |
/// | --- | --- |
/// | `ONE` | one bundle that objects of this one refer to; null: none. It counts for one reference |
/// | `LIST` | several, boxed |
/// | `OBJECT` | the shared object that the handle in it names |
/// | `THREAD` | the thread that the handle in it names |
/// | `SOURCE` | the source that the handle in it names |
struct Link(usize);

impl Link {
    const ONE: usize = 0;
    const LIST: usize = 1;
    const OBJECT: usize = 2;
    const THREAD: usize = 3;
    const SOURCE: usize = 4;
    const BITS: usize = 7;

    /// The bundles, all different, to each of which the link gets a reference.
    fn bundles(bundles: &[*mut BundleHead]) -> Link {
        match bundles {
            [] => Link(Link::ONE),
            [one] => Link(*one as usize | Link::ONE),
            many => Link(Box::into_raw(Box::new(many.to_vec())) as usize | Link::LIST),
        }
    }
    fn payload(payload: Payload) -> Link {
        match payload {
            Payload::Object(object) => Link(Box::into_raw(object) as usize | Link::OBJECT),
            Payload::Thread(block) => Link(Counted::into_raw(block) as usize | Link::THREAD),
            Payload::Source(source) => Link(Box::into_raw(source) as usize | Link::SOURCE),
            Payload::Nothing => Link(0),
        }
    }
    fn is_nothing(&self) -> bool {
        self.0 == 0
    }
    /// Drops what the link owns; bundles that nobody refers to any more come into `dead`.
    unsafe fn free(self, dead: *mut Dead) {
        let address = self.0 & !Link::BITS;
        // SAFETY: the bits say what the address was made of, in `bundles` and `payload`; the link owns it.
        unsafe {
            match self.0 & Link::BITS {
                Link::ONE if address == 0 => {}
                Link::ONE => {
                    let bundle = address as *mut BundleHead;
                    if give_back(bundle) {
                        (*dead).push(bundle);
                    }
                }
                Link::LIST => {
                    let list = Box::from_raw(address as *mut Vec<*mut BundleHead>);
                    for &bundle in list.iter().filter(|&&bundle| give_back(bundle)) {
                        (*dead).push(bundle);
                    }
                }
                Link::OBJECT => drop(Box::from_raw(address as *mut crate::shared::SharedObject)),
                Link::SOURCE => drop(Box::from_raw(address as *mut crate::io::Source)),
                _ => drop(Counted::from_raw(
                    address as *const crate::sched::ThreadBlock,
                )),
            }
        }
    }
}

/// What a handle names: it lives as long as its bundle.
pub(crate) enum Payload {
    Object(Box<crate::shared::SharedObject>),
    Thread(Counted<crate::sched::ThreadBlock>),
    Source(Box<crate::io::Source>),
    /// It outlives all handles.
    Nothing,
}

/// The bundle of a shared object; `None` for a permanent one.
///
/// # Safety
/// The object is shared and alive.
#[inline]
pub(crate) unsafe fn bundle_of(object: *mut Header) -> Option<*mut BundleHead> {
    // SAFETY: the flag says that the word in front is the head's address.
    unsafe {
        debug_assert!((*object).has(FLAG_SHARED));
        if (*object).has(FLAG_IN_BUNDLE) {
            Some(object.cast::<*mut BundleHead>().sub(1).read())
        } else {
            None
        }
    }
}

/// Whole multiples of the alignment: blocks of other sizes are aligned by luck, and an allocator has to try again.
fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes.next_multiple_of(UNIT_BYTES), UNIT_BYTES)
        .expect("a bundle's size was checked against the limit")
}

/// Takes one more reference.
///
/// # Safety
/// The bundle is alive: the caller has a reference, or a value that is kept.
#[inline]
pub(crate) unsafe fn retain(head: *mut BundleHead) {
    // SAFETY: the caller's.
    unsafe { retain_some(head, 1) }
}

/// Takes so many more references.
///
/// # Safety
/// As for `retain`.
#[inline]
unsafe fn retain_some(head: *mut BundleHead, count: usize) {
    #[cfg(test)]
    live::check(head);
    // SAFETY: the caller's.
    let before = unsafe { (*head).count.fetch_add(count, Ordering::Relaxed) };
    debug_assert!(before > 0);
    if before > usize::MAX / 2 {
        // Each reference takes a word somewhere: there cannot be so many.
        std::process::abort();
    }
}

/// Takes a reference away; true: it was the last.
#[inline]
unsafe fn give_back(head: *mut BundleHead) -> bool {
    // SAFETY: the caller's.
    unsafe { give_back_some(head, 1) }
}

/// The same of so many.
#[inline]
unsafe fn give_back_some(head: *mut BundleHead, count: usize) -> bool {
    // SAFETY: the references kept the head alive.
    unsafe {
        // Who has all of them need not tell anybody: no one else can take more. Acquire: what those did who gave theirs back comes before what frees it.
        if (*head).count.load(Ordering::Acquire) == count {
            return true;
        }
        let before = (*head).count.fetch_sub(count, Ordering::Release);
        debug_assert!(before >= count);
        if before != count {
            return false;
        }
        // All accesses of those who gave theirs back before come before what frees it.
        if cfg!(heddle_sanitized) {
            // ThreadSanitizer does not know fences.
            (*head).count.load(Ordering::Acquire);
        } else {
            fence(Ordering::Acquire);
        }
        true
    }
}

/// Gives one reference back, and frees what nobody refers to any more.
///
/// # Safety
/// The reference is the caller's.
#[inline]
pub(crate) unsafe fn release(head: *mut BundleHead) {
    // SAFETY: the caller's.
    unsafe {
        if give_back(head) {
            free(head);
        }
    }
}

/// References to one bundle that this OS thread has to spare: it receives one value of the bundle after the other, or sends one after the other. So the count, which whoever
/// has the other end of the channel changes at the same time, need not go from one processor to the other for each. It gives them back some time.
struct Owed {
    head: Cell<*mut BundleHead>,
    count: Cell<usize>,
}

thread_local! {
    /// Without a destructor: an OS thread settles when it leaves its program's account.
    static OWED: Owed = const {
        Owed {
            head: Cell::new(std::ptr::null_mut()),
            count: Cell::new(0),
        }
    };
}

/// As `release` of a reference besides which the caller has another one; it may be given back later (see `settle`).
///
/// # Safety
/// As of `release`.
#[inline]
pub(crate) unsafe fn release_later(head: *mut BundleHead) {
    const MOST: usize = 256;
    OWED.with(|owed| {
        if owed.head.get() == head && owed.count.get() < MOST {
            owed.count.set(owed.count.get() + 1);
        } else {
            settle();
            owed.head.set(head);
            owed.count.set(1);
        }
    });
}

/// As `retain`, of a message: those before and behind it may be of the same bundle.
///
/// # Safety
/// As for `retain`.
#[inline]
pub(crate) unsafe fn retain_for_message(head: *mut BundleHead) {
    const AT_ONCE: usize = 64;
    OWED.with(|owed| {
        let spare = owed.count.get();
        // If nothing is spare it may be one that has gone, at whose address this one lies: so it is only compared.
        let is_same = owed.head.get() == head;
        // SAFETY: the caller's.
        unsafe {
            if is_same && spare > 0 {
                owed.count.set(spare - 1);
            } else if is_same {
                retain_some(head, AT_ONCE);
                owed.count.set(AT_ONCE - 1);
            } else {
                retain(head);
                if spare == 0 {
                    owed.head.set(head);
                }
            }
        }
    });
}

/// Gives back what this OS thread owes. It does so at each safepoint, when a heap is collected or goes, and before it sleeps or leaves its program.
#[inline]
pub(crate) fn settle() {
    OWED.with(|owed| {
        if owed.count.get() > 0 {
            settle_now(owed);
        }
    });
}

#[inline(never)]
fn settle_now(owed: &Owed) {
    let (head, count) = (owed.head.replace(std::ptr::null_mut()), owed.count.take());
    // SAFETY: the references of `release_later`; they kept the bundle.
    unsafe {
        if give_back_some(head, count) {
            free(head);
        }
    }
}

/// Frees a bundle that has no references any more.
///
/// # Safety
/// As said: so nobody else knows it.
#[inline]
unsafe fn free(head: *mut BundleHead) {
    // SAFETY: promised by the caller.
    unsafe {
        if (*head).link.is_nothing() {
            free_block(head);
        } else {
            free_all(head);
        }
    }
}

/// Frees a bundle that has no references and whose link owns nothing any more.
unsafe fn free_block(head: *mut BundleHead) {
    #[cfg(test)]
    live::remove(head);
    // SAFETY: allocated with this size.
    unsafe {
        let bytes = (*head).bytes();
        if cfg!(debug_assertions) {
            std::ptr::write_bytes(head.cast::<u8>(), super::POISON, bytes);
        }
        dealloc(head.cast(), layout(bytes));
        account::subtract(bytes);
    }
}

/// Bundles without references that wait to be freed, linked by their counts.
struct Dead(*mut BundleHead);

impl Dead {
    /// # Safety
    /// The bundle has no references, and is the caller's to free.
    unsafe fn push(&mut self, head: *mut BundleHead) {
        // SAFETY: promised by the caller.
        unsafe { (*head).count.store(self.0 as usize, Ordering::Relaxed) };
        self.0 = head;
    }
    fn pop(&mut self) -> Option<*mut BundleHead> {
        let head = self.0;
        if head.is_null() {
            return None;
        }
        // SAFETY: put there by `push`.
        self.0 = unsafe { (*head).count.load(Ordering::Relaxed) } as *mut BundleHead;
        Some(head)
    }
}

/// Frees a bundle and what only it kept.
unsafe fn free_all(head: *mut BundleHead) {
    thread_local! {
        /// Bundles without references that the call of `free_all` which runs on this OS thread will free: what a handle names may hold further
        /// bundles (messages in a channel), which must not be freed by recursion. A bare pointer, since it has no destructor: the
        /// last bundles may go while the OS thread ends, with an engine that a host keeps in a thread-local variable.
        static DEAD: Cell<*mut Dead> = const { Cell::new(std::ptr::null_mut()) };
    }
    /// Leaves no pointer to the list behind.
    struct Forget;
    impl Drop for Forget {
        fn drop(&mut self) {
            DEAD.set(std::ptr::null_mut());
        }
    }
    let outer = DEAD.get();
    if !outer.is_null() {
        // SAFETY: the list of a call further up this stack, which has no reference to it while it frees.
        unsafe { (*outer).push(head) };
        return;
    }
    let mut list = Dead(std::ptr::null_mut());
    let dead = &raw mut list;
    DEAD.set(dead);
    let _forget = Forget;
    let mut next = Some(head);
    while let Some(head) = next {
        // SAFETY: nobody else knows the bundle; the list lives until the end of this call, and only calls below it use it otherwise.
        unsafe {
            std::mem::replace(&mut (*head).link, Link(0)).free(dead);
            free_block(head);
            next = (*dead).pop();
        }
    }
}

/// Memory of a bundle, without its head.
fn new_block(bytes: usize) -> *mut BundleHead {
    // As the head will say.
    let bytes = bytes.next_multiple_of(UNIT_BYTES);
    // SAFETY: the size is not 0.
    let block = unsafe { alloc(layout(bytes)) };
    if block.is_null() {
        handle_alloc_error(layout(bytes));
    }
    account::add(bytes);
    #[cfg(test)]
    live::add(block.cast());
    block.cast()
}

/// The bundles of this process, for tests.
#[cfg(test)]
pub(crate) mod live {
    use super::BundleHead;
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
    use std::thread::ThreadId;

    static BUNDLES: LazyLock<Mutex<HashMap<usize, ThreadId>>> = LazyLock::new(Mutex::default);

    fn bundles() -> MutexGuard<'static, HashMap<usize, ThreadId>> {
        BUNDLES.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn add(head: *mut BundleHead) {
        bundles().insert(head as usize, std::thread::current().id());
    }
    pub(super) fn remove(head: *mut BundleHead) {
        assert!(bundles().remove(&(head as usize)).is_some(), "freed twice");
    }
    /// Panics if there is no such bundle (any more).
    pub(crate) fn check(head: *mut BundleHead) {
        assert!(
            bundles().contains_key(&(head as usize)),
            "a bundle was freed early"
        );
    }
    /// How many bundles that this OS thread made are alive.
    pub(crate) fn count() -> usize {
        let me = std::thread::current().id();
        bundles().values().filter(|&&maker| maker == me).count()
    }
}

/// Makes a handle, in a bundle of its own with one reference, which is the caller's.
pub(crate) fn new_handle(type_id: u32, target: *const (), payload: Payload) -> Value {
    let form = match &payload {
        Payload::Source(_) => HandleForm::SOURCE,
        _ => HandleForm::ORDINARY,
    };
    let bytes = HEAD_BYTES + 8 + size_of::<Handle>();
    // SAFETY: the block has room for the head, one word and the handle.
    unsafe {
        let head = new_block(bytes);
        head.write(BundleHead::new(bytes, Link::payload(payload)));
        let word: *mut *mut BundleHead = head.add(1).cast();
        word.write(head);
        let handle: *mut Handle = word.add(1).cast();
        let mut header = Header::new(Kind::Handle, type_id, form);
        header.flags = FLAG_SHARED | FLAG_FROZEN | FLAG_IN_BUNDLE;
        handle.write(Handle { header, target });
        Value::shared(handle.cast())
    }
}

/// A shared value that is kept alive from outside of a heap: in a channel, under way to another thread, in the host.
/// Values that are no objects, and permanent ones, cost nothing.
pub struct SharedRef(Value);

// SAFETY: shared objects are immutable, their count is atomic.
unsafe impl Send for SharedRef {}
// SAFETY: as above.
unsafe impl Sync for SharedRef {}

impl SharedRef {
    /// `None` if the value is a local object.
    pub fn new(value: Value) -> Option<SharedRef> {
        if value.is_local() {
            return None;
        }
        if value.is_shared() {
            // SAFETY: the value is alive, so its bundle is.
            unsafe {
                if let Some(head) = bundle_of(value.as_object()) {
                    retain(head);
                }
            }
        }
        Some(SharedRef(value))
    }
    /// The value; `Heap::adopt` it before it goes into a register.
    pub fn value(&self) -> Value {
        self.0
    }
}

impl Clone for SharedRef {
    fn clone(&self) -> SharedRef {
        SharedRef::new(self.0).expect("the value is not local")
    }
}

impl Drop for SharedRef {
    fn drop(&mut self) {
        if self.0.is_shared() {
            // SAFETY: this reference was counted in `new`.
            unsafe {
                if let Some(head) = bundle_of(self.0.as_object()) {
                    release(head);
                }
            }
        }
    }
}

impl std::fmt::Debug for SharedRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shared {:?}", self.0)
    }
}

/// Why something cannot be frozen.
pub type FreezeError = GraphError;

impl Heap {
    /// A deeply immutable, shared version of `value`: local objects are copied into a bundle, shared ones are referred to, cycles
    /// and shared parts keep their form. Generators, iterators, tasks, host objects and variables that functions share
    /// (cells) cannot be frozen. The result is adopted by this heap.
    pub fn freeze(&mut self, value: Value) -> Result<Value, FreezeError> {
        if !value.is_local() {
            return Ok(value);
        }
        match self.flat_bundle(value, |_| false, |_| true) {
            Some(shared) => Ok(self.enter_made(shared)),
            None => self.freeze_as(value, visit_frozen),
        }
    }
    /// As `freeze`, if that takes no long time. `None`: it takes steps.
    pub(crate) fn freeze_few(&mut self, value: Value) -> Result<Option<Value>, FreezeError> {
        if !value.is_local() {
            return Ok(Some(value));
        }
        if let Some(shared) = self.flat_bundle(value, |_| false, |_| true) {
            return Ok(Some(self.enter_made(shared)));
        }
        let Some(graph) = Graph::of_few(value, visit_frozen)? else {
            return Ok(None);
        };
        let (_, shared) = self.bundle_of_graph(graph)?;
        Ok(Some(self.enter_made(shared)))
    }

    /// As `freeze`, of a graph without anything that could be changed: `Refused` names what could. `is_mutable` knows the types.
    pub(crate) fn promote(
        &mut self,
        value: Value,
        is_mutable: impl Fn(u32) -> bool,
    ) -> Result<Value, FreezeError> {
        if !value.is_local() {
            return Ok(value);
        }
        match self.flat_bundle(value, &is_mutable, |_| true) {
            Some(shared) => Ok(self.enter_made(shared)),
            None => self.freeze_as(value, |value, _| visit_immutable(value, &is_mutable)),
        }
    }
    /// `promote_out` of most of what crosses, in few steps; `None`: it takes the other way.
    #[inline]
    pub(crate) fn promote_small(
        &mut self,
        value: Value,
        is_mutable: impl Fn(u32) -> bool,
    ) -> Option<Value> {
        debug_assert!(value.is_local());
        self.flat_bundle(value, is_mutable, is_settled)
    }
    /// As `promote`, for someone else: the one reference is the caller's, and this heap does not hold the bundle. Each function that is part of it and not yet settled is
    /// `met`.
    pub(crate) fn promote_out(
        &mut self,
        value: Value,
        is_mutable: impl Fn(u32) -> bool,
        met: impl Fn(Value),
    ) -> Result<Value, FreezeError> {
        let (_, shared) = self.new_bundle(value, |value, _| {
            if !is_settled(value) {
                met(value);
            }
            visit_immutable(value, &is_mutable)
        })?;
        Ok(shared)
    }

    /// The bundle of one small object that leads to no other local one, as most messages and the functions of most threads are. `None`: it is none, or
    /// something stands in the way, which the long way finds out.
    fn flat_bundle(
        &mut self,
        value: Value,
        is_mutable: impl Fn(u32) -> bool,
        is_fit_part: impl Fn(Value) -> bool,
    ) -> Option<Value> {
        const MOST_BYTES: usize = 256;
        const MOST_BUNDLES: usize = 4;
        let object = value.as_object();
        // SAFETY: a live object of this heap; its values are alive.
        unsafe {
            let is_fit = match (*object).kind {
                Kind::Closure => is_fit_part(value),
                Kind::Tuple | Kind::Variant | Kind::Range => true,
                Kind::Str | Kind::Bytes | Kind::Int64 | Kind::Duration => true,
                Kind::Struct => !is_mutable((*object).type_id),
                _ => false,
            };
            if !is_fit {
                return None;
            }
            let bytes = object_bytes(object);
            if bytes > MOST_BYTES {
                return None;
            }
            let mut bundles = [std::ptr::null_mut(); MOST_BUNDLES];
            let mut count = 0;
            let mut is_flat = true;
            inline_values(object, &mut |first: *mut Value, values: usize| {
                for i in 0..values {
                    let part = *first.add(i);
                    if part.is_local() || part.is_shared() && !is_fit_part(part) {
                        is_flat = false;
                    } else if part.is_shared()
                        && let Some(bundle) = bundle_of(part.as_object())
                        && !bundles[..count].contains(&bundle)
                    {
                        if count == MOST_BUNDLES {
                            is_flat = false;
                        } else {
                            bundles[count] = bundle;
                            count += 1;
                        }
                    }
                }
            });
            let whole = HEAD_BYTES + size_of::<*mut BundleHead>() + bytes;
            if !is_flat || self.reserve_shared(whole).is_err() {
                return None;
            }
            let head = new_block(whole);
            let word: *mut *mut BundleHead = head.wrapping_add(1).cast();
            word.write(head);
            let copy: *mut Header = word.add(1).cast();
            std::ptr::copy_nonoverlapping(object.cast::<u64>(), copy.cast(), bytes / 8);
            (*copy).flags = (*copy).flags & FLAG_ASCII | FLAG_FROZEN | FLAG_SHARED | FLAG_IN_BUNDLE;
            for &bundle in &bundles[..count] {
                retain(bundle);
            }
            head.write(BundleHead::new(whole, Link::bundles(&bundles[..count])));
            Some(Value::shared(copy))
        }
    }

    fn freeze_as(
        &mut self,
        value: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<Value, FreezeError> {
        let (_, shared) = self.new_bundle(value, visit)?;
        Ok(self.enter_made(shared))
    }
    /// The one reference of a new bundle becomes this heap's.
    pub(super) fn enter_made(&mut self, shared: Value) -> Value {
        // SAFETY: a value of the bundle, which its reference keeps.
        unsafe {
            if let Some(head) = bundle_of(shared.as_object()) {
                self.bundles.enter(head, true);
            }
        }
        self.note_bundle_bytes();
        shared
    }
    /// Copies a graph into a bundle, whose one reference is the caller's.
    fn new_bundle(
        &mut self,
        value: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<(*mut BundleHead, Value), FreezeError> {
        let mut graph = Graph::new();
        graph.walk(value, visit)?;
        self.bundle_of_graph(graph)
    }
    fn bundle_of_graph(
        &mut self,
        mut graph: Graph,
    ) -> Result<(*mut BundleHead, Value), FreezeError> {
        let bytes = Block::bytes(&graph);
        self.reserve_shared(bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let mut block = Block::new(bytes);
        let mut bundles = Vec::new();
        // SAFETY: `graph.bytes` counted what the block hands out; bundles met are alive, since live values lead to them.
        unsafe {
            let copy = graph.copy(
                &mut block,
                |value, _| value.is_local(),
                |value| Block::note_bundle(&mut bundles, value),
            );
            Ok(block.finish(copy, bundles))
        }
    }

    /// As `adopt`, of a value whose one reference is the caller's and becomes this heap's.
    #[inline]
    pub(crate) fn adopt_owned(&mut self, value: Value) -> Value {
        debug_assert!(!value.is_local());
        if value.is_shared() {
            // SAFETY: the caller's reference keeps the value alive.
            unsafe {
                if let Some(head) = bundle_of(value.as_object()) {
                    self.bundles.enter(head, true);
                    self.note_bundle_bytes();
                }
            }
        }
        value
    }

    /// The same of a value of a bundle of which this heap holds none: one that was made just now, or the first value of a new heap.
    #[inline]
    pub(crate) fn adopt_new(&mut self, value: Value) -> Value {
        debug_assert!(!value.is_local());
        if value.is_shared() {
            // SAFETY: the caller's reference keeps the value alive.
            unsafe {
                if let Some(head) = bundle_of(value.as_object()) {
                    debug_assert!(!self.bundles.holds(head));
                    self.bundles.enter_new(head);
                    self.note_bundle_bytes();
                }
            }
        }
        value
    }

    /// A shared value came from elsewhere (a `SharedRef`): from now on this heap keeps it alive as long as it holds it.
    #[inline]
    pub fn adopt(&mut self, value: Value) -> Value {
        debug_assert!(!value.is_local());
        if value.is_shared() {
            // SAFETY: the caller's reference keeps the value alive.
            unsafe {
                if let Some(head) = bundle_of(value.as_object()) {
                    self.bundles.enter(head, false);
                    self.note_bundle_bytes();
                }
            }
        }
        value
    }
}

/// What can be frozen.
pub(super) fn visit_frozen(value: Value, _is_key: bool) -> Visit {
    if value.is_shared() {
        return Visit::Keep;
    }
    match value.kind() {
        Some(Kind::Generator | Kind::Iter | Kind::Task | Kind::Host) => Visit::Refuse,
        // SAFETY: values that can be met are alive.
        Some(Kind::Cell) if unsafe { (*value.as_object()).aux } != crate::object::Cell::FIXED => {
            Visit::Refuse
        }
        _ => Visit::Take,
    }
}

/// Not a function, or one of which is known that whatever it names can cross.
#[inline(always)]
pub(crate) fn is_settled(value: Value) -> bool {
    // SAFETY: values that can be met are alive; the kind says what it is, and prototypes live as long as the engine.
    unsafe {
        !value.is_kind(Kind::Closure)
            || (*(*value.as_object().cast::<Closure>()).proto())
                .is_settled
                .load(Ordering::Relaxed)
    }
}

/// What cannot be changed.
fn visit_immutable(value: Value, is_mutable: impl Fn(u32) -> bool) -> Visit {
    match visit_frozen(value, false) {
        Visit::Take => match value.kind() {
            Some(Kind::List | Kind::Map | Kind::Set) => Visit::Refuse,
            Some(Kind::Struct) if is_mutable(value.type_id()) => Visit::Refuse,
            _ => Visit::Take,
        },
        other => other,
    }
}

/// A bundle's block that is being filled. Dropped before it is finished, it is freed.
pub(super) struct Block {
    head: *mut BundleHead,
    cursor: *mut u8,
    bytes: usize,
}

impl Block {
    /// How many bytes it takes for all objects of a graph: each has one word in front of it.
    pub(super) fn bytes(graph: &Graph) -> usize {
        HEAD_BYTES + graph.bytes + graph.len() * 8
    }
    pub(super) fn new(bytes: usize) -> Block {
        let head = new_block(bytes);
        Block {
            head,
            cursor: head.wrapping_add(1).cast(),
            bytes,
        }
    }
    /// A shared value in it stays: so will its bundle.
    ///
    /// # Safety
    /// The value is alive.
    pub(super) unsafe fn note_bundle(bundles: &mut Vec<*mut BundleHead>, value: Value) {
        // SAFETY: the caller's.
        if let Some(bundle) = unsafe { bundle_of(value.as_object()) }
            && bundles.last() != Some(&bundle)
        {
            bundles.push(bundle);
        }
    }
    /// The bundle, with one reference, which is the caller's, and `copy`, its first object, as a value.
    ///
    /// # Safety
    /// The block is filled; the bundles are alive.
    pub(super) unsafe fn finish(
        self,
        copy: *mut Header,
        mut bundles: Vec<*mut BundleHead>,
    ) -> (*mut BundleHead, Value) {
        let (head, bytes) = (self.head, self.bytes);
        debug_assert!(self.cursor as usize <= head as usize + bytes);
        std::mem::forget(self);
        if bundles.len() > 1 {
            bundles.sort_unstable();
            bundles.dedup();
        }
        // SAFETY: the caller's; the head is ours.
        unsafe {
            for &bundle in &bundles {
                retain(bundle);
            }
            head.write(BundleHead::new(bytes, Link::bundles(&bundles)));
        }
        (head, Value::shared(copy))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        #[cfg(test)]
        live::remove(self.head);
        let bytes = self.bytes.next_multiple_of(UNIT_BYTES);
        // SAFETY: allocated with this size in `new`, and nobody knows it.
        unsafe { dealloc(self.head.cast(), layout(bytes)) };
        account::subtract(bytes);
    }
}

impl Target for Block {
    #[inline(always)]
    fn place(&mut self, bytes: usize) -> (*mut Header, u8) {
        let word: *mut *mut BundleHead = self.cursor.cast();
        self.cursor = self.cursor.wrapping_add(bytes + 8);
        // SAFETY: the block has room for all.
        unsafe {
            word.write(self.head);
            (
                word.add(1).cast(),
                FLAG_FROZEN | FLAG_SHARED | FLAG_IN_BUNDLE,
            )
        }
    }
    fn place_buffer(&mut self, bytes: usize) -> (*mut Header, u8) {
        let place = self.cursor;
        self.cursor = place.wrapping_add(bytes);
        (place.cast(), FLAG_FROZEN | FLAG_SHARED)
    }
    fn value(&self, copy: *mut Header) -> Value {
        Value::shared(copy)
    }
}

impl Target for &SharedArena {
    fn place(&mut self, bytes: usize) -> (*mut Header, u8) {
        (
            SharedArena::place(self, bytes).cast(),
            FLAG_FROZEN | FLAG_SHARED,
        )
    }
    fn place_buffer(&mut self, bytes: usize) -> (*mut Header, u8) {
        Target::place(self, bytes)
    }
    fn value(&self, copy: *mut Header) -> Value {
        Value::shared(copy)
    }
}

/// Permanent objects: what the linker makes (constants, functions, types). Freed when the engine ends, all at once.
#[derive(Default)]
pub struct SharedArena {
    state: parking_lot::Mutex<ArenaState>,
}

#[derive(Default)]
struct ArenaState {
    blocks: Vec<(*mut u8, usize)>,
    bump: usize,
    end: usize,
    /// Bundles that permanent objects refer to.
    kept: Vec<SharedRef>,
}

// SAFETY: the state is behind a lock; what it handed out is shared objects.
unsafe impl Send for SharedArena {}
// SAFETY: as above.
unsafe impl Sync for SharedArena {}

const ARENA_BLOCK_BYTES: usize = 16 * 1024;

impl SharedArena {
    pub fn new() -> SharedArena {
        SharedArena::default()
    }
    /// A permanent object of `bytes` (header included); the caller fills its body before anyone else sees it.
    pub fn alloc(&self, header: Header, bytes: usize) -> *mut Header {
        let object: *mut Header = self.place(size::object_room(bytes)).cast();
        // SAFETY: fresh memory of this size.
        unsafe {
            object.write(header);
            (*object).flags |= FLAG_SHARED;
        }
        object
    }
    /// Data of a permanent buffer, zeroed.
    pub fn alloc_buffer(&self, kind: Kind, bytes: usize) -> *mut u8 {
        let buffer: *mut Buffer = self.place(align_up(size_of::<Buffer>() + bytes)).cast();
        let mut header = Header::new(kind, type_id::INTERNAL, 0);
        header.flags = FLAG_SHARED;
        // SAFETY: fresh memory of this size.
        unsafe {
            buffer.write(Buffer {
                header,
                bytes: bytes as u64,
            });
            let data = size::buffer_data(buffer);
            std::ptr::write_bytes(data, 0, bytes);
            data
        }
    }
    /// A permanent, frozen version of a value, as `Heap::freeze` makes a counted one.
    pub fn freeze(&self, value: Value) -> Result<Value, FreezeError> {
        if !value.is_local() {
            self.keep(value);
            return Ok(value);
        }
        self.freeze_as(value, visit_frozen)
    }
    /// A permanent version of a value, as `Heap::promote` makes a counted one.
    pub(crate) fn promote(
        &self,
        value: Value,
        is_mutable: impl Fn(u32) -> bool,
    ) -> Result<Value, FreezeError> {
        if !value.is_local() {
            self.keep(value);
            return Ok(value);
        }
        self.freeze_as(value, |value, _| visit_immutable(value, &is_mutable))
    }
    fn freeze_as(
        &self,
        value: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<Value, FreezeError> {
        let mut graph = Graph::new();
        graph.walk(value, visit)?;
        let mut target = self;
        // SAFETY: the arena hands out fresh memory.
        let copy = unsafe {
            graph.copy(
                &mut target,
                |value, _| value.is_local(),
                |value| self.keep(value),
            )
        };
        Ok(Value::shared(copy))
    }
    /// Keeps a shared value alive as long as the arena.
    pub fn keep(&self, value: Value) {
        if value.is_shared()
            // SAFETY: the value is alive.
            && unsafe { bundle_of(value.as_object()) }.is_some()
            && let Some(reference) = SharedRef::new(value)
        {
            self.state.lock().kept.push(reference);
        }
    }
    /// Bytes taken from the system.
    pub fn bytes(&self) -> usize {
        self.state.lock().blocks.iter().map(|block| block.1).sum()
    }

    fn place(&self, bytes: usize) -> *mut u8 {
        let mut state = self.state.lock();
        if state.end - state.bump < bytes {
            let size = bytes.max(ARENA_BLOCK_BYTES);
            // SAFETY: the size is not 0.
            let block = unsafe { alloc(layout(size)) };
            if block.is_null() {
                handle_alloc_error(layout(size));
            }
            state.blocks.push((block, size));
            if bytes > ARENA_BLOCK_BYTES / 4 {
                return block;
            }
            state.bump = block as usize;
            state.end = block as usize + size;
        }
        let place = state.bump as *mut u8;
        state.bump += align_up(bytes);
        place
    }
}

impl Drop for SharedArena {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        // First: what they hold may be permanent objects (the value that a `Scoped` begins with).
        state.kept.clear();
        for &(block, bytes) in &state.blocks {
            // SAFETY: allocated in `place`; the contract says that nobody holds objects of it any more.
            unsafe { dealloc(block, layout(bytes)) };
        }
    }
}
