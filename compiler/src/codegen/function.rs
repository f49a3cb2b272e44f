//! One function while its code is being made: words, constants, registers, handlers.
//!
//! Registers follow a stack: `top` is the next free one; variables lie below temporaries. Nothing is emitted where
//! control cannot come (`is_reachable`), so no code can fall off the end of a function.

use crate::ids::{IdMap, IdSet};
use std::collections::HashMap;

use super::hoist::Constant;
use crate::ast::Span;
use crate::resolve::{BindingId, Owner};
use heddle_bytecode::{
    CaptureSource, CodeSpan, Const, HandlerRange, MAX_REGISTERS, Op, Operand, ProtoCode, Word,
};

/// Where a variable is, seen from the running function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Register(u8),
    /// The register holds a cell.
    Cell(u8),
    Capture(u32),
    CaptureCell(u32),
    Global(u32),
    Var(u32),
}

/// Where the value of an expression goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dest {
    /// A register that nobody reads yet: it may hold parts of the value in between.
    Fresh(u8),
    /// The register of a variable, which the expression may read: only the final value may go there.
    Keep(u8),
    Discard,
    /// The function returns it.
    Return,
}

/// A jump whose target is not known yet; `NONE` where nothing was emitted.
pub(super) type Jumps = Vec<usize>;
const NONE: usize = usize::MAX;

/// A loop around the place.
pub(super) struct Loop {
    pub(super) dest: Dest,
    pub(super) breaks: Jumps,
    pub(super) continues: Jumps,
    /// The state of a generic `for`, which must be closed on leaving early.
    pub(super) iterator: Option<u8>,
    /// Where the code begins that closes it after an error.
    pub(super) start: usize,
    /// Where the code began that leaves the loop, as long as that is being made.
    pub(super) left_at: Option<usize>,
}

/// A `scope` around the place.
pub(super) struct Scope {
    /// The register with what stands for it.
    pub(super) handle: u8,
    /// How many loops are around it.
    pub(super) loops: usize,
    /// Where the code begins that its cleanup protects.
    pub(super) start: usize,
    /// Where the code began that leaves it, as long as that is being made.
    pub(super) left_at: Option<usize>,
}

/// Code that leaves a scope or a loop early: what throws there is thrown around it, so no handler in it (one whose code begins
/// at `inner` or later) protects it.
struct Gap {
    start: usize,
    end: usize,
    inner: usize,
}

/// The registers of a function that contains `defer`.
pub(super) struct Defers {
    pub(super) list: u8,
    /// The value to be returned, or the error on its way.
    pub(super) result: u8,
    /// To the code that runs what was deferred.
    pub(super) exits: Jumps,
    pub(super) start: usize,
}

/// From here on to the last that 16 bits can name, constants are kept for instructions that have no more room: a list of
/// tens of thousands of words must not take all of them.
const FIRST_KEPT: u32 = 0xe000;

/// A constant as a key: floats by their bits.
#[derive(PartialEq, Eq, Hash)]
enum ConstKey {
    Nil,
    Int(i64),
    Float(u64),
    Duration(i64),
    Str(Box<str>),
    Fn(u32),
    Proto(u32),
    Type(u32),
    Module(u32),
    Import(u32, Box<str>),
    Prelude(Box<str>),
    Names(Vec<u32>),
}

fn key_of(constant: &Const) -> Option<ConstKey> {
    Some(match constant {
        Const::Nil => ConstKey::Nil,
        Const::Int(value) => ConstKey::Int(*value),
        Const::Float(value) => ConstKey::Float(value.to_bits()),
        Const::Duration(value) => ConstKey::Duration(*value),
        Const::Str(text) => ConstKey::Str(text.clone()),
        Const::Fn(proto) => ConstKey::Fn(*proto),
        Const::Proto(proto) => ConstKey::Proto(*proto),
        Const::Type(index) => ConstKey::Type(*index),
        Const::Module(index) => ConstKey::Module(*index),
        Const::Import { module, name } => ConstKey::Import(*module, name.clone()),
        Const::Prelude(name) => ConstKey::Prelude(name.clone()),
        Const::Names(names) => ConstKey::Names(names.clone()),
        _ => return None,
    })
}

