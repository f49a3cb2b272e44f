//! Functions of a host: Rust closures over values, which may call back into script.

use super::{Ctx, NativeResult, Trap};
use crate::thread::Thread;
use crate::value::Value;

/// A host's function.
pub type HostFn = dyn Fn(&mut HostCtx<'_>) -> Result<Value, Trap> + Send + Sync;
/// A host's function that blocks: takes what it needs out of its arguments.
pub type BlockingFn = dyn Fn(&mut HostCtx<'_>) -> Result<BlockingWork, Trap> + Send + Sync;
/// What it does, on whatever OS thread.
pub type BlockingWork = Box<dyn FnOnce() -> MakeResult + Send>;
/// Makes a value of what came out of that, where the script runs.
pub type MakeResult = Box<dyn FnOnce(&mut Thread) -> Result<Value, Trap> + Send>;

/// How a host's function is called.
pub enum HostCode {
    /// Where the script runs: it may call back, and pins the task meanwhile.
    Inline(Box<HostFn>),
    /// As the blocking policy says.
    Blocking(Box<BlockingFn>),
}

/// The native of a host's function that blocks.
pub(crate) fn call_blocking(ctx: &mut Ctx) -> NativeResult {
    // SAFETY: definitions live as long as the engine.
    let def = unsafe { &*ctx.def };
    let Some(function) = &def.blocking else {
        return ctx.nil();
    };
    let args = ctx.thread.stack_index(ctx.args);
    let mut host = HostCtx {
        thread: ctx.thread,
        args,
        argc: ctx.argc,
    };
    let work = function(&mut host)?;
    ctx.block(work, |ctx, make| make(ctx.thread))
}

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
