//! No instruction without a program that has it: every operation of the table stands in the code of some script that the suite runs, of the
//! library, or of the short programs here, whose results are compared and in which the VM makes its own forms of instructions.
//!
//! What each operation does with each kind of operand is the matter of `operands`.

use heddle::{Engine, Session};
use heddle_vm::bytecode::Op;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Operations with a program that has them, which no script may have by chance only, and what it gives. The forms that the VM makes are among
/// them: their places are run several times, as the VM exchanges an instruction and then runs it in its new form.
const PROGRAMS: &[(&[Op], &str, &str)] = &[
    (
        &[Op::AddF, Op::SubF, Op::MulF, Op::DivF],
        "fn f(a, b) { ((a + b) * (a - b)) / b }
         var all = []
         for i in 0..3 { all.push(f(i + 0.5, 2.0)) }
         repr(all)",
        "[-1.875, -0.875, 1.125]",
    ),
    (
        &[Op::AddM, Op::SubM, Op::MulM, Op::DivM],
        "fn add(a, b) { a + b }
         fn sub(a, b) { a - b }
         fn mul(a, b) { a * b }
         fn div(a, b) { a / b }
         var all = []
         for f in [add, sub, mul, div] {
             for (a, b) in [(1.5, 2), (2, 1.5), (1.5, 0.5), (3, 4)] { all.push(f(a, b)) }
         }
         repr(all)",
        "[3.5, 3.5, 2.0, 7, -0.5, 0.5, 1.0, -1, 3.0, 3.0, 0.75, 12, 0.75, 1.3333333333333333, 3.0, 0.75]",
    ),
    (
        &[Op::CallNear, Op::CallNative],
        "fn twice(x) { x * 2 }
         var all = []
         for i in 0..3 { all.push(twice(i)); all.push(abs(-i)) }
         repr(all)",
        "[0, 0, 2, 1, 4, 2]",
    ),
    (
        &[Op::InvokePush, Op::InvokeNative],
        "fn fill(all) { for i in 0..9 { all.push(i) }; for i in 0..9 { all.push(all.len()) }; all }
         repr(fill([]))",
        "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]",
    ),
    (
        &[Op::DivK, Op::SubK, Op::AddK, Op::MulK, Op::RDivK, Op::RSubK, Op::RMulK],
        "fn f(x) { [x / 4.0, x - 0.5, x + 0.5, x * 0.5, 4.0 / x, 0.5 - x, 0.5 * x] }
         repr(f(2) + f(0.5))",
        "[0.5, 1.5, 2.5, 1.0, 2.0, -1.5, 1.0, 0.125, 0.0, 1.0, 0.25, 8.0, 0.0, 0.25]",
    ),
    (
        &[Op::JLtI, Op::JLeI, Op::JGtI, Op::JGeI, Op::JEqI, Op::JNeI],
        "fn f(x) {
             let lower = if x < 3 or x == 9 { 1 } else { 0 }
             let low = if x <= 3 or x == 9 { 1 } else { 0 }
             let high = if x >= 3 or x != 1 { 1 } else { 0 }
             let higher = if x > 3 or x != 2 { 1 } else { 0 }
             [lower, low, high, higher]
         }
         repr([f(1), f(3), f(9.0), f(2)])",
        "[[1, 1, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 0]]",
    ),
    (
        &[Op::CheckSet],
        "fn outer(x) {
             let early = try { inner(1) } catch e { e.kind }
             let k = x + 1
             fn inner(n) { n + k }
             [early, inner(1)]
         }
         repr(outer(5))",
        "[\"NameError\", 7]",
    ),
    (
        &[Op::ListToTuple],
        "fn long(n) {
             (n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,
              34, 35, 36, 37, 38, 39, 40, 41, 42, n)
         }
         let t = long(7)
         repr([t is tuple, t.len(), t[0], t[42], t[43]])",
        "[true, 44, 7, 42, 7]",
    ),
    (
        &[Op::InvokeT, Op::GetFieldT, Op::SetFieldT],
        "struct A { var x, fn get(self) { self.x } }
         struct B { var y, var x, fn get(self) { -self.x } }
         var all = []
         for turn in 0..3 {
             for o in [A(1), B(2, 3)] {
                 o.x = o.x + turn
                 all.push(o.get())
             }
         }
         repr(all)",
        "[1, -3, 2, -4, 3, -5]",
    ),
];

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "hd") {
            found.push(path);
        }
    }
}

