//! Declarations: what a block makes visible in all of it, patterns, functions, types, imports.

use crate::ids::{IdMap, IdSet};

use super::types::Method;
use super::walk::{FunctionContext, Resolver};
use super::{BindingId, BindingKind, Family, Owner, OwnerInfo, Target};
use crate::ast::{
    BindKind, ExprId, FnBody, FnId, ImportPath, ListPat, Name, PatId, PatKind, Span, StmtId,
    StmtKind,
};
use crate::diagnostics::Diagnostic;
use heddle_bytecode::{ERROR_FIELDS, ModuleRef, TypeShape};

/// What a pattern's names become, and which rules hold for them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternUse {
    Bind(BindKind),
    Param,
    /// `for`: like `let`, cannot fail to match without an error.
    Loop,
    /// An arm of `match` or `select`.
    Arm,
}

impl<'a> Resolver<'a> {
    /// Declares the functions, types and imports of a block, and walks those functions that can be made at its entry.
    pub(super) fn hoist(&mut self, stmts: &'a [StmtId], is_root: bool) {
        let mut functions = Vec::new();
        for &id in stmts {
            let stmt = self.ast.stmt(id);
            match &stmt.kind {
                StmtKind::Fn { is_pub, func } => {
                    let Some(name) = self.ast.func(*func).name else {
                        continue;
                    };
                    let binding = self.declare(name.name, name.span, BindingKind::Fn(*func));
                    self.out.bindings[binding.0 as usize].is_pub = *is_pub;
                    functions.push((*func, name.name, binding));
                }
                StmtKind::Struct(decl) => {
                    self.hoist_type(id, decl.name.name, decl.name.span, decl.is_pub)
                }
                StmtKind::Enum(decl) => {
                    self.hoist_type(id, decl.name.name, decl.name.span, decl.is_pub)
                }
                StmtKind::Trait(decl) => {
                    self.hoist_type(id, decl.name.name, decl.name.span, decl.is_pub)
                }
                StmtKind::Import(items) => {
                    for item in items {
                        let Some((module, span)) = self.import_path(&item.path) else {
                            continue;
                        };
                        let (name, span) = match (item.alias, &item.path) {
                            (Some(alias), _) => (alias.name, alias.span),
                            (None, ImportPath::Std(ident)) => (ident.name, ident.span),
                            (None, ImportPath::File(text, _)) => match self.stem_name(text) {
                                Some(name) => (name, span),
                                None => {
                                    self.report_stem(text, span);
                                    continue;
                                }
                            },
                        };
                        self.declare(name, span, BindingKind::Module(module));
                    }
                }
                StmtKind::From { path, names } => {
                    let Some((module, _)) = self.import_path(path) else {
                        continue;
                    };
                    for (name, alias) in names {
                        let local = alias.unwrap_or(*name);
                        let kind = BindingKind::Import {
                            module,
                            name: name.name,
                        };
                        self.declare(local.name, local.span, kind);
                    }
                }
                _ => {}
            }
        }
        for &id in stmts {
            if let Some(&index) = self.out.type_of_stmt.get(&id) {
                for base in self.out.type_info(index).bases.clone() {
                    self.base(base);
                }
            }
        }
        let types = self.check_ancestors(stmts);
        if is_root {
            return;
        }
        for stmt in self.types_made_at_entry(stmts, &functions, &types) {
            self.type_stmt(stmt);
            let order = self.out.types_made_at_entry.len();
            self.out.types_made_at_entry.insert(stmt, order);
        }
        for (function, binding) in self.made_at_entry(stmts, &functions) {
            self.out.made_at_entry.insert(function);
            self.function(function, None);
            self.out.bindings[binding.0 as usize].is_set = true;
        }
    }

    /// What a type is based on. A type of the same block is not named early by that: it is made before.
    fn base(&mut self, base: ExprId) {
        self.expr(base);
        if let Target::Binding(id) = self.out.target(base)
            && let Some(scope) = self.scopes.last()
            && scope.names.values().any(|&declared| declared == id)
        {
            self.out.bindings[id.0 as usize].is_early = false;
        }
    }

