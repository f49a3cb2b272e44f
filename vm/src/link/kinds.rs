//! Constructors of kinds of error that are based on those of other modules.
//!
//! The compiler does not know the fields of a base in another module, not even whether it is a trait or a kind of error. It makes the
//! constructor of a struct whose bases are traits, and names what that of an error is made of (`ErrorConstructor`). Once the types are
//! there, this writes the code of the latter in its place. The result is verified like any other module before it is linked.
//!
//! An error's constructor takes the message, the fields that the base adds to those of `Error`, its own fields, and by name what
//! every error has. Fields of the base are made by the base's constructor, which alone knows their defaults:
//!
//! | registers | |
//! | --- | --- |
//! | 0 … | the parameters |
//! | `run` … | all fields, in the order of the type |
//! | `made` | the base's instance, then the new one |
//! | `window` … | calls of the base and of defaults |

use super::{LinkError, Linker};
use crate::bytecode::{
    Const, ERROR_FIELDS, ErrorConstructor, MAX_REGISTERS, ModuleCode, Op, ProtoCode, TypeShape,
    Word,
};
use crate::object::{Closure, Kind};
use crate::types::TypeInfo;

/// What of a base its heirs must know.
struct Base<'a> {
    constant: &'a Const,
    /// Names of its constructor's parameters; of a built-in kind only the message.
    params: Vec<Box<str>>,
    /// How many of the parameters must be given.
    required: usize,
    /// Fields besides those of `Error`.
    added: usize,
}

