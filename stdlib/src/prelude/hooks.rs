//! Helpers of what the interpreter calls (`__str`, `__eq` …): each tells how to go on where only script code, or steps, can.

use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::object::Kind;
use heddle_vm::ops::show::ShowStep;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

pub(super) static HOOKS: &[NativeDef] = natives! {
    plain "__show_quick" (x, is_repr) => show_quick;
    plain "__show_start" (x, is_repr) => show_start;
    plain "__show_step" (state, given) => show_step;
    plain "__format_text" (text, spec) => format_text;
    plain "__operator" (name, x, "..more") => operator;
    plain "__equality" (a, b) => equality;
    plain "__ordering" (a, b) => ordering;
    plain "__contains" (container, x) => contains;
    plain "__hash_quick" (x) => hash_quick;
    plain "__parts" (x) => parts;
};

fn show_quick(ctx: &mut Ctx) -> NativeResult {
    let (x, engine) = (ctx.arg(0), ctx.engine());
    let is_repr = ctx.bool_arg(1)?;
    let shown = ops::show::quick(ctx.heap(), engine, x, is_repr);
    Ok(ctx.done(shown)?.unwrap_or(Value::NIL))
}

fn show_start(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    let is_repr = ctx.bool_arg(1)?;
    let state = ops::show::start(ctx.heap(), x, is_repr);
    ctx.done(state)
}

/// (0, the text); (1, nil): call again; (2, x): hand in x.str(); (3, i): hand in the text of this huge int.
fn show_step(ctx: &mut Ctx) -> NativeResult {
    let (state, given, engine) = (ctx.arg(0), ctx.arg(1), ctx.engine());
    let given = (!given.is_nil()).then_some(given);
    let step = ops::show::step(ctx.heap(), engine, state, given);
    let (what, value) = match ctx.done(step)? {
        ShowStep::Done(text) => (0, text),
        ShowStep::More => (1, Value::NIL),
        ShowStep::CallStr(value) => (2, value),
        ShowStep::IntText(value) => (3, value),
    };
    ctx.tuple(&[Value::small_int(what), value])
}

fn format_text(ctx: &mut Ctx) -> NativeResult {
    let (text, spec) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let formatted = match ops::format_spec::FormatSpec::parse(spec) {
        Ok(spec) => ops::format::text(&spec, text),
        Err(message) => return Err(ctx.throw(ErrorKind::Value, message)),
    };
    let formatted = ctx.done(formatted)?;
    crate::support::new_str(ctx, &formatted)
}

/// Calls the method of an operator.
fn operator(ctx: &mut Ctx) -> NativeResult {
    let name = ctx.str_arg(0)?;
    let name = ctx.symbol(name);
    let x = ctx.arg(1);
    let args: Vec<Value> = (1..ctx.argc()).map(|i| ctx.arg(i)).collect();
    match ctx.engine().type_info(x.type_id()).method(name) {
        Some(method) => Err(ctx.tail_call(method.function, &args)),
        None => {
            let message = format!("{} has no such operator", ctx.type_name(x));
            Err(ctx.throw(ErrorKind::Type, message))
        }
    }
}

fn has_operator(ctx: &Ctx, x: Value, name: &str) -> bool {
    let is_instance = matches!(x.kind(), Some(Kind::Struct | Kind::Variant));
    is_instance
        && ctx
            .engine()
            .type_info(x.type_id())
            .method(ctx.symbol(name))
            .is_some()
}

/// 0: unequal; 1: equal; 2, 3: the left or the right one's `==` decides; 4: their parts in order; 5: their entries.
fn equality(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (ctx.arg(0), ctx.arg(1));
    Ok(Value::small_int(
        match ops::compare::quick_equal(ctx.engine(), a, b) {
            Some(equal) => i64::from(equal),
            None if has_operator(ctx, a, "==") => 2,
            None if has_operator(ctx, b, "==") => 3,
            None if matches!(a.kind(), Some(Kind::Map | Kind::Set)) => 5,
            None => 4,
        },
    ))
}

/// 0: not less; 1: less; 2: a method `<` decides, which both have, or (4) only the left one; 3: two lists or tuples. TypeError for what has no order.
fn ordering(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (ctx.arg(0), ctx.arg(1));
    let is_less = |less: bool| Ok(Value::small_int(i64::from(less)));
    if let Some(order) = ops::compare::compare_numbers(a, b) {
        return is_less(order == Some(std::cmp::Ordering::Less));
    }
    match (has_operator(ctx, a, "<"), has_operator(ctx, b, "<")) {
        (true, true) => return Ok(Value::small_int(2)),
        (true, false) => return Ok(Value::small_int(4)),
        _ => {}
    }
    if let (Some(a), Some(b)) = (ctx.as_str(a), ctx.as_str(b)) {
        return is_less(a < b);
    }
    if let (Some(a), Some(b)) = (ctx.as_bytes(a), ctx.as_bytes(b)) {
        return is_less(a < b);
    }
    if let (Some(a), Some(b)) = (ctx.as_duration(a), ctx.as_duration(b)) {
        return is_less(a < b);
    }
    let is_list = |v: Value| matches!(v.kind(), Some(Kind::List));
    let is_tuple = |v: Value| matches!(v.kind(), Some(Kind::Tuple));
    if is_list(a) && is_list(b) || is_tuple(a) && is_tuple(b) {
        return Ok(Value::small_int(3));
    }
    let message = format!("cannot order {} and {}", ctx.type_name(a), ctx.type_name(b));
    Err(ctx.throw(ErrorKind::Type, message))
}

/// `x in container`; nil if it must be looked for.
fn contains(ctx: &mut Ctx) -> NativeResult {
    let (container, x) = (ctx.arg(0), ctx.arg(1));
    let found = ops::index::contains(ctx.engine(), container, x);
    Ok(ctx.done(found)?.map_or(Value::NIL, Value::bool))
}

fn hash_quick(ctx: &mut Ctx) -> NativeResult {
    let hash = ops::hash::quick(ctx.engine(), ctx.arg(0));
    Ok(match ctx.done(hash)? {
        Some(hash) => ctx.int(i64::from(hash)),
        None => Value::NIL,
    })
}

/// The parts of a list, tuple, struct or variant, as a list.
fn parts(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    if let Some(items) = ctx.as_list(x).or_else(|| ctx.as_tuple(x)) {
        return ctx.list(items);
    }
    let count = ctx.engine().type_info(x.type_id()).fields.len();
    let fields: Vec<Value> = (0..count).map(|i| ctx.field(x, i)).collect();
    ctx.list(&fields)
}
