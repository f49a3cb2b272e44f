//! Sockets as the system has them. Every call that would wait says so (`WouldBlock`), and asks first what faults tests want (`Faults`).

use super::address::Address;
use heddle_vm::io::{Call, Faults};
use mio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use socket2::{Domain, SockAddr, SockRef, Type};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

/// How many connections wait to be accepted at most; the system may know a lower limit.
pub(in crate::modules) const BACKLOG: i32 = 1024;

/// A connected socket, or one that is being connected.
pub(in crate::modules) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// What is set before a socket is connected; afterwards see `Socket::set`.
#[derive(Clone, Copy, Default)]
pub(in crate::modules) struct Options {
    pub(in crate::modules) send_buffer: Option<usize>,
    pub(in crate::modules) receive_buffer: Option<usize>,
}

impl Options {
    fn apply(self, socket: &socket2::Socket) -> io::Result<()> {
        if let Some(bytes) = self.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
}

fn new_socket(address: &Address) -> io::Result<(socket2::Socket, SockAddr)> {
    let (domain, to) = match address {
        Address::Ip(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        Address::Unix(path) => {
            let path = path.as_deref().unwrap_or_default();
            (Domain::UNIX, SockAddr::unix(path)?)
        }
    };
    let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok((socket, to))
}

impl Socket {
    /// Begins to connect: `is_connected` says when that is done.
    pub(in crate::modules) fn connect(
        address: &Address,
        options: Options,
        faults: Faults<'_>,
    ) -> io::Result<Socket> {
        let (socket, to) = new_socket(address)?;
        options.apply(&socket)?;
        loop {
            let begun = faults
                .begin(Call::Connect, 0)
                .and_then(|_| socket.connect(&to));
            match begun {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_in_progress(&error) => break,
                other => {
                    other?;
                    break;
                }
            }
        }
        Ok(match address {
            Address::Ip(_) => Socket::Tcp(TcpStream::from_std(socket.into())),
            #[cfg(unix)]
            Address::Unix(_) => Socket::Unix(UnixStream::from_std(socket.into())),
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
    pub(in crate::modules) fn is_connected(&mut self) -> io::Result<()> {
        let (error, peer) = match self {
            Socket::Tcp(socket) => (socket.take_error()?, socket.peer_addr().map(|_| ())),
            #[cfg(unix)]
            Socket::Unix(socket) => (socket.take_error()?, socket.peer_addr().map(|_| ())),
        };
        match (error, peer) {
            (Some(error), _) => Err(error),
            (None, Err(error)) if error.kind() == io::ErrorKind::NotConnected => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            (None, other) => other,
        }
    }
    /// Reads; also how much was asked for: who gets less has all that there was.
    #[inline]
    pub(in crate::modules) fn read(
        &mut self,
        into: &mut [u8],
        faults: Faults<'_>,
    ) -> io::Result<(usize, usize)> {
        let most = faults.begin(Call::Read, into.len())?;
        let into = &mut into[..most];
        let n = match self {
            Socket::Tcp(socket) => socket.read(into)?,
            #[cfg(unix)]
            Socket::Unix(socket) => socket.read(into)?,
        };
        Ok((n, most))
    }
    #[inline]
    pub(in crate::modules) fn write(
        &mut self,
        bytes: &[u8],
        faults: Faults<'_>,
    ) -> io::Result<usize> {
        let most = faults.begin(Call::Write, bytes.len())?;
        let bytes = &bytes[..most];
        match self {
            Socket::Tcp(socket) => socket.write(bytes),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.write(bytes),
        }
    }
    pub(in crate::modules) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        let done = match self {
            Socket::Tcp(socket) => socket.shutdown(how),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.shutdown(how),
        };
        match done {
            // The other side was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }
    /// What the system tells of.
    pub(in crate::modules) fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Socket::Tcp(socket) => socket,
            #[cfg(unix)]
            Socket::Unix(socket) => socket,
        }
    }
    pub(in crate::modules) fn address(&self) -> io::Result<Address> {
        match self {
            Socket::Tcp(socket) => socket.local_addr().map(Address::Ip),
            #[cfg(unix)]
            Socket::Unix(socket) => socket.local_addr().map(|address| unix_address(&address)),
        }
    }
    fn options(&self) -> SockRef<'_> {
        match self {
            Socket::Tcp(socket) => SockRef::from(socket),
            #[cfg(unix)]
            Socket::Unix(socket) => SockRef::from(socket),
        }
    }
    pub(in crate::modules) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => socket.set_nodelay(on),
            // It never delays.
            #[cfg(unix)]
            Socket::Unix(_) => Ok(()),
        }
    }
    /// `None`: nobody asks whether the other side is still there.
    pub(in crate::modules) fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        #[cfg(unix)]
        if let Socket::Unix(_) = self {
            return Ok(());
        }
        let options = self.options();
        match idle {
            None => options.set_keepalive(false),
            Some(idle) => {
                let every = socket2::TcpKeepalive::new()
                    .with_time(idle)
                    .with_interval(idle);
                options.set_tcp_keepalive(&every)
            }
        }
    }
    pub(in crate::modules) fn set_buffers(&self, options: Options) -> io::Result<()> {
        let socket = self.options();
        if let Some(bytes) = options.send_buffer {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        Ok(())
    }
    /// The connection ends with a reset, not with an end, when it is closed.
    pub(in crate::modules) fn set_reset(&self) -> io::Result<()> {
        self.options().set_linger(Some(Duration::ZERO))
    }
}

/// The system goes on connecting.
fn is_in_progress(error: &io::Error) -> bool {
    #[cfg(unix)]
    let begun = error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error());
    #[cfg(not(unix))]
    let begun = error.kind() == io::ErrorKind::WouldBlock;
    begun
}

