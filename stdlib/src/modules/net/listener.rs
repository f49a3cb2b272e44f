//! Listeners.

use super::address::Address;
use super::socket::{self, Acceptor};
use super::{stream, tls};
use crate::support::{failure, io_error, new_str};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long is waited for descriptors to come back.
const EXHAUSTED: Duration = Duration::from_millis(20);

/// A listener's socket; `None` when it is closed.
struct Listener {
    address: Address,
    socket: Mutex<Option<Acceptor>>,
    /// Its connections are secured.
    tls: Option<Arc<tls::ServerConfig>>,
}

impl Resource for Listener {
    fn title(&self) -> String {
        format!("a connection at {}", self.address)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.socket.get_mut().is_some() {
            self.remove_path();
        }
    }
}

impl Listener {
    /// A Unix-domain socket leaves its path behind.
    fn remove_path(&self) {
        if let Address::Unix(Some(path)) = &self.address {
            // It may have been removed already.
            let _ = std::fs::remove_file(&**path);
        }
    }
}

fn listener<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Listener, Trap> {
    ctx.resource_arg(0, "a Listener")
}

/// `net.__listen(address, backlog, reuse_address, reuse_port, cert, key, alpn)`
pub(super) fn listen(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    let backlog = match ctx.opt_int_arg(1)? {
        None => socket::BACKLOG,
        Some(n) if n > 0 => i32::try_from(n).unwrap_or(i32::MAX),
        Some(n) => {
            let message = format!("net.listen: backlog must be at least 1, got {n}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    let reuse_address = ctx.bool_arg(2)?;
    let reuse_port = ctx.bool_arg(3)?;
    let tls = match ctx.arg_or_nil(4) {
        Value::NIL => None,
        _ => {
            let alpn = tls::alpn_arg(ctx, 6)?;
            Some(tls::server_config(ctx, 4, 5, alpn)?)
        }
    };
    ctx.reserve(stream::BYTES)?;
    let made = Address::parse(text).and_then(|at| {
        let socket = Acceptor::bind(&at, backlog, reuse_address, reuse_port)?;
        let listener = Listener {
            address: match at {
                Address::Ip(_) => socket.address()?,
                at => at,
            },
            socket: Mutex::new(Some(socket)),
            tls,
        };
        ctx.new_source("Listener", listener, |listener| {
            listener
                .socket
                .get_mut()
                .as_mut()
                .expect("just made")
                .source()
        })
    });
    made.map_err(|error| io_error(ctx, text, &error))
}

pub(super) fn port(ctx: &mut Ctx) -> NativeResult {
    let port = listener(ctx)?.address.port();
    Ok(port.map_or(Value::NIL, |port| Value::small_int(port.into())))
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = listener(ctx)?.address.to_string();
    new_str(ctx, &address)
}

pub(super) fn accept(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(stream::BYTES)?;
    let faults = ctx.faults();
    let accepted = ctx.try_io(
        0,
        "a Listener",
        Direction::Read,
        |listener: &Listener, _| match &*listener.socket.lock() {
            Some(socket) => loop {
                match socket.accept(faults) {
                    Err(error) if socket::is_about_another(&error) => {}
                    done => break done,
                }
            },
            None => Err(closed()),
        },
    )?;
    if accepted.as_ref().is_err_and(socket::is_exhaustion) {
        // Descriptors come back when other connections are closed; nobody tells of that.
        return Err(ctx.pause(EXHAUSTED));
    }
    let listener = listener(ctx)?;
    let made = accepted.and_then(|(socket, peer)| {
        let tls = listener
            .tls
            .as_ref()
            .map(tls::Session::server)
            .transpose()?;
        stream::new(ctx, socket, peer, tls)
    });
    made.map_err(|error| io_error(ctx, &listener.address.to_string(), &error))
}

fn closed() -> io::Error {
    failure("closed", "the listener is closed")
}

pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    let listener = listener(ctx)?;
    let socket = listener.socket.lock().take();
    if socket.is_some() {
        drop(socket);
        listener.remove_path();
        ctx.wake_source(0);
    }
    ctx.nil()
}
