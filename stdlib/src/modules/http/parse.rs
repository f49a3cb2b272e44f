//! Heads of requests and responses: where one ends, what it says, and which are refused.
//!
//! Whatever two programs could read differently is refused, so that nobody can hide a request within another: line ends other than CR LF, lines that go on in the next, white space
//! before a colon, two ways to tell a body's length, a length said twice.

use super::framing::Framing;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Header fields of a message, at most.
const MOST_FIELDS: usize = 100;

/// Why a message is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What a server answers.
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

/// What the other side sent is no HTTP.
pub(super) const fn bad(reason: &'static str) -> Refusal {
    Refusal {
        status: 400,
        reason,
    }
}

/// Looks for the end of a head in what came so far, from `searched` on, which moves: its length, or `None` if it is not complete. Empty lines in front were skipped.
pub(super) fn end_of_head(bytes: &[u8], searched: &mut usize) -> Result<Option<usize>, Refusal> {
    for i in memchr::memchr_iter(b'\n', &bytes[*searched..]) {
        let at = *searched + i;
        if at == 0 || bytes[at - 1] != b'\r' {
            return Err(bad("a line ends without CR"));
        }
        if at >= 3 && bytes[at - 2] == b'\n' {
            return Ok(Some(at + 1));
        }
    }
    *searched = bytes.len();
    Ok(None)
}

/// What the head of a request says.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) is_head: bool,
    pub(super) has_version_11: bool,
    pub(super) framing: Framing,
    /// The connection may be used for another request.
    pub(super) is_kept: bool,
    /// The client waits for leave to send the body.
    pub(super) expects_continue: bool,
}

/// What the head of a response says.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) framing: Framing,
    pub(super) is_kept: bool,
}

/// What header fields say of the body and of the connection.
#[derive(Default)]
struct Told {
    length: Option<u64>,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
    hosts: usize,
    expects_continue: bool,
}

impl Told {
    fn of(fields: &[httparse::Header<'_>], is_request: bool) -> Result<Told, Refusal> {
        let mut told = Told::default();
        for field in fields {
            // By length first: most fields are none of these.
            let name = field.name;
            match name.len() {
                4 if name.eq_ignore_ascii_case("host") => told.hosts += 1,
                6 if name.eq_ignore_ascii_case("expect") => {
                    if !field.value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Refusal {
                            status: 417,
                            reason: "only 100-continue can be expected",
                        });
                    }
                    told.expects_continue = true;
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    for word in field.value.split(|&b| b == b',') {
                        let word = word.trim_ascii();
                        told.closes |= word.eq_ignore_ascii_case(b"close");
                        told.keeps |= word.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let length = length(field.value)?;
                    match told.length {
                        Some(_) if is_request => {
                            return Err(bad("the length is given twice"));
                        }
                        Some(other) if other != length => {
                            return Err(bad("two different lengths are given"));
                        }
                        _ => told.length = Some(length),
                    }
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    if told.is_chunked {
                        return Err(bad("the transfer encoding is given twice"));
                    }
                    if !field.value.eq_ignore_ascii_case(b"chunked") {
                        return Err(Refusal {
                            status: 501,
                            reason: "the only transfer encoding is chunked",
                        });
                    }
                    told.is_chunked = true;
                }
                _ => {}
            }
        }
        if told.is_chunked && told.length.is_some() {
            return Err(bad("both a length and chunks are announced"));
        }
        Ok(told)
    }
    fn keeps(&self, has_version_11: bool) -> bool {
        !self.closes && (has_version_11 || self.keeps)
    }
}

/// Digits, and nothing else.
fn length(text: &[u8]) -> Result<u64, Refusal> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number);
    text.and_then(|text| text.parse().ok())
        .ok_or(bad("the length is no number"))
}

fn refusal(error: httparse::Error) -> Refusal {
    let (status, reason) = match error {
        httparse::Error::Version => (505, "the version is not known"),
        httparse::Error::TooManyHeaders => (431, "there are too many header fields"),
        httparse::Error::HeaderName => (400, "the name of a header field is malformed"),
        httparse::Error::HeaderValue => (400, "the value of a header field is malformed"),
        httparse::Error::NewLine => (400, "a line end is malformed"),
        httparse::Error::Status => (400, "the status is malformed"),
        httparse::Error::Token => (400, "the first line is malformed"),
    };
    Refusal { status, reason }
}

