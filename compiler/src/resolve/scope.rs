//! Scopes and the rules by which a name finds its declaration.
//!
//! Inside a function names are visible from their declaration on; functions, types and imports in their whole block.
//! A function also sees what is declared later in the blocks around it (it may run later), and at top level always
//! before the prelude. So no program changes its meaning when a later line is added, except at top level.

use crate::ids::IdMap;

use super::walk::Resolver;
use super::{Binding, BindingId, BindingKind, MODULE_BODY, Owner, Target};
use crate::ast::{Name, PatId, PatKind, Span, StmtId, StmtKind};
use crate::compile::Role;
use heddle_bytecode::ModuleRef;

/// A block, a list of parameters, an arm: where names are declared.
pub(super) struct Scope<'a> {
    pub(super) names: IdMap<Name, BindingId>,
    /// Declared further down, but a function has named it already (at top level: all of them).
    pub(super) ahead: IdMap<Name, BindingId>,
    pub(super) owner: Owner,
    pub(super) stmts: &'a [StmtId],
    pub(super) is_root: bool,
}

/// What a lookup finds.
pub(super) enum Found {
    Target(Target),
    /// Declared at top level further down, and the place is not in a function.
    TooEarly(BindingId),
    Nothing,
}

impl<'a> Resolver<'a> {
    pub(super) fn push_scope(&mut self, stmts: &'a [StmtId]) {
        let owner = self.owner();
        self.scopes.push(Scope {
            names: IdMap::default(),
            ahead: IdMap::default(),
            owner,
            stmts,
            is_root: false,
        });
    }

    pub(super) fn pop_scope(&mut self) {
        let scope = self
            .scopes
            .pop()
            .expect("scopes are pushed and popped in pairs");
        if self.options.repl_scope.is_some() {
            return;
        }
        for &id in scope.names.values() {
            self.warn_if_unused(id);
        }
    }

    pub(super) fn lookup(&mut self, name: Name) -> Found {
        let here = self.owner();
        let mut too_early = None;
        for scope in self.scopes.iter().rev() {
            if let Some(&id) = scope.names.get(&name) {
                return Found::Target(Target::Binding(id));
            }
            if scope.is_root
                && let Some(&id) = scope.ahead.get(&name)
            {
                if here != MODULE_BODY {
                    return Found::Target(Target::Binding(id));
                }
                too_early = Some(id);
            }
        }
        let text = self.ast.name(name);
        if let Some(names) = self.options.repl_scope
            && let Some(found) = names.iter().rev().find(|earlier| earlier.name == text)
        {
            let module = self.import(ModuleRef::File(found.module.as_str().into()));
            return Found::Target(Target::Repl {
                module,
                is_var: found.is_var,
            });
        }
        if self.is_prelude_name(text) {
            return Found::Target(Target::Prelude);
        }
        if let Some(id) = self.look_ahead(name, here) {
            return Found::Target(Target::Binding(id));
        }
        match too_early {
            Some(id) => Found::TooEarly(id),
            None => Found::Nothing,
        }
    }

    /// A variable that a block around the running function declares further down.
    fn look_ahead(&mut self, name: Name, here: Owner) -> Option<BindingId> {
        for index in (0..self.scopes.len()).rev() {
            let scope = &self.scopes[index];
            if scope.owner == here || scope.is_root {
                continue;
            }
            if let Some(&id) = scope.ahead.get(&name) {
                return Some(id);
            }
            let (owner, stmts) = (scope.owner, scope.stmts);
            for &stmt in stmts {
                let StmtKind::Bind { pat, .. } = self.ast.stmt(stmt).kind else {
                    continue;
                };
                let mut names = Vec::new();
                self.pattern_names(pat, &mut names);
                if let Some(&(_, span)) = names.iter().find(|(found, _)| *found == name) {
                    let id = self.add_binding(name, span, BindingKind::Let, owner, false);
                    self.scopes[index].ahead.insert(name, id);
                    return Some(id);
                }
            }
        }
        None
    }

    pub(super) fn is_prelude_name(&self, text: &str) -> bool {
        self.options.role != Role::Program || self.prelude.contains(text)
    }

