//! Fast bodies of the operations. Each either does the whole instruction or changes nothing and asks for the slow path.
//!
//! Contract of every function here: `s` describes a running frame of verified code and `w` is the instruction before `s.pc`; register
//! numbers in `w` are inside the frame, constants inside the prototype. Nothing here allocates except by bumping, calls out or drops.

use super::frame::{call_return_word, constants, return_destination, return_distance, return_pc};
use super::{Next, State, acquire_word, code_word, link_constant};
use crate::bytecode::{Op, Word};
use crate::module::{Head, NearHead};
use crate::object::{
    Cell, Closure, FLAG_BARRIER, FLAG_FROZEN, Header, Instance, Kind, List, TaskObject, Tuple,
    TypeObject, type_id,
};
use crate::task::Ended;
use crate::thread::{Threadlets, threadlet};
use crate::value::{TAG_INT, TAG_SHIFT, Value};
use std::hint::cold_path;
use std::sync::atomic::{AtomicU64, Ordering};

use Next::{Go, Jump as Taken, Slow};

macro_rules! op {
    ($name:ident($s:ident, $w:ident) $body:block) => {
        #[inline(always)]
        pub(crate) unsafe fn $name($s: &mut State, $w: Word) -> Next {
            // SAFETY: the contract at the head of this file.
            #[allow(unused_unsafe, reason = "some bodies need none")]
            unsafe {
                $body
            }
        }
    };
}
/// Operations that are slow paths only.
macro_rules! slow_only {
    ($($name:ident)*) => {$(
        #[inline(always)]
        pub(crate) unsafe fn $name(_: &mut State, _: Word) -> Next {
            Slow
        }
    )*};
}
macro_rules! reg {
    ($s:ident, $i:expr) => {
        *register($s.base, $i)
    };
}
/// The address of a register, computed on its own: loads and stores then use it without an index, which lets the processor forward a
/// value from the last store to it without going through the cache.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "only the address passes through, the memory is not touched"
)]
#[inline(always)]
unsafe fn register(base: *mut Value, i: usize) -> *mut Value {
    // SAFETY: registers lie inside the frame.
    let mut p = unsafe { base.add(i) };
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) p, options(pure, nomem, nostack, preserves_flags))
    };
    p
}
macro_rules! jump {
    ($s:ident, $w:ident) => {{
        $s.pc = jump_target($s.pc, $w);
        Taken
    }};
}

/// The target of a jump, computed once: the compiler otherwise computes it twice, for the load of the word there and for what follows.
#[expect(
    clippy::pointers_in_nomem_asm_block,
    reason = "only the address passes through, the memory is not touched"
)]
#[inline(always)]
unsafe fn jump_target(pc: *const u64, w: Word) -> *const u64 {
    // SAFETY: verified: jumps stay in the code.
    let mut target = unsafe { pc.offset(w.imm() as isize) };
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) target, options(pure, nomem, nostack, preserves_flags))
    };
    target
}

/// `b` and `c` of an instruction that uses both, `b` in the low byte: from there each is one instruction away.
#[inline(always)]
fn pair(w: Word) -> u32 {
    #[allow(unused_mut, reason = "not everywhere")]
    let mut pair = (w.0 as u32) >> 16;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("", inout("eax") pair, options(pure, nomem, nostack, preserves_flags))
    };
    pair
}
#[inline(always)]
fn b_of(w: Word) -> usize {
    (pair(w) & 0xff) as usize
}
#[inline(always)]
fn c_of(w: Word) -> usize {
    (pair(w) >> 8 & 0xff) as usize
}

/// The tag of ints as a number that the compiler does not know: it stays in one register for test and result, instead of turning into
/// shifts here and into another constant there.
#[inline(always)]
fn int_tag() -> u64 {
    let mut tag = TAG_INT;
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) tag, options(pure, nomem, nostack, preserves_flags))
    };
    tag
}
#[inline(always)]
fn is_int(x: Value) -> bool {
    x.0 >= int_tag()
}
#[inline(always)]
fn both_ints(x: Value, y: Value) -> bool {
    // Two comparisons: they need no register for what both have in common.
    is_int(x) && is_int(y)
}
/// A non-negative int as it is, and something at least 2^47 for anything else: one comparison with a length says whether it is an index.
#[inline(always)]
fn as_index(x: Value) -> u64 {
    x.0 ^ TAG_INT
}
#[inline(always)]
fn both_floats(x: Value, y: Value) -> bool {
    x.is_float() && y.is_float()
}
/// An int's payload in the upper 48 bits: overflow of 64-bit arithmetic on these is overflow of the inline form. Used for comparing
/// and for the overflow test only; results are computed from the tagged words themselves, whose low 48 bits come out right whatever the
/// tags do, so that the next instruction waits for two operations and not for four.
#[inline(always)]
fn shifted(x: Value) -> i64 {
    (x.0 << 16) as i64
}
/// Puts the tag over whatever arithmetic left in the upper 16 bits.
#[inline(always)]
fn tagged(bits: u64) -> Value {
    Value(bits | int_tag())
}
/// Reads a register again as a float: the compiler then loads it straight into a float register.
#[inline(always)]
unsafe fn load_float(p: *const Value) -> f64 {
    // SAFETY: `p` is a register that holds a float.
    unsafe { std::ptr::read_volatile(p.cast::<f64>()) }
}
/// Exchanges the operation of the instruction before `pc` and runs it again in the new form. Code is shared by carriers: one
/// relaxed store of a whole word.
#[inline(always)]
unsafe fn requicken(s: &mut State, w: Word, op: Op) -> Next {
    // SAFETY: the word before `pc` is the running instruction.
    unsafe {
        s.pc = s.pc.sub(1);
        (*s.pc.cast::<AtomicU64>()).store(w.with_op(op).0, Ordering::Relaxed);
    }
    Go
}

