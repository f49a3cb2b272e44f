//! `Scoped` values: what was set for a call, and holds for what that starts.
//!
//! A task has a chain of bindings, one for each `Scoped` that is set, the innermost first; tasks and threads that it starts share it. A binding that hides another one of the same
//! `Scoped` takes that out of the chain (what lies in front of it is copied) and remembers the chain as it was before, for the end of its call. What is started then does not get that: it can
//! never come back to what is hidden, and would keep it for as long as it lives, and its own tasks after it.

use super::atomic::read_atomic;
use super::support::{make, object_arg};
use super::{Message, ObjectState, SharedObject};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::object::type_id;
use std::collections::HashSet;
use std::sync::Arc;

/// Natives of `Scoped`.
pub static SCOPED: &[NativeDef] = crate::natives! {
    /// A value that depends on where one is called from: `with` sets it for a call and what that starts.
    plain "Scoped" ("default?") => |ctx| { let value = ctx.arg_or_nil(0); let value = ctx.thread.share_frozen(value, "default")?; make(ctx, type_id::SCOPED, ObjectState::Atomic(value)) };
    /// The value here.
    plain "Scoped.get" (self) => scoped_get;
    plain "__scoped_push" (scoped, value) => scoped_push;
    plain "__scoped_pop" () => |ctx| { ctx.thread.task().more().scoped.pop(); ctx.nil() };
};

/// The `Scoped` values of a task.
#[derive(Clone, Default)]
pub(crate) struct Bindings(Option<Arc<Binding>>);

struct Binding {
    object: *const SharedObject,
    /// Keeps the object.
    keeps: Message,
    value: Message,
    /// What else is set.
    outer: Bindings,
    /// What was set before, if that is something else; empty: `outer`.
    before: Bindings,
    /// Neither this one nor one in `outer` has such a thing.
    is_clean: bool,
}

// SAFETY: the object is only compared; messages are shared values, counted atomically.
unsafe impl Send for Binding {}
// SAFETY: as above.
unsafe impl Sync for Binding {}

impl Binding {
    /// The same in front of another chain, with nothing before.
    fn in_front_of(&self, outer: Bindings) -> Bindings {
        Bindings::of(
            self.object,
            // What is set is immutable, and no parcel.
            self.keeps.again().unwrap_or(Message::NONE),
            self.value.again().unwrap_or(Message::NONE),
            outer,
            Bindings(None),
        )
    }
}