impl Linker<'_> {
    /// The module with the constructors of such errors, if it has any.
    pub(super) fn with_constructors(&self) -> Result<Option<ModuleCode>, LinkError> {
        let mut whole: Option<ModuleCode> = None;
        for (index, def) in self.code.types.iter().enumerate() {
            let info = self.engine.type_info(self.type_ids[index]);
            let (Some(parts), Some(constructor)) = (&def.as_error, def.constructor) else {
                continue;
            };
            if !info.is_error {
                continue;
            }
            let base = self.base(index, info, parts)?;
            let code = self.constructor(index, info, &base, parts)?;
            let whole = whole.get_or_insert_with(|| self.code.clone());
            let old = &mut whole.protos[constructor as usize];
            *old = ProtoCode {
                name: std::mem::take(&mut old.name),
                span: old.span,
                spans: vec![(0, old.span)],
                is_internal: old.is_internal,
                ..code
            };
        }
        Ok(whole)
    }

    /// The nearest kind of another module that a type is based on.
    fn base(
        &self,
        mut index: usize,
        info: &TypeInfo,
        parts: &ErrorConstructor,
    ) -> Result<Base<'_>, LinkError> {
        let mut parent = info.parent;
        let (constant, kind) = loop {
            let of_parent = self.code.types[index]
                .bases
                .iter()
                .rev()
                .find(|base| self.base_type(base).ok() == parent);
            match of_parent {
                Some(Const::Type(next)) => {
                    index = *next as usize;
                    parent = self.engine.type_info(self.type_ids[index]).parent;
                }
                Some(constant) if let Some(kind) = parent => {
                    break (constant, self.engine.type_info(kind));
                }
                _ => return Err(self.wrong_base(index, "has no kind of error behind ':'")),
            }
        };
        let added = kind.fields.len().saturating_sub(ERROR_FIELDS.len());
        let is_whole = info.fields.len() == ERROR_FIELDS.len() + added + parts.fields.len();
        if !is_whole {
            return Err(self.wrong_base(index, "has other fields than its constructor is made of"));
        }
        if added == 0 {
            return Ok(Base {
                constant,
                params: vec![ERROR_FIELDS[0].into()],
                required: 1,
                added,
            });
        }
        let constructor = kind.constructor.get();
        if !constructor.is_kind(Kind::Closure) {
            let what = format!("is based on {}, which cannot be made", kind.name);
            return Err(self.wrong_base(index, &what));
        }
        // SAFETY: its kind was tested; prototypes live as long as the engine.
        let proto = unsafe { &*(*constructor.as_object().cast::<Closure>()).proto() };
        let params: Vec<Box<str>> = proto
            .param_names
            .iter()
            .map(|name| self.engine.symbol_text(*name).into())
            .collect();
        if params.len() < 1 + added {
            let what = format!(
                "is based on {}, whose constructor leaves out fields",
                kind.name
            );
            return Err(self.wrong_base(index, &what));
        }
        Ok(Base {
            constant,
            params,
            required: proto.required as usize,
            added,
        })
    }

    fn constructor(
        &self,
        index: usize,
        info: &TypeInfo,
        base: &Base,
        parts: &ErrorConstructor,
    ) -> Result<ProtoCode, LinkError> {
        let own = parts.fields.len();
        let of_base = 1 + base.added;
        // A local type comes in front of the fields, and behind them in the instance.
        let local = usize::from(info.is_local);
        let first_own = local + of_base;
        let mut params: Vec<Box<str>> = Vec::new();
        if info.is_local {
            params.push("self".into());
        }
        params.extend_from_slice(&base.params[..of_base]);
        let names = parts.fields.iter();
        params.extend(names.map(|&(name, _)| self.code.symbols[name as usize].clone()));
        // What every error has and no field is called.
        let by_name = ["kind", "data", "cause"].map(|name| {
            let is_free = !params[local + 1..].iter().any(|param| **param == *name);
            (name, is_free)
        });
        let by_name = by_name.map(|(name, is_free)| {
            is_free.then(|| {
                params.push(name.into());
                params.len() - 1
            })
        });
        let leading = parts.fields.iter().take_while(|field| field.1.is_none());
        let required = match base.required >= of_base {
            true => first_own + leading.count(),
            false => local + base.required,
        };
        let run = params.len();
        let total = info.fields.len();
        let made = run + total + local;
        let window = made + 1;
        let registers = window + 2 + base.params.len().max(own);
        if registers > MAX_REGISTERS {
            return Err(self.wrong_base(index, "has too many fields"));
        }
        let mut code = Code::default();
        if base.added > 0 {
            for (position, name) in base.params.iter().enumerate() {
                let known = ["kind", "data", "cause"]
                    .iter()
                    .position(|by| **by == **name);
                let source = match known.filter(|_| position >= of_base) {
                    Some(known) => by_name[known],
                    None => Some(local + position).filter(|_| position < of_base),
                };
                match source {
                    Some(source) => code.put(Op::Move, window + 2 + position, source, 0, 0),
                    None => code.put(Op::LoadUnset, window + 2 + position, 0, 0, 0),
                }
            }
            let constant = code.constant(base.constant.clone());
            code.put(Op::CallK, window, made, base.params.len(), constant);
        }
        for (position, &(_, default)) in parts.fields.iter().enumerate() {
            let register = first_own + position;
            match default {
                _ if register < required => {}
                Some(default) => {
                    let given = code.words.len();
                    code.put(Op::JumpIfSet, register, 0, 0, 0);
                    for before in 0..position {
                        code.put(Op::Move, window + 2 + before, first_own + before, 0, 0);
                    }
                    let constant = code.constant(Const::Fn(default));
                    code.put(Op::CallFn, window, register, position, constant);
                    code.land(given);
                }
                None => {
                    let constant = code.constant(Const::Str(params[register].clone()));
                    code.put(Op::CheckArg, register, 0, 0, constant);
                }
            }
        }
        if base.added > 0 {
            for slot in 0..ERROR_FIELDS.len() + base.added {
                code.put(Op::GetSlot, run + slot, made, slot, 0);
            }
        } else {
            code.put(Op::Move, run, local, 0, 0);
            for (slot, source) in (1..).zip(by_name) {
                code.put(Op::LoadNil, run + slot, 0, 0, 0);
                if let Some(source) = source {
                    // An argument that was not given is nil.
                    let given = code.words.len();
                    code.put(Op::JumpIfSet, source, 0, 0, 0);
                    code.put(Op::LoadNil, source, 0, 0, 0);
                    code.land(given);
                    code.put(Op::Move, run + slot, source, 0, 0);
                }
            }
            code.put(Op::LoadNil, run + ERROR_FIELDS.len() - 1, 0, 0, 0);
        }
        for position in 0..own {
            code.put(
                Op::Move,
                run + total - own + position,
                first_own + position,
                0,
                0,
            );
        }
        let constant = code.constant(Const::Type(index as u32));
        if info.is_local {
            code.put(Op::Move, run + total, 0, 0, 0);
        }
        code.put(Op::NewStruct, made, run, total + local, constant);
        code.put(Op::Return, made, 0, 0, 0);
        Ok(ProtoCode {
            params,
            required: required as u32,
            registers: registers as u32,
            code: code.words,
            consts: code.consts,
            ..ProtoCode::default()
        })
    }

    /// What is wrong with what a type is based on, with the place of the type.
    pub(super) fn wrong_base(&self, index: usize, what: &str) -> LinkError {
        let def = &self.code.types[index];
        let name = &self.code.symbols[def.name as usize];
        let proto = def
            .constructor
            .and_then(|proto| self.code.protos.get(proto as usize));
        let start = proto.map(|proto| proto.span.start as usize);
        let before = start.and_then(|start| self.code.source.get(..start));
        let place = before
            .filter(|_| def.shape == TypeShape::Struct)
            .map(|before| {
                let line = before.matches('\n').count() + 1;
                format!(" ({}:{line})", self.code.path)
            });
        LinkError(format!("{name} {what}{}", place.unwrap_or_default()))
    }
}

/// Code that grows. Registers are known to be fewer than `MAX_REGISTERS`.
#[derive(Default)]
struct Code {
    words: Vec<u64>,
    consts: Vec<Const>,
}

impl Code {
    fn put(&mut self, op: Op, a: usize, b: usize, c: usize, imm: i32) {
        let word = Word::new(op, a as u8, b as u8, c as u8, imm);
        self.words.push(word.0);
    }
    /// The jump at this word leads here.
    fn land(&mut self, jump: usize) {
        let distance = self.words.len() - jump - 1;
        self.words[jump] = Word(self.words[jump]).with_imm(distance as i32).0;
    }
    fn constant(&mut self, constant: Const) -> i32 {
        self.consts.push(constant);
        self.consts.len() as i32 - 1
    }
}
