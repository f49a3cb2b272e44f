//! What tasks wait for, in words: states, the report of a deadlock, dumps.
//!
//! Contract of the functions about tasks: their thread is mounted here, or nobody has it mounted and nobody will while they are looked at (every carrier is idle or
//! was stopped, or the thread is held). What a waiting task waits for is alive: its registers or its heap hold it.

use super::wakers::Wakers;
use super::{Parts, Thread};
use crate::counted::Counted;
use crate::io::Source;
use crate::sched::ThreadBlock;
use crate::sched::scope::{self, Scope};
use crate::sched::wait::{Owner, Waiter};
use crate::shared::ObjectState;
use crate::sync::Ordering;
use crate::task::{Task, Wait, flag};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Tasks beyond this are counted only.
const MOST_LISTED: usize = 1000;
/// Members of a scope, arms of a `select` that are named.
pub(super) const MOST_NAMED: usize = 8;

/// What is known of a task at one moment.
pub(crate) struct TaskEntry {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) state: &'static str,
    /// What it waits for, and who could wake it.
    pub(crate) waits_for: Option<String>,
    /// `file.hd:3:5`; empty if it is not known.
    pub(crate) place: String,
}

impl TaskEntry {
    /// `task 3 'left'`.
    pub(crate) fn title(&self) -> String {
        title("task", self.id, self.name.as_deref())
    }
}

pub(crate) fn title(what: &str, id: u64, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{what} {id} '{name}'"),
        None => format!("{what} {id}"),
    }
}

/// The same of a thread.
pub(crate) struct ThreadEntry {
    pub(crate) id: u64,
    pub(crate) name: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) tasks: Vec<TaskEntry>,
}

/// A thread's parts, wherever they are.
///
/// # Safety
/// See the head of the file.
pub(super) unsafe fn parts_of(block: &ThreadBlock) -> &Parts {
    // SAFETY: promised by the caller. The parts of a mounted thread stay where they are.
    unsafe { &(*block.parts.get()).parts }
}
/// The tasks of a thread, in the order of their numbers.
///
/// # Safety
/// See the head of the file.
pub(super) unsafe fn tasks_of(block: &ThreadBlock) -> Vec<*mut Task> {
    // SAFETY: promised by the caller; tasks of the list are alive.
    unsafe {
        let mut tasks = parts_of(block).tasks.to_vec();
        tasks.sort_by_key(|task| (**task).id());
        tasks
    }
}

/// What a waiting task waits for, in a few words.
///
/// # Safety
/// See the head of the file.
pub(crate) unsafe fn wait_name(task: *mut Task) -> &'static str {
    // SAFETY: promised by the caller.
    unsafe {
        match ((*task).wait, Waiter::owner_of(&raw const (*task).waiter).0) {
            (Wait::Gate | Wait::Next, Owner::Shared(object)) => match &*(*object).state.lock() {
                ObjectState::Gate(gate) if gate.is_barrier => "wait of a barrier",
                ObjectState::Gate(_) => "wait of a latch",
                ObjectState::Slot(_) => Wait::Subscriber.name(),
                ObjectState::Queue(_) => Wait::Queue.name(),
                _ => (*task).wait.name(),
            },
            (wait, _) => wait.name(),
        }
    }
}

/// What `.state` says of a task that waits.
///
/// # Safety
/// See the head of the file.
pub(crate) unsafe fn state_of_waiting(task: *mut Task) -> String {
    // SAFETY: promised by the caller.
    unsafe {
        let pinned = if (*task).is(flag::IS_PINNED) {
            "pinned, "
        } else {
            ""
        };
        format!("{pinned}waiting for {}", wait_name(task))
    }
}

/// `task 2 'second'`, and of which thread, if that is another than `seen_from`.
///
/// # Safety
/// See the head of the file.
pub(super) unsafe fn title_from(task: *mut Task, seen_from: *const ThreadBlock) -> String {
    // SAFETY: promised by the caller; a task's block is alive.
    unsafe {
        let title = (*task).title();
        if (*task).block == seen_from {
            return title;
        }
        format!("{title} of {}", (*(*task).block).title())
    }
}

/// What one arm of a `select` waits for.
///
/// # Safety
/// See the head of the file.
unsafe fn arm_text(waiter: &Waiter, seen_from: *const ThreadBlock) -> String {
    // SAFETY: promised by the caller.
    unsafe {
        let (owner, list) = Waiter::owner_of(waiter);
        match owner {
            Owner::Shared(object) => match &*(*object).state.lock() {
                ObjectState::Channel(_) if list == 0 => Wait::Receive.name(),
                ObjectState::Channel(_) => Wait::Send.name(),
                ObjectState::Slot(_) => Wait::Subscriber.name(),
                ObjectState::Queue(_) => Wait::Queue.name(),
                _ => "something",
            }
            .into(),
            Owner::Task(other) => format!("join of {}", title_from(other, seen_from)),
            Owner::Thread(block) => format!("join of {}", (*block).title()),
            Owner::Timers(_) => "the time limit".into(),
            Owner::Scope(_) | Owner::None => "nothing".into(),
        }
    }
}

