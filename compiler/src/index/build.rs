//! Makes the index: first the declarations, then where each of them is named.

use super::shape::{MAX_STEPS, Shape};
use super::{Index, Meaning, Occurrence, Origin, Role, Symbol, SymbolId, SymbolKind};
use crate::ast::{
    Arg, Ast, Block, ExprId, ExprKind, FieldDecl, FnBody, FnId, ImportPath, Name, PatId, PatKind,
    SelectArm, Span, StmtId, StmtKind,
};
use crate::ids::IdMap;
use crate::resolve::{Binding, BindingId, BindingKind, Resolution, Target};
use heddle_bytecode::ModuleRef;

/// Nodes of the tree behind a symbol.
#[derive(Default)]
pub(super) struct Source {
    pub(super) func: Option<FnId>,
    /// What a variable is set to where it is declared; a default.
    pub(super) value: Option<ExprId>,
    pub(super) bases: Vec<ExprId>,
    /// Bound by `catch`.
    pub(super) is_caught: bool,
}

pub(super) struct Builder<'a> {
    text: &'a str,
    pub(super) ast: &'a Ast,
    pub(super) resolution: &'a Resolution,
    pub(super) symbols: Vec<Symbol>,
    /// By symbol.
    pub(super) sources: Vec<Source>,
    /// By type and name.
    pub(super) members: IdMap<(u32, Name), SymbolId>,
    /// Members by where their names stand: fields are variables of their constructors, too.
    by_place: IdMap<u32, SymbolId>,
    of_bindings: Vec<SymbolId>,
    occurrences: Vec<Occurrence>,
    receivers: Vec<(u32, Shape)>,
}

/// A declaration around the pattern that binds names.
struct Bound {
    pattern: Span,
    stmt: Span,
    value: Option<ExprId>,
    /// The pattern is the name alone.
    is_whole: bool,
}

impl Index {
    pub(crate) fn new(text: &str, ast: &Ast, resolution: &Resolution) -> Index {
        let mut builder = Builder {
            text,
            ast,
            resolution,
            symbols: Vec::new(),
            sources: Vec::new(),
            members: IdMap::default(),
            by_place: IdMap::default(),
            of_bindings: Vec::new(),
            occurrences: Vec::new(),
            receivers: Vec::new(),
        };
        builder.declare_members();
        builder.declare_bindings();
        builder.declare_tests();
        builder.relate();
        builder.name_declarations();
        builder.name_imports();
        builder.name_expressions();
        builder.name_parts();
        builder.finish()
    }
}

impl<'a> Builder<'a> {
    fn finish(mut self) -> Index {
        self.occurrences.sort_by_key(|found| {
            let is_use = found.role != Role::Declaration;
            (found.span.start, is_use)
        });
        self.occurrences
            .dedup_by(|later, first| later.span.start == first.span.start);
        self.receivers.sort_by_key(|(start, _)| *start);
        Index {
            symbols: self.symbols,
            occurrences: self.occurrences,
            receivers: self.receivers,
        }
    }

    pub(super) fn of_binding(&self, id: BindingId) -> SymbolId {
        self.of_bindings[id.0 as usize]
    }

    fn add(&mut self, symbol: Symbol, source: Source) -> SymbolId {
        self.symbols.push(symbol);
        self.sources.push(source);
        SymbolId(self.symbols.len() as u32 - 1)
    }

    fn occur(&mut self, span: Span, meaning: Meaning, role: Role) {
        self.occurrences.push(Occurrence {
            span,
            meaning,
            role,
            is_shorthand: false,
        });
    }

    fn name_text(&self, name: Name) -> Box<str> {
        self.ast.name(name).into()
    }

    // --- declarations ---

