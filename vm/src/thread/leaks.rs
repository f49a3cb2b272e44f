//! Tasks that wait for what no live task can reach.
//!
//! **Live** is a task that runs, can run, or waits for time; and each that a live one could wake. What a live task reaches by its registers, by the variables of its thread and by
//! what all threads see, it can use: so who waits in a list of a channel (semaphore …) that is reached is live, and so are the tasks that a handle names (they can be
//! cancelled), those in a scope with a live one (its failure cancels them), and those that wait for the end of a live one. All others are leaks.
//!
//! Whatever is not known for sure counts as reached: no task is named that could still be woken. That the list of all tasks (`Thread.tasks`, `Troop.threads`) reaches
//! everything is left out of account.
//!
//! Contract: all other carriers stand still; nothing is allocated or collected meanwhile.

use super::Thread;
use super::report::{Members, TaskEntry, parts_of, tasks_of};
use super::roots::{Roots, Which};
use crate::counted::Counted;
use crate::object::trace::all_values;
use crate::object::{Handle, Header, HostObject, Kind, TaskObject, type_id};
use crate::sched::ThreadBlock;
use crate::sched::block::Outcome;
use crate::sched::scope::Scope;
use crate::sched::wait::{Owner, WaitList, Waiter};
use crate::shared::ObjectState;
use crate::shared::SharedObject;
use crate::sync::Ordering;
use crate::task::{Task, Wait, flag};
use crate::value::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A task that cannot be woken, and the thread it is of.
pub(crate) struct Leak {
    pub(crate) thread: String,
    pub(crate) task: TaskEntry,
    /// The program does not wait for it.
    is_detached: bool,
}

impl Leak {
    /// `task 2 'forgotten' of thread 1 'main'`.
    pub(crate) fn title(&self) -> String {
        format!("{} of {}", self.task.title(), self.thread)
    }
    fn line(&self) -> String {
        let waits_for = self.task.waits_for.as_deref().unwrap_or("nothing");
        let mut line = format!("{} waits for {waits_for}", self.title());
        if !self.task.place.is_empty() {
            line.push_str(&format!(" ({})", self.task.place));
        }
        line
    }
}

/// What is to be looked at yet.
enum Todo {
    Object(*mut Header),
    Task(*mut Task),
}

struct Finder<'a> {
    machine: &'a mut Thread,
    threads: &'a [Counted<ThreadBlock>],
    /// The tasks of each thread.
    tasks: HashMap<*const ThreadBlock, Vec<*mut Task>>,
    /// The tasks in each scope, members and owner.
    in_scopes: HashMap<*const Scope, Vec<*mut Task>>,
    /// Threads that are members.
    threads_in_scopes: HashMap<*const Scope, Vec<*const ThreadBlock>>,
    live: HashSet<*mut Task>,
    live_threads: HashSet<*const ThreadBlock>,
    /// Objects of heaps and bundles, shared objects, threads, scopes: by address.
    seen: HashSet<usize>,
    todo: Vec<Todo>,
    roots: Roots,
}

