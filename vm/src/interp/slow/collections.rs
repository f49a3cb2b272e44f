//! Lists, tuples, maps, ranges and structs: made, filled, taken apart.

use super::index::set_index;
use super::{Done, before_alloc};
use crate::bytecode::Word;
use crate::object::{Instance, Kind, TypeObject};
use crate::ops;
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

pub(crate) fn NewList(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    // SAFETY: verified: the run lies in the frame.
    let items = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let made = ops::list::new(&mut t.heap, items);
    let list = t.checked(made)?;
    t.set_reg(w.a(), list);
    Ok(())
}
pub(crate) fn ListAppend(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let list = t.reg(w.a());
    if !list.is_kind(Kind::List) {
        return Err(t.throw_new(ErrorKind::Type, "only a list can be appended to"));
    }
    if w.c() == 1 {
        let element = t.reg(w.b());
        let done = ops::list::push(&mut t.heap, list, element);
        return t.checked(done);
    }
    // All or none: if there is no room the instruction is run again.
    // SAFETY: verified: the run lies in the frame.
    let items = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let done = ops::list::extend(&mut t.heap, list, items);
    t.checked(done)
}
pub(crate) fn ListToTuple(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    // SAFETY: verified programs pass lists only; anything else has no elements.
    let items: &[Value] = t.elements(t.reg(w.b())).unwrap_or(&[]);
    let made = ops::list::new_tuple(&mut t.heap, items);
    let tuple = t.checked(made)?;
    t.set_reg(w.a(), tuple);
    Ok(())
}
pub(crate) fn NewTuple(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    // SAFETY: verified: the run lies in the frame.
    let items = unsafe { std::slice::from_raw_parts(t.base.add(w.b()), w.c()) };
    let made = ops::list::new_tuple(&mut t.heap, items);
    let tuple = t.checked(made)?;
    t.set_reg(w.a(), tuple);
    Ok(())
}
pub(crate) fn NewMap(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let made = ops::map::new_map(&mut t.heap, w.imm().clamp(0, 1 << 16) as usize);
    let map = t.checked(made)?;
    t.set_reg(w.a(), map);
    Ok(())
}
pub(crate) fn MapInsert(t: &mut Thread, w: Word) -> Done {
    set_index(t, t.reg(w.a()), t.reg(w.b()), t.reg(w.c()))
}
pub(crate) fn NewRange(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let (start, end) = (t.reg(w.b()), t.reg(w.c()));
    let result = ops::range::new(&mut t.heap, start, end, w.imm() == 1);
    let value = t.checked(result)?;
    t.set_reg(w.a(), value);
    Ok(())
}
pub(crate) fn NewStruct(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let ty = t.constant(w.imm());
    // SAFETY: verified: the constant is a type with `c` fields.
    let template = unsafe { (*ty.as_object().cast::<TypeObject>()).template };
    let object = t
        .heap
        .alloc(template, size_of::<Instance>() + w.c() * size_of::<Value>());
    for i in 0..w.c() {
        // SAFETY: `alloc` made room for the fields.
        unsafe { *object.cast::<Value>().add(1 + i) = t.reg(w.b() + i) };
    }
    t.set_reg(w.a(), Value::local(object));
    Ok(())
}
pub(crate) fn Unpack(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    let takes = match w.imm() {
        1 => x.is_kind(Kind::Tuple),
        2 => x.is_kind(Kind::List),
        _ => true,
    };
    match t.elements(x).filter(|_| takes) {
        Some(items) if items.len() == w.c() => {
            for (i, item) in items.iter().enumerate() {
                t.set_reg(w.b() + i, *item);
            }
            Ok(())
        }
        Some(items) => {
            let message = format!("cannot take {} values apart into {}", items.len(), w.c());
            Err(t.throw_new(ErrorKind::Match, &message))
        }
        None => {
            let message = format!(
                "cannot take {} apart into {} values",
                crate::native::with_article(&t.type_name(x)),
                w.c()
            );
            Err(t.throw_new(ErrorKind::Match, &message))
        }
    }
}
pub(crate) fn SliceRest(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let items = t.elements(t.reg(w.b())).unwrap_or(&[]);
    let end = items.len().saturating_sub(w.imm().max(0) as usize);
    let rest = items.get(w.c()..end).unwrap_or(&[]);
    let made = ops::list::new(&mut t.heap, rest);
    let list = t.checked(made)?;
    t.set_reg(w.a(), list);
    Ok(())
}
