//! Carriers: how they find work, sleep, are woken and stopped; what they know of threads together.

use super::*;
use crate::counted::Counted;
use crate::engine::Engine;
use crate::sched::choices::Schedule;
use crate::sched::host::Waker;
use crate::sched::registry::{self, Part};
use crate::sched::wait::Claimed;
use crate::sched::{CarrierSlot, Next, block};
use crate::sync::{Condvar, Mutex};
use crate::task::Wait;
use crate::thread::{Ended, Settings, Stress};

/// A carrier that `start_carrier` started.
pub(in crate::sched) fn run_carrier(scheduler: &Arc<Scheduler>, mut own: Own) -> Own {
    loop {
        match scheduler.next(&mut own, false, &scheduler.engine) {
            Next::Run(block, _) => run_block(scheduler, &own, block),
            _ => return own,
        }
    }
}

/// Runs a thread: each of its tasks ends when it runs, and with the last of them the thread.
fn run_block(scheduler: &Arc<Scheduler>, own: &Own, block: *const ThreadBlock) {
    // SAFETY: the registry keeps a thread that is in a queue.
    let block = unsafe { &*block };
    if Machine::new(|_| Step::Ends).run_block(block) {
        drop(scheduler.unregister(own, block, true, false));
    }
}

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(Engine::new);

fn scheduler(carriers: usize) -> (Arc<Scheduler>, Own) {
    scheduler_of(carriers, carriers)
}
/// `most`: with those that are held.
fn scheduler_of(carriers: usize, most: usize) -> (Arc<Scheduler>, Own) {
    let settings = Settings {
        memory: 0,
        depth: 1,
        stress: Stress::None,
        slice: 1,
        script_args: Box::default(),
        on_large: None,
        on_shrunk: None,
        carriers,
        max_workers: 1,
        threadlets: crate::thread::Threadlets::Inline,
        trace_pinned: crate::thread::TracePinned::No,
        blocking_warn: None,
    };
    let output = Box::new(std::io::sink());
    let made = Scheduler::new(
        ENGINE.clone(),
        settings,
        Schedule::Ordinary,
        crate::io::FaultLevel::None,
        most,
        crate::io::Policy::Offload,
        output,
    );
    // The models' threads are all that there are.
    made.0.has_host_ended.store(true, Ordering::Relaxed);
    made
}
/// A thread with one task that is ready, known to the registry.
fn ready_thread(scheduler: &Arc<Scheduler>, own: &Own) -> Counted<ThreadBlock> {
    let block = thread_block(scheduler.new_thread_id());
    let task = task_of(&block);
    // SAFETY: nobody else knows the thread yet.
    unsafe {
        let parts = &mut (*block.parts.get_mut()).parts;
        parts.tasks.add(task);
        parts.ready.push_back(task);
    }
    scheduler.register(own, block.clone());
    block
}
/// A thread that is idle, with one task that waits.
fn waiting_thread(scheduler: &Arc<Scheduler>, own: &Own) -> (Counted<ThreadBlock>, Sent<Task>) {
    let block = thread_block(scheduler.new_thread_id());
    let task = task_of(&block);
    let _ = block.signal.begin();
    // SAFETY: nobody else knows the thread yet.
    unsafe {
        // As a `select` of nothing: only a request ends it.
        (*task).wait = Wait::Select;
        (*task).claim.begin();
        (*block.parts.get_mut()).parts.tasks.add(task);
    }
    assert!(block.signal.finish(false));
    scheduler.register(own, block.clone());
    (block, Sent(task))
}

/// A carrier goes to sleep while another one, which is busy for long, wakes a thread by the injector (it has no queues at hand). The sleeper runs it.
#[test]
fn injector_against_going_to_sleep() {
    check("injector_against_going_to_sleep", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(2);
        let _other = scheduler.count_carrier();
        let (block, task) = waiting_thread(&scheduler, &own);
        let has_run = Arc::new((Mutex::new(false), Condvar::new()));
        let (there, ran) = (scheduler.clone(), has_run.clone());
        let busy = loom::thread::spawn(move || {
            let task = task;
            // SAFETY: claimed here.
            unsafe {
                (*task.0).claim.set(Claimed::Arm(0));
                there.wake_from_outside(task.0);
            }
            // It does not look for work before somebody else has run the thread.
            let mut has_run = ran.0.lock();
            while !*has_run {
                ran.1.wait(&mut has_run);
            }
        });
        loop {
            match scheduler.next(&mut own, true, &scheduler.engine) {
                Next::Run(block, _) => run_block(&scheduler, &own, block),
                Next::Done | Next::Stop => break,
                _ => panic!("a carrier is busy"),
            }
        }
        assert!(block.signal.is_ended());
        *has_run.0.lock() = true;
        has_run.1.notify_one();
        busy.join().expect("a carrier");
    });
}

