//! New names for what a program declares, everywhere it is named. What cannot be told for certain is refused, with the reason.
//!
//! Variables, functions, types and imports are known exactly, in all files. Of fields and methods the compiler does not know who else has one of that name; so they
//! are renamed only if nothing else in reach is called so. At last each changed text is analysed: every name must mean what it meant.

use crate::navigation::{concerned, members_called, named_in};
use crate::workspace::{Document, Place, Workspace};
use heddle_bytecode::ModuleRef;
use heddle_compiler::ast::Span;
use heddle_compiler::index::{Index, Meaning, Occurrence, Role, SymbolId, SymbolKind};
use heddle_compiler::lexer::{KEYWORDS, Tok, lex};
use std::rc::Rc;

/// The edits of one document: ranges and what takes their place, in the order of the text.
pub(crate) struct Change {
    pub(crate) document: Rc<Document>,
    pub(crate) edits: Vec<(Span, String)>,
}

/// Methods that the language calls by their names.
const OPERATORS: &[&str] = &["neg", "call", "str", "hash", "iter", "next", "in", "self"];

/// The name at a place, if it can be renamed; or why it cannot.
pub(crate) fn prepare(
    workspace: &Workspace,
    document: &Rc<Document>,
    offset: u32,
) -> Result<Option<(Span, String)>, String> {
    let Some(found) = document.index().at(offset) else {
        return Ok(None);
    };
    target(workspace, document, found)?;
    let is_path = matches!(
        document.source().as_bytes()[found.span.start as usize],
        b'"' | b'\''
    );
    if is_path {
        return Err("rename the module where it is used: its file stays".into());
    }
    Ok(Some((found.span, document.slice(found.span).to_owned())))
}

/// What is renamed: a declaration in some file, or the name that an import gives a module or export of the library here.
fn target(
    workspace: &Workspace,
    document: &Rc<Document>,
    found: &Occurrence,
) -> Result<Place, String> {
    let name = document.slice(found.span);
    let library = |what: &str| Err(format!("`{name}` belongs to {what}"));
    match &found.meaning {
        Meaning::Prelude | Meaning::Builtin(_) => return library("the library"),
        Meaning::Module(_) => return library("the import; rename the name behind `as`"),
        Meaning::Exported(ModuleRef::Std(module)) => return library(&format!("`{module}`")),
        Meaning::Exported(ModuleRef::File(_)) | Meaning::Symbol(_) => {}
        Meaning::Member => {
            if let Some(place) = workspace.meant(document, found.span.start) {
                return check(&place.document, place.symbol);
            }
            let own = members_called(document, name);
            let [only] = own[..] else {
                return Err(format!(
                    "the value in front of `.{name}` is not known; rename it where it is declared"
                ));
            };
            return check(document, only);
        }
    }
    // The name that an import gives with `as` is this file's own.
    if let Meaning::Symbol(id) = found.meaning {
        let symbol = document.index().symbol(id);
        let exported = symbol.origin.as_ref().and_then(|o| o.name.as_deref());
        let is_alias = exported.is_some_and(|exported| exported != &*symbol.name);
        let is_library = symbol
            .origin
            .as_ref()
            .is_some_and(|origin| matches!(origin.module, ModuleRef::Std(_)));
        if is_alias || is_library {
            return check(document, id);
        }
    }
    let start = found.span.start;
    match workspace.meant(document, start) {
        Some(place) => check(&place.document, place.symbol),
        None => Err(format!("it is not known where `{name}` is declared")),
    }
}

fn check(document: &Rc<Document>, id: SymbolId) -> Result<Place, String> {
    let symbol = document.index().symbol(id);
    let is_special = symbol.kind == SymbolKind::Method && OPERATORS.contains(&&*symbol.name)
        || symbol.kind == SymbolKind::Parameter && &*symbol.name == "self"
        || symbol.kind != SymbolKind::Module && !is_name(&symbol.name);
    if is_special {
        return Err(format!("the language itself knows `{}`", symbol.name));
    }
    Ok(Place {
        document: document.clone(),
        symbol: id,
    })
}

/// Whether a text is one name, and no keyword.
fn is_name(text: &str) -> bool {
    let lexed = lex(text);
    lexed.diagnostics.is_empty()
        && !KEYWORDS.contains(&text)
        && matches!(&lexed.tokens[..], [token]
            if token.tok == Tok::Ident && token.span() == Span::new(0, text.len()))
}

/// The edits that rename what the name at a place means.
pub(crate) fn rename(
    workspace: &Workspace,
    document: &Rc<Document>,
    offset: u32,
    new: &str,
) -> Result<Vec<Change>, String> {
    if KEYWORDS.contains(&new) {
        return Err(format!("`{new}` is a keyword"));
    }
    if !is_name(new) {
        return Err(format!("`{new}` is no name"));
    }
    let Some(found) = document.index().at(offset) else {
        return Err("there is no name here".into());
    };
    let place = target(workspace, document, found)?;
    let symbol = place.document.index().symbol(place.symbol);
    let changes = match symbol.kind.is_member() {
        true => of_member(workspace, &place, new)?,
        false => of_name(workspace, &place, new),
    };
    for change in &changes {
        verify(change, new)?;
    }
    Ok(changes)
}

