//! A server's side: listening, accepting, timeouts, shutting down, and the next request of a connection.
//!
//! **Timeouts** need no clock per request. A connection notes what it waits for and the server's tick at which that began; a task of the server counts the ticks while there are connections,
//! looks at all of them at each, and ends what has lasted too long by shutting the socket down: who waits for it wakes up and finds `has_expired`.

use super::parse;
use super::wire::{Line, Step, Wire, closed};
use crate::modules::net::address::Address;
use crate::modules::net::socket::{self, Acceptor};
use crate::modules::net::tls::{self, Session};
use crate::modules::net::transport::Transport;
use crate::support::{io_error, new_str};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Phase {
    /// Nothing that has a limit here: the handler runs.
    Busy,
    /// The first byte of a request.
    Idle,
    /// The rest of its head.
    Head,
    /// More of its body.
    Body,
    /// Room to write.
    Write,
    /// The other side's end.
    Closing,
}

/// A phase lasts at most so many ticks; `u32::MAX`: without limit.
struct Limits {
    idle: u32,
    head: u32,
    body: u32,
    write: u32,
    closing: u32,
}

/// What a server's connections share.
pub(super) struct Serving {
    address: Address,
    limits: Limits,
    max_head: usize,
    max_body: u64,
    tick: AtomicU32,
    connections: Mutex<Connections>,
    /// No further requests: a connection is closed after its answer.
    is_closing: AtomicBool,
    is_aborted: AtomicBool,
    next_number: AtomicU64,
}

#[derive(Default)]
struct Connections {
    open: HashMap<u64, Weak<super::wire::Shared>>,
    /// The task that counts ticks does.
    is_counting: bool,
}

/// A listening socket; `None` when it is closed.
struct Listener {
    serving: Arc<Serving>,
    socket: Mutex<Option<Acceptor>>,
    /// Its connections are secured.
    tls: Option<Arc<tls::ServerConfig>>,
}

impl Resource for Listener {
    fn title(&self) -> String {
        format!("a connection at {}", self.serving.address)
    }
}

/// Phase and tick in one word.
pub(super) const PHASE_SHIFT: u32 = 32;

impl Serving {
    pub(super) fn mark(&self, phase: Phase) -> u64 {
        u64::from(phase as u32) << PHASE_SHIFT | u64::from(self.tick.load(Ordering::Relaxed))
    }
    pub(super) fn leave(&self, number: u64) {
        self.connections.lock().open.remove(&number);
    }
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }
    fn limit(&self, phase: u32) -> u32 {
        match phase {
            p if p == Phase::Idle as u32 => self.limits.idle,
            p if p == Phase::Head as u32 => self.limits.head,
            p if p == Phase::Body as u32 => self.limits.body,
            p if p == Phase::Write as u32 => self.limits.write,
            p if p == Phase::Closing as u32 => self.limits.closing,
            _ => u32::MAX,
        }
    }
    /// Ends what has lasted too long; whether there are connections.
    fn sweep(&self) -> bool {
        let now = self.tick.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let mut connections = self.connections.lock();
        for shared in connections.open.values().filter_map(Weak::upgrade) {
            let mark = shared.mark.load(Ordering::Relaxed);
            let (phase, since) = ((mark >> PHASE_SHIFT) as u32, mark as u32);
            let limit = self.limit(phase);
            let is_over = limit < u32::MAX && now.wrapping_sub(since) > limit;
            // It began to wait for a request just as the server was shut down.
            let is_late = phase == Phase::Idle as u32 && self.is_closing();
            if is_over || is_late {
                let can_answer = phase != Phase::Write as u32 && phase != Phase::Closing as u32;
                expire(&mut shared.line.lock(), can_answer);
                // Once.
                shared.mark.store(0, Ordering::Relaxed);
            }
        }
        connections.is_counting = !connections.open.is_empty();
        connections.is_counting
    }
    /// No further requests. Connections that wait for one end, with `all` the others, too.
    fn end(&self, all: bool) {
        self.is_closing.store(true, Ordering::Release);
        if all {
            self.is_aborted.store(true, Ordering::Release);
        }
        for shared in self
            .connections
            .lock()
            .open
            .values()
            .filter_map(Weak::upgrade)
        {
            let phase = shared.mark.load(Ordering::Acquire) >> PHASE_SHIFT;
            if all || phase == u64::from(Phase::Idle as u32) {
                expire(&mut shared.line.lock(), false);
            }
        }
    }
}

