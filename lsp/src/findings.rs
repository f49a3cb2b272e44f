//! What is wrong with a document, and the edits that mend it where the compiler knows them.

use crate::workspace::{Document, Workspace};
use heddle_bytecode::ModuleRef;
use heddle_compiler::ast::Span;
use heddle_compiler::{Diagnostic, Fix};
use std::collections::HashSet;
use std::rc::Rc;

/// What `heddle check` would say of the document: what its own text shows, and what is wrong with its imports.
pub(crate) fn findings(workspace: &Workspace, document: &Rc<Document>) -> Vec<Diagnostic> {
    let mut found = document.analysis().diagnostics.clone();
    for (module, span) in document.imports() {
        match &module {
            ModuleRef::Std(name) => {
                if !workspace.library.modules().contains(&&**name) {
                    let missing = workspace.library.no_such_module(name);
                    let diagnostic = Diagnostic::error("E0210", missing.message, span)
                        .label("imported here")
                        .help(missing.help);
                    found.push(match missing.near {
                        Some(near) => diagnostic.replace(span, near),
                        None => diagnostic,
                    });
                }
            }
            ModuleRef::File(_) => {
                if let Some(cycle) = cycle(workspace, document, &module) {
                    found.push(
                        Diagnostic::error(
                            "E0210",
                            format!("imports form a cycle: {}", cycle.join(" -> ")),
                            span,
                        )
                        .label("closes the cycle")
                        .help("move what both need into a third file"),
                    );
                }
            }
        }
    }
    found.sort_by_key(|found| (found.span.start, found.span.end));
    found
}

/// The way from a document by one of its imports back to itself, in names of files.
fn cycle(workspace: &Workspace, document: &Document, import: &ModuleRef) -> Option<Vec<String>> {
    let own = ModuleRef::File(document.key.as_deref()?.into());
    let mut seen = HashSet::new();
    let mut ways: Vec<Vec<ModuleRef>> = vec![vec![own.clone(), import.clone()]];
    while let Some(way) = ways.pop() {
        let last = way.last()?.clone();
        if last == own {
            let name = |module: &ModuleRef| match module {
                ModuleRef::File(path) => path.rsplit('/').next().unwrap_or_default().to_string(),
                ModuleRef::Std(name) => name.to_string(),
            };
            return Some(way.iter().map(name).collect());
        }
        if !seen.insert(last.clone()) {
            continue;
        }
        let Some(next) = workspace.module(&last) else {
            continue;
        };
        for (module, _) in next.imports() {
            if matches!(module, ModuleRef::File(_)) {
                ways.push(way.iter().cloned().chain([module]).collect());
            }
        }
    }
    None
}

/// The fixes of what is found in a range, each with what it mends.
pub(crate) fn fixes(
    workspace: &Workspace,
    document: &Rc<Document>,
    range: Span,
) -> Vec<(Diagnostic, Fix)> {
    let touches = |span: Span| span.start <= range.end && range.start <= span.end;
    findings(workspace, document)
        .into_iter()
        .filter(|found| touches(found.span))
        .filter_map(|found| {
            let mut fix = *found.fix.clone()?;
            for (span, text) in &mut fix.edits {
                if text.is_empty() {
                    *span = with_its_line(document.source(), *span);
                }
            }
            Some((found, fix))
        })
        .collect()
}

/// What is taken away takes its line along if nothing else stands there, else the space behind it.
fn with_its_line(source: &str, span: Span) -> Span {
    let (start, end) = (span.start as usize, span.end as usize);
    let line = source[..start].rfind('\n').map_or(0, |at| at + 1);
    let is_first = source[line..start].trim().is_empty();
    let rest = source[end..].split('\n').next().unwrap_or_default();
    match (is_first, rest.trim().is_empty()) {
        (true, true) => Span::new(line, (end + rest.len() + 1).min(source.len())),
        (false, true) => span,
        _ => Span::new(start, end + (rest.len() - rest.trim_start().len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_takes_its_line_along() {
        assert_eq!(
            with_its_line("a\n  bc\nd", Span::new(4, 6)),
            Span::new(2, 7)
        );
        assert_eq!(with_its_line("a; bc", Span::new(3, 5)), Span::new(3, 5));
        assert_eq!(with_its_line("f(a, , b)", Span::new(5, 6)), Span::new(5, 7));
    }
}
