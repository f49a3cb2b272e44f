//! The verifier: whether a module can be linked and run without the interpreter ever leaving a frame, a table or its code.
//!
//! A pure function over plain data. The interpreter's unchecked accesses rest on it: registers below the frame's size, windows and
//! runs within it, constants of the kind that the instruction takes, jumps to instructions, captures that exist and are cells where
//! they are used as cells, and fuel counted on every cycle. What it does not know is what kind of *value* lies in a register: that
//! the interpreter always looks at. Field counts of types with foreign bases are checked by the linker.

mod cells;

use super::{
    CaptureSource, CodeSpan, Const, MAX_COPIED, MAX_REGISTERS, ModuleCode, Op, Operand, ProtoCode,
    TypeDef, TypeShape, Word, start,
};

/// What is wrong with a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// The prototype, if it is in one.
    pub proto: Option<usize>,
    /// The word in its code, if it is in one.
    pub word: Option<usize>,
    /// What is wrong there.
    pub message: String,
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invalid bytecode")?;
        if let Some(proto) = self.proto {
            write!(f, " in function {proto}")?;
        }
        if let Some(word) = self.word {
            write!(f, " at word {word}")?;
        }
        write!(f, ": {}", self.message)
    }
}
impl std::error::Error for VerifyError {}

type Check = Result<(), String>;

/// The largest number of fields: the constructor's frame holds them and the instance. Larger ones can never be made.
const MAX_FIELDS: usize = MAX_REGISTERS - 1;
/// Room that a map may ask for at once.
const MAX_MAP_ROOM: i32 = 1 << 20;
/// So many fields every error has in front of its own.
const ERROR_FIELDS: usize = super::ERROR_FIELDS.len();

/// Checks a module. `is_trusted`: the library's own prelude, which may return into fused instructions.
pub fn verify(module: &ModuleCode, is_trusted: bool) -> Result<(), VerifyError> {
    let outside = |message| VerifyError {
        proto: None,
        word: None,
        message,
    };
    module_tables(module).map_err(outside)?;
    let order = base_order(module).map_err(outside)?;
    let fields = field_counts(module, &order);
    for (index, proto) in module.protos.iter().enumerate() {
        let within = |message| VerifyError {
            proto: Some(index),
            word: None,
            message,
        };
        header(module, proto).map_err(within)?;
    }
    for (index, proto) in module.protos.iter().enumerate() {
        let mut code = Code {
            module,
            proto,
            fields: &fields,
            is_trusted,
            starts: Vec::new(),
        };
        code.check().map_err(|(word, message)| VerifyError {
            proto: Some(index),
            word,
            message,
        })?;
    }
    cells::check(module).map_err(|(proto, word, message)| VerifyError {
        proto: Some(proto),
        word,
        message,
    })
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(message()) }
}

fn in_table(index: u32, length: usize, what: &str) -> Check {
    ensure((index as usize) < length, || {
        format!("{what} {index} of {length}")
    })
}

// --- the module's tables

fn module_tables(module: &ModuleCode) -> Check {
    ensure(!module.protos.is_empty(), || {
        "no prototype for the body".into()
    })?;
    plain_function(module, 0, "the body")?;
    for global in &module.globals {
        symbol(module, global.name)?;
        match &global.initial {
            None => {}
            Some(Const::Fn(proto)) => function_constant(module, *proto)?,
            Some(Const::Type(index)) => in_table(*index, module.types.len(), "type")?,
            Some(other) => return Err(format!("a global cannot start as {other:?}")),
        }
    }
    for var in &module.vars {
        symbol(module, var.name)?;
        if let Some(proto) = var.initialiser {
            plain_function(module, proto, "an initialiser")?;
        }
    }
    for (name, proto) in &module.tests {
        plain_function(module, *proto, name)?;
    }
    (0..module.types.len()).try_for_each(|index| type_def(module, index))
}

fn symbol(module: &ModuleCode, index: u32) -> Check {
    in_table(index, module.symbols.len(), "symbol")
}