/// The operations that a listing names: they stand behind the number of their word.
fn named(listing: &str) -> impl Iterator<Item = Op> + '_ {
    listing.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next()?.parse::<u32>().ok()?;
        let name = words.next()?;
        Op::ALL.iter().copied().find(|op| op.name() == name)
    })
}

#[test]
fn programs_have_their_operations() {
    for (forms, program, wanted) in PROGRAMS {
        let mut engine = Engine::new();
        let found: String = engine.eval(program).expect("it runs");
        assert_eq!(&found, wanted, "{program}");
        let operations = engine.operations();
        for form in *forms {
            assert!(operations.contains(form), "{form:?} is not in\n{program}");
        }
    }
}

#[test]
fn every_operation_stands_in_some_program() {
    let mut found = BTreeSet::new();
    let mut add = |operations: &mut dyn Iterator<Item = Op>| {
        found.extend(operations.map(|op| op as u8));
    };
    for (_, program, _) in PROGRAMS {
        let mut engine = Engine::new();
        let _: String = engine.eval(program).expect("it runs");
        add(&mut engine.operations().into_iter());
    }

    // A variable of a module that another one reads, before and after it is known.
    let mut session = Session::new(Engine::new());
    for (input, shown) in [
        ("var n = 1", None),
        ("n = n + 1", None),
        ("fn f() { n }", None),
        ("f() + n", Some("4")),
    ] {
        let result = session.run(input).expect("it runs");
        assert_eq!(result.as_deref(), shown, "{input}");
    }
    add(&mut session.engine().operations().into_iter());

    // What another module has and its own body has yet to set.
    let folder = std::env::temp_dir().join(format!("heddle-opcodes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let (main, part) = (folder.join("main.hd"), folder.join("part.hd"));
    let program = "from \"./part.hd\" import size\npub fn sum() { var n = 0; for i in 0..3 { n += size }; n }";
    std::fs::write(&main, program).expect("a file can be written");
    std::fs::write(&part, "pub let size = [1, 2].len()").expect("a file can be written");
    let mut importing = Engine::new();
    let module = importing.load_file(&main).expect("it runs");
    for _ in 0..2 {
        let sum: i64 = importing.call(&module, "sum", ()).expect("it runs");
        assert_eq!(sum, 6);
    }
    add(&mut importing.operations().into_iter());
    std::fs::remove_dir_all(&folder).expect("the folder can be removed");

    let mut counting = Engine::builder().count_lines(true).build();
    counting.run_str("counted", "let x = 1").expect("it runs");
    assert_eq!(counting.coverage()[0].lines, [(1, 1)]);
    add(&mut counting.operations().into_iter());

    let engine = Engine::new();
    let mut files = Vec::new();
    for folder in ["tests/scripts", "tests/tour", "examples"] {
        scripts(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut files,
        );
    }
    let mut compiled = 0;
    for file in files {
        // Some are there for the errors that they have.
        if let Ok(listing) = engine.disassemble_file(&file) {
            add(&mut named(&listing));
            compiled += 1;
        }
    }
    assert!(compiled > 1000, "only {compiled} scripts compile");

    let missing: Vec<Op> = Op::ALL
        .iter()
        .copied()
        .filter(|op| !found.contains(&(*op as u8)))
        .collect();
    assert!(missing.is_empty(), "no program has {missing:?}");
}
