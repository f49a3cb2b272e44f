//! JSON text to values, in steps.
//!
//! The parser keeps its own stack: open containers (each object followed by the key whose value comes next) lie in `open` during a
//! step and in a list of the program between steps, since only what a program can reach survives a collection. Nesting is
//! limited, so neither parsing nor what is done with the result can be made arbitrarily deep by a hostile text.

use crate::prelude::builder::Builder;
use crate::support::settle;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::object::Kind;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, ops};

/// Deeper nesting is refused, whatever a program allows.
const MAX_DEPTH: usize = 10_000;
/// Bytes of text read in one step: about a quarter of a millisecond.
const STEP_BYTES: usize = 32 * 1024;
/// What a byte of text may become, at most, in all but contrived texts: asked for before a step.
const BYTES_PER_BYTE: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    /// Behind `[`.
    ValueOrEnd,
    /// Behind `{`.
    KeyOrEnd,
    /// Behind a comma in an object.
    Key,
    /// Behind a value in a container.
    CommaOrEnd,
    /// Behind the outermost value.
    End,
}

/// Where a parse is.
pub(super) struct Parser {
    position: usize,
    expect: Expect,
    /// Open containers: `true` for objects.
    kinds: Vec<bool>,
    is_done: bool,
    long: Long,
    max_depth: usize,
}

/// A string or int at the parser's position that takes steps of its own; its value is put behind the open containers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Long {
    Nothing,
    /// The position is at its quote, then within it.
    Text,
    /// It ends here.
    Int(usize),
    /// Its value is there.
    Ready,
}

/// What string or int takes steps: its bytes.
const LONG_TEXT: usize = 128 * 1024;
const LONG_INT: usize = 20_000;

impl Parser {
    fn new(max_depth: usize) -> Parser {
        Parser {
            position: 0,
            expect: Expect::Value,
            kinds: Vec::new(),
            is_done: false,
            long: Long::Nothing,
            max_depth,
        }
    }
}

/// `json.__parser(max_depth)`
pub(super) fn new_parser(ctx: &mut Ctx) -> NativeResult {
    let max_depth = depth_arg(ctx, 0)?;
    Ok(ctx.host(Box::new(Parser::new(max_depth)), "json parser"))
}

/// How deep a text may be nested.
fn depth_arg(ctx: &mut Ctx, i: usize) -> Result<usize, Trap> {
    match ctx.opt_int_arg(i)? {
        None => Ok(MAX_DEPTH),
        Some(n) if n >= 0 => Ok((n as usize).min(MAX_DEPTH)),
        Some(n) => {
            let message = format!("json.parse: max_depth must be at least 0, got {n}");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// `json.__parse_done(parser)`
pub(super) fn parse_done(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::bool(ctx.host_arg::<Parser>(0)?.is_done))
}

/// `json.__long(parser)`: nil, or (from, to) for an int whose text is between these bytes; both are nil for a string.
pub(super) fn long(ctx: &mut Ctx) -> NativeResult {
    let parser = ctx.host_arg::<Parser>(0)?;
    match parser.long {
        Long::Nothing | Long::Ready => Ok(Value::NIL),
        Long::Text => ctx.tuple(&[Value::NIL, Value::NIL]),
        Long::Int(end) => {
            let bounds = [parser.position, end].map(|at| Value::small_int(at as i64));
            (parser.position, parser.long) = (end, Long::Ready);
            ctx.tuple(&bounds)
        }
    }
}

/// `json.__long_step(parser, text, builder)`: appends the next part of a long string; true if there is more.
pub(super) fn long_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?;
    let builder = ctx.host_arg::<Builder>(2)?;
    ctx.reserve(builder.bytes() + 2 * STEP_BYTES)?;
    ctx.charge(STEP_BYTES / 8);
    let parser = ctx.host_arg::<Parser>(0)?;
    let mut part = String::new();
    let is_more = Step::new(ctx, text, parser, Vec::new()).string_part(&mut part)?;
    builder.take(&mut part);
    Ok(Value::bool(is_more))
}

/// `json.__parse_short(text, max_depth)`: in one step.
pub(super) fn parse_short(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    ctx.reserve(text.len() * BYTES_PER_BYTE)?;
    let max_depth = depth_arg(ctx, 1)?;
    Step::new(ctx, text, &mut Parser::new(max_depth), Vec::new()).run(usize::MAX)
}

/// `json.__parse_step(parser, text, open)`: gives the open containers for the next step, or the result when the parser is done.
pub(super) fn parse_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?;
    let open = ctx.list_arg(2)?.to_vec();
    // Open containers may have to grow.
    let growth: usize = open.iter().map(|&v| container_bytes(ctx, v)).sum();
    ctx.reserve(STEP_BYTES * BYTES_PER_BYTE + growth)?;
    ctx.charge(STEP_BYTES / 4);
    let parser = ctx.host_arg::<Parser>(0)?;
    let end = parser.position + STEP_BYTES;
    let result = Step::new(ctx, text, parser, open).run(end);
    settle(ctx, result)
}

