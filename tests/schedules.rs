//! Schedules from a seed: the same seed gives the same run, tests are run under many, and a program that does everything at random leaves nothing
//! behind, whoever schedules it.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use support::{Outcome, Program};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A text run under a seed, with the trace of its schedule.
fn run_text(seed: u64, text: &str) -> Outcome {
    let outcome = Program::heddle()
        .arg("run")
        .arg(format!("--schedule=seed:{seed}"))
        .args(["--trace-schedule", "-e", text])
        .run();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome
}

/// A file in a folder of its own.
fn file(name: &str, text: &str) -> (PathBuf, String) {
    let folder =
        std::env::temp_dir().join(format!("heddle-schedules-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a temporary file can be written");
    (folder, name.to_owned())
}

const ORDER: &str = "let order = Channel(20)\nlet threads = []\nfor i in 0..4 { threads.push(thread { for j in 0..5 { order.send(i) } }) }\nfor t in threads { t.join() }\norder.close()\nfor i in order { print(i) }";

#[test]
fn seeds_give_different_orders_and_each_the_same_one_again() {
    let mut orders = BTreeSet::new();
    for seed in 1..=20 {
        let (first, second) = (run_text(seed, ORDER), run_text(seed, ORDER));
        assert_eq!(
            (&first.stdout, &first.stderr),
            (&second.stdout, &second.stderr)
        );
        assert!(
            first.stderr.contains(&format!("seed {seed}, ")),
            "{}",
            first.stderr
        );
        orders.insert(first.stdout);
    }
    assert!(orders.len() > 10, "{} different orders", orders.len());
}

#[test]
fn random_numbers_come_from_the_seed() {
    const NUMBERS: &str = "import random\nprint((0..20).map(|_| random.int(0, 1000)).to_list(), (thread { random.float() }).join())";
    assert_eq!(run_text(1, NUMBERS).stdout, run_text(1, NUMBERS).stdout);
    assert_ne!(run_text(1, NUMBERS).stdout, run_text(2, NUMBERS).stdout);
}

#[test]
fn waiting_takes_no_time_and_the_clock_says_it_did() {
    let outcome = run_text(
        3,
        "import time\nlet start = time.now()\nlet t = thread { sleep(2h); 7 }\nprint(t.join(), time.now() - start >= 2h)\nprint(try { timeout(1h, || Channel().recv()) } catch e { e.kind }, time.now() - start >= 3h)\nselect { m = Channel().recv() => 1, after 1h => print(time.now() - start >= 4h) }",
    );
    assert_eq!(outcome.stdout, "7 true\nTimeout true\ntrue\n");
}

#[test]
fn a_loop_that_looks_at_the_clock_ends() {
    let outcome = run_text(
        1,
        "import time\nlet start = time.now()\nwhile time.now() - start < 1ms { }\nprint('over')",
    );
    assert_eq!(outcome.stdout, "over\n");
}

#[test]
fn what_comes_from_outside_is_told_with_its_place() {
    let outcome = run_text(1, "import time\nlet x = 1\ntime.wall()");
    assert!(
        outcome
            .stderr
            .contains("not repeatable: <string>:3: time.wall"),
        "{}",
        outcome.stderr
    );
    assert!(!run_text(1, "print(1)").stderr.contains("not repeatable"));
}

const RACE: &str = "let n = Atomic(0)\nfn add() { let old = n.get(); for i in 0..3 { }; n.set(old + 1) }\ntest \"one after the other\" { n.set(0); thread add().join() ; thread add().join(); assert n.get() == 2 }\ntest \"both at once\" {\n    n.set(0)\n    let a = thread add()\n    let b = thread add()\n    a.join()\n    b.join()\n    assert n.get() == 2\n}\n";

#[test]
fn a_race_is_found_and_the_line_that_is_shown_repeats_it() {
    let (folder, name) = file(
        "race.hd",
        &RACE.replace("thread add().join()", "(thread add()).join()"),
    );
    let test = |arguments: &[&str]| {
        let program = Program::heddle().folder(&folder).arg("test");
        program.args(arguments.iter().copied()).run()
    };
    let found = test(&["--schedules=100", &name]);
    assert_eq!(found.code(), Some(1), "{}", found.stdout);
    assert!(
        found.stdout.contains("one after the other ... ok"),
        "{}",
        found.stdout
    );
    let line = found
        .stdout
        .lines()
        .find_map(|line| line.trim().strip_prefix("repeat: heddle test "))
        .expect("the line that repeats it is shown");
    let seed = line.split(' ').next().expect("the schedule comes first");
    for _ in 0..3 {
        let again = test(&[seed, &name, "--filter", "both at once"]);
        assert_eq!(again.code(), Some(1), "{}", again.stdout);
        assert!(
            again.stdout.contains("both at once ... FAILED"),
            "{}",
            again.stdout
        );
    }
}

#[test]
fn tests_that_read_from_outside_fail_unless_that_is_allowed() {
    let (folder, name) = file(
        "outside.hd",
        "import time\ntest \"now\" { assert time.wall() > 0.0 }\n",
    );
    let test = |allowed: &[&str]| {
        let program = Program::heddle()
            .folder(&folder)
            .args(["test", "--schedules=2"]);
        program.args(allowed.iter().copied()).arg(&name).run()
    };
    let refused = test(&[]);
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused
            .stdout
            .contains("not repeatable: outside.hd:2: time.wall"),
        "{}",
        refused.stdout
    );
    assert_eq!(test(&["--allow-outside=env"]).code(), Some(1));
    assert_eq!(test(&["--allow-outside=env,clock"]).code(), Some(0));
}

#[test]
fn under_stress_each_slice_has_another_carrier() {
    let outcome = Program::heddle()
        .args([
            "run",
            "--stress=migrate",
            "--carriers=2",
            "--trace-schedule",
            "-e",
        ])
        .arg("var n = 0\nfor i in 0..5000 { n += i }\nprint(n)")
        .run();
    assert_eq!(outcome.stdout, "12497500\n");
    let changes = outcome
        .stderr
        .split_once("not repeatable, ")
        .and_then(|(_, rest)| {
            let number: u64 = rest.split(' ').next()?.parse().ok()?;
            Some(number)
        });
    // Each is asserted to be one where it happens. A system that gives no second OS thread has none.
    assert!(
        changes.is_some_and(|changes| changes >= 10),
        "{}",
        outcome.stderr
    );
}

fn everything(flags: &[&str], starts: u64) {
    let outcome = Program::heddle()
        .folder(&root().join("tests/stress"))
        .arg("run")
        .args(flags.iter().copied())
        .arg("everything.hd")
        .arg(starts.to_string())
        .run();
    assert_eq!(
        (outcome.stdout.as_str(), outcome.code()),
        ("as before\n", Some(0)),
        "{flags:?}: {}",
        outcome.stderr
    );
}

/// How many seeds; `HEDDLE_SEEDS` says otherwise.
fn seeds() -> u64 {
    let chosen = std::env::var("HEDDLE_SEEDS").ok();
    chosen.and_then(|n| n.parse().ok()).unwrap_or(25)
}

#[test]
fn everything_at_random_leaves_nothing_behind() {
    for seed in 1..=seeds() {
        everything(&[&format!("--schedule=seed:{seed}")], 100);
    }
}

#[test]
fn the_same_on_many_carriers() {
    for flags in [
        &["--carriers=1"][..],
        &["--carriers=2"],
        &["--carriers=8"],
        &["--carriers=8", "--slice=1"],
        &["--stress=migrate", "--carriers=3"],
        &["--stress=suspend"],
    ] {
        everything(flags, 100);
    }
}
