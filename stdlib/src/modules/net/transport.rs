//! What carries a connection's bytes: a socket, perhaps secured. Connections of `net` and of `http` are made of it.
//!
//! Calls that would wait say so (`WouldBlock`). What is written over TLS is *taken* first and then sent by `flush`, so whoever has written all flushes before it is done.

use super::socket::Socket;
use super::tls::Session;
use heddle_vm::io::{Direction, Faults};
use std::io;
use std::net::Shutdown;

pub(in crate::modules) struct Transport {
    pub(super) socket: Socket,
    pub(super) tls: Option<Box<Session>>,
}

impl Transport {
    pub(in crate::modules) fn new(socket: Socket, tls: Option<Session>) -> Transport {
        Transport {
            socket,
            tls: tls.map(Box::new),
        }
    }
    /// From now on nothing is said but by TLS.
    pub(in crate::modules) fn secure(&mut self, session: Session) {
        self.tls = Some(Box::new(session));
    }
    pub(in crate::modules) fn session(&self) -> Option<&Session> {
        self.tls.as_deref()
    }
    /// What the system tells of.
    pub(in crate::modules) fn source(&mut self) -> &mut dyn mio::event::Source {
        self.socket.source()
    }
    pub(in crate::modules) fn is_connected(&mut self) -> io::Result<()> {
        self.socket.is_connected()
    }
    pub(in crate::modules) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
    /// What was read, and whether that is all that there was.
    #[inline]
    pub(in crate::modules) fn read(
        &mut self,
        into: &mut [u8],
        faults: Faults<'_>,
    ) -> io::Result<(usize, bool)> {
        match &mut self.tls {
            None => {
                let (n, asked) = self.socket.read(into, faults)?;
                // The end is told again and again.
                Ok((n, n < asked && n > 0))
            }
            Some(session) => {
                let n = session.read(into, &mut self.socket, faults)?;
                Ok((n, false))
            }
        }
    }
    /// Takes some of the bytes; `flush` sends what was taken.
    #[inline]
    pub(in crate::modules) fn accept(
        &mut self,
        bytes: &[u8],
        faults: Faults<'_>,
    ) -> io::Result<usize> {
        let taken = match &mut self.tls {
            None => self.socket.write(bytes, faults)?,
            Some(session) => session.accept(bytes)?,
        };
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(taken)
    }
    #[inline]
    pub(in crate::modules) fn flush(&mut self, faults: Faults<'_>) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(session) => session.flush(&mut self.socket, faults),
        }
    }
    /// Whether something was taken that was not sent.
    pub(in crate::modules) fn has_output(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|session| session.has_output())
    }
    /// Nothing more will be written: over TLS the other side is told so, by the next `flush`.
    pub(in crate::modules) fn prepare_end(&mut self) {
        if let Some(session) = &mut self.tls {
            session.end();
        }
    }
    /// Before it is closed.
    pub(in crate::modules) fn say_end(&mut self) {
        self.prepare_end();
        // If there is no room for it now, the other side learns of the end without it.
        let _ = self.flush(Faults::none());
    }
    /// Whether the two sides still talk about keys.
    pub(in crate::modules) fn is_handshaking(&self) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|session| session.is_handshaking())
    }
    /// What the handshake waits for; `None`: it is done, or there is none. Its last words are to be sent, too: the other side waits for them.
    pub(in crate::modules) fn handshake_waits_for(&self) -> Option<Direction> {
        let session = self.tls.as_ref()?;
        match (session.has_output(), session.is_handshaking()) {
            (true, _) => Some(Direction::Write),
            (false, true) => Some(Direction::Read),
            (false, false) => None,
        }
    }
    pub(in crate::modules) fn step_handshake(
        &mut self,
        direction: Direction,
        faults: Faults<'_>,
    ) -> io::Result<()> {
        match (&mut self.tls, direction) {
            (None, _) => Ok(()),
            (Some(session), Direction::Write) => session.flush(&mut self.socket, faults),
            (Some(session), Direction::Read) => {
                session.receive(&mut self.socket, faults).map(|_| ())
            }
        }
    }
}
