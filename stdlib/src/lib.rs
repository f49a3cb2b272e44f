//! Heddle's standard library: the prelude and the standard modules, in Rust and in Heddle.

/// A part of the library in Heddle, `NAME.hd` beside the file that says so, with what the build made of it.
macro_rules! heddle_source {
    ($name:literal) => {
        heddle_vm::native::LibrarySource {
            text: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".text")),
            code: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".module")),
        }
    };
}

pub mod docs;
mod modules;
mod prelude;
mod support;

#[doc(hidden)]
pub use modules::http::check_any_bytes as check_http;
pub use modules::{blocks, modules};
pub use prelude::{PreludeSpec, prelude};
