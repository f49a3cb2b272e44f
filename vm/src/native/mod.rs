//! Rust functions that scripts call.

/// A native function as it is registered.
pub struct NativeDef {
    pub name: &'static str,
}
