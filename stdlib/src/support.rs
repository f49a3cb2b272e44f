//! What several files of the library share.

use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, ops};
use std::io;

/// `MODULE.__wrong(what, expected, value)`: throws `TypeError: hash.sha256: data must be a string, got an int`. For what a module's source checks itself.
pub(crate) fn wrong(ctx: &mut Ctx) -> NativeResult {
    let (what, expected) = (ctx.str_arg(0)?, ctx.str_arg(1)?);
    let name = ctx.type_name(ctx.arg(2));
    let article = match name.as_str() {
        "nil" | "bytes" => "",
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => "an ",
        _ => "a ",
    };
    let message = format!("{what} must be {expected}, got {article}{name}");
    Err(ctx.throw(ErrorKind::Type, message))
}

/// A new string, room asked for before.
pub(crate) fn new_str(ctx: &mut Ctx, text: &str) -> NativeResult {
    ctx.reserve(text.len())?;
    Ok(ctx.str(text))
}

/// Appends the text of a value for which `can_concat` holds.
pub(crate) fn write_text(ctx: &mut Ctx, out: &mut String, value: Value) -> Result<(), Trap> {
    match ctx.as_str(value) {
        Some(text) => {
            out.push_str(text);
            Ok(())
        }
        None => {
            let written = ops::text::write_plain(out, value);
            ctx.done(written)
        }
    }
}

/// The result of a native that has changed something and so cannot be run again after a collection: being short of room is an
/// error then. What it was likely to need was asked for before it began.
pub(crate) fn settle<T>(ctx: &mut Ctx, result: Result<T, Trap>) -> Result<T, Trap> {
    match result {
        Err(Trap::Collect) => {
            let message = format!("{}: out of memory", ctx.name());
            Err(ctx.throw(ErrorKind::Limit, message))
        }
        other => other,
    }
}

/// New bytes, room asked for before.
pub(crate) fn new_bytes(ctx: &mut Ctx, bytes: &[u8]) -> NativeResult {
    ctx.reserve(bytes.len())?;
    ctx.bytes(bytes)
}

/// Positions as slices take them: negative ones count from the end, all are clamped, and the end is not before the start.
pub(crate) fn slice_bounds(start: Option<i64>, end: Option<i64>, length: usize) -> (usize, usize) {
    let resolve = |i: i64| {
        if i < 0 {
            length.saturating_sub(i.unsigned_abs() as usize)
        } else {
            (i as usize).min(length)
        }
    };
    let start = start.map_or(0, resolve);
    let end = end.map_or(length, resolve);
    (start, end.max(start))
}

/// A position or count that may be left out; what is beyond 64 bits is cut to what they hold, which is beyond any length.
pub(crate) fn position_arg(ctx: &mut Ctx, i: usize) -> Result<Option<i64>, Trap> {
    let value = ctx.arg(i);
    if ops::int::is_int(value) && ops::int::to_i64(value).is_none() {
        let order = ops::compare::compare_numbers(value, Value::small_int(0)).flatten();
        let is_negative = order == Some(std::cmp::Ordering::Less);
        return Ok(Some(if is_negative { i64::MIN } else { i64::MAX }));
    }
    ctx.opt_int_arg(i)
}

/// A position of an element; `None` if there is none there.
pub(crate) fn element_position(i: i64, length: usize) -> Option<usize> {
    let i = if i < 0 {
        i.checked_add(length as i64)?
    } else {
        i
    };
    usize::try_from(i).ok().filter(|&i| i < length)
}

/// Text or bytes, owned.
pub(crate) fn data_arg(ctx: &mut Ctx, i: usize) -> Result<Vec<u8>, Trap> {
    let data = ctx.arg(i);
    if let Some(text) = ctx.as_str(data) {
        return Ok(text.as_bytes().to_vec());
    }
    match ctx.as_bytes(data) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(ctx.wrong_type(i, "a string or bytes")),
    }
}

/// What went wrong, in words, with the kind that `e.data` says.
#[derive(Debug)]
struct Failure {
    kind: &'static str,
    text: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::error::Error for Failure {}

/// An error that the system knows nothing of.
pub(crate) fn failure(kind: &'static str, text: &str) -> io::Error {
    io::Error::other(Failure {
        kind,
        text: text.into(),
    })
}

/// What comes does not fit the memory that the program may have: a `LimitError`.
pub(crate) fn no_memory(what: &str) -> io::Error {
    failure(NO_MEMORY, &format!("{what} does not fit the memory"))
}
const NO_MEMORY: &str = "no memory";

/// Throws an `IoError`: `fs.read: /nope: no such file or directory`. Its `data` says what kind of error it is.
pub(crate) fn io_error(ctx: &mut Ctx, subject: &str, error: &io::Error) -> Trap {
    let name = ctx.name().replacen(".__", ".", 1);
    io_error_of(ctx, &name, subject, error)
}
/// The same for a part of the function `name`.
pub(crate) fn io_error_of(ctx: &mut Ctx, name: &str, subject: &str, error: &io::Error) -> Trap {
    let reason = reason(error);
    let message = if subject.is_empty() {
        format!("{name}: {reason}")
    } else {
        // A path may be a megabyte long.
        let shown: String = subject.chars().take(1000).collect();
        let dots = if shown.len() < subject.len() {
            "…"
        } else {
            ""
        };
        format!("{name}: {shown}{dots}: {reason}")
    };
    if kind_of(error) == Some(NO_MEMORY) {
        return ctx.throw(ErrorKind::Limit, message);
    }
    let data = kind_of(error).map_or(Value::NIL, |kind| ctx.str(kind));
    ctx.throw_with(ErrorKind::Io, &message, data)
}

/// What programs may want to tell apart.
pub(crate) fn kind_of(error: &io::Error) -> Option<&'static str> {
    if let Some(inner) = error.get_ref()
        && let Some(failure) = inner.downcast_ref::<Failure>()
    {
        return Some(failure.kind);
    }
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let is_one = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        if is_one(Errno::MFILE) || is_one(Errno::NFILE) {
            return Some("too many files");
        }
    }
    Some(match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "reset",
        io::ErrorKind::ConnectionAborted => "aborted",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::AddrInUse => "in use",
        io::ErrorKind::AddrNotAvailable => "not available",
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => "unreachable",
        io::ErrorKind::NotFound => "not found",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "denied",
        io::ErrorKind::AlreadyExists => "exists",
        io::ErrorKind::UnexpectedEof => "ended",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "full",
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => "invalid",
        _ => return None,
    })
}

/// The system's text, without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    match chars.next() {
        // Not that of TLS.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_clamped() {
        assert_eq!(slice_bounds(None, None, 5), (0, 5));
        assert_eq!(slice_bounds(Some(-2), None, 5), (3, 5));
        assert_eq!(slice_bounds(Some(-9), Some(9), 5), (0, 5));
        assert_eq!(slice_bounds(Some(4), Some(2), 5), (4, 4));
        assert_eq!(slice_bounds(Some(i64::MIN), Some(i64::MAX), 5), (0, 5));
    }

    #[test]
    fn positions_count_from_both_ends() {
        assert_eq!(element_position(0, 3), Some(0));
        assert_eq!(element_position(-1, 3), Some(2));
        assert_eq!(element_position(3, 3), None);
        assert_eq!(element_position(-4, 3), None);
        assert_eq!(element_position(i64::MIN, 3), None);
    }
}
