//! `http` with programs that others wrote: `curl` asks a server of ours, `python3 -m http.server` answers a client of ours. What is not installed is skipped, with a message.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

#[path = "support/mod.rs"]
mod support;
use support::{Program, binary};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("http")
        .join(name);
    fs::create_dir_all(&folder).expect("the folder for generated files can be made");
    folder
}

/// Whether a program can be run; if not, the test has nothing to say.
fn is_there(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("skipped: there is no {program}");
    }
    found
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const SERVER: &str = r#"
import http, io
gen fn parts() { for i in 0..3 { yield "part {i}\n" } }
fn handler(req) {
    match req.path {
        "/hello" => "hello\n"
        "/json" => {method: req.method, query: req.query, agent: req.headers.get("User-Agent").starts_with("curl")}
        "/echo" => req.body()
        "/count" => { var n = 0; for piece in req.stream() { n += piece.len() }; "{n}\n" }
        "/parts" => parts()
        "/away" => http.Response(302, nil, {Location: "/hello"})
        "/long" => "0123456789" * 200_000
        _ => http.Response(404, "nothing here\n")
    }
}
let server = http.listen("127.0.0.1:0", max_body: 4mb)
print(server.port)
io.flush()
server.serve(handler)
"#;

/// Starts a server of ours; its port.
fn serve(name: &str, text: &str, wrap: impl FnOnce(&str, &PathBuf) -> Command) -> (Running, u16) {
    let path = folder(name).join("server.hd");
    fs::write(&path, text).expect("a program can be written");
    let heddle = binary().into_string().expect("the program's path is text");
    let mut child = wrap(&heddle, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server can be started");
    let mut line = String::new();
    let out = child.stdout.take().expect("it is a pipe");
    BufReader::new(out)
        .read_line(&mut line)
        .expect("the server tells its port");
    let port = line.trim().parse().expect("it is a port");
    (Running(child), port)
}
fn plainly(heddle: &str, path: &PathBuf) -> Command {
    let mut command = Command::new(heddle);
    command.arg("run").arg(path);
    command
}

fn curl(port: u16, arguments: &[&str]) -> String {
    let arguments = arguments
        .iter()
        .map(|a| a.replace("URL", &format!("http://127.0.0.1:{port}")));
    let out = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30"])
        .args(arguments)
        .output()
        .expect("curl can be run");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn curl_asks_our_server() {
    if !is_there("curl") {
        return;
    }
    let (_server, port) = serve("curl", SERVER, plainly);
    assert_eq!(curl(port, &["URL/hello"]), "hello\n");
    assert_eq!(curl(port, &["--http1.0", "URL/hello"]), "hello\n");
    assert_eq!(
        curl(port, &["URL/json?a=1&b=x%20y"]),
        r#"{"method":"GET","query":{"a":"1","b":"x y"},"agent":true}"#
    );
    assert_eq!(curl(port, &["--data", "a=b", "URL/echo"]), "a=b");
    assert_eq!(curl(port, &["URL/parts"]), "part 0\npart 1\npart 2\n");
    assert_eq!(
        curl(port, &["--http1.0", "URL/parts"]),
        "part 0\npart 1\npart 2\n"
    );
    assert_eq!(curl(port, &["--location", "URL/away"]), "hello\n");
    assert_eq!(curl(port, &["URL/long"]).len(), 2_000_000);
    let status = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code} %{num_connects}\n",
    ];
    let with = |more: &[&'static str]| curl(port, &[&status[..], more].concat());
    assert_eq!(with(&["URL/nowhere"]), "404 1\n");
    // One connection for all.
    let again = [&["URL/hello"], &status[..2], &["URL/hello"]].concat();
    assert_eq!(with(&again), "200 1\n200 0\n");
    let head = curl(port, &["--head", "URL/hello"]).to_lowercase();
    assert!(
        head.starts_with("http/1.1 200 ok") && head.contains("content-length: 6"),
        "{head}"
    );

    // curl asks for leave to send what is long, and sends what has no length in chunks.
    let file = folder("curl").join("data");
    fs::write(&file, vec![b'x'; 3_000_000]).expect("a file can be written");
    let name = format!("@{}", file.display());
    assert_eq!(
        curl(port, &["--data-binary", &name, "URL/count"]),
        "3000000\n"
    );
    let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary"];
    let chunked = [&chunked[..], &[&name, "URL/count"]].concat();
    assert_eq!(curl(port, &chunked), "3000000\n");
    fs::write(&file, vec![b'x'; 5_000_000]).expect("a file can be written");
    let too_long = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "--header",
    ];
    let too_long = [
        &too_long[..],
        &["Expect: 100-continue", "--data-binary", &name, "URL/count"],
    ];
    assert_eq!(curl(port, &too_long.concat()), "413");
    assert_eq!(curl(port, &["URL/hello"]), "hello\n");
}

#[test]
fn our_client_asks_a_server_in_python() {
    if !is_there("python3") {
        return;
    }
    let folder = folder("python");
    fs::write(folder.join("small.txt"), "a file\n").expect("a file can be written");
    fs::write(folder.join("long.bin"), vec![7; 1_000_000]).expect("a file can be written");
    fs::create_dir_all(folder.join("inner")).expect("a folder can be made");
    let mut child = Command::new("python3")
        .args([
            "-u",
            "-m",
            "http.server",
            "--bind",
            "127.0.0.1",
            "0",
            "--directory",
        ])
        .arg(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("python3 can be started");
    let mut line = String::new();
    let out = child.stdout.take().expect("it is a pipe");
    let _server = Running(child);
    // `Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ...`
    BufReader::new(out)
        .read_line(&mut line)
        .expect("the server tells its port");
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| *word == "port")
        .expect("it says its port");
    let program = r#"
import http, os
let base = "http://127.0.0.1:{os.args[0]}"
let small = http.get("{base}/small.txt")
print(small.status, small.text().trim(), small.headers.get("content-type"))
print(http.get("{base}/long.bin").bytes().len(), http.head("{base}/long.bin").headers.get("content-length"))
let dir = http.get("{base}/inner")
print(dir.status, dir.url == base + "/inner/")
print(http.get("{base}/nowhere").status, http.post("{base}/small.txt", "x").status)
var n = 0
for piece in http.get("{base}/long.bin", stream: true).stream() { n += piece.len() }
print(n)
"#;
    let outcome = Program::heddle().args(["-e", program, words[at + 1]]).run();
    assert_eq!(
        outcome.stdout, "200 a file text/plain\n1000000 1000000\n200 true\n404 501\n1000000\n",
        "{}",
        outcome.stderr
    );
}

/// One request on a connection of its own: the status line.
fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().into())
}

/// Whose descriptors are all in use goes on to accept when some come back.
#[test]
#[cfg(unix)]
fn a_server_without_descriptors_goes_on() {
    let (_server, port) = serve("descriptors", SERVER, |heddle, path| {
        let mut command = Command::new("sh");
        let script = "ulimit -n 40 && exec \"$0\" run \"$1\"";
        command.args(["-c", script, heddle]).arg(path);
        command
    });
    let open = || TcpStream::connect(("127.0.0.1", port)).expect("the system takes the connection");
    let mut held: Vec<TcpStream> = (0..80).map(|_| open()).collect();
    // Some are served, the others wait for descriptors.
    held[0]
        .write_all(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("it is open");
    let mut byte = [0];
    held[0].read_exact(&mut byte).expect("it is answered");
    drop(held);
    for _ in 0..100 {
        assert_eq!(ask(port).expect("it is answered"), "HTTP/1.1 200 OK");
    }
}
