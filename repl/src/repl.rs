//! `heddle repl`: the session at a terminal, or at a pipe. The only file that knows rustyline.
//!
//! Two OS threads: the main one reads lines, the other has the session (`conversation`), which runs an input when one is there and what is in the background at all times. They take turns: a line
//! is read when the one before was answered.

use crate::arguments::Settings;
use crate::conversation::{COMMANDS, Completer as Asker, Conversation, Link};
use crate::output::{complain, for_scripts, is_coloured};
use crate::screen::Screen;
use heddle::{Part, Session};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::{FileHistory, History, SearchDirection};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{ColorMode, CompletionType, Context, Editor, ExternalPrinter, Helper};
use std::borrow::Cow;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::sync::mpsc::channel;

/// How many inputs are remembered.
const REMEMBERED: usize = 2000;
/// Bytes of native stack that the compiler may use, as much as a process's first OS thread has.
const STACK_BYTES: usize = 8 << 20;
/// Bytes of a line that is coloured: each key draws it anew.
const MOST_COLOURED: usize = 10_000;
/// Goes up a line and down again: the editor prints it, and then draws its prompt anew.
const NOTHING: &str = "\x1b[A\n";

/// Tells the line editor which inputs go on, what could stand at the cursor, and what to show, in front of the prompt too.
#[derive(Helper)]
struct Lines {
    screen: Screen,
    asker: Asker,
    files: FilenameCompleter,
    hinter: HistoryHinter,
    is_coloured: bool,
}

impl Completer for Lines {
    type Candidate = Pair;
    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let head = &line[..at];
        if head.starts_with(':') && !head.contains(' ') {
            let commands = COMMANDS.iter().filter(|command| command.starts_with(head));
            return Ok((0, commands.map(|command| pair(command)).collect()));
        }
        if [":load ", ":save "].iter().any(|c| head.starts_with(c)) {
            return self.files.complete(line, at, context);
        }
        let (start, names) = self.asker.complete(line, at);
        Ok((start, names.iter().map(|name| pair(name)).collect()))
    }
}

fn pair(text: &str) -> Pair {
    Pair {
        display: text.into(),
        replacement: text.into(),
    }
}

impl Hinter for Lines {
    type Hint = String;
    /// The rest of the newest input that began so; behind `name(` what the library says of its arguments.
    fn hint(&self, line: &str, at: usize, context: &Context<'_>) -> Option<String> {
        // Without colours it would look like something that was typed.
        if at < line.len() || line.is_empty() || !self.is_coloured {
            return None;
        }
        if let Some(called) = line.strip_suffix('(') {
            let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let name = &called[called.trim_end_matches(is_part).len()..];
            let found = heddle::docs::find(name);
            let doc = found.iter().find(|doc| doc.name == name)?;
            return doc.signature.split_once('(').map(|(_, rest)| rest.into());
        }
        self.hinter.hint(line, at, context)
    }
}

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
        match self.screen.take_lines() {
            lines if lines.is_empty() => Cow::Borrowed(prompt),
            lines => Cow::Owned(lines + prompt),
        }
    }
    fn highlight<'l>(&self, line: &'l str, _at: usize) -> Cow<'l, str> {
        if !self.is_coloured || line.starts_with(':') || line.len() > MOST_COLOURED {
            return Cow::Borrowed(line);
        }
        let mut out = String::with_capacity(2 * line.len());
        let mut shown = 0;
        for (range, part) in Session::parts(line) {
            let colour = match part {
                Part::Keyword => "35",
                Part::Number => "36",
                Part::Text => "32",
                Part::Comment => "90",
            };
            out.push_str(&line[shown..range.start]);
            out.push_str(&format!("\x1b[{colour}m{}\x1b[0m", &line[range.clone()]));
            shown = range.end;
        }
        out.push_str(&line[shown..]);
        Cow::Owned(out)
    }
    fn highlight_char(&self, _line: &str, _at: usize, _kind: CmdKind) -> bool {
        self.is_coloured
    }
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.is_coloured {
            true => Cow::Owned(format!("\x1b[90m{hint}\x1b[0m")),
            false => Cow::Borrowed(hint),
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
    let (ask, asked) = channel();
    let (reply, replies) = channel();
    // Before a line is read: it looks at the terminal's modes.
    let conversation = Conversation::new(settings, screen.clone(), is_terminal);
    let link = Link::new(ask, replies, conversation.waker());
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
    editor.set_helper(Some(Lines {
        screen: screen.clone(),
        asker: link.completer(),
        files: FilenameCompleter::new(),
        hinter: HistoryHinter::new(),
        is_coloured: is_coloured(),
    }));
    editor.set_auto_add_history(true);
    editor.set_completion_type(CompletionType::List);
    // Else it would not call `highlight_prompt`, whether anything is coloured or not.
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
                match text.trim() {
                    ":clear" => {
                        let _ = editor.clear_screen();
                    }
                    ":history" => screen.print(&lines_of(editor.history())),
                    _ => {}
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

/// What was typed, with numbers; oldest first.
fn lines_of(history: &FileHistory) -> String {
    let mut text = String::new();
    for index in 0..history.len() {
        if let Ok(Some(found)) = history.get(index, SearchDirection::Forward) {
            let entry = found.entry.replace('\n', "\n       ");
            text.push_str(&format!("{:5}  {entry}\n", index + 1));
        }
    }
    text
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
