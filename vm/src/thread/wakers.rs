//! Who could have woken whom, for the report of a deadlock: a task waits for a channel (semaphore, latch …), and those that could send, receive, close or release are the tasks that
//! can get at it: by their variables, whether the code would have used them again or not, by what these lead to, by the names of modules in the functions on their stacks, and in those that
//! these name.
//!
//! That a task can get at it does not say that it would have done something with it; but one that cannot is not to blame.

use super::Thread;
use super::report::{MOST_NAMED, listed_of, parts_of, tasks_of, title_from};
use super::roots::{Roots, Which};
use crate::counted::Counted;
use crate::module::{Head, Link, Module, Proto, Slot};
use crate::object::trace::all_values;
use crate::object::{Closure, Handle, Header, Kind, type_id};
use crate::sched::ThreadBlock;
use crate::sched::wait::{Owner, Waiter};
use crate::shared::SharedObject;
use crate::task::{Task, Wait};
use crate::value::Value;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Objects that are looked at in all: some tenths of a second.
const MOST_OBJECTS: usize = 2_000_000;

/// A list of waiting tasks: of which object, and which of its lists.
type List = (*const SharedObject, u8);

/// The lists in which a task waits, if that alone does not say who could wake it.
///
/// # Safety
/// The task stands still; what it waits for is alive.
unsafe fn lists_of(task: *mut Task) -> Vec<List> {
    let list = |waiter: *const Waiter| {
        // SAFETY: promised by the caller.
        match unsafe { Waiter::owner_of(waiter) } {
            (Owner::Shared(object), list) => Some((object, list)),
            _ => None,
        }
    };
    // SAFETY: promised by the caller.
    unsafe {
        match (*task).wait {
            Wait::Select => {
                let arms = (*task).more_if_any().map(|more| &more.arms[..]);
                let arms = arms.unwrap_or_default().iter();
                arms.filter_map(|arm| list(&raw const arm.waiter)).collect()
            }
            // A holder, or whoever is making the value, is named; the system and workers are no tasks.
            Wait::Lock | Wait::Once | Wait::Io | Wait::Work => Vec::new(),
            _ => Vec::from_iter(list(&raw const (*task).waiter)),
        }
    }
}

/// See the head of the file.
pub(super) struct Wakers {
    /// Of each object for which somebody waits: the tasks that can get at it.
    by_object: HashMap<*const SharedObject, Vec<*mut Task>>,
    /// There was too much to look at.
    is_cut: bool,
    /// Who could have woken those that wait in just these lists: of many tasks most wait in the same.
    by_lists: HashMap<Vec<List>, Others>,
}

/// Tasks that can get at what one waits for, besides those that wait in just the same lists.
struct Others {
    /// The first few.
    few: Vec<*mut Task>,
    count: usize,
    /// With those that wait in the same lists.
    all: usize,
}

impl Wakers {
    /// # Safety
    /// Nobody runs; nothing is allocated or collected meanwhile.
    pub(super) unsafe fn of(machine: &Thread, threads: &[Counted<ThreadBlock>]) -> Wakers {
        let mut roots = Roots::default();
        let mut left = MOST_OBJECTS;
        // SAFETY: promised by the caller.
        unsafe {
            let tasks: Vec<_> = threads.iter().flat_map(|block| tasks_of(block)).collect();
            let lists = tasks.iter().flat_map(|&task| lists_of(task));
            let mut by_object: HashMap<_, _> =
                lists.map(|(object, _)| (object, Vec::new())).collect();
            if by_object.is_empty() {
                left = 0;
            }
            for task in tasks {
                if left == 0 {
                    break;
                }
                let mut search = Search {
                    vars: vars_of(&*(*task).block),
                    seen: HashSet::new(),
                    todo: Vec::new(),
                };
                for value in roots.of(machine, task, Which::Kept) {
                    search.value(value);
                }
                search.run(&mut left, |object| {
                    if let Some(found) = by_object.get_mut(&object) {
                        found.push(task);
                    }
                });
            }
            Wakers {
                is_cut: left == 0,
                by_object,
                by_lists: HashMap::new(),
            }
        }
    }
    /// `task 4 could have woken it`; `None`: what it waits for says who, or it is not known.
    ///
    /// # Safety
    /// As for `of`.
    pub(super) unsafe fn text(&mut self, task: *mut Task) -> Option<String> {
        // SAFETY: promised by the caller.
        unsafe {
            let lists = lists_of(task);
            if lists.is_empty() {
                return None;
            }
            let is_several = lists.len() > 1;
            if !self.by_lists.contains_key(&lists) {
                let others = self.others(&lists);
                self.by_lists.insert(lists.clone(), others);
            }
            let others = &self.by_lists[&lists];
            let names = others.few.iter();
            let names = names.map(|&other| title_from(other, (*task).block));
            match () {
                () if others.count > 0 => {
                    let names = listed_of(names.collect(), others.count);
                    Some(format!("{names} could have woken it"))
                }
                () if self.is_cut => None,
                () if others.all > 1 => {
                    Some("whoever else can get at that waits for it, too".into())
                }
                () if is_several => Some("no other task can get at any of these".into()),
                () => Some("no other task can get at that".into()),
            }
        }
    }
    /// # Safety
    /// As for `of`.
    unsafe fn others(&self, lists: &[List]) -> Others {
        let mut known = HashSet::new();
        let mut others = Others {
            few: Vec::new(),
            count: 0,
            all: 0,
        };
        let reached = lists
            .iter()
            .filter_map(|(object, _)| self.by_object.get(object));
        for &other in reached.flatten().filter(|&&other| known.insert(other)) {
            others.all += 1;
            // SAFETY: promised by the caller.
            let its_own = unsafe { lists_of(other) };
            // Who waits for just the same would have needed a waker, too.
            if its_own.is_empty() || its_own.iter().any(|list| !lists.contains(list)) {
                others.count += 1;
                if others.few.len() < MOST_NAMED {
                    others.few.push(other);
                }
            }
        }
        others
    }
}

