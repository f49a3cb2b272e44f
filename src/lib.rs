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
//! `session` (interactive use), `error`. Engines share nothing; nothing here is global.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod convert;
mod engine;
mod error;
mod function;
mod handle;
mod loader;
mod session;

pub use convert::{FromValue, IntoArgs, IntoValue};
pub use engine::{
    BlockingPolicy, Engine, EngineBuilder, FaultLevel, Module, Outside, Schedule, ScheduleTrace,
    Stress, Threadlets, TracePinned,
};
pub use error::{Error, Finding};
pub use function::{BlockingFunction, Context, HostFunction, IntoResult};
pub use handle::Handle;
pub use heddle_stdlib::{blocks, docs};
pub use heddle_vm::engine::ring;
pub use session::{Idle, Session, TaskInfo, Waker};

#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
struct EmbeddingPage;

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

// The README's example of embedding runs with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
