//! Values of a script that a host keeps.

use heddle_vm::Value;
use heddle_vm::hosting::Held;
use heddle_vm::thread::Thread;
use std::sync::Arc;

/// Any value of a script, kept alive: a function to call later, an object to hand back. It can be given to the engine it came
/// from only.
///
/// ```
/// use heddle::Handle;
///
/// let mut engine = heddle::Engine::new();
/// let module = engine.load_str("counter", "pub fn counter() { var n = 0; || { n += 1; n } }")?;
/// let counter: Handle = engine.call(&module, "counter", ())?;
/// engine.call_handle::<()>(&counter, ())?;
/// assert_eq!(engine.call_handle::<i64>(&counter, ())?, 2);
/// # Ok::<(), heddle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Handle(pub(crate) Arc<Held>);

impl Handle {
    pub(crate) fn new(thread: &mut Thread, value: Value) -> Handle {
        Handle(Arc::new(thread.hold(value)))
    }
}
