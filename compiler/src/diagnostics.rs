//! Compile-time findings: what is wrong, where, and how to mend it.

use crate::ast::Span;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One finding in one file. Messages are lower case without a full stop.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub severity: Severity,
    /// `E0102`, `W0003`: the catalogue is in `codes.rs`.
    pub code: &'static str,
    pub message: String,
    pub span: Span,
    /// What stands beside the marked place.
    pub label: Option<String>,
    /// Other places that matter (`first declared here`).
    pub related: Vec<(Span, String)>,
    /// How to mend it (`did you mean `length`?`).
    pub help: Option<String>,
    /// The edits that mend it, where they are known.
    pub fix: Option<Box<Fix>>,
}

/// Edits that mend what a diagnostic complains about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is done, as an order: `write `length``.
    pub title: String,
    /// What takes the place of which part of the file; they do not overlap.
    pub edits: Vec<(Span, String)>,
}

impl Diagnostic {
    pub fn error(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: shortened(message.into()),
            span,
            label: None,
            related: Vec::new(),
            help: None,
            fix: None,
        }
    }
    pub fn warning(code: &'static str, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(code, message, span)
        }
    }
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.related.push((span, text.into()));
        self
    }
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    /// Mended by these edits.
    pub fn fix(mut self, title: impl Into<String>, edits: Vec<(Span, String)>) -> Diagnostic {
        let title = title.into();
        self.fix = Some(Box::new(Fix { title, edits }));
        self
    }
    /// Mended by writing `text` at a place.
    pub fn replace(self, span: Span, text: impl Into<String>) -> Diagnostic {
        let text = text.into();
        let title = match (text.is_empty(), span.start == span.end) {
            (true, _) => "remove it".to_string(),
            (false, true) => format!("insert `{}`", text.trim()),
            (false, false) => format!("write `{}`", text.trim()),
        };
        self.fix(title, vec![(span, text)])
    }
    /// Help that proposes a name, if there is one that is near, and the edit that writes it.
    pub fn did_you_mean(self, span: Span, near: Option<String>) -> Diagnostic {
        match near {
            Some(near) => self
                .help(format!("did you mean `{near}`?"))
                .replace(span, near),
            None => self,
        }
    }
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// How many characters of a message are shown: it may quote a name of any length.
const LONGEST_MESSAGE: usize = 300;

/// A message without the middle of what is too long to read.
fn shortened(message: String) -> String {
    if message.len() <= LONGEST_MESSAGE {
        return message;
    }
    let count = message.chars().count();
    let half = LONGEST_MESSAGE / 2;
    if count <= LONGEST_MESSAGE {
        return message;
    }
    let start = message.chars().take(half);
    let end = message.chars().skip(count - half);
    start.chain(std::iter::once('…')).chain(end).collect()
}
