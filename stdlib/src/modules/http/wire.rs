//! A connection as both sides of HTTP see it: bytes in, bytes out, and where in the conversation it is.
//!
//! Nothing here waits. Natives ask what to do next (`Step`), do that with `Ctx::try_io`, and ask again; all that a native must remember when it is run again lies here.
//!
//! | stage | what comes next | leads to |
//! | --- | --- | --- |
//! | `Idle` | the head of a message | `Message`; `Closing`, if it is refused; `Closed`, if the other side has gone |
//! | `Message` | the rest of its body; meanwhile it is answered | `Idle`, or `Closing` if the connection is not kept |
//! | `Closing` | what the other side still sends, which is thrown away: were the socket closed before, the system would take back the answer | `Closed` |
//! | `Closed` | nothing | |

use super::framing::Framing;
use super::parse::{self, Refusal, bad};
use super::serving::{PHASE_SHIFT, Phase, Serving};
use crate::modules::net::transport::Transport;
use crate::support::kind_of;
use heddle_vm::io::{Faults, Resource};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;
/// Bytes of a body that nobody asked for, and bytes after a refusal, that are read and thrown away.
pub(super) const MOST_SKIPPED: u64 = 256 * 1024;

/// A connection that waits keeps a buffer of so many bytes: most requests fit.
const MOST_KEPT: usize = 512;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BLOCK].into());
}

/// A connection as a value of the language.
pub(super) struct Wire(pub(super) Arc<Shared>);

/// What a connection's natives and the server's timeouts share.
pub(super) struct Shared {
    pub(super) peer: Box<str>,
    /// What is waited for, and since when (`serving`).
    pub(super) mark: AtomicU64,
    pub(super) line: Mutex<Line>,
    /// The server, and the connection's number there.
    pub(super) serving: OnceLock<(Arc<Serving>, u64)>,
}

impl Wire {
    pub(super) fn new(transport: Transport, peer: &str) -> Wire {
        Wire(Arc::new(Shared {
            peer: peer.into(),
            mark: AtomicU64::new(0),
            line: Mutex::new(Line::new(transport)),
            serving: OnceLock::new(),
        }))
    }
    /// Before it is shared: what the system tells of.
    pub(super) fn source(&mut self) -> &mut dyn mio::event::Source {
        let shared = Arc::get_mut(&mut self.0).expect("nobody else knows it yet");
        let transport = shared.line.get_mut().transport.as_mut();
        transport.expect("it is open").source()
    }
    /// The version of TLS that secures it.
    pub(super) fn tls_version(&self) -> Option<&'static str> {
        let line = self.0.line.lock();
        line.transport.as_ref()?.session()?.version()
    }
    /// Tells the server's timeouts what is waited for from now on.
    pub(super) fn mark(&self, phase: Phase) {
        if let Some((serving, _)) = self.0.serving.get() {
            // A head has one time limit, however many pieces it comes in.
            let is_phase = |mark: u64| mark >> PHASE_SHIFT == phase as u64;
            if phase == Phase::Head && is_phase(self.0.mark.load(Ordering::Relaxed)) {
                return;
            }
            self.0.mark.store(serving.mark(phase), Ordering::Relaxed);
        }
    }
    pub(super) fn serving(&self) -> Option<&Serving> {
        self.0.serving.get().map(|(serving, _)| &**serving)
    }
}

