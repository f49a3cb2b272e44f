//! What all threads of an engine share: symbols, types, methods, modules, constants. Append-only; read without locks on hot paths.
//!
//! Several engines live in one process; nothing here is global.

use crate::bytecode::{ModuleRef, Op, Word};
use crate::heap::SharedArena;
use crate::interp::code_word;
use crate::module::Module;
use crate::object::{FIRST_USER_TYPE, Header, Kind, TypeObject, type_id};
use crate::ops::builtin_type_name;
use crate::types::{ERROR_KINDS, Field, Method, Shape, Sym, TypeInfo};
use crate::value::Value;
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Types are kept in chunks, so that their addresses never change: the first has this many, each further one as many as all before it and this many more.
const FIRST_TYPES: u32 = 64;
const TYPE_CHUNKS: usize = 16;
const MOST_TYPES: u32 = (FIRST_TYPES << TYPE_CHUNKS) - FIRST_TYPES;
type TypeChunk = Box<[OnceLock<TypeInfo>]>;

/// In which chunk a type is, and where there.
fn place_of_type(id: u32) -> (usize, usize) {
    let chunk = ((id + FIRST_TYPES) / FIRST_TYPES).ilog2();
    (
        chunk as usize,
        (id + FIRST_TYPES - (FIRST_TYPES << chunk)) as usize,
    )
}
/// How many methods an engine can hold; the memory is touched only as it is used.
const MAX_METHODS: usize = 1 << 20;

/// Symbols with a fixed number: operators and what the VM itself looks up.
macro_rules! known_symbols {
    ($($id:ident = $text:literal),* $(,)?) => {
        /// Names the VM looks up by itself.
        pub mod sym {
            use super::Sym;
            #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "only used to count")]
            enum Number { $($id),* }
            $(pub const $id: Sym = Sym(Number::$id as u32);)*
        }
        const KNOWN_SYMBOLS: &[&str] = &[$($text),*];
    };
}
known_symbols! {
    ADD = "+", SUB = "-", MUL = "*", DIV = "/", FLOOR_DIV = "//", MOD = "%", POW = "**",
    BIT_AND = "&", BIT_OR = "|", BIT_XOR = "^", SHL = "<<", SHR = ">>",
    EQ = "==", LT = "<", GET_INDEX = "[]", SET_INDEX = "[]=", NEG = "neg", BIT_NOT = "~",
    CALL = "call", STR = "str", REPR = "repr", HASH = "hash", ITER = "iter", NEXT = "next", IN = "in",
    MESSAGE = "message", KIND = "kind", DATA = "data", CAUSE = "cause", TRACE = "trace", WITH = "with",
}

#[derive(Default)]
struct Symbols {
    texts: Vec<&'static str>,
    ids: HashMap<&'static str, Sym>,
}

/// What threads share. Made once, used through an `Arc`.
pub struct Engine {
    symbols: RwLock<Symbols>,
    /// By id. A place whose module could not be linked stays empty.
    types: Box<[OnceLock<TypeChunk>]>,
    type_count: AtomicU32,
    /// Makes hashes differ from engine to engine.
    hash_seed: u64,
    methods: Box<[AtomicU64]>,
    method_count: AtomicU32,
    pub(crate) arena: SharedArena,
    pub(crate) modules: RwLock<HashMap<ModuleRef, Arc<Module>>>,
    /// Every module ever linked, so that code stays alive as long as the engine.
    pub(crate) all_modules: Mutex<Vec<Arc<Module>>>,
    pub(crate) prelude: RwLock<HashMap<Box<str>, Value>>,
    /// Values of the prelude that the interpreter itself calls.
    pub(crate) hooks: RwLock<Hooks>,
    /// Set by a host (Ctrl-C): running threads throw `Cancelled` at their next safepoint.
    interrupt: Arc<AtomicBool>,
    /// See `interrupt_pipe`.
    interrupt_pipe: Arc<AtomicI32>,
    pub(crate) stub: std::sync::OnceLock<Value>,
    pub(crate) next_var: AtomicU32,
    /// Tables in which every variable is unset, for threads that have set none; the last is long enough for all. None is freed while the
    /// engine lives, since threads read them.
    no_vars: RwLock<Vec<Box<[Value]>>>,
    /// Some function has more registers than a stack limit leaves room for: see `Thread::slots_beyond_limit`.
    has_wide_frames: AtomicBool,
    /// A host's thread was made for it.
    has_host: AtomicBool,
    /// Definitions of the host's functions; function objects point to them.
    pub(crate) host_functions: Mutex<Vec<crate::hosting::HostFunction>>,
}

