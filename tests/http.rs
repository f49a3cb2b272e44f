//! `http` with programs that others wrote: `curl` asks a server of ours, as browsers do, too; `python3 -m http.server` and `nginx` answer a client of ours. What is not installed is skipped, with a message.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
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
    let version = if program == "nginx" {
        "-v"
    } else {
        "--version"
    };
    let found = Command::new(program)
        .arg(version)
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
        "/tagged" => {
            let tag = "\"v1\""
            if req.headers.get("if-none-match") == tag { http.Response(304, nil, {etag: tag}) } else { http.Response(200, "tagged\n", {etag: tag}) }
        }
        "/part" => {
            let [first, last] = req.headers.get("range").trim_start("bytes=").split("-").map(|n| int(n))
            http.Response(206, "0123456789"[first..=last], {"content-range": "bytes {first}-{last}/10"})
        }
        "/late" => { sleep(20ms); req.query.get("n") }
        _ => http.Response(404, "nothing here\n")
    }
}
let server = http.listen("127.0.0.1:0", max_body: 4mb TLS)
print(server.port)
io.flush()
server.serve(handler)
"#;

/// A certificate or key of those that the scripts' tests use.
fn pem(name: &str) -> String {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join(CERTIFICATES);
    let all = fs::read_to_string(all).expect("the certificates are there");
    let start = format!("pub let {name} = \"\"\"\n");
    let (_, rest) = all.split_once(&start).expect("there is one of that name");
    rest.split("\"\"\"").next().unwrap_or_default().into()
}
const CERTIFICATES: &str = "../tests/scripts/net/_lib/certificates.hd";

/// `SERVER` without or with TLS.
fn plain_server() -> String {
    SERVER.replace(" TLS", "")
}
fn secure_server(folder: &Path) -> String {
    for name in ["CERT", "KEY", "CA"] {
        fs::write(folder.join(name), pem(name)).expect("a file can be written");
    }
    let file = |name| folder.join(name).display().to_string();
    let tls = format!(
        r#", tls: {{cert: "{}", key: "{}"}}"#,
        file("CERT"),
        file("KEY")
    );
    SERVER.replace(" TLS", &tls)
}

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

fn run_curl(base: &str, arguments: &[&str]) -> std::process::Output {
    let arguments = arguments.iter().map(|a| a.replace("URL", base));
    Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "30"])
        .args(arguments)
        .output()
        .expect("curl can be run")
}
fn curl(port: u16, arguments: &[&str]) -> String {
    curl_at(&format!("http://127.0.0.1:{port}"), arguments)
}
fn curl_at(base: &str, arguments: &[&str]) -> String {
    let out = run_curl(base, arguments);
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
    let (_server, port) = serve("curl", &plain_server(), plainly);
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
fn curl_asks_our_server_over_tls() {
    if !is_there("curl") {
        return;
    }
    let folder = folder("secure");
    let (_server, port) = serve("secure", &secure_server(&folder), plainly);
    let base = format!("https://localhost:{port}");
    let ca = folder.join("CA").display().to_string();
    let with = |more: &[&str]| {
        let trusted = ["--ipv4", "--cacert", &ca];
        curl_at(&base, &[&trusted, more].concat())
    };
    assert_eq!(with(&["URL/hello"]), "hello\n");
    assert_eq!(with(&["--tls-max", "1.2", "URL/hello"]), "hello\n");
    assert_eq!(with(&["URL/parts"]), "part 0\npart 1\npart 2\n");
    // Its end is that of the connection, which must be announced.
    assert_eq!(
        with(&["--http1.0", "URL/parts"]),
        "part 0\npart 1\npart 2\n"
    );
    assert_eq!(with(&["URL/long"]).len(), 2_000_000);
    assert_eq!(with(&["--http1.0", "URL/long"]).len(), 2_000_000);
    let file = folder.join("data");
    fs::write(&file, vec![b'x'; 3_000_000]).expect("a file can be written");
    let data = format!("@{}", file.display());
    assert_eq!(with(&["--data-binary", &data, "URL/count"]), "3000000\n");
    // One connection for all, and no other protocol.
    let told = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_version} %{num_connects}\n",
    ];
    let again = [&told[..], &["URL/hello"], &told[..2], &["URL/hello"]].concat();
    assert_eq!(with(&again), "1.1 1\n1.1 0\n");
    // Whom curl does not trust it does not ask.
    let refused = run_curl(&base, &["--ipv4", "URL/hello"]);
    assert_eq!(refused.status.code(), Some(60), "{refused:?}");
    assert_eq!(with(&["URL/hello"]), "hello\n");
}

