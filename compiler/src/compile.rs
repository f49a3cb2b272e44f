//! The door of the crate: one source text in, one module of bytecode and its diagnostics out.

/// What the compiler must know about a file besides its text.
pub struct Options<'a> {
    /// The file as shown in messages; `<string>`, `<stdin>`, `<repl>` … otherwise.
    pub path: String,
    /// What the program calls the module: `util` for `./util.hd`.
    pub name: String,
    /// The library's own prelude: intrinsics are known, every top-level function is exported.
    pub is_prelude: bool,
    /// Keep `test` blocks.
    pub is_test: bool,
    /// Names that are defined everywhere (`print`, `Error` …).
    pub prelude_names: &'a [String],
    /// Names from earlier inputs of a REPL; `Some` also means that every top-level name is exported,
    /// may be declared again, and lives outside registers.
    pub repl_scope: Option<&'a [ReplName]>,
    /// Turns the text of `import "text"` into the canonical key of `ModuleRef::File`, or says why it cannot.
    pub resolve: &'a dyn Fn(&str) -> Result<String, String>,
}

/// A name that an earlier input of the REPL declared.
#[derive(Clone, Debug)]
pub struct ReplName {
    pub name: String,
    /// The key (`ModuleRef::File`) of the module that the input became.
    pub module: String,
    /// Declared by `var`.
    pub is_var: bool,
}
