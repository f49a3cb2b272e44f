//! Uncaught errors as text: kind, message, snippet of the failing line, script frames newest first, causes.

use crate::module::Proto;
use crate::object::Kind;
use crate::thread::Thread;
use crate::types::ErrorKind;
use crate::value::Value;
use std::fmt::Write;

pub use crate::bytecode::nearest::{did_you_mean, nearest};

/// The text of a value for messages, cut to `most` characters.
pub(crate) fn short(engine: &crate::engine::Engine, v: Value, quoted: bool, most: usize) -> String {
    match crate::ops::text::as_str(v) {
        Some(s) if !quoted => s.chars().take(most).collect(),
        _ => crate::ops::show::short(engine, v, most),
    }
}

/// One line of a trace.
pub(crate) struct Place {
    function: String,
    pub(crate) path: String,
    pub(crate) line: usize,
    column: usize,
    text: String,
    width: usize,
}

pub(crate) fn place(proto: *const Proto, word: u64) -> Place {
    // SAFETY: prototypes in traces live as long as the engine.
    let proto = unsafe { &*proto };
    // SAFETY: so do modules.
    let module = unsafe { &*proto.module };
    let span = proto.span_at(word as u32);
    let (line, column) = module.position(span.start);
    let start = module.source[..(span.start as usize).min(module.source.len())]
        .rfind('\n')
        .map_or(0, |p| p + 1);
    let text: String = module.source[start..]
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .take(200)
        .collect();
    let marked = module
        .source
        .get(span.start as usize..span.end as usize)
        .unwrap_or("");
    let width = marked.lines().next().unwrap_or("").chars().count().max(1);
    Place {
        function: proto.name.to_string(),
        path: module.path.clone(),
        line,
        column,
        text,
        width,
    }
}

/// Where the program is: the innermost frame of a script.
pub(crate) fn running_place(thread: &Thread) -> String {
    let trace = thread.collect_trace();
    trace.first().map_or_else(
        || "the library".into(),
        |(proto, word)| {
            let p = place(*proto, *word);
            format!("{}:{}", p.path, p.line)
        },
    )
}

/// `f.hd:3:5`.
pub(crate) fn place_text(proto: *const Proto, word: u64) -> String {
    let p = place(proto, word);
    format!("{}:{}:{}", p.path, p.line, p.column)
}

/// `f.hd:3:5`: where a task that is left waits; empty if only the library's code is on its stack.
///
/// # Safety
/// See `Frames::new`; `base` may be null.
pub(crate) unsafe fn place_of(base: *mut Value, pc: *const u64) -> String {
    if base.is_null() {
        return String::new();
    }
    // SAFETY: promised by the caller; prototypes live as long as the engine.
    unsafe {
        for frame in crate::interp::frame::Frames::new(base, pc) {
            let proto = &*frame.proto;
            if !proto.is_stub() && !proto.is_internal {
                return place_text(frame.proto, frame.word() as u64);
            }
        }
    }
    String::new()
}

/// The lines of an error's trace, newest first, repeated ones folded.
pub(crate) fn trace_lines(thread: &Thread, error: Value) -> Vec<String> {
    lines_of(thread.trace_of(error))
}

/// The lines of a trace.
pub(crate) fn lines_of(trace: Vec<(*const Proto, u64)>) -> Vec<String> {
    let mut lines: Vec<(String, u64)> = Vec::new();
    for (proto, word) in trace {
        let line = if proto.is_null() {
            format!("… {word} more frames …")
        } else {
            let p = place(proto, word);
            format!("{} ({}:{}:{})", p.function, p.path, p.line, p.column)
        };
        match lines.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => lines.push((line, 1)),
        }
    }
    lines
        .into_iter()
        .map(|(line, count)| {
            if count > 1 {
                format!("{line} × {count}")
            } else {
                line
            }
        })
        .collect()
}

/// The frames of a task that waits while it is pinned, newest first, with the native frames between them marked.
pub(crate) fn pinned_lines(thread: &Thread) -> Vec<String> {
    let mut lines = Vec::new();
    // SAFETY: the machine's frames.
    for frame in unsafe { crate::interp::frame::Frames::new(thread.base, thread.pc) } {
        // SAFETY: prototypes live as long as the engine.
        let proto = unsafe { &*frame.proto };
        // SAFETY: a frame's word.
        if proto.is_stub() && unsafe { crate::interp::frame::ret(frame.base) } != 0 {
            lines.push("→ a native function that calls back: this pins the task".into());
        } else if !proto.is_stub() && !proto.is_internal {
            let p = place(frame.proto, u64::from(frame.word()));
            lines.push(format!(
                "{} ({}:{}:{})",
                p.function, p.path, p.line, p.column
            ));
        }
    }
    lines
}

