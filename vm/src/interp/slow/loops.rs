//! Loops: fuel, ranges of ints, and iteration over everything else. A step reads the state in three registers: source, position, length at the start.

use super::comparison::quick_order;
use super::{Done, before_alloc, take_jump};
use crate::bytecode::Word;
use crate::engine::{Hook, sym};
use crate::interp::frame;
use crate::interp::unwind::{generator_state, resumed_by};
use crate::native::{FastPath, Trap};
use crate::object::{Closure as ClosureObject, Generator, Kind, List, Map, Tuple, type_id};
use crate::ops;
use crate::task::Wait;
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;

pub(crate) fn Loop(t: &mut Thread, _: Word) -> Done {
    out_of_fuel(t)
}
fn out_of_fuel(t: &mut Thread) -> Done {
    // SAFETY: `pc` is behind the instruction's word.
    t.pc = unsafe { t.pc.sub(1) };
    Err(Trap::Safepoint)
}
pub(crate) fn ForLoop(t: &mut Thread, w: Word) -> Done {
    let (i, end) = (t.reg(w.a()), t.reg(w.a() + 1));
    if i.is_small_int() && end.is_small_int() && i.as_small_int() < crate::value::MAX_SMALL_INT {
        return out_of_fuel(t);
    }
    t.charge_call()?;
    let types = t.engine();
    let next = ops::arith::step_on(&mut t.heap, types, i, Value::small_int(1));
    let next = t.checked(next)?;
    if quick_order(next, end, false) == Some(true) {
        t.set_reg(w.a(), next);
        take_jump(t, w);
    }
    Ok(())
}
pub(crate) fn ForPrep(t: &mut Thread, w: Word) -> Done {
    let (start, end) = (t.reg(w.a()), t.reg(w.a() + 1));
    if !ops::int::is_int(start) || !ops::int::is_int(end) {
        let wrong = if ops::int::is_int(start) { end } else { start };
        let kind = crate::native::with_article(&t.type_name(wrong));
        let note = t.bound_note(wrong, ops::int::is_int(start));
        let message = format!("a range needs ints, got {kind}{note}");
        return Err(t.throw_new(ErrorKind::Type, &message));
    }
    if w.b() == 1 {
        let types = t.engine();
        let result = ops::arith::step_on(&mut t.heap, types, end, Value::small_int(1));
        let end = t.checked(result)?;
        t.set_reg(w.a() + 1, end);
    }
    if quick_order(start, t.reg(w.a() + 1), false) != Some(true) {
        take_jump(t, w);
    }
    Ok(())
}

pub(crate) fn IterNew(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.b());
    let a = w.a();
    let (source, length) = match x.kind() {
        // SAFETY: the layout of the kind.
        Some(Kind::List) => (x, unsafe { (*x.as_object().cast::<List>()).len as i64 }),
        Some(Kind::Map | Kind::Set) => (x, ops::map::stamp(x)),
        // SAFETY: the layout of the kind.
        Some(Kind::Tuple) => (x, unsafe { (*x.as_object().cast::<Tuple>()).len as i64 }),
        Some(Kind::Str) => (x, 0),
        // SAFETY: the layout of the kind.
        Some(Kind::Bytes) => (x, unsafe {
            (*x.as_object().cast::<crate::object::Bytes>()).len as i64
        }),
        Some(Kind::Range) => {
            if !ops::range::is_closed(x) {
                return Err(
                    t.throw_new(ErrorKind::Type, "a range without an end cannot be iterated")
                );
            }
            t.set_reg(a + 2, Value::small_int(0));
            let first = ops::range::range_of(x).start;
            t.set_reg(a, x);
            t.set_reg(a + 1, first);
            return Ok(());
        }
        Some(Kind::Generator | Kind::Iter) => (x, 0),
        Some(Kind::Struct | Kind::Variant) => {
            let info = t.engine().type_info(x.type_id());
            t.set_reg(a + 1, Value::small_int(0));
            t.set_reg(a + 2, Value::small_int(0));
            if let Some(method) = info.method(sym::ITER) {
                before_alloc(t);
                let _ = method;
                return t.call_hook(Hook::IterNew, a, &[t.reg(w.b())]);
            }
            if info.method(sym::NEXT).is_some() {
                t.set_reg(a, x);
                return Ok(());
            }
            return Err(not_iterable(t, x));
        }
        // Runtime objects written in Rust, as files and channels.
        Some(Kind::Host | Kind::Handle)
            if t.engine()
                .type_info(x.type_id())
                .method(sym::NEXT)
                .is_some() =>
        {
            (x, 0)
        }
        _ => return Err(not_iterable(t, x)),
    };
    t.set_reg(a, source);
    t.set_reg(a + 1, Value::small_int(0));
    t.set_reg(a + 2, Value::small_int(length));
    Ok(())
}
fn not_iterable(t: &mut Thread, x: Value) -> Trap {
    let message = t.iterable_message(x);
    t.throw_new(ErrorKind::Type, &message)
}
fn size_changed(t: &mut Thread, what: &str) -> Trap {
    t.throw_new(
        ErrorKind::Value,
        &format!("the size of the {what} changed while it was iterated"),
    )
}

