//! Examples in documentation: what stands between fences in `##` comments is a test of its module.
//!
//! ````text
//! ## The area of a rectangle.
//! ## ```
//! ## assert area(2, h: 3) == 6
//! ## ```
//! fn area(w, h = w) { w * h }
//! ````

use crate::lexer::{Tok, lex};
use std::fmt::Write as _;

/// An example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it is an example of.
    pub name: String,
    /// Where its first line is, from 1.
    pub line: usize,
    pub code: String,
}

/// The examples of a file, in order. Fences that say another language than `heddle` are left out.
pub fn examples(source: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    // Those of the comment that goes on.
    let mut pending: Vec<Example> = Vec::new();
    let mut open: Option<Example> = None;
    let mut is_skipped = false;
    let mut line = 1;
    for token in lex(source).tokens {
        let text = &source[token.span().range()];
        match token.tok {
            Tok::Newline => line += 1,
            Tok::Comment if text.starts_with("##") => {
                let said = text[2..].strip_prefix(' ').unwrap_or(&text[2..]).trim_end();
                let fence = said.trim_start().strip_prefix("```");
                match (fence, open.take()) {
                    (Some(_), Some(done)) => pending.push(done),
                    (Some(_), None) if is_skipped => is_skipped = false,
                    (Some("" | "heddle"), None) => {
                        open = Some(Example {
                            name: String::new(),
                            line: line + 1,
                            code: String::new(),
                        });
                    }
                    (Some(_), None) => is_skipped = true,
                    (None, Some(mut example)) => {
                        let _ = writeln!(example.code, "{said}");
                        open = Some(example);
                    }
                    (None, None) => {}
                }
            }
            Tok::Ident => {
                for example in pending.drain(..) {
                    let name = text.to_owned();
                    found.push(Example { name, ..example });
                }
                (open, is_skipped) = (None, false);
            }
            _ => line += text.matches('\n').count(),
        }
    }
    found
}

/// The file with a `test` block behind it for each of its examples; `None`: it has none.
pub fn with_examples(source: &str) -> Option<String> {
    let found = examples(source);
    if found.is_empty() {
        return None;
    }
    let mut whole = source.to_owned();
    for Example { name, line, code } in found {
        let title = format!("example of {name}, line {line}");
        let (_, diagnostics) = crate::parse(&format!("test '' {{\n{code}}}"));
        let wrong = diagnostics.iter().find(|finding| finding.is_error());
        let body = match wrong {
            None => code,
            // It must not make the whole file unreadable.
            Some(finding) => {
                let at = finding
                    .span
                    .start
                    .saturating_sub("test '' {\n".len() as u32);
                let (row, _) = crate::render::line_column(&code, at as usize);
                let message = finding.message.replace(['\\', '\''], "`");
                format!("throw Error('line {}: {message}')\n", line + row - 1)
            }
        };
        let _ = write!(whole, "\ntest \"{title}\" {{\n{body}}}");
    }
    whole.push('\n');
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::{examples, with_examples};

    const SOURCE: &str = "\
## The area.
## ```
## assert area(2) == 4
## ```
## More.
## ```text
## no code
## ```
pub fn area(w, h = w) { w * h }

## ```heddle
## let s = Square(
## ```
struct Square { side }
# ```
# nothing
# ```
fn f() { }
";

    #[test]
    fn fences_are_found() {
        let found = examples(SOURCE);
        let shown: Vec<_> = found
            .iter()
            .map(|e| (e.name.as_str(), e.line, e.code.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("area", 3, "assert area(2) == 4\n"),
                ("Square", 12, "let s = Square(\n"),
            ]
        );
    }

    #[test]
    fn they_become_tests() {
        let whole = with_examples(SOURCE).expect("there are two");
        assert!(whole.starts_with(SOURCE));
        assert!(
            whole.contains("\ntest \"example of area, line 3\" {\nassert area(2) == 4\n}"),
            "{whole}"
        );
        assert!(
            whole.contains("\ntest \"example of Square, line 12\" {\nthrow Error('line 1"),
            "{whole}"
        );
        let (_, findings) = crate::parse(&whole);
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(with_examples("fn f() { }\n"), None);
    }
}
