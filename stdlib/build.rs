//! Compiles the parts of the library that are written in Heddle, so that no program has to when it starts: `src/**/NAME.hd` becomes
//! `NAME.module` in the build's output folder, `ModuleCode::to_bytes`, packed except for the prelude, and `NAME.text`, out of which the documentation is read: what declares and describes,
//! packed. `examples.text` is what stands in `examples`.

use heddle_compiler::{Options, Role, compile, render};
use miniz_oxide::deflate::compress_to_vec;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=examples");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for path in sources(Path::new("src")) {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.expect("sources have plain names");
        let text = fs::read_to_string(&path).expect("sources are UTF-8");
        let write = |extension: &str, bytes: &[u8]| {
            let to = output.join(name).with_extension(extension);
            fs::write(to, bytes).expect("the output folder can be written to");
        };
        let code = module(name, &path, &text);
        write(
            "module",
            &if name == "prelude" {
                code
            } else {
                packed(&code)
            },
        );
        write("text", &packed(outline(&text).as_bytes()));
    }
    let examples = packed(examples().as_bytes());
    fs::write(output.join("examples.text"), examples).expect("the output folder can be written to");
}

/// What `docs.rs` reads of a source: the lines that declare or describe, and of bodies the names of what they call.
fn outline(source: &str) -> String {
    let mut out = String::new();
    let mut called: Vec<&str> = Vec::new();
    for line in source.lines() {
        let inner = line.trim_start();
        let first = inner.trim_start_matches("pub ").trim_start_matches("gen ");
        let declares = ["fn ", "struct ", "enum ", "const ", "let "]
            .iter()
            .any(|word| first.starts_with(word));
        if declares && !(inner.len() < line.len() && first.starts_with("let ")) {
            called.clear();
        } else if !inner.starts_with("##") {
            for name in calls(inner) {
                if !called.contains(&name) {
                    called.push(name);
                    out.push_str(&format!(" {name}\n"));
                }
            }
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// `name(` and `name()` of calls, and the words that wait.
fn calls(line: &str) -> Vec<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = line[at..].find(is_word).map(|i| at + i) {
        let rest = &line[start..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        at = start + end;
        if rest[end..].starts_with("()") {
            found.push(&rest[..end + 2]);
        } else if rest[end..].starts_with('(') {
            found.push(&rest[..=end]);
        } else if name == "scope" {
            found.push(name);
        }
    }
    found
}

/// The files of `examples`, each behind a line with its name.
fn examples() -> String {
    let entries = fs::read_dir("examples").expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    let mut out = String::new();
    for path in paths {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let text = fs::read_to_string(&path).expect("examples are UTF-8");
        out += &format!("\n=== {}:\n{}", name.expect("plain names"), text.trim_end());
    }
    out
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, 9)
}

/// The Heddle files of a folder and of those below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "hd") {
            found.push(path);
        }
    }
    found
}

fn module(name: &str, path: &Path, text: &str) -> Vec<u8> {
    let shown = format!("<{name}>");
    let options = Options {
        path: shown.clone(),
        name: name.into(),
        role: if name == "prelude" {
            Role::Prelude
        } else {
            Role::Library
        },
        is_test: false,
        counts_lines: false,
        prelude_names: &[],
        repl_scope: None,
        resolve: &|_| Err("the library imports no files".into()),
    };
    let (code, found) = compile(text, &options);
    match code {
        Some(mut code) => {
            // Its places are shown to nobody: errors are the program's that called it.
            for proto in &mut code.protos {
                (proto.spans, proto.span) = Default::default();
            }
            code.to_bytes()
        }
        None => {
            let errors = found.iter().filter(|d| d.is_error());
            let texts: Vec<String> = errors
                .map(|d| render::render(d, &shown, text, false))
                .collect();
            panic!("{} does not compile:\n{}", path.display(), texts.join("\n"));
        }
    }
}
