//! Compiles the parts of the library that are written in Heddle, so that no program has to when it starts: `src/**/NAME.hd` becomes
//! `NAME.module` in the build's output folder, `ModuleCode::to_bytes`.

use heddle_compiler::{Options, Role, compile, render};
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=src");
    let output = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for path in sources(Path::new("src")) {
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let name = name.expect("sources have plain names");
        let to = output.join(name).with_extension("module");
        fs::write(to, bytes(name, &path)).expect("the output folder can be written to");
    }
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

fn bytes(name: &str, path: &Path) -> Vec<u8> {
    let text = fs::read_to_string(path).expect("sources are UTF-8");
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
        prelude_names: &[],
        repl_scope: None,
        resolve: &|_| Err("the library imports no files".into()),
    };
    let (code, found) = compile(&text, &options);
    match code {
        Some(code) => code.to_bytes(),
        None => {
            let errors = found.iter().filter(|d| d.is_error());
            let texts: Vec<String> = errors
                .map(|d| render::render(d, &shown, &text, false))
                .collect();
            panic!("{} does not compile:\n{}", path.display(), texts.join("\n"));
        }
    }
}
