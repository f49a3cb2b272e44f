//! What the compiler hands to the VM: a module as plain data, not yet linked to an engine.
//!
//! Nothing here is trusted: `verify` checks every word before `link` turns it into something that runs.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A byte range of the module's source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSpan {
    pub start: u32,
    pub end: u32,
}

/// A compiled module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModuleCode {
    /// What the program calls it: `util` for `./util.hd`.
    pub name: String,
    /// The file it came from, as shown in messages; `<string>`, `<stdin>`, `<repl>` … otherwise.
    pub path: String,
    /// The source text, for snippets in messages. Not among the module's bytes.
    #[serde(skip)]
    pub source: Arc<str>,
    /// Names used as operands (fields, methods, globals).
    pub symbols: Vec<Box<str>>,
    /// The modules that must have run before this one.
    pub imports: Vec<ModuleRef>,
    /// Write-once slots: `let`, `const`, functions, types and imports at top level that functions use or that are `pub`.
    pub globals: Vec<GlobalDef>,
    /// Slots of the owning thread: `var` at top level that functions use or that are `pub`, and `local var`.
    pub vars: Vec<VarDef>,
    /// Struct types, enums, their variants, and traits.
    pub types: Vec<TypeDef>,
    /// Prototypes of functions; the first is the module's body.
    pub protos: Vec<ProtoCode>,
    /// `test` blocks: name, prototype.
    pub tests: Vec<(String, u32)>,
    /// What its `Count` instructions count.
    pub counters: Vec<Counter>,
}

/// A place whose visits are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// From 1.
    pub line: u32,
    /// The function that begins there.
    pub function: Option<Box<str>>,
}

/// A module that another one imports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ModuleRef {
    /// `import fs`
    Std(Box<str>),
    /// A file: its canonical key, made by the loader that resolved it.
    File(Box<str>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GlobalDef {
    /// Index in `symbols`.
    pub name: u32,
    pub is_pub: bool,
    /// Frozen when set (`const`).
    pub is_const: bool,
    /// Set when the module is linked: functions without captures and types.
    pub initial: Option<Const>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VarDef {
    pub name: u32,
    pub is_pub: bool,
    /// `local var`: a function without parameters that stores the first value (`SetVar`) and returns it.
    pub initialiser: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TypeShape {
    Struct,
    Enum,
    /// A variant; `parent` is its enum.
    Variant,
    Trait,
}

/// A type that a module declares.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TypeDef {
    /// As printed: `Point`, `Shape`, `Circle`.
    pub name: u32,
    pub shape: TypeShape,
    /// A variant's enum (index in `types`).
    pub parent: Option<u32>,
    /// Enum: its variants (indices in `types`), in order.
    pub variants: Vec<u32>,
    /// Traits and, for errors, the error kind: constants `Type`, `Import` or `Prelude`.
    /// The linker copies a trait's methods that the type lacks.
    pub bases: Vec<Const>,
    /// Fields in order: name, assignable. A struct with an error among its bases has the fields of `Error`
    /// (`message kind data cause trace`) in front of these; the compiler does not list them here.
    pub fields: Vec<(u32, bool)>,
    /// Methods: name, prototype, has `self`. Required methods of a trait are not here but in `required`.
    pub methods: Vec<(u32, u32, bool)>,
    pub required: Vec<u32>,
    /// Called when the type is called: takes the fields, ends in `NewStruct`. `None` for traits, enums, variants without parentheses.
    pub constructor: Option<u32>,
    /// A struct with bases of other modules: what its constructor is made of if one of them turns out to be a kind of error when
    /// the module is linked. The one above is that of a struct whose bases are traits.
    pub as_error: Option<ErrorConstructor>,
    /// `Empty` against `Empty()`: a variant that is a value by itself.
    pub is_unit: bool,
    /// Declared in a function, with methods that capture, or based on such a type: made by `NewType`. Only its methods and constructors may
    /// capture; the constructor takes the type in front of the fields, and `NewStruct` gets it behind them.
    pub is_local: bool,
}

/// What the constructor of a kind of error is made of, whose base is not known before linking.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ErrorConstructor {
    /// The fields that this module declares, those of bases in it first: name (a symbol), and the prototype of the default, which takes
    /// the fields in front of it.
    pub fields: Vec<(u32, Option<u32>)>,
}

/// The built-in kinds of error, in the order of their type ids.
pub const ERROR_KINDS: &[&str] = &[
    "Error",
    "TypeError",
    "ValueError",
    "ArithmeticError",
    "IndexError",
    "KeyError",
    "MatchError",
    "NameError",
    "AssertError",
    "StackOverflow",
    "FrozenError",
    "ShareError",
    "TroopError",
    "LimitError",
    "BlockingError",
    "PermissionError",
    "Cancelled",
    "Timeout",
    "ChannelClosed",
    "Deadlock",
    "IoError",
    "StopIteration",
];

/// The fields that every error has in front of its own.
pub const ERROR_FIELDS: [&str; 5] = ["message", "kind", "data", "cause", "trace"];

/// A constant of a prototype.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Const {
    Nil,
    Bool(bool),
    Int(i64),
    /// Decimal digits, perhaps with a sign.
    BigInt(Box<str>),
    Float(f64),
    /// Nanoseconds.
    Duration(i64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    /// Whole numbers `start..end`, for patterns.
    Range {
        start: i64,
        end: i64,
        inclusive: bool,
    },
    /// A function without captures (a closure made when linking).
    Fn(u32),
    /// A prototype, for `Closure`.
    Proto(u32),
    /// A type of this module.
    Type(u32),
    /// An export of `imports[module]`, resolved when this module is about to run.
    Import {
        module: u32,
        name: Box<str>,
    },
    /// The module object of `imports[module]`.
    Module(u32),
    /// A name of the prelude (`print`, `Error`, `int`, `__lt` …).
    Prelude(Box<str>),
    /// Symbols: names of arguments, for `CallNamed` and (method first) `InvokeNamed`.
    Names(Vec<u32>),
}

/// Where a closure takes a capture from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureSource {
    /// A register of the frame that makes the closure.
    Register(u8),
    /// A capture of the closure that runs there.
    Capture(u32),
}

