//! Ctrl-C: the first one makes the script throw `Cancelled`, so that its defers run; the second ends the process at once.
//! Flags only: no OS thread is started for them.

use signal_hook::consts::SIGINT;
use signal_hook::{SigId, flag, low_level};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// The exit code of a program that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 128 + SIGINT as u8;

/// Whether Ctrl-C was pressed, as long as this lives.
pub(crate) struct Interrupts {
    pressed: Arc<AtomicBool>,
    handlers: Vec<SigId>,
}

impl Interrupts {
    /// Listens from now on; `request` is what makes the engine stop, `pipe` what makes one look that waits for the system.
    pub(crate) fn listen(request: Arc<AtomicBool>, pipe: Arc<AtomicI32>) -> Interrupts {
        let pressed = Arc::new(AtomicBool::new(false));
        // In this order: the shutdown sees whether there was one before. Where handlers cannot be set, Ctrl-C just kills.
        let shutdown =
            flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), pressed.clone());
        let mut handlers: Vec<SigId> = shutdown.into_iter().collect();
        if !handlers.is_empty() {
            handlers.extend(flag::register(SIGINT, pressed.clone()));
            handlers.extend(flag::register(SIGINT, request));
            // SAFETY: `ring` may be called by a signal's handler.
            let ring = unsafe { low_level::register(SIGINT, move || heddle::ring(&pipe)) };
            handlers.extend(ring);
        }
        Interrupts { pressed, handlers }
    }
    pub(crate) fn was_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
    /// The next Ctrl-C is a first one again.
    pub(crate) fn reset(&self) {
        self.pressed.store(false, Ordering::Relaxed);
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}
