//! Runs every program under `examples/` on its data and compares what it prints with `examples/expected/NAME.out`;
//! then runs the `test` blocks of those that have some. A program without a row in `EXAMPLES` is a failure. The programs of
//! `benches/` are checked, not run.
//!
//! `HEDDLE_BLESS=1` writes the expectations anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

#[path = "support/mod.rs"]
mod support;
use support::{Outcome, Program};

/// A program of `examples/` and how it is run, from the project's root.
struct Example {
    name: &'static str,
    arguments: &'static [&'static str],
    /// A file of `examples/data` that it reads as standard input.
    stdin: Option<&'static str>,
}

const fn example(name: &'static str, arguments: &'static [&'static str]) -> Example {
    Example {
        name,
        arguments,
        stdin: None,
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        name: "adventure",
        arguments: &[],
        stdin: Some("adventure.in"),
    },
    example("calculator", &["examples/data/calculator.txt"]),
    example("crawler", &["examples/data/site"]),
    // Without an address they try themselves.
    example("chat_server", &[]),
    example("csv_report", &["examples/data/sales.csv"]),
    example("echo_server", &[]),
    example(
        "json_query",
        &[
            "examples/data/library.json",
            "name",
            "books[-1].title",
            "books[price > 20].title",
            "books[author == \"Ida Holm\"].tags[0]",
            "books[lent == true].year",
            "members.*.since",
            "members.bob",
            "nothing.here",
        ],
    ),
    example("life", &["examples/data/life.txt", "100"]),
    example("log_analyser", &["examples/data/access.log"]),
    example("markdown_to_html", &["examples/data/loom.md"]),
    example("notes_service", &["--demo"]),
    example(
        "parallel_word_count",
        &[
            "examples/data/prose.txt",
            "examples/data/loom.md",
            "examples/data/missing.txt",
            "examples/data/notes/garden.txt",
        ],
    ),
    example(
        "search_files",
        &[
            "th(read|ird)",
            "examples/data/notes/garden.txt",
            "examples/data/notes/missing.txt",
            "examples/data/notes/workshop.txt",
            "examples/data/notes/letters.txt",
        ],
    ),
    example("sudoku", &["examples/data/sudoku.txt"]),
    example("word_frequencies", &["examples/data/prose.txt"]),
];

/// Those that talk to themselves.
const NETWORK: &[&str] = &["crawler", "notes_service"];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the command line's package has a parent folder")
        .to_owned();

    let mut trials = vec![Trial::test("every example is run", {
        let root = root.clone();
        move || all_are_listed(&root)
    })];
    let here = root.clone();
    trials.push(Trial::test(
        "benchmark programs are free of errors",
        move || check_benchmarks(&here),
    ));
    for example in EXAMPLES {
        let here = root.clone();
        trials.push(Trial::test(example.name, move || run(example, &here)));
        // When the network answers is the system's business.
        if NETWORK.contains(&example.name) {
            continue;
        }
        let here = root.clone();
        trials.push(Trial::test(
            format!("{} [repeat]", example.name),
            move || run_twice(example, &here),
        ));
        let source = program(&root, example.name);
        if fs::read_to_string(&source).is_ok_and(|text| text.contains("\ntest \"")) {
            let here = root.clone();
            trials.push(Trial::test(format!("{} [test]", example.name), move || {
                run_tests(&here, &source)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn program(root: &Path, name: &str) -> PathBuf {
    root.join("examples").join(format!("{name}.hd"))
}

fn all_are_listed(root: &Path) -> Result<(), Failed> {
    let mut unlisted = BTreeSet::new();
    for entry in fs::read_dir(root.join("examples"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "hd") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if !EXAMPLES.iter().any(|e| e.name == name) {
                unlisted.insert(name);
            }
        }
    }
    if unlisted.is_empty() {
        Ok(())
    } else {
        Err(format!("without a row in EXAMPLES: {unlisted:?}").into())
    }
}

/// The programs of `benches/` take too long to run here, but must compile.
fn check_benchmarks(root: &Path) -> Result<(), Failed> {
    let mut heddle = Program::heddle().folder(root).arg("check");
    for folder in ["benches/heddle", "benches/other"] {
        for entry in fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "hd") {
                heddle = heddle.arg(path);
            }
        }
    }
    let outcome = heddle.run();
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    outcome.verdict(faults)
}

fn call(example: &Example, root: &Path, flags: &[&str]) -> Result<Outcome, Failed> {
    let mut heddle = Program::heddle()
        .folder(root)
        .arg("run")
        .args(flags.iter().copied())
        .arg(program(root, example.name))
        .args(example.arguments.iter().copied());
    if let Some(name) = example.stdin {
        heddle = heddle.stdin(&fs::read(root.join("examples/data").join(name))?);
    }
    Ok(heddle.run())
}

/// The same seed gives the same run.
fn run_twice(example: &Example, root: &Path) -> Result<(), Failed> {
    let flags = ["--schedule=seed:1", "--trace-schedule"];
    let first = call(example, root, &flags)?;
    let mut faults = String::new();
    first.check_exit(0, &mut faults);
    first.compare_repeated(&call(example, root, &flags)?, &mut faults);
    first.verdict(faults)
}

fn run(example: &Example, root: &Path) -> Result<(), Failed> {
    let outcome = call(example, root, &[])?;
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    let file = root.join(format!("examples/expected/{}.out", example.name));
    if faults.is_empty() && std::env::var_os("HEDDLE_BLESS").is_some() {
        fs::write(&file, &outcome.stdout)?;
    }
    let expected = fs::read_to_string(&file)?;
    if outcome.stdout != expected {
        let _ = writeln!(faults, "{}", first_difference(&outcome.stdout, &expected));
    }
    outcome.verdict(faults)
}

fn first_difference(found: &str, expected: &str) -> String {
    let (mut found, mut expected) = (found.lines(), expected.lines());
    for number in 1.. {
        match (found.next(), expected.next()) {
            (None, None) => return "the ends of the lines differ".to_owned(),
            (f, e) if f == e => {}
            (f, e) => {
                let shown = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!("line {number}: expected `{}`, got `{}`", shown(e), shown(f));
            }
        }
    }
    unreachable!("the loop ends with the shorter text")
}

fn run_tests(root: &Path, source: &Path) -> Result<(), Failed> {
    let outcome = Program::heddle().folder(root).arg("test").arg(source).run();
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    outcome.verdict(faults)
}
