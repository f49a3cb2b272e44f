//! A client's side: connecting, sending, the response.

use super::parse::Refusal;
use super::respond::{is_token, write_chunk, write_fields};
use super::serving::{do_step, wire};
use super::wire::{Step, Wire};
use crate::support::{io_error, settle};
use heddle_vm::Value;
use heddle_vm::io::Direction;
use heddle_vm::native::{Ctx, NativeResult};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use mio::net::TcpStream;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// About what a connection takes.
const BYTES: usize = 1024;
/// Bytes of the head of a response, at most.
const MOST_HEAD: usize = 256 * 1024;

/// `http.__addresses(host, port)`: a list of the addresses of a host, as texts. Throws IoError.
pub(super) fn addresses(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let host = ctx.str_arg(0)?.to_string();
    let port = ctx.int_arg(1)? as u16;
    if let Ok(ip) = host.parse::<IpAddr>()
        && ctx.need_not_block()
    {
        let address = SocketAddr::new(ip, port);
        return address_list(ctx, &[address]);
    }
    ctx.block(
        move || {
            let found = (host.as_str(), port).to_socket_addrs();
            found.map(Vec::from_iter).map_err(|error| (host, error))
        },
        |ctx, found| match found {
            Ok(addresses) => address_list(ctx, &addresses),
            Err((host, error)) => Err(io_error(ctx, &host, &error)),
        },
    )
}
fn address_list(ctx: &mut Ctx, addresses: &[SocketAddr]) -> NativeResult {
    ctx.reserve(1024 + 128 * addresses.len())?;
    let texts: Vec<Value> = addresses
        .iter()
        .map(|address| ctx.str(&address.to_string()))
        .collect();
    let made = ctx.list(&texts);
    settle(ctx, made)
}

/// `http.__connect(address)`: a connection that is being made. Throws IoError.
pub(super) fn connect(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    ctx.reserve(BYTES)?;
    let made = text
        .parse::<SocketAddr>()
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "it is no address"))
        .and_then(TcpStream::connect)
        .and_then(|socket| {
            // Requests are written whole: to wait for more of them only delays.
            let _ = socket.set_nodelay(true);
            ctx.new_source(
                "HttpConnection",
                Wire::new(Box::new(socket), text),
                Wire::source,
            )
        });
    made.map_err(|error| io_error(ctx, text, &error))
}
/// `http.__connected(wire)`: waits until it is made. Throws IoError.
pub(super) fn connected(ctx: &mut Ctx) -> NativeResult {
    let done = ctx.try_io(
        0,
        "a connection",
        Direction::Write,
        |wire: &Wire, _| match &mut wire.0.line.lock().transport {
            Some(transport) => transport.is_connected(),
            None => Err(super::wire::closed()),
        },
    )?;
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => {
            let peer = wire(ctx)?.0.peer.clone();
            Err(io_error(ctx, &peer, &error))
        }
    }
}

/// Bytes of a body that go with the head.
const MOST_COPIED: usize = 64 * 1024;

/// `http.__send(wire, method, fields, target, host, body)`: sends the head of a request and its body: a string, bytes, nil for none, true for one that comes in chunks. Throws IoError, ValueError.
pub(super) fn send(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let body = ctx.arg_or_nil(5);
    let (bytes, has_chunks) = match ctx.as_str(body) {
        Some(text) => (Some(text.as_bytes()), false),
        None => (ctx.as_bytes(body), body == Value::TRUE),
    };
    let long = bytes.filter(|bytes| bytes.len() > MOST_COPIED);
    if ctx.state == 0 {
        let (method, target) = (ctx.str_arg(1)?, ctx.str_arg(3)?);
        if !is_token(method.as_bytes()) {
            let shown = ctx.repr_short(ctx.arg(1));
            let message = format!("http: {shown} is no method");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
        let mut out = Vec::with_capacity(256);
        for part in [
            method,
            " ",
            target,
            " HTTP/1.1\r\nhost: ",
            ctx.str_arg(4)?,
            "\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        write_fields(ctx, 2, &mut out, |_, _| {})?;
        match bytes {
            _ if has_chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Some(bytes) => out.extend(format!("content-length: {}\r\n", bytes.len()).bytes()),
            // Some servers insist.
            None if method == "POST" || method == "PUT" => {
                out.extend_from_slice(b"content-length: 0\r\n");
            }
            None => {}
        }
        out.extend_from_slice(b"\r\n");
        if let (Some(bytes), None) = (bytes, long) {
            out.extend_from_slice(bytes);
        }
        let mut line = wire.0.line.lock();
        line.begin_anew();
        line.message.has_chunks = has_chunks;
        line.output = out;
        ctx.state = 1;
    }
    let more = long.unwrap_or_default();
    let done = ctx.try_io(0, "a connection", Direction::Write, |wire: &Wire, _| {
        wire.0.line.lock().write(more)
    })?;
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => Err(io_error(ctx, &wire.0.peer, &error)),
    }
}
/// `http.__end_chunks(wire)`: the end of a body in chunks. Throws IoError.
pub(super) fn end_chunks(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    if ctx.state == 0 {
        let mut line = wire.0.line.lock();
        write_chunk(&mut line.output, b"", true);
        ctx.state = 1;
    }
    match do_step(ctx, &Step::Write)? {
        Ok(()) => ctx.nil(),
        Err(error) => Err(io_error(ctx, &wire.0.peer, &error)),
    }
}

/// `http.__response(wire, is_head, max_body)`: status, head and number of the response; nil if the connection ended before it began. Throws IoError.
pub(super) fn response(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let is_head = ctx.bool_arg(1)?;
    let max_body = ctx.opt_int_arg(2)?.map_or(u64::MAX, |n| n.max(0) as u64);
    loop {
        let next = {
            let mut line = wire.0.line.lock();
            match line.next_response(MOST_HEAD, is_head) {
                Ok(Ok((length, response))) => {
                    ctx.reserve(BYTES + length)?;
                    let head = ctx.bytes(line.head(length))?;
                    line.take_response(length, &response, is_head, max_body);
                    let status = Value::small_int(response.status.into());
                    let number = Value::small_int(line.message.number as i64);
                    return ctx.tuple(&[status, head, number]);
                }
                Ok(Err(step)) => Ok(step),
                Err(Refusal { reason, .. }) => Err(io::Error::other(reason)),
            }
        };
        let done = match next {
            Ok(Step::End) => return ctx.nil(),
            Ok(step) => do_step(ctx, &step)?,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            let has_gone = matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            );
            if has_gone {
                return ctx.nil();
            }
            return Err(io_error(ctx, &wire.0.peer, &error));
        }
    }
}

/// `http.__is_reusable(wire)`: the response is complete, and another request may follow.
pub(super) fn is_reusable(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::bool(wire(ctx)?.0.line.lock().is_reusable()))
}
/// `http.__is_quiet(wire)`: it is still as it was left.
pub(super) fn is_quiet(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::bool(wire(ctx)?.0.line.lock().is_quiet()))
}
