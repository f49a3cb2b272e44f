//! Addresses of the web, queries, and what `%` stands for in them.

use crate::support::{new_str, settle};
use heddle_vm::Value;
use heddle_vm::native::{Ctx, NativeResult};
use heddle_vm::types::ErrorKind;
use std::borrow::Cow;
use std::fmt::Write;

/// The part of a request's target behind scheme and host, if it has these: path and query, or the query alone.
pub(super) fn local_part(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    let Some((_, rest)) = target.split_once("://") else {
        return target;
    };
    rest.find(['/', '?']).map_or("/", |at| &rest[at..])
}

/// What a text with `%41` in it stands for (and `+`, in queries); as it is, if that is no UTF-8.
pub(super) fn decode(text: &str, is_query: bool) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if !bytes.iter().any(|&b| b == b'%' || (b == b'+' && is_query)) {
        return text.into();
    }
    let digit = |i: usize| bytes.get(i).and_then(|&b| (b as char).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 2;
            }
            (b'+', ..) if is_query => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    match String::from_utf8(out) {
        Ok(decoded) => decoded.into(),
        Err(_) => text.into(),
    }
}

/// `%41` for all bytes that are neither unreserved nor in `kept`.
fn encode(out: &mut String, text: &str, kept: &[u8]) {
    for &byte in text.as_bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain || kept.contains(&byte) {
            out.push(byte as char);
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Where a request goes to.
#[derive(Debug, PartialEq, Eq)]
struct Url {
    scheme: String,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    /// Path and query, as they are sent.
    target: String,
}

impl Url {
    fn parse(text: &str) -> Result<Url, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match scheme.as_str() {
            "http" => 80,
            "https" => 443,
            _ => return Err("its scheme is neither http nor https"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, local) = rest.split_at(end);
        if authority.contains('@') {
            return Err("a name and password belong into the header Authorization");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, rest) = inner.split_once(']').ok_or("its host is malformed")?;
                (host, rest.strip_prefix(':').unwrap_or(rest))
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._~:%".contains(&b);
        if host.is_empty() || !host.bytes().all(is_host) {
            return Err("its host is malformed");
        }
        let port = match port {
            "" => default_port,
            port if port.bytes().all(|b| b.is_ascii_digit()) => {
                port.parse().map_err(|_| "its port is out of range")?
            }
            _ => return Err("its port is malformed"),
        };
        let local = local.split('#').next().unwrap_or_default();
        let mut target = String::new();
        if !local.starts_with('/') {
            target.push('/');
        }
        encode(&mut target, local, b"!#$%&'()*+,/:;=?@[]");
        Ok(Url {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
            target,
        })
    }
}

/// What a `Location` means at the place where it was said.
fn resolve(base: &str, location: &str) -> String {
    let scheme_end = base.find("://").unwrap_or(0);
    let has_scheme = location
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric()));
    if has_scheme {
        return location.into();
    }
    if location.starts_with("//") {
        return format!("{}:{location}", &base[..scheme_end]);
    }
    let from = scheme_end + 3;
    let rest = base.get(from..).unwrap_or_default();
    let root_end = from + rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (root, local) = base.split_at(root_end.min(base.len()));
    if location.starts_with('/') {
        return format!("{root}{location}");
    }
    let path = local.split(['?', '#']).next().unwrap_or_default();
    if location.starts_with('?') || location.is_empty() {
        return format!("{root}{path}{location}");
    }
    let (location, query) = match location.find(['?', '#']) {
        Some(at) => location.split_at(at),
        None => (location, ""),
    };
    let folder = path.rfind('/').map_or("", |at| &path[..at]);
    let mut parts: Vec<&str> = folder.split('/').skip(1).collect();
    let ends_open = location.ends_with('/') || location.ends_with("..") || location == ".";
    for part in location.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let slash = if ends_open && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    format!("{root}/{}{slash}{query}", parts.join("/"))
}

