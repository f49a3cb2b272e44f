//! Addresses: `127.0.0.1:80`, `[::1]:80`, `example.com:80`, `unix:/path`.

use crate::support::{failure, io_error, new_str};
use heddle_vm::Value;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// In front of the path of a Unix-domain socket.
const UNIX: &str = "unix:";

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::modules) enum Address {
    Ip(SocketAddr),
    /// `None`: it has no name, like the side that connects.
    Unix(Option<Box<str>>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{UNIX}{}", path.as_deref().unwrap_or_default()),
        }
    }
}

impl Address {
    pub(in crate::modules) fn port(&self) -> Option<u16> {
        match self {
            Address::Ip(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }
    /// An address that needs no resolving.
    pub(in crate::modules) fn parse(text: &str) -> io::Result<Address> {
        if let Some(path) = text.strip_prefix(UNIX) {
            return match path {
                "" => Err(failure("invalid", "there is no path behind \"unix:\"")),
                path => Ok(Address::Unix(Some(path.into()))),
            };
        }
        let (host, port) = split(text)?;
        match literal(host) {
            Some(hosts) => Ok(Address::Ip(SocketAddr::new(hosts[0], port))),
            None => Err(failure(
                "invalid",
                "a name must be resolved first: net.resolve",
            )),
        }
    }
}

/// Host and port.
fn split(text: &str) -> io::Result<(&str, u16)> {
    let wrong = || {
        failure(
            "invalid",
            "an address is \"host:port\", \"[::1]:port\" or \"unix:/path\"",
        )
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port
        .parse()
        .map_err(|_| failure("invalid", "the port must be a number from 0 to 65535"))?;
    match host.strip_prefix('[') {
        Some(host) => Ok((host.strip_suffix(']').ok_or_else(wrong)?, port)),
        // What has colons must be in brackets.
        None if host.is_empty() || host.contains(':') => Err(wrong()),
        None => Ok((host, port)),
    }
}

/// The addresses of a host whose name says them.
fn literal(host: &str) -> Option<Vec<IpAddr>> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    host.parse().ok().map(|address| vec![address])
}

/// One of each kind after the other, as the system ordered them: if one kind cannot be reached, the second try is of the other.
fn interleaved(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let first_is_v6 = found.first().is_some_and(IpAddr::is_ipv6);
    let (a, b): (Vec<IpAddr>, Vec<IpAddr>) = found
        .into_iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let longest = a.len().max(b.len());
    let mut out = Vec::new();
    for i in 0..longest {
        for address in [a.get(i), b.get(i)].into_iter().flatten() {
            if !out.contains(address) {
                out.push(*address);
            }
        }
    }
    out
}

fn texts(ctx: &mut Ctx, texts: impl Iterator<Item = String>) -> NativeResult {
    let texts: Vec<String> = texts.collect();
    let bytes = texts.iter().map(|text| text.len() + 64).sum();
    ctx.reserve(bytes)?;
    let values: Vec<Value> = texts.iter().map(|text| ctx.str(text)).collect();
    ctx.list(&values)
}

/// `net.__address(address)`: the host whose addresses must be looked up, and the port; or nil and the addresses to try.
pub(in crate::modules) fn split_native(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    if text.starts_with(UNIX) {
        let whole = texts(ctx, [text.to_string()].into_iter())?;
        return ctx.tuple(&[Value::NIL, whole]);
    }
    let (host, port) = match split(text) {
        Ok(parts) => parts,
        Err(error) => return Err(io_error(ctx, text, &error)),
    };
    match literal(host) {
        Some(hosts) => {
            let all = hosts
                .into_iter()
                .map(|host| SocketAddr::new(host, port).to_string());
            let all = texts(ctx, all)?;
            ctx.tuple(&[Value::NIL, all])
        }
        None => {
            let host = new_str(ctx, host)?;
            ctx.tuple(&[host, Value::small_int(port.into())])
        }
    }
}

/// `net.__literal(host)`: the addresses that the host's name says, or nil.
pub(in crate::modules) fn literal_native(ctx: &mut Ctx) -> NativeResult {
    let host = ctx.str_arg(0)?;
    match literal(host) {
        Some(hosts) => texts(ctx, hosts.into_iter().map(|host| host.to_string())),
        None => ctx.nil(),
    }
}

/// `net.__resolve(host)`: asks the system.
pub(in crate::modules) fn resolve(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let host = host_arg(ctx)?;
    let asked = host.clone();
    let work = move || {
        let found = (asked.as_str(), 0).to_socket_addrs()?;
        Ok::<_, io::Error>(interleaved(found.map(|address| address.ip()).collect()))
    };
    ctx.block(work, move |ctx, found| match found {
        Ok(found) if !found.is_empty() => texts(ctx, found.iter().map(ToString::to_string)),
        Ok(_) => Err(io_error(ctx, &host, &no_address())),
        Err(error) => Err(io_error(ctx, &host, &lookup_error(&error))),
    })
}

fn host_arg(ctx: &mut Ctx) -> Result<String, Trap> {
    let host = ctx.str_arg(0)?;
    // 253 is what DNS allows.
    if host.is_empty() || host.len() > 253 || host.contains('\0') {
        let message = format!("net.resolve: {} is no name of a host", {
            let host = ctx.arg(0);
            ctx.repr_short(host)
        });
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok(host.to_string())
}

pub(in crate::modules) fn no_address() -> io::Error {
    failure("not found", "the name has no address")
}
/// The system's text begins with what the caller knows already.
fn lookup_error(error: &io::Error) -> io::Error {
    let text = error.to_string();
    let reason = text.rsplit(": ").next().unwrap_or(&text);
    failure("not found", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for text in ["127.0.0.1:80", "[::1]:0", "unix:/tmp/x", "unix:relative"] {
            let address = Address::parse(text).expect(text);
            assert_eq!(address.to_string(), text);
        }
        let local = Address::parse("localhost:1").expect("it is known");
        assert_eq!(local.to_string(), "127.0.0.1:1");
        for text in [
            "",
            ":",
            ":80",
            "x",
            "x:",
            "::1:80",
            "[::1:80",
            "[::1]80",
            "x:65536",
            "x:-1",
            "unix:",
            "example.com:80",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_take_turns() {
        let ip = |text: &str| text.parse::<IpAddr>().expect(text);
        let found = ["::1", "::2", "::1", "1.1.1.1", "1.1.1.2", "1.1.1.3"];
        let found = interleaved(found.into_iter().map(ip).collect());
        let expected = ["::1", "1.1.1.1", "::2", "1.1.1.2", "1.1.1.3"];
        assert_eq!(found, expected.map(ip));
        assert!(interleaved(Vec::new()).is_empty());
    }
}
