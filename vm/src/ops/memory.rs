//! How `ops` gets memory and stores values: the one file here that knows the heap's interface.

use super::{OpFail, OpResult};
use crate::heap::Heap;
use crate::object::{Header, Kind};
use crate::value::Value;

/// Up to this many bytes are allocated without asking: the heap lets small objects exceed its limit.
const SMALL: usize = 1024;

/// No string, list or int may be longer than this many bytes, whatever the limit of the heap: lengths are 32 bits.
pub(crate) const MAX_BYTES: usize = u32::MAX as usize - 64;

/// Asks for room for `bytes` more. Called before anything has been changed.
#[inline]
pub(crate) fn reserve(heap: &mut Heap, bytes: usize) -> OpResult<()> {
    if bytes <= SMALL {
        Ok(())
    } else {
        reserve_large(heap, bytes)
    }
}

#[cold]
fn reserve_large(heap: &mut Heap, bytes: usize) -> OpResult<()> {
    heap.reserve(bytes)
        .map_err(|_| OpFail::NeedsCollection(bytes))
}

/// Gives the buffer of `owner` that begins at `items` (null: there is none yet) room for `count` values; `owner` links it at once.
///
/// # Safety
/// `owner` is live and `items` is its own.
#[inline]
pub(crate) unsafe fn grow_values(
    heap: &mut Heap,
    owner: *mut Header,
    items: *mut Value,
    count: usize,
) -> *mut Value {
    heap.grow_buffer(
        owner,
        items.cast(),
        Kind::ValueBuffer,
        count * size_of::<Value>(),
    )
    .cast()
}

/// A fresh, zeroed buffer of bytes, which `owner` links at once.
///
/// # Safety
/// `owner` is live.
pub(crate) unsafe fn raw_buffer(heap: &mut Heap, owner: *mut Header, bytes: usize) -> *mut u8 {
    heap.grow_buffer(owner, std::ptr::null_mut(), Kind::RawBuffer, bytes)
}

/// Stores into a slot of the buffer of `owner`.
///
/// # Safety
/// `owner` is live and `slot` lies in its buffer.
#[inline(always)]
pub(crate) unsafe fn store(heap: &mut Heap, owner: *mut Header, slot: *mut Value, value: Value) {
    // SAFETY: by the contract.
    unsafe { *slot = value };
    heap.barrier_at(owner, slot, value);
}
