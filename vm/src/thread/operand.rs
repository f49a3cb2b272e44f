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
use std::sync::Arc;

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

// What an operation of the running function got, by the operation's own place in the text. Read when an error is made, never before, and remembered:
// an error that is made again and again (a key that is not there) should not read the text each time.

/// Which part of the running operation a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Left,
    Right,
    /// Of an operation with one.
    Operand,
    /// The operator itself, where an instruction serves several.
    Operator,
    /// What a field, method or entry is wanted of.
    Object,
    Indexed,
    Index,
    /// `x[i]` as a whole.
    Element,
    Callee,
    /// The callee, if it is a path.
    CalleePath,
    /// All of it.
    Whole,
    Start,
    End,
    Argument(u32),
}

/// What the text calls a part of an operation; nothing if it has no short name for it.
type Name = Option<Arc<str>>;

/// Names that were looked for lately, also in vain, each at a place that its operation and part decide.
#[derive(Default)]
pub(super) struct Names {
    known: Vec<Option<(usize, Part, Name)>>,
}

impl Names {
    const PLACES: usize = 64;

    fn place(pc: usize, part: Part) -> usize {
        let part = match part {
            Part::Argument(i) => 16 + i as usize,
            // The order of the variants.
            Part::Left => 0,
            Part::Right => 1,
            Part::Operand => 2,
            Part::Operator => 3,
            Part::Object => 4,
            Part::Indexed => 5,
            Part::Index => 6,
            Part::Element => 7,
            Part::Callee => 8,
            Part::CalleePath => 9,
            Part::Whole => 10,
            Part::Start => 11,
            Part::End => 12,
        };
        (pc / size_of::<u64>() + part * 5) % Names::PLACES
    }
    fn get(&self, pc: usize, part: Part) -> Option<&Name> {
        let found = self.known.get(Names::place(pc, part))?.as_ref();
        found
            .filter(|(at, of, _)| (*at, *of) == (pc, part))
            .map(|(.., name)| name)
    }
    fn put(&mut self, pc: usize, part: Part, name: Name) {
        self.known.resize_with(Names::PLACES, || None);
        self.known[Names::place(pc, part)] = Some((pc, part, name));
    }
}

