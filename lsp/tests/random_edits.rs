//! Programs under random edits, as an editor would make them, only worse: the server's text must stay the editor's, no request may fail by a fault of the server, and every range
//! that it gives must lie in the text.
//!
//! ```sh
//! HEDDLE_EDITS=100000 HEDDLE_SEED=1 cargo test --release -p heddle-lsp --test random_edits -- --nocapture
//! ```

use heddle_lsp::Server;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Edits in the ordinary suite.
const EDITS: u64 = 1500;
/// Edits of one document before another is taken.
const EDITS_OF_ONE: u64 = 30;
/// Larger programs are not taken: what matters is the number of edits.
const LARGEST: u64 = 6000;

const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "\"\"\"",
    "{x}",
    "|",
    "||",
    "=>",
    "..",
    ".",
    "?.",
    ",",
    ";",
    ":",
    "=",
    "==",
    "\n",
    "\r\n",
    "\r",
    " ",
    "#",
    "## doc\n",
    "let ",
    "var x = 1\n",
    "fn f(a, b = a) { a + b }\n",
    "gen fn g() { yield 1 }\n",
    "if x { } else { }",
    "match x { A.B(c) => c, {k, l: m} => k, _ => 1 }",
    "struct S: T { var a, b = a; fn m(self) { self.a } }\n",
    "enum A { B(c), D }\n",
    "trait T { fn m(self) }\n",
    "import fs as f\n",
    "import \"./lib.hd\"\n",
    "from \"./lib/util.hd\" import a as b, c\n",
    "spawn { f() }",
    "thread f(copy(x))",
    "select { m = c.recv() => m, after 1s => 2, else => 3 }",
    "try { f() } catch e { e.message }",
    "scope(timeout: 1s) { }",
    "test \"t\" { assert a == 1 }\n",
    "x.y.z(",
    "self.",
    "é",
    "𝄞",
    "\u{FEFF}",
    "\0",
    "123",
    "0x",
    "1..=2",
    "not in",
    "is not nil",
    "defer f(x)",
    "S(1, b: 2).with(a: 3)",
    "const C = [1]\n",
    "local var v = {}\n",
    "pub ",
    "return",
    "for k, v in m { }\n",
];

const REQUESTS: &[&str] = &[
    "textDocument/hover",
    "textDocument/completion",
    "textDocument/completion",
    "textDocument/signatureHelp",
    "textDocument/definition",
    "textDocument/references",
    "textDocument/documentHighlight",
    "textDocument/documentSymbol",
    "textDocument/codeAction",
    "textDocument/formatting",
    "textDocument/prepareRename",
    "textDocument/rename",
    "textDocument/foldingRange",
    "textDocument/semanticTokens/full",
];

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

fn programs(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            programs(&path, found);
        } else if path.extension().is_some_and(|e| e == "hd")
            && path.metadata().is_ok_and(|facts| facts.len() < LARGEST)
        {
            found.push(path);
        }
    }
}

/// The editor's text: UTF-16 units, and lines as the protocol counts them.
struct Mirror(Vec<u16>);

impl Mirror {
    fn lines(&self) -> Vec<(usize, usize)> {
        let (mut lines, mut start, mut at) = (Vec::new(), 0, 0);
        while at < self.0.len() {
            let width = match (self.0[at], self.0.get(at + 1)) {
                (13, Some(10)) => 2,
                (10 | 13, _) => 1,
                _ => 0,
            };
            if width > 0 {
                lines.push((start, at));
                start = at + width;
            }
            at += width.max(1);
        }
        lines.push((start, self.0.len()));
        lines
    }
    /// The unit that a place means, never within a pair.
    fn offset(&self, line: usize, character: usize) -> usize {
        let lines = self.lines();
        let Some(&(start, end)) = lines.get(line) else {
            return self.0.len();
        };
        let at = (start + character).min(end);
        let splits = at > start && at < end && (0xDC00..0xE000).contains(&self.0[at]);
        at - usize::from(splits)
    }
    fn replace(&mut self, from: (usize, usize), to: (usize, usize), with: &str) {
        let (a, b) = (self.offset(from.0, from.1), self.offset(to.0, to.1));
        self.0.splice(a.min(b)..a.max(b), with.encode_utf16());
    }
    fn text(&self) -> String {
        String::from_utf16(&self.0).expect("pairs stay whole")
    }
}

/// A place in the text, or a little beyond it.
fn place(random: &mut Random, mirror: &Mirror) -> (usize, usize) {
    let lines = mirror.lines();
    let line = random.below(lines.len() + 1);
    let (start, end) = lines.get(line).copied().unwrap_or((0, 3));
    (line, random.below(end - start + 3))
}

/// Every range in a value lies in the text, its start not behind its end.
fn check_ranges(value: &Value, mirror: &Mirror, what: &str) {
    let lines = mirror.lines();
    let mut all = vec![value];
    while let Some(value) = all.pop() {
        match value {
            Value::Array(items) => all.extend(items),
            Value::Object(entries) => {
                if let (Some(start), Some(end)) = (entries.get("start"), entries.get("end")) {
                    let number = |value: &Value, name: &str| {
                        value[name].as_u64().expect("places are numbers") as usize
                    };
                    let place = |value| (number(value, "line"), number(value, "character"));
                    assert!(place(start) <= place(end), "{what}: {value}");
                    for (line, character) in [place(start), place(end)] {
                        let length = lines.get(line).map(|(start, end)| end - start);
                        assert!(length.is_some_and(|l| character <= l), "{what}: {value}");
                    }
                }
                all.extend(entries.values());
            }
            _ => {}
        }
    }
}

