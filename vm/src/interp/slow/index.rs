//! Reading and writing by index.

use super::Done;
use crate::bytecode::Word;
use crate::engine::{Hook, sym};
use crate::interp::{access, frame};
use crate::object::Kind;
use crate::ops::map::Lookup;
use crate::ops::{self, OpFail};
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

pub(crate) fn GetIndex(t: &mut Thread, w: Word) -> Done {
    get_index(t, w.a(), t.reg(w.b()), t.reg(w.c()))
}
pub(crate) fn GetIndexI(t: &mut Thread, w: Word) -> Done {
    get_index(t, w.a(), t.reg(w.b()), Value::small_int(w.imm() as i64))
}
fn get_index(t: &mut Thread, dest: usize, object: Value, index: Value) -> Done {
    match object.kind() {
        Some(Kind::Map) => match ops::map::get(t.types(), object, index) {
            Ok(Lookup::Found(value)) => {
                t.set_reg(dest, value);
                Ok(())
            }
            Ok(Lookup::Missing) => {
                let text = t.repr_short(index);
                let map = t.map_text(None);
                Err(t.throw_new(ErrorKind::Key, &format!("no key {text} in {map}")))
            }
            Ok(Lookup::NeedsScript) => t.call_hook(Hook::GetIndex, dest, &[object, index]),
            Err(fail) => Err(t.trap(fail)),
        },
        Some(Kind::Struct | Kind::Variant | Kind::Host | Kind::Handle) => match t
            .engine()
            .type_info(object.type_id())
            .method(sym::GET_INDEX)
        {
            Some(method) => t.call_into(dest, method.function, &[object, index]),
            None => {
                let kind = crate::native::with_article(&t.type_name(object));
                let fail = OpFail::error(ErrorKind::Type, format!("{kind} cannot be indexed"));
                Err(t.index_trap(fail, object, index))
            }
        },
        _ => {
            let value = match access::get_index(&mut t.heap, object, index) {
                Err(OpFail::NeedsSteps(steps)) => {
                    return t.call_prelude(steps, dest, &[object, index]);
                }
                Err(fail) => return Err(t.index_trap(fail, object, index)),
                Ok(value) => value,
            };
            t.set_reg(dest, value);
            t.after_alloc();
            Ok(())
        }
    }
}
pub(crate) fn SetIndex(t: &mut Thread, w: Word) -> Done {
    let (object, index, value) = (t.reg(w.a()), t.reg(w.b()), t.reg(w.c()));
    if object.is_kind(Kind::Struct) || object.is_kind(Kind::Variant) || object.is_kind(Kind::Handle)
    {
        if let Some(method) = t
            .engine()
            .type_info(object.type_id())
            .method(sym::SET_INDEX)
        {
            // The result goes to a register nobody reads: the last of the callee's own window.
            // SAFETY: the running prototype.
            let top = unsafe { (*frame::proto(t.base)).registers as usize };
            return t.call_into(top, method.function, &[object, index, value]);
        }
        let message = format!(
            "{} cannot be assigned by index",
            crate::native::with_article(&t.type_name(object))
        );
        return Err(t.throw_new(ErrorKind::Type, &message));
    }
    set_index(t, object, index, value)
}
pub(super) fn set_index(t: &mut Thread, object: Value, index: Value, value: Value) -> Done {
    if object.is_kind(Kind::Map) {
        let types: *const crate::engine::Engine = t.engine();
        // SAFETY: the thread keeps its engine alive.
        let types = unsafe { &*types };
        let result = ops::map::insert(&mut t.heap, types, object, index, value);
        return match result {
            Ok(ops::map::Inserted::New | ops::map::Inserted::Replaced) => {
                t.after_alloc();
                Ok(())
            }
            Ok(ops::map::Inserted::NeedsScript) => {
                // SAFETY: the running prototype.
                let top = unsafe { (*frame::proto(t.base)).registers as usize };
                t.call_hook(Hook::SetIndex, top, &[object, index, value])
            }
            Err(fail) => Err(t.trap(fail)),
        };
    }
    access::set_index(&mut t.heap, object, index, value)
        .map_err(|fail| t.index_trap(fail, object, index))
}