    pub(super) fn add_binding(
        &mut self,
        name: Name,
        span: Span,
        kind: BindingKind,
        owner: Owner,
        is_root: bool,
    ) -> BindingId {
        self.out.bindings.push(Binding {
            name,
            span,
            kind,
            owner,
            is_root,
            is_pub: false,
            is_captured: false,
            is_assigned: false,
            is_early: false,
            is_used: false,
            literal: None,
            is_list: false,
            self_type: None,
            is_static: matches!(
                kind,
                BindingKind::Fn(_)
                    | BindingKind::Type(_)
                    | BindingKind::Module(_)
                    | BindingKind::Import { .. }
            ),
            is_set: false,
        });
        BindingId(self.out.bindings.len() as u32 - 1)
    }

    /// Declares a name in the innermost scope. The variable counts as set from here on, except functions and types.
    pub(super) fn declare(&mut self, name: Name, span: Span, kind: BindingKind) -> BindingId {
        let scope = self.scopes.last().expect("a scope is open");
        let (owner, is_root) = (scope.owner, scope.is_root);
        let may_redeclare = is_root && self.options.repl_scope.is_some();
        if let Some(&first) = scope.names.get(&name)
            && !may_redeclare
        {
            self.report_redeclared(name, span, first);
        }
        let scope = self.scopes.last_mut().expect("a scope is open");
        let id = match scope.ahead.remove(&name) {
            Some(id) => {
                let binding = &mut self.out.bindings[id.0 as usize];
                binding.kind = kind;
                binding.span = span;
                id
            }
            None => self.add_binding(name, span, kind, owner, is_root),
        };
        let binding = &mut self.out.bindings[id.0 as usize];
        binding.is_set = !matches!(kind, BindingKind::Fn(_) | BindingKind::Type(_));
        let scope = self.scopes.last_mut().expect("a scope is open");
        scope.names.insert(name, id);
        self.out.declared_at.insert((span.start, name), id);
        id
    }

    /// Notes that the running function names a variable.
    pub(super) fn touch(&mut self, id: BindingId) {
        let here = self.owner();
        let in_loop = self
            .functions
            .last()
            .is_some_and(|function| !function.loops.is_empty());
        let binding = &mut self.out.bindings[id.0 as usize];
        if binding.owner == here {
            binding.is_early |= !binding.is_set && !binding.is_root;
            return;
        }
        binding.is_captured = true;
        let (owner, is_root) = (binding.owner, binding.is_root);
        if is_root && binding.kind != BindingKind::Var {
            return;
        }
        if !is_root {
            binding.is_early |= !binding.is_set;
            if in_loop {
                self.out.owners[here.0 as usize].in_loop.insert(id);
            }
        }
        let mut function = Some(here);
        while let Some(current) = function.filter(|&current| current != owner) {
            let info = &mut self.out.owners[current.0 as usize];
            let list = match is_root {
                true => &mut info.module_vars,
                false => &mut info.free,
            };
            if !list.contains(&id) {
                list.push(id);
            }
            function = info.parent;
        }
    }

    /// The names that a pattern binds, with their places.
    pub(super) fn pattern_names(&self, pat: PatId, names: &mut Vec<(Name, Span)>) {
        let pat = self.ast.pat(pat);
        match &pat.kind {
            PatKind::Bind(name) => names.push((*name, pat.span)),
            PatKind::Tuple(list) | PatKind::List(list) => {
                for &part in list.before.iter().chain(&list.after) {
                    self.pattern_names(part, names);
                }
                if let Some(name) = list.rest.and_then(|rest| rest.name) {
                    names.push((name.name, name.span));
                }
            }
            PatKind::Map(entries) => {
                for (_, part) in entries {
                    self.pattern_names(*part, names);
                }
            }
            PatKind::Struct { parts, .. } => {
                for (_, part) in parts {
                    self.pattern_names(*part, names);
                }
            }
            PatKind::Or(alternatives) => {
                if let Some(&first) = alternatives.first() {
                    self.pattern_names(first, names);
                }
            }
            PatKind::Wildcard
            | PatKind::Literal(_)
            | PatKind::Range { .. }
            | PatKind::Path(_)
            | PatKind::Error => {}
        }
    }
}
