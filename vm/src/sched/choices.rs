//! What a schedule leaves open, decided in one place: which thread runs next, for how long, which arm of a `select` comes first, what time it is, and where random numbers
//! begin.
//!
//! | | ordinarily | under `--schedule=seed:N` |
//! | --- | --- | --- |
//! | next thread | the carrier's queues, in order | any that is queued, by the seed |
//! | slice | always the same | random, often very short |
//! | first arm of `select`, seeds of `random`, of hashes | whatever | by the seed |
//! | time | the system's clock | virtual: passes as fuel is used, jumps when all wait |
//!
//! **The same seed, the same run.** One carrier, and every input of its decisions is either a number of the seed's generator or follows from what ran before; so it
//! also must not look at the system's clock elsewhere (the collector then goes by bytes alone: `Heap::set_timeless`). A *trace*, a running hash of all choices and of how much
//! fuel each slice took, tells two runs apart that differ anywhere, whatever they print.
//!
//! **Adversarial.** The seed chooses a way to choose: uniformly; by random priorities of threads that change now and then (Burckhardt et al., "A randomized
//! scheduler with probabilistic guarantees of finding bugs", 2010), which keeps one thread back for long while others go far; or the newest first. Each is mixed with
//! uniform choices, since the language promises that a busy thread starves no other.
//!
//! Tasks of one thread take turns in the order that the language promises: nothing is open there.

use super::queues::{Injected, Own, Queued, Taken};
use crate::io::{FaultLevel, FaultState};
use crate::sync::{AtomicU64, Ordering};
use parking_lot::Mutex;
use std::io;
use std::time::Instant;

/// By what the scheduler goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Schedule {
    /// As fast as it can.
    #[default]
    Ordinary,
    /// The same run each time: see the head of `sched/choices.rs`.
    Seed(u64),
}

/// What a run has read from outside that the next one may find different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outside {
    /// Standard input.
    Stdin,
    /// The date.
    Clock,
    /// Files and folders.
    Files,
    /// Variables of the environment, the user's folders.
    Env,
    /// The process's number, the machine's processors.
    Process,
    /// Connections.
    Network,
}

impl Outside {
    pub const ALL: [Outside; 6] = [
        Outside::Stdin,
        Outside::Clock,
        Outside::Files,
        Outside::Env,
        Outside::Process,
        Outside::Network,
    ];
    pub fn name(self) -> &'static str {
        match self {
            Outside::Stdin => "stdin",
            Outside::Clock => "clock",
            Outside::Files => "files",
            Outside::Env => "env",
            Outside::Process => "process",
            Outside::Network => "network",
        }
    }
}

/// What is known of a run under a seed; two runs with equal ones made the same choices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleTrace {
    pub seed: u64,
    /// How many choices there were.
    pub choices: u64,
    /// A hash of all.
    pub hash: u64,
    /// What makes the run not repeatable: kind, name of the function, place of the call (`f.hd:3`). Each once, and not more than some.
    pub outside: Vec<(Outside, String, String)>,
}

/// See the head of the file.
pub(crate) struct Choices {
    /// When the scheduler was made.
    start: Instant,
    seeded: Option<Box<Seeded>>,
    faults: Option<Box<Mutex<(FaultState, SplitMix)>>>,
}

/// Nanoseconds that a unit of fuel stands for: about what it takes.
const FUEL_NS: u64 = 5;
/// Slices are uniform in magnitude: at most two to a power below this one. The mean is a thousand, which makes up for what they cost.
const SLICE_POWERS: u64 = 15;
/// The same while slices are short: on the average less than ten.
const SHORT_POWERS: u64 = 6;
/// So many are short at the beginning, since that is all there is of most tests; it takes about a millisecond.
const FIRST_SHORT: u32 = 4096;
/// Later a burst of short ones begins with one slice in so many, and has so many.
const BURST_EVERY: u64 = 256;
const BURST: u32 = 64;
/// One choice in so many is uniform whatever the way of choosing.
const UNIFORM_EVERY: u64 = 8;
/// Of more threads than so many, mostly one of those queued last is chosen: their memory is at hand.
const NEAR: usize = 1024;
/// The highest priority is looked for among so many threads.
const WINDOW: usize = 32;
/// So many threads have had their priority lowered at a time.
const LOWERED: usize = 4;
/// Tells the numbers of faults from the others.
const FAULTS: u64 = 0x6661_756c_7473;
/// Places that are kept of reads from outside.
const MOST_OUTSIDE: usize = 100;

/// What is decided by the seed. One carrier uses it; the lock is there for hosts that look at the trace.
struct Seeded {
    seed: u64,
    now: AtomicU64,
    /// How many threads `State::queue` holds.
    queued: AtomicU64,
    state: Mutex<State>,
}

struct State {
    random: SplitMix,
    way: Way,
    /// Runnable threads that were taken out of the carrier's queues, with their priorities.
    queue: Vec<(Queued, u64)>,
    /// Threads whose priority was lowered last.
    lowered: [u64; LOWERED],
    /// Choices until the next one is lowered.
    until_lowered: u64,
    /// How many slices are still short.
    short: u32,
    choices: u64,
    hash: u64,
    outside: Vec<(Outside, String, String)>,
}

