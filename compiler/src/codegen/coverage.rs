//! Counting: `Count` instructions where lines begin, if the module is compiled for that.
//!
//! A line counts if a statement, the value of a block or an operation begins in it; a function counts where its name stands, whenever
//! its body begins. Straight code gets one counter for a line; behind a jump there is another one for the rest of it. What is asked later is the
//! highest of a line's counters.

use super::Generator;
use crate::ast::{ExprId, ExprKind, Span};
use heddle_bytecode::{Counter, Op};

/// Offsets of the starts of lines.
pub(super) struct Lines(Vec<u32>);

impl Lines {
    pub(super) fn of(source: &str) -> Lines {
        let ends = source
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n');
        Lines(
            std::iter::once(0)
                .chain(ends.map(|(at, _)| at as u32 + 1))
                .collect(),
        )
    }
    /// The line of an offset, from 1.
    fn line(&self, offset: u32) -> u32 {
        self.0.partition_point(|start| *start <= offset) as u32
    }
}

impl Generator<'_> {
    /// Counts that control comes to the line in which this begins.
    pub(super) fn count_line(&mut self, span: Span) {
        let Some(lines) = &self.lines else { return };
        let line = lines.line(span.start);
        if self.f.is_reachable && self.f.counted_line != line {
            self.f.counted_line = line;
            self.count(span, line, None);
        }
    }
    /// The same of an expression, unless it is a literal or a name, whose line is counted only where it is a statement or a block's value.
    pub(super) fn count_operation(&mut self, id: ExprId) {
        if self.lines.is_none() {
            return;
        }
        let expr = self.ast.expr(id);
        let has_line = !matches!(
            expr.kind,
            ExprKind::Nil
                | ExprKind::Bool(_)
                | ExprKind::Int(_)
                | ExprKind::Float(_)
                | ExprKind::BigInt(_)
                | ExprKind::Duration(_)
                | ExprKind::Str(_)
                | ExprKind::Bytes(_)
                | ExprKind::Name(_)
                | ExprKind::Block(_)
                | ExprKind::Error
        );
        if has_line {
            self.count_line(expr.span);
        }
    }
    /// Counts that a function begins.
    pub(super) fn count_function(&mut self, name: &str, span: Span) {
        if let Some(lines) = &self.lines {
            let line = lines.line(span.start);
            self.f.counted_line = line;
            self.count(span, line, Some(name.into()));
        }
    }
    fn count(&mut self, span: Span, line: u32, function: Option<Box<str>>) {
        let index = self.module.counters.len() as i32;
        self.module.counters.push(Counter { line, function });
        self.emit(span, Op::Count, 0, 0, 0, index);
    }
}
