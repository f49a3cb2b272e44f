//! Tests of bundles: who keeps them, when they go, and that none is left or goes early.

use super::bundle::live;
use super::tests::{Stack, field, items, list, pair, push, read_text, text};
use super::*;

/// A frozen pair of a number and a text, kept by what is returned.
fn message(number: i64) -> SharedRef {
    let mut heap = Heap::new(usize::MAX);
    let words = text(&mut heap, "message");
    let whole = pair(&mut heap, Value::small_int(number), words);
    let frozen = heap.freeze(whole).expect("it can be frozen");
    SharedRef::new(frozen).expect("shared")
}

fn check(value: Value, number: i64) {
    assert_eq!(field(value, 0), Value::small_int(number));
    assert_eq!(read_text(field(value, 1)), "message");
}

fn read_number(value: Value) -> i64 {
    field(value, 0).as_small_int()
}

/// A heap without objects, a small one, one with an old space.
fn heaps() -> [Heap; 3] {
    let mut small = Heap::new(usize::MAX);
    pair(&mut small, Value::NIL, Value::NIL);
    let mut large = Heap::new(usize::MAX);
    large.use_generations();
    [Heap::new(usize::MAX), small, large]
}

#[test]
fn a_heap_with_two_bundles_allocates_nothing() {
    let messages: Vec<SharedRef> = (0..3).map(message).collect();
    let mut heap = Heap::new(usize::MAX);
    for _ in 0..3 {
        heap.adopt(messages[0].value());
        heap.adopt(messages[1].value());
    }
    assert_eq!((heap.bundles(), heap.used_bytes()), (2, 0));
    assert!(heap.inner.is_none() && heap.bundles.is_inline());
    heap.adopt(messages[2].value());
    assert!(heap.inner.is_none() && !heap.bundles.is_inline());
    let mut roots = Stack(vec![messages[1].value()]);
    heap.collect(&mut roots, Collect::Minor);
    assert!(heap.inner.is_none() && heap.bundles.is_inline());
    assert_eq!(heap.bundles(), 1);
    drop((messages, heap));
    assert_eq!(live::count(), 0);
}

/// A bundle knows its place in one heap's table only; the others find it all the same, whoever comes and goes first.
#[test]
fn heaps_with_the_same_bundles_find_each_its_own() {
    const COUNT: usize = 1000;
    let messages: Vec<SharedRef> = (0..COUNT as i64).map(message).collect();
    let of = |from: usize, step: usize| (from..COUNT).step_by(step).map(|i| messages[i].value());
    let adopt_all = |heap: &mut Heap, values: Vec<Value>| {
        for &value in &values {
            heap.adopt(value);
        }
        Stack(values)
    };
    let mut first = Heap::new(usize::MAX);
    let mut second = Heap::new(usize::MAX);
    let mut roots = adopt_all(&mut first, of(0, 1).collect());
    let mut others = adopt_all(&mut second, of(0, 1).rev().collect());
    for how in [Collect::Minor, Collect::Full] {
        // The second one's are met in another order than they lie in, and half of them go.
        first.collect(&mut roots, how);
        others.0.retain(|value| read_number(*value) % 2 == 0);
        second.collect(&mut others, Collect::Full);
        adopt_all(&mut second, of(1, 4).collect());
        second.collect(&mut others, how);
        assert_eq!((first.bundles(), second.bundles()), (COUNT, COUNT / 2));
    }
    // Now that the first one has none, the second may have all places.
    roots.0.truncate(3);
    first.collect(&mut roots, Collect::Full);
    let mut others = adopt_all(&mut second, of(0, 1).collect());
    drop(first);
    second.collect(&mut others, Collect::Minor);
    assert_eq!(second.bundles(), COUNT);
    drop(messages);
    for (i, &value) in others.0.iter().enumerate() {
        check(value, i as i64);
    }
    drop(second);
    assert_eq!(live::count(), 0);
}

#[test]
fn a_million_messages_leave_nothing_behind() {
    for mut heap in heaps() {
        let mut roots = Stack(vec![Value::NIL]);
        for i in 0..1_000_000 / if cfg!(debug_assertions) { 20 } else { 1 } {
            let message = message(i);
            roots.0[0] = heap.adopt(message.value());
            drop(message);
            check(roots.0[0], i);
            if heap.is_collect_wanted() {
                heap.collect(&mut roots, Collect::Minor);
            }
            assert!(live::count() < 10_000);
        }
        assert!(heap.used_bytes() < 1024, "{}", heap.used_bytes());
        drop(heap);
        assert_eq!(live::count(), 0);
    }
}

