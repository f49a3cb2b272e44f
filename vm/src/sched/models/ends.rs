//! The end of a thread and its joiners; the members of a scope and its owner.

use super::*;
use crate::counted::Counted;
use crate::heap::Heap;
use crate::sched::block::Outcome;
use crate::sched::scope::Scope;
use crate::sched::wait::{Claimed, Owner};
use crate::task::Wait;
use crate::thread::end_wait;

/// A thread ends with a mutable result while two others join it: both go on, and one gets the result.
#[test]
fn first_joiner_gets_the_result() {
    check("first_joiner_gets_the_result", PREEMPTIONS, || {
        let ending = thread_block(2);
        let got = Arc::new(AtomicUsize::new(0));
        let joiners: Vec<_> = (0..2)
            .map(|i| {
                let (ending, got) = (ending.clone(), got.clone());
                let block = thread_block(3 + i);
                let there = block.clone();
                let handle = loom::thread::spawn(move || {
                    let _ = block.signal.begin();
                    let task = task_of(&block);
                    // SAFETY: the task runs in the thread that is mounted here.
                    unsafe {
                        (*block.parts.get_mut()).parts.tasks.add(task);
                        (*task).wait = Wait::JoinThread;
                        (*task).claim.begin();
                        let waiter = &raw mut (*task).waiter;
                        (*waiter).set_owner(Owner::Thread(Counted::as_ptr(&ending)), 0);
                        if !ending.end.lock().wait(waiter) {
                            assert_eq!((*task).claim.end(), Claimed::None);
                            take(&ending, &got);
                            (*block.parts.get_mut()).parts.tasks.remove(task);
                            free(task);
                            return;
                        }
                    }
                    // It waits: the thread is unmounted, as far as its task was not woken meanwhile.
                    let mut machine = joined(&ending, &got);
                    loop {
                        machine.run_tasks(&block);
                        // SAFETY: still mounted here.
                        if unsafe { (*block.parts.get_mut()).parts.tasks.is_empty() } {
                            return;
                        }
                        if block.signal.finish(false) {
                            return;
                        }
                    }
                });
                (there, handle)
            })
            .collect();
        let message = {
            let mut heap = Heap::new(1 << 20);
            let tuple = crate::ops::list::new_tuple(&mut heap, &[Value::small_int(1)]);
            let Ok(tuple) = tuple else {
                panic!("a small tuple");
            };
            let Ok(message) = Message::parcel(&mut heap, tuple) else {
                panic!("a small tuple crosses");
            };
            message
        };
        let mut woken = ending
            .end
            .lock()
            .finish(Outcome::Returned(message), crate::thread::Stopped::No);
        ending.signal.end();
        while let Some(task) = woken.pop_front() {
            // SAFETY: claimed by `finish`.
            unsafe {
                let block = (*task).block;
                if (*block).signal.push(task, false) {
                    joined(&ending, &got).run_block(&*block);
                }
            }
        }
        let mut blocks = Vec::new();
        for (block, handle) in joiners {
            handle.join().expect("a joiner");
            blocks.push(block);
        }
        assert_eq!(got.load(Ordering::Relaxed), 101, "one got it, one did not");
        for block in blocks {
            // SAFETY: nobody else is left.
            assert!(unsafe { (*block.parts.get_mut()).parts.tasks.is_empty() });
        }
    });

    fn take(ending: &ThreadBlock, got: &AtomicUsize) {
        let what = match ending.end.lock().take() {
            Some((message, false)) => {
                assert!(message.is_parcel());
                100
            }
            None => 1,
            _ => panic!("it did not fail"),
        };
        got.fetch_add(what, Ordering::Relaxed);
    }
    fn joined(
        ending: &Counted<ThreadBlock>,
        got: &Arc<AtomicUsize>,
    ) -> Machine<impl FnMut(*mut Task) -> Step> {
        let (ending, got) = (ending.clone(), got.clone());
        Machine::new(move |task| {
            // SAFETY: it was handed over.
            let (wait, claimed) = unsafe { end_wait(task) };
            assert_eq!((wait, claimed), (Wait::JoinThread, Claimed::Arm(0)));
            take(&ending, &got);
            Step::Ends
        })
    }
}

