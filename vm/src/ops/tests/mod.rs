//! Tests of the operations against independent references: i128, num-bigint, std.

mod arith;
mod int;
mod list;
mod map;
mod text;

use super::{OpFail, OperatorNames, TypeLookup};
use crate::heap::Heap;
use crate::types::{ErrorKind, Sym, TypeInfo};
use crate::value::Value;

/// Types of no engine.
pub(crate) struct NoTypes {
    names: OperatorNames,
}

impl NoTypes {
    pub(crate) fn new() -> NoTypes {
        NoTypes {
            names: OperatorNames {
                eq: Sym(0),
                lt: Sym(1),
                hash: Sym(2),
                str: Sym(3),
            },
        }
    }
}

impl TypeLookup for NoTypes {
    fn info(&self, _id: u32) -> Option<&TypeInfo> {
        None
    }
    fn symbol(&self, _sym: Sym) -> &str {
        "name"
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
