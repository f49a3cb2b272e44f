//! Tests of parcels: what a receiver takes over is whole, counted, and collected as its own.

use super::bundle::live;
use super::parcel::Parcel;
use super::tests::{Stack, field, items, list, pair, push, read_text, set_field, text};
use super::*;

/// Receivers of all sorts.
fn receivers() -> Vec<(Heap, Stack)> {
    let mut receivers = Vec::new();
    for sort in 0..6 {
        let mut heap = Heap::new(usize::MAX);
        let mut roots = Stack(vec![Value::NIL]);
        match sort {
            0 => {}
            1 => roots.0[0] = pair(&mut heap, Value::NIL, Value::NIL),
            2 => heap.use_generations(),
            _ => {
                heap.make_steps_small();
                for _ in 0..20_000 {
                    roots.0[0] = pair(&mut heap, roots.0[0], Value::NIL);
                    if heap.is_collect_wanted() {
                        heap.collect(&mut roots, Collect::Minor);
                    }
                }
                // In the middle of a mark, of a sweep, after both.
                for _ in 0..sort * 40 {
                    heap.collect(&mut roots, Collect::Minor);
                }
            }
        }
        receivers.push((heap, roots));
    }
    receivers
}

/// A list of `count` pairs of the list itself and a text, one list of ints, and a frozen pair.
fn graph(heap: &mut Heap, count: usize) -> Value {
    let whole = list(heap);
    for i in 0..count {
        let words = text(heap, &format!("text {i}"));
        let part = pair(heap, whole, words);
        push(heap, whole, part);
    }
    let ints = list(heap);
    for i in 0..count {
        push(heap, ints, Value::small_int(i as i64));
    }
    push(heap, whole, ints);
    push(heap, whole, ints);
    let part = pair(heap, Value::small_int(7), Value::NIL);
    let frozen = heap.freeze(part).expect("it can be frozen");
    push(heap, whole, frozen);
    whole
}

fn check(whole: Value, count: usize) {
    let parts = items(whole);
    assert_eq!(parts.len(), count + 3);
    for (i, &part) in parts[..count].iter().enumerate() {
        assert!(part.is_local());
        assert_eq!(field(part, 0), whole);
        assert_eq!(read_text(field(part, 1)), format!("text {i}"));
    }
    assert_eq!(parts[count], parts[count + 1]);
    let ints = items(parts[count]);
    assert!((0..count).all(|i| ints[i] == Value::small_int(i as i64)));
    assert_eq!(field(parts[count + 2], 0), Value::small_int(7));
}

/// The value lives on in its new heap, and goes when nobody needs it.
fn live_and_die(mut heap: Heap, mut roots: Stack, value: Value, count: usize) {
    roots.0.push(value);
    heap.verify(&mut roots);
    for how in [
        Collect::Minor,
        Collect::Minor,
        Collect::Stress,
        Collect::Full,
    ] {
        let words = text(&mut heap, "young");
        let young = pair(&mut heap, words, Value::NIL);
        let owner = roots.0[1];
        push(&mut heap, owner, young);
        heap.collect(&mut roots, how);
        heap.verify(&mut roots);
        let list = roots.0[1].as_object().cast::<List>();
        let young = items(roots.0[1])[count + 3];
        assert_eq!(read_text(field(young, 0)), "young");
        // SAFETY: takes the last element away.
        unsafe { (*list).len -= 1 };
        check(roots.0[1], count);
    }
    roots.0.clear();
    heap.collect(&mut roots, Collect::Full);
    assert_eq!(heap.bundles(), 0);
    assert!(heap.used_bytes() < 1 << 20, "{} bytes", heap.used_bytes());
    drop(heap);
    assert_eq!(live::count(), 0);
}

#[test]
fn a_copy_is_taken_over() {
    for count in [0, 1, 4, 100, 1000, 20_000] {
        for (mut heap, roots) in receivers() {
            let mut sender = Heap::new(usize::MAX);
            let original = graph(&mut sender, count);
            let (parcel, copy) = sender.copy_out(original).expect("it can be copied");
            check(original, count);
            let parcel = Parcel::new(parcel, copy);
            let before = heap.used_bytes();
            let value = parcel.deliver(&mut heap).ok().expect("there is room");
            assert!(count < 100 || heap.used_bytes() >= before + count * 24);
            check(value, count);
            drop(sender);
            live_and_die(heap, roots, value, count);
        }
    }
}

