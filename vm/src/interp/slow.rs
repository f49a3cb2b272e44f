//! Slow paths of the operations: whatever allocates, throws, looks things up, pushes frames or leaves the loop.
//!
//! Contract: `t.pc` is behind the instruction's word, `t.base` the running frame; `Err` says how the loop goes on (`Thread::handle_trap`). A function
//! that returns `Trap::Collect` or `Trap::Safepoint` has changed nothing, since the instruction is run again.
//! Values may be held in Rust variables until the next `poll`, `safepoint` or frame: nothing else collects.

use super::access;
use super::frame;
use super::unwind::{generator_state, resumed_by};
use crate::bytecode::{CaptureSource, Op, Word};
use crate::engine::{Hook, sym};
use crate::module::{Link, NearHead, Proto, Slot, near_call};
use crate::native::Trap;
use crate::object::{
    BoundMethod, Cell, Closure as ClosureObject, Generator, Header, Instance, Kind, List, Map,
    NativeFunction, Tuple, TypeObject, type_id,
};
use crate::ops::arith::BinaryOp;
use crate::ops::map::Lookup;
use crate::ops::{self, OpFail};
use crate::task::TaskState;
use crate::thread::Thread;
use crate::types::{ErrorKind, Shape, Sym};
use crate::value::Value;

type Done = Result<(), Trap>;

macro_rules! never {
    ($($name:ident)*) => {$(
        pub(crate) fn $name(_: &mut Thread, _: Word) -> Done {
            unreachable!(concat!(stringify!($name), " has no slow path"))
        }
    )*};
}
never! {
    Nop Move LoadK LoadInt LoadNil LoadBool LoadUnset GetCapture Not Jump
    JumpIf JumpIfNot JumpIfNil JumpIfNotNil JumpIfSet JNotKind Return ReturnNil
}

/// Goes to where the jump of `w` leads.
fn take_jump(t: &mut Thread, w: Word) {
    // SAFETY: verified: jumps land inside the code.
    t.pc = unsafe { t.pc.offset(w.imm() as isize) };
}

// --- loads and stores

fn name_error(t: &mut Thread, text: String) -> Trap {
    t.throw_new(ErrorKind::Name, &text)
}

pub(crate) fn LoadSlot(t: &mut Thread, w: Word) -> Done {
    LoadImport(t, w)
}

pub(crate) fn LoadImport(t: &mut Thread, w: Word) -> Done {
    let value = import(t, w)?;
    t.set_reg(w.a(), value);
    Ok(())
}

/// The value of the import that constant `imm` names.
fn import(t: &mut Thread, w: Word) -> Result<Value, Trap> {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    // SAFETY: verified: the constant exists.
    let known = unsafe { *proto.constant(w.imm() as usize) };
    if known.is_object() {
        return Ok(known);
    }
    let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32)) else {
        return Ok(known);
    };
    let value = t.export(module, *name)?;
    if let Some((Slot::Global(slot), _)) = module.names.get(name)
        && w.op() == Some(Op::LoadImport)
    {
        let address = module.globals[*slot as usize].get() as i64;
        // SAFETY: constants of a prototype are written only here and by the linker; the word in front of `pc` is the running instruction.
        unsafe {
            let constant = proto.constant(w.imm() as usize);
            constant.write_volatile(Value::small_int(address));
            let word = t.pc.sub(1).cast::<std::sync::atomic::AtomicU64>();
            (*word).store(
                w.with_op(Op::LoadSlot).0,
                std::sync::atomic::Ordering::Release,
            );
        }
    }
    Ok(value)
}

pub(crate) fn GetGlobal(t: &mut Thread, w: Word) -> Done {
    let text = t.global_name(w.imm() as u32);
    Err(name_error(t, format!("'{text}' is used before it is set")))
}
pub(crate) fn SetGlobal(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.a());
    t.set_global(w.imm() as u32, value)
}
pub(crate) fn GetVar(t: &mut Thread, w: Word) -> Done {
    let index = w.imm() as u32;
    if let Some(closure) = t.var_initialiser(index) {
        return t.call_into(w.a(), closure, &[]);
    }
    let text = t.var_name(index);
    Err(name_error(t, format!("'{text}' is used before it is set")))
}
pub(crate) fn SetVar(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.a());
    t.set_var(w.imm() as u32, value);
    Ok(())
}
pub(crate) fn GetImportVar(t: &mut Thread, w: Word) -> Done {
    LoadImport(t, w)
}
pub(crate) fn SetImportVar(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    if let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32))
        && let Some((Slot::Var(index), _)) = module.names.get(name)
    {
        let value = t.reg(w.a());
        t.set_var(module.var_base + index, value);
        return Ok(());
    }
    Err(name_error(t, "this name cannot be assigned to".into()))
}
pub(crate) fn GetCaptureCell(t: &mut Thread, _: Word) -> Done {
    Err(name_error(
        t,
        "a local name is used before it is set".into(),
    ))
}
pub(crate) fn SetCaptureCell(t: &mut Thread, w: Word) -> Done {
    // SAFETY: verified: the running closure has this capture; it is a cell.
    let cell = unsafe {
        *(*t.base.sub(2))
            .as_object()
            .cast::<ClosureObject>()
            .add(1)
            .cast::<Value>()
            .add(w.imm() as usize)
    };
    store_cell(t, cell, t.reg(w.a()))
}
pub(crate) fn NewCell(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let cell = t.heap.alloc(
        Header::new(Kind::Cell, type_id::INTERNAL, 0),
        size_of::<Cell>(),
    );
    // SAFETY: `alloc` made room for a cell.
    unsafe { (*cell.cast::<Cell>()).value = t.reg(w.b()) };
    t.set_reg(w.a(), Value::local(cell));
    Ok(())
}
pub(crate) fn GetCell(t: &mut Thread, _: Word) -> Done {
    Err(name_error(
        t,
        "a local name is used before it is set".into(),
    ))
}
pub(crate) fn SetCell(t: &mut Thread, w: Word) -> Done {
    let (cell, value) = (t.reg(w.a()), t.reg(w.b()));
    store_cell(t, cell, value)
}
fn store_cell(t: &mut Thread, cell: Value, value: Value) -> Done {
    if !cell.is_kind(Kind::Cell) {
        return Err(name_error(
            t,
            "a local name is used before it is set".into(),
        ));
    }
    // SAFETY: its kind was tested.
    unsafe { (*cell.as_object().cast::<Cell>()).value = value };
    t.heap.barrier(cell.as_object(), value);
    Ok(())
}
pub(crate) fn CheckSet(t: &mut Thread, w: Word) -> Done {
    if t.reg(w.a()).is_unset() {
        let text = t.symbol_text(w.imm());
        return Err(name_error(t, format!("'{text}' is used before it is set")));
    }
    Ok(())
}
pub(crate) fn Closure(t: &mut Thread, w: Word) -> Done {
    t.poll();
    // SAFETY: the running frame's prototype lives as long as the engine.
    let running: &'static Proto = unsafe { &*frame::proto(t.base) };
    let Some(Link::Proto(proto)) = running.links.get(&(w.imm() as u32)) else {
        unreachable!("verified: the constant is a prototype")
    };
    let count = proto.captures.len();
    let bytes = size_of::<ClosureObject>() + count * size_of::<Value>();
    let object = t
        .heap
        .alloc(
            Header::new(Kind::Closure, type_id::FUNCTION, count as u16),
            bytes,
        )
        .cast::<ClosureObject>();
    // SAFETY: `alloc` made room for the captures; verified: sources exist in the running frame and closure.
    unsafe {
        (*object).consts = proto.consts_start;
        let captures = object.add(1).cast::<Value>();
        let own = (*t.base.sub(2))
            .as_object()
            .cast::<ClosureObject>()
            .add(1)
            .cast::<Value>();
        for (i, source) in proto.captures.iter().enumerate() {
            *captures.add(i) = match source {
                CaptureSource::Register(r) => t.reg(*r as usize),
                CaptureSource::Capture(c) => *own.add(*c as usize),
            };
        }
    }
    t.set_reg(w.a(), Value::local(object.cast()));
    Ok(())
}

