//! The one style, as the edit that brings a document to it.

use crate::workspace::Document;
use heddle_compiler::ast::Span;
use heddle_compiler::format::{Refused, format};

/// The lines that change, and what they become; nothing if the document is in the style.
pub(crate) fn formatting(document: &Document) -> Result<Option<(Span, String)>, String> {
    let source = document.source();
    match format(source) {
        Ok(tidy) => Ok(difference(source, &tidy)),
        Err(Refused::Wrong(_)) => Err("a document with errors is not formatted".into()),
        Err(Refused::Changed) => Err(
            "the document is left as it is: formatting would change what it means, which is a fault of the formatter"
                .into(),
        ),
    }
}

/// Whole lines at both ends that are the same stay out of the edit, so that the cursor stays where it is.
fn difference(old: &str, new: &str) -> Option<(Span, String)> {
    if old == new {
        return None;
    }
    let lines = |text: &'_ str| text.split_inclusive('\n').map(str::len).collect::<Vec<_>>();
    let same = |(a, b): &(&str, &str)| a == b;
    let pairs = old.split_inclusive('\n').zip(new.split_inclusive('\n'));
    let first: usize = pairs.take_while(same).map(|(line, _)| line.len()).sum();
    let (rest_old, rest_new) = (&old[first..], &new[first..]);
    let mut last = 0;
    let (lines_old, lines_new) = (lines(rest_old), lines(rest_new));
    for (a, b) in lines_old.iter().rev().zip(lines_new.iter().rev()) {
        let (end_old, end_new) = (rest_old.len() - last, rest_new.len() - last);
        if a != b || rest_old[end_old - a..end_old] != rest_new[end_new - b..end_new] {
            break;
        }
        last += a;
    }
    let span = Span::new(first, old.len() - last);
    Some((span, rest_new[..rest_new.len() - last].to_string()))
}

#[cfg(test)]
mod tests {
    use super::difference;
    use heddle_compiler::ast::Span;

    #[track_caller]
    fn check(old: &str, new: &str, expected: Option<(usize, usize, &str)>) {
        let expected = expected.map(|(from, to, text)| (Span::new(from, to), text.to_string()));
        assert_eq!(difference(old, new), expected);
    }

    #[test]
    fn only_what_differs_is_edited() {
        check("a\nb\n", "a\nb\n", None);
        check("a\nb \nc\n", "a\nb\nc\n", Some((2, 5, "b\n")));
        check("a\na\n", "a\n", Some((2, 4, "")));
        check("a", "a\n", Some((0, 1, "a\n")));
        check("", "a\n", Some((0, 0, "a\n")));
    }
}
