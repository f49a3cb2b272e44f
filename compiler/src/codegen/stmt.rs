//! Statements: declarations of variables, assignments, `assert`, `defer`.

use super::Generator;
use super::function::{Dest, Place};
use crate::ast::*;
use crate::resolve::{BindingId, BindingKind, MODULE_BODY};
use heddle_bytecode::{Const, Op};

impl Generator<'_> {
    pub(super) fn stmt(&mut self, id: StmtId) {
        crate::stack::with_stack(|| {
            let mark = self.f.top;
            let keeps = self.stmt_inner(id);
            if !keeps {
                self.f.top = mark;
            }
        });
    }

    /// Compiles a statement; whether the registers that it took stay taken (by variables).
    fn stmt_inner(&mut self, id: StmtId) -> bool {
        let ast = self.ast;
        let stmt = ast.stmt(id);
        let span = stmt.span;
        if !matches!(
            stmt.kind,
            StmtKind::Fn { .. }
                | StmtKind::Struct(_)
                | StmtKind::Enum(_)
                | StmtKind::Trait(_)
                | StmtKind::Import(_)
                | StmtKind::From { .. }
                | StmtKind::Test { .. }
                | StmtKind::Bind {
                    kind: BindKind::LocalVar,
                    ..
                }
        ) {
            self.count_line(span);
        }
        match &stmt.kind {
            StmtKind::Expr(value) => self.expr(*value, Dest::Discard),
            StmtKind::Bind {
                kind: BindKind::LocalVar,
                pat,
                value,
                ..
            } => {
                self.local_var(id, *pat, *value, span);
            }
            StmtKind::Bind { pat, value, .. } => {
                self.bind_stmt(*pat, *value, span);
                return true;
            }
            StmtKind::Assign {
                target, op, value, ..
            } => self.assign(*target, *op, *value, span),
            StmtKind::While { cond, body } => self.while_stmt(*cond, body, span),
            StmtKind::For {
                pat,
                value_pat,
                iter,
                body,
            } => {
                self.for_stmt(*pat, *value_pat, *iter, body, span);
            }
            StmtKind::Fn { func, .. } => self.fn_stmt(*func, span),
            StmtKind::Struct(_) | StmtKind::Enum(_) | StmtKind::Trait(_) => {
                if !self.res.types_made_at_entry.contains_key(&id) {
                    self.make_type(id);
                }
            }
            StmtKind::Import(_) | StmtKind::From { .. } | StmtKind::Error => {}
            StmtKind::Defer(started) => self.defer_stmt(started, span),
            StmtKind::Assert { cond, message } => self.assert_stmt(*cond, *message, span),
            StmtKind::Test { name, body } => {
                if self.options.is_test {
                    // Tests are not what is tested.
                    let lines = self.lines.take();
                    let proto = self.make_function(*body, None);
                    self.lines = lines;
                    self.module.tests.push((name.to_string(), proto));
                }
            }
        }
        false
    }

    /// At the start of a block: cells for what is captured before it is set, and the local functions that can be made at once.
    pub(super) fn enter_block(&mut self, stmts: &[StmtId]) {
        let ast = self.ast;
        let mut made = Vec::new();
        for &id in stmts {
            let stmt = ast.stmt(id);
            match &stmt.kind {
                StmtKind::Bind { pat, .. } => {
                    for binding in self.pattern_bindings(*pat) {
                        if self.is_cell(binding) && self.res.binding(binding).is_early {
                            self.early_cell(binding, stmt.span);
                        }
                    }
                }
                StmtKind::Fn { func, .. } => {
                    let Some(binding) = self.fn_binding(*func) else {
                        continue;
                    };
                    if self.res.binding(binding).is_static {
                        continue;
                    }
                    let is_made = self.res.made_at_entry.contains(func);
                    if is_made {
                        made.push((*func, binding, stmt.span));
                    }
                    let is_early = self.res.binding(binding).is_early;
                    if self.is_cell(binding) {
                        self.early_or_plain_cell(binding, stmt.span, is_early);
                    } else {
                        let register = self.f.alloc();
                        self.f.places.insert(binding, Place::Register(register));
                        if !is_made {
                            self.f.unset.insert(binding);
                            if is_early {
                                self.emit(stmt.span, Op::LoadUnset, register, 0, 0, 0);
                            }
                        }
                    }
                }
                StmtKind::Struct(_) | StmtKind::Enum(_) | StmtKind::Trait(_) => {
                    let Some(binding) = self.local_type_binding(id) else {
                        continue;
                    };
                    if self.is_cell(binding) {
                        self.early_cell(binding, stmt.span);
                    } else {
                        let register = self.f.alloc();
                        self.f.places.insert(binding, Place::Register(register));
                        if !self.res.types_made_at_entry.contains_key(&id) {
                            self.f.unset.insert(binding);
                            self.emit(stmt.span, Op::LoadUnset, register, 0, 0, 0);
                        }
                    }
                }
                _ => {}
            }
        }
        let place = |id: &StmtId| Some((*self.res.types_made_at_entry.get(id)?, *id));
        let mut types: Vec<(usize, StmtId)> = stmts.iter().filter_map(place).collect();
        types.sort_unstable();
        for (_, id) in types {
            self.make_type(id);
        }
        for (function, binding, span) in made {
            self.make_local(function, binding, span);
        }
    }

    fn early_or_plain_cell(&mut self, binding: BindingId, span: Span, is_early: bool) {
        debug_assert!(
            is_early,
            "functions are cells only if something captures them early"
        );
        self.early_cell(binding, span);
    }

    fn early_cell(&mut self, binding: BindingId, span: Span) {
        let register = self.f.alloc();
        self.emit(span, Op::LoadUnset, register, 0, 0, 0);
        self.emit(span, Op::NewCell, register, register, 0, 0);
        self.f.places.insert(binding, Place::Cell(register));
    }

    pub(super) fn fn_binding(&self, function: FnId) -> Option<BindingId> {
        let name = self.ast.func(function).name?;
        let binding = *self.res.declared_at.get(&(name.span.start, name.name))?;
        let is_own = self.res.binding(binding).kind == BindingKind::Fn(function);
        is_own.then_some(binding)
    }

    fn fn_stmt(&mut self, function: FnId, span: Span) {
        match self.fn_binding(function) {
            Some(binding) if !self.res.binding(binding).is_static => {
                if !self.res.made_at_entry.contains(&function) {
                    self.make_local(function, binding, span);
                    self.f.unset.remove(&binding);
                }
            }
            _ => {
                self.make_function(function, None);
            }
        }
    }

    fn make_local(&mut self, function: FnId, binding: BindingId, span: Span) {
        match self.place(binding) {
            Place::Cell(cell) => {
                let closure = self.f.alloc();
                self.closure(function, span, closure);
                self.emit(span, Op::FixCell, cell, closure, 0, 0);
                self.f.top -= 1;
            }
            Place::Register(register) => self.closure(function, span, register),
            place => unreachable!("a local function lives in a register or cell, not {place:?}"),
        }
    }

    fn bind_stmt(&mut self, pat: PatId, value: ExprId, span: Span) {
        let ast = self.ast;
        match &ast.pat(pat).kind {
            PatKind::Bind(_) => {
                let Some(binding) = self.res.pat_binding(pat) else {
                    return;
                };
                self.bind_value(binding, value, span);
            }
            PatKind::Wildcard => self.expr(value, Dest::Discard),
            PatKind::Tuple(list) | PatKind::List(list)
                if list.rest.is_none() && self.binds_one_to_one(pat, list, value) =>
            {
                let (ExprKind::Tuple(values) | ExprKind::List(values)) = &ast.expr(value).kind
                else {
                    return;
                };
                for (&part, &value) in list.before.iter().zip(values) {
                    match self.res.pat_binding(part) {
                        Some(binding) => self.bind_value(binding, value, span),
                        None => self.expr(value, Dest::Discard),
                    }
                }
            }
            _ => {
                self.declare_pattern(pat);
                let mark = self.f.top;
                let source = self.operand(value);
                self.destructure(pat, source, span);
                self.f.top = mark;
            }
        }
    }

    /// `let (a, b) = (x, y)`: every part has its value, none needs the tuple.
    fn binds_one_to_one(&self, pat: PatId, list: &ListPat, value: ExprId) -> bool {
        let values = match (&self.ast.pat(pat).kind, &self.ast.expr(value).kind) {
            (PatKind::Tuple(_), ExprKind::Tuple(values)) => values,
            (PatKind::List(_), ExprKind::List(values)) => values,
            _ => return false,
        };
        values.len() == list.before.len()
            && list.before.iter().all(|&part| {
                matches!(
                    self.ast.pat(part).kind,
                    PatKind::Bind(_) | PatKind::Wildcard
                )
            })
    }

    /// Evaluates the first value of a variable where the variable is to live.
    fn bind_value(&mut self, binding: BindingId, value: ExprId, span: Span) {
        let mark = self.f.top;
        let register = self.declare_variable(binding);
        self.expr(value, Dest::Fresh(register));
        self.finish_variable(binding, span, register);
        if !self.owns_register(binding, register) {
            self.f.top = mark;
        }
    }

    /// `local var`: nothing happens here; each thread runs the initialiser on first use.
    fn local_var(&mut self, stmt: StmtId, pat: PatId, value: ExprId, span: Span) {
        let Some(binding) = self.res.pat_binding(pat) else {
            return;
        };
        let Some(&Place::Var(var)) = self.root_places.get(&binding) else {
            return;
        };
        let owner = self.res.initialiser_owners[&stmt];
        let proto = self.new_proto();
        self.enter(super::function::Function::new(proto, owner, false));
        let register = self.f.alloc();
        self.count_line(span);
        self.expr(value, Dest::Fresh(register));
        self.emit(span, Op::SetVar, register, 0, 0, var as i32);
        self.emit(span, Op::Return, register, 0, 0, 0);
        let ast = self.ast;
        let name = ast.name(self.res.binding(binding).name);
        self.leave(format!("<local {name}>"), span);
        self.module.vars[var as usize].initialiser = Some(proto);
    }

    fn assign(&mut self, target: ExprId, op: Option<BinaryOp>, value: ExprId, span: Span) {
        let ast = self.ast;
        let later = ast.expr(value).span;
        match &ast.expr(target).kind {
            ExprKind::Name(_) => match (self.register_of(target), op) {
                (Some(register), None) => self.expr(value, Dest::Keep(register)),
                (Some(register), Some(op)) => {
                    let old = self.operand_before(target, later);
                    self.arithmetic(op, span, register, old, value);
                }
                (None, None) => {
                    let value = self.operand(value);
                    self.store_name(target, value);
                }
                (None, Some(op)) => {
                    let register = self.f.alloc();
                    self.load_name(target, register);
                    self.arithmetic(op, span, register, register, value);
                    self.store_name(target, register);
                }
            },
            ExprKind::Field { object, name, safe } => {
                let object = self.operand_before(*object, later);
                let loaded = self.loaded_mark();
                let skip = match safe {
                    true => Some(self.emit(span, Op::JumpIfNil, object, 0, 0, 0)),
                    false => None,
                };
                let symbol = self.symbol_of(name.name) as i32;
                let value = match op {
                    None => self.operand(value),
                    Some(op) => {
                        let register = self.f.alloc();
                        self.emit(
                            ast.expr(target).span,
                            Op::GetField,
                            register,
                            object,
                            0,
                            symbol,
                        );
                        self.arithmetic(op, span, register, register, value);
                        register
                    }
                };
                self.emit(span, Op::SetField, object, value, 0, symbol);
                if let Some(skip) = skip {
                    self.f.patch(skip);
                    self.forget_since(loaded);
                }
            }
            ExprKind::Index { object, index } => {
                let object = self.operand_before(*object, ast.expr(*index).span.to(later));
                let index = self.operand_before(*index, later);
                let value = match op {
                    None => self.operand(value),
                    Some(op) => {
                        let register = self.f.alloc();
                        self.emit(
                            ast.expr(target).span,
                            Op::GetIndex,
                            register,
                            object,
                            index,
                            0,
                        );
                        self.arithmetic(op, span, register, register, value);
                        register
                    }
                };
                self.emit(span, Op::SetIndex, object, index, value, 0);
            }
            ExprKind::Tuple(targets) | ExprKind::List(targets) => {
                let first = match &ast.expr(value).kind {
                    ExprKind::Tuple(values) | ExprKind::List(values)
                        if values.len() == targets.len() =>
                    {
                        self.run(values)
                    }
                    _ => {
                        let source = self.operand(value);
                        self.unpack(source, targets.len(), span)
                    }
                };
                self.assign_run(targets, first, span);
            }
            _ => self.expr(value, Dest::Discard),
        }
    }

    fn unpack(&mut self, source: u8, count: usize, span: Span) -> u8 {
        let first = self.f.alloc_run(count);
        self.emit(span, Op::Unpack, source, first, count.min(255) as u8, 0);
        first
    }

    /// Assigns consecutive registers to targets.
    fn assign_run(&mut self, targets: &[ExprId], first: u8, span: Span) {
        let ast = self.ast;
        for (index, &target) in targets.iter().enumerate() {
            let mark = self.f.top;
            let value = first.saturating_add(index as u8);
            match &ast.expr(target).kind {
                ExprKind::Name(_) => self.store_name(target, value),
                ExprKind::Field { object, name, .. } => {
                    let object = self.operand(*object);
                    let symbol = self.symbol_of(name.name);
                    self.emit(span, Op::SetField, object, value, 0, symbol as i32);
                }
                ExprKind::Index { object, index } => {
                    let object = self.operand_before(*object, ast.expr(*index).span);
                    let index = self.operand(*index);
                    self.emit(span, Op::SetIndex, object, index, value, 0);
                }
                ExprKind::Tuple(parts) | ExprKind::List(parts) => {
                    let first = self.unpack(value, parts.len(), span);
                    self.assign_run(parts, first, span);
                }
                _ => {}
            }
            self.f.top = mark;
        }
    }

    fn defer_stmt(&mut self, started: &Started, span: Span) {
        let closure = self.f.alloc();
        let loaded = self.loaded_mark();
        let exits = match started {
            Started::Call(call) => {
                let keep = |this: &mut Self| this.kept_call(*call, closure);
                self.kept_chain(*call, keep).1
            }
            Started::Block(block) => {
                self.closure(*block, span, closure);
                Vec::new()
            }
        };
        if let Some(list) = self.f.defers.as_ref().map(|defers| defers.list) {
            self.emit(span, Op::DeferPush, list, closure, 0, 0);
        }
        // `defer x?.f()` with nil defers nothing.
        if !exits.is_empty() {
            self.f.patch_all(&exits);
            self.forget_since(loaded);
        }
    }

    fn assert_stmt(&mut self, cond: ExprId, message: Option<ExprId>, span: Span) {
        let ast = self.ast;
        let place = ast.expr(cond).span;
        let (left, right, holds) = match &ast.expr(cond).kind {
            ExprKind::Binary {
                op, left, right, ..
            } if super::condition::is_comparison(*op) => {
                let a = self.operand_before(*left, ast.expr(*right).span);
                let b = self.operand(*right);
                (a, b, self.compare_jump(*op, a, b, true, place))
            }
            ExprKind::Binary {
                op: op @ (BinaryOp::In | BinaryOp::NotIn),
                left,
                right,
                ..
            } => {
                let a = self.operand_before(*left, ast.expr(*right).span);
                let b = self.operand(*right);
                let found = self.f.alloc();
                self.emit(place, Op::In, found, a, b, 0);
                let jump = if *op == BinaryOp::In {
                    Op::JumpIf
                } else {
                    Op::JumpIfNot
                };
                (a, b, self.emit(place, jump, found, 0, 0, 0))
            }
            _ => {
                let value = self.operand(cond);
                let holds = self.emit(place, Op::JumpIf, value, 0, 0, 0);
                let none = self.f.alloc();
                self.emit(place, Op::LoadUnset, none, 0, 0, 0);
                (value, none, holds)
            }
        };
        let loaded = self.loaded_mark();
        let message = match message {
            Some(message) => self.operand(message),
            None => {
                let none = self.f.alloc();
                self.emit(span, Op::LoadUnset, none, 0, 0, 0);
                none
            }
        };
        let text = self.module.source[place.range()].into();
        let text = self.f.constant(Const::Str(text));
        self.emit(span, Op::AssertFail, left, right, message, text);
        self.f.patch(holds);
        self.forget_since(loaded);
    }

    /// The body of the module: prototype 0. Its value is that of the last statement, if that is an expression.
    pub(super) fn module_body(&mut self) {
        let ast = self.ast;
        let root = &ast.root;
        if self.res.owner(MODULE_BODY).has_defer {
            self.begin_defers(root.span);
        }
        self.block(root, Dest::Return);
        self.end_defers(root.span);
        let function = std::mem::replace(
            &mut self.f,
            super::function::Function::new(0, MODULE_BODY, false),
        );
        self.store(function, "<module>".into(), root.span);
    }
}
