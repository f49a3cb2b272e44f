//! `argparse`: Heddle code (`argparse.hd`).

use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "argparse",
    functions: natives! {
        plain "argparse.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("argparse")),
};