/// What a step of a loop gives.
pub(super) enum Step {
    Value(Value),
    Pair(Value, Value),
    End,
    /// A frame was pushed; it delivers the value.
    Pushed,
}

pub(crate) fn ForNext(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    if x.is_kind(Kind::Handle) && t.fuel > 0 && !t.is_stressed() {
        match t.receive_usually(x, Wait::Loop) {
            FastPath::Done(value) => {
                t.fuel -= 1;
                t.set_reg(w.b(), value);
                t.after_alloc();
                return Ok(());
            }
            FastPath::Parked => {
                t.fuel -= 1;
                t.wait_dest = w.b();
                return Err(Trap::Suspend);
            }
            FastPath::NotUsual => {}
        }
    }
    match step(t, w, false)? {
        Step::Value(v) => {
            t.set_reg(w.b(), v);
            t.after_alloc();
        }
        Step::End => take_jump(t, w),
        Step::Pushed => {}
        Step::Pair(..) => unreachable!("pairs only where asked for"),
    }
    Ok(())
}
pub(crate) fn ForNext2(t: &mut Thread, w: Word) -> Done {
    match step(t, w, true)? {
        Step::Value(v) => t.set_reg(w.b(), v),
        Step::Pair(k, v) => {
            t.set_reg(w.b(), k);
            t.set_reg(w.b() + 1, v);
        }
        Step::End => take_jump(t, w),
        Step::Pushed => {}
    }
    Ok(())
}
fn step(t: &mut Thread, w: Word, pairs: bool) -> Result<Step, Trap> {
    let a = w.a();
    let x = t.reg(a);
    let position = t.reg(a + 1);
    let at = if position.is_small_int() {
        position.as_small_int() as usize
    } else {
        0
    };
    let expected = t.reg(a + 2);
    let advance = |t: &mut Thread, n: usize| t.set_reg(a + 1, Value::small_int(n as i64));
    // SAFETY (all blocks below): the layout of the kind that was tested.
    Ok(match x.kind() {
        Some(Kind::List) => {
            let items = ops::list::items_of(x);
            if items.len() as i64 != expected.as_small_int() {
                return Err(size_changed(t, "list"));
            }
            match items.get(at) {
                Some(v) => {
                    let v = *v;
                    advance(t, at + 1);
                    return element(t, v, pairs);
                }
                None => Step::End,
            }
        }
        Some(Kind::Tuple) => match t.elements(x).and_then(|items| items.get(at)) {
            Some(v) => {
                let v = *v;
                advance(t, at + 1);
                return element(t, v, pairs);
            }
            None => Step::End,
        },
        Some(kind @ (Kind::Map | Kind::Set)) => {
            // SAFETY: the layout of the kind.
            let map = unsafe { &*x.as_object().cast::<Map>() };
            if ops::map::stamp(x) != expected.as_small_int() {
                return Err(size_changed(
                    t,
                    if kind == Kind::Map { "map" } else { "set" },
                ));
            }
            let mut i = at;
            while i < map.used as usize {
                // SAFETY: `i` is below the number of used entries.
                let entry = unsafe { *map.entries.add(i) };
                i += 1;
                if !entry.key.is_unset() {
                    advance(t, i);
                    return if pairs && kind == Kind::Map {
                        Ok(Step::Pair(entry.key, entry.value))
                    } else {
                        element(t, entry.key, pairs)
                    };
                }
            }
            Step::End
        }
        Some(Kind::Range) => {
            if !ops::range::is_before_end(x, position) {
                return Ok(Step::End);
            }
            let types = t.engine();
            let next =
                ops::arith::step_on(&mut t.heap, types, position, ops::range::range_of(x).step);
            let next = t.checked(next)?;
            t.set_reg(a + 1, next);
            return element(t, position, pairs);
        }
        Some(Kind::Str) => {
            let text = ops::text::str_of(x);
            match text[at..].chars().next() {
                Some(c) => {
                    advance(t, at + c.len_utf8());
                    before_alloc(t);
                    let mut buffer = [0; 4];
                    let v = ops::text::new_reserved(&mut t.heap, c.encode_utf8(&mut buffer));
                    return element(t, v, pairs);
                }
                None => Step::End,
            }
        }
        Some(Kind::Bytes) => {
            let bytes = x.as_object().cast::<crate::object::Bytes>();
            // SAFETY: the layout of the kind.
            if at < unsafe { (*bytes).len } as usize {
                advance(t, at + 1);
                // SAFETY: `at` is below the length.
                let byte = unsafe { *bytes.add(1).cast::<u8>().add(at) };
                return element(t, Value::small_int(byte as i64), pairs);
            }
            Step::End
        }
        Some(Kind::Generator) => {
            let generator = x.as_object().cast::<Generator>();
            // SAFETY: the layout of the kind.
            if unsafe { (*generator).state } == generator_state::DONE {
                return Ok(Step::End);
            }
            t.charge_call()?;
            // SAFETY: the running frame's prototype.
            let top = unsafe { (*frame::proto(t.base)).registers as usize };
            let reason = if pairs {
                resumed_by::PAIRS
            } else {
                resumed_by::LOOP
            };
            t.resume_generator(x, top, w.b(), None, reason)?;
            Step::Pushed
        }
        Some(Kind::Handle) if !pairs && x.type_id() == type_id::CHANNEL => {
            t.charge_call()?;
            let channel = crate::shared::object_of(x, type_id::CHANNEL).expect("just tested");
            match t.receive_from(channel, Wait::Loop) {
                Ok(Some(value)) => Step::Value(value),
                Ok(None) => Step::End,
                Err(trap) => {
                    t.wait_dest = w.b();
                    return Err(trap);
                }
            }
        }
        _ if pairs => {
            // A generator over it takes its place, and this instruction runs again.
            t.charge_call()?;
            // SAFETY: the word before `pc` is this instruction.
            t.pc = unsafe { t.pc.sub(1) };
            t.call_hook(Hook::IterNew, a, &[x])?;
            Step::Pushed
        }
        _ => {
            t.charge_call()?;
            t.call_hook(Hook::IterNext, w.b(), &[x])?;
            Step::Pushed
        }
    })
}
impl Thread {
    /// The running task waited in a loop over a channel, which was closed: the loop ends. `pc` is behind the loop's instruction.
    pub(crate) fn end_loop(&mut self) {
        // SAFETY: as said.
        let word = Word(unsafe { *self.pc.sub(1) });
        take_jump(self, word);
    }
}

