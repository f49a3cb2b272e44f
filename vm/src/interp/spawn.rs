//! What starts tasks and threads, and calls that hand copies over.

use crate::bytecode::start;
use crate::native::Trap;
use crate::object::{Kind, NativeFunction};
use crate::thread::Thread;
use crate::types::{ErrorKind, Sym};
use crate::value::Value;

impl Thread {
    /// `Spawn`: starts `R[at]` with `argc` arguments; gives the handle, or nil if that is not wanted. Bit i of `copy_mask`: argument i was written `copy(x)`.
    pub(crate) fn start(
        &mut self,
        kind: u32,
        at: usize,
        argc: usize,
        name: Value,
        copy_mask: u32,
        is_wanted: bool,
    ) -> Result<Value, Trap> {
        if kind == start::SPAWN {
            debug_assert_eq!(copy_mask, 0);
            return self.spawn(at, argc, name, is_wanted);
        }
        debug_assert_eq!(kind, start::THREAD, "verified: there is nothing else");
        self.spawn_thread(at, argc, name, copy_mask, is_wanted)
    }

    /// `InvokeCopy`: a method call some of whose arguments were written `copy(x)`. A native that crosses finds them in `copy_mask`
    /// and copies them for the receiver; anything else gets copies. `pc` is behind the instruction's first word.
    pub(crate) fn invoke_copying(
        &mut self,
        at: usize,
        argc: usize,
        dest: usize,
        name: Sym,
        mask: u32,
    ) -> Result<(), Trap> {
        let receiver = self.reg(at + 2);
        let method = self.engine().type_info(receiver.type_id()).method(name);
        let crosses = method.is_some_and(|method| method.has_self && is_crossing(method.function));
        if !crosses {
            for bit in (0..argc - 1).filter(|&bit| mask >> bit & 1 == 1) {
                let register = at + 3 + bit;
                let copy = match self.deep_copy(self.reg(register)) {
                    Err(Trap::Collect) => {
                        // All that lives is in this frame's registers.
                        self.collect_full();
                        match self.deep_copy(self.reg(register)) {
                            Err(Trap::Collect) => Err(self.throw_limit()),
                            result => result,
                        }
                    }
                    result => result,
                }?;
                self.set_reg(register, copy);
            }
        }
        // SAFETY: verified: the word with the mask is not the code's last.
        self.pc = unsafe { self.pc.add(1) };
        self.copy_mask = if crosses { mask } else { 0 };
        let called = self.invoke(at, argc, dest, name, &[], None);
        self.copy_mask = 0;
        called
    }

    /// A deep, mutable copy. `TypeError` for what cannot be copied.
    pub(crate) fn deep_copy(&mut self, value: Value) -> Result<Value, Trap> {
        let copy = self.heap.deep_copy(value);
        copy.map_err(|error| self.graph_trap(error, true))
    }
    pub(crate) fn cannot_be_copied(&mut self, value: Value) -> Trap {
        let text = format!(
            "{} cannot be copied: {}",
            crate::native::with_article(&self.type_name(value)),
            self.repr_short(value)
        );
        self.throw_new(ErrorKind::Type, &text)
    }
}

fn is_crossing(function: Value) -> bool {
    function.is_kind(Kind::Native)
        // SAFETY: a native function object points to its definition, which lives as long as the engine.
        && unsafe { (*(*function.as_object().cast::<NativeFunction>()).def).crossing }
}
