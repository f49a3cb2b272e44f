//! What may cross from thread to thread: immutable values only, checked at every crossing.

use super::Thread;
use crate::heap::long::LongStep;
use crate::heap::{GraphError, Step, bundle};
use crate::interp::Exit;
use crate::native::Trap;
use crate::object::Kind;
use crate::shared::Message;
use crate::sync::Ordering;
use crate::task::flag;
use crate::types::ErrorKind;
use crate::value::Value;
use std::cell::RefCell;

/// So many bytes are copied, or change their owner, in about the time of a call.
const BYTES_PER_UNIT: usize = 64;
/// A step of a graph takes about as long as so many calls.
const STEP_UNITS: usize = 10_000;

impl Thread {
    /// A value that is about to cross; `what` names it in the message of a `ShareError`.
    #[inline]
    pub(crate) fn share(&mut self, value: Value, what: &str) -> Result<Message, Trap> {
        if value.is_local() {
            return self.share_local(value, what);
        }
        if value.is_shared() && !bundle::is_settled(value) {
            self.check_module_names(value)?;
        }
        Ok(Message::shared(value))
    }
    /// The same for what takes no copies: `copy(x)` is no way out.
    pub(crate) fn share_frozen(&mut self, value: Value, what: &str) -> Result<Message, Trap> {
        self.offers_copy = false;
        let shared = self.share(value, what);
        self.offers_copy = true;
        shared
    }
    fn share_local(&mut self, value: Value, what: &str) -> Result<Message, Trap> {
        let engine = self.engine();
        let is_mutable = |id| engine.type_info(id).is_mutable;
        match self.heap.promote_small(value, is_mutable) {
            Some(shared) => Ok(Message::owned(shared)),
            None => self.share_graph(value, what),
        }
    }
    #[inline(never)]
    fn share_graph(&mut self, value: Value, what: &str) -> Result<Message, Trap> {
        let engine = self.engine();
        let functions = RefCell::new(Vec::new());
        match self.heap.promote_out(
            value,
            |id| engine.type_info(id).is_mutable,
            |function| functions.borrow_mut().push(function),
        ) {
            Ok(shared) => {
                let message = Message::owned(shared);
                for function in functions.into_inner() {
                    self.check_module_names(function)?;
                }
                Ok(message)
            }
            Err(GraphError::NeedsCollection) => Err(Trap::Collect),
            Err(GraphError::Refused { path, value: part }) => {
                Err(self.share_error(what, value, &path, part))
            }
        }
    }
    /// A deep copy that is about to cross.
    pub(crate) fn share_copy(&mut self, value: Value, what: &str) -> Result<Message, Trap> {
        match self.heap.copy_out(value) {
            Ok((heap, copy)) => {
                self.charge_work(heap.used_bytes() / BYTES_PER_UNIT);
                Ok(Message::copied(heap, copy))
            }
            Err(GraphError::NeedsCollection) => Err(Trap::Collect),
            Err(GraphError::Refused { path, value: part }) => {
                Err(self.share_error(what, value, &path, part))
            }
        }
    }

