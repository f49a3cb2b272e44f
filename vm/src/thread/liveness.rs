//! Which registers of a frame its code may still read, and which it may have written. In others lies what calls that are over have left there, or another task that ran in the same stack: a
//! task that waits must not keep that alive, and who looks for leaks must not be misled by it (see `roots`).
//!
//! A backward analysis over the code of one function, by the operands that the table of instructions tells. A handler is a successor of all
//! instructions that it protects, before they have written anything.

use crate::bytecode::{CaptureSource, Op, Operand, Word};
use crate::module::{Link, Proto};
use std::sync::atomic::{AtomicU64, Ordering};

/// Registers, a bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Registers([u64; 4]);

impl Registers {
    fn add(&mut self, register: usize) {
        self.0[register / 64 % 4] |= 1 << (register % 64);
    }
    fn add_run(&mut self, first: usize, count: usize) {
        (first..first + count).for_each(|register| self.add(register));
    }
    fn remove(&mut self, register: usize) {
        self.0[register / 64 % 4] &= !(1 << (register % 64));
    }
    fn remove_run(&mut self, first: usize, count: usize) {
        (first..first + count).for_each(|register| self.remove(register));
    }
    pub(super) fn union(&mut self, other: Registers) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word |= other;
        }
    }
    pub(super) fn has(&self, register: usize) -> bool {
        register < 256 && self.0[register / 64] >> (register % 64) & 1 == 1
    }
}

struct Instruction {
    at: usize,
    op: Op,
    word: Word,
}

/// What may be read at or behind each instruction of a function, and what its code may have written before.
pub(super) struct Liveness {
    instructions: Vec<Instruction>,
    /// Of each instruction: the handlers that protect it, by number.
    protected_by: Vec<Vec<u32>>,
    before: Vec<Registers>,
    written: Vec<Registers>,
}

/// Whether what follows in the code never runs right behind this one.
fn never_falls_through(op: Op) -> bool {
    matches!(
        op,
        Op::Jump
            | Op::Loop
            | Op::Return
            | Op::ReturnNil
            | Op::ReturnEnd
            | Op::GenReturn
            | Op::Throw
            | Op::Rethrow
            | Op::MatchFail
            | Op::Exit
    )
}

/// Adds the registers that an instruction writes.
fn add_written(written: &mut Registers, instruction: &Instruction) {
    let &Instruction { op, word, .. } = instruction;
    let [a, b, c, _] = op.operands();
    for (operand, register) in [(a, word.a()), (b, word.b()), (c, word.c())] {
        match operand {
            // These write a run.
            Operand::Dst if op == Op::LoadNil => written.add_run(register, 1 + word.b()),
            Operand::Upd if matches!(op, Op::UnpackFields | Op::UnpackAllFields) => {
                written.add_run(register, word.c().max(1));
            }
            Operand::Dst if op == Op::Unpack => written.add_run(register, word.c()),
            Operand::Dst | Operand::Upd => written.add(register),
            Operand::Dst2 | Operand::Loop2 => written.add_run(register, 2),
            Operand::Loop3 => written.add_run(register, 3),
            _ => {}
        }
    }
}
/// The registers that are written before a function's code begins: its parameters, and in a generator the last one.
fn written_at_begin(proto: &Proto) -> Registers {
    let mut written = Registers::default();
    written.add_run(0, proto.params as usize + proto.has_rest as usize);
    if proto.is_generator {
        written.add(proto.registers as usize - 1);
    }
    written
}
/// The registers that a function's own code ever writes: in others lies what calls have left.
pub(super) fn written(proto: &Proto) -> Registers {
    let mut written = written_at_begin(proto);
    for instruction in &Liveness::instructions_of(proto) {
        add_written(&mut written, instruction);
    }
    for handler in &proto.handlers {
        written.add(usize::from(handler.reg));
    }
    written
}