impl Finder<'_> {
    fn value(&mut self, value: Value) {
        if value.is_object() && self.seen.insert(value.as_object() as usize) {
            self.todo.push(Todo::Object(value.as_object()));
        }
    }
    fn task(&mut self, task: *mut Task) {
        if self.live.insert(task) {
            self.todo.push(Todo::Task(task));
        }
    }
    /// Those who wait in a list that a live task can change.
    fn waiters(&mut self, list: &WaitList) {
        // SAFETY: the list's lock is held, or it is this thread's; nobody else runs.
        for waiter in unsafe { list.iter() } {
            // SAFETY: waiters in lists are alive.
            let task = unsafe { (*waiter).task() };
            self.task(task);
        }
    }
    fn shared(&mut self, object: *const SharedObject) {
        if !self.seen.insert(object as usize) {
            return;
        }
        let (mut values, mut tasks) = (Vec::new(), Vec::new());
        // SAFETY: a handle that was met leads to it.
        unsafe {
            (*object).state.lock().contents(
                &mut |message| values.push(message.inside()),
                &mut |list| {
                    let waiters = list.iter().map(|waiter| (*waiter).task());
                    tasks.extend(waiters);
                },
            );
        }
        for value in values {
            self.value(value);
        }
        for task in tasks {
            self.task(task);
        }
    }
    /// A thread that can be cancelled or joined.
    fn thread(&mut self, block: &ThreadBlock) {
        if !self.seen.insert(std::ptr::from_ref(block) as usize) {
            return;
        }
        {
            let end = block.end.lock();
            let message = match &end.outcome {
                Outcome::Returned(message)
                | Outcome::Failed(message)
                | Outcome::Refused(message) => message.inside(),
                _ => Value::NIL,
            };
            self.waiters(&end.joiners);
            drop(end);
            self.value(message);
        }
        self.tasks_of(block);
    }
    fn tasks_of(&mut self, block: *const ThreadBlock) {
        for task in self.tasks.get(&block).cloned().unwrap_or_default() {
            self.task(task);
        }
    }
    fn scope(&mut self, scope: &Scope) {
        let scope: *const Scope = scope;
        if !self.seen.insert(scope as usize) {
            return;
        }
        for task in self.in_scopes.get(&scope).cloned().unwrap_or_default() {
            self.task(task);
        }
        let threads = self.threads_in_scopes.get(&scope).cloned();
        for block in threads.unwrap_or_default() {
            self.tasks_of(block);
        }
    }

    fn run(&mut self) {
        while let Some(next) = self.todo.pop() {
            match next {
                Todo::Object(object) => self.visit_object(object),
                Todo::Task(task) => self.visit_task(task),
            }
        }
    }
    fn visit_object(&mut self, object: *mut Header) {
        // SAFETY: met through a live value; nothing moves meanwhile.
        unsafe {
            match (*object).kind {
                Kind::Handle => {
                    let target = (*object.cast::<Handle>()).target;
                    match (*object).type_id {
                        type_id::THREAD => self.thread(&*target.cast::<ThreadBlock>()),
                        type_id::TROOP => {}
                        _ => self.shared(target.cast()),
                    }
                }
                Kind::Task => {
                    let task = (*object.cast::<TaskObject>()).task();
                    if !task.is_null() {
                        self.task(task);
                    }
                }
                Kind::Host => {
                    let index = (*object.cast::<HostObject>()).index;
                    let scope = self.host_scope(object, index);
                    if let Some(scope) = scope {
                        self.scope(&scope);
                    }
                }
                _ => {}
            }
            all_values(object, |first, count| {
                for i in 0..count {
                    self.value(*first.add(i));
                }
            });
        }
    }
    /// The scope that a host object of whatever heap holds.
    fn host_scope(&mut self, object: *mut Header, index: u64) -> Option<Arc<Scope>> {
        let of_heap = |heap: &crate::heap::Heap| {
            let hosts = heap.host_objects_if_any()?;
            // Which heap it lies in is not known: the entry must be the object's.
            if hosts.object_of(index) != object {
                return None;
            }
            hosts.get(index)?.downcast_ref::<Arc<Scope>>().cloned()
        };
        let here = of_heap(&self.machine.heap);
        here.or_else(|| {
            let current = self.machine.block.as_ptr();
            let others = self
                .threads
                .iter()
                .filter(|b| Counted::as_ptr(b) != current);
            // SAFETY: nobody has these mounted.
            others
                .filter_map(|block| unsafe { of_heap(&(*block.parts.get()).heap) })
                .next()
        })
    }
    fn visit_task(&mut self, task: *mut Task) {
        // SAFETY: a task of a thread that stands still, or of this one.
        unsafe {
            let values = self.roots.of(self.machine, task, Which::Live);
            for value in values {
                self.value(value);
            }
            self.waiters(&(*task).joiners);
            let mut scope = (*task).scope.clone();
            while let Some(at) = scope {
                self.scope(&at);
                scope = at.parent.clone();
            }
            let block = (*task).block;
            if self.live_threads.insert(block) {
                self.visit_thread_of_live(&*block);
            }
        }
    }
    /// A thread with a live task.
    fn visit_thread_of_live(&mut self, block: &ThreadBlock) {
        // SAFETY: as above.
        let parts = unsafe { parts_of(block) };
        if let Some(more) = parts.more_if_any() {
            for &value in &more.vars {
                self.value(value);
            }
        }
        self.waiters(&block.end.lock().joiners);
        let mut scope = block.scope.clone();
        while let Some(at) = scope {
            self.scope(&at);
            scope = at.parent.clone();
        }
    }
}

/// Whether a task is live whatever others do.
///
/// # Safety
/// The task's thread stands still.
unsafe fn is_live(task: *mut Task) -> bool {
    // SAFETY: promised by the caller.
    unsafe {
        // A subscriber that is dropped wakes who sends to its broadcast, which a collection may do.
        let may_come = |owner| match owner {
            Owner::Timers(_) => true,
            Owner::Shared(object) => {
                matches!(*(*object).state.lock(), ObjectState::Broadcast(_))
            }
            _ => false,
        };
        match (*task).wait {
            Wait::None | Wait::Sleep | Wait::Io | Wait::Work => true,
            _ if !(*task).claim.is_waiting() => true,
            _ if (*task).is(flag::IS_KILLED | flag::CANCEL_PENDING) => true,
            Wait::Broadcast => true,
            Wait::Select => {
                let more = (*task).more_if_any();
                more.is_some_and(|more| {
                    more.arms
                        .iter()
                        .any(|arm| may_come(Waiter::owner_of(&raw const arm.waiter).0))
                })
            }
            _ => false,
        }
    }
}

