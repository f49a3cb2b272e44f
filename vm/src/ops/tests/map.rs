use super::{NoTypes, Random, error, heap, string};
use crate::heap::Heap;
use crate::object::{FLAG_FROZEN, Map};
use crate::ops::map::{self, Inserted, Lookup};
use crate::ops::{int, list, text};
use crate::types::ErrorKind;
use crate::value::Value;
use num_bigint::BigInt;
use std::collections::HashMap;

fn small(i: i64) -> Value {
    Value::small_int(i)
}

/// The live keys in order.
fn keys(value: Value) -> Vec<Value> {
    let mut keys = Vec::new();
    let mut position = 0;
    while let Some((at, entry)) = map::next_entry(value, position) {
        keys.push(entry.key);
        position = at + 1;
    }
    keys
}

#[test]
fn behaves_like_an_ordered_map() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    for range in [6, 40, 3000] {
        let mut random = Random(range + 5);
        let m = map::new_map(heap, 0).unwrap();
        let mut model: HashMap<i64, i64> = HashMap::new();
        let mut order: Vec<i64> = Vec::new();
        for step in 0..30_000 {
            let key = random.below(range) as i64;
            // Every third key is a string, every fifth a float that equals an int.
            let value = match key % 5 {
                0 | 3 => string(heap, &format!("key {key}")),
                1 => Value::float(key as f64),
                _ => small(key),
            };
            let known = model.get(&key).copied();
            match random.below(4) {
                0 | 1 => {
                    let done = map::insert(heap, types, m, value, small(step)).unwrap();
                    assert_eq!(
                        done,
                        if known.is_some() {
                            Inserted::Replaced
                        } else {
                            Inserted::New
                        }
                    );
                    if known.is_none() {
                        order.push(key);
                    }
                    model.insert(key, step);
                }
                2 => {
                    let removed = map::remove(types, m, value).unwrap();
                    assert_eq!(
                        removed,
                        known.map_or(Lookup::Missing, |v| Lookup::Found(small(v)))
                    );
                    model.remove(&key);
                    order.retain(|&k| k != key);
                }
                _ => {
                    let found = map::get(types, m, value).unwrap();
                    assert_eq!(
                        found,
                        known.map_or(Lookup::Missing, |v| Lookup::Found(small(v)))
                    );
                }
            }
            assert_eq!(map::len(m), model.len());
        }
        let found: Vec<i64> = keys(m)
            .into_iter()
            .map(|key| {
                if key.is_float() {
                    key.as_float() as i64
                } else if key.is_small_int() {
                    key.as_small_int()
                } else {
                    text::str_of(key)[4..].parse().unwrap()
                }
            })
            .collect();
        assert_eq!(found, order);
        let copied = map::copy(heap, m).unwrap();
        assert_eq!(keys(copied), keys(m));
        for key in keys(m) {
            assert_eq!(map::get(types, copied, key), map::get(types, m, key));
        }
    }
}

#[test]
fn equal_numbers_are_one_key() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    for filler in [0, 100] {
        let m = map::new_map(heap, 0).unwrap();
        for i in 0..filler {
            map::insert(heap, types, m, small(1000 + i), Value::NIL).unwrap();
        }
        let power = BigInt::from(1) << 70;
        let big = int::from_bigint(heap, &power).unwrap();
        let again = int::from_bigint(heap, &power).unwrap();
        for (first, second) in [
            (small(1), Value::float(1.0)),
            (Value::float(0.0), Value::float(-0.0)),
            (Value::float(2f64.powi(70)), big),
            (again, Value::float(2f64.powi(70))),
        ] {
            map::insert(heap, types, m, first, Value::TRUE).unwrap();
            assert_eq!(map::get(types, m, second), Ok(Lookup::Found(Value::TRUE)));
        }
        assert_eq!(map::len(m), filler as usize + 3);
        // true is no number.
        assert_eq!(map::get(types, m, Value::TRUE), Ok(Lookup::Missing));
        let failed = error(map::insert(
            heap,
            types,
            m,
            Value::float(f64::NAN),
            Value::NIL,
        ));
        assert_eq!(failed, (ErrorKind::Value, "nan cannot be a key".into()));
        assert_eq!(
            error(map::get(types, m, Value::float(f64::NAN))).0,
            ErrorKind::Value
        );
    }
}