// --- arithmetic

const SYMBOLS: [Sym; 12] = [
    sym::ADD,
    sym::SUB,
    sym::MUL,
    sym::DIV,
    sym::FLOOR_DIV,
    sym::MOD,
    sym::POW,
    sym::BIT_AND,
    sym::BIT_OR,
    sym::BIT_XOR,
    sym::SHL,
    sym::SHR,
];

fn binary(t: &mut Thread, dest: usize, op: BinaryOp, x: Value, y: Value) -> Done {
    if (x.is_kind(Kind::Struct) || x.is_kind(Kind::Variant))
        && let Some(method) = t
            .engine()
            .type_info(x.type_id())
            .method(SYMBOLS[op as usize])
    {
        return t.call_into(dest, method.function, &[x, y]);
    }
    let types = t.engine();
    match ops::arith::binary(&mut t.heap, types, op, x, y) {
        Ok(value) => {
            if value.is_kind(Kind::BigInt) {
                // Huge ints are worked on in steps, of which each takes its time.
                t.charge_work(ops::int::bytes(value));
            }
            t.set_reg(dest, value);
            t.after_alloc();
            Ok(())
        }
        Err(OpFail::NeedsSteps(function)) => t.call_prelude(function, dest, &[x, y]),
        Err(fail) => Err(t.trap(fail)),
    }
}

macro_rules! binary_ops {
    ($($name:ident $op:ident $right:ident;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            t.poll();
            let (x, y) = $right(t, w);
            binary(t, w.a(), BinaryOp::$op, x, y)
        }
    )*};
}
fn registers(t: &mut Thread, w: Word) -> (Value, Value) {
    (t.reg(w.b()), t.reg(w.c()))
}
/// As `registers`, for operations that have forms for floats and for both: from the next time on, the one that fits.
fn quickening(t: &mut Thread, w: Word) -> (Value, Value) {
    let (x, y) = registers(t, w);
    let is_number = |v: Value| v.is_float() || v.is_small_int();
    if is_number(x) && is_number(y) {
        let both_floats = x.is_float() && y.is_float();
        let both_ints = x.is_small_int() && y.is_small_int();
        let form = match w.op() {
            Some(Op::Add) if both_floats => Some(Op::AddF),
            Some(Op::Sub) if both_floats => Some(Op::SubF),
            Some(Op::Mul) if both_floats => Some(Op::MulF),
            Some(Op::Div) if both_floats => Some(Op::DivF),
            // Ints that get here overflow.
            Some(Op::Add | Op::Sub | Op::Mul | Op::Div) if both_ints => None,
            Some(Op::Add | Op::AddF) => Some(Op::AddM),
            Some(Op::Sub | Op::SubF) => Some(Op::SubM),
            Some(Op::Mul | Op::MulF) => Some(Op::MulM),
            _ => Some(Op::DivM),
        };
        if let Some(form) = form {
            quicken(t, w, form);
        }
    }
    (x, y)
}
/// Exchanges the operation of the running instruction, `pc` being behind its word. Code is shared by carriers: one relaxed store of a whole word.
fn quicken(t: &mut Thread, w: Word, op: Op) {
    // SAFETY: the word in front of `pc` is the running instruction.
    unsafe {
        let word = t.pc.sub(1).cast::<std::sync::atomic::AtomicU64>();
        (*word).store(w.with_op(op).0, std::sync::atomic::Ordering::Relaxed);
    }
}
fn immediate(t: &mut Thread, w: Word) -> (Value, Value) {
    (t.reg(w.b()), Value::small_int(w.imm() as i64))
}
fn constant(t: &mut Thread, w: Word) -> (Value, Value) {
    (t.reg(w.b()), t.constant(w.imm()))
}
fn constant_first(t: &mut Thread, w: Word) -> (Value, Value) {
    (t.constant(w.imm()), t.reg(w.b()))
}
binary_ops! {
    Add Add quickening; Sub Sub quickening; Mul Mul quickening; Div Div quickening; FloorDiv FloorDiv registers; Mod Mod registers; Pow Pow registers;
    BitAnd BitAnd registers; BitOr BitOr registers; BitXor BitXor registers; Shl Shl registers; Shr Shr registers;
    AddI Add immediate; SubI Sub immediate; MulI Mul immediate; FloorDivI FloorDiv immediate; ModI Mod immediate; DivI Div immediate;
    AddK Add constant; SubK Sub constant; MulK Mul constant; DivK Div constant;
    RSubK Sub constant_first; RMulK Mul constant_first; RDivK Div constant_first;
    AddM Add registers; SubM Sub registers; MulM Mul registers; DivM Div registers;
    AddF Add quickening; SubF Sub quickening; MulF Mul quickening; DivF Div quickening;
}

pub(crate) fn Neg(t: &mut Thread, w: Word) -> Done {
    unary(t, w, sym::NEG, ops::arith::neg)
}
pub(crate) fn BitNot(t: &mut Thread, w: Word) -> Done {
    unary(t, w, sym::BIT_NOT, ops::arith::bit_not)
}
fn unary(
    t: &mut Thread,
    w: Word,
    name: Sym,
    f: fn(&mut crate::heap::Heap, Value) -> ops::OpResult,
) -> Done {
    t.poll();
    let x = t.reg(w.b());
    if (x.is_kind(Kind::Struct) || x.is_kind(Kind::Variant))
        && let Some(method) = t.engine().type_info(x.type_id()).method(name)
    {
        return t.call_into(w.a(), method.function, &[x]);
    }
    let result = f(&mut t.heap, x);
    let value = t.checked(result)?;
    t.set_reg(w.a(), value);
    Ok(())
}

// --- strings

pub(crate) fn ToStr(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    if !x.is_object() || matches!(x.kind(), Some(Kind::Str | Kind::Int64)) {
        t.set_reg(w.a(), x);
        return Ok(());
    }
    t.call_hook(Hook::Str, w.a(), &[x])
}
pub(crate) fn Format(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let x = t.reg(w.b());
    let spec = t.constant(w.imm());
    let is_simple = !x.is_object()
        || matches!(
            x.kind(),
            Some(Kind::Str | Kind::Int64 | Kind::BigInt | Kind::Duration)
        );
    let is_huge = ops::int::view(x).is_some_and(|i| !ops::int_text::has_short_text(i));
    if !is_simple || is_huge {
        return t.call_hook(Hook::Format, w.a(), &[x, spec]);
    }
    let value = t.format_value(x, spec)?;
    t.set_reg(w.a(), value);
    Ok(())
}
pub(crate) fn Concat(t: &mut Thread, w: Word) -> Done {
    t.poll();
    // SAFETY: verified: the run lies in the frame.
    let parts = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let value = match ops::text::concat(&mut t.heap, parts) {
        Err(OpFail::NeedsSteps(_)) => {
            let list = ops::list::new(&mut t.heap, parts);
            let list = t.checked(list)?;
            return t.call_prelude("__text_of_parts", w.a(), &[list]);
        }
        result => t.checked(result)?,
    };
    t.set_reg(w.a(), value);
    t.after_alloc();
    Ok(())
}

// --- comparison

/// `x < y` or `x <= y` of numbers, strings and durations; `None` where more than a look is needed.
fn quick_order(x: Value, y: Value, or_equal: bool) -> Option<bool> {
    use std::cmp::Ordering;
    let order = match ops::compare::compare_numbers(x, y) {
        Some(order) => order,
        None if x.is_kind(Kind::Str) && y.is_kind(Kind::Str) => {
            Some(ops::text::str_of(x).cmp(ops::text::str_of(y)))
        }
        None => match (ops::duration::view(x), ops::duration::view(y)) {
            (Some(x), Some(y)) => Some(x.cmp(&y)),
            _ => return None,
        },
    };
    // Without an order (NaN) both are false.
    Some(match order {
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => or_equal,
        _ => false,
    })
}

/// What a comparison is for: where its result goes.
#[derive(Clone, Copy)]
enum Goal {
    /// `R[dest] :=` the result, negated if wanted.
    Register { dest: usize, negate: bool },
    /// Jump if the result is this.
    JumpIf(bool),
}

