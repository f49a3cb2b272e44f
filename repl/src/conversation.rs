//! The half of the interactive session that has the engine: answers inputs and commands, and runs the background while there are none.

use crate::arguments::Settings;
use crate::output::{complain, is_coloured};
use crate::screen::Screen;
use crate::signals::{INTERRUPTED, Interrupts};
use heddle::{Error, Idle, Session, TaskInfo, Variable, Waker};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

const HELP: &str = "\
An expression or a statement is run as it is typed; what it declares stays.
Tasks and threads that it started go on in the background.
`_` is the last value, `_err` the last error. Tab completes names, fields, methods and commands.
  :type EXPR   the type of a value
  :time EXPR   the value, and how long it took
  :doc NAME    what a function of the library does, whether it blocks, what it throws
  :dis NAME    the bytecode of the input that declared NAME
  :vars        what was declared, and its values
  :load FILE   runs a file as if it were typed; :reload does so again
  :save FILE   writes the inputs so far, which :load runs again
  :tasks       what is in the background, and what it waits for
  :kill ID     ends a thread (:kill 3) or a task (:kill 1.4); its defers run
  :dump        all threads and tasks with their stacks
  :history     the lines that were typed
  :clear       clears the screen
  :reset       begins anew: nothing is declared, nothing in the background
  :help        this text
  :quit        the end (as Ctrl-D)
Ctrl-C clears the line, or stops the input that runs.
";

/// How long the end of a session at a terminal waits for the defers of what is in the background.
const LONGEST_END: Duration = Duration::from_secs(2);

/// The commands of a session, with the colon.
pub(crate) const COMMANDS: &[&str] = &[
    ":clear", ":dis", ":doc", ":dump", ":help", ":history", ":kill", ":load", ":quit", ":reload",
    ":reset", ":save", ":tasks", ":time", ":type", ":vars",
];

/// How much of a value is shown, in characters.
const MOST_SHOWN: usize = 10_000;

/// How long a line that is typed waits for what could stand in it.
const LONGEST_COMPLETION: Duration = Duration::from_millis(300);

/// What the reader of lines asks of the conversation.
pub(crate) enum Asked {
    Input(String),
    /// What could stand at this byte of a line.
    Complete(String, usize, Sender<(usize, Vec<String>)>),
    End,
}

/// The reader's end of a conversation. Answers are exit codes: of those that end the session.
pub(crate) struct Link {
    completer: Completer,
    replies: Receiver<Option<u8>>,
}

/// Asks what could stand at a place; the conversation is idle while a line is typed.
#[derive(Clone)]
pub(crate) struct Completer {
    ask: Sender<Asked>,
    /// Another one after a reset.
    waker: Arc<Mutex<Waker>>,
}

impl Completer {
    pub(crate) fn complete(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let (reply, replies) = channel();
        self.send(Asked::Complete(line.into(), at, reply));
        // A task that lets nobody else run keeps the conversation from answering; keys must be heard all the same.
        let found = replies.recv_timeout(LONGEST_COMPLETION);
        found.unwrap_or((at, Vec::new()))
    }
    fn send(&self, asked: Asked) {
        let _ = self.ask.send(asked);
        self.waker.lock().wake();
    }
}

impl Link {
    pub(crate) fn new(
        ask: Sender<Asked>,
        replies: Receiver<Option<u8>>,
        waker: Arc<Mutex<Waker>>,
    ) -> Link {
        Link {
            completer: Completer { ask, waker },
            replies,
        }
    }
    pub(crate) fn completer(&self) -> Completer {
        self.completer.clone()
    }
    /// Waits until an input is done; gives the exit code if it ends the session.
    pub(crate) fn ask(&self, text: &str) -> Option<u8> {
        self.send(Asked::Input(text.into()));
        // There is no answer if the other OS thread has panicked.
        match self.replies.recv() {
            Ok(Some(_)) if is_quit(text) => Some(self.end()),
            Ok(reply) => reply,
            Err(_) => Some(1),
        }
    }
    /// Ends the session; gives the exit code.
    pub(crate) fn end(&self) -> u8 {
        self.send(Asked::End);
        let reply = if std::io::stdin().is_terminal() {
            self.replies.recv_timeout(LONGEST_END)
        } else {
            self.replies
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected)
        };
        match reply {
            Ok(code) => code.unwrap_or(0),
            Err(RecvTimeoutError::Timeout) => {
                complain("not everything in the background ended\n");
                0
            }
            Err(RecvTimeoutError::Disconnected) => 1,
        }
    }
    fn send(&self, asked: Asked) {
        self.completer.send(asked);
    }
}

/// Command and operand of an input.
fn command(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (command, operand) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (command, operand.trim())
}
fn is_quit(text: &str) -> bool {
    matches!(command(text).0, ":quit" | ":q")
}

