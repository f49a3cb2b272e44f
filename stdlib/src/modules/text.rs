//! `text`: what one does with texts beyond the methods of strings. Most of it is Heddle code (`text.hd`).

use crate::prelude::builder::{Builder, boundary};
use crate::prelude::call_prelude;
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
        plain "text.is_alpha" (text) => |ctx| all(ctx, 0);
        /// Whether all characters are decimal digits, and there is at least one.
        plain "text.is_digit" (text) => |ctx| all(ctx, 1);
        /// Whether all characters are letters or digits, and there is at least one.
        plain "text.is_alphanumeric" (text) => |ctx| all(ctx, 2);
        /// Whether all characters are white space, and there is at least one.
        plain "text.is_space" (text) => |ctx| all(ctx, 3);
        /// Whether all characters are upper-case letters, and there is at least one.
        plain "text.is_upper" (text) => |ctx| all(ctx, 4);
        /// Whether all characters are lower-case letters, and there is at least one.
        plain "text.is_lower" (text) => |ctx| all(ctx, 5);
        /// With the first letter of each word in upper case, the others in lower case.
        plain "text.title" (text) => |ctx| recased(ctx, true);
        /// With the first letter in upper case, the others in lower case.
        plain "text.capitalize" (text) => |ctx| recased(ctx, false);
        /// How many characters must be inserted, removed or replaced to turn `a` into `b`. Throws ValueError beyond 1000 characters.
        plain "text.levenshtein" (a, b) => levenshtein;
    },
    constants: |_| {},
    source: Some(heddle_source!("text")),
};

/// Texts of more bytes are gone through in steps.
const STEP_BYTES: usize = 128 * 1024;

/// What `all` asks of each character, by number: it goes through the prelude where it takes steps.
const TESTS: [fn(char) -> bool; 6] = [
    char::is_alphabetic,
    |c| c.is_ascii_digit(),
    char::is_alphanumeric,
    char::is_whitespace,
    char::is_uppercase,
    char::is_lowercase,
];

fn all(ctx: &mut Ctx, test: usize) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > STEP_BYTES {
        let args = [ctx.arg(0), Value::small_int(test as i64)];
        return Err(call_prelude(ctx, "__all_chars", &args));
    }
    Ok(Value::bool(
        !text.is_empty() && text.chars().all(TESTS[test]),
    ))
}

/// `__all_step(text, test, at)`: false, where to go on, or nil at the end.
pub(crate) fn all_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let test = (ctx.int_arg(1)?.max(0) as usize).min(TESTS.len() - 1);
    let at = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let end = boundary(text, at + STEP_BYTES);
    ctx.charge((end - at) / 8);
    Ok(if !text[at..end].chars().all(TESTS[test]) {
        Value::FALSE
    } else if end < text.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

/// Appends a text in upper case after what `starts` accepts, in lower case elsewhere; `is_start`: the first character is after such.
fn recase(out: &mut String, text: &str, mut is_start: bool, starts: fn(char) -> bool) {
    for c in text.chars() {
        if is_start {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        is_start = starts(c);
    }
}

/// Behind which characters there is upper case.
fn starts(is_title: bool) -> fn(char) -> bool {
    if is_title {
        |c| !c.is_alphanumeric() && c != '\''
    } else {
        |_| false
    }
}

fn recased(ctx: &mut Ctx, is_title: bool) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > STEP_BYTES {
        let args = [ctx.arg(0), Value::bool(is_title)];
        return Err(call_prelude(ctx, "__recase_long", &args));
    }
    let mut out = String::with_capacity(text.len());
    recase(&mut out, text, true, starts(is_title));
    new_str(ctx, &out)
}

/// `__recase_step(builder, text, at, is_title)`: gives where to go on, nil at the end.
pub(crate) fn recase_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let text = ctx.str_arg(1)?;
    let at = boundary(text, ctx.int_arg(2)?.max(0) as usize);
    let starts = starts(ctx.bool_arg(3)?);
    let end = boundary(text, at + STEP_BYTES);
    ctx.reserve(builder.bytes() + 3 * (end - at))?;
    ctx.charge((end - at) / 8);
    let mut piece = String::with_capacity(end - at);
    let is_start = text[..at].chars().next_back().is_none_or(starts);
    recase(&mut piece, &text[at..end], is_start, starts);
    builder.take(&mut piece);
    Ok(if end < text.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
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
        let mut out = String::new();
        recase(&mut out, "the CAT's éclair", true, starts(true));
        assert_eq!(out, "The Cat's Éclair");
    }
}
