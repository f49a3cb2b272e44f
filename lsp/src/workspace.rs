//! The documents that are open, the files around them, and where imports lead.
//!
//! A document is never changed: an edit makes a new one. What is found out about it is found out when it is first asked for, and kept. Files that are not
//! open are read when an import or a search leads to them, and read again when their time or size is another.

use crate::library::Library;
use crate::text::Text;
use heddle::tools::imported_file;
use heddle_bytecode::ModuleRef;
use heddle_compiler::ast::{ImportPath, Span, StmtKind};
use heddle_compiler::index::{Index, Meaning, Shape, SymbolId, SymbolKind};
use heddle_compiler::{Analysis, Options, Role, analyse};
use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

/// Larger files are not searched, and more files are not looked at.
const LARGEST_FILE: u64 = 1 << 20;
const MOST_FILES: usize = 2000;
const DEEPEST_FOLDER: usize = 12;

/// A text under a name, and what is known of it.
pub(crate) struct Document {
    /// As the client names it, or as it would be named.
    pub(crate) uri: String,
    /// Its path without links, if it is a file: what modules that import it call it.
    pub(crate) key: Option<String>,
    folder: PathBuf,
    pub(crate) version: Option<i64>,
    pub(crate) text: Text,
    library: Rc<Library>,
    analysis: OnceCell<Analysis>,
    index: OnceCell<Index>,
}

impl Document {
    pub(crate) fn source(&self) -> &str {
        self.text.as_str()
    }

    pub(crate) fn analysis(&self) -> &Analysis {
        self.analysis
            .get_or_init(|| self.analyse(self.text.as_str()))
    }

    pub(crate) fn index(&self) -> &Index {
        self.index
            .get_or_init(|| self.analysis().index(self.text.as_str()))
    }

    /// Analyses another text in the place of this one.
    pub(crate) fn analyse(&self, source: &str) -> Analysis {
        let stem = Path::new(&self.uri).file_stem();
        let options = Options {
            path: self.uri.clone(),
            name: stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            role: Role::Program,
            counts_lines: false,
            is_test: true,
            prelude_names: &self.library.names,
            repl_scope: None,
            resolve: &|text| imported_file(&self.folder, text),
        };
        analyse(source, &options)
    }

    /// The file that `import "text"` means.
    pub(crate) fn imported(&self, text: &str) -> Result<String, String> {
        imported_file(&self.folder, text)
    }

    pub(crate) fn slice(&self, span: Span) -> &str {
        self.source().get(span.range()).unwrap_or_default()
    }

    /// What the `##` lines right above a declaration say.
    pub(crate) fn doc(&self, declared: Span) -> String {
        let mut line = self.text.line_of(declared.start);
        let start = self.text.line_range(line).start;
        let before = &self.source()[start as usize..declared.start as usize];
        if !matches!(before.trim(), "" | "pub" | "var") {
            // What is said above the line is said of what begins it.
            return String::new();
        }
        let mut said: Vec<&str> = Vec::new();
        while let Some(above) = line.checked_sub(1) {
            let range = self.text.line_range(above);
            let text = self.source()[range.start as usize..range.end as usize].trim();
            let Some(words) = text.strip_prefix("##") else {
                break;
            };
            said.push(words.strip_prefix(' ').unwrap_or(words));
            line = above;
        }
        said.reverse();
        said.join("\n")
    }

    /// What the file imports, with the places.
    pub(crate) fn imports(&self) -> Vec<(ModuleRef, Span)> {
        let ast = self.analysis().ast();
        let module = |path: &ImportPath| match path {
            ImportPath::Std(ident) => {
                Some((ModuleRef::Std(ast.name(ident.name).into()), ident.span))
            }
            ImportPath::File(text, span) => {
                let key = imported_file(&self.folder, text).ok()?;
                Some((ModuleRef::File(key.into()), *span))
            }
        };
        let mut found = Vec::new();
        for stmt in &ast.stmts {
            match &stmt.kind {
                StmtKind::Import(items) => {
                    found.extend(items.iter().filter_map(|item| module(&item.path)));
                }
                StmtKind::From { path, .. } => found.extend(module(path)),
                _ => {}
            }
        }
        found
    }
}

struct OnDisk {
    changed: Option<SystemTime>,
    size: u64,
    document: Rc<Document>,
}

