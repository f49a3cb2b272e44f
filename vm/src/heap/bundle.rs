//! Shared objects: permanent ones in an arena, and bundles: frozen graphs in one block with one atomic count.
//!
//! A shared object never moves and is never changed. Its header has `FLAG_SHARED`; if it has `FLAG_IN_BUNDLE` too, the word in
//! front of it is the address of the bundle's head.
//!
//! Who counts: each heap that holds values of a bundle holds *one* reference, through its `BundleTable`, no matter how many values
//! lead there; each `SharedRef` (a channel's buffer, a message under way) holds one; a bundle holds one to each bundle that its
//! objects refer to. A heap drops its reference when a full collection no longer met the bundle. Freeing uses a worklist.
//!
//! Contract: values passed in here are alive; `SharedArena` outlives all heaps that hold values of it.

use super::graph::{AddressMap, Graph, GraphError, Visit, buffers};
use super::{Heap, NeedsCollection};
use crate::object::size::object_bytes;
use crate::object::trace::all_values;
use crate::object::*;
use crate::value::Value;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// On a shared object: it lies in a bundle.
pub(crate) const FLAG_IN_BUNDLE: u8 = FLAG_OLD;

/// The first words of a bundle.
pub(crate) struct BundleHead {
    count: AtomicUsize,
    /// Of the whole block.
    bytes: usize,
    /// Bundles that objects of this one refer to; one reference each.
    refers_to: Vec<*mut BundleHead>,
    /// What the handle in it names.
    _payload: Payload,
}

/// What a handle names: it lives as long as its bundle.
#[expect(dead_code, reason = "owns what the handle points to")]
pub(crate) enum Payload {
    None,
    Object(Box<crate::shared::SharedObject>),
    Thread(Arc<crate::sched::ThreadBlock>),
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

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 16).expect("a bundle's size was checked against the limit")
}

/// Takes one more reference.
pub(crate) unsafe fn retain(head: *mut BundleHead) {
    // SAFETY: the caller holds a reference, so the head is alive.
    let before = unsafe { (*head).count.fetch_add(1, Ordering::Relaxed) };
    assert!(before < usize::MAX / 2, "bundle count overflow");
}

/// Gives one reference back, and frees what nobody refers to any more.
pub(crate) unsafe fn release(head: *mut BundleHead) {
    thread_local! {
        /// Bundles to be given back by the call of `release` that is running on this OS thread: what a handle names may hold further
        /// bundles (messages in a channel), which must not be freed by recursion.
        static PENDING: std::cell::RefCell<Option<Vec<*mut BundleHead>>> = const { std::cell::RefCell::new(None) };
    }
    // SAFETY: passed on.
    unsafe {
        if (*head).count.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        fence(Ordering::Acquire);
        // The reference that is worked off below.
        (*head).count.store(1, Ordering::Relaxed);
    }
    let is_nested = PENDING.with_borrow_mut(|pending| match pending {
        Some(pending) => {
            pending.push(head);
            true
        }
        None => {
            *pending = Some(vec![head]);
            false
        }
    });
    if is_nested {
        return;
    }
    while let Some(head) = PENDING.with_borrow_mut(|pending| pending.as_mut().and_then(Vec::pop)) {
        // SAFETY: the reference that is given back kept the head alive; the last one frees it, after all others' accesses.
        unsafe {
            if (*head).count.fetch_sub(1, Ordering::Release) == 1 {
                fence(Ordering::Acquire);
                let refers_to = std::mem::take(&mut (*head).refers_to);
                PENDING.with_borrow_mut(|pending| {
                    pending
                        .as_mut()
                        .expect("set above")
                        .extend_from_slice(&refers_to);
                });
                let bytes = (*head).bytes;
                std::ptr::drop_in_place(head);
                dealloc(head.cast(), layout(bytes));
            }
        }
    }
    PENDING.set(None);
}

