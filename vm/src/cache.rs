//! A thread's table of members: (type, name) -> slot of the field or index of the method.
//!
//! Inline caches in the code remember one type; where several types meet at one place, this table answers. A name is a field or a method of
//! a type, or both; what is looked for is part of the key.

/// One remembered member.
#[derive(Clone, Copy, Default)]
pub(crate) struct Entry {
    pub(crate) key: u64,
    pub(crate) index: u32,
}

/// Entries of the table; a power of two.
pub(crate) const SIZE: usize = 1024;

/// What is looked for. Symbols stay below 2^29.
pub(crate) const FIELD: u64 = 0;
pub(crate) const METHOD: u64 = 1 << 63;
/// A field that may be assigned.
pub(crate) const VAR_FIELD: u64 = 1 << 62;

/// Type ids start at 1, so no key is 0.
#[inline(always)]
pub(crate) fn key(type_id: u32, symbol: u32, what: u64) -> u64 {
    type_id as u64 | (symbol as u64) << 32 | what
}
/// Where a key lies.
#[inline(always)]
pub(crate) fn slot(key: u64) -> usize {
    ((key ^ key >> 29) as usize).wrapping_mul(5) & (SIZE - 1)
}
