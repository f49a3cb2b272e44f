//! What was read from a stream and not yet asked for.

use std::cell::RefCell;
use std::io;

/// Bytes read at once.
pub(super) const BLOCK: usize = 64 * 1024;

thread_local! {
    /// What was just read lies here first: a stream has a buffer only for what is left.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into());
}

/// See the head of the file.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// What lies in front of it has been given out.
    start: usize,
    /// What lies in front of it holds no end of a line.
    searched: usize,
    is_at_end: bool,
}

impl Buffer {
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
    /// Nothing will come any more.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_at_end
    }
    /// Takes so many bytes out.
    pub(super) fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.rest()[..count].to_vec();
        self.start += count;
        self.searched = self.searched.max(self.start);
        if self.start == self.bytes.len() {
            // An idle stream owns no buffer.
            (self.bytes, self.start, self.searched) = (Vec::new(), 0, 0);
        }
        taken
    }
    /// The next line with its end, if all of it is there; `Some(None)`: nothing will come any more.
    pub(super) fn take_line(&mut self) -> Option<Option<Vec<u8>>> {
        let from = self.searched.max(self.start);
        if let Some(i) = memchr::memchr(b'\n', &self.bytes[from..]) {
            return Some(Some(self.take(from + i + 1 - self.start)));
        }
        self.searched = self.bytes.len();
        self.is_at_end.then(|| {
            let count = self.rest().len();
            (count > 0).then(|| self.take(count))
        })
    }
    /// Adds what a call reads; whether it got less than it asked for, and so all that there was.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<bool> {
        SCRATCH.with_borrow_mut(|scratch| {
            let n = read(scratch)?;
            self.is_at_end = n == 0;
            if self.start > 0 {
                self.bytes.drain(..self.start);
                self.searched -= self.start;
                self.start = 0;
            }
            self.bytes.extend_from_slice(&scratch[..n]);
            // The end is told again and again.
            Ok(n < scratch.len() && n > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(buffer: &mut Buffer, bytes: &[u8]) {
        let read = |to: &mut [u8]| {
            to[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        };
        buffer.fill(read).expect("it cannot fail");
    }

    #[test]
    fn lines_are_put_together() {
        let mut buffer = Buffer::default();
        add(&mut buffer, b"one\ntw");
        assert_eq!(buffer.take_line(), Some(Some(b"one\n".to_vec())));
        assert_eq!(buffer.take_line(), None);
        add(&mut buffer, b"o\nend");
        assert_eq!(buffer.take_line(), Some(Some(b"two\n".to_vec())));
        add(&mut buffer, b"");
        assert_eq!(buffer.take_line(), Some(Some(b"end".to_vec())));
        assert_eq!(buffer.take_line(), Some(None));
    }
}
