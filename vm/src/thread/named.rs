//! What functions name at module level: a `var` there, or a `let` that holds something mutable, counts as a capture of each function that names it, when the function
//! crosses to another thread.
//!
//! A function names what its code, the functions in it, and the functions that these name have (`Proto::named`, links and constants); methods of the types that it
//! makes, and functions in what is frozen, are not looked at. Whatever is missed here is found when it is used: a thread does not get at the module-level objects of another one (`Thread::global_value`).
//!
//! Most functions name functions and values that never change. Once all of them are known to be such, the prototype is *settled*, and is not looked at again:
//! names are set once, and what is immutable stays so.

use super::Thread;
use crate::heap::GraphError;
use crate::module::{Head, Link, Module, Proto, Slot};
use crate::native::Trap;
use crate::object::{Closure, Kind};
use crate::types::ErrorKind;
use crate::value::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A function that was met.
struct Met {
    proto: *const Proto,
    /// The place in the list of the one that names it.
    by: usize,
}

/// The functions that are reached from the first, each once.
#[derive(Default)]
struct Reached {
    list: Vec<Met>,
    known: HashSet<*const Proto>,
}

impl Reached {
    fn meet(&mut self, proto: *const Proto, by: usize) {
        // SAFETY: prototypes live as long as the engine.
        let is_settled = unsafe { (*proto).is_settled.load(Ordering::Relaxed) };
        if !is_settled && self.known.insert(proto) {
            self.list.push(Met { proto, by });
        }
    }
    fn meet_value(&mut self, value: Value, by: usize) {
        if value.is_kind(Kind::Closure) {
            // SAFETY: its kind was tested, and a name or constant keeps it alive.
            self.meet(
                unsafe { (*value.as_object().cast::<Closure>()).proto() },
                by,
            );
        }
    }
    /// `f names g, which names h, which names`.
    fn text(&self, mut at: usize) -> String {
        let mut names = Vec::new();
        loop {
            // SAFETY: prototypes live as long as the engine.
            names.push(match unsafe { &*(*self.list[at].proto).name } {
                "<spawn>" => "the block",
                name if name.starts_with('<') => "a function",
                name => name,
            });
            if at == 0 {
                break;
            }
            at = self.list[at].by;
        }
        let first = names.pop().expect("the first is one of them");
        let others = names.iter().rev();
        let others: String = others.map(|name| format!(" {name}, which names")).collect();
        format!("{first} names{others}")
    }
}

impl Thread {
    /// A function is about to cross.
    #[cold]
    pub(super) fn check_module_names(&mut self, function: Value) -> Result<(), Trap> {
        let mut reached = Reached::default();
        reached.meet_value(function, 0);
        let mut is_settled = true;
        let mut at = 0;
        while let Some(met) = reached.list.get(at) {
            // SAFETY: prototypes and their modules live as long as the engine.
            let (proto, module): (&'static Proto, &'static Module) =
                unsafe { (&*met.proto, &*(*met.proto).module) };
            for &slot in &proto.named {
                is_settled &= self.check_module_name(module, slot, &mut reached, at)?;
            }
            for link in proto.links.values() {
                match link {
                    Link::Import(module, name) => {
                        if let Some(&(slot, _)) = module.names.get(name) {
                            is_settled &= self.check_module_name(module, slot, &mut reached, at)?;
                        }
                    }
                    Link::Proto(inner) => reached.meet(Arc::as_ptr(inner), at),
                    Link::Names(_) => {}
                }
            }
            for index in 0..proto.consts.len() - Head::WORDS {
                // What stands in place of links changes as code runs.
                if !proto.links.contains_key(&(index as u32)) {
                    // SAFETY: a constant.
                    reached.meet_value(unsafe { *proto.constant(index) }, at);
                }
            }
            at += 1;
        }
        if is_settled {
            for met in &reached.list {
                // SAFETY: as above.
                unsafe { (*met.proto).is_settled.store(true, Ordering::Relaxed) };
            }
        }
        Ok(())
    }

    /// Whether what a name stands for can cross, now and for ever; `false`: it is not known, since it has not been set yet or another thread has it. An error if it cannot.
    fn check_module_name(
        &mut self,
        module: &Module,
        slot: Slot,
        reached: &mut Reached,
        at: usize,
    ) -> Result<bool, Trap> {
        let index = match slot {
            Slot::Global(index) => index,
            Slot::Var(index) => {
                let initialisers = module.initialisers.get();
                if initialisers.is_some_and(|all| all.contains_key(&index)) {
                    // A `local var`: each thread has its own.
                    return Ok(true);
                }
                let message = format!(
                    "{} the variable {}, which belongs to its thread; pass its value as an argument, or use an Atomic or a Channel",
                    reached.text(at),
                    self.slot_name(module, slot),
                );
                return Err(self.throw_new(ErrorKind::Share, &message));
            }
        };
        let published = module.global(index);
        if !published.is_unset() {
            reached.meet_value(published, at);
            return Ok(true);
        }
        if self.is_foreign(module) {
            return Ok(false);
        }
        let value = self.var(module.owned_slot(index));
        if value.is_unset() {
            return Ok(false);
        }
        match self.publish(module, index, value) {
            Ok(shared) => {
                reached.meet_value(shared, at);
                Ok(true)
            }
            Err(GraphError::NeedsCollection) => Err(Trap::Collect),
            Err(GraphError::Refused { path, value: part }) => {
                let name = self.slot_name(module, slot);
                let place = self.path_text(&name, &path);
                let kind = crate::native::with_article(&self.type_name(part));
                let names = reached.text(at);
                let message = match part.kind() {
                    Some(Kind::Task | Kind::Generator | Kind::Iter | Kind::Host | Kind::Cell) => {
                        format!(
                            "{names} {place}, {kind}, which belongs to its thread and cannot cross"
                        )
                    }
                    _ => format!(
                        "{names} {place}, a mutable {}; freeze() it to share it, or pass copy({name}) as an argument: {}",
                        self.type_name(part),
                        self.repr_short(part),
                    ),
                };
                Err(self.throw_new(ErrorKind::Share, &message))
            }
        }
    }
}
