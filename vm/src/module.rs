//! Modules that are linked to an engine: code with its constants made, ready to run.

use crate::bytecode::{CaptureSource, CodeSpan, HandlerRange};
use crate::value::Value;
use std::sync::Arc;

/// A linked function. Never moves and lives as long as its engine, so that code, closures and return words may point into it.
pub struct Proto {
    /// Instructions; inline caches in them are written by relaxed stores.
    pub code: Box<[u64]>,
    /// Constants, behind one word that points to the module's globals: `consts[0]` is that word, `K[i]` is `consts[i + 1]`.
    pub consts: Box<[Value]>,
    pub registers: u32,
    pub params: u32,
    pub required: u32,
    pub has_rest: bool,
    pub is_generator: bool,
    pub is_internal: bool,
    pub has_cleanup: bool,
    pub name: Box<str>,
    pub param_names: Vec<crate::types::Sym>,
    pub handlers: Vec<HandlerRange>,
    pub captures: Vec<CaptureSource>,
    pub spans: Vec<(u32, CodeSpan)>,
    pub span: CodeSpan,
    pub module: *const Module,
    pub doc: Option<Box<str>>,
}

// SAFETY: constants are shared values; code is changed by relaxed atomic stores only.
unsafe impl Send for Proto {}
// SAFETY: as above.
unsafe impl Sync for Proto {}

/// A linked module.
pub struct Module {
    pub name: String,
    pub path: String,
    pub source: Arc<str>,
    pub protos: Vec<Arc<Proto>>,
}
