//! Trees as deep as the parser lets them be go through the whole compiler on a 2 MB stack, in unoptimised builds
//! too.

use heddle_compiler::{Options, Role, compile};

/// Compiles on a small stack; returns the codes of the errors.
fn errors(source: String) -> Vec<&'static str> {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let prelude = ["print".to_string()];
            let options = Options {
                path: "deep.hd".into(),
                name: "deep".into(),
                role: Role::Program,
                is_test: false,
                counts_lines: false,
                prelude_names: &prelude,
                repl_scope: None,
                resolve: &|text| Ok(text.to_string()),
            };
            let (_, diagnostics) = compile(&source, &options);
            diagnostics
                .iter()
                .filter(|found| found.is_error())
                .map(|found| found.code)
                .collect()
        })
        .expect("a thread starts")
        .join()
        .expect("no panic")
}

#[track_caller]
fn check(source: String) {
    let head: String = source.chars().take(40).collect();
    let found = errors(source);
    // A function has a limited number of registers; that is a finding too.
    assert!(found.is_empty() || found == ["E0211"], "{head}: {found:?}");
}

#[test]
fn what_programs_generate_compiles() {
    let sources = [
        format!("let a = 1\nprint({}a)", "a + ".repeat(1_000)),
        format!("let a = \"\"\nprint(a{})", ".b(1)".repeat(100)),
        format!(
            "let a = 1\n{}{{ print(2) }}",
            "if a == 1 { print(1) } else ".repeat(2_000)
        ),
    ];
    for source in sources {
        let head: String = source.chars().take(40).collect();
        assert!(errors(source).is_empty(), "{head}");
    }
}

#[test]
fn long_chains() {
    check(format!("let a = 1\nprint({}a)", "a + ".repeat(2_900)));
    check(format!("let a = 1\nprint({}a)", "a and ".repeat(2_900)));
    check(format!("let a = 1\nprint({}a)", "a ?? ".repeat(2_900)));
    check(format!("let a = 1\nprint({}a)", "- ".repeat(2_900)));
    check(format!("let a = 1\nprint({}a)", "not ".repeat(2_900)));
    check(format!("let a = {{}}\nprint(a{})", ".b".repeat(2_900)));
    check(format!("let a = {{}}\nprint(a{})", "?.b".repeat(2_900)));
    check(format!("let a = {{}}\nprint(a{})", "[0]".repeat(2_900)));
    check(format!("let a = {{}}\nprint(a{})", "()".repeat(2_900)));
    check(format!("let a = {{}}\nprint(a{})", ".b(1)".repeat(1_450)));
    check(format!(
        "let a = 1\n{}{{ print(2) }}",
        "if a == 1 { print(1) } else ".repeat(2_000)
    ));
    check(format!("let a = 1\nlet b = {}a", "2 ** ".repeat(2_000)));
    check(format!("fn f() {{ {}1 }}", "return ".repeat(2_900)));
}

#[test]
fn deep_nesting() {
    for (open, middle, close) in [
        ("(", "a", ")"),
        ("[", "a", "]"),
        ("{x: ", "a", "}"),
        ("(a, ", "a", ")"),
        ("f(", "a", ")"),
        ("a[", "a", "]"),
        ("do { ", "a", " }"),
        ("do { let b = ", "a", "; b }"),
        ("if a { ", "a", " } else { nil }"),
        ("(|| ", "a", ")"),
        ("(|| { ", "a", " })"),
        ("fn(x) { ", "x", " }"),
        ("(|x = ", "1", "| x)"),
        ("match a { _ => ", "a", " }"),
        ("try { ", "a", " } catch e { e }"),
        ("loop { break ", "a", " }"),
        ("scope { ", "a", " }"),
        ("(spawn { ", "a", " })"),
        ("(thread { ", "1", " })"),
    ] {
        // A few per level, 500 in all.
        let depth = 240;
        let value = format!("{}{middle}{}", open.repeat(depth), close.repeat(depth));
        check(format!("fn f(x) {{ x }}\nlet a = 1\nprint({value})"));
    }
    let block = format!("{}print(1){}", "if true { ".repeat(490), " }".repeat(490));
    check(block);
    let block = format!("{}print(1){}", "fn f() { ".repeat(490), " }".repeat(490));
    check(block);
    let block = format!(
        "{}print(1){}",
        "for i in [1] { ".repeat(240),
        " }".repeat(240)
    );
    check(block);
    let strings = (0..60).fold("1".to_string(), |inner, _| format!("\"{{{inner}}}\""));
    check(format!("print({strings})"));
}

#[test]
fn deep_patterns() {
    for (open, close) in [("(", ",)"), ("[", ", ..]"), ("{k: ", "}")] {
        let pattern = format!("{}a{}", open.repeat(240), close.repeat(240));
        check(format!(
            "fn f({pattern}) {{ a }}\nlet {pattern} = f\nprint(match f {{ {pattern} => a, _ => 1 }})"
        ));
    }
    let many = (0..5_000).map(|n| format!("{n} | ")).collect::<String>();
    check(format!(
        "let a = 1\nprint(match a {{ {many} 5000 => 1, _ => 2 }})"
    ));
}
