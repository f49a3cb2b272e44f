//! Linking: a verified module becomes code that runs in an engine: constants are made, names become symbols, types get ids.

use crate::bytecode::{
    self, Const, ModuleCode, ModuleRef, Op, Operand, ProtoCode, TypeShape, Word,
};
use crate::engine::Engine;
use crate::module::{Head, Link, Module, NearHead, Proto, Slot};
use crate::native::{ModuleBuilder, NativeDef, NativeModule};
use crate::object::{
    self, Closure, FLAG_FROZEN, Header, Int64, Kind, ModuleObject, NativeFunction, type_id,
};
use crate::ops;
use crate::types::{Field, Method, Shape, Sym, TypeInfo};
use crate::value::Value;
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

mod kinds;

/// Why a module could not be linked.
#[derive(Debug)]
pub struct LinkError(pub String);

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for LinkError {}

impl Engine {
    /// Makes room in the arena for an object; it is shared and lives as long as the engine.
    fn permanent(&self, header: Header, bytes: usize) -> *mut Header {
        self.arena.alloc(header, bytes)
    }
    pub(crate) fn permanent_native(&self, def: &'static NativeDef) -> Value {
        let object = self
            .permanent(
                Header::new(Kind::Native, type_id::FUNCTION, def.exact_arity()),
                size_of::<NativeFunction>(),
            )
            .cast::<NativeFunction>();
        // SAFETY: the arena made room.
        unsafe { (*object).def = def };
        Value::shared(object.cast())
    }
    fn permanent_closure(&self, proto: &Arc<Proto>) -> Value {
        let object = self
            .permanent(
                Header::new(Kind::Closure, type_id::FUNCTION, 0),
                size_of::<Closure>(),
            )
            .cast::<Closure>();
        // SAFETY: the arena made room; prototypes live as long as the engine.
        unsafe {
            (*object).consts = proto.consts_start;
            (*NearHead::of(proto.code_start)).closure = Value::shared(object.cast());
        }
        Value::shared(object.cast())
    }
    /// The id of the type of host objects called `name`.
    pub(crate) fn host_type(&self, name: &str) -> u32 {
        let key = format!("\0host:{name}");
        // SAFETY: only types are put under such names.
        let id_of =
            |ty: Value| unsafe { (*(*ty.as_object().cast::<object::TypeObject>()).info).id };
        if let Some(ty) = self.prelude_value(&key) {
            return id_of(ty);
        }
        let mut prelude = self.prelude.write();
        // Two carriers may come here at once.
        if let Some(&ty) = prelude.get(&*key) {
            return id_of(ty);
        }
        let id = self.new_type_id().expect("hosts have few types");
        self.add_type(id, TypeInfo::new(id, name, Shape::Builtin));
        prelude.insert(key.into(), self.type_value(id));
        id
    }
    /// The closure of the stub that ends a run of the loop.
    pub(crate) fn stub(&self) -> Value {
        *self.stub.get_or_init(|| {
            let code = NearHead::before([Word::new(Op::Exit, 0, 0, 0, 0).0]);
            let consts = Head::before([]);
            let proto = Proto {
                exact_arity: 0,
                registers: 2,
                // SAFETY: behind the head.
                code_start: unsafe { code.as_ptr().add(NearHead::WORDS) },
                // SAFETY: behind the head.
                consts_start: unsafe { consts.as_ptr().add(Head::WORDS) },
                code,
                consts,
                params: 0,
                required: 0,
                has_rest: false,
                is_generator: false,
                is_internal: true,
                has_cleanup: false,
                name: "<stub>".into(),
                param_names: Vec::new(),
                handlers: Vec::new(),
                captures: Vec::new(),
                spans: Vec::new(),
                span: Default::default(),
                module: std::ptr::null(),
                links: Default::default(),
                named: Box::default(),
                is_settled: AtomicBool::new(true),
                is_initialiser: AtomicBool::new(false),
            }
            .settled(std::ptr::null());
            let value = self.permanent_closure(&proto);
            self.keep_stub(proto);
            value
        })
    }
    fn keep_stub(&self, proto: Arc<Proto>) {
        let module = Arc::new(empty_module("<stub>"));
        module.protos.set(vec![proto]).expect("a new module");
        self.all_modules.lock().push(module);
    }

