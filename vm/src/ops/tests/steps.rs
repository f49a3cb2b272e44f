use super::{Random, TestTypes, error, heap, string};
use crate::heap::Heap;
use crate::object::FLAG_FROZEN;
use crate::ops::compare_steps::{self, CompareStep, Question, quick_less};
use crate::ops::hash_steps::{self, HashStep};
use crate::ops::map::{self, Lookup};
use crate::ops::search::{self, Scan};
use crate::ops::{OpFail, compare, fields_of, hash, list};
use crate::types::ErrorKind;
use crate::value::Value;

fn small(i: i64) -> Value {
    Value::small_int(i)
}

/// Compares in steps; a `Custom` equals another, and is less, by its value modulo 10.
fn compare_by(
    heap: &mut Heap,
    types: &TestTypes,
    question: Question,
    a: Value,
    b: Value,
) -> Result<bool, OpFail> {
    let state = compare_steps::start(heap, question, a, b)?;
    let digit = |value: Value| fields_of(value)[0].as_small_int() % 10;
    let mut given = None;
    // What a call answers depends on which method is asked for: the last question that was open.
    loop {
        match compare_steps::step(heap, types, state, given.take())? {
            CompareStep::Done(answer) => return Ok(answer),
            CompareStep::More => {}
            CompareStep::Call(method, left, right) => {
                let is_less = method == types.less_method();
                let answer = match (fields_of(left), right.is_object()) {
                    ([_], true) if is_less => digit(left) < digit(right),
                    ([_], true) => digit(left) == digit(right),
                    _ => false,
                };
                given = Some(Value::bool(answer));
            }
            CompareStep::Find(m, key) => {
                let found = (0..map::len(m)).find(|&at| {
                    map::entry_at(m, at).is_some_and(|entry| digit(entry.key) == digit(key))
                });
                given = Some(small(found.map_or(-1, |at| at as i64)));
            }
        }
    }
}

fn equal(heap: &mut Heap, types: &TestTypes, a: Value, b: Value) -> bool {
    let answer = compare_by(heap, types, Question::Equal, a, b).unwrap();
    if let Some(quick) = compare::quick_equal(types, a, b) {
        assert_eq!(quick, answer, "{a:?} {b:?}");
    }
    answer
}

/// A nested value of lists, tuples, maps and numbers; the same seed gives an equal one.
fn nested(heap: &mut Heap, types: &TestTypes, random: &mut Random, depth: u32) -> Value {
    let count = random.below(4);
    match random.below(if depth == 0 { 3 } else { 7 }) {
        0 => small(random.below(3) as i64),
        1 => Value::float(random.below(3) as f64 / 2.0),
        2 => string(heap, ["a", "b", "ñ"][random.below(3) as usize]),
        3 => {
            let m = map::new_map(heap, 0).unwrap();
            for _ in 0..count {
                let value = nested(heap, types, random, depth - 1);
                map::insert(heap, types, m, small(random.below(20) as i64), value).unwrap();
            }
            m
        }
        4 => {
            let x = nested(heap, types, random, depth - 1);
            let y = nested(heap, types, random, depth - 1);
            types.point(heap, x, y)
        }
        kind => {
            let items: Vec<Value> = (0..count)
                .map(|_| nested(heap, types, random, depth - 1))
                .collect();
            if kind == 5 {
                list::new(heap, &items).unwrap()
            } else {
                list::new_tuple(heap, &items).unwrap()
            }
        }
    }
}

#[test]
fn equality_by_value() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    for seed in 1..400 {
        let a = nested(heap, types, &mut Random(seed), 4);
        let b = nested(heap, types, &mut Random(seed), 4);
        assert!(equal(heap, types, a, b), "seed {seed}");
        let c = nested(heap, types, &mut Random(seed + 1000), 4);
        assert_eq!(equal(heap, types, a, c), equal(heap, types, c, a));
        // Texts tell the same, but for numbers that are equal in two forms and the order of maps.
        if !equal(heap, types, a, c) {
            let (a, c) = (
                crate::ops::show::short(types, a, 9999),
                crate::ops::show::short(types, c, 9999),
            );
            assert_ne!(a, c);
        }
    }
    let nan = list::new(heap, &[Value::float(f64::NAN)]).unwrap();
    let other = list::new(heap, &[Value::float(f64::NAN)]).unwrap();
    assert!(equal(heap, types, nan, nan) && !equal(heap, types, nan, other));
    let (t, l) = (
        list::new_tuple(heap, &[]).unwrap(),
        list::new(heap, &[]).unwrap(),
    );
    assert!(!equal(heap, types, t, l) && !equal(heap, types, Value::TRUE, small(1)));
    let (one, also) = (
        types.circle(heap, small(1)),
        types.circle(heap, Value::float(1.0)),
    );
    assert!(equal(heap, types, one, also));
    let (e, f) = (types.error(heap, "x"), types.error(heap, "x"));
    assert!(equal(heap, types, e, f));
}