/// The same, while it goes to wait for the system.
#[test]
fn injector_against_going_to_poll() {
    check("injector_against_going_to_poll", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(2);
        scheduler.reactor.open();
        let other = scheduler.count_carrier();
        let (block, task) = waiting_thread(&scheduler, &own);
        let has_run = Arc::new((Mutex::new(false), Condvar::new()));
        let (there, ran) = (scheduler.clone(), has_run.clone());
        // This one waits for the system, or is about to: the other is busy.
        let sleeper = loom::thread::spawn(move || {
            let mut other = other;
            match there.next(&mut other, false, &there.engine) {
                Next::Run(block, _) => run_block(&there, &other, block),
                _ => panic!("a carrier is busy"),
            }
            *ran.0.lock() = true;
            ran.1.notify_one();
        });
        // SAFETY: claimed here.
        unsafe {
            (*task.0).claim.set(Claimed::Arm(0));
            scheduler.wake_from_outside(task.0);
        }
        // It may see the waker that is meant for the other.
        scheduler.look_at_system(&mut own);
        let mut is_over = has_run.0.lock();
        while !*is_over {
            has_run.1.wait(&mut is_over);
        }
        drop(is_over);
        sleeper.join().expect("a carrier");
        assert!(block.signal.is_ended());
    });
}

/// More threads than one are queued: another carrier starts and takes one, or finds nothing and sleeps, and whoever comes last tells the host that all have ended.
#[test]
fn stealing_to_the_end() {
    check("stealing_to_the_end", 2, || {
        let (scheduler, mut own) = scheduler(2);
        let blocks = [0; 3].map(|_| ready_thread(&scheduler, &own));
        for block in &blocks {
            scheduler.enqueue_woken(&own, Counted::as_ptr(block));
        }
        run_to(&scheduler, &mut own, "done");
        scheduler.stop(&mut own);
        for block in &blocks {
            assert!(block.signal.is_ended());
            assert_eq!(Counted::strong_count(block), 1, "nothing else holds it");
        }
    });
}

/// Two carriers where one may run, since one that was held has come back: it rests, and passes on what it has, while the other goes to sleep, or looks for work.
#[test]
fn resting_against_going_to_sleep() {
    check("resting_against_going_to_sleep", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler_of(1, 2);
        let other = scheduler.count_carrier();
        let blocks = [0; 2].map(|_| ready_thread(&scheduler, &other));
        for block in &blocks {
            scheduler.enqueue_woken(&other, Counted::as_ptr(block));
        }
        scheduler.start_counted(other);
        run_to(&scheduler, &mut own, "done");
        scheduler.stop(&mut own);
        for block in &blocks {
            assert!(block.signal.is_ended());
        }
    });
}

/// The last thread that the program waits for ends on a carrier that then has nothing to do, while another one goes on with what nobody waits for: the host is
/// told.
#[test]
fn the_end_is_told_though_a_carrier_is_busy() {
    check(
        "the_end_is_told_though_a_carrier_is_busy",
        PREEMPTIONS,
        || {
            let (scheduler, mut own) = scheduler(3);
            let _busy = scheduler.count_carrier();
            let other = scheduler.count_carrier();
            let block = ready_thread(&scheduler, &other);
            scheduler.enqueue_woken(&other, Counted::as_ptr(&block));
            scheduler.start_counted(other);
            run_to(&scheduler, &mut own, "done");
            scheduler.stop(&mut own);
            assert!(block.signal.is_ended());
        },
    );
}