slow_only! {
    LoadImport GetImportVar SetImportVar SetVar SetGlobal Closure CheckSet NewCell FixCell
    Pow Shl Shr BitNot ToStr Format Concat In Is
    JNotIn JNoKey CallNative InvokeNative CallNamed InvokeCopy InvokeNamed ReturnJump ReturnEnd CheckArg
    GenBegin Yield GenReturn IterNew ForNext2 IterClose ForPrep
    NewList ListToTuple NewTuple NewMap MapInsert NewRange NewType Unpack UnpackFields UnpackAllFields SliceRest
    Throw Rethrow MatchFail AssertFail DeferPush DeferPop Spawn TaskYield Exit ThreadletFail
    Count
}

op!(Nop(s, w) { let _ = (s, w); Go });
op!(Move(s, w) { reg!(s, w.a()) = reg!(s, w.b()); Go });
op!(LoadK(s, w) { reg!(s, w.a()) = *s.k.add(w.imm() as usize); Go });
op!(LoadSlot(s, w) {
    // K holds the slot's address as a small int.
    acquire_word(s.pc);
    let slot = link_constant(s.k.add(w.imm() as usize)).as_small_int() as *const Value;
    let v = *slot;
    if v.is_unset() { return Slow; }
    reg!(s, w.a()) = v;
    Go
});
op!(LoadInt(s, w) { reg!(s, w.a()) = Value::small_int(w.imm() as i64); Go });
op!(LoadNil(s, w) {
    for i in w.a()..=w.a() + w.b() {
        reg!(s, i) = Value::NIL;
    }
    Go
});
op!(LoadBool(s, w) { reg!(s, w.a()) = Value::bool(w.b() != 0); Go });
op!(LoadUnset(s, w) { reg!(s, w.a()) = Value::UNSET; Go });
op!(GetGlobal(s, w) {
    let v = *(*Head::of(s.k)).globals.add(w.imm() as usize);
    if v.is_unset() { return Slow; }
    reg!(s, w.a()) = v;
    Go
});
op!(GetVar(s, w) {
    // Code of a module that was linked since the thread was mounted may get here without a safepoint between.
    if w.imm() as u32 >= (*s.thread).var_count { return Slow; }
    let v = *(*s.thread).vars.add(w.imm() as usize);
    if v.is_unset() { return Slow; }
    reg!(s, w.a()) = v;
    Go
});
op!(GetCapture(s, w) {
    let closure = (*s.base.sub(2)).as_object().cast::<Closure>();
    reg!(s, w.a()) = *closure.add(1).cast::<Value>().add(w.imm() as usize);
    Go
});
op!(GetCaptureCell(s, w) {
    let closure = (*s.base.sub(2)).as_object().cast::<Closure>();
    let cell = (*closure.add(1).cast::<Value>().add(w.imm() as usize)).as_object().cast::<Cell>();
    let v = (*cell).value;
    if v.is_unset() { return Slow; }
    reg!(s, w.a()) = v;
    Go
});
op!(SetCaptureCell(s, w) {
    let closure = (*s.base.sub(2)).as_object().cast::<Closure>();
    let cell = (*closure.add(1).cast::<Value>().add(w.imm() as usize)).as_object().cast::<Cell>();
    let v = reg!(s, w.a());
    if (*cell).header.has(FLAG_BARRIER) && v.is_object() { return Slow; }
    (*cell).value = v;
    Go
});
op!(GetCell(s, w) {
    let cell = reg!(s, w.b());
    if !cell.is_kind(Kind::Cell) { return Slow; }
    let v = (*cell.as_object().cast::<Cell>()).value;
    if v.is_unset() { return Slow; }
    reg!(s, w.a()) = v;
    Go
});
op!(SetCell(s, w) {
    let cell = reg!(s, w.a());
    let v = reg!(s, w.b());
    if !cell.is_kind(Kind::Cell) { return Slow; }
    let cell = cell.as_object().cast::<Cell>();
    if (*cell).header.has(FLAG_BARRIER) && v.is_object() { return Slow; }
    (*cell).value = v;
    Go
});

// --- arithmetic

