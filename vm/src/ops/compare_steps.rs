//! Comparing in steps: nested values of any depth, cycles, and methods `==` and `<` of the script's own.
//!
//! The state is a list of the heap: a header, then a stack of frames, each a pair of containers and the position of the next pair
//! of parts. The last pair of two equally long containers replaces its frame, so a chain needs no stack.
//!
//! **Cycles.** A pair that is already under comparison counts as equal. Pairs that were begun are noted in a table that forgets:
//! one slot per hash of the two addresses. What is found there was either found equal or is still under comparison, so skipping
//! it is right; what was forgotten (overwritten, or moved by a collection) costs work only. The table grows with the depth, and
//! of a cycle that is much longer some pair always survives the way around.
//!
//! **Order.** `<` of lists and tuples looks for the first pair of parts that are not equal and compares it. Frames on the way there
//! are marked; a difference inside other containers leads back to the topmost marked frame, whose pair then decides.
//!
//! The driver, in words: `start`, then `step` until `Done`: on `Call(f, a, b)` call `f(a, b)` and hand the truth of the result to the
//! next step; on `Find(m, k)` search the key by script code and hand over its position (-1: not there); on `More` just go on.

use super::compare::{
    Shallow, compare_numbers, is_long_text, is_trace, ordered_parts, shallow, text_bytes,
};
use super::list;
use super::map::{self, Lookup};
use super::{OpFail, OpResult, TypeLookup, duration, method, text};
use crate::heap::Heap;
use crate::object::Kind;
use crate::types::ErrorKind;
use crate::value::Value;
use std::cmp::Ordering;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `a == b`
    Equal,
    /// `a < b`
    Less,
    /// `a <= b`
    LessOrEqual,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CompareStep {
    /// The answer.
    Done(bool),
    /// Call `step` again.
    More,
    /// Call this method with these two and hand the truth of its result to `step`.
    Call(Value, Value, Value),
    /// Find the position of this key in this map, script code helping, and hand it to `step`; -1 if it is not there.
    Find(Value, Value),
}

/// Work of one step: about a millisecond.
const STEP_WORK: usize = 30_000;
/// What beginning a pair of containers counts for.
const PUSH_WORK: usize = 4;
/// Bytes of long texts that are compared at once, and how many count as a piece of work.
const TEXT_PIECE: usize = 256 * 1024;
const BYTES_PER_WORK: usize = 256;
/// Frames pushed before pairs are noted.
const NOTE_AFTER: i64 = 4096;
/// Slots of the first table of noted pairs.
const FIRST_SLOTS: usize = 8192;
/// Slots of the largest: enough for cycles of tens of millions.
const MOST_SLOTS: usize = 1 << 20;

// Positions of the header's parts.
const QUESTION: usize = 0;
/// What the next step begins with, see `Phase`.
const PHASE: usize = 1;
/// Of noted pairs: a list of twice as many values as slots; nil before it is needed.
const TABLE: usize = 2;
/// Frames pushed, or replaced, so far.
const PUSHED: usize = 3;
/// The pair that the phase is about.
const LEFT: usize = 4;
const RIGHT: usize = 5;
const FRAMES: usize = 6;
/// Values of a frame: left, right, position and mark.
const FRAME: usize = 3;

/// What the next step begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Compare the pair: the first one.
    Begin,
    /// Go on with the topmost frame.
    Run,
    /// A method `==` answered for the pair.
    Equality,
    /// The position of a key of the topmost frame's left map was found in the right one.
    Found,
    /// A method `<` answered: this is the answer.
    Final,
    /// The same, negated.
    FinalNot,
}

const PHASES: [Phase; 6] = [
    Phase::Begin,
    Phase::Run,
    Phase::Equality,
    Phase::Found,
    Phase::Final,
    Phase::FinalNot,
];

/// The state in which `a` and `b` are about to be compared; for `step`.
pub fn start(heap: &mut Heap, question: Question, a: Value, b: Value) -> OpResult {
    let zero = Value::small_int(0);
    list::new(
        heap,
        &[
            Value::small_int(question as i64),
            zero,
            Value::NIL,
            zero,
            a,
            b,
        ],
    )
}

/// A state unpacked: what a step works on.
struct Machine<'a> {
    heap: &'a mut Heap,
    types: &'a dyn TypeLookup,
    state: Value,
    is_order: bool,
}

/// Outcome of a part of a step: `None` to go on.
type Outcome = OpResult<Option<CompareStep>>;

