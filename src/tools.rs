//! What tools that read programs must know of what is around a program: names that are defined everywhere, modules, what an import means. Nothing is run
//! but the bodies of standard modules whose exports are asked for.

use crate::engine::Engine;
use crate::loader;
pub use crate::loader::NoModule;
use heddle_vm::bytecode::ModuleRef;
use std::path::Path;

/// The library as programs see it.
pub struct Library {
    engine: Engine,
}

impl Default for Library {
    fn default() -> Library {
        Library::new()
    }
}

impl Library {
    /// The library without functions of a host.
    pub fn new() -> Library {
        Library {
            engine: Engine::new(),
        }
    }
    /// The names that are defined everywhere.
    pub fn names(&self) -> &[String] {
        &self.engine.loader.prelude_names
    }
    /// The standard modules.
    pub fn modules(&self) -> Vec<&'static str> {
        let natives = self.engine.loader.natives.iter();
        natives.map(|module| module.name).collect()
    }
    /// What a standard module exports; nothing if there is none of that name.
    ///
    /// ```
    /// let mut library = heddle::tools::Library::new();
    /// assert!(library.exports("math").contains(&"pi".to_string()));
    /// ```
    pub fn exports(&mut self, module: &str) -> Vec<String> {
        if !self.modules().contains(&module) {
            return Vec::new();
        }
        let import = format!("import {module}\n{module}");
        if self.engine.load_str("<exports>", &import).is_err() {
            return Vec::new();
        }
        let key = ModuleRef::Std(module.into());
        let linked = self.engine.loader.loaded.get(&key).cloned();
        let names = linked.map_or_else(Vec::new, |linked| self.engine.thread.export_names(&linked));
        names
            .into_iter()
            .filter(|name| !name.starts_with("__"))
            .collect()
    }
    /// What is said of an import of a standard module that there is not.
    pub fn no_such_module(&self, name: &str) -> NoModule {
        loader::no_such_module(name, &self.modules())
    }
}

/// The file that `import "text"` means in a file of this folder: its path without links and detours, or why there is none.
pub fn imported_file(folder: &Path, text: &str) -> Result<String, String> {
    loader::resolve(folder, text)
}
