//! Parts of an expression, found in its text: what messages call the values that an operation got.
//!
//! The debug information says where an operation stands, not where its operands do. Its text is an expression that was compiled, so that brackets and quotes are known
//! to match, and of operators outside of brackets those of the operation bind loosest. Where the text is of another form than the operation's (code that the
//! compiler made for something else), there is no part.

/// The text of an expression, and which of its bytes stand in no brackets and no quotes. The brackets themselves do not.
struct Outline<'a> {
    text: &'a str,
    is_outside: Vec<bool>,
    /// Where the last brackets that stand in no others open.
    opened: Option<usize>,
}

impl<'a> Outline<'a> {
    fn of(text: &'a str) -> Option<Outline<'a>> {
        let bytes = text.as_bytes();
        let mut is_outside = vec![false; bytes.len()];
        let mut opened = None;
        let mut depth = 0usize;
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'"' | b'\'' => {
                    at = end_of_string(bytes, at)?;
                    continue;
                }
                b'(' | b'[' | b'{' => {
                    if depth == 0 {
                        opened = Some(at);
                    }
                    depth += 1;
                }
                b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
                // A comment may hold anything.
                b'#' => return None,
                _ => is_outside[at] = depth == 0,
            }
            at += 1;
        }
        (depth == 0).then_some(Outline {
            text,
            is_outside,
            opened,
        })
    }
    /// Where the last brackets outside of others open, if the text ends with them.
    fn last_brackets(&self, open: u8, close: u8) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let start = self.opened.filter(|&start| bytes[start] == open)?;
        (bytes.last() == Some(&close)).then_some(start)
    }
    /// Where an operator stands between two operands; of several the last, or the first if the operator binds to the right.
    fn operator(&self, operator: &str) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let is_word = operator.starts_with(|c: char| c.is_alphabetic());
        let is_sign = |byte: u8| b"+-*/%<>=!&|^~.?".contains(&byte);
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let stands_at = |at: usize| {
            let end = at + operator.len();
            if !self.is_outside[at..end].iter().all(|outside| *outside) {
                return false;
            }
            let (before, behind) = (at.checked_sub(1).map(|i| bytes[i]), bytes.get(end).copied());
            let touches = if is_word {
                before.is_some_and(is_letter) || behind.is_some_and(is_letter)
            } else {
                // A sign of the right operand may follow at once.
                let is_other = |byte| is_sign(byte) && byte != b'-' && byte != b'~';
                before.is_some_and(is_sign) || behind.is_some_and(is_other)
            };
            // In front of an operand it is a sign: `a * -b`, `1e-9`.
            let left = self.text[..at].trim_end();
            let is_operand = left.bytes().last().is_some_and(|last| !is_sign(last));
            !touches && is_operand && !is_exponent(left)
        };
        let places = self.text.match_indices(operator).map(|(at, _)| at);
        let mut places = places.filter(|&at| stands_at(at));
        match operator {
            "**" => places.next(),
            _ => places.last(),
        }
    }
}

/// `1e` of `1e-9`.
fn is_exponent(left: &str) -> bool {
    let start = left.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
    let last = &left[start.map_or(0, |at| at + 1)..];
    last.starts_with(|c: char| c.is_ascii_digit())
        && !last.starts_with("0x")
        && last.ends_with(['e', 'E'])
}

