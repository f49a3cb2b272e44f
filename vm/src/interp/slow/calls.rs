//! Calls and method calls, and the forms they are exchanged for once the callee is known.

use super::names::{GetGlobal, import};
use super::{Done, before_alloc};
use crate::bytecode::{Op, Word};
use crate::interp::{acquire_word, fast, frame, link_constant, set_link_constant};
use crate::module::{Link, Module, NearHead, Proto, Slot, near_call};
use crate::native::{FastPath, NativeDef, Trap};
use crate::object::{Closure as ClosureObject, Kind, ModuleObject, NativeFunction, TypeObject};
use crate::ops;
use crate::thread::Thread;
use crate::types::{ErrorKind, Sym};
use crate::value::Value;

pub(crate) fn Call(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallK(t: &mut Thread, w: Word) -> Done {
    // SAFETY: verified: the running function has the constant.
    let callee = unsafe { link_constant(t.constant_place(w.imm())) };
    if !callee.is_object() {
        return call_import(t, w);
    }
    t.charge_call()?;
    t.set_reg(w.a(), callee);
    quicken_call(t, w, callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
/// A call of an import that was not looked at so far, or of a variable of another module: what that holds may change.
#[inline(never)]
fn call_import(t: &mut Thread, w: Word) -> Done {
    // SAFETY: the running frame's prototype lives as long as the engine.
    let proto: &'static Proto = unsafe { &*frame::proto(t.base) };
    let mut is_variable = false;
    if let Some(Link::Import(module, name)) = proto.links.get(&(w.imm() as u32))
        && let Some((Slot::Var(_), _)) = module.names.get(name)
    {
        is_variable = true;
        let place = t.pc.wrapping_sub(1);
        if let Some(done) = initialise_first(t, w, module, *name, place) {
            return done;
        }
    }
    t.charge_call()?;
    let callee = import(t, w)?;
    t.set_reg(w.a(), callee);
    if !is_variable {
        quicken_call(t, w, callee);
    }
    t.call_window(w.a(), w.c(), w.b(), &[])
}
/// What is called is an exported `local var` of a module: if it has no value in this thread yet, its initialiser is called, and then the instruction, which stands at
/// `place`, again.
fn initialise_first(
    t: &mut Thread,
    w: Word,
    module: &Module,
    name: Sym,
    place: *const u64,
) -> Option<Done> {
    let initialiser = t.export_initialiser(module, name)?;
    t.pc = place;
    Some(t.call_into(w.a(), initialiser, &[]))
}
/// A `CallK` of a permanent closure that takes exactly these arguments becomes a `CallNear` or `CallFn`, one of a native that needs no binding a `CallNative`.
fn quicken_call(t: &mut Thread, w: Word, callee: Value) {
    if !callee.is_shared() {
        return;
    }
    // SAFETY: a closure's prototype and the running one live as long as the engine; a constant that stood for an import now holds what it
    // names, which never changes (write-once slot).
    unsafe {
        let fits = match callee.kind() {
            Some(Kind::Closure) => {
                let proto = (*callee.as_object().cast::<ClosureObject>()).proto();
                (*proto).exact_arity as usize == w.c()
            }
            Some(Kind::Native | Kind::Type) => native_of(callee).is_some_and(|native| {
                takes_as_given(native, w.c()) && (*native.def).host.is_none()
            }),
            _ => false,
        };
        if !fits {
            return;
        }
        let running = &*frame::proto(t.base);
        let constant = running.constant(w.imm() as usize);
        if running.links.contains_key(&(w.imm() as u32)) && !set_link_constant(constant, callee) {
            return;
        }
        let place = t.pc.sub(1);
        let word = if !callee.is_kind(Kind::Closure) {
            w.with_op(Op::CallNative)
        } else {
            near_call(w, place, callee).unwrap_or(w.with_op(Op::CallFn))
        };
        (*place.cast::<std::sync::atomic::AtomicU64>())
            .store(word.0, std::sync::atomic::Ordering::Release);
    }
}
/// The native that a call of this runs: it is that, or a type with such a constructor.
///
/// # Safety
/// The value is permanent.
#[inline(always)]
unsafe fn native_of(callee: Value) -> Option<&'static NativeFunction> {
    // SAFETY: promised by the caller; types live as long as the engine.
    unsafe {
        let mut callee = callee.as_object();
        if (*callee).kind == Kind::Type {
            let constructor = (*(*callee.cast::<TypeObject>()).info).constructor.get();
            if !constructor.is_object() {
                return None;
            }
            callee = constructor.as_object();
        }
        ((*callee).kind == Kind::Native).then(|| &*callee.cast::<NativeFunction>())
    }
}
/// Whether a call with so many arguments needs no binding: it has all, or leaves out some that may be.
#[inline(always)]
fn takes_as_given(native: &NativeFunction, argc: usize) -> bool {
    let params = native.header.aux as usize;
    // SAFETY: definitions live as long as the engine.
    params == argc
        || params > argc
            && params != u16::MAX as usize
            && unsafe { (*native.def).fewest as usize <= argc }
}
/// Makes those arguments unset that a call which `takes_as_given` leaves out; gives how many there are then.
#[inline(always)]
fn fill_window(t: &mut Thread, native: &NativeFunction, w: Word) -> usize {
    let params = native.header.aux as usize;
    for i in w.c()..params {
        // SAFETY: behind the window is nothing that is used; a few slots more than the frame has may be written.
        unsafe { *t.base.add(w.a() + 2 + i) = Value::UNSET };
    }
    params
}
pub(crate) fn CallNative(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    // SAFETY: the instruction's constant, which led to a native when the instruction was made and never changes; definitions live as long as the engine.
    unsafe {
        acquire_word(t.pc);
        let callee = link_constant(t.constant_place(w.imm()));
        if let Some(native) = native_of(callee) {
            let argc = fill_window(t, native, w);
            return t.call_plain(&*native.def, w.a(), argc, w.b());
        }
        t.set_reg(w.a(), callee);
    }
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallNear(t: &mut Thread, w: Word) -> Done {
    // SAFETY: made by `near_call`: there begins the code of a permanent closure's function.
    let callee = unsafe { (*NearHead::of(t.pc.offset(w.imm() as isize))).closure };
    t.charge_call()?;
    t.set_reg(w.a(), callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallFn(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    // SAFETY: the running instruction's constant.
    let callee = unsafe {
        acquire_word(t.pc);
        link_constant(t.constant_place(w.imm()))
    };
    t.set_reg(w.a(), callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallGlobal(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let module = t.running_module();
    let callee = t.global_value(module, w.imm() as u32)?;
    if callee.is_unset() {
        return GetGlobal(t, w);
    }
    t.set_reg(w.a(), callee);
    t.call_window(w.a(), w.c(), w.b(), &[])
}
pub(crate) fn CallNamed(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let names = t.names_of(w.imm());
    t.call_window(w.a(), w.c(), w.b(), names)
}
pub(crate) fn InvokeT(t: &mut Thread, w: Word) -> Done {
    Invoke(t, w)
}
pub(crate) fn Invoke(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let cache = t.pc.cast_mut();
    let receiver = t.reg(w.a() + 2);
    // SAFETY: verified: a cache word follows.
    unsafe {
        t.pc = t.pc.add(1);
        if receiver.is_object()
            && let Some(index) = fast::in_word(cache, receiver.type_id())
                .or_else(|| fast::in_table(t, w, receiver.type_id(), crate::cache::METHOD))
        {
            // What the cache remembers is a method of the type.
            let method = *t.methods.add(index as usize);
            t.set_reg(w.a(), method);
            if method == t.list_push && w.c() == 2 && w.op() == Some(Op::Invoke) {
                let word = cache.sub(1).cast::<std::sync::atomic::AtomicU64>();
                (*word).store(
                    w.with_op(Op::InvokePush).0,
                    std::sync::atomic::Ordering::Relaxed,
                );
            }
            if method.is_kind(Kind::Native) {
                let native = method.as_object().cast::<NativeFunction>();
                if takes_as_given(&*native, w.c()) && (*(*native).def).host.is_none() {
                    if w.op() == Some(Op::Invoke) && method != t.list_push {
                        let word = cache.sub(1).cast::<std::sync::atomic::AtomicU64>();
                        (*word).store(
                            w.with_op(Op::InvokeNative).0,
                            std::sync::atomic::Ordering::Relaxed,
                        );
                    }
                    let argc = fill_window(t, &*native, w);
                    return t.call_plain(&*(*native).def, w.a(), argc, w.b());
                }
            }
            return t.call_window(w.a(), w.c(), w.b(), &[]);
        }
    }
    let name = t.engine_symbol(w.imm());
    if let Some(done) = set_export(t, w, name, cache.wrapping_sub(1)) {
        return done;
    }
    t.invoke(w.a(), w.c(), w.b(), name, &[], Some(cache))
}
/// `initialise_first` of a call whose receiver is a module.
fn set_export(t: &mut Thread, w: Word, name: Sym, place: *const u64) -> Option<Done> {
    let receiver = t.reg(w.a() + 2);
    if !receiver.is_kind(Kind::Module) {
        return None;
    }
    before_alloc(t);
    let module = t.reg(w.a() + 2).as_object().cast::<ModuleObject>();
    // SAFETY: its kind was tested; modules live as long as the engine.
    let module = unsafe { &*(*module).module };
    initialise_first(t, w, module, name, place)
}
#[inline(always)]
pub(crate) fn InvokeNative(t: &mut Thread, w: Word) -> Done {
    let receiver = t.reg(w.a() + 2);
    let cache = t.pc.cast_mut();
    // SAFETY: verified: a cache word follows. What it remembers is a method of the type.
    unsafe {
        if receiver.is_object()
            && let Some(index) = fast::in_word(cache, (*receiver.as_object()).type_id)
        {
            let method = *t.methods.add(index as usize);
            let native = method.as_object().cast::<NativeFunction>();
            if (*native).header.kind == Kind::Native && takes_as_given(&*native, w.c()) {
                let def = &*(*native).def;
                if let Some(fast_path) = def.fast_path
                    && !t.is_stressed()
                {
                    // (Who has one leaves no argument out: see `NativeDef::fast_path`.)
                    t.charge_call()?;
                    t.pc = t.pc.add(1);
                    match fast_path(t, t.base.add(w.a() + 2)) {
                        FastPath::Done(value) => {
                            t.set_reg(w.b(), value);
                            t.after_alloc();
                            return Ok(());
                        }
                        FastPath::Parked => {
                            t.wait_dest = w.b();
                            return Err(Trap::Suspend);
                        }
                        FastPath::NotUsual => return invoke_plain(t, w, def, w.c()),
                    }
                }
                if def.host.is_none() {
                    t.charge_call()?;
                    t.pc = t.pc.add(1);
                    let argc = fill_window(t, &*native, w);
                    return invoke_plain(t, w, def, argc);
                }
            }
        }
    }
    Invoke(t, w)
}
/// Out of line, so that the fast paths above need few registers.
#[inline(never)]
fn invoke_plain(t: &mut Thread, w: Word, def: &'static NativeDef, argc: usize) -> Done {
    t.call_plain(def, w.a(), argc, w.b())
}
pub(crate) fn InvokePush(t: &mut Thread, w: Word) -> Done {
    Invoke(t, w)
}
pub(crate) fn InvokeCopy(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    // SAFETY: verified: a word with the mask follows.
    let mask = unsafe { *t.pc } as u32;
    let name = t.engine_symbol(w.imm());
    let place = t.pc.wrapping_sub(1);
    if let Some(done) = set_export(t, w, name, place) {
        return done;
    }
    t.invoke_copying(w.a(), w.c(), w.b(), name, mask)
}
pub(crate) fn InvokeNamed(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    let names = t.names_of(w.imm());
    let place = t.pc.wrapping_sub(1);
    if let Some(done) = set_export(t, w, names[0], place) {
        return done;
    }
    t.invoke(w.a(), w.c(), w.b(), names[0], &names[1..], None)
}
pub(crate) fn CheckArg(t: &mut Thread, w: Word) -> Done {
    if t.reg(w.a()).is_unset() {
        let name = t.constant(w.imm());
        let text = ops::text::str_of(name).to_string();
        // SAFETY: the running prototype lives as long as the engine.
        let function = unsafe { &(*frame::proto(t.base)).name };
        return Err(t.throw_new(
            ErrorKind::Type,
            &format!("{function}() is missing argument '{text}'"),
        ));
    }
    Ok(())
}