// Each of the four operations has three forms: one for ints (`Add`), one for floats (`AddF`) and one for both mixed (`AddM`). A place starts
// with the first and goes only forward, so that one which meets both settles. Slow paths exchange them (`slow::arithmetic`).

/// `x + y` of inline ints, if that is one.
#[inline(always)]
fn small_add(x: Value, y: Value) -> Option<Value> {
    let result = first(tagged(x.0.wrapping_add(y.0)));
    match shifted(x).overflowing_add(shifted(y)) {
        (_, true) => None,
        _ => Some(result),
    }
}
#[inline(always)]
fn small_sub(x: Value, y: Value) -> Option<Value> {
    let result = first(tagged(x.0.wrapping_sub(y.0)));
    match shifted(x).overflowing_sub(shifted(y)) {
        (_, true) => None,
        _ => Some(result),
    }
}
/// Has a value computed before what follows: the operands' registers are then free for the overflow test.
#[inline(always)]
fn first(mut v: Value) -> Value {
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) v.0, options(nomem, nostack, preserves_flags))
    };
    v
}
#[inline(always)]
fn small_mul(x: Value, y: Value) -> Option<Value> {
    let result = first(tagged(x.0.wrapping_mul(y.0)));
    match x.as_small_int().overflowing_mul(shifted(y)) {
        (_, true) => None,
        _ => Some(result),
    }
}
#[inline(always)]
fn small_div(x: Value, y: Value) -> Option<Value> {
    match y.as_small_int() {
        0 => None,
        d => Some(Value::float_result(x.as_small_int() as f64 / d as f64)),
    }
}
macro_rules! int_op {
    ($name:ident, $small:ident) => {
        op!($name(s, w) {
            let (x, y) = (reg!(s, b_of(w)), reg!(s, c_of(w)));
            if !both_ints(x, y) { return Slow; }
            match $small(x, y) {
                Some(v) => { reg!(s, w.a()) = v; Go }
                None => Slow,
            }
        });
    };
}
int_op!(Add, small_add);
int_op!(Sub, small_sub);
int_op!(Mul, small_mul);
int_op!(Div, small_div);
macro_rules! float_op {
    ($name:ident, $mixed:ident, $small:ident, $sign:tt) => {
        op!($name(s, w) {
            let (x, y) = (register(s.base, b_of(w)), register(s.base, c_of(w)));
            if !both_floats(*x, *y) { return Slow; }
            reg!(s, w.a()) = Value::float_result(load_float(x) $sign load_float(y));
            Go
        });
        op!($mixed(s, w) {
            let (x, y) = (reg!(s, b_of(w)), reg!(s, c_of(w)));
            let (x, y) = if x.is_float() {
                if y.is_small_int() {
                    (x.as_float(), y.as_small_int() as f64)
                } else if y.is_float() {
                    (x.as_float(), y.as_float())
                } else {
                    return Slow;
                }
            } else if !x.is_small_int() {
                return Slow;
            } else if y.is_float() {
                (x.as_small_int() as f64, y.as_float())
            } else if y.is_small_int() {
                return match $small(x, y) {
                    Some(v) => { reg!(s, w.a()) = v; Taken }
                    None => Slow,
                };
            } else {
                return Slow;
            };
            reg!(s, w.a()) = Value::float_result(x $sign y);
            Go
        });
    };
}
float_op!(AddF, AddM, small_add, +);
float_op!(SubF, SubM, small_sub, -);
float_op!(MulF, MulM, small_mul, *);
float_op!(DivF, DivM, small_div, /);

