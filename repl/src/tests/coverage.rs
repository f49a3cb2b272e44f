//! `heddle test --coverage`: which lines of the tested files were run, as a table or in the format of lcov.

use crate::output::{complain, for_scripts};
use heddle::Engine;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What is shown of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Summary,
    Lcov,
}

/// The value of `--coverage`, and where it goes.
pub(crate) struct Plan {
    pub(crate) kind: Kind,
    /// `-` is standard output.
    pub(crate) output: Option<PathBuf>,
}

/// Where a trace for lcov goes if nobody says.
const LCOV_FILE: &str = "lcov.info";

/// Counts of any number of engines.
#[derive(Default)]
pub(super) struct Coverage {
    files: BTreeMap<PathBuf, Counts>,
}

#[derive(Default)]
struct Counts {
    lines: BTreeMap<u32, u64>,
    /// By line and name.
    functions: BTreeMap<(u32, String), u64>,
}

impl Coverage {
    /// Adds what the scripts of an engine have run.
    pub(super) fn add(&mut self, engine: &Engine) {
        for file in engine.coverage() {
            let path = PathBuf::from(&file.path);
            let key = path.canonicalize().unwrap_or(path);
            let counts = self.files.entry(key).or_default();
            for (line, count) in file.lines {
                *counts.lines.entry(line).or_default() += count;
            }
            for function in file.functions {
                let key = (function.line, function.name);
                *counts.functions.entry(key).or_default() += function.count;
            }
        }
    }
    pub(super) fn merge(&mut self, other: Coverage) {
        for (path, counts) in other.files {
            let sums = self.files.entry(path).or_default();
            for (line, count) in counts.lines {
                *sums.lines.entry(line).or_default() += count;
            }
            for (function, count) in counts.functions {
                *sums.functions.entry(function).or_default() += count;
            }
        }
    }
    /// Files with their names as seen from the current folder.
    fn named(&self) -> Vec<(String, &Counts)> {
        let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
        let here = here.unwrap_or_default();
        let name = |path: &Path| {
            path.strip_prefix(&here)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        let files = self.files.iter();
        files.map(|(path, counts)| (name(path), counts)).collect()
    }
    /// Lines, and how many of them were run.
    fn total(&self) -> (usize, usize) {
        let counts = self.files.values().map(Counts::total);
        counts.fold((0, 0), |(lines, run), (l, r)| (lines + l, run + r))
    }
    fn summary(&self) -> String {
        let files = self.named();
        let longest = files.iter().map(|(name, _)| name.chars().count()).max();
        let width = longest.unwrap_or(0).max("coverage".len());
        let mut text = format!("{:width$}  lines  covered        %  not run\n", "coverage");
        let mut row = |name: &str, (lines, run): (usize, usize), missing: &str| {
            let percent = percent(lines, run);
            let row = format!("{name:width$}  {lines:>5}  {run:>7}  {percent:>5.1} %  {missing}");
            text.push_str(row.trim_end());
            text.push('\n');
        };
        for (name, counts) in &files {
            row(name, counts.total(), &counts.missing());
        }
        row("total", self.total(), "");
        text
    }
    fn lcov(&self) -> String {
        let mut text = String::new();
        for (name, counts) in self.named() {
            let _ = write!(text, "TN:\nSF:{name}\n");
            let names = counts.functions.keys().map(|key| counts.name_of(key));
            for ((line, _), name) in counts.functions.keys().zip(names.clone()) {
                let _ = writeln!(text, "FN:{line},{name}");
            }
            for (count, name) in counts.functions.values().zip(names) {
                let _ = writeln!(text, "FNDA:{count},{name}");
            }
            let begun = counts.functions.values().filter(|count| **count > 0);
            let _ = writeln!(
                text,
                "FNF:{}\nFNH:{}",
                counts.functions.len(),
                begun.count()
            );
            for (line, count) in &counts.lines {
                let _ = writeln!(text, "DA:{line},{count}");
            }
            let (lines, run) = counts.total();
            let _ = writeln!(text, "LF:{lines}\nLH:{run}\nend_of_record");
        }
        text
    }
    /// Writes what is wanted; for people (`is_pretty`) it is said where. Gives whether that succeeded.
    pub(super) fn tell(&self, plan: &Plan, is_pretty: bool) -> bool {
        let (text, standard) = match plan.kind {
            Kind::Summary => (self.summary(), "-"),
            Kind::Lcov => (self.lcov(), LCOV_FILE),
        };
        let output = plan.output.as_deref().unwrap_or(Path::new(standard));
        if output == Path::new("-") {
            let mut output = for_scripts();
            let written = output.write_all(text.as_bytes());
            return written.and_then(|()| output.flush()).is_ok();
        }
        if let Err(error) = std::fs::write(output, text) {
            let output = output.display();
            complain(&format!("error: cannot write {output}: {error}\n"));
            return false;
        }
        if is_pretty {
            let (lines, run) = self.total();
            let _ = writeln!(
                for_scripts(),
                "coverage: {run} of {lines} lines ({:.1} %), in {}",
                percent(lines, run),
                output.display()
            );
        }
        true
    }
}

impl Counts {
    fn total(&self) -> (usize, usize) {
        let run = self.lines.values().filter(|count| **count > 0).count();
        (self.lines.len(), run)
    }
    /// The format knows functions by their names: where several have the same, the line is put behind it.
    fn name_of(&self, (line, name): &(u32, String)) -> String {
        let same = self.functions.keys().filter(|(_, other)| other == name);
        match same.count() {
            1 => name.clone(),
            _ => format!("{name}:{line}"),
        }
    }
    /// `3-5, 9`: lines that were not run. Those between two of them that have no code do not part a range.
    fn missing(&self) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut goes_on = false;
        for (&line, &count) in &self.lines {
            match ranges.last_mut() {
                Some(range) if goes_on && count == 0 => range.1 = line,
                _ if count == 0 => ranges.push((line, line)),
                _ => {}
            }
            goes_on = count == 0;
        }
        let texts = ranges.iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// Rounded down, so that 100.0 means all.
fn percent(lines: usize, run: usize) -> f64 {
    match lines {
        0 => 100.0,
        _ => (run * 1000 / lines) as f64 / 10.0,
    }
}