    /// Types with what they have. Their names become symbols here, those of all other declarations in `declare_bindings`.
    fn declare_members(&mut self) {
        for (at, stmt) in self.ast.stmts.iter().enumerate() {
            if !self
                .resolution
                .type_of_stmt
                .contains_key(&StmtId(at as u32))
            {
                continue;
            }
            let extent = stmt.span;
            match &stmt.kind {
                StmtKind::Struct(decl) => {
                    let params = decl.fields.iter().map(|field| self.field_span(field));
                    let params = params.collect();
                    let id = self.declare_type(
                        SymbolKind::Struct,
                        decl.name,
                        extent,
                        &decl.bases,
                        params,
                    );
                    self.declare_fields(id, &decl.fields);
                    self.declare_methods(id, &decl.methods);
                }
                StmtKind::Enum(decl) => {
                    let id =
                        self.declare_type(SymbolKind::Enum, decl.name, extent, &decl.bases, vec![]);
                    for variant in &decl.variants {
                        let params: Vec<Span> = variant
                            .fields
                            .iter()
                            .map(|field| self.field_span(field))
                            .collect();
                        let span = variant.name.span;
                        let head = match (variant.has_parens, params.last()) {
                            (false, _) => span,
                            (true, last) => Span {
                                start: span.start,
                                // The closing parenthesis, or both.
                                end: last.map_or(span.end + 2, |last| last.end + 1),
                            },
                        };
                        let symbol = Symbol {
                            extent: head,
                            head,
                            params,
                            parent: Some(id),
                            ..self.symbol(SymbolKind::Variant, variant.name.name, span)
                        };
                        let variant_id = self.add_member(symbol, Source::default());
                        self.members.insert((id.0, variant.name.name), variant_id);
                        self.declare_fields(variant_id, &variant.fields);
                    }
                    self.declare_methods(id, &decl.methods);
                }
                StmtKind::Trait(decl) => {
                    let id = self.declare_type(
                        SymbolKind::Trait,
                        decl.name,
                        extent,
                        &decl.bases,
                        vec![],
                    );
                    self.declare_methods(id, &decl.methods);
                }
                _ => {}
            }
        }
    }

    fn symbol(&self, kind: SymbolKind, name: Name, span: Span) -> Symbol {
        Symbol {
            name: self.name_text(name),
            ..self.nameless(kind, span)
        }
    }

    fn nameless(&self, kind: SymbolKind, span: Span) -> Symbol {
        Symbol {
            name: "".into(),
            kind,
            span,
            extent: span,
            head: span,
            scope: Span::default(),
            is_hoisted: false,
            is_top: false,
            is_pub: false,
            is_var: false,
            parent: None,
            params: Vec::new(),
            origin: None,
            bases: Vec::new(),
            is_error: false,
            shape: Shape::Unknown,
            result: Shape::Unknown,
        }
    }

    fn add_member(&mut self, symbol: Symbol, source: Source) -> SymbolId {
        let start = symbol.span.start;
        let id = self.add(symbol, source);
        self.by_place.insert(start, id);
        id
    }

    fn declare_type(
        &mut self,
        kind: SymbolKind,
        name: crate::ast::Ident,
        extent: Span,
        bases: &[ExprId],
        params: Vec<Span>,
    ) -> SymbolId {
        let head_end = bases
            .last()
            .map_or(name.span.end, |&base| self.ast.expr(base).span.end);
        let symbol = Symbol {
            extent,
            head: Span {
                start: extent.start,
                end: head_end,
            },
            params,
            ..self.symbol(kind, name.name, name.span)
        };
        let source = Source {
            bases: bases.to_vec(),
            ..Source::default()
        };
        self.add_member(symbol, source)
    }

    fn field_span(&self, field: &FieldDecl) -> Span {
        match field.default {
            Some(default) => field.name.span.to(self.ast.expr(default).span),
            None => field.name.span,
        }
    }

    fn declare_fields(&mut self, parent: SymbolId, fields: &[FieldDecl]) {
        for field in fields {
            let extent = self.field_span(field);
            let symbol = Symbol {
                extent,
                head: extent,
                is_var: field.is_var,
                parent: Some(parent),
                ..self.symbol(SymbolKind::Field, field.name.name, field.name.span)
            };
            let source = Source {
                value: field.default,
                ..Source::default()
            };
            let id = self.add_member(symbol, source);
            self.members.insert((parent.0, field.name.name), id);
        }
    }

