//! `str` and `repr`: texts of values, in steps.
//!
//! A `Writer` goes through nested values with a stack of its own, which is never deeper than `MAX_DEPTH`. It stops where a
//! struct's own `str` must be called, where the text of a huge int is wanted (made in steps elsewhere), and when it has done
//! enough for one step. Then its state is saved in a list of the heap: the pieces of text so far, the stack.
//!
//! The driver, in words: `start`, then until `Done`: on `CallStr(x)` call `x.str()`, on `IntText(x)` call `__int_str(x)`, and hand
//! the string to the next `step`; on `More` just go on.

use super::int;
use super::memory::reserve;
use super::{
    OpFail, OpResult, TypeLookup, builtin_type_name, fields_of, list, map, method, range_form, text,
};
use crate::heap::Heap;
use crate::module::Proto;
use crate::object::*;
use crate::types::{ErrorKind, Shape, TypeInfo};
use crate::value::Value;

/// Nesting deeper than this is printed as `…`.
const MAX_DEPTH: usize = 1000;
/// No text of a container is longer.
const MAX_TEXT: usize = 256 << 20;
/// Values written in one step.
pub const STEP_VALUES: usize = 10_000;
/// Bytes written in one step, roughly.
const STEP_BYTES: usize = 256 * 1024;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShowStep {
    /// The text of the value is long: that of these strings, joined.
    Join(Value),
    /// The string.
    Done(Value),
    /// Call `step` again.
    More,
    /// Call the method `str` of this value and hand the result to `step`.
    CallStr(Value),
    /// Make the text of this huge int and hand it to `step`.
    IntText(Value),
}

/// Why the writer stopped.
enum Stop {
    Done,
    Budget,
    CallStr(Value),
    IntText(Value),
}

/// A container that is being written.
#[derive(Clone, Copy)]
struct Frame {
    value: Value,
    /// The part to be written next: element, field or entry.
    position: usize,
    /// A part was written before: the next one needs a comma.
    has_parts: bool,
    /// Of the entry, the key is written.
    after_key: bool,
}

struct Writer<'a> {
    types: &'a dyn TypeLookup,
    out: String,
    stack: Vec<Frame>,
    budget: usize,
}

