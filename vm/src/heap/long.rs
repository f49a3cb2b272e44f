//! `freeze` and `copy` of many objects, in steps: the work of a `Graph`, some of it at a time.
//!
//! From the first step to the last the headers of the graph's objects are not their own (see `graph`). So the heap is *held*: nothing is collected, nothing of the
//! thread runs but the loop that takes the steps, and nobody else reads its objects. The thread may be left for another one between two steps.
//!
//! | phase | |
//! | --- | --- |
//! | `Walk` | what is to be copied, and whether it may be |
//! | `Copy` | into a bundle, or to the old space |
//! | `Replace` | copies refer to copies |
//! | `Forget` | headers are given back: at the end, and after a failure |
//!
//! A copy in the same heap is made of old objects, which may not refer to young ones: so nothing is young when it begins (`is_settled`). If a mark is under
//! way, it does not go on while the heap is held; it gets to know the copies as objects that are yet to be scanned.

use super::bundle::{Block, BundleHead, visit_frozen};
use super::collect::Phase as Collection;
use super::copy::{Old, visit_mutable};
use super::graph::{Graph, GraphError, Refused, Visit, explain};
use super::{Heap, Inner, NeedsCollection};
use crate::value::Value;

/// What is no more than this is done at once; a unit is about an object.
const FEW_WORK: usize = 20_000;
const FEW_BYTES: usize = 4 * 1024 * 1024;
/// The work of a step: some hundred microseconds, or a few times that where each object is a cache miss.
const STEP_WORK: usize = 10_000;
/// With more bundles than this it is worth looking which of them are the same.
const MANY_BUNDLES: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Walk,
    Copy,
    Replace,
    Forget,
}

/// What comes of it.
enum Outcome {
    /// Not known yet.
    Open,
    Made(Value),
    Refused,
    NeedsCollection,
    /// The thread has something else to do first.
    Aborted,
}

/// Whether the last one found room.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum NoRoom {
    #[default]
    No,
    /// It did not.
    Now,
    /// Nor had it when a full collection came: if the next one does not either, there is none.
    NorBefore,
}

/// See the head of the file.
pub(crate) struct LongGraph {
    graph: Graph,
    start: Value,
    phase: Phase,
    outcome: Outcome,
    is_copy: bool,
    /// The last one found no room, and a full collection came after it.
    is_second: bool,
    /// The bundle in the making.
    block: Option<Block>,
    /// Bundles that its objects refer to, and how many there may be until it is worth looking for the same ones.
    bundles: Vec<*mut BundleHead>,
    most_bundles: usize,
}

/// What a step of it has come to.
#[derive(Debug)]
pub(crate) enum LongStep {
    /// There is more to do.
    More,
    Done(Value),
    /// It was called off; nothing of it is left.
    Aborted,
    /// There is no room, nor was there before the last collection; nothing of it is left.
    NoRoom,
}

fn visit(is_copy: bool) -> impl Fn(Value, bool) -> Visit {
    move |value, is_key| match is_copy {
        true => visit_mutable(value, is_key),
        false => visit_frozen(value, is_key),
    }
}

impl Graph {
    /// What `value` reaches, if that is little; see `walk`.
    pub(super) fn of_few(
        value: Value,
        visit: impl Fn(Value, bool) -> Visit,
    ) -> Result<Option<Graph>, GraphError> {
        let mut graph = Graph::of_instances();
        match graph.walk_some(value, &visit, &mut { FEW_WORK }) {
            Ok(is_done) => Ok((is_done && graph.bytes <= FEW_BYTES).then_some(graph)),
            Err(Refused) => {
                drop(graph);
                Err(explain(value, &visit))
            }
        }
    }
}

impl Heap {
    /// A graph is under way in steps.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.inner
            .as_ref()
            .is_some_and(|inner| inner.long.is_some())
    }

    /// The next steps only give back what the graph under way has taken.
    pub(crate) fn abort_long_graph(&mut self) {
        if let Some(long) = self.inner().long.as_deref_mut()
            && matches!(long.outcome, Outcome::Open)
        {
            long.fail(Outcome::Aborted);
        }
    }

    /// Begins to freeze or copy `value`, an object, if nothing is in the way that a collection of young objects removes.
    pub(crate) fn begin_long_graph(
        &mut self,
        value: Value,
        is_copy: bool,
    ) -> Result<(), NeedsCollection> {
        if is_copy && !self.is_settled() {
            self.use_generations();
            return Err(NeedsCollection);
        }
        debug_assert!(!self.is_held());
        let no_room = std::mem::take(&mut self.inner().no_room);
        let is_second = no_room == NoRoom::NorBefore;
        self.inner().long = Some(Box::new(LongGraph {
            graph: Graph::of_instances(),
            start: value,
            phase: Phase::Walk,
            outcome: Outcome::Open,
            is_copy,
            is_second,
            block: None,
            bundles: Vec::new(),
            most_bundles: MANY_BUNDLES,
        }));
        Ok(())
    }

    /// There is an old space, and nothing is young.
    fn is_settled(&mut self) -> bool {
        let bump = self.bump;
        let inner = self.inner();
        inner.generations.is_some() && inner.young.used(bump) == 0 && inner.large.young.is_empty()
    }

    /// Goes on with the graph under way.
    pub(crate) fn long_graph_step(&mut self) -> Result<LongStep, GraphError> {
        let long = self.inner().long.take();
        let mut long = long.expect("only who has begun takes steps");
        let mut work = STEP_WORK;
        while work > 0 {
            if long.work(self, &mut work) {
                return match std::mem::replace(&mut long.outcome, Outcome::Open) {
                    Outcome::Made(value) => Ok(LongStep::Done(value)),
                    Outcome::Refused => Err(explain(long.start, &visit(long.is_copy))),
                    Outcome::NeedsCollection if long.is_second => Ok(LongStep::NoRoom),
                    Outcome::NeedsCollection => {
                        self.inner().no_room = NoRoom::Now;
                        Err(GraphError::NeedsCollection)
                    }
                    Outcome::Open | Outcome::Aborted => Ok(LongStep::Aborted),
                };
            }
        }
        self.inner().long = Some(long);
        Ok(LongStep::More)
    }
}

