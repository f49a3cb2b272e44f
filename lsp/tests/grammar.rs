//! The TextMate grammar of `editors/vscode`, run over programs by a small engine of its own and compared with the lexer and the layout pass: what they call a keyword, comment,
//! string or number must be one for the grammar, too, and no other word a keyword.

use fancy_regex::Regex;
use heddle_compiler::layout::layout;
use heddle_compiler::lexer::{KEYWORDS, Tok, lex};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("the repository").to_path_buf()
}

fn json(path: &str) -> Value {
    let path = repository().join("editors/vscode").join(path);
    let text = std::fs::read_to_string(&path).expect("the file can be read");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compiling its patterns is what takes time.
static GRAMMAR: LazyLock<Grammar> = LazyLock::new(Grammar::read);

struct Grammar {
    root: Value,
    compiled: HashMap<String, Regex>,
}

/// A rule that has begun.
struct Open<'g> {
    rule: &'g Value,
    end: &'g str,
}

impl Grammar {
    fn read() -> Grammar {
        let root = json("syntaxes/heddle.tmLanguage.json");
        let mut compiled = HashMap::new();
        let mut all = vec![&root];
        while let Some(value) = all.pop() {
            match value {
                Value::Array(items) => all.extend(items),
                Value::Object(entries) => {
                    for name in ["match", "begin", "end"] {
                        if let Some(text) = entries.get(name).and_then(Value::as_str) {
                            let regex = Regex::new(text).unwrap_or_else(|e| panic!("{text}: {e}"));
                            compiled.insert(text.to_string(), regex);
                        }
                    }
                    all.extend(entries.values());
                }
                _ => {}
            }
        }
        Grammar { root, compiled }
    }

    /// Rules that match something, in their order, with those that are included.
    fn rules<'g>(&'g self, patterns: &'g Value, found: &mut Vec<&'g Value>) {
        for pattern in patterns.as_array().into_iter().flatten() {
            if let Some(name) = pattern["include"].as_str() {
                let name = name.strip_prefix('#').expect("rules of this grammar");
                let rule = &self.root["repository"][name];
                assert!(rule.is_object(), "there is no rule {name}");
                match rule.get("match").or(rule.get("begin")) {
                    Some(_) => found.push(rule),
                    None => self.rules(&rule["patterns"], found),
                }
            } else {
                found.push(pattern);
            }
        }
    }

    /// The scopes of each byte.
    fn scopes(&self, text: &str) -> Vec<String> {
        let mut scopes = vec![String::new(); text.len()];
        let mut stack: Vec<Open> = Vec::new();
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            self.line(line, &mut stack, &mut scopes[start..start + line.len()]);
            start += line.len();
        }
        scopes
    }

    fn line<'g>(&'g self, line: &str, stack: &mut Vec<Open<'g>>, scopes: &mut [String]) {
        let body = line.strip_suffix('\n').unwrap_or(line);
        let (mut at, mut stays) = (0, 0);
        // Where each pattern matches next.
        let mut nexts: HashMap<&str, Option<usize>> = HashMap::new();
        loop {
            let (patterns, end) = match stack.last() {
                Some(open) => (&open.rule["patterns"], Some(open.end)),
                None => (&self.root["patterns"], None),
            };
            let mut rules = Vec::new();
            self.rules(patterns, &mut rules);
            // The end of the rule that is open goes before what stands as near.
            let ends = end.map(|end| (end, None));
            let begins = rules.iter().filter_map(|&rule| {
                let text = rule.get("match").or(rule.get("begin"))?.as_str()?;
                Some((text, Some(rule)))
            });
            let mut best: Option<(usize, &str, Option<&Value>)> = None;
            for (text, rule) in ends.into_iter().chain(begins) {
                let next = nexts.entry(text).or_insert(Some(0));
                if next.is_some_and(|next| next <= at) {
                    let found = self.compiled[text].find_from_pos(body, at);
                    *next = found.expect("the pattern can be run").map(|m| m.start());
                }
                let Some(next) = *next else { continue };
                if best.is_none_or(|(start, ..)| next < start) {
                    best = Some((next, text, rule));
                }
            }
            let paint = |scopes: &mut [String], from: usize, to: usize, scope: Option<&str>| {
                for place in &mut scopes[from..to] {
                    *place += " ";
                    *place += scope.unwrap_or_default();
                }
            };
            let around = |stack: &[Open], scopes: &mut [String], from: usize, to: usize| {
                for open in stack {
                    paint(scopes, from, to, open.rule["name"].as_str());
                    paint(scopes, from, to, open.rule["contentName"].as_str());
                }
            };
            let Some((start, text, rule)) = best else {
                around(stack, scopes, at, line.len());
                return;
            };
            let found = self.compiled[text].captures_from_pos(body, start);
            let found = found.expect("the pattern can be run").expect("it matches");
            let whole = found.get(0).expect("it matched");
            around(stack, scopes, at, whole.start());
            let depth = stack.len();
            match rule {
                None => {
                    around(stack, scopes, whole.start(), whole.end());
                    stack.pop();
                }
                Some(rule) => {
                    around(stack, scopes, whole.start(), whole.end());
                    paint(scopes, whole.start(), whole.end(), rule["name"].as_str());
                    let captures = rule.get("captures").or(rule.get("beginCaptures"));
                    for (number, capture) in
                        captures.and_then(Value::as_object).into_iter().flatten()
                    {
                        let number: usize = number.parse().expect("captures have numbers");
                        if let Some(part) = found.get(number) {
                            paint(scopes, part.start(), part.end(), capture["name"].as_str());
                        }
                    }
                    if let Some(end) = rule["end"].as_str() {
                        stack.push(Open { rule, end });
                    }
                }
            }
            let has_moved = whole.end() > at || stack.len() != depth;
            stays = if whole.end() > at { 0 } else { stays + 1 };
            at = whole.end();
            assert!(
                has_moved && stays < 20,
                "a rule matches nothing for ever: {line}"
            );
        }
    }
}

