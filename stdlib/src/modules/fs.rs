//! `fs`: files and folders. Every error is an `IoError` that names the path.
//!
//! Each function reads its arguments into owned data, works without any value, and then makes the result: the middle part is what
//! may run elsewhere.

use crate::support::{io_error, new_str};
use heddle_vm::native::{Ctx, NativeDef, NativeModule, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "fs",
    functions: FUNCTIONS,
    constants: |_| {},
    source: Some(include_str!("fs.hd")),
};

static FUNCTIONS: &[NativeDef] = natives! {
    /// The text of a file. Throws IoError, ValueError if it is no UTF-8.
    blocking "fs.read" (path) => read;
    /// The bytes of a file. Throws IoError.
    blocking "fs.read_bytes" (path) => read_bytes;
    /// Makes a file of text or bytes; replaces one that is there. Throws IoError.
    blocking "fs.write" (path, data) => |ctx| write(ctx, false);
    /// Adds text or bytes to the end of a file, made if it is not there. Throws IoError.
    blocking "fs.append" (path, data) => |ctx| write(ctx, true);
    /// A list of the lines of a file, without their ends. Throws IoError, ValueError if it is no UTF-8.
    blocking "fs.lines" (path) => lines;
    /// Whether there is a file or folder at the path.
    blocking "fs.exists" (path) => |ctx| { ctx.note_outside(Outside::Files); let path = ctx.str_arg(0)?; Ok(Value::bool(fs::exists(path).unwrap_or(false))) };
    /// Whether the path is that of a file.
    blocking "fs.is_file" (path) => |ctx| { ctx.note_outside(Outside::Files); let path = ctx.str_arg(0)?; Ok(Value::bool(fs::metadata(path).is_ok_and(|m| m.is_file()))) };
    /// Whether the path is that of a folder.
    blocking "fs.is_dir" (path) => |ctx| { ctx.note_outside(Outside::Files); let path = ctx.str_arg(0)?; Ok(Value::bool(fs::metadata(path).is_ok_and(|m| m.is_dir()))) };
    /// The number of bytes of a file. Throws IoError.
    blocking "fs.size" (path) => size;
    /// When a file was last changed, in seconds since 1970. Throws IoError.
    blocking "fs.modified" (path) => modified;
    /// Removes a file or an empty folder. Throws IoError.
    blocking "fs.remove" (path) => |ctx| on_path(ctx, |path| if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) });
    /// Removes a file, or a folder with all that is in it. Throws IoError.
    blocking "fs.remove_all" (path) => |ctx| on_path(ctx, |path| if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) });
    /// A sorted list of the names in a folder. Throws IoError.
    blocking "fs.list" (path) => list;
    /// Makes a folder, and those above it, unless it is there. Throws IoError.
    blocking "fs.mkdir" (path) => |ctx| on_path(ctx, |path| fs::create_dir_all(path));
    /// Copies a file. Throws IoError.
    blocking "fs.copy" (from, to) => |ctx| on_two_paths(ctx, |from, to| fs::copy(from, to).map(|_| ()));
    /// Moves a file or folder; replaces a file that is there. Throws IoError.
    blocking "fs.rename" (from, to) => |ctx| on_two_paths(ctx, |from, to| fs::rename(from, to));
    /// The path without `.`, `..` and links. Throws IoError.
    blocking "fs.absolute" (path) => absolute;
    /// Opens a file: mode "r" reads (default), "w" makes it new, "a" adds to it, with "+" both. Throws IoError.
    blocking "fs.open" (path, "mode?") => open;

    /// The next `n` bytes as text, fewer only at the end; without `n`, the rest. Throws IoError, ValueError if it is no UTF-8.
    blocking "File.read" (self, "n?") => file_read;
    /// The next `n` bytes, fewer only at the end; without `n`, the rest. Throws IoError.
    blocking "File.read_bytes" (self, "n?") => file_read_bytes;
    /// The next line without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
    blocking "File.read_line" (self) => file_read_line;
    /// The next line, or StopIteration at the end: a file may be iterated.
    blocking "File.next" (self) => file_next;
    /// The lines that are left, lazily: the file itself.
    plain "File.lines" (self) => |ctx| { file(ctx)?; Ok(ctx.arg(0)) };
    /// Writes text or bytes. Throws IoError.
    blocking "File.write" (self, data) => file_write;
    /// Hands what was written to the system. Throws IoError.
    blocking "File.flush" (self) => |ctx| with_file(ctx, |file| file.flush());
    /// Goes to a position in bytes; a negative one counts from the end. Throws IoError.
    blocking "File.seek" (self, position) => file_seek;
    /// The position in bytes. Throws IoError.
    blocking "File.tell" (self) => file_tell;
    /// Closes the file; closing it again does nothing. Throws IoError.
    blocking "File.close" (self) => file_close;
};

