//! Parcels: a mutable graph under way between threads, in a heap of its own, which the receiver takes over.
//!
//! | what | how it becomes the receiver's |
//! | --- | --- |
//! | the receiver is fresh | it becomes the parcel's heap |
//! | one small chunk | copied: a chunk would take more than it holds |
//! | young chunks | they stand in front of the receiver's own: its next collection looks at them as at its own |
//! | old blocks, large objects | they get a place in the receiver's tables |
//! | bundles | they enter: as old ones if old objects came along, since a minor collection does not look at those |
//!
//! Invariant: a parcel's old objects refer to no young ones unless they are remembered; no mark and no sweep is running in
//! its heap; it has no Rust objects.

use super::collect::Phase;
use super::graph::{Graph, GraphError, Visit};
use super::table::BundleTable;
use super::{Heap, copy};
use crate::value::Value;

/// See the head of the file.
pub(crate) struct Parcel {
    heap: Heap,
    value: Value,
}

impl Parcel {
    /// A local value in a heap that holds nothing else, as `Heap::copy_out` returns them.
    pub(crate) fn new(heap: Heap, value: Value) -> Parcel {
        debug_assert!(value.is_local());
        Parcel { heap, value }
    }

    /// What is left of a thread: of its heap `value`, which is local, and what that leads to. If that is bound to its thread, the heap comes back.
    pub(crate) fn of_thread(mut heap: Heap, value: Value) -> Result<Parcel, (Heap, GraphError)> {
        let bundles = std::cell::RefCell::new(BundleTable::default());
        let mut graph = Graph::of_instances();
        let walked = graph.walk(value, |value, _| {
            if value.is_shared() {
                // SAFETY: the value is alive.
                unsafe { bundles.borrow_mut().enter_value(value) };
                return Visit::Keep;
            }
            copy::visit_movable(value)
        });
        if let Err(refused) = walked {
            drop(graph);
            return Err((heap, refused));
        }
        if heap.is_mostly(&mut graph) {
            drop(graph);
            heap.bundles = bundles.into_inner();
            return Ok(Parcel::new(heap, value));
        }
        let mut fresh = Heap::new(usize::MAX);
        let copy = fresh.fill(&mut graph, |value, _| value.is_local());
        Ok(Parcel::new(fresh, Value::local(copy)))
    }

    /// The value, to be looked at where it is.
    pub(crate) fn value(&self) -> Value {
        self.value
    }
    /// The value in the receiver's heap. If that has no room, the parcel comes back.
    pub(crate) fn deliver(self, heap: &mut Heap) -> Result<Value, Parcel> {
        let Parcel {
            heap: parcel,
            value,
        } = self;
        let back = |heap| Parcel { heap, value };
        if parcel.inner.is_none() && !heap.is_fresh() {
            return heap.import(value).map_err(|_| back(parcel));
        }
        match heap.take_over(parcel) {
            Ok(()) => Ok(value),
            Err(parcel) => Err(back(parcel)),
        }
    }
}

impl Heap {
    /// It has had no object yet.
    pub(crate) fn is_fresh(&self) -> bool {
        self.inner.is_none() && self.bump.is_null()
    }

    /// Whether this heap can be handed over as it is: at least a quarter of it is the graph (young bytes count twice), and it is at rest.
    /// Then what else it remembers is forgotten: dead objects, whose bundles may go.
    fn is_mostly(&mut self, graph: &mut Graph) -> bool {
        if self.inner.is_none() {
            return true;
        }
        if self.used_bytes() > 4 * graph.bytes {
            return false;
        }
        let inner = self.inner();
        if !inner.hosts.is_empty() {
            return false;
        }
        if let Some(generations) = inner.generations.as_deref_mut() {
            if generations.phase != Phase::Idle {
                return false;
            }
            generations
                .remembered
                .retain(|&object| graph.contains(Value::local(object)));
        }
        true
    }

    /// Takes all over that another heap has; it comes back if that would be too much.
    pub(super) fn take_over(&mut self, mut other: Heap) -> Result<(), Heap> {
        if self.reserve_all_of(&other).is_err() {
            return Err(other);
        }
        let taken_over = other.used_bytes();
        let has_old = other
            .inner
            .as_ref()
            .is_some_and(|i| i.generations.is_some());
        self.bundles
            .take_over(std::mem::take(&mut other.bundles), has_old);
        if self.is_fresh() {
            std::mem::swap(&mut self.bump, &mut other.bump);
            std::mem::swap(&mut self.bump_end, &mut other.bump_end);
            std::mem::swap(&mut self.inner, &mut other.inner);
        } else {
            self.take_objects(other);
        }
        self.note_bundle_bytes();
        let bump = self.bump;
        if let Some(inner) = self.inner.as_deref_mut() {
            inner.taken_over += taken_over;
            let is_due = inner.young.used(bump) > inner.trigger || inner.is_growth_due();
            self.collect_wanted |= is_due;
        }
        Ok(())
    }

    fn take_objects(&mut self, mut other: Heap) {
        other.inner();
        let (bump, bump_end) = (other.bump, other.bump_end);
        (other.bump, other.bump_end) = (std::ptr::null_mut(), std::ptr::null_mut());
        let mut from = *other.inner.take().expect("made above");
        from.young.retire(bump);
        self.inner();
        let inner = self.inner.as_deref_mut().expect("made above");
        let young = std::mem::take(&mut from.young);
        if self.bump.is_null() {
            inner.young = young;
            (self.bump, self.bump_end) = (bump, bump_end);
        } else {
            inner.young.take_over(young);
        }
        inner.large.take_over(&mut from.large);
        if let Some(mut theirs) = from.generations.take() {
            if inner.generations.is_none() {
                inner.begin_generations();
            }
            let ours = inner.generations();
            ours.space.take_over(&mut theirs.space);
            ours.remembered.append(&mut theirs.remembered);
            ours.small_bytes += theirs.small_bytes;
        }
    }

    /// Gives a fresh heap a chunk of this size.
    pub(super) fn first_chunk_of(&mut self, bytes: usize) {
        let inner = self.inner();
        let ends = inner.young.add_chunk(&mut inner.pool, bytes);
        (self.bump, self.bump_end) = ends;
    }
}
