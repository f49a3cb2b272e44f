//! What the library's own tables and sources say of each function: for `:doc`, for editors, and for the pages in `docs/stdlib`.
//!
//! Examples stand in `##` comments of the sources, or in `examples/MODULE.txt`: behind a line `=== NAME` the program, and perhaps, behind lines
//! `--- input` and `--- output`, what it reads, and all that it writes if that is not in `# prints` comments.

use crate::packed;
use heddle_vm::native::{Class, LibrarySource, NativeDef};
use std::collections::HashMap;
use std::fmt::Write as _;

/// A function, method, type or constant of the library.
#[derive(Clone, Debug)]
pub struct Doc {
    /// `fs.read`, `File.read`, `print`.
    pub name: String,
    /// `fs.read(path)`
    pub signature: String,
    /// Nothing for what is no function.
    pub class: Option<Class>,
    /// What it throws, besides TypeError for arguments of wrong types.
    pub throws: Vec<String>,
    pub text: String,
}

/// What a module offers, or the prelude.
#[derive(Clone, Debug)]
pub struct Page {
    /// `fs`; `prelude`: what every program sees without an import.
    pub name: &'static str,
    pub docs: Vec<Doc>,
}

/// All pages, by name.
pub fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = crate::modules()
        .iter()
        .map(|module| {
            let tables = [module.functions];
            page(module.name, &tables, module.source)
        })
        .collect();
    let prelude = crate::prelude();
    pages.push(page("prelude", prelude.natives, Some(prelude.source)));
    pages.sort_by_key(|page| page.name);
    add_examples(&mut pages, &packed::examples());
    pages
}

/// Puts the examples into the descriptions, as blocks like those of `##` comments.
fn add_examples(pages: &mut [Page], examples: &str) {
    let mut examples_of: HashMap<(&str, &str), &str> = HashMap::new();
    let mut module = "";
    for part in examples.split("\n=== ").skip(1) {
        let (name, program) = part.split_once('\n').unwrap_or((part, ""));
        match name.strip_suffix(':') {
            Some(next) => module = next,
            None => _ = examples_of.insert((module, name), program),
        }
    }
    for page in pages {
        for doc in &mut page.docs {
            if let Some(example) = examples_of.get(&(page.name, doc.name.as_str())) {
                let blocks = example
                    .replace("\n--- input\n", "\n```\n```input\n")
                    .replace("\n--- output\n", "\n```\n```output\n");
                let _ = write!(doc.text, "\n```heddle\n{blocks}\n```");
            }
        }
    }
}

/// What is known of a name: `fs.read`, `list.map`, `print`; of the name of a method or function alone, all that are called so.
pub fn find(name: &str) -> Vec<Doc> {
    let all: Vec<Doc> = pages().into_iter().flat_map(|page| page.docs).collect();
    let exact: Vec<Doc> = all.iter().filter(|doc| doc.name == name).cloned().collect();
    if !exact.is_empty() {
        return exact;
    }
    let is_called = |doc: &&Doc| doc.name.rsplit('.').next() == Some(name);
    all.iter().filter(is_called).cloned().collect()
}
/// `; did you mean 'fs.read'?`, for a name that is not known.
pub fn did_you_mean(name: &str) -> String {
    let names: Vec<String> = pages()
        .into_iter()
        .flat_map(|page| page.docs)
        .map(|doc| doc.name)
        .collect();
    heddle_vm::error::did_you_mean(name, names.iter().map(String::as_str))
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Plain => "plain",
        Class::Suspending => "suspending",
        Class::Blocking => "blocking",
    }
}

impl Doc {
    /// `blocking; throws IoError, ValueError`
    pub fn facts(&self) -> String {
        let mut facts: Vec<String> = self
            .class
            .map(|c| class_name(c).into())
            .into_iter()
            .collect();
        if !self.throws.is_empty() {
            facts.push(format!("throws {}", self.throws.join(", ")));
        }
        facts.join("; ")
    }
    /// For a terminal.
    pub fn plain_text(&self) -> String {
        let mut text = format!("{}\n", self.signature);
        let facts = self.facts();
        if !facts.is_empty() {
            let _ = writeln!(text, "  {facts}");
        }
        for line in self.text.lines() {
            let shown = match line {
                "```input" => "reads:",
                "```output" => "writes:",
                fence if fence.starts_with("```") => continue,
                line => line,
            };
            let _ = writeln!(text, "  {shown}");
        }
        text
    }
}

