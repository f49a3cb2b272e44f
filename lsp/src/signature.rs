//! What a call takes, while its arguments are being written.

use crate::cursor::{Call, call_around, mended};
use crate::library::markdown;
use crate::workspace::{Document, Place, Workspace};
use heddle::docs::Doc;
use heddle_bytecode::ModuleRef;
use heddle_compiler::index::{Index, Meaning, SymbolKind};
use std::rc::Rc;

pub(crate) struct Signature {
    /// `area(w, h = w)`
    pub(crate) label: String,
    /// As they stand in the label.
    pub(crate) params: Vec<String>,
    pub(crate) doc: String,
    /// The one that the cursor's argument is for.
    pub(crate) active: Option<usize>,
}

pub(crate) fn signature(
    workspace: &Workspace,
    document: &Rc<Document>,
    offset: u32,
) -> Option<Signature> {
    let source = document.source();
    let call = call_around(source, offset)?;
    let mended = mended(document, offset);
    let index = mended.index();
    let mut signature = match callee(workspace, document, index, &call) {
        Some(place) => declared(&place)?,
        None => described(of_library(workspace, document, index, &call)?),
    };
    let label = call.label.map(|token| &source[token.span().range()]);
    signature.active = match label {
        Some(label) => signature.params.iter().position(|param| {
            let rest = param.strip_prefix(label);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        }),
        None => signature.params.len().checked_sub(1).and_then(|last| {
            let takes_more = signature.params[last].starts_with("..");
            (call.argument <= last || takes_more).then_some(call.argument.min(last))
        }),
    };
    Some(signature)
}

/// The declaration of what is called, in this file or another. `index` is that of the mended text, whose places are known only in front of the cursor; so the
/// declaration is looked up in the document's own.
pub(crate) fn callee(
    workspace: &Workspace,
    document: &Rc<Document>,
    index: &Index,
    call: &Call,
) -> Option<Place> {
    let name = &document.source()[call.name.span().range()];
    let found = index
        .at(call.name.start)
        .filter(|found| found.span == call.name.span());
    let symbol = match found.map(|found| &found.meaning) {
        Some(Meaning::Symbol(id)) => {
            let symbol = index.symbol(*id);
            if std::ptr::eq(index, document.index()) {
                *id
            } else {
                let own = document.index();
                own.ids().find(|&id| {
                    let other = own.symbol(id);
                    (other.kind, &other.name) == (symbol.kind, &symbol.name)
                        && document.slice(other.span) == &*symbol.name
                })?
            }
        }
        Some(Meaning::Exported(module)) => {
            let place = workspace.exported(module, name)?;
            return Some(workspace.origin(place));
        }
        Some(Meaning::Member) => return workspace.meant(document, call.name.start),
        Some(_) => return None,
        None if call.is_member => return None,
        None => document.index().find(name, call.name.start)?,
    };
    Some(workspace.origin(Place {
        document: document.clone(),
        symbol,
    }))
}

fn declared(place: &Place) -> Option<Signature> {
    let index = place.document.index();
    let symbol = index.symbol(place.symbol);
    let is_callable = matches!(
        symbol.kind,
        SymbolKind::Function | SymbolKind::Method | SymbolKind::Struct | SymbolKind::Variant
    );
    if !is_callable {
        return None;
    }
    let texts = symbol.params.iter().map(|&span| place.document.slice(span));
    let params: Vec<String> = texts
        .filter(|text| *text != "self")
        .map(str::to_owned)
        .collect();
    Some(Signature {
        label: format!("{}({})", symbol.name, params.join(", ")),
        params,
        doc: place.document.doc(symbol.extent),
        active: None,
    })
}

fn of_library<'w>(
    workspace: &'w Workspace,
    document: &Rc<Document>,
    index: &Index,
    call: &Call,
) -> Option<&'w Doc> {
    let library = &workspace.library;
    let name = &document.source()[call.name.span().range()];
    let found = index
        .at(call.name.start)
        .filter(|found| found.span == call.name.span());
    match found.map(|found| &found.meaning) {
        Some(Meaning::Prelude) => library.doc(name),
        Some(Meaning::Builtin(of)) => library.method(of, name),
        Some(Meaning::Exported(ModuleRef::Std(module))) => library.doc(&format!("{module}.{name}")),
        Some(Meaning::Member) => {
            // One of several: only what is certain is shown.
            let mut all = library.called(name).into_iter();
            all.next().filter(|_| all.next().is_none())
        }
        None if !call.is_member => library.doc(name),
        _ => None,
    }
}

fn described(doc: &Doc) -> Signature {
    let params = doc.signature.split_once('(');
    let params = params.map_or("", |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in params.chars() {
        depth += i32::from(matches!(c, '(' | '[' | '{')) - i32::from(matches!(c, ')' | ']' | '}'));
        match c {
            ',' if depth == 0 => parts.push(String::new()),
            c => parts.last_mut().expect("there is one").push(c),
        }
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    Signature {
        label: doc.signature.clone(),
        params: parts.filter(|part| !part.is_empty()).collect(),
        doc: markdown(doc),
        active: None,
    }
}