    /// Walks the declaration of a type, which from then on is there.
    pub(super) fn type_stmt(&mut self, stmt: StmtId) {
        self.type_body(stmt);
        let index = self.out.type_of_stmt[&stmt];
        if let Some(binding) = self.out.type_info(index).binding {
            self.out.bindings[binding.0 as usize].is_set = true;
        }
    }

    /// Types that name no variable of the block itself, and no function or type that does, in the given order.
    fn types_made_at_entry(
        &self,
        stmts: &[StmtId],
        functions: &[(FnId, Name, BindingId)],
        order: &[u32],
    ) -> Vec<StmtId> {
        let types: IdMap<u32, StmtId> = stmts
            .iter()
            .filter_map(|&stmt| Some((*self.out.type_of_stmt.get(&stmt)?, stmt)))
            .collect();
        if types.is_empty() {
            return Vec::new();
        }
        let types: Vec<(u32, StmtId)> = order
            .iter()
            .filter_map(|&index| Some((index, *types.get(&index)?)))
            .collect();
        let mut late = self.late_names(stmts, functions);
        loop {
            let before = late.len();
            for &(index, stmt) in &types {
                let name = self.out.type_info(index).name;
                if !late.contains(&name) && self.mentions(self.ast.stmt(stmt).span, &late) {
                    late.insert(name);
                }
            }
            if late.len() == before {
                break;
            }
        }
        let is_early = |index| !late.contains(&self.out.type_info(index).name);
        types
            .into_iter()
            .filter(|&(index, _)| is_early(index))
            .map(|(_, stmt)| stmt)
            .collect()
    }

    /// Functions that name no variable of the block itself, and no function that does.
    fn made_at_entry(
        &self,
        stmts: &[StmtId],
        functions: &[(FnId, Name, BindingId)],
    ) -> Vec<(FnId, BindingId)> {
        if functions.is_empty() {
            return Vec::new();
        }
        let late = self.late_names(stmts, functions);
        let early = functions.iter().filter(|(_, name, _)| !late.contains(name));
        early
            .map(|&(function, _, binding)| (function, binding))
            .collect()
    }

    /// The variables of a block, and the functions in it that name one of these.
    fn late_names(&self, stmts: &[StmtId], functions: &[(FnId, Name, BindingId)]) -> IdSet<Name> {
        let mut late: IdSet<Name> = IdSet::default();
        for &stmt in stmts {
            if let StmtKind::Bind { pat, .. } = self.ast.stmt(stmt).kind {
                let mut names = Vec::new();
                self.pattern_names(pat, &mut names);
                late.extend(names.iter().map(|(name, _)| *name));
            }
        }
        loop {
            let before = late.len();
            for (function, name, _) in functions {
                if !late.contains(name) && self.mentions(self.ast.func(*function).span, &late) {
                    late.insert(*name);
                }
            }
            if late.len() == before {
                return late;
            }
        }
    }

    /// Whether one of the names stands in the span.
    fn mentions(&self, span: Span, names: &IdSet<Name>) -> bool {
        let first = self.name_uses.partition_point(|&(at, _)| at < span.start);
        let within = self.name_uses[first..]
            .iter()
            .take_while(|&&(at, _)| at < span.end);
        within.into_iter().any(|(_, name)| names.contains(name))
    }

    fn hoist_type(&mut self, stmt: StmtId, name: Name, span: Span, is_pub: bool) {
        let index = self.declare_type(stmt);
        let binding = self.declare(name, span, BindingKind::Type(index));
        self.out.bindings[binding.0 as usize].is_pub = is_pub;
        self.out.types[index as usize].binding = Some(binding);
    }

    pub(super) fn import(&mut self, module: ModuleRef) -> u32 {
        let known = self.out.imports.iter().position(|import| *import == module);
        known.unwrap_or_else(|| {
            self.out.imports.push(module);
            self.out.imports.len() - 1
        }) as u32
    }

