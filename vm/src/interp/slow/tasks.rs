//! Tasks: started, left for others, ended; what a handle of one says.

use super::Done;
use crate::bytecode::Word;
use crate::native::Trap;
use crate::task::TaskState;
use crate::thread::Thread;
use crate::value::Value;

pub(crate) fn Spawn(t: &mut Thread, w: Word) -> Done {
    t.poll();
    t.charge_call()?;
    let (kind, copied) = (w.imm() as u32 & 3, w.imm() as u32 >> 2);
    let name = t.reg(w.a() + 2 + w.c());
    let handle = t.start(kind, w.a(), w.c(), name, copied)?;
    t.set_reg(w.b(), handle);
    Ok(())
}
pub(crate) fn TaskYield(t: &mut Thread, w: Word) -> Done {
    t.set_reg(w.a(), Value::NIL);
    t.yielded = true;
    Err(Trap::Suspend)
}
pub(crate) fn Exit(t: &mut Thread, w: Word) -> Done {
    t.result = t.reg(w.a());
    t.returned = true;
    Err(Trap::Exit)
}

impl Thread {
    /// `id`, `name` (nil if it has none) and `state` of a task.
    pub(super) fn task_field(&mut self, handle: Value, name: &str) -> Option<Value> {
        // SAFETY: the caller tested its kind.
        let id = unsafe { (*handle.as_object().cast::<crate::object::TaskObject>()).id };
        let task = self.tasks.get(&id);
        let text = match name {
            "id" => return Some(Value::small_int(id as i64)),
            "name" => match task.and_then(|t| t.name.clone()) {
                Some(name) => name,
                None => return Some(Value::NIL),
            },
            "state" => match task.map(|t| t.state) {
                Some(TaskState::Ready) => "ready",
                Some(TaskState::Running) => "running",
                Some(TaskState::Waiting) => "waiting",
                Some(TaskState::Failed) => "failed",
                Some(TaskState::Ended) | None => "ended",
            }
            .to_string(),
            _ => return None,
        };
        Some(self.text_value(&text))
    }
}
