//! Answers: the head of a response and what follows it, in one write where it fits.

use super::framing::Framing;
use super::parse::Refusal;
use super::serving::{Phase, do_step, wire};
use super::wire::{Line, MOST_SKIPPED, Stage, Step, Wire};
use crate::support::io_error;
use heddle_vm::Value;
use heddle_vm::io::Direction;
use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// A body of so many bytes is copied behind its head, to be written with it.
const MOST_COPIED: usize = 16 * 1024;
/// Bytes of a chunk, at most: what is written lies in memory twice.
const MOST_CHUNK: usize = 1024 * 1024;
const DATE_BYTES: usize = 29;

thread_local! {
    /// The second, and its date.
    static DATE: RefCell<(u64, [u8; DATE_BYTES])> = const { RefCell::new((u64::MAX, [0; DATE_BYTES])) };
}

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT`.
fn write_date(out: &mut Vec<u8>) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |time| time.as_secs());
    DATE.with_borrow_mut(|(second, text)| {
        if *second != now {
            *second = now;
            *text = date(now);
        }
        out.extend_from_slice(text);
    });
}

/// Seconds since 1970, in UTC, as a date of HTTP. Until the year 9999.
fn date(seconds: u64) -> [u8; DATE_BYTES] {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March, from the year 0 on: then the leap day is the last of a year.
    let shifted = days + 719_468;
    let (era, day) = (shifted / DAYS_OF_400_YEARS, shifted % DAYS_OF_400_YEARS);
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = (year_of_era + era * 400 + u64::from(month < 2)).min(9999);
    let mut out = [0; DATE_BYTES];
    let mut rest = &mut out[..];
    let written = write!(
        rest,
        "{}, {day_of_month:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        time / 3600,
        time / 60 % 60,
        time % 60
    );
    debug_assert!(written.is_ok() && rest.is_empty());
    out
}

pub(super) fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "Unknown",
    }
}

/// The first line and the date.
fn write_start(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        out.extend_from_slice(b"HTTP/1.1 200 OK\r\ndate: ");
    } else {
        out.extend_from_slice(b"HTTP/1.1 ");
        write_number(out, status as usize);
        out.push(b' ');
        out.extend_from_slice(reason_phrase(status).as_bytes());
        out.extend_from_slice(b"\r\ndate: ");
    }
    write_date(out);
    out.extend_from_slice(b"\r\n");
}

fn write_number(out: &mut Vec<u8>, mut n: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(b"content-length: ");
    write_number(out, length);
    out.extend_from_slice(b"\r\n");
}

/// The whole answer to what is not accepted; the connection is closed behind it.
pub(super) fn write_refusal(out: &mut Vec<u8>, refusal: Refusal) {
    write_start(out, refusal.status);
    out.extend_from_slice(b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\n");
    write_length(out, refusal.reason.len() + 1);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(refusal.reason.as_bytes());
    out.push(b'\n');
}

/// Whether it may be the name of a header field.
pub(super) fn is_token(name: &[u8]) -> bool {
    let is_sign = |b: &u8| b"!#$%&'*+-.^_`|~".contains(b);
    !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || is_sign(b))
}
/// Whether it may be the value of a header field: nothing that could end the line.
pub(super) fn is_field_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&b| b == b'\t' || (b >= b' ' && b != 0x7f))
}

