//! Walks all that a value reaches in the local heap, for `freeze` and `copy`: first the whole graph is visited, checked and
//! measured, then it is copied; so a failure leaves nothing behind. Worklists only: depth costs no native stack.

use crate::object::size::object_bytes;
use crate::object::*;
use crate::value::Value;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Hashes addresses: a multiplication; the low bits of an address are always 0.
#[derive(Default)]
pub(crate) struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte as usize);
        }
    }
    fn write_usize(&mut self, i: usize) {
        let mixed = (self.0 ^ i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// A map keyed by addresses.
pub(crate) type AddressMap<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// So many objects are searched in a row: most of what is frozen or copied is small.
const FEW: usize = 8;

/// One step from an object to one that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Element of a list or tuple.
    Index(usize),
    /// The value under this key of a map (or a key itself, a set's element).
    Key(Value),
    /// Field of a struct or variant: type id, position.
    Field(u32, usize),
    /// Capture of a function.
    Capture(usize),
    /// Some other part.
    Part,
}

/// Why a graph cannot be frozen or copied.
#[derive(Clone, Debug)]
pub enum GraphError {
    /// `value` cannot; it is reached from the start by `path`.
    Refused { path: Vec<Step>, value: Value },
    /// There must be a collection first: try again after one, then it is a `LimitError`.
    NeedsCollection,
}

/// What to do with an object that is met.
pub(crate) enum Visit {
    /// Part of the graph: copy it and go on into it.
    Take,
    /// Refer to it as it is.
    Keep,
    Refuse,
}

/// The objects of a graph, in the order in which they were met.
pub(crate) struct Graph {
    pub(crate) objects: Vec<*mut Header>,
    /// Object -> position in `objects`; empty while those are few.
    index: AddressMap<u32>,
    /// Bytes of all objects and their buffers.
    pub(crate) bytes: usize,
    /// How each was reached: position of its holder, number of the value in the holder.
    parents: Vec<(u32, u32)>,
}

impl Graph {
    /// Visits all that `start` reaches; `visit(object, is it a map's key)` decides for each object that is met.
    pub(crate) fn walk(
        start: Value,
        mut visit: impl FnMut(Value, bool) -> Visit,
    ) -> Result<Graph, GraphError> {
        let mut graph = Graph {
            objects: Vec::new(),
            index: AddressMap::default(),
            bytes: 0,
            parents: Vec::new(),
        };
        graph.meet(start, (u32::MAX, 0), false, &mut visit)?;
        let mut next = 0;
        while next < graph.objects.len() {
            let object = graph.objects[next];
            let mut number = 0;
            let mut failure = None;
            // SAFETY: the objects of the graph are alive.
            let has_keys = unsafe { matches!((*object).kind, Kind::Map | Kind::Set) };
            // SAFETY: values are alive while nothing is collected.
            unsafe {
                crate::object::trace::all_values(object, |first, count| {
                    for i in 0..count {
                        let value = first.add(i).read();
                        if value.is_object() && failure.is_none() {
                            let is_key = has_keys && number % 2 == 0;
                            failure = graph
                                .meet(value, (next as u32, number), is_key, &mut visit)
                                .err();
                        }
                        number += 1;
                    }
                });
            }
            if let Some(error) = failure {
                return Err(error);
            }
            next += 1;
        }
        Ok(graph)
    }

    fn meet(
        &mut self,
        value: Value,
        parent: (u32, u32),
        is_key: bool,
        visit: &mut impl FnMut(Value, bool) -> Visit,
    ) -> Result<(), GraphError> {
        let object = value.as_object();
        if self.position(object).is_some() {
            return Ok(());
        }
        match visit(value, is_key) {
            Visit::Keep => Ok(()),
            Visit::Refuse => Err(GraphError::Refused {
                path: self.path(parent),
                value,
            }),
            Visit::Take => {
                self.objects.push(object);
                let count = self.objects.len();
                if count > FEW {
                    let first = if self.index.is_empty() { 0 } else { count - 1 };
                    for at in first..count {
                        self.index.insert(self.objects[at] as usize, at as u32);
                    }
                }
                self.parents.push(parent);
                // SAFETY: the object is alive.
                unsafe {
                    self.bytes += object_bytes(object);
                    for (_, bytes) in buffers(object) {
                        if bytes > 0 {
                            self.bytes += size_of::<Buffer>() + bytes;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// The position of an object of the graph.
    pub(crate) fn position(&self, object: *mut Header) -> Option<usize> {
        if self.index.is_empty() {
            self.objects.iter().position(|&known| known == object)
        } else {
            self.index.get(&(object as usize)).map(|&at| at as usize)
        }
    }

    /// The steps from the start to the value that `last` names.
    fn path(&self, last: (u32, u32)) -> Vec<Step> {
        let mut path = Vec::new();
        let (mut holder, mut number) = last;
        while holder != u32::MAX {
            // SAFETY: the objects of the graph are alive.
            path.push(unsafe { step(self.objects[holder as usize], number as usize) });
            (holder, number) = self.parents[holder as usize];
        }
        path.reverse();
        path
    }
}

/// The buffers of an object: pointer to the data (null: none) and how many bytes of it are in use.
///
/// # Safety
/// The object is alive.
pub(crate) unsafe fn buffers(object: *mut Header) -> [(*mut u8, usize); 2] {
    // SAFETY: the kind says which layout it is.
    unsafe {
        match (*object).kind {
            Kind::List => {
                let list = object.cast::<List>();
                let bytes = (*list).len as usize * size_of::<Value>();
                [((*list).items.cast(), bytes), (std::ptr::null_mut(), 0)]
            }
            Kind::Map | Kind::Set => {
                let map = object.cast::<Map>();
                let bytes = (*map).used as usize * size_of::<Entry>();
                let index_bytes = (*map).index_slots as usize * 8;
                [
                    ((*map).entries.cast(), bytes),
                    ((*map).index.cast(), index_bytes),
                ]
            }
            _ => [(std::ptr::null_mut(), 0); 2],
        }
    }
}

/// What the `number`th value of an object is to it.
///
/// # Safety
/// The object is alive and has so many values.
unsafe fn step(object: *mut Header, number: usize) -> Step {
    // SAFETY: the kind says which layout it is.
    unsafe {
        match (*object).kind {
            Kind::List | Kind::Tuple => Step::Index(number),
            Kind::Map | Kind::Set => {
                let map = object.cast::<Map>();
                Step::Key((*(*map).entries.add(number / 2)).key)
            }
            Kind::Struct | Kind::Variant => Step::Field((*object).type_id, number),
            Kind::Closure => Step::Capture(number),
            _ => Step::Part,
        }
    }
}