/// The last member of a scope leaves while the owner, who waits for that, is cancelled: one of them wakes it.
#[test]
fn last_member_against_cancel_of_the_owner() {
    check(
        "last_member_against_cancel_of_the_owner",
        PREEMPTIONS,
        || {
            let block = thread_block(2);
            let _ = block.signal.begin();
            let owner = task_of(&block);
            let scope = Scope::new(None, owner, Counted::downgrade(&block), false);
            // They are only compared.
            let member = |i: usize| std::ptr::without_provenance_mut(8 * (i + 1));
            assert!(!scope.enter(member(0)) && !scope.enter(member(1)));
            let woken = Arc::new(AtomicUsize::new(0));
            let members: Vec<_> = (0..2)
                .map(|i| {
                    let (scope, woken) = (scope.clone(), woken.clone());
                    loom::thread::spawn(move || {
                        if scope.leave(member(i)).is_some() {
                            woken.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            // The owner's thread: it waits, and then it is told to cancel it.
            let waits = {
                let mut state = scope.state.lock();
                // SAFETY: the task runs.
                unsafe { (*owner).claim.begin() };
                state.is_awaited = state.live > 0;
                state.is_awaited
            };
            let was_cancelled = waits && scope.claim_owner(Claimed::Cancelled);
            for member in members {
                member.join().expect("a member");
            }
            let left = woken.load(Ordering::Relaxed);
            assert_eq!(
                left + was_cancelled as usize,
                waits as usize,
                "one wakes it"
            );
            // SAFETY: nobody else is left.
            unsafe {
                let claimed = (*owner).claim.end();
                let expected = match (waits, was_cancelled) {
                    (false, _) => Claimed::None,
                    (_, true) => Claimed::Cancelled,
                    _ => Claimed::Arm(0),
                };
                assert_eq!(claimed, expected);
                free(owner);
            }
        },
    );
}

/// A thread leaves an inner scope while another one enters it, and somebody cancels the outer one: he finds all who are inside from beginning to end, and the scopes agree
/// with one another afterwards.
#[test]
fn threads_enter_and_leave_an_inner_scope() {
    check(
        "threads_enter_and_leave_an_inner_scope",
        PREEMPTIONS,
        || {
            let block = thread_block(2);
            let owner = task_of(&block);
            let outer = Scope::new(None, owner, Counted::downgrade(&block), false);
            let inner = Scope::new(
                Some(outer.clone()),
                owner,
                Counted::downgrade(&block),
                false,
            );
            let (stays, leaves, enters) = (thread_block(3), thread_block(4), thread_block(5));
            outer.enter_thread(&stays);
            inner.enter_thread(&leaves);
            let leaving = {
                let (inner, leaves) = (inner.clone(), leaves.clone());
                loom::thread::spawn(move || assert!(inner.leave_thread(&leaves).is_none()))
            };
            let cancelling = {
                let (outer, stays) = (outer.clone(), stays.clone());
                loom::thread::spawn(move || {
                    let found = outer.threads_inside();
                    assert!(found.iter().any(|block| Counted::ptr_eq(block, &stays)));
                })
            };
            assert!(!inner.enter_thread(&enters));
            leaving.join().expect("a member");
            cancelling.join().expect("who cancels");
            let inside = outer.threads_inside();
            assert_eq!(inside.len(), 2);
            assert!(inside.iter().any(|block| Counted::ptr_eq(block, &enters)));
            assert!(inner.leave_thread(&enters).is_none());
            assert_eq!(outer.threads_inside().len(), 1);
            assert!(outer.leave_thread(&stays).is_none());
            assert!(outer.threads_inside().is_empty());
            // SAFETY: nobody else is left.
            unsafe { free(owner) };
        },
    );
}
