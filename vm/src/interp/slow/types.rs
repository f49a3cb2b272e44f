//! Types that functions declare and whose methods capture variables.
//!
//! The code of such a type, its id and its table of methods are made once, like those of any type. What differs from one execution of the declaration to the
//! next is what was captured: `NewType` makes a `TypeObject` that holds it, `env`. Calling that makes instances that lead to it, in a slot behind their fields.
//!
//! | `env`, a tuple | |
//! | --- | --- |
//! | first | closures of those of its methods that capture, in the order of `TypeDef::methods` |
//! | then | of its constructor, or those of its variants, if they capture |
//! | last | the local types that it is based on |
//!
//! The table of methods has, for a method that captures, a `BoundMethod` of a number in place of a receiver's method (`local_method`): the number of the closure
//! in the `env` of the type that declares it. Derived types get it with the rest, and find the closure in one of the types they are based on. Inline caches
//! remember it like any method; types without captures pay nothing. (A type id for each execution would have made caches useless in loops, and
//! tables that grow for ever.)

use super::{Done, before_alloc};
use crate::bytecode::Word;
use crate::native::Trap;
use crate::object::{BoundMethod, Header, Instance, Kind, TypeObject, type_id};
use crate::ops;
use crate::thread::Thread;
use crate::types::{ErrorKind, Shape, TypeInfo};
use crate::value::Value;

pub(crate) fn NewType(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let parts: Vec<Value> = (0..w.c()).map(|i| t.reg(w.b() + i)).collect();
    let env = ops::list::new_tuple(&mut t.heap, &parts);
    let env = t.checked(env)?;
    let made = t.local_type(t.constant(w.imm()), env);
    t.set_reg(w.a(), made);
    Ok(())
}

/// A method that captures, as tables of methods have it: the id of the type that declares it, and the number of its closure.
pub(crate) fn local_method(function: Value) -> Option<(u32, usize)> {
    if !function.is_kind(Kind::BoundMethod) {
        return None;
    }
    // SAFETY: its kind was tested; only the linker makes bound methods of numbers, and it gives them a type.
    unsafe {
        let bound = &*function.as_object().cast::<BoundMethod>();
        if !bound.function.is_small_int() {
            return None;
        }
        let ty = &*bound.receiver.as_object().cast::<TypeObject>();
        Some(((*ty.info).id, bound.function.as_small_int() as usize))
    }
}

/// The type object that an instance of a local type leads to; a type itself.
fn type_of(info: &TypeInfo, value: Value) -> Option<Value> {
    let ty = match value.kind()? {
        Kind::Type => value,
        Kind::Struct | Kind::Variant if info.is_local => {
            *ops::fields_of(value).get(info.fields.len())?
        }
        _ => return None,
    };
    ty.is_kind(Kind::Type).then_some(ty)
}

/// Number `number` of what the type `owner` captured, of which `ty` is one, or a variant, or which it is based on.
fn captured(ty: Value, owner: u32, number: usize) -> Option<Value> {
    let mut pending = Vec::new();
    let (mut ty, mut next) = (ty, 0);
    loop {
        // SAFETY: only types get here; they live as long as the first.
        let object = unsafe { &*ty.as_object().cast::<TypeObject>() };
        let parts = match object.env.is_kind(Kind::Tuple) {
            true => ops::list::tuple_items(object.env),
            false => &[],
        };
        // SAFETY: types live as long as the engine.
        let info = unsafe { &*object.info };
        if info.id == owner || info.shape == Shape::Variant && info.parent == Some(owner) {
            return parts.get(number).copied();
        }
        for &part in parts {
            if part.is_kind(Kind::Type) && !pending.contains(&part) {
                pending.push(part);
            }
        }
        ty = *pending.get(next)?;
        next += 1;
    }
}

impl Thread {
    /// A type object for `ty` with this `env`.
    fn local_type(&mut self, ty: Value, env: Value) -> Value {
        let object = self
            .heap
            .alloc(
                Header::new(Kind::Type, type_id::TYPE, 0),
                size_of::<TypeObject>(),
            )
            .cast::<TypeObject>();
        // SAFETY: verified: the constant is a type; `alloc` made room.
        unsafe {
            let whole = &*ty.as_object().cast::<TypeObject>();
            (*object).header.aux = whole.header.aux;
            (*object).info = whole.info;
            (*object).template = whole.template;
            (*object).env = env;
        }
        Value::local(object.cast())
    }

    /// The closure behind a method of a local type, for a call with this receiver, an instance or the type; other functions are what they are.
    pub(crate) fn own_method(&mut self, function: Value, receiver: Value) -> Result<Value, Trap> {
        let Some((owner, number)) = local_method(function) else {
            return Ok(function);
        };
        let engine = self.engine();
        let found = type_of(engine.type_info(receiver.type_id()), receiver)
            .and_then(|ty| captured(ty, owner, number));
        match found {
            Some(closure) => Ok(closure),
            None => {
                let name = &engine.type_info(owner).name;
                let message = format!("a method of {name} captures what is not there");
                Err(self.throw_new(ErrorKind::Type, &message))
            }
        }
    }

    /// A variant of the enum `owner`, which is a type object: itself if it has no parts, else what makes it.
    pub(crate) fn variant_of(&mut self, owner: Value, variant: &TypeInfo) -> Value {
        if !variant.is_local {
            return if variant.is_unit {
                *variant.unit.read()
            } else {
                *variant.value.read()
            };
        }
        // SAFETY: the caller's.
        let env = unsafe { (*owner.as_object().cast::<TypeObject>()).env };
        let ty = self.local_type(*variant.value.read(), env);
        if !variant.is_unit {
            return ty;
        }
        let object = self.heap.alloc(
            Header::new(Kind::Variant, variant.id, 1),
            size_of::<Instance>() + size_of::<Value>(),
        );
        // SAFETY: `alloc` made room for what stands behind the fields, of which there are none.
        unsafe { *object.cast::<Value>().add(1) = ty };
        Value::local(object)
    }
}
