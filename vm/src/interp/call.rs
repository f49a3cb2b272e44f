//! Calls beyond the fast path: every kind of callee, binding of arguments, natives, frames pushed by the VM itself.
//!
//! A call window `at` is `R[at]` callee, `R[at+1]` return word, `R[at+2..]` arguments. The register stack always has `SLACK` slots
//! behind its limit, so that binding may spread arguments beyond the caller's registers without checking.

use super::frame::{self, return_word};
use super::slow::local_method;
use super::unwind::{generator_state, resumed_by};
use crate::account;
use crate::engine::{Hook, sym};
use crate::module::{Link, Proto};
use crate::native::{Class, Ctx, HostCtx, NativeDef, Trap};
use crate::object::{
    BoundMethod, Closure, FLAG_FROZEN, Generator, Header, Kind, NativeFunction, type_id,
};
use crate::ops;
use crate::sched::wait::Claimed;
use crate::task::{Wait, WaitingNative, flag};
use crate::thread::Thread;
use crate::types::{ErrorKind, Shape, Sym};
use crate::value::Value;

/// Where a native's arguments lie in the top frame: from slot `at + 2` on.
#[derive(Clone, Copy)]
struct Window {
    at: usize,
    argc: usize,
    /// They are the operands of the instruction: no receiver was put in front, no default behind. See `thread::roots`.
    is_usual: bool,
}

impl Window {
    fn usual(at: usize, argc: usize) -> Window {
        Window {
            at,
            argc,
            is_usual: true,
        }
    }
}

impl Thread {
    /// Counts a call against the fuel; at the end of it the instruction is run again after a safepoint.
    #[inline]
    pub(crate) fn charge_call(&mut self) -> Result<(), Trap> {
        self.fuel -= 1;
        if self.fuel < 0 {
            // SAFETY: `pc` is behind the word of the calling instruction.
            self.pc = unsafe { self.pc.sub(1) };
            return Err(Trap::Safepoint);
        }
        Ok(())
    }

    /// Calls whatever is in `R[at]` with `argc` arguments, the last ones named; the result goes to `R[dest]`. `pc` must be where
    /// execution goes on.
    pub(crate) fn call_window(
        &mut self,
        at: usize,
        mut argc: usize,
        dest: usize,
        names: &[Sym],
    ) -> Result<(), Trap> {
        let given = argc;
        loop {
            let callee = self.reg(at);
            match callee.kind() {
                Some(Kind::Closure) => return self.call_closure(callee, at, argc, dest, names),
                Some(Kind::Native) => {
                    // SAFETY: a native function object points to its definition, which lives as long as the engine.
                    let def = unsafe { &*(*callee.as_object().cast::<NativeFunction>()).def };
                    // SAFETY: as above.
                    let arity = unsafe { (*callee.as_object()).aux } as usize;
                    let is_usual = argc == given;
                    let window = Window { at, argc, is_usual };
                    return self.call_native(def, window, dest, names, arity);
                }
                Some(Kind::BoundMethod) => {
                    if local_method(callee).is_some() {
                        let receiver = if argc > 0 {
                            self.reg(at + 2)
                        } else {
                            Value::NIL
                        };
                        let method = self.own_method(callee, receiver)?;
                        self.set_reg(at, method);
                        continue;
                    }
                    // SAFETY: its layout.
                    let bound = unsafe { &*callee.as_object().cast::<BoundMethod>() };
                    self.insert_argument(at, argc, bound.receiver);
                    self.set_reg(at, bound.function);
                    argc += 1;
                }
                Some(Kind::Type) => {
                    // SAFETY: types live as long as the engine.
                    let info = unsafe { &*self.type_info_of(callee) };
                    let constructor = info.constructor.get();
                    if constructor.is_unset() {
                        let hint = match info.shape {
                            Shape::Variant if info.is_unit => format!(
                                "{} is a value and takes no arguments",
                                self.qualified_name(info.id)
                            ),
                            Shape::Enum => format!(
                                "enum {} cannot be called; name one of its variants",
                                info.name
                            ),
                            Shape::Trait => format!("trait {} cannot be called", info.name),
                            _ => format!("type {} cannot be called", info.name),
                        };
                        return Err(self.throw_new(ErrorKind::Type, &hint));
                    }
                    let mut constructor = constructor;
                    if info.is_local {
                        constructor = self.own_method(constructor, callee)?;
                        self.insert_argument(at, argc, callee);
                        argc += 1;
                    }
                    self.set_reg(at, constructor);
                }
                // So the library asks it for its next value, which takes no arguments.
                Some(Kind::Generator) if argc == 0 => {
                    return self.resume_generator(callee, at, dest, None, resumed_by::CALL);
                }
                Some(_) => {
                    if let Some(method) =
                        self.engine().type_info(callee.type_id()).method(sym::CALL)
                    {
                        self.insert_argument(at, argc, callee);
                        self.set_reg(at, method.function);
                        argc += 1;
                        continue;
                    }
                    return Err(self.not_callable(callee));
                }
                None => return Err(self.not_callable(callee)),
            }
        }
    }