    /// Registers natives of the prelude: `TYPE.name` becomes a method, anything else a name of the prelude. A function called like a
    /// built-in type becomes what calling the type calls.
    pub fn add_prelude_natives(&self, natives: &'static [NativeDef]) {
        for def in natives {
            let value = self.permanent_native(def);
            self.add_prelude_function(def.name, value, !def.params.is_empty());
        }
        for id in 0..object::FIRST_USER_TYPE {
            let info = self.type_info(id);
            if &*info.name != "reserved" && info.id != type_id::INTERNAL && info.id != type_id::NIL
            {
                self.set_prelude(&info.name, self.type_value(id));
            }
        }
        self.set_prelude("Set", self.type_value(type_id::SET));
    }
    fn type_by_name(&self, name: &str) -> Option<u32> {
        let name = if name == "task" { "Task" } else { name };
        (0..object::FIRST_USER_TYPE).find(|id| &*self.type_info(*id).name == name)
    }
    fn add_prelude_function(&self, name: &str, value: Value, has_self: bool) {
        if let Some((ty, method)) = name
            .split_once('.')
            .or_else(|| name.split_once("__").filter(|(t, _)| !t.is_empty()))
        {
            let id = self.type_by_name(ty).unwrap_or_else(|| self.host_type(ty));
            self.add_method(id, self.symbol(method), value, has_self);
            if name.contains("__") {
                self.set_prelude(name, value);
            }
            return;
        }
        let type_name = if name == "Set" { "set" } else { name };
        match self.type_by_name(type_name) {
            Some(id) => self.type_info(id).constructor.set(value),
            None => self.set_prelude(name, value),
        }
    }
    /// Makes the names of a linked prelude module known: every top-level name of it.
    pub fn add_prelude_module(&self, module: &Module) {
        for (name, (slot, _)) in &module.names {
            if let Slot::Global(index) = slot {
                let value = module.global(*index);
                if !value.is_unset() {
                    self.add_prelude_function(self.symbol_text(*name), value, true);
                }
            }
        }
    }

    /// Gives a type methods of another that it lacks: those of the names, or all. Both are named as in tables of natives.
    pub fn alias_methods(&self, to: &str, from: &str, names: &[&str]) {
        let id = |name: &str| {
            self.type_by_name(name)
                .unwrap_or_else(|| self.host_type(name))
        };
        let (to, from) = (id(to), id(from));
        let methods: Vec<(Sym, Method)> = self
            .type_info(from)
            .methods
            .read()
            .iter()
            .filter(|(name, _)| names.is_empty() || names.contains(&self.symbol_text(**name)))
            .map(|(name, method)| (*name, *method))
            .collect();
        let mut target = self.type_info(to).methods.write();
        for (name, method) in methods {
            target.entry(name).or_insert(method);
        }
    }

    /// Makes a module of natives, to be found under `std:NAME`; `code` is its Heddle part, compiled.
    pub fn add_native_module(
        self: &Arc<Engine>,
        spec: &'static NativeModule,
        code: Option<&ModuleCode>,
        imports: &[Arc<Module>],
    ) -> Result<Arc<Module>, LinkError> {
        let mut builder = ModuleBuilder {
            engine: self,
            constants: Vec::new(),
        };
        (spec.constants)(&mut builder);
        let mut values: Vec<(String, Value)> = builder.constants;
        for def in spec.functions {
            let value = self.permanent_native(def);
            match def.name.split_once('.') {
                Some((module, name)) if module == spec.name => {
                    values.push((name.to_string(), value))
                }
                Some((ty, method)) => {
                    self.add_method(self.host_type(ty), self.symbol(method), value, true)
                }
                None => values.push((def.name.to_string(), value)),
            }
        }
        let module = match code {
            Some(code) => self.link_with(code, imports, true, &values)?,
            None => return Ok(self.add_module_of(spec.name, &values)),
        };
        self.modules
            .write()
            .insert(ModuleRef::Std(spec.name.into()), module.clone());
        Ok(module)
    }

