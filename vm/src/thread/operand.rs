//! What the text of a script calls a value that an operation got, for messages: `config.servers`, a captured variable.
//!
//! The code does not say it outright: the last instruction that wrote the register does, by its place in the text. Where it is not certain which
//! instruction that was (the value of an `if`), and where the text is no short path, nothing is said.

use super::Thread;
use crate::bytecode::{CaptureSource, Op, Operand, Word};
use crate::interp::frame::{self, Frame};
use crate::module::{Link, Proto};
use crate::object::{Closure, Kind};
use crate::value::Value;

/// A longer text does not name a value, it describes one.
const MOST_CHARS: usize = 60;

/// The instructions of a function: word index, operation, first word.
fn instructions(proto: &Proto) -> impl Iterator<Item = (usize, Op, Word)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        if next >= proto.code_len() {
            return None;
        }
        let at = next;
        // SAFETY: inside the code, which is verified.
        let word = Word(unsafe { proto.code_start.add(at).read() });
        let op = word.op()?;
        next += 1 + op.cache_words();
        Some((at, op, word))
    })
}
fn writes(op: Op, word: Word, register: usize) -> bool {
    let [a, b, c, _] = op.operands();
    let fields = [(a, word.a()), (b, word.b()), (c, word.c())];
    fields.into_iter().any(|(operand, at)| match operand {
        Operand::Dst | Operand::Upd => at == register,
        Operand::Dst2 => at == register || at + 1 == register,
        _ => false,
    })
}
/// The text at a word of the code, if it is a path of names, fields and indices.
fn path_at(proto: &Proto, word: usize) -> Option<String> {
    // SAFETY: modules live as long as the engine.
    let module = unsafe { &*proto.module };
    let span = proto.span_at(word as u32);
    let text = module.source.get(span.start as usize..span.end as usize)?;
    let is_path = text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().count() <= MOST_CHARS
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "_.?[]\"'-".contains(c));
    is_path.then(|| text.to_string())
}

/// What the text calls the value that lies in this register of a frame when the instruction at word `now` runs.
fn text_of_register(proto: &Proto, now: usize, register: usize) -> Option<String> {
    let mut writer = None;
    for (at, op, word) in instructions(proto).take_while(|(at, ..)| *at < now) {
        if writes(op, word, register) {
            writer = Some(at);
        }
    }
    let writer = writer?;
    let mut jumps = instructions(proto).filter(|(_, op, _)| op.operands()[3] == Operand::Jump);
    let joins = jumps.any(|(at, _, word)| {
        let target = at as i64 + 1 + i64::from(word.imm());
        (writer as i64 + 1..=now as i64).contains(&target)
    });
    if joins {
        return None;
    }
    path_at(proto, writer)
}

/// What the function's own text calls one of its captures.
fn text_of_capture(proto: &Proto, capture: usize) -> Option<String> {
    for (at, op, word) in instructions(proto) {
        if op.operands()[3] == Operand::Capture && word.imm() as usize == capture {
            return path_at(proto, at)
                .filter(|text| text.chars().all(|c| c.is_alphanumeric() || c == '_'));
        }
    }
    // A function inside has it from this one.
    proto.links.values().find_map(|link| {
        let Link::Proto(inner) = link else {
            return None;
        };
        let number = inner
            .captures
            .iter()
            .position(|source| *source == CaptureSource::Capture(capture as u32))?;
        text_of_capture(inner, number)
    })
}

/// What the text calls a capture of a function.
pub(super) fn capture_text(function: Value, capture: usize) -> Option<String> {
    if !function.is_kind(Kind::Closure) {
        return None;
    }
    // SAFETY: its kind was tested; prototypes live as long as the engine.
    let proto = unsafe { &*(*function.as_object().cast::<Closure>()).proto() };
    text_of_capture(proto, capture)
}

impl Thread {
    /// What the text calls an argument of the call that runs.
    pub(super) fn argument_text(&self, value: Value) -> Option<String> {
        if self.base.is_null() {
            return None;
        }
        // SAFETY: the top frame's.
        let (proto, frame) = unsafe {
            let proto = frame::proto(self.base);
            let frame = Frame {
                proto,
                base: self.base,
                pc: self.pc,
            };
            (&*proto, frame)
        };
        if proto.is_stub() || proto.is_internal {
            return None;
        }
        let inside = frame.word() as usize;
        let (now, op, word) = instructions(proto)
            .take_while(|(at, ..)| *at <= inside)
            .last()?;
        let window = match op.operands() {
            [Operand::Window, ..] => word.a(),
            [_, Operand::Window, ..] => word.b(),
            _ => return None,
        };
        let arguments = window + 2..window + 2 + word.c();
        let mut registers = arguments.filter(|&register| self.reg(register) == value);
        text_of_register(proto, now, registers.next()?)
    }
}
