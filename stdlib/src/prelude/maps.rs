//! Methods of maps and sets. Where only script code can hash or compare a key, the call goes on in the Heddle function of the
//! same purpose (`__map_get` …), which searches with the steps at the end of the table.

use super::call_prelude;
use heddle_vm::native::{Ctx, NativeDef, NativeResult, Trap};
use heddle_vm::object::Kind;
use heddle_vm::ops::map::{Inserted, Lookup};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// The entries of larger maps and sets are listed by Heddle code.
const LONG: usize = 50_000;

pub(super) static MAPS: &[NativeDef] = natives! {
    /// The value of the key, or `default` (nil).
    plain "map.get" (self, key, "default?") => get;
    /// Sets the value of the key.
    plain "map.set" (self, key, value) => set;
    /// Whether the key is there.
    plain "map.has" (self, key) => |ctx| { check(ctx, Kind::Map, "a map")?; has(ctx) };
    /// Removes the key and gives its value, or nil.
    plain "map.remove" (self, key) => |ctx| { check(ctx, Kind::Map, "a map")?; remove(ctx, "__map_remove") };
    /// A list of the keys.
    plain "map.keys" (self) => |ctx| entries(ctx, Part::Key);
    /// A list of the values.
    plain "map.values" (self) => |ctx| entries(ctx, Part::Value);
    /// A list of tuples of key and value.
    plain "map.entries" (self) => |ctx| entries(ctx, Part::Both);
    /// The number of entries.
    plain "map.len" (self) => |ctx| { check(ctx, Kind::Map, "a map")?; len(ctx) };
    /// Whether there are none.
    plain "map.is_empty" (self) => |ctx| { check(ctx, Kind::Map, "a map")?; Ok(Value::bool(ops::map::len(ctx.arg(0)) == 0)) };
    /// Removes all entries.
    plain "map.clear" (self) => |ctx| { check(ctx, Kind::Map, "a map")?; clear(ctx) };
    /// A copy of the map; keys and values are the same.
    plain "map.copy" (self) => |ctx| { check(ctx, Kind::Map, "a map")?; copy(ctx) };

    /// Adds an element; false if it was there.
    plain "set.add" (self, value) => add;
    /// Removes an element; false if it was not there.
    plain "set.remove" (self, value) => |ctx| { check(ctx, Kind::Set, "a set")?; remove(ctx, "__set_remove") };
    /// Whether it has the element.
    plain "set.has" (self, value) => |ctx| { check(ctx, Kind::Set, "a set")?; has(ctx) };
    /// Whether it has the element.
    plain "set.contains" (self, value) => |ctx| { check(ctx, Kind::Set, "a set")?; has(ctx) };
    /// The number of elements.
    plain "set.len" (self) => |ctx| { check(ctx, Kind::Set, "a set")?; len(ctx) };
    /// Whether there are none.
    plain "set.is_empty" (self) => |ctx| { check(ctx, Kind::Set, "a set")?; Ok(Value::bool(ops::map::len(ctx.arg(0)) == 0)) };
    /// Removes all elements.
    plain "set.clear" (self) => |ctx| { check(ctx, Kind::Set, "a set")?; clear(ctx) };
    /// A copy of the set; the elements are the same.
    plain "set.copy" (self) => |ctx| { check(ctx, Kind::Set, "a set")?; copy(ctx) };
    /// A list of the elements.
    plain "set.to_list" (self) => |ctx| { check(ctx, Kind::Set, "a set")?; entries(ctx, Part::Key) };

    plain "__empty_set" () => empty_set;
    plain "__map_copy_step" (map, copy, at) => copy_step;
    // Searching with keys that only script code can hash or compare.
    plain "__map_stamp" (map) => |ctx| { let stamp = ops::map::stamp(ctx.arg(0)); Ok(ctx.int(stamp)) };
    plain "__map_candidate" (map, hash, cursor) => candidate;
    plain "__map_value_at" (map, position) => value_at;
    plain "__map_set_at" (map, position, value) => set_at;
    plain "__map_insert_hashed" (map, key, value, hash) => insert_hashed;
    plain "__map_remove_at" (map, position, hash) => remove_at;
};

