//! Captures that are used as cells must be cells: `GetCaptureCell` does not look.
//!
//! First: which captures of each prototype are used as cells, by itself or by a function that takes them on. Then, for every
//! function that makes such closures: a forward analysis of which registers hold a cell for certain at each `Closure`.

use super::{CaptureSource, Const, ModuleCode, Op, Operand, ProtoCode, Word};

/// Proto, word, message.
type Failure = (usize, Option<usize>, String);

pub(super) fn check(module: &ModuleCode) -> Result<(), Failure> {
    let needed = needed_cells(module)?;
    for (index, proto) in module.protos.iter().enumerate() {
        closures(module, &needed, index, proto)?;
    }
    Ok(())
}

/// The prototype that a `Closure` instruction makes.
fn made(proto: &ProtoCode, word: Word) -> Option<usize> {
    match proto.consts.get(word.imm() as usize) {
        Some(Const::Proto(made)) => Some(*made as usize),
        _ => None,
    }
}

fn instructions(proto: &ProtoCode) -> impl Iterator<Item = (usize, Op, Word)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let word = Word(*proto.code.get(at)?);
        let op = word.op()?;
        let here = at;
        at += 1 + op.cache_words();
        Some((here, op, word))
    })
}

/// By prototype and capture: whether it must be a cell.
fn needed_cells(module: &ModuleCode) -> Result<Vec<Vec<bool>>, Failure> {
    let mut needed: Vec<Vec<bool>> = module
        .protos
        .iter()
        .map(|proto| vec![false; proto.captures.len()])
        .collect();
    // Who makes whom, with the word that does.
    let mut makers: Vec<(usize, usize)> = Vec::new();
    for (index, proto) in module.protos.iter().enumerate() {
        for (_, op, word) in instructions(proto) {
            match op {
                Op::GetCaptureCell | Op::SetCaptureCell => {
                    needed[index][word.imm() as usize] = true
                }
                Op::Closure => makers.extend(made(proto, word).map(|made| (index, made))),
                _ => {}
            }
        }
    }
    for (index, inner) in makers.iter().copied() {
        for source in &module.protos[inner].captures {
            let fits = match source {
                CaptureSource::Register(register) => {
                    u32::from(*register) < module.protos[index].registers
                }
                CaptureSource::Capture(capture) => {
                    (*capture as usize) < module.protos[index].captures.len()
                }
            };
            if !fits {
                return Err((
                    index,
                    None,
                    format!("the closure of {inner} captures what is not there"),
                ));
            }
        }
    }
    loop {
        let mut has_changed = false;
        for &(index, inner) in &makers {
            for (position, source) in module.protos[inner].captures.iter().enumerate() {
                if let CaptureSource::Capture(capture) = source
                    && needed[inner][position]
                    && !needed[index][*capture as usize]
                {
                    needed[index][*capture as usize] = true;
                    has_changed = true;
                }
            }
        }
        if !has_changed {
            return Ok(needed);
        }
    }
}

/// A set of registers.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Registers([u64; 4]);

impl Registers {
    const NONE: Registers = Registers([0; 4]);

    fn has(&self, register: usize) -> bool {
        self.0[register / 64] >> (register % 64) & 1 == 1
    }
    fn set(&mut self, register: usize, is_in: bool) {
        let bit = 1 << (register % 64);
        if is_in {
            self.0[register / 64] |= bit;
        } else {
            self.0[register / 64] &= !bit;
        }
    }
    fn clear_from(&mut self, first: usize) {
        for register in first..256 {
            self.set(register, false);
        }
    }
    /// Keeps what both have; whether anything was dropped.
    fn meet(&mut self, other: Registers) -> bool {
        let before = *self;
        for (mine, others) in self.0.iter_mut().zip(other.0) {
            *mine &= others;
        }
        *self != before
    }
}

fn closures(
    module: &ModuleCode,
    needed: &[Vec<bool>],
    index: usize,
    proto: &ProtoCode,
) -> Result<(), Failure> {
    let needs = |word: Word| {
        made(proto, word).into_iter().flat_map(|inner| {
            let sources = module.protos[inner].captures.iter().zip(&needed[inner]);
            sources
                .filter(|(_, needed)| **needed)
                .filter_map(|(source, _)| match source {
                    CaptureSource::Register(register) => Some(usize::from(*register)),
                    CaptureSource::Capture(_) => None,
                })
        })
    };
    let makes_any =
        instructions(proto).any(|(_, op, word)| op == Op::Closure && needs(word).next().is_some());
    if !makes_any {
        return Ok(());
    }
    let before = cells_before(proto);
    for (at, op, word) in instructions(proto) {
        if op != Op::Closure {
            continue;
        }
        // Code that is never reached has no state.
        let Some(cells) = before[at] else { continue };
        for register in needs(word) {
            if !cells.has(register) {
                let message = format!("register {register} is captured as a cell and may be none");
                return Err((index, Some(at), message));
            }
        }
    }
    Ok(())
}

/// Which registers hold cells for certain, before each instruction.
fn cells_before(proto: &ProtoCode) -> Vec<Option<Registers>> {
    let mut before: Vec<Option<Registers>> = vec![None; proto.code.len()];
    let mut pending = vec![(0, Registers::NONE)];
    while let Some((at, cells)) = pending.pop() {
        let has_changed = match &mut before[at] {
            Some(known) => known.meet(cells),
            state @ None => {
                *state = Some(cells);
                true
            }
        };
        let Some(cells) = before[at].filter(|_| has_changed) else {
            continue;
        };
        let word = Word(proto.code[at]);
        let Some(op) = word.op() else { continue };
        let after = step(op, word, cells);
        for handler in &proto.handlers {
            if (handler.start as usize..handler.end as usize).contains(&at) {
                // The instruction may have thrown before or after it wrote.
                let mut thrown = cells;
                thrown.meet(after);
                thrown.set(usize::from(handler.reg), false);
                pending.push((handler.target as usize, thrown));
            }
        }
        if op.operands()[3] == Operand::Jump {
            pending.push(((at as i64 + 1 + i64::from(word.imm())) as usize, after));
        }
        if !super::never_falls_through(op) {
            pending.push((at + 1 + op.cache_words(), after));
        }
    }
    before
}

/// What an instruction does to the registers.
fn step(op: Op, word: Word, before: Registers) -> Registers {
    let mut cells = before;
    let [a, b, c, _] = op.operands();
    for (operand, register) in [(a, word.a()), (b, word.b()), (c, word.c())] {
        match operand {
            Operand::Dst | Operand::Upd => cells.set(register, false),
            Operand::Dst2 | Operand::Loop2 => {
                cells.set(register, false);
                cells.set(register + 1, false);
            }
            Operand::Loop3 => {
                (register..register + 3).for_each(|register| cells.set(register, false))
            }
            // What is called runs in the registers from the window on.
            Operand::Window => cells.clear_from(register),
            _ => {}
        }
    }
    match op {
        Op::NewCell => cells.set(word.a(), true),
        Op::Move => cells.set(word.a(), before.has(word.b())),
        Op::LoadNil => {
            (word.a()..=word.a() + word.b()).for_each(|register| cells.set(register, false));
        }
        Op::Unpack | Op::UnpackFields | Op::UnpackAllFields => {
            (word.b()..word.b() + word.c()).for_each(|register| cells.set(register, false));
        }
        Op::Yield => cells.clear_from(word.c()),
        _ => {}
    }
    cells
}