#[test]
fn methods_decide() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let mut wrap = |v: i64| {
        let custom = types.with_methods(heap, small(v));
        let inner = list::new_tuple(heap, &[small(0), custom]).unwrap();
        list::new(heap, &[inner, small(5)]).unwrap()
    };
    let (a, b, c) = (wrap(1), wrap(11), wrap(2));
    assert!(equal(heap, types, a, b) && !equal(heap, types, a, c));
    let mut less = |question, a, b| compare_by(heap, types, question, a, b).unwrap();
    assert!(
        less(Question::Less, a, c) && !less(Question::Less, c, a) && !less(Question::Less, a, b)
    );
    assert!(
        less(Question::LessOrEqual, a, b)
            && less(Question::LessOrEqual, a, c)
            && !less(Question::LessOrEqual, c, a)
    );
    let (x, y) = (
        types.with_methods(heap, small(1)),
        types.with_methods(heap, small(2)),
    );
    let mut less = |question, a, b| compare_by(heap, types, question, a, b).unwrap();
    assert!(
        less(Question::Less, x, y)
            && less(Question::LessOrEqual, x, x)
            && !less(Question::LessOrEqual, y, x)
    );
    // Keys that only script code can hash.
    let mut keyed = |first: i64, value: i64| {
        let m = map::new_map(heap, 0).unwrap();
        for key in [first, first + 1] {
            let key = types.with_methods(heap, small(key));
            map::insert_hashed(heap, types, m, key, small(value), 5).unwrap();
        }
        m
    };
    let (m, same, other, missing) = (keyed(1, 0), keyed(11, 0), keyed(1, 1), keyed(2, 0));
    assert!(
        equal(heap, types, m, same)
            && !equal(heap, types, m, other)
            && !equal(heap, types, m, missing)
    );
    assert!(!equal(heap, types, x, Value::NIL));
}

#[test]
fn order_is_lexicographic() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let mut random = Random(4);
    let mut make = |heap: &mut Heap| {
        let items: Vec<i64> = (0..random.below(5))
            .map(|_| random.below(3) as i64)
            .collect();
        let inner: Vec<Value> = items
            .iter()
            .map(|&i| list::new_tuple(heap, &[small(0), small(i)]).unwrap())
            .collect();
        (items, list::new(heap, &inner).unwrap())
    };
    for _ in 0..2000 {
        let ((a, x), (b, y)) = (make(heap), make(heap));
        assert_eq!(
            compare_by(heap, types, Question::Less, x, y).unwrap(),
            a < b,
            "{a:?} {b:?}"
        );
        assert_eq!(
            compare_by(heap, types, Question::LessOrEqual, x, y).unwrap(),
            a <= b,
            "{a:?} {b:?}"
        );
        assert_eq!(quick_less(types, x, y, false), Ok(Some(a < b)));
        assert_eq!(quick_less(types, x, y, true), Ok(Some(a <= b)));
    }
    // Equal parts need no order; unequal ones do.
    let m = map::new_map(heap, 0).unwrap();
    let n = map::new_map(heap, 0).unwrap();
    map::insert(heap, types, n, small(1), small(1)).unwrap();
    let a = list::new(heap, &[m, Value::NIL, small(1)]).unwrap();
    let copy = map::new_map(heap, 0).unwrap();
    let b = list::new(heap, &[copy, Value::NIL, small(2)]).unwrap();
    let c = list::new(heap, &[n, Value::NIL, small(2)]).unwrap();
    assert_eq!(compare_by(heap, types, Question::Less, a, b), Ok(true));
    assert_eq!(
        error(compare_by(heap, types, Question::Less, a, c)),
        (
            ErrorKind::Type,
            "cannot compare map and map by order".into()
        )
    );
    let nan = list::new(heap, &[Value::float(f64::NAN)]).unwrap();
    let one = list::new(heap, &[small(1)]).unwrap();
    assert_eq!(compare_by(heap, types, Question::Less, nan, one), Ok(false));
    assert_eq!(
        compare_by(heap, types, Question::LessOrEqual, nan, one),
        Ok(false)
    );
    let text = string(heap, "a");
    assert_eq!(
        error(compare_by(heap, types, Question::Less, text, small(1))).0,
        ErrorKind::Type
    );
    assert_eq!(
        error(quick_less(types, text, small(1), false)).0,
        ErrorKind::Type
    );
}

fn chain(heap: &mut Heap, depth: usize, end: i64, value_first: bool) -> Value {
    let mut chain = small(end);
    for _ in 0..depth {
        let items = if value_first {
            [small(1), chain]
        } else {
            [chain, small(1)]
        };
        chain = list::new(heap, &items).unwrap();
    }
    chain
}

