//! `io`: standard input and output.

use crate::support::{io_error, new_str, no_memory, settle};
use heddle_vm::io::Resource;
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use parking_lot::Mutex;
use std::io::{self, Write};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "io",
    functions: natives! {
        /// The next line of standard input without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
        suspending "io.read_line" () => read_line;
        /// The rest of standard input. Throws IoError, ValueError if it is no UTF-8.
        suspending "io.read_all" () => read_all;
        /// The rest of standard input, as bytes. Throws IoError.
        suspending "io.read_bytes" () => read_bytes;
        /// Writes text or bytes to standard output, nothing added. Throws IoError.
        plain "io.write" (data) => |ctx| write(ctx, false);
        /// Writes text or bytes to standard error, nothing added. Throws IoError.
        plain "io.write_error" (data) => |ctx| write(ctx, true);
        /// Hands what was written to the system. Throws IoError.
        plain "io.flush" () => flush;
    },
    constants: |_| {},
    source: Some(heddle_source!("io")),
};

// --- standard input

/// What was read from standard input and not yet asked for. It belongs to the process, as the input does.
static INPUT: Mutex<Input> = Mutex::new(Input {
    bytes: Vec::new(),
    start: 0,
    searched: 0,
    is_at_end: false,
});

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

struct Input {
    bytes: Vec<u8>,
    /// What lies in front of it has been given out.
    start: usize,
    /// What lies in front of it holds no end of a line.
    searched: usize,
    /// The last read found the end. (A terminal may go on after that.)
    is_at_end: bool,
}

impl Input {
    /// Appends what can be read now.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
        let old = self.bytes.len();
        self.bytes.resize(old + BLOCK, 0);
        let read = read_some(&mut self.bytes[old..]);
        self.bytes.truncate(old + read.as_ref().map_or(0, |&n| n));
        self.is_at_end = read? == 0;
        Ok(())
    }
    /// Gives out so many bytes.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.bytes[self.start..self.start + count].to_vec();
        self.start += count;
        self.searched = self.start;
        if self.start == self.bytes.len() {
            (self.bytes, self.start, self.searched) = (Vec::new(), 0, 0);
        }
        self.is_at_end = false;
        taken
    }
    /// The next line, if it is there.
    fn take_line(&mut self) -> Option<Option<Vec<u8>>> {
        let from = self.searched.max(self.start);
        if let Some(i) = memchr::memchr(b'\n', &self.bytes[from..]) {
            return Some(Some(self.take(from + i + 1 - self.start)));
        }
        self.searched = self.bytes.len();
        self.is_at_end.then(|| self.take_last())
    }
    /// All of it, if the end is there.
    fn take_rest(&mut self) -> Option<Option<Vec<u8>>> {
        self.is_at_end.then(|| self.take_last())
    }
    /// What is left at the end.
    fn take_last(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.len() - self.start;
        let taken = self.take(rest);
        (rest > 0).then_some(taken)
    }
}

#[cfg(unix)]
fn read_some(to: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(rustix::stdio::stdin(), &mut *to) {
            Err(rustix::io::Errno::INTR) => {}
            read => return Ok(read?),
        }
    }
}
#[cfg(not(unix))]
fn read_some(to: &mut [u8]) -> io::Result<usize> {
    io::Read::read(&mut io::stdin().lock(), to)
}

/// Whether the system tells when there is input: it does for pipes, sockets and terminals. A file is read at once, by an OS thread that may be held.
#[cfg(unix)]
fn is_told_of() -> bool {
    use rustix::fs::{FileType, fstat};
    let kind = fstat(rustix::stdio::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
    match kind {
        Ok(FileType::Fifo | FileType::Socket) => true,
        Ok(FileType::CharacterDevice) => rustix::termios::isatty(rustix::stdio::stdin()),
        _ => false,
    }
}
#[cfg(not(unix))]
fn is_told_of() -> bool {
    false
}

/// Standard input, as the reactor knows it. Its descriptor is shared with other processes, so it stays in the mode that it is in, and is asked whether a read would wait.
struct Standard;

impl Resource for Standard {
    fn title(&self) -> String {
        "standard input".into()
    }
}

#[cfg(unix)]
impl mio::event::Source for Standard {
    fn register(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        mio::unix::SourceFd(&0).register(registry, token, interest)
    }
    fn reregister(
        &mut self,
        registry: &mio::Registry,
        token: mio::Token,
        interest: mio::Interest,
    ) -> io::Result<()> {
        mio::unix::SourceFd(&0).reregister(registry, token, interest)
    }
    fn deregister(&mut self, registry: &mio::Registry) -> io::Result<()> {
        mio::unix::SourceFd(&0).deregister(registry)
    }
}

/// Throws `WouldBlock` if a read would wait.
#[cfg(unix)]
fn is_ready() -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    const AT_ONCE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let stdin = rustix::stdio::stdin();
    let mut asked = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut asked, Some(&AT_ONCE))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        // What is wrong with it the read will say.
        _ => Ok(()),
    }
}

