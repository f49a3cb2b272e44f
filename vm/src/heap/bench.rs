//! Loads that measure the heap without an interpreter; `cargo run --release -p heddle-vm --example heap_bench` prints them.

use super::{Collect, Extent, Heap, HeapStats, Roots};
use crate::object::*;
use crate::shared::Message;
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

/// The median of the runs, in nanoseconds per unit.
fn median(units: usize, mut run: impl FnMut() -> Duration) -> f64 {
    let mut times: Vec<Duration> = (0..15).map(|_| run()).collect();
    times.sort();
    times[times.len() / 2].as_nanos() as f64 / units as f64
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = thread_time();
    run();
    thread_time().saturating_sub(start)
}

/// What this OS thread has used of its core: other programs on the machine do not count.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
fn thread_time() -> Duration {
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
    }
    let mut time = [0; 2];
    // SAFETY: on 64-bit Linux a `timespec` is two words.
    unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time[0] as u64, time[1] as u32)
}
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
fn thread_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

fn new_pair(heap: &mut Heap, first: Value, second: Value) -> Value {
    let object = heap.alloc(Header::new(Kind::Struct, 100, 2), 24);
    // SAFETY: allocated with two fields.
    unsafe {
        let fields: *mut Value = object.cast::<Instance>().add(1).cast();
        fields.write(first);
        fields.add(1).write(second);
    }
    Value::local(object)
}

fn new_tuple(heap: &mut Heap, values: [Value; 3]) -> Value {
    let object = heap.alloc(Header::new(Kind::Tuple, type_id::TUPLE, 0), 40);
    // SAFETY: allocated with room for the values.
    unsafe {
        let tuple = object.cast::<Tuple>();
        (*tuple).len = 3;
        (*tuple).hash = 0.into();
        tuple.add(1).cast::<[Value; 3]>().write(values);
    }
    Value::local(object)
}

/// A list of what `item` makes.
fn new_list(
    heap: &mut Heap,
    count: usize,
    mut item: impl FnMut(&mut Heap, usize) -> Value,
) -> Value {
    let object = heap.alloc(Header::new(Kind::List, type_id::LIST, 0), size_of::<List>());
    // SAFETY: allocated with the size of a list; the buffer has room for all, and nothing is collected.
    unsafe {
        let list = object.cast::<List>();
        (*list).items = heap.alloc_buffer(Kind::ValueBuffer, count * 8).cast();
        (*list).len = count as u32;
        (*list).capacity = count as u32;
        for i in 0..count {
            let value = item(heap, i);
            (*list).items.add(i).write(value);
        }
    }
    Value::local(object)
}

/// What is paid for small heaps and small messages.
pub fn small_heaps() -> String {
    const MANY: usize = 10_000;
    let nil = Value::NIL;
    let tiny = median(MANY, || {
        timed(|| {
            for _ in 0..MANY {
                let mut heap = Heap::new(usize::MAX);
                for _ in 0..3 {
                    std::hint::black_box(new_pair(&mut heap, nil, nil));
                }
            }
        })
    });
    let three = [Value::small_int(1), Value::small_int(2), nil];
    let frozen_ns = median(MANY, || {
        let mut heap = Heap::new(usize::MAX);
        let values: Vec<Value> = (0..MANY).map(|_| new_tuple(&mut heap, three)).collect();
        timed(|| {
            for &value in &values {
                std::hint::black_box(heap.freeze(value).is_ok());
            }
        })
    });
    let cycle_ns = median(MANY, || {
        let mut stack = Stack::new();
        timed(|| {
            for _ in 0..MANY {
                let value = new_tuple(&mut stack.heap, three);
                std::hint::black_box(stack.heap.freeze(value).is_ok());
                stack.safepoint();
            }
        })
    });
    let mut maker = Heap::new(usize::MAX);
    let mut new = || {
        let value = new_tuple(&mut maker, three);
        maker.freeze(value).unwrap_or(nil)
    };
    let known: Vec<Value> = (0..20).map(|_| new()).collect();
    let adopt_ns = |count: usize| {
        let mut heap = Heap::new(usize::MAX);
        median(MANY, || {
            timed(|| {
                for i in 0..MANY {
                    std::hint::black_box(heap.adopt(known[i % count]));
                }
            })
        })
    };
    let (adopt_2, adopt_10, adopt_20) = (adopt_ns(2), adopt_ns(10), adopt_ns(20));
    let distinct_ns = median(MANY, || {
        let mut messages: Vec<Message> = (0..MANY).map(|_| Message::shared(new())).collect();
        let mut stack = Stack::new();
        timed(|| {
            for message in messages.drain(..) {
                std::hint::black_box(message.deliver(&mut stack.heap).is_ok());
                stack.safepoint();
            }
        })
    });
    let mut sender = Heap::new(usize::MAX);
    let small = new_list(&mut sender, 3, |_, i| Value::small_int(i as i64));
    let copy_ns = median(MANY, || {
        let mut receiver = Stack::new();
        timed(|| {
            for _ in 0..MANY {
                if let Ok((heap, copy)) = sender.copy_out(small) {
                    let message = Message::copied(heap, copy);
                    std::hint::black_box(message.deliver(&mut receiver.heap).is_ok());
                }
                receiver.safepoint();
            }
        })
    });
    format!(
        "ns: heap with 3 objects {tiny:.0}, freeze a tuple {frozen_ns:.0}, make + freeze + collect it {cycle_ns:.0}, adopt one of 2 known {adopt_2:.1} of 10 {adopt_10:.1} of 20 {adopt_20:.1}, receive distinct messages {distinct_ns:.0}, send and receive a copy of a list of 3 {copy_ns:.0}"
    )
}

