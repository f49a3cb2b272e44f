//! Connections.

use crate::support::{io_error, new_str, settle};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use mio::net::TcpStream;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};

/// About what a connection takes.
pub(super) const BYTES: usize = 512;
/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

thread_local! {
    /// What was just read lies here first: a connection has a buffer only for what is left.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into());
}

/// A connection's socket; `None` when it is closed.
struct Conn {
    peer: SocketAddr,
    socket: Mutex<Option<TcpStream>>,
    input: Mutex<Input>,
}

/// What was read and not yet asked for.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// What lies in front of it has been given out.
    start: usize,
    /// What lies in front of it holds no end of a line.
    searched: usize,
    is_at_end: bool,
}

impl Input {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
    fn skip(&mut self, count: usize) {
        self.start += count;
        self.searched = self.searched.max(self.start);
        if self.start == self.bytes.len() {
            // An idle connection owns no buffer.
            (self.bytes, self.start, self.searched) = (Vec::new(), 0, 0);
        }
    }
    fn add(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

impl Resource for Conn {
    fn title(&self) -> String {
        format!("the connection with {}", self.peer)
    }
}

pub(super) fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}
fn closed() -> io::Error {
    io::Error::other("the connection is closed")
}

fn conn<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Conn, Trap> {
    ctx.resource_arg(0, "a Conn")
}
fn conn_error(ctx: &mut Ctx, error: &io::Error) -> Trap {
    match conn(ctx) {
        Ok(conn) => io_error(ctx, &conn.peer.to_string(), error),
        Err(trap) => trap,
    }
}

/// The value of a new connection.
pub(super) fn new(ctx: &mut Ctx, socket: TcpStream, peer: SocketAddr) -> io::Result<Value> {
    // Answers are written whole: to wait for more of them only delays.
    let _ = socket.set_nodelay(true);
    let conn = Conn {
        peer,
        socket: Mutex::new(Some(socket)),
        input: Mutex::default(),
    };
    ctx.new_source("Conn", conn, |conn| {
        conn.socket.get_mut().as_mut().expect("just made")
    })
}

pub(super) fn connect(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    ctx.reserve(BYTES)?;
    let made = text
        .to_socket_addrs()
        .and_then(|mut addresses| addresses.next().ok_or_else(no_address))
        .and_then(|address| Ok((TcpStream::connect(address)?, address)))
        .and_then(|(socket, address)| new(ctx, socket, address));
    made.map_err(|error| io_error(ctx, text, &error))
}
pub(super) fn connected(ctx: &mut Ctx) -> NativeResult {
    let done = ctx.try_io(0, "a Conn", Direction::Write, |conn: &Conn, _| {
        let socket = conn.socket.lock();
        let socket = socket.as_ref().ok_or_else(closed)?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        match socket.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            other => other.map(|_| ()),
        }
    })?;
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}

