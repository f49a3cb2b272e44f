//! What loops and repeated uses need not load again: constants get registers before the outermost loop, globals keep theirs
//! where an earlier load has certainly been passed.
//!
//! A global that is set never changes, so a register that got its value stays right for the rest of the function. Whether it
//! *has* been loaded depends on the way that control took: `Function::loaded` holds what every way to the current place has
//! loaded, and whoever compiles code that may be skipped restores it afterwards.

use crate::ids::IdMap;

use super::Generator;
use super::condition::is_comparison;
use super::function::Place;
use crate::ast::*;
use crate::resolve::{BindingId, Literal, MODULE_BODY, Resolution, Target};
use heddle_bytecode::{Const, Op};

/// Registers that a function may spend on each of both.
const MAX_HOISTED: usize = 12;

/// Functions that use more are not given any for this.
const FEW_REGISTERS: usize = 150;

/// A constant by value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Constant {
    Nil,
    Bool(bool),
    Int(i64),
    Float(u64),
    Duration(i64),
    Str(Box<str>),
}

/// Places in the tree that hoisting asks for, made once.
pub(super) struct Places {
    /// Literals that stand where an instruction wants a register, by place.
    literals: Vec<(u32, ExprId)>,
    /// Functions by place: their code runs elsewhere.
    functions: Vec<Span>,
    /// Names of module globals by place.
    names: Vec<(u32, BindingId)>,
}

impl Places {
    pub(super) fn new(ast: &Ast, res: &Resolution) -> Places {
        let mut literals = Vec::new();
        let mut add = |id: ExprId| literals.push((ast.expr(id).span.start, id));
        for expr in &ast.exprs {
            match &expr.kind {
                ExprKind::Binary {
                    op, left, right, ..
                } => {
                    let (a, b) = (res.folded.get(left), res.folded.get(right));
                    if !has_form_for_left(*op, a) {
                        add(*left);
                    }
                    if !has_form_for_right(*op, b) {
                        add(*right);
                    }
                }
                ExprKind::Index { index, .. } => add(*index),
                _ => {}
            }
        }
        for stmt in &ast.stmts {
            let StmtKind::Assign {
                target, op, value, ..
            } = &stmt.kind
            else {
                continue;
            };
            match (&ast.expr(*target).kind, op) {
                (_, Some(op)) if !has_form_for_right(*op, res.folded.get(value)) => add(*value),
                (ExprKind::Index { .. } | ExprKind::Field { .. }, None) => add(*value),
                _ => {}
            }
        }
        for pat in &ast.pats {
            if let PatKind::Literal(value) = pat.kind {
                add(value);
            }
        }
        literals.sort_unstable();
        literals.dedup();
        let mut functions: Vec<Span> = ast.fns.iter().map(|func| func.span).collect();
        functions.sort_unstable_by_key(|span| span.start);
        let mut names: Vec<(u32, BindingId)> = ast
            .exprs
            .iter()
            .zip(&res.targets)
            .filter_map(|(expr, target)| match target {
                Target::Binding(id) if res.binding(*id).is_root => Some((expr.span.start, *id)),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        Places {
            literals,
            functions,
            names,
        }
    }
}

fn within<T: Copy>(places: &[(u32, T)], span: Span) -> impl Iterator<Item = (u32, T)> + '_ {
    let first = places.partition_point(|&(at, _)| at < span.start);
    places[first..]
        .iter()
        .copied()
        .take_while(move |&(at, _)| at < span.end)
}

/// Comparisons with small ints have immediates. A float that is whole is none of them: a struct's own `==` or `<` gets what was written.
fn is_compared_small(op: BinaryOp, literal: Option<&Literal>) -> bool {
    is_comparison(op)
        && matches!(literal, Some(&Literal::Int(value)) if i16::try_from(value).is_ok())
}

fn has_form_for_left(op: BinaryOp, literal: Option<&Literal>) -> bool {
    matches!(
        (op, literal),
        (
            BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div,
            Some(Literal::Float(_))
        )
    ) || is_compared_small(op, literal)
}

fn has_form_for_right(op: BinaryOp, literal: Option<&Literal>) -> bool {
    match (op, literal) {
        (
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div,
            Some(Literal::Float(_)),
        ) => true,
        (
            BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::FloorDiv
            | BinaryOp::Mod,
            Some(&Literal::Int(value)),
        ) => i32::try_from(value).is_ok() && value > 0,
        _ => is_compared_small(op, literal),
    }
}

impl Generator<'_> {
    /// The constant that an expression is, if it is one that a register may keep.
    fn constant_value(&self, id: ExprId) -> Option<Constant> {
        match self.res.folded.get(&id) {
            Some(&Literal::Int(value)) => return Some(Constant::Int(value)),
            Some(&Literal::Float(value)) => return Some(Constant::Float(value.to_bits())),
            None => {}
        }
        match &self.ast.expr(id).kind {
            ExprKind::Nil => Some(Constant::Nil),
            ExprKind::Bool(value) => Some(Constant::Bool(*value)),
            ExprKind::Duration(nanos) => Some(Constant::Duration(*nanos)),
            ExprKind::Str(text) => Some(Constant::Str(text.clone())),
            _ => None,
        }
    }

