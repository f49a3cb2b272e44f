//! `heddle repl`: the session at a terminal, or at a pipe. The only file that knows rustyline.

use crate::arguments::Settings;
use crate::output::{complain, for_scripts, is_coloured};
use crate::signals::Interrupts;
use heddle::{Error, Session};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Completer, Editor, Helper, Highlighter, Hinter};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

const HELP: &str = "\
An expression or a statement is run as it is typed; what it declares stays.
  :type EXPR   the type of a value
  :help        this text
  :quit        the end (as Ctrl-D)
Ctrl-C clears the line, or stops what runs.
";

/// How many inputs are remembered.
const REMEMBERED: usize = 2000;

/// Tells the line editor which inputs go on.
#[derive(Completer, Helper, Highlighter, Hinter)]
struct Lines;

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if goes_on(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

fn goes_on(text: &str) -> bool {
    !text.trim_start().starts_with(':') && Session::is_incomplete(text)
}

/// Runs the session to its end.
pub(crate) fn repl(settings: Settings) -> u8 {
    let engine = settings.engine().output(for_scripts()).build();
    let interrupts = Interrupts::listen(engine.interrupt_flag());
    let mut conversation = Conversation {
        session: Session::new(engine),
        interrupts,
    };
    let code = if std::io::stdin().is_terminal() {
        conversation.at_terminal()
    } else {
        conversation.at_pipe()
    };
    let _ = conversation.session.engine().flush();
    code
}

struct Conversation {
    session: Session,
    interrupts: Interrupts,
}

impl Conversation {
    fn at_terminal(&mut self) -> u8 {
        let mut editor: Editor<Lines, FileHistory> = match Editor::new() {
            Ok(editor) => editor,
            Err(error) => {
                complain(&format!("error: the terminal cannot be used: {error}\n"));
                return 1;
            }
        };
        editor.set_helper(Some(Lines));
        editor.set_auto_add_history(true);
        let _ = editor.set_max_history_size(REMEMBERED);
        let history = history_file();
        if let Some(file) = &history {
            // There is none at first.
            let _ = editor.load_history(file);
        }
        println!("Heddle {}. :help tells more.", env!("CARGO_PKG_VERSION"));
        let code = loop {
            match editor.readline("> ") {
                Ok(text) => {
                    if let Some(code) = self.answer(&text) {
                        break code;
                    }
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => break 0,
                Err(error) => {
                    complain(&format!("error: the terminal cannot be read: {error}\n"));
                    break 1;
                }
            }
        };
        if let Some(file) = &history {
            let _ = file.parent().map(std::fs::create_dir_all);
            let _ = editor.save_history(file);
        }
        code
    }

    fn at_pipe(&mut self) -> u8 {
        let mut text = String::new();
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            text.push_str(&line);
            text.push('\n');
            if !goes_on(&text) {
                if let Some(code) = self.answer(&text) {
                    return code;
                }
                text.clear();
            }
        }
        // What is still incomplete at the end is an error, which is shown.
        self.answer(&text).unwrap_or(0)
    }

    /// Runs an input and shows what comes of it; gives the exit code if it ends the session.
    fn answer(&mut self, text: &str) -> Option<u8> {
        let text = text.trim_end();
        self.interrupts.reset();
        let result = match text
            .trim_start()
            .split_once(char::is_whitespace)
            .unwrap_or((text.trim(), ""))
        {
            (":quit" | ":q", _) => return Some(0),
            (":help" | ":h", _) => {
                print(HELP);
                return None;
            }
            (":type" | ":t", expression) => self.session.type_of(expression).map(Some),
            (command, _) if command.starts_with(':') => {
                complain(&format!(
                    "there is no command {command}; :help lists them\n"
                ));
                return None;
            }
            _ => self.session.run(text),
        };
        let _ = self.session.engine().flush();
        // A Ctrl-C that came too late stops nothing that comes next.
        self.session
            .engine()
            .interrupt_flag()
            .store(false, Ordering::Relaxed);
        match result {
            Ok(Some(value)) => print(&format!("{value}\n")),
            Ok(None) => {}
            Err(error) => return self.failed(&error),
        }
        None
    }

    fn failed(&self, error: &Error) -> Option<u8> {
        if let Some(code) = error.exit_code() {
            return Some(code as u8);
        }
        if self.interrupts.was_pressed() && error.kind() == "Cancelled" {
            complain("interrupted\n");
        } else {
            complain(&error.render_with(is_coloured()));
        }
        None
    }
}

fn print(text: &str) {
    let mut output = for_scripts();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

/// Where inputs are remembered from session to session.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("heddle/history"))
}
