//! Where the values of a JSON text that comes in chunks begin and end.
//!
//! The scanner counts brackets and looks for the ends of strings; what stands between is left to the parser, which reads one value at a
//! time. So no more than a value is held, and whatever is wrong within one is found there.

use crate::prelude::builder::Builder;
use heddle_vm::Value;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;

/// Bytes read in one step.
const STEP_BYTES: usize = 64 * 1024;

/// Outside of values: what may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// A value, or the end of the text.
    Value,
    /// Behind `[` of the container whose items are given.
    ItemOrEnd,
    Item,
    /// Behind an item.
    CommaOrEnd,
    /// Behind `{`.
    KeyOrEnd,
    Key,
    Colon,
    /// Behind the container.
    Nothing,
}

/// Within a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Nothing,
    /// A number or word.
    Scalar,
    String,
    /// So many brackets are open.
    Container(usize),
    StringIn(usize),
}

pub(super) struct Scanner {
    by_items: bool,
    is_object: bool,
    expect: Expect,
    within: Within,
    is_escaped: bool,
    max_bytes: usize,
    /// Of the value that is being read: its text, and the bytes at its end that are no whole character yet.
    text: Builder,
    rest: Vec<u8>,
    /// Bytes of the chunks before this one, and where the value began.
    passed: usize,
    start: usize,
}

