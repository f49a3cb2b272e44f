//! `io`: standard input and output.

use crate::support::{io_error, settle};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use std::io::{BufRead, Read, Write};

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

/// A line of standard input without its end; `None` at the end of input.
pub(crate) fn next_line(ctx: &mut Ctx) -> Result<Option<Value>, Trap> {
    // Whoever reads has usually been asked something.
    flush_output(ctx)?;
    let mut line = Vec::new();
    match std::io::stdin().lock().read_until(b'\n', &mut line) {
        Ok(0) => return Ok(None),
        Ok(_) => {}
        Err(e) => return Err(io_error(ctx, "standard input", &e)),
    }
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
    flush_output(ctx)?;
    let mut bytes = Vec::new();
    match std::io::stdin().lock().read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(e) => Err(io_error(ctx, "standard input", &e)),
    }
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
