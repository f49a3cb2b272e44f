//! `heddle test`: runs the `test` blocks of files, one engine per file, and counts.

use crate::arguments::Settings;
use crate::output::{complain, for_scripts, is_coloured};
use crate::signals::{INTERRUPTED, Interrupts};
use heddle::{Engine, Error};
use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

struct Counts {
    passed: usize,
    failed: usize,
    /// Files that could not be loaded.
    broken: usize,
}

/// Runs tests; 0 if all passed.
pub(crate) fn test(paths: &[PathBuf], filter: Option<&str>, settings: Settings) -> u8 {
    let mut counts = Counts {
        passed: 0,
        failed: 0,
        broken: 0,
    };
    let files = match files(paths) {
        Ok(files) => files,
        Err((path, error)) => {
            complain(&format!("error: cannot read {}: {error}\n", path.display()));
            return 1;
        }
    };
    for file in &files {
        let mut engine = settings.engine().output(for_scripts()).build();
        let interrupts = Interrupts::listen(engine.interrupt_flag());
        run_file(file, filter, &mut engine, &mut counts);
        if interrupts.was_pressed() {
            return INTERRUPTED;
        }
    }
    let broken = match counts.broken {
        0 => String::new(),
        1 => ", 1 file could not be loaded".to_string(),
        n => format!(", {n} files could not be loaded"),
    };
    say(&format!(
        "{} passed, {} failed{broken}\n",
        counts.passed, counts.failed
    ));
    u8::from(counts.failed + counts.broken > 0)
}

fn run_file(file: &Path, filter: Option<&str>, engine: &mut Engine, counts: &mut Counts) {
    let loaded = engine.load_tests(file);
    let _ = engine.flush();
    let module = match loaded {
        Ok(module) => module,
        Err(error) => {
            counts.broken += 1;
            complain(&error.render_with(is_coloured()));
            return;
        }
    };
    let is_wanted = |name: &&String| filter.is_none_or(|text| name.contains(text));
    let names: Vec<String> = module.tests().map(str::to_string).collect();
    if names.iter().any(|name| is_wanted(&name)) {
        say(&format!("{}\n", file.display()));
    }
    for (index, name) in names.iter().enumerate().filter(|(_, name)| is_wanted(name)) {
        let outcome = engine.run_test(&module, index);
        let _ = engine.flush();
        match outcome {
            Ok(()) => {
                counts.passed += 1;
                say(&format!("  {name} ... {}\n", painted("ok", "32")));
            }
            Err(error) => {
                counts.failed += 1;
                say(&format!(
                    "  {name} ... {}\n{}",
                    painted("FAILED", "1;31"),
                    indented(&error)
                ));
            }
        }
    }
}

fn indented(error: &Error) -> String {
    let report = error.render();
    report.lines().map(|line| format!("    {line}\n")).collect()
}

fn painted(text: &str, colour: &str) -> String {
    let is_plain =
        std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || !io::stdout().is_terminal();
    if is_plain {
        text.to_string()
    } else {
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

fn say(text: &str) {
    let mut output = for_scripts();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// The files that the paths name: themselves, or all `.hd` files below a folder, hidden ones aside.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here[..] } else { paths };
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let mut below = BTreeSet::new();
        let mut folders = vec![path.clone()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder).map_err(|e| (folder.clone(), e))?;
            for entry in entries {
                let entry = entry.map_err(|e| (folder.clone(), e))?;
                let path = entry.path();
                let kind = entry.file_type().map_err(|e| (path.clone(), e))?;
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "hd") {
                    below.insert(
                        path.strip_prefix("./")
                            .map(Path::to_path_buf)
                            .unwrap_or(path),
                    );
                }
            }
        }
        found.extend(below);
    }
    Ok(found)
}
