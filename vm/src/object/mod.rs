//! Layouts of objects: the only place that knows them. All are `repr(C)` and start with a one-word `Header`; a JIT and the
//! snapshot writer depend on that.
//!
//! Objects of a thread's heap are *local*: they may move, but only during a collection. Shared ones never move.
//! A list's and a map's buffers are objects of kind `ValueBuffer`/`RawBuffer` that belong to exactly one owner: only the owner
//! refers to them (by raw pointer), the collector reaches them through it, and the write barrier is the owner's.

use crate::value::Value;

pub mod size;
pub mod trace;

/// The kind of an object: its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Int64,
    BigInt,
    Duration,
    Str,
    Bytes,
    Tuple,
    Range,
    List,
    Map,
    Set,
    /// An instance of a struct, a mutable or immutable one, errors too.
    Struct,
    /// An instance of an enum's variant.
    Variant,
    Closure,
    Native,
    BoundMethod,
    Cell,
    Type,
    Module,
    Generator,
    Iter,
    Task,
    /// Names an object that threads share (channel, semaphore, thread …); lies in a bundle that owns it.
    Handle,
    Trace,
    /// An object of the host or of a native module (file, compiled pattern, sort in progress …).
    Host,
    /// The elements of a list or the entries of a map.
    ValueBuffer,
    /// The index of a map, or other bytes without values.
    RawBuffer,
    /// A moved object: the second word is where it went.
    Forward,
}

/// Type ids below this are the built-in types.
pub const FIRST_USER_TYPE: u32 = 64;

/// Type ids of the built-in types: what `type(x)` names, and what inline caches compare.
pub mod type_id {
    pub const NIL: u32 = 1;
    pub const BOOL: u32 = 2;
    pub const INT: u32 = 3;
    pub const FLOAT: u32 = 4;
    pub const STRING: u32 = 5;
    pub const BYTES: u32 = 6;
    pub const DURATION: u32 = 7;
    pub const RANGE: u32 = 8;
    pub const TUPLE: u32 = 9;
    pub const LIST: u32 = 10;
    pub const MAP: u32 = 11;
    pub const SET: u32 = 12;
    pub const FUNCTION: u32 = 13;
    pub const TYPE: u32 = 14;
    pub const MODULE: u32 = 15;
    pub const GENERATOR: u32 = 16;
    pub const ITERATOR: u32 = 17;
    pub const TASK: u32 = 18;
    pub const HOST: u32 = 19;
    /// Not visible to programs: cells, buffers, traces.
    pub const INTERNAL: u32 = 20;
    pub const THREAD: u32 = 21;
    pub const CHANNEL: u32 = 22;
    pub const SEMAPHORE: u32 = 23;
    pub const MUTEX: u32 = 24;
    pub const BARRIER: u32 = 25;
    pub const LATCH: u32 = 26;
    pub const ATOMIC: u32 = 27;
    pub const TROOP: u32 = 28;
    pub const SCOPED: u32 = 29;
    /// `Error`, then the built-in kinds in the order of `types::ERROR_KINDS`; further built-in types follow these.
    pub const ERROR: u32 = 32;
    pub const BROADCAST: u32 = 57;
    pub const SUBSCRIBER: u32 = 58;
    pub const ONCE: u32 = 59;
    pub const SHARED_MAP: u32 = 60;
    pub const THREAD_LOCAL: u32 = 61;
    pub const QUEUE: u32 = 62;
}

/// A store of an object into this one must go through the barrier (it is old and not yet remembered).
pub const FLAG_BARRIER: u8 = 1;
/// May not be changed: made by `freeze`, or immutable by nature where a store would otherwise be possible.
pub const FLAG_FROZEN: u8 = 2;
/// A string of ASCII characters only.
pub const FLAG_ASCII: u8 = 4;
/// Reached by the running mark.
pub const FLAG_MARK: u8 = 8;
/// Lies in the old space (small block or block of its own).
pub const FLAG_OLD: u8 = 16;
/// Permanent or in a bundle: never moved, never marked by a thread's collector.
pub const FLAG_SHARED: u8 = 32;
/// Lies in a block of its own.
pub const FLAG_LARGE: u8 = 64;
/// Is in the heap's remembered set.
pub const FLAG_REMEMBERED: u8 = 128;

/// First word of every object: `type_id:32 | flags:8 | kind:8 | aux:16` (low to high).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Header {
    pub type_id: u32,
    pub flags: u8,
    pub kind: Kind,
    /// Number of fields, captures or saved registers; sign of a big int; form of a range or iterator.
    pub aux: u16,
}