    fn import_path(&mut self, path: &ImportPath) -> Option<(u32, Span)> {
        match path {
            ImportPath::Std(ident) => {
                let module = ModuleRef::Std(self.ast.name(ident.name).into());
                Some((self.import(module), ident.span))
            }
            ImportPath::File(text, span) => match (self.options.resolve)(text) {
                Ok(key) => Some((self.import(ModuleRef::File(key.into())), *span)),
                Err(message) => {
                    self.error(Diagnostic::error("E0210", message, *span).label("imported here"));
                    None
                }
            },
        }
    }

    /// `./lib/util.hd` is called `util`.
    fn stem_name(&self, path: &str) -> Option<Name> {
        let stem = crate::compile::module_stem(path)?;
        // `compile` has interned the stems of all imports.
        self.ast.names.get(stem).filter(|_| is_identifier(stem))
    }

    fn report_stem(&mut self, path: &str, span: Span) {
        self.error(
            Diagnostic::error(
                "E0210",
                format!("the file name of `{path}` is no name"),
                span,
            )
            .help("name the module: `import \"…\" as name`"),
        );
    }

    pub(super) fn new_owner(&mut self) -> Owner {
        let parent = self.functions.last().map(|function| function.owner);
        self.out.owners.push(OwnerInfo {
            parent,
            ..OwnerInfo::default()
        });
        Owner(self.out.owners.len() as u32 - 1)
    }

    /// Walks a function: parameters, defaults, body.
    pub(super) fn function(&mut self, id: FnId, self_type: Option<u32>) {
        let func = self.ast.func(id);
        let owner = self.new_owner();
        self.out.fn_owners[id.0 as usize] = owner;
        self.functions.push(FunctionContext {
            owner,
            loops: Vec::new(),
            may_return: true,
            is_gen: func.is_gen,
            scopes: 0,
        });
        self.push_scope(&[]);
        for (position, param) in func.params.iter().enumerate() {
            if let Some(default) = param.default {
                self.expr(default);
            }
            self.pattern(param.pat, PatternUse::Param, None);
            if position == 0
                && let Some(binding) = self.out.pat_binding(param.pat)
            {
                self.out.bindings[binding.0 as usize].self_type = self_type;
            }
        }
        if let Some(rest) = func.rest {
            self.declare(rest.name, rest.span, BindingKind::Param);
        }
        match &func.body {
            FnBody::Block(block) => self.block(block),
            FnBody::Expr(expr) => self.expr(*expr),
            FnBody::Missing => {}
        }
        self.pop_scope();
        self.functions.pop();
    }

    /// Walks the methods and field defaults of a type.
    pub(super) fn type_body(&mut self, stmt: StmtId) {
        let index = self.out.type_of_stmt[&stmt];
        let info = self.out.type_info(index).clone();
        self.check_methods(&info.methods);
        self.check_inherited_fields(index);
        let with_fields = std::iter::once(index).chain(info.variants.iter().copied());
        let mut variant_names: IdMap<Name, Span> = IdMap::default();
        for number in with_fields {
            let part = self.out.type_info(number).clone();
            if part.shape == TypeShape::Variant {
                let span = self.variant_span(stmt, part.name);
                if let Some(&first) = variant_names.get(&part.name) {
                    self.report_member_twice(part.name, span, first);
                }
                variant_names.insert(part.name, span);
            }
            let owner = self.new_owner();
            self.out.constructor_owners.insert(number, owner);
            self.functions.push(FunctionContext {
                owner,
                loops: Vec::new(),
                may_return: false,
                is_gen: false,
                scopes: 0,
            });
            self.push_scope(&[]);
            for field in &part.fields {
                if let Some(default) = field.default {
                    self.expr(default);
                }
                self.declare(field.name.name, field.name.span, BindingKind::Param);
            }
            self.pop_scope();
            self.functions.pop();
        }
        for method in &info.methods {
            if !method.is_required {
                let self_type =
                    (method.has_self && info.shape == TypeShape::Struct).then_some(index);
                self.function(method.function, self_type);
            } else {
                self.out.fn_owners[method.function.0 as usize] = super::MODULE_BODY;
            }
        }
    }

