//! A thread's heap.

use crate::value::Value;

/// What the collector starts from. The implementor calls `visit` with every run of values that is live.
pub trait Roots {
    /// `visit(first, count)`: the collector reads and may rewrite the values.
    fn visit(&mut self, visit: &mut dyn FnMut(*mut Value, usize));
}