pub(super) fn peer(ctx: &mut Ctx) -> NativeResult {
    let peer = conn(ctx)?.peer.to_string();
    new_str(ctx, &peer)
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = match &*conn(ctx)?.socket.lock() {
        Some(socket) => socket.local_addr(),
        None => Err(closed()),
    };
    match address {
        Ok(address) => new_str(ctx, &address.to_string()),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
pub(super) fn itself(ctx: &mut Ctx) -> NativeResult {
    conn(ctx)?;
    Ok(ctx.arg(0))
}

// --- reading

/// Looks at what was read, and reads more until `take` finds what it wants in it. `take` gets what is there, and whether it is all that will come.
fn fill<T>(
    ctx: &mut Ctx,
    mut take: impl FnMut(&mut Input) -> Option<T>,
) -> Result<io::Result<T>, Trap> {
    let limit = ctx.heap().limit();
    // What is there already must not wait for what the system will tell.
    if let Some(taken) = take(&mut conn(ctx)?.input.lock()) {
        return Ok(Ok(taken));
    }
    ctx.try_io(0, "a Conn", Direction::Read, |conn: &Conn, has_all| {
        let mut input = conn.input.lock();
        loop {
            if let Some(taken) = take(&mut input) {
                return Ok(taken);
            }
            let mut socket = conn.socket.lock();
            let socket = socket.as_mut().ok_or_else(closed)?;
            if input.rest().len() > limit {
                return Err(io::Error::other(
                    "what was received does not fit the memory",
                ));
            }
            SCRATCH.with_borrow_mut(|scratch| {
                let n = socket.read(scratch)?;
                input.is_at_end = n == 0;
                // The end is told again and again.
                *has_all = n < scratch.len() && n > 0;
                input.add(&scratch[..n]);
                Ok::<_, io::Error>(())
            })?;
        }
    })
}

fn most_arg(ctx: &mut Ctx) -> Result<usize, Trap> {
    let n = ctx.opt_int_arg(1)?.unwrap_or(BLOCK as i64);
    if n < 1 {
        let message = format!("{}: n must be at least 1, got {n}", ctx.name());
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok((n as usize).min(BLOCK))
}

/// Takes so many bytes out.
fn taken(input: &mut Input, count: usize) -> Vec<u8> {
    let bytes = input.rest()[..count].to_vec();
    input.skip(count);
    bytes
}

pub(super) fn read(ctx: &mut Ctx) -> NativeResult {
    let most = most_arg(ctx)?;
    ctx.reserve(most)?;
    let read = fill(ctx, |input| {
        let count = input.rest().len().min(most);
        if count > 0 {
            return Some(Some(taken(input, count)));
        }
        input.is_at_end.then_some(None)
    })?;
    match read {
        Ok(Some(bytes)) => bytes_value(ctx, &bytes),
        Ok(None) => ctx.nil(),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
fn bytes_value(ctx: &mut Ctx, bytes: &[u8]) -> NativeResult {
    let made = ctx.bytes(bytes);
    settle(ctx, made)
}
pub(super) fn read_exact(ctx: &mut Ctx) -> NativeResult {
    let count = ctx.int_arg(1)?;
    let Ok(count) = usize::try_from(count) else {
        let message = format!("{}: n must not be negative, got {count}", ctx.name());
        return Err(ctx.throw(ErrorKind::Value, message));
    };
    ctx.reserve(count)?;
    let read = fill(ctx, |input| {
        if input.rest().len() >= count {
            return Some(Some(taken(input, count)));
        }
        input.is_at_end.then_some(None)
    })?;
    match read {
        Ok(Some(bytes)) => bytes_value(ctx, &bytes),
        Ok(None) => {
            let error = io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the connection ended before {count} bytes came"),
            );
            Err(conn_error(ctx, &error))
        }
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
pub(super) fn read_all(ctx: &mut Ctx) -> NativeResult {
    let read = fill(ctx, |input| {
        input.is_at_end.then(|| {
            let count = input.rest().len();
            taken(input, count)
        })
    })?;
    match read {
        Ok(bytes) => bytes_value(ctx, &bytes),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}

fn line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    let read = fill(ctx, |input| {
        let from = input.searched.max(input.start);
        if let Some(i) = memchr::memchr(b'\n', &input.bytes[from..]) {
            let mut line = taken(input, from + i + 1 - input.start);
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
            return Some(Some(line));
        }
        input.searched = input.bytes.len();
        input.is_at_end.then(|| {
            let count = input.rest().len();
            (count > 0).then(|| taken(input, count))
        })
    })?;
    match read {
        Ok(None) => Ok(None),
        Ok(Some(line)) => match std::str::from_utf8(&line) {
            // It cannot be read again, so this must not ask for a collection.
            Ok(text) => Ok(Some(ctx.str(text))),
            Err(_) => {
                let message = format!("{}: the line is no UTF-8", ctx.name());
                Err(ctx.throw(ErrorKind::Value, message))
            }
        },
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
pub(super) fn read_line(ctx: &mut Ctx) -> NativeResult {
    Ok(line(ctx)?.unwrap_or(Value::NIL))
}
pub(super) fn next(ctx: &mut Ctx) -> NativeResult {
    match line(ctx)? {
        Some(line) => Ok(line),
        None => Err(ctx.throw(ErrorKind::StopIteration, "the end of the connection")),
    }
}

// --- writing

pub(super) fn write(ctx: &mut Ctx) -> NativeResult {
    let data = ctx.arg(1);
    let bytes = match ctx.as_str(data) {
        Some(text) => text.as_bytes(),
        None => match ctx.as_bytes(data) {
            Some(bytes) => bytes,
            None => return Err(ctx.wrong_type(1, "a string or bytes")),
        },
    };
    // How much was written before it waited.
    let mut written = ctx.state as usize;
    let done = ctx.try_io(0, "a Conn", Direction::Write, |conn: &Conn, _| {
        let mut socket = conn.socket.lock();
        let socket = socket.as_mut().ok_or_else(closed)?;
        while written < bytes.len() {
            match socket.write(&bytes[written..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => written += n,
            }
        }
        Ok(())
    });
    ctx.state = written as u64;
    match done? {
        Ok(()) => ctx.nil(),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
pub(super) fn close_write(ctx: &mut Ctx) -> NativeResult {
    let done = match &*conn(ctx)?.socket.lock() {
        Some(socket) => socket.shutdown(Shutdown::Write),
        None => Err(closed()),
    };
    match done {
        Ok(()) => ctx.nil(),
        // The other side was faster.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => ctx.nil(),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    let socket = conn(ctx)?.socket.lock().take();
    if socket.is_some() {
        drop(socket);
        ctx.wake_source(0);
    }
    ctx.nil()
}
