//! `--stress=suspend`: runs each slice of a thread on another OS thread than the last.

use crate::account::{self, Account};
use crate::interp::{self, Exit};
use crate::thread::Thread;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

struct Job(*mut Thread, Option<Arc<Account>>);
// SAFETY: the sender waits until the receiver is done with the thread.
unsafe impl Send for Job {}

/// The second OS thread, started when first needed.
#[derive(Default)]
pub(crate) struct Hopper {
    other: Option<(SyncSender<Job>, Receiver<Exit>, std::thread::JoinHandle<()>)>,
    /// The next slice runs on the other OS thread.
    away: bool,
}

impl Hopper {
    /// Runs the thread's mounted task until it leaves the loop.
    pub(crate) fn run(&mut self, thread: *mut Thread) -> Exit {
        self.away = !self.away;
        if !self.away {
            // SAFETY: the caller has the thread for itself.
            return interp::run(unsafe { &mut *thread });
        }
        let (jobs, exits, _) = self.other.get_or_insert_with(|| {
            let (job_sender, job_receiver) = sync_channel::<Job>(0);
            let (exit_sender, exit_receiver) = sync_channel(1);
            let handle = std::thread::Builder::new()
                .name("heddle-stress".into())
                .stack_size(1024 * 1024)
                .spawn(move || {
                    while let Ok(Job(thread, account)) = job_receiver.recv() {
                        account::enter(account.as_ref());
                        // SAFETY: the sender waits for the answer.
                        let thread = unsafe { &mut *thread };
                        let exit = interp::run(thread);
                        account::tell();
                        if exit_sender.send(exit).is_err() {
                            break;
                        }
                    }
                })
                .expect("an OS thread for --stress=suspend");
            (job_sender, exit_receiver, handle)
        });
        account::tell();
        jobs.send(Job(thread, account::current()))
            .expect("the OS thread waits for jobs");
        exits.recv().expect("the OS thread answers")
    }
}

impl Drop for Hopper {
    fn drop(&mut self) {
        if let Some((jobs, exits, handle)) = self.other.take() {
            drop(jobs);
            drop(exits);
            let _ = handle.join();
        }
    }
}