pub(super) struct Function {
    pub(super) proto: u32,
    pub(super) owner: Owner,
    pub(super) is_gen: bool,
    pub(super) code: Vec<u64>,
    consts: Vec<Const>,
    known_consts: HashMap<ConstKey, u32>,
    spans: Vec<(u32, CodeSpan)>,
    pub(super) handlers: Vec<HandlerRange>,
    /// Where the last stretch begins that a handler protects.
    protected_from: usize,
    pub(super) captures: Vec<CaptureSource>,
    pub(super) top: usize,
    registers: usize,
    pub(super) places: IdMap<BindingId, Place>,
    /// Local functions whose declaration has not been passed: reading them checks.
    pub(super) unset: IdSet<BindingId>,
    /// Constants that lie in registers for the time of a loop.
    pub(super) constants: HashMap<Constant, u8>,
    /// Registers that keep a global once it is loaded.
    pub(super) reserved: IdMap<BindingId, u8>,
    /// Those that are loaded on every way to the current place, oldest first.
    pub(super) loaded: Vec<BindingId>,
    pub(super) loops: Vec<Loop>,
    pub(super) scopes: Vec<Scope>,
    gaps: Vec<Gap>,
    pub(super) defers: Option<Defers>,
    pub(super) is_reachable: bool,
    /// The line that the code before this place counts; 0: that may be another.
    pub(super) counted_line: u32,
    /// More registers than a frame can have.
    pub(super) has_overflown: bool,
    /// More constants than certain instructions can name.
    pub(super) has_too_many_constants: bool,
    /// Places that are kept for these, and taken from the front.
    kept_constants: std::ops::Range<u32>,
}

impl Function {
    pub(super) fn new(proto: u32, owner: Owner, is_gen: bool) -> Function {
        Function {
            proto,
            owner,
            is_gen,
            code: Vec::new(),
            consts: Vec::new(),
            known_consts: HashMap::new(),
            spans: Vec::new(),
            handlers: Vec::new(),
            protected_from: usize::MAX,
            captures: Vec::new(),
            top: 0,
            registers: 0,
            places: IdMap::default(),
            unset: IdSet::default(),
            constants: HashMap::new(),
            reserved: IdMap::default(),
            loaded: Vec::new(),
            loops: Vec::new(),
            scopes: Vec::new(),
            gaps: Vec::new(),
            defers: None,
            is_reachable: true,
            counted_line: 0,
            has_overflown: false,
            has_too_many_constants: false,
            kept_constants: 0..0,
        }
    }

    /// Takes the next register.
    pub(super) fn alloc(&mut self) -> u8 {
        self.alloc_run(1)
    }

    /// Takes the next `count` registers and gives the first.
    pub(super) fn alloc_run(&mut self, count: usize) -> u8 {
        let first = self.top;
        self.top += count;
        self.registers = self.registers.max(self.top);
        if self.top > MAX_REGISTERS {
            self.has_overflown = true;
            self.top = first.min(MAX_REGISTERS - 1);
            return 0;
        }
        first as u8
    }

    pub(super) fn here(&self) -> usize {
        self.code.len()
    }
    /// As `here`: what comes now is protected by a handler.
    pub(super) fn begin_protected(&mut self) -> usize {
        self.protected_from = self.here();
        self.protected_from
    }
    /// Whether the next instruction is the first that a handler protects.
    pub(super) fn is_first_protected(&self) -> bool {
        self.protected_from == self.here()
    }

    /// Where a loop comes back to.
    pub(super) fn loop_top(&mut self) -> usize {
        self.counted_line = 0;
        self.here()
    }

    pub(super) fn emit(&mut self, span: Span, op: Op, a: u8, b: u8, c: u8, imm: i32) -> usize {
        self.emit_word(span, Word::new(op, a, b, c, imm), op)
    }

    /// Emits an instruction whose `b` and `c` are one number.
    pub(super) fn emit_pair(&mut self, span: Span, op: Op, a: u8, pair: u16, imm: i32) -> usize {
        self.emit_word(span, Word::with_pair(op, a, pair, imm), op)
    }

    fn emit_word(&mut self, span: Span, word: Word, op: Op) -> usize {
        if !self.is_reachable {
            return NONE;
        }
        let at = self.code.len();
        let place = CodeSpan {
            start: span.start,
            end: span.end,
        };
        if self.spans.last().is_none_or(|(_, last)| *last != place) {
            self.spans.push((at as u32, place));
        }
        self.code.push(word.0);
        self.code.extend(std::iter::repeat_n(0, op.cache_words()));
        if never_falls_through(op) {
            self.is_reachable = false;
            self.counted_line = 0;
        }
        at
    }

    /// Fills in the word behind an instruction.
    pub(super) fn set_second_word(&mut self, at: usize, word: u64) {
        if at != NONE {
            self.code[at + 1] = word;
        }
    }

    pub(super) fn jump(&mut self, span: Span) -> usize {
        self.emit(span, Op::Jump, 0, 0, 0, 0)
    }

    /// Makes a jump go to the next instruction.
    pub(super) fn patch(&mut self, at: usize) {
        if at == NONE {
            return;
        }
        let distance = self.code.len() - (at + 1);
        self.code[at] = Word(self.code[at]).with_imm(distance as i32).0;
        self.is_reachable = true;
        self.counted_line = 0;
    }