impl Page {
    /// As it stands in `docs/stdlib`.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.name);
        text += "Made from the library's tables by `HEDDLE_BLESS=1 cargo test -p heddle-cli --test stdlib_docs`. ";
        text += "*Plain* functions never wait, *suspending* ones park the task, *blocking* ones hold an OS thread: see [blocking.md](../blocking.md).\n";
        for doc in &self.docs {
            let _ = write!(text, "\n## `{}`\n\n", doc.signature);
            let facts = doc.facts();
            if !facts.is_empty() {
                let _ = write!(text, "*{facts}*\n\n");
            }
            text += &doc.text;
            text.push('\n');
        }
        text
    }
}

fn page(
    name: &'static str,
    tables: &[&'static [NativeDef]],
    source: Option<LibrarySource>,
) -> Page {
    let natives = || tables.iter().flat_map(|table| table.iter());
    let mut docs: Vec<Doc> = natives()
        .filter(|def| is_public(def))
        .map(of_native)
        .collect();
    let mut classes: HashMap<String, Class> = natives()
        .map(|def| (def.short_name().to_string(), def.class))
        .collect();
    let module = if name == "prelude" { "" } else { name };
    let source = source.map_or_else(String::new, packed::text);
    docs.extend(of_source(module, &source, &mut classes));
    Page { name, docs }
}

fn is_public(def: &NativeDef) -> bool {
    !def.doc.is_empty() && !def.name.contains("__")
}

fn of_native(def: &NativeDef) -> Doc {
    let is_method = def.params.first() == Some(&"self");
    let params: Vec<&str> = def.params[usize::from(is_method)..].to_vec();
    let signature = if def.property {
        def.name.to_string()
    } else {
        format!("{}({})", def.name, params.join(", "))
    };
    let text = def.doc.lines().map(said_by).collect::<Vec<_>>().join("\n");
    Doc {
        name: def.name.to_string(),
        signature,
        class: Some(def.class),
        throws: thrown_by(&text),
        text,
    }
}

/// A line of a description; examples keep their indentation.
fn said_by(line: &str) -> String {
    line.strip_prefix(' ')
        .unwrap_or(line)
        .trim_end()
        .to_string()
}

/// The kinds of errors that a description names behind "Throws".
fn thrown_by(text: &str) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("hrows ") {
        let sentence = text[at..].split(". ").next().unwrap_or_default();
        for word in sentence.split(|c: char| !c.is_alphanumeric()) {
            let is_kind = word.ends_with("Error") && word.len() > "Error".len()
                || matches!(
                    word,
                    "Timeout" | "Cancelled" | "StopIteration" | "ChannelClosed"
                );
            if is_kind && !kinds.iter().any(|kind| kind == word) {
                kinds.push(word.to_string());
            }
        }
    }
    kinds
}

/// A declaration in a module's source.
struct Declared {
    name: String,
    signature: String,
    text: Vec<String>,
    is_function: bool,
    is_public: bool,
    /// The lines of its body, for what it calls.
    body: String,
}

/// What a line declares: its kind, and the rest from the name on.
fn declaration(line: &str) -> Option<(&'static str, &str)> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("gen ").unwrap_or(line);
    ["fn", "struct", "enum", "const", "let"]
        .into_iter()
        .find_map(|kind| Some((kind, line.strip_prefix(kind)?.strip_prefix(' ')?)))
}

/// The declarations of a source and what `##` says of them. A class is that of what a function calls, by name.
fn of_source(module: &str, source: &str, classes: &mut HashMap<String, Class>) -> Vec<Doc> {
    let mut declared: Vec<Declared> = Vec::new();
    let mut text: Vec<String> = Vec::new();
    let mut owner = String::new();
    for line in source.lines() {
        let inner = line.trim_start();
        let is_inside = inner.len() < line.len();
        if let Some(said) = inner.strip_prefix("##") {
            text.push(said_by(said));
            continue;
        }
        let found =
            declaration(inner).filter(|(kind, _)| !is_inside || *kind == "fn" && !owner.is_empty());
        let Some((kind, rest)) = found else {
            if let Some(last) = declared.last_mut() {
                last.body.push_str(line);
                last.body.push('\n');
            }
            text.clear();
            continue;
        };
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let short = &rest[..end.unwrap_or(rest.len())];
        let params = match rest[short.len()..].strip_prefix('(') {
            Some(params) if kind == "fn" => Some(closed(params)),
            _ => None,
        };
        if !is_inside {
            owner = if matches!(kind, "struct" | "enum") {
                short.to_string()
            } else {
                String::new()
            };
        }
        let qualified = if is_inside {
            format!("{owner}.{short}")
        } else if let Some((ty, method)) = short.split_once("__").filter(|(ty, _)| !ty.is_empty()) {
            format!("{ty}.{method}")
        } else if module.is_empty() || matches!(kind, "struct" | "enum") {
            short.to_string()
        } else {
            format!("{module}.{short}")
        };
        let signature = match params {
            Some(params) => {
                let params = params.strip_prefix("self").unwrap_or(params);
                format!("{qualified}({})", params.trim_start_matches(", "))
            }
            None if matches!(kind, "struct" | "enum") => format!("{kind} {qualified}"),
            None => qualified.clone(),
        };
        declared.push(Declared {
            name: qualified,
            signature,
            text: std::mem::take(&mut text),
            is_function: kind == "fn",
            is_public: is_inside || inner.starts_with("pub ") || module.is_empty(),
            body: format!("{}\n", &rest[short.len()..]),
        });
    }
    // As long as something is learnt: functions may stand in any order.
    loop {
        let mut has_changed = false;
        for function in declared.iter().filter(|d| d.is_function) {
            let short = function
                .name
                .rsplit('.')
                .next()
                .unwrap_or_default()
                .to_string();
            let class = called(&function.body, classes);
            if classes
                .get(&short)
                .is_none_or(|known| rank(*known) < rank(class))
            {
                classes.insert(short, class);
                has_changed = true;
            }
        }
        if !has_changed {
            break;
        }
    }
    let described = declared
        .iter()
        .filter(|d| d.is_public && !d.text.is_empty());
    described
        .map(|d| {
            let text = d.text.join("\n");
            Doc {
                name: d.name.clone(),
                signature: d.signature.clone(),
                class: d.is_function.then(|| called(&d.body, classes)),
                throws: thrown_by(&text),
                text,
            }
        })
        .collect()
}

