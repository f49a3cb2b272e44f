//! Where tasks and threads were started: chains of places, each interned, so that a task carries one number and keeps nothing of its starter alive.

use crate::module::Proto;
use crate::sync::Lock;
use std::collections::HashMap;

/// No place: what the host started.
pub(crate) const NO_SITE: u32 = 0;
/// A starter that is found again within so many ancestors closes a circle: the chain does not grow. (Each task that starts its successor would make one longer for ever.)
const CIRCLE: usize = 8;
/// Reports show so many, so that chains are no longer: starters beyond are forgotten.
const SHOWN: usize = 8;
/// When there are so many chains (who starts whom may be random), a new one is the place alone.
const MOST_SITES: usize = 1 << 16;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Site {
    /// The chain of the starter.
    parent: u32,
    proto: *const Proto,
    word: u32,
    /// Of how many places the chain is.
    len: u32,
}

#[derive(Default)]
struct Table {
    /// Number n is at n - 1.
    sites: Vec<Site>,
    numbers: HashMap<Site, u32>,
}

// SAFETY: prototypes are shared and live as long as the engine.
unsafe impl Send for Table {}

impl Table {
    fn len(&self, number: u32) -> usize {
        match number {
            NO_SITE => 0,
            number => self.sites[number as usize - 1].len as usize,
        }
    }
    fn site(&self, parent: u32, place: (*const Proto, u64)) -> Site {
        Site {
            parent,
            proto: place.0,
            word: place.1 as u32,
            len: self.len(parent) as u32 + 1,
        }
    }
    fn find(&self, parent: u32, place: (*const Proto, u64)) -> Option<u32> {
        self.numbers.get(&self.site(parent, place)).copied()
    }
    /// The chain's number, which it gets now if it is new.
    fn add(&mut self, parent: u32, place: (*const Proto, u64)) -> u32 {
        let site = self.site(parent, place);
        *self.numbers.entry(site).or_insert_with(|| {
            self.sites.push(site);
            self.sites.len() as u32
        })
    }
    fn chain(&self, number: u32) -> Vec<(*const Proto, u64)> {
        let mut places = Vec::new();
        let mut at = number;
        while at != NO_SITE && places.len() < SHOWN {
            let site = self.sites[at as usize - 1];
            places.push((site.proto, u64::from(site.word)));
            at = site.parent;
        }
        places
    }
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct Sites(Lock<Table>);

impl Sites {
    /// The number of a chain: `place` in front of the chain of who started something there.
    pub(crate) fn intern(&self, parent: u32, place: (*const Proto, u64)) -> u32 {
        let table = &mut *self.0.lock();
        let mut at = parent;
        for _ in 0..CIRCLE {
            if at == NO_SITE {
                break;
            }
            let ancestor = table.sites[at as usize - 1];
            if (ancestor.proto, ancestor.word) == (place.0, place.1 as u32) {
                return at;
            }
            at = ancestor.parent;
        }
        if table.sites.len() >= MOST_SITES {
            return table
                .find(parent, place)
                .unwrap_or_else(|| table.add(NO_SITE, place));
        }
        if table.len(parent) < SHOWN {
            return table.add(parent, place);
        }
        let mut places = table.chain(parent);
        places.truncate(SHOWN - 1);
        let start = places
            .into_iter()
            .rev()
            .fold(NO_SITE, |parent, place| table.add(parent, place));
        table.add(start, place)
    }
    /// The places of a chain, the nearest first.
    pub(crate) fn chain(&self, number: u32) -> Vec<(*const Proto, u64)> {
        self.0.lock().chain(number)
    }
}

/// What a carrier remembers of `Sites`: the last places, by the address of the instruction.
pub(crate) struct SiteCache([(u32, *const u64, u32); CACHED]);

const CACHED: usize = 32;

impl SiteCache {
    pub(crate) fn new() -> SiteCache {
        SiteCache([(0, std::ptr::null(), 0); CACHED])
    }
    fn slot(parent: u32, pc: *const u64) -> usize {
        ((pc as usize / 8) ^ parent as usize) % CACHED
    }
    pub(crate) fn get(&self, parent: u32, pc: *const u64) -> Option<u32> {
        let entry = self.0[SiteCache::slot(parent, pc)];
        (entry.0 == parent && entry.1 == pc).then_some(entry.2)
    }
    pub(crate) fn set(&mut self, parent: u32, pc: *const u64, site: u32) {
        self.0[SiteCache::slot(parent, pc)] = (parent, pc, site);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(at: u64) -> (*const Proto, u64) {
        (std::ptr::null(), at)
    }

    #[test]
    fn a_ring_of_many_places_makes_few_chains() {
        let sites = Sites::default();
        let mut at = NO_SITE;
        for i in 0..10_000 {
            at = sites.intern(at, place(i % 20));
        }
        let nearest = (0..SHOWN as u64).map(|i| place((9_999 - i) % 20));
        assert_eq!(sites.chain(at), nearest.collect::<Vec<_>>());
        assert!(sites.0.lock().sites.len() <= 20 * SHOWN);
    }

    #[test]
    fn chains_in_any_order_do_not_grow_for_ever() {
        let sites = Sites::default();
        let (mut at, mut random) = (NO_SITE, 1_u64);
        for _ in 0..300_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            at = sites.intern(at, place((random >> 33) % 100));
        }
        assert!(sites.0.lock().sites.len() <= MOST_SITES + SHOWN + 100);
    }
}
