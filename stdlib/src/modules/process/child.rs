//! Children: starting a program, waiting for its end, signals.

use super::descriptor::Descriptor;
use super::{pipe, reaper, signal};
use crate::support::{io_error, new_str, settle};
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use mio::unix::pipe::{Receiver, Sender};
use parking_lot::Mutex;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// A child. As long as this lives it is not reaped by anybody else, so its number names no other process.
struct Child {
    program: String,
    pid: u32,
    state: Mutex<State>,
    /// What the system tells its end of; `None`: it was told.
    end: Mutex<Option<Descriptor>>,
}

struct State {
    /// `None`: it goes to the reaper.
    child: Option<std::process::Child>,
    status: Option<ExitStatus>,
    /// Until the program's `Process` is made.
    streams: Streams,
}

#[derive(Default)]
struct Streams {
    input: Option<Sender>,
    output: Option<Receiver>,
    errors: Option<Receiver>,
}

impl Child {
    /// How it has ended; `WouldBlock`: not yet. With it: whether that is known only now; then all who wait must be told (`wake_source`), as the system will not.
    fn try_wait(&self) -> io::Result<(ExitStatus, bool)> {
        let mut state = self.state.lock();
        if let Some(status) = state.status {
            return Ok((status, false));
        }
        let child = state.child.as_mut().expect("until it is dropped");
        match child.try_wait()? {
            Some(status) => {
                state.status = Some(status);
                *self.end.lock() = None;
                Ok((status, true))
            }
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Resource for Child {
    fn title(&self) -> String {
        format!("the end of {} (process {})", self.program, self.pid)
    }
}
impl Drop for Child {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if state.status.is_none()
            && let Some(child) = state.child.take()
        {
            reaper::leave(child);
        }
    }
}

const CHILD: &str = "a child";

fn child<'c>(ctx: &mut Ctx<'c>) -> Result<&'c Child, Trap> {
    ctx.resource_arg(0, CHILD)
}

/// What one of a child's three streams is: "pipe", "inherit" or "null".
fn stream_arg(ctx: &mut Ctx, i: usize, name: &str) -> Result<fn() -> Stdio, Trap> {
    let value = ctx.arg(i);
    Ok(match ctx.as_str(value) {
        Some("pipe") => Stdio::piped,
        Some("inherit") => Stdio::inherit,
        Some("null") => Stdio::null,
        _ => {
            let got = ctx.repr_short(value);
            let message = format!(
                "process.start: {name} must be \"pipe\", \"inherit\" or \"null\", got {got}"
            );
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    })
}

fn throw_type(ctx: &mut Ctx, message: &str) -> Trap {
    ctx.throw(ErrorKind::Type, format!("process.start: {message}"))
}
fn is_free_of_zeros(ctx: &mut Ctx, text: &str) -> Result<(), Trap> {
    if !text.contains('\0') {
        return Ok(());
    }
    let message = format!("process.start: {text:?} contains a zero character");
    Err(ctx.throw(ErrorKind::Value, message))
}

/// The command that the arguments describe.
fn command(ctx: &mut Ctx, program: &str) -> Result<Command, Trap> {
    is_free_of_zeros(ctx, program)?;
    let mut command = Command::new(program);
    for value in ctx.list_arg(1)? {
        let Some(text) = ctx.as_str(*value) else {
            let got = ctx.repr_short(*value);
            return Err(throw_type(ctx, &format!("args must be strings, got {got}")));
        };
        is_free_of_zeros(ctx, text)?;
        command.arg(text);
    }
    // Pairs of a name and a value or nil.
    for pair in ctx.list_arg(2)? {
        let pair = ctx.as_tuple(*pair).unwrap_or_default();
        let [name, value] = *pair else { continue };
        let Some(name) = ctx.as_str(name) else {
            return Err(throw_type(ctx, "the names of env must be strings"));
        };
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("process.start: no variable can be called {name:?}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
        match ctx.as_str(value) {
            Some(text) => {
                is_free_of_zeros(ctx, text)?;
                command.env(name, text);
            }
            None if value.is_nil() => {
                command.env_remove(name);
            }
            None => {
                return Err(throw_type(
                    ctx,
                    &format!("env: {name} must be a string or nil"),
                ));
            }
        }
    }
    if let Some(folder) = ctx.opt_str_arg(3)? {
        is_free_of_zeros(ctx, folder)?;
        command.current_dir(folder);
    }
    Ok(command)
}

/// What a program that has just been started consists of.
fn spawn(command: &mut Command) -> io::Result<(std::process::Child, Descriptor)> {
    let mut child = command.spawn()?;
    let pid = rustix::process::Pid::from_child(&child);
    match rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK) {
        Ok(end) => Ok((child, Descriptor(end))),
        Err(error) => {
            let _ = child.kill();
            reaper::leave(child);
            Err(error.into())
        }
    }
}

/// Why a program cannot be started: the system does not say which of its paths is missing.
fn start_error(ctx: &mut Ctx, command: &Command, program: &str, error: &io::Error) -> Trap {
    if error.kind() != io::ErrorKind::NotFound {
        return io_error(ctx, program, error);
    }
    if let Some(folder) = command.get_current_dir()
        && !folder.is_dir()
    {
        return io_error(ctx, &format!("{program} in {}", folder.display()), error);
    }
    let message = if program.contains('/') {
        format!("process.start: there is no program {program}")
    } else {
        format!("process.start: no program is called {program:?} (in the folders of PATH)")
    };
    ctx.throw(ErrorKind::Io, message)
}

pub(super) fn start(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Process);
    let program = ctx.str_arg(0)?.to_string();
    let mut command = command(ctx, &program)?;
    command
        .stdin(stream_arg(ctx, 4, "input")?())
        .stdout(stream_arg(ctx, 5, "output")?())
        .stderr(stream_arg(ctx, 6, "errors")?());
    ctx.block(
        move || {
            let spawned = spawn(&mut command);
            (command, program, spawned)
        },
        |ctx, (command, program, spawned)| {
            let (mut child, end) = match spawned {
                Ok(spawned) => spawned,
                Err(error) => return Err(start_error(ctx, &command, &program, &error)),
            };
            let streams = Streams {
                input: child.stdin.take().map(Sender::from),
                output: child.stdout.take().map(Receiver::from),
                errors: child.stderr.take().map(Receiver::from),
            };
            let subject = program.clone();
            let child = Child {
                program,
                pid: child.id(),
                state: Mutex::new(State {
                    child: Some(child),
                    status: None,
                    streams,
                }),
                end: Mutex::new(Some(end)),
            };
            let made = ctx.new_source("__Child", child, |child| {
                child.end.get_mut().as_mut().expect("just made")
            });
            made.map_err(|error| io_error(ctx, &subject, &error))
        },
    )
}

