//! Making errors: calling `Error` or one of the built-in kinds.

use crate::support::new_str;
use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

/// One row per kind: a function called like a type is what calling the type calls.
macro_rules! kinds {
    ($($kind:literal)*) => {
        natives! {
            $(
                /// An error of this kind; `kind` overrides what its field `kind` says.
                plain $kind ("message?", "kind?", "data?", "cause?") => make;
            )*
            plain "proxy" (x) => not_built;
        }
    };
}

pub(super) static ERRORS: &[NativeDef] = kinds! {
    "Error" "TypeError" "ValueError" "ArithmeticError" "IndexError" "KeyError" "MatchError" "NameError" "AssertError"
    "StackOverflow" "FrozenError" "ShareError" "TroopError" "LimitError" "BlockingError" "PermissionError" "Cancelled"
    "Timeout" "ChannelClosed" "Deadlock" "IoError" "StopIteration"
};

fn make(ctx: &mut Ctx) -> NativeResult {
    let message = match ctx.arg(0) {
        Value::UNSET => new_str(ctx, "")?,
        message => message,
    };
    let fields = [
        message,
        ctx.arg_or_nil(1),
        ctx.arg_or_nil(2),
        ctx.arg_or_nil(3),
    ];
    let kind = ctx.name();
    match ctx.new_error(kind, fields) {
        Some(error) => Ok(error),
        None => Err(ctx.throw(ErrorKind::Name, format!("{kind} is no kind of error"))),
    }
}

fn not_built(ctx: &mut Ctx) -> NativeResult {
    let message = format!("{} is not built yet", ctx.name());
    Err(ctx.throw(ErrorKind::Error, message))
}
