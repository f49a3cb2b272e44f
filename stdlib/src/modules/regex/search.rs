//! Searches that stop and go on: a search of the engine cannot be interrupted, so in a long text its place is narrowed first.
//!
//! What `Search::step` looks for is the stretch of the text in which a direct search finds the leftmost match, whatever is in front of
//! it or behind it:
//!
//! - If no match is longer than `MOST_BOUNDED` bytes, windows are searched that overlap by the longest match: a match that begins before
//!   the overlap ends in its window, whatever comes behind it.
//! - Else the lazy automaton runs byte by byte, as the engine's does. It knows where the leftmost match ends; that it begins behind the
//!   last place at which the automaton was in the state in which a search would begin there, since from there on both are the same.
//!
//! If that stretch is still long, the match is: an automaton of the reversed pattern then goes back from its end to where it begins, and the
//! groups, if they are wanted, are found by `pike`. Where an automaton gives up (a Unicode word boundary beside a letter that is not ASCII,
//! states beyond its cache) `pike` does it all.

use super::pike::Pike;
use regex_automata::Anchored;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::{BuildError, Regex};
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::captures::Captures;
use regex_automata::util::primitives::{NonMaxUsize, PatternID};
use regex_automata::util::{start, syntax};
use regex_automata::{Input, MatchKind, nfa::thompson};
use std::ops::Range;
use std::sync::OnceLock;

/// No compiled pattern takes more bytes.
const MOST_BYTES: usize = 4 << 20;
/// Patterns whose matches have no more bytes are searched for in windows.
const MOST_BOUNDED: usize = 16 * 1024;
/// The memory of the lazy automaton's states.
const CACHE_BYTES: usize = 4 << 20;

/// A compiled pattern.
pub(super) struct Pattern {
    pub(super) regex: Regex,
    source: String,
    /// The longest match in bytes, if there is one that is not too long.
    longest: Option<usize>,
    /// What follows is made when it is first needed; `None`: it cannot be made.
    automaton: OnceLock<Option<DFA>>,
    /// Of the reversed pattern: what begins where a match ends.
    reversed: OnceLock<Option<DFA>>,
    nfa: OnceLock<Option<NFA>>,
}

impl Pattern {
    pub(super) fn new(source: &str) -> Result<Pattern, Box<BuildError>> {
        let config = Regex::config().nfa_size_limit(Some(MOST_BYTES));
        let regex = Regex::builder().configure(config).build(source)?;
        let longest = regex_syntax::parse(source)
            .ok()
            .and_then(|hir| hir.properties().maximum_len())
            .filter(|&longest| longest <= MOST_BOUNDED);
        Ok(Pattern {
            regex,
            source: source.to_string(),
            longest,
            automaton: OnceLock::new(),
            reversed: OnceLock::new(),
            nfa: OnceLock::new(),
        })
    }

    fn automaton(&self) -> Option<&DFA> {
        let make = || self.lazy(MatchKind::LeftmostFirst, thompson::Config::new());
        self.automaton.get_or_init(make).as_ref()
    }
    fn reversed(&self) -> Option<&DFA> {
        let make = || self.lazy(MatchKind::All, thompson::Config::new().reverse(true));
        self.reversed.get_or_init(make).as_ref()
    }
    fn lazy(&self, kind: MatchKind, nfa: thompson::Config) -> Option<DFA> {
        let config = DFA::config()
            .match_kind(kind)
            .unicode_word_boundary(true)
            .cache_capacity(CACHE_BYTES)
            // States that are made anew all the time are slower than what the engine does then.
            .minimum_cache_clear_count(Some(20));
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().utf8(true))
            .thompson(nfa.nfa_size_limit(Some(MOST_BYTES)))
            .build(&self.source);
        dfa.ok()
    }
    fn nfa(&self) -> Option<&NFA> {
        let make = || {
            NFA::compiler()
                .configure(NFA::config().nfa_size_limit(Some(MOST_BYTES)))
                .syntax(syntax::Config::new().utf8(true))
                .build(&self.source)
                .ok()
        };
        self.nfa.get_or_init(make).as_ref()
    }

    /// Groups of a match with these bounds.
    fn captures(&self, bounds: impl Iterator<Item = Option<usize>>) -> Captures {
        let mut captures = self.regex.create_captures();
        captures.set_pattern(Some(PatternID::ZERO));
        for (slot, bound) in captures.slots_mut().iter_mut().zip(bounds) {
            *slot = bound.and_then(NonMaxUsize::new);
        }
        captures
    }
}