impl Bindings {
    fn of(
        object: *const SharedObject,
        keeps: Message,
        value: Message,
        outer: Bindings,
        before: Bindings,
    ) -> Bindings {
        let is_clean = before.0.is_none() && outer.is_clean();
        Bindings(Some(Arc::new(Binding {
            object,
            keeps,
            value,
            outer,
            before,
            is_clean,
        })))
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
    fn is_clean(&self) -> bool {
        self.0.as_ref().is_none_or(|binding| binding.is_clean)
    }
    fn iter(&self) -> impl Iterator<Item = &Binding> {
        std::iter::successors(self.0.as_deref(), |binding| binding.outer.0.as_deref())
    }
    /// Sets a value; `keeps`: a handle of the object.
    pub(crate) fn push(&mut self, object: *const SharedObject, keeps: Message, value: Message) {
        let is_hidden = |binding: &Binding| std::ptr::eq(binding.object, object);
        let hidden = self.iter().position(is_hidden);
        let (outer, before) = match hidden {
            None => (std::mem::take(self), Bindings(None)),
            Some(at) => {
                let in_front: Vec<&Binding> = self.iter().take(at).collect();
                let behind = self.iter().nth(at).map(|binding| binding.outer.clone());
                let outer = in_front
                    .into_iter()
                    .rev()
                    .fold(behind.unwrap_or_default(), |outer, binding| {
                        binding.in_front_of(outer)
                    });
                (outer, std::mem::take(self))
            }
        };
        *self = Bindings::of(object, keeps, value, outer, before);
    }
    /// The call is over for which the last one was set.
    pub(crate) fn pop(&mut self) {
        let Some(last) = self.0.take() else { return };
        *self = match last.before.is_empty() {
            true => last.outer.clone(),
            false => last.before.clone(),
        };
    }
    /// What is set, for what is started now.
    pub(crate) fn inherited(&self) -> Bindings {
        if self.is_clean() {
            return self.clone();
        }
        let all: Vec<&Binding> = self.iter().collect();
        let rebuilt = |outer, binding: &Binding| binding.in_front_of(outer);
        all.into_iter().rev().fold(Bindings(None), rebuilt)
    }
    /// The value that is set.
    pub(crate) fn value_of(&self, object: *const SharedObject) -> Option<Message> {
        let binding = self
            .iter()
            .find(|binding| std::ptr::eq(binding.object, object))?;
        binding.value.again()
    }
    /// All that it keeps and that code can get at, now or when calls end.
    pub(crate) fn messages(&self) -> Vec<&Message> {
        let mut messages = Vec::new();
        let mut chains = vec![self];
        // Chains share their ends.
        let mut seen = HashSet::new();
        while let Some(chain) = chains.pop() {
            for binding in chain.iter() {
                if !seen.insert(std::ptr::from_ref(binding)) {
                    break;
                }
                messages.extend([&binding.keeps, &binding.value]);
                if !binding.before.is_empty() {
                    chains.push(&binding.before);
                }
            }
        }
        messages
    }
}

impl Drop for Binding {
    fn drop(&mut self) {
        // Chains may be long: not by recursion.
        let mut todo = Vec::new();
        todo.extend(self.outer.0.take());
        todo.extend(self.before.0.take());
        while let Some(next) = todo.pop() {
            if let Some(mut binding) = Arc::into_inner(next) {
                todo.extend(binding.outer.0.take());
                todo.extend(binding.before.0.take());
            }
        }
    }
}

fn scoped_object(ctx: &mut Ctx) -> Result<&'static SharedObject, Trap> {
    object_arg(ctx, type_id::SCOPED, "a Scoped")
}
fn scoped_get(ctx: &mut Ctx) -> NativeResult {
    let object = scoped_object(ctx)?;
    let more = ctx.thread.task().more_if_any();
    match more.and_then(|more| more.scoped.value_of(object)) {
        Some(value) => ctx.thread.deliver_in_native(value),
        None => read_atomic(ctx, object),
    }
}
fn scoped_push(ctx: &mut Ctx) -> NativeResult {
    let object = scoped_object(ctx)?;
    let handle = ctx.arg(0);
    let value = ctx.arg(1);
    let value = ctx.thread.share_frozen(value, "value")?;
    let bindings = &mut ctx.thread.task().more().scoped;
    bindings.push(object, Message::shared(handle), value);
    ctx.nil()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::value::Value;

    /// Addresses that stand for objects.
    fn object(n: usize) -> *const SharedObject {
        std::ptr::without_provenance(8 * (n + 1))
    }
    fn set(bindings: &mut Bindings, n: usize, value: i64) {
        let value = Message::shared(Value::small_int(value));
        bindings.push(object(n), Message::shared(Value::NIL), value);
    }
    fn get(bindings: &Bindings, n: usize) -> Option<i64> {
        let value = bindings.value_of(object(n))?.peek()?;
        Some(value.as_small_int())
    }
    fn all(bindings: &Bindings) -> [Option<i64>; 3] {
        [0, 1, 2].map(|n| get(bindings, n))
    }

    #[test]
    fn the_innermost_holds_until_its_call_is_over() {
        let mut bindings = Bindings::default();
        set(&mut bindings, 0, 10);
        set(&mut bindings, 1, 11);
        set(&mut bindings, 2, 12);
        set(&mut bindings, 1, 21);
        set(&mut bindings, 2, 22);
        assert_eq!(all(&bindings), [Some(10), Some(21), Some(22)]);
        bindings.pop();
        assert_eq!(all(&bindings), [Some(10), Some(21), Some(12)]);
        bindings.pop();
        assert_eq!(all(&bindings), [Some(10), Some(11), Some(12)]);
        bindings.pop();
        bindings.pop();
        assert_eq!(all(&bindings), [Some(10), None, None]);
        bindings.pop();
        bindings.pop();
        assert!(bindings.is_empty());
    }
    #[test]
    fn what_is_hidden_is_not_inherited() {
        let mut bindings = Bindings::default();
        for generation in 0..1000 {
            set(&mut bindings, 0, generation);
            set(&mut bindings, 1, -generation);
            set(&mut bindings, 0, 2 * generation);
            bindings = bindings.inherited();
            assert_eq!(
                all(&bindings),
                [Some(2 * generation), Some(-generation), None]
            );
            assert_eq!(bindings.messages().len(), 4);
        }
    }
    #[test]
    fn many_that_hide_each_other_are_listed_once() {
        let mut bindings = Bindings::default();
        for round in 0..2 {
            for n in 0..40 {
                set(&mut bindings, n, round);
            }
        }
        // Each time that one is hidden, those in front of it are copied.
        let listed = bindings.messages().len();
        assert!((160..=2 * 80 * 41).contains(&listed), "{listed}");
    }
    #[test]
    fn long_chains_go_without_native_stack() {
        let mut nested = Bindings::default();
        let mut different = Bindings::default();
        for n in 0..200_000 {
            set(&mut nested, n % 2, 0);
            if n < 2000 {
                set(&mut different, n, 0);
            }
        }
        drop(different);
        let other = nested.clone();
        drop(nested);
        drop(other);
    }
}
