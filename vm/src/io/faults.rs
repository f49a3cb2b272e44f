//! Faults: answers that the system may give and seldom does, given by the seed (`--schedule=seed:N --faults=short|all`).
//!
//! All calls on sockets that do not wait ask here first how they go (`Faults::begin`). Faults that a program must not notice (less is read or written than was asked for, a call is interrupted, it would wait
//! although there is something, descriptors run out while a connection is accepted) come with `short`; with `all` connections are reset, too.
//!
//! They have numbers of their own, so a schedule is the same with and without them. A call that "would wait" has no change to wait for: `Ctx::try_io` lets its task sleep for a moment.

use crate::sched::choices::Choices;
use std::io;

/// Which faults there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FaultLevel {
    #[default]
    None,
    /// Those that a program does not notice.
    Short,
    /// Connections are reset, too.
    All,
}

/// A call of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Accept,
    Connect,
}

/// One call in so many has a fault of a kind.
const SHORT_EVERY: u64 = 3;
const WAIT_EVERY: u64 = 6;
const INTERRUPT_EVERY: u64 = 8;
const EXHAUSTED_EVERY: u64 = 8;
const RESET_EVERY: u64 = 50;

/// What was decided last; see `Ctx::try_io`.
pub(crate) struct FaultState {
    pub(crate) level: FaultLevel,
    pub(crate) would_wait: bool,
}

/// How calls of the system go; made by `Ctx::faults`.
#[derive(Clone, Copy)]
pub struct Faults<'c>(Option<&'c Choices>);

impl<'c> Faults<'c> {
    pub(crate) fn new(choices: &'c Choices) -> Faults<'c> {
        Faults(choices.has_faults().then_some(choices))
    }
    /// Without any.
    pub fn none() -> Faults<'c> {
        Faults(None)
    }
    /// How many of `length` bytes the next call may move, or the error that it has instead of being made.
    #[inline]
    pub fn begin(self, call: Call, length: usize) -> io::Result<usize> {
        match self.0 {
            None => Ok(length),
            Some(choices) => choose(choices, call, length),
        }
    }
}

#[cold]
fn choose(choices: &Choices, call: Call, length: usize) -> io::Result<usize> {
    choices.with_faults(|state, below| {
        let mut happens = |every| below(every) == 0;
        if happens(INTERRUPT_EVERY) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if call != Call::Connect && happens(WAIT_EVERY) {
            state.would_wait = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if call == Call::Accept && happens(EXHAUSTED_EVERY) {
            return Err(exhausted());
        }
        let is_transfer = matches!(call, Call::Read | Call::Write);
        if is_transfer && state.level == FaultLevel::All && happens(RESET_EVERY) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if is_transfer && length > 1 && happens(SHORT_EVERY) {
            return Ok(1 + below(length as u64 - 1) as usize);
        }
        Ok(length)
    })
}

#[cfg(unix)]
fn exhausted() -> io::Error {
    rustix::io::Errno::MFILE.into()
}
#[cfg(not(unix))]
fn exhausted() -> io::Error {
    io::ErrorKind::OutOfMemory.into()
}
