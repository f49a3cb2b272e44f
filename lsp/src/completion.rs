//! What may be written at a place: names that are visible there, members behind a point, modules and their exports in imports.

use crate::cursor::{call_around, is_in_text, mended, word_start};
use crate::hover::{head, markdown_of};
use crate::library::{ERROR_FIELDS, markdown};
use crate::signature::callee;
use crate::workspace::{Document, Place, Workspace};
use heddle::docs::Doc;
use heddle_bytecode::ModuleRef;
use heddle_compiler::index::{Index, Shape, Symbol, SymbolId, SymbolKind};
use heddle_compiler::lexer::KEYWORDS;
use std::collections::HashSet;
use std::rc::Rc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ItemKind {
    Symbol(SymbolKind),
    Keyword,
    /// Of the library.
    Function,
    Type,
    Method,
    Property,
    Module,
    /// `name:` of an argument.
    Label,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) kind: ItemKind,
    /// How it is declared.
    pub(crate) detail: Option<String>,
    /// Markdown.
    pub(crate) doc: Option<String>,
    /// What is near comes first.
    pub(crate) rank: u8,
}

struct Items {
    all: Vec<Item>,
    seen: HashSet<String>,
}

impl Items {
    fn add(&mut self, item: Item) {
        if self.seen.insert(item.label.clone()) {
            self.all.push(item);
        }
    }
    fn add_plain(&mut self, label: &str, kind: ItemKind, rank: u8) {
        self.add(Item {
            label: label.into(),
            kind,
            detail: None,
            doc: None,
            rank,
        });
    }
    fn add_doc(&mut self, label: &str, kind: ItemKind, doc: &Doc, rank: u8) {
        self.add(Item {
            label: label.into(),
            kind,
            detail: Some(doc.signature.clone()),
            doc: Some(markdown(doc)),
            rank,
        });
    }
    fn add_symbol(&mut self, document: &Rc<Document>, index: &Index, id: SymbolId, rank: u8) {
        let symbol = index.symbol(id);
        if !is_word(&symbol.name) {
            return;
        }
        // Places of a mended text are not those of the document: only the name is shown then.
        let is_own = std::ptr::eq(index, document.index());
        let place = Place {
            document: document.clone(),
            symbol: id,
        };
        self.add(Item {
            label: symbol.name.to_string(),
            kind: ItemKind::Symbol(symbol.kind),
            detail: is_own.then(|| head(document, &place)),
            doc: is_own.then(|| markdown_of(document, symbol)).flatten(),
            rank,
        });
    }
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Unsorted; the client keeps what begins with what was typed.
pub(crate) fn completion(workspace: &Workspace, document: &Rc<Document>, offset: u32) -> Vec<Item> {
    let source = document.source();
    let start = word_start(source, offset);
    if is_in_text(source, offset) {
        return Vec::new();
    }
    let mut items = Items {
        all: Vec::new(),
        seen: HashSet::new(),
    };
    let before = source[..start as usize].trim_end();
    let line_start = source[..start as usize].rfind('\n').map_or(0, |at| at + 1);
    let line = &source[line_start..start as usize];
    if before.ends_with('.') && !before.ends_with("..") {
        let mended = mended(document, offset);
        let index = mended.index();
        match index.receiver(start) {
            Some(shape) => members(workspace, document, index, shape, &mut items),
            None => any_members(workspace, document, index, &mut items),
        }
    } else if let Some(module) = imported_module(workspace, document, line) {
        exports(workspace, &module, &mut items);
    } else if is_import(line) {
        for name in workspace.library.modules() {
            items.add_plain(name, ItemKind::Module, 0);
        }
    } else {
        names(workspace, document, offset, &mut items);
    }
    items.all
}

fn is_import(line: &str) -> bool {
    let line = line.trim_start();
    line.strip_prefix("import")
        .is_some_and(|rest| rest.starts_with([' ', '\t']) && !rest.contains(['"', '\'']))
}

/// The module of a `from … import` in front of the cursor.
fn imported_module(
    workspace: &Workspace,
    document: &Rc<Document>,
    line: &str,
) -> Option<ModuleRef> {
    let rest = line.trim_start().strip_prefix("from")?;
    let (path, _) = rest.split_once(" import ")?;
    let path = path.trim();
    match path.strip_prefix(['"', '\'']) {
        Some(text) => {
            let key = document.imported(text.trim_end_matches(['"', '\''])).ok()?;
            Some(ModuleRef::File(key.into()))
        }
        None => workspace
            .library
            .modules()
            .contains(&path)
            .then(|| ModuleRef::Std(path.into())),
    }
}

fn names(workspace: &Workspace, document: &Rc<Document>, offset: u32, items: &mut Items) {
    let mended = mended(document, offset);
    let index = mended.index();
    if let Some(call) = call_around(document.source(), offset)
        && call.label.is_none()
        && let Some(place) = callee(workspace, document, index, &call)
    {
        for label in labels(&place) {
            items.add_plain(&format!("{label}:"), ItemKind::Label, 0);
        }
    }
    for id in index.visible(offset) {
        let rank = if index.symbol(id).is_top { 2 } else { 1 };
        items.add_symbol(document, index, id, rank);
    }
    for name in &workspace.library.names {
        let kind = match name.starts_with(char::is_uppercase) {
            true => ItemKind::Type,
            false => ItemKind::Function,
        };
        match workspace.library.doc(name) {
            Some(doc) => items.add_doc(name, kind, doc, 3),
            None => items.add_plain(name, kind, 3),
        }
    }
    for word in KEYWORDS {
        items.add_plain(word, ItemKind::Keyword, 4);
    }
}

/// The names that arguments of a call may have.
fn labels(place: &Place) -> Vec<String> {
    let index = place.document.index();
    let symbol = index.symbol(place.symbol);
    let param = |&span| {
        let text = place.document.slice(span);
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &text[..end.unwrap_or(text.len())];
        (is_word(name) && name != "self").then(|| name.to_string())
    };
    symbol.params.iter().filter_map(param).collect()
}

fn exports(workspace: &Workspace, module: &ModuleRef, items: &mut Items) {
    match module {
        ModuleRef::Std(name) => {
            for member in workspace.library.exports(name) {
                let doc = workspace.library.doc(&format!("{name}.{member}"));
                let doc = doc.or_else(|| workspace.library.doc(&member));
                let kind = match member.starts_with(char::is_uppercase) {
                    true => ItemKind::Type,
                    false if doc.is_some_and(|doc| doc.signature.contains('(')) => {
                        ItemKind::Function
                    }
                    false => ItemKind::Property,
                };
                match doc {
                    Some(doc) => items.add_doc(&member, kind, doc, 0),
                    None => items.add_plain(&member, kind, 0),
                }
            }
        }
        ModuleRef::File(_) => {
            let Some(document) = workspace.module(module) else {
                return;
            };
            let index = document.index();
            for id in index.exported() {
                items.add_symbol(&document, index, id, 0);
            }
        }
    }
}

fn members(
    workspace: &Workspace,
    document: &Rc<Document>,
    index: &Index,
    shape: &Shape,
    items: &mut Items,
) {
    let (home, known) = workspace.known(document, shape);
    let index = match Rc::ptr_eq(&home, document) {
        true => index,
        false => home.index(),
    };
    match &known {
        Shape::Module(module) => exports(workspace, module, items),
        Shape::Builtin(of) | Shape::Prelude(of) => {
            if &**of == "Error" {
                for name in ERROR_FIELDS {
                    items.add_plain(name, ItemKind::Property, 0);
                }
            }
            for (name, doc) in workspace.library.methods(of) {
                items.add_doc(name, ItemKind::Method, doc, 0);
            }
        }
        Shape::Type(of) => {
            let wanted = |symbol: &Symbol| symbol.kind != SymbolKind::Field;
            add_members(&home, index, *of, wanted, items);
        }
        Shape::Instance(of) => {
            let wanted = |symbol: &Symbol| symbol.kind != SymbolKind::Variant;
            add_members(&home, index, *of, wanted, items);
            let symbol = index.symbol(*of);
            if symbol.is_error {
                for name in ERROR_FIELDS {
                    items.add_plain(name, ItemKind::Property, 1);
                }
            }
            if symbol.kind == SymbolKind::Struct {
                items.add_plain("with", ItemKind::Method, 1);
            }
        }
        Shape::Function(_) | Shape::Unknown | Shape::Exported(..) | Shape::Called(..) => {
            any_members(workspace, document, index, items);
        }
    }
}

fn add_members(
    document: &Rc<Document>,
    index: &Index,
    of: SymbolId,
    wanted: impl Fn(&Symbol) -> bool,
    items: &mut Items,
) {
    for ancestor in index.ancestors(of) {
        for id in index.members(ancestor) {
            if wanted(index.symbol(id)) {
                items.add_symbol(document, index, id, 0);
            }
        }
    }
}

/// Behind the point of what is not known: all that the file declares, and all that the library's types have.
fn any_members(workspace: &Workspace, document: &Rc<Document>, index: &Index, items: &mut Items) {
    for id in index.ids() {
        let symbol = index.symbol(id);
        if matches!(symbol.kind, SymbolKind::Field | SymbolKind::Method) {
            items.add_symbol(document, index, id, 0);
        }
    }
    for name in workspace.library.all_methods() {
        items.add_plain(name, ItemKind::Method, 1);
    }
}
