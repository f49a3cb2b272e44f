//! Names: globals, variables of modules, imports, captures and cells, and the closures made over them.

use super::{Done, before_alloc};
use crate::bytecode::{CaptureSource, Op, Word};
use crate::interp::{frame, link_constant, set_link_constant};
use crate::module::{Link, Proto, Slot};
use crate::native::Trap;
use crate::object::{Cell, Closure as ClosureObject, Header, Kind, type_id};
use crate::thread::Thread;
use crate::types::{ErrorKind, Sym};
use crate::value::Value;
use std::sync::atomic::Ordering;

fn name_error(t: &mut Thread, text: String) -> Trap {
    t.throw_new(ErrorKind::Name, &text)
}

pub(crate) fn LoadSlot(t: &mut Thread, w: Word) -> Done {
    LoadImport(t, w)
}

pub(crate) fn LoadImport(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    // SAFETY: verified: the constant exists.
    let known = unsafe { link_constant(proto.constant(w.imm() as usize)) };
    if known.is_unset()
        && let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32))
        && let Some(closure) = t.export_initialiser(module, *name)
    {
        return t.call_into(w.a(), closure, &[]);
    }
    let value = import(t, w)?;
    t.set_reg(w.a(), value);
    Ok(())
}

/// The value of the import that constant `imm` names.
pub(super) fn import(t: &mut Thread, w: Word) -> Result<Value, Trap> {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    // SAFETY: verified: the constant exists.
    let known = unsafe { link_constant(proto.constant(w.imm() as usize)) };
    if known.is_object() {
        return Ok(known);
    }
    let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32)) else {
        return Ok(known);
    };
    let value = t.export(module, *name)?;
    if let Some((Slot::Global(slot), _)) = module.names.get(name)
        && w.op() == Some(Op::LoadImport)
    {
        let address = module.globals[*slot as usize].get() as i64;
        // SAFETY: constants of a prototype are written only here and by the linker; the word in front of `pc` is the running instruction.
        unsafe {
            let constant = proto.constant(w.imm() as usize);
            if !set_link_constant(constant, Value::small_int(address)) {
                return Ok(value);
            }
            let word = t.pc.sub(1).cast::<std::sync::atomic::AtomicU64>();
            (*word).store(
                w.with_op(Op::LoadSlot).0,
                std::sync::atomic::Ordering::Release,
            );
        }
    }
    Ok(value)
}