impl Header {
    pub fn new(kind: Kind, type_id: u32, aux: u16) -> Header {
        Header {
            type_id,
            flags: 0,
            kind,
            aux,
        }
    }
    #[inline(always)]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The size of every object is a multiple of this.
pub const ALIGN: usize = 8;

/// Rounds up to a multiple of `ALIGN`.
#[inline(always)]
pub const fn align_up(bytes: usize) -> usize {
    (bytes + ALIGN - 1) & !(ALIGN - 1)
}

/// An int that needs more than 48 and at most 64 bits, or a duration in nanoseconds.
#[repr(C)]
pub struct Int64 {
    pub header: Header,
    pub value: i64,
}

/// An int beyond 64 bits: magnitude in 64-bit limbs, least first, no leading zeros; `aux` = 1: negative.
#[repr(C)]
pub struct BigIntObject {
    pub header: Header,
    pub limbs: u64,
    // `limbs` words follow
}

/// UTF-8 text. ASCII: the bytes follow. Otherwise (`FLAG_ASCII` unset) a `StrIndex` and its table come first.
#[repr(C)]
pub struct Str {
    pub header: Header,
    /// Length in bytes.
    pub len: u32,
    /// 0: not yet computed. Relaxed and idempotent, since shared strings are hashed by several carriers.
    pub hash: std::sync::atomic::AtomicU32,
}

/// Behind the `Str` of a text that is not ASCII: how many characters it has, and where every 64th begins.
#[repr(C)]
pub struct StrIndex {
    pub chars: u32,
    /// 0: the table is not filled yet; 1: it is (release/acquire).
    pub is_filled: std::sync::atomic::AtomicU32,
    // then `chars.div_ceil(64)` offsets (u32, padded to 8 bytes), then the bytes
}

#[repr(C)]
pub struct Bytes {
    pub header: Header,
    pub len: u32,
    pub hash: std::sync::atomic::AtomicU32,
    // bytes follow
}

#[repr(C)]
pub struct Tuple {
    pub header: Header,
    pub len: u32,
    pub hash: std::sync::atomic::AtomicU32,
    // `len` values follow
}

/// `start..end`; `aux` bit 0: inclusive, bit 1: step given, bit 2: start open, bit 3: end open.
#[repr(C)]
pub struct Range {
    pub header: Header,
    pub start: Value,
    pub end: Value,
    pub step: Value,
}

#[repr(C)]
pub struct List {
    pub header: Header,
    pub len: u32,
    pub capacity: u32,
    /// The first element inside a `ValueBuffer` object; null while `capacity` is 0.
    pub items: *mut Value,
}

/// A map's entry; a set's too, with `value` nil. A removed one has an unset key.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entry {
    pub key: Value,
    pub value: Value,
}

/// A map or set in insertion order: entries in a row, and an open-addressing index of their positions.
#[repr(C)]
pub struct Map {
    pub header: Header,
    /// Live entries.
    pub len: u32,
    /// Entries in use, removed ones included.
    pub used: u32,
    pub capacity: u32,
    /// Slots of the index: 0 (few entries: searched in a row) or a power of two.
    pub index_slots: u32,
    /// Inside a `ValueBuffer` object; null while `capacity` is 0.
    pub entries: *mut Entry,
    /// Inside a `RawBuffer` object: `hash:32 | position + 1:32` (0: free); null while `index_slots` is 0.
    pub index: *mut u64,
    /// An index of twice as many slots in the making, with one word more; null: none. Inside a `RawBuffer` object.
    pub next_index: *mut u64,
}

/// Instance of a struct (`Struct`) or of an enum's variant (`Variant`): `aux` fields follow.
#[repr(C)]
pub struct Instance {
    pub header: Header,
}

/// `aux` captures follow.
#[repr(C)]
pub struct Closure {
    pub header: Header,
    /// Constant 0 of its function; what else a call needs lies in front of it (`module::Head`).
    pub consts: *const Value,
}

impl Closure {
    /// # Safety
    /// The closure must be one of a linked function.
    #[inline(always)]
    pub(crate) unsafe fn proto(&self) -> *const crate::module::Proto {
        // SAFETY: heads live as long as the engine.
        unsafe { (*crate::module::Head::of(self.consts)).proto }
    }
}

#[repr(C)]
pub struct NativeFunction {
    pub header: Header,
    pub def: *const crate::native::NativeDef,
}

/// A method with its receiver. In the engine's table of methods: `function` is a number, and `receiver` the local type whose methods capture; the closure
/// is found by way of the instance (`interp::slow::types`).
#[repr(C)]
pub struct BoundMethod {
    pub header: Header,
    pub receiver: Value,
    pub function: Value,
}

/// A variable that functions capture. `aux`: `FIXED` once it has the value that it keeps.
#[repr(C)]
pub struct Cell {
    pub header: Header,
    pub value: Value,
}

impl Cell {
    /// The name is no `var`: functions captured it before it had its value, such as a local function itself.
    pub(crate) const FIXED: u16 = 1;
}

