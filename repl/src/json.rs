//! Text of JSON for programs that read what this one writes.

use heddle::Finding;
use std::fmt::Write as _;

/// A string of JSON, which is one of YAML, too.
pub(crate) fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A finding as an object in a line: file, lines and columns from 1 (of the end, the place behind), severity, code, message, and, where there are any, label, help,
/// related places, and the fix, whose edits also have their places in bytes.
pub(crate) fn of_finding(finding: &Finding) -> String {
    let found = &finding.diagnostic;
    let place = |span: std::ops::Range<u32>| {
        let (line, column) = finding.position_of(span.start);
        let (end_line, end_column) = finding.position_of(span.end);
        format!(
            "\"line\": {line}, \"column\": {column}, \"end_line\": {end_line}, \"end_column\": {end_column}"
        )
    };
    let severity = if found.is_error() { "error" } else { "warning" };
    let mut text = format!(
        "{{\"file\": {}, {}, \"severity\": \"{severity}\", \"code\": \"{}\", \"message\": {}",
        json_text(&finding.path),
        place(found.span.start..found.span.end),
        found.code,
        json_text(&found.message)
    );
    for (name, value) in [("label", &found.label), ("help", &found.help)] {
        if let Some(value) = value {
            let _ = write!(text, ", \"{name}\": {}", json_text(value));
        }
    }
    if !found.related.is_empty() {
        let related = found.related.iter().map(|(span, message)| {
            let place = place(span.start..span.end);
            format!("{{{place}, \"message\": {}}}", json_text(message))
        });
        let related: Vec<String> = related.collect();
        let _ = write!(text, ", \"related\": [{}]", related.join(", "));
    }
    if let Some(fix) = &found.fix {
        let edits = fix.edits.iter().map(|(span, new)| {
            let (start, end) = (span.start, span.end);
            let place = place(start..end);
            let new = json_text(new);
            format!("{{\"start\": {start}, \"end\": {end}, {place}, \"text\": {new}}}")
        });
        let edits: Vec<String> = edits.collect();
        let title = json_text(&fix.title);
        let edits = edits.join(", ");
        let _ = write!(
            text,
            ", \"fix\": {{\"title\": {title}, \"edits\": [{edits}]}}"
        );
    }
    text.push_str("}\n");
    text
}
