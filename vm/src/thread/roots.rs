//! What a task that stands still leads to directly: the values that its code may still use.
//!
//! A frame's registers are not cleared when it begins. So those of a task that waits may hold what was left in the run stack by its calls, or by other tasks that ran there, for as long as it
//! waits. The first collection after it was left lets go of that (`Roots::trim`): the analysis of its code says which registers it can neither have written nor read any more. What it has written
//! stays: a variable lives as long as its scope, as everybody expects of one that holds a connection or a subscriber. What is kept besides:
//!
//! - all of a frame of the VM's own stubs, and slots behind a frame's registers: arguments of a builtin, and what lies between two frames (a generator below its frame);
//! - all of the top frame of a task that waits in a native whose window is not that of the instruction (`flag::KEEPS_ALL`): with an argument put in front, or defaults behind;
//! - a task that is pinned, or has threadlets under way, or has not begun.

use super::Thread;
use super::liveness::{Liveness, Registers};
use crate::interp::frame::{self, Frame, Frames};
use crate::module::Proto;
use crate::shared::Message;
use crate::task::{Task, Wait, flag};
use crate::value::Value;
use std::collections::HashMap;

/// Instructions whose analysis is remembered, at most: 72 bytes each.
const MOST_INSTRUCTIONS: usize = 100_000;

/// Tasks in which more than their registers would have to be looked at.
const UNUSUAL: u16 = flag::IS_NEW | flag::IS_PINNED | flag::HAS_THREADLETS;

/// Which registers of a task are asked for.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// Those that its code may still read.
    Live,
    /// Those that its code may have written, too: its variables, whether it goes on using them or not.
    Kept,
}

/// Looks at tasks; remembers what it has learnt of their code.
#[derive(Default)]
pub(super) struct Roots {
    liveness: HashMap<*const Proto, Liveness>,
    instructions: usize,
    /// The last place, and what is live there: of many tasks most wait at the same.
    last: Option<(*const Proto, *const u64, Known)>,
}

/// Registers of a frame.
#[derive(Clone, Copy)]
struct Known {
    /// Its code may still read them.
    live: Registers,
    /// That, or its code may have written them.
    kept: Registers,
}

impl Roots {
    /// What is known of a frame's registers. It stands in the instruction in front of its `pc`; or at the one behind, between two, or about to run that one again when
    /// what had to come first is done (the initialiser of a variable). What either needs is kept.
    ///
    /// # Safety
    /// The frame and its code are whole; it is none of a stub.
    unsafe fn known(&mut self, frame: &Frame) -> Known {
        if let Some((proto, pc, known)) = self.last
            && (proto, pc) == (frame.proto, frame.pc)
        {
            return known;
        }
        if self.instructions > MOST_INSTRUCTIONS && !self.liveness.contains_key(&frame.proto) {
            self.liveness.clear();
            self.instructions = 0;
        }
        // SAFETY: promised by the caller.
        let proto = unsafe { &*frame.proto };
        let instructions = &mut self.instructions;
        let liveness = self.liveness.entry(frame.proto).or_insert_with(|| {
            let liveness = Liveness::of(proto);
            *instructions += liveness.len();
            liveness
        });
        let word = frame.word() as usize;
        // SAFETY: as above: it points into the code, or just behind it.
        let next = unsafe { frame.pc.offset_from(proto.code_start) } as usize;
        let mut live = liveness.within(word);
        live.union(liveness.within(next));
        let mut written = liveness.written(word);
        written.union(liveness.written(next));
        written.union(live);
        let known = Known {
            live,
            kept: written,
        };
        self.last = Some((frame.proto, frame.pc, known));
        known
    }

    /// The values of a task: functions of its frames, registers of these, what it waits with, its locks, `Scoped` values and messages. `machine`: of the carrier
    /// that looks.
    ///
    /// # Safety
    /// The task's thread stands still, or is mounted on the machine.
    pub(super) unsafe fn of(
        &mut self,
        machine: &Thread,
        task: *mut Task,
        which: Which,
    ) -> Vec<Value> {
        let mut values = Vec::new();
        // SAFETY: promised by the caller.
        unsafe {
            self.registers(machine, task, which, &mut values);
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
    unsafe fn registers(
        &mut self,
        machine: &Thread,
        task: *mut Task,
        which: Which,
        values: &mut Vec<Value>,
    ) {
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
            let extra = if task == machine.current {
                0
            } else {
                (*task).live as usize
            };
            let mut above: Option<*mut Value> = None;
            for frame in Frames::new(base, pc) {
                values.push(*frame.base.sub(2));
                let count = match above {
                    // What lies above the callee's closure belongs to the callee.
                    Some(callee) => callee.sub(2).offset_from(frame.base) as usize,
                    None => ((*frame.proto).registers as usize).max(extra),
                };
                let all = (0..count).map(|i| (i, *frame.base.add(i)));
                if (*frame.proto).is_stub() {
                    values.extend(all.map(|(_, value)| value));
                } else {
                    let known = self.known(&frame);
                    let wanted = match which {
                        Which::Live => known.live,
                        Which::Kept => known.kept,
                    };
                    values.extend(all.filter(|(i, _)| wanted.has(*i)).map(|(_, value)| value));
                }
                above = Some(frame.base);
            }
        }
    }

    /// Clears the registers of a task in which lies what others have left, in the frames that have run since a collection saw them, or (`is_whole`) in all. See the head of the file.
    ///
    /// # Safety
    /// The task is one of the mounted thread, and not the one that runs; no collection is under way.
    pub(super) unsafe fn trim(&mut self, task: *mut Task, is_whole: bool) {
        // SAFETY: promised by the caller. Of one that waits, wakers touch other fields.
        unsafe {
            let (base, flags) = ((*task).base(), (*task).flags);
            if base.is_null() || flags & UNUSUAL != 0 {
                return;
            }
            let keeps_top = (*task).wait != Wait::None && flags & flag::KEEPS_ALL != 0;
            self.trim_frames(base, (*task).pc, keeps_top, is_whole);
        }
    }
    /// The same of the frames of a stack. `keeps_top`: not of the top one, of which it is not known what it still needs.
    ///
    /// # Safety
    /// The stack is whole; no collection is under way.
    pub(super) unsafe fn trim_frames(
        &mut self,
        base: *mut Value,
        pc: *const u64,
        mut keeps_top: bool,
        is_whole: bool,
    ) {
        let mut above: Option<*mut Value> = None;
        // SAFETY: promised by the caller.
        unsafe {
            for frame in Frames::new(base, pc) {
                let registers = (*frame.proto).registers as usize;
                let count = match above {
                    // Below a generator's frame lies the generator.
                    Some(callee) => {
                        let first = callee.sub(frame::GENERATOR_BELOW);
                        first.offset_from(frame.base).max(0) as usize
                    }
                    None => registers,
                };
                let keeps_all = std::mem::take(&mut keeps_top) || (*frame.proto).is_stub();
                if !keeps_all {
                    let kept = self.known(&frame).kept;
                    for i in 0..count.min(registers) {
                        if !kept.has(i) {
                            *frame.base.add(i) = Value::from_bits(0);
                        }
                    }
                }
                if !is_whole && frame::ret(frame.base) & frame::SEEN != 0 {
                    break;
                }
                above = Some(frame.base);
            }
        }
    }
}
