//! Texts made from values: `str`, format, interpolation.

use super::{Done, before_alloc};
use crate::bytecode::Word;
use crate::engine::Hook;
use crate::object::Kind;
use crate::ops::{self, OpFail};
use crate::thread::Thread;

pub(crate) fn ToStr(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    if !x.is_object() || matches!(x.kind(), Some(Kind::Str | Kind::Int64)) {
        t.set_reg(w.a(), x);
        return Ok(());
    }
    t.call_hook(Hook::Str, w.a(), &[x])
}
pub(crate) fn Format(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
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
    before_alloc(t);
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
