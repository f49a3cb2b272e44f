//! Symbols, variables of modules and what is remembered of links.

use super::Thread;
use crate::bytecode::{Op, Word};
use crate::interp::frame;
use crate::module::{Module, Proto, Slot};
use crate::object::{Closure, Header, Kind, type_id};
use crate::ops;
use crate::types::Sym;
use crate::value::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Thread {
    /// Operand symbols are those of the engine once a module is linked.
    pub(crate) fn engine_symbol(&self, imm: i32) -> Sym {
        Sym(imm as u32)
    }
    pub(crate) fn symbol_text(&self, imm: i32) -> String {
        self.engine().symbol_text(Sym(imm as u32)).to_string()
    }
    /// The text of a symbol as a (permanent) string.
    pub(crate) fn symbol_value(&mut self, name: Sym) -> Value {
        if let Some(v) = self.symbol_values.get(&name) {
            return *v;
        }
        let v = self.engine().permanent_str(self.engine().symbol_text(name));
        self.symbol_values.insert(name, v);
        v
    }
    pub(crate) fn text_value(&mut self, text: &str) -> Value {
        ops::text::new_reserved(&mut self.heap, text)
    }
    pub(crate) fn global_name(&self, index: u32) -> String {
        self.slot_name(self.running_module(), Slot::Global(index))
    }
    pub(crate) fn var_name(&self, index: u32) -> String {
        let module = self.running_module();
        self.slot_name(module, Slot::Var(index - module.var_base))
    }
    pub(super) fn slot_name(&self, module: &Module, slot: Slot) -> String {
        let name = module
            .names
            .iter()
            .find(|(_, (s, _))| *s == slot)
            .map(|(n, _)| *n);
        name.map_or("a name".into(), |n| {
            self.engine().symbol_text(n).to_string()
        })
    }
    /// A variable of the mounted thread; unset: it has none.
    pub(crate) fn var(&mut self, index: u32) -> Value {
        let vars = self.parts.more_if_any().map(|more| &more.vars);
        let value = vars.and_then(|vars| vars.get(index as usize));
        value.copied().unwrap_or(Value::UNSET)
    }
    pub(crate) fn set_var(&mut self, index: u32, value: Value) {
        self.ensure_vars(index + 1);
        self.parts.more().vars[index as usize] = value;
    }
    /// Makes room in the variable table; new slots are unset.
    pub(crate) fn ensure_vars(&mut self, count: u32) {
        if self.parts.more().vars.len() < count as usize {
            // The fast path reads any variable there is.
            let all = self.engine().var_count().max(count);
            self.parts.more().vars.resize(all as usize, Value::UNSET);
        }
        self.use_vars();
    }
    /// Lets the fast path read the mounted thread's variables; one that has none reads a table in which every slot is unset.
    #[inline]
    pub(crate) fn use_vars(&mut self) {
        let count = self.engine.var_count();
        let own = self.parts.more_if_any_mut().map(|more| &mut more.vars);
        let own = own.filter(|vars| !vars.is_empty());
        // Most threads set none.
        let (vars, len) = match own {
            Some(vars) => (vars.as_mut_ptr(), vars.len() as u32),
            None => (self.no_vars, self.no_var_count),
        };
        if len == count {
            (self.vars, self.var_count) = (vars, count);
        } else {
            self.look_for_vars();
        }
    }
    #[inline(never)]
    pub(super) fn look_for_vars(&mut self) {
        let engine = self.engine();
        (self.vars, self.var_count) = match &mut self.parts.more {
            Some(more) if !more.vars.is_empty() => {
                let count = engine.var_count() as usize;
                if more.vars.len() < count {
                    more.vars.resize(count, Value::UNSET);
                }
                (more.vars.as_mut_ptr(), more.vars.len() as u32)
            }
            _ => {
                // The engine's table is behind a lock, which carriers would take turns at with each thread that they mount.
                let count = engine.var_count();
                if self.no_vars.is_null() || self.no_var_count < count {
                    self.no_vars = engine.no_vars();
                    self.no_var_count = count;
                }
                (self.no_vars, self.no_var_count)
            }
        };
    }
    /// The function that gives a `local var` its first value.
    pub(crate) fn var_initialiser(&mut self, index: u32) -> Option<Value> {
        let module = self.running_module();
        let proto = module
            .initialisers
            .get()?
            .get(&(index - module.var_base))?
            .clone();
        Some(self.closure_of(&proto))
    }

    /// Whether the running function is the one that gives this `local var` its first value.
    pub(crate) fn runs_initialiser_of(&mut self, index: u32) -> bool {
        // SAFETY: the running function's, which lives as long as the engine.
        let running = unsafe { &*frame::proto(self.base) };
        if !running.is_initialiser.load(Ordering::Relaxed) {
            return false;
        }
        let module = self.running_module();
        let initialisers = module.initialisers.get();
        let proto = initialisers.and_then(|all| all.get(&index.wrapping_sub(module.var_base)));
        proto.is_some_and(|proto| std::ptr::eq(Arc::as_ptr(proto), running))
    }
    /// The function that gives an exported `local var` of a module its first value in this thread, if it has none yet.
    pub(crate) fn export_initialiser(
        &mut self,
        module: &crate::module::Module,
        name: Sym,
    ) -> Option<Value> {
        let Some(&(Slot::Var(index), true)) = module.names.get(&name) else {
            return None;
        };
        if !self.var(module.var_base + index).is_unset() {
            return None;
        }
        let proto = module.initialisers.get()?.get(&index)?.clone();
        Some(self.closure_of(&proto))
    }

    /// A closure without captures.
    pub(crate) fn closure_of(&mut self, proto: &Arc<Proto>) -> Value {
        let object = self
            .heap
            .alloc(
                Header::new(Kind::Closure, type_id::FUNCTION, 0),
                size_of::<Closure>(),
            )
            .cast::<Closure>();
        // SAFETY: `alloc` made room; prototypes live as long as the engine.
        unsafe { (*object).consts = proto.consts_start };
        Value::local(object.cast())
    }

    /// Remembers a member: in the cache word if that is free, else in the thread's table, by which the instruction goes from then on.
    pub(crate) fn remember(
        &mut self,
        word: *mut u64,
        type_id: u32,
        symbol: Sym,
        what: u64,
        index: u32,
    ) {
        // SAFETY: verified: a cache word follows the instruction's; carriers write both whole.
        let (code, word) = unsafe {
            let word = word.cast::<std::sync::atomic::AtomicU64>();
            (&*word.sub(1), &*word)
        };
        if word.load(Ordering::Relaxed) == 0 {
            word.store(type_id as u64 | (index as u64) << 32, Ordering::Relaxed);
            return;
        }
        let instruction = Word(code.load(Ordering::Relaxed));
        let by_table = match instruction.op() {
            Some(Op::GetField) => Some(Op::GetFieldT),
            Some(Op::SetField) => Some(Op::SetFieldT),
            Some(Op::Invoke | Op::InvokePush | Op::InvokeNative) => Some(Op::InvokeT),
            _ => None,
        };
        if let Some(op) = by_table {
            code.store(instruction.with_op(op).0, Ordering::Relaxed);
        }
        let key = crate::cache::key(type_id, symbol.0, what);
        self.member_entries[crate::cache::slot(key)] = crate::cache::Entry { key, index };
    }
}
