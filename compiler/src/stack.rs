//! Room on the native stack for whoever walks a syntax tree.

/// Room for the levels of nesting between two calls of `with_stack`: a debug build needs up to 20 KiB for each.
const ROOM: usize = 192 * 1024;
/// What is added when there is less.
const PIECE: usize = 2 * 1024 * 1024;

/// Runs one level of a walk along a syntax tree on a stack that is large enough, however deep the tree is.
pub(crate) fn with_stack<R>(walk: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(ROOM, PIECE, walk)
}