fn is_keyword(scope: &str) -> bool {
    [
        "keyword.control",
        "keyword.other",
        "keyword.operator.word",
        "storage.",
        "constant.language",
    ]
    .iter()
    .any(|part| scope.contains(part))
}

/// What differs between the grammar and the compiler.
fn differences(grammar: &Grammar, name: &str, text: &str) -> Vec<String> {
    let scopes = grammar.scopes(text);
    let lexed = lex(text);
    let mut diagnostics = lexed.diagnostics.clone();
    let tokens = layout(text, &lexed, &mut diagnostics).tokens;
    let comments = lexed
        .tokens
        .iter()
        .filter(|token| token.tok == Tok::Comment);
    let mut wrong = Vec::new();
    for token in tokens.iter().chain(comments) {
        let range = token.span().range();
        if range.is_empty() {
            continue;
        }
        let word = &text[range.clone()];
        let scope = &scopes[range.start];
        let is_right = match token.tok {
            Tok::Comment => scope.contains("comment."),
            Tok::Number => scope.contains("constant.numeric"),
            Tok::Str | Tok::Bytes | Tok::StrHead => {
                let last = &scopes[range.end - 1];
                let inner = &scopes[range.start + (range.len() - 1) / 2];
                [scope, inner, last]
                    .iter()
                    .all(|s| s.contains("string.quoted"))
            }
            Tok::Ident | Tok::Key => !is_keyword(scope) && !scope.contains("comment"),
            Tok::OpName | Tok::Sep => true,
            // `not in` is one token.
            _ if word.split_whitespace().all(|word| KEYWORDS.contains(&word)) => is_keyword(scope),
            _ => !is_keyword(scope) && !scope.contains("comment"),
        };
        if !is_right {
            let line = text[..range.start].matches('\n').count() + 1;
            wrong.push(format!(
                "{name}:{line}: {:?} {word:?} is {scope:?}",
                token.tok
            ));
        }
    }
    wrong
}

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        match path.is_dir() {
            true => programs(&path, found),
            false if path.extension().is_some_and(|e| e == "hd") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn examples_are_read_as_the_compiler_reads_them() {
    let grammar = &*GRAMMAR;
    let mut files = Vec::new();
    for folder in ["examples", "tests/tour"] {
        programs(&repository().join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 20);
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("programs are UTF-8");
        wrong.extend(differences(grammar, &file.display().to_string(), &text));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_keyword_is_known_where_it_is_one() {
    let grammar = &*GRAMMAR;
    let text = r#"
from "./a.hd" import a as b
import fs as f, os
pub let x = 1
local var y = nil
const C = true and not false or x is int
pub gen fn g(a) { for i in a { yield i } }
struct S: T { fn m(self) { return self } }
enum E { A, B }
trait T { fn n(self) }
test "t" { assert x in [1] }
fn f() { defer g(1); loop { if x { break } else { continue } }; while x { } }
let v = match x { 1 => do { 2 }, _ => throw Error("x") }
let w = try { scope { spawn f() } } catch e { 1 }
let z = select { m = c.recv() => m, after 1s => thread f() }
threadlet f()
"#;
    let lexed = lex(text);
    let mut diagnostics = Vec::new();
    let tokens = layout(text, &lexed, &mut diagnostics).tokens;
    for word in KEYWORDS {
        let is_there = tokens.iter().any(|token| {
            &text[token.span().range()] == *word && !matches!(token.tok, Tok::Ident | Tok::Key)
        });
        assert!(is_there, "{word} is missing in the text");
    }
    let wrong = differences(grammar, "keywords", text);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_that_are_names() {
    let grammar = &*GRAMMAR;
    for text in [
        "let from = 1\nlet after = from + 1\nlet test = after\nprint(test, from)\n",
        "m.from; m.if(1); x?.in\n",
        "let m = {in: 1, if: 2, \"a\": 3}\n",
        "fn match(self) { }\n",
        "struct A { fn +(self, o) { o }\n fn []=(self, i, v) { } }\n",
        "for i in 0..n { }\n",
        "let s = \"a {f(h: \"b {x:>8.2}\")} {m[\"k\"]} \\{ c\"; let t = r'\\' + b'\\x00'\n",
        "let u = '{\"json\": true}'; let v = \"\"\"\n  if {x} not\n\"\"\" + '''\nlet\n'''\nlet w = 250ms + 0xff\n",
        "let a1 = x.y1 + ifs + _if + ifé\n",
    ] {
        let wrong = differences(grammar, text, text);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn the_extension_names_what_is_there() {
    let package = json("package.json");
    let language = &package["contributes"]["languages"][0];
    assert_eq!(language["extensions"][0], ".hd");
    assert_eq!(
        package["contributes"]["grammars"][0]["scopeName"],
        GRAMMAR.root["scopeName"]
    );
    for path in [
        &language["configuration"],
        &package["contributes"]["grammars"][0]["path"],
        &package["main"],
    ] {
        let path = path.as_str().expect("a path");
        assert!(
            repository().join("editors/vscode").join(path).is_file(),
            "{path}"
        );
    }
    assert_eq!(
        json("language-configuration.json")["comments"]["lineComment"],
        "#"
    );
}
