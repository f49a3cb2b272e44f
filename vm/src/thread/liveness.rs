//! Which registers of a frame its code may still read. Collections keep all registers of a frame alive; who looks for leaks must not be misled
//! by what calls that are over have left in them.
//!
//! A backward analysis over the code of one function, by the operands that the table of instructions tells. A handler is a successor of all
//! instructions that it protects, before they have written anything.

use crate::bytecode::{CaptureSource, Op, Operand, Word};
use crate::module::{Link, Proto};

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
    fn union(&mut self, other: Registers) {
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

/// What may be read at or behind each instruction of a function.
pub(super) struct Liveness {
    instructions: Vec<Instruction>,
    before: Vec<Registers>,
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

/// The registers that a function's own code ever writes: in others lies what calls have left.
pub(super) fn written(proto: &Proto) -> Registers {
    let mut written = Registers::default();
    written.add_run(0, proto.params as usize + proto.has_rest as usize);
    for Instruction { op, word, .. } in Liveness::instructions_of(proto) {
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
            // SAFETY: inside the code, which is verified.
            let word = Word(unsafe { proto.code_start.add(at).read() });
            let Some(op) = word.op() else { break };
            instructions.push(Instruction { at, op, word });
            at += 1 + op.cache_words();
        }
        instructions
    }
    pub(super) fn of(proto: &Proto) -> Liveness {
        let instructions = Liveness::instructions_of(proto);
        let before = vec![Registers::default(); instructions.len()];
        let mut liveness = Liveness {
            instructions,
            before,
        };
        while liveness.pass(proto) {}
        liveness
    }
    fn index_of(&self, word: usize) -> Option<usize> {
        let found = self.instructions.partition_point(|i| i.at <= word);
        found.checked_sub(1)
    }
    /// What may be read at or behind the instruction that the word is part of.
    pub(super) fn before(&self, word: usize) -> Registers {
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
            if operand == Operand::Dst {
                live.remove(register);
            }
        }
        for (operand, register) in fields {
            match operand {
                Operand::Src | Operand::Upd => live.add(register),
                Operand::Window => {
                    // What is called; the other calls put it there themselves. Behind it is room for the return word.
                    if matches!(op, Op::Call | Op::CallNamed | Op::Spawn) {
                        live.add(register);
                    }
                    // One more: the name of what is started.
                    live.add_run(register + 2, word.c() + (op == Op::Spawn) as usize);
                }
                Operand::Run => live.add_run(register, word.c()),
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
        for handler in &proto.handlers {
            if (handler.start as usize..handler.end as usize).contains(&at) {
                let mut inside = self.before(handler.target as usize);
                inside.remove(usize::from(handler.reg));
                live.union(inside);
            }
        }
        live
    }
}
