//! The natives of the module `runtime`: what the program looks like from outside, while it stands still.

use super::report::{ThreadEntry, title};
use crate::native::{Ctx, NativeDef, NativeResult, Trap};
use crate::types::ErrorKind;
use crate::value::Value;
use std::fmt::Write;

/// `runtime`; the rest is written in Heddle. Nil stands for "ask again": another thread could not be stopped.
pub static RUNTIME: &[NativeDef] = crate::natives! {
    plain "runtime.__leaks" () => leaks;
    plain "runtime.__stats" () => stats;
    plain "runtime.__dump" (format) => dump;
};

fn leaks(ctx: &mut Ctx) -> NativeResult {
    let Some(leaks) = ctx.thread.find_leaks() else {
        return ctx.nil();
    };
    ctx.reserve(leaks.len() * 512)?;
    let mut entries = Vec::new();
    for leak in &leaks {
        let task = leak.title();
        let waits_for = leak.task.waits_for.as_deref().unwrap_or("");
        let parts = [&task, waits_for, &leak.task.place].map(|part| ctx.str(part));
        entries.push(ctx.tuple(&parts)?);
    }
    ctx.list(&entries)
}

fn stats(ctx: &mut Ctx) -> NativeResult {
    let Some(threads) = ctx.thread.snapshot() else {
        return ctx.nil();
    };
    let tasks = || threads.iter().flat_map(|thread| &thread.tasks);
    let waiting = tasks().filter(|task| task.waits_for.is_some()).count();
    let counts = [
        ("threads", threads.len()),
        ("tasks", tasks().count()),
        ("waiting", waiting),
        ("carriers", ctx.thread.scheduler.carrier_count()),
        (
            "pins",
            ctx.thread
                .scheduler
                .pins
                .load(std::sync::atomic::Ordering::Relaxed) as usize,
        ),
        ("heap_bytes", ctx.thread.heap.used_bytes()),
    ];
    ctx.reserve(1024)?;
    let map = ctx.map()?;
    for (name, count) in counts {
        let key = ctx.str(name);
        ctx.map_set(map, key, Value::small_int(count as i64))?;
    }
    let uptime = ctx.thread.scheduler.now() as i64;
    let (key, uptime) = (ctx.str("uptime"), ctx.duration(uptime));
    ctx.map_set(map, key, uptime)?;
    Ok(map)
}

fn dump(ctx: &mut Ctx) -> NativeResult {
    let as_json = match ctx.str_arg(0)? {
        "text" => false,
        "json" => true,
        other => {
            let message =
                format!("runtime.dump: the format is \"text\" or \"json\", got {other:?}");
            return Err(ctx.throw(ErrorKind::Value, message));
        }
    };
    let Some(threads) = ctx.thread.snapshot() else {
        return ctx.nil();
    };
    let text = if as_json {
        json(&threads)
    } else {
        text(&threads)
    };
    ctx.reserve(text.len() + 64).map_err(|_| Trap::Collect)?;
    Ok(ctx.str(&text))
}

fn text(threads: &[ThreadEntry]) -> String {
    let mut text = String::from("process\n  troop 1 'main'\n");
    for thread in threads {
        let title = title("thread", thread.id, thread.name.as_deref());
        let _ = writeln!(text, "    {title}: {}", thread.state);
        for task in &thread.tasks {
            let _ = write!(text, "      {}: {}", task.title(), task.state);
            if let Some(waits_for) = &task.waits_for {
                let _ = write!(text, " for {waits_for}");
            }
            if !task.place.is_empty() {
                let _ = write!(text, " ({})", task.place);
            }
            text.push('\n');
        }
    }
    text
}

fn json(threads: &[ThreadEntry]) -> String {
    let threads = threads.iter().map(|thread| {
        let tasks = thread.tasks.iter().map(|task| {
            object(&[
                ("id", task.id.to_string()),
                ("name", optional(&task.name)),
                ("state", quoted(task.state)),
                ("waits_for", optional(&task.waits_for)),
                ("place", quoted(&task.place)),
            ])
        });
        object(&[
            ("id", thread.id.to_string()),
            ("name", optional(&thread.name)),
            ("state", quoted(thread.state)),
            ("tasks", array(tasks)),
        ])
    });
    let troop = object(&[
        ("id", "1".into()),
        ("name", quoted("main")),
        ("threads", array(threads)),
    ]);
    object(&[("troops", array([troop].into_iter()))])
}
fn object(fields: &[(&str, String)]) -> String {
    let fields = fields
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}"));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
}
fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
fn optional(text: &Option<String>) -> String {
    text.as_deref().map_or("null".into(), quoted)
}
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_names_is_quoted() {
        let thread = ThreadEntry {
            id: 1,
            name: Some("a \"b\"\n".into()),
            state: "waiting",
            tasks: Vec::new(),
        };
        assert_eq!(
            json(&[thread]),
            r#"{"troops": [{"id": 1, "name": "main", "threads": [{"id": 1, "name": "a \"b\"\u000a", "state": "waiting", "tasks": []}]}]}"#
        );
    }
}
