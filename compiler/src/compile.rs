//! The door of the crate: one source text in, one module of bytecode and its diagnostics out.

use crate::ast::{Ast, ImportPath, StmtKind};
use crate::codegen::generate;
use crate::diagnostics::Diagnostic;
use crate::parser::parse;
use crate::resolve::resolve;
use heddle_bytecode::ModuleCode;

/// What the compiler must know about a file besides its text.
pub struct Options<'a> {
    /// The file as shown in messages; `<string>`, `<stdin>`, `<repl>` … otherwise.
    pub path: String,
    /// What the program calls the module: `util` for `./util.hd`.
    pub name: String,
    /// What the source is part of.
    pub role: Role,
    /// Keep `test` blocks.
    pub is_test: bool,
    /// Make code that counts how often each line is run.
    pub counts_lines: bool,
    /// Names that are defined everywhere (`print`, `Error` …); only programs need them said.
    pub prelude_names: &'a [String],
    /// Names from earlier inputs of a REPL; `Some` also means that every top-level name is exported,
    /// may be declared again, and lives outside registers.
    pub repl_scope: Option<&'a [ReplName]>,
    /// Turns the text of `import "text"` into the canonical key of `ModuleRef::File`, or says why it cannot.
    pub resolve: &'a dyn Fn(&str) -> Result<String, String>,
}

/// What a source is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What users write.
    Program,
    /// A standard module. A name that it does not declare is one of its natives or of the prelude, which only the linker knows; its
    /// functions are left out of traces.
    Library,
    /// The prelude: the same, and intrinsics are known, and every top-level function is exported.
    Prelude,
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

/// How many errors a file may have before the rest is left out; warnings do not count.
const MAX_ERRORS: usize = 20;

/// Compiles a file. There is no module if there are errors; what the file has of errors and warnings comes in the
/// order of the text.
pub fn compile(source: &str, options: &Options) -> (Option<ModuleCode>, Vec<Diagnostic>) {
    let (mut ast, mut diagnostics) = parse(source);
    if diagnostics.iter().any(Diagnostic::is_error) {
        // Names are not looked up in what could not be read: every second finding would be false.
        return (None, diagnostics);
    }
    intern_module_names(&mut ast);
    if options.repl_scope.is_some() {
        imports_first(&mut ast);
    }
    let (resolution, found) = resolve(&ast, options);
    diagnostics.extend(found);
    let mut module = None;
    if !diagnostics.iter().any(Diagnostic::is_error) {
        let (code, found) = generate(&ast, &resolution, options, source);
        let is_whole = found.is_empty();
        #[cfg(debug_assertions)]
        if is_whole
            && let Err(error) =
                heddle_bytecode::verify::verify(&code, options.role == Role::Prelude)
        {
            panic!("{error}\n{}", heddle_bytecode::dis::listing(&code));
        }
        diagnostics.extend(found);
        module = is_whole.then_some(code);
    }
    in_order(&mut diagnostics);
    (module, diagnostics)
}

/// Sorts what was found by its place, and leaves out errors that are too many.
pub(crate) fn in_order(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
    let mut errors = 0;
    diagnostics.retain(|diagnostic| {
        errors += usize::from(diagnostic.is_error());
        !diagnostic.is_error() || errors <= MAX_ERRORS
    });
}

/// Imports take effect as if they stood first. In a REPL they do stand there, so that the value of an input is that of its last
/// other statement.
fn imports_first(ast: &mut Ast) {
    let stmts = std::mem::take(&mut ast.root.stmts);
    let is_import = |id: &crate::ast::StmtId| {
        let kind = &ast.stmt(*id).kind;
        matches!(kind, StmtKind::Import(_) | StmtKind::From { .. })
    };
    let (mut imports, others): (Vec<_>, Vec<_>) = stmts.into_iter().partition(is_import);
    imports.extend(others);
    ast.root.stmts = imports;
}

/// `import "./lib/util.hd"` declares `util`, which need not occur as a name in the file.
pub(crate) fn intern_module_names(ast: &mut Ast) {
    let mut stems: Vec<String> = Vec::new();
    for stmt in &ast.stmts {
        let StmtKind::Import(items) = &stmt.kind else {
            continue;
        };
        for item in items {
            if let ImportPath::File(path, _) = &item.path {
                stems.extend(module_stem(path).map(String::from));
            }
        }
    }
    for stem in stems {
        ast.names.intern(&stem);
    }
}

/// What an import without `as` calls the module: `util` for `./lib/util.hd`.
pub fn module_stem(path: &str) -> Option<&str> {
    let file = path.rsplit(['/', '\\']).next()?;
    Some(file.strip_suffix(".hd").unwrap_or(file))
}
