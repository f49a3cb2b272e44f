//! What is said about wrong programs: places, words, and how many.

use heddle_compiler::{
    Completeness, Diagnostic, codes, completeness, parse,
    render::{render, render_short},
};
use std::path::Path;

/// The findings of `source`, each as `line:column code message`, with `help: …` behind `|` if there is one.
#[track_caller]
fn check(source: &str, expected: &[&str]) {
    let (_, diagnostics) = parse(source);
    let found: Vec<String> = diagnostics
        .iter()
        .map(|found| {
            let marked = source.get(found.span.range());
            assert!(marked.is_some(), "a part of {source:?}: {found:?}");
            let text = render_short(found, "", source);
            let text = text[1..].replacen(": error[", " ", 1).replacen("]:", "", 1);
            match &found.help {
                Some(help) => format!("{text} | {help}"),
                None => text,
            }
        })
        .collect();
    assert_eq!(found, expected, "{source}");
}

#[test]
fn operators() {
    check(
        "a < b < c",
        &["1:7 E0102 comparisons cannot be chained | write `… < b and b < …`"],
    );
    check(
        "a == b is c",
        &[
            "1:8 E0102 comparisons cannot be chained | join them with `and`, or put one in parentheses",
        ],
    );
    check(
        "a..b..c",
        &["1:5 E0102 ranges cannot be chained | put one of them in parentheses"],
    );
    check(
        "a + not b",
        &[
            "1:5 E0104 `not` binds more loosely than the operator before it | put it in parentheses: `(not x)`",
        ],
    );
    check(
        "x is 5",
        &[
            "1:6 E0105 expected a type behind `is` | `is` takes the name of a type, a variant, a trait or `nil`; `==` compares values",
        ],
    );
    check(
        "x is P(1)",
        &[
            "1:6 E0105 expected a type behind `is` | `is` takes the name of a type, a variant, a trait or `nil`; `==` compares values",
        ],
    );
    check(
        "let f = a + |x| x",
        &["1:13 E0103 a closure cannot be an operand | put it in parentheses"],
    );
    check(
        "a + return",
        &[
            "1:5 E0106 an expression without a value cannot be an operand | `return break continue throw yield` may stand behind `and`, `or` and `??` only",
        ],
    );
    check(
        "1 +",
        &["1:4 E0101 expected an expression, found end of input"],
    );
    check(
        "let r = a..",
        &["1:12 E0101 expected an expression, found end of input"],
    );
}

#[test]
fn habits() {
    check(
        "if x = 1 { }",
        &["1:6 E0121 `=` assigns, it does not compare | write `==`"],
    );
    check(
        "while f(x) = 1 { }",
        &["1:12 E0121 `=` assigns, it does not compare | write `==`"],
    );
    check(
        "if a { } elif b { }",
        &["1:10 E0120 `elif` is not a word of the language | write `else if`"],
    );
    check(
        "if a {\n}\nelsif b {\n}",
        &["3:1 E0120 `elsif` is not a word of the language | write `else if`"],
    );
    check(
        "def f(x):\n  x",
        &["1:1 E0120 `def` is not a word of the language | functions are declared with `fn`"],
    );
    check(
        "function f(x) { x }",
        &["1:1 E0120 `function` is not a word of the language | functions are declared with `fn`"],
    );
    check(
        "let mut x = 1",
        &[
            "1:5 E0120 `mut` is not a word of the language | a variable that changes is declared with `var`",
        ],
    );
    check(
        "a && b || !c",
        &[
            "1:3 E0007 there is no operator `&&` | write `and`",
            "1:8 E0007 there is no operator `||` | write `or`",
            "1:11 E0007 there is no operator `!` | write `not`",
        ],
    );
    check(
        "x++",
        &["1:2 E0007 there is no operator `++` | write `x += 1`"],
    );
    check(
        "x--",
        &["1:4 E0126 there is no operator `--` | write `x -= 1`"],
    );
    check(
        "a === b",
        &[
            "1:3 E0007 there is no operator of three characters here | `==` compares by value, without conversions",
        ],
    );
    check(
        "a::b()",
        &["1:2 E0007 there is no `::` | paths are written with `.`"],
    );
    check(
        "let x: int = 1",
        &["1:5 E0123 a variable has no declared type | write `let name = value`"],
    );
    check(
        "fn f(x: int) { }",
        &[
            "1:6 E0123 a parameter has no declared type | write just its name; `name = value` gives it a default",
        ],
    );
    check(
        "if x:\n  y",
        &["1:4 E0124 blocks are written in braces | write `{ … }` instead of `:` and indentation"],
    );
    check(
        "// text",
        &["1:1 E0100 expected an expression, found an operator | a comment begins with `#`"],
    );
    check(
        "Point { x: 1 }",
        &[
            "1:7 E0100 unexpected `{` behind a name | an instance is made by a call: `Point(1, y: 2)`",
        ],
    );
    check(
        "a ? b : c",
        &["1:3 E0001 unknown character `?` | there is no `?:`: write `if c { a } else { b }`"],
    );
    check(
        "print(“hi”)",
        &["1:7 E0001 unknown character `“` | strings are written with straight quotes: \"…\""],
    );
    check(
        "class A { }",
        &[
            "1:1 E0120 `class` is not a word of the language | types are declared with `struct`, `enum` and `trait`",
        ],
    );
    check(
        "for x of xs { }",
        &["1:7 E0120 `of` is not a word of the language | write `for x in xs { … }`"],
    );
}

