//! The order of a session: initialize, requests, shutdown, exit; and what is answered to what does not keep it.
//!
//! One OS thread reads, one works. Diagnostics are made when nothing waits to be read: of a burst of edits only the last text is looked at.

use super::requests;
use super::wire::{self, Incoming};
use crate::text::{Position, Text};
use crate::workspace::Workspace;
use serde_json::{Value, json};
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};

// Codes of JSON-RPC and of the protocol.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
const NOT_INITIALIZED: i32 = -32002;
const CANCELLED: i32 = -32800;
pub(super) const REQUEST_FAILED: i32 = -32803;

/// Why a request has no result: a code and a sentence.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn params(message: impl Into<String>) -> Failure {
        Failure {
            code: INVALID_PARAMS,
            message: message.into(),
        }
    }
    pub(super) fn failed(message: impl Into<String>) -> Failure {
        Failure {
            code: REQUEST_FAILED,
            message: message.into(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Running,
    ShutDown,
}

/// A session without its streams: messages in, messages out.
pub struct Server {
    workspace: Workspace,
    state: State,
    /// Documents whose diagnostics are to be made.
    stale: BTreeSet<String>,
    exit: Option<u8>,
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl Server {
    pub fn new() -> Server {
        Server {
            workspace: Workspace::new(),
            state: State::New,
            stale: BTreeSet::new(),
            exit: None,
        }
    }

    /// The code to exit with, when the client has said so.
    pub fn exit(&self) -> Option<u8> {
        self.exit
    }

    /// The text of an open document.
    pub fn text(&self, uri: &str) -> Option<&str> {
        let document = self.workspace.opened(uri)?;
        Some(document.source())
    }

    /// Takes a message; gives the answer, if it was a request.
    pub fn handle(&mut self, message: &Value) -> Option<Value> {
        let id = message.get("id").filter(|id| !id.is_null());
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            // An answer to something that was asked: nothing is asked.
            let is_answer = message.get("result").is_some() || message.get("error").is_some();
            return (!is_answer).then(|| error(id, INVALID_REQUEST, "no method"));
        };
        let none = Value::Null;
        let params = message.get("params").unwrap_or(&none);
        let Some(id) = id else {
            let _ = self.guarded(method, |server| server.notified(method, params));
            return None;
        };
        let result = self.guarded(method, |server| server.asked(method, params));
        Some(match result {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err(failure) => error(Some(id), failure.code, &failure.message),
        })
    }

    /// The diagnostics of what has changed since they were made last.
    pub fn settle(&mut self) -> Vec<Value> {
        let stale = std::mem::take(&mut self.stale);
        let publish = |server: &mut Server, uri: &str| match server.workspace.opened(uri) {
            Some(document) => requests::published(&server.workspace, document),
            None => json!({"uri": uri, "diagnostics": []}),
        };
        stale
            .iter()
            .filter_map(|uri| {
                let method = "textDocument/publishDiagnostics";
                let params = self.guarded(method, |server| Ok(publish(server, uri)));
                let params = params.ok()?;
                Some(json!({"jsonrpc": "2.0", "method": method, "params": params}))
            })
            .collect()
    }

    /// A fault in one request must not end the session.
    fn guarded<T>(
        &mut self,
        method: &str,
        work: impl FnOnce(&mut Server) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // What was being found out about a document is found out anew when it is asked for again.
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            Err(Failure {
                code: INTERNAL_ERROR,
                message: format!("`{method}` failed by a fault of the server"),
            })
        })
    }

    fn asked(&mut self, method: &str, params: &Value) -> Result<Value, Failure> {
        let refuse = |code, message: &str| {
            Err(Failure {
                code,
                message: message.into(),
            })
        };
        match (self.state, method) {
            (State::New, "initialize") => {
                self.workspace.set_roots(&roots(params));
                self.state = State::Running;
                Ok(requests::capabilities())
            }
            (State::New, _) => refuse(NOT_INITIALIZED, "the session was not initialized"),
            (_, "initialize") => refuse(INVALID_REQUEST, "the session was initialized before"),
            (State::ShutDown, _) => refuse(INVALID_REQUEST, "the session was shut down"),
            (State::Running, "shutdown") => {
                self.state = State::ShutDown;
                Ok(Value::Null)
            }
            (State::Running, _) => match requests::answer(&self.workspace, method, params) {
                Some(result) => result,
                None => refuse(METHOD_NOT_FOUND, &format!("there is no method `{method}`")),
            },
        }
    }

    fn notified(&mut self, method: &str, params: &Value) -> Result<(), Failure> {
        if method == "exit" {
            self.exit = Some(u8::from(self.state != State::ShutDown));
            return Ok(());
        }
        if self.state != State::Running {
            return Ok(());
        }
        let document = params.get("textDocument").unwrap_or(&Value::Null);
        let uri = document.get("uri").and_then(Value::as_str);
        let version = document.get("version").and_then(Value::as_i64);
        match (method, uri) {
            ("textDocument/didOpen", Some(uri)) => {
                let text = document.get("text").and_then(Value::as_str);
                let text = text.ok_or_else(|| Failure::params("no text"))?;
                self.workspace.set(uri, version, Text::new(text.into()));
                self.stale.insert(uri.into());
            }
            ("textDocument/didChange", Some(uri)) => {
                let Some(document) = self.workspace.opened(uri) else {
                    return Err(Failure::params("the document is not open"));
                };
                let mut text = document.text.clone();
                let changes = params.get("contentChanges").and_then(Value::as_array);
                for change in changes.into_iter().flatten() {
                    text = changed(&text, change)?;
                }
                self.workspace.set(uri, version, text);
                self.stale.insert(uri.into());
            }
            ("textDocument/didClose", Some(uri)) => {
                self.workspace.close(uri);
                self.stale.insert(uri.into());
            }
            // What other files are may have changed what this one's imports are.
            ("textDocument/didSave" | "workspace/didChangeWatchedFiles", _) => {
                self.stale.extend(self.workspace.open_uris());
            }
            _ => {}
        }
        Ok(())
    }
}