/// Text or bytes, owned.
fn data_arg(ctx: &mut Ctx, i: usize) -> Result<Vec<u8>, Trap> {
    let data = ctx.arg(i);
    if let Some(text) = ctx.as_str(data) {
        return Ok(text.as_bytes().to_vec());
    }
    match ctx.as_bytes(data) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(ctx.wrong_type(i, "a string or bytes")),
    }
}

fn on_path(ctx: &mut Ctx, work: fn(&str) -> io::Result<()>) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    match work(&path) {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

fn on_two_paths(ctx: &mut Ctx, work: fn(&str, &str) -> io::Result<()>) -> NativeResult {
    let (from, to) = (ctx.str_arg(0)?.to_string(), ctx.str_arg(1)?.to_string());
    match work(&from, &to) {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(io_error(ctx, &format!("{from} to {to}"), &e)),
    }
}

/// Text of a file; room was asked for before it was read.
fn text(ctx: &mut Ctx, path: &str, bytes: Vec<u8>) -> Result<String, Trap> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let message = format!("{}: {path} is no UTF-8 at byte {at}", ctx.name());
        ctx.throw(ErrorKind::Value, message)
    })
}

fn read_path(ctx: &mut Ctx) -> Result<(String, Vec<u8>), Trap> {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    if let Ok(metadata) = fs::metadata(&path) {
        ctx.reserve(metadata.len() as usize)?;
    }
    let mut bytes = Vec::new();
    let limit = ctx.heap().limit() as u64;
    match fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => {
            check_size(ctx, &path, bytes.len())?;
            Ok((path, bytes))
        }
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

/// A file may be longer than its size says, even endless: what does not fit the program's memory is refused.
fn check_size(ctx: &mut Ctx, path: &str, bytes: usize) -> Result<(), Trap> {
    if bytes < ctx.heap().limit() {
        return Ok(());
    }
    let message = format!("{}: {path} does not fit the memory", ctx.name());
    Err(ctx.throw(ErrorKind::Limit, message))
}

fn read(ctx: &mut Ctx) -> NativeResult {
    let (path, bytes) = read_path(ctx)?;
    let text = text(ctx, &path, bytes)?;
    new_str(ctx, &text)
}

fn read_bytes(ctx: &mut Ctx) -> NativeResult {
    let (_, bytes) = read_path(ctx)?;
    crate::support::new_bytes(ctx, &bytes)
}

fn lines(ctx: &mut Ctx) -> NativeResult {
    let (path, bytes) = read_path(ctx)?;
    let text = text(ctx, &path, bytes)?;
    let lines: Vec<&str> = text.lines().collect();
    ctx.reserve(text.len() + lines.len() * 32)?;
    let lines: Vec<Value> = lines.into_iter().map(|line| ctx.str(line)).collect();
    ctx.list(&lines)
}

fn write(ctx: &mut Ctx, is_append: bool) -> NativeResult {
    let path = ctx.str_arg(0)?.to_string();
    let data = data_arg(ctx, 1)?;
    let written = if is_append {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&data))
    } else {
        fs::write(&path, &data)
    };
    match written {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

fn size(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    match fs::metadata(&path) {
        Ok(metadata) => Ok(ctx.int(metadata.len() as i64)),
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

fn modified(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    match fs::metadata(&path).and_then(|metadata| metadata.modified()) {
        Ok(time) => Ok(Value::float(
            match time.duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => since.as_secs_f64(),
                Err(before) => -before.duration().as_secs_f64(),
            },
        )),
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

fn list(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    let names = fs::read_dir(&path).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<String>>>()
    });
    match names {
        Ok(mut names) => {
            names.sort_unstable();
            ctx.reserve(names.iter().map(|name| name.len() + 32).sum())?;
            let names: Vec<Value> = names.iter().map(|name| ctx.str(name)).collect();
            ctx.list(&names)
        }
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

fn absolute(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Files);
    let path = ctx.str_arg(0)?.to_string();
    match fs::canonicalize(&path) {
        Ok(full) => new_str(ctx, &full.to_string_lossy()),
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

// --- open files

/// An open file. Reads go through a buffer; a write first goes back to where the program believes to be.
struct File {
    path: String,
    /// `None` when closed.
    inner: Option<BufReader<fs::File>>,
    /// What is to be written.
    pending: Vec<u8>,
}

/// Written data is collected up to this many bytes.
const WRITE_BUFFER: usize = 16 * 1024;

impl File {
    fn reader(&mut self) -> io::Result<&mut BufReader<fs::File>> {
        self.flush()?;
        self.inner.as_mut().ok_or_else(closed)
    }
    fn flush(&mut self) -> io::Result<()> {
        let inner = self.inner.as_mut().ok_or_else(closed)?;
        if !self.pending.is_empty() {
            #[expect(
                clippy::seek_from_current,
                reason = "seeking by nothing forgets what was read ahead; asking for the position does not"
            )]
            inner.seek(SeekFrom::Current(0))?;
            inner.get_mut().write_all(&self.pending)?;
            self.pending.clear();
        }
        Ok(())
    }
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        if self.inner.is_none() {
            return Err(closed());
        }
        self.pending.extend_from_slice(data);
        if self.pending.len() >= WRITE_BUFFER {
            self.flush()
        } else {
            Ok(())
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Nobody is left to tell of an error.
        if self.inner.is_some() {
            drop(self.flush());
        }
    }
}

fn closed() -> io::Error {
    io::Error::other("the file is closed")
}

fn file<'c>(ctx: &mut Ctx<'c>) -> Result<&'c mut File, Trap> {
    ctx.host_arg::<File>(0)
}

fn file_error(ctx: &mut Ctx, error: &io::Error) -> Trap {
    match file(ctx) {
        Ok(file) => io_error(ctx, &file.path, error),
        Err(trap) => trap,
    }
}

fn with_file(ctx: &mut Ctx, work: fn(&mut File) -> io::Result<()>) -> NativeResult {
    match work(file(ctx)?) {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(file_error(ctx, &e)),
    }
}

fn open(ctx: &mut Ctx) -> NativeResult {
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
        _ => {
            return Err(ctx.throw(
                ErrorKind::Value,
                format!(
                    "fs.open: mode must be \"r\", \"w\" or \"a\", perhaps with \"+\", got {mode:?}"
                ),
            ));
        }
    };
    if !mode.starts_with('w') {
        ctx.note_outside(Outside::Files);
    }
    match options.open(&path) {
        Ok(opened) => {
            let file = File {
                path,
                inner: Some(BufReader::new(opened)),
                pending: Vec::new(),
            };
            Ok(ctx.host(Box::new(file), "File"))
        }
        Err(e) => Err(io_error(ctx, &path, &e)),
    }
}