/// A prototype that runs without arguments and captures.
fn plain_function(module: &ModuleCode, index: u32, what: &str) -> Check {
    in_table(index, module.protos.len(), "prototype")?;
    let proto = &module.protos[index as usize];
    let is_plain = proto.params.is_empty()
        && !proto.has_rest
        && !proto.is_generator
        && proto.captures.is_empty();
    ensure(is_plain, || {
        format!("{what} takes arguments, captures or yields")
    })
}

/// A prototype that may be a constant: it captures nothing.
fn function_constant(module: &ModuleCode, index: u32) -> Check {
    in_table(index, module.protos.len(), "prototype")?;
    ensure(module.protos[index as usize].captures.is_empty(), || {
        format!("function {index} has captures and is no constant")
    })
}

/// A method or constructor: those of a local type may capture.
fn member(module: &ModuleCode, ty: &TypeDef, proto: u32) -> Check {
    if ty.is_local {
        return in_table(proto, module.protos.len(), "prototype");
    }
    function_constant(module, proto)
}

fn type_def(module: &ModuleCode, index: usize) -> Check {
    let ty = &module.types[index];
    symbol(module, ty.name)?;
    ensure(ty.fields.len() <= MAX_FIELDS, || {
        format!("type {index} has too many fields")
    })?;
    for &(name, _) in &ty.fields {
        symbol(module, name)?;
    }
    for &name in &ty.required {
        symbol(module, name)?;
    }
    for base in &ty.bases {
        match base {
            Const::Type(base) => in_table(*base, module.types.len(), "type")?,
            Const::Import { module: import, .. } => {
                in_table(*import, module.imports.len(), "import")?;
            }
            Const::Prelude(_) => {}
            other => return Err(format!("type {index} cannot be based on {other:?}")),
        }
    }
    for &(name, proto, has_self) in &ty.methods {
        symbol(module, name)?;
        member(module, ty, proto)?;
        let proto = &module.protos[proto as usize];
        ensure(
            !has_self || !proto.params.is_empty() || proto.has_rest,
            || format!("method {} has no parameter for self", proto.name),
        )?;
    }
    if let Some(proto) = ty.constructor {
        member(module, ty, proto)?;
        ensure(
            matches!(ty.shape, TypeShape::Struct | TypeShape::Variant),
            || format!("type {index} cannot have a constructor"),
        )?;
    }
    if let Some(parts) = &ty.as_error {
        let is_struct = ty.shape == TypeShape::Struct && ty.constructor.is_some();
        ensure(is_struct, || format!("type {index} cannot be an error"))?;
        for (position, &(name, default)) in parts.fields.iter().enumerate() {
            symbol(module, name)?;
            if let Some(proto) = default {
                function_constant(module, proto)?;
                let proto = &module.protos[proto as usize];
                let takes_fields =
                    proto.params.len() == position && !proto.has_rest && !proto.is_generator;
                ensure(takes_fields, || {
                    format!("{} is no default of field {position}", proto.name)
                })?;
            }
        }
    }
    family(module, index)
}

/// Enums and their variants name each other.
fn family(module: &ModuleCode, index: usize) -> Check {
    let ty = &module.types[index];
    let wrong = || format!("type {index}: enum and variants do not fit");
    if ty.shape != TypeShape::Enum {
        ensure(ty.variants.is_empty(), wrong)?;
    }
    for &variant in &ty.variants {
        in_table(variant, module.types.len(), "type")?;
        let variant = &module.types[variant as usize];
        ensure(
            variant.shape == TypeShape::Variant
                && variant.parent == Some(index as u32)
                && variant.is_local == ty.is_local,
            wrong,
        )?;
    }
    match (ty.shape, ty.parent) {
        (TypeShape::Variant, Some(parent)) => {
            in_table(parent, module.types.len(), "type")?;
            let listed = module.types[parent as usize]
                .variants
                .iter()
                .filter(|&&v| v as usize == index);
            ensure(listed.count() == 1 && ty.bases.is_empty(), wrong)?;
            ensure(
                !ty.is_unit || ty.fields.is_empty() && ty.constructor.is_none(),
                wrong,
            )
        }
        (TypeShape::Variant, None) => Err(wrong()),
        (_, parent) => ensure(parent.is_none() && !ty.is_unit, wrong),
    }
}

