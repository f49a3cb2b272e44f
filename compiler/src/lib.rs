//! The front end: text to tokens, to a syntax tree, to bytecode, with diagnostics on the way.

pub mod ast;
mod builder;
pub mod compile;
pub mod diagnostics;
pub mod dump;
pub mod layout;
pub mod lexer;
mod literal;
mod messages;
pub mod parser;
pub mod stack;

pub use compile::{Options, ReplName};
pub use diagnostics::{Diagnostic, Severity};
pub use parser::{Completeness, completeness, decode, parse};
pub use stack::with_stack;
