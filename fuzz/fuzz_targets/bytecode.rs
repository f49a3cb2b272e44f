//! Bytecode that no compiler made.
#![no_main]

use heddle_fuzz::bytecode::Runner;
use std::cell::RefCell;

thread_local! {
    static RUNNER: RefCell<Runner> = RefCell::default();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    RUNNER.with_borrow_mut(|runner| runner.check(bytes));
});
