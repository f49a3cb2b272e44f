//! Two values that were expected to be equal, for messages: whole if they are short, else where they differ.

use crate::engine::Engine;
use crate::error::short;
use crate::ops::text::as_str;
use crate::value::Value;

/// Characters of a value that is shown whole.
const WHOLE: usize = 60;
/// Characters of a long value that are looked at.
const MOST: usize = 1 << 20;
/// Characters shown of a long value around the place where it differs: before it, and in all.
const BEFORE: usize = 24;
const AROUND: usize = 64;

/// Lines that show both values.
pub(crate) fn of(engine: &Engine, left: Value, right: Value) -> String {
    let is_short = |v: Value| short(engine, v, true, WHOLE + 1).chars().count() <= WHOLE;
    if is_short(left) && is_short(right) {
        return pair(
            &short(engine, left, true, WHOLE),
            &short(engine, right, true, WHOLE),
        );
    }
    if let (Some(one), Some(other)) = (as_str(left), as_str(right))
        && one.contains('\n')
        && other.contains('\n')
        && let Some((number, one, other)) = different_line(one, other)
    {
        let (one, other) = around(&quoted(one), &quoted(other));
        return format!("\n  different from line {number} on:{}", pair(&one, &other));
    }
    let (one, other) = (
        short(engine, left, true, MOST),
        short(engine, right, true, MOST),
    );
    let (one, other) = around(&one, &other);
    pair(&one, &other)
}

fn pair(left: &str, right: &str) -> String {
    format!("\n  left:  {left}\n  right: {right}")
}

fn quoted(line: Option<&str>) -> String {
    line.map_or("(no such line)".into(), |line| format!("{line:?}"))
}

/// The first line that is not the same: its number from 1, and both.
fn different_line<'a>(
    one: &'a str,
    other: &'a str,
) -> Option<(usize, Option<&'a str>, Option<&'a str>)> {
    let (mut lines, mut others) = (one.split('\n'), other.split('\n'));
    for number in 1.. {
        match (lines.next(), others.next()) {
            (None, None) => break,
            (one, other) if one != other => return Some((number, one, other)),
            _ => {}
        }
    }
    None
}

/// Both texts around the first place where they differ.
fn around(one: &str, other: &str) -> (String, String) {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let same = same.count();
    (window(one, same), window(other, same))
}

fn window(text: &str, at: usize) -> String {
    if text.chars().count() <= WHOLE {
        return text.to_owned();
    }
    // Text that goes a little beyond what may be shown is not cut at its beginning.
    let start = if at < AROUND - BEFORE { 0 } else { at - BEFORE };
    let shown: String = text.chars().skip(start).take(AROUND).collect();
    let is_cut = text.chars().nth(start + AROUND).is_some();
    format!(
        "{}{shown}{}",
        if start > 0 { "…" } else { "" },
        if is_cut { "…" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::{around, different_line};

    #[test]
    fn windows_show_where_texts_differ() {
        let one: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let mut other = one.clone();
        other[57] = "0".into();
        let (left, right) = around(&one.join(", "), &other.join(", "));
        assert!(left.starts_with('…') && left.contains("56, 57, 58") && left.ends_with('…'));
        assert!(right.contains("56, 0, 58"), "{right}");
        let (left, right) = around("short", &"a long one ".repeat(10));
        assert_eq!(left, "short");
        assert!(right.starts_with("a long one") && right.ends_with('…'));
        let (left, right) = around(&"é".repeat(200), &"é".repeat(201));
        assert!(left.ends_with("éé") && right.ends_with("éé"));
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(
            different_line("a\nb\nc", "a\nB\nc"),
            Some((2, Some("b"), Some("B")))
        );
        assert_eq!(different_line("a\n", "a"), Some((2, Some(""), None)));
        assert_eq!(different_line("a", "a"), None);
    }
}