/// How much is done at once.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// A rest of the text that is not longer is searched directly.
    pub(super) long: usize,
    /// Bytes of a step.
    pub(super) step: usize,
    /// How often the automaton's state is looked at.
    pub(super) look: usize,
    /// Moves of threads of a step of `pike`.
    pub(super) moves: usize,
}

pub(super) const SIZES: Sizes = Sizes {
    long: 1 << 20,
    step: 128 * 1024,
    look: 4096,
    moves: 50_000,
};

/// A search under way.
pub(super) struct Search {
    sizes: Sizes,
    /// Where it began, and how far it has come.
    from: usize,
    at: usize,
    automaton: Option<Automaton>,
    phase: Phase,
    /// Made when it is first needed: its memory serves all matches.
    pike: Option<Box<Pike>>,
}

/// What is done with a text that is not searched directly.
enum Phase {
    /// Where does the leftmost match end?
    Forward,
    /// Where does it begin?
    Backward(Backward),
    /// Which groups has it?
    Groups,
}

struct Backward {
    cache: Box<Cache>,
    state: LazyStateID,
    /// No match begins before `least`; bytes from `at` to `end` are gone over.
    least: usize,
    at: usize,
    end: usize,
    /// Where the longest match up to now begins.
    start: Option<usize>,
}

/// What is to be known of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Whether there is one.
    Any,
    Span,
    Groups,
}

/// The lazy automaton does not get any further.
struct GaveUp;

struct Automaton {
    cache: Cache,
    state: Option<LazyStateID>,
    /// No match begins before this.
    clean: usize,
    /// Where the best match up to now ends.
    end: Option<usize>,
}

/// What a step has found out.
#[derive(Debug)]
pub(super) enum Place {
    /// A direct search of these bytes gives the leftmost match of the rest of the text.
    In(Range<usize>),
    /// The leftmost match itself, as far as it was wanted: without its groups, or with any bounds.
    Match(Range<usize>, Option<Captures>),
    /// There is no match.
    Nowhere,
    /// More steps are to be made.
    Further,
}

impl Search {
    pub(super) fn new(sizes: Sizes) -> Search {
        Search {
            sizes,
            from: usize::MAX,
            at: 0,
            automaton: None,
            phase: Phase::Forward,
            pike: None,
        }
    }

    /// Goes on with the search for the first match at or behind byte `from`, or begins it.
    pub(super) fn step(&mut self, pattern: &Pattern, text: &str, from: usize, want: Want) -> Place {
        if text.len() - from <= self.sizes.long {
            return Place::In(from..text.len());
        }
        if self.from != from {
            (self.from, self.at) = (from, from);
            self.phase = Phase::Forward;
            if let Some(automaton) = &mut self.automaton {
                automaton.state = None;
            }
        }
        let place = match &mut self.phase {
            Phase::Forward => match pattern.longest {
                Some(longest) => self.window(pattern, text, longest),
                None => self.forward(pattern, text, want),
            },
            Phase::Backward(_) => self.backward(pattern, text, want),
            Phase::Groups => {
                let (Some(nfa), Some(pike)) = (pattern.nfa(), &mut self.pike) else {
                    unreachable!("`simulate` has made both");
                };
                match pike.step(nfa, text, self.sizes.moves) {
                    None => Place::Further,
                    Some(None) => Place::Nowhere,
                    Some(Some(bounds)) => {
                        let bounds = bounds.iter().map(|&at| (at < usize::MAX).then_some(at));
                        let captures = pattern.captures(bounds);
                        let whole = captures.get_match().expect("it has bounds").range();
                        Place::Match(whole, Some(captures))
                    }
                }
            }
        };
        if !matches!(place, Place::Further) {
            self.from = usize::MAX;
        }
        place
    }

