//! How the ends of tests are told: for people, as TAP, as JUnit's XML, as a line of JSON for each.

use super::coverage::Coverage;
use super::{Fault, FileReport, TestReport};
use crate::arguments::TestPlan;
use crate::json::json_text;
use crate::output::{complain, for_scripts, is_coloured};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::time::{Duration, Instant};

/// The value of `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    #[default]
    Pretty,
    /// The Test Anything Protocol, version 14.
    Tap,
    /// The XML that build servers read.
    Junit,
    /// An object in each line.
    Json,
}

/// People want to know of tests that take longer.
const SLOW: Duration = Duration::from_millis(100);

pub(super) struct Reporter<'a> {
    plan: &'a TestPlan,
    start: Instant,
    passed: usize,
    failed: usize,
    /// Files that could not be loaded.
    broken: usize,
    /// Suites of JUnit's report, whose head has the sums.
    suites: String,
    pub(super) coverage: Coverage,
}

impl Reporter<'_> {
    pub(super) fn new(plan: &TestPlan) -> Reporter<'_> {
        if plan.format == Format::Tap {
            say("TAP version 14\n");
        }
        Reporter {
            plan,
            start: Instant::now(),
            passed: 0,
            failed: 0,
            broken: 0,
            suites: String::new(),
            coverage: Coverage::default(),
        }
    }
    pub(super) fn tell(&mut self, report: &FileReport) {
        let before = self.passed + self.failed + self.broken;
        self.passed += report.tests.iter().filter(|t| t.fault.is_none()).count();
        self.failed += report.tests.iter().filter(|t| t.fault.is_some()).count();
        self.broken += usize::from(report.broken.is_some());
        match self.plan.format {
            Format::Pretty => pretty(self.plan, report),
            Format::Tap => tap(before, report),
            Format::Junit => junit(report, &mut self.suites),
            Format::Json => json(report),
        }
    }
    /// The end of the report, and the exit code.
    pub(super) fn finish(&self) -> u8 {
        let Reporter {
            passed,
            failed,
            broken,
            ..
        } = *self;
        let seconds = self.start.elapsed().as_secs_f64();
        match self.plan.format {
            Format::Pretty => {
                let files = match broken {
                    0 => String::new(),
                    1 => ", 1 file could not be loaded".to_owned(),
                    n => format!(", {n} files could not be loaded"),
                };
                say(&format!("{passed} passed, {failed} failed{files}\n"));
            }
            Format::Tap => say(&format!("1..{}\n", passed + failed + broken)),
            Format::Junit => say(&format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{}\" failures=\"{failed}\" errors=\"{broken}\" time=\"{seconds:.6}\">\n{}</testsuites>\n",
                passed + failed + broken,
                self.suites
            )),
            Format::Json => say(&format!(
                "{{\"type\": \"summary\", \"passed\": {passed}, \"failed\": {failed}, \"broken\": {broken}, \"seconds\": {seconds:.6}}}\n"
            )),
        }
        let is_told = self.plan.coverage.as_ref().is_none_or(|plan| {
            let is_pretty = self.plan.format == Format::Pretty;
            self.coverage.tell(plan, is_pretty)
        });
        u8::from(failed + broken > 0 || !is_told)
    }
}

// --- for people

fn pretty(plan: &TestPlan, report: &FileReport) {
    let file = report.file.display();
    if let Some(error) = &report.broken {
        say(&quoted(&report.output));
        complain(&error.render_with(is_coloured()));
        return;
    }
    let mut text = String::new();
    if !report.tests.is_empty() {
        let _ = writeln!(text, "{file}");
    }
    for test in &report.tests {
        let time = match test.time {
            time if time < SLOW => String::new(),
            time => format!(" ({:.1} s)", time.as_secs_f64()),
        };
        let name = &test.name;
        let Some(fault) = &test.fault else {
            let _ = writeln!(text, "  {name} ... {}{time}", painted("ok", "32"));
            continue;
        };
        let failed = painted("FAILED", "1;31");
        match fault.seed.filter(|_| plan.schedules.is_some()) {
            Some(seed) => {
                let _ = writeln!(text, "  {name} ... {failed} with seed {seed}{time}");
            }
            None => {
                let _ = writeln!(text, "  {name} ... {failed}{time}");
            }
        }
        for line in fault.text.lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str(&quoted(&test.output));
        if let Some(seed) = fault.seed {
            let _ = writeln!(
                text,
                "    repeat: heddle test --schedule=seed:{seed} {file} --filter {name:?}"
            );
        }
    }
    say(&text);
}

/// What a test printed.
fn quoted(output: &str) -> String {
    output.lines().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "    > {line}");
        text
    })
}

