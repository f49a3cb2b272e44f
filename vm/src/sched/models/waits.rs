//! Waits that several would end: locks, timers, channels, `select`.

use super::*;
use crate::sched::timers::{Fired, Shard};
use crate::sched::wait::{
    ArmWaiter, Claimed, Delivery, Owner, WaitList, Waiter, deliver, take_delivery,
};
use crate::shared::channel::{ChannelState, Received, Sent as Outcome};
use crate::shared::{ObjectState, SharedObject};
use crate::sync::Lock;
use crate::task::Wait;
use crate::thread::{claim_own, end_wait};

const SOON: u64 = 1000;

/// Two OS threads take a lock: neither is inside with the other, and each sees what the last one wrote.
#[test]
fn one_holds_the_lock() {
    check("one_holds_the_lock", 4, || {
        let lock = Arc::new(Lock::spinning(0));
        let there = lock.clone();
        let other = loom::thread::spawn(move || {
            for _ in 0..2 {
                *there.lock() += 1;
            }
        });
        for _ in 0..2 {
            *lock.lock() += 1;
        }
        other.join().expect("a holder");
        assert_eq!(*lock.lock(), 4);
    });
}

fn channel(capacity: usize) -> Arc<SharedObject> {
    Arc::new(SharedObject::new(Lock::new(ObjectState::Channel(
        ChannelState::grown(capacity),
    ))))
}
fn with<R>(object: &SharedObject, f: impl FnOnce(&mut ChannelState) -> R) -> R {
    match &mut *object.state.lock() {
        ObjectState::Channel(channel) => f(channel),
        _ => unreachable!(),
    }
}
/// A task that waits in one list of an object.
fn waits_in(object: &SharedObject, list: u8, message: Message) -> Sent<Task> {
    let block = std::ptr::null();
    let task = TaskPool::new().take(block, 0);
    // SAFETY: the model's own task.
    unsafe {
        (*task).wait = if list == 0 { Wait::Receive } else { Wait::Send };
        (*task).claim.begin();
        let waiter = &raw mut (*task).waiter;
        (*waiter).set_owner(Owner::Shared(object), list);
        (*waiter).set_message(message);
        let mut state = object.state.lock();
        state.list(list).expect("a list").push(waiter);
    }
    Sent(task)
}
/// What a task was given: the number, or -1 if nothing.
///
/// # Safety
/// It was handed over to the caller.
unsafe fn given(task: *mut Task) -> i64 {
    // SAFETY: promised by the caller.
    match unsafe { take_delivery(&mut (*task).waiter) } {
        Delivery::Value(message) => message.peek().expect("no parcel").as_small_int(),
        _ => -1,
    }
}
fn value(message: Message) -> i64 {
    message.peek().expect("no parcel").as_small_int()
}

/// A sleeper is due while it is cancelled: one of them wakes it.
#[test]
fn timer_against_cancel() {
    check("timer_against_cancel", PREEMPTIONS, || {
        let shard = Arc::new(Shard::default());
        let tasks: Vec<Sent<Task>> = (0..2)
            .map(|i| {
                let task = TaskPool::new().take(std::ptr::null(), 0);
                // SAFETY: the model's own task.
                unsafe {
                    (*task).wait = Wait::Sleep;
                    (*task).claim.begin();
                    let waiter = &raw mut (*task).waiter;
                    (*waiter).set_owner(Owner::Timers(&*shard), 0);
                    shard.add(waiter, SOON + i, 0);
                }
                Sent(task)
            })
            .collect();
        let due = shard.clone();
        let carrier = loom::thread::spawn(move || {
            let mut fired = Fired::default();
            due.fire(SOON, usize::MAX, &mut fired);
            fired.tasks.len()
        });
        // The thread of both.
        let first = claim_own(tasks[0].0, Claimed::Cancelled);
        let second = claim_own(tasks[1].0, Claimed::Killed);
        let fired = carrier.join().expect("a carrier");
        assert_eq!(fired + first as usize, 1, "one of them woke it");
        assert!(second, "it is not due yet");
        let expected = match first {
            true => Claimed::Cancelled,
            false => Claimed::TimedOut,
        };
        for (task, expected) in tasks.into_iter().zip([expected, Claimed::Killed]) {
            // SAFETY: both were claimed, and nobody else is left.
            unsafe {
                assert_eq!(end_wait(task.0), (Wait::Sleep, expected));
                free(task.0);
            }
        }
        assert_eq!(shard.next(), u64::MAX, "no timer is left");
    });
}