/// `json.__scanner(by_items, max_bytes)`
pub(super) fn new_scanner(ctx: &mut Ctx) -> NativeResult {
    let max_bytes = match ctx.opt_int_arg(1)? {
        None => usize::MAX,
        Some(n) if n >= 1 => n as usize,
        Some(n) => {
            let message = format!("json: max_bytes must be at least 1, got {n}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    let scanner = Scanner {
        by_items: ctx.arg(0).is_truthy(),
        is_object: false,
        expect: Expect::Value,
        within: Within::Nothing,
        is_escaped: false,
        max_bytes,
        text: Builder::default(),
        rest: Vec::new(),
        passed: 0,
        start: 0,
    };
    Ok(ctx.host(Box::new(scanner), "json scanner"))
}

/// What ended a look at bytes.
enum Found {
    /// A value ends in front of this byte.
    End(usize),
    /// All bytes belong to a value, or to nothing.
    More,
}

impl Scanner {
    fn fail(&self, ctx: &mut Ctx, at: usize, message: &str) -> Trap {
        let at = self.passed + at;
        ctx.throw(
            ErrorKind::Value,
            format!("json.stream: {message}, at byte {at}"),
        )
    }

    /// Passes over what stands between values; where the next one begins.
    fn skip(&mut self, ctx: &mut Ctx, bytes: &[u8], from: usize) -> Result<Option<usize>, Trap> {
        for (i, &byte) in bytes.iter().enumerate().skip(from) {
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                continue;
            }
            let (expect, wanted) = match (self.expect, byte) {
                (Expect::Value, b'[' | b'{') if self.by_items => {
                    self.is_object = byte == b'{';
                    let next = match byte {
                        b'{' => Expect::KeyOrEnd,
                        _ => Expect::ItemOrEnd,
                    };
                    (Some(next), "")
                }
                (Expect::Value, _) if self.by_items => (None, "expected a list or an object"),
                (Expect::ItemOrEnd, b']') | (Expect::KeyOrEnd, b'}') => (Some(Expect::Nothing), ""),
                (Expect::CommaOrEnd, b']') if !self.is_object => (Some(Expect::Nothing), ""),
                (Expect::CommaOrEnd, b'}') if self.is_object => (Some(Expect::Nothing), ""),
                (Expect::CommaOrEnd, b',') => {
                    let next = match self.is_object {
                        true => Expect::Key,
                        false => Expect::Item,
                    };
                    (Some(next), "")
                }
                (Expect::Colon, b':') => (Some(Expect::Item), ""),
                (Expect::Key | Expect::KeyOrEnd, b'"') => return Ok(Some(i)),
                (Expect::Value | Expect::Item | Expect::ItemOrEnd, b',' | b':' | b']' | b'}') => {
                    (None, "expected a value")
                }
                (Expect::Value | Expect::Item | Expect::ItemOrEnd, _) => return Ok(Some(i)),
                (Expect::CommaOrEnd, _) if self.is_object => (None, "expected a comma or }"),
                (Expect::CommaOrEnd, _) => (None, "expected a comma or ]"),
                (Expect::Key | Expect::KeyOrEnd, _) => (None, "expected a key in double quotes"),
                (Expect::Colon, _) => (None, "expected a colon"),
                (Expect::Nothing, _) => (None, "expected the end of the text"),
            };
            match expect {
                Some(expect) => self.expect = expect,
                None => return Err(self.fail(ctx, i, wanted)),
            }
        }
        Ok(None)
    }

    /// Looks for the end of the value that the bytes go on with.
    fn value(&mut self, bytes: &[u8]) -> Found {
        let mut i = 0;
        while i < bytes.len() {
            match self.within {
                Within::Scalar => {
                    let is_end = |b: &u8| b" \n\r\t,:[]{}\"".contains(b);
                    match bytes[i..].iter().position(is_end) {
                        Some(length) => return Found::End(i + length),
                        None => return Found::More,
                    }
                }
                Within::String | Within::StringIn(_) => {
                    if self.is_escaped {
                        self.is_escaped = false;
                        i += 1;
                        continue;
                    }
                    let Some(length) = memchr::memchr2(b'"', b'\\', &bytes[i..]) else {
                        return Found::More;
                    };
                    i += length + 1;
                    if bytes[i - 1] == b'\\' {
                        self.is_escaped = true;
                    } else if let Within::StringIn(depth) = self.within {
                        self.within = Within::Container(depth);
                    } else {
                        return Found::End(i);
                    }
                }
                Within::Container(depth) => {
                    i += 1;
                    match bytes[i - 1] {
                        b'"' => self.within = Within::StringIn(depth),
                        b'[' | b'{' => self.within = Within::Container(depth + 1),
                        b']' | b'}' if depth == 1 => return Found::End(i),
                        b']' | b'}' => self.within = Within::Container(depth - 1),
                        _ => {}
                    }
                }
                Within::Nothing => {
                    self.within = match bytes[i] {
                        b'"' => Within::String,
                        b'[' | b'{' => Within::Container(1),
                        _ => Within::Scalar,
                    };
                    // A scalar has a first byte, whatever it is.
                    i += 1;
                }
            }
        }
        Found::More
    }

    /// Appends bytes to the text of the value.
    fn take(&mut self, ctx: &mut Ctx, bytes: &[u8], at: usize) -> Result<(), Trap> {
        if self.text.bytes() + self.rest.len() + bytes.len() > self.max_bytes {
            let message = format!("a value is longer than {} bytes", self.max_bytes);
            return Err(self.fail(ctx, at, &message));
        }
        let mut joined;
        let mut bytes = bytes;
        if !self.rest.is_empty() {
            joined = std::mem::take(&mut self.rest);
            joined.extend_from_slice(bytes);
            bytes = &joined;
        }
        let whole = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) if e.error_len().is_none() => {
                let (whole, rest) = bytes.split_at(e.valid_up_to());
                self.rest = rest.to_vec();
                std::str::from_utf8(whole).unwrap_or_default()
            }
            Err(_) => return Err(self.fail(ctx, at, "the text is no UTF-8")),
        };
        self.text.push(whole);
        Ok(())
    }

    /// The value that has come to its end: (a builder of its text, where it began, whether it is a key).
    fn finish(&mut self, ctx: &mut Ctx) -> Result<[Value; 3], Trap> {
        if !self.rest.is_empty() {
            return Err(self.fail(ctx, 0, "the text is no UTF-8"));
        }
        let is_key = matches!(self.expect, Expect::Key | Expect::KeyOrEnd);
        self.expect = match self.expect {
            Expect::Value => Expect::Value,
            _ if is_key => Expect::Colon,
            _ => Expect::CommaOrEnd,
        };
        self.within = Within::Nothing;
        let text = std::mem::take(&mut self.text);
        let text = ctx.host(Box::new(text), "text builder");
        Ok([text, ctx.int(self.start as i64), Value::bool(is_key)])
    }
}

