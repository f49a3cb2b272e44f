//! From a name to its declaration, and to all places where it stands.

use crate::workspace::{Document, Place, Workspace};
use heddle_bytecode::ModuleRef;
use heddle_compiler::ast::Span;
use heddle_compiler::index::{Meaning, Origin, Role, Symbol, SymbolId, SymbolKind};
use std::rc::Rc;

/// A part of a document.
pub(crate) type Spot = (Rc<Document>, Span);

/// Where the name at a place is declared. For a member of an unknown value: all members of that name.
pub(crate) fn definition(workspace: &Workspace, document: &Rc<Document>, offset: u32) -> Vec<Spot> {
    let Some(found) = document.index().at(offset) else {
        return Vec::new();
    };
    if let Meaning::Module(module) = &found.meaning {
        return start_of(workspace, module);
    }
    if let Some(place) = workspace.meant(document, offset) {
        let symbol = place.document.index().symbol(place.symbol);
        if let (SymbolKind::Module, Some(origin)) = (symbol.kind, &symbol.origin) {
            let start = start_of(workspace, &origin.module);
            if !start.is_empty() {
                return start;
            }
        }
        let span = symbol.span;
        return vec![(place.document, span)];
    }
    if found.meaning != Meaning::Member {
        return Vec::new();
    }
    let name = document.slice(found.span);
    let mut spots = Vec::new();
    for other in near(workspace, document) {
        for id in members_called(&other, name) {
            spots.push((other.clone(), other.index().symbol(id).span));
        }
    }
    spots
}

fn start_of(workspace: &Workspace, module: &ModuleRef) -> Vec<Spot> {
    let document = workspace.module(module);
    let start = Span { start: 0, end: 0 };
    document.into_iter().map(|found| (found, start)).collect()
}

/// A document and the files that it imports.
fn near(workspace: &Workspace, document: &Rc<Document>) -> Vec<Rc<Document>> {
    let imported = document.imports();
    let imported = imported
        .iter()
        .filter_map(|(module, _)| workspace.module(module));
    let mut all = vec![document.clone()];
    for other in imported {
        if !all.iter().any(|known| Rc::ptr_eq(known, &other)) {
            all.push(other);
        }
    }
    all
}

/// Fields, methods and variants of a name.
pub(crate) fn members_called(document: &Document, name: &str) -> Vec<SymbolId> {
    let index = document.index();
    let is_called = |&id: &SymbolId| {
        let symbol = index.symbol(id);
        symbol.kind.is_member() && &*symbol.name == name
    };
    index.ids().filter(is_called).collect()
}

/// All places where what the name at a place means is named, in all files. Of a field or method this includes where it may be meant.
pub(crate) fn references(
    workspace: &Workspace,
    document: &Rc<Document>,
    offset: u32,
    with_declaration: bool,
) -> Vec<Spot> {
    let Some(found) = document.index().at(offset) else {
        return Vec::new();
    };
    let Some(place) = workspace.meant(document, offset) else {
        return same_meaning(document, &found.meaning, document.slice(found.span));
    };
    let mut spots = Vec::new();
    for other in concerned(workspace, &place) {
        for (span, role) in named_in(&other, &place) {
            if with_declaration || role != Role::Declaration {
                spots.push((other.clone(), span));
            }
        }
    }
    spots
}

/// Of what is not declared in any file: where the document names it.
fn same_meaning(document: &Rc<Document>, meaning: &Meaning, name: &str) -> Vec<Spot> {
    let index = document.index();
    index
        .occurrences
        .iter()
        .filter(|other| other.meaning == *meaning && document.slice(other.span) == name)
        .map(|other| (document.clone(), other.span))
        .collect()
}

/// The documents in which something may be named: its own, and if it can be seen from outside all others.
pub(crate) fn concerned(workspace: &Workspace, place: &Place) -> Vec<Rc<Document>> {
    let index = place.document.index();
    let symbol = index.symbol(place.symbol);
    let owner = symbol.parent.map_or(symbol, |parent| index.symbol(parent));
    let owner = owner.parent.map_or(owner, |parent| index.symbol(parent));
    let mut all = vec![place.document.clone()];
    if owner.is_top && owner.is_pub && place.document.key.is_some() {
        for other in workspace.all() {
            if !Rc::ptr_eq(&other, &place.document) && imports(&other, &place.document) {
                all.push(other);
            }
        }
    }
    all
}

fn imports(document: &Document, other: &Document) -> bool {
    let key = other.key.as_deref();
    document
        .imports()
        .iter()
        .any(|(module, _)| matches!(module, ModuleRef::File(path) if Some(&**path) == key))
}

/// Whether a symbol of a document is what a module exports under the name of `target`.
pub(crate) fn brings(symbol: &Symbol, target: &Place) -> bool {
    let wanted = &target.document.index().symbol(target.symbol).name;
    match &symbol.origin {
        Some(Origin {
            module: ModuleRef::File(path),
            name: Some(name),
        }) => Some(&**path) == target.document.key.as_deref() && name == wanted,
        _ => false,
    }
}

/// The places in a document where a declaration of some document is named.
pub(crate) fn named_in(document: &Rc<Document>, target: &Place) -> Vec<(Span, Role)> {
    let index = document.index();
    let declared = target.document.index().symbol(target.symbol);
    let is_own = Rc::ptr_eq(document, &target.document);
    let is_meant = |meaning: &Meaning, span: Span| match meaning {
        Meaning::Symbol(id) if is_own => *id == target.symbol,
        Meaning::Symbol(id) => brings(index.symbol(*id), target),
        Meaning::Exported(ModuleRef::File(path)) => {
            declared.is_top
                && Some(&**path) == target.document.key.as_deref()
                && document.slice(span) == &*declared.name
        }
        Meaning::Member => declared.kind.is_member() && document.slice(span) == &*declared.name,
        _ => false,
    };
    index
        .occurrences
        .iter()
        .filter(|found| is_meant(&found.meaning, found.span))
        .map(|found| (found.span, found.role))
        .collect()
}
