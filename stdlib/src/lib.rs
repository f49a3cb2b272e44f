//! Heddle's standard library: the prelude and the standard modules, in Rust and in Heddle.

pub mod docs;
mod modules;
mod prelude;
mod support;

pub use modules::{blocks, modules};
pub use prelude::{PreludeSpec, prelude};