/// Where a string that begins at `start` has ended.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let is_raw = start > 0
        && bytes[start - 1] == b'r'
        && !(start > 1 && (bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b'_'));
    let long = [quote; 3];
    let width = if bytes[start..].starts_with(&long) {
        3
    } else {
        1
    };
    let mut at = start + width;
    loop {
        match *bytes.get(at)? {
            b'\\' if !is_raw => at += 2,
            b'{' if quote == b'"' && !is_raw => at = end_of_hole(bytes, at)?,
            byte if byte == quote && (width == 1 || bytes[at..].starts_with(&long)) => {
                return Some(at + width);
            }
            _ => at += 1,
        }
    }
}
/// Where `{…}` in a string has ended.
fn end_of_hole(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = start;
    loop {
        match *bytes.get(at)? {
            b'"' | b'\'' => {
                at = end_of_string(bytes, at)?;
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// An expression, which begins or ends within brackets that belong to it: `a) * (b` of `(a) * (b)` is the place of the product.
pub(super) fn whole(source: &str, start: usize, end: usize) -> Option<&str> {
    let bytes = source.get(start..end)?.as_bytes();
    let (mut open, mut unopened) = (0usize, 0usize);
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = end_of_string(bytes, at)?;
                continue;
            }
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' if open == 0 => unopened += 1,
            b')' | b']' | b'}' => open -= 1,
            _ => {}
        }
        at += 1;
    }
    let (mut start, mut end) = (start, end);
    for _ in 0..unopened {
        start = source[..start].trim_end().strip_suffix('(')?.len();
    }
    for _ in 0..open {
        let rest = source[end..].trim_start().strip_prefix(')')?;
        end = source.len() - rest.len();
    }
    Some(&source[start..end])
}

/// `a + b` of `(a + b)`; a tuple keeps its brackets.
pub(super) fn without_brackets(text: &str) -> &str {
    let inside = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let is_one = |inside: &&str| {
        Outline::of(inside).is_some_and(|outline| {
            let mut bytes = inside.bytes().zip(outline.is_outside);
            !bytes.any(|(byte, is_outside)| is_outside && byte == b',')
        })
    };
    inside.filter(is_one).map_or(text, str::trim)
}

/// `target` of `target = value` and `target += value`, and the value.
fn assignment<'a>(text: &'a str, outline: &Outline, operator: &str) -> Option<(&'a str, &'a str)> {
    let sign = format!("{operator}=");
    let is_there = |&(at, _): &(usize, &str)| {
        let end = at + sign.len();
        let bytes = text.as_bytes();
        outline.is_outside[at..end].iter().all(|outside| *outside)
            && bytes.get(end) != Some(&b'=')
            && !at
                .checked_sub(1)
                .is_some_and(|i| b"=!<>+-*/%&|^".contains(&bytes[i]))
    };
    let (at, _) = text.match_indices(&sign).find(is_there)?;
    Some((text[..at].trim(), text[at + sign.len()..].trim()))
}

/// Operators that an assignment may have; those that begin with others come first.
const ASSIGNED: [&str; 12] = [
    "**", "//", "<<", ">>", "+", "-", "*", "/", "%", "&", "|", "^",
];

/// What an assignment of any kind sets.
fn target_of<'a>(text: &'a str, outline: &Outline) -> Option<&'a str> {
    let mut found = std::iter::once("")
        .chain(ASSIGNED)
        .map(|operator| assignment(text, outline, operator));
    found.find_map(|parts| parts.map(|(target, _)| target))
}

