//! Rust closures as functions that scripts call.

use crate::convert::{FromValue, IntoArgs, IntoValue, Refused, Scope};
use crate::error::Error;
use crate::handle::Handle;
use heddle_vm::Value;
use heddle_vm::native::{BlockingWork, HostCtx, Trap};
use heddle_vm::thread::{Failure, Thread};
use std::sync::Arc;

/// What a host's function may do besides looking at its arguments: ask for it as the first parameter.
///
/// ```
/// use heddle::{Context, Handle};
///
/// let mut engine = heddle::Engine::builder()
///     .function("twice", |context: &mut Context, f: Handle, x: i64| {
///         let once: i64 = context.call(&f, (x,))?;
///         context.call::<i64>(&f, (once,))
///     })
///     .build();
/// assert_eq!(engine.eval::<i64>("twice(|x| x * 10, 4)")?, 400);
/// # Ok::<(), heddle::Error>(())
/// ```
pub struct Context<'a> {
    thread: &'a mut Thread,
}

impl Context<'_> {
    /// Calls a script's function and waits for its result. While it waits for something (another task, time, the network), the task is pinned to the OS thread, on which nothing else of scripts
    /// runs then; other tasks and threads go on elsewhere.
    pub fn call<R: FromValue>(
        &mut self,
        function: &Handle,
        args: impl IntoArgs,
    ) -> Result<R, Error> {
        let mut scope = Scope(self.thread.values());
        let prepared = function
            .into_value(&mut scope)
            .and_then(|f| Ok((f, args.into_args(&mut scope)?)));
        let (function, args) =
            prepared.map_err(|refused| refused.into_error("call of a function"))?;
        match self.thread.call_nested(function, &args) {
            Ok(value) => R::from_value(value, &mut Scope(self.thread.values()))
                .map_err(|refused| refused.into_error("result of a function")),
            Err(Trap::Exit) => Err(Error::failure(
                self.thread,
                Failure::Exit(self.thread.exit_code()),
            )),
            Err(_) => {
                let thrown = self.thread.thrown();
                let handle = Handle::new(self.thread, thrown);
                Err(Error::failure(self.thread, Failure::Thrown).with_value(handle))
            }
        }
    }
}

/// What a host's function may return: a value, or a `Result` whose error is thrown in the script. An [`Error`] that came from a
/// script is thrown again as it was; any other becomes an `Error` with its text.
pub trait IntoResult {
    #[doc(hidden)]
    fn into_result(self, thread: &mut Thread, name: &str) -> Result<Value, Trap>;
}

impl<T: IntoValue> IntoResult for T {
    fn into_result(self, thread: &mut Thread, name: &str) -> Result<Value, Trap> {
        thread.collect_if_due();
        let made = self.into_value(&mut Scope(thread.values()));
        made.map_err(|refused| refuse(thread, refused, name, "the result"))
    }
}
impl<T: IntoValue, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoResult for Result<T, E> {
    fn into_result(self, thread: &mut Thread, name: &str) -> Result<Value, Trap> {
        let error = match self {
            Ok(value) => return value.into_result(thread, name),
            Err(error) => error.into(),
        };
        match error.downcast::<Error>() {
            Ok(error) => Err(throw(thread, *error)),
            Err(error) => Err(thread.throw_named("Error", &error.to_string())),
        }
    }
}

/// Throws an error of the host's API in the script.
fn throw(thread: &mut Thread, error: Error) -> Trap {
    if let Some(code) = error.exit_code() {
        return thread.exit(code);
    }
    match error.value().and_then(|handle| thread.held(&handle.0)) {
        Some(value) => thread.values().throw_value(value),
        None => thread.throw_named(error.kind(), error.message()),
    }
}

fn refuse(thread: &mut Thread, refused: Refused, name: &str, what: &str) -> Trap {
    match refused {
        Refused::NoRoom => thread.throw_no_room(),
        Refused::Message(message) => {
            thread.throw_named("TypeError", &format!("{name}: {what}: {message}"))
        }
    }
}

/// Rust closures that can be registered: up to eight parameters that are [`FromValue`], perhaps a [`Context`] in front of them, and
/// a result that is [`IntoResult`]. `Option` parameters at the end may be left out.
pub trait HostFunction<Signature>: Send + Sync + 'static {
    #[doc(hidden)]
    fn params() -> Vec<String>;
    #[doc(hidden)]
    fn call(&self, ctx: &mut HostCtx<'_>, name: &str) -> Result<Value, Trap>;
}

