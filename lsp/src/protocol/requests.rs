//! Requests of the protocol as questions about documents, and the answers as JSON.

use super::server::Failure;
use crate::colours::{KINDS, TRAITS};
use crate::completion::{Item, ItemKind};
use crate::navigation::Spot;
use crate::outline::Entry;
use crate::text::Position;
use crate::workspace::{Document, Workspace};
use crate::{
    colours, completion, findings, folding, formatting, hover, navigation, outline, rename,
    signature,
};
use heddle_compiler::Diagnostic;
use heddle_compiler::ast::Span;
use heddle_compiler::index::{Role, SymbolKind};
use serde_json::{Map, Value, json};
use std::rc::Rc;

type Answer = Result<Value, Failure>;

/// What the server can do.
pub(super) fn capabilities() -> Value {
    json!({
        "serverInfo": {"name": "heddle", "version": env!("CARGO_PKG_VERSION")},
        "capabilities": {
            "positionEncoding": "utf-16",
            // Changes are sent as edits.
            "textDocumentSync": {"openClose": true, "change": 2, "save": true},
            "hoverProvider": true,
            "completionProvider": {"triggerCharacters": ["."]},
            "signatureHelpProvider": {"triggerCharacters": ["(", ","]},
            "definitionProvider": true,
            "referencesProvider": true,
            "documentHighlightProvider": true,
            "documentSymbolProvider": true,
            "workspaceSymbolProvider": true,
            "codeActionProvider": {"codeActionKinds": ["quickfix"]},
            "documentFormattingProvider": true,
            "renameProvider": {"prepareProvider": true},
            "foldingRangeProvider": true,
            "semanticTokensProvider": {
                "legend": {"tokenTypes": KINDS, "tokenModifiers": TRAITS},
                "full": true,
            },
        },
    })
}

/// The answer to a request; `None` if there is no such method.
pub(super) fn answer(workspace: &Workspace, method: &str, params: &Value) -> Option<Answer> {
    let answer: fn(&Workspace, &Value) -> Answer = match method {
        "textDocument/hover" => hover,
        "textDocument/completion" => completion,
        "textDocument/signatureHelp" => signature,
        "textDocument/definition" => definition,
        "textDocument/references" => references,
        "textDocument/documentHighlight" => highlights,
        "textDocument/documentSymbol" => document_symbols,
        "workspace/symbol" => workspace_symbols,
        "textDocument/codeAction" => code_actions,
        "textDocument/formatting" => formatting,
        "textDocument/prepareRename" => prepare_rename,
        "textDocument/rename" => rename,
        "textDocument/foldingRange" => folding,
        "textDocument/semanticTokens/full" => semantic_tokens,
        _ => return None,
    };
    Some(answer(workspace, params))
}

// --- from JSON ---

fn document(workspace: &Workspace, params: &Value) -> Result<Rc<Document>, Failure> {
    let uri = params.pointer("/textDocument/uri").and_then(Value::as_str);
    let uri = uri.ok_or_else(|| Failure::params("no textDocument.uri"))?;
    let found = workspace.get(uri);
    found.ok_or_else(|| Failure::params(format!("there is no document {uri}")))
}

pub(super) fn position(value: Option<&Value>) -> Result<Position, Failure> {
    let number = |name: &str| {
        let number = value
            .and_then(|value| value.get(name))
            .and_then(Value::as_u64);
        let number = number.ok_or_else(|| Failure::params(format!("no {name} of a position")))?;
        Ok(u32::try_from(number).unwrap_or(u32::MAX))
    };
    Ok(Position {
        line: number("line")?,
        character: number("character")?,
    })
}

/// The document and the place in it that a request is about.
fn place(workspace: &Workspace, params: &Value) -> Result<(Rc<Document>, u32), Failure> {
    let document = document(workspace, params)?;
    let position = position(params.get("position"))?;
    let offset = document.text.offset(position);
    Ok((document, offset))
}

// --- to JSON ---

fn to_position(document: &Document, offset: u32) -> Value {
    let Position { line, character } = document.text.position(offset);
    json!({"line": line, "character": character})
}

fn range(document: &Document, span: Span) -> Value {
    json!({"start": to_position(document, span.start), "end": to_position(document, span.end)})
}

fn location((document, span): &Spot) -> Value {
    json!({"uri": document.uri, "range": range(document, *span)})
}

fn markdown(text: &str) -> Value {
    json!({"kind": "markdown", "value": text})
}

fn edits(document: &Document, edits: &[(Span, String)]) -> Value {
    let edit =
        |(span, text): &(Span, String)| json!({"range": range(document, *span), "newText": text});
    edits.iter().map(edit).collect()
}