type Take = fn(&mut Input) -> Option<Option<Vec<u8>>>;

/// What `take` finds in the input, waiting for more until it does: the bytes, or nothing at the end, go to `finish`.
fn take_input(
    ctx: &mut Ctx,
    take: Take,
    finish: fn(&mut Ctx, Option<Vec<u8>>) -> NativeResult,
) -> NativeResult {
    ctx.note_outside(Outside::Stdin);
    // Whoever reads has usually been asked something.
    flush_output(ctx)?;
    let limit = ctx.heap().limit();
    let is_too_long = move |input: &Input| {
        if input.bytes.len() < limit {
            return Ok(());
        }
        Err(no_memory("what was read"))
    };
    #[cfg(unix)]
    if is_told_of() {
        let taken = ctx.try_input(
            || {
                let mut input = INPUT.lock();
                loop {
                    if let Some(taken) = take(&mut input) {
                        return Ok(taken);
                    }
                    is_too_long(&input)?;
                    is_ready()?;
                    input.fill()?;
                }
            },
            || Standard,
            |standard| standard,
        )?;
        return finish_input(ctx, taken, finish);
    }
    let at_hand = match INPUT.try_lock() {
        Some(mut input) => take(&mut input),
        None => None,
    };
    if let Some(taken) = at_hand {
        return finish_input(ctx, Ok(taken), finish);
    }
    ctx.block(
        move || {
            let mut input = INPUT.lock();
            loop {
                if let Some(taken) = take(&mut input) {
                    return Ok(taken);
                }
                is_too_long(&input)?;
                input.fill()?;
            }
        },
        move |ctx, taken| finish_input(ctx, taken, finish),
    )
}
fn finish_input(
    ctx: &mut Ctx,
    taken: io::Result<Option<Vec<u8>>>,
    finish: fn(&mut Ctx, Option<Vec<u8>>) -> NativeResult,
) -> NativeResult {
    match taken {
        Ok(taken) => {
            let made = finish(ctx, taken);
            // It cannot be read again.
            settle(ctx, made)
        }
        Err(error) => Err(io_error(ctx, "standard input", &error)),
    }
}

fn text_of_input(ctx: &mut Ctx, bytes: &[u8]) -> NativeResult {
    match std::str::from_utf8(bytes) {
        Ok(text) => new_str(ctx, text),
        Err(_) => {
            let message = format!("{}: standard input is no UTF-8", ctx.name());
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// A line of standard input without its end; nil at the end of input.
pub(crate) fn read_line(ctx: &mut Ctx) -> NativeResult {
    take_input(ctx, Input::take_line, |ctx, line| {
        let Some(mut line) = line else {
            return ctx.nil();
        };
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        text_of_input(ctx, &line)
    })
}
fn read_all(ctx: &mut Ctx) -> NativeResult {
    take_input(ctx, Input::take_rest, |ctx, rest| {
        text_of_input(ctx, &rest.unwrap_or_default())
    })
}
fn read_bytes(ctx: &mut Ctx) -> NativeResult {
    take_input(ctx, Input::take_rest, |ctx, rest| {
        ctx.bytes(&rest.unwrap_or_default())
    })
}

// --- standard output

fn write(ctx: &mut Ctx, to_error: bool) -> NativeResult {
    let data = ctx.arg(0);
    let bytes = match ctx.as_str(data) {
        Some(text) => text.as_bytes(),
        None => match ctx.as_bytes(data) {
            Some(bytes) => bytes,
            None => return Err(ctx.wrong_type(0, "a string or bytes")),
        },
    };
    let written = if to_error {
        flush_output(ctx)?;
        std::io::stderr().write_all(bytes)
    } else {
        ctx.output().write_all(bytes)
    };
    match written {
        Ok(()) => Ok(Value::NIL),
        Err(e) => Err(io_error(ctx, "", &e)),
    }
}

fn flush_output(ctx: &mut Ctx) -> Result<(), Trap> {
    match ctx.output().flush() {
        Ok(()) => Ok(()),
        Err(e) => Err(io_error(ctx, "standard output", &e)),
    }
}

fn flush(ctx: &mut Ctx) -> NativeResult {
    flush_output(ctx)?;
    Ok(Value::NIL)
}
