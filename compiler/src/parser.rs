//! Drives lexer, layout pass and grammar over a file, and recovers from errors.
//!
//! The file is parsed one top-level statement at a time. Where one does not parse, the innermost statement or
//! entry around the error is replaced by `Bad` and the top-level statement is tried again; so an error costs no
//! more than the statement in which it stands, and nothing before or behind it is misread.

use crate::ast::{Ast, Block, Span, StmtKind};
use crate::builder::Builder;
use crate::diagnostics::Diagnostic;
use crate::layout::{Layout, layout};
use crate::lexer::{Lexed, MAX_DIAGNOSTICS, Tok, Token, lex};
use crate::messages;
use lalrpop_util::{ParseError, lalrpop_mod};

lalrpop_mod!(
    #[allow(clippy::all, clippy::pedantic, unused, unreachable_pub)]
    grammar
);

/// What a line editor wants to know about the text so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It can be run.
    Complete,
    /// More lines may make it complete.
    Incomplete,
    /// No further line can mend it.
    Wrong,
}

/// The longest text that is read; spans are 32 bits wide.
const MAX_SOURCE: usize = 1 << 30;

/// After this many statements and entries that do not parse the rest of a file is left unread. Some of them make
/// no finding of their own, so this is more than `MAX_DIAGNOSTICS`.
const MAX_FAILURES: usize = 3 * MAX_DIAGNOSTICS;

/// Checks that a file is UTF-8. The finding's span fits the text that `String::from_utf8_lossy` makes of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<&str, Box<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or(0);
        let found = Diagnostic::error(
            "E0013",
            format!("invalid UTF-8 at byte {at}"),
            Span::new(at, at + '\u{FFFD}'.len_utf8()),
        )
        .label(format!("byte 0x{byte:02x} does not belong here"))
        .help("source files are UTF-8 text");
        Box::new(found)
    })
}

/// Parses a file. The tree is whole even if there are errors: what could not be read is `Error` nodes. At most
/// 20 findings, in the order of the text.
pub fn parse(source: &str) -> (Ast, Vec<Diagnostic>) {
    let parsed = run(source);
    (parsed.ast, parsed.diagnostics)
}

/// Tells whether `source`, as typed so far, can be run, goes on, or is wrong.
pub fn completeness(source: &str) -> Completeness {
    let parsed = run(source);
    match parsed.diagnostics.first() {
        None => Completeness::Complete,
        Some(_) if parsed.ends_early => Completeness::Incomplete,
        Some(_) => Completeness::Wrong,
    }
}

struct Parsed {
    ast: Ast,
    diagnostics: Vec<Diagnostic>,
    /// All that is wrong is that the text ends.
    ends_early: bool,
}

fn run(source: &str) -> Parsed {
    if source.len() > MAX_SOURCE {
        let diagnostic =
            Diagnostic::error("E0014", "the file is larger than 1 GiB", Span::new(0, 0));
        return Parsed {
            ast: Ast::default(),
            diagnostics: vec![diagnostic],
            ends_early: false,
        };
    }
    let Lexed {
        tokens,
        mut diagnostics,
        is_incomplete,
    } = lex(source);
    let lexed = Lexed {
        tokens,
        diagnostics: Vec::new(),
        is_incomplete,
    };
    let lexical = diagnostics.len();
    let layout = layout(source, &lexed, &mut diagnostics);
    drop(lexed);
    let early = diagnostics.len();
    let mut driver = Driver {
        source,
        layout: &layout,
        builder: Builder::new(source, &layout.docs),
        parser: grammar::ItemParser::new(),
        syntax: Vec::new(),
        ended: false,
        is_wrong: false,
        skip_next: false,
        failures: 0,
    };
    driver.file();
    let Driver {
        mut builder,
        syntax,
        ended,
        is_wrong,
        ..
    } = driver;
    let others = early - usize::from(layout.is_incomplete && early > 0);
    let ends_early = (layout.is_incomplete || ended)
        && layout.stopped_at.is_none()
        && others == 0
        && builder.diagnostics.is_empty()
        && !is_wrong;
    // A slip of the lexer's makes its line unreadable, and a `(` that is open all that follows: one finding is
    // enough.
    let is_new = |found: &Diagnostic, others: &[Diagnostic]| {
        !others
            .iter()
            .any(|other| same_line(source, other.span, found.span))
    };
    let (lexical, brackets) = diagnostics.split_at(lexical);
    let unclosed = brackets
        .iter()
        .filter(|found| found.code == "E0010" && !source[found.span.range()].starts_with('{'))
        .map(|found| found.span.start)
        .min();
    let brackets = brackets
        .iter()
        .filter(|found| is_new(found, lexical))
        .cloned();
    diagnostics = lexical.iter().cloned().chain(brackets).collect();
    let syntax: Vec<Diagnostic> = syntax
        .into_iter()
        .filter(|found| {
            let is_before = |at: Option<u32>| at.is_none_or(|at| found.span.start < at);
            is_before(layout.stopped_at) && is_before(unclosed) && is_new(found, &diagnostics)
        })
        .collect();
    diagnostics.extend(syntax);
    diagnostics.append(&mut builder.diagnostics);
    diagnostics.sort_by_key(|found| found.span.start);
    diagnostics.truncate(MAX_DIAGNOSTICS);
    Parsed {
        ast: builder.ast,
        diagnostics,
        ends_early,
    }
}