    pub(super) fn patch_all(&mut self, jumps: &[usize]) {
        for &jump in jumps {
            self.patch(jump);
        }
    }

    /// A jump back (`Loop`, `ForLoop`).
    pub(super) fn emit_back(&mut self, span: Span, op: Op, a: u8, target: usize) {
        let distance = target as i64 - (self.code.len() as i64 + 1);
        self.emit(span, op, a, 0, 0, distance as i32);
    }

    pub(super) fn constant(&mut self, constant: Const) -> i32 {
        let key = key_of(&constant);
        if let Some(key) = &key
            && let Some(&index) = self.known_consts.get(key)
        {
            return index as i32;
        }
        self.keep_constants();
        let index = self.consts.len() as u32;
        self.consts.push(constant);
        if let Some(key) = key {
            self.known_consts.insert(key, index);
        }
        index as i32
    }

    /// If the next constant would take the first of the places that are kept, they are made.
    fn keep_constants(&mut self) {
        if self.consts.len() == FIRST_KEPT as usize {
            self.kept_constants = FIRST_KEPT..u32::from(u16::MAX) + 1;
            let end = self.kept_constants.end as usize;
            self.consts.resize(end, Const::Nil);
        }
    }

    /// A constant whose index must fit 16 bits.
    pub(super) fn constant16(&mut self, constant: Const) -> u16 {
        if self.consts.len() < FIRST_KEPT as usize {
            return self.constant(constant) as u16;
        }
        let known = key_of(&constant).and_then(|key| self.known_consts.get(&key).copied());
        if let Some(known) = known.and_then(|index| u16::try_from(index).ok()) {
            return known;
        }
        self.keep_constants();
        let Some(index) = self.kept_constants.next() else {
            self.has_too_many_constants = true;
            return 0;
        };
        if let Some(key) = key_of(&constant) {
            self.known_consts.insert(key, index);
        }
        self.consts[index as usize] = constant;
        index as u16
    }

    /// Behind the jump that leaves scopes and loops: the code that follows lies in them again.
    pub(super) fn resume_scopes(&mut self) {
        let end = self.code.len();
        let scopes = self.scopes.iter_mut();
        let scopes = scopes.map(|scope| (&mut scope.left_at, scope.start));
        let loops = self.loops.iter_mut();
        let loops = loops.map(|inner| (&mut inner.left_at, inner.start));
        for (left_at, inner) in scopes.chain(loops) {
            if let Some(start) = left_at.take()
                && start < end
            {
                self.gaps.push(Gap { start, end, inner });
                self.protected_from = end;
            }
        }
    }

    /// Protects the code from `start` to `end`, except what leaves scopes and loops around it.
    pub(super) fn protect(
        &mut self,
        start: usize,
        end: usize,
        target: usize,
        reg: u8,
        is_cleanup: bool,
    ) {
        self.protect_from(start, end, target, reg, is_cleanup, 0);
    }

    /// Protects the body of a loop by what closes its iterator. That also protects the instruction that closes it where the loop is
    /// left: an error may come before anything was closed, and closing twice does nothing.
    pub(super) fn protect_loop(&mut self, start: usize, end: usize, target: usize, reg: u8) {
        self.protect_from(start, end, target, reg, true, 1);
    }

    /// `own`: how many words of what leaves this very scope or loop are protected.
    fn protect_from(
        &mut self,
        start: usize,
        end: usize,
        target: usize,
        reg: u8,
        is_cleanup: bool,
        own: usize,
    ) {
        // In the order of the code; where several are left at once, the gaps of the inner ones begin earlier and all end together.
        let mut next = start;
        let mut pieces = Vec::new();
        let mut gaps: Vec<&Gap> = self
            .gaps
            .iter()
            .filter(|gap| gap.inner <= start && start <= gap.start)
            .collect();
        gaps.sort_unstable_by_key(|gap| gap.start);
        for gap in gaps.into_iter().filter(|gap| gap.start < end) {
            let own = if gap.inner == start { own } else { 0 };
            pieces.push((next, gap.start + own));
            next = next.max(gap.end);
        }
        pieces.push((next, end));
        let pieces = pieces.into_iter().filter(|(start, end)| start < end);
        self.handlers
            .extend(pieces.map(|(start, end)| HandlerRange {
                start: start as u32,
                end: end as u32,
                target: target as u32,
                reg,
                target_end: target as u32,
                is_cleanup,
            }));
    }
    /// The code that the handlers with this target go to ends here.
    pub(super) fn end_handler(&mut self, target: usize) {
        let end = self.here() as u32;
        for handler in &mut self.handlers {
            if handler.target as usize == target {
                handler.target_end = end;
            }
        }
    }

