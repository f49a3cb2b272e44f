//! Tests of the heap with a Rust mutator and a shadow root stack.

use super::*;
use crate::object::size::object_bytes;

/// A shadow stack.
#[derive(Default)]
pub(super) struct Stack(pub(super) Vec<Value>);

impl Roots for Stack {
    fn visit(&mut self, _: Extent, visit: &mut dyn FnMut(*mut Value, usize)) {
        visit(self.0.as_mut_ptr(), self.0.len());
    }
}

pub(super) fn pair(heap: &mut Heap, first: Value, second: Value) -> Value {
    let object = heap.alloc(Header::new(Kind::Struct, 100, 2), 24);
    // SAFETY: allocated with two fields.
    unsafe {
        let fields: *mut Value = object.cast::<Instance>().add(1).cast();
        fields.write(first);
        fields.add(1).write(second);
    }
    Value::local(object)
}

pub(super) fn field(value: Value, index: usize) -> Value {
    assert!(value.is_kind(Kind::Struct));
    // SAFETY: a live struct with so many fields.
    unsafe { value.as_object().cast::<Value>().add(1 + index).read() }
}

pub(super) fn set_field(heap: &mut Heap, owner: Value, index: usize, value: Value) {
    // SAFETY: a live struct with so many fields.
    unsafe {
        owner
            .as_object()
            .cast::<Value>()
            .add(1 + index)
            .write(value)
    };
    heap.barrier(owner.as_object(), value);
}

pub(super) fn list(heap: &mut Heap) -> Value {
    let object = heap.alloc(Header::new(Kind::List, type_id::LIST, 0), size_of::<List>());
    let list = object.cast::<List>();
    // SAFETY: allocated with the size of a list.
    unsafe {
        (*list).len = 0;
        (*list).capacity = 0;
        (*list).items = std::ptr::null_mut();
    }
    Value::local(object)
}

pub(super) fn push(heap: &mut Heap, owner: Value, value: Value) {
    let object = owner.as_object();
    let list = object.cast::<List>();
    // SAFETY: a live list.
    unsafe {
        if (*list).len == (*list).capacity {
            let capacity = (*list).capacity as usize + ((*list).capacity as usize / 16).max(4);
            let data = heap.grow_buffer(
                object,
                (*list).items.cast(),
                Kind::ValueBuffer,
                capacity * 8,
            );
            (*list).items = data.cast();
            (*list).capacity = capacity as u32;
        }
        let slot = (*list).items.add((*list).len as usize);
        slot.write(value);
        (*list).len += 1;
        heap.barrier_at(object, slot, value);
    }
}

pub(super) fn items(value: Value) -> &'static [Value] {
    assert!(value.is_kind(Kind::List));
    let list = value.as_object().cast::<List>();
    // SAFETY: a live list; tests use the slice only until the next collection.
    unsafe {
        if (*list).len == 0 {
            return &[];
        }
        std::slice::from_raw_parts((*list).items, (*list).len as usize)
    }
}

pub(super) fn text(heap: &mut Heap, text: &str) -> Value {
    assert!(text.is_ascii());
    let mut header = Header::new(Kind::Str, type_id::STRING, 0);
    header.flags = FLAG_ASCII;
    let object = heap.alloc(header, size_of::<Str>() + text.len());
    // SAFETY: allocated with room for the text.
    unsafe {
        let str = object.cast::<Str>();
        (*str).len = text.len() as u32;
        (*str).hash = 0.into();
        std::ptr::copy_nonoverlapping(text.as_ptr(), str.add(1).cast(), text.len());
        assert_eq!(object_bytes(object), align_up(16 + text.len()));
    }
    Value::local(object)
}

pub(super) fn read_text(value: Value) -> &'static str {
    assert!(value.is_kind(Kind::Str));
    let str = value.as_object().cast::<Str>();
    // SAFETY: a live ASCII text; used only until the next collection.
    unsafe {
        let bytes = std::slice::from_raw_parts(str.add(1).cast(), (*str).len as usize);
        std::str::from_utf8(bytes).expect("ASCII")
    }
}