fn listed(mut names: Vec<String>) -> String {
    let count = names.len();
    names.truncate(MOST_NAMED);
    listed_of(names, count)
}
/// The names of the first few of so many.
pub(super) fn listed_of(names: Vec<String>, count: usize) -> String {
    let left_out = count - names.len();
    let mut text = names.join(", ");
    if left_out > 0 {
        let _ = write!(text, " and {left_out} more");
    }
    text
}

/// Who belongs to which scope.
#[derive(Default)]
pub(super) struct Members(HashMap<*const Scope, Vec<String>>);

impl Members {
    /// # Safety
    /// See the head of the file, for all these threads.
    pub(super) unsafe fn of(threads: &[Counted<ThreadBlock>]) -> Members {
        let mut members = Members::default();
        for block in threads {
            if let Some(scope) = &block.scope {
                let names = members.0.entry(Arc::as_ptr(scope)).or_default();
                names.push(block.title());
            }
            // SAFETY: promised by the caller.
            for task in unsafe { tasks_of(block) } {
                // SAFETY: as above.
                unsafe {
                    let innermost = (*task).scope.as_ref();
                    if let Some(scope) = scope::membership(task, innermost)
                        && scope.block.as_ptr() == Counted::as_ptr(block)
                    {
                        let names = members.0.entry(Arc::as_ptr(&scope)).or_default();
                        names.push((*task).title());
                    }
                }
            }
        }
        members
    }
}

/// What a waiting task waits for, and who could wake it.
///
/// # Safety
/// See the head of the file.
pub(super) unsafe fn wait_text(task: *mut Task, members: &Members) -> String {
    // SAFETY: promised by the caller.
    unsafe {
        let here = (*task).block;
        let name = wait_name(task);
        match ((*task).wait, Waiter::owner_of(&raw const (*task).waiter).0) {
            (Wait::Join, Owner::Task(other)) => format!("{name}, {}", title_from(other, here)),
            (Wait::JoinThread, Owner::Thread(block)) => format!("{name}, {}", (*block).title()),
            (Wait::Lock, Owner::Shared(object)) => match &*(*object).state.lock() {
                ObjectState::Mutex(mutex) => match mutex.holder {
                    Some(holder) => format!("{name}, held by {}", title_from(holder, here)),
                    None => name.into(),
                },
                _ => name.into(),
            },
            (Wait::Gate, Owner::Shared(object)) => match &*(*object).state.lock() {
                ObjectState::Gate(gate) if gate.is_barrier => {
                    format!("{name}, where {} of {} are", gate.left, gate.parties)
                }
                ObjectState::Gate(gate) if gate.left == 1 => {
                    format!("{name}, to be counted down once more")
                }
                ObjectState::Gate(gate) => {
                    format!("{name}, to be counted down {} times more", gate.left)
                }
                _ => name.into(),
            },
            (Wait::Once, Owner::Shared(object)) => match &*(*object).state.lock() {
                ObjectState::Once(once) => match once.runner() {
                    Some(runner) => format!("{name}, made by {}", title_from(runner, here)),
                    None => name.into(),
                },
                _ => name.into(),
            },
            (Wait::Io, Owner::Shared(object)) => {
                let title = match &*(*object).state.lock() {
                    ObjectState::Source(_) => Source::of_object(object).title(),
                    _ => return name.into(),
                };
                format!("{name}: {title}")
            }
            (Wait::Work, _) => match (*task).more_if_any().and_then(|m| m.native.as_ref()) {
                Some(native) => format!("{name}: {}", native.def.public_name()),
                None => name.into(),
            },
            (Wait::Scope, _) => {
                let scope = (*task).scope.as_ref().map(Arc::as_ptr);
                match scope.and_then(|scope| members.0.get(&scope)) {
                    Some(names) => format!("{name}: {}", listed(names.clone())),
                    None => name.into(),
                }
            }
            (Wait::Select, _) => {
                let arms = match (*task).more_if_any() {
                    Some(more) => &more.arms[..],
                    None => &[],
                };
                let arms = arms.iter().map(|arm| arm_text(&arm.waiter, here));
                format!("{name} of {}", listed(arms.collect()))
            }
            _ => name.into(),
        }
    }
}

