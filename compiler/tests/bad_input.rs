//! Hostile and broken input: a megabyte of each must end in a tree and findings, on the stack of an ordinary
//! spawned thread (2 MB), in unoptimised builds too.

use heddle_compiler::{Completeness, completeness, decode, dump, parse, render};

const MEGABYTE: usize = 1 << 20;

fn fill(unit: &str) -> String {
    unit.repeat(MEGABYTE / unit.len())
}

/// Parses on a small stack; walks the tree, renders the findings; returns their codes.
fn survive(source: String) -> Vec<&'static str> {
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || {
            let (ast, diagnostics) = parse(&source);
            // Wide trees are walked like any other; deep ones are the danger.
            if ast.depth > 10 {
                let text = dump::dump(&ast);
                assert!(!text.is_empty());
            }
            assert!(ast.depth as usize <= heddle_compiler::ast::MAX_DEPTH);
            for found in diagnostics.iter().take(3) {
                let text = render::render(found, "file.hd", &source, false);
                assert!(text.len() < 20_000, "{}", text.len());
            }
            diagnostics.iter().map(|found| found.code).collect()
        })
        .expect("a thread starts")
        .join()
        .expect("no panic")
}

#[track_caller]
fn check(source: String, expected: &[&str]) {
    let head: String = source.chars().take(30).collect();
    assert_eq!(survive(source), expected, "{head:?}");
}

#[test]
fn open_brackets() {
    for unit in [
        "(",
        "[",
        "{",
        "f(",
        "x[",
        "{a: ",
        "do {",
        "|| {",
        "if a {",
        "fn f() { ",
    ] {
        check(fill(unit), &["E0009"]);
    }
}

#[test]
fn closing_brackets() {
    for unit in [")", "]", "}"] {
        let codes = survive(fill(unit));
        assert_eq!(codes[0], "E0011");
        assert!(codes.len() <= 2);
    }
    check(fill("()\n"), &[]);
    check(fill("{}\n"), &[]);
}

