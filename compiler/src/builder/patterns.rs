//! Patterns from their parts.

use super::{Builder, PartItem, PatItem, span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;

impl<'s> Builder<'s> {
    pub(crate) fn list_pat(&mut self, items: Vec<PatItem>) -> ListPat {
        let mut list = ListPat::default();
        for item in items {
            match item {
                PatItem::Pat(pat) if list.rest.is_none() => list.before.push(pat),
                PatItem::Pat(pat) => list.after.push(pat),
                PatItem::Rest(rest) => match list.rest {
                    None => list.rest = Some(rest),
                    Some(first) => self.report(
                        Diagnostic::error("E0113", "two `..` in one pattern", rest.span)
                            .related(first.span, "the first one"),
                    ),
                },
            }
        }
        list
    }

    pub(crate) fn bind_pat(&mut self, start: u32, end: u32) -> PatId {
        let kind = if self.text(span(start, end)) == "_" {
            PatKind::Wildcard
        } else {
            PatKind::Bind(self.ident(start, end).name)
        };
        self.pat(kind, start, end)
    }

    pub(crate) fn struct_pat(
        &mut self,
        path: ExprId,
        items: Vec<PartItem>,
        start: u32,
        end: u32,
    ) -> PatId {
        let mut parts = Vec::with_capacity(items.len());
        let mut rest: Option<Span> = None;
        for item in items {
            match item {
                PartItem::Part(name, pat) => {
                    if let Some(rest) = rest {
                        let at = self.ast.pat(pat).span;
                        self.report(
                            Diagnostic::error("E0113", "a part behind `..`", at)
                                .related(rest, "`..` leaves out all others")
                                .help("move `..` to the end"),
                        );
                    }
                    parts.push((name, pat));
                }
                PartItem::Rest(at) => {
                    if let Some(first) = rest {
                        self.report(
                            Diagnostic::error("E0113", "two `..` in one pattern", at)
                                .related(first, "the first one"),
                        );
                    }
                    rest = Some(at);
                }
            }
        }
        self.pat(
            PatKind::Struct {
                path,
                parts,
                has_rest: rest.is_some(),
            },
            start,
            end,
        )
    }

    pub(crate) fn or_pat(&mut self, mut pats: Vec<PatId>, start: u32, end: u32) -> PatId {
        match pats.len() {
            1 => pats.remove(0),
            _ => self.pat(PatKind::Or(pats), start, end),
        }
    }

    pub(crate) fn map_pat_shorthand(&mut self, start: u32, end: u32) -> (Box<str>, PatId) {
        let key = self.text(span(start, end)).into();
        (key, self.bind_pat(start, end))
    }

    pub(crate) fn text_of(&self, start: u32, end: u32) -> Box<str> {
        self.text(span(start, end)).into()
    }

    pub(crate) fn negative(&mut self, start: u32, number: ExprId) -> ExprId {
        let end = self.ast.expr(number).span.end;
        self.expr(
            ExprKind::Unary {
                op: UnaryOp::Neg,
                operand: number,
            },
            start,
            end,
        )
    }
}
