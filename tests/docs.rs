//! Runs the examples in the documentation: every block fenced as ```` ```heddle ```` in README.md, `docs/*.md` and `docs/stdlib/*.md` is a
//! program of its own, whose `# prints TEXT` comments, in order, are the lines that it must write. And every function of
//! the library must have its row in docs/reference.md.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

#[path = "support/mod.rs"]
mod support;
use support::Program;

/// An example: where it stands and its text.
struct Block {
    line: usize,
    text: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the command line's package has a parent folder")
        .to_owned();
    let mut trials = Vec::new();
    for file in pages(&root) {
        let text = fs::read_to_string(&file).expect("a page can be read");
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        for block in blocks(&text) {
            trials.push(Trial::test(format!("{name}:{}", block.line), move || {
                run(&block)
            }));
        }
    }
    trials.push(Trial::test("the library is in the reference", move || {
        library_is_documented(&root)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/stdlib"] {
        for entry in fs::read_dir(root.join(folder)).expect("there is such a folder") {
            let path = entry.expect("the folder can be read").path();
            if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match &mut open {
            None if line.trim() == "```heddle" => {
                open = Some(Block {
                    line: index + 2,
                    text: String::new(),
                });
            }
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
    }
    blocks
}

/// What the `# prints` comments promise.
fn promised(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        if let Some((_, shown)) = line.split_once("# prints ") {
            out.push_str(shown);
            out.push('\n');
        }
    }
    out
}

fn run(block: &Block) -> Result<(), Failed> {
    let file =
        std::env::temp_dir().join(format!("heddle-docs-{}-{:p}.hd", std::process::id(), block));
    fs::write(&file, &block.text)?;
    let outcome = Program::heddle().arg("run").arg(&file).run();
    fs::remove_file(&file)?;
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    let expected = promised(&block.text);
    if outcome.stdout != expected {
        let _ = writeln!(faults, "--- promised\n{expected}");
    }
    outcome.verdict(faults)
}

/// The names of the library's functions: `list.push`, `fs.read`, `print`. Read from the texts of the tables of natives
/// (`plain "list.push" (self, value) => …`) and of the Heddle sources (`fn list__map(self, f)`, `pub fn join(..parts)`).
fn library_functions(folder: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            library_functions(&path, found)?;
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_rust = path.extension().is_some_and(|e| e == "rs");
        for line in fs::read_to_string(&path)?.lines() {
            let name = if is_rust {
                ["plain \"", "suspending \"", "blocking \""]
                    .iter()
                    .find_map(|class| line.trim_start().strip_prefix(class))
                    .and_then(|rest| rest.split_once('"'))
                    .map(|(name, _)| name.to_owned())
            } else {
                let line = line.strip_prefix("gen ").unwrap_or(line);
                let function = if stem == "prelude" {
                    line.strip_prefix("fn ")
                } else {
                    line.strip_prefix("pub fn ")
                };
                function
                    .and_then(|rest| rest.split_once('('))
                    .filter(|(name, _)| !name.starts_with("__"))
                    .map(|(name, _)| match stem.as_ref() {
                        "prelude" => name.replacen("__", ".", 1),
                        module => format!("{module}.{name}"),
                    })
            };
            found.extend(name.filter(|name| !name.contains("__")));
        }
    }
    Ok(())
}

fn library_is_documented(root: &Path) -> Result<(), Failed> {
    let mut functions = Vec::new();
    library_functions(&root.join("stdlib/src"), &mut functions)?;
    if functions.len() < 100 {
        return Err("the tables of the library are written in another way now".into());
    }
    let reference = fs::read_to_string(root.join("docs/reference.md"))?;
    let (mut section, mut rows) = (String::new(), std::collections::HashSet::new());
    for line in reference.lines() {
        if let Some(title) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            section = title.to_lowercase();
        } else if let Some(row) = line.strip_prefix("| `") {
            let name = row.split(['(', '`']).next().unwrap_or_default();
            let name = name.rsplit('.').next().unwrap_or_default();
            rows.insert(format!("{section}.{name}"));
        }
    }
    functions.retain(|name| {
        let name = match name.split_once('.') {
            Some((place, name)) => format!("{}.{name}", place.to_lowercase()),
            None => format!("prelude.{name}"),
        };
        !rows.contains(&name)
    });
    if functions.is_empty() {
        Ok(())
    } else {
        functions.sort();
        Err(format!(
            "without a row in docs/reference.md: {}",
            functions.join(", ")
        )
        .into())
    }
}
