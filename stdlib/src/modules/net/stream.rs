//! Connections.

use super::address::Address;
use super::socket::{Options, Socket};
use super::tls;
use super::transport::Transport;
use crate::support::{failure, io_error, io_error_of, new_bytes, new_str, no_memory, settle};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Faults, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

/// About what a connection takes.
pub(super) const BYTES: usize = 512;
/// Bytes read at once.
const BLOCK: usize = 64 * 1024;
/// A line is not longer if nothing else is said.
const LONGEST_LINE: usize = 1024 * 1024;
/// How long is waited for room among those who connect to a Unix-domain socket.
const CROWDED: Duration = Duration::from_millis(5);

thread_local! {
    /// What was just read lies here first: a connection has a buffer only for what is left.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into());
}

/// A connection.
pub(super) struct Conn {
    peer: Address,
    inner: Mutex<Inner>,
}

struct Inner {
    /// `None` when it is closed.
    stream: Option<Transport>,
    input: Input,
    longest_line: usize,
    /// A task has begun to write and waits for room: the others wait for it, so that what each writes stays together.
    is_writing: bool,
}

/// What was read and not yet asked for.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    /// What lies in front of it has been given out.
    start: usize,
    /// So many bytes behind `start` hold nothing of what is looked for.
    searched: usize,
    is_at_end: bool,
}

impl Input {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
    fn skip(&mut self, count: usize) {
        self.start += count;
        self.searched = 0;
        if self.start == self.bytes.len() {
            // An idle connection owns no buffer.
            (self.bytes, self.start) = (Vec::new(), 0);
        }
    }
    fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }
    /// Puts back what was taken.
    fn put_back(&mut self, bytes: &[u8]) {
        let mut all = bytes.to_vec();
        all.extend_from_slice(self.rest());
        (self.bytes, self.start, self.searched) = (all, 0, 0);
    }
}

impl Resource for Conn {
    fn title(&self) -> String {
        format!("the connection with {}", self.peer)
    }
}