/// Kind and message of a thrown value; of one that is no error, its type and its `repr`.
fn kind_and_message(thread: &mut Thread, error: Value) -> (String, String) {
    if !thread.is_error(error) {
        return (thread.type_name(error), thread.repr_short(error));
    }
    // SAFETY: an error has its five fields.
    let (message, kind) = unsafe {
        let fields = error.as_object().cast::<Value>().add(1);
        (*fields, *fields.add(1))
    };
    let kind = if kind.is_kind(Kind::Str) {
        thread.show_short(kind)
    } else {
        thread.type_name(error)
    };
    let message = if message.is_nil() {
        String::new()
    } else if error.type_id() == ErrorKind::Deadlock.type_id()
        && let Some(report) = crate::ops::text::as_str(message)
    {
        // It is cut where it is made.
        report.to_string()
    } else {
        thread.show_short(message)
    };
    (kind, message)
}

/// `ValueError: bad n`, or the text of a thrown value that is no error.
fn headline(thread: &mut Thread, error: Value) -> String {
    let is_error = thread.is_error(error);
    match kind_and_message(thread, error) {
        (_, text) if !is_error => format!("uncaught {text}"),
        (kind, message) if message.is_empty() => format!("uncaught {kind}"),
        (kind, message) => format!("uncaught {kind}: {message}"),
    }
}

/// The cause of an error, if it has one.
fn cause_of(thread: &Thread, error: Value) -> Option<Value> {
    if !thread.is_error(error) {
        return None;
    }
    // SAFETY: as in `kind_and_message`.
    let cause = unsafe { *error.as_object().cast::<Value>().add(1 + 3) };
    (!cause.is_nil()).then_some(cause)
}

/// Kind and message of a thrown value and of its causes.
pub fn describe(thread: &mut Thread, error: Value) -> Vec<(String, String)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        chain.push(kind_and_message(thread, error));
        next = cause_of(thread, error).filter(|_| chain.len() < 20);
    }
    chain
}

/// More errors that nobody joined for are counted only.
const MOST_REPORTED: usize = 20;

/// The error that ended the program as it is reported, and all others that nobody joined for.
pub fn report(thread: &mut Thread, error: Value) -> String {
    let mut out = String::new();
    let sites = std::mem::take(&mut thread.failed_sites);
    report_one(thread, error, sites, &mut out);
    let others = std::mem::take(&mut thread.also_failed);
    let lost = std::mem::take(&mut *thread.scheduler.lost_errors.lock());
    let left_out = others.len().saturating_sub(MOST_REPORTED) + lost.list.len() + lost.left_out;
    if !others.is_empty() {
        thread.loose_trace.clear();
    }
    for (at, (handle, sites)) in others.into_iter().enumerate() {
        if at < MOST_REPORTED {
            out.push('\n');
            report_one(thread, thread.handle(handle), sites, &mut out);
        }
        thread.free_handle(handle);
    }
    if left_out > 0 {
        let _ = writeln!(out, "\nand {left_out} more errors that nobody joined for");
    }
    out
}

/// An uncaught error, causes included.
pub(crate) fn report_one(
    thread: &mut Thread,
    error: Value,
    sites: Vec<(*const Proto, u64)>,
    out: &mut String,
) {
    let mut sites = sites.into_iter();
    let mut error = error;
    let mut seen = Vec::new();
    loop {
        let title = headline(thread, error);
        let word = if seen.is_empty() {
            "error: "
        } else {
            "caused by: "
        };
        let _ = writeln!(
            out,
            "{word}{}",
            title
                .strip_prefix("uncaught ")
                .filter(|_| !seen.is_empty())
                .unwrap_or(&title)
        );
        let trace = thread.trace_of(error);
        if let Some((proto, word)) = trace.iter().find(|(p, _)| !p.is_null()) {
            let p = place(*proto, *word);
            let number = p.line.to_string();
            let pad = " ".repeat(number.len());
            let indent: String = p
                .text
                .chars()
                .take(p.column - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let _ = writeln!(out, "{pad} --> {}:{}:{}", p.path, p.line, p.column);
            let _ = writeln!(
                out,
                "{pad} |\n{number} | {}\n{pad} | {indent}{}",
                p.text,
                "^".repeat(p.width.min(p.text.chars().count().max(1)))
            );
        }
        let lines = trace_lines(thread, error);
        if lines.len() > 1 || lines.first().is_some_and(|l| l.contains('×')) {
            out.push_str("trace, newest first:\n");
            for line in lines {
                let _ = writeln!(out, "  {line}");
            }
        }
        if seen.is_empty() {
            if let Some((proto, word)) = sites.next() {
                let p = place(proto, word);
                let _ = writeln!(
                    out,
                    "started at {}:{}:{}, and nobody joined for it",
                    p.path, p.line, p.column
                );
            }
            for (proto, word) in sites.by_ref() {
                let p = place(proto, word);
                let _ = writeln!(
                    out,
                    "  by what was started at {}:{}:{}",
                    p.path, p.line, p.column
                );
            }
        }
        if !thread.is_error(error) {
            break;
        }
        seen.push(error);
        // SAFETY: as in `headline`.
        let cause = unsafe { *error.as_object().cast::<Value>().add(1 + 3) };
        if cause.is_nil() || seen.contains(&cause) || seen.len() > 20 {
            break;
        }
        error = cause;
    }
}
