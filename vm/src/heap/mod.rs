//! A thread's heap: everything mutable of a thread, and everything not yet shared.
//!
//! | file | |
//! | --- | --- |
//! | `mod` | the interface: allocation, buffers, limits |
//! | `nursery` | bump spaces: where objects are born |
//! | `large` | objects over 4 KiB |
//! | `collect` | when and how much is collected |
//! | `evacuate` | moving collections of young objects |
//! | `barrier` | stores into old objects |
//! | `old` | size-class blocks of old objects, their sweep |
//! | `mark` | the mark of old objects, in steps |
//! | `verify` | checks of a whole heap, for tests |
//! | `bundle` | shared objects: freeze, bundles, the arena of permanent ones |
//! | `table` | the bundles that a heap holds |
//! | `copy`, `graph` | deep copies; what freeze and copy share |
//! | `long` | freeze and copy of many objects, in steps |
//! | `parcel` | mutable graphs under way between threads |
//! | `hosts` | Rust objects |
//!
//! # Protocol
//!
//! **Allocation never collects.** A collection happens only when the interpreter calls `collect` at a safepoint, with all live
//! values among the roots. Between safepoints raw values and pointers stay good. What does not fit gets a further chunk and sets
//! `collect_wanted`, which the interpreter polls.
//!
//! **Whoever allocates fills the body** before it does anything else with the heap: the collector trusts every header it can reach.
//!
//! **A buffer has one owner**, which links it at once. How much of a buffer is looked at is what its owner says is in use (a list's
//! `len`, a map's `used`), so the rest need not be cleared.
//!
//! **Stores.** After an object value is stored into an object or its buffer, `barrier` (fields), `barrier_at` (elements of a list,
//! entries of a map). After elements were moved inside a buffer (insert, remove, sort, reverse, rehash), and after a buffer from
//! `alloc_buffer` was linked to an owner that existed before, `elements_moved`. Filling a fresh object needs none.
//!
//! **Limit.** It is the program's: what of it is left to a heap is what the rest of the program has not taken (see `account`). Counted are blocks, chunks and the room a collection needs to copy. Small allocations succeed beyond the limit and set
//! `is_over_limit`, for which `collect` tries a full collection; if it is still set after that: `LimitError`. Natives call
//! `reserve` before any side effect.
//!
//! Contract of this folder's unsafe code: pointers to headers that come in from outside lead to live objects of this heap (or shared
//! ones where said), whose bodies are initialised; only the thread that owns the heap uses it.

mod barrier;
#[doc(hidden)]
pub mod bench;
pub(crate) mod bundle;
#[cfg(test)]
mod bundle_tests;
mod collect;
mod copy;
mod evacuate;
mod graph;
mod hosts;
mod large;
pub(crate) mod long;
mod mark;
#[cfg(test)]
mod model_tests;
mod nursery;
mod old;
pub(crate) mod parcel;
#[cfg(test)]
mod parcel_tests;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod verify;

pub use bundle::{FreezeError, SharedArena, SharedRef};
pub use copy::CopyError;
pub(crate) use graph::any_object;
pub use graph::{GraphError, Step};
pub use hosts::HostTable;

use crate::account;
use crate::object::size::{buffer_data, buffer_of, object_room};
use crate::object::*;
use crate::value::Value;
use collect::Generations;
use large::LargeSpace;
use nursery::{ChunkPool, FIRST_CHUNK_BYTES, NURSERY_BYTES, Space};
use std::any::Any;
use table::BundleTable;

