//! Memory that will be read soon is called for: of many objects, tasks or timers none is in a cache, and who goes from one to the next waits at each.

/// Calls for what begins at an address, `LINES` cache lines of 64 bytes; where that cannot be asked, does nothing.
#[inline(always)]
pub(crate) fn prefetch<const LINES: usize, T>(start: *const T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    for line in 0..LINES {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, for which any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.wrapping_byte_add(64 * line).cast()) };
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    for line in 0..LINES {
        // SAFETY: as above.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{}]",
                in(reg) start.wrapping_byte_add(64 * line),
                options(nostack, preserves_flags, readonly),
            );
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = start;
    #[cfg(miri)]
    let _ = start;
}
