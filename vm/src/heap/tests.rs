//! Tests of the heap with a Rust mutator and a shadow root stack.

use super::*;
use crate::object::size::object_bytes;

/// A shadow stack.
#[derive(Default)]
pub(super) struct Stack(pub(super) Vec<Value>);

impl Roots for Stack {
    fn visit(&mut self, visit: &mut dyn FnMut(*mut Value, usize)) {
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
    let heap = Heap::new(usize::MAX);
    assert_eq!(heap.used_bytes(), 0);
    assert!(size_of::<Heap>() <= 48);
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
