//! Children whose handles are gone: an OS thread waits for their ends, as long as there are any.

use parking_lot::Mutex;
use std::process::Child;
use std::time::Duration;

/// Children that still ran when they were last looked at. They belong to the process.
static LEFT: Mutex<Left> = Mutex::new(Left {
    children: Vec::new(),
    is_watched: false,
});

struct Left {
    children: Vec<Child>,
    is_watched: bool,
}

/// The first and the longest interval at which the reaper looks.
const FIRST_INTERVAL: Duration = Duration::from_millis(1);
const LAST_INTERVAL: Duration = Duration::from_millis(250);

fn has_ended(child: &mut Child) -> bool {
    // An error: there is nothing to reap.
    !matches!(child.try_wait(), Ok(None))
}

/// Nobody will ask for the end of this child.
pub(super) fn leave(mut child: Child) {
    if has_ended(&mut child) {
        return;
    }
    let mut left = LEFT.lock();
    left.children.push(child);
    if !left.is_watched {
        let started = std::thread::Builder::new()
            .name("heddle-reaper".into())
            .spawn(reap);
        // Without one, the next child that is left tries again.
        left.is_watched = started.is_ok();
    }
}

/// The reaper. It looks instead of waiting for one of them: waiting for any child would take those of others in this process.
fn reap() {
    let mut interval = FIRST_INTERVAL;
    loop {
        std::thread::sleep(interval);
        let mut left = LEFT.lock();
        let count = left.children.len();
        left.children.retain_mut(|child| !has_ended(child));
        if left.children.is_empty() {
            left.is_watched = false;
            return;
        }
        interval = if left.children.len() < count {
            FIRST_INTERVAL
        } else {
            (interval * 2).min(LAST_INTERVAL)
        };
    }
}
