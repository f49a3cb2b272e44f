//! Compiles the parts of the library that are written in Heddle, so that no program has to when it starts: `src/**/NAME.hd` becomes
//! `NAME.module` in the build's output folder, `ModuleCode::to_bytes`, packed except for the prelude, and `NAME.text`, the packed source, out of which
//! the documentation is read.

use heddle_compiler::{Options, Role, compile, render};
use miniz_oxide::deflate::compress_to_vec;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=src");
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
        write("text", &packed(text.as_bytes()));
    }
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
