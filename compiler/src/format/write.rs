//! Items to text: lines, indentation, spaces.

use super::items::Item;
use crate::layout::can_end;
use crate::lexer::{Op, Tok};

const INDENT: usize = 4;

/// A bracket that is open.
struct Frame {
    /// The level of the lines in it.
    inner: usize,
    /// The level of a line that begins with its closing bracket.
    close: usize,
}

/// A finished line, without its comment.
struct Line<'s> {
    text: String,
    comment: Option<&'s str>,
    /// Where the comment stood.
    column: usize,
}

pub(super) fn write(items: &[Item]) -> String {
    let mut lines: Vec<Line> = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    // The level of the current line, and the one of brackets that it opens.
    let (mut level, mut base) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let before = index.checked_sub(1).map(|at| &items[at]);
        if item.newlines > 0 || before.is_none() {
            (level, base) = levels(items, index, &frames);
            let may_be_blank =
                before.is_some_and(|before| !before.is_opening()) && !item.is_closing();
            if item.newlines > 1 && may_be_blank {
                lines.push(Line::new(0));
            }
            lines.push(Line::new(level));
        } else if let (Some(before), Some(line)) = (before, lines.last_mut())
            && !item.is_comment()
            && has_space(items, before, item)
        {
            line.text.push(' ');
        }
        let Some(line) = lines.last_mut() else {
            continue;
        };
        if item.is_comment() {
            line.comment = Some(item.text);
            line.column = if item.newlines == 0 { item.column } else { 0 };
        } else {
            line.text.push_str(item.text);
        }
        if item.is_opening() {
            let close = if item.tok == Tok::LBrace { base } else { level };
            frames.push(Frame {
                inner: close + 1,
                close,
            });
        } else if item.is_closing() {
            frames.pop();
        }
    }
    join(&lines)
}

/// The level of the line that begins with the item, and the one that a block which opens in it closes at.
fn levels(items: &[Item], index: usize, frames: &[Frame]) -> (usize, usize) {
    // A comment stands like what it is about.
    let first = items[index..].iter().find(|item| !item.is_comment());
    let Some(frame) = frames.last() else {
        let goes_on = first.is_some_and(|item| !item.is_start);
        return if goes_on {
            continued(items, index, 0)
        } else {
            (0, 0)
        };
    };
    match first {
        Some(item) if item.is_closing() && items[index].is_comment() => (frame.inner, frame.inner),
        Some(item) if item.is_closing() => (frame.close, frame.close),
        Some(item) if !item.is_start => continued(items, index, frame.inner),
        _ => (frame.inner, frame.inner),
    }
}

/// The levels of a line that goes on with what the one before began.
fn continued(items: &[Item], index: usize, inner: usize) -> (usize, usize) {
    // The block of a condition over several lines stands like that of a short one.
    let joins = |item: &Item| matches!(item.tok, Tok::Op(Op::And | Op::Or | Op::Coalesce));
    let before = items[..index].iter().rev().find(|item| !item.is_comment());
    let is_condition = joins(&items[index]) || before.is_some_and(joins);
    (inner + 1, if is_condition { inner } else { inner + 1 })
}

/// Whether a space stands between two neighbours of a line.
fn has_space(items: &[Item], before: &Item, item: &Item) -> bool {
    match item.tok {
        Tok::Comma | Tok::Semicolon | Tok::Colon | Tok::Dot | Tok::QuestionDot => return false,
        Tok::RParen | Tok::RBracket | Tok::BarClose => return false,
        Tok::StrMid | Tok::StrTail | Tok::Spec | Tok::OptionsOpen => return false,
        Tok::DotDot | Tok::DotDotEq if can_end(Some(before.tok)) => return false,
        Tok::RBrace => return items[item.partner].tok == Tok::LBrace,
        Tok::LBrace => return true,
        Tok::LParen | Tok::LBracket if item.is_attached => return false,
        _ => {}
    }
    match before.tok {
        Tok::LParen | Tok::LBracket | Tok::MapOpen | Tok::OptionsOpen | Tok::BarOpen => false,
        Tok::Dot | Tok::QuestionDot | Tok::StrHead | Tok::StrMid | Tok::Tilde => false,
        Tok::DotDot | Tok::DotDotEq => false,
        Tok::Minus => !before.is_sign,
        _ => true,
    }
}

impl Line<'_> {
    fn new(level: usize) -> Self {
        Line {
            text: " ".repeat(level * INDENT),
            comment: None,
            column: 0,
        }
    }
    /// A comment behind code.
    fn has_side_comment(&self) -> bool {
        self.comment.is_some() && !self.text.trim_start().is_empty()
    }
    fn width(&self) -> usize {
        let last = self.text.rsplit('\n').next().unwrap_or("");
        last.chars().count()
    }
}

/// Comments that stood below one another behind code still do; others have one space before them.
fn join(lines: &[Line]) -> String {
    let mut out = String::new();
    let mut index = 0;
    while index < lines.len() {
        let first = &lines[index];
        let mut end = index + 1;
        while first.has_side_comment()
            && lines
                .get(end)
                .is_some_and(|line| line.has_side_comment() && line.column == first.column)
        {
            end += 1;
        }
        let run = &lines[index..end];
        let width = run.iter().map(Line::width).max().unwrap_or(0);
        for line in run {
            out.push_str(&line.text);
            if let Some(comment) = line.comment {
                if line.has_side_comment() {
                    out.extend(std::iter::repeat_n(' ', width - line.width() + 1));
                }
                out.push_str(comment);
            }
            if line.comment.is_none() && line.text.trim_start_matches(' ').is_empty() {
                out.truncate(out.trim_end_matches(' ').len());
            }
            out.push('\n');
        }
        index = end;
    }
    out
}
