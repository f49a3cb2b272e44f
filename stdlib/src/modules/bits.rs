//! `bits`: ints as rows of bits. Heddle code (`bits.hd`), since ints have any size.

use crate::support::wrong;
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::{Value, natives, ops};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "bits",
    functions: natives! {
        plain "bits.__count" (x) => count;
        plain "bits.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("bits")),
};

/// How many bits of a positive int are set; nil for one beyond 64 bits.
fn count(ctx: &mut Ctx) -> NativeResult {
    Ok(match ops::int::to_i64(ctx.arg(0)) {
        Some(x) => ctx.int(x.count_ones().into()),
        None => Value::NIL,
    })
}