/// Appends the header fields of argument `i`, a list of pairs of strings, but for those that say where the body ends. What they say is told to `see`.
pub(super) fn write_fields(
    ctx: &mut Ctx,
    i: usize,
    out: &mut Vec<u8>,
    mut see: impl FnMut(&str, &str),
) -> Result<(), Trap> {
    if ctx.arg_or_nil(i).is_nil() {
        return Ok(());
    }
    for &pair in ctx.list_arg(i)? {
        let texts = ctx.as_tuple(pair).and_then(|pair| match pair {
            [name, value] => Some((ctx.as_str(*name)?, ctx.as_str(*value)?)),
            _ => None,
        });
        let Some((name, value)) = texts else {
            return Err(ctx.wrong_type(i, "pairs of strings"));
        };
        if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) {
            let shown: String = format!("{name}: {value}").chars().take(80).collect();
            let message = format!("http: {shown:?} cannot be a header field");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
        see(name, value);
        let is_framing = name.eq_ignore_ascii_case("content-length")
            || name.eq_ignore_ascii_case("transfer-encoding");
        if !is_framing {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

/// What header fields of the answer say.
#[derive(Default)]
struct Given {
    has_type: bool,
    closes: bool,
    length: Option<usize>,
}

/// `status` and fields of an answer: arguments 1 and 2.
fn write_head(ctx: &mut Ctx, out: &mut Vec<u8>) -> Result<(u16, Given), Trap> {
    let status = match ctx.int_arg(1)? {
        n @ 200..=999 => n as u16,
        n => {
            let message = format!("http: a status is a number from 200 to 999, got {n}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    write_start(out, status);
    let mut given = Given::default();
    write_fields(ctx, 2, out, |name, value| {
        given.has_type |= name.eq_ignore_ascii_case("content-type");
        given.closes |=
            name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
        if name.eq_ignore_ascii_case("content-length") {
            given.length = value.parse().ok();
        }
    })?;
    Ok((status, given))
}

/// The answer begins; `false`: nobody waits for it.
fn begin(line: &mut Line) -> bool {
    let is_open = line.stage == Stage::Message && line.transport.is_some();
    is_open && !std::mem::replace(&mut line.message.is_answered, true)
}

/// Puts it behind what is still to be written, as `100 Continue`.
fn put(line: &mut Line, out: Vec<u8>) {
    if line.has_output() {
        line.output.extend_from_slice(&out);
    } else {
        line.output = out;
    }
}

/// Decides whether the connection is kept, and says so where it must be said.
fn write_connection(wire: &Wire, line: &mut Line, out: &mut Vec<u8>, given: &Given) {
    let message = &mut line.message;
    let is_closing = wire.serving().is_some_and(|serving| serving.is_closing());
    // To read all that nobody wants takes longer than a new connection.
    let is_long = matches!(message.framing, Framing::Length(left) if left > MOST_SKIPPED);
    let is_broken = message.refusal.is_some() || message.expects_continue;
    if given.closes || is_closing || is_long || is_broken {
        message.is_kept = false;
    }
    if !message.is_kept && !given.closes {
        out.extend_from_slice(b"connection: close\r\n");
    } else if message.is_kept && !message.has_version_11 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
}

/// `http.__respond(wire, status, fields, body)`: a whole answer; whether the connection goes on.
pub(super) fn respond(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let value = ctx.arg(3);
    let (body, content_type) = match ctx.as_str(value) {
        Some(text) => (text.as_bytes(), "text/plain; charset=utf-8"),
        None => match ctx.as_bytes(value) {
            Some(bytes) => (bytes, "application/octet-stream"),
            None => return Err(ctx.wrong_type(3, "a string or bytes")),
        },
    };
    if ctx.state == 0 {
        let mut out = Vec::with_capacity(256 + body.len().min(MOST_COPIED));
        let (status, given) = write_head(ctx, &mut out)?;
        let mut line = wire.0.line.lock();
        if !begin(&mut line) {
            return Ok(Value::FALSE);
        }
        write_connection(wire, &mut line, &mut out, &given);
        let has_body = status != 204 && status != 304;
        if has_body {
            if !given.has_type {
                out.extend_from_slice(b"content-type: ");
                out.extend_from_slice(content_type.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            let length = match given.length {
                // Of the body that is not sent.
                Some(length) if line.message.is_head && body.is_empty() => length,
                _ => body.len(),
            };
            write_length(&mut out, length);
        }
        out.extend_from_slice(b"\r\n");
        let is_sent = has_body && !line.message.is_head;
        if is_sent && body.len() <= MOST_COPIED {
            out.extend_from_slice(body);
        }
        put(&mut line, out);
        ctx.state = if is_sent && body.len() > MOST_COPIED {
            WITH_BODY
        } else {
            HEAD_ONLY
        };
    }
    let more = if ctx.state == WITH_BODY { body } else { &[] };
    finish_write(ctx, more)
}

/// What `Ctx::state` says when an answer waits: whether the body must be written, too.
const HEAD_ONLY: u64 = 1;
const WITH_BODY: u64 = 2;

/// Writes what is left; whether the connection goes on.
fn finish_write(ctx: &mut Ctx, more: &[u8]) -> NativeResult {
    let wire = wire(ctx)?;
    wire.mark(Phase::Write);
    let faults = ctx.faults();
    let done = ctx.try_io(0, "a connection", Direction::Write, |wire: &Wire, _| {
        let mut line = wire.0.line.lock();
        line.write(more, faults)?;
        Ok(line.message.is_kept)
    })?;
    wire.mark(Phase::Busy);
    match done {
        Ok(is_kept) => Ok(Value::bool(is_kept)),
        Err(_) => {
            wire.0.line.lock().close();
            Ok(Value::FALSE)
        }
    }
}

/// `http.__begin(wire, status, fields)`: the head of an answer whose body comes in parts: whether it is wanted; nil if nobody waits for the answer.
pub(super) fn begin_stream(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let mut out = Vec::with_capacity(256);
    let (status, given) = write_head(ctx, &mut out)?;
    let mut line = wire.0.line.lock();
    if !begin(&mut line) {
        return ctx.nil();
    }
    let has_body = status != 204 && status != 304;
    line.message.has_chunks = has_body && line.message.has_version_11;
    if has_body && !line.message.has_version_11 {
        // The end of the connection is that of the body.
        line.message.is_kept = false;
    }
    write_connection(wire, &mut line, &mut out, &given);
    if has_body && !given.has_type {
        out.extend_from_slice(b"content-type: application/octet-stream\r\n");
    }
    if line.message.has_chunks {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    // It is written with the first part.
    put(&mut line, out);
    Ok(Value::bool(has_body && !line.message.is_head))
}

/// Appends a part of a body.
pub(super) fn write_chunk(out: &mut Vec<u8>, part: &[u8], has_chunks: bool) {
    if has_chunks {
        // A number in hexadecimal digits does not fail to be written.
        let _ = write!(out, "{:x}\r\n", part.len());
    }
    out.extend_from_slice(part);
    if has_chunks {
        out.extend_from_slice(b"\r\n");
    }
}

/// `http.__chunk(wire, data, from)`: writes at most so much of a part of a body, from byte `from` on; the byte behind it, nil at the end, or false if a server reads no more of it.
/// Throws IoError.
pub(super) fn chunk(ctx: &mut Ctx) -> NativeResult {
    let wire = wire(ctx)?;
    let data = ctx.arg(1);
    let bytes = match ctx.as_str(data) {
        Some(text) => text.as_bytes(),
        None => match ctx.as_bytes(data) {
            Some(bytes) => bytes,
            None => return Err(ctx.wrong_type(1, "a string or bytes")),
        },
    };
    let from = (ctx.int_arg(2)?.max(0) as usize).min(bytes.len());
    let end = (from + MOST_CHUNK).min(bytes.len());
    if ctx.state == 0 {
        let mut line = wire.0.line.lock();
        let has_chunks = line.message.has_chunks;
        // An empty chunk would be the end.
        if from < end {
            write_chunk(&mut line.output, &bytes[from..end], has_chunks);
        }
        ctx.state = HEAD_ONLY;
    }
    match do_step(ctx, &Step::Write)? {
        Ok(()) => {
            wire.mark(Phase::Busy);
            if end < bytes.len() {
                Ok(Value::small_int(end as i64))
            } else {
                ctx.nil()
            }
        }
        Err(error) if super::client::stop_sending(wire, &error) => Ok(Value::FALSE),
        Err(error) => {
            wire.0.line.lock().close();
            Err(io_error(ctx, &wire.0.peer, &error))
        }
    }
}

/// `http.__finish(wire)`: the end of a body in parts; whether the connection goes on.
pub(super) fn finish(ctx: &mut Ctx) -> NativeResult {
    if ctx.state == 0 {
        let mut line = wire(ctx)?.0.line.lock();
        if line.message.has_chunks && !line.message.is_head {
            line.output.extend_from_slice(b"0\r\n\r\n");
        }
        ctx.state = HEAD_ONLY;
    }
    finish_write(ctx, &[])
}

/// `http.__refusal(wire)`: the status of the answer if the body was not accepted, or nil.
pub(super) fn refusal(ctx: &mut Ctx) -> NativeResult {
    let refusal = wire(ctx)?.0.line.lock().message.refusal;
    Ok(match refusal {
        Some(refusal) => Value::small_int(refusal.status.into()),
        None => Value::NIL,
    })
}

/// `http.__is_unanswered(wire)`: no answer has begun.
pub(super) fn is_unanswered(ctx: &mut Ctx) -> NativeResult {
    let line = wire(ctx)?.0.line.lock();
    Ok(Value::bool(!line.message.is_answered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(std::str::from_utf8(&date(seconds)), Ok(text));
        }
    }
    #[test]
    fn numbers() {
        for n in [0, 7, 10, 431, usize::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, n);
            assert_eq!(out, n.to_string().as_bytes());
        }
    }
    #[test]
    fn fields_cannot_end_their_line() {
        assert!(is_token(b"X-Y") && !is_token(b"X Y") && !is_token(b"") && !is_token(b"X:"));
        assert!(is_field_value("a\tü".as_bytes()) && !is_field_value(b"a\r\nb"));
    }
}
