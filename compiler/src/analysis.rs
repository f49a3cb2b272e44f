//! A file as editors see it: what `compile` finds in it, and its names also where it does not compile.

use crate::ast::Ast;
use crate::codegen::generate;
use crate::compile::{Options, in_order, intern_module_names};
use crate::diagnostics::Diagnostic;
use crate::index::Index;
use crate::parser::parse;
use crate::resolve::{Resolution, resolve};

/// A file that was read, with as much of it as could be understood.
#[derive(Debug)]
pub struct Analysis {
    pub(crate) ast: Ast,
    pub(crate) resolution: Resolution,
    /// What `compile` would report.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a file. Names are looked up even if there are syntax errors, in what was read around them; nothing is said of names then, as every second
/// finding would be false.
pub fn analyse(source: &str, options: &Options) -> Analysis {
    let (mut ast, mut diagnostics) = parse(source);
    intern_module_names(&mut ast);
    let (resolution, found) = resolve(&ast, options);
    let has_errors = |found: &[Diagnostic]| found.iter().any(Diagnostic::is_error);
    if !has_errors(&diagnostics) {
        diagnostics.extend(found);
        if !has_errors(&diagnostics) {
            diagnostics.extend(generate(&ast, &resolution, options, source).1);
        }
        in_order(&mut diagnostics);
    }
    Analysis {
        ast,
        resolution,
        diagnostics,
    }
}

impl Analysis {
    /// Where every name is declared and used; `source` is what was analysed. Made anew by each call.
    pub fn index(&self, source: &str) -> Index {
        Index::new(source, &self.ast, &self.resolution)
    }
    /// The tree; of what could not be read there are `Error` nodes.
    pub fn ast(&self) -> &Ast {
        &self.ast
    }
}
