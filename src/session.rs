//! An interactive session: inputs one after the other, each seeing the names of those before it. It knows nothing of terminals.
//!
//! An input is done when its statements are. Tasks and threads that it started go on in the background: during later inputs, and while the session is idle.
//!
//! Each input is a module of its own whose top-level names are exported. What an input declares is remembered with the
//! module it came from; imports are remembered as text and put behind later inputs that mention their names.

use crate::engine::Engine;
use crate::error::Error;
use crate::loader::{Mode, Program};
use heddle_compiler::ast::{Ast, ImportPath, StmtKind};
use heddle_compiler::compile::module_stem;
use heddle_compiler::lexer::{KEYWORDS, Tok};
use heddle_compiler::{Completeness, ReplName};
use heddle_vm::bytecode::ModuleRef;
use heddle_vm::module::Slot;
use heddle_vm::thread::Idled;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub use heddle_vm::thread::{TaskInfo, Waker};

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
    /// The module that has `_` and `_err`.
    kept: Arc<heddle_vm::module::Module>,
    /// Inputs that could be compiled.
    inputs: Vec<String>,
    /// For each name, the text of the module that declares it.
    texts: HashMap<String, Arc<str>>,
}

/// A name that inputs have declared, with what it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub name: String,
    /// The type of its value.
    pub type_name: String,
    /// The `repr` of its value, cut to 60 characters.
    pub value: String,
}

/// What a part of a text is, for colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A word of the language.
    Keyword,
    /// A number, duration or size.
    Number,
    /// A string or bytes; of one with interpolations, what is not code.
    Text,
    /// From `#` to the end of the line.
    Comment,
}

/// The variables `_` and `_err`, under names that can be declared.
const KEPT: &str = "pub var last = nil\npub var fault = nil\n";