fn finish(t: &mut Thread, w: Word, goal: Goal, result: bool) {
    match goal {
        Goal::Register { dest, negate } => t.set_reg(dest, Value::bool(result != negate)),
        Goal::JumpIf(wanted) => {
            if result == wanted {
                take_jump(t, w);
            }
        }
    }
}

fn equal(t: &mut Thread, w: Word, goal: Goal, x: Value, y: Value) -> Done {
    match ops::compare::quick_equal(t.types(), x, y) {
        Some(result) => {
            finish(t, w, goal, result);
            Ok(())
        }
        None => match goal {
            Goal::Register {
                dest,
                negate: false,
            } => t.call_hook(Hook::Eq, dest, &[x, y]),
            Goal::Register { dest, negate: true } => t.call_hook(Hook::Ne, dest, &[x, y]),
            Goal::JumpIf(_) => t.call_hook(Hook::EqJump, 0, &[x, y]),
        },
    }
}
/// `x < y` or, with `or_equal`, `x <= y`.
fn order(t: &mut Thread, w: Word, goal: Goal, x: Value, y: Value, or_equal: bool) -> Done {
    match quick_order(x, y, or_equal) {
        Some(result) => {
            finish(t, w, goal, result);
            Ok(())
        }
        None => match goal {
            Goal::Register { dest, .. } => {
                t.call_hook(if or_equal { Hook::Le } else { Hook::Lt }, dest, &[x, y])
            }
            Goal::JumpIf(_) => t.call_hook(
                if or_equal { Hook::LeJump } else { Hook::LtJump },
                0,
                &[x, y],
            ),
        },
    }
}

pub(crate) fn Eq(t: &mut Thread, w: Word) -> Done {
    equal(
        t,
        w,
        Goal::Register {
            dest: w.a(),
            negate: false,
        },
        t.reg(w.b()),
        t.reg(w.c()),
    )
}
pub(crate) fn Ne(t: &mut Thread, w: Word) -> Done {
    equal(
        t,
        w,
        Goal::Register {
            dest: w.a(),
            negate: true,
        },
        t.reg(w.b()),
        t.reg(w.c()),
    )
}
pub(crate) fn Lt(t: &mut Thread, w: Word) -> Done {
    order(
        t,
        w,
        Goal::Register {
            dest: w.a(),
            negate: false,
        },
        t.reg(w.b()),
        t.reg(w.c()),
        false,
    )
}
pub(crate) fn Le(t: &mut Thread, w: Word) -> Done {
    order(
        t,
        w,
        Goal::Register {
            dest: w.a(),
            negate: false,
        },
        t.reg(w.b()),
        t.reg(w.c()),
        true,
    )
}
pub(crate) fn JEq(t: &mut Thread, w: Word) -> Done {
    equal(t, w, Goal::JumpIf(true), t.reg(w.a()), t.reg(w.b()))
}
pub(crate) fn JNe(t: &mut Thread, w: Word) -> Done {
    equal(t, w, Goal::JumpIf(false), t.reg(w.a()), t.reg(w.b()))
}
macro_rules! order_jumps {
    ($($name:ident $wanted:literal $or_equal:literal;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            order(t, w, Goal::JumpIf($wanted), t.reg(w.a()), t.reg(w.b()), $or_equal)
        }
    )*};
}
order_jumps! { JLt true false; JLe true true; JNLt false false; JNLe false true; }
fn small(w: Word) -> Value {
    Value::small_int(w.pair() as i16 as i64)
}
macro_rules! order_jumps_int {
    ($($name:ident $wanted:literal $or_equal:literal $swapped:literal;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            let (x, y) = if $swapped { (small(w), t.reg(w.a())) } else { (t.reg(w.a()), small(w)) };
            order(t, w, Goal::JumpIf($wanted), x, y, $or_equal)
        }
    )*};
}
order_jumps_int! {
    JLtI true false false; JLeI true true false; JGtI true false true; JGeI true true true;
    JNLtI false false false; JNLeI false true false; JNGtI false false true; JNGeI false true true;
}
pub(crate) fn JEqI(t: &mut Thread, w: Word) -> Done {
    equal(t, w, Goal::JumpIf(true), t.reg(w.a()), small(w))
}
pub(crate) fn JNeI(t: &mut Thread, w: Word) -> Done {
    equal(t, w, Goal::JumpIf(false), t.reg(w.a()), small(w))
}
/// `ReturnJump`: the frame of a hook returns to the fused comparison that called it.
pub(crate) fn ReturnJump(t: &mut Thread, w: Word) -> Done {
    let truth = t.reg(w.a()).is_truthy();
    leave_frame(t);
    // SAFETY: the caller's `pc` is behind the word of the fused instruction.
    let caller = unsafe { Word(*t.pc.sub(1)) };
    let wanted = match caller.op() {
        Some(
            Op::JLt | Op::JLe | Op::JEq | Op::JLtI | Op::JLeI | Op::JGtI | Op::JGeI | Op::JEqI,
        ) => true,
        Some(Op::JNoKey) => {
            unreachable!("JNoKey is finished by its own hook")
        }
        _ => false,
    };
    if truth == wanted {
        take_jump(t, caller);
    }
    Ok(())
}
/// Leaves the running frame without a result.
fn leave_frame(t: &mut Thread) {
    // SAFETY: the return word leads to the caller.
    unsafe {
        let ret = frame::ret(t.base);
        t.base = t.base.sub(frame::return_distance(ret) + 2);
        t.pc = frame::return_pc(ret);
    }
}

