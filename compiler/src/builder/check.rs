//! What a grammar cannot check: parameters, targets of assignments, what is started.

use super::chain::binary_op;
use super::{Builder, ParamItem, span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Op;

impl<'s> Builder<'s> {
    /// `spawn f(x)`: one call and nothing behind it.
    pub(crate) fn started_call(&mut self, value: ExprId, keyword: Span) -> Started {
        let kind = self.ast.expr(value).kind.clone();
        let at = self.ast.expr(value).span;
        let word = self.text(keyword);
        match kind {
            ExprKind::Call { callee, .. } if !self.is_paren(value) => {
                let mut id = callee;
                while !self.is_paren(id) {
                    match self.ast.expr(id).kind {
                        ExprKind::Field { object, .. } | ExprKind::Index { object, .. } => {
                            id = object;
                        }
                        ExprKind::Call { .. } => {
                            let first = self.ast.expr(id).span;
                            self.report(
                                Diagnostic::error(
                                    "E0107",
                                    format!("nothing may follow the call behind `{word}`"),
                                    span(first.end, at.end),
                                )
                                .help(format!(
                                    "`({word} f(x)).join()` acts on the handle, `{word} {{ … }}` starts the whole"
                                )),
                            );
                            break;
                        }
                        _ => break,
                    }
                }
            }
            ExprKind::Error => {}
            ExprKind::Field { object, .. }
                if matches!(self.ast.expr(object).kind, ExprKind::Call { .. }) =>
            {
                self.report(
                    Diagnostic::error(
                        "E0107",
                        format!("nothing may follow the call behind `{word}`"),
                        span(self.ast.expr(object).span.end, at.end),
                    )
                    .help(format!("write `({word} f(x)).name`")),
                );
            }
            _ => {
                self.report(
                    Diagnostic::error("E0108", format!("`{word}` takes a call or a block"), at)
                        .help(format!("write `{word} f(x)` or `{word} {{ … }}`")),
                );
                return Started::Call(self.leaf(ExprKind::Error, at.start, at.end));
            }
        }
        Started::Call(value)
    }

    pub(crate) fn deferred_call(&mut self, value: ExprId) -> Started {
        let node = self.ast.expr(value);
        let at = node.span;
        if !matches!(node.kind, ExprKind::Call { .. } | ExprKind::Error) {
            self.report(
                Diagnostic::error("E0108", "`defer` takes a call or a block", at)
                    .help("write `defer f(x)` or `defer { … }`"),
            );
            return Started::Call(self.leaf(ExprKind::Error, at.start, at.end));
        }
        Started::Call(value)
    }

    /// A function without parameters around the block of `spawn`, `defer` and `test`.
    pub(crate) fn block_fn(&mut self, kind: FnKind, body: Block) -> FnId {
        let at = body.span;
        self.func(Func {
            kind,
            is_gen: false,
            name: None,
            params: Vec::new(),
            rest: None,
            body: FnBody::Block(body),
            span: at,
            doc: None,
        })
    }

    pub(crate) fn function(
        &mut self,
        kind: FnKind,
        is_gen: bool,
        name: Option<Ident>,
        items: Vec<ParamItem>,
        body: FnBody,
        at: Span,
    ) -> FnId {
        let mut params = Vec::with_capacity(items.len());
        let mut rest: Option<Ident> = None;
        for item in items {
            match item {
                ParamItem::Param(param, at) => {
                    if let Some(rest) = rest {
                        self.report(
                            Diagnostic::error(
                                "E0109",
                                "a parameter behind the one that collects the rest",
                                at,
                            )
                            .related(rest.span, "this one takes all that are left")
                            .help("move `..name` to the end"),
                        );
                    }
                    params.push(param);
                }
                ParamItem::Rest(name) => {
                    if let Some(first) = rest {
                        self.report(
                            Diagnostic::error(
                                "E0109",
                                "two parameters that collect the rest",
                                name.span,
                            )
                            .related(first.span, "the first one"),
                        );
                    }
                    rest = Some(name);
                }
            }
        }
        let doc = if kind == FnKind::Fn {
            self.doc(at.start)
        } else {
            None
        };
        self.func(Func {
            kind,
            is_gen,
            name,
            params,
            rest,
            body,
            span: at,
            doc,
        })
    }

    /// The left side of an assignment.
    pub(crate) fn assignment(
        &mut self,
        target: ExprId,
        op: Option<Op>,
        op_span: Span,
        value: ExprId,
        start: u32,
        end: u32,
    ) -> StmtId {
        self.check_target(target, op.is_some(), op_span);
        self.stmt(
            StmtKind::Assign {
                target,
                op: op.and_then(binary_op),
                value,
                op_span,
            },
            start,
            end,
        )
    }

    fn check_target(&mut self, target: ExprId, is_compound: bool, op_span: Span) {
        // Targets nest in tuples and lists.
        let mut left = vec![target];
        while let Some(id) = left.pop() {
            let node = self.ast.expr(id);
            let at = node.span;
            let help = match &node.kind {
                ExprKind::Name(_) | ExprKind::Error => continue,
                ExprKind::Field { safe: false, .. } => continue,
                ExprKind::Index { index, .. } => match self.ast.expr(*index).kind {
                    ExprKind::Range { .. } => {
                        "a slice is a copy; assign to its elements one by one"
                    }
                    _ => continue,
                },
                ExprKind::Tuple(items) | ExprKind::List(items)
                    if !is_compound && !items.is_empty() =>
                {
                    left.extend(items);
                    continue;
                }
                ExprKind::Field { .. } => "`?.` only reads; test for nil first",
                ExprKind::Call { .. } => "a call's result is no place; `==` compares",
                ExprKind::Binary { .. } | ExprKind::Unary { .. } | ExprKind::Is { .. } => {
                    "`==` compares"
                }
                _ => "names, fields, elements, and tuples or lists of these can be assigned to",
            };
            let message = if is_compound {
                "this cannot be changed in place"
            } else {
                "this cannot be assigned to"
            };
            self.report(
                Diagnostic::error("E0111", message, at)
                    .help(help)
                    .related(op_span, "by this"),
            );
            self.ast.exprs[id.0 as usize].kind = ExprKind::Error;
        }
    }

    /// The operation of a select arm is a method call.
    pub(crate) fn select_op(&mut self, op: ExprId) -> ExprId {
        let node = self.ast.expr(op);
        let is_method = match node.kind {
            ExprKind::Error => true,
            ExprKind::Call { callee, .. } => {
                matches!(self.ast.expr(callee).kind, ExprKind::Field { .. })
            }
            _ => false,
        };
        if !is_method {
            let at = node.span;
            self.report(
                Diagnostic::error("E0112", "a select arm waits for a method call", at)
                    .help("for instance `m = inbox.recv() => …`, `out.send(x) => …`, `after 1s => …` or `else => …`"),
            );
        }
        op
    }
}
