//! The tokens with their meaning and the newlines between them.

use crate::layout::{can_end, layout};
use crate::lexer::{Tok, Token, lex};

/// A token or comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'s> {
    /// What the layout pass made of it; `Comment` and `Semicolon` are as the lexer has them.
    pub(super) tok: Tok,
    /// As it will be written.
    pub(super) text: &'s str,
    /// Newlines before it: none, one, or more.
    pub(super) newlines: usize,
    /// A statement or an entry of braces begins with it, or it is the first behind an opening bracket or a comma.
    pub(super) is_start: bool,
    /// A `-` with one operand.
    pub(super) is_sign: bool,
    /// A `(` or `[` that belongs to what stands before it.
    pub(super) is_attached: bool,
    /// The other bracket of the pair.
    pub(super) partner: usize,
    /// Where it stands in its line, in characters; known for comments.
    pub(super) column: usize,
}

impl Item<'_> {
    pub(super) fn is_opening(&self) -> bool {
        is_opening(self.tok)
    }
    pub(super) fn is_closing(&self) -> bool {
        use Tok::{BarClose, RBrace, RBracket, RParen, StrTail};
        matches!(self.tok, RParen | RBracket | RBrace | BarClose | StrTail)
    }
    pub(super) fn is_comment(&self) -> bool {
        self.tok == Tok::Comment
    }
}

fn is_opening(tok: Tok) -> bool {
    use Tok::{BarOpen, LBrace, LBracket, LParen, MapOpen, OptionsOpen, StrHead};
    matches!(
        tok,
        LParen | LBracket | LBrace | MapOpen | OptionsOpen | BarOpen | StrHead
    )
}

/// A comma that was not there.
pub(super) const COMMA: Item<'static> = Item {
    tok: Tok::Comma,
    text: ",",
    newlines: 0,
    is_start: false,
    is_sign: false,
    is_attached: false,
    partner: usize::MAX,
    column: 0,
};

/// The items of a text that parses.
pub(super) fn items(source: &str) -> Vec<Item<'_>> {
    let lexed = lex(source);
    let meanings = layout(source, &lexed, &mut Vec::new()).tokens;
    let raw = &lexed.tokens;
    let mut out: Vec<Item> = Vec::with_capacity(raw.len());
    let mut next = 0;
    let mut newlines = 0;
    let mut before: Option<Tok> = None;
    // The brackets that are open, and whether the last that was closed held options: another expression begins behind it.
    let mut open: Vec<Tok> = Vec::new();
    let mut is_behind_options = false;
    let mut index = 0;
    while index < raw.len() {
        let token = raw[index];
        index += 1;
        let mut item = Item {
            tok: token.tok,
            text: &source[token.span().range()],
            newlines,
            is_start: before.is_none_or(|tok| is_opening(tok) || tok == Tok::Comma),
            ..COMMA
        };
        match token.tok {
            Tok::Newline => {
                newlines += 1;
                continue;
            }
            Tok::Comment => {
                item.text = item.text.trim_end();
                item.column = column(source, token);
                newlines = 0;
                out.push(item);
                continue;
            }
            Tok::Semicolon => {
                newlines = 0;
                out.push(item);
                continue;
            }
            _ => {}
        }
        newlines = 0;
        while let Some(Tok::Sep | Tok::ArmPattern) = meanings.get(next).map(|m| m.tok) {
            item.is_start |= meanings[next].tok == Tok::Sep;
            next += 1;
        }
        let mut end = token.end;
        if token.tok == Tok::StrHead
            && let Some(last) = verbatim(source, raw, index - 1)
        {
            item.tok = Tok::Str;
            end = raw[last].end;
            item.text = &source[token.start as usize..end as usize];
            before = Some(Tok::Str);
            out.push(item);
            while meanings.get(next).is_some_and(|m| m.start < end) {
                next += 1;
            }
            index = last + 1;
            continue;
        }
        // One token may have become two (`||`), or several one (`is not`).
        while let Some(meaning) = meanings.get(next).filter(|m| m.start < end) {
            item.tok = meaning.tok;
            item.text = written(source, *meaning);
            item.is_sign = meaning.tok == Tok::Minus && !can_end(before);
            // A bracket that begins a statement or an entry belongs to nothing, whatever the one before ends in.
            item.is_attached = matches!(meaning.tok, Tok::LParen | Tok::LBracket)
                && !item.is_start
                && !(is_behind_options && before == Some(Tok::RParen))
                && (can_end(before) || matches!(before, Some(Tok::FnAnonymous | Tok::OpName)));
            if item.is_opening() {
                open.push(meaning.tok);
            } else if item.is_closing() {
                is_behind_options = open.pop() == Some(Tok::OptionsOpen);
            }
            out.push(item);
            item.newlines = 0;
            item.is_start = false;
            before = Some(meaning.tok);
            end = end.max(meaning.end);
            next += 1;
        }
        while raw.get(index).is_some_and(|token| token.start < end) {
            index += 1;
        }
    }
    out
}

fn written(source: &str, token: Token) -> &str {
    let text = &source[token.span().range()];
    match token.tok {
        Tok::Op(crate::lexer::Op::IsNot) => "is not",
        Tok::Op(crate::lexer::Op::NotIn) => "not in",
        Tok::OpName if text.starts_with('[') && text.ends_with('=') => "[]=",
        Tok::OpName if text.starts_with('[') => "[]",
        Tok::BarOpen | Tok::BarClose => "|",
        _ => text,
    }
}

/// The last token of the string that begins at `head`, if it spans lines: such a one stays as it is, since spaces in it count.
fn verbatim(source: &str, raw: &[Token], head: usize) -> Option<usize> {
    let mut depth = 0;
    let mut last = head;
    for (index, token) in raw.iter().enumerate().skip(head) {
        match token.tok {
            Tok::StrHead => depth += 1,
            Tok::StrTail => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            last = index;
            break;
        }
    }
    let text = &source[raw[head].start as usize..raw[last].end as usize];
    text.contains('\n').then_some(last)
}

fn column(source: &str, token: Token) -> usize {
    let before = &source[..token.start as usize];
    let line = before.rfind('\n').map_or(0, |at| at + 1);
    before[line..].chars().count()
}
