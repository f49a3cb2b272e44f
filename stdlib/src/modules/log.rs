//! `log`: Heddle code (`log.hd`).

use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "log",
    functions: natives! {
        plain "log.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("log")),
};
