//! Heads and chunks of HTTP in any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heddle_fuzz::http::check(bytes));