/// Rust closures that can be registered as functions that block: up to eight parameters that are [`FromValue`] and `Send`, and a result that is [`IntoResult`] and `Send`.
pub trait BlockingFunction<Signature>: Send + Sync + 'static {
    #[doc(hidden)]
    fn params() -> Vec<String>;
    #[doc(hidden)]
    fn begin(self: Arc<Self>, ctx: &mut HostCtx<'_>, name: &Arc<str>)
    -> Result<BlockingWork, Trap>;
}

/// Marks signatures with a [`Context`].
pub struct WithContext;

/// Names of parameters; those at the end that are optional are marked so.
fn param_names(is_optional: &[bool]) -> Vec<String> {
    let required = is_optional
        .iter()
        .rposition(|o| !o)
        .map_or(0, |last| last + 1);
    let name = |i: usize| (b'a' + i as u8) as char;
    (0..is_optional.len())
        .map(|i| {
            if i < required {
                name(i).to_string()
            } else {
                format!("{}?", name(i))
            }
        })
        .collect()
}

fn argument<T: FromValue>(ctx: &mut HostCtx<'_>, i: usize, name: &str) -> Result<T, Trap> {
    let value = ctx.arg(i);
    let taken = T::from_value(value, &mut Scope(ctx.thread().values()));
    taken.map_err(|refused| refuse(ctx.thread(), refused, name, &format!("argument {}", i + 1)))
}

macro_rules! functions {
    ($($name:ident $index:literal)*) => {
        impl<Func, R, $($name),*> HostFunction<($($name,)*)> for Func
        where
            Func: Fn($($name),*) -> R + Send + Sync + 'static,
            R: IntoResult,
            $($name: FromValue,)*
        {
            fn params() -> Vec<String> {
                param_names(&[$($name::IS_OPTIONAL),*])
            }
            #[allow(non_snake_case, reason = "one name for type and value")]
            fn call(&self, ctx: &mut HostCtx<'_>, name: &str) -> Result<Value, Trap> {
                $(let $name: $name = argument(ctx, $index, name)?;)*
                self($($name),*).into_result(ctx.thread(), name)
            }
        }
        impl<Func, R, $($name),*> BlockingFunction<($($name,)*)> for Func
        where
            Func: Fn($($name),*) -> R + Send + Sync + 'static,
            R: IntoResult + Send + 'static,
            $($name: FromValue + Send + 'static,)*
        {
            fn params() -> Vec<String> {
                param_names(&[$($name::IS_OPTIONAL),*])
            }
            #[allow(non_snake_case, reason = "one name for type and value")]
            #[allow(unused_variables, reason = "without parameters there are no arguments")]
            fn begin(
                self: Arc<Self>,
                ctx: &mut HostCtx<'_>,
                name: &Arc<str>,
            ) -> Result<BlockingWork, Trap> {
                $(let $name: $name = argument(ctx, $index, name)?;)*
                let name = name.clone();
                Ok(Box::new(move || {
                    let result = (*self)($($name),*);
                    Box::new(move |thread| result.into_result(thread, &name))
                }))
            }
        }
        impl<Func, R, $($name),*> HostFunction<(WithContext, $($name,)*)> for Func
        where
            Func: Fn(&mut Context<'_>, $($name),*) -> R + Send + Sync + 'static,
            R: IntoResult,
            $($name: FromValue,)*
        {
            fn params() -> Vec<String> {
                param_names(&[$($name::IS_OPTIONAL),*])
            }
            #[allow(non_snake_case, reason = "one name for type and value")]
            fn call(&self, ctx: &mut HostCtx<'_>, name: &str) -> Result<Value, Trap> {
                $(let $name: $name = argument(ctx, $index, name)?;)*
                let result = self(&mut Context { thread: ctx.thread() }, $($name),*);
                result.into_result(ctx.thread(), name)
            }
        }
    };
}
functions!();
functions!(A 0);
functions!(A 0 B 1);
functions!(A 0 B 1 C 2);
functions!(A 0 B 1 C 2 D 3);
functions!(A 0 B 1 C 2 D 3 E 4);
functions!(A 0 B 1 C 2 D 3 E 4 F 5);
functions!(A 0 B 1 C 2 D 3 E 4 F 5 G 6);
functions!(A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7);
