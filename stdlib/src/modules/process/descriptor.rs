//! Descriptors that the reactor watches.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token, event};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// One that is owned: closing it ends its registration.
pub(super) struct Descriptor(pub(super) OwnedFd);

impl event::Source for Descriptor {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).register(registry, token, interest)
    }
    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).reregister(registry, token, interest)
    }
    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.0.as_raw_fd()).deregister(registry)
    }
}
