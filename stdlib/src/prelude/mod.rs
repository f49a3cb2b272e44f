//! The prelude: natives in Rust, and `prelude.hd` for all that calls script code or takes steps.

pub(crate) mod builder;
mod errors;
mod functions;
mod hooks;
mod lists;
mod maps;
mod numbers;
mod sorting;
mod strings;

use heddle_vm::Value;
use heddle_vm::native::{Ctx, LibrarySource, NativeDef, Trap};
use heddle_vm::ops::OpFail;
use heddle_vm::types::ErrorKind;

/// What every program sees without an import.
pub struct PreludeSpec {
    /// Tables of natives: to be registered before the source is linked.
    pub natives: &'static [&'static [NativeDef]],
    /// Heddle code: every top-level function is a name of the prelude, `type__name` a method.
    pub source: LibrarySource,
    /// Types that also have the methods of another, as far as they lack them: (type, the other, which; empty for all).
    pub aliases: &'static [(&'static str, &'static str, &'static [&'static str])],
}

/// What lists have and other containers share: it only iterates.
const OF_ANY_CONTAINER: &[&str] = &[
    "map",
    "filter",
    "reduce",
    "fold",
    "each",
    "any",
    "all",
    "find",
    "sum",
    "min",
    "max",
    "group_by",
    "flat_map",
    "enumerate",
];

/// The prelude.
pub fn prelude() -> PreludeSpec {
    PreludeSpec {
        natives: TABLES,
        source: heddle_source!("prelude"),
        aliases: &[
            ("generator", "iterator", &[]),
            ("range", "iterator", &[]),
            ("tuple", "list", OF_ANY_CONTAINER),
            ("tuple", "list", &["contains", "index_of", "count"]),
            ("tuple", "iterator", &["join", "sorted"]),
            ("set", "list", OF_ANY_CONTAINER),
            ("set", "iterator", &["join", "sorted"]),
        ],
    }
}

static TABLES: &[&[NativeDef]] = &[
    functions::FUNCTIONS,
    errors::ERRORS,
    hooks::HOOKS,
    strings::STRINGS,
    lists::LISTS,
    builder::BUILDING,
    sorting::SORTING,
    maps::MAPS,
    numbers::NUMBERS,
    heddle_vm::thread::natives::CONCURRENCY,
    heddle_vm::shared::select::SELECT,
    heddle_vm::shared::channel::CHANNEL,
    heddle_vm::shared::permits::PERMITS,
    heddle_vm::shared::scoped::SCOPED,
    heddle_vm::shared::atomic::ATOMIC,
    heddle_vm::shared::broadcast::BROADCAST,
    heddle_vm::shared::once::ONCE,
    heddle_vm::shared::queue::QUEUE,
    heddle_vm::shared::shared_map::SHARED_MAP,
    heddle_vm::shared::thread_local::THREAD_LOCAL,
];

/// Leaves a native for a function of the prelude, whose result is the native's.
pub(crate) fn call_prelude(ctx: &mut Ctx, name: &str, args: &[Value]) -> Trap {
    match ctx.engine().prelude_value(name) {
        Some(function) => ctx.tail_call(function, args),
        None => ctx.throw(ErrorKind::Name, format!("the prelude has no {name}")),
    }
}

/// The result of an operation; what takes steps is done by the function of the prelude that it names, whose result is the native's.
pub(crate) fn done_in_steps<T>(
    ctx: &mut Ctx,
    result: Result<T, OpFail>,
    args: &[Value],
) -> Result<T, Trap> {
    match result {
        Err(OpFail::NeedsSteps(name)) => Err(call_prelude(ctx, name, args)),
        result => ctx.done(result),
    }
}