fn container_bytes(ctx: &Ctx, value: Value) -> usize {
    match ctx.as_list(value) {
        Some(items) => items.len() * 16,
        None if value.is_kind(Kind::Map) => ops::map::len(value) * 64,
        None => 0,
    }
}

struct Step<'a, 'c> {
    ctx: &'a mut Ctx<'c>,
    text: &'c str,
    bytes: &'c [u8],
    parser: &'a mut Parser,
    open: Vec<Value>,
}

impl<'a, 'c> Step<'a, 'c> {
    fn new(
        ctx: &'a mut Ctx<'c>,
        text: &'c str,
        parser: &'a mut Parser,
        open: Vec<Value>,
    ) -> Step<'a, 'c> {
        Step {
            ctx,
            text,
            bytes: text.as_bytes(),
            parser,
            open,
        }
    }

    fn run(mut self, end: usize) -> NativeResult {
        loop {
            if self.parser.long == Long::Ready {
                self.parser.long = Long::Nothing;
                let value = self.open.pop().unwrap_or(Value::NIL);
                match self.parser.expect {
                    Expect::Key | Expect::KeyOrEnd => self.value_of(value)?,
                    _ => self.complete(value)?,
                }
            }
            if self.parser.position >= end || self.parser.long != Long::Nothing {
                return self.ctx.list(&self.open);
            }
            let found = self.next_visible();
            if found.is_none() && self.parser.position < self.bytes.len() {
                continue;
            }
            match self.parser.expect {
                Expect::Value => self.value(found)?,
                Expect::ValueOrEnd if found == Some(b']') => self.close()?,
                Expect::ValueOrEnd => self.value(found)?,
                Expect::KeyOrEnd if found == Some(b'}') => self.close()?,
                Expect::Key | Expect::KeyOrEnd => self.key(found)?,
                Expect::CommaOrEnd => {
                    let is_object = self.parser.kinds.last() == Some(&true);
                    match (found, is_object) {
                        (Some(b','), _) => {
                            self.parser.position += 1;
                            self.parser.expect = if is_object {
                                Expect::Key
                            } else {
                                Expect::Value
                            };
                        }
                        (Some(b'}'), true) | (Some(b']'), false) => self.close()?,
                        _ => {
                            let wanted = if is_object {
                                "a comma or }"
                            } else {
                                "a comma or ]"
                            };
                            return Err(self.unexpected(wanted));
                        }
                    }
                }
                Expect::End => {
                    if found.is_some() {
                        return Err(self.unexpected("the end of the text"));
                    }
                    self.parser.is_done = true;
                    return Ok(self.open[0]);
                }
            }
        }
    }

    /// Skips white space; the byte behind it. `None`: the text ends, or there may be more white space.
    fn next_visible(&mut self) -> Option<u8> {
        let near = self.bytes.len().min(self.parser.position + 2 * STEP_BYTES);
        for i in self.parser.position..near {
            if !matches!(self.bytes[i], b' ' | b'\n' | b'\r' | b'\t') {
                self.parser.position = i;
                return Some(self.bytes[i]);
            }
        }
        self.parser.position = near;
        None
    }

