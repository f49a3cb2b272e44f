//! A module that uses most of the format, and what becomes of it under mutation.

use super::*;
use crate::{ErrorConstructor, GlobalDef, HandlerRange, ModuleRef, TypeDef, VarDef};

fn word(op: Op, a: u8, b: u8, c: u8, imm: i32) -> u64 {
    Word::new(op, a, b, c, imm).0
}

fn proto(registers: u32, params: usize, consts: Vec<Const>, code: Vec<u64>) -> ProtoCode {
    ProtoCode {
        params: (0..params).map(|_| "p".into()).collect(),
        required: params as u32,
        registers,
        consts,
        code,
        ..ProtoCode::default()
    }
}

/// Body: makes a cell and a closure over it, calls, loops, makes a struct. 1: the closure. 2: a function of one
/// parameter. 3: a generator. 4: the struct's constructor.
fn sample() -> ModuleCode {
    let body = proto(
        8,
        0,
        vec![
            Const::Proto(1),
            Const::Fn(2),
            Const::Type(0),
            Const::Names(vec![0]),
            Const::Float(1.5),
            Const::Range {
                start: 1,
                end: 4,
                inclusive: false,
            },
        ],
        vec![
            word(Op::LoadInt, 0, 0, 0, 7),          // 0
            word(Op::NewCell, 0, 0, 0, 0),          // 1
            word(Op::Closure, 1, 0, 0, 0),          // 2
            word(Op::LoadInt, 4, 0, 0, 1),          // 3
            word(Op::CallFn, 2, 2, 1, 1),           // 4
            word(Op::CallNamed, 2, 2, 1, 3),        // 5
            word(Op::LoadNil, 2, 1, 0, 0),          // 6
            word(Op::ForPrep, 2, 0, 0, 2),          // 7 -> 10
            word(Op::AddK, 4, 2, 0, 4),             // 8
            word(Op::ForLoop, 2, 0, 0, -2),         // 9 -> 8
            word(Op::NewStruct, 2, 2, 2, 2),        // 10
            word(Op::GetField, 3, 2, 0, 0),         // 11
            0,                                      // 12
            Word::with_pair(Op::JNotIn, 3, 5, 1).0, // 13 -> 15
            word(Op::SetVar, 3, 0, 0, 0),           // 14
            word(Op::Return, 3, 0, 0, 0),           // 15
            word(Op::Rethrow, 7, 0, 0, 0),          // 16
        ],
    );
    let closure = ProtoCode {
        captures: vec![CaptureSource::Register(0)],
        ..proto(
            1,
            0,
            vec![],
            vec![
                word(Op::GetCaptureCell, 0, 0, 0, 0),
                word(Op::Return, 0, 0, 0, 0),
            ],
        )
    };
    let function = proto(
        2,
        1,
        vec![],
        vec![word(Op::AddI, 1, 0, 0, 1), word(Op::Return, 1, 0, 0, 0)],
    );
    let generator = ProtoCode {
        is_generator: true,
        ..proto(
            2,
            0,
            vec![],
            vec![
                word(Op::GenBegin, 0, 0, 0, 0),
                word(Op::LoadInt, 0, 0, 0, 1),
                word(Op::Yield, 1, 0, 1, 0),
                word(Op::GenReturn, 0, 0, 0, 0),
            ],
        )
    };
    let constructor = proto(
        3,
        2,
        vec![Const::Type(0)],
        vec![
            word(Op::NewStruct, 2, 0, 2, 0),
            word(Op::Return, 2, 0, 0, 0),
        ],
    );
    ModuleCode {
        source: "let x = 1\n".into(),
        symbols: vec!["x".into(), "Point".into()],
        imports: vec![ModuleRef::Std("fs".into())],
        globals: vec![GlobalDef {
            name: 0,
            is_pub: true,
            is_const: false,
            initial: Some(Const::Fn(2)),
        }],
        vars: vec![VarDef {
            name: 0,
            is_pub: false,
            initialiser: None,
        }],
        types: vec![TypeDef {
            name: 1,
            shape: TypeShape::Struct,
            parent: None,
            variants: vec![],
            bases: vec![],
            fields: vec![(0, false), (1, true)],
            methods: vec![(0, 2, true)],
            required: vec![],
            constructor: Some(4),
            as_error: None,
            is_unit: false,
            is_local: false,
        }],
        protos: vec![
            ProtoCode {
                handlers: vec![HandlerRange {
                    start: 3,
                    end: 6,
                    target: 16,
                    reg: 7,
                    target_end: 16,
                    is_cleanup: false,
                }],
                spans: vec![(0, CodeSpan { start: 0, end: 9 })],
                ..body
            },
            closure,
            function,
            generator,
            constructor,
        ],
        ..ModuleCode::default()
    }
}

