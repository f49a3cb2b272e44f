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
use std::mem::MaybeUninit;

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
/// So many objects lie together in the list of all.
const PIECE_OBJECTS: usize = 8192;
/// Objects and buffers with more bytes are copied in pieces.
const LONG_BYTES: usize = 64 * 1024;
/// So many bytes of them count as the work for one object.
const BYTES_PER_WORK: usize = 256;
/// With more shared objects than this there are many tables: one that grows is moved in one go.
const MOST_IN_ONE_TABLE: usize = 4096;
const TABLES: usize = 1024;
/// Instances with no more fields are looked through when they are met.
const FEW_FIELDS: u16 = 14;
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

/// The object holds object values, or may, as long as nobody has looked. Addresses of objects are multiples of 8.
const HAS_OBJECTS: u64 = 1;

impl Listed {
    #[inline(always)]
    fn value(self) -> Value {
        Value::from_bits(self.0 & !HAS_OBJECTS)
    }
    #[inline(always)]
    fn has_objects(self) -> bool {
        self.0 & HAS_OBJECTS != 0
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

/// A list in pieces: growing never moves it.
#[derive(Default)]
struct Many {
    pieces: Vec<Vec<Listed>>,
    len: usize,
}

impl Many {
    #[inline(always)]
    fn push(&mut self, listed: Listed) {
        if self.len.is_multiple_of(PIECE_OBJECTS) {
            self.add_piece();
        }
        self.len += 1;
        let last = self.pieces.len() - 1;
        self.pieces[last].push(listed);
    }
    /// Room behind the last one.
    fn room(&mut self) -> &mut [MaybeUninit<Listed>] {
        match self.pieces.last_mut() {
            Some(last) => {
                let most = PIECE_OBJECTS - last.len();
                let room = last.spare_capacity_mut();
                let count = room.len().min(most);
                &mut room[..count]
            }
            None => &mut [],
        }
    }
    /// # Safety
    /// So many were written there.
    unsafe fn add_written(&mut self, count: usize) {
        if let Some(last) = self.pieces.last_mut() {
            self.len += count;
            // SAFETY: promised by the caller.
            unsafe { last.set_len(last.len() + count) };
        }
    }
    #[cold]
    fn add_piece(&mut self) {
        let room = if self.len == 0 {
            16 * FEW
        } else {
            PIECE_OBJECTS
        };
        self.pieces.push(Vec::with_capacity(room));
    }
    #[inline(always)]
    fn get(&self, at: usize) -> Listed {
        self.pieces[at / PIECE_OBJECTS][at % PIECE_OBJECTS]
    }
    /// Those from `at` on that lie in a row.
    #[inline(always)]
    fn row(&self, at: usize) -> &[Listed] {
        match self.pieces.get(at / PIECE_OBJECTS) {
            Some(piece) => &piece[at % PIECE_OBJECTS..],
            None => &[],
        }
    }
    fn set_has_no_objects(&mut self, at: usize) {
        self.pieces[at / PIECE_OBJECTS][at % PIECE_OBJECTS].0 &= !HAS_OBJECTS;
    }
    /// The last ones, up to `count`, that lie in a row, and the number of the first of them; to be taken out with `drop_last`.
    fn last(&self, count: usize) -> (&[Listed], usize) {
        let piece = self.pieces.last().map_or(&[][..], |piece| piece);
        let row = &piece[piece.len().saturating_sub(count)..];
        (row, self.len - row.len())
    }
    fn drop_last(&mut self, count: usize) {
        self.len -= count;
        if let Some(piece) = self.pieces.last_mut() {
            piece.truncate(piece.len() - count);
            if piece.is_empty() {
                self.pieces.pop();
            }
        }
    }
}

/// The shared objects of a graph and their copies, null until they are made.
#[derive(Default)]
struct SharedObjects {
    /// Empty, one, or `TABLES`.
    tables: Vec<AddressMap<*mut Header>>,
}

impl SharedObjects {
    fn table(&self, object: *mut Header) -> usize {
        if self.tables.len() <= 1 {
            return 0;
        }
        // Other bits than those that find the place in the table.
        (object as u64).wrapping_mul(0xD1B5_4A32_D192_ED03) as usize >> 54
    }
    fn get(&self, object: *mut Header) -> Option<*mut Header> {
        let table = self.tables.get(self.table(object))?;
        table.get(&(object as usize)).copied()
    }
    fn insert(&mut self, object: *mut Header, copy: *mut Header) {
        if self.tables.is_empty() {
            self.tables.push(AddressMap::default());
        }
        if self.tables.len() == 1 && self.tables[0].len() >= MOST_IN_ONE_TABLE {
            let first = std::mem::take(&mut self.tables[0]);
            self.tables.resize_with(TABLES, AddressMap::default);
            for (object, copy) in first {
                let table = self.table(object as *mut Header);
                self.tables[table].insert(object, copy);
            }
        }
        let table = self.table(object);
        self.tables[table].insert(object as usize, copy);
    }
}

/// See the head of the file. The objects are in the order in which they were met.
///
/// The functions `…_some` do a part of what is to be done, one after the other for the whole graph: they take from `work`, which counts about one for an object or
/// value, and answer whether all is done; else they are to be called again.
pub(crate) struct Graph {
    few: [Few; FEW],
    few_count: usize,
    /// All objects, if they are more than `FEW`; else empty.
    many: Many,
    /// Shared objects in `many`.
    shared: SharedObjects,
    /// Bytes of all objects and their buffers.
    pub(crate) bytes: usize,
    /// Of those that are no large objects.
    pub(crate) small_bytes: usize,
    /// Local instances that have fields, and are no keys, are taken: nobody need be asked.
    takes_instances: bool,
    /// An object was found in the one that is looked through.
    has_found: bool,
    /// So many of the first objects have copies.
    copied: usize,
    /// Where the present pass is: at which object, at which value of it.
    next: usize,
    next_value: usize,
    /// Bytes that are yet to be copied: from, to, how many.
    later: Vec<(*const u8, *mut u8, usize)>,
}

impl Graph {
    pub(crate) fn new() -> Graph {
        Graph {
            few: [Few {
                value: Value::NIL,
                copy: std::ptr::null_mut(),
            }; FEW],
            few_count: 0,
            many: Many::default(),
            shared: SharedObjects::default(),
            bytes: 0,
            small_bytes: 0,
            takes_instances: false,
            has_found: false,
            copied: 0,
            next: 0,
            next_value: 0,
            later: Vec::new(),
        }
    }

    /// For visitors that say `Take` of local instances with fields that are no keys.
    pub(crate) fn of_instances() -> Graph {
        let mut graph = Graph::new();
        graph.takes_instances = true;
        graph
    }

    /// Visits all that `start` reaches; `visit(object, is it a map's key)` decides for each object that is met. Called once.
    pub(crate) fn walk(
        &mut self,
        start: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<(), GraphError> {
        match self.walk_some(start, &visit, &mut { usize::MAX }) {
            Ok(_) => Ok(()),
            Err(Refused) => {
                self.forget();
                Err(explain(start, &visit))
            }
        }
    }

    /// As `walk`, a part of it. After `Refused`: `forget_some`, then `explain`.
    pub(crate) fn walk_some(
        &mut self,
        start: Value,
        visit: &impl Fn(Value, bool) -> Visit,
        work: &mut usize,
    ) -> Result<bool, Refused> {
        if self.len() == 0 {
            self.meet(start, false, visit)?;
        }
        while self.next < self.len() {
            self.pass_by_plain(work);
            if *work == 0 {
                return Ok(false);
            }
            if self.next == self.len() {
                break;
            }
            *work -= 1;
            let object = self.get(self.next).as_object();
            let from = self.next_value;
            let mut number = 0;
            let mut result = Ok(());
            let mut has_found = self.has_found;
            let mut stopped = None;
            // SAFETY: the objects of the graph are alive while nothing is collected.
            unsafe {
                let has_keys = matches!((*object).kind, Kind::Map | Kind::Set);
                all_values(object, |first, count| {
                    let mut at = from.saturating_sub(number).min(count);
                    while at < count && result.is_ok() && stopped.is_none() {
                        if *work == 0 {
                            stopped = Some(number + at);
                            break;
                        }
                        let piece = (count - at).min(PIECE_VALUES);
                        if piece == PIECE_VALUES && !has_object(first.add(at)) {
                            *work -= 1;
                            at += piece;
                            continue;
                        }
                        *work = work.saturating_sub(piece);
                        let taken = match has_keys {
                            true => 0,
                            false => self.take_instances(first.add(at), piece, &mut has_found),
                        };
                        for i in at + taken..at + piece {
                            let value = first.add(i).read();
                            if value.is_object() && result.is_ok() {
                                has_found = true;
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
            if let Some(at) = stopped {
                self.next_value = at;
                self.has_found = has_found;
                return Ok(false);
            }
            if !has_found && self.many.len > self.next {
                self.many.set_has_no_objects(self.next);
            }
            self.next += 1;
            self.next_value = 0;
            self.has_found = false;
        }
        self.next = 0;
        Ok(true)
    }

    /// Goes on to the next object that may hold objects.
    #[inline(always)]
    fn pass_by_plain(&mut self, work: &mut usize) {
        let row = self.many.row(self.next);
        let row = &row[..row.len().min(*work)];
        // Eight at a time, as there may be a million in a row.
        let (eights, _) = row.as_chunks::<8>();
        let all_plain = |eight: &&[Listed; 8]| {
            let bits = eight.iter().fold(0, |bits, listed| bits | listed.0);
            bits & HAS_OBJECTS == 0
        };
        let skipped = 8 * eights.iter().take_while(all_plain).count();
        let rest = &row[skipped..];
        let plain = rest.iter().position(|listed| listed.has_objects());
        let plain = skipped + plain.unwrap_or(rest.len());
        self.next += plain;
        *work -= plain;
    }

    /// Meets what can be met in few steps: small local instances, of which there may be a million, and what was met before. Gives how many of the values it did; `has_found`: one
    /// of these is an object.
    ///
    /// # Safety
    /// So many values are there, none of them the key of a map.
    #[inline(always)]
    unsafe fn take_instances(
        &mut self,
        first: *mut Value,
        count: usize,
        has_found: &mut bool,
    ) -> usize {
        if !self.takes_instances || self.many.len == 0 {
            return 0;
        }
        let (mut bytes, mut found, mut taken) = (0, false, 0);
        let listed = self.many.room();
        let mut listed_count = 0;
        while taken < count {
            // SAFETY: the caller's; objects are alive, local ones this thread's. What was met has its flags in place, whatever else its header says.
            unsafe {
                let value = first.add(taken).read();
                if value.is_object() {
                    if !value.is_local() {
                        break;
                    }
                    let object = value.as_object();
                    let flags = object.cast::<u8>().add(std::mem::offset_of!(Header, flags));
                    if flags.read() & FLAG_SHARED == 0 {
                        let header = object.read();
                        if !is_small_instance(header) || listed_count == listed.len() {
                            break;
                        }
                        let fields = object.cast::<Value>().add(1);
                        let mut objects = 0;
                        for i in 0..header.aux as usize {
                            objects |= fields.add(i).read().is_object() as u64;
                        }
                        flags.write(header.flags | FLAG_SHARED);
                        bytes += instance_bytes(header);
                        listed[listed_count].write(Listed(value.bits() | (objects * HAS_OBJECTS)));
                        listed_count += 1;
                    }
                    found = true;
                }
            }
            taken += 1;
        }
        // SAFETY: so many were written.
        unsafe { self.many.add_written(listed_count) };
        self.bytes += bytes;
        self.small_bytes += bytes;
        *has_found |= found;
        taken
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
        if self.many.len == 0 {
            if self.few_count < FEW {
                self.few[self.few_count].value = value;
                self.few_count += 1;
                return;
            }
            self.list_few();
        }
        self.list(value);
    }

    /// Lists all objects, however few they are: for the functions `…_some`.
    #[cold]
    #[inline(never)]
    pub(crate) fn list_few(&mut self) {
        if self.many.len > 0 {
            return;
        }
        for at in 0..self.few_count {
            self.list(self.few[at].value);
        }
    }

    /// Adds an object to `many`.
    #[inline(always)]
    fn list(&mut self, value: Value) {
        if value.is_local() {
            // SAFETY: the object is alive, and this thread's.
            unsafe { (*value.as_object()).flags |= FLAG_SHARED };
        } else {
            self.shared.insert(value.as_object(), std::ptr::null_mut());
        }
        self.many.push(Listed(value.bits() | HAS_OBJECTS));
    }

    /// Whether this value is one of its objects.
    #[inline(always)]
    pub(crate) fn contains(&self, value: Value) -> bool {
        if self.many.len == 0 {
            let few = &self.few[..self.few_count];
            few.iter().any(|known| known.value == value)
        } else if value.is_local() {
            // SAFETY: values of live objects; forwarding headers have their flags in place.
            unsafe { value.as_object().cast::<[u8; 8]>().read()[4] & FLAG_SHARED != 0 }
        } else {
            self.shared.get(value.as_object()).is_some()
        }
    }

    /// How many objects it has.
    pub(crate) fn len(&self) -> usize {
        self.few_count.max(self.many.len)
    }
    #[inline(always)]
    fn get(&self, at: usize) -> Value {
        if at < self.many.len {
            self.many.get(at).value()
        } else {
            self.few[at].value
        }
    }

    /// Gives the objects their headers back.
    fn forget(&mut self) {
        self.forget_some(&mut { usize::MAX }, |_| ());
    }

    /// As `forget`, a part of it, from the last object on; `each` gets the copies.
    pub(crate) fn forget_some(
        &mut self,
        work: &mut usize,
        mut each: impl FnMut(*mut Header),
    ) -> bool {
        while self.many.len > 0 {
            let (row, first) = self.many.last(*work);
            let count = row.len();
            for (i, listed) in row.iter().enumerate() {
                let object = listed.value().as_object();
                let is_copied = first + i < self.copied;
                if listed.value().is_local() {
                    // SAFETY: originals and copies are alive; but for the flags, a copy has its original's header.
                    unsafe {
                        let word = object.cast::<u64>().read();
                        let flags = (word >> 32) as u8 & !FLAG_SHARED;
                        if is_copied {
                            let mut header = forwarded(word).read();
                            header.flags = flags;
                            object.write(header);
                            each(forwarded(word));
                        } else {
                            (*object).flags = flags;
                        }
                    }
                } else if is_copied && let Some(copy) = self.shared.get(object) {
                    each(copy);
                }
            }
            self.many.drop_last(count);
            *work -= count;
            if *work == 0 {
                return false;
            }
        }
        self.few_count = 0;
        true
    }

    /// The objects go, headers and all.
    pub(crate) fn abandon(&mut self) {
        self.many = Many::default();
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
        debug_assert!(self.copied == 0 && self.len() > 0);
        // SAFETY: originals are alive; a copy is whole before its values are looked at.
        unsafe {
            if self.many.len == 0 {
                for few in &mut self.few[..self.few_count] {
                    few.copy = copy_object(few.value.as_object(), target, &mut self.later);
                }
                self.copy_later(&mut { usize::MAX });
                for at in 0..self.few_count {
                    let copy = self.few[at].copy;
                    self.replace(copy, target, &replaces, &mut keeps, &mut { usize::MAX });
                }
                return self.few[0].copy;
            }
            self.copy_some(target, &mut { usize::MAX });
            self.replace_some(target, &replaces, &mut keeps, &mut { usize::MAX });
            self.first_copy()
        }
    }

    /// The copy of the first object.
    ///
    /// # Safety
    /// All are listed and copied.
    pub(crate) unsafe fn first_copy(&self) -> *mut Header {
        // SAFETY: the objects are alive.
        unsafe {
            self.copy_of(self.many.get(0).value())
                .expect("all are copied")
        }
    }

    /// Copies some of the listed objects; values in the copies still lead to the originals.
    ///
    /// # Safety
    /// As of `copy`.
    pub(crate) unsafe fn copy_some(&mut self, target: &mut impl Target, work: &mut usize) -> bool {
        // SAFETY: originals are alive; the caller's.
        unsafe {
            while self.copied < self.many.len {
                if *work == 0 || !self.copy_later(work) {
                    return false;
                }
                self.copy_instances(target, work);
                if *work == 0 || self.copied == self.many.len {
                    continue;
                }
                *work = work.saturating_sub(1);
                let value = self.many.get(self.copied).value();
                let object = value.as_object();
                let copy = copy_object(object, target, &mut self.later);
                if value.is_local() {
                    forward(object, copy);
                } else {
                    self.shared.insert(object, copy);
                }
                self.copied += 1;
            }
            self.copy_later(work)
        }
    }

    /// Copies listed objects as long as they are small local instances: most of many are.
    ///
    /// # Safety
    /// As of `copy`.
    #[inline(always)]
    unsafe fn copy_instances(&mut self, target: &mut impl Target, work: &mut usize) {
        let row = self.many.row(self.copied);
        for (at, listed) in row.iter().take(*work).enumerate() {
            let value = listed.value();
            // SAFETY: originals are alive, and have fields behind their headers; the caller's.
            unsafe {
                let object = value.as_object();
                let mut header = object.read();
                if !is_small_instance(header) || !value.is_local() {
                    self.copied += at;
                    *work -= at;
                    return;
                }
                let (copy, flags) = target.place(instance_bytes(header));
                header.flags = header.flags & FLAG_ASCII | flags;
                copy.write(header);
                let (from, to) = (object.cast::<u64>(), copy.cast::<u64>());
                for i in 1..=header.aux as usize {
                    to.add(i).write(from.add(i).read());
                }
                forward(object, copy);
            }
        }
        let all = row.len().min(*work);
        self.copied += all;
        *work -= all;
    }

    /// Copies bytes that were left for later.
    #[inline(always)]
    unsafe fn copy_later(&mut self, work: &mut usize) -> bool {
        // SAFETY: original and copy have so many bytes; both live while the graph exists.
        self.later.is_empty() || unsafe { self.copy_pieces(work) }
    }

    #[cold]
    #[inline(never)]
    unsafe fn copy_pieces(&mut self, work: &mut usize) -> bool {
        while let Some((from, to, bytes)) = self.later.pop() {
            let piece = bytes.min(work.saturating_mul(BYTES_PER_WORK));
            // SAFETY: the caller's.
            unsafe {
                std::ptr::copy_nonoverlapping(from, to, piece);
                *work -= (piece / BYTES_PER_WORK).min(*work);
                if piece < bytes {
                    let rest = (from.add(piece), to.add(piece), bytes - piece);
                    self.later.push(rest);
                    return false;
                }
            }
        }
        true
    }

    /// Puts copies in place of originals in some of the copies; parameters as of `copy`.
    ///
    /// # Safety
    /// All are copied.
    pub(crate) unsafe fn replace_some(
        &mut self,
        target: &impl Target,
        replaces: &impl Fn(Value, bool) -> bool,
        keeps: &mut impl FnMut(Value),
        work: &mut usize,
    ) -> bool {
        while self.next < self.many.len {
            self.pass_by_plain(work);
            if *work == 0 {
                return false;
            }
            if self.next == self.many.len {
                break;
            }
            *work -= 1;
            let listed = self.many.get(self.next);
            // SAFETY: the caller's.
            unsafe {
                let copy = self.copy_of(listed.value()).expect("all are copied");
                if !self.replace(copy, target, replaces, keeps, work) {
                    return false;
                }
            }
            self.next += 1;
        }
        true
    }

    /// Puts copies in place of the originals that a copy refers to, from value `next_value` on.
    #[inline(always)]
    unsafe fn replace(
        &mut self,
        copy: *mut Header,
        target: &impl Target,
        replaces: &impl Fn(Value, bool) -> bool,
        keeps: &mut impl FnMut(Value),
        work: &mut usize,
    ) -> bool {
        let from = std::mem::take(&mut self.next_value);
        let mut stopped = None;
        // SAFETY: the copy is whole.
        unsafe {
            let has_keys = matches!((*copy).kind, Kind::Map | Kind::Set);
            let mut number = 0;
            all_values(copy, |first, count| {
                let start = from.saturating_sub(number).min(count);
                let end = count.min(start.saturating_add(*work));
                if stopped.is_none() {
                    *work -= end - start;
                    if end < count {
                        stopped = Some(number + end);
                    }
                    for i in start..end {
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
                }
                number += count;
            });
        }
        self.next_value = stopped.unwrap_or(0);
        stopped.is_none()
    }

    /// The copy of an object of the graph, once all are copied.
    #[inline(always)]
    unsafe fn copy_of(&self, value: Value) -> Option<*mut Header> {
        if self.many.len == 0 {
            let few = &self.few[..self.few_count];
            let known = few.iter().find(|known| known.value == value);
            known.map(|known| known.copy)
        } else if value.is_local() {
            // SAFETY: the object is alive; its header may be a forwarding one.
            let word = unsafe { value.as_object().cast::<u64>().read() };
            (word >> 32 & FLAG_SHARED as u64 != 0).then(|| forwarded(word))
        } else {
            self.shared.get(value.as_object())
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

/// One with a few fields.
#[inline(always)]
fn is_small_instance(header: Header) -> bool {
    let is_instance = matches!(header.kind, Kind::Struct | Kind::Variant);
    is_instance & (header.aux.wrapping_sub(1) < FEW_FIELDS)
}

/// Bytes of an instance with at least one field.
#[inline(always)]
fn instance_bytes(header: Header) -> usize {
    size::object_room(size_of::<Instance>() + header.aux as usize * size_of::<Value>())
}

/// Copies an object and its buffers, cut to what is in use; the values in it still lead to the originals. Many bytes are left for `later`.
#[inline(always)]
unsafe fn copy_object(
    object: *mut Header,
    target: &mut impl Target,
    later: &mut Vec<(*const u8, *mut u8, usize)>,
) -> *mut Header {
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
            if bytes > LONG_BYTES {
                later.push((from.add(3).cast(), to.add(3).cast(), bytes - 24));
            } else if bytes > 24 {
                std::ptr::copy_nonoverlapping(from.add(3), to.add(3), bytes / 8 - 3);
            }
        }
        match header.kind {
            Kind::List => {
                let list = copy.cast::<List>();
                let [items, _] = buffers(object);
                (*list).capacity = (*list).len;
                (*list).items = copy_buffer(Kind::ValueBuffer, items, target, later).cast();
            }
            Kind::Map | Kind::Set => {
                let map = copy.cast::<Map>();
                let [entries, index] = buffers(object);
                (*map).capacity = (*map).used;
                (*map).entries = copy_buffer(Kind::ValueBuffer, entries, target, later).cast();
                (*map).index = copy_buffer(Kind::RawBuffer, index, target, later).cast();
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
    later: &mut Vec<(*const u8, *mut u8, usize)>,
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
        if bytes > LONG_BYTES {
            later.push((data, copy, bytes));
        } else {
            std::ptr::copy_nonoverlapping(data, copy, bytes);
        }
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

/// An object of the graph was refused.
pub(crate) struct Refused;

/// Walks once more, this time with the way to each object in mind, to the first one that is refused.
#[cold]
pub(crate) fn explain(start: Value, visit: &impl Fn(Value, bool) -> Visit) -> GraphError {
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