pub(crate) fn GetGlobal(t: &mut Thread, w: Word) -> Done {
    let module = t.running_module();
    let value = t.global_value(module, w.imm() as u32)?;
    if !value.is_unset() {
        // The owner keeps it: from now on the instruction asks the thread that runs it.
        t.set_reg(w.a(), value);
        if w.op() == Some(Op::GetGlobal) {
            let slot = module.owned_slot(w.imm() as u32) as i32;
            // SAFETY: the word in front of `pc` is the running instruction; carriers write it whole.
            unsafe {
                let word = t.pc.sub(1).cast::<std::sync::atomic::AtomicU64>();
                (*word).store(
                    w.with_op(Op::GetVar).with_imm(slot).0,
                    std::sync::atomic::Ordering::Relaxed,
                );
            }
        }
        return Ok(());
    }
    let text = t.global_name(w.imm() as u32);
    Err(name_error(t, format!("'{text}' is used before it is set")))
}
pub(crate) fn SetGlobal(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.a());
    let published = t.set_global(w.imm() as u32, value)?;
    t.set_reg(w.a(), published);
    Ok(())
}
pub(crate) fn GetVar(t: &mut Thread, w: Word) -> Done {
    let index = w.imm() as u32;
    if index >= t.var_count {
        t.use_vars();
        let value = t.var(index);
        if !value.is_unset() {
            t.set_reg(w.a(), value);
            return Ok(());
        }
    }
    let module = t.running_module();
    let first_owned = module.owned_slot(0);
    if index >= first_owned {
        // An instruction of a name that its owner keeps (see `GetGlobal`), run by another thread, or published since.
        let value = t.global_value(module, index - first_owned)?;
        if value.is_unset() {
            let text = t.global_name(index - first_owned);
            return Err(name_error(t, format!("'{text}' is used before it is set")));
        }
        t.set_reg(w.a(), value);
        return Ok(());
    }
    if let Some(closure) = t.var_initialiser(index) {
        return t.call_into(w.a(), closure, &[]);
    }
    let text = t.var_name(index);
    if t.is_foreign(module) {
        return Err(t.not_shared(&text));
    }
    Err(name_error(t, format!("'{text}' is used before it is set")))
}
pub(crate) fn SetVar(t: &mut Thread, w: Word) -> Done {
    let value = t.reg(w.a());
    let module = t.running_module();
    if t.is_foreign(module) && t.var_initialiser(w.imm() as u32).is_none() {
        let text = t.var_name(w.imm() as u32);
        return Err(t.not_shared(&text));
    }
    // An initialiser that waited: another task may have been faster, and its value may be in use.
    if t.runs_initialiser_of(w.imm() as u32) {
        let first = t.var(w.imm() as u32);
        if !first.is_unset() {
            t.set_reg(w.a(), first);
            return Ok(());
        }
    }
    t.set_var(w.imm() as u32, value);
    Ok(())
}
pub(crate) fn GetImportVar(t: &mut Thread, w: Word) -> Done {
    LoadImport(t, w)
}
pub(crate) fn SetImportVar(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    if let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32))
        && let Some((Slot::Var(index), _)) = module.names.get(name)
    {
        let value = t.reg(w.a());
        t.set_var(module.var_base + index, value);
        return Ok(());
    }
    Err(name_error(t, "this name cannot be assigned to".into()))
}
pub(crate) fn GetCaptureCell(t: &mut Thread, _: Word) -> Done {
    Err(name_error(
        t,
        "a local name is used before it is set".into(),
    ))
}
pub(crate) fn SetCaptureCell(t: &mut Thread, w: Word) -> Done {
    // SAFETY: verified: the running closure has this capture; it is a cell.
    let cell = unsafe {
        *(*t.base.sub(2))
            .as_object()
            .cast::<ClosureObject>()
            .add(1)
            .cast::<Value>()
            .add(w.imm() as usize)
    };
    store_cell(t, cell, t.reg(w.a()))
}
pub(crate) fn NewCell(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let cell = t.heap.alloc(
        Header::new(Kind::Cell, type_id::INTERNAL, 0),
        size_of::<Cell>(),
    );
    // SAFETY: `alloc` made room for a cell.
    unsafe { (*cell.cast::<Cell>()).value = t.reg(w.b()) };
    t.set_reg(w.a(), Value::local(cell));
    Ok(())
}
pub(crate) fn GetCell(t: &mut Thread, _: Word) -> Done {
    Err(name_error(
        t,
        "a local name is used before it is set".into(),
    ))
}
pub(crate) fn SetCell(t: &mut Thread, w: Word) -> Done {
    let (cell, value) = (t.reg(w.a()), t.reg(w.b()));
    store_cell(t, cell, value)
}
/// The first and only value of a name that functions capture before it has one.
pub(crate) fn FixCell(t: &mut Thread, w: Word) -> Done {
    let (cell, value) = (t.reg(w.a()), t.reg(w.b()));
    store_cell(t, cell, value)?;
    // SAFETY: its kind was tested.
    unsafe { (*cell.as_object()).aux = Cell::FIXED };
    Ok(())
}
fn store_cell(t: &mut Thread, cell: Value, value: Value) -> Done {
    if !cell.is_kind(Kind::Cell) {
        return Err(name_error(
            t,
            "a local name is used before it is set".into(),
        ));
    }
    // SAFETY: its kind was tested.
    unsafe { (*cell.as_object().cast::<Cell>()).value = value };
    t.heap.barrier(cell.as_object(), value);
    Ok(())
}
pub(crate) fn CheckSet(t: &mut Thread, w: Word) -> Done {
    if t.reg(w.a()).is_unset() {
        let text = t.symbol_text(w.imm());
        return Err(name_error(t, format!("'{text}' is used before it is set")));
    }
    Ok(())
}
/// Threads that run the same code count together.
pub(crate) fn Count(t: &mut Thread, w: Word) -> Done {
    t.running_module().counts[w.imm() as usize].fetch_add(1, Ordering::Relaxed);
    Ok(())
}
pub(crate) fn Closure(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let address = t.constant(w.imm()).as_small_int() as *const Proto;
    // SAFETY: verified: the constant is a prototype, and then the linker has put its address there; the running one keeps it.
    let proto: &'static Proto = unsafe { &*address };
    let count = proto.captures.len();
    let bytes = size_of::<ClosureObject>() + count * size_of::<Value>();
    let object = t
        .heap
        .alloc(
            Header::new(Kind::Closure, type_id::FUNCTION, count as u16),
            bytes,
        )
        .cast::<ClosureObject>();
    // SAFETY: `alloc` made room for the captures; verified: sources exist in the running frame and closure.
    unsafe {
        (*object).consts = proto.consts_start;
        let captures = object.add(1).cast::<Value>();
        let own = (*t.base.sub(2))
            .as_object()
            .cast::<ClosureObject>()
            .add(1)
            .cast::<Value>();
        for (i, source) in proto.captures.iter().enumerate() {
            *captures.add(i) = match source {
                CaptureSource::Register(r) => t.reg(*r as usize),
                CaptureSource::Capture(c) => *own.add(*c as usize),
            };
        }
    }
    t.set_reg(w.a(), Value::local(object.cast()));
    Ok(())
}

impl Thread {
    /// An export of a module.
    pub(crate) fn export(
        &mut self,
        module: &crate::module::Module,
        name: Sym,
    ) -> Result<Value, Trap> {
        let value = match module.names.get(&name) {
            Some((Slot::Global(index), true)) => self.global_value(module, *index)?,
            Some((Slot::Var(index), true)) => {
                let value = self.var(module.var_base + index);
                if value.is_unset() && self.is_foreign(module) {
                    // SAFETY: a live engine.
                    let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
                    return Err(self.not_shared(engine.symbol_text(name)));
                }
                value
            }
            found => {
                // SAFETY: a live engine.
                let engine = unsafe { &*std::ptr::from_ref(self.engine()) };
                let text = engine.symbol_text(name);
                let message = if found.is_some() {
                    format!("'{text}' of module {} is not pub", module.name)
                } else {
                    let known = module
                        .names
                        .iter()
                        .filter(|(_, (_, is_pub))| *is_pub)
                        .map(|(n, _)| engine.symbol_text(*n));
                    format!(
                        "module {} has no '{text}'{}",
                        module.name,
                        crate::error::did_you_mean(text, known)
                    )
                };
                return Err(self.throw_new(ErrorKind::Name, &message));
            }
        };
        if value.is_unset() {
            let text = self.engine().symbol_text(name).to_string();
            return Err(self.throw_new(
                ErrorKind::Name,
                &format!(
                    "'{text}' of module {} is used before it is set",
                    module.name
                ),
            ));
        }
        Ok(value)
    }
}