    /// Goes on with `pike`, from `start` to `end` of the text.
    fn simulate(&mut self, pattern: &Pattern, range: Range<usize>, is_anchored: bool) -> Place {
        match pattern.nfa() {
            Some(nfa) => {
                let pike = self.pike.get_or_insert_with(|| Box::new(Pike::new(nfa)));
                pike.begin(range.start, range.end, is_anchored);
                self.phase = Phase::Groups;
                Place::Further
            }
            None => Place::In(range),
        }
    }

    fn forward(&mut self, pattern: &Pattern, text: &str, want: Want) -> Place {
        let least = |search: &Search| match &search.automaton {
            Some(automaton) if automaton.state.is_some() => automaton.clean,
            _ => search.from,
        };
        let place = match self.run(pattern, text) {
            Ok(Place::In(place)) => place,
            Ok(other) => return other,
            Err(GaveUp) => {
                let rest = least(self)..text.len();
                if rest.len() <= self.sizes.long {
                    return Place::In(rest);
                }
                return self.simulate(pattern, rest, false);
            }
        };
        if place.len() <= self.sizes.long {
            return Place::In(place);
        }
        if want == Want::Any {
            return Place::Match(place, None);
        }
        let Some(dfa) = pattern.reversed() else {
            return self.simulate(pattern, place.start..text.len(), false);
        };
        let mut cache = Box::new(dfa.create_cache());
        let config = start::Config::new()
            .anchored(Anchored::Yes)
            .look_behind(text.as_bytes().get(place.end).copied());
        match dfa.start_state(&mut cache, &config) {
            Ok(state) => {
                self.phase = Phase::Backward(Backward {
                    cache,
                    state,
                    least: place.start,
                    at: place.end,
                    end: place.end,
                    start: None,
                });
                Place::Further
            }
            Err(_) => self.simulate(pattern, place.start..text.len(), false),
        }
    }

    fn backward(&mut self, pattern: &Pattern, text: &str, want: Want) -> Place {
        let (dfa, Phase::Backward(back)) = (pattern.reversed(), &mut self.phase) else {
            unreachable!("only a search with the reversed automaton goes back");
        };
        let (least, end) = (back.least, back.end);
        let gone = dfa
            .ok_or(GaveUp)
            .and_then(|dfa| back.run(dfa, text, self.sizes.step));
        let start = match gone {
            Ok(None) => return Place::Further,
            Ok(Some(start)) if start < end && text.is_char_boundary(start) => start,
            _ => return self.simulate(pattern, least..text.len(), false),
        };
        let groups = pattern.regex.captures_len();
        match want {
            Want::Groups if groups > 1 => self.simulate(pattern, start..end, true),
            _ => {
                let captures = pattern.captures([Some(start), Some(end)].into_iter());
                Place::Match(start..end, Some(captures))
            }
        }
    }

    fn window(&mut self, pattern: &Pattern, text: &str, longest: usize) -> Place {
        let end = above(text, self.at.saturating_add(self.sizes.step + longest));
        let found = pattern.regex.search(&Input::new(text).span(self.at..end));
        let sure = if end == text.len() {
            end
        } else {
            end - longest
        };
        match found {
            Some(found) if found.start() <= sure => Place::In(found.start()..end),
            _ if end == text.len() => Place::Nowhere,
            _ => {
                // No match begins inside a character.
                let on = below(text, sure);
                self.at = if on > self.at { on } else { above(text, sure) };
                Place::Further
            }
        }
    }

