//! Conditions: truth as control flow, fused into compare-and-jump instructions.

use super::Generator;
use super::function::{Dest, Jumps};
use crate::ast::*;
use crate::resolve::{Literal, Target};
use heddle_bytecode::{Const, Op, TypeShape};

impl Generator<'_> {
    /// Jumps (collected in `jumps`) if the truth of the expression is `sense`, else goes on.
    pub(super) fn condition(&mut self, id: ExprId, sense: bool, jumps: &mut Jumps) {
        crate::stack::with_stack(|| {
            let mark = self.f.top;
            self.condition_inner(id, sense, jumps);
            self.f.top = mark;
        });
    }

    fn condition_inner(&mut self, id: ExprId, sense: bool, jumps: &mut Jumps) {
        let ast = self.ast;
        let expr = ast.expr(id);
        let span = expr.span;
        self.count_operation(id);
        match &expr.kind {
            ExprKind::Bool(value) => self.constant_condition(*value == sense, span, jumps),
            ExprKind::Nil => self.constant_condition(!sense, span, jumps),
            ExprKind::Unary {
                op: UnaryOp::Not,
                operand,
            } => self.condition(*operand, !sense, jumps),
            ExprKind::Binary {
                op: op @ (BinaryOp::And | BinaryOp::Or),
                left,
                right,
                ..
            } => {
                // `and` is decided by a false operand, `or` by a true one.
                let decides = *op == BinaryOp::Or;
                if sense == decides {
                    // Who goes on has evaluated both; who jumps, perhaps only the left side.
                    self.condition(*left, sense, jumps);
                    self.condition(*right, sense, jumps);
                } else {
                    let mut skip = Vec::new();
                    let loaded = self.loaded_mark();
                    self.condition(*left, decides, &mut skip);
                    self.condition(*right, sense, jumps);
                    self.f.patch_all(&skip);
                    self.forget_since(loaded);
                }
            }
            ExprKind::Binary {
                op, left, right, ..
            } if is_comparison(*op) => {
                self.comparison(*op, *left, *right, sense, span, jumps);
            }
            ExprKind::Binary {
                op: op @ (BinaryOp::In | BinaryOp::NotIn),
                left,
                right,
                ..
            } => {
                let later = ast.expr(*right).span;
                let a = self.operand_before(*left, later);
                let b = self.operand(*right);
                let dst = self.f.alloc();
                self.emit(span, Op::In, dst, a, b, 0);
                let sense = sense == (*op == BinaryOp::In);
                self.test(dst, sense, span, jumps);
            }
            ExprKind::Is { value, ty, negated } => {
                self.is_condition(*value, *ty, sense != *negated, span, jumps);
            }
            _ => {
                let value = self.operand(id);
                self.test(value, sense, span, jumps);
            }
        }
    }

    fn constant_condition(&mut self, jumps_always: bool, span: Span, jumps: &mut Jumps) {
        if jumps_always {
            let jump = self.f.jump(span);
            jumps.push(jump);
        }
    }

    fn test(&mut self, value: u8, sense: bool, span: Span, jumps: &mut Jumps) {
        let op = if sense { Op::JumpIf } else { Op::JumpIfNot };
        let jump = self.emit(span, op, value, 0, 0, 0);
        jumps.push(jump);
    }

    fn comparison(
        &mut self,
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
        sense: bool,
        span: Span,
        jumps: &mut Jumps,
    ) {
        if matches!(op, BinaryOp::Eq | BinaryOp::Ne) {
            let nil_op = if sense == (op == BinaryOp::Eq) {
                Op::JumpIfNil
            } else {
                Op::JumpIfNotNil
            };
            for (nil, other) in [(left, right), (right, left)] {
                if matches!(self.ast.expr(nil).kind, ExprKind::Nil) {
                    let value = self.operand(other);
                    jumps.push(self.emit(span, nil_op, value, 0, 0, 0));
                    return;
                }
            }
        }
        // A small number on one side: the form with an immediate, mirrored if it stands on the left.
        for (op, value, number) in [(op, left, right), (mirrored(op), right, left)] {
            if let Some(number) = self.small_number(number)
                && self.small_number(value).is_none()
            {
                let value = self.operand(value);
                jumps.push(self.f.emit_pair(
                    span,
                    immediate_jump(op, sense),
                    value,
                    number as u16,
                    0,
                ));
                return;
            }
        }
        let later = self.ast.expr(right).span;
        let a = self.operand_before(left, later);
        let b = self.operand(right);
        jumps.push(self.compare_jump(op, a, b, sense, span));
    }

    pub(super) fn compare_jump(
        &mut self,
        op: BinaryOp,
        a: u8,
        b: u8,
        sense: bool,
        span: Span,
    ) -> usize {
        let (op, a, b) = match (op, sense) {
            (BinaryOp::Lt, true) => (Op::JLt, a, b),
            (BinaryOp::Lt, false) => (Op::JNLt, a, b),
            (BinaryOp::Le, true) => (Op::JLe, a, b),
            (BinaryOp::Le, false) => (Op::JNLe, a, b),
            (BinaryOp::Gt, true) => (Op::JLt, b, a),
            (BinaryOp::Gt, false) => (Op::JNLt, b, a),
            (BinaryOp::Ge, true) => (Op::JLe, b, a),
            (BinaryOp::Ge, false) => (Op::JNLe, b, a),
            (BinaryOp::Eq, true) | (BinaryOp::Ne, false) => (Op::JEq, a, b),
            _ => (Op::JNe, a, b),
        };
        self.emit(span, op, a, b, 0, 0)
    }

    /// A number that an instruction can hold: `x > 4.0` is `x > 4`.
    pub(super) fn small_number(&self, id: ExprId) -> Option<i16> {
        i16::try_from(self.known_int(id)?).ok()
    }

    fn is_condition(
        &mut self,
        value: ExprId,
        ty: ExprId,
        sense: bool,
        span: Span,
        jumps: &mut Jumps,
    ) {
        if matches!(self.ast.expr(ty).kind, ExprKind::Nil) {
            let value = self.operand(value);
            let op = if sense {
                Op::JumpIfNil
            } else {
                Op::JumpIfNotNil
            };
            jumps.push(self.emit(span, op, value, 0, 0, 0));
            return;
        }
        if let Some(constant) = self.tested_type(ty) {
            let value = self.operand(value);
            let constant = self.f.constant16(constant);
            let other = self.f.emit_pair(span, Op::JNotType, value, constant, 0);
            if sense {
                jumps.push(self.f.jump(span));
                self.f.patch(other);
            } else {
                jumps.push(other);
            }
            return;
        }
        let dst = self.f.alloc();
        self.is_value(value, ty, span, dst);
        self.test(dst, sense, span, jumps);
    }

    /// The type behind `is` as a constant, if it is certain to be a type whose instances `JNotType` knows.
    fn tested_type(&self, path: ExprId) -> Option<Const> {
        if let Some(index) = self.instance_type(path) {
            return Some(Const::Type(index));
        }
        let ExprKind::Name(name) = self.ast.expr(path).kind else {
            return None;
        };
        let text = self.ast.name(name);
        let is_builtin = self.res.target(path) == Target::Prelude
            && ["int", "float", "string", "bool", "list", "tuple", "map"].contains(&text);
        is_builtin.then(|| Const::Prelude(text.into()))
    }

    /// The type of this module that a path names, if `JNotType` knows its kind.
    pub(super) fn instance_type(&self, path: ExprId) -> Option<u32> {
        let index = self.res.static_type(self.ast, path)?;
        (self.res.type_info(index).shape != TypeShape::Trait).then_some(index)
    }

    fn is_value(&mut self, value: ExprId, ty: ExprId, span: Span, dst: u8) {
        let later = self.ast.expr(ty).span;
        let value = self.operand_before(value, later);
        let ty = self.operand(ty);
        self.emit(span, Op::Is, dst, value, ty, 0);
    }

    /// Whether a condition on the expression is cheaper than its value, and its value is a bool.
    pub(super) fn is_test(&self, id: ExprId) -> bool {
        match &self.ast.expr(id).kind {
            ExprKind::Unary { op, .. } => *op == UnaryOp::Not,
            ExprKind::Is { .. } => true,
            ExprKind::Binary { op, .. } => {
                is_comparison(*op) || matches!(op, BinaryOp::In | BinaryOp::NotIn)
            }
            _ => false,
        }
    }

    /// `not x`, `x is T`, `x not in y` as a value.
    pub(super) fn truth(&mut self, id: ExprId, dest: Dest) {
        let ast = self.ast;
        let span = ast.expr(id).span;
        match &ast.expr(id).kind {
            ExprKind::Unary { operand, .. }
                if !matches!(
                    ast.expr(*operand).kind,
                    ExprKind::Is { .. } | ExprKind::Binary { .. }
                ) =>
            {
                self.produce(span, dest, |this, dst| {
                    let value = this.operand(*operand);
                    this.emit(span, Op::Not, dst, value, 0, 0);
                });
            }
            ExprKind::Is { value, ty, negated }
                if self.tested_type(*ty).is_none()
                    && !matches!(ast.expr(*ty).kind, ExprKind::Nil) =>
            {
                self.produce(span, dest, |this, dst| {
                    this.is_value(*value, *ty, span, dst);
                    if *negated {
                        this.emit(span, Op::Not, dst, dst, 0, 0);
                    }
                });
            }
            ExprKind::Binary {
                op: BinaryOp::NotIn,
                left,
                right,
                ..
            } => {
                self.produce(span, dest, |this, dst| {
                    let a = this.operand_before(*left, ast.expr(*right).span);
                    let b = this.operand(*right);
                    this.emit(span, Op::In, dst, a, b, 0);
                    this.emit(span, Op::Not, dst, dst, 0, 0);
                });
            }
            _ => self.produce(span, dest, |this, dst| {
                let mut fails = Vec::new();
                let loaded = this.loaded_mark();
                this.condition(id, false, &mut fails);
                this.emit(span, Op::LoadBool, dst, 1, 0, 0);
                let done = this.f.jump(span);
                this.f.patch_all(&fails);
                this.emit(span, Op::LoadBool, dst, 0, 0, 0);
                this.f.patch(done);
                this.forget_since(loaded);
            }),
        }
    }

    /// Jumps if a value equals a literal (`sense`) or does not.
    pub(super) fn literal_jump(
        &mut self,
        value: u8,
        literal: ExprId,
        sense: bool,
        jumps: &mut Jumps,
    ) {
        let ast = self.ast;
        let span = ast.expr(literal).span;
        if let Some(number) = self.small_number(literal) {
            let op = immediate_jump(BinaryOp::Eq, sense);
            jumps.push(self.f.emit_pair(span, op, value, number as u16, 0));
        } else if matches!(ast.expr(literal).kind, ExprKind::Nil) {
            let op = if sense {
                Op::JumpIfNil
            } else {
                Op::JumpIfNotNil
            };
            jumps.push(self.emit(span, op, value, 0, 0, 0));
        } else {
            let mark = self.f.top;
            let other = self.operand(literal);
            jumps.push(self.compare_jump(BinaryOp::Eq, value, other, sense, span));
            self.f.top = mark;
        }
    }

    /// The int that an expression is known to be.
    pub(super) fn known_int(&self, id: ExprId) -> Option<i64> {
        match self.res.folded.get(&id) {
            Some(&Literal::Int(value)) => Some(value),
            _ => None,
        }
    }
}

pub(super) fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Lt | BinaryOp::Le | BinaryOp::Gt | BinaryOp::Ge
    )
}

/// The comparison with its sides exchanged.
fn mirrored(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::Le => BinaryOp::Ge,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::Ge => BinaryOp::Le,
        other => other,
    }
}

fn immediate_jump(op: BinaryOp, sense: bool) -> Op {
    match (op, sense) {
        (BinaryOp::Lt, true) => Op::JLtI,
        (BinaryOp::Lt, false) => Op::JNLtI,
        (BinaryOp::Le, true) => Op::JLeI,
        (BinaryOp::Le, false) => Op::JNLeI,
        (BinaryOp::Gt, true) => Op::JGtI,
        (BinaryOp::Gt, false) => Op::JNGtI,
        (BinaryOp::Ge, true) => Op::JGeI,
        (BinaryOp::Ge, false) => Op::JNGeI,
        (BinaryOp::Eq, true) | (BinaryOp::Ne, false) => Op::JEqI,
        _ => Op::JNeI,
    }
}
