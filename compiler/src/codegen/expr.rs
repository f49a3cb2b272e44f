//! Expressions: literals, names, arithmetic, fields, indices, containers, strings.

use super::Generator;
use super::function::Dest;
use crate::ast::*;
use crate::resolve::{Literal, Target};
use crate::stack::with_stack;
use heddle_bytecode::{Const, Op};

/// How many elements of a literal are made in registers at a time.
const CHUNK: usize = 40;

impl Generator<'_> {
    /// Compiles an expression; its value goes where `dest` says.
    pub(super) fn expr(&mut self, id: ExprId, dest: Dest) {
        with_stack(|| self.expr_inner(id, dest));
    }

    /// The value in a register: of a variable where it is, else in a new temporary.
    pub(super) fn operand(&mut self, id: ExprId) -> u8 {
        if let Some(register) = self.in_place(id) {
            return register;
        }
        let register = self.f.alloc();
        self.expr(id, Dest::Fresh(register));
        register
    }

    /// The register in which a value lies, perhaps loaded there now, if it is one that keeps it.
    pub(super) fn in_place(&mut self, id: ExprId) -> Option<u8> {
        if let Some(register) = self.register_of(id) {
            return Some(register);
        }
        match self.res.target(id) {
            Target::Binding(binding) => self.load_reserved(binding, self.ast.expr(id).span),
            _ => None,
        }
    }

    /// Like `operand`, and the value stays what it is while what lies in `later` is evaluated.
    pub(super) fn operand_before(&mut self, id: ExprId, later: Span) -> u8 {
        if let Some(register) = self.in_place(id) {
            if !self.may_change(id, later) {
                return register;
            }
            let copy = self.f.alloc();
            self.move_to(self.ast.expr(id).span, copy, register);
            return copy;
        }
        self.operand(id)
    }

    /// Makes a value by `make`, which gets a register for it, and delivers it.
    pub(super) fn produce(&mut self, span: Span, dest: Dest, make: impl FnOnce(&mut Self, u8)) {
        let mark = self.f.top;
        match dest {
            Dest::Fresh(dst) | Dest::Keep(dst) => make(self, dst),
            Dest::Discard | Dest::Return => {
                let dst = self.f.alloc();
                make(self, dst);
                self.deliver(span, dst, dest);
            }
        }
        self.f.top = mark;
    }

    fn expr_inner(&mut self, id: ExprId, dest: Dest) {
        let ast = self.ast;
        let expr = ast.expr(id);
        let span = expr.span;
        self.count_operation(id);
        if let Some(&literal) = self.res.folded.get(&id) {
            return self.literal(id, literal, dest);
        }
        match &expr.kind {
            ExprKind::Nil | ExprKind::Error => self.nil(span, dest),
            ExprKind::Bool(value) => {
                let value = u8::from(*value);
                self.pure(span, dest, |this, dst| {
                    this.emit(span, Op::LoadBool, dst, value, 0, 0);
                });
            }
            ExprKind::Int(value) => self.literal(id, Literal::Int(*value), dest),
            ExprKind::Float(value) => self.literal(id, Literal::Float(*value), dest),
            ExprKind::BigInt(digits) => {
                self.constant_expr(span, Const::BigInt(digits.clone()), dest)
            }
            ExprKind::Duration(nanos) => self.constant_expr(span, Const::Duration(*nanos), dest),
            ExprKind::Str(text) => self.constant_expr(span, Const::Str(text.clone()), dest),
            ExprKind::Bytes(bytes) => self.constant_expr(span, Const::Bytes(bytes.clone()), dest),
            ExprKind::Interp(parts) => self.interpolation(parts, span, dest),
            ExprKind::Name(_) => match self.register_of(id) {
                Some(register) => self.deliver(span, register, dest),
                None => self.produce(span, dest, |this, dst| this.load_name(id, dst)),
            },
            ExprKind::List(items) => self.produce(span, dest, |this, dst| {
                let scratch = !matches!(dest, Dest::Keep(_));
                this.list(items, span, dst, scratch);
            }),
            ExprKind::Tuple(items) => {
                self.produce(span, dest, |this, dst| this.tuple(items, span, dst))
            }
            ExprKind::Map(entries) => self.map(entries, span, dest),
            ExprKind::Range {
                start,
                end,
                inclusive,
            } => {
                self.produce(span, dest, |this, dst| {
                    this.range(*start, *end, *inclusive, span, dst);
                });
            }
            ExprKind::Unary {
                op: UnaryOp::Not, ..
            } => self.truth(id, dest),
            ExprKind::Unary { op, operand } => {
                let op = if *op == UnaryOp::Neg {
                    Op::Neg
                } else {
                    Op::BitNot
                };
                self.produce(span, dest, |this, dst| {
                    let value = this.operand(*operand);
                    this.emit(span, op, dst, value, 0, 0);
                });
            }
            ExprKind::Binary {
                op, left, right, ..
            } => self.binary(id, *op, *left, *right, dest),
            ExprKind::Is { .. } => self.truth(id, dest),
            ExprKind::Call { .. } | ExprKind::Index { .. } | ExprKind::Field { .. } => {
                self.chain(id, dest);
            }
            ExprKind::Closure(function) => self.produce(span, dest, |this, dst| {
                this.closure(*function, span, dst);
            }),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => self.if_expr(*cond, then, *otherwise, span, dest),
            ExprKind::Match { subject, arms } => self.match_expr(*subject, arms, span, dest),
            ExprKind::Block(block) => self.block(block, dest),
            ExprKind::Loop(body) => self.loop_expr(body, span, dest),
            ExprKind::Try { body, catches } => self.try_expr(body, catches, span, dest),
            ExprKind::Scope { options, body } => self.scope_expr(options, body, span, dest),
            ExprKind::Select(arms) => self.select_expr(arms, span, dest),
            ExprKind::Spawn {
                kind,
                options,
                what,
            } => self.spawn(*kind, options, what, span, dest),
            ExprKind::Return(value) => self.return_expr(*value, span),
            ExprKind::Break(value) => self.break_expr(*value, span),
            ExprKind::Continue => self.continue_expr(span),
            ExprKind::Throw(value) => {
                let mark = self.f.top;
                let value = self.operand(*value);
                self.emit(span, Op::Throw, value, 0, 0, 0);
                self.f.top = mark;
            }
            ExprKind::Yield(value) => self.yield_expr(*value, span, dest),
        }
    }

    /// Something without effects: not made at all if nobody wants it.
    fn pure(&mut self, span: Span, dest: Dest, make: impl FnOnce(&mut Self, u8)) {
        if dest != Dest::Discard {
            self.produce(span, dest, make);
        }
    }

    fn constant_expr(&mut self, span: Span, constant: Const, dest: Dest) {
        self.pure(span, dest, |this, dst| this.load_const(span, dst, constant));
    }

    pub(super) fn nil(&mut self, span: Span, dest: Dest) {
        match dest {
            Dest::Fresh(dst) | Dest::Keep(dst) => {
                self.emit(span, Op::LoadNil, dst, 0, 0, 0);
            }
            Dest::Discard => {}
            Dest::Return => self.emit_return(span, None),
        }
    }

    fn literal(&mut self, id: ExprId, literal: Literal, dest: Dest) {
        let span = self.ast.expr(id).span;
        if let Some(register) = self.register_of(id) {
            return self.deliver(span, register, dest);
        }
        self.pure(span, dest, |this, dst| {
            this.load_literal(literal, span, dst)
        });
    }

    pub(super) fn load_literal(&mut self, literal: Literal, span: Span, dst: u8) {
        match literal {
            Literal::Int(value) => match i32::try_from(value) {
                Ok(small) => {
                    self.emit(span, Op::LoadInt, dst, 0, 0, small);
                }
                Err(_) => self.load_const(span, dst, Const::Int(value)),
            },
            Literal::Float(value) => self.load_const(span, dst, Const::Float(value)),
        }
    }

    fn binary(&mut self, id: ExprId, op: BinaryOp, left: ExprId, right: ExprId, dest: Dest) {
        let span = self.ast.expr(id).span;
        match op {
            BinaryOp::And | BinaryOp::Or | BinaryOp::Coalesce => {
                self.short_circuit(id, op, left, right, dest);
            }
            BinaryOp::NotIn => self.truth(id, dest),
            BinaryOp::Eq
            | BinaryOp::Ne
            | BinaryOp::Lt
            | BinaryOp::Le
            | BinaryOp::Gt
            | BinaryOp::Ge
            | BinaryOp::In => self.produce(span, dest, |this, dst| {
                let (a, b) = this.operands(left, right, dest);
                let (op, a, b) = match op {
                    BinaryOp::Eq => (Op::Eq, a, b),
                    BinaryOp::Ne => (Op::Ne, a, b),
                    BinaryOp::Lt => (Op::Lt, a, b),
                    BinaryOp::Le => (Op::Le, a, b),
                    BinaryOp::Gt => (Op::Lt, b, a),
                    BinaryOp::Ge => (Op::Le, b, a),
                    _ => (Op::In, a, b),
                };
                this.emit(span, op, dst, a, b, 0);
            }),
            _ => self.produce(span, dest, |this, dst| {
                // A left operand that is a float constant need not be loaded, if the operation knows how.
                if let Some((op, constant)) = reversed(op, this.res.folded.get(&left).copied()) {
                    let value = this.first_operand(right, None, Dest::Fresh(dst), dest);
                    let constant = this.f.constant(Const::Float(constant));
                    this.emit(span, op, dst, value, 0, constant);
                    return;
                }
                let later = this.ast.expr(right).span;
                let value = this.first_operand(left, Some(later), Dest::Fresh(dst), dest);
                this.arithmetic(op, span, dst, value, right);
            }),
        }
    }

    /// The left operand; a fresh destination serves as its temporary.
    fn first_operand(&mut self, id: ExprId, later: Option<Span>, scratch: Dest, dest: Dest) -> u8 {
        if let Some(register) = self.in_place(id)
            && !later.is_some_and(|later| self.may_change(id, later))
        {
            return register;
        }
        match (dest, scratch) {
            // A temporary of `produce` is as good as a fresh destination.
            (Dest::Fresh(_) | Dest::Return | Dest::Discard, Dest::Fresh(dst)) => {
                self.expr(id, scratch);
                dst
            }
            _ => match later {
                Some(later) => self.operand_before(id, later),
                None => self.operand(id),
            },
        }
    }

    fn operands(&mut self, left: ExprId, right: ExprId, dest: Dest) -> (u8, u8) {
        let later = self.ast.expr(right).span;
        let a = match dest {
            Dest::Fresh(dst) => self.first_operand(left, Some(later), Dest::Fresh(dst), dest),
            _ => self.operand_before(left, later),
        };
        (a, self.operand(right))
    }

    /// `R[dst] := R[value] op right`, with an immediate or a constant where there is a form for it.
    pub(super) fn arithmetic(
        &mut self,
        op: BinaryOp,
        span: Span,
        dst: u8,
        value: u8,
        right: ExprId,
    ) {
        match self.res.folded.get(&right) {
            Some(&Literal::Int(number)) => {
                let form = match op {
                    BinaryOp::Add => Some(Op::AddI),
                    BinaryOp::Sub => Some(Op::SubI),
                    BinaryOp::Mul => Some(Op::MulI),
                    BinaryOp::FloorDiv if number > 0 => Some(Op::FloorDivI),
                    BinaryOp::Mod if number > 0 => Some(Op::ModI),
                    BinaryOp::Div if number != 0 => Some(Op::DivI),
                    _ => None,
                };
                if let (Some(form), Ok(number)) = (form, i32::try_from(number)) {
                    self.emit(span, form, dst, value, 0, number);
                    return;
                }
            }
            Some(&Literal::Float(number)) => {
                let form = match op {
                    BinaryOp::Add => Some(Op::AddK),
                    BinaryOp::Sub => Some(Op::SubK),
                    BinaryOp::Mul => Some(Op::MulK),
                    BinaryOp::Div => Some(Op::DivK),
                    _ => None,
                };
                if let Some(form) = form {
                    let constant = self.f.constant(Const::Float(number));
                    self.emit(span, form, dst, value, 0, constant);
                    return;
                }
            }
            None => {}
        }
        let mark = self.f.top;
        let other = self.operand(right);
        self.emit(span, plain(op), dst, value, other, 0);
        self.f.top = mark;
    }

    fn short_circuit(&mut self, id: ExprId, op: BinaryOp, left: ExprId, right: ExprId, dest: Dest) {
        let span = self.ast.expr(id).span;
        let leave = match op {
            BinaryOp::And => Op::JumpIfNot,
            BinaryOp::Or => Op::JumpIf,
            _ => Op::JumpIfNotNil,
        };
        let mark = self.f.top;
        let loaded = self.loaded_mark();
        match dest {
            // Where the left side decides, it is a bool known here.
            Dest::Fresh(_) | Dest::Keep(_) | Dest::Return
                if op != BinaryOp::Coalesce && self.is_test(left) =>
            {
                let decided = op == BinaryOp::Or;
                let mut exits = Vec::new();
                self.condition(left, decided, &mut exits);
                self.expr(right, dest);
                let done = self.f.jump(span);
                self.f.patch_all(&exits);
                self.produce(span, dest, |this, dst| {
                    this.emit(span, Op::LoadBool, dst, u8::from(decided), 0, 0);
                });
                self.f.patch(done);
            }
            Dest::Discard if op != BinaryOp::Coalesce => {
                let mut done = Vec::new();
                self.condition(left, op == BinaryOp::Or, &mut done);
                self.expr(right, Dest::Discard);
                self.f.patch_all(&done);
            }
            Dest::Fresh(dst) => {
                self.expr(left, dest);
                let done = self.emit(span, leave, dst, 0, 0, 0);
                self.expr(right, dest);
                self.f.patch(done);
            }
            Dest::Keep(_) | Dest::Return | Dest::Discard => {
                let value = self.operand(left);
                let taken = self.emit(span, leave, value, 0, 0, 0);
                self.expr(right, dest);
                if let (Dest::Return | Dest::Keep(_), true) = (dest, dest != Dest::Keep(value)) {
                    let done = self.f.jump(span);
                    self.f.patch(taken);
                    self.deliver(span, value, dest);
                    self.f.patch(done);
                } else {
                    self.f.patch(taken);
                }
            }
        }
        self.forget_since(loaded);
        self.f.top = mark;
    }

    fn interpolation(&mut self, parts: &[InterpPart], span: Span, dest: Dest) {
        self.produce(span, dest, |this, dst| {
            let first = match dest {
                Dest::Keep(_) => this.f.alloc(),
                _ if usize::from(dst) + 1 == this.f.top => dst,
                _ => this.f.alloc(),
            };
            let mut count = 0;
            for part in parts {
                if count == CHUNK {
                    this.emit(span, Op::Concat, first, first, count as u8, 0);
                    this.f.top = usize::from(first) + 1;
                    count = 1;
                }
                let slot = if count == 0 { first } else { this.f.alloc() };
                match part {
                    InterpPart::Text(text) => this.load_const(span, slot, Const::Str(text.clone())),
                    InterpPart::Value { value, spec } => this.text_of(*value, spec, slot),
                }
                count += 1;
            }
            this.emit(span, Op::Concat, dst, first, count as u8, 0);
        });
    }

    fn text_of(&mut self, value: ExprId, spec: &str, slot: u8) {
        let span = self.ast.expr(value).span;
        let source = match self.in_place(value) {
            Some(register) => register,
            None => {
                self.expr(value, Dest::Fresh(slot));
                slot
            }
        };
        if spec.is_empty() {
            self.emit(span, Op::ToStr, slot, source, 0, 0);
        } else {
            let spec = self.f.constant(Const::Str(spec.into()));
            self.emit(span, Op::Format, slot, source, 0, spec);
        }
    }

    /// Evaluates expressions into consecutive new registers.
    pub(super) fn run(&mut self, items: &[ExprId]) -> u8 {
        let first = self.f.top as u8;
        for &item in items {
            let slot = self.f.alloc();
            self.expr(item, Dest::Fresh(slot));
        }
        first
    }

    fn list(&mut self, items: &[ExprId], span: Span, dst: u8, is_scratch: bool) {
        if items.len() <= CHUNK {
            let mark = self.f.top;
            let first = self.run_at(items, dst, is_scratch);
            self.emit(span, Op::NewList, dst, first, items.len() as u8, 0);
            self.f.top = mark;
            return;
        }
        let list = if is_scratch { dst } else { self.f.alloc() };
        for (index, chunk) in items.chunks(CHUNK).enumerate() {
            let mark = self.f.top;
            let first = self.run(chunk);
            let op = if index == 0 {
                Op::NewList
            } else {
                Op::ListAppend
            };
            self.emit(span, op, list, first, chunk.len() as u8, 0);
            self.f.top = mark;
        }
        self.move_to(span, dst, list);
    }

    /// Like `run`, starting in the destination itself if it is the last register taken.
    fn run_at(&mut self, items: &[ExprId], dst: u8, is_scratch: bool) -> u8 {
        if is_scratch
            && usize::from(dst) + 1 == self.f.top
            && let Some((&head, rest)) = items.split_first()
        {
            self.expr(head, Dest::Fresh(dst));
            self.run(rest);
            return dst;
        }
        if items.is_empty() {
            dst
        } else {
            self.run(items)
        }
    }

    fn tuple(&mut self, items: &[ExprId], span: Span, dst: u8) {
        let mark = self.f.top;
        if items.len() <= CHUNK {
            let first = if items.is_empty() {
                dst
            } else {
                self.run(items)
            };
            self.emit(span, Op::NewTuple, dst, first, items.len() as u8, 0);
        } else {
            let list = self.f.alloc();
            self.list(items, span, list, true);
            self.emit(span, Op::ListToTuple, dst, list, 0, 0);
        }
        self.f.top = mark;
    }

    fn map(&mut self, entries: &[(MapKey, ExprId)], span: Span, dest: Dest) {
        self.produce(span, dest, |this, dst| {
            let map = match dest {
                Dest::Keep(_) => this.f.alloc(),
                _ => dst,
            };
            this.emit(
                span,
                Op::NewMap,
                map,
                0,
                0,
                entries.len().min(1 << 16) as i32,
            );
            for (key, value) in entries {
                let mark = this.f.top;
                let (key, key_span) = match key {
                    MapKey::Str(text) => {
                        let register = this.f.alloc();
                        this.load_const(span, register, Const::Str(text.clone()));
                        (register, span)
                    }
                    MapKey::Computed(key) => {
                        let later = this.ast.expr(*value).span;
                        (this.operand_before(*key, later), this.ast.expr(*key).span)
                    }
                };
                let value_register = this.operand(*value);
                let place = key_span.to(this.ast.expr(*value).span);
                this.emit(place, Op::MapInsert, map, key, value_register, 0);
                this.f.top = mark;
            }
            this.move_to(span, dst, map);
        });
    }

    fn range(
        &mut self,
        start: Option<ExprId>,
        end: Option<ExprId>,
        inclusive: bool,
        span: Span,
        dst: u8,
    ) {
        let a = match (start, end) {
            (Some(start), Some(end)) => self.operand_before(start, self.ast.expr(end).span),
            (Some(start), None) => self.operand(start),
            (None, _) => self.nil_register(span),
        };
        let b = match end {
            Some(end) => self.operand(end),
            None => self.nil_register(span),
        };
        self.emit(span, Op::NewRange, dst, a, b, i32::from(inclusive));
    }

    fn nil_register(&mut self, span: Span) -> u8 {
        let register = self.f.alloc();
        self.emit(span, Op::LoadNil, register, 0, 0, 0);
        register
    }

    /// A chain of calls, indices and fields. `?.` in it jumps to its end, where the value is nil.
    fn chain(&mut self, id: ExprId, dest: Dest) {
        if !self.has_safe_step(id) {
            let around = self.nil_exits.take();
            self.chain_step(id, dest);
            self.nil_exits = around;
            return;
        }
        let span = self.ast.expr(id).span;
        self.produce(span, dest, |this, dst| {
            let loaded = this.loaded_mark();
            let around = this.nil_exits.replace(Vec::new());
            let inner = match dest {
                Dest::Keep(_) => dest,
                _ => Dest::Fresh(dst),
            };
            this.chain_step(id, inner);
            let exits = std::mem::replace(&mut this.nil_exits, around).unwrap_or_default();
            let done = this.f.jump(span);
            this.f.patch_all(&exits);
            this.emit(span, Op::LoadNil, dst, 0, 0, 0);
            this.f.patch(done);
            this.forget_since(loaded);
        });
    }

    pub(super) fn has_safe_step(&self, mut id: ExprId) -> bool {
        loop {
            id = match self.ast.expr(id).kind {
                ExprKind::Field { safe: true, .. } => return true,
                ExprKind::Field { object, .. } | ExprKind::Index { object, .. } => object,
                ExprKind::Call { callee, .. } => callee,
                _ => return false,
            };
        }
    }

    /// One step of a chain; `nil_exits` is that of the chain.
    fn chain_step(&mut self, id: ExprId, dest: Dest) {
        with_stack(|| {
            let ast = self.ast;
            let span = ast.expr(id).span;
            match &ast.expr(id).kind {
                ExprKind::Call { callee, args } => self.call(id, *callee, args, dest),
                ExprKind::Index { object, index } => self.index(*object, *index, span, dest),
                ExprKind::Field { object, name, safe } => {
                    self.field(id, *object, *name, *safe, span, dest)
                }
                _ => self.expr(id, dest),
            }
        });
    }

    /// The object of a step; still part of the chain.
    pub(super) fn chain_into(&mut self, id: ExprId, register: u8) {
        if self.res.folded.contains_key(&id) {
            self.expr(id, Dest::Fresh(register));
        } else {
            self.chain_step(id, Dest::Fresh(register));
        }
    }

    /// Leaves the chain if the object of a `?.` is nil.
    pub(super) fn safe_exit(&mut self, safe: bool, object: u8, span: Span) {
        if safe {
            let exit = self.emit(span, Op::JumpIfNil, object, 0, 0, 0);
            if let Some(exits) = &mut self.nil_exits {
                exits.push(exit);
            }
        }
    }

    fn index(&mut self, object: ExprId, index: ExprId, span: Span, dest: Dest) {
        self.produce(span, dest, |this, dst| {
            let later = this.ast.expr(index).span;
            let container = match this.in_place(object) {
                Some(register) if !this.may_change(object, later) => register,
                _ => {
                    let scratch = match dest {
                        Dest::Keep(_) => this.f.alloc(),
                        _ => dst,
                    };
                    this.chain_into(object, scratch);
                    scratch
                }
            };
            if let Some(&Literal::Int(number)) = this.res.folded.get(&index)
                && let Ok(number) = i32::try_from(number)
            {
                this.emit(span, Op::GetIndexI, dst, container, 0, number);
                return;
            }
            let index = this.operand(index);
            this.emit(span, Op::GetIndex, dst, container, index, 0);
        });
    }

    fn field(
        &mut self,
        id: ExprId,
        object: ExprId,
        name: Ident,
        safe: bool,
        span: Span,
        dest: Dest,
    ) {
        if let Some(constant) = self.import_member(id) {
            return self.produce(span, dest, |this, dst| {
                let index = this.f.constant(constant);
                this.emit(span, Op::LoadImport, dst, 0, 0, index);
            });
        }
        self.produce(span, dest, |this, dst| {
            let holder = match this.in_place(object) {
                Some(register) => register,
                None => {
                    let scratch = match dest {
                        Dest::Keep(_) => this.f.alloc(),
                        _ => dst,
                    };
                    this.chain_into(object, scratch);
                    scratch
                }
            };
            this.safe_exit(safe, holder, this.ast.expr(object).span);
            let symbol = this.symbol_of(name.name);
            this.emit(span, Op::GetField, dst, holder, 0, symbol as i32);
        });
    }

    /// `util.name` where `util` is an import.
    pub(super) fn import_member(&self, id: ExprId) -> Option<Const> {
        let ExprKind::Field { object, name, .. } = self.ast.expr(id).kind else {
            return None;
        };
        let crate::resolve::Target::Binding(binding) = self.res.target(object) else {
            return None;
        };
        match self.res.binding(binding).kind {
            crate::resolve::BindingKind::Module(module) => Some(Const::Import {
                module,
                name: self.ast.name(name.name).into(),
            }),
            _ => None,
        }
    }

    fn yield_expr(&mut self, value: Option<ExprId>, span: Span, dest: Dest) {
        self.produce(span, dest, |this, dst| {
            if !this.f.is_gen {
                this.emit(span, Op::TaskYield, dst, 0, 0, 0);
                return;
            }
            let live = this.f.top.max(usize::from(dst) + 1);
            let source = match value {
                Some(value) => this.operand(value),
                None => this.nil_register(span),
            };
            this.emit(span, Op::Yield, dst, source, live as u8, 0);
        });
    }
}

