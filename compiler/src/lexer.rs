//! Text to tokens.
//!
//! logos finds the tokens of code; string bodies are scanned here, with a stack of the interpolations that
//! are open. The result is a flat list that covers comments and newlines too, so that a formatter can give
//! them back. Lexing never fails: what is wrong becomes a diagnostic and, where nothing better fits, a
//! `Tok::Error`. Nothing here recurses or allocates per token.

use crate::ast::Span;
use crate::diagnostics::Diagnostic;
pub use crate::token::{Op, Tok, Token};
use logos::Logos;

/// How many strings with interpolations may be open inside one another.
pub const MAX_INTERPOLATION: usize = 64;

/// More findings than this are of no use to anyone.
pub(crate) const MAX_DIAGNOSTICS: usize = 20;

/// The words that have a meaning of their own, at least where their construct may stand.
pub const KEYWORDS: &[&str] = &[
    "let",
    "var",
    "const",
    "fn",
    "gen",
    "return",
    "if",
    "else",
    "while",
    "for",
    "in",
    "loop",
    "break",
    "continue",
    "match",
    "struct",
    "enum",
    "trait",
    "import",
    "from",
    "as",
    "pub",
    "true",
    "false",
    "nil",
    "and",
    "or",
    "not",
    "is",
    "try",
    "catch",
    "throw",
    "defer",
    "spawn",
    "thread",
    "threadlet",
    "scope",
    "select",
    "after",
    "yield",
    "local",
    "assert",
    "test",
    "do",
];

/// What the lexer found.
#[derive(Debug, Default)]
pub struct Lexed {
    /// All tokens, comments and newlines included.
    pub tokens: Vec<Token>,
    pub diagnostics: Vec<Diagnostic>,
    /// The text ends inside a string that more lines could complete.
    pub is_incomplete: bool,
}

/// The delimiter of a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) is_bytes: bool,
    pub(crate) is_raw: bool,
    pub(crate) is_triple: bool,
    /// `"` or `'`
    pub(crate) mark: u8,
}

impl Quote {
    /// Reads the delimiter at the start of `text`, which must be a string token.
    pub(crate) fn of(text: &str) -> Quote {
        let bytes = text.as_bytes();
        let has_prefix = matches!(bytes[0], b'b' | b'r');
        let rest = &bytes[has_prefix as usize..];
        Quote {
            is_bytes: bytes[0] == b'b',
            is_raw: bytes[0] == b'r',
            is_triple: rest.len() >= 3 && rest[1] == rest[0] && rest[2] == rest[0],
            mark: rest[0],
        }
    }
    fn interpolates(self) -> bool {
        self.mark == b'"' && !self.is_bytes && !self.is_raw
    }
    /// The length of the opening delimiter with its prefix.
    pub(crate) fn open_len(self) -> usize {
        (self.is_bytes || self.is_raw) as usize + self.close_len()
    }
    pub(crate) fn close_len(self) -> usize {
        if self.is_triple { 3 } else { 1 }
    }
    fn text(self) -> &'static str {
        match (self.mark, self.is_triple) {
            (b'"', false) => "\"",
            (b'"', true) => "\"\"\"",
            (_, false) => "'",
            (_, true) => "'''",
        }
    }
}

/// An interpolation that is open.
struct Level {
    quote: Quote,
    /// Where the string began.
    string: usize,
    /// Where `{` is.
    brace: usize,
    /// How many brackets were open when it began.
    base: usize,
}

/// Where the text of a string ends.
enum TextEnd {
    /// Behind the closing quote.
    Close(usize),
    /// Behind `{`.
    Interpolation(usize),
    /// At a newline, or at the end of the file.
    Unclosed(usize),
}

fn scan_text(bytes: &[u8], mut at: usize, quote: Quote) -> TextEnd {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !quote.is_raw => {
                // What is escaped is judged later; a newline ends the string all the same.
                at += 1;
                if bytes[at..].starts_with(b"u{") {
                    at += 2;
                } else if at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
                continue;
            }
            b'\n' if !quote.is_triple => return TextEnd::Unclosed(at),
            b'{' if quote.interpolates() => return TextEnd::Interpolation(at + 1),
            byte if byte == quote.mark => {
                if !quote.is_triple {
                    return TextEnd::Close(at + 1);
                }
                if bytes[at..].starts_with(&[quote.mark; 3]) {
                    return TextEnd::Close(at + 3);
                }
            }
            _ => {}
        }
        at += 1;
    }
    TextEnd::Unclosed(bytes.len())
}

struct Lexer<'s> {
    source: &'s str,
    out: Lexed,
    levels: Vec<Level>,
    /// Brackets open inside interpolations.
    brackets: Vec<u8>,
}

/// Splits `source`, which is at most `u32::MAX` bytes long, into tokens.
pub fn lex(source: &str) -> Lexed {
    let mut lexer = Lexer {
        source,
        out: Lexed::default(),
        levels: Vec::new(),
        brackets: Vec::new(),
    };
    // Typical code has a token every four bytes or so.
    lexer.out.tokens.reserve(source.len() / 4 + 16);
    lexer.run();
    lexer.out
}

