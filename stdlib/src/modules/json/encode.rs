//! Values to JSON text, in steps.
//!
//! The containers that are being written lie in a list of the program between steps, since only what a program can reach survives
//! a collection; the text and the position in each container are the encoder's. Nesting is limited, as in the parser.

use crate::prelude::builder::{Builder, boundary};
use crate::prelude::call_prelude;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::object::Kind;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, ops};

/// Deeper nesting is refused.
const MAX_DEPTH: usize = 10_000;
/// Elements written in one step, and bytes after which it ends: about a quarter of a millisecond.
const STEP_ITEMS: usize = 4_000;
const STEP_BYTES: usize = 64 * 1024;

/// An open container: which element comes next, and whether one was written.
struct Level {
    next: usize,
    is_first: bool,
    /// It is the text of an int, which is written as it is.
    is_plain: bool,
}

/// Characters that a level may be indented by.
const MAX_INDENT: usize = 64;

/// What is written so far.
pub(super) struct Encoder {
    /// What the running step writes, and what the steps before it wrote.
    text: String,
    written: Builder,
    /// What stands in front of each element per level; `None`: all on one line.
    indent: Option<String>,
    levels: Vec<Level>,
    has_begun: bool,
    is_done: bool,
}

/// `json.__encoder(indent)`: a number of spaces, a text, or nil.
pub(super) fn new_encoder(ctx: &mut Ctx) -> NativeResult {
    let indent = match ctx.as_str(ctx.arg(0)) {
        Some(text) if text.chars().nth(MAX_INDENT).is_some() => {
            let message = format!("json.encode: indent must have at most {MAX_INDENT} characters");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
        Some(text) => Some(text.to_string()),
        None => ctx
            .opt_int_arg(0)?
            .map(|n| " ".repeat(n.clamp(0, MAX_INDENT as i64) as usize)),
    };
    let encoder = Encoder {
        text: String::new(),
        written: Builder::default(),
        indent,
        levels: Vec::new(),
        has_begun: false,
        is_done: false,
    };
    Ok(ctx.host(Box::new(encoder), "json encoder"))
}

/// `json.__encode_done(encoder)`
pub(super) fn encode_done(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::bool(ctx.host_arg::<Encoder>(0)?.is_done))
}

/// `json.__encode_step(encoder, open)`: gives the open containers (and a long string that is being written) for the next step, or the text when the
/// encoder is done. At first `open` holds the value. An int at its end is a huge one, which must be replaced by its text.
pub(super) fn encode_step(ctx: &mut Ctx) -> NativeResult {
    let encoder = ctx.host_arg::<Encoder>(0)?;
    // The text must fit the program's memory, as it will be a string of it.
    ctx.reserve(encoder.written.bytes() + 2 * STEP_BYTES)?;
    ctx.charge(STEP_ITEMS);
    let mut open = ctx.list_arg(1)?.to_vec();
    let mut step = Step { ctx, encoder };
    if !step.encoder.has_begun {
        step.encoder.has_begun = true;
        let value = open.pop().unwrap_or(Value::NIL);
        step.value(value, &mut open)?;
    }
    for _ in 0..STEP_ITEMS {
        let Some(&container) = open.last() else {
            step.encoder.is_done = true;
            let mut text = std::mem::take(&mut step.encoder.text);
            if step.encoder.written.bytes() == 0 && text.len() <= STEP_BYTES {
                return Ok(ctx.str(&text));
            }
            let mut written = std::mem::take(&mut step.encoder.written);
            written.take(&mut text);
            let written = ctx.host(Box::new(written), "text builder");
            return Err(call_prelude(ctx, "__build", &[written]));
        };
        if step.encoder.text.len() >= STEP_BYTES || ops::int::is_int(container) {
            break;
        }
        step.element(container, &mut open)?;
    }
    encoder.written.take(&mut encoder.text);
    ctx.list(&open)
}

struct Step<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    encoder: &'a mut Encoder,
}

impl Step<'_, '_> {
    /// Writes the next element of the innermost container, or its end.
    fn element(&mut self, container: Value, open: &mut Vec<Value>) -> Result<(), Trap> {
        let depth = self.encoder.levels.len();
        if let Some(text) = self.ctx.as_str(container) {
            self.long_string(text, open);
            return Ok(());
        }
        let level = &mut self.encoder.levels[depth - 1];
        let is_first = level.is_first;
        let (key, value) = match next_of(self.ctx, container, &mut level.next) {
            Some(found) => found,
            None => {
                self.encoder.levels.pop();
                open.pop();
                if !is_first {
                    self.new_line(depth - 1);
                }
                self.encoder
                    .text
                    .push(if is_object(container) { '}' } else { ']' });
                return Ok(());
            }
        };
        level.is_first = false;
        if !is_first {
            self.encoder.text.push(',');
        }
        self.new_line(depth);
        match key {
            Key::None => {}
            Key::Name(name) => {
                write_string(&mut self.encoder.text, &name);
                self.colon();
            }
            Key::Value(key) => {
                self.key(key)?;
                self.colon();
            }
        }
        self.value(value, open)
    }

    /// Writes the next part of a long string.
    fn long_string(&mut self, text: &str, open: &mut Vec<Value>) {
        let level = self.encoder.levels.last_mut().expect("it is on top");
        let end = boundary(text, level.next + STEP_BYTES);
        let is_plain = level.is_plain;
        if is_plain {
            self.encoder.text.push_str(&text[level.next..end]);
        } else {
            write_escaped(&mut self.encoder.text, &text[level.next..end]);
        }
        level.next = end;
        if end == text.len() {
            if !is_plain {
                self.encoder.text.push('"');
            }
            self.encoder.levels.pop();
            open.pop();
        }
    }