    fn variant_span(&self, stmt: StmtId, name: Name) -> Span {
        match &self.ast.stmt(stmt).kind {
            StmtKind::Enum(decl) => {
                let last = decl
                    .variants
                    .iter()
                    .rev()
                    .find(|variant| variant.name.name == name);
                last.map_or(self.ast.stmt(stmt).span, |variant| variant.name.span)
            }
            _ => self.ast.stmt(stmt).span,
        }
    }

    /// A field that an error has from the kind it is based on cannot be declared again.
    fn check_inherited_fields(&mut self, index: u32) {
        let own = self.out.type_info(index).fields.clone();
        if own.is_empty() || self.out.family(self.ast, index) != Family::Error {
            return;
        }
        let all = self.out.all_fields(self.ast, index);
        let inherited = &all[..all.len() - own.len()];
        for field in own {
            let text = self.ast.name(field.name.name);
            let twice = |label: &str| {
                Diagnostic::error(
                    "E0202",
                    format!("`{text}` is declared twice"),
                    field.name.span,
                )
                .label(label)
            };
            let first = inherited
                .iter()
                .find(|first| first.name.name == field.name.name);
            if ERROR_FIELDS.contains(&text) {
                self.error(twice("every error has this field"));
            } else if let Some(first) = first {
                self.error(twice("declared again").related(first.name.span, "first declared here"));
            }
        }
    }

    fn check_methods(&mut self, methods: &[Method]) {
        let mut seen: IdMap<Name, Span> = IdMap::default();
        for method in methods {
            let func = self.ast.func(method.function);
            let span = func.name.map_or(func.span, |name| name.span);
            if let Some(&first) = seen.get(&method.name) {
                self.report_member_twice(method.name, span, first);
            }
            seen.insert(method.name, span);
        }
    }

    fn report_member_twice(&mut self, name: Name, span: Span, first: Span) {
        let text = self.ast.name(name);
        self.error(
            Diagnostic::error("E0202", format!("`{text}` is declared twice"), span)
                .label("declared again")
                .related(first, "first declared here"),
        );
    }

    /// Declares what a pattern binds and walks the expressions in it. `known`: the names of an earlier alternative.
    pub(super) fn pattern(
        &mut self,
        id: PatId,
        usage: PatternUse,
        known: Option<&IdMap<Name, BindingId>>,
    ) {
        self.pattern_part(id, usage, known, true);
    }

    fn pattern_part(
        &mut self,
        id: PatId,
        usage: PatternUse,
        known: Option<&IdMap<Name, BindingId>>,
        is_whole: bool,
    ) {
        let pat = self.ast.pat(id);
        match &pat.kind {
            PatKind::Bind(name) => {
                if usage == PatternUse::Arm || !is_whole {
                    self.check_bare_name(id, *name, pat.span);
                }
                let binding = self.bind(*name, pat.span, usage, known, is_whole);
                self.out.pat_bindings[id.0 as usize] = binding;
            }
            PatKind::Literal(value) => self.expr(*value),
            PatKind::Range { start, end, .. } => {
                self.expr(*start);
                self.expr(*end);
            }
            PatKind::Path(path) => self.expr(*path),
            PatKind::Tuple(list) | PatKind::List(list) => self.list_pattern(list, usage, known),
            PatKind::Map(entries) => {
                for (_, part) in entries {
                    self.pattern_part(*part, usage, known, false);
                }
            }
            PatKind::Struct {
                path,
                parts,
                has_rest,
            } => {
                self.expr(*path);
                for (_, part) in parts {
                    self.pattern_part(*part, usage, known, false);
                }
                if let Some(index) = self.out.static_type(self.ast, *path) {
                    self.check_struct_pattern(index, parts, *has_rest, pat.span);
                }
            }
            PatKind::Or(alternatives) => self.alternatives(alternatives, usage, known),
            PatKind::Wildcard | PatKind::Error => {}
        }
    }

