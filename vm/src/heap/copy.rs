//! `copy(x)`: a deep, mutable copy in the local heap. Cycles and shared parts keep their form; what cannot change by its nature
//! (texts, numbers, functions, types, keys of maps) is referred to, not copied.
//!
//! Contract: the value is alive; nothing is collected meanwhile.

use super::graph::{Graph, GraphError, Visit, buffers};
use super::{Heap, NeedsCollection};
use crate::object::size::object_bytes;
use crate::object::trace::{all_values, is_leaf};
use crate::object::*;
use crate::value::Value;

/// Why something cannot be copied.
pub type CopyError = GraphError;

impl Heap {
    /// A deep mutable copy. Generators, iterators, tasks and host objects cannot be copied; functions are shared with the original.
    pub fn deep_copy(&mut self, value: Value) -> Result<Value, CopyError> {
        if !value.is_object() {
            return Ok(value);
        }
        let graph = Graph::walk(value, |value, is_key| {
            let object = value.as_object();
            // SAFETY: the value is alive.
            let (kind, aux) = unsafe { ((*object).kind, (*object).aux) };
            match kind {
                _ if is_key => Visit::Keep,
                Kind::Generator | Kind::Iter | Kind::Task | Kind::Host => Visit::Refuse,
                Kind::Closure | Kind::Cell => Visit::Keep,
                Kind::Struct | Kind::Variant if aux == 0 => Visit::Keep,
                kind if is_leaf(kind) => Visit::Keep,
                _ => Visit::Take,
            }
        })?;
        if graph.objects.is_empty() {
            return Ok(value);
        }
        self.reserve(graph.bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let mut copies = Vec::with_capacity(graph.objects.len());
        // SAFETY: originals are alive; each copy is whole before anything else happens.
        unsafe {
            for &object in &graph.objects {
                copies.push(self.copy_object(object));
            }
            for &copy in &copies {
                let has_keys = matches!((*copy).kind, Kind::Map | Kind::Set);
                let mut number = 0;
                all_values(copy, |first, count| {
                    for i in 0..count {
                        let slot = first.add(i);
                        let value = slot.read();
                        let is_key = has_keys && number % 2 == 0;
                        number += 1;
                        if value.is_object()
                            && !is_key
                            && let Some(at) = graph.position(value.as_object())
                        {
                            slot.write(Value::local(copies[at]));
                        }
                    }
                });
            }
        }
        Ok(Value::local(copies[0]))
    }

    /// Copies one object and its buffers; the values in it still lead to the originals.
    ///
    /// # Safety
    /// The object is alive and no generator, iterator, task or host object.
    unsafe fn copy_object(&mut self, object: *mut Header) -> *mut Header {
        // SAFETY: the copy has the size of the original; buffers are linked before anything else happens.
        unsafe {
            let bytes = object_bytes(object);
            let mut header = *object;
            header.flags &= FLAG_ASCII;
            let copy = self.alloc(header, bytes);
            let body = bytes / 8 - 1;
            std::ptr::copy_nonoverlapping(
                object.cast::<u64>().add(1),
                copy.cast::<u64>().add(1),
                body,
            );
            let [first, second] = buffers(object);
            match header.kind {
                Kind::List => {
                    let list = copy.cast::<List>();
                    (*list).capacity = (*list).len;
                    (*list).items = self.copy_buffer(Kind::ValueBuffer, first).cast();
                }
                Kind::Map | Kind::Set => {
                    let map = copy.cast::<Map>();
                    (*map).capacity = (*map).used;
                    (*map).entries = self.copy_buffer(Kind::ValueBuffer, first).cast();
                    (*map).index = self.copy_buffer(Kind::RawBuffer, second).cast();
                    (*map).next_index = std::ptr::null_mut();
                }
                _ => {}
            }
            copy
        }
    }

    unsafe fn copy_buffer(&mut self, kind: Kind, (data, bytes): (*mut u8, usize)) -> *mut u8 {
        if data.is_null() || bytes == 0 {
            return std::ptr::null_mut();
        }
        let copy = self.alloc_buffer(kind, bytes);
        // SAFETY: both have `bytes` bytes.
        unsafe { std::ptr::copy_nonoverlapping(data, copy, bytes) };
        copy
    }
}

impl Heap {
    /// Takes over a graph of another heap, which nobody changes meanwhile: all its local objects are copied, shared ones adopted.
    pub(crate) fn import(&mut self, value: Value) -> Result<Value, CopyError> {
        if !value.is_local() {
            return Ok(self.adopt(value));
        }
        let graph = movable_graph(value)?;
        self.reserve(graph.bytes)
            .map_err(|NeedsCollection| GraphError::NeedsCollection)?;
        let mut copies = Vec::with_capacity(graph.objects.len());
        // SAFETY: originals are alive; each copy is whole before anything else happens.
        unsafe {
            for &object in &graph.objects {
                copies.push(self.copy_object(object));
            }
            for &copy in &copies {
                all_values(copy, |first, count| {
                    for i in 0..count {
                        let slot = first.add(i);
                        let value = slot.read();
                        if value.is_local() {
                            let at = graph.position(value.as_object());
                            slot.write(Value::local(copies[at.expect("part of the graph")]));
                        } else if value.is_shared() {
                            self.adopt(value);
                        }
                    }
                });
            }
        }
        Ok(Value::local(copies[0]))
    }
}

/// The local objects of a graph that can be handed over to another thread.
pub(crate) fn movable_graph(value: Value) -> Result<Graph, CopyError> {
    Graph::walk(value, |value, _| {
        if value.is_shared() {
            return Visit::Keep;
        }
        match value.kind() {
            Some(Kind::Generator | Kind::Iter | Kind::Task | Kind::Host) => Visit::Refuse,
            _ => Visit::Take,
        }
    })
}