fn painted(text: &str, colour: &str) -> String {
    let is_plain =
        std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty()) || !io::stdout().is_terminal();
    if is_plain {
        text.to_string()
    } else {
        format!("\x1b[{colour}m{text}\x1b[0m")
    }
}

// --- for programs

fn tap(before: usize, report: &FileReport) {
    let file = report.file.display().to_string();
    let mut text = String::new();
    let mut number = before;
    // `#` would begin a directive.
    let title = |name: &str| {
        name.replace('\\', "\\\\")
            .replace('#', "\\#")
            .replace('\n', " ")
    };
    let block = |text: &mut String, fault: &Fault, output: &str, time: Duration| {
        let _ = writeln!(text, "  ---\n  kind: {}", json_text(&fault.kind));
        let _ = writeln!(text, "  message: {}", json_text(&fault.text));
        if let Some(seed) = fault.seed {
            let _ = writeln!(text, "  seed: {seed}");
        }
        if !output.is_empty() {
            let _ = writeln!(text, "  output: {}", json_text(output));
        }
        let _ = writeln!(text, "  duration_ms: {:.3}\n  ...", milliseconds(time));
    };
    if let Some(error) = &report.broken {
        number += 1;
        let _ = writeln!(text, "not ok {number} - {}: cannot be loaded", title(&file));
        block(&mut text, &Fault::of(error), &report.output, Duration::ZERO);
    }
    for test in &report.tests {
        number += 1;
        let name = title(&format!("{file}: {}", test.name));
        match &test.fault {
            None => {
                let _ = writeln!(text, "ok {number} - {name}");
                let time = milliseconds(test.time);
                let _ = writeln!(text, "  ---\n  duration_ms: {time:.3}\n  ...");
            }
            Some(fault) => {
                let _ = writeln!(text, "not ok {number} - {name}");
                block(&mut text, fault, &test.output, test.time);
            }
        }
    }
    say(&text);
}

fn junit(report: &FileReport, out: &mut String) {
    let file = xml(&report.file.display().to_string());
    let failures = report.tests.iter().filter(|t| t.fault.is_some()).count();
    let errors = usize::from(report.broken.is_some());
    let time: Duration = report.tests.iter().map(|test| test.time).sum();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{file}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.6}\">",
        report.tests.len() + errors,
        time.as_secs_f64()
    );
    let mut case = |name: &str, time: Duration, tag: &str, fault: Option<&Fault>, output: &str| {
        let _ = write!(
            out,
            "    <testcase classname=\"{file}\" name=\"{}\" time=\"{:.6}\"",
            xml(name),
            time.as_secs_f64()
        );
        if fault.is_none() && output.is_empty() {
            out.push_str("/>\n");
            return;
        }
        out.push_str(">\n");
        if let Some(fault) = fault {
            let _ = writeln!(
                out,
                "      <{tag} type=\"{}\" message=\"{}\">{}</{tag}>",
                xml(&fault.kind),
                xml(&fault.message),
                xml(&fault.text)
            );
        }
        if !output.is_empty() {
            let _ = writeln!(out, "      <system-out>{}</system-out>", xml(output));
        }
        out.push_str("    </testcase>\n");
    };
    if let Some(error) = &report.broken {
        let fault = Fault::of(error);
        case(
            "(loading)",
            Duration::ZERO,
            "error",
            Some(&fault),
            &report.output,
        );
    }
    for test in &report.tests {
        case(
            &test.name,
            test.time,
            "failure",
            test.fault.as_ref(),
            &test.output,
        );
    }
    out.push_str("  </testsuite>\n");
}

fn json(report: &FileReport) {
    let file = json_text(&report.file.display().to_string());
    let mut text = String::new();
    if let Some(error) = &report.broken {
        let _ = writeln!(
            text,
            "{{\"type\": \"broken\", \"file\": {file}, \"message\": {}, \"output\": {}}}",
            json_text(&error.render()),
            json_text(&report.output)
        );
    }
    for test in &report.tests {
        let TestReport {
            name, time, output, ..
        } = test;
        let _ = write!(
            text,
            "{{\"type\": \"test\", \"file\": {file}, \"name\": {}, \"passed\": {}, \"seconds\": {:.6}",
            json_text(name),
            test.fault.is_none(),
            time.as_secs_f64()
        );
        if let Some(fault) = &test.fault {
            let _ = write!(
                text,
                ", \"kind\": {}, \"message\": {}, \"report\": {}",
                json_text(&fault.kind),
                json_text(&fault.message),
                json_text(&fault.text)
            );
            if let Some(seed) = fault.seed {
                let _ = write!(text, ", \"seed\": {seed}");
            }
        }
        let _ = writeln!(text, ", \"output\": {}}}", json_text(output));
    }
    say(&text);
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Text in XML: what it cannot hold becomes a replacement character.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push('\t'),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

fn say(text: &str) {
    let mut output = for_scripts();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}