/// Objects above this have an allocation of their own.
pub(crate) const MAX_SMALL_BYTES: usize = 4080;
/// A fresh heap is first collected when it holds this much.
const FIRST_TRIGGER_BYTES: usize = 4096;
/// Bytes of bundles that enter a tiny heap before it is collected.
const BUNDLE_TRIGGER_BYTES: usize = 16 * 1024;
/// Under the limit's pressure chunks become as small as this.
const MIN_CHUNK_BYTES: usize = 1024;
/// With a limit below this each chunk is checked from the first on.
const MIN_LIMIT_BYTES: usize = 4096;
/// One part in so many of the limit is for heaps only: see `Heap::reserve_shared`.
const HEADROOM: usize = 16;
/// The same after something was refused.
const LARGE_HEADROOM: usize = 12;
/// What a program that has met its limit has at most to give something back with. The first survivor of each size takes a whole block.
const MOST_MARGIN_BYTES: usize = 16 * old::BLOCK_BYTES;
/// After so many values were written in bulk a collection is wanted: the next has to look at all of them, which takes some ten nanoseconds each where they lead to
/// objects that are not in the cache.
const MAX_WRITTEN_VALUES: usize = 256 * 1024;
/// Fills memory that was left, so that a stale pointer shows.
const POISON: u8 = 0xDB;

/// How much of the roots is visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All, leaving no trace: for checks.
    Look,
    /// All.
    All,
    /// Values that have been visited since and cannot have changed may be left out.
    Changed,
}

/// What the collector starts from. The implementor calls `visit` with every run of values that is live.
pub trait Roots {
    /// `visit(first, count)`: the collector reads and may rewrite the values.
    fn visit(&mut self, extent: Extent, visit: &mut dyn FnMut(*mut Value, usize));
}

/// How thorough a collection is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// What is due: the young objects, and a step of the old space's mark or sweep.
    Minor,
    /// Everything, at once.
    Full,
    /// For tests: all that is young moves, what was left is poisoned, and the heap is verified (in debug builds). Some of these
    /// collections are full ones, and after some a small heap gets an old space, so that barriers are tried too.
    Stress,
}

/// There is no room under the limit before a collection; after a full one it is a `LimitError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeedsCollection;

/// Counters of a heap.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeapStats {
    /// Collections of young objects (in a small heap: of all).
    pub minor: u64,
    /// Collections of everything.
    pub full: u64,
    /// Of those, the ones whose mark took more than one step.
    pub marks_in_steps: u64,
    /// Time in collections.
    pub pause_ns: u64,
    pub longest_pause_ns: u64,
    /// Values that were visited as roots.
    pub root_values: u64,
    /// Bytes that survived the collections of young objects.
    pub survived_bytes: u64,
}

/// The part of a heap that exists as soon as it needs more than its first chunk: what a heap with a few objects does without.
pub(crate) struct Inner {
    young: Space,
    /// Bump pointer and end of the young space after a collection.
    young_ends: (*mut u8, *mut u8),
    /// What collections of mode `Stress` have saved up for a look at the whole heap, in bytes.
    stress_credit: usize,
    is_stress_full: bool,
    /// The running mark has been interrupted.
    is_mark_stepped: bool,
    /// How much a collection does does not depend on how long it takes.
    is_timeless: bool,
    pool: ChunkPool,
    /// Young bytes at which a collection is wanted.
    trigger: usize,
    large: LargeSpace,
    hosts: HostTable,
    stats: HeapStats,
    /// Objects that wait to be scanned; empty between collections.
    work: Vec<*mut Header>,
    /// Values that were written in bulk since the last collection.
    written: usize,
    /// Bytes of other heaps that were taken over since the last collection.
    taken_over: usize,
    /// See `Heap::pressure_at`.
    pressure_at: usize,
    is_relieving: bool,
    /// More comes than a mark or a sweep under way can keep up with at their usual pace.
    is_pressed: bool,
    /// What comes with an old space; a small heap has none.
    generations: Option<Box<Generations>>,
    /// A graph that is being frozen or copied in steps.
    long: Option<Box<long::LongGraph>>,
    /// What came of the last one, if it found no room.
    no_room: long::NoRoom,
}

/// A thread's heap; see the head of the file.
#[repr(C)]
pub struct Heap {
    pub(crate) bump: *mut u8,
    pub(crate) bump_end: *mut u8,
    /// A collection is due: the interpreter calls `collect` at the next safepoint.
    pub(crate) collect_wanted: bool,
    is_over_limit: bool,
    /// There was no room for something shared, and has not been enough since.
    has_refused: bool,
    /// The program was told that there is no room, and has not given any back since: it may use the last of it.
    has_met_limit: bool,
    /// Of the whole program.
    limit: usize,
    inner: Option<Box<Inner>>,
    bundles: BundleTable,
}