impl Writer<'_> {
    /// Writes a value; a container is only begun.
    fn begin(&mut self, value: Value, is_repr: bool) -> Option<Stop> {
        self.budget = self.budget.saturating_sub(1);
        if let Some(kind) = value.kind() {
            return self.begin_object(value, kind, is_repr);
        }
        // Only huge ints have no short text.
        let _ = text::write_plain(&mut self.out, value);
        None
    }

    fn begin_object(&mut self, value: Value, kind: Kind, is_repr: bool) -> Option<Stop> {
        match kind {
            Kind::Str if is_repr => write_quoted(&mut self.out, text::str_of(value)),
            Kind::Str => self.out.push_str(text::str_of(value)),
            Kind::Bytes => write_bytes(&mut self.out, text::bytes_of(value)),
            Kind::Int64 | Kind::Duration | Kind::BigInt => {
                if !text::can_concat(value) {
                    return Some(Stop::IntText(value));
                }
                let _ = text::write_plain(&mut self.out, value);
            }
            Kind::List => self.open(value, "["),
            Kind::Tuple => self.open(value, "("),
            Kind::Map => self.open(value, "{"),
            Kind::Set => self.open(value, "Set(["),
            Kind::Struct | Kind::Variant => {
                if method(self.types, value, self.types.operators().str).is_some() {
                    return Some(Stop::CallStr(value));
                }
                return self.begin_instance(value, is_repr);
            }
            _ => self.write_opaque(value, kind),
        }
        None
    }

    fn begin_instance(&mut self, value: Value, is_repr: bool) -> Option<Stop> {
        let Some(info) = self.types.info(value.type_id()) else {
            self.out.push_str("<object>");
            return None;
        };
        if info.is_error && !is_repr {
            // For people, an error is its message, which may be an error.
            let mut message = value;
            for _ in 0..MAX_DEPTH {
                if is_inside(&self.stack, message) {
                    self.out.push_str("[...]");
                    return None;
                }
                message = fields_of(message).first().copied().unwrap_or(Value::NIL);
                if !self.is_plain_error(message) {
                    return self.begin(message, false);
                }
            }
            self.out.push('…');
            return None;
        }
        if info.is_unit {
            let name = qualified_name(self.types, info);
            self.out.push_str(&name);
            return None;
        }
        let mut name = qualified_name(self.types, info);
        name.push('(');
        self.open(value, &name);
        None
    }

    /// Whether it is an error whose text is that of its message.
    fn is_plain_error(&self, value: Value) -> bool {
        value.is_kind(Kind::Struct)
            && self
                .types
                .info(value.type_id())
                .is_some_and(|info| info.is_error)
            && method(self.types, value, self.types.operators().str).is_none()
    }

    fn open(&mut self, value: Value, opening: &str) {
        if is_inside(&self.stack, value) {
            self.out.push_str("[...]");
        } else if self.stack.len() >= MAX_DEPTH {
            self.out.push('…');
        } else {
            self.out.push_str(opening);
            self.stack.push(Frame {
                value,
                position: 0,
                has_parts: false,
                after_key: false,
            });
        }
    }

    /// Things without parts to show.
    fn write_opaque(&mut self, value: Value, kind: Kind) {
        let object = value.as_object();
        // SAFETY: the kind says what the object is; prototypes, types and modules live as long as the engine.
        unsafe {
            match kind {
                Kind::Range => self.write_range(&*object.cast::<Range>()),
                Kind::Closure => self.write_function(&*(*object.cast::<Closure>()).proto()),
                Kind::Native => {
                    let name = (*(*object.cast::<NativeFunction>()).def).name;
                    self.out.push_str("<fn ");
                    self.out.push_str(name);
                    self.out.push('>');
                }
                Kind::BoundMethod => {
                    let function = (*object.cast::<BoundMethod>()).function;
                    match function.kind() {
                        Some(kind @ (Kind::Closure | Kind::Native)) => {
                            self.write_opaque(function, kind)
                        }
                        _ => self.out.push_str("<fn>"),
                    }
                }
                Kind::Generator => {
                    let closure = (*object.cast::<Generator>()).closure;
                    self.out.push_str("<generator");
                    if closure.is_kind(Kind::Closure) {
                        let proto = (*closure.as_object().cast::<Closure>()).proto();
                        self.out.push(' ');
                        self.out.push_str(&(*proto).name);
                    }
                    self.out.push('>');
                }
                Kind::Type => {
                    let info = &*(*object.cast::<TypeObject>()).info;
                    let name = qualified_name(self.types, info);
                    self.out.push_str(&name);
                }
                Kind::Module => {
                    let module = &*(*object.cast::<ModuleObject>()).module;
                    self.out.push_str(&format!("<module {}>", module.name));
                }
                Kind::Task => {
                    let id = (*object.cast::<TaskObject>()).id;
                    self.out.push_str(&format!("<task {id}>"));
                }
                _ => {
                    let id = value.type_id();
                    let name = self
                        .types
                        .info(id)
                        .map(|info| &*info.name)
                        .or(builtin_type_name(id));
                    self.out
                        .push_str(&format!("<{}>", name.unwrap_or("object")));
                }
            }
        }
    }

    fn write_function(&mut self, proto: &Proto) {
        self.out.push_str("<fn");
        if !proto.name.starts_with('<') {
            self.out.push(' ');
            self.out.push_str(&proto.name);
        }
        self.out.push('>');
    }

    fn write_range(&mut self, range: &Range) {
        let form = range.header.aux;
        let has_step = form & range_form::STEP != 0;
        if has_step {
            self.out.push('(');
        }
        // The ends are ints or nil, rarely huge.
        let write_end = |out: &mut String, end: Value| match int::view(end) {
            Some(_) if !text::can_concat(end) => out.push('…'),
            Some(_) => {
                let _ = text::write_plain(out, end);
            }
            None => {}
        };
        if form & range_form::OPEN_START == 0 {
            write_end(&mut self.out, range.start);
        }
        self.out.push_str(if form & range_form::INCLUSIVE != 0 {
            "..="
        } else {
            ".."
        });
        if form & range_form::OPEN_END == 0 {
            write_end(&mut self.out, range.end);
        }
        if has_step {
            self.out.push_str(").step(");
            write_end(&mut self.out, range.step);
            self.out.push(')');
        }
    }

    /// Writes until it must stop.
    fn run(&mut self) -> Stop {
        loop {
            if self.budget == 0 || self.out.len() > STEP_BYTES {
                return Stop::Budget;
            }
            let Some(&frame) = self.stack.last() else {
                return Stop::Done;
            };
            match self.next_part(frame) {
                Some((part, after)) => {
                    if let Some(top) = self.stack.last_mut() {
                        *top = after;
                    }
                    if let Some(stop) = self.begin(part, true) {
                        return stop;
                    }
                }
                None => {
                    self.close(frame);
                    self.stack.pop();
                }
            }
        }
    }

    /// Writes what stands in front of the next part of a container, and gives that part and the frame after it.
    fn next_part(&mut self, frame: Frame) -> Option<(Value, Frame)> {
        let mut after = Frame {
            has_parts: true,
            ..frame
        };
        let part = match frame.value.kind()? {
            kind @ (Kind::Map | Kind::Set) => {
                if frame.after_key {
                    // The entry may have gone while script code ran.
                    let entry = map::entry_at(frame.value, frame.position);
                    after.after_key = false;
                    after.position += 1;
                    self.out.push_str(": ");
                    return Some((entry.map_or(Value::NIL, |entry| entry.value), after));
                }
                let (position, entry) = map::next_entry(frame.value, frame.position)?;
                after.after_key = kind == Kind::Map;
                after.position = if kind == Kind::Map {
                    position
                } else {
                    position + 1
                };
                entry.key
            }
            Kind::Struct => return self.next_field(frame, after),
            Kind::Variant => {
                after.position += 1;
                // Behind the fields a local type may stand.
                let info = self.types.info(frame.value.type_id())?;
                info.fields.get(frame.position)?;
                *fields_of(frame.value).get(frame.position)?
            }
            _ => {
                after.position += 1;
                *list::sequence_items(frame.value)?.get(frame.position)?
            }
        };
        if frame.has_parts {
            self.out.push_str(", ");
        }
        Some((part, after))
    }

    fn next_field(&mut self, frame: Frame, mut after: Frame) -> Option<(Value, Frame)> {
        let (fields, types) = (fields_of(frame.value), self.types);
        let info = types.info(frame.value.type_id());
        let is_error = info.is_some_and(|info| info.is_error);
        // Of the fields that all errors have only the message is shown.
        let position = if is_error && (1..ERROR_FIELDS).contains(&frame.position) {
            ERROR_FIELDS
        } else {
            frame.position
        };
        if info.is_some_and(|info| position >= info.fields.len()) {
            return None;
        }
        let part = *fields.get(position)?;
        after.position = position + 1;
        if frame.has_parts {
            self.out.push_str(", ");
        }
        if let Some(field) = info.and_then(|info| info.fields.get(position))
            && !(is_error && position == 0)
        {
            self.out.push_str(types.symbol(field.name));
            self.out.push_str(": ");
        }
        Some((part, after))
    }

    fn close(&mut self, frame: Frame) {
        self.out.push_str(match frame.value.kind() {
            Some(Kind::List) => "]",
            Some(Kind::Map) => "}",
            Some(Kind::Set) => "])",
            Some(Kind::Tuple) if frame.position == 1 => ",)",
            _ => ")",
        });
    }
}