/// See the head of the file.
pub(crate) struct Conversation {
    session: Session,
    interrupts: Interrupts,
    screen: Screen,
    is_at_terminal: bool,
    /// Makes sessions.
    settings: Settings,
    waker: Arc<Mutex<Waker>>,
    /// What `:load` has run.
    loaded: Option<String>,
    /// Those of the terminal while no line is read.
    #[cfg(unix)]
    modes: Option<rustix::termios::Termios>,
}

impl Conversation {
    pub(crate) fn new(settings: Settings, screen: Screen, is_at_terminal: bool) -> Conversation {
        let (session, interrupts) = begin(settings, &screen);
        let waker = Arc::new(Mutex::new(session.waker()));
        Conversation {
            session,
            interrupts,
            screen,
            is_at_terminal,
            settings,
            waker,
            loaded: None,
            #[cfg(unix)]
            modes: rustix::termios::tcgetattr(rustix::stdio::stdin()).ok(),
        }
    }
    pub(crate) fn waker(&self) -> Arc<Mutex<Waker>> {
        self.waker.clone()
    }
    /// Answers until the session ends.
    pub(crate) fn hold(mut self, asked: &Receiver<Asked>, reply: &Sender<Option<u8>>) {
        loop {
            match self.session.idle() {
                Idle::Woken => match asked.try_recv() {
                    Ok(Asked::Input(text)) => {
                        let code = self.answer(&text);
                        self.forget_interrupts();
                        self.report_unjoined();
                        let _ = self.session.engine().flush();
                        let _ = reply.send(code);
                    }
                    Ok(Asked::Complete(line, at, reply)) => {
                        let _ = reply.send(self.session.complete(&line, at));
                    }
                    Ok(Asked::End) => {
                        let code = self.end();
                        let _ = self.session.engine().flush();
                        let _ = reply.send(Some(code));
                        return;
                    }
                    Err(_) => {}
                },
                Idle::Failed(error) => self.report(&error),
                Idle::Ended(error) => {
                    let code = self.failed(&error).unwrap_or(1);
                    let _ = self.session.engine().flush();
                    self.leave(code);
                }
            }
        }
    }
    /// A Ctrl-C that came too late stops nothing that comes next. (One that comes between a line's end and its run stops it, so this is done behind a run and not before one.)
    fn forget_interrupts(&mut self) {
        let request = self.session.engine().interrupt_flag();
        request.store(false, Ordering::Relaxed);
        self.interrupts.reset();
    }
    /// Ends the process while a line is being read.
    fn leave(&self, code: u8) -> ! {
        self.screen.end_line();
        #[cfg(unix)]
        if let Some(modes) = &self.modes {
            use rustix::termios::{OptionalActions, tcsetattr};
            const BRACKETED_PASTE_OFF: &str = "\x1b[?2004l\r\n";
            self.screen.print(BRACKETED_PASTE_OFF);
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, modes);
        }
        std::process::exit(code.into())
    }

    /// Shows what the library says of a name.
    fn describe(&self, name: &str) {
        const MOST: usize = 5;
        if name.is_empty() {
            complain("say which: `:doc fs.read`, `:doc list.map`, `:doc print`\n");
            return;
        }
        let found = heddle::docs::find(name);
        match found.len() {
            0 => complain(&format!(
                "nothing is known of {name}{}\n",
                heddle::docs::did_you_mean(name)
            )),
            1..=MOST => {
                let texts: Vec<String> = found.iter().map(|doc| doc.plain_text()).collect();
                self.screen.print(&texts.join("\n"));
            }
            _ => {
                let names: Vec<&str> = found.iter().map(|doc| doc.name.as_str()).collect();
                self.screen.print(&format!("{}\n", names.join(" ")));
            }
        }
    }
    /// Runs an input and shows what comes of it; gives the exit code if it ends the session.
    fn answer(&mut self, text: &str) -> Option<u8> {
        let text = text.trim_end();
        let result = match command(text) {
            (":quit" | ":q", _) => return Some(0),
            (":help" | ":h", _) => {
                self.screen.print(HELP);
                return None;
            }
            (":doc" | ":d", name) => {
                self.describe(name);
                return None;
            }
            (":tasks", _) => {
                let listed = listing(&self.session.tasks());
                self.screen.print(&listed);
                return None;
            }
            (":kill", id) => {
                self.kill(id);
                return None;
            }
            (":type" | ":t", expression) => self.session.type_of(expression).map(Some),
            (":time", expression) => {
                let start = Instant::now();
                let result = self.session.run(expression);
                let taken = start.elapsed();
                let _ = self.session.engine().flush();
                if result.is_ok() {
                    self.screen.print(&format!("took {taken:.1?}\n"));
                }
                result
            }
            (":dis", name) => {
                match self.session.disassemble(name) {
                    Some(text) => self.screen.print(&text),
                    None => complain(&format!(
                        "no input has declared {name:?}; :vars lists what is declared\n"
                    )),
                }
                return None;
            }
            (":vars", _) => {
                let listed = variables(&self.session.variables());
                self.screen.print(&listed);
                return None;
            }
            (":load", file) => return self.load(file),
            (":reload", _) => match self.loaded.clone() {
                Some(file) => return self.load(&file),
                None => {
                    complain("nothing was loaded: `:load FILE`\n");
                    return None;
                }
            },
            (":save", file) => {
                self.save(file);
                return None;
            }
            (":dump", _) => {
                let text = "import runtime\nruntime.dump(\"text\")";
                let dumped = self.session.engine().eval::<String>(text);
                match dumped {
                    Ok(text) => self.screen.print(&(text.trim_end().to_owned() + "\n")),
                    Err(error) => return self.failed(&error),
                }
                return None;
            }
            (":reset", _) => return self.reset(),
            // The reader of lines has done what there is to do.
            (":history" | ":clear", _) => return None,
            (command, _) if command.starts_with(':') => {
                complain(&format!(
                    "there is no command {command}; :help lists them\n"
                ));
                return None;
            }
            _ => self.session.run(text),
        };
        let _ = self.session.engine().flush();
        match result {
            Ok(Some(value)) => self.screen.print(&cut(&value)),
            Ok(None) => {}
            Err(error) => return self.failed(&error),
        }
        None
    }
    /// Runs a file as if it were typed.
    fn load(&mut self, file: &str) -> Option<u8> {
        if file.is_empty() {
            complain("say which: `:load script.hd`\n");
            return None;
        }
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => {
                complain(&format!("error: cannot read {file}: {error}\n"));
                return None;
            }
        };
        let Ok(text) = String::from_utf8(bytes) else {
            complain(&format!("error: {file} is not UTF-8 text\n"));
            return None;
        };
        self.loaded = Some(file.to_owned());
        let result = self.session.run(&text);
        let _ = self.session.engine().flush();
        result.err().and_then(|error| self.failed(&error))
    }
    fn save(&self, file: &str) {
        if file.is_empty() {
            complain("say where: `:save session.hd`\n");
            return;
        }
        let inputs = self.session.inputs();
        let text: String = inputs.iter().map(|input| format!("{input}\n")).collect();
        match std::fs::write(file, text) {
            Ok(()) => self.screen.print(&match inputs.len() {
                1 => format!("an input is in {file}\n"),
                n => format!("{n} inputs are in {file}\n"),
            }),
            Err(error) => complain(&format!("error: cannot write {file}: {error}\n")),
        }
    }
    /// Ends what is in the background, and begins a new session.
    fn reset(&mut self) -> Option<u8> {
        if let Err(error) = self.session.finish(true)
            && let Some(code) = self.failed(&error)
        {
            return Some(code);
        }
        self.report_unjoined();
        let _ = self.session.engine().flush();
        (self.session, self.interrupts) = begin(self.settings, &self.screen);
        *self.waker.lock() = self.session.waker();
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

    fn kill(&mut self, id: &str) {
        let number = |text: &str| text.parse::<u64>().ok();
        let (thread, task) = match id.split_once('.') {
            Some((thread, task)) => (number(thread), number(task).map(Some)),
            None => (number(id), Some(None)),
        };
        let (Some(thread), Some(task)) = (thread, task) else {
            complain("say which: `:kill 3` a thread, `:kill 1.4` a task; :tasks lists them\n");
            return;
        };
        let tasks = self.session.tasks();
        // A thread that does not say which tasks it has may have this one.
        let is_it = |t: &TaskInfo| {
            t.thread == thread && (t.task == 0 || task.is_none_or(|id| id == t.task))
        };
        if tasks.iter().any(is_it) {
            self.session.kill(thread, task);
        } else {
            let kind = if task.is_some() { "task" } else { "thread" };
            complain(&format!("there is no {kind} {id}; :tasks lists them\n"));
        }
    }

    /// An error of the background.
    fn report(&self, error: &Error) {
        if std::io::stderr().is_terminal() {
            self.screen.print(&error.render_with(is_coloured()));
        } else {
            complain(&error.render_with(is_coloured()));
        }
    }
    fn report_unjoined(&mut self) {
        while let Some(error) = self.session.unjoined() {
            self.report(&error);
        }
    }

    /// The session ends: at a terminal the background, too; else it is waited for, as at the end of a program.
    fn end(&mut self) -> u8 {
        if self.is_at_terminal {
            let count = self.session.tasks().len();
            match count {
                0 => {}
                1 => complain("a task in the background is ended\n"),
                n => complain(&format!("{n} tasks in the background are ended\n")),
            }
        }
        let ended = self.session.finish(self.is_at_terminal);
        self.report_unjoined();
        match ended {
            Ok(()) => 0,
            Err(error) => {
                let is_interrupt = self.interrupts.was_pressed() && error.kind() == "Cancelled";
                let code = self.failed(&error);
                code.unwrap_or(if is_interrupt { INTERRUPTED } else { 1 })
            }
        }
    }
}

