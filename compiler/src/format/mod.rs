//! One style for all programs, without options: `heddle fmt`.
//!
//! The formatter works on tokens, not on the tree: where the author breaks lines is kept, what stands between the tokens
//! of a line and in front of it is decided here. So comments stay where they are, and nothing that has a meaning can
//! change: the tokens of the result are those of the source, apart from `;` at the end of a line and the comma behind a
//! last element, and so is its tree (`(x,)` and `(x)` differ by no more than such a comma). That is checked before a
//! result is given out.
//!
//! 1. [`items`]: the tokens of the lexer with what the layout pass knows of each (a block's brace or a map's, a call's
//!    parenthesis or a tuple's, a sign or a subtraction), and how many newlines stand before it.
//! 2. [`tidy`]: which newlines, semicolons and commas go, and which commas come.
//! 3. [`write`]: indentation, spaces, and comments that stand below one another.

mod items;
mod tidy;
mod write;

use crate::diagnostics::Diagnostic;
use crate::dump::dump;
use crate::layout::layout;
use crate::lexer::{Tok, lex};

/// Why a text is not formatted.
#[derive(Debug)]
pub enum Refused {
    /// It does not parse: what is wrong.
    Wrong(Vec<Diagnostic>),
    /// The result would not be the same program. Reaching this is a fault of the formatter.
    Changed,
}

/// The program in the one style: four spaces for each level, one space where tokens need one, at most one blank line in a
/// row, a newline at the end. Formatting the result again changes nothing.
///
/// # Errors
///
/// If the text does not parse.
///
/// ```
/// let tidy = heddle_compiler::format::format("if x{print( 1,2 )}\nelse{}").unwrap();
/// assert_eq!(tidy, "if x { print(1, 2) } else { }\n");
/// ```
pub fn format(source: &str) -> Result<String, Refused> {
    let (ast, diagnostics) = crate::parse(source);
    if diagnostics.iter().any(Diagnostic::is_error) {
        return Err(Refused::Wrong(diagnostics));
    }
    let mut items = items::items(source);
    tidy::tidy(&mut items);
    let text = write::write(&items);
    let (again, diagnostics) = crate::parse(&text);
    let is_same = !diagnostics.iter().any(Diagnostic::is_error)
        && has_same_tokens(source, &text)
        && dump(&ast) == dump(&again);
    match is_same {
        true => Ok(text),
        false => Err(Refused::Changed),
    }
}

/// What formatting must not change: the tokens apart from separators and last commas, and the comments.
#[derive(PartialEq)]
struct Essence<'s> {
    tokens: Vec<(Tok, &'s str)>,
    comments: Vec<&'s str>,
}

impl Essence<'_> {
    /// `None` if the lexer or the layout pass finds fault.
    fn of(source: &str) -> Option<Essence<'_>> {
        let lexed = lex(source);
        let mut diagnostics = lexed.diagnostics.clone();
        let laid_out = layout(source, &lexed, &mut diagnostics);
        let mut tokens: Vec<(Tok, &str)> = Vec::with_capacity(laid_out.tokens.len());
        for token in &laid_out.tokens {
            use Tok::{BarClose, Comma, RBrace, RBracket, RParen, Sep};
            let ends = matches!(token.tok, RParen | RBracket | RBrace | BarClose | Sep);
            if ends && matches!(tokens.last(), Some((Comma | Sep, _))) {
                tokens.pop();
            }
            let text = match token.tok {
                // They may be written in more than one way: `is  not`.
                Tok::Op(_) | Tok::OpName | Sep | Tok::BarOpen | Tok::BarClose => "",
                _ => &source[token.span().range()],
            };
            tokens.push((token.tok, text));
        }
        let comments = lexed
            .tokens
            .iter()
            .filter(|token| token.tok == Tok::Comment);
        let comments = comments.map(|token| source[token.span().range()].trim_end());
        diagnostics.is_empty().then(|| Essence {
            tokens,
            comments: comments.collect(),
        })
    }
}

fn has_same_tokens(one: &str, other: &str) -> bool {
    let essence = Essence::of(one);
    essence.is_some() && essence == Essence::of(other)
}

#[cfg(test)]
mod tests;
