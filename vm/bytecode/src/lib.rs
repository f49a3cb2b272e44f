//! What the compiler and the VM agree on: instructions, modules as data, their verification, their listing and their bytes; and the
//! grammar of format specs, which both read.
//!
//! A crate of its own so that the compiler can run where the VM need not be: the library is compiled while Heddle is built.

mod bytes;
pub mod dis;
pub mod format_spec;
pub mod module;
pub mod nearest;
pub mod ops;
pub mod verify;

pub use bytes::NotAModule;
pub use module::{
    CaptureSource, CodeSpan, Const, Counter, ERROR_FIELDS, ERROR_KINDS, ErrorConstructor,
    GlobalDef, HandlerRange, ModuleCode, ModuleRef, ProtoCode, TypeDef, TypeShape, VarDef,
};
pub use ops::{MAX_COPIED, MAX_REGISTERS, Op, Operand, Word, start};
