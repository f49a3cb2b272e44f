//! The front end: text to tokens, to a syntax tree, to bytecode, with diagnostics on the way.

pub mod ast;
pub mod diagnostics;
