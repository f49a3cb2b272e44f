//! What the library makes of data, beside independent references: JSON beside `serde_json`, CSV written and read again, ints beside
//! `num-bigint`, floats and format specs beside Rust's own, sorting and maps beside Rust's collections.

use arbitrary::Unstructured;
use heddle::{Engine, Module};
use num_bigint::BigInt;
use std::fmt::Write;

const SCRIPT: &str = r#"
import json, csv
pub fn json_round(text) { try { json.encode(json.parse(text)) } catch e { nil } }
pub fn csv_round(rows, separator) { csv.parse(csv.encode(rows, separator), separator) }
pub fn csv_read(text) { try { csv.parse(text) } catch e { nil } }
pub fn calculate(op, a, b) {
    let (x, y) = (int(a), int(b))
    try {
        str(match op {
            "+" => x + y, "-" => x - y, "*" => x * y, "//" => x // y, "%" => x % y, "&" => x & y, "|" => x | y, "^" => x ^ y,
            "<<" => x << (y & 255), ">>" => x >> (y & 255), "**" => x ** (y & 15), "<" => x < y, "==" => x == y,
            "neg" => -x, "not" => ~x, "abs" => abs(x), "bits" => x.bit_length(),
        })
    } catch e { e.kind }
}
pub fn float_of(text) { try { float(text) } catch e { nil } }
pub fn text_of(x) { str(x) }
pub fn int_of(x) { str(int(x)) }
pub fn sorted(xs) { xs.sorted() }
pub fn run_map(ops) {
    let m = {}
    for (what, key, value) in ops {
        match what {
            0 | 1 => { m[key] = value }
            2 => { m.remove(key) }
            3 => { m[key] = m.get(key, 0) + value }
            _ => { if key in m { m[key] += 1 } }
        }
    }
    let out = []
    for k, v in m { out.push([k, v]) }
    out
}
"#;

const OPERATORS: &[&str] = &[
    "+", "-", "*", "//", "%", "&", "|", "^", "<<", ">>", "**", "<", "==", "neg", "not", "abs",
    "bits",
];

/// Compares.
pub struct Checker {
    engine: Engine,
    module: Module,
    runs: usize,
}

impl Default for Checker {
    fn default() -> Checker {
        let mut engine = Engine::builder().memory_limit(256 << 20).build();
        let loaded = engine.load_str("data", SCRIPT);
        let module = loaded.unwrap_or_else(|error| panic!("{}", error.render()));
        Checker {
            engine,
            module,
            runs: 0,
        }
    }
}

/// What cannot be drawn is the simplest.
fn below(u: &mut Unstructured, end: usize) -> usize {
    u.int_in_range(0..=end.max(1) - 1).unwrap_or(0)
}

fn one_of<'a, T: ?Sized>(u: &mut Unstructured, all: &[&'a T]) -> &'a T {
    all[below(u, all.len())]
}

/// Text in which what matters to JSON and CSV is frequent.
fn text(u: &mut Unstructured, most: usize) -> String {
    const PIECES: &[&str] = &[
        "a", "b", "ä", "€", "😀", "\"", "\\", "\n", "\r", "\r\n", ",", ";", " ", "\t", "\0",
        "\u{7f}", "0", "1", "true", "null", "/", "\u{2028}",
    ];
    (0..below(u, most)).map(|_| one_of(u, PIECES)).collect()
}

fn big(u: &mut Unstructured) -> BigInt {
    let sign = if below(u, 2) == 0 { 1 } else { -1 };
    let magnitude = match below(u, 6) {
        0 => BigInt::from(below(u, 20)),
        1 => BigInt::from(u.arbitrary::<u64>().unwrap_or(0)),
        2 => (BigInt::from(1) << below(u, 300)) - 1,
        3 => (BigInt::from(1) << below(u, 300)) + below(u, 2),
        4 => BigInt::from(10).pow(below(u, 80) as u32) - below(u, 2),
        _ => {
            let bytes: Vec<u8> = (0..below(u, 60))
                .map(|_| u.arbitrary().unwrap_or(0))
                .collect();
            BigInt::from_bytes_le(num_bigint::Sign::Plus, &bytes)
        }
    };
    magnitude * sign
}

fn number(u: &mut Unstructured) -> f64 {
    match below(u, 5) {
        0 => f64::from(below(u, 2000) as i32 - 1000) / 8.0,
        1 => f64::from_bits(u.arbitrary().unwrap_or(0)),
        2 => u.arbitrary::<i64>().unwrap_or(0) as f64,
        3 => 10f64.powi(below(u, 640) as i32 - 320),
        _ => one_of(
            u,
            &[
                &0.0,
                &-0.0,
                &f64::NAN,
                &f64::INFINITY,
                &f64::MIN_POSITIVE,
                &1e16,
                &9007199254740993.0,
                &0.5,
                &1.5,
            ],
        )
        .to_owned(),
    }
}