/// `message kind data cause trace`
const ERROR_FIELDS: usize = 5;

fn is_inside(stack: &[Frame], value: Value) -> bool {
    stack.iter().any(|frame| frame.value == value)
}

/// A type's name, for a variant with that of its enum in front.
pub fn qualified_name(types: &dyn TypeLookup, info: &TypeInfo) -> String {
    match info
        .parent
        .filter(|_| info.shape == Shape::Variant)
        .and_then(|parent| types.info(parent))
    {
        Some(parent) => format!("{}.{}", parent.name, info.name),
        None => info.name.to_string(),
    }
}

/// Appends a text in double quotes, escaped so that it reads as a literal.
pub fn write_quoted(out: &mut String, content: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, c) in content.char_indices() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\t' => "\\t",
            '\r' => "\\r",
            '\0' => "\\0",
            c if c.is_control() => "",
            _ => continue,
        };
        out.push_str(&content[plain..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{{{:x}}}", c as u32));
        } else {
            out.push_str(escape);
        }
        plain = at + c.len_utf8();
    }
    out.push_str(&content[plain..]);
    out.push('"');
}

/// Appends bytes as a literal: `b"\x00ab"`.
pub fn write_bytes(out: &mut String, content: &[u8]) {
    out.push_str("b\"");
    for &byte in content {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b'\r' => out.push_str("\\r"),
            0x20..0x7f => out.push(byte as char),
            _ => out.push_str(&format!("\\x{byte:02x}")),
        }
    }
    out.push('"');
}

/// `str(value)`, or `repr(value)`, if that takes neither script code nor long; else see `start`.
pub fn quick(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    value: Value,
    is_repr: bool,
) -> OpResult<Option<Value>> {
    if value.is_kind(Kind::Str) {
        if !is_repr {
            return Ok(Some(value));
        }
    } else if text::can_concat(value) {
        return text::concat(heap, &[value]).map(Some);
    }
    let mut writer = Writer {
        types,
        out: String::new(),
        stack: Vec::new(),
        budget: STEP_VALUES,
    };
    if writer.begin(value, is_repr).is_some() {
        return Ok(None);
    }
    match writer.run() {
        Stop::Done => text::new(heap, &writer.out).map(Some),
        _ => Ok(None),
    }
}