/// All types, each after those that it is based on.
fn base_order(module: &ModuleCode) -> Result<Vec<usize>, String> {
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0u8; module.types.len()];
    let mut order = Vec::with_capacity(module.types.len());
    for root in 0..module.types.len() {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut stack = vec![(root, 0)];
        while let Some((index, next)) = stack.pop() {
            let Some(base) = module.types[index].bases.get(next) else {
                state[index] = 2;
                order.push(index);
                continue;
            };
            stack.push((index, next + 1));
            if let Const::Type(base) = base {
                let base = *base as usize;
                ensure(state[base] != 1, || {
                    format!("type {base} is based on itself")
                })?;
                if state[base] == 0 {
                    state[base] = 1;
                    stack.push((base, 0));
                }
            }
        }
    }
    Ok(order)
}

/// How many fields of an instance are declared in this module, and whether that is all of them: what bases of other
/// modules add only the linker knows.
#[derive(Clone, Copy, Default)]
struct FieldCount {
    declared: usize,
    is_all: bool,
}

fn field_counts(module: &ModuleCode, order: &[usize]) -> Vec<FieldCount> {
    let mut counts = vec![FieldCount::default(); module.types.len()];
    for &index in order {
        let ty = &module.types[index];
        let mut count = FieldCount {
            declared: ty.fields.len(),
            is_all: true,
        };
        for base in &ty.bases {
            match base {
                Const::Type(base) => {
                    let base = counts[*base as usize];
                    count.declared = count.declared.saturating_add(base.declared);
                    count.is_all &= base.is_all;
                }
                _ => count.is_all = false,
            }
        }
        counts[index] = count;
    }
    counts
}

// --- prototypes

fn header(module: &ModuleCode, proto: &ProtoCode) -> Check {
    let registers = proto.registers as usize;
    ensure((1..=MAX_REGISTERS).contains(&registers), || {
        format!("{registers} registers")
    })?;
    let params = proto.params.len() + usize::from(proto.has_rest);
    ensure(params <= registers, || {
        format!("{params} parameters in {registers} registers")
    })?;
    ensure(proto.required as usize <= proto.params.len(), || {
        "more required than parameters".into()
    })?;
    ensure(i32::try_from(proto.code.len()).is_ok(), || {
        "too much code".into()
    })?;
    span(module, proto.span)?;
    let mut last = None;
    for &(word, place) in &proto.spans {
        ensure(
            (word as usize) < proto.code.len() && last < Some(word),
            || "spans out of order".into(),
        )?;
        last = Some(word);
        span(module, place)?;
    }
    for constant in &proto.consts {
        constant_def(module, constant)?;
    }
    Ok(())
}

/// A place in the source, cut where characters begin.
fn span(module: &ModuleCode, place: CodeSpan) -> Check {
    let (start, end) = (place.start as usize, place.end as usize);
    let is_place = start <= end
        && module.source.is_char_boundary(start)
        && module.source.is_char_boundary(end);
    ensure(is_place, || {
        format!("no place in the source: {start}..{end}")
    })
}

fn constant_def(module: &ModuleCode, constant: &Const) -> Check {
    match constant {
        Const::Nil
        | Const::Bool(_)
        | Const::Int(_)
        | Const::Float(_)
        | Const::Duration(_)
        | Const::Str(_)
        | Const::Bytes(_)
        | Const::Range { .. }
        | Const::Prelude(_) => Ok(()),
        Const::BigInt(text) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            ensure(
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()),
                || format!("{text:?} is no number"),
            )
        }
        Const::Fn(proto) => function_constant(module, *proto),
        Const::Proto(proto) => in_table(*proto, module.protos.len(), "prototype"),
        Const::Type(index) => in_table(*index, module.types.len(), "type"),
        Const::Import { module: import, .. } | Const::Module(import) => {
            in_table(*import, module.imports.len(), "import")
        }
        Const::Names(names) => names.iter().try_for_each(|&name| symbol(module, name)),
    }
}