fn check(ctx: &mut Ctx, kind: Kind, what: &str) -> Result<(), Trap> {
    if ctx.arg(0).is_kind(kind) {
        Ok(())
    } else {
        Err(ctx.wrong_type(0, what))
    }
}

fn get(ctx: &mut Ctx) -> NativeResult {
    check(ctx, Kind::Map, "a map")?;
    let (map, key) = (ctx.arg(0), ctx.arg(1));
    let found = ops::map::get(ctx.engine(), map, key);
    match ctx.done(found)? {
        Lookup::Found(value) => Ok(value),
        Lookup::Missing => Ok(ctx.arg_or_nil(2)),
        Lookup::NeedsScript => {
            let default = ctx.arg_or_nil(2);
            Err(call_prelude(ctx, "__map_get", &[map, key, default]))
        }
    }
}

fn set(ctx: &mut Ctx) -> NativeResult {
    check(ctx, Kind::Map, "a map")?;
    let (map, key, value) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let engine = ctx.engine();
    let inserted = ops::map::insert(ctx.heap(), engine, map, key, value);
    match ctx.done(inserted)? {
        Inserted::NeedsScript => Err(call_prelude(ctx, "__map_set", &[map, key, value])),
        _ => Ok(Value::NIL),
    }
}

fn add(ctx: &mut Ctx) -> NativeResult {
    check(ctx, Kind::Set, "a set")?;
    let (set, value) = (ctx.arg(0), ctx.arg(1));
    let engine = ctx.engine();
    let inserted = ops::map::insert(ctx.heap(), engine, set, value, Value::NIL);
    match ctx.done(inserted)? {
        Inserted::New => Ok(Value::TRUE),
        Inserted::Replaced => Ok(Value::FALSE),
        Inserted::NeedsScript => Err(call_prelude(ctx, "__set_add", &[set, value])),
    }
}

fn has(ctx: &mut Ctx) -> NativeResult {
    let (map, key) = (ctx.arg(0), ctx.arg(1));
    let found = ops::map::find(ctx.engine(), map, key);
    match ctx.done(found)? {
        Lookup::Found(_) => Ok(Value::TRUE),
        Lookup::Missing => Ok(Value::FALSE),
        Lookup::NeedsScript => Err(call_prelude(ctx, "__map_has", &[map, key])),
    }
}

/// A map's `remove` gives the value or nil, a set's whether it was there.
fn remove(ctx: &mut Ctx, by_script: &str) -> NativeResult {
    let (map, key) = (ctx.arg(0), ctx.arg(1));
    let removed = ops::map::remove(ctx.engine(), map, key);
    let is_map = map.is_kind(Kind::Map);
    match ctx.done(removed)? {
        Lookup::Found(value) => Ok(if is_map { value } else { Value::TRUE }),
        Lookup::Missing => Ok(if is_map { Value::NIL } else { Value::FALSE }),
        Lookup::NeedsScript => Err(call_prelude(ctx, by_script, &[map, key])),
    }
}

/// What a list of entries holds.
#[derive(Clone, Copy)]
enum Part {
    Key,
    Value,
    Both,
}

fn entries(ctx: &mut Ctx, part: Part) -> NativeResult {
    let map = ctx.arg(0);
    if !map.is_kind(Kind::Map) && !map.is_kind(Kind::Set) {
        return Err(ctx.wrong_type(0, "a map"));
    }
    let length = ops::map::len(map);
    if length > LONG {
        let what = Value::small_int(part as i64);
        return Err(call_prelude(ctx, "__entries_long", &[map, what]));
    }
    if let Part::Both = part {
        ctx.reserve(length * 40)?;
    }
    let list = ops::list::with_capacity(ctx.heap(), length);
    let list = ctx.done(list)?;
    let mut position = 0;
    while let Some((at, entry)) = ops::map::next_entry(map, position) {
        let item = match part {
            Part::Key => entry.key,
            Part::Value => entry.value,
            Part::Both => ctx.tuple(&[entry.key, entry.value])?,
        };
        ctx.list_push(list, item)?;
        position = at + 1;
    }
    Ok(list)
}

