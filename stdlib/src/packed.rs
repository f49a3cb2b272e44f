//! What the build has made of the library's Heddle code, unpacked: see `build.rs`.

use heddle_vm::bytecode::ModuleCode;
use heddle_vm::native::LibrarySource;

/// A standard module, as the compiler made it while Heddle was built.
pub fn compiled(source: LibrarySource) -> ModuleCode {
    ModuleCode::from_bytes(&unpacked(source.code)).expect("the build wrote it")
}

/// The prelude. Every program needs it at its start, so it is not packed.
pub fn compiled_prelude() -> ModuleCode {
    ModuleCode::from_bytes(crate::prelude().source.code).expect("the build wrote it")
}

/// What the source declares, and says of that.
pub(crate) fn text(source: LibrarySource) -> String {
    String::from_utf8(unpacked(source.text)).expect("sources are UTF-8")
}

/// The examples of all modules: see `docs.rs`.
pub(crate) fn examples() -> String {
    let packed = include_bytes!(concat!(env!("OUT_DIR"), "/examples.text"));
    String::from_utf8(unpacked(packed)).expect("examples are UTF-8")
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    miniz_oxide::inflate::decompress_to_vec(bytes).expect("the build packed it")
}
