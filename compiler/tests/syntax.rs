//! What text means: one tree per construct, in the notation of `dump`.

use heddle_compiler::{dump::dump, parse, render::render_short};

/// The tree of `source` without any finding.
#[track_caller]
fn check(source: &str, expected: &str) {
    let (ast, diagnostics) = parse(source);
    let found: Vec<String> = diagnostics
        .iter()
        .map(|found| render_short(found, "", source))
        .collect();
    assert!(found.is_empty(), "{source}\n{found:#?}");
    assert_eq!(dump(&ast), expected, "{source}");
}

/// `expected` is `value` of `let x = value`.
#[track_caller]
fn expr(source: &str, expected: &str) {
    check(&format!("let x = {source}"), &format!("(let x {expected})"));
}

#[test]
fn numbers() {
    expr("42", "42");
    expr("1_000_000", "1000000");
    expr("0xff", "255");
    expr("0XFF", "255");
    expr("0b1010", "10");
    expr("0o17", "15");
    expr("1.5", "1.5");
    expr("1e-9", "1e-9");
    expr("1e3", "1000.0");
    expr("1_0.2_5e1_0", "102500000000.0");
    expr("10ns", "10ns");
    expr("5us", "5000ns");
    expr("250ms", "250000000ns");
    expr("2s", "2000000000ns");
    expr("1m", "60000000000ns");
    expr("3h", "10800000000000ns");
    expr("1.5s", "1500000000ns");
    expr("64kb", "65536");
    expr("16mb", "16777216");
    expr("2gb", "2147483648");
    expr("9223372036854775807", "9223372036854775807");
    expr("9223372036854775808", "9223372036854775808n");
    expr("0xffffffffffffffffffff", "1208925819614629174706175n");
    expr("000000000000000000000000000007", "7");
    expr("1.abs()", "(call 1.abs)");
    expr("1..2", "(.. 1 2)");
    expr("1.5..2.5", "(.. 1.5 2.5)");
}

