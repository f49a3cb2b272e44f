//! The bytecode format: instructions, modules as data, their verification and their listing.

pub mod dis;
pub mod module;
pub mod ops;
pub mod verify;

pub use module::{
    CaptureSource, CodeSpan, Const, Counter, GlobalDef, HandlerRange, ModuleCode, ModuleRef,
    ProtoCode, TypeDef, TypeShape, VarDef,
};
pub use ops::{MAX_COPIED, MAX_REGISTERS, Op, Operand, Word, start};
