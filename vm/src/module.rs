//! Modules that are linked to an engine: code with its constants made, ready to run.

use crate::bytecode::{CaptureSource, CodeSpan, Counter, HandlerRange, Op, Word};
use crate::object::Closure;
use crate::types::Sym;
use crate::value::Value;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// Links of a function by the index of their constant.
pub type Links = HashMap<u32, Link, BuildHasherDefault<IndexHasher>>;

/// Spreads small numbers that nobody chooses to do harm: a look-up is made for each closure that is created.
#[derive(Default)]
pub struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(byte.into());
        }
    }
    fn write_u32(&mut self, n: u32) {
        self.0 = (self.0 ^ u64::from(n)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// A linked function. Never moves and lives as long as its engine, so that code, closures and return words may point into it.
pub struct Proto {
    pub code_start: *const u64,
    /// `K[0]`; the function's `Head` lies in front of it.
    pub consts_start: *const Value,
    /// `params` if a call with exactly so many positional arguments needs no binding, else `u32::MAX`.
    pub exact_arity: u32,
    /// Registers of a frame (a generator's last one holds the generator itself).
    pub registers: u32,
    /// The near head, then instructions; they and their inline caches are written by relaxed stores.
    pub code: Box<[u64]>,
    /// The head, then the constants: `K[i]` is `consts[Head::WORDS + i]`.
    pub consts: Box<[Value]>,
    pub params: u32,
    pub required: u32,
    pub has_rest: bool,
    pub is_generator: bool,
    pub is_internal: bool,
    /// Has cleanup handlers: a generator of it must be closed, not just dropped.
    pub has_cleanup: bool,
    pub name: Box<str>,
    pub param_names: Vec<Sym>,
    pub handlers: Vec<HandlerRange>,
    pub captures: Vec<CaptureSource>,
    pub spans: Vec<(u32, CodeSpan)>,
    pub span: CodeSpan,
    pub module: *const Module,
    /// What constants stand for that are resolved or used by slow paths only, by index of the constant.
    pub links: Links,
    /// The module's own names in its code, each once. Its instructions do not tell for ever: they change as they run.
    pub(crate) named: Box<[Slot]>,
    /// Whatever it names, directly or by other functions, can cross to other threads, and stays so: see `thread::named`.
    pub(crate) is_settled: AtomicBool,
    /// It gives a `local var` its first value. Set once, when the module is linked.
    pub(crate) is_initialiser: AtomicBool,
}

/// What a call of a known function needs, in front of its code: the caller knows where the code is from its own instruction, without
/// following the pointers of constant, closure and head one after the other.
#[repr(C)]
pub(crate) struct NearHead {
    /// The function as a value; unset if it has captures.
    pub(crate) closure: Value,
    pub(crate) window_bytes: u64,
    pub(crate) consts: *const Value,
}

impl NearHead {
    pub(crate) const WORDS: usize = size_of::<NearHead>() / size_of::<u64>();

    /// Room for the head, then `code`.
    pub(crate) fn before(code: impl IntoIterator<Item = u64>) -> Box<[u64]> {
        std::iter::repeat_n(0, NearHead::WORDS)
            .chain(code)
            .collect()
    }
    /// The head of the function whose code begins at `code`.
    #[inline(always)]
    pub(crate) fn of(code: *const u64) -> *mut NearHead {
        code.wrapping_sub(NearHead::WORDS).cast_mut().cast()
    }
}

/// The call in `word` as a `CallNear`, if the permanent closure's code is near enough to `place`, where the word stands.
///
/// # Safety
/// `callee` must be a permanent closure that takes exactly the arguments that `word` gives.
pub(crate) unsafe fn near_call(word: Word, place: *const u64, callee: Value) -> Option<Word> {
    // SAFETY: its layout; prototypes live as long as the engine.
    let code = unsafe { (*(*callee.as_object().cast::<Closure>()).proto()).code_start };
    let bytes = (code as isize).wrapping_sub(place.wrapping_add(1) as isize);
    let words = i32::try_from(bytes / size_of::<u64>() as isize).ok()?;
    Some(word.with_op(Op::CallNear).with_imm(words))
}

/// What calls and returns read of a function; it lies in front of the constants, to which closures point.
#[repr(C)]
pub(crate) struct Head {
    pub(crate) proto: *const Proto,
    /// As in the prototype.
    pub(crate) exact_arity: u32,
    /// From a call window to the end of the frame in it.
    pub(crate) window_bytes: u32,
    pub(crate) code_start: *const u64,
    /// The module's globals.
    pub(crate) globals: *const Value,
}

impl Head {
    pub(crate) const WORDS: usize = size_of::<Head>() / size_of::<Value>();

    /// Room for the head, then `consts`.
    pub(crate) fn before(consts: impl IntoIterator<Item = Value>) -> Box<[Value]> {
        std::iter::repeat_n(Value::from_bits(0), Head::WORDS)
            .chain(consts)
            .collect()
    }
    /// The head of the function whose constant 0 is at `k`.
    #[inline(always)]
    pub(crate) fn of(k: *const Value) -> *const Head {
        k.wrapping_sub(Head::WORDS).cast()
    }
}

/// The meaning of a constant that is no plain value.
#[derive(Clone, Debug)]
pub enum Link {
    /// An export of another module.
    Import(Arc<Module>, Sym),
    /// A prototype of the same module, for `Closure`.
    Proto(Arc<Proto>),
    /// Names of arguments.
    Names(Box<[Sym]>),
}

impl std::fmt::Debug for Proto {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{}>", self.name)
    }
}
impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<module {}>", self.name)
    }
}

