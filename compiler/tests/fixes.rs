//! The edits that findings propose: done, they mend what is wrong.

use heddle_compiler::{Diagnostic, Options, Role, analyse};

fn findings(source: &str) -> Vec<Diagnostic> {
    let names = ["print", "len", "str", "int", "Error"].map(String::from);
    let options = Options {
        path: "fix.hd".into(),
        name: "fix".into(),
        role: Role::Program,
        counts_lines: false,
        is_test: false,
        prelude_names: &names,
        repl_scope: None,
        resolve: &|_| Err("there are no files".into()),
    };
    analyse(source, &options).diagnostics
}

/// The first finding that has a fix has this code, and the fix makes this text, in which nothing is wrong.
#[track_caller]
fn check(code: &str, source: &str, mended: &str) {
    let found = findings(source);
    let first = found.iter().find(|found| found.fix.is_some());
    let first = first.unwrap_or_else(|| panic!("no fix for {source:?}: {found:?}"));
    assert_eq!(first.code, code, "{source}");
    let fix = first.fix.as_ref().expect("it has one");
    assert!(!fix.title.is_empty());
    let mut text = source.to_string();
    for (span, new) in fix.edits.iter().rev() {
        text.replace_range(span.range(), new);
    }
    assert_eq!(text, mended);
    let left = findings(mended);
    assert!(left.is_empty(), "{mended}: {left:?}");
}

#[test]
fn names() {
    check(
        "E0201",
        "let total = 1\nprint(totl)",
        "let total = 1\nprint(total)",
    );
    check("E0201", "print(null)", "print(nil)");
    check(
        "E0204",
        "fn f(width) { width }\nf(widht: 1)",
        "fn f(width) { width }\nf(width: 1)",
    );
    check(
        "E0203",
        "let n = 1\nn = 2\nprint(n)",
        "var n = 1\nn = 2\nprint(n)",
    );
    check(
        "E0205",
        "enum A { B, C }\nmatch A.B { B => 1, _ => 2 }",
        "enum A { B, C }\nmatch A.B { A.B => 1, _ => 2 }",
    );
    check("E0209", "fn f() { yield 1 }", "gen fn f() { yield 1 }");
    check(
        "E0215",
        "fn f() { const A = 1; A }",
        "fn f() { let A = 1; A }",
    );
    check(
        "W0201",
        "fn f() { let a = 1; 2 }",
        "fn f() { let _a = 1; 2 }",
    );
    check(
        "W0205",
        "struct P { wide }\nP(wdie: 1)",
        "struct P { wide }\nP(wide: 1)",
    );
}

#[test]
fn imports() {
    check("W0202", "import fs", "");
    check("W0202", "import fs, os\nos", "import os\nos");
    check("W0202", "import fs, os\nfs", "import fs\nfs");
    check(
        "W0202",
        "from fs import read as r, write\nwrite",
        "from fs import write\nwrite",
    );
}

#[test]
fn words_and_operators() {
    check("E0007", "let a = 1\na&&a", "let a = 1\na and a");
    check("E0007", "let a = 1\na || a", "let a = 1\na or a");
    check("E0007", "let a = 1\n!a", "let a = 1\nnot a");
    check("E0007", "let a = 1\na === a", "let a = 1\na == a");
    check("E0007", "let a = 1\na <> a", "let a = 1\na != a");
    check("E0120", "def f() { 1 }", "fn f() { 1 }");
    check(
        "E0121",
        "var a = 1\nif a = 2 { print(a) }",
        "var a = 1\nif a == 2 { print(a) }",
    );
    check("E0128", "var a\nprint(a)", "var a = nil\nprint(a)");
    check("E0100", "fn f() { retrun 1 }", "fn f() { return 1 }");
    check("E0100", "[1, , 2]", "[1,  2]");
}
