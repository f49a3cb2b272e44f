//! Where a body ends: by its length, by chunks, or with the connection.

use super::parse::{Refusal, bad};

/// Digits of a chunk's size: what fits 64 bits.
const MOST_DIGITS: u32 = 16;
/// Bytes of a chunk's line and of all trailers, at most.
const MOST_LINE: usize = 4096;

/// How a body ends, and what of it is to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no more.
    Empty,
    /// So many bytes more.
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

/// Where the decoder of chunks is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    state: State,
    /// The size that is being read, then what is left of the chunk.
    left: u64,
    digits: u32,
    /// Bytes of the line, or of the trailers.
    line: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeEnd,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
}

impl Framing {
    pub(super) fn chunked() -> Framing {
        Framing::Chunked(Chunks::default())
    }
    pub(super) fn of_length(length: u64) -> Framing {
        match length {
            0 => Framing::Empty,
            _ => Framing::Length(length),
        }
    }
    pub(super) fn has_ended(&self) -> bool {
        *self == Framing::Empty
    }
    /// Takes what is there: appends at most `most` bytes of the body to `out`. How many bytes of `input` were used: all, unless `out` is full or the body has ended.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        most: usize,
    ) -> Result<usize, Refusal> {
        match self {
            Framing::Empty => Ok(0),
            Framing::Length(left) => {
                let n = input
                    .len()
                    .min(most)
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                out.extend_from_slice(&input[..n]);
                *left -= n as u64;
                if *left == 0 {
                    *self = Framing::Empty;
                }
                Ok(n)
            }
            Framing::UntilClose => {
                let n = input.len().min(most);
                out.extend_from_slice(&input[..n]);
                Ok(n)
            }
            Framing::Chunked(chunks) => {
                let (used, has_ended) = chunks.decode(input, out, most)?;
                if has_ended {
                    *self = Framing::Empty;
                }
                Ok(used)
            }
        }
    }
}

impl Chunks {
    fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        most: usize,
    ) -> Result<(usize, bool), Refusal> {
        let mut room = most;
        let mut at = 0;
        while at < input.len() {
            if self.state == State::Data {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let n = (input.len() - at).min(left).min(room);
                if n == 0 {
                    return Ok((at, false));
                }
                out.extend_from_slice(&input[at..at + n]);
                at += n;
                room -= n;
                self.left -= n as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            let byte = input[at];
            at += 1;
            if self.step(byte)? {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }
    /// Reads a byte that is none of the body; whether it was the last.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.line += 1;
        if self.line > MOST_LINE {
            return Err(bad("the line of a chunk or the trailers are too long"));
        }
        self.state = match (self.state, byte) {
            (State::Size, _) if byte.is_ascii_hexdigit() => {
                if self.digits == MOST_DIGITS {
                    return Err(bad("the size of a chunk is too large"));
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                self.digits += 1;
                State::Size
            }
            (State::Size, b'\r') if self.digits > 0 => State::SizeEnd,
            (State::Size, b';') if self.digits > 0 => State::Extension,
            (State::Size, _) => return Err(bad("the size of a chunk is malformed")),
            (State::Extension, b'\r') => State::SizeEnd,
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => State::Extension,
            (State::Extension, _) => return Err(bad("the extension of a chunk is malformed")),
            (State::SizeEnd, b'\n') => {
                (self.digits, self.line) = (0, 0);
                match self.left {
                    0 => State::TrailerStart,
                    _ => State::Data,
                }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::Size
            }
            (State::DataCr | State::DataLf, _) => {
                return Err(bad("a chunk is longer than its size"));
            }
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart, b' ' | b'\t' | b':') => {
                return Err(bad("a trailer is malformed"));
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::TrailerStart | State::Trailer, b'\t' | b' '..=b'~' | 0x80..) => State::Trailer,
            (State::TrailerStart | State::Trailer, _) => {
                return Err(bad("a trailer is malformed"));
            }
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => return Ok(true),
            (State::SizeEnd | State::TrailerLf | State::EndLf, _) => {
                return Err(bad("a line end is malformed"));
            }
            (State::Data, _) => unreachable!("the body's bytes are copied"),
        };
        Ok(false)
    }
}

/// See `http::check_any_bytes`.
pub(super) fn check_any_bytes(bytes: &[u8]) {
    // However the bytes come, and however they are asked for, the body is the same.
    let run = |step: usize, most: usize| {
        let (mut framing, mut out, mut used) = (Framing::chunked(), Vec::new(), 0);
        for end in (0..=bytes.len()).step_by(step).chain([bytes.len()]) {
            loop {
                match framing.decode(&bytes[used..end], &mut out, most) {
                    Ok(0) => break,
                    Ok(n) => used += n,
                    Err(refusal) => return (out, Err(refusal)),
                }
            }
        }
        (out, Ok((used, framing.has_ended())))
    };
    let (whole, end) = run(bytes.len().max(1), usize::MAX);
    assert!(whole.len() <= bytes.len());
    for (step, most) in [(1, usize::MAX), (5, 3), (bytes.len().max(1), 1)] {
        let (parts, other_end) = run(step, most);
        assert_eq!((&whole, end), (&parts, other_end));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body, and what is left of the input; in pieces of `step` bytes.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Refusal> {
        let (mut framing, mut out, mut used) = (Framing::chunked(), Vec::new(), 0);
        for end in (0..=input.len()).step_by(step).chain([input.len()]) {
            loop {
                let n = framing.decode(&input[used..end], &mut out, 3)?;
                used += n;
                if n == 0 || framing.has_ended() {
                    break;
                }
            }
        }
        Ok((out, input.len() - used, framing.has_ended()))
    }

    #[test]
    fn chunks_in_pieces_of_any_size() {
        let input = b"5;a=b\r\nhello\r\n1\r\n \r\n00a\r\n0123456789\r\n0\r\nX: y\r\n\r\nrest";
        for step in 1..=input.len() {
            let (body, left, has_ended) = decode(input, step).unwrap();
            assert_eq!(body, b"hello 0123456789", "{step}");
            assert!(has_ended && left == 4, "{step}");
        }
    }
    #[test]
    fn malformed_chunks_are_refused() {
        for input in [
            &b"\r\n"[..],
            b"5 \r\nhello",
            b" 5\r\nhello",
            b"-5\r\nhello",
            b"0x5\r\nhello",
            b"5\nhello",
            b"5\r\nhello\n",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\r!",
            b"10000000000000000\r\n",
            b"00000000000000005\r\n",
            b"5;\0\r\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nX: y\n\r\n",
            b"0\r\n\r!",
            b"g\r\n",
        ] {
            assert!(decode(input, 1).is_err(), "{input:?}");
        }
        let long = [b"5;".as_slice(), &[b'a'; 2 * MOST_LINE]].concat();
        assert!(decode(&long, 100).is_err());
    }
    #[test]
    fn the_largest_size_is_no_overflow() {
        let (_, left, has_ended) = decode(b"ffffffffffffffff\r\nabc", 1).unwrap();
        assert!(left == 0 && !has_ended);
    }
    #[test]
    fn lengths() {
        let mut framing = Framing::of_length(5);
        let mut out = Vec::new();
        assert_eq!(framing.decode(b"abcdefg", &mut out, 3), Ok(3));
        assert_eq!(framing.decode(b"defg", &mut out, 9), Ok(2));
        assert!(framing.has_ended() && out == b"abcde");
    }
}
