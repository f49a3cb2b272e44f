//! Findings about names and about what can be known of calls, patterns and control flow.

mod support;

use heddle_compiler::{ReplName, render::render_short};
use support::{compile_with, options};

/// The findings of `source`, each as `line:column code message`, with ` | help` behind it if there is one.
#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let (module, diagnostics) = compile_with(source, &options());
    let found: Vec<String> = diagnostics
        .iter()
        .map(|found| {
            let text = render_short(found, "", source);
            let text = text[1..]
                .replacen(": error[", " ", 1)
                .replacen(": warning[", " ", 1)
                .replacen("]:", "", 1);
            match &found.help {
                Some(help) => format!("{text} | {help}"),
                None => text,
            }
        })
        .collect();
    assert_eq!(found, expected, "{source}");
    let has_errors = diagnostics.iter().any(|found| found.is_error());
    assert_eq!(module.is_none(), has_errors, "{source}");
}

#[track_caller]
fn accepts(source: &str) {
    check(source, &[]);
}

#[test]
fn undefined_names() {
    check(
        "prnt(1)",
        &["1:1 E0201 `prnt` is not defined | did you mean `print`?"],
    );
    check(
        "let total = 1\nprint(totla)",
        &["2:7 E0201 `totla` is not defined | did you mean `total`?"],
    );
    check("print(qqqqqq)", &["1:7 E0201 `qqqqqq` is not defined"]);
    check(
        "fn f() { nowhere }",
        &["1:10 E0201 `nowhere` is not defined"],
    );
    check(
        "do { let a = 1; print(a) }\nprint(a)",
        &["2:7 E0201 `a` is not defined"],
    );
    check(
        "fn f() { self.x }",
        &[
            "1:10 E0201 `self` is not defined | only a method that lists `self` as its first parameter has it",
        ],
    );
    check(
        "count += 1",
        &["1:1 E0201 `count` is not defined | declare it: `var count = …`"],
    );
    check(
        "print(\"{missing}\")",
        &["1:9 E0201 `missing` is not defined"],
    );
}

#[test]
fn where_names_are_visible() {
    check(
        "print(x)\nlet x = 1",
        &["1:7 E0201 `x` is used before it is declared"],
    );
    accepts("fn f() { x }\nlet x = 1\nprint(f())");
    accepts("print(f())\nfn f() { Point(1).x }\nstruct Point { x }");
    accepts("fn f() {\n  print(g())\n  fn g() { h() }\n  fn h() { 1 }\n}");
    accepts("fn f() {\n  fn g() { later }\n  let later = 1\n  g()\n}");
    check(
        "fn f() {\n  print(later)\n  let later = 1\n}",
        &[
            "2:9 E0201 `later` is not defined",
            "3:7 W0201 `later` is never used | remove it, or name it `_later`",
        ],
    );
    accepts("let print = 1\nlet len = print + 1");
    accepts("let old = max\nlet max = 1");
    accepts("fn f(x) { let x = x + 1; x }");
    accepts("fn f(a, b = a) { b }");
    check(
        "fn f(a = b, b = 1) { a + b }",
        &["1:10 E0201 `b` is not defined"],
    );
}

#[test]
fn redeclared_names() {
    check(
        "let a = 1\nlet a = 2",
        &[
            "2:5 E0202 `a` is declared twice | an inner block may declare the name anew; here choose another or assign to it",
        ],
    );
    check(
        "fn f(a, a) { a }",
        &[
            "1:9 E0202 `a` is declared twice | an inner block may declare the name anew; here choose another or assign to it",
        ],
    );
    check(
        "let (a, a) = (1, 2)",
        &[
            "1:9 E0202 `a` is declared twice | an inner block may declare the name anew; here choose another or assign to it",
        ],
    );
    check(
        "fn f() { 1 }\nstruct f { }",
        &[
            "2:8 E0202 `f` is declared twice | an inner block may declare the name anew; here choose another or assign to it",
        ],
    );
    check(
        "struct P { x, x }",
        &[
            "1:15 E0202 `x` is declared twice | an inner block may declare the name anew; here choose another or assign to it",
        ],
    );
    check(
        "struct P { fn a(self) { 1 }; fn a(self) { 2 } }",
        &["1:33 E0202 `a` is declared twice"],
    );
    check("enum E { A, A }", &["1:13 E0202 `A` is declared twice"]);
    accepts("let a = 1\ndo { let a = a + 1; print(a) }");
}

