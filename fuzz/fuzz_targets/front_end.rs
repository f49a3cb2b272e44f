//! Any bytes through the compiler.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| heddle_fuzz::front_end::check(bytes));
