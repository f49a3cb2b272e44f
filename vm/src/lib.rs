//! Heddle's virtual machine. Reading order: `bytecode` (what runs), `value` and `object` (what it works on), `heap`
//! (where objects live), `ops` (what values can do), `types` and `module` (what is linked), `interp` (the loop), `task` (what is suspended and resumed),
//! `native` (Rust functions).

// Models run no interpreter, and start no machine.
#![cfg_attr(loom, allow(dead_code, unused_imports, unused_assignments))]

mod account;
pub use heddle_bytecode as bytecode;
mod cache;
pub(crate) mod counted;
mod difference;
pub mod engine;
pub mod error;
pub mod heap;
pub mod hosting;
mod interp;
pub mod io;
mod link;
pub mod module;
pub mod native;
pub mod object;
pub mod ops;
mod prefetch;
pub mod sched;
pub mod shared;
pub mod stretch;
pub(crate) mod sync;
pub mod task;
pub mod thread;
pub mod types;
pub mod value;

pub use engine::Engine;
pub use link::LinkError;
pub use thread::Thread;
pub use value::Value;