fn diagnostic(document: &Document, found: &Diagnostic) -> Value {
    let mut message = found.message.clone();
    if let Some(label) = &found.label {
        message += &format!("\n{label}");
    }
    if let Some(help) = &found.help {
        message += &format!("\nhelp: {help}");
    }
    let related = found.related.iter().map(|(span, text)| {
        let location = json!({"uri": document.uri, "range": range(document, *span)});
        json!({"location": location, "message": text})
    });
    let related: Vec<Value> = related.collect();
    let mut value = json!({
        "range": range(document, found.span),
        "severity": if found.is_error() { 1 } else { 2 },
        "code": found.code,
        "source": "heddle",
        "message": message,
    });
    if !related.is_empty() {
        value["relatedInformation"] = related.into();
    }
    // What could go is shown pale.
    if matches!(found.code, "W0201" | "W0202" | "W0203") {
        value["tags"] = json!([1]);
    }
    value
}

/// The parameters of `publishDiagnostics`.
pub(super) fn published(workspace: &Workspace, document: &Rc<Document>) -> Value {
    let found = findings::findings(workspace, document);
    let all: Vec<Value> = found
        .iter()
        .map(|found| diagnostic(document, found))
        .collect();
    let mut params = json!({"uri": document.uri, "diagnostics": all});
    if let Some(version) = document.version {
        params["version"] = version.into();
    }
    params
}

// --- requests ---

fn hover(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    Ok(match hover::hover(workspace, &document, offset) {
        Some((span, text)) => {
            json!({"contents": markdown(&text), "range": range(&document, span)})
        }
        None => Value::Null,
    })
}

fn completion(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let items = completion::completion(workspace, &document, offset);
    Ok(items.iter().map(completion_item).collect())
}

fn completion_item(item: &Item) -> Value {
    // As the protocol numbers them.
    let kind = match item.kind {
        ItemKind::Symbol(kind) => match kind {
            SymbolKind::Function | SymbolKind::Import => 3,
            SymbolKind::Method => 2,
            SymbolKind::Field => 5,
            SymbolKind::Variable | SymbolKind::Parameter => 6,
            SymbolKind::Constant => 21,
            SymbolKind::Struct => 22,
            SymbolKind::Enum => 13,
            SymbolKind::Trait => 8,
            SymbolKind::Variant => 20,
            SymbolKind::Module => 9,
            SymbolKind::Test => 1,
        },
        ItemKind::Keyword => 14,
        ItemKind::Function => 3,
        ItemKind::Type => 7,
        ItemKind::Method => 2,
        ItemKind::Property => 10,
        ItemKind::Module => 9,
        ItemKind::Label => 6,
    };
    let mut value = json!({
        "label": item.label,
        "kind": kind,
        "sortText": format!("{}{}", item.rank, item.label),
    });
    if let Some(detail) = &item.detail {
        value["detail"] = detail.as_str().into();
    }
    if let Some(doc) = &item.doc {
        value["documentation"] = markdown(doc);
    }
    value
}

fn signature(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let Some(found) = signature::signature(workspace, &document, offset) else {
        return Ok(Value::Null);
    };
    let params = found.params.iter().map(|param| json!({"label": param}));
    let mut one = json!({
        "label": found.label,
        "parameters": params.collect::<Vec<_>>(),
        "documentation": markdown(&found.doc),
    });
    if let Some(active) = found.active {
        one["activeParameter"] = active.into();
    }
    Ok(json!({"signatures": [one], "activeSignature": 0, "activeParameter": found.active}))
}

fn locations(spots: &[Spot]) -> Value {
    spots.iter().map(location).collect()
}

fn definition(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let spots = navigation::definition(workspace, &document, offset);
    Ok(locations(&spots))
}

fn references(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let declaration = params.pointer("/context/includeDeclaration");
    let with_declaration = declaration.and_then(Value::as_bool).unwrap_or(true);
    let spots = navigation::references(workspace, &document, offset, with_declaration);
    Ok(locations(&spots))
}

fn highlights(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let spots = navigation::references(workspace, &document, offset, true);
    let own = spots
        .into_iter()
        .filter(|(other, _)| Rc::ptr_eq(other, &document));
    let highlight = |(_, span): Spot| {
        let found = document.index().at(span.start);
        let is_written =
            found.is_some_and(|found| matches!(found.role, Role::Write | Role::Declaration));
        json!({"range": range(&document, span), "kind": if is_written { 3 } else { 2 }})
    };
    Ok(own.map(highlight).collect())
}

/// Kinds of symbols as the protocol numbers them.
fn symbol_kind(kind: SymbolKind) -> u32 {
    match kind {
        SymbolKind::Variable | SymbolKind::Parameter => 13,
        SymbolKind::Constant => 14,
        SymbolKind::Function | SymbolKind::Import => 12,
        SymbolKind::Struct => 23,
        SymbolKind::Enum => 10,
        SymbolKind::Trait => 11,
        SymbolKind::Variant => 22,
        SymbolKind::Field => 8,
        SymbolKind::Method => 6,
        SymbolKind::Module => 2,
        SymbolKind::Test => 24,
    }
}