/// Two senders, and a receiver that is cancelled meanwhile: every message is with the receiver or in the channel, none twice.
#[test]
fn senders_against_cancel_of_the_receiver() {
    check(
        "senders_against_cancel_of_the_receiver",
        PREEMPTIONS,
        || {
            let object = channel(2);
            let receiver = waits_in(&object, 0, Message::NONE);
            let woken = Arc::new(AtomicUsize::new(0));
            let senders: Vec<_> = [1, 2]
                .into_iter()
                .map(|n| {
                    let (object, woken) = (object.clone(), woken.clone());
                    loom::thread::spawn(move || {
                        match with(&object, |channel| channel.send(number(n))) {
                            Outcome::To(_) => {
                                woken.fetch_add(1, Ordering::Relaxed);
                            }
                            Outcome::Queued => {}
                            _ => panic!("there is room"),
                        }
                    })
                })
                .collect();
            let was_cancelled = claim_own(receiver.0, Claimed::Cancelled);
            for sender in senders {
                sender.join().expect("a sender");
            }
            let woken = woken.load(Ordering::Relaxed);
            assert_eq!(woken + was_cancelled as usize, 1, "one of them woke it");
            // SAFETY: it was claimed, and nobody else is left.
            let received = unsafe {
                let (_, claimed) = end_wait(receiver.0);
                assert_eq!(was_cancelled, claimed == Claimed::Cancelled);
                let received = given(receiver.0);
                free(receiver.0);
                received
            };
            assert_eq!(was_cancelled, received == -1);
            let queued: i64 = with(&object, |channel| channel.queue.drain().map(value).sum());
            assert_eq!(queued + received.max(0), 3, "no message is lost");
        },
    );
}

/// A receiver takes the message of a waiting sender that is cancelled meanwhile.
#[test]
fn receiver_against_cancel_of_the_sender() {
    check("receiver_against_cancel_of_the_sender", PREEMPTIONS, || {
        let object = channel(0);
        let sender = waits_in(&object, 1, number(5));
        let there = object.clone();
        let receiver = loom::thread::spawn(move || match with(&there, ChannelState::receive) {
            Received::Message(message, sender) => {
                assert!(sender.is_some());
                value(message)
            }
            Received::Empty => -1,
            Received::Closed => panic!("nobody closes it"),
        });
        let was_cancelled = claim_own(sender.0, Claimed::Cancelled);
        let received = receiver.join().expect("a receiver");
        assert_eq!(received, if was_cancelled { -1 } else { 5 });
        // SAFETY: it was claimed, and nobody else is left.
        unsafe {
            let (_, claimed) = end_wait(sender.0);
            assert_eq!(was_cancelled, claimed == Claimed::Cancelled);
            free(sender.0);
        }
    });
}

/// A task that selects between two channels and a time limit, as `select` enlists it.
fn selects(objects: [&SharedObject; 2], shard: &Shard, deadline: u64) -> Sent<Task> {
    let task = TaskPool::new().take(std::ptr::null(), 0);
    // SAFETY: the model's own task.
    unsafe {
        (*task).wait = Wait::Select;
        (*task).claim.begin();
        let more = (*task).more();
        let arms = more.make_arms(task, 3);
        for (arm, object) in objects.into_iter().enumerate() {
            let waiter: *mut Waiter = &raw mut (*arms.add(arm)).waiter;
            (*waiter).set_owner(Owner::Shared(object), 0);
            let mut state = object.state.lock();
            let list: &mut WaitList = state.list(0).expect("a list");
            list.push(waiter);
        }
        let waiter = &raw mut (*arms.add(2)).waiter;
        (*waiter).set_owner(Owner::Timers(shard), 0);
        shard.add(waiter, deadline, 0);
    }
    Sent(task)
}

