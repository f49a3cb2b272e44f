//! `http`: server and client of HTTP/1.1.
//!
//! | file | |
//! | --- | --- |
//! | `parse` | heads: where one ends, what it says, which are refused |
//! | `framing` | where a body ends; chunks |
//! | `wire` | a connection: bytes in, bytes out, and where in the conversation it is |
//! | `serving` | the server's side: accepting, timeouts, the next request |
//! | `respond` | answers |
//! | `body` | reading bodies |
//! | `client` | the client's side |
//! | `headers`, `url` | header fields, addresses |
//! | `http.hd` | what programs see |

mod body;
mod client;
mod framing;
mod headers;
mod parse;
mod respond;
mod serving;
mod url;
mod wire;

use crate::support::new_str;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "http",
    functions: natives! {
        plain "http.__listen" (address, idle, head, body, write, max_head, max_body, cert, key) => serving::listen;
        plain "http.__port" (listener) => serving::port;
        plain "http.__address" (listener) => serving::address;
        suspending "http.__accept" (listener) => serving::accept;
        plain "http.__enter" (wire, listener) => serving::enter;
        plain "http.__sweep" (listener) => serving::sweep;
        plain "http.__end" (listener, all) => serving::end;
        plain "http.__is_aborted" (listener) => serving::is_aborted;
        suspending "http.__next" (wire) => serving::next;
        plain "http.__peer" (wire) => serving::peer;
        plain "http.__tls" (wire) => serving::tls_version;
        plain "http.__close" (wire) => serving::close;
        suspending "http.__respond" (wire, status, fields, body) => respond::respond;
        plain "http.__begin" (wire, status, fields) => respond::begin_stream;
        suspending "http.__chunk" (wire, data, from) => respond::chunk;
        suspending "http.__finish" (wire) => respond::finish;
        plain "http.__refusal" (wire) => respond::refusal;
        plain "http.__is_unanswered" (wire) => respond::is_unanswered;
        suspending "http.__body" (wire, number) => body::whole;
        suspending "http.__piece" (wire, number) => body::piece;
        plain "http.__field" (head, name) => headers::field;
        plain "http.__fields" (head) => headers::all_fields;
        plain "http.__connect" (address) => client::connect;
        suspending "http.__connected" (wire) => client::connected;
        suspending "http.__secure" (wire, server_name, roots, url) => client::secure;
        suspending "http.__send" (wire, method, fields, target, host, body) => client::send;
        suspending "http.__end_chunks" (wire) => client::end_chunks;
        suspending "http.__response" (wire, is_head, max_body) => client::response;
        plain "http.__is_reusable" (wire) => client::is_reusable;
        plain "http.__is_quiet" (wire) => client::is_quiet;
        plain "http.__url" (text) => url::url;
        plain "http.__resolve" (base, location) => url::resolved;
        plain "http.__report" (error) => |ctx| { let text = ctx.report(ctx.arg(0)); new_str(ctx, &text) };
        /// The entries of a query, `a=1&b=x%20y`: a map of texts; of a name that is there twice, the last.
        plain "http.decode_query" (text) => url::decode_query;
        /// The text with `%20` and the like instead of what has a meaning in an address.
        plain "http.encode" (text) => url::encode_part;
        /// The text that one with `%20` and the like stands for.
        plain "http.decode" (text) => url::decode_part;
    },
    constants: |_| {},
    source: Some(heddle_source!("http")),
};

/// Heads and chunks in any bytes: for fuzzing. Panics if something is wrong.
#[doc(hidden)]
pub fn check_any_bytes(bytes: &[u8]) {
    parse::check_any_bytes(bytes);
    framing::check_any_bytes(bytes);
}
