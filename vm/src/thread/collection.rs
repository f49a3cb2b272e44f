//! When a thread collects, and what its heap is reached from.

use super::roots::Roots;
use super::{LARGE_BYTES, Parts, SLACK, Stress, Thread};
use crate::account;
use crate::heap::{self, Collect, Extent};
use crate::interp::frame;
use crate::task::flag;
use crate::value::Value;

struct ThreadRoots<'a> {
    thread: &'a mut ThreadParts,
}
/// The thread without its heap, as the collector's roots see it.
struct ThreadParts {
    thread: *mut Thread,
}

impl heap::Roots for ThreadRoots<'_> {
    fn visit(&mut self, extent: Extent, visit: &mut dyn FnMut(*mut Value, usize)) {
        // SAFETY: the collector runs on behalf of this thread and touches only the heap; the fields visited here are others.
        unsafe {
            let t = self.thread.thread;
            if !(*t).base.is_null() {
                visit_stack((*t).base, (*t).scan_extra, extent, visit);
            }
            let current = (*t).current;
            let parts: &Parts = &(*t).parts;
            for task in parts.tasks.iter() {
                // SAFETY: a task of the list. One that waits may be claimed meanwhile: wakers touch other fields.
                let is_touched = (*task).flags & flag::TOUCHED != 0;
                if extent == Extent::Changed && !is_touched {
                    break;
                }
                if (*task).handle.is_object() {
                    visit(&raw mut (*task).handle, 1);
                }
                if let Some(more) = (*task).more_if_any_mut() {
                    visit(&raw mut more.wait_value, 1);
                }
                let base = (*task).base();
                if !base.is_null() {
                    // What lies above its registers in a run stack that it took along is clear.
                    visit_stack(base, (*task).live as usize, extent, visit);
                }
                // One with a threadlet's frames on the stack of the current task, too: it is touched when it gets registers of its own.
                if extent != Extent::Look && task != current {
                    (*task).flags &= !flag::TOUCHED;
                }
            }
            visit(&raw mut (*t).thrown, 1);
            visit(&raw mut (*t).result, 1);
            visit(&raw mut (*t).pending_call.0, 1);
            let pending = &mut (*t).pending_call.1;
            visit(pending.as_mut_ptr(), pending.len());
            let parts: &mut Parts = &mut (*t).parts;
            if extent != Extent::Look && !current.is_null() {
                parts.tasks.put_first(current);
            }
            visit(&raw mut parts.main_result, 1);
            if let Some(more) = parts.more.as_deref_mut() {
                visit(more.handles.as_mut_ptr(), more.handles.len());
                for handle in more.failed.handles() {
                    visit(handle, 1);
                }
                visit(more.vars.as_mut_ptr(), more.vars.len());
            }
        }
    }
}

/// Visits the registers of the frames of a stack, from the top down to where `extent` says; see `frame::SEEN`.
///
/// The closure of a frame may have moved on behalf of another root: its slot is visited before the prototype is asked for.
///
/// # Safety
/// `base` must be that of the stack's top frame.
unsafe fn visit_stack(
    mut base: *mut Value,
    extra: usize,
    extent: Extent,
    visit: &mut dyn FnMut(*mut Value, usize),
) {
    let mut above: Option<*mut Value> = None;
    // SAFETY: promised by the caller; each frame's closure slot lies two below its base, and return words lead to the callers.
    unsafe {
        loop {
            visit(base.sub(2), 1);
            let live = match above {
                // What lies above the callee's closure slot belongs to the callee.
                Some(callee) => callee.sub(2).offset_from(base) as usize,
                None => ((*frame::proto(base)).registers as usize).max(extra),
            };
            visit(base, live);
            above = Some(base);
            let word = frame::ret(base);
            match extent {
                Extent::Look => {}
                Extent::Changed if word & frame::SEEN != 0 => break,
                Extent::Changed | Extent::All => frame::set_mark(base, frame::SEEN),
            }
            if word == 0 {
                break;
            }
            base = base.sub(frame::return_distance(word) + 2);
        }
    }
}

/// A program with less need not look whether it holds what it does not need.
const PRESSURE_BYTES: usize = 32 << 20;

impl Thread {
    #[inline]
    pub(crate) fn is_stressed(&self) -> bool {
        self.stress == Stress::Collect
    }
    /// `--stress=gc`.
    #[inline]
    pub(crate) fn collects_always(&mut self) -> bool {
        self.stress == Stress::Collect && self.is_stress_due()
    }
    /// Every time while the stack is small. A collection reads the whole stack, so above some thousand registers it is every n-th time:
    /// otherwise a recursion of depth n would take n² steps.
    pub(super) fn is_stress_due(&mut self) -> bool {
        const WHOLE_STACK_SLOTS: usize = 4096;
        self.stress_ticks = self.stress_ticks.wrapping_add(1);
        let used = if self.base.is_null() {
            0
        } else {
            self.stack_index(self.base)
        };
        self.stress_ticks
            .is_multiple_of(1 + used / WHOLE_STACK_SLOTS)
    }

