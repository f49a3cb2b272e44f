//! What tests of the compiler share.

use heddle_bytecode::ModuleCode;
use heddle_compiler::{Diagnostic, Options, Role, compile};
use std::sync::LazyLock;

static PRELUDE: LazyLock<Vec<String>> = LazyLock::new(|| {
    "print str repr int float bool string list tuple map set range len min max sum abs sqrt floor type Set Error \
     ValueError TypeError IoError Atomic Channel freeze copy sleep"
        .split_whitespace()
        .map(String::from)
        .collect()
});

/// A module called `main` with a few names of the prelude; every import is found.
pub(crate) fn options() -> Options<'static> {
    Options {
        path: "main.hd".into(),
        name: "main".into(),
        role: Role::Program,
        is_test: true,
        counts_lines: false,
        prelude_names: &PRELUDE,
        repl_scope: None,
        resolve: &|text| Ok(format!("/{text}")),
    }
}

pub(crate) fn compile_with(
    source: &str,
    options: &Options,
) -> (Option<ModuleCode>, Vec<Diagnostic>) {
    compile(source, options)
}
