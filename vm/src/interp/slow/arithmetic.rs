//! Arithmetic: operators of types first, then numbers and texts; the operations that are exchanged for forms that fit their operands.

use super::{Done, before_alloc};
use crate::bytecode::{Op, Word};
use crate::engine::sym;
use crate::object::Kind;
use crate::ops::arith::BinaryOp;
use crate::ops::{self, OpFail};
use crate::thread::Thread;
use crate::types::Sym;
use crate::value::Value;

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
        Err(fail) => Err(t.operands_trap(fail, op.symbol(), x, y)),
    }
}

macro_rules! binary_ops {
    ($($name:ident $op:ident $right:ident;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            before_alloc(t);
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
    before_alloc(t);
    let x = t.reg(w.b());
    if (x.is_kind(Kind::Struct) || x.is_kind(Kind::Variant))
        && let Some(method) = t.engine().type_info(x.type_id()).method(name)
    {
        return t.call_into(w.a(), method.function, &[x]);
    }
    match f(&mut t.heap, x) {
        Ok(value) => {
            t.set_reg(w.a(), value);
            Ok(())
        }
        Err(OpFail::NeedsSteps(function)) => t.call_prelude(function, w.a(), &[x]),
        Err(fail) => {
            let operator = if name == sym::NEG { "-" } else { "~" };
            Err(t.operand_trap(fail, operator, x))
        }
    }
}
