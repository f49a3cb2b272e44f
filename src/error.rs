//! The one error of the host's API: what did not compile, what a script threw and nobody caught, what could not be read.
//!
//! It holds text only, so it is `Send + Sync` and outlives its engine.

use crate::handle::Handle;
use heddle_compiler::Diagnostic;
use heddle_compiler::render;
use heddle_vm::thread::{Failure, Thread};
use std::fmt;
use std::sync::Arc;

/// Why something that an [`Engine`](crate::Engine) was asked to do did not work.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: String,
    message: String,
    /// The whole report; empty if it is just kind and message.
    report: String,
    findings: Vec<Finding>,
    exit_code: Option<i32>,
    cause: Option<Error>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// The thrown value, where it may be thrown again.
    value: Option<Handle>,
}

/// Something that the compiler found in a file.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The file as it is shown in messages.
    pub path: String,
    /// The whole text of the file.
    pub text: Arc<str>,
    /// What and where.
    pub diagnostic: Diagnostic,
}

impl Finding {
    /// Line and column, both from 1.
    pub fn position(&self) -> (usize, usize) {
        render::line_column(&self.text, self.diagnostic.span.start as usize)
    }
    /// Line and column of a byte of the text, both from 1.
    pub fn position_of(&self, offset: u32) -> (usize, usize) {
        render::line_column(&self.text, offset as usize)
    }
    /// `path:line:column: error[code]: message`, without a newline.
    pub fn render_short(&self) -> String {
        render::render_short(&self.diagnostic, &self.path, &self.text)
    }
    /// As text for people, with the lines that it is about and a newline at the end.
    pub fn render(&self, is_coloured: bool) -> String {
        let text = render::render(&self.diagnostic, &self.path, &self.text, is_coloured);
        text + "\n"
    }
}

impl Error {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Error {
        Error(Box::new(Inner {
            kind: kind.into(),
            message: message.into(),
            report: String::new(),
            findings: Vec::new(),
            exit_code: None,
            cause: None,
            source: None,
            value: None,
        }))
    }
    pub(crate) fn io(path: &str, error: std::io::Error) -> Error {
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or(&text);
        let mut this = Error::new(
            "IoError",
            format!("cannot read {path}: {}", reason.to_lowercase()),
        );
        this.0.source = Some(Arc::new(error));
        this
    }
    pub(crate) fn compile(findings: Vec<Finding>) -> Error {
        let errors = findings.iter().filter(|f| f.diagnostic.is_error()).count();
        let first = findings.iter().find(|f| f.diagnostic.is_error());
        let message = match first {
            Some(f) => {
                let (line, column) = f.position();
                let more = match errors {
                    0 | 1 => String::new(),
                    n => format!(" (and {} more)", n - 1),
                };
                format!("{}:{line}:{column}: {}{more}", f.path, f.diagnostic.message)
            }
            None => "it does not compile".into(),
        };
        let mut this = Error::new("SyntaxError", message);
        this.0.findings = findings;
        this
    }
    /// What a thread failed with.
    pub(crate) fn failure(thread: &mut Thread, failure: Failure) -> Error {
        match failure {
            Failure::Thrown => Error::thrown(thread),
            Failure::Exit(code) => {
                let mut this = Error::new("Exit", format!("the script called os.exit({code})"));
                this.0.exit_code = Some(code);
                this
            }
        }
    }
    pub(crate) fn with_value(mut self, value: Handle) -> Error {
        self.0.value = Some(value);
        self
    }
    pub(crate) fn value(&self) -> Option<&Handle> {
        self.0.value.as_ref()
    }
    fn thrown(thread: &mut Thread) -> Error {
        let error = thread.thrown();
        let mut chain = heddle_vm::error::describe(thread, error);
        let report = heddle_vm::error::report(thread, error);
        let mut cause = None;
        while chain.len() > 1 {
            let (kind, message) = chain.pop().expect("it has two");
            let mut this = Error::new(&kind, message);
            this.0.cause = cause.take();
            cause = Some(this);
        }
        let (kind, message) = chain.pop().unwrap_or_default();
        let mut this = Error::new(&kind, message);
        this.0.report = report;
        this.0.cause = cause;
        this
    }

    /// `TypeError`, `KeyError` … or the name of the script's own type; the type's name for a thrown value that is no error;
    /// `SyntaxError` for what does not compile, `IoError` for a file that cannot be read, `Exit` for `os.exit`.
    pub fn kind(&self) -> &str {
        &self.0.kind
    }
    /// What is wrong, in a line.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    /// What the compiler found; empty unless it does not compile.
    pub fn findings(&self) -> &[Finding] {
        &self.0.findings
    }
    /// The code with which the script called `os.exit`.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.exit_code
    }
    /// The report for people, in several lines, with a newline at the end: source lines, trace, causes. Warnings are left out.
    pub fn render(&self) -> String {
        self.render_with(false)
    }
    /// The same, coloured for a terminal if asked for.
    pub fn render_with(&self, is_coloured: bool) -> String {
        if !self.0.findings.is_empty() {
            let errors = self.0.findings.iter().filter(|f| f.diagnostic.is_error());
            let parts = errors.map(|f| f.render(is_coloured));
            return parts.collect::<Vec<_>>().join("\n");
        }
        if self.0.report.is_empty() {
            return format!("error: {}\n", self.0.message);
        }
        let report = &self.0.report;
        match report.strip_prefix("error: ").filter(|_| is_coloured) {
            Some(rest) => {
                let (first, rest) = rest.split_once('\n').unwrap_or((rest, ""));
                format!("\x1b[1;31merror\x1b[0m\x1b[1m: {first}\x1b[0m\n{rest}")
            }
            None => report.clone(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind.as_str() {
            "SyntaxError" | "IoError" | "Exit" => f.write_str(&self.0.message),
            kind => write!(f, "{kind}: {}", self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match (&self.0.cause, &self.0.source) {
            (Some(cause), _) => Some(cause),
            (None, Some(source)) => Some(&**source),
            (None, None) => None,
        }
    }
}
