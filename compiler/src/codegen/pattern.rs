//! Patterns: destructuring in declarations and loops, and the tests of `match`.

use super::Generator;
use super::function::{Dest, Jumps, Place};
use crate::ast::*;
use crate::resolve::{BindingId, BindingKind, Family, Target};
use heddle_bytecode::{Const, ERROR_FIELDS, ERROR_KINDS, Op};

/// So many of the fields that every error has the constructors of built-in kinds take: not the trace.
const BUILT_IN_FIELDS: usize = ERROR_FIELDS.len() - 1;

/// `JNotKind`: what it asks for.
const TUPLE: u8 = 0;
const LIST: u8 = 1;
const MAP: u8 = 2;

impl Generator<'_> {
    pub(super) fn match_expr(
        &mut self,
        subject: ExprId,
        arms: &[MatchArm],
        span: Span,
        dest: Dest,
    ) {
        let mark = self.f.top;
        let whole = arms.iter().fold(span, |whole, arm| whole.to(arm.span));
        let subject_register = self.operand_before(subject, whole);
        let mut done = Vec::new();
        let mut is_exhaustive = false;
        for arm in arms {
            let arm_mark = self.f.top;
            let loaded = self.loaded_mark();
            let mut fails = Vec::new();
            match (&self.ast.pat(arm.pat).kind, self.res.pat_binding(arm.pat)) {
                // The subject itself is the variable: it does not change meanwhile.
                (PatKind::Bind(_), Some(binding)) if !self.is_cell(binding) => {
                    self.f
                        .places
                        .insert(binding, Place::Register(subject_register));
                }
                _ => {
                    self.declare_pattern(arm.pat);
                    self.pattern(arm.pat, subject_register, &mut fails);
                }
            }
            if let Some(guard) = arm.guard {
                self.condition(guard, false, &mut fails);
            }
            self.count_line(self.ast.expr(arm.body).span);
            self.expr(arm.body, dest);
            is_exhaustive |= fails.is_empty();
            done.push(self.f.jump(arm.span));
            self.f.patch_all(&fails);
            self.f.top = arm_mark;
            self.forget_since(loaded);
        }
        if !is_exhaustive {
            let place = self.ast.expr(subject).span;
            self.emit(place, Op::MatchFail, subject_register, 0, 0, 0);
        }
        self.f.patch_all(&done);
        self.f.top = mark;
    }

    /// The variables that a pattern binds, each once.
    pub(super) fn pattern_bindings(&self, pat: PatId) -> Vec<BindingId> {
        let mut bindings = Vec::new();
        self.collect_bindings(pat, &mut bindings);
        bindings
    }

    fn collect_bindings(&self, pat: PatId, bindings: &mut Vec<BindingId>) {
        let pattern = self.ast.pat(pat);
        match &pattern.kind {
            PatKind::Bind(_) => bindings.extend(self.res.pat_binding(pat)),
            PatKind::Tuple(list) | PatKind::List(list) => {
                for &part in &list.before {
                    self.collect_bindings(part, bindings);
                }
                bindings.extend(self.rest_binding(list));
                for &part in &list.after {
                    self.collect_bindings(part, bindings);
                }
            }
            PatKind::Map(entries) => {
                for (_, part) in entries {
                    self.collect_bindings(*part, bindings);
                }
            }
            PatKind::Struct { parts, .. } => {
                for (_, part) in parts {
                    self.collect_bindings(*part, bindings);
                }
            }
            PatKind::Or(alternatives) => {
                if let Some(&first) = alternatives.first() {
                    self.collect_bindings(first, bindings);
                }
            }
            _ => {}
        }
    }

    fn rest_binding(&self, list: &ListPat) -> Option<BindingId> {
        let name = list.rest?.name?;
        self.res
            .declared_at
            .get(&(name.span.start, name.name))
            .copied()
    }

    /// Takes the registers of a pattern's variables.
    pub(super) fn declare_pattern(&mut self, pat: PatId) {
        for binding in self.pattern_bindings(pat) {
            let register = self.declare_variable(binding);
            if !self.owns_register(binding, register) {
                // A global, a variable of the module or an early cell: its values are made in temporaries.
                self.f.top -= 1;
            }
        }
    }

    /// A value that lies in a register of its own is bound there if the pattern is a name.
    pub(super) fn bind_in_place(&mut self, pat: PatId, register: u8) {
        let span = self.ast.pat(pat).span;
        match (&self.ast.pat(pat).kind, self.res.pat_binding(pat)) {
            (PatKind::Bind(_), Some(binding)) => {
                self.f.places.insert(binding, Place::Register(register));
            }
            (PatKind::Wildcard, _) => {}
            _ => {
                self.declare_pattern(pat);
                self.destructure(pat, register, span);
            }
        }
    }

    /// Binds a pattern that must match: an error otherwise.
    pub(super) fn destructure(&mut self, pat: PatId, source: u8, span: Span) {
        let ast = self.ast;
        if let PatKind::Tuple(list) | PatKind::List(list) = &ast.pat(pat).kind
            && list.rest.is_none()
            && list.before.len() <= 100
        {
            // What `Unpack` insists on: a tuple, or a list.
            let kind = 1 + i32::from(matches!(ast.pat(pat).kind, PatKind::List(_)));
            return self.unpack_pattern(list, source, kind, span);
        }
        let mut fails = Vec::new();
        self.pattern(pat, source, &mut fails);
        if !fails.is_empty() {
            let done = self.f.jump(span);
            self.f.patch_all(&fails);
            self.emit(span, Op::MatchFail, source, 0, 0, 0);
            self.f.patch(done);
        }
    }

    fn unpack_pattern(&mut self, list: &ListPat, source: u8, kind: i32, span: Span) {
        let count = list.before.len();
        let mut registers = list
            .before
            .iter()
            .map(|&part| match self.ast.pat(part).kind {
                PatKind::Bind(_) => match self.f.places.get(&self.res.pat_binding(part)?) {
                    Some(&Place::Register(register)) if self.is_only_register(part) => {
                        Some(register)
                    }
                    _ => None,
                },
                _ => None,
            });
        if let Some(Some(first)) = registers.next()
            && registers.enumerate().all(|(index, register)| {
                register
                    .is_some_and(|register| usize::from(register) == usize::from(first) + index + 1)
            })
        {
            self.emit(span, Op::Unpack, source, first, count as u8, kind);
            return;
        }
        let mark = self.f.top;
        let first = self.f.alloc_run(count);
        let first = if count == 0 { source } else { first };
        self.emit(span, Op::Unpack, source, first, count as u8, kind);
        for (index, &part) in list.before.iter().enumerate() {
            let value = first.saturating_add(index as u8);
            match self.ast.pat(part).kind {
                PatKind::Bind(_) | PatKind::Wildcard => {
                    let mut none = Vec::new();
                    self.pattern(part, value, &mut none);
                }
                _ => self.destructure(part, value, self.ast.pat(part).span),
            }
        }
        self.f.top = mark;
    }

    /// The variable is nothing but its register: no global besides.
    fn is_only_register(&self, pat: PatId) -> bool {
        self.res
            .pat_binding(pat)
            .is_some_and(|binding| !self.root_places.contains_key(&binding))
    }

    /// Tests a value and binds its parts; jumps (collected in `fails`) if it does not match.
    fn pattern(&mut self, pat: PatId, value: u8, fails: &mut Jumps) {
        crate::stack::with_stack(|| {
            let mark = self.f.top;
            self.pattern_inner(pat, value, fails);
            self.f.top = mark;
        });
    }

    fn pattern_inner(&mut self, pat: PatId, value: u8, fails: &mut Jumps) {
        let ast = self.ast;
        let pattern = ast.pat(pat);
        let span = pattern.span;
        match &pattern.kind {
            PatKind::Wildcard | PatKind::Error => {}
            PatKind::Bind(_) => {
                if let Some(binding) = self.res.pat_binding(pat) {
                    self.bind_copy(binding, span, |this, dst| this.move_to(span, dst, value));
                }
            }
            PatKind::Literal(literal) => self.literal_jump(value, *literal, false, fails),
            PatKind::Range {
                start,
                end,
                inclusive,
            } => {
                self.range_pattern(value, *start, *end, *inclusive, span, fails);
            }
            PatKind::Path(path) => self.path_pattern(value, *path, span, fails),
            PatKind::Tuple(list) => self.list_pattern(list, TUPLE, value, span, fails),
            PatKind::List(list) => self.list_pattern(list, LIST, value, span, fails),
            PatKind::Map(entries) => {
                fails.push(self.emit(span, Op::JNotKind, value, MAP, 0, 0));
                for (key, part) in entries {
                    self.map_entry(key, *part, value, fails);
                }
            }
            PatKind::Struct {
                path,
                parts,
                has_rest,
            } => {
                self.struct_pattern(*path, parts, *has_rest, value, span, fails);
            }
            PatKind::Or(alternatives) => self.alternatives(alternatives, value, span, fails),
        }
    }

    /// Makes the value of a variable with `load`, in the variable's register if it has one.
    fn bind_copy(&mut self, binding: BindingId, span: Span, load: impl FnOnce(&mut Self, u8)) {
        let mark = self.f.top;
        let register = self.declare_variable(binding);
        load(self, register);
        self.finish_variable(binding, span, register);
        self.f.top = mark;
    }

    /// Loads a part of the value with `load` and matches it.
    fn part(&mut self, pat: PatId, fails: &mut Jumps, load: impl FnOnce(&mut Self, u8)) {
        let mark = self.f.top;
        match (&self.ast.pat(pat).kind, self.res.pat_binding(pat)) {
            (PatKind::Wildcard, _) => {}
            (PatKind::Bind(_), Some(binding)) => {
                self.bind_copy(binding, self.ast.pat(pat).span, load);
            }
            _ => {
                let register = self.f.alloc();
                load(self, register);
                self.pattern(pat, register, fails);
            }
        }
        self.f.top = mark;
    }

    fn range_pattern(
        &mut self,
        value: u8,
        start: ExprId,
        end: ExprId,
        inclusive: bool,
        span: Span,
        fails: &mut Jumps,
    ) {
        let (Some(start), Some(end)) = (self.known_int(start), self.known_int(end)) else {
            self.diagnostics.push(
                crate::diagnostics::Diagnostic::error(
                    "E0217",
                    "the ends of a range pattern must be whole numbers of at most 64 bits",
                    span,
                )
                .help("compare in a guard instead"),
            );
            return;
        };
        let range = self.f.constant16(Const::Range {
            start,
            end,
            inclusive,
        });
        fails.push(self.f.emit_pair(span, Op::JNotIn, value, range, 0));
    }

    fn path_pattern(&mut self, value: u8, path: ExprId, span: Span, fails: &mut Jumps) {
        if let Some(index) = self.instance_type(path)
            && self.res.type_info(index).is_unit
        {
            let constant = self.f.constant16(Const::Type(index));
            fails.push(self.f.emit_pair(span, Op::JNotType, value, constant, 0));
            return;
        }
        let other = self.f.alloc();
        self.expr(path, Dest::Fresh(other));
        fails.push(self.compare_jump(BinaryOp::Eq, value, other, false, span));
    }

    fn list_pattern(&mut self, list: &ListPat, kind: u8, value: u8, span: Span, fails: &mut Jumps) {
        fails.push(self.emit(span, Op::JNotKind, value, kind, 0, 0));
        let count = list.before.len() + list.after.len();
        if count > 255 {
            self.f.has_overflown = true;
            return;
        }
        if count > 0 || list.rest.is_none() {
            let at_least = u8::from(list.rest.is_some());
            fails.push(self.emit(span, Op::JNotLen, value, count as u8, at_least, 0));
        }
        for (index, &part) in list.before.iter().enumerate() {
            self.part(part, fails, |this, dst| {
                this.emit(span, Op::GetIndexI, dst, value, 0, index as i32);
            });
        }
        if let Some(binding) = self.rest_binding(list) {
            let (before, after) = (list.before.len() as u8, list.after.len() as i32);
            self.bind_copy(binding, span, |this, dst| {
                this.emit(span, Op::SliceRest, dst, value, before, after);
            });
        }
        for (index, &part) in list.after.iter().enumerate() {
            let from_end = index as i32 - list.after.len() as i32;
            self.part(part, fails, |this, dst| {
                this.emit(span, Op::GetIndexI, dst, value, 0, from_end);
            });
        }
    }

    fn map_entry(&mut self, key: &str, part: PatId, value: u8, fails: &mut Jumps) {
        let span = self.ast.pat(part).span;
        let mut missing = Vec::new();
        let load = |this: &mut Self, dst: u8| {
            this.load_const(span, dst, Const::Str(key.into()));
            missing.push(this.emit(span, Op::JNoKey, value, dst, 0, 0));
        };
        if matches!(self.ast.pat(part).kind, PatKind::Wildcard) {
            // The key must be there even if nobody looks at its value.
            let register = self.f.alloc();
            let mut load = load;
            load(self, register);
        } else {
            self.part(part, fails, load);
        }
        fails.append(&mut missing);
    }

    fn struct_pattern(
        &mut self,
        path: ExprId,
        parts: &[(Option<Ident>, PatId)],
        has_rest: bool,
        value: u8,
        span: Span,
        fails: &mut Jumps,
    ) {
        let local = self.instance_type(path);
        let constant = match local {
            Some(index) => Some(Const::Type(index)),
            None => self.foreign_type(path),
        };
        let type_register = match &constant {
            Some(constant) => {
                let constant = self.f.constant16(constant.clone());
                fails.push(self.f.emit_pair(span, Op::JNotType, value, constant, 0));
                None
            }
            None => {
                let ty = self.operand(path);
                let mark = self.f.top;
                let is = self.f.alloc();
                self.emit(span, Op::Is, is, value, ty, 0);
                fails.push(self.emit(span, Op::JumpIfNot, is, 0, 0, 0));
                self.f.top = mark;
                Some(ty)
            }
        };
        if let Some(fields) = local.and_then(|index| self.field_order(index)) {
            return self.known_fields(&fields, parts, value, span, fails);
        }
        if let Some(Const::Prelude(kind)) = &constant
            && ERROR_KINDS.contains(&&**kind)
            && parts.len() <= BUILT_IN_FIELDS
        {
            return self.built_in_fields(parts, value, span, fails);
        }
        let positional = parts.iter().filter(|(name, _)| name.is_none()).count();
        if positional > 255 {
            self.f.has_overflown = true;
            return;
        }
        let is_whole = !has_rest && positional == parts.len();
        let mut next = 0;
        if positional > 0 || is_whole {
            next = self.f.alloc_run(positional.max(1));
            match (constant, type_register) {
                (Some(constant @ Const::Import { .. }), _) => {
                    let constant = self.f.constant(constant);
                    self.emit(span, Op::LoadImport, next, 0, 0, constant);
                }
                (Some(constant), _) => self.load_const(span, next, constant),
                (None, Some(register)) => self.move_to(span, next, register),
                (None, None) => {}
            }
            self.unpack_fields(parts, is_whole, value, next, span);
        }
        for (name, part) in parts {
            match name {
                Some(name) => self.field_part(name.name, *part, value, span, fails),
                None => {
                    let register = next;
                    next = next.saturating_add(1);
                    self.pattern(*part, register, fails);
                }
            }
        }
    }

    /// The parts of an error of a built-in kind, at most so many as its constructor takes.
    fn built_in_fields(
        &mut self,
        parts: &[(Option<Ident>, PatId)],
        value: u8,
        span: Span,
        fails: &mut Jumps,
    ) {
        let ast = self.ast;
        let named: Vec<&str> = parts
            .iter()
            .filter_map(|(name, _)| name.map(|name| ast.name(name.name)))
            .collect();
        let mut unnamed = (0..BUILT_IN_FIELDS).filter(|&slot| !named.contains(&ERROR_FIELDS[slot]));
        for (name, part) in parts {
            // The kind is made when it is looked at.
            let slot = match name {
                Some(_) => None,
                None => unnamed.next().filter(|&slot| ERROR_FIELDS[slot] != "kind"),
            };
            let text = name.map_or("kind", |name| ast.name(name.name));
            self.part(*part, fails, |this, dst| match slot {
                Some(slot) => {
                    this.emit(span, Op::GetSlot, dst, value, slot as u8, 0);
                }
                None => {
                    let symbol = this.symbol(text);
                    this.emit(span, Op::GetField, dst, value, 0, symbol as i32);
                }
            });
        }
    }

    /// Where the type lies in the first of the registers, takes the fields for the positional parts. Which ones they are is
    /// seen only when the type is there.
    fn unpack_fields(
        &mut self,
        parts: &[(Option<Ident>, PatId)],
        is_whole: bool,
        value: u8,
        first: u8,
        span: Span,
    ) {
        let named: Vec<Name> = parts
            .iter()
            .filter_map(|(name, _)| name.map(|name| name.name))
            .collect();
        let positional = (parts.len() - named.len()) as u8;
        if is_whole {
            self.emit(span, Op::UnpackAllFields, value, first, positional, 0);
            return;
        }
        let named = named.into_iter().map(|name| self.symbol_of(name)).collect();
        let named = self.f.constant(Const::Names(named));
        self.emit(span, Op::UnpackFields, value, first, positional, named);
    }

    fn field_part(&mut self, name: Name, part: PatId, value: u8, span: Span, fails: &mut Jumps) {
        self.part(part, fails, |this, dst| {
            let symbol = this.symbol_of(name);
            this.emit(span, Op::GetField, dst, value, 0, symbol as i32);
        });
    }

    fn known_fields(
        &mut self,
        fields: &[(Option<Name>, usize)],
        parts: &[(Option<Ident>, PatId)],
        value: u8,
        span: Span,
        fails: &mut Jumps,
    ) {
        let named: Vec<Name> = parts
            .iter()
            .filter_map(|(name, _)| name.map(|name| name.name))
            .collect();
        let mut unnamed = fields
            .iter()
            .filter(|(field, _)| !field.is_some_and(|field| named.contains(&field)));
        for (name, part) in parts {
            let field = match name {
                Some(name) => fields.iter().find(|(field, _)| *field == Some(name.name)),
                None => unnamed.next(),
            };
            match (field, name) {
                (Some(&(_, slot)), _) => self.part(*part, fails, |this, dst| {
                    this.emit(span, Op::GetSlot, dst, value, slot.min(255) as u8, 0);
                }),
                (None, Some(name)) => self.field_part(name.name, *part, value, span, fails),
                (None, None) => unreachable!("more parts than fields are an error"),
            }
        }
    }

    /// The fields of a type declared here in the order of positional patterns, with their slots. The first of an error is its
    /// message. `None`: only the linker knows them.
    fn field_order(&self, index: u32) -> Option<Vec<(Option<Name>, usize)>> {
        let fields = self.res.all_fields(self.ast, index);
        let own = fields.iter().map(|field| Some(field.name.name));
        match self.res.family(self.ast, index) {
            Family::Plain => Some(own.enumerate().map(|(slot, field)| (field, slot)).collect()),
            Family::Error => {
                let message = std::iter::once((self.ast.names.get("message"), 0));
                let first = ERROR_FIELDS.len();
                let own = own.enumerate().map(|(slot, field)| (field, first + slot));
                Some(message.chain(own).collect())
            }
            Family::Unknown => None,
        }
    }

    fn alternatives(&mut self, alternatives: &[PatId], value: u8, span: Span, fails: &mut Jumps) {
        let Some((&last, before)) = alternatives.split_last() else {
            return;
        };
        let mut matched = Vec::new();
        for &alternative in before {
            if let PatKind::Literal(literal) = self.ast.pat(alternative).kind {
                self.literal_jump(value, literal, true, &mut matched);
                continue;
            }
            let mut next = Vec::new();
            self.pattern(alternative, value, &mut next);
            matched.push(self.f.jump(span));
            self.f.patch_all(&next);
        }
        self.pattern(last, value, fails);
        self.f.patch_all(&matched);
    }

    /// `Some` if a base or path names something of another module or the prelude.
    pub(super) fn foreign_type(&mut self, path: ExprId) -> Option<Const> {
        let ast = self.ast;
        match &ast.expr(path).kind {
            ExprKind::Name(name) => match self.res.target(path) {
                target @ (Target::Prelude | Target::Repl { .. }) => {
                    self.constant_of(target, ast.name(*name))
                }
                target @ Target::Binding(binding)
                    if matches!(self.res.binding(binding).kind, BindingKind::Import { .. }) =>
                {
                    self.constant_of(target, ast.name(*name))
                }
                _ => None,
            },
            _ => self.import_member(path),
        }
    }
}
