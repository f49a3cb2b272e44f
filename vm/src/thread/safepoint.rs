//! Fuel, slices and safepoints: where a task may be left.

use super::{MIGRATION_FUEL, MIGRATIONS_BY_LENGTH, SLICE_FUEL, Stopped, Stress, Thread};
use crate::heap::{Collect, bundle};
use crate::interp::Exit;
use crate::sched::block::CANCEL;
use crate::sched::choices::ScheduleTrace;
use crate::stretch::Stretches;
use crate::sync::Ordering;
use crate::task::flag;
use crate::types::ErrorKind;

impl Thread {
    #[inline]
    pub(crate) fn begin_stretch(&mut self) {
        if let Some(stretches) = &mut self.stretches {
            stretches.begin();
        }
    }
    #[inline]
    pub(crate) fn end_stretch(&mut self) {
        if self.stretches.is_some() {
            self.note_stretch();
        }
    }
    #[cold]
    pub(super) fn note_stretch(&mut self) {
        if let Some(stretches) = &mut self.stretches
            && stretches.end()
            && !self.base.is_null()
        {
            let place = crate::error::running_place(self);
            self.stretches.as_mut().expect("there are some").longest_at = place;
        }
    }
    /// What was chosen so far, if a seed chooses.
    pub fn schedule_trace(&self) -> Option<ScheduleTrace> {
        self.scheduler.choices.trace()
    }
    /// How often a thread went to another OS thread because its slice was over, under `Stress::Migrate`.
    pub fn carrier_changes(&self) -> u64 {
        self.scheduler.carrier_changes()
    }
    /// What `Options::trace_safepoints` asked for.
    pub fn stretches(&self) -> Option<&Stretches> {
        self.stretches.as_deref()
    }

    /// Charges work of a native (a unit is that of a call, some nanoseconds): what does much between two safepoints brings the next one nearer.
    pub(crate) fn charge_work(&mut self, units: usize) {
        self.fuel = self.fuel.saturating_sub(units.min(1 << 40) as i64);
    }

    /// Calls and backward jumps that the thread may make from now on. Past it the program ends with a `LimitError` that
    /// nothing catches, and no `defer` runs.
    pub fn set_fuel_limit(&mut self, fuel: u64) {
        self.scheduler.set_fuel(fuel);
        self.is_out_of_fuel = false;
        self.start_slice();
    }
    /// A slice is no longer than the depth that is left. As each call takes fuel, calls cannot nest beyond the limit within a slice, however many
    /// large frames have made room for small ones.
    pub(super) fn start_slice(&mut self) {
        let most = match self.stress {
            Stress::None => self.scheduler.settings.slice,
            Stress::Collect | Stress::Suspend => 1,
            Stress::Migrate => {
                let longer = (self.scheduler.carrier_changes() / MIGRATIONS_BY_LENGTH).min(8);
                self.scheduler.settings.slice.min(MIGRATION_FUEL << longer)
            }
        };
        let spent = self.slice - self.fuel.max(0);
        let usual = self.scheduler.choices.slice(spent, most);
        self.slice = usual.min(i64::try_from(self.scheduler.fuel_left()).unwrap_or(i64::MAX));
        if !self.base.is_null() {
            let depth_left = self.depth_left();
            if depth_left < SLICE_FUEL as usize {
                self.lower_stack_limit();
                self.slice = self.slice.min(depth_left.max(1) as i64);
            }
        }
        self.fuel = self.slice;
    }
    /// Makes the next call or backward jump a safepoint; the rest of the slice is given back.
    pub(crate) fn end_slice(&mut self) {
        self.slice -= self.fuel.max(0);
        self.fuel = 0;
    }
    /// Charges the slice that has ended.
    pub(super) fn charge_slice(&mut self) {
        let spent = self.slice - self.fuel.max(0);
        self.scheduler.charge(spent.max(0) as u64);
    }

    /// The time, in nanoseconds since some moment before the program.
    pub(crate) fn clock(&mut self) -> u64 {
        if self.scheduler.choices.is_seeded() {
            // Up to now, so that whatever is set after a look at the clock counts from there.
            self.charge_slice();
            self.scheduler.choices.pass(self.slice - self.fuel.max(0));
            self.slice = self.fuel.max(0);
        }
        self.scheduler.now()
    }

