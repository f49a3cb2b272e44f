//! Comparisons, and the jumps they are fused with. Where script decides, a hook's frame is pushed, whose `ReturnJump` finishes the jump.

use super::{Done, leave_frame, take_jump};
use crate::bytecode::{Op, Word};
use crate::engine::Hook;
use crate::object::Kind;
use crate::ops;
use crate::thread::Thread;
use crate::value::Value;

/// `x < y` or `x <= y` of numbers, strings and durations; `None` where more than a look is needed.
pub(super) fn quick_order(x: Value, y: Value, or_equal: bool) -> Option<bool> {
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
/// Whether the order of a value takes no script code and no look inside.
fn is_simple(v: Value) -> bool {
    !matches!(
        v.kind(),
        Some(Kind::Struct | Kind::Variant | Kind::List | Kind::Tuple)
    )
}
/// `x < y` or, with `or_equal`, `x <= y`.
fn order(t: &mut Thread, w: Word, goal: Goal, x: Value, y: Value, or_equal: bool) -> Done {
    match quick_order(x, y, or_equal) {
        Some(result) => {
            finish(t, w, goal, result);
            Ok(())
        }
        None if is_simple(x) && is_simple(y) => match ops::compare_steps::order_of_simple(x, y) {
            Ok(order) => {
                let result = order.is_some_and(|order| order.is_lt() || or_equal && order.is_eq());
                finish(t, w, goal, result);
                Ok(())
            }
            Err(fail) => Err(t.order_trap(fail, x, y)),
        },
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

fn less(t: &mut Thread, w: Word, goal: Goal, x: Value, y: Value) -> Done {
    order(t, w, goal, x, y, false)
}
fn less_or_equal(t: &mut Thread, w: Word, goal: Goal, x: Value, y: Value) -> Done {
    order(t, w, goal, x, y, true)
}

macro_rules! into_register {
    ($($name:ident $test:ident $negate:literal;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            let goal = Goal::Register { dest: w.a(), negate: $negate };
            $test(t, w, goal, t.reg(w.b()), t.reg(w.c()))
        }
    )*};
}
into_register! { Eq equal false; Ne equal true; Lt less false; Le less_or_equal false; }

fn registers(t: &Thread, w: Word) -> (Value, Value) {
    (t.reg(w.a()), t.reg(w.b()))
}
fn small(w: Word) -> Value {
    Value::small_int(w.pair() as i16 as i64)
}
fn small_second(t: &Thread, w: Word) -> (Value, Value) {
    (t.reg(w.a()), small(w))
}
fn small_first(t: &Thread, w: Word) -> (Value, Value) {
    (small(w), t.reg(w.a()))
}

/// Name, test, operands, and the result that jumps.
macro_rules! jumps {
    ($($name:ident $test:ident $operands:ident $wanted:literal;)*) => {$(
        pub(crate) fn $name(t: &mut Thread, w: Word) -> Done {
            let (x, y) = $operands(t, w);
            $test(t, w, Goal::JumpIf($wanted), x, y)
        }
    )*};
}
jumps! {
    JEq equal registers true; JNe equal registers false; JEqI equal small_second true; JNeI equal small_second false;
    JLt less registers true; JNLt less registers false; JLe less_or_equal registers true; JNLe less_or_equal registers false;
    JLtI less small_second true; JNLtI less small_second false; JLeI less_or_equal small_second true; JNLeI less_or_equal small_second false;
    JGtI less small_first true; JNGtI less small_first false; JGeI less_or_equal small_first true; JNGeI less_or_equal small_first false;
}

/// `ReturnJump`: the frame of a hook returns to the fused comparison that called it.
pub(crate) fn ReturnJump(t: &mut Thread, w: Word) -> Done {
    let truth = t.reg(w.a()).is_truthy();
    leave_frame(t);
    // SAFETY: the caller's `pc` is behind the word of the fused instruction.
    let caller = unsafe { Word(crate::interp::code_word(t.pc.sub(1))) };
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
