//! What the compiler knows of the types that a module declares.

use std::collections::{HashMap, HashSet};

use super::walk::Resolver;
use super::{BindingId, BindingKind, Target};
use crate::ast::{Ast, ExprId, ExprKind, FieldDecl, FnBody, FnId, Name, PatKind, StmtId, StmtKind};
use heddle_bytecode::{ERROR_KINDS, TypeShape};

#[derive(Clone, Debug)]
pub(crate) struct TypeInfo {
    pub(crate) name: Name,
    pub(crate) shape: TypeShape,
    pub(crate) binding: Option<BindingId>,
    pub(crate) parent: Option<u32>,
    pub(crate) variants: Vec<u32>,
    pub(crate) bases: Vec<ExprId>,
    pub(crate) fields: Vec<FieldDecl>,
    pub(crate) methods: Vec<Method>,
    pub(crate) is_unit: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) name: Name,
    pub(crate) function: FnId,
    pub(crate) has_self: bool,
    /// Without a body: a trait asks for it.
    pub(crate) is_required: bool,
}

/// What a type's bases make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// All bases are traits of this module: the fields are exactly those declared.
    Plain,
    /// An error, based on built-in kinds: the fields of `Error` come first.
    Error,
    /// A base is of another module: only the linker sees whether it is a trait or a kind of error, and what fields that has.
    Unknown,
}

impl Resolver<'_> {
    /// Enters a `struct`, `enum` or `trait` statement (and the enum's variants) into the table of types.
    pub(super) fn declare_type(&mut self, stmt: StmtId) -> u32 {
        let index = self.out.types.len() as u32;
        let (name, shape, bases, fields, methods) = match &self.ast.stmt(stmt).kind {
            StmtKind::Struct(decl) => (
                decl.name,
                TypeShape::Struct,
                &decl.bases,
                &decl.fields[..],
                &decl.methods,
            ),
            StmtKind::Enum(decl) => (
                decl.name,
                TypeShape::Enum,
                &decl.bases,
                &[][..],
                &decl.methods,
            ),
            StmtKind::Trait(decl) => (
                decl.name,
                TypeShape::Trait,
                &decl.bases,
                &[][..],
                &decl.methods,
            ),
            _ => unreachable!("only type declarations are declared here"),
        };
        let methods = methods
            .iter()
            .map(|&function| self.method(function))
            .collect();
        self.out.types.push(TypeInfo {
            name: name.name,
            shape,
            binding: None,
            parent: None,
            variants: Vec::new(),
            bases: bases.clone(),
            fields: fields.to_vec(),
            methods,
            is_unit: false,
        });
        if let StmtKind::Enum(decl) = &self.ast.stmt(stmt).kind {
            for variant in &decl.variants {
                let number = self.out.types.len() as u32;
                self.out.types[index as usize].variants.push(number);
                self.out.types.push(TypeInfo {
                    name: variant.name.name,
                    shape: TypeShape::Variant,
                    binding: None,
                    parent: Some(index),
                    variants: Vec::new(),
                    bases: Vec::new(),
                    fields: variant.fields.clone(),
                    methods: Vec::new(),
                    is_unit: !variant.has_parens,
                });
            }
        }
        self.out.type_of_stmt.insert(stmt, index);
        index
    }

    /// Reports the types among these statements that are, by way of others or at once, based on themselves; their bases are known. Gives all that were met, each
    /// behind those that it is based on.
    pub(super) fn check_ancestors(&mut self, stmts: &[StmtId]) -> Vec<u32> {
        let declared = stmts
            .iter()
            .filter_map(|stmt| self.out.type_of_stmt.get(stmt).copied());
        let (mut circles, mut order) = (Vec::new(), Vec::new());
        // Depth first. Whether a type that was seen is on the path, that is, leads to the one that is looked at.
        let mut seen = HashMap::new();
        for start in declared {
            if seen.contains_key(&start) {
                continue;
            }
            seen.insert(start, true);
            let mut path = vec![(start, 0)];
            while let Some((index, next)) = path.last_mut() {
                let Some(&base) = self.out.type_info(*index).bases.get(*next) else {
                    seen.insert(*index, false);
                    order.push(*index);
                    path.pop();
                    continue;
                };
                *next += 1;
                let Some(ancestor) = self.out.static_type(self.ast, base) else {
                    continue;
                };
                match seen.get(&ancestor) {
                    None => {
                        seen.insert(ancestor, true);
                        path.push((ancestor, 0));
                    }
                    Some(true) => circles.push((ancestor, base)),
                    Some(false) => {}
                }
            }
        }
        for (index, base) in circles {
            self.report_own_ancestor(index, base);
        }
        order
    }

    fn method(&self, function: FnId) -> Method {
        let func = self.ast.func(function);
        let has_self = func.params.first().is_some_and(|param| {
            matches!(self.ast.pat(param.pat).kind, PatKind::Bind(name) if self.ast.name(name) == "self")
        });
        Method {
            name: func
                .name
                .map(|ident| ident.name)
                .expect("methods have names"),
            function,
            has_self,
            is_required: matches!(func.body, FnBody::Missing),
        }
    }
}

