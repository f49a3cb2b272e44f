//! The diagnostics of name resolution. Codes: E02xx are errors, W02xx warnings; the catalogue is in `codes.rs`.

use super::walk::Resolver;
use super::{BindingId, BindingKind};
use crate::ast::{BindKind, ExprId, ImportPath, Name, Span, StmtKind};
use crate::diagnostics::Diagnostic;

impl Resolver<'_> {
    pub(super) fn error(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    pub(super) fn report_undefined(&mut self, name: Name, span: Span) {
        let text = self.ast.name(name);
        let mut diagnostic = Diagnostic::error("E0201", format!("`{text}` is not defined"), span)
            .label("no such name in scope");
        if text == "self" {
            diagnostic =
                diagnostic.help("only a method that lists `self` as its first parameter has it");
        } else if let Some(help) = crate::messages::foreign_name(text) {
            diagnostic = diagnostic.help(help);
            if let Some(instead) = crate::messages::instead_of_name(text) {
                diagnostic = diagnostic.replace(span, instead);
            }
        } else {
            diagnostic = diagnostic.did_you_mean(span, self.nearest(text));
        }
        self.error(diagnostic);
    }

    pub(super) fn report_too_early(&mut self, id: BindingId, span: Span) {
        let binding = self.out.binding(id);
        let text = self.ast.name(binding.name);
        let declared = binding.span;
        self.error(
            Diagnostic::error(
                "E0201",
                format!("`{text}` is used before it is declared"),
                span,
            )
            .label("not set yet")
            .related(declared, "declared here"),
        );
    }

    pub(super) fn report_redeclared(&mut self, name: Name, span: Span, first: BindingId) {
        let text = self.ast.name(name);
        let place = self.out.binding(first).span;
        self.error(
            Diagnostic::error("E0202", format!("`{text}` is declared twice"), span)
                .label("declared again")
                .related(place, "first declared here")
                .help(
                    "an inner block may declare the name anew; here choose another or assign to it",
                ),
        );
    }

    /// `base` stands in the declaration of this type, or of one that it is based on.
    pub(super) fn report_own_ancestor(&mut self, index: u32, base: ExprId) {
        let info = self.out.type_info(index);
        let text = self.ast.name(info.name);
        let mut diagnostic = Diagnostic::error(
            "E0219",
            format!("`{text}` is based on itself"),
            self.ast.expr(base).span,
        )
        .label("leads back to it")
        .help("remove one of the names behind `:`");
        if let Some(binding) = info.binding {
            diagnostic = diagnostic.related(self.out.binding(binding).span, "declared here");
        }
        self.error(diagnostic);
    }

    pub(super) fn report_not_assignable(&mut self, id: BindingId, span: Span) {
        let binding = self.out.binding(id);
        let text = self.ast.name(binding.name);
        let (what, help) = match binding.kind {
            BindingKind::Let => (
                "a `let`",
                Some(format!("declare it with `var {text} = …` to change it")),
            ),
            BindingKind::Const => ("a `const`", None),
            BindingKind::Param => (
                "a parameter",
                Some(format!("copy it first: `var copy = {text}`")),
            ),
            BindingKind::Pattern => (
                "bound by a pattern",
                Some(format!("copy it first: `var copy = {text}`")),
            ),
            BindingKind::Fn(_) => ("a function", None),
            BindingKind::Type(_) => ("a type", None),
            BindingKind::Module(_) | BindingKind::Import { .. } => ("an import", None),
            BindingKind::Var | BindingKind::LocalVar => unreachable!("variables are assignable"),
        };
        let place = binding.span;
        let mut diagnostic = Diagnostic::error(
            "E0203",
            format!("cannot assign to `{text}`: it is {what}"),
            span,
        )
        .label("assigned here")
        .related(place, "declared here");
        diagnostic.help = help;
        if let Some(word) = self.let_of(id) {
            diagnostic = diagnostic.fix("declare it with `var`", vec![(word, "var".into())]);
        }
        self.error(diagnostic);
    }

    /// The word `let` of the statement that declares a variable.
    fn let_of(&self, id: BindingId) -> Option<Span> {
        if !self.may_search() {
            return None;
        }
        let binding = self.out.binding(id);
        let start = self.ast.stmts.iter().find_map(|stmt| match stmt.kind {
            StmtKind::Bind {
                kind: BindKind::Let,
                is_pub: false,
                pat,
                ..
            } if self.ast.pat(pat).span == binding.span => Some(stmt.span.start),
            _ => None,
        })?;
        Some(Span {
            start,
            end: start + "let".len() as u32,
        })
    }

    /// The edit that takes the import away which declares a name: the statement, or its part of it.
    fn without_import(&self, binding: Span) -> Option<Span> {
        if !self.may_search() {
            return None;
        }
        let stmt = self.ast.stmts.iter().find(|stmt| {
            matches!(stmt.kind, StmtKind::Import(_) | StmtKind::From { .. })
                && stmt.span.start <= binding.start
                && binding.end <= stmt.span.end
        })?;
        let parts: Vec<Span> = match &stmt.kind {
            StmtKind::Import(items) => items
                .iter()
                .map(|item| {
                    let path = match &item.path {
                        ImportPath::Std(ident) => ident.span,
                        ImportPath::File(_, span) => *span,
                    };
                    item.alias.map_or(path, |alias| path.to(alias.span))
                })
                .collect(),
            StmtKind::From { names, .. } => names
                .iter()
                .map(|(name, alias)| alias.map_or(name.span, |alias| name.span.to(alias.span)))
                .collect(),
            _ => return None,
        };
        let at = parts
            .iter()
            .position(|part| part.start <= binding.start && binding.end <= part.end)?;
        Some(match (at, parts.get(at + 1)) {
            (0, None) => stmt.span,
            (_, Some(next)) => Span {
                start: parts[at].start,
                end: next.start,
            },
            (_, None) => Span {
                start: parts[at - 1].end,
                end: parts[at].end,
            },
        })
    }

    pub(super) fn warn_if_unused(&mut self, id: BindingId) {
        let binding = self.out.binding(id);
        let text = self.ast.name(binding.name);
        if binding.is_used || binding.is_pub || text.starts_with('_') {
            return;
        }
        let diagnostic = match binding.kind {
            BindingKind::Let | BindingKind::Var if !binding.is_root => {
                Diagnostic::warning("W0201", format!("`{text}` is never used"), binding.span)
                    .help(format!("remove it, or name it `_{text}`"))
                    .fix(
                        format!("name it `_{text}`"),
                        vec![(binding.span, format!("_{text}"))],
                    )
            }
            BindingKind::Module(_) | BindingKind::Import { .. } => {
                let found = Diagnostic::warning(
                    "W0202",
                    format!("the import `{text}` is never used"),
                    binding.span,
                )
                .help("remove it");
                match self.without_import(binding.span) {
                    Some(part) => found.fix("remove the import", vec![(part, String::new())]),
                    None => found,
                }
            }
            _ => return,
        };
        self.diagnostics.push(diagnostic);
    }

    /// Whether to look through the whole file for how to mend something: only the first 20 errors are shown.
    pub(super) fn may_search(&self) -> bool {
        self.diagnostics.len() < 100
    }

    /// The name in scope that is most like `text`, if any is like it.
    fn nearest(&self, text: &str) -> Option<String> {
        if !self.may_search() {
            return None;
        }
        let mut best: Option<(usize, &str)> = None;
        let scoped = self
            .scopes
            .iter()
            .rev()
            .flat_map(|scope| scope.names.keys().chain(scope.ahead.keys()))
            .map(|&name| self.ast.name(name));
        let prelude = self.options.prelude_names.iter().map(String::as_str);
        let earlier = self
            .options
            .repl_scope
            .unwrap_or(&[])
            .iter()
            .map(|name| name.name.as_str());
        for candidate in scoped.chain(earlier).chain(prelude) {
            if candidate.starts_with("__") {
                continue;
            }
            let Some(distance) = likeness(text, candidate) else {
                continue;
            };
            let is_better = match best {
                None => true,
                Some((least, name)) => (distance, candidate) < (least, name),
            };
            if is_better {
                best = Some((distance, candidate));
            }
        }
        best.map(|(_, name)| name.to_string())
    }

    /// What to suggest instead of an unknown field, parameter or the like.
    pub(super) fn nearest_of<'n>(
        &self,
        text: &str,
        names: impl Iterator<Item = &'n str>,
    ) -> Option<String> {
        names
            .filter_map(|name| Some((likeness(text, name)?, name)))
            .min()
            .map(|(_, name)| name.to_string())
    }
}

/// The edit distance (swapped neighbours count once), if it is small enough to suggest one for the other.
fn likeness(typed: &str, known: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (typed.chars().collect(), known.chars().collect());
    let limit = (a.len().max(b.len()) / 3).max(usize::from(a.len() > 1));
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    if typed.eq_ignore_ascii_case(known) {
        return Some(0);
    }
    // Rows of the Damerau-Levenshtein table: the one before last, the last, the current.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut cost = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                cost = cost.min(before[j - 2] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|&distance| distance <= limit)
}

#[cfg(test)]
mod tests {
    use super::likeness;

    #[test]
    fn near_names() {
        assert_eq!(likeness("lenght", "length"), Some(1));
        assert_eq!(likeness("pritn", "print"), Some(1));
        assert_eq!(likeness("error", "Error"), Some(0));
        assert_eq!(likeness("x", "y"), None);
        assert_eq!(likeness("total", "print"), None);
    }
}
