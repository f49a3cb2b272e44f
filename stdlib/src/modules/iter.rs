//! `iter`: Heddle code (`iter.hd`).

use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "iter",
    functions: natives! {
        plain "iter.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("iter")),
};
