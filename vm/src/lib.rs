//! Heddle's virtual machine. Reading order: `bytecode` (what runs), `value` and `object` (what it works on), `heap`
//! (where objects live), `ops` (what values can do), `types` and `module` (what is linked), `interp` (the loop), `task` (what is suspended and resumed),
//! `native` (Rust functions).

pub mod bytecode;
pub mod heap;
pub mod module;
pub mod native;
pub mod object;
pub mod ops;
pub mod types;
pub mod value;

pub use value::Value;
