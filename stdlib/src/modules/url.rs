//! `url`: addresses in parts (RFC 3986). Names of hosts are not mapped to ASCII, and schemes have no rules of their own.

use crate::prelude::builder::{BYTES_PER_UNIT, Builder};
use crate::support::{new_str, wrong};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use std::fmt::Write as _;

/// Bytes of text read in one step.
const STEP_BYTES: usize = 64 * 1024;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "url",
    functions: natives! {
        plain "url.__split" (text) => split;
        plain "url.__join" (base, reference) => join;
        plain "url.__encode" (text, keep) => encode;
        plain "url.__encode_step" (builder, text, keep, at) => encode_step;
        plain "url.__decode" (text, plus, is_lenient) => decode;
        plain "url.__decoder" (plus, is_lenient) => |ctx| { let decoder = Decoder::new(ctx.arg(0).is_truthy(), ctx.arg(1).is_truthy()); Ok(ctx.host(Box::new(decoder), "url decoder")) };
        plain "url.__decode_step" (decoder, builder, text, at) => decode_step;
        plain "url.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("url")),
};

/// A reference in parts, as they stand in it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Result<Parts<'a>, &'static str> {
        if text.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err("it contains white space or control characters");
        }
        let (rest, fragment) = cut(text, '#');
        let (rest, query) = cut(rest, '?');
        let (scheme, rest) = match rest.find([':', '/']) {
            Some(at) if rest.as_bytes()[at] == b':' => (Some(&rest[..at]), &rest[at + 1..]),
            _ => (None, rest),
        };
        if let Some(scheme) = scheme {
            let mut bytes = scheme.bytes();
            let is_letter = bytes.next().is_some_and(|b| b.is_ascii_alphabetic());
            if !is_letter || !bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
                return Err("its scheme is malformed");
            }
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        Ok(Parts {
            scheme,
            authority,
            path,
            query,
            fragment,
        })
    }

    fn text(&self, path: &str) -> String {
        let mut out = String::new();
        if let Some(scheme) = self.scheme {
            out += scheme;
            out.push(':');
        }
        if let Some(authority) = self.authority {
            out += "//";
            out += authority;
        }
        out += path;
        for (mark, part) in [('?', self.query), ('#', self.fragment)] {
            if let Some(part) = part {
                out.push(mark);
                out += part;
            }
        }
        out
    }
}

/// What precedes a mark, and what follows it.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, behind)) => (before, Some(behind)),
        None => (text, None),
    }
}

/// An authority in parts: name and password, host without brackets, port.
struct Authority<'a> {
    user: Option<&'a str>,
    password: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    fn of(text: &'a str) -> Result<Authority<'a>, &'static str> {
        let (login, place) = match text.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[') {
            Some(inner) => {
                let (host, rest) = inner
                    .split_once(']')
                    .ok_or("its host has no closing bracket")?;
                let is_address = |b: u8| b.is_ascii_alphanumeric() || b":.%-_~".contains(&b);
                if !host.contains(':') || !host.bytes().all(is_address) {
                    return Err("its host is no IPv6 address");
                }
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => return Err("something follows the bracket of its host"),
                }
            }
            None => cut(place, ':'),
        };
        if host.contains(['[', ']', '<', '>', '"', '\\', '^', '`', '{', '|', '}']) {
            return Err("its host is malformed");
        }
        let port = match port {
            None | Some("") => None,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => {
                Some(port.parse().map_err(|_| "its port is out of range")?)
            }
            Some(_) => return Err("its port is malformed"),
        };
        let (user, password) = match login.map(|login| cut(login, ':')) {
            Some((user, password)) => (Some(user), password),
            None => (None, None),
        };
        Ok(Authority {
            user,
            password,
            host,
            port,
        })
    }
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    let is_absolute = path.starts_with('/');
    let mut ends_open = false;
    for part in path.split('/').skip(usize::from(is_absolute)) {
        ends_open = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    if ends_open {
        out.push("");
    }
    let slash = if is_absolute { "/" } else { "" };
    format!("{slash}{}", out.join("/"))
}

/// What a reference means at a base (RFC 3986, 5.2.2).
fn resolve(base: &Parts, reference: &Parts) -> String {
    if reference.scheme.is_some() {
        return reference.text(&without_dots(reference.path));
    }
    let mut target = Parts {
        scheme: base.scheme,
        authority: reference.authority,
        query: reference.query,
        fragment: reference.fragment,
        path: "",
    };
    if reference.authority.is_some() {
        return target.text(&without_dots(reference.path));
    }
    target.authority = base.authority;
    let path = match reference.path {
        "" => {
            target.query = reference.query.or(base.query);
            base.path.to_string()
        }
        path if path.starts_with('/') => without_dots(path),
        path if base.authority.is_some() && base.path.is_empty() => {
            without_dots(&format!("/{path}"))
        }
        path => {
            let folder = base.path.rfind('/').map_or("", |at| &base.path[..=at]);
            without_dots(&format!("{folder}{path}"))
        }
    };
    target.text(&path)
}

