//! Functions of a host: Rust closures over values, which may call back into script.

use super::Trap;
use crate::thread::Thread;
use crate::value::Value;

/// A host's function.
pub type HostFn = dyn Fn(&mut HostCtx<'_>) -> Result<Value, Trap> + Send + Sync;

/// What a host's function sees: its arguments, and a way to call script (`call`), during which values may move: they are
/// therefore read anew from `arg` afterwards.
pub struct HostCtx<'c> {
    pub(crate) thread: &'c mut Thread,
    pub(crate) args: usize,
    pub(crate) argc: usize,
}

impl HostCtx<'_> {
    pub fn argc(&self) -> usize {
        self.argc
    }
    /// An argument as it is now; `Value::UNSET` beyond the last.
    pub fn arg(&self, i: usize) -> Value {
        if i < self.argc {
            self.thread.stack_slot(self.args + i)
        } else {
            Value::UNSET
        }
    }
    pub fn thread(&mut self) -> &mut Thread {
        self.thread
    }
    /// Calls script and waits for its result. The task is pinned meanwhile.
    pub fn call(&mut self, function: Value, args: &[Value]) -> Result<Value, Trap> {
        self.thread.call_nested(function, args)
    }
    /// Throws an error of kind `Error`.
    pub fn throw(&mut self, kind: crate::types::ErrorKind, message: &str) -> Trap {
        self.thread.throw_new(kind, message)
    }
}