/// The payload of an int that needs no more than 32 bits and is not negative, for the shorter division; `None` for anything else.
#[inline(always)]
fn as_u32(x: Value) -> Option<u32> {
    if x.0 >> 32 == TAG_INT >> 32 {
        Some(x.0 as u32)
    } else {
        None
    }
}
macro_rules! floor_op {
    ($name:ident, $by_int:ident, $narrow:ident, $wide:ident) => {
        op!($name(s, w) {
            let (x, m) = (reg!(s, b_of(w)), reg!(s, c_of(w)));
            if let (Some(x), Some(m)) = (as_u32(x), as_u32(m)) && let Some(v) = x.$narrow(m) {
                reg!(s, w.a()) = Value(TAG_INT | v as u64);
                return Go;
            }
            cold_path();
            if !both_ints(x, m) || shifted(m) <= 0 { return Slow; }
            match x.as_small_int().$wide(m.as_small_int()) {
                Some(v) => { reg!(s, w.a()) = Value::small_int(v); Taken }
                None => Slow,
            }
        });
        op!($by_int(s, w) {
            let x = reg!(s, w.b());
            // Verified: it is positive.
            let m = w.imm() as u32;
            if let Some(x) = as_u32(x) && let Some(v) = x.$narrow(m) {
                reg!(s, w.a()) = Value(TAG_INT | v as u64);
                return Go;
            }
            cold_path();
            if !is_int(x) { return Slow; }
            match x.as_small_int().$wide(m as i64) {
                Some(v) => { reg!(s, w.a()) = Value::small_int(v); Taken }
                None => Slow,
            }
        });
    };
}
// With a positive divisor Euclid's and floored division are the same.
floor_op!(Mod, ModI, checked_rem, checked_rem_euclid);
floor_op!(FloorDiv, FloorDivI, checked_div, checked_div_euclid);
macro_rules! bit_op {
    ($name:ident, $sign:tt) => {
        op!($name(s, w) {
            let (x, y) = (reg!(s, b_of(w)), reg!(s, c_of(w)));
            if !both_ints(x, y) { return Slow; }
            reg!(s, w.a()) = Value::small_int(x.as_small_int() $sign y.as_small_int());
            Go
        });
    };
}
bit_op!(BitAnd, &);
bit_op!(BitOr, |);
bit_op!(BitXor, ^);
macro_rules! add_sub_i {
    ($name:ident, $method:ident, $wrapping:ident, $sign:tt) => {
        op!($name(s, w) {
            let x = reg!(s, w.b());
            if is_int(x) {
                let result = first(tagged(x.0.$wrapping(w.imm() as i64 as u64)));
                if shifted(x).$method((w.imm() as i64) << 16).1 {
                    return Slow;
                }
                reg!(s, w.a()) = result;
                Go
            } else {
                cold_path();
                if !x.is_float() { return Slow; }
                reg!(s, w.a()) = Value::float_result(x.as_float() $sign w.imm() as f64);
                Taken
            }
        });
    };
}
add_sub_i!(AddI, overflowing_add, wrapping_add, +);
add_sub_i!(SubI, overflowing_sub, wrapping_sub, -);
op!(MulI(s, w) {
    let x = reg!(s, w.b());
    if is_int(x) {
        let result = first(tagged(x.0.wrapping_mul(w.imm() as i64 as u64)));
        if shifted(x).overflowing_mul(w.imm() as i64).1 {
            return Slow;
        }
        reg!(s, w.a()) = result;
        Go
    } else {
        cold_path();
        if !x.is_float() { return Slow; }
        reg!(s, w.a()) = Value::float_result(x.as_float() * w.imm() as f64);
        Taken
    }
});
macro_rules! const_op {
    ($name:ident, $left:expr) => {
        op!($name(s, w) {
            let x = register(s.base, w.b());
            let y = *s.k.add(w.imm() as usize);
            if (*x).is_float() && y.is_float() {
                let f: fn(f64, f64) -> f64 = $left;
                reg!(s, w.a()) = Value::float_result(f(load_float(x), y.as_float()));
                Go
            } else {
                cold_path();
                if !((*x).is_small_int() && y.is_float()) { return Slow; }
                let f: fn(f64, f64) -> f64 = $left;
                reg!(s, w.a()) = Value::float_result(f((*x).as_small_int() as f64, y.as_float()));
                Taken
            }
        });
    };
}
const_op!(AddK, |x, k| x + k);
const_op!(SubK, |x, k| x - k);
const_op!(MulK, |x, k| x * k);
const_op!(DivK, |x, k| x / k);
const_op!(RMulK, |x, k| k * x);
const_op!(RSubK, |x, k| k - x);
const_op!(RDivK, |x, k| k / x);
op!(DivI(s, w) {
    let x = reg!(s, w.b());
    let d = w.imm();
    if x.is_small_int() && d != 0 {
        reg!(s, w.a()) = Value::float_result(x.as_small_int() as f64 / d as f64);
        Go
    } else if x.is_float() {
        reg!(s, w.a()) = Value::float_result(x.as_float() / d as f64);
        Go
    } else {
        Slow
    }
});
op!(Neg(s, w) {
    let x = reg!(s, w.b());
    if x.is_small_int() && x.as_small_int() != crate::value::MIN_SMALL_INT {
        reg!(s, w.a()) = Value::small_int(-x.as_small_int());
        Go
    } else if x.is_float() {
        reg!(s, w.a()) = Value::float(-x.as_float());
        Go
    } else {
        Slow
    }
});

op!(Not(s, w) { reg!(s, w.a()) = Value::bool(!reg!(s, w.b()).is_truthy()); Go });

// --- comparison

