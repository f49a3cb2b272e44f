//! The front end: text to tokens, to a syntax tree, to bytecode, with diagnostics on the way.

pub mod analysis;
pub mod ast;
mod builder;
mod codegen;
pub mod codes;
pub mod compile;
pub mod diagnostics;
pub mod dump;
pub mod examples;
pub mod format;
mod ids;
pub mod index;
pub mod layout;
pub mod lexer;
mod literal;
mod messages;
pub mod parser;
pub mod render;
mod resolve;
mod stack;
mod token;

pub use analysis::{Analysis, analyse};
pub use compile::{Options, ReplName, Role, compile};
pub use diagnostics::{Diagnostic, Fix, Severity};
pub use parser::{Completeness, completeness, decode, parse};
