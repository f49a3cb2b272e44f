//! How long it takes from an edit in a program of 5,000 lines to its diagnostics, in the server itself: the message is parsed, the text edited, analysed, and the answer written.
//!
//! ```sh
//! cargo run --release -p heddle-lsp --example edit_times            # lines and edits may follow
//! ```

use heddle_lsp::Server;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const LINES: usize = 5000;
const EDITS: usize = 200;

/// A part of a program, with what programs have: types, closures, patterns, strings, errors, tests.
const PART: &str = r#"
## The orders of customer NUMBER, and what they come to.
struct OrdersNUMBER {
    customer
    var orders = []
    fn add(self, item, price, count = 1) {
        self.orders.push({item, price: price * count, count})
        self
    }
    fn total(self) { self.orders.map(|order| order.price).sum() }
    fn describe(self) {
        let lines = self.orders.map(|order| "{order.item:<12} {order.count:>3} {order.price:>8.2}")
        "{self.customer}\n{lines.join("\n")}\n{self.total():>24.2}"
    }
}
enum StateNUMBER { Open, Paid(when, how = "cash"), Lost(reason) }
fn follow_NUMBER(state, limit = 10) {
    var steps = 0
    while steps < limit {
        match state {
            StateNUMBER.Open => { steps += 1 }
            StateNUMBER.Paid(when, how) if when > steps => return "paid by {how} after {steps}"
            StateNUMBER.Paid(..) => break
            StateNUMBER.Lost(reason) => throw ValueError("lost: {reason}")
        }
    }
    try {
        let orders = OrdersNUMBER("customer NUMBER").add("warp", 2.5, count: 4).add("weft", 3.0)
        if orders.total() > 10.0 and steps >= 0 { print(orders.describe()) } else { print("little") }
    } catch e if e is TypeError {
        print("never", e.message)
    }
    steps
}
test "orders of NUMBER" {
    assert OrdersNUMBER("a").add("b", 1, count: 3).total() == 3
    assert follow_NUMBER(StateNUMBER.Open, limit: 2) == 2
}
"#;

fn program(lines: usize) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.matches('\n').count() < lines {
        let part = PART
            .replace("}}", "}")
            .replace("NUMBER", &number.to_string());
        let _ = write!(text, "{part}");
        number += 1;
    }
    text.lines()
        .take(lines)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn tell(server: &mut Server, message: &str) -> usize {
    let message: Value = serde_json::from_str(message).expect("it is JSON");
    assert!(server.handle(&message).is_none());
    server
        .settle()
        .iter()
        .map(|message| message.to_string().len())
        .sum()
}

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number"));
    let (lines, edits) = (
        numbers.next().unwrap_or(LINES),
        numbers.next().unwrap_or(EDITS),
    );
    // Only whole parts parse.
    let text = program(lines - lines % PART.matches('\n').count());
    let count = text.matches('\n').count();
    println!("{count} lines, {} bytes", text.len());
    let mut server = Server::new();
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}});
    server.handle(&initialize);
    let uri = "file:///program.hd";
    let document = json!({"uri": uri, "version": 0, "text": text});
    let open = json!({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}});
    tell(&mut server, &open.to_string());
    let mut times: Vec<Duration> = Vec::new();
    for edit in 0..edits {
        // A letter is typed in a line, then taken away again; every fourth time it is a bracket, and the file does not parse.
        let line = (edit / 2 * 7919) % count;
        let (end, new) = match (edit % 2, edit % 8) {
            (0, 6) => (0, "("),
            (0, _) => (0, "#"),
            _ => (1, ""),
        };
        let range = json!({"start": {"line": line, "character": 0}, "end": {"line": line, "character": end}});
        let change = json!({
            "jsonrpc": "2.0",
            "method": "textDocument/didChange",
            "params": {"textDocument": {"uri": uri, "version": edit + 1}, "contentChanges": [{"range": range, "text": new}]},
        });
        let message = change.to_string();
        let start = Instant::now();
        tell(&mut server, &message);
        times.push(start.elapsed());
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "median {:.1} ms, 95 of 100 within {:.1} ms, longest {:.1} ms",
        at(50),
        at(95),
        at(100)
    );
    // What follows an edit in an editor, on the same document.
    for method in [
        "textDocument/semanticTokens/full",
        "textDocument/documentSymbol",
        "textDocument/completion",
        "textDocument/hover",
        "textDocument/references",
        "textDocument/formatting",
    ] {
        let params =
            json!({"textDocument": {"uri": uri}, "position": {"line": 20, "character": 12}});
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let start = Instant::now();
        let answer = server
            .handle(&message)
            .expect("requests are answered")
            .to_string();
        println!(
            "{method}: {:.1} ms, {} bytes",
            start.elapsed().as_secs_f64() * 1e3,
            answer.len()
        );
    }
}
