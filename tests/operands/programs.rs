//! The programs that are written, run and compared with the model.

use super::model::*;
use super::support::{self, Program};
use super::values::*;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place in the program: what stands there.
pub(crate) struct Site {
    pub(crate) operator: &'static str,
    pub(crate) text: String,
}

#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) sites: Vec<Site>,
    pub(crate) calls: Vec<String>,
}

impl Writer {
    /// `driver(site, |x, y| text, arguments)`
    pub(crate) fn site(
        &mut self,
        driver: &str,
        operator: &'static str,
        text: String,
        arguments: &str,
    ) {
        let number = self.sites.len();
        let is_narrow = is_narrow(operator);
        if self
            .sites
            .last()
            .is_none_or(|last| last.operator != operator)
        {
            self.calls.push(format!("is_narrow = {is_narrow}"));
        }
        self.calls
            .push(format!("{driver}({number}, |x, y| {text}{arguments})"));
        self.sites.push(Site { operator, text });
    }

    pub(crate) fn program(&self, samples: &[Sample]) -> String {
        let mut text = PRELUDE.to_owned();
        text.push_str("let values = [\n");
        for sample in samples {
            let _ = writeln!(text, "    {},", sample.text);
        }
        text.push_str("]\n");
        let things = samples.iter().position(|s| s.kind == "thing");
        let _ = writeln!(text, "let things = {}", things.unwrap_or(samples.len()));
        let core = samples.iter().enumerate().filter(|(_, s)| s.is_core);
        let core: Vec<_> = core.map(|(i, _)| i.to_string()).collect();
        let _ = writeln!(text, "let core = [{}]", core.join(", "));
        for (number, calls) in self.calls.chunks(100).enumerate() {
            let _ = writeln!(
                text,
                "fn part_{number}() {{\n    {}\n}}",
                calls.join("\n    ")
            );
            let _ = writeln!(text, "part_{number}()");
        }
        text
    }
}

pub(crate) const ARITHMETIC_OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>",
];
pub(crate) const TESTS: &[&str] = &["==", "!=", "<", "<=", ">", ">=", "in", "not in"];
pub(crate) const INDICES: &[&str] = &["[]", "[]="];

/// Operators whose results grow with the right operand's value.
pub(crate) fn is_narrow(operator: &str) -> bool {
    matches!(operator, "**" | "<<")
}

/// The operator applied to two operands.
pub(crate) fn applied(operator: &str, x: &str, y: &str) -> String {
    match operator {
        "[]" => format!("({x})[{y}]"),
        "[]=" => format!("{{ let c = fresh({x}); c[{y}] = 5; c }}"),
        _ => format!("{x} {operator} {y}"),
    }
}

/// Where samples of each kind begin and end.
pub(crate) fn kinds(samples: &[Sample]) -> Vec<(usize, usize)> {
    let mut kinds: Vec<(usize, usize)> = Vec::new();
    for (i, sample) in samples.iter().enumerate() {
        match kinds.last_mut() {
            Some((start, end)) if samples[*start].kind == sample.kind => *end = i + 1,
            _ => kinds.push((i, i + 1)),
        }
    }
    kinds
}

