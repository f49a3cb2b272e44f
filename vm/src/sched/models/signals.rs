//! A thread's word: its state and its inbox.

use super::*;
use crate::counted::Counted;
use crate::sched::block::{CANCEL, KILL};
use crate::sched::wait::{Claimed, Delivery, Owner, WaitList, deliver, take_delivery};
use crate::shared::ObjectState;
use crate::shared::SharedObject;
use crate::shared::channel::{ChannelState, Sent as Outcome};
use crate::sync::Lock;
use crate::sync::mutation;
use crate::task::Wait;
use crate::thread::end_wait;

/// A thread that is mounted, with as many waiting tasks.
fn mounted(count: usize) -> (Counted<ThreadBlock>, Vec<Sent<Task>>) {
    let block = thread_block(2);
    let _ = block.signal.begin();
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let task = task_of(&block);
            // SAFETY: the model's own task, of a thread that is mounted here.
            unsafe {
                (*task).claim.begin();
                (*block.parts.get_mut()).parts.tasks.add(task);
            }
            Sent(task)
        })
        .collect();
    (block, tasks)
}
/// Ends the tasks of a thread that is idle, when no other OS thread is left.
fn forget(block: &ThreadBlock, tasks: &[Sent<Task>]) {
    for task in tasks {
        // SAFETY: as said.
        unsafe {
            (*block.parts.get_mut()).parts.tasks.remove(task.0);
            free(task.0);
        }
    }
}
/// What a task was given, as a number.
fn given(task: *mut Task) -> i64 {
    // SAFETY: a task that was handed over.
    match unsafe { take_delivery(&mut (*task).waiter) } {
        Delivery::Value(message) => message.peek().expect("a number").as_small_int(),
        _ => panic!("the task was woken without its value"),
    }
}

/// Two wakers, and a carrier that finds nothing to run: both tasks run once, each with what its waker wrote, on whatever OS thread, and the thread is idle afterwards.
#[test]
fn wake_ups_against_going_idle() {
    check("wake_ups_against_going_idle", PREEMPTIONS, || {
        let (block, tasks) = mounted(2);
        let sum = Arc::new(AtomicUsize::new(0));
        let handles: Vec<_> = tasks
            .iter()
            .copied()
            .enumerate()
            .map(|(i, task)| {
                let (block, sum) = (block.clone(), sum.clone());
                loom::thread::spawn(move || {
                    let task = task;
                    // SAFETY: this waker alone has claimed the task.
                    let must_run = unsafe {
                        (*task.0).claim.set(Claimed::Arm(0));
                        deliver(task.0, Delivery::Value(number(1 + 10 * i as i64)));
                        block.signal.push(task.0, false)
                    };
                    if must_run {
                        machine(&sum).run_block(&block);
                    }
                })
            })
            .collect();
        // The carrier that has it mounted.
        let mut here = machine(&sum);
        loop {
            here.run_tasks(&block);
            if block.signal.finish(false) {
                break;
            }
        }
        for handle in handles {
            handle.join().expect("a waker");
        }
        assert_eq!(sum.load(Ordering::Relaxed), 12, "each task ran once");
        assert_eq!(block.signal.name(), "waiting");
        assert!(!block.signal.has_news());
        forget(&block, &tasks);
    });

    fn machine(sum: &Arc<AtomicUsize>) -> Machine<impl FnMut(*mut Task) -> Step> {
        let sum = sum.clone();
        Machine::new(move |task| {
            sum.fetch_add(given(task) as usize, Ordering::Relaxed);
            Step::Waits
        })
    }
}

