//! Which newlines, semicolons and commas stay.

use super::items::{COMMA, Item};
use crate::lexer::Tok;

/// Brings braces and `else` onto the lines they belong to, drops `;` at the ends of lines, and puts a comma behind the
/// last element where the closing bracket has its own line, and only there.
pub(super) fn tidy(items: &mut Vec<Item>) {
    join_lines(items);
    drop_semicolons(items);
    match_brackets(items);
    settle_commas(items);
    match_brackets(items);
}

/// `}` and `else` or `catch`, a head and its `{`, an element and its comma stand on one line.
fn join_lines(items: &mut [Item]) {
    for index in 1..items.len() {
        let before = items[index - 1].tok;
        let behind = items.get(index + 1).map(|item| item.tok);
        let joins = match items[index].tok {
            Tok::Else => before == Tok::RBrace && behind != Some(Tok::Arrow),
            Tok::Catch => before == Tok::RBrace,
            Tok::LBrace | Tok::Comma => before != Tok::Comment,
            _ => false,
        };
        if joins {
            items[index].newlines = 0;
        }
    }
}

fn drop_semicolons(items: &mut Vec<Item>) {
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for index in 0..items.len() {
        let item = items[index];
        if item.tok != Tok::Semicolon {
            kept.push(item);
            continue;
        }
        let is_first = item.newlines > 0
            || kept.last().is_none_or(|last| {
                last.is_opening() || matches!(last.tok, Tok::Semicolon | Tok::Comma)
            });
        let is_last = items.get(index + 1).is_none_or(|next| {
            next.newlines > 0
                || next.is_comment()
                || matches!(next.tok, Tok::RBrace | Tok::Semicolon)
        });
        if !is_first && !is_last {
            kept.push(item);
        } else if let Some(next) = items.get_mut(index + 1) {
            next.newlines = next.newlines.max(item.newlines);
        }
    }
    *items = kept;
}

fn match_brackets(items: &mut [Item]) {
    let mut open = Vec::new();
    for index in 0..items.len() {
        if items[index].is_opening() {
            open.push(index);
        } else if items[index].is_closing()
            && let Some(partner) = open.pop()
        {
            items[partner].partner = index;
            items[index].partner = partner;
        }
    }
}

fn settle_commas(items: &mut Vec<Item>) {
    // For each open bracket, how many commas stand in it.
    let mut commas: Vec<usize> = Vec::new();
    let mut kept: Vec<Item> = Vec::with_capacity(items.len() + 16);
    for (index, &item) in items.iter().enumerate() {
        if item.is_opening() {
            commas.push(0);
        } else if item.tok == Tok::Comma {
            if let Some(count) = commas.last_mut() {
                *count += 1;
            }
        } else if item.is_closing() {
            let count = commas.pop().unwrap_or(0);
            let open = items[item.partner.min(items.len() - 1)];
            let behind = items[index + 1..].iter().find(|item| !item.is_comment());
            // The brackets of a map's key are no list.
            let is_key =
                open.tok == Tok::LBracket && behind.is_some_and(|item| item.tok == Tok::Colon);
            if !is_key {
                settle_last(&mut kept, item, open, count);
            }
        }
        kept.push(item);
    }
    *items = kept;
}

/// The comma behind the last element of a bracket that `close` closes.
fn settle_last(kept: &mut Vec<Item>, close: Item, open: Item, commas: usize) {
    let Some(last) = kept.iter().rposition(|item| !item.is_comment()) else {
        return;
    };
    let has_comma = kept[last].tok == Tok::Comma;
    let is_tuple = open.tok == Tok::LParen && !open.is_attached;
    if close.newlines == 0 {
        // `(x,)` is a tuple because of its comma.
        if has_comma && !(is_tuple && commas == 1) && open.tok != Tok::LBrace {
            kept.remove(last);
        }
        return;
    }
    let wants = match open.tok {
        Tok::LParen if open.is_attached => true,
        // Without a comma it is no tuple. A map's entries may be separated by newlines.
        Tok::LParen | Tok::MapOpen => commas > 0,
        // An index has no commas.
        Tok::LBracket => !open.is_attached,
        _ => false,
    };
    if wants && !has_comma && !kept[last].is_opening() {
        kept.insert(last + 1, COMMA);
    }
}
