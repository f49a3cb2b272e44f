//! Prints the syntax tree and the findings of files: `cargo run -p heddle-compiler --example syntax -- FILE…`
//! With `--quiet` in front only the findings.

use heddle_compiler::render::{render, render_short};

fn main() {
    let mut is_quiet = false;
    for path in std::env::args().skip(1) {
        if path == "--quiet" {
            is_quiet = true;
            continue;
        }
        let source = match std::fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) => {
                eprintln!("{path}: {error}");
                continue;
            }
        };
        let (ast, diagnostics) = heddle_compiler::parse(&source);
        if !is_quiet {
            println!("{}", heddle_compiler::dump::dump(&ast));
        }
        for found in diagnostics {
            if is_quiet {
                println!("{}", render_short(&found, &path, &source));
            } else {
                println!("{}", render(&found, &path, &source, false));
            }
        }
    }
}
