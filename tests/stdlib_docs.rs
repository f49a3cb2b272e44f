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

/// All that the pages list has an example; `tests/docs.rs` runs them.
#[test]
fn everything_has_an_example() {
    let pages = heddle::docs::pages();
    let without: Vec<&str> = pages
        .iter()
        .flat_map(|page| &page.docs)
        .filter(|doc| !doc.text.contains("```heddle\n"))
        .map(|doc| doc.name.as_str())
        .collect();
    assert!(
        without.is_empty(),
        "without an example, in a comment or in stdlib/examples: {}",
        without.join(", ")
    );
}

/// What an example is for is in the library, and has only one.
#[test]
fn every_example_is_of_something() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stdlib/examples");
    let mut strange = Vec::new();
    let pages = heddle::docs::pages();
    for entry in fs::read_dir(&folder).expect("there are examples") {
        let path = entry.expect("the folder can be read").path();
        let text = fs::read_to_string(&path).expect("examples can be read");
        let page = pages
            .iter()
            .find(|page| path.file_stem().is_some_and(|stem| stem == page.name));
        for name in text.lines().filter_map(|line| line.strip_prefix("=== ")) {
            let named = page.into_iter().flat_map(|page| &page.docs);
            let examples: usize = named
                .filter(|doc| doc.name == name)
                .map(|doc| doc.text.matches("```heddle\n").count())
                .sum();
            if examples != 1 {
                strange.push(format!("{name} ({examples})"));
            }
        }
    }
    assert!(
        strange.is_empty(),
        "examples of nothing, or one of several: {}",
        strange.join(", ")
    );
}
