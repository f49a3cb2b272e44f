//! Carriers: how many there are, what they do when they find nothing to run, and how they are woken.
//!
//! **No wake-up is lost.** A carrier that finds nothing counts itself as sleeping (sequentially consistent), looks into all queues once more, and only then waits, all under one
//! lock. Whoever puts a thread into a queue *of its own* runs on a carrier that will look there itself, at the latest at the end of its slice: it may find "nobody sleeps" although somebody
//! is about to, and nothing is left lying. Who puts one into the injector comes from outside and has no such turn: it puts a fence between its push and its look.
//!
//! **Few are woken.** Waking an OS thread takes some twenty microseconds, so a carrier calls for help only for a backlog, and not while another one is on its way already (`searching`).
//! One that was woken and finds something passes the call on if there is more.
//!
//! **Deadlock.** If all carriers sleep, no timer is set, there is no external source, and not all threads have ended, nothing can wake any task: every wake-up comes from running code, from a timer or from a source. The
//! last one to go to sleep knows, since it looked into all queues when nobody else could have put anything there.

use super::reactor::Found;
use super::{Next, Own, Scheduler, ThreadBlock};
use crate::account;
use crate::counted::Counted;
use crate::engine::Engine;
use crate::heap::bundle;
use crate::sync::{
    AtomicBool, AtomicU8, AtomicUsize, Builder, Condvar, JoinHandle, Mutex, MutexGuard, Ordering,
    fence, mutation, yield_now,
};
use crate::thread::{Carrier, Thread};
use std::sync::Arc;
use std::time::Duration;

/// How long the host's OS thread sleeps at most before it looks for an interrupt.
const INTERRUPT_CHECK: Duration = Duration::from_millis(50);

/// With a virtual clock: how long what is under way outside has before the clock jumps.
const SEEDED_PATIENCE: Duration = Duration::from_millis(1);
/// How long jobs may wait for an OS thread before another one is started for them.
pub(super) const RELIEF: Duration = Duration::from_micros(200);

/// How long a carrier that wants to look at the others waits for them to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// A carrier too many rests after so many turns.
const SURPLUS_TURNS: u32 = if cfg!(loom) { 0 } else { 64 };

/// Who waits for the system.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Poller {
    Nobody,
    /// One of those that sleep.
    Sleeper,
    /// A carrier that waits for one task.
    Pinned,
}

struct State {
    carriers: usize,
    sleeping: usize,
    /// Those that wait for one task each, and of them those that sleep.
    pinned: usize,
    pinned_sleeping: usize,
    /// Those that stand still with a thread of theirs, so they sleep for nobody's want of work.
    standing: usize,
    is_stopping: bool,
    is_deadlocked: bool,
    /// Those who may wake tasks from outside the carriers.
    sources: usize,
    /// A carrier looks at what the others have: they stand still.
    is_paused: bool,
    /// The host was woken because of the end or a deadlock, and has not looked yet.
    is_host_told: bool,
    handles: Vec<JoinHandle<()>>,
    /// Queues of carriers that were stopped, for those that are started after them.
    spare: Vec<Own>,
}

/// See the head of the file.
pub(super) struct Idle {
    state: Mutex<State>,
    changed: Condvar,
    /// For carriers that wait for one task.
    pinned_changed: Condvar,
    /// As many as `State::pinned`.
    pinned: AtomicUsize,
    /// As many as `State::sleeping`: to be read without the lock.
    sleeping: AtomicUsize,
    /// As many as `State::carriers`.
    carriers: AtomicUsize,
    /// A carrier was called and has not found anything yet.
    is_searching: AtomicBool,
    /// A `Poller`. Written under the lock.
    poller: AtomicU8,
    /// All sleep, and only what comes from outside keeps that from being a deadlock: the last job that ends tells them.
    awaits_jobs: AtomicBool,
}

