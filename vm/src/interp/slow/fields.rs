//! Fields, members and methods of objects, with what inline caches remember of them.

use super::index::set_index;
use super::{Done, before_alloc};
use crate::bytecode::Word;
use crate::engine::sym;
use crate::native::{NativeDef, Trap};
use crate::object::{BoundMethod, Header, Kind, ModuleObject, NativeFunction, type_id};
use crate::ops;
use crate::ops::map::Lookup;
use crate::thread::Thread;
use crate::types::{ErrorKind, Shape, Sym};
use crate::value::Value;

pub(crate) fn GetFieldT(t: &mut Thread, w: Word) -> Done {
    GetField(t, w)
}
pub(crate) fn GetField(t: &mut Thread, w: Word) -> Done {
    let cache = t.pc.cast_mut();
    // SAFETY: verified: a cache word follows.
    t.pc = unsafe { t.pc.add(1) };
    let object = t.reg(w.b());
    let name = t.engine_symbol(w.imm());
    if object.is_kind(Kind::Struct) || object.is_kind(Kind::Variant) {
        let info = t.engine().type_info(object.type_id());
        if let Some(index) = info.field_index(name)
            && (!info.is_error || (name != sym::KIND && name != sym::TRACE))
        {
            t.remember(cache, info.id, name, crate::cache::FIELD, index as u32);
            // SAFETY: the field exists.
            t.set_reg(w.a(), unsafe {
                *object.as_object().cast::<Value>().add(1 + index)
            });
            return Ok(());
        }
    }
    before_alloc(t);
    let object = t.reg(w.b());
    if object.is_kind(Kind::Module) {
        // SAFETY: modules live as long as the engine.
        let module = unsafe { &*(*object.as_object().cast::<ModuleObject>()).module };
        if let Some(closure) = t.export_initialiser(module, name) {
            return t.call_into(w.a(), closure, &[]);
        }
    }
    match t.get_field(object, name, false) {
        Ok(value) => {
            t.set_reg(w.a(), value);
            Ok(())
        }
        Err(trap) => {
            if trap == Trap::Collect {
                // A property's native asks for room: the instruction is run again, which begins in front of its cache word.
                t.pc = cache;
            }
            Err(trap)
        }
    }
}
pub(crate) fn SetFieldT(t: &mut Thread, w: Word) -> Done {
    SetField(t, w)
}
pub(crate) fn SetField(t: &mut Thread, w: Word) -> Done {
    let cache = t.pc.cast_mut();
    let (object, value) = (t.reg(w.a()), t.reg(w.b()));
    let name = t.engine_symbol(w.imm());
    match object.kind() {
        Some(Kind::Struct | Kind::Variant) => {
            let info = t.engine().type_info(object.type_id());
            let Some(index) = info.field_index(name) else {
                return Err(t.no_member(object, name, false));
            };
            if t.is_frozen_object(object) {
                let message = format!(
                    "{} is frozen: its field '{}' cannot be assigned",
                    info.name,
                    t.engine().symbol_text(name)
                );
                return Err(t.throw_new(ErrorKind::Frozen, &message));
            }
            if !info.fields[index].is_var {
                let message = format!(
                    "field '{}' of {} cannot be assigned: it is not declared with var",
                    t.engine().symbol_text(name),
                    info.name
                );
                return Err(t.throw_new(ErrorKind::Type, &message));
            }
            t.remember(cache, info.id, name, crate::cache::VAR_FIELD, index as u32);
            // SAFETY: verified: a cache word follows; the field exists.
            unsafe {
                t.pc = t.pc.add(1);
                *object.as_object().cast::<Value>().add(1 + index) = value;
            }
            t.heap.barrier(object.as_object(), value);
            Ok(())
        }
        Some(Kind::Map) => {
            let key = t.symbol_value(name);
            set_index(t, object, key, value)?;
            // SAFETY: as above.
            t.pc = unsafe { t.pc.add(1) };
            Ok(())
        }
        _ => {
            let text = t.engine().symbol_text(name).to_string();
            let message = if object.is_nil() {
                t.nil_takes_no(&text)
            } else {
                let kind = crate::native::with_article(&t.type_name(object));
                let note = t.object_note(&text, object);
                format!("cannot assign field '{text}' of {kind}{note}")
            };
            Err(t.throw_new(ErrorKind::Type, &message))
        }
    }
}
pub(crate) fn GetSlot(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    let text = t.repr_short(x);
    Err(t.throw_new(
        ErrorKind::Match,
        &format!("{text} has no field at position {}", w.c()),
    ))
}

impl Thread {
    /// The field of a struct or variant at this position of its type; a `TypeError` if there is none.
    pub(crate) fn field_at(&mut self, object: Value, slot: usize) -> Result<Value, Trap> {
        // SAFETY: a live engine.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        let field = object
            .is_object()
            .then(|| engine.type_info(object.type_id()).fields.get(slot))
            .flatten();
        match (object.kind(), field) {
            // What `Error` has is reached by name: the kind and the trace are made when they are looked at.
            (Some(Kind::Struct | Kind::Variant), Some(field))
                if slot < engine.type_info(type_id::ERROR).fields.len() =>
            {
                self.get_field(object, field.name, false)
            }
            (Some(Kind::Struct | Kind::Variant), Some(_)) => {
                // SAFETY: instances have the fields of their type.
                Ok(unsafe { *object.as_object().cast::<Value>().add(1 + slot) })
            }
            _ => {
                let text = self.repr_short(object);
                let message = format!("{text} has no field at position {slot}");
                Err(self.throw_new(ErrorKind::Type, &message))
            }
        }
    }