/// Prelude functions that slow paths call (see `interp::slow`).
#[derive(Clone, Copy)]
pub(crate) struct Hooks {
    pub(crate) values: [Value; Hook::COUNT],
}

/// A prelude function that the interpreter calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Hook {
    Eq,
    Ne,
    Lt,
    Le,
    EqJump,
    LtJump,
    LeJump,
    In,
    Str,
    Format,
    IterNext,
    IterNew,
    GetIndex,
    SetIndex,
    JNoKey,
    Concat,
    BigMul,
    BigDivMod,
    BigPow,
    Hash,
    BigStr,
}

impl Hook {
    const COUNT: usize = Hook::BigStr as usize + 1;
    /// The prelude's names of the hooks, in order.
    pub const NAMES: [&'static str; Hook::COUNT] = [
        "__eq",
        "__ne",
        "__lt",
        "__le",
        "__eq_jump",
        "__lt_jump",
        "__le_jump",
        "__in",
        "__str",
        "__format",
        "__iter_next",
        "__iter_new",
        "__get_index",
        "__set_index",
        "__no_key",
        "__concat",
        "__big_mul",
        "__big_div_mod",
        "__big_pow",
        "__hash",
        "__big_str",
    ];
}

// SAFETY: what is reachable from here is shared (values) or behind locks and atomics.
unsafe impl Send for Engine {}
// SAFETY: as above.
unsafe impl Sync for Engine {}

pub(crate) const NO_PIPE: i32 = -1;

/// Writes a byte to the pipe that `Engine::interrupt_pipe` names, if there is one. May be called by a signal's handler: it loads a number and writes.
pub fn ring(pipe: &AtomicI32) {
    let number = pipe.load(Ordering::Acquire);
    #[cfg(unix)]
    if number != NO_PIPE {
        // SAFETY: the program takes the number back before it closes the pipe. (If a handler was interrupted between the two, a byte goes to whoever has the number by then;
        // a program does that at its very end.)
        let pipe = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
        // A full pipe is as good.
        let _ = rustix::io::write(pipe, &[1]);
    }
}

impl Engine {
    /// An engine with the built-in types and no modules.
    pub fn new() -> Arc<Engine> {
        Engine::with_hash_seed(fresh_seed())
    }
    /// The same where hashes are to be the same each time.
    pub fn with_hash_seed(hash_seed: u64) -> Arc<Engine> {
        let engine = Engine {
            symbols: RwLock::default(),
            types: (0..TYPE_CHUNKS).map(|_| OnceLock::new()).collect(),
            type_count: AtomicU32::new(0),
            hash_seed,
            methods: lazily_zeroed(MAX_METHODS),
            method_count: AtomicU32::new(0),
            arena: SharedArena::new(),
            modules: RwLock::default(),
            all_modules: Mutex::default(),
            prelude: RwLock::default(),
            hooks: RwLock::new(Hooks {
                values: [Value::UNSET; Hook::COUNT],
            }),
            interrupt: Arc::default(),
            interrupt_pipe: Arc::new(AtomicI32::new(NO_PIPE)),
            stub: std::sync::OnceLock::new(),
            next_var: AtomicU32::new(0),
            no_vars: RwLock::default(),
            has_wide_frames: AtomicBool::new(false),
            has_host: AtomicBool::new(false),
            host_functions: Mutex::default(),
        };
        for text in KNOWN_SYMBOLS {
            engine.symbol(text);
        }
        let builtin = |engine: &Engine, id: u32, name: &str| {
            engine.add_type(id, TypeInfo::new(id, name, Shape::Builtin));
        };
        for id in 0..FIRST_USER_TYPE {
            let name = builtin_type_name(id).unwrap_or("reserved");
            match ERROR_KINDS.get((id as usize).wrapping_sub(type_id::ERROR as usize)) {
                Some(kind) => {
                    let mut info = TypeInfo::new(id, kind, Shape::Struct);
                    info.is_error = true;
                    info.parent = (id != type_id::ERROR).then_some(type_id::ERROR);
                    info.fields = Engine::error_fields();
                    engine.add_type(id, info);
                }
                None => builtin(&engine, id, name),
            }
        }
        engine.type_count.store(FIRST_USER_TYPE, Ordering::Relaxed);
        Arc::new(engine)
    }