    fn not_callable(&mut self, callee: Value) -> Trap {
        let message = self.callee_message(callee);
        self.throw_new(ErrorKind::Type, &message)
    }

    /// Makes room for one more argument in front.
    fn insert_argument(&mut self, at: usize, argc: usize, value: Value) {
        // SAFETY: the slack behind the stack limit has room for one more.
        unsafe {
            let args = self.base.add(at + 2);
            std::ptr::copy(args, args.add(1), argc);
            *args = value;
        }
    }

    /// As `call_window`, if that holds a closure that takes exactly these arguments, and its frame has room. `false`: it is not so, and nothing is done.
    #[inline]
    pub(crate) fn call_plain_closure(&mut self, at: usize, argc: usize, dest: usize) -> bool {
        let callee = self.reg(at);
        if !callee.is_kind(Kind::Closure) {
            return false;
        }
        // SAFETY: prototypes live as long as the engine; the window is inside the frame, and behind it is room.
        unsafe {
            let proto = &*(*callee.as_object().cast::<Closure>()).proto();
            let base = self.base.add(at + 2);
            let end = base.wrapping_add(proto.registers as usize + 1);
            if proto.exact_arity as usize != argc || end > self.stack_limit || self.fuel < 0 {
                return false;
            }
            *base.sub(1) = Value(return_word(self.pc, at, dest));
            self.base = base;
            self.pc = proto.code_start;
        }
        true
    }

    fn call_closure(
        &mut self,
        callee: Value,
        at: usize,
        argc: usize,
        dest: usize,
        names: &[Sym],
    ) -> Result<(), Trap> {
        // SAFETY: prototypes live as long as the engine.
        let proto: &Proto = unsafe { &*(*callee.as_object().cast::<Closure>()).proto() };
        self.ensure_stack(at + 2 + argc.max(proto.registers as usize) + 1)?;
        if proto.exact_arity as usize != argc || !names.is_empty() {
            self.bind(proto, at, argc, names)?;
        }
        // It may have been moved, by a collection for the sake of the stack's room, too.
        let callee = self.reg(at);
        // SAFETY: room was ensured; the window is inside the frame.
        unsafe {
            let base = self.base.add(at + 2);
            *base.sub(2) = callee;
            *base.sub(1) = Value(return_word(self.pc, at, dest));
            self.base = base;
            self.pc = proto.code_start;
        }
        Ok(())
    }

