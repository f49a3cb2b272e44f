//! Formatting keeps the meaning of programs: all that the repository holds compile to the same code before and after.

mod support;

use heddle_bytecode::ModuleCode;
use heddle_compiler::format::{Refused, format};
use std::path::{Path, PathBuf};
use support::{compile_with, options};

/// The program without its places in the text.
fn essence(module: &ModuleCode) -> String {
    let mut module = module.clone();
    module.source = "".into();
    for proto in &mut module.protos {
        proto.span = Default::default();
        for (_, span) in &mut proto.spans {
            *span = Default::default();
        }
    }
    format!("{module:#?}")
}

fn programs() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        "tests/scripts",
        "tests/tour",
        "examples",
        "benches/heddle",
        "stdlib/src",
    ];
    let mut pending = folders.map(|folder| root.join(folder)).to_vec();
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            pending.extend(entries.map(|entry| entry.expect("a readable folder").path()));
        } else if path.extension().is_some_and(|extension| extension == "hd") {
            found.push(path);
        }
    }
    found
}

#[test]
fn programs_of_the_repository_stay_the_same() {
    let mut formatted = 0;
    for path in programs() {
        let Ok(source) = std::fs::read_to_string(&path) else {
            continue;
        };
        let text = match format(&source) {
            Ok(text) => text,
            Err(Refused::Wrong(_)) => continue,
            Err(Refused::Changed) => panic!("{}: another program", path.display()),
        };
        formatted += 1;
        let again = format(&text);
        assert!(
            matches!(&again, Ok(again) if *again == text),
            "{}: the second time it is different:\n{text}\n{again:?}",
            path.display()
        );
        let code = |source: &str| {
            compile_with(source, &options())
                .0
                .map(|module| essence(&module))
        };
        assert!(
            code(&source) == code(&text),
            "{}: other code:\n{text}",
            path.display()
        );
    }
    assert!(formatted >= 1000, "only {formatted} programs");
}
