//! Slow paths of the operations: whatever allocates, throws, looks things up, pushes frames or leaves the loop.
//!
//! Contract: `t.pc` is behind the instruction's word, `t.base` the running frame; `Err` says how the loop goes on (`Thread::handle_trap`). A function
//! that returns `Trap::Collect` or `Trap::Safepoint` has changed nothing, since the instruction is run again.
//! Values may be held in Rust variables until the next `poll`, `safepoint` or frame: nothing else collects.
//!
//! One module for each concept; the dispatchers find the operations here by name (`slow::Add`).

mod arithmetic;
mod calls;
mod collections;
mod comparison;
mod errors;
mod fields;
mod generators;
mod index;
mod loops;
mod names;
mod patterns;
mod strings;
mod tasks;
mod types;

pub(crate) use arithmetic::*;
pub(crate) use calls::*;
pub(crate) use collections::*;
pub(crate) use comparison::*;
pub(crate) use errors::*;
pub(crate) use fields::*;
pub(crate) use generators::*;
pub(crate) use index::*;
pub(crate) use loops::*;
pub(crate) use names::*;
pub(crate) use patterns::*;
pub(crate) use strings::*;
pub(crate) use tasks::*;
pub(crate) use types::*;

use super::frame;
use crate::bytecode::Word;
use crate::native::Trap;
use crate::thread::Thread;

/// Before an operation that allocates: all values are in registers, so this may collect. Where that leaves the heap over its limit, the
/// next safepoint, which throws, comes at once: until then every few allocations would collect again in vain.
#[inline]
fn before_alloc(t: &mut Thread) {
    t.poll();
    if t.heap.is_over_limit() {
        t.end_slice();
    }
}

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

/// Leaves the running frame without a result.
fn leave_frame(t: &mut Thread) {
    // SAFETY: the return word leads to the caller.
    unsafe {
        let ret = frame::ret(t.base);
        t.base = t.base.sub(frame::return_distance(ret) + 2);
        t.pc = frame::return_pc(ret);
    }
}
