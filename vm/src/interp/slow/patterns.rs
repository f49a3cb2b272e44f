//! `in`, `is`, and the tests of patterns.

use super::names::import;
use super::{Done, before_alloc, take_jump};
use crate::bytecode::{Op, Word};
use crate::engine::{Engine, Hook};
use crate::interp::frame;
use crate::module::{Link, Proto};
use crate::native::Trap;
use crate::object::{FIRST_USER_TYPE, Kind, type_id};
use crate::ops::map::Lookup;
use crate::ops::{self, OpFail};
use crate::thread::Thread;
use crate::types::{ErrorKind, Shape, Sym, TypeInfo};
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
/// Fields by position, of a type that the compiler did not know.
pub(crate) fn UnpackFields(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    let Some(Link::Names(named)) = proto.links.get(&(w.imm() as u32)) else {
        unreachable!("verified: the constant is a list of names")
    };
    unpack_fields(t, w, named, false)
}
pub(crate) fn UnpackAllFields(t: &mut Thread, w: Word) -> Done {
    unpack_fields(t, w, &[], true)
}
fn unpack_fields(t: &mut Thread, w: Word, named: &[Sym], is_whole: bool) -> Done {
    before_alloc(t);
    let (object, ty) = (t.reg(w.a()), t.reg(w.b()));
    // SAFETY: a live engine.
    let engine = unsafe { &*std::ptr::from_ref(t.engine()) };
    let declared = if ty.is_kind(Kind::Type) {
        // SAFETY: types live as long as the engine.
        engine.type_info(unsafe { (*t.type_info_of(ty)).id })
    } else {
        // A unit variant.
        engine.type_info(ty.type_id())
    };
    // A trait or an enum says nothing of fields: those of the value count.
    let is_open = matches!(declared.shape, Shape::Trait | Shape::Enum);
    let info = match is_open && object.is_object() {
        true => engine.type_info(object.type_id()),
        false => declared,
    };
    let slots =
        || positional_slots(engine, info).filter(|&slot| !named.contains(&info.fields[slot].name));
    let count = slots().count();
    // Of an error, the last fields are mostly of no interest.
    let is_short = is_whole && !is_open && !info.is_error && w.c() < count;
    if is_short || w.c() > count {
        let fields = slots().map(|slot| engine.symbol_text(info.fields[slot].name));
        let fields = fields.collect::<Vec<_>>().join(", ");
        let message = format!(
            "{} has {} field{} to match{}{fields}, the pattern has {}{}",
            info.name,
            count,
            if count == 1 { "" } else { "s" },
            if count == 0 { "" } else { ": " },
            w.c(),
            if is_short {
                "; end it in `..` to skip the rest"
            } else {
                ""
            },
        );
        return Err(t.throw_new(ErrorKind::Type, &message));
    }
    for (index, slot) in slots().take(w.c()).enumerate() {
        let value = t.field_at(object, slot)?;
        t.set_reg(w.b() + index, value);
    }
    Ok(())
}
/// The fields in the order of positional patterns: of an error the message, then what its kind has of its own, which for
/// built-in kinds is what their constructor takes.
fn positional_slots(engine: &Engine, info: &TypeInfo) -> impl Iterator<Item = usize> {
    let all = info.fields.len();
    let (first, rest) = match info.is_error {
        false => (0, 0..all),
        // The trace is no argument.
        true if info.id < FIRST_USER_TYPE => (1, 1..all.saturating_sub(1)),
        true => (1, engine.type_info(type_id::ERROR).fields.len()..all),
    };
    (0..first).chain(rest)
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