/// Goes on; `given` is what the call that the last step asked for gave.
pub fn step(
    heap: &mut Heap,
    types: &dyn TypeLookup,
    state: Value,
    given: Option<Value>,
) -> OpResult<CompareStep> {
    let header = list::items_of(state);
    let (question, phase) = (
        header[QUESTION].as_small_int(),
        PHASES[header[PHASE].as_small_int() as usize],
    );
    let (left, right) = (header[LEFT], header[RIGHT]);
    let mut machine = Machine {
        heap,
        types,
        state,
        is_order: question != Question::Equal as i64,
    };
    // Room for a frame and a table is made before anything changes: a step that fails here is simply run again.
    machine.make_room()?;
    let is_true = given.is_some_and(Value::is_truthy);
    let outcome = match phase {
        Phase::Begin => machine.begin(question, left, right)?,
        Phase::Run => None,
        Phase::Final => return Ok(CompareStep::Done(is_true)),
        Phase::FinalNot => return Ok(CompareStep::Done(!is_true)),
        Phase::Equality if is_true => None,
        Phase::Equality => Some(machine.differ()?),
        Phase::Found => match given
            .map(Value::as_small_int)
            .and_then(|at| usize::try_from(at).ok())
        {
            Some(position) => machine.compare_found(position)?,
            None => Some(machine.differ()?),
        },
    };
    if let Some(done) = outcome {
        return Ok(done);
    }
    machine.set_header(PHASE, Value::small_int(Phase::Run as i64))?;
    let mut work = 0;
    while work < STEP_WORK {
        if machine.make_room().is_err() {
            // The next step fails at its beginning and is run again after a collection.
            return Ok(CompareStep::More);
        }
        if let Some(done) = machine.run_frame(&mut work)? {
            return Ok(done);
        }
    }
    Ok(CompareStep::More)
}

/// Whether a part of an ordered comparison is compared part by part itself.
fn is_ordered_pair(a: Value, b: Value) -> bool {
    matches!(
        (a.kind(), b.kind()),
        (Some(Kind::List), Some(Kind::List)) | (Some(Kind::Tuple), Some(Kind::Tuple))
    )
}