/// A request is seen by the carrier that has the thread mounted, or by the one that mounts it because of it.
#[test]
fn request_against_going_idle() {
    check("request_against_going_idle", PREEMPTIONS, || {
        let (block, tasks) = mounted(1);
        let there = block.clone();
        let waker = loom::thread::spawn(move || {
            let mut machine = Machine::new(|_| Step::Waits);
            if there.signal.request(CANCEL) {
                machine.run_block(&there);
            }
            machine.requests
        });
        let mut here = Machine::new(|_| Step::Waits);
        loop {
            here.run_tasks(&block);
            if block.signal.finish(false) {
                break;
            }
        }
        let seen = waker.join().expect("a waker") | here.requests;
        assert_eq!(seen, CANCEL, "the request was seen");
        assert!(!block.signal.has_requests());
        assert_eq!(block.signal.name(), "waiting");
        forget(&block, &tasks);
    });
}

/// A thread that is asked to end while a sender hands its task a value: the task runs once, and either has the value or was killed and the value stays.
#[test]
fn kill_against_wake_up() {
    check("kill_against_wake_up", PREEMPTIONS, || {
        let channel = Arc::new(SharedObject::new(Lock::new(ObjectState::Channel(
            ChannelState::grown(1),
        ))));
        let (block, tasks) = mounted(1);
        let task = tasks[0].0;
        // SAFETY: the model's own task; nobody else knows it yet.
        unsafe {
            (*task).wait = Wait::Receive;
            (*task).waiter.set_owner(Owner::Shared(&*channel), 0);
            list(&channel, |list| list.push(&raw mut (*task).waiter));
        }
        assert!(block.signal.finish(false));
        let ran = Arc::new(AtomicUsize::new(0));
        let (there, channel_there, ran_there) = (block.clone(), channel.clone(), ran.clone());
        let sender = loom::thread::spawn(move || {
            let sent = match &mut *channel_there.state.lock() {
                ObjectState::Channel(channel) => channel.send(number(7)),
                _ => unreachable!(),
            };
            match sent {
                Outcome::To(task) => {
                    // SAFETY: claimed.
                    if unsafe { there.signal.push(task, false) } {
                        machine(&ran_there).run_block(&there);
                    }
                    true
                }
                _ => false,
            }
        });
        if block.signal.request(KILL) {
            machine(&ran).run_block(&block);
        }
        let was_received = sender.join().expect("the sender");
        let expected = if was_received { 107 } else { 1000 };
        assert_eq!(ran.load(Ordering::Relaxed), expected, "it ran once");
        assert!(block.signal.is_ended() == (block.signal.name() == "ended"));
    });

    fn list(channel: &SharedObject, f: impl FnOnce(&mut WaitList)) {
        f(channel.state.lock().list(0).expect("a channel"));
    }
    fn machine(ran: &Arc<AtomicUsize>) -> Machine<impl FnMut(*mut Task) -> Step> {
        let ran = ran.clone();
        Machine::new(move |task| {
            // SAFETY: the task was handed over.
            let (_, claimed) = unsafe { end_wait(task) };
            let what = match claimed {
                Claimed::Arm(0) => 100 + given(task) as usize,
                Claimed::Killed | Claimed::Refused => 1000,
                _ => panic!("nobody else claims it"),
            };
            ran.fetch_add(what, Ordering::Relaxed);
            Step::Ends
        })
    }
}

/// The program ends: a carrier has taken a thread out of a queue while another one, to which a task of it is pinned, seizes it.
#[test]
fn seize_against_begin() {
    check("seize_against_begin", PREEMPTIONS, || {
        let block = thread_block(1);
        let there = block.clone();
        let pinned = loom::thread::spawn(move || {
            while !there.signal.seize() {
                loom::thread::yield_now();
            }
            // SAFETY: seized.
            unsafe { (*there.parts.get_mut()).parts.next_task += 1 };
            there.signal.requeue();
        });
        let inbox = mutation!(
            "begun_though_seized",
            block.signal.try_begin(false),
            Some(block.signal.begin())
        );
        if inbox.is_some() {
            // SAFETY: begun.
            unsafe { (*block.parts.get_mut()).parts.next_task += 1 };
            block.signal.requeue();
        }
        pinned.join().expect("a carrier");
    });
}