    fn list_pattern(
        &mut self,
        list: &ListPat,
        usage: PatternUse,
        known: Option<&IdMap<Name, BindingId>>,
    ) {
        for &part in &list.before {
            self.pattern_part(part, usage, known, false);
        }
        if let Some(name) = list.rest.and_then(|rest| rest.name) {
            self.bind(name.name, name.span, usage, known, false);
        }
        for &part in &list.after {
            self.pattern_part(part, usage, known, false);
        }
    }

    fn alternatives(
        &mut self,
        alternatives: &[PatId],
        usage: PatternUse,
        known: Option<&IdMap<Name, BindingId>>,
    ) {
        let Some((&first, others)) = alternatives.split_first() else {
            return;
        };
        self.pattern_part(first, usage, known, false);
        let mut names = Vec::new();
        self.pattern_names(first, &mut names);
        let mut bound: IdMap<Name, BindingId> = known.cloned().unwrap_or_default();
        for (name, span) in &names {
            if let Some(&binding) = self.out.declared_at.get(&(span.start, *name)) {
                bound.insert(*name, binding);
            }
        }
        let expected: IdSet<Name> = names.iter().map(|(name, _)| *name).collect();
        for &other in others {
            let mut names = Vec::new();
            self.pattern_names(other, &mut names);
            let found: IdSet<Name> = names.iter().map(|(name, _)| *name).collect();
            if found == expected {
                self.pattern_part(other, usage, Some(&bound), false);
            } else {
                let span = self.ast.pat(other).span;
                self.error(
                    Diagnostic::error("E0213", "alternatives must bind the same names", span)
                        .label("binds other names than the first alternative"),
                );
            }
        }
    }

    fn bind(
        &mut self,
        name: Name,
        span: Span,
        usage: PatternUse,
        known: Option<&IdMap<Name, BindingId>>,
        is_whole: bool,
    ) -> Option<BindingId> {
        if let Some(known) = known {
            let binding = known.get(&name).copied();
            if let Some(binding) = binding {
                self.out.declared_at.insert((span.start, name), binding);
            }
            return binding;
        }
        let kind = match usage {
            PatternUse::Bind(BindKind::Let) if is_whole => BindingKind::Let,
            PatternUse::Bind(BindKind::Let) => BindingKind::Pattern,
            PatternUse::Bind(BindKind::Var) => BindingKind::Var,
            PatternUse::Bind(BindKind::Const) => BindingKind::Const,
            PatternUse::Bind(BindKind::LocalVar) => BindingKind::LocalVar,
            PatternUse::Param => BindingKind::Param,
            PatternUse::Loop | PatternUse::Arm => BindingKind::Pattern,
        };
        let binding = self.declare(name, span, kind);
        if !is_whole {
            // Parts of a destructuring need not all be used.
            self.out.bindings[binding.0 as usize].is_used |= kind == BindingKind::Var;
        }
        Some(binding)
    }

