//! The library's formats, numbers and collections beside references.
#![no_main]

use heddle_fuzz::data::Checker;
use std::cell::RefCell;

thread_local! {
    static CHECKER: RefCell<Checker> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| CHECKER.with_borrow_mut(|checker| checker.check(bytes)));
