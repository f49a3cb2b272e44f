//! `net`: connections, listeners, datagrams, and the names of hosts. Every error is an `IoError` that names the address, and whose `data` says its kind.
//!
//! | file | |
//! | --- | --- |
//! | `address` | addresses as text, and looking up names |
//! | `socket` | the system's sockets, TCP or Unix-domain: the only place that calls them, so that tests can let each call fail |
//! | `tls` | a session over such a socket |
//! | `transport` | the two together: what carries bytes |
//! | `stream` | connections: reading through a buffer that exists only while it holds something, writing |
//! | `listener` | accepting |
//! | `udp` | datagrams |

pub(super) mod address;
mod listener;
pub(super) mod socket;
mod stream;
pub(super) mod tls;
pub(super) mod transport;
mod udp;

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "net",
    functions: natives! {
        plain "net.__listen" (address, backlog, reuse_address, reuse_port, "cert?", "key?", "alpn?") => listener::listen;
        suspending "net.__connect" (address, send_buffer, receive_buffer) => stream::connect;
        suspending "net.__connected" (conn) => stream::connected;
        plain "net.__secure" (conn, server_name, roots, alpn) => stream::secure;
        plain "net.__udp" (address) => udp::open;
        plain "net.__address" (address) => address::split_native;
        plain "net.__now" () => |ctx| { let ns = ctx.clock_ns() as i64; Ok(ctx.int(ns)) };
        plain "net.__literal" (host) => address::literal_native;
        blocking "net.__resolve" (host) => address::resolve;
        blocking "net.__load_roots" () => tls::load_roots;
        blocking "net.__pem" (path) => tls::pem;

        /// The port that it listens at; nil if that is a path.
        plain property "Listener.port" (self) => listener::port;
        /// The address that it listens at: `127.0.0.1:8080`.
        plain property "Listener.address" (self) => listener::address;
        /// The next connection, waiting for one, also while there are no descriptors left. Throws IoError.
        suspending "Listener.accept" (self) => listener::accept;
        /// Closes it, and removes the path of a Unix-domain one; who waits for a connection gets an IoError. Closing it again does nothing.
        plain "Listener.close" (self) => listener::close;

        /// The address of the other side.
        plain property "Conn.peer" (self) => stream::peer;
        /// The address of this side.
        plain property "Conn.address" (self) => stream::address;
        /// The version of TLS that secures it: `TLSv1_3`; nil if there is none, or not yet.
        plain property "Conn.tls" (self) => stream::tls_version;
        /// The protocol that both sides agreed upon while they secured it; nil if there is none.
        plain property "Conn.alpn" (self) => stream::alpn;
        /// Secures it now. (The first read or write does otherwise.) Throws IoError.
        suspending "Conn.handshake" (self) => stream::handshake;
        /// Sets options: `nodelay` (true: small writes are sent at once), `keepalive` (the other side is asked for a sign of life after this time, false: never), the sizes of
        /// the system's buffers, and the length beyond which a line is an error. Throws IoError.
        plain "Conn.set" (self, "nodelay?", "keepalive?", "send_buffer?", "receive_buffer?", "longest_line?") => stream::set;
        /// The bytes that come next, at most `n` (64 KiB), waiting for at least one; nil at the end. Throws IoError.
        suspending "Conn.read" (self, "n?") => stream::read;
        /// Exactly `n` bytes. Throws IoError if the connection ends before.
        suspending "Conn.read_exact" (self, n) => stream::read_exact;
        /// The bytes up to the end. Throws IoError.
        suspending "Conn.read_all" (self) => stream::read_all;
        /// The next line without its end, or nil at the end. Throws IoError, also if it is longer than a MiB (see `set`), ValueError if it is no UTF-8.
        suspending "Conn.read_line" (self) => stream::read_line;
        /// The bytes up to the delimiter and with it; at the end what is left, or nil. Throws IoError if it does not come within `limit` bytes (a MiB).
        suspending "Conn.read_until" (self, delimiter, "limit?") => stream::read_until;
        /// The next line of a loop, which ends at the end of the connection.
        suspending "Conn.next" (self) => stream::next;
        /// The connection itself: loops over its lines.
        plain "Conn.iter" (self) => stream::itself;
        /// The connection itself: loops over its lines.
        plain "Conn.lines" (self) => stream::itself;
        /// Writes text or bytes, all of it; what another task writes meanwhile comes behind it. Throws IoError.
        suspending "Conn.write" (self, data) => stream::write, given_up stream::give_turn;
        /// Tells the other side that nothing more will be written; reading goes on. Throws IoError.
        suspending "Conn.close_write" (self) => stream::close_write, given_up stream::give_turn;
        /// Closes it; who waits for it gets an IoError. Closing it again does nothing.
        plain "Conn.close" (self) => stream::close;
        /// Closes it so that the other side gets an error, not an end; what was not sent is thrown away.
        plain "Conn.abort" (self) => stream::abort;

        /// The port that datagrams are received at.
        plain property "Udp.port" (self) => udp::port;
        /// The address that datagrams are received at.
        plain property "Udp.address" (self) => udp::address;
        /// Sends text or bytes as one datagram to an address, `"127.0.0.1:53"`. Throws IoError.
        suspending "Udp.send_to" (self, data, address) => udp::send_to;
        /// The next datagram and the address of who sent it, as a tuple; what is longer than `n` bytes (64 KiB) is cut. Throws IoError.
        suspending "Udp.recv_from" (self, "n?") => udp::recv_from;
        /// From now on `send` sends to this address, and only datagrams from there are received. Throws IoError.
        plain "Udp.connect" (self, address) => udp::connect;
        /// Sends text or bytes as one datagram to the address of `connect`. Throws IoError.
        suspending "Udp.send" (self, data) => udp::send;
        /// The next datagram; what is longer than `n` bytes (64 KiB) is cut. Throws IoError.
        suspending "Udp.recv" (self, "n?") => udp::recv;
        /// Closes it; who waits for it gets an IoError. Closing it again does nothing.
        plain "Udp.close" (self) => udp::close;
    },
    constants: |_| {},
    source: Some(heddle_source!("net")),
};
