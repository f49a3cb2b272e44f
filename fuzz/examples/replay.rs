//! Runs programs without the fuzzer: those of a corpus, or of bytes drawn at random.
//!
//! ```text
//! replay [--random SEED COUNT] [--peer PROGRAM] [--print] [--write FOLDER] [FILE…]
//! ```
//!
//! Every program is run with and without a collection at every allocation. `--peer` is this program built with the other
//! dispatch of the interpreter: what it prints (`--print`) must be the same. `--write` writes the bytes drawn into a folder, as a
//! corpus to begin with. `--show` shows the programs and what they do. A file that ends in `.hd` is a program, others are bytes of which one
//! is made.

use heddle::Stress;
use heddle_fuzz::{programs, run};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio, exit};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut peer = None;
    let (mut prints, mut shows, mut folder) = (false, false, None);
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut next = || rest.next().unwrap_or_else(|| usage()).clone();
        match argument.as_str() {
            "--random" => {
                let number = |text: String| text.parse::<u64>().unwrap_or_else(|_| usage());
                let (seed, count) = (number(next()), number(next()));
                inputs.extend((seed..seed + count).map(|i| (format!("seed {i}"), random(i))));
            }
            "--peer" => peer = Some(next()),
            "--print" => prints = true,
            "--show" => shows = true,
            "--write" => folder = Some(PathBuf::from(next())),
            path => inputs.extend(files(Path::new(path))),
        }
    }
    if let Some(folder) = folder {
        for (name, bytes) in &inputs {
            let path = folder.join(name.replace(' ', "_"));
            std::fs::write(&path, bytes).expect("the folder can be written to");
        }
        return;
    }
    let mut peer = peer.map(|program| start(&program, &arguments));
    let count = inputs.len();
    let mut differing = 0;
    for (name, bytes) in inputs {
        let source = if name.ends_with(".hd") {
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            programs::write(&bytes)
        };
        if shows {
            println!("=== {name}\n{source}");
        }
        let usual = run::run(&source, Stress::None);
        if prints {
            send(&usual.text);
            continue;
        }
        if shows {
            println!("{}", usual.text);
        }
        let stressed = run::run(&source, Stress::Collect);
        let mut others = vec![("a collection at every allocation", stressed)];
        if let Some((_, output)) = &mut peer {
            let text = receive(output);
            others.push(("the other dispatch", run::Outcome { text }));
        }
        for (what, other) in others {
            if !run::agree(&usual, &other) {
                differing += 1;
                println!(
                    "{name}: {what} makes a difference: {}",
                    run::difference(&usual, &other)
                );
            }
        }
    }
    if let Some((mut child, _)) = peer {
        let status = child.wait().expect("a child can be waited for");
        assert!(status.success(), "the other dispatch: {status}");
    }
    if !prints {
        println!("{count} programs, {differing} differences");
    }
    exit(i32::from(differing > 0));
}

fn usage() -> ! {
    eprintln!(
        "usage: replay [--random SEED COUNT] [--peer PROGRAM] [--print] [--show] [--write FOLDER] [FILE…]"
    );
    exit(2);
}

/// A file, or all files of a folder.
fn files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("the folder can be read");
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| found.extend(files(path)));
    } else {
        let bytes =
            std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        found.push((path.display().to_string(), bytes));
    }
    found
}

/// Bytes from a number: xorshift.
fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    next();
    let length = 50 + next() % 1500;
    (0..length).map(|_| next() as u8).collect()
}

/// The same inputs in another build.
fn start(program: &str, arguments: &[String]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(program)
        .arg("--print")
        .args(without_peer(arguments))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let output = child.stdout.take().expect("it is a pipe");
    (child, BufReader::new(output))
}
fn without_peer(arguments: &[String]) -> Vec<&String> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--peer" => drop(rest.next()),
            "--show" => {}
            _ => kept.push(argument),
        }
    }
    kept
}

/// Length and text, so that the other side knows where an outcome ends.
fn send(text: &str) {
    let mut output = std::io::stdout().lock();
    let length = (text.len() as u64).to_le_bytes();
    output
        .write_all(&length)
        .and_then(|()| output.write_all(text.as_bytes()))
        .expect("somebody reads");
}
fn receive(output: &mut impl Read) -> String {
    let mut length = [0; 8];
    output
        .read_exact(&mut length)
        .expect("the other dispatch has gone on");
    let mut text = vec![0; u64::from_le_bytes(length) as usize];
    output
        .read_exact(&mut text)
        .expect("the other dispatch has gone on");
    String::from_utf8(text).expect("it was text")
}