    fn declare_methods(&mut self, parent: SymbolId, methods: &[FnId]) {
        for &method in methods {
            let func = self.ast.func(method);
            let Some(name) = func.name else { continue };
            let symbol = Symbol {
                parent: Some(parent),
                ..self.function(SymbolKind::Method, method, name)
            };
            let source = Source {
                func: Some(method),
                ..Source::default()
            };
            let id = self.add_member(symbol, source);
            self.members.insert((parent.0, name.name), id);
        }
    }

    fn function(&self, kind: SymbolKind, id: FnId, name: crate::ast::Ident) -> Symbol {
        let func = self.ast.func(id);
        let mut params: Vec<Span> = func
            .params
            .iter()
            .map(|param| {
                let span = self.ast.pat(param.pat).span;
                param
                    .default
                    .map_or(span, |default| span.to(self.ast.expr(default).span))
            })
            .collect();
        params.extend(func.rest.map(|rest| Span {
            start: rest.span.start.saturating_sub("..".len() as u32),
            ..rest.span
        }));
        let end = match &func.body {
            FnBody::Block(block) => block.span.start,
            FnBody::Expr(_) | FnBody::Missing => func.span.end,
        };
        Symbol {
            extent: func.span,
            head: Span {
                start: func.span.start,
                end: end.max(name.span.end),
            },
            params,
            is_hoisted: true,
            ..self.symbol(kind, name.name, name.span)
        }
    }

    fn declare_bindings(&mut self) {
        let bounds = self.bounds();
        let scopes = Scopes::new(self.ast);
        for at in 0..self.resolution.bindings.len() {
            let binding = self.resolution.binding(BindingId(at as u32)).clone();
            let id = self.declare_binding(&binding, &bounds);
            self.of_bindings.push(id);
            let symbol = &mut self.symbols[id.0 as usize];
            let place = match binding.kind {
                BindingKind::Fn(func) => Err(self.ast.func(func).span.start),
                _ => Ok(binding.span.start),
            };
            symbol.is_top = binding.is_root && !symbol.kind.is_member();
            if !symbol.kind.is_member() {
                symbol.is_pub = binding.is_pub;
                symbol.scope = scopes.around(place);
            }
        }
        self.declare_parameters();
    }

    fn declare_binding(&mut self, binding: &Binding, bounds: &[Bound]) -> SymbolId {
        if let Some(&member) = self.by_place.get(&binding.span.start) {
            let symbol = &mut self.symbols[member.0 as usize];
            symbol.is_hoisted |= symbol.kind.is_type();
            return member;
        }
        let name = binding.name;
        let origin = |module: u32, name: Option<Name>| {
            Some(Origin {
                module: self.resolution.imports[module as usize].clone(),
                name: name.map(|name| self.name_text(name)),
            })
        };
        match binding.kind {
            BindingKind::Fn(func) => {
                let ident = crate::ast::Ident {
                    name,
                    span: binding.span,
                };
                let symbol = self.function(SymbolKind::Function, func, ident);
                let source = Source {
                    func: Some(func),
                    ..Source::default()
                };
                self.add(symbol, source)
            }
            BindingKind::Module(module) => {
                let symbol = Symbol {
                    origin: origin(module, None),
                    is_hoisted: true,
                    ..self.symbol(SymbolKind::Module, name, binding.span)
                };
                self.add(symbol, Source::default())
            }
            BindingKind::Import {
                module,
                name: exported,
            } => {
                let symbol = Symbol {
                    origin: origin(module, Some(exported)),
                    is_hoisted: true,
                    ..self.symbol(SymbolKind::Import, name, binding.span)
                };
                self.add(symbol, Source::default())
            }
            // Those that are no members by now: what could not be declared, twice or in an odd place.
            BindingKind::Type(_) => {
                let symbol = self.symbol(SymbolKind::Struct, name, binding.span);
                self.add(symbol, Source::default())
            }
            BindingKind::Param => {
                let symbol = self.symbol(SymbolKind::Parameter, name, binding.span);
                self.add(symbol, Source::default())
            }
            BindingKind::Let
            | BindingKind::Var
            | BindingKind::Const
            | BindingKind::LocalVar
            | BindingKind::Pattern => {
                let kind = match binding.kind {
                    BindingKind::Const => SymbolKind::Constant,
                    _ => SymbolKind::Variable,
                };
                let bound = bound_at(bounds, binding.span);
                let extent = bound.map_or(binding.span, |bound| bound.stmt);
                let symbol = Symbol {
                    extent,
                    head: extent,
                    is_var: matches!(binding.kind, BindingKind::Var | BindingKind::LocalVar),
                    ..self.symbol(kind, name, binding.span)
                };
                let value = bound
                    .filter(|bound| bound.is_whole)
                    .and_then(|bound| bound.value);
                let source = Source {
                    value,
                    ..Source::default()
                };
                self.add(symbol, source)
            }
        }
    }

