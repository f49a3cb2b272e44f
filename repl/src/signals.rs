//! Ctrl-C: the first one makes the script throw `Cancelled`, so that its defers run; the second ends the process at once.
//! Flags only: no OS thread is started for them.

use signal_hook::consts::SIGINT;
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 128 + SIGINT as u8;

/// Whether Ctrl-C was pressed.
pub(crate) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    /// Listens from now on; `request` is what makes the engine stop.
    pub(crate) fn listen(request: Arc<AtomicBool>) -> Interrupts {
        let pressed = Arc::new(AtomicBool::new(false));
        // In this order: the shutdown sees whether there was one before. Where handlers cannot be set, Ctrl-C just kills.
        let _ = flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), pressed.clone())
            .and_then(|_| flag::register(SIGINT, pressed.clone()))
            .and_then(|_| flag::register(SIGINT, request));
        Interrupts(pressed)
    }
    pub(crate) fn was_pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    /// The next Ctrl-C is a first one again.
    pub(crate) fn reset(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