    /// Goes on with a graph that is frozen or copied in steps, or begins. `None`: there is more to do. See `heap::long`.
    pub(crate) fn long_graph_step(
        &mut self,
        value: Value,
        is_copy: bool,
    ) -> Result<Option<Value>, Trap> {
        if !self.heap.is_held() {
            if self.must_act() {
                // At the next safepoint.
                return Ok(None);
            }
            if self.heap.begin_long_graph(value, is_copy).is_err() {
                // At the next safepoint, which is now.
                self.heap.collect_wanted = true;
                self.end_slice();
                return Ok(None);
            }
            self.scheduler.held_heaps.fetch_add(1, Ordering::Relaxed);
        }
        self.charge_work(STEP_UNITS);
        let step = self.heap.long_graph_step();
        if !self.heap.is_held() {
            self.scheduler.held_heaps.fetch_sub(1, Ordering::Relaxed);
        }
        match step {
            Ok(LongStep::Done(value)) => Ok(Some(value)),
            Ok(LongStep::More | LongStep::Aborted) => Ok(None),
            Ok(LongStep::NoRoom) => Err(self.throw_limit()),
            Err(GraphError::NeedsCollection) => {
                // Not a trap: the native would be run again at once, and begin anew without an end. A full one, at the next safepoint, which is now.
                self.heap.want_full_collection();
                self.end_slice();
                Ok(None)
            }
            Err(error) => Err(self.graph_trap(error, is_copy)),
        }
    }
    /// Something stands at the next safepoint for which the running task must leave what it does.
    fn must_act(&mut self) -> bool {
        // SAFETY: while a native runs there is a task.
        let is_killed = unsafe { (*self.current).is(flag::IS_KILLED) };
        self.engine.has_interrupt()
            || is_killed && self.nesting == 0 && !self.is_killing && !self.is_in_deferred()
    }
    /// A safepoint while the heap is held: other threads may have their turn; everything else waits until a graph is frozen or copied, which is soon if the task has to leave.
    #[cold]
    pub(crate) fn safepoint_of_held(&mut self) -> Option<Exit> {
        let is_left = self.nesting == 0 && !self.scheduler.host_stays();
        if self.nesting == 0 && self.scheduler.is_stopping() {
            return Some(Exit::Ended);
        }
        if is_left && self.block.signal.has_requests() {
            self.take_requests();
        }
        if self.must_act() {
            self.heap.abort_long_graph();
            return None;
        }
        if is_left {
            self.scheduler.fire_timers(&self.own);
            self.scheduler.look_at_system(&mut self.own);
            if self.scheduler.has_backlog(&self.own) {
                self.scheduler.help();
                return Some(Exit::Preempted);
            }
        }
        None
    }

    /// `part` of `value`, which cannot cross, is reached by `path`.
    fn share_error(&mut self, what: &str, value: Value, path: &[Step], part: Value) -> Trap {
        let name = self.argument_text(value);
        let message = match (path, &name) {
            ([Step::Capture(i), rest @ ..], _) => match super::operand::capture_text(value, *i) {
                Some(variable) => self.share_error_text(&variable, rest, part),
                None => self.share_error_text(what, path, part),
            },
            (_, Some(name)) => self.share_error_text(name, path, part),
            (_, None) => self.share_error_text(what, path, part),
        };
        self.throw_new(ErrorKind::Share, &message)
    }
    /// Why what is reached by `path` cannot cross.
    pub(super) fn share_error_text(&mut self, what: &str, path: &[Step], value: Value) -> String {
        let place = self.path_text(what, path);
        let name = self.type_name(value);
        match value.kind() {
            Some(Kind::Task | Kind::Generator | Kind::Iter | Kind::Host) => format!(
                "{place} is {}, which belongs to its thread and cannot cross",
                crate::native::with_article(&name)
            ),
            Some(Kind::Cell) => format!(
                "{place} is a variable that the function shares with others; pass its value as an argument, or use an Atomic"
            ),
            _ => {
                let shown = self.repr_short(value);
                let or_copy = match self.offers_copy {
                    true => " or copy() it to send a copy",
                    false => "",
                };
                format!("{place} is a mutable {name}; freeze() it to share it{or_copy}: {shown}")
            }
        }
    }

    /// `config.servers[3]`.
    pub(super) fn path_text(&mut self, what: &str, path: &[Step]) -> String {
        /// Of a longer path the middle is left out.
        const MOST_STEPS: usize = 24;
        let mut text = what.to_string();
        let middle = match path.len() > MOST_STEPS {
            true => MOST_STEPS / 2..path.len() - MOST_STEPS / 2,
            false => 0..0,
        };
        for (i, step) in path.iter().enumerate() {
            if middle.contains(&i) {
                if i == middle.start {
                    text.push_str("[…]");
                }
                continue;
            }
            match step {
                Step::Index(i) => text.push_str(&format!("[{i}]")),
                Step::Key(key) => match crate::ops::text::as_str(*key) {
                    Some(name)
                        if !name.is_empty()
                            && name.chars().all(|c| c.is_alphanumeric() || c == '_') =>
                    {
                        text.push_str(&format!(".{name}"));
                    }
                    _ => text.push_str(&format!("[{}]", self.repr_short(*key))),
                },
                Step::Field(id, i) => {
                    let engine = self.engine();
                    let info = engine.type_info(*id);
                    let Some(field) = info.fields.get(*i) else {
                        // Behind the fields: what the methods of a local type captured.
                        text.push_str(&format!(" (captured by methods of {})", info.name));
                        break;
                    };
                    text.push_str(&format!(".{}", engine.symbol_text(field.name)));
                }
                Step::Capture(_) => text.push_str(" (captured)"),
                Step::Part => {}
            }
        }
        text
    }

