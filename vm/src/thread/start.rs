//! Starting tasks and threads.

use super::{MANY_TASKS, Stopped, Thread};
use crate::counted::{Counted, Unborn};
use crate::heap::bundle;
use crate::module::Proto;
use crate::native::Trap;
use crate::object::{Closure, Header, Kind, TaskObject, type_id};
use crate::ops;
use crate::prefetch::prefetch;
use crate::sched::ThreadBlock;
use crate::sched::block::{CANCEL, KILL};
use crate::sched::sites::NO_SITE;
use crate::shared::Message;
use crate::sync::Ordering;
use crate::task::{Task, TaskPool, flag};
use crate::types::ErrorKind;
use crate::value::{TAG_INT, Value};
use std::sync::Arc;

/// There must be room for so much before a task or a thread is started; what it takes is counted then.
pub(super) const TASK_BYTES: usize = size_of::<Task>() + 256;
const THREAD_BYTES: usize = size_of::<ThreadBlock>() + TASK_BYTES + 512;
/// Cache lines of a thread's block.
const BLOCK_LINES: usize = size_of::<ThreadBlock>().div_ceil(64);
/// What the start of a task and of a thread costs of a slice, in calls.
const SPAWN_WORK: usize = 10;
const THREAD_WORK: usize = 30;
/// The threads are counted once in so many starts of a carrier.
const COUNT_EVERY: u32 = 64;
/// Slots of the stub's frame, and of the window of a call in front of its arguments.
const STUB_SLOTS: usize = 2;
pub(super) const WINDOW_SLOTS: usize = 2;
/// Slot of the base of the frame of a task's function.
pub(super) const FIRST_BASE: usize = STUB_SLOTS + WINDOW_SLOTS;

/// How many slots a task needs that calls `function`, until it calls others itself.
pub(super) fn first_slots(function: Value, argc: usize) -> usize {
    let registers = if function.is_kind(Kind::Closure) {
        // SAFETY: its kind was tested; prototypes live as long as the engine.
        unsafe { (*(*function.as_object().cast::<Closure>()).proto()).registers as usize }
    } else {
        0
    };
    STUB_SLOTS + WINDOW_SLOTS + registers.max(argc)
}

/// Gives a new task the `Scoped` values that hold where it is started.
///
/// # Safety
/// The task is alive, and nobody else uses it.
#[inline]
pub(super) unsafe fn inherit(starter: &Task, task: *mut Task) {
    if let Some(more) = starter.more_if_any()
        && !more.scoped.is_empty()
    {
        // SAFETY: promised by the caller.
        unsafe { (*task).more().scoped = more.scoped.inherited() };
    }
}

