//! Loads that measure the heap without an interpreter; `cargo run --release -p heddle-vm --example heap_bench` prints them.

use super::{Collect, Extent, Heap, HeapStats, Roots};
use crate::object::*;
use crate::value::Value;
use std::time::{Duration, Instant};

/// A shadow stack.
struct Stack {
    values: Vec<Value>,
    heap: Heap,
    pauses: Vec<Duration>,
}

struct Values<'a>(&'a mut Vec<Value>);

impl Roots for Values<'_> {
    fn visit(&mut self, _: Extent, visit: &mut dyn FnMut(*mut Value, usize)) {
        visit(self.0.as_mut_ptr(), self.0.len());
    }
}

impl Stack {
    fn new() -> Stack {
        Stack {
            values: Vec::with_capacity(1024),
            heap: Heap::new(usize::MAX),
            pauses: Vec::new(),
        }
    }

    #[inline(always)]
    fn safepoint(&mut self) {
        if self.heap.collect_wanted {
            self.collect();
        }
    }

    #[cold]
    fn collect(&mut self) {
        let start = Instant::now();
        self.heap
            .collect(&mut Values(&mut self.values), Collect::Minor);
        self.pauses.push(start.elapsed());
    }

    /// Replaces the two topmost values by a pair of them.
    #[inline(always)]
    fn pair(&mut self) {
        let object = self.heap.alloc(Header::new(Kind::Struct, 100, 2), 24);
        let second = self.values.pop().expect("two values");
        let first = self.values.pop().expect("two values");
        // SAFETY: allocated with two fields.
        unsafe {
            let fields: *mut Value = object.cast::<Instance>().add(1).cast();
            fields.write(first);
            fields.add(1).write(second);
        }
        self.values.push(Value::local(object));
        self.safepoint();
    }

    fn tree(&mut self, depth: u32) {
        if depth == 0 {
            self.values.push(Value::NIL);
            self.values.push(Value::NIL);
        } else {
            self.tree(depth - 1);
            self.tree(depth - 1);
        }
        self.pair();
    }

    fn count(&self, tree: Value) -> u64 {
        if !tree.is_object() {
            return 0;
        }
        // SAFETY: a live pair.
        unsafe {
            let fields: *mut Value = tree.as_object().cast::<Instance>().add(1).cast();
            1 + self.count(fields.read()) + self.count(fields.add(1).read())
        }
    }

    fn report(&mut self, name: &str, time: Duration, objects: u64) -> String {
        self.pauses.sort();
        let HeapStats { minor, full, .. } = self.heap.stats();
        let pause = |share: f64| {
            let at = (self.pauses.len() as f64 * share) as usize;
            self.pauses
                .get(at.min(self.pauses.len().max(1) - 1))
                .map_or(0, Duration::as_micros)
        };
        format!(
            "{name}: {:.1} ns/object ({:.1} in collections), {:.3} s, {objects} objects, {minor} minor, {full} full, pauses µs: median {} 99 % {} longest {}, {} KiB in use, {} MB survived",
            time.as_nanos() as f64 / objects as f64,
            self.pauses.iter().sum::<Duration>().as_nanos() as f64 / objects as f64,
            time.as_secs_f64(),
            pause(0.5),
            pause(0.99),
            pause(1.0),
            self.heap.used_bytes() / 1024,
            self.heap.stats().survived_bytes / 1_000_000,
        )
    }
}

/// binary-trees: many short-lived trees of all sizes beside a long-lived one.
pub fn binary_trees(depth: u32) -> String {
    let mut stack = Stack::new();
    let mut objects = 0;
    let start = Instant::now();
    stack.tree(depth + 1);
    objects += stack.count(stack.values[0]);
    stack.values.clear();
    stack.tree(depth);
    objects += stack.count(stack.values[0]);
    let mut at = 4;
    while at <= depth {
        for _ in 0..1 << (depth - at + 4) {
            stack.tree(at);
            let tree = stack.values.pop().expect("the tree");
            objects += stack.count(tree);
        }
        at += 2;
    }
    let time = start.elapsed();
    stack.report(&format!("binary trees {depth}"), time, objects)
}

/// `megabytes` of pairs stay alive and are replaced a tree at a time.
pub fn live_heap(megabytes: usize) -> String {
    let mut stack = Stack::new();
    let tree_depth = 9;
    let trees = megabytes * 1_000_000 / (((2 << tree_depth) - 1) * 24);
    let mut objects = 0;
    let start = Instant::now();
    for _ in 0..trees {
        stack.tree(tree_depth);
    }
    let mut random = 1_u64;
    for _ in 0..3 * trees {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
        stack.tree(tree_depth);
        let tree = stack.values.pop().expect("the tree");
        stack.values[(random >> 33) as usize % trees] = tree;
        objects += (2 << tree_depth) - 1;
    }
    let time = start.elapsed();
    stack.report(&format!("{megabytes} MB live"), time, objects)
}

/// A list built by pushing `count` values; `texts`: each a fresh string.
pub fn list_by_push(count: usize, texts: bool) -> String {
    let mut stack = Stack::new();
    let start = Instant::now();
    let object = stack
        .heap
        .alloc(Header::new(Kind::List, type_id::LIST, 0), 24);
    // SAFETY: a fresh list, then a live one.
    unsafe {
        let list = object.cast::<List>();
        (*list).len = 0;
        (*list).capacity = 0;
        (*list).items = std::ptr::null_mut();
        stack.values.push(Value::local(object));
        for i in 0..count {
            let value = if texts {
                let text = stack
                    .heap
                    .alloc(Header::new(Kind::Int64, type_id::INT, 0), 24);
                Value::local(text)
            } else {
                Value::small_int(i as i64)
            };
            let object = stack.values[0].as_object();
            let list = object.cast::<List>();
            if (*list).len == (*list).capacity {
                let capacity = (*list).capacity as usize;
                let capacity = capacity + (capacity / 16).max(4);
                let data = stack.heap.grow_buffer(
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
            stack.heap.barrier_at(object, slot, value);
            stack.safepoint();
        }
    }
    let time = start.elapsed();
    let name = if texts { "objects" } else { "ints" };
    stack.report(&format!("list of {count} {name}"), time, count as u64)
}

/// Freezes a pair of a pair and an int, `count` times.
pub fn freeze_small(count: usize) -> String {
    let mut stack = Stack::new();
    let start = Instant::now();
    for i in 0..count {
        stack.values.push(Value::small_int(i as i64));
        stack.values.push(Value::NIL);
        stack.pair();
        stack.values.push(Value::NIL);
        stack.pair();
        let value = stack.values.pop().expect("the pair");
        let frozen = stack.heap.freeze(value);
        stack.values.push(frozen.expect("it can be frozen"));
        stack.safepoint();
        stack.values.clear();
    }
    let time = start.elapsed();
    stack.report("freeze", time, count as u64)
}
