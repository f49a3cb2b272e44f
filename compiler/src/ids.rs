//! Maps and sets by numbers that the compiler has given out itself: names, bindings, nodes of the tree. Nobody outside chooses these keys, so a multiplication is hash enough;
//! the standard library's hash, which nobody can foresee, took a twelfth of the time in which the prelude is compiled.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;
pub(crate) type IdSet<K> = HashSet<K, BuildHasherDefault<IdHasher>>;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IdHasher(u64);

impl IdHasher {
    #[inline]
    fn add(&mut self, number: u64) {
        /// Odd, its bits without a pattern.
        const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;
        self.0 = self.0.wrapping_add(number).wrapping_mul(FACTOR);
    }
}

impl Hasher for IdHasher {
    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }
    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.add(u64::from(byte));
        }
    }
    #[inline]
    fn finish(&self) -> u64 {
        // The table takes the lowest bits, and the highest are the best.
        self.0.rotate_left(26)
    }
}
