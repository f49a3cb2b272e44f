//! Heddle's standard library: the prelude and the standard modules, in Rust and in Heddle.

mod modules;
mod prelude;
mod support;

#[doc(hidden)]
pub use modules::http::check_any_bytes as check_http;
pub use modules::modules;
pub use prelude::{PreludeSpec, prelude};
