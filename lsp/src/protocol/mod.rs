//! The Language Server Protocol, as far as it is spoken here: JSON-RPC over a pair of streams, with values of JSON as they come.
//!
//! Typed messages (lsp-types) would add 600 KB to the program, which is more than all the rest of the server; and lsp-server ends where a message cannot
//! be read, instead of answering.

mod requests;
pub(crate) mod server;
mod wire;