    /// Before an operation that allocates: all values are in registers, so this may collect.
    #[inline]
    pub(crate) fn poll(&mut self) {
        if self.heap.collect_wanted || self.collects_always() {
            self.collect_now(Collect::Minor);
        }
    }
    /// After an operation that allocated: the next safepoint collects if need be.
    #[inline]
    pub(crate) fn after_alloc(&mut self) {
        if self.heap.collect_wanted {
            self.end_slice();
        }
    }
    pub(crate) fn collect_stress(&mut self) {
        self.collect_now(Collect::Stress);
    }
    pub(crate) fn collect_full(&mut self) {
        self.collect_now(Collect::Full);
    }
    pub(super) fn collect_now(&mut self, how: Collect) {
        if self.heap.is_held() {
            return;
        }
        let how = match self.stress {
            Stress::None | Stress::Migrate => how,
            Stress::Collect | Stress::Suspend => Collect::Stress,
        };
        self.end_stretch();
        if self.scheduler.choices.is_seeded() {
            self.heap.set_timeless();
        }
        self.own.progress.pause();
        self.trim_tasks(how);
        let mut parts = ThreadParts { thread: self };
        self.heap
            .collect(&mut ThreadRoots { thread: &mut parts }, how);
        if account::total() > LARGE_BYTES {
            self.scheduler.note_large();
        }
        self.own.progress.begin();
        self.clear_above_top();
        self.begin_stretch();
    }
    /// The program has much more memory elsewhere than before: this thread may hold that, by handles that take next to nothing here.
    #[inline]
    pub(super) fn look_at_pressure(&mut self) {
        let total = account::total();
        if total > PRESSURE_BYTES {
            self.relieve_pressure(total);
        }
    }
    #[cold]
    fn relieve_pressure(&mut self, total: usize) {
        let elsewhere = total.saturating_sub(self.heap.used_bytes());
        let at = *self.pressure_at();
        if self.heap.is_held() || elsewhere < PRESSURE_BYTES {
            return;
        }
        if at == 0 {
            *self.pressure_at() = 2 * elsewhere;
        } else if elsewhere > at || self.heap.is_relieving() {
            if !self.heap.is_relieving() {
                self.heap.begin_relief();
            }
            self.collect_now(Collect::Minor);
            if self.heap.is_relieved() {
                let total = account::total();
                let elsewhere = total.saturating_sub(self.heap.used_bytes());
                *self.pressure_at() = 2 * elsewhere.max(PRESSURE_BYTES);
            }
        } else if at > 8 * elsewhere {
            *self.pressure_at() = 4 * elsewhere;
        }
    }
    /// See `Heap::pressure_at`. Of heaps without objects, the carrier knows it of the one that it saw last.
    fn pressure_at(&mut self) -> &mut usize {
        let id = self.block.id;
        if let Some(at) = self.heap.pressure_at() {
            return at;
        }
        if self.pressure.0 != id {
            self.pressure = (id, 0);
        }
        &mut self.pressure.1
    }
    /// Tasks that were left since the last collection let go of what others left in their registers.
    fn trim_tasks(&mut self, how: Collect) {
        let mut roots = std::mem::take(&mut self.roots);
        for task in self.parts.tasks.iter() {
            // SAFETY: tasks of the list are alive.
            if unsafe { !(*task).is(flag::TOUCHED) } {
                break;
            }
            if task != self.current {
                // SAFETY: it does not run; the collection has not begun.
                unsafe { roots.trim(task, how != Collect::Minor) };
            }
        }
        if self.stress != Stress::None && self.nesting == 0 && !self.base.is_null() {
            self.trim_running(&mut roots, true);
        }
        self.roots = roots;
    }
    /// For stress modes: the same of the running task, so that the analysis is tried at each call and safepoint.
    pub(super) fn trim_running(&mut self, roots: &mut Roots, keeps_top: bool) {
        const WHOLE_STACK_SLOTS: usize = 4096;
        let is_whole = self.stack_index(self.base) < WHOLE_STACK_SLOTS;
        if self.boundary == 0 {
            // SAFETY: the running task's frames.
            unsafe { roots.trim_frames(self.base, self.pc, keeps_top, is_whole) };
        }
    }
    /// Registers above the top frame hold values of frames that are gone: what the collector did not see must not be seen later.
    pub(super) fn clear_above_top(&mut self) {
        if self.base.is_null() {
            self.clear_run_stack();
            return;
        }
        // SAFETY: the range lies in the stack.
        unsafe {
            let top = self
                .base
                .add(((*frame::proto(self.base)).registers as usize).max(self.scan_extra));
            let end = self
                .stack_limit
                .add(SLACK)
                .min(self.stack.start.add(self.stack.capacity));
            if top < end {
                std::ptr::write_bytes(top, 0, end.offset_from(top) as usize);
            }
        }
        // No higher than before: what lies between is cleared again and again.
        let before = self.stack_limit;
        self.has_low_limit = false;
        self.set_soft_limit();
        if self.stack_limit > before {
            self.stack_limit = before;
            self.has_low_limit = true;
        }
    }
}