/// Makes a handle, in a bundle of its own with one reference, which is the caller's.
pub(crate) fn new_handle(type_id: u32, target: *const (), payload: Payload) -> Value {
    let head_bytes = size_of::<BundleHead>().next_multiple_of(16);
    let bytes = head_bytes + 8 + size_of::<Handle>();
    // SAFETY: the size is not 0; the block has room for the head, one word and the handle.
    unsafe {
        let block = alloc(layout(bytes));
        if block.is_null() {
            handle_alloc_error(layout(bytes));
        }
        let head: *mut BundleHead = block.cast();
        head.write(BundleHead {
            count: AtomicUsize::new(1),
            bytes,
            refers_to: Vec::new(),
            _payload: payload,
        });
        let word: *mut *mut BundleHead = block.add(head_bytes).cast();
        word.write(head);
        let handle: *mut Handle = word.add(1).cast();
        let mut header = Header::new(Kind::Handle, type_id, 0);
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

#[derive(Clone, Copy)]
struct TableEntry {
    /// The last full collection that met the bundle (or the one that will be next when it entered).
    epoch: u32,
    /// Bytes that this heap is charged for it: it made it.
    charged: usize,
}

/// The bundles a heap holds values of.
#[derive(Default)]
pub(crate) struct BundleTable {
    entries: AddressMap<TableEntry>,
    epoch: u32,
    /// Saves the look-up when values of the same bundle are met in a row; null: none.
    last_met: usize,
    /// Bytes of bundles that this heap made and still holds.
    pub(crate) charged: usize,
    /// Bytes of bundles that entered since the last full collection.
    pub(crate) entered: usize,
}

impl BundleTable {
    /// A value of the bundle has come to this heap. `owned`: the caller's reference becomes the table's.
    unsafe fn enter(&mut self, head: *mut BundleHead, owned: bool, charged: usize) {
        let epoch = self.epoch;
        match self.entries.entry(head as usize) {
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                debug_assert!(!owned);
                entry.get_mut().epoch = epoch;
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                if !owned {
                    // SAFETY: the caller's value is alive, so its bundle is.
                    unsafe { retain(head) };
                }
                entry.insert(TableEntry { epoch, charged });
                self.charged += charged;
                // SAFETY: as above.
                self.entered += unsafe { (*head).bytes };
            }
        }
    }
    /// A full collection begins: what it meets from now on is kept.
    pub(crate) fn begin_epoch(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.last_met = 0;
    }
    /// A full collection met this shared object.
    #[inline]
    pub(crate) unsafe fn meet(&mut self, object: *mut Header) {
        // SAFETY: the object is shared and alive.
        if let Some(head) = unsafe { bundle_of(object) }
            && self.last_met != head as usize
        {
            self.last_met = head as usize;
            // One that is not there is kept by a permanent object (a published global) or by a bundle that leads to it.
            if let Some(entry) = self.entries.get_mut(&(head as usize)) {
                entry.epoch = self.epoch;
            }
        }
    }
    /// A full collection ends: what it did not meet, and did not enter meanwhile, is given back.
    pub(crate) fn prune(&mut self) {
        let epoch = self.epoch;
        let mut charged = self.charged;
        self.entries.retain(|&head, entry| {
            let is_met = entry.epoch == epoch;
            if !is_met {
                charged -= entry.charged;
                // SAFETY: the table's reference.
                unsafe { release(head as *mut BundleHead) };
            }
            is_met
        });
        self.charged = charged;
        self.entered = 0;
        self.last_met = 0;
    }
    /// How many bundles the heap holds.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl Drop for BundleTable {
    fn drop(&mut self) {
        for &head in self.entries.keys() {
            // SAFETY: the table's reference.
            unsafe { release(head as *mut BundleHead) };
        }
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
        let graph = frozen_graph(value)?;
        self.freeze_graph(&graph)
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
        let graph = Graph::walk(value, |value, _| {
            if value.is_shared() {
                return Visit::Keep;
            }
            match value.kind() {
                Some(
                    Kind::Generator
                    | Kind::Iter
                    | Kind::Task
                    | Kind::Host
                    | Kind::Cell
                    | Kind::List
                    | Kind::Map
                    | Kind::Set,
                ) => Visit::Refuse,
                Some(Kind::Struct) if is_mutable(value.type_id()) => Visit::Refuse,
                _ => Visit::Take,
            }
        })?;
        self.freeze_graph(&graph)
    }

    fn freeze_graph(&mut self, graph: &Graph) -> Result<Value, FreezeError> {
        let head_bytes = size_of::<BundleHead>().next_multiple_of(16);
        // Each object has one word in front of it.
        let bytes = head_bytes + graph.bytes + graph.objects.len() * 8;
        self.reserve(bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        // SAFETY: the size is not 0; the block is filled before anyone sees it.
        let block = unsafe { alloc(layout(bytes)) };
        if block.is_null() {
            handle_alloc_error(layout(bytes));
        }
        let head: *mut BundleHead = block.cast();
        let mut cursor = block.wrapping_add(head_bytes);
        // SAFETY: `graph.bytes` counted what `place` hands out.
        let (copies, bundles) = unsafe {
            copy_frozen(
                graph,
                |bytes| {
                    let place = cursor;
                    cursor = cursor.wrapping_add(bytes);
                    place
                },
                Some(head),
            )
        };
        assert!(cursor as usize <= block as usize + bytes);
        // SAFETY: the head's place; bundles met are alive, since live values lead to them.
        unsafe {
            for &bundle in &bundles {
                retain(bundle);
            }
            head.write(BundleHead {
                count: AtomicUsize::new(1),
                bytes,
                refers_to: bundles,
                _payload: Payload::None,
            });
            self.inner().bundles.enter(head, true, bytes);
        }
        self.note_bundle_bytes();
        Ok(Value::shared(copies[0]))
    }

    /// As `adopt`, of a value whose one reference is the caller's and becomes this heap's.
    pub(crate) fn adopt_owned(&mut self, value: Value) -> Value {
        // SAFETY: the caller's reference keeps the value alive.
        unsafe {
            if let Some(head) = bundle_of(value.as_object()) {
                self.inner().bundles.enter(head, true, 0);
                self.note_bundle_bytes();
            }
        }
        value
    }

    /// A shared value came from elsewhere (a `SharedRef`): from now on this heap keeps it alive as long as it holds it.
    pub fn adopt(&mut self, value: Value) -> Value {
        debug_assert!(!value.is_local());
        if value.is_shared() {
            // SAFETY: the caller's reference keeps the value alive.
            unsafe {
                if let Some(head) = bundle_of(value.as_object()) {
                    self.inner().bundles.enter(head, false, 0);
                    self.note_bundle_bytes();
                }
            }
        }
        value
    }
}

/// The local objects of a graph that can be frozen.
fn frozen_graph(value: Value) -> Result<Graph, GraphError> {
    Graph::walk(value, |value, _| {
        if value.is_shared() {
            return Visit::Keep;
        }
        match value.kind() {
            Some(Kind::Generator | Kind::Iter | Kind::Task | Kind::Host | Kind::Cell) => {
                Visit::Refuse
            }
            _ => Visit::Take,
        }
    })
}

/// Copies a graph to places that never move, all frozen. Returns the copies and the bundles that they refer to.
///
/// # Safety
/// `place(bytes)` returns memory of that size, aligned to 8.
unsafe fn copy_frozen(
    graph: &Graph,
    mut place: impl FnMut(usize) -> *mut u8,
    head: Option<*mut BundleHead>,
) -> (Vec<*mut Header>, Vec<*mut BundleHead>) {
    let mut copies = Vec::with_capacity(graph.objects.len());
    let mut bundles = Vec::new();
    // SAFETY: the objects are alive; copies are whole before they are read.
    unsafe {
        for &object in &graph.objects {
            let bytes = object_bytes(object);
            let copy: *mut Header = match head {
                Some(head) => {
                    let word: *mut *mut BundleHead = place(bytes + 8).cast();
                    word.write(head);
                    word.add(1).cast()
                }
                None => place(bytes).cast(),
            };
            std::ptr::copy_nonoverlapping(object.cast::<u64>(), copy.cast(), bytes / 8);
            let kept = (*object).flags & (FLAG_ASCII | FLAG_FROZEN);
            let membership = if head.is_some() { FLAG_IN_BUNDLE } else { 0 };
            (*copy).flags = kept | FLAG_FROZEN | FLAG_SHARED | membership;
            let [first, second] = buffers(object);
            match (*copy).kind {
                Kind::List => {
                    let list = copy.cast::<List>();
                    (*list).capacity = (*list).len;
                    (*list).items = copy_buffer(Kind::ValueBuffer, first, &mut place).cast();
                }
                Kind::Map | Kind::Set => {
                    let map = copy.cast::<Map>();
                    (*map).capacity = (*map).used;
                    (*map).entries = copy_buffer(Kind::ValueBuffer, first, &mut place).cast();
                    (*map).index = copy_buffer(Kind::RawBuffer, second, &mut place).cast();
                    (*map).next_index = std::ptr::null_mut();
                }
                _ => {}
            }
            copies.push(copy);
        }
        for &copy in &copies {
            all_values(copy, |first, count| {
                for i in 0..count {
                    let slot = first.add(i);
                    let value = slot.read();
                    if value.is_local() {
                        let at = graph.position(value.as_object());
                        slot.write(Value::shared(copies[at.expect("part of the graph")]));
                    } else if value.is_shared()
                        && let Some(bundle) = bundle_of(value.as_object())
                    {
                        bundles.push(bundle);
                    }
                }
            });
        }
    }
    bundles.sort_unstable();
    bundles.dedup();
    (copies, bundles)
}

/// Copies the part of a buffer that is in use; null stays null.
unsafe fn copy_buffer(
    kind: Kind,
    (data, bytes): (*mut u8, usize),
    place: &mut impl FnMut(usize) -> *mut u8,
) -> *mut u8 {
    if data.is_null() || bytes == 0 {
        return std::ptr::null_mut();
    }
    // SAFETY: `place` returns enough memory, `data` has `bytes` initialised bytes.
    unsafe {
        let buffer: *mut Buffer = place(size_of::<Buffer>() + bytes).cast();
        let mut header = Header::new(kind, type_id::INTERNAL, 0);
        header.flags = FLAG_SHARED | FLAG_FROZEN;
        buffer.write(Buffer {
            header,
            bytes: bytes as u64,
        });
        let copy = size::buffer_data(buffer);
        std::ptr::copy_nonoverlapping(data, copy, bytes);
        copy
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
        let graph = frozen_graph(value)?;
        // SAFETY: `place` returns fresh memory.
        let (copies, _) = unsafe { copy_frozen(&graph, |bytes| self.place(bytes), None) };
        for &copy in &copies {
            // SAFETY: whole objects.
            unsafe {
                all_values(copy, |first, count| {
                    for i in 0..count {
                        self.keep(first.add(i).read());
                    }
                });
            }
        }
        Ok(Value::shared(copies[0]))
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
        for &(block, bytes) in &self.state.get_mut().blocks {
            // SAFETY: allocated in `place`; the contract says that nobody holds objects of it any more.
            unsafe { dealloc(block, layout(bytes)) };
        }
    }
}