#[test]
fn statements() {
    check(
        "let match = 1",
        &["1:5 E0122 `match` is a keyword and cannot be a name"],
    );
    check(
        "var x",
        &["1:6 E0128 a variable needs a value | write `var name = nil` if there is none yet"],
    );
    check("let x 1", &["1:7 E0100 unexpected number `1`"]);
    check("f(1 2)", &["1:5 E0100 unexpected number `2`"]);
    check(
        "if x\n{\n  y\n}",
        &["1:5 E0125 expected `{` | put the `{` in the same line"],
    );
    check(
        "fn f() {\n  while x\n  {\n    a b c\n  }\n}",
        &["2:10 E0125 expected `{` | put the `{` in the same line"],
    );
    check(
        "try { x }",
        &["1:10 E0101 expected `catch`, found end of input"],
    );
    check(
        "else { }",
        &["1:1 E0100 `else` without an `if` before it | `else` follows the `}` of an `if`"],
    );
    check(
        "spawn f(x).join()",
        &[
            "1:11 E0107 nothing may follow the call behind `spawn` | `(spawn f(x)).join()` acts on the handle, `spawn { … }` starts the whole",
        ],
    );
    check(
        "thread f",
        &["1:8 E0108 `thread` takes a call or a block | write `thread f(x)` or `thread { … }`"],
    );
    check(
        "defer x",
        &["1:7 E0108 `defer` takes a call or a block | write `defer f(x)` or `defer { … }`"],
    );
    check(
        "fn f(..a, b) { }",
        &[
            "1:11 E0109 a parameter behind the one that collects the rest | move `..name` to the end",
        ],
    );
    check(
        "f() = 1",
        &["1:1 E0111 this cannot be assigned to | a call's result is no place; `==` compares"],
    );
    check(
        "(a, 1) = b",
        &[
            "1:5 E0111 this cannot be assigned to | names, fields, elements, and tuples or lists of these can be assigned to",
        ],
    );
    check(
        "(a, b) += b",
        &[
            "1:1 E0111 this cannot be changed in place | names, fields, elements, and tuples or lists of these can be assigned to",
        ],
    );
    let arms = "for instance `m = inbox.recv() => …`, `out.send(x) => …`, `r = task.join() => …`, `after 1s => …` or `else => …`";
    for (source, message) in [
        (
            "select { sleep(1s) => 1 }",
            "1:10 E0112 a select arm waits for a method call",
        ),
        (
            "select { m = c => 1 }",
            "1:14 E0112 a select arm waits for a method call",
        ),
        (
            "select { a.b.lock() => 1 }",
            "1:14 E0112 a select arm cannot wait for `lock`",
        ),
        (
            "select { m = c.recv(1) => m }",
            "1:14 E0112 `recv` takes no arguments",
        ),
        (
            "select { c.send() => 1 }",
            "1:10 E0112 `send` takes one value",
        ),
        (
            "select { c.send(value: 1) => 1 }",
            "1:10 E0112 `send` takes one value",
        ),
        (
            "select { c?.recv() => 1 }",
            "1:10 E0112 `?.` in what a select arm waits for",
        ),
    ] {
        check(source, &[&format!("{message} | {arms}")]);
    }
    let keep = "keep one: `after 1s => …` waits that long, `else => …` not at all";
    for (source, message) in [
        (
            "select { after 1s => 1, after 2s => 2 }",
            "1:25 E0115 two `after` arms in one select",
        ),
        (
            "select { else => 1, else => 2 }",
            "1:21 E0115 two `else` arms in one select",
        ),
        (
            "select { after 1s => 1, else => 2 }",
            "1:25 E0115 `after` and `else` in one select",
        ),
    ] {
        check(source, &[&format!("{message} | {keep}")]);
    }
    check(
        "select { }",
        &[
            "1:1 E0115 a select without arms would wait for ever | for instance `m = inbox.recv() => …`, `after 1s => …`",
        ],
    );
    for (source, message, example) in [
        (
            "spawn(nane: 1) f()",
            "1:7 E0114 `spawn` has no option `nane`",
            "`name`: `spawn(name: \"worker\") f(x)`",
        ),
        (
            "thread(name: 1, name: 2) f()",
            "1:17 E0114 `name` twice",
            "`name`: `thread(name: \"worker\") f(x)`",
        ),
        (
            "threadlet(name: 1, 2) { }",
            "1:20 E0114 an option of `threadlet` without its name",
            "`name`: `threadlet(name: \"worker\") f(x)`",
        ),
        (
            "scope(limit: 1s) { }",
            "1:7 E0114 `scope` has no option `limit`",
            "`timeout`: `scope(timeout: 2s) { … }`",
        ),
        (
            "scope(1s) { }",
            "1:7 E0114 an option of `scope` without its name",
            "`timeout`: `scope(timeout: 2s) { … }`",
        ),
    ] {
        check(
            source,
            &[&format!("{message} | its only option is {example}")],
        );
    }
    check(
        "let [..a, ..b] = c",
        &["1:11 E0113 two `..` in one pattern"],
    );
    check(
        "let P(.., x) = c",
        &["1:11 E0113 a part behind `..` | move `..` to the end"],
    );
    check(
        "match x { 1 => 2 3 => 4 }",
        &["1:18 E0100 unexpected number `3`"],
    );
    check("struct S { x y }", &["1:14 E0100 unexpected `y`"]);
}

