//! Listeners.

use super::stream;
use crate::support::{io_error, new_str};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use mio::net::TcpListener;
use parking_lot::Mutex;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// A listener's socket; `None` when it is closed.
struct Listener {
    address: SocketAddr,
    socket: Mutex<Option<TcpListener>>,
}

impl Resource for Listener {
    fn title(&self) -> String {
        format!("a connection at {}", self.address)
    }
}

fn listener<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Listener, Trap> {
    ctx.resource_arg(0, "a Listener")
}

pub(super) fn listen(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    let bound = text
        .to_socket_addrs()
        .and_then(|mut addresses| addresses.next().ok_or_else(stream::no_address))
        .and_then(TcpListener::bind)
        .and_then(|socket| Ok((socket.local_addr()?, socket)));
    let made = bound.and_then(|(address, socket)| {
        let listener = Listener {
            address,
            socket: Mutex::new(Some(socket)),
        };
        ctx.new_source("Listener", listener, |listener| {
            listener.socket.get_mut().as_mut().expect("just made")
        })
    });
    made.map_err(|error| io_error(ctx, text, &error))
}

pub(super) fn port(ctx: &mut Ctx) -> NativeResult {
    let port = listener(ctx)?.address.port();
    Ok(Value::small_int(port.into()))
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = listener(ctx)?.address.to_string();
    new_str(ctx, &address)
}

pub(super) fn accept(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(stream::BYTES)?;
    let accepted = ctx.try_io(
        0,
        "a Listener",
        Direction::Read,
        |listener: &Listener, _| match &*listener.socket.lock() {
            Some(socket) => socket.accept(),
            None => Err(closed()),
        },
    )?;
    let made = accepted.and_then(|(socket, peer)| stream::new(ctx, socket, peer));
    made.map_err(|error| {
        let address = match listener(ctx) {
            Ok(listener) => listener.address.to_string(),
            Err(_) => String::new(),
        };
        io_error(ctx, &address, &error)
    })
}

fn closed() -> io::Error {
    io::Error::other("the listener is closed")
}

pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    let socket = listener(ctx)?.socket.lock().take();
    if socket.is_some() {
        drop(socket);
        ctx.wake_source(0);
    }
    ctx.nil()
}