// SAFETY: a heap is used by one OS thread at a time; all that it points to is its own, or shared and immutable.
unsafe impl Send for Heap {}

impl Heap {
    /// A heap that costs nothing until the first allocation.
    #[inline]
    pub fn new(limit_bytes: usize) -> Heap {
        Heap {
            bump: std::ptr::null_mut(),
            bump_end: std::ptr::null_mut(),
            collect_wanted: false,
            is_over_limit: false,
            has_refused: false,
            has_met_limit: false,
            limit: limit_bytes,
            inner: None,
            bundles: BundleTable::default(),
        }
    }

    pub(crate) fn inner(&mut self) -> &mut Inner {
        let first = self.bump_end;
        self.inner.get_or_insert_with(|| {
            let mut young = Space::default();
            if !first.is_null() {
                young.adopt_first_chunk(first);
            }
            Box::new(Inner {
                young,
                young_ends: (std::ptr::null_mut(), std::ptr::null_mut()),
                stress_credit: 0,
                is_stress_full: false,
                is_mark_stepped: false,
                is_timeless: false,
                pool: ChunkPool::default(),
                trigger: FIRST_TRIGGER_BYTES,
                large: LargeSpace::default(),
                hosts: HostTable::default(),
                stats: HeapStats::default(),
                work: Vec::new(),
                written: 0,
                taken_over: 0,
                pressure_at: 0,
                is_relieving: false,
                is_pressed: false,
                generations: None,
                long: None,
                no_room: long::NoRoom::No,
            })
        })
    }

    /// An object of `bytes` (its header included), whose body the caller fills before it does anything else. Never collects.
    #[inline(always)]
    pub(crate) fn alloc(&mut self, header: Header, bytes: usize) -> *mut Header {
        let bytes = object_room(bytes);
        if bytes > MAX_SMALL_BYTES || (self.bump_end as usize) - (self.bump as usize) < bytes {
            return self.alloc_slow(header, bytes);
        }
        let object: *mut Header = self.bump.cast();
        self.bump = self.bump.wrapping_add(bytes);
        // SAFETY: the room was checked; chunks are ours and aligned.
        unsafe { object.write(header) };
        object
    }

    #[cold]
    #[inline(never)]
    fn alloc_slow(&mut self, header: Header, bytes: usize) -> *mut Header {
        if bytes > MAX_SMALL_BYTES {
            return self.alloc_large(header, bytes);
        }
        if self.bump.is_null() && self.inner.is_none() && self.limit >= MIN_LIMIT_BYTES {
            (self.bump, self.bump_end) = nursery::first_chunk();
        } else {
            self.new_chunk(bytes);
        }
        self.alloc(header, bytes)
    }

    /// Gives the bump pointer a chunk with at least `bytes`.
    fn new_chunk(&mut self, bytes: usize) {
        let bump = self.bump;
        let limit = self.own_limit();
        let inner = self.inner();
        let young = inner.young.used(bump);
        let mut is_wanted = young + bytes > inner.trigger;
        let mut chunk = inner.young.next_chunk_bytes();
        if is_wanted {
            // Room to reach the safepoint.
            chunk = chunk.min(NURSERY_BYTES / 8);
        } else if inner.generations.is_some() {
            chunk = inner.trigger - young;
        }
        // The chunk, and room to copy what will be in it.
        let room = limit.saturating_sub(inner.used_bytes(bump)) / 2;
        let is_over = room < bytes.max(MIN_CHUNK_BYTES);
        if chunk > room {
            chunk = MIN_CHUNK_BYTES.max(room / 2);
            is_wanted = true;
        }
        let chunk = chunk.max(bytes);
        inner.young.retire(bump);
        let (bump, bump_end) = inner.young.add_chunk(&mut inner.pool, chunk);
        self.bump = bump;
        self.bump_end = bump_end;
        self.collect_wanted |= is_wanted;
        self.is_over_limit |= is_over;
    }