#[test]
fn deep_and_cyclic_values() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    for value_first in [true, false] {
        let (a, b, c) = (
            chain(heap, 1_000_000, 0, value_first),
            chain(heap, 1_000_000, 0, value_first),
            chain(heap, 1_000_000, 1, value_first),
        );
        assert!(equal(heap, types, a, b));
        assert!(!equal(heap, types, a, c));
        assert_eq!(compare_by(heap, types, Question::Less, a, c), Ok(true));
        assert_eq!(compare_by(heap, types, Question::Less, c, a), Ok(false));
    }
    // Rings of different length unroll to the same endless list.
    let mut ring = |length: usize| {
        let start = list::new(heap, &[small(7)]).unwrap();
        let mut next = start;
        for _ in 1..length {
            next = list::new(heap, &[small(7), next]).unwrap();
        }
        list::push(heap, start, next).unwrap();
        start
    };
    let (a, b, long) = (ring(2), ring(3), ring(300_000));
    assert!(equal(heap, types, a, b) && equal(heap, types, a, long) && equal(heap, types, long, b));
    // Every element leads everywhere: without notes the work would be exponential.
    let mut mesh = |last: i64| {
        let nodes: Vec<Value> = (0..40).map(|_| list::new(heap, &[]).unwrap()).collect();
        for &node in &nodes {
            list::extend(heap, node, &nodes).unwrap();
        }
        list::push(heap, nodes[39], small(last)).unwrap();
        nodes[0]
    };
    let (a, b, c) = (mesh(0), mesh(0), mesh(1));
    assert!(equal(heap, types, a, b) && !equal(heap, types, a, c));
    let mut shared = |depth| {
        let mut value = list::new(heap, &[]).unwrap();
        for _ in 0..depth {
            value = list::new(heap, &[value, value]).unwrap();
        }
        value
    };
    let (a, b) = (shared(60), shared(60));
    assert!(equal(heap, types, a, b));
}

#[test]
fn steps_end_early_without_memory() {
    let types = &TestTypes::new();
    let heap = &mut Heap::new(40 << 20);
    let (a, b) = (
        chain(heap, 200_000, 0, false),
        chain(heap, 200_000, 0, false),
    );
    heap.set_limit(heap.used_bytes() + 100_000);
    let state = compare_steps::start(heap, Question::Equal, a, b).unwrap();
    let failed = loop {
        match compare_steps::step(heap, types, state, None) {
            Ok(step) => assert_eq!(step, CompareStep::More),
            Err(failed) => break failed,
        }
    };
    assert!(matches!(failed, OpFail::NeedsCollection(_)));
    // With more room it goes on where it was.
    heap.set_limit(1 << 30);
    let answer = loop {
        match compare_steps::step(heap, types, state, None).unwrap() {
            CompareStep::Done(answer) => break answer,
            step => assert_eq!(step, CompareStep::More),
        }
    };
    assert!(answer);
}

/// Hashes in steps; a `Custom` hashes by its value modulo 10.
fn hash_of(heap: &mut Heap, types: &TestTypes, value: Value) -> Result<u32, OpFail> {
    let state = hash_steps::start(heap, value)?;
    let mut given = None;
    loop {
        match hash_steps::step(heap, types, state, given.take())? {
            HashStep::Done(hash) => return Ok(hash),
            HashStep::More => {}
            HashStep::Call(_, value) => {
                given = Some(small(fields_of(value)[0].as_small_int() % 10))
            }
        }
    }
}

fn freeze_all(value: Value) {
    // SAFETY: a live object.
    unsafe { (*value.as_object()).flags |= FLAG_FROZEN };
}

#[test]
fn hashes_in_steps_and_at_once_agree() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    for seed in 1..300 {
        let mut values = Vec::new();
        for _ in 0..2 {
            // Tuples remember their hash: so each way has a value of its own.
            let mut random = Random(seed);
            let items: Vec<Value> = (0..4)
                .map(|i| {
                    let x = small(random.below(9) as i64);
                    let s = string(heap, &format!("{}", random.below(9)));
                    let m = map::new_map(heap, 0).unwrap();
                    // In an order of its own.
                    let mut keys = [x, s, Value::NIL];
                    keys.rotate_left(values.len());
                    for key in keys {
                        map::insert(heap, types, m, key, Value::float(0.5)).unwrap();
                    }
                    map::remove(types, m, Value::NIL).unwrap();
                    freeze_all(m);
                    match i {
                        0 => m,
                        1 => types.point(heap, x, s),
                        2 => {
                            let xs = list::new(heap, &[x, s, m]).unwrap();
                            freeze_all(xs);
                            xs
                        }
                        _ => list::new_tuple(heap, &[x, s]).unwrap(),
                    }
                })
                .collect();
            values.push(list::new_tuple(heap, &items).unwrap());
        }
        let at_once = hash::quick(types, values[0]).unwrap().unwrap();
        assert_eq!(
            hash_of(heap, types, values[1]).unwrap(),
            at_once,
            "seed {seed}"
        );
        assert!(equal(heap, types, values[0], values[1]));
    }
    for value in [small(1), Value::float(1.0), Value::NIL, Value::TRUE] {
        assert_eq!(
            Some(hash_of(heap, types, value).unwrap()),
            hash::quick(types, value).unwrap()
        );
    }
}

