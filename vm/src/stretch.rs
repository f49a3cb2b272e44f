//! `--trace-safepoints`: the longest stretches of a run without a safepoint.
//!
//! A stretch goes from the end of a safepoint (or of a collection, or of a native that waits for the system) to the beginning of the
//! next one. Whether natives do their work in small steps shows here.

use std::time::{Duration, Instant};

/// What has been seen so far.
#[derive(Clone, Debug)]
pub struct Stretches {
    since: Instant,
    /// The longest stretch, and where the program was when it ended.
    pub longest: Duration,
    pub longest_at: String,
    /// The longest run of one native.
    pub longest_native: Duration,
    pub longest_native_name: &'static str,
    pub safepoints: u64,
}

impl Stretches {
    pub(crate) fn new() -> Stretches {
        Stretches {
            since: Instant::now(),
            longest: Duration::ZERO,
            longest_at: String::new(),
            longest_native: Duration::ZERO,
            longest_native_name: "",
            safepoints: 0,
        }
    }
    pub(crate) fn begin(&mut self) {
        self.since = Instant::now();
    }
    /// Ends the stretch; true if it was the longest.
    pub(crate) fn end(&mut self) -> bool {
        let length = self.since.elapsed();
        self.safepoints += 1;
        let is_longest = length > self.longest;
        if is_longest {
            self.longest = length;
        }
        is_longest
    }
    pub(crate) fn native(&mut self, name: &'static str, length: Duration) {
        if length > self.longest_native {
            self.longest_native = length;
            self.longest_native_name = name;
        }
    }
}

impl std::fmt::Display for Stretches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let milliseconds = |d: Duration| d.as_secs_f64() * 1000.0;
        write!(
            f,
            "{} safepoints; longest stretch {:.2} ms, ended at {}; longest native {:.2} ms, {}",
            self.safepoints,
            milliseconds(self.longest),
            self.longest_at,
            milliseconds(self.longest_native),
            self.longest_native_name
        )
    }
}
