//! What the grammar's actions do: they put nodes into the arena and check what a grammar cannot.
//!
//! Operators are not tiers of the grammar. It reads a flat chain of operands and operators, and `Builder` folds
//! it by precedence with a stack that all open chains share: a chain inside an operand is finished before the
//! outer one goes on, so each sees only what lies above its `base`.
//!
//! Every node's depth is known when it is made; one that would be too deep becomes `Error`, with a finding.

mod chain;
mod check;
mod literals;
mod nodes;
mod patterns;

use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::layout::Doc;
use crate::lexer::{MAX_DIAGNOSTICS, Op};

/// An expression chain that is being read: its last operand, and where its operators begin on the stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    base: u32,
    value: ExprId,
}

#[derive(Clone, Copy, Debug)]
enum Pending {
    Binary { op: Op, left: ExprId, span: Span },
    Prefix { op: UnaryOp, start: u32 },
}

/// What stands between the parentheses or bars of a function's parameters.
#[derive(Clone, Debug)]
pub(crate) enum ParamItem {
    Param(Param, Span),
    Rest(Ident),
}

#[derive(Clone, Debug)]
pub(crate) enum PatItem {
    Pat(PatId),
    Rest(RestPat),
}

#[derive(Clone, Debug)]
pub(crate) enum PartItem {
    Part(Option<Ident>, PatId),
    Rest(Span),
}

#[derive(Clone, Debug)]
pub(crate) enum Member {
    Field(FieldDecl),
    Method(FnId),
    Variant(VariantDecl),
    /// Could not be parsed.
    Bad,
}

/// An interpolated string that is being read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interpolation {
    texts: Vec<Span>,
    values: Vec<(ExprId, Option<Span>)>,
}

/// The lengths of everything that grows, to go back to when a statement turns out not to parse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    exprs: usize,
    pats: usize,
    stmts: usize,
    fns: usize,
    diagnostics: usize,
    parens: usize,
}

/// The state behind the grammar's actions.
pub(crate) struct Builder<'s> {
    source: &'s str,
    pub(crate) ast: Ast,
    pub(crate) diagnostics: Vec<Diagnostic>,
    docs: &'s [Doc],
    pending: Vec<Pending>,
    /// Expressions that stand in parentheses, in the order of their ids.
    parens: Vec<ExprId>,
    expr_depths: Vec<u16>,
    pat_depths: Vec<u16>,
    stmt_depths: Vec<u16>,
    fn_depths: Vec<u16>,
    has_depth_error: bool,
}

fn span(start: u32, end: u32) -> Span {
    Span { start, end }
}

impl<'s> Builder<'s> {
    pub(crate) fn new(source: &'s str, docs: &'s [Doc]) -> Builder<'s> {
        let mut builder = Builder {
            source,
            ast: Ast::for_bytes(source.len()),
            diagnostics: Vec::new(),
            docs,
            pending: Vec::new(),
            parens: Vec::new(),
            expr_depths: Vec::new(),
            pat_depths: Vec::new(),
            stmt_depths: Vec::new(),
            fn_depths: Vec::new(),
            has_depth_error: false,
        };
        builder.ast.exprs.reserve(source.len() / 10);
        builder.expr_depths.reserve(source.len() / 10);
        builder
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            exprs: self.ast.exprs.len(),
            pats: self.ast.pats.len(),
            stmts: self.ast.stmts.len(),
            fns: self.ast.fns.len(),
            diagnostics: self.diagnostics.len(),
            parens: self.parens.len(),
        }
    }

    pub(crate) fn reset(&mut self, mark: Mark) {
        self.ast.exprs.truncate(mark.exprs);
        self.ast.pats.truncate(mark.pats);
        self.ast.stmts.truncate(mark.stmts);
        self.ast.fns.truncate(mark.fns);
        self.expr_depths.truncate(mark.exprs);
        self.pat_depths.truncate(mark.pats);
        self.stmt_depths.truncate(mark.stmts);
        self.fn_depths.truncate(mark.fns);
        self.diagnostics.truncate(mark.diagnostics);
        self.parens.truncate(mark.parens);
        self.pending.clear();
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < 4 * MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    fn text(&self, at: Span) -> &'s str {
        &self.source[at.range()]
    }

    fn doc(&self, at: u32) -> Option<Box<str>> {
        if self.docs.is_empty() {
            return None;
        }
        self.docs
            .binary_search_by_key(&at, |doc| doc.at)
            .ok()
            .map(|index| self.docs[index].text.clone())
    }

    pub(crate) fn split_members(
        members: Vec<Member>,
    ) -> (Vec<FieldDecl>, Vec<FnId>, Vec<VariantDecl>) {
        let (mut fields, mut methods, mut variants) = (Vec::new(), Vec::new(), Vec::new());
        for member in members {
            match member {
                Member::Field(field) => fields.push(field),
                Member::Method(method) => methods.push(method),
                Member::Variant(variant) => variants.push(variant),
                Member::Bad => {}
            }
        }
        (fields, methods, variants)
    }

    /// A statement as the body of an arm.
    pub(crate) fn stmt_body(&mut self, stmt: StmtId) -> ExprId {
        let at = self.ast.stmt(stmt).span;
        let block = Block {
            stmts: vec![stmt],
            span: at,
        };
        self.expr(ExprKind::Block(block), at.start, at.end)
    }
}