/// Equality where it needs no look at objects.
#[inline(always)]
fn quick_eq(x: Value, y: Value) -> Option<bool> {
    if both_ints(x, y) {
        return Some(x.0 == y.0);
    }
    cold_path();
    if both_floats(x, y) {
        Some(x.as_float() == y.as_float())
    } else if x.0 == y.0 {
        Some(true)
    } else if x.is_nil() || y.is_nil() {
        Some(false)
    } else if x.is_object() || y.is_object() || x.is_float() || y.is_float() {
        // An object may have a `==` of its own, whatever the other one is.
        None
    } else {
        Some(false)
    }
}
#[inline(always)]
fn quick_lt(x: Value, y: Value) -> Option<bool> {
    if both_ints(x, y) {
        Some(shifted(x) < shifted(y))
    } else {
        cold_path();
        if both_floats(x, y) {
            Some(x.as_float() < y.as_float())
        } else {
            None
        }
    }
}
#[inline(always)]
fn quick_le(x: Value, y: Value) -> Option<bool> {
    if both_ints(x, y) {
        Some(shifted(x) <= shifted(y))
    } else {
        cold_path();
        if both_floats(x, y) {
            Some(x.as_float() <= y.as_float())
        } else {
            None
        }
    }
}
macro_rules! compare {
    ($name:ident, $jump:ident, $jump_not:ident, $quick:ident) => {
        op!($name(s, w) {
            match $quick(reg!(s, w.b()), reg!(s, w.c())) {
                Some(b) => { reg!(s, w.a()) = Value::bool(b); Go }
                None => Slow,
            }
        });
        op!($jump(s, w) {
            match $quick(reg!(s, w.a()), reg!(s, w.b())) {
                Some(true) => jump!(s, w),
                Some(false) => Go,
                None => Slow,
            }
        });
        op!($jump_not(s, w) {
            match $quick(reg!(s, w.a()), reg!(s, w.b())) {
                Some(false) => jump!(s, w),
                Some(true) => Go,
                None => Slow,
            }
        });
    };
}
compare!(Lt, JLt, JNLt, quick_lt);
compare!(Le, JLe, JNLe, quick_le);
compare!(Eq, JEq, JNe, quick_eq);
op!(Ne(s, w) {
    match quick_eq(reg!(s, w.b()), reg!(s, w.c())) {
        Some(b) => { reg!(s, w.a()) = Value::bool(!b); Go }
        None => Slow,
    }
});
macro_rules! compare_i {
    ($name:ident, $cond:ident, $sign:tt, $want:literal) => {
        op!($name(s, w) {
            let x = reg!(s, w.a());
            let holds = if is_int(x) {
                shifted(x) $sign (w.0 as u32 & 0xffff_0000) as i32 as i64
            } else {
                cold_path();
                if !x.is_float() { return Slow; }
                x.as_float() $sign w.pair() as i16 as f64
            };
            if holds == $want { jump!(s, w) } else { Go }
        });
    };
}
compare_i!(JLtI, lt, <, true);
compare_i!(JLeI, le, <=, true);
compare_i!(JGtI, gt, >, true);
compare_i!(JGeI, ge, >=, true);
compare_i!(JNLtI, lt, <, false);
compare_i!(JNLeI, le, <=, false);
compare_i!(JNGtI, gt, >, false);
compare_i!(JNGeI, ge, >=, false);
compare_i!(JEqI, eq, ==, true);
compare_i!(JNeI, eq, ==, false);

// --- jumps

op!(Jump(s, w) { s.pc = jump_target(s.pc, w); Go });
op!(Loop(s, w) {
    let t = s.thread;
    (*t).fuel -= 1;
    if (*t).fuel < 0 { return Slow; }
    s.pc = jump_target(s.pc, w);
    Go
});
op!(JumpIf(s, w) { if reg!(s, w.a()).is_truthy() { jump!(s, w) } else { Go } });
op!(JumpIfNot(s, w) { if !reg!(s, w.a()).is_truthy() { jump!(s, w) } else { Go } });
op!(JumpIfNil(s, w) { if reg!(s, w.a()).is_nil() { jump!(s, w) } else { Go } });
op!(JumpIfNotNil(s, w) { if !reg!(s, w.a()).is_nil() { jump!(s, w) } else { Go } });
op!(JumpIfSet(s, w) { if !reg!(s, w.a()).is_unset() { jump!(s, w) } else { Go } });
op!(JNotType(s, w) {
    let x = reg!(s, w.a());
    let ty = *s.k.add(w.pair() as usize);
    if !ty.is_kind(Kind::Type) { return Slow; }
    let wanted = (*ty.as_object().cast::<TypeObject>()).template.type_id;
    if x.is_object() && (*x.as_object()).type_id == wanted {
        Go
    } else if (*ty.as_object()).aux != 0 {
        jump!(s, w)
    } else {
        Slow
    }
});
op!(JNotKind(s, w) {
    let kind = match w.b() { 0 => Kind::Tuple, 1 => Kind::List, _ => Kind::Map };
    if reg!(s, w.a()).is_kind(kind) { Go } else { jump!(s, w) }
});
op!(JNotLen(s, w) {
    let x = reg!(s, w.a());
    let len = match x.kind() {
        Some(Kind::Tuple) => (*x.as_object().cast::<Tuple>()).len as usize,
        Some(Kind::List) => (*x.as_object().cast::<List>()).len as usize,
        _ => return Slow,
    };
    let fits = if w.c() == 0 { len == w.b() } else { len >= w.b() };
    if fits { Go } else { jump!(s, w) }
});

// --- calls