impl Liveness {
    fn instructions_of(proto: &Proto) -> Vec<Instruction> {
        let mut instructions = Vec::new();
        let mut at = 0;
        while at < proto.code_len() {
            // SAFETY: inside the code, which is verified. Other carriers may write an instruction anew meanwhile, which changes neither its length nor its operands.
            let word = unsafe { &*proto.code_start.add(at).cast::<AtomicU64>() };
            let word = Word(word.load(Ordering::Relaxed));
            let Some(op) = word.op() else { break };
            instructions.push(Instruction { at, op, word });
            at += 1 + op.cache_words();
        }
        instructions
    }
    pub(super) fn of(proto: &Proto) -> Liveness {
        let instructions = Liveness::instructions_of(proto);
        let before = vec![Registers::default(); instructions.len()];
        let mut protected_by = vec![Vec::new(); instructions.len()];
        for (number, handler) in proto.handlers.iter().enumerate() {
            let from = instructions.partition_point(|i| i.at < handler.start as usize);
            let to = instructions.partition_point(|i| i.at < handler.end as usize);
            for handlers in protected_by.get_mut(from..to).unwrap_or_default() {
                handlers.push(number as u32);
            }
        }
        let mut liveness = Liveness {
            instructions,
            protected_by,
            written: before.clone(),
            before,
        };
        while liveness.pass(proto) {}
        if let Some(first) = liveness.written.first_mut() {
            *first = written_at_begin(proto);
        }
        while liveness.pass_forward(proto) {}
        liveness.protected_by = Vec::new();
        liveness
    }
    /// What the frame's own code may have written when it is in the instruction that the word is part of. In other registers lies what calls, or other tasks, have left.
    pub(super) fn written(&self, word: usize) -> Registers {
        let Some(index) = self.index_of(word) else {
            return Registers([u64::MAX; 4]);
        };
        let mut written = self.written[index];
        add_written(&mut written, &self.instructions[index]);
        written
    }
    /// Whether something changed.
    fn pass_forward(&mut self, proto: &Proto) -> bool {
        let mut has_changed = false;
        for index in 0..self.instructions.len() {
            let Instruction { at, op, word } = self.instructions[index];
            let mut after = self.written[index];
            add_written(&mut after, &self.instructions[index]);
            let next = (!never_falls_through(op)).then_some(index + 1);
            let target = (op.operands()[3] == Operand::Jump)
                .then(|| self.index_of((at as i64 + 1 + i64::from(word.imm())) as usize));
            for to in next.into_iter().chain(target.flatten()) {
                has_changed |= self.flows_to(to, after);
            }
            for number in 0..self.protected_by[index].len() {
                let handler = &proto.handlers[self.protected_by[index][number] as usize];
                let mut caught = after;
                caught.add(usize::from(handler.reg));
                if let Some(to) = self.index_of(handler.target as usize) {
                    has_changed |= self.flows_to(to, caught);
                }
            }
        }
        has_changed
    }
    fn flows_to(&mut self, index: usize, written: Registers) -> bool {
        let Some(place) = self.written.get_mut(index) else {
            return false;
        };
        let before = *place;
        place.union(written);
        *place != before
    }
    fn index_of(&self, word: usize) -> Option<usize> {
        let found = self.instructions.partition_point(|i| i.at <= word);
        found.checked_sub(1)
    }
    /// What may be read by the rest of the instruction that the word is part of, for a frame that has stopped in it, or behind it.
    pub(super) fn within(&self, word: usize) -> Registers {
        let mut live = self.before(word);
        // It has written some of these, and writes the others when what it has called returns.
        if let Some(index) = self.index_of(word)
            && let Instruction {
                op: Op::IterNew,
                word,
                ..
            } = self.instructions[index]
        {
            live.add_run(word.a(), 3);
        }
        live
    }
    /// How many instructions were looked at.
    pub(super) fn len(&self) -> usize {
        self.instructions.len()
    }
    /// What may be read at or behind the instruction that the word is part of.
    fn before(&self, word: usize) -> Registers {
        self.index_of(word)
            .map_or(Registers([u64::MAX; 4]), |index| self.before[index])
    }
    /// Whether something changed.
    fn pass(&mut self, proto: &Proto) -> bool {
        let mut has_changed = false;
        for index in (0..self.instructions.len()).rev() {
            let live = self.before_one(proto, index);
            has_changed |= live != self.before[index];
            self.before[index] = live;
        }
        has_changed
    }
    fn before_one(&self, proto: &Proto, index: usize) -> Registers {
        let Instruction { at, op, word } = self.instructions[index];
        let [a, b, c, imm] = op.operands();
        let fields = [(a, word.a()), (b, word.b()), (c, word.c())];
        let mut live = Registers::default();
        if !never_falls_through(op)
            && let Some(next) = self.before.get(index + 1)
        {
            live.union(*next);
        }
        if imm == Operand::Jump {
            let target = (at as i64 + 1 + i64::from(word.imm())) as usize;
            live.union(self.before(target));
        }
        for (operand, register) in fields {
            match operand {
                Operand::Dst => live.remove(register),
                Operand::Dst2 if op != Op::ForNext2 => live.remove_run(register, 2),
                Operand::Loop3 if op == Op::IterNew => live.remove_run(register, 3),
                _ => {}
            }
        }
        for (operand, register) in fields {
            match operand {
                Operand::Src | Operand::Upd => live.add(register),
                Operand::Window => {
                    // What is called; the other calls put it there themselves. Behind it is room for the return word.
                    if matches!(op, Op::Call | Op::CallNamed | Op::Spawn | Op::Threadlet) {
                        live.add(register);
                    }
                    // One more: the name of what is started.
                    live.add_run(register + 2, word.c() + (op == Op::Spawn) as usize);
                }
                Operand::Run => live.add_run(register, word.c()),
                Operand::Loop3 if op == Op::IterNew => {}
                Operand::Loop3 => live.add_run(register, 3),
                Operand::Loop2 => live.add_run(register, 2),
                _ => {}
            }
        }
        if op == Op::Yield {
            live.add_run(0, word.c());
        }
        if op == Op::Closure
            && let Some(Link::Proto(made)) = proto.links.get(&(word.imm() as u32))
        {
            for source in &made.captures {
                if let CaptureSource::Register(register) = source {
                    live.add(usize::from(*register));
                }
            }
        }
        for &number in &self.protected_by[index] {
            let handler = &proto.handlers[number as usize];
            let mut inside = self.before(handler.target as usize);
            inside.remove(usize::from(handler.reg));
            live.union(inside);
        }
        live
    }
}
