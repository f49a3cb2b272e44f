//! The standard modules: natives and constants in Rust, the rest in Heddle files beside them. Compiled when imported.

mod base64;
mod blocking;
#[cfg(target_os = "linux")]
mod buffer;
mod csv;
mod fs;
pub(crate) mod http;
pub(crate) mod io;
mod json;
mod math;
mod net;
mod os;
#[cfg(target_os = "linux")]
mod process;
mod random;
mod regex;
mod runtime;
mod test;
pub(crate) mod text;
mod time;

pub use blocking::blocks;
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
    #[cfg(target_os = "linux")]
    &process::MODULE,
    &random::MODULE,
    &regex::MODULE,
    &runtime::MODULE,
    &test::MODULE,
    &text::MODULE,
    &time::MODULE,
];