/// Pushes the frame of a closure if it takes exactly as many arguments as `w` gives; `after` is the word to return to.
#[inline(always)]
unsafe fn push(s: &mut State, w: Word, callee: Value, after: *const u64) -> Next {
    // SAFETY: the contract at the head of this file; `callee` is a closure.
    unsafe {
        let k = (*callee.as_object().cast::<Closure>()).consts;
        if (*Head::of(k)).exact_arity as usize != w.c() {
            return Slow;
        }
        enter(s, w, callee, after)
    }
}
/// Pushes the frame of a closure whose arguments are in place.
#[inline(always)]
unsafe fn enter(s: &mut State, w: Word, callee: Value, after: *const u64) -> Next {
    // SAFETY: as for `push`.
    unsafe {
        let k = (*callee.as_object().cast::<Closure>()).consts;
        let head = Head::of(k);
        let window = register(s.base, w.a());
        let t = s.thread;
        if window.byte_add((*head).window_bytes as usize) > (*t).stack_limit {
            return Slow;
        }
        (*t).fuel -= 1;
        if (*t).fuel < 0 {
            return Slow;
        }
        *window = callee;
        *window.add(1) = Value(call_return_word(after, w));
        s.base = window.add(2);
        s.pc = (*head).code_start;
        s.k = k;
        Go
    }
}
/// As `Value::is_object`, from the tag alone: the compiler otherwise makes two constants of it.
#[inline(always)]
fn is_object(v: Value) -> bool {
    let mut tag = v.0 >> TAG_SHIFT;
    // SAFETY: does nothing.
    unsafe {
        std::arch::asm!("/* {0} */", inout(reg) tag, options(pure, nomem, nostack, preserves_flags))
    };
    tag & !1 == 0xFFFC
}
/// Whether `v` may not simply be stored into an object: it is frozen, or the collector must hear of it.
#[inline(always)]
unsafe fn is_guarded(header: *const Header, v: Value) -> bool {
    // SAFETY: a live object's header.
    let flags = unsafe { (*header).flags };
    flags & (FLAG_FROZEN | FLAG_BARRIER) != 0 && (flags & FLAG_FROZEN != 0 || is_object(v))
}
/// What the cache word at `pc` remembers for a type: a slot or method index.
#[inline(always)]
pub(super) unsafe fn in_word(pc: *const u64, type_id: u32) -> Option<u32> {
    // SAFETY: a cache word follows the instruction.
    let cache = unsafe { code_word(pc) };
    if cache as u32 == type_id {
        Some((cache >> 32) as u32)
    } else {
        None
    }
}
/// What the thread's table remembers for a type and the symbol in `w`.
#[inline(always)]
pub(super) unsafe fn in_table(
    thread: *const crate::thread::Thread,
    w: Word,
    type_id: u32,
    what: u64,
) -> Option<u32> {
    // SAFETY: the contract at the head of this file; the table has its fixed size.
    unsafe {
        let key = crate::cache::key(type_id, w.imm() as u32, what);
        let entry = &*(*thread).member_cache.add(crate::cache::slot(key));
        if entry.key == key {
            Some(entry.index)
        } else {
            None
        }
    }
}
/// What the cache word remembers, or else the table: the first type that a place meets is often the most frequent one.
#[inline(always)]
unsafe fn in_either(s: &State, w: Word, type_id: u32, what: u64) -> Option<u32> {
    // SAFETY: as for each of the two.
    unsafe {
        match in_word(s.pc, type_id) {
            None => in_table(s.thread, w, type_id, what),
            found => found,
        }
    }
}
op!(Call(s, w) {
    let callee = reg!(s, w.a());
    if !callee.is_kind(Kind::Closure) { return Slow; }
    push(s, w, callee, s.pc)
});
op!(CallK(s, w) {
    let callee = link_constant(s.k.add(w.imm() as usize));
    if !callee.is_kind(Kind::Closure) { return Slow; }
    push(s, w, callee, s.pc)
});
op!(CallFn(s, w) {
    // That the function takes exactly these arguments is checked when the module is linked or the call is quickened.
    acquire_word(s.pc);
    let callee = link_constant(s.k.add(w.imm() as usize));
    enter(s, w, callee, s.pc)
});
op!(CallNear(s, w) {
    let code = jump_target(s.pc, w);
    let head = NearHead::of(code);
    let window = register(s.base, w.a());
    let t = s.thread;
    if window.byte_add((*head).window_bytes as usize) > (*t).stack_limit { return Slow; }
    (*t).fuel -= 1;
    if (*t).fuel < 0 { return Slow; }
    *window = (*head).closure;
    *window.add(1) = Value(call_return_word(s.pc, w));
    s.base = window.add(2);
    s.pc = code;
    s.k = (*head).consts;
    Go
});
op!(CallGlobal(s, w) {
    let callee = *(*Head::of(s.k)).globals.add(w.imm() as usize);
    if !callee.is_kind(Kind::Closure) { return Slow; }
    push(s, w, callee, s.pc)
});
// See `thread::threadlet`.
op!(Threadlet(s, w) {
    let callee = reg!(s, w.a());
    let t = s.thread;
    // Where there is next to no room it must ask for some.
    if !callee.is_kind(Kind::Closure) || (*t).threadlets != Threadlets::Inline || (*t).heap.has_refused() { return Slow; }
    let state = register(s.base, w.b());
    let word = Word::new(Op::Threadlet, w.a() as u8, w.a() as u8, w.c() as u8, 0);
    match push(s, word, callee, s.pc) {
        Go => {
            let slot = state.offset_from((*t).stack.start);
            *state.add(threadlet::IDENTITY) = Value::NIL;
            *state.add(threadlet::OUTER) = Value::small_int((*t).boundary as i64);
            (*t).boundary = slot as usize;
            Go
        }
        other => other,
    }
});
op!(ThreadletEnd(s, w) {
    let state = register(s.base, w.b());
    if !(*state.add(threadlet::IDENTITY)).is_nil() || !(*state.add(threadlet::NAME)).is_nil() { return Slow; }
    let t = s.thread;
    let heap = &raw mut (*t).heap;
    let object = (*heap).bump;
    let end = object.wrapping_add(size_of::<TaskObject>());
    if end > (*heap).bump_end || object.is_null() { return Slow; }
    (*heap).bump = end;
    let id = (*t).parts.new_number();
    object.cast::<TaskObject>().write(TaskObject {
        header: Header::new(Kind::Task, type_id::TASK, Ended::Returned as u16),
        id,
        result: reg!(s, w.c()),
    });
    (*t).boundary = (*state.add(threadlet::OUTER)).as_small_int() as usize;
    reg!(s, w.a()) = Value::local(object.cast());
    Go
});
op!(Invoke(s, w) {
    let receiver = reg!(s, w.a() + 2);
    if !receiver.is_object() { return Slow; }
    let Some(index) = in_word(s.pc, (*receiver.as_object()).type_id) else { return Slow };
    let method = *(*s.thread).methods.add(index as usize);
    if (*method.as_object()).kind != Kind::Closure { return Slow; }
    push(s, w, method, s.pc.add(1))
});
op!(InvokeT(s, w) {
    let receiver = reg!(s, w.a() + 2);
    if !receiver.is_object() { return Slow; }
    let Some(index) = in_either(s, w, (*receiver.as_object()).type_id, crate::cache::METHOD) else { return Slow };
    let method = *(*s.thread).methods.add(index as usize);
    if (*method.as_object()).kind != Kind::Closure { return Slow; }
    push(s, w, method, s.pc.add(1))
});
/// Appends to a list that has room and is not guarded.
#[inline(always)]
unsafe fn append(list: *mut List, v: Value) -> bool {
    // SAFETY: a live list; `len` below `capacity` is one of its slots.
    unsafe {
        let len = (*list).len;
        if len == (*list).capacity || is_guarded(&raw const (*list).header, v) {
            return false;
        }
        *(*list).items.add(len as usize) = v;
        (*list).len = len + 1;
        true
    }
}
op!(ListAppend(s, w) {
    let list = reg!(s, w.a());
    if w.c() != 1 || !list.is_kind(Kind::List) { return Slow; }
    if append(list.as_object().cast::<List>(), reg!(s, w.b())) { Go } else { Slow }
});
op!(InvokePush(s, w) {
    let receiver = reg!(s, w.a() + 2);
    if !receiver.is_kind(Kind::List) { return requicken(s, w, Op::Invoke); }
    let v = reg!(s, w.a() + 3);
    if !append(receiver.as_object().cast::<List>(), v) { return Slow; }
    // What `push` returns.
    reg!(s, w.b()) = Value::NIL;
    s.pc = s.pc.add(1);
    Go
});
/// Leaves the running frame with a result.
#[inline(always)]
unsafe fn leave(s: &mut State, value: Value) -> Next {
    // SAFETY: the return word leads to the caller's frame.
    unsafe {
        let ret = (*s.base.sub(1)).0;
        let base = s.base.sub(return_distance(ret) + 2);
        *register(base, return_destination(ret)) = value;
        s.base = base;
        s.pc = return_pc(ret);
        s.k = constants(base);
        Go
    }
}
op!(Return(s, w) {
    let value = reg!(s, w.a());
    leave(s, value)
});
op!(ReturnNil(s, w) {
    let _ = w;
    leave(s, Value::NIL)
});

