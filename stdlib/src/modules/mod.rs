//! The standard modules: natives and constants in Rust, the rest in Heddle files beside them. Compiled when imported.

mod base64;
mod blocking;
mod csv;
mod fs;
pub(crate) mod http;
pub(crate) mod io;
mod json;
mod math;
mod net;
mod os;
mod random;
mod regex;
mod runtime;
mod test;
pub(crate) mod text;
mod time;

use heddle_vm::native::NativeModule;

/// All standard modules.
pub fn modules() -> &'static [&'static NativeModule] {
    MODULES
}

static MODULES: &[&NativeModule] = &[
    &base64::MODULE,
    &blocking::MODULE,
    &csv::MODULE,
    &fs::MODULE,
    &http::MODULE,
    &io::MODULE,
    &json::MODULE,
    &math::MODULE,
    &net::MODULE,
    &os::MODULE,
    &random::MODULE,
    &regex::MODULE,
    &runtime::MODULE,
    &test::MODULE,
    &text::MODULE,
    &time::MODULE,
];
