//! Heddle's standard library: the prelude and the standard modules, in Rust and in Heddle.

pub mod docs;
mod modules;
mod prelude;
mod support;

#[doc(hidden)]
pub use modules::http::check_any_bytes as check_http;
pub use modules::{blocks, modules};
pub use prelude::{PreludeSpec, prelude};