impl Thread {
    /// The tasks that cannot be woken any more. `None`: another carrier did not stop in time.
    pub(crate) fn find_leaks(&mut self) -> Option<Vec<Leak>> {
        self.with_world_stopped(|this| this.leaks_of_stopped(&[]))
    }
    /// The program's own task has returned: which detached tasks, and tasks of detached threads, nothing will ever wake. What the top level of the module held to its end
    /// counts as reached: whoever serves a channel there is no leak.
    #[cold]
    pub(crate) fn note_leaks_at_exit(&mut self) {
        const MOST_TASKS: usize = 100_000;
        let proto = self.scheduler.main_function.load(Ordering::Relaxed);
        if proto.is_null()
            || self.parts.tasks.count > MOST_TASKS
            || self.scheduler.thread_count() > MOST_TASKS
        {
            return;
        }
        // SAFETY: prototypes live as long as the engine. The task has run in the run stack from its start; nothing was called since its function returned.
        let roots = unsafe {
            let Some(base) = self.main_registers() else {
                return;
            };
            let written = super::liveness::written(&*proto);
            let registers = (*proto).registers as usize;
            let registers = (0..registers).filter(|&register| written.has(register));
            registers
                .map(|register| *base.add(register))
                .collect::<Vec<_>>()
        };
        let leaks = self.with_world_stopped(|this| this.leaks_of_stopped(&roots));
        let leaks = leaks.into_iter().flatten().filter(|leak| leak.is_detached);
        let lines = leaks.map(|leak| leak.line());
        *self.scheduler.leaks_at_exit.lock() = lines.collect();
    }
    /// The same where all other carriers stand still.
    fn leaks_of_stopped(&mut self, roots: &[Value]) -> Vec<Leak> {
        let mut threads = self.scheduler.threads();
        threads.sort_by_key(|block| block.id);
        let mut finder = Finder {
            machine: self,
            threads: &threads,
            tasks: HashMap::new(),
            in_scopes: HashMap::new(),
            threads_in_scopes: HashMap::new(),
            live: HashSet::new(),
            live_threads: HashSet::new(),
            seen: HashSet::new(),
            todo: Vec::new(),
            roots: Roots::default(),
        };
        let mut scopes: Vec<Arc<Scope>> = Vec::new();
        for block in &threads {
            let block_ptr = Counted::as_ptr(block);
            // SAFETY: its carrier stands still, or is this one.
            let tasks = unsafe { tasks_of(block) };
            let mut at = block.scope.clone();
            while let Some(scope) = at {
                let threads = finder.threads_in_scopes.entry(Arc::as_ptr(&scope));
                threads.or_default().push(block_ptr);
                at = scope.parent.clone();
                scopes.push(scope);
            }
            for &task in &tasks {
                // SAFETY: as above.
                let mut at = unsafe { (*task).scope.clone() };
                while let Some(scope) = at {
                    let tasks = finder.in_scopes.entry(Arc::as_ptr(&scope));
                    tasks.or_default().push(task);
                    at = scope.parent.clone();
                    scopes.push(scope);
                }
            }
            finder.tasks.insert(block_ptr, tasks);
        }
        for block in &threads {
            let tasks = finder.tasks[&Counted::as_ptr(block)].clone();
            let is_asked = block.signal.has_requests();
            for task in tasks {
                // SAFETY: as above.
                if is_asked || unsafe { is_live(task) } {
                    finder.task(task);
                }
            }
            // SAFETY: as above.
            if let Some(more) = unsafe { parts_of(block) }.more_if_any() {
                for &value in &more.handles {
                    finder.value(value);
                }
            }
        }
        for scope in &scopes {
            // It has a time limit, or was cancelled just now.
            if scope.has_timer() || scope.state.lock().is_cancelled {
                finder.scope(scope);
            }
        }
        let engine = finder.machine.engine();
        let modules = engine.all_modules.lock().clone();
        for module in &modules {
            for index in 0..module.globals.len() as u32 {
                finder.value(module.global(index));
            }
        }
        for &value in roots {
            finder.value(value);
        }
        let (thrown, result) = (finder.machine.thrown, finder.machine.result);
        finder.value(thrown);
        finder.value(result);
        finder.run();
        let live = finder.live;
        let mut leaks = Vec::new();
        // SAFETY: as above.
        unsafe {
            let members = Members::of(&threads);
            for block in &threads {
                let is_detached = block.end.lock().is_detached;
                for task in tasks_of(block) {
                    if !live.contains(&task) {
                        leaks.push(Leak {
                            thread: block.title(),
                            task: self.task_entry(task, &members),
                            is_detached: (*task).is(flag::IS_DETACHED) || is_detached,
                        });
                    }
                }
            }
        }
        leaks
    }
}
