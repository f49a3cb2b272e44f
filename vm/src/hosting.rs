//! What a host does with an engine and a thread from outside: adds functions of its own, reads a module's exports, runs its tests,
//! reads and makes values, keeps some alive.

use crate::account;
use crate::engine::Engine;
use crate::module::{Module, Slot};
use crate::native::{Class, Ctx, HostCode, NativeDef, Trap, call_blocking};
use crate::object::Kind;
use crate::ops;
use crate::thread::{Failure, Thread};
use crate::types::ErrorKind;
use crate::value::Value;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A function of the host, with the texts that its definition refers to.
pub(crate) struct HostFunction {
    /// Boxed: function objects point to it.
    _def: Box<NativeDef>,
    _params: Box<[&'static str]>,
    _texts: Vec<Box<str>>,
}

/// A value that a host keeps alive. It belongs to the thread of the language that made it, whichever carrier runs that.
#[derive(Debug)]
pub struct Held {
    thread: u64,
    index: usize,
    dropped: Arc<Dropped>,
}

/// What hosts have dropped since, by the number of the thread whose it is: only that can take it out of its table.
#[derive(Debug, Default)]
pub(crate) struct Dropped {
    entries: Mutex<Vec<(u64, usize)>>,
    has_any: AtomicBool,
}

impl Dropped {
    /// Those of one thread.
    #[inline]
    pub(crate) fn take(&self, thread: u64) -> Vec<usize> {
        if self.has_any.load(Ordering::Relaxed) {
            self.take_some(thread)
        } else {
            Vec::new()
        }
    }
    /// The thread has ended, and its table with it.
    #[inline]
    pub(crate) fn forget(&self, thread: u64) {
        if self.has_any.load(Ordering::Relaxed) {
            drop(self.take_some(thread));
        }
    }
    #[cold]
    fn take_some(&self, thread: u64) -> Vec<usize> {
        let mut taken = Vec::new();
        let mut entries = self.entries.lock();
        entries.retain(|&(of, index)| {
            if of == thread {
                taken.push(index);
            }
            of != thread
        });
        self.has_any.store(!entries.is_empty(), Ordering::Relaxed);
        taken
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut entries = self.dropped.entries.lock();
        entries.push((self.thread, self.index));
        self.dropped.has_any.store(true, Ordering::Relaxed);
    }
}

impl Engine {
    /// Makes a function of the host's: `params` as in `NativeDef`.
    pub fn host_function(&self, name: &str, params: &[String], code: HostCode) -> Value {
        let mut texts: Vec<Box<str>> = vec![name.into()];
        texts.extend(params.iter().map(|p| Box::from(p.as_str())));
        // SAFETY: the texts are boxed and dropped after the definition, together with the engine.
        let text = |t: &str| -> &'static str { unsafe { &*std::ptr::from_ref(t) } };
        let names: Box<[&'static str]> = texts[1..].iter().map(|t| text(t)).collect();
        let mut def = Box::new(NativeDef::new(
            text(&texts[0]),
            // SAFETY: as above.
            unsafe { &*std::ptr::from_ref(&*names) },
            match code {
                // It may call back, and wait there.
                HostCode::Inline(_) => Class::Suspending,
                HostCode::Blocking(_) => Class::Blocking,
            },
            call_blocking,
            "",
        ));
        match code {
            HostCode::Inline(function) => def.host = Some(function),
            HostCode::Blocking(function) => def.blocking = Some(function),
        }
        // SAFETY: boxed, and dropped with the engine.
        let value = self.permanent_native(unsafe { &*std::ptr::from_ref(&*def) });
        self.host_functions.lock().push(HostFunction {
            _def: def,
            _params: names,
            _texts: texts,
        });
        value
    }
    /// Makes a permanent value a name of the prelude, for modules that are linked from now on.
    pub fn define(&self, name: &str, value: Value) {
        self.set_prelude(name, value);
    }
}

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
            Slot::Global(index) => match module.global(index) {
                // Not for other threads: its owner keeps it.
                value if value.is_unset() => self.var(module.owned_slot(index)),
                value => value,
            },
            Slot::Var(index) => self.var(module.var_base + index),
        };
        (!value.is_unset()).then_some(value)
    }
    /// Whether a module's `pub` name has a value, or gets one when it is read, as a `local var` does.
    pub fn is_exported(&mut self, module: &Module, name: &str) -> bool {
        let symbol = self.engine().symbol(name);
        self.exported(module, name).is_some() || self.export_initialiser(module, symbol).is_some()
    }
    /// Sets a `pub var` of a module that this thread has run.
    ///
    /// # Panics
    /// If it has no such variable.
    pub fn set_exported(&mut self, module: &Module, name: &str, value: Value) {
        match module.names.get(&self.engine().symbol(name)) {
            Some((Slot::Var(index), true)) => self.set_var(module.var_base + index, value),
            _ => panic!("module {} has no variable {name}", module.name),
        }
    }
    /// The `pub` names of a module, in no order.
    pub fn export_names(&self, module: &Module) -> Vec<String> {
        let names = module.names.iter().filter(|(_, (_, is_pub))| *is_pub);
        names
            .map(|(name, _)| self.engine().symbol_text(*name).to_string())
            .collect()
    }
    /// What may stand behind the point of `value.…`: fields, methods, keys of a map that are text, variants; in no order.
    pub fn members(&mut self, value: Value) -> Vec<String> {
        // SAFETY: a live engine, which the thread holds.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        let info = match value.is_kind(Kind::Type) {
            // SAFETY: types live as long as the engine.
            true => unsafe { &*self.type_info_of(value) },
            false => engine.type_info(value.type_id()),
        };
        let variants = info.variants.iter().map(|v| &*engine.type_info(*v).name);
        let fields = info.fields.iter().map(|f| engine.symbol_text(f.name));
        let methods = info.methods.read();
        let methods = methods.keys().map(|m| engine.symbol_text(*m));
        let is_word = |name: &&str| name.starts_with(|c: char| c.is_alphabetic());
        let all = methods.chain(variants).chain(fields).filter(is_word);
        let mut all: Vec<String> = all.map(str::to_string).collect();
        if value.is_kind(Kind::Map) {
            all.extend(self.map_string_keys(value));
        }
        all
    }
    /// Runs one of `module.tests`; the module's body must have run. A test that was cancelled or killed has failed: nobody knows what it would have found.
    pub fn run_test(&mut self, module: &Arc<Module>, index: usize) -> Result<Value, Failure> {
        let (_, proto) = module.tests[index];
        let proto = module.protos.get().expect("linked modules have code")[proto as usize].clone();
        let test = self.closure_of(&proto);
        self.was_cut_off = false;
        let result = self.run(test, &[])?;
        if self.was_cut_off {
            self.throw_new(
                ErrorKind::Cancelled,
                "the test was cancelled or killed before its end",
            );
            return Err(Failure::Thrown);
        }
        Ok(result)
    }
    /// A view to read and make values with, outside any call. Nothing is collected while it lives.
    pub fn values(&mut self) -> Ctx<'_> {
        account::enter(Some(&self.scheduler.account));
        Ctx {
            thread: self,
            args: std::ptr::null_mut(),
            argc: 0,
            def: &NO_FUNCTION,
            may_collect: false,
            has_blocked: false,
            state: 0,
        }
    }
    /// Keeps a value alive as long as what is returned.
    pub fn hold(&mut self, value: Value) -> Held {
        let thread = self.block.id;
        let dropped = self.scheduler.dropped.clone();
        for index in dropped.take(thread) {
            self.free_handle(index);
        }
        Held {
            thread,
            index: self.new_handle(value),
            dropped,
        }
    }
    /// The value that is kept, if this thread keeps it.
    pub fn held(&self, held: &Held) -> Option<Value> {
        let is_own =
            Arc::ptr_eq(&held.dropped, &self.scheduler.dropped) && held.thread == self.block.id;
        is_own.then(|| self.handle(held.index))
    }
    /// Throws a `LimitError`: there is no room for what the host wants to make.
    pub fn throw_no_room(&mut self) -> Trap {
        self.throw_limit()
    }
    /// The code that the script gave to `os.exit`.
    pub fn exit_code(&self) -> i32 {
        self.exit_code
    }
    /// Ends the program, as `os.exit` does.
    pub fn exit(&mut self, code: i32) -> Trap {
        self.exit_code = code;
        Trap::Exit
    }
    /// Throws an error made of Rust's; `kind` is the name of a built-in one, or else it is `Error`.
    pub fn throw_named(&mut self, kind: &str, message: &str) -> Trap {
        let index = crate::types::ERROR_KINDS.iter().position(|k| *k == kind);
        self.throw_new(ErrorKind::ALL[index.unwrap_or(0)], message)
    }
    /// A point between calls: collects if that is due. Values that are not in handles die.
    pub fn collect_if_due(&mut self) {
        if self.heap.is_collect_wanted() {
            account::enter(Some(&self.scheduler.account));
            self.collect_full();
        }
    }
}

impl Ctx<'_> {
    /// An int that fits, as Rust's; `None` for larger ones and other values.
    pub fn as_i128(&self, value: Value) -> Option<i128> {
        match ops::int::to_i64(value) {
            Some(i) => Some(i.into()),
            None => ops::int::view(value)?.to_bigint().try_into().ok(),
        }
    }
    /// A float or an int, as a float.
    pub fn as_f64(&self, value: Value) -> Option<f64> {
        ops::float::number(value)
    }
}