#[test]
fn keys_with_parts() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let m = map::new_map(heap, 0).unwrap();
    for i in 0..50 {
        let name = string(heap, &i.to_string());
        let inner = list::new_tuple(heap, &[name, Value::NIL]).unwrap();
        let key = list::new_tuple(heap, &[small(i), inner]).unwrap();
        assert_eq!(
            map::insert(heap, types, m, key, small(i)),
            Ok(Inserted::New)
        );
    }
    for i in 0..50 {
        let name = string(heap, &i.to_string());
        let inner = list::new_tuple(heap, &[name, Value::NIL]).unwrap();
        let key = list::new_tuple(heap, &[Value::float(i as f64), inner]).unwrap();
        assert_eq!(map::get(types, m, key), Ok(Lookup::Found(small(i))));
    }
    let xs = list::new(heap, &[small(1)]).unwrap();
    let message = "list is mutable and cannot be a key; freeze() it";
    assert_eq!(
        error(map::insert(heap, types, m, xs, Value::NIL)),
        (ErrorKind::Type, message.into())
    );
    let inside = list::new_tuple(heap, &[xs]).unwrap();
    assert_eq!(
        error(map::get(types, m, inside)),
        (ErrorKind::Type, message.into())
    );
    let empty = map::new_map(heap, 0).unwrap();
    assert_eq!(
        error(map::insert(heap, types, empty, xs, Value::NIL)).0,
        ErrorKind::Type
    );
    // SAFETY: a live object.
    unsafe { (*xs.as_object()).flags |= FLAG_FROZEN };
    assert_eq!(
        map::insert(heap, types, m, inside, Value::NIL),
        Ok(Inserted::New)
    );
    assert_eq!(map::get(types, m, inside), Ok(Lookup::Found(Value::NIL)));
}

#[test]
fn memory_per_entry() {
    let types = &NoTypes::new();
    for count in [100_000, 700_000, 1_000_000, 1_600_000] {
        let heap = &mut heap();
        let m = map::new_map(heap, 0).unwrap();
        for i in 0..count {
            map::insert(heap, types, m, small(i * 7), small(i)).unwrap();
        }
        // SAFETY: a live map.
        let bytes = unsafe {
            let m = &*m.as_object().cast::<Map>();
            m.capacity as usize * 16 + m.index_slots as usize * 8
        };
        assert!(
            bytes <= count as usize * 48,
            "{count}: {} bytes each",
            bytes / count as usize
        );
        assert!(
            (0..count).all(|i| map::get(types, m, small(i * 7)) == Ok(Lookup::Found(small(i))))
        );
        assert_eq!(map::get(types, m, small(1)), Ok(Lookup::Missing));
    }
}

#[test]
fn an_index_grows_while_keys_come_and_go() {
    let types = &NoTypes::new();
    for seed in 1..200u64 {
        let heap = &mut heap();
        let m = map::new_map(heap, 0).unwrap();
        let mut model = std::collections::BTreeMap::new();
        let mut random = seed;
        let mut was_growing = 0;
        for _ in 0..600 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let key = (random >> 8) as i64 % 400;
            // Sometimes more come than go, sometimes the other way round.
            if random % 16 < 6 + seed % 7 {
                map::insert(heap, types, m, small(key), small(random as i64 % 1000)).unwrap();
                model.insert(key, random as i64 % 1000);
            } else {
                let removed = map::remove(types, m, small(key)).unwrap();
                match model.remove(&key) {
                    Some(value) => assert_eq!(removed, Lookup::Found(small(value))),
                    None => assert_eq!(removed, Lookup::Missing),
                }
            }
            // SAFETY: a live map.
            was_growing += unsafe { !(*m.as_object().cast::<Map>()).next_index.is_null() } as u32;
            assert_eq!(map::len(m), model.len());
        }
        assert!(was_growing > 0 || model.len() < 40, "seed {seed}");
        for key in 0..400 {
            let expected = model
                .get(&key)
                .map_or(Lookup::Missing, |&v| Lookup::Found(small(v)));
            assert_eq!(
                map::get(types, m, small(key)),
                Ok(expected),
                "seed {seed}, key {key}"
            );
        }
    }
}

