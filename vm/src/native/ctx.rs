//! What a native sees of the thread that called it.
//!
//! Invariant: nothing here collects or runs script, so `&'c str` and the like, which point into the heap, stay valid for `'c`, the call,
//! as long as the native does not itself change the list or map they come from.

use super::{NativeResult, Trap};
use crate::engine::Engine;
use crate::heap::Heap;
use crate::object::{Kind, type_id};
use crate::ops::{self, OpFail};
use crate::shared;
use crate::thread::{Outside, Thread};
use crate::types::{ErrorKind, Sym};
use crate::value::Value;
use std::any::Any;
use std::sync::Arc;

/// A native's view: its arguments, the heap, ways to throw and to leave.
pub struct Ctx<'c> {
    pub(crate) thread: &'c mut Thread,
    pub(crate) args: *mut Value,
    pub(crate) argc: usize,
    pub(crate) def: *const super::NativeDef,
    /// The native holds no values: to make room it may collect (`Ctx::block`).
    pub(crate) may_collect: bool,
    /// A blocking native has gone through `Ctx::block`, or said that it need not.
    pub(crate) has_blocked: bool,
    /// What a native that waits remembers for when it is run again; 0 the first time.
    pub state: u64,
}

impl<'c> Ctx<'c> {
    /// How many arguments there are: all fixed parameters (unset where not given), then the rest.
    pub fn argc(&self) -> usize {
        self.argc
    }
    /// An argument; `Value::UNSET` if it was not given.
    #[inline]
    pub fn arg(&self, i: usize) -> Value {
        if i < self.argc {
            // SAFETY: `args` points to `argc` registers of the caller's frame, which live through the call.
            unsafe { *self.args.add(i) }
        } else {
            Value::UNSET
        }
    }
    /// An argument, or nil if it was not given.
    pub fn arg_or_nil(&self, i: usize) -> Value {
        let v = self.arg(i);
        if v.is_unset() { Value::NIL } else { v }
    }
    pub fn heap(&mut self) -> &mut Heap {
        &mut self.thread.heap
    }
    pub fn engine(&self) -> &'c Engine {
        // SAFETY: the thread holds the engine for longer than any call of it.
        unsafe { &*Arc::as_ptr(&self.thread.engine) }
    }
    /// The function's name, for messages.
    pub fn name(&self) -> &'static str {
        // SAFETY: definitions live as long as the engine.
        unsafe { (*self.def).name }
    }
    fn public_name(&self) -> String {
        // SAFETY: as in `name`.
        unsafe { (*self.def).public_name() }
    }
    pub(crate) fn param_name(&self, i: usize) -> &'static str {
        // SAFETY: as in `name`.
        let params = unsafe { (*self.def).params };
        params
            .get(i)
            .or(params.last())
            .copied()
            .unwrap_or("argument")
            .trim_start_matches("..")
            .trim_end_matches('?')
    }

    /// `TypeError: fs.read: path must be a string, got an int`.
    pub fn wrong_type(&mut self, i: usize, expected: &str) -> Trap {
        let got = self.arg(i);
        let got = if got.is_unset() {
            "nothing".to_string()
        } else {
            with_article(&self.type_name(got))
        };
        let value = self.arg(i);
        // SAFETY: as in `name`.
        let params = unsafe { (*self.def).params };
        let note = self.thread.argument_note(params, i, value);
        let message = format!(
            "{}: {} must be {expected}, got {got}{note}",
            self.public_name(),
            self.param_name(i)
        );
        self.throw(ErrorKind::Type, message)
    }
    pub fn int_arg(&mut self, i: usize) -> Result<i64, Trap> {
        let v = self.arg(i);
        if v.is_small_int() {
            return Ok(v.as_small_int());
        }
        match ops::int::to_i64(v) {
            Some(n) => Ok(n),
            None if ops::int::is_int(v) => {
                let message = format!(
                    "{}: {} is out of range",
                    self.public_name(),
                    self.param_name(i)
                );
                Err(self.throw(ErrorKind::Value, message))
            }
            None => Err(self.wrong_type(i, "an int")),
        }
    }
    /// An int argument that may be left out.
    #[inline]
    pub fn opt_int_arg(&mut self, i: usize) -> Result<Option<i64>, Trap> {
        if self.arg_or_nil(i).is_nil() {
            Ok(None)
        } else {
            self.int_arg(i).map(Some)
        }
    }
    /// A position or count: negative and huge ones are kept, cut to what `i64` holds.
    pub fn index_arg(&mut self, i: usize, default: i64) -> Result<i64, Trap> {
        Ok(self.opt_int_arg(i)?.unwrap_or(default))
    }
    /// A float or an int, as a float.
    pub fn float_arg(&mut self, i: usize) -> Result<f64, Trap> {
        let v = self.arg(i);
        if v.is_float() {
            return Ok(v.as_float());
        }
        match ops::float::number(v) {
            Some(f) => Ok(f),
            None => Err(self.wrong_type(i, "a number")),
        }
    }
    pub fn opt_float_arg(&mut self, i: usize) -> Result<Option<f64>, Trap> {
        if self.arg_or_nil(i).is_nil() {
            Ok(None)
        } else {
            self.float_arg(i).map(Some)
        }
    }
    pub fn bool_arg(&mut self, i: usize) -> Result<bool, Trap> {
        match self.arg(i) {
            Value::TRUE => Ok(true),
            Value::FALSE => Ok(false),
            _ => Err(self.wrong_type(i, "a bool")),
        }
    }
    pub fn str_arg(&mut self, i: usize) -> Result<&'c str, Trap> {
        match self.as_str(self.arg(i)) {
            Some(s) => Ok(s),
            None => Err(self.wrong_type(i, "a string")),
        }
    }
    pub fn opt_str_arg(&mut self, i: usize) -> Result<Option<&'c str>, Trap> {
        if self.arg_or_nil(i).is_nil() {
            Ok(None)
        } else {
            self.str_arg(i).map(Some)
        }
    }
    /// The text of a string value.
    #[inline]
    pub fn as_str(&self, v: Value) -> Option<&'c str> {
        ops::text::as_str(v)
    }
    pub fn bytes_arg(&mut self, i: usize) -> Result<&'c [u8], Trap> {
        match self.as_bytes(self.arg(i)) {
            Some(b) => Ok(b),
            None => Err(self.wrong_type(i, "bytes")),
        }
    }
    /// The bytes of a bytes value.
    pub fn as_bytes(&self, v: Value) -> Option<&'c [u8]> {
        v.is_kind(Kind::Bytes).then(|| ops::text::bytes_of(v))
    }
    /// A duration in nanoseconds.
    pub fn duration_arg(&mut self, i: usize) -> Result<i64, Trap> {
        match self.as_duration(self.arg(i)) {
            Some(ns) => Ok(ns),
            None => Err(self.wrong_type(i, "a duration")),
        }
    }
    pub fn as_duration(&self, v: Value) -> Option<i64> {
        ops::duration::view(v)
    }
    /// The elements of a list argument. Do not change the list while holding them.
    pub fn list_arg(&mut self, i: usize) -> Result<&'c [Value], Trap> {
        match self.as_list(self.arg(i)) {
            Some(xs) => Ok(xs),
            None => Err(self.wrong_type(i, "a list")),
        }
    }
    pub fn as_list(&self, v: Value) -> Option<&'c [Value]> {
        v.is_kind(Kind::List).then(|| ops::list::items_of(v))
    }
    pub fn as_tuple(&self, v: Value) -> Option<&'c [Value]> {
        v.is_kind(Kind::Tuple).then(|| ops::list::tuple_items(v))
    }

    // --- making values

    /// Asks for room before anything is done; after an error the native must leave at once.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Trap> {
        if !self.may_collect {
            return self.thread.reserve(bytes);
        }
        if self.thread.reserve(bytes).is_err() {
            self.thread.collect_full();
            if self.thread.reserve(bytes).is_err() {
                return Err(self.thread.throw_limit());
            }
        }
        Ok(())
    }
    /// Counts so much work (a unit is that of a call, some nanoseconds) against the fuel: what does much brings the next safepoint nearer. Natives
    /// that run as long as a step must not be called twenty thousand times between two safepoints.
    pub fn charge(&mut self, units: usize) {
        self.thread.charge_work(units);
    }
    pub fn str(&mut self, s: &str) -> Value {
        ops::text::new_reserved(&mut self.thread.heap, s)
    }
    pub fn bytes(&mut self, b: &[u8]) -> NativeResult {
        let made = ops::text::new_bytes(&mut self.thread.heap, b);
        self.done(made)
    }
    pub fn int(&mut self, i: i64) -> Value {
        ops::int::from_i64(&mut self.thread.heap, i)
    }
    pub fn float(&mut self, f: f64) -> Value {
        Value::float(f)
    }
    /// In nanoseconds.
    pub fn duration(&mut self, ns: i64) -> Value {
        ops::duration::new(&mut self.thread.heap, ns)
    }
    pub fn tuple(&mut self, items: &[Value]) -> NativeResult {
        let made = ops::list::new_tuple(&mut self.thread.heap, items);
        self.done(made)
    }
    pub fn list(&mut self, items: &[Value]) -> NativeResult {
        let made = ops::list::new(&mut self.thread.heap, items);
        self.done(made)
    }
    pub fn map(&mut self) -> NativeResult {
        let made = ops::map::new_map(&mut self.thread.heap, 0);
        self.done(made)
    }
    pub fn map_set(&mut self, map: Value, key: Value, value: Value) -> Result<(), Trap> {
        let engine = self.engine();
        let done = ops::map::insert(&mut self.thread.heap, engine, map, key, value);
        self.done(done).map(|_| ())
    }
    /// The value of a key that needs no script to compare.
    pub fn map_get(&mut self, map: Value, key: Value) -> Result<Option<Value>, Trap> {
        let engine = self.engine();
        let found = ops::map::get(engine, map, key);
        Ok(match self.done(found)? {
            ops::map::Lookup::Found(value) => Some(value),
            _ => None,
        })
    }
    pub fn list_push(&mut self, list: Value, value: Value) -> Result<(), Trap> {
        let done = ops::list::push(&mut self.thread.heap, list, value);
        self.done(done).map(|_| ())
    }
    /// Wraps a Rust object; its methods are those of the type `type_name` in the tables.
    pub fn host(&mut self, object: Box<dyn Any + Send>, type_name: &'static str) -> Value {
        self.thread.new_host(object, type_name)
    }
    /// The Rust object in an argument.
    pub fn host_arg<T: Any>(&mut self, i: usize) -> Result<&'c mut T, Trap> {
        let v = self.arg(i);
        if v.is_kind(Kind::Host) {
            // SAFETY: its kind was tested.
            let index = unsafe { (*v.as_object().cast::<crate::object::HostObject>()).index };
            if let Some(object) = self.thread.heap.host_objects().get_mut(index) {
                let object: *mut (dyn Any + Send) = object;
                // SAFETY: boxed, so it does not move; only one native runs at a time, and it asks for each object once.
                if let Some(found) = unsafe { (*object).downcast_mut::<T>() } {
                    return Ok(found);
                }
            }
        }
        Err(self.wrong_type(i, "an object made by this module"))
    }
    /// As `host`, for what never changes: the value counts as immutable, and threads share it.
    pub fn shared_host(
        &mut self,
        object: Box<dyn Any + Send + Sync>,
        type_name: &'static str,
    ) -> NativeResult {
        let id = self.engine().host_type(type_name);
        shared::support::make(self, id, shared::ObjectState::Opaque(object))
    }
    /// The Rust object in an argument that `shared_host` made.
    pub fn shared_host_arg<T: Any + Sync>(&mut self, i: usize) -> Result<&'c T, Trap> {
        match shared::opaque_of(self.arg(i)) {
            Some(object) => Ok(object),
            None => Err(self.wrong_type(i, "an object made by this module")),
        }
    }

    // --- errors and leaving

    /// Throws a new error of a built-in kind: `return Err(ctx.throw(…))`.
    pub fn throw(&mut self, kind: ErrorKind, message: impl Into<String>) -> Trap {
        self.thread.throw_new(kind, &message.into())
    }
    /// The same, with what the error's `data` says.
    pub fn throw_with(&mut self, kind: ErrorKind, message: &str, data: Value) -> Trap {
        self.thread.throw_with(kind, message, data)
    }
    /// Throws a value.
    pub fn throw_value(&mut self, value: Value) -> Trap {
        self.thread.thrown = value;
        Trap::Throw
    }
    /// Turns the failure of an operation into a trap.
    pub fn done<T>(&mut self, result: Result<T, OpFail>) -> Result<T, Trap> {
        match result {
            Ok(v) => Ok(v),
            Err(fail) => Err(self.thread.trap(fail)),
        }
    }
    /// Throws `Cancelled` if an interrupt was asked for: for natives that wait.
    pub fn check_interrupt(&mut self) -> Result<(), Trap> {
        if self.thread.is_interruptible() && self.engine().take_interrupt() {
            return Err(self.throw(ErrorKind::Cancelled, "interrupted"));
        }
        if self.thread.scheduler.is_stopping() {
            return Err(Trap::Exit);
        }
        Ok(())
    }
    /// A point at which a task that was cancelled throws: for natives that find at once what they would have waited for.
    pub fn blocking_point(&mut self) -> Result<(), Trap> {
        self.thread.blocking_point()
    }
    /// The time in nanoseconds since some moment before the program; never goes back.
    pub fn clock_ns(&mut self) -> u64 {
        self.thread.clock()
    }
    /// Where a generator of random numbers begins.
    pub fn random_seed(&mut self) -> u64 {
        self.thread.scheduler.choices.seed()
    }
    /// The native reads something that may be different the next time the same program is run.
    #[inline]
    pub fn note_outside(&mut self, what: Outside) {
        if self.thread.scheduler.choices.is_seeded() {
            let place = crate::error::running_place(self.thread);
            let choices = &self.thread.scheduler.choices;
            choices.note_outside(what, &self.public_name(), place);
        }
    }
    /// What `type(v)` would say.
    pub fn type_name(&self, v: Value) -> String {
        self.thread.type_name(v)
    }
    /// `repr` cut to 60 characters, never calling script.
    pub fn repr_short(&mut self, v: Value) -> String {
        self.thread.repr_short(v)
    }
    /// Two values that were expected to be equal, for messages: lines that show both, or where they differ.
    pub fn difference(&mut self, left: Value, right: Value) -> String {
        crate::difference::of(self.thread.engine(), left, right)
    }
    /// Leaves the native and calls `function` instead; its result is the native's.
    pub fn tail_call(&mut self, function: Value, args: &[Value]) -> Trap {
        self.thread.pending_call = (function, args.to_vec());
        Trap::Call
    }
    /// An argument that is the handle of a task or thread.
    pub fn task_arg(&mut self, i: usize) -> Result<Value, Trap> {
        let v = self.arg(i);
        if v.is_kind(Kind::Task) || v.type_id() == type_id::THREAD {
            return Ok(v);
        }
        Err(self.wrong_type(i, "a Task or Thread"))
    }
    /// Ends the program.
    pub fn exit(&mut self, code: i32) -> Trap {
        self.thread.exit_code = code;
        Trap::Exit
    }
    /// The program's standard output, buffered, and locked: what is written while this is held stays together.
    pub fn output(&mut self) -> impl std::io::Write + 'c {
        let scheduler = std::sync::Arc::as_ptr(&self.thread.scheduler);
        // SAFETY: the thread holds its scheduler for longer than any call of a native.
        let scheduler = unsafe { &*scheduler };
        scheduler.note_printed();
        Output(scheduler.output.lock())
    }
    /// Arguments of the script.
    pub fn script_args(&self) -> &[String] {
        &self.thread.scheduler.settings.script_args
    }
    /// Whether a value is of a type or one of its kinds, as `is` says.
    pub fn is_instance(&self, v: Value, ty: u32) -> bool {
        self.thread.is_instance(v, ty)
    }
    pub fn symbol(&self, text: &str) -> Sym {
        self.engine().symbol(text)
    }
    /// The task table of the thread (`spawn`, `join` …).
    pub fn thread(&mut self) -> &mut Thread {
        self.thread
    }
    /// The type id of a type value.
    pub fn as_type(&self, v: Value) -> Option<u32> {
        if !v.is_kind(Kind::Type) {
            return None;
        }
        // SAFETY: a `TypeObject` points to a type of the engine.
        Some(unsafe { (*(*v.as_object().cast::<crate::object::TypeObject>()).info).id })
    }
    /// Whether it can be called.
    pub fn is_callable(&self, v: Value) -> bool {
        matches!(
            v.kind(),
            Some(Kind::Closure | Kind::Native | Kind::BoundMethod | Kind::Type)
        ) || (v.is_object()
            && self
                .engine()
                .type_info(v.type_id())
                .method(crate::engine::sym::CALL)
                .is_some())
    }
    /// A result that is nil.
    pub fn nil(&self) -> NativeResult {
        Ok(Value::NIL)
    }
    /// Whether the value is a function.
    pub fn is_function(&self, v: Value) -> bool {
        v.type_id() == type_id::FUNCTION
    }
}

/// See `Ctx::output`.
struct Output<'a>(parking_lot::MutexGuard<'a, Box<dyn std::io::Write + Send>>);

impl std::io::Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }
    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// `an int`, `a string`, `nil`.
pub(crate) fn with_article(name: &str) -> String {
    match name {
        "nil" | "bytes" => name.to_string(),
        _ if name.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {name}"),
        _ => format!("a {name}"),
    }
}