pub(crate) struct Workspace {
    pub(crate) library: Rc<Library>,
    roots: Vec<PathBuf>,
    open: HashMap<String, Rc<Document>>,
    disk: RefCell<HashMap<PathBuf, OnDisk>>,
}

/// A declaration in some document.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) document: Rc<Document>,
    pub(crate) symbol: SymbolId,
}

impl Workspace {
    pub(crate) fn new() -> Workspace {
        Workspace {
            library: Rc::new(Library::new()),
            roots: Vec::new(),
            open: HashMap::new(),
            disk: RefCell::default(),
        }
    }

    pub(crate) fn set_roots(&mut self, uris: &[String]) {
        self.roots = uris.iter().filter_map(|uri| path_of(uri)).collect();
    }

    fn document(&self, uri: &str, version: Option<i64>, text: Text) -> Document {
        let path = path_of(uri);
        let folder = path.as_deref().and_then(Path::parent).map(Path::to_owned);
        let canonical = path.as_deref().and_then(|path| path.canonicalize().ok());
        Document {
            uri: uri.into(),
            key: canonical.and_then(|path| path.to_str().map(str::to_owned)),
            folder: folder.unwrap_or_default(),
            version,
            text,
            library: self.library.clone(),
            analysis: OnceCell::new(),
            index: OnceCell::new(),
        }
    }

    /// Opens a document, or takes a new text for one that is open.
    pub(crate) fn set(&mut self, uri: &str, version: Option<i64>, text: Text) {
        let document = self.document(uri, version, text);
        self.open.insert(uri.into(), Rc::new(document));
    }

    pub(crate) fn close(&mut self, uri: &str) {
        self.open.remove(uri);
    }

    pub(crate) fn opened(&self, uri: &str) -> Option<&Rc<Document>> {
        self.open.get(uri)
    }

    pub(crate) fn open_uris(&self) -> Vec<String> {
        let mut all: Vec<String> = self.open.keys().cloned().collect();
        all.sort();
        all
    }

    /// A document that is open, or else the file of that name.
    pub(crate) fn get(&self, uri: &str) -> Option<Rc<Document>> {
        match self.open.get(uri) {
            Some(document) => Some(document.clone()),
            None => self.file(&path_of(uri)?),
        }
    }

    /// The file that a module is, as it is open or as it is on disk.
    pub(crate) fn module(&self, module: &ModuleRef) -> Option<Rc<Document>> {
        match module {
            ModuleRef::File(key) => self.file(Path::new(&**key)),
            ModuleRef::Std(_) => None,
        }
    }

    fn file(&self, path: &Path) -> Option<Rc<Document>> {
        let key = path.canonicalize().ok()?;
        let is_open = |document: &&Rc<Document>| document.key.as_deref() == key.to_str();
        if let Some(document) = self.open.values().find(is_open) {
            return Some(document.clone());
        }
        let facts = key.metadata().ok().filter(|facts| facts.is_file())?;
        let (changed, size) = (facts.modified().ok(), facts.len());
        if size > LARGEST_FILE {
            return None;
        }
        if let Some(known) = self.disk.borrow().get(&key)
            && (known.changed, known.size) == (changed, size)
        {
            return Some(known.document.clone());
        }
        let text = String::from_utf8(std::fs::read(&key).ok()?).ok()?;
        let document = Rc::new(self.document(&uri_of(&key), None, Text::new(text)));
        let known = OnDisk {
            changed,
            size,
            document: document.clone(),
        };
        self.disk.borrow_mut().insert(key, known);
        Some(document)
    }

    /// All programs that are open or lie in the client's folders.
    pub(crate) fn all(&self) -> Vec<Rc<Document>> {
        let mut paths = Vec::new();
        for root in &self.roots {
            programs(root, 0, &mut paths);
        }
        paths.sort();
        let mut all: Vec<Rc<Document>> = self.open.values().cloned().collect();
        all.sort_by(|a, b| a.uri.cmp(&b.uri));
        for path in paths {
            if let Some(document) = self.file(&path)
                && !all.iter().any(|known| Rc::ptr_eq(known, &document))
            {
                all.push(document);
            }
        }
        all
    }

