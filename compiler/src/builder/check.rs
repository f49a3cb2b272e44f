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

    /// What stands in parentheses behind `spawn`, `thread`, `threadlet` or `scope`: at most the one option that there is.
    pub(crate) fn options(&mut self, options: Vec<Arg>, keyword: Span, known: &str) -> Vec<Arg> {
        let word = self.text(keyword);
        let example = match known {
            "timeout" => "scope(timeout: 2s) { … }".to_string(),
            _ => format!("{word}(name: \"worker\") f(x)"),
        };
        let mut kept: Vec<Arg> = Vec::new();
        for option in options {
            let (at, message) = match option.name {
                Some(name) if self.ast.name(name.name) != known => {
                    let text = self.ast.name(name.name);
                    (name.span, format!("`{word}` has no option `{text}`"))
                }
                Some(name) if !kept.is_empty() => (name.span, format!("`{known}` twice")),
                Some(_) => {
                    kept.push(option);
                    continue;
                }
                None => {
                    let at = self.ast.expr(option.value).span;
                    (at, format!("an option of `{word}` without its name"))
                }
            };
            self.report(
                Diagnostic::error("E0114", message, at)
                    .help(format!("its only option is `{known}`: `{example}`")),
            );
        }
        kept
    }

    /// At most one arm that waits no longer, and something to wait for.
    pub(crate) fn select_arms(&mut self, arms: Vec<Option<SelectArm>>, at: Span) -> Vec<SelectArm> {
        let is_empty = arms.is_empty();
        let mut kept: Vec<SelectArm> = Vec::with_capacity(arms.len());
        let mut last: Option<(&str, Span)> = None;
        for arm in arms.into_iter().flatten() {
            let word_and_place = match &arm {
                SelectArm::Op { .. } => None,
                SelectArm::After { span, .. } => Some(("after", *span)),
                SelectArm::Else { span, .. } => Some(("else", *span)),
            };
            match (word_and_place, last) {
                (Some((word, place)), Some((first, first_place))) => {
                    let message = if word == first {
                        format!("two `{word}` arms in one select")
                    } else {
                        "`after` and `else` in one select".into()
                    };
                    self.report(
                        Diagnostic::error("E0115", message, place)
                            .related(first_place, "the first one")
                            .help(
                                "keep one: `after 1s => …` waits that long, `else => …` not at all",
                            ),
                    );
                    continue;
                }
                (Some(found), None) => last = Some(found),
                (None, _) => {}
            }
            kept.push(arm);
        }
        if is_empty {
            self.report(
                Diagnostic::error("E0115", "a select without arms would wait for ever", at)
                    .help("for instance `m = inbox.recv() => …`, `after 1s => …`"),
            );
        }
        kept
    }

    /// The operation of a select arm: `recv()`, `send(x)` or `join()` of something.
    pub(crate) fn select_op(&mut self, op: ExprId) -> ExprId {
        let node = self.ast.expr(op);
        let at = node.span;
        let (message, place) = match &node.kind {
            ExprKind::Error => return op,
            ExprKind::Call { callee, args } => match &self.ast.expr(*callee).kind {
                ExprKind::Error => return op,
                ExprKind::Field { safe: true, .. } => {
                    ("`?.` in what a select arm waits for".into(), at)
                }
                ExprKind::Field { name, .. } => {
                    let (text, place) = (self.ast.name(name.name), name.span);
                    let count = match text {
                        "recv" | "join" => 0,
                        "send" => 1,
                        _ => usize::MAX,
                    };
                    if count == usize::MAX {
                        (format!("a select arm cannot wait for `{text}`"), place)
                    } else if args.len() != count || args.iter().any(|arg| arg.name.is_some()) {
                        let takes = ["no arguments", "one value"][count];
                        (format!("`{text}` takes {takes}"), at)
                    } else {
                        return op;
                    }
                }
                _ => ("a select arm waits for a method call".into(), at),
            },
            _ => ("a select arm waits for a method call".into(), at),
        };
        self.report(
            Diagnostic::error("E0112", message, place)
                .help("for instance `m = inbox.recv() => …`, `out.send(x) => …`, `r = task.join() => …`, `after 1s => …` or `else => …`"),
        );
        self.leaf(ExprKind::Error, at.start, at.end)
    }
}