fn refuses(expected: &str, change: impl FnOnce(&mut ModuleCode)) {
    let mut module = sample();
    change(&mut module);
    let error = verify(&module, false).expect_err(expected);
    assert!(
        error.to_string().contains(expected),
        "{error} instead of {expected}"
    );
}

/// Replaces a word of the body.
fn refuses_word(expected: &str, at: usize, new: u64) {
    refuses(expected, |module| module.protos[0].code[at] = new);
}

#[test]
fn the_sample_is_valid() {
    assert_eq!(verify(&sample(), false), Ok(()));
}

#[test]
fn registers() {
    refuses_word("register 8 of 8", 0, word(Op::LoadInt, 8, 0, 0, 7));
    refuses_word("register 9 of 8", 8, word(Op::AddK, 4, 9, 0, 4));
    refuses_word("registers 6 … 9 of 8", 4, word(Op::CallFn, 6, 2, 1, 1));
    refuses_word("register 200 of 8", 4, word(Op::CallFn, 2, 200, 1, 1));
    refuses_word("registers 6 … 9 of 8", 6, word(Op::LoadNil, 6, 2, 0, 0));
    refuses_word("registers 7 … 9 of 8", 7, word(Op::ForPrep, 7, 0, 0, 2));
    refuses_word("registers 7 … 9 of 8", 10, word(Op::NewStruct, 2, 7, 2, 2));
    refuses_word("registers 6 … 9 of 8", 6, word(Op::Unpack, 0, 6, 3, 0));
    refuses_word("registers 6 … 9 of 8", 6, word(Op::IterNew, 6, 0, 0, 0));
    refuses_word(
        "registers 6 … 9 of 8",
        6,
        word(Op::UnpackAllFields, 0, 6, 3, 0),
    );
    // The type lies there even if nothing is unpacked.
    refuses_word("register 8 of 8", 6, word(Op::UnpackAllFields, 0, 8, 0, 0));
    refuses_word("does not fit", 6, word(Op::UnpackFields, 0, 6, 1, 0));
    refuses_word("unused field", 15, word(Op::Return, 3, 1, 0, 0));
}

#[test]
fn what_constructors_of_errors_are_made_of() {
    let with = |fields: Vec<(u32, Option<u32>)>| {
        move |module: &mut ModuleCode| {
            module.types[0].as_error = Some(ErrorConstructor { fields });
        }
    };
    let mut module = sample();
    with(vec![(0, None), (1, Some(2))])(&mut module);
    assert_eq!(verify(&module, false), Ok(()));
    refuses("symbol 9 of 2", with(vec![(9, None)]));
    refuses("prototype 99", with(vec![(0, Some(99))]));
    // It takes the fields in front of it: here none.
    refuses("no default of field 0", with(vec![(0, Some(2))]));
    refuses("has captures", with(vec![(0, None), (1, Some(1))]));
    refuses("no default of field 1", with(vec![(0, None), (1, Some(3))]));
    refuses("cannot be an error", |module| {
        with(vec![])(module);
        module.types[0].constructor = None;
    });
}

#[test]
fn headers() {
    refuses("0 registers", |module| module.protos[2].registers = 0);
    refuses("249 registers", |module| module.protos[2].registers = 249);
    refuses("3 parameters in 2", |module| {
        module.protos[2].params = vec!["a".into(), "b".into(), "c".into()]
    });
    refuses("more required", |module| module.protos[2].required = 2);
    refuses("the body takes", |module| module.protos[0].has_rest = true);
    refuses("no place in the source", |module| {
        module.protos[0].spans[0].1.end = 99
    });
    refuses("spans out of order", |module| {
        let first = module.protos[0].spans[0];
        module.protos[0].spans.push(first);
    });
    refuses("no prototype", |module| module.protos.clear());
}