#[test]
fn a_queue_of_keys_does_not_grow() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    for width in [3, 100] {
        let m = map::new_map(heap, 0).unwrap();
        for i in 0..20_000 {
            map::insert(heap, types, m, small(i), small(i)).unwrap();
            if i >= width {
                assert_eq!(
                    map::remove(types, m, small(i - width)),
                    Ok(Lookup::Found(small(i - width)))
                );
            }
        }
        // SAFETY: a live map.
        let capacity = unsafe { (*m.as_object().cast::<Map>()).capacity };
        assert!((capacity as i64) < width * 3 + 10, "{capacity}");
        assert_eq!(map::len(m), width as usize);
    }
}

#[test]
fn script_hashes_go_by_candidates() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let m = map::new_map(heap, 0).unwrap();
    // Strings play the part of keys that only script code can hash: all with one hash.
    let names: Vec<Value> = (0..20).map(|i| string(heap, &i.to_string())).collect();
    for (i, &name) in names.iter().enumerate() {
        map::insert_hashed(heap, types, m, name, small(i as i64), 77).unwrap();
    }
    let positions = |hash| {
        let (mut cursor, mut found) = (0, Vec::new());
        while let Some((next, position)) = map::candidate(m, hash, cursor) {
            found.push(position);
            cursor = next;
        }
        found.sort();
        found
    };
    assert_eq!(positions(77), (0..20).collect::<Vec<_>>());
    assert_eq!(positions(78), Vec::<usize>::new());
    let stamp = map::stamp(m);
    assert_eq!(map::remove_at(m, 7, 77), Some(small(7)));
    assert_eq!(map::remove_at(m, 7, 77), None);
    assert_ne!(map::stamp(m), stamp);
    assert_eq!(map::entry_at(m, 7).map(|entry| entry.key), None);
    assert_eq!(positions(77).len(), 19);
    map::set_at(heap, m, 8, Value::TRUE);
    assert_eq!(
        map::entry_at(m, 8).map(|entry| entry.value),
        Some(Value::TRUE)
    );
}

#[test]
fn frozen_and_cleared() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let m = map::new_map(heap, 20).unwrap();
    map::insert(heap, types, m, small(1), small(2)).unwrap();
    map::clear(m).unwrap();
    assert_eq!(
        (map::len(m), map::get(types, m, small(1))),
        (0, Ok(Lookup::Missing))
    );
    map::insert(heap, types, m, small(1), small(2)).unwrap();
    // SAFETY: a live object.
    unsafe { (*m.as_object()).flags |= FLAG_FROZEN };
    assert_eq!(
        error(map::insert(heap, types, m, small(1), small(3))).0,
        ErrorKind::Frozen
    );
    assert_eq!(error(map::remove(types, m, small(1))).0, ErrorKind::Frozen);
    assert_eq!(error(map::clear(m)).0, ErrorKind::Frozen);
}

#[test]
fn strings_are_found_by_their_text() {
    let (heap, types) = (&mut heap(), &NoTypes::new());
    let m = map::new_map(heap, 0).unwrap();
    let make = |heap: &mut Heap, i: i64| string(heap, &format!("some key {i}"));
    for i in 0..1000 {
        let key = make(heap, i);
        map::insert(heap, types, m, key, small(i)).unwrap();
    }
    for i in 0..1000 {
        let key = make(heap, i);
        assert_eq!(
            map::get_str(m, key, super::super::TypeLookup::seed(types)),
            Some(small(i))
        );
    }
    let other = string(heap, "other");
    assert_eq!(map::get(types, m, other), Ok(Lookup::Missing));
}