/// The answers to so many requests, which come in order.
fn answers(stream: &TcpStream, count: usize) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut all = Vec::new();
    for _ in 0..count {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            reader.read_line(&mut line).expect("the server answers");
            let lower = line.to_lowercase();
            if let Some(n) = lower.strip_prefix("content-length:") {
                length = n.trim().parse().expect("it is a number");
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body comes");
        all.push(String::from_utf8(body).expect("it is text"));
    }
    all
}

/// As browsers ask: over several connections that are kept, several requests before the first answer, again for what they have, for parts.
#[test]
fn a_browser_asks_our_server() {
    let (_server, port) = serve("browser", &plain_server(), plainly);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).expect("it can be set");
        stream
    };
    let request = |n: usize| format!("GET /late?n={n} HTTP/1.1\r\nHost: x\r\n\r\n");
    // Six connections, each used again and again, with all answers outstanding at a time.
    let mut six: Vec<TcpStream> = (0..6).map(|_| connect()).collect();
    for round in 0..3 {
        for (i, stream) in six.iter_mut().enumerate() {
            let text = request(10 * round + i);
            stream.write_all(text.as_bytes()).expect("it is open");
        }
        for (i, stream) in six.iter().enumerate() {
            assert_eq!(answers(stream, 1), [(10 * round + i).to_string()]);
        }
    }
    // Requests one behind the other, and an end.
    let all: String = (0..50).map(request).collect();
    let last = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    six[0]
        .write_all((all + last).as_bytes())
        .expect("it is open");
    let mut expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    expected.push("hello\n".into());
    assert_eq!(answers(&six[0], 51), expected);
    assert_eq!(six[0].read(&mut [0]).expect("it ends"), 0);

    if !is_there("curl") {
        return;
    }
    let code = ["--output", "/dev/null", "--write-out", "%{http_code}\n"];
    let with = |more: &[&str]| curl(port, &[&code[..], more].concat());
    let parallel = with(&["--parallel", "--parallel-max", "8", "URL/late?n=[1-40]"]);
    assert_eq!(parallel, "200\n".repeat(40));
    assert_eq!(
        curl(port, &["--http1.1", "--compressed", "URL/hello"]),
        "hello\n"
    );
    let head = curl(port, &["-I", "URL/long"]).to_lowercase();
    assert!(head.contains("content-length: 2000000"), "{head}");
    // What it has already, and parts.
    assert_eq!(curl(port, &["URL/tagged"]), "tagged\n");
    assert_eq!(
        with(&["--header", "If-None-Match: \"v1\"", "URL/tagged"]),
        "304\n"
    );
    assert_eq!(curl(port, &["--range", "2-5", "URL/part"]), "2345");
    assert_eq!(with(&["--range", "2-5", "URL/part"]), "206\n");
    // Leave to send is given when the body is asked for.
    let waits = [
        "--expect100-timeout",
        "25",
        "--header",
        "Expect: 100-continue",
    ];
    let data = ["--data", "some data", "URL/echo"];
    assert_eq!(curl(port, &[&waits[..], &data].concat()), "some data");
    // Whoever wants no connection kept gets a new one.
    let connects = ["--output", "/dev/null", "--write-out", "%{num_connects}\n"];
    let closing = ["--header", "Connection: close", "URL/hello"];
    let twice = [&connects[..], &closing, &connects[..2], &["URL/hello"]].concat();
    assert_eq!(curl(port, &twice), "1\n1\n");
}

/// A port that was free just now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