/// A carrier that takes what others queue, and a thread that nothing can wake: the host is told when, and only when, everything else has been run.
#[test]
fn deadlock_is_told_by_the_last() {
    check("deadlock_is_told_by_the_last", 2, || {
        let (scheduler, mut own) = scheduler(2);
        let (stuck, _) = waiting_thread(&scheduler, &own);
        let blocks = [0; 2].map(|_| ready_thread(&scheduler, &own));
        for block in &blocks {
            scheduler.enqueue_woken(&own, Counted::as_ptr(block));
        }
        run_to(&scheduler, &mut own, "deadlock");
        for block in &blocks {
            assert!(block.signal.is_ended(), "it could run");
        }
        // SAFETY: every carrier is idle and nothing can wake one: as `deadlock_report`.
        unsafe { assert!(!(*stuck.parts.get()).parts.tasks.is_empty()) };
        end_stuck(&scheduler, &mut own, &stuck);
    });
}

/// What a host does when it was told of a deadlock: the task ends, and the program with it.
fn end_stuck(scheduler: &Arc<Scheduler>, own: &mut Own, stuck: &Counted<ThreadBlock>) {
    scheduler.request(own, stuck, block::KILL);
    run_to(scheduler, own, "done");
    scheduler.stop(own);
    assert!(stuck.signal.is_ended());
}

/// A host that stays goes to sleep while it is woken from outside: it is told so. Nothing is a deadlock while there is a source, or a call; without, the same is one.
#[test]
fn a_call_reaches_a_host_that_stays() {
    check("a_call_reaches_a_host_that_stays", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(1);
        let (stuck, task) = waiting_thread(&scheduler, &own);
        scheduler.set_host_stays(true);
        scheduler.add_source();
        let waker = Waker(scheduler.clone());
        let outside = loom::thread::spawn(move || waker.wake());
        run_to(&scheduler, &mut own, "called");
        assert!(scheduler.host.is_woken.load(Ordering::Acquire));
        outside.join().expect("it wakes");
        scheduler.remove_source();
        run_to(&scheduler, &mut own, "deadlock");
        // A source that wakes something and goes: that is seen, and then nothing is left.
        scheduler.add_source();
        let there = scheduler.clone();
        let source = loom::thread::spawn(move || {
            let task = task;
            // SAFETY: claimed here.
            unsafe {
                (*task.0).claim.set(Claimed::Arm(0));
                there.wake_from_outside(task.0);
            }
            there.remove_source();
        });
        run_to(&scheduler, &mut own, "deadlock");
        assert!(stuck.signal.is_ended(), "it could run");
        source.join().expect("it ends");
        scheduler.stop(&mut own);
    });
}

/// Runs threads until the host is told something else, which must be this.
fn run_to(scheduler: &Arc<Scheduler>, own: &mut Own, end: &str) {
    loop {
        let told = match scheduler.next(own, true, &scheduler.engine) {
            Next::Run(block, _) => {
                run_block(scheduler, own, block);
                continue;
            }
            // Whoever ends the last thread stops the carriers.
            Next::Done | Next::Stop => "done",
            Next::Deadlock => "deadlock",
            Next::Interrupted => "interrupted",
            Next::Called => "called",
        };
        assert_eq!(told, end);
        return;
    }
}

/// The program ends while carriers start, steal and run: afterwards no carrier is left, nothing is queued or registered, and the scheduler can be used again.
#[test]
fn stealing_against_shutdown() {
    check("stealing_against_shutdown", 2, || {
        let (scheduler, mut own) = scheduler(3);
        let blocks = [0; 3].map(|_| ready_thread(&scheduler, &own));
        for block in &blocks {
            scheduler.enqueue_woken(&own, Counted::as_ptr(block));
        }
        // A native that ends the program at once, on the host's carrier.
        scheduler.end_program(Ended::Exit(0));
        scheduler.stop(&mut own);
        for block in &blocks {
            assert_eq!(Counted::strong_count(block), 1, "nothing else holds it");
        }
        assert!(own.is_empty() && scheduler.threads().is_empty() && scheduler.is_done());
        assert_eq!(scheduler.counted_carriers(), 1);
        let again = ready_thread(&scheduler, &own);
        scheduler.enqueue_woken(&own, Counted::as_ptr(&again));
        run_to(&scheduler, &mut own, "done");
    });
}

