//! `net`: connections, listeners, and the names of hosts. Every error is an `IoError` that names the address.
//!
//! | file | |
//! | --- | --- |
//! | `stream` | connections: reading through a buffer that exists only while it holds something, writing |
//! | `listener` | accepting |

mod listener;
mod stream;

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "net",
    functions: natives! {
        /// Listens for connections at an address, `"127.0.0.1:8080"`; port 0 takes a free one. Throws IoError.
        plain "net.listen" (address) => listener::listen;
        suspending "net.__connect" (address) => stream::connect;
        /// Waits until the connection is made. Throws IoError.
        suspending "net.__connected" (conn) => stream::connected;

        /// The port that it listens at.
        plain property "Listener.port" (self) => listener::port;
        /// The address that it listens at: `127.0.0.1:8080`.
        plain property "Listener.address" (self) => listener::address;
        /// The next connection, waiting for one. Throws IoError.
        suspending "Listener.accept" (self) => listener::accept;
        /// Closes it; who waits for a connection gets an IoError. Closing it again does nothing.
        plain "Listener.close" (self) => listener::close;

        /// The address of the other side.
        plain property "Conn.peer" (self) => stream::peer;
        /// The address of this side.
        plain property "Conn.address" (self) => stream::address;
        /// The bytes that come next, at most `n` (64 KiB), waiting for at least one; nil at the end. Throws IoError.
        suspending "Conn.read" (self, "n?") => stream::read;
        /// Exactly `n` bytes. Throws IoError if the connection ends before.
        suspending "Conn.read_exact" (self, n) => stream::read_exact;
        /// The bytes up to the end. Throws IoError.
        suspending "Conn.read_all" (self) => stream::read_all;
        /// The next line without its end, or nil at the end. Throws IoError, ValueError if it is no UTF-8.
        suspending "Conn.read_line" (self) => stream::read_line;
        /// The next line of a loop, which ends at the end of the connection.
        suspending "Conn.next" (self) => stream::next;
        /// The connection itself: loops over its lines.
        plain "Conn.iter" (self) => stream::itself;
        /// The connection itself: loops over its lines.
        plain "Conn.lines" (self) => stream::itself;
        /// Writes text or bytes, all of it. Throws IoError.
        suspending "Conn.write" (self, data) => stream::write;
        /// Tells the other side that nothing more will be written; reading goes on. Throws IoError.
        plain "Conn.close_write" (self) => stream::close_write;
        /// Closes it; who waits for it gets an IoError. Closing it again does nothing.
        plain "Conn.close" (self) => stream::close;
    },
    constants: |_| {},
    source: Some(include_str!("net.hd")),
};
