//! Reading bodies: whole, or as they come.

use super::serving::{do_step, wire};
use super::wire::{Line, Stage, Step};
use crate::support::{io_error, settle};
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;

/// Bytes of a body that are given out at once.
const PIECE: usize = 64 * 1024;

/// Reads until `wanted` bytes of the body, or all of it, are there. Arguments: the connection, and the number of the message.
fn read(ctx: &mut Ctx, wanted: usize, most: usize) -> Result<(), Trap> {
    let wire = wire(ctx)?;
    let number = ctx.int_arg(1)? as u64;
    let limit = ctx.heap().limit();
    loop {
        let step = {
            let mut line = wire.0.line.lock();
            let is_current = line.stage == Stage::Message && line.message.number == number;
            is_current.then(|| {
                let step = line.next_body(wanted, most);
                (step, line.message.body.len() > limit)
            })
        };
        let error = match step {
            None => {
                let message = format!("{}: the body is gone: its time is over", ctx.name());
                return Err(ctx.throw(ErrorKind::Value, message));
            }
            Some((_, true)) => {
                return Err(ctx.throw(ErrorKind::Limit, "the body does not fit the memory"));
            }
            Some((Ok(Step::Body), _)) => return Ok(()),
            Some((Ok(step), _)) => do_step(ctx, &step)?.err(),
            Some((Err(refusal), _)) => Some(std::io::Error::other(refusal.reason)),
        };
        if let Some(error) = error {
            return Err(io_error(ctx, &wire.0.peer, &error));
        }
    }
}

/// What of the body is there, without copying it first.
fn give(ctx: &mut Ctx, take: impl FnOnce(&mut Line)) -> NativeResult {
    let wire = wire(ctx)?;
    wire.mark(super::serving::Phase::Busy);
    let mut line = wire.0.line.lock();
    ctx.reserve(line.message.body.len() + 64)?;
    let made = ctx.bytes(&line.message.body);
    if made.is_ok() {
        take(&mut line);
    }
    drop(line);
    settle(ctx, made)
}

/// `http.__body(wire, number)`: the whole body, again and again. Throws IoError, LimitError.
pub(super) fn whole(ctx: &mut Ctx) -> NativeResult {
    read(ctx, usize::MAX, usize::MAX)?;
    give(ctx, |_| {})
}
/// `http.__piece(wire, number)`: the next bytes of the body, or nil at the end. Throws IoError.
pub(super) fn piece(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    // What a whole body has left here goes first.
    if wire.0.line.lock().message.body.is_empty() {
        read(ctx, 1, PIECE)?;
    }
    if wire.0.line.lock().message.body.is_empty() {
        return ctx.nil();
    }
    give(ctx, |line| line.message.body = Vec::new())
}