#[test]
fn assignments() {
    check(
        "let a = 1\na = 2",
        &[
            "2:1 E0203 cannot assign to `a`: it is a `let` | declare it with `var a = …` to change it",
        ],
    );
    check(
        "const A = 1\nA += 1",
        &["2:1 E0203 cannot assign to `A`: it is a `const`"],
    );
    check(
        "fn f(a) { a = 2 }",
        &["1:11 E0203 cannot assign to `a`: it is a parameter | copy it first: `var copy = a`"],
    );
    check(
        "for i in 0..3 { i += 1 }",
        &[
            "1:17 E0203 cannot assign to `i`: it is bound by a pattern | copy it first: `var copy = i`",
        ],
    );
    check(
        "fn f() { 1 }\nf = 2",
        &["2:1 E0203 cannot assign to `f`: it is a function"],
    );
    check(
        "print = 2",
        &[
            "1:1 E0203 cannot assign to `print`: it belongs to the prelude | declare a variable of that name: `var print = …`",
        ],
    );
    check(
        "from \"./m.hd\" import a\na = 1",
        &["2:1 E0203 cannot assign to `a`: it is an import"],
    );
    check(
        "let a = 1\nlet b = 2\n(a, b) = (b, a)",
        &[
            "3:2 E0203 cannot assign to `a`: it is a `let` | declare it with `var a = …` to change it",
            "3:5 E0203 cannot assign to `b`: it is a `let` | declare it with `var b = …` to change it",
        ],
    );
    accepts("let a = [1]\na[0] = 2\na.x = 3");
    accepts("fn f() { n += 1 }\nvar n = 0\nf()");
}

#[test]
fn calls_of_known_functions() {
    check(
        "fn f(a, b) { a + b }\nf(1)",
        &["2:1 E0204 `f` is missing the argument `b`"],
    );
    check(
        "fn f(a, b) { a + b }\nf()",
        &["2:1 E0204 `f` is missing the arguments `a`, `b`"],
    );
    check(
        "fn f(a) { a }\nf(1, 2)",
        &["2:1 E0204 `f` takes 1 argument, 2 given"],
    );
    check(
        "fn f(alpha) { alpha }\nf(alhpa: 2)",
        &[
            "2:1 E0204 `f` is missing the argument `alpha`",
            "2:3 E0204 `f` has no parameter `alhpa` | did you mean `alpha`?",
        ],
    );
    check(
        "fn f(a) { a }\nf(1, a: 2)",
        &["2:6 E0204 the argument `a` is given twice"],
    );
    check(
        "fn f(a, b) { a }\nf(a: 1, 2)",
        &["2:9 E0212 positional argument after a named one | put positional arguments first"],
    );
    accepts(
        "fn f(a, b = 2, ..rest) { a + b + rest.len() }\nf(1)\nf(1, 2, 3, 4)\nf(1, b: 3)\nf(b: 1, a: 2)",
    );
    accepts("fn f(a) { a }\nlet g = f\ng(1, 2)");
    accepts("fn outer() {\n  fn f(a) { a }\n  f(1)\n}");
    check(
        "fn outer() {\n  fn f(a) { a }\n  f()\n}",
        &["3:3 E0204 `f` is missing the argument `a`"],
    );
}

#[test]
fn bare_names_in_patterns() {
    check(
        "const LIMIT = 3\nprint(match 1 { LIMIT => 1, _ => 2 })",
        &[
            "2:17 E0205 `LIMIT` is a constant; a bare name in a pattern always binds | compare with it in a guard: `value if value == LIMIT`",
        ],
    );
    check(
        "struct Point { x }\nprint(match 1 { Point => 1, _ => 2 })",
        &[
            "2:17 E0205 `Point` is a type; a bare name in a pattern always binds | test for it in a guard: `value if value is Point`",
        ],
    );
    check(
        "enum Shape { Empty }\nprint(match 1 { Empty => 1, _ => 2 })",
        &[
            "2:17 E0205 `Empty` is a variant; a bare name in a pattern always binds | write its path: `Shape.Empty`",
        ],
    );
    check(
        "print(match 1 { (int, ValueError) => 1, _ => 2 })",
        &[
            "1:18 E0205 `int` is a type; a bare name in a pattern always binds | test for it in a guard: `value if value is int`",
            "1:23 E0205 `ValueError` is a type; a bare name in a pattern always binds | test for it in a guard: `value if value is ValueError`",
        ],
    );
    accepts("let limit = 3\nprint(match 1 { limit => limit })");
    accepts("print(match (1, 2) { (min, max) => min + max })");
}