#[test]
fn tables() {
    refuses("global 1 of 1", |module| {
        module.protos[0].code[14] = word(Op::SetGlobal, 3, 0, 0, 1)
    });
    refuses("variable 1 of 1", |module| {
        module.protos[0].code[14] = word(Op::SetVar, 3, 0, 0, 1)
    });
    refuses("variable -1 of 1", |module| {
        module.protos[0].code[14] = word(Op::SetVar, 3, 0, 0, -1)
    });
    refuses("symbol 2 of 2", |module| {
        module.protos[0].code[11] = word(Op::GetField, 3, 2, 0, 2)
    });
    refuses("capture 1 of 1", |module| {
        module.protos[1].code[0] = word(Op::GetCaptureCell, 0, 0, 0, 1)
    });
    refuses("capture 0 of 0", |module| {
        module.protos[2].code[0] = word(Op::GetCapture, 0, 0, 0, 0)
    });
    refuses("constant 9 of 6", |module| {
        module.protos[0].code[8] = word(Op::AddK, 4, 2, 0, 9)
    });
    refuses("prototype 9 of 5", |module| {
        module.protos[0].consts[1] = Const::Fn(9)
    });
    refuses("type 3 of 1", |module| {
        module.protos[0].consts[2] = Const::Type(3)
    });
    refuses("import 1 of 1", |module| {
        module.protos[0].consts[4] = Const::Module(1)
    });
    refuses("symbol 7 of 2", |module| {
        module.protos[0].consts[3] = Const::Names(vec![7])
    });
    refuses("symbol 5 of 2", |module| module.globals[0].name = 5);
    refuses("no constant", |module| {
        module.globals[0].initial = Some(Const::Fn(1))
    });
    refuses("cannot start as", |module| {
        module.globals[0].initial = Some(Const::Nil)
    });
    refuses("an initialiser takes", |module| {
        module.vars[0].initialiser = Some(2)
    });
    refuses("is no number", |module| {
        module.protos[0].consts.push(Const::BigInt("12x".into()))
    });
}

#[test]
fn kinds_of_constants() {
    refuses_word("does not fit AddK", 8, word(Op::AddK, 4, 2, 0, 1));
    refuses_word("does not fit LoadK", 0, word(Op::LoadK, 0, 0, 0, 0));
    refuses_word("does not fit Closure", 2, word(Op::Closure, 1, 0, 0, 1));
    refuses_word("does not fit CallK", 5, word(Op::CallK, 2, 2, 1, 4));
    refuses_word("does not fit CallFn", 4, word(Op::CallFn, 2, 2, 2, 1));
    refuses_word("does not fit CallFn", 4, word(Op::CallFn, 2, 2, 1, 2));
    refuses_word("does not fit CallNamed", 5, word(Op::CallNamed, 2, 2, 0, 3));
    refuses_word(
        "does not fit NewStruct",
        10,
        word(Op::NewStruct, 2, 2, 1, 2),
    );
    refuses_word(
        "does not fit NewStruct",
        10,
        word(Op::NewStruct, 2, 2, 3, 2),
    );
    refuses_word(
        "does not fit NewStruct",
        10,
        word(Op::NewStruct, 2, 2, 2, 1),
    );
    refuses_word(
        "does not fit JNotIn",
        13,
        Word::with_pair(Op::JNotIn, 3, 4, 1).0,
    );
    refuses_word(
        "does not fit LoadImport",
        0,
        word(Op::LoadImport, 0, 0, 0, 1),
    );
    refuses("does not fit CallFn", |module| {
        module.protos[2].is_generator = true;
        module.protos[2].code = vec![
            word(Op::GenBegin, 0, 0, 0, 0),
            word(Op::GenReturn, 0, 0, 0, 0),
        ];
    });
}

#[test]
fn jumps() {
    refuses_word("a jump to 12", 7, word(Op::ForPrep, 2, 0, 0, 4));
    refuses_word("a jump to 99", 7, word(Op::ForPrep, 2, 0, 0, 91));
    refuses_word("wrong direction", 7, word(Op::ForPrep, 2, 0, 0, -2));
    refuses_word("wrong direction", 9, word(Op::ForLoop, 2, 0, 0, 1));
    refuses_word("wrong direction", 14, word(Op::Jump, 0, 0, 0, -3));
    refuses_word("a jump to -1", 9, word(Op::ForLoop, 2, 0, 0, -11));
    refuses_word("wrong direction", 14, word(Op::JumpIf, 3, 0, 0, -3));
    refuses_word("ends without returning", 16, word(Op::Move, 7, 0, 0, 0));
    refuses_word("a cache word is not empty", 12, 1);
    refuses_word("no instruction", 0, 0xff);
    refuses("a cache word is missing", |module| {
        module.protos[2].code[1] = word(Op::GetField, 0, 0, 0, 0)
    });
    refuses("no code", |module| module.protos[2].code.clear());
}