    /// A bare name in a pattern binds; one that is a constant, type or variant was meant to be compared with.
    fn check_bare_name(&mut self, pat: PatId, name: Name, span: Span) {
        let text = self.ast.name(name);
        let in_scope = self
            .scopes
            .iter()
            .rev()
            .find_map(|scope| scope.names.get(&name).or(scope.ahead.get(&name)));
        let mut path = None;
        let (what, help) = match in_scope.map(|&id| self.out.binding(id).kind) {
            Some(BindingKind::Const) => (
                "a constant",
                format!("compare with it in a guard: `value if value == {text}`"),
            ),
            Some(BindingKind::Type(_)) => (
                "a type",
                format!("test for it in a guard: `value if value is {text}`"),
            ),
            Some(BindingKind::Import { .. }) if text.starts_with(char::is_uppercase) => (
                "an import",
                format!("test for it in a guard: `value if value is {text}`"),
            ),
            Some(_) => return,
            None => {
                let variant = self.out.types.iter().find_map(|info| {
                    let parent = info.parent.filter(|_| info.name == name)?;
                    Some(self.ast.name(self.out.type_info(parent).name))
                });
                match variant {
                    Some(parent) => {
                        path = Some(format!("{parent}.{text}"));
                        ("a variant", format!("write its path: `{parent}.{text}`"))
                    }
                    None if is_prelude_type(text) && self.is_prelude_name(text) => (
                        "a type",
                        format!("test for it in a guard: `value if value is {text}`"),
                    ),
                    None => return,
                }
            }
        };
        let mut diagnostic = Diagnostic::error(
            "E0205",
            format!("`{text}` is {what}; a bare name in a pattern always binds"),
            span,
        )
        .label("would hide it")
        .help(help);
        if let Some(path) = path {
            diagnostic = diagnostic.replace(span, path);
        }
        self.error(diagnostic);
        self.mistaken.insert(pat);
    }

    fn check_struct_pattern(
        &mut self,
        index: u32,
        parts: &[(Option<crate::ast::Ident>, PatId)],
        has_rest: bool,
        span: Span,
    ) {
        let info = self.out.type_info(index);
        if matches!(info.shape, TypeShape::Trait | TypeShape::Enum) {
            return;
        }
        let family = self.out.family(self.ast, index);
        let type_name = self.ast.name(info.name);
        let fields = self.out.all_fields(self.ast, index);
        let own: Vec<Name> = fields.iter().map(|field| field.name.name).collect();
        let named: Vec<Name> = parts
            .iter()
            .filter_map(|(ident, _)| ident.map(|ident| ident.name))
            .collect();
        let is_unnamed = |name: &Name| !named.contains(name);
        let mut unnamed = own.iter().copied().filter(is_unnamed).count();
        if family == super::types::Family::Error {
            let message = self.ast.names.get("message");
            unnamed += usize::from(message.is_none_or(|name| is_unnamed(&name)));
        }
        for (ident, _) in parts {
            let Some(ident) = ident else { continue };
            let text = self.ast.name(ident.name);
            if !own.contains(&ident.name) && family == super::types::Family::Plain {
                let near = self.nearest_of(text, own.iter().map(|&name| self.ast.name(name)));
                let diagnostic = Diagnostic::warning(
                    "W0205",
                    format!("`{type_name}` has no field `{text}`"),
                    ident.span,
                );
                self.error(diagnostic.did_you_mean(ident.span, near));
            }
        }
        if family == super::types::Family::Unknown {
            return;
        }
        let positional = parts.iter().filter(|(ident, _)| ident.is_none()).count();
        let has_named = positional < parts.len();
        let is_short = positional < unnamed && !has_rest && !has_named;
        // For errors the message may be left out: it is not among the declared fields.
        let may_be_short = family == super::types::Family::Error;
        if positional > unnamed || is_short && !may_be_short {
            let fields = own
                .iter()
                .map(|&name| self.ast.name(name))
                .collect::<Vec<_>>()
                .join(", ");
            let mut diagnostic = Diagnostic::error(
                "E0213",
                format!(
                    "`{type_name}` has {} to match, the pattern has {positional}",
                    count(unnamed, "field")
                ),
                span,
            );
            diagnostic = if positional > unnamed {
                diagnostic.label(format!("its fields: {fields}"))
            } else {
                diagnostic
                    .label(format!("its fields: {fields}"))
                    .help("end the pattern in `..` to skip the rest")
            };
            self.error(diagnostic);
        }
    }
}

/// `1 field`, `2 fields`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|next| next.is_alphanumeric() || next == '_')
}

fn is_prelude_type(text: &str) -> bool {
    text.starts_with(char::is_uppercase) || matches!(text, "int" | "float" | "string" | "bool")
}