#[cfg(unix)]
fn unix_address(address: &std::os::unix::net::SocketAddr) -> Address {
    let path = address.as_pathname().map(|path| path.to_string_lossy());
    Address::Unix(path.map(|path| path.into()))
}

/// A socket that accepts connections.
pub(in crate::modules) enum Acceptor {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Acceptor {
    pub(in crate::modules) fn bind(
        address: &Address,
        backlog: i32,
        reuse_address: bool,
        reuse_port: bool,
    ) -> io::Result<Acceptor> {
        let (socket, at) = new_socket(address)?;
        if let Address::Ip(_) = address {
            // On Windows this would let another program take the port.
            #[cfg(unix)]
            socket.set_reuse_address(reuse_address)?;
            #[cfg(not(unix))]
            let _ = reuse_address;
            #[cfg(unix)]
            if reuse_port {
                socket.set_reuse_port(true)?;
            }
        }
        socket.bind(&at)?;
        socket.listen(backlog)?;
        Ok(match address {
            Address::Ip(_) => Acceptor::Tcp(TcpListener::from_std(socket.into())),
            #[cfg(unix)]
            Address::Unix(_) => Acceptor::Unix(UnixListener::from_std(socket.into())),
            #[cfg(not(unix))]
            Address::Unix(_) => return Err(io::ErrorKind::Unsupported.into()),
        })
    }
    pub(in crate::modules) fn accept(&self, faults: Faults<'_>) -> io::Result<(Socket, Address)> {
        faults.begin(Call::Accept, 0)?;
        match self {
            Acceptor::Tcp(socket) => {
                let (socket, peer) = socket.accept()?;
                Ok((Socket::Tcp(socket), Address::Ip(peer)))
            }
            #[cfg(unix)]
            Acceptor::Unix(socket) => {
                let (socket, peer) = socket.accept()?;
                Ok((Socket::Unix(socket), unix_address(&peer)))
            }
        }
    }
    pub(in crate::modules) fn source(&mut self) -> &mut dyn mio::event::Source {
        match self {
            Acceptor::Tcp(socket) => socket,
            #[cfg(unix)]
            Acceptor::Unix(socket) => socket,
        }
    }
    pub(in crate::modules) fn address(&self) -> io::Result<Address> {
        match self {
            Acceptor::Tcp(socket) => socket.local_addr().map(Address::Ip),
            #[cfg(unix)]
            Acceptor::Unix(socket) => socket.local_addr().map(|address| unix_address(&address)),
        }
    }
}

/// The connection that was to be accepted is gone; the next one may be there.
pub(in crate::modules) fn is_about_another(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
/// There is no room for another connection now.
pub(in crate::modules) fn is_exhaustion(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let all = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        let is_one = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
        all.into_iter().any(is_one)
    }
    #[cfg(not(unix))]
    {
        error.kind() == io::ErrorKind::OutOfMemory
    }
}
