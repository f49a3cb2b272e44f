//! `text`: what one does with texts beyond the methods of strings. Most of it is Heddle code (`text.hd`).

use crate::support::new_str;
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

/// Characters of each text that `levenshtein` takes: the time grows with their product.
const LONGEST_COMPARED: usize = 1000;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "text",
    functions: natives! {
        /// Whether all characters are letters, and there is at least one.
        plain "text.is_alpha" (text) => |ctx| all(ctx, char::is_alphabetic);
        /// Whether all characters are decimal digits, and there is at least one.
        plain "text.is_digit" (text) => |ctx| all(ctx, |c| c.is_ascii_digit());
        /// Whether all characters are letters or digits, and there is at least one.
        plain "text.is_alphanumeric" (text) => |ctx| all(ctx, char::is_alphanumeric);
        /// Whether all characters are white space, and there is at least one.
        plain "text.is_space" (text) => |ctx| all(ctx, char::is_whitespace);
        /// Whether all characters are upper-case letters, and there is at least one.
        plain "text.is_upper" (text) => |ctx| all(ctx, char::is_uppercase);
        /// Whether all characters are lower-case letters, and there is at least one.
        plain "text.is_lower" (text) => |ctx| all(ctx, char::is_lowercase);
        /// With the first letter of each word in upper case, the others in lower case.
        plain "text.title" (text) => title;
        /// With the first letter in upper case, the others in lower case.
        plain "text.capitalize" (text) => capitalize;
        /// How many characters must be inserted, removed or replaced to turn `a` into `b`. Throws ValueError beyond 1000 characters.
        plain "text.levenshtein" (a, b) => levenshtein;
    },
    constants: |_| {},
    source: Some(include_str!("text.hd")),
};

fn all(ctx: &mut Ctx, is_one: fn(char) -> bool) -> NativeResult {
    let text = ctx.str_arg(0)?;
    Ok(Value::bool(!text.is_empty() && text.chars().all(is_one)))
}

/// Upper case after what `starts` accepts, lower case elsewhere.
fn recase(text: &str, starts: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_start = true;
    for c in text.chars() {
        if is_start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        is_start = starts(c);
    }
    out
}

fn title(ctx: &mut Ctx) -> NativeResult {
    let text = recase(ctx.str_arg(0)?, |c| !c.is_alphanumeric() && c != '\'');
    new_str(ctx, &text)
}

fn capitalize(ctx: &mut Ctx) -> NativeResult {
    let text = recase(ctx.str_arg(0)?, |_| false);
    new_str(ctx, &text)
}

fn levenshtein(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let is_long = |text: &str| text.chars().nth(LONGEST_COMPARED).is_some();
    if is_long(a) || is_long(b) {
        let message =
            format!("text.levenshtein: a text is longer than {LONGEST_COMPARED} characters");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let [a, b] = [a, b].map(|text| text.chars().collect::<Vec<char>>());
    Ok(ctx.int(distance(&a, &b) as i64))
}

fn distance(a: &[char], b: &[char]) -> usize {
    // One row of the table at a time: `row[j]` is the distance of a's first i characters to b's first j.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let d = |a: &str, b: &str| {
            distance(
                &a.chars().collect::<Vec<_>>(),
                &b.chars().collect::<Vec<_>>(),
            )
        };
        assert_eq!(d("kitten", "sitting"), 3);
        assert_eq!(d("", "abc"), 3);
        assert_eq!(d("flaw", "lawn"), 2);
        assert_eq!(d("same", "same"), 0);
    }

    #[test]
    fn cases() {
        assert_eq!(
            recase("the CAT's éclair", |c| !c.is_alphanumeric() && c != '\''),
            "The Cat's Éclair"
        );
    }
}
