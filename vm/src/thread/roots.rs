//! What a task that stands still leads to directly: the values that its code may still use.

use super::Thread;
use super::liveness::Liveness;
use crate::interp::frame::Frames;
use crate::module::Proto;
use crate::shared::Message;
use crate::task::{Task, Wait};
use crate::value::Value;
use std::collections::HashMap;

/// Looks at tasks; remembers what it has learnt of their code.
#[derive(Default)]
pub(super) struct Roots {
    liveness: HashMap<*const Proto, Liveness>,
}

impl Roots {
    /// The values of a task: functions of its frames, registers that these may still read, what it waits with, its locks, `Scoped` values and messages. `machine`: of the carrier
    /// that looks.
    ///
    /// # Safety
    /// The task's thread stands still, or is mounted on the machine.
    pub(super) unsafe fn of(&mut self, machine: &Thread, task: *mut Task) -> Vec<Value> {
        let mut values = Vec::new();
        // SAFETY: promised by the caller.
        unsafe {
            self.registers(machine, task, &mut values);
            if let Some(more) = (*task).more_if_any() {
                values.push(more.wait_value);
                values.extend(more.locks.iter().map(Message::inside));
                values.extend(more.scoped.messages().into_iter().map(Message::inside));
                values.extend(more.arms.iter().map(|arm| arm.waiter.message_inside()));
            }
            values.push((*task).waiter.message_inside());
        }
        values
    }
    /// # Safety
    /// As for `of`.
    unsafe fn registers(&mut self, machine: &Thread, task: *mut Task, values: &mut Vec<Value>) {
        // SAFETY: promised by the caller; frames, prototypes and code are whole.
        unsafe {
            let (base, pc) = if task == machine.current {
                (machine.base, machine.pc)
            } else {
                ((*task).base(), (*task).pc)
            };
            if base.is_null() {
                return;
            }
            // One that was left between two instructions stands at the next one; else at the call that waits.
            let is_between = task != machine.current && (*task).wait == Wait::None;
            let extra = if task == machine.current {
                0
            } else {
                (*task).live as usize
            };
            let mut above: Option<*mut Value> = None;
            for frame in Frames::new(base, pc) {
                let proto = &*frame.proto;
                values.push(*frame.base.sub(2));
                let count = match above {
                    // What lies above the callee's closure belongs to the callee.
                    Some(callee) => callee.sub(2).offset_from(frame.base) as usize,
                    None => (proto.registers as usize).max(extra),
                };
                if proto.is_stub() {
                    values.extend((0..count).map(|i| *frame.base.add(i)));
                } else {
                    let liveness = self.liveness.entry(frame.proto);
                    let liveness = liveness.or_insert_with(|| Liveness::of(proto));
                    let word = frame.word() as usize;
                    let here = liveness.before(word);
                    let next = (is_between && above.is_none())
                        .then(|| liveness.before(frame.pc.offset_from(proto.code_start) as usize));
                    let is_live = |i| here.has(i) || next.is_some_and(|next| next.has(i));
                    values.extend(
                        (0..count)
                            .filter(|&i| is_live(i))
                            .map(|i| *frame.base.add(i)),
                    );
                }
                above = Some(frame.base);
            }
        }
    }
}