#[test]
fn handlers() {
    refuses("register 8 of 8", |module| {
        module.protos[0].handlers[0].reg = 8
    });
    refuses("no handler at 12", |module| {
        module.protos[0].handlers[0].target = 12
    });
    refuses("no range of code", |module| {
        module.protos[0].handlers[0].end = 12
    });
    refuses("no range of code", |module| {
        module.protos[0].handlers[0].end = 3
    });
    refuses("no range of code", |module| {
        module.protos[0].handlers[0].end = 400
    });
    refuses("a handler goes back", |module| {
        module.protos[0].handlers[0].target = 4
    });
    refuses("a handler goes back", |module| {
        let rethrow = HandlerRange {
            start: 16,
            end: 17,
            target: 16,
            reg: 7,
            target_end: 16,
            is_cleanup: true,
        };
        module.protos[0].handlers.push(rethrow);
    });
}

#[test]
fn generators() {
    refuses("GenBegin is the first", |module| {
        module.protos[3].code[0] = word(Op::Nop, 0, 0, 0, 0)
    });
    refuses("GenBegin is the first", |module| {
        module.protos[3].code[1] = word(Op::GenBegin, 0, 0, 0, 0)
    });
    refuses("GenBegin is the first", |module| {
        module.protos[3].is_generator = false
    });
    refuses("Yield does not belong", |module| {
        module.protos[2].code[0] = word(Op::Yield, 1, 0, 1, 0)
    });
    refuses("GenReturn does not", |module| {
        module.protos[2].code[1] = word(Op::GenReturn, 0, 0, 0, 0)
    });
    refuses("ReturnNil does not", |module| {
        module.protos[3].code[3] = word(Op::ReturnNil, 0, 0, 0, 0)
    });
    refuses("out of range for Yield", |module| {
        module.protos[3].code[2] = word(Op::Yield, 1, 0, 3, 0)
    });
}

#[test]
fn numbers() {
    refuses_word("out of range for ModI", 8, word(Op::ModI, 4, 2, 0, 0));
    refuses_word(
        "out of range for FloorDivI",
        8,
        word(Op::FloorDivI, 4, 2, 0, -1),
    );
    refuses_word("out of range for NewMap", 0, word(Op::NewMap, 0, 0, 0, -1));
    refuses_word(
        "out of range for JNotKind",
        13,
        word(Op::JNotKind, 3, 3, 0, 1),
    );
    refuses_word("out of range for Invoke", 11, word(Op::Invoke, 2, 2, 0, 0));
    refuses_word(
        "out of range for LoadBool",
        0,
        word(Op::LoadBool, 0, 2, 0, 0),
    );
}

#[test]
fn starting_and_copying() {
    // A body that starts something and calls a method with a mask.
    let module = |start: u64, copied: u64| {
        let call = word(Op::InvokeCopy, 2, 2, 2, 0);
        let mut module = sample();
        module.protos[0].handlers.clear();
        module.protos[0].code = vec![start, call, copied, word(Op::ReturnNil, 0, 0, 0, 0)];
        module
    };
    let one = |imm| word(Op::Spawn, 2, 2, 1, imm);
    for (imm, copied) in [(0, 0), (1, 1), (1 | 1 << 2, 1)] {
        assert_eq!(verify(&module(one(imm), copied), false), Ok(()), "{imm}");
    }
    for imm in [2, 3, 1 << 2, 2 | 1 << 2, 1 | 1 << 3, -1] {
        let found = verify(&module(one(imm), 1), false).map_err(|error| error.message);
        assert_eq!(found, Err(format!("{imm:#x} starts nothing")));
    }
    let no_name = module(word(Op::Spawn, 5, 2, 1, 0), 1);
    let found = verify(&no_name, false).map_err(|error| error.message);
    assert_eq!(found, Err("registers 5 … 9 of 8".into()));
    let second = module(one(0), 2);
    let found = verify(&second, false).map_err(|error| error.message);
    assert_eq!(found, Err("a cache word is not empty".into()));
}

#[test]
fn what_only_the_vm_and_the_prelude_may_use() {
    for op in [
        Op::ReturnJump,
        Op::ReturnEnd,
        Op::Exit,
        Op::LoadSlot,
        Op::CallNear,
        Op::CallNative,
        Op::AddF,
    ] {
        refuses("", |module| module.protos[2].code[0] = word(op, 0, 0, 0, 0));
    }
    let mut prelude = sample();
    prelude.protos[2].code[1] = word(Op::ReturnJump, 0, 0, 0, 0);
    assert_eq!(verify(&prelude, true), Ok(()));
}

#[test]
fn counters() {
    refuses("counter 0 of 0", |module| {
        module.protos[2].code[0] = word(Op::Count, 0, 0, 0, 0);
    });
}