    /// Hands out what is finished; the caller fills in what it knows of the declaration.
    pub(super) fn finish(mut self) -> ProtoCode {
        thread_jumps(&mut self.code);
        while self.drop_empty_jumps() {}
        ProtoCode {
            is_generator: self.is_gen,
            registers: self.registers.max(1) as u32,
            code: self.code,
            consts: self.consts,
            handlers: self.handlers,
            captures: self.captures,
            spans: self.spans,
            ..ProtoCode::default()
        }
    }

    /// Removes jumps to the next instruction; whether there were any.
    fn drop_empty_jumps(&mut self) -> bool {
        let is_empty = |word: u64| word == Word::new(Op::Jump, 0, 0, 0, 0).0;
        let starts = instruction_starts(&self.code);
        if !starts.iter().any(|&at| is_empty(self.code[at])) {
            return false;
        }
        // Where each word goes, the end of the code included.
        let mut moved = vec![0u32; self.code.len() + 1];
        let mut kept = Vec::with_capacity(self.code.len());
        let mut next_start = starts.iter().copied().peekable();
        for (at, &word) in self.code.iter().enumerate() {
            moved[at] = kept.len() as u32;
            let is_start = next_start.next_if_eq(&at).is_some();
            if !(is_start && is_empty(word)) {
                kept.push(word);
            }
        }
        moved[self.code.len()] = kept.len() as u32;
        for &at in &starts {
            let word = Word(self.code[at]);
            if has_jump(word) && !is_empty(word.0) {
                let target = (at as i64 + 1 + i64::from(word.imm())) as usize;
                let distance = i64::from(moved[target]) - i64::from(moved[at]) - 1;
                kept[moved[at] as usize] = word.with_imm(distance as i32).0;
            }
        }
        self.code = kept;
        for handler in &mut self.handlers {
            handler.start = moved[handler.start as usize];
            handler.end = moved[handler.end as usize];
            handler.target = moved[handler.target as usize];
            handler.target_end = moved[handler.target_end as usize];
        }
        self.handlers.retain(|handler| handler.start < handler.end);
        let mut spans: Vec<(u32, CodeSpan)> = Vec::with_capacity(self.spans.len());
        for &(word, span) in &self.spans {
            let word = moved[word as usize];
            spans.pop_if(|last| last.0 == word);
            spans.push((word, span));
        }
        spans.retain(|&(word, _)| (word as usize) < self.code.len());
        self.spans = spans;
        true
    }
}

fn instruction_starts(code: &[u64]) -> Vec<usize> {
    let mut starts = Vec::with_capacity(code.len());
    let mut at = 0;
    while at < code.len() {
        starts.push(at);
        let op = Word(code[at]).op().expect("emitted words are instructions");
        at += 1 + op.cache_words();
    }
    starts
}

fn has_jump(word: Word) -> bool {
    word.op()
        .is_some_and(|op| op.operands()[3] == Operand::Jump)
}

/// Whether control never comes to what stands behind such an instruction.
fn never_falls_through(op: Op) -> bool {
    matches!(
        op,
        Op::Jump
            | Op::Loop
            | Op::Return
            | Op::ReturnNil
            | Op::ReturnJump
            | Op::ReturnEnd
            | Op::GenReturn
            | Op::Throw
            | Op::Rethrow
            | Op::MatchFail
            | Op::AssertFail
    )
}

/// Jumps to jumps go to the end of the chain; a jump to a `Loop` or a return becomes one.
fn thread_jumps(code: &mut [u64]) {
    // Backwards, so that the second jump of a chain is final when the first looks at it.
    for &at in instruction_starts(code).iter().rev() {
        let word = Word(code[at]);
        if !has_jump(word) || word.imm() < 0 {
            continue;
        }
        let Some(&next) = code.get(at + 1 + word.imm() as usize) else {
            continue;
        };
        let next = Word(next);
        match (word.op(), next.op()) {
            (_, Some(Op::Jump)) => code[at] = word.with_imm(word.imm() + 1 + next.imm()).0,
            (Some(Op::Jump), Some(Op::Loop)) => {
                let distance = word.imm() + 1 + next.imm();
                // The head of that loop may itself lie ahead: the jump then enters it there.
                code[at] = match distance {
                    ..0 => Word::new(Op::Loop, 0, 0, 0, distance).0,
                    0.. => word.with_imm(distance).0,
                };
            }
            (Some(Op::Jump), Some(Op::Return | Op::ReturnNil | Op::GenReturn)) => code[at] = next.0,
            _ => {}
        }
    }
}
