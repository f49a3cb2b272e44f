//! Programs made of the bytes: the same output with and without a collection at every allocation.
#![no_main]

use heddle_fuzz::{programs, run};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let source = programs::write(bytes);
    run::check_stress(&source);
});
