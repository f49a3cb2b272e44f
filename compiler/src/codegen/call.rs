//! Calls: of known functions, of values, of methods; construction of structs; what `defer` and `spawn` keep of a call.
//!
//! A call window starts in the destination itself where that is the last register taken, so that nested calls need
//! no moves: the arguments of the outer call are the results of the inner ones.

use super::Generator;
use super::function::{Dest, Function, Jumps};
use crate::ast::*;
use crate::compile::Role;
use crate::resolve::{BindingKind, Family, Target};
use heddle_bytecode::{CaptureSource, Const, Op, TypeShape};

/// Registers of a window in front of the arguments.
pub(super) const WINDOW_HEAD: usize = 2;

/// From this register on the calls of a chain share a window: half of a frame is left for arguments.
const FAR: u8 = 120;

/// What is called, as far as it is known.
pub(super) enum Callee {
    /// A function of this module that takes exactly these arguments.
    Exact {
        constant: Const,
        slots: Vec<usize>,
        count: usize,
    },
    Const(Const),
    Global(u32),
    Method {
        object: ExprId,
        name: Ident,
        safe: bool,
    },
    Value(ExprId),
}

impl Generator<'_> {
    pub(super) fn call(&mut self, id: ExprId, callee: ExprId, args: &[Arg], dest: Dest) {
        let span = self.ast.expr(id).span;
        if self.intrinsic(callee, args, span)
            || self.construction(callee, args, span, dest)
            || self.append(callee, args, span, dest)
        {
            return;
        }
        let mark = self.f.top;
        let callee = self.callee(callee, args);
        let base = match dest {
            Dest::Fresh(dst) if usize::from(dst) + 1 == self.f.top => {
                self.f.alloc();
                dst
            }
            _ => self.f.alloc_run(WINDOW_HEAD),
        };
        let result = match dest {
            Dest::Fresh(dst) | Dest::Keep(dst) => dst,
            Dest::Discard | Dest::Return => base,
        };
        self.call_window(callee, args, base, result, span);
        self.f.top = mark;
        if dest == Dest::Return {
            self.emit_return(span, Some(result));
        }
    }

    pub(super) fn callee(&mut self, callee: ExprId, args: &[Arg]) -> Callee {
        let ast = self.ast;
        match &ast.expr(callee).kind {
            ExprKind::Name(name) => {
                let target = self.res.target(callee);
                if let Target::Binding(binding) = target {
                    match self.res.binding(binding).kind {
                        BindingKind::Fn(function) if self.res.binding(binding).is_static => {
                            return self.known_callee(function, args);
                        }
                        _ => {}
                    }
                }
                match self.constant_of(target, ast.name(*name)) {
                    Some(constant) => Callee::Const(constant),
                    None => match target {
                        Target::Binding(binding)
                            if !self.f.places.contains_key(&binding)
                                && matches!(
                                    self.root_places.get(&binding),
                                    Some(super::function::Place::Global(_))
                                ) =>
                        {
                            let Some(&super::function::Place::Global(global)) =
                                self.root_places.get(&binding)
                            else {
                                return Callee::Value(callee);
                            };
                            Callee::Global(global)
                        }
                        _ => Callee::Value(callee),
                    },
                }
            }
            ExprKind::Field { object, name, safe } => {
                if let Some(constant) = self.import_member(callee) {
                    return Callee::Const(constant);
                }
                if let Some(index) = self.res.static_type(ast, *object) {
                    let info = self.res.type_info(index);
                    let method = info.methods.iter().find(|method| method.name == name.name);
                    if let Some(method) = method
                        && !method.has_self
                        && !method.is_required
                        && self.captures_nothing(method.function)
                    {
                        return self.known_callee(method.function, args);
                    }
                }
                Callee::Method {
                    object: *object,
                    name: *name,
                    safe: *safe,
                }
            }
            _ => Callee::Value(callee),
        }
    }

    pub(super) fn captures_nothing(&self, function: FnId) -> bool {
        let owner = self.res.fn_owners[function.0 as usize];
        self.res.captures(owner).next().is_none()
    }

    fn known_callee(&mut self, function: FnId, args: &[Arg]) -> Callee {
        let constant = Const::Fn(self.proto_of(function));
        let func = self.ast.func(function);
        if func.is_gen || func.rest.is_some() || func.params.len() > 200 {
            return Callee::Const(constant);
        }
        let names: Vec<Option<Name>> = func
            .params
            .iter()
            .map(|param| match self.ast.pat(param.pat).kind {
                PatKind::Bind(name) => Some(name),
                _ => None,
            })
            .collect();
        let optional: Vec<bool> = func
            .params
            .iter()
            .map(|param| param.default.is_some())
            .collect();
        match arrange(args, &names, &optional) {
            Some(slots) => Callee::Exact {
                constant,
                slots,
                count: names.len(),
            },
            None => Callee::Const(constant),
        }
    }

    /// Fills the window at `base` and calls. The window's head is taken already.
    fn call_window(&mut self, callee: Callee, args: &[Arg], base: u8, result: u8, span: Span) {
        match callee {
            Callee::Exact {
                constant,
                slots,
                count,
            } => {
                let args: Vec<ExprId> = args.iter().map(|arg| arg.value).collect();
                self.fill_slots(&args, &slots, count, span);
                let constant = self.f.constant(constant);
                self.emit(span, Op::CallFn, base, result, count as u8, constant);
            }
            Callee::Const(constant) => {
                if args.iter().any(|arg| arg.name.is_some()) {
                    match constant {
                        Const::Import { .. } => {
                            let index = self.f.constant(constant);
                            self.emit(span, Op::LoadImport, base, 0, 0, index);
                        }
                        constant => self.load_const(span, base, constant),
                    }
                    self.call_value(args, base, result, span);
                } else {
                    self.arguments(args);
                    if matches!(constant, Const::Import { .. }) && self.f.is_first_protected() {
                        // It may be a variable without a value yet. While its initialiser runs, this frame stands in front of the call, which will be
                        // run again: that place must be protected as the call is.
                        self.emit(span, Op::Nop, 0, 0, 0, 0);
                    }
                    let constant = self.f.constant(constant);
                    self.emit(span, Op::CallK, base, result, args.len() as u8, constant);
                }
            }
            Callee::Global(global) => {
                if args.iter().any(|arg| arg.name.is_some()) {
                    self.emit(span, Op::GetGlobal, base, 0, 0, global as i32);
                    self.call_value(args, base, result, span);
                } else {
                    self.arguments(args);
                    self.emit(
                        span,
                        Op::CallGlobal,
                        base,
                        result,
                        args.len() as u8,
                        global as i32,
                    );
                }
            }
            Callee::Method { object, name, safe } => {
                let place = self.ast.expr(object).span;
                let receiver = if self.is_far_chain(object, base) {
                    self.chain_in_window(object, base);
                    let receiver = self.f.alloc();
                    self.move_to(place, receiver, base);
                    receiver
                } else {
                    let receiver = self.f.alloc();
                    self.chain_into(object, receiver);
                    receiver
                };
                self.safe_exit(safe, receiver, place);
                if args.iter().all(|arg| arg.name.is_none()) {
                    self.arguments_for_copying(args);
                } else {
                    self.arguments(args);
                }
                self.invoke(name.name, args, base, result, span);
            }
            Callee::Value(callee) => {
                if self.is_far_chain(callee, base) {
                    self.chain_in_window(callee, base);
                } else {
                    self.chain_into(callee, base);
                }
                self.call_value(args, base, result, span);
            }
        }
    }

    /// Whether the chain before a call lies so far in the frame that its calls must share a window. Elsewhere each has its own, so that its
    /// result need not be moved.
    fn is_far_chain(&self, object: ExprId, base: u8) -> bool {
        let is_step = matches!(
            self.ast.expr(object).kind,
            ExprKind::Call { .. } | ExprKind::Field { .. } | ExprKind::Index { .. }
        );
        is_step && base >= FAR && usize::from(base) + WINDOW_HEAD == self.f.top
    }

    /// Evaluates a chain in the first register of a window that is not filled yet.
    fn chain_in_window(&mut self, object: ExprId, base: u8) {
        self.f.top = usize::from(base) + 1;
        self.chain_into(object, base);
        self.f.top = usize::from(base) + WINDOW_HEAD;
    }

    fn invoke(&mut self, name: Name, args: &[Arg], base: u8, result: u8, span: Span) {
        let count = args.len() as u8 + 1;
        let mut names = self.argument_names(args);
        let symbol = self.symbol_of(name);
        let copied = self.copied_arguments(args);
        if names.is_empty() && copied != 0 {
            let at = self.emit(span, Op::InvokeCopy, base, result, count, symbol as i32);
            self.f.set_second_word(at, copied.into());
        } else if names.is_empty() {
            self.emit(span, Op::Invoke, base, result, count, symbol as i32);
        } else {
            names.insert(0, symbol);
            let names = self.f.constant(Const::Names(names));
            self.emit(span, Op::InvokeNamed, base, result, count, names);
        }
    }

    /// Calls what lies at `base`.
    fn call_value(&mut self, args: &[Arg], base: u8, result: u8, span: Span) {
        self.arguments(args);
        self.emit_call(args, base, result, span);
    }

    fn emit_call(&mut self, args: &[Arg], base: u8, result: u8, span: Span) {
        let names = self.argument_names(args);
        if names.is_empty() {
            self.emit(span, Op::Call, base, result, args.len() as u8, 0);
        } else {
            let names = self.f.constant(Const::Names(names));
            self.emit(span, Op::CallNamed, base, result, args.len() as u8, names);
        }
    }

    fn argument_names(&mut self, args: &[Arg]) -> Vec<u32> {
        let names: Vec<Name> = args
            .iter()
            .filter_map(|arg| arg.name.map(|name| name.name))
            .collect();
        names.into_iter().map(|name| self.symbol_of(name)).collect()
    }

    pub(super) fn arguments(&mut self, args: &[Arg]) {
        for arg in args {
            let slot = self.f.alloc();
            self.expr(arg.value, Dest::Fresh(slot));
        }
    }

    /// Evaluates `args` in order, each into its slot of the next `count` registers; what is not given is unset.
    fn fill_slots(&mut self, args: &[ExprId], slots: &[usize], count: usize, span: Span) {
        if slots.iter().enumerate().all(|(index, &slot)| index == slot) {
            for &arg in args {
                let slot = self.f.alloc();
                self.expr(arg, Dest::Fresh(slot));
            }
            for _ in args.len()..count {
                let slot = self.f.alloc();
                self.emit(span, Op::LoadUnset, slot, 0, 0, 0);
            }
            return;
        }
        let first = usize::from(self.f.alloc_run(count));
        for (&arg, &slot) in args.iter().zip(slots) {
            self.expr(arg, Dest::Fresh((first + slot) as u8));
        }
        for slot in (0..count).filter(|slot| !slots.contains(slot)) {
            self.emit(span, Op::LoadUnset, (first + slot) as u8, 0, 0, 0);
        }
    }

    /// `Point(1, 2)` of a type declared here, if all its fields are known at the call.
    fn construction(&mut self, callee: ExprId, args: &[Arg], span: Span, dest: Dest) -> bool {
        let Some(index) = self.res.static_type(self.ast, callee) else {
            return false;
        };
        let info = self.res.type_info(index);
        let is_plain = matches!(info.shape, TypeShape::Struct | TypeShape::Variant)
            && !info.is_unit
            && !self.res.is_local_type(index)
            && self.res.family(self.ast, index) == Family::Plain
            && info.fields.len() <= 100;
        if !is_plain {
            return false;
        }
        let names: Vec<Option<Name>> = info
            .fields
            .iter()
            .map(|field| Some(field.name.name))
            .collect();
        // Only defaults that are literals may be evaluated here: others belong to the scope of the declaration.
        let optional: Vec<bool> = info
            .fields
            .iter()
            .map(|field| {
                field
                    .default
                    .is_some_and(|default| self.is_literal(default))
            })
            .collect();
        let Some(slots) = arrange(args, &names, &optional) else {
            return false;
        };
        let count = names.len();
        let mark = self.f.top;
        self.produce(span, dest, |this, dst| {
            let is_last = usize::from(dst) + 1 == this.f.top && !matches!(dest, Dest::Keep(_));
            let first = if is_last && count > 0 {
                this.f.alloc_run(count - 1);
                dst
            } else {
                this.f.alloc_run(count)
            };
            let is_in_order = slots.iter().enumerate().all(|(index, &slot)| index == slot);
            for (arg, &slot) in args.iter().zip(&slots) {
                if is_in_order {
                    // Later fields' registers are free for temporaries until they are reached.
                    this.f.top = usize::from(first) + slot + 1;
                }
                this.expr(arg.value, Dest::Fresh((usize::from(first) + slot) as u8));
            }
            this.f.top = usize::from(first) + count;
            for slot in (0..count).filter(|slot| !slots.contains(slot)) {
                let default = this.res.type_info(index).fields[slot].default;
                if let Some(default) = default {
                    this.expr(default, Dest::Fresh((usize::from(first) + slot) as u8));
                }
            }
            let first = if count == 0 { dst } else { first };
            let constant = this.f.constant(Const::Type(index));
            this.emit(span, Op::NewStruct, dst, first, count as u8, constant);
        });
        self.f.top = mark;
        true
    }

    fn is_literal(&self, id: ExprId) -> bool {
        match &self.ast.expr(id).kind {
            ExprKind::Nil
            | ExprKind::Bool(_)
            | ExprKind::Str(_)
            | ExprKind::Duration(_)
            | ExprKind::BigInt(_)
            | ExprKind::Bytes(_) => true,
            ExprKind::Name(_) => false,
            _ => self.res.folded.contains_key(&id),
        }
    }

    /// `xs.push(x)` of what is known to be a list: an instruction.
    fn append(&mut self, callee: ExprId, args: &[Arg], span: Span, dest: Dest) -> bool {
        let ast = self.ast;
        let ExprKind::Field {
            object,
            name,
            safe: false,
        } = ast.expr(callee).kind
        else {
            return false;
        };
        let Target::Binding(binding) = self.res.target(object) else {
            return false;
        };
        let [Arg { name: None, value }] = args else {
            return false;
        };
        if !self.res.binding(binding).is_list || ast.name(name.name) != "push" {
            return false;
        }
        let mark = self.f.top;
        let list = self.operand(object);
        let value = self.operand(*value);
        self.emit(span, Op::ListAppend, list, value, 1, 0);
        self.f.top = mark;
        self.nil(span, dest);
        true
    }

    /// What only the prelude may say: returning into a fused instruction.
    fn intrinsic(&mut self, callee: ExprId, args: &[Arg], span: Span) -> bool {
        if self.options.role != Role::Prelude || self.res.target(callee) != Target::Prelude {
            return false;
        }
        let ExprKind::Name(name) = self.ast.expr(callee).kind else {
            return false;
        };
        match (self.ast.name(name), args) {
            ("__return_jump", [value]) => {
                let mark = self.f.top;
                let value = self.operand(value.value);
                self.emit(span, Op::ReturnJump, value, 0, 0, 0);
                self.f.top = mark;
                true
            }
            ("__for_end", []) => {
                self.emit(span, Op::ReturnEnd, 0, 0, 0, 0);
                true
            }
            _ => false,
        }
    }

    /// `defer f(x)`: a closure over the function and the arguments, which are evaluated now.
    pub(super) fn kept_call(&mut self, call: ExprId, dst: u8) {
        let ast = self.ast;
        let span = ast.expr(call).span;
        let ExprKind::Call { callee, args } = &ast.expr(call).kind else {
            self.expr(call, Dest::Fresh(dst));
            return;
        };
        let mark = self.f.top;
        let known = self.kept_callee(*callee);
        let first = self.f.top;
        self.kept_object(*callee, &known);
        let values: Vec<ExprId> = args.iter().map(|arg| arg.value).collect();
        self.run(&values);
        let captures = (first..self.f.top)
            .map(|register| CaptureSource::Register(register as u8))
            .collect();
        let proto = self.kept_function(&known, args, 0, captures, span);
        let constant = self.f.constant(Const::Proto(proto));
        self.emit(span, Op::Closure, dst, 0, 0, constant);
        self.f.top = mark;
    }

    pub(super) fn kept_callee(&mut self, callee: ExprId) -> Callee {
        match self.callee(callee, &[]) {
            Callee::Exact { constant, .. } => Callee::Const(constant),
            other => other,
        }
    }

    /// Evaluates what a kept call needs of its callee into a new register, if anything; how many.
    pub(super) fn kept_object(&mut self, callee: ExprId, known: &Callee) -> usize {
        match known {
            Callee::Method { object, safe, .. } => {
                let register = self.f.alloc();
                self.chain_into(*object, register);
                self.safe_exit(*safe, register, self.ast.expr(*object).span);
            }
            Callee::Value(_) | Callee::Global(_) => {
                let register = self.f.alloc();
                self.chain_into(callee, register);
            }
            Callee::Const(_) | Callee::Exact { .. } => return 0,
        }
        1
    }

    /// Keeps a call by `keep`. If it is a chain with `?.`, also gives the jumps taken where that finds nil; where they lead,
    /// what was loaded since then must be forgotten.
    pub(super) fn kept_chain<T>(
        &mut self,
        call: ExprId,
        keep: impl FnOnce(&mut Self) -> T,
    ) -> (T, Jumps) {
        let exits = self.has_safe_step(call).then(Vec::new);
        let around = std::mem::replace(&mut self.nil_exits, exits);
        let kept = keep(self);
        let exits = std::mem::replace(&mut self.nil_exits, around);
        (kept, exits.unwrap_or_default())
    }

    /// A function of so many parameters that does nothing.
    pub(super) fn idle_function(&mut self, params: usize, span: Span) -> u32 {
        let proto = self.new_proto();
        self.enter(Function::new(proto, self.f.owner, false));
        self.f.alloc_run(params);
        self.emit_return(span, None);
        self.leave("<nil>".into(), span);
        if let Some(code) = &mut self.protos[proto as usize] {
            code.params = vec!["".into(); params];
            code.required = params as u32;
        }
        proto
    }

    /// The function that makes a kept call: of what it is given as parameters, or else of its captures.
    pub(super) fn kept_function(
        &mut self,
        known: &Callee,
        args: &[Arg],
        params: usize,
        captures: Vec<CaptureSource>,
        span: Span,
    ) -> u32 {
        let proto = self.new_proto();
        let mut function = Function::new(proto, self.f.owner, false);
        function.captures = captures;
        self.enter(function);
        self.f.alloc_run(params);
        let base = self.f.alloc_run(WINDOW_HEAD);
        let mut kept = 0;
        let mut next = |this: &mut Self, dst: u8| {
            if params == 0 {
                this.emit(span, Op::GetCapture, dst, 0, 0, kept);
            } else {
                this.emit(span, Op::Move, dst, kept as u8, 0, 0);
            }
            kept += 1;
        };
        match known {
            Callee::Const(constant) => match constant {
                Const::Import { .. } => {
                    let index = self.f.constant(constant.clone());
                    self.emit(span, Op::LoadImport, base, 0, 0, index);
                }
                constant => self.load_const(span, base, constant.clone()),
            },
            Callee::Method { .. } => {
                let receiver = self.f.alloc();
                next(self, receiver);
            }
            _ => next(self, base),
        }
        for _ in args {
            let slot = self.f.alloc();
            next(self, slot);
        }
        match known {
            Callee::Method { name, .. } => self.invoke(name.name, args, base, base, span),
            _ => self.emit_call(args, base, base, span),
        }
        self.emit(span, Op::Return, base, 0, 0, 0);
        self.leave("<deferred call>".into(), span);
        if let Some(code) = &mut self.protos[proto as usize] {
            code.params = vec!["".into(); params];
            code.required = params as u32;
        }
        proto
    }
}

/// Which parameter each argument is for; `None` if the call does not fit and must be left to run time.
fn arrange(args: &[Arg], names: &[Option<Name>], optional: &[bool]) -> Option<Vec<usize>> {
    let mut given = vec![false; names.len()];
    let mut slots = Vec::with_capacity(args.len());
    for (position, arg) in args.iter().enumerate() {
        let slot = match arg.name {
            None => position,
            Some(ident) => names.iter().position(|&name| name == Some(ident.name))?,
        };
        if *given.get(slot)? {
            return None;
        }
        given[slot] = true;
        slots.push(slot);
    }
    let is_complete = given
        .iter()
        .zip(optional)
        .all(|(given, optional)| *given || *optional);
    is_complete.then_some(slots)
}