/// The parameters up to the closing bracket.
fn closed(params: &str) -> &str {
    let mut depth = 0;
    let end = params.find(|c| {
        depth += i32::from(matches!(c, '(' | '[' | '{')) - i32::from(matches!(c, ')' | ']' | '}'));
        depth < 0
    });
    &params[..end.unwrap_or(params.len())]
}

fn rank(class: Class) -> u8 {
    match class {
        Class::Plain => 0,
        Class::Suspending => 1,
        Class::Blocking => 2,
    }
}

/// The class of a body: that of what it calls, the most of them.
fn called(body: &str, classes: &HashMap<String, Class>) -> Class {
    let mut most = Class::Plain;
    let words = body.split(|c: char| !c.is_alphanumeric() && c != '_');
    let mut at = 0;
    for word in words {
        let follows = body[at + word.len()..].starts_with('(');
        // That of texts has a separator.
        let is_joined = body[at + word.len()..].starts_with("()");
        at += word.len()
            + body[at + word.len()..]
                .chars()
                .next()
                .map_or(0, char::len_utf8);
        let class = match word {
            "sleep" | "recv" | "scope" | "yield" if follows || word == "scope" => Class::Suspending,
            // In front of a bracket that follows nothing.
            "" => Class::Plain,
            "join" if is_joined => Class::Suspending,
            "join" => Class::Plain,
            _ if follows => classes.get(word).copied().unwrap_or(Class::Plain),
            _ => Class::Plain,
        };
        if rank(class) > rank(most) {
            most = class;
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(name: &str) -> Doc {
        let found = find(name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found[0].clone()
    }

    #[test]
    fn natives_are_known_with_class_and_errors() {
        let read = doc("fs.read");
        assert_eq!(read.signature, "fs.read(path)");
        assert_eq!(read.class, Some(Class::Blocking));
        assert_eq!(read.throws, ["IoError", "ValueError"]);
        assert_eq!(doc("File.read_line").signature, "File.read_line()");
        assert_eq!(doc("print").class, Some(Class::Plain));
    }
    #[test]
    fn functions_in_heddle_have_the_class_of_what_they_call() {
        assert_eq!(doc("fs.metadata").class, Some(Class::Blocking));
        assert_eq!(doc("fs.join").class, Some(Class::Plain));
        assert_eq!(
            doc("fs.metadata").signature,
            "fs.metadata(path, follow = true)"
        );
        #[cfg(target_os = "linux")]
        {
            assert_eq!(doc("process.run").class, Some(Class::Blocking));
            assert_eq!(doc("Process.wait").class, Some(Class::Suspending));
            assert!(doc("process.run").throws.contains(&"Timeout".to_string()));
        }
    }
    #[test]
    fn short_names_find_all_that_are_called_so() {
        assert!(find("read_line").len() > 1);
        assert!(find("no_such_name").is_empty());
        assert_eq!(did_you_mean("fs.raed"), "; did you mean 'fs.read'?");
    }
    #[test]
    fn every_blocking_function_says_what_it_does() {
        for module in crate::modules() {
            for def in module.functions {
                let is_named = !def.name.contains("__");
                assert!(
                    !is_named || !def.doc.is_empty(),
                    "{} has no description",
                    def.name
                );
            }
        }
    }
}