impl<'s> Lexer<'s> {
    fn push(&mut self, tok: Tok, start: usize, end: usize) {
        self.out.tokens.push(Token {
            tok,
            start: start as u32,
            end: end as u32,
        });
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.out.diagnostics.len() < MAX_DIAGNOSTICS {
            self.out.diagnostics.push(diagnostic);
        }
    }

    fn run(&mut self) {
        let mut tokens = Tok::lexer(self.source);
        if self.source.starts_with('\u{FEFF}') {
            tokens.bump('\u{FEFF}'.len_utf8());
        }
        while let Some(found) = tokens.next() {
            let span = tokens.span();
            let (start, end) = (span.start, span.end);
            let tok = found.unwrap_or(Tok::Error);
            let resume = match tok {
                Tok::Quote => self.string(start, end),
                Tok::Error => {
                    self.unknown(start, end);
                    end
                }
                Tok::Ident => {
                    let text = &self.source[start..end];
                    if text.is_ascii() {
                        self.push(Tok::Ident, start, end);
                    } else {
                        self.unicode_name(text, start, end);
                    }
                    end
                }
                _ if self.levels.is_empty() => {
                    self.push(tok, start, end);
                    end
                }
                _ => self.inside_interpolation(tok, start, end),
            };
            if resume == usize::MAX {
                return;
            }
            tokens.bump(resume - end);
        }
        if let Some(level) = self.levels.last() {
            let (brace, end) = (level.brace, self.source.len());
            self.out.is_incomplete = level.quote.is_triple || self.brackets.len() > level.base;
            self.report(unclosed_interpolation(brace));
            for _ in 0..self.levels.len() {
                self.push(Tok::StrTail, end, end);
            }
        }
    }

    fn unknown(&mut self, start: usize, end: usize) {
        if let Some(last) = self.out.tokens.last_mut()
            && last.tok == Tok::Error
            && last.end as usize == start
        {
            last.end = end as u32;
            return;
        }
        let text = &self.source[start..end];
        let first = text.chars().next().unwrap_or('\0');
        let first_end = start + first.len_utf8();
        let shown = if first.is_control() {
            first.escape_unicode().to_string()
        } else {
            format!("`{first}`")
        };
        let mut diagnostic = Diagnostic::error(
            "E0001",
            format!("unknown character {shown}"),
            Span::new(start, first_end),
        );
        let help = match first {
            '\0' => "the file holds a NUL byte: is it text?",
            '\u{201C}' | '\u{201D}' => "strings are written with straight quotes: \"…\"",
            '\u{2018}' | '\u{2019}' => "strings are written with straight quotes: '…'",
            '\u{A0}' => "this is a no-break space: write an ordinary one",
            '\\' => "a line goes on by itself after an operator, a comma or an open bracket",
            '?' => "there is no `?:`: write `if c { a } else { b }`",
            '`' => "\"…\" strings interpolate: \"{name}\"",
            _ => "",
        };
        if !help.is_empty() {
            diagnostic = diagnostic.help(help);
        }
        self.report(diagnostic);
        self.push(Tok::Error, start, end);
    }

    fn unicode_name(&mut self, text: &str, start: usize, end: usize) {
        let wrong = text.char_indices().find(|&(at, c)| {
            !(c == '_'
                || if at == 0 {
                    c.is_alphabetic()
                } else {
                    c.is_alphanumeric() || is_mark(c)
                })
        });
        match wrong {
            None => self.push(Tok::Ident, start, end),
            Some((at, _)) => {
                if at > 0 {
                    self.push(Tok::Ident, start, start + at);
                }
                self.unknown(start + at, end);
            }
        }
    }

    /// A string begins at `start`, its text at `text`; returns where code goes on, or `usize::MAX` to stop.
    fn string(&mut self, start: usize, text: usize) -> usize {
        let quote = Quote::of(&self.source[start..text]);
        let tok = if quote.is_bytes { Tok::Bytes } else { Tok::Str };
        match scan_text(self.source.as_bytes(), text, quote) {
            TextEnd::Close(end) => {
                self.push(tok, start, end);
                end
            }
            TextEnd::Interpolation(end) => {
                if self.levels.len() == MAX_INTERPOLATION {
                    self.report(Diagnostic::error(
                        "E0008",
                        format!("interpolations nest more than {MAX_INTERPOLATION} deep"),
                        Span::new(end - 1, end),
                    ));
                    // The rest would be read in the wrong mode: stop here.
                    self.push(Tok::Str, start, end);
                    for _ in 0..self.levels.len() {
                        self.push(Tok::StrTail, end, end);
                    }
                    return usize::MAX;
                }
                self.push(Tok::StrHead, start, end);
                self.levels.push(Level {
                    quote,
                    string: start,
                    brace: end - 1,
                    base: self.brackets.len(),
                });
                end
            }
            TextEnd::Unclosed(end) => {
                self.push(tok, start, end);
                self.unclosed(quote, start, end);
                end
            }
        }
    }

