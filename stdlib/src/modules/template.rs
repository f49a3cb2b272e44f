//! `template`: texts with places for values. Heddle code (`template.hd`), so that what is rendered can call script code that waits.

use crate::support::wrong;
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::object::Kind;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "template",
    functions: natives! {
        plain "template.__member" (x, name) => member;
        plain "template.__call" (f, args) => call;
        plain "template.__call_method" (x, name, args) => call_method;
        plain "template.__needs_escape" (text) => needs_escape;
        plain "template.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("template")),
};

/// A field of a struct or variant.
fn member(ctx: &mut Ctx) -> NativeResult {
    let (x, name) = (ctx.arg(0), ctx.str_arg(1)?);
    if matches!(x.kind(), Some(Kind::Struct | Kind::Variant)) {
        let name = ctx.symbol(name);
        if let Some(index) = ctx.engine().type_info(x.type_id()).field_index(name) {
            return Ok(ctx.field(x, index));
        }
    }
    let message = format!("{} has no field '{name}'", ctx.type_name(x));
    Err(ctx.throw(ErrorKind::Type, message))
}

fn call(ctx: &mut Ctx) -> NativeResult {
    let (f, args) = (ctx.arg(0), ctx.list_arg(1)?);
    if !ctx.is_callable(f) {
        let shown = ctx.repr_short(f);
        return Err(ctx.throw(ErrorKind::Type, format!("{shown} cannot be called")));
    }
    Err(ctx.tail_call(f, args))
}

fn call_method(ctx: &mut Ctx) -> NativeResult {
    let (x, name, args) = (ctx.arg(0), ctx.str_arg(1)?, ctx.list_arg(2)?);
    let symbol = ctx.symbol(name);
    let method = ctx.engine().type_info(x.type_id()).method(symbol);
    match method.filter(|method| method.has_self) {
        Some(method) => {
            let mut all = vec![x];
            all.extend_from_slice(args);
            Err(ctx.tail_call(method.function, &all))
        }
        None => {
            let message = format!("{} has no method '{name}'", ctx.type_name(x));
            Err(ctx.throw(ErrorKind::Type, message))
        }
    }
}

/// Whether something in a text has a meaning in HTML: at some gigabytes per second.
fn needs_escape(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.as_bytes();
    ctx.charge(text.len() / 64);
    let found = memchr::memchr3(b'&', b'<', b'>', text).or(memchr::memchr2(b'"', b'\'', text));
    Ok(Value::bool(found.is_some()))
}
