//! When and how much is collected.
//!
//! | heap | at `collect` |
//! | --- | --- |
//! | small (no old space) | one copying collection of everything |
//! | larger, phase `Idle` | a minor collection; if the old space has doubled, the mark begins |
//! | phase `Marking` | a minor collection that marks what it meets, then a step of the mark; when nothing is left to mark, the sweep begins |
//! | phase `Sweeping` | a minor collection, then a few blocks are swept |
//!
//! A mark ends only directly after a minor collection, in the same call: so no store since then can hide an object from it.

use super::bundle;
use super::evacuate::{COPYING, Evacuation, GENERATIONAL, MARKING, QUIET};
use super::long::NoRoom;
use super::mark::Marking;
use super::nursery::{NURSERY_BYTES, Space};
use super::old::{BLOCK_BYTES, OldSpace};
use super::table::BundleTable;
use super::{Collect, Extent, FIRST_TRIGGER_BYTES, Heap, Inner, Roots};
use crate::object::*;
use std::time::{Duration, Instant};

/// A small heap becomes one with generations if more than this is alive after a collection, with the roots that were visited.
const SMALL_HEAP_BYTES: usize = NURSERY_BYTES / 2;
/// What a step of a mark or a sweep does at least if much has come; some milliseconds.
const MOST_PACE_BYTES: usize = 24 << 20;
/// The mark begins when the old space has doubled, but not below this growth.
const MIN_GROWTH_BYTES: usize = 1024 * 1024;
/// Above this the mark begins earlier.
const BIG_HEAP_BYTES: usize = 32 * 1024 * 1024;
/// A step of the mark or sweep: usually, and when the mark falls behind.
const STEP: Duration = Duration::from_micros(300);
const LONG_STEP: Duration = Duration::from_micros(900);

/// Each collection of mode `Stress` pays for so many bytes of a look at the whole heap.
const STRESS_CREDIT_BYTES: usize = 2 * 1024;
/// So many collections of mode `Stress` leave a small heap small.
const STRESS_SMALL_COLLECTIONS: u64 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Idle,
    Marking,
    Sweeping,
}

/// What a heap with an old space has.
pub(super) struct Generations {
    pub(super) space: OldSpace,
    /// Old objects that a minor collection must look at; see `barrier`.
    pub(super) remembered: Vec<*mut Header>,
    pub(super) marking: Marking,
    pub(super) phase: Phase,
    /// The last visit of the roots said less about them than the next one has to know: whether all is old, or whether all is marked.
    must_visit_all: bool,
    /// Bytes of old small objects: those that the last mark found, and those promoted since.
    pub(super) small_bytes: usize,
    /// Old bytes (small and large) at which the next mark begins.
    pub(super) mark_at: usize,
    /// Large objects that the last mark did not reach and that are not freed yet.
    dead_large: Vec<u32>,
    /// Tests let marks begin at once and steps end at once.
    min_growth_bytes: usize,
    step: Duration,
}

impl Generations {
    fn new() -> Generations {
        Generations {
            space: OldSpace::new(),
            remembered: Vec::new(),
            marking: Marking::new(),
            phase: Phase::Idle,
            must_visit_all: true,
            small_bytes: 0,
            mark_at: MIN_GROWTH_BYTES,
            dead_large: Vec::new(),
            min_growth_bytes: MIN_GROWTH_BYTES,
            step: STEP,
        }
    }
}

