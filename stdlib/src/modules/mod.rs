//! The standard modules: natives and constants in Rust, the rest in Heddle files beside them. Compiled when imported.

mod argparse;
mod base64;
mod bits;
mod blocking;
#[cfg(target_os = "linux")]
mod buffer;
mod bytes;
mod csv;
mod deque;
mod fs;
mod hash;
mod heap;
pub(crate) mod http;
pub(crate) mod io;
mod iter;
mod json;
mod log;
mod math;
mod net;
mod os;
#[cfg(target_os = "linux")]
mod process;
mod random;
mod regex;
mod runtime;
mod template;
mod test;
pub(crate) mod text;
mod time;
mod url;

pub use blocking::blocks;
use heddle_vm::native::NativeModule;

/// All standard modules.
pub fn modules() -> &'static [&'static NativeModule] {
    MODULES
}

static MODULES: &[&NativeModule] = &[
    &argparse::MODULE,
    &base64::MODULE,
    &bits::MODULE,
    &blocking::MODULE,
    &bytes::MODULE,
    &csv::MODULE,
    &deque::MODULE,
    &fs::MODULE,
    &hash::MODULE,
    &heap::MODULE,
    &http::MODULE,
    &io::MODULE,
    &iter::MODULE,
    &json::MODULE,
    &log::MODULE,
    &math::MODULE,
    &net::MODULE,
    &os::MODULE,
    #[cfg(target_os = "linux")]
    &process::MODULE,
    &random::MODULE,
    &regex::MODULE,
    &runtime::MODULE,
    &template::MODULE,
    &test::MODULE,
    &text::MODULE,
    &time::MODULE,
    &url::MODULE,
];
