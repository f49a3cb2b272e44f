//! Folding chains of operators by precedence.

use super::{Builder, Chain, Pending, span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Op;

fn precedence(op: Op) -> u8 {
    match op {
        Op::Or => 1,
        Op::And => 2,
        // 3 is `not`.
        Op::Eq
        | Op::Ne
        | Op::Lt
        | Op::Le
        | Op::Gt
        | Op::Ge
        | Op::Is
        | Op::IsNot
        | Op::In
        | Op::NotIn => COMPARISON,
        Op::Coalesce => 5,
        Op::Range | Op::RangeInclusive => RANGE,
        Op::BitOr => 7,
        Op::BitXor => 8,
        Op::BitAnd => 9,
        Op::Shl | Op::Shr => 10,
        Op::Add | Op::Sub => 11,
        Op::Mul | Op::Div | Op::FloorDiv | Op::Mod => 12,
        // 13 is unary `-` and `~`.
        Op::Pow => 14,
    }
}

const NOT: u8 = 3;
const COMPARISON: u8 = 4;
const RANGE: u8 = 6;
const SIGN: u8 = 13;

impl Pending {
    fn precedence(self) -> u8 {
        match self {
            Pending::Binary { op, .. } => precedence(op),
            Pending::Prefix {
                op: UnaryOp::Not, ..
            } => NOT,
            Pending::Prefix { .. } => SIGN,
        }
    }
}

/// The operator as a node has it; `None` for those with nodes of their own.
pub(crate) fn binary_op(op: Op) -> Option<BinaryOp> {
    Some(match op {
        Op::Or => BinaryOp::Or,
        Op::And => BinaryOp::And,
        Op::Eq => BinaryOp::Eq,
        Op::Ne => BinaryOp::Ne,
        Op::Lt => BinaryOp::Lt,
        Op::Le => BinaryOp::Le,
        Op::Gt => BinaryOp::Gt,
        Op::Ge => BinaryOp::Ge,
        Op::In => BinaryOp::In,
        Op::NotIn => BinaryOp::NotIn,
        Op::Coalesce => BinaryOp::Coalesce,
        Op::BitOr => BinaryOp::BitOr,
        Op::BitXor => BinaryOp::BitXor,
        Op::BitAnd => BinaryOp::BitAnd,
        Op::Shl => BinaryOp::Shl,
        Op::Shr => BinaryOp::Shr,
        Op::Add => BinaryOp::Add,
        Op::Sub => BinaryOp::Sub,
        Op::Mul => BinaryOp::Mul,
        Op::Div => BinaryOp::Div,
        Op::FloorDiv => BinaryOp::FloorDiv,
        Op::Mod => BinaryOp::Mod,
        Op::Pow => BinaryOp::Pow,
        Op::Is | Op::IsNot | Op::Range | Op::RangeInclusive => return None,
    })
}

impl<'s> Builder<'s> {
    pub(crate) fn begin_chain(&self) -> u32 {
        self.pending.len() as u32
    }

    pub(crate) fn prefix(&mut self, base: u32, op: UnaryOp, start: u32, end: u32) -> u32 {
        if op == UnaryOp::Not
            && self.pending.len() as u32 > base
            && self
                .pending
                .last()
                .is_some_and(|top| top.precedence() > NOT)
        {
            self.report(
                Diagnostic::error(
                    "E0104",
                    "`not` binds more loosely than the operator before it",
                    span(start, end),
                )
                .help("put it in parentheses: `(not x)`"),
            );
        }
        self.pending.push(Pending::Prefix { op, start });
        base
    }

    pub(crate) fn operand(&self, base: u32, value: ExprId) -> Chain {
        Chain { base, value }
    }

    pub(crate) fn operator(&mut self, chain: Chain, op: Op, start: u32, end: u32) -> u32 {
        let own = precedence(op);
        let mut value = chain.value;
        while self.pending.len() as u32 > chain.base {
            let Some(&top) = self.pending.last() else {
                break;
            };
            let other = top.precedence();
            if other < own || (other == own && op == Op::Pow) {
                break;
            }
            if other == own && (own == COMPARISON || own == RANGE) {
                self.chained(top, value, op, span(start, end));
            }
            self.pending.pop();
            value = self.fold(top, value);
        }
        self.pending.push(Pending::Binary {
            op,
            left: value,
            span: span(start, end),
        });
        chain.base
    }

    fn chained(&mut self, first: Pending, middle: ExprId, op: Op, at: Span) {
        let Pending::Binary {
            op: first_op,
            span: first_span,
            ..
        } = first
        else {
            return;
        };
        let diagnostic = if precedence(op) == RANGE {
            Diagnostic::error("E0102", "ranges cannot be chained", at)
                .help("put one of them in parentheses")
        } else {
            let middle = self.text(self.ast.expr(middle).span);
            let (one, two) = (self.text(first_span), self.text(at));
            let diagnostic = Diagnostic::error("E0102", "comparisons cannot be chained", at);
            let is_order = |op| matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge | Op::Eq);
            if is_order(op) && is_order(first_op) && middle.len() <= 30 && !middle.contains('\n') {
                diagnostic.help(format!("write `… {one} {middle} and {middle} {two} …`"))
            } else {
                diagnostic.help("join them with `and`, or put one in parentheses")
            }
        };
        self.report(diagnostic.related(first_span, "the first one"));
    }

    fn fold(&mut self, pending: Pending, right: ExprId) -> ExprId {
        let end = self.ast.expr(right).span.end;
        match pending {
            Pending::Prefix { op, start } => {
                self.expr(ExprKind::Unary { op, operand: right }, start, end)
            }
            Pending::Binary { op, left, span } => {
                let start = self.ast.expr(left).span.start;
                let kind = match op {
                    Op::Range | Op::RangeInclusive => ExprKind::Range {
                        start: Some(left),
                        end: Some(right),
                        inclusive: op == Op::RangeInclusive,
                    },
                    Op::Is | Op::IsNot => {
                        self.check_type(right);
                        ExprKind::Is {
                            value: left,
                            ty: right,
                            negated: op == Op::IsNot,
                        }
                    }
                    _ => match binary_op(op) {
                        Some(op) => ExprKind::Binary {
                            op,
                            left,
                            right,
                            op_span: span,
                        },
                        None => ExprKind::Error,
                    },
                };
                self.expr(kind, start, end)
            }
        }
    }

    /// Behind `is` stands a path or `nil`.
    fn check_type(&mut self, ty: ExprId) {
        let mut id = ty;
        loop {
            match self.ast.expr(id).kind {
                ExprKind::Field {
                    object,
                    safe: false,
                    ..
                } => id = object,
                ExprKind::Name(_) | ExprKind::Error => return,
                ExprKind::Nil if id == ty => return,
                _ => break,
            }
        }
        let at = self.ast.expr(ty).span;
        self.report(
            Diagnostic::error("E0105", "expected a type behind `is`", at).help(
                "`is` takes the name of a type, a variant, a trait or `nil`; `==` compares values",
            ),
        );
        let kind = &mut self.ast.exprs[ty.0 as usize].kind;
        *kind = ExprKind::Error;
    }

    pub(crate) fn finish(&mut self, chain: Chain) -> ExprId {
        let mut value = chain.value;
        while self.pending.len() as u32 > chain.base {
            let Some(top) = self.pending.pop() else {
                break;
            };
            value = self.fold(top, value);
        }
        value
    }

    /// `return …` and the like may stand behind `and`, `or` and `??`.
    pub(crate) fn finish_jump(&mut self, base: u32, jump: ExprId) -> ExprId {
        if self.pending.len() as u32 > base
            && !matches!(
                self.pending.last(),
                Some(Pending::Binary {
                    op: Op::And | Op::Or | Op::Coalesce,
                    ..
                })
            )
        {
            let at = self.ast.expr(jump).span;
            self.report(
                Diagnostic::error("E0106", "an expression without a value cannot be an operand", at)
                    .help("`return break continue throw yield` may stand behind `and`, `or` and `??` only"),
            );
        }
        self.finish(Chain { base, value: jump })
    }

    /// Closures and `spawn` are whole expressions.
    pub(crate) fn finish_whole(&mut self, base: u32, value: ExprId) -> ExprId {
        if self.pending.len() as u32 > base {
            let at = self.ast.expr(value).span;
            let what = match self.ast.expr(value).kind {
                ExprKind::Closure(_) => "a closure",
                _ => "`spawn`, `thread` or `threadlet`",
            };
            self.report(
                Diagnostic::error("E0103", format!("{what} cannot be an operand"), at)
                    .help("put it in parentheses"),
            );
        }
        self.finish(Chain { base, value })
    }

    pub(crate) fn paren(&mut self, value: ExprId) -> ExprId {
        self.parens.push(value);
        value
    }

    pub(super) fn is_paren(&self, value: ExprId) -> bool {
        self.parens.binary_search(&value).is_ok()
    }
}
