//! What every word of a document is, for colours ("semantic tokens").

use crate::workspace::Document;
use heddle_compiler::ast::Span;
use heddle_compiler::index::{Meaning, Occurrence, Role, Symbol, SymbolKind};
use heddle_compiler::lexer::{KEYWORDS, Tok, lex};

/// The kinds of words, as the protocol names them; a kind is an index in it.
pub(crate) const KINDS: &[&str] = &[
    "namespace",
    "struct",
    "enum",
    "interface",
    "enumMember",
    "function",
    "method",
    "property",
    "parameter",
    "variable",
    "type",
    "keyword",
    "comment",
    "string",
    "number",
    "operator",
];

/// What more is said of words; bit by bit.
pub(crate) const TRAITS: &[&str] = &["declaration", "readonly", "defaultLibrary", "documentation"];

const DECLARATION: u32 = 1;
const READONLY: u32 = 2;
const LIBRARY: u32 = 4;
const DOCUMENTATION: u32 = 8;

pub(crate) struct Colour {
    /// Within one line.
    pub(crate) span: Span,
    pub(crate) kind: u32,
    pub(crate) traits: u32,
}

fn kind(name: &str) -> u32 {
    KINDS
        .iter()
        .position(|known| *known == name)
        .expect("the name is in the list") as u32
}

/// In the order of the text, without overlaps.
pub(crate) fn colours(document: &Document) -> Vec<Colour> {
    let source = document.source();
    let mut out: Vec<Colour> = Vec::new();
    let mut names = document.index().occurrences.iter().peekable();
    let tokens = lex(source).tokens;
    for (at, token) in tokens.iter().enumerate() {
        let span = token.span();
        let text = &source[span.range()];
        // What lies within this token, or is it; a path of an import is a string.
        while names.next_if(|name| name.span.start < span.start).is_some() {}
        let name = names.next_if(|name| name.span.start == span.start);
        let before = at.checked_sub(1).map(|at| tokens[at].tok);
        let is_field = matches!(before, Some(Tok::Dot | Tok::QuestionDot));
        let (word, traits) = match token.tok {
            Tok::Newline => continue,
            Tok::Comment if text.starts_with("##") => ("comment", DOCUMENTATION),
            Tok::Comment => ("comment", 0),
            Tok::Number => ("number", 0),
            Tok::Str | Tok::Bytes | Tok::StrHead | Tok::StrMid | Tok::StrTail | Tok::Spec => {
                ("string", 0)
            }
            _ if name.is_some() => match name {
                Some(name) => of_name(document, name, text),
                None => continue,
            },
            Tok::Ident => continue,
            _ if KEYWORDS.contains(&text) && !is_field => ("keyword", 0),
            Tok::Op(_) | Tok::OpAssign(_) | Tok::Assign | Tok::Minus | Tok::Tilde => {
                ("operator", 0)
            }
            Tok::DotDot | Tok::DotDotEq | Tok::Arrow => ("operator", 0),
            _ => continue,
        };
        by_line(document, span, |span| {
            out.push(Colour {
                span,
                kind: kind(word),
                traits,
            });
        });
    }
    out
}

fn of_name(document: &Document, name: &Occurrence, text: &str) -> (&'static str, u32) {
    let is_type = text.starts_with(char::is_uppercase);
    let (word, traits) = match &name.meaning {
        Meaning::Symbol(id) => of_symbol(document.index().symbol(*id)),
        Meaning::Prelude if is_type => ("type", LIBRARY),
        Meaning::Prelude => ("function", LIBRARY),
        Meaning::Builtin(of) if &**of == "Error" => ("property", LIBRARY),
        Meaning::Builtin(_) if is_called(document, name) => ("method", LIBRARY),
        Meaning::Builtin(_) => ("property", 0),
        Meaning::Module(_) => ("namespace", 0),
        Meaning::Exported(_) if is_type => ("type", 0),
        Meaning::Exported(_) => ("function", 0),
        Meaning::Member if is_called(document, name) => ("method", 0),
        Meaning::Member => ("property", 0),
    };
    let declares = u32::from(name.role == Role::Declaration) * DECLARATION;
    (word, traits | declares)
}

fn is_called(document: &Document, name: &Occurrence) -> bool {
    document.source()[name.span.end as usize..].starts_with('(')
}

fn of_symbol(symbol: &Symbol) -> (&'static str, u32) {
    let readonly = if symbol.is_var { 0 } else { READONLY };
    match symbol.kind {
        SymbolKind::Variable => ("variable", readonly),
        SymbolKind::Constant => ("variable", READONLY),
        SymbolKind::Parameter if &*symbol.name == "self" => ("keyword", 0),
        SymbolKind::Parameter => ("parameter", 0),
        SymbolKind::Function => ("function", 0),
        SymbolKind::Struct => ("struct", 0),
        SymbolKind::Enum => ("enum", 0),
        SymbolKind::Trait => ("interface", 0),
        SymbolKind::Variant => ("enumMember", 0),
        SymbolKind::Field => ("property", readonly),
        SymbolKind::Method => ("method", 0),
        SymbolKind::Module => ("namespace", 0),
        SymbolKind::Import if symbol.name.starts_with(char::is_uppercase) => ("type", 0),
        SymbolKind::Import => ("function", 0),
        SymbolKind::Test => ("keyword", 0),
    }
}

/// Cuts a span at the ends of lines.
fn by_line(document: &Document, span: Span, mut each: impl FnMut(Span)) {
    let (first, last) = (
        document.text.line_of(span.start),
        document.text.line_of(span.end),
    );
    for line in first..=last {
        let range = document.text.line_range(line);
        let (start, end) = (range.start.max(span.start), range.end.min(span.end));
        if start < end {
            each(Span { start, end });
        }
    }
}
