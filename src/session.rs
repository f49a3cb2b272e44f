//! An interactive session: inputs one after the other, each seeing the names of those before it. It knows nothing of terminals.
//!
//! Each input is a module of its own whose top-level names are exported. What an input declares is remembered with the
//! module it came from; imports are remembered as text and put behind later inputs that mention their names.

use crate::engine::Engine;
use crate::error::Error;
use crate::loader::Mode;
use heddle_compiler::ast::{Ast, ImportPath, StmtKind};
use heddle_compiler::compile::module_stem;
use heddle_compiler::{Completeness, ReplName};
use heddle_vm::bytecode::ModuleRef;
use heddle_vm::module::Slot;

/// An interactive session.
///
/// ```
/// let mut session = heddle::Session::new(heddle::Engine::new());
/// assert_eq!(session.run("let name = 'loom'")?, None);
/// assert_eq!(session.run("name.upper()")?.as_deref(), Some("\"LOOM\""));
/// # Ok::<(), heddle::Error>(())
/// ```
pub struct Session {
    engine: Engine,
    names: Vec<ReplName>,
    imports: Vec<Import>,
}

/// An import that later inputs see.
struct Import {
    /// The name it declares.
    name: String,
    /// The statement that declares just this name.
    text: String,
}

impl Session {
    /// A session in which nothing was said yet.
    pub fn new(engine: Engine) -> Session {
        Session {
            engine,
            names: Vec::new(),
            imports: Vec::new(),
        }
    }
    /// The engine that runs the inputs.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }
    /// Whether more lines are needed before the text can be run.
    pub fn is_incomplete(text: &str) -> bool {
        heddle_compiler::completeness(text) == Completeness::Incomplete
    }
    /// The names that inputs have declared, oldest first, for completion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let imports = self.imports.iter().map(|i| i.name.as_str());
        self.names.iter().map(|n| n.name.as_str()).chain(imports)
    }

    /// Runs an input; gives the `repr` of its value unless that is nil.
    pub fn run(&mut self, text: &str) -> Result<Option<String>, Error> {
        let value = self.value(text)?;
        if value.is_nil() {
            return Ok(None);
        }
        self.engine.apply_prelude("repr", value).map(Some)
    }
    /// Runs an input; gives the type of its value.
    pub fn type_of(&mut self, text: &str) -> Result<String, Error> {
        let value = self.value(text)?;
        self.engine.apply_prelude("type", value)
    }

    fn value(&mut self, text: &str) -> Result<heddle_vm::Value, Error> {
        let (ast, found) = heddle_compiler::parse(text);
        let mut whole = text.to_string();
        let mut imports = Vec::new();
        if !found.iter().any(heddle_compiler::Diagnostic::is_error) {
            imports = imports_of(&ast, text);
            let is_new = |name: &str| imports.iter().any(|i| i.name == name);
            for import in &self.imports {
                if mentions(text, &import.name) && !is_new(&import.name) {
                    whole.push('\n');
                    whole.push_str(&import.text);
                }
            }
        }
        let (key, source) = self.engine.text("<repl>", whole.as_bytes());
        let mode = Mode {
            is_test: false,
            repl_scope: Some(&self.names),
        };
        let program = self.engine.loader.load(key.clone(), source, mode)?;
        let (_, linked) = program
            .modules
            .last()
            .expect("a program has a main module")
            .clone();
        let result = self.engine.run_program(program);
        // What was declared before an error stays.
        self.engine
            .loader
            .loaded
            .insert(key.clone(), linked.clone());
        let ModuleRef::File(module) = key else {
            unreachable!("inputs are texts")
        };
        for name in self.engine.thread.export_names(&linked) {
            if self.engine.thread.exported(&linked, &name).is_none() {
                continue;
            }
            let symbol = self.engine.loader.engine.symbol(&name);
            let is_var = matches!(linked.names.get(&symbol), Some((Slot::Var(_), _)));
            self.names.retain(|n| n.name != name);
            self.imports.retain(|i| i.name != name);
            self.names.push(ReplName {
                name,
                module: module.to_string(),
                is_var,
            });
        }
        for import in imports {
            self.names.retain(|n| n.name != import.name);
            self.imports.retain(|i| i.name != import.name);
            self.imports.push(import);
        }
        result.map(|(_, value)| value)
    }
}