/// Why [`Session::idle`] has ended.
#[derive(Debug)]
pub enum Idle {
    /// Its [`Waker`] was used: there is an input, probably.
    Woken,
    /// Something in the background failed, and nobody had joined for it.
    Failed(Error),
    /// Something in the background has called `os.exit` (or used up the fuel): nothing runs any more.
    Ended(Error),
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
    pub fn new(mut engine: Engine) -> Session {
        engine.thread.stay();
        let (kept, names) = declare_kept(&mut engine);
        Session {
            engine,
            names,
            imports: Vec::new(),
            kept,
            inputs: Vec::new(),
            texts: HashMap::new(),
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
    /// The parts of a text that are shown in colours: where each is, and what.
    ///
    /// ```
    /// use heddle::{Part, Session};
    ///
    /// assert_eq!(Session::parts("let n = 1"), [(0..3, Part::Keyword), (8..9, Part::Number)]);
    /// ```
    pub fn parts(text: &str) -> Vec<(Range<usize>, Part)> {
        let lexed = heddle_compiler::lexer::lex(text);
        let part = |range: Range<usize>, tok| match tok {
            Tok::Comment => Some(Part::Comment),
            Tok::Number => Some(Part::Number),
            Tok::Str | Tok::Bytes | Tok::StrHead | Tok::StrMid | Tok::StrTail => Some(Part::Text),
            _ if KEYWORDS.contains(&&text[range]) => Some(Part::Keyword),
            _ => None,
        };
        let places = lexed.tokens.iter().filter_map(|token| {
            let range = token.span().range();
            Some((range.clone(), part(range, token.tok)?))
        });
        places.collect()
    }
    /// The names that inputs have declared, oldest first, for completion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let imports = self.imports.iter().map(|i| i.name.as_str());
        self.names.iter().map(|n| n.name.as_str()).chain(imports)
    }

    /// What wakes the session out of [`Session::idle`]; for any OS thread.
    pub fn waker(&self) -> Waker {
        self.engine.thread.waker()
    }
    /// Runs what is in the background until its [`Waker`] is used or something fails. Sleeps if there is nothing to run.
    ///
    /// ```
    /// let mut session = heddle::Session::new(heddle::Engine::new());
    /// session.run("let done = Channel(1)")?;
    /// session.run("let t = spawn { sleep(10ms); done.send('woven') }")?;
    /// let waker = session.waker();
    /// let input = std::thread::spawn(move || {
    ///     std::thread::sleep(std::time::Duration::from_millis(50));
    ///     waker.wake();
    /// });
    /// assert!(matches!(session.idle(), heddle::Idle::Woken));
    /// assert_eq!(session.run("done.try_recv()")?.as_deref(), Some("\"woven\""));
    /// # input.join().unwrap();
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn idle(&mut self) -> Idle {
        loop {
            match self.engine.thread.idle() {
                Idled::Woken => return Idle::Woken,
                Idled::Failed => {
                    if let Some(error) = self.unjoined() {
                        return Idle::Failed(error);
                    }
                }
                Idled::Ended(failure) => {
                    return Idle::Ended(Error::failure(&mut self.engine.thread, failure));
                }
            }
        }
    }
    /// The next error of the background that nobody had joined for. Each is given once.
    pub fn unjoined(&mut self) -> Option<Error> {
        let thread = &mut self.engine.thread;
        thread
            .take_unjoined()
            .then(|| Error::failure(thread, heddle_vm::thread::Failure::Thrown))
    }
    /// The tasks in the background, by thread.
    pub fn tasks(&mut self) -> Vec<TaskInfo> {
        self.engine.thread.tasks()
    }
    /// Kills a thread, or one task of it: it ends at its next safepoint, and its defers run. Nothing happens if there is none.
    pub fn kill(&mut self, thread: u64, task: Option<u64>) {
        self.engine.thread.kill(thread, task);
    }
    /// Waits until the background has ended, as a program does at its end; or, if it `kills`, ends it, so that only defers run. A deadlock and `os.exit` are errors; what
    /// else failed [`Session::unjoined`] tells.
    pub fn finish(&mut self, kills: bool) -> Result<(), Error> {
        let ended = self.engine.thread.finish(kills);
        ended.map_err(|failure| Error::failure(&mut self.engine.thread, failure))
    }

    /// What could stand where the word that ends at byte `at` of `text` stands: where the word begins, and the candidates in order. Names of inputs, of the library and
    /// keywords; behind the point of a name, what its value has. Nothing is run.
    ///
    /// ```
    /// let mut session = heddle::Session::new(heddle::Engine::new());
    /// session.run("let warp = 'threads'")?;
    /// assert_eq!(session.complete("print(wa", 8), (6, vec!["warp".to_string()]));
    /// assert!(session.complete("warp.upp", 8).1.contains(&"upper".to_string()));
    /// # Ok::<(), heddle::Error>(())
    /// ```
    pub fn complete(&mut self, text: &str, at: usize) -> (usize, Vec<String>) {
        let before = text.get(..at).unwrap_or(text);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.trim_end_matches(is_part).len();
        let word = &before[start..];
        let mut found = match before[..start].strip_suffix('.') {
            Some(base) => {
                let base = base.strip_suffix('?').unwrap_or(base);
                let name = &base[base.trim_end_matches(is_part).len()..];
                let is_first = !base[..base.len() - name.len()].ends_with('.');
                if is_first {
                    self.members(name)
                } else {
                    Vec::new()
                }
            }
            None => self.words(),
        };
        found.retain(|name| name.starts_with(word) && !name.starts_with("__"));
        found.sort();
        found.dedup();
        (start, found)
    }
    /// What may stand behind `name.`.
    fn members(&mut self, name: &str) -> Vec<String> {
        if let Some(import) = self.imports.iter().find(|import| import.name == name) {
            let module = import.text.split(' ').nth(1).unwrap_or_default();
            let loaded = &self.engine.loader.loaded;
            let linked = loaded.get(&ModuleRef::Std(module.into())).cloned();
            return linked.map_or_else(Vec::new, |linked| self.engine.thread.export_names(&linked));
        }
        let value = match self.value_of(name) {
            Some(value) => Some(value),
            None => self.engine.loader.engine.prelude_value(name),
        };
        value.map_or_else(Vec::new, |value| self.engine.thread.members(value))
    }
    fn words(&self) -> Vec<String> {
        let own = self.names().map(str::to_string);
        let prelude = self.engine.loader.prelude_names.iter().cloned();
        let keywords = KEYWORDS.iter();
        let keywords = keywords.map(|word| (*word).to_string());
        own.chain(prelude).chain(keywords).collect()
    }
    /// The value that a name of an input has now.
    fn value_of(&mut self, name: &str) -> Option<heddle_vm::Value> {
        let found = self.names.iter().rev().find(|known| known.name == name)?;
        let key = ModuleRef::File(found.module.as_str().into());
        let linked = self.engine.loader.loaded.get(&key)?.clone();
        self.engine.thread.exported(&linked, name)
    }
    /// What inputs have declared, oldest first, with its values; `_` and `_err`, the last value and the last error, are not among them.
    pub fn variables(&mut self) -> Vec<Variable> {
        let names: Vec<String> = self.names.iter().map(|known| known.name.clone()).collect();
        let mut variables = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| name != "_" && name != "_err")
        {
            if let Some(value) = self.value_of(&name) {
                let mut values = self.engine.thread.values();
                variables.push(Variable {
                    name,
                    type_name: values.type_name(value),
                    value: values.repr_short(value),
                });
            }
        }
        variables
    }
    /// The inputs that could be compiled, in order: run again in a new session they bring this one back, as far as they do the same again.
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }
    /// The bytecode of the input that declared a name, as text; `None`: no input did.
    pub fn disassemble(&mut self, name: &str) -> Option<String> {
        let text = self.texts.get(name)?.clone();
        let (key, source) = self.engine.text("<repl>", text.as_bytes());
        let mode = Mode {
            is_test: false,
            repl_scope: Some(&self.names),
        };
        self.engine.loader.listing(key, source, mode).ok()
    }

    /// Runs an input; gives the `repr` of its value unless that is nil. Later inputs see the value as `_`; an error that it throws as `_err`.
    ///
    /// ```
    /// let mut session = heddle::Session::new(heddle::Engine::new());
    /// session.run("6 * 7")?;
    /// assert_eq!(session.run("_ + 1")?.as_deref(), Some("43"));
    /// assert!(session.run("[][1]").is_err());
    /// assert_eq!(session.run("_err.kind")?.as_deref(), Some("\"IndexError\""));
    /// # Ok::<(), heddle::Error>(())
    /// ```
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

    /// Runs an input and keeps its value as `_`, or its error as `_err`.
    fn value(&mut self, text: &str) -> Result<heddle_vm::Value, Error> {
        let result = self.evaluate(text);
        let thread = &mut self.engine.thread;
        match &result {
            Ok(value) if value.is_nil() => {}
            Ok(value) => thread.set_exported(&self.kept, "_", *value),
            Err(error) if error.exit_code().is_none() && error.findings().is_empty() => {
                let thrown = thread.thrown();
                thread.set_exported(&self.kept, "_err", thrown);
            }
            Err(_) => {}
        }
        result
    }
    fn evaluate(&mut self, text: &str) -> Result<heddle_vm::Value, Error> {
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
        let whole: Arc<str> = whole.into();
        self.inputs.push(text.trim_end().to_string());
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
            if !self.engine.thread.is_exported(&linked, &name) {
                continue;
            }
            let symbol = self.engine.loader.engine.symbol(&name);
            let is_var = matches!(linked.names.get(&symbol), Some((Slot::Var(_), _)));
            self.names.retain(|n| n.name != name);
            self.imports.retain(|i| i.name != name);
            self.texts.insert(name.clone(), whole.clone());
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

/// Makes the module that has `_` and `_err`.
fn declare_kept(engine: &mut Engine) -> (Arc<heddle_vm::module::Module>, Vec<ReplName>) {
    let (key, source) = engine.text("<session>", KEPT.as_bytes());
    let rename = [("last", "_"), ("fault", "_err")];
    let loader = &mut engine.loader;
    let linked = loader.load_internal(key.clone(), source, &rename);
    let linked = linked.expect("it is right");
    let program = Program {
        modules: vec![(key.clone(), linked.clone())],
        warnings: Vec::new(),
    };
    engine.run_program(program).expect("it does nothing");
    let ModuleRef::File(module) = key else {
        unreachable!("it is a text")
    };
    let names = rename.map(|(_, name)| ReplName {
        name: name.into(),
        module: module.to_string(),
        is_var: true,
    });
    (linked, names.into())
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
    fn what_cannot_be_shared_stays_too() {
        let inputs = [
            "let xs = [1]",
            "xs.push(2)",
            "let t = spawn { xs }",
            "t.join()",
        ];
        assert_eq!(shown(&inputs), ["-", "-", "-", "[1, 2]"]);
    }
    #[test]
    fn the_background_goes_on_in_later_inputs() {
        let inputs = [
            "let c = Channel()",
            "let t = spawn { for x in c { if x == 3 { throw ValueError('three') } }; 'ended' }",
            "let u = thread { c.send(1); c.send(2); 'sent' }",
            "u.join()",
            "t.state",
            "c.recv()",
            "t.state",
            "c.close(); t.join()",
        ];
        let results = shown(&inputs);
        let expected = [
            "-",
            "-",
            "-",
            "\"sent\"",
            "\"waiting for recv of a channel\"",
            "Deadlock",
            "\"waiting for recv of a channel\"",
            "\"ended\"",
        ];
        assert_eq!(results, expected);
    }
    #[test]
    fn the_background_ends_at_last() {
        for carriers in [1, 2, 8] {
            let engine = Engine::builder().carriers(carriers).build();
            let mut session = Session::new(engine);
            let input = "let n = Atomic(0)
                for i in 0..20 { thread { for j in 0..50 { n.add(1); yield } } }
                for i in 0..20 { spawn { for j in 0..50 { n.add(1); yield } } }
                let bad = thread { throw ValueError('lost') }
                n.get() < 0";
            assert_eq!(show(session.run(input)), "false");
            session.finish(false).expect("it ends");
            let lost = session.unjoined().map(|error| error.message().to_string());
            assert_eq!(
                (lost.as_deref(), session.unjoined().is_none()),
                (Some("lost"), true)
            );
            assert_eq!(show(session.run("n.get()")), "2000");
            assert_eq!(session.tasks(), []);
            session
                .run("let sleeper = thread(name: 'z') { defer n.set(7); sleep(1h) }; let hog = thread { loop { } }")
                .expect("they begin");
            let mut tasks = session.tasks();
            while tasks[0].state != "waits for sleep" {
                session.run("yield").expect("nothing throws");
                tasks = session.tasks();
            }
            assert_eq!(tasks.len(), 2);
            session.kill(tasks[0].thread, Some(1));
            assert_eq!(
                show(session.run("try { sleeper.join() } catch e { nil }; n.get()")),
                "7"
            );
            session.finish(true).expect("it ends");
            assert_eq!(show(session.run("hog.state")), "\"killed\"");
        }
    }
    #[test]
    fn a_failed_declaration_leaves_the_older_one() {
        assert_eq!(
            shown(&["let a = 1", "let a = [][0]", "a"]),
            ["-", "IndexError", "1"]
        );
    }
    #[test]
    fn types_of_earlier_inputs() {
        let inputs = [
            "struct Thing { name, size = 42 }",
            "match Thing('m', 8) { Thing(size: s, n) => [n, s] }",
            "match Thing('m', 8) { Thing(x) => x }",
            "struct Failure: Error { code = 3 }",
            "match Failure('boom', 7) { Failure(m, c) => [m, c] }",
            "struct Deeper: Failure { line = 1 }",
            "let d = Deeper('boom', line: 5)",
            "[d.code, d.line, d is Failure]",
            "struct Wrong: Thing { a }",
        ];
        let expected = [
            "-",
            "[\"m\", 8]",
            "TypeError",
            "-",
            "[\"boom\", 7]",
            "-",
            "-",
            "[3, 5, true]",
            "LinkError",
        ];
        assert_eq!(shown(&inputs), expected);
    }
    #[test]
    fn failed_declarations_leave_no_types() {
        for _ in 0..20 {
            // Memory that is not zero where the allocator has it from.
            drop(std::hint::black_box(vec![0xa5_u8; 4 << 20]));
            let inputs = [
                "struct Thing { a }",
                "struct Wrong: Thing { b }",
                "Thing(1)",
            ];
            assert_eq!(shown(&inputs), ["-", "LinkError", "Thing(a: 1)"]);
        }
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