#[test]
fn hashes_of_methods_depth_and_cycles() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let (one, eleven, two) = (
        types.with_methods(heap, small(1)),
        types.with_methods(heap, small(11)),
        types.with_methods(heap, small(2)),
    );
    let mut tuple = |value| list::new_tuple(heap, &[value, small(0)]).unwrap();
    let (a, b, c) = (tuple(one), tuple(eleven), tuple(two));
    assert_eq!(hash::quick(types, a), Ok(None));
    let m = map::new_map(heap, 0).unwrap();
    assert_eq!(map::get(types, m, a), Ok(Lookup::NeedsScript));
    assert_eq!(hash_of(heap, types, a), hash_of(heap, types, b));
    assert_ne!(hash_of(heap, types, a), hash_of(heap, types, c));
    assert_eq!(hash_of(heap, types, one), hash_of(heap, types, eleven));

    let mut deep = small(1);
    for _ in 0..300_000 {
        deep = list::new_tuple(heap, &[deep]).unwrap();
    }
    assert_eq!(hash::quick(types, deep), Ok(None));
    assert!(hash_of(heap, types, deep).is_ok());
    assert!(
        hash::quick(types, deep).unwrap().is_some(),
        "it is remembered"
    );

    let ring = list::new(heap, &[]).unwrap();
    let mut next = ring;
    for _ in 0..1000 {
        next = list::new(heap, &[small(1), next]).unwrap();
        freeze_all(next);
    }
    list::push(heap, ring, next).unwrap();
    freeze_all(ring);
    let failed = error(hash_of(heap, types, next));
    assert_eq!(
        failed,
        (
            ErrorKind::Type,
            "list contains itself and cannot be hashed".into()
        )
    );

    let counter = types.counter(heap, small(1));
    let message = "Counter is mutable and cannot be a key; freeze() it";
    let (kind, text) = match hash_of(heap, types, counter) {
        Err(OpFail::Error(error)) => (error.kind, error.message(types)),
        other => panic!("{other:?}"),
    };
    assert_eq!((kind, text.as_str()), (ErrorKind::Type, message));
    freeze_all(counter);
    assert!(hash_of(heap, types, counter).is_ok());
}

#[test]
fn searching() {
    let (heap, types) = (&mut heap(), &TestTypes::new());
    let numbers: Vec<Value> = (0..120_000).map(small).collect();
    let xs = list::new(heap, &numbers).unwrap();
    assert_eq!(search::scan(types, &numbers, 0, small(7)), Scan::Found(7));
    let far = search::scan(types, &numbers, 0, small(119_999));
    assert_eq!(far, Scan::More(50_000));
    assert_eq!(
        search::scan(types, &numbers, 100_000, Value::NIL),
        Scan::NotFound
    );
    assert_eq!(
        search::contains(heap, types, xs, Value::float(5.0)),
        Ok(Some(true))
    );
    assert_eq!(search::contains(heap, types, xs, Value::NIL), Ok(None));
    let custom = types.with_methods(heap, small(1));
    let mixed = [small(1), custom];
    assert_eq!(search::scan(types, &mixed, 0, custom), Scan::NeedsScript(0));
    let (text, part) = (string(heap, "häuser"), string(heap, "äu"));
    assert_eq!(search::contains(heap, types, text, part), Ok(Some(true)));
    assert_eq!(
        error(search::contains(heap, types, text, small(1))).0,
        ErrorKind::Type
    );
    let bytes = crate::ops::text::new_bytes(heap, b"abc").unwrap();
    let (bc, ac) = (
        crate::ops::text::new_bytes(heap, b"bc").unwrap(),
        crate::ops::text::new_bytes(heap, b"ac").unwrap(),
    );
    assert_eq!(search::contains(heap, types, bytes, bc), Ok(Some(true)));
    assert_eq!(search::contains(heap, types, bytes, ac), Ok(Some(false)));
    assert_eq!(
        search::contains(heap, types, bytes, small(99)),
        Ok(Some(true))
    );
    assert_eq!(
        search::contains(heap, types, bytes, small(256)),
        Ok(Some(false))
    );
    assert_eq!(
        error(search::contains(heap, types, small(1), small(1))).0,
        ErrorKind::Type
    );
}