impl Thread {
    /// Makes a ready task of the mounted thread that will call `function`.
    pub(crate) fn new_task(
        &mut self,
        function: Value,
        args: impl ExactSizeIterator<Item = Value>,
        site: u32,
    ) -> *mut Task {
        let argc = args.len();
        let task = self
            .pool
            .take(self.block.as_ptr(), first_slots(function, argc));
        let stub = self.engine().stub();
        // SAFETY: just made, with room for these; the stub's frame has its base at slot 2.
        unsafe {
            let start = (*task).start;
            *start = stub;
            *start.add(1) = Value::from_bits(0);
            *start.add(2) = function;
            // The window's return word: written by the call, but visited before.
            *start.add(3) = Value::from_bits(0);
            for (i, arg) in args.enumerate() {
                *start.add(4 + i) = arg;
            }
            (*task).set_base(2);
            (*task).pc = (*crate::interp::frame::proto(start.add(2))).code_start;
            (*task).live = (WINDOW_SLOTS + argc) as u16;
            (*task).set(flag::IS_NEW);
            (*task).site = site;
        }
        task
    }
    /// The new task belongs to the mounted thread from now on, and can run.
    pub(super) fn add_task(&mut self, task: *mut Task) {
        self.add_unready_task(task);
        self.parts.ready.push_back(task);
    }
    pub(super) fn add_unready_task(&mut self, task: *mut Task) {
        let parts = &mut *self.parts;
        parts.next_task += 1;
        parts.tasks.add(task);
        if parts.detached != 0 && parts.detached as usize + 1 == parts.tasks.count {
            self.scheduler.count_again(&self.own, &self.block);
        }
    }
    /// The handle of a task of the mounted thread; made now if there is none. `name`: nil or a text, for one that was just made.
    pub(crate) fn handle_of(&mut self, task: *mut Task, name: Value) -> Value {
        // SAFETY: a task of the mounted thread, which does not wait for something of which it would be woken now.
        unsafe {
            if (*task).handle.is_object() {
                return (*task).handle;
            }
            let is_named = name.is_kind(Kind::Str);
            let bytes = size_of::<TaskObject>() + if is_named { size_of::<Value>() } else { 0 };
            let aux = if is_named { TaskObject::NAMED } else { 0 };
            let object = self
                .heap
                .alloc(Header::new(Kind::Task, type_id::TASK, aux), bytes)
                .cast::<TaskObject>();
            (*object).id = if (*task).is(flag::IS_NEW) && (*task).handle.is_unset() {
                self.parts.next_task
            } else {
                (*task).id()
            };
            // An address fits an int, so the collector leaves it alone.
            (*object).result = Value::from_bits(TAG_INT | task as u64);
            if is_named {
                *object.add(1).cast::<Value>() = name;
            }
            (*task).handle = Value::local(object.cast());
            // The next collection must see it.
            self.parts.tasks.touch(task);
            (*task).handle
        }
    }

    /// A handle of a thread. It may have several, which are equal.
    pub(crate) fn thread_handle(&mut self, block: Counted<ThreadBlock>) -> Value {
        let handle = bundle::new_handle(
            type_id::THREAD,
            Counted::as_ptr(&block).cast(),
            bundle::Payload::Thread(block),
        );
        self.heap.adopt_new(handle)
    }
    /// A handle of the troop that all threads belong to.
    pub(crate) fn troop_handle(&mut self) -> Value {
        let scheduler = Arc::as_ptr(&self.scheduler);
        let handle = bundle::new_handle(type_id::TROOP, scheduler.cast(), bundle::Payload::Nothing);
        self.heap.adopt_new(handle)
    }

    /// The number of the place where the running task starts something.
    fn site(&mut self) -> u32 {
        if self.current.is_null() {
            return NO_SITE;
        }
        // SAFETY: the innermost task that there is.
        let parent = unsafe { (*self.identity).site };
        // SAFETY: the running prototype.
        let is_internal = unsafe { (*crate::interp::frame::proto(self.base)).is_internal };
        if !is_internal && let Some(site) = self.site_cache.get(parent, self.pc) {
            return site;
        }
        let trace = self.collect_trace_of(1);
        let place: (*const Proto, u64) = trace.first().copied().unwrap_or((std::ptr::null(), 0));
        let site = if place.0.is_null() {
            parent
        } else {
            self.scheduler.sites.intern(parent, place)
        };
        if !is_internal {
            self.site_cache.set(parent, self.pc, site);
        }
        site
    }
    fn name_of(name: Value) -> Option<Box<str>> {
        ops::text::as_str(name).map(Into::into)
    }

    /// What stands behind `name:`, if it can be one.
    #[inline]
    fn check_name(&mut self, name: Value, what: &str) -> Result<(), Trap> {
        if name.is_unset() || name.is_nil() || name.is_kind(Kind::Str) {
            return Ok(());
        }
        Err(self.refuse_name(name, what))
    }
    #[cold]
    fn refuse_name(&mut self, name: Value, what: &str) -> Trap {
        let got = crate::native::with_article(&self.type_name(name));
        let message = format!("{what}: name must be a string, got {got}");
        self.throw_new(ErrorKind::Type, &message)
    }