#[test]
fn plain_strings() {
    expr(r#""a b""#, r#""a b""#);
    expr(r#""\n\t\r\0\\\"\{\u{1F600}""#, r#""\n\t\r\0\\\"{😀""#);
    expr(r#"'it\'s {"a": 1}'"#, r#""it's {\"a\": 1}""#);
    expr(r#""""#, r#""""#);
    expr(r#"r'a\d{2}'"#, r#""a\\d{2}""#);
    expr(r#""a } b""#, r#""a } b""#);
    expr(r#"b"\x00ab\n""#, r#"b"\x00ab\n""#);
    expr(r#"b"{x}""#, r#"b"{x}""#);
    expr(r##""# no comment""##, r##""# no comment""##);
}

#[test]
fn interpolation() {
    expr(r#""hello {name}!""#, r#"(str "hello " {name} "!")"#);
    expr(r#""{a}{b}""#, "(str {a} {b})");
    expr(r#""{x:>8.2}""#, "(str {x:>8.2})");
    expr(r#""{x:*^+10,.3e}""#, "(str {x:*^+10,.3e})");
    expr(r#""{1234567:,}""#, "(str {1234567:,})");
    expr(r#""{f(a, k: 1):x}""#, "(str {(call f a k:1):x})");
    expr(
        r#""{{"a": 1}["a"]:>4}""#,
        r#"(str {(index (map "a":1) "a"):>4})"#,
    );
    expr(r#""{{a: 1}}""#, r#"(str {(map "a":1)})"#);
    expr(r#""[{"ab":<5}]""#, r#"(str "[" {"ab":<5} "]")"#);
    expr(
        r#""{"in {"deep {1}"}"}""#,
        r#"(str {(str "in " {(str "deep " {1})})})"#,
    );
    expr(
        r#""{xs.map(|x| x + 1)}""#,
        "(str {(call xs.map (closure(x) (+ x 1)))})",
    );
    expr(
        r#""{if a { "b" } else { "c" }}""#,
        r#"(str {(if a {"b"} {"c"})})"#,
    );
    expr(r#""{nil:>5} {true:<6}""#, r#"(str {nil:>5} " " {true:<6})"#);
    expr(r#""\{x}""#, r#""{x}""#);
    expr(r#""{x:}}""#, r#"(str {x} "}")"#);
}

#[test]
fn strings_over_several_lines() {
    expr(
        "'''\n    a\n      b\n\n    c\n    '''",
        r#""a\n  b\n\nc\n""#,
    );
    expr("'''\n    a\n'''", r#""a\n""#);
    expr("'''a\n    b\n    c'''", r#""a\nb\nc""#);
    expr("'''one'''", r#""one""#);
    expr("\"\"\"say \"hi\" now\"\"\"", r#""say \"hi\" now""#);
    expr("'''\n\ta\n\t\tb'''", r#""a\n\tb""#);
    expr("'''\n  a\n\tb'''", r#""  a\n\tb""#);
    expr("'''\r\n  a\r\n  b\r\n'''", r#""a\nb\n""#);
    expr("'''\n   \n  a'''", r#""\na""#);
    expr(
        "\"\"\"\n    a {x}\n      {y} b\n    c\n\"\"\"",
        r#"(str "a " {x} "\n  " {y} " b\nc\n")"#,
    );
    expr(
        "\"\"\"\n    {f(\n 1)}\n  \"\"\"",
        r#"(str {(call f 1)} "\n")"#,
    );
    expr("\"\"\"\n    a\\n  b\n    \"\"\"", r#""a\n  b\n""#);
    expr("b'''\n  a\n  b'''", r#"b"a\nb""#);
}

#[test]
fn precedence() {
    expr("a or b and not c == d", "(or a (and b (not (== c d))))");
    expr("a == b ?? c", "(== a (?? b c))");
    expr("a ?? b .. c", "(?? a (.. b c))");
    expr("a .. b | c", "(.. a (| b c))");
    expr(
        "a | b ^ c & d << e + f * -g ** h",
        "(| a (^ b (& c (<< d (+ e (* f (neg (** g h))))))))",
    );
    expr("a - b - c", "(- (- a b) c)");
    expr("a / b // c % d", "(% (// (/ a b) c) d)");
    expr("2 ** 3 ** 4", "(** 2 (** 3 4))");
    expr("2 ** -1", "(** 2 (neg 1))");
    expr("2 ** -1 * 3", "(* (** 2 (neg 1)) 3)");
    expr("2 ** -x ** 2", "(** 2 (neg (** x 2)))");
    expr("-2 ** 2", "(neg (** 2 2))");
    expr("-a * b", "(* (neg a) b)");
    expr("~-a", "(~ (neg a))");
    expr("- -a - -b", "(- (neg (neg a)) (neg b))");
    expr("not not a", "(not (not a))");
    expr("not a and not b", "(and (not a) (not b))");
    expr("-a.b(c)[d]", "(neg (index (call a.b c) d))");
    expr("(a + b) * c", "(* (+ a b) c)");
    expr("(a < b) < c", "(< (< a b) c)");
    expr("a + 1 < b * 2", "(< (+ a 1) (* b 2))");
    expr("1 + 2..3 * 4", "(.. (+ 1 2) (* 3 4))");
    expr("0..=9", "(..= 0 9)");
    expr("a >> 1 & b", "(& (>> a 1) b)");
}

#[test]
fn comparisons() {
    expr("a in b", "(in a b)");
    expr("a not in b", "(not-in a b)");
    expr("not a in b", "(not (in a b))");
    expr("x is int", "(is x int)");
    expr("x is not nil", "(is-not x nil)");
    expr("x is Shape.Circle and y", "(and (is x Shape.Circle) y)");
    expr("a != b or c <= d", "(or (!= a b) (<= c d))");
}

#[test]
fn postfix() {
    expr("f()", "(call f)");
    expr("f(1, b: 2,)", "(call f 1 b:2)");
    expr("f(from: 1, in: 2, nil: 3)", "(call f from:1 in:2 nil:3)");
    expr("a.b?.c(d)?.e", "(call a.b?.c d)?.e");
    expr("x.match.test.thread", "x.match.test.thread");
    expr("xs[i][0]", "(index (index xs i) 0)");
    expr("xs[a..]", "(index xs (.. a _))");
    expr("xs[..b]", "(index xs (.. _ b))");
    expr("xs[..=b]", "(index xs (..= _ b))");
    expr("xs[..]", "(index xs (.. _ _))");
    expr("xs[a + 1..b]", "(index xs (.. (+ a 1) b))");
    expr("xs[a + 1..]", "(index xs (.. (+ a 1) _))");
    expr("\"a\".len()", "(call \"a\".len)");
    expr("[1].len()", "(call (list 1).len)");
    expr("if a { b } else { c }.d", "(if a {b} {c}).d");
}

#[test]
fn collections() {
    expr("[]", "(list)");
    expr("[1, 2,]", "(list 1 2)");
    expr("()", "(tuple)");
    expr("(1,)", "(tuple 1)");
    expr("(1, \"a\")", "(tuple 1 \"a\")");
    expr("(1)", "1");
    expr("{}", "(map)");
    expr(
        r#"{"a": 1, b: 2, 3: "x", [k]: v, -1: 0, (1, 2): t, 'q': 5, "{i}": 6, 2.5: 7, b"z": 8}"#,
        r#"(map "a":1 "b":2 [3]:"x" [k]:v [(neg 1)]:0 [(tuple 1 2)]:t "q":5 [(str {i})]:6 [2.5]:7 [b"z"]:8)"#,
    );
    expr(
        "{if: 1, nil: 2, true: 3}",
        r#"(map "if":1 "nil":2 "true":3)"#,
    );
    expr(
        "{\n  a: 1\n  b: 2,\n  c: 3;\n}",
        r#"(map "a":1 "b":2 "c":3)"#,
    );
    expr("{ a: [\n1\n,\n2\n] }", r#"(map "a":(list 1 2))"#);
}

#[test]
fn newlines_separate() {
    check("a\nb", "a\nb");
    check("a;b", "a\nb");
    check(";;\n\na;;\n;b;\n\n", "a\nb");
    check("a +\nb", "(+ a b)");
    check("a\n-b", "a\n(neg b)");
    check("f\n(x)", "f\nx");
    check("f(\n  a,\n  b\n)", "(call f a b)");
    check("f(a\n  + b)", "(call f (+ a b))");
    check("let x =\n  1", "(let x 1)");
    check("a\n  .b()\n  ?.c\n  # why\n\n  .d", "(call a.b)?.c.d");
    check("a\nand b\nor c\n?? d", "(or (and a b) (?? c d))");
    check("if a { b }\nelse { c }", "(if a {b} {c})");
    check(
        "try { a }\n# why\ncatch e { b }\ncatch { c }",
        "(try {a} (catch e {b}) (catch {c}))",
    );
    check("fn f() {\n  return\n  1\n}", "(fn f(){(return); 1})");
    check("loop {\n  break\n  -1\n}", "(loop {(break); (neg 1)})");
    check("fn f() {\n  yield\n  x\n}", "(fn f(){(yield); x})");
    check("f(|| {\n a\n b\n})", "(call f (closure(){a; b}))");
    check(
        "f(x, {\n a: 1\n b: 2\n})",
        "(call f x (map \"a\":1 \"b\":2))",
    );
    check(
        "{\n a: 1\n and: 2\n else: 3\n catch: 4\n}",
        r#"(map "a":1 "and":2 "else":3 "catch":4)"#,
    );
    check("let x = 1 # one\n# two\nx", "(let x 1)\nx");
    check("#!/usr/bin/env heddle\nx", "x");
    check("\u{FEFF}x", "x");
    check("x\r\ny\r\n", "x\ny");
    check("", "");
    check("# nothing\n", "");
    check("fn f() { a; }", "(fn f(){a})");
    check("not\nx", "(not x)");
    check("let f = |x|\n  x", "(let f (closure(x) x))");
    check("assert a,\n  b", "(assert a b)");
}

#[test]
fn blocks_and_maps() {
    check("do { x }", "{x}");
    check("if x {}", "(if x {})");
    check("let f = || {}", "(let f (closure(){}))");
    check("let f = || { a: 1 }", r#"(let f (closure() (map "a":1)))"#);
    check(
        "let f = || { 'a': 1 }",
        r#"(let f (closure() (map "a":1)))"#,
    );
    check(
        "let f = || {\n\n # c\n a: 1 }",
        r#"(let f (closure() (map "a":1)))"#,
    );
    check("let f = || { a }", "(let f (closure(){a}))");
    check(
        "let f = || { match: 1 }",
        r#"(let f (closure() (map "match":1)))"#,
    );
    check("return {a: 1}", r#"(return (map "a":1))"#);
    check("x = {}", "(= x (map))");
    check("f({})", "(call f (map))");
    check(
        "for k, v in {a: 1} { k }",
        r#"(for k, v in (map "a":1) {k})"#,
    );
    check("if x == {a: 1} { y }", r#"(if (== x (map "a":1)) {y})"#);
    check("match x { _ => {} }", "(match x (_ => {}))");
    check("match x { _ => {a: 1} }", r#"(match x (_ => (map "a":1)))"#);
    check("match {a: 1} { _ => 1 }", r#"(match (map "a":1) (_ => 1))"#);
    check(
        "try { {\"a\": 1}[\"b\"] } catch e { e }",
        r#"(try {(index (map "a":1) "b")} (catch e {e}))"#,
    );
    check("let {a, \"b c\": d} = m", r#"(let {"a":a "b c":d} m)"#);
}

#[test]
fn closures() {
    expr("|| f()", "(closure() (call f))");
    expr("|x| x + 1", "(closure(x) (+ x 1))");
    expr("|x, y = 2, ..r| r", "(closure(x y=2 ..r) r)");
    expr("|(k, v)| k", "(closure((,k v)) k)");
    expr("|[a, ..r], {b}| a", "(closure([a ..r] {\"b\":b}) a)");
    expr("|x| |y| x", "(closure(x) (closure(y) x))");
    expr("|x||y| x", "(closure(x) (closure(y) x))");
    expr("|| || 1", "(closure() (closure() 1))");
    expr("f(|x| x, |y| y)", "(call f (closure(x) x) (closure(y) y))");
    expr("[|x| x | 1]", "(list (closure(x) (| x 1)))");
    expr("a | b", "(| a b)");
    expr("(|x| x)(1)", "(call (closure(x) x) 1)");
    expr("|x| if x { 1 } else { 2 }", "(closure(x) (if x {1} {2}))");
    expr("|x| throw x", "(closure(x) (throw x))");
    expr("fn(x) { x }", "(fn(x){x})");
    expr("fn(x) { x }(1)", "(call (fn(x){x}) 1)");
    expr("gen fn(x) { yield x }", "(gen fn(x){(yield x)})");
    expr("|x = (a | b)| x", "(closure(x=(| a b)) x)");
    expr("|a,\n b| a", "(closure(a b) a)");
}

#[test]
fn contextual_keywords() {
    check(
        "let from = 1; let test = 2; let gen = 3; let local = 4; let after = 5; let as = 6; let pub = 7",
        "(let from 1)\n(let test 2)\n(let gen 3)\n(let local 4)\n(let after 5)\n(let as 6)\n(let pub 7)",
    );
    check("test.equal(1, 2)", "(call test.equal 1 2)");
    check("test(1)", "(call test 1)");
    check("from = 1", "(= from 1)");
    check("gen\nfn f() {}", "gen\n(fn f(){})");
    check("local\nvar x = 1", "local\n(var x 1)");
    check("pub\nlet x = 1", "pub\n(let x 1)");
    check("test\n\"x\"", "test\n\"x\"");
    check("import test, fs", "(import test fs)");
    check("fn test(gen, from) { gen }", "(fn test(gen from){gen})");
    check("fn match(x) { x }", "(fn match(x){x})");
    check(
        "struct S { from, test, after }",
        "(struct S from test after)",
    );
    check(
        "select { after = c.recv() => 1, after.recv() => 2, after 1s => 3 }",
        "(select (after = (call c.recv) => 1) ((call after.recv) => 2) (after 1000000000ns => 3))",
    );
    check("after(1)", "(call after 1)");
    check("import a as as", "(import a as as)");
}

#[test]
fn bindings() {
    check("var n = 0", "(var n 0)");
    check("const A = 1", "(const A 1)");
    check("local var c = {}", "(local c (map))");
    check("pub let x = 1", "(pub let x 1)");
    check("pub local var x = 1", "(pub local x 1)");
    check("let (a, b) = p", "(let (,a b) p)");
    check("let (a, (b, c),) = p", "(let (,a (,b c)) p)");
    check("let [x, ..rest, y] = p", "(let [x ..rest y] p)");
    check("let [..] = p", "(let [..] p)");
    check("let Point(x, y: z, ..) = p", "(let Point(x y:z ..) p)");
    check("let {name, age: a} = p", r#"(let {"name":name "age":a} p)"#);
    check("a.b = 1", "(= a.b 1)");
    check("a[0] += 1", "(+= (index a 0) 1)");
    check("(a, b) = (b, a)", "(= (tuple a b) (tuple b a))");
    check("[a, b.c] = x", "(= (list a b.c) x)");
    for op in [
        "+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>",
    ] {
        check(&format!("x {op}= 1"), &format!("({op}= x 1)"));
    }
}

#[test]
fn functions() {
    check(
        "fn area(w, h = w, ..more) { w * h }",
        "(fn area(w h=w ..more){(* w h)})",
    );
    check("pub fn f() {}", "(pub fn f(){})");
    check("pub gen fn f() {}", "(pub gen fn f(){})");
    check(
        "gen fn f() { yield 1; yield }",
        "(gen fn f(){(yield 1); (yield)})",
    );
    check("fn f((a, b), [c]) {}", "(fn f((,a b) [c]){})");
    check("fn f(\n  a,\n  b,\n) {}", "(fn f(a b){})");
    check(
        "fn f() { fn g() {}; g() }",
        "(fn f(){(fn g(){}); (call g)})",
    );
    check("fn f() { return }", "(fn f(){(return)})");
}

#[test]
fn control() {
    check(
        "if a { 1 } else if b { 2 } else { 3 }",
        "(if a {1} (if b {2} {3}))",
    );
    check("while a < 1 { b }", "(while (< a 1) {b})");
    check(
        "loop { break 1; continue }",
        "(loop {(break 1); (continue)})",
    );
    check("for (a, b) in c { d }", "(for (,a b) in c {d})");
    check("for _ in 0..3 { }", "(for _ in (.. 0 3) {})");
    check("for x in a in b { }", "(for x in (in a b) {})");
    expr("a ?? return 1", "(?? a (return 1))");
    expr("a or b and throw c", "(or a (and b (throw c)))");
    expr("a or return b or c", "(or a (return (or b c)))");
    expr(
        "try { a } catch e if e is B { c } catch e { d }",
        "(try {a} (catch e if (is e B) {c}) (catch e {d}))",
    );
    expr("do { let a = 1; a }", "{(let a 1); a}");
    check("defer f(x)", "(defer (call f x))");
    check("defer a.b().c()", "(defer (call (call a.b).c))");
    check("defer { a; b }", "(defer {a; b})");
    check("assert a == b", "(assert (== a b))");
    check("assert a, \"m\"", "(assert a \"m\")");
}

#[test]
fn matches() {
    check(
        "match v {\n  0 => \"zero\"\n  1 | 2 => \"small\"\n  3..10 => a\n  -5..=-1 => b\n  n if n is int and n < 0 => c\n}",
        "(match v (0 => \"zero\") ((| 1 2) => \"small\") (3..10 => a) ((neg 5)..=(neg 1) => b) (n if (and (is n int) (< n 0)) => c))",
    );
    check(
        "match v { (x, y) => x, () => 0, (x,) => 1, (x) => 2, (..r) => 3, [] => 4, [a, ..] => 5 }",
        "(match v ((,x y) => x) ((,) => 0) ((,x) => 1) (x => 2) ((,..r) => 3) ([] => 4) ([a ..] => 5))",
    );
    check(
        "match v { Point(x: 0, y) => y; Shape.Circle(r) => { let d = r; d }; A.B => 1; P() => 2; Q(..) => 3; m.A.B(1 | 2) => 4 }",
        "(match v (Point(x:0 y) => y) (Shape.Circle(r) => {(let d r); d}) (A.B => 1) (P() => 2) (Q( ..) => 3) (m.A.B((| 1 2)) => 4))",
    );
    check(
        "match v { {type: \"user\", name} => name, {\"a b\": [x]} => x, {} => 0, _ => 1 }",
        r#"(match v ({"type":"user" "name":name} => name) ({"a b":[x]} => x) ({} => 0) (_ => 1))"#,
    );
    check(
        "match v { nil => 1, true => 2, \"s\" => 3, b\"x\" => 4, 5s => 5, 1.5 => 6 }",
        "(match v (nil => 1) (true => 2) (\"s\" => 3) (b\"x\" => 4) (5000000000ns => 5) (1.5 => 6))",
    );
    check(
        "match v { 1 => x = 2, 2 => x += 1, 3 => return 4, 4 => break, 5 => |a| a, 6 => throw e, 7 => yield }",
        "(match v (1 => {(= x 2)}) (2 => {(+= x 1)}) (3 => (return 4)) (4 => (break)) (5 => (closure(a) a)) (6 => (throw e)) (7 => (yield)))",
    );
    check(
        "match v {\n  {\n    a\n    b: c\n  } => c\n}",
        r#"(match v ({"a":a "b":c} => c))"#,
    );
    check(
        "match v { 1 =>\n 2\n 3 => 4 }",
        "(match v (1 => 2) (3 => 4))",
    );
    check(
        "match v { 1 => if a { b }\n else { c }\n 2 => 3 }",
        "(match v (1 => (if a {b} {c})) (2 => 3))",
    );
    check("match v { }", "(match v)");
}

#[test]
fn structs() {
    check(
        "struct Point {\n  x, y = 0\n  fn len(self) { self.x }\n  fn +(self, o) { o }\n}",
        "(struct Point x y=0 (fn len(self){self.x}) (fn +(self o){o}))",
    );
    check(
        "struct C { var n = 0; fn inc(self) { self.n += 1; self } }",
        "(struct C var:n=0 (fn inc(self){(+= self.n 1); self}))",
    );
    check("struct C { var x, y }", "(struct C var:x y)");
    check(
        "pub struct D: Named, m.Other { }",
        "(pub struct D : Named m.Other)",
    );
    check("struct E {}", "(struct E)");
    for name in [
        "+", "-", "*", "/", "//", "%", "**", "==", "<", "[]", "[]=", "neg", "call", "str", "hash",
        "iter", "next", "in",
    ] {
        check(
            &format!("struct S {{ fn {name}(self, o) {{ o }} }}"),
            &format!("(struct S (fn {name}(self o){{o}}))"),
        );
    }
    check(
        "struct S { gen fn iter(self) { yield 1 } }",
        "(struct S (gen fn iter(self){(yield 1)}))",
    );
}

#[test]
fn enums_and_traits() {
    check(
        "enum Shape { Circle(r), Rect(w, h = 1), Empty\n  fn area(self) { 0 }\n}",
        "(enum Shape Circle( r ) Rect( w h=1 ) Empty (fn area(self){0}))",
    );
    check(
        "pub enum E: Named { A\n B\n C }",
        "(pub enum E : Named A B C)",
    );
    check(
        "trait Named { fn name(self); fn greet(self) { 1 } }",
        "(trait Named (fn name(self)) (fn greet(self){1}))",
    );
    check(
        "trait T: A {\n  fn a(self)\n  gen fn b(self)\n}",
        "(trait T : A (fn a(self)) (gen fn b(self)))",
    );
}

#[test]
fn modules() {
    check("import fs, os", "(import fs os)");
    check("import \"./util.hd\"", "(import \"./util.hd\")");
    check(
        "import \"./util.hd\" as u, fs as f",
        "(import \"./util.hd\" as u fs as f)",
    );
    check(
        "from \"./util.hd\" import a, b as c",
        "(from \"./util.hd\" a b as c)",
    );
    check("from fs import read", "(from fs read)");
    check("test \"name\" { assert a }", "(test \"name\" {(assert a)})");
}

#[test]
fn concurrency() {
    check("spawn f(x)", "(spawn (call f x))");
    check("spawn a.b.f(x)", "(spawn (call a.b.f x))");
    check("spawn (e)(x)", "(spawn (call e x))");
    check("spawn (make())(x)", "(spawn (call (call make) x))");
    check("spawn { a; b }", "(spawn {a; b})");
    check("spawn(name: \"x\") f()", "(spawn name:\"x\" (call f))");
    check("thread(name: \"x\") { y }", "(thread name:\"x\" {y})");
    check(
        "let t = thread f(copy(x))",
        "(let t (thread (call f (call copy x))))",
    );
    check("(thread f(x)).join()", "(call (thread (call f x)).join)");
    check("threadlet f()", "(threadlet (call f))");
    check("threadlet { f() }", "(threadlet {(call f)})");
    check(
        "xs.map(|x| spawn f(x))",
        "(call xs.map (closure(x) (spawn (call f x))))",
    );
    check("scope { a }", "(scope {a})");
    check(
        "scope(timeout: 2s) { a }",
        "(scope timeout:2000000000ns {a})",
    );
    check("let x = scope { a }.b", "(let x (scope {a}).b)");
    check("yield", "(yield)");
    check(
        "select {\n  m = inbox.recv() => handle(m)\n  out.send(x) => sent += 1\n  r = t.join() => r\n  after 1s => \"idle\"\n}",
        "(select (m = (call inbox.recv) => (call handle m)) ((call out.send x) => {(+= sent 1)}) (r = (call t.join) => r) (after 1000000000ns => \"idle\"))",
    );
    check(
        "select { m = c.recv() => m, else => 1 }",
        "(select (m = (call c.recv) => m) (else => 1))",
    );
    check(
        "select { m = c.recv() => m\n else => 1 }",
        "(select (m = (call c.recv) => m) (else => 1))",
    );
    check(
        "select { (a, [b, ..c]) = c.recv() => m }",
        "(select ((,a [b ..c]) = (call c.recv) => m))",
    );
    check(
        "select { {a} = c.recv() => m }",
        "(select ({\"a\":a} = (call c.recv) => m))",
    );
    check(
        "select { c.recv() => { x = 1 } }",
        "(select ((call c.recv) => {(= x 1)}))",
    );
}

#[test]
fn docs_belong_to_the_next_item() {
    check(
        "## One.\n##  Two.\nfn f() {}",
        "(##\"One.\\n Two.\" fn f(){})",
    );
    check("## Of x.\nlet x = 1", "##\"Of x.\" (let x 1)");
    check(
        "## Old.\n\n## New.\n\npub struct S { \n ## m\n fn f() {} }",
        "##\"New.\" (pub struct S (##\"m\" fn f(){}))",
    );
    check("let x = 1 ## no\nlet y = 2", "(let x 1)\n(let y 2)");
    check("### banner\nlet y = 2", "(let y 2)");
}

#[test]
fn names_may_be_in_any_script() {
    check("let größe = 1; größe", "(let größe 1)\ngröße");
    check("let 数 = 1", "(let 数 1)");
}

#[test]
fn spans_cover_what_was_written() {
    let source = "let abc = (f(1) + 2)";
    let (ast, _) = parse(source);
    let texts: Vec<&str> = ast
        .exprs
        .iter()
        .map(|expr| &source[expr.span.range()])
        .collect();
    assert_eq!(texts, ["f", "1", "f(1)", "2", "f(1) + 2"]);
    let stmt = ast.stmt(ast.root.stmts[0]);
    assert_eq!(&source[stmt.span.range()], source);
}

/// A formatter needs comments and blank lines: the lexer's tokens and white space make up the whole text.
#[test]
fn tokens_cover_the_text() {
    use heddle_compiler::lexer::{Tok, lex};
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tour");
    let mut comments = 0;
    for entry in std::fs::read_dir(folder).expect("the tour is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "hd") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("text");
        let mut end = 0;
        for token in lex(&source).tokens {
            let between = &source[end..token.start as usize];
            assert!(
                between.bytes().all(|b| b" \t\r".contains(&b)),
                "{between:?}"
            );
            assert!(token.end > token.start);
            comments += usize::from(token.tok == Tok::Comment);
            end = token.end as usize;
        }
        assert!(source[end..].trim().is_empty());
    }
    assert!(comments > 20);
}