    // --- names of modules

    /// Sets a module-level name. What other threads may see is published, as a permanent value; the rest stays with the owner.
    pub(crate) fn set_global(&mut self, index: u32, value: Value) -> Result<Value, Trap> {
        const ALWAYS_PUBLISHED_BYTES: usize = 1024;
        let module = self.running_module();
        let value = if module.const_globals.contains(&index) {
            self.freeze(value)?
        } else {
            value
        };
        let engine = self.engine();
        let is_small = value.is_local() && {
            // SAFETY: a live object; its own size will do for a first look.
            unsafe {
                crate::object::size::object_bytes(value.as_object()) <= ALWAYS_PUBLISHED_BYTES
            }
        };
        let published = if !value.is_local() {
            engine.arena.keep(value);
            Some(value)
        } else if is_small || self.scheduler.has_threads() {
            match engine
                .arena
                .promote(value, |id| engine.type_info(id).is_mutable)
            {
                Ok(shared) => Some(shared),
                Err(GraphError::NeedsCollection) => return Err(Trap::Collect),
                Err(GraphError::Refused { .. }) => None,
            }
        } else {
            None
        };
        match published {
            Some(shared) => {
                module.set_global(index, shared);
                Ok(shared)
            }
            None => {
                self.set_var(module.owned_slot(index), value);
                Ok(value)
            }
        }
    }

    /// Before the first thread starts: what was too large to be published for nothing.
    pub(crate) fn publish_globals(&mut self) {
        let modules = self.engine().all_modules.lock().clone();
        for module in modules {
            if module.owner.load(std::sync::atomic::Ordering::Relaxed) != self.block.id {
                continue;
            }
            for index in 0..module.globals.len() as u32 {
                let value = self.var(module.owned_slot(index));
                if value.is_unset() || !module.global(index).is_unset() {
                    continue;
                }
                let _ = self.publish(&module, index, value);
            }
        }
    }
    /// Lets other threads see what a module-level name of this one stands for, if it is immutable.
    pub(super) fn publish(
        &self,
        module: &crate::module::Module,
        index: u32,
        value: Value,
    ) -> Result<Value, GraphError> {
        let engine = self.engine();
        let shared = engine
            .arena
            .promote(value, |id| engine.type_info(id).is_mutable)?;
        module.set_global(index, shared);
        Ok(shared)
    }

    /// The value of a module-level name, wherever it is kept; unset if it has none yet.
    pub(crate) fn global_value(
        &mut self,
        module: &crate::module::Module,
        index: u32,
    ) -> Result<Value, Trap> {
        let value = module.global(index);
        if !value.is_unset() {
            return Ok(value);
        }
        let value = self.var(module.owned_slot(index));
        // A constant has no value anywhere then.
        let is_const = module.const_globals.contains(&index);
        if value.is_unset() && !is_const && self.is_foreign(module) {
            let name = self.slot_name(module, crate::module::Slot::Global(index));
            return Err(self.not_shared(&name));
        }
        Ok(value)
    }
    /// Whether another thread ran the module.
    pub(crate) fn is_foreign(&self, module: &crate::module::Module) -> bool {
        let owner = module.owner.load(std::sync::atomic::Ordering::Relaxed);
        owner != 0 && owner != self.block.id
    }
    pub(crate) fn not_shared(&mut self, name: &str) -> Trap {
        let message = format!(
            "'{name}' is mutable and belongs to another thread; pass copy({name}) as an argument, freeze() it, or use an Atomic or a Channel"
        );
        self.throw_new(ErrorKind::Share, &message)
    }
}