#[test]
fn cells() {
    let message = "register 0 is captured as a cell";
    refuses_word(message, 1, word(Op::Nop, 0, 0, 0, 0));
    refuses_word(message, 1, word(Op::NewCell, 1, 0, 0, 0));
    // Overwritten after it was made.
    refuses(message, |module| module.protos[0].code.swap(0, 1));
    // Made on one way only.
    refuses(message, |module| {
        module.protos[0].code[0] = word(Op::JumpIf, 1, 0, 0, 1);
    });
    // What is called may write whatever lies in its registers.
    refuses(message, |module| {
        let code = &mut module.protos[0].code;
        code.swap(2, 4);
        code[4] = word(Op::Closure, 1, 0, 0, 0);
        code[2] = word(Op::CallFn, 0, 2, 1, 1);
    });
    refuses("captures what is not there", |module| {
        module.protos[1].captures[0] = CaptureSource::Register(8);
    });
    refuses("captures what is not there", |module| {
        module.protos[1].captures[0] = CaptureSource::Capture(0);
    });
}

#[test]
fn types() {
    refuses("based on itself", |module| {
        module.types[0].bases = vec![Const::Type(0)]
    });
    refuses("cannot be based on", |module| {
        module.types[0].bases = vec![Const::Nil]
    });
    refuses("do not fit", |module| {
        module.types[0].shape = TypeShape::Variant
    });
    refuses("do not fit", |module| module.types[0].variants = vec![0]);
    refuses("do not fit", |module| module.types[0].parent = Some(0));
    refuses("do not fit", |module| module.types[0].is_unit = true);
    refuses("cannot have a constructor", |module| {
        module.types[0].shape = TypeShape::Trait
    });
    refuses("has no parameter for self", |module| {
        module.types[0].methods[0].1 = 3
    });
    refuses("symbol 4 of 2", |module| module.types[0].fields[0].0 = 4);
    // An error has its own fields in front; how many, the linker knows.
    let mut error = sample();
    error.types[0].bases = vec![Const::Prelude("Error".into())];
    assert_eq!(verify(&error, false), Ok(()));
}

/// Every single byte of every word replaced by a few values: refused or accepted, never a panic, and what is accepted keeps to
/// its frame.
#[test]
fn no_mutation_makes_it_panic() {
    let mut accepted = 0;
    let count = sample().protos.len();
    for index in 0..count {
        for at in 0..sample().protos[index].code.len() {
            for shift in (0..64).step_by(8) {
                for byte in [0, 1, 2, 7, 8, 0x7f, 0x80, 0xff] {
                    let mut module = sample();
                    let code = &mut module.protos[index].code[at];
                    *code = *code & !(0xff << shift) | byte << shift;
                    accepted += usize::from(verify(&module, false).is_ok());
                }
            }
        }
    }
    assert!(accepted > 0, "some mutations are harmless");
}

#[test]
fn threadlets_are_whole() {
    // A body that calls a threadlet: state in 0..3, window at 3, error in 5.
    let good = || {
        let mut module = sample();
        module.protos[0].code = vec![
            word(Op::LoadBool, 0, 1, 0, 0),
            word(Op::Threadlet, 3, 0, 0, 0),
            word(Op::ThreadletEnd, 6, 0, 3, 0),
            word(Op::Jump, 0, 0, 0, 1),
            word(Op::ThreadletFail, 6, 0, 5, 0),
            word(Op::ReturnNil, 0, 0, 0, 0),
        ];
        module.protos[0].handlers = vec![HandlerRange {
            start: 1,
            end: 2,
            target: 4,
            target_end: 5,
            reg: 5,
            is_cleanup: true,
        }];
        module.protos[0].spans.clear();
        module
    };
    assert_eq!(verify(&good(), false), Ok(()));
    type Change = fn(&mut ProtoCode);
    let changes: [Change; 12] = [
        |p| p.handlers.clear(),
        |p| p.handlers[0].is_cleanup = false,
        |p| p.handlers[0].start = 0,
        |p| p.handlers[0].end = 3,
        |p| p.handlers[0].reg = 7,
        |p| p.handlers[0].target = 5,
        |p| p.code[0] = word(Op::LoadBool, 0, 0, 0, 0),
        |p| p.code[0] = word(Op::Jump, 0, 0, 0, 0),
        |p| p.code[1] = word(Op::Nop, 0, 0, 0, 0),
        |p| p.code[2] = word(Op::ThreadletEnd, 6, 1, 3, 0),
        |p| p.code[3] = word(Op::Loop, 0, 0, 0, -3),
        |p| p.code[3] = word(Op::Nop, 0, 0, 0, 0),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut module = good();
        change(&mut module.protos[0]);
        let found = verify(&module, false).map_err(|error| error.message);
        assert_eq!(found, Err("a threadlet is not whole".into()), "{i}");
    }
}