    fn alloc_large(&mut self, header: Header, bytes: usize) -> *mut Header {
        let is_raw = header.kind == Kind::RawBuffer;
        self.alloc_large_as(header, bytes, is_raw)
    }

    /// An object whose body is zero. A long one takes no time: the system clears its pages when they are first written.
    pub(crate) fn alloc_zeroed(&mut self, header: Header, bytes: usize) -> *mut Header {
        let bytes = object_room(bytes);
        if bytes > MAX_SMALL_BYTES {
            return self.alloc_large_as(header, bytes, true);
        }
        let object = self.alloc(header, bytes);
        // SAFETY: `alloc` made room for `bytes`.
        unsafe {
            let body = size_of::<Header>();
            std::ptr::write_bytes(object.cast::<u8>().add(body), 0, bytes - body);
        }
        object
    }

    fn alloc_large_as(&mut self, mut header: Header, bytes: usize, zeroed: bool) -> *mut Header {
        header.flags |= FLAG_LARGE;
        let object = self.inner().large.alloc(bytes, zeroed);
        // SAFETY: fresh memory of this size.
        unsafe { object.write(header) };
        self.after_large();
        object
    }

    /// Bytes that a large object has room for, its header included.
    pub(crate) fn large_bytes(&mut self, object: *mut Header) -> usize {
        self.inner().large.entry(object).room()
    }

    /// Large memory was taken: is a collection due, is it too much?
    fn after_large(&mut self) {
        let bump = self.bump;
        let limit = self.own_limit();
        let inner = self.inner();
        let is_over = inner.used_bytes(bump) > limit;
        self.collect_wanted |= is_over || inner.is_growth_due();
        self.is_over_limit |= is_over;
    }

    /// Many values were written at once, or there is room for so many that a collection had better be over before they are.
    pub(super) fn note_written(&mut self, count: usize) {
        if let Some(inner) = self.inner.as_deref_mut() {
            inner.written += count;
            self.collect_wanted |= inner.written > MAX_WRITTEN_VALUES;
        }
    }

    /// Bundles came in: a collection, which gives back those that nobody needs any more, may be due.
    #[inline]
    pub(crate) fn note_bundle_bytes(&mut self) {
        if self.bundles.entered_bytes() > BUNDLE_TRIGGER_BYTES {
            self.want_for_bundles();
        }
    }

    #[cold]
    fn want_for_bundles(&mut self) {
        let trigger = match &self.inner {
            Some(inner) if inner.generations.is_some() => inner.large_trigger(),
            Some(inner) => inner.trigger,
            None => 0,
        };
        self.collect_wanted |= self.bundles.entered_bytes() > trigger;
    }

