//! The fuzz targets on stable Rust, without their fuzzer: the seeds of `fuzz/seeds`, and programs and broken texts drawn from numbers, the
//! same every time. What the targets check is checked here, too; docs/testing.md tells how to look further.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, reason = "a library elsewhere")]
mod heddle_fuzz;

use heddle_fuzz::{bytecode, data, front_end, http, programs, run::Trio};
use std::path::Path;

/// Programs drawn at random.
const PROGRAMS: u64 = 2000;
/// Texts of scripts that are broken at random.
const TEXTS: u64 = 1500;
/// Comparisons with references.
const DATA: u64 = 20000;
/// Programs whose bytecode is changed at random.
const MODULES: u64 = 3000;

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is not empty", folder.display());
    let read = |path: &std::path::PathBuf| std::fs::read(path).expect("the file can be read");
    paths
        .iter()
        .map(|path| (path.display().to_string(), read(path)))
        .collect()
}

/// Runs what is given on two threads: most of these tests' time is spent here.
fn on_two_threads(check: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        let check = &check;
        let workers = [0, 1].map(|half| scope.spawn(move || check(half)));
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn check_all(inputs: impl Iterator<Item = (String, Vec<u8>)>) {
    let mut trio = Trio::new(None);
    for (name, bytes) in inputs {
        let source = programs::write(&bytes);
        if let Err(difference) = trio.run(&source) {
            panic!("{name}: {difference}\n--- program\n{source}");
        }
    }
}

#[test]
fn seeds_of_programs() {
    check_all(files("fuzz/seeds/programs").into_iter());
}

#[test]
fn programs_at_random() {
    on_two_threads(|half| {
        let numbers = (0..PROGRAMS).filter(|i| i % 2 == half);
        check_all(numbers.map(|i| (format!("seed {i}"), programs::random(i))));
    });
}

/// Runs of programs that print nothing always agree: most seeds must be made into programs that print.
#[test]
fn programs_do_something() {
    let mut trio = Trio::new(None);
    let printing = files("fuzz/seeds/programs")
        .iter()
        .filter(|(_, bytes)| {
            let outcome = trio.run(&programs::write(bytes));
            outcome.is_ok_and(|outcome| outcome.text.lines().count() > 3)
        })
        .count();
    assert!(
        printing > 30,
        "only {printing} of the seeds print something"
    );
}

#[test]
fn data_at_random() {
    on_two_threads(|half| {
        let mut checker = data::Checker::default();
        for i in (0..DATA).filter(|i| i % 2 == half) {
            checker.check(&programs::random(i));
        }
    });
}

/// Much of it must be accepted, or nothing is tried.
#[test]
fn bytecode_at_random() {
    on_two_threads(|half| {
        let mut runner = bytecode::Runner::default();
        let accepted = (0..MODULES)
            .filter(|i| i % 2 == half)
            .filter(|&i| runner.check(&programs::random(i)))
            .count();
        assert!(accepted as u64 > MODULES / 50, "{accepted} were accepted");
    });
}

#[test]
fn seeds_of_the_front_end() {
    for (_, bytes) in files("fuzz/seeds/front_end") {
        front_end::check(&bytes);
    }
}

/// Pieces of the examples are left out, doubled and mixed.
#[test]
fn broken_texts() {
    let mut whole = files("tests/tour");
    whole.retain(|(name, _)| name.ends_with(".hd"));
    on_two_threads(|half| {
        for i in (0..TEXTS).filter(|i| i % 2 == half) {
            let numbers = programs::random(i);
            let mut numbers = numbers
                .chunks_exact(2)
                .map(|two| two[0] as usize * 256 + two[1] as usize);
            let mut next = |below: usize| numbers.next().unwrap_or(0) % below.max(1);
            let mut text = Vec::new();
            for _ in 0..1 + next(5) {
                let source = &whole[next(whole.len())].1;
                let start = next(source.len());
                let length = next(300).min(source.len() - start);
                text.extend_from_slice(&source[start..start + length]);
            }
            for _ in 0..next(4) {
                let at = next(text.len());
                if at < text.len() {
                    text[at] = next(256) as u8;
                }
            }
            front_end::check(&text);
        }
    });
}

#[test]
fn seeds_of_http() {
    for (name, bytes) in files("fuzz/seeds/http") {
        eprintln!("{name}");
        http::check(&bytes);
    }
}

/// Messages that are broken at random.
#[test]
fn http_at_random() {
    let seeds = files("fuzz/seeds/http");
    // xorshift: the same numbers every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    const SIGNS: &[u8] = b"\r\n\r\n \t:;,0123456789aAfF\0\xff/%";
    for i in 0..20_000 {
        let mut bytes = seeds[i % seeds.len()].1.clone();
        for _ in 0..=next() % 4 {
            let sign = SIGNS[(next() % SIGNS.len() as u64) as usize];
            let at = (next() % (bytes.len() as u64 + 1)) as usize;
            match next() % 3 {
                0 => bytes.insert(at, sign),
                1 if at < bytes.len() => bytes[at] = sign,
                _ => bytes.truncate(at.max(1)),
            }
        }
        http::check(&bytes);
    }
}