impl Machine<'_> {
    fn set_header(&mut self, at: usize, value: Value) -> OpResult<()> {
        list::set(self.heap, self.state, Value::small_int(at as i64), value)
    }

    fn ask(&mut self, phase: Phase, a: Value, b: Value) -> OpResult<()> {
        self.set_header(PHASE, Value::small_int(phase as i64))?;
        self.set_header(LEFT, a)?;
        self.set_header(RIGHT, b)
    }

    /// Makes room for one more frame, and a table when it is time for one.
    fn make_room(&mut self) -> OpResult<()> {
        list::reserve_items(self.heap, self.state, FRAME)?;
        let header = list::items_of(self.state);
        let pushed = header[PUSHED].as_small_int();
        let slots = if header[TABLE].is_nil() {
            0
        } else {
            list::len(header[TABLE]) / 2
        };
        if pushed >= NOTE_AFTER && (slots == 0 || pushed as usize / 8 > slots && slots < MOST_SLOTS)
        {
            let table = list::new(
                self.heap,
                &vec![Value::NIL; (slots * 2).max(FIRST_SLOTS) * 2],
            )?;
            self.set_header(TABLE, table)?;
        }
        Ok(())
    }

    /// Notes a pair; true if it was noted before.
    fn is_noted(&mut self, a: Value, b: Value) -> bool {
        let table = list::items_of(self.state)[TABLE];
        if table.is_nil() {
            return false;
        }
        let slots = list::len(table) / 2;
        let mixed = (a.bits() ^ b.bits().rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let slot = (mixed >> 32) as usize & (slots - 1);
        let items = list::items_of(table);
        if items[slot * 2] == a && items[slot * 2 + 1] == b {
            return true;
        }
        list::write_two(self.heap, table, slot * 2, a, b);
        false
    }

    /// The first pair.
    fn begin(&mut self, question: i64, a: Value, b: Value) -> Outcome {
        if !self.is_order {
            return self.compare(a, b, false, &mut 0);
        }
        if is_ordered_pair(a, b) {
            self.push(a, b, true)?;
            return Ok(None);
        }
        let or_equal = question == Question::LessOrEqual as i64;
        let lt = self.types.operators().lt;
        // `a <= b` is `not b < a`.
        let (first, second) = if or_equal { (b, a) } else { (a, b) };
        if has_fields(first)
            && let Some(f) = method(self.types, first, lt)
        {
            let phase = if or_equal {
                Phase::FinalNot
            } else {
                Phase::Final
            };
            self.ask(phase, a, b)?;
            return Ok(Some(CompareStep::Call(f, first, second)));
        }
        let order = order_of_simple(a, b)?;
        Ok(Some(CompareStep::Done(match order {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => or_equal,
            _ => false,
        })))
    }

    /// Compares a pair of parts for equality; containers are only begun.
    fn compare(&mut self, a: Value, b: Value, in_order: bool, work: &mut usize) -> Outcome {
        match shallow(self.types, a, b) {
            Shallow::Equal => Ok(None),
            Shallow::Unequal if in_order && is_ordered_pair(a, b) => {
                // Of different length: a part or the length decides.
                self.push(a, b, true)?;
                Ok(None)
            }
            Shallow::Unequal => self.differ().map(Some),
            Shallow::Parts => {
                *work += PUSH_WORK;
                if !self.is_noted(a, b) {
                    self.push(a, b, in_order && is_ordered_pair(a, b))?;
                }
                Ok(None)
            }
            Shallow::Script => {
                let eq = self.types.operators().eq;
                let (first, second) = if has_fields(a) && method(self.types, a, eq).is_some() {
                    (a, b)
                } else {
                    (b, a)
                };
                let f = method(self.types, first, eq).unwrap_or(Value::NIL);
                self.ask(Phase::Equality, a, b)?;
                Ok(Some(CompareStep::Call(f, first, second)))
            }
        }
    }

    fn push(&mut self, a: Value, b: Value, in_order: bool) -> OpResult<()> {
        list::extend(
            self.heap,
            self.state,
            &[a, b, Value::small_int(in_order as i64)],
        )?;
        let pushed = list::items_of(self.state)[PUSHED].as_small_int() + 1;
        self.set_header(PUSHED, Value::small_int(pushed))
    }

    /// The topmost frame: pair, position, whether it is ordered.
    fn top(&self) -> Option<(Value, Value, usize, bool)> {
        let items = list::items_of(self.state);
        if items.len() == FRAMES {
            return None;
        }
        let frame = &items[items.len() - FRAME..];
        let form = frame[2].as_small_int();
        Some((frame[0], frame[1], (form >> 1) as usize, form & 1 != 0))
    }

    fn set_top(&mut self, position: usize, in_order: bool) -> OpResult<()> {
        let form = (position as i64) << 1 | in_order as i64;
        let at = list::len(self.state) - 1;
        list::set(
            self.heap,
            self.state,
            Value::small_int(at as i64),
            Value::small_int(form),
        )
    }

    fn pop(&mut self) -> OpResult<()> {
        list::truncate(self.state, list::len(self.state) - FRAME)
    }

    /// Goes on with the topmost frame, up to the first pair that needs a frame of its own.
    fn run_frame(&mut self, work: &mut usize) -> Outcome {
        *work += 1;
        let Some((a, b, position, in_order)) = self.top() else {
            // Everything was equal: all that was asked for but `<`.
            let question = list::items_of(self.state)[QUESTION].as_small_int();
            return Ok(Some(CompareStep::Done(question != Question::Less as i64)));
        };
        let (Some(left), Some(right)) = (ordered_parts(a), ordered_parts(b)) else {
            if is_long_text(a) {
                return self.run_text(a, b, position, work);
            }
            return self.run_map(a, b, position, work);
        };
        let both = left.len().min(right.len());
        let limit = both.min(position + STEP_WORK.saturating_sub(*work));
        let mut at = position;
        while at < limit
            && (shallow(self.types, left[at], right[at]) == Shallow::Equal
                || is_trace(left[at], right[at]))
        {
            at += 1;
        }
        *work += at - position;
        // A method that was called may have made them shorter.
        if at >= both {
            self.pop()?;
            if left.len() == right.len() {
                return Ok(None);
            }
            if in_order {
                return Ok(Some(CompareStep::Done(left.len() < right.len())));
            }
            return self.differ().map(Some);
        }
        if at == limit {
            self.set_top(at, in_order)?;
            return Ok(None);
        }
        let (x, y) = (left[at], right[at]);
        let is_last = at + 1 == left.len() && left.len() == right.len();
        if is_last && (!in_order || is_ordered_pair(x, y)) {
            self.pop()?;
        } else {
            self.set_top(at + 1, in_order)?;
        }
        self.compare(x, y, in_order, work)
    }

    /// Goes on with two texts of one length.
    fn run_text(&mut self, a: Value, b: Value, position: usize, work: &mut usize) -> Outcome {
        let (left, right) = (text_bytes(a), text_bytes(b));
        let end = left.len().min(position + TEXT_PIECE);
        *work += (end - position) / BYTES_PER_WORK;
        if left[position..end] != right[position..end] {
            return self.differ().map(Some);
        }
        if end < left.len() {
            self.set_top(end, false)?;
        } else {
            self.pop()?;
        }
        Ok(None)
    }

    /// Goes on with two maps or sets: each key of the left one must be in the right one, with an equal value.
    fn run_map(&mut self, a: Value, b: Value, position: usize, work: &mut usize) -> Outcome {
        let Some((at, entry)) = map::next_entry(a, position) else {
            self.pop()?;
            return Ok(None);
        };
        *work += 5;
        self.set_top(at + 1, false)?;
        match map::find(self.types, b, entry.key) {
            Ok(Lookup::Found(found)) => self.compare_values(entry.value, b, found),
            Ok(Lookup::NeedsScript) => {
                self.ask(Phase::Found, a, b)?;
                Ok(Some(CompareStep::Find(b, entry.key)))
            }
            _ => self.differ().map(Some),
        }
    }

    /// The value of the left map's key that was looked for, against that at a position of the right one.
    fn compare_found(&mut self, found: usize) -> Outcome {
        let Some((a, b, position, _)) = self.top() else {
            return Ok(None);
        };
        match map::entry_at(a, position.saturating_sub(1)) {
            Some(entry) => self.compare_values(entry.value, b, found),
            // It went while script code ran.
            None => Ok(None),
        }
    }

    fn compare_values(&mut self, value: Value, b: Value, found: usize) -> Outcome {
        match map::entry_at(b, found) {
            Some(other) => self.compare(value, other.value, false, &mut 0),
            None => self.differ().map(Some),
        }
    }

    /// A pair differs: not equal, or the pair of parts on the way here decides the order.
    fn differ(&mut self) -> OpResult<CompareStep> {
        if !self.is_order {
            return Ok(CompareStep::Done(false));
        }
        while let Some((a, b, position, in_order)) = self.top() {
            if in_order {
                let part = |value| {
                    ordered_parts(value)
                        .and_then(|parts| parts.get(position.saturating_sub(1)))
                        .copied()
                };
                let (x, y) = (part(a).unwrap_or(Value::NIL), part(b).unwrap_or(Value::NIL));
                if has_fields(x)
                    && let Some(f) = method(self.types, x, self.types.operators().lt)
                {
                    self.ask(Phase::Final, x, y)?;
                    return Ok(CompareStep::Call(f, x, y));
                }
                return Ok(CompareStep::Done(
                    order_of_simple(x, y)? == Some(Ordering::Less),
                ));
            }
            self.pop()?;
        }
        Ok(CompareStep::Done(false))
    }
}

