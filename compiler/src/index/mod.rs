//! Where every name of a file is declared, where it is used, and what it means there: for editors. Made from the tree and the tables of name
//! resolution when somebody asks; an ordinary compile knows nothing of it.
//!
//! Variables, functions, types and imports are known exactly. What stands behind a point is known as far as the value in front of it is
//! ([`shape`]); elsewhere its meaning is [`Meaning::Member`].

mod build;
mod shape;

use crate::ast::Span;
use heddle_bytecode::ModuleRef;
pub use shape::Shape;

/// A declaration, as an index in [`Index::symbols`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// `let`, `var`, `local var`, or bound by a pattern.
    Variable,
    Constant,
    Parameter,
    Function,
    Struct,
    Enum,
    Trait,
    Variant,
    Field,
    Method,
    /// `import x`
    Module,
    /// `from m import x`
    Import,
    /// A `test` block; its name is no name of the program.
    Test,
}

impl SymbolKind {
    /// Whether the name stands behind a point, not alone.
    pub fn is_member(self) -> bool {
        matches!(
            self,
            SymbolKind::Variant | SymbolKind::Field | SymbolKind::Method
        )
    }
    pub fn is_type(self) -> bool {
        matches!(
            self,
            SymbolKind::Struct | SymbolKind::Enum | SymbolKind::Trait
        )
    }
}

/// A declaration.
#[derive(Clone, Debug)]
pub struct Symbol {
    pub name: Box<str>,
    pub kind: SymbolKind,
    /// The name itself; of `import "./util.hd"` the path.
    pub span: Span,
    /// The whole declaration.
    pub extent: Span,
    /// What says in short what is declared: `fn area(w, h = w)`, `let x = 1`.
    pub head: Span,
    /// Where the name is visible. Empty for members.
    pub scope: Span,
    /// Visible in front of its declaration, too.
    pub is_hoisted: bool,
    /// Declared directly at the top level of the file.
    pub is_top: bool,
    pub is_pub: bool,
    /// May be assigned.
    pub is_var: bool,
    /// The type that has the member; the function that has the parameter.
    pub parent: Option<SymbolId>,
    /// Of a function, variant or struct: what a call passes, each as it is declared.
    pub params: Vec<Span>,
    /// What an import brings.
    pub origin: Option<Origin>,
    /// The types of this file that a type is based on directly.
    pub bases: Vec<SymbolId>,
    /// A type whose instances have what errors have.
    pub is_error: bool,
    /// What the name stands for.
    pub shape: Shape,
    /// What a call of it gives.
    pub result: Shape,
}

/// Where an imported name comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub module: ModuleRef,
    /// `None`: the module itself.
    pub name: Option<Box<str>>,
}

/// What a name means where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Symbol(SymbolId),
    /// A name of the prelude.
    Prelude,
    /// What values of a type of the library have: its name.
    Builtin(Box<str>),
    /// What a module exports.
    Exported(ModuleRef),
    /// A module, where an import names it.
    Module(ModuleRef),
    /// A field or method of a value that is not known.
    Member,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Declaration,
    Read,
    Write,
    /// The `name:` of an argument or of a part of a pattern.
    Label,
}

/// A place where a name stands.
#[derive(Clone, Debug)]
pub struct Occurrence {
    pub span: Span,
    pub meaning: Meaning,
    pub role: Role,
    /// `{name}` in a map pattern, which is the key and the variable in one.
    pub is_shorthand: bool,
}

#[derive(Debug, Default)]
pub struct Index {
    pub symbols: Vec<Symbol>,
    /// In the order of the text.
    pub occurrences: Vec<Occurrence>,
    /// What stands in front of points, as far as it is known: where the name behind the point begins, and the value.
    receivers: Vec<(u32, Shape)>,
}

impl Index {
    pub fn symbol(&self, id: SymbolId) -> &Symbol {
        &self.symbols[id.0 as usize]
    }

    pub fn ids(&self) -> impl Iterator<Item = SymbolId> {
        (0..self.symbols.len() as u32).map(SymbolId)
    }

    /// The name at a place, or right before it.
    pub fn at(&self, offset: u32) -> Option<&Occurrence> {
        let behind = self
            .occurrences
            .partition_point(|occurrence| occurrence.span.start <= offset);
        // Names do not overlap, so what covers the place is the last one that begins before it.
        let found = self.occurrences[..behind].last()?;
        (offset <= found.span.end).then_some(found)
    }

    /// Where a declaration is named, itself included.
    pub fn uses(&self, id: SymbolId) -> impl Iterator<Item = &Occurrence> {
        self.occurrences
            .iter()
            .filter(move |occurrence| occurrence.meaning == Meaning::Symbol(id))
    }

    /// The names that stand for something at a place, without those that an inner one hides.
    pub fn visible(&self, offset: u32) -> Vec<SymbolId> {
        let mut found: Vec<SymbolId> = self
            .ids()
            .filter(|&id| self.is_visible(id, offset))
            .collect();
        // Inner scopes first, of one scope what is declared last.
        found.sort_by_key(|&id| {
            let symbol = self.symbol(id);
            let size = symbol.scope.end - symbol.scope.start;
            (size, std::cmp::Reverse(symbol.span.start))
        });
        let mut seen = std::collections::HashSet::new();
        found.retain(|&id| seen.insert(self.symbol(id).name.clone()));
        found
    }

    fn is_visible(&self, id: SymbolId, offset: u32) -> bool {
        let symbol = self.symbol(id);
        let is_inside = symbol.scope.start <= offset && offset <= symbol.scope.end;
        !symbol.kind.is_member()
            && is_inside
            && (symbol.is_hoisted || symbol.is_top || symbol.span.end < offset)
    }

    /// What a name stands for at a place.
    pub fn find(&self, name: &str, offset: u32) -> Option<SymbolId> {
        self.ids()
            .filter(|&id| &*self.symbol(id).name == name && self.is_visible(id, offset))
            .min_by_key(|&id| {
                let symbol = self.symbol(id);
                let size = symbol.scope.end - symbol.scope.start;
                (size, std::cmp::Reverse(symbol.span.start))
            })
    }

    /// What the file exports.
    pub fn exported(&self) -> impl Iterator<Item = SymbolId> {
        self.ids().filter(|&id| {
            let symbol = self.symbol(id);
            symbol.is_top && symbol.is_pub
        })
    }

    /// The value whose member the name at `start` is.
    pub fn receiver(&self, start: u32) -> Option<&Shape> {
        let at = self.receivers.binary_search_by_key(&start, |(at, _)| *at);
        at.ok().map(|at| &self.receivers[at].1)
    }

    /// A type and all types of this file that it is based on, nearest first.
    pub fn ancestors(&self, id: SymbolId) -> Vec<SymbolId> {
        let mut all = vec![id];
        let mut next = 0;
        while let Some(&current) = all.get(next) {
            next += 1;
            for &base in &self.symbol(current).bases {
                if !all.contains(&base) {
                    all.push(base);
                }
            }
        }
        all
    }

    /// What a type itself declares: variants, fields, methods.
    pub fn members(&self, id: SymbolId) -> impl Iterator<Item = SymbolId> {
        self.ids().filter(move |&member| {
            let symbol = self.symbol(member);
            symbol.parent == Some(id) && symbol.kind.is_member()
        })
    }
}
