//! Messages in a stream of bytes: a header with the length of the body, an empty line, the body.
//!
//! What is no message is reported, and reading goes on at the next header.

use serde_json::Value;
use std::io::{self, BufRead, Read, Write};

/// No message of an editor is larger.
const LARGEST: usize = 256 << 20;
/// Longer lines are no headers.
const LONGEST_LINE: u64 = 4096;
const LENGTH: &str = "content-length:";

/// What the stream has next.
#[derive(Debug, PartialEq)]
pub(crate) enum Incoming {
    Message(Value),
    /// Something that cannot be read, and why.
    Wrong(String),
}

/// Reads up to the end of the next message; `None` at the end of the stream.
pub(crate) fn read(input: &mut impl BufRead) -> io::Result<Option<Incoming>> {
    let mut length: Option<Result<usize, String>> = None;
    let mut has_lines = false;
    loop {
        let mut line = Vec::new();
        let count = input.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).to_ascii_lowercase();
        // The rest of a body that was shorter or longer than its header said may stand in front.
        if let Some(at) = line.rfind(LENGTH) {
            let text = line[at + LENGTH.len()..].trim();
            let number = text.parse::<usize>().ok().filter(|&n| n <= LARGEST);
            length = Some(number.ok_or_else(|| format!("no length of a message: {text:?}")));
            has_lines = true;
        } else if line.trim().is_empty() {
            match length.take() {
                Some(Ok(length)) => return body(input, length).map(Some),
                Some(Err(wrong)) => return Ok(Some(Incoming::Wrong(wrong))),
                None if has_lines => {
                    let wrong = "a header without Content-Length".to_string();
                    return Ok(Some(Incoming::Wrong(wrong)));
                }
                None => {}
            }
        } else {
            has_lines = true;
        }
    }
}

fn body(input: &mut impl BufRead, length: usize) -> io::Result<Incoming> {
    // The buffer grows with what comes, not with what was promised.
    let mut bytes = Vec::new();
    let count = input.take(length as u64).read_to_end(&mut bytes)?;
    if count < length {
        return Ok(Incoming::Wrong("the stream ends within a message".into()));
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(value) => Incoming::Message(value),
        Err(error) => Incoming::Wrong(format!("no JSON: {error}")),
    })
}

pub(crate) fn write(output: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(output, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    output.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(bytes: &str) -> Vec<Incoming> {
        let mut input = bytes.as_bytes();
        std::iter::from_fn(|| read(&mut input).expect("bytes can be read")).collect()
    }
    fn wrong(found: &Incoming) -> bool {
        matches!(found, Incoming::Wrong(_))
    }

    #[test]
    fn messages_in_a_row() {
        let found = all("Content-Length: 2\r\n\r\n{}content-length:1\r\nX: y\r\n\r\n1");
        assert_eq!(
            found,
            [Incoming::Message(json!({})), Incoming::Message(json!(1))]
        );
    }
    #[test]
    fn what_is_wrong_is_told_and_passed() {
        let good = "Content-Length: 2\r\n\r\n{}";
        for bad in [
            "Content-Length: 3\r\n\r\n{x}",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 99999999999999999999\r\n\r\n",
            "garbage\r\n\r\n",
        ] {
            let found = all(&format!("{bad}{good}"));
            assert!(wrong(&found[0]), "{bad:?}: {found:?}");
            assert_eq!(found[1..], [Incoming::Message(json!({}))], "{bad:?}");
        }
        let found = all(&format!("Content-Length: 1\r\n\r\n{{}}{good}"));
        assert_eq!(found.last(), Some(&Incoming::Message(json!({}))));
        assert!(wrong(&all("Content-Length: 20\r\n\r\n{}")[0]));
        assert!(all("").is_empty());
    }
    #[test]
    fn writing() {
        let mut out = Vec::new();
        write(&mut out, &json!({"a": "ü"})).expect("bytes can be written");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Content-Length: 10\r\n\r\n{\"a\":\"ü\"}"
        );
    }
}
