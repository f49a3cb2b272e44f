//! `runtime`: leaks, counts, dumps.

use heddle_vm::native::NativeModule;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "runtime",
    functions: heddle_vm::thread::RUNTIME,
    constants: |_| {},
    source: Some(heddle_source!("runtime")),
};
