//! `heddle repl`: the session at a terminal, or at a pipe. The only file that knows rustyline.
//!
//! Two OS threads: the main one reads lines, the other has the session (`conversation`), which runs an input when one is there and what is in the background at all times. They take turns: a line
//! is read when the one before was answered.

use crate::arguments::Settings;
use crate::conversation::{Conversation, Link};
use crate::output::{complain, for_scripts};
use crate::screen::Screen;
use crate::signals::Interrupts;
use heddle::Session;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, Completer, Editor, ExternalPrinter, Helper, Hinter};
use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// How many inputs are remembered.
const REMEMBERED: usize = 2000;
/// Bytes of native stack that the compiler may use, as much as a process's first OS thread has.
const STACK_BYTES: usize = 8 << 20;
/// Goes up a line and down again: the editor prints it, and then draws its prompt anew.
const NOTHING: &str = "\x1b[A\n";

/// Tells the line editor which inputs go on, and what to show in front of the prompt.
#[derive(Completer, Helper, Hinter)]
struct Lines(Screen);

impl Validator for Lines {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if goes_on(context.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Highlighter for Lines {
    /// The editor has gone to the beginning of its first row and cleared what is below, and from now on moves relative to where its text ends.
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _default: bool,
    ) -> Cow<'b, str> {
        match self.0.take_lines() {
            lines if lines.is_empty() => Cow::Borrowed(prompt),
            lines => Cow::Owned(lines + prompt),
        }
    }
}

fn goes_on(text: &str) -> bool {
    !text.trim_start().starts_with(':') && Session::is_incomplete(text)
}

/// Runs the session to its end.
pub(crate) fn repl(settings: Settings) -> u8 {
    let is_terminal = std::io::stdin().is_terminal();
    let screen = Screen::new(for_scripts());
    let engine = settings.engine().output(screen.for_scripts()).build();
    let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
    let (ask, asked) = channel();
    let (reply, replies) = channel();
    let session = Session::new(engine);
    let link = Link::new(ask, replies, session.waker());
    // Before a line is read: it looks at the terminal's modes.
    let conversation = Conversation::new(session, interrupts, screen.clone(), is_terminal);
    let started = std::thread::Builder::new()
        .name("heddle-session".into())
        .stack_size(STACK_BYTES)
        .spawn(move || conversation.hold(&asked, &reply));
    if let Err(error) = started {
        complain(&format!("error: the session cannot be started: {error}\n"));
        return 1;
    }
    let code = if is_terminal {
        at_terminal(&link, &screen)
    } else {
        at_pipe(&link)
    };
    screen.close();
    code
}

fn at_terminal(link: &Link, screen: &Screen) -> u8 {
    let mut editor: Editor<Lines, FileHistory> = match Editor::new() {
        Ok(editor) => editor,
        Err(error) => {
            complain(&format!("error: the terminal cannot be used: {error}\n"));
            return 1;
        }
    };
    editor.set_helper(Some(Lines(screen.clone())));
    editor.set_auto_add_history(true);
    // Else it would not call `highlight_prompt`; nothing is coloured.
    editor.set_color_mode(ColorMode::Forced);
    let _ = editor.set_max_history_size(REMEMBERED);
    let history = history_file();
    if let Some(file) = &history {
        let _ = file.parent().map(std::fs::create_dir_all);
        // There is none at first.
        let _ = editor.load_history(file);
    }
    // Where it cannot draw, what is printed goes straight to the terminal.
    let printer = editor.create_external_printer();
    let draws = printer.is_ok();
    if let Ok(mut printer) = printer {
        screen.ask_by(move || {
            let _ = printer.print(NOTHING.into());
        });
    }
    screen.print(&format!(
        "Heddle {}. :help tells more.\n",
        env!("CARGO_PKG_VERSION")
    ));
    loop {
        if draws {
            screen.begin_line();
        }
        let line = editor.readline("> ");
        screen.end_line();
        match line {
            Ok(text) => {
                if let Some(file) = &history {
                    let _ = editor.append_history(file);
                }
                if let Some(code) = link.ask(&text) {
                    return code;
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return link.end(),
            Err(error) => {
                complain(&format!("error: the terminal cannot be read: {error}\n"));
                return 1;
            }
        }
    }
}

fn at_pipe(link: &Link) -> u8 {
    let mut text = String::new();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        text.push_str(&line);
        text.push('\n');
        if !goes_on(&text) {
            if let Some(code) = link.ask(&text) {
                return code;
            }
            text.clear();
        }
    }
    // What is still incomplete at the end is an error, which is shown.
    link.ask(&text).unwrap_or_else(|| link.end())
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