/// Two channels and a timer: one of them ends the `select`; what the other channel's sender sent stays there; the task is in no list afterwards, whatever still looks
/// at them, and its next wait is its own.
#[test]
fn select_with_three_wakers() {
    check("select_with_three_wakers", 2, || {
        let (left, right, shard) = (channel(1), channel(1), Arc::new(Shard::default()));
        let task = selects([&left, &right], &shard, SOON);
        // Whose claim it is: 0, 1 the channels, 2 the timer.
        let winners = Arc::new(AtomicUsize::new(0));
        let (there, winner) = (right.clone(), winners.clone());
        let sender = loom::thread::spawn(move || {
            if let Outcome::To(_) = with(&there, |channel| channel.send(number(11))) {
                winner.fetch_add(10, Ordering::Relaxed);
            }
        });
        let (due, winner) = (shard.clone(), winners.clone());
        let carrier = loom::thread::spawn(move || {
            let mut fired = Fired::default();
            due.fire(SOON, usize::MAX, &mut fired);
            winner.fetch_add(100 * fired.tasks.len(), Ordering::Relaxed);
        });
        let sent = with(&left, |channel| channel.send(number(10)));
        if let Outcome::To(task) = sent {
            winners.fetch_add(1, Ordering::Relaxed);
            // Handed over to this carrier: it goes on here, while the others may still be at its waiters.
            // SAFETY: claimed here.
            unsafe {
                assert_eq!(end_wait(task), (Wait::Select, Claimed::Arm(0)));
                assert_eq!(given(task), 10);
                // The next wait, for something else.
                (*task).claim.begin();
            }
        }
        sender.join().expect("a sender");
        carrier.join().expect("a carrier");
        let winners = winners.load(Ordering::Relaxed);
        let queued =
            |object: &SharedObject| with(object, |channel| channel.queue.pop()).map_or(-1, value);
        // SAFETY: nobody else is left.
        unsafe {
            match winners {
                1 => {
                    assert_eq!((queued(&left), queued(&right)), (-1, 11));
                    assert!((*task.0).claim.is_waiting(), "the next wait is its own");
                }
                10 => {
                    assert_eq!(end_wait(task.0).1, Claimed::Arm(1));
                    assert_eq!(given(task.0), 11);
                    assert_eq!((queued(&left), queued(&right)), (10, -1));
                }
                100 => {
                    assert_eq!(end_wait(task.0).1, Claimed::TimedOut);
                    assert_eq!((queued(&left), queued(&right)), (10, 11));
                }
                _ => panic!("one ends the wait"),
            }
            assert_eq!(shard.next(), u64::MAX, "no timer is left");
            for object in [&left, &right] {
                with(object, |channel| {
                    assert_eq!(channel.receivers.count_waiting(), 0, "no waiter is left");
                });
            }
            free(task.0);
        }
    });
}

/// A `select` whose time is up while it is cancelled and while a sender comes.
#[test]
fn select_against_timer_and_cancel() {
    check("select_against_timer_and_cancel", PREEMPTIONS, || {
        let (left, right, shard) = (channel(1), channel(1), Arc::new(Shard::default()));
        let task = selects([&left, &right], &shard, SOON);
        let due = shard.clone();
        let carrier = loom::thread::spawn(move || {
            let mut fired = Fired::default();
            due.fire(SOON, usize::MAX, &mut fired);
            fired.tasks.len()
        });
        let there = left.clone();
        let sender = loom::thread::spawn(move || {
            matches!(
                with(&there, |channel| channel.send(number(10))),
                Outcome::To(_)
            )
        });
        let was_cancelled = claim_own(task.0, Claimed::Cancelled);
        let fired = carrier.join().expect("a carrier");
        let was_sent = sender.join().expect("a sender");
        assert_eq!(
            fired + was_cancelled as usize + was_sent as usize,
            1,
            "one ends the wait"
        );
        let expected = match (was_cancelled, was_sent) {
            (true, _) => Claimed::Cancelled,
            (_, true) => Claimed::Arm(0),
            _ => Claimed::TimedOut,
        };
        // SAFETY: nobody else is left.
        unsafe {
            assert_eq!(end_wait(task.0), (Wait::Select, expected));
            assert_eq!(given(task.0), if was_sent { 10 } else { -1 });
            free(task.0);
        }
        assert_eq!(shard.next(), u64::MAX, "no timer is left");
    });
}

/// Something comes to a socket, and the system tells of it, while a task tries to read: it reads that, or it is woken.
#[test]
fn a_source_tells_while_a_task_tries() {
    use crate::io::source::model;
    use crate::sync::Mutex;
    check("a_source_tells_while_a_task_tries", PREEMPTIONS, || {
        let state = Lock::new(model::source());
        let object = Arc::new(SharedObject::new(state));
        let data = Arc::new(Mutex::new(false));
        let (there, sent) = (object.clone(), data.clone());
        let system = loom::thread::spawn(move || {
            *sent.lock() = true;
            model::tell(&there).len()
        });
        let task = TaskPool::new().take(std::ptr::null(), 0);
        let has_read = model::read(&object, &data, |list| {
            // SAFETY: the model's own task, under the lock of the list.
            unsafe {
                (*task).wait = Wait::Io;
                (*task).claim.begin();
                let waiter = &raw mut (*task).waiter;
                (*waiter).set_owner(Owner::Shared(&raw const *object), 0);
                list.push(waiter);
            }
        });
        let woken = system.join().expect("it tells");
        assert_eq!(usize::from(has_read) + woken, 1, "it has read, or is woken");
        // SAFETY: nobody else is left.
        unsafe {
            let _ = end_wait(task);
            free(task);
        }
    });
}
