//! Dispatch by sibling calls: one function per operation, each ending in a call of the next operation's function.
//!
//! CI disassembles this module's functions and fails if one of them contains a call that is not on the allow-list.

use super::{Exit, Next, State, after_slow, code_word, fast, slow};
use crate::bytecode::Word;
use crate::bytecode::for_each_op;
use crate::thread::Thread;
use crate::value::Value;

/// Five arguments, all in registers. The word is the fourth, since its second byte can be addressed there on x86-64 (`ch`).
pub(crate) type Handler =
    unsafe extern "C" fn(*const u64, *mut Value, *mut Thread, u64, *const Value) -> u64;

/// What a slow path returns when the loop goes on; otherwise an `Exit`.
const GO_ON: u64 = u64::MAX;

macro_rules! dispatch {
    ($s:expr) => {{
        let word = code_word($s.pc);
        return (*$s.thread).handlers[(word & 0xff) as usize](
            $s.pc.add(1),
            $s.base,
            $s.thread,
            word,
            $s.k,
        );
    }};
}

macro_rules! handlers {
    ($($name:ident [$($operand:ident)*] $cache:literal $doc:literal),* $(,)?) => {
        #[allow(non_snake_case, reason = "named like the operations")]
        mod fast_handlers {
            use super::*;
            $(
                // SAFETY (all): called only with the state of a running frame of verified code.
                pub(super) unsafe extern "C" fn $name(pc: *const u64, base: *mut Value, thread: *mut Thread, word: u64, k: *const Value,) -> u64 {
                    // SAFETY: as above.
                    unsafe {
                        let mut s = State { pc, base, thread, k };
                        match fast::$name(&mut s, Word(word)) {
                            Next::Go => dispatch!(s),
                            Next::Jump => {
                                // Different text from the other arm just before the jump, so that the two are not merged.
                                let word = code_word(s.pc);
                                let mut next = (*s.thread).handlers[(word & 0xff) as usize];
                                std::arch::asm!("/* taken {0} */", inout(reg) next, options(nomem, nostack, preserves_flags));
                                return next(s.pc.add(1), s.base, s.thread, word, s.k);
                            }
                            Next::Slow => return slow_handlers::$name(pc, base, thread, word, k),
                        }
                    }
                }
            )*
        }
        #[allow(non_snake_case, reason = "named like the operations")]
        mod slow_handlers {
            use super::*;
            $(
                #[cold]
                #[inline(never)]
                pub(super) unsafe extern "C" fn $name(pc: *const u64, base: *mut Value, thread: *mut Thread, word: u64, _k: *const Value,) -> u64 {
                    // SAFETY: as for the fast handler; the thread is not otherwise borrowed while the loop runs.
                    unsafe {
                        (*thread).pc = pc;
                        (*thread).base = base;
                        let code = slow_bodies::$name(&mut *thread, word);
                        if code != GO_ON {
                            return code;
                        }
                        let base = (*thread).base;
                        let s = State { pc: (*thread).pc, base, thread, k: super::super::frame::constants(base) };
                        dispatch!(s)
                    }
                }
            )*
        }
        /// Slow paths with their locals: never inlined, so that no address of a local escapes from a handler.
        #[allow(non_snake_case, reason = "named like the operations")]
        mod slow_bodies {
            use super::*;
            $(
                #[cold]
                #[inline(never)]
                pub(super) fn $name(thread: &mut Thread, word: u64) -> u64 {
                    let result = slow::$name(thread, Word(word));
                    after_slow(thread, result).map_or(GO_ON, |exit| exit as u64)
                }
            )*
        }
        /// Copied into each thread: addressed from the thread's register, a jump through it is one instruction less.
        pub(crate) static HANDLERS: [Handler; 256] = {
            let mut table: [Handler; 256] = [fast_handlers::Nop; 256];
            let mut i = 0;
            $(
                table[i] = fast_handlers::$name;
                i += 1;
            )*
            let _ = i;
            table
        };
    };
}
for_each_op!(handlers);

/// # Safety
/// `s` must describe a frame of verified code on the thread's current stack.
pub(super) unsafe fn run(s: State) -> Exit {
    // SAFETY: passed on; what handlers return are `Exit`s.
    unsafe {
        let word = code_word(s.pc);
        let code =
            (*s.thread).handlers[(word & 0xff) as usize](s.pc.add(1), s.base, s.thread, word, s.k);
        std::mem::transmute::<u64, Exit>(code)
    }
}