    /// What a module that is a file exports under a name, wherever that is declared.
    pub(crate) fn exported(&self, module: &ModuleRef, name: &str) -> Option<Place> {
        let document = self.module(module)?;
        let index = document.index();
        let symbol = index
            .ids()
            .find(|&id| index.symbol(id).is_top && &*index.symbol(id).name == name)?;
        Some(Place { document, symbol })
    }

    /// The declaration that a symbol stands for: that of an imported name is in the file that exports it.
    pub(crate) fn origin(&self, place: Place) -> Place {
        let mut place = place;
        // Imports may go round in circles.
        for _ in 0..10 {
            let symbol = place.document.index().symbol(place.symbol);
            if symbol.kind != SymbolKind::Import {
                break;
            }
            let origin = symbol.origin.as_ref();
            let name = origin.and_then(|origin| origin.name.as_deref().map(|n| (origin, n)));
            let Some(next) = name.and_then(|(origin, name)| self.exported(&origin.module, name))
            else {
                break;
            };
            place = next;
        }
        place
    }

    /// The declaration that a name at a place means, in this file or another.
    pub(crate) fn meant(&self, document: &Rc<Document>, offset: u32) -> Option<Place> {
        let found = document.index().at(offset)?;
        match &found.meaning {
            Meaning::Symbol(symbol) => Some(self.origin(Place {
                document: document.clone(),
                symbol: *symbol,
            })),
            Meaning::Exported(module) => {
                let name = document.slice(found.span);
                self.exported(module, name).map(|place| self.origin(place))
            }
            Meaning::Member => {
                let receiver = document.index().receiver(found.span.start)?;
                let (home, known) = self.known(document, receiver);
                let (Shape::Type(of) | Shape::Instance(of)) = known else {
                    return None;
                };
                let symbol = member(&home, of, document.slice(found.span))?;
                Some(Place {
                    document: home,
                    symbol,
                })
            }
            _ => None,
        }
    }

    /// What is known of a value, with what the file says that it comes from: where the types of the result are declared.
    pub(crate) fn known(&self, document: &Rc<Document>, shape: &Shape) -> (Rc<Document>, Shape) {
        let (mut document, mut shape) = (document.clone(), shape.clone());
        for _ in 0..10 {
            let (Shape::Exported(module, name) | Shape::Called(module, name)) = &shape else {
                break;
            };
            let Some(place) = self.exported(module, name) else {
                break;
            };
            let symbol = place.document.index().symbol(place.symbol);
            shape = match shape {
                Shape::Called(..) => symbol.result.clone(),
                _ => symbol.shape.clone(),
            };
            document = place.document;
        }
        (document, shape)
    }
}

/// What a type of a document, or one that it is based on, declares under a name.
fn member(document: &Document, of: SymbolId, name: &str) -> Option<SymbolId> {
    let index = document.index();
    let types = index.ancestors(of);
    let mut members = types.iter().flat_map(|&ty| index.members(ty));
    members.find(|&id| &*index.symbol(id).name == name)
}

fn programs(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if paths.len() >= MOST_FILES {
            return;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let is_skipped = name.starts_with('.') || matches!(&*name, "target" | "node_modules");
        if kind.is_dir() && !is_skipped && depth < DEEPEST_FOLDER {
            programs(&entry.path(), depth + 1, paths);
        } else if kind.is_file() && name.ends_with(".hd") {
            paths.push(entry.path());
        }
    }
}

/// The path that a `file:` address means.
pub(crate) fn path_of(uri: &str) -> Option<PathBuf> {
    let rest = uri.strip_prefix("file://")?;
    // A host may stand in front of the path.
    let path = &rest[rest.find('/')?..];
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let code = (byte == b'%').then(|| behind.get(..2)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                bytes.push(code);
                rest = &behind[2..];
            }
            None => {
                bytes.push(byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

pub(crate) fn uri_of(path: &Path) -> String {
    let mut uri = "file://".to_string();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte as char),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte as char),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths() {
        let path = Path::new("/tmp/a b/ü.hd");
        assert_eq!(uri_of(path), "file:///tmp/a%20b/%C3%BC.hd");
        assert_eq!(path_of(&uri_of(path)).as_deref(), Some(path));
        assert_eq!(
            path_of("file://host/x%2").as_deref(),
            Some(Path::new("/x%2"))
        );
        assert_eq!(path_of("untitled:Untitled-1"), None);
    }
}
