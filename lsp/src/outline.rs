//! The declarations of a document as a tree, and those of all documents by name.

use crate::workspace::{Document, Workspace};
use heddle_compiler::index::{Symbol, SymbolId, SymbolKind};
use std::rc::Rc;

pub(crate) struct Entry {
    pub(crate) symbol: SymbolId,
    pub(crate) children: Vec<Entry>,
}

/// More are not of use to anyone who searches.
const MOST_FOUND: usize = 500;

/// What is declared at top level and in its types, in the order of the text.
pub(crate) fn outline(document: &Document) -> Vec<Entry> {
    let index = document.index();
    let mut children: Vec<Vec<SymbolId>> = vec![Vec::new(); index.symbols.len()];
    let mut top = Vec::new();
    for id in index.ids() {
        let symbol = index.symbol(id);
        match symbol.parent {
            Some(parent) if symbol.kind.is_member() => children[parent.0 as usize].push(id),
            _ if symbol.is_top && !is_import(symbol) => top.push(id),
            _ => {}
        }
    }
    entries(document, top, &children)
}

fn entries(document: &Document, mut ids: Vec<SymbolId>, children: &[Vec<SymbolId>]) -> Vec<Entry> {
    ids.sort_by_key(|&id| document.index().symbol(id).span.start);
    ids.into_iter()
        .map(|symbol| Entry {
            symbol,
            // Types have variants, variants fields: no deeper.
            children: entries(document, children[symbol.0 as usize].clone(), children),
        })
        .collect()
}

fn is_import(symbol: &Symbol) -> bool {
    matches!(symbol.kind, SymbolKind::Module | SymbolKind::Import)
}

/// The declarations of all documents whose names have the letters of the query in this order; those that begin with it first.
pub(crate) fn search(workspace: &Workspace, query: &str) -> Vec<(Rc<Document>, SymbolId)> {
    let query = query.to_lowercase();
    let mut found = Vec::new();
    for document in workspace.all() {
        let index = document.index();
        for id in index.ids() {
            let symbol = index.symbol(id);
            let is_shown = symbol.is_top && !is_import(symbol) || symbol.kind.is_member();
            let name = symbol.name.to_lowercase();
            if is_shown && has_letters(&name, &query) {
                let rank = match name.find(&query) {
                    Some(0) => 0,
                    Some(_) => 1,
                    None => 2,
                };
                found.push((rank, name.len(), document.clone(), id));
            }
        }
    }
    found.sort_by_key(|(rank, length, ..)| (*rank, *length));
    found.truncate(MOST_FOUND);
    found
        .into_iter()
        .map(|(_, _, document, id)| (document, id))
        .collect()
}

fn has_letters(name: &str, query: &str) -> bool {
    let mut rest = name.chars();
    query.chars().all(|c| rest.any(|other| other == c))
}