    /// The fields in front of those of every error.
    pub(crate) fn error_fields() -> Vec<Field> {
        [sym::MESSAGE, sym::KIND, sym::DATA, sym::CAUSE, sym::TRACE]
            .map(|name| Field {
                name,
                is_var: false,
            })
            .to_vec()
    }

    /// The modules whose code counts its lines, in the order in which they were linked.
    pub fn counted_modules(&self) -> Vec<Arc<Module>> {
        let modules = self.all_modules.lock();
        let counted = modules.iter().filter(|module| !module.counters.is_empty());
        counted.cloned().collect()
    }

    /// Every operation that stands in linked code, as the VM has left it there.
    pub fn operations_in_code(&self) -> Vec<Op> {
        let mut found = [false; Op::ALL.len()];
        let modules = self.all_modules.lock();
        for proto in modules
            .iter()
            .filter_map(|module| module.protos.get())
            .flatten()
        {
            let mut at = 0;
            while at < proto.code_len() {
                // SAFETY: a word of linked code; instructions follow one another, their cache words skipped.
                let word = Word(unsafe { code_word(proto.code_start.add(at)) });
                let Some(op) = word.op() else { break };
                found[op as usize] = true;
                at += 1 + op.cache_words();
            }
        }
        let all = Op::ALL.iter().copied();
        all.filter(|&op| found[op as usize]).collect()
    }

    /// The symbol of a text, made if it is new.
    pub fn symbol(&self, text: &str) -> Sym {
        if let Some(&sym) = self.symbols.read().ids.get(text) {
            return sym;
        }
        let mut symbols = self.symbols.write();
        if let Some(&sym) = symbols.ids.get(text) {
            return sym;
        }
        let sym = Sym(symbols.texts.len() as u32);
        // Symbols live as long as the engine; `Drop` frees their texts.
        let text: &'static str = Box::leak(text.to_string().into_boxed_str());
        symbols.texts.push(text);
        symbols.ids.insert(text, sym);
        sym
    }
    /// The text of a symbol.
    pub fn symbol_text(&self, sym: Sym) -> &str {
        self.symbols.read().texts[sym.0 as usize]
    }