#[test]
fn a_copy_is_mutable_whatever_it_was() {
    let mut sender = Heap::new(usize::MAX);
    let original = graph(&mut sender, 5);
    let frozen = sender.freeze(original).expect("it can be frozen");
    let (heap, copy) = sender.copy_out(frozen).expect("it can be copied");
    let mut receiver = Heap::new(usize::MAX);
    let value = Parcel::new(heap, copy).deliver(&mut receiver);
    let parts = items(value.ok().expect("there is room"));
    assert!(parts.iter().all(|part| part.is_local()));
    for part in parts {
        // SAFETY: a live object.
        assert!(unsafe { !(*part.as_object()).has(FLAG_FROZEN) });
    }
    // What cannot be changed crosses as it is.
    let words = field(items(frozen)[0], 1);
    let (heap, copy) = sender.copy_out(words).expect("it can be copied");
    assert!(copy == words && heap.used_bytes() == 0);
}

#[test]
fn a_result_is_taken_over_without_the_garbage() {
    for count in [0, 1, 4, 100, 1000, 20_000] {
        for garbage in [0, 100, 30_000] {
            for (mut heap, roots) in receivers() {
                let mut ended = Heap::new(usize::MAX);
                let mut their_roots = Stack(vec![Value::NIL]);
                for _ in 0..garbage {
                    their_roots.0[0] = pair(&mut ended, their_roots.0[0], Value::NIL);
                    if ended.is_collect_wanted() {
                        ended.collect(&mut their_roots, Collect::Minor);
                    }
                }
                if garbage > 0 {
                    // Old garbage that is remembered, with a bundle that nothing else needs.
                    let words = text(&mut ended, "garbage");
                    let frozen = ended.freeze(words).expect("it can be frozen");
                    set_field(&mut ended, their_roots.0[0], 1, frozen);
                }
                let result = graph(&mut ended, count);
                let parcel = Parcel::of_thread(ended, result).ok().expect("it moves");
                assert_eq!(live::count(), 1, "the garbage's bundles went");
                let value = parcel.deliver(&mut heap).ok().expect("there is room");
                check(value, count);
                live_and_die(heap, roots, value, count);
            }
        }
    }
}

#[test]
fn a_parcel_that_does_not_fit_comes_back() {
    for count in [4, 20_000] {
        let mut sender = Heap::new(usize::MAX);
        let original = graph(&mut sender, count);
        let (heap, copy) = sender.copy_out(original).expect("it can be copied");
        let bytes = heap.used_bytes();
        let parcel = Parcel::new(heap, copy);
        let mut small = Heap::new(bytes / 2);
        pair(&mut small, Value::NIL, Value::NIL);
        let parcel = parcel.deliver(&mut small).expect_err("there is no room");
        assert!(small.is_over_limit());
        small.set_limit(2 * bytes + 4096);
        let value = parcel.deliver(&mut small).ok().expect("there is room");
        check(value, count);
    }
}

#[test]
fn what_is_bound_to_its_thread_stays() {
    let mut sender = Heap::new(usize::MAX);
    let host = Value::local(sender.alloc_host(type_id::HOST, Box::new(1)));
    let whole = pair(&mut sender, host, Value::NIL);
    assert!(sender.copy_out(whole).is_err());
    let (_sender, refused) = Parcel::of_thread(sender, whole).err().expect("it stays");
    assert!(matches!(refused, GraphError::Refused { value, .. } if value == host));
}

/// Objects are numbered while a graph is walked; afterwards they are as before.
#[test]
fn a_refused_graph_is_left_as_it_was() {
    let mut heap = Heap::new(usize::MAX);
    let whole = graph(&mut heap, 100);
    let host = Value::local(heap.alloc_host(type_id::HOST, Box::new(1)));
    push(&mut heap, whole, host);
    assert!(heap.freeze(whole).is_err());
    assert!(heap.deep_copy(whole).is_err());
    assert!(heap.copy_out(whole).is_err());
    let mut roots = Stack(vec![whole]);
    heap.verify(&mut roots);
    heap.collect(&mut roots, Collect::Stress);
    // SAFETY: takes the last element away.
    unsafe { (*roots.0[0].as_object().cast::<List>()).len -= 1 };
    check(roots.0[0], 100);
}
