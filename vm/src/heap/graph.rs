//! All that a value reaches, for `freeze`, `copy` and parcels: first the whole graph is visited, checked and measured, then it is
//! copied; so a failure leaves nothing behind. Worklists only: depth costs no native stack.
//!
//! How it is known whether an object has been met, and as which:
//!
//! | graph | |
//! | --- | --- |
//! | up to `FEW` objects | they are compared in a row; nothing is allocated |
//! | more, local object | it is *listed*: while the graph exists it has `FLAG_SHARED`; once it is copied, its header names the copy (`forward`) |
//! | more, shared object | looked up in a table: other threads read it |
//!
//! Contract: nobody else looks at the heap while a `Graph` exists, and nothing is collected. Dropping it gives
//! the objects their headers back.

use crate::object::size::object_bytes;
use crate::object::trace::all_values;
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
const FEW: usize = 16;
/// So many values are looked at together for whether one of them is an object.
pub(super) const PIECE_VALUES: usize = 64;

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

/// One of at most `FEW` objects.
#[derive(Clone, Copy)]
struct Few {
    value: Value,
    copy: *mut Header,
}

/// One of many objects: its value, with `HAS_OBJECTS` in the address.
#[derive(Clone, Copy)]
struct Listed(u64);

/// The object holds object values. Addresses of objects are multiples of 8.
const HAS_OBJECTS: u64 = 1;

impl Listed {
    #[inline(always)]
    fn value(self) -> Value {
        Value::from_bits(self.0 & !HAS_OBJECTS)
    }
}

/// Writes the copy's address into the header of a listed object: its low 32 bits in place of the type id, the others in place of kind and `aux`;
/// the flags stay.
#[inline(always)]
unsafe fn forward(object: *mut Header, copy: *mut Header) {
    let address = copy as u64;
    // SAFETY: the object is alive; nobody reads its header as one before `forget` writes it anew.
    unsafe {
        let word: *mut u64 = object.cast();
        let flags = word.read() & (0xFF << 32);
        word.write(address & 0xFFFF_FFFF | flags | (address >> 32) << 40);
    }
}

/// What `forward` wrote.
#[inline(always)]
fn forwarded(word: u64) -> *mut Header {
    (word & 0xFFFF_FFFF | (word >> 40) << 32) as *mut Header
}

/// See the head of the file. The objects are in the order in which they were met.
pub(crate) struct Graph {
    few: [Few; FEW],
    few_count: usize,
    /// All objects, if they are more than `FEW`; else empty.
    many: Vec<Listed>,
    /// Shared objects in `many` -> copies, null until they are made.
    shared: AddressMap<*mut Header>,
    /// Bytes of all objects and their buffers.
    pub(crate) bytes: usize,
    /// Of those that are no large objects.
    pub(crate) small_bytes: usize,
    is_copied: bool,
}

impl Graph {
    pub(crate) fn new() -> Graph {
        Graph {
            few: [Few {
                value: Value::NIL,
                copy: std::ptr::null_mut(),
            }; FEW],
            few_count: 0,
            many: Vec::new(),
            shared: AddressMap::default(),
            bytes: 0,
            small_bytes: 0,
            is_copied: false,
        }
    }