    /// Would `bytes` more stay under the limit, and, if they are many, leave something to go on with? To be asked before any side effect.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), NeedsCollection> {
        let fits = |bytes: usize| bytes.saturating_add(self.used_bytes()) <= self.own_limit();
        if self.has_ample_room(bytes)
            || fits(bytes.saturating_add(bytes.saturating_mul(8).min(2 * self.margin())))
        {
            return Ok(());
        }
        self.refuse()
    }
    /// A program that has no more than that left would only collect. One that was told so may use it to give something back.
    fn margin(&self) -> usize {
        match self.has_met_limit {
            true => 0,
            false => self.usual_margin(),
        }
    }
    fn usual_margin(&self) -> usize {
        (self.limit / 64).clamp(1024, MOST_MARGIN_BYTES)
    }
    /// A `LimitError` is thrown.
    pub(crate) fn note_limit_met(&mut self) {
        self.has_met_limit = true;
    }
    #[cold]
    fn refuse(&mut self) -> Result<(), NeedsCollection> {
        self.collect_wanted = true;
        self.is_over_limit = true;
        Err(NeedsCollection)
    }
    /// Would all that another heap has stay under the limit in this one? It is in use already.
    pub(crate) fn reserve_all_of(&mut self, other: &Heap) -> Result<(), NeedsCollection> {
        let both = self.taken_bytes() + other.taken_bytes();
        if self.used_bytes() + other.used_bytes() <= self.limit_with(both) {
            return Ok(());
        }
        self.refuse()
    }
    /// As `reserve`, of what a program makes of which it may have any number without holding it in a heap: messages, places for them, shared objects, tasks,
    /// threads. A part of the limit is not for these, so that a program that has met it so can go on.
    #[inline]
    pub(crate) fn reserve_shared(&mut self, bytes: usize) -> Result<(), NeedsCollection> {
        if !self.has_refused && self.has_ample_room(bytes) {
            return Ok(());
        }
        self.reserve_shared_exactly(bytes)
    }
    /// The last `reserve_shared` failed.
    #[inline]
    pub(crate) fn has_refused(&self) -> bool {
        self.has_refused
    }
    /// Whether the limit is far: at most what a collection copies is estimated, and that generously.
    #[inline]
    fn has_ample_room(&self, bytes: usize) -> bool {
        let copied = match &self.inner {
            Some(inner) => inner.young.capacity,
            None => FIRST_CHUNK_BYTES,
        };
        let total = account::total();
        let wanted = bytes.saturating_add(total + copied);
        // Without an account it is the heap's own bytes that count.
        total > 0 && wanted <= self.limit - self.limit / 8
    }
    #[cold]
    fn reserve_shared_exactly(&mut self, bytes: usize) -> Result<(), NeedsCollection> {
        // After a collection that gave back next to nothing the program would only collect.
        let parts = if self.has_refused {
            LARGE_HEADROOM
        } else {
            HEADROOM
        };
        let wanted = bytes.saturating_add(self.limit / parts);
        self.has_refused = wanted.saturating_add(self.used_bytes()) > self.own_limit();
        if self.has_refused {
            self.refuse()
        } else {
            Ok(())
        }
    }
    /// What of the limit the rest of the program leaves to this heap.
    fn own_limit(&self) -> usize {
        self.limit_with(self.taken_bytes())
    }
    /// What of the limit is left besides what the program has taken but for these bytes.
    fn limit_with(&self, bytes: usize) -> usize {
        let others = account::total().saturating_sub(bytes);
        self.limit.saturating_sub(others)
    }
    /// Bytes that the account knows of as this heap's.
    fn taken_bytes(&self) -> usize {
        match &self.inner {
            Some(inner) => inner.taken_bytes(),
            None if self.bump.is_null() => 0,
            None => FIRST_CHUNK_BYTES,
        }
    }

    /// The next collection is a full one, and is due.
    pub(crate) fn want_full_collection(&mut self) {
        (self.collect_wanted, self.is_over_limit) = (true, true);
    }
    /// More is in use than the limit allows, even after the last collection.
    pub fn is_over_limit(&self) -> bool {
        self.is_over_limit
    }
    /// A collection is due.
    pub fn is_collect_wanted(&self) -> bool {
        self.collect_wanted
    }
    /// Bytes of this heap that count against the limit: blocks, chunks, and the room needed to copy.
    pub fn used_bytes(&self) -> usize {
        match &self.inner {
            Some(inner) => inner.used_bytes(self.bump),
            None if self.bump.is_null() => 0,
            None => 2 * FIRST_CHUNK_BYTES,
        }
    }
    pub fn limit(&self) -> usize {
        self.limit
    }
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
        if self.used_bytes() > self.own_limit() {
            self.collect_wanted = true;
            self.is_over_limit = true;
        }
    }
    /// At so many bytes elsewhere in the program this heap is collected, though little was allocated here: what it lets go of may be there; 0: not known yet. `None`: a heap
    /// without objects does not know.
    pub(crate) fn pressure_at(&mut self) -> Option<&mut usize> {
        self.inner.as_mut().map(|inner| &mut inner.pressure_at)
    }
    /// Further collections look at everything, in steps as ever, until `is_relieved`.
    pub(crate) fn begin_relief(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.is_relieving = true;
            if let Some(generations) = &mut inner.generations {
                generations.mark_at = 0;
            }
        }
    }
    pub(crate) fn is_relieving(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.is_relieving)
    }
    /// After a collection: whether everything was looked at since `begin_relief`.
    pub(crate) fn is_relieved(&mut self) -> bool {
        let Some(inner) = &mut self.inner else {
            return true;
        };
        let is_idle = |g: &Generations| g.phase == collect::Phase::Idle;
        let is_relieved = inner.generations.as_deref().is_none_or(is_idle);
        inner.is_relieving &= !is_relieved;
        is_relieved
    }
    /// From now on collections go by bytes alone, not by the system's clock: the same program does the same each time.
    pub(crate) fn set_timeless(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.is_timeless = true;
        }
    }
    pub fn stats(&self) -> HeapStats {
        match &self.inner {
            Some(inner) => inner.stats,
            None => HeapStats::default(),
        }
    }

    /// Data of a fresh buffer of `bytes` bytes, which the owner links at once. A `RawBuffer` is zeroed.
    pub(crate) fn alloc_buffer(&mut self, kind: Kind, bytes: usize) -> *mut u8 {
        debug_assert!(matches!(kind, Kind::ValueBuffer | Kind::RawBuffer));
        let whole = align_up(size_of::<Buffer>() + bytes);
        let object = self.alloc(Header::new(kind, type_id::INTERNAL, 0), whole);
        if kind == Kind::ValueBuffer && whole > MAX_SMALL_BYTES {
            self.note_written(bytes / size_of::<Value>());
        }
        // SAFETY: `whole` has room for the head and the data.
        unsafe {
            let buffer = object.cast::<Buffer>();
            let bytes = whole - size_of::<Buffer>();
            (*buffer).bytes = bytes as u64;
            let data = buffer_data(buffer);
            if kind == Kind::RawBuffer && !(*object).has(FLAG_LARGE) {
                std::ptr::write_bytes(data, 0, bytes);
            }
            data
        }
    }

    /// Gives the buffer with this data room for `new_bytes` (more or fewer) and returns where its data is now; the owner links it
    /// at once. `data` may be null. What is added is zero in a `RawBuffer`, undefined in a `ValueBuffer`.
    pub(crate) fn grow_buffer(
        &mut self,
        owner: *mut Header,
        data: *mut u8,
        kind: Kind,
        new_bytes: usize,
    ) -> *mut u8 {
        if data.is_null() {
            let fresh = self.alloc_buffer(kind, new_bytes);
            self.buffer_linked(owner);
            return fresh;
        }
        let new_bytes = align_up(new_bytes);
        let whole = size_of::<Buffer>() + new_bytes;
        // SAFETY: `data` belongs to a buffer of this heap; sizes are as its header says.
        unsafe {
            let buffer = buffer_of(data);
            let object: *mut Header = buffer.cast();
            let old_bytes = (*buffer).bytes as usize;
            debug_assert!((*object).kind == kind);
            if (*object).has(FLAG_LARGE) && whole > MAX_SMALL_BYTES {
                let moved = self.inner().large.resize(object, whole).cast::<Buffer>();
                (*moved).bytes = new_bytes as u64;
                if kind == Kind::ValueBuffer {
                    self.note_written(new_bytes.saturating_sub(old_bytes) / size_of::<Value>());
                }
                let data = buffer_data(moved);
                if kind == Kind::RawBuffer && new_bytes > old_bytes {
                    std::ptr::write_bytes(data.add(old_bytes), 0, new_bytes - old_bytes);
                }
                self.after_large();
                return data;
            }
            // The object that was allocated last grows where it is.
            if data.wrapping_add(old_bytes) == self.bump
                && new_bytes > old_bytes
                && whole <= MAX_SMALL_BYTES
                && self.bump_end as usize - self.bump as usize >= new_bytes - old_bytes
            {
                self.bump = self.bump.wrapping_add(new_bytes - old_bytes);
                (*buffer).bytes = new_bytes as u64;
                if kind == Kind::RawBuffer {
                    std::ptr::write_bytes(data.add(old_bytes), 0, new_bytes - old_bytes);
                }
                return data;
            }
            let fresh = self.alloc_buffer(kind, new_bytes);
            std::ptr::copy_nonoverlapping(data, fresh, old_bytes.min(new_bytes));
            self.buffer_linked(owner);
            fresh
        }
    }

    /// `owner` is about to refer to a fresh buffer.
    fn buffer_linked(&mut self, owner: *mut Header) {
        // SAFETY: the owner is alive.
        if unsafe { (*owner).has(FLAG_OLD) } {
            self.remember(owner);
        }
    }

    /// After `value` was stored into a field of `owner`. Elements of lists and entries of maps: `barrier_at`.
    #[inline(always)]
    pub(crate) fn barrier(&mut self, owner: *mut Header, value: Value) {
        // SAFETY: the owner is alive.
        if value.is_object() && unsafe { (*owner).has(FLAG_BARRIER) } {
            self.barrier_slow(owner, std::ptr::null_mut(), value);
        }
    }

    /// After `value` was stored into `slot` of `owner`'s buffer.
    #[inline(always)]
    pub(crate) fn barrier_at(&mut self, owner: *mut Header, slot: *mut Value, value: Value) {
        // SAFETY: the owner is alive.
        if value.is_object() && unsafe { (*owner).has(FLAG_BARRIER) } {
            self.barrier_slow(owner, slot, value);
        }
    }

    /// A script object for a Rust object, which is dropped when the script object dies.
    pub(crate) fn alloc_host(&mut self, type_id: u32, value: Box<dyn Any + Send>) -> *mut Header {
        let object = self.alloc(Header::new(Kind::Host, type_id, 0), size_of::<HostObject>());
        let index = self.inner().hosts.insert(object, value);
        // SAFETY: allocated with the size of a host object.
        unsafe { (*object.cast::<HostObject>()).index = index };
        object
    }
    /// The table of Rust objects.
    pub fn host_objects(&mut self) -> &mut HostTable {
        &mut self.inner().hosts
    }
    /// The same, of a heap that may have none.
    pub(crate) fn host_objects_if_any(&self) -> Option<&HostTable> {
        self.inner.as_deref().map(|inner| &inner.hosts)
    }
    /// How many bundles of shared objects this heap refers to.
    pub fn bundles(&self) -> usize {
        self.bundles.len()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        bundle::settle();
        if self.inner.is_none() && !self.bump_end.is_null() {
            let mut young = Space::default();
            young.adopt_first_chunk(self.bump_end);
        }
    }
}