    /// Makes a module of permanent values, to be found under `std:NAME`.
    pub fn add_module_of(&self, name: &str, values: &[(String, Value)]) -> Arc<Module> {
        let mut module = empty_module(name);
        module.globals = values.iter().map(|(_, v)| UnsafeCell::new(*v)).collect();
        module.names = values
            .iter()
            .enumerate()
            .map(|(i, (n, _))| (self.symbol(n), (Slot::Global(i as u32), true)))
            .collect();
        module.has_run = AtomicBool::new(true);
        let module = Arc::new(module);
        self.publish(&module);
        self.modules
            .write()
            .insert(ModuleRef::Std(name.into()), module.clone());
        module
    }

    fn publish(&self, module: &Arc<Module>) {
        let object = self
            .permanent(
                Header::new(Kind::Module, type_id::MODULE, 0),
                size_of::<ModuleObject>(),
            )
            .cast::<ModuleObject>();
        // SAFETY: the arena made room; modules live as long as the engine.
        unsafe { (*object).module = Arc::as_ptr(module) };
        module
            .value
            .set(Value::shared(object.cast()))
            .expect("published once");
        self.all_modules.lock().push(module.clone());
    }

    /// Verifies a module and links it. `imports` are the modules of `code.imports`, in that order.
    pub fn link(
        self: &Arc<Engine>,
        code: &ModuleCode,
        imports: &[Arc<Module>],
        trusted: bool,
    ) -> Result<Arc<Module>, LinkError> {
        self.link_with(code, imports, trusted, &[])
    }

    fn link_with(
        self: &Arc<Engine>,
        code: &ModuleCode,
        imports: &[Arc<Module>],
        trusted: bool,
        natives: &[(String, Value)],
    ) -> Result<Arc<Module>, LinkError> {
        bytecode::verify::verify(code, trusted).map_err(|e| LinkError(e.to_string()))?;
        if imports.len() != code.imports.len() {
            return Err(LinkError(format!(
                "module {} needs {} imports, got {}",
                code.name,
                code.imports.len(),
                imports.len()
            )));
        }
        let symbols: Vec<Sym> = code.symbols.iter().map(|s| self.symbol(s)).collect();
        let var_base = self.next_var.fetch_add(
            (code.vars.len() + code.globals.len()) as u32,
            Ordering::AcqRel,
        );
        let mut names: HashMap<Sym, (Slot, bool)> = HashMap::new();
        for (i, g) in code.globals.iter().enumerate() {
            names.insert(symbols[g.name as usize], (Slot::Global(i as u32), g.is_pub));
        }
        for (i, v) in code.vars.iter().enumerate() {
            names.insert(symbols[v.name as usize], (Slot::Var(i as u32), v.is_pub));
        }
        let own = code.globals.len();
        for (i, (name, _)) in natives.iter().enumerate() {
            names
                .entry(self.symbol(name))
                .or_insert((Slot::Global((own + i) as u32), !name.starts_with("__")));
        }
        let globals: Box<[UnsafeCell<Value>]> = (0..own)
            .map(|_| UnsafeCell::new(Value::UNSET))
            .chain(natives.iter().map(|(_, v)| UnsafeCell::new(*v)))
            .collect();
        let module = Arc::new(Module {
            name: code.name.clone(),
            path: code.path.clone(),
            source: code.source.clone(),
            globals,
            names,
            const_globals: code
                .globals
                .iter()
                .enumerate()
                .filter(|(_, g)| g.is_const)
                .map(|(i, _)| i as u32)
                .collect(),
            var_base,
            var_count: code.vars.len() as u32,
            initialisers: std::sync::OnceLock::new(),
            imports: imports.to_vec(),
            protos: std::sync::OnceLock::new(),
            tests: code.tests.clone(),
            counters: code.counters.clone(),
            counts: code.counters.iter().map(|_| Default::default()).collect(),
            value: std::sync::OnceLock::new(),
            owner: Default::default(),
            has_run: AtomicBool::new(false),
        });
        self.publish(&module);
        let type_ids: Option<Vec<u32>> = code.types.iter().map(|_| self.new_type_id()).collect();
        let type_ids = type_ids
            .ok_or_else(|| LinkError("there are too many types: about four million fit".into()))?;
        let natives: HashMap<&str, Value> = natives.iter().map(|(n, v)| (n.as_str(), *v)).collect();
        let whole;
        let mut linker = Linker {
            engine: self,
            code,
            module: &module,
            symbols,
            type_ids,
            protos: Vec::new(),
            closures: HashMap::new(),
            natives,
        };
        linker.types()?;
        if let Some(code) = linker.with_constructors()? {
            bytecode::verify::verify(&code, trusted).map_err(|e| LinkError(e.to_string()))?;
            whole = code;
            linker.code = &whole;
        }
        linker.field_counts()?;
        linker.functions()?;
        linker.type_members()?;
        linker.finish();
        Ok(module)
    }
}