#[test]
fn strings_and_numbers() {
    check(
        "let s = \"abc\nlet t = 1",
        &[
            "1:9 E0002 unclosed string | close it with \" on this line, or use \"\"\" for text over several lines",
        ],
    );
    check(
        "f(\"abc)\ng()",
        &[
            "1:3 E0002 unclosed string | close it with \" on this line, or use \"\"\" for text over several lines",
        ],
    );
    check("'abc", &["1:1 E0002 unclosed string"]);
    check("\"abc日", &["1:1 E0002 unclosed string"]);
    check("\"\"\"a 😀?", &["1:1 E0002 unclosed string"]);
    check(
        "print(\"a {b\")\nc",
        &["1:10 E0003 unclosed `{` in a string | write `\\{` for a brace that is text"],
    );
    check(
        "\"{}\"",
        &[
            "1:3 E0127 nothing stands between the braces of this interpolation | write `\\{` for a brace that is text",
        ],
    );
    check(
        "print(\"{% if %}\")",
        &[
            "1:9 E0100 expected an expression, found `%` | in \"…\" a `{` begins an expression: write `\\{` for a brace that is text, or the text as '…'",
        ],
    );
    check(
        "\"{x:q}\"",
        &[
            "1:4 E0012 wrong format spec `q` | `:` begins a format spec, as in `{x:>8.2}`; put an expression with a colon in parentheses",
        ],
    );
    check(
        "\"\\q\"",
        &[
            "1:2 E0005 unknown escape `\\q` | known are \\n \\t \\r \\0 \\\\ \\\" \\' \\{ \\u{…}; write \\\\ for a backslash, or r'…'",
        ],
    );
    check(
        "\"\\u{110000}\"",
        &["1:2 E0005 unknown escape `\\u` | one to six hexadecimal digits in braces: \\u{1F600}"],
    );
    check(
        "b\"é\"",
        &["1:3 E0006 `é` in bytes | bytes hold ASCII text and \\x00; `\"…\".bytes()` encodes any"],
    );
    check("0xfg", &["1:1 E0004 `0xfg` is not a hexadecimal number"]);
    check(
        "5days",
        &[
            "1:1 E0004 unknown unit `days` behind a number | units are ns us ms s m h for durations, kb mb gb for sizes; a name cannot begin with a digit",
        ],
    );
    check(
        "1.5kb",
        &["1:1 E0004 `1.5kb` is not a size | sizes are whole numbers: `1536kb`"],
    );
    check(
        "9999999999999h",
        &["1:1 E0004 `9999999999999h` is no whole number of nanoseconds that fits 64 bits"],
    );
    check("1e999", &["1:1 E0004 `1e999` is too large for a float"]);
}

