//! What natives of the library ask of values beyond their arguments: fields, errors, frozen and deep copies.

use super::{Ctx, NativeResult};
use crate::object::{BoundMethod, Cell, Closure, FLAG_FROZEN, Kind, NativeFunction, TypeObject};
use crate::ops;
use crate::types::{ERROR_KINDS, ErrorKind};
use crate::value::Value;
use std::collections::HashSet;

/// Values looked at by `is_frozen` before it counts what is left as mutable: more than a program nests by hand.
const MOST_LOOKED_AT: usize = 1_000_000;

impl Ctx<'_> {
    /// A field of a struct or variant; nil beyond the last.
    pub fn field(&self, value: Value, index: usize) -> Value {
        match value.kind() {
            Some(Kind::Struct | Kind::Variant) => ops::fields_of(value)
                .get(index)
                .copied()
                .unwrap_or(Value::NIL),
            _ => Value::NIL,
        }
    }

    /// How many arguments a function must be given; `None` if it is none.
    pub fn arity(&self, function: Value) -> Option<usize> {
        // SAFETY: the kind says what the object is; prototypes and definitions live as long as the engine.
        unsafe {
            match function.kind()? {
                Kind::Closure => {
                    let closure = function.as_object().cast::<Closure>();
                    Some((*(*closure).proto()).required as usize)
                }
                Kind::Native => {
                    let native = function.as_object().cast::<NativeFunction>();
                    Some((*(*native).def).required())
                }
                Kind::BoundMethod => {
                    let bound = function.as_object().cast::<BoundMethod>();
                    self.arity((*bound).function).map(|n| n.saturating_sub(1))
                }
                _ => None,
            }
        }
    }

    /// An error of the built-in kind called `kind`, with its four fields (message, kind, data, cause).
    pub fn new_error(&mut self, kind: &str, fields: [Value; 4]) -> Option<Value> {
        let index = ERROR_KINDS.iter().position(|name| *name == kind)?;
        let kind = ErrorKind::ALL[index];
        let error = self.thread.new_error(kind, fields[0]);
        // SAFETY: a new error has five fields, and nothing has been allocated since it was made.
        unsafe {
            let slots = error.as_object().cast::<Value>().add(1);
            for (i, field) in fields.into_iter().enumerate() {
                *slots.add(i) = field;
            }
        }
        Some(error)
    }

    /// What is written of an error that nobody caught: its place, the calls under way, its causes.
    pub fn report(&mut self, error: Value) -> String {
        let mut out = String::new();
        crate::error::report_one(self.thread, error, Vec::new(), &mut out);
        out
    }

    /// A deeply immutable version.
    pub fn freeze(&mut self, value: Value) -> NativeResult {
        self.thread.freeze(value)
    }

    /// A deep, mutable copy. `TypeError` for what cannot be copied.
    pub fn deep_copy(&mut self, value: Value) -> NativeResult {
        self.thread.deep_copy(value)
    }

    /// As `freeze`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub fn freeze_few(&mut self, value: Value) -> Result<Option<Value>, super::Trap> {
        self.thread.freeze_few(value)
    }

    /// As `deep_copy`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub fn copy_few(&mut self, value: Value) -> Result<Option<Value>, super::Trap> {
        self.thread.copy_few(value)
    }

    /// Does a part of freezing or copying `value`, an object; nil: to be called again, with nothing else done before but safepoints.
    pub fn long_graph_step(&mut self, value: Value, is_copy: bool) -> NativeResult {
        let step = self.thread.long_graph_step(value, is_copy)?;
        Ok(step.unwrap_or(Value::NIL))
    }

    /// Whether a value and all it leads to can never change.
    pub fn is_frozen(&self, value: Value) -> bool {
        let mut pending = vec![value];
        let mut seen = HashSet::new();
        while let Some(value) = pending.pop() {
            let Some(kind) = value.kind() else {
                continue;
            };
            // SAFETY: it is an object.
            if value.is_shared() || unsafe { (*value.as_object()).has(FLAG_FROZEN) } {
                continue;
            }
            let parts = match kind {
                Kind::List | Kind::Map | Kind::Set | Kind::Generator | Kind::Iter => return false,
                // SAFETY: its kind was tested.
                Kind::Cell => match unsafe { &*value.as_object().cast::<Cell>() } {
                    cell if cell.header.aux == Cell::FIXED => std::slice::from_ref(&cell.value),
                    _ => return false,
                },
                Kind::Tuple => ops::list::tuple_items(value),
                Kind::Struct | Kind::Variant => {
                    if self.engine().type_info(value.type_id()).is_mutable {
                        return false;
                    }
                    ops::fields_of(value)
                }
                Kind::Closure => ops::compare::captures_of(value),
                // SAFETY: its kind.
                Kind::Type => unsafe {
                    std::slice::from_ref(&(*value.as_object().cast::<TypeObject>()).env)
                },
                _ => continue,
            };
            if seen.insert(value.bits()) {
                if seen.len() > MOST_LOOKED_AT {
                    return false;
                }
                pending.extend_from_slice(parts);
            }
        }
        true
    }
}