    /// Reserves an id for a new type, unless there are too many.
    pub(crate) fn new_type_id(&self) -> Option<u32> {
        self.type_count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < MOST_TYPES).then_some(n + 1)
            })
            .ok()
    }
    /// Publishes a type under its id and makes the value that stands for it.
    pub(crate) fn add_type(&self, id: u32, info: TypeInfo) {
        let kind = if info.shape == Shape::Variant {
            Kind::Variant
        } else {
            Kind::Struct
        };
        let template = Header::new(
            kind,
            id,
            (info.fields.len() + usize::from(info.is_local)) as u16,
        );
        let (chunk, at) = place_of_type(id);
        let len = (FIRST_TYPES as usize) << chunk;
        let chunk = self.types[chunk].get_or_init(|| (0..len).map(|_| OnceLock::new()).collect());
        let slot = chunk[at].get_or_init(|| info);
        let is_exact = matches!(slot.shape, Shape::Struct | Shape::Variant) && !slot.is_error;
        let object = self
            .arena
            .alloc(
                Header::new(Kind::Type, type_id::TYPE, is_exact as u16),
                size_of::<TypeObject>(),
            )
            .cast::<TypeObject>();
        // SAFETY: `alloc` returned room for a `TypeObject`.
        unsafe {
            (*object).info = slot;
            (*object).template = template;
            (*object).env = Value::NIL;
        }
        *slot.value.write() = Value::shared(object.cast());
    }
    /// The type of an id that occurs in a live object or value.
    #[inline]
    pub fn type_info(&self, id: u32) -> &TypeInfo {
        let (chunk, at) = place_of_type(id);
        self.types[chunk]
            .get()
            .and_then(|chunk| chunk[at].get())
            .expect("ids are made known after their types")
    }
    /// The value that stands for a type.
    pub fn type_value(&self, id: u32) -> Value {
        *self.type_info(id).value.read()
    }

    /// Adds a method to a type.
    pub(crate) fn add_method(&self, type_id: u32, name: Sym, function: Value, has_self: bool) {
        let mut methods = self.type_info(type_id).methods.write();
        let index = self.method_count.fetch_add(1, Ordering::Relaxed);
        assert!(
            (index as usize) < MAX_METHODS,
            "an engine holds at most {MAX_METHODS} methods"
        );
        self.methods[index as usize].store(function.bits(), Ordering::Release);
        methods.insert(
            name,
            Method {
                function,
                index,
                has_self,
            },
        );
    }
    pub(crate) fn methods_base(&self) -> *const Value {
        self.methods.as_ptr().cast()
    }

    /// A name of the prelude.
    pub fn prelude_value(&self, name: &str) -> Option<Value> {
        self.prelude.read().get(name).copied()
    }
    /// All names of the prelude that programs may use.
    pub fn prelude_names(&self) -> Vec<String> {
        self.prelude.read().keys().map(|k| k.to_string()).collect()
    }
    /// Makes a name of the prelude (or sets a hook of the interpreter).
    pub(crate) fn set_prelude(&self, name: &str, value: Value) {
        if let Some(i) = Hook::NAMES.iter().position(|n| *n == name) {
            self.hooks.write().values[i] = value;
        }
        self.prelude.write().insert(name.into(), value);
    }
    /// A permanent string.
    pub fn permanent_str(&self, text: &str) -> Value {
        let mut scratch = crate::heap::Heap::new(usize::MAX / 4);
        let local = crate::ops::text::new_reserved(&mut scratch, text);
        self.arena.freeze(local).expect("a string can be frozen")
    }
    /// Asks every running thread to stop what it does (Ctrl-C).
    pub fn request_interrupt(&self) {
        self.interrupt.store(true, Ordering::Release);
        ring(&self.interrupt_pipe);
    }
    /// The flag behind `request_interrupt`, for signal handlers.
    pub fn interrupt_flag(&self) -> Arc<AtomicBool> {
        self.interrupt.clone()
    }
    /// The file descriptor, or a negative number, to which a signal's handler writes a byte after it has set the flag: carriers that wait for the system look at
    /// nothing else. It is there once a program waits for the system; until then carriers look at the flag now and then.
    pub fn interrupt_pipe(&self) -> Arc<AtomicI32> {
        self.interrupt_pipe.clone()
    }
    /// A program waits for the system, and looks at this pipe.
    #[cfg(unix)]
    pub(crate) fn set_interrupt_pipe(&self, pipe: i32) {
        self.interrupt_pipe.store(pipe, Ordering::Release);
    }
    pub(crate) fn has_interrupt(&self) -> bool {
        self.interrupt.load(Ordering::Acquire)
    }
    /// How many variables all modules have together.
    pub(crate) fn var_count(&self) -> u32 {
        self.next_var.load(Ordering::Acquire)
    }
    #[inline]
    pub(crate) fn has_wide_frames(&self) -> bool {
        self.has_wide_frames.load(Ordering::Relaxed)
    }
    /// For the host's thread: whether it is the first.
    pub(crate) fn take_host(&self) -> bool {
        !self.has_host.swap(true, Ordering::Relaxed)
    }
    /// A function with so many registers is linked. It can run only when that is done, and seen to be.
    pub(crate) fn note_registers(&self, registers: usize) {
        if registers > crate::thread::FIRST_SLOTS {
            self.has_wide_frames.store(true, Ordering::Relaxed);
        }
    }
    /// A table with every variable there is, all unset. Only read.
    pub(crate) fn no_vars(&self) -> *mut Value {
        let count = self.var_count() as usize;
        let long_enough = |tables: &Vec<Box<[Value]>>| {
            let last = tables.last().filter(|table| table.len() >= count.max(1))?;
            Some(last.as_ptr().cast_mut())
        };
        if let Some(table) = long_enough(&self.no_vars.read()) {
            return table;
        }
        let mut tables = self.no_vars.write();
        if let Some(table) = long_enough(&tables) {
            return table;
        }
        let length = count.next_power_of_two().max(64);
        tables.push(vec![Value::UNSET; length].into());
        tables[tables.len() - 1].as_ptr().cast_mut()
    }
    /// Takes a pending request.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.interrupt.load(Ordering::Acquire) && self.interrupt.swap(false, Ordering::AcqRel)
    }
    /// Whether a module of this name is loaded.
    pub fn module(&self, key: &ModuleRef) -> Option<Arc<Module>> {
        self.modules.read().get(key).cloned()
    }
}