#[test]
fn a_fresh_heap_costs_nothing() {
    let mut heap = Heap::new(usize::MAX);
    assert_eq!(heap.used_bytes(), 0);
    assert!(size_of::<Heap>() <= 80);
    pair(&mut heap, Value::NIL, Value::NIL);
    assert!(heap.used_bytes() <= 512);
}

#[test]
fn a_cycle_survives_and_garbage_goes() {
    let mut heap = Heap::new(usize::MAX);
    let a = pair(&mut heap, Value::small_int(1), Value::NIL);
    let b = pair(&mut heap, Value::small_int(2), a);
    set_field(&mut heap, a, 1, b);
    let mut roots = Stack(vec![a]);
    for _ in 0..10 {
        for i in 0..1000 {
            let n = Value::small_int(i);
            pair(&mut heap, n, n);
        }
        heap.collect(&mut roots, Collect::Stress);
    }
    let a = roots.0[0];
    assert_eq!(field(a, 0), Value::small_int(1));
    let b = field(a, 1);
    assert_eq!(field(b, 0), Value::small_int(2));
    assert_eq!(field(b, 1), a);
    assert!(heap.used_bytes() < 64 * 1024, "{}", heap.used_bytes());
}

#[test]
fn a_list_keeps_its_elements() {
    let mut heap = Heap::new(usize::MAX);
    let mut roots = Stack(vec![list(&mut heap)]);
    for i in 0..5000 {
        let value = text(&mut heap, &format!("text {i}"));
        push(&mut heap, roots.0[0], value);
        if i % 700 == 0 || heap.is_collect_wanted() {
            heap.collect(&mut roots, Collect::Stress);
        }
    }
    let elements = items(roots.0[0]);
    assert_eq!(elements.len(), 5000);
    for (i, &element) in elements.iter().enumerate() {
        assert_eq!(read_text(element), format!("text {i}"));
    }
}

#[test]
fn host_objects_die_with_their_script_objects() {
    struct Probe(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let drops = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = || drops.load(std::sync::atomic::Ordering::Relaxed);
    let mut heap = Heap::new(usize::MAX);
    let kept = heap.alloc_host(type_id::HOST, Box::new(Probe(drops.clone())));
    heap.alloc_host(type_id::HOST, Box::new(Probe(drops.clone())));
    let mut roots = Stack(vec![Value::local(kept)]);
    heap.collect(&mut roots, Collect::Full);
    assert_eq!((count(), heap.host_objects().len()), (1, 1));
    roots.0.clear();
    heap.collect(&mut roots, Collect::Full);
    assert_eq!((count(), heap.host_objects().len()), (2, 0));
    let again = heap.alloc_host(type_id::HOST, Box::new(Probe(drops.clone())));
    roots.0.push(Value::local(again));
    drop(heap);
    assert_eq!(count(), 3);
}

/// A tuple of these values.
fn tuple(heap: &mut Heap, values: &[Value]) -> Value {
    let object = heap.alloc(
        Header::new(Kind::Tuple, type_id::TUPLE, 0),
        16 + values.len() * 8,
    );
    // SAFETY: allocated with room for the values.
    unsafe {
        let tuple = object.cast::<Tuple>();
        (*tuple).len = values.len() as u32;
        (*tuple).hash = 0.into();
        std::ptr::copy_nonoverlapping(values.as_ptr(), tuple.add(1).cast(), values.len());
    }
    Value::local(object)
}

fn elements(value: Value) -> &'static [Value] {
    assert!(value.is_kind(Kind::Tuple));
    let tuple = value.as_object().cast::<Tuple>();
    // SAFETY: a live tuple; used only until the next collection.
    unsafe { std::slice::from_raw_parts(tuple.add(1).cast(), (*tuple).len as usize) }
}

/// Runs on a native stack of 64 KiB.
fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(64 * 1024);
    let thread = thread.spawn(test).expect("a thread");
    thread.join().expect("the test passes");
}

/// A chain of pairs; collects when it is due.
fn chain(heap: &mut Heap, length: usize) -> Value {
    let mut roots = Stack(vec![Value::NIL]);
    for _ in 0..length {
        roots.0[0] = pair(heap, roots.0[0], Value::NIL);
        if heap.is_collect_wanted() {
            heap.collect(&mut roots, Collect::Minor);
        }
    }
    roots.0[0]
}

