//! Random changes of an object graph, checked against a model, with every kind of collection in between.

use super::tests::{Stack, items, list, push, read_text, text};
use super::*;
use std::collections::HashMap;

/// splitmix64: seeded, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// A node's kind; all hold their number as first value (a `Map` as the value of its first entry).
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Struct,
    List,
    Map,
    Tuple,
    Closure,
    Generator,
    Cell,
}

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Nil,
    Int(i64),
    Text(String),
    Node(usize),
    /// A frozen pair of this int and a text.
    Frozen(i64),
    /// A frozen pair of this int and such a pair in another bundle.
    Message(i64),
}

struct Node {
    form: Form,
    items: Vec<Item>,
}

struct Mutator {
    heap: Heap,
    random: Random,
    nodes: Vec<Node>,
    /// What the roots hold, in the model …
    named: Vec<Item>,
    /// … and in the heap.
    roots: Stack,
}

fn header(form: Form, count: usize) -> (Header, usize) {
    let word = 8;
    match form {
        Form::Struct => (
            Header::new(Kind::Struct, 100, count as u16),
            8 + count * word,
        ),
        Form::Tuple => (
            Header::new(Kind::Tuple, type_id::TUPLE, 0),
            16 + count * word,
        ),
        Form::Closure => (
            Header::new(Kind::Closure, type_id::FUNCTION, count as u16),
            16 + count * word,
        ),
        Form::Generator => (
            Header::new(Kind::Generator, type_id::GENERATOR, count as u16 - 1),
            size_of::<Generator>() + (count - 1) * word,
        ),
        Form::Cell => (Header::new(Kind::Cell, type_id::INTERNAL, 0), 16),
        Form::Map => (Header::new(Kind::Map, type_id::MAP, 0), size_of::<Map>()),
        Form::List => unreachable!("made by `list`"),
    }
}

/// The place of a node's value in the heap.
fn slot(value: Value, form: Form, index: usize) -> *mut Value {
    let object = value.as_object();
    // SAFETY: a live object of this form with so many values.
    unsafe {
        match form {
            Form::Struct => object.cast::<Value>().add(1 + index),
            Form::Tuple => object.cast::<Tuple>().add(1).cast::<Value>().add(index),
            Form::Closure => object.cast::<Closure>().add(1).cast::<Value>().add(index),
            Form::Generator if index == 0 => &raw mut (*object.cast::<Generator>()).closure,
            Form::Generator => object
                .cast::<Generator>()
                .add(1)
                .cast::<Value>()
                .add(index - 1),
            Form::Cell => &raw mut (*object.cast::<Cell>()).value,
            Form::List => (*object.cast::<List>()).items.add(index),
            Form::Map => &raw mut (*(*object.cast::<Map>()).entries.add(index)).value,
        }
    }
}

fn check_frozen(value: Value, number: i64) {
    assert_eq!(super::tests::field(value, 0), Value::small_int(number));
    assert_eq!(read_text(super::tests::field(value, 1)), "frozen");
}

impl Mutator {
    fn new(seed: u64) -> Mutator {
        let mut heap = Heap::new(usize::MAX);
        match seed % 4 {
            0 => {}
            1 => heap.use_generations(),
            _ => heap.make_steps_small(),
        }
        Mutator {
            heap,
            random: Random(seed),
            nodes: Vec::new(),
            named: vec![Item::Nil; 24],
            roots: Stack(vec![Value::NIL; 24]),
        }
    }

    /// Some value, in the model and in the heap.
    fn item(&mut self) -> (Item, Value) {
        match self.random.below(9) {
            0 => (Item::Nil, Value::NIL),
            1 => {
                let i = self.random.below(1000) as i64;
                (Item::Int(i), Value::small_int(i))
            }
            2 => {
                let length = if self.random.below(40) == 0 { 6000 } else { 20 };
                let words = "x".repeat(self.random.below(length));
                let value = text(&mut self.heap, &words);
                (Item::Text(words), value)
            }
            3 => {
                let i = self.random.below(1000) as i64;
                let words = text(&mut self.heap, "frozen");
                let pair = super::tests::pair(&mut self.heap, Value::small_int(i), words);
                let frozen = self.heap.freeze(pair).expect("it can be frozen");
                (Item::Frozen(i), frozen)
            }
            4 => {
                let i = self.random.below(1000) as i64;
                let mut maker = Heap::new(usize::MAX);
                let words = text(&mut maker, "frozen");
                let inner = super::tests::pair(&mut maker, Value::small_int(i), words);
                let inner = maker.freeze(inner).expect("it can be frozen");
                let outer = super::tests::pair(&mut maker, Value::small_int(i), inner);
                let outer = maker.freeze(outer).expect("it can be frozen");
                (Item::Message(i), self.heap.adopt(outer))
            }
            _ => {
                let at = self.random.below(self.named.len());
                (self.named[at].clone(), self.roots.0[at])
            }
        }
    }

