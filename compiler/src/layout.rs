//! The pass between lexer and grammar.
//!
//! It decides from the token before and the token after what the text means where one token of context is
//! enough, so that the grammar stays small and LR(1):
//!
//! | in the text | becomes |
//! | --- | --- |
//! | newline, `;` | `Sep` where it separates, else nothing; never doubled, never before `}` |
//! | `{` | `LBrace` of a block or `MapOpen` |
//! | `\|` | `BarOpen`, `BarClose` of a closure or the operator `Bar` |
//! | contextual keywords, keywords as names | `Ident` |
//! | a name before `:` | `Key` |
//! | `not in`, `is not`, `fn +` | one token |
//! | comments | nothing; `##` lines are remembered for the item behind them |
//!
//! Invariant: brackets in the output are balanced, whatever the input was.

use crate::ast::{MAX_NESTING, Span};
use crate::diagnostics::Diagnostic;
use crate::lexer::{Lexed, MAX_DIAGNOSTICS, Op, Tok, Token};

/// The `##` lines above the token that starts at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doc {
    pub at: u32,
    pub text: Box<str>,
}

/// What the grammar reads.
#[derive(Debug, Default)]
pub struct Layout {
    pub tokens: Vec<Token>,
    /// Indices in `tokens` of the separators between the statements of the file.
    pub tops: Vec<u32>,
    /// In the order of the text.
    pub docs: Vec<Doc>,
    /// A bracket is open at the end of the text.
    pub is_incomplete: bool,
    /// Where the pass gave up, if it did; nothing behind is in `tokens`.
    pub stopped_at: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Paren,
    Bracket,
    Block,
    Select,
    Map,
    Bars,
    Interpolation,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    kind: Kind,
    open: Token,
}

impl Kind {
    fn close(self) -> Tok {
        match self {
            Kind::Paren => Tok::RParen,
            Kind::Bracket => Tok::RBracket,
            Kind::Block | Kind::Select | Kind::Map => Tok::RBrace,
            Kind::Bars => Tok::BarClose,
            Kind::Interpolation => Tok::StrTail,
        }
    }
}

struct Pass<'s> {
    source: &'s str,
    raw: &'s [Token],
    out: Layout,
    frames: Vec<Frame>,
    diagnostics: &'s mut Vec<Diagnostic>,
    /// Within an import statement, where `as` is a keyword.
    in_import: bool,
    /// A wrong bracket was reported; those behind it are mostly its fault.
    has_bracket_error: bool,
}

/// Turns the tokens of the lexer into those of the grammar.
pub fn layout(source: &str, lexed: &Lexed, diagnostics: &mut Vec<Diagnostic>) -> Layout {
    let mut pass = Pass {
        source,
        raw: &lexed.tokens,
        out: Layout::default(),
        frames: Vec::new(),
        diagnostics,
        in_import: false,
        has_bracket_error: false,
    };
    pass.out.tokens.reserve(lexed.tokens.len());
    pass.run(lexed.is_incomplete);
    pass.out
}

/// Whether an expression may end with this token.
pub(crate) fn can_end(tok: Option<Tok>) -> bool {
    matches!(
        tok,
        Some(
            Tok::Ident
                | Tok::Number
                | Tok::Str
                | Tok::Bytes
                | Tok::StrTail
                | Tok::Nil
                | Tok::True
                | Tok::False
                | Tok::RParen
                | Tok::RBracket
                | Tok::RBrace
                | Tok::Error
        )
    )
}

/// Whether a newline behind this token ends a statement.
fn ends_statement(tok: Option<Tok>) -> bool {
    can_end(tok)
        || matches!(
            tok,
            Some(Tok::Return | Tok::Break | Tok::Continue | Tok::Yield)
        )
}

