//! Signals: their names, and those that come to this process (`os.signals`).

use crate::support::io_error;
use heddle_vm::Value;
use heddle_vm::io::{Direction, Resource};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use mio::unix::pipe::Receiver;
use parking_lot::Mutex;
use signal_hook::SigId;
use signal_hook::low_level::{pipe, unregister};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Signals that programs name.
const NAMES: &[(&str, i32)] = {
    use signal_hook::consts::*;
    &[
        ("HUP", SIGHUP),
        ("INT", SIGINT),
        ("QUIT", SIGQUIT),
        ("KILL", SIGKILL),
        ("USR1", SIGUSR1),
        ("USR2", SIGUSR2),
        ("PIPE", SIGPIPE),
        ("ALRM", SIGALRM),
        ("TERM", SIGTERM),
        ("CHLD", SIGCHLD),
        ("CONT", SIGCONT),
        ("STOP", SIGSTOP),
        ("TSTP", SIGTSTP),
        ("WINCH", SIGWINCH),
    ]
};

/// A signal's number by its name, `"TERM"` or `"SIGTERM"`, or by itself.
pub(super) fn arg(ctx: &mut Ctx, i: usize) -> Result<i32, Trap> {
    let value = ctx.arg(i);
    let message = if let Some(text) = ctx.as_str(value) {
        let short = text.strip_prefix("SIG").unwrap_or(text);
        if let Some((_, number)) = NAMES.iter().find(|(name, _)| *name == short) {
            return Ok(*number);
        }
        let hint = heddle_vm::error::did_you_mean(short, NAMES.iter().map(|(name, _)| *name));
        format!("no signal is called {text:?}{hint}")
    } else {
        if !value.is_small_int() {
            return Err(ctx.wrong_type(i, "the name or number of a signal"));
        }
        match value.as_small_int() {
            number @ 1..=64 => return Ok(number as i32),
            number => format!("no signal has the number {number}"),
        }
    };
    let message = format!("{}: {message}", ctx.name().replacen(".__", ".", 1));
    Err(ctx.throw(ErrorKind::Value, message))
}

/// Signals that come to this process, as something that can be waited for.
struct Signals {
    /// Each with a flag that its handler sets, before it writes into the pipe.
    watched: Vec<(&'static str, Arc<AtomicBool>)>,
    pipe: Mutex<Receiver>,
    handlers: Vec<SigId>,
}

impl Resource for Signals {
    fn title(&self) -> String {
        let names: Vec<&str> = self.watched.iter().map(|(name, _)| *name).collect();
        format!("a signal ({})", names.join(", "))
    }
}
impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
    }
}

pub(in crate::modules) fn listen(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Process);
    ctx.reserve(512)?;
    let names = ctx.list_arg(0)?;
    if names.is_empty() {
        let message = "os.signals: the name of a signal is expected";
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let mut numbers = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let Some(text) = ctx.as_str(*name) else {
            let message = format!("os.signals: signal {} must be a string", i + 1);
            return Err(ctx.throw(ErrorKind::Type, message));
        };
        let short = text.strip_prefix("SIG").unwrap_or(text);
        let found = NAMES.iter().find(|(name, _)| *name == short);
        let Some(&(name, number)) = found else {
            let hint = heddle_vm::error::did_you_mean(short, NAMES.iter().map(|(name, _)| *name));
            let message = format!("os.signals: no signal is called {text:?}{hint}");
            return Err(ctx.throw(ErrorKind::Value, message));
        };
        let why = match name {
            "INT" => "Ctrl-C throws Cancelled",
            "KILL" | "STOP" => "no process can listen to it",
            "CHLD" => "it is for those who wait for children (process.start)",
            "PIPE" => "writing throws IoError",
            _ => {
                numbers.push((name, number));
                continue;
            }
        };
        let message = format!("os.signals: {name}: {why}");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    let made = signals(&numbers)
        .and_then(|signals| ctx.new_source("Signals", signals, |signals| signals.pipe.get_mut()));
    made.map_err(|error| io_error(ctx, "", &error))
}
fn signals(numbers: &[(&'static str, i32)]) -> io::Result<Signals> {
    let (sender, receiver) = mio::unix::pipe::new()?;
    let sender = OwnedFd::from(sender);
    let mut signals = Signals {
        watched: Vec::new(),
        pipe: Mutex::new(receiver),
        handlers: Vec::new(),
    };
    for &(name, number) in numbers {
        let flag = Arc::new(AtomicBool::new(false));
        let id = signal_hook::flag::register(number, flag.clone())?;
        signals.handlers.push(id);
        signals.watched.push((name, flag));
        let id = pipe::register(number, sender.try_clone()?)?;
        signals.handlers.push(id);
    }
    Ok(signals)
}

pub(in crate::modules) fn next(ctx: &mut Ctx) -> NativeResult {
    ctx.reserve(64)?;
    let came = ctx.try_io(0, "Signals", Direction::Read, |signals: &Signals, _| {
        loop {
            let came = signals
                .watched
                .iter()
                .find(|(_, flag)| flag.swap(false, Ordering::SeqCst));
            if let Some((name, _)) = came {
                return Ok(*name);
            }
            let mut bytes = [0; 64];
            if signals.pipe.lock().read(&mut bytes)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    })?;
    match came {
        Ok(name) => Ok(ctx.str(name)),
        Err(error) => Err(io_error(ctx, "", &error)),
    }
}
pub(in crate::modules) fn itself(ctx: &mut Ctx) -> NativeResult {
    ctx.resource_arg::<Signals>(0, "Signals")?;
    Ok(ctx.arg(0))
}

/// The name of a signal that ended a child, or its number.
pub(super) fn name(ctx: &mut Ctx, number: i32) -> Value {
    match NAMES.iter().find(|(_, known)| *known == number) {
        Some((name, _)) => ctx.str(name),
        None => Value::small_int(number.into()),
    }
}
