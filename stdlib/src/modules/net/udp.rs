//! Datagrams.

use super::address::Address;
use crate::support::{failure, io_error, new_str};
use heddle_vm::Value;
use heddle_vm::io::{Call, Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use mio::net::UdpSocket;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;

/// No datagram is longer.
const LONGEST: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; LONGEST].into());
}

/// A socket of datagrams; `None` when it is closed.
struct Udp {
    address: SocketAddr,
    socket: Mutex<Option<UdpSocket>>,
}

impl Resource for Udp {
    fn title(&self) -> String {
        format!("datagrams at {}", self.address)
    }
}

fn udp<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Udp, Trap> {
    ctx.resource_arg(0, "a Udp")
}
fn udp_error(ctx: &mut Ctx, error: &io::Error) -> Trap {
    match udp(ctx) {
        Ok(udp) => io_error(ctx, &udp.address.to_string(), error),
        Err(trap) => trap,
    }
}
fn closed() -> io::Error {
    failure("closed", "the socket is closed")
}
fn parse(text: &str) -> io::Result<SocketAddr> {
    match Address::parse(text)? {
        Address::Ip(address) => Ok(address),
        Address::Unix(_) => Err(failure("invalid", "datagrams have \"host:port\" addresses")),
    }
}

/// `net.__udp(address)`
pub(super) fn open(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    ctx.reserve(super::stream::BYTES)?;
    let made = parse(text).and_then(|address| {
        let socket = UdpSocket::bind(address)?;
        let udp = Udp {
            address: socket.local_addr()?,
            socket: Mutex::new(Some(socket)),
        };
        ctx.new_source("Udp", udp, |udp| {
            udp.socket.get_mut().as_mut().expect("just made")
        })
    });
    made.map_err(|error| io_error(ctx, text, &error))
}
pub(super) fn port(ctx: &mut Ctx) -> NativeResult {
    let port = udp(ctx)?.address.port();
    Ok(Value::small_int(port.into()))
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = udp(ctx)?.address.to_string();
    new_str(ctx, &address)
}

fn data_of<'c>(ctx: &mut Ctx<'c>) -> Result<&'c [u8], Trap> {
    let data = ctx.arg(1);
    match (ctx.as_str(data), ctx.as_bytes(data)) {
        (Some(text), _) => Ok(text.as_bytes()),
        (None, Some(bytes)) => Ok(bytes),
        (None, None) => Err(ctx.wrong_type(1, "a string or bytes")),
    }
}
fn transmit(
    ctx: &mut Ctx,
    subject: &str,
    send: impl Fn(&UdpSocket) -> io::Result<usize>,
) -> NativeResult {
    let faults = ctx.faults();
    let sent = ctx.try_io(0, "a Udp", Direction::Write, |udp: &Udp, _| {
        faults.begin(Call::Connect, 0)?;
        send(udp.socket.lock().as_ref().ok_or_else(closed)?)
    })?;
    match sent {
        Ok(_) => ctx.nil(),
        Err(error) if subject.is_empty() => Err(udp_error(ctx, &error)),
        Err(error) => Err(io_error(ctx, subject, &error)),
    }
}
pub(super) fn send_to(ctx: &mut Ctx) -> NativeResult {
    let data = data_of(ctx)?;
    let text = ctx.str_arg(2)?;
    match parse(text) {
        Ok(to) => transmit(ctx, text, |socket| socket.send_to(data, to)),
        Err(error) => Err(io_error(ctx, text, &error)),
    }
}
pub(super) fn send(ctx: &mut Ctx) -> NativeResult {
    let data = data_of(ctx)?;
    transmit(ctx, "", |socket| socket.send(data))
}
pub(super) fn connect(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?;
    let udp = udp(ctx)?;
    let done = parse(text).and_then(|address| {
        let socket = udp.socket.lock();
        socket.as_ref().ok_or_else(closed)?.connect(address)
    });
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => Err(io_error(ctx, text, &error)),
    }
}

/// A datagram, cut to so many bytes, and who sent it.
fn receive(ctx: &mut Ctx) -> Result<(Value, SocketAddr), Trap> {
    let most = ctx.opt_int_arg(1)?.unwrap_or(LONGEST as i64);
    if most < 1 {
        let message = format!("{}: n must be at least 1, got {most}", ctx.name());
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let most = (most as usize).min(LONGEST);
    // Once it is taken from the system it cannot be received again.
    ctx.reserve(most + super::stream::BYTES)?;
    let faults = ctx.faults();
    let received = ctx.try_io(0, "a Udp", Direction::Read, |udp: &Udp, _| {
        faults.begin(Call::Accept, 0).or_else(|error| {
            let is_usual = matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            );
            if is_usual { Err(error) } else { Ok(0) }
        })?;
        let socket = udp.socket.lock();
        let socket = socket.as_ref().ok_or_else(closed)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let (n, from) = socket.recv_from(scratch)?;
            Ok((scratch[..n.min(most)].to_vec(), from))
        })
    })?;
    match received {
        Ok((bytes, from)) => Ok((super::stream::bytes_value(ctx, &bytes)?, from)),
        Err(error) => Err(udp_error(ctx, &error)),
    }
}
pub(super) fn recv(ctx: &mut Ctx) -> NativeResult {
    receive(ctx).map(|(bytes, _)| bytes)
}
pub(super) fn recv_from(ctx: &mut Ctx) -> NativeResult {
    let (bytes, from) = receive(ctx)?;
    let from = ctx.str(&from.to_string());
    let pair = ctx.tuple(&[bytes, from]);
    crate::support::settle(ctx, pair)
}
pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    let socket = udp(ctx)?.socket.lock().take();
    if socket.is_some() {
        drop(socket);
        ctx.wake_source(0);
    }
    ctx.nil()
}
