//! Control flow: blocks, conditionals, loops, `try`, `return` and the code that runs what was deferred.

use super::Generator;
use super::function::{Dest, Loop};
use crate::ast::*;
use heddle_bytecode::Op;

/// Registers of a generic loop's state.
const ITERATOR: usize = 3;

impl Generator<'_> {
    /// The closing brace of a block; of a module, its last character.
    fn end_of(&self, block: Span) -> Span {
        let text = &self.module.source[..block.end as usize];
        let last = text.chars().next_back().map_or(0, char::len_utf8) as u32;
        Span {
            start: (block.end - last).max(block.start),
            end: block.end,
        }
    }

    pub(super) fn block(&mut self, block: &Block, dest: Dest) {
        let mark = self.f.top;
        self.enter_block(&block.stmts);
        let (last, before) = match block.stmts.split_last() {
            Some((last, before)) => (Some(*last), before),
            None => (None, &[][..]),
        };
        for &stmt in before {
            self.stmt(stmt);
        }
        match last.map(|last| (last, &self.ast.stmt(last).kind)) {
            Some((last, StmtKind::Expr(value))) => {
                self.count_line(self.ast.stmt(last).span);
                self.expr(*value, dest);
            }
            Some((last, _)) => {
                self.stmt(last);
                self.nil(self.end_of(block.span), dest);
            }
            None => self.nil(block.span, dest),
        }
        self.f.top = mark;
    }

    pub(super) fn if_expr(
        &mut self,
        cond: ExprId,
        then: &Block,
        otherwise: Option<ExprId>,
        span: Span,
        dest: Dest,
    ) {
        if otherwise.is_none() && self.leaves_loop(cond, then, dest) {
            return;
        }
        let mut fails = Vec::new();
        let loaded = self.loaded_mark();
        self.condition(cond, false, &mut fails);
        self.block(then, dest);
        self.forget_since(loaded);
        if otherwise.is_none() && dest == Dest::Discard {
            self.f.patch_all(&fails);
            return;
        }
        let done = self.f.jump(span);
        self.f.patch_all(&fails);
        match otherwise {
            // Where the condition is known, nothing comes here.
            Some(otherwise) => self.expr(otherwise, dest),
            None => self.nil(span, dest),
        }
        self.f.patch(done);
        self.forget_since(loaded);
    }

    /// `if c { break }`, `if c { continue }`: the condition jumps there itself.
    fn leaves_loop(&mut self, cond: ExprId, then: &Block, dest: Dest) -> bool {
        let [only] = then.stmts[..] else { return false };
        let StmtKind::Expr(only) = self.ast.stmt(only).kind else {
            return false;
        };
        let Some(inner) = self.f.loops.last() else {
            return false;
        };
        if self.is_scope_in_loop() || self.lines.is_some() {
            return false;
        }
        let is_break = match self.ast.expr(only).kind {
            ExprKind::Break(None) if inner.iterator.is_none() && inner.dest == Dest::Discard => {
                true
            }
            ExprKind::Continue => false,
            _ => return false,
        };
        let mut jumps = Vec::new();
        self.condition(cond, true, &mut jumps);
        let inner = self.f.loops.last_mut().expect("looked at above");
        if is_break {
            inner.breaks.append(&mut jumps);
        } else {
            inner.continues.append(&mut jumps);
        }
        self.nil(self.ast.expr(only).span, dest);
        true
    }

    /// Closes what a loop iterates over, since it is left early. An error of that is thrown around the loop.
    fn close_loop(&mut self, span: Span, index: usize) {
        let here = self.f.here();
        let inner = &mut self.f.loops[index];
        if let Some(state) = inner.iterator {
            inner.left_at = Some(here);
            self.emit(span, Op::IterClose, state, 0, 0, 0);
        }
    }

    fn push_loop(&mut self, dest: Dest, iterator: Option<u8>) {
        self.f.loops.push(Loop {
            dest,
            breaks: Vec::new(),
            continues: Vec::new(),
            iterator,
            start: self.f.here(),
            left_at: None,
        });
    }

    pub(super) fn loop_expr(&mut self, body: &Block, span: Span, dest: Dest) {
        let mark = self.f.top;
        let has_constants = self.hoist_constants(body.span);
        self.push_loop(dest, None);
        let loaded = self.loaded_mark();
        let top = self.f.loop_top();
        self.block(body, Dest::Discard);
        let inner = self.f.loops.pop().expect("pushed above");
        self.f.patch_all(&inner.continues);
        self.f.emit_back(span, Op::Loop, 0, top);
        self.f.patch_all(&inner.breaks);
        self.leave_loop(mark, loaded, has_constants);
    }

    /// Behind a loop: what only it had in registers is gone.
    fn leave_loop(&mut self, mark: usize, loaded: usize, has_constants: bool) {
        if has_constants {
            self.drop_constants();
        }
        self.forget_since(loaded);
        self.f.top = mark;
    }

    pub(super) fn while_stmt(&mut self, cond: ExprId, body: &Block, span: Span) {
        let mark = self.f.top;
        let has_constants = self.hoist_constants(span);
        self.push_loop(Dest::Discard, None);
        let loaded = self.loaded_mark();
        let top = self.f.loop_top();
        let mut exits = Vec::new();
        self.condition(cond, false, &mut exits);
        self.block(body, Dest::Discard);
        let inner = self.f.loops.pop().expect("pushed above");
        self.f.patch_all(&inner.continues);
        self.f.emit_back(span, Op::Loop, 0, top);
        self.f.patch_all(&exits);
        self.f.patch_all(&inner.breaks);
        self.leave_loop(mark, loaded, has_constants);
    }

    pub(super) fn for_stmt(
        &mut self,
        pat: PatId,
        value_pat: Option<PatId>,
        iter: ExprId,
        body: &Block,
        span: Span,
    ) {
        let mark = self.f.top;
        let has_constants = self.hoist_constants(body.span);
        let loaded = self.loaded_mark();
        match (&self.ast.expr(iter).kind, value_pat) {
            (
                &ExprKind::Range {
                    start: Some(start),
                    end: Some(end),
                    inclusive,
                },
                None,
            ) => {
                self.counting_loop(pat, start, end, inclusive, body, span, iter);
            }
            _ => self.generic_loop(pat, value_pat, iter, body, span),
        }
        self.leave_loop(mark, loaded, has_constants);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one statement")]
    fn counting_loop(
        &mut self,
        pat: PatId,
        start: ExprId,
        end: ExprId,
        inclusive: bool,
        body: &Block,
        span: Span,
        iter: ExprId,
    ) {
        let range = self.ast.expr(iter).span;
        let counter = self.f.alloc();
        self.expr(start, Dest::Fresh(counter));
        let limit = self.f.alloc();
        self.expr(end, Dest::Fresh(limit));
        let skip = self.emit(range, Op::ForPrep, counter, u8::from(inclusive), 0, 0);
        self.push_loop(Dest::Discard, None);
        let top = self.f.loop_top();
        self.bind_in_place(pat, counter);
        self.block(body, Dest::Discard);
        let inner = self.f.loops.pop().expect("pushed above");
        self.f.patch_all(&inner.continues);
        self.f.emit_back(span, Op::ForLoop, counter, top);
        self.f.patch(skip);
        self.f.patch_all(&inner.breaks);
    }

    fn generic_loop(
        &mut self,
        pat: PatId,
        value_pat: Option<PatId>,
        iter: ExprId,
        body: &Block,
        span: Span,
    ) {
        let place = self.ast.expr(iter).span;
        let state = self.f.alloc();
        let source = match self.in_place(iter) {
            Some(register) => register,
            None => {
                self.expr(iter, Dest::Fresh(state));
                state
            }
        };
        self.f.alloc_run(ITERATOR - 1);
        self.emit(place, Op::IterNew, state, source, 0, 0);
        let item = self.f.alloc();
        let value = value_pat.map(|_| self.f.alloc());
        self.push_loop(Dest::Discard, Some(state));
        let top = self.f.loop_top();
        let op = if value_pat.is_some() {
            Op::ForNext2
        } else {
            Op::ForNext
        };
        let end = self.emit(place, op, state, item, 0, 0);
        let start = self.f.begin_protected();
        if let Some(inner) = self.f.loops.last_mut() {
            inner.start = start;
        }
        self.bind_in_place(pat, item);
        if let (Some(pat), Some(value)) = (value_pat, value) {
            self.bind_in_place(pat, value);
        }
        self.block(body, Dest::Discard);
        let inner = self.f.loops.pop().expect("pushed above");
        self.f.patch_all(&inner.continues);
        self.f.emit_back(span, Op::Loop, 0, top);
        let stop = self.f.here();
        if start < stop {
            // An error leaves the loop early: the generator's own defers run first.
            self.f.protect_loop(start, stop, stop, item);
            self.f.is_reachable = true;
            self.emit(span, Op::IterClose, state, 0, 0, 0);
            self.emit(span, Op::Rethrow, item, 0, 0, 0);
            self.f.end_handler(stop);
        }
        self.f.patch(end);
        self.f.patch_all(&inner.breaks);
    }

    pub(super) fn break_expr(&mut self, value: Option<ExprId>, span: Span) {
        let Some(dest) = self.f.loops.last().map(|inner| inner.dest) else {
            return;
        };
        match value {
            Some(value) => self.expr(value, dest),
            None => self.nil(span, dest),
        }
        self.leave_scopes_in_loop(span);
        self.close_loop(span, self.f.loops.len() - 1);
        let jump = self.f.jump(span);
        self.f.resume_scopes();
        let inner = self.f.loops.last_mut().expect("looked at above");
        inner.breaks.push(jump);
    }

    pub(super) fn continue_expr(&mut self, span: Span) {
        self.leave_scopes_in_loop(span);
        let jump = self.f.jump(span);
        self.f.resume_scopes();
        if let Some(inner) = self.f.loops.last_mut() {
            inner.continues.push(jump);
        }
    }

    pub(super) fn return_expr(&mut self, value: Option<ExprId>, span: Span) {
        match value {
            Some(value) => self.expr(value, Dest::Return),
            None => self.emit_return(span, None),
        }
    }

    /// Leaves the function with the value of a register, or nil: closes loops and scopes and runs what was deferred first.
    pub(super) fn emit_return(&mut self, span: Span, value: Option<u8>) {
        let Some(result) = self.f.defers.as_ref().map(|defers| defers.result) else {
            self.leave_loops_and_scopes(span, value);
            self.finish_return(span, value);
            self.f.resume_scopes();
            return;
        };
        match value {
            Some(value) => self.move_to(span, result, value),
            None => {
                self.emit(span, Op::LoadNil, result, 0, 0, 0);
            }
        }
        self.leave_loops_and_scopes(span, None);
        let exit = self.f.jump(span);
        self.f.resume_scopes();
        if let Some(defers) = &mut self.f.defers {
            defers.exits.push(exit);
        }
    }

    /// Closes what is around a `return`, from the inside out. `value` stays where it is.
    fn leave_loops_and_scopes(&mut self, span: Span, value: Option<u8>) {
        let mark = self.f.top;
        if let Some(value) = value {
            self.f.top = mark.max(usize::from(value) + 1);
        }
        let mut scopes = self.f.scopes.len();
        for index in (0..self.f.loops.len()).rev() {
            scopes = self.leave_scopes(span, scopes, index + 1);
            self.close_loop(span, index);
        }
        self.leave_scopes(span, scopes, 0);
        self.f.top = mark;
    }

    fn finish_return(&mut self, span: Span, value: Option<u8>) {
        match value {
            _ if self.f.is_gen => self.emit(span, Op::GenReturn, 0, 0, 0, 0),
            Some(value) => self.emit(span, Op::Return, value, 0, 0, 0),
            None => self.emit(span, Op::ReturnNil, 0, 0, 0, 0),
        };
    }

    /// At the start of a function that contains `defer`.
    pub(super) fn begin_defers(&mut self, span: Span) {
        let list = self.f.alloc();
        let result = self.f.alloc();
        self.emit(span, Op::LoadNil, list, 1, 0, 0);
        let start = self.f.begin_protected();
        self.f.defers = Some(super::function::Defers {
            list,
            result,
            exits: Vec::new(),
            start,
        });
    }

    /// At the end of such a function: runs what was deferred, last first, after a return and after an error.
    /// An error thrown meanwhile takes the place of what was under way; the rest still runs.
    pub(super) fn end_defers(&mut self, span: Span) {
        let Some(defers) = self.f.defers.take() else {
            return;
        };
        let (list, result) = (defers.list, defers.result);
        let end = self.f.here();
        self.f.patch_all(&defers.exits);
        let (body_end, after_return) = self.run_defers(span, list);
        self.f.patch(after_return);
        self.finish_return(span, Some(result));
        if defers.start < end {
            self.f.is_reachable = true;
            let handler = self.f.here();
            self.f
                .protect(defers.start, body_end, handler, result, true);
            let (handler_end, after_error) = self.run_defers(span, list);
            self.f.patch(after_error);
            self.emit(span, Op::Rethrow, result, 0, 0, 0);
            self.f.protect(handler, handler_end, handler, result, true);
            self.f.end_handler(handler);
        }
    }

    /// Pops and calls until none is left. Gives the end of the code and the jump taken then.
    fn run_defers(&mut self, span: Span, list: u8) -> (usize, usize) {
        let mark = self.f.top;
        let window = self.f.alloc_run(2);
        let top = self.f.here();
        let done = self.emit(span, Op::DeferPop, list, window, 0, 0);
        self.emit(span, Op::Call, window, window, 0, 0);
        self.f.emit_back(span, Op::Loop, 0, top);
        self.f.top = mark;
        (self.f.here(), done)
    }

    pub(super) fn try_expr(&mut self, body: &Block, catches: &[CatchArm], span: Span, dest: Dest) {
        let mark = self.f.top;
        let loaded = self.loaded_mark();
        let start = self.f.begin_protected();
        self.block(body, dest);
        self.forget_since(loaded);
        let end = self.f.here();
        let mut done = vec![self.f.jump(span)];
        let caught = self.f.alloc();
        let handler = self.f.here();
        self.f.protect(start, end, handler, caught, false);
        self.f.is_reachable = start < end;
        let mut is_exhaustive = false;
        for catch in catches {
            if is_exhaustive {
                self.f.is_reachable = false;
            }
            if let Some(name) = catch.binding
                && let Some(&binding) = self.res.declared_at.get(&(name.span.start, name.name))
            {
                self.f
                    .places
                    .insert(binding, super::function::Place::Register(caught));
            }
            let mut fails = Vec::new();
            match catch.guard {
                Some(guard) => self.condition(guard, false, &mut fails),
                None => is_exhaustive = true,
            }
            self.block(&catch.body, dest);
            self.forget_since(loaded);
            done.push(self.f.jump(span));
            self.f.patch_all(&fails);
        }
        if !is_exhaustive {
            self.emit(span, Op::Rethrow, caught, 0, 0, 0);
        }
        self.f.end_handler(handler);
        self.f.patch_all(&done);
        self.f.top = mark;
    }
}
