//! Standard output of scripts and messages on standard error.
//!
//! Lines to a terminal are written at once; elsewhere output is gathered. Nobody reading any more ends the program silently,
//! as SIGPIPE would.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, LineWriter, Write};

/// The exit code of a process that SIGPIPE ends, as shells show it.
const BROKEN_PIPE: i32 = 128 + 13;

/// Bytes gathered before they are written.
const GATHERED: usize = 32 << 10;

struct StandardOutput(io::Stdout);

impl Write for StandardOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        end_if_broken(self.0.lock().write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        end_if_broken(self.0.lock().flush())
    }
}

fn end_if_broken<T>(result: io::Result<T>) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(BROKEN_PIPE),
        other => other,
    }
}

/// Where scripts print.
pub(crate) fn for_scripts() -> Box<dyn Write + Send> {
    let stdout = StandardOutput(io::stdout());
    if io::stdout().is_terminal() {
        Box::new(LineWriter::new(stdout))
    } else {
        Box::new(BufWriter::with_capacity(GATHERED, stdout))
    }
}

/// A message on standard error; that nobody can read it is no reason to fail.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether messages on standard error are coloured.
pub(crate) fn is_coloured() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is_dumb = || std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || io::stderr().is_terminal() && !is_dumb())
}