// --- code

struct Code<'m> {
    module: &'m ModuleCode,
    proto: &'m ProtoCode,
    /// By type.
    fields: &'m [FieldCount],
    is_trusted: bool,
    /// Which words are instructions.
    starts: Vec<bool>,
}

type CodeCheck = Result<(), (Option<usize>, String)>;

impl Code<'_> {
    fn check(&mut self) -> CodeCheck {
        self.find_starts()?;
        for at in 0..self.proto.code.len() {
            if self.starts[at] {
                self.instruction(at)
                    .map_err(|message| (Some(at), message))?;
            }
        }
        for handler in &self.proto.handlers {
            self.handler(handler)
                .map_err(|message| (Some(handler.start as usize), message))?;
        }
        self.threadlets()
    }

    /// A threadlet's state is trusted by what ends it, so the three instructions stand together: `LoadBool` of the state, `Threadlet`, `ThreadletEnd` in a row that nothing jumps into, and
    /// `ThreadletFail` where the handler of just the `Threadlet` leads, and nothing else.
    fn threadlets(&self) -> CodeCheck {
        let code = &self.proto.code;
        let is_op = |at: usize, op: Op| {
            self.starts.get(at) == Some(&true) && Word(code[at]).op() == Some(op)
        };
        let ops = [Op::Threadlet, Op::ThreadletEnd, Op::ThreadletFail];
        if !(0..code.len()).any(|at| ops.iter().any(|op| is_op(at, *op))) {
            return Ok(());
        }
        let mut entered = vec![false; code.len()];
        for at in (0..code.len()).filter(|&at| self.starts[at]) {
            let word = Word(code[at]);
            let jumps = word
                .op()
                .is_some_and(|op| op.operands()[3] == Operand::Jump);
            let target = at as i64 + 1 + i64::from(word.imm());
            if jumps && let Some(entered) = entered.get_mut(target as usize) {
                *entered = true;
            }
        }
        let is_handled_at = |at: usize| {
            let is_target = |h: &&super::HandlerRange| h.target as usize == at;
            self.proto.handlers.iter().filter(is_target).count()
        };
        for at in (0..code.len()).filter(|&at| self.starts[at]) {
            let word = Word(code[at]);
            let stands = match word.op() {
                Some(Op::Threadlet) => {
                    let load = at.checked_sub(1).map(|before| Word(code[before]));
                    let is_set = load.is_some_and(|load| {
                        is_op(at - 1, Op::LoadBool) && load.a() == word.b() && load.b() == 1
                    });
                    let mut around = self.proto.handlers.iter().filter(|handler| {
                        (handler.start as usize..handler.end as usize).contains(&at)
                    });
                    let is_caught = around.next().is_some_and(|handler| {
                        let target = handler.target as usize;
                        handler.start as usize == at
                            && handler.end as usize == at + 1
                            && handler.is_cleanup
                            && is_op(target, Op::ThreadletFail)
                            && Word(code[target]).b() == word.b()
                            && Word(code[target]).c() == handler.reg as usize
                    });
                    is_set
                        && is_caught
                        && word.b() + 3 <= word.a()
                        && is_op(at + 1, Op::ThreadletEnd)
                }
                Some(Op::ThreadletEnd) => at.checked_sub(1).is_some_and(|before| {
                    let begin = Word(code[before]);
                    is_op(before, Op::Threadlet) && begin.b() == word.b() && begin.a() == word.c()
                }),
                Some(Op::ThreadletFail) => {
                    let before = at.checked_sub(1).and_then(|before| Word(code[before]).op());
                    is_handled_at(at) == 1 && before.is_some_and(never_falls_through)
                }
                _ => continue,
            };
            let is_entered =
                entered[at] || word.op() != Some(Op::ThreadletFail) && is_handled_at(at) > 0;
            if !stands || is_entered {
                return Err((Some(at), "a threadlet is not whole".into()));
            }
        }
        Ok(())
    }

    fn find_starts(&mut self) -> CodeCheck {
        let code = &self.proto.code;
        self.starts = vec![false; code.len()];
        let mut at = 0;
        let mut last = None;
        while at < code.len() {
            let op = Word(code[at])
                .op()
                .ok_or_else(|| (Some(at), "no instruction".to_string()))?;
            self.starts[at] = true;
            last = Some(op);
            let copied = Word(code[at]).c().clamp(1, MAX_COPIED + 1) - 1;
            for _ in 0..op.cache_words() {
                at += 1;
                match code.get(at) {
                    Some(0) => {}
                    Some(mask) if op == Op::InvokeCopy && mask >> copied == 0 => {}
                    Some(_) => return Err((Some(at), "a cache word is not empty".into())),
                    None => return Err((Some(at), "a cache word is missing".into())),
                }
            }
            at += 1;
        }
        match last {
            Some(op) if never_falls_through(op) => Ok(()),
            Some(_) => Err((
                Some(code.len() - 1),
                "the code ends without returning".into(),
            )),
            None => Err((None, "no code".into())),
        }
    }

    fn is_start(&self, at: i64) -> bool {
        usize::try_from(at).is_ok_and(|at| self.starts.get(at).copied().unwrap_or(false))
    }

    fn handler(&self, handler: &super::HandlerRange) -> Check {
        let (start, end) = (handler.start as usize, handler.end as usize);
        let is_range = start < end
            && self.starts.get(start) == Some(&true)
            && (end == self.starts.len() || self.starts.get(end) == Some(&true));
        ensure(is_range, || format!("no range of code: {start}..{end}"))?;
        let target = handler.target as usize;
        ensure(self.starts.get(target) == Some(&true), || {
            format!("no handler at {target}")
        })?;
        self.register(usize::from(handler.reg))?;
        // A handler that protects itself could throw for ever without counting fuel; the loop that runs what was deferred counts it.
        let runs_defers = target == start
            && self.proto.code[start..end]
                .iter()
                .enumerate()
                .all(|(index, &word)| {
                    !self.starts[start + index]
                        || matches!(Word(word).op(), Some(Op::DeferPop | Op::Call | Op::Loop))
                });
        ensure(target >= end || runs_defers, || {
            "a handler goes back".into()
        })
    }

    fn register(&self, register: usize) -> Check {
        let registers = self.proto.registers as usize;
        ensure(register < registers, || {
            format!("register {register} of {registers}")
        })
    }

    fn registers(&self, first: usize, count: usize) -> Check {
        let registers = self.proto.registers as usize;
        ensure(first < registers && first + count <= registers, || {
            format!("registers {first} … {} of {registers}", first + count)
        })
    }

    fn constant(&self, index: i64) -> Result<&Const, String> {
        let constant = usize::try_from(index)
            .ok()
            .and_then(|index| self.proto.consts.get(index));
        constant.ok_or_else(|| format!("constant {index} of {}", self.proto.consts.len()))
    }

    fn instruction(&self, at: usize) -> Check {
        let word = Word(self.proto.code[at]);
        let op = word.op().expect("the starts are instructions");
        let [a, b, c, imm] = op.operands();
        self.field(op, a, word.a(), word)?;
        self.field(op, b, word.b(), word)?;
        self.field(op, c, word.c(), word)?;
        self.immediate(op, imm, at, word)?;
        self.numbers(op, word)?;
        self.placement(op, at)
    }

    /// An operand in `a`, `b` or `c`.
    fn field(&self, op: Op, operand: Operand, value: usize, word: Word) -> Check {
        match operand {
            Operand::None => ensure(value == 0, || "an unused field is not zero".into()),
            Operand::Dst | Operand::Src | Operand::Upd => self.register(value),
            Operand::Window => self.registers(value, 2 + word.c()),
            Operand::Run => self.registers(value, word.c()),
            Operand::Loop3 => self.registers(value, 3),
            Operand::Loop2 | Operand::Dst2 => self.registers(value, 2),
            Operand::Const16 => self.kind(op, i64::from(word.pair()), word),
            Operand::Num | Operand::Int16 | Operand::Pair => Ok(()),
            other => Err(format!("{other:?} is no operand of this width")),
        }
    }

    fn immediate(&self, op: Op, operand: Operand, at: usize, word: Word) -> Check {
        let value = i64::from(word.imm());
        let table = |length: usize, what: &str| {
            ensure((0..length as i64).contains(&value), || {
                format!("{what} {value} of {length}")
            })
        };
        match operand {
            Operand::None => ensure(value == 0, || "an unused field is not zero".into()),
            Operand::Int | Operand::Num => Ok(()),
            Operand::Const => self.kind(op, value, word),
            Operand::Global => table(self.module.globals.len(), "global"),
            Operand::Var => table(self.module.vars.len(), "variable"),
            Operand::Capture => table(self.proto.captures.len(), "capture"),
            Operand::Sym => table(self.module.symbols.len(), "symbol"),
            Operand::Counter => table(self.module.counters.len(), "counter"),
            Operand::Jump => {
                // Only backward jumps count fuel, so only those that do may go back.
                let goes_back = matches!(op, Op::Loop | Op::ForLoop);
                ensure(goes_back == (value < 0), || {
                    "a jump in the wrong direction".into()
                })?;
                let target = at as i64 + 1 + value;
                ensure(self.is_start(target), || format!("a jump to {target}"))
            }
            other => Err(format!("{other:?} is no immediate")),
        }
    }

    /// Whether a constant is of the kind that the operation takes.
    fn kind(&self, op: Op, index: i64, word: Word) -> Check {
        let constant = self.constant(index)?;
        let is_callable = |constant: &Const| {
            matches!(
                constant,
                Const::Fn(_)
                    | Const::Type(_)
                    | Const::Import { .. }
                    | Const::Prelude(_)
                    | Const::Module(_)
            )
        };
        let count = word.c();
        let fits = match op {
            Op::LoadK => !matches!(
                constant,
                Const::Proto(_) | Const::Import { .. } | Const::Names(_)
            ),
            Op::LoadImport | Op::GetImportVar | Op::SetImportVar => {
                matches!(constant, Const::Import { .. })
            }
            Op::Closure => matches!(constant, Const::Proto(_)),
            Op::AddK | Op::SubK | Op::MulK | Op::DivK | Op::RSubK | Op::RMulK | Op::RDivK => {
                matches!(constant, Const::Float(_))
            }
            Op::Format | Op::CheckArg | Op::AssertFail => {
                matches!(constant, Const::Str(_))
            }
            Op::JNotType => {
                matches!(
                    constant,
                    Const::Type(_) | Const::Import { .. } | Const::Prelude(_)
                )
            }
            Op::JNotIn => matches!(constant, Const::Range { .. }),
            Op::CallK => is_callable(constant),
            Op::CallFn => match constant {
                Const::Fn(proto) => {
                    let callee = &self.module.protos[*proto as usize];
                    callee.params.len() == count && !callee.has_rest && !callee.is_generator
                }
                _ => false,
            },
            Op::CallNamed => matches!(constant, Const::Names(names) if names.len() <= count),
            Op::UnpackFields => matches!(constant, Const::Names(_)),
            Op::InvokeNamed => {
                matches!(constant, Const::Names(names) if (1..=count).contains(&names.len()))
            }
            Op::NewStruct => match constant {
                Const::Type(index) => self.fits_type(*index as usize, count),
                _ => false,
            },
            Op::NewType => {
                matches!(constant, Const::Type(index) if self.module.types[*index as usize].is_local)
            }
            _ => false,
        };
        ensure(fits, || {
            format!("constant {constant:?} does not fit {}", op.name())
        })
    }

    fn fits_type(&self, index: usize, count: usize) -> bool {
        let ty = &self.module.types[index];
        let is_instance = matches!(ty.shape, TypeShape::Struct | TypeShape::Variant);
        // The type itself.
        let local = usize::from(ty.is_local);
        is_instance
            && match self.fields[index] {
                FieldCount {
                    declared,
                    is_all: true,
                } => count == declared.saturating_add(local),
                // Perhaps an error: the linker sees its base.
                FieldCount { declared, .. } => {
                    let own = declared.saturating_add(local);
                    count == own || count >= own.saturating_add(ERROR_FIELDS)
                }
            }
    }

    /// The plain numbers in an instruction.
    fn numbers(&self, op: Op, word: Word) -> Check {
        let (a, b, c, imm) = (word.a(), word.b(), word.c(), word.imm());
        let fits = match op {
            Op::LoadNil => return self.registers(a, b + 1),
            Op::Unpack => {
                return self
                    .registers(b, c)
                    .and(ensure((0..=2).contains(&imm), || "no kind of parts".into()));
            }
            // The type lies in the first, even if no field is asked for.
            Op::UnpackFields | Op::UnpackAllFields => return self.registers(b, c.max(1)),
            Op::Yield => c <= self.proto.registers as usize,
            Op::LoadBool => b <= 1,
            Op::JNotKind => b <= 2 && c == 0,
            Op::JNotLen => c <= 1,
            Op::ForPrep => b <= 1,
            Op::NewRange => (0..=1).contains(&imm),
            Op::NewMap => (0..=MAX_MAP_ROOM).contains(&imm),
            Op::SliceRest => imm >= 0,
            Op::FloorDivI | Op::ModI => imm > 0,
            Op::Invoke | Op::InvokeCopy | Op::InvokeNamed => c >= 1,
            // The name lies behind the arguments.
            Op::Spawn => return self.registers(a, 2 + c + 1).and(self.spawned(word)),
            _ => true,
        };
        ensure(fits, || format!("numbers out of range for {}", op.name()))
    }

    /// What `Spawn` starts, and which of its arguments are copied.
    fn spawned(&self, word: Word) -> Check {
        let (kind, copied) = (word.imm() as u32 & 3, word.imm() as u32 >> 2);
        let fits = match kind {
            start::SPAWN => copied == 0,
            start::THREAD => copied >> word.c().min(MAX_COPIED) == 0,
            _ => false,
        };
        ensure(fits, || format!("{:#x} starts nothing", word.imm()))
    }

    /// Operations that stand only in certain functions, or that only the VM makes.
    fn placement(&self, op: Op, at: usize) -> Check {
        let is_generator = self.proto.is_generator;
        ensure((at == 0 && is_generator) == (op == Op::GenBegin), || {
            "GenBegin is the first word of generators, and only that".into()
        })?;
        let fits = match op {
            Op::Yield | Op::GenReturn => is_generator,
            Op::Return | Op::ReturnNil => !is_generator,
            Op::ReturnJump | Op::ReturnEnd => self.is_trusted && !is_generator,
            Op::AddF
            | Op::SubF
            | Op::MulF
            | Op::DivF
            | Op::LoadSlot
            | Op::CallNear
            | Op::CallNative
            | Op::Exit => false,
            _ => true,
        };
        ensure(fits, || format!("{} does not belong here", op.name()))
    }
}

fn never_falls_through(op: Op) -> bool {
    matches!(
        op,
        Op::Jump
            | Op::Loop
            | Op::Return
            | Op::ReturnNil
            | Op::ReturnJump
            | Op::ReturnEnd
            | Op::GenReturn
            | Op::Throw
            | Op::Rethrow
            | Op::MatchFail
            | Op::AssertFail
    )
}

#[cfg(test)]
mod tests;