impl Heap {
    /// Collects. All live values of the thread are among `roots`; they are rewritten where objects moved.
    pub fn collect(&mut self, roots: &mut dyn Roots, how: Collect) {
        bundle::settle();
        let bump = self.bump;
        let limit = self.own_limit();
        let how = if self.is_over_limit && how == Collect::Minor {
            Collect::Full
        } else {
            how
        };
        if self.bump.is_null() && self.inner.is_none() {
            self.collect_bundles(roots);
            self.collect_wanted = false;
            self.is_over_limit = self.used_bytes() > self.own_limit();
            return;
        }
        let is_stress = how == Collect::Stress;
        let (how, is_whole) = if is_stress {
            self.vary_stress()
        } else {
            (how, false)
        };
        let is_checked = cfg!(debug_assertions) && is_whole;
        let poison = cfg!(debug_assertions) && is_stress;
        if is_checked {
            self.verify(roots);
        }
        let start = Instant::now();
        if how == Collect::Full && self.inner().no_room == NoRoom::Now {
            self.inner().no_room = NoRoom::NorBefore;
        }
        self.inner();
        let bundles = &mut self.bundles;
        let inner = self.inner.as_deref_mut().expect("made above");
        inner.young.retire(bump);
        let is_small = inner.generations.is_none();
        if is_small {
            inner.collect_small(roots, bundles, poison);
        } else {
            inner.collect_generations(roots, bundles, how, poison, limit);
        }
        // What is large and new had better be old before it is filled: a collection looks at all of a young buffer.
        let is_young_large =
            is_small && inner.generations.is_some() && !inner.large.young.is_empty();
        inner.large.free_some(how != Collect::Minor);
        inner.large.new_bytes = 0;
        inner.taken_over = 0;
        inner.written = 0;
        inner.is_pressed &= !is_small && inner.phase() != Phase::Idle;
        let is_next_wanted = inner.large.dying_bytes > 0 || is_young_large || inner.is_pressed;
        let (bump, bump_end) = inner.young_ends;
        let pause = start.elapsed().as_nanos() as u64;
        inner.stats.pause_ns += pause;
        inner.stats.longest_pause_ns = inner.stats.longest_pause_ns.max(pause);
        self.bump = bump;
        self.bump_end = bump_end;
        self.collect_wanted = is_next_wanted;
        let left = self.own_limit().checked_sub(self.used_bytes());
        // Until there is more than what the next refusal leaves.
        self.has_met_limit &= left.is_none_or(|left| left < 4 * self.usual_margin());
        self.is_over_limit = left.is_none_or(|left| left < self.margin());
        if is_checked {
            self.verify(roots);
        }
    }

    /// Collects a heap without objects of its own.
    fn collect_bundles(&mut self, roots: &mut dyn Roots) {
        if self.bundles.is_empty() {
            return;
        }
        self.bundles.begin_full();
        roots.visit(Extent::All, &mut |first, count| {
            for i in 0..count {
                // SAFETY: roots are live values.
                unsafe {
                    let value = first.add(i).read();
                    if value.is_shared() {
                        self.bundles.meet(value.as_object());
                    }
                }
            }
        });
        self.bundles.end_full();
    }

    /// Collections of mode `Stress` try everything: a small heap gets an old space after some, then they are minor ones, between
    /// which full ones and checks of the whole heap are as frequent as its size allows: every time in a tiny heap. The second
    /// result says whether the whole heap is worth a look now.
    fn vary_stress(&mut self) -> (Collect, bool) {
        let used = self.used_bytes();
        let inner = self.inner();
        if inner.generations.is_none() && inner.stats.minor == STRESS_SMALL_COLLECTIONS {
            inner.begin_generations();
        }
        inner.stress_credit += STRESS_CREDIT_BYTES;
        let live = match inner.generations.as_deref() {
            Some(generations) => generations.small_bytes + inner.large.bytes,
            None => used,
        };
        let is_whole = inner.stress_credit >= live;
        if is_whole {
            inner.stress_credit = 0;
        }
        // Every other time the heap is only verified, without a full collection.
        inner.is_stress_full ^= is_whole;
        let is_full = is_whole && inner.is_stress_full || self.is_over_limit;
        let how = if is_full {
            Collect::Full
        } else {
            Collect::Minor
        };
        (how, is_whole)
    }

    /// Makes this a heap with generations now, however small it is: for tests of the barrier.
    pub fn use_generations(&mut self) {
        let inner = self.inner();
        if inner.generations.is_none() {
            inner.begin_generations();
        }
    }
}

#[cfg(test)]
impl Heap {
    /// Marks begin as soon as the old space has grown at all, and each step does as little as possible.
    pub(super) fn make_steps_small(&mut self) {
        self.use_generations();
        let generations = self.inner().generations();
        generations.min_growth_bytes = 0;
        generations.mark_at = 0;
        generations.step = Duration::ZERO;
    }
}

impl Inner {
    pub(super) fn begin_generations(&mut self) {
        self.generations = Some(Box::new(Generations::new()));
        self.trigger = NURSERY_BYTES;
    }

