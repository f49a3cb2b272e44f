//! `SharedMap`: a map of immutable keys and values that threads change atomically, in the order of insertion.
//!
//! Entries lie in a row; what is removed leaves a gap, and when gaps are the greater part the entries move together. Each has a *number*,
//! given at insertion and never again: the row is sorted by it, so that it names an entry, or a place to go on from, whatever was removed
//! meanwhile. Entries of one hash form a chain, newest first.
//!
//! Keys that only script code can hash or compare: the native calls the prelude's `__shared_map_by_script`, which gets the keys of this hash with their numbers
//! (`candidates`), compares them without a lock, and has the operation done (`act`) if it still holds what was found: the entry is
//! there, or nothing was added to the chain. Else it begins anew.
//!
//! Messages are dropped after the lock is released.

use super::support;
use super::{Message, ObjectState, SharedObject};
use crate::account;
use crate::engine::Engine;
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use crate::ops::{compare, hash};
use crate::types::ErrorKind;
use crate::value::Value;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// `SharedMap`. What calls functions of the script, and what lists entries, is written in Heddle.
pub static SHARED_MAP: &[NativeDef] = crate::natives! {
    /// A map that threads share.
    plain "SharedMap" () => |ctx| support::make(ctx, type_id::SHARED_MAP, ObjectState::Map(SharedMapState::default()));
    /// The value of the key, or `default` (nil).
    plain "SharedMap.get" (self, key, "default?") => |ctx| operate(ctx, Operation::Get);
    /// The value of the key; throws KeyError without one.
    plain "SharedMap.[]" (self, key) => |ctx| operate(ctx, Operation::Index);
    /// Sets the value of the key.
    plain "SharedMap.set" (self, key, value) => |ctx| operate(ctx, Operation::Set);
    /// Sets the value of the key.
    plain "SharedMap.[]=" (self, key, value) => |ctx| operate(ctx, Operation::Set);
    /// Removes the key; gives its value or nil.
    plain "SharedMap.remove" (self, key) => |ctx| operate(ctx, Operation::Remove);
    /// Whether the key is there.
    plain "SharedMap.has" (self, key) => |ctx| operate(ctx, Operation::Has);
    /// Whether the key is there.
    plain "SharedMap.in" (self, key) => |ctx| operate(ctx, Operation::Has);
    /// How many entries there are.
    plain "SharedMap.len" (self) => |ctx| with(ctx, |map| Value::small_int(map.len as i64));
    /// Whether there are none.
    plain "SharedMap.is_empty" (self) => |ctx| with(ctx, |map| Value::bool(map.len == 0));
    /// Removes all entries.
    plain "SharedMap.clear" (self) => clear;
    /// Sets the value to `new` if it is `old`, or nil stands for no entry; whether it did.
    plain "__shared_map_cas" (self, key, new, old) => |ctx| operate(ctx, Operation::Cas);
    /// Sets the value if the key is not there; gives the value that is there now.
    plain "__shared_map_insert" (self, key, value) => |ctx| operate(ctx, Operation::Insert);
    plain "__shared_map_candidates" (self, hash) => candidates;
    plain "__shared_map_act" (self, operation, key, hash, found, newest, a, b) => act;
    plain "__shared_map_part" (self, from, what) => part;
};

/// So many entries are listed under one lock.
const LISTED_AT_ONCE: usize = 10_000;
/// With fewer entries, gaps are not worth closing.
const FEW: usize = 32;
/// What an entry takes: its place in the row, and in the table, which is at most seven eighths full.
const ENTRY_BYTES: usize = size_of::<Entry>() + 12;
/// No entry; the last of a chain.
const NOWHERE: u32 = u32::MAX;
/// As a number of an entry.
const NO_NUMBER: i64 = -1;

struct Entry {
    number: i64,
    hash: u32,
    /// Position of the next one of this hash.
    next: u32,
    /// `None`: a gap.
    pair: Option<(Message, Message)>,
}