// --- loops

op!(ForLoop(s, w) {
    let (i, end) = (reg!(s, w.a()), reg!(s, w.a() + 1));
    if !both_ints(i, end) { return Slow; }
    // `ForPrep` and this keep i below end, so this cannot overflow.
    if shifted(i).wrapping_add(1 << 16) >= shifted(end) { return Go; }
    let t = s.thread;
    (*t).fuel -= 1;
    if (*t).fuel < 0 { return Slow; }
    reg!(s, w.a()) = Value(i.0.wrapping_add(1) | TAG_INT);
    jump!(s, w)
});
op!(ForNext(s, w) {
    let x = reg!(s, w.a());
    if !x.is_kind(Kind::List) { return Slow; }
    let list = x.as_object().cast::<List>();
    let position = reg!(s, w.a() + 1).as_small_int();
    if (*list).len as i64 != reg!(s, w.a() + 2).as_small_int() { return Slow; }
    // Unsigned: what lies in the register is not verified, so it may be negative.
    if (position as u64) < (*list).len as u64 {
        reg!(s, w.b()) = *(*list).items.add(position as usize);
        reg!(s, w.a() + 1) = Value::small_int(position + 1);
        Go
    } else {
        jump!(s, w)
    }
});

// --- objects

op!(NewStruct(s, w) {
    let ty = *s.k.add(w.imm() as usize);
    let template = (*ty.as_object().cast::<TypeObject>()).template;
    // Every object has room for a forwarding pointer.
    let bytes = size_of::<Instance>() + w.c().max(1) * size_of::<Value>();
    let heap = &raw mut (*s.thread).heap;
    let object = (*heap).bump;
    let end = object.wrapping_add(bytes);
    if end > (*heap).bump_end || object.is_null() { return Slow; }
    (*heap).bump = end;
    object.cast::<Header>().write(template);
    let fields = object.cast::<Value>().add(1);
    for i in 0..w.c() {
        *fields.add(i) = reg!(s, w.b() + i);
    }
    reg!(s, w.a()) = Value::local(object.cast());
    Go
});
op!(GetField(s, w) {
    let x = reg!(s, w.b());
    if !x.is_object() { return Slow; }
    let object = x.as_object();
    let Some(slot) = in_word(s.pc, (*object).type_id) else { return Slow };
    reg!(s, w.a()) = *object.cast::<Value>().add(1 + slot as usize);
    s.pc = s.pc.add(1);
    Go
});
op!(GetFieldT(s, w) {
    let x = reg!(s, w.b());
    if !x.is_object() { return Slow; }
    let object = x.as_object();
    let Some(slot) = in_either(s, w, (*object).type_id, crate::cache::FIELD) else { return Slow };
    reg!(s, w.a()) = *object.cast::<Value>().add(1 + slot as usize);
    s.pc = s.pc.add(1);
    Go
});
op!(SetField(s, w) {
    let x = reg!(s, w.a());
    if !x.is_object() { return Slow; }
    let object = x.as_object();
    let v = reg!(s, w.b());
    if is_guarded(object, v) { return Slow; }
    let Some(slot) = in_word(s.pc, (*object).type_id) else { return Slow };
    *object.cast::<Value>().add(1 + slot as usize) = v;
    s.pc = s.pc.add(1);
    Go
});
op!(SetFieldT(s, w) {
    let x = reg!(s, w.a());
    if !x.is_object() { return Slow; }
    let object = x.as_object();
    let v = reg!(s, w.b());
    if is_guarded(object, v) { return Slow; }
    let Some(slot) = in_either(s, w, (*object).type_id, crate::cache::VAR_FIELD) else { return Slow };
    *object.cast::<Value>().add(1 + slot as usize) = v;
    s.pc = s.pc.add(1);
    Go
});
op!(GetSlot(s, w) {
    let x = reg!(s, w.b());
    if !(x.is_kind(Kind::Struct) || x.is_kind(Kind::Variant)) { return Slow; }
    let object = x.as_object();
    if w.c() >= (*object).aux as usize { return Slow; }
    reg!(s, w.a()) = *object.cast::<Value>().add(1 + w.c());
    Go
});
/// `R[a] := x[i]`; an index that is no int or negative looks like one far behind the end.
#[inline(always)]
unsafe fn get_element(s: &mut State, w: Word, x: Value, i: u64) -> Next {
    // SAFETY: the contract at the head of this file; the layouts are those of the types.
    unsafe {
        if !x.is_object() {
            return Slow;
        }
        let object = x.as_object();
        if (*object).type_id == type_id::LIST {
            let list = object.cast::<List>();
            if i >= (*list).len as u64 {
                return Slow;
            }
            reg!(s, w.a()) = *(*list).items.add(i as usize);
            Go
        } else {
            cold_path();
            if (*object).type_id != type_id::TUPLE {
                return Slow;
            }
            let tuple = object.cast::<Tuple>();
            if i >= (*tuple).len as u64 {
                return Slow;
            }
            reg!(s, w.a()) = *tuple.add(1).cast::<Value>().add(i as usize);
            Taken
        }
    }
}
op!(GetIndex(s, w) {
    let x = first(reg!(s, b_of(w)));
    let i = as_index(reg!(s, c_of(w)));
    get_element(s, w, x, i)
});
op!(GetIndexI(s, w) {
    let x = reg!(s, w.b());
    get_element(s, w, x, w.imm() as i64 as u64)
});
op!(SetIndex(s, w) {
    let x = reg!(s, w.a());
    if !x.is_kind(Kind::List) { return Slow; }
    let list = x.as_object().cast::<List>();
    let i = as_index(reg!(s, b_of(w)));
    let v = reg!(s, c_of(w));
    if i >= (*list).len as u64 || is_guarded(&raw const (*list).header, v) { return Slow; }
    *(*list).items.add(i as usize) = v;
    Go
});
