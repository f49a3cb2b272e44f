//! Errors thrown by the program, failed assertions and matches, and `defer`.

use super::{Done, take_jump};
use crate::bytecode::Word;
use crate::native::Trap;
use crate::object::Kind;
use crate::ops;
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

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
        text.push_str(&crate::difference::of(t.engine(), left, right));
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
