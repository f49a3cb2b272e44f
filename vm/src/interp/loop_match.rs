//! Dispatch by a `match` in a loop, for builds in which sibling calls are not optimised.

use super::{Exit, Next, State, after_slow, code_word, fast, frame, slow};
use crate::bytecode::for_each_op;
use crate::bytecode::{Op, Word};

macro_rules! run_loop {
    ($($name:ident [$($operand:ident)*] $cache:literal $doc:literal),* $(,)?) => {
        /// # Safety
        /// `s` must describe a frame of verified code on the thread's current stack.
        pub(super) unsafe fn run(mut s: State) -> Exit {
            // SAFETY: passed on to every body; the thread is not otherwise borrowed while the loop runs.
            unsafe {
                loop {
                    let word = Word(code_word(s.pc));
                    s.pc = s.pc.add(1);
                    let result = match std::mem::transmute::<u8, Op>(word.op_byte()) {
                        $(Op::$name => {
                            if fast::$name(&mut s, word) != Next::Slow {
                                continue;
                            }
                            let thread = &mut *s.thread;
                            thread.pc = s.pc;
                            thread.base = s.base;
                            slow::$name(thread, word)
                        })*
                    };
                    if let Some(exit) = after_slow(&mut *s.thread, result) {
                        return exit;
                    }
                    s.pc = (*s.thread).pc;
                    s.base = (*s.thread).base;
                    s.k = frame::constants(s.base);
                }
            }
        }
    };
}
for_each_op!(run_loop);