#[test]
fn patterns() {
    let shapes = "enum Shape { Circle(r), Rect(w, h) }\nlet s = Shape.Circle(1)\n";
    check(
        &format!("{shapes}print(match s {{ Shape.Rect(w) => w, _ => 2 }})"),
        &[
            "3:17 E0213 `Rect` has 2 fields to match, the pattern has 1 | end the pattern in `..` to skip the rest",
        ],
    );
    check(
        &format!("{shapes}print(match s {{ Shape.Circle(a, b) => a + b, _ => 2 }})"),
        &["3:17 E0213 `Circle` has 1 field to match, the pattern has 2"],
    );
    accepts(&format!(
        "{shapes}print(match s {{ Shape.Rect(w, ..) => w, Shape.Rect(h: 1) => 3, _ => 2 }})"
    ));
    check(
        "print(match 1 { (a, 1) | (1, b) => 1, _ => 2 })",
        &["1:26 E0213 alternatives must bind the same names"],
    );
    accepts("print(match (1, 2) { (a, 1) | (1, a) => a, _ => 2 })");
    check(
        "print(match 1 { 1.5..3 => 1, _ => 2 })",
        &[
            "1:17 E0217 the ends of a range pattern must be whole numbers of at most 64 bits | compare in a guard instead",
        ],
    );
}

#[test]
fn threads_do_not_capture_variables() {
    check(
        "fn f() {\n  var n = 0\n  n += 1\n  thread { print(n) }\n}",
        &[
            "4:18 E0206 a `thread` block cannot capture the variable `n` | copy its value into a `let` first, or share an `Atomic(n)`",
        ],
    );
    accepts("fn f() {\n  let n = 0\n  thread { print(n) }\n}");
    check(
        "var n = 0\nthread { [1].map(|x| x + n) }\nspawn { n += 1 }",
        &[
            "2:26 W0207 a `thread` block cannot capture the variable `n` | copy its value into a `let` first, or share an `Atomic(n)`",
        ],
    );
    accepts("local var n = 0\nthread { print(n) }\nspawn { n += 1 }");
}

#[test]
fn control_flow_in_the_wrong_place() {
    check("break", &["1:1 E0207 `break` outside a loop"]);
    check(
        "while true { let f = || { continue }\nf() }",
        &["1:27 E0207 `continue` outside a loop"],
    );
    check("return 1", &["1:1 E0208 `return` outside a function"]);
    check(
        "fn f() { yield 1 }",
        &[
            "1:10 E0209 `yield` with a value outside a `gen fn` | write `gen fn` to make the function a generator",
        ],
    );
    accepts("fn f() { yield }\nspawn { return 1 }\ngen fn g() { yield 1; yield }");
    check(
        "fn f() { const A = 1; local var b = 2; A + b }",
        &[
            "1:10 E0215 `const` stands only at top level | use `let` here",
            "1:23 E0215 `local var` stands only at top level | use `var` here",
        ],
    );
}

#[test]
fn imports() {
    let mut options = options();
    options.resolve = &|text| Err(format!("cannot read {text}"));
    let (module, found) = compile_with("import \"./gone.hd\"\nprint(gone.x)", &options);
    assert!(module.is_none());
    assert_eq!(
        (found[0].code, found[0].message.as_str()),
        ("E0210", "cannot read ./gone.hd")
    );
    check(
        "import \"./my-lib.hd\"",
        &[
            "1:8 E0210 the file name of `./my-lib.hd` is no name | name the module: `import \"…\" as name`",
        ],
    );
    check(
        "import fs\nfrom \"./m.hd\" import a, b as c\nprint(a)",
        &[
            "1:8 W0202 the import `fs` is never used | remove it",
            "2:30 W0202 the import `c` is never used | remove it",
        ],
    );
    accepts("fn f() { import fs; fs.read(\"x\") }\nprint(os.pid())\nimport os");
}

