//! What scripts print while somebody may be typing: it appears above the prompt, in whole lines.
//!
//! While a line is read, what is printed is kept until the line editor draws: it takes what is kept and shows it in front of its prompt. So only the editor writes, and nothing is lost or
//! out of order if the line ends meanwhile: then what is kept is written at once. An OS thread of its own asks the editor to draw, since asking may block.

use parking_lot::{Condvar, Mutex};
use std::io::{self, LineWriter, Write};
use std::sync::Arc;

/// Who prints more than this while the editor does not draw waits for it.
const MOST_KEPT: usize = 64 << 10;

struct State {
    output: Box<dyn Write + Send>,
    /// A line is being read by an editor that draws.
    is_reading: bool,
    /// The editor was asked to draw, and has not.
    is_asked: bool,
    kept: Vec<u8>,
    /// What was written last did not end its line.
    is_inside_line: bool,
    is_over: bool,
}

struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

/// See the head of the file.
#[derive(Clone)]
pub(crate) struct Screen(Arc<Inner>);

impl Screen {
    pub(crate) fn new(output: Box<dyn Write + Send>) -> Screen {
        let state = State {
            output,
            is_reading: false,
            is_asked: false,
            kept: Vec::new(),
            is_inside_line: false,
            is_over: false,
        };
        Screen(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))
    }
    /// For an engine: whole lines.
    pub(crate) fn for_scripts(&self) -> impl Write + Send + 'static {
        LineWriter::new(self.clone())
    }
    pub(crate) fn print(&self, text: &str) {
        let _ = self.put(text.as_bytes());
    }
    fn put(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock();
        while state.is_reading && state.kept.len() > MOST_KEPT {
            self.0.changed.wait(&mut state);
        }
        if state.is_reading {
            state.kept.extend_from_slice(bytes);
            self.0.changed.notify_all();
            return Ok(());
        }
        state.write(bytes)
    }

    /// Has an OS thread of its own call `draw` whenever there is something for the editor to show.
    pub(crate) fn ask_by(&self, mut draw: impl FnMut() + Send + 'static) {
        let this = self.clone();
        let ask = move || {
            loop {
                let mut state = this.0.state.lock();
                while !state.is_over && !state.wants_to_be_drawn() {
                    this.0.changed.wait(&mut state);
                }
                if state.is_over {
                    return;
                }
                state.is_asked = true;
                drop(state);
                draw();
            }
        };
        let _ = std::thread::Builder::new()
            .name("heddle-screen".into())
            .spawn(ask);
    }
    /// A line will be read by an editor that calls `take_lines` when it draws.
    pub(crate) fn begin_line(&self) {
        let mut state = self.0.state.lock();
        if state.is_inside_line {
            let _ = state.write(b"\n");
        }
        state.is_reading = true;
        state.is_asked = false;
    }
    /// What the editor is to show in front of its prompt.
    pub(crate) fn take_lines(&self) -> String {
        let mut state = self.0.state.lock();
        state.is_asked = false;
        let end = state.kept.iter().rposition(|&b| b == b'\n');
        let lines: Vec<u8> = state.kept.drain(..end.map_or(0, |at| at + 1)).collect();
        self.0.changed.notify_all();
        String::from_utf8_lossy(&lines).into_owned()
    }
    /// The line was read.
    pub(crate) fn end_line(&self) {
        let mut state = self.0.state.lock();
        state.is_reading = false;
        let kept = std::mem::take(&mut state.kept);
        let _ = state.write(&kept);
        self.0.changed.notify_all();
    }
    /// Nothing is drawn any more.
    pub(crate) fn close(&self) {
        self.0.state.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

impl State {
    fn wants_to_be_drawn(&self) -> bool {
        self.is_reading && !self.is_asked && self.kept.contains(&b'\n')
    }
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(last) = bytes.last() {
            self.is_inside_line = *last != b'\n';
        }
        self.output.write_all(bytes)?;
        self.output.flush()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);
    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).expect("text")
        }
    }

    #[test]
    fn lines_go_to_the_editor_while_it_reads() {
        let written = Written::default();
        let screen = Screen::new(Box::new(written.clone()));
        screen.print("a");
        screen.begin_line();
        screen.print("b\nc");
        assert_eq!(
            (screen.take_lines(), written.text()),
            ("b\n".into(), "a\n".into())
        );
        screen.print("d\n");
        screen.end_line();
        screen.print("e\n");
        assert_eq!(written.text(), "a\ncd\ne\n");
    }
    #[test]
    fn the_editor_is_asked_to_draw() {
        let screen = Screen::new(Box::new(Written::default()));
        let (sender, asked) = std::sync::mpsc::channel();
        screen.ask_by(move || sender.send(()).expect("somebody listens"));
        screen.begin_line();
        screen.print("a\n");
        asked.recv().expect("it is asked");
        assert_eq!(screen.take_lines(), "a\n");
        screen.print("b\n");
        asked.recv().expect("it is asked again");
        screen.close();
        assert!(asked.recv().is_err(), "the asking ends");
    }
}