    /// The register in which a constant lies already.
    pub(super) fn hoisted_constant(&self, id: ExprId) -> Option<u8> {
        if self.f.constants.is_empty() {
            return None;
        }
        self.f.constants.get(&self.constant_value(id)?).copied()
    }

    /// Before the outermost loop of a function: registers for the constants that its code will want in registers.
    /// Returns whether there are any, for `drop_constants`.
    pub(super) fn hoist_constants(&mut self, span: Span) -> bool {
        let is_outermost = self.f.loops.is_empty() && self.f.constants.is_empty();
        if !is_outermost || !self.f.is_reachable || self.f.top > FEW_REGISTERS {
            return false;
        }
        let inner: Vec<Span> = {
            let functions = &self.places_in_tree.functions;
            let first = functions.partition_point(|function| function.start < span.start);
            functions[first..]
                .iter()
                .copied()
                .take_while(|function| function.start < span.end)
                .collect()
        };
        if inner.len() > 64 {
            return false;
        }
        let mut found: Vec<(Constant, Span)> = Vec::new();
        for (at, id) in within(&self.places_in_tree.literals, span) {
            let runs_elsewhere = inner
                .iter()
                .any(|function| (function.start..function.end).contains(&at));
            if runs_elsewhere || self.register_of(id).is_some() {
                continue;
            }
            if let Some(constant) = self.constant_value(id)
                && found.iter().all(|(known, _)| *known != constant)
                && found.len() < MAX_HOISTED
            {
                found.push((constant, self.ast.expr(id).span));
            }
        }
        for (constant, span) in &found {
            let register = self.f.alloc();
            match constant {
                Constant::Nil => {
                    self.emit(*span, Op::LoadNil, register, 0, 0, 0);
                }
                Constant::Bool(value) => {
                    self.emit(*span, Op::LoadBool, register, u8::from(*value), 0, 0);
                }
                Constant::Int(value) => self.load_literal(Literal::Int(*value), *span, register),
                Constant::Float(bits) => {
                    self.load_literal(Literal::Float(f64::from_bits(*bits)), *span, register);
                }
                Constant::Duration(nanos) => {
                    self.load_const(*span, register, Const::Duration(*nanos))
                }
                Constant::Str(text) => self.load_const(*span, register, Const::Str(text.clone())),
            }
            self.f.constants.insert(constant.clone(), register);
        }
        !found.is_empty()
    }

    /// Behind the loop. The caller gives the registers back.
    pub(super) fn drop_constants(&mut self) {
        self.f.constants.clear();
    }

    /// At the start of a function: registers for the globals that it names more than once.
    pub(super) fn reserve_globals(&mut self, span: Span) {
        if self.f.owner == MODULE_BODY
            || self.f.top > FEW_REGISTERS
            || self.options.repl_scope.is_some()
        {
            return;
        }
        let mut uses: IdMap<BindingId, (u32, usize)> = IdMap::default();
        for (at, id) in within(&self.places_in_tree.names, span) {
            if matches!(self.root_places.get(&id), Some(Place::Global(_))) {
                uses.entry(id).or_insert((at, 0)).1 += 1;
            }
        }
        let mut repeated: Vec<(u32, BindingId)> = uses
            .into_iter()
            .filter(|(_, (_, count))| *count > 1)
            .map(|(id, (at, _))| (at, id))
            .collect();
        repeated.sort_unstable();
        for (_, id) in repeated.into_iter().take(MAX_HOISTED) {
            let register = self.f.alloc();
            self.f.reserved.insert(id, register);
        }
    }

    /// Loads a global into the register reserved for it, if there is one; from here on it lies there.
    pub(super) fn load_reserved(&mut self, id: BindingId, span: Span) -> Option<u8> {
        let register = *self.f.reserved.get(&id)?;
        if !self.f.loaded.contains(&id) {
            let Some(&Place::Global(index)) = self.root_places.get(&id) else {
                return None;
            };
            self.emit(span, Op::GetGlobal, register, 0, 0, index as i32);
            self.f.loaded.push(id);
        }
        Some(register)
    }

    /// What is certainly loaded here; to be restored with `forget_since` behind code that may be skipped.
    pub(super) fn loaded_mark(&self) -> usize {
        self.f.loaded.len()
    }

    pub(super) fn forget_since(&mut self, mark: usize) {
        self.f.loaded.truncate(mark);
    }
}