    /// `spawn` of the call in window `at`: gives the handle, or nil: it is made when somebody asks for it.
    pub(crate) fn spawn(
        &mut self,
        at: usize,
        argc: usize,
        name: Value,
        is_wanted: bool,
    ) -> Result<Value, Trap> {
        self.check_name(name, "spawn")?;
        self.charge_work(SPAWN_WORK);
        self.reserve_shared(TASK_BYTES)?;
        let site = self.site();
        let function = self.reg(at);
        let window = self.base.wrapping_add(at + WINDOW_SLOTS);
        let args = (0..argc).map(|i| {
            // SAFETY: the window's arguments are registers of the running frame.
            unsafe { *window.add(i) }
        });
        let task = self.new_task(function, args, site);
        if self.parts.stopped == Stopped::Killed {
            // SAFETY: just made.
            unsafe { (*task).set(flag::IS_KILLED) };
        } else if self.scheduler.ending.load(Ordering::Relaxed) != 0 {
            // SAFETY: as above.
            unsafe { (*task).set(flag::IS_CANCELLED | flag::CANCEL_PENDING) };
        }
        self.add_task(task);
        if self.parts.tasks.count == MANY_TASKS {
            self.scheduler.note_large();
        }
        let handle = if is_wanted || name.is_kind(Kind::Str) {
            self.handle_of(task, name)
        } else {
            // SAFETY: just made.
            unsafe { (*task).set_number(self.parts.next_task) };
            Value::NIL
        };
        // SAFETY: both are tasks of this thread, and neither waits.
        unsafe {
            if let Some(name) = Self::name_of(name) {
                (*task).more().name = Some(name);
            }
            if self.current.is_null() {
                return Ok(handle);
            }
            let starter = &*self.identity;
            if let Some(scope) = &starter.scope {
                let is_cancelled = scope.enter(task);
                (*task).scope = Some(scope.clone());
                if is_cancelled {
                    self.cancel_in_scopes_of(task);
                }
            }
            inherit(starter, task);
        }
        Ok(handle)
    }

    /// Frees a new task that nothing leads to; its window holds messages in these slots.
    #[cold]
    fn abandon(task: *mut Task, window: *mut Value, messages: std::ops::Range<usize>) {
        for i in messages {
            // SAFETY: put there by `Message::into_bits`, and not taken.
            drop(unsafe { Message::from_bits((*window.add(i)).bits()) });
        }
        // SAFETY: nothing leads to it.
        unsafe { TaskPool::free(task) };
    }