/// The module's own names in a function's code.
fn named(code: &ProtoCode) -> Box<[Slot]> {
    let mut named = Vec::new();
    let mut at = 0;
    while let Some(&word) = code.code.get(at) {
        let word = Word(word);
        let op = word.op().expect("verified");
        match op.operands()[3] {
            Operand::Global => named.push(Slot::Global(word.imm() as u32)),
            Operand::Var => named.push(Slot::Var(word.imm() as u32)),
            _ => {}
        }
        at += 1 + op.cache_words();
    }
    named.sort_unstable();
    named.dedup();
    named.into()
}

/// A heap for making constants that are then frozen into the engine's arena.
fn scratch() -> crate::heap::Heap {
    crate::heap::Heap::new(usize::MAX / 4)
}

fn empty_module(name: &str) -> Module {
    Module {
        name: name.into(),
        path: format!("<{name}>"),
        source: "".into(),
        globals: Box::new([]),
        names: HashMap::new(),
        const_globals: Vec::new(),
        var_base: 0,
        var_count: 0,
        initialisers: std::sync::OnceLock::new(),
        imports: Vec::new(),
        protos: std::sync::OnceLock::new(),
        tests: Vec::new(),
        counters: Vec::new(),
        counts: Box::default(),
        value: std::sync::OnceLock::new(),
        owner: Default::default(),
        has_run: AtomicBool::new(false),
    }
}

struct Linker<'a> {
    engine: &'a Arc<Engine>,
    code: &'a ModuleCode,
    module: &'a Arc<Module>,
    symbols: Vec<Sym>,
    type_ids: Vec<u32>,
    protos: Vec<Arc<Proto>>,
    closures: HashMap<u32, Value>,
    natives: HashMap<&'a str, Value>,
}