fn range_of(head: &[u8], part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - head.as_ptr() as usize;
    start..start + part.len()
}

/// Reads a complete head of a request.
pub(super) fn request(head: &[u8]) -> Result<Request, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let done = parsed.parse_with_uninit_headers(head, &mut fields);
    if done.map_err(refusal)? != httparse::Status::Complete(head.len()) {
        return Err(bad("the head is malformed"));
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(bad("the head is malformed"));
    };
    let told = Told::of(parsed.headers, true)?;
    let has_version_11 = version == 1;
    if told.hosts > 1 || (has_version_11 && told.hosts == 0) {
        return Err(bad("there must be one Host"));
    }
    if !has_version_11 && told.is_chunked {
        return Err(bad("HTTP/1.0 has no chunks"));
    }
    if method == "CONNECT" {
        return Err(Refusal {
            status: 501,
            reason: "this is no proxy",
        });
    }
    let is_absolute = target.starts_with("http://") || target.starts_with("https://");
    if !(target.starts_with('/') || is_absolute || (target == "*" && method == "OPTIONS")) {
        return Err(bad("the target is malformed"));
    }
    Ok(Request {
        method: range_of(head, method),
        target: range_of(head, target),
        is_head: method == "HEAD",
        has_version_11,
        framing: match told.length {
            _ if told.is_chunked => Framing::chunked(),
            Some(length) => Framing::of_length(length),
            None => Framing::Empty,
        },
        is_kept: told.keeps(has_version_11),
        expects_continue: told.expects_continue && has_version_11,
    })
}

/// Reads a complete head of a response to a request, which may have been `HEAD`.
pub(super) fn response(head: &[u8], is_head: bool) -> Result<Response, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let done = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        head,
        &mut fields,
    );
    if done.map_err(refusal)? != httparse::Status::Complete(head.len()) {
        return Err(bad("the head is malformed"));
    }
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(bad("the head is malformed"));
    };
    let told = Told::of(parsed.headers, false)?;
    let has_none = is_head || status < 200 || status == 204 || status == 304;
    let framing = match told.length {
        _ if has_none => Framing::Empty,
        _ if told.is_chunked => Framing::chunked(),
        Some(length) => Framing::of_length(length),
        None => Framing::UntilClose,
    };
    Ok(Response {
        status,
        is_kept: told.keeps(version == 1) && framing != Framing::UntilClose,
        framing,
    })
}

/// The header fields of a head that was accepted: names and values, in their order.
pub(super) fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    // Empty lines in front, then the first line.
    let start = head.iter().position(|b| !matches!(b, b'\r' | b'\n'));
    let head = &head[start.unwrap_or(head.len())..];
    head.split(|&b| b == b'\n').skip(1).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