fn is_keyword(tok: Tok) -> bool {
    matches!(
        tok,
        Tok::Let
            | Tok::Var
            | Tok::Const
            | Tok::Fn
            | Tok::Gen
            | Tok::Return
            | Tok::If
            | Tok::Else
            | Tok::While
            | Tok::For
            | Tok::In
            | Tok::Loop
            | Tok::Break
            | Tok::Continue
            | Tok::Match
            | Tok::Struct
            | Tok::Enum
            | Tok::Trait
            | Tok::Import
            | Tok::From
            | Tok::As
            | Tok::Pub
            | Tok::True
            | Tok::False
            | Tok::Nil
            | Tok::Not
            | Tok::Try
            | Tok::Catch
            | Tok::Throw
            | Tok::Defer
            | Tok::Spawn
            | Tok::Thread
            | Tok::Threadlet
            | Tok::Scope
            | Tok::Select
            | Tok::After
            | Tok::Yield
            | Tok::Local
            | Tok::Assert
            | Tok::Test
            | Tok::Do
            | Tok::Op(Op::Or | Op::And | Op::Is)
    )
}

impl Pass<'_> {
    fn raw_tok(&self, index: usize) -> Option<Tok> {
        self.raw.get(index).map(|token| token.tok)
    }

    /// The first token at or behind `index` that is neither comment nor newline.
    fn significant(&self, mut index: usize) -> Option<usize> {
        while let Some(token) = self.raw.get(index) {
            if !matches!(token.tok, Tok::Newline | Tok::Comment) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The first index at or behind `index` without a newline.
    fn behind_newlines(&self, mut index: usize) -> usize {
        while self.raw_tok(index) == Some(Tok::Newline) {
            index += 1;
        }
        index
    }

    fn prev(&self) -> Option<Tok> {
        self.out.tokens.last().map(|token| token.tok)
    }

    fn top(&self) -> Option<Kind> {
        self.frames.last().map(|frame| frame.kind)
    }

    fn emit(&mut self, tok: Tok, start: u32, end: u32) {
        self.out.tokens.push(Token { tok, start, end });
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < 2 * MAX_DIAGNOSTICS {
            self.diagnostics.push(diagnostic);
        }
    }

    /// A statement or an entry may begin behind the last token.
    fn at_start(&self) -> bool {
        matches!(
            self.prev(),
            None | Some(Tok::Sep | Tok::LBrace | Tok::MapOpen)
        )
    }

    fn separate(&mut self, at: u32, end: u32) {
        if self.frames.is_empty() {
            self.out.tops.push(self.out.tokens.len() as u32);
        }
        self.emit(Tok::Sep, at, end);
        self.in_import = false;
    }

    fn drop_separator(&mut self) {
        if self.prev() == Some(Tok::Sep) {
            self.out.tokens.pop();
            if self.out.tops.last() == Some(&(self.out.tokens.len() as u32)) {
                self.out.tops.pop();
            }
        }
    }

    fn run(&mut self, lexer_is_incomplete: bool) {
        // The newline that stands before the next token, if any.
        let mut newline: Option<u32> = None;
        let mut docs: Vec<Token> = Vec::new();
        let mut newlines_in_a_row = 0;
        let mut index = 0;
        while index < self.raw.len() {
            let token = self.raw[index];
            match token.tok {
                Tok::Newline => {
                    newline.get_or_insert(token.start);
                    newlines_in_a_row += 1;
                }
                Tok::Comment => {
                    let text = &self.source.as_bytes()[token.start as usize..token.end as usize];
                    let is_first_in_line = newline.is_some() || self.out.tokens.is_empty();
                    if is_first_in_line && text.starts_with(b"##") && text.get(2) != Some(&b'#') {
                        if newlines_in_a_row > 1 {
                            docs.clear();
                        }
                        docs.push(token);
                    }
                    newlines_in_a_row = 0;
                }
                _ => {
                    newlines_in_a_row = 0;
                    if !docs.is_empty() {
                        self.document(&docs, token.start);
                        docs.clear();
                    }
                    if let Some(at) = newline.take() {
                        self.newline(at, index);
                    }
                    index = self.token(index);
                    if self.out.stopped_at.is_some() {
                        break;
                    }
                    continue;
                }
            }
            index += 1;
        }
        self.drop_separator();
        self.finish(lexer_is_incomplete);
    }

    fn document(&mut self, docs: &[Token], at: u32) {
        let mut text = String::new();
        for (index, token) in docs.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            let line = &self.source[token.start as usize + 2..token.end as usize];
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
        }
        self.out.docs.push(Doc {
            at,
            text: text.into(),
        });
    }

    /// A newline at `at` stands before the token `index`: does it separate?
    fn newline(&mut self, at: u32, index: usize) {
        if !ends_statement(self.prev()) {
            return;
        }
        let next = self.raw[index].tok;
        if self.top() == Some(Kind::Bars) && !matches!(next, Tok::Comma | Tok::Bar | Tok::BarBar) {
            // A bar that nobody closes must not swallow the rest of the file.
            self.frames.pop();
        }
        match self.top() {
            None | Some(Kind::Block | Kind::Select | Kind::Map) => {}
            _ => return,
        }
        let is_name = is_keyword_or_operator(next) && self.raw_tok(index + 1) == Some(Tok::Colon);
        let goes_on = match next {
            _ if is_name => false,
            Tok::Dot | Tok::QuestionDot | Tok::Catch | Tok::Op(Op::And | Op::Or | Op::Coalesce) => {
                true
            }
            Tok::Else => {
                let behind = self.significant(index + 1).and_then(|i| self.raw_tok(i));
                behind != Some(Tok::Arrow)
            }
            Tok::Comma | Tok::RBrace => true,
            _ => false,
        };
        if !goes_on {
            self.separate(at, at + 1);
        }
    }

    /// Handles the token `index`; returns the index of the next one.
    fn token(&mut self, index: usize) -> usize {
        let Token { tok, start, end } = self.raw[index];
        let prev = self.prev();
        if self.top() == Some(Kind::Select)
            && matches!(prev, Some(Tok::LBrace | Tok::Sep | Tok::Comma))
            && self.is_pattern_arm(index)
        {
            self.emit(Tok::ArmPattern, start, start);
        }
        if (tok == Tok::Ident || is_keyword(tok))
            && let Some(name) = self.name(index)
        {
            self.emit(name, start, end);
            return index + 1;
        }
        match tok {
            Tok::Fn => {
                let is_anonymous = self.raw_tok(index + 1) == Some(Tok::LParen);
                let tok = if is_anonymous {
                    Tok::FnAnonymous
                } else {
                    Tok::Fn
                };
                self.emit(tok, start, end);
            }
            Tok::Gen => {
                let is_anonymous = self.raw_tok(index + 2) == Some(Tok::LParen);
                let tok = if is_anonymous {
                    Tok::GenAnonymous
                } else {
                    Tok::Gen
                };
                self.emit(tok, start, end);
            }
            Tok::Import | Tok::From => {
                self.in_import = true;
                self.emit(tok, start, end);
            }
            Tok::Op(Op::Is) if self.raw_tok(self.behind_newlines(index + 1)) == Some(Tok::Not) => {
                let second = self.behind_newlines(index + 1);
                self.emit(Tok::Op(Op::IsNot), start, self.raw[second].end);
                return second + 1;
            }
            Tok::Not
                if can_end(prev)
                    && self.raw_tok(self.behind_newlines(index + 1)) == Some(Tok::In) =>
            {
                let second = self.behind_newlines(index + 1);
                self.emit(Tok::Op(Op::NotIn), start, self.raw[second].end);
                return second + 1;
            }
            Tok::Op(
                Op::Add | Op::Mul | Op::Div | Op::FloorDiv | Op::Mod | Op::Pow | Op::Eq | Op::Lt,
            )
            | Tok::Minus
                if prev == Some(Tok::Fn) =>
            {
                self.emit(Tok::OpName, start, end);
            }
            Tok::LBracket
                if prev == Some(Tok::Fn) && self.raw_tok(index + 1) == Some(Tok::RBracket) =>
            {
                let is_store = self.raw_tok(index + 2) == Some(Tok::Assign);
                let last = index + 1 + is_store as usize;
                self.emit(Tok::OpName, start, self.raw[last].end);
                return last + 1;
            }
            Tok::LParen => {
                let is_options = match prev {
                    Some(Tok::Scope) => true,
                    Some(Tok::Spawn | Tok::Thread | Tok::Threadlet) => self.is_key(index + 1),
                    _ => false,
                };
                let tok = if is_options {
                    Tok::OptionsOpen
                } else {
                    Tok::LParen
                };
                self.open(Kind::Paren, tok, start, end);
            }
            Tok::LBracket => self.open(Kind::Bracket, tok, start, end),
            Tok::LBrace => self.brace(index),
            Tok::RParen | Tok::RBracket | Tok::RBrace => self.close(tok, start, end),
            Tok::Bar => self.bar(start, end),
            Tok::BarBar => {
                if self.top() == Some(Kind::Bars) {
                    self.bar(start, start + 1);
                    self.bar(start + 1, end);
                } else if can_end(prev) {
                    self.habit(start, end, "there is no operator `||`", "write `or`", "or");
                    self.emit(Tok::Op(Op::Or), start, end);
                } else {
                    self.bar(start, start + 1);
                    self.bar(start + 1, end);
                }
            }
            Tok::StrHead => self.open(Kind::Interpolation, tok, start, end),
            Tok::StrMid | Tok::Spec => {
                self.unwind_to_interpolation(start);
                self.emit(tok, start, end);
            }
            Tok::StrTail => {
                self.unwind_to_interpolation(start);
                self.frames.pop();
                self.emit(tok, start, end);
            }
            Tok::Semicolon => {
                if self.top() == Some(Kind::Bars) {
                    self.frames.pop();
                }
                if !self.at_start() {
                    self.separate(start, end);
                }
            }
            Tok::AmpAmp => {
                self.habit(
                    start,
                    end,
                    "there is no operator `&&`",
                    "write `and`",
                    "and",
                );
                self.emit(Tok::Op(Op::And), start, end);
            }
            Tok::Bang => {
                self.habit(start, end, "there is no operator `!`", "write `not`", "not");
                let tok = if can_end(prev) { Tok::Error } else { Tok::Not };
                self.emit(tok, start, end);
            }
            Tok::TripleEq => {
                let (op, help, instead) = match self.source.as_bytes()[start as usize] {
                    b'!' => (Op::Ne, "`!=` compares by value, without conversions", "!="),
                    _ => (Op::Eq, "`==` compares by value, without conversions", "=="),
                };
                self.habit(
                    start,
                    end,
                    "there is no operator of three characters here",
                    help,
                    instead,
                );
                self.emit(Tok::Op(op), start, end);
            }
            Tok::PlusPlus => {
                self.habit(
                    start,
                    end,
                    "there is no operator `++`",
                    "write `x += 1`",
                    "",
                );
                // Dropped: what is around it parses without it.
                let next = self.significant(index + 1).and_then(|i| self.raw_tok(i));
                if can_end(prev)
                    && matches!(next, Some(Tok::Ident | Tok::Number | Tok::LParen))
                    && self.raw_tok(index + 1) != Some(Tok::Newline)
                {
                    self.emit(Tok::Op(Op::Add), start, end);
                }
            }
            Tok::ColonColon => {
                self.habit(
                    start,
                    end,
                    "there is no `::`",
                    "paths are written with `.`",
                    ".",
                );
                self.emit(Tok::Dot, start, end);
            }
            Tok::ThinArrow => {
                self.habit(
                    start,
                    end,
                    "there is no `->`",
                    "results have no declared type; an arm is written with `=>`",
                    "",
                );
                self.emit(Tok::Error, start, end);
            }
            _ => self.emit(tok, start, end),
        }
        index + 1
    }

    /// Reports what another language writes here; `instead` can stand in its place, unless it is empty.
    fn habit(&mut self, start: u32, end: u32, message: &str, help: &str, instead: &str) {
        let span = Span { start, end };
        let mut found = Diagnostic::error("E0007", message, span).help(help);
        if !instead.is_empty() {
            found = found.replace(span, self.apart(span, instead));
        }
        self.report(found);
    }

    /// A word with the spaces that keep it apart from the words beside it.
    fn apart(&self, span: Span, word: &str) -> String {
        if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return word.into();
        }
        let touches = |c: char| c.is_alphanumeric() || c == '_';
        let before = self.source[..span.start as usize].ends_with(touches);
        let behind = !self.source[span.end as usize..].starts_with(char::is_whitespace);
        let space = |is_needed| if is_needed { " " } else { "" };
        format!("{}{word}{}", space(before), space(behind))
    }

    /// Whether the token `index` is a name with a colon behind it.
    fn is_key(&self, index: usize) -> bool {
        let Some(index) = self.significant(index) else {
            return false;
        };
        matches!(self.raw_tok(index), Some(tok) if tok == Tok::Ident || is_keyword(tok))
            && self.raw_tok(index + 1) == Some(Tok::Colon)
    }

    /// Decides whether the name or keyword `index` is a plain name: `Ident`, `Key`, or `None` for a keyword.
    fn name(&self, index: usize) -> Option<Tok> {
        let tok = self.raw[index].tok;
        if self.raw_tok(index + 1) == Some(Tok::Colon) {
            return Some(Tok::Key);
        }
        if tok == Tok::Ident {
            return Some(Tok::Ident);
        }
        let prev = self.prev();
        if matches!(prev, Some(Tok::Dot | Tok::QuestionDot | Tok::Fn)) {
            return Some(Tok::Ident);
        }
        let next = self.raw_tok(index + 1);
        let is_string = matches!(next, Some(Tok::Str | Tok::StrHead));
        let is_active = match tok {
            Tok::From => {
                self.at_start()
                    && (is_string
                        || next == Some(Tok::Ident) && self.raw_tok(index + 2) == Some(Tok::Import))
            }
            Tok::Test => self.at_start() && is_string,
            Tok::Gen => next == Some(Tok::Fn),
            Tok::Local => next == Some(Tok::Var),
            Tok::Pub => matches!(
                next,
                Some(
                    Tok::Let
                        | Tok::Var
                        | Tok::Const
                        | Tok::Fn
                        | Tok::Gen
                        | Tok::Local
                        | Tok::Struct
                        | Tok::Enum
                        | Tok::Trait
                )
            ),
            Tok::As => self.in_import && can_end(prev),
            Tok::After => {
                self.top() == Some(Kind::Select)
                    && matches!(prev, Some(Tok::LBrace | Tok::Sep | Tok::Comma))
                    && !matches!(
                        next,
                        Some(
                            Tok::Assign | Tok::Dot | Tok::QuestionDot | Tok::LBracket | Tok::Arrow
                        )
                    )
            }
            _ => true,
        };
        if is_active { None } else { Some(Tok::Ident) }
    }

    /// Whether the select arm that begins at `index` has a pattern: a `=` before its `=>`.
    fn is_pattern_arm(&self, index: usize) -> bool {
        let mut depth = 0usize;
        for token in &self.raw[index..] {
            match token.tok {
                Tok::LParen | Tok::LBracket | Tok::LBrace | Tok::StrHead => depth += 1,
                Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrTail => {
                    if depth == 0 {
                        return false;
                    }
                    depth -= 1;
                }
                Tok::Assign if depth == 0 => return true,
                Tok::Arrow | Tok::Semicolon | Tok::Comma | Tok::Newline if depth == 0 => {
                    return false;
                }
                _ => {}
            }
        }
        false
    }

    fn open(&mut self, kind: Kind, tok: Tok, start: u32, end: u32) {
        if self.out.stopped_at.is_some() {
            return;
        }
        if self.frames.len() >= MAX_NESTING {
            self.report(
                Diagnostic::error(
                    "E0009",
                    format!("brackets nest more than {MAX_NESTING} deep"),
                    Span { start, end },
                )
                .help("split it up with functions or variables"),
            );
            self.out.stopped_at = Some(start);
            return;
        }
        self.emit(tok, start, end);
        self.frames.push(Frame {
            kind,
            open: Token { tok, start, end },
        });
    }

    fn brace(&mut self, index: usize) {
        let Token { start, end, .. } = self.raw[index];
        let prev = self.prev();
        let is_block = match prev {
            Some(Tok::Arrow | Tok::BarClose) => !self.begins_map(index + 1),
            Some(
                Tok::Else
                | Tok::Do
                | Tok::Try
                | Tok::Catch
                | Tok::Loop
                | Tok::Scope
                | Tok::Select
                | Tok::Spawn
                | Tok::Thread
                | Tok::Threadlet
                | Tok::Defer,
            ) => true,
            _ => can_end(prev),
        };
        let (kind, tok) = match (is_block, prev) {
            (true, Some(Tok::Select)) => (Kind::Select, Tok::LBrace),
            (true, _) => (Kind::Block, Tok::LBrace),
            (false, _) => (Kind::Map, Tok::MapOpen),
        };
        self.open(kind, tok, start, end);
    }

    /// Behind `=> {` and `| {`: a name or plain string and a colon make it a map.
    fn begins_map(&self, index: usize) -> bool {
        let Some(index) = self.significant(index) else {
            return false;
        };
        match self.raw_tok(index) {
            Some(Tok::Str) => self.raw_tok(index + 1) == Some(Tok::Colon),
            _ => self.is_key(index),
        }
    }

    fn bar(&mut self, start: u32, end: u32) {
        if self.top() == Some(Kind::Bars) {
            self.frames.pop();
            self.emit(Tok::BarClose, start, end);
        } else if can_end(self.prev()) {
            self.emit(Tok::Bar, start, end);
        } else {
            self.open(Kind::Bars, Tok::BarOpen, start, end);
        }
    }

    fn unwind_to_interpolation(&mut self, at: u32) {
        while let Some(frame) = self.frames.last().copied() {
            if frame.kind == Kind::Interpolation {
                return;
            }
            self.frames.pop();
            self.close_missing(frame, at);
        }
    }

    /// The character at a place; nothing at the end of the file.
    fn char_at(&self, at: u32) -> Span {
        let start = at as usize;
        let next = self.source[start..].chars().next();
        Span::new(start, start + next.map_or(0, char::len_utf8))
    }

    /// Closes a bracket whose partner is missing.
    fn close_missing(&mut self, frame: Frame, at: u32) {
        if frame.kind == Kind::Bars {
            return;
        }
        self.drop_separator();
        self.emit(frame.kind.close(), at, at);
        if self.has_bracket_error || frame.kind == Kind::Interpolation {
            return;
        }
        self.has_bracket_error = true;
        let (open, close) = bracket_texts(frame.kind);
        self.report(
            Diagnostic::error("E0010", format!("unclosed `{open}`"), frame.open.span())
                .label(format!("the closing `{close}` is missing"))
                .related(self.char_at(at), format!("`{close}` is expected here")),
        );
    }

    fn close(&mut self, tok: Tok, start: u32, end: u32) {
        if self.top() == Some(Kind::Bars) {
            self.frames.pop();
        }
        let partner = self
            .frames
            .iter()
            .rev()
            .take_while(|frame| frame.kind != Kind::Interpolation)
            .position(|frame| frame.kind.close() == tok);
        let Some(partner) = partner else {
            if !self.has_bracket_error {
                self.has_bracket_error = true;
                let text = &self.source[start as usize..end as usize];
                self.report(
                    Diagnostic::error("E0011", format!("unmatched `{text}`"), Span { start, end })
                        .label("no bracket is open that it could close")
                        .help("remove it, or open the bracket that it closes"),
                );
            }
            // It ends what it stands in, so that the next line is read by itself.
            self.emit(Tok::Error, start, end);
            return;
        };
        for _ in 0..partner {
            if let Some(frame) = self.frames.pop() {
                self.close_missing(frame, start);
            }
        }
        self.frames.pop();
        if tok == Tok::RBrace {
            self.drop_separator();
        }
        self.emit(tok, start, end);
    }

    /// Closes what is open at the end of the text.
    fn finish(&mut self, lexer_is_incomplete: bool) {
        let at = self.out.stopped_at.unwrap_or(self.source.len() as u32);
        if self.frames.iter().any(|frame| frame.kind != Kind::Bars) && self.out.stopped_at.is_none()
        {
            self.out.is_incomplete = true;
            if !lexer_is_incomplete && !self.has_bracket_error {
                self.has_bracket_error = true;
                self.report_unclosed();
            }
        }
        self.out.is_incomplete |= lexer_is_incomplete;
        self.has_bracket_error = true;
        while let Some(frame) = self.frames.pop() {
            self.close_missing(frame, at);
        }
    }

    /// Points at the bracket that is most likely the one left open: the innermost, unless a block further in
    /// was closed by a `}` that stands where an outer one's would.
    fn report_unclosed(&mut self) {
        let Some(frame) = self
            .frames
            .iter()
            .rev()
            .find(|frame| frame.kind != Kind::Bars)
        else {
            return;
        };
        let (open, close) = bracket_texts(frame.kind);
        let mut diagnostic =
            Diagnostic::error("E0010", format!("unclosed `{open}`"), frame.open.span())
                .label(format!("the closing `{close}` is missing"));
        if let Some((opened, closed)) = self.suspicious_pair() {
            diagnostic = diagnostic
                .related(opened.span(), "perhaps it is this `{` that is not closed")
                .related(
                    closed.span(),
                    "…since this `}` is indented like another one's",
                );
        }
        self.report(diagnostic);
    }

    /// The first `{ … }` whose `}` opens a line with less indentation than the line of its `{`.
    fn suspicious_pair(&self) -> Option<(Token, Token)> {
        let bytes = self.source.as_bytes();
        let indent = |at: u32| {
            let line = bytes[..at as usize]
                .iter()
                .rposition(|&b| b == b'\n')
                .map_or(0, |p| p + 1);
            let width = bytes[line..]
                .iter()
                .take_while(|b| matches!(b, b' ' | b'\t'))
                .count();
            (width, line + width == at as usize)
        };
        let mut open = Vec::new();
        for (index, token) in self.out.tokens.iter().enumerate() {
            match token.tok {
                Tok::LBrace | Tok::MapOpen => open.push(token),
                Tok::RBrace => {
                    let opened = open.pop()?;
                    let starts_line = index > 0
                        && bytes[self.out.tokens[index - 1].end as usize..token.start as usize]
                            .contains(&b'\n');
                    if starts_line && indent(token.start).0 < indent(opened.start).0 {
                        return Some((*opened, *token));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

fn is_keyword_or_operator(tok: Tok) -> bool {
    is_keyword(tok)
}

fn bracket_texts(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Paren => ("(", ")"),
        Kind::Bracket => ("[", "]"),
        Kind::Block | Kind::Select | Kind::Map => ("{", "}"),
        Kind::Bars => ("|", "|"),
        Kind::Interpolation => ("{", "}"),
    }
}
