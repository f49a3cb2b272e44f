//! Name resolution: which declaration every name means, which variables closures capture, what is wrong.
//!
//! The result is a set of tables beside the tree, indexed by its ids. Code generation asks these tables and never
//! looks a name up by its text.

mod declare;
mod fold;
mod report;
mod scope;
mod types;
mod walk;

use crate::ids::{IdMap, IdSet};

pub(crate) use fold::Literal;
pub(crate) use types::{Family, TypeInfo};

use crate::ast::{Ast, ExprId, FnId, Name, PatId, Span, StmtId};
use crate::compile::Options;
use crate::diagnostics::Diagnostic;
use heddle_bytecode::ModuleRef;

/// A declaration of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct BindingId(pub(crate) u32);

/// A function as the owner of variables: the module's body, a `fn`, a closure, a constructor, an initialiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Owner(pub(crate) u32);

/// The module's body.
pub(crate) const MODULE_BODY: Owner = Owner(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindingKind {
    Let,
    Var,
    Const,
    LocalVar,
    Param,
    /// Bound by a pattern of `for`, `match`, `catch`, or a destructuring: like `let`.
    Pattern,
    Fn(FnId),
    /// Index in `Resolution::types`, which is also the index in the module's types.
    Type(u32),
    /// `import x`: index in `Resolution::imports`.
    Module(u32),
    /// `from x import name`.
    Import {
        module: u32,
        name: Name,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) name: Name,
    pub(crate) span: Span,
    pub(crate) kind: BindingKind,
    pub(crate) owner: Owner,
    /// Declared directly at the top level of the file.
    pub(crate) is_root: bool,
    pub(crate) is_pub: bool,
    /// Read or assigned by a function other than its owner.
    pub(crate) is_captured: bool,
    /// Assigned after its declaration.
    pub(crate) is_assigned: bool,
    /// Captured by a function that is made before the variable is set.
    pub(crate) is_early: bool,
    pub(crate) is_used: bool,
    /// The number that a `let` or `const` always is.
    pub(crate) literal: Option<Literal>,
    /// A `let` whose value is made by a list literal.
    pub(crate) is_list: bool,
    /// The `self` of a method of this type.
    pub(crate) self_type: Option<u32>,
    /// A function that captures nothing, a type whose methods and constructors capture nothing: a constant.
    pub(crate) is_static: bool,
    is_set: bool,
}

/// What a name in an expression means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// Not a name, or one that a diagnostic complains about.
    #[default]
    None,
    Binding(BindingId),
    Prelude,
    /// From an earlier input of the REPL: `imports[module]` exports it.
    Repl {
        module: u32,
        is_var: bool,
    },
}

/// What is known of a function as an owner of variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnerInfo {
    pub(crate) parent: Option<Owner>,
    /// Variables of functions around it that it, or a function in it, names.
    pub(crate) free: Vec<BindingId>,
    /// Variables of the module, likewise.
    pub(crate) module_vars: Vec<BindingId>,
    /// Those that it names inside a loop: worth a register.
    pub(crate) in_loop: IdSet<BindingId>,
    pub(crate) has_defer: bool,
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Resolution {
    pub(crate) bindings: Vec<Binding>,
    /// By `ExprId`.
    pub(crate) targets: Vec<Target>,
    /// By `PatId`.
    pub(crate) pat_bindings: Vec<Option<BindingId>>,
    /// By place and name of the identifier that declares.
    pub(crate) declared_at: IdMap<(u32, Name), BindingId>,
    pub(crate) owners: Vec<OwnerInfo>,
    /// By `FnId`.
    pub(crate) fn_owners: Vec<Owner>,
    /// By type index.
    pub(crate) constructor_owners: IdMap<u32, Owner>,
    /// Initialisers of `local var`.
    pub(crate) initialiser_owners: IdMap<StmtId, Owner>,
    pub(crate) types: Vec<TypeInfo>,
    /// Index of the type that a `struct`, `enum` or `trait` statement declares.
    pub(crate) type_of_stmt: IdMap<StmtId, u32>,
    pub(crate) imports: Vec<ModuleRef>,
    /// Expressions whose value is a number known now.
    pub(crate) folded: IdMap<ExprId, Literal>,
    /// Local functions that are made when their block is entered, not where they stand.
    pub(crate) made_at_entry: IdSet<FnId>,
    /// So are local types; with their places in the order in which they are made, each behind those that it is based on.
    pub(crate) types_made_at_entry: IdMap<StmtId, usize>,
    /// Starts of all assignments, sorted.
    assignments: Vec<u32>,
}

impl Resolution {
    pub(crate) fn binding(&self, id: BindingId) -> &Binding {
        &self.bindings[id.0 as usize]
    }
    pub(crate) fn target(&self, id: ExprId) -> Target {
        self.targets[id.0 as usize]
    }
    pub(crate) fn owner(&self, id: Owner) -> &OwnerInfo {
        &self.owners[id.0 as usize]
    }
    pub(crate) fn pat_binding(&self, id: PatId) -> Option<BindingId> {
        self.pat_bindings[id.0 as usize]
    }
    /// What a function captures: its free variables that are no constants.
    pub(crate) fn captures(&self, owner: Owner) -> impl Iterator<Item = BindingId> + '_ {
        let free = &self.owner(owner).free;
        free.iter()
            .copied()
            .filter(|&id| !self.binding(id).is_static)
    }
    /// Whether each execution of a type's declaration makes a type of its own: it captures, or is based on one that does.
    pub(crate) fn is_local_type(&self, index: u32) -> bool {
        let info = self.type_info(index);
        let declared = info.parent.map_or(info, |parent| self.type_info(parent));
        declared
            .binding
            .is_some_and(|binding| !self.binding(binding).is_static)
    }
    /// Whether an assignment statement stands within the span.
    pub(crate) fn may_assign(&self, span: Span) -> bool {
        let first = self.assignments.partition_point(|&at| at < span.start);
        self.assignments.get(first).is_some_and(|&at| at < span.end)
    }
}

/// Resolves a whole file.
pub(crate) fn resolve(ast: &Ast, options: &Options) -> (Resolution, Vec<Diagnostic>) {
    let mut resolver = walk::Resolver::new(ast, options);
    resolver.run();
    resolver.finish()
}