/// `a` and `b` of `a + b` or `a += b`.
pub(super) fn operands<'a>(text: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    let outline = Outline::of(text)?;
    if ASSIGNED.contains(&operator)
        && let Some(parts) = assignment(text, &outline, operator)
    {
        return Some(parts);
    }
    let at = outline.operator(operator)?;
    Some((text[..at].trim(), text[at + operator.len()..].trim()))
}
/// `x` of `-x`.
pub(super) fn operand<'a>(text: &'a str, operator: &str) -> Option<&'a str> {
    Some(text.strip_prefix(operator)?.trim())
}
/// `x` of `x.name`, `x?.name` and `x.name = value`.
pub(super) fn object_of_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let field = match text.strip_suffix(name) {
        Some(field) => field,
        None => {
            let outline = Outline::of(text)?;
            target_of(text, &outline)?.strip_suffix(name)?
        }
    };
    let object = field.trim_end().strip_suffix('.')?;
    Some(object.strip_suffix('?').unwrap_or(object).trim_end())
}
/// `x` and `i` of `x[i]` and `x[i] = value`.
pub(super) fn object_of_index(text: &str) -> Option<(&str, &str)> {
    let outline = Outline::of(text)?;
    let target = target_of(text, &outline).unwrap_or(text);
    let open = Outline::of(target)?.last_brackets(b'[', b']')?;
    let object = target[..open].trim_end();
    Some((object, target[open + 1..target.len() - 1].trim()))
}
/// What stands before the arguments of a call.
pub(super) fn callee(text: &str) -> Option<&str> {
    let open = Outline::of(text)?.last_brackets(b'(', b')')?;
    let callee = text[..open].trim_end();
    let is_started = ["spawn", "thread", "threadlet", "defer"]
        .iter()
        .any(|word| {
            let rest = callee.strip_prefix(word);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        });
    (!is_started && !callee.is_empty()).then_some(callee)
}
/// The arguments of a call, if none is named.
pub(super) fn arguments(text: &str) -> Option<Vec<&str>> {
    let open = Outline::of(text)?.last_brackets(b'(', b')')?;
    let inside = &text[open + 1..text.len() - 1];
    let outline = Outline::of(inside)?;
    let mut parts = Vec::new();
    let mut start = 0;
    // Commas between bars part the parameters of a closure.
    if inside.contains('|') {
        return None;
    }
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            b',' if outline.is_outside[at] => {
                parts.push(inside[start..at].trim());
                start = at + 1;
            }
            b':' if outline.is_outside[at] => return None,
            _ => {}
        }
    }
    let last = inside[start..].trim();
    if !last.is_empty() {
        parts.push(last);
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, operator: &str, expected: Option<(&str, &str)>) {
        assert_eq!(operands(text, operator), expected, "{text}");
    }

    #[test]
    fn operands_of_operators() {
        check("a + b", "+", Some(("a", "b")));
        check("a+b", "+", Some(("a", "b")));
        check("a + b + c", "+", Some(("a + b", "c")));
        check("a - -b", "-", Some(("a", "-b")));
        check("a*-b", "*", Some(("a", "-b")));
        check("a - 1e-9", "-", Some(("a", "1e-9")));
        check("a * b ** -c - d", "-", Some(("a * b ** -c", "d")));
        check("a ** b ** c", "**", Some(("a", "b ** c")));
        check("a * b ** c", "*", Some(("a", "b ** c")));
        check("a / b // c", "/", Some(("a", "b // c")));
        check("a // b", "/", None);
        check("f(a + b)", "+", None);
        check("f(a + b) + x[1 + 2]", "+", Some(("f(a + b)", "x[1 + 2]")));
        check(
            "\"a + {b + \"+\"}\" + c",
            "+",
            Some(("\"a + {b + \"+\"}\"", "c")),
        );
        check("r'\\' + c", "+", Some(("r'\\'", "c")));
        check(
            "\"\"\"a\" + \"\"\" + c",
            "+",
            Some(("\"\"\"a\" + \"\"\"", "c")),
        );
        check("a += b - c", "+", Some(("a", "b - c")));
        check("a.b[c == 1] -= 2", "-", Some(("a.b[c == 1]", "2")));
        check("a < b", "<", Some(("a", "b")));
        check("a << 1 < b", "<", Some(("a << 1", "b")));
        check("a <= b", "<", None);
        check("inner in outer", "in", Some(("inner", "outer")));
        check("x not in y", "not in", Some(("x", "y")));
        check("-a", "-", None);
        check("a # + 1\n + b", "+", None);
    }

    #[test]
    fn brackets_at_the_edge() {
        let text = "x = ( (a + b) * (c) )";
        assert_eq!(whole(text, 7, 18), Some("(a + b) * (c)"));
        assert_eq!(whole(text, 7, 12), Some("a + b"));
        assert_eq!(whole("f[a]", 0, 3), None);
        assert_eq!(without_brackets("(a + f(b))"), "a + f(b)");
        assert_eq!(without_brackets("(a) + (b)"), "(a) + (b)");
        assert_eq!(without_brackets("(a, b)"), "(a, b)");
    }

    #[test]
    fn objects() {
        assert_eq!(object_of_field("a.b.c", "c"), Some("a.b"));
        assert_eq!(object_of_field("f(x)?.c", "c"), Some("f(x)"));
        assert_eq!(object_of_field("f(x)\n    .c", "c"), Some("f(x)"));
        assert_eq!(object_of_field("a.b = c.d", "b"), Some("a"));
        assert_eq!(object_of_field("a.b += d == e", "b"), Some("a"));
        assert_eq!(object_of_field("a == b", "b"), None);
        assert_eq!(object_of_index("a[b][c[0]]"), Some(("a[b]", "c[0]")));
        assert_eq!(object_of_index("a[0] = b[1]"), Some(("a", "0")));
        assert_eq!(object_of_index("a[i] = b"), Some(("a", "i")));
        assert_eq!(object_of_index("[1, 2]"), Some(("", "1, 2")));
        assert_eq!(object_of_index("f(x)"), None);
    }

    #[test]
    fn calls() {
        assert_eq!(callee("a.b(c)(d(1))"), Some("a.b(c)"));
        assert_eq!(callee("spawn f(x)"), None);
        assert_eq!(callee("spawner(x)"), Some("spawner"));
        assert_eq!(callee("a[1]"), None);
        assert_eq!(
            arguments("f(a, [1, 2], \",\")"),
            Some(vec!["a", "[1, 2]", "\",\""])
        );
        assert_eq!(arguments("f()"), Some(vec![]));
        assert_eq!(arguments("f(a, b: 1)"), None);
        assert_eq!(arguments("f(|a, b| a)"), None);
    }
}
