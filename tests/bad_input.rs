//! Bad input: whatever the text of a program is, `heddle check` and `heddle run` end in good time with an exit code,
//! never by a signal and never with a panic.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

mod support;
use support::Program;

const LIMIT: Duration = Duration::from_secs(120);
const MEGABYTE: usize = 1 << 20;

/// What the text should lead to.
#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Valid,
    Wrong,
    /// Either will do (random text).
    Any,
}
use Verdict::{Any, Valid, Wrong};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad_input");
    fs::create_dir_all(&folder).expect("the folder for generated files can be made");
    let trials = inputs()
        .into_iter()
        .map(|(name, text, verdict)| {
            let file = folder.join(format!("{}.hd", name.replace(' ', "_")));
            Trial::test(name, move || ends_well(&file, &text, verdict))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Both commands end, with an exit code that fits the verdict.
fn ends_well(file: &PathBuf, text: &[u8], verdict: Verdict) -> Result<(), Failed> {
    fs::write(file, text).map_err(|e| e.to_string())?;
    for command in ["check", "run"] {
        let outcome = Program::heddle().arg(command).arg(file).limit(LIMIT).run();
        let mut faults = String::new();
        outcome.check_sound(&mut faults);
        let fits = match verdict {
            Valid => outcome.code() == Some(0),
            Wrong => outcome.code() == Some(1),
            Any => matches!(outcome.code(), Some(0 | 1)),
        };
        if !fits && faults.is_empty() {
            let _ = writeln!(faults, "{}", outcome.status);
        }
        if verdict == Wrong && outcome.stderr.is_empty() {
            faults.push_str("nothing is reported\n");
        }
        if outcome.stderr.len() > 100_000 {
            let _ = writeln!(faults, "the report has {} bytes", outcome.stderr.len());
        }
        outcome.verdict(faults)?;
    }
    Ok(())
}

fn inputs() -> Vec<(&'static str, Vec<u8>, Verdict)> {
    let mut inputs: Vec<(&'static str, Vec<u8>, Verdict)> = Vec::new();
    let mut add = |name, text: Vec<u8>, verdict| inputs.push((name, text, verdict));

    // One thing, very often.
    add("empty file", Vec::new(), Valid);
    add("open parentheses", repeat("("), Wrong);
    add("open brackets", repeat("["), Wrong);
    add("open braces", repeat("{"), Wrong);
    add("closing parentheses", repeat(")"), Wrong);
    add("closing braces", repeat("}"), Wrong);
    add(
        "matched parentheses",
        nested("(", "1", ")", MEGABYTE / 2),
        Wrong,
    );
    add(
        "matched brackets",
        nested("[", "1", "]", MEGABYTE / 2),
        Wrong,
    );
    add(
        "nested blocks",
        nested("do {", "1", "}", MEGABYTE / 5),
        Wrong,
    );
    add(
        "nested ifs",
        nested("if 1 { ", "1", "}", MEGABYTE / 8),
        Wrong,
    );
    add(
        "nested functions",
        nested("fn f() { ", "1", "}", MEGABYTE / 10),
        Wrong,
    );
    add(
        "nested closures",
        nested("|x| ", "1", "", MEGABYTE / 4),
        Wrong,
    );
    add("nested calls", nested("f(", "1", ")", MEGABYTE / 3), Wrong);
    add(
        "nested patterns",
        wrapped("let ", nested("[", "a", "]", MEGABYTE / 2), " = 1"),
        Wrong,
    );
    add(
        "nested interpolations",
        nested("\"{", "1", "}\"", MEGABYTE / 4),
        Wrong,
    );
    add(
        "modest nesting",
        wrapped("print(", nested("(", "1", ")", 100), ")"),
        Valid,
    );
    add("bars", repeat("|"), Wrong);
    add("dots", repeat("."), Wrong);
    add("question marks", repeat("?"), Wrong);
    add("quotes", repeat("\""), Any);
    add("backslashes", repeat("\\"), Wrong);
    add("colons", repeat(":"), Wrong);
    add("semicolons", repeat(";"), Any);
    add("commas", repeat(","), Wrong);
    add("arrows", repeat("=>"), Wrong);
    add("hashes", repeat("#"), Valid);
    add("blanks", repeat(" "), Valid);
    add("tabs", repeat("\t"), Valid);
    add("newlines", repeat("\n"), Valid);
    add("carriage returns", repeat("\r\n"), Valid);
    add("comment lines", repeat("# a comment\n"), Valid);
    add("documentation lines", repeat("## about nothing\n"), Any);
    add("a long comment", wrapped("#", repeat("x"), "\n"), Valid);

    // Long chains: programs like others up to a length, then refused in good order.
    add(
        "a sum of two thousand terms",
        wrapped("print(1", "+1".repeat(2000).into_bytes(), ")"),
        Valid,
    );
    add("a long sum", chain("print(", "1", "+1", ")"), Any);
    add(
        "a long product of names",
        chain("let a = 1\nprint(", "a", "*a", ")"),
        Any,
    );
    add(
        "a long comparison chain",
        chain("print(", "1", "<1", ")"),
        Wrong,
    );
    add("a long or", chain("print(", "nil", " or nil", ")"), Any);
    add(
        "a long coalescing chain",
        chain("print(", "nil", " ?? nil", ")"),
        Any,
    );
    add("a long power chain", chain("print(", "1", "**1", ")"), Any);
    add(
        "a long chain of minus signs",
        chain("print(", "", "-", "1)"),
        Any,
    );
    add(
        "a long chain of nots",
        chain("print(", "", "not ", "1)"),
        Any,
    );
    add(
        "a long chain of fields",
        chain("let m = {}\nm", "", ".a", ""),
        Any,
    );
    add(
        "a long chain of safe fields",
        chain("let m = nil\nm", "", "?.a", ""),
        Any,
    );
    add(
        "a long chain of calls",
        chain("fn f() { f }\nf", "", "()", ""),
        Any,
    );
    add(
        "a long chain of indexes",
        chain("let xs = [1]\nxs", "", "[0]", ""),
        Any,
    );
    add(
        "a long else if chain",
        chain("if nil { 1 }", "", " else if nil { 2 }", ""),
        Any,
    );
    add(
        "a long list",
        chain("let xs = [", "1", ", 1", "]\nprint(xs.len())"),
        Valid,
    );
    add(
        "a long map",
        chain("let m = {", "a: 1", ", a: 1", "}\nprint(m.len())"),
        Valid,
    );
    add(
        "a long argument list",
        chain("print(", "1", ", 1", ")"),
        Any,
    );
    add("many statements", repeat("print\n"), Valid);
    add("many variables", numbered("let a{} = 1\n", 40_000), Valid);
    add(
        "many functions",
        numbered("fn f{}(x) { x }\n", 20_000),
        Valid,
    );
    add(
        "many parameters",
        wrapped("fn f(", numbered("a{}, ", 20_000), ") { 1 }"),
        Any,
    );
    add(
        "many match arms",
        wrapped("match 1 {\n", numbered("-{}5 => 1\n", 20_000), "_ => 2 }"),
        Valid,
    );
    add("many undefined names", numbered("nope{}\n", 20_000), Wrong);
    add("many syntax errors", repeat("let = \n"), Wrong);

    // Long tokens.
    add("a long name", wrapped("let ", repeat("a"), " = 1"), Valid);
    add(
        "a long number",
        wrapped("print(", repeat("9")[..100_000].to_vec(), " > 1)"),
        Valid,
    );
    add(
        "a long hexadecimal number",
        wrapped("print(0x", repeat("f")[..100_000].to_vec(), " > 1)"),
        Any,
    );
    add(
        "a long fraction",
        wrapped("print(1.", repeat("3"), " > 1)"),
        Any,
    );
    add("a huge exponent", b"print(1e999999999 > 1)".to_vec(), Any);
    add(
        "a huge duration",
        b"print(99999999999999999999h)".to_vec(),
        Wrong,
    );
    add(
        "a huge size",
        b"print(99999999999999999999gb > 1)".to_vec(),
        Any,
    );
    add(
        "a long string",
        wrapped("print(\"", repeat("x"), "\".len())"),
        Valid,
    );
    add(
        "a string of escapes",
        wrapped("print(\"", repeat("\\n"), "\".len())"),
        Valid,
    );
    add(
        "a string of code point escapes",
        wrapped("print(\"", repeat("\\u{1F600}"), "\".len())"),
        Valid,
    );
    add(
        "a string of bad escapes",
        wrapped("print(\"", repeat("\\q"), "\")"),
        Wrong,
    );
    add(
        "a string of interpolations",
        wrapped("print(\"", repeat("{1}"), "\".len())"),
        Valid,
    );
    add(
        "a string of open interpolations",
        wrapped("print(\"", repeat("{"), "\")"),
        Wrong,
    );
    add(
        "a string of closing braces",
        wrapped("print(\"", repeat("}"), "\".len())"),
        Valid,
    );
    add(
        "a long triple-quoted string",
        wrapped("print(\"\"\"", repeat("   x\n"), "\"\"\".len())"),
        Valid,
    );
    add(
        "a long format spec",
        wrapped("print(\"{1:", repeat(">"), "}\")"),
        Any,
    );
    add(
        "long bytes",
        wrapped("print(b\"", repeat("\\xff"), "\".len())"),
        Valid,
    );

    // What never ends.
    for (name, text) in [
        ("unterminated string", "print(\"abc"),
        ("unterminated single-quoted string", "print('abc"),
        ("unterminated triple-quoted string", "print(\"\"\"abc\n def"),
        ("unterminated bytes", "print(b\"abc"),
        ("unterminated raw string", "print(r'abc"),
        ("unterminated interpolation", "print(\"a {1 + "),
        ("unterminated interpolation with a spec", "print(\"a {1:>"),
        ("unterminated escape", "print(\"\\"),
        ("unterminated code point escape", "print(\"\\u{12"),
        ("unterminated byte escape", "print(b\"\\x1"),
        ("unterminated list", "let a = [1, 2"),
        ("unterminated map", "let a = {a: 1"),
        ("unterminated function", "fn f(a"),
        ("unterminated function body", "fn f(a) { a"),
        ("unterminated closure bars", "let f = |a, b"),
        ("unterminated struct", "struct A { x"),
        ("unterminated enum", "enum A { X("),
        ("unterminated match", "match 1 { 1 =>"),
        ("unterminated if", "if true"),
        ("unterminated let", "let"),
        ("unterminated let value", "let a ="),
        ("unterminated import", "import"),
        ("unterminated from", "from \"./x.hd\" import"),
        ("unterminated try", "try { 1 }  catch"),
        ("unterminated test", "test \"x\""),
        ("unterminated operator", "1 +"),
        ("unterminated hexadecimal number", "print(0x)"),
        ("unterminated exponent", "print(1e)"),
    ] {
        add(name, text.as_bytes().to_vec(), Wrong);
    }

    // What is no text.
    add("a nul", b"let a = 1\0\nprint(a)".to_vec(), Wrong);
    add("nuls", repeat("\0"), Wrong);
    add("a nul in a string", b"print(\"a\0b\".len())".to_vec(), Any);
    add("invalid utf-8", b"let a = \xff\xfe\n".to_vec(), Wrong);
    add(
        "invalid utf-8 in a string",
        b"print(\"\xc3\x28\")".to_vec(),
        Wrong,
    );
    add(
        "invalid utf-8 in a comment",
        b"# \xff\nprint(1)".to_vec(),
        Wrong,
    );
    add("cut off utf-8", b"let a = \"\xe6\x97".to_vec(), Wrong);
    add("utf-16", b"\xff\xfel\0e\0t\0 \0a\0".to_vec(), Wrong);
    add("a byte order mark", b"\xef\xbb\xbfprint(1)\n".to_vec(), Any);
    add("control characters", (1..32).collect(), Any);
    add(
        "right to left marks",
        "let a\u{202e} = 1".as_bytes().to_vec(),
        Wrong,
    );
    add("combining characters", repeat("e\u{301}"), Any);

    // Random bytes, and random sequences of tokens, the same in every run.
    let mut random = Random(0x5eed_1234_abcd_0001);
    add(
        "random bytes",
        (0..MEGABYTE).map(|_| random.next() as u8).collect(),
        Wrong,
    );
    add(
        "random ascii",
        (0..MEGABYTE)
            .map(|_| 32 + (random.next() % 95) as u8)
            .collect(),
        Any,
    );
    for name in [
        "random tokens 1",
        "random tokens 2",
        "random tokens 3",
        "random tokens 4",
    ] {
        let mut text = String::new();
        while text.len() < 20_000 {
            let index = random.next() as usize % TOKENS.len();
            text.push_str(TOKENS[index]);
            text.push(if random.next().is_multiple_of(8) {
                '\n'
            } else {
                ' '
            });
        }
        // A program of random tokens may be valid and may loop: it must not be run for long.
        add(name, text.into_bytes(), Any);
    }
    inputs
}

/// Pieces of programs for the random ones; no `while` and `loop`, so that none can run for ever.
const TOKENS: &[&str] = &[
    "let",
    "var",
    "const",
    "fn",
    "gen",
    "return",
    "if",
    "else",
    "for",
    "in",
    "break",
    "continue",
    "match",
    "struct",
    "enum",
    "trait",
    "import",
    "from",
    "as",
    "pub",
    "true",
    "false",
    "nil",
    "and",
    "or",
    "not",
    "is",
    "try",
    "catch",
    "throw",
    "defer",
    "spawn",
    "thread",
    "threadlet",
    "scope",
    "select",
    "after",
    "yield",
    "local",
    "assert",
    "test",
    "do",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "|",
    "=",
    "==",
    "=>",
    "+",
    "-",
    "*",
    "**",
    "..",
    "..=",
    "?.",
    "??",
    ".",
    ",",
    ":",
    ";",
    "1",
    "2.5",
    "5s",
    "a",
    "b",
    "f",
    "\"x\"",
    "\"{a}\"",
    "'y'",
    "b\"z\"",
    "_",
    "# c\n",
    "\"\"\"t\"\"\"",
];

fn repeat(text: &str) -> Vec<u8> {
    text.repeat(MEGABYTE / text.len()).into_bytes()
}

fn nested(open: &str, middle: &str, close: &str, depth: usize) -> Vec<u8> {
    format!("{}{middle}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
}

fn wrapped(before: &str, middle: Vec<u8>, after: &str) -> Vec<u8> {
    [before.as_bytes(), &middle, after.as_bytes()].concat()
}

/// `before first link link … after`, half a megabyte long.
fn chain(before: &str, first: &str, link: &str, after: &str) -> Vec<u8> {
    let links = link.repeat(MEGABYTE / 2 / link.len());
    format!("{before}{first}{links}{after}").into_bytes()
}

/// The line again and again, `{}` being the number.
fn numbered(line: &str, count: usize) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..count {
        text.push_str(&line.replace("{}", &number.to_string()));
    }
    text.into_bytes()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