/// A loop over pairs takes each value apart.
pub(super) fn element(t: &mut Thread, v: Value, pairs: bool) -> Result<Step, Trap> {
    if !pairs {
        return Ok(Step::Value(v));
    }
    match t.elements(v) {
        Some([x, y]) => Ok(Step::Pair(*x, *y)),
        _ => {
            let text = t.repr_short(v);
            Err(t.throw_new(
                ErrorKind::Match,
                &format!("cannot take {text} apart into 2 values"),
            ))
        }
    }
}
/// A generator of the library has nothing to clean up itself, and can be used further after a loop that was left, unless it
/// draws (its register 0) on a generator of the program.
fn is_closed_by_loops(mut x: Value) -> bool {
    while x.is_kind(Kind::Generator) {
        let generator = x.as_object().cast::<Generator>();
        // SAFETY: its kind was tested; `aux` values are saved behind it.
        unsafe {
            let proto = &*(*(*generator).closure.as_object().cast::<ClosureObject>()).proto();
            if !proto.is_internal {
                return true;
            }
            if (*generator).header.aux == 0 {
                return false;
            }
            x = *generator.add(1).cast::<Value>();
        }
    }
    false
}
pub(crate) fn IterClose(t: &mut Thread, w: Word) -> Done {
    let x = t.reg(w.a());
    if !x.is_kind(Kind::Generator) {
        return Ok(());
    }
    if !is_closed_by_loops(x) {
        return Ok(());
    }
    let generator = x.as_object().cast::<Generator>();
    // SAFETY: its kind was tested.
    unsafe {
        let proto = &*(*(*generator).closure.as_object().cast::<ClosureObject>()).proto();
        if (*generator).state == generator_state::SUSPENDED && proto.has_cleanup {
            let top = (*frame::proto(t.base)).registers as usize;
            return t.resume_generator(x, top, top, Some(Value::UNSET), resumed_by::CLOSE);
        }
        if (*generator).state != generator_state::RUNNING {
            (*generator).state = generator_state::DONE;
            (*generator).header.aux = 0;
        }
    }
    Ok(())
}