impl Resource for Wire {
    fn title(&self) -> String {
        format!("the HTTP connection with {}", self.0.peer)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some((serving, number)) = self.0.serving.get() {
            serving.leave(*number);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Idle,
    Message,
    Closing,
    Closed,
}

/// What a native does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is a head of so many bytes.
    Message(usize),
    /// More of the body is there, or all of it.
    Body,
    Read(Phase),
    Write,
    End,
}

/// See the head of the file.
pub(super) struct Line {
    pub(super) transport: Option<Transport>,
    input: Vec<u8>,
    /// What lies in front of it was used.
    start: usize,
    /// From `start` on, so many bytes hold no end of a head.
    searched: usize,
    is_at_end: bool,
    /// The end was not announced as TLS wants it, so it may hide that something is missing.
    is_cut: bool,
    /// The other side reads no more: what it has said already is still to be read.
    pub(super) has_stopped: bool,
    /// Nothing more will be written, and over TLS that was said.
    has_said_end: bool,
    /// What is to be written, and how much of it (and of a long body behind it) was.
    pub(super) output: Vec<u8>,
    pub(super) sent: usize,
    pub(super) stage: Stage,
    /// The timeouts have ended what it waited for.
    pub(super) has_expired: bool,
    /// Bytes thrown away.
    skipped: u64,
    /// The message under way: see `Stage::Message`.
    pub(super) message: Message,
}

/// A message: a request, or the response to one.
pub(super) struct Message {
    /// Counts the connection's messages.
    pub(super) number: u64,
    pub(super) framing: Framing,
    pub(super) is_kept: bool,
    pub(super) is_head: bool,
    pub(super) has_version_11: bool,
    pub(super) expects_continue: bool,
    /// The answer has begun.
    pub(super) is_answered: bool,
    /// The answer has no length, or goes on in chunks.
    pub(super) has_chunks: bool,
    /// What of the body is there.
    pub(super) body: Vec<u8>,
    pub(super) received: u64,
    pub(super) max_body: u64,
    pub(super) refusal: Option<Refusal>,
}

impl Line {
    fn new(transport: Transport) -> Line {
        Line {
            transport: Some(transport),
            input: Vec::new(),
            start: 0,
            searched: 0,
            is_at_end: false,
            is_cut: false,
            has_stopped: false,
            has_said_end: false,
            output: Vec::new(),
            sent: 0,
            stage: Stage::Idle,
            has_expired: false,
            skipped: 0,
            message: Message {
                number: 0,
                framing: Framing::Empty,
                is_kept: true,
                is_head: false,
                has_version_11: true,
                expects_continue: false,
                is_answered: false,
                has_chunks: false,
                body: Vec::new(),
                received: 0,
                max_body: u64::MAX,
                refusal: None,
            },
        }
    }
    fn rest(&self) -> &[u8] {
        &self.input[self.start..]
    }
    fn skip(&mut self, count: usize) {
        self.start += count;
        self.searched = 0;
        if self.start == self.input.len() {
            self.start = 0;
            if self.input.capacity() > MOST_KEPT {
                self.input = Vec::new();
            } else {
                self.input.clear();
            }
        }
    }
    /// Reads once; `has_all`: see `Ctx::try_io`.
    pub(super) fn read(&mut self, has_all: &mut bool, faults: Faults<'_>) -> io::Result<()> {
        let transport = self.transport.as_mut().ok_or_else(closed)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let (n, is_all) = match transport.read(scratch, faults) {
                Err(error) if kind_of(&error) == Some("truncated") => {
                    self.is_cut = true;
                    (0, false)
                }
                read => read?,
            };
            self.is_at_end = n == 0;
            *has_all = is_all;
            if self.start > 0 {
                self.input.drain(..self.start);
                self.start = 0;
            }
            self.input.extend_from_slice(&scratch[..n]);
            Ok(())
        })
    }
    /// Writes what is left of the output, and of `more` behind it.
    pub(super) fn write(&mut self, more: &[u8], faults: Faults<'_>) -> io::Result<()> {
        let transport = self.transport.as_mut().ok_or_else(closed)?;
        let own = self.output.len();
        loop {
            transport.flush(faults)?;
            if self.sent == own + more.len() {
                break;
            }
            let part = match self.sent {
                sent if sent < own => &self.output[sent..],
                sent => &more[sent - own..],
            };
            self.sent += transport.accept(part, faults)?;
        }
        (self.output, self.sent) = (Vec::new(), 0);
        Ok(())
    }
    pub(super) fn has_output(&self) -> bool {
        let has_end = || self.transport.as_ref().is_some_and(Transport::has_output);
        !self.output.is_empty() || self.has_said_end && has_end()
    }
    /// Nothing more is read or written.
    pub(super) fn close(&mut self) {
        if let Some(mut transport) = self.transport.take() {
            transport.say_end();
        }
        self.stage = Stage::Closed;
        (self.input, self.start) = (Vec::new(), 0);
        (self.output, self.sent) = (Vec::new(), 0);
        self.message.body = Vec::new();
    }
    /// The conversation is over once the output is written.
    fn begin_close(&mut self) {
        let has_all = self.stage == Stage::Message
            && self.message.framing.has_ended()
            && self.rest().is_empty();
        self.stage = if has_all && !self.has_output() {
            Stage::Closed
        } else {
            Stage::Closing
        };
        self.skipped = 0;
    }
    /// Answers that there will be no answer.
    fn refuse(&mut self, refusal: Refusal) {
        super::respond::write_refusal(&mut self.output, refusal);
        self.begin_close();
    }

    /// On the way to the next request.
    pub(super) fn next_request(
        &mut self,
        max_head: usize,
    ) -> Result<(usize, parse::Request), Step> {
        loop {
            if self.has_output() {
                return Err(Step::Write);
            }
            let is_ending = matches!(self.stage, Stage::Closing | Stage::Closed);
            if let Some(transport) = &mut self.transport
                && is_ending
                && !self.has_said_end
            {
                self.has_said_end = true;
                transport.prepare_end();
                continue;
            }
            match self.stage {
                Stage::Idle => match self.next_head(max_head) {
                    Ok(Step::Message(length)) => {
                        let head = &self.input[self.start..][..length];
                        match parse::request(head) {
                            Ok(request) => return Ok((length, request)),
                            Err(refusal) => self.refuse(refusal),
                        }
                    }
                    Ok(Step::End) => self.close(),
                    Ok(step) => return Err(step),
                    Err(refusal) => self.refuse(refusal),
                },
                Stage::Message => {
                    if let Some(step) = self.skip_body() {
                        return Err(step);
                    }
                }
                Stage::Closing => {
                    if let Some(transport) = &mut self.transport
                        && self.skipped == 0
                    {
                        // It has nothing to say if the other side has gone already.
                        let _ = transport.shutdown(Shutdown::Write);
                    }
                    self.skipped += 1 + self.rest().len() as u64;
                    self.skip(self.rest().len());
                    if self.is_at_end || self.has_expired || self.skipped > MOST_SKIPPED {
                        self.close();
                    } else {
                        return Err(Step::Read(Phase::Closing));
                    }
                }
                Stage::Closed => {
                    self.close();
                    return Err(Step::End);
                }
            }
        }
    }
    /// On the way to the next head.
    fn next_head(&mut self, max_head: usize) -> Result<Step, Refusal> {
        while self.rest().starts_with(b"\r\n") {
            self.skip(2);
        }
        let mut searched = self.searched;
        let found = parse::end_of_head(self.rest(), &mut searched)?;
        self.searched = searched;
        let is_empty = self.rest().is_empty();
        match found {
            Some(length) if length <= max_head => Ok(Step::Message(length)),
            None if self.rest().len() <= max_head => {
                if self.has_expired && !is_empty {
                    return Err(Refusal {
                        status: 408,
                        reason: "the head did not come in time",
                    });
                }
                if self.is_at_end || self.has_expired {
                    return Ok(Step::End);
                }
                let phase = if is_empty { Phase::Idle } else { Phase::Head };
                Ok(Step::Read(phase))
            }
            _ => Err(Refusal {
                status: 431,
                reason: "the head is too long",
            }),
        }
    }
    /// What nobody wanted to have of a body is read, so that the next message can be found.
    fn skip_body(&mut self) -> Option<Step> {
        let message = &mut self.message;
        message.body = Vec::new();
        if !message.is_kept || message.expects_continue || message.refusal.is_some() {
            self.begin_close();
            return None;
        }
        if message.framing.has_ended() {
            self.stage = Stage::Idle;
            return None;
        }
        let (before, mut unwanted) = (self.start, Vec::new());
        let used = message
            .framing
            .decode(&self.input[before..], &mut unwanted, BLOCK);
        match used {
            Ok(used) => {
                self.skipped += used as u64;
                self.skip(used);
            }
            Err(refusal) => self.message.refusal = Some(refusal),
        }
        if self.is_at_end || self.has_expired || self.skipped > MOST_SKIPPED {
            self.message.is_kept = false;
            return None;
        }
        let needs_more = self.rest().is_empty() && !self.message.framing.has_ended();
        needs_more.then_some(Step::Read(Phase::Body))
    }
    /// Takes the head out: what follows is the body.
    pub(super) fn take_request(&mut self, length: usize, request: &parse::Request, max_body: u64) {
        self.skip(length);
        self.stage = Stage::Message;
        self.skipped = 0;
        let is_too_long = matches!(request.framing, Framing::Length(n) if n > max_body);
        self.message = Message {
            number: self.message.number + 1,
            framing: request.framing.clone(),
            is_kept: request.is_kept,
            is_head: request.is_head,
            has_version_11: request.has_version_11,
            expects_continue: request.expects_continue,
            is_answered: false,
            has_chunks: false,
            body: Vec::new(),
            received: 0,
            max_body,
            refusal: is_too_long.then_some(TOO_LONG),
        };
    }

    /// On the way to the response to what was sent.
    pub(super) fn next_response(
        &mut self,
        max_head: usize,
        is_head: bool,
    ) -> Result<Result<(usize, parse::Response), Step>, Refusal> {
        loop {
            match self.next_head(max_head)? {
                Step::Message(length) => {
                    let head = &self.input[self.start..][..length];
                    let response = parse::response(head, is_head)?;
                    if response.status >= 200 || response.status == 101 {
                        return Ok(Ok((length, response)));
                    }
                    // `100 Continue` and the like.
                    self.skip(length);
                }
                step => return Ok(Err(step)),
            }
        }
    }
    pub(super) fn take_response(
        &mut self,
        length: usize,
        response: &parse::Response,
        is_head: bool,
        max_body: u64,
    ) {
        self.skip(length);
        self.stage = Stage::Message;
        self.message = Message {
            number: self.message.number + 1,
            framing: response.framing.clone(),
            is_kept: response.is_kept && !self.has_stopped,
            is_head,
            has_version_11: true,
            expects_continue: false,
            is_answered: true,
            has_chunks: false,
            body: Vec::new(),
            received: 0,
            max_body,
            refusal: None,
        };
    }
    /// What is next in the input: a head that `next_request` or `next_response` has found.
    pub(super) fn head(&self, length: usize) -> &[u8] {
        &self.rest()[..length]
    }

    /// Reads on in the body until `wanted` bytes of it are there, or all; takes at most `most`.
    pub(super) fn next_body(&mut self, wanted: usize, most: usize) -> Result<Step, Refusal> {
        if let Some(refusal) = self.message.refusal {
            return Err(refusal);
        }
        let read = self.decode_body(wanted, most);
        if let Err(refusal) = read {
            self.message.refusal = Some(refusal);
        }
        read
    }
    fn decode_body(&mut self, wanted: usize, most: usize) -> Result<Step, Refusal> {
        let message = &mut self.message;
        if message.expects_continue && !message.is_answered && self.input.is_empty() {
            self.output
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        message.expects_continue = false;
        if !self.output.is_empty() {
            return Ok(Step::Write);
        }
        let message = &mut self.message;
        let before = message.body.len();
        let room = most.saturating_sub(before);
        let input = &self.input[self.start..];
        let used = message.framing.decode(input, &mut message.body, room)?;
        message.received += (message.body.len() - before) as u64;
        if message.received > message.max_body {
            return Err(TOO_LONG);
        }
        self.skip(used);
        let message = &mut self.message;
        if message.framing.has_ended() || message.body.len() >= wanted {
            return Ok(Step::Body);
        }
        if self.has_expired {
            return Err(Refusal {
                status: 408,
                reason: "the body did not come in time",
            });
        }
        if self.is_at_end {
            if message.framing == Framing::UntilClose && !self.is_cut {
                message.framing = Framing::Empty;
                return Ok(Step::Body);
            }
            return Err(bad("the connection ended in the middle of the body"));
        }
        Ok(Step::Read(Phase::Body))
    }
    /// The message is complete, and another may follow on the same connection.
    pub(super) fn is_reusable(&self) -> bool {
        self.transport.is_some()
            && self.stage == Stage::Message
            && self.message.is_kept
            && self.message.framing.has_ended()
            && self.rest().is_empty()
            && !self.is_at_end
    }
    /// An unused connection that nothing was heard of, neither bytes nor the end.
    pub(super) fn is_quiet(&mut self, faults: Faults<'_>) -> bool {
        if !self.is_reusable() {
            return false;
        }
        let Some(transport) = &mut self.transport else {
            return false;
        };
        loop {
            match transport.read(&mut [0], faults) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                heard => {
                    let is_waiting = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
                    return heard.as_ref().is_err_and(is_waiting);
                }
            }
        }
    }
    /// Another request will be sent.
    pub(super) fn begin_anew(&mut self) {
        self.stage = Stage::Idle;
    }
}

const TOO_LONG: Refusal = Refusal {
    status: 413,
    reason: "the body is too long",
};

pub(super) fn closed() -> io::Error {
    io::Error::other("the connection is closed")
}
