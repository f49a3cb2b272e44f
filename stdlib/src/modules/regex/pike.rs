//! Pike's simulation of the automaton without lookahead, which also knows the groups, in steps: for matches that are too long for the engine to
//! look at at once, and for patterns that the lazy automaton gives up.
//!
//! (Rob Pike's, as in Russ Cox, "Regular Expression Matching: the Virtual Machine Approach", 2009.) A thread is a state with the groups' bounds;
//! threads stand in the order of their priority, and a state is taken by the first that comes to it.

use regex_automata::nfa::thompson::{NFA, State};
use regex_automata::util::primitives::StateID;

/// A bound of a group that took no part.
const NONE: usize = usize::MAX;

/// The threads at one position.
struct Threads {
    /// The states in order, and where each state stands there.
    order: Vec<StateID>,
    place: Vec<u32>,
    /// The bounds of each state's groups.
    slots: Vec<usize>,
}

impl Threads {
    fn new(nfa: &NFA) -> Threads {
        let states = nfa.states().len();
        Threads {
            order: Vec::with_capacity(states),
            place: vec![0; states],
            slots: vec![NONE; states * nfa.group_info().slot_len()],
        }
    }
    /// False if the state is there already.
    fn insert(&mut self, id: StateID) -> bool {
        let place = self.place[id.as_usize()] as usize;
        if self.order.get(place) == Some(&id) {
            return false;
        }
        self.place[id.as_usize()] = self.order.len() as u32;
        self.order.push(id);
        true
    }
}

enum Pending {
    Follow(StateID),
    /// The bound that a group had before.
    Restore(usize, usize),
}

/// A search under way for the leftmost match, as the engine would find it.
pub(super) struct Pike {
    now: Threads,
    then: Threads,
    pending: Vec<Pending>,
    /// Bounds of the thread that is being followed.
    own: Vec<usize>,
    start: usize,
    at: usize,
    end: usize,
    /// Matches begin at `start`.
    is_anchored: bool,
    best: Option<Vec<usize>>,
}

impl Pike {
    /// Memory for searches.
    pub(super) fn new(nfa: &NFA) -> Pike {
        Pike {
            now: Threads::new(nfa),
            then: Threads::new(nfa),
            pending: Vec::new(),
            own: vec![NONE; nfa.group_info().slot_len()],
            start: 0,
            at: 0,
            end: 0,
            is_anchored: false,
            best: None,
        }
    }
    /// Begins a search from byte `start` on; no byte from `end` on belongs to the match.
    pub(super) fn begin(&mut self, start: usize, end: usize, is_anchored: bool) {
        (self.start, self.at, self.end) = (start, start, end);
        (self.is_anchored, self.best) = (is_anchored, None);
        self.now.order.clear();
    }

    /// Makes so many moves of threads, or some more. `None`: there is more to do; else the bounds of the groups, if there is a match.
    pub(super) fn step(
        &mut self,
        nfa: &NFA,
        text: &str,
        moves: usize,
    ) -> Option<Option<Vec<usize>>> {
        let mut left = moves as i64;
        while left > 0 {
            if self.now.order.is_empty()
                && (self.best.is_some() || self.is_anchored && self.at > self.start)
            {
                return Some(self.best.take());
            }
            // No match begins inside a character.
            let is_start = !self.is_anchored || self.at == self.start;
            if self.best.is_none() && is_start && text.is_char_boundary(self.at) {
                self.own.fill(NONE);
                let mut now = std::mem::replace(&mut self.now, Threads::empty());
                left -= self.follow(nfa, text, &mut now, nfa.start_anchored(), self.at);
                self.now = now;
            }
            left -= self.advance(nfa, text) + 1;
            if self.at == self.end {
                return Some(self.best.take());
            }
            self.at += 1;
        }
        None
    }

    /// Moves each thread over the byte at `at`; what this took.
    fn advance(&mut self, nfa: &NFA, text: &str) -> i64 {
        let byte = text.as_bytes()[..self.end].get(self.at).copied();
        let slots = self.own.len();
        let mut moves = 0;
        let mut then = std::mem::replace(&mut self.then, Threads::empty());
        then.order.clear();
        for i in 0..self.now.order.len() {
            let id = self.now.order[i];
            moves += 1;
            let first = id.as_usize() * slots;
            let next = match (nfa.state(id), byte) {
                (State::Match { .. }, _) => {
                    self.best = Some(self.now.slots[first..first + slots].to_vec());
                    // What is behind it is of lower priority.
                    break;
                }
                (State::ByteRange { trans }, Some(byte)) => {
                    trans.matches_byte(byte).then_some(trans.next)
                }
                (State::Sparse(trans), Some(byte)) => trans.matches_byte(byte),
                (State::Dense(trans), Some(byte)) => trans.matches_byte(byte),
                _ => None,
            };
            if let Some(next) = next {
                self.own
                    .copy_from_slice(&self.now.slots[first..first + slots]);
                moves += self.follow(nfa, text, &mut then, next, self.at + 1);
            }
        }
        self.then = std::mem::replace(&mut self.now, then);
        moves
    }

    /// Adds to `threads` what can be reached from a state without a byte; what this took.
    fn follow(
        &mut self,
        nfa: &NFA,
        text: &str,
        threads: &mut Threads,
        id: StateID,
        at: usize,
    ) -> i64 {
        let slots = self.own.len();
        let mut moves = 0;
        self.pending.push(Pending::Follow(id));
        while let Some(pending) = self.pending.pop() {
            let mut id = match pending {
                Pending::Follow(id) => id,
                Pending::Restore(slot, bound) => {
                    self.own[slot] = bound;
                    continue;
                }
            };
            loop {
                moves += 1;
                if !threads.insert(id) {
                    break;
                }
                match nfa.state(id) {
                    State::Look { look, next } => {
                        let matcher = nfa.look_matcher();
                        if !matcher.matches(*look, text.as_bytes(), at) {
                            break;
                        }
                        id = *next;
                    }
                    State::Union { alternates } => {
                        let Some((&first, others)) = alternates.split_first() else {
                            break;
                        };
                        let others = others.iter().rev().map(|&id| Pending::Follow(id));
                        self.pending.extend(others);
                        id = first;
                    }
                    State::BinaryUnion { alt1, alt2 } => {
                        self.pending.push(Pending::Follow(*alt2));
                        id = *alt1;
                    }
                    State::Capture { next, slot, .. } => {
                        let slot = slot.as_usize();
                        self.pending.push(Pending::Restore(slot, self.own[slot]));
                        self.own[slot] = at;
                        id = *next;
                    }
                    State::Fail => break,
                    State::ByteRange { .. }
                    | State::Sparse(_)
                    | State::Dense(_)
                    | State::Match { .. } => {
                        let first = id.as_usize() * slots;
                        threads.slots[first..first + slots].copy_from_slice(&self.own);
                        break;
                    }
                }
            }
        }
        moves
    }
}

impl Threads {
    /// Stands where the threads were taken from.
    fn empty() -> Threads {
        Threads {
            order: Vec::new(),
            place: Vec::new(),
            slots: Vec::new(),
        }
    }
}