impl super::Resolution {
    pub(crate) fn type_info(&self, index: u32) -> &TypeInfo {
        &self.types[index as usize]
    }

    /// The type of this module that an expression names: `Point`, `Shape.Circle`.
    pub(crate) fn static_type(&self, ast: &Ast, path: ExprId) -> Option<u32> {
        match &ast.expr(path).kind {
            ExprKind::Name(_) => match self.target(path) {
                Target::Binding(id) => match self.binding(id).kind {
                    BindingKind::Type(index) => Some(index),
                    _ => None,
                },
                _ => None,
            },
            ExprKind::Field {
                object,
                name,
                safe: false,
            } => {
                let parent = self.static_type(ast, *object)?;
                let variants = &self.type_info(parent).variants;
                variants
                    .iter()
                    .copied()
                    .find(|&variant| self.type_info(variant).name == name.name)
            }
            _ => None,
        }
    }

    /// A type and all types of this module that it is based on, nearest first; with the bases that are not of this module.
    fn ancestors(&self, ast: &Ast, index: u32) -> (Vec<u32>, Vec<ExprId>) {
        let (mut local, mut foreign) = (vec![index], Vec::new());
        let mut seen = HashSet::from([index]);
        let mut next = 0;
        while let Some(&current) = local.get(next) {
            next += 1;
            for &base in &self.type_info(current).bases {
                match self.static_type(ast, base) {
                    Some(base) => {
                        if seen.insert(base) {
                            local.push(base);
                        }
                    }
                    None => foreign.push(base),
                }
            }
        }
        (local, foreign)
    }

    /// What the bases of a type make of it.
    pub(crate) fn family(&self, ast: &Ast, index: u32) -> Family {
        let (_, foreign) = self.ancestors(ast, index);
        if foreign.is_empty() {
            Family::Plain
        } else if foreign.iter().all(|&base| self.is_built_in_kind(ast, base)) {
            Family::Error
        } else {
            Family::Unknown
        }
    }

    pub(crate) fn is_built_in_kind(&self, ast: &Ast, base: ExprId) -> bool {
        match &ast.expr(base).kind {
            ExprKind::Name(name) => {
                self.target(base) == Target::Prelude && ERROR_KINDS.contains(&ast.name(*name))
            }
            _ => false,
        }
    }

    /// The fields that instances have: an error's own come after those of the error that it is based on.
    pub(crate) fn all_fields(&self, ast: &Ast, index: u32) -> Vec<FieldDecl> {
        let (local, _) = self.ancestors(ast, index);
        let all = local
            .iter()
            .rev()
            .flat_map(|&part| self.type_info(part).fields.iter());
        all.cloned().collect()
    }

    /// Fields and methods that instances are known to have; `None` if a base is not known here.
    pub(crate) fn has_member(&self, ast: &Ast, index: u32, member: Name) -> Option<bool> {
        let (local, foreign) = self.ancestors(ast, index);
        let is_there = ast.name(member) == "with"
            || local.iter().map(|&part| self.type_info(part)).any(|info| {
                info.fields.iter().any(|field| field.name.name == member)
                    || info.methods.iter().any(|method| method.name == member)
            });
        // What implements a trait may have more; an enum's fields belong to its variants.
        let is_closed = foreign.is_empty() && self.type_info(index).shape == TypeShape::Struct;
        (is_there || is_closed).then_some(is_there)
    }
}