    /// Field of an object, entry of a map, export of a module, member of a type, bound method. With `call`, it is about to be called.
    pub(crate) fn get_field(
        &mut self,
        object: Value,
        name: Sym,
        call: bool,
    ) -> Result<Value, Trap> {
        // SAFETY: a live engine.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        match object.kind() {
            Some(Kind::Struct | Kind::Variant) => {
                let info = engine.type_info(object.type_id());
                if let Some(index) = info.field_index(name) {
                    // SAFETY: the field exists.
                    let value = unsafe { *object.as_object().cast::<Value>().add(1 + index) };
                    if info.is_error && value.is_nil() && name == sym::KIND {
                        return Ok(self.text_value(&info.name));
                    }
                    if info.is_error && name == sym::TRACE {
                        return Ok(self.trace_value(object));
                    }
                    return Ok(value);
                }
            }
            Some(Kind::Map) => {
                let key = self.symbol_value(name);
                match ops::map::get(engine, object, key) {
                    Ok(Lookup::Found(value)) => return Ok(value),
                    Ok(_) if call => return Err(self.no_member(object, name, true)),
                    Ok(_) => {
                        let keys = self.map_string_keys(object);
                        let text = engine.symbol_text(name);
                        let hint =
                            crate::error::did_you_mean(text, keys.iter().map(String::as_str));
                        let map = self.map_text(Some(text));
                        return Err(self.throw_new(
                            ErrorKind::Key,
                            &format!("no key \"{text}\" in {map}{hint}"),
                        ));
                    }
                    Err(fail) => return Err(self.trap(fail)),
                }
            }
            Some(Kind::Module) => {
                // SAFETY: modules live as long as the engine.
                let module = unsafe { &*(*object.as_object().cast::<ModuleObject>()).module };
                return self.export(module, name);
            }
            Some(Kind::Handle) if object.type_id() == crate::object::type_id::THREAD => {
                if let Some(value) = self.thread_field(object, engine.symbol_text(name)) {
                    return Ok(value);
                }
            }
            Some(Kind::Handle) if object.type_id() == crate::object::type_id::TROOP => {
                match engine.symbol_text(name) {
                    "id" => return Ok(Value::small_int(1)),
                    "name" => return Ok(self.text_value("main")),
                    _ => {}
                }
            }
            Some(Kind::Task) => {
                if let Some(value) = self.task_field(object, engine.symbol_text(name)) {
                    return Ok(value);
                }
            }
            Some(Kind::Type) => {
                // SAFETY: types live as long as the engine.
                let info = unsafe { &*self.type_info_of(object) };
                if let Some(&variant) = info
                    .variants
                    .iter()
                    .find(|v| engine.symbol(&engine.type_info(**v).name) == name)
                {
                    return Ok(self.variant_of(object, engine.type_info(variant)));
                }
                if let Some(method) = info.method(name) {
                    return self.own_method(method.function, object);
                }
            }
            _ => {}
        }
        if !call
            && let Some(method) = engine.type_info(object.type_id()).method(name)
            && method.has_self
        {
            if let Some(def) = property_of(method.function) {
                return self.call_property(def, object);
            }
            let function = self.own_method(method.function, object)?;
            return Ok(self.bind_method(object, function));
        }
        Err(self.no_member(object, name, call))
    }

    fn bind_method(&mut self, receiver: Value, function: Value) -> Value {
        let object = self
            .heap
            .alloc(
                Header::new(Kind::BoundMethod, type_id::FUNCTION, 0),
                size_of::<BoundMethod>(),
            )
            .cast::<BoundMethod>();
        // SAFETY: `alloc` made room.
        unsafe {
            (*object).receiver = receiver;
            (*object).function = function;
        }
        Value::local(object.cast())
    }

    /// `TypeError: list has no method 'pusch'; did you mean 'push'?`
    pub(crate) fn no_member(&mut self, object: Value, name: Sym, call: bool) -> Trap {
        // SAFETY: a live engine.
        let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
        let text = engine.symbol_text(name);
        let what = if call { "method" } else { "field" };
        if object.is_nil() {
            let message = self.nil_has_no(text, call);
            return self.throw_new(ErrorKind::Type, &message);
        }
        let info = if object.is_kind(Kind::Type) {
            // SAFETY: types live as long as the engine.
            unsafe { &*self.type_info_of(object) }
        } else {
            engine.type_info(object.type_id())
        };
        let methods = info.methods.read();
        let fields = info.fields.iter().map(|f| engine.symbol_text(f.name));
        let variants = info.variants.iter().map(|v| &*engine.type_info(*v).name);
        let known: Vec<&str> = methods
            .keys()
            .map(|m| engine.symbol_text(*m))
            .chain(fields)
            .chain(variants)
            .collect();
        let hint = crate::error::did_you_mean(text, known.into_iter());
        let owner = match info.shape {
            Shape::Builtin if object.is_kind(Kind::Type) => format!("type {}", info.name),
            _ => info.name.to_string(),
        };
        drop(methods);
        let note = match object.kind() {
            // Their names are in the message.
            Some(Kind::Type | Kind::Module) => String::new(),
            _ => self.object_note(text, object),
        };
        self.throw_new(
            ErrorKind::Type,
            &format!("{owner} has no {what} '{text}'{note}{hint}"),
        )
    }
}

/// The native behind a method that is read like a field.
fn property_of(function: Value) -> Option<&'static NativeDef> {
    if !function.is_kind(Kind::Native) {
        return None;
    }
    // SAFETY: its kind was tested; definitions live as long as the engine.
    let def = unsafe { &*(*function.as_object().cast::<NativeFunction>()).def };
    def.property.then_some(def)
}