    /// The patterns of `let` and the like, and of `catch`, in the order of the text.
    fn bounds(&self) -> Vec<Bound> {
        let mut bounds: Vec<Bound> = Vec::new();
        for stmt in &self.ast.stmts {
            if let StmtKind::Bind { pat, value, .. } = stmt.kind {
                let pattern = self.ast.pat(pat);
                bounds.push(Bound {
                    pattern: pattern.span,
                    stmt: stmt.span,
                    value: Some(value),
                    is_whole: matches!(pattern.kind, PatKind::Bind(_)),
                });
            }
        }
        bounds.sort_by_key(|bound| bound.pattern.start);
        bounds
    }

    /// Which function or type each parameter belongs to, and its default.
    fn declare_parameters(&mut self) {
        for at in 0..self.sources.len() {
            let Some(func) = self.sources[at].func else {
                continue;
            };
            let function = SymbolId(at as u32);
            let owner = match self.symbols[at].kind {
                SymbolKind::Method => self.symbols[at].parent,
                _ => None,
            };
            let func = self.ast.func(func);
            for (position, param) in func.params.iter().enumerate() {
                let PatKind::Bind(name) = self.ast.pat(param.pat).kind else {
                    continue;
                };
                let Some(id) = self.declared(self.ast.pat(param.pat).span.start, name) else {
                    continue;
                };
                let is_self = position == 0 && self.ast.name(name) == "self";
                self.symbols[id.0 as usize].parent = match owner {
                    Some(owner) if is_self => Some(owner),
                    _ => Some(function),
                };
                self.sources[id.0 as usize].value = param.default;
                let head = self.symbols[at].params.get(position).copied();
                if let Some(head) = head {
                    self.symbols[id.0 as usize].head = head;
                }
            }
            if let Some(rest) = func.rest
                && let Some(id) = self.declared(rest.span.start, rest.name)
            {
                self.symbols[id.0 as usize].parent = Some(function);
            }
        }
        for expr in &self.ast.exprs {
            let ExprKind::Try { catches, .. } = &expr.kind else {
                continue;
            };
            for ident in catches.iter().filter_map(|catch| catch.binding) {
                if let Some(id) = self.declared(ident.span.start, ident.name) {
                    self.sources[id.0 as usize].is_caught = true;
                }
            }
        }
    }

    fn declared(&self, start: u32, name: Name) -> Option<SymbolId> {
        let binding = *self.resolution.declared_at.get(&(start, name))?;
        Some(self.of_binding(binding))
    }

    fn declare_tests(&mut self) {
        for stmt in &self.ast.stmts {
            let StmtKind::Test { name, .. } = &stmt.kind else {
                continue;
            };
            let word = Span {
                start: stmt.span.start,
                end: stmt.span.start + "test".len() as u32,
            };
            let symbol = Symbol {
                name: name.clone(),
                extent: stmt.span,
                is_top: true,
                ..self.nameless(SymbolKind::Test, word)
            };
            self.add(symbol, Source::default());
        }
    }

