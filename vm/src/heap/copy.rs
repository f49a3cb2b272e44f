//! Deep copies.
//!
//! | | |
//! | --- | --- |
//! | `deep_copy` | for the same heap: what cannot change by its nature (texts, numbers, functions, types, keys of maps) is referred to |
//! | `copy_out` | for another thread, in a heap of its own: what is local must come along, whatever it is |
//! | `import` | out of a heap that goes: what is shared, frozen containers too, stays shared |
//!
//! Contract: the value is alive; nothing is collected meanwhile.

use super::collect::Generations;
use super::graph::{Graph, GraphError, PIECE_VALUES, Target, Visit, has_object};
use super::large::LargeSpace;
use super::{Heap, Inner, MAX_SMALL_BYTES, NeedsCollection};
use crate::object::trace::is_leaf;
use crate::object::*;
use crate::value::Value;
use std::cell::Cell;

/// Why something cannot be copied.
pub type CopyError = GraphError;

/// A parcel with more than this is made of old objects: the receiver's next collection does not move them.
const OLD_PARCEL_BYTES: usize = 64 * 1024;

impl Heap {
    /// A deep mutable copy. Generators, iterators, tasks and host objects cannot be copied; functions are shared with the original.
    pub fn deep_copy(&mut self, value: Value) -> Result<Value, CopyError> {
        if !value.is_object() {
            return Ok(value);
        }
        if let Some((heap, copy)) = self.copy_out_flat(value)? {
            return self.take_copy(heap, copy);
        }
        let keeps_local = Cell::new(false);
        let mut graph = Graph::of_instances();
        graph.walk(value, visit_and_note(&keeps_local))?;
        self.copy_of_graph(value, graph, keeps_local.get())
    }
    /// As `deep_copy`, if that takes no long time. `None`: it takes steps.
    pub(crate) fn copy_few(&mut self, value: Value) -> Result<Option<Value>, CopyError> {
        if !value.is_object() {
            return Ok(Some(value));
        }
        let keeps_local = Cell::new(false);
        match Graph::of_few(value, visit_and_note(&keeps_local))? {
            Some(graph) => {
                let copy = self.copy_of_graph(value, graph, keeps_local.get());
                copy.map(Some)
            }
            None => Ok(None),
        }
    }
    fn copy_of_graph(
        &mut self,
        value: Value,
        mut graph: Graph,
        keeps_local: bool,
    ) -> Result<Value, CopyError> {
        if graph.len() == 0 {
            return Ok(value);
        }
        self.reserve(graph.bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let replaces = |_, is_key: bool| !is_key;
        // A large copy that leads to nothing else here is made of old objects, as a parcel is: this heap's next collection need not move it.
        if graph.bytes > OLD_PARCEL_BYTES && !keeps_local {
            let mut heap = Heap::new(usize::MAX);
            let copy = heap.fill(&mut graph, replaces);
            drop(graph);
            return self.take_copy(heap, Value::local(copy));
        }
        // SAFETY: the heap hands out fresh memory; what the copy refers to is kept for this heap already.
        let copy = unsafe { graph.copy(&mut Young(self), replaces, |_| ()) };
        Ok(Value::local(copy))
    }
    /// Takes over a copy that was made in a heap of its own.
    fn take_copy(&mut self, heap: Heap, copy: Value) -> Result<Value, CopyError> {
        match self.take_over(heap) {
            Ok(()) => Ok(copy),
            Err(_) => Err(GraphError::NeedsCollection),
        }
    }

    /// A deep mutable copy in a heap of its own, for another thread. A value without a copy that is local leaves that heap empty.
    pub(crate) fn copy_out(&mut self, value: Value) -> Result<(Heap, Value), CopyError> {
        let mut heap = Heap::new(usize::MAX);
        if !value.is_object() {
            return Ok((heap, value));
        }
        if let Some(flat) = self.copy_out_flat(value)? {
            return Ok(flat);
        }
        let mut graph = Graph::of_instances();
        graph.walk(value, |value, is_key| {
            if value.is_shared() {
                visit_mutable(value, is_key)
            } else {
                visit_movable(value)
            }
        })?;
        if graph.len() == 0 {
            return Ok((heap, value));
        }
        self.reserve_shared(graph.bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let replaces = |value: Value, is_key: bool| value.is_local() || !is_key;
        let copy = heap.fill(&mut graph, replaces);
        Ok((heap, Value::local(copy)))
    }

    /// A copy in a heap of its own of a list that is long and holds no objects: copied while it is looked through, since a look first
    /// would read it twice. `None`: it is no such list.
    fn copy_out_flat(&mut self, value: Value) -> Result<Option<(Heap, Value)>, CopyError> {
        if !value.is_kind(Kind::List) {
            return Ok(None);
        }
        // SAFETY: the list is alive; copies are whole before they are seen.
        unsafe {
            let original = value.as_object().cast::<List>();
            let (from, len) = ((*original).items, (*original).len as usize);
            if len * size_of::<Value>() <= MAX_SMALL_BYTES || has_object(from) {
                return Ok(None);
            }
            self.reserve_shared(len * size_of::<Value>())
                .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
            let mut heap = Heap::new(usize::MAX);
            let header = Header::new(Kind::List, (*original).header.type_id, 0);
            let list = heap.alloc(header, size_of::<List>()).cast::<List>();
            let to: *mut Value = heap
                .alloc_buffer(Kind::ValueBuffer, len * size_of::<Value>())
                .cast();
            let mut at = 0;
            while len - at >= PIECE_VALUES {
                if has_object(from.add(at)) {
                    return Ok(None);
                }
                std::ptr::copy_nonoverlapping(from.add(at), to.add(at), PIECE_VALUES);
                at += PIECE_VALUES;
            }
            for i in at..len {
                let value = from.add(i).read();
                if value.is_object() {
                    return Ok(None);
                }
                to.add(i).write(value);
            }
            (*list).len = len as u32;
            (*list).capacity = len as u32;
            (*list).items = to;
            Ok(Some((heap, Value::local(list.cast()))))
        }
    }

    /// Copies a graph of another heap, which nobody changes meanwhile: all its local objects; shared ones are adopted.
    pub(crate) fn import(&mut self, value: Value) -> Result<Value, CopyError> {
        if !value.is_local() {
            return Ok(self.adopt(value));
        }
        let mut graph = movable_graph(value)?;
        self.reserve(graph.bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let mut bundles = std::mem::take(&mut self.bundles);
        // SAFETY: the heap hands out fresh memory; what is shared is alive.
        let copy = unsafe {
            graph.copy(
                &mut Young(self),
                |value, _| value.is_local(),
                |value| bundles.enter_value(value),
            )
        };
        self.bundles = bundles;
        self.note_bundle_bytes();
        Ok(Value::local(copy))
    }

    /// Copies a graph into this heap, which is empty.
    pub(super) fn fill(
        &mut self,
        graph: &mut Graph,
        replaces: impl Fn(Value, bool) -> bool,
    ) -> *mut Header {
        let mut bundles = std::mem::take(&mut self.bundles);
        // SAFETY: what is shared is alive.
        let keeps = |value| unsafe { bundles.enter_value(value) };
        // SAFETY: the heap hands out fresh memory.
        let copy = unsafe {
            if graph.bytes > OLD_PARCEL_BYTES {
                self.use_generations();
                let inner = self.inner();
                let mut target = Old::new(inner);
                let copy = graph.copy(&mut target, replaces, keeps);
                target.end();
                copy
            } else {
                if graph.small_bytes > super::nursery::FIRST_CHUNK_BYTES {
                    self.first_chunk_of(graph.small_bytes);
                }
                graph.copy(&mut Young(self), replaces, keeps)
            }
        };
        self.bundles = bundles;
        copy
    }
}

/// The local objects of a graph that can be handed over to another thread.
pub(super) fn movable_graph(value: Value) -> Result<Graph, CopyError> {
    let mut graph = Graph::of_instances();
    graph.walk(value, |value, _| {
        if value.is_shared() {
            Visit::Keep
        } else {
            visit_movable(value)
        }
    })?;
    Ok(graph)
}

/// As `visit_mutable`; notes whether something of this heap is referred to.
fn visit_and_note(keeps_local: &Cell<bool>) -> impl Fn(Value, bool) -> Visit {
    |value, is_key| {
        let visit = visit_mutable(value, is_key);
        if matches!(visit, Visit::Keep) && value.is_local() {
            keeps_local.set(true);
        }
        visit
    }
}

/// Takes what is, or leads to, something mutable.
pub(super) fn visit_mutable(value: Value, is_key: bool) -> Visit {
    let object = value.as_object();
    // SAFETY: the value is alive.
    let (kind, aux) = unsafe { ((*object).kind, (*object).aux) };
    match kind {
        _ if is_key => Visit::Keep,
        Kind::Generator | Kind::Iter | Kind::Task | Kind::Host => Visit::Refuse,
        Kind::Closure | Kind::Cell | Kind::Type => Visit::Keep,
        Kind::Struct | Kind::Variant if aux == 0 => Visit::Keep,
        kind if is_leaf(kind) => Visit::Keep,
        _ => Visit::Take,
    }
}

/// Takes what is not bound to its thread.
pub(super) fn visit_movable(value: Value) -> Visit {
    match value.kind() {
        Some(Kind::Generator | Kind::Iter | Kind::Task | Kind::Host) => Visit::Refuse,
        _ => Visit::Take,
    }
}

/// Copies are born in the heap as any object is.
struct Young<'heap>(&'heap mut Heap);

impl Target for Young<'_> {
    #[inline(always)]
    fn place(&mut self, bytes: usize) -> (*mut Header, u8) {
        // The header is written over; a large object of kind `RawBuffer` would be cleared first.
        let place = self.0.alloc(Header::new(Kind::ValueBuffer, 0, 0), bytes);
        // SAFETY: `alloc` wrote the header.
        (place, unsafe { (*place).flags })
    }
    fn place_buffer(&mut self, bytes: usize) -> (*mut Header, u8) {
        self.place(bytes)
    }
    fn value(&self, copy: *mut Header) -> Value {
        Value::local(copy)
    }
}

/// Copies are old at once; all of them, so that none refers to a young object.
pub(super) struct Old<'heap> {
    generations: &'heap mut Generations,
    large: &'heap mut LargeSpace,
    small_bytes: usize,
}

impl<'heap> Old<'heap> {
    /// Into the old space, which there is.
    pub(super) fn new(inner: &'heap mut Inner) -> Old<'heap> {
        Old {
            generations: inner.generations.as_deref_mut().expect("there is one"),
            large: &mut inner.large,
            small_bytes: 0,
        }
    }
    /// What was copied counts.
    pub(super) fn end(self) {
        self.generations.small_bytes += self.small_bytes;
    }
}

impl Target for Old<'_> {
    #[inline(always)]
    fn place(&mut self, bytes: usize) -> (*mut Header, u8) {
        if bytes > MAX_SMALL_BYTES {
            let object = self.large.alloc_old(bytes);
            return (object, FLAG_OLD | FLAG_BARRIER | FLAG_LARGE);
        }
        self.small_bytes += bytes;
        (self.generations.space.alloc(bytes), FLAG_OLD | FLAG_BARRIER)
    }
    fn place_buffer(&mut self, bytes: usize) -> (*mut Header, u8) {
        self.place(bytes)
    }
    fn value(&self, copy: *mut Header) -> Value {
        Value::local(copy)
    }
}