/// A type as a value.
#[repr(C)]
pub struct TypeObject {
    pub header: Header,
    pub info: *const crate::types::TypeInfo,
    /// The header of the type's instances.
    pub template: Header,
    /// One that a declaration in a function made (`TypeInfo::is_local`): the tuple of what its methods captured, and of the types it is based on
    /// (see `interp::slow::types`); else nil.
    pub env: Value,
}

#[repr(C)]
pub struct ModuleObject {
    pub header: Header,
    pub module: *const crate::module::Module,
}

/// A suspended generator: its one frame, copied out of the register stack (see `interp`). `aux`: registers that are saved.
#[repr(C)]
pub struct Generator {
    pub header: Header,
    /// A `GeneratorState`.
    pub state: u64,
    pub closure: Value,
    /// Word index in the closure's code at which it goes on.
    pub pc: u64,
    /// How many registers there is room for.
    pub capacity: u64,
    // `capacity` values follow, of which the first `aux` are live
}

/// A native iterator: `aux` is an `IterKind`.
#[repr(C)]
pub struct Iter {
    pub header: Header,
    pub source: Value,
    /// Position: of the next element, byte or entry.
    pub position: u64,
    /// Length of the source when the iteration began, to notice changes.
    pub expected: u64,
    /// Whatever else the kind needs.
    pub extra: Value,
}

/// A task's handle. A named one has a further word: its name.
#[repr(C)]
pub struct TaskObject {
    /// `aux`: how the task ended (`task::Ended`; 0: it has not), `NAMED` and `KNOWN`.
    pub header: Header,
    pub id: u64,
    /// What it returned or threw, once it has ended; before, its address in the form of an int.
    pub result: Value,
}

impl TaskObject {
    /// Bit of `aux`: it has a name.
    pub(crate) const NAMED: u16 = 1 << 8;
    /// Bit of `aux`: its end is known, or nobody wants to know it.
    pub(crate) const KNOWN: u16 = 1 << 9;

    /// The task; null once it has ended.
    pub(crate) fn task(&self) -> *mut crate::task::Task {
        if self.ended() != 0 {
            return std::ptr::null_mut();
        }
        (self.result.bits() & ((1 << crate::value::TAG_SHIFT) - 1)) as *mut crate::task::Task
    }
    /// How it ended; 0: it has not.
    pub(crate) fn ended(&self) -> u16 {
        self.header.aux & !(TaskObject::NAMED | TaskObject::KNOWN)
    }
    /// Its name, or nil.
    pub(crate) fn name(&self) -> Value {
        if self.header.aux & TaskObject::NAMED == 0 {
            return Value::NIL;
        }
        // SAFETY: a named one has this word.
        unsafe { *std::ptr::from_ref(self).add(1).cast::<Value>() }
    }
}

/// `aux` of a handle.
pub(crate) struct HandleForm;

impl HandleForm {
    pub(crate) const ORDINARY: u16 = 0;
    /// It leads to a `Source`.
    pub(crate) const SOURCE: u16 = 1;
}

/// See `Kind::Handle`; `type_id` says what it is. A thread's leads to a `ThreadBlock`, any other to a `SharedObject`, which may be the head of a `Source`.
#[repr(C)]
pub struct Handle {
    pub header: Header,
    pub target: *const (),
}

/// Where an error was thrown: `len` pairs of words (prototype, word index), no values; newest first.
#[repr(C)]
pub struct Trace {
    pub header: Header,
    pub len: u64,
}

/// A Rust object: `index` in the heap's table of host objects, which drops it when the object dies.
#[repr(C)]
pub struct HostObject {
    pub header: Header,
    pub index: u64,
}

/// `bytes` bytes follow.
#[repr(C)]
pub struct Buffer {
    pub header: Header,
    pub bytes: u64,
}

/// What stands in place of an object that was moved.
#[repr(C)]
pub struct Forward {
    pub header: Header,
    pub to: *mut Header,
}

impl Value {
    /// The kind of object, `None` for values without one.
    #[inline(always)]
    pub fn kind(self) -> Option<Kind> {
        if self.is_object() {
            // SAFETY: values are only used while what they point to is alive.
            Some(unsafe { (*self.as_object()).kind })
        } else {
            None
        }
    }
    /// Whether it is an object of this kind.
    #[inline(always)]
    pub fn is_kind(self, kind: Kind) -> bool {
        // SAFETY: as in `kind`.
        self.is_object() && unsafe { (*self.as_object()).kind } == kind
    }
    /// The value's type id: what inline caches compare.
    #[inline]
    pub fn type_id(self) -> u32 {
        if self.is_object() {
            // SAFETY: as in `kind`.
            unsafe { (*self.as_object()).type_id }
        } else if self.is_small_int() {
            type_id::INT
        } else if self.is_float() {
            type_id::FLOAT
        } else if self.is_nil() {
            type_id::NIL
        } else if self.is_small_duration() {
            type_id::DURATION
        } else {
            type_id::BOOL
        }
    }
}
