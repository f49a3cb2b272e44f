//! What is shown of the name under the pointer: how it is declared, and what is said of it.

use crate::library::{ERROR_FIELDS, markdown};
use crate::workspace::{Document, Place, Workspace};
use heddle_bytecode::ModuleRef;
use heddle_compiler::ast::Span;
use heddle_compiler::index::{Meaning, Shape, Symbol, SymbolKind};
use std::fmt::Write as _;
use std::rc::Rc;

/// Declarations are shown up to this length.
const LONGEST_HEAD: usize = 300;
/// So many of the members that a name may be are shown.
const MOST_MEANINGS: usize = 4;

/// Markdown, and the name that it is about.
pub(crate) fn hover(
    workspace: &Workspace,
    document: &Rc<Document>,
    offset: u32,
) -> Option<(Span, String)> {
    let found = document.index().at(offset)?;
    let name = document.slice(found.span);
    let library = &workspace.library;
    let text = match &found.meaning {
        Meaning::Symbol(_) => {
            let place = workspace.meant(document, offset)?;
            of_symbol(workspace, &place)
        }
        Meaning::Prelude => library.doc(name).map(markdown),
        Meaning::Builtin(of) if &**of == "Error" && ERROR_FIELDS.contains(&name) => {
            Some(code(&format!("Error.{name}")))
        }
        Meaning::Builtin(of) => library.method(of, name).map(markdown),
        Meaning::Exported(ModuleRef::Std(module)) => of_export(workspace, module, name),
        Meaning::Exported(ModuleRef::File(_)) => {
            let place = workspace.meant(document, offset)?;
            of_symbol(workspace, &place)
        }
        Meaning::Module(module) => Some(of_module(workspace, module)),
        Meaning::Member => match workspace.meant(document, offset) {
            Some(place) => of_symbol(workspace, &place),
            None => of_member(workspace, document, name),
        },
    };
    Some((found.span, text?))
}

fn code(text: &str) -> String {
    format!("```heddle\n{text}\n```\n")
}

/// What is said of a symbol, if anything is.
pub(crate) fn markdown_of(document: &Document, symbol: &Symbol) -> Option<String> {
    let text = document.doc(symbol.extent);
    (!text.is_empty()).then_some(text)
}

fn of_export(workspace: &Workspace, module: &str, name: &str) -> Option<String> {
    let full = format!("{module}.{name}");
    // Types of a module are described under their own names.
    let doc = workspace.library.doc(&full);
    let doc = doc.or_else(|| workspace.library.doc(name));
    match doc {
        Some(doc) => Some(markdown(doc)),
        None => {
            let is_there = workspace.library.exports(module).iter().any(|n| n == name);
            is_there.then(|| code(&full))
        }
    }
}

fn of_module(workspace: &Workspace, module: &ModuleRef) -> String {
    match module {
        ModuleRef::Std(name) => {
            let names = workspace.library.exports(name);
            format!("{}{}", code(&format!("import {name}")), names.join(", "))
        }
        ModuleRef::File(path) => match workspace.module(module) {
            Some(document) => {
                let index = document.index();
                let names: Vec<&str> = index.exported().map(|id| &*index.symbol(id).name).collect();
                let file = path.rsplit('/').next().unwrap_or(path);
                format!(
                    "{}{}",
                    code(&format!("import \"{file}\"")),
                    names.join(", ")
                )
            }
            None => code(&format!("import \"{path}\"")),
        },
    }
}

/// How a symbol is declared, in a line or two.
pub(crate) fn head(document: &Document, place: &Place) -> String {
    let index = document.index();
    let symbol = index.symbol(place.symbol);
    let text = document.slice(symbol.head);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_HEAD) {
        line.truncate(cut);
        line.push('…');
    }
    let owner = symbol.parent.map(|parent| &*index.symbol(parent).name);
    match (symbol.kind, owner) {
        (SymbolKind::Struct, _) => {
            let fields: Vec<&str> = symbol.params.iter().map(|&s| document.slice(s)).collect();
            match fields.is_empty() {
                true => line,
                false => format!("{line} {{ {} }}", fields.join(", ")),
            }
        }
        (SymbolKind::Enum, _) => {
            let variants = index.members(place.symbol);
            let variants = variants.map(|id| index.symbol(id));
            let names: Vec<&str> = variants
                .filter(|member| member.kind == SymbolKind::Variant)
                .map(|member| document.slice(member.head))
                .collect();
            format!("{line} {{ {} }}", names.join(", "))
        }
        (SymbolKind::Variant, Some(owner)) => format!("{owner}.{line}"),
        (SymbolKind::Field, Some(owner)) => {
            let word = if symbol.is_var { "var " } else { "" };
            format!("{word}{line}    # field of {owner}")
        }
        (SymbolKind::Method, Some(owner)) => format!("{line}    # method of {owner}"),
        (SymbolKind::Parameter, Some(owner)) if line == "self" => format!("self    # {owner}"),
        (SymbolKind::Parameter, _) => format!("{line}    # parameter"),
        (SymbolKind::Import, _) => match &symbol.origin {
            Some(origin) => format!("from {} import {line}", shown(&origin.module)),
            None => line,
        },
        (SymbolKind::Module, _) => match &symbol.origin {
            Some(origin) => format!("import {}", shown(&origin.module)),
            None => line,
        },
        _ => line,
    }
}

fn shown(module: &ModuleRef) -> String {
    match module {
        ModuleRef::Std(name) => name.to_string(),
        ModuleRef::File(path) => format!("\"{}\"", path.rsplit('/').next().unwrap_or(path)),
    }
}

fn of_symbol(workspace: &Workspace, place: &Place) -> Option<String> {
    let document = &place.document;
    let symbol = document.index().symbol(place.symbol);
    if let (SymbolKind::Module, Some(origin)) = (symbol.kind, &symbol.origin) {
        return Some(of_module(workspace, &origin.module));
    }
    if let (SymbolKind::Import, Some(origin)) = (symbol.kind, &symbol.origin)
        && let (ModuleRef::Std(module), Some(name)) = (&origin.module, &origin.name)
    {
        return of_export(workspace, module, name);
    }
    let mut text = code(&head(document, place));
    let is_variable = matches!(symbol.kind, SymbolKind::Variable | SymbolKind::Constant);
    if is_variable && let Some(shape) = type_name(workspace, document, &symbol.shape) {
        let _ = write!(text, "*{shape}*\n\n");
    }
    text += &document.doc(symbol.extent);
    Some(text)
}

/// What is known of a value, in words.
fn type_name(workspace: &Workspace, document: &Rc<Document>, shape: &Shape) -> Option<String> {
    let (document, shape) = workspace.known(document, shape);
    match shape {
        Shape::Builtin(of) => Some(of.to_string()),
        Shape::Instance(of) => Some(document.index().symbol(of).name.to_string()),
        _ => None,
    }
}

/// A field or method of what is not known: what it may be.
fn of_member(workspace: &Workspace, document: &Rc<Document>, name: &str) -> Option<String> {
    let index = document.index();
    let own = index.ids().filter(|&id| {
        let symbol = index.symbol(id);
        symbol.kind.is_member() && &*symbol.name == name
    });
    let own = own.filter_map(|symbol| {
        let place = Place {
            document: document.clone(),
            symbol,
        };
        of_symbol(workspace, &place)
    });
    let library = workspace.library.called(name).into_iter().map(markdown);
    let all: Vec<String> = own.chain(library).take(MOST_MEANINGS).collect();
    (!all.is_empty()).then(|| all.join("\n\n---\n\n"))
}
