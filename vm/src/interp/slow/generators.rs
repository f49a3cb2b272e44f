//! Generators: their beginning, `yield` and end, as the loops see it that resume them.

use super::loops::{Step, element};
use super::{Done, before_alloc, leave_frame, take_jump};
use crate::bytecode::{Op, Word};
use crate::interp::unwind::resumed_by;
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

pub(crate) fn GenBegin(t: &mut Thread, _: Word) -> Done {
    before_alloc(t);
    t.begin_generator();
    Ok(())
}
pub(crate) fn Yield(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.b());
    if t.yield_value(value, w.c()) == resumed_by::PAIRS
        && let Step::Pair(x, y) = element(t, value, true)?
    {
        // SAFETY: the caller's `pc` is behind the `ForNext2` that asked.
        let asked = unsafe { Word(crate::interp::code_word(t.pc.sub(1))) };
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
    let caller = unsafe { Word(crate::interp::code_word(t.pc.sub(1))) };
    debug_assert!(matches!(caller.op(), Some(Op::ForNext | Op::ForNext2)));
    take_jump(t, caller);
}