/// The three-register form.
fn plain(op: BinaryOp) -> Op {
    match op {
        BinaryOp::Add => Op::Add,
        BinaryOp::Sub => Op::Sub,
        BinaryOp::Mul => Op::Mul,
        BinaryOp::Div => Op::Div,
        BinaryOp::FloorDiv => Op::FloorDiv,
        BinaryOp::Mod => Op::Mod,
        BinaryOp::Pow => Op::Pow,
        BinaryOp::BitAnd => Op::BitAnd,
        BinaryOp::BitOr => Op::BitOr,
        BinaryOp::BitXor => Op::BitXor,
        BinaryOp::Shl => Op::Shl,
        BinaryOp::Shr => Op::Shr,
        _ => unreachable!("not an arithmetic operator"),
    }
}

/// The form whose constant is on the left. There is none for `+`: of `1.0 + x` a type of the user's decides otherwise than of `x + 1.0`.
fn reversed(op: BinaryOp, left: Option<Literal>) -> Option<(Op, f64)> {
    let Some(Literal::Float(constant)) = left else {
        return None;
    };
    let op = match op {
        BinaryOp::Sub => Op::RSubK,
        BinaryOp::Mul => Op::RMulK,
        BinaryOp::Div => Op::RDivK,
        _ => return None,
    };
    Some((op, constant))
}
