//! What a host does with a thread from outside: reads a module's exports, runs its tests, reads and makes values.

use crate::module::{Module, Slot};
use crate::native::{Class, Ctx, NativeDef};
use crate::thread::{Failure, Thread};
use crate::value::Value;
use std::sync::Arc;

/// Stands for the function that `Thread::values` is not.
static NO_FUNCTION: NativeDef = NativeDef::new("", &[], Class::Plain, |ctx| ctx.nil(), "");

impl Thread {
    /// The value of a module's `pub` name; `None` if there is none or it has no value yet.
    pub fn exported(&mut self, module: &Module, name: &str) -> Option<Value> {
        let (slot, is_pub) = *module.names.get(&self.engine().symbol(name))?;
        if !is_pub {
            return None;
        }
        let value = match slot {
            Slot::Global(index) => module.global(index),
            Slot::Var(index) => self.var(module.var_base + index),
        };
        (!value.is_unset()).then_some(value)
    }
    /// The `pub` names of a module, in no order.
    pub fn export_names(&self, module: &Module) -> Vec<String> {
        let names = module.names.iter().filter(|(_, (_, is_pub))| *is_pub);
        names
            .map(|(name, _)| self.engine().symbol_text(*name).to_string())
            .collect()
    }
    /// Runs one of `module.tests`; the module's body must have run.
    pub fn run_test(&mut self, module: &Arc<Module>, index: usize) -> Result<Value, Failure> {
        let (_, proto) = module.tests[index];
        let proto = module.protos.get().expect("linked modules have code")[proto as usize].clone();
        let test = self.closure_of(&proto);
        self.run(test, &[])
    }
    /// A view to read and make values with, outside any call. Nothing is collected while it lives.
    pub fn values(&mut self) -> Ctx<'_> {
        Ctx {
            thread: self,
            args: std::ptr::null_mut(),
            argc: 0,
            def: &NO_FUNCTION,
        }
    }
    /// A point between calls: collects if that is due. Values that are not in handles die.
    pub fn collect_if_due(&mut self) {
        if self.heap.is_collect_wanted() {
            self.collect_full();
        }
    }
}
