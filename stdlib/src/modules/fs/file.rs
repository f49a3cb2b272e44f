//! Open files. One may be used by several tasks in turn, and by OS threads that make its calls: its state is locked for each of them.
//!
//! Most reads and writes find what they need in the file's buffer: these are done where they are made, and nothing blocks.

use super::paths::{Failed, text_of, throw};
use crate::support::{data_arg, io_error, new_bytes, new_str};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use parking_lot::Mutex;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// Bytes read at once, and the most that is collected before it is written.
const BUFFER: usize = 16 * 1024;

/// A file, by whoever holds it.
type Shared = Arc<File>;

struct File {
    path: String,
    state: Mutex<State>,
}

/// Reads go through a buffer; a write first goes back to where the program believes to be.
struct State {
    /// `None` when closed.
    inner: Option<BufReader<fs::File>>,
    /// What is to be written.
    pending: Vec<u8>,
}

impl State {
    fn inner(&mut self) -> io::Result<&mut BufReader<fs::File>> {
        self.inner
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is closed"))
    }
    fn reader(&mut self) -> io::Result<&mut BufReader<fs::File>> {
        self.flush()?;
        self.inner()
    }
    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return self.inner().map(|_| ());
        }
        let pending = std::mem::take(&mut self.pending);
        let inner = self.inner()?;
        #[expect(
            clippy::seek_from_current,
            reason = "seeking by nothing forgets what was read ahead; asking for the position does not"
        )]
        if !inner.buffer().is_empty() {
            inner.seek(SeekFrom::Current(0))?;
        }
        inner.get_mut().write_all(&pending)
    }
    /// What was read ahead, if that is where the program believes to be.
    fn buffered(&self) -> &[u8] {
        match &self.inner {
            Some(inner) if self.pending.is_empty() => inner.buffer(),
            _ => &[],
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Nobody is left to tell of an error.
        if self.inner.is_some() {
            drop(self.flush());
        }
    }
}

fn file<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Shared, Trap> {
    ctx.host_arg::<Shared>(0).map(|file| &*file)
}

/// Works on the open file.
fn on_file<T: Send + 'static>(
    ctx: &mut Ctx,
    work: impl FnOnce(&mut State) -> Result<T, Failed> + Send + 'static,
    finish: impl FnOnce(&mut Ctx, T) -> NativeResult + Send + 'static,
) -> NativeResult {
    let file = file(ctx)?.clone();
    ctx.block(
        move || {
            let done = work(&mut file.state.lock());
            (file, done)
        },
        move |ctx, (file, done)| match done {
            Ok(done) => finish(ctx, done),
            Err(failed) => Err(throw(ctx, &file.path, &failed)),
        },
    )
}
fn change(
    ctx: &mut Ctx,
    work: impl FnOnce(&mut State) -> io::Result<()> + Send + 'static,
) -> NativeResult {
    on_file(ctx, |state| Ok(work(state)?), |ctx, ()| ctx.nil())
}

/// Takes from what was read ahead, without waiting; `None`: it must be read, or another one reads just now.
fn take_buffered<T>(
    ctx: &mut Ctx,
    take: impl FnOnce(&[u8]) -> Option<(T, usize)>,
) -> Result<Option<T>, Trap> {
    let file = file(ctx)?;
    if !ctx.need_not_block() {
        return Ok(None);
    }
    let Some(mut state) = file.state.try_lock() else {
        return Ok(None);
    };
    let Some((taken, used)) = take(state.buffered()) else {
        return Ok(None);
    };
    if let Some(inner) = &mut state.inner {
        inner.consume(used);
    }
    Ok(Some(taken))
}

pub(super) fn open(ctx: &mut Ctx) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    let mode = ctx.opt_str_arg(1)?.unwrap_or("r");
    let mut options = OpenOptions::new();
    match mode {
        "r" => options.read(true),
        "r+" => options.read(true).write(true),
        "w" => options.write(true).create(true).truncate(true),
        "w+" => options.read(true).write(true).create(true).truncate(true),
        "a" => options.append(true).create(true),
        "a+" => options.read(true).append(true).create(true),
        "x" => options.write(true).create_new(true),
        "x+" => options.read(true).write(true).create_new(true),
        _ => {
            return Err(ctx.throw(
                ErrorKind::Value,
                format!(
                    "fs.open: mode must be \"r\", \"w\", \"a\" or \"x\", perhaps with \"+\", got {mode:?}"
                ),
            ));
        }
    };
    if !mode.starts_with('w') {
        ctx.note_outside(Outside::Files);
    }
    ctx.block(
        move || {
            let opened = options.open(&path);
            (path, opened)
        },
        |ctx, (path, opened)| match opened {
            Ok(opened) => {
                let inner = BufReader::with_capacity(BUFFER, opened);
                let file = File {
                    path,
                    state: Mutex::new(State {
                        inner: Some(inner),
                        pending: Vec::new(),
                    }),
                };
                Ok(ctx.host(Box::new(Arc::new(file)), "File"))
            }
            Err(error) => Err(io_error(ctx, &path, &error)),
        },
    )
}

pub(super) fn path(ctx: &mut Ctx) -> NativeResult {
    let path = file(ctx)?.path.clone();
    new_str(ctx, &path)
}
pub(super) fn itself(ctx: &mut Ctx) -> NativeResult {
    file(ctx)?;
    Ok(ctx.arg(0))
}

// --- reading