    /// What needs all symbols to be there.
    fn relate(&mut self) {
        for at in 0..self.symbols.len() {
            let id = SymbolId(at as u32);
            if self.symbols[at].kind.is_type() {
                self.symbols[at].bases = self.bases_of(id);
                self.symbols[at].is_error = self.is_error(id);
            }
        }
        for at in 0..self.symbols.len() {
            let shape = self.shape_of(SymbolId(at as u32), MAX_STEPS);
            self.symbols[at].result = self.shape_of_result(shape.clone(), &[], MAX_STEPS);
            self.symbols[at].shape = shape;
        }
    }

    // --- where names stand ---

    fn name_declarations(&mut self) {
        let places: Vec<(u32, Name, BindingId)> = self
            .resolution
            .declared_at
            .iter()
            .map(|(&(start, name), &binding)| (start, name, binding))
            .collect();
        for (start, name, binding) in places {
            let first = self.resolution.binding(binding).span;
            let span = match first.start == start {
                true => first,
                false => Span {
                    start,
                    end: start + self.ast.name(name).len() as u32,
                },
            };
            let meaning = Meaning::Symbol(self.of_binding(binding));
            self.occur(span, meaning, Role::Declaration);
        }
        for at in 0..self.symbols.len() {
            let symbol = &self.symbols[at];
            if symbol.kind.is_member() || symbol.kind.is_type() {
                let span = symbol.span;
                self.occur(
                    span,
                    Meaning::Symbol(SymbolId(at as u32)),
                    Role::Declaration,
                );
            }
        }
    }

    fn module_at(&self, path: &ImportPath, declared: Option<Span>) -> Option<ModuleRef> {
        match path {
            ImportPath::Std(ident) => Some(ModuleRef::Std(self.ast.name(ident.name).into())),
            // Only name resolution knows which file a path means: what it declared with it tells.
            ImportPath::File(..) => {
                let declared = declared?;
                let bindings = &self.resolution.bindings;
                let binding = bindings.iter().find(|binding| binding.span == declared)?;
                match binding.kind {
                    BindingKind::Module(module) | BindingKind::Import { module, .. } => {
                        Some(self.resolution.imports[module as usize].clone())
                    }
                    _ => None,
                }
            }
        }
    }