fn error(id: Option<&Value>, code: i32, message: &str) -> Value {
    let id = id.unwrap_or(&Value::Null);
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

/// The client's folders.
fn roots(params: &Value) -> Vec<String> {
    let uri = |value: &Value| value.as_str().map(str::to_owned);
    let folders = params.get("workspaceFolders").and_then(Value::as_array);
    match folders {
        Some(folders) => folders
            .iter()
            .filter_map(|folder| folder.get("uri").and_then(uri))
            .collect(),
        None => params.get("rootUri").and_then(uri).into_iter().collect(),
    }
}

/// A text after one of the changes of `didChange`.
fn changed(text: &Text, change: &Value) -> Result<Text, Failure> {
    let new = change.get("text").and_then(Value::as_str);
    let new = new.ok_or_else(|| Failure::params("a change without text"))?;
    match change.get("range").filter(|range| !range.is_null()) {
        None => Ok(Text::new(new.into())),
        Some(range) => {
            let start = requests::position(range.get("start"))?;
            let end = requests::position(range.get("end"))?;
            let offset = |position: Position| text.offset(position);
            Ok(text.replaced(offset(start), offset(end), new))
        }
    }
}

/// Speaks with a client until it ends the session or the stream ends. The exit code: 0 if it was shut down first.
pub fn serve(input: impl Read + Send + 'static, mut output: impl Write) -> io::Result<u8> {
    let (sender, receiver) = mpsc::channel();
    let mut input = BufReader::new(input);
    std::thread::Builder::new()
        .name("lsp reader".into())
        .spawn(move || {
            while let Some(incoming) = next(&mut input) {
                if sender.send(incoming).is_err() {
                    break;
                }
            }
        })?;
    let mut server = Server::new();
    let mut waiting: VecDeque<Incoming> = VecDeque::new();
    loop {
        gather(&receiver, &mut waiting);
        let Some(incoming) = waiting.pop_front() else {
            for message in server.settle() {
                wire::write(&mut output, &message)?;
            }
            match receiver.recv() {
                Ok(incoming) => waiting.push_back(incoming),
                // The client is gone without a word.
                Err(_) => return Ok(1),
            }
            continue;
        };
        let answer = match incoming {
            Incoming::Wrong(message) => Some(error(None, PARSE_ERROR, &message)),
            Incoming::Message(message) => match message.get("id") {
                Some(id) if is_cancelled(id, &waiting) => {
                    Some(error(Some(id), CANCELLED, "the request was cancelled"))
                }
                _ => server.handle(&message),
            },
        };
        if let Some(answer) = answer {
            wire::write(&mut output, &answer)?;
        }
        if let Some(code) = server.exit() {
            return Ok(code);
        }
    }
}

fn next(input: &mut impl BufRead) -> Option<Incoming> {
    wire::read(input).ok().flatten()
}

/// Takes what has come without waiting for more.
fn gather(receiver: &Receiver<Incoming>, waiting: &mut VecDeque<Incoming>) {
    waiting.extend(receiver.try_iter());
}

fn is_cancelled(id: &Value, waiting: &VecDeque<Incoming>) -> bool {
    waiting.iter().any(|incoming| match incoming {
        Incoming::Message(message) => {
            message.get("method").and_then(Value::as_str) == Some("$/cancelRequest")
                && message.pointer("/params/id") == Some(id)
        }
        Incoming::Wrong(_) => false,
    })
}