/// A carrier that has paused all others looks at a thread that one of them runs, or will run.
#[test]
fn pause_against_running() {
    check("pause_against_running", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(2);
        let other = scheduler.count_carrier();
        let block = ready_thread(&scheduler, &other);
        scheduler.enqueue_woken(&other, Counted::as_ptr(&block));
        scheduler.start_counted(other);
        if scheduler.pause() {
            // SAFETY: nobody has it mounted.
            let is_left = unsafe { !(*block.parts.get()).parts.tasks.is_empty() };
            assert_eq!(is_left, !block.signal.is_ended());
            scheduler.resume();
        }
        run_to(&scheduler, &mut own, "done");
        scheduler.stop(&mut own);
        assert!(block.signal.is_ended());
    });
}

/// A thread on one carrier starts another, which ends on a second carrier: as long as the first has not ended, nobody believes that all have.
#[test]
fn starts_and_ends_on_two_carriers() {
    check("starts_and_ends_on_two_carriers", 4, || {
        let parts: Arc<[Part; 2]> = Arc::default();
        parts[0].add(0, thread_block(1), false);
        let has_ended = Arc::new(AtomicUsize::new(0));
        let there = parts.clone();
        let queue = Arc::new(Mutex::new(None));
        let taken = queue.clone();
        let second = loom::thread::spawn(move || {
            // Steals the new thread, if it is there, runs it, and it ends.
            let stolen: Option<Counted<ThreadBlock>> = taken.lock().take();
            let is_there = stolen.is_some();
            if let Some(block) = stolen {
                drop(registry::remove(&block, |number| &there[number], false));
                there[1].note_end();
            }
            is_there
        });
        let (observed, ended) = (parts.clone(), has_ended.clone());
        let observer = loom::thread::spawn(move || {
            if registry::is_empty(observed.iter()) {
                assert_eq!(ended.load(Ordering::Relaxed), 1, "a thread is left");
            }
        });
        let started = thread_block(2);
        parts[0].add(0, started.clone(), false);
        *queue.lock() = Some(started);
        let was_stolen = second.join().expect("a carrier");
        if was_stolen {
            has_ended.store(1, Ordering::Relaxed);
            parts[0].note_end();
        }
        observer.join().expect("an observer");
        assert_eq!(registry::is_empty(parts.iter()), was_stolen);
        let left = parts[0].clear();
        assert_eq!(left.len(), 2 - was_stolen as usize);
    });
}

/// A worker wakes a task, which runs to its end, and all sleep again before the job counts as done: that nothing can wake any task is found nevertheless.
#[test]
fn a_job_ends_after_who_it_has_woken() {
    check("a_job_ends_after_who_it_has_woken", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(1);
        let (stuck, _) = waiting_thread(&scheduler, &own);
        let (block, task) = waiting_thread(&scheduler, &own);
        scheduler.begin_job();
        let there = scheduler.clone();
        let worker = loom::thread::spawn(move || {
            let task = task;
            // SAFETY: claimed here.
            unsafe {
                (*task.0).claim.set(Claimed::Arm(0));
                there.wake_from_outside(task.0);
            }
            there.end_job(false);
        });
        run_to(&scheduler, &mut own, "deadlock");
        assert!(block.signal.is_ended(), "it could run");
        worker.join().expect("it ends");
        end_stuck(&scheduler, &mut own, &stuck);
    });
}

/// The last threads that the program waits for end on carriers that go on with what nobody waits for, and never look for work: the host is told.
#[test]
fn the_end_is_told_by_those_who_go_on() {
    check("the_end_is_told_by_those_who_go_on", PREEMPTIONS, || {
        let (scheduler, mut own) = scheduler(3);
        let others = [0; 2].map(|_| scheduler.count_carrier());
        let busy = others.map(|other| {
            let block = ready_thread(&scheduler, &other);
            let there = scheduler.clone();
            loom::thread::spawn(move || run_block(&there, &other, Counted::as_ptr(&block)))
        });
        loop {
            match scheduler.next(&mut own, true, &scheduler.engine) {
                Next::Run(..) => panic!("nothing is queued"),
                Next::Done | Next::Stop => break,
                _ => panic!("carriers are busy"),
            }
        }
        for busy in busy {
            busy.join().expect("a carrier");
        }
        assert!(scheduler.is_done());
        scheduler.stop(&mut own);
    });
}