#[test]
fn deep_brackets_that_close() {
    check(format!("x = {}1{}", "(".repeat(400), ")".repeat(400)), &[]);
    check(format!("x = {}1{}", "[".repeat(400), "]".repeat(400)), &[]);
    check(format!("{}1{}", "do {".repeat(400), "}".repeat(400)), &[]);
    check(
        format!("x = {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        &["E0009"],
    );
}

#[test]
fn chains_of_operators() {
    for unit in ["1+", "a and ", "2 ** ", "a ?? ", "-", "~", "not ", "a - -"] {
        check(format!("x = {}1", fill(unit)), &["E0110"]);
    }
    check(format!("x = {}1", "1 + ".repeat(1_000)), &[]);
    check(format!("x = {}1", "1 + ".repeat(2_900)), &[]);
}

#[test]
fn chains_of_other_kinds() {
    check(format!("a{}", fill(".b")), &["E0110"]);
    check(format!("a{}", fill("?.b")), &["E0110"]);
    check(format!("a{}", fill("()")), &["E0110"]);
    check(format!("a{}", fill("[0]")), &["E0110"]);
    check(format!("a{}", fill("\n.b")), &["E0110"]);
    check(format!("x = {}1", fill("|x| ")), &["E0110"]);
    check(format!("x = {}1", fill("|| ")), &["E0110"]);
    check(format!("{}1", fill("return ")), &["E0110"]);
    check(format!("{}1", fill("throw ")), &["E0110"]);
    check(format!("{}{{}}", fill("if a {} else ")), &["E0110"]);
    check(format!("{}{{}}", "if a { b } else ".repeat(2_000)), &[]);
    check(format!("{} {{ x }}", fill("else if a {} ")), &["E0100"]);
}

#[test]
fn many_of_one_kind() {
    check(fill("# a comment\n"), &[]);
    check(fill("## a doc comment\n"), &[]);
    check(fill("\n"), &[]);
    check(fill(";"), &[]);
    check(fill(" "), &[]);
    check(fill("\t"), &[]);
    check(fill("a\n"), &[]);
    check(format!("x = [{}]", fill("1, ")), &[]);
    check(format!("x = {{{}}}", fill("a: 1\n")), &[]);
    check(format!("match x {{{}}}", fill("1 | 2 => a\n")), &[]);
    check(format!("match x {{ {}3 => 1 }}", fill("1 | ")), &[]);
    check(fill("a"), &[]);
    check(fill("9"), &["E0004"]);
    check(format!("0x{}", fill("f")), &["E0004"]);
}

#[test]
fn strings() {
    check(format!("x = \"{}\"", fill("\\n")), &[]);
    check(format!("x = '{}'", fill("\\\\")), &[]);
    check(format!("x = \"{}\"", fill("{a}")), &[]);
    check(format!("x = \"{}\"", fill("{a:>3}")), &[]);
    check(format!("x = '''{}'''", fill("  a\n")), &[]);
    check(format!("x = \"\"\"{}\"\"\"", fill("  {a}\n")), &[]);
    check(fill("\"\""), &["E0002"]);
    check(format!("x = \"{}\"", fill("\\q")), &["E0005"; 20]);
    check(format!("x = \"{}", fill("a")), &["E0002"]);
    check(format!("x = \"{}", fill("\\")), &["E0002"]);
    check(format!("x = '''{}", fill("a\n")), &["E0002"]);
    check(format!("x = \"{}", fill("{a}")), &["E0002"]);
    check(fill("\"{"), &["E0008"]);
    check(fill("\"\"\"{"), &["E0008"]);
    check(fill("'a\n"), &["E0002"; 20]);
    check(fill("\"{a\n"), &["E0003"; 20]);
    let nested = (0..60).fold("1".to_string(), |inner, _| format!("\"{{{inner}}}\""));
    check(nested, &[]);
}

#[test]
fn noise() {
    check(fill("\0"), &["E0001"]);
    check(fill("\0 "), &["E0001"; 20]);
    check(fill("\0\n"), &["E0001"; 20]);
    check(fill("$"), &["E0001"]);
    check(fill("|"), &["E0101"]);
    check(fill("| "), &["E0101"]);
    check(fill("."), &["E0100"]);
    check(fill("=> "), &["E0100"]);
    check(fill("! "), &["E0007"; 20]);
    check(fill("a b "), &["E0100"]);
    check(fill("a b\n"), &["E0100"; 20]);
    check(fill("let "), &["E0122"]);
    check(fill("€"), &["E0001"]);
    check(fill("é"), &[]);
    check(fill("match "), &["E0101"]);
    check(fill("struct S { "), &["E0009"]);
    check(fill("select { a = "), &["E0009"]);
    check(fill("spawn "), &["E0100"]);
    check(fill("fn "), &["E0100"]);
    check(fill("x = 1 < 2 < 3\n"), &["E0102"; 20]);
}

#[test]
fn text_that_is_not_utf8() {
    let mut bytes = fill("a\n").into_bytes();
    bytes[1000] = 0xff;
    let found = decode(&bytes).expect_err("0xff is no UTF-8");
    assert_eq!(found.code, "E0013");
    assert_eq!(found.span.start, 1000);
    assert_eq!(found.message, "invalid UTF-8 at byte 1000");
    let lossy = String::from_utf8_lossy(&bytes);
    let text = render::render(&found, "f.hd", &lossy, false);
    assert!(text.contains("f.hd:501:1"), "{text}");
    for end in [&b"\xe2\x82"[..], b"\xf0\x9f", b"\xc3"] {
        let found = decode(end).expect_err("cut off");
        assert_eq!(found.span.start, 0);
    }
    assert_eq!(decode("naïve".as_bytes()).ok(), Some("naïve"));
}

/// Cuts and mutations of real programs: never a panic, and a finding wherever the tree has a hole.
#[test]
fn broken_programs() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tour");
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let pieces = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "|",
        "\"",
        "'",
        "\n",
        ";",
        ",",
        "=>",
        "=",
        "..",
        "{ ",
        " fn ",
        " if ",
        " match ",
        " select { ",
        " catch ",
        " else ",
        "\"{",
        "\"\"\"",
        "#",
        " not ",
        ":",
        ".",
        "-",
        "0",
        "\u{1F600}",
    ];
    for entry in std::fs::read_dir(folder).expect("the tour is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "hd") {
            continue;
        }
        let source = std::fs::read_to_string(&path).expect("text");
        for _ in 0..60 {
            let mut text = source.clone();
            for _ in 0..1 + random(3) {
                let mut at = random(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                match random(3) {
                    0 => text.truncate(at.max(1)),
                    1 => text.insert_str(at, pieces[random(pieces.len())]),
                    _ => {
                        let mut end = (at + 1 + random(20)).min(text.len());
                        while !text.is_char_boundary(end) {
                            end += 1;
                        }
                        text.replace_range(at..end, "");
                    }
                }
                if text.is_empty() {
                    text.push('x');
                }
            }
            let (ast, diagnostics) = parse(&text);
            let has_hole = dump::dump(&ast).contains("<error>");
            assert!(!has_hole || !diagnostics.is_empty(), "{text}");
            assert!(diagnostics.len() <= 20);
            for found in &diagnostics {
                assert!(render::render(found, "f.hd", &text, true).contains(found.code));
            }
            let complete = completeness(&text) == Completeness::Complete;
            assert_eq!(complete, diagnostics.is_empty(), "{text}");
        }
    }
}