/// The child's ends of its pipes, once: standard input, output, errors; nil where there is none.
pub(super) fn streams(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(2048)?;
    let child = child(ctx)?;
    let streams = std::mem::take(&mut child.state.lock().streams);
    let name = |what: &str| format!("standard {what} of {}", child.program);
    let mut made = [Value::NIL; 3];
    let done = (|| {
        if let Some(input) = streams.input {
            made[0] = pipe::new_writer(ctx, name("input"), input)?;
        }
        if let Some(output) = streams.output {
            made[1] = pipe::new_reader(ctx, name("output"), output)?;
        }
        if let Some(errors) = streams.errors {
            made[2] = pipe::new_reader(ctx, name("errors"), errors)?;
        }
        Ok(())
    })();
    match done {
        Ok(()) => {
            let made = ctx.tuple(&made);
            settle(ctx, made)
        }
        Err(error) => Err(io_error(ctx, &child.program, &error)),
    }
}

pub(super) fn pid(ctx: &mut Ctx) -> NativeResult {
    let pid = child(ctx)?.pid;
    Ok(ctx.int(pid.into()))
}

/// Waits for the end: (code, signal), one of which is nil.
pub(super) fn wait(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(256)?;
    let status = ctx.try_io(0, CHILD, Direction::Read, |child: &Child, _| {
        child.try_wait()
    })?;
    match status {
        Ok((status, is_new)) => {
            if is_new {
                ctx.wake_source(0);
            }
            let code = status.code();
            let code = code.map_or(Value::NIL, |code| Value::small_int(code.into()));
            let signal = match status.signal() {
                Some(number) => signal::name(ctx, number),
                None => Value::NIL,
            };
            ctx.tuple(&[code, signal])
        }
        Err(error) => {
            let program = &child(ctx)?.program;
            Err(io_error(ctx, program, &error))
        }
    }
}

/// Sends a signal, unless the child has ended: whether it was sent.
pub(super) fn signal(ctx: &mut Ctx) -> NativeResult {
    let number = signal::arg(ctx, 1)?;
    let child = child(ctx)?;
    // It may have ended and nobody has asked for that yet; then it is reaped here.
    if let Ok((_, is_new)) = child.try_wait() {
        if is_new {
            ctx.wake_source(0);
        }
        return Ok(Value::FALSE);
    }
    let sent = match (
        rustix::process::Signal::from_named_raw(number),
        &*child.end.lock(),
    ) {
        (Some(signal), Some(end)) => rustix::process::pidfd_send_signal(&end.0, signal),
        (None, _) => Err(rustix::io::Errno::INVAL),
        (_, None) => Err(rustix::io::Errno::SRCH),
    };
    match sent {
        Ok(()) => Ok(Value::TRUE),
        Err(rustix::io::Errno::SRCH) => Ok(Value::FALSE),
        Err(error) => Err(io_error(ctx, &child.program, &error.into())),
    }
}

/// What a program wrote, as text.
pub(super) fn text(ctx: &mut Ctx) -> NativeResult {
    let bytes = ctx.bytes_arg(0)?;
    match std::str::from_utf8(bytes) {
        Ok(text) => new_str(ctx, text),
        Err(error) => {
            let program = ctx.str_arg(1)?;
            let message = format!(
                "process.run: what {program} wrote is no UTF-8 at byte {} (text: false gives bytes)",
                error.valid_up_to()
            );
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}