    /// Visits all that `start` reaches; `visit(object, is it a map's key)` decides for each object that is met. Called once.
    pub(crate) fn walk(
        &mut self,
        start: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<(), GraphError> {
        if self.walk_all(start, &visit).is_err() {
            self.forget();
            return Err(explain(start, &visit));
        }
        Ok(())
    }

    fn walk_all(
        &mut self,
        start: Value,
        visit: &impl Fn(Value, bool) -> Visit,
    ) -> Result<(), Refused> {
        self.meet(start, false, visit)?;
        let mut next = 0;
        while next < self.len() {
            let object = self.get(next).as_object();
            let mut number = 0;
            let mut result = Ok(());
            let mut has_objects = false;
            // SAFETY: the objects of the graph are alive while nothing is collected.
            unsafe {
                let has_keys = matches!((*object).kind, Kind::Map | Kind::Set);
                all_values(object, |first, count| {
                    let mut at = 0;
                    while at < count {
                        let piece = (count - at).min(PIECE_VALUES);
                        if piece == PIECE_VALUES && !has_object(first.add(at)) {
                            at += piece;
                            continue;
                        }
                        for i in at..at + piece {
                            let value = first.add(i).read();
                            if value.is_object() && result.is_ok() {
                                has_objects = true;
                                let is_key = has_keys && (number + i) % 2 == 0;
                                result = self.meet(value, is_key, visit);
                            }
                        }
                        at += piece;
                    }
                    number += count;
                });
            }
            result?;
            if has_objects && let Some(listed) = self.many.get_mut(next) {
                listed.0 |= HAS_OBJECTS;
            }
            next += 1;
        }
        Ok(())
    }

    #[inline(always)]
    fn meet(
        &mut self,
        value: Value,
        is_key: bool,
        visit: &impl Fn(Value, bool) -> Visit,
    ) -> Result<(), Refused> {
        if self.contains(value) {
            return Ok(());
        }
        match visit(value, is_key) {
            Visit::Keep => Ok(()),
            Visit::Refuse => Err(Refused),
            Visit::Take => {
                let object = value.as_object();
                // SAFETY: the object is alive.
                unsafe {
                    let bytes = object_bytes(object);
                    self.count_bytes(bytes);
                    if matches!((*object).kind, Kind::List | Kind::Map | Kind::Set) {
                        for (_, bytes) in buffers(object) {
                            if bytes > 0 {
                                self.count_bytes(align_up(size_of::<Buffer>() + bytes));
                            }
                        }
                    }
                    self.push(value);
                }
                Ok(())
            }
        }
    }

    #[inline(always)]
    fn count_bytes(&mut self, bytes: usize) {
        self.bytes += bytes;
        if bytes <= super::MAX_SMALL_BYTES {
            self.small_bytes += bytes;
        }
    }

    #[inline(always)]
    fn push(&mut self, value: Value) {
        if self.many.is_empty() {
            if self.few_count < FEW {
                self.few[self.few_count].value = value;
                self.few_count += 1;
                return;
            }
            self.list_few();
        }
        self.list(value);
    }

    #[cold]
    #[inline(never)]
    fn list_few(&mut self) {
        self.many.reserve(16 * FEW);
        for at in 0..FEW {
            self.list(self.few[at].value);
            // Whether it holds objects was not noted.
            self.many[at].0 |= HAS_OBJECTS;
        }
    }

    /// Adds an object to `many`.
    #[inline(always)]
    fn list(&mut self, value: Value) {
        if value.is_local() {
            // SAFETY: the object is alive, and this thread's.
            unsafe { (*value.as_object()).flags |= FLAG_SHARED };
        } else {
            self.shared
                .insert(value.as_object() as usize, std::ptr::null_mut());
        }
        self.many.push(Listed(value.bits()));
    }

    /// Whether this value is one of its objects.
    #[inline(always)]
    pub(crate) fn contains(&self, value: Value) -> bool {
        if self.many.is_empty() {
            let few = &self.few[..self.few_count];
            few.iter().any(|known| known.value == value)
        } else if value.is_local() {
            // SAFETY: values of live objects; forwarding headers have their flags in place.
            unsafe { value.as_object().cast::<[u8; 8]>().read()[4] & FLAG_SHARED != 0 }
        } else {
            !self.shared.is_empty() && self.shared.contains_key(&(value.as_object() as usize))
        }
    }

    /// How many objects it has.
    pub(crate) fn len(&self) -> usize {
        self.few_count.max(self.many.len())
    }
    #[inline(always)]
    fn get(&self, at: usize) -> Value {
        match self.many.get(at) {
            Some(listed) => listed.value(),
            None => self.few[at].value,
        }
    }

    /// Gives the objects their headers back.
    fn forget(&mut self) {
        for listed in self.many.drain(..) {
            if listed.value().is_local() {
                let object = listed.value().as_object();
                // SAFETY: originals and copies are alive; but for the flags, a copy has its original's header.
                unsafe {
                    let word = object.cast::<u64>().read();
                    if self.is_copied {
                        let mut header = forwarded(word).read();
                        header.flags = (word >> 32) as u8;
                        object.write(header);
                    }
                    (*object).flags &= !FLAG_SHARED;
                }
            }
        }
        self.few_count = 0;
    }

    /// Copies the graph's objects; returns the copy of the first. `replaces(value, is it a map's key)` says for which values in copies the copy
    /// of an object of the graph stands in; `keeps` is told of each shared value that stays. Called once.
    ///
    /// # Safety
    /// `target` hands out fresh memory.
    pub(crate) unsafe fn copy(
        &mut self,
        target: &mut impl Target,
        replaces: impl Fn(Value, bool) -> bool,
        mut keeps: impl FnMut(Value),
    ) -> *mut Header {
        debug_assert!(!self.is_copied && self.len() > 0);
        // SAFETY: originals are alive; a copy is whole before its values are looked at.
        unsafe {
            if self.many.is_empty() {
                for few in &mut self.few[..self.few_count] {
                    few.copy = copy_object(few.value.as_object(), target);
                }
                self.is_copied = true;
                for few in &self.few[..self.few_count] {
                    self.replace(few.copy, target, &replaces, &mut keeps);
                }
                return self.few[0].copy;
            }
            for listed in &self.many {
                let object = listed.value().as_object();
                let copy = copy_object(object, target);
                if listed.value().is_local() {
                    forward(object, copy);
                } else {
                    self.shared.insert(object as usize, copy);
                }
            }
            self.is_copied = true;
            for listed in &self.many {
                if listed.0 & HAS_OBJECTS != 0 {
                    let copy = self.copy_of(listed.value()).expect("all are copied");
                    self.replace(copy, target, &replaces, &mut keeps);
                }
            }
            self.copy_of(self.many[0].value()).expect("all are copied")
        }
    }

    /// Puts copies in place of the originals that a copy refers to.
    #[inline(always)]
    unsafe fn replace(
        &self,
        copy: *mut Header,
        target: &impl Target,
        replaces: &impl Fn(Value, bool) -> bool,
        keeps: &mut impl FnMut(Value),
    ) {
        // SAFETY: the copy is whole.
        unsafe {
            let has_keys = matches!((*copy).kind, Kind::Map | Kind::Set);
            let mut number = 0;
            all_values(copy, |first, count| {
                for i in 0..count {
                    let slot = first.add(i);
                    let value = slot.read();
                    if !value.is_object() {
                        continue;
                    }
                    if replaces(value, has_keys && (number + i) % 2 == 0)
                        && let Some(copy) = self.copy_of(value)
                    {
                        slot.write(target.value(copy));
                    } else if value.is_shared() {
                        keeps(value);
                    }
                }
                number += count;
            });
        }
    }

    /// The copy of an object of the graph, once all are copied.
    #[inline(always)]
    unsafe fn copy_of(&self, value: Value) -> Option<*mut Header> {
        if self.many.is_empty() {
            let few = &self.few[..self.few_count];
            let known = few.iter().find(|known| known.value == value);
            known.map(|known| known.copy)
        } else if value.is_local() {
            // SAFETY: the object is alive; its header may be a forwarding one.
            let word = unsafe { value.as_object().cast::<u64>().read() };
            (word >> 32 & FLAG_SHARED as u64 != 0).then(|| forwarded(word))
        } else {
            self.shared.get(&(value.as_object() as usize)).copied()
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Where copies go.
pub(crate) trait Target {
    /// Memory for an object of `bytes` (a multiple of 8), and the flags that an object there has.
    fn place(&mut self, bytes: usize) -> (*mut Header, u8);
    /// As `place`, for a buffer.
    fn place_buffer(&mut self, bytes: usize) -> (*mut Header, u8);
    /// A copy as a value.
    fn value(&self, copy: *mut Header) -> Value;
}

/// Copies an object and its buffers, cut to what is in use; the values in it still lead to the originals.
#[inline(always)]
unsafe fn copy_object(object: *mut Header, target: &mut impl Target) -> *mut Header {
    // SAFETY: the object is whole; the copy has its size; buffers are linked at once.
    unsafe {
        let bytes = object_bytes(object);
        let (copy, flags) = target.place(bytes);
        let mut header = *object;
        header.flags = header.flags & FLAG_ASCII | flags;
        copy.write(header);
        let (from, to) = (object.cast::<u64>(), copy.cast::<u64>());
        to.add(1).write(from.add(1).read());
        if bytes > 16 {
            to.add(2).write(from.add(2).read());
            if bytes > 24 {
                std::ptr::copy_nonoverlapping(from.add(3), to.add(3), bytes / 8 - 3);
            }
        }
        match header.kind {
            Kind::List => {
                let list = copy.cast::<List>();
                let [items, _] = buffers(object);
                (*list).capacity = (*list).len;
                (*list).items = copy_buffer(Kind::ValueBuffer, items, target).cast();
            }
            Kind::Map | Kind::Set => {
                let map = copy.cast::<Map>();
                let [entries, index] = buffers(object);
                (*map).capacity = (*map).used;
                (*map).entries = copy_buffer(Kind::ValueBuffer, entries, target).cast();
                (*map).index = copy_buffer(Kind::RawBuffer, index, target).cast();
                (*map).next_index = std::ptr::null_mut();
            }
            _ => {}
        }
        copy
    }
}

/// Copies the part of a buffer that is in use; null stays null.
unsafe fn copy_buffer(
    kind: Kind,
    (data, bytes): (*mut u8, usize),
    target: &mut impl Target,
) -> *mut u8 {
    if data.is_null() || bytes == 0 {
        return std::ptr::null_mut();
    }
    let (place, flags) = target.place_buffer(size_of::<Buffer>() + align_up(bytes));
    let buffer: *mut Buffer = place.cast();
    let mut header = Header::new(kind, type_id::INTERNAL, 0);
    header.flags = flags;
    // SAFETY: the place has room, `data` has `bytes` initialised bytes, a multiple of 8.
    unsafe {
        buffer.write(Buffer {
            header,
            bytes: bytes as u64,
        });
        let copy = size::buffer_data(buffer);
        std::ptr::copy_nonoverlapping(data, copy, bytes);
        copy
    }
}

/// Whether one of `PIECE_VALUES` values is an object; without a branch for each.
#[inline(always)]
pub(super) unsafe fn has_object(first: *const Value) -> bool {
    let mut found = 0_u64;
    for i in 0..PIECE_VALUES {
        // SAFETY: so many values are there.
        let bits = unsafe { first.add(i).read() }.bits();
        // 0 for objects (see `Value::is_object`), and 0 - 1 is negative.
        found |= ((bits >> 49) ^ 0x7FFE).wrapping_sub(1);
    }
    found >> 63 != 0
}

/// Whether one of the values is an object.
pub(crate) fn any_object(values: &[Value]) -> bool {
    let mut pieces = values.chunks_exact(PIECE_VALUES);
    // SAFETY: a piece has so many values.
    let found = pieces.any(|piece| unsafe { has_object(piece.as_ptr()) });
    found || pieces.remainder().iter().any(|value| value.is_object())
}

struct Refused;

/// Walks once more, this time with the way to each object in mind, to the first one that is refused.
#[cold]
fn explain(start: Value, visit: &impl Fn(Value, bool) -> Visit) -> GraphError {
    /// An object, the position of its holder, the number of the value in the holder.
    struct Met(*mut Header, usize, usize);
    let mut met: Vec<Met> = Vec::new();
    let mut seen = AddressMap::default();
    let mut refused = None;
    let mut meet = |met: &mut Vec<Met>, value: Value, holder, number, is_key| {
        if refused.is_some()
            || !value.is_object()
            || seen.contains_key(&(value.as_object() as usize))
        {
            return;
        }
        match visit(value, is_key) {
            Visit::Keep => {}
            Visit::Take => {
                seen.insert(value.as_object() as usize, ());
                met.push(Met(value.as_object(), holder, number));
            }
            Visit::Refuse => refused = Some((value, holder, number)),
        }
    };
    meet(&mut met, start, usize::MAX, 0, false);
    let mut next = 0;
    while next < met.len() {
        let object = met[next].0;
        let mut number = 0;
        // SAFETY: values are alive while nothing is collected.
        unsafe {
            let has_keys = matches!((*object).kind, Kind::Map | Kind::Set);
            all_values(object, |first, count| {
                for i in 0..count {
                    let is_key = has_keys && number % 2 == 0;
                    meet(&mut met, first.add(i).read(), next, number, is_key);
                    number += 1;
                }
            });
        }
        next += 1;
    }
    let (value, mut holder, mut number) = refused.expect("the first walk met it");
    let mut path = Vec::new();
    while holder != usize::MAX {
        let Met(object, next_holder, next_number) = met[holder];
        // SAFETY: the objects met are alive.
        path.push(unsafe { step(object, number) });
        (holder, number) = (next_holder, next_number);
    }
    path.reverse();
    GraphError::Refused { path, value }
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