impl Checker {
    /// Panics if the library and a reference differ.
    pub fn check(&mut self, bytes: &[u8]) {
        if self.runs == 2000 {
            *self = Checker::default();
        }
        self.runs += 1;
        let u = &mut Unstructured::new(bytes);
        match below(u, 8) {
            0 => self.json(u, bytes),
            1 => self.csv(u),
            2 => self.int(u),
            3 => self.float(u),
            4 => self.format_int(u),
            5 => self.format_float(u),
            6 => self.sort(u),
            _ => self.map(u),
        }
    }

    fn call<R: heddle::FromValue>(&mut self, name: &str, args: impl heddle::IntoArgs) -> R {
        let result = self.engine.call(&self.module, name, args);
        result.unwrap_or_else(|error| panic!("{}", error.render()))
    }

    fn json(&mut self, u: &mut Unstructured, bytes: &[u8]) {
        let text = match below(u, 3) {
            0 => String::from_utf8_lossy(&bytes[1.min(bytes.len())..]).into_owned(),
            1 => broken_json(u),
            _ => json_text(u, 4),
        };
        // Both have a limit of depth.
        if text.matches(['[', '{']).count() > 100 {
            return;
        }
        let ours: Option<String> = self.call("json_round", (text.as_str(),));
        let reference: Result<serde_json::Value, _> = serde_json::from_str(&text);
        match (ours, reference) {
            (None, Err(_)) => {}
            (Some(ours), Ok(reference)) => {
                let again: serde_json::Value = serde_json::from_str(&ours)
                    .unwrap_or_else(|e| panic!("{e}: {ours:?} was written for {text:?}"));
                assert!(same_json(&again, &reference), "{text:?} became {ours:?}");
            }
            // A float beyond all floats.
            (None, Ok(_)) if has_huge_number(&text) => {}
            (ours, reference) => panic!("{text:?}: {ours:?}, but {reference:?}"),
        }
    }

    fn csv(&mut self, u: &mut Unstructured) {
        let separator = one_of(u, &[",", ";", "\t"]);
        let width = 1 + below(u, 4);
        let rows: Vec<Vec<String>> = (0..below(u, 6))
            .map(|_| (0..width).map(|_| text(u, 6)).collect())
            .collect();
        // A row of one empty field is an empty line, which is no row.
        let is_blank = |row: &Vec<String>| row.len() == 1 && row[0].is_empty();
        if !rows.iter().any(is_blank) {
            let read: Vec<Vec<String>> = self.call("csv_round", (rows.clone(), separator));
            assert_eq!(read, rows);
        }
        let any = text(u, 30);
        let _: Option<Vec<Vec<String>>> = self.call("csv_read", (any,));
    }

    fn int(&mut self, u: &mut Unstructured) {
        let (a, b) = (big(u), big(u));
        let op = one_of(u, OPERATORS);
        let low =
            |bits: u32| u32::try_from(&b & BigInt::from((1u32 << bits) - 1)).expect("few bits");
        let zero = BigInt::from(0);
        let floor = || {
            let (quotient, rest) = (&a / &b, &a % &b);
            match rest != zero && (rest < zero) != (b < zero) {
                true => (quotient - 1, rest + &b),
                false => (quotient, rest),
            }
        };
        let expected = match op {
            "+" => (&a + &b).to_string(),
            "-" => (&a - &b).to_string(),
            "*" => (&a * &b).to_string(),
            "//" | "%" if b == zero => "ArithmeticError".into(),
            "//" => floor().0.to_string(),
            "%" => floor().1.to_string(),
            "&" => (&a & &b).to_string(),
            "|" => (&a | &b).to_string(),
            "^" => (&a ^ &b).to_string(),
            "<<" => (&a << low(8)).to_string(),
            ">>" => (&a >> low(8)).to_string(),
            "**" => a.pow(low(4)).to_string(),
            "<" => (a < b).to_string(),
            "==" => (a == b).to_string(),
            "neg" => (-&a).to_string(),
            "not" => (BigInt::from(-1) - &a).to_string(),
            "abs" => a.magnitude().to_string(),
            _ => a.bits().to_string(),
        };
        let result: String = self.call("calculate", (op, a.to_string(), b.to_string()));
        assert_eq!(result, expected, "{a} {op} {b}");
    }

