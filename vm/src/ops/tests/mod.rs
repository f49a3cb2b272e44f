//! Tests of the operations against independent references: i128, num-bigint, std.

mod arith;
mod float;
mod int;
mod list;
mod map;
mod show;
mod steps;
mod text;

use super::{OpFail, OperatorNames, TypeLookup};
use crate::heap::Heap;
use crate::object::{FIRST_USER_TYPE, Header, Kind};
use crate::types::{ErrorKind, Field, Method, Shape, Sym, TypeInfo};
use crate::value::Value;
use parking_lot::RwLock;

/// A few types: `Point(x, y)`, `Shape { Circle(r), Empty }`, `MyError(code)`, `Custom(v)` with methods `== < hash str`,
/// `Counter(var n)`.
pub(crate) struct TestTypes {
    names: OperatorNames,
    symbols: Vec<&'static str>,
    infos: Vec<TypeInfo>,
}

/// Without using its types.
pub(crate) type NoTypes = TestTypes;

const POINT: u32 = 0;
const SHAPE: u32 = 1;
const CIRCLE: u32 = 2;
const EMPTY: u32 = 3;
const ERROR: u32 = 4;
const CUSTOM: u32 = 5;
const COUNTER: u32 = 6;

impl TestTypes {
    pub(crate) fn new() -> TestTypes {
        let info = |at: u32, name: &str, shape, parent: Option<u32>, fields: &[u32]| TypeInfo {
            id: FIRST_USER_TYPE + at,
            name: name.into(),
            shape,
            parent: parent.map(|at| FIRST_USER_TYPE + at),
            traits: Vec::new(),
            fields: fields
                .iter()
                .map(|&name| Field {
                    name: Sym(name),
                    is_var: at == COUNTER,
                })
                .collect(),
            is_error: at == ERROR,
            is_local: false,
            is_mutable: at == COUNTER,
            variants: Vec::new(),
            is_unit: at == EMPTY,
            methods: Default::default(),
            value: RwLock::new(Value::NIL),
            constructor: crate::types::LinkedValue::new(Value::UNSET),
            unit: RwLock::new(Value::UNSET),
        };
        let infos = vec![
            info(POINT, "Point", Shape::Struct, None, &[4, 5]),
            info(SHAPE, "Shape", Shape::Enum, None, &[]),
            info(CIRCLE, "Circle", Shape::Variant, Some(SHAPE), &[6]),
            info(EMPTY, "Empty", Shape::Variant, Some(SHAPE), &[]),
            info(
                ERROR,
                "MyError",
                Shape::Struct,
                None,
                &[7, 8, 9, 10, 11, 12],
            ),
            info(CUSTOM, "Custom", Shape::Struct, None, &[13]),
            info(COUNTER, "Counter", Shape::Struct, None, &[14]),
        ];
        for name in 0..4 {
            let method = Method {
                function: Value::small_int(name as i64),
                index: 0,
                has_self: true,
            };
            infos[CUSTOM as usize]
                .methods
                .write()
                .insert(Sym(name), method);
        }
        TestTypes {
            names: OperatorNames {
                eq: Sym(0),
                lt: Sym(1),
                hash: Sym(2),
                str: Sym(3),
            },
            symbols: vec![
                "==", "<", "hash", "str", "x", "y", "r", "message", "kind", "data", "cause",
                "trace", "code", "v", "n",
            ],
            infos,
        }
    }
    fn instance(&self, heap: &mut Heap, kind: Kind, at: u32, fields: &[Value]) -> Value {
        let header = Header::new(kind, FIRST_USER_TYPE + at, fields.len() as u16);
        let object = heap.alloc(header, 8 + fields.len() * 8);
        // SAFETY: freshly allocated with room for the fields behind the header.
        unsafe {
            std::ptr::copy_nonoverlapping(fields.as_ptr(), object.add(1).cast(), fields.len())
        };
        Value::local(object)
    }
    pub(crate) fn point(&self, heap: &mut Heap, x: Value, y: Value) -> Value {
        self.instance(heap, Kind::Struct, POINT, &[x, y])
    }
    pub(crate) fn circle(&self, heap: &mut Heap, r: Value) -> Value {
        self.instance(heap, Kind::Variant, CIRCLE, &[r])
    }
    pub(crate) fn empty(&self, heap: &mut Heap) -> Value {
        self.instance(heap, Kind::Variant, EMPTY, &[])
    }
    pub(crate) fn error(&self, heap: &mut Heap, message: &str) -> Value {
        let message = string(heap, message);
        let nil = Value::NIL;
        self.instance(
            heap,
            Kind::Struct,
            ERROR,
            &[message, nil, nil, nil, nil, Value::small_int(7)],
        )
    }
    pub(crate) fn with_methods(&self, heap: &mut Heap, v: Value) -> Value {
        self.instance(heap, Kind::Struct, CUSTOM, &[v])
    }
    /// What stands for the method `<` of `Custom`.
    pub(crate) fn less_method(&self) -> Value {
        Value::small_int(self.names.lt.0 as i64)
    }
    pub(crate) fn counter(&self, heap: &mut Heap, n: Value) -> Value {
        self.instance(heap, Kind::Struct, COUNTER, &[n])
    }
}

impl TypeLookup for TestTypes {
    fn info(&self, id: u32) -> Option<&TypeInfo> {
        self.infos.get(id.checked_sub(FIRST_USER_TYPE)? as usize)
    }
    fn symbol(&self, sym: Sym) -> &str {
        self.symbols[sym.0 as usize]
    }
    fn operators(&self) -> &OperatorNames {
        &self.names
    }
    fn seed(&self) -> u64 {
        0x1234_5678_9ABC_DEF1
    }
}

/// xorshift64*: the same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

pub(crate) fn heap() -> Heap {
    Heap::new(1 << 32)
}

pub(crate) fn string(heap: &mut Heap, text: &str) -> Value {
    super::text::new_reserved(heap, text)
}

/// The kind and text of the error that an operation failed with.
pub(crate) fn error<T: std::fmt::Debug>(result: Result<T, OpFail>) -> (ErrorKind, String) {
    match result {
        Err(OpFail::Error(error)) => (error.kind, error.message(&NoTypes::new())),
        other => panic!("no error: {other:?}"),
    }
}
