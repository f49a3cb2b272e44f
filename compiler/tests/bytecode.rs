//! The bytecode of small programs, compared with golden listings: `tests/bytecode/NAME.hd` and `NAME.txt`.
//! `HEDDLE_BLESS=1 cargo test -p heddle-compiler --test bytecode` writes them anew; read the difference before committing it.

mod support;

use heddle_bytecode::{dis::listing, verify::verify};
use std::path::Path;
use support::{compile_with, options};

#[test]
fn golden_listings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bytecode");
    let is_blessing = std::env::var_os("HEDDLE_BLESS").is_some();
    let mut differing = Vec::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the folder of programs") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "hd") {
            continue;
        }
        count += 1;
        let source = std::fs::read_to_string(&path).expect("a readable program");
        let (module, diagnostics) = compile_with(&source, &options());
        let errors: Vec<_> = diagnostics
            .iter()
            .filter(|found| found.is_error())
            .collect();
        let module = module.unwrap_or_else(|| panic!("{}: {errors:?}", path.display()));
        assert_eq!(verify(&module, false), Ok(()), "{}", path.display());
        let found = listing(&module);
        let golden = path.with_extension("txt");
        if is_blessing {
            std::fs::write(&golden, found).expect("a writable folder");
        } else if std::fs::read_to_string(&golden)
            .unwrap_or_default()
            .replace('\r', "")
            != found
        {
            println!("{found}");
            differing.push(path);
        }
    }
    assert!(count >= 10, "programs in {}", folder.display());
    assert!(
        differing.is_empty(),
        "other code than in the golden listings: {differing:?}"
    );
}

/// Every program that the repository holds compiles to code that the verifier accepts, wherever it compiles at all.
#[test]
fn programs_of_the_repository_verify() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pending = ["tests/scripts", "examples", "benches/heddle"]
        .map(|folder| root.join(folder))
        .to_vec();
    let mut compiled = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a readable folder");
            pending.extend(entries.map(|entry| entry.expect("a readable folder").path()));
        } else if path.extension().is_some_and(|extension| extension == "hd") {
            let Ok(source) = std::fs::read_to_string(&path) else {
                continue;
            };
            let (module, _) = compile_with(&source, &options());
            if let Some(module) = module {
                assert_eq!(verify(&module, false), Ok(()), "{}", path.display());
                compiled += 1;
            }
        }
    }
    assert!(compiled >= 10, "only {compiled} programs compiled");
}

fn register_count(source: &str) -> u32 {
    let (module, diagnostics) = compile_with(source, &options());
    let module = module.unwrap_or_else(|| panic!("{diagnostics:?}"));
    assert_eq!(verify(&module, false), Ok(()));
    module
        .protos
        .iter()
        .map(|proto| proto.registers)
        .max()
        .expect("a body")
}

#[test]
fn large_literals_need_few_registers() {
    let numbers = (0..5000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    assert!(register_count(&format!("let xs = [{numbers}]")) < 60);
    assert!(register_count(&format!("let xs = ({numbers})")) < 60);
    let entries = (0..5000)
        .map(|n| format!("k{n}: {n}"))
        .collect::<Vec<_>>()
        .join(", ");
    assert!(register_count(&format!("let m = {{{entries}}}")) < 10);
    let parts = "{x}-".repeat(500);
    assert!(register_count(&format!("let x = str(1)\nlet s = \"{parts}\"")) < 60);
}

#[test]
fn many_top_level_names_do_not_run_out_of_registers() {
    let names: String = (0..2000)
        .map(|n| format!("var v{n} = str({n})\nv{n} = v{n} + \"\"\n"))
        .collect();
    assert!(register_count(&names) < 200);
}

#[test]
fn too_many_variables_in_a_function_are_an_error() {
    let names: String = (0..300).map(|n| format!("let v{n} = str({n})\n")).collect();
    let uses = (0..300)
        .map(|n| format!("v{n}"))
        .collect::<Vec<_>>()
        .join(" + ");
    let (module, diagnostics) = compile_with(&format!("fn f() {{\n{names}{uses}\n}}"), &options());
    assert!(module.is_none());
    assert_eq!(diagnostics[0].code, "E0211");
}

/// Some instructions name constants in 16 bits: they find room behind any number of others.
#[test]
fn tests_of_types_and_ranges_behind_many_constants() {
    let words = |count: u32| {
        let words = (0..count).map(|n| format!("\"w{n}\", "));
        words.collect::<String>()
    };
    let tests =
        "print(x is int, x is S)\nmatch x { 1..5 => 1, S(y) => y, Error(_) => 3, _ => 2 }\n";
    // Around the place where what is kept begins, around 16 bits, and behind both.
    for count in [
        0xdffd, 0xdffe, 0xdfff, 0xe000, 0xe001, 0xfffe, 0x10000, 70_000,
    ] {
        let words = words(count);
        let source = format!("let x = [{words}]\nlet s = S\n{tests}{tests}struct S {{ a }}\n");
        let (module, diagnostics) = compile_with(&source, &options());
        let module = module.unwrap_or_else(|| panic!("{count}: {diagnostics:?}"));
        assert_eq!(verify(&module, false), Ok(()), "{count}");
    }
    let ranges = (0..9000).map(|n| format!("{n}..{} => 1\n", n + 2));
    let ranges = ranges.collect::<String>();
    let source = format!("let x = [{}]\nmatch x {{ {ranges} _ => 2 }}", words(70_000));
    let (module, diagnostics) = compile_with(&source, &options());
    assert!(module.is_none());
    assert_eq!(diagnostics[0].code, "E0211");
    let label = diagnostics[0].label.as_deref();
    assert!(label.is_some_and(|label| label.contains("ranges")));
}