    fn float(&mut self, u: &mut Unstructured) {
        let x = number(u);
        let text: String = self.call("text_of", (x,));
        if x.is_finite() {
            let read: f64 = text
                .parse()
                .unwrap_or_else(|_| panic!("{text:?} for {x:?}"));
            assert_eq!(read.to_bits(), x.to_bits(), "{text}");
            assert!(text.contains(['.', 'e']), "{text}");
            let digits = |text: &str| {
                let mantissa = text.split('e').next().unwrap_or("");
                let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
                digits.trim_matches('0').len()
            };
            assert_eq!(digits(&text), digits(&format!("{x:e}")), "{text} for {x:e}");
            let int: String = self.call("int_of", (x,));
            let whole = format!("{:.0}", x.trunc());
            assert_eq!(int, if whole == "-0" { "0" } else { &whole }, "{x:?}");
        }
        let mut written = String::new();
        for _ in 0..below(u, 14) {
            written += one_of(
                u,
                &["0", "1", "9", "5", "25", ".", "e", "-", "+", "00", "E"],
            );
        }
        let ours: Option<f64> = self.call("float_of", (written.as_str(),));
        // Rust also reads `1.`, `.5`, `inf`; ours is as strict as literals are, or not: what both read must be the same.
        if let (Some(ours), Ok(reference)) = (ours, written.parse::<f64>()) {
            assert_eq!(ours.to_bits(), reference.to_bits(), "{written:?}");
        }
        assert!(
            ours.is_none() || written.parse::<f64>().is_ok(),
            "{written:?} is {ours:?}"
        );
    }

    /// Fill, alignment, sign and width, drawn; their text, and what they make of a sign and digits.
    fn field(u: &mut Unstructured) -> (String, impl Fn(bool, &str, &str) -> String + use<>) {
        let align = one_of(u, &["", "<", ">", "^"]);
        let fill = if align.is_empty() {
            ""
        } else {
            one_of(u, &["", "*", "ä", "0", "x"])
        };
        let sign = one_of(u, &["", "+", " ", "-"]);
        let zeros = below(u, 3) == 0;
        let width = if below(u, 2) == 0 {
            0
        } else {
            1 + below(u, 40)
        };
        let spec = format!("{fill}{align}{sign}");
        let behind = format!(
            "{}{}",
            if zeros { "0" } else { "" },
            if width > 0 {
                width.to_string()
            } else {
                String::new()
            }
        );
        let apply = move |is_negative: bool, prefix: &str, digits: &str| {
            let sign = match (is_negative, sign) {
                (true, _) => "-",
                (false, "+") => "+",
                (false, " ") => " ",
                _ => "",
            };
            let front = format!("{sign}{prefix}");
            let missing = width.saturating_sub(front.len() + digits.len());
            if zeros && align.is_empty() {
                return format!("{front}{}{digits}", "0".repeat(missing));
            }
            let fill = if fill.is_empty() { " " } else { fill };
            let left = match align {
                "<" => 0,
                "^" => missing / 2,
                _ => missing,
            };
            format!(
                "{}{front}{digits}{}",
                fill.repeat(left),
                fill.repeat(missing - left)
            )
        };
        (format!("{spec}|{behind}"), apply)
    }

    fn eval(&mut self, source: &str) -> String {
        let result = self.engine.eval(source);
        result.unwrap_or_else(|error| panic!("{}", error.render()))
    }

    fn format_int(&mut self, u: &mut Unstructured) {
        let i = big(u);
        let (field, apply) = Checker::field(u);
        let kind = one_of(u, &["", "d", "x", "X", "b", "o"]);
        let prefix = below(u, 2) == 0;
        let commas = kind.len() < 2 && matches!(kind, "" | "d") && below(u, 2) == 0;
        let (spec, width) = field.split_once('|').expect("it has one");
        let spec = format!(
            "{spec}{}{width}{}{kind}",
            if prefix { "#" } else { "" },
            if commas { "," } else { "" }
        );
        let magnitude = i.magnitude();
        let (name, digits) = match kind {
            "x" => ("0x", magnitude.to_str_radix(16)),
            "X" => ("0x", magnitude.to_str_radix(16).to_uppercase()),
            "b" => ("0b", magnitude.to_str_radix(2)),
            "o" => ("0o", magnitude.to_str_radix(8)),
            _ => ("", magnitude.to_string()),
        };
        let digits = if commas { grouped(&digits) } else { digits };
        let expected = apply(i < BigInt::from(0), if prefix { name } else { "" }, &digits);
        let source = format!("let x = {i}\n\"{{x:{spec}}}\"");
        assert_eq!(self.eval(&source), expected, "{source}");
    }

