//! A client's side: connecting, sending, the response.

use super::parse::Refusal;
use super::respond::{is_token, write_chunk, write_fields};
use super::serving::{do_step, wire};
use super::wire::{Step, Wire};
use crate::modules::net::address::Address;
use crate::modules::net::socket::{Options, Socket};
use crate::modules::net::tls;
use crate::modules::net::transport::Transport;
use crate::support::{io_error, io_error_of};
use heddle_vm::Value;
use heddle_vm::io::Direction;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use std::io;

/// About what a connection takes.
const BYTES: usize = 1024;
/// Bytes of the head of a response, at most.
const MOST_HEAD: usize = 256 * 1024;

/// `http.__connect(address)`: a connection that is being made. Throws IoError.
pub(super) fn connect(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    ctx.reserve(BYTES)?;
    let faults = ctx.faults();
    let made = Address::parse(text)
        .and_then(|address| Socket::connect(&address, Options::default(), faults))
        .and_then(|socket| {
            // Requests are written whole: to wait for more of them only delays.
            let _ = socket.set_nodelay(true);
            let wire = Wire::new(Transport::new(socket, None), text);
            ctx.new_source("HttpConnection", wire, Wire::source)
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
            Err(io_error_of(ctx, "http.connect", &peer, &error))
        }
    }
}
/// `http.__secure(wire, server_name, roots, url)`: from now on it speaks TLS; `roots`: PEM text, or nil: whom the system trusts. Throws IoError.
pub(super) fn secure(ctx: &mut Ctx) -> NativeResult {
    if ctx.state == 0 {
        let session = tls::client_session(ctx, 1, 2, super::serving::protocols(&["1.1"]))?;
        let session = match session {
            Ok(session) => session,
            Err(error) => return Err(secure_error(ctx, &error)),
        };
        if let Some(transport) = &mut wire(ctx)?.0.line.lock().transport {
            transport.secure(session);
        }
        ctx.state = 1;
    }
    match super::serving::shake_hands(ctx)? {
        Ok(()) => ctx.nil(),
        Err(error) => Err(secure_error(ctx, &error)),
    }
}
fn secure_error(ctx: &mut Ctx, error: &io::Error) -> Trap {
    match ctx.str_arg(3) {
        Ok(url) => io_error_of(ctx, "http", url, error),
        Err(trap) => trap,
    }
}

/// The server has gone, or reads no more.
fn has_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
/// What a client sends is read no more: whether it may still have been answered, as servers do that refuse a body.
pub(super) fn stop_sending(wire: &Wire, error: &io::Error) -> bool {
    let is_over = wire.serving().is_none() && has_gone(error);
    if is_over {
        let mut line = wire.0.line.lock();
        (line.output, line.sent) = (Vec::new(), 0);
        line.has_stopped = true;
    }
    is_over
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
    let faults = ctx.faults();
    let done = ctx.try_io(0, "a connection", Direction::Write, |wire: &Wire, _| {
        wire.0.line.lock().write(more, faults)
    })?;
    match done {
        Ok(()) => ctx.nil(),
        Err(error) if stop_sending(wire, &error) => ctx.nil(),
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
        Err(error) if stop_sending(wire, &error) => ctx.nil(),
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
            if has_gone(&error) {
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
    let faults = ctx.faults();
    Ok(Value::bool(wire(ctx)?.0.line.lock().is_quiet(faults)))
}
