//! What is known of a value before anything runs: little, but enough to say what may stand behind its point.
//!
//! Each step looks at one part of an expression only, and there are at most `MAX_STEPS`; so a question costs little, whatever the program.

use super::build::Builder;
use super::{SymbolId, SymbolKind};
use crate::ast::{Arg, Block, ExprId, ExprKind, FnBody, Name, SpawnKind, StmtKind};
use crate::resolve::Target;
use heddle_bytecode::ModuleRef;

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    Unknown,
    Module(ModuleRef),
    /// A `struct`, `enum`, `trait` or variant itself.
    Type(SymbolId),
    /// A value of such a type.
    Instance(SymbolId),
    Function(SymbolId),
    /// A value of a type of the library: `list`, `Channel`.
    Builtin(Box<str>),
    /// What a name of the prelude stands for.
    Prelude(Box<str>),
    Exported(ModuleRef, Box<str>),
    /// What a call of an export gives.
    Called(ModuleRef, Box<str>),
}

pub(super) const MAX_STEPS: usize = 40;

/// Methods of the library's types whose results are known: the type, the result, the methods.
const RESULTS: &[(&str, &str, &[&str])] = &[
    (
        "string",
        "string",
        &[
            "upper",
            "lower",
            "trim",
            "trim_start",
            "trim_end",
            "replace",
            "repeat",
            "pad_left",
            "pad_right",
            "slice",
            "join",
        ],
    ),
    ("string", "list", &["split", "lines"]),
    ("string", "bytes", &["bytes"]),
    ("string", "int", &["len", "count", "ord"]),
    ("string", "iterator", &["chars", "iter"]),
    ("bytes", "string", &["to_string", "decode", "hex"]),
    ("bytes", "bytes", &["slice"]),
    (
        "list",
        "list",
        &[
            "map",
            "filter",
            "sorted",
            "reversed",
            "slice",
            "take",
            "drop",
            "unique",
            "flat",
            "flat_map",
            "chunks",
            "zip",
            "enumerate",
            "copy",
            "to_list",
        ],
    ),
    ("list", "map", &["group_by"]),
    ("list", "string", &["join"]),
    ("list", "int", &["len", "count"]),
    ("list", "iterator", &["iter"]),
    ("tuple", "list", &["to_list", "map", "filter", "sorted"]),
    ("map", "list", &["keys", "values", "entries"]),
    ("map", "map", &["merge", "copy", "filter", "map_values"]),
    ("map", "int", &["len"]),
    ("set", "set", &["union", "intersect", "difference", "copy"]),
    ("set", "list", &["to_list", "sorted", "map", "filter"]),
    ("range", "list", &["to_list", "sorted"]),
    ("range", "iterator", &["map", "filter", "take", "drop"]),
    ("range", "range", &["step", "rev"]),
    ("iterator", "list", &["to_list", "sorted", "chunks"]),
    (
        "iterator",
        "iterator",
        &[
            "map",
            "filter",
            "take",
            "drop",
            "zip",
            "enumerate",
            "chain",
            "flat_map",
        ],
    ),
    ("Broadcast", "Subscriber", &["subscribe"]),
    ("Task", "Task", &["current"]),
    ("Thread", "Thread", &["current"]),
];

/// Functions of the prelude whose results are known.
const CALLS: &[(&str, &str)] = &[
    ("str", "string"),
    ("repr", "string"),
    ("type", "string"),
    ("input", "string"),
    ("chr", "string"),
    ("int", "int"),
    ("float", "float"),
    ("len", "int"),
    ("round", "int"),
    ("floor", "int"),
    ("ceil", "int"),
    ("sqrt", "float"),
    ("hash", "int"),
    ("list", "list"),
    ("tuple", "tuple"),
    ("map", "map"),
    ("range", "range"),
    ("bytes", "bytes"),
    ("sorted", "list"),
    ("reversed", "list"),
    ("Set", "set"),
];