pub(crate) fn In(t: &mut Thread, w: Word) -> Done {
    let (x, container) = (t.reg(w.b()), t.reg(w.c()));
    let quick = match container.kind() {
        Some(Kind::Map | Kind::Set) => match ops::map::get(t.types(), container, x) {
            Ok(Lookup::NeedsScript) => None,
            Ok(found) => Some(matches!(found, Lookup::Found(_))),
            Err(fail) => return Err(t.trap(fail)),
        },
        Some(Kind::Range) => {
            let types = t.engine();
            let result = access::range_contains(&mut t.heap, types, container, x);
            Some(t.checked(result)?)
        }
        Some(Kind::List | Kind::Tuple) => contains(t, container, x),
        _ => None,
    };
    match quick {
        Some(found) => {
            t.set_reg(w.a(), Value::bool(found));
            Ok(())
        }
        None => t.call_hook(Hook::In, w.a(), &[x, container]),
    }
}
/// Searches a list or tuple as long as no script is needed and it is short.
fn contains(t: &mut Thread, container: Value, x: Value) -> Option<bool> {
    let items = t.elements(container)?;
    if items.len() > 100_000 {
        return None;
    }
    for item in items {
        match ops::compare::quick_equal(t.types(), *item, x) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => return None,
        }
    }
    Some(false)
}
pub(crate) fn Is(t: &mut Thread, w: Word) -> Done {
    let (x, ty) = (t.reg(w.b()), t.reg(w.c()));
    let result = t.is_of(x, ty)?;
    t.set_reg(w.a(), Value::bool(result));
    Ok(())
}
pub(crate) fn JNotType(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let mut ty = t.constant(w.pair() as i32);
    if !ty.is_kind(Kind::Type) {
        ty = import(t, Word::new(Op::Nop, 0, 0, 0, w.pair() as i32))?;
    }
    if !t.is_of(x, ty)? {
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn JNotLen(t: &mut Thread, w: Word) -> Done {
    take_jump(t, w);
    Ok(())
}
pub(crate) fn JNotIn(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let range = t.constant(w.pair() as i32);
    let types = t.engine();
    if !access::range_contains(&mut t.heap, types, range, x).unwrap_or(false) {
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn JNoKey(t: &mut Thread, w: Word) -> Done {
    let (map, key) = (t.reg(w.a()), t.reg(w.b()));
    match ops::map::get(t.types(), map, key) {
        Ok(Lookup::Found(value)) => t.set_reg(w.b(), value),
        // Keys of patterns are strings, so no script is ever needed.
        _ => take_jump(t, w),
    }
    Ok(())
}

// --- jumps that count fuel

pub(crate) fn Loop(t: &mut Thread, _: Word) -> Done {
    out_of_fuel(t)
}
fn out_of_fuel(t: &mut Thread) -> Done {
    // SAFETY: `pc` is behind the instruction's word.
    t.pc = unsafe { t.pc.sub(1) };
    Err(Trap::Safepoint)
}
pub(crate) fn ForLoop(t: &mut Thread, w: Word) -> Done {
    let (i, end) = (t.reg(w.a()), t.reg(w.a() + 1));
    if i.is_small_int() && end.is_small_int() && i.as_small_int() < crate::value::MAX_SMALL_INT {
        return out_of_fuel(t);
    }
    t.charge_call()?;
    let types = t.engine();
    let next = ops::arith::binary(&mut t.heap, types, BinaryOp::Add, i, Value::small_int(1));
    let next = t.checked(next)?;
    if quick_order(next, end, false) == Some(true) {
        t.set_reg(w.a(), next);
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn ForPrep(t: &mut Thread, w: Word) -> Done {
    let (start, end) = (t.reg(w.a()), t.reg(w.a() + 1));
    if !ops::int::is_int(start) || !ops::int::is_int(end) {
        let wrong = if ops::int::is_int(start) { end } else { start };
        let message = format!(
            "a range needs ints, got {}",
            crate::native::with_article(&t.type_name(wrong))
        );
        return Err(t.throw_new(ErrorKind::Type, &message));
    }
    if w.b() == 1 {
        let types = t.engine();
        let result =
            ops::arith::binary(&mut t.heap, types, BinaryOp::Add, end, Value::small_int(1));
        let end = t.checked(result)?;
        t.set_reg(w.a() + 1, end);
    }
    if quick_order(start, t.reg(w.a() + 1), false) != Some(true) {
        take_jump(t, w);
    }
    Ok(())
}

// --- calls

pub(crate) fn Call(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallK(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let callee = import(t, w)?;
    t.set_reg(w.a(), callee);
    quicken_call(t, w, callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
/// A `CallK` of a permanent closure that takes exactly these arguments becomes a `CallNear` or `CallFn`, one of a native a `CallNative`.
fn quicken_call(t: &mut Thread, w: Word, callee: Value) {
    if !callee.is_shared() {
        return;
    }
    // SAFETY: a closure's prototype and the running one live as long as the engine; a constant that stood for an import now holds what it
    // names, which never changes (write-once slot).
    unsafe {
        let fits = match callee.kind() {
            Some(Kind::Closure) => {
                let proto = (*callee.as_object().cast::<ClosureObject>()).proto();
                (*proto).exact_arity as usize == w.c()
            }
            Some(Kind::Native) => {
                let native = callee.as_object().cast::<NativeFunction>();
                (*native).header.aux as usize == w.c() && (*(*native).def).host.is_none()
            }
            _ => false,
        };
        if !fits {
            return;
        }
        let running = &*frame::proto(t.base);
        let constant = running.constant(w.imm() as usize);
        if running.links.contains_key(&(w.imm() as u32)) && (*constant) != callee {
            if !(*constant).is_unset() {
                return;
            }
            constant.write_volatile(callee);
        }
        let place = t.pc.sub(1);
        let word = if callee.is_kind(Kind::Native) {
            w.with_op(Op::CallNative)
        } else {
            near_call(w, place, callee).unwrap_or(w.with_op(Op::CallFn))
        };
        (*place.cast::<std::sync::atomic::AtomicU64>())
            .store(word.0, std::sync::atomic::Ordering::Release);
    }
}
pub(crate) fn CallNative(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let native = t.constant(w.imm()).as_object().cast::<NativeFunction>();
    // SAFETY: the constant was a native when the instruction was made, and never changes; definitions live as long as the engine.
    t.call_plain(unsafe { &*(*native).def }, w.a(), w.c(), w.b())
}
pub(crate) fn CallNear(t: &mut Thread, w: Word) -> Done {
    // SAFETY: made by `near_call`: there begins the code of a permanent closure's function.
    let callee = unsafe { (*NearHead::of(t.pc.offset(w.imm() as isize))).closure };
    t.charge_call()?;
    t.set_reg(w.a(), callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallFn(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    t.set_reg(w.a(), t.constant(w.imm()));
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallGlobal(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let callee = t.global(w.imm() as u32);
    if callee.is_unset() {
        return GetGlobal(t, w);
    }
    t.set_reg(w.a(), callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallNamed(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let names = t.names_of(w.imm());
    t.call_window(w.a(), w.c(), w.b(), names)
}
pub(crate) fn InvokeT(t: &mut Thread, w: Word) -> Done {
    Invoke(t, w)
}
pub(crate) fn Invoke(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let cache = t.pc.cast_mut();
    let receiver = t.reg(w.a() + 2);
    // SAFETY: verified: a cache word follows.
    unsafe {
        t.pc = t.pc.add(1);
        if receiver.is_object()
            && let Some(index) = super::fast::in_word(cache, receiver.type_id())
                .or_else(|| super::fast::in_table(t, w, receiver.type_id(), crate::cache::METHOD))
        {
            // What the cache remembers is a method of the type.
            let method = *t.methods.add(index as usize);
            t.set_reg(w.a(), method);
            if method == t.list_push && w.c() == 2 && w.op() == Some(Op::Invoke) {
                let word = cache.sub(1).cast::<std::sync::atomic::AtomicU64>();
                (*word).store(
                    w.with_op(Op::InvokePush).0,
                    std::sync::atomic::Ordering::Relaxed,
                );
            }
            if method.is_kind(Kind::Native) {
                let native = method.as_object().cast::<NativeFunction>();
                if (*native).header.aux as usize == w.c() && (*(*native).def).host.is_none() {
                    return t.call_plain(&*(*native).def, w.a(), w.c(), w.b());
                }
            }
            return t.call_window(w.a(), w.c(), w.b(), &[]);
        }
    }
    let name = t.engine_symbol(w.imm());
    t.invoke(w.a(), w.c(), w.b(), name, &[], Some(cache))
}
pub(crate) fn InvokePush(t: &mut Thread, w: Word) -> Done {
    Invoke(t, w)
}
pub(crate) fn InvokeCopy(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    // SAFETY: verified: a word with the mask follows.
    let mask = unsafe { *t.pc } as u32;
    let name = t.engine_symbol(w.imm());
    t.invoke_copying(w.a(), w.c(), w.b(), name, mask)
}
pub(crate) fn InvokeNamed(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let names = t.names_of(w.imm());
    t.invoke(w.a(), w.c(), w.b(), names[0], &names[1..], None)
}
pub(crate) fn CheckArg(t: &mut Thread, w: Word) -> Done {
    if t.reg(w.a()).is_unset() {
        let name = t.constant(w.imm());
        let text = ops::text::str_of(name).to_string();
        // SAFETY: the running prototype lives as long as the engine.
        let function = unsafe { &(*frame::proto(t.base)).name };
        return Err(t.throw_new(
            ErrorKind::Type,
            &format!("{function}() is missing argument '{text}'"),
        ));
    }
    Ok(())
}

// --- generators and loops

pub(crate) fn GenBegin(t: &mut Thread, _: Word) -> Done {
    t.poll();
    t.begin_generator();
    Ok(())
}
pub(crate) fn Yield(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.b());
    if t.yield_value(value, w.c()) == resumed_by::PAIRS
        && let Step::Pair(x, y) = element(t, value, true)?
    {
        // SAFETY: the caller's `pc` is behind the `ForNext2` that asked.
        let asked = unsafe { Word(*t.pc.sub(1)) };
        t.set_reg(asked.b(), x);
        t.set_reg(asked.b() + 1, y);
    }
    Ok(())
}
pub(crate) fn GenReturn(t: &mut Thread, _: Word) -> Done {
    let reason = t.finish_generator();
    leave_frame(t);
    match reason {
        resumed_by::LOOP | resumed_by::PAIRS => {
            end_loop(t);
            Ok(())
        }
        resumed_by::CLOSE => Ok(()),
        _ => {
            let error = t.new_error(ErrorKind::StopIteration, Value::NIL);
            Err(t.throw_value(error))
        }
    }
}
pub(crate) fn ReturnEnd(t: &mut Thread, _: Word) -> Done {
    leave_frame(t);
    end_loop(t);
    Ok(())
}
/// The caller is a `ForNext` or `ForNext2` that asked for a next value, and there is none.
fn end_loop(t: &mut Thread) {
    // SAFETY: the caller's `pc` is behind the word that asked.
    let caller = unsafe { Word(*t.pc.sub(1)) };
    debug_assert!(matches!(caller.op(), Some(Op::ForNext | Op::ForNext2)));
    take_jump(t, caller);
}

pub(crate) fn IterNew(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    let a = w.a();
    let (source, length) = match x.kind() {
        // SAFETY: the layout of the kind.
        Some(Kind::List) => (x, unsafe { (*x.as_object().cast::<List>()).len as i64 }),
        Some(Kind::Map | Kind::Set) => (x, ops::map::stamp(x)),
        // SAFETY: the layout of the kind.
        Some(Kind::Tuple) => (x, unsafe { (*x.as_object().cast::<Tuple>()).len as i64 }),
        Some(Kind::Str) => (x, 0),
        // SAFETY: the layout of the kind.
        Some(Kind::Bytes) => (x, unsafe {
            (*x.as_object().cast::<crate::object::Bytes>()).len as i64
        }),
        Some(Kind::Range) => {
            if !access::is_closed(x) {
                return Err(
                    t.throw_new(ErrorKind::Type, "a range without an end cannot be iterated")
                );
            }
            t.set_reg(a + 2, Value::small_int(0));
            let first = access::range_parts(x).0;
            t.set_reg(a, x);
            t.set_reg(a + 1, first);
            return Ok(());
        }
        Some(Kind::Generator | Kind::Iter) => (x, 0),
        Some(Kind::Struct | Kind::Variant) => {
            let info = t.engine().type_info(x.type_id());
            t.set_reg(a + 1, Value::small_int(0));
            t.set_reg(a + 2, Value::small_int(0));
            if let Some(method) = info.method(sym::ITER) {
                t.poll();
                let _ = method;
                return t.call_hook(Hook::IterNew, a, &[t.reg(w.b())]);
            }
            if info.method(sym::NEXT).is_some() {
                t.set_reg(a, x);
                return Ok(());
            }
            return Err(not_iterable(t, x));
        }
        // Runtime objects written in Rust, as files.
        Some(Kind::Host)
            if t.engine()
                .type_info(x.type_id())
                .method(sym::NEXT)
                .is_some() =>
        {
            (x, 0)
        }
        _ => return Err(not_iterable(t, x)),
    };
    t.set_reg(a, source);
    t.set_reg(a + 1, Value::small_int(0));
    t.set_reg(a + 2, Value::small_int(length));
    Ok(())
}
fn not_iterable(t: &mut Thread, x: Value) -> Trap {
    let message = if x.is_nil() {
        "nil is not iterable".to_string()
    } else {
        format!(
            "{} is not iterable",
            crate::native::with_article(&t.type_name(x))
        )
    };
    t.throw_new(ErrorKind::Type, &message)
}
fn size_changed(t: &mut Thread, what: &str) -> Trap {
    t.throw_new(
        ErrorKind::Value,
        &format!("the size of the {what} changed while it was iterated"),
    )
}

/// What a step of a loop gives.
enum Step {
    Value(Value),
    Pair(Value, Value),
    End,
    /// A frame was pushed; it delivers the value.
    Pushed,
}

pub(crate) fn ForNext(t: &mut Thread, w: Word) -> Done {
    match step(t, w, false)? {
        Step::Value(v) => t.set_reg(w.b(), v),
        Step::End => take_jump(t, w),
        Step::Pushed => {}
        Step::Pair(..) => unreachable!("pairs only where asked for"),
    }
    Ok(())
}
pub(crate) fn ForNext2(t: &mut Thread, w: Word) -> Done {
    match step(t, w, true)? {
        Step::Value(v) => t.set_reg(w.b(), v),
        Step::Pair(k, v) => {
            t.set_reg(w.b(), k);
            t.set_reg(w.b() + 1, v);
        }
        Step::End => take_jump(t, w),
        Step::Pushed => {}
    }
    Ok(())
}
fn step(t: &mut Thread, w: Word, pairs: bool) -> Result<Step, Trap> {
    let a = w.a();
    let x = t.reg(a);
    let position = t.reg(a + 1);
    let at = if position.is_small_int() {
        position.as_small_int() as usize
    } else {
        0
    };
    let expected = t.reg(a + 2);
    let advance = |t: &mut Thread, n: usize| t.set_reg(a + 1, Value::small_int(n as i64));
    // SAFETY (all blocks below): the layout of the kind that was tested.
    Ok(match x.kind() {
        Some(Kind::List) => {
            let items = ops::list::items_of(x);
            if items.len() as i64 != expected.as_small_int() {
                return Err(size_changed(t, "list"));
            }
            match items.get(at) {
                Some(v) => {
                    let v = *v;
                    advance(t, at + 1);
                    return element(t, v, pairs);
                }
                None => Step::End,
            }
        }
        Some(Kind::Tuple) => match t.elements(x).and_then(|items| items.get(at)) {
            Some(v) => {
                let v = *v;
                advance(t, at + 1);
                return element(t, v, pairs);
            }
            None => Step::End,
        },
        Some(kind @ (Kind::Map | Kind::Set)) => {
            // SAFETY: the layout of the kind.
            let map = unsafe { &*x.as_object().cast::<Map>() };
            if ops::map::stamp(x) != expected.as_small_int() {
                return Err(size_changed(
                    t,
                    if kind == Kind::Map { "map" } else { "set" },
                ));
            }
            let mut i = at;
            while i < map.used as usize {
                // SAFETY: `i` is below the number of used entries.
                let entry = unsafe { *map.entries.add(i) };
                i += 1;
                if !entry.key.is_unset() {
                    advance(t, i);
                    return if pairs && kind == Kind::Map {
                        Ok(Step::Pair(entry.key, entry.value))
                    } else {
                        element(t, entry.key, pairs)
                    };
                }
            }
            Step::End
        }
        Some(Kind::Range) => {
            if !access::is_before_end(x, position) {
                return Ok(Step::End);
            }
            let types = t.engine();
            let next = ops::arith::binary(
                &mut t.heap,
                types,
                BinaryOp::Add,
                position,
                access::range_parts(x).2,
            );
            let next = t.checked(next)?;
            t.set_reg(a + 1, next);
            return element(t, position, pairs);
        }
        Some(Kind::Str) => {
            let text = ops::text::str_of(x);
            match text[at..].chars().next() {
                Some(c) => {
                    advance(t, at + c.len_utf8());
                    t.poll();
                    let mut buffer = [0; 4];
                    let v = ops::text::new_reserved(&mut t.heap, c.encode_utf8(&mut buffer));
                    return element(t, v, pairs);
                }
                None => Step::End,
            }
        }
        Some(Kind::Bytes) => {
            let bytes = x.as_object().cast::<crate::object::Bytes>();
            // SAFETY: the layout of the kind.
            if at < unsafe { (*bytes).len } as usize {
                advance(t, at + 1);
                // SAFETY: `at` is below the length.
                let byte = unsafe { *bytes.add(1).cast::<u8>().add(at) };
                return element(t, Value::small_int(byte as i64), pairs);
            }
            Step::End
        }
        Some(Kind::Generator) => {
            let generator = x.as_object().cast::<Generator>();
            // SAFETY: the layout of the kind.
            if unsafe { (*generator).state } == generator_state::DONE {
                return Ok(Step::End);
            }
            t.charge_call()?;
            // SAFETY: the running frame's prototype.
            let top = unsafe { (*frame::proto(t.base)).registers as usize };
            let reason = if pairs {
                resumed_by::PAIRS
            } else {
                resumed_by::LOOP
            };
            t.resume_generator(x, top, w.b(), None, reason)?;
            Step::Pushed
        }
        _ if pairs => {
            // A generator over it takes its place, and this instruction runs again.
            t.charge_call()?;
            // SAFETY: the word before `pc` is this instruction.
            t.pc = unsafe { t.pc.sub(1) };
            t.call_hook(Hook::IterNew, a, &[x])?;
            Step::Pushed
        }
        _ => {
            t.charge_call()?;
            t.call_hook(Hook::IterNext, w.b(), &[x])?;
            Step::Pushed
        }
    })
}
/// A loop over pairs takes each value apart.
fn element(t: &mut Thread, v: Value, pairs: bool) -> Result<Step, Trap> {
    if !pairs {
        return Ok(Step::Value(v));
    }
    match t.elements(v) {
        Some([x, y]) => Ok(Step::Pair(*x, *y)),
        _ => {
            let text = t.repr_short(v);
            Err(t.throw_new(
                ErrorKind::Value,
                &format!("cannot take {text} apart into 2 values"),
            ))
        }
    }
}
/// A generator of the library has nothing to clean up itself, and can be used further after a loop that was left, unless it
/// draws (its register 0) on a generator of the program.
fn is_closed_by_loops(mut x: Value) -> bool {
    while x.is_kind(Kind::Generator) {
        let generator = x.as_object().cast::<Generator>();
        // SAFETY: its kind was tested; `aux` values are saved behind it.
        unsafe {
            let proto = &*(*(*generator).closure.as_object().cast::<ClosureObject>()).proto();
            if !proto.is_internal {
                return true;
            }
            if (*generator).header.aux == 0 {
                return false;
            }
            x = *generator.add(1).cast::<Value>();
        }
    }
    false
}
pub(crate) fn IterClose(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    if !x.is_kind(Kind::Generator) {
        return Ok(());
    }
    if !is_closed_by_loops(x) {
        return Ok(());
    }
    let generator = x.as_object().cast::<Generator>();
    // SAFETY: its kind was tested.
    unsafe {
        let proto = &*(*(*generator).closure.as_object().cast::<ClosureObject>()).proto();
        if (*generator).state == generator_state::SUSPENDED && proto.has_cleanup {
            let top = (*frame::proto(t.base)).registers as usize;
            return t.resume_generator(x, top, top, Some(Value::UNSET), resumed_by::CLOSE);
        }
        if (*generator).state != generator_state::RUNNING {
            (*generator).state = generator_state::DONE;
            (*generator).header.aux = 0;
        }
    }
    Ok(())
}

// --- objects

pub(crate) fn NewList(t: &mut Thread, w: Word) -> Done {
    t.poll();
    // SAFETY: verified: the run lies in the frame.
    let items = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let made = ops::list::new(&mut t.heap, items);
    let list = t.checked(made)?;
    t.set_reg(w.a(), list);
    Ok(())
}
pub(crate) fn ListAppend(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let list = t.reg(w.a());
    if !list.is_kind(Kind::List) {
        return Err(t.throw_new(ErrorKind::Type, "only a list can be appended to"));
    }
    for i in 0..w.c() {
        let value = t.reg(w.b() + i);
        let done = ops::list::push(&mut t.heap, list, value);
        t.checked(done)?;
    }
    Ok(())
}
pub(crate) fn ListToTuple(t: &mut Thread, w: Word) -> Done {
    t.poll();
    // SAFETY: verified programs pass lists only; anything else has no elements.
    let items: &[Value] = t.elements(t.reg(w.b())).unwrap_or(&[]);
    let made = ops::list::new_tuple(&mut t.heap, items);
    let tuple = t.checked(made)?;
    t.set_reg(w.a(), tuple);
    Ok(())
}
pub(crate) fn NewTuple(t: &mut Thread, w: Word) -> Done {
    t.poll();
    // SAFETY: verified: the run lies in the frame.
    let items = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let made = ops::list::new_tuple(&mut t.heap, items);
    let tuple = t.checked(made)?;
    t.set_reg(w.a(), tuple);
    Ok(())
}
pub(crate) fn NewMap(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let made = ops::map::new_map(&mut t.heap, w.imm().clamp(0, 1 << 16) as usize);
    let map = t.checked(made)?;
    t.set_reg(w.a(), map);
    Ok(())
}
pub(crate) fn MapInsert(t: &mut Thread, w: Word) -> Done {
    set_index(t, t.reg(w.a()), t.reg(w.b()), t.reg(w.c()))
}
pub(crate) fn NewRange(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let (start, end) = (t.reg(w.b()), t.reg(w.c()));
    let result = access::new_range(&mut t.heap, start, end, w.imm() == 1);
    let value = t.checked(result)?;
    t.set_reg(w.a(), value);
    Ok(())
}
pub(crate) fn NewStruct(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let ty = t.constant(w.imm());
    // SAFETY: verified: the constant is a type with `c` fields.
    let template = unsafe { (*ty.as_object().cast::<TypeObject>()).template };
    let object = t
        .heap
        .alloc(template, size_of::<Instance>() + w.c() * size_of::<Value>());
    for i in 0..w.c() {
        // SAFETY: `alloc` made room for the fields.
        unsafe { *object.cast::<Value>().add(1 + i) = t.reg(w.b() + i) };
    }
    t.set_reg(w.a(), Value::local(object));
    Ok(())
}
pub(crate) fn GetFieldT(t: &mut Thread, w: Word) -> Done {
    GetField(t, w)
}
pub(crate) fn GetField(t: &mut Thread, w: Word) -> Done {
    let cache = t.pc.cast_mut();
    // SAFETY: verified: a cache word follows.
    t.pc = unsafe { t.pc.add(1) };
    let object = t.reg(w.b());
    let name = t.engine_symbol(w.imm());
    if object.is_kind(Kind::Struct) || object.is_kind(Kind::Variant) {
        let info = t.engine().type_info(object.type_id());
        if let Some(index) = info.field_index(name)
            && (!info.is_error || (name != sym::KIND && name != sym::TRACE))
        {
            t.remember(cache, info.id, name, crate::cache::FIELD, index as u32);
            // SAFETY: the field exists.
            t.set_reg(w.a(), unsafe {
                *object.as_object().cast::<Value>().add(1 + index)
            });
            return Ok(());
        }
    }
    t.poll();
    let object = t.reg(w.b());
    let value = t.get_field(object, name, false)?;
    t.set_reg(w.a(), value);
    Ok(())
}
pub(crate) fn SetFieldT(t: &mut Thread, w: Word) -> Done {
    SetField(t, w)
}
pub(crate) fn SetField(t: &mut Thread, w: Word) -> Done {
    let cache = t.pc.cast_mut();
    let (object, value) = (t.reg(w.a()), t.reg(w.b()));
    let name = t.engine_symbol(w.imm());
    match object.kind() {
        Some(Kind::Struct | Kind::Variant) => {
            let info = t.engine().type_info(object.type_id());
            let Some(index) = info.field_index(name) else {
                return Err(t.no_member(object, name, false));
            };
            if t.is_frozen_object(object) {
                let message = format!(
                    "{} is frozen: its field '{}' cannot be assigned",
                    info.name,
                    t.engine().symbol_text(name)
                );
                return Err(t.throw_new(ErrorKind::Frozen, &message));
            }
            if !info.fields[index].is_var {
                let message = format!(
                    "field '{}' of {} cannot be assigned: it is not declared with var",
                    t.engine().symbol_text(name),
                    info.name
                );
                return Err(t.throw_new(ErrorKind::Type, &message));
            }
            t.remember(cache, info.id, name, crate::cache::VAR_FIELD, index as u32);
            // SAFETY: verified: a cache word follows; the field exists.
            unsafe {
                t.pc = t.pc.add(1);
                *object.as_object().cast::<Value>().add(1 + index) = value;
            }
            t.heap.barrier(object.as_object(), value);
            Ok(())
        }
        Some(Kind::Map) => {
            let key = t.symbol_value(name);
            set_index(t, object, key, value)?;
            // SAFETY: as above.
            t.pc = unsafe { t.pc.add(1) };
            Ok(())
        }
        _ => {
            let text = t.engine().symbol_text(name).to_string();
            let message = if object.is_nil() {
                format!("cannot assign field '{text}' of nil")
            } else {
                format!(
                    "cannot assign field '{text}' of {}",
                    crate::native::with_article(&t.type_name(object))
                )
            };
            Err(t.throw_new(ErrorKind::Type, &message))
        }
    }
}
pub(crate) fn GetSlot(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    let text = t.repr_short(x);
    Err(t.throw_new(
        ErrorKind::Match,
        &format!("{text} has no field at position {}", w.c()),
    ))
}
pub(crate) fn GetIndex(t: &mut Thread, w: Word) -> Done {
    get_index(t, w.a(), t.reg(w.b()), t.reg(w.c()))
}
pub(crate) fn GetIndexI(t: &mut Thread, w: Word) -> Done {
    get_index(t, w.a(), t.reg(w.b()), Value::small_int(w.imm() as i64))
}
fn get_index(t: &mut Thread, dest: usize, object: Value, index: Value) -> Done {
    match object.kind() {
        Some(Kind::Map) => match ops::map::get(t.types(), object, index) {
            Ok(Lookup::Found(value)) => {
                t.set_reg(dest, value);
                Ok(())
            }
            Ok(Lookup::Missing) => {
                let text = t.repr_short(index);
                Err(t.throw_new(ErrorKind::Key, &format!("no key {text} in the map")))
            }
            Ok(Lookup::NeedsScript) => t.call_hook(Hook::GetIndex, dest, &[object, index]),
            Err(fail) => Err(t.trap(fail)),
        },
        Some(Kind::Struct | Kind::Variant | Kind::Host) => match t
            .engine()
            .type_info(object.type_id())
            .method(sym::GET_INDEX)
        {
            Some(method) => t.call_into(dest, method.function, &[object, index]),
            None => {
                let message = format!(
                    "{} cannot be indexed",
                    crate::native::with_article(&t.type_name(object))
                );
                Err(t.throw_new(ErrorKind::Type, &message))
            }
        },
        _ => {
            let value = match access::get_index(&mut t.heap, object, index) {
                Err(OpFail::NeedsSteps(steps)) => {
                    return t.call_prelude(steps, dest, &[object, index]);
                }
                result => t.checked(result)?,
            };
            t.set_reg(dest, value);
            t.after_alloc();
            Ok(())
        }
    }
}
pub(crate) fn SetIndex(t: &mut Thread, w: Word) -> Done {
    let (object, index, value) = (t.reg(w.a()), t.reg(w.b()), t.reg(w.c()));
    if object.is_kind(Kind::Struct) || object.is_kind(Kind::Variant) {
        if let Some(method) = t
            .engine()
            .type_info(object.type_id())
            .method(sym::SET_INDEX)
        {
            // The result goes to a register nobody reads: the last of the callee's own window.
            // SAFETY: the running prototype.
            let top = unsafe { (*frame::proto(t.base)).registers as usize };
            return t.call_into(top, method.function, &[object, index, value]);
        }
        let message = format!(
            "{} cannot be assigned by index",
            crate::native::with_article(&t.type_name(object))
        );
        return Err(t.throw_new(ErrorKind::Type, &message));
    }
    set_index(t, object, index, value)
}
fn set_index(t: &mut Thread, object: Value, index: Value, value: Value) -> Done {
    if object.is_kind(Kind::Map) {
        let types: *const crate::engine::Engine = t.engine();
        // SAFETY: the thread keeps its engine alive.
        let types = unsafe { &*types };
        let result = ops::map::insert(&mut t.heap, types, object, index, value);
        return match result {
            Ok(ops::map::Inserted::New | ops::map::Inserted::Replaced) => {
                t.after_alloc();
                Ok(())
            }
            Ok(ops::map::Inserted::NeedsScript) => {
                // SAFETY: the running prototype.
                let top = unsafe { (*frame::proto(t.base)).registers as usize };
                t.call_hook(Hook::SetIndex, top, &[object, index, value])
            }
            Err(fail) => Err(t.trap(fail)),
        };
    }
    let result = access::set_index(&mut t.heap, object, index, value);
    t.checked(result).map(|_| ())
}
pub(crate) fn SetMethod(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    let Some(Link::Method(ty, name)) = proto.links.get(&(w.imm() as u32)) else {
        unreachable!("verified: the constant names a method")
    };
    let function = t.reg(w.a());
    t.set_local_method(*ty, *name, function);
    Ok(())
}
pub(crate) fn Unpack(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let takes = match w.imm() {
        1 => x.is_kind(Kind::Tuple),
        2 => x.is_kind(Kind::List),
        _ => true,
    };
    match t.elements(x).filter(|_| takes) {
        Some(items) if items.len() == w.c() => {
            for (i, item) in items.iter().enumerate() {
                t.set_reg(w.b() + i, *item);
            }
            Ok(())
        }
        Some(items) => {
            let message = format!("cannot take {} values apart into {}", items.len(), w.c());
            Err(t.throw_new(ErrorKind::Match, &message))
        }
        None => {
            let message = format!(
                "cannot take {} apart into {} values",
                crate::native::with_article(&t.type_name(x)),
                w.c()
            );
            Err(t.throw_new(ErrorKind::Match, &message))
        }
    }
}
pub(crate) fn SliceRest(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let items = t.elements(t.reg(w.b())).unwrap_or(&[]);
    let end = items.len().saturating_sub(w.imm().max(0) as usize);
    let rest = items.get(w.c()..end).unwrap_or(&[]);
    let made = ops::list::new(&mut t.heap, rest);
    let list = t.checked(made)?;
    t.set_reg(w.a(), list);
    Ok(())
}

// --- errors and defer

pub(crate) fn Throw(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let value = t.reg(w.a());
    Err(t.throw_value(value))
}
pub(crate) fn Rethrow(t: &mut Thread, w: Word) -> Done {
    t.thrown = t.reg(w.a());
    Err(Trap::Throw)
}
pub(crate) fn MatchFail(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.a());
    let text = t.repr_short(value);
    Err(t.throw_new(ErrorKind::Match, &format!("no arm matches {text}")))
}
pub(crate) fn AssertFail(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let condition = ops::text::str_of(t.constant(w.imm())).to_string();
    let (left, right, message) = (t.reg(w.a()), t.reg(w.b()), t.reg(w.c()));
    let mut text = String::new();
    if !message.is_unset() {
        text.push_str(&t.show_short(message));
        text.push_str(": ");
    }
    text.push_str("assertion failed: ");
    text.push_str(&condition);
    if right.is_unset() {
        if !matches!(left, Value::FALSE | Value::NIL) || left.is_nil() {
            text.push_str(&format!(" (it is {})", t.repr_short(left)));
        }
    } else {
        let (left, right) = (t.repr_short(left), t.repr_short(right));
        text.push_str(&format!("\n  left:  {left}\n  right: {right}"));
    }
    Err(t.throw_new(ErrorKind::Assert, &text))
}
pub(crate) fn DeferPush(t: &mut Thread, w: Word) -> Done {
    t.poll();
    let mut list = t.reg(w.a());
    if list.is_nil() {
        let made = ops::list::new(&mut t.heap, &[]);
        list = t.checked(made)?;
        t.set_reg(w.a(), list);
    }
    if !list.is_kind(Kind::List) {
        return Err(t.throw_new(ErrorKind::Type, "only a list can be appended to"));
    }
    let value = t.reg(w.b());
    let done = ops::list::push(&mut t.heap, list, value);
    t.checked(done).map(|_| ())
}
pub(crate) fn DeferPop(t: &mut Thread, w: Word) -> Done {
    let list = t.reg(w.a());
    let last = if list.is_kind(Kind::List) {
        ops::list::pop(list).ok().flatten()
    } else {
        None
    };
    match last {
        Some(closure) => t.set_reg(w.b(), closure),
        None => take_jump(t, w),
    }
    Ok(())
}
pub(crate) fn NotBuilt(t: &mut Thread, w: Word) -> Done {
    let what = ops::text::str_of(t.constant(w.imm())).to_string();
    Err(t.throw_new(ErrorKind::Error, &format!("{what} is not built yet")))
}

// --- tasks

pub(crate) fn Spawn(t: &mut Thread, w: Word) -> Done {
    t.poll();
    t.charge_call()?;
    let (kind, copied) = (w.imm() as u32 & 3, w.imm() as u32 >> 2);
    let name = t.reg(w.a() + 2 + w.c());
    let handle = t.start(kind, w.a(), w.c(), name, copied)?;
    t.set_reg(w.b(), handle);
    Ok(())
}
pub(crate) fn TaskYield(t: &mut Thread, w: Word) -> Done {
    t.set_reg(w.a(), Value::NIL);
    t.yielded = true;
    Err(Trap::Suspend)
}
pub(crate) fn Exit(t: &mut Thread, w: Word) -> Done {
    t.result = t.reg(w.a());
    t.returned = true;
    Err(Trap::Exit)
}

impl Thread {
    /// Field of an object, entry of a map, export of a module, member of a type, bound method. With `call`, it is about to be called.
    pub(crate) fn get_field(
        &mut self,
        object: Value,
        name: Sym,
        call: bool,
    ) -> Result<Value, Trap> {
        // SAFETY: a live engine.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        match object.kind() {
            Some(Kind::Struct | Kind::Variant) => {
                let info = engine.type_info(object.type_id());
                if let Some(index) = info.field_index(name) {
                    // SAFETY: the field exists.
                    let value = unsafe { *object.as_object().cast::<Value>().add(1 + index) };
                    if info.is_error && value.is_nil() && name == sym::KIND {
                        return Ok(self.text_value(&info.name));
                    }
                    if info.is_error && name == sym::TRACE {
                        return Ok(self.trace_value(object));
                    }
                    return Ok(value);
                }
            }
            Some(Kind::Map) => {
                let key = self.symbol_value(name);
                match ops::map::get(engine, object, key) {
                    Ok(Lookup::Found(value)) => return Ok(value),
                    Ok(_) if call => return Err(self.no_member(object, name, true)),
                    Ok(_) => {
                        let keys = self.map_string_keys(object);
                        let text = engine.symbol_text(name);
                        let hint =
                            crate::error::did_you_mean(text, keys.iter().map(String::as_str));
                        return Err(self.throw_new(
                            ErrorKind::Key,
                            &format!("no key \"{text}\" in the map{hint}"),
                        ));
                    }
                    Err(fail) => return Err(self.trap(fail)),
                }
            }
            Some(Kind::Module) => {
                // SAFETY: modules live as long as the engine.
                let module =
                    unsafe { &*(*object.as_object().cast::<crate::object::ModuleObject>()).module };
                return self.export(module, name);
            }
            Some(Kind::Task) => {
                if let Some(value) = self.task_field(object, engine.symbol_text(name)) {
                    return Ok(value);
                }
            }
            Some(Kind::Type) => {
                // SAFETY: types live as long as the engine.
                let info = unsafe { &*self.type_info_of(object) };
                if let Some(&variant) = info
                    .variants
                    .iter()
                    .find(|v| engine.symbol(&engine.type_info(**v).name) == name)
                {
                    let variant = engine.type_info(variant);
                    return Ok(if variant.is_unit {
                        *variant.unit.read()
                    } else {
                        *variant.value.read()
                    });
                }
                if let Some(method) = info.method(name) {
                    return Ok(method.function);
                }
            }
            _ => {}
        }
        if !call
            && let Some(method) = engine.type_info(object.type_id()).method(name)
            && method.has_self
        {
            return Ok(self.bind_method(object, method.function));
        }
        Err(self.no_member(object, name, call))
    }

    fn bind_method(&mut self, receiver: Value, function: Value) -> Value {
        let object = self
            .heap
            .alloc(
                Header::new(Kind::BoundMethod, type_id::FUNCTION, 0),
                size_of::<BoundMethod>(),
            )
            .cast::<BoundMethod>();
        // SAFETY: `alloc` made room.
        unsafe {
            (*object).receiver = receiver;
            (*object).function = function;
        }
        Value::local(object.cast())
    }

    /// `TypeError: list has no method 'pusch'; did you mean 'push'?`
    /// `id`, `name` (nil if it has none) and `state` of a task.
    fn task_field(&mut self, handle: Value, name: &str) -> Option<Value> {
        // SAFETY: the caller tested its kind.
        let id = unsafe { (*handle.as_object().cast::<crate::object::TaskObject>()).id };
        let task = self.tasks.get(&id);
        let text = match name {
            "id" => return Some(Value::small_int(id as i64)),
            "name" => match task.and_then(|t| t.name.clone()) {
                Some(name) => name,
                None => return Some(Value::NIL),
            },
            "state" => match task.map(|t| t.state) {
                Some(TaskState::Ready) => "ready",
                Some(TaskState::Running) => "running",
                Some(TaskState::Waiting) => "waiting",
                Some(TaskState::Failed) => "failed",
                Some(TaskState::Ended) | None => "ended",
            }
            .to_string(),
            _ => return None,
        };
        Some(self.text_value(&text))
    }
    pub(crate) fn no_member(&mut self, object: Value, name: Sym, call: bool) -> Trap {
        // SAFETY: a live engine.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        let text = engine.symbol_text(name);
        let what = if call { "method" } else { "field" };
        if object.is_nil() {
            return self.throw_new(ErrorKind::Type, &format!("nil has no {what} '{text}'"));
        }
        let info = if object.is_kind(Kind::Type) {
            // SAFETY: types live as long as the engine.
            unsafe { &*self.type_info_of(object) }
        } else {
            engine.type_info(object.type_id())
        };
        let methods = info.methods.read();
        let fields = info.fields.iter().map(|f| engine.symbol_text(f.name));
        let variants = info.variants.iter().map(|v| &*engine.type_info(*v).name);
        let known: Vec<&str> = methods
            .keys()
            .map(|m| engine.symbol_text(*m))
            .chain(fields)
            .chain(variants)
            .collect();
        let hint = crate::error::did_you_mean(text, known.into_iter());
        let owner = match info.shape {
            Shape::Builtin if object.is_kind(Kind::Type) => format!("type {}", info.name),
            _ => info.name.to_string(),
        };
        drop(methods);
        self.throw_new(
            ErrorKind::Type,
            &format!("{owner} has no {what} '{text}'{hint}"),
        )
    }

    /// An export of a module.
    pub(crate) fn export(
        &mut self,
        module: &crate::module::Module,
        name: Sym,
    ) -> Result<Value, Trap> {
        let value = match module.names.get(&name) {
            Some((Slot::Global(index), true)) => module.global(*index),
            Some((Slot::Var(index), true)) => self.var(module.var_base + index),
            found => {
                // SAFETY: a live engine.
                let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
                let text = engine.symbol_text(name);
                let message = if found.is_some() {
                    format!("'{text}' of module {} is not pub", module.name)
                } else {
                    let known = module
                        .names
                        .iter()
                        .filter(|(_, (_, is_pub))| *is_pub)
                        .map(|(n, _)| engine.symbol_text(*n));
                    format!(
                        "module {} has no '{text}'{}",
                        module.name,
                        crate::error::did_you_mean(text, known)
                    )
                };
                return Err(self.throw_new(ErrorKind::Name, &message));
            }
        };
        if value.is_unset() {
            let text = self.engine().symbol_text(name).to_string();
            return Err(self.throw_new(
                ErrorKind::Name,
                &format!(
                    "'{text}' of module {} is used before it is set",
                    module.name
                ),
            ));
        }
        Ok(value)
    }

    /// `x is ty`.
    pub(crate) fn is_of(&mut self, x: Value, ty: Value) -> Result<bool, Trap> {
        if ty.is_nil() {
            return Ok(x.is_nil());
        }
        if ty.is_kind(Kind::Type) {
            // SAFETY: types live as long as the engine.
            let id = unsafe { (*self.type_info_of(ty)).id };
            return Ok(self.is_instance(x, id));
        }
        if ty.is_kind(Kind::Variant) {
            // A unit variant stands for its type here.
            return Ok(x.is_object() && x.type_id() == ty.type_id());
        }
        let message = format!(
            "the right side of 'is' must be a type, got {}",
            crate::native::with_article(&self.type_name(ty))
        );
        Err(self.throw_new(ErrorKind::Type, &message))
    }
}