fn has_fields(value: Value) -> bool {
    matches!(value.kind(), Some(Kind::Struct | Kind::Variant))
}

/// The order of two numbers, strings, bytes or durations; `None` with NaN. `TypeError` for everything else.
pub fn order_of_simple(a: Value, b: Value) -> OpResult<Option<Ordering>> {
    if let Some(order) = compare_numbers(a, b) {
        return Ok(order);
    }
    if let (Some(a), Some(b)) = (duration::view(a), duration::view(b)) {
        return Ok(Some(a.cmp(&b)));
    }
    match (a.kind(), b.kind()) {
        (Some(Kind::Str), Some(Kind::Str)) => Ok(Some(text::str_of(a).cmp(text::str_of(b)))),
        (Some(Kind::Bytes), Some(Kind::Bytes)) => {
            Ok(Some(text::bytes_of(a).cmp(text::bytes_of(b))))
        }
        _ => Err(OpFail::typed(
            ErrorKind::Type,
            "cannot compare {0} and {1} by order",
            a,
            b,
        )),
    }
}

/// `a < b` or, with `or_equal`, `a <= b`; `None` if that takes script code or more than a little work.
pub fn quick_less(
    types: &dyn TypeLookup,
    a: Value,
    b: Value,
    or_equal: bool,
) -> OpResult<Option<bool>> {
    quick_less_nested(types, a, b, or_equal, 8)
}

fn quick_less_nested(
    types: &dyn TypeLookup,
    a: Value,
    b: Value,
    or_equal: bool,
    depth: u32,
) -> OpResult<Option<bool>> {
    /// Parts compared before it counts as more than a little work.
    const MOST_PARTS: usize = 4096;
    if !is_ordered_pair(a, b) {
        if has_fields(a) || has_fields(b) {
            return Ok(None);
        }
        let order = order_of_simple(a, b)?;
        return Ok(Some(
            order.is_some_and(|order| order.is_lt() || or_equal && order.is_eq()),
        ));
    }
    let (left, right) = (
        ordered_parts(a).unwrap_or(&[]),
        ordered_parts(b).unwrap_or(&[]),
    );
    for (i, (&x, &y)) in left.iter().zip(right).enumerate() {
        if i == MOST_PARTS || depth == 0 {
            return Ok(None);
        }
        let is_equal = match shallow(types, x, y) {
            Shallow::Equal => Some(true),
            Shallow::Unequal => Some(false),
            _ => super::compare::quick_equal(types, x, y),
        };
        match is_equal {
            Some(true) => {}
            Some(false) => return quick_less_nested(types, x, y, false, depth - 1),
            None => return Ok(None),
        }
    }
    Ok(Some(
        left.len() < right.len() || or_equal && left.len() == right.len(),
    ))
}
