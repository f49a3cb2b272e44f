//! What the text of a script calls a value that an operation got, for messages: `config.servers`, a captured variable.
//!
//! The code does not say it outright: the last instruction that wrote the register does, by its place in the text. Where it is not certain which
//! instruction that was (the value of an `if`), and where the text is no short path, nothing is said.

use super::{Thread, expression};
use crate::bytecode::{CaptureSource, Op, Operand, Word};
use crate::interp::frame::{self, Frame};
use crate::module::{Link, Proto};
use crate::native::Trap;
use crate::object::{Closure, Kind};
use crate::ops::OpFail;
use crate::types::ErrorKind;
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
    is_path(text).then(|| text.to_string())
}
fn is_path(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().count() <= MOST_CHARS
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "_.?[]\"'-".contains(c))
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

// What an operation of the running function got, by the operation's own place in the text. Made when an error is, never before.

impl Thread {
    /// The text of the operation that runs, if it is one of a script.
    fn running_text(&self) -> Option<&'static str> {
        if self.base.is_null() {
            return None;
        }
        // SAFETY: the top frame's; prototypes and modules live as long as the engine.
        unsafe {
            let proto = &*frame::proto(self.base);
            if proto.is_stub() || proto.is_internal {
                return None;
            }
            let top = Frame {
                proto,
                base: self.base,
                pc: self.pc,
            };
            let span = proto.span_at(top.word());
            let source = &(*proto.module).source;
            expression::whole(source, span.start as usize, span.end as usize)
        }
    }
    /// `x` for the value of this text; nothing for literals and whatever is too long to be a name.
    fn quoted(text: &str) -> Option<String> {
        let mut line = String::new();
        for part in text.lines().map(str::trim) {
            if !line.is_empty() && !part.starts_with(['.', '?']) {
                line.push(' ');
            }
            line.push_str(part);
        }
        let line = expression::without_brackets(&line);
        let is_literal = line.starts_with(|c: char| c.is_ascii_digit() || "\"'[{|-~".contains(c))
            || ["nil", "true", "false"].contains(&line)
            || ["r'", "b\"", "b'"]
                .iter()
                .any(|start| line.starts_with(start));
        let is_short = !line.is_empty() && line.chars().count() <= MOST_CHARS;
        (is_short && !is_literal).then(|| format!("`{line}`"))
    }
    /// `` `x` is 5``.
    fn told(&mut self, text: &str, value: Value) -> Option<String> {
        let name = Thread::quoted(text)?;
        Some(format!("{name} is {}", self.repr_short(value)))
    }
    /// The same behind a colon, to be appended to a message.
    fn note(&mut self, text: Option<&str>, value: Value) -> String {
        let told = text.and_then(|text| self.told(text, value));
        told.map(|told| format!(": {told}")).unwrap_or_default()
    }

    /// `` `user` is nil, so it ``; nothing if the text has no short name for what is nil.
    fn nil_note(text: Option<&str>) -> Option<String> {
        let name = Thread::quoted(text?)?;
        Some(format!("{name} is nil, so"))
    }
    /// A field or method that nil does not have.
    pub(crate) fn nil_has_no(&self, name: &str, is_call: bool) -> String {
        let what = if is_call { "method" } else { "field" };
        match Thread::nil_note(self.object_text(name)) {
            Some(note) => format!("{note} it has no {what} `{name}`"),
            None => format!("nil has no {what} '{name}'"),
        }
    }
    /// A field of nil that was to be assigned.
    pub(crate) fn nil_takes_no(&self, name: &str) -> String {
        match Thread::nil_note(self.object_text(name)) {
            Some(note) => format!("{note} its field `{name}` cannot be assigned"),
            None => format!("cannot assign field '{name}' of nil"),
        }
    }
    /// What the text calls the object whose field or method is wanted.
    fn object_text(&self, name: &str) -> Option<&'static str> {
        let text = self.running_text()?;
        let member = expression::callee(text).filter(|callee| callee.ends_with(name));
        expression::object_of_field(member.unwrap_or(text), name)
    }
    /// `` : `p` is P(x: 1)``, for the object of a field or method.
    pub(crate) fn object_note(&mut self, name: &str, object: Value) -> String {
        let text = self.object_text(name);
        self.note(text, object)
    }
    /// `` `config.server` ``, the map in which an entry is missing, or `the map`.
    pub(crate) fn map_text(&self, name: Option<&str>) -> String {
        let text = match name {
            Some(name) => self.object_text(name),
            None => self
                .running_text()
                .and_then(expression::object_of_index)
                .map(|(map, _)| map),
        };
        let quoted = text.and_then(Thread::quoted);
        quoted.unwrap_or_else(|| "the map".into())
    }
    /// What cannot be called.
    pub(crate) fn callee_message(&mut self, callee: Value) -> String {
        let text = self.running_text().and_then(expression::callee);
        if callee.is_nil() {
            return match Thread::nil_note(text) {
                Some(note) => format!("{note} it cannot be called"),
                None => "nil cannot be called".into(),
            };
        }
        let kind = crate::native::with_article(&self.type_name(callee));
        let told = text.and_then(|text| self.told(text, callee));
        let told = told.unwrap_or_else(|| self.repr_short(callee));
        format!("{kind} cannot be called: {told}")
    }
    /// What the text calls a function that has no name.
    pub(crate) fn callee_name(&self, name: &str) -> String {
        let text = self.running_text().and_then(expression::callee);
        let path = text.filter(|text| is_path(text) && name == "<closure>");
        path.unwrap_or(name).to_owned()
    }
    /// What a loop cannot go over.
    pub(crate) fn iterable_message(&mut self, x: Value) -> String {
        let text = self.running_text();
        if x.is_nil() {
            return match Thread::nil_note(text) {
                Some(note) => format!("{note} it is not iterable"),
                None => "nil is not iterable".into(),
            };
        }
        let kind = crate::native::with_article(&self.type_name(x));
        format!("{kind} is not iterable{}", self.note(text, x))
    }
    /// A bound of a counting loop.
    pub(crate) fn bound_note(&mut self, bound: Value, is_end: bool) -> String {
        let bounds = self.running_text().and_then(|text| {
            expression::operands(text, "..=").or_else(|| expression::operands(text, ".."))
        });
        let text = bounds.map(|(start, end)| if is_end { end } else { start });
        self.note(text, bound)
    }
    /// An operation with two operands has failed.
    pub(crate) fn operands_trap(
        &mut self,
        fail: OpFail,
        operator: &str,
        x: Value,
        y: Value,
    ) -> Trap {
        let OpFail::Error(error) = fail else {
            return self.trap(fail);
        };
        let mut message = error.message(self.engine());
        let parts = self
            .running_text()
            .and_then(|text| expression::operands(text, operator));
        let (left, right) = parts.unzip();
        match error.kind {
            ErrorKind::Type => {
                let (left, right) = (
                    left.and_then(|text| self.told(text, x)),
                    right.filter(|_| parts.is_some_and(|(a, b)| a != b)),
                );
                let right = right.and_then(|text| self.told(text, y));
                let told: Vec<String> = left.into_iter().chain(right).collect();
                if !told.is_empty() {
                    message = format!("{message}: {}", told.join(", "));
                }
            }
            // A division by zero.
            ErrorKind::Arithmetic => message += &self.note(right, y),
            _ => {}
        }
        self.throw_new(error.kind, &message)
    }
    /// A comparison `x < y` or `x <= y` has failed; the text may have it the other way round.
    pub(crate) fn order_trap(&mut self, fail: OpFail, x: Value, y: Value) -> Trap {
        let text = self.running_text();
        let found = ["<=", ">=", "<", ">"].iter().find(|operator| {
            text.is_some_and(|text| expression::operands(text, operator).is_some())
        });
        match found {
            Some(operator) if operator.starts_with('>') => {
                let OpFail::Error(error) = &fail else {
                    return self.trap(fail);
                };
                let turned = OpFail::typed(error.kind, "cannot compare {0} and {1} by order", y, x);
                self.operands_trap(turned, operator, y, x)
            }
            Some(operator) => self.operands_trap(fail, operator, x, y),
            None => self.trap(fail),
        }
    }
    /// A search `x in container` has failed.
    pub(crate) fn search_trap(&mut self, fail: OpFail, x: Value, container: Value) -> Trap {
        let text = self.running_text();
        let is_negated = text.is_some_and(|text| expression::operands(text, "not in").is_some());
        let operator = if is_negated { "not in" } else { "in" };
        self.operands_trap(fail, operator, x, container)
    }
    /// An operation with one operand has failed.
    pub(crate) fn operand_trap(&mut self, fail: OpFail, operator: &str, x: Value) -> Trap {
        let OpFail::Error(error) = fail else {
            return self.trap(fail);
        };
        let mut message = error.message(self.engine());
        let text = self
            .running_text()
            .and_then(|text| expression::operand(text, operator));
        message += &self.note(text, x);
        self.throw_new(error.kind, &message)
    }
    /// Reading or writing by index has failed.
    pub(crate) fn index_trap(&mut self, fail: OpFail, object: Value, index: Value) -> Trap {
        let OpFail::Error(error) = fail else {
            return self.trap(fail);
        };
        let mut message = error.message(self.engine());
        let parts = self.running_text().and_then(expression::object_of_index);
        let (name, position) = parts.unzip();
        match error.kind {
            ErrorKind::Index => {
                let whole = parts.and_then(|(name, position)| {
                    Thread::quoted(name)?;
                    Thread::quoted(&format!("{name}[{position}]"))
                });
                message += &whole.map(|whole| format!(": {whole}")).unwrap_or_default();
            }
            ErrorKind::Type if object.is_nil() => {
                if let Some(note) = Thread::nil_note(name)
                    && let Some(cannot) = message.strip_prefix("nil ")
                {
                    message = format!("{note} it {cannot}");
                }
            }
            ErrorKind::Type => {
                let is_position = message.contains("index must be");
                let (text, value) = match is_position {
                    true => (position, index),
                    false => (name, object),
                };
                message += &self.note(text, value);
            }
            _ => {}
        }
        self.throw_new(error.kind, &message)
    }
    /// `` : `n` is 5``, for an argument of the native function that the running instruction calls.
    pub(crate) fn argument_note(&mut self, params: &[&str], i: usize, value: Value) -> String {
        let first = usize::from(params.first() == Some(&"self"));
        let text = self
            .running_text()
            .and_then(expression::arguments)
            .and_then(|arguments| arguments.get(i.checked_sub(first)?).copied());
        self.note(text, value)
    }
}