impl LongGraph {
    fn fail(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.phase = Phase::Forget;
    }

    /// Works in the present phase; true: all is done.
    fn work(&mut self, heap: &mut Heap, work: &mut usize) -> bool {
        match self.phase {
            Phase::Walk => match self.graph.walk_some(self.start, &visit(self.is_copy), work) {
                Ok(false) => {}
                Ok(true) => self.begin_copy(heap),
                Err(Refused) => self.fail(Outcome::Refused),
            },
            Phase::Copy => self.copy(heap, work),
            Phase::Replace => self.replace(heap, work),
            Phase::Forget => return self.forget(heap, work),
        }
        false
    }

    fn begin_copy(&mut self, heap: &mut Heap) {
        if self.graph.len() == 0 {
            self.fail(Outcome::Made(self.start));
            return;
        }
        self.graph.list_few();
        let bytes = match self.is_copy {
            true => self.graph.bytes,
            false => Block::bytes(&self.graph),
        };
        if heap.reserve_shared(bytes).is_err() {
            self.fail(Outcome::NeedsCollection);
            return;
        }
        if !self.is_copy {
            self.block = Some(Block::new(bytes));
        }
        self.phase = Phase::Copy;
    }

    fn copy(&mut self, heap: &mut Heap, work: &mut usize) {
        // SAFETY: `begin_copy` made room in the block; the heap hands out fresh memory. The originals are alive: the loop that takes the steps has the
        // first of them, and nothing is collected.
        let is_done = unsafe {
            match self.block.as_mut() {
                Some(block) => self.graph.copy_some(block, work),
                None => {
                    let mut target = Old::new(heap.inner());
                    let is_done = self.graph.copy_some(&mut target, work);
                    target.end();
                    is_done
                }
            }
        };
        if is_done {
            self.phase = Phase::Replace;
        }
    }

    fn replace(&mut self, heap: &mut Heap, work: &mut usize) {
        let graph = &mut self.graph;
        // SAFETY: all are copied; what live values lead to is alive.
        unsafe {
            if let Some(block) = self.block.as_ref() {
                let bundles = &mut self.bundles;
                let is_done = graph.replace_some(
                    block,
                    &|value, _| value.is_local(),
                    &mut |value| Block::note_bundle(bundles, value),
                    work,
                );
                if bundles.len() > self.most_bundles {
                    bundles.sort_unstable();
                    bundles.dedup();
                    self.most_bundles = MANY_BUNDLES.max(2 * bundles.len());
                }
                if !is_done {
                    return;
                }
                let copy = graph.first_copy();
                let block = self.block.take().expect("tested above");
                let bundles = std::mem::take(&mut self.bundles);
                let (_, shared) = block.finish(copy, bundles);
                let shared = heap.enter_made(shared);
                self.fail(Outcome::Made(shared));
            } else {
                let target = Old::new(heap.inner());
                if graph.replace_some(&target, &|_, is_key| !is_key, &mut |_| (), work) {
                    let copy = graph.first_copy();
                    self.fail(Outcome::Made(Value::local(copy)));
                }
            }
        }
    }

    fn forget(&mut self, heap: &mut Heap, work: &mut usize) -> bool {
        let marks = self.is_copy && heap.inner().phase_is(Collection::Marking);
        let is_done = self.graph.forget_some(work, |copy| {
            if marks {
                // SAFETY: an old object without a mark, whole: nothing was collected since it was made. (Or it is one of a failed attempt, whole but for
                // references to originals, which are alive.)
                unsafe { heap.inner().generations().marking.mark(copy) };
            }
        });
        if is_done {
            // Of a failed attempt.
            self.block = None;
        }
        is_done
    }
}

impl Inner {
    fn phase_is(&mut self, phase: Collection) -> bool {
        self.generations.is_some() && self.phase() == phase
    }
}

impl Drop for LongGraph {
    fn drop(&mut self) {
        // All is done, or the heap goes and its objects with it: then nobody needs their headers.
        self.graph.abandon();
    }
}