fn ask(server: &mut Server, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    server.handle(&message).expect("requests are answered")
}

fn tell(server: &mut Server, method: &str, params: Value) {
    let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
    assert!(server.handle(&message).is_none());
}

/// The ranges of answers about this document only.
fn own<'v>(method: &str, answer: &'v Value, uri: &str) -> Vec<&'v Value> {
    match method {
        "textDocument/definition" | "textDocument/references" => answer["result"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|place| place["uri"] == uri)
            .collect(),
        "textDocument/rename" => vec![&answer["result"]["changes"][uri]],
        _ => vec![&answer["result"]],
    }
}

#[test]
fn random_edits() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let show = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        show(panic);
    }));
    let edits = number("HEDDLE_EDITS", EDITS);
    let mut random = Random(number("HEDDLE_SEED", 1));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let mut files = Vec::new();
    for folder in ["tests/scripts", "tests/tour", "examples"] {
        programs(&root.join(folder), &mut files);
    }
    files.sort();
    let mut server = Server::new();
    ask(&mut server, "initialize", json!({"capabilities": {}}));
    let mut done = 0;
    while done < edits {
        let file = random.one(&files);
        let uri = format!("file://{}", file.display());
        let text =
            String::from_utf8_lossy(&std::fs::read(file).expect("it can be read")).into_owned();
        let mut mirror = Mirror(text.encode_utf16().collect());
        let document = json!({"uri": uri, "languageId": "heddle", "version": 0, "text": text});
        tell(
            &mut server,
            "textDocument/didOpen",
            json!({"textDocument": document}),
        );
        for version in 1..=EDITS_OF_ONE {
            let from = place(&mut random, &mirror);
            let to = match random.below(3) {
                0 => place(&mut random, &mirror),
                1 => (from.0, from.1 + random.below(12)),
                _ => from,
            };
            let mut piece = String::new();
            for _ in 0..random.below(4) {
                let next: &&str = random.one(PIECES);
                piece += next;
            }
            mirror.replace(from, to, &piece);
            let at =
                |(line, character): (usize, usize)| json!({"line": line, "character": character});
            let change = json!({"range": {"start": at(from), "end": at(to)}, "text": piece});
            tell(
                &mut server,
                "textDocument/didChange",
                json!({"textDocument": {"uri": uri, "version": version}, "contentChanges": [change]}),
            );
            done += 1;
            assert_eq!(server.text(&uri), Some(&*mirror.text()));
            let what = || {
                format!(
                    "{uri}, edit {done} of seed {}\n{}",
                    number("HEDDLE_SEED", 1),
                    mirror.text()
                )
            };
            for message in server.settle() {
                check_ranges(&message["params"]["diagnostics"], &mirror, &what());
            }
            let method = *random.one(REQUESTS);
            let position = place(&mut random, &mirror);
            let end = place(&mut random, &mirror);
            let params = json!({
                "textDocument": {"uri": uri},
                "position": at(position),
                "range": {"start": at(position), "end": at(end)},
                "context": {"includeDeclaration": true},
                "newName": "renamed",
            });
            let answer = ask(&mut server, method, params);
            let code = answer.pointer("/error/code");
            assert!(
                code.is_none_or(|code| code == -32803),
                "{method} {position:?}: {answer}\n{}",
                what()
            );
            assert_eq!(
                PANICS.load(Ordering::Relaxed),
                0,
                "{method} {position:?}\n{}",
                what()
            );
            for part in own(method, &answer, &uri) {
                check_ranges(part, &mirror, &what());
            }
        }
        tell(
            &mut server,
            "textDocument/didClose",
            json!({"textDocument": {"uri": uri}}),
        );
        server.settle();
    }
    println!("{done} edits");
}

/// Some 64 KB of what is deep, long or odd: every request is answered.
#[test]
fn hostile_texts() {
    let mut server = Server::new();
    ask(&mut server, "initialize", json!({"capabilities": {}}));
    for unit in [
        "(",
        "f(",
        "{",
        "fn f() {",
        "a.",
        "x => ",
        "|a| ",
        "if a { } else ",
        "\"{",
        "import fs\n",
        "let {a, ",
        "(a, b) = ",
        "a = [",
        "struct A: A { a }\n",
        "fn a(b) { b }\n",
        "## doc\n",
        "é",
        "match a { ",
        "a + ",
    ] {
        let text = unit.repeat((1 << 16) / unit.len());
        let uri = "file:///hostile.hd";
        let document = json!({"uri": uri, "languageId": "heddle", "version": 0, "text": text});
        tell(
            &mut server,
            "textDocument/didOpen",
            json!({"textDocument": document}),
        );
        assert_eq!(server.settle().len(), 1, "{unit:?}");
        let mut methods: Vec<&str> = REQUESTS.to_vec();
        methods.dedup();
        for method in methods {
            let position = json!({"line": 0, "character": unit.encode_utf16().count() * 3});
            let params = json!({
                "textDocument": {"uri": uri},
                "position": position,
                "range": {"start": position, "end": position},
                "context": {"includeDeclaration": true},
                "newName": "renamed",
            });
            let answer = ask(&mut server, method, params);
            let code = answer.pointer("/error/code");
            assert!(
                code.is_none_or(|code| code == -32803),
                "{unit:?} {method}: {answer}"
            );
        }
    }
}
