//! The language server as an editor meets it: the real program, spoken with over its standard input and output.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

mod support;
use support::{binary, time_limit};

/// An editor.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    next: u64,
    /// The last diagnostics of each document.
    published: HashMap<String, Value>,
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("Content-Length: ") {
            length = text.parse().expect("a length is a number");
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).expect("messages are JSON"))
}

impl Client {
    fn start() -> Client {
        let mut child = Command::new(binary())
            .args(["lsp", "--stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("heddle starts");
        let mut output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Client {
            input: child.stdin.take(),
            child,
            messages,
            next: 0,
            published: HashMap::new(),
        }
    }

    /// A session in a folder.
    fn initialized(folder: &Path) -> Client {
        let mut client = Client::start();
        let params = json!({
            "processId": null,
            "rootUri": uri(folder),
            "workspaceFolders": [{"uri": uri(folder), "name": "test"}],
            "capabilities": {},
        });
        let result = client.ask("initialize", params);
        assert_eq!(result["capabilities"]["positionEncoding"], "utf-16");
        client.tell("initialized", json!({}));
        client
    }

    fn send(&mut self, bytes: &str) {
        let input = self.input.as_mut().expect("the input is open");
        input.write_all(bytes.as_bytes()).expect("the server reads");
        input.flush().expect("the server reads");
    }

    fn send_message(&mut self, message: &Value) {
        let body = message.to_string();
        self.send(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send_message(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    fn receive(&mut self) -> Value {
        let message = self.messages.recv_timeout(time_limit());
        message.expect("the server answers")
    }

    /// The next answer; what is published meanwhile is kept.
    fn answer(&mut self) -> Value {
        loop {
            let message = self.receive();
            if message.get("id").is_some() {
                return message;
            }
            self.keep(message);
        }
    }

    fn keep(&mut self, message: Value) {
        assert_eq!(message["method"], "textDocument/publishDiagnostics");
        let uri = message["params"]["uri"].as_str().expect("a name");
        self.published
            .insert(uri.to_string(), message["params"].clone());
    }

    fn try_ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.next += 1;
        let id = self.next;
        self.send_message(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let answer = self.answer();
        assert_eq!(answer["id"], id);
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.try_ask(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn open(&mut self, uri: &str, text: &str) {
        let document = json!({"uri": uri, "languageId": "heddle", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    /// Waits for the diagnostics of a version of a document: code and range of each.
    fn diagnostics(&mut self, uri: &str, version: i64) -> Vec<(String, [u64; 4])> {
        loop {
            if let Some(found) = self.published.get(uri)
                && found["version"] == version
            {
                let all = found["diagnostics"].as_array().expect("a list");
                return all
                    .iter()
                    .map(|found| (text(&found["code"]), range(&found["range"])))
                    .collect();
            }
            let message = self.receive();
            self.keep(message);
        }
    }

    /// Asks about the place of `needle` in a text, `behind` characters further.
    fn ask_at(&mut self, method: &str, uri: &str, source: &str, mark: &str) -> Value {
        let params = at(uri, source, mark);
        self.ask(method, params)
    }

    fn end(mut self) {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        assert_eq!(self.exit_code(), Some(0));
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("the server ends").code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn range(value: &Value) -> [u64; 4] {
    let number = |path: &str| {
        value
            .pointer(path)
            .and_then(Value::as_u64)
            .expect("a number")
    };
    [
        number("/start/line"),
        number("/start/character"),
        number("/end/line"),
        number("/end/character"),
    ]
}

/// The parameters that name a place: that of `^` in `mark`, the rest of which stands in the source.
fn at(uri: &str, source: &str, mark: &str) -> Value {
    let offset = mark.find('^').expect("the place is marked");
    let plain = mark.replace('^', "");
    let found = source.find(&plain).expect("the text stands in the source");
    let before = &source[..found + offset];
    let line = before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let character: usize = before[start..].chars().map(char::len_utf16).sum();
    json!({
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
    })
}

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("lsp")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder.canonicalize().expect("it is there")
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

const MAIN: &str = r#"import math
from "./shapes.hd" import Point, area as size
import "./shapes.hd"

## Twice as much.
fn double(value, times = 2) { value * times }

let p = Point(1, y: 2)
print(double(p.x), size(p), shapes.area(p), math.pi)
let word = "wörp 𝄞"; print(word.upper())
"#;

const SHAPES: &str = r#"## A place.
pub struct Point {
    x
    y = 0
    fn norm(self) { (self.x ** 2 + self.y ** 2) ** 0.5 }
}
pub fn area(p) { p.x * p.y }
test "area" { assert area(Point(2, 3)) == 6 }
"#;

/// A session with two files; the second is not open.
fn session(name: &str) -> (Client, String, String) {
    let folder = folder(name);
    fs::write(folder.join("shapes.hd"), SHAPES).expect("a file can be written");
    fs::write(folder.join("main.hd"), MAIN).expect("a file can be written");
    let mut client = Client::initialized(&folder);
    let main = uri(&folder.join("main.hd"));
    client.open(&main, MAIN);
    (client, main, uri(&folder.join("shapes.hd")))
}

#[test]
fn diagnostics_follow_the_text() {
    let (mut client, main, _) = session("diagnostics");
    assert_eq!(client.diagnostics(&main, 1), []);
    // Behind a character of two units.
    let change = json!({
        "textDocument": {"uri": main, "version": 2},
        "contentChanges": [
            {"range": {"start": {"line": 9, "character": 22}, "end": {"line": 9, "character": 27}}, "text": "pritn"},
            {"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 11}}, "text": "import mth"},
        ],
    });
    client.tell("textDocument/didChange", change);
    let found = client.diagnostics(&main, 2);
    let codes: Vec<&str> = found.iter().map(|(code, _)| &**code).collect();
    assert!(
        codes.contains(&"E0210") && codes.contains(&"E0201"),
        "{found:?}"
    );
    let (_, pritn) = found
        .iter()
        .find(|(_, range)| range[0] == 9)
        .expect("a finding in the last line");
    assert_eq!(pritn, &[9, 22, 9, 27]);
    let whole = json!({
        "textDocument": {"uri": main, "version": 3},
        "contentChanges": [{"text": "let a = (1\n"}],
    });
    client.tell("textDocument/didChange", whole);
    assert_eq!(client.diagnostics(&main, 3)[0].0, "E0010");
    let full = &client.published[&main]["diagnostics"][0];
    assert_eq!(full["severity"], 1);
    assert_eq!(full["source"], "heddle");
    client.tell(
        "textDocument/didClose",
        json!({"textDocument": {"uri": main}}),
    );
    let message = client.receive();
    assert_eq!(message["params"]["diagnostics"], json!([]));
    client.end();
}

#[test]
fn fixes() {
    let folder = folder("fixes");
    let mut client = Client::initialized(&folder);
    let main = uri(&folder.join("fixes.hd"));
    let source = "import fs\nlet word = 1\nprint(wrod)\nword = 2\n";
    client.open(&main, source);
    let params = json!({
        "textDocument": {"uri": main},
        "range": {"start": {"line": 0, "character": 0}, "end": {"line": 9, "character": 0}},
        "context": {"diagnostics": []},
    });
    let actions = client.ask("textDocument/codeAction", params);
    let actions = actions.as_array().expect("a list");
    let edits: Vec<(String, [u64; 4], String)> = actions
        .iter()
        .map(|action| {
            let edit = &action["edit"]["changes"][&main][0];
            (
                text(&action["title"]),
                range(&edit["range"]),
                text(&edit["newText"]),
            )
        })
        .collect();
    let expected = [
        ("remove the import", [0, 0, 1, 0], ""),
        ("write `word`", [2, 6, 2, 10], "word"),
        ("declare it with `var`", [1, 0, 1, 3], "var"),
    ];
    let expected = expected.map(|(title, range, text)| (title.into(), range, text.into()));
    assert_eq!(edits, expected);
    assert_eq!(actions[1]["diagnostics"][0]["code"], "E0201");
    client.end();
}

#[test]
fn hover() {
    let (mut client, main, _) = session("hover");
    for (mark, parts) in [
        (
            "print(dou^ble",
            &["fn double(value, times = 2)", "Twice as much."][..],
        ),
        ("si^ze(p)", &["fn area(p)"]),
        ("double(p.^x", &["field of Point"]),
        ("let p = Po^int", &["struct Point", "x, y = 0", "A place."]),
        ("^p.x", &["let p = Point(1, y: 2)", "Point"]),
        ("math.p^i", &["math.pi"]),
        ("^print(double", &["print("]),
        ("word.up^per", &["string.upper()", "upper case"]),
        ("shapes.ar^ea", &["fn area(p)"]),
        ("val^ue, times", &["value", "parameter"]),
        ("import ma^th", &["sin"]),
    ] {
        let found = client.ask_at("textDocument/hover", &main, MAIN, mark);
        let shown = text(&found["contents"]["value"]);
        for part in parts {
            assert!(shown.contains(part), "{mark}: {shown}");
        }
    }
    let nothing = client.ask_at("textDocument/hover", &main, MAIN, "fn^ double");
    assert_eq!(nothing, Value::Null);
    client.end();
}

#[test]
fn definitions_and_references() {
    let (mut client, main, shapes) = session("definitions");
    for (mark, file, line) in [
        ("print(dou^ble", &main, 5),
        ("va^lue * times", &main, 5),
        ("si^ze(p)", &shapes, 6),
        ("shapes.ar^ea", &shapes, 6),
        ("Po^int(1", &shapes, 1),
        ("double(p.^x", &shapes, 2),
        ("Point(1, ^y", &shapes, 3),
        ("sh^apes.area", &shapes, 0),
        ("\"./sh^apes.hd\" import", &shapes, 0),
    ] {
        let found = client.ask_at("textDocument/definition", &main, MAIN, mark);
        assert_eq!(found[0]["uri"], **file, "{mark}: {found}");
        assert_eq!(found[0]["range"]["start"]["line"], line, "{mark}: {found}");
    }
    let mut params = at(&main, MAIN, "si^ze(p)");
    params["context"] = json!({"includeDeclaration": true});
    let found = client.ask("textDocument/references", params);
    let places: Vec<(String, u64)> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(|place| (text(&place["uri"]), range(&place["range"])[0]))
        .collect();
    let expected = [
        (&main, 1),
        (&main, 1),
        (&main, 8),
        (&main, 8),
        (&shapes, 6),
        (&shapes, 7),
    ];
    let mut sorted = places.clone();
    sorted.sort();
    assert_eq!(sorted, expected.map(|(uri, line)| (uri.clone(), line)));
    let found = client.ask_at("textDocument/documentHighlight", &main, MAIN, "let ^p");
    assert_eq!(found.as_array().map(Vec::len), Some(4), "{found}");
    client.end();
}

#[test]
fn completion() {
    let (mut client, main, _) = session("completion");
    let cases: [(&str, &[&str], &[&str]); 9] = [
        (
            "dou",
            &["double", "print", "word", "let", "Point"],
            &["value", "upper"],
        ),
        ("word.", &["upper", "split"], &["push", "print", "x"]),
        ("p.", &["x", "y", "norm", "with"], &["upper", "print"]),
        ("shapes.", &["Point", "area"], &["x", "print"]),
        ("math.", &["pi", "sin"], &["area"]),
        ("double(", &["times:", "word"], &["upper"]),
        ("fn f(a) { let b = 1; ", &["a", "b", "double"], &["value"]),
        ("import ", &["fs", "json"], &["double"]),
        (
            "from \"./shapes.hd\" import ",
            &["Point", "area"],
            &["x", "double"],
        ),
    ];
    for (version, (written, wanted, unwanted)) in cases.into_iter().enumerate() {
        let source = format!("{MAIN}{written}\n");
        let change = json!({
            "textDocument": {"uri": main, "version": version + 2},
            "contentChanges": [{"text": source}],
        });
        client.tell("textDocument/didChange", change);
        let line = source.matches('\n').count() - 1;
        let found = client.ask(
            "textDocument/completion",
            json!({
                "textDocument": {"uri": main},
                "position": {"line": line, "character": written.chars().count()},
            }),
        );
        let labels: Vec<String> = found
            .as_array()
            .expect("a list")
            .iter()
            .map(|item| text(&item["label"]))
            .collect();
        for name in wanted {
            assert!(
                labels.contains(&name.to_string()),
                "{written}: no {name} in {labels:?}"
            );
        }
        for name in unwanted {
            assert!(!labels.contains(&name.to_string()), "{written}: {name}");
        }
    }
    let nothing = client.ask_at(
        "textDocument/completion",
        &main,
        &format!("{MAIN}from \"./shapes.hd\" import \n"),
        "## Twice^",
    );
    assert_eq!(nothing, json!([]));
    client.end();
}

#[test]
fn signatures() {
    let (mut client, main, _) = session("signatures");
    let source = format!("{MAIN}double(1, \n");
    client.open(&main, &source);
    let found = client.ask_at(
        "textDocument/signatureHelp",
        &main,
        &source,
        "double(1, ^\n",
    );
    assert_eq!(found["signatures"][0]["label"], "double(value, times = 2)");
    assert_eq!(found["activeParameter"], 1);
    let found = client.ask_at("textDocument/signatureHelp", &main, MAIN, "Point(1, y: ^2");
    assert_eq!(found["signatures"][0]["label"], "Point(x, y = 0)");
    assert_eq!(found["activeParameter"], 1);
    let found = client.ask_at("textDocument/signatureHelp", &main, MAIN, "word.upper(^)");
    assert_eq!(found["signatures"][0]["label"], "string.upper()");
    let nothing = client.ask_at("textDocument/signatureHelp", &main, MAIN, "let ^p");
    assert_eq!(nothing, Value::Null);
    client.end();
}

/// All edits of a rename, by file: line and text of each.
fn edits(result: &Value) -> Vec<(String, Vec<(u64, String)>)> {
    let changes = result["changes"].as_object().expect("changes");
    let file = |uri: &str| uri.rsplit('/').next().unwrap_or_default().to_string();
    let mut all: Vec<_> = changes
        .iter()
        .map(|(uri, edits)| {
            let edit = |edit: &Value| (range(&edit["range"])[0], text(&edit["newText"]));
            let edits = edits.as_array().expect("a list").iter().map(edit);
            (file(uri), edits.collect())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn rename() {
    let (mut client, main, shapes) = session("rename");
    let rename = |client: &mut Client, uri: &str, source: &str, mark: &str, new: &str| {
        let mut params = at(uri, source, mark);
        params["newName"] = new.into();
        client.try_ask("textDocument/rename", params)
    };
    let new = |line: u64, text: &str| (line, text.to_string());
    let one = |edits: Vec<(u64, String)>| vec![("main.hd".to_string(), edits)];

    let found = client.ask_at("textDocument/prepareRename", &main, MAIN, "print(dou^ble");
    assert_eq!(found["placeholder"], "double");
    let found = rename(&mut client, &main, MAIN, "print(dou^ble", "triple").expect("it can");
    assert_eq!(edits(&found), one(vec![new(5, "triple"), new(8, "triple")]));
    // A parameter, with the name in front of an argument; a module, which gets a name of its own; a name behind `as`.
    let found = rename(&mut client, &main, MAIN, "va^lue * times", "n").expect("it can");
    assert_eq!(edits(&found), one(vec![new(5, "n"), new(5, "n")]));
    let found = rename(&mut client, &main, MAIN, "ma^th.pi", "m").expect("it can");
    assert_eq!(edits(&found), one(vec![new(0, "math as m"), new(8, "m")]));
    let found = rename(&mut client, &main, MAIN, "si^ze(p)", "s").expect("it can");
    assert_eq!(edits(&found), one(vec![new(1, "s"), new(8, "s")]));
    // What another file exports is renamed in both.
    let found = rename(&mut client, &main, MAIN, "shapes.ar^ea", "surface").expect("it can");
    let expected = vec![
        (
            "main.hd".to_string(),
            vec![new(1, "surface"), new(8, "surface")],
        ),
        (
            "shapes.hd".to_string(),
            vec![new(6, "surface"), new(7, "surface")],
        ),
    ];
    assert_eq!(edits(&found), expected);
    let found = rename(&mut client, &shapes, SHAPES, "    ^x", "left").expect("it can");
    let expected = vec![
        ("main.hd".to_string(), vec![new(8, "left")]),
        (
            "shapes.hd".to_string(),
            vec![new(2, "left"), new(4, "left"), new(6, "left")],
        ),
    ];
    assert_eq!(edits(&found), expected);

    for (mark, name, reason) in [
        ("print(dou^ble", "if", "keyword"),
        ("print(dou^ble", "1st", "no name"),
        ("print(dou^ble", "a b", "no name"),
        ("print(dou^ble", "", "no name"),
        ("print(dou^ble", "word", "something else"),
        ("print(dou^ble", "math", "something else"),
        ("va^lue * times", "times", "something else"),
        ("^print(dou", "show", "library"),
        ("math.p^i", "tau", "math"),
        ("word.up^per", "loud", "library"),
        ("fn^ double", "x", "no name here"),
    ] {
        let error = rename(&mut client, &main, MAIN, mark, name).expect_err(mark);
        assert!(text(&error["message"]).contains(reason), "{mark}: {error}");
    }
    let error = client
        .try_ask("textDocument/prepareRename", at(&main, MAIN, "^print(dou"))
        .expect_err("it belongs to the library");
    assert_eq!(error["code"], -32803);
    client.end();
}

#[test]
fn symbols() {
    let (mut client, main, shapes) = session("symbols");
    let found = client.ask(
        "textDocument/documentSymbol",
        json!({"textDocument": {"uri": shapes}}),
    );
    let names = |list: &Value| -> Vec<String> {
        let all = list.as_array().expect("a list");
        all.iter().map(|symbol| text(&symbol["name"])).collect()
    };
    assert_eq!(names(&found), ["Point", "area", "area"]);
    assert_eq!(names(&found[0]["children"]), ["x", "y", "norm"]);
    assert_eq!(range(&found[0]["range"]), [1, 0, 5, 1]);
    assert_eq!(range(&found[0]["selectionRange"]), [1, 11, 1, 16]);
    let found = client.ask("workspace/symbol", json!({"query": "nrm"}));
    assert_eq!(names(&found), ["norm"]);
    assert_eq!(found[0]["containerName"], "Point");
    assert_eq!(found[0]["location"]["uri"], shapes);
    let found = client.ask("workspace/symbol", json!({"query": ""}));
    assert!(names(&found).contains(&"double".to_string()), "{found}");
    let found = client.ask(
        "textDocument/foldingRange",
        json!({"textDocument": {"uri": shapes}}),
    );
    assert_eq!(found, json!([{"startLine": 1, "endLine": 4}]));
    let _ = main;
    client.end();
}

#[test]
fn formatting() {
    let (mut client, main, _) = session("formatting");
    let params = json!({
        "textDocument": {"uri": main},
        "options": {"tabSize": 2, "insertSpaces": true},
    });
    client.open(&main, "let a = 1\nlet b=[a ,2]\nprint(b)\n");
    let found = client.ask("textDocument/formatting", params.clone());
    assert_eq!(range(&found[0]["range"]), [1, 0, 2, 0]);
    assert_eq!(found[0]["newText"], "let b = [a, 2]\n");
    client.open(&main, "let b = 1\n");
    assert_eq!(
        client.ask("textDocument/formatting", params.clone()),
        json!([])
    );
    client.open(&main, "let b = (1\n");
    let error = client.try_ask("textDocument/formatting", params);
    assert!(error.is_err());
    client.end();
}

#[test]
fn colours() {
    let folder = folder("colours");
    let mut client = Client::initialized(&folder);
    let main = uri(&folder.join("colours.hd"));
    client.open(&main, "# é\nfn f(a) { \"𝄞{a}\" }\nprint(f(1))\n");
    let found = client.ask(
        "textDocument/semanticTokens/full",
        json!({"textDocument": {"uri": main}}),
    );
    let data: Vec<u64> = found["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    let words: Vec<&[u64]> = data.chunks(5).collect();
    let expected: [[u64; 5]; 10] = [
        [0, 0, 3, 12, 0],
        [1, 0, 2, 11, 0],
        [0, 3, 1, 5, 1],
        [0, 2, 1, 8, 1],
        [0, 5, 4, 13, 0],
        [0, 4, 1, 8, 0],
        [0, 1, 2, 13, 0],
        [1, 0, 5, 5, 4],
        [0, 6, 1, 5, 0],
        [0, 2, 1, 14, 0],
    ];
    assert_eq!(words, expected);
    client.end();
}

#[test]
fn the_order_of_a_session() {
    let mut client = Client::start();
    let code = |error: Result<Value, Value>| error.expect_err("it is refused")["code"].clone();
    assert_eq!(
        code(client.try_ask("textDocument/hover", json!({}))),
        -32002
    );
    client.ask("initialize", json!({"capabilities": {}}));
    assert_eq!(code(client.try_ask("initialize", json!({}))), -32600);
    assert_eq!(code(client.try_ask("no/such/method", json!({}))), -32601);
    client.ask("shutdown", Value::Null);
    assert_eq!(
        code(client.try_ask("textDocument/hover", json!({}))),
        -32600
    );
    client.tell("exit", Value::Null);
    assert_eq!(client.exit_code(), Some(0));

    let mut client = Client::start();
    client.tell("exit", Value::Null);
    assert_eq!(client.exit_code(), Some(1));

    // The client is gone.
    let mut client = Client::start();
    client.input = None;
    assert_eq!(client.exit_code(), Some(1));
}

#[test]
fn what_cannot_be_read_is_answered() {
    let folder = folder("wrong");
    let mut client = Client::initialized(&folder);
    for (bytes, code) in [
        ("Content-Length: 3\r\n\r\n{x}", -32700),
        ("Content-Length: x\r\n\r\n", -32700),
        ("nonsense\r\n\r\n", -32700),
        ("Content-Length: 2\r\n\r\n[]", -32600),
        ("Content-Length: 4\r\n\r\nnull", -32600),
        ("Content-Length: 8\r\n\r\n{\"id\":1}", -32600),
    ] {
        client.send(bytes);
        let answer = client.answer();
        assert_eq!(answer["error"]["code"], code, "{bytes:?}: {answer}");
    }
    let deep = "[".repeat(100_000);
    client.send(&format!("Content-Length: {}\r\n\r\n{deep}", deep.len()));
    assert_eq!(client.answer()["error"]["code"], -32700);
    client.end();
}

#[test]
fn odd_parameters_are_refused() {
    let (mut client, main, _) = session("odd");
    let asked = [
        "textDocument/hover",
        "textDocument/completion",
        "textDocument/signatureHelp",
        "textDocument/definition",
        "textDocument/references",
        "textDocument/documentHighlight",
        "textDocument/documentSymbol",
        "workspace/symbol",
        "textDocument/codeAction",
        "textDocument/formatting",
        "textDocument/prepareRename",
        "textDocument/rename",
        "textDocument/foldingRange",
        "textDocument/semanticTokens/full",
    ];
    for method in asked {
        for params in [
            Value::Null,
            json!([]),
            json!({"textDocument": {}}),
            json!({"textDocument": {"uri": "file:///no/such/file.hd"}, "position": {"line": 0, "character": 0}}),
            json!({"textDocument": {"uri": "untitled:x"}, "position": {"line": 0, "character": 0}}),
        ] {
            let error = client.try_ask(method, params).expect_err(method);
            assert_eq!(error["code"], -32602, "{method}: {error}");
        }
        if matches!(method, "textDocument/hover" | "textDocument/rename") {
            for position in [
                json!({"line": -1, "character": 0}),
                json!({"line": 0}),
                json!("0:0"),
            ] {
                let params =
                    json!({"textDocument": {"uri": main}, "position": position, "newName": "x"});
                let error = client.try_ask(method, params).expect_err(method);
                assert_eq!(error["code"], -32602, "{method}: {error}");
            }
        }
    }
    // Places beyond the text are its ends.
    let far = json!({"line": 4_000_000_000_u64, "character": 99_999_999_999_u64});
    let params = json!({"textDocument": {"uri": main}, "position": far});
    assert_eq!(client.ask("textDocument/hover", params), Value::Null);
    // What is told about what is not open, or makes no sense, changes nothing.
    for (method, params) in [
        (
            "textDocument/didChange",
            json!({"textDocument": {"uri": "file:///x.hd"}, "contentChanges": [{"text": ""}]}),
        ),
        (
            "textDocument/didChange",
            json!({"textDocument": {"uri": main}, "contentChanges": [{"range": 3, "text": "("}]}),
        ),
        (
            "textDocument/didChange",
            json!({"textDocument": {"uri": main}, "contentChanges": 7}),
        ),
        (
            "textDocument/didOpen",
            json!({"textDocument": {"uri": main}}),
        ),
        ("textDocument/didClose", json!(null)),
        ("$/setTrace", json!({"value": "off"})),
    ] {
        client.tell(method, params);
    }
    let found = client.ask_at("textDocument/hover", &main, MAIN, "print(dou^ble");
    assert!(found.is_object(), "{found}");
    client.end();
}

#[test]
fn cancelled_requests_are_answered() {
    let (mut client, main, _) = session("cancelled");
    let params = at(&main, MAIN, "print(dou^ble");
    let ask =
        json!({"jsonrpc": "2.0", "id": "a", "method": "textDocument/hover", "params": params});
    let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "a"}});
    let frame = |message: &Value| {
        let body = message.to_string();
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    };
    client.send(&(frame(&ask) + &frame(&cancel)));
    // It may have been answered before the second message was read.
    let answer = client.answer();
    assert_eq!(answer["id"], "a");
    assert!(answer.get("result").is_some() || answer["error"]["code"] == -32800);
    client.end();
}
