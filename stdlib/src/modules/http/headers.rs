//! Header fields, looked up in the bytes of the head: most programs ask for few of them or none.

use super::parse::fields;
use crate::support::{new_str, settle};
use heddle_vm::native::{Ctx, NativeResult};
use std::borrow::Cow;

/// UTF-8, or else one character for each byte.
fn text(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => text.into(),
        Err(_) => value.iter().map(|&b| b as char).collect::<String>().into(),
    }
}

/// `http.__field(head, name)`: the value, those of several fields of this name joined by commas; or nil.
pub(super) fn field(ctx: &mut Ctx) -> NativeResult {
    let head = ctx.bytes_arg(0)?;
    let name = ctx.str_arg(1)?.as_bytes();
    let mut found = fields(head)
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| text(value));
    let Some(first) = found.next() else {
        return ctx.nil();
    };
    let mut value = first;
    for more in found {
        value.to_mut().push_str(", ");
        value.to_mut().push_str(&more);
    }
    new_str(ctx, &value)
}

/// A value takes so many bytes per byte of a head, at most.
const BYTES_PER_BYTE: usize = 64;
/// `http.__fields(head)`: a list of names, in small letters, and values.
pub(super) fn all_fields(ctx: &mut Ctx) -> NativeResult {
    let head = ctx.bytes_arg(0)?;
    ctx.reserve(1024 + head.len() * BYTES_PER_BYTE)?;
    let list = ctx.list(&[])?;
    for (name, value) in fields(head) {
        let name = ctx.str(&text(name).to_ascii_lowercase());
        let value = ctx.str(&text(value));
        let made = ctx.tuple(&[name, value]);
        let pair = settle(ctx, made)?;
        let pushed = ctx.list_push(list, pair);
        settle(ctx, pushed)?;
    }
    Ok(list)
}