fn document_symbols(workspace: &Workspace, params: &Value) -> Answer {
    let document = document(workspace, params)?;
    let entries = outline::outline(&document);
    Ok(outline_json(&document, &entries))
}

fn outline_json(document: &Document, entries: &[Entry]) -> Value {
    let index = document.index();
    let one = |entry: &Entry| {
        let symbol = index.symbol(entry.symbol);
        let name = match symbol.name.is_empty() {
            true => "(no name)",
            false => &symbol.name,
        };
        json!({
            "name": name,
            "kind": symbol_kind(symbol.kind),
            // The name lies within the whole, as the protocol demands.
            "range": range(document, symbol.extent.to(symbol.span)),
            "selectionRange": range(document, symbol.span),
            "children": outline_json(document, &entry.children),
        })
    };
    entries.iter().map(one).collect()
}

fn workspace_symbols(workspace: &Workspace, params: &Value) -> Answer {
    let query = params.get("query").and_then(Value::as_str);
    let query = query.ok_or_else(|| Failure::params("no query"))?;
    let found = outline::search(workspace, query);
    let one = |(document, id): &(Rc<Document>, _)| {
        let index = document.index();
        let symbol = index.symbol(*id);
        let mut value = json!({
            "name": &*symbol.name,
            "kind": symbol_kind(symbol.kind),
            "location": location(&(document.clone(), symbol.span)),
        });
        if let Some(parent) = symbol.parent {
            value["containerName"] = (*index.symbol(parent).name).into();
        }
        value
    };
    Ok(found.iter().map(one).collect())
}

fn code_actions(workspace: &Workspace, params: &Value) -> Answer {
    let document = document(workspace, params)?;
    let wanted = params.get("range");
    let part = |name| position(wanted.and_then(|range| range.get(name)));
    let (start, end) = (
        document.text.offset(part("start")?),
        document.text.offset(part("end")?),
    );
    let only = params.pointer("/context/only").and_then(Value::as_array);
    if only.is_some_and(|kinds| !kinds.iter().any(|kind| kind == "quickfix")) {
        return Ok(json!([]));
    }
    let span = Span {
        start: start.min(end),
        end: start.max(end),
    };
    let fixes = findings::fixes(workspace, &document, span);
    let one = |(found, fix): &(Diagnostic, heddle_compiler::Fix)| {
        json!({
            "title": fix.title,
            "kind": "quickfix",
            "diagnostics": [diagnostic(&document, found)],
            "isPreferred": true,
            "edit": {"changes": {document.uri.as_str(): edits(&document, &fix.edits)}},
        })
    };
    Ok(fixes.iter().map(one).collect())
}

fn formatting(workspace: &Workspace, params: &Value) -> Answer {
    let document = document(workspace, params)?;
    let edit = formatting::formatting(&document).map_err(Failure::failed)?;
    Ok(edits(&document, edit.as_slice()))
}

fn prepare_rename(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let name = rename::prepare(workspace, &document, offset).map_err(Failure::failed)?;
    Ok(match name {
        Some((span, name)) => json!({"range": range(&document, span), "placeholder": name}),
        None => Value::Null,
    })
}

fn rename(workspace: &Workspace, params: &Value) -> Answer {
    let (document, offset) = place(workspace, params)?;
    let new = params.get("newName").and_then(Value::as_str);
    let new = new.ok_or_else(|| Failure::params("no newName"))?;
    let changes = rename::rename(workspace, &document, offset, new).map_err(Failure::failed)?;
    let mut all = Map::new();
    for change in &changes {
        let uri = change.document.uri.clone();
        all.insert(uri, edits(&change.document, &change.edits));
    }
    Ok(json!({"changes": all}))
}

fn folding(workspace: &Workspace, params: &Value) -> Answer {
    let document = document(workspace, params)?;
    let one = |fold: &folding::Fold| {
        let mut value = json!({"startLine": fold.first_line, "endLine": fold.last_line});
        if fold.is_comment {
            value["kind"] = "comment".into();
        }
        value
    };
    Ok(folding::folds(&document).iter().map(one).collect())
}

/// Five numbers for each word: lines and units since the word before, length, kind, traits.
fn semantic_tokens(workspace: &Workspace, params: &Value) -> Answer {
    let document = document(workspace, params)?;
    let mut data: Vec<u32> = Vec::new();
    let (mut line, mut character) = (0, 0);
    for colour in colours::colours(&document) {
        let start = document.text.position(colour.span.start);
        let end = document.text.position(colour.span.end);
        if start.line != line {
            character = 0;
        }
        data.extend([
            start.line - line,
            start.character - character,
            end.character - start.character,
            colour.kind,
            colour.traits,
        ]);
        (line, character) = (start.line, start.character);
    }
    Ok(json!({"data": data}))
}