    fn colon(&mut self) {
        self.encoder.text.push(':');
        if self.encoder.indent.is_some() {
            self.encoder.text.push(' ');
        }
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.encoder.indent {
            self.encoder.text.push('\n');
            for _ in 0..depth {
                self.encoder.text.push_str(indent);
            }
        }
    }

    /// Strings are keys as they are; numbers, bools and nil as their JSON text.
    fn key(&mut self, key: Value) -> Result<(), Trap> {
        if let Some(text) = self.ctx.as_str(key) {
            write_string(&mut self.encoder.text, text);
            return Ok(());
        }
        let is_number = key.is_float() || ops::int::is_int(key) && !is_huge(key);
        if !key.is_nil() && !key.is_bool() && !is_number {
            let message = format!("json.encode: {} cannot be a key", self.shown(key));
            return Err(self.ctx.throw(ErrorKind::Type, message));
        }
        self.encoder.text.push('"');
        self.scalar(key)?;
        self.encoder.text.push('"');
        Ok(())
    }

    /// Writes a value without parts; false for one with parts, of which nothing is written.
    fn scalar(&mut self, value: Value) -> Result<bool, Trap> {
        let out = &mut self.encoder.text;
        if let Some(text) = self.ctx.as_str(value) {
            write_string(out, text);
        } else if value.is_nil() {
            out.push_str("null");
        } else if value.is_bool() {
            out.push_str(if value.is_truthy() { "true" } else { "false" });
        } else if value.is_float() {
            let f = value.as_float();
            if !f.is_finite() {
                let message = format!("json.encode: JSON has no {}", ops::float::to_text(f));
                return Err(self.ctx.throw(ErrorKind::Value, message));
            }
            ops::float::write_float(out, f);
        } else if ops::int::is_int(value) {
            let written = ops::text::write_plain(out, value);
            self.ctx.done(written)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn value(&mut self, value: Value, open: &mut Vec<Value>) -> Result<(), Trap> {
        let text = self.ctx.as_str(value);
        let is_plain = is_huge(value);
        if is_plain || text.is_some_and(|text| text.len() > STEP_BYTES) {
            if !is_plain {
                self.encoder.text.push('"');
            }
            open.push(value);
            self.encoder.levels.push(Level {
                next: 0,
                is_first: true,
                is_plain,
            });
            return Ok(());
        }
        if self.scalar(value)? {
            return Ok(());
        }
        if !matches!(
            value.kind(),
            Some(Kind::List | Kind::Tuple | Kind::Set | Kind::Map | Kind::Struct)
        ) || is_error(self.ctx, value)
        {
            let message = format!("json.encode: {} cannot be JSON", self.shown(value));
            return Err(self.ctx.throw(ErrorKind::Type, message));
        }
        if open.contains(&value) {
            let message = "json.encode: the value contains itself";
            return Err(self.ctx.throw(ErrorKind::Value, message));
        }
        if open.len() >= MAX_DEPTH {
            let message = format!("json.encode: nested deeper than {MAX_DEPTH} levels");
            return Err(self.ctx.throw(ErrorKind::Value, message));
        }
        self.encoder
            .text
            .push(if is_object(value) { '{' } else { '[' });
        open.push(value);
        self.encoder.levels.push(Level {
            next: 0,
            is_first: true,
            is_plain: false,
        });
        Ok(())
    }

    fn shown(&mut self, value: Value) -> String {
        let type_name = self.ctx.type_name(value);
        format!("{} ({type_name})", self.ctx.repr_short(value))
    }
}

/// An int whose text takes steps.
fn is_huge(value: Value) -> bool {
    ops::int::is_int(value) && !ops::text::can_concat(value)
}

/// The key of an element.
enum Key {
    /// Of a list.
    None,
    /// Of a struct's field.
    Name(String),
    Value(Value),
}

fn is_object(container: Value) -> bool {
    matches!(container.kind(), Some(Kind::Map | Kind::Struct))
}

fn is_error(ctx: &Ctx, value: Value) -> bool {
    ctx.engine().type_info(value.type_id()).is_error
}

/// The element of a container at `next` or behind it; `next` goes on behind that.
fn next_of(ctx: &Ctx, container: Value, next: &mut usize) -> Option<(Key, Value)> {
    let at = *next;
    match container.kind() {
        Some(Kind::Map | Kind::Set) => {
            let (found, entry) = ops::map::next_entry(container, at)?;
            *next = found + 1;
            let is_map = container.is_kind(Kind::Map);
            Some(if is_map {
                (Key::Value(entry.key), entry.value)
            } else {
                (Key::None, entry.key)
            })
        }
        Some(Kind::Struct) => {
            let field = ctx.engine().type_info(container.type_id()).fields.get(at)?;
            let name = ctx.engine().symbol_text(field.name).to_string();
            *next = at + 1;
            Some((Key::Name(name), ctx.field(container, at)))
        }
        _ => {
            let items = ctx.as_list(container).or_else(|| ctx.as_tuple(container))?;
            let item = *items.get(at)?;
            *next = at + 1;
            Some((Key::None, item))
        }
    }
}

/// Writes a text in double quotes, what must be escaped escaped.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    write_escaped(out, text);
    out.push('"');
}

fn write_escaped(out: &mut String, text: &str) {
    let mut from = 0;
    for (i, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 | 0x7f => {
                out.push_str(&text[from..i]);
                out.push_str(&format!("\\u{byte:04x}"));
                from = i + 1;
                continue;
            }
            _ => continue,
        };
        out.push_str(&text[from..i]);
        out.push_str(escape);
        from = i + 1;
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::write_string;

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        write_string(&mut out, "a\"b\\c\n\u{1}é");
        assert_eq!(out, r#""a\"b\\c\n\u0001é""#);
    }
}
