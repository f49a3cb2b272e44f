//! Rust functions that scripts call: how they are declared, and what they may do (`Ctx`).
//!
//! A native runs to its end without a collection, so it may hold values for the whole call. There is no way to call script and come
//! back: one that must, is written in Heddle over smaller natives, or ends in a tail call (`Ctx::tail_call`). So nothing in
//! the standard library pins a task or recurses natively. A host's function may call back (`HostCtx`), and pins.

mod ctx;
mod host;
mod values;

pub use ctx::Ctx;
pub(crate) use ctx::with_article;
pub(crate) use host::call_blocking;
pub use host::{BlockingFn, BlockingWork, HostCode, HostCtx, HostFn, MakeResult};

use crate::value::Value;

/// Why a native (or a slow path) does not simply return a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// An error is thrown; it is in `Thread::thrown`.
    Throw,
    /// Nothing has been done yet: collect, and run the operation again.
    Collect,
    /// Call `Thread::pending_call` instead; its result is the native's.
    Call,
    /// The task waits (`Thread::pending_wait`).
    Suspend,
    /// Out of fuel: `Thread::pc` is at the instruction, which is run again after the safepoint.
    Safepoint,
    /// The program ends now (`os.exit`): the code is in `Thread::exit_code`.
    Exit,
}

/// What a native returns.
pub type NativeResult = Result<Value, Trap>;
/// The Rust side of a native.
pub type NativeFn = for<'c> fn(&mut Ctx<'c>) -> NativeResult;

/// What a native does to the OS thread it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Never waits.
    Plain,
    /// Parks the task and frees the carrier.
    Suspending,
    /// Holds an OS thread while it waits for the system.
    Blocking,
}

/// A native function as it is declared.
pub struct NativeDef {
    /// `print`, `list.push`, `fs.read`.
    pub name: &'static str,
    /// Names of the parameters: `x?` is optional, `..xs` takes the rest.
    pub params: &'static [&'static str],
    pub class: Class,
    pub func: NativeFn,
    /// What it does, in a line or two.
    pub doc: &'static str,
    /// Whether its arguments go to another thread: it acts on those written `copy(x)` itself.
    pub crossing: bool,
    /// A method that is read like a field: `listener.port`.
    pub property: bool,
    /// A host's closure instead of `func`.
    pub host: Option<Box<HostFn>>,
    /// A host's closure that `func` works with.
    pub blocking: Option<Box<BlockingFn>>,
    /// Called instead of going on with one that has waited in the middle of itself and whose task was cancelled: with the same arguments and `Ctx::state`. Its result is not used.
    pub given_up: Option<NativeFn>,
    /// What it does in the usual case, for method calls with all arguments.
    pub(crate) fast_path: Option<FastPathFn>,
    /// With so many arguments, up to all of them, a call needs no binding: those that are left out are unset.
    pub(crate) fewest: u8,
}

/// How many arguments a native must have, if it has so few that may be left out that there is always room for these behind a frame, and does not wait: who waits keeps
/// its arguments as they were given.
const fn fewest(params: &[&str], class: Class) -> u8 {
    const MOST_LEFT_OUT: usize = 8;
    let mut required = 0;
    while required < params.len() {
        let name = params[required].as_bytes();
        if name[name.len() - 1] == b'?' || name[0] == b'.' {
            break;
        }
        required += 1;
    }
    let is_plain = matches!(class, Class::Plain);
    match is_plain && params.len() - required <= MOST_LEFT_OUT && params.len() < 128 {
        true => required as u8,
        false => u8::MAX,
    }
}

/// How the fast path of a native ended. It neither panics nor collects, and nobody counts it: it is short.
pub(crate) enum FastPath {
    Done(Value),
    /// The task waits: as `Trap::Suspend`.
    Parked,
    /// This is not the usual case. Nothing was done.
    NotUsual,
}
/// The fast path of a native: gets its arguments, all of them.
pub(crate) type FastPathFn = fn(&mut crate::Thread, *const Value) -> FastPath;

