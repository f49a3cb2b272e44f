//! The walk over statements and expressions, in the order of evaluation.

use std::collections::{HashMap, HashSet};

use super::declare::{PatternUse, count};
use super::fold::{Literal, fold_binary, fold_unary};
use super::scope::{Found, Scope};
use super::{BindingId, BindingKind, Family, MODULE_BODY, Owner, OwnerInfo, Resolution, Target};
use crate::ast::*;
use crate::compile::{Options, Role};
use crate::diagnostics::Diagnostic;
use crate::stack::with_stack;
use heddle_bytecode::TypeShape;

/// The function being walked.
pub(super) struct FunctionContext {
    pub(super) owner: Owner,
    /// Loops around the place, within the function, innermost last: whether `break` may carry a value.
    pub(super) loops: Vec<bool>,
    pub(super) may_return: bool,
    pub(super) is_gen: bool,
    /// How many `scope`s stand around the place, within the function.
    pub(super) scopes: usize,
}

pub(super) struct Resolver<'a> {
    pub(super) ast: &'a Ast,
    pub(super) options: &'a Options<'a>,
    pub(super) prelude: HashSet<&'a str>,
    pub(super) out: Resolution,
    pub(super) diagnostics: Vec<Diagnostic>,
    pub(super) scopes: Vec<Scope<'a>>,
    pub(super) functions: Vec<FunctionContext>,
    /// All names in expressions by place: what a function mentions is what lies in its span.
    pub(super) name_uses: Vec<(u32, Name)>,
    /// Places of all calls, sorted.
    calls: Vec<u32>,
    /// A statement at top level may have called a function by now, so a `let` may be read before it is set.
    may_have_called: bool,
    /// Patterns that bind a name which was meant to be compared with.
    pub(super) mistaken: HashSet<PatId>,
    /// `thread` blocks: which may not capture a local `var`.
    thread_blocks: Vec<FnId>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(ast: &'a Ast, options: &'a Options<'a>) -> Resolver<'a> {
        let mut name_uses = Vec::new();
        let mut calls = Vec::new();
        for expr in &ast.exprs {
            match expr.kind {
                ExprKind::Name(name) => name_uses.push((expr.span.start, name)),
                ExprKind::Call { .. } => calls.push(expr.span.start),
                _ => {}
            }
        }
        name_uses.sort_unstable();
        calls.sort_unstable();
        let mut assignments: Vec<u32> = ast
            .stmts
            .iter()
            .filter(|stmt| matches!(stmt.kind, StmtKind::Assign { .. }))
            .map(|stmt| stmt.span.start)
            .collect();
        assignments.sort_unstable();
        let out = Resolution {
            targets: vec![Target::None; ast.exprs.len()],
            pat_bindings: vec![None; ast.pats.len()],
            fn_owners: vec![MODULE_BODY; ast.fns.len()],
            owners: vec![OwnerInfo::default()],
            assignments,
            ..Resolution::default()
        };
        Resolver {
            ast,
            options,
            prelude: options.prelude_names.iter().map(String::as_str).collect(),
            out,
            diagnostics: Vec::new(),
            scopes: Vec::new(),
            functions: vec![FunctionContext {
                owner: MODULE_BODY,
                loops: Vec::new(),
                may_return: false,
                is_gen: false,
                scopes: 0,
            }],
            name_uses,
            calls,
            may_have_called: false,
            mistaken: HashSet::new(),
            thread_blocks: Vec::new(),
        }
    }

    pub(super) fn owner(&self) -> Owner {
        self.functions
            .last()
            .expect("the module's body is a function")
            .owner
    }

    fn function_mut(&mut self) -> &mut FunctionContext {
        self.functions
            .last_mut()
            .expect("the module's body is a function")
    }

    pub(super) fn run(&mut self) {
        let stmts = &self.ast.root.stmts;
        self.push_scope(stmts);
        let root = self.scopes.last_mut().expect("just pushed");
        root.is_root = true;
        for &stmt in stmts {
            let StmtKind::Bind { pat, .. } = self.ast.stmt(stmt).kind else {
                continue;
            };
            let mut names = Vec::new();
            self.pattern_names(pat, &mut names);
            for (name, span) in names {
                if !self.scopes[0].ahead.contains_key(&name) {
                    let id = self.add_binding(name, span, BindingKind::Let, MODULE_BODY, true);
                    self.scopes[0].ahead.insert(name, id);
                }
            }
        }
        self.hoist(stmts, true);
        // Functions come last: they see every constant of the module.
        for &stmt in stmts {
            if !is_declaration(&self.ast.stmt(stmt).kind) {
                self.stmt(stmt);
                self.may_have_called |= self.has_call(self.ast.stmt(stmt).span);
            }
        }
        for &stmt in stmts {
            if is_declaration(&self.ast.stmt(stmt).kind) {
                self.stmt(stmt);
            }
        }
        self.warn_unreachable(stmts);
        self.pop_scope();
    }

    pub(super) fn finish(mut self) -> (Resolution, Vec<Diagnostic>) {
        self.find_static();
        for id in std::mem::take(&mut self.thread_blocks) {
            self.check_thread_block(id);
        }
        self.check_defaults();
        (self.out, self.diagnostics)
    }

    /// Should a base of another module be a kind of error, the linker makes the constructor: from defaults that capture nothing.
    fn check_defaults(&mut self) {
        for index in 0..self.out.types.len() as u32 {
            let Some(&owner) = self.out.constructor_owners.get(&index) else {
                continue;
            };
            if self.out.family(self.ast, index) != Family::Unknown {
                continue;
            }
            let Some(captured) = self.out.captures(owner).next() else {
                continue;
            };
            let info = self.out.type_info(index);
            let defaults = info.fields.iter().filter_map(|field| field.default);
            let spans: Vec<Span> = defaults.map(|value| self.ast.expr(value).span).collect();
            let binding = self.out.binding(captured);
            let (name, declared) = (binding.name, binding.span);
            let uses = spans.iter().find_map(|&span| self.use_within(name, span));
            let text = self.ast.name(name);
            let at = uses.or(spans.first().copied()).unwrap_or(declared);
            self.diagnostics.push(
                Diagnostic::error(
                    "E0216",
                    format!("the default of a field uses the local variable `{text}`"),
                    at,
                )
                .label("not in a type that is based on one of another module")
                .related(declared, "declared here")
                .help("pass it as a value for the field"),
            );
        }
    }

    /// A local function or type that captures nothing but such functions and types is a constant.
    fn find_static(&mut self) {
        loop {
            let mut changed = false;
            for index in 0..self.out.bindings.len() {
                let binding = &self.out.bindings[index];
                let captures = binding.is_static
                    && match binding.kind {
                        BindingKind::Fn(function) => {
                            let owner = self.out.fn_owners[function.0 as usize];
                            self.captures_other(owner, index)
                        }
                        BindingKind::Type(ty) => self.type_captures(ty, index),
                        _ => false,
                    };
                if captures {
                    self.out.bindings[index].is_static = false;
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn captures_other(&self, owner: Owner, binding: usize) -> bool {
        self.out.captures(owner).any(|id| id.0 as usize != binding)
    }

    /// Whether a method or the default of a field captures, or a type that this one is based on does.
    fn type_captures(&self, index: u32, binding: usize) -> bool {
        let info = self.out.type_info(index);
        let methods = info
            .methods
            .iter()
            .filter(|method| !method.is_required)
            .map(|method| self.out.fn_owners[method.function.0 as usize]);
        let constructors = std::iter::once(&index)
            .chain(&info.variants)
            .filter_map(|number| self.out.constructor_owners.get(number).copied());
        let is_on_local = || {
            let mut bases = info.bases.iter();
            bases.any(|&base| {
                let base = self.out.static_type(self.ast, base);
                base.is_some_and(|base| self.out.is_local_type(base))
            })
        };
        methods
            .chain(constructors)
            .any(|owner| self.captures_other(owner, binding))
            || is_on_local()
    }

    fn check_thread_block(&mut self, id: FnId) {
        let owner = self.out.fn_owners[id.0 as usize];
        let captured: Vec<BindingId> = self.out.captures(owner).collect();
        let of_module = self.out.owner(owner).module_vars.clone();
        for id in captured.into_iter().chain(of_module) {
            let binding = self.out.binding(id);
            if binding.kind != BindingKind::Var {
                continue;
            }
            let (name, declared) = (binding.name, binding.span);
            let is_local = !binding.is_root;
            let span = self.ast.func(self.fn_of_owner(owner)).span;
            let use_span = self.use_within(name, span).unwrap_or(span);
            let text = self.ast.name(name);
            let what = format!("a `thread` block cannot capture the variable `{text}`");
            // That of the module is a `ShareError` when the thread is started.
            let found = match is_local {
                true => Diagnostic::error("E0206", what, use_span),
                false => Diagnostic::warning("W0207", what, use_span),
            };
            self.diagnostics.push(
                found
                    .label("belongs to the thread that started this one")
                    .related(declared, "declared here")
                    .help(format!(
                        "copy its value into a `let` first, or share an `Atomic({text})`"
                    )),
            );
        }
    }

    fn fn_of_owner(&self, owner: Owner) -> FnId {
        let index = self.out.fn_owners.iter().position(|&other| other == owner);
        FnId(index.expect("blocks are functions") as u32)
    }

    fn use_within(&self, name: Name, span: Span) -> Option<Span> {
        let first = self.name_uses.partition_point(|&(at, _)| at < span.start);
        let &(start, _) = self.name_uses[first..]
            .iter()
            .take_while(|&&(at, _)| at < span.end)
            .find(|&&(_, used)| used == name)?;
        Some(Span {
            start,
            end: start + self.ast.name(name).len() as u32,
        })
    }

    fn has_call(&self, span: Span) -> bool {
        let first = self.calls.partition_point(|&at| at < span.start);
        self.calls.get(first).is_some_and(|&at| at < span.end)
    }

    pub(super) fn block(&mut self, block: &'a Block) {
        self.push_scope(&block.stmts);
        self.hoist(&block.stmts, false);
        for &stmt in &block.stmts {
            self.stmt(stmt);
        }
        self.warn_unreachable(&block.stmts);
        self.pop_scope();
    }

    fn loop_body(&mut self, block: &'a Block, takes_value: bool) {
        self.function_mut().loops.push(takes_value);
        self.block(block);
        self.function_mut().loops.pop();
    }

    fn warn_unreachable(&mut self, stmts: &[StmtId]) {
        for pair in stmts.windows(2) {
            let StmtKind::Expr(expr) = self.ast.stmt(pair[0]).kind else {
                continue;
            };
            let word = match self.ast.expr(expr).kind {
                ExprKind::Return(_) => "return",
                ExprKind::Break(_) => "break",
                ExprKind::Continue => "continue",
                ExprKind::Throw(_) => "throw",
                _ => continue,
            };
            let next = self.ast.stmt(pair[1]);
            if is_declaration(&next.kind) {
                continue;
            }
            let (first, span) = (self.ast.stmt(pair[0]).span, next.span);
            self.diagnostics.push(
                Diagnostic::warning("W0203", "unreachable code", span)
                    .label("never runs")
                    .related(first, format!("`{word}` leaves before")),
            );
            return;
        }
    }

    fn stmt(&mut self, id: StmtId) {
        with_stack(|| self.stmt_inner(id));
    }

    fn stmt_inner(&mut self, id: StmtId) {
        let stmt = self.ast.stmt(id);
        match &stmt.kind {
            StmtKind::Expr(expr) => self.expr(*expr),
            StmtKind::Bind {
                kind,
                is_pub,
                pat,
                value,
            } => self.bind_stmt(id, *kind, *is_pub, *pat, *value),
            StmtKind::Assign {
                target, value, op, ..
            } => {
                self.assign_target(*target);
                if op.is_some()
                    && matches!(
                        self.ast.expr(*target).kind,
                        ExprKind::Tuple(_) | ExprKind::List(_)
                    )
                {
                    let span = self.ast.expr(*target).span;
                    self.error(Diagnostic::error(
                        "E0214",
                        "several targets take only `=`",
                        span,
                    ));
                }
                self.expr(*value);
            }
            StmtKind::While { cond, body } => {
                self.function_mut().loops.push(false);
                self.expr(*cond);
                self.function_mut().loops.pop();
                self.loop_body(body, false);
            }
            StmtKind::For {
                pat,
                value_pat,
                iter,
                body,
            } => {
                self.expr(*iter);
                self.push_scope(&[]);
                self.pattern(*pat, PatternUse::Loop, None);
                if let Some(value) = value_pat {
                    self.pattern(*value, PatternUse::Loop, None);
                }
                self.loop_body(body, false);
                self.pop_scope();
            }
            StmtKind::Fn { func, .. } => {
                if !self.out.made_at_entry.contains(func) {
                    self.function(*func, None);
                    if let Some(name) = self.ast.func(*func).name
                        && let Some(&binding) =
                            self.out.declared_at.get(&(name.span.start, name.name))
                    {
                        self.out.bindings[binding.0 as usize].is_set = true;
                    }
                }
            }
            StmtKind::Struct(_) | StmtKind::Enum(_) | StmtKind::Trait(_) => {
                if !self.out.types_made_at_entry.contains_key(&id) {
                    self.type_stmt(id);
                }
            }
            StmtKind::Import(_) | StmtKind::From { .. } | StmtKind::Error => {}
            StmtKind::Defer(started) => {
                let owner = self.owner();
                self.out.owners[owner.0 as usize].has_defer = true;
                self.started(started);
            }
            StmtKind::Assert { cond, message } => {
                self.expr(*cond);
                if let Some(message) = message {
                    self.expr(*message);
                }
            }
            StmtKind::Test { body, .. } => {
                if self.options.is_test {
                    self.function(*body, None);
                } else {
                    self.note_uses(self.ast.func(*body).span);
                }
            }
        }
    }

    fn bind_stmt(&mut self, id: StmtId, kind: BindKind, is_pub: bool, pat: PatId, value: ExprId) {
        let is_root = self.scopes.last().is_some_and(|scope| scope.is_root);
        let span = self.ast.stmt(id).span;
        if !is_root && matches!(kind, BindKind::Const | BindKind::LocalVar) {
            let (word, instead) = match kind {
                BindKind::Const => ("const", "let"),
                _ => ("local var", "var"),
            };
            let mut diagnostic =
                Diagnostic::error("E0215", format!("`{word}` stands only at top level"), span)
                    .help(format!("use `{instead}` here"));
            if kind == BindKind::Const && !is_pub {
                let end = span.start + "const".len() as u32;
                diagnostic = diagnostic.replace(Span { end, ..span }, instead);
            }
            self.error(diagnostic);
        }
        if kind == BindKind::LocalVar {
            let owner = self.new_owner();
            self.out.initialiser_owners.insert(id, owner);
            self.functions.push(FunctionContext {
                owner,
                loops: Vec::new(),
                may_return: false,
                is_gen: false,
                scopes: 0,
            });
            self.push_scope(&[]);
            self.expr(value);
            self.pop_scope();
            self.functions.pop();
        } else {
            self.expr(value);
        }
        self.pattern(pat, PatternUse::Bind(kind), None);
        let mut names = Vec::new();
        self.pattern_names(pat, &mut names);
        for (name, span) in names {
            if let Some(&binding) = self.out.declared_at.get(&(span.start, name)) {
                self.out.bindings[binding.0 as usize].is_pub = is_pub;
            }
        }
        let Some(binding) = self.out.pat_binding(pat) else {
            return;
        };
        self.out.bindings[binding.0 as usize].is_list =
            kind == BindKind::Let && self.makes_list(value);
        let is_always_set = kind == BindKind::Const
            || kind == BindKind::Let && (!is_root || !self.may_have_called && !self.has_call(span));
        if is_always_set && self.options.repl_scope.is_none() {
            let entry = &mut self.out.bindings[binding.0 as usize];
            if !entry.is_early {
                entry.literal = self.out.folded.get(&value).copied();
            }
        }
    }

    /// A test that is left out still uses what it names: no warning about its imports.
    fn note_uses(&mut self, span: Span) {
        let first = self.name_uses.partition_point(|&(at, _)| at < span.start);
        for &(at, name) in &self.name_uses[first..] {
            if at >= span.end {
                break;
            }
            if let Some(&id) = self.scopes[0].names.get(&name) {
                self.out.bindings[id.0 as usize].is_used = true;
            }
        }
    }

    /// Whether the value is certain to be a list of its own.
    fn makes_list(&self, value: ExprId) -> bool {
        match &self.ast.expr(value).kind {
            ExprKind::List(_) => true,
            ExprKind::Binary {
                op: BinaryOp::Mul,
                left,
                ..
            } => {
                matches!(self.ast.expr(*left).kind, ExprKind::List(_))
            }
            ExprKind::Call { callee, .. } if self.options.role == Role::Prelude => {
                matches!(self.ast.expr(*callee).kind, ExprKind::Name(name)
                    if self.ast.name(name) == "__list_with_capacity")
            }
            _ => false,
        }
    }

    fn assign_target(&mut self, id: ExprId) {
        let expr = self.ast.expr(id);
        match &expr.kind {
            ExprKind::Name(name) => match self.lookup(*name) {
                Found::Target(Target::Binding(binding)) => {
                    self.out.targets[id.0 as usize] = Target::Binding(binding);
                    let kind = self.out.binding(binding).kind;
                    if matches!(kind, BindingKind::Var | BindingKind::LocalVar)
                        || self.is_unset_var(binding)
                    {
                        self.touch(binding);
                        self.out.bindings[binding.0 as usize].is_assigned = true;
                    } else {
                        self.out.bindings[binding.0 as usize].is_used = true;
                        self.report_not_assignable(binding, expr.span);
                    }
                }
                Found::Target(Target::Repl { module, is_var }) => {
                    self.out.targets[id.0 as usize] = Target::Repl { module, is_var };
                    if !is_var {
                        let text = self.ast.name(*name);
                        self.error(
                            Diagnostic::error(
                                "E0203",
                                format!("cannot assign to `{text}`: it is no `var`"),
                                expr.span,
                            )
                            .help(format!("declare it anew: `var {text} = …`")),
                        );
                    }
                }
                Found::Target(_) => {
                    let text = self.ast.name(*name);
                    self.error(
                        Diagnostic::error(
                            "E0203",
                            format!("cannot assign to `{text}`: it belongs to the prelude"),
                            expr.span,
                        )
                        .label("assigned here")
                        .help(format!("declare a variable of that name: `var {text} = …`")),
                    );
                }
                Found::TooEarly(binding) => self.report_too_early(binding, expr.span),
                Found::Nothing => {
                    let text = self.ast.name(*name);
                    let before = self.diagnostics.len();
                    self.report_undefined(*name, expr.span);
                    let diagnostic = &mut self.diagnostics[before];
                    if diagnostic.help.is_none() {
                        diagnostic.help = Some(format!("declare it: `var {text} = …`"));
                    }
                }
            },
            ExprKind::Field { object, name, .. } => {
                self.expr(*object);
                self.check_field(*object, *name, true);
            }
            ExprKind::Index { object, index } => {
                self.expr(*object);
                self.expr(*index);
            }
            ExprKind::Tuple(parts) | ExprKind::List(parts) => {
                for &part in parts {
                    self.assign_target(part);
                }
            }
            ExprKind::Error => {}
            _ => {
                self.expr(id);
                self.error(
                    Diagnostic::error("E0214", "cannot assign to this", expr.span)
                        .label("not a name, field or index"),
                );
            }
        }
    }

    /// A `var` that a function names before its declaration was walked, so its kind is not known yet.
    fn is_unset_var(&self, id: BindingId) -> bool {
        let binding = self.out.binding(id);
        !binding.is_set
            && binding.kind == BindingKind::Let
            && self.ast.stmts.iter().any(|stmt| match stmt.kind {
                StmtKind::Bind {
                    kind: BindKind::Var | BindKind::LocalVar,
                    pat,
                    ..
                } => {
                    let mut names = Vec::new();
                    self.pattern_names(pat, &mut names);
                    names.contains(&(binding.name, binding.span))
                }
                _ => false,
            })
    }

    fn started(&mut self, started: &'a Started) {
        match started {
            Started::Call(call) => self.expr(*call),
            Started::Block(function) => self.function(*function, None),
        }
    }

    pub(super) fn expr(&mut self, id: ExprId) {
        with_stack(|| self.expr_inner(id));
    }

    fn exprs(&mut self, ids: &[ExprId]) {
        for &id in ids {
            self.expr(id);
        }
    }

    fn args(&mut self, args: &[Arg]) {
        let mut named: Option<Span> = None;
        for arg in args {
            self.expr(arg.value);
            match arg.name {
                Some(name) => named = Some(name.span),
                None => {
                    if let Some(first) = named {
                        let span = self.ast.expr(arg.value).span;
                        self.error(
                            Diagnostic::error(
                                "E0212",
                                "positional argument after a named one",
                                span,
                            )
                            .related(first, "named here")
                            .help("put positional arguments first"),
                        );
                    }
                }
            }
        }
    }

    fn expr_inner(&mut self, id: ExprId) {
        let expr = self.ast.expr(id);
        match &expr.kind {
            ExprKind::Int(value) => {
                self.out.folded.insert(id, Literal::Int(*value));
            }
            ExprKind::Float(value) => {
                self.out.folded.insert(id, Literal::Float(*value));
            }
            ExprKind::Nil
            | ExprKind::Bool(_)
            | ExprKind::BigInt(_)
            | ExprKind::Duration(_)
            | ExprKind::Str(_)
            | ExprKind::Bytes(_)
            | ExprKind::Error => {}
            ExprKind::Interp(parts) => {
                for part in parts {
                    if let InterpPart::Value { value, .. } = part {
                        self.expr(*value);
                    }
                }
            }
            ExprKind::Name(name) => self.name(id, *name, expr.span),
            ExprKind::List(items) | ExprKind::Tuple(items) => self.exprs(items),
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    if let MapKey::Computed(key) = key {
                        self.expr(*key);
                    }
                    self.expr(*value);
                }
            }
            ExprKind::Range { start, end, .. } => {
                self.exprs(start.as_slice());
                self.exprs(end.as_slice());
            }
            ExprKind::Unary { op, operand } => {
                self.expr(*operand);
                if let Some(&value) = self.out.folded.get(operand)
                    && let Some(value) = fold_unary(*op, value)
                {
                    self.out.folded.insert(id, value);
                }
            }
            ExprKind::Binary {
                op, left, right, ..
            } => {
                self.expr(*left);
                self.expr(*right);
                if let (Some(&a), Some(&b)) =
                    (self.out.folded.get(left), self.out.folded.get(right))
                    && let Some(value) = fold_binary(*op, a, b)
                {
                    self.out.folded.insert(id, value);
                }
            }
            ExprKind::Is { value, ty, .. } => {
                self.expr(*value);
                self.expr(*ty);
            }
            ExprKind::Call { callee, args } => {
                self.expr(*callee);
                self.args(args);
                self.check_call(*callee, args, expr.span);
            }
            ExprKind::Index { object, index } => {
                self.expr(*object);
                self.expr(*index);
            }
            ExprKind::Field { object, name, .. } => {
                self.expr(*object);
                self.check_field(*object, *name, false);
            }
            ExprKind::Closure(function) => self.function(*function, None),
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.expr(*cond);
                self.block(then);
                self.exprs(otherwise.as_slice());
            }
            ExprKind::Match { subject, arms } => {
                self.expr(*subject);
                for arm in arms {
                    self.push_scope(&[]);
                    self.pattern(arm.pat, PatternUse::Arm, None);
                    self.exprs(arm.guard.as_slice());
                    self.expr(arm.body);
                    self.pop_scope();
                }
                self.warn_unreachable_arms(arms);
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Loop(block) => self.loop_body(block, true),
            ExprKind::Try { body, catches } => {
                self.block(body);
                for catch in catches {
                    self.push_scope(&[]);
                    if let Some(name) = catch.binding {
                        self.declare(name.name, name.span, BindingKind::Pattern);
                    }
                    self.exprs(catch.guard.as_slice());
                    self.block(&catch.body);
                    self.pop_scope();
                }
                self.warn_unreachable_catches(catches);
            }
            ExprKind::Scope { options, body } => {
                self.args(options);
                self.function_mut().scopes += 1;
                self.block(body);
                self.function_mut().scopes -= 1;
            }
            ExprKind::Select(arms) => self.select(arms),
            ExprKind::Spawn {
                kind,
                options,
                what,
            } => {
                self.args(options);
                self.started(what);
                if let (SpawnKind::Thread, Started::Block(block)) = (kind, what) {
                    self.thread_blocks.push(*block);
                }
            }
            ExprKind::Return(value) => {
                self.exprs(value.as_slice());
                if !self
                    .functions
                    .last()
                    .is_some_and(|function| function.may_return)
                {
                    self.error(
                        Diagnostic::error("E0208", "`return` outside a function", expr.span)
                            .label("there is nothing to return from"),
                    );
                }
            }
            ExprKind::Break(value) => {
                self.exprs(value.as_slice());
                self.check_in_loop("break", expr.span);
                let innermost = self.functions.last().and_then(|f| f.loops.last());
                if value.is_some() && innermost == Some(&false) {
                    self.error(
                        Diagnostic::error(
                            "E0207",
                            "`break` with a value outside a `loop`",
                            expr.span,
                        )
                        .label("`for` and `while` have no value"),
                    );
                }
            }
            ExprKind::Continue => self.check_in_loop("continue", expr.span),
            ExprKind::Throw(value) => self.expr(*value),
            ExprKind::Yield(value) => {
                self.exprs(value.as_slice());
                let function = self.functions.last();
                if value.is_some()
                    && function.is_some_and(|function| function.is_gen && function.scopes > 0)
                {
                    self.error(
                        Diagnostic::error(
                            "E0221",
                            "a generator cannot `yield` a value out of a `scope`",
                            expr.span,
                        )
                        .label("the scope would be left open, around nobody knows what")
                        .help(
                            "let the scope end first, or let who takes the values open the scope",
                        ),
                    );
                }
                if value.is_some()
                    && !self
                        .functions
                        .last()
                        .is_some_and(|function| function.is_gen)
                {
                    let mut diagnostic = Diagnostic::error(
                        "E0209",
                        "`yield` with a value outside a `gen fn`",
                        expr.span,
                    )
                    .label("nobody takes the value")
                    .help("write `gen fn` to make the function a generator");
                    if let Some(at) = self.fn_around(expr.span) {
                        diagnostic = diagnostic
                            .fix("make the function a generator", vec![(at, "gen ".into())]);
                    }
                    self.error(diagnostic);
                }
            }
        }
    }

    /// The place before the innermost function around a place, if that is written with `fn`.
    fn fn_around(&self, place: Span) -> Option<Span> {
        if !self.may_search() {
            return None;
        }
        let around = self
            .ast
            .fns
            .iter()
            .filter(|func| func.span.start <= place.start && place.end <= func.span.end)
            .min_by_key(|func| func.span.end - func.span.start)?;
        (around.kind == FnKind::Fn).then_some(Span {
            start: around.span.start,
            end: around.span.start,
        })
    }

    fn select(&mut self, arms: &'a [SelectArm]) {
        for arm in arms {
            match arm {
                SelectArm::Op { pat, op, body, .. } => {
                    self.expr(*op);
                    self.push_scope(&[]);
                    if let Some(pat) = pat {
                        self.pattern(*pat, PatternUse::Arm, None);
                    }
                    self.expr(*body);
                    self.pop_scope();
                }
                SelectArm::After { delay, body, .. } => {
                    self.expr(*delay);
                    self.expr(*body);
                }
                SelectArm::Else { body, .. } => self.expr(*body),
            }
        }
    }

    fn check_in_loop(&mut self, word: &str, span: Span) {
        if self
            .functions
            .last()
            .is_some_and(|function| function.loops.is_empty())
        {
            self.error(
                Diagnostic::error("E0207", format!("`{word}` outside a loop"), span)
                    .label("no loop around it in this function"),
            );
        }
    }

    fn name(&mut self, id: ExprId, name: Name, span: Span) {
        match self.lookup(name) {
            Found::Target(target) => {
                self.out.targets[id.0 as usize] = target;
                let Target::Binding(binding) = target else {
                    return;
                };
                let entry = &mut self.out.bindings[binding.0 as usize];
                entry.is_used = true;
                match entry.literal {
                    Some(literal) => {
                        self.out.folded.insert(id, literal);
                    }
                    None => self.touch(binding),
                }
            }
            Found::TooEarly(binding) => self.report_too_early(binding, span),
            Found::Nothing => self.report_undefined(name, span),
        }
    }

    fn check_call(&mut self, callee: ExprId, args: &[Arg], span: Span) {
        if let Target::Binding(binding) = self.out.target(callee)
            && let BindingKind::Fn(function) = self.out.binding(binding).kind
        {
            self.check_arguments(function, args, span);
            return;
        }
        if let Some(index) = self.out.static_type(self.ast, callee) {
            self.check_construction(index, args);
        }
    }

    fn check_arguments(&mut self, function: FnId, args: &[Arg], span: Span) {
        let func = self.ast.func(function);
        let name = func
            .name
            .map_or("the function", |name| self.ast.name(name.name));
        let declared = func.name.map_or(func.span, |name| name.span);
        let positional = args.iter().filter(|arg| arg.name.is_none()).count();
        if args.iter().skip(positional).any(|arg| arg.name.is_none()) {
            // In the wrong order, which has been said: what is given cannot be told.
            return;
        }
        let mut given: Vec<bool> = (0..func.params.len())
            .map(|index| index < positional)
            .collect();
        let complain = |message: String, at: Span| {
            Diagnostic::error("E0204", message, at)
                .related(declared, format!("`{name}` is declared here"))
        };
        if positional > func.params.len() && func.rest.is_none() {
            let takes = count(func.params.len(), "argument");
            self.error(complain(
                format!("`{name}` takes {takes}, {positional} given"),
                span,
            ));
            return;
        }
        for arg in args {
            let Some(ident) = arg.name else { continue };
            let text = self.ast.name(ident.name);
            let position = func
                .params
                .iter()
                .position(|param| matches!(self.ast.pat(param.pat).kind, PatKind::Bind(name) if name == ident.name));
            match position {
                Some(position) if given[position] => {
                    self.error(complain(
                        format!("the argument `{text}` is given twice"),
                        ident.span,
                    ));
                }
                Some(position) => given[position] = true,
                None => {
                    let params =
                        func.params
                            .iter()
                            .filter_map(|param| match self.ast.pat(param.pat).kind {
                                PatKind::Bind(name) => Some(self.ast.name(name)),
                                _ => None,
                            });
                    let diagnostic =
                        complain(format!("`{name}` has no parameter `{text}`"), ident.span);
                    let near = self.nearest_of(text, params);
                    self.error(diagnostic.did_you_mean(ident.span, near));
                }
            }
        }
        let missing: Vec<String> = func
            .params
            .iter()
            .zip(&given)
            .enumerate()
            .filter(|(_, (param, given))| param.default.is_none() && !**given)
            .map(|(index, (param, _))| match self.ast.pat(param.pat).kind {
                PatKind::Bind(name) => format!("`{}`", self.ast.name(name)),
                _ => format!("number {}", index + 1),
            })
            .collect();
        if !missing.is_empty() {
            let noun = if missing.len() == 1 {
                "argument"
            } else {
                "arguments"
            };
            let list = missing.join(", ");
            self.error(complain(
                format!("`{name}` is missing the {noun} {list}"),
                span,
            ));
        }
    }

    fn check_construction(&mut self, index: u32, args: &[Arg]) {
        let info = self.out.type_info(index);
        if !matches!(info.shape, TypeShape::Struct | TypeShape::Variant)
            || self.out.family(self.ast, index) != super::types::Family::Plain
        {
            return;
        }
        let type_name = self.ast.name(info.name).to_string();
        let fields: Vec<&str> = info
            .fields
            .iter()
            .map(|field| self.ast.name(field.name.name))
            .collect();
        for arg in args {
            let Some(ident) = arg.name else { continue };
            let text = self.ast.name(ident.name);
            if !fields.contains(&text) {
                let near = self.nearest_of(text, fields.iter().copied());
                let diagnostic = Diagnostic::warning(
                    "W0205",
                    format!("`{type_name}` has no field `{text}`"),
                    ident.span,
                );
                self.diagnostics
                    .push(diagnostic.did_you_mean(ident.span, near));
            }
        }
        if let Some(extra) = args
            .iter()
            .filter(|arg| arg.name.is_none())
            .nth(fields.len())
        {
            let span = self.ast.expr(extra.value).span;
            let has = count(fields.len(), "field");
            self.diagnostics.push(Diagnostic::warning(
                "W0205",
                format!("`{type_name}` has only {has}"),
                span,
            ));
        }
    }

    /// `self.name` in a method: the fields of the struct are known.
    fn check_field(&mut self, object: ExprId, name: Ident, is_assigned: bool) {
        let Target::Binding(binding) = self.out.target(object) else {
            return;
        };
        let Some(index) = self.out.binding(binding).self_type else {
            return;
        };
        if self.out.family(self.ast, index) != super::types::Family::Plain {
            return;
        }
        let info = self.out.type_info(index);
        let (text, type_name) = (self.ast.name(name.name), self.ast.name(info.name));
        if is_assigned
            && let Some(field) = info
                .fields
                .iter()
                .find(|field| field.name.name == name.name)
            && !field.is_var
        {
            let diagnostic = Diagnostic::warning(
                "W0206",
                format!("the field `{text}` of `{type_name}` cannot be assigned"),
                name.span,
            )
            .related(field.name.span, "declared without `var`")
            .help(format!(
                "declare it `var {text}`, or use `.with({text}: …)`"
            ));
            self.diagnostics.push(diagnostic);
            return;
        }
        if self.out.has_member(self.ast, index, name.name) == Some(false) {
            let members = info
                .fields
                .iter()
                .map(|field| field.name.name)
                .chain(info.methods.iter().map(|method| method.name))
                .map(|member| self.ast.name(member));
            let near = self.nearest_of(text, members);
            let diagnostic = Diagnostic::warning(
                "W0205",
                format!("`{type_name}` has no field or method `{text}`"),
                name.span,
            );
            self.diagnostics
                .push(diagnostic.did_you_mean(name.span, near));
        }
    }

    fn warn_unreachable_arms(&mut self, arms: &[MatchArm]) {
        let mut seen: HashMap<String, Span> = HashMap::new();
        for (index, arm) in arms.iter().enumerate() {
            if arm.guard.is_some() {
                continue;
            }
            if self.is_irrefutable(arm.pat) {
                if let Some(next) = arms.get(index + 1) {
                    self.diagnostics.push(
                        Diagnostic::warning("W0204", "unreachable arm", next.span)
                            .related(self.ast.pat(arm.pat).span, "this matches everything"),
                    );
                }
                return;
            }
            let alternatives = match &self.ast.pat(arm.pat).kind {
                PatKind::Or(alternatives) => alternatives.clone(),
                _ => vec![arm.pat],
            };
            for pat in alternatives {
                let PatKind::Literal(value) = self.ast.pat(pat).kind else {
                    continue;
                };
                let Some(key) = self.literal_key(value) else {
                    continue;
                };
                let span = self.ast.pat(pat).span;
                if let Some(&first) = seen.get(&key) {
                    self.diagnostics.push(
                        Diagnostic::warning("W0204", "unreachable arm", span)
                            .label("never matches")
                            .related(first, "the same value is matched here"),
                    );
                }
                seen.entry(key).or_insert(span);
            }
        }
    }

    fn warn_unreachable_catches(&mut self, catches: &[CatchArm]) {
        if let Some(index) = catches.iter().position(|catch| catch.guard.is_none())
            && let Some(next) = catches.get(index + 1)
        {
            self.diagnostics.push(
                Diagnostic::warning("W0204", "unreachable `catch`", next.span)
                    .related(catches[index].span, "this catches everything"),
            );
        }
    }

    fn is_irrefutable(&self, pat: PatId) -> bool {
        matches!(self.ast.pat(pat).kind, PatKind::Wildcard | PatKind::Bind(_))
            && !self.mistaken.contains(&pat)
    }

    fn literal_key(&self, value: ExprId) -> Option<String> {
        match self.out.folded.get(&value) {
            Some(literal) => Some(match literal.as_compared_int() {
                Some(int) => format!("{int}"),
                None => format!("{literal:?}"),
            }),
            None => match &self.ast.expr(value).kind {
                ExprKind::Nil => Some("nil".into()),
                ExprKind::Bool(value) => Some(format!("{value}")),
                ExprKind::Str(text) => Some(format!("{text:?}")),
                _ => None,
            },
        }
    }
}

/// Statements that do nothing when control passes them.
fn is_declaration(kind: &StmtKind) -> bool {
    matches!(
        kind,
        StmtKind::Fn { .. }
            | StmtKind::Struct(_)
            | StmtKind::Enum(_)
            | StmtKind::Trait(_)
            | StmtKind::Import(_)
            | StmtKind::From { .. }
            | StmtKind::Test { .. }
    )
}
