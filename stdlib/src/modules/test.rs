//! `test`: assertions with messages; Heddle code throughout.

use heddle_vm::native::NativeModule;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "test",
    functions: &[],
    constants: |_| {},
    source: Some(include_str!("test.hd")),
};