/// Whether no newline lies between two places.
fn same_line(source: &str, a: Span, b: Span) -> bool {
    let (start, end) = (a.start.min(b.start) as usize, a.start.max(b.start) as usize);
    !source.as_bytes()[start.min(source.len())..end.min(source.len())].contains(&b'\n')
}

struct Driver<'s> {
    source: &'s str,
    layout: &'s Layout,
    builder: Builder<'s>,
    parser: grammar::ItemParser,
    /// Errors of the grammar, as against those that the builder finds in what it parses.
    syntax: Vec<Diagnostic>,
    /// The last statement was cut off by the end of the file.
    ended: bool,
    /// There is an error that no further text can mend.
    is_wrong: bool,
    /// The next statement is the block of the last one, on a line of its own.
    skip_next: bool,
    /// How often the grammar has given up.
    failures: usize,
}

impl Driver<'_> {
    fn file(&mut self) {
        let tokens = &self.layout.tokens;
        let mut stmts = Vec::with_capacity(self.layout.tops.len() + 1);
        let mut start = 0;
        let ends = self
            .layout
            .tops
            .iter()
            .map(|&at| at as usize)
            .chain([tokens.len()]);
        for end in ends {
            if self.failures >= MAX_FAILURES {
                // What is behind is not even looked at: there is more than enough to mend.
                let at = tokens
                    .get(start)
                    .map_or(self.source.len() as u32, |token| token.start);
                stmts.push(
                    self.builder
                        .stmt(StmtKind::Error, at, self.source.len() as u32),
                );
                break;
            }
            if start < end && !std::mem::take(&mut self.skip_next) {
                stmts.extend(self.statement(&tokens[start..end]));
            }
            start = end + 1;
        }
        let depth = stmts.iter().map(|&id| self.builder.stmt_depth(id)).max();
        self.builder.ast.depth = depth.unwrap_or(0);
        self.builder.ast.root = Block {
            stmts,
            span: Span::new(0, self.source.len()),
        };
    }

    /// Parses the tokens of one statement, several times if there are errors.
    fn statement(&mut self, tokens: &[Token]) -> Option<crate::ast::StmtId> {
        let mark = self.builder.mark();
        let mut work: Option<Vec<Token>> = None;
        loop {
            let current = work.as_deref().unwrap_or(tokens);
            let mut read = 0;
            let stream = current.iter().map(|token| {
                read += 1;
                Ok((token.start, token.tok, token.end))
            });
            let error = match self.parser.parse(&mut self.builder, stream) {
                Ok(stmt) => return Some(stmt),
                Err(error) => error,
            };
            self.builder.reset(mark);
            let (at, expected) = match error {
                ParseError::UnrecognizedToken { expected, .. } => (read - 1, expected),
                ParseError::UnrecognizedEof { expected, .. } => (current.len(), expected),
                // The grammar makes none of these.
                ParseError::InvalidToken { .. }
                | ParseError::ExtraToken { .. }
                | ParseError::User { .. } => (read.saturating_sub(1), Vec::new()),
            };
            let whole = Span {
                start: tokens[0].start,
                end: tokens[tokens.len() - 1].end,
            };
            self.report(current, at, &expected, whole.end);
            self.failures += 1;
            let is_last = self.failures >= MAX_FAILURES;
            let region = (!is_last).then(|| region(current, at)).flatten();
            match region {
                Some((from, to)) if from > 0 || to < current.len() => {
                    let mut next = current.to_vec();
                    let bad = Token {
                        tok: Tok::Bad,
                        start: current[from.min(current.len() - 1)].start,
                        end: current[to.saturating_sub(1)].end,
                    };
                    next.splice(from..to, [bad]);
                    work = Some(next);
                }
                _ => {
                    return Some(self.builder.stmt(StmtKind::Error, whole.start, whole.end));
                }
            }
        }
    }

    fn report(&mut self, tokens: &[Token], at: usize, expected: &[String], end: u32) {
        let found = tokens.get(at).map(|token| token.tok);
        if at >= tokens.len()
            && end as usize >= self.layout.tokens.last().map_or(0, |t| t.end as usize)
        {
            self.ended = true;
        } else if found != Some(Tok::Bad) && tokens.get(at).is_none_or(|t| t.start < t.end) {
            self.is_wrong = true;
        }
        // The error is about what stands in for an error, or about a bracket that was made up: said already.
        if found == Some(Tok::Bad) || found == Some(Tok::Error) {
            return;
        }
        if let Some(token) = tokens.get(at)
            && token.start == token.end
            && token.tok != Tok::ArmPattern
        {
            if self.layout.is_incomplete {
                self.ended = true;
            }
            return;
        }
        let is_end = matches!(found, None | Some(Tok::Sep));
        let brace_follows = is_end && expected.iter().any(|name| name == "\"{\"") && {
            let next = match tokens.get(at) {
                Some(_) => tokens.get(at + 1).copied(),
                None => self.behind(end),
            };
            next.is_some_and(|token| token.tok == Tok::MapOpen)
        };
        if brace_follows && found.is_none() {
            self.skip_next = true;
        }
        if self.syntax.len() < MAX_DIAGNOSTICS {
            let found = messages::syntax_error(self.source, tokens, at, expected, brace_follows);
            self.syntax.push(found);
        }
    }
}

