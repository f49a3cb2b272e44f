//! `heap`: Heddle code (`heap.hd`).

use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "heap",
    functions: natives! {
        plain "heap.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("heap")),
};
