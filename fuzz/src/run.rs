//! Runs a program under limits and compares runs of it.

use super::peer::Peer;
use heddle::{Engine, Stress};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// Calls and turns of loops that a program may make.
const FUEL: u64 = 20_000;
/// Memory that a program may take. Where it ends depends on when collections happen, so programs that meet it are not compared.
const MEMORY: usize = 32 << 20;
/// Frames that a program may nest.
const DEPTH: usize = 300;
/// What is kept of a program's output.
const OUTPUT: usize = 1 << 20;

/// What a program printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub text: String,
}

/// Keeps the beginning of what is written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut kept = self.0.lock().expect("no writer panics");
        let room = OUTPUT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An engine and what programs print in it.
pub(crate) struct Machine {
    engine: Engine,
    output: Output,
}

impl Machine {
    pub(crate) fn new(stress: Stress) -> Machine {
        let output = Output::default();
        let engine = Engine::builder()
            .memory_limit(MEMORY)
            .depth_limit(DEPTH)
            .stress(stress)
            .output(output.clone())
            .build();
        Machine { engine, output }
    }
    /// Runs bytecode, which may do anything but harm.
    pub(crate) fn run_code(&mut self, code: &heddle_vm::bytecode::ModuleCode) {
        self.engine.set_fuel_limit(FUEL);
        if let Err(error) = self.engine.run_code(code) {
            error.render();
        }
        let _ = self.engine.flush();
        self.output.0.lock().expect("no writer panics").clear();
    }
    pub(crate) fn run(&mut self, source: &str) -> Outcome {
        self.engine.set_fuel_limit(FUEL);
        let end = match self.engine.run_str("fuzz", source) {
            Ok(()) => "ended".to_string(),
            Err(error) if error.kind() == "SyntaxError" => {
                panic!(
                    "what was made does not compile\n{}\n{source}",
                    error.render()
                )
            }
            Err(error) => error.render(),
        };
        let _ = self.engine.flush();
        let bytes = std::mem::take(&mut *self.output.0.lock().expect("no writer panics"));
        Outcome {
            text: String::from_utf8_lossy(&bytes).into_owned() + "\n--- " + &end,
        }
    }
}

/// Whether the program met a limit. Where memory ends depends on when collections happen, and where fuel ends on how often natives are run
/// again after one; all that is the same under both dispatches.
fn meets_limit(outcome: &Outcome) -> bool {
    outcome.text.contains("LimitError") || outcome.text.contains("memory limit")
}

/// The first line in which two outcomes differ, for messages.
pub fn difference(one: &Outcome, other: &Outcome) -> String {
    let lines = one.text.lines().zip(other.text.lines());
    match lines.enumerate().find(|(_, (a, b))| a != b) {
        Some((i, (a, b))) => format!("line {} of the output:\n{a}\n{b}", i + 1),
        None => format!(
            "{} lines and {} lines of output",
            one.text.lines().count(),
            other.text.lines().count()
        ),
    }
}

fn compare(what: &str, usual: &Outcome, other: &Outcome) -> Result<(), String> {
    if usual == other {
        return Ok(());
    }
    Err(format!(
        "{what} makes a difference: {}",
        difference(usual, other)
    ))
}

/// Runs programs plain, with a collection at every allocation and, if there is a peer, under the other dispatch.
pub struct Trio {
    usual: Machine,
    stressed: Machine,
    peer: Option<Peer>,
    /// Programs that these engines have run. Making an engine takes longer than running a program, so one serves several.
    runs: usize,
}

impl Trio {
    pub fn new(peer: Option<Peer>) -> Trio {
        Trio {
            usual: Machine::new(Stress::None),
            stressed: Machine::new(Stress::Collect),
            peer,
            runs: 0,
        }
    }

    /// What the program does, or what makes a difference to it.
    pub fn run(&mut self, source: &str) -> Result<Outcome, String> {
        if self.runs == 30 {
            self.renew();
        }
        self.runs += 1;
        let usual = self.usual.run(source);
        let stressed = self.stressed.run(source);
        if let Some(peer) = &mut self.peer {
            compare("the other dispatch", &usual, &peer.run(source))?;
        }
        if meets_limit(&usual) || meets_limit(&stressed) {
            // What comes after it, such as the numbers of tasks, may differ from now on.
            self.renew();
        } else {
            compare("a collection at every allocation", &usual, &stressed)?;
        }
        Ok(usual)
    }
    fn renew(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.renew();
        }
        *self = Trio::new(self.peer.take());
    }

    /// Panics if anything makes a difference.
    pub fn check(&mut self, source: &str) {
        if let Err(difference) = self.run(source) {
            panic!("{difference}\n--- program\n{source}");
        }
    }
}