#[test]
fn a_minor_collection_keeps_what_it_meets() {
    let mut heap = Heap::new(usize::MAX);
    heap.use_generations();
    let mut roots = Stack(vec![list(&mut heap)]);
    heap.collect(&mut roots, Collect::Minor);
    for round in 0..20 {
        let count = 1 << (round % 13);
        let before = items(roots.0[0]).len();
        for i in 0..count {
            let value = heap.adopt(message(i).value());
            if i % 3 == 0 {
                push(&mut heap, roots.0[0], value);
            }
        }
        heap.collect(&mut roots, Collect::Minor);
        let kept = items(roots.0[0]);
        assert_eq!(heap.bundles(), kept.len());
        for (i, &value) in kept[before..].iter().enumerate() {
            check(value, 3 * i as i64);
        }
        heap.verify(&mut roots);
    }
    // What is old goes with a full collection only.
    let count = items(roots.0[0]).len();
    roots.0[0] = items(roots.0[0])[7];
    heap.collect(&mut roots, Collect::Minor);
    assert_eq!(heap.bundles(), count);
    heap.collect(&mut roots, Collect::Full);
    assert_eq!(heap.bundles(), 1);
    assert_eq!(live::count(), 1);
}

/// A copy of many elements tells the barrier of shared values, too.
#[test]
fn values_written_in_a_row_are_met() {
    for length in [10, 2000] {
        let mut heap = Heap::new(usize::MAX);
        heap.use_generations();
        let mut roots = Stack(vec![list(&mut heap)]);
        for _ in 0..length {
            push(&mut heap, roots.0[0], Value::NIL);
        }
        heap.collect(&mut roots, Collect::Minor);
        heap.collect(&mut roots, Collect::Minor);
        let value = heap.adopt(message(5).value());
        let owner = roots.0[0].as_object();
        // SAFETY: an element of the list.
        unsafe {
            let first = (*owner.cast::<List>()).items.add(length - 2);
            first.write(value);
            heap.range_written(owner, first, 2);
        }
        heap.collect(&mut roots, Collect::Minor);
        assert_eq!(heap.bundles(), 1);
        check(items(roots.0[0])[length - 2], 5);
    }
}

#[test]
fn a_value_read_out_of_a_bundle_outlives_it() {
    for how in [Collect::Minor, Collect::Full, Collect::Stress] {
        for mut heap in heaps() {
            let outer = {
                let mut maker = Heap::new(usize::MAX);
                let inner = maker.adopt(message(3).value());
                let outer = pair(&mut maker, inner, Value::NIL);
                let outer = maker.freeze(outer).expect("it can be frozen");
                SharedRef::new(outer).expect("shared")
            };
            let mut roots = Stack(vec![heap.adopt(outer.value())]);
            drop(outer);
            assert_eq!(live::count(), 2);
            heap.collect(&mut roots, how);
            roots.0[0] = field(roots.0[0], 0);
            heap.collect(&mut roots, how);
            heap.collect(&mut roots, Collect::Full);
            check(roots.0[0], 3);
            assert_eq!((heap.bundles(), live::count()), (1, 1));
            roots.0.clear();
            heap.collect(&mut roots, Collect::Full);
            assert_eq!(live::count(), 0);
        }
    }
}

#[test]
fn owned_references_are_counted_once() {
    let mut heap = Heap::new(usize::MAX);
    let message = message(1);
    let value = message.value();
    heap.adopt_owned(std::mem::ManuallyDrop::new(message.clone()).value());
    heap.adopt_owned(std::mem::ManuallyDrop::new(message.clone()).value());
    drop(message);
    heap.verify(&mut Stack(vec![value]));
    drop(heap);
    assert_eq!(live::count(), 0);
}

#[test]
fn a_bundle_refers_to_any_number_of_others() {
    for count in [0, 1, 2, 100] {
        let mut maker = Heap::new(usize::MAX);
        let whole = list(&mut maker);
        for i in 0..count {
            let part = maker.adopt(message(i).value());
            push(&mut maker, whole, part);
            push(&mut maker, whole, part);
        }
        let frozen = SharedRef::new(maker.freeze(whole).expect("it can be frozen"));
        drop(maker);
        assert_eq!(live::count(), 1 + count as usize);
        let parts = items(frozen.as_ref().expect("shared").value());
        for (i, &part) in parts.iter().enumerate() {
            check(part, i as i64 / 2);
        }
        drop(frozen);
        assert_eq!(live::count(), 0);
    }
}