fn malformed(ctx: &mut Ctx, name: &str, i: usize, reason: &str) -> Trap {
    let shown = ctx.repr_short(ctx.arg(i));
    let message = format!("url.{name}: {shown} is no URL: {reason}");
    ctx.throw(ErrorKind::Value, message)
}

/// A URL is copied a few times.
const MAX_BYTES: usize = 1 << 20;

fn parts<'c>(ctx: &mut Ctx<'c>, name: &str, i: usize) -> Result<Parts<'c>, Trap> {
    let text = ctx.str_arg(i)?;
    ctx.reserve(8 * text.len() + 1024)?;
    if text.len() > MAX_BYTES {
        return Err(malformed(ctx, name, i, "it is longer than a megabyte"));
    }
    ctx.charge(text.len() / 16);
    let parts = Parts::of(text).map_err(|reason| malformed(ctx, name, i, reason))?;
    if let Some(authority) = parts.authority {
        Authority::of(authority).map_err(|reason| malformed(ctx, name, i, reason))?;
    }
    Ok(parts)
}

/// The parts for a `Url`.
fn split(ctx: &mut Ctx) -> NativeResult {
    let parts = parts(ctx, "parse", 0)?;
    let authority = match parts.authority.map(Authority::of) {
        None => None,
        Some(Ok(authority)) => Some(authority),
        Some(Err(reason)) => return Err(malformed(ctx, "parse", 0, reason)),
    };
    let decoded = |text: &str| {
        let mut decoder = Decoder::new(false, true);
        let mut out = String::new();
        // A lenient one does not fail.
        let _ = decoder.feed(text, 0, &mut out, true);
        out
    };
    let mut text = |text: Option<String>| text.map_or(Value::NIL, |text| ctx.str(&text));
    let scheme = text(parts.scheme.map(str::to_ascii_lowercase));
    let (mut user, mut password, mut host, mut port) = (Value::NIL, Value::NIL, Value::NIL, None);
    if let Some(authority) = authority {
        user = text(authority.user.map(decoded));
        password = text(authority.password.map(decoded));
        host = text(Some(authority.host.to_ascii_lowercase()));
        port = authority.port;
    }
    let path = text(Some(parts.path.into()));
    let query = text(parts.query.map(Into::into));
    let fragment = text(parts.fragment.map(Into::into));
    let port = port.map_or(Value::NIL, |port| Value::small_int(port.into()));
    ctx.tuple(&[scheme, user, password, host, port, path, query, fragment])
}

fn join(ctx: &mut Ctx) -> NativeResult {
    let base = parts(ctx, "join", 0)?;
    let reference = parts(ctx, "join", 1)?;
    if base.scheme.is_none() && reference.scheme.is_none() {
        return Err(malformed(
            ctx,
            "join",
            0,
            "it has no scheme, so nothing is relative to it",
        ));
    }
    new_str(ctx, &resolve(&base, &reference))
}