    /// Goes on with the lazy automaton.
    fn run(&mut self, pattern: &Pattern, text: &str) -> Result<Place, GaveUp> {
        let dfa = pattern.automaton().ok_or(GaveUp)?;
        let bytes = text.as_bytes();
        let automaton = self.automaton.get_or_insert_with(|| Automaton {
            cache: dfa.create_cache(),
            state: None,
            clean: 0,
            end: None,
        });
        let cache = &mut automaton.cache;
        let start_at = |cache: &mut Cache, at: usize| {
            let before = at.checked_sub(1).map(|i| bytes[i]);
            let config = start::Config::new()
                .anchored(Anchored::No)
                .look_behind(before);
            dfa.start_state(cache, &config).map_err(|_| GaveUp)
        };
        let mut state = match automaton.state {
            Some(state) => state,
            None => {
                (automaton.clean, automaton.end) = (self.at, None);
                start_at(cache, self.at)?
            }
        };
        let stop = bytes.len().min(self.at + self.sizes.step);
        while self.at < stop {
            let near = stop.min(self.at + self.sizes.look);
            for (i, &byte) in bytes[self.at..near].iter().enumerate() {
                state = dfa.next_state(cache, state, byte).map_err(|_| GaveUp)?;
                if state.is_tagged() {
                    if state.is_match() {
                        // It is told one byte late.
                        automaton.end = Some(self.at + i);
                    } else if state.is_dead() {
                        return Ok(automaton.place());
                    } else if state.is_quit() {
                        return Err(GaveUp);
                    }
                }
            }
            self.at = near;
            // Asking for the state in which a search would begin may make one, which must not clear the cache.
            if automaton.end.is_none()
                && text.is_char_boundary(near)
                && cache.memory_usage() < CACHE_BYTES / 2
                && start_at(cache, near)? == state
            {
                automaton.clean = near;
            }
        }
        if self.at == bytes.len() {
            let last = dfa.next_eoi_state(cache, state).map_err(|_| GaveUp)?;
            if last.is_match() {
                automaton.end = Some(bytes.len());
            }
            return Ok(automaton.place());
        }
        automaton.state = Some(state);
        Ok(Place::Further)
    }
}

impl Automaton {
    fn place(&mut self) -> Place {
        self.state = None;
        match self.end {
            Some(end) => Place::In(self.clean..end),
            None => Place::Nowhere,
        }
    }
}

impl Backward {
    /// Goes on towards the beginning; at the end, where the match begins.
    fn run(&mut self, dfa: &DFA, text: &str, step: usize) -> Result<Option<usize>, GaveUp> {
        let bytes = text.as_bytes();
        let cache = &mut self.cache;
        let stop = self.least.max(self.at.saturating_sub(step));
        for at in (stop..self.at).rev() {
            let next = dfa.next_state(cache, self.state, bytes[at]);
            self.state = next.map_err(|_| GaveUp)?;
            if self.state.is_tagged() {
                if self.state.is_match() {
                    // It is told one byte late.
                    self.start = Some(at + 1);
                } else if self.state.is_dead() {
                    return self.start.map(Some).ok_or(GaveUp);
                } else if self.state.is_quit() {
                    return Err(GaveUp);
                }
            }
        }
        self.at = stop;
        if stop > self.least {
            return Ok(None);
        }
        let last = match stop.checked_sub(1) {
            Some(before) => dfa.next_state(cache, self.state, bytes[before]),
            None => dfa.next_eoi_state(cache, self.state),
        };
        let last = last.map_err(|_| GaveUp)?;
        if last.is_quit() {
            return Err(GaveUp);
        }
        if last.is_match() {
            self.start = Some(stop);
        }
        self.start.map(Some).ok_or(GaveUp)
    }
}

