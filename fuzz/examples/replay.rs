//! Runs programs without the fuzzer: those of a corpus, or of bytes drawn at random.
//!
//! ```text
//! replay [--random SEED COUNT] [--peer PROGRAM] [--show] [--write FOLDER] [FILE…]
//! replay --serve
//! ```
//!
//! Every program is run with and without a collection at every allocation. `--peer` is this program built with the other
//! dispatch of the interpreter: there, programs must do the same (`--serve` is how it is asked). `--write` writes the bytes drawn
//! into a folder, as a corpus to begin with. `--show` shows the programs and what they do. A file that ends in `.hd` is a program,
//! others are bytes of which one is made.

use heddle_fuzz::{peer, programs, run};
use std::path::{Path, PathBuf};
use std::process::exit;

fn main() {
    let (mut shows, mut folder, mut other) = (false, None, None);
    let mut inputs: Vec<(String, Vec<u8>)> = Vec::new();
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut next = || rest.next().unwrap_or_else(|| usage());
        match argument.as_str() {
            "--serve" => return peer::serve(),
            "--random" => {
                let number = |text: String| text.parse::<u64>().unwrap_or_else(|_| usage());
                let (seed, count) = (number(next()), number(next()));
                inputs.extend(
                    (seed..seed + count).map(|i| (format!("seed {i}"), programs::random(i))),
                );
            }
            "--peer" => other = Some(peer::Peer::start(&next())),
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
    let mut trio = run::Trio::new(other);
    let mut differing = 0;
    for (name, bytes) in &inputs {
        let source = if name.ends_with(".hd") {
            String::from_utf8_lossy(bytes).into_owned()
        } else {
            programs::write(bytes)
        };
        if shows {
            println!("=== {name}\n{source}");
        }
        match trio.run(&source) {
            Ok(outcome) if shows => println!("{}", outcome.text),
            Ok(_) => {}
            Err(difference) => {
                differing += 1;
                println!("{name}: {difference}");
            }
        }
    }
    println!("{} programs, {differing} differences", inputs.len());
    exit(i32::from(differing > 0));
}

fn usage() -> ! {
    eprintln!(
        "usage: replay [--random SEED COUNT] [--peer PROGRAM] [--show] [--write FOLDER] [FILE…]"
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