/// Hashes of keys are mixed already; the table wants the upper bits set, too.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes of 32 bits are looked up")
    }
    fn write_u32(&mut self, hash: u32) {
        // Fibonacci hashing: 2^64 over the golden ratio.
        self.0 = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

#[derive(Default)]
pub(crate) struct SharedMapState {
    entries: Vec<Entry>,
    /// The newest entry of each hash.
    chains: HashMap<u32, u32, BuildHasherDefault<Spread>>,
    len: usize,
    next_number: i64,
    /// What the account was told of the row and the table.
    counted_bytes: usize,
}

/// Where a key is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    At(usize),
    Missing,
    /// Only script code can tell.
    Unknown,
}

/// What is done with an entry. The numbers are those that `__shared_map_by_script` passes on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Get,
    Index,
    Set,
    Remove,
    Has,
    Cas,
    Insert,
}

const OPERATIONS: [Operation; 7] = [
    Operation::Get,
    Operation::Index,
    Operation::Set,
    Operation::Remove,
    Operation::Has,
    Operation::Cas,
    Operation::Insert,
];

/// What an operation gives.
enum Outcome {
    Value(Message),
    /// There is no such entry, or the operation gives nothing.
    Nothing,
    Is(bool),
    /// The map must grow first, by so many bytes; nothing was done.
    NoPlace(usize),
}