    /// Behind the `}` at `brace` the text of the innermost string goes on.
    fn resume(&mut self, brace: usize) -> usize {
        let Some(level) = self.levels.last() else {
            return brace + 1;
        };
        let (quote, string) = (level.quote, level.string);
        self.brackets.truncate(level.base);
        match scan_text(self.source.as_bytes(), brace + 1, quote) {
            TextEnd::Close(end) => {
                self.levels.pop();
                self.push(Tok::StrTail, brace, end);
                end
            }
            TextEnd::Interpolation(end) => {
                if let Some(level) = self.levels.last_mut() {
                    level.brace = end - 1;
                }
                self.push(Tok::StrMid, brace, end);
                end
            }
            TextEnd::Unclosed(end) => {
                self.levels.pop();
                self.push(Tok::StrTail, brace, end);
                self.unclosed(quote, string, end);
                end
            }
        }
    }

    /// Reports a string that ends at `end` without its quote, and closes the strings around it that cannot
    /// span lines either.
    fn unclosed(&mut self, quote: Quote, start: usize, end: usize) {
        if let Some(level) = self.levels.last()
            && !level.quote.is_triple
            && !quote.is_triple
        {
            // The quote that seems to open this string was meant to close the one around it.
            self.report(unclosed_interpolation(level.brace));
            self.close_line(end);
            return;
        }
        let mark = quote.text();
        let mut diagnostic = Diagnostic::error(
            "E0002",
            "unclosed string",
            Span::new(start, start + quote.open_len()),
        )
        .label(format!("the closing {mark} is missing"));
        if quote.is_triple {
            self.out.is_incomplete = true;
        } else if end < self.source.len() {
            diagnostic = diagnostic.help(format!(
                "close it with {mark} on this line, or use {mark}{mark}{mark} for text over several lines"
            ));
        }
        self.report(diagnostic);
        self.close_line(end);
    }

    /// Ends all strings that cannot go on in the next line.
    fn close_line(&mut self, end: usize) {
        while let Some(level) = self.levels.last() {
            if level.quote.is_triple && end < self.source.len() {
                break;
            }
            self.brackets.truncate(level.base);
            self.levels.pop();
            self.push(Tok::StrTail, end, end);
        }
    }

    fn inside_interpolation(&mut self, tok: Tok, start: usize, end: usize) -> usize {
        let Some(level) = self.levels.last() else {
            return end;
        };
        let (base, quote, brace) = (level.base, level.quote, level.brace);
        let is_outermost = self.brackets.len() == base;
        match tok {
            Tok::LParen | Tok::LBracket | Tok::LBrace => {
                self.brackets.push(self.source.as_bytes()[start]);
            }
            Tok::RParen | Tok::RBracket if !is_outermost => {
                // A wrong one is reported by the layout pass.
                self.brackets.pop();
            }
            Tok::RBrace => match self.brackets[base..].iter().rposition(|&b| b == b'{') {
                Some(at) => self.brackets.truncate(base + at),
                None => return self.resume(start),
            },
            Tok::Colon if is_outermost => return self.spec(start),
            Tok::Newline if is_outermost && !quote.is_triple => {
                self.report(unclosed_interpolation(brace));
                self.close_line(start);
            }
            _ => {}
        }
        self.push(tok, start, end);
        end
    }

    /// The format spec that begins with the `:` at `start`.
    fn spec(&mut self, start: usize) -> usize {
        let Some(level) = self.levels.last() else {
            return start + 1;
        };
        let (quote, brace) = (level.quote, level.brace);
        let bytes = self.source.as_bytes();
        let end = bytes[start + 1..]
            .iter()
            .position(|&b| b == b'}' || b == b'\n' || b == quote.mark)
            .map_or(bytes.len(), |at| start + 1 + at);
        self.push(Tok::Spec, start, end);
        if end < bytes.len() && bytes[end] == quote.mark {
            self.report(unclosed_interpolation(brace));
            self.levels.pop();
            let close = (end + quote.close_len()).min(bytes.len());
            let close = if self.source.is_char_boundary(close) {
                close
            } else {
                end + 1
            };
            self.push(Tok::StrTail, end, close);
            return close;
        }
        end
    }
}

fn unclosed_interpolation(brace: usize) -> Diagnostic {
    Diagnostic::error(
        "E0003",
        "unclosed `{` in a string",
        Span::new(brace, brace + 1),
    )
    .label("the closing `}` is missing")
    .help("write `\\{` for a brace that is text")
}

/// Combining marks, which may follow in a name.
fn is_mark(c: char) -> bool {
    matches!(c as u32, 0x300..=0x36F | 0x483..=0x487 | 0x591..=0x5BD | 0x610..=0x61A | 0x64B..=0x65F
        | 0x900..=0x903 | 0x93A..=0x94F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x200C..=0x200D
        | 0x20D0..=0x20F0 | 0xFE20..=0xFE2F)
}