    fn value(&mut self, first: Option<u8>) -> Result<(), Trap> {
        let value = match first {
            Some(b'{') => return self.enter(true),
            Some(b'[') => return self.enter(false),
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Value::TRUE)?,
            Some(b'f') => self.word("false", Value::FALSE)?,
            Some(b'n') => self.word("null", Value::NIL)?,
            _ => return Err(self.unexpected("a value")),
        };
        if self.parser.long != Long::Nothing {
            return Ok(());
        }
        self.complete(value)
    }

    fn enter(&mut self, is_object: bool) -> Result<(), Trap> {
        let most = self.parser.max_depth;
        if self.parser.kinds.len() >= most {
            return Err(self.fail(format!("nested deeper than {most} levels")));
        }
        let container = if is_object {
            self.ctx.map()?
        } else {
            self.ctx.list(&[])?
        };
        self.open.push(container);
        self.parser.kinds.push(is_object);
        self.parser.position += 1;
        self.parser.expect = if is_object {
            Expect::KeyOrEnd
        } else {
            Expect::ValueOrEnd
        };
        Ok(())
    }

    fn close(&mut self) -> Result<(), Trap> {
        self.parser.position += 1;
        self.parser.kinds.pop();
        let container = self.open.pop().unwrap_or(Value::NIL);
        self.complete(container)
    }

    /// Puts a finished value where it belongs.
    fn complete(&mut self, value: Value) -> Result<(), Trap> {
        self.parser.expect = Expect::CommaOrEnd;
        match self.parser.kinds.last() {
            None => {
                self.open.push(value);
                self.parser.expect = Expect::End;
                Ok(())
            }
            Some(false) => self.ctx.list_push(self.open[self.open.len() - 1], value),
            Some(true) => {
                let key = self.open.pop().unwrap_or(Value::NIL);
                self.ctx.map_set(self.open[self.open.len() - 1], key, value)
            }
        }
    }

    fn key(&mut self, first: Option<u8>) -> Result<(), Trap> {
        if first != Some(b'"') {
            return Err(self.unexpected("a key in double quotes"));
        }
        let key = self.string()?;
        if self.parser.long != Long::Nothing {
            return Ok(());
        }
        self.value_of(key)
    }

    /// Behind a key.
    fn value_of(&mut self, key: Value) -> Result<(), Trap> {
        let mut found = self.next_visible();
        while found.is_none() && self.parser.position < self.bytes.len() {
            found = self.next_visible();
        }
        if found != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.parser.position += 1;
        self.open.push(key);
        self.parser.expect = Expect::Value;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Trap> {
        if !self.bytes[self.parser.position..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.parser.position += word.len();
        Ok(value)
    }

    /// The string at the position, unless it is long.
    fn string(&mut self) -> NativeResult {
        let start = self.parser.position + 1;
        let most = start + LONG_TEXT;
        let mut i = start;
        loop {
            match self.bytes.get(i) {
                Some(b'"') => {
                    self.parser.position = i + 1;
                    return Ok(self.ctx.str(&self.text[start..i]));
                }
                Some(b'\\') => break,
                Some(0..0x20) | None => return Err(self.bad_string(i)),
                Some(_) if i >= most => return Ok(self.is_long()),
                Some(_) => i += 1,
            }
        }
        let mut out = String::from(&self.text[start..i]);
        let mut from = i;
        loop {
            match self.bytes.get(i) {
                Some(b'"') => {
                    out.push_str(&self.text[from..i]);
                    self.parser.position = i + 1;
                    return Ok(self.ctx.str(&out));
                }
                _ if i >= most => return Ok(self.is_long()),
                Some(b'\\') => {
                    out.push_str(&self.text[from..i]);
                    i = self.escape(i + 1, &mut out)?;
                    from = i;
                }
                Some(0..0x20) | None => return Err(self.bad_string(i)),
                Some(_) => i += 1,
            }
        }
    }

    /// Leaves the string at the position to steps.
    fn is_long(&mut self) -> Value {
        self.parser.long = Long::Text;
        self.parser.position += 1;
        Value::UNSET
    }

    /// Appends a part of a long string to `out`; false if it was the last.
    fn string_part(&mut self, out: &mut String) -> Result<bool, Trap> {
        let mut from = self.parser.position;
        let most = from + STEP_BYTES;
        let mut i = from;
        loop {
            match self.bytes.get(i) {
                Some(b'"') => {
                    out.push_str(&self.text[from..i]);
                    self.parser.position = i + 1;
                    self.parser.long = Long::Ready;
                    return Ok(false);
                }
                Some(_) if i >= most && self.text.is_char_boundary(i) => {
                    out.push_str(&self.text[from..i]);
                    self.parser.position = i;
                    return Ok(true);
                }
                Some(b'\\') => {
                    out.push_str(&self.text[from..i]);
                    i = self.escape(i + 1, out)?;
                    from = i;
                }
                Some(0..0x20) | None => return Err(self.bad_string(i)),
                Some(_) => i += 1,
            }
        }
    }

    fn bad_string(&mut self, at: usize) -> Trap {
        self.parser.position = at;
        match self.bytes.get(at) {
            None => self.fail("unterminated string".into()),
            Some(byte) => self.fail(format!("control character \\u{byte:04x} in a string")),
        }
    }

    /// Reads what follows a backslash at `i - 1`; gives the position behind it.
    fn escape(&mut self, i: usize, out: &mut String) -> Result<usize, Trap> {
        let c = match self.bytes.get(i) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(i + 1, out),
            _ => {
                self.parser.position = i - 1;
                return Err(self.fail("unknown escape in a string".into()));
            }
        };
        out.push(c);
        Ok(i + 1)
    }

    fn unicode_escape(&mut self, i: usize, out: &mut String) -> Result<usize, Trap> {
        let hex = |at: usize| {
            let digits = self.bytes.get(at..at + 4)?;
            if !digits.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let Some(unit) = hex(i) else {
            self.parser.position = i - 2;
            return Err(self.fail("\\u needs four hexadecimal digits".into()));
        };
        if let Some(c) = char::from_u32(unit) {
            out.push(c);
            return Ok(i + 4);
        }
        // A surrogate: two of them make a character, a lone one makes none.
        if unit < 0xdc00
            && self.bytes[i + 4..].starts_with(b"\\u")
            && let Some(low) = hex(i + 6)
            && (0xdc00..0xe000).contains(&low)
            && let Some(c) = char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00))
        {
            out.push(c);
            return Ok(i + 10);
        }
        self.parser.position = i - 2;
        Err(self.fail("lone surrogate in a string".into()))
    }

    fn number(&mut self) -> NativeResult {
        let start = self.parser.position;
        let mut i = start;
        let digits = |mut i: usize| {
            while self.bytes.get(i).is_some_and(u8::is_ascii_digit) {
                i += 1;
            }
            i
        };
        if self.bytes[i] == b'-' {
            i += 1;
        }
        let first = i;
        i = digits(i);
        let mut is_valid = i > first && (self.bytes[first] != b'0' || i == first + 1);
        let mut is_float = false;
        if self.bytes.get(i) == Some(&b'.') {
            is_float = true;
            let fraction = i + 1;
            i = digits(fraction);
            is_valid &= i > fraction;
        }
        if matches!(self.bytes.get(i), Some(b'e' | b'E')) {
            is_float = true;
            i += 1;
            if matches!(self.bytes.get(i), Some(b'+' | b'-')) {
                i += 1;
            }
            let exponent = i;
            i = digits(exponent);
            is_valid &= i > exponent;
        }
        let text = &self.text[start..i];
        if !is_valid {
            return Err(self.fail(format!("malformed number {}", cut(text))));
        }
        if !is_float && i - start > LONG_INT {
            self.parser.long = Long::Int(i);
            return Ok(Value::UNSET);
        }
        self.parser.position = i;
        if !is_float {
            if let Ok(n) = text.parse::<i64>() {
                return Ok(self.ctx.int(n));
            }
            let parsed = ops::int_text::parse(self.ctx.heap(), text);
            if let Some(n) = self.ctx.done(parsed)? {
                return Ok(n);
            }
        }
        match text.parse::<f64>() {
            Ok(f) if f.is_finite() => Ok(Value::float(f)),
            _ => {
                self.parser.position = start;
                Err(self.fail(format!("number {} is out of range", cut(text))))
            }
        }
    }

    fn unexpected(&mut self, wanted: &str) -> Trap {
        let found = match self.text[self.parser.position..].chars().next() {
            Some(c) => format!("{c:?}"),
            None => "the end of the text".into(),
        };
        self.fail(format!("expected {wanted}, found {found}"))
    }

    /// A `ValueError` at the current position.
    fn fail(&mut self, message: String) -> Trap {
        let before = &self.text[..self.parser.position.min(self.text.len())];
        let line = memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1;
        let start = memchr::memrchr(b'\n', before.as_bytes()).map_or(0, |i| i + 1);
        let column = before[start..].chars().count() + 1;
        self.ctx.throw(
            ErrorKind::Value,
            format!("json.parse: {message}, line {line}, column {column}"),
        )
    }
}

/// A text short enough for a message.
fn cut(text: &str) -> &str {
    &text[..text.len().min(40)]
}