impl Thread {
    /// What is known of a task now.
    ///
    /// # Safety
    /// See the head of the file.
    pub(super) unsafe fn task_entry(&self, task: *mut Task, members: &Members) -> TaskEntry {
        // SAFETY: promised by the caller.
        unsafe {
            let is_waiting = (*task).wait != Wait::None && (*task).claim.is_waiting();
            let mut place = if (*task).is_mounted() {
                crate::error::place_of(self.base, self.pc)
            } else {
                crate::error::place_of((*task).base(), (*task).pc)
            };
            if place.is_empty()
                && let Some(&(proto, word)) = self.scheduler.sites.chain((*task).site).first()
            {
                // Only the library's code is on its stack: it is where it was started.
                place = crate::error::place_text(proto, word);
            }
            TaskEntry {
                id: (*task).id(),
                name: (*task).name().map(Into::into),
                state: match is_waiting {
                    true if (*task).is(flag::IS_PINNED) => "pinned, waiting",
                    true => "waiting",
                    false if (*task).is_mounted() => "running",
                    // It stands still below a native frame.
                    false
                        if (*task).is(flag::IS_PINNED)
                            && (*(*task).block).signal.name() == "running" =>
                    {
                        "running"
                    }
                    false => "runnable",
                },
                waits_for: is_waiting.then(|| wait_text(task, members)),
                place,
            }
        }
    }

    /// Who waits for what, where, and who could have woken them, when nothing can.
    pub(crate) fn deadlock_report(&mut self) -> String {
        let mut text = String::from("every task waits and nothing can wake them");
        let mut threads = self.scheduler.threads();
        threads.sort_by_key(|block| block.id);
        let is_main_alone = threads.len() == 1 && threads[0].id == super::carrier::HOST_THREAD;
        // SAFETY: every carrier is idle and nothing can wake one: nobody has a thread mounted.
        unsafe {
            let members = Members::of(&threads);
            let mut wakers = Wakers::of(self, &threads);
            let mut left_out = 0;
            let mut count = 0;
            for block in &threads {
                for task in tasks_of(block) {
                    count += 1;
                    if count > MOST_LISTED {
                        left_out += 1;
                        continue;
                    }
                    let entry = self.task_entry(task, &members);
                    text.push_str("\n  ");
                    if !is_main_alone {
                        let _ = write!(text, "{}, ", block.title());
                    }
                    let waits_for = entry.waits_for.as_deref().unwrap_or("nothing");
                    let _ = write!(text, "{} waits for {waits_for}", (*task).title());
                    if !entry.place.is_empty() {
                        let _ = write!(text, " ({})", entry.place);
                    }
                    if let Some(wakers) = wakers.text(task) {
                        let _ = write!(text, "; {wakers}");
                    }
                }
            }
            if left_out > 0 {
                let _ = write!(text, "\n  and {left_out} more");
            }
        }
        text
    }

    /// What `.state` says of a thread.
    pub(crate) fn thread_state(&mut self, block: &ThreadBlock) -> String {
        if std::ptr::eq(block, self.block.as_ptr()) {
            return "running".into();
        }
        if let Some(name) = block.end_name() {
            return name.into();
        }
        if !block.signal.hold() {
            return block.signal.name().into();
        }
        // SAFETY: the thread is held: nobody mounts it.
        let name = unsafe {
            let tasks = tasks_of(block);
            tasks.first().map(|&task| state_of_waiting(task))
        };
        if !block.signal.finish(false) {
            // Something came meanwhile.
            block.signal.requeue();
            self.scheduler.enqueue_woken(&self.own, block);
        }
        match name {
            Some(state) => state,
            None => "waiting".into(),
        }
    }

    /// All threads and their tasks, while all other carriers stand still. `None`: one did not stop in time.
    pub(crate) fn snapshot(&mut self) -> Option<Vec<ThreadEntry>> {
        self.with_world_stopped(|this| {
            let mut threads = this.scheduler.threads();
            threads.sort_by_key(|block| block.id);
            let mut entries = Vec::new();
            // SAFETY: all other carriers stand still, with nothing mounted.
            unsafe {
                let members = Members::of(&threads);
                for block in &threads {
                    let is_here = Counted::as_ptr(block) == this.block.as_ptr();
                    let tasks = tasks_of(block).into_iter();
                    entries.push(ThreadEntry {
                        id: block.id,
                        name: block.name().map(Into::into),
                        state: match is_here {
                            true => "running",
                            false => block.signal.name(),
                        },
                        tasks: tasks.map(|task| this.task_entry(task, &members)).collect(),
                    });
                }
            }
            entries
        })
    }
    /// Stops all other carriers and does something meanwhile. `None`: one did not stop in time, or stops this one itself, or a thread's heap is held.
    pub(super) fn with_world_stopped<R>(&mut self, f: impl FnOnce(&mut Thread) -> R) -> Option<R> {
        let scheduler = self.scheduler.clone();
        if !scheduler.pause() {
            return None;
        }
        // A thread that holds its heap is not stopped, but may have been left.
        let is_held = scheduler.held_heaps.load(Ordering::Relaxed) > 0;
        let result = (!is_held).then(|| f(self));
        scheduler.resume();
        result
    }
}