impl SharedMapState {
    /// Its keys and values.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        let pairs = self.entries.iter().filter_map(|entry| entry.pair.as_ref());
        pairs.flat_map(|(key, value)| [key, value])
    }
    /// The entries of a hash, newest first.
    fn chain(&self, hash: u32) -> impl Iterator<Item = (usize, &Entry)> {
        let mut at = self.chains.get(&hash).copied().unwrap_or(NOWHERE);
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            let position = at as usize;
            at = entry.next;
            Some((position, entry))
        })
    }
    /// Searches a key; `is_equal` answers nothing if only script code can.
    fn find(&self, hash: u32, is_equal: impl Fn(Value) -> Option<bool>) -> Place {
        for (at, entry) in self.chain(hash) {
            let key = entry.pair.as_ref().and_then(|(key, _)| key.peek());
            match key.map_or(Some(false), &is_equal) {
                Some(true) => return Place::At(at),
                Some(false) => {}
                None => return Place::Unknown,
            }
        }
        Place::Missing
    }
    /// What script code found out: the number of the equal entry, else that there was none among those up to `newest`. `Unknown`: that
    /// holds no longer.
    fn place_of(&self, hash: u32, found: i64, newest: i64) -> Place {
        if found != NO_NUMBER {
            let entry = self.chain(hash).find(|(_, entry)| entry.number == found);
            return entry.map_or(Place::Unknown, |(at, _)| Place::At(at));
        }
        let newest_now = self.chain(hash).next().map_or(NO_NUMBER, |(_, e)| e.number);
        // Less: the newest was removed meanwhile.
        if newest_now <= newest {
            Place::Missing
        } else {
            Place::Unknown
        }
    }
    fn value_at(&self, at: usize) -> &Message {
        let pair = self.entries[at].pair.as_ref();
        &pair.expect("an entry that was found is no gap").1
    }
    /// Exchanges the value of an entry for this one.
    fn swap_value(&mut self, at: usize, value: &mut Message) {
        let pair = self.entries[at].pair.as_mut();
        let pair = pair.expect("an entry that was found is no gap");
        std::mem::swap(&mut pair.1, value);
    }
    /// Bytes that another entry needs: 0 if there is a place.
    fn needed_bytes(&self) -> usize {
        if self.entries.len() < self.entries.capacity() {
            0
        } else {
            self.next_room() * ENTRY_BYTES
        }
    }
    fn next_room(&self) -> usize {
        (self.entries.capacity() * 2).max(4)
    }
    /// Makes room for more; the limit of memory allows what that needs.
    fn grow(&mut self) {
        let more = self.next_room() - self.entries.len();
        self.entries.reserve_exact(more);
        let chains = self.entries.capacity() - self.chains.len();
        self.chains.reserve(chains);
        self.count();
    }
    fn count(&mut self) {
        account::subtract(self.counted_bytes);
        self.counted_bytes = self.entries.capacity() * ENTRY_BYTES;
        account::add(self.counted_bytes);
    }
    fn clear(&mut self) -> Vec<Entry> {
        self.chains = HashMap::default();
        self.len = 0;
        let removed = std::mem::take(&mut self.entries);
        self.count();
        removed
    }
    fn insert(&mut self, hash: u32, key: Message, value: Message) {
        let at = self.entries.len() as u32;
        let next = self.chains.insert(hash, at).unwrap_or(NOWHERE);
        self.entries.push(Entry {
            number: self.next_number,
            hash,
            next,
            pair: Some((key, value)),
        });
        self.next_number += 1;
        self.len += 1;
    }
    /// Takes an entry away; gives its value.
    fn remove(&mut self, at: usize) -> Option<(Message, Message)> {
        let (hash, next) = (self.entries[at].hash, self.entries[at].next);
        let before = self.chain(hash).map(|(position, _)| position);
        let before = before.take_while(|&position| position != at).last();
        match before {
            Some(before) => self.entries[before].next = next,
            None if next == NOWHERE => {
                self.chains.remove(&hash);
            }
            None => {
                self.chains.insert(hash, next);
            }
        }
        self.len -= 1;
        let pair = self.entries[at].pair.take();
        if self.entries.len() > FEW && self.len < self.entries.len() / 2 {
            self.close_gaps();
        }
        pair
    }
    fn close_gaps(&mut self) {
        self.entries.retain(|entry| entry.pair.is_some());
        self.chains.clear();
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(2 * self.entries.len());
            self.chains.shrink_to(self.entries.capacity());
            self.count();
        }
        for at in 0..self.entries.len() {
            let older = self.chains.insert(self.entries[at].hash, at as u32);
            self.entries[at].next = older.unwrap_or(NOWHERE);
        }
    }
    /// Does something with the entry at a place, which is known. What it does not use of the operands, and what it replaces, it leaves there.
    fn act(
        &mut self,
        operation: Operation,
        place: Place,
        hash: u32,
        operands: &mut Operands,
    ) -> Outcome {
        let again = |value: &Message| value.again().expect("only what is shared is in a map");
        match (operation, place) {
            (Operation::Has, place) => Outcome::Is(matches!(place, Place::At(_))),
            (Operation::Get | Operation::Index | Operation::Insert, Place::At(at)) => {
                Outcome::Value(again(self.value_at(at)))
            }
            (Operation::Remove, Place::At(at)) => match self.remove(at) {
                Some((key, value)) => {
                    operands.key = key;
                    Outcome::Value(value)
                }
                None => Outcome::Nothing,
            },
            (Operation::Get | Operation::Index | Operation::Remove, _) => Outcome::Nothing,
            (Operation::Set, Place::At(at)) => {
                self.swap_value(at, &mut operands.value);
                Outcome::Nothing
            }
            (Operation::Cas, Place::At(at)) => {
                let is_old = self.value_at(at).peek() == Some(operands.old);
                if is_old {
                    self.swap_value(at, &mut operands.value);
                }
                Outcome::Is(is_old)
            }
            (Operation::Cas, _) if !operands.old.is_nil() => Outcome::Is(false),
            (Operation::Set | Operation::Cas | Operation::Insert, _) if self.needed_bytes() > 0 => {
                Outcome::NoPlace(self.needed_bytes())
            }
            (Operation::Set | Operation::Cas | Operation::Insert, _) => {
                let value = again(&operands.value);
                self.insert(hash, operands.key.take(), operands.value.take());
                match operation {
                    Operation::Insert => Outcome::Value(value),
                    Operation::Cas => Outcome::Is(true),
                    _ => Outcome::Nothing,
                }
            }
        }
    }
}

impl Drop for SharedMapState {
    fn drop(&mut self) {
        account::subtract(self.counted_bytes);
    }
}

/// What an operation may need besides the place.
struct Operands {
    key: Message,
    value: Message,
    /// What `Cas` expects.
    old: Value,
}