    fn new_node(&mut self) {
        let forms = [
            Form::Struct,
            Form::Struct,
            Form::List,
            Form::List,
            Form::Map,
            Form::Tuple,
            Form::Closure,
            Form::Generator,
            Form::Cell,
        ];
        let form = forms[self.random.below(forms.len())];
        let number = self.nodes.len();
        let count = match form {
            Form::Cell => 1,
            Form::List => 1,
            Form::Map => 1 + self.random.below(300),
            Form::Struct => 1 + self.random.below(6),
            _ if self.random.below(30) == 0 => 800,
            _ => 1 + self.random.below(12),
        };
        let mut model = Vec::new();
        let mut values = Vec::new();
        for _ in 0..count {
            let (item, value) = self.item();
            model.push(item);
            values.push(value);
        }
        if form != Form::Cell {
            model[0] = Item::Int(number as i64 + 10_000);
            values[0] = Value::small_int(number as i64 + 10_000);
        }
        let value = if form == Form::List {
            let value = list(&mut self.heap);
            push(&mut self.heap, value, values[0]);
            value
        } else {
            let (header, bytes) = header(form, count);
            let object = self.heap.alloc(header, bytes);
            // SAFETY: fills the fresh object.
            unsafe {
                match form {
                    Form::Tuple => {
                        (*object.cast::<Tuple>()).len = count as u32;
                        (*object.cast::<Tuple>()).hash = 0.into();
                    }
                    Form::Closure => (*object.cast::<Closure>()).consts = std::ptr::null(),
                    Form::Generator => {
                        let generator = object.cast::<Generator>();
                        (*generator).state = 0;
                        (*generator).pc = 0;
                        (*generator).capacity = count as u64 - 1;
                    }
                    Form::Map => {
                        let map = object.cast::<Map>();
                        (*map).len = count as u32;
                        (*map).used = count as u32;
                        (*map).capacity = count as u32;
                        (*map).next_index = std::ptr::null_mut();
                        (*map).index_slots = (2 * count) as u32;
                        (*map).entries =
                            self.heap.alloc_buffer(Kind::ValueBuffer, count * 16).cast();
                        (*map).index = self.heap.alloc_buffer(Kind::RawBuffer, count * 16).cast();
                        for i in 0..count {
                            (*(*map).entries.add(i)).key = Value::small_int(i as i64);
                            assert_eq!((*map).index.add(i).read(), 0);
                            (*map).index.add(i).write(i as u64);
                        }
                    }
                    _ => {}
                }
                let value = Value::local(object);
                for (i, &value_in) in values.iter().enumerate() {
                    slot(value, form, i).write(value_in);
                }
                value
            }
        };
        self.nodes.push(Node { form, items: model });
        let at = self.random.below(self.named.len());
        self.named[at] = Item::Node(number);
        self.roots.0[at] = value;
    }

    /// A node that a root holds.
    fn named_node(&mut self) -> Option<(usize, Value)> {
        let at = self.random.below(self.named.len());
        match self.named[at] {
            Item::Node(number) => Some((number, self.roots.0[at])),
            _ => None,
        }
    }

    fn store(&mut self) {
        let Some((number, owner)) = self.named_node() else {
            return;
        };
        let form = self.nodes[number].form;
        let count = self.nodes[number].items.len();
        let first = if form == Form::Cell { 0 } else { 1 };
        if form == Form::Tuple || first == count {
            return;
        }
        let index = first + self.random.below(count - first);
        let (item, value) = self.item();
        let slot = slot(owner, form, index);
        // SAFETY: a place in a live object.
        unsafe { slot.write(value) };
        let object = owner.as_object();
        if matches!(form, Form::List | Form::Map) {
            self.heap.barrier_at(object, slot, value);
        } else {
            self.heap.barrier(object, value);
        }
        self.nodes[number].items[index] = item;
    }