    fn format_float(&mut self, u: &mut Unstructured) {
        let x = number(u);
        if !x.is_finite() {
            return;
        }
        let (field, apply) = Checker::field(u);
        let places = below(u, 25);
        let kind = one_of(u, &["", "f", "e", "%"]);
        let (spec, width) = field.split_once('|').expect("it has one");
        let digits = match kind {
            "e" => format!("{:.places$e}", x.abs()),
            "%" => format!("{:.places$}%", x.abs() * 100.0),
            _ => format!("{:.places$}", x.abs()),
        };
        let expected = apply(x.is_sign_negative(), "", &digits);
        let source = format!("let x = {x:?}\n\"{{x:{spec}{width}.{places}{kind}}}\"");
        assert_eq!(self.eval(&source), expected, "{source}");
    }

    fn sort(&mut self, u: &mut Unstructured) {
        let count = below(u, 200);
        if below(u, 2) == 0 {
            let mut floats: Vec<f64> = (0..count)
                .map(|_| number(u))
                .filter(|x| !x.is_nan())
                .collect();
            let sorted: Vec<f64> = self.call("sorted", (floats.clone(),));
            floats.sort_by(f64::total_cmp);
            // Zeros of either sign are equal.
            assert_eq!(sorted, floats);
        } else {
            let mut texts: Vec<String> = (0..count).map(|_| text(u, 4)).collect();
            let sorted: Vec<String> = self.call("sorted", (texts.clone(),));
            texts.sort();
            assert_eq!(sorted, texts);
        }
    }

    fn map(&mut self, u: &mut Unstructured) {
        let range = 1 + below(u, 300);
        let ops: Vec<(i64, i64, i64)> = (0..below(u, 600))
            .map(|_| {
                (
                    below(u, 5) as i64,
                    below(u, range) as i64,
                    below(u, 100) as i64,
                )
            })
            .collect();
        // In the order of first insertion.
        let mut expected: Vec<Vec<i64>> = Vec::new();
        for &(what, key, value) in &ops {
            let at = expected.iter().position(|entry| entry[0] == key);
            match (what, at) {
                (0 | 1, Some(at)) => expected[at][1] = value,
                (0 | 1, None) => expected.push(vec![key, value]),
                (2, Some(at)) => drop(expected.remove(at)),
                (3, Some(at)) => expected[at][1] += value,
                (3, None) => expected.push(vec![key, value]),
                (4, Some(at)) => expected[at][1] += 1,
                _ => {}
            }
        }
        let result: Vec<Vec<i64>> = self.call("run_map", (ops,));
        assert_eq!(result, expected);
    }
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn json_text(u: &mut Unstructured, depth: usize) -> String {
    let kinds = if depth == 0 { 6 } else { 8 };
    match below(u, kinds) {
        0 => "null".into(),
        1 => "true".into(),
        2 => "false".into(),
        3 => big(u).to_string(),
        4 => match number(u) {
            x if x.is_finite() => format!("{x:?}"),
            _ => "0".into(),
        },
        5 => serde_json::to_string(&text(u, 8)).expect("a text can be written"),
        6 => {
            let items: Vec<String> = (0..below(u, 4)).map(|_| json_text(u, depth - 1)).collect();
            format!("[{}]", items.join(one_of(u, &[",", " , ", ",\n"])))
        }
        _ => {
            let mut out = String::from("{");
            for i in 0..below(u, 4) {
                let key = serde_json::to_string(&text(u, 4)).expect("a text can be written");
                let comma = if i > 0 { "," } else { "" };
                let _ = write!(out, "{comma}{key}:{}", json_text(u, depth - 1));
            }
            out + "}"
        }
    }
}

/// Text like JSON with a fault, perhaps.
fn broken_json(u: &mut Unstructured) -> String {
    let mut text: Vec<char> = json_text(u, 4).chars().collect();
    const SIGNS: &[&str] = &[
        "\"", "\\", "[", "]", "{", "}", ",", ":", "-", "+", ".", "e", "0", "1", "\n", "\u{1}",
        "\\u", "\\ud83d", "\\ude00", "t", "/", "'",
    ];
    for _ in 0..=below(u, 3) {
        let at = below(u, text.len() + 1);
        match below(u, 3) {
            0 if at < text.len() => drop(text.remove(at)),
            1 if at < text.len() => text[at] = one_of(u, SIGNS).chars().next().unwrap_or('x'),
            _ => {
                let sign: Vec<char> = one_of(u, SIGNS).chars().collect();
                text.splice(at..at, sign);
            }
        }
    }
    text.into_iter().collect()
}

/// Whether a number stands in the text that is beyond all floats.
fn has_huge_number(text: &str) -> bool {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
    words.any(|word| word.parse::<f64>().is_ok_and(f64::is_infinite))
}

fn same_json(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => {
            let (a, b) = (a.to_string(), b.to_string());
            match (a.parse::<BigInt>(), b.parse::<BigInt>()) {
                (Ok(a), Ok(b)) => a == b,
                _ => a.parse::<f64>().ok() == b.parse::<f64>().ok(),
            }
        }
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        _ => a == b,
    }
}
