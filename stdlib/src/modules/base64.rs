//! `base64`: bytes as text. Long ones take steps (`base64.hd`).

use crate::prelude::builder::{BYTES_PER_UNIT, Builder};
use crate::prelude::call_prelude;
use crate::support::{new_bytes, new_str};
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::{DecodeError, Engine as _};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// Bytes encoded in one step: a multiple of three.
const STEP_BYTES: usize = 96 * 1024;
/// Characters decoded in one step: a multiple of four.
const STEP_CHARS: usize = 128 * 1024;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "base64",
    functions: natives! {
        plain "base64.__encode" (data, is_url) => encode;
        plain "base64.__decode" (text, is_url) => decode;
        plain "base64.__encode_step" (builder, data, at, is_url) => encode_step;
        plain "base64.__decode_step" (out, text, at, is_url) => decode_step;
        plain "base64.__decoded_length" (text, is_url) => |ctx| { let n = decoded_length(ctx)?; Ok(ctx.int(n as i64)) };
        plain "base64.__builder" () => |ctx| Ok(ctx.host(Box::new(Builder::default()), "text builder"));
        plain "base64.__build" (builder) => |ctx| { let builder = ctx.arg(0); Err(call_prelude(ctx, "__build", &[builder])) };
        plain "base64.__bytes" (n) => |ctx| { let n = ctx.int_arg(0)?.max(0) as usize; let made = ops::text::unfinished_bytes(ctx.heap(), n); ctx.done(made) };
    },
    constants: |_| {},
    source: Some(heddle_source!("base64")),
};

fn data<'c>(ctx: &mut Ctx<'c>, i: usize) -> Result<&'c [u8], Trap> {
    let data = ctx.arg(i);
    match ctx.as_str(data) {
        Some(text) => Ok(text.as_bytes()),
        None => match ctx.as_bytes(data) {
            Some(bytes) => Ok(bytes),
            None => Err(ctx.wrong_type(i, "a string or bytes")),
        },
    }
}

fn encoded(bytes: &[u8], is_url: bool) -> String {
    if is_url {
        URL_SAFE_NO_PAD.encode(bytes)
    } else {
        STANDARD.encode(bytes)
    }
}

/// The text, or nil if making it takes steps.
fn encode(ctx: &mut Ctx) -> NativeResult {
    let bytes = data(ctx, 0)?;
    let is_url = ctx.bool_arg(1)?;
    ctx.reserve(bytes.len() / 3 * 4 + 4)?;
    if bytes.len() > STEP_BYTES {
        return Ok(Value::NIL);
    }
    new_str(ctx, &encoded(bytes, is_url))
}

/// Where to go on; nil at the end.
fn next(ctx: &mut Ctx, at: usize, length: usize) -> Value {
    if at < length {
        ctx.int(at as i64)
    } else {
        Value::NIL
    }
}

/// Appends the text of bytes from `at` on; gives where to go on, nil at the end.
fn encode_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let bytes = data(ctx, 1)?;
    let at = (ctx.int_arg(2)?.max(0) as usize).min(bytes.len());
    let is_url = ctx.bool_arg(3)?;
    let end = bytes.len().min(at + STEP_BYTES);
    ctx.reserve(builder.bytes() + STEP_CHARS)?;
    ctx.charge((end - at) / BYTES_PER_UNIT);
    builder.take(&mut encoded(&bytes[at..end], is_url));
    Ok(next(ctx, end, bytes.len()))
}

/// Decodes the part of a text that begins at byte `at`; unless it is the last one, its length is a multiple of four.
fn decoded(
    ctx: &mut Ctx,
    part: &[u8],
    at: usize,
    is_url: bool,
    is_last: bool,
) -> Result<Vec<u8>, Trap> {
    let padding = part
        .iter()
        .position(|&byte| byte == b'=')
        .filter(|_| !is_last);
    let result = match padding {
        Some(i) => Err(DecodeError::InvalidByte(i, b'=')),
        None if is_url => URL_SAFE_NO_PAD.decode(part),
        None => STANDARD.decode(part),
    };
    result.map_err(|error| {
        let what = match error {
            DecodeError::InvalidByte(i, byte) => match at + i {
                at if byte.is_ascii() => {
                    format!(
                        "{:?} at byte {at} does not belong there",
                        char::from(byte).to_string()
                    )
                }
                at => format!("what stands at byte {at} does not belong there"),
            },
            DecodeError::InvalidLastSymbol(i, byte) => {
                let last = char::from(byte).to_string();
                format!("{last:?} at byte {} cannot be the last character", at + i)
            }
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => {
                "the text is cut off, or its padding is wrong".into()
            }
        };
        let name = if is_url { "decode_url" } else { "decode" };
        let message = format!("base64.{name}: {what}");
        ctx.throw(ErrorKind::Value, message)
    })
}

/// The bytes, or nil if making them takes steps.
fn decode(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.as_bytes();
    let is_url = ctx.bool_arg(1)?;
    if text.len() > STEP_CHARS {
        return Ok(Value::NIL);
    }
    let bytes = decoded(ctx, text, 0, is_url, true)?;
    new_bytes(ctx, &bytes)
}

/// How many bytes a text stands for, if it is well formed.
fn decoded_length(ctx: &mut Ctx) -> Result<usize, Trap> {
    let text = ctx.str_arg(0)?;
    let padding = if ctx.bool_arg(1)? {
        0
    } else {
        text.bytes()
            .rev()
            .take(2)
            .filter(|&byte| byte == b'=')
            .count()
    };
    Ok((text.len() - padding) / 4 * 3 + (text.len() - padding) % 4 * 3 / 4)
}

/// Fills unfinished bytes with what a text stands for from byte `at` on; gives where to go on, nil at the end.
fn decode_step(ctx: &mut Ctx) -> NativeResult {
    let room = ctx.bytes_arg(0)?.len();
    let text = ctx.str_arg(1)?.as_bytes();
    let at = (ctx.int_arg(2)?.max(0) as usize).min(text.len());
    let is_url = ctx.bool_arg(3)?;
    let end = text.len().min(at + STEP_CHARS);
    ctx.charge((end - at) / BYTES_PER_UNIT);
    let bytes = decoded(ctx, &text[at..end], at, is_url, end == text.len())?;
    let to = at / 4 * 3;
    let fitting = bytes.len().min(room.saturating_sub(to));
    ops::text::fill_bytes(ctx.arg(0), to, &bytes[..fitting]);
    Ok(next(ctx, end, text.len()))
}
