//! How fast files are lexed, laid out and parsed, and compiled: `cargo run --release -p heddle-compiler --example
//! parse_speed -- FILE…`. All files are joined and repeated to a few megabytes.

use heddle_compiler::{Options, Role, compile, layout, lexer, parse};
use std::time::Instant;

fn main() {
    let mut unit = String::new();
    for path in std::env::args().skip(1) {
        match std::fs::read_to_string(&path) {
            Ok(text) => unit.push_str(&text),
            Err(error) => eprintln!("{path}: {error}"),
        }
        unit.push('\n');
    }
    if unit.trim().is_empty() {
        return;
    }
    let source = unit.repeat((4 << 20) / unit.len() + 1);
    let megabytes = source.len() as f64 / (1 << 20) as f64;
    let lines = source.lines().count();
    let time = |name: &str, mut run: Box<dyn FnMut() + '_>| {
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            })
            .fold(f64::MAX, f64::min);
        println!(
            "{name:20} {:6.1} MB/s {:8.2} ms for 10,000 lines",
            megabytes / best,
            best * 1e3 * 10_000.0 / lines as f64
        );
    };
    time("lex", Box::new(|| drop(lexer::lex(&source))));
    let lexed = lexer::lex(&source);
    time(
        "layout",
        Box::new(|| drop(layout::layout(&source, &lexed, &mut Vec::new()))),
    );
    time("lex + layout + parse", Box::new(|| drop(parse(&source))));

    let functions: String = (0..1_000).map(function).collect();
    let start = Instant::now();
    let (module, diagnostics) = compile(
        &functions,
        &Options {
            path: "speed.hd".into(),
            name: "speed".into(),
            role: Role::Program,
            is_test: false,
            counts_lines: false,
            prelude_names: &["print", "int", "ValueError"].map(String::from),
            repl_scope: None,
            resolve: &|text| Ok(text.to_string()),
        },
    );
    let elapsed = start.elapsed();
    for found in diagnostics.iter().take(3) {
        println!(
            "{}",
            heddle_compiler::render::render_short(found, "", &functions)
        );
    }
    println!(
        "compile, {} lines, first time: {elapsed:.1?}, {} findings, {}",
        functions.lines().count(),
        diagnostics.len(),
        if module.is_some() {
            "a module"
        } else {
            "no module"
        }
    );
}

/// Ten lines that are like others but for their names.
fn function(n: usize) -> String {
    format!(
        "struct Item{n} {{ name, var count = {n}; fn total(self, factor) {{ self.count * factor }} }}
fn work{n}(items, limit = {n}) {{
    var sum = 0
    for (index, item) in items.enumerate() {{
        if index > limit {{ throw ValueError(\"too many: {{index}}\") }}
        let weight = match item {{ 0 => 1, n if n is int => n * 2, [first, ..] => first, _ => 0 }}
        sum += items.map(|x| x + weight).filter(|x| x > {n}).len()
    }}
    print(\"done {{sum:>8}}\", {{name: \"work{n}\", sum: sum}})
}}\n"
    )
}