#[test]
fn warnings() {
    check(
        "fn f() { let a = 1; var b = 2; let _c = 3; let (d, e) = (1, 2); d }",
        &[
            "1:14 W0201 `a` is never used | remove it, or name it `_a`",
            "1:25 W0201 `b` is never used | remove it, or name it `_b`",
        ],
    );
    check(
        "fn f() {\n  return 1\n  print(2)\n}",
        &["3:3 W0203 unreachable code"],
    );
    check("fn f() {\n  throw 1\n  fn g() { 2 }\n}", &[]);
    check(
        "print(match 1 { _ => 1, 2 => 2 })",
        &["1:25 W0204 unreachable arm"],
    );
    check(
        "print(match 1 { 2 => 1, 3 | 2 => 2, _ => 3 })",
        &["1:29 W0204 unreachable arm"],
    );
    check(
        "try { print(1) } catch e { print(e) } catch e { print(e) }",
        &["1:39 W0204 unreachable `catch`"],
    );
    check(
        "struct P {\n  x\n  fn f(self) { self.y + self.z() + self.x + self.with(x: 1).q }\n}",
        &[
            "3:21 W0205 `P` has no field or method `y`",
            "3:30 W0205 `P` has no field or method `z`",
        ],
    );
    check(
        "struct P { width }\nP(widht: 1)",
        &["2:3 W0205 `P` has no field `widht` | did you mean `width`?"],
    );
    check(
        "struct P { x }\nP(1, 2)",
        &["2:6 W0205 `P` has only 1 field"],
    );
    check(
        "struct P { x; fn f(self) { self.x = 1 } }",
        &[
            "1:33 W0206 the field `x` of `P` cannot be assigned | declare it `var x`, or use `.with(x: …)`",
        ],
    );
    accepts("trait T { fn g(self) { 1 } }\nstruct P: T { x; fn f(self) { self.g() + self.x } }");
    accepts("struct P: Error { x; fn f(self) { self.message + self.x } }");
}

#[test]
fn tests_that_are_left_out_use_their_imports() {
    let source = "import fs, os\ntest \"reads\" { assert fs.exists(\"x\") }";
    let mut options = options();
    options.is_test = false;
    let (module, found) = compile_with(source, &options);
    assert_eq!(
        found.iter().map(|found| found.code).collect::<Vec<_>>(),
        ["W0202"]
    );
    assert!(module.is_some_and(|module| module.tests.is_empty()));
    options.is_test = true;
    let (module, _) = compile_with(source, &options);
    assert_eq!(module.map(|module| module.tests.len()), Some(1));
}

#[test]
fn at_most_twenty_errors() {
    let source: String = (0..50).map(|n| format!("unknown{n}()\n")).collect();
    let (_, found) = compile_with(&source, &options());
    assert_eq!(found.len(), 20);
    assert_eq!(found[0].span.start, 0);
}

#[test]
fn repl_names() {
    let earlier = [
        ReplName {
            name: "n".into(),
            module: "#1".into(),
            is_var: true,
        },
        ReplName {
            name: "k".into(),
            module: "#1".into(),
            is_var: false,
        },
    ];
    let mut options = options();
    options.repl_scope = Some(&earlier);
    let (module, found) = compile_with(
        "n += k\nlet x = n\nlet x = 2\nvar y = x\nfn f() { y }\nf() + x",
        &options,
    );
    assert!(found.is_empty(), "{found:?}");
    let module = module.expect("no errors");
    let names: Vec<&str> = module
        .globals
        .iter()
        .map(|global| &*module.symbols[global.name as usize])
        .collect();
    assert!(
        module.globals.iter().all(|global| global.is_pub)
            && module.vars.iter().all(|var| var.is_pub)
    );
    assert_eq!(
        (names, module.vars.len(), module.imports.len()),
        (vec!["x", "f", "x"], 1, 1)
    );
    let (_, found) = compile_with("k = 1", &options);
    assert_eq!(found[0].code, "E0203");
}

#[test]
fn no_type_is_based_on_itself() {
    let help = "remove one of the names behind `:`";
    for (text, place) in [
        ("struct S: S { a }", "1:11 E0219 `S`"),
        ("trait T: T { fn f(self) }", "1:10 E0219 `T`"),
        ("enum E: E { A, B }", "1:9 E0219 `E`"),
        (
            "struct A: B { }\nstruct B: C { }\ntrait C: A { }",
            "3:10 E0219 `A`",
        ),
        ("trait B { }\nstruct A: B, A { }", "2:14 E0219 `A`"),
        (
            "fn f() {\n trait X: Y { }\n trait Y: X { }\n 1\n}\nf()",
            "3:11 E0219 `X`",
        ),
    ] {
        check(text, &[&format!("{place} is based on itself | {help}")]);
    }
    accepts(
        "trait A { }\ntrait B: A { }\ntrait C: A, B { }\ntrait D: C, B, A { }\nstruct E: B, D { }\nE()",
    );
}