/// A text for messages: `repr`, cut to so many characters. Methods `str` are not called.
pub fn short(types: &dyn TypeLookup, value: Value, max_chars: usize) -> String {
    let mut writer = Writer {
        types,
        out: String::new(),
        stack: Vec::new(),
        budget: max_chars * 2,
    };
    let mut stop = writer.begin(value, true);
    loop {
        match stop.take() {
            Some(Stop::CallStr(value)) => stop = writer.begin_instance(value, true),
            Some(Stop::IntText(_)) => writer.out.push('…'),
            Some(Stop::Done | Stop::Budget) => break,
            None => stop = Some(writer.run()),
        }
        if writer.out.len() > max_chars * 4 {
            break;
        }
    }
    match writer.out.char_indices().nth(max_chars.saturating_sub(1)) {
        Some((at, c)) if at + c.len_utf8() < writer.out.len() => format!("{}…", &writer.out[..at]),
        _ => writer.out,
    }
}

// --- steps: the state is a list [pieces, bytes so far, (value, form) of each frame …]

/// Positions of the state's fixed parts.
const PIECES: usize = 0;
const BYTES: usize = 1;
const FRAMES: usize = 2;

/// The state in which the text of `value` is about to be made; for `step`.
pub fn start(heap: &mut Heap, value: Value, is_repr: bool) -> OpResult {
    let pieces = list::with_capacity(heap, 0)?;
    // A first frame of no kind stands for a value not yet begun.
    let form = if is_repr { Value::TRUE } else { Value::FALSE };
    list::new(heap, &[pieces, Value::small_int(0), value, form])
}

/// Goes on; `given` is what the call that the last step asked for gave.
pub fn step(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    state: Value,
    given: Option<Value>,
) -> OpResult<ShowStep> {
    reserve(heap, STEP_BYTES * 3)?;
    let saved = list::items_of(state);
    let (pieces, bytes) = (saved[PIECES], saved[BYTES].as_small_int() as usize);
    let mut writer = Writer {
        types,
        out: String::new(),
        stack: Vec::new(),
        budget: STEP_VALUES,
    };
    let mut stop = None;
    match saved[FRAMES..] {
        [value, form] if form.is_bool() => stop = writer.begin(value, form == Value::TRUE),
        ref frames => {
            for frame in frames.chunks_exact(2) {
                let form = frame[1].as_small_int();
                writer.stack.push(Frame {
                    value: frame[0],
                    position: (form >> 2) as usize,
                    has_parts: form & 1 != 0,
                    after_key: form & 2 != 0,
                });
            }
        }
    }
    let mut pieces_to_add = Vec::new();
    if let Some(given) = given {
        if !given.is_kind(Kind::Str) {
            return Err(OpFail::wrong_type(
                "a method str must give a string, not {0}",
                given,
            ));
        }
        pieces_to_add.push(given);
    }
    let stop = match stop {
        Some(stop) => stop,
        None => writer.run(),
    };
    let bytes = bytes + writer.out.len() + given.map_or(0, |given| text::str_of(given).len());
    if bytes > MAX_TEXT {
        return Err(OpFail::error(
            ErrorKind::Limit,
            "text of a value is longer than 256 MB",
        ));
    }
    // All room is made before anything changes, so that a step that fails is simply run again.
    let room = if matches!(stop, Stop::Done) {
        bytes + bytes / 8
    } else {
        0
    };
    reserve(heap, room + writer.out.len() * 2 + 4096)?;
    list::reserve_items(heap, pieces, 2)?;
    list::reserve_items(heap, state, writer.stack.len() * 2)?;
    if !writer.out.is_empty() {
        pieces_to_add.push(text::new_reserved(heap, &writer.out));
    }
    list::extend(heap, pieces, &pieces_to_add)?;
    if let Stop::Done = stop {
        if bytes > text::LONG_COPY {
            return Ok(ShowStep::Join(pieces));
        }
        return text::join(heap, list::items_of(pieces), "").map(ShowStep::Done);
    }
    list::truncate(state, FRAMES)?;
    list::set(
        heap,
        state,
        Value::small_int(BYTES as i64),
        Value::small_int(bytes as i64),
    )?;
    for frame in &writer.stack {
        let form =
            (frame.position as i64) << 2 | (frame.after_key as i64) << 1 | frame.has_parts as i64;
        list::push(heap, state, frame.value)?;
        list::push(heap, state, Value::small_int(form))?;
    }
    Ok(match stop {
        Stop::CallStr(value) => ShowStep::CallStr(value),
        Stop::IntText(value) => ShowStep::IntText(value),
        _ => ShowStep::More,
    })
}
