//! Heads and chunks of HTTP in any bytes: no panic; however they come, they mean the same; what is accepted has the form that it should.

/// Panics if the parsers do something wrong.
pub fn check(bytes: &[u8]) {
    heddle_stdlib::check_http(bytes);
}
