//! How often the lines of scripts were run.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCoverage {
    /// As shown in messages.
    pub path: String,
    /// Lines that have code, from 1, and how often each was run; in order.
    pub lines: Vec<(u32, u64)>,
    /// Functions that have a name, in the order of the file.
    pub functions: Vec<FunctionCoverage>,
}

/// Of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCoverage {
    /// `area`, `Point.len`.
    pub name: String,
    /// Where its name stands.
    pub line: u32,
    /// How often its body began.
    pub count: u64,
}

/// What the modules of an engine have counted.
pub(crate) fn of(engine: &heddle_vm::Engine) -> Vec<FileCoverage> {
    let modules = engine.counted_modules();
    let files = modules.iter().map(|module| {
        let mut lines = BTreeMap::new();
        let mut functions = Vec::new();
        for (counter, count) in module.counters.iter().zip(&module.counts) {
            let count = count.load(Ordering::Relaxed);
            let highest = lines.entry(counter.line).or_insert(0);
            *highest = count.max(*highest);
            if let Some(name) = &counter.function {
                functions.push(FunctionCoverage {
                    name: name.to_string(),
                    line: counter.line,
                    count,
                });
            }
        }
        functions.sort_by_key(|function| function.line);
        FileCoverage {
            path: module.path.clone(),
            lines: lines.into_iter().collect(),
            functions,
        }
    });
    files.collect()
}
