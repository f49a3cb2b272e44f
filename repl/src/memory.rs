//! The program's memory. Its allocator: threads start and end on different carriers and hand memory over; the system's takes locks for that, and some ten
//! nanoseconds more for each block. (Sanitizers watch the system's: see `tests/sanitizers`.)

use libmimalloc_sys::{mi_option_set, mi_option_t};

#[cfg(not(heddle_sanitized))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc.h, which the crate does not name.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds after which pages that are not used go back to the system. A burst of tasks gives its memory back; one burst after the other does not ask for it anew each time.
const PURGE_DELAY_MS: std::ffi::c_long = 50;

/// `mi_option_arena_reserve` of mimalloc.h.
const ARENA_RESERVE: mi_option_t = 23;
/// KiB of address space that are taken at first; later more at once. The allocator has a table for all of it, which for a gigabyte takes half a megabyte.
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

/// The allocator asks the system for huge pages. A small program would fill a few of them, 30 MB, for what takes 3; one with many tasks needs them, since fresh memory
/// then costs half.
pub(crate) fn many_tasks() {
    use_huge_pages(true);
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
