//! Runs a program under limits and compares runs of it.

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
struct Machine {
    engine: Engine,
    output: Output,
}

impl Machine {
    fn new(stress: Stress) -> Machine {
        let output = Output::default();
        let engine = Engine::builder()
            .memory_limit(MEMORY)
            .depth_limit(DEPTH)
            .stress(stress)
            .output(output.clone())
            .build();
        Machine { engine, output }
    }
    fn run(&mut self, source: &str) -> Outcome {
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

/// Runs a program in an engine of its own.
pub fn run(source: &str, stress: Stress) -> Outcome {
    Machine::new(stress).run(source)
}

/// Whether two runs of one program could both be right.
pub fn agree(one: &Outcome, other: &Outcome) -> bool {
    let meets_limit = |outcome: &Outcome| {
        outcome.text.contains("LimitError") || outcome.text.contains("memory limit")
    };
    one == other || meets_limit(one) || meets_limit(other)
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

/// Runs programs with and without a collection at every allocation.
pub struct Pair {
    usual: Machine,
    stressed: Machine,
    /// Programs that these engines have run. Making an engine takes longer than running a program, so one serves several.
    runs: usize,
}

impl Default for Pair {
    fn default() -> Pair {
        Pair {
            usual: Machine::new(Stress::None),
            stressed: Machine::new(Stress::Collect),
            runs: 0,
        }
    }
}

impl Pair {
    /// Panics if the collections make a difference.
    pub fn check(&mut self, source: &str) {
        if self.runs == 30 {
            *self = Pair::default();
        }
        self.runs += 1;
        let (usual, stressed) = (self.usual.run(source), self.stressed.run(source));
        assert!(
            agree(&usual, &stressed),
            "collections make a difference: {}\n--- program\n{source}",
            difference(&usual, &stressed)
        );
    }
}
