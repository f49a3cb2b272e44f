//! Programs of the repository with lines and words exchanged, doubled and dropped: whatever still compiles must be code that
//! the verifier accepts (`compile` checks it in debug builds), can be formatted, and stays the same when that is done again. Nothing may panic,
//! what is found wrong can be shown.
//!
//! `HEDDLE_MUTATIONS=100000 cargo test -p heddle-compiler --test mutations` looks longer.

mod support;

use heddle_bytecode::verify::verify;
use heddle_compiler::format::{Refused, format};
use heddle_compiler::render::render;
use std::path::{Path, PathBuf};
use support::{compile_with, options};

/// A small generator of numbers, the same ones on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

fn programs(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "hd") {
            found.extend(
                std::fs::read_to_string(&path)
                    .ok()
                    .filter(|text| text.len() < 20_000),
            );
        }
    }
}

/// Cuts a text into pieces that mostly are tokens.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for character in text.chars() {
        let is_word = character.is_alphanumeric() || character == '_';
        match pieces.last_mut() {
            Some(last) if is_word && last.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                last.push(character);
            }
            _ => pieces.push(character.to_string()),
        }
    }
    pieces
}

/// What changes the meaning of much around it: what stands behind the first is never reached.
const PIECES: [&str; 7] = [
    "\nreturn\n",
    "\nthrow ValueError(\"\")\n",
    "\nbreak\n",
    "\nloop { }\n",
    "é",
    "'日'",
    "# 日",
];

fn mutate(random: &mut Random, text: &str, other: &str) -> String {
    let by_line = random.below(2) == 0;
    let split = |text: &str| -> Vec<String> {
        if by_line {
            text.split_inclusive('\n').map(String::from).collect()
        } else {
            pieces(text)
        }
    };
    let (mut parts, others) = (split(text), split(other));
    for _ in 0..=random.below(3) {
        if parts.is_empty() {
            break;
        }
        let at = random.below(parts.len());
        let from = random.below(parts.len());
        match random.below(7) {
            0 => drop(parts.remove(at)),
            1 => parts.swap(at, from),
            2 => parts.insert(at, parts[from].clone()),
            3 => parts[at] = parts[from].clone(),
            4 => parts.insert(at, PIECES[random.below(PIECES.len())].into()),
            5 if random.below(4) == 0 => parts.truncate(at + 1),
            _ if !others.is_empty() => parts.insert(at, others[random.below(others.len())].clone()),
            _ => {}
        }
    }
    parts.concat()
}

#[test]
fn mutated_programs_compile_to_valid_code_or_not_at_all() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for folder in ["tests/scripts", "benches/heddle", "compiler/tests/bytecode"] {
        programs(&root.join(folder), &mut sources);
    }
    let rounds = std::env::var("HEDDLE_MUTATIONS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut compiled = 0;
    for _ in 0..rounds {
        let text = &sources[random.below(sources.len())];
        let other = &sources[random.below(sources.len())];
        let mutated = mutate(&mut random, text, other);
        // Every word is defined somewhere: what is left wrong is the form.
        let words: Vec<String> = pieces(&mutated)
            .into_iter()
            .filter(|word| word.len() > 1)
            .collect();
        let outcome = std::panic::catch_unwind(|| {
            let mut options = options();
            options.prelude_names = &words;
            let (module, found) = compile_with(&mutated, &options);
            for diagnostic in &found {
                render(diagnostic, "main.hd", &mutated, false);
            }
            (module, format(&mutated))
        });
        let Ok((module, tidy)) = outcome else {
            panic!("the compiler panicked on:\n{mutated}");
        };
        match tidy {
            Ok(tidy) => assert_eq!(format(&tidy).ok().as_deref(), Some(&*tidy), "{mutated}"),
            Err(Refused::Wrong(_)) => assert!(module.is_none(), "{mutated}"),
            Err(Refused::Changed) => panic!("formatting would change:\n{mutated}"),
        }
        if let Some(module) = module {
            assert_eq!(verify(&module, false), Ok(()), "{mutated}");
            compiled += 1;
        }
    }
    assert!(
        compiled > rounds / 50,
        "only {compiled} of {rounds} compiled"
    );
}

#[test]
fn a_program_may_end_in_any_character() {
    for text in [
        "fn f() { 1 } # é",
        "let _a = 1 # \u{1f600}",
        "struct S { } #日",
        "# é",
        "é",
        "f() ;\u{a0}",
    ] {
        for text in [
            text.to_owned(),
            format!("{text}\n"),
            format!("{{ {text}\n}}"),
        ] {
            let (module, _) = compile_with(&text, &options());
            if let Some(module) = module {
                assert_eq!(verify(&module, false), Ok(()), "{text}");
            }
        }
    }
}
