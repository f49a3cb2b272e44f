//! Heddle's virtual machine. Reading order: `bytecode` (what runs), `value` and `object` (what it works on), `heap`
//! (where objects live), `interp` (the loop), `task` (what is suspended and resumed), `native` (Rust functions).

pub mod bytecode;
