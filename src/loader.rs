//! Loading: a program's text and the files and standard modules that it imports become linked modules, each once, in the
//! order in which their bodies must run.
//!
//! A file's key is its canonical path. Nothing is linked unless everything compiles; a cycle of imports is an error.

use crate::error::{Error, Finding};
use heddle_compiler::ast::{ImportPath, Span, StmtKind};
use heddle_compiler::{Diagnostic, Options, ReplName, Role};
use heddle_vm::Value;
use heddle_vm::bytecode::{ModuleCode, ModuleRef};
use heddle_vm::module::Module;
use heddle_vm::native::NativeModule;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is loaded already, and what may be imported by name.
pub(crate) struct Loader {
    pub(crate) engine: Arc<heddle_vm::Engine>,
    /// Names that programs see everywhere.
    pub(crate) prelude_names: Vec<String>,
    pub(crate) natives: &'static [&'static NativeModule],
    /// Functions of the host by module.
    pub(crate) host_modules: BTreeMap<String, Vec<(String, Value)>>,
    pub(crate) loaded: HashMap<ModuleRef, Arc<Module>>,
    /// Files get code that counts how often their lines are run.
    pub(crate) counts_lines: bool,
}

/// A text to be compiled.
pub(crate) struct Source {
    /// As shown in messages.
    pub(crate) path: String,
    pub(crate) text: Arc<str>,
    /// Imports are relative to this folder.
    pub(crate) folder: PathBuf,
    /// What is wrong with the bytes of the file.
    pub(crate) fault: Option<Diagnostic>,
}

/// How a program is compiled.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mode<'a> {
    pub(crate) is_test: bool,
    pub(crate) repl_scope: Option<&'a [ReplName]>,
}

/// A compiled program: its modules in the order in which they must run, the main one last.
pub(crate) struct Program {
    pub(crate) modules: Vec<(ModuleRef, Arc<Module>)>,
    pub(crate) warnings: Vec<Finding>,
}

struct Unit {
    source: Source,
    code: Option<ModuleCode>,
}

impl Source {
    /// Reads a file. `shown` is its name in messages.
    pub(crate) fn read(path: &Path, shown: &str) -> std::io::Result<Source> {
        let bytes = std::fs::read(path)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok(Source::from_bytes(bytes, shown, folder))
    }
    /// A text that is no file: imports are relative to the current folder.
    pub(crate) fn from_bytes(bytes: Vec<u8>, shown: &str, folder: PathBuf) -> Source {
        let (text, fault) = match heddle_compiler::decode(&bytes) {
            Ok(text) => (text.into(), None),
            Err(fault) => (String::from_utf8_lossy(&bytes).into(), Some(*fault)),
        };
        Source {
            path: shown.into(),
            text,
            folder,
            fault,
        }
    }
    fn finding(&self, diagnostic: Diagnostic) -> Finding {
        Finding {
            path: self.path.clone(),
            text: self.text.clone(),
            diagnostic,
        }
    }
}

impl Loader {
    /// Compiles a program and all that it imports, without linking anything.
    pub(crate) fn check(
        &self,
        main: ModuleRef,
        source: Source,
        mode: Mode<'_>,
    ) -> Result<Vec<Finding>, Error> {
        let mut build = Build::new(self);
        build.compile(main.clone(), source, mode);
        build.imports();
        build.order(&main);
        build.verdict()
    }

    /// Compiles one file, without what it imports.
    pub(crate) fn compile_alone(
        &self,
        key: ModuleRef,
        source: Source,
    ) -> Result<ModuleCode, Error> {
        let mut build = Build::new(self);
        build.compile(key.clone(), source, Mode::default());
        let code = build.units.remove(&key).and_then(|unit| unit.code);
        build.verdict()?;
        Ok(code.expect("there is code if there are no errors"))
    }

    /// The bytecode of a text as text.
    pub(crate) fn listing(
        &self,
        key: ModuleRef,
        source: Source,
        mode: Mode<'_>,
    ) -> Result<String, Error> {
        let mut build = Build::new(self);
        build.compile(key.clone(), source, mode);
        let code = build.units.remove(&key).and_then(|unit| unit.code);
        build.verdict()?;
        let code = code.expect("there is code if there are no errors");
        Ok(heddle_vm::bytecode::dis::listing(&code))
    }