// SAFETY: constants are shared values; code is changed by relaxed atomic stores only.
unsafe impl Send for Proto {}
// SAFETY: as above.
unsafe impl Sync for Proto {}

impl Proto {
    /// Puts a prototype where it stays, and fills the head in.
    pub(crate) fn settled(self, globals: *const Value) -> Arc<Proto> {
        let this = Arc::new(self);
        let head = this.consts.as_ptr().cast_mut().cast::<Head>();
        let window_bytes = (this.registers as usize + 2) * size_of::<Value>();
        // SAFETY: `Head::before` and `NearHead::before` made room, as aligned as values are; nobody runs the prototype yet.
        unsafe {
            head.write(Head {
                proto: Arc::as_ptr(&this),
                exact_arity: this.exact_arity,
                window_bytes: window_bytes as u32,
                code_start: this.code_start,
                globals,
            });
            NearHead::of(this.code_start).write(NearHead {
                closure: Value::UNSET,
                window_bytes: window_bytes as u64,
                consts: this.consts_start,
            });
        }
        this
    }
    /// The number of words of its code.
    pub(crate) fn code_len(&self) -> usize {
        self.code.len() - NearHead::WORDS
    }
    /// The place of a constant.
    pub(crate) fn constant(&self, index: usize) -> *mut Value {
        (&raw const self.consts[Head::WORDS + index]).cast_mut()
    }
    /// What a `defer` runs: no function of a program can have these names.
    pub(crate) fn is_deferred(&self) -> bool {
        matches!(&*self.name, "<defer>" | "<deferred call>")
    }
    /// The stub that ends a run of the loop.
    pub(crate) fn is_stub(&self) -> bool {
        self.module.is_null()
    }
    /// The place in the source that the word at `index` came from.
    pub fn span_at(&self, index: u32) -> CodeSpan {
        match self.spans.partition_point(|(start, _)| *start <= index) {
            0 => self.span,
            n => self.spans[n - 1].1,
        }
    }
}

/// What a module's name stands for, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// Index into `globals`.
    Global(u32),
    /// Index into the module's variables, of which the owning thread has the values.
    Var(u32),
}

/// A linked module.
pub struct Module {
    pub name: String,
    pub path: String,
    pub source: Arc<str>,
    /// Write-once slots. Written by the thread that runs the module, through `set_global`.
    pub globals: Box<[std::cell::UnsafeCell<Value>]>,
    /// Top-level names: slot, is `pub`.
    pub names: HashMap<Sym, (Slot, bool)>,
    /// Indices of globals that are frozen when set.
    pub const_globals: Vec<u32>,
    /// First of its variables in a thread's table, and their number.
    pub var_base: u32,
    pub var_count: u32,
    /// `local var`s: initialiser by index within the module.
    pub initialisers: std::sync::OnceLock<HashMap<u32, Arc<Proto>>>,
    pub imports: Vec<Arc<Module>>,
    pub protos: std::sync::OnceLock<Vec<Arc<Proto>>>,
    pub tests: Vec<(String, u32)>,
    /// What `counts` counts.
    pub counters: Vec<Counter>,
    pub counts: Box<[AtomicU64]>,
    /// The module as a value; permanent.
    pub value: std::sync::OnceLock<Value>,
    /// The body has been started.
    pub has_run: std::sync::atomic::AtomicBool,
    /// The thread that ran the body: it has the module's variables, and what is mutable among its names.
    pub(crate) owner: std::sync::atomic::AtomicU64,
}

// SAFETY: globals are written by the running thread before others can see the module's names; values in them are published by it.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

impl Module {
    /// The value of a name; unset: not set yet, or its owner keeps it (`owned_slot`).
    pub(crate) fn global(&self, index: u32) -> Value {
        Value::from_bits(
            self.global_word(index)
                .load(std::sync::atomic::Ordering::Acquire),
        )
    }
    /// Publishes a permanent value. What it leads to was written before: release.
    pub(crate) fn set_global(&self, index: u32, value: Value) {
        debug_assert!(!value.is_local());
        self.global_word(index)
            .store(value.bits(), std::sync::atomic::Ordering::Release);
    }
    fn global_word(&self, index: u32) -> &std::sync::atomic::AtomicU64 {
        // SAFETY: a slot is one word, which is only used as an atomic. (The interpreter's fast path reads it by an ordinary load: the value
        // depends on it, and hardware keeps dependent loads in order.)
        unsafe { &*self.globals[index as usize].get().cast() }
    }
    /// Where the owner's table of variables has the name if its value is not for other threads.
    pub(crate) fn owned_slot(&self, index: u32) -> u32 {
        self.var_base + self.var_count + index
    }
    /// The function whose code is the module's body.
    pub(crate) fn body(&self) -> Arc<Proto> {
        self.protos.get().expect("linked modules have code")[0].clone()
    }
    /// Line and column (both from 1, column in characters) of a byte offset.
    pub fn position(&self, offset: u32) -> (usize, usize) {
        let before = &self.source.as_bytes()[..(offset as usize).min(self.source.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |p| p + 1);
        (
            line,
            String::from_utf8_lossy(&before[start..]).chars().count() + 1,
        )
    }
}
