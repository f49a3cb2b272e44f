//! The `heddle` program. Everything after the script's name belongs to the script.
//!
//! Exit codes: 0; 1 for an uncaught error, failed tests or files that do not compile; 2 for wrong usage; 130 for Ctrl-C;
//! what `os.exit` says otherwise.

mod arguments;
mod conversation;
mod explain;
mod files;
mod format;
mod json;
mod memory;
mod output;
mod repl;
mod run;
mod screen;
mod signals;
mod tests;

use arguments::{Command, Job};
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::set_up();
    let Command { job, settings } = match arguments::read() {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let code = match job {
        Job::Run { program, args } => run::run(program, args, settings),
        Job::Check { files, format } => run::check(&files, format, settings),
        Job::Test { paths, plan } => tests::test(&paths, &plan, settings),
        Job::Format { paths, only_checks } => format::format(&paths, only_checks),
        Job::Explain(codes) => explain::explain(&codes),
        Job::Disassemble(file) => run::disassemble(&file, settings),
        Job::LanguageServer => language_server(),
        Job::Repl => repl::repl(settings),
    };
    ExitCode::from(code)
}

fn language_server() -> u8 {
    match heddle_lsp::serve(std::io::stdin(), std::io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("error: the editor does not listen: {error}\n"));
            1
        }
    }
}