    /// One pass over the young space in the given mode; returns how many bytes of it survived.
    fn evacuate<const MODE: u8>(
        &mut self,
        roots: &mut dyn Roots,
        bundles: &mut BundleTable,
        poison: bool,
    ) -> usize {
        let (mut remembered, must_visit_all) = match self.generations.as_deref_mut() {
            Some(generations) => (
                std::mem::take(&mut generations.remembered),
                std::mem::take(&mut generations.must_visit_all),
            ),
            None => (Vec::new(), true),
        };
        let extent = if must_visit_all {
            Extent::All
        } else {
            Extent::Changed
        };
        let mut root_values = 0;
        let mut evacuation = Evacuation {
            to: Space::default(),
            bump: std::ptr::null_mut(),
            bump_end: std::ptr::null_mut(),
            pool: &mut self.pool,
            large: &mut self.large,
            meets: !bundles.is_empty(),
            bundles,
            work: &mut self.work,
            generations: self.generations.as_deref_mut(),
            promoted_bytes: 0,
        };
        roots.visit(extent, &mut |first, count| {
            root_values += count as u64;
            // SAFETY: roots are live values.
            unsafe { evacuation.visit::<MODE>(first, count) }
        });
        // SAFETY: remembered objects are alive or at least not swept.
        unsafe {
            for object in remembered.drain(..) {
                evacuation.scan_remembered::<MODE>(object);
            }
            evacuation.run::<MODE>();
        }
        if MODE != COPYING {
            evacuation.bundles.end_minor();
        }
        let promoted = evacuation.promoted_bytes;
        let (to, bump, bump_end) = (evacuation.to, evacuation.bump, evacuation.bump_end);
        let mut from = std::mem::replace(&mut self.young, to);
        self.young_ends = (bump, bump_end);
        self.hosts.after_moving(|object| {
            // SAFETY: the from-space is still there.
            unsafe {
                if (*object).kind == Kind::Forward {
                    Some((*object.cast::<Forward>()).to)
                } else {
                    None
                }
            }
        });
        from.clear(&mut self.pool, poison);
        if let Some(generations) = self.generations.as_deref_mut() {
            debug_assert!(generations.remembered.is_empty());
            generations.remembered = remembered;
            generations.small_bytes += promoted;
            if MODE == MARKING {
                generations.marking.bytes += promoted;
            }
        }
        self.large.free_unreached(MODE == COPYING);
        self.stats.minor += 1;
        self.stats.root_values += root_values;
        let survived = self.young.used(bump) + promoted;
        self.stats.survived_bytes += survived as u64;
        survived
    }

    /// A minor collection while no mark runs.
    fn evacuate_young(
        &mut self,
        roots: &mut dyn Roots,
        bundles: &mut BundleTable,
        poison: bool,
    ) -> usize {
        if bundles.is_empty() {
            self.evacuate::<QUIET>(roots, bundles, poison)
        } else {
            self.evacuate::<GENERATIONAL>(roots, bundles, poison)
        }
    }

    /// Collects a heap without an old space.
    fn collect_small(&mut self, roots: &mut dyn Roots, bundles: &mut BundleTable, poison: bool) {
        bundles.begin_full();
        let visited = self.stats.root_values;
        let survived = self.evacuate::<COPYING>(roots, bundles, poison);
        let root_bytes =
            (self.stats.root_values - visited) as usize * size_of::<crate::value::Value>();
        bundles.end_full();
        self.stats.full += 1;
        // A thread that is busy gets more room.
        let least = FIRST_TRIGGER_BYTES << self.stats.minor.min(5);
        self.trigger = survived + (2 * survived).clamp(least, NURSERY_BYTES);
        // Of many tasks, and of deep ones, only what ran since is visited then.
        if survived + self.large.bytes + root_bytes > SMALL_HEAP_BYTES {
            self.begin_generations();
        }
    }

    fn collect_generations(
        &mut self,
        roots: &mut dyn Roots,
        bundles: &mut BundleTable,
        how: Collect,
        poison: bool,
        limit: usize,
    ) {
        let start = Instant::now();
        // Without a look at the clock a step does what it must and no more.
        let (step, long_step) = match self.is_timeless {
            false => (self.generations().step, LONG_STEP),
            true => (Duration::ZERO, Duration::ZERO),
        };
        // A mark and a sweep get on faster than more comes in large pieces; where that would be a long pause, by collections that follow each other.
        let pace = 3 * (self.large.new_bytes + self.taken_over);
        self.is_pressed |= pace > MOST_PACE_BYTES;
        let pace = pace.min(MOST_PACE_BYTES);
        if how != Collect::Minor {
            // What the running mark has reached so far may be dead by now: end it, then mark anew.
            if self.phase() == Phase::Marking {
                self.evacuate::<MARKING>(roots, bundles, poison);
                self.mark_step(bundles, usize::MAX, None);
            }
            if self.phase() == Phase::Sweeping {
                self.sweep_step(0, None, limit);
            }
            // Before the mark, since it would take remembered objects for alive.
            self.evacuate_young(roots, bundles, poison);
            self.begin_mark(bundles);
            self.evacuate::<MARKING>(roots, bundles, poison);
            self.mark_step(bundles, usize::MAX, None);
            self.sweep_step(0, None, limit);
            debug_assert!(self.phase() == Phase::Idle);
        } else {
            match self.phase() {
                Phase::Idle => {
                    self.evacuate_young(roots, bundles, poison);
                    if self.is_mark_due(bundles) {
                        self.begin_mark(bundles);
                    }
                }
                Phase::Marking => {
                    let promoted = self.evacuate::<MARKING>(roots, bundles, poison);
                    let (share, step) = if self.is_behind() {
                        (6, long_step)
                    } else {
                        (2, step)
                    };
                    let at_least = share * promoted + pace;
                    self.mark_step(bundles, at_least, Some(start + step));
                }
                Phase::Sweeping => {
                    self.evacuate_young(roots, bundles, poison);
                    self.sweep_step(pace, Some(start + step), limit);
                }
            }
        }
    }

