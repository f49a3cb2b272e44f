//! What the grammar's actions do: they put nodes into the arena and check what a grammar cannot.
//!
//! Operators are not tiers of the grammar. It reads a flat chain of operands and operators, and `Builder` folds
//! it by precedence with a stack that all open chains share: a chain inside an operand is finished before the
//! outer one goes on, so each sees only what lies above its `base`.
//!
//! Every node's depth is known when it is made; one that would be too deep becomes `Error`, with a finding.

use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::layout::Doc;
use crate::lexer::{MAX_DIAGNOSTICS, Op, Quote};
use crate::literal;

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

/// `pub`, `let`, … in front of a declaration.
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

fn span(start: u32, end: u32) -> Span {
    Span { start, end }
}

impl<'s> Builder<'s> {
    pub(crate) fn new(source: &'s str, docs: &'s [Doc]) -> Builder<'s> {
        let mut builder = Builder {
            source,
            ast: Ast::default(),
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

    // --- nodes -----------------------------------------------------------------------------------------

    fn d(&self, id: ExprId) -> u16 {
        self.expr_depths[id.0 as usize]
    }
    fn d_opt(&self, id: Option<ExprId>) -> u16 {
        id.map_or(0, |id| self.d(id))
    }
    fn d_all(&self, ids: &[ExprId]) -> u16 {
        ids.iter().map(|&id| self.d(id)).max().unwrap_or(0)
    }
    fn d_args(&self, args: &[Arg]) -> u16 {
        args.iter().map(|arg| self.d(arg.value)).max().unwrap_or(0)
    }
    fn d_pat(&self, id: PatId) -> u16 {
        self.pat_depths[id.0 as usize]
    }
    fn d_fn(&self, id: FnId) -> u16 {
        self.fn_depths[id.0 as usize]
    }
    fn d_block(&self, block: &Block) -> u16 {
        block
            .stmts
            .iter()
            .map(|id| self.stmt_depths[id.0 as usize])
            .max()
            .unwrap_or(0)
    }
    fn d_started(&self, what: &Started) -> u16 {
        match *what {
            Started::Call(id) => self.d(id),
            Started::Block(id) => self.d_fn(id),
        }
    }
    fn d_fields(&self, fields: &[FieldDecl]) -> u16 {
        fields
            .iter()
            .map(|field| self.d_opt(field.default))
            .max()
            .unwrap_or(0)
    }
    fn d_fns(&self, fns: &[FnId]) -> u16 {
        fns.iter().map(|&id| self.d_fn(id)).max().unwrap_or(0)
    }

    fn expr_depth(&self, kind: &ExprKind) -> u16 {
        match kind {
            ExprKind::Nil
            | ExprKind::Bool(_)
            | ExprKind::Int(_)
            | ExprKind::BigInt(_)
            | ExprKind::Float(_)
            | ExprKind::Duration(_)
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Name(_)
            | ExprKind::Continue
            | ExprKind::Error => 0,
            ExprKind::Interp(parts) => parts
                .iter()
                .map(|part| match part {
                    InterpPart::Text(_) => 0,
                    InterpPart::Value { value, .. } => self.d(*value),
                })
                .max()
                .unwrap_or(0),
            ExprKind::List(items) | ExprKind::Tuple(items) => self.d_all(items),
            ExprKind::Map(entries) => entries
                .iter()
                .map(|(key, value)| match key {
                    MapKey::Str(_) => self.d(*value),
                    MapKey::Computed(key) => self.d(*value).max(self.d(*key)),
                })
                .max()
                .unwrap_or(0),
            ExprKind::Range { start, end, .. } => self.d_opt(*start).max(self.d_opt(*end)),
            ExprKind::Unary { operand, .. } => self.d(*operand),
            ExprKind::Binary { left, right, .. } => self.d(*left).max(self.d(*right)),
            ExprKind::Is { value, ty, .. } => self.d(*value).max(self.d(*ty)),
            ExprKind::Call { callee, args } => self.d(*callee).max(self.d_args(args)),
            ExprKind::Index { object, index } => self.d(*object).max(self.d(*index)),
            ExprKind::Field { object, .. } => self.d(*object),
            ExprKind::Closure(id) => self.d_fn(*id),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => self
                .d(*cond)
                .max(self.d_block(then))
                .max(self.d_opt(*otherwise)),
            ExprKind::Match { subject, arms } => arms
                .iter()
                .map(|arm| {
                    self.d_pat(arm.pat)
                        .max(self.d_opt(arm.guard))
                        .max(self.d(arm.body))
                })
                .max()
                .unwrap_or(0)
                .max(self.d(*subject)),
            ExprKind::Block(block) | ExprKind::Loop(block) => self.d_block(block),
            ExprKind::Try { body, catches } => catches
                .iter()
                .map(|arm| self.d_opt(arm.guard).max(self.d_block(&arm.body)))
                .max()
                .unwrap_or(0)
                .max(self.d_block(body)),
            ExprKind::Scope { options, body } => self.d_args(options).max(self.d_block(body)),
            ExprKind::Select(arms) => arms
                .iter()
                .map(|arm| match *arm {
                    SelectArm::Op { pat, op, body, .. } => pat
                        .map_or(0, |pat| self.d_pat(pat))
                        .max(self.d(op))
                        .max(self.d(body)),
                    SelectArm::After { delay, body, .. } => self.d(delay).max(self.d(body)),
                    SelectArm::Else { body, .. } => self.d(body),
                })
                .max()
                .unwrap_or(0),
            ExprKind::Spawn { options, what, .. } => self.d_args(options).max(self.d_started(what)),
            ExprKind::Return(value) | ExprKind::Break(value) | ExprKind::Yield(value) => {
                self.d_opt(*value)
            }
            ExprKind::Throw(value) => self.d(*value),
        }
    }

    /// The depth of a node above children of depth `below`; reports the first that is too deep.
    fn deeper(&mut self, below: u16, at: Span) -> Option<u16> {
        if (below as usize) < MAX_DEPTH {
            return Some(below + 1);
        }
        if !self.has_depth_error {
            self.has_depth_error = true;
            self.report(
                Diagnostic::error(
                    "E0110",
                    format!("this nests more than {MAX_DEPTH} deep"),
                    span(at.start, at.start + 1),
                )
                .help("operators in a row, calls in a row and `else if` count too: split it up, or use a loop or `match`"),
            );
        }
        None
    }

    pub(crate) fn expr(&mut self, kind: ExprKind, start: u32, end: u32) -> ExprId {
        let at = span(start, end);
        let below = self.expr_depth(&kind);
        let (kind, depth) = match self.deeper(below, at) {
            Some(depth) => (kind, depth),
            None => (ExprKind::Error, 1),
        };
        self.expr_depths.push(depth);
        self.ast.add_expr(kind, at)
    }

    /// A node without children.
    pub(crate) fn leaf(&mut self, kind: ExprKind, start: u32, end: u32) -> ExprId {
        self.expr_depths.push(1);
        self.ast.add_expr(kind, span(start, end))
    }

    pub(crate) fn pat(&mut self, kind: PatKind, start: u32, end: u32) -> PatId {
        let of_list = |list: &ListPat| {
            list.before
                .iter()
                .chain(&list.after)
                .map(|&id| self.d_pat(id))
                .max()
                .unwrap_or(0)
        };
        let below = match &kind {
            PatKind::Wildcard | PatKind::Bind(_) | PatKind::Error => 0,
            PatKind::Literal(value) | PatKind::Path(value) => self.d(*value),
            PatKind::Range { start, end, .. } => self.d(*start).max(self.d(*end)),
            PatKind::Tuple(list) | PatKind::List(list) => of_list(list),
            PatKind::Map(entries) => entries.iter().map(|e| self.d_pat(e.1)).max().unwrap_or(0),
            PatKind::Struct { path, parts, .. } => parts
                .iter()
                .map(|part| self.d_pat(part.1))
                .max()
                .unwrap_or(0)
                .max(self.d(*path)),
            PatKind::Or(pats) => pats.iter().map(|&id| self.d_pat(id)).max().unwrap_or(0),
        };
        let at = span(start, end);
        let (kind, depth) = match self.deeper(below, at) {
            Some(depth) => (kind, depth),
            None => (PatKind::Error, 1),
        };
        self.pat_depths.push(depth);
        self.ast.add_pat(kind, at)
    }

    pub(crate) fn stmt(&mut self, kind: StmtKind, start: u32, end: u32) -> StmtId {
        let below = match &kind {
            StmtKind::Expr(id) => self.d(*id),
            StmtKind::Bind { pat, value, .. } => self.d_pat(*pat).max(self.d(*value)),
            StmtKind::Assign { target, value, .. } => self.d(*target).max(self.d(*value)),
            StmtKind::While { cond, body } => self.d(*cond).max(self.d_block(body)),
            StmtKind::For {
                pat,
                value_pat,
                iter,
                body,
            } => self
                .d_pat(*pat)
                .max(value_pat.map_or(0, |pat| self.d_pat(pat)))
                .max(self.d(*iter))
                .max(self.d_block(body)),
            StmtKind::Fn { func, .. } => self.d_fn(*func),
            StmtKind::Struct(decl) => self
                .d_fields(&decl.fields)
                .max(self.d_fns(&decl.methods))
                .max(self.d_all(&decl.bases)),
            StmtKind::Enum(decl) => decl
                .variants
                .iter()
                .map(|variant| self.d_fields(&variant.fields))
                .max()
                .unwrap_or(0)
                .max(self.d_fns(&decl.methods))
                .max(self.d_all(&decl.bases)),
            StmtKind::Trait(decl) => self.d_fns(&decl.methods).max(self.d_all(&decl.bases)),
            StmtKind::Import(_) | StmtKind::From { .. } | StmtKind::Error => 0,
            StmtKind::Defer(what) => self.d_started(what),
            StmtKind::Assert { cond, message } => self.d(*cond).max(self.d_opt(*message)),
            StmtKind::Test { body, .. } => self.d_fn(*body),
        };
        let at = span(start, end);
        let (kind, depth) = match self.deeper(below, at) {
            Some(depth) => (kind, depth),
            None => (StmtKind::Error, 1),
        };
        self.stmt_depths.push(depth);
        let doc = self.doc(start);
        self.ast.add_stmt(kind, at, doc)
    }

    pub(crate) fn func(&mut self, mut func: Func) -> FnId {
        let mut below = match &func.body {
            FnBody::Block(block) => self.d_block(block),
            FnBody::Expr(id) => self.d(*id),
            FnBody::Missing => 0,
        };
        for param in &func.params {
            below = below
                .max(self.d_pat(param.pat))
                .max(self.d_opt(param.default));
        }
        let depth = match self.deeper(below, func.span) {
            Some(depth) => depth,
            None => {
                func.params.clear();
                func.body = FnBody::Block(Block::default());
                1
            }
        };
        self.fn_depths.push(depth);
        self.ast.add_fn(func)
    }

    /// The depth of a statement, for the tree's.
    pub(crate) fn stmt_depth(&self, id: StmtId) -> u32 {
        u32::from(self.stmt_depths[id.0 as usize])
    }

    pub(crate) fn ident(&mut self, start: u32, end: u32) -> Ident {
        let at = span(start, end);
        let name = self.ast.names.intern(&self.source[at.range()]);
        Ident { name, span: at }
    }

    pub(crate) fn name(&mut self, start: u32, end: u32) -> ExprId {
        let name = self.ident(start, end).name;
        self.leaf(ExprKind::Name(name), start, end)
    }

    // --- literals --------------------------------------------------------------------------------------

    pub(crate) fn number(&mut self, start: u32, end: u32) -> ExprId {
        let at = span(start, end);
        let kind = literal::number(self.text(at), at, &mut self.diagnostics);
        self.leaf(kind, start, end)
    }

    /// The quote of a whole string token and the text between its delimiters.
    fn body_of(&self, at: Span) -> (Quote, &'s str, usize) {
        let text = self.text(at);
        let quote = Quote::of(text);
        let body = &text[quote.open_len().min(text.len())..];
        // An unclosed one has been reported and just ends.
        let marks = [quote.mark; 3];
        let is_closed = body.as_bytes().ends_with(&marks[..quote.close_len()]);
        let body = if is_closed {
            &body[..body.len() - quote.close_len()]
        } else {
            body
        };
        (quote, body, at.start as usize + quote.open_len())
    }

    /// The text of a string without interpolation.
    pub(crate) fn str_text(&mut self, start: u32, end: u32) -> Box<str> {
        let (quote, body, offset) = self.body_of(span(start, end));
        literal::check_escapes(body, offset, quote, &mut self.diagnostics);
        if quote.is_triple {
            let body = literal::dedent(&[body]).concat();
            return literal::unescape(&body, quote).into();
        }
        if quote.is_raw || !body.contains('\\') {
            return body.into();
        }
        literal::unescape(body, quote).into()
    }

    pub(crate) fn string(&mut self, start: u32, end: u32) -> ExprId {
        let text = self.str_text(start, end);
        self.leaf(ExprKind::Str(text), start, end)
    }

    pub(crate) fn bytes(&mut self, start: u32, end: u32) -> ExprId {
        let (quote, body, offset) = self.body_of(span(start, end));
        literal::check_escapes(body, offset, quote, &mut self.diagnostics);
        let bytes = if quote.is_triple {
            literal::bytes(&literal::dedent(&[body]).concat(), quote)
        } else {
            literal::bytes(body, quote)
        };
        self.leaf(ExprKind::Bytes(bytes), start, end)
    }

    pub(crate) fn interpolation(
        &mut self,
        mut so_far: Box<Interpolation>,
        text: Span,
        value: ExprId,
        spec: Option<Span>,
    ) -> Box<Interpolation> {
        so_far.texts.push(text);
        if let Some(spec) = spec {
            let text = &self.text(spec)[1..];
            if let Err(why) = literal::check_spec(text) {
                self.report(
                    Diagnostic::error("E0012", format!("wrong format spec `{text}`"), spec)
                        .label(why)
                        .help("`:` begins a format spec, as in `{x:>8.2}`; put an expression with a colon in parentheses"),
                );
            }
        }
        so_far.values.push((value, spec));
        so_far
    }

    pub(crate) fn interpolated(&mut self, so_far: &Interpolation, tail: Span) -> ExprId {
        let first = so_far.texts.first().copied().unwrap_or(tail);
        let quote = Quote::of(self.text(first));
        let mut texts: Vec<&str> = Vec::with_capacity(so_far.texts.len() + 1);
        let mut offsets = Vec::with_capacity(so_far.texts.len() + 1);
        for (index, &at) in so_far.texts.iter().enumerate() {
            let text = self.text(at);
            let skip = if index == 0 { quote.open_len() } else { 1 };
            texts.push(&text[skip..text.len() - 1]);
            offsets.push(at.start as usize + skip);
        }
        let text = self.text(tail);
        let text = text.strip_prefix('}').unwrap_or(text);
        let mark = ["\"", "\"\"\""][quote.is_triple as usize];
        texts.push(text.strip_suffix(mark).unwrap_or(text));
        offsets.push(tail.start as usize + 1);
        for (text, offset) in texts.iter().zip(offsets) {
            literal::check_escapes(text, offset, quote, &mut self.diagnostics);
        }
        let texts: Vec<String> = if quote.is_triple {
            literal::dedent(&texts)
                .iter()
                .map(|text| literal::unescape(text, quote))
                .collect()
        } else {
            texts
                .iter()
                .map(|text| literal::unescape(text, quote))
                .collect()
        };
        let mut parts = Vec::with_capacity(texts.len() * 2);
        let mut values = so_far.values.iter();
        for text in texts {
            if !text.is_empty() {
                parts.push(InterpPart::Text(text.into()));
            }
            if let Some(&(value, spec)) = values.next() {
                let spec = spec.map_or("", |at| &self.text(at)[1..]).into();
                parts.push(InterpPart::Value { value, spec });
            }
        }
        self.expr(ExprKind::Interp(parts), first.start, tail.end)
    }

    // --- chains of operators ---------------------------------------------------------------------------

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

    fn is_paren(&self, value: ExprId) -> bool {
        self.parens.binary_search(&value).is_ok()
    }

    // --- checks on the way -----------------------------------------------------------------------------

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

    // --- patterns --------------------------------------------------------------------------------------

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

    // --- declarations ----------------------------------------------------------------------------------

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
