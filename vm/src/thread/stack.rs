//! The register stack that the mounted task runs on: its limit, its growth, its depth.

use super::mount::{FIRST_SLOTS, TAIL_SLOTS};
use super::{SLACK, SOFT_SLOTS, Thread};
use crate::interp::frame::{self, Frames};
use crate::native::Trap;
use crate::types::ErrorKind;
use crate::value::Value;
use heddle_bytecode::MAX_REGISTERS;

impl Thread {
    /// Makes sure that `slots` slots above the running frame's base may be used by a frame.
    ///
    /// The heap may be collected for that: values that are not roots may move.
    pub(crate) fn ensure_stack(&mut self, slots: usize) -> Result<(), Trap> {
        if !self.has_room(slots) {
            return self.move_stack_limit(slots);
        }
        if self.collects_always() {
            // As where there is no room.
            let before = self.scan_extra;
            self.scan_extra = before.max(slots);
            self.collect_stress();
            self.scan_extra = before;
        }
        Ok(())
    }
    /// As `ensure_stack`, for a call of what no register holds: the function and its arguments as they are then, in `moved` if they may have moved.
    pub(crate) fn ensure_stack_for<'v>(
        &mut self,
        slots: usize,
        function: Value,
        args: &'v [Value],
        moved: &'v mut Vec<Value>,
    ) -> Result<(Value, &'v [Value]), Trap> {
        if self.has_room(slots) && !self.is_stressed() {
            return Ok((function, args));
        }
        let values = std::iter::once(&function).chain(args);
        let kept: Vec<usize> = values.map(|&value| self.new_handle(value)).collect();
        let room = self.ensure_stack(slots);
        moved.extend(kept.iter().map(|&kept| self.handle(kept)));
        kept.into_iter().for_each(|kept| self.free_handle(kept));
        room?;
        Ok((moved[0], &moved[1..]))
    }
    /// Whether `ensure_stack` has nothing to do.
    fn has_room(&self, slots: usize) -> bool {
        let end = self.base.wrapping_add(slots);
        // Without fuel the depth may be used up: frames that no call instruction pushes (operators, hooks) are found here.
        end <= self.stack_limit && self.fuel >= 0
    }

    pub(super) fn move_stack_limit(&mut self, slots: usize) -> Result<(), Trap> {
        if self.depth_left() == 0 {
            let limit = self.depth_limit;
            return Err(self.throw_overflow(&format!("calls nest more than {limit} deep")));
        }
        let used = self.stack_index(self.base) + slots;
        let wanted = used + SLACK;
        if wanted + SLACK > self.stack.capacity {
            let capacity = (self.stack.capacity * 2)
                .max(wanted + SLACK)
                .next_multiple_of(64);
            // The run stack is the carrier's; but who makes it large pays for it.
            let bytes = capacity * size_of::<Value>();
            if self.heap.reserve(bytes).is_err() {
                self.scan_extra = self.scan_extra.max(slots);
                self.collect_full();
                self.scan_extra = 0;
                if self.heap.reserve(bytes).is_err() {
                    return Err(self.throw_overflow("calls nest too deep for the memory limit"));
                }
            }
            self.grow_stack(capacity);
        }
        self.set_soft_limit_for(slots);
        Ok(())
    }
    pub(super) fn throw_overflow(&mut self, message: &str) -> Trap {
        self.throw_new(ErrorKind::StackOverflow, message)
    }
    /// How many frames more the limit of depth allows.
    pub(super) fn depth_left(&mut self) -> usize {
        let depth = self.count_frames();
        self.depth_limit.saturating_sub(depth)
    }
    /// The frames of the mounted stack: those above the last counted one are walked, so that many counts together take few steps more than there
    /// were calls.
    pub(super) fn count_frames(&mut self) -> usize {
        const NOT_WORTH_MARKING: usize = 32;
        let mut above = 0;
        let mut below = 0;
        // SAFETY: the top frame's; the marks are those of the same frames.
        unsafe {
            for frame in Frames::new(self.base, self.pc) {
                let is_counted = frame::ret(frame.base) & frame::COUNTED != 0;
                if is_counted {
                    let at = self.stack_index(frame.base);
                    while self.stack.counted.last().is_some_and(|last| last.0 > at) {
                        self.stack.counted.pop();
                    }
                    let counted = self.stack.counted.last();
                    debug_assert_eq!(counted.map(|last| last.0), Some(at));
                    below = counted.map_or(0, |last| last.1);
                    break;
                }
                above += 1;
            }
            if below == 0 {
                self.stack.counted.clear();
            }
            let depth = below + above;
            if above > NOT_WORTH_MARKING && frame::ret(self.base) != 0 {
                frame::set_mark(self.base, frame::COUNTED);
                let at = self.stack_index(self.base);
                self.stack.counted.push((at, depth));
            }
            depth
        }
    }
    pub(super) fn set_soft_limit(&mut self) {
        // SAFETY: the running frame's prototype.
        let registers = unsafe { (*frame::proto(self.base)).registers as usize };
        self.set_soft_limit_for(registers.max(self.scan_extra));
    }
    /// The depth comes close to its limit: the soft limit must be no higher than the frames above allow.
    pub(super) fn lower_stack_limit(&mut self) {
        self.set_soft_limit();
    }
    /// The soft limit: no further than the stack, than what was cleared, and than the depth that is left allows.
    pub(super) fn set_soft_limit_for(&mut self, slots: usize) {
        let at = self.stack_index(self.base);
        let used = at + slots;
        // The smallest frame takes two slots.
        let by_depth = at.saturating_add(self.depth_left().saturating_mul(2));
        // Twice as far each time: what is below the limit has to be cleared when another thread uses the stack.
        let limit = (used + used.clamp(FIRST_SLOTS, SOFT_SLOTS))
            .min(by_depth)
            .min(self.stack.capacity - SLACK);
        let limit = limit.max(used);
        let before = self.stack_index(self.stack_limit);
        if limit < before {
            // What lies beyond the limit, but for a few slots, is clear.
            let end = (before + self.slots_beyond_limit()).min(self.stack.capacity);
            let from = (limit + TAIL_SLOTS).min(end);
            // SAFETY: the range lies in the stack.
            unsafe { std::ptr::write_bytes(self.stack.start.add(from), 0, end - from) };
        }
        self.has_low_limit |= limit < used + FIRST_SLOTS;
        self.stack_limit = self.stack.start.wrapping_add(limit);
    }
    /// So many slots beyond the limit may have been written since what lies there was clear.
    ///
    /// Arguments that are put in front of others take a few. And a frame writes all its registers without asking again when it goes on behind a call, though the limit may have come
    /// down meanwhile, or be that of another run stack. It is no lower than `FIRST_SLOTS` above the top frame, unless `has_low_limit` says so, and the registers of a caller end no
    /// further beyond the base of its callee than it has registers: so this matters to wide frames only, or under a low limit.
    pub(super) fn slots_beyond_limit(&self) -> usize {
        match self.has_low_limit || self.engine.has_wide_frames() {
            true => TAIL_SLOTS + MAX_REGISTERS,
            false => TAIL_SLOTS,
        }
    }
    /// From now on the limit is where the stack begins, which is clear.
    pub(super) fn forget_stack_limit(&mut self) {
        self.stack_limit = self.stack.start;
        self.has_low_limit = false;
    }
    /// Moves the registers to a larger block; return words are relative, so only `base` and the limit change.
    pub(super) fn grow_stack(&mut self, capacity: usize) {
        let old = self.stack.start;
        self.stack.resize(capacity);
        let moved = |p: *mut Value| {
            let bytes = p as usize - old as usize;
            self.stack.start.wrapping_byte_add(bytes)
        };
        if !self.base.is_null() {
            self.base = moved(self.base);
        }
        self.stack_limit = moved(self.stack_limit);
    }
}