impl Idle {
    pub(super) fn new() -> Idle {
        Idle {
            state: Mutex::new(State {
                carriers: 1,
                sleeping: 0,
                pinned: 0,
                pinned_sleeping: 0,
                standing: 0,
                is_stopping: false,
                is_deadlocked: false,
                sources: 0,
                is_paused: false,
                is_host_told: false,
                handles: Vec::new(),
                spare: Vec::new(),
            }),
            changed: Condvar::new(),
            pinned_changed: Condvar::new(),
            pinned: AtomicUsize::new(0),
            sleeping: AtomicUsize::new(0),
            carriers: AtomicUsize::new(1),
            is_searching: AtomicBool::new(false),
            poller: AtomicU8::new(Poller::Nobody as u8),
            awaits_jobs: AtomicBool::new(false),
        }
    }
}

#[cfg(loom)]
impl Scheduler {
    /// Another carrier, which a model runs itself.
    pub(super) fn count_carrier(&self) -> Own {
        let mut state = self.idle.state.lock();
        let own = self.open_slot(state.carriers);
        state.carriers += 1;
        self.idle.carriers.store(state.carriers, Ordering::Relaxed);
        own
    }
    /// Lets a carrier run that was counted.
    pub(super) fn start_counted(self: &Arc<Self>, own: Own) {
        let scheduler = self.clone();
        let started = Builder::new().spawn(move || {
            let own = super::models::run_carrier(&scheduler, own);
            scheduler.idle.state.lock().spare.push(own);
        });
        let handle = started.expect("the model has so many OS threads");
        self.idle.state.lock().handles.push(handle);
    }
    pub(super) fn counted_carriers(&self) -> usize {
        self.idle.state.lock().carriers
    }
}