/// `json.__scan(scanner, chunk, at)`: reads a chunk of text or bytes from byte `at` on, up to the end of a value. Gives where to go on (nil at the
/// chunk's end), and of the value the builder, the byte at which it began, and whether it is a key; nil if none has ended.
pub(super) fn scan(ctx: &mut Ctx) -> NativeResult {
    let scanner = ctx.host_arg::<Scanner>(0)?;
    let chunk = ctx.arg(1);
    let text = ctx.as_str(chunk).map(str::as_bytes);
    let Some(chunk) = text.or_else(|| ctx.as_bytes(chunk)) else {
        return Err(ctx.wrong_type(1, "a string or bytes"));
    };
    let mut at = (ctx.int_arg(2)?.max(0) as usize).min(chunk.len());
    ctx.reserve(scanner.text.bytes() + 2 * STEP_BYTES)?;
    let stop = chunk.len().min(at + STEP_BYTES);
    let begin = at;
    let mut value = [Value::NIL; 3];
    if scanner.within == Within::Nothing {
        match scanner.skip(ctx, &chunk[..stop], at)? {
            Some(first) => {
                scanner.start = scanner.passed + first;
                at = first;
            }
            None => at = stop,
        }
    }
    if at < stop {
        let found = scanner.value(&chunk[at..stop]);
        let end = match found {
            Found::End(length) => at + length,
            Found::More => stop,
        };
        scanner.take(ctx, &chunk[at..end], at)?;
        at = end;
        if matches!(found, Found::End(_)) {
            value = scanner.finish(ctx)?;
        }
    }
    ctx.charge((at - begin) / 16);
    let next = if at < chunk.len() {
        ctx.int(at as i64)
    } else {
        scanner.passed += chunk.len();
        Value::NIL
    };
    ctx.tuple(&[next, value[0], value[1], value[2]])
}

/// `json.__scan_end(scanner)`: the text has come to its end. The last value, as `scan` gives it, or nil.
pub(super) fn scan_end(ctx: &mut Ctx) -> NativeResult {
    let scanner = ctx.host_arg::<Scanner>(0)?;
    match scanner.within {
        Within::Scalar if scanner.expect == Expect::Value => {
            let value = scanner.finish(ctx)?;
            return ctx.tuple(&[Value::NIL, value[0], value[1], value[2]]);
        }
        Within::Nothing if scanner.expect == Expect::Nothing => {}
        Within::Nothing if scanner.expect == Expect::Value && !scanner.by_items => {}
        _ => return Err(scanner.fail(ctx, 0, "the text ends too early")),
    }
    ctx.nil()
}

#[cfg(test)]
mod tests {
    use super::{Found, Scanner, Within};
    use crate::prelude::builder::Builder;

    fn ends(text: &str) -> Option<usize> {
        let mut scanner = Scanner {
            by_items: false,
            is_object: false,
            expect: super::Expect::Value,
            within: Within::Nothing,
            is_escaped: false,
            max_bytes: usize::MAX,
            text: Builder::default(),
            rest: Vec::new(),
            passed: 0,
            start: 0,
        };
        match scanner.value(text.as_bytes()) {
            Found::End(at) => Some(at),
            Found::More => None,
        }
    }

    #[test]
    fn values_end_where_they_end() {
        for (text, end) in [
            ("12 ", Some(2)),
            ("12", None),
            ("true,", Some(4)),
            (r#""a\"b" "#, Some(6)),
            (r#""a\\" "#, Some(5)),
            (r#"[1, "]", {}] "#, Some(12)),
            (r#"{"a": "}"}{"#, Some(10)),
            ("[[]", None),
        ] {
            assert_eq!(ends(text), end, "{text}");
        }
    }
}