    /// `thread` of the call in window `at`: gives the handle. Bit i of `copy_mask`: argument i is copied, the others must be immutable.
    pub(crate) fn spawn_thread(
        &mut self,
        at: usize,
        argc: usize,
        name: Value,
        copy_mask: u32,
        is_wanted: bool,
    ) -> Result<Value, Trap> {
        self.check_name(name, "thread")?;
        self.charge_work(THREAD_WORK);
        if !self.scheduler.has_threads() {
            self.publish_globals();
        }
        self.reserve_shared(THREAD_BYTES)?;
        // Now and then is enough: to count them reads what other carriers write.
        if self.started.is_multiple_of(COUNT_EVERY) && self.scheduler.thread_count() > MANY_TASKS {
            self.scheduler.note_large();
        }
        self.started = self.started.wrapping_add(1);
        // Written where it will lie: it is large.
        let unborn = Unborn::<ThreadBlock>::new();
        let place = unborn.place();
        prefetch::<BLOCK_LINES, _>(place);
        let function = self.share(self.reg(at), "the function")?;
        let site = self.site();
        // What is under way lies where the call's arguments will be.
        let task = self.new_task(self.reg(at), std::iter::repeat_n(Value::NIL, argc), site);
        // SAFETY: the new task's window.
        let window = unsafe { (*task).start.add(STUB_SLOTS + WINDOW_SLOTS) };
        for i in 0..argc {
            let arg = self.reg(at + WINDOW_SLOTS + i);
            let message = if copy_mask
                .checked_shr(i as u32)
                .is_some_and(|mask| mask & 1 == 1)
            {
                self.share_copy(arg, &format!("argument {}", i + 1))
            } else if arg.is_local() || arg.is_shared() && !bundle::is_settled(arg) {
                self.share(arg, &format!("argument {}", i + 1))
            } else {
                Ok(Message::shared(arg))
            };
            match message {
                // SAFETY: a slot of the window.
                Ok(message) => unsafe { *window.add(i) = Value::from_bits(message.into_bits()) },
                Err(trap) => {
                    Self::abandon(task, window, 0..i);
                    return Err(trap);
                }
            }
        }
        // SAFETY: nobody else knows the memory until the thread is registered.
        let fresh = unsafe {
            ThreadBlock::write(place, self.scheduler.settings.memory, site);
            &mut *place
        };
        // SAFETY: as above.
        let mounted = unsafe { &mut *fresh.parts.get_mut() };
        let heap = mounted.heap();
        let mut delivered = function.deliver_first(heap);
        // SAFETY: the window's slots hold messages, each of which is taken once; what was delivered is put in its place.
        unsafe {
            if let Ok(function) = delivered {
                *(*task).start.add(STUB_SLOTS) = function;
                for i in 0..argc {
                    delivered = Message::from_bits((*window.add(i)).bits()).deliver(heap);
                    let Ok(arg) = delivered else {
                        Self::abandon(task, window, i + 1..argc);
                        break;
                    };
                    *window.add(i) = arg;
                }
            } else {
                Self::abandon(task, window, 0..argc);
            }
        }
        if delivered.is_err() {
            // SAFETY: it was written.
            drop(unsafe { unborn.born() });
            return Err(self.throw_limit());
        }
        // SAFETY: the innermost task that there is: a threadlet without one inherits from it.
        let starter = unsafe { &*self.identity };
        // What a member starts is a member, too, unless it is in a scope of its own.
        let scope = match &starter.scope {
            None => self.block.scope.clone(),
            inner => inner.clone(),
        };
        // SAFETY: just made.
        unsafe {
            (*task).set(flag::IS_FIRST);
            inherit(starter, task);
            mounted.parts.next_task = 1;
        }
        mounted.parts.tasks.add(task);
        mounted.parts.ready.push_back(task);
        fresh.id = self.scheduler.new_thread_id();
        fresh.scope = scope;
        if let Some(name) = Self::name_of(name) {
            fresh.set_name(name);
        }
        // SAFETY: nobody else knows the task yet.
        unsafe { (*task).block = place };
        // SAFETY: it was written.
        let (block, handle) = unsafe {
            if is_wanted {
                let (block, named) = unborn.born_twice();
                (block, self.thread_handle(named))
            } else {
                (unborn.born(), Value::NIL)
            }
        };
        if let Some(scope) = &block.scope
            && scope.enter_thread(&block)
        {
            let _ = block.signal.request(CANCEL);
        }
        if self.parts.stopped == Stopped::Killed || self.is_killing {
            // What a killed thread starts when it tidies up never runs.
            let _ = block.signal.request(KILL);
        }
        let queued = Counted::as_ptr(&block);
        crate::sync::window("start_thread");
        self.scheduler.register(&self.own, block);
        // Behind the registration: who ends all threads either finds this one there, or is seen here.
        let ending = self.scheduler.ending.load(Ordering::Relaxed);
        if ending != 0 {
            // SAFETY: the registry keeps it at least until it has run, and as its state is queued nobody but this carrier puts it into a queue.
            let _ = unsafe { (*queued).signal.request(ending) };
        }
        self.scheduler.enqueue_woken(&self.own, queued);
        // What fresh memory has cost is not for the next native to answer for.
        self.own.progress.pass();
        Ok(handle)
    }
}
