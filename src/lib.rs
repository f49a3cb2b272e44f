//! Heddle: an embeddable scripting VM with green threads.

mod engine;
mod error;
mod loader;
mod session;

pub use engine::{Engine, EngineBuilder, Module, Stress};
pub use error::{Error, Finding};
pub use session::Session;