    /// Room for the list of what is left over. The instruction cannot be run again after a collection: its window may have been changed already (an argument put in front), or a threadlet begun.
    fn reserve_rest(&mut self, at: usize, argc: usize) -> Result<(), Trap> {
        let bytes = 256 + 2 * argc * size_of::<Value>();
        if self.heap.reserve(bytes).is_ok() {
            return Ok(());
        }
        self.scan_extra = at + 2 + argc;
        self.collect_full();
        self.scan_extra = 0;
        match self.heap.reserve(bytes) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.throw_limit()),
        }
    }

    /// How many arguments a function takes, in words, and how many it got. The receiver of a method is not counted.
    #[cold]
    fn counts(&self, proto: &Proto, got: usize) -> (String, usize) {
        let first = proto.param_names.first();
        let takes_self = first.is_some_and(|name| self.engine().symbol_text(*name) == "self");
        let receiver = usize::from(got > 0 && takes_self);
        let required = (proto.required as usize).saturating_sub(receiver);
        (
            count_of(required, proto.params as usize - receiver),
            got - receiver,
        )
    }

    /// Puts arguments where the parameters are: missing optional ones are unset, what is left over goes into a list.
    fn bind(&mut self, proto: &Proto, at: usize, argc: usize, names: &[Sym]) -> Result<(), Trap> {
        let params = proto.params as usize;
        let positional = argc - names.len();
        if proto.has_rest {
            self.reserve_rest(at, argc)?;
        }
        if positional > params && !proto.has_rest {
            let (takes, got) = self.counts(proto, positional);
            let name = self.callee_name(&proto.name);
            let message = format!("{name}() takes {takes}, got {got}");
            return Err(self.throw_new(ErrorKind::Type, &message));
        }
        // SAFETY: `ensure_stack` made room for all parameters and arguments.
        let args = unsafe { self.base.add(at + 2) };
        let argument = |i| {
            // SAFETY: one of the window's arguments.
            unsafe { *args.add(i) }
        };
        let named: Vec<Value> = (positional..argc).map(argument).collect();
        if proto.has_rest {
            let extra: Vec<Value> = (params..positional.max(params)).map(argument).collect();
            let rest = ops::list::new(&mut self.heap, &extra);
            let rest = self.checked(rest)?;
            // SAFETY: the rest's register follows the parameters.
            unsafe { *args.add(params) = rest };
        }
        for i in positional.min(params)..params {
            // SAFETY: as above.
            unsafe { *args.add(i) = Value::UNSET };
        }
        for (name, value) in names.iter().zip(named) {
            let Some(i) = proto.param_names.iter().position(|p| p == name) else {
                let text = self.engine().symbol_text(*name).to_string();
                let known = proto
                    .param_names
                    .iter()
                    .map(|p| self.engine().symbol_text(*p));
                let hint = crate::error::did_you_mean(&text, known);
                let callee = self.callee_name(&proto.name);
                return Err(self.throw_new(
                    ErrorKind::Type,
                    &format!("{callee}() has no parameter '{text}'{hint}"),
                ));
            };
            // SAFETY: `i` is a parameter's position.
            unsafe {
                if !(*args.add(i)).is_unset() {
                    let text = self.engine().symbol_text(*name).to_string();
                    return Err(self.throw_new(
                        ErrorKind::Type,
                        &format!("{}() got two values for '{text}'", proto.name),
                    ));
                }
                *args.add(i) = value;
            }
        }
        for i in 0..proto.required as usize {
            // SAFETY: as above.
            if unsafe { (*args.add(i)).is_unset() } {
                let text = self.engine().symbol_text(proto.param_names[i]).to_string();
                let what = if text.is_empty() {
                    format!("argument {}", i + 1)
                } else {
                    format!("argument '{text}'")
                };
                let message = if names.is_empty() {
                    let (takes, got) = self.counts(proto, positional);
                    let name = self.callee_name(&proto.name);
                    format!("{name}() takes {takes}, got {got}{}", missing(&text))
                } else {
                    format!("{}() is missing {what}", self.callee_name(&proto.name))
                };
                return Err(self.throw_new(ErrorKind::Type, &message));
            }
        }
        Ok(())
    }

    /// Calls a native of the library whose arguments are all there, in the window of the instruction.
    #[inline(always)]
    pub(crate) fn call_plain(
        &mut self,
        def: &'static NativeDef,
        at: usize,
        argc: usize,
        dest: usize,
    ) -> Result<(), Trap> {
        if self.is_stressed() {
            return self.call_native(def, Window::usual(at, argc), dest, &[], argc);
        }
        if self.boundary != 0 && def.class != Class::Plain && self.splits_early() {
            return self.park_before(def, Window::usual(at, argc), dest);
        }
        // SAFETY: the window is on the stack, which no native moves without `HostCtx`.
        let args = unsafe { self.base.add(at + 2) };
        let mut ctx = Ctx {
            thread: self,
            args,
            argc,
            def,
            may_collect: false,
            has_blocked: false,
            state: 0,
        };
        let result = guarded(|| (def.func)(&mut ctx));
        let state = ctx.state;
        if matches!(result, Ok(Ok(_))) {
            ctx.check_blocked();
        }
        if self.own.progress.step() {
            self.note_held(def);
        }
        match result {
            Ok(Ok(value)) => {
                self.set_reg(dest, value);
                self.after_alloc();
                Ok(())
            }
            Ok(Err(Trap::Suspend)) => {
                self.note_waiting(def, Window::usual(at, argc), state);
                self.wait_dest = dest;
                Err(Trap::Suspend)
            }
            // It has done nothing yet: from the beginning.
            Ok(Err(Trap::Collect)) => {
                self.call_native(def, Window::usual(at, argc), dest, &[], argc)
            }
            Ok(Err(trap)) => self.native_trap(trap, dest),
            Err(panic) => Err(self.native_panic(def, panic)),
        }
    }
    /// The native waits in the middle of itself, if it waits for a source or for work: it is called again, or finished, with the same window.
    #[inline]
    fn note_waiting(&mut self, def: &'static NativeDef, window: Window, state: u64) {
        let Window { at, argc, is_usual } = window;
        let task = self.task();
        if !matches!(task.wait, Wait::Io | Wait::Work) {
            return;
        }
        let native = task.more().native.get_or_insert(WaitingNative {
            def,
            at: 0,
            argc: 0,
            state: 0,
            is_usual,
            work: None,
        });
        native.is_usual = is_usual;
        (native.at, native.argc, native.state) = (at as u16, argc as u16, state);
        self.keep_window(window);
    }
    /// The task parks before it calls a native, which is called when it goes on.
    #[cold]
    fn park_before(
        &mut self,
        def: &'static NativeDef,
        window: Window,
        dest: usize,
    ) -> Result<(), Trap> {
        self.begin_wait(Wait::Io)?;
        self.task().claim.set(Claimed::Arm(0));
        self.parks_ready = true;
        self.keep_window(window);
        self.note_waiting(def, window, 0);
        self.wait_dest = dest;
        Err(Trap::Suspend)
    }
    /// The task does not go on in a native that has waited.
    pub(crate) fn give_up_native(&mut self, native: WaitingNative) {
        let Some(given_up) = native.def.given_up else {
            return;
        };
        // SAFETY: as in `resume_native`.
        let args = unsafe { self.base.add(native.at as usize + 2) };
        let mut ctx = Ctx {
            thread: self,
            args,
            argc: native.argc as usize,
            def: native.def,
            may_collect: false,
            has_blocked: false,
            state: native.state,
        };
        let _ = guarded(|| given_up(&mut ctx));
    }
    /// The task goes on in a native that has waited: what it waited for is there.
    pub(crate) fn resume_native(&mut self, native: WaitingNative, dest: usize) -> Result<(), Trap> {
        let (def, at, argc, state, is_usual) = (
            native.def,
            native.at as usize,
            native.argc as usize,
            native.state,
            native.is_usual,
        );
        let mut outcome = crate::io::take_outcome(&native);
        drop(native);
        let mut has_collected = false;
        loop {
            self.scan_extra = at + 2 + argc;
            // SAFETY: the window is where it was when the native was called: in the top frame.
            let args = unsafe { self.base.add(at + 2) };
            let mut ctx = Ctx {
                thread: self,
                args,
                argc,
                def,
                may_collect: outcome.is_some(),
                has_blocked: false,
                state,
            };
            let result = match outcome.take() {
                Some(outcome) => guarded(|| outcome.make(&mut ctx)),
                None => guarded(|| (def.func)(&mut ctx)),
            };
            let new_state = ctx.state;
            self.scan_extra = 0;
            if self.own.progress.step() {
                self.note_held(def);
            }
            match result {
                Ok(Ok(value)) => {
                    self.set_reg(dest, value);
                    self.after_alloc();
                    return Ok(());
                }
                Ok(Err(Trap::Collect)) if !has_collected => {
                    self.scan_extra = at + 2 + argc;
                    self.collect_full();
                    has_collected = true;
                }
                Ok(Err(trap)) => {
                    if trap == Trap::Suspend {
                        let window = Window { at, argc, is_usual };
                        self.keep_window(window);
                        self.note_waiting(def, window, new_state);
                    }
                    return self.native_trap(trap, dest);
                }
                Err(panic) => return Err(self.native_panic(def, panic)),
            }
        }
    }
    /// Reads a property of a handle.
    pub(crate) fn call_property(
        &mut self,
        def: &'static NativeDef,
        receiver: Value,
    ) -> Result<Value, Trap> {
        let mut args = [receiver];
        let mut ctx = Ctx {
            thread: self,
            args: args.as_mut_ptr(),
            argc: 1,
            def,
            may_collect: false,
            has_blocked: false,
            state: 0,
        };
        match guarded(|| (def.func)(&mut ctx)) {
            Ok(result) => result,
            Err(panic) => Err(self.native_panic(def, panic)),
        }
    }
    /// What a native asks for instead of returning a value.
    #[cold]
    fn native_trap(&mut self, trap: Trap, dest: usize) -> Result<(), Trap> {
        match trap {
            Trap::Collect => Err(self.throw_limit()),
            Trap::Call => {
                let (function, args) =
                    std::mem::replace(&mut self.pending_call, (Value::NIL, Vec::new()));
                self.call_into(dest, function, &args)
            }
            Trap::Suspend => {
                self.wait_dest = dest;
                Err(trap)
            }
            _ => Err(trap),
        }
    }
    /// The task waits in a native whose arguments end at this register: they keep alive what it waits for, also where they lie behind the registers of the frame
    /// (a builtin that was started directly, the receiver of a bound method). `save_registers` acts on it.
    #[inline]
    fn keep_window(&mut self, window: Window) {
        let Window { at, argc, is_usual } = window;
        // SAFETY: the running prototype.
        let registers = unsafe { (*super::frame::proto(self.base)).registers as usize };
        if at + 2 + argc > registers {
            self.scan_extra = at + 2 + argc;
        }
        let task = self.task();
        match is_usual {
            true => task.clear(flag::KEEPS_ALL),
            false => task.set(flag::KEEPS_ALL),
        }
    }
    #[cold]
    fn native_panic(&mut self, def: &'static NativeDef, panic: Panic) -> Trap {
        let panic = panic
            .downcast_ref::<&str>()
            .map(|s| s.to_string())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic".into());
        let message = format!("{}: internal error: {panic}", def.name);
        self.throw_new(ErrorKind::Error, &message)
    }

    fn call_native(
        &mut self,
        def: &'static NativeDef,
        window: Window,
        dest: usize,
        names: &[Sym],
        arity: usize,
    ) -> Result<(), Trap> {
        let Window {
            at,
            mut argc,
            mut is_usual,
        } = window;
        if argc != arity || !names.is_empty() {
            is_usual = false;
            argc = self.bind_native(def, at, argc, names)?;
        }
        if self.collects_always() {
            self.scan_extra = at + 2 + argc;
            self.collect_stress();
        }
        // What a host's closure does is not done by the function that is called when the task goes on.
        if self.boundary != 0
            && def.class != Class::Plain
            && def.host.is_none()
            && self.splits_early()
        {
            return self.park_before(def, Window { at, argc, is_usual }, dest);
        }
        let mut retried = false;
        loop {
            let start = self.stretches.as_ref().map(|_| std::time::Instant::now());
            // SAFETY: the window is on the stack, which no native moves without `HostCtx`.
            let args = unsafe { self.base.add(at + 2) };
            let mut native_state = 0;
            let result = match &def.host {
                None => {
                    let mut ctx = Ctx {
                        thread: self,
                        args,
                        argc,
                        def,
                        may_collect: false,
                        has_blocked: false,
                        state: 0,
                    };
                    let result = guarded(|| (def.func)(&mut ctx));
                    if matches!(result, Ok(Ok(_))) {
                        ctx.check_blocked();
                    }
                    native_state = ctx.state;
                    result
                }
                Some(host) => {
                    let args = self.stack_index(args);
                    // It may call back, and then the registers are scanned and moved.
                    self.scan_extra = at + 2 + argc;
                    let was_killing = self.is_killing;
                    let mut ctx = HostCtx {
                        thread: self,
                        args,
                        argc,
                    };
                    let result = guarded(|| host(&mut ctx));
                    account::enter(Some(&self.scheduler.account));
                    if std::mem::take(&mut self.is_leaving) {
                        // Nor an end of the program.
                        Ok(Err(Trap::Exit))
                    } else if self.is_killing
                        && !was_killing
                        && !matches!(result, Ok(Err(Trap::Exit)))
                    {
                        // The kill reached a callback: the host may not swallow it.
                        self.begin_kill();
                        Ok(Err(Trap::Throw))
                    } else {
                        result
                    }
                }
            };
            if self.own.progress.step() {
                self.note_held(def);
            }
            if let (Some(start), Some(stretches)) = (start, &mut self.stretches) {
                if def.class == crate::native::Class::Plain {
                    stretches.native(def.name, start.elapsed());
                } else {
                    stretches.begin();
                }
            }
            match result {
                Ok(Ok(value)) => {
                    self.scan_extra = 0;
                    self.set_reg(dest, value);
                    self.after_alloc();
                    return Ok(());
                }
                Ok(Err(Trap::Collect)) if !retried => {
                    self.scan_extra = at + 2 + argc;
                    self.collect_full();
                    retried = true;
                }
                Ok(Err(trap)) => {
                    self.scan_extra = 0;
                    if trap == Trap::Suspend {
                        let window = Window { at, argc, is_usual };
                        self.keep_window(window);
                        self.note_waiting(def, window, native_state);
                    }
                    return self.native_trap(trap, dest);
                }
                Err(panic) => {
                    self.scan_extra = 0;
                    return Err(self.native_panic(def, panic));
                }
            }
        }
    }

    fn bind_native(
        &mut self,
        def: &'static NativeDef,
        at: usize,
        argc: usize,
        names: &[Sym],
    ) -> Result<usize, Trap> {
        let (fixed, required) = (def.fixed(), def.required());
        let positional = argc - names.len();
        let is_method = def.params.first() == Some(&"self");
        let shown = |n: usize| if is_method { n.saturating_sub(1) } else { n };
        if positional > fixed && !def.has_rest() {
            let message = format!(
                "{}() takes {}, got {}",
                def.name,
                count_of(shown(required), shown(fixed)),
                shown(positional)
            );
            return Err(self.throw_new(ErrorKind::Type, &message));
        }
        self.ensure_stack(at + 2 + argc.max(fixed) + 1)?;
        // SAFETY: room was ensured.
        let args = unsafe { self.base.add(at + 2) };
        let argument = |i| {
            // SAFETY: one of the window's arguments.
            unsafe { *args.add(i) }
        };
        let named: Vec<Value> = (positional..argc).map(argument).collect();
        for i in positional..fixed {
            // SAFETY: as above.
            unsafe { *args.add(i) = Value::UNSET };
        }
        for (name, value) in names.iter().zip(named) {
            let text = self.engine().symbol_text(*name).to_string();
            let known = def.params[..fixed].iter().map(|p| p.trim_end_matches('?'));
            match known.clone().position(|p| p == text) {
                // SAFETY: a fixed parameter's register.
                Some(i) if unsafe { (*args.add(i)).is_unset() } => unsafe { *args.add(i) = value },
                Some(_) => {
                    return Err(self.throw_new(
                        ErrorKind::Type,
                        &format!("{}() got two values for '{text}'", def.name),
                    ));
                }
                None => {
                    let hint = crate::error::did_you_mean(&text, known);
                    return Err(self.throw_new(
                        ErrorKind::Type,
                        &format!("{}() has no parameter '{text}'{hint}", def.name),
                    ));
                }
            }
        }
        for i in 0..required {
            // SAFETY: as above.
            if unsafe { (*args.add(i)).is_unset() } {
                let message = if names.is_empty() {
                    format!(
                        "{}() takes {}, got {}{}",
                        def.name,
                        count_of(shown(required), shown(fixed)),
                        shown(positional),
                        missing(def.params[i])
                    )
                } else {
                    format!("{}() is missing argument '{}'", def.name, def.params[i])
                };
                return Err(self.throw_new(ErrorKind::Type, &message));
            }
        }
        Ok(positional.max(fixed))
    }

    /// Calls a function from a slow path, as if the running instruction were a call: the result goes to `R[dest]` and execution goes on at `pc`.
    pub(crate) fn call_into(
        &mut self,
        dest: usize,
        function: Value,
        args: &[Value],
    ) -> Result<(), Trap> {
        // A frame of its own counts like a call, so that no chain of them escapes the limits.
        self.fuel -= 1;
        // SAFETY: `base` is a frame's base.
        let at = unsafe { (*frame::proto(self.base)).registers as usize };
        let mut moved = Vec::new();
        let slots = at + 2 + args.len() + 1;
        let (function, args) = self.ensure_stack_for(slots, function, args, &mut moved)?;
        self.set_reg(at, function);
        for (i, arg) in args.iter().enumerate() {
            self.set_reg(at + 2 + i, *arg);
        }
        self.call_window(at, args.len(), dest, &[])
    }

    /// Calls a function of the prelude that finishes what the running instruction began.
    pub(crate) fn call_hook(
        &mut self,
        hook: Hook,
        dest: usize,
        args: &[Value],
    ) -> Result<(), Trap> {
        let function = self.hooks.values[hook as usize];
        if function.is_unset() {
            return Err(self.throw_new(
                ErrorKind::Error,
                &format!("the prelude lacks {}", Hook::NAMES[hook as usize]),
            ));
        }
        self.call_into(dest, function, args)
    }

    /// Method call: a method of the receiver's type, else what the receiver's field, entry or export of that name holds.
    pub(crate) fn invoke(
        &mut self,
        at: usize,
        argc: usize,
        dest: usize,
        name: Sym,
        names: &[Sym],
        cache: Option<*mut u64>,
    ) -> Result<(), Trap> {
        let receiver = self.reg(at + 2);
        let engine = self.engine();
        let info = engine.type_info(receiver.type_id());
        if let Some(method) = info.method(name) {
            if method.has_self {
                if let Some(cache) = cache
                    && receiver.is_object()
                {
                    self.remember(cache, info.id, name, crate::cache::METHOD, method.index);
                }
                self.set_reg(at, method.function);
                return self.call_window(at, argc, dest, names);
            }
            let message = format!(
                "{}() of {} takes no self: call {}.{}()",
                engine.symbol_text(name),
                info.name,
                info.name,
                engine.symbol_text(name)
            );
            return Err(self.throw_new(ErrorKind::Type, &message));
        }
        if name == sym::WITH && receiver.is_kind(Kind::Struct) && info.field_index(name).is_none() {
            return self.struct_with(at, argc, dest, names);
        }
        let member = self.get_field(receiver, name, true)?;
        self.set_reg(at, member);
        // The receiver is no argument.
        // SAFETY: arguments lie behind it in the window.
        unsafe {
            let args = self.base.add(at + 2);
            std::ptr::copy(args.add(1), args, argc - 1);
        }
        self.call_window(at, argc - 1, dest, names)
    }

    /// `p.with(field: value)`: what every struct has. A changed copy; the constructor is not run.
    fn struct_with(
        &mut self,
        at: usize,
        argc: usize,
        dest: usize,
        names: &[Sym],
    ) -> Result<(), Trap> {
        let receiver = self.reg(at + 2);
        let engine = self.engine();
        let info = engine.type_info(receiver.type_id());
        if argc - 1 > names.len() {
            let message = format!(
                "{}.with() takes named arguments only: with(field: value)",
                info.name
            );
            return Err(self.throw_new(ErrorKind::Type, &message));
        }
        for (i, name) in names.iter().enumerate() {
            let text = engine.symbol_text(*name);
            if info.field_index(*name).is_none() {
                let fields = info.fields.iter().map(|f| engine.symbol_text(f.name));
                let hint = crate::error::did_you_mean(text, fields);
                return Err(self.throw_new(
                    ErrorKind::Type,
                    &format!("{} has no field '{text}'{hint}", info.name),
                ));
            }
            if names[..i].contains(name) {
                return Err(self.throw_new(
                    ErrorKind::Type,
                    &format!("{}.with() got two values for '{text}'", info.name),
                ));
            }
        }
        // SAFETY: a live struct with as many fields as its header says; the copy is filled before anything else happens.
        let copy = unsafe {
            let old = receiver.as_object();
            let count = (*old).aux as usize;
            let template = Header::new(Kind::Struct, info.id, count as u16);
            let copy = self
                .heap
                .alloc(template, size_of::<Header>() + count * size_of::<Value>());
            std::ptr::copy_nonoverlapping(
                old.cast::<Value>().add(1),
                copy.cast::<Value>().add(1),
                count,
            );
            for (i, name) in names.iter().enumerate() {
                let field = info.field_index(*name).expect("found above");
                *copy.cast::<Value>().add(1 + field) = self.reg(at + 3 + i);
            }
            copy
        };
        self.set_reg(dest, Value::local(copy));
        self.after_alloc();
        Ok(())
    }

    /// The named arguments of a call instruction.
    pub(crate) fn names_of(&self, index: i32) -> &'static [Sym] {
        // SAFETY: verified: the constant is `Names`; prototypes live as long as the engine.
        match unsafe { (*frame::proto(self.base)).links.get(&(index as u32)) } {
            // SAFETY: as above.
            Some(Link::Names(names)) => unsafe { &*std::ptr::from_ref::<[Sym]>(names) },
            _ => unreachable!("verified: the constant is a list of names"),
        }
    }

    // --- generators

    /// `GenBegin`: makes the generator of the running frame, whose arguments are bound, and returns it to the caller.
    pub(crate) fn begin_generator(&mut self) {
        // SAFETY: the running frame is that of a generator function.
        unsafe {
            let proto = &*frame::proto(self.base);
            let capacity = proto.registers as usize - 1;
            let live = (proto.params as usize + proto.has_rest as usize).min(capacity);
            let bytes = size_of::<Generator>() + capacity * size_of::<Value>();
            let generator = self
                .heap
                .alloc(
                    Header::new(Kind::Generator, type_id::GENERATOR, live as u16),
                    bytes,
                )
                .cast::<Generator>();
            (*generator).state = generator_state::STARTED;
            (*generator).closure = *self.base.sub(2);
            (*generator).pc = 1;
            (*generator).capacity = capacity as u64;
            let saved = generator.add(1).cast::<Value>();
            for i in 0..capacity {
                *saved.add(i) = if i < live {
                    *self.base.add(i)
                } else {
                    Value::NIL
                };
            }
            self.pop_frame(Value::local(generator.cast()));
        }
    }

    /// Leaves the running frame; `value` is the call's result.
    pub(crate) fn pop_frame(&mut self, value: Value) {
        // SAFETY: the return word leads to the caller.
        unsafe {
            let ret = frame::ret(self.base);
            self.base = self.base.sub(frame::return_distance(ret) + 2);
            self.pc = frame::return_pc(ret);
            *self.base.add(frame::return_destination(ret)) = value;
        }
    }

    /// `Yield`: copies the frame's live registers back into the generator and hands `value` to the consumer.
    /// Gives who resumed it.
    pub(crate) fn yield_value(&mut self, value: Value, live: usize) -> u64 {
        // SAFETY: the running frame is a generator's, pushed by `resume_generator`.
        unsafe {
            let proto = &*frame::proto(self.base);
            let object = *self.base.sub(frame::GENERATOR_BELOW);
            let generator = object.as_object().cast::<Generator>();
            let live = live.min((*generator).capacity as usize);
            let saved = generator.add(1).cast::<Value>();
            for i in 0..live {
                *saved.add(i) = *self.base.add(i);
            }
            (*generator).header.aux = live as u16;
            let reason = (*generator).pc;
            (*generator).pc = self.pc.offset_from(proto.code_start) as u64;
            (*generator).state = generator_state::SUSPENDED;
            self.heap.elements_moved(object.as_object());
            self.pop_frame(value);
            reason
        }
    }

    /// Pushes a generator's frame; its next value goes to `R[dest]` and execution goes on at `pc` (or, at its end, where `GenReturn` says).
    /// With `thrown`, that is thrown at the place where it waits (unset: it is closed).
    pub(crate) fn resume_generator(
        &mut self,
        object: Value,
        at: usize,
        dest: usize,
        thrown: Option<Value>,
        reason: u64,
    ) -> Result<(), Trap> {
        let mut generator = object.as_object().cast::<Generator>();
        // SAFETY: the layout of a generator; its registers fit the frame that `ensure_stack` makes room for.
        unsafe {
            match (*generator).state {
                generator_state::RUNNING => {
                    return Err(
                        self.throw_new(ErrorKind::Value, "this generator is already running")
                    );
                }
                generator_state::DONE => {
                    let message = Value::NIL;
                    let error = self.new_error(ErrorKind::StopIteration, message);
                    return Err(self.throw_value(error));
                }
                _ => {}
            }
            let proto: &Proto = &*(*(*generator).closure.as_object().cast::<Closure>()).proto();
            // The generator takes the place of the window's callee, its frame comes behind it. If the stack has to grow for that, the heap may be collected, and it may be moved.
            self.set_reg(at, object);
            let kept = thrown.map(|thrown| self.new_handle(thrown));
            let room = self.ensure_stack(at + 3 + proto.registers as usize);
            let thrown = kept.map(|kept| {
                let thrown = self.handle(kept);
                self.free_handle(kept);
                thrown
            });
            room?;
            let object = self.reg(at);
            generator = object.as_object().cast::<Generator>();
            let base = self.base.add(at + 3);
            debug_assert!(base.sub(frame::GENERATOR_BELOW) == self.base.add(at));
            *base.sub(2) = (*generator).closure;
            *base.sub(1) = Value(return_word(self.pc, at + 1, dest));
            let saved = generator.add(1).cast::<Value>();
            for i in 0..(*generator).header.aux as usize {
                *base.add(i) = *saved.add(i);
            }
            let started = (*generator).state == generator_state::SUSPENDED;
            (*generator).state = generator_state::RUNNING;
            self.base = base;
            self.pc = proto.code_start.add((*generator).pc as usize);
            (*generator).pc = reason;
            if started {
                let word = crate::bytecode::Word(super::code_word(self.pc.sub(1)));
                *base.add(word.a()) = Value::NIL;
            }
            if let Some(thrown) = thrown {
                self.thrown = thrown;
                return Err(Trap::Throw);
            }
        }
        Ok(())
    }

    /// Whether a value may not be changed.
    pub(crate) fn is_frozen_object(&self, v: Value) -> bool {
        // SAFETY: a live object.
        v.is_object() && unsafe { (*v.as_object()).has(FLAG_FROZEN) }
    }
}

/// Behind the message of a call with too few arguments: the first that is missing.
fn missing(param: &str) -> String {
    match param {
        "" => String::new(),
        param => format!(": `{param}` is missing"),
    }
}

/// `2 arguments`, `at least 1 argument`, `1 to 3 arguments`.
fn count_of(required: usize, most: usize) -> String {
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    if required == most {
        format!("{most} {}", plural(most))
    } else {
        format!("{required} to {most} arguments")
    }
}

/// What a native panicked with.
type Panic = Box<dyn std::any::Any + Send>;

/// Runs a native.
#[inline(always)]
fn guarded<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f))
}
