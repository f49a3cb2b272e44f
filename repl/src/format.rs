//! `heddle fmt`: files in the one style.

use crate::files::files;
use crate::output::{complain, for_scripts, is_coloured};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Writes files in the style, or says which are not; 0 if all is well.
pub(crate) fn format(paths: &[PathBuf], only_checks: bool) -> u8 {
    if paths == [PathBuf::from("-")] {
        return standard_input(only_checks);
    }
    let files = match files(paths) {
        Ok(files) => files,
        Err((path, error)) => return failed("read", &path, &error),
    };
    let mut code = 0;
    for file in &files {
        code = code.max(one(file, only_checks));
    }
    code
}

fn one(file: &Path, only_checks: bool) -> u8 {
    let source = match std::fs::read(file) {
        Ok(source) => source,
        Err(error) => return failed("read", file, &error),
    };
    let name = file.display().to_string();
    let Some(text) = formatted(&name, &source) else {
        return 1;
    };
    if text.as_bytes() == source {
        return 0;
    }
    if only_checks {
        complain(&format!(
            "{name} is not in the style: run `heddle fmt {name}`\n"
        ));
        return 1;
    }
    match replace(file, &text) {
        Ok(()) => 0,
        Err(error) => failed("write", file, &error),
    }
}

/// A new file takes the place of the old one, so that nothing is lost if the disk is full. Links are followed, permissions kept.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = file.canonicalize()?;
    let beside = file.with_extension(format!("hd.{}.new", std::process::id()));
    let permissions = std::fs::metadata(&file)?.permissions();
    let written = std::fs::write(&beside, text)
        .and_then(|()| std::fs::set_permissions(&beside, permissions))
        .and_then(|()| std::fs::rename(&beside, &file));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn standard_input(only_checks: bool) -> u8 {
    let mut source = Vec::new();
    if let Err(error) = io::stdin().lock().read_to_end(&mut source) {
        return failed("read", Path::new("standard input"), &error);
    }
    let Some(text) = formatted("<stdin>", &source) else {
        return 1;
    };
    if only_checks {
        return u8::from(text.as_bytes() != source);
    }
    let mut output = for_scripts();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => 0,
        Err(error) => failed("write", Path::new("standard output"), &error),
    }
}

/// `None`: it does not parse, which was said.
fn formatted(name: &str, source: &[u8]) -> Option<String> {
    match heddle::format(name, source) {
        Ok(text) => Some(text),
        Err(error) => {
            match error.findings() {
                [] => complain(&error.render_with(is_coloured())),
                findings => {
                    let texts = findings.iter().map(|f| f.render(is_coloured()));
                    complain(&texts.collect::<Vec<_>>().join("\n"));
                }
            }
            None
        }
    }
}

fn failed(what: &str, path: &Path, error: &io::Error) -> u8 {
    complain(&format!(
        "error: cannot {what} {}: {error}\n",
        path.display()
    ));
    1
}