/// The imports at the top level of an input, one per name.
fn imports_of(ast: &Ast, text: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    let path_text = |path: &ImportPath| match path {
        ImportPath::Std(ident) => ast.name(ident.name).to_string(),
        ImportPath::File(_, span) => text[span.start as usize..span.end as usize].to_string(),
    };
    for &id in &ast.root.stmts {
        match &ast.stmt(id).kind {
            StmtKind::Import(items) => {
                for item in items {
                    let path = path_text(&item.path);
                    let name = match (&item.alias, &item.path) {
                        (Some(alias), _) => ast.name(alias.name).to_string(),
                        (None, ImportPath::Std(_)) => path.clone(),
                        (None, ImportPath::File(file, _)) => {
                            module_stem(file).unwrap_or_default().to_string()
                        }
                    };
                    let text = format!("import {path} as {name}");
                    imports.push(Import { name, text });
                }
            }
            StmtKind::From { path, names } => {
                for (original, alias) in names {
                    let original = ast.name(original.name);
                    let name = alias.map_or(original, |a| ast.name(a.name)).to_string();
                    let text = format!("from {} import {original} as {name}", path_text(path));
                    imports.push(Import { name, text });
                }
            }
            _ => {}
        }
    }
    imports
}

/// Whether a name occurs in a text as a word.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs inputs and gives what is shown of each: the value, `-`, or the kind of the error.
    fn shown(inputs: &[&str]) -> Vec<String> {
        let mut session = Session::new(Engine::builder().output(std::io::sink()).build());
        inputs.iter().map(|text| show(session.run(text))).collect()
    }
    fn show(result: Result<Option<String>, Error>) -> String {
        match result {
            Ok(value) => value.unwrap_or_else(|| "-".into()),
            Err(error) => error.kind().to_string(),
        }
    }

    #[test]
    fn inputs_see_earlier_names() {
        let inputs = [
            "let a = 20",
            "fn f(x) { a + x }",
            "f(22)",
            "var n = 1",
            "n += 1",
            "fn bump() { n += 1; n }",
            "bump()",
            "n",
            "struct Point { x, y }",
            "Point(1, 2)",
            "[Point(1, 2) is Point, nil]",
        ];
        let expected = [
            "-",
            "-",
            "42",
            "-",
            "-",
            "-",
            "3",
            "3",
            "-",
            "Point(x: 1, y: 2)",
            "[true, nil]",
        ];
        assert_eq!(shown(&inputs), expected);
    }
    #[test]
    fn names_may_be_declared_again() {
        assert_eq!(
            shown(&["let a = 1", "let a = a + 1", "a", "fn a() { 5 }", "a()"]),
            ["-", "-", "2", "-", "5"]
        );
    }
    #[test]
    fn errors_do_not_end_the_session() {
        let inputs = [
            "1 +",
            "nope",
            "throw ValueError('x')",
            "let a = 5; throw KeyError('y')",
            "a",
        ];
        assert_eq!(
            shown(&inputs),
            ["SyntaxError", "SyntaxError", "ValueError", "KeyError", "5"]
        );
    }
    #[test]
    fn a_failed_declaration_leaves_the_older_one() {
        assert_eq!(
            shown(&["let a = 1", "let a = [][0]", "a"]),
            ["-", "IndexError", "1"]
        );
    }
    #[test]
    fn imports_stay() {
        let inputs = [
            "import math",
            "math.floor(2.5)",
            "from math import ceil as up",
            "up(2.5)",
            "let math = 3",
            "math",
        ];
        assert_eq!(shown(&inputs), ["-", "2", "-", "3", "-", "3"]);
    }
    #[test]
    fn the_value_is_that_of_the_last_statement() {
        assert_eq!(
            shown(&[
                "1; 2",
                "let a = 1",
                "if a == 1 { 'one' }",
                "for i in 0..3 { i }",
                ""
            ]),
            ["2", "-", "\"one\"", "-", "-"]
        );
    }
    #[test]
    fn types() {
        let mut session = Session::new(Engine::new());
        assert_eq!(session.type_of("1 + 2").unwrap(), "int");
        assert_eq!(session.type_of("'a'").unwrap(), "string");
    }
    #[test]
    fn incomplete_texts() {
        assert!(Session::is_incomplete("fn f() {"));
        assert!(Session::is_incomplete("let a = ["));
        assert!(!Session::is_incomplete("let a = 1"));
        assert!(!Session::is_incomplete("let let"));
    }
    #[test]
    fn whole_words_are_mentions() {
        assert!(mentions("a.b", "a") && mentions("(math)", "math"));
        assert!(!mentions("maths", "math") && !mentions("a_math", "math"));
    }
}
