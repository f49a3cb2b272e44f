//! Helpers of what the interpreter calls (`__str`, `__eq` …): each tells how to go on where only script code, or steps, can.

use heddle_vm::native::{Ctx, NativeDef, NativeResult};
use heddle_vm::ops::compare_steps::{CompareStep, Question};
use heddle_vm::ops::hash_steps::HashStep;
use heddle_vm::ops::show::ShowStep;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// What a whole step of a comparison or hash is charged.
const CHARGE: usize = 10_000;

pub(super) static HOOKS: &[NativeDef] = natives! {
    plain "__show_quick" (x, is_repr) => show_quick;
    plain "__show_start" (x, is_repr) => show_start;
    plain "__show_step" (state, given) => show_step;
    plain "__format_text" (text, spec) => format_text;
    plain "__format_int" (x, spec, decimal) => format_int;
    plain "__operator" (name, x, "..more") => operator;
    plain "__less" (a, b, or_equal) => less;
    plain "__compare_start" (question, a, b) => compare_start;
    plain "__compare_step" (state, given) => compare_step;
    plain "__contains" (container, x) => contains;
    plain "__hash_quick" (x) => hash_quick;
    plain "__hash_start" (x) => hash_start;
    plain "__hash_step" (state, given) => hash_step;
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

/// (0, the text); (4, texts to be joined); (1, nil): call again; (2, x): hand in x.str(); (3, i): hand in the text of this huge int.
fn show_step(ctx: &mut Ctx) -> NativeResult {
    let (state, engine) = (ctx.arg(0), ctx.engine());
    let given = given(ctx, 1);
    let step = ops::show::step(ctx.heap(), engine, state, given);
    ctx.charge(ops::show::STEP_VALUES / 2);
    let (what, value) = match ctx.done(step)? {
        ShowStep::Done(text) => (0, text),
        ShowStep::Join(pieces) => (4, pieces),
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

fn format_int(ctx: &mut Ctx) -> NativeResult {
    let (x, spec, decimal) = (ctx.arg(0), ctx.str_arg(1)?, ctx.str_arg(2)?);
    match ops::format_spec::FormatSpec::parse(spec) {
        Ok(spec) => {
            let formatted = ops::format::int_of_text(ctx.heap(), &spec, x, decimal);
            ctx.done(formatted)
        }
        Err(message) => Err(ctx.throw(ErrorKind::Value, message)),
    }
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

/// `a < b` (`a <= b`) if that is quickly told, else nil.
fn less(ctx: &mut Ctx) -> NativeResult {
    let or_equal = ctx.bool_arg(2)?;
    let less = ops::compare_steps::quick_less(ctx.engine(), ctx.arg(0), ctx.arg(1), or_equal);
    Ok(ctx.done(less)?.map_or(Value::NIL, Value::bool))
}

/// `__compare_start(question, a, b)`: 0: ==, 1: <, 2: <=.
fn compare_start(ctx: &mut Ctx) -> NativeResult {
    let question = match ctx.int_arg(0)? {
        0 => Question::Equal,
        1 => Question::Less,
        _ => Question::LessOrEqual,
    };
    let (a, b) = (ctx.arg(1), ctx.arg(2));
    let state = ops::compare_steps::start(ctx.heap(), question, a, b);
    ctx.done(state)
}

/// (0, the answer, …); (1, …): call again; (2, f, a, b): hand in the truth of f(a, b); (3, map, key, …): hand in the key's position or -1.
fn compare_step(ctx: &mut Ctx) -> NativeResult {
    let (state, engine) = (ctx.arg(0), ctx.engine());
    let given = given(ctx, 1);
    let step = ops::compare_steps::step(ctx.heap(), engine, state, given);
    let (what, f, a, b) = match ctx.done(step)? {
        CompareStep::Done(answer) => (0, Value::bool(answer), Value::NIL, Value::NIL),
        CompareStep::More => {
            ctx.charge(CHARGE);
            (1, Value::NIL, Value::NIL, Value::NIL)
        }
        CompareStep::Call(f, a, b) => (2, f, a, b),
        CompareStep::Find(map, key) => (3, map, key, Value::NIL),
    };
    ctx.tuple(&[Value::small_int(what), f, a, b])
}

/// What the last step asked for; nil stands for nothing.
fn given(ctx: &Ctx, i: usize) -> Option<Value> {
    let given = ctx.arg(i);
    (!given.is_nil()).then_some(given)
}

/// `x in container`; nil if it must be looked for.
fn contains(ctx: &mut Ctx) -> NativeResult {
    let (container, x) = (ctx.arg(0), ctx.arg(1));
    let engine = ctx.engine();
    if let Some(text) = ctx.as_str(container) {
        ctx.charge(text.len() / super::strings::BYTES_PER_UNIT);
    }
    let found = ops::search::contains(ctx.heap(), engine, container, x);
    Ok(ctx.done(found)?.map_or(Value::NIL, Value::bool))
}

fn hash_quick(ctx: &mut Ctx) -> NativeResult {
    let hash = ops::hash::quick(ctx.engine(), ctx.arg(0));
    Ok(match ctx.done(hash)? {
        Some(hash) => ctx.int(i64::from(hash)),
        None => Value::NIL,
    })
}

fn hash_start(ctx: &mut Ctx) -> NativeResult {
    let x = ctx.arg(0);
    let state = ops::hash_steps::start(ctx.heap(), x);
    ctx.done(state)
}

/// (0, the hash, nil); (1, nil, nil): call again; (2, f, x): hand in f(x).
fn hash_step(ctx: &mut Ctx) -> NativeResult {
    let (state, engine) = (ctx.arg(0), ctx.engine());
    let given = given(ctx, 1);
    let step = ops::hash_steps::step(ctx.heap(), engine, state, given);
    let (what, f, x) = match ctx.done(step)? {
        HashStep::Done(hash) => (0, ctx.int(i64::from(hash)), Value::NIL),
        HashStep::More => {
            ctx.charge(CHARGE);
            (1, Value::NIL, Value::NIL)
        }
        HashStep::Call(f, x) => (2, f, x),
    };
    ctx.tuple(&[Value::small_int(what), f, x])
}