impl Linker<'_> {
    fn sym(&self, index: u32) -> Sym {
        self.symbols[index as usize]
    }

    /// Types without their methods, so that constants can refer to them; each after the types it is based on.
    fn types(&mut self) -> Result<(), LinkError> {
        let mut pending: Vec<usize> = (0..self.code.types.len()).collect();
        let mut is_added = vec![false; self.code.types.len()];
        while !pending.is_empty() {
            let before = pending.len();
            let mut later = Vec::new();
            for index in pending {
                let needs = self.code.types[index].bases.iter().filter_map(|b| {
                    if let Const::Type(i) = b {
                        Some(*i as usize)
                    } else {
                        None
                    }
                });
                if needs.into_iter().all(|i| is_added[i]) {
                    self.add_type(index)?;
                    is_added[index] = true;
                } else {
                    later.push(index);
                }
            }
            if later.len() == before {
                let name = &self.code.symbols[self.code.types[later[0]].name as usize];
                return Err(LinkError(format!("type {name} is based on itself")));
            }
            pending = later;
        }
        Ok(())
    }
    fn add_type(&self, index: usize) -> Result<(), LinkError> {
        let (def, id) = (&self.code.types[index], self.type_ids[index]);
        let shape = match def.shape {
            TypeShape::Struct => Shape::Struct,
            TypeShape::Enum => Shape::Enum,
            TypeShape::Variant => Shape::Variant,
            TypeShape::Trait => Shape::Trait,
        };
        let mut info = TypeInfo::new(id, &self.code.symbols[def.name as usize], shape);
        info.parent = def.parent.map(|p| self.type_ids[p as usize]);
        info.variants = def
            .variants
            .iter()
            .map(|v| self.type_ids[*v as usize])
            .collect();
        info.is_unit = def.is_unit;
        info.is_local = def.is_local;
        for base in &def.bases {
            let base_id = self.base_type(base).map_err(|found| {
                let what = format!("cannot be based on {}", found.0);
                self.wrong_base(index, &what)
            })?;
            let base = self.engine.type_info(base_id);
            if base.is_error {
                if let Some(first) = info.parent.filter(|_| info.is_error) {
                    let first = &self.engine.type_info(first).name;
                    let what = format!(
                        "is based on two kinds of error, {first} and {}; what they have in common can be a trait",
                        base.name
                    );
                    return Err(self.wrong_base(index, &what));
                }
                info.is_error = true;
                info.parent = Some(base_id);
                info.fields = base.fields.clone();
            } else if base.shape == Shape::Trait {
                info.traits.push(base_id);
                info.traits.extend(base.traits.iter().copied());
            } else {
                let what = format!(
                    "cannot be based on {}, which is neither a trait nor a kind of error",
                    base.name
                );
                return Err(self.wrong_base(index, &what));
            }
        }
        info.fields
            .extend(def.fields.iter().map(|(name, is_var)| Field {
                name: self.symbols[*name as usize],
                is_var: *is_var,
            }));
        info.is_mutable = info.fields.iter().any(|f| f.is_var);
        self.engine.add_type(id, info);
        Ok(())
    }

    /// Every `NewStruct` gives all the fields: the verifier does not know those that come from other modules.
    fn field_counts(&self) -> Result<(), LinkError> {
        for proto in &self.code.protos {
            let mut at = 0;
            while let Some(&word) = proto.code.get(at) {
                let word = Word(word);
                let op = word.op().expect("verified");
                if op == Op::NewStruct
                    && let Const::Type(ty) = proto.consts[word.imm() as usize]
                {
                    let info = self.engine.type_info(self.type_ids[ty as usize]);
                    if info.fields.len() + usize::from(info.is_local) != word.c() {
                        return Err(LinkError(format!(
                            "{} has {} fields, its constructor gives {}",
                            info.name,
                            info.fields.len(),
                            word.c()
                        )));
                    }
                }
                at += 1 + op.cache_words();
            }
        }
        Ok(())
    }

    fn base_type(&self, base: &Const) -> Result<u32, LinkError> {
        let value = match base {
            Const::Type(i) => return Ok(self.type_ids[*i as usize]),
            Const::Prelude(name) => self.engine.prelude_value(name).unwrap_or(Value::UNSET),
            Const::Import { module, name } => {
                let module = &self.module.imports[*module as usize];
                match module.names.get(&self.engine.symbol(name)) {
                    Some((Slot::Global(i), true)) => module.global(*i),
                    _ => Value::UNSET,
                }
            }
            _ => Value::UNSET,
        };
        if !value.is_kind(Kind::Type) {
            let name = match base {
                Const::Import { name, .. } | Const::Prelude(name) => name,
                _ => "",
            };
            return Err(LinkError(format!("'{name}', which is no type")));
        }
        // SAFETY: its kind was tested.
        Ok(unsafe { (*(*value.as_object().cast::<object::TypeObject>()).info).id })
    }

    fn functions(&mut self) -> Result<(), LinkError> {
        // A prototype refers to others by `Arc` only through links, which are filled in reverse order of nesting; cycles (a function that makes a
        // closure of itself) do not occur, since `Closure` makes nested functions only.
        let order = self.nesting_order();
        let mut made: Vec<Option<Arc<Proto>>> = vec![None; self.code.protos.len()];
        // Closures of functions without captures first need their prototypes: constants get them afterwards.
        for index in order {
            let proto = self.proto(&self.code.protos[index], &made)?;
            made[index] = Some(proto.settled(self.module.globals.as_ptr().cast()));
        }
        self.protos = made
            .into_iter()
            .map(|p| p.expect("every prototype is in the order"))
            .collect();
        for (index, proto) in self.protos.iter().enumerate() {
            if proto.captures.is_empty() {
                self.closures
                    .insert(index as u32, self.engine.permanent_closure(proto));
            }
        }
        for (code, proto) in self.code.protos.iter().zip(&self.protos) {
            for (i, constant) in code.consts.iter().enumerate() {
                if let Const::Fn(f) = constant {
                    let Some(&closure) = self.closures.get(f) else {
                        return Err(LinkError(format!(
                            "function {} has captures and is no constant",
                            self.code.protos[*f as usize].name
                        )));
                    };
                    // SAFETY: nobody runs the prototype yet.
                    unsafe { proto.constant(i).write(closure) };
                }
            }
        }
        for proto in &self.protos {
            self.near_calls(proto);
        }
        Ok(())
    }
    /// Calls of functions of the module become `CallNear`.
    fn near_calls(&self, proto: &Proto) {
        let mut at = 0;
        while at < proto.code_len() {
            // SAFETY: verified code, which nobody runs yet; the constant of a `CallFn` is a closure.
            unsafe {
                let place = proto.code_start.add(at).cast_mut();
                let word = Word(*place);
                if word.op() == Some(Op::CallFn) {
                    let callee = *proto.constant(word.imm() as usize);
                    *place = crate::module::near_call(word, place, callee)
                        .unwrap_or(word)
                        .0;
                }
                at += 1 + word.op().map_or(0, Op::cache_words);
            }
        }
    }

    /// Prototypes so that those which `Closure` names come before those that name them.
    fn nesting_order(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut state = vec![0u8; self.code.protos.len()];
        for root in 0..self.code.protos.len() {
            let mut stack = vec![(root, 0usize)];
            while let Some((index, next)) = stack.pop() {
                if next == 0 {
                    if state[index] != 0 {
                        continue;
                    }
                    state[index] = 1;
                }
                let nested = self.code.protos[index]
                    .consts
                    .iter()
                    .filter_map(|c| {
                        if let Const::Proto(p) = c {
                            Some(*p as usize)
                        } else {
                            None
                        }
                    })
                    .nth(next);
                match nested {
                    Some(inner) => {
                        stack.push((index, next + 1));
                        if state[inner] == 0 {
                            stack.push((inner, 0));
                        }
                    }
                    None => {
                        state[index] = 2;
                        order.push(index);
                    }
                }
            }
        }
        order
    }

    fn proto(&self, code: &ProtoCode, made: &[Option<Arc<Proto>>]) -> Result<Proto, LinkError> {
        let mut consts = Vec::new();
        let mut links = crate::module::Links::default();
        for (i, constant) in code.consts.iter().enumerate() {
            let value = match constant {
                Const::Import { module, name } => {
                    links.insert(
                        i as u32,
                        Link::Import(
                            self.module.imports[*module as usize].clone(),
                            self.engine.symbol(name),
                        ),
                    );
                    Value::UNSET
                }
                Const::Proto(p) => {
                    let inner = made[*p as usize].clone().ok_or_else(|| {
                        LinkError(format!("function {} contains itself", code.name))
                    })?;
                    // Its address, for `Closure`.
                    let address = Arc::as_ptr(&inner) as i64;
                    links.insert(i as u32, Link::Proto(inner));
                    Value::small_int(address)
                }
                Const::Names(names) => {
                    links.insert(
                        i as u32,
                        Link::Names(names.iter().map(|n| self.sym(*n)).collect()),
                    );
                    Value::UNSET
                }
                Const::Fn(_) => Value::UNSET,
                other => self.constant(other)?,
            };
            consts.push(value);
        }
        let consts = Head::before(consts);
        let words = self.relocate(code);
        let registers = code.registers + code.is_generator as u32;
        self.engine.note_registers(registers as usize);
        let plain = !code.has_rest && code.required as usize <= code.params.len();
        Ok(Proto {
            exact_arity: if plain {
                code.params.len() as u32
            } else {
                u32::MAX
            },
            registers,
            // SAFETY: behind the head.
            code_start: unsafe { words.as_ptr().add(NearHead::WORDS) },
            // SAFETY: behind the head.
            consts_start: unsafe { consts.as_ptr().add(Head::WORDS) },
            code: words,
            consts,
            params: code.params.len() as u32,
            required: code.required,
            has_rest: code.has_rest,
            is_generator: code.is_generator,
            is_internal: code.is_internal,
            has_cleanup: code.handlers.iter().any(|h| h.is_cleanup),
            name: code.name.as_str().into(),
            param_names: code.params.iter().map(|p| self.engine.symbol(p)).collect(),
            handlers: code.handlers.clone(),
            captures: code.captures.clone(),
            spans: code.spans.clone(),
            span: code.span,
            module: Arc::as_ptr(self.module),
            links,
            named: named(code),
            is_settled: AtomicBool::new(false),
            is_initialiser: AtomicBool::new(false),
        })
    }

    /// Operands that name symbols and variables of the module become those of the engine.
    fn relocate(&self, code: &ProtoCode) -> Box<[u64]> {
        let mut words = NearHead::before(code.code.iter().copied());
        let mut i = NearHead::WORDS;
        while i < words.len() {
            let word = Word(words[i]);
            let op = word.op().expect("verified");
            match op.operands()[3] {
                Operand::Sym => words[i] = word.with_imm(self.sym(word.imm() as u32).0 as i32).0,
                Operand::Var => {
                    words[i] = word.with_imm(word.imm() + self.module.var_base as i32).0
                }
                _ => {}
            }
            i += 1 + op.cache_words();
        }
        words
    }

    /// A permanent version of what was made in a scratch heap.
    fn permanent(&self, local: ops::OpResult) -> Result<Value, LinkError> {
        let failed = || LinkError("a constant is too large".into());
        self.engine
            .arena
            .freeze(local.map_err(|_| failed())?)
            .map_err(|_| failed())
    }

    fn constant(&self, constant: &Const) -> Result<Value, LinkError> {
        let int64 = |kind: Kind, ty: u32, value: i64| {
            let object = self
                .engine
                .permanent(Header::new(kind, ty, 0), size_of::<Int64>())
                .cast::<Int64>();
            // SAFETY: the arena made room.
            unsafe { (*object).value = value };
            Value::shared(object.cast())
        };
        Ok(match constant {
            Const::Nil => Value::NIL,
            Const::Bool(b) => Value::bool(*b),
            Const::Int(i) => {
                Value::try_small_int(*i).unwrap_or_else(|| int64(Kind::Int64, type_id::INT, *i))
            }
            Const::BigInt(digits) => {
                let n: num_bigint::BigInt = digits
                    .parse()
                    .map_err(|_| LinkError(format!("'{digits}' is no int")))?;
                let mut scratch = scratch();
                let local = ops::int::from_bigint(&mut scratch, &n);
                self.permanent(local)?
            }
            Const::Float(f) => Value::float(*f),
            Const::Duration(ns) => Value::try_small_duration(*ns)
                .unwrap_or_else(|| int64(Kind::Duration, type_id::DURATION, *ns)),
            Const::Str(s) => self.engine.permanent_str(s),
            Const::Bytes(b) => {
                let mut scratch = scratch();
                let local = ops::text::new_bytes(&mut scratch, b);
                self.permanent(local)?
            }
            Const::Range {
                start,
                end,
                inclusive,
            } => {
                let make = |i: &i64| {
                    Value::try_small_int(*i).unwrap_or_else(|| int64(Kind::Int64, type_id::INT, *i))
                };
                let object = self
                    .engine
                    .permanent(
                        Header::new(Kind::Range, type_id::RANGE, *inclusive as u16),
                        size_of::<object::Range>(),
                    )
                    .cast::<object::Range>();
                // SAFETY: the arena made room.
                unsafe {
                    (*object).start = make(start);
                    (*object).end = make(end);
                    (*object).step = Value::small_int(1);
                }
                Value::shared(object.cast())
            }
            Const::Type(i) => self.engine.type_value(self.type_ids[*i as usize]),
            Const::Module(i) => *self.module.imports[*i as usize]
                .value
                .get()
                .expect("imports are published"),
            Const::Prelude(name) => match self
                .natives
                .get(&**name)
                .copied()
                .or_else(|| self.engine.prelude_value(name))
            {
                Some(value) => value,
                None => return Err(LinkError(format!("the prelude has no '{name}'"))),
            },
            Const::Fn(_) | Const::Proto(_) | Const::Import { .. } | Const::Names(_) => Value::UNSET,
        })
    }

    /// A function of a type, which may capture; `captured` counts those of the type that do (see `interp::slow::types`).
    fn member(&self, proto: u32, owner: u32, captured: &mut i64) -> Value {
        if let Some(&closure) = self.closures.get(&proto) {
            return closure;
        }
        let object = self
            .engine
            .permanent(
                Header::new(Kind::BoundMethod, type_id::FUNCTION, 0),
                size_of::<object::BoundMethod>(),
            )
            .cast::<object::BoundMethod>();
        // SAFETY: the arena made room.
        unsafe {
            (*object).receiver = self.engine.type_value(owner);
            (*object).function = Value::small_int(*captured);
        }
        *captured += 1;
        Value::shared(object.cast())
    }

    /// Methods, constructors, unit variants; what traits provide.
    fn type_members(&mut self) -> Result<(), LinkError> {
        for (def, &id) in self.code.types.iter().zip(&self.type_ids) {
            let mut captured = 0;
            for (name, proto, has_self) in &def.methods {
                let method = self.member(*proto, id, &mut captured);
                self.engine
                    .add_method(id, self.sym(*name), method, *has_self);
            }
            if def.shape == TypeShape::Struct
                && let Some(constructor) = def.constructor
            {
                let made = self.member(constructor, id, &mut captured);
                self.engine.type_info(id).constructor.set(made);
            }
            for &variant in &def.variants {
                let constructor = self.code.types[variant as usize].constructor;
                if let Some(constructor) = constructor {
                    let made = self.member(constructor, id, &mut captured);
                    let variant = self.type_ids[variant as usize];
                    self.engine.type_info(variant).constructor.set(made);
                }
            }
            if def.is_unit && !def.is_local {
                let mut header = Header::new(Kind::Variant, id, 0);
                header.flags |= FLAG_FROZEN;
                let object = self.engine.permanent(header, size_of::<object::Instance>());
                *self.engine.type_info(id).unit.write() = Value::shared(object);
            }
        }
        // Variants have the methods of their enum, types those of their traits that they lack, errors those of their kind.
        for (def, &id) in self.code.types.iter().zip(&self.type_ids) {
            if def.shape == TypeShape::Variant {
                continue;
            }
            self.inherit(id);
            for variant in &def.variants {
                let variant = self.type_ids[*variant as usize];
                self.copy_methods(id, variant);
            }
        }
        Ok(())
    }
    fn inherit(&self, id: u32) {
        let info = self.engine.type_info(id);
        let mut todo: Vec<u32> = info.traits.clone();
        if info.shape == Shape::Struct {
            todo.extend(info.parent);
        }
        let mut seen = Vec::new();
        while let Some(from) = todo.pop() {
            if seen.contains(&from) {
                continue;
            }
            seen.push(from);
            self.copy_methods(from, id);
            let info = self.engine.type_info(from);
            todo.extend(info.traits.iter().copied());
            todo.extend(info.parent);
        }
    }
    fn copy_methods(&self, from: u32, to: u32) {
        let methods: Vec<_> = self
            .engine
            .type_info(from)
            .methods
            .read()
            .iter()
            .map(|(n, m)| (*n, *m))
            .collect();
        let mut target = self.engine.type_info(to).methods.write();
        for (name, method) in methods {
            target.entry(name).or_insert(method);
        }
    }

    fn finish(&mut self) {
        for (i, global) in self.code.globals.iter().enumerate() {
            let value = match &global.initial {
                Some(Const::Fn(f)) => self.closures.get(f).copied(),
                Some(other) => self.constant(other).ok(),
                None => None,
            };
            if let Some(value) = value {
                self.module.set_global(i as u32, value);
            }
        }
        for v in &self.code.vars {
            if let Some(proto) = v.initialiser {
                let proto = &self.protos[proto as usize];
                proto.is_initialiser.store(true, Ordering::Relaxed);
            }
        }
        let initialisers =
            self.code.vars.iter().enumerate().filter_map(|(i, v)| {
                Some((i as u32, self.protos[v.initialiser? as usize].clone()))
            });
        self.module
            .initialisers
            .set(initialisers.collect())
            .expect("linked once");
        self.module
            .protos
            .set(std::mem::take(&mut self.protos))
            .expect("linked once");
    }
}