    /// A point at which the task may be left: collects if wanted, sees requests from outside.
    pub(crate) fn safepoint(&mut self) -> Option<Exit> {
        self.end_stretch();
        let exit = self.act_at_safepoint();
        self.begin_stretch();
        exit
    }
    pub(super) fn act_at_safepoint(&mut self) -> Option<Exit> {
        self.charge_slice();
        bundle::settle();
        if self.scheduler.fuel_left() == 0 {
            // SAFETY: `pc` is at the instruction's word; behind it the trace names it.
            self.pc = unsafe { self.pc.add(1) };
            let limit = self.scheduler.fuel_limit();
            self.throw_new(
                ErrorKind::Limit,
                &format!("out of fuel: the limit is {limit}"),
            );
            self.is_out_of_fuel = true;
            return Some(Exit::Ended);
        }
        let spent = (self.slice - self.fuel.max(0)).max(0) as u64;
        self.own.progress.pass();
        self.look_for_watchdog();
        self.start_slice();
        if self.heap.is_held() {
            return self.safepoint_of_held();
        }
        if self.heap.collect_wanted || self.collects_always() {
            self.collect_now(Collect::Minor);
        }
        self.look_at_pressure();
        if self.heap.is_over_limit() {
            self.collect_now(Collect::Full);
            if self.heap.is_over_limit() {
                // The instruction is not run again: step behind it so that the trace names it.
                // SAFETY: `pc` is at the instruction's word.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_limit();
                return self.unwind();
            }
        }
        let ending = self.scheduler.ending.load(Ordering::Relaxed);
        // (What was killed, and what is told to end with the program, has a bound of its own, and its defers run.)
        if self.parts.detached != 0 && self.parts.stopped != Stopped::Killed && ending == 0 {
            self.uncount_if_all_are_detached();
        }
        self.scheduler.tell_if_done();
        if self.scheduler.is_stopping() {
            return Some(Exit::Ended);
        }
        // After an interrupt the program's own thread tidies up, and may wait for others in a scope: for those that were cancelled not longer than if the program had failed.
        let is_ending = ending & CANCEL != 0
            || self.scheduler.is_interrupted.load(Ordering::Relaxed)
                && self.block.id != super::HOST_THREAD
                && self.parts.stopped == Stopped::Cancelled;
        if is_ending {
            self.count_after_failure(spent);
        }
        if self.block.signal.has_requests() {
            self.take_requests();
        }
        // SAFETY: while the loop runs there is a task.
        let is_killed = unsafe { (*self.current).is(flag::IS_KILLED) };
        if is_killed
            && (!self.is_killing && !self.is_in_deferred() || self.uses_up_kill_fuel(spent))
        {
            self.step_to_kill();
            self.begin_kill();
            return self.unwind();
        }
        // Below a host's function the task goes on: it leaves its OS thread only where it waits.
        let may_leave = self.nesting == 0;
        if may_leave && self.scheduler.host_stays() {
            if self.takes_interrupt() {
                // SAFETY: as above.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_cancelled();
                return self.unwind();
            }
            if self.is_called_off() {
                return Some(Exit::Preempted);
            }
        } else if self.scheduler.host_stays() && self.takes_interrupt_nested() {
            // SAFETY: as above.
            self.pc = unsafe { self.pc.add(1) };
            self.throw_cancelled();
            return self.unwind();
        }
        self.scheduler.fire_timers(&self.own);
        self.scheduler.look_at_system(&mut self.own);
        self.scheduler.relieve_workers();
        // Before others have their turn. (Of a host that stays it is the input that is interrupted.)
        if self.engine.has_interrupt() && !self.scheduler.host_stays() {
            self.scheduler.flush_for_interrupt();
            if self.block.id != super::carrier::HOST_THREAD {
                // It is the program that is interrupted, not the thread that happens to run.
                self.interrupt_program(false);
                if may_leave && self.scheduler.is_stopping() {
                    return Some(Exit::Ended);
                }
            } else if self.engine.take_interrupt() {
                self.scheduler.is_interrupted.store(true, Ordering::Relaxed);
                // SAFETY: as above.
                if !unsafe { (*self.current).is(flag::IS_FIRST) } {
                    self.interrupt_program(true);
                }
                // SAFETY: as above.
                self.pc = unsafe { self.pc.add(1) };
                self.throw_new(ErrorKind::Cancelled, "interrupted");
                return self.unwind();
            }
        }
        if self.scheduler.has_backlog(&self.own) {
            if may_leave {
                self.scheduler.help();
                return Some(Exit::Preempted);
            }
            self.be_replaced();
        }
        if self.scheduler.is_paused() {
            return Some(Exit::Preempted);
        }
        if self.stress == Stress::Suspend && self.nesting == 0 && self.is_stress_due() {
            Some(Exit::Preempted)
        } else {
            None
        }
    }
}