#[test]
fn our_client_asks_nginx() {
    if !is_there("nginx") {
        return;
    }
    let folder = folder("nginx");
    let path = |name: &str| folder.join(name).display().to_string();
    fs::create_dir_all(folder.join("www/inner")).expect("a folder can be made");
    for (name, content) in [
        ("www/small.txt", "a file\n".into()),
        ("www/long.bin", "0123456789".repeat(100_000)),
        // Of what nginx puts together it does not know the length.
        (
            "www/parts.shtml",
            "a<!--# echo var=\"none\" default=\"b\" -->c".into(),
        ),
        ("CERT", pem("CERT")),
        ("KEY", pem("KEY")),
        ("CA", pem("CA")),
    ] {
        fs::write(folder.join(name), content).expect("a file can be written");
    }
    let (port, secure) = (free_port(), free_port());
    let config = format!(
        "daemon off; master_process off; pid {pid}; error_log stderr;
        events {{ worker_connections 64; }}
        http {{
            access_log off; default_type text/plain;
            client_body_temp_path {temp}; proxy_temp_path {temp}; fastcgi_temp_path {temp}; uwsgi_temp_path {temp}; scgi_temp_path {temp};
            server {{
                listen 127.0.0.1:{port};
                listen 127.0.0.1:{secure} ssl;
                ssl_certificate {cert};
                ssl_certificate_key {key};
                root {www};
                location = /moved {{ return 301 /small.txt; }}
                location = /up {{ return 302 https://localhost:{secure}/small.txt; }}
                location = /limited {{ client_max_body_size 1k; }}
                location = /parts.shtml {{ ssi on; ssi_types text/plain; }}
            }}
        }}",
        pid = path("pid"),
        temp = path("temp"),
        cert = path("CERT"),
        key = path("KEY"),
        www = path("www"),
    );
    fs::write(folder.join("nginx.conf"), config).expect("a file can be written");
    let child = Command::new("nginx")
        .args(["-p", &path(""), "-c", &path("nginx.conf")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx can be started");
    let mut server = Running(child);
    // It says nothing when it is ready.
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let has_ended = server.0.try_wait().expect("it is a child").is_some();
        assert!(!has_ended, "nginx has ended: see its configuration");
        std::thread::sleep(Duration::from_millis(10));
    }
    let program = r#"
import http, os
let [base, secure, ca] = os.args
let small = http.get("{base}/small.txt")
print(small.status, small.text().trim(), small.headers.get("server").starts_with("nginx"))
print(http.get("{base}/small.txt", headers: {"If-None-Match": small.headers.get("etag")}).status)
let part = http.get("{base}/long.bin", headers: {Range: "bytes=10-19"})
print(part.status, part.text(), part.headers.get("content-range"))
print(http.get("{base}/long.bin").bytes().len(), http.head("{base}/long.bin").headers.get("content-length"))
let parts = http.get("{base}/parts.shtml")
print(parts.text(), parts.headers.get("transfer-encoding"))
print(http.get("{base}/moved").url == "{base}/small.txt", http.get("{base}/inner").url == "{base}/inner/")
print(http.get("{base}/nowhere").status, http.post("{base}/limited", "x" * 20_000_000).status)
var n = 0
for piece in http.get("{base}/long.bin", stream: true).stream() { n += piece.len() }
print(n)
let many = list(0..30).map(|i| spawn http.get("{base}/long.bin"))
print(many.map(|t| t.join().bytes().len()).sum())
let tls = {roots: ca}
print(http.get("{secure}/small.txt", tls: tls).text().trim(), http.get("{secure}/long.bin", tls: tls).bytes().len())
print(http.get("{base}/up", tls: tls).url == "{secure}/small.txt")
print(try { http.get("{secure}/small.txt") } catch e { e.data })
"#;
    let outcome = Program::heddle()
        .args(["-e", program])
        .arg(format!("http://localhost:{port}"))
        .arg(format!("https://localhost:{secure}"))
        .arg(path("CA"))
        .run();
    assert_eq!(
        outcome.stdout,
        "200 a file true\n304\n206 0123456789 bytes 10-19/1000000\n1000000 1000000\nabc chunked\ntrue true\n404 413\n1000000\n30000000\na file 1000000\ntrue\ncertificate\n",
        "{}",
        outcome.stderr
    );
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
    let (_server, port) = serve("descriptors", &plain_server(), |heddle, path| {
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
