//! The interpreter loop.
//!
//! Each operation has a *fast* body (`fast`): a small inlined function over the machine state, which either finishes (`Next::Go`), finishes with
//! a taken jump (`Next::Jump`), or asks for the *slow* path (`Next::Slow`): an ordinary Rust function (`slow`) over the thread, called from a cold
//! handler, which may allocate, throw, push frames or leave the loop.
//!
//! Two dispatchers are made from the same table and the same bodies, chosen by the build script:
//! - `tail` (optimised builds): one function per operation, each ending in a sibling call of the next. On stable Rust that is an optimisation
//!   and no guarantee, so CI checks the machine code; handlers therefore own nothing that needs dropping and let no address of a local escape.
//! - `loop_match` (unoptimised builds, sanitizers): a `match` in a loop.
//!
//! The loop trusts verified code: register numbers, constants, jumps and cache words are in range (`bytecode::verify`), the stack has room for
//! the running frame's registers (checked when the frame was pushed), and `k` belongs to the closure in `base[-2]`.
//!
//! A frame: `base[-2]` is the closure, `base[-1]` the return word (`frame`), `base[0..]` the registers. A call pushes the callee's frame on top of the
//! caller's registers; nothing here recurses on the native stack.

mod access;
mod call;
#[allow(
    non_snake_case,
    reason = "functions are named like the operations they implement, so that the dispatchers are made from the table"
)]
mod fast;
pub(crate) mod frame;
#[cfg(not(heddle_tail_calls))]
mod loop_match;
#[allow(non_snake_case, reason = "as in `fast`")]
mod slow;
mod spawn;
#[cfg(heddle_tail_calls)]
pub(crate) mod tail;
mod unwind;

use crate::native::Trap;
use crate::thread::Thread;
use crate::value::Value;

/// A word of code: an instruction or a cache. Carriers share code, and each may exchange such a word while others run it: so it is read whole.
///
/// # Safety
/// The word is one of linked code.
#[inline(always)]
pub(crate) unsafe fn code_word(pc: *const u64) -> u64 {
    // SAFETY: promised by the caller.
    unsafe {
        (*pc.cast::<std::sync::atomic::AtomicU64>()).load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The instruction in front of `pc` was exchanged by a carrier that wrote its constant before (`link_constant`): what this one reads of that from now on is no older.
/// No instruction on x86-64, whose loads happen in order.
///
/// # Safety
/// The word is one of linked code.
#[inline(always)]
pub(crate) unsafe fn acquire_word(pc: *const u64) {
    use std::sync::atomic::{AtomicU64, Ordering, fence};
    if cfg!(all(target_arch = "x86_64", not(heddle_sanitized))) {
        // After the relaxed load of `code_word`.
        fence(Ordering::Acquire);
    } else {
        // SAFETY: promised by the caller. ThreadSanitizer knows no fences, and elsewhere this costs less than one.
        unsafe { (*pc.sub(1).cast::<AtomicU64>()).load(Ordering::Acquire) };
    }
}
/// The constant of an import, which is unset until a carrier has found what it stands for.
///
/// # Safety
/// It is a constant of linked code.
#[inline(always)]
pub(crate) unsafe fn link_constant(constant: *const Value) -> Value {
    use std::sync::atomic::{AtomicU64, Ordering};
    // SAFETY: promised by the caller. What it leads to was made before it.
    Value::from_bits(unsafe { (*constant.cast::<AtomicU64>()).load(Ordering::Acquire) })
}
/// Gives an import's constant its value. `false`: it has another one (the same import is called and read, and each wants its own).
///
/// # Safety
/// As for `link_constant`; the value is permanent.
pub(crate) unsafe fn set_link_constant(constant: *mut Value, value: Value) -> bool {
    use std::sync::atomic::{AtomicU64, Ordering};
    // SAFETY: promised by the caller.
    let place = unsafe { &*constant.cast::<AtomicU64>() };
    let (unset, value) = (Value::UNSET.bits(), value.bits());
    match place.compare_exchange(unset, value, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => true,
        Err(found) => found == value,
    }
}

/// The machine registers of the loop.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// The word after the current instruction.
    pub(crate) pc: *const u64,
    /// Register 0 of the running frame.
    pub(crate) base: *mut Value,
    pub(crate) thread: *mut Thread,
    /// Constant 0 of the running function.
    pub(crate) k: *const Value,
}

/// How a fast body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Done; the next instruction is at `pc`.
    Go,
    /// As `Go`, after a taken jump: dispatched from a place of its own, so that the branch is predicted and not turned into a conditional move.
    Jump,
    /// Nothing has been changed: run the slow path.
    Slow,
}

/// Why the loop was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Exit {
    /// The outermost function of this run returned; the value is in `Thread::result`.
    Returned,
    /// An error reached the outermost frame of this run; it is in `Thread::thrown`.
    Threw,
    /// `yield` in a task.
    Yielded,
    /// The task waits: `Thread::pending_wait`.
    Parked,
    /// Out of fuel: a safepoint at which the task may be left.
    Preempted,
    /// `os.exit`, or the limit of fuel: nothing catches it.
    Ended,
}

/// Runs the thread's current task from its saved `pc` and `base` until something ends or interrupts it.
pub(crate) fn run(thread: &mut Thread) -> Exit {
    // SAFETY: the thread's saved registers describe a frame of verified code on its current stack.
    unsafe {
        let state = State {
            pc: thread.pc,
            base: thread.base,
            thread,
            k: frame::constants(thread.base),
        };
        #[cfg(heddle_tail_calls)]
        return tail::run(state);
        #[cfg(not(heddle_tail_calls))]
        return loop_match::run(state);
    }
}

/// After a slow path: deals with its trap. `Some` leaves the loop.
#[inline(always)]
pub(crate) fn after_slow(thread: &mut Thread, result: Result<(), Trap>) -> Option<Exit> {
    match result {
        Ok(()) => {
            thread.retry_pc = std::ptr::null();
            None
        }
        // As most waits begin.
        Err(Trap::Suspend) if thread.boundary == 0 && !thread.yielded => Some(Exit::Parked),
        Err(trap) => thread.handle_trap(trap),
    }
}