/// Up to `n` bytes, or the rest. What was read cannot be read again, so the room is asked for before.
fn read_some(ctx: &mut Ctx) -> Result<Vec<u8>, Trap> {
    let count = ctx.opt_int_arg(1)?;
    let file = file(ctx)?;
    let size = file.inner.as_ref().map_or(0, |inner| {
        inner
            .get_ref()
            .metadata()
            .map_or(0, |metadata| metadata.len())
    });
    let most = count.map_or(u64::MAX, |n| n.max(0) as u64);
    ctx.reserve(most.min(size) as usize)?;
    let mut bytes = Vec::new();
    let most = most.min(ctx.heap().limit() as u64);
    match file
        .reader()
        .and_then(|reader| reader.take(most).read_to_end(&mut bytes))
    {
        Ok(_) => {
            check_size(ctx, &file.path, bytes.len())?;
            Ok(bytes)
        }
        Err(e) => Err(file_error(ctx, &e)),
    }
}

fn file_read(ctx: &mut Ctx) -> NativeResult {
    let bytes = read_some(ctx)?;
    let path = file(ctx)?.path.clone();
    let text = text(ctx, &path, bytes)?;
    Ok(ctx.str(&text))
}

fn file_read_bytes(ctx: &mut Ctx) -> NativeResult {
    let bytes = read_some(ctx)?;
    ctx.bytes(&bytes)
}

fn next_line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    let file = file(ctx)?;
    let mut line = Vec::new();
    match file
        .reader()
        .and_then(|reader| reader.read_until(b'\n', &mut line))
    {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        Err(e) => return Err(file_error(ctx, &e)),
    }
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    let text = text(ctx, &file.path, line)?;
    Ok(Some(ctx.str(&text)))
}

fn file_read_line(ctx: &mut Ctx) -> NativeResult {
    Ok(next_line(ctx)?.unwrap_or(Value::NIL))
}

fn file_next(ctx: &mut Ctx) -> NativeResult {
    match next_line(ctx)? {
        Some(line) => Ok(line),
        None => Err(ctx.throw(ErrorKind::StopIteration, "the end of the file")),
    }
}

fn file_write(ctx: &mut Ctx) -> NativeResult {
    let data = data_arg(ctx, 1)?;
    match file(ctx)?.write(&data) {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(file_error(ctx, &e)),
    }
}

fn file_seek(ctx: &mut Ctx) -> NativeResult {
    let position = ctx.int_arg(1)?;
    let to = if position < 0 {
        SeekFrom::End(position)
    } else {
        SeekFrom::Start(position as u64)
    };
    match file(ctx)?.reader().and_then(|reader| reader.seek(to)) {
        Ok(_) => Ok(Value::NIL),
        Err(e) => Err(file_error(ctx, &e)),
    }
}

fn file_tell(ctx: &mut Ctx) -> NativeResult {
    match file(ctx)?
        .reader()
        .and_then(|reader| reader.stream_position())
    {
        Ok(position) => Ok(ctx.int(position as i64)),
        Err(e) => Err(file_error(ctx, &e)),
    }
}

fn file_close(ctx: &mut Ctx) -> NativeResult {
    let file = file(ctx)?;
    if file.inner.is_none() {
        return Ok(Value::NIL);
    }
    let flushed = file.flush();
    file.inner = None;
    match flushed {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(file_error(ctx, &e)),
    }
}
