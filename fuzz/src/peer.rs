//! The same programs in another process: this code built with the other dispatch of the interpreter.
//!
//! Both sides send a length of eight bytes (little-endian) and so much text: a program there, what it printed and how it ended back.
//! The length `FRESH` instead asks for a new engine. What a program prints may depend on those that its engine ran before, so both
//! sides take new engines at the same times.

use super::run::{Machine, Outcome};
use heddle::Stress;
use std::io::{self, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Names the program to ask, for those who cannot be given an argument.
pub const VARIABLE: &str = "HEDDLE_PEER";

const FRESH: u64 = u64::MAX;

/// A process that answers: `replay --serve`.
pub struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    pub fn start(program: &str) -> Peer {
        let mut child = Command::new(program)
            .arg("--serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let questions = child.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("it is a pipe"));
        Peer {
            child,
            questions,
            answers,
        }
    }
    /// The peer that the environment names, if any.
    pub fn of_environment() -> Option<Peer> {
        std::env::var(VARIABLE)
            .ok()
            .filter(|program| !program.is_empty())
            .map(|program| Peer::start(&program))
    }

    /// The next program runs in a new engine.
    pub fn renew(&mut self) {
        let sent = self.questions.write_all(&FRESH.to_le_bytes());
        self.went_on(sent);
    }
    /// What the program does there.
    pub fn run(&mut self, source: &str) -> Outcome {
        let sent = send(&mut self.questions, source);
        self.went_on(sent);
        let received = length(&mut self.answers).and_then(|count| text(&mut self.answers, count));
        Outcome {
            text: self.went_on(received),
        }
    }
    /// Panics with the end of the other process if it ended.
    fn went_on<T>(&mut self, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            panic!("the other dispatch ended: {error}, {:?}", self.child.wait())
        })
    }
}

/// Answers a peer until it goes.
pub fn serve() {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut machine = None;
    while let Ok(count) = length(&mut input) {
        if count == FRESH {
            machine = None;
            continue;
        }
        let source = text(&mut input, count).expect("a whole program comes");
        let machine = machine.get_or_insert_with(|| Machine::new(Stress::None));
        send(&mut output, &machine.run(&source).text).expect("somebody reads");
    }
}

fn send(output: &mut impl Write, text: &str) -> io::Result<()> {
    let mut message = (text.len() as u64).to_le_bytes().to_vec();
    message.extend_from_slice(text.as_bytes());
    output.write_all(&message)?;
    output.flush()
}
fn length(input: &mut impl Read) -> io::Result<u64> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    Ok(u64::from_le_bytes(length))
}
fn text(input: &mut impl Read, count: u64) -> io::Result<String> {
    let mut text = vec![0; count as usize];
    input.read_exact(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}