/// A way to choose the next thread.
#[derive(Clone, Copy)]
enum Way {
    Uniform,
    /// Priorities are lowered after less than two to this power choices.
    Priorities(u64),
    NewestFirst,
}

/// What a number in the trace stands for.
#[derive(Clone, Copy)]
enum Choice {
    Thread = 1,
    Slice,
    Jump,
    Arm,
    Seed,
}

/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
pub(crate) struct SplitMix(pub(crate) u64);

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }
    /// Below `n`, which is far below 2^64: the bias does not matter.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

impl State {
    fn new(seed: u64) -> State {
        let mut random = SplitMix(mixed(seed));
        let way = match random.below(4) {
            0 => Way::Uniform,
            1 => Way::NewestFirst,
            _ => Way::Priorities(2 + random.below(12)),
        };
        State {
            random,
            way,
            queue: Vec::new(),
            lowered: [0; LOWERED],
            until_lowered: 0,
            short: FIRST_SHORT,
            choices: 0,
            hash: 0,
            outside: Vec::new(),
        }
    }
    fn note(&mut self, what: Choice, value: u64) {
        self.choices += 1;
        let word = value.rotate_left(4) ^ what as u64;
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    fn add(&mut self, queued: Queued, seed: u64) {
        // SAFETY: a queued thread is kept by the registry.
        let id = unsafe { (*queued.0).id };
        let priority = if self.lowered.contains(&id) {
            0
        } else {
            mixed(id ^ seed) | 1
        };
        self.queue.push((queued, priority));
    }
    /// The position of the thread that runs next; there is one.
    fn pick(&mut self) -> usize {
        let n = self.queue.len();
        if n == 1 {
            return 0;
        }
        let number = self.random.next();
        let uniform = ((u128::from(number) * n as u128) >> 64) as usize;
        // The low bits are independent of the high ones.
        if number.is_multiple_of(UNIFORM_EVERY) {
            return uniform;
        }
        let near = if n <= NEAR {
            uniform
        } else {
            n - NEAR + uniform % NEAR
        };
        match self.way {
            Way::Uniform => near,
            Way::NewestFirst => n - 1,
            Way::Priorities(power) => {
                let from = if n <= WINDOW { 0 } else { near.min(n - WINDOW) };
                let window = &self.queue[from..n.min(from + WINDOW)];
                let highest = (0..window.len()).max_by_key(|&i| window[i].1);
                let at = from + highest.unwrap_or(0);
                if self.until_lowered == 0 {
                    self.until_lowered = 1 + self.random.below(1 << power);
                    // SAFETY: as in `add`.
                    let id = unsafe { (*self.queue[at].0.0).id };
                    self.lowered.rotate_right(1);
                    self.lowered[0] = id;
                }
                self.until_lowered -= 1;
                at
            }
        }
    }
}

impl Choices {
    pub(super) fn new(schedule: Schedule, faults: FaultLevel) -> Choices {
        let faults = match schedule {
            Schedule::Seed(seed) if faults != FaultLevel::None => {
                let state = FaultState {
                    level: faults,
                    would_wait: false,
                };
                let random = SplitMix(mixed(seed ^ FAULTS));
                Some(Box::new(Mutex::new((state, random))))
            }
            _ => None,
        };
        let seeded = match schedule {
            Schedule::Ordinary => None,
            Schedule::Seed(seed) => Some(Box::new(Seeded {
                seed,
                now: AtomicU64::new(0),
                queued: AtomicU64::new(0),
                state: Mutex::new(State::new(seed)),
            })),
        };
        Choices {
            start: Instant::now(),
            seeded,
            faults,
        }
    }
    #[inline]
    pub(crate) fn is_seeded(&self) -> bool {
        self.seeded.is_some()
    }

    // --- time

    /// Nanoseconds since the scheduler was made.
    #[inline]
    pub(super) fn now(&self) -> u64 {
        match &self.seeded {
            None => self.start.elapsed().as_nanos() as u64,
            Some(seeded) => seeded.now.load(Ordering::Relaxed),
        }
    }
    /// Nothing can run before this time: whether it is now.
    pub(super) fn jump(&self, deadline: u64) -> bool {
        let Some(seeded) = &self.seeded else {
            return false;
        };
        if deadline == u64::MAX {
            return false;
        }
        seeded.now.fetch_max(deadline, Ordering::Relaxed);
        seeded.state.lock().note(Choice::Jump, deadline);
        true
    }
    /// Fuel was used.
    pub(crate) fn pass(&self, fuel: i64) {
        if let Some(seeded) = &self.seeded {
            seeded.pass(fuel);
        }
    }

    // --- which, and for how long

