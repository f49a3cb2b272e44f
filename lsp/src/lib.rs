//! `heddle lsp`: a language server, over the compiler's own front end.
//!
//! Reading order: [`text`] (places in a text as editors count them), `workspace` (open documents, files, what imports lead to), `library` (what is
//! said of the standard library); then one file for each thing an editor may ask: `findings` (diagnostics and fixes), `hover`, `cursor` (a text that is being written), `completion`, `signature`,
//! `navigation`, `rename`, `outline`, `colours`, `folding`, `formatting`. They know places as bytes and nothing of the protocol: that is
//! `protocol/`, where `wire` frames messages, `server` keeps the order of a session, `requests` translates.
#![forbid(unsafe_code)]

mod colours;
mod completion;
mod cursor;
mod findings;
mod folding;
mod formatting;
mod hover;
mod library;
mod navigation;
mod outline;
mod protocol;
mod rename;
mod signature;
pub mod text;
mod workspace;

pub use protocol::server::{Server, serve};