/// See `http::check_any_bytes`.
pub(super) fn check_any_bytes(bytes: &[u8]) {
    // However the bytes come, the end is the same.
    let whole = end_of_head(bytes, &mut 0);
    let mut searched = 0;
    let mut by_and_by = Ok(None);
    for end in (0..=bytes.len()).step_by(7).chain([bytes.len()]) {
        by_and_by = end_of_head(&bytes[..end], &mut searched);
        if by_and_by != Ok(None) {
            break;
        }
    }
    assert_eq!(whole, by_and_by);
    let length = match whole {
        Ok(Some(length)) => length,
        _ => return,
    };
    let head = &bytes[..length];
    if let Ok(request) = request(head) {
        assert!(!head[request.method].is_empty() && !head[request.target].is_empty());
        for (name, value) in fields(head) {
            assert!(!name.is_empty() && !name.contains(&b' '), "{name:?}");
            assert!(!value.contains(&b'\r'), "{value:?}");
        }
        // Empty lines may come first.
        let begun = &head[head.len() - head.trim_ascii_start().len()..];
        let lines = memchr::memchr_iter(b'\n', begun).count();
        assert_eq!(fields(head).count() + 2, lines);
    }
    for is_head in [false, true] {
        if let Ok(response) = response(head, is_head) {
            assert!(!is_head || response.framing.has_ended());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        let head = head.replace('\n', "\r\n");
        match request(head.as_bytes()) {
            Ok(_) => 200,
            Err(refusal) => refusal.status,
        }
    }

    #[test]
    fn empty_lines_may_come_first() {
        let head = b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(request(head).is_ok());
        assert_eq!(fields(head).count(), 1);
        check_any_bytes(head);
    }
    #[test]
    fn a_head_ends_at_an_empty_line() {
        let whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut searched = 0;
        for n in 0..whole.len() - 4 {
            assert_eq!(end_of_head(&whole[..n], &mut searched), Ok(None), "{n}");
        }
        assert_eq!(end_of_head(whole, &mut searched), Ok(Some(whole.len() - 4)));
        let mut searched = 0;
        assert_eq!(end_of_head(b"\r\nGET", &mut searched), Ok(None));
        assert!(end_of_head(b"GET / HTTP/1.1\nHost: a\n\n", &mut 0).is_err());
    }
    #[test]
    fn ambiguous_requests_are_refused() {
        let ok = "GET / HTTP/1.1\nHost: a\n";
        assert_eq!(status(&format!("{ok}\n")), 200);
        for (fields, wanted) in [
            ("Content-Length: 1\nTransfer-Encoding: chunked\n", 400),
            ("Content-Length: 1\nContent-Length: 1\n", 400),
            ("Content-Length: 1, 1\n", 400),
            ("Content-Length: +1\n", 400),
            ("Content-Length: \n", 400),
            ("Content-Length: 18446744073709551616\n", 400),
            ("Content-Length : 1\n", 400),
            ("Transfer-Encoding: gzip, chunked\n", 501),
            (
                "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n",
                400,
            ),
            ("A: b\n c\n", 400),
            ("A: b\n\tc\n", 400),
            ("A b: c\n", 400),
            ("A: b\0c\n", 400),
            (": b\n", 400),
            ("Host: b\n", 400),
            ("Expect: miracles\n", 417),
            ("A: ü\tb\n", 200),
            ("Content-Length: 0\n", 200),
        ] {
            assert_eq!(status(&format!("{ok}{fields}\n")), wanted, "{fields}");
        }
        assert_eq!(status("GET / HTTP/1.1\n\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\n\n"), 200);
        assert_eq!(status("GET / HTTP/2.0\nHost: a\n\n"), 505);
        assert_eq!(status("GET x HTTP/1.1\nHost: a\n\n"), 400);
        assert_eq!(status("CONNECT a:1 HTTP/1.1\nHost: a\n\n"), 501);
        assert_eq!(status("GET  / HTTP/1.1\nHost: a\n\n"), 400);
        assert_eq!(status("G(T / HTTP/1.1\nHost: a\n\n"), 400);
        let many = "A: b\n".repeat(MOST_FIELDS + 1);
        assert_eq!(status(&format!("{ok}{many}\n")), 431);
    }
    #[test]
    fn connections_are_kept_by_version() {
        let kept = |head: &str| {
            request(head.replace('\n', "\r\n").as_bytes())
                .unwrap()
                .is_kept
        };
        assert!(kept("GET / HTTP/1.1\nHost: a\n\n"));
        assert!(!kept("GET / HTTP/1.1\nHost: a\nConnection: x, Close\n\n"));
        assert!(!kept("GET / HTTP/1.0\n\n"));
        assert!(kept("GET / HTTP/1.0\nConnection: Keep-Alive\n\n"));
    }
    #[test]
    fn fields_of_a_head() {
        let head = b"\r\nGET / HTTP/1.1\r\nA:  b \r\nC:\r\n\r\n";
        let fields: Vec<_> = fields(head).collect();
        assert_eq!(fields, [(&b"A"[..], &b"b"[..]), (b"C", b"")]);
    }
}
