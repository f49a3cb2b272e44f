//! `deque`: Heddle code (`deque.hd`).

use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "deque",
    functions: natives! {
        plain "deque.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("deque")),
};
