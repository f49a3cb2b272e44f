//! docs/errors.md, which `heddle explain` shows: every code has its section, and its examples are what they say.

use heddle::Engine;
use heddle_compiler::codes::CODES;

const PAGE: &str = include_str!("../docs/errors.md");

/// The blocks of a section that are fenced with this word.
fn blocks<'a>(section: &'a str, kind: &str) -> Vec<&'a str> {
    let fence = format!("```{kind}\n");
    let parts = section.split(fence.as_str()).skip(1);
    parts
        .map(|part| part.split("```").next().unwrap_or(part))
        .collect()
}

fn codes_of(source: &str) -> Vec<&'static str> {
    let mut engine = Engine::new();
    let found = match engine.check_bytes("example.hd", source.as_bytes()) {
        Ok(warnings) => warnings,
        Err(error) => error.findings().to_vec(),
    };
    found.iter().map(|found| found.diagnostic.code).collect()
}

#[test]
fn every_code_is_explained() {
    let heads: Vec<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let expected: Vec<String> = CODES
        .iter()
        .map(|(code, meaning)| format!("{code}: {meaning}"))
        .collect();
    assert_eq!(heads, expected);
    for (code, _) in CODES {
        let section = heddle::explain(code).expect("it has a section");
        assert!(section.starts_with(&format!("## {code}")), "{section}");
        assert!(!section.contains("\n## "), "{section}");
    }
    assert!(heddle::explain("E9999").is_none() && heddle::explain("").is_none());
}

#[test]
fn examples_are_what_they_say() {
    let mut faults = Vec::new();
    for (code, _) in CODES {
        let section = heddle::explain(code).expect("it has a section");
        let (wrong, mended) = (blocks(section, "wrong"), blocks(section, "mended"));
        assert_eq!(wrong.len(), mended.len(), "{code}");
        for source in wrong {
            let found = codes_of(source);
            if found.first() != Some(code) {
                faults.push(format!("{code}, wrong: {found:?}\n{source}"));
            }
        }
        for source in mended {
            let found = codes_of(source);
            if !found.is_empty() {
                faults.push(format!("{code}, mended: {found:?}\n{source}"));
            }
            match heddle::format("example.hd", source.as_bytes()) {
                Ok(text) if text == source => {}
                other => faults.push(format!("{code}, not in the style: {other:?}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