    pub(super) fn generations(&mut self) -> &mut Generations {
        self.generations
            .as_deref_mut()
            .expect("called for heaps with generations only")
    }

    pub(super) fn phase(&mut self) -> Phase {
        self.generations().phase
    }

    fn old_bytes(&mut self) -> usize {
        self.generations().small_bytes + self.large.bytes
    }

    fn is_mark_due(&mut self, bundles: &BundleTable) -> bool {
        let old = self.old_bytes();
        old > self.generations().mark_at || bundles.aged_bytes() > MIN_GROWTH_BYTES.max(old / 2)
    }

    /// The old space has grown by a quarter of what it was when the mark began.
    fn is_behind(&mut self) -> bool {
        let old = self.old_bytes();
        let mark_at = self.generations().mark_at;
        old > mark_at + mark_at / 4 && old > MIN_GROWTH_BYTES
    }

    fn begin_mark(&mut self, bundles: &mut BundleTable) {
        bundles.begin_full();
        let generations = self.generations();
        debug_assert!(generations.phase == Phase::Idle);
        generations.phase = Phase::Marking;
        generations.must_visit_all = true;
        generations.marking.bytes = 0;
    }

    /// Marks until the deadline; directly after an evacuation in mode `MARKING`, so when nothing is left, the mark has ended.
    fn mark_step(&mut self, bundles: &mut BundleTable, at_least: usize, deadline: Option<Instant>) {
        let generations = self
            .generations
            .as_deref_mut()
            .expect("called for heaps with generations only");
        // SAFETY: nothing is swept while a mark runs.
        let is_done = unsafe { generations.marking.step(bundles, at_least, deadline) };
        if !is_done {
            self.is_mark_stepped = true;
            return;
        }
        self.stats.marks_in_steps += std::mem::take(&mut self.is_mark_stepped) as u64;
        self.hosts.after_marking();
        bundles.end_full();
        debug_assert!(generations.remembered.is_empty());
        generations.space.begin_sweep();
        debug_assert!(generations.dead_large.is_empty());
        let mut large_bytes = 0;
        for (index, entry) in self.large.entries.iter().enumerate() {
            if entry.object.is_null() {
                continue;
            }
            // SAFETY: the entry's object is not freed yet.
            unsafe {
                let header = &mut *entry.object;
                if header.has(FLAG_MARK) {
                    header.flags &= !FLAG_MARK;
                    large_bytes += entry.bytes();
                } else if header.has(FLAG_OLD) {
                    generations.dead_large.push(index as u32);
                }
            }
        }
        generations.small_bytes = generations.marking.bytes.saturating_sub(large_bytes);
        generations.phase = Phase::Sweeping;
        self.stats.full += 1;
    }

    /// Sweeps until the deadline, but at least so many bytes.
    fn sweep_step(&mut self, at_least: usize, deadline: Option<Instant>, limit: usize) {
        let generations = self
            .generations
            .as_deref_mut()
            .expect("called for heaps with generations only");
        let mut swept = 0;
        let is_late = |swept: usize| {
            swept >= at_least && deadline.is_some_and(|deadline| Instant::now() >= deadline)
        };
        while let Some(index) = generations.dead_large.pop() {
            swept += self.large.entries[index as usize].bytes();
            self.large.free(index);
            if is_late(swept) {
                return;
            }
        }
        while generations.space.sweep_step() {
            swept += BLOCK_BYTES;
            if is_late(swept) {
                return;
            }
        }
        generations.phase = Phase::Idle;
        let live = generations.small_bytes + self.large.bytes;
        // The bigger the heap, the smaller the share of garbage in it.
        let share = if live > BIG_HEAP_BYTES {
            live / 2
        } else {
            live
        };
        let growth = share.max(generations.min_growth_bytes);
        let growth = if generations.min_growth_bytes == 0 {
            0
        } else {
            growth
        };
        // Near the limit the mark begins earlier.
        let room = limit.saturating_sub(live) / 2;
        generations.mark_at = live + growth.min(room.max(MIN_GROWTH_BYTES / 16));
    }
}
