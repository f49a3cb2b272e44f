//! Bump spaces: where objects are born, and where the survivors of a copying collection go.
//!
//! A `Space` is a row of chunks; objects are bumped in the last one, whose bump pointer its user holds (the heap keeps its own in
//! its first two words, for the interpreter). Chunks grow with the space, so that a tiny heap stays tiny. Freed chunks of some size
//! are kept in a `ChunkPool`: asking the system for 256 KiB at each collection would cost more than the collection.
//!
//! Invariant: memory between a chunk's `used` and its end holds no object.

use crate::account;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// A young generation is collected when it holds this much.
pub(crate) const NURSERY_BYTES: usize = 256 * 1024;
/// The first chunk of a heap; enough for a few objects.
pub(crate) const FIRST_CHUNK_BYTES: usize = 256;
/// The next ones are at least as big as this.
const MIN_CHUNK_BYTES: usize = 512;
/// Chunks from this size on are worth keeping.
const POOLED_CHUNK_BYTES: usize = 32 * 1024;
/// How much the pool keeps: two nurseries, the one that is emptied and the one that is filled.
const POOL_BYTES: usize = 2 * NURSERY_BYTES;

pub(crate) struct Chunk {
    pub(crate) start: *mut u8,
    pub(crate) bytes: usize,
    pub(crate) used: usize,
}

impl Chunk {
    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 16).expect("a chunk's size is small")
    }
    fn new(bytes: usize) -> Chunk {
        let layout = Chunk::layout(bytes);
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) };
        if start.is_null() {
            handle_alloc_error(layout);
        }
        account::add(bytes);
        Chunk {
            start,
            bytes,
            used: 0,
        }
    }
    fn free(self) {
        account::subtract(self.bytes);
        // SAFETY: allocated in `new` with the same layout; the chunk is gone after this.
        unsafe { dealloc(self.start, Chunk::layout(self.bytes)) }
    }
}

/// Chunks that wait for their next use.
#[derive(Default)]
pub(crate) struct ChunkPool {
    chunks: Vec<Chunk>,
    pub(crate) bytes: usize,
}

impl ChunkPool {
    fn take(&mut self, bytes: usize) -> Chunk {
        if bytes >= POOLED_CHUNK_BYTES / 2
            && let Some(at) = self.chunks.iter().rposition(|c| c.bytes >= bytes)
        {
            let chunk = self.chunks.swap_remove(at);
            self.bytes -= chunk.bytes;
            return chunk;
        }
        Chunk::new(bytes)
    }
    fn put(&mut self, mut chunk: Chunk, poison: bool) {
        if poison {
            // SAFETY: the chunk's memory is ours and holds nothing that is alive.
            unsafe { std::ptr::write_bytes(chunk.start, super::POISON, chunk.used) };
        }
        chunk.used = 0;
        if chunk.bytes >= POOLED_CHUNK_BYTES && self.bytes + chunk.bytes <= POOL_BYTES {
            self.bytes += chunk.bytes;
            self.chunks.push(chunk);
        } else {
            chunk.free();
        }
    }
}

impl Drop for ChunkPool {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            chunk.free();
        }
    }
}

/// A row of chunks; see the head of the file.
#[derive(Default)]
pub(crate) struct Space {
    pub(crate) chunks: Vec<Chunk>,
    /// Sum of the chunks' sizes.
    pub(crate) capacity: usize,
    /// Sum of `used` of all chunks but the last.
    retired: usize,
}

/// The ends of a heap's first chunk, which belongs to a space only from `adopt_first_chunk` on.
pub(crate) fn first_chunk() -> (*mut u8, *mut u8) {
    let chunk = Chunk::new(FIRST_CHUNK_BYTES);
    (chunk.start, chunk.start.wrapping_add(chunk.bytes))
}

impl Space {
    /// Takes over what `first_chunk` returned, given its end.
    pub(crate) fn adopt_first_chunk(&mut self, end: *mut u8) {
        debug_assert!(self.chunks.is_empty());
        self.capacity = FIRST_CHUNK_BYTES;
        self.chunks.push(Chunk {
            start: end.wrapping_sub(FIRST_CHUNK_BYTES),
            bytes: FIRST_CHUNK_BYTES,
            used: 0,
        });
    }
    /// Notes how far the last chunk is filled.
    pub(crate) fn retire(&mut self, bump: *mut u8) {
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.used = bump as usize - chunk.start as usize;
        }
    }
    /// Bytes of objects, given the bump pointer of the last chunk.
    pub(crate) fn used(&self, bump: *mut u8) -> usize {
        match self.chunks.last() {
            Some(chunk) => self.retired + (bump as usize - chunk.start as usize),
            None => 0,
        }
    }
    /// How big the next chunk would be if nothing else mattered: as big as all so far together.
    pub(crate) fn next_chunk_bytes(&self) -> usize {
        self.capacity.clamp(MIN_CHUNK_BYTES, NURSERY_BYTES)
    }
    /// Adds a chunk of at least `bytes` and returns its ends; the last one must have been retired.
    pub(crate) fn add_chunk(&mut self, pool: &mut ChunkPool, bytes: usize) -> (*mut u8, *mut u8) {
        if let Some(chunk) = self.chunks.last() {
            self.retired += chunk.used;
        }
        let chunk = pool.take(bytes);
        let ends = (chunk.start, chunk.start.wrapping_add(chunk.bytes));
        self.capacity += chunk.bytes;
        self.chunks.push(chunk);
        ends
    }
    /// Takes over the chunks of another space; the last of each has been retired, or is our own, which stays the last.
    pub(crate) fn take_over(&mut self, mut other: Space) {
        debug_assert!(!self.chunks.is_empty());
        self.capacity += std::mem::take(&mut other.capacity);
        self.retired += other.chunks.iter().map(|chunk| chunk.used).sum::<usize>();
        let last = self.chunks.len() - 1;
        self.chunks.append(&mut other.chunks);
        let new_last = self.chunks.len() - 1;
        self.chunks.swap(last, new_last);
    }
    /// Gives all chunks back: nothing in them is alive any more.
    pub(crate) fn clear(&mut self, pool: &mut ChunkPool, poison: bool) {
        for chunk in self.chunks.drain(..) {
            pool.put(chunk, poison);
        }
        self.capacity = 0;
        self.retired = 0;
    }
    /// Whether an object could begin here; the last chunk must have been retired.
    pub(crate) fn contains_object(&self, address: *const u8) -> bool {
        self.chunks
            .iter()
            .any(|chunk| (address as usize).wrapping_sub(chunk.start as usize) < chunk.used)
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        for chunk in self.chunks.drain(..) {
            chunk.free();
        }
    }
}