fn len(ctx: &mut Ctx) -> NativeResult {
    let n = ops::map::len(ctx.arg(0));
    Ok(ctx.int(n as i64))
}

fn clear(ctx: &mut Ctx) -> NativeResult {
    let done = ops::map::clear(ctx.arg(0));
    ctx.done(done)?;
    Ok(Value::NIL)
}

fn copy(ctx: &mut Ctx) -> NativeResult {
    let map = ctx.arg(0);
    if ops::map::len(map) > ops::map::LONG_COPY {
        return Err(call_prelude(ctx, "__map_copy", &[map]));
    }
    let copy = ops::map::copy(ctx.heap(), map);
    ctx.done(copy)
}

/// Goes on copying; gives where to go on, nil at the end.
fn copy_step(ctx: &mut Ctx) -> NativeResult {
    let (map, copy) = (ctx.arg(0), ctx.arg(1));
    let at = ctx.int_arg(2)?.max(0) as usize;
    ctx.charge(10_000);
    let next = ops::map::copy_step(ctx.heap(), map, copy, at);
    Ok(ctx
        .done(next)?
        .map_or(Value::NIL, |next| Value::small_int(next as i64)))
}

fn empty_set(ctx: &mut Ctx) -> NativeResult {
    let set = ops::map::new_set(ctx.heap(), 0);
    ctx.done(set)
}

/// (next cursor, position, key) of the next entry that may have a key of this hash, or nil.
fn candidate(ctx: &mut Ctx) -> NativeResult {
    let map = ctx.arg(0);
    let (hash, cursor) = (ctx.int_arg(1)?, ctx.int_arg(2)?);
    let Some((next, position)) = ops::map::candidate(map, hash as u32, cursor as usize) else {
        return Ok(Value::NIL);
    };
    let Some(entry) = ops::map::entry_at(map, position) else {
        return Ok(Value::NIL);
    };
    let (next, position) = (ctx.int(next as i64), ctx.int(position as i64));
    ctx.tuple(&[next, position, entry.key])
}

/// The position of a live entry; the map may have changed since it was found.
fn position_arg(ctx: &mut Ctx) -> Result<usize, Trap> {
    let position = ctx.int_arg(1)? as usize;
    match ops::map::entry_at(ctx.arg(0), position) {
        Some(_) => Ok(position),
        None => Err(ctx.throw(ErrorKind::Value, "the map changed while a key was compared")),
    }
}

fn value_at(ctx: &mut Ctx) -> NativeResult {
    let position = position_arg(ctx)?;
    Ok(ops::map::entry_at(ctx.arg(0), position).map_or(Value::NIL, |entry| entry.value))
}

fn set_at(ctx: &mut Ctx) -> NativeResult {
    let position = position_arg(ctx)?;
    let (map, value) = (ctx.arg(0), ctx.arg(2));
    let done = ops::list::check_not_frozen(map);
    ctx.done(done)?;
    // It is there, unless script code that compared keys has changed the map so often that its stamp was the same again.
    if ops::map::entry_at(map, position).is_some() {
        ops::map::set_at(ctx.heap(), map, position, value);
    }
    Ok(Value::NIL)
}

fn insert_hashed(ctx: &mut Ctx) -> NativeResult {
    let hash = ctx.int_arg(3)? as u32;
    let (map, key, value) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let engine = ctx.engine();
    let done = ops::map::insert_hashed(ctx.heap(), engine, map, key, value, hash);
    ctx.done(done)?;
    Ok(Value::NIL)
}

fn remove_at(ctx: &mut Ctx) -> NativeResult {
    let position = position_arg(ctx)?;
    let hash = ctx.int_arg(2)? as u32;
    let map = ctx.arg(0);
    let done = ops::list::check_not_frozen(map);
    ctx.done(done)?;
    Ok(ops::map::remove_at(map, position, hash).unwrap_or(Value::NIL))
}
