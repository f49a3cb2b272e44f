//! Starting tasks and threads.

use super::{Mounted, Thread};
use crate::module::Proto;
use crate::native::Trap;
use crate::object::{Header, Kind, TaskObject, type_id};
use crate::ops;
use crate::sched::ThreadBlock;
use crate::shared::Message;
use crate::task::Task;
use crate::value::Value;
use std::sync::Arc;

/// What a thread costs besides its heap, for the limit of memory.
const THREAD_BYTES: usize = 1024;

impl Thread {
    /// Makes a ready task of the mounted thread that will call `function`.
    pub(crate) fn new_task(
        &mut self,
        function: Value,
        args: &[Value],
        name: Option<Box<str>>,
        site: (*const Proto, u64),
    ) -> *mut Task {
        self.parts.next_task += 1;
        let id = self.parts.next_task;
        let task = Task::new(id, &raw const *self.block, name);
        let object = self
            .heap
            .alloc(
                Header::new(Kind::Task, type_id::TASK, 0),
                size_of::<TaskObject>(),
            )
            .cast::<TaskObject>();
        // SAFETY: `alloc` made room; the task was just made.
        unsafe {
            (*object).id = id;
            (*object).result = Value::NIL;
            (*object).task = task;
            (*object).name = Value::NIL;
            let task = &mut *task;
            task.handle = Value::local(object.cast());
            task.site = site;
            task.prepare(self.engine().stub(), function, args);
            task.index = self.parts.tasks.len() as u32;
            self.parts.stack_bytes += task.stack.capacity * size_of::<Value>();
        }
        self.parts.tasks.push(task);
        self.parts.ready.push_back(task);
        task
    }

    fn site(&self) -> (*const Proto, u64) {
        let trace = self.collect_trace_of(1);
        trace.first().copied().unwrap_or((std::ptr::null(), 0))
    }
    fn name_of(name: Value) -> Option<Box<str>> {
        ops::text::as_str(name).map(Into::into)
    }

    /// `spawn`: gives the handle.
    pub(crate) fn spawn(
        &mut self,
        function: Value,
        args: &[Value],
        name: Value,
    ) -> Result<Value, Trap> {
        let bytes = self.parts.stack_bytes + self.parts.tasks.len() * size_of::<Task>();
        self.reserve(bytes)?;
        let site = self.site();
        let task = self.new_task(function, args, Self::name_of(name), site);
        // SAFETY: just made.
        unsafe {
            let object = (*task).handle.as_object().cast::<TaskObject>();
            (*object).name = if name.is_kind(Kind::Str) {
                name
            } else {
                Value::NIL
            };
        }
        let scope = if self.current.is_null() {
            None
        } else {
            self.task().scope.clone()
        };
        // SAFETY: just made.
        unsafe {
            if let Some(scope) = scope {
                scope.enter();
                (*task).member = Some(scope.clone());
                (*task).scope = Some(scope);
            }
            if !self.current.is_null() {
                (*task).scoped = self.task().scoped.clone();
            }
            Ok((*task).handle)
        }
    }

    /// `thread`: gives the handle. Bit i of `copy_mask`: argument i is copied, the others must be immutable.
    pub(crate) fn spawn_thread(
        &mut self,
        function: Value,
        args: &[Value],
        name: Value,
        copy_mask: u32,
    ) -> Result<Value, Trap> {
        let live = self.scheduler.thread_count();
        self.reserve(live * THREAD_BYTES)?;
        if !self.scheduler.has_threads() {
            self.publish_globals();
        }
        let function = self.share(function, "the function")?;
        let mut messages: Vec<Message> = Vec::with_capacity(args.len());
        for (i, &arg) in args.iter().enumerate() {
            let what = format!("argument {}", i + 1);
            let message = if copy_mask >> i & 1 == 1 {
                self.share_copy(arg, &what)?
            } else {
                self.share(arg, &what)?
            };
            messages.push(message);
        }
        let site = self.site();
        let id = self.scheduler.new_thread_id();
        let scope = self.task().scope.clone();
        let scoped = self.task().scoped.clone();
        let mut mounted = Mounted::new(self.scheduler.settings.memory);
        let no_room = |_| ();
        let start =
            |heap: &mut crate::heap::Heap, message: Message| message.deliver(heap).map_err(no_room);
        let Ok(function) = start(&mut mounted.heap, function) else {
            return Err(self.throw_limit());
        };
        let mut values = Vec::with_capacity(messages.len());
        for message in messages {
            match start(&mut mounted.heap, message) {
                Ok(value) => values.push(value),
                Err(()) => return Err(self.throw_limit()),
            }
        }
        if let Some(scope) = &scope {
            scope.enter();
        }
        let block = Arc::new(ThreadBlock::new(
            id,
            mounted,
            Self::name_of(name),
            scope,
            site,
        ));
        // SAFETY: nobody else knows the block yet: its parts are ours.
        unsafe {
            let mounted = &mut *block.parts.get();
            std::mem::swap(&mut self.heap, &mut mounted.heap);
            std::mem::swap(&mut self.parts, &mut mounted.parts);
            let this_block = std::mem::replace(&mut self.block, block.clone());
            let task = self.new_task(function, &values, None, site);
            (*task).is_first = true;
            (*task).scoped = scoped;
            self.block = this_block;
            std::mem::swap(&mut self.heap, &mut mounted.heap);
            std::mem::swap(&mut self.parts, &mut mounted.parts);
        }
        let handle = crate::heap::bundle::new_handle(
            type_id::THREAD,
            Arc::as_ptr(&block).cast(),
            crate::heap::bundle::Payload::Thread(block.clone()),
        );
        let handle = self.heap.adopt_owned(handle);
        self.scheduler.register(&block);
        self.scheduler.enqueue(block);
        Ok(handle)
    }
}