impl Builder<'_> {
    /// What is known of an expression's value.
    pub(super) fn shape(&self, expr: ExprId) -> Shape {
        self.shape_within(expr, MAX_STEPS)
    }

    fn shape_within(&self, id: ExprId, steps: usize) -> Shape {
        let Some(steps) = steps.checked_sub(1) else {
            return Shape::Unknown;
        };
        let builtin = |name: &str| Shape::Builtin(name.into());
        match &self.ast.expr(id).kind {
            ExprKind::Bool(_) => builtin("bool"),
            ExprKind::Int(_) | ExprKind::BigInt(_) => builtin("int"),
            ExprKind::Float(_) => builtin("float"),
            ExprKind::Duration(_) => builtin("duration"),
            ExprKind::Str(_) | ExprKind::Interp(_) => builtin("string"),
            ExprKind::Bytes(_) => builtin("bytes"),
            ExprKind::List(_) => builtin("list"),
            ExprKind::Tuple(_) => builtin("tuple"),
            ExprKind::Map(_) => builtin("map"),
            ExprKind::Range { .. } => builtin("range"),
            ExprKind::Spawn { kind, .. } => builtin(match kind {
                SpawnKind::Thread => "Thread",
                SpawnKind::Spawn | SpawnKind::Threadlet => "Task",
            }),
            ExprKind::Name(name) => match self.resolution.target(id) {
                Target::Binding(binding) => self.shape_of(self.of_binding(binding), steps),
                Target::Prelude => Shape::Prelude(self.ast.name(*name).into()),
                Target::None | Target::Repl { .. } => Shape::Unknown,
            },
            ExprKind::Field { object, name, .. } => {
                let text = self.ast.name(name.name);
                match self.shape_within(*object, steps) {
                    Shape::Module(module) => Shape::Exported(module, text.into()),
                    Shape::Type(of) | Shape::Instance(of) => match self.member(of, name.name) {
                        Some(member) => self.shape_of(member, steps),
                        None => Shape::Unknown,
                    },
                    _ => Shape::Unknown,
                }
            }
            ExprKind::Call { callee, args } => self.shape_of_call(*callee, args, steps),
            ExprKind::Binary { left, .. } => match self.shape_within(*left, steps) {
                shape @ Shape::Builtin(_) => shape,
                _ => Shape::Unknown,
            },
            ExprKind::Block(block) => self.shape_of_block(block, steps),
            ExprKind::If { then, .. } => self.shape_of_block(then, steps),
            _ => Shape::Unknown,
        }
    }

    fn shape_of_block(&self, block: &Block, steps: usize) -> Shape {
        match block.stmts.last().map(|&last| &self.ast.stmt(last).kind) {
            Some(StmtKind::Expr(value)) => self.shape_within(*value, steps),
            _ => Shape::Unknown,
        }
    }

    fn shape_of_call(&self, callee: ExprId, args: &[Arg], steps: usize) -> Shape {
        if let ExprKind::Field { object, name, .. } = &self.ast.expr(callee).kind {
            let text = self.ast.name(name.name);
            match self.shape_within(*object, steps) {
                Shape::Builtin(of) => {
                    let known = RESULTS
                        .iter()
                        .find(|(ty, _, methods)| **ty == *of && methods.contains(&text));
                    return known.map_or(Shape::Unknown, |(_, result, _)| {
                        Shape::Builtin((*result).into())
                    });
                }
                Shape::Instance(of) if text == "with" && self.member(of, name.name).is_none() => {
                    return Shape::Instance(of);
                }
                Shape::Prelude(of) if text == "current" => return Shape::Builtin(of),
                _ => {}
            }
        }
        self.shape_of_result(self.shape_within(callee, steps), args, steps)
    }

    /// What a call of something gives.
    pub(super) fn shape_of_result(&self, called: Shape, args: &[Arg], steps: usize) -> Shape {
        match called {
            Shape::Type(of) => match self.symbols[of.0 as usize] {
                ref variant if variant.kind == SymbolKind::Variant => {
                    variant.parent.map_or(Shape::Unknown, Shape::Instance)
                }
                _ => Shape::Instance(of),
            },
            Shape::Function(function) => {
                let func = self.sources[function.0 as usize].func;
                match func.map(|id| self.ast.func(id)) {
                    Some(func) if func.is_gen => Shape::Builtin("generator".into()),
                    Some(func) => match &func.body {
                        FnBody::Block(block) => self.shape_of_block(block, steps),
                        FnBody::Expr(value) => self.shape_within(*value, steps),
                        FnBody::Missing => Shape::Unknown,
                    },
                    None => Shape::Unknown,
                }
            }
            Shape::Prelude(name) => {
                if let ("copy" | "freeze", Some(first)) = (&*name, args.first()) {
                    return self.shape_within(first.value, steps);
                }
                if let Some((_, result)) = CALLS.iter().find(|(call, _)| **call == *name) {
                    return Shape::Builtin((*result).into());
                }
                let is_type = name.starts_with(char::is_uppercase);
                match is_type {
                    true if heddle_bytecode::ERROR_KINDS.contains(&&*name) => {
                        Shape::Builtin("Error".into())
                    }
                    true => Shape::Builtin(name),
                    false => Shape::Unknown,
                }
            }
            Shape::Exported(module, name) => Shape::Called(module, name),
            _ => Shape::Unknown,
        }
    }

    /// What a declared name stands for.
    pub(super) fn shape_of(&self, id: SymbolId, steps: usize) -> Shape {
        let symbol = &self.symbols[id.0 as usize];
        let source = &self.sources[id.0 as usize];
        match symbol.kind {
            SymbolKind::Struct | SymbolKind::Enum | SymbolKind::Trait => Shape::Type(id),
            // Without parentheses it is a value.
            SymbolKind::Variant => match symbol.parent {
                Some(parent) if symbol.head == symbol.span => Shape::Instance(parent),
                _ => Shape::Type(id),
            },
            SymbolKind::Function | SymbolKind::Method => Shape::Function(id),
            SymbolKind::Module | SymbolKind::Import => match &symbol.origin {
                Some(origin) => match &origin.name {
                    Some(name) => Shape::Exported(origin.module.clone(), name.clone()),
                    None => Shape::Module(origin.module.clone()),
                },
                None => Shape::Unknown,
            },
            SymbolKind::Parameter if &*symbol.name == "self" => match symbol.parent {
                Some(parent) if self.symbols[parent.0 as usize].kind.is_type() => {
                    Shape::Instance(parent)
                }
                _ => Shape::Unknown,
            },
            SymbolKind::Variable
            | SymbolKind::Constant
            | SymbolKind::Parameter
            | SymbolKind::Field => match source.value {
                Some(value) => self.shape_within(value, steps),
                None if source.is_caught => Shape::Builtin("Error".into()),
                None => Shape::Unknown,
            },
            SymbolKind::Test => Shape::Unknown,
        }
    }

    /// The member that a type of this file, or one that it is based on, declares.
    pub(super) fn member(&self, of: SymbolId, name: Name) -> Option<SymbolId> {
        let mut seen = vec![of];
        let mut next = 0;
        while let Some(&current) = seen.get(next) {
            next += 1;
            if let Some(&found) = self.members.get(&(current.0, name)) {
                return Some(found);
            }
            for base in self.bases_of(current) {
                if !seen.contains(&base) {
                    seen.push(base);
                }
            }
        }
        None
    }

    /// The types of this file that a type is based on directly.
    pub(super) fn bases_of(&self, id: SymbolId) -> Vec<SymbolId> {
        let bases = &self.sources[id.0 as usize].bases;
        let of = |&base: &ExprId| match self.resolution.target(base) {
            Target::Binding(binding) => Some(self.of_binding(binding)),
            _ => None,
        };
        let is_type = |id: &SymbolId| self.symbols[id.0 as usize].kind.is_type();
        bases.iter().filter_map(of).filter(is_type).collect()
    }

    /// Whether instances have what errors have.
    pub(super) fn is_error(&self, id: SymbolId) -> bool {
        let bases = &self.sources[id.0 as usize].bases;
        bases.iter().any(|&base| {
            matches!(self.ast.expr(base).kind, ExprKind::Name(name)
                if self.resolution.target(base) == Target::Prelude && heddle_bytecode::ERROR_KINDS.contains(&self.ast.name(name)))
        })
    }
}