impl Scheduler {
    /// How many may run threads, with those that are held by blocking calls or wait for a pinned task.
    fn most_carriers(&self) -> usize {
        let held =
            self.held.count.load(Ordering::Relaxed) + self.idle.pinned.load(Ordering::Relaxed);
        self.settings.carriers + held
    }
    /// Whether there may be one more.
    fn may_start(&self, carriers: usize) -> bool {
        carriers < self.slots.len() && carriers < self.most_carriers()
    }
    /// Whether those that do not sleep are as many as may run. There can be more carriers only where some were held: those that took their places stay, for the next time.
    fn runs_enough(&self) -> bool {
        let carriers = self.carriers();
        carriers > self.settings.carriers && self.awake(carriers) >= self.most_carriers()
    }
    /// How many of the carriers do not sleep, held ones included.
    fn awake(&self, carriers: usize) -> usize {
        carriers.saturating_sub(self.idle.sleeping.load(Ordering::Relaxed))
    }
    /// Whether this carrier has been one too many for some turns: calls that hold carriers for a short time come one behind the other.
    fn is_surplus(&self, own: &mut Own) -> bool {
        let carriers = self.carriers();
        if carriers <= self.settings.carriers
            || self.awake(carriers) <= self.most_carriers()
            || self.is_migrating
        {
            own.surplus = 0;
            return false;
        }
        own.surplus += 1;
        own.surplus > SURPLUS_TURNS
    }
    /// A carrier too many sleeps until it is called, whatever there is to do: as many as may run do not sleep, and who of them goes to sleep, or is held, looks for what is left.
    #[cold]
    fn rest(self: &Arc<Self>, own: &mut Own) {
        own.surplus = 0;
        self.pass_all_on(own);
        // As before any sleep: references that it owes would keep what they lead to.
        bundle::settle();
        self.trim();
        crate::sync::window("before_rest");
        let idle = &self.idle;
        let mut state = idle.state.lock();
        let running = state.carriers - state.sleeping;
        let is_needed = mutation!(
            "rests_though_needed",
            running <= self.most_carriers(),
            false
        );
        if state.is_stopping || state.is_paused || is_needed {
            return;
        }
        // Nobody is to rely on it, if it was called.
        idle.is_searching.store(false, Ordering::Relaxed);
        state.sleeping += 1;
        idle.sleeping.store(state.sleeping, Ordering::SeqCst);
        idle.changed.wait(&mut state);
        state.sleeping -= 1;
        idle.sleeping.store(state.sleeping, Ordering::Relaxed);
    }
    /// So many carriers are held by blocking calls: if no other one runs, one that sleeps or another one goes on with the rest.
    pub(super) fn replace_carriers(self: &Arc<Self>, held: usize) {
        let (carriers, sleeping, pinned) = {
            let state = self.idle.state.lock();
            (state.carriers, state.sleeping, state.pinned)
        };
        // Those that run may be busy with what they have, and a thread that a held one has woken lie in its queues.
        if held + sleeping + pinned < carriers && !self.has_any_queued() {
            return;
        }
        if sleeping == 0 {
            self.start_carrier();
        } else {
            // It looks again at what is due, too.
            self.idle.is_searching.store(false, Ordering::Relaxed);
            self.help();
        }
    }
    /// How many OS threads run threads of the language.
    pub(crate) fn carrier_count(&self) -> usize {
        self.idle.carriers.load(Ordering::Relaxed)
    }
    /// There is a backlog: another carrier may take some of it.
    pub(crate) fn help(self: &Arc<Self>) {
        let idle = &self.idle;
        if idle.is_searching.load(Ordering::Relaxed) {
            return;
        }
        if idle.sleeping.load(Ordering::Relaxed) > 0 {
            if self.runs_enough() {
                return;
            }
            crate::sync::window("help_seen");
            if !idle.is_searching.swap(true, Ordering::AcqRel) {
                // The lock orders this after the sleeper's last look, or before it.
                let (is_anybody, is_at_condition) = match mutation!("called_unlocked", true, false)
                {
                    true => {
                        let state = idle.state.lock();
                        let is_polling = usize::from(self.is_polled_by(Poller::Sleeper));
                        (state.sleeping > 0, state.sleeping > is_polling)
                    }
                    false => (true, true),
                };
                if !is_anybody {
                    // It woke by itself, and may have looked before: it is not on its way, so nobody may rely on it.
                    idle.is_searching.store(false, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    if self.has_any_queued()
                        && self.may_start(idle.carriers.load(Ordering::Relaxed))
                    {
                        self.start_carrier();
                    }
                    return;
                }
                crate::sync::window("help_chosen");
                if mutation!("poller_not_woken", is_at_condition, true) {
                    idle.changed.notify_one();
                } else {
                    self.reactor.wake();
                }
            }
        } else if self.may_start(idle.carriers.load(Ordering::Relaxed)) {
            self.start_carrier();
        }
    }
    #[cold]
    fn start_carrier(self: &Arc<Self>) {
        self.end_solo();
        let mut state = self.idle.state.lock();
        let is_stopping = mutation!("started_after_stop", state.is_stopping, false);
        if !self.may_start(state.carriers) || is_stopping {
            return;
        }
        let own = match state.spare.pop() {
            Some(own) => own,
            None => self.open_slot(state.carriers),
        };
        state.carriers += 1;
        self.idle.carriers.store(state.carriers, Ordering::Relaxed);
        self.idle.is_searching.store(true, Ordering::Relaxed);
        let scheduler = self.clone();
        // The queues stay here if the OS thread cannot be started.
        let own = Arc::new(Mutex::new(Some(own)));
        let taken = own.clone();
        let started = Builder::new().name("heddle-carrier".into()).spawn(move || {
            let own = taken.lock().take().expect("given once");
            #[cfg(not(loom))]
            let own = Carrier::for_scheduler(&scheduler, own).run(&scheduler);
            #[cfg(loom)]
            let own = super::models::run_carrier(&scheduler, own);
            scheduler.idle.state.lock().spare.push(own);
        });
        match started {
            Ok(handle) => state.handles.push(handle),
            // The system has no more: those that run do all the work.
            Err(_) => {
                state.carriers -= 1;
                state.spare.extend(own.lock().take());
                self.idle.is_searching.store(false, Ordering::Relaxed);
            }
        }
    }
    fn carriers(&self) -> usize {
        self.idle.carriers.load(Ordering::Relaxed)
    }
    /// For `--stress=migrate`: all look for work, and there are two at least.
    pub(super) fn wake_all_carriers(self: &Arc<Self>) {
        if self.carriers() < 2 {
            self.start_carrier();
        }
        drop(self.idle.state.lock());
        self.notify_all();
    }
    /// Wakes all that sleep. Who was to sleep on for want of what the caller has changed has looked at that under the lock before the caller held it, or will see it.
    fn notify_all(&self) {
        crate::sync::window("notify_all");
        self.idle.changed.notify_all();
        self.idle.pinned_changed.notify_all();
        if !self.is_polled_by(Poller::Nobody) {
            self.reactor.wake();
        }
    }
    /// A carrier that does not wait there has taken the waker out of the system: whoever waits there, or is about to, was meant.
    #[cold]
    pub(super) fn pass_on_waker(&self) {
        // The lock orders this after the poller has said that it is one: who set the waker had seen that under the lock.
        drop(self.idle.state.lock());
        if mutation!("waker_kept", !self.is_polled_by(Poller::Nobody), false) {
            self.reactor.wake();
        }
    }
    fn is_polled_by(&self, poller: Poller) -> bool {
        self.idle.poller.load(Ordering::Relaxed) == poller as u8
    }
    /// What is there to run, of the carrier's own or another's.
    fn find(&self, own: &mut Own) -> Option<super::queues::Taken> {
        if let Some(chosen) = self.choices.take(own, &self.injector) {
            return chosen;
        }
        if self.is_migrating
            && let Some(taken) = self.migrants.take(own.number, self.carriers())
        {
            return Some(taken);
        }
        own.take(&self.injector).or_else(|| {
            let count = self.slot_count.load(Ordering::Acquire);
            // Not always the same victim first.
            (1..count).find_map(|distance| {
                let number = (own.number + distance) % count;
                own.steal_from(&self.slot(number).queues)
            })
        })
    }
    fn has_any_queued(&self) -> bool {
        !self.injector.is_empty()
            || self.choices.has_queued()
            || self.slots().any(|slot| !slot.queues.is_empty())
    }

    /// What `next` gives most often, in few steps: a thread that woke on this carrier, while there is nothing else to look after. At the latest every eighth turn `next` itself is called,
    /// and whenever a slice is over (see `Thread::next_at_once`).
    #[inline]
    pub(crate) fn next_at_once(&self, own: &mut Own) -> Option<*const ThreadBlock> {
        if self.is_disturbed()
            || self.is_migrating
            || self.choices.is_seeded()
            || self.host_stays()
            || self.idle.is_searching.load(Ordering::Relaxed)
        {
            return None;
        }
        let queued = own.take_at_once(self.is_solo())?;
        own.progress.begin();
        Some(queued.0)
    }

    /// Waits for something to do.
    pub(crate) fn next(self: &Arc<Self>, own: &mut Own, is_host: bool, engine: &Engine) -> Next {
        let idle = &self.idle;
        own.progress.pause();
        loop {
            if self.is_paused() {
                self.stand_still();
            }
            if !own.found.is_empty() {
                self.take_found(own);
            } else if own.looks_at_system() {
                self.look_at_system(own);
            }
            self.fire_timers(own);
            self.relieve_workers();
            if self.is_stopping() {
                return Next::Stop;
            }
            if is_host {
                if self.host_stays() {
                    if self.is_host_called(engine) {
                        self.take_host_call();
                        return Next::Called;
                    }
                } else if self.has_host_ended() && self.is_done() {
                    return Next::Done;
                }
            }
            if !is_host && self.is_surplus(own) {
                self.rest(own);
                continue;
            }
            if let Some(taken) = self.find(own) {
                if idle.is_searching.load(Ordering::Relaxed) {
                    idle.is_searching.store(false, Ordering::Relaxed);
                    if !own.is_empty() || !self.injector.is_empty() {
                        self.help();
                    }
                }
                own.progress.begin();
                return Next::Run(taken.block, taken.goes_on);
            }
            if is_host && engine.has_interrupt() && !self.host_stays() {
                return Next::Interrupted;
            }
            bundle::settle();
            self.trim();
            crate::sync::window("before_sleep");
            let mut state = idle.state.lock();
            if state.is_stopping {
                return Next::Stop;
            }
            idle.is_searching.store(false, Ordering::Relaxed);
            state.sleeping += 1;
            idle.sleeping.store(state.sleeping, Ordering::SeqCst);
            fence(Ordering::SeqCst);
            crate::sync::window("counted_sleeping");
            let deadline = self.next_deadline();
            if is_host {
                state.is_host_told = false;
            }
            // Before the look into the queues: what comes from there is put into them first.
            let is_awaiting = self.is_awaiting_outside();
            // A call is taken only by a host that does not sleep.
            let is_called = self.host_stays() && self.is_host_called(engine);
            // The one who was in the poll may have seen the signal, and told before this one held the lock.
            let is_interrupted = is_host && engine.has_interrupt() && !self.host_stays();
            let has_work = self.has_any_queued()
                || self.migrants.has_for(own.number, state.carriers)
                || is_interrupted
                || is_host && is_called;
            let is_everybody_asleep = state.sleeping + state.pinned_sleeping == state.carriers;
            if !has_work && is_everybody_asleep && self.has_printed() {
                // It may take long until more is printed.
                state.sleeping -= 1;
                idle.sleeping.store(state.sleeping, Ordering::Relaxed);
                drop(state);
                self.flush_printed();
                continue;
            }
            let has_nothing = !has_work;
            if mutation!("no_second_look", has_nothing, true) {
                // A host that stays is not done before it says so.
                let is_done = !self.host_stays() && self.is_done();
                // If nobody runs and nothing will come: done, or a deadlock. Done, too, if all that goes on are threads that the program does not wait for.
                let is_last_here = state.sleeping + state.pinned_sleeping == state.carriers
                    && deadline == u64::MAX
                    && self.migrants.is_empty()
                    && state.sources == 0
                    && !self.is_handing_over()
                    && !is_called;
                if is_last_here && is_awaiting && !self.goes_on_awaiting() {
                    state.sleeping -= 1;
                    idle.sleeping.store(state.sleeping, Ordering::Relaxed);
                    continue;
                }
                let is_last = is_last_here && !is_awaiting;
                state.is_deadlocked |= is_last && !is_done;
                if is_host && self.host_stays() {
                    // What another one found may be out of date: the host was called since, and did something.
                    state.is_deadlocked = is_last;
                }
                let is_end = is_last || is_done;
                let must_tell = !is_host && is_end && !state.is_host_told;
                if must_tell && mutation!("deadlock_not_told", true, false) {
                    // All, since it is not said whom one call wakes; once, so that those who only sleep again do not wake each other for ever.
                    state.is_host_told = true;
                    self.notify_all();
                }
                if state.is_deadlocked && is_host {
                    state.is_deadlocked = false;
                    state.sleeping -= 1;
                    idle.sleeping.store(state.sleeping, Ordering::Relaxed);
                    return Next::Deadlock;
                }
                // What has ended between the host's look and the lock told nobody: it had not been waiting yet.
                let is_over = is_host && is_done;
                if !is_over && (is_awaiting || !self.choices.jump(deadline)) {
                    self.sleep(own, &mut state, deadline, is_host);
                }
            }
            state.sleeping -= 1;
            idle.sleeping.store(state.sleeping, Ordering::Relaxed);
        }
    }
    /// A carrier without work lets its host give memory back.
    fn trim(&self) {
        if let Some(trim) = self.settings.on_shrunk
            && account::is_trim_due()
        {
            super::call_host(trim);
        }
    }
    /// Until `resume`.
    #[cold]
    pub(super) fn stand_still(&self) {
        let idle = &self.idle;
        let mut state = idle.state.lock();
        while state.is_paused {
            state.sleeping += 1;
            idle.sleeping.store(state.sleeping, Ordering::Relaxed);
            idle.changed.wait(&mut state);
            state.sleeping -= 1;
            idle.sleeping.store(state.sleeping, Ordering::Relaxed);
        }
    }
    /// The same of a carrier whose thread is in no queue, though it can go on.
    #[cold]
    pub(crate) fn stand_still_busy(&self) {
        let mut state = self.idle.state.lock();
        while state.is_paused {
            state.standing += 1;
            self.idle.changed.wait(&mut state);
            state.standing -= 1;
        }
    }
    /// Stops all other carriers: each puts back what it has mounted at its next safepoint, and touches nothing until `resume`. `false`: one did not within `PATIENCE`
    /// (it is inside a native that blocks), or another one is stopping this one; then nothing is stopped.
    pub(crate) fn pause(self: &Arc<Self>) -> bool {
        {
            let mut state = self.idle.state.lock();
            if state.is_paused || state.is_stopping {
                return false;
            }
            state.is_paused = true;
            self.control.fetch_or(super::PAUSED, Ordering::Release);
        }
        let start = std::time::Instant::now();
        loop {
            {
                // The lock makes what the others did visible.
                let state = self.idle.state.lock();
                let others = state.carriers - 1;
                let sleeping = state.sleeping + state.pinned_sleeping + state.standing;
                if sleeping == mutation!("pause_waits_for_nobody", others, sleeping) {
                    return true;
                }
            }
            // No time passes in models.
            if !cfg!(loom) && start.elapsed() > PATIENCE {
                self.resume();
                return false;
            }
            yield_now();
        }
    }
    pub(crate) fn resume(&self) {
        let mut state = self.idle.state.lock();
        state.is_paused = false;
        self.control.fetch_and(!super::PAUSED, Ordering::Release);
        self.notify_all();
    }
    // --- carriers that wait for one task

    /// `false`: no carrier would be left for the rest of the program.
    #[must_use]
    pub(crate) fn begin_pinned(self: &Arc<Self>) -> bool {
        {
            let mut state = self.idle.state.lock();
            if state.pinned + 1 >= self.slots.len() {
                return false;
            }
            state.pinned += 1;
            self.idle.pinned.store(state.pinned, Ordering::Relaxed);
        }
        crate::sync::window("begin_pinned");
        // Whoever did not call for help, as enough carriers ran, has put what is to run there before; or sees that one is pinned.
        fence(Ordering::SeqCst);
        // What others have called for while this one was to take it.
        if self.has_any_queued() {
            self.help();
        }
        true
    }
    pub(crate) fn end_pinned(&self) {
        let mut state = self.idle.state.lock();
        state.pinned -= 1;
        self.idle.pinned.store(state.pinned, Ordering::Relaxed);
    }
    /// Something came for one of them.
    pub(super) fn wake_pinned(&self) {
        drop(self.idle.state.lock());
        self.idle.pinned_changed.notify_all();
        if self.is_polled_by(Poller::Pinned) {
            self.reactor.wake();
        }
    }
    /// One of them has nothing to do; `true`: nobody will ever have (told to the host's carrier only).
    pub(super) fn sleep_pinned(
        &self,
        found: &mut Vec<Found>,
        is_host: bool,
        has_come: impl Fn() -> bool,
    ) -> bool {
        bundle::settle();
        let mut state = self.idle.state.lock();
        if state.is_stopping {
            return false;
        }
        state.pinned_sleeping += 1;
        fence(Ordering::SeqCst);
        let deadline = self.next_deadline();
        let is_awaiting = self.is_awaiting_outside();
        if is_host {
            state.is_host_told = false;
        }
        let mut is_deadlock = false;
        let is_everybody_asleep = state.sleeping + state.pinned_sleeping == state.carriers;
        if is_everybody_asleep && self.has_printed() {
            state.pinned_sleeping -= 1;
            drop(state);
            self.flush_printed();
            return false;
        }
        if !has_come() {
            let is_last_here = state.sleeping + state.pinned_sleeping == state.carriers
                && deadline == u64::MAX
                && state.sources == 0
                && !self.is_handing_over()
                && !self.has_any_queued();
            if is_last_here && is_awaiting && !self.goes_on_awaiting() {
                state.pinned_sleeping -= 1;
                return false;
            }
            let is_last = is_last_here && !is_awaiting;
            state.is_deadlocked |= is_last;
            if is_host && self.host_stays() {
                // As in `next`.
                state.is_deadlocked = is_last;
            }
            if is_last && !is_host && !state.is_host_told {
                state.is_host_told = true;
                self.notify_all();
            }
            is_deadlock = is_host && std::mem::take(&mut state.is_deadlocked);
            if !is_deadlock {
                let until_deadline = match deadline {
                    u64::MAX => None,
                    at => Some(Duration::from_nanos(at.saturating_sub(self.now()))),
                };
                let until_deadline = self.until_relief(until_deadline);
                let wait = match (until_deadline, is_host && self.must_host_look()) {
                    (Some(wait), true) => Some(wait.min(INTERRUPT_CHECK)),
                    (None, true) => Some(INTERRUPT_CHECK),
                    (wait, false) => wait,
                };
                let condition = &self.idle.pinned_changed;
                if !is_awaiting && self.choices.jump(deadline) {
                    state.pinned_sleeping -= 1;
                    return false;
                }
                self.sleep_or_poll(&mut state, wait, Poller::Pinned, condition, found);
            }
        }
        state.pinned_sleeping -= 1;
        is_deadlock
    }
    /// A thread is on its way to a carrier that waits for one of its tasks.
    fn is_handing_over(&self) -> bool {
        self.handed.load(Ordering::SeqCst) > 0
    }
    /// All sleep because something may come from outside: whether it still may. If so, the last job that ends without having woken anybody tells (`end_job`).
    fn goes_on_awaiting(&self) -> bool {
        self.idle.awaits_jobs.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.is_awaiting_outside()
    }
    /// A job is done: whether those that sleep must decide anew.
    pub(super) fn is_job_awaited(&self) -> bool {
        fence(Ordering::SeqCst);
        self.idle.awaits_jobs.load(Ordering::Relaxed)
            && self.idle.awaits_jobs.swap(false, Ordering::Relaxed)
    }
    /// Whether work may come from the system or from an OS thread that makes a blocking call.
    fn is_awaiting_outside(&self) -> bool {
        self.reactor.is_awaited() || self.workers.is_busy()
    }
    fn sleep(
        &self,
        own: &mut Own,
        state: &mut MutexGuard<'_, State>,
        deadline: u64,
        is_host: bool,
    ) {
        let until_deadline = match deadline {
            u64::MAX => None,
            // Its clock does not go on by itself: first what is under way gets some time.
            _ if self.choices.is_seeded() => Some(SEEDED_PATIENCE),
            at => Some(Duration::from_nanos(at.saturating_sub(self.now()))),
        };
        let until_deadline = self.until_relief(until_deadline);
        let looks = is_host && self.must_host_look();
        let longest = match (until_deadline, looks) {
            (Some(wait), true) => Some(wait.min(INTERRUPT_CHECK)),
            (None, true) => Some(INTERRUPT_CHECK),
            (wait, false) => wait,
        };
        self.sleep_or_poll(
            state,
            longest,
            Poller::Sleeper,
            &self.idle.changed,
            &mut own.found,
        );
        if self.choices.is_seeded()
            && deadline != u64::MAX
            && own.found.is_empty()
            && !self.has_any_queued()
        {
            self.choices.jump(deadline);
        }
    }
    /// Who sleeps while jobs wait for a worker looks again soon.
    fn until_relief(&self, longest: Option<Duration>) -> Option<Duration> {
        match (longest, self.workers.is_late()) {
            (Some(wait), true) => Some(wait.min(RELIEF)),
            (None, true) => Some(RELIEF),
            (wait, false) => wait,
        }
    }
    fn sleep_or_poll(
        &self,
        state: &mut MutexGuard<'_, State>,
        longest: Option<Duration>,
        who: Poller,
        condition: &Condvar,
        found: &mut Vec<Found>,
    ) {
        if self.reactor.is_open() && self.is_polled_by(Poller::Nobody) {
            let poller = &self.idle.poller;
            if mutation!("poller_said_late", true, false) {
                poller.store(who as u8, Ordering::Relaxed);
            }
            MutexGuard::unlocked(state, || {
                poller.store(who as u8, Ordering::Relaxed);
                crate::sync::window("before_poll");
                self.reactor.poll(longest, found);
                crate::sync::window("after_poll");
            });
            poller.store(Poller::Nobody as u8, Ordering::Relaxed);
            while state.is_paused {
                condition.wait(state);
            }
            return;
        }
        match longest {
            Some(wait) => {
                condition.wait_for(state, wait);
            }
            None => condition.wait(state),
        }
    }

    /// From now on somebody outside the carriers may wake tasks (by `wake_from_outside`), or let the host start some: nothing is a deadlock before `remove_source`. Both
    /// change the number under the lock under which a deadlock is decided, after a look into the queues: what a source has woken is seen there if the source is not seen any more.
    pub(crate) fn add_source(&self) {
        self.end_solo();
        self.idle.state.lock().sources += 1;
    }
    /// It wakes nobody any more.
    pub(crate) fn remove_source(&self) {
        self.idle.state.lock().sources -= 1;
        // Those who sleep decide anew.
        self.notify_all();
    }
    /// All carriers that sleep look again.
    pub(super) fn wake_sleepers(&self) {
        // The lock orders this after a sleeper's last look, or before it.
        if mutation!("host_called_unlocked", true, false) {
            drop(self.idle.state.lock());
        }
        self.notify_all();
    }

    /// Carriers leave what they run and end. Gives the threads that failed, in the order of their ends, and those that have not ended, which nothing leads to but their handles.
    pub(crate) fn stop(
        &self,
        own: &mut Own,
    ) -> (Vec<Counted<ThreadBlock>>, Vec<Counted<ThreadBlock>>) {
        self.control.fetch_or(super::STOPPING, Ordering::Release);
        let handles = {
            let mut state = self.idle.state.lock();
            state.is_stopping = true;
            self.notify_all();
            std::mem::take(&mut state.handles)
        };
        for handle in handles {
            let _ = handle.join();
        }
        // From here on no worker wakes any task. (Before the lock, which one that does takes.)
        self.workers.forget();
        let mut state = self.idle.state.lock();
        own.clear();
        for own in &mut state.spare {
            own.clear();
        }
        while !self.injector.is_empty() {
            let _ = self.injector.steal();
        }
        self.choices.clear();
        self.migrants.clear();
        for slot in self.slots() {
            slot.handed.lock().clear();
        }
        self.handed.store(0, Ordering::Relaxed);
        own.found.clear();
        state.carriers = 1;
        state.sleeping = 0;
        (state.pinned, state.pinned_sleeping) = (0, 0);
        self.idle.pinned.store(0, Ordering::Relaxed);
        state.is_stopping = false;
        state.is_deadlocked = false;
        state.is_paused = false;
        state.is_host_told = false;
        self.idle.carriers.store(1, Ordering::Relaxed);
        self.idle.sleeping.store(0, Ordering::Relaxed);
        self.idle.is_searching.store(false, Ordering::Relaxed);
        drop(state);
        // What is left belongs to nobody. First the timers, since tasks that are dropped are no timers' any more.
        for slot in self.slots() {
            slot.timers.clear();
        }
        self.cancelled.clear();
        let left: Vec<Counted<ThreadBlock>> =
            self.slots().flat_map(|slot| slot.threads.clear()).collect();
        self.control.store(0, Ordering::Release);
        self.ending.store(0, Ordering::Relaxed);
        self.is_interrupted.store(false, Ordering::Relaxed);
        self.has_collected_all.store(false, Ordering::Relaxed);
        self.held_heaps.store(0, Ordering::Relaxed);
        (std::mem::take(&mut *self.failed.lock()), left)
    }
    /// A thread that the program waits for has ended, or does not count any more. If it was the last, the host must know, whatever its carrier and the others do: they may be busy
    /// for ever with what nobody waits for.
    pub(crate) fn tell_if_done(&self) {
        // (A thread that ends while the host's does may not see that yet, nor be seen: so every carrier asks again at the end of each slice, and before it sleeps.)
        if !self.has_host_ended() || self.host_stays() {
            return;
        }
        // Of two that end at once, one sees both.
        if mutation!("ends_unfenced", true, false) {
            fence(Ordering::SeqCst);
        }
        if mutation!("end_not_told_by_the_busy", self.is_done(), false) && !self.is_stopping() {
            self.stop_carriers();
        }
    }
    fn stop_carriers(&self) {
        self.control.fetch_or(super::STOPPING, Ordering::Release);
        let mut state = self.idle.state.lock();
        state.is_stopping = true;
        self.notify_all();
    }
    /// The program ends now: every carrier stops at its next safepoint.
    pub(crate) fn end_program(&self, how: crate::thread::Ended) {
        self.exit.lock().get_or_insert(how);
        self.stop_carriers();
    }
}

/// Runs threads until the program ends: a carrier other than the host's.
pub(crate) fn carrier_loop(machine: &mut Thread, scheduler: &Arc<Scheduler>) {
    loop {
        if let Some(block) = machine.next_at_once() {
            machine.run_block(block, true);
            continue;
        }
        match scheduler.next(machine.own(), false, scheduler.engine.as_ref()) {
            Next::Run(block, goes_on) => machine.run_block(block, goes_on),
            _ => return,
        }
    }
}