fn chain_length(mut value: Value) -> usize {
    let mut length = 0;
    while value.is_object() {
        length += 1;
        value = field(value, 0);
    }
    length
}

#[test]
fn ten_million_levels_need_no_native_stack() {
    on_a_small_stack(|| {
        let mut heap = Heap::new(usize::MAX);
        let mut roots = Stack(vec![chain(&mut heap, 10_000_000)]);
        heap.collect(&mut roots, Collect::Full);
        assert_eq!(chain_length(roots.0[0]), 10_000_000);
        roots.0.clear();
        heap.collect(&mut roots, Collect::Full);
        assert!(heap.used_bytes() < 1024 * 1024, "{}", heap.used_bytes());
        // Never collected: dropped with the heap.
        chain(&mut heap, 100_000);
    });
}

#[test]
fn deep_graphs_are_frozen_and_copied_without_native_stack() {
    on_a_small_stack(|| {
        let mut heap = Heap::new(usize::MAX);
        let mut roots = Stack(vec![chain(&mut heap, 300_000)]);
        let frozen = heap.freeze(roots.0[0]).expect("it can be frozen");
        let copy = heap.deep_copy(roots.0[0]).expect("it can be copied");
        assert!(frozen.is_shared() && copy.is_local() && copy != roots.0[0]);
        assert_eq!(chain_length(frozen), 300_000);
        roots.0 = vec![copy];
        heap.collect(&mut roots, Collect::Stress);
        heap.collect(&mut roots, Collect::Full);
        assert_eq!(heap.bundles(), 0);
        assert_eq!(chain_length(roots.0[0]), 300_000);
    });
}

#[test]
fn a_chain_of_bundles_is_freed_without_native_stack() {
    on_a_small_stack(|| {
        let mut heap = Heap::new(usize::MAX);
        let mut roots = Stack(vec![Value::NIL]);
        for _ in 0..100_000 {
            let next = pair(&mut heap, roots.0[0], Value::NIL);
            roots.0[0] = heap.freeze(next).expect("it can be frozen");
            if heap.is_collect_wanted() {
                heap.collect(&mut roots, Collect::Minor);
            }
        }
        let reference = SharedRef::new(roots.0[0]).expect("shared");
        drop(heap);
        assert_eq!(chain_length(reference.value()), 100_000);
        drop(reference);
    });
}

#[test]
fn freezing_keeps_cycles_and_shared_parts() {
    let mut heap = Heap::new(usize::MAX);
    let shared_part = list(&mut heap);
    push(&mut heap, shared_part, Value::small_int(7));
    let whole = list(&mut heap);
    push(&mut heap, whole, shared_part);
    push(&mut heap, whole, shared_part);
    push(&mut heap, whole, whole);
    let earlier = heap.freeze(shared_part).expect("it can be frozen");
    push(&mut heap, whole, earlier);
    let frozen = heap.freeze(whole).expect("it can be frozen");
    let parts = items(frozen);
    assert_eq!(parts[0], parts[1]);
    assert_eq!(parts[2], frozen);
    assert_eq!(parts[3], earlier, "what is shared already is not copied");
    assert_eq!(items(parts[0]), [Value::small_int(7)]);
    // SAFETY: live objects.
    unsafe {
        assert!((*frozen.as_object()).has(FLAG_FROZEN) && (*parts[0].as_object()).has(FLAG_FROZEN));
        assert!(!(*whole.as_object()).has(FLAG_FROZEN));
    }
    assert_eq!(heap.freeze(frozen).ok(), Some(frozen));
    assert_eq!(heap.freeze(Value::NIL).ok(), Some(Value::NIL));
    // Only the frozen whole is kept; it keeps the part that was frozen before.
    let mut roots = Stack(vec![frozen]);
    heap.collect(&mut roots, Collect::Full);
    assert_eq!(heap.bundles(), 1);
    assert_eq!(items(items(frozen)[3]), [Value::small_int(7)]);
}

