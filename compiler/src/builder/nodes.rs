//! Making nodes, with their depths.

use super::{Builder, span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;

impl<'s> Builder<'s> {
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
}