/// A literal as an operand of any operator.
pub(crate) fn operand(text: &str) -> String {
    if text.starts_with('-') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

/// Kinds of values that have operators of their own: instructions settle at places that meet only one pair of them.
pub(crate) const SETTLING: &[&str] = &[
    "int", "int64", "bigint", "float", "string", "bytes", "duration", "tuple", "list", "set",
];

pub(crate) fn binary_sites(samples: &[Sample], is_short: bool) -> Writer {
    let mut writer = Writer::default();
    let operators = [ARITHMETIC_OPERATORS, TESTS, INDICES].concat();
    let conditions = if is_short {
        &CONDITIONS[..2]
    } else {
        CONDITIONS
    };
    for &operator in &operators {
        let in_registers = applied(operator, "x", "y");
        writer.site("all_pairs", operator, in_registers.clone(), "");
        let settling = || {
            let kinds = kinds(samples).into_iter();
            kinds.filter(|(start, _)| SETTLING.contains(&samples[*start].kind))
        };
        for (a, a_end) in settling() {
            for (b, b_end) in settling() {
                let (a_end, b_end) = (a_end.min(a + 3), b_end.min(b + 3));
                let arguments = format!(", {a}, {a_end}, {b}, {b_end}");
                writer.site("pairs_of_kinds", operator, in_registers.clone(), &arguments);
            }
        }
        let literals = || samples.iter().enumerate().filter(|(_, s)| s.is_literal);
        for (i, sample) in literals() {
            let literal = operand(sample.text);
            let on_the_right = applied(operator, "x", &literal);
            let on_the_left = applied(operator, &literal, "y");
            let index = format!(", {i}");
            if TESTS.contains(&operator) && (sample.is_core || sample.kind == "int") {
                for form in &CONDITIONS[..2] {
                    writer.site("left", operator, form.replace('?', &on_the_right), &index);
                    writer.site("right", operator, form.replace('?', &on_the_left), &index);
                }
            }
            writer.site("left", operator, on_the_right, &index);
            writer.site("right", operator, on_the_left, &index);
        }
        if ARITHMETIC_OPERATORS.contains(&operator) {
            let assigned = format!("{{ var z = x; z {operator}= y; z }}");
            writer.site("core_pairs", operator, assigned, "");
            // Computed by the compiler, where both are numbers.
            let is_number = |s: &Sample| matches!(s.kind, "int" | "int64" | "bigint" | "float");
            let numbers = || literals().filter(|(_, s)| s.is_core && is_number(s));
            for (i, left) in numbers() {
                for (j, right) in numbers() {
                    let text = applied(operator, &operand(left.text), &operand(right.text));
                    writer.site("one", operator, text, &format!(", {i}, {j}"));
                }
            }
        }
        if TESTS.contains(&operator) {
            for form in conditions {
                writer.site("core_pairs", operator, form.replace('?', &in_registers), "");
            }
        }
    }
    writer
}

/// Conditions: their jumps are fused with the comparison.
pub(crate) const CONDITIONS: &[&str] = &[
    "if ? { true } else { false }",
    "if not (?) { false } else { true }",
    "{ while ? { return true }; false }",
    "? and true",
    "{ let both = false or (?); both }",
];

pub(crate) fn unary_sites() -> Writer {
    let mut writer = Writer::default();
    for (operator, text) in [
        ("-", "-x"),
        ("~", "~x"),
        ("not", "not x"),
        ("or", "x or 5"),
        ("and", "x and 5"),
        ("??", "x ?? 5"),
        ("bool", "if x { true } else { false }"),
        ("bool", "if not x { false } else { true }"),
        ("bool", "{ while x { return true }; false }"),
        ("bool", "not not x"),
        ("call", "x(1)"),
        ("each", "{ let all = []; for e in x { all.push(e) }; all }"),
        (
            "each",
            "{ let all = []; for e in x { all.extend([e]) }; all }",
        ),
        (
            "pairs",
            "{ let all = []; for a, b in x { all.push((a, b)) }; all }",
        ),
        ("tuple of two", "{ let (a, b) = x; (a, b) }"),
        ("list of two", "{ let [a, b] = x; (a, b) }"),
    ] {
        // Generators and channels are used up, and `repr` of functions is no matter of this test.
        let is_for_all = matches!(operator, "-" | "~" | "not" | "bool" | "call");
        let driver = if is_for_all { "each" } else { "each_plain" };
        writer.site(driver, operator, text.to_owned(), "");
    }
    writer
}

/// Some hundred thousand operations in a debug build, on a machine that may be busy.
pub(crate) const LIMIT_OF_TIME: std::time::Duration = std::time::Duration::from_secs(900);

/// Runs a program of these sites, and compares what it prints for each pair with what is expected.
pub(crate) fn check(
    samples: &[Sample],
    writer: &Writer,
    flags: &[&str],
    expected: impl Fn(&Site, usize, usize) -> Result<String, &'static str>,
) {
    // The tests of this program run at once, each in all modes.
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let name = format!("heddle-operands-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    let file = folder.join(format!("{}.hd", flags.concat().replace(['-', '='], "")));
    std::fs::write(&file, writer.program(samples)).expect("a file can be written");
    let outcome = Program::heddle()
        .arg("run")
        .arg("--memory=256mb")
        .args(flags.iter().copied())
        .arg(&file)
        .limit(LIMIT_OF_TIME)
        .run();
    let mut faults = String::new();
    outcome.check_exit(0, &mut faults);
    assert!(
        faults.is_empty(),
        "{faults}{}",
        support::shortened(&outcome.stderr)
    );
    let mut wrong = Vec::new();
    let mut reached = vec![false; writer.sites.len()];
    for line in outcome.stdout.lines() {
        let mut parts = line.splitn(4, ' ');
        let mut number = || -> usize {
            let part = parts.next().expect("a number");
            part.parse().expect("a number")
        };
        let (site, i, j) = (number(), number(), number());
        let found = parts.next().expect("an outcome");
        reached[site] = true;
        let site = &writer.sites[site];
        let wanted = match expected(site, i, j) {
            Ok(value) => format!("= {value}"),
            Err(kind) => format!("! {kind}"),
        };
        if found != wanted {
            let (x, y) = (samples[i].text, samples[j].text);
            wrong.push(format!(
                "{} with x = {x}, y = {y}: {found}, expected {wanted}",
                site.text
            ));
        }
    }
    let unreached = writer
        .sites
        .iter()
        .zip(&reached)
        .find(|(site, reached)| !**reached && !is_narrow(site.operator));
    assert!(unreached.is_none(), "each place was run");
    wrong.sort();
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} differ, among them\n{}",
        wrong.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
    let _ = std::fs::remove_dir_all(&folder);
}

/// What `show` prints.
pub(crate) fn shown(outcome: Outcome) -> Result<String, &'static str> {
    let text = outcome?.repr();
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= 200 {
        return Ok(text);
    }
    let part = |part: &[char]| part.iter().collect::<String>();
    let (start, end) = (part(&chars[..30]), part(&chars[chars.len() - 30..]));
    Ok(format!("{}: {start} {end}", chars.len()))
}

pub(crate) fn check_operators(only_core: bool, flags: &[&str]) {
    let samples = values(only_core);
    // Each pair's results once: there are many places for it.
    let binary = binary_sites(&samples, only_core);
    check(&samples, &binary, flags, |site, i, j| {
        let (a, b) = (&samples[i].value, &samples[j].value);
        // The same object equals itself, whatever is in it.
        let is_same = i == j && !matches!(a, V::Float(_));
        match site.operator {
            "==" if is_same => Ok("true".to_owned()),
            "!=" if is_same => Ok("false".to_owned()),
            operator => shown(Model::binary(operator, a, b)),
        }
    });
}