#[test]
fn what_cannot_be_frozen_is_named_by_its_path() {
    let mut heap = Heap::new(usize::MAX);
    let host = Value::local(heap.alloc_host(type_id::HOST, Box::new(1)));
    let inner = tuple(&mut heap, &[Value::NIL, host]);
    let middle = pair(&mut heap, Value::TRUE, inner);
    let outer = list(&mut heap);
    for i in 0..3 {
        push(&mut heap, outer, Value::small_int(i));
    }
    push(&mut heap, outer, middle);
    for error in [heap.freeze(outer).err(), heap.deep_copy(outer).err()] {
        match error {
            Some(GraphError::Refused { path, value }) => {
                assert_eq!(value, host);
                assert_eq!(path, [Step::Index(3), Step::Field(100, 1), Step::Index(1)]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn copies_are_mutable_and_keep_their_form() {
    let mut heap = Heap::new(usize::MAX);
    let words = text(&mut heap, "text");
    let part = list(&mut heap);
    push(&mut heap, part, words);
    let whole = tuple(&mut heap, &[part, part, words]);
    push(&mut heap, part, whole);
    for original in [whole, heap.freeze(whole).expect("it can be frozen")] {
        let copy = heap.deep_copy(original).expect("it can be copied");
        let parts = elements(copy);
        assert!(copy != original && parts[0] == parts[1] && parts[0] != part);
        assert_eq!(items(parts[0])[1], copy);
        assert_eq!(parts[2], elements(original)[2], "texts are not copied");
        // SAFETY: a live list.
        assert!(unsafe { !(*parts[0].as_object()).has(FLAG_FROZEN) });
        push(&mut heap, parts[0], Value::NIL);
        assert_eq!(items(elements(original)[0]).len(), 2);
    }
}

#[test]
fn shared_values_live_as_long_as_someone_holds_them() {
    let mut maker = Heap::new(usize::MAX);
    let words = text(&mut maker, "hello");
    let frozen = maker.freeze(words).expect("it can be frozen");
    let message = SharedRef::new(frozen).expect("shared");
    assert!(SharedRef::new(words).is_none());
    drop(maker);
    let mut taker = Heap::new(usize::MAX);
    let mut roots = Stack(vec![taker.adopt(message.value())]);
    taker.adopt(message.value());
    drop(message);
    taker.collect(&mut roots, Collect::Full);
    assert_eq!((taker.bundles(), read_text(roots.0[0])), (1, "hello"));
    roots.0.clear();
    taker.collect(&mut roots, Collect::Full);
    assert_eq!(taker.bundles(), 0);
}

#[test]
fn permanent_objects_need_no_table() {
    let arena = SharedArena::new();
    let mut heap = Heap::new(usize::MAX);
    let words = text(&mut heap, "constant");
    let table = list(&mut heap);
    push(&mut heap, table, words);
    let counted = heap.freeze(table).expect("it can be frozen");
    push(&mut heap, table, counted);
    let constant = arena.freeze(table).expect("it can be frozen");
    drop(heap);
    let mut heap = Heap::new(usize::MAX);
    let mut roots = Stack(vec![heap.adopt(constant)]);
    pair(&mut heap, Value::NIL, Value::NIL);
    heap.collect(&mut roots, Collect::Full);
    assert_eq!(heap.bundles(), 0);
    assert_eq!(read_text(items(constant)[0]), "constant");
    assert_eq!(read_text(items(items(constant)[1])[0]), "constant");
    assert!(arena.bytes() > 0);
}

#[test]
fn the_limit_holds() {
    for limit in [64 << 10, 1 << 20, 16 << 20] {
        let mut heap = Heap::new(limit);
        let mut roots = Stack(vec![Value::NIL]);
        // Garbage alone never reaches it.
        for _ in 0..3 * limit / 24 {
            pair(&mut heap, Value::NIL, Value::NIL);
            if heap.is_collect_wanted() {
                heap.collect(&mut roots, Collect::Minor);
                assert!(
                    !heap.is_over_limit(),
                    "limit {limit}: {}",
                    heap.used_bytes()
                );
            }
        }
        // What stays alive does, not much too early and not late.
        let mut live = 0;
        while !heap.is_over_limit() {
            roots.0[0] = pair(&mut heap, roots.0[0], Value::NIL);
            live += 24;
            if heap.is_collect_wanted() {
                heap.collect(&mut roots, Collect::Minor);
            }
            assert!(heap.used_bytes() <= limit + 256 * 1024);
        }
        assert!(
            live > limit / 4 && live <= limit,
            "limit {limit}: {live} alive"
        );
        assert_eq!(heap.reserve(limit), Err(NeedsCollection));
        // Afterwards there is room again.
        roots.0[0] = Value::NIL;
        heap.collect(&mut roots, Collect::Minor);
        assert!(!heap.is_over_limit());
        assert_eq!(heap.reserve(limit / 4), Ok(()));
    }
}

#[test]
fn large_garbage_is_freed_at_once() {
    let mut heap = Heap::new(8 << 20);
    let mut roots = Stack::default();
    for _ in 0..1000 {
        if heap.reserve(1 << 20).is_err() {
            heap.collect(&mut roots, Collect::Minor);
            assert_eq!(heap.reserve(1 << 20), Ok(()));
        }
        heap.alloc_buffer(Kind::RawBuffer, 1 << 20);
    }
    heap.collect(&mut roots, Collect::Minor);
    assert!(heap.used_bytes() < 1 << 20);
}

#[test]
fn very_large_garbage_is_freed_by_and_by() {
    let mut heap = Heap::new(64 << 20);
    let mut roots = Stack::default();
    for _ in 0..3 {
        heap.alloc_buffer(Kind::RawBuffer, 9 << 20);
        heap.collect(&mut roots, Collect::Minor);
        assert!(heap.used_bytes() > 1 << 20 && heap.is_collect_wanted());
    }
    let mut collections = 0;
    while heap.is_collect_wanted() {
        heap.collect(&mut roots, Collect::Minor);
        collections += 1;
    }
    assert!((4..20).contains(&collections), "{collections}");
    assert!(heap.used_bytes() < 1 << 20);
    heap.alloc_buffer(Kind::RawBuffer, 40 << 20);
    heap.collect(&mut roots, Collect::Minor);
    // What is yet to be freed makes way for what is asked for.
    assert_eq!(heap.reserve(50 << 20), Err(NeedsCollection));
    heap.collect(&mut roots, Collect::Minor);
    assert_eq!(heap.reserve(50 << 20), Ok(()));
}

#[test]
fn sizes_are_as_promised() {
    let mut heap = Heap::new(usize::MAX);
    let mut roots = Stack(vec![list(&mut heap)]);
    for i in 0..1_000_000 {
        push(&mut heap, roots.0[0], Value::small_int(i));
        if heap.is_collect_wanted() {
            heap.collect(&mut roots, Collect::Minor);
        }
    }
    heap.collect(&mut roots, Collect::Full);
    let used = heap.used_bytes();
    assert!(
        used <= 8_500_000,
        "a list of a million ints takes {used} bytes"
    );

    let mut heap = Heap::new(usize::MAX);
    let mut roots = Stack(vec![chain(&mut heap, 1_000_000)]);
    heap.collect(&mut roots, Collect::Full);
    let used = heap.used_bytes();
    assert!(used <= 24_500_000, "a million pairs take {used} bytes");
}

/// Many tasks, or a deep one, with little in their heap: an old space lets collections leave out what has not changed.
#[test]
fn many_roots_make_an_old_space() {
    let mut heap = Heap::new(usize::MAX);
    let mut stack = Stack(vec![Value::NIL; 1000]);
    pair(&mut heap, Value::NIL, Value::NIL);
    heap.collect(&mut stack, Collect::Minor);
    assert!(heap.inner().generations.is_none());
    stack.0.resize(20_000, Value::NIL);
    stack.0[0] = pair(&mut heap, Value::NIL, Value::NIL);
    heap.collect(&mut stack, Collect::Minor);
    assert!(heap.inner().generations.is_some());
    heap.collect(&mut stack, Collect::Full);
    assert!(field(stack.0[0], 1).is_nil());
}
