//! What stands around the cursor, also while what is being written there does not parse yet.

use crate::workspace::Document;
use heddle_compiler::index::Index;
use heddle_compiler::lexer::{Tok, Token, lex};

/// Stands where a name is missing.
const PLACEHOLDER: &str = "hd_here";

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the word begins that ends at a place.
pub(crate) fn word_start(source: &str, offset: u32) -> u32 {
    source[..offset as usize].trim_end_matches(is_part).len() as u32
}

/// Whether a place is in a comment or in the text of a string.
pub(crate) fn is_in_text(source: &str, offset: u32) -> bool {
    let tokens = lex(source).tokens;
    let behind = tokens.partition_point(|token| token.start < offset);
    let Some(token) = tokens[..behind].last() else {
        return false;
    };
    match token.tok {
        Tok::Comment => offset <= token.end,
        Tok::Str | Tok::Bytes | Tok::StrHead | Tok::StrMid | Tok::StrTail | Tok::Number => {
            offset < token.end || token.tok == Tok::Number && offset == token.end
        }
        _ => false,
    }
}

/// The names of a document as it would be if the line at the cursor were finished. Places in front of the cursor are those of the document.
pub(crate) struct Mended<'d> {
    document: &'d Document,
    index: Option<Index>,
}

impl Mended<'_> {
    pub(crate) fn index(&self) -> &Index {
        match &self.index {
            Some(index) => index,
            None => self.document.index(),
        }
    }
}

/// Adds a name where one is missing, and the brackets that the line leaves open, if the document has syntax errors without them.
pub(crate) fn mended(document: &Document, offset: u32) -> Mended<'_> {
    let source = document.source();
    let has_word = word_start(source, offset) < offset;
    let is_wrong = |found: &[heddle_compiler::Diagnostic]| {
        found
            .iter()
            .any(|found| found.code.starts_with("E00") || found.code.starts_with("E01"))
    };
    if has_word && !is_wrong(&document.analysis().diagnostics) {
        return Mended {
            document,
            index: None,
        };
    }
    let (before, behind) = source.split_at(offset as usize);
    let word = if has_word { "" } else { PLACEHOLDER };
    let closers = open_brackets(source, offset);
    let mut best = None;
    for closers in ["", &closers] {
        if best.is_some() && closers.is_empty() {
            break;
        }
        let text = format!("{before}{word}{closers}{behind}");
        let analysis = document.analyse(&text);
        let is_wrong = is_wrong(&analysis.diagnostics);
        best = Some(analysis.index(&text));
        if !is_wrong {
            break;
        }
    }
    Mended {
        document,
        index: best,
    }
}

/// What closes the brackets that the line of the cursor opens in front of it and does not close behind it.
fn open_brackets(source: &str, offset: u32) -> String {
    let at = offset as usize;
    let line = source[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = source[at..].find('\n').map_or(source.len(), |end| at + end);
    let mut open: Vec<char> = Vec::new();
    for token in lex(&source[line..end]).tokens {
        let is_before = (line as u32 + token.start) < offset;
        match token.tok {
            Tok::LParen if is_before => open.push(')'),
            Tok::LBracket if is_before => open.push(']'),
            Tok::LBrace if is_before => open.push('}'),
            Tok::RParen | Tok::RBracket | Tok::RBrace => {
                open.pop();
            }
            _ => {}
        }
    }
    open.iter().rev().collect()
}

/// The call whose arguments the cursor is in.
pub(crate) struct Call {
    /// The name that is called.
    pub(crate) name: Token,
    pub(crate) is_member: bool,
    /// How many arguments stand in front of the cursor's.
    pub(crate) argument: usize,
    /// The `name:` in front of it.
    pub(crate) label: Option<Token>,
}

pub(crate) fn call_around(source: &str, offset: u32) -> Option<Call> {
    let mut tokens = lex(source).tokens;
    tokens.retain(|token| token.start < offset && token.tok != Tok::Newline);
    let is_text = |token: &Token| token.tok == Tok::Comment;
    if tokens
        .last()
        .is_some_and(|token| is_text(token) && offset <= token.end)
    {
        return None;
    }
    tokens.retain(|token| !is_text(token));
    let (mut depth, mut argument) = (0usize, 0);
    // Where the cursor's argument begins.
    let mut first = tokens.len();
    for at in (0..tokens.len()).rev() {
        let token = tokens[at];
        let is_whole = token.end <= offset;
        match token.tok {
            Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrTail if is_whole => depth += 1,
            Tok::LBracket if depth == 0 => argument = 0,
            Tok::LBrace | Tok::StrHead | Tok::StrMid if depth == 0 => return None,
            Tok::LParen if depth == 0 => {
                let name = *tokens[..at].last()?;
                let before = at.checked_sub(2).map(|at| tokens[at].tok);
                let is_member = matches!(before, Some(Tok::Dot | Tok::QuestionDot));
                let is_name = name.tok == Tok::Ident || is_member;
                if !is_name || before == Some(Tok::Fn) {
                    return None;
                }
                let first = first.min(tokens.len());
                let first = if argument == 0 { at + 1 } else { first };
                let label = match tokens.get(first..first + 2) {
                    Some([word, colon]) if colon.tok == Tok::Colon => Some(*word),
                    _ => None,
                };
                return Some(Call {
                    name,
                    is_member,
                    argument,
                    label,
                });
            }
            Tok::LParen | Tok::LBracket | Tok::LBrace | Tok::StrHead => depth -= 1,
            Tok::Comma if depth == 0 => {
                if argument == 0 {
                    first = at + 1;
                }
                argument += 1;
            }
            Tok::Semicolon if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, usize, Option<&str>)>) {
        let offset = text.find('^').expect("the cursor is marked") as u32;
        let source = text.replace('^', "");
        let call = call_around(&source, offset);
        let word = |token: Token| &source[token.span().range()];
        let found = call.map(|call| (word(call.name), call.argument, call.label.map(word)));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn calls_around() {
        check("f(^)", Some(("f", 0, None)));
        check("f(a, ^)", Some(("f", 1, None)));
        check("f(a, g(b, c), ^", Some(("f", 2, None)));
        check("f(a, g(b, ^", Some(("g", 1, None)));
        check("a.b(1, [2, ^3])", Some(("b", 1, None)));
        check("f(a, h: ^)", Some(("f", 1, Some("h"))));
        check("f(h: ^)", Some(("f", 0, Some("h"))));
        check("fn f(^)", None);
        check("f(|| { ^ })", None);
        check("(^)", None);
        check("f(1) # g(^", None);
        check("f(a)^", None);
    }

    #[test]
    fn brackets_of_the_line() {
        assert_eq!(open_brackets("f([a.", 5), "])");
        assert_eq!(open_brackets("f([a.])", 5), "");
        assert_eq!(open_brackets("fn f() {\n  g(a.\n}", 15), ")");
    }
}
