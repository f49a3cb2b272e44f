//! The front end: text to tokens, to a syntax tree, to bytecode, with diagnostics on the way.

pub mod ast;
pub mod compile;
pub mod diagnostics;

pub use compile::{Options, ReplName};
pub use diagnostics::{Diagnostic, Severity};