fn closed() -> io::Error {
    failure("closed", "the connection is closed")
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
fn nil_or_error(ctx: &mut Ctx, done: io::Result<()>) -> NativeResult {
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}

/// The value of a new connection.
pub(super) fn new(
    ctx: &mut Ctx,
    socket: Socket,
    peer: Address,
    session: Option<tls::Session>,
) -> io::Result<Value> {
    // Answers are written whole: to wait for more of them only delays.
    let _ = socket.set_nodelay(true);
    let stream = Transport::new(socket, session);
    let conn = Conn {
        peer,
        inner: Mutex::new(Inner {
            stream: Some(stream),
            input: Input::default(),
            longest_line: LONGEST_LINE,
            is_writing: false,
        }),
    };
    ctx.new_source("Conn", conn, |conn| {
        let stream = conn.inner.get_mut().stream.as_mut();
        stream.expect("just made").socket.source()
    })
}

fn buffer_arg(ctx: &mut Ctx, i: usize) -> Result<Option<usize>, Trap> {
    match ctx.opt_int_arg(i)? {
        None => Ok(None),
        Some(n) if (1..=1 << 30).contains(&n) => Ok(Some(n as usize)),
        Some(n) => {
            let message = format!("a buffer's size must be from 1 to 1073741824, got {n}");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// `net.__connect(address, send_buffer, receive_buffer)`: begins.
pub(super) fn connect(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Network);
    let text = ctx.str_arg(0)?;
    let options = Options {
        send_buffer: buffer_arg(ctx, 1)?,
        receive_buffer: buffer_arg(ctx, 2)?,
    };
    ctx.reserve(BYTES)?;
    let faults = ctx.faults();
    let begun = Address::parse(text)
        .and_then(|address| Ok((Socket::connect(&address, options, faults)?, address)));
    match begun {
        // Too many wait to be accepted there.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(ctx.pause(CROWDED)),
        begun => begun
            .and_then(|(socket, address)| new(ctx, socket, address, None))
            .map_err(|error| io_error(ctx, text, &error)),
    }
}
/// `net.__connected(conn)`: waits until it is done.
pub(super) fn connected(ctx: &mut Ctx) -> NativeResult {
    let done = ctx.try_io(0, "a Conn", Direction::Write, |conn: &Conn, _| {
        let mut inner = conn.inner.lock();
        inner
            .stream
            .as_mut()
            .ok_or_else(closed)?
            .socket
            .is_connected()
    })?;
    match done {
        Ok(()) => ctx.nil(),
        Err(error) => {
            let peer = conn(ctx)?.peer.to_string();
            Err(io_error_of(ctx, "net.connect", &peer, &error))
        }
    }
}
/// `net.__secure(conn, server_name, roots, alpn)`: the handshake comes with the first call that needs it.
pub(super) fn secure(ctx: &mut Ctx) -> NativeResult {
    let alpn = tls::alpn_arg(ctx, 3)?;
    let session = tls::client_session(ctx, 1, 2, alpn)?;
    let conn = conn(ctx)?;
    let done = session.and_then(|session| {
        let mut inner = conn.inner.lock();
        inner.stream.as_mut().ok_or_else(closed)?.tls = Some(Box::new(session));
        Ok(())
    });
    nil_or_error(ctx, done)
}
pub(super) fn handshake(ctx: &mut Ctx) -> NativeResult {
    let done = shake_hands(ctx)?;
    nil_or_error(ctx, done)
}
fn shake_hands(ctx: &mut Ctx) -> Result<io::Result<()>, Trap> {
    let conn = conn(ctx)?;
    let faults = ctx.faults();
    loop {
        // Before the look at how far it is: another task of the connection may do the same.
        let seen = [Direction::Read, Direction::Write].map(|direction| ctx.seen(0, direction));
        let waits_for = match &conn.inner.lock().stream {
            Some(stream) => stream.handshake_waits_for(),
            // Whoever asked finds that out.
            None => None,
        };
        let Some(direction) = waits_for else {
            return Ok(Ok(()));
        };
        let seen = seen[direction as usize];
        let done = ctx.try_io_since(0, "a Conn", direction, seen, |conn: &Conn, _| {
            let mut inner = conn.inner.lock();
            let stream = inner.stream.as_mut().ok_or_else(closed)?;
            match stream.handshake_waits_for() {
                Some(now) if now as usize == direction as usize => {
                    stream.step_handshake(direction, faults)
                }
                // It has got on meanwhile.
                _ => Ok(()),
            }
        })?;
        if done.is_err() {
            return Ok(done);
        }
    }
}
/// Whether the other side is still being talked to about keys.
fn must_shake_hands(conn: &Conn) -> bool {
    let inner = conn.inner.lock();
    inner.stream.as_ref().is_some_and(Transport::is_handshaking)
}

pub(super) fn peer(ctx: &mut Ctx) -> NativeResult {
    let peer = conn(ctx)?.peer.to_string();
    new_str(ctx, &peer)
}
pub(super) fn address(ctx: &mut Ctx) -> NativeResult {
    let address = match &conn(ctx)?.inner.lock().stream {
        Some(stream) => stream.socket.address(),
        None => Err(closed()),
    };
    match address {
        Ok(address) => new_str(ctx, &address.to_string()),
        Err(error) => Err(conn_error(ctx, &error)),
    }
}
/// What is known of the connection's security, as text.
fn of_session(ctx: &mut Ctx, what: impl Fn(&tls::Session) -> Option<String>) -> NativeResult {
    let found = match &conn(ctx)?.inner.lock().stream {
        Some(stream) => stream.tls.as_deref().and_then(what),
        None => None,
    };
    match found {
        Some(text) => new_str(ctx, &text),
        None => ctx.nil(),
    }
}
pub(super) fn tls_version(ctx: &mut Ctx) -> NativeResult {
    of_session(ctx, |session| session.version().map(str::to_string))
}
pub(super) fn alpn(ctx: &mut Ctx) -> NativeResult {
    of_session(ctx, |session| {
        let name = session.alpn()?;
        Some(String::from_utf8_lossy(name).into_owned())
    })
}
pub(super) fn itself(ctx: &mut Ctx) -> NativeResult {
    conn(ctx)?;
    Ok(ctx.arg(0))
}

/// `Conn.set(nodelay, keepalive, send_buffer, receive_buffer, longest_line)`
pub(super) fn set(ctx: &mut Ctx) -> NativeResult {
    let conn = conn(ctx)?;
    let nodelay = match ctx.arg_or_nil(1) {
        Value::NIL => None,
        _ => Some(ctx.bool_arg(1)?),
    };
    let keepalive = match ctx.arg_or_nil(2) {
        Value::NIL => None,
        Value::FALSE => Some(None),
        _ => {
            let idle = Duration::from_nanos(ctx.duration_arg(2)?.max(0) as u64);
            if idle < Duration::from_secs(1) {
                let message = "Conn.set: keepalive must be at least a second, or false";
                return Err(ctx.throw(ErrorKind::Value, message));
            }
            Some(Some(idle))
        }
    };
    let options = Options {
        send_buffer: buffer_arg(ctx, 3)?,
        receive_buffer: buffer_arg(ctx, 4)?,
    };
    let longest_line = buffer_arg(ctx, 5)?;
    let mut inner = conn.inner.lock();
    if let Some(n) = longest_line {
        inner.longest_line = n;
    }
    let done = match &inner.stream {
        None => Err(closed()),
        Some(Transport { socket, .. }) => nodelay
            .map_or(Ok(()), |on| socket.set_nodelay(on))
            .and_then(|()| keepalive.map_or(Ok(()), |idle| socket.set_keepalive(idle)))
            .and_then(|()| socket.set_buffers(options)),
    };
    drop(inner);
    nil_or_error(ctx, done)
}

// --- reading

/// What was found in what has come.
enum Found {
    /// The first `keep` bytes are the result; the first `used` are done with.
    Bytes {
        keep: usize,
        used: usize,
    },
    /// Nothing will come.
    End,
    Wrong(io::Error),
}

impl Found {
    fn all(count: usize) -> Found {
        Found::Bytes {
            keep: count,
            used: count,
        }
    }
}

/// How to look for something.
struct Look<'a> {
    bytes: &'a [u8],
    /// So many of them have been looked at.
    searched: &'a mut usize,
    is_at_end: bool,
    longest_line: usize,
}

/// Reads until `find` finds what it wants; `make` makes the result of that, nil if there is none. It may ask for a collection: then the bytes are still there.
fn receive(
    ctx: &mut Ctx,
    mut find: impl FnMut(Look) -> Option<Found>,
    make: impl FnOnce(&mut Ctx, &[u8]) -> NativeResult,
) -> Result<Option<Value>, Trap> {
    let conn = conn(ctx)?;
    let seen = ctx.seen(0, Direction::Read);
    let found = find_buffered(conn, &mut find);
    let (found, in_scratch) = match found {
        Some(found) => {
            ctx.blocking_point()?;
            (Ok(found), false)
        }
        None => {
            if must_shake_hands(conn)
                && let Err(error) = shake_hands(ctx)?
            {
                return Err(conn_error(ctx, &error));
            }
            let mut in_scratch = false;
            let (limit, faults) = (ctx.heap().limit(), ctx.faults());
            let found = ctx.try_io_since(
                0,
                "a Conn",
                Direction::Read,
                seen,
                |conn: &Conn, has_all| {
                    // Another reader may have left something meanwhile.
                    if let Some(found) = find_buffered(conn, &mut find) {
                        return Ok(found);
                    }
                    read_more(conn, &mut find, limit, faults, has_all, &mut in_scratch)
                },
            )?;
            (found, in_scratch)
        }
    };
    match found {
        Ok(Found::Bytes { keep, used }) if in_scratch => SCRATCH.with_borrow(|scratch| {
            let made = make(ctx, &scratch[..keep]);
            if made == Err(Trap::Collect) {
                conn.inner.lock().input.put_back(&scratch[..used]);
            }
            made.map(Some)
        }),
        Ok(Found::Bytes { keep, used }) => {
            let mut inner = conn.inner.lock();
            let made = make(ctx, &inner.input.rest()[..keep]);
            if made != Err(Trap::Collect) {
                inner.input.skip(used);
            }
            made.map(Some)
        }
        Ok(Found::End) => Ok(None),
        Ok(Found::Wrong(error)) | Err(error) => Err(conn_error(ctx, &error)),
    }
}
/// What is there already must not wait for what the system will tell.
fn find_buffered(conn: &Conn, find: &mut impl FnMut(Look) -> Option<Found>) -> Option<Found> {
    let mut inner = conn.inner.lock();
    let Inner {
        input,
        longest_line,
        ..
    } = &mut *inner;
    if input.rest().is_empty() && !input.is_at_end {
        return None;
    }
    find(Look {
        bytes: &input.bytes[input.start..],
        searched: &mut input.searched,
        is_at_end: input.is_at_end,
        longest_line: *longest_line,
    })
}
fn read_more(
    conn: &Conn,
    find: &mut impl FnMut(Look) -> Option<Found>,
    limit: usize,
    faults: Faults<'_>,
    has_all: &mut bool,
    in_scratch: &mut bool,
) -> io::Result<Found> {
    let mut inner = conn.inner.lock();
    let Inner {
        stream,
        input,
        longest_line,
        ..
    } = &mut *inner;
    let stream = stream.as_mut().ok_or_else(closed)?;
    SCRATCH.with_borrow_mut(|scratch| {
        loop {
            if input.rest().len() > limit {
                return Err(no_memory("what was received"));
            }
            let (n, is_all) = stream.read(scratch, faults)?;
            (*has_all, input.is_at_end) = (is_all, n == 0);
            if input.rest().is_empty() && n > 0 {
                // Mostly it is just what was wanted: then it needs no buffer.
                let found = find(Look {
                    bytes: &scratch[..n],
                    searched: &mut 0,
                    is_at_end: false,
                    longest_line: *longest_line,
                });
                if let Some(found) = found {
                    if let Found::Bytes { used, .. } = found {
                        input.add(&scratch[used..n]);
                        *in_scratch = true;
                    }
                    return Ok(found);
                }
            }
            input.add(&scratch[..n]);
            let found = find(Look {
                bytes: &input.bytes[input.start..],
                searched: &mut input.searched,
                is_at_end: input.is_at_end,
                longest_line: *longest_line,
            });
            if let Some(found) = found {
                return Ok(found);
            }
        }
    })
}

fn count_arg(ctx: &mut Ctx, i: usize, least: i64, default: usize) -> Result<usize, Trap> {
    match ctx.opt_int_arg(i)? {
        None => Ok(default),
        Some(n) if n >= least => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        Some(n) => {
            let message = format!("{}: n must be at least {least}, got {n}", ctx.name());
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

pub(super) fn bytes_value(ctx: &mut Ctx, bytes: &[u8]) -> NativeResult {
    let made = ctx.bytes(bytes);
    settle(ctx, made)
}

pub(super) fn read(ctx: &mut Ctx) -> NativeResult {
    let most = count_arg(ctx, 1, 1, BLOCK)?;
    let find = |look: Look| match look.bytes.len().min(most) {
        0 => look.is_at_end.then_some(Found::End),
        count => Some(Found::all(count)),
    };
    Ok(receive(ctx, find, new_bytes)?.unwrap_or(Value::NIL))
}
pub(super) fn read_exact(ctx: &mut Ctx) -> NativeResult {
    let count = count_arg(ctx, 1, 0, 0)?;
    // Asked for now: it would be a pity to find out when all has come.
    ctx.reserve(count)?;
    let find = |look: Look| {
        if look.bytes.len() >= count {
            return Some(Found::all(count));
        }
        let error = || {
            let message = format!("the connection ended before {count} bytes came");
            Found::Wrong(failure("ended", &message))
        };
        look.is_at_end.then(error)
    };
    if count == 0 {
        conn(ctx)?;
        return new_bytes(ctx, &[]);
    }
    Ok(receive(ctx, find, new_bytes)?.unwrap_or(Value::NIL))
}
pub(super) fn read_all(ctx: &mut Ctx) -> NativeResult {
    let find = |look: Look| look.is_at_end.then(|| Found::all(look.bytes.len()));
    Ok(receive(ctx, find, new_bytes)?.unwrap_or(Value::NIL))
}

fn too_long(limit: usize) -> Found {
    let message = format!("the line is longer than {limit} bytes");
    Found::Wrong(failure("too long", &message))
}
/// The rest before the end of the connection counts, too.
fn at_end(look: &Look) -> Option<Found> {
    look.is_at_end.then(|| match look.bytes.len() {
        0 => Found::End,
        count => Found::all(count),
    })
}
fn find_line(look: Look) -> Option<Found> {
    let from = *look.searched;
    if let Some(i) = memchr::memchr(b'\n', &look.bytes[from..]) {
        let line = &look.bytes[..from + i];
        let keep = line.strip_suffix(b"\r").unwrap_or(line).len();
        if keep > look.longest_line {
            return Some(too_long(look.longest_line));
        }
        return Some(Found::Bytes {
            keep,
            used: line.len() + 1,
        });
    }
    // Its end may be two bytes.
    if look.bytes.len() > look.longest_line.saturating_add(1) {
        return Some(too_long(look.longest_line));
    }
    *look.searched = look.bytes.len();
    at_end(&look)
}
fn line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    receive(ctx, find_line, |ctx, line| {
        match std::str::from_utf8(line) {
            Ok(text) => new_str(ctx, text),
            Err(_) => {
                let message = format!("{}: the line is no UTF-8", ctx.name());
                Err(ctx.throw(ErrorKind::Value, message))
            }
        }
    })
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
pub(super) fn read_until(ctx: &mut Ctx) -> NativeResult {
    let end = data_arg(ctx, 1)?;
    if end.is_empty() {
        let message = "Conn.read_until: delimiter must not be empty";
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let limit = count_arg(ctx, 2, 1, LONGEST_LINE)?;
    let find = |look: Look| {
        // The end may have come in two parts.
        let from = look.searched.saturating_sub(end.len() - 1);
        let found = memchr::memmem::find(&look.bytes[from..], end);
        let count = found.map(|i| from + i + end.len());
        if count.unwrap_or(look.bytes.len()) > limit {
            let message = format!("the delimiter did not come within {limit} bytes");
            return Some(Found::Wrong(failure("too long", &message)));
        }
        *look.searched = look.bytes.len();
        count.map(Found::all).or_else(|| at_end(&look))
    };
    Ok(receive(ctx, find, new_bytes)?.unwrap_or(Value::NIL))
}

// --- writing

fn data_arg<'c>(ctx: &mut Ctx<'c>, i: usize) -> Result<&'c [u8], Trap> {
    let data = ctx.arg(i);
    match (ctx.as_str(data), ctx.as_bytes(data)) {
        (Some(text), _) => Ok(text.as_bytes()),
        (None, Some(bytes)) => Ok(bytes),
        (None, None) => Err(ctx.wrong_type(i, "a string or bytes")),
    }
}

/// What `Ctx::state` says of one that writes: that its turn has come, and how much was taken before it waited.
const HAS_TURN: u64 = 1 << 63;

/// Somebody is in the middle of writing: waits until that is over; `true`: the task is parked.
#[cold]
fn await_turn(ctx: &mut Ctx) -> Result<bool, Trap> {
    let conn = conn(ctx)?;
    let told = ctx.told(0, Direction::Write);
    let is_busy = {
        let inner = conn.inner.lock();
        inner.is_writing && inner.stream.is_some()
    };
    Ok(is_busy && ctx.await_told(0, Direction::Write, told)?)
}
/// Makes a call that writes, perhaps in several parts: from the first to the last of them nobody else writes.
fn write_in_turn(
    ctx: &mut Ctx,
    mut call: impl FnMut(&mut Transport, &mut u64) -> io::Result<()>,
) -> NativeResult {
    let mut done = ctx.state & !HAS_TURN;
    loop {
        let (is_busy, is_shaking) = {
            let inner = conn(ctx)?.inner.lock();
            let stream = inner.stream.as_ref();
            (
                inner.is_writing && stream.is_some(),
                stream.is_some_and(Transport::is_handshaking),
            )
        };
        if is_busy && ctx.state & HAS_TURN == 0 {
            if await_turn(ctx)? {
                return Err(Trap::Suspend);
            }
            continue;
        }
        if is_shaking && let Err(error) = shake_hands(ctx)? {
            return Err(conn_error(ctx, &error));
        }
        let mut has_turn = ctx.state & HAS_TURN != 0;
        let mut is_late = false;
        let tried = ctx.try_io(0, "a Conn", Direction::Write, |conn: &Conn, _| {
            let mut inner = conn.inner.lock();
            let Inner {
                stream, is_writing, ..
            } = &mut *inner;
            let stream = stream.as_mut().ok_or_else(closed)?;
            is_late = *is_writing && !has_turn;
            if is_late {
                return Ok(());
            }
            let result = call(stream, &mut done);
            let waits = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
            if waits {
                (*is_writing, has_turn) = (true, true);
            }
            result
        });
        // Somebody was faster.
        if is_late {
            continue;
        }
        ctx.state = done | if has_turn { HAS_TURN } else { 0 };
        if !matches!(tried, Err(Trap::Suspend)) {
            give_turn(ctx)?;
        }
        return nil_or_error(ctx, tried?);
    }
}
/// The next one may write.
pub(super) fn give_turn(ctx: &mut Ctx) -> NativeResult {
    if ctx.state & HAS_TURN != 0 {
        conn(ctx)?.inner.lock().is_writing = false;
        ctx.state &= !HAS_TURN;
        ctx.tell_source(0, Direction::Write);
    }
    ctx.nil()
}

pub(super) fn write(ctx: &mut Ctx) -> NativeResult {
    let bytes = data_arg(ctx, 1)?;
    let faults = ctx.faults();
    write_in_turn(ctx, |stream, written| {
        loop {
            stream.flush(faults)?;
            if *written == bytes.len() as u64 {
                return Ok(());
            }
            *written += stream.accept(&bytes[*written as usize..], faults)? as u64;
        }
    })
}
pub(super) fn close_write(ctx: &mut Ctx) -> NativeResult {
    let faults = ctx.faults();
    write_in_turn(ctx, |stream, has_said| {
        if *has_said == 0 {
            stream.prepare_end();
            *has_said = 1;
        }
        stream.flush(faults)?;
        stream.shutdown(Shutdown::Write)
    })
}
fn end(ctx: &mut Ctx, prepare: impl FnOnce(&mut Transport)) -> NativeResult {
    let (stream, input) = {
        let mut inner = conn(ctx)?.inner.lock();
        (inner.stream.take(), std::mem::take(&mut inner.input))
    };
    drop(input);
    if let Some(mut stream) = stream {
        prepare(&mut stream);
        drop(stream);
        ctx.wake_source(0);
    }
    ctx.nil()
}
pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    end(ctx, Transport::say_end)
}
pub(super) fn abort(ctx: &mut Ctx) -> NativeResult {
    end(ctx, |stream| {
        // If it cannot be set the connection just ends.
        let _ = stream.socket.set_reset();
    })
}