/// What is paid for large ones.
pub fn large_messages() -> String {
    const MANY: usize = 1_000_000;
    let int = |i: usize| Value::small_int(i as i64);
    let send = |value: Value| {
        let mut receiver = Heap::new(usize::MAX);
        median(1000, || {
            timed(|| {
                for _ in 0..1000 {
                    std::hint::black_box(Message::shared(value).deliver(&mut receiver).is_ok());
                }
            })
        })
    };
    // The receiver has objects of its own.
    let copy = |sender: &mut Heap, value: Value| {
        median(1, || {
            let mut receiver = Heap::new(usize::MAX);
            new_pair(&mut receiver, Value::NIL, Value::NIL);
            timed(|| {
                if let Ok((heap, copy)) = sender.copy_out(value) {
                    let message = Message::copied(heap, copy);
                    std::hint::black_box(message.deliver(&mut receiver).is_ok());
                }
            })
        })
    };
    let hand_over = |sender: &mut Heap, value: Value| {
        median(1, || {
            let mut receiver = Heap::new(usize::MAX);
            new_pair(&mut receiver, Value::NIL, Value::NIL);
            let Ok((heap, copy)) = sender.copy_out(value) else {
                return Duration::ZERO;
            };
            let message = Message::copied(heap, copy);
            timed(|| {
                std::hint::black_box(message.deliver(&mut receiver).is_ok());
            })
        })
    };
    let freeze = |sender: &mut Heap, value: Value| {
        median(1, || {
            let time = timed(|| {
                std::hint::black_box(sender.freeze(value).is_ok());
            });
            let mut roots = vec![value];
            sender.collect(&mut Values(&mut roots), Collect::Minor);
            time
        })
    };
    let mut heap = Heap::new(usize::MAX);
    heap.use_generations();
    let mut roots = vec![
        new_list(&mut heap, MANY, |_, i| int(i)),
        new_list(&mut heap, MANY, |heap, i| {
            new_pair(heap, int(i), Value::NIL)
        }),
    ];
    let mut chain = Value::NIL;
    for i in 0..MANY {
        chain = new_pair(&mut heap, int(i), chain);
    }
    roots.push(chain);
    heap.collect(&mut Values(&mut roots), Collect::Full);
    let [ints, pairs, chain] = [roots[0], roots[1], roots[2]];
    let source = vec![1_u64; MANY];
    let memcpy = median(1, || {
        let start = thread_time();
        let copy = std::hint::black_box(source.clone());
        let time = thread_time().saturating_sub(start);
        drop(copy);
        time
    });
    let copied = [ints, pairs, chain].map(|value| copy(&mut heap, value));
    let handed = [ints, pairs, chain].map(|value| hand_over(&mut heap, value));
    let mut frozen = Vec::new();
    for at in 0..3 {
        let all = roots.clone();
        frozen.push(freeze(&mut heap, all[at]));
    }
    let shared = heap.freeze(pairs).unwrap_or(Value::NIL);
    format!(
        "send an int {:.1} ns, a frozen million {:.1} ns; copy a million ints {:.2} ms (memcpy {:.2} ms, {:.2} times), hand it over {:.0} ns; copy a million pairs {:.1} ns each, hand over {:.0} ns; a chain of a million {:.1} ns each, hand over {:.0} ns; freeze a million ints {:.2} ms, pairs {:.1} ns each, chain {:.1} ns each",
        send(int(1)),
        send(shared),
        copied[0] / 1e6,
        memcpy / 1e6,
        copied[0] / memcpy,
        handed[0],
        copied[1] / 1e6,
        handed[1],
        copied[2] / 1e6,
        handed[2],
        frozen[0] / 1e6,
        frozen[1] / 1e6,
        frozen[2] / 1e6,
    )
}