    fn change_list(&mut self) {
        let Some((number, owner)) = self.named_node() else {
            return;
        };
        if self.nodes[number].form != Form::List {
            return;
        }
        let count = self.nodes[number].items.len();
        match self.random.below(10) {
            0..=5 => {
                let many = if self.random.below(6) == 0 { 1500 } else { 5 };
                for _ in 0..self.random.below(many) {
                    let (item, value) = self.item();
                    push(&mut self.heap, owner, value);
                    self.nodes[number].items.push(item);
                }
            }
            6 if count > 1 => {
                let index = 1 + self.random.below(count - 1);
                let object = owner.as_object().cast::<List>();
                // SAFETY: removes an element by moving those behind it.
                unsafe {
                    let place = (*object).items.add(index);
                    std::ptr::copy(place.add(1), place, count - index - 1);
                    (*object).len -= 1;
                }
                self.heap.elements_moved(owner.as_object());
                self.nodes[number].items.remove(index);
            }
            7 if count > 1 => {
                for _ in 0..3 {
                    let words = text(&mut self.heap, "young");
                    push(&mut self.heap, owner, words);
                    self.nodes[number].items.push(Item::Text("young".into()));
                }
                let count = count + 3;
                let by = self.random.below(count - 1);
                let object = owner.as_object().cast::<List>();
                // SAFETY: elements behind the first change places.
                unsafe {
                    let places = std::slice::from_raw_parts_mut((*object).items.add(1), count - 1);
                    places.rotate_left(by);
                }
                self.heap.elements_moved(owner.as_object());
                self.nodes[number].items[1..].rotate_left(by);
            }
            8 => {
                // SAFETY: elements behind the first go.
                unsafe { (*owner.as_object().cast::<List>()).len = 1 };
                self.nodes[number].items.truncate(1);
            }
            _ => {
                let list = owner.as_object().cast::<List>();
                let capacity = count + self.random.below(700);
                // SAFETY: the buffer gets room for what is in use, and is linked at once.
                unsafe {
                    let data = self.heap.grow_buffer(
                        owner.as_object(),
                        (*list).items.cast(),
                        Kind::ValueBuffer,
                        capacity * 8,
                    );
                    (*list).items = data.cast();
                    (*list).capacity = capacity as u32;
                }
            }
        }
    }

    /// A map gets a new buffer by hand, as a rehash does.
    fn change_map(&mut self) {
        let Some((number, owner)) = self.named_node() else {
            return;
        };
        if self.nodes[number].form != Form::Map {
            return;
        }
        let map = owner.as_object().cast::<Map>();
        let more = self.random.below(200);
        // SAFETY: as a map that grows does.
        unsafe {
            let used = (*map).used as usize;
            let entries: *mut Entry = self
                .heap
                .alloc_buffer(Kind::ValueBuffer, (used + more) * 16)
                .cast();
            std::ptr::copy_nonoverlapping((*map).entries, entries, used);
            (*map).entries = entries;
            (*map).capacity = (used + more) as u32;
            let index = self.heap.grow_buffer(
                owner.as_object(),
                (*map).index.cast(),
                Kind::RawBuffer,
                (used + more) * 16,
            );
            (*map).index = index.cast();
            (*map).index_slots = ((used + more) * 2) as u32;
            self.heap.elements_moved(owner.as_object());
            for i in used..used + more {
                (*map).index.add(i).write(i as u64);
                let (item, value) = self.item();
                let entry = (*map).entries.add(i);
                (*entry).key = Value::small_int(i as i64);
                (*entry).value = value;
                (*map).used += 1;
                (*map).len += 1;
                self.heap
                    .barrier_at(owner.as_object(), &raw mut (*entry).value, value);
                self.nodes[number].items.push(item);
            }
        }
    }

    /// Drops a name, or gives what some node holds a name.
    fn rename(&mut self) {
        let at = self.random.below(self.named.len());
        if self.random.below(3) == 0 {
            self.named[at] = Item::Nil;
            self.roots.0[at] = Value::NIL;
        } else if let Item::Message(i) = self.named[at] {
            self.named[at] = Item::Frozen(i);
            self.roots.0[at] = super::tests::field(self.roots.0[at], 1);
        } else if let Some((number, owner)) = self.named_node() {
            let index = self.random.below(self.nodes[number].items.len());
            let form = self.nodes[number].form;
            self.named[at] = self.nodes[number].items[index].clone();
            // SAFETY: a place in a live object.
            self.roots.0[at] = unsafe { slot(owner, form, index).read() };
        }
    }

