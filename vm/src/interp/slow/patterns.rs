//! `in`, `is`, and the tests of patterns.

use super::names::import;
use super::{Done, take_jump};
use crate::bytecode::{Op, Word};
use crate::engine::Hook;
use crate::native::Trap;
use crate::object::Kind;
use crate::ops::map::Lookup;
use crate::ops::{self, OpFail};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

pub(crate) fn In(t: &mut Thread, w: Word) -> Done {
    let (x, container) = (t.reg(w.b()), t.reg(w.c()));
    let quick = match container.kind() {
        Some(Kind::Map | Kind::Set) => match ops::map::get(t.types(), container, x) {
            Ok(Lookup::NeedsScript) => None,
            Ok(found) => Some(matches!(found, Lookup::Found(_))),
            Err(fail) => return Err(t.trap(fail)),
        },
        Some(Kind::Range) => {
            let result = ops::range::contains(&mut t.heap, container, x);
            Some(t.checked(result)?)
        }
        Some(Kind::List | Kind::Tuple) => contains(t, container, x),
        Some(Kind::Str) if !x.is_kind(Kind::Str) => {
            let fail = OpFail::wrong_type("only a string can be in a string, not {0}", x);
            return Err(t.search_trap(fail, x, container));
        }
        // Nil, bools and numbers.
        None => {
            let fail = OpFail::wrong_type("{0} is no container to search in", container);
            return Err(t.search_trap(fail, x, container));
        }
        _ => None,
    };
    match quick {
        Some(found) => {
            t.set_reg(w.a(), Value::bool(found));
            Ok(())
        }
        None => t.call_hook(Hook::In, w.a(), &[x, container]),
    }
}
/// Searches a list or tuple as long as no script is needed and it is short.
fn contains(t: &mut Thread, container: Value, x: Value) -> Option<bool> {
    let items = t.elements(container)?;
    if items.len() > 100_000 {
        return None;
    }
    for item in items {
        match ops::compare::quick_equal(t.types(), *item, x) {
            Some(true) => return Some(true),
            Some(false) => {}
            None => return None,
        }
    }
    Some(false)
}
pub(crate) fn Is(t: &mut Thread, w: Word) -> Done {
    let (x, ty) = (t.reg(w.b()), t.reg(w.c()));
    let result = t.is_of(x, ty)?;
    t.set_reg(w.a(), Value::bool(result));
    Ok(())
}
pub(crate) fn JNotType(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let mut ty = t.constant(w.pair() as i32);
    if !ty.is_kind(Kind::Type) {
        ty = import(t, Word::new(Op::Nop, 0, 0, 0, w.pair() as i32))?;
    }
    if !t.is_of(x, ty)? {
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn JNotLen(t: &mut Thread, w: Word) -> Done {
    take_jump(t, w);
    Ok(())
}
pub(crate) fn JNotIn(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let range = t.constant(w.pair() as i32);
    if !ops::range::contains(&mut t.heap, range, x).unwrap_or(false) {
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn JNoKey(t: &mut Thread, w: Word) -> Done {
    let (map, key) = (t.reg(w.a()), t.reg(w.b()));
    if !map.is_kind(Kind::Map) {
        take_jump(t, w);
        return Ok(());
    }
    match ops::map::get(t.types(), map, key) {
        Ok(Lookup::Found(value)) => t.set_reg(w.b(), value),
        // Keys of patterns are strings, so no script is ever needed.
        _ => take_jump(t, w),
    }
    Ok(())
}

impl Thread {
    /// `x is ty`.
    pub(crate) fn is_of(&mut self, x: Value, ty: Value) -> Result<bool, Trap> {
        if ty.is_nil() {
            return Ok(x.is_nil());
        }
        if ty.is_kind(Kind::Type) {
            // SAFETY: types live as long as the engine.
            let id = unsafe { (*self.type_info_of(ty)).id };
            return Ok(self.is_instance(x, id));
        }
        if ty.is_kind(Kind::Variant) {
            // A unit variant stands for its type here.
            return Ok(x.is_object() && x.type_id() == ty.type_id());
        }
        let message = format!(
            "the right side of 'is' must be a type, got {}",
            crate::native::with_article(&self.type_name(ty))
        );
        Err(self.throw_new(ErrorKind::Type, &message))
    }
}