    /// Compiles a program and all that it imports, and links what is not linked yet.
    pub(crate) fn load(
        &mut self,
        main: ModuleRef,
        source: Source,
        mode: Mode<'_>,
    ) -> Result<Program, Error> {
        let mut build = Build::new(self);
        build.compile(main.clone(), source, mode);
        build.imports();
        let order = build.order(&main);
        let mut units = std::mem::take(&mut build.units);
        let warnings = build.verdict()?;
        let mut modules = Vec::new();
        for key in order {
            let unit = units.remove(&key).expect("ordered modules are compiled");
            match self.link(&key, unit.code) {
                Ok(module) => {
                    self.loaded.insert(key.clone(), module.clone());
                    modules.push((key, module));
                }
                Err(error) => {
                    // What was linked will not run: the next import links it again.
                    for (key, _) in &modules {
                        self.loaded.remove(key);
                    }
                    return Err(error);
                }
            }
        }
        Ok(Program { modules, warnings })
    }

    /// Compiles and links a text of the session's own; `rename` gives exports names that no text can declare.
    pub(crate) fn load_internal(
        &mut self,
        key: ModuleRef,
        source: Source,
        rename: &[(&str, &str)],
    ) -> Result<Arc<Module>, Error> {
        let mut code = self.compile_alone(key.clone(), source)?;
        for symbol in &mut code.symbols {
            if let Some((_, name)) = rename.iter().find(|(old, _)| *old == &**symbol) {
                *symbol = (*name).into();
            }
        }
        let linked = self.link(&key, Some(code))?;
        self.loaded.insert(key, linked.clone());
        Ok(linked)
    }

    fn link(&self, key: &ModuleRef, code: Option<ModuleCode>) -> Result<Arc<Module>, Error> {
        let refs = code.as_ref().map_or(&[][..], |code| &code.imports);
        let imports: Vec<Arc<Module>> = refs.iter().map(|r| self.loaded[r].clone()).collect();
        let linked = match key {
            ModuleRef::Std(name) => {
                if let Some(functions) = self.host_modules.get(&**name) {
                    return Ok(self.engine.add_module_of(name, functions));
                }
                let spec = self
                    .native(name)
                    .expect("unknown modules are found out before");
                self.engine.add_native_module(spec, code.as_ref(), &imports)
            }
            ModuleRef::File(_) => {
                let code = code.expect("it compiled");
                self.engine.link(&code, &imports, true)
            }
        };
        linked.map_err(|e| Error::new("LinkError", e.to_string()))
    }

    fn native(&self, name: &str) -> Option<&'static NativeModule> {
        self.natives.iter().find(|m| m.name == name).copied()
    }

    /// Forgets a module whose body failed, so that the next import runs it again.
    pub(crate) fn forget(&mut self, key: &ModuleRef) {
        self.loaded.remove(key);
    }
}

/// One load: what is compiled so far and what was found.
struct Build<'a> {
    loader: &'a Loader,
    units: HashMap<ModuleRef, Unit>,
    /// Modules to compile, each with the one that imports it.
    pending: Vec<(ModuleRef, ModuleRef)>,
    findings: Vec<Finding>,
}