    /// A node is copied and sent to the heap itself, by way of a parcel.
    fn send(&mut self) {
        let Some((number, owner)) = self.named_node() else {
            return;
        };
        // Old number -> new number.
        let mut copies = HashMap::new();
        let mut work = vec![number];
        let mut is_movable = true;
        while let Some(number) = work.pop() {
            if copies.contains_key(&number) {
                continue;
            }
            let node = &self.nodes[number];
            is_movable &= node.form != Form::Generator;
            copies.insert(number, self.nodes.len() + copies.len());
            for item in &node.items {
                if let Item::Node(number) = item {
                    work.push(*number);
                }
            }
        }
        let parcel = if self.random.below(2) == 0 {
            let copied = self.heap.copy_out(owner);
            copied.map(|(heap, copy)| super::parcel::Parcel::new(heap, copy))
        } else {
            let mut other = Heap::new(usize::MAX);
            if self.random.below(2) == 0 {
                other.make_steps_small();
            }
            other.import(owner).map(|copy| {
                let mut roots = Stack(vec![copy]);
                for _ in 0..self.random.below(3) {
                    text(&mut other, "garbage");
                    other.collect(&mut roots, Collect::Minor);
                }
                let parcel = super::parcel::Parcel::of_thread(other, roots.0[0]);
                parcel.ok().expect("copies are movable")
            })
        };
        assert_eq!(parcel.is_ok(), is_movable);
        let Ok(parcel) = parcel else { return };
        let value = parcel.deliver(&mut self.heap).ok().expect("there is room");
        let mut fresh: Vec<(usize, usize)> = copies.iter().map(|(&old, &new)| (new, old)).collect();
        fresh.sort_unstable();
        for (_, old) in fresh {
            let Node { form, items } = &self.nodes[old];
            let items = items.iter().map(|item| match item {
                Item::Node(number) => Item::Node(copies[number]),
                other => other.clone(),
            });
            let node = Node {
                form: *form,
                items: items.collect(),
            };
            self.nodes.push(node);
        }
        let at = self.random.below(self.named.len());
        self.named[at] = Item::Node(copies[&number]);
        self.roots.0[at] = value;
    }

    fn check(&self) {
        let mut places: HashMap<usize, Value> = HashMap::new();
        let mut work: Vec<(&Item, Value)> = self
            .named
            .iter()
            .zip(self.roots.0.iter().copied())
            .collect();
        while let Some((item, value)) = work.pop() {
            match item {
                Item::Nil => assert_eq!(value, Value::NIL),
                Item::Int(i) => assert_eq!(value, Value::small_int(*i)),
                Item::Text(words) => assert_eq!(read_text(value), words),
                Item::Frozen(i) => check_frozen(value, *i),
                Item::Message(i) => {
                    assert_eq!(super::tests::field(value, 0), Value::small_int(*i));
                    check_frozen(super::tests::field(value, 1), *i);
                }
                Item::Node(number) => {
                    if let Some(&known) = places.get(number) {
                        assert_eq!(known, value, "one object became two");
                        continue;
                    }
                    places.insert(*number, value);
                    let node = &self.nodes[*number];
                    if node.form == Form::List {
                        assert_eq!(items(value).len(), node.items.len());
                    }
                    if node.form == Form::Map {
                        let map = value.as_object().cast::<Map>();
                        // SAFETY: a live map.
                        unsafe {
                            assert_eq!((*map).used as usize, node.items.len());
                            for i in 0..node.items.len() {
                                assert_eq!((*map).index.add(i).read(), i as u64);
                            }
                        }
                    }
                    for (i, item) in node.items.iter().enumerate() {
                        // SAFETY: a place in a live object.
                        work.push((item, unsafe { slot(value, node.form, i).read() }));
                    }
                }
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0..=4 => self.new_node(),
            5..=10 => self.store(),
            11..=13 => self.change_list(),
            14 => self.change_map(),
            15..=17 => self.rename(),
            18 => self.send(),
            _ => {}
        }
        let how = match self.random.below(200) {
            0 if self.random.below(3) == 0 => Some(Collect::Full),
            1 => Some(Collect::Stress),
            2..=40 => Some(Collect::Minor),
            _ if self.heap.is_collect_wanted() => Some(Collect::Minor),
            _ => None,
        };
        if let Some(how) = how {
            self.heap.verify(&mut self.roots);
            self.heap.collect(&mut self.roots, how);
            self.heap.verify(&mut self.roots);
            self.check();
        }
    }
}

#[test]
fn random_changes_agree_with_the_model() {
    let seeds = std::env::var("HEDDLE_TEST_SEEDS").map_or(4, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut mutator = Mutator::new(seed);
        for _ in 0..4000 {
            mutator.step();
        }
        let stats = mutator.heap.stats();
        assert!(seed % 4 < 2 || stats.marks_in_steps > 3, "{stats:?}");
        mutator.check();
        mutator.roots.0.clear();
        mutator.heap.collect(&mut mutator.roots, Collect::Full);
        let left = mutator.heap.used_bytes();
        assert!(
            left <= 2 * 1024 * 1024,
            "seed {seed}: {left} bytes are left of nothing"
        );
        assert_eq!(mutator.heap.bundles(), 0);
        assert_eq!(super::bundle::live::count(), 0);
    }
}