impl crate::ops::TypeLookup for Engine {
    fn info(&self, id: u32) -> Option<&TypeInfo> {
        Some(self.type_info(id))
    }
    fn operators(&self) -> &crate::ops::OperatorNames {
        const NAMES: crate::ops::OperatorNames = crate::ops::OperatorNames {
            eq: sym::EQ,
            lt: sym::LT,
            hash: sym::HASH,
            str: sym::STR,
        };
        &NAMES
    }
    fn seed(&self) -> u64 {
        self.hash_seed
    }
    fn symbol(&self, sym: Sym) -> &str {
        self.symbol_text(sym)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for text in self.symbols.get_mut().texts.drain(..) {
            // SAFETY: each text was leaked by `symbol` once, and nobody keeps one beyond the engine.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(text).cast_mut()) });
        }
    }
}

impl TypeInfo {
    pub(crate) fn new(id: u32, name: &str, shape: Shape) -> TypeInfo {
        TypeInfo {
            id,
            name: name.into(),
            shape,
            parent: None,
            traits: Vec::new(),
            fields: Vec::new(),
            is_error: false,
            is_local: false,
            is_mutable: false,
            variants: Vec::new(),
            is_unit: false,
            methods: RwLock::default(),
            value: RwLock::new(Value::UNSET),
            constructor: crate::types::LinkedValue::new(Value::UNSET),
            unit: RwLock::new(Value::UNSET),
        }
    }
}

/// A seed that cannot be guessed.
pub(crate) fn fresh_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}

/// Zeroed memory that the operating system provides page by page as it is touched.
fn lazily_zeroed(count: usize) -> Box<[AtomicU64]> {
    let layout = std::alloc::Layout::array::<AtomicU64>(count).expect("a small constant");
    // SAFETY: all-zero bits are a valid AtomicU64; the box frees with the same layout.
    unsafe {
        let memory = std::alloc::alloc_zeroed(layout).cast::<AtomicU64>();
        if memory.is_null() {
            std::alloc::handle_alloc_error(layout);
        }
        Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_places() {
        let mut next = (0, 0);
        for id in 0..100_000 {
            assert_eq!(place_of_type(id), next);
            next.1 += 1;
            if next.1 == (FIRST_TYPES as usize) << next.0 {
                next = (next.0 + 1, 0);
            }
        }
        assert_eq!(place_of_type(MOST_TYPES - 1).0, TYPE_CHUNKS - 1);
    }
}
