//! What can be folded: brackets over several lines, and comments of several lines.

use crate::workspace::Document;
use heddle_compiler::lexer::{Tok, lex};

pub(crate) struct Fold {
    pub(crate) first_line: u32,
    pub(crate) last_line: u32,
    pub(crate) is_comment: bool,
}

pub(crate) fn folds(document: &Document) -> Vec<Fold> {
    let line = |offset: u32| document.text.line_of(offset) as u32;
    let mut folds: Vec<Fold> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    let mut comments: Option<(u32, u32)> = None;
    let mut previous_line = None;
    let close_comments = |comments: &mut Option<(u32, u32)>, folds: &mut Vec<Fold>| {
        if let Some((first_line, last_line)) = comments.take()
            && first_line < last_line
        {
            folds.push(Fold {
                first_line,
                last_line,
                is_comment: true,
            });
        }
    };
    for token in lex(document.source()).tokens {
        let at = line(token.start);
        match token.tok {
            Tok::Newline => continue,
            Tok::Comment if previous_line != Some(at) => match &mut comments {
                Some((_, last)) if *last + 1 == at => *last = at,
                _ => {
                    close_comments(&mut comments, &mut folds);
                    comments = Some((at, at));
                }
            },
            Tok::Comment => {}
            _ => close_comments(&mut comments, &mut folds),
        }
        match token.tok {
            Tok::LBrace | Tok::LParen | Tok::LBracket => open.push(at),
            Tok::RBrace | Tok::RParen | Tok::RBracket => {
                // The line of the closing bracket stays.
                if let Some(first_line) = open.pop()
                    && first_line + 1 < at
                {
                    folds.push(Fold {
                        first_line,
                        last_line: at - 1,
                        is_comment: false,
                    });
                }
            }
            _ => {}
        }
        previous_line = Some(line(token.end.saturating_sub(1).max(token.start)));
    }
    close_comments(&mut comments, &mut folds);
    folds.sort_by_key(|fold| (fold.first_line, std::cmp::Reverse(fold.last_line)));
    // An editor folds a line once.
    folds.dedup_by_key(|fold| fold.first_line);
    folds
}
