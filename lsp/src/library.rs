//! What is said of the standard library, found by name.

use heddle::docs::Doc;
use heddle::tools;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// The library's pages, read once.
pub(crate) struct Library {
    docs: BTreeMap<String, Doc>,
    tools: RefCell<tools::Library>,
    pub(crate) names: Vec<String>,
    exports: RefCell<HashMap<String, Vec<String>>>,
}

/// Types that also have what another has.
const MORE: &[(&str, &str)] = &[
    ("generator", "iterator"),
    ("range", "iterator"),
    ("tuple", "list"),
    ("set", "list"),
    ("list", "iterator"),
];

/// What every error has.
pub(crate) const ERROR_FIELDS: [&str; 5] = ["message", "kind", "data", "cause", "trace"];

impl Library {
    pub(crate) fn new() -> Library {
        let tools = tools::Library::new();
        let pages = heddle::docs::pages();
        let docs = pages.into_iter().flat_map(|page| page.docs);
        Library {
            docs: docs.map(|doc| (doc.name.clone(), doc)).collect(),
            names: tools.names().to_vec(),
            tools: RefCell::new(tools),
            exports: RefCell::default(),
        }
    }

    /// `print`, `fs.read`, `list.map`.
    pub(crate) fn doc(&self, name: &str) -> Option<&Doc> {
        self.docs.get(name)
    }

    /// Of a type's method, its own or of a type whose methods it has, too.
    pub(crate) fn method(&self, of: &str, name: &str) -> Option<&Doc> {
        let mut of = of;
        for _ in 0..3 {
            if let Some(doc) = self.docs.get(&format!("{of}.{name}")) {
                return Some(doc);
            }
            of = MORE.iter().find(|(ty, _)| *ty == of)?.1;
        }
        None
    }

    /// What values of a type have: names and what is said of them.
    pub(crate) fn methods(&self, of: &str) -> Vec<(&str, &Doc)> {
        let mut found: Vec<(&str, &Doc)> = Vec::new();
        let mut of = of;
        loop {
            let prefix = format!("{of}.");
            for (name, doc) in self.docs.range(prefix.clone()..) {
                let Some(short) = name.strip_prefix(&prefix) else {
                    break;
                };
                if is_name(short) && !found.iter().any(|(known, _)| *known == short) {
                    found.push((short, doc));
                }
            }
            match MORE.iter().find(|(ty, _)| *ty == of && *ty != "list") {
                Some((_, next)) => of = next,
                None => return found,
            }
        }
    }

    /// All methods, of whatever type, that are called so.
    pub(crate) fn called(&self, name: &str) -> Vec<&Doc> {
        let modules = self.modules();
        let is_method = |doc: &&Doc| {
            doc.name
                .split_once('.')
                .is_some_and(|(of, short)| short == name && !modules.contains(&of))
        };
        self.docs.values().filter(is_method).collect()
    }

    /// All names of methods, sorted.
    pub(crate) fn all_methods(&self) -> Vec<&str> {
        let modules = self.modules();
        let short = self.docs.keys().filter_map(|name| {
            let (of, short) = name.split_once('.')?;
            (!modules.contains(&of) && is_name(short)).then_some(short)
        });
        let mut all: Vec<&str> = short.collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(crate) fn modules(&self) -> Vec<&'static str> {
        self.tools.borrow().modules()
    }

    pub(crate) fn no_such_module(&self, name: &str) -> tools::NoModule {
        self.tools.borrow().no_such_module(name)
    }

    /// What a standard module exports.
    pub(crate) fn exports(&self, module: &str) -> Vec<String> {
        if let Some(known) = self.exports.borrow().get(module) {
            return known.clone();
        }
        let mut found = self.tools.borrow_mut().exports(module);
        found.sort();
        found.dedup();
        self.exports
            .borrow_mut()
            .insert(module.into(), found.clone());
        found
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && !text.starts_with("__")
}

/// What is said of a function, as Markdown.
pub(crate) fn markdown(doc: &Doc) -> String {
    let mut text = format!("```heddle\n{}\n```\n", doc.signature);
    let facts = doc.facts();
    if !facts.is_empty() {
        text += &format!("*{facts}*\n\n");
    }
    text + doc.text.trim()
}
