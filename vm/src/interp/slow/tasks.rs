//! Tasks: started, left for others, ended; what a handle of one says.

use super::{Done, before_alloc};
use crate::bytecode::Word;
use crate::native::Trap;
use crate::task::Wait;
use crate::thread::Thread;
use crate::value::Value;

pub(crate) fn Spawn(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    t.charge_call()?;
    let (kind, copied) = (w.imm() as u32 & 3, w.imm() as u32 >> 2);
    let name = t.reg(w.a() + 2 + w.c());
    let is_wanted = w.a() != w.b();
    let handle = t.start(kind, w.a(), w.c(), name, copied, is_wanted)?;
    t.set_reg(w.b(), handle);
    Ok(())
}
pub(crate) fn TaskYield(t: &mut Thread, w: Word) -> Done {
    t.set_reg(w.a(), Value::NIL);
    t.blocking_point()?;
    t.yielded = true;
    Err(Trap::Suspend)
}
pub(crate) fn Threadlet(t: &mut Thread, w: Word) -> Done {
    t.charge_call()?;
    t.begin_threadlet(w.a(), w.b(), w.c())
}
pub(crate) fn ThreadletEnd(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let handle = t.end_threadlet(w.b(), t.reg(w.c()));
    t.set_reg(w.a(), handle);
    Ok(())
}
pub(crate) fn ThreadletFail(t: &mut Thread, w: Word) -> Done {
    before_alloc(t);
    let error = t.reg(w.c());
    match t.fail_threadlet(w.b(), error) {
        Some(handle) => {
            t.set_reg(w.a(), handle);
            Ok(())
        }
        None => {
            t.thrown = error;
            Err(Trap::Throw)
        }
    }
}
pub(crate) fn Exit(t: &mut Thread, w: Word) -> Done {
    t.result = t.reg(w.a());
    t.returned = true;
    Err(Trap::Exit)
}

impl Thread {
    /// `id`, `name` (nil if it has none) and `state` of a task.
    pub(super) fn task_field(&mut self, handle: Value, name: &str) -> Option<Value> {
        // SAFETY: the caller tested its kind; a task that has not ended is alive.
        let text = unsafe {
            let object = &*handle.as_object().cast::<crate::object::TaskObject>();
            let task = object.task();
            match name {
                "id" => return Some(Value::small_int(object.id as i64)),
                "name" => return Some(object.name()),
                "state" if task.is_null() => match object.ended() {
                    2 => "failed",
                    3 => "cancelled",
                    4 => "killed",
                    _ => "ended",
                },
                "state" if (*task).is_mounted() => "running",
                "state" if (*task).wait != Wait::None && (*task).claim.is_waiting() => {
                    let state = crate::thread::report::state_of_waiting(task);
                    return Some(self.text_value(&state));
                }
                "state" => "runnable",
                _ => return None,
            }
        };
        Some(self.text_value(text))
    }
    /// The same of a thread.
    pub(super) fn thread_field(&mut self, handle: Value, name: &str) -> Option<Value> {
        let block = crate::thread::thread_of(handle);
        let text = match name {
            "id" => return Some(Value::small_int(block.id as i64)),
            "name" => match block.name() {
                Some(name) => name.to_string(),
                None => return Some(Value::NIL),
            },
            "state" => self.thread_state(block),
            _ => return None,
        };
        Some(self.text_value(&text))
    }
}