/// A session in which nothing was said yet, and what stops its inputs.
fn begin(settings: Settings, screen: &Screen) -> (Session, Interrupts) {
    let engine = settings.engine().output(screen.for_scripts()).build();
    let interrupts = Interrupts::listen(engine.interrupt_flag(), engine.interrupt_pipe());
    (Session::new(engine), interrupts)
}

/// A value as it is shown: not more than anybody reads.
fn cut(value: &str) -> String {
    match value.char_indices().nth(MOST_SHOWN) {
        None => format!("{value}\n"),
        Some((at, _)) => format!(
            "{}… ({} characters; `_` has it all)\n",
            &value[..at],
            value.chars().count()
        ),
    }
}

/// What was declared, in columns.
fn variables(variables: &[Variable]) -> String {
    if variables.is_empty() {
        return "nothing is declared\n".into();
    }
    let width = |text: fn(&Variable) -> &str| {
        let widths = variables.iter().map(|v| text(v).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, types) = (width(|v| &v.name), width(|v| &v.type_name));
    let mut text = String::new();
    for Variable {
        name,
        type_name,
        value,
    } in variables
    {
        text.push_str(&format!("  {name:names$}  {type_name:types$}  {value}\n"));
    }
    text
}

/// The background by thread, in columns.
fn listing(tasks: &[TaskInfo]) -> String {
    if tasks.is_empty() {
        return "nothing is in the background\n".into();
    }
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut heads = Vec::new();
    let mut last = None;
    for task in tasks {
        if last != Some(task.thread) {
            last = Some(task.thread);
            let name = task.thread_name.as_ref();
            let name = name.map_or_else(String::new, |name| format!(" '{name}'"));
            heads.push((rows.len(), format!("thread {}{name}\n", task.thread)));
        }
        let id = match task.task {
            0 | u64::MAX => String::new(),
            number => format!("{}.{number}", task.thread),
        };
        let name = task.name.clone().unwrap_or_default();
        rows.push([id, name, task.state.clone(), task.place.clone()]);
    }
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let (id_width, name_width, state_width) = (width(0), width(1), width(2));
    let mut text = String::new();
    let mut heads = heads.into_iter().peekable();
    for (number, [id, name, state, place]) in rows.iter().enumerate() {
        if let Some((_, head)) = heads.next_if(|(at, _)| *at == number) {
            text.push_str(&head);
        }
        let gap = if name_width > 0 { 2 } else { 0 };
        let row = format!(
            "  {id:id_width$}  {name:name_width$}{:gap$}{state:state_width$}  {place}",
            ""
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(thread: u64, task: u64, name: Option<&str>, state: &str, place: &str) -> TaskInfo {
        TaskInfo {
            thread,
            thread_name: (thread == 1).then(|| "main".into()),
            task,
            name: name.map(Into::into),
            state: state.into(),
            place: place.into(),
        }
    }

    #[test]
    fn tasks_are_listed_in_columns() {
        let tasks = [
            task(1, 4, Some("ticker"), "waits for sleep", "<repl>:1:9"),
            task(1, 12, None, "ready", ""),
            task(3, 0, None, "running", ""),
        ];
        let expected = "\
thread 1 'main'
  1.4   ticker  waits for sleep  <repl>:1:9
  1.12          ready
thread 3
                running
";
        assert_eq!(listing(&tasks), expected);
        assert_eq!(listing(&[]), "nothing is in the background\n");
    }
    #[test]
    fn long_values_are_cut() {
        assert_eq!(cut("[1, 2]"), "[1, 2]\n");
        let long = cut(&"é".repeat(MOST_SHOWN + 1));
        assert!(long.ends_with("é… (10001 characters; `_` has it all)\n"));
    }
    #[test]
    fn commands_are_in_the_help() {
        for command in COMMANDS {
            assert!(
                HELP.contains(&format!("  {command}")) || HELP.contains(&format!("; {command} ")),
                "{command}"
            );
        }
        assert!(COMMANDS.is_sorted());
    }
    #[test]
    fn commands_have_an_operand() {
        assert_eq!(command(" :kill  3 "), (":kill", "3"));
        assert_eq!(command(":quit"), (":quit", ""));
        assert!(is_quit(":q") && !is_quit("q"));
    }
}
