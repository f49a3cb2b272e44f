//! Runs the examples in the documentation: README.md, `docs/*.md`, `docs/stdlib/*.md` and `docs/tutorial/*.md`. A block fenced as
//!
//! - `heddle` is a program of its own, whose `# prints TEXT` comments, in order, are the lines that it must write;
//! - `heddle NAME.hd` is the same, and stays as a file beside the blocks behind it (in the tutorial beside those of later pages, too);
//!   any other language with a file's name is such a file, without being run;
//! - `input`, behind one of these, is what it reads;
//! - `output`, behind one of these, is all that it writes, also about an error;
//! - `console` is a session: each line `$ heddle …` is run, and the lines below it are what that writes.
//!
//! Programs find `ca.pem`, `cert.pem` and `key.pem` beside them: a certificate for localhost, its key, and that of who made it.
//!
//! The reference and the tutorial must consist of such blocks, and of Rust that the library's documentation tests run. And every function of
//! the library must have its row in docs/reference.md.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::{Arguments, Failed, Trial};

#[path = "support/mod.rs"]
mod support;
use support::{Outcome, Program};

/// What stands between two fences.
struct Block {
    /// Of its first line.
    line: usize,
    language: String,
    /// The file that it is.
    file: Option<String>,
    text: String,
}

/// What a trial finds in its folder.
type Files = Vec<(String, String)>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the command line's package has a parent folder")
        .to_owned();
    let mut trials = Vec::new();
    let tutorial = root.join("docs/tutorial");
    let mut kept = Files::new();
    for page in pages(&root) {
        let text = fs::read_to_string(&page).expect("a page can be read");
        let name = page.file_name().unwrap_or_default().to_string_lossy();
        let is_tutorial = page.parent() == Some(&tutorial);
        let blocks = blocks(&text);
        if is_tutorial || name == "reference.md" {
            let strange = strange_blocks(&root, &page, &blocks);
            trials.push(Trial::test(format!("{name} is run"), || strange));
        }
        if !is_tutorial {
            kept.clear();
        }
        trials.extend(trials_of(&name, blocks, &mut kept));
    }
    trials.push(Trial::test("the library is in the reference", move || {
        library_is_documented(&root)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn pages(root: &Path) -> Vec<PathBuf> {
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs", "docs/stdlib", "docs/tutorial"] {
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
            None => {
                if let Some(info) = line.trim().strip_prefix("```")
                    && !info.contains('`')
                {
                    let mut words = info.split_whitespace();
                    open = Some(Block {
                        line: index + 2,
                        language: words.next().unwrap_or_default().to_owned(),
                        file: words.next().map(str::to_owned),
                        text: String::new(),
                    });
                }
            }
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
        }
    }
    blocks
}

/// Whether a page has blocks that nobody runs.
fn strange_blocks(root: &Path, page: &Path, blocks: &[Block]) -> Result<(), Failed> {
    let library = fs::read_to_string(root.join("src/lib.rs"))?;
    let path = page.strip_prefix(root).unwrap_or(page).display();
    let is_in_library = library.contains(&format!("include_str!(\"../{path}\")"));
    let is_run = |block: &Block| match block.language.as_str() {
        "heddle" | "console" | "output" => true,
        "rust" => is_in_library,
        _ => block.file.is_some(),
    };
    match blocks.iter().find(|block| !is_run(block)) {
        None => Ok(()),
        Some(block) => Err(format!("{path}:{}: nobody runs this block", block.line).into()),
    }
}

fn trials_of(page: &str, blocks: Vec<Block>, kept: &mut Files) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut blocks = blocks.into_iter().peekable();
    while let Some(block) = blocks.next() {
        let input = blocks.next_if(|next| next.language == "input");
        let output = blocks.next_if(|next| next.language == "output");
        if let Some(file) = &block.file {
            kept.retain(|(name, _)| name != file);
            kept.push((file.clone(), block.text.clone()));
        }
        let files = kept.clone();
        let title = format!("{page}:{}", block.line);
        match block.language.as_str() {
            "heddle" => trials.push(Trial::test(title, move || {
                let input = input.map_or_else(String::new, |input| input.text);
                let output = output.map(|output| output.text);
                program(&files, &block, &input, output.as_deref())
            })),
            "console" => trials.push(Trial::test(title, move || session(&files, &block.text))),
            _ => {}
        }
    }
    trials
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

/// A new folder with these files.
fn folder_of(files: &Files) -> std::io::Result<PathBuf> {
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("heddle-docs-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, text)?;
    }
    Ok(folder)
}

fn program(files: &Files, block: &Block, input: &str, output: Option<&str>) -> Result<(), Failed> {
    let folder = folder_of(files)?;
    let file = block.file.as_deref().unwrap_or("example.hd");
    fs::write(folder.join(file), &block.text)?;
    if block.text.contains(".pem\"") {
        add_certificates(&folder)?;
    }
    let heddle = Program::heddle().arg("run").arg(file).folder(&folder);
    let outcome = heddle.stdin(input.as_bytes()).run();
    fs::remove_dir_all(&folder)?;
    let mut faults = String::new();
    match output {
        Some(expected) => compare(&outcome, expected, &mut faults),
        None => {
            outcome.check_exit(0, &mut faults);
            let expected = promised(&block.text);
            if outcome.stdout != expected {
                let _ = writeln!(faults, "--- promised\n{expected}");
            }
        }
    }
    outcome.verdict(faults)
}

/// `ca.pem`, `cert.pem` and `key.pem`, those of the scripts.
fn add_certificates(folder: &Path) -> std::io::Result<()> {
    let text = include_str!("scripts/net/_lib/certificates.hd");
    for (name, file) in [("CA", "ca.pem"), ("CERT", "cert.pem"), ("KEY", "key.pem")] {
        let begin = format!("pub let {name} = \"\"\"\n");
        let (_, rest) = text.split_once(&begin).unwrap_or_default();
        let (pem, _) = rest.split_once("\"\"\"").unwrap_or_default();
        fs::write(folder.join(file), pem)?;
    }
    Ok(())
}

/// Runs the commands of a session.
fn session(files: &Files, text: &str) -> Result<(), Failed> {
    let folder = folder_of(files)?;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ heddle ") else {
            return Err(format!("this is no call of heddle: {line}").into());
        };
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            let _ = writeln!(expected, "{line}");
        }
        let words = command.split_whitespace();
        let outcome = Program::heddle().args(words).folder(&folder).run();
        let mut faults = String::new();
        compare(&outcome, &expected, &mut faults);
        outcome.verdict(faults)?;
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

/// All that a program wrote, and its exit code, which goes by that.
fn compare(outcome: &Outcome, expected: &str, faults: &mut String) {
    let failed = |text: &str| {
        let marks = ["FAILED", "\"severity\": \"error\""];
        text.starts_with("error") || marks.iter().any(|mark| text.contains(mark))
    };
    let code = expected.lines().any(failed);
    outcome.check_exit(i32::from(code), faults);
    let written = format!("{}{}", outcome.stdout, outcome.stderr);
    if without_times(&written) != expected {
        let _ = writeln!(faults, "--- shown\n{expected}");
    }
}

/// What is told of slow tests depends on the machine: `(0.2 s)` at the end of a line.
fn without_times(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let time = line.rsplit_once(" (").filter(|(_, time)| {
            let number = time.strip_suffix(" s)");
            number.is_some_and(|number| number.parse::<f64>().is_ok())
        });
        let _ = writeln!(out, "{}", time.map_or(line, |(line, _)| line));
    }
    out
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
