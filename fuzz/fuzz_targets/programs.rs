//! Programs made of the bytes: the same output with and without a collection at every allocation.
#![no_main]

use heddle_fuzz::{programs, run::Pair};
use std::cell::RefCell;

thread_local! {
    static PAIR: RefCell<Pair> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let source = programs::write(bytes);
    PAIR.with_borrow_mut(|pair| pair.check(&source));
});