/// Who waits for the connection finds that it has waited too long.
fn expire(line: &mut Line, can_answer: bool) {
    line.has_expired = true;
    let how = if can_answer {
        Shutdown::Read
    } else {
        Shutdown::Both
    };
    if let Some(transport) = &mut line.transport {
        // If the other side has gone, whoever waits has been told.
        let _ = transport.shutdown(how);
    }
}

fn listener<'c>(ctx: &mut Ctx<'c>, i: usize) -> Result<&'c Listener, Trap> {
    ctx.resource_arg(i, "a Server's listener")
}
pub(super) fn wire<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Wire, Trap> {
    ctx.resource_arg(0, "a connection")
}

/// A positive number, or nil: without limit.
fn limit_arg(ctx: &mut Ctx, i: usize) -> Result<u64, Trap> {
    match ctx.opt_int_arg(i)? {
        None => Ok(u64::MAX),
        Some(n) if n > 0 => Ok(n as u64),
        Some(n) => {
            let message = format!("http.listen: a limit must be positive, got {n}");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// `http.__listen(address, idle, head, body, write, max_head, max_body, cert, key)`: timeouts in ticks; certificate and key as PEM text, or nil.
pub(super) fn listen(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    let mut ticks = [0; 4];
    for (i, ticks) in ticks.iter_mut().enumerate() {
        *ticks = u32::try_from(limit_arg(ctx, 1 + i)?).unwrap_or(u32::MAX);
    }
    let [idle, head, body, write] = ticks;
    let max_head = usize::try_from(limit_arg(ctx, 5)?).unwrap_or(usize::MAX);
    let max_body = limit_arg(ctx, 6)?;
    let tls = match ctx.arg_or_nil(7) {
        Value::NIL => None,
        // Old clients offer only what they speak.
        _ => Some(tls::server_config(ctx, 7, 8, protocols(&["1.1", "1.0"]))?),
    };
    let made = Address::parse(text).and_then(|at| {
        let socket = Acceptor::bind(&at, socket::BACKLOG, true, false)?;
        let address = match at {
            Address::Ip(_) => socket.address()?,
            at => at,
        };
        let serving = Serving {
            address,
            limits: Limits {
                idle,
                head,
                body,
                write,
                closing: head,
            },
            max_head,
            max_body,
            tick: AtomicU32::new(0),
            connections: Mutex::default(),
            is_closing: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            next_number: AtomicU64::new(0),
        };
        let listener = Listener {
            serving: Arc::new(serving),
            socket: Mutex::new(Some(socket)),
            tls,
        };
        ctx.new_source("HttpListener", listener, |listener| {
            let socket = listener.socket.get_mut().as_mut();
            socket.expect("just made").source()
        })
    });
    made.map_err(|error| io_error(ctx, text, &error))
}
/// What is spoken over TLS.
pub(super) fn protocols(versions: &[&str]) -> Vec<Vec<u8>> {
    let name = |version| format!("http/{version}").into_bytes();
    versions.iter().map(name).collect()
}
pub(super) fn port(ctx: &mut Ctx) -> NativeResult {
    let port = listener(ctx, 0)?.serving.address.port();
    Ok(port.map_or(Value::NIL, |port| Value::small_int(port.into())))
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = listener(ctx, 0)?.serving.address.to_string();
    new_str(ctx, &address)
}

/// About what a connection takes.
const BYTES: usize = 1024;

/// `http.__accept(listener)`: a connection; nil if the listener is closed; false if the system has no descriptor (or no room) for another one now.
pub(super) fn accept(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(BYTES)?;
    let faults = ctx.faults();
    loop {
        let accepted = ctx.try_io(
            0,
            "a Server's listener",
            Direction::Read,
            |listener: &Listener, _| match &*listener.socket.lock() {
                Some(socket) => socket.accept(faults).map(Some),
                None => Ok(None),
            },
        )?;
        let made = match accepted {
            Ok(None) => return ctx.nil(),
            Ok(Some((socket, peer))) => {
                // Answers are written whole: to wait for more of them only delays.
                let _ = socket.set_nodelay(true);
                let config = &listener(ctx, 0)?.tls;
                let session = config.as_ref().map(Session::server).transpose();
                session.and_then(|session| {
                    let wire = Wire::new(Transport::new(socket, session), &peer.to_string());
                    ctx.new_source("HttpConnection", wire, Wire::source)
                })
            }
            Err(error) if socket::is_about_another(&error) => continue,
            Err(error) => Err(error),
        };
        return Ok(made.unwrap_or(Value::FALSE));
    }
}

/// `http.__enter(wire, listener)`: from now on the server's timeouts hold for the connection. Whether their task must be woken.
pub(super) fn enter(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let serving = &listener(ctx, 1)?.serving;
    let number = serving.next_number.fetch_add(1, Ordering::Relaxed);
    if wire.0.serving.set((serving.clone(), number)).is_err() {
        return Ok(Value::FALSE);
    }
    wire.mark(Phase::Head);
    let mut connections = serving.connections.lock();
    connections.open.insert(number, Arc::downgrade(&wire.0));
    let was_counting = std::mem::replace(&mut connections.is_counting, true);
    Ok(Value::bool(!was_counting))
}
/// `http.__sweep(listener)`: a tick; whether there are connections.
pub(super) fn sweep(ctx: &mut Ctx) -> NativeResult {
    Ok(Value::bool(listener(ctx, 0)?.serving.sweep()))
}
/// `http.__end(listener, all)`: no further connections, no further requests; with `all`, what is under way ends, too.
pub(super) fn end(ctx: &mut Ctx) -> NativeResult {
    let all = ctx.bool_arg(1)?;
    let listener = listener(ctx, 0)?;
    let socket = listener.socket.lock().take();
    if socket.is_some() {
        drop(socket);
        ctx.wake_source(0);
    }
    listener.serving.end(all);
    ctx.nil()
}
/// `http.__is_aborted(listener)`
pub(super) fn is_aborted(ctx: &mut Ctx) -> NativeResult {
    let listener = listener(ctx, 0)?;
    Ok(Value::bool(
        listener.serving.is_aborted.load(Ordering::Acquire),
    ))
}

/// Secures the connection, if it is to be and is not yet. It counts as a part of the first head.
pub(super) fn shake_hands(ctx: &mut Ctx) -> Result<io::Result<()>, Trap> {
    let (wire, faults) = (wire(ctx)?, ctx.faults());
    loop {
        let waits_for = match &wire.0.line.lock().transport {
            Some(transport) => transport.handshake_waits_for(),
            // Whoever asked finds that out.
            None => None,
        };
        let Some(direction) = waits_for else {
            return Ok(Ok(()));
        };
        wire.mark(Phase::Head);
        let done = ctx.try_io(0, "a connection", direction, |wire: &Wire, _| {
            let mut line = wire.0.line.lock();
            let transport = line.transport.as_mut().ok_or_else(closed)?;
            transport.step_handshake(direction, faults)
        })?;
        if done.is_err() {
            return Ok(done);
        }
    }
}
/// Does what a native that converses must wait for. The connection's failure is its end: `Err`.
pub(super) fn do_step(ctx: &mut Ctx, step: &Step) -> Result<io::Result<()>, Trap> {
    let is_handshaking = {
        let line = wire(ctx)?.0.line.lock();
        line.transport
            .as_ref()
            .is_some_and(Transport::is_handshaking)
    };
    if is_handshaking && let Err(error) = shake_hands(ctx)? {
        return Ok(Err(error));
    }
    let (wire, faults) = (wire(ctx)?, ctx.faults());
    match step {
        Step::Read(phase) => {
            wire.mark(*phase);
            ctx.try_io(
                0,
                "a connection",
                Direction::Read,
                |wire: &Wire, has_all| wire.0.line.lock().read(has_all, faults),
            )
        }
        Step::Write => {
            wire.mark(Phase::Write);
            ctx.try_io(0, "a connection", Direction::Write, |wire: &Wire, _| {
                wire.0.line.lock().write(&[], faults)
            })
        }
        Step::Message(_) | Step::Body => Ok(Ok(())),
        Step::End => Ok(Err(closed())),
    }
}

/// A value takes so many bytes per byte of a head, at most.
const BYTES_PER_BYTE: usize = 16;
/// A request counts as so many calls: a slice of time is some dozens of them.
const UNITS: usize = 200;

/// `http.__next(wire)`: the next request: method, path, query, target, head, number; nil if there is none.
pub(super) fn next(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let Some(serving) = wire.serving() else {
        return ctx.nil();
    };
    ctx.charge(UNITS);
    loop {
        if serving.is_closing() {
            // The shutdown came before it was seen that the connection waits.
            wire.0.line.lock().message.is_kept = false;
        }
        let step = {
            let mut line = wire.0.line.lock();
            match line.next_request(serving.max_head) {
                Ok((length, request)) => {
                    ctx.reserve(BYTES + length * BYTES_PER_BYTE)?;
                    let mut values = request_values(ctx, line.head(length), &request)?;
                    values[5] = Value::small_int(line.message.number as i64 + 1);
                    line.take_request(length, &request, serving.max_body);
                    wire.mark(Phase::Busy);
                    return ctx.tuple(&values);
                }
                Err(step) => step,
            }
        };
        if step == Step::Read(Phase::Idle) && serving.is_closing() {
            wire.0.line.lock().close();
            return ctx.nil();
        }
        if do_step(ctx, &step)?.is_err() {
            wire.0.line.lock().close();
            return ctx.nil();
        }
    }
}

/// All but the number. Room was asked for.
fn request_values(
    ctx: &mut Ctx,
    head: &[u8],
    request: &parse::Request,
) -> Result<[Value; 6], Trap> {
    // What was accepted is visible ASCII, or UTF-8.
    let text = |range: &std::ops::Range<usize>| {
        std::str::from_utf8(&head[range.clone()]).unwrap_or_default()
    };
    let target = text(&request.target);
    let local = super::url::local_part(target);
    let (path, query) = match local.split_once('?') {
        // `http://host?query` asks for the root.
        Some(("", query)) => ("/", Some(query)),
        Some((path, query)) => (path, Some(query)),
        None => (local, None),
    };
    let method = ctx.str(text(&request.method));
    let decoded = super::url::decode(path, false);
    let path = ctx.str(&decoded);
    let query = match query {
        Some(query) => ctx.str(query),
        None => Value::NIL,
    };
    let target = ctx.str(target);
    let head = ctx.bytes(head)?;
    Ok([method, path, query, target, head, Value::NIL])
}

pub(super) fn peer(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    new_str(ctx, &wire.0.peer)
}
/// `http.__tls(wire)`: the version of TLS that secures the connection, or nil.
pub(super) fn tls_version(ctx: &mut Ctx) -> NativeResult {
    match wire(ctx)?.tls_version() {
        Some(version) => new_str(ctx, version),
        None => ctx.nil(),
    }
}
/// `http.__close(wire)`
pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    wire(ctx)?.0.line.lock().close();
    ctx.wake_source(0);
    ctx.nil()
}
