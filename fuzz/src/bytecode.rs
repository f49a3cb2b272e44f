//! Bytecode that no compiler made: words, constants and tables of compiled programs are exchanged, and what the verifier accepts is run. It may do
//! anything that a program may, but not leave its frames, tables and code: the interpreter's unchecked accesses rest on the verifier alone.

use super::programs;
use super::run::Machine;
use heddle::Stress;
use heddle_compiler::{Options, Role, compile};
use heddle_vm::bytecode::{Const, ModuleCode, Op, ProtoCode, Word, verify::verify};

/// No more is exchanged, mostly less: the more there is, the less the verifier accepts.
const MOST: usize = 40;

/// Runs what the bytes stand for.
pub struct Runner {
    usual: Machine,
    stressed: Machine,
    runs: usize,
}

impl Default for Runner {
    fn default() -> Runner {
        Runner {
            usual: Machine::new(Stress::None),
            stressed: Machine::new(Stress::Collect),
            runs: 0,
        }
    }
}

impl Runner {
    /// Whether the verifier has accepted it.
    pub fn check(&mut self, bytes: &[u8]) -> bool {
        // The first half says what is exchanged; out of the rest the program is written.
        let (exchanges, program) = bytes.split_at(bytes.len() / 2);
        let mut code = module(&programs::write(program));
        let mut numbers = Numbers(exchanges);
        let count = numbers.below(MOST);
        for _ in 0..=count.min(numbers.below(MOST)) / 4 {
            exchange(&mut code, &mut numbers);
        }
        let bytes = code.to_bytes();
        let read = ModuleCode::from_bytes(&bytes).expect("what was written can be read");
        assert_eq!(read.to_bytes(), bytes, "what was read is written otherwise");
        // Cut short or changed, it is refused or another module.
        if let Ok(other) = ModuleCode::from_bytes(&bytes[..numbers.below(bytes.len())]) {
            let _ = verify(&other, false);
        }
        if verify(&code, false).is_err() {
            return false;
        }
        if self.runs == 30 {
            *self = Runner::default();
        }
        self.runs += 1;
        self.usual.run_code(&code);
        self.stressed.run_code(&code);
        true
    }
}

/// The program as it is compiled. Its names are those of the prelude, which the linker knows.
fn module(source: &str) -> ModuleCode {
    let options = Options {
        path: "fuzz".into(),
        name: "fuzz".into(),
        role: Role::Library,
        is_test: false,
        counts_lines: false,
        prelude_names: &[],
        repl_scope: None,
        resolve: &|_| Err("programs import no files".into()),
    };
    let (code, findings) = compile(source, &options);
    code.unwrap_or_else(|| panic!("what was made does not compile: {findings:?}\n{source}"))
}

/// What is left of the input.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }
    /// A number below another, 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        match end {
            0 | 1 => 0,
            2..=256 => self.byte() as usize % end,
            _ => (self.byte() as usize * 256 + self.byte() as usize) % end,
        }
    }
    /// Near zero, mostly.
    fn small(&mut self) -> i32 {
        i32::from(self.byte() as i8)
    }
}