fn map_arg(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    support::object_arg(ctx, type_id::SHARED_MAP, "a SharedMap")
}
fn lock<R>(object: &SharedObject, f: impl FnOnce(&mut SharedMapState) -> R) -> R {
    match &mut *object.state.lock() {
        ObjectState::Map(map) => f(map),
        _ => unreachable!("the type says that it is a map"),
    }
}
fn with(ctx: &mut Ctx, f: impl FnOnce(&mut SharedMapState) -> Value) -> NativeResult {
    let object = map_arg(ctx)?;
    Ok(lock(object, f))
}
/// What may set an entry takes references to key and value before it takes the lock.
fn operands(
    ctx: &mut Ctx,
    operation: Operation,
    key: Value,
    value: Value,
    old: Value,
) -> Result<Operands, Trap> {
    let sets = matches!(
        operation,
        Operation::Set | Operation::Cas | Operation::Insert
    );
    let (key, value) = if sets {
        let key = ctx.thread.share_frozen(key, "key")?;
        (key, ctx.thread.share_frozen(value, "value")?)
    } else {
        (Message::NONE, Message::NONE)
    };
    Ok(Operands { key, value, old })
}
/// Arguments: the map, the key, and what the operation needs besides.
fn operate(ctx: &mut Ctx, operation: Operation) -> NativeResult {
    let object = map_arg(ctx)?;
    let (key, a, b) = (ctx.arg(1), ctx.arg_or_nil(2), ctx.arg_or_nil(3));
    let mut operands = operands(ctx, operation, key, a, b)?;
    let engine = ctx.engine();
    let hash = hash::quick(engine, key);
    let outcome = match ctx.done(hash)? {
        Some(hash) => with_places(ctx, object, |map| {
            match map.find(hash, |other| is_same(engine, other, key)) {
                Place::Unknown => None,
                place => Some(map.act(operation, place, hash, &mut operands)),
            }
        })?,
        None => None,
    };
    match outcome {
        Some(outcome) => finish(ctx, operation, outcome, key, a),
        None => {
            let name = "__shared_map_by_script";
            let function = engine.prelude_value(name).expect("the prelude has it");
            let number = Value::small_int(operation as i64);
            Err(ctx.tail_call(function, &[ctx.arg(0), number, key, a, b]))
        }
    }
}
/// Does something under the lock, again after the map has grown if that needs a place for an entry.
fn with_places(
    ctx: &mut Ctx,
    object: &SharedObject,
    mut act: impl FnMut(&mut SharedMapState) -> Option<Outcome>,
) -> Result<Option<Outcome>, Trap> {
    loop {
        match lock(object, &mut act) {
            Some(Outcome::NoPlace(bytes)) => {
                ctx.thread.reserve_shared(bytes)?;
                lock(object, |map| {
                    if map.needed_bytes() > 0 {
                        map.grow();
                    }
                });
            }
            other => return Ok(other),
        }
    }
}
fn is_same(engine: &Engine, a: Value, b: Value) -> Option<bool> {
    if a == b {
        return Some(true);
    }
    compare::quick_equal(engine, a, b)
}
/// After the lock is released.
fn finish(
    ctx: &mut Ctx,
    operation: Operation,
    outcome: Outcome,
    key: Value,
    default: Value,
) -> NativeResult {
    match outcome {
        Outcome::Value(value) => ctx.thread.deliver_in_native(value),
        Outcome::Is(answer) => Ok(Value::bool(answer)),
        Outcome::NoPlace(_) => unreachable!("`with_places` makes them"),
        Outcome::Nothing => match operation {
            Operation::Get => Ok(default),
            Operation::Index => {
                let text = ctx.repr_short(key);
                Err(ctx.throw(ErrorKind::Key, format!("no key {text} in the map")))
            }
            _ => Ok(Value::NIL),
        },
    }
}
/// A list of (number, key) of a hash, newest first.
fn candidates(ctx: &mut Ctx) -> NativeResult {
    let object = map_arg(ctx)?;
    let hash = ctx.int_arg(1)? as u32;
    let found: Vec<(i64, Message)> = lock(object, |map| {
        let keys = map.chain(hash).filter_map(|(_, entry)| {
            let (key, _) = entry.pair.as_ref()?;
            Some((entry.number, key.again()?))
        });
        keys.collect()
    });
    let list = ctx.list(&[])?;
    for (number, key) in found {
        let key = ctx.thread.deliver_in_native(key)?;
        let number = ctx.int(number);
        let pair = ctx.tuple(&[number, key])?;
        ctx.list_push(list, pair)?;
    }
    Ok(list)
}
/// Does what `operate` left to script code: gives a tuple with the result, or nil if what was found holds no longer.
fn act(ctx: &mut Ctx) -> NativeResult {
    let object = map_arg(ctx)?;
    let operation = ctx.int_arg(1)? as usize;
    let operation = OPERATIONS[operation % OPERATIONS.len()];
    let (key, hash) = (ctx.arg(2), ctx.int_arg(3)? as u32);
    let (found, newest) = (ctx.int_arg(4)?, ctx.int_arg(5)?);
    let (a, b) = (ctx.arg(6), ctx.arg(7));
    ctx.reserve(64)?;
    let mut operands = operands(ctx, operation, key, a, b)?;
    let outcome = with_places(ctx, object, |map| match map.place_of(hash, found, newest) {
        Place::Unknown => None,
        place => Some(map.act(operation, place, hash, &mut operands)),
    })?;
    match outcome {
        Some(outcome) => {
            let result = finish(ctx, operation, outcome, key, a)?;
            ctx.tuple(&[result])
        }
        None => Ok(Value::NIL),
    }
}
fn clear(ctx: &mut Ctx) -> NativeResult {
    let object = map_arg(ctx)?;
    let removed = lock(object, SharedMapState::clear);
    drop(removed);
    ctx.nil()
}
/// A list of the keys (0), values (1) or pairs (2) of so many entries, from a number on, and the number to go on from, nil at the end.
fn part(ctx: &mut Ctx) -> NativeResult {
    let object = map_arg(ctx)?;
    let (from, what) = (ctx.int_arg(1)?, ctx.int_arg(2)?);
    let (wants_key, wants_value) = (what != 1, what != 0);
    let (found, next) = lock(object, |map| {
        let start = map.entries.partition_point(|entry| entry.number < from);
        let mut found: Vec<(Message, Message)> = Vec::new();
        for entry in &map.entries[start..] {
            let Some((key, value)) = &entry.pair else {
                continue;
            };
            if found.len() == LISTED_AT_ONCE {
                return (found, Some(entry.number));
            }
            let copy = |wanted: bool, message: &Message| {
                let copy = if wanted { message.again() } else { None };
                copy.unwrap_or(Message::NONE)
            };
            found.push((copy(wants_key, key), copy(wants_value, value)));
        }
        (found, None)
    });
    ctx.charge(found.len() / 2);
    ctx.reserve(found.len() * 40 + 128)?;
    let list = crate::ops::list::with_capacity(&mut ctx.thread.heap, found.len());
    let list = ctx.done(list)?;
    for (key, value) in found {
        let item = match (wants_key, wants_value) {
            (true, true) => {
                let key = ctx.thread.deliver_in_native(key)?;
                let value = ctx.thread.deliver_in_native(value)?;
                ctx.tuple(&[key, value])?
            }
            (true, _) => ctx.thread.deliver_in_native(key)?,
            _ => ctx.thread.deliver_in_native(value)?,
        };
        ctx.list_push(list, item)?;
    }
    let next = match next {
        Some(number) => ctx.int(number),
        None => Value::NIL,
    };
    ctx.tuple(&[list, next])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: i64) -> Message {
        Message::shared(Value::small_int(n))
    }
    /// Keys are ints; their hash is the last digit, so that chains form.
    fn hash(key: i64) -> u32 {
        (key % 10) as u32
    }
    fn place(map: &SharedMapState, key: i64) -> Place {
        map.find(hash(key), |other| Some(other == Value::small_int(key)))
    }
    fn act(
        map: &mut SharedMapState,
        operation: Operation,
        key: i64,
        value: i64,
        old: Value,
    ) -> Option<i64> {
        let mut operands = Operands {
            key: number(key),
            value: number(value),
            old,
        };
        let at = place(map, key);
        if map.needed_bytes() > 0 {
            map.grow();
        }
        match map.act(operation, at, hash(key), &mut operands) {
            Outcome::Value(value) => value.peek().map(|v| v.as_small_int()),
            Outcome::Nothing => None,
            Outcome::Is(answer) => Some(-1 - answer as i64),
            Outcome::NoPlace(_) => unreachable!("there is one"),
        }
    }
    fn get(map: &mut SharedMapState, key: i64) -> Option<i64> {
        act(map, Operation::Get, key, 0, Value::NIL)
    }
    fn set(map: &mut SharedMapState, key: i64, value: i64) {
        act(map, Operation::Set, key, value, Value::NIL);
    }
    fn remove(map: &mut SharedMapState, key: i64) -> Option<i64> {
        act(map, Operation::Remove, key, 0, Value::NIL)
    }

    #[test]
    fn keys_of_one_hash_are_kept_apart() {
        let mut map = SharedMapState::default();
        for key in [1, 11, 21, 2] {
            set(&mut map, key, key * 100);
        }
        assert_eq!(remove(&mut map, 11), Some(1100));
        assert_eq!(remove(&mut map, 11), None);
        assert_eq!(
            (get(&mut map, 1), get(&mut map, 21)),
            (Some(100), Some(2100))
        );
        assert_eq!(remove(&mut map, 21), Some(2100));
        set(&mut map, 1, 5);
        assert_eq!(
            (get(&mut map, 1), get(&mut map, 2), map.len),
            (Some(5), Some(200), 2)
        );
    }

    #[test]
    fn gaps_are_closed_and_the_order_stays() {
        let mut map = SharedMapState::default();
        for key in 0..1000 {
            set(&mut map, key, key);
        }
        for key in 0..1000 {
            if key % 7 != 0 {
                assert_eq!(remove(&mut map, key), Some(key));
            }
        }
        assert!(map.entries.len() < 400);
        let left: Vec<i64> = map
            .entries
            .iter()
            .filter(|entry| entry.pair.is_some())
            .map(|entry| entry.number)
            .collect();
        assert_eq!(left, (0..1000).step_by(7).collect::<Vec<i64>>());
        for key in (0..1000).step_by(7) {
            assert_eq!(get(&mut map, key), Some(key));
        }
    }

    #[test]
    fn compare_and_set() {
        let mut map = SharedMapState::default();
        let seven = Value::small_int(7);
        assert_eq!(
            act(&mut map, Operation::Cas, 1, 8, seven),
            Some(-1),
            "no entry"
        );
        assert_eq!(
            act(&mut map, Operation::Cas, 1, 7, Value::NIL),
            Some(-2),
            "nil: no entry"
        );
        assert_eq!(act(&mut map, Operation::Cas, 1, 8, Value::NIL), Some(-1));
        assert_eq!(act(&mut map, Operation::Cas, 1, 8, seven), Some(-2));
        assert_eq!(act(&mut map, Operation::Insert, 1, 9, Value::NIL), Some(8));
        assert_eq!(act(&mut map, Operation::Insert, 2, 9, Value::NIL), Some(9));
    }

    #[test]
    fn what_script_found_may_hold_no_longer() {
        let mut map = SharedMapState::default();
        set(&mut map, 1, 0);
        set(&mut map, 11, 0);
        assert_eq!(map.place_of(1, 0, 1), Place::At(0));
        assert_eq!(map.place_of(1, NO_NUMBER, 1), Place::Missing);
        set(&mut map, 21, 0);
        assert_eq!(
            map.place_of(1, NO_NUMBER, 1),
            Place::Unknown,
            "one was added"
        );
        remove(&mut map, 21);
        assert_eq!(map.place_of(1, NO_NUMBER, 2), Place::Missing);
        remove(&mut map, 1);
        assert_eq!(map.place_of(1, 0, 1), Place::Unknown, "it is gone");
    }
}
