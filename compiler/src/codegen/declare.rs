//! Functions, closures and types: prologues, captures, constructors.

use super::function::{Dest, Function, Place};
use super::{Generator, code_span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::resolve::{BindingId, Family, MODULE_BODY, Owner};
use heddle_bytecode::{
    CaptureSource, Const, ERROR_FIELDS, ErrorConstructor, Op, TypeDef, TypeShape,
};

impl Generator<'_> {
    /// A closure of a function in a register; a constant if it captures nothing.
    pub(super) fn closure(&mut self, function: FnId, span: Span, dst: u8) {
        let proto = self.make_function(function, None);
        if self.captures_nothing(function) {
            self.load_const(span, dst, Const::Fn(proto));
        } else {
            let constant = self.f.constant(Const::Proto(proto));
            self.emit(span, Op::Closure, dst, 0, 0, constant);
        }
    }

    /// Where the function being made finds what a function in it captures.
    fn capture_sources(&self, owner: Owner) -> Vec<CaptureSource> {
        self.res
            .captures(owner)
            .map(|id| match self.place(id) {
                Place::Register(register) | Place::Cell(register) => {
                    // A register that caches a capture is as good as the capture.
                    CaptureSource::Register(register)
                }
                Place::Capture(index) | Place::CaptureCell(index) => CaptureSource::Capture(index),
                place => unreachable!("top-level names are not captured: {place:?}"),
            })
            .collect()
    }

    /// Makes the code of a function. `method_of`: the name of its type.
    pub(super) fn make_function(&mut self, id: FnId, method_of: Option<&str>) -> u32 {
        let ast = self.ast;
        let func = ast.func(id);
        let owner = self.res.fn_owners[id.0 as usize];
        let proto = self.proto_of(id);
        if self.protos[proto as usize].is_some() {
            return proto;
        }
        let mut function = Function::new(proto, owner, func.is_gen);
        function.captures = self.capture_sources(owner);
        self.enter(function);
        let first = self
            .f
            .alloc_run(func.params.len() + usize::from(func.rest.is_some()));
        debug_assert!(first == 0, "parameters are the first registers");
        if func.is_gen {
            self.emit(func.span, Op::GenBegin, 0, 0, 0, 0);
        }
        let text = match (func.name, func.kind) {
            (Some(name), _) => match method_of {
                Some(of) => format!("{of}.{}", ast.name(name.name)),
                None => ast.name(name.name).to_string(),
            },
            (None, FnKind::SpawnBlock) => "<spawn>".into(),
            (None, FnKind::DeferBlock) => "<defer>".into(),
            (None, FnKind::Test) => "<test>".into(),
            (None, _) => "<closure>".into(),
        };
        if let Some(name) = func.name {
            self.count_function(&text, name.span);
        }
        let required = func
            .params
            .iter()
            .take_while(|param| param.default.is_none())
            .count();
        let names: Vec<Box<str>> = func
            .params
            .iter()
            .map(|param| self.param_name(param.pat))
            .collect();
        for (index, param) in func.params.iter().enumerate() {
            if index >= required {
                self.param_default(index, param.default, &names[index], func.span);
            }
            self.bind_param(param.pat, index as u8);
        }
        if let Some(rest) = func.rest
            && let Some(&binding) = self.res.declared_at.get(&(rest.span.start, rest.name))
        {
            self.f
                .places
                .insert(binding, Place::Register(func.params.len() as u8));
        }
        self.load_hot_captures(owner, func.span);
        self.reserve_globals(func.span);
        if self.res.owner(owner).has_defer {
            self.begin_defers(func.span);
        }
        match &func.body {
            FnBody::Block(block) => self.block(block, Dest::Return),
            FnBody::Expr(value) => {
                self.count_line(ast.expr(*value).span);
                self.expr(*value, Dest::Return);
            }
            FnBody::Missing => self.emit_return(func.span, None),
        }
        self.end_defers(func.span);
        self.leave(text, func.span);
        if let Some(code) = &mut self.protos[proto as usize] {
            code.params = names;
            code.required = required as u32;
            code.has_rest = func.rest.is_some();
        }
        proto
    }

    fn param_name(&self, pat: PatId) -> Box<str> {
        match self.ast.pat(pat).kind {
            PatKind::Bind(name) => self.ast.name(name).into(),
            _ => "".into(),
        }
    }

    /// What happens when an argument was not given.
    fn param_default(&mut self, index: usize, default: Option<ExprId>, name: &str, span: Span) {
        let register = index as u8;
        match default {
            Some(default) => {
                let span = self.ast.expr(default).span;
                let given = self.emit(span, Op::JumpIfSet, register, 0, 0, 0);
                self.expr(default, Dest::Fresh(register));
                self.f.patch(given);
            }
            None => {
                let name = self.f.constant(Const::Str(name.into()));
                self.emit(span, Op::CheckArg, register, 0, 0, name);
            }
        }
    }

    fn bind_param(&mut self, pat: PatId, register: u8) {
        match (&self.ast.pat(pat).kind, self.res.pat_binding(pat)) {
            (PatKind::Bind(_), Some(binding)) => {
                let is_cell = self.is_cell(binding);
                let place = if is_cell {
                    Place::Cell(register)
                } else {
                    Place::Register(register)
                };
                self.f.places.insert(binding, place);
                if is_cell {
                    let span = self.ast.pat(pat).span;
                    self.emit(span, Op::NewCell, register, register, 0, 0);
                }
            }
            _ => self.bind_in_place(pat, register),
        }
    }

    /// Captured values that a loop reads get a register.
    fn load_hot_captures(&mut self, owner: Owner, span: Span) {
        if self.res.owner(owner).in_loop.is_empty() {
            return;
        }
        let hot: Vec<_> = self
            .res
            .captures(owner)
            .enumerate()
            .filter(|&(_, id)| self.res.owner(owner).in_loop.contains(&id) && !self.is_cell(id))
            .take(32)
            .collect();
        for (index, id) in hot {
            let register = self.f.alloc();
            self.emit(span, Op::GetCapture, register, 0, 0, index as i32);
            self.f.places.insert(id, Place::Register(register));
        }
    }

    /// Enters all types into the module, so that code made before their declaration can name them.
    pub(super) fn prepare_types(&mut self) {
        let ast = self.ast;
        for index in 0..self.res.types.len() {
            let info = &self.res.types[index];
            let name = self.symbol_of(info.name);
            let fields = info
                .fields
                .iter()
                .map(|field| (self.symbol_of(field.name.name), field.is_var))
                .collect();
            let required: Vec<Name> = info
                .methods
                .iter()
                .filter(|method| method.is_required)
                .map(|method| method.name)
                .collect();
            let required = required
                .into_iter()
                .map(|name| self.symbol_of(name))
                .collect();
            let mut bases = Vec::new();
            let mut kind = None;
            for &base in &info.bases {
                let of_module = self.res.static_type(ast, base);
                let is_kind = match of_module {
                    Some(base) => self.res.type_info(base).shape == TypeShape::Struct,
                    None => self.res.is_built_in_kind(ast, base),
                };
                if is_kind && let Some(first) = kind.replace(base) {
                    self.diagnostics.push(
                        Diagnostic::error(
                            "E0220",
                            "a type is based on one kind of error at most",
                            ast.expr(base).span,
                        )
                        .label("a second one")
                        .related(ast.expr(first).span, "the first one")
                        .help("what several kinds have in common can be a trait"),
                    );
                }
                let constant = match of_module {
                    Some(base) if self.may_be_base(base) => Some(Const::Type(base)),
                    Some(_) => None,
                    None => self.foreign_type(base),
                };
                match constant {
                    Some(constant) => bases.push(constant),
                    None => self.diagnostics.push(
                        Diagnostic::error(
                            "E0218",
                            "this names no trait and no kind of error",
                            ast.expr(base).span,
                        )
                        .label("a trait or a kind of error is expected here"),
                    ),
                }
            }
            self.module.types.push(TypeDef {
                name,
                shape: info.shape,
                parent: info.parent,
                variants: info.variants.clone(),
                bases,
                fields,
                methods: Vec::new(),
                required,
                constructor: None,
                as_error: None,
                is_unit: info.is_unit,
                is_local: self.res.is_local_type(index as u32),
            });
        }
    }

    /// Whether other types may be based on this one of the module.
    fn may_be_base(&self, index: u32) -> bool {
        match self.res.type_info(index).shape {
            TypeShape::Trait => true,
            TypeShape::Struct => self.res.family(self.ast, index) != Family::Plain,
            TypeShape::Enum | TypeShape::Variant => false,
        }
    }

    /// The variable that a type is kept in, if each execution of its declaration makes one.
    pub(super) fn local_type_binding(&self, stmt: StmtId) -> Option<BindingId> {
        let info = self.res.type_info(*self.res.type_of_stmt.get(&stmt)?);
        info.binding
            .filter(|&binding| !self.res.binding(binding).is_static)
    }

    /// The declaration of a type is executed: its methods and constructors are made, and what they capture is taken.
    pub(super) fn make_type(&mut self, stmt: StmtId) {
        let ast = self.ast;
        let res = self.res;
        let span = ast.stmt(stmt).span;
        let index = res.type_of_stmt[&stmt];
        let info = res.type_info(index);
        let type_name = ast.name(info.name);
        // In the order of the environment that the VM keeps them in.
        let mut captured = Vec::new();
        for method in info.methods.iter().filter(|method| !method.is_required) {
            let proto = self.make_function(method.function, Some(type_name));
            let symbol = self.symbol_of(method.name);
            self.module.types[index as usize]
                .methods
                .push((symbol, proto, method.has_self));
            if !self.captures_nothing(method.function) {
                captured.push(proto);
            }
        }
        if info.shape == TypeShape::Struct {
            captured.extend(self.constructor(index, type_name.to_string(), span));
            if res.family(ast, index) == Family::Unknown {
                self.module.types[index as usize].as_error = Some(self.error_constructor(index));
            }
        }
        for &variant in &info.variants {
            let variant_info = res.type_info(variant);
            if !variant_info.is_unit {
                let name = format!("{type_name}.{}", ast.name(variant_info.name));
                captured.extend(self.constructor(variant, name, span));
            }
        }
        let Some(binding) = self.local_type_binding(stmt) else {
            return;
        };
        let local_bases: Vec<ExprId> = info
            .bases
            .iter()
            .copied()
            .filter(|&base| {
                let base = res.static_type(ast, base);
                base.is_some_and(|base| res.is_local_type(base))
            })
            .collect();
        let mark = self.f.top;
        let count = captured.len() + local_bases.len();
        let run = self.f.alloc_run(count);
        for (register, proto) in (usize::from(run)..).zip(&captured) {
            let constant = self.f.constant(Const::Proto(*proto));
            self.emit(span, Op::Closure, register as u8, 0, 0, constant);
        }
        for (register, base) in (usize::from(run) + captured.len()..).zip(local_bases) {
            self.expr(base, Dest::Fresh(register as u8));
        }
        let constant = self.f.constant(Const::Type(index));
        match self.place(binding) {
            Place::Cell(cell) => {
                let made = self.f.alloc();
                self.emit(span, Op::NewType, made, run, count as u8, constant);
                self.emit(span, Op::FixCell, cell, made, 0, 0);
            }
            Place::Register(register) => {
                self.emit(span, Op::NewType, register, run, count as u8, constant);
            }
            place => unreachable!("a local type lives in a register or cell, not {place:?}"),
        }
        self.f.unset.remove(&binding);
        self.f.top = mark;
    }

    /// The function that makes instances: its parameters are the fields, in front of them a local type. Returns it if it captures.
    fn constructor(&mut self, index: u32, name: String, span: Span) -> Option<u32> {
        let ast = self.ast;
        let fields = self.res.all_fields(ast, index);
        let owner = self
            .res
            .constructor_owners
            .get(&index)
            .copied()
            .unwrap_or(MODULE_BODY);
        let is_error = self.res.family(ast, index) == Family::Error;
        let own: Vec<&str> = fields
            .iter()
            .map(|field| ast.name(field.name.name))
            .collect();
        // Errors take the message first, and by name what every error has.
        let extra: Vec<&str> = ["kind", "data", "cause"]
            .into_iter()
            .filter(|name| is_error && !own.contains(name))
            .collect();
        let is_local = self.res.is_local_type(index);
        let mut names: Vec<Box<str>> = Vec::new();
        if is_local {
            names.push("self".into());
        }
        let message = names.len() as u8;
        if is_error {
            names.push(ERROR_FIELDS[0].into());
        }
        let first_field = names.len();
        names.extend(own.iter().chain(&extra).map(|&name| Box::from(name)));
        let required = first_field
            + fields
                .iter()
                .take_while(|field| field.default.is_none())
                .count();
        let proto = self.new_proto();
        let mut function = Function::new(proto, owner, false);
        if owner != MODULE_BODY {
            function.captures = self.capture_sources(owner);
        }
        let captures = !function.captures.is_empty();
        self.enter(function);
        self.f.alloc_run(names.len());
        for (position, field) in fields.iter().enumerate() {
            let register = first_field + position;
            if register >= required {
                self.param_default(register, field.default, own[position], field.name.span);
            }
            if let Some(&binding) = self
                .res
                .declared_at
                .get(&(field.name.span.start, field.name.name))
            {
                self.f
                    .places
                    .insert(binding, Place::Register(register as u8));
            }
        }
        let result = self.f.alloc();
        let count = own.len();
        let (run, total) = if is_error {
            (
                self.error_fields(message, first_field, count, &extra, span),
                ERROR_FIELDS.len() + count,
            )
        } else {
            (message, count)
        };
        let total = total + usize::from(is_local);
        if is_local {
            // Behind the fields comes the type: behind parameters lies `result`, behind other registers nothing yet.
            self.f.alloc_run(1);
            let behind = usize::from(run) + total - 1;
            self.move_to(span, behind as u8, 0);
        }
        let constant = self.f.constant(Const::Type(index));
        self.emit(
            span,
            Op::NewStruct,
            result,
            run,
            total.min(255) as u8,
            constant,
        );
        if total > 255 {
            self.f.has_overflown = true;
        }
        self.emit(span, Op::Return, result, 0, 0, 0);
        self.leave(name, span);
        if let Some(code) = &mut self.protos[proto as usize] {
            code.params = names;
            code.required = required as u32;
            code.span = code_span(span);
        }
        self.module.types[index as usize].constructor = Some(proto);
        captures.then_some(proto)
    }

    /// What the linker makes the constructor of, should a base of another module be a kind of error.
    fn error_constructor(&mut self, index: u32) -> ErrorConstructor {
        let ast = self.ast;
        let fields = self.res.all_fields(ast, index);
        let type_name = ast.name(self.res.type_info(index).name);
        let owner = self.res.constructor_owners.get(&index).copied();
        let mut made = Vec::with_capacity(fields.len());
        for (position, field) in fields.iter().enumerate() {
            let name = ast.name(field.name.name);
            let default = field.default.map(|default| {
                let proto = self.new_proto();
                self.enter(Function::new(proto, owner.unwrap_or(MODULE_BODY), false));
                self.f.alloc_run(position);
                for (register, before) in fields[..position].iter().enumerate() {
                    let declared = (before.name.span.start, before.name.name);
                    if let Some(&binding) = self.res.declared_at.get(&declared) {
                        let place = Place::Register(register as u8);
                        self.f.places.insert(binding, place);
                    }
                }
                self.expr(default, Dest::Return);
                self.leave(format!("{type_name}.{name}"), ast.expr(default).span);
                if let Some(code) = &mut self.protos[proto as usize] {
                    code.params = vec!["".into(); position];
                    code.required = position as u32;
                }
                proto
            });
            made.push((self.symbol(name), default));
        }
        ErrorConstructor { fields: made }
    }

    /// All fields of an error in order, in new registers: those of `Error`, then its own.
    fn error_fields(
        &mut self,
        message: u8,
        first_field: usize,
        count: usize,
        extra: &[&str],
        span: Span,
    ) -> u8 {
        let run = self.f.alloc_run(ERROR_FIELDS.len() + count);
        self.move_to(span, run, message);
        for (slot, name) in (1..).zip(["kind", "data", "cause"]) {
            let target = run + slot;
            match extra.iter().position(|&given| given == name) {
                Some(position) => {
                    let parameter = (first_field + count + position) as u8;
                    let given = self.emit(span, Op::JumpIfSet, parameter, 0, 0, 0);
                    self.emit(span, Op::LoadNil, parameter, 0, 0, 0);
                    self.f.patch(given);
                    self.move_to(span, target, parameter);
                }
                None => {
                    self.emit(span, Op::LoadNil, target, 0, 0, 0);
                }
            }
        }
        self.emit(span, Op::LoadNil, run + 4, 0, 0, 0);
        for position in 0..count {
            let slot = run + (ERROR_FIELDS.len() + position) as u8;
            self.move_to(span, slot, (first_field + position) as u8);
        }
        run
    }
}