/// The last position up to `at`, or the first from it on, at which a character begins.
fn below(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(0)
}
fn above(text: &str, at: usize) -> usize {
    (at..text.len())
        .find(|&at| text.is_char_boundary(at))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bounds of the groups of the first match from `from` on, by steps.
    fn find(
        pattern: &Pattern,
        search: &mut Search,
        text: &str,
        from: usize,
        want: Want,
    ) -> Option<Vec<Option<Range<usize>>>> {
        let spans = |captures: &Captures| {
            let spans = captures.iter().map(|span| span.map(|span| span.range()));
            spans.collect::<Vec<_>>()
        };
        loop {
            match search.step(pattern, text, from, want) {
                Place::Further => {}
                Place::Nowhere => return None,
                Place::In(place) => {
                    let mut captures = pattern.regex.create_captures();
                    let input = Input::new(text).span(place);
                    pattern.regex.search_captures(&input, &mut captures);
                    return captures.is_match().then(|| spans(&captures));
                }
                Place::Match(range, None) => return Some(vec![Some(range)]),
                Place::Match(_, Some(captures)) => return Some(spans(&captures)),
            }
        }
    }

    const PATTERNS: &[&str] = &[
        "a",
        "ab",
        "a+",
        "a.*b",
        "(?s)a.*b",
        "(?s)a.*?b|c",
        "^a",
        "a$",
        "(?m)^a.*$",
        r"\ba",
        r"a\b",
        r"\bab*\b",
        r"\Ba",
        r"(?-u:\b)a+b*",
        "",
        "a*",
        "b*?",
        "(a|ab)(c|bcd)",
        "a|aa|aab+",
        "ä+b",
        "[^a]b",
        r"\w+é",
        "(?i)AB+",
        "ab|ba|c+b",
        r"\z",
        r"a\z",
        "a{3,5}b",
        "b+a{0,2}",
        r"(?:a+b)+c",
        r"\b\w+\b",
        "x",
        r"(?R)a$",
        "a(?s:.)b",
        r"a\s+b",
        "(?:)|a",
        "c(?:ab)*?$",
    ];

    fn texts() -> impl Iterator<Item = String> {
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        (0..60).map(move |round| {
            let mut next = |n: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % n
            };
            let letters: &[char] = match round % 4 {
                0 => &['a', 'b'],
                1 => &['a', 'b', 'c', ' ', '\n'],
                2 => &['a', 'b', 'ä', 'é', ' ', '\n', '€', '😀'],
                _ => &['x', 'x', 'x', 'y', 'a', 'b', ' '],
            };
            let length = next(90);
            (0..length)
                .map(|_| letters[next(letters.len() as u64) as usize])
                .collect()
        })
    }

    #[test]
    fn steps_find_what_the_engine_finds() {
        for source in PATTERNS {
            let expected = regex::Regex::new(source).unwrap();
            let mut patterns = [Pattern::new(source).unwrap(), Pattern::new(source).unwrap()];
            // The automaton is tried for those that do not need it, too.
            patterns[1].longest = None;
            for pattern in &patterns {
                for (step, look) in [(1, 1), (5, 2), (16, 8)] {
                    let mut search = Search::new(Sizes {
                        long: 0,
                        step,
                        look,
                        moves: step,
                    });
                    for text in texts() {
                        for from in (0..=text.len()).filter(|&from| text.is_char_boundary(from)) {
                            let groups = expected.captures_at(&text, from).map(|captures| {
                                let groups = captures.iter();
                                groups
                                    .map(|group| group.map(|g| g.range()))
                                    .collect::<Vec<_>>()
                            });
                            let context =
                                || format!("{source:?} in {text:?} from {from}, steps of {step}");
                            let found = find(pattern, &mut search, &text, from, Want::Groups);
                            assert_eq!(found, groups, "{}", context());
                            let found = find(pattern, &mut search, &text, from, Want::Span);
                            let whole = |groups: Option<Vec<Option<Range<usize>>>>| {
                                groups.map(|all| all[0].clone())
                            };
                            assert_eq!(whole(found), whole(groups.clone()), "{}", context());
                            let found = find(pattern, &mut search, &text, from, Want::Any);
                            assert_eq!(found.is_some(), groups.is_some(), "{}", context());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_search_without_a_match_makes_steps() {
        let text = "abc ".repeat(20_000);
        for source in ["x", "x+", r"\bx\b", "a.*x", r"\d{2,}-"] {
            let pattern = Pattern::new(source).unwrap();
            let mut search = Search::new(Sizes {
                long: 1000,
                step: 1000,
                look: 100,
                moves: 1000,
            });
            let mut steps = 0;
            while matches!(
                search.step(&pattern, &text, 0, Want::Groups),
                Place::Further
            ) {
                steps += 1;
            }
            assert!(steps >= 70, "{source}: {steps}");
        }
    }
}
