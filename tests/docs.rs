//! Runs the examples in the documentation: every block fenced as ```` ```heddle ```` in README.md and `docs/*.md` is a
//! program of its own, whose `# prints TEXT` comments, in order, are the lines that it must write.

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
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![root.join("README.md")];
    for entry in fs::read_dir(root.join("docs")).expect("there is a folder docs") {
        let path = entry.expect("the folder can be read").path();
        if path.extension().is_some_and(|e| e == "md") {
            pages.push(path);
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
