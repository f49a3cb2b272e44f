//! The ends of pipes.

use super::super::buffer::{BLOCK, Buffer};
use crate::support::{io_error, no_memory, settle};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use mio::unix::pipe::{Receiver, Sender};
use parking_lot::Mutex;
use std::io::{self, Read, Write};

/// The end that is read; `None` when it is closed.
pub(super) struct Reader {
    /// `standard output of ls`
    name: String,
    pipe: Mutex<Option<Receiver>>,
    input: Mutex<Buffer>,
}
/// The end that is written; `None` when it is closed.
pub(super) struct Writer {
    name: String,
    pipe: Mutex<Option<Sender>>,
}

impl Resource for Reader {
    fn title(&self) -> String {
        self.name.clone()
    }
}
impl Resource for Writer {
    fn title(&self) -> String {
        self.name.clone()
    }
}

const READER: &str = "a PipeReader";
const WRITER: &str = "a PipeWriter";

fn closed() -> io::Error {
    io::Error::other("the pipe is closed")
}

pub(super) fn new_reader(ctx: &mut Ctx, name: String, pipe: Receiver) -> io::Result<Value> {
    pipe.set_nonblocking(true)?;
    let reader = Reader {
        name,
        pipe: Mutex::new(Some(pipe)),
        input: Mutex::default(),
    };
    ctx.new_source("PipeReader", reader, |reader| {
        reader.pipe.get_mut().as_mut().expect("just made")
    })
}
pub(super) fn new_writer(ctx: &mut Ctx, name: String, pipe: Sender) -> io::Result<Value> {
    pipe.set_nonblocking(true)?;
    let writer = Writer {
        name,
        pipe: Mutex::new(Some(pipe)),
    };
    ctx.new_source("PipeWriter", writer, |writer| {
        writer.pipe.get_mut().as_mut().expect("just made")
    })
}

fn reader<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Reader, Trap> {
    ctx.resource_arg(0, READER)
}
fn reader_error(ctx: &mut Ctx, error: &io::Error) -> Trap {
    match reader(ctx) {
        Ok(reader) => io_error(ctx, &reader.name, error),
        Err(trap) => trap,
    }
}
pub(super) fn itself(ctx: &mut Ctx) -> NativeResult {
    reader(ctx)?;
    Ok(ctx.arg(0))
}

/// Looks at what was read, and reads more until `take` finds what it wants.
fn fill<T>(
    ctx: &mut Ctx,
    mut take: impl FnMut(&mut Buffer) -> Option<T>,
) -> Result<io::Result<T>, Trap> {
    ctx.blocking_point()?;
    let seen = ctx.seen(0, Direction::Read);
    // What is here needs no change of the pipe, for which `try_io` may wait.
    if let Some(taken) = take(&mut reader(ctx)?.input.lock()) {
        return Ok(Ok(taken));
    }
    let limit = ctx.heap().limit();
    ctx.try_io_since(
        0,
        READER,
        Direction::Read,
        seen,
        |reader: &Reader, has_all| {
            let mut input = reader.input.lock();
            loop {
                if let Some(taken) = take(&mut input) {
                    return Ok(taken);
                }
                let mut pipe = reader.pipe.lock();
                let pipe = pipe.as_mut().ok_or_else(closed)?;
                if input.rest().len() > limit {
                    return Err(no_memory("what came"));
                }
                *has_all = input.fill(|to| pipe.read(to))?;
            }
        },
    )
}

fn bytes_value(ctx: &mut Ctx, read: io::Result<Option<Vec<u8>>>) -> NativeResult {
    match read {
        Ok(Some(bytes)) => {
            let made = ctx.bytes(&bytes);
            settle(ctx, made)
        }
        Ok(None) => ctx.nil(),
        Err(error) => Err(reader_error(ctx, &error)),
    }
}

pub(super) fn read(ctx: &mut Ctx) -> NativeResult {
    let n = ctx.opt_int_arg(1)?.unwrap_or(BLOCK as i64);
    if n < 1 {
        let message = format!("{}: n must be at least 1, got {n}", ctx.name());
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let most = (n as usize).min(BLOCK);
    ctx.reserve(most)?;
    let read = fill(ctx, |input| {
        let count = input.rest().len().min(most);
        if count > 0 {
            return Some(Some(input.take(count)));
        }
        input.is_at_end().then_some(None)
    })?;
    bytes_value(ctx, read)
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
            return Some(Some(input.take(count)));
        }
        input.is_at_end().then_some(None)
    })?;
    let read = read.and_then(|bytes| match bytes {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            format!("the pipe ended before {count} bytes came"),
        )),
    });
    bytes_value(ctx, read)
}
pub(super) fn read_all(ctx: &mut Ctx) -> NativeResult {
    let read = fill(ctx, |input| {
        input.is_at_end().then(|| {
            let count = input.rest().len();
            Some(input.take(count))
        })
    })?;
    bytes_value(ctx, read)
}

fn line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    let mut line = match fill(ctx, Buffer::take_line)? {
        Ok(Some(line)) => line,
        Ok(None) => return Ok(None),
        Err(error) => return Err(reader_error(ctx, &error)),
    };
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    match std::str::from_utf8(&line) {
        // It cannot be read again, so this must not ask for a collection.
        Ok(text) => Ok(Some(ctx.str(text))),
        Err(_) => {
            let message = format!("{}: the line is no UTF-8", ctx.name());
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}
pub(super) fn read_line(ctx: &mut Ctx) -> NativeResult {
    Ok(line(ctx)?.unwrap_or(Value::NIL))
}
pub(super) fn next(ctx: &mut Ctx) -> NativeResult {
    match line(ctx)? {
        Some(line) => Ok(line),
        None => Err(ctx.throw(ErrorKind::StopIteration, "the end of the pipe")),
    }
}
pub(super) fn close_reader(ctx: &mut Ctx) -> NativeResult {
    let pipe = reader(ctx)?.pipe.lock().take();
    if pipe.is_some() {
        drop(pipe);
        ctx.wake_source(0);
    }
    ctx.nil()
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
    let done = ctx.try_io(0, WRITER, Direction::Write, |writer: &Writer, _| {
        let mut pipe = writer.pipe.lock();
        let pipe = pipe.as_mut().ok_or_else(closed)?;
        while written < bytes.len() {
            match pipe.write(&bytes[written..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => written += n,
            }
        }
        Ok(())
    });
    ctx.state = written as u64;
    match done? {
        Ok(()) => ctx.nil(),
        Err(error) => {
            let writer = ctx.resource_arg::<Writer>(0, WRITER)?;
            Err(io_error(ctx, &writer.name, &error))
        }
    }
}
pub(super) fn close_writer(ctx: &mut Ctx) -> NativeResult {
    let pipe = ctx.resource_arg::<Writer>(0, WRITER)?.pipe.lock().take();
    if pipe.is_some() {
        drop(pipe);
        ctx.wake_source(0);
    }
    ctx.nil()
}
