//! Model checks with `loom`: every order of the atomic operations, locks and waits of two or three OS threads (up to a number of forced
//! switches), and every value that a relaxed load may give. Built with `--cfg loom`; `tests/models/run` runs all, and then breaks the code in the ways that
//! `tests/models/mutations` lists: each must be found by the model that is named there.
//!
//! The models use the production types, which get `loom`'s atomics and locks by `crate::sync`. What they do not run is an interpreter: here a thread's task is
//! a header without registers, and a carrier is `Machine`, which does with a thread what `Thread::run_block` does.
//!
//! | file | |
//! | --- | --- |
//! | `signals` | wake-ups and requests against a thread that goes idle or is mounted; kill against a wake-up |
//! | `carriers` | going to sleep against enqueueing, from the carrier and from outside; stealing; the end; deadlock; who counts threads |
//! | `counts` | counted pointers: the last reference, strong and weak |
//! | `waits` | timers, channels, `select`, locks against each other and against cancelling |
//! | `ends` | joiners and the end of a thread; members of a scope and its owner |

mod carriers;
mod counts;
mod ends;
mod signals;
mod waits;

use super::block::ThreadBlock;
use super::{Own, Scheduler};
use crate::counted::Counted;
use crate::shared::Message;
use crate::task::{Task, TaskPool};
use crate::thread::Mounted;
use crate::value::Value;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

pub(super) use carriers::run_carrier;

static MUTATION: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("HEDDLE_MUTATION").ok());

/// Whether the build is to be wrong in this way: see `sync::mutation`.
pub(crate) fn is_mutated(name: &str) -> bool {
    MUTATION.as_deref() == Some(name)
}

/// Forced switches from one OS thread to another that a model makes at most in one run, unless `LOOM_MAX_PREEMPTIONS` says so.
const PREEMPTIONS: usize = 3;

/// A run that takes more steps goes round in circles.
const MOST_STEPS: usize = 5000;

/// Runs a model in every order, and tells in how many.
fn check(name: &str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = MOST_STEPS;
    builder.preemption_bound.get_or_insert(preemptions);
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    let start = std::time::Instant::now();
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let (runs, time) = (runs.load(Ordering::Relaxed), start.elapsed());
    eprintln!("model {name}: {runs} runs in {:.1} s", time.as_secs_f32());
}

/// A pointer that goes to another OS thread of the model.
struct Sent<T>(*mut T);
impl<T> Clone for Sent<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Sent<T> {}
// SAFETY: the protocol under test says who may use what it leads to.
unsafe impl<T> Send for Sent<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Sent<T> {}

fn thread_block(id: u64) -> Counted<ThreadBlock> {
    Counted::new(ThreadBlock::new(id, Mounted::new(0), None, None, 0))
}
/// A task of the thread, in no list.
fn task_of(block: &Counted<ThreadBlock>) -> *mut Task {
    TaskPool::new().take(Counted::as_ptr(block), 0)
}
/// # Safety
/// Nothing leads to it any more.
unsafe fn free(task: *mut Task) {
    // SAFETY: promised by the caller.
    unsafe { TaskPool::free(task) }
}
fn number(n: i64) -> Message {
    Message::shared(Value::small_int(n))
}

/// What a carrier does with a thread: see `Thread::run_block`. What its tasks do is a function.
struct Machine<F> {
    run: F,
    /// Requests that it has seen.
    requests: u32,
}

impl<F: FnMut(*mut Task) -> Step> Machine<F> {
    fn new(run: F) -> Machine<F> {
        Machine { run, requests: 0 }
    }
    /// Runs a thread that was taken out of a queue until it waits (false) or has no tasks left (true).
    fn run_block(&mut self, block: &ThreadBlock) -> bool {
        let inbox = block.signal.begin();
        // SAFETY: as in `mount_thread`: the state is running, and this carrier made it so.
        unsafe { (*block.parts.get_mut()).parts.ready.append(inbox) };
        loop {
            self.run_tasks(block);
            // SAFETY: as above, still so.
            if unsafe { (*block.parts.get_mut()).parts.tasks.is_empty() } {
                block.signal.end();
                return true;
            }
            if block.signal.finish(false) {
                return false;
            }
        }
    }
    fn run_tasks(&mut self, block: &ThreadBlock) {
        // SAFETY: as above.
        let parts = unsafe { &mut (*block.parts.get_mut()).parts };
        loop {
            if block.signal.has_news() {
                parts.ready.append(block.signal.take_inbox());
            }
            if block.signal.has_requests() {
                let requests = block.signal.take_requests();
                self.requests |= requests;
                if requests & super::block::KILL != 0 {
                    for task in parts.tasks.iter() {
                        if crate::thread::claim_own(task, super::wait::Claimed::Killed) {
                            parts.ready.push_back(task);
                        }
                    }
                }
            }
            let Some(task) = parts.ready.pop_front() else {
                return;
            };
            if let Step::Ends = (self.run)(task) {
                parts.tasks.remove(task);
                // SAFETY: nothing leads to it any more.
                unsafe { free(task) };
            }
        }
    }
}

/// What a task did.
enum Step {
    Waits,
    Ends,
}
