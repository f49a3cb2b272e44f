//! The pages in `docs/stdlib` are what the library's tables say. `HEDDLE_BLESS=1` writes them anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn pages_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/stdlib");
    let is_blessing = std::env::var_os("HEDDLE_BLESS").is_some();
    if is_blessing {
        fs::create_dir_all(&folder).expect("the folder can be made");
    }
    let mut index = String::from("# The standard library\n\n");
    let mut pages: Vec<(String, String)> = Vec::new();
    for page in heddle::docs::pages() {
        let file = format!("{}.md", page.name);
        index += &format!("- [{}]({file}): {} entries\n", page.name, page.docs.len());
        pages.push((file, page.markdown()));
    }
    pages.push(("README.md".into(), index));
    let mut stale = Vec::new();
    for (file, wanted) in &pages {
        let path = folder.join(file);
        if fs::read_to_string(&path).is_ok_and(|text| text == *wanted) {
            continue;
        }
        if is_blessing {
            fs::write(&path, wanted).expect("a page can be written");
        } else {
            stale.push(file.clone());
        }
    }
    let known: BTreeSet<&str> = pages.iter().map(|(file, _)| file.as_str()).collect();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !known.contains(name.as_str()) {
            stale.push(format!("{name} (there is no such module)"));
        }
    }
    assert!(
        stale.is_empty(),
        "out of date in docs/stdlib: {}; HEDDLE_BLESS=1 cargo test -p heddle-cli --test stdlib_docs writes them",
        stale.join(", ")
    );
}

/// Modules whose descriptions have no examples; those of docs/reference.md are run.
const WITHOUT_EXAMPLES: &[&str] = &[
    "base64", "blocking", "csv", "fs", "http", "io", "math", "net", "os", "prelude", "process",
    "random", "regex", "runtime", "test", "text", "time",
];

/// `tests/docs.rs` runs them.
#[test]
fn functions_have_examples() {
    let mut without = Vec::new();
    for page in heddle::docs::pages() {
        if WITHOUT_EXAMPLES.contains(&page.name) {
            continue;
        }
        let functions = page.docs.iter().filter(|doc| doc.class.is_some());
        without.extend(
            functions
                .filter(|doc| !doc.text.contains("```heddle\n"))
                .map(|doc| doc.name.clone()),
        );
    }
    assert!(
        without.is_empty(),
        "without an example: {}",
        without.join(", ")
    );
}
