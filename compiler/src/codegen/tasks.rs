//! `spawn`, `thread`, `threadlet`, `scope` and `select`.
//!
//! A scope is a hidden register and a cleanup handler, like `defer`: however its body is left, a native of the prelude waits for what
//! was started in it. `select` evaluates what its arms wait for and asks a native which arm is taken.

use super::Generator;
use super::call::WINDOW_HEAD;
use super::function::{Dest, Function, Place, Scope};
use crate::ast::*;
use crate::resolve::Target;
use heddle_bytecode::{Const, MAX_COPIED, Op, start};

/// What `__select` gives instead of an arm's index.
const AFTER: i16 = -1;
const ELSE: i16 = -2;
/// So many arguments can be put into another order: they take twice the registers.
const MAX_ARRANGED: usize = 110;
/// Registers that a threadlet's call keeps its state in; the last is its name.
const THREADLET_STATE: usize = 3;

impl Generator<'_> {
    // --- arguments written `copy(x)`

    /// The `x` of `copy(x)`, if that is the prelude's `copy`.
    fn copied(&self, value: ExprId) -> Option<ExprId> {
        let ExprKind::Call { callee, args } = &self.ast.expr(value).kind else {
            return None;
        };
        let ExprKind::Name(name) = self.ast.expr(*callee).kind else {
            return None;
        };
        match args[..] {
            [Arg { name: None, value }]
                if self.ast.name(name) == "copy" && self.res.target(*callee) == Target::Prelude =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// Which arguments are written `copy(x)`, one bit each.
    pub(super) fn copied_arguments(&self, args: &[Arg]) -> u32 {
        let positions = args.iter().take(MAX_COPIED).enumerate();
        positions
            .filter(|(_, arg)| self.copied(arg.value).is_some())
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// Like `arguments`; of those written `copy(x)` only `x`: whoever is called sees to the copy.
    pub(super) fn arguments_for_copying(&mut self, args: &[Arg]) {
        for (index, arg) in args.iter().enumerate() {
            let slot = self.f.alloc();
            let value = match self.copied(arg.value) {
                Some(copied) if index < MAX_COPIED => copied,
                _ => arg.value,
            };
            self.expr(value, Dest::Fresh(slot));
        }
    }

    // --- spawn, thread, threadlet

    pub(super) fn spawn(
        &mut self,
        kind: SpawnKind,
        options: &[Arg],
        what: &Started,
        span: Span,
        dest: Dest,
    ) {
        if kind == SpawnKind::Threadlet {
            return self.threadlet(options, what, span, dest);
        }
        self.produce(span, dest, |this, dst| {
            // A name that is computed is so before what is started.
            let name = options.first().map(|option| option.value);
            let computed = name
                .filter(|&name| !matches!(this.ast.expr(name).kind, ExprKind::Str(_)))
                .map(|name| {
                    let register = this.f.alloc();
                    this.expr(name, Dest::Fresh(register));
                    register
                });
            let base = this.f.alloc_run(WINDOW_HEAD);
            // No handle is made if nobody wants it.
            let dst = if dest == Dest::Discard { base } else { dst };
            let (count, copied) = match what {
                Started::Block(block) => {
                    this.closure(*block, span, base);
                    (0, 0)
                }
                Started::Call(call) => this.started_call(*call, base, kind),
            };
            let slot = this.f.alloc();
            match (computed, name) {
                (Some(register), _) => this.move_to(span, slot, register),
                (None, Some(name)) => this.expr(name, Dest::Fresh(slot)),
                (None, None) => {
                    this.emit(span, Op::LoadNil, slot, 0, 0, 0);
                }
            }
            let kind = match kind {
                SpawnKind::Spawn => start::SPAWN,
                SpawnKind::Thread => start::THREAD,
                SpawnKind::Threadlet => unreachable!("they are calls"),
            };
            let number = kind | copied << 2;
            this.emit(span, Op::Spawn, base, dst, count, number as i32);
        });
    }

    /// A call between two instructions, with a handler around it.
    fn threadlet(&mut self, options: &[Arg], what: &Started, span: Span, dest: Dest) {
        self.produce(span, dest, |this, dst| {
            let state = this.f.alloc_run(THREADLET_STATE);
            let name = state + (THREADLET_STATE - 1) as u8;
            match options.first() {
                Some(option) => this.expr(option.value, Dest::Fresh(name)),
                None => {
                    this.emit(span, Op::LoadNil, name, 0, 0, 0);
                }
            }
            let base = this.f.alloc_run(WINDOW_HEAD);
            let count = match what {
                Started::Block(block) => {
                    this.closure(*block, span, base);
                    0
                }
                Started::Call(call) => this.started_call(*call, base, SpawnKind::Threadlet).0,
            };
            if !this.f.is_reachable {
                // Nothing is called here, so there is nothing that the handler could catch.
                return;
            }
            // It is not under way yet: what is thrown before it is goes on.
            this.emit(span, Op::LoadBool, state, 1, 0, 0);
            let start = this.f.here();
            this.emit(span, Op::Threadlet, base, state, count, 0);
            let end = this.f.here();
            this.emit(span, Op::ThreadletEnd, dst, state, base, 0);
            let done = this.f.jump(span);
            let error = this.f.alloc();
            let handler = this.f.here();
            this.f.protect(start, end, handler, error, true);
            this.f.is_reachable = true;
            this.emit(span, Op::ThreadletFail, dst, state, error, 0);
            this.f.end_handler(handler);
            this.f.patch(done);
        });
    }

    /// Puts the function and the arguments of a call into a window whose head is taken; the number of arguments, and
    /// which of them a new thread is to get copies of. Where a `?.` finds nil, what is started gives nil.
    fn started_call(&mut self, call: ExprId, base: u8, kind: SpawnKind) -> (u8, u32) {
        let loaded = self.loaded_mark();
        let start = |this: &mut Self| this.started_call_inner(call, base, kind);
        let (given, exits) = self.kept_chain(call, start);
        if !exits.is_empty() {
            let span = self.ast.expr(call).span;
            let done = self.f.jump(span);
            self.f.patch_all(&exits);
            let count = given.0;
            let proto = self.idle_function(count.into(), span);
            self.load_const(span, base, Const::Fn(proto));
            if let Some(rest) = count.checked_sub(1) {
                let first = base + WINDOW_HEAD as u8;
                self.emit(span, Op::LoadNil, first, rest, 0, 0);
            }
            self.f.patch(done);
            self.forget_since(loaded);
        }
        given
    }

    fn started_call_inner(&mut self, call: ExprId, base: u8, kind: SpawnKind) -> (u8, u32) {
        let ast = self.ast;
        let ExprKind::Call { callee, args } = &ast.expr(call).kind else {
            self.expr(call, Dest::Fresh(base));
            return (0, 0);
        };
        let span = ast.expr(call).span;
        let copied = self.copied_arguments(args);
        // `spawn x.send(copy(y))`: the method must see that it is a copy.
        let is_method = matches!(ast.expr(*callee).kind, ExprKind::Field { .. });
        if kind == SpawnKind::Thread {
            // A receiver is an argument, too.
            let first = args.len().min(MAX_COPIED - 1);
            if args[first..]
                .iter()
                .any(|arg| self.copied(arg.value).is_some())
            {
                return self.started_with_copies_first(*callee, args, base, span);
            }
        }
        let is_kept = args.iter().any(|arg| arg.name.is_some())
            || self.res.static_type(ast, *callee).is_some()
            || is_method && copied != 0;
        let mut before = 0;
        let known = if is_kept {
            let known = self.kept_callee(*callee);
            before = self.kept_object(*callee, &known);
            Some(known)
        } else {
            self.chain_into(*callee, base);
            None
        };
        if kind == SpawnKind::Thread {
            self.arguments_for_copying(args);
        } else {
            self.arguments(args);
        }
        let count = before + args.len();
        if let Some(known) = known {
            // What is started makes the call from what it is given.
            let proto = self.kept_function(&known, args, count, Vec::new(), span);
            self.load_const(span, base, Const::Fn(proto));
        }
        let copied = match kind {
            SpawnKind::Thread => copied << before & ((1 << MAX_COPIED) - 1),
            _ => 0,
        };
        (count as u8, copied)
    }

    /// As `started_call`, of a thread with a `copy(x)` so far behind that there is no bit for it: those come first, and a function in between puts all arguments
    /// in their order.
    fn started_with_copies_first(
        &mut self,
        callee: ExprId,
        args: &[Arg],
        base: u8,
        span: Span,
    ) -> (u8, u32) {
        let known = self.kept_callee(callee);
        let before = self.kept_object(callee, &known);
        let count = before + args.len();
        if count > MAX_ARRANGED {
            self.f.has_overflown = true;
            return (0, 0);
        }
        // Where each argument goes: what is copied first, as far as there are bits.
        let copied = |this: &Self, index: usize| this.copied(args[index].value);
        let is_copied = |this: &Self, index: &usize| copied(this, *index).is_some();
        let (mut order, others): (Vec<usize>, Vec<usize>) =
            (0..args.len()).partition(|index| is_copied(self, index));
        let with_bit = order.len().min(MAX_COPIED - before);
        order.extend(others);
        let first = usize::from(self.f.alloc_run(args.len()));
        for (index, arg) in args.iter().enumerate() {
            let at = order.iter().position(|&other| other == index);
            let at = at.expect("all are in the order");
            let value = match copied(self, index) {
                Some(value) if at < with_bit => value,
                _ => arg.value,
            };
            self.expr(value, Dest::Fresh((first + at) as u8));
        }
        let inner = self.kept_function(&known, args, count, Vec::new(), span);
        let proto = self.new_proto();
        self.enter(Function::new(proto, self.f.owner, false));
        self.f.alloc_run(count);
        let window = self.f.alloc_run(WINDOW_HEAD + count);
        self.load_const(span, window, Const::Fn(inner));
        let arguments = window + WINDOW_HEAD as u8;
        for at in 0..before {
            self.move_to(span, arguments + at as u8, at as u8);
        }
        for (at, index) in order.into_iter().enumerate() {
            let to = arguments + (before + index) as u8;
            self.move_to(span, to, (before + at) as u8);
        }
        self.emit(span, Op::Call, window, window, count as u8, 0);
        self.emit(span, Op::Return, window, 0, 0, 0);
        self.leave("<deferred call>".into(), span);
        if let Some(code) = &mut self.protos[proto as usize] {
            code.params = vec!["".into(); count];
            code.required = count as u32;
        }
        self.load_const(span, base, Const::Fn(proto));
        (count as u8, ((1 << with_bit) - 1) << before)
    }

    // --- calls of the prelude

    /// Calls a function of the prelude; `arguments` takes a register for each argument. The result is put into `result`, if one is given.
    fn call_prelude(
        &mut self,
        span: Span,
        name: &str,
        result: Option<u8>,
        arguments: impl FnOnce(&mut Self),
    ) {
        let mark = self.f.top;
        let base = self.f.alloc_run(WINDOW_HEAD);
        let first = self.f.top;
        arguments(self);
        let count = self.f.top - first;
        let constant = self.f.constant(Const::Prelude(name.into()));
        let result = result.unwrap_or(base);
        self.emit(span, Op::CallK, base, result, count as u8, constant);
        self.f.top = mark;
    }

    fn move_to_new(&mut self, span: Span, source: u8) {
        let slot = self.f.alloc();
        self.move_to(span, slot, source);
    }

    // --- scope

    pub(super) fn scope_expr(&mut self, options: &[Arg], body: &Block, span: Span, dest: Dest) {
        let mark = self.f.top;
        let value = match dest {
            Dest::Fresh(dst) => Some(dst),
            Dest::Keep(_) | Dest::Return => Some(self.f.alloc()),
            Dest::Discard => None,
        };
        let handle = self.f.alloc();
        self.call_prelude(span, "__scope_enter", Some(handle), |this| {
            let slot = this.f.alloc();
            match options.first() {
                Some(timeout) => this.expr(timeout.value, Dest::Fresh(slot)),
                None => this.nil(span, Dest::Fresh(slot)),
            }
        });
        let start = self.f.begin_protected();
        self.f.scopes.push(Scope {
            handle,
            loops: self.f.loops.len(),
            start,
            left_at: None,
        });
        self.block(body, value.map_or(Dest::Discard, Dest::Fresh));
        let end = self.f.here();
        self.f.scopes.pop();
        self.exit_call(span, handle);
        let done = self.f.jump(span);
        let error = self.f.alloc();
        let handler = self.f.here();
        self.f.protect(start, end, handler, error, true);
        // A body that cannot throw has no handler.
        self.f.is_reachable = start < end;
        self.call_prelude(span, "__scope_fail", None, |this| {
            this.move_to_new(span, handle);
            this.move_to_new(span, error);
        });
        // It throws; what closes a generator goes on from here.
        self.emit(span, Op::Rethrow, error, 0, 0, 0);
        self.f.end_handler(handler);
        self.f.patch(done);
        if let (Some(value), Dest::Keep(_) | Dest::Return) = (value, dest) {
            self.deliver(span, value, dest);
        }
        self.f.top = mark;
    }

    /// Waits for what was started in a scope.
    fn exit_call(&mut self, span: Span, handle: u8) {
        self.call_prelude(span, "__scope_exit", None, |this| {
            this.move_to_new(span, handle);
        });
    }

    /// Leaves those of the first `count` scopes that lie in `loops` loops or more, from the inside out; how many are left. Behind the
    /// jump comes `Function::resume_scopes`.
    pub(super) fn leave_scopes(&mut self, span: Span, mut count: usize, loops: usize) -> usize {
        while count > 0 && self.f.scopes[count - 1].loops >= loops {
            count -= 1;
            let here = self.f.here();
            let scope = &mut self.f.scopes[count];
            scope.left_at = Some(here);
            let handle = scope.handle;
            self.exit_call(span, handle);
        }
        count
    }

    /// `break`, `continue`: leaves the scopes in the innermost loop.
    pub(super) fn leave_scopes_in_loop(&mut self, span: Span) {
        let loops = self.f.loops.len();
        self.leave_scopes(span, self.f.scopes.len(), loops);
    }

    pub(super) fn is_scope_in_loop(&self) -> bool {
        let innermost = self.f.scopes.last();
        innermost.is_some_and(|scope| scope.loops >= self.f.loops.len())
    }

    // --- select

    pub(super) fn select_expr(&mut self, arms: &[SelectArm], span: Span, dest: Dest) {
        let mark = self.f.top;
        let pair = self.select_call(arms, span);
        let mut index = 0;
        let mut done = Vec::new();
        for (position, arm) in arms.iter().enumerate() {
            let (number, pat, body, place) = match arm {
                SelectArm::Op {
                    pat, body, span, ..
                } => {
                    index += 1;
                    (index - 1, *pat, *body, *span)
                }
                SelectArm::After { body, span, .. } => (AFTER, None, *body, *span),
                SelectArm::Else { body, span } => (ELSE, None, *body, *span),
            };
            let loaded = self.loaded_mark();
            // The last one needs no test.
            let other = (position + 1 < arms.len())
                .then(|| self.f.emit_pair(place, Op::JNeI, pair, number as u16, 0));
            let arm_mark = self.f.top;
            if let Some(pat) = pat {
                self.bind_received(pat, pair.saturating_add(1));
            }
            self.count_line(self.ast.expr(body).span);
            self.expr(body, dest);
            self.f.top = arm_mark;
            self.forget_since(loaded);
            if let Some(other) = other {
                done.push(self.f.jump(place));
                self.f.patch(other);
            }
        }
        self.f.patch_all(&done);
        self.f.top = mark;
    }

    /// The value that came is the variable itself, or is taken apart.
    fn bind_received(&mut self, pat: PatId, value: u8) {
        match (&self.ast.pat(pat).kind, self.res.pat_binding(pat)) {
            (PatKind::Bind(_), Some(binding)) if !self.is_cell(binding) => {
                self.f.places.insert(binding, Place::Register(value));
            }
            _ => {
                self.declare_pattern(pat);
                self.destructure(pat, value, self.ast.pat(pat).span);
            }
        }
    }

    /// Evaluates in the order of the text what the arms wait for and calls `__select`; two new registers: which arm, and the value.
    fn select_call(&mut self, arms: &[SelectArm], span: Span) -> u8 {
        let ast = self.ast;
        let pair = self.f.alloc_run(2);
        self.call_prelude(span, "__select", Some(pair), |this| {
            let kinds: String = arms
                .iter()
                .filter_map(|arm| this.select_kind(arm))
                .collect();
            let has = |kind: fn(&SelectArm) -> bool| arms.iter().any(kind);
            let (kinds_slot, timeout) = (this.f.alloc(), this.f.alloc());
            this.load_const(span, kinds_slot, Const::Str(kinds.as_str().into()));
            if !has(|arm| matches!(arm, SelectArm::After { .. })) {
                this.emit(span, Op::LoadNil, timeout, 0, 0, 0);
            }
            let has_else = has(|arm| matches!(arm, SelectArm::Else { .. }));
            let slot = this.f.alloc();
            this.emit(span, Op::LoadBool, slot, u8::from(has_else), 0, 0);
            for arm in arms {
                match arm {
                    SelectArm::Op { op, .. } => {
                        let ExprKind::Call { callee, args } = &ast.expr(*op).kind else {
                            continue;
                        };
                        let ExprKind::Field { object, .. } = ast.expr(*callee).kind else {
                            continue;
                        };
                        let slot = this.f.alloc();
                        this.expr(object, Dest::Fresh(slot));
                        if args.is_empty() {
                            let slot = this.f.alloc();
                            this.emit(span, Op::LoadNil, slot, 0, 0, 0);
                        }
                        this.arguments_for_copying(args);
                    }
                    SelectArm::After { delay, .. } => this.expr(*delay, Dest::Fresh(timeout)),
                    SelectArm::Else { .. } => {}
                }
            }
        });
        self.emit(span, Op::Unpack, pair, pair, 2, 1);
        pair
    }

    /// The letter by which `__select` knows what an arm does.
    fn select_kind(&self, arm: &SelectArm) -> Option<char> {
        let SelectArm::Op { op, .. } = arm else {
            return None;
        };
        let ExprKind::Call { callee, args } = &self.ast.expr(*op).kind else {
            return None;
        };
        let ExprKind::Field { name, .. } = self.ast.expr(*callee).kind else {
            return None;
        };
        Some(match (self.ast.name(name.name), &args[..]) {
            ("recv", _) => 'r',
            ("join", _) => 'j',
            (_, [arg]) if self.copied(arg.value).is_some() => 'S',
            _ => 's',
        })
    }
}
