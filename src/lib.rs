//! Heddle: an embeddable scripting VM with green threads.
//!
//! ```
//! assert_eq!(heddle::eval::<i64>("1 + 2")?, 3);
//! # Ok::<(), heddle::Error>(())
//! ```
//!
//! An [`Engine`] loads modules and calls their functions; what scripts may call of the host's is registered with it:
//!
//! ```
//! use heddle::Engine;
//!
//! let mut engine = Engine::builder()
//!     .memory_limit(64 << 20)
//!     .function("shop.price", |item: String| match item.as_str() {
//!         "thread" => Ok(3),
//!         _ => Err(format!("no such item: {item}")),
//!     })
//!     .build();
//! let module = engine.load_str("orders", "
//!     import shop
//!     pub fn total(items) { items.map(|item| shop.price(item)).sum() }
//! ")?;
//! let total: i64 = engine.call(&module, "total", (vec!["thread", "thread"],))?;
//! assert_eq!(total, 6);
//! let error = engine.call::<i64>(&module, "total", (["silk"],)).unwrap_err();
//! assert_eq!(error.message(), "no such item: silk");
//! # Ok::<(), heddle::Error>(())
//! ```
//!
//! Reading order: `engine`, `loader` (files and imports), `convert`, `handle` and `function` (values between Rust and scripts),
//! `session` (interactive use), `tools` (for editors), `error`. Engines share nothing; nothing here is global.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod convert;
mod coverage;
mod engine;
mod error;
mod function;
mod handle;
mod loader;
mod session;
pub mod tools;

pub use convert::{FromValue, IntoArgs, IntoValue};
pub use coverage::{FileCoverage, FunctionCoverage};
pub use engine::{
    BlockingPolicy, Engine, EngineBuilder, FaultLevel, Module, Outside, Schedule, ScheduleTrace,
    Stress, Threadlets, TracePinned,
};
pub use error::{Error, Finding};
pub use function::{BlockingFunction, Context, HostFunction, IntoResult};
pub use handle::Handle;
pub use heddle_stdlib::{blocks, docs};
pub use heddle_vm::engine::ring;
pub use heddle_vm::thread::MOST_CARRIERS;
pub use session::{Idle, Part, Session, TaskInfo, Variable, Waker};

#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct EmbeddingPage;

#[cfg(doctest)]
#[doc = include_str!("../docs/tutorial/12-embedding.md")]
struct TutorialPage;

/// Runs a text in an engine of its own and gives the value of its last statement.
///
/// ```
/// let words: Vec<String> = heddle::eval("'warp and weft'.split(' and ')")?;
/// assert_eq!(words, ["warp", "weft"]);
/// # Ok::<(), heddle::Error>(())
/// ```
pub fn eval<T: FromValue>(source: &str) -> Result<T, Error> {
    Engine::new().eval(source)
}

/// The codes of all errors and warnings that a program may have, each with its meaning in a line.
pub fn codes() -> &'static [(&'static str, &'static str)] {
    heddle_compiler::codes::CODES
}

/// What a code of a finding means, with an example of what is wrong and what is right: its section of docs/errors.md, in Markdown.
///
/// ```
/// assert!(heddle::explain("E0102").unwrap().contains("Comparisons cannot be chained"));
/// assert!(heddle::explain("E9999").is_none());
/// ```
pub fn explain(code: &str) -> Option<&'static str> {
    let page = include_str!("../docs/errors.md");
    let mut sections = page.split("\n## ").skip(1);
    let section = sections.find(|section| section.split(':').next() == Some(code))?;
    // Each stands between two of them.
    let start = section.as_ptr().addr() - page.as_ptr().addr() - "## ".len();
    Some(page[start..start + "## ".len() + section.len()].trim_end())
}

/// A program in the one style that `heddle fmt` writes; `path` names it in messages.
///
/// ```
/// assert_eq!(heddle::format("sum.hd", b"let x=[1,2 ,]")?, "let x = [1, 2]\n");
/// let error = heddle::format("sum.hd", b"let x = [1").unwrap_err();
/// assert_eq!(error.findings()[0].position(), (1, 9));
/// # Ok::<(), heddle::Error>(())
/// ```
///
/// # Errors
///
/// If the text does not parse; what is wrong is in [`Error::findings`].
pub fn format(path: &str, source: &[u8]) -> Result<String, Error> {
    use heddle_compiler::format::{Refused, format};
    let found = |text: &str, diagnostics: Vec<_>| {
        let text: std::sync::Arc<str> = text.into();
        let finding = |diagnostic| Finding {
            path: path.to_owned(),
            text: text.clone(),
            diagnostic,
        };
        Error::compile(diagnostics.into_iter().map(finding).collect())
    };
    let text = heddle_compiler::decode(source)
        .map_err(|wrong| found(&String::from_utf8_lossy(source), vec![*wrong]))?;
    format(text).map_err(|refused| match refused {
        Refused::Wrong(diagnostics) => found(text, diagnostics),
        Refused::Changed => Error::new(
            "Error",
            format!("{path} is left as it is: formatting would change what it means, which is a fault of the formatter"),
        ),
    })
}

// The README's example of embedding runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