/// The variables of a thread.
///
/// # Safety
/// It stands still, as long as they are used.
unsafe fn vars_of(block: &ThreadBlock) -> &[Value] {
    // SAFETY: promised by the caller.
    let more = unsafe { parts_of(block) }.more_if_any();
    more.map_or(&[], |more| &more.vars)
}

/// What one task can get at.
struct Search<'a> {
    vars: &'a [Value],
    /// Objects, shared objects, prototypes: by address.
    seen: HashSet<usize>,
    todo: Vec<Todo>,
}

enum Todo {
    Object(*mut Header),
    Function(*const Proto),
}

impl Search<'_> {
    fn value(&mut self, value: Value) {
        if value.is_object() && self.seen.insert(value.as_object() as usize) {
            self.todo.push(Todo::Object(value.as_object()));
        }
    }
    fn function(&mut self, proto: *const Proto) {
        if self.seen.insert(proto as usize) {
            self.todo.push(Todo::Function(proto));
        }
    }
    fn name(&mut self, module: &Module, slot: Slot) {
        let index = match slot {
            Slot::Global(index) => {
                let published = module.global(index);
                if !published.is_unset() {
                    return self.value(published);
                }
                module.owned_slot(index)
            }
            Slot::Var(index) => module.var_base + index,
        };
        if let Some(&value) = self.vars.get(index as usize) {
            self.value(value);
        }
    }
    /// Goes to everything, and tells of the shared objects on the way.
    ///
    /// # Safety
    /// As for `Wakers::of`.
    unsafe fn run(&mut self, left: &mut usize, mut tell: impl FnMut(*const SharedObject)) {
        while let Some(next) = self.todo.pop() {
            if *left == 0 {
                return;
            }
            *left -= 1;
            // SAFETY: met through what is alive; prototypes and their modules live as long as the engine.
            unsafe {
                match next {
                    Todo::Object(object) => self.visit_object(object, &mut tell),
                    Todo::Function(proto) => self.visit_function(&*proto),
                }
            }
        }
    }
    /// # Safety
    /// The object is alive.
    unsafe fn visit_object(
        &mut self,
        object: *mut Header,
        tell: &mut impl FnMut(*const SharedObject),
    ) {
        // SAFETY: promised by the caller.
        unsafe {
            match (*object).kind {
                Kind::Handle if matches!((*object).type_id, type_id::THREAD | type_id::TROOP) => {}
                Kind::Handle => {
                    let shared: *const SharedObject = (*object.cast::<Handle>()).target.cast();
                    if self.seen.insert(shared as usize) {
                        tell(shared);
                        let mut values = Vec::new();
                        let state = (*shared).state.lock();
                        state.contents(&mut |message| values.push(message.inside()), &mut |_| {});
                        drop(state);
                        values.into_iter().for_each(|value| self.value(value));
                    }
                }
                Kind::Closure => self.function((*object.cast::<Closure>()).proto()),
                _ => {}
            }
            all_values(object, |first, count| {
                (0..count).for_each(|i| self.value(*first.add(i)));
            });
        }
    }
    fn visit_function(&mut self, proto: &Proto) {
        // SAFETY: a module lives as long as the engine; null: the stub at the bottom of a stack has none.
        let Some(module) = (unsafe { proto.module.as_ref() }) else {
            return;
        };
        for &slot in &proto.named {
            self.name(module, slot);
        }
        for link in proto.links.values() {
            match link {
                Link::Import(module, name) => {
                    if let Some(&(slot, _)) = module.names.get(name) {
                        self.name(module, slot);
                    }
                }
                Link::Proto(inner) => self.function(Arc::as_ptr(inner)),
                Link::Names(_) => {}
            }
        }
        for index in 0..proto.consts.len() - Head::WORDS {
            // What stands in place of links changes as code runs.
            if !proto.links.contains_key(&(index as u32)) {
                // SAFETY: a constant.
                self.value(unsafe { *proto.constant(index) });
            }
        }
    }
}