#[test]
fn brackets() {
    check(
        "try { 1 }",
        &["1:10 E0101 expected `catch`, found end of input"],
    );
    check("f(1, 2\nlet x = 1\nlet y = 2", &["1:2 E0010 unclosed `(`"]);
    check("fn f() {\n  x\n", &["1:8 E0010 unclosed `{`"]);
    check(
        "f(1))",
        &["1:5 E0011 unmatched `)` | remove it, or open the bracket that it closes"],
    );
    check("fn f() { [1, 2 }", &["1:10 E0010 unclosed `[`"]);
    check(
        "x\n}\ny",
        &["2:1 E0011 unmatched `}` | remove it, or open the bracket that it closes"],
    );
}

#[test]
fn several_at_once_without_cascades() {
    check(
        "fn f() {\n  let = 1\n  g()\n  x y\n}\nlet z = )\nfn h() {\n  match x {\n    1 => 2\n    => 3\n    4 => [1 2]\n  }\n}\nstruct S {\n  a\n  4\n  fn m(self) { 1 2 }\n}\nok()",
        &[
            "2:7 E0100 expected a pattern, found `=`",
            "4:5 E0100 unexpected `y`",
            "6:9 E0011 unmatched `)` | remove it, or open the bracket that it closes",
            "10:5 E0100 expected a pattern, found `=>`",
            "11:13 E0100 unexpected number `2`",
            "16:3 E0100 expected `var`, `fn`, `gen` or a name, found number `4`",
            "17:18 E0100 unexpected number `2`",
        ],
    );
    let many = "let = 1\n".repeat(100);
    assert_eq!(parse(&many).1.len(), 20);
}

#[test]
fn what_is_around_an_error_is_kept() {
    let source = "let a = 1\nfn f() {\n  x y\n  b\n}\nlet c = 2";
    let (ast, _) = parse(source);
    assert_eq!(
        heddle_compiler::dump::dump(&ast),
        "(let a 1)\n(fn f(){<error>; b})\n(let c 2)"
    );
}

#[test]
fn complete_incomplete_wrong() {
    use Completeness::*;
    for (source, expected) in [
        ("", Complete),
        ("1 + 2", Complete),
        ("# comment", Complete),
        ("if x { }", Complete),
        ("return", Complete),
        ("let x = {}", Complete),
        ("f(", Incomplete),
        ("f(1,", Incomplete),
        ("f(1", Incomplete),
        ("[1, 2", Incomplete),
        ("{", Incomplete),
        ("{a: 1,", Incomplete),
        ("fn f() {", Incomplete),
        ("fn f() {\n  x\n", Incomplete),
        ("fn f() {\n  if x {\n  }\n", Incomplete),
        ("fn f()", Incomplete),
        ("fn", Incomplete),
        ("1 +", Incomplete),
        ("1 +\n", Incomplete),
        ("let x =", Incomplete),
        ("let", Incomplete),
        ("x.", Incomplete),
        ("not", Incomplete),
        ("match x {", Incomplete),
        ("match x {\n  1 => 2\n", Incomplete),
        ("match x {\n  1 =>", Incomplete),
        ("|x", Incomplete),
        ("|x|", Incomplete),
        ("f(|x|", Incomplete),
        ("f(|x, y", Incomplete),
        ("try { x }", Incomplete),
        ("if x { } else", Incomplete),
        ("while x", Incomplete),
        ("for x in", Incomplete),
        ("'''abc\n", Incomplete),
        ("\"\"\"abc {x}\n", Incomplete),
        ("\"\"\"abc {x", Incomplete),
        ("let x = 1\nf(", Incomplete),
        ("struct S {\n  x\n", Incomplete),
        ("spawn", Incomplete),
        ("assert x,", Incomplete),
        ("import", Incomplete),
        ("f)", Wrong),
        ("let = ", Wrong),
        ("x y", Wrong),
        ("\"abc", Wrong),
        ("\"abc {x", Wrong),
        ("f(1 2", Wrong),
        ("fn f() {\n  x y\n", Wrong),
        ("a < b < c", Wrong),
        ("(a < b < c", Wrong),
        ("$", Wrong),
        ("x = 1 $\nf(", Wrong),
        ("let x = 1\nlet = 2\nf(", Wrong),
    ] {
        assert_eq!(completeness(source), expected, "{source:?}");
    }
}