fn exchange(code: &mut ModuleCode, numbers: &mut Numbers) {
    let which = numbers.below(code.protos.len());
    let (protos, types) = (code.protos.len() as u32, code.types.len() as u32);
    let symbols = code.symbols.len() as u32;
    let kind = numbers.byte() % 20;
    if let (16, Some(ty)) = (kind, pick(&mut code.types, numbers)) {
        match numbers.byte() % 6 {
            0 => ty.constructor = Some(numbers.byte().into()),
            1 => ty.fields.push((numbers.byte().into(), true)),
            2 => drop(ty.fields.pop()),
            3 => ty
                .methods
                .push((numbers.byte().into(), numbers.byte().into(), true)),
            4 => ty.bases.push(Const::Type(numbers.byte().into())),
            _ => ty.parent = Some(numbers.byte().into()),
        }
        return;
    }
    if kind == 17 {
        if let Some(global) = pick(&mut code.globals, numbers) {
            global.initial = Some(Const::Fn(numbers.byte().into()));
        }
        if let Some(var) = pick(&mut code.vars, numbers) {
            var.initialiser = Some(numbers.byte().into());
        }
        return;
    }
    let proto = &mut code.protos[which];
    match kind {
        // Words of the code: mostly one field of one of them.
        0..=9 => word(proto, kind, numbers),
        10 => {
            let constant = match numbers.byte() % 9 {
                0 => Const::Nil,
                1 => Const::Int(numbers.small().into()),
                2 => Const::Float(f64::from(numbers.small())),
                3 => Const::Str("x".into()),
                4 => Const::Fn(numbers.below(protos as usize + 1) as u32),
                5 => Const::Proto(numbers.below(protos as usize + 1) as u32),
                6 => Const::Type(numbers.below(types as usize + 1) as u32),
                7 => Const::Names(vec![numbers.below(symbols as usize + 1) as u32; 2]),
                _ => {
                    Const::Prelude(["print", "Error", "len", "__int_add"][numbers.below(4)].into())
                }
            };
            match pick(&mut proto.consts, numbers) {
                Some(place) => *place = constant,
                None => proto.consts.push(constant),
            }
        }
        11 => proto.registers = (proto.registers as i32 + numbers.small() / 16).max(0) as u32,
        12 => proto.required = numbers.byte().into(),
        13 => match numbers.byte() % 4 {
            0 => proto.has_rest ^= true,
            1 => proto.is_generator ^= true,
            2 => drop(proto.params.pop()),
            _ => proto.params.push("p".into()),
        },
        14 => {
            let number = numbers.byte();
            if let Some(handler) = pick(&mut proto.handlers, numbers) {
                match number % 6 {
                    0 => handler.start = numbers.byte().into(),
                    1 => handler.end = numbers.byte().into(),
                    2 => handler.target = numbers.byte().into(),
                    3 => handler.reg = numbers.byte() % 32,
                    4 => handler.target_end = numbers.byte().into(),
                    _ => handler.is_cleanup ^= true,
                }
            }
        }
        15 => {
            use heddle_vm::bytecode::CaptureSource::{Capture, Register};
            let source = match numbers.byte() % 2 {
                0 => Register(numbers.byte() % 32),
                _ => Capture((numbers.byte() % 8).into()),
            };
            match pick(&mut proto.captures, numbers) {
                Some(place) => *place = source,
                None => proto.captures.push(source),
            }
        }
        18 => drop(proto.code.pop()),
        _ => {
            // A piece of the code is put in somewhere else.
            let (from, to) = (
                numbers.below(proto.code.len()),
                numbers.below(proto.code.len()),
            );
            let piece = proto.code[from..(from + numbers.below(8)).min(proto.code.len())].to_vec();
            for (place, word) in proto.code[to..].iter_mut().zip(piece) {
                *place = word;
            }
        }
    }
}

fn word(proto: &mut ProtoCode, kind: u8, numbers: &mut Numbers) {
    let others = proto.code.clone();
    let Some(place) = pick(&mut proto.code, numbers) else {
        return;
    };
    let word = Word(*place);
    let (a, b, c, imm) = (word.a() as u8, word.b() as u8, word.c() as u8, word.imm());
    let op = word.op().unwrap_or(Op::Nop);
    let near = |byte: u8, by: i32| byte.wrapping_add(by as u8);
    let changed = match kind {
        0 => Word::new(
            Op::ALL[numbers.byte() as usize % Op::ALL.len()],
            a,
            b,
            c,
            imm,
        ),
        1 => Word::new(op, near(a, numbers.small() / 32), b, c, imm),
        2 => Word::new(op, a, near(b, numbers.small() / 32), c, imm),
        3 => Word::new(op, a, b, near(c, numbers.small() / 32), imm),
        4 | 5 => Word::new(op, a, b, c, imm.wrapping_add(numbers.small() / 8)),
        6 => Word::new(op, a, b, c, numbers.byte().into()),
        7 => Word(others[numbers.below(others.len())]),
        8 => Word::new(op, b, a, c, imm),
        _ => Word::new(
            op,
            numbers.byte() % 16,
            numbers.byte() % 16,
            numbers.byte() % 16,
            imm,
        ),
    };
    *place = changed.0;
}

/// One of several, if there is one.
fn pick<'a, T>(all: &'a mut [T], numbers: &mut Numbers) -> Option<&'a mut T> {
    let at = numbers.below(all.len());
    all.get_mut(at)
}