fn of_name(workspace: &Workspace, place: &Place, new: &str) -> Vec<Change> {
    let symbol = place.document.index().symbol(place.symbol);
    let documents = match symbol.kind {
        // Known in this file only.
        SymbolKind::Module | SymbolKind::Import => vec![place.document.clone()],
        _ => concerned(workspace, place),
    };
    let mut changes = Vec::new();
    for document in documents {
        let index = document.index();
        let mut edits = Vec::new();
        for (span, role) in named_in(&document, place) {
            let found = index.at(span.start).filter(|found| found.span == span);
            // Another name that an import gives it stays.
            if document.slice(span) != &*symbol.name && !is_path(&document, span) {
                continue;
            }
            edits.push(edit(&document, found, span, role, symbol.kind, new));
        }
        if !edits.is_empty() {
            changes.push(Change { document, edits });
        }
    }
    changes
}

fn is_path(document: &Document, span: Span) -> bool {
    document.slice(span).starts_with(['"', '\''])
}

fn edit(
    document: &Document,
    found: Option<&Occurrence>,
    span: Span,
    role: Role,
    kind: SymbolKind,
    new: &str,
) -> (Span, String) {
    let text = document.slice(span);
    if found.is_some_and(|found| found.is_shorthand) {
        return (span, format!("{text}: {new}"));
    }
    // `import fs`, `from fs import read`: the import's own name stays, and gets another beside it.
    let is_import = matches!(kind, SymbolKind::Module | SymbolKind::Import);
    if is_import && role == Role::Declaration && !has_alias(document, span) {
        return (span, format!("{text} as {new}"));
    }
    (span, new.to_owned())
}

/// Whether the name stands behind `as`.
fn has_alias(document: &Document, name: Span) -> bool {
    let before = document.source()[..name.start as usize].trim_end();
    let rest = before.strip_suffix("as");
    rest.is_some_and(|rest| rest.ends_with(char::is_whitespace) || rest.ends_with(['"', '\'']))
}

fn of_member(workspace: &Workspace, place: &Place, new: &str) -> Result<Vec<Change>, String> {
    let home = &place.document;
    let index = home.index();
    let name = index.symbol(place.symbol).name.clone();
    let family = family(index, place.symbol);
    let others = members_called(home, &name);
    let has_others = others.iter().any(|id| !family.contains(id));
    let is_library = !workspace.library.called(&name).is_empty();
    let mut changes = Vec::new();
    for document in concerned(workspace, place) {
        let is_own = Rc::ptr_eq(&document, home);
        let mut edits = Vec::new();
        for found in &document.index().occurrences {
            let is_meant = match &found.meaning {
                Meaning::Symbol(id) => is_own && family.contains(id),
                Meaning::Member => {
                    let is_same = document.slice(found.span) == &*name;
                    let is_ambiguous = has_others
                        || is_library
                        || !is_own && !members_called(&document, &name).is_empty();
                    if is_same && is_ambiguous {
                        let line = document.text.line_of(found.span.start) + 1;
                        return Err(format!(
                            "more than one type has `{name}`, and it is not known which of them is meant in line {line}"
                        ));
                    }
                    is_same
                }
                _ => false,
            };
            if is_meant {
                edits.push((found.span, new.to_owned()));
            }
        }
        if !edits.is_empty() {
            changes.push(Change { document, edits });
        }
    }
    Ok(changes)
}

/// A member and those of the same name in types that are based on its type, or that this is based on.
fn family(index: &Index, member: SymbolId) -> Vec<SymbolId> {
    let name = &index.symbol(member).name;
    let mut found = vec![member];
    let mut next = 0;
    while let Some(&current) = found.get(next) {
        next += 1;
        let Some(ty) = index.symbol(current).parent else {
            continue;
        };
        for id in index.ids() {
            let symbol = index.symbol(id);
            let Some(other) = symbol.parent else { continue };
            let is_related =
                index.ancestors(other).contains(&ty) || index.ancestors(ty).contains(&other);
            let is_new = symbol.kind.is_member() && symbol.name == *name && !found.contains(&id);
            if is_new && is_related {
                found.push(id);
            }
        }
    }
    found
}

/// Whether every name means what it meant before.
fn verify(change: &Change, new: &str) -> Result<(), String> {
    let document = &change.document;
    let text = applied(document.source(), &change.edits);
    let analysis = document.analyse(&text);
    let errors =
        |found: &[heddle_compiler::Diagnostic]| found.iter().filter(|f| f.is_error()).count();
    let has_more = errors(&analysis.diagnostics) > errors(&document.analysis().diagnostics);
    let after = analysis.index(&text);
    if has_more || meanings(document.index()) != meanings(&after) {
        return Err(format!("`{new}` means something else already"));
    }
    Ok(())
}

/// What the names mean, one after the other; what an import is called elsewhere does not count.
fn meanings(index: &Index) -> Vec<Option<SymbolId>> {
    index
        .occurrences
        .iter()
        .filter_map(|found| match &found.meaning {
            Meaning::Symbol(id) => Some(Some(*id)),
            Meaning::Prelude | Meaning::Builtin(_) | Meaning::Member => Some(None),
            Meaning::Module(_) | Meaning::Exported(_) => None,
        })
        .collect()
}

/// A text with edits, which are in its order and do not overlap.
pub(crate) fn applied(source: &str, edits: &[(Span, String)]) -> String {
    let mut text = String::with_capacity(source.len());
    let mut at = 0;
    for (span, new) in edits {
        text.push_str(&source[at..span.start as usize]);
        text.push_str(new);
        at = span.end as usize;
    }
    text.push_str(&source[at..]);
    text
}