impl Inner {
    fn used_bytes(&self, bump: *mut u8) -> usize {
        let reserve = self.young.used(bump).max(self.pool.bytes);
        self.young.capacity
            + reserve
            + self.block_bytes()
            + self.large.bytes
            + self.large.dying_bytes
    }
    fn taken_bytes(&self) -> usize {
        self.young.capacity
            + self.pool.bytes
            + self.block_bytes()
            + self.large.bytes
            + self.large.dying_bytes
    }
    fn block_bytes(&self) -> usize {
        match self.generations.as_deref() {
            Some(generations) => generations.space.block_bytes,
            None => 0,
        }
    }
    /// Whether so much large memory was taken, or taken over, since the last collection that another one is due: soon after a mark was due, and often enough while one is under way
    /// that it and the sweep are over before much more has come.
    fn is_growth_due(&self) -> bool {
        let new = self.large.new_bytes + self.taken_over;
        if new <= NURSERY_BYTES {
            return false;
        }
        let Some(generations) = self.generations.as_deref() else {
            return new > self.large.bytes / 2;
        };
        let old = generations.small_bytes + self.large.bytes;
        match generations.phase {
            collect::Phase::Idle => old > generations.mark_at || new > old / 2,
            _ => new > old / 8,
        }
    }
    /// New large bytes at which a collection is wanted.
    fn large_trigger(&self) -> usize {
        (self.large.bytes / 2).max(NURSERY_BYTES)
    }
}
