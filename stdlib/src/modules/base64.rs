//! `base64`: bytes as text.

use crate::support::{new_bytes, new_str};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::natives;
use heddle_vm::types::ErrorKind;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "base64",
    functions: natives! {
        /// Bytes, or the UTF-8 of a text, in base 64, padded with `=`.
        plain "base64.encode" (data) => |ctx| { let text = STANDARD.encode(data(ctx)?); new_str(ctx, &text) };
        /// The bytes that a text in base 64 stands for. Throws ValueError.
        plain "base64.decode" (text) => |ctx| decode(ctx, &STANDARD);
        /// As encode, with `-` and `_` and without padding, for addresses and names of files.
        plain "base64.encode_url" (data) => |ctx| { let text = URL_SAFE_NO_PAD.encode(data(ctx)?); new_str(ctx, &text) };
        /// As decode, for what encode_url gives. Throws ValueError.
        plain "base64.decode_url" (text) => |ctx| decode(ctx, &URL_SAFE_NO_PAD);
    },
    constants: |_| {},
    source: None,
};

fn data<'c>(ctx: &mut Ctx<'c>) -> Result<&'c [u8], Trap> {
    let data = ctx.arg(0);
    let bytes = match ctx.as_str(data) {
        Some(text) => text.as_bytes(),
        None => match ctx.as_bytes(data) {
            Some(bytes) => bytes,
            None => return Err(ctx.wrong_type(0, "a string or bytes")),
        },
    };
    ctx.reserve(bytes.len() / 3 * 4 + 4)?;
    Ok(bytes)
}

fn decode(ctx: &mut Ctx, engine: &impl base64::Engine) -> NativeResult {
    match engine.decode(ctx.str_arg(0)?) {
        Ok(bytes) => new_bytes(ctx, &bytes),
        Err(e) => {
            let message = format!("{}: {e}", ctx.name()).replace("Invalid", "invalid");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}
