//! `heddle run`, `heddle check`, `heddle dis`.

use crate::arguments::{Program, Settings};
use crate::output::{complain, for_scripts, is_coloured};
use crate::signals::{INTERRUPTED, Interrupts};
use heddle::{Engine, Error, Finding, Outside};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Runs a program to its end.
pub(crate) fn run(program: Program, args: Vec<String>, settings: Settings) -> u8 {
    let mut engine = settings
        .engine()
        .script_args(args)
        .output(for_scripts())
        .build();
    let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
    let result = match program {
        Program::File(path) => engine.run_file(path),
        Program::Code(code) => engine.run_bytes("<string>", code.as_encoded_bytes()),
        Program::StandardInput => {
            let mut text = Vec::new();
            match std::io::stdin().lock().read_to_end(&mut text) {
                Ok(_) => engine.run_bytes("<stdin>", &text),
                Err(error) => {
                    complain(&format!("error: cannot read standard input: {error}\n"));
                    return 1;
                }
            }
        }
    };
    let code = finish(&mut engine, result, &interrupts);
    if settings.traces_schedule() {
        complain(&schedule(&engine));
    }
    code
}

/// Writes out what is left, reports the error, gives the exit code.
fn finish(engine: &mut Engine, result: Result<(), Error>, interrupts: &Interrupts) -> u8 {
    let flushed = engine.flush();
    if let Some(stretches) = engine.stretches() {
        let stats = engine.heap_stats();
        complain(&format!(
            "safepoints: {stretches}; longest collection {:.2} ms\n",
            stats.longest_pause_ns as f64 / 1e6
        ));
    }
    match result {
        Ok(()) => match flushed {
            Ok(()) => {
                let leaks = engine.leaks_at_exit();
                if !leaks.is_empty() {
                    let lines = leaks.join("\n  ");
                    complain(&format!(
                        "warning: what nothing can reach is waited for\n  {lines}\n"
                    ));
                }
                0
            }
            Err(error) => {
                complain(&format!("error: cannot write the output: {error}\n"));
                1
            }
        },
        Err(error) => match error.exit_code() {
            Some(code) => code as u8,
            None if interrupts.was_pressed() && error.kind() == "Cancelled" => INTERRUPTED,
            None => {
                complain(&error.render_with(is_coloured()));
                1
            }
        },
    }
}

/// What the schedule was: two runs of which this says the same did the same.
fn schedule(engine: &Engine) -> String {
    let Some(trace) = engine.schedule_trace() else {
        let changes = engine.carrier_changes();
        return format!("schedule: not repeatable, {changes} changes of carrier by force\n");
    };
    let mut text = format!(
        "schedule: seed {}, {} choices, trace {:016x}\n",
        trace.seed, trace.choices, trace.hash
    );
    for (what, name, place) in &trace.outside {
        text.push_str(&not_repeatable(*what, name, place));
    }
    text
}

/// `not repeatable: f.hd:3: io.read_line reads what can be different each time (stdin)`
pub(crate) fn not_repeatable(what: Outside, name: &str, place: &str) -> String {
    let what = what.name();
    format!("not repeatable: {place}: {name} reads what can be different each time ({what})\n")
}

/// The value of `--error-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// With the lines that a finding is about.
    #[default]
    Long,
    /// A line for each finding.
    Short,
    /// An object in a line for each finding, on standard output.
    Json,
}

/// Compiles files and shows what is found.
pub(crate) fn check(files: &[PathBuf], format: ErrorFormat, settings: Settings) -> u8 {
    let engine = settings.engine().build();
    let mut code = 0;
    for file in files {
        match engine.check_file(file) {
            Ok(warnings) => show(&warnings, format),
            Err(error) => {
                match error.findings() {
                    [] => complain(&error.render_with(is_coloured())),
                    findings => show(findings, format),
                }
                code = 1;
            }
        }
    }
    code
}

fn show(findings: &[Finding], format: ErrorFormat) {
    match format {
        ErrorFormat::Long => {
            let texts = findings.iter().map(|f| f.render(is_coloured()));
            complain(&texts.collect::<Vec<_>>().join("\n"));
        }
        ErrorFormat::Short => {
            let texts = findings.iter().map(|f| f.render_short() + "\n");
            complain(&texts.collect::<String>());
        }
        ErrorFormat::Json => {
            let text: String = findings.iter().map(crate::json::of_finding).collect();
            let mut output = for_scripts();
            let _ = output
                .write_all(text.as_bytes())
                .and_then(|()| output.flush());
        }
    }
}

/// Shows a file's bytecode.
pub(crate) fn disassemble(file: &Path, settings: Settings) -> u8 {
    let engine = settings.engine().build();
    match engine.disassemble_file(file) {
        Ok(text) => {
            let mut output = for_scripts();
            let _ = output
                .write_all(text.as_bytes())
                .and_then(|()| output.flush());
            0
        }
        Err(error) => {
            complain(&error.render_with(is_coloured()));
            1
        }
    }
}