/// `%41` for all bytes that are neither unreserved nor in `kept`.
fn encoded(text: &[u8], kept: &str) -> String {
    let mut is_plain = [false; 256];
    for byte in (b'0'..=b'9').chain(b'a'..=b'z').chain(b'A'..=b'Z') {
        is_plain[usize::from(byte)] = true;
    }
    for byte in b"-._~"
        .iter()
        .chain(kept.as_bytes().iter().filter(|b| b.is_ascii()))
    {
        is_plain[usize::from(*byte)] = true;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for &byte in text {
        if is_plain[usize::from(byte)] {
            out.push(byte as char);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The text, or nil if making it takes steps.
fn encode(ctx: &mut Ctx) -> NativeResult {
    let (text, kept) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    if text.len() > STEP_BYTES {
        return Ok(Value::NIL);
    }
    ctx.reserve(3 * text.len())?;
    new_str(ctx, &encoded(text.as_bytes(), kept))
}

/// Appends the text of bytes from `at` on; gives where to go on, nil at the end.
fn encode_step(ctx: &mut Ctx) -> NativeResult {
    let builder = ctx.host_arg::<Builder>(0)?;
    let (text, kept) = (ctx.str_arg(1)?.as_bytes(), ctx.str_arg(2)?);
    let at = (ctx.int_arg(3)?.max(0) as usize).min(text.len());
    let end = text.len().min(at + STEP_BYTES);
    ctx.reserve(builder.bytes() + 3 * STEP_BYTES)?;
    ctx.charge(STEP_BYTES / BYTES_PER_UNIT * 8);
    builder.take(&mut encoded(&text[at..end], kept));
    Ok(next(ctx, end, text.len()))
}

/// Where to go on; nil at the end.
fn next(ctx: &mut Ctx, at: usize, length: usize) -> Value {
    if at < length {
        ctx.int(at as i64)
    } else {
        Value::NIL
    }
}

/// A text being decoded.
struct Decoder {
    plus: bool,
    /// What is malformed is left as it is.
    is_lenient: bool,
    /// The beginning of a character whose other bytes are still to come.
    rest: Vec<u8>,
}

impl Decoder {
    fn new(plus: bool, is_lenient: bool) -> Decoder {
        Decoder {
            plus,
            is_lenient,
            rest: Vec::new(),
        }
    }

    /// Appends what a part of a text stands for; gives how much of it was read: all if it is the last. An error is where and what is wrong.
    fn feed(
        &mut self,
        text: &str,
        from: usize,
        out: &mut String,
        is_last: bool,
    ) -> Result<usize, (usize, &'static str)> {
        let bytes = &text.as_bytes()[from..];
        let digit = |i: usize| bytes.get(i).and_then(|&b| (b as char).to_digit(16));
        let mut found = std::mem::take(&mut self.rest);
        found.reserve(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'%' if at + 2 >= bytes.len() && !is_last => break,
                b'%' => match (digit(at + 1), digit(at + 2)) {
                    (Some(high), Some(low)) => {
                        found.push((high * 16 + low) as u8);
                        at += 2;
                    }
                    _ if self.is_lenient => found.push(b'%'),
                    _ => return Err((from + at, "two hexadecimal digits must follow the %")),
                },
                b'+' if self.plus => found.push(b' '),
                byte => found.push(byte),
            }
            at += 1;
        }
        match std::str::from_utf8(&found) {
            Ok(text) => out.push_str(text),
            Err(e) if e.error_len().is_none() && !is_last => {
                let (whole, rest) = found.split_at(e.valid_up_to());
                out.push_str(&String::from_utf8_lossy(whole));
                self.rest = rest.to_vec();
            }
            Err(_) if self.is_lenient => out.push_str(&String::from_utf8_lossy(&found)),
            Err(_) => return Err((from, "it stands for bytes that are no UTF-8")),
        }
        Ok(from + at)
    }
}

fn not_decoded(ctx: &mut Ctx, (at, reason): (usize, &str)) -> Trap {
    ctx.throw(
        ErrorKind::Value,
        format!("url.decode: {reason}, at byte {at}"),
    )
}

/// The text, or nil if making it takes steps.
fn decode(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.len() > STEP_BYTES {
        return Ok(Value::NIL);
    }
    let mut decoder = Decoder::new(ctx.arg(1).is_truthy(), ctx.arg(2).is_truthy());
    if !text
        .bytes()
        .any(|b| b == b'%' || (b == b'+' && decoder.plus))
    {
        return Ok(ctx.arg(0));
    }
    let mut out = String::new();
    decoder
        .feed(text, 0, &mut out, true)
        .map_err(|fault| not_decoded(ctx, fault))?;
    new_str(ctx, &out)
}

/// Appends what a text from byte `at` on stands for; gives where to go on, nil at the end.
fn decode_step(ctx: &mut Ctx) -> NativeResult {
    let decoder = ctx.host_arg::<Decoder>(0)?;
    let builder = ctx.host_arg::<Builder>(1)?;
    let text = ctx.str_arg(2)?;
    let at = (ctx.int_arg(3)?.max(0) as usize).min(text.len());
    ctx.reserve(builder.bytes() + 2 * STEP_BYTES)?;
    ctx.charge(STEP_BYTES / BYTES_PER_UNIT * 4);
    let end = crate::prelude::builder::boundary(text, at + STEP_BYTES);
    let mut out = String::new();
    let read = decoder
        .feed(&text[..end], at, &mut out, end == text.len())
        .map_err(|fault| not_decoded(ctx, fault))?;
    builder.take(&mut out);
    Ok(next(ctx, read, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986, 5.4.
    #[test]
    fn references_are_resolved() {
        let base = Parts::of("http://a/b/c/d;p?q").expect("well formed");
        for (reference, wanted) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q#s"),
            ("g#s", "http://a/b/c/g#s"),
            ("g?y#s", "http://a/b/c/g?y#s"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./../g", "http://a/b/g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("g?y/./x", "http://a/b/c/g?y/./x"),
            ("g#s/../x", "http://a/b/c/g#s/../x"),
        ] {
            let parts = Parts::of(reference).expect("well formed");
            assert_eq!(resolve(&base, &parts), wanted, "{reference:?}");
        }
    }

    #[test]
    fn what_is_decoded_in_pieces_is_the_same() {
        let text = "a%C3%BCb%E2%82%ACü+%41%";
        let whole = {
            let mut out = String::new();
            let _ = Decoder::new(true, true).feed(text, 0, &mut out, true);
            out
        };
        assert_eq!(whole, "aüb€ü A%");
        for size in 1..text.len() {
            let mut decoder = Decoder::new(true, true);
            let (mut out, mut at, mut end) = (String::new(), 0, 0);
            while at < text.len() {
                end = crate::prelude::builder::boundary(text, (end + size).min(text.len()));
                at = decoder
                    .feed(&text[..end], at, &mut out, end == text.len())
                    .expect("lenient");
                end += usize::from(!text.is_char_boundary(end + 1));
            }
            assert_eq!(out, whole, "{size}");
        }
    }
}
