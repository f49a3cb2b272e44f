//! `io`: standard input and output.

use crate::support::{io_error, settle};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
#[cfg(not(unix))]
use std::io::Read;
use std::io::{ErrorKind as IoErrorKind, Write};
use std::sync::Mutex;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "io",
    functions: natives! {
        /// The next line of standard input without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
        blocking "io.read_line" () => read_line;
        /// The rest of standard input. Throws IoError, ValueError if it is no UTF-8.
        blocking "io.read_all" () => read_all;
        /// The rest of standard input, as bytes. Throws IoError.
        blocking "io.read_bytes" () => read_bytes;
        /// Writes text or bytes to standard output, nothing added. Throws IoError.
        plain "io.write" (data) => |ctx| write(ctx, false);
        /// Writes text or bytes to standard error, nothing added. Throws IoError.
        plain "io.write_error" (data) => |ctx| write(ctx, true);
        /// Hands what was written to the system. Throws IoError.
        plain "io.flush" () => flush;
    },
    constants: |_| {},
    source: Some(
        "## The lines of standard input, lazily.\npub gen fn lines() {\n    loop {\n        let line = read_line()\n        if line is nil { return }\n        yield line\n    }\n}\n",
    ),
};

/// What was read from standard input and not yet asked for. It belongs to the process, as the input does.
static INPUT: Mutex<Input> = Mutex::new(Input {
    bytes: Vec::new(),
    start: 0,
});

struct Input {
    bytes: Vec<u8>,
    /// What lies in front of it has been given out.
    start: usize,
}

impl Input {
    /// Waits for more input and appends it; false at the end. An interrupt (Ctrl-C) ends the wait with `Cancelled`.
    fn fill(&mut self, ctx: &mut Ctx) -> Result<bool, Trap> {
        /// Bytes read at once.
        const BLOCK: usize = 64 * 1024;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
        loop {
            wait_for_input(ctx)?;
            let old = self.bytes.len();
            self.bytes.resize(old + BLOCK, 0);
            let read = read_some(&mut self.bytes[old..]);
            self.bytes.truncate(old + read.as_ref().map_or(0, |&n| n));
            match read {
                Ok(n) => return Ok(n > 0),
                Err(e) if e.kind() == IoErrorKind::Interrupted => {}
                Err(e) => return Err(io_error(ctx, "standard input", &e)),
            }
        }
    }

    /// Gives out so many bytes.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.bytes[self.start..self.start + count].to_vec();
        self.start += count;
        taken
    }
}

#[cfg(unix)]
fn read_some(to: &mut [u8]) -> std::io::Result<usize> {
    Ok(rustix::io::read(rustix::stdio::stdin(), to)?)
}
#[cfg(not(unix))]
fn read_some(to: &mut [u8]) -> std::io::Result<usize> {
    std::io::stdin().lock().read(to)
}

/// Returns when a read would not wait. A read itself goes on after a signal, so the wait is one that does not; between two looks at the
/// interrupt it is short, in case the signal comes just before it begins.
#[cfg(unix)]
fn wait_for_input(ctx: &mut Ctx) -> Result<(), Trap> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    const LOOK: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    loop {
        ctx.check_interrupt()?;
        let stdin = rustix::stdio::stdin();
        let mut wait = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut wait, Some(&LOOK)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // What is wrong with it the read will say.
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}
#[cfg(not(unix))]
fn wait_for_input(ctx: &mut Ctx) -> Result<(), Trap> {
    ctx.check_interrupt()
}

/// A line of standard input without its end; `None` at the end of input.
pub(crate) fn next_line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    ctx.note_outside(Outside::Stdin);
    // Whoever reads has usually been asked something.
    flush_output(ctx)?;
    let mut input = INPUT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut searched = 0;
    let length = loop {
        let rest = &input.bytes[input.start..];
        if let Some(i) = memchr::memchr(b'\n', &rest[searched..]) {
            break searched + i + 1;
        }
        searched = rest.len();
        if !input.fill(ctx)? {
            if searched == 0 {
                return Ok(None);
            }
            break searched;
        }
    };
    let mut line = input.take(length);
    drop(input);
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    text_of_input(ctx, &line).map(Some)
}

fn text_of_input(ctx: &mut Ctx, bytes: &[u8]) -> NativeResult {
    match std::str::from_utf8(bytes) {
        // Input cannot be read again, so this must not ask for a collection.
        Ok(text) => Ok(ctx.str(text)),
        Err(_) => {
            let message = format!("{}: standard input is no UTF-8", ctx.name());
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

fn read_line(ctx: &mut Ctx) -> NativeResult {
    Ok(next_line(ctx)?.unwrap_or(Value::NIL))
}

fn read_rest(ctx: &mut Ctx) -> Result<Vec<u8>, Trap> {
    ctx.note_outside(Outside::Stdin);
    flush_output(ctx)?;
    let mut input = INPUT
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    while input.fill(ctx)? {}
    let length = input.bytes.len() - input.start;
    Ok(input.take(length))
}

fn read_all(ctx: &mut Ctx) -> NativeResult {
    let bytes = read_rest(ctx)?;
    text_of_input(ctx, &bytes)
}

fn read_bytes(ctx: &mut Ctx) -> NativeResult {
    let bytes = read_rest(ctx)?;
    let made = ctx.bytes(&bytes);
    settle(ctx, made)
}

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
