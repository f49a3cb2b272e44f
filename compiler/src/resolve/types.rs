//! What the compiler knows of the types that a module declares.

use super::walk::Resolver;
use super::{BindingId, BindingKind, Target};
use crate::ast::{ExprId, ExprKind, FieldDecl, FnBody, FnId, Name, PatKind, StmtId, StmtKind};
use heddle_vm::bytecode::TypeShape;

#[derive(Clone, Debug)]
pub(crate) struct TypeInfo {
    pub(crate) name: Name,
    pub(crate) shape: TypeShape,
    pub(crate) stmt: StmtId,
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
    /// An error: the fields of `Error` come first.
    Error,
    /// A base is an import: not known.
    Unknown,
}

/// The fields that every error has in front of its own.
pub(crate) const ERROR_FIELDS: [&str; 5] = ["message", "kind", "data", "cause", "trace"];

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
            stmt,
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
                    stmt,
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
    pub(crate) fn static_type(&self, ast: &crate::ast::Ast, path: ExprId) -> Option<u32> {
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

    /// What the bases of a type make of it.
    pub(crate) fn family(&self, ast: &crate::ast::Ast, index: u32) -> Family {
        // A cycle of bases is the linker's to report; here it only must not loop.
        self.family_within(ast, index, 32)
    }

    fn family_within(&self, ast: &crate::ast::Ast, index: u32, depth: u32) -> Family {
        let info = self.type_info(index);
        let mut family = Family::Plain;
        for &base in &info.bases {
            let of_base = match self.static_type(ast, base) {
                Some(base) if self.type_info(base).shape == TypeShape::Trait => Family::Plain,
                Some(base) if depth > 0 => self.family_within(ast, base, depth - 1),
                Some(_) => Family::Plain,
                None if self.is_error_name(ast, base) => Family::Error,
                None => Family::Unknown,
            };
            if of_base == Family::Error || family == Family::Plain {
                family = of_base;
            }
        }
        family
    }

    /// Whether a base that is not declared here is an error kind: those of the prelude are; an import is taken by its name.
    fn is_error_name(&self, ast: &crate::ast::Ast, base: ExprId) -> bool {
        match &ast.expr(base).kind {
            ExprKind::Name(name) => {
                self.target(base) == Target::Prelude || ast.name(*name).ends_with("Error")
            }
            ExprKind::Field { name, .. } => ast.name(name.name).ends_with("Error"),
            _ => false,
        }
    }

    /// Fields and methods that instances are known to have; `None` if a base is not known here.
    pub(crate) fn has_member(
        &self,
        ast: &crate::ast::Ast,
        index: u32,
        member: Name,
    ) -> Option<bool> {
        self.has_member_within(ast, index, member, 32)
    }

    fn has_member_within(
        &self,
        ast: &crate::ast::Ast,
        index: u32,
        member: Name,
        depth: u32,
    ) -> Option<bool> {
        let info = self.type_info(index);
        if info.fields.iter().any(|field| field.name.name == member)
            || info.methods.iter().any(|method| method.name == member)
            || ast.name(member) == "with"
        {
            return Some(true);
        }
        if info.shape == TypeShape::Trait || info.shape == TypeShape::Enum {
            // What implements a trait may have more; an enum's fields belong to its variants.
            return None;
        }
        for &base in &info.bases {
            let base = self.static_type(ast, base)?;
            if depth == 0 || self.has_method(ast, base, member, depth - 1)? {
                return Some(true);
            }
        }
        Some(false)
    }

    fn has_method(
        &self,
        ast: &crate::ast::Ast,
        index: u32,
        member: Name,
        depth: u32,
    ) -> Option<bool> {
        let info = self.type_info(index);
        if info.shape != TypeShape::Trait {
            return self.has_member_within(ast, index, member, depth);
        }
        if info.methods.iter().any(|method| method.name == member) {
            return Some(true);
        }
        for &base in &info.bases {
            let base = self.static_type(ast, base)?;
            if depth > 0 && self.has_method(ast, base, member, depth - 1)? {
                return Some(true);
            }
        }
        Some(false)
    }
}
