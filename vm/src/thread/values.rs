//! What the machine asks of values: their types, their texts, frozen and copied ones; and what becomes of operations that fail.

use super::Thread;
use crate::native::Trap;
use crate::object::{Kind, List, Tuple, TypeObject};
use crate::ops::{self, OpFail};
use crate::types::{ErrorKind, Shape, TypeInfo};
use crate::value::Value;
use std::any::Any;

impl Thread {
    pub(crate) fn type_info_of(&self, ty: Value) -> *const TypeInfo {
        // SAFETY: the caller knows it is a type.
        unsafe { (*ty.as_object().cast::<TypeObject>()).info }
    }
    /// `Shape.Circle`, `Point`.
    pub(crate) fn qualified_name(&self, id: u32) -> String {
        let info = self.engine().type_info(id);
        match info.parent {
            Some(parent) if info.shape == Shape::Variant => {
                format!("{}.{}", self.engine().type_info(parent).name, info.name)
            }
            _ => info.name.to_string(),
        }
    }
    pub(crate) fn type_name(&self, v: Value) -> String {
        if v.is_kind(Kind::Variant) {
            let info = self.engine().type_info(v.type_id());
            return info.parent.map_or_else(
                || info.name.to_string(),
                |p| self.engine().type_info(p).name.to_string(),
            );
        }
        self.engine().type_info(v.type_id()).name.to_string()
    }
    /// Whether `v` is an instance of the type, of a kind or variant of it, or has the trait.
    pub(crate) fn is_instance(&self, v: Value, ty: u32) -> bool {
        let mut id = v.type_id();
        if id == ty {
            return true;
        }
        loop {
            let info = self.engine().type_info(id);
            if info.traits.contains(&ty) {
                return true;
            }
            match info.parent {
                Some(parent) if parent == ty => return true,
                Some(parent) => id = parent,
                None => return false,
            }
        }
    }
    /// The elements of a list or tuple.
    pub(crate) fn elements(&self, v: Value) -> Option<&'static [Value]> {
        match v.kind() {
            // SAFETY: the slice is used before anything can change or collect the object.
            Some(Kind::List) => Some(unsafe {
                let list = v.as_object().cast::<List>();
                if (*list).len == 0 {
                    &[]
                } else {
                    std::slice::from_raw_parts((*list).items, (*list).len as usize)
                }
            }),
            // SAFETY: as above.
            Some(Kind::Tuple) => Some(unsafe {
                let tuple = v.as_object().cast::<Tuple>();
                std::slice::from_raw_parts(tuple.add(1).cast::<Value>(), (*tuple).len as usize)
            }),
            _ => None,
        }
    }
    pub(crate) fn map_string_keys(&self, map: Value) -> Vec<String> {
        let map = map.as_object().cast::<crate::object::Map>();
        // SAFETY: the caller knows it is a map.
        unsafe {
            let entries = if (*map).used == 0 {
                &[]
            } else {
                std::slice::from_raw_parts((*map).entries, (*map).used as usize)
            };
            entries
                .iter()
                .take(1000)
                .filter(|e| e.key.is_kind(Kind::Str))
                .map(|e| ops::text::str_of(e.key).to_string())
                .collect()
        }
    }
    /// Turns the failure of an operation into a trap.
    pub(crate) fn trap(&mut self, fail: OpFail) -> Trap {
        match fail {
            OpFail::Error(error) => {
                let message = error.message(self.engine());
                self.throw_new(error.kind, &message)
            }
            OpFail::NeedsCollection(_) => Trap::Collect,
            OpFail::NeedsSteps(function) => {
                self.throw_new(ErrorKind::Error, &format!("{function} is needed here"))
            }
        }
    }
    pub(crate) fn checked<T>(&mut self, result: Result<T, OpFail>) -> Result<T, Trap> {
        result.map_err(|fail| self.trap(fail))
    }
    pub(crate) fn throw_limit(&mut self) -> Trap {
        let limit = self.memory_limit;
        self.heap.note_limit_met();
        self.throw_new(
            ErrorKind::Limit,
            &format!("out of memory: the limit is {limit} bytes"),
        )
    }
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Trap> {
        self.heap.reserve(bytes).map_err(|_| Trap::Collect)
    }
    /// As `reserve`, for what is shared, tasks and threads: see `Heap::reserve_shared`.
    pub(crate) fn reserve_shared(&mut self, bytes: usize) -> Result<(), Trap> {
        self.heap.reserve_shared(bytes).map_err(|_| Trap::Collect)
    }
    /// Calls a function of the prelude by name.
    pub(crate) fn call_prelude(
        &mut self,
        name: &str,
        dest: usize,
        args: &[Value],
    ) -> Result<(), Trap> {
        match self.engine().prelude_value(name) {
            Some(function) => self.call_into(dest, function, args),
            None => Err(self.throw_new(ErrorKind::Error, &format!("the prelude lacks {name}"))),
        }
    }
    /// A deeply immutable version.
    pub fn freeze(&mut self, value: Value) -> Result<Value, Trap> {
        let frozen = self.heap.freeze(value);
        frozen.map_err(|error| self.graph_trap(error, false))
    }
    /// As `freeze`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub(crate) fn freeze_few(&mut self, value: Value) -> Result<Option<Value>, Trap> {
        let frozen = self.heap.freeze_few(value);
        frozen.map_err(|error| self.graph_trap(error, false))
    }
    /// As `deep_copy`, if that takes no long time. `None`: it takes `long_graph_step`s.
    pub(crate) fn copy_few(&mut self, value: Value) -> Result<Option<Value>, Trap> {
        let copy = self.heap.copy_few(value);
        copy.map_err(|error| self.graph_trap(error, true))
    }
    pub(crate) fn graph_trap(&mut self, error: crate::heap::GraphError, is_copy: bool) -> Trap {
        match error {
            crate::heap::GraphError::NeedsCollection => Trap::Collect,
            crate::heap::GraphError::Refused { value, .. } if is_copy => {
                self.cannot_be_copied(value)
            }
            crate::heap::GraphError::Refused { value, .. } => self.cannot_be_frozen(value),
        }
    }
    pub(super) fn cannot_be_frozen(&mut self, value: Value) -> Trap {
        if value.is_kind(Kind::Cell) {
            let text = "a variable that a function captures cannot be frozen; let it capture a `let`, or use an Atomic";
            return self.throw_new(ErrorKind::Type, text);
        }
        let text = format!(
            "{} cannot be frozen: {}",
            crate::native::with_article(&self.type_name(value)),
            self.repr_short(value)
        );
        self.throw_new(ErrorKind::Type, &text)
    }
    /// `repr` for messages: cut to 60 characters, never calling script.
    pub(crate) fn repr_short(&mut self, v: Value) -> String {
        crate::error::short(self.engine(), v, true, 60)
    }
    /// `str` for messages.
    pub(crate) fn show_short(&mut self, v: Value) -> String {
        crate::error::short(self.engine(), v, false, 2000)
    }
    /// `x` formatted by the text of a spec; `x` is no object whose `str` only script code knows.
    pub(crate) fn format_value(&mut self, x: Value, spec: Value) -> Result<Value, Trap> {
        let spec = ops::text::as_str(spec).unwrap_or("");
        let result = match ops::format_spec::FormatSpec::parse(spec) {
            Ok(spec) => ops::format::value(&mut self.heap, &spec, x),
            Err(why) => Err(OpFail::error(
                ErrorKind::Value,
                format!("wrong format spec '{spec}': {why}"),
            )),
        };
        match self.checked(result)? {
            Some(value) => Ok(value),
            None => {
                let text = self.show_short(x);
                Ok(self.text_value(&text))
            }
        }
    }
    pub(crate) fn new_host(
        &mut self,
        object: Box<dyn Any + Send>,
        type_name: &'static str,
    ) -> Value {
        let id = self.engine().host_type(type_name);
        Value::local(self.heap.alloc_host(id, object))
    }
    pub(crate) fn trace_value(&mut self, error: Value) -> Value {
        let lines = crate::error::trace_lines(self, error);
        let items: Vec<Value> = lines
            .iter()
            .map(|l| ops::text::new_reserved(&mut self.heap, l))
            .collect();
        ops::list::new(&mut self.heap, &items).unwrap_or(Value::NIL)
    }
}
