//! The program's memory. Its allocator: threads start and end on different carriers and hand memory over; the system's takes locks for that, and some ten
//! nanoseconds more for each block. (Sanitizers watch the system's: see `tests/sanitizers`.)

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_option_set, mi_option_t, mi_realloc,
    mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};
use std::alloc::{GlobalAlloc, Layout};

#[cfg_attr(not(heddle_sanitized), global_allocator)]
#[cfg_attr(
    heddle_sanitized,
    expect(dead_code, reason = "see the head of the file")
)]
static ALLOCATOR: Allocator = Allocator;

/// What `mi_malloc` aligns blocks to that are at least as large (`MI_MAX_ALIGN_SIZE`).
const ALIGNED: usize = 16;

/// The allocator, asked for an alignment only if it does not give that anyway: what it is asked to align, it makes larger first, unless the size is a power of two.
struct Allocator;

fn is_aligned_anyway(size: usize, align: usize) -> bool {
    align <= ALIGNED && align <= size
}

// SAFETY: blocks are as large and as aligned as was asked for; which of its functions made a block does not matter to the allocator's others.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size will do; layouts have powers of two.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_malloc(size).cast(),
                false => mi_malloc_aligned(size, align).cast(),
            }
        }
    }
    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_zalloc(size).cast(),
                false => mi_zalloc_aligned(size, align).cast(),
            }
        }
    }
    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's: a block of this allocator.
        unsafe { mi_free(block.cast()) }
    }
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let align = layout.align();
        // SAFETY: as above.
        unsafe {
            match is_aligned_anyway(size, align) {
                true => mi_realloc(block.cast(), size).cast(),
                false => mi_realloc_aligned(block.cast(), size, align).cast(),
            }
        }
    }
}

/// `mi_option_purge_delay` of mimalloc.h, which the crate does not name.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds after which pages that are not used go back to the system. Fresh pages cost more than all else that a short task does, and a program that is busy with one
/// burst after the other shall not ask for them anew each time, however long it takes to collect what a burst has returned. One that has nothing to do gives them back at once (`shrunk`).
const PURGE_DELAY_MS: std::ffi::c_long = 1000;

/// `mi_option_arena_reserve` of mimalloc.h.
#[cfg(all(target_os = "linux", not(heddle_sanitized)))]
const ARENA_RESERVE: mi_option_t = 23;
/// KiB of address space that are taken at first; later more at once. The allocator has a table for all of it, which for a gigabyte takes half a megabyte.
#[cfg(all(target_os = "linux", not(heddle_sanitized)))]
const ARENA_RESERVE_KIB: std::ffi::c_long = 32 * 1024;

/// To be called first.
pub(crate) fn set_up() {
    // SAFETY: the program has one OS thread yet, and the option takes any number of milliseconds.
    unsafe { mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Before `main`, since the standard library allocates before that.
#[cfg(target_os = "linux")]
extern "C" fn early() {
    use_huge_pages(false);
    // SAFETY: the program has one OS thread yet; the allocator is asked for nothing before, and its options may be set before it has begun.
    #[cfg(not(heddle_sanitized))]
    unsafe {
        mi_option_set(ARENA_RESERVE, ARENA_RESERVE_KIB);
    }
}
// SAFETY: the system's loader calls what stands in this section before `main`, on the only OS thread; `early` needs nothing of the standard library.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static EARLY: extern "C" fn() = early;

/// The allocator asks the system for huge pages. A small program would fill a few of them, 30 MB, for what takes 3; one with many tasks or much memory needs them, since
/// fresh memory then costs half.
pub(crate) fn large() {
    use_huge_pages(true);
}

/// The allocator gives back what this OS thread has freed. By itself it looks after that only when it is asked for memory, which a program that sleeps does not do.
pub(crate) fn shrunk() {
    // SAFETY: it may be called anywhere.
    unsafe { mi_collect(true) };
}

fn use_huge_pages(is_wanted: bool) {
    #[cfg(target_os = "linux")]
    {
        // Where the system has no such pages, there is nothing to do.
        let _ = rustix::thread::disable_transparent_huge_pages(!is_wanted);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = is_wanted;
}
