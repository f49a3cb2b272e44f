//! Prints the bytecode of a file: `cargo run -p heddle-compiler --example list -- file.hd`.

use heddle_compiler::{Options, Role, compile};

fn main() {
    let path = std::env::args().nth(1).expect("usage: list FILE");
    let source = std::fs::read_to_string(&path).expect("a readable file");
    let prelude: Vec<String> = "print eprint input str repr int float bool type len min max sum abs round floor ceil \
        sqrt range Set Error freeze copy proxy is_frozen same hash sleep timeout zip enumerate sorted reversed map \
        filter string list tuple set generator StopIteration iterator bytes duration function chr Channel Atomic Semaphore Scoped Troop Queue Mutex \
        TypeError ValueError ArithmeticError IndexError KeyError MatchError NameError AssertError IoError"
        .split_whitespace()
        .map(String::from)
        .collect();
    let options = Options {
        path: path.clone(),
        name: "main".into(),
        role: if std::env::var("PRELUDE").is_ok() {
            Role::Prelude
        } else {
            Role::Program
        },
        is_test: true,
        counts_lines: false,
        prelude_names: &prelude,
        repl_scope: None,
        resolve: &|text| Ok(text.to_string()),
    };
    let (module, diagnostics) = compile(&source, &options);
    for diagnostic in &diagnostics {
        let line = source[..diagnostic.span.start as usize]
            .matches('\n')
            .count()
            + 1;
        eprintln!(
            "{path}:{line}: {} {} {:?}",
            diagnostic.code, diagnostic.message, diagnostic.help
        );
    }
    if let Some(module) = module {
        println!("{}", heddle_bytecode::dis::listing(&module));
    }
}
