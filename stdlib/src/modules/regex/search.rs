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
//! Where the automaton gives up (a Unicode word boundary beside a letter that is not ASCII, states beyond its cache) the engine
//! searches the rest at once.

use regex_automata::Anchored;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::{BuildError, Regex};
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
    /// Made when it is first needed; `None`: it cannot be made.
    automaton: OnceLock<Option<DFA>>,
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
        })
    }

    fn automaton(&self) -> Option<&DFA> {
        let made = self.automaton.get_or_init(|| {
            let config = DFA::config()
                .match_kind(MatchKind::LeftmostFirst)
                .unicode_word_boundary(true)
                .cache_capacity(CACHE_BYTES)
                // States that are made anew all the time are slower than what the engine does then.
                .minimum_cache_clear_count(Some(20));
            DFA::builder()
                .configure(config)
                .syntax(syntax::Config::new().utf8(true))
                .thompson(thompson::Config::new().nfa_size_limit(Some(MOST_BYTES)))
                .build(&self.source)
                .ok()
        });
        made.as_ref()
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
}

pub(super) const SIZES: Sizes = Sizes {
    long: 1 << 20,
    step: 128 * 1024,
    look: 4096,
};

/// A search under way.
pub(super) struct Search {
    sizes: Sizes,
    /// Where it began, and how far it has come.
    from: usize,
    at: usize,
    automaton: Option<Automaton>,
}

struct Automaton {
    cache: Cache,
    state: Option<LazyStateID>,
    /// No match begins before this.
    clean: usize,
    /// Where the best match up to now ends.
    end: Option<usize>,
}

/// What a step has found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A direct search of these bytes gives the leftmost match of the rest of the text.
    In(Range<usize>),
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
        }
    }

    /// Goes on with the search for the first match at or behind byte `from`, or begins it.
    pub(super) fn step(&mut self, pattern: &Pattern, text: &str, from: usize) -> Place {
        if text.len() - from <= self.sizes.long {
            return Place::In(from..text.len());
        }
        if self.from != from {
            (self.from, self.at) = (from, from);
            if let Some(automaton) = &mut self.automaton {
                automaton.state = None;
            }
        }
        let place = match pattern.longest {
            Some(longest) => self.window(pattern, text, longest),
            None => self
                .run(pattern, text)
                .unwrap_or(Place::In(from..text.len())),
        };
        if place != Place::Further {
            self.from = usize::MAX;
        }
        place
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

    /// `None`: the automaton does not get any further.
    fn run(&mut self, pattern: &Pattern, text: &str) -> Option<Place> {
        let dfa = pattern.automaton()?;
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
            dfa.start_state(cache, &config).ok()
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
                state = dfa.next_state(cache, state, byte).ok()?;
                if state.is_tagged() {
                    if state.is_match() {
                        // It is told one byte late.
                        automaton.end = Some(self.at + i);
                    } else if state.is_dead() {
                        return Some(automaton.place());
                    } else if state.is_quit() {
                        return None;
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
            if dfa.next_eoi_state(cache, state).ok()?.is_match() {
                automaton.end = Some(bytes.len());
            }
            return Some(automaton.place());
        }
        automaton.state = Some(state);
        Some(Place::Further)
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

    /// The first match from `from` on, by steps.
    fn find(
        pattern: &Pattern,
        search: &mut Search,
        text: &str,
        from: usize,
    ) -> Option<Range<usize>> {
        loop {
            match search.step(pattern, text, from) {
                Place::Further => {}
                Place::Nowhere => return None,
                Place::In(place) => {
                    let found = pattern.regex.search(&Input::new(text).span(place));
                    return found.map(|found| found.range());
                }
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
        (0..400).map(move |round| {
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
                    });
                    for text in texts() {
                        for from in (0..=text.len()).filter(|&from| text.is_char_boundary(from)) {
                            assert_eq!(
                                find(pattern, &mut search, &text, from),
                                expected.find_at(&text, from).map(|found| found.range()),
                                "{source:?} in {text:?} from {from}, steps of {step}"
                            );
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
            });
            let mut steps = 0;
            while search.step(&pattern, &text, 0) == Place::Further {
                steps += 1;
            }
            assert!(steps >= 70, "{source}: {steps}");
        }
    }
}