    /// The fuel of the next slice; the last one took so much. `most`: what it is ordinarily.
    #[inline]
    pub(crate) fn slice(&self, spent: i64, most: i64) -> i64 {
        match &self.seeded {
            None => most,
            Some(seeded) => seeded.slice(spent, most),
        }
    }
    /// Whether threads are queued here.
    #[inline]
    pub(super) fn has_queued(&self) -> bool {
        self.seeded
            .as_ref()
            .is_some_and(|seeded| seeded.queued.load(Ordering::Relaxed) > 0)
    }
    /// The next thread, of all that are queued; `None`: the ordinary order holds.
    #[inline]
    pub(super) fn take(&self, own: &mut Own, injector: &Injected) -> Option<Option<Taken>> {
        let seeded = self.seeded.as_ref()?;
        Some(seeded.take(own, injector))
    }
    /// Forgets what is queued.
    pub(super) fn clear(&self) {
        if let Some(seeded) = &self.seeded {
            seeded.state.lock().queue.clear();
            seeded.queued.store(0, Ordering::Relaxed);
        }
    }
    /// Which of `n` arms of a `select` is looked at first. `random`: the carrier's state, not zero.
    pub(crate) fn arm(&self, random: &mut u64, n: usize) -> usize {
        match &self.seeded {
            None => {
                // xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
                let mut x = *random;
                x ^= x >> 12;
                x ^= x << 25;
                x ^= x >> 27;
                *random = x;
                (x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
            }
            Some(seeded) => {
                let mut state = seeded.state.lock();
                let arm = state.random.below(n as u64);
                state.note(Choice::Arm, arm);
                arm as usize
            }
        }
    }
    /// Where a generator of random numbers begins.
    pub(crate) fn seed(&self) -> u64 {
        match &self.seeded {
            None => crate::engine::fresh_seed(),
            Some(seeded) => {
                let mut state = seeded.state.lock();
                let seed = state.random.next();
                state.note(Choice::Seed, seed);
                seed
            }
        }
    }

    // --- faults

    #[inline]
    pub(crate) fn has_faults(&self) -> bool {
        self.faults.is_some()
    }
    /// Decides about a call of the system by numbers below what is asked for.
    pub(crate) fn with_faults<T>(
        &self,
        decide: impl FnOnce(&mut FaultState, &mut dyn FnMut(u64) -> u64) -> io::Result<T>,
    ) -> io::Result<T> {
        let faults = self.faults.as_ref().expect("there are faults");
        let (state, random) = &mut *faults.lock();
        decide(state, &mut |n| random.below(n))
    }
    /// Whether the last call was only said to have to wait.
    #[inline]
    pub(crate) fn take_false_wait(&self) -> bool {
        self.faults
            .as_ref()
            .is_some_and(|faults| std::mem::take(&mut faults.lock().0.would_wait))
    }

    // --- the trace

    /// Something that may be different next time was read.
    pub(crate) fn note_outside(&self, what: Outside, name: &str, place: String) {
        let Some(seeded) = &self.seeded else { return };
        let mut state = seeded.state.lock();
        let known = state
            .outside
            .iter()
            .any(|(_, of, at)| of == name && *at == place);
        if !known && state.outside.len() < MOST_OUTSIDE {
            state.outside.push((what, name.into(), place));
        }
    }
    pub(crate) fn trace(&self) -> Option<ScheduleTrace> {
        let seeded = self.seeded.as_ref()?;
        let state = seeded.state.lock();
        Some(ScheduleTrace {
            seed: seeded.seed,
            choices: state.choices,
            hash: mixed(state.hash),
            outside: state.outside.clone(),
        })
    }
}

impl Seeded {
    fn pass(&self, fuel: i64) {
        self.now
            .fetch_add(fuel.max(0) as u64 * FUEL_NS, Ordering::Relaxed);
    }
    fn slice(&self, spent: i64, most: i64) -> i64 {
        self.pass(spent);
        let mut state = self.state.lock();
        let number = state.random.next();
        let powers = if state.short > 0 {
            state.short -= 1;
            SHORT_POWERS
        } else {
            if number.is_multiple_of(BURST_EVERY) {
                state.short = BURST;
            }
            SLICE_POWERS
        };
        let power = ((u128::from(number) * u128::from(powers)) >> 64) as u64;
        let slice = 1 + state.random.below(1 << power) as i64;
        state.note(Choice::Slice, (spent as u64) << 32 | slice as u64);
        slice.min(most)
    }
    fn take(&self, own: &mut Own, injector: &Injected) -> Option<Taken> {
        let mut state = self.state.lock();
        let state = &mut *state;
        own.drain(injector, |queued| state.add(queued, self.seed));
        if state.queue.is_empty() {
            return None;
        }
        let at = state.pick();
        let (Queued(block), _) = state.queue.swap_remove(at);
        self.queued
            .store(state.queue.len() as u64, Ordering::Relaxed);
        // SAFETY: as in `add`.
        let id = unsafe { (*block).id };
        state.note(Choice::Thread, id << 24 ^ state.queue.len() as u64);
        Some(Taken {
            block,
            // Slices are random anyway: it goes on with what is left of a long one.
            goes_on: state.short == 0,
        })
    }
}