impl NativeDef {
    /// For tables; see `natives!`.
    pub const fn new(
        name: &'static str,
        params: &'static [&'static str],
        class: Class,
        func: NativeFn,
        doc: &'static str,
    ) -> NativeDef {
        NativeDef {
            name,
            params,
            class,
            func,
            doc,
            crossing: false,
            property: false,
            host: None,
            blocking: None,
            given_up: None,
            fast_path: None,
            fewest: fewest(params, class),
        }
    }
    /// What it does in the usual case.
    pub(crate) const fn fast_path(mut self, func: FastPathFn) -> NativeDef {
        // It reads them all: none may be left out.
        assert!(self.fewest == u8::MAX || self.fewest as usize == self.params.len());
        self.fast_path = Some(func);
        self
    }
    /// What to do if its task is cancelled while it waits.
    pub const fn given_up(mut self, func: NativeFn) -> NativeDef {
        self.given_up = Some(func);
        self
    }
    /// Its arguments go to another thread.
    pub const fn crossing(mut self) -> NativeDef {
        self.crossing = true;
        self
    }
    /// It is read like a field.
    pub const fn property(mut self) -> NativeDef {
        self.property = true;
        self
    }
    /// How many arguments must be given.
    pub fn required(&self) -> usize {
        self.params
            .iter()
            .take_while(|p| !p.ends_with('?') && !p.starts_with(".."))
            .count()
    }
    /// How many parameters there are besides the rest.
    pub fn fixed(&self) -> usize {
        self.params.len() - self.has_rest() as usize
    }
    /// The number of parameters, if a call may do without binding (see `fewest`); `u16::MAX`: every call needs it.
    pub(crate) fn exact_arity(&self) -> u16 {
        if self.has_rest() {
            u16::MAX
        } else {
            self.fixed() as u16
        }
    }
    /// Whether the last parameter takes what is left over.
    pub fn has_rest(&self) -> bool {
        self.params.last().is_some_and(|p| p.starts_with(".."))
    }
    /// The name of what a module's source offers by this function: `regex.find` for `regex.__find`.
    pub fn public_name(&self) -> String {
        match self.name {
            name if name.starts_with("__scope_") => "scope".into(),
            // Steps of what the library's own code does: named after that.
            name if let Some(step) = name.strip_prefix("__") => {
                ["_step", "_begin", "_long", "_slow"]
                    .iter()
                    .find_map(|end| step.strip_suffix(end))
                    .unwrap_or(step)
                    .into()
            }
            name => name.replacen(".__", ".", 1),
        }
    }
    /// The method or function name without the type or module in front.
    pub fn short_name(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, short)) if !short.is_empty() => short,
            _ => self.name,
        }
    }
}

/// Makes a table of natives: `natives! { /// doc⏎ plain "list.push" (self, value) => list_push; … }`. Parameters are string
/// literals where they are no identifiers: `("x?", "..rest")`. `suspending crossing "channel.send" …`: see `NativeDef::crossing`; `=> write, given_up tidy;`: see `NativeDef::given_up`.
#[macro_export]
macro_rules! natives {
    ($($(#[doc = $doc:literal])* $class:ident $($mark:ident)? $name:literal ($($param:tt),* $(,)?) => $func:expr $(, $after:ident $more:expr)?;)*) => {
        &[$($crate::native::NativeDef::new(
            $name,
            &[$($crate::natives!(@param $param)),*],
            $crate::natives!(@class $class),
            $func,
            concat!($($doc, "\n"),*),
        )$(.$mark())?$(.$after($more))?),*]
    };
    (@param $param:literal) => { $param };
    (@param $param:tt) => { stringify!($param) };
    (@class plain) => { $crate::native::Class::Plain };
    (@class suspending) => { $crate::native::Class::Suspending };
    (@class blocking) => { $crate::native::Class::Blocking };
}

/// A module of the standard library.
pub struct NativeModule {
    pub name: &'static str,
    /// Named `module.function`; those whose function begins with `__` are seen only by the module's own source.
    pub functions: &'static [NativeDef],
    /// Values that are not functions: `math.pi`.
    pub constants: fn(&mut ModuleBuilder<'_>),
    /// Heddle code whose `pub` names are exports, too.
    pub source: Option<LibrarySource>,
}

/// A part of the library that is written in Heddle.
#[derive(Clone, Copy)]
pub struct LibrarySource {
    /// What its source declares and says of that, packed. The library knows.
    pub text: &'static [u8],
    /// The source compiled: `ModuleCode::to_bytes`, perhaps packed. The library knows.
    pub code: &'static [u8],
}

/// Receives a native module's constants.
pub struct ModuleBuilder<'a> {
    pub(crate) engine: &'a crate::engine::Engine,
    pub(crate) constants: Vec<(String, Value)>,
}

impl ModuleBuilder<'_> {
    pub fn float(&mut self, name: &str, value: f64) {
        self.constants.push((name.into(), Value::float(value)));
    }
    /// `value` must fit 48 bits.
    pub fn int(&mut self, name: &str, value: i64) {
        self.constants.push((name.into(), Value::small_int(value)));
    }
    pub fn str(&mut self, name: &str, value: &str) {
        let value = self.engine.permanent_str(value);
        self.constants.push((name.into(), value));
    }
}