    fn name_imports(&mut self) {
        for stmt in &self.ast.stmts {
            match &stmt.kind {
                StmtKind::Import(items) => {
                    for item in items {
                        let Some(alias) = item.alias else { continue };
                        self.name_module(&item.path, alias.span);
                    }
                }
                StmtKind::From { path, names } => {
                    let Some((first, alias)) = names.first() else {
                        continue;
                    };
                    self.name_module(path, alias.unwrap_or(*first).span);
                    for (name, alias) in names {
                        let Some(alias) = alias else { continue };
                        if let Some(module) = self.module_at(path, Some(alias.span)) {
                            self.occur(name.span, Meaning::Exported(module), Role::Read);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn name_module(&mut self, path: &ImportPath, declared: Span) {
        let span = match path {
            ImportPath::Std(ident) => ident.span,
            ImportPath::File(_, span) => *span,
        };
        if let Some(module) = self.module_at(path, Some(declared)) {
            self.occur(span, Meaning::Module(module), Role::Read);
        }
    }

    fn name_expressions(&mut self) {
        let ast = self.ast;
        let mut written: IdMap<u32, ()> = IdMap::default();
        for stmt in &ast.stmts {
            if let StmtKind::Assign { target, .. } = stmt.kind {
                self.note_written(target, &mut written);
            }
        }
        for (at, expr) in ast.exprs.iter().enumerate() {
            let id = ExprId(at as u32);
            let role = match written.contains_key(&id.0) {
                true => Role::Write,
                false => Role::Read,
            };
            match &expr.kind {
                ExprKind::Name(_) => match self.resolution.target(id) {
                    Target::Binding(binding) => {
                        let meaning = Meaning::Symbol(self.of_binding(binding));
                        self.occur(expr.span, meaning, role);
                    }
                    Target::Prelude => self.occur(expr.span, Meaning::Prelude, role),
                    Target::None | Target::Repl { .. } => {}
                },
                ExprKind::Field { object, name, .. } => {
                    let receiver = self.shape(*object);
                    let meaning = self.meaning_of_member(&receiver, name.name);
                    self.occur(name.span, meaning, role);
                    if receiver != Shape::Unknown {
                        self.receivers.push((name.span.start, receiver));
                    }
                }
                ExprKind::Call { callee, args } => self.name_arguments(*callee, args),
                _ => {}
            }
        }
    }

    fn note_written(&self, target: ExprId, written: &mut IdMap<u32, ()>) {
        match &self.ast.expr(target).kind {
            ExprKind::Tuple(parts) | ExprKind::List(parts) => {
                for &part in parts {
                    crate::stack::with_stack(|| self.note_written(part, written));
                }
            }
            _ => {
                written.insert(target.0, ());
            }
        }
    }

    fn meaning_of_member(&self, receiver: &Shape, name: Name) -> Meaning {
        match receiver {
            Shape::Type(of) | Shape::Instance(of) => match self.member(*of, name) {
                Some(member) => Meaning::Symbol(member),
                None if self.symbols[of.0 as usize].is_error => Meaning::Builtin("Error".into()),
                None => Meaning::Member,
            },
            Shape::Builtin(of) | Shape::Prelude(of) => Meaning::Builtin(of.clone()),
            Shape::Module(module) => Meaning::Exported(module.clone()),
            Shape::Function(_) | Shape::Exported(..) | Shape::Called(..) | Shape::Unknown => {
                Meaning::Member
            }
        }
    }

    /// The names in front of arguments.
    fn name_arguments(&mut self, callee: ExprId, args: &[Arg]) {
        if args.iter().all(|arg| arg.name.is_none()) {
            return;
        }
        let shape = match &self.ast.expr(callee).kind {
            ExprKind::Field { object, name, .. } if self.ast.name(name.name) == "with" => {
                self.shape(*object)
            }
            _ => self.shape(callee),
        };
        for ident in args.iter().filter_map(|arg| arg.name) {
            let found = match shape {
                Shape::Type(of) | Shape::Instance(of) => self.member(of, ident.name),
                Shape::Function(function) => self.parameter(function, ident.name),
                _ => None,
            };
            let meaning = found.map_or(Meaning::Member, Meaning::Symbol);
            self.occur(ident.span, meaning, Role::Label);
        }
    }

    fn parameter(&self, function: SymbolId, name: Name) -> Option<SymbolId> {
        let func = self.ast.func(self.sources[function.0 as usize].func?);
        func.params.iter().find_map(|param| {
            let pat = self.ast.pat(param.pat);
            match pat.kind {
                PatKind::Bind(found) if found == name => self.declared(pat.span.start, name),
                _ => None,
            }
        })
    }

    /// The names in front of parts of patterns, and what is key and variable in one.
    fn name_parts(&mut self) {
        let ast = self.ast;
        let mut shorthands: IdMap<u32, ()> = IdMap::default();
        for pat in &ast.pats {
            match &pat.kind {
                PatKind::Struct { path, parts, .. } => {
                    let shape = self.shape(*path);
                    for ident in parts.iter().filter_map(|(name, _)| *name) {
                        let found = match shape {
                            Shape::Type(of) => self.member(of, ident.name),
                            _ => None,
                        };
                        let meaning = found.map_or(Meaning::Member, Meaning::Symbol);
                        self.occur(ident.span, meaning, Role::Label);
                    }
                }
                PatKind::Map(entries) => {
                    let mut end = pat.span.start + "{".len() as u32;
                    for (key, part) in entries {
                        let span = ast.pat(*part).span;
                        if self.is_shorthand(key, *part, end) {
                            shorthands.insert(span.start, ());
                        }
                        end = span.end;
                    }
                }
                _ => {}
            }
        }
        for found in &mut self.occurrences {
            found.is_shorthand = found.role == Role::Declaration
                && shorthands.contains_key(&found.span.start)
                && matches!(found.meaning, Meaning::Symbol(_));
        }
    }

    /// Whether an entry that begins behind `start` is a name alone: there is no room for a key and a colon in front of it.
    fn is_shorthand(&self, key: &str, part: PatId, start: u32) -> bool {
        let pat = self.ast.pat(part);
        let is_named = matches!(pat.kind, PatKind::Bind(name) if self.ast.name(name) == key);
        let between = self.text.get(start as usize..pat.span.start as usize);
        is_named
            && between.is_some_and(|between| {
                let code = |line: &'_ str| line.split('#').next().is_some_and(|c| c.contains(':'));
                !between.lines().any(code)
            })
    }
}

fn bound_at(bounds: &[Bound], name: Span) -> Option<&Bound> {
    let behind = bounds.partition_point(|bound| bound.pattern.start <= name.start);
    let found = bounds[..behind].last()?;
    (name.end <= found.pattern.end).then_some(found)
}

/// The parts of a file in which names are visible.
struct Scopes {
    /// By start, outer ones first.
    spans: Vec<Span>,
    /// For each the one around it.
    parents: Vec<usize>,
}

impl Scopes {
    fn new(ast: &Ast) -> Scopes {
        let root = Span {
            start: 0,
            end: ast.root.span.end,
        };
        let mut spans = vec![];
        for func in &ast.fns {
            spans.push(func.span);
            if let FnBody::Block(block) = &func.body {
                spans.push(block.span);
            }
        }
        for stmt in &ast.stmts {
            match &stmt.kind {
                StmtKind::While { body, .. } => spans.push(body.span),
                StmtKind::For { body, .. } => spans.extend([stmt.span, body.span]),
                _ => {}
            }
        }
        let block = |block: &Block| block.span;
        for expr in &ast.exprs {
            match &expr.kind {
                ExprKind::If { then, .. } => spans.push(block(then)),
                ExprKind::Block(body) | ExprKind::Loop(body) | ExprKind::Scope { body, .. } => {
                    spans.push(block(body));
                }
                ExprKind::Match { arms, .. } => spans.extend(arms.iter().map(|arm| arm.span)),
                ExprKind::Try { body, catches } => {
                    spans.push(block(body));
                    spans.extend(catches.iter().map(|catch| catch.span));
                }
                ExprKind::Select(arms) => spans.extend(arms.iter().map(|arm| match arm {
                    SelectArm::Op { span, .. }
                    | SelectArm::After { span, .. }
                    | SelectArm::Else { span, .. } => *span,
                })),
                _ => {}
            }
        }
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        spans.insert(0, root);
        let mut parents = vec![0; spans.len()];
        let mut open: Vec<usize> = vec![0];
        for at in 1..spans.len() {
            while open.len() > 1
                && open
                    .last()
                    .is_some_and(|&top| spans[top].end < spans[at].end)
            {
                open.pop();
            }
            parents[at] = open.last().copied().unwrap_or(0);
            open.push(at);
        }
        Scopes { spans, parents }
    }

    /// The innermost scope around a place; around a function that begins there, if it is `Err`.
    fn around(&self, place: Result<u32, u32>) -> Span {
        let (at, first) = match place {
            Ok(at) => (at, self.spans.partition_point(|span| span.start <= at)),
            Err(at) => (at, self.spans.partition_point(|span| span.start < at)),
        };
        // The root may begin where the function does.
        let mut current = first.max(1) - 1;
        while current != 0 && self.spans[current].end <= at {
            current = self.parents[current];
        }
        self.spans[current]
    }
}