impl<'a> Build<'a> {
    fn new(loader: &'a Loader) -> Build<'a> {
        Build {
            loader,
            units: HashMap::new(),
            pending: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn compile(&mut self, key: ModuleRef, source: Source, mode: Mode<'_>) {
        let resolve = |text: &str| resolve(&source.folder, text);
        let options = Options {
            path: source.path.clone(),
            name: stem(&source.path),
            role: Role::Program,
            is_test: mode.is_test,
            counts_lines: self.loader.counts_lines && matches!(key, ModuleRef::File(_)),
            prelude_names: &self.loader.prelude_names,
            repl_scope: mode.repl_scope,
            resolve: &resolve,
        };
        let (code, found) = match &source.fault {
            Some(fault) => (None, vec![fault.clone()]),
            None => heddle_compiler::compile(&source.text, &options),
        };
        self.findings
            .extend(found.into_iter().map(|d| source.finding(d)));
        let imports = match (&code, &source.fault) {
            (Some(code), _) => code.imports.clone(),
            // So that what is wrong with them is told at once, too.
            (None, None) => imports_of(&source),
            (None, Some(_)) => Vec::new(),
        };
        self.add(key, imports, Unit { source, code });
    }

    fn add(&mut self, key: ModuleRef, imports: Vec<ModuleRef>, unit: Unit) {
        for import in imports.into_iter().rev() {
            self.pending.push((import, key.clone()));
        }
        self.units.insert(key, unit);
    }

    /// Compiles what is imported, directly or not.
    fn imports(&mut self) {
        while let Some((key, importer)) = self.pending.pop() {
            if self.units.contains_key(&key) || self.loader.loaded.contains_key(&key) {
                continue;
            }
            match &key {
                ModuleRef::Std(name) => self.standard(name, &importer),
                ModuleRef::File(path) => self.file(path, &importer),
            }
        }
    }

    fn standard(&mut self, name: &str, importer: &ModuleRef) {
        let key = ModuleRef::Std(name.into());
        let found = match self.loader.native(name) {
            Some(spec) => Some(spec.source),
            None => self.loader.host_modules.contains_key(name).then_some(None),
        };
        match found {
            Some(library) => {
                let code = library.map(heddle_stdlib::compiled);
                let source = Source {
                    path: format!("<{name}>"),
                    text: "".into(),
                    folder: PathBuf::new(),
                    fault: None,
                };
                let imports = code
                    .as_ref()
                    .map_or(Vec::new(), |code| code.imports.clone());
                self.add(key, imports, Unit { source, code });
            }
            None => {
                let standard = self.loader.natives.iter().map(|m| m.name);
                let hosts = self.loader.host_modules.keys().map(String::as_str);
                let known: Vec<&str> = standard.chain(hosts).collect();
                let NoModule { message, help, .. } = no_such_module(name, &known);
                self.report_import(importer, &key, message, "imported here", Some(help));
            }
        }
    }

    fn file(&mut self, path: &str, importer: &ModuleRef) {
        let importing = &self.units[importer].source;
        let shown = match self.import_text(importer, &ModuleRef::File(path.into())) {
            Some(text) => shown_path(&importing.path, &text),
            None => path.to_string(),
        };
        match Source::read(Path::new(path), &shown) {
            Ok(source) => self.compile(ModuleRef::File(path.into()), source, Mode::default()),
            Err(error) => {
                let message = Error::io(&shown, error).message().to_string();
                self.report_import(
                    importer,
                    &ModuleRef::File(path.into()),
                    message,
                    "imported here",
                    None,
                );
            }
        }
    }

    /// The modules in the order in which they must run; reports cycles.
    fn order(&mut self, main: &ModuleRef) -> Vec<ModuleRef> {
        let mut order = Vec::new();
        let mut is_done: HashMap<ModuleRef, bool> = HashMap::new();
        let mut path: Vec<(ModuleRef, usize)> = vec![(main.clone(), 0)];
        is_done.insert(main.clone(), false);
        while let Some((key, next)) = path.last_mut() {
            let imports = self
                .units
                .get(key)
                .and_then(|u| u.code.as_ref())
                .map_or(&[][..], |c| &c.imports);
            let Some(import) = imports.get(*next).cloned() else {
                is_done.insert(key.clone(), true);
                order.push(key.clone());
                path.pop();
                continue;
            };
            *next += 1;
            if !self.units.contains_key(&import) {
                continue;
            }
            match is_done.get(&import) {
                Some(true) => {}
                None => {
                    is_done.insert(import.clone(), false);
                    path.push((import, 0));
                }
                Some(false) => {
                    let from = path
                        .iter()
                        .position(|(k, _)| *k == import)
                        .expect("it is on the path");
                    let keys = path[from..].iter().map(|(k, _)| k).chain([&import]);
                    let cycle: Vec<&str> =
                        keys.map(|k| self.units[k].source.path.as_str()).collect();
                    let message = format!("imports form a cycle: {}", cycle.join(" -> "));
                    let importer = path.last().expect("it imports").0.clone();
                    self.report_import(
                        &importer,
                        &import,
                        message,
                        "closes the cycle",
                        Some("move what both need into a third file".into()),
                    );
                }
            }
        }
        order
    }

    /// Reports something at the import of `imported` in the file `importer`.
    fn report_import(
        &mut self,
        importer: &ModuleRef,
        imported: &ModuleRef,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        let source = &self.units[importer].source;
        let span = find_import(source, imported).map_or(Span::new(0, 0), |(span, _)| span);
        let mut diagnostic = Diagnostic::error("E0210", message, span).label(label);
        diagnostic.help = help;
        let finding = source.finding(diagnostic);
        self.findings.push(finding);
    }

    fn import_text(&self, importer: &ModuleRef, imported: &ModuleRef) -> Option<String> {
        find_import(&self.units[importer].source, imported)?.1
    }

    /// What was found, file by file, in the order of the text.
    fn verdict(mut self) -> Result<Vec<Finding>, Error> {
        let mut files: Vec<String> = Vec::new();
        self.findings.sort_by_cached_key(|f| {
            let at = files.iter().position(|file| *file == f.path);
            let file = at.unwrap_or_else(|| {
                files.push(f.path.clone());
                files.len() - 1
            });
            (file, f.diagnostic.span.start)
        });
        if self.findings.iter().any(|f| f.diagnostic.is_error()) {
            Err(Error::compile(self.findings))
        } else {
            Ok(self.findings)
        }
    }
}

/// The imports of a file, each with its place, and with its text if it is a path. Only for messages: the file is parsed again.
fn import_places(source: &Source) -> Vec<(ModuleRef, Span, Option<String>)> {
    let (ast, _) = heddle_compiler::parse(&source.text);
    let place = |path: &ImportPath| match path {
        ImportPath::Std(ident) => {
            let name = ast.name(ident.name).into();
            Some((ModuleRef::Std(name), ident.span, None))
        }
        ImportPath::File(text, span) => {
            let key = resolve(&source.folder, text).ok()?;
            Some((ModuleRef::File(key.into()), *span, Some(text.to_string())))
        }
    };
    let mut places = Vec::new();
    for stmt in &ast.stmts {
        match &stmt.kind {
            StmtKind::Import(items) => places.extend(items.iter().filter_map(|i| place(&i.path))),
            StmtKind::From { path, .. } => places.extend(place(path)),
            _ => {}
        }
    }
    places
}

fn find_import(source: &Source, imported: &ModuleRef) -> Option<(Span, Option<String>)> {
    let mut places = import_places(source).into_iter();
    places
        .find(|(key, ..)| key == imported)
        .map(|(_, span, text)| (span, text))
}

fn imports_of(source: &Source) -> Vec<ModuleRef> {
    let places = import_places(source).into_iter();
    places.map(|(key, ..)| key).collect()
}

/// What is said of an import of a standard module that there is not.
#[derive(Clone, Debug)]
pub struct NoModule {
    /// What is wrong.
    pub message: String,
    /// What helps.
    pub help: String,
    /// The module that was probably meant.
    pub near: Option<String>,
}

pub(crate) fn no_such_module(name: &str, known: &[&str]) -> NoModule {
    let near = heddle_vm::error::nearest(name, known.iter().copied());
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "standard modules are {}; a file is imported by its path: `import \"./{name}.hd\"`",
            known.join(", ")
        ),
    };
    NoModule {
        message: format!("there is no standard module `{name}`"),
        help,
        near: near.map(str::to_owned),
    }
}

/// The key of the file that `import "text"` in a file of `folder` means.
pub(crate) fn resolve(folder: &Path, text: &str) -> Result<String, String> {
    let path = folder.join(text);
    match path.canonicalize() {
        Ok(found) if found.is_dir() => Err(format!("`{text}` is a folder, not a file")),
        Ok(found) => match found.to_str() {
            Some(key) => Ok(key.to_string()),
            None => Err(format!("the path of `{text}` is not UTF-8")),
        },
        Err(error) => {
            let reason = error.to_string();
            let reason = reason
                .split(" (os error")
                .next()
                .unwrap_or(&reason)
                .to_lowercase();
            let has_file = !text.ends_with(".hd") && folder.join(format!("{text}.hd")).is_file();
            let hint = if has_file {
                format!("; did you mean `{text}.hd`?")
            } else {
                String::new()
            };
            Err(format!("cannot import `{text}`: {reason}{hint}"))
        }
    }
}

/// The path of an imported file as messages show it: relative to what the importing file is shown as.
fn shown_path(importer: &str, text: &str) -> String {
    if importer.starts_with('<') {
        return text.strip_prefix("./").unwrap_or(text).to_string();
    }
    let mut parts: Vec<&str> = importer.split('/').collect();
    parts.pop();
    if text.starts_with('/') {
        return text.to_string();
    }
    for part in text.split('/') {
        match part {
            "." => {}
            ".." if parts
                .last()
                .is_some_and(|last| !matches!(*last, "" | "." | "..")) =>
            {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

fn stem(path: &str) -> String {
    let stem = Path::new(path).file_stem();
    stem.map_or_else(|| path.to_string(), |s| s.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_paths_follow_the_importing_file() {
        assert_eq!(shown_path("<string>", "./a.hd"), "a.hd");
        assert_eq!(shown_path("main.hd", "./lib/a.hd"), "lib/a.hd");
        assert_eq!(shown_path("x/y/main.hd", "../a.hd"), "x/a.hd");
        assert_eq!(shown_path("../main.hd", "../a.hd"), "../../a.hd");
        assert_eq!(shown_path("/x/main.hd", "/y/a.hd"), "/y/a.hd");
        assert_eq!(shown_path("/x/main.hd", "./a.hd"), "/x/a.hd");
    }
}
