//! Diagnostics as text for people, in the manner of rustc. The only file that knows annotate-snippets.

use crate::ast::Span;
use crate::diagnostics::{Diagnostic, Severity};
use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// A window of this many bytes of source is shown whole (folded by the renderer); larger ones are cut up.
const WINDOW: usize = 16 << 10;

/// A line longer than this is cut around what is marked.
const LONG_LINE: usize = 2000;

/// Line and column of a byte offset, both from 1; columns count characters.
pub fn line_column(source: &str, offset: usize) -> (usize, usize) {
    let offset = floor(source, offset);
    let start = source[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = source.as_bytes()[..offset]
        .iter()
        .filter(|&&b| b == b'\n')
        .count()
        + 1;
    (line, source[start..offset].chars().count() + 1)
}

/// One diagnostic as text, without a newline at the end. `path` is shown as it is.
pub fn render(diagnostic: &Diagnostic, path: &str, source: &str, is_coloured: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level
        .primary_title(clean(&diagnostic.message))
        .id(diagnostic.code);
    let primary = clip(source, diagnostic.span);
    let related: Vec<(Range<usize>, &str)> = diagnostic
        .related
        .iter()
        .map(|(span, text)| (clip(source, *span), text.as_str()))
        .collect();

    let mut group = title.elements(Vec::<Snippet<'_, annotate_snippets::Annotation<'_>>>::new());
    let all = related.iter().map(|(range, _)| range).chain([&primary]);
    let start = line_start(
        source,
        all.clone().map(|range| range.start).min().unwrap_or(0),
    );
    let end = line_end(source, all.map(|range| range.end).max().unwrap_or(0));
    if end - start <= WINDOW && !has_long_line(&source[start..end]) {
        let mark = AnnotationKind::Primary
            .span(primary.start - start..primary.end - start)
            .label(diagnostic.label.as_deref().map(clean));
        let others = related.iter().map(|(range, text)| {
            AnnotationKind::Context
                .span(range.start - start..range.end - start)
                .label(clean(text))
        });
        group = group.element(
            Snippet::source(&source[start..end])
                .line_start(line_column(source, start).0)
                .path(path)
                .fold(true)
                .annotation(mark)
                .annotations(others),
        );
    } else {
        let label = diagnostic.label.as_deref();
        let places = [(primary, label, AnnotationKind::Primary)]
            .into_iter()
            .chain(
                related
                    .into_iter()
                    .map(|(range, text)| (range, Some(text), AnnotationKind::Context)),
            );
        for (range, label, kind) in places {
            let (line, column) = line_column(source, range.start);
            let window = window(source, &range);
            group = group
                .element(
                    Origin::path(path.to_string())
                        .line(line)
                        .char_column(column),
                )
                .element(
                    Snippet::source(&source[window.clone()])
                        .line_start(line)
                        .fold(true)
                        .annotation(
                            kind.span(
                                range.start - window.start
                                    ..range.end.min(window.end) - window.start,
                            )
                            .label(label.map(clean)),
                        ),
                );
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(clean(help)));
    }
    let renderer = if is_coloured {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

/// `path:line:column: error[E0102]: message`, for tools that read lines.
pub fn render_short(diagnostic: &Diagnostic, path: &str, source: &str) -> String {
    let (line, column) = line_column(source, diagnostic.span.start as usize);
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let (code, message) = (diagnostic.code, clean(&diagnostic.message));
    format!("{path}:{line}:{column}: {word}[{code}]: {message}")
}

/// Source text may hold anything; escapes of terminals are not for messages.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\n' {
                '\u{FFFD}'
            } else {
                c
            }
        })
        .collect()
}

fn floor(source: &str, offset: usize) -> usize {
    let mut offset = offset.min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn line_start(source: &str, offset: usize) -> usize {
    source[..offset].rfind('\n').map_or(0, |at| at + 1)
}

fn line_end(source: &str, offset: usize) -> usize {
    source[offset..]
        .find('\n')
        .map_or(source.len(), |at| offset + at)
}

fn has_long_line(text: &str) -> bool {
    text.len() > LONG_LINE && text.lines().any(|line| line.len() > LONG_LINE)
}

/// The part of a span that is marked: on character boundaries, inside the source, and only its first line if it
/// covers more than a few.
fn clip(source: &str, span: Span) -> Range<usize> {
    let start = floor(source, span.start as usize);
    let mut end = (span.end as usize).min(source.len()).max(start);
    while !source.is_char_boundary(end) {
        end += 1;
    }
    let text = &source[start..end];
    if text.len() > 4 * LONG_LINE || text.bytes().filter(|&b| b == b'\n').count() > 6 {
        end = line_end(source, start);
    }
    // A mark may stand behind the last character of a line, but not in the next one.
    if source[start..end] == *"\n" {
        end = start;
    }
    start..end
}

/// The text around a mark in a large file: its line, cut if it is long.
fn window(source: &str, range: &Range<usize>) -> Range<usize> {
    let (line, end) = (line_start(source, range.start), line_end(source, range.end));
    let start = line.max(floor(source, range.start.saturating_sub(60)));
    let end = end.min(floor(source, (range.end + 60).min(range.start + LONG_LINE)));
    start..end.max(range.start)
}