/// `http.__url(text)`: scheme, host, port and target. Throws ValueError.
pub(super) fn url(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    ctx.reserve(4 * text.len() + 512)?;
    match Url::parse(text) {
        Ok(url) => {
            let scheme = ctx.str(&url.scheme);
            let host = ctx.str(&url.host);
            let target = ctx.str(&url.target);
            ctx.tuple(&[scheme, host, Value::small_int(url.port.into()), target])
        }
        Err(reason) => {
            let shown = ctx.repr_short(ctx.arg(0));
            let message = format!("http: {shown} is no address of the web: {reason}");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}
/// `http.__resolve(base, location)`
pub(super) fn resolved(ctx: &mut Ctx) -> NativeResult {
    let url = resolve(ctx.str_arg(0)?, ctx.str_arg(1)?);
    new_str(ctx, &url)
}
/// A value takes so many bytes per byte of a query, at most: each `a` of `a&a&…` becomes an entry.
const BYTES_PER_BYTE: usize = 128;
/// `http.decode_query(text)`
pub(super) fn decode_query(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    ctx.reserve(1024 + text.len() * BYTES_PER_BYTE)?;
    ctx.charge(text.len());
    let map = ctx.map()?;
    for part in text.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let name = ctx.str(&decode(name, true));
        let value = ctx.str(&decode(value, true));
        let set = ctx.map_set(map, name, value);
        settle(ctx, set)?;
    }
    Ok(map)
}
/// `http.encode(text)`
pub(super) fn encode_part(ctx: &mut Ctx) -> NativeResult {
    let mut out = String::new();
    encode(&mut out, ctx.str_arg(0)?, b"");
    new_str(ctx, &out)
}
/// `http.decode(text)`
pub(super) fn decode_part(ctx: &mut Ctx) -> NativeResult {
    let out = decode(ctx.str_arg(0)?, false);
    new_str(ctx, &out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<(String, u16, String), &'static str> {
        Url::parse(text).map(|url| (url.host, url.port, url.target))
    }

    #[test]
    fn addresses() {
        for (text, host, port, target) in [
            ("http://A.b", "a.b", 80, "/"),
            ("https://a/x?y#z", "a", 443, "/x?y"),
            ("HTTP://a:8080?q", "a", 8080, "/?q"),
            ("http://[::1]:81/ä b\r\n", "::1", 81, "/%C3%A4%20b%0D%0A"),
            ("http://[::1]/%41", "::1", 80, "/%41"),
        ] {
            let wanted = (host.to_string(), port, target.to_string());
            assert_eq!(url(text), Ok(wanted), "{text}");
        }
        for text in [
            "a",
            "ftp://a",
            "http://",
            "http://a:x",
            "http://a:99999",
            "http://u@a",
            "http://a b",
            "http://[::1",
            "http://a\r\n",
        ] {
            assert!(url(text).is_err(), "{text}");
        }
    }
    #[test]
    fn locations() {
        for (location, wanted) in [
            ("http://b/", "http://b/"),
            ("//b/c", "http://b/c"),
            ("/c", "http://a:1/c"),
            ("c", "http://a:1/x/c"),
            ("../c/./d?e=/..", "http://a:1/c/d?e=/.."),
            ("../../../c", "http://a:1/c"),
            ("?n", "http://a:1/x/y?n"),
            ("..", "http://a:1/"),
            ("c/", "http://a:1/x/c/"),
        ] {
            assert_eq!(resolve("http://a:1/x/y?q", location), wanted, "{location}");
        }
        assert_eq!(resolve("http://a", "c"), "http://a/c");
    }
    #[test]
    fn percent_signs() {
        assert_eq!(decode("a%20b+c", false), "a b+c");
        assert_eq!(decode("a%20b+c%2", true), "a b c%2");
        assert_eq!(decode("%ff", false), "%ff");
        assert_eq!(local_part("http://a"), "/");
        assert_eq!(local_part("http://a/b?c://d"), "/b?c://d");
        assert_eq!(local_part("/b://c"), "/b://c");
    }
}