impl Thread {
    /// The text of the operation that runs, if it is one of a script.
    fn running_text(&self) -> Option<&'static str> {
        // SAFETY: the top frame's, as the only caller has seen; prototypes and modules live as long as the engine.
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
    /// What `find` makes of the text of the operation that runs. It is remembered for this place of the code, which never becomes another's.
    fn read_text(&mut self, part: Part, find: impl FnOnce(&'static str) -> Name) -> Name {
        if self.base.is_null() {
            return None;
        }
        let pc = self.pc.addr();
        if let Some(name) = self.names.get(pc, part) {
            return name.clone();
        }
        let name = self.running_text().and_then(find);
        self.names.put(pc, part, name.clone());
        name
    }
    /// The name of the part that `find` finds in the text.
    fn name(
        &mut self,
        part: Part,
        find: impl FnOnce(&'static str) -> Option<&'static str>,
    ) -> Name {
        self.read_text(part, |text| Thread::quoted(find(text)?))
    }
    /// `x` for the value of this text; nothing for literals and whatever is too long to be a name.
    fn quoted(text: &str) -> Name {
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
        (is_short && !is_literal).then(|| format!("`{line}`").into())
    }
    /// Appends `` : `x` is 5``.
    fn tell(&mut self, message: &mut String, sign: &str, name: &Name, value: Value) {
        if let Some(name) = name {
            let value = self.repr_short(value);
            for part in [sign, name, " is ", &value] {
                message.push_str(part);
            }
        }
    }
    /// `` : `x` is 5``, to be appended to a message.
    fn note(&mut self, name: &Name, value: Value) -> String {
        let mut note = String::new();
        self.tell(&mut note, ": ", name, value);
        note
    }

    /// A field or method that nil does not have.
    pub(crate) fn nil_has_no(&mut self, name: &str, is_call: bool) -> String {
        let what = if is_call { "method" } else { "field" };
        match self.object_name(name) {
            Some(nil) => format!("{nil} is nil, so it has no {what} `{name}`"),
            None => format!("nil has no {what} '{name}'"),
        }
    }
    /// A field of nil that was to be assigned.
    pub(crate) fn nil_takes_no(&mut self, name: &str) -> String {
        match self.object_name(name) {
            Some(nil) => format!("{nil} is nil, so its field `{name}` cannot be assigned"),
            None => format!("cannot assign field '{name}' of nil"),
        }
    }
    /// What the text calls the object whose field or method is wanted.
    fn object_name(&mut self, name: &str) -> Name {
        self.name(Part::Object, |text| {
            let member = expression::callee(text).filter(|callee| callee.ends_with(name));
            expression::object_of_field(member.unwrap_or(text), name)
        })
    }
    /// `` : `p` is P(x: 1)``, for the object of a field or method.
    pub(crate) fn object_note(&mut self, name: &str, object: Value) -> String {
        let name = self.object_name(name);
        self.note(&name, object)
    }
    /// What an index is of.
    fn indexed_name(&mut self) -> Name {
        self.name(Part::Indexed, |text| {
            expression::object_of_index(text).map(|(object, _)| object)
        })
    }
    /// `` `config.server` ``, the map in which an entry is missing, or `the map`.
    pub(crate) fn map_text(&mut self, name: Option<&str>) -> Arc<str> {
        let name = match name {
            Some(name) => self.object_name(name),
            None => self.indexed_name(),
        };
        name.unwrap_or_else(|| "the map".into())
    }
    /// What cannot be called.
    pub(crate) fn callee_message(&mut self, callee: Value) -> String {
        let name = self.name(Part::Callee, expression::callee);
        if callee.is_nil() {
            return match name {
                Some(name) => format!("{name} is nil, so it cannot be called"),
                None => "nil cannot be called".into(),
            };
        }
        let kind = crate::native::with_article(&self.type_name(callee));
        let mut message = format!("{kind} cannot be called: ");
        match name {
            Some(_) => self.tell(&mut message, "", &name, callee),
            None => message += &self.repr_short(callee),
        }
        message
    }
    /// What the text calls a function that has no name.
    pub(crate) fn callee_name(&mut self, name: &str) -> String {
        let path = (name == "<closure>").then(|| {
            self.read_text(Part::CalleePath, |text| {
                let callee = expression::callee(text)?;
                is_path(callee).then(|| callee.into())
            })
        });
        path.flatten().as_deref().unwrap_or(name).to_owned()
    }
    /// What a loop cannot go over.
    pub(crate) fn iterable_message(&mut self, x: Value) -> String {
        let name = self.name(Part::Whole, Some);
        if x.is_nil() {
            return match name {
                Some(name) => format!("{name} is nil, so it is not iterable"),
                None => "nil is not iterable".into(),
            };
        }
        let kind = crate::native::with_article(&self.type_name(x));
        format!("{kind} is not iterable{}", self.note(&name, x))
    }
    /// A bound of a counting loop.
    pub(crate) fn bound_note(&mut self, bound: Value, is_end: bool) -> String {
        let part = if is_end { Part::End } else { Part::Start };
        let name = self.name(part, |text| {
            let bounds =
                expression::operands(text, "..=").or_else(|| expression::operands(text, ".."));
            bounds.map(|(start, end)| if is_end { end } else { start })
        });
        self.note(&name, bound)
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
        if error.kind == ErrorKind::Type {
            let left = self.name(Part::Left, |text| {
                expression::operands(text, operator).map(|(left, _)| left)
            });
            let right = self.name(Part::Right, |text| {
                let (left, right) = expression::operands(text, operator)?;
                (left != right).then_some(right)
            });
            self.tell(&mut message, ": ", &left, x);
            let sign = if left.is_some() { ", " } else { ": " };
            self.tell(&mut message, sign, &right, y);
        }
        self.throw_new(error.kind, &message)
    }
    /// A comparison `x < y` or `x <= y` has failed; the text may have it the other way round.
    pub(crate) fn order_trap(&mut self, fail: OpFail, x: Value, y: Value) -> Trap {
        let found = self.read_text(Part::Operator, |text| {
            let mut operators = ["<=", ">=", "<", ">"].into_iter();
            let found = operators.find(|operator| expression::operands(text, operator).is_some());
            found.map(Arc::from)
        });
        match found.as_deref() {
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
        let negated = self.read_text(Part::Operator, |text| {
            expression::operands(text, "not in").map(|_| "not in".into())
        });
        let operator = negated.as_deref().unwrap_or("in");
        self.operands_trap(fail, operator, x, container)
    }
    /// An operation with one operand has failed.
    pub(crate) fn operand_trap(&mut self, fail: OpFail, operator: &str, x: Value) -> Trap {
        let OpFail::Error(error) = fail else {
            return self.trap(fail);
        };
        let mut message = error.message(self.engine());
        let name = self.name(Part::Operand, |text| expression::operand(text, operator));
        self.tell(&mut message, ": ", &name, x);
        self.throw_new(error.kind, &message)
    }
    /// Reading or writing by index has failed.
    pub(crate) fn index_trap(&mut self, fail: OpFail, object: Value, index: Value) -> Trap {
        let OpFail::Error(error) = fail else {
            return self.trap(fail);
        };
        let mut message = error.message(self.engine());
        match error.kind {
            ErrorKind::Index => {
                let element = self.read_text(Part::Element, |text| {
                    let (name, position) = expression::object_of_index(text)?;
                    Thread::quoted(name)?;
                    Thread::quoted(&format!("{name}[{position}]"))
                });
                if let Some(element) = element {
                    message.push_str(": ");
                    message.push_str(&element);
                }
            }
            ErrorKind::Type if object.is_nil() => {
                if let Some(name) = self.indexed_name()
                    && let Some(cannot) = message.strip_prefix("nil ")
                {
                    message = format!("{name} is nil, so it {cannot}");
                }
            }
            ErrorKind::Type if message.contains("index must be") => {
                let name = self.name(Part::Index, |text| {
                    expression::object_of_index(text).map(|(_, index)| index)
                });
                self.tell(&mut message, ": ", &name, index);
            }
            ErrorKind::Type => {
                let name = self.indexed_name();
                self.tell(&mut message, ": ", &name, object);
            }
            _ => {}
        }
        self.throw_new(error.kind, &message)
    }
    /// `` : `n` is 5``, for an argument of the native function that the running instruction calls.
    pub(crate) fn argument_note(&mut self, params: &[&str], i: usize, value: Value) -> String {
        let first = usize::from(params.first() == Some(&"self"));
        let name = self.name(Part::Argument(i as u32), |text| {
            let arguments = expression::arguments(text)?;
            arguments.get(i.checked_sub(first)?).copied()
        });
        self.note(&name, value)
    }
}
