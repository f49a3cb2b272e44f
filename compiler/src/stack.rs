//! Room on the native stack for whoever walks a syntax tree.

/// Enough for a walk of `ast::MAX_DEPTH` levels at 20 kB each, which unoptimised builds do not reach. Only what
/// is touched becomes memory.
const STACK: usize = 64 << 20;

/// Runs `f`, which recurses along a syntax tree, on a stack that is large enough for any tree the parser makes.
pub fn with_stack<R>(f: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(STACK - (1 << 20), STACK, f)
}
