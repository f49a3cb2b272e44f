//! Where tasks and threads were started: chains of places, each interned, so that a task carries one number and keeps nothing of its starter alive.

use crate::module::Proto;
use crate::sync::Lock;
use std::collections::HashMap;

/// No place: what the host started.
pub(crate) const NO_SITE: u32 = 0;
/// A starter that is found again within so many ancestors closes a circle: the chain does not grow. (Each task that starts its successor would make one longer for ever.)
const CIRCLE: usize = 8;
/// Reports show so many.
const SHOWN: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Site {
    /// The chain of the starter.
    parent: u32,
    proto: *const Proto,
    word: u32,
}

#[derive(Default)]
struct Table {
    /// Number n is at n - 1.
    sites: Vec<Site>,
    numbers: HashMap<Site, u32>,
}

// SAFETY: prototypes are shared and live as long as the engine.
unsafe impl Send for Table {}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct Sites(Lock<Table>);

impl Sites {
    /// The number of a chain: `place` in front of the chain of who started something there.
    pub(crate) fn intern(&self, parent: u32, place: (*const Proto, u64)) -> u32 {
        let mut table = self.0.lock();
        let site = Site {
            parent,
            proto: place.0,
            word: place.1 as u32,
        };
        let mut at = parent;
        for _ in 0..CIRCLE {
            if at == NO_SITE {
                break;
            }
            let ancestor = table.sites[at as usize - 1];
            if (ancestor.proto, ancestor.word) == (site.proto, site.word) {
                return at;
            }
            at = ancestor.parent;
        }
        if let Some(&number) = table.numbers.get(&site) {
            return number;
        }
        table.sites.push(site);
        let number = table.sites.len() as u32;
        table.numbers.insert(site, number);
        number
    }
    /// The places of a chain, the nearest first.
    pub(crate) fn chain(&self, number: u32) -> Vec<(*const Proto, u64)> {
        let table = self.0.lock();
        let mut places = Vec::new();
        let mut at = number;
        while at != NO_SITE && places.len() < SHOWN {
            let site = table.sites[at as usize - 1];
            places.push((site.proto, u64::from(site.word)));
            at = site.parent;
        }
        places
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