#[test]
fn rendering() {
    let source = "fn f() {\n\tlet naïve = 1 < 2 < 3\n}\n";
    let (_, diagnostics) = parse(source);
    let text = render(&diagnostics[0], "dir/file.hd", source, false);
    assert_eq!(
        text,
        "\
error[E0102]: comparisons cannot be chained
 --> dir/file.hd:2:20
  |
2 |     let naïve = 1 < 2 < 3
  |                   -   ^
  |                   |
  |                   the first one
  |
  = help: write `… < 2 and 2 < …`"
    );
    let coloured = render(&diagnostics[0], "dir/file.hd", source, true);
    assert!(coloured.contains("\u{1b}["));
}

#[test]
fn rendering_of_odd_places() {
    let source = "a\u{1b}[31mé\nb";
    let spans = [
        (0, 0),
        (0, 4),
        (4, 400),
        (7, 8),
        (8, 8),
        (100, 50),
        (u32::MAX, u32::MAX),
    ];
    for (start, end) in spans {
        let mut found = Diagnostic::error(
            "E0100",
            "odd \u{1b}[0m",
            heddle_compiler::ast::Span { start, end },
        )
        .related(
            heddle_compiler::ast::Span {
                start: end,
                end: start,
            },
            "here",
        )
        .help("none");
        let text = render(&found, "f.hd", source, false);
        assert!(
            text.starts_with("error[E0100]") && !text.contains('\u{1b}'),
            "{text}"
        );
        found.label = Some("label".into());
        assert!(render(&found, "f.hd", "", false).contains("f.hd"));
    }
    let long = format!("let x = \"{}\" 1", "a".repeat(1 << 20));
    let (_, diagnostics) = parse(&long);
    let text = render(&diagnostics[0], "f.hd", &long, false);
    assert!(
        text.contains("f.hd:1:1048588") && text.len() < 1000,
        "{text}"
    );
}

/// Every code that the crate's sources mention is in the catalogue, and the other way round.
#[test]
fn every_code_is_listed() {
    let mut used = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("codes.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for (at, _) in text.match_indices('"') {
                let code = text.get(at + 1..at + 7).unwrap_or("");
                let is_code = code.starts_with(['E', 'W'])
                    && code[1..]
                        .strip_suffix('"')
                        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
                if is_code {
                    used.push(code[..5].to_string());
                }
            }
        }
    }
    assert!(used.len() > 40);
    for code in &used {
        assert!(codes::meaning(code).is_some(), "{code} is not in codes.rs");
    }
    for (code, meaning) in codes::CODES {
        assert!(used.iter().any(|used| used == code), "{code} is never used");
        assert!(!meaning.is_empty());
    }
    assert!(codes::CODES.is_sorted());
}

/// All programs of the repository parse, apart from those that are there to show errors.
#[test]
fn every_program_parses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<_> = ["tests", "examples", "stdlib/src"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "hd") {
                continue;
            }
            let source = std::fs::read_to_string(&path).expect("text");
            if source.contains("expect compile error") {
                continue;
            }
            let (_, diagnostics) = parse(&source);
            let found: Vec<String> = diagnostics
                .iter()
                .map(|found| render(found, &path.to_string_lossy(), &source, false))
                .collect();
            assert!(found.is_empty(), "{}", found.join("\n"));
            count += 1;
        }
    }
    assert!(count >= 14, "{count}");
}
