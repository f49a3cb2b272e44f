//! Programs made of the bytes: the same output with and without a collection at every allocation, and under the other dispatch.
#![no_main]

use heddle_fuzz::{peer::Peer, programs, run::Trio};
use std::cell::RefCell;

thread_local! {
    static TRIO: RefCell<Trio> = RefCell::new(Trio::new(Peer::of_environment()));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let source = programs::write(bytes);
    TRIO.with_borrow_mut(|trio| trio.check(&source));
});