/// A protected range of code. When something is thrown at a pc in `start..end` (word indices; the innermost, i.e. first
/// listed, counts), `R[reg]` is set to it and control goes to `target`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct HandlerRange {
    pub start: u32,
    pub end: u32,
    pub target: u32,
    pub reg: u8,
    /// Where the handler's own code, which begins at `target`, ends.
    pub target_end: u32,
    /// Runs defers or closes iterators and throws again: also entered when a generator is closed or a task is killed.
    pub is_cleanup: bool,
}

/// A function's code.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProtoCode {
    /// `fib`, `Point.len`, `<closure>`, `<module>`.
    pub name: String,
    /// Names of the parameters, in order (`self` included, `..rest` not); empty text for patterns.
    pub params: Vec<Box<str>>,
    /// How many parameters, from the first, a call must give by position or name unless they have a default.
    /// Parameters beyond it are unset when not given; the code then computes the default (`JumpIfSet`) or complains (`CheckArg`).
    pub required: u32,
    /// Register `params.len()` gets a list of what is left over.
    pub has_rest: bool,
    pub is_generator: bool,
    /// Registers that the frame needs, call windows included.
    pub registers: u32,
    pub code: Vec<u64>,
    pub consts: Vec<Const>,
    /// Innermost first.
    pub handlers: Vec<HandlerRange>,
    pub captures: Vec<CaptureSource>,
    /// (first word, place): sorted by word; a word belongs to the last entry at or before it.
    pub spans: Vec<(u32, CodeSpan)>,
    /// Where the function is declared.
    pub span: CodeSpan,
    /// Code of the library (prelude): left out of traces.
    pub is_internal: bool,
}