/// Up to `n` bytes, or the rest.
fn read_some<T: Send + 'static>(
    ctx: &mut Ctx,
    make: fn(Vec<u8>) -> Result<T, Failed>,
    finish: fn(&mut Ctx, T) -> NativeResult,
) -> NativeResult {
    let count = ctx.opt_int_arg(1)?.map(|n| n.max(0) as usize);
    if let Some(count) = count {
        ctx.reserve(count.min(BUFFER))?;
        let taken = take_buffered(ctx, |bytes| {
            (bytes.len() >= count).then(|| (bytes[..count].to_vec(), count))
        })?;
        if let Some(bytes) = taken {
            return match make(bytes) {
                Ok(made) => finish(ctx, made),
                Err(failed) => {
                    let path = &file(ctx)?.path;
                    Err(throw(ctx, path, &failed))
                }
            };
        }
    }
    let limit = ctx.heap().limit();
    let work = move |state: &mut State| {
        let most = count.unwrap_or(usize::MAX).min(limit);
        let mut bytes = Vec::new();
        let reader = state.reader()?;
        reader.take(most as u64).read_to_end(&mut bytes)?;
        if bytes.len() >= limit {
            return Err(Failed::TooLong);
        }
        make(bytes)
    };
    on_file(ctx, work, finish)
}
pub(super) fn read(ctx: &mut Ctx) -> NativeResult {
    read_some(ctx, text_of, |ctx, text| new_str(ctx, &text))
}
pub(super) fn read_bytes(ctx: &mut Ctx) -> NativeResult {
    read_some(ctx, Ok, |ctx, bytes| new_bytes(ctx, &bytes))
}

/// A line without its end.
fn line_of(mut bytes: Vec<u8>) -> Result<String, Failed> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    text_of(bytes)
}
/// The next line goes to `finish`, or nothing at the end.
fn line(ctx: &mut Ctx, finish: fn(&mut Ctx, Option<String>) -> NativeResult) -> NativeResult {
    // Before it is taken out of the buffer.
    ctx.reserve(BUFFER)?;
    let taken = take_buffered(ctx, |bytes| {
        let end = memchr::memchr(b'\n', bytes)? + 1;
        Some((bytes[..end].to_vec(), end))
    })?;
    if let Some(bytes) = taken {
        return match line_of(bytes) {
            Ok(line) => finish(ctx, Some(line)),
            Err(failed) => {
                let path = &file(ctx)?.path;
                Err(throw(ctx, path, &failed))
            }
        };
    }
    let limit = ctx.heap().limit();
    let work = move |state: &mut State| {
        let mut bytes = Vec::new();
        let reader = state.reader()?;
        reader.take(limit as u64).read_until(b'\n', &mut bytes)?;
        match bytes.len() {
            0 => Ok(None),
            n if n >= limit => Err(Failed::TooLong),
            _ => line_of(bytes).map(Some),
        }
    };
    on_file(ctx, work, finish)
}
pub(super) fn read_line(ctx: &mut Ctx) -> NativeResult {
    line(ctx, |ctx, line| match line {
        Some(line) => new_str(ctx, &line),
        None => ctx.nil(),
    })
}
pub(super) fn next(ctx: &mut Ctx) -> NativeResult {
    line(ctx, |ctx, line| match line {
        Some(line) => new_str(ctx, &line),
        None => Err(ctx.throw(ErrorKind::StopIteration, "the end of the file")),
    })
}

// --- writing

pub(super) fn write(ctx: &mut Ctx) -> NativeResult {
    let data = data_arg(ctx, 1)?;
    let file = file(ctx)?;
    if ctx.need_not_block()
        && let Some(mut state) = file.state.try_lock()
        && state.inner.is_some()
        && state.pending.len() + data.len() < BUFFER
    {
        state.pending.extend_from_slice(&data);
        return ctx.nil();
    }
    change(ctx, move |state| {
        state.inner()?;
        state.pending.extend_from_slice(&data);
        if state.pending.len() >= BUFFER {
            state.flush()?;
        }
        Ok(())
    })
}
pub(super) fn flush(ctx: &mut Ctx) -> NativeResult {
    change(ctx, State::flush)
}
pub(super) fn sync(ctx: &mut Ctx) -> NativeResult {
    change(ctx, |state| state.reader()?.get_ref().sync_all())
}
pub(super) fn truncate(ctx: &mut Ctx) -> NativeResult {
    let size = ctx.int_arg(1)?;
    let Ok(size) = u64::try_from(size) else {
        let message = format!("File.truncate: size must not be negative, got {size}");
        return Err(ctx.throw(ErrorKind::Value, message));
    };
    change(ctx, move |state| state.reader()?.get_ref().set_len(size))
}
pub(super) fn seek(ctx: &mut Ctx) -> NativeResult {
    let position = ctx.int_arg(1)?;
    let to = if position < 0 {
        SeekFrom::End(position)
    } else {
        SeekFrom::Start(position as u64)
    };
    change(ctx, move |state| state.reader()?.seek(to).map(|_| ()))
}
pub(super) fn tell(ctx: &mut Ctx) -> NativeResult {
    let work = |state: &mut State| Ok(state.reader()?.stream_position()?);
    on_file(ctx, work, |ctx, position| Ok(ctx.int(position as i64)))
}
pub(super) fn close(ctx: &mut Ctx) -> NativeResult {
    change(ctx, |state| {
        if state.inner.is_none() {
            return Ok(());
        }
        let flushed = state.flush();
        state.inner = None;
        state.pending = Vec::new();
        flushed
    })
}
