//! `test`: assertions with messages; Heddle code but for the place where long values differ.

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "test",
    functions: natives! {
        plain "test.__difference" (actual, expected) => |ctx| {
            let text = ctx.difference(ctx.arg(0), ctx.arg(1));
            Ok(ctx.str(&text))
        };
    },
    constants: |_| {},
    source: Some(heddle_source!("test")),
};
