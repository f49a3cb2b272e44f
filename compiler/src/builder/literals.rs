//! The nodes of literals: slices of the source turned into values.

use super::{Builder, Interpolation, span};
use crate::ast::*;
use crate::diagnostics::Diagnostic;
use crate::lexer::Quote;
use crate::literal;
use heddle_bytecode::format_spec::FormatSpec;

impl<'s> Builder<'s> {
    pub(crate) fn number(&mut self, start: u32, end: u32) -> ExprId {
        let at = span(start, end);
        let kind = literal::number(self.text(at), at, &mut self.diagnostics);
        self.leaf(kind, start, end)
    }

    /// The quote of a whole string token and the text between its delimiters.
    fn body_of(&self, at: Span) -> (Quote, &'s str, usize) {
        let text = self.text(at);
        let quote = Quote::of(text);
        let body = &text[quote.open_len().min(text.len())..];
        // An unclosed one has been reported and just ends.
        let marks = [quote.mark; 3];
        let is_closed = body.as_bytes().ends_with(&marks[..quote.close_len()]);
        let body = if is_closed {
            &body[..body.len() - quote.close_len()]
        } else {
            body
        };
        (quote, body, at.start as usize + quote.open_len())
    }

    /// The text of a string without interpolation.
    pub(crate) fn str_text(&mut self, start: u32, end: u32) -> Box<str> {
        let (quote, body, offset) = self.body_of(span(start, end));
        literal::check_escapes(body, offset, quote, &mut self.diagnostics);
        if quote.is_triple {
            let body = literal::dedent(&[body]).concat();
            return literal::unescape(&body, quote).into();
        }
        if quote.is_raw || !body.contains('\\') {
            return body.into();
        }
        literal::unescape(body, quote).into()
    }

    pub(crate) fn string(&mut self, start: u32, end: u32) -> ExprId {
        let text = self.str_text(start, end);
        self.leaf(ExprKind::Str(text), start, end)
    }

    pub(crate) fn bytes(&mut self, start: u32, end: u32) -> ExprId {
        let (quote, body, offset) = self.body_of(span(start, end));
        literal::check_escapes(body, offset, quote, &mut self.diagnostics);
        let bytes = if quote.is_triple {
            literal::bytes(&literal::dedent(&[body]).concat(), quote)
        } else {
            literal::bytes(body, quote)
        };
        self.leaf(ExprKind::Bytes(bytes), start, end)
    }

    pub(crate) fn interpolation(
        &mut self,
        mut so_far: Box<Interpolation>,
        text: Span,
        value: ExprId,
        spec: Option<Span>,
    ) -> Box<Interpolation> {
        so_far.texts.push(text);
        if let Some(spec) = spec {
            let text = &self.text(spec)[1..];
            if let Err(why) = FormatSpec::parse(text) {
                self.report(
                    Diagnostic::error("E0012", format!("wrong format spec `{text}`"), spec)
                        .label(why)
                        .help("`:` begins a format spec, as in `{x:>8.2}`; put an expression with a colon in parentheses"),
                );
            }
        }
        so_far.values.push((value, spec));
        so_far
    }

    pub(crate) fn interpolated(&mut self, so_far: &Interpolation, tail: Span) -> ExprId {
        let first = so_far.texts.first().copied().unwrap_or(tail);
        let quote = Quote::of(self.text(first));
        let mut texts: Vec<&str> = Vec::with_capacity(so_far.texts.len() + 1);
        let mut offsets = Vec::with_capacity(so_far.texts.len() + 1);
        for (index, &at) in so_far.texts.iter().enumerate() {
            let text = self.text(at);
            let skip = if index == 0 { quote.open_len() } else { 1 };
            texts.push(&text[skip..text.len() - 1]);
            offsets.push(at.start as usize + skip);
        }
        let text = self.text(tail);
        let text = text.strip_prefix('}').unwrap_or(text);
        let mark = ["\"", "\"\"\""][quote.is_triple as usize];
        texts.push(text.strip_suffix(mark).unwrap_or(text));
        offsets.push(tail.start as usize + 1);
        for (text, offset) in texts.iter().zip(offsets) {
            literal::check_escapes(text, offset, quote, &mut self.diagnostics);
        }
        let texts: Vec<String> = if quote.is_triple {
            literal::dedent(&texts)
                .iter()
                .map(|text| literal::unescape(text, quote))
                .collect()
        } else {
            texts
                .iter()
                .map(|text| literal::unescape(text, quote))
                .collect()
        };
        let mut parts = Vec::with_capacity(texts.len() * 2);
        let mut values = so_far.values.iter();
        for text in texts {
            if !text.is_empty() {
                parts.push(InterpPart::Text(text.into()));
            }
            if let Some(&(value, spec)) = values.next() {
                let spec = spec.map_or("", |at| &self.text(at)[1..]).into();
                parts.push(InterpPart::Value { value, spec });
            }
        }
        self.expr(ExprKind::Interp(parts), first.start, tail.end)
    }
}