impl Driver<'_> {
    /// The first token of the statement behind the one that ends at `end`.
    fn behind(&self, end: u32) -> Option<Token> {
        let tokens = &self.layout.tokens;
        let separator = tokens.partition_point(|token| token.start < end);
        tokens.get(separator + 1).copied()
    }
}

/// The statement or entry around the token `at`: the tokens to replace. `None` if that is everything.
fn region(tokens: &[Token], at: usize) -> Option<(usize, usize)> {
    // Frames: the kind of bracket, whether it holds entries, and where its current statement or entry begins.
    struct Frame {
        is_brace: bool,
        has_entries: bool,
        start: usize,
    }
    let mut frames = vec![Frame {
        is_brace: true,
        has_entries: false,
        start: 0,
    }];
    let mut entries_follow = vec![false];
    for (index, token) in tokens.iter().enumerate().take(at) {
        match token.tok {
            Tok::LParen | Tok::OptionsOpen | Tok::LBracket | Tok::StrHead => {
                frames.push(Frame {
                    is_brace: false,
                    has_entries: false,
                    start: index + 1,
                });
                entries_follow.push(false);
            }
            Tok::LBrace | Tok::MapOpen => {
                let follow = entries_follow.last_mut();
                let has_entries = token.tok == Tok::MapOpen || follow.is_some_and(std::mem::take);
                frames.push(Frame {
                    is_brace: true,
                    has_entries,
                    start: index + 1,
                });
                entries_follow.push(false);
            }
            Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrTail if frames.len() > 1 => {
                frames.pop();
                entries_follow.pop();
            }
            Tok::Match | Tok::Struct | Tok::Enum | Tok::Trait | Tok::Select => {
                if let Some(follow) = entries_follow.last_mut() {
                    *follow = true;
                }
            }
            Tok::Sep => {
                if let Some(frame) = frames.last_mut() {
                    frame.start = index + 1;
                }
                if let Some(follow) = entries_follow.last_mut() {
                    *follow = false;
                }
            }
            Tok::Comma => {
                if let Some(frame) = frames.last_mut().filter(|frame| frame.has_entries) {
                    frame.start = index + 1;
                }
            }
            _ => {}
        }
    }
    // From the inside out: the first brace whose entry holds more than what was replaced before.
    while let Some(frame) = frames.pop() {
        if !frame.is_brace {
            continue;
        }
        let end = entry_end(tokens, frame.start, at, frame.has_entries);
        let is_new =
            end > frame.start && !(end == frame.start + 1 && tokens[frame.start].tok == Tok::Bad);
        if is_new {
            return Some((frame.start, end));
        }
    }
    None
}

/// The end of the entry that begins at `start`, at or behind `at`.
fn entry_end(tokens: &[Token], start: usize, at: usize, has_entries: bool) -> usize {
    let mut depth = 0usize;
    let mut index = start;
    while index < tokens.len() {
        match tokens[index].tok {
            Tok::LParen
            | Tok::OptionsOpen
            | Tok::LBracket
            | Tok::StrHead
            | Tok::LBrace
            | Tok::MapOpen => depth += 1,
            Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrTail => {
                if depth == 0 {
                    return index;
                }
                depth -= 1;
            }
            Tok::Comma if depth == 0 && has_entries && index >= at => return index,
            Tok::Sep if depth == 0 && index >= at => {
                // `if x` with its `{` in the next line: the block belongs to what was replaced.
                if tokens.get(index + 1).map(|token| token.tok) == Some(Tok::MapOpen) && index == at
                {
                    index += 1;
                    continue;
                }
                return index;
            }
            _ => {}
        }
        index += 1;
    }
    index
}
