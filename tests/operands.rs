//! Every operator with every kind of operand, in every form that instructions have for it, against a small model of the language.
//!
//! A program is written that applies each operator to all pairs of the values in `values`, in the *forms* that lead to different
//! instructions: both operands in registers, at one place that meets all kinds and at a place of its own for each pair of kinds (where
//! instructions settle in their quick forms); a literal on the right, on the left, on both sides; assignment with an operator; conditions of
//! `if`, `while` and `and`. The same is done with unary operators, `is`, patterns, loops and calls. What it prints for each is compared with
//! `Model`, which is written from the reference and knows nothing of the VM: big integers of another crate, a value or the kind of an error.
//!
//! `HEDDLE_BIN` names another build's program (see `tests/scripts.rs`), and with it the other dispatch.

use num_bigint::BigInt;
use std::cmp::Ordering;
use std::fmt::Write as _;

#[path = "support/mod.rs"]
mod support;
use support::Program;

/// A value of the language as the model sees it.
#[derive(Clone, Debug)]
enum V {
    Nil,
    Bool(bool),
    Int(BigInt),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    /// Nanoseconds.
    Duration(i64),
    Range {
        start: i64,
        end: i64,
        is_inclusive: bool,
    },
    Tuple(Vec<V>),
    List(Vec<V>, Frozen),
    Map(Vec<(V, V)>),
    Set(Vec<V>),
    /// A struct without methods: name, fields, whether one can be assigned.
    Instance(&'static str, Vec<(&'static str, V)>, bool),
    /// The struct of `PRELUDE` that defines operators.
    Ops,
    /// Enum, variant, parts.
    Variant(&'static str, Vec<V>),
    /// What is equal to itself only: its type, whether it is a key, and how it is shown.
    Thing(&'static str, bool, &'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Frozen {
    Yes,
    No,
}

/// A value, or the kind of an error.
type Outcome = Result<V, &'static str>;

const TYPE: Outcome = Err("TypeError");
const ARITHMETIC: Outcome = Err("ArithmeticError");
const VALUE: Outcome = Err("ValueError");
const LIMIT: Outcome = Err("LimitError");
const INDEX: Outcome = Err("IndexError");
const KEY: Outcome = Err("KeyError");

/// A value with its text in a program.
struct Sample {
    /// Places that meet one pair of kinds only are made for these.
    kind: &'static str,
    text: &'static str,
    value: V,
    /// The text is a literal, which may stand as an operand.
    is_literal: bool,
    /// Among the values with which slow modes and rarer forms content themselves.
    is_core: bool,
}

/// What the programs begin with.
const PRELUDE: &str = r#"
trait Named { fn name(self) { "named" } }
struct Point: Named { x, y }
struct Counter { var n }
struct Ops {
    fn +(self, o) { ["+", type(o)] }
    fn -(self, o) { ["-", type(o)] }
    fn *(self, o) { ["*", type(o)] }
    fn /(self, o) { ["/", type(o)] }
    fn //(self, o) { ["//", type(o)] }
    fn %(self, o) { ["%", type(o)] }
    fn **(self, o) { ["**", type(o)] }
    fn ==(self, o) { o is float }
    fn <(self, o) { o is int }
    fn [](self, i) { ["[]", type(i)] }
    fn []=(self, i, v) { nil }
    fn neg(self) { "neg" }
    fn call(self, x) { ["call", type(x)] }
    fn in(self, x) { x is string }
}
enum Shape { Circle(r), Empty }
gen fn counting() { yield 1 }
fn function_of_one(x) { "called" }
let channel = Channel(1)
let ops = Ops()
let generator = counting()
let error = Error("e")

# The value itself if it cannot change, else a copy to change.
fn fresh(x) { if (x is list or x is map) and not is_frozen(x) { x.copy() } else { x } }
# Powers and shifts by some ten thousands say nothing new, and take their time.
var is_narrow = false
fn show(site, i, j, f) {
    let y = values[j]
    if is_narrow and y is int and y > 300 and y < 1_000_000 { return }
    let result = try { "= " + short(repr(f(values[i], y))) } catch e { "! " + e.kind }
    print("{site} {i} {j} {result}")
}
fn short(text) { if text.len() > 200 { "{text.len()}: {text[..30]} {text[-30..]}" } else { text } }
fn all_pairs(site, f) {
    for i in 0..values.len() { for j in 0..values.len() { show(site, i, j, f) } }
}
# Values from a on and from b on. Often enough for the place to settle.
fn pairs_of_kinds(site, f, a, a_end, b, b_end) {
    for turn in 0..2 { for i in a..a_end { for j in b..b_end { show(site, i, j, f) } } }
}
fn core_pairs(site, f) { for i in core { for j in core { show(site, i, j, f) } } }
fn left(site, f, j) { for i in core { show(site, i, j, f) } }
fn right(site, f, i) { for j in core { show(site, i, j, f) } }
fn one(site, f, i, j) { for turn in 0..2 { show(site, i, j, f) } }
fn each(site, f) { for i in 0..values.len() { show(site, i, 0, f) } }
fn each_plain(site, f) { for i in 0..things { show(site, i, 0, f) } }
"#;

fn int(text: &str) -> V {
    V::Int(text.parse().expect("an int"))
}
fn string(text: &str) -> V {
    V::Str(text.to_owned())
}
fn list(items: impl IntoIterator<Item = V>) -> V {
    V::List(items.into_iter().collect(), Frozen::No)
}
fn range(start: i64, end: i64) -> V {
    V::Range {
        start,
        end,
        is_inclusive: false,
    }
}

fn values(only_core: bool) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut add = |kind, text, value, is_literal, is_core| {
        if is_core || !only_core {
            samples.push(Sample {
                kind,
                text,
                value,
                is_literal,
                is_core,
            });
        }
    };
    add("nil", "nil", V::Nil, true, true);
    add("bool", "true", V::Bool(true), true, true);
    add("bool", "false", V::Bool(false), true, false);
    for (text, is_core) in [
        ("0", true),
        ("1", true),
        ("-1", true),
        ("2", false),
        ("-3", false),
        ("97", false),
        ("255", false),
        // Around what fits the operands of instructions: 16 bits and 32.
        ("32767", false),
        ("32768", false),
        ("-32768", false),
        ("-32769", false),
        ("2147483647", false),
        ("-2147483648", false),
        ("2147483648", false),
        // The largest and the smallest that need no object.
        ("140737488355327", true),
        ("-140737488355328", false),
    ] {
        add("int", text, int(text), true, is_core);
    }
    for (text, is_core) in [
        ("140737488355328", true),
        ("-140737488355329", false),
        ("9223372036854775807", true),
        ("-9223372036854775808", false),
    ] {
        add("int64", text, int(text), true, is_core);
    }
    for (text, is_core) in [
        ("9223372036854775808", false),
        ("-9223372036854775809", false),
        ("1000000000000000000000000000000", true),
        ("-1000000000000000000000000000000", false),
    ] {
        add("bigint", text, int(text), true, is_core);
    }
    for (text, value, is_core) in [
        ("0.0", 0.0, true),
        ("-0.0", -0.0, false),
        ("1.0", 1.0, false),
        ("1.5", 1.5, true),
        ("-2.5", -2.5, false),
        ("97.0", 97.0, false),
        ("1e-7", 1e-7, false),
        ("140737488355328.0", 140737488355328.0, false),
        ("9007199254740993.0", 9007199254740992.0, false),
        ("9223372036854775808.0", 9223372036854775808.0, false),
        ("1e30", 1e30, false),
        ("1e300", 1e300, false),
    ] {
        add("float", text, V::Float(value), true, is_core);
    }
    add(
        "float",
        "(1.0 / 0.0)",
        V::Float(f64::INFINITY),
        false,
        false,
    );
    add("float", "(0.0 / 0.0)", V::Float(f64::NAN), false, true);
    for (text, value, is_core) in [
        (r#""""#, "", false),
        (r#""a""#, "a", true),
        (r#""aé文""#, "aé文", true),
        (r#""b""#, "b", false),
    ] {
        add("string", text, string(value), true, is_core);
    }
    for (text, value, is_core) in [
        (r#"b"""#, &b""[..], false),
        (r#"b"a""#, b"a", true),
        (r#"b"a\xffb""#, b"a\xffb", false),
    ] {
        add("bytes", text, V::Bytes(value.to_vec()), true, is_core);
    }
    for (text, value, is_core) in [
        ("0s", 0, false),
        ("1s", 1_000_000_000, true),
        ("250ms", 250_000_000, false),
        ("-7ns", -7, true),
    ] {
        add("duration", text, V::Duration(value), true, is_core);
    }
    let long = V::Duration(9_000_000_000_000_000_000);
    add("duration", "9000000000s", long, true, false);
    add("range", "(0..2)", range(0, 2), false, true);
    add("range", "(2..-1)", range(2, -1), false, false);
    let inclusive = V::Range {
        start: -2,
        end: 1,
        is_inclusive: true,
    };
    add("range", "(-2..=1)", inclusive, false, false);
    let numbers = || [int("1"), int("2")];
    add("tuple", "()", V::Tuple(vec![]), false, false);
    add("tuple", "(1, 2)", V::Tuple(numbers().into()), false, true);
    let mixed = vec![int("1"), string("a")];
    add("tuple", r#"(1, "a")"#, V::Tuple(mixed), false, false);
    let nested = vec![V::Tuple(vec![int("1")]), V::Float(1.5)];
    add("tuple", "((1,), 1.5)", V::Tuple(nested), false, false);
    let with_list = vec![list([int("1")])];
    add("tuple", "([1],)", V::Tuple(with_list), false, false);
    let with_nan = vec![V::Float(f64::NAN)];
    add("tuple", "(0.0 / 0.0,)", V::Tuple(with_nan), false, false);
    add("list", "[]", list([]), false, false);
    add("list", "[1, 2]", list(numbers()), false, true);
    add("list", "[2]", list([int("2")]), false, false);
    let floats = list([V::Float(1.0), V::Float(2.0)]);
    add("list", "[1.0, 2.0]", floats, false, false);
    let texts = list([string("a"), V::Nil, list([int("1")])]);
    add("list", r#"["a", nil, [1]]"#, texts, false, false);
    let frozen = V::List(numbers().into(), Frozen::Yes);
    add("frozen list", "freeze([1, 2])", frozen, false, true);
    add("map", "{}", V::Map(vec![]), false, false);
    let map = vec![(string("a"), int("1")), (int("1"), string("one"))];
    add("map", r#"{"a": 1, 1: "one"}"#, V::Map(map), false, true);
    let map = vec![(V::Float(1.0), string("one")), (string("a"), int("1"))];
    add("map", r#"{1.0: "one", "a": 1}"#, V::Map(map), false, false);
    let map = vec![
        (V::Nil, int("0")),
        (V::Tuple(vec![int("1"), string("a")]), int("1")),
        (V::Bytes(b"a".to_vec()), int("2")),
        (int("1000000000000000000000000000000"), int("3")),
        (V::Duration(1_000_000_000), int("4")),
        (V::Variant("Circle", vec![int("2")]), int("5")),
    ];
    let text =
        r#"{[nil]: 0, [(1, "a")]: 1, [b"a"]: 2, [10 ** 30]: 3, [1s]: 4, [Shape.Circle(2)]: 5}"#;
    add("map", text, V::Map(map), false, false);
    add("set", "Set()", V::Set(vec![]), false, false);
    let set = V::Set(vec![int("1"), string("a")]);
    add("set", r#"Set([1, "a"])"#, set, false, true);
    let set = V::Set(vec![V::Float(1.0), V::Nil]);
    add("set", "Set([1.0, nil])", set, false, false);
    let point = |x, y| V::Instance("Point", vec![("x", x), ("y", y)], false);
    let plain = point(int("1"), int("2"));
    add("struct", "Point(1, 2)", plain, false, true);
    let other = point(V::Float(1.0), list([]));
    add("struct", "Point(1.0, [])", other, false, false);
    let counter = V::Instance("Counter", vec![("n", int("1"))], true);
    add("struct", "Counter(1)", counter, false, true);
    add("operators", "ops", V::Ops, false, true);
    let circle = V::Variant("Circle", vec![int("2")]);
    add("variant", "Shape.Circle(2)", circle, false, true);
    let empty = V::Variant("Empty", vec![]);
    add("variant", "Shape.Empty", empty, false, false);
    for (text, value, is_core) in [
        (
            "function_of_one",
            V::Thing("function", true, "<fn function_of_one>"),
            false,
        ),
        ("len", V::Thing("function", true, "<fn len>"), false),
        ("Point", V::Thing("type", true, "Point"), false),
        ("int", V::Thing("type", true, "int"), false),
        ("channel", V::Thing("Channel", true, "<Channel>"), true),
        (
            "generator",
            V::Thing("generator", false, "<generator>"),
            false,
        ),
        ("error", V::Thing("Error", false, "Error"), false),
    ] {
        add("thing", text, value, false, is_core);
    }
    samples
}

// --- the model

impl V {
    fn type_name(&self) -> &'static str {
        match self {
            V::Nil => "nil",
            V::Bool(_) => "bool",
            V::Int(_) => "int",
            V::Float(_) => "float",
            V::Str(_) => "string",
            V::Bytes(_) => "bytes",
            V::Duration(_) => "duration",
            V::Range { .. } => "range",
            V::Tuple(_) => "tuple",
            V::List(..) => "list",
            V::Map(_) => "map",
            V::Set(_) => "set",
            V::Instance(name, ..) => name,
            V::Ops => "Ops",
            V::Variant(..) => "Shape",
            V::Thing(name, ..) => name,
        }
    }

    /// As `repr` writes it.
    fn repr(&self) -> String {
        let all = |items: &[V]| items.iter().map(V::repr).collect::<Vec<_>>().join(", ");
        match self {
            V::Nil => "nil".to_owned(),
            V::Bool(b) => b.to_string(),
            V::Int(i) => i.to_string(),
            V::Float(f) if f.is_nan() => "nan".to_owned(),
            V::Float(f) if (1e-5..1e-4).contains(&f.abs()) => f.to_string(),
            V::Float(f) => format!("{f:?}"),
            V::Str(s) => format!("{s:?}"),
            V::Bytes(b) => {
                let escaped: String = b.iter().map(|b| b.escape_ascii().to_string()).collect();
                format!("b\"{escaped}\"")
            }
            V::Duration(0) => "0s".to_owned(),
            V::Duration(ns) => {
                let units = [
                    ("h", 3_600_000_000_000),
                    ("m", 60_000_000_000),
                    ("s", 1_000_000_000),
                    ("ms", 1_000_000),
                    ("us", 1_000),
                    ("ns", 1),
                ];
                let (unit, size) = units
                    .into_iter()
                    .find(|(_, size)| ns % size == 0)
                    .expect("nanoseconds divide all");
                format!("{}{unit}", ns / size)
            }
            V::Range {
                start,
                end,
                is_inclusive,
                ..
            } => format!("{start}..{}{end}", if *is_inclusive { "=" } else { "" }),
            V::Tuple(items) if items.len() == 1 => format!("({},)", items[0].repr()),
            V::Tuple(items) => format!("({})", all(items)),
            V::List(items, _) => format!("[{}]", all(items)),
            V::Map(entries) => {
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(key, value)| format!("{}: {}", key.repr(), value.repr()))
                    .collect();
                format!("{{{}}}", entries.join(", "))
            }
            V::Set(items) => format!("Set([{}])", all(items)),
            V::Instance(name, fields, _) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", value.repr()))
                    .collect();
                format!("{name}({})", fields.join(", "))
            }
            V::Ops => "Ops()".to_owned(),
            V::Variant(name, parts) if parts.is_empty() => format!("Shape.{name}"),
            V::Variant(name, parts) => format!("Shape.{name}({})", all(parts)),
            V::Thing(_, _, shown) => (*shown).to_owned(),
        }
    }

    fn is_truthy(&self) -> bool {
        !matches!(self, V::Nil | V::Bool(false))
    }

    /// What a range is made of.
    fn numbers(&self) -> Vec<i64> {
        match *self {
            V::Range {
                start,
                end,
                is_inclusive,
                ..
            } => (start..end + i64::from(is_inclusive)).collect(),
            _ => unreachable!("a range"),
        }
    }

    /// The error that says that it cannot be a key, if so.
    fn check_key(&self) -> Result<(), &'static str> {
        match self {
            V::Float(f) if f.is_nan() => Err("ValueError"),
            V::Tuple(items) | V::Variant(_, items) | V::List(items, Frozen::Yes) => {
                items.iter().try_for_each(V::check_key)
            }
            V::Instance(_, fields, false) => {
                fields.iter().try_for_each(|(_, value)| value.check_key())
            }
            V::List(_, Frozen::No) | V::Map(_) | V::Set(_) | V::Instance(..) | V::Ops => {
                Err("TypeError")
            }
            V::Thing(_, false, _) => Err("TypeError"),
            _ => Ok(()),
        }
    }
}

/// The position that an index means in so many elements.
fn position(index: &BigInt, len: usize) -> Option<usize> {
    let at = if index < &BigInt::ZERO {
        index + len
    } else {
        index.clone()
    };
    usize::try_from(at).ok().filter(|&at| at < len)
}

/// The nearest float of a quotient, half to even, by long division.
fn divide(a: &BigInt, b: &BigInt) -> f64 {
    let is_negative = (a < &BigInt::ZERO) != (b < &BigInt::ZERO);
    let (a, b) = (
        BigInt::from(a.magnitude().clone()),
        BigInt::from(b.magnitude().clone()),
    );
    let mut result = 0.0;
    if a != BigInt::ZERO {
        // So that the quotient has 54 or 55 bits: more than a float by one at least.
        let shift = 54 + b.bits() as i64 - a.bits() as i64;
        let (a, b) = if shift >= 0 {
            (a << shift, b)
        } else {
            (a, b << -shift)
        };
        let quotient = &a / &b;
        let is_exact = &quotient * &b == a;
        let mut quotient = u64::try_from(quotient).expect("55 bits");
        let dropped = quotient.ilog2() - 52;
        let rest = quotient & ((1 << dropped) - 1);
        let half = 1 << (dropped - 1);
        quotient >>= dropped;
        let is_above = rest > half || rest == half && !is_exact;
        if is_above || rest == half && quotient & 1 == 1 {
            quotient += 1;
        }
        result = quotient as f64 * 2f64.powi((i64::from(dropped) - shift) as i32);
    }
    if is_negative { -result } else { result }
}

/// The nearest float of an int.
fn to_float(i: &BigInt) -> f64 {
    // Through decimal digits, which the standard library reads exactly.
    i.to_string().parse().expect("digits")
}

fn floor_div(a: &BigInt, b: &BigInt) -> BigInt {
    let quotient = a / b;
    if &quotient * b != *a && (a < &BigInt::ZERO) != (b < &BigInt::ZERO) {
        quotient - 1
    } else {
        quotient
    }
}

/// The sign of the right operand, as for ints.
fn float_modulo(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        rest + b
    } else if rest == 0.0 {
        0f64.copysign(b)
    } else {
        rest
    }
}

/// An exact quotient rounded downwards, which is then the nearest float; where there is no such number, what IEEE says of the quotient.
fn float_floor_div(a: f64, b: f64) -> f64 {
    if b == 0.0 || !a.is_finite() || b.is_nan() {
        return (a / b).floor();
    }
    if b.is_infinite() {
        return match (a == 0.0, (a < 0.0) == (b < 0.0)) {
            (true, _) => a / b,
            (_, true) => 0.0,
            (_, false) => -1.0,
        };
    }
    // Both as whole numbers of the same unit.
    let (a_int, b_int) = (exact(a), exact(b));
    let floor = floor_div(&a_int, &b_int);
    if floor == BigInt::ZERO {
        0f64.copysign(a / b)
    } else {
        to_float(&floor)
    }
}

/// A finite float in units of the smallest one.
fn exact(f: f64) -> BigInt {
    let bits = f.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i64;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude = if exponent == 0 {
        BigInt::from(fraction)
    } else {
        BigInt::from(fraction | 1 << 52) << (exponent - 1)
    };
    if f.is_sign_negative() {
        -magnitude
    } else {
        magnitude
    }
}

/// The order of an int and a float, exactly; `None` with NaN.
fn compare_int_float(i: &BigInt, f: f64) -> Option<Ordering> {
    if f.is_nan() {
        return None;
    }
    if f.is_infinite() {
        return Some(if f > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    Some((i * exact(1.0)).cmp(&exact(f)))
}

struct Model;

impl Model {
    /// `a operator b`, of all operators and of `[]` and `[]=`, the latter with 5 as what is assigned and the left side as the result.
    fn binary(operator: &str, a: &V, b: &V) -> Outcome {
        let truth = |truth: Result<bool, &'static str>| truth.map(V::Bool);
        match operator {
            "==" => Ok(V::Bool(Model::equal(a, b))),
            "!=" => Ok(V::Bool(!Model::equal(a, b))),
            "<" => truth(Model::less(a, b, false)),
            "<=" => truth(Model::less(a, b, true)),
            ">" => truth(Model::less(b, a, false)),
            ">=" => truth(Model::less(b, a, true)),
            "in" => truth(Model::contains(b, a)),
            "not in" => truth(Model::contains(b, a).map(|found| !found)),
            "[]" => Model::index(a, b),
            "[]=" => Model::set_index(a, b),
            _ => Model::arithmetic(operator, a, b),
        }
    }

    fn arithmetic(operator: &str, a: &V, b: &V) -> Outcome {
        match (a, b) {
            (V::Ops, _) if !matches!(operator, "&" | "|" | "^" | "<<" | ">>") => {
                Ok(list([string(operator), string(b.type_name())]))
            }
            (V::Int(a), V::Int(b)) => Model::ints(operator, a, b),
            (V::Int(a), V::Float(b)) => Model::floats(operator, to_float(a), *b),
            (V::Float(a), V::Int(b)) => Model::floats(operator, *a, to_float(b)),
            (V::Float(a), V::Float(b)) => Model::floats(operator, *a, *b),
            (V::Duration(a), V::Duration(b)) => Model::durations(operator, *a, *b),
            (V::Duration(a), V::Int(_) | V::Float(_)) => match operator {
                "*" | "/" | "//" => Model::duration_and_number(operator, *a, b),
                _ => TYPE,
            },
            (V::Int(_) | V::Float(_), V::Duration(b)) if operator == "*" => {
                Model::duration_and_number(operator, *b, a)
            }
            (V::Str(a), V::Str(b)) if operator == "+" => Ok(V::Str(format!("{a}{b}"))),
            (V::Bytes(a), V::Bytes(b)) if operator == "+" => Ok(V::Bytes([&a[..], b].concat())),
            (V::Tuple(a), V::Tuple(b)) if operator == "+" => Ok(V::Tuple([&a[..], b].concat())),
            (V::List(a, _), V::List(b, _)) if operator == "+" => Ok(list([&a[..], b].concat())),
            (V::Set(a), V::Set(b)) => {
                let is_in = |items: &[V], x: &V| items.iter().any(|y| Model::equal(x, y));
                let mut result: Vec<V> = match operator {
                    "|" => a.clone(),
                    "&" => a.iter().filter(|x| is_in(b, x)).cloned().collect(),
                    "-" => a.iter().filter(|x| !is_in(b, x)).cloned().collect(),
                    _ => return TYPE,
                };
                if operator == "|" {
                    result.extend(b.iter().filter(|x| !is_in(a, x)).cloned());
                }
                Ok(V::Set(result))
            }
            (sequence, V::Int(count)) | (V::Int(count), sequence) if operator == "*" => {
                Model::repeat(sequence, count)
            }
            _ => TYPE,
        }
    }

    fn ints(operator: &str, a: &BigInt, b: &BigInt) -> Outcome {
        let zero = BigInt::ZERO;
        let is_zero = *b == zero;
        Ok(V::Int(match operator {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" | "//" | "%" if is_zero => return ARITHMETIC,
            "/" => return Ok(V::Float(divide(a, b))),
            "//" => floor_div(a, b),
            "%" => a - floor_div(a, b) * b,
            "**" if b < &zero && *a == zero => return ARITHMETIC,
            "**" if b < &zero => return Ok(V::Float(to_float(a).powf(to_float(b)))),
            "**" => match (i64::try_from(a), u32::try_from(b)) {
                (_, Ok(0)) | (Ok(1), _) => 1.into(),
                (Ok(0), _) => zero,
                (Ok(-1), _) => if b.bit(0) { -1 } else { 1 }.into(),
                // The longest int has 2^28 bits.
                (_, Ok(exponent @ ..1_000_000)) => a.pow(exponent),
                _ => return LIMIT,
            },
            "&" => a & b,
            "|" => a | b,
            "^" => a ^ b,
            "<<" | ">>" if b < &zero => return VALUE,
            "<<" if *a == zero => zero,
            "<<" => match u32::try_from(b) {
                Ok(count @ ..1_000_000) => a << count,
                _ => return LIMIT,
            },
            ">>" => match u32::try_from(b) {
                Ok(count @ ..1_000_000) => a >> count,
                _ if a < &zero => (-1).into(),
                _ => zero,
            },
            _ => unreachable!("an operator"),
        }))
    }

    fn floats(operator: &str, a: f64, b: f64) -> Outcome {
        Ok(V::Float(match operator {
            "+" => a + b,
            "-" => a - b,
            "*" => a * b,
            "/" => a / b,
            "//" => float_floor_div(a, b),
            "%" => float_modulo(a, b),
            "**" => a.powf(b),
            _ => return TYPE,
        }))
    }

    fn duration(ns: Option<i128>) -> Outcome {
        ns.and_then(|ns| i64::try_from(ns).ok())
            .map_or(ARITHMETIC, |ns| Ok(V::Duration(ns)))
    }

    fn durations(operator: &str, a: i64, b: i64) -> Outcome {
        let (x, y) = (BigInt::from(a), BigInt::from(b));
        match operator {
            "+" => Model::duration(Some(i128::from(a) + i128::from(b))),
            "-" => Model::duration(Some(i128::from(a) - i128::from(b))),
            "/" | "//" => Model::ints(operator, &x, &y),
            "%" => match Model::ints(operator, &x, &y)? {
                V::Int(ns) => Model::duration(i128::try_from(ns).ok()),
                _ => unreachable!("an int"),
            },
            _ => TYPE,
        }
    }

    /// Products and quotients are rounded to the nearest nanosecond, half away from zero.
    fn duration_and_number(operator: &str, ns: i64, number: &V) -> Outcome {
        match number {
            V::Float(f) => {
                let exact = match operator {
                    _ if *f == 0.0 && operator != "*" => return ARITHMETIC,
                    "*" => ns as f64 * f,
                    "/" => ns as f64 / f,
                    _ => (ns as f64 / f).floor(),
                };
                let is_in_range = exact.abs() < 9.2e18;
                Model::duration(is_in_range.then(|| exact.round() as i128))
            }
            V::Int(i) => {
                let ns = BigInt::from(ns);
                let two = BigInt::from(2);
                let result = match operator {
                    "*" => ns * i,
                    _ if *i == BigInt::ZERO => return ARITHMETIC,
                    "//" => floor_div(&ns, i),
                    // Half away from zero: of magnitudes, downwards of twice the quotient and one.
                    _ => {
                        let is_negative = (ns < BigInt::ZERO) != (*i < BigInt::ZERO);
                        let (ns, i) = (ns.magnitude().clone(), i.magnitude().clone());
                        let (ns, i) = (BigInt::from(ns), BigInt::from(i));
                        let rounded = (ns * &two + &i) / (i * two);
                        if is_negative { -rounded } else { rounded }
                    }
                };
                Model::duration(i128::try_from(result).ok())
            }
            _ => unreachable!("a number"),
        }
    }

    /// Longer ones than the programs' limit of memory allows throw.
    fn repeat(sequence: &V, count: &BigInt) -> Outcome {
        let len = match sequence {
            V::Str(s) => s.len(),
            V::Bytes(b) => b.len(),
            V::Tuple(items) | V::List(items, _) => items.len(),
            _ => return TYPE,
        };
        let count = count.max(&BigInt::ZERO);
        let count = match u32::try_from(count) {
            _ if len == 0 => 0,
            Ok(count @ ..1_000_000) => count as usize,
            _ => return LIMIT,
        };
        Ok(match sequence {
            V::Str(s) => V::Str(s.repeat(count)),
            V::Bytes(b) => V::Bytes(b.repeat(count)),
            V::Tuple(items) => V::Tuple(vec![items.clone(); count].concat()),
            V::List(items, _) => list(vec![items.clone(); count].concat()),
            _ => unreachable!("seen above"),
        })
    }

    fn equal(a: &V, b: &V) -> bool {
        let all = |a: &[V], b: &[V]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Model::equal(a, b))
        };
        match (a, b) {
            (V::Ops, V::Ops) => true,
            (V::Ops, V::Nil) | (V::Nil, V::Ops) => false,
            (V::Ops, other) | (other, V::Ops) => matches!(other, V::Float(_)),
            (V::Nil, V::Nil) => true,
            (V::Bool(a), V::Bool(b)) => a == b,
            (V::Int(a), V::Int(b)) => a == b,
            (V::Float(a), V::Float(b)) => a == b,
            (V::Int(i), V::Float(f)) | (V::Float(f), V::Int(i)) => {
                compare_int_float(i, *f) == Some(Ordering::Equal)
            }
            (V::Str(a), V::Str(b)) => a == b,
            (V::Bytes(a), V::Bytes(b)) => a == b,
            (V::Duration(a), V::Duration(b)) => a == b,
            (V::Range { .. }, V::Range { .. }) => a.repr() == b.repr(),
            (V::Tuple(a), V::Tuple(b)) | (V::List(a, _), V::List(b, _)) => all(a, b),
            (V::Map(a), V::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| {
                        b.iter()
                            .any(|(k, v)| Model::equal(key, k) && Model::equal(value, v))
                    })
            }
            (V::Set(a), V::Set(b)) => {
                a.len() == b.len() && a.iter().all(|x| b.iter().any(|y| Model::equal(x, y)))
            }
            (V::Instance(a, x, _), V::Instance(b, y, _)) => {
                a == b && x.iter().zip(y).all(|(x, y)| Model::equal(&x.1, &y.1))
            }
            (V::Variant(a, x), V::Variant(b, y)) => a == b && all(x, y),
            // Samples are told apart by their place (see `expected`).
            _ => false,
        }
    }

    /// `a < b`, or `a <= b`.
    fn less(a: &V, b: &V, or_equal: bool) -> Result<bool, &'static str> {
        let is = |order: Option<Ordering>| {
            Ok(order.is_some_and(|order| order.is_lt() || or_equal && order.is_eq()))
        };
        match (a, b) {
            // `a <= b` is `not b < a`.
            (other, V::Ops) if or_equal => Ok(!matches!(other, V::Int(_))),
            (V::Ops, _) if or_equal => Model::less(b, a, false).map(|less| !less),
            (V::Ops, other) => Ok(matches!(other, V::Int(_))),
            (V::Int(a), V::Int(b)) => is(Some(a.cmp(b))),
            (V::Float(a), V::Float(b)) => is(a.partial_cmp(b)),
            (V::Int(i), V::Float(f)) => is(compare_int_float(i, *f)),
            (V::Float(f), V::Int(i)) => is(compare_int_float(i, *f).map(Ordering::reverse)),
            (V::Str(a), V::Str(b)) => is(Some(a.chars().cmp(b.chars()))),
            (V::Bytes(a), V::Bytes(b)) => is(Some(a.cmp(b))),
            (V::Duration(a), V::Duration(b)) => is(Some(a.cmp(b))),
            (V::Tuple(x), V::Tuple(y)) | (V::List(x, _), V::List(y, _)) => {
                let differing = x.iter().zip(y).find(|(x, y)| !Model::equal(x, y));
                match differing {
                    Some((x, y)) => Model::less(x, y, false),
                    None => is(Some(x.len().cmp(&y.len()))),
                }
            }
            _ => Err("TypeError"),
        }
    }

    fn contains(container: &V, x: &V) -> Result<bool, &'static str> {
        let among = |items: &[V]| items.iter().any(|item| Model::equal(item, x));
        match (container, x) {
            (V::Ops, x) => Ok(matches!(x, V::Str(_))),
            (V::Str(text), V::Str(part)) => Ok(text.contains(part.as_str())),
            (V::Bytes(bytes), V::Bytes(part)) => {
                Ok(part.is_empty() || bytes.windows(part.len()).any(|some| some == part))
            }
            (V::Bytes(bytes), V::Int(byte)) => Ok(bytes.iter().any(|b| *byte == (*b).into())),
            (V::Range { .. }, V::Int(_) | V::Float(_)) => Ok(container
                .numbers()
                .into_iter()
                .any(|number| Model::equal(&V::Int(number.into()), x))),
            (V::Range { .. }, _) => Ok(false),
            (V::Tuple(items) | V::List(items, _), _) => Ok(among(items)),
            (V::Set(items), _) => x.check_key().map(|()| among(items)),
            (V::Map(entries), _) => {
                x.check_key()?;
                Ok(entries.iter().any(|(key, _)| Model::equal(key, x)))
            }
            _ => Err("TypeError"),
        }
    }

    fn index(object: &V, index: &V) -> Outcome {
        match (object, index) {
            (V::Ops, _) => Ok(list([string("[]"), string(index.type_name())])),
            (V::Map(entries), _) => {
                index.check_key()?;
                let found = entries.iter().find(|(key, _)| Model::equal(key, index));
                found.map_or(KEY, |(_, value)| Ok(value.clone()))
            }
            (V::Range { .. }, V::Int(index)) => {
                let numbers = object.numbers();
                position(index, numbers.len()).map_or(INDEX, |at| Ok(V::Int(numbers[at].into())))
            }
            _ => {
                let parts: Vec<V> = match object {
                    V::Str(text) => text.chars().map(|c| V::Str(c.to_string())).collect(),
                    V::Bytes(bytes) => bytes.iter().map(|&byte| V::Int(byte.into())).collect(),
                    V::Tuple(items) | V::List(items, _) => items.clone(),
                    _ => return TYPE,
                };
                match index {
                    V::Int(index) => {
                        position(index, parts.len()).map_or(INDEX, |at| Ok(parts[at].clone()))
                    }
                    V::Range {
                        start,
                        end,
                        is_inclusive,
                        ..
                    } => {
                        let len = parts.len() as i64;
                        let place = |at: i64| if at < 0 { at + len } else { at };
                        let end = place(*end) + i64::from(*is_inclusive);
                        let (start, end) = (place(*start).clamp(0, len), end.clamp(0, len));
                        let cut = parts
                            .get(start as usize..end as usize)
                            .unwrap_or_default()
                            .to_vec();
                        Ok(match object {
                            V::Str(text) => {
                                V::Str(text.chars().skip(start as usize).take(cut.len()).collect())
                            }
                            V::Bytes(bytes) => {
                                let start = start as usize;
                                V::Bytes(bytes[start..start + cut.len()].to_vec())
                            }
                            V::Tuple(_) => V::Tuple(cut),
                            _ => list(cut),
                        })
                    }
                    _ => TYPE,
                }
            }
        }
    }

    fn set_index(object: &V, index: &V) -> Outcome {
        let five = int("5");
        match (object, index) {
            (V::Ops, _) => Ok(V::Ops),
            (V::List(_, Frozen::Yes), _) => Err("FrozenError"),
            (V::List(items, Frozen::No), V::Int(index)) => {
                let mut items = items.clone();
                match position(index, items.len()) {
                    Some(at) => items[at] = five,
                    None => return INDEX,
                }
                Ok(list(items))
            }
            (V::Map(entries), _) => {
                index.check_key()?;
                let mut entries = entries.clone();
                match entries.iter_mut().find(|(key, _)| Model::equal(key, index)) {
                    Some((_, value)) => *value = five,
                    None => entries.push((index.clone(), five)),
                }
                Ok(V::Map(entries))
            }
            _ => TYPE,
        }
    }

    /// What a loop over it gives.
    fn elements(x: &V) -> Result<Vec<V>, &'static str> {
        match x {
            V::Str(text) => Ok(text.chars().map(|c| V::Str(c.to_string())).collect()),
            V::Bytes(bytes) => Ok(bytes.iter().map(|&byte| V::Int(byte.into())).collect()),
            V::Range { .. } => {
                let numbers = x.numbers().into_iter();
                Ok(numbers.map(|number| V::Int(number.into())).collect())
            }
            V::Tuple(items) | V::List(items, _) | V::Set(items) => Ok(items.clone()),
            V::Map(entries) => Ok(entries.iter().map(|(key, _)| key.clone()).collect()),
            _ => Err("TypeError"),
        }
    }

    /// `x is T`
    fn is(x: &V, ty: &str) -> bool {
        match (x, ty) {
            (V::Instance(name, ..), "Named") => *name == "Point",
            (V::Variant(..), "Shape") => true,
            (V::Variant(name, _), _) => ty.strip_prefix("Shape.") == Some(name),
            _ => x.type_name() == ty,
        }
    }

    fn unary(operator: &str, x: &V) -> Outcome {
        match (operator, x) {
            ("-", V::Ops) => Ok(string("neg")),
            ("-", V::Int(i)) => Ok(V::Int(-i)),
            ("-", V::Float(f)) => Ok(V::Float(-f)),
            ("-", V::Duration(ns)) => Model::duration(Some(-i128::from(*ns))),
            ("~", V::Int(i)) => Ok(V::Int(-i - 1)),
            ("not", _) => Ok(V::Bool(!x.is_truthy())),
            ("or", _) if !x.is_truthy() => Ok(int("5")),
            ("and", _) if x.is_truthy() => Ok(int("5")),
            ("??", V::Nil) => Ok(int("5")),
            ("or" | "and" | "??", _) => Ok(x.clone()),
            ("bool", _) => Ok(V::Bool(x.is_truthy())),
            ("call", V::Ops) => Ok(list([string("call"), string("int")])),
            ("each", _) => Model::elements(x).map(list),
            ("pairs", V::Map(entries)) => {
                let pair = |(key, value): &(V, V)| V::Tuple(vec![key.clone(), value.clone()]);
                Ok(list(entries.iter().map(pair)))
            }
            ("pairs", _) => {
                let elements = Model::elements(x)?;
                let is_pair = |element: &V| match element {
                    V::Tuple(items) | V::List(items, _) => items.len() == 2,
                    _ => false,
                };
                if elements.iter().all(is_pair) {
                    Ok(list(elements.into_iter().map(|element| match element {
                        V::List(items, _) => V::Tuple(items),
                        other => other,
                    })))
                } else {
                    Err("MatchError")
                }
            }
            ("tuple of two", V::Tuple(items)) | ("list of two", V::List(items, _))
                if items.len() == 2 =>
            {
                Ok(V::Tuple(items.clone()))
            }
            ("tuple of two" | "list of two", _) => Err("MatchError"),
            _ => TYPE,
        }
    }
}

// --- programs

/// A place in the program: what stands there.
struct Site {
    operator: &'static str,
    text: String,
}

#[derive(Default)]
struct Writer {
    sites: Vec<Site>,
    calls: Vec<String>,
}

impl Writer {
    /// `driver(site, |x, y| text, arguments)`
    fn site(&mut self, driver: &str, operator: &'static str, text: String, arguments: &str) {
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

    fn program(&self, samples: &[Sample]) -> String {
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

const ARITHMETIC_OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>",
];
const TESTS: &[&str] = &["==", "!=", "<", "<=", ">", ">=", "in", "not in"];
const INDICES: &[&str] = &["[]", "[]="];

/// Operators whose results grow with the right operand's value.
fn is_narrow(operator: &str) -> bool {
    matches!(operator, "**" | "<<")
}

/// The operator applied to two operands.
fn applied(operator: &str, x: &str, y: &str) -> String {
    match operator {
        "[]" => format!("({x})[{y}]"),
        "[]=" => format!("{{ let c = fresh({x}); c[{y}] = 5; c }}"),
        _ => format!("{x} {operator} {y}"),
    }
}

/// Where samples of each kind begin and end.
fn kinds(samples: &[Sample]) -> Vec<(usize, usize)> {
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
fn operand(text: &str) -> String {
    if text.starts_with('-') {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

/// Kinds of values that have operators of their own: instructions settle at places that meet only one pair of them.
const SETTLING: &[&str] = &[
    "int", "int64", "bigint", "float", "string", "bytes", "duration", "tuple", "list", "set",
];

fn binary_sites(samples: &[Sample], is_short: bool) -> Writer {
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
const CONDITIONS: &[&str] = &[
    "if ? { true } else { false }",
    "if not (?) { false } else { true }",
    "{ while ? { return true }; false }",
    "? and true",
    "{ let both = false or (?); both }",
];

fn unary_sites() -> Writer {
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
const LIMIT_OF_TIME: std::time::Duration = std::time::Duration::from_secs(900);

/// Runs a program of these sites, and compares what it prints for each pair with what is expected.
fn check(
    samples: &[Sample],
    writer: &Writer,
    flags: &[&str],
    expected: impl Fn(&Site, usize, usize) -> Result<String, &'static str>,
) {
    let folder = std::env::temp_dir().join(format!("heddle-operands-{}", std::process::id()));
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
fn shown(outcome: Outcome) -> Result<String, &'static str> {
    let text = outcome?.repr();
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= 200 {
        return Ok(text);
    }
    let part = |part: &[char]| part.iter().collect::<String>();
    let (start, end) = (part(&chars[..30]), part(&chars[chars.len() - 30..]));
    Ok(format!("{}: {start} {end}", chars.len()))
}

fn check_operators(only_core: bool, flags: &[&str]) {
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

/// Patterns, each with what it means.
type Pattern = (&'static str, fn(&V) -> bool);
const PATTERNS: &[Pattern] = &[
    ("nil", |x| matches!(x, V::Nil)),
    ("true", |x| Model::equal(x, &V::Bool(true))),
    ("1", |x| Model::equal(x, &int("1"))),
    ("-3 | 255", |x| {
        Model::equal(x, &int("-3")) || Model::equal(x, &int("255"))
    }),
    ("2147483648", |x| Model::equal(x, &int("2147483648"))),
    ("9223372036854775808", |x| {
        Model::equal(x, &int("9223372036854775808"))
    }),
    ("1.5", |x| Model::equal(x, &V::Float(1.5))),
    (r#""aé文""#, |x| Model::equal(x, &string("aé文"))),
    (r#"b"a""#, |x| Model::equal(x, &V::Bytes(b"a".to_vec()))),
    ("250ms", |x| Model::equal(x, &V::Duration(250_000_000))),
    ("0..100", |x| is_whole_within(x, 0, 99)),
    ("-3..=1", |x| is_whole_within(x, -3, 1)),
    (
        "(_, _)",
        |x| matches!(x, V::Tuple(items) if items.len() == 2),
    ),
    (
        "(1, _)",
        |x| matches!(x, V::Tuple(items) if items.len() == 2 && Model::equal(&items[0], &int("1"))),
    ),
    ("()", |x| matches!(x, V::Tuple(items) if items.is_empty())),
    ("[]", |x| matches!(x, V::List(items, _) if items.is_empty())),
    (
        "[_, 2]",
        |x| matches!(x, V::List(items, _) if items.len() == 2 && Model::equal(&items[1], &int("2"))),
    ),
    (
        "[_, ..]",
        |x| matches!(x, V::List(items, _) if !items.is_empty()),
    ),
    (
        "[.., 2]",
        |x| matches!(x, V::List(items, _) if items.last().is_some_and(|last| Model::equal(last, &int("2")))),
    ),
    ("{a}", |x| has_key_a(x)),
    ("{a: 1}", |x| has_key_a(x)),
    ("{b: _}", |_| false),
    ("Point(_, _)", |x| Model::is(x, "Point")),
    (
        "Point(y: 2, ..)",
        |x| matches!(x, V::Instance("Point", fields, _) if Model::equal(&fields[1].1, &int("2"))),
    ),
    ("Counter(_)", |x| Model::is(x, "Counter")),
    ("Shape.Circle(2)", |x| Model::is(x, "Shape.Circle")),
    ("Shape.Empty", |x| Model::is(x, "Shape.Empty")),
];

fn has_key_a(x: &V) -> bool {
    matches!(x, V::Map(entries) if entries.iter().any(|(key, _)| Model::equal(key, &string("a"))))
}
fn is_whole(x: &V) -> bool {
    match x {
        V::Int(_) => true,
        V::Float(f) => f.is_finite() && f.trunc() == *f,
        _ => false,
    }
}
/// Both ends counted.
fn is_whole_within(x: &V, start: i64, end: i64) -> bool {
    let is_less = |a: &V, b: &V| Model::less(a, b, true) == Ok(true);
    is_whole(x) && is_less(&V::Int(start.into()), x) && is_less(x, &V::Int(end.into()))
}

/// Types that the right side of `is` may be.
const TYPES: &[&str] = &[
    "nil",
    "bool",
    "int",
    "float",
    "string",
    "bytes",
    "duration",
    "range",
    "tuple",
    "list",
    "map",
    "set",
    "function",
    "Point",
    "Counter",
    "Ops",
    "Named",
    "Shape",
    "Shape.Circle",
    "Shape.Empty",
    "Error",
    "Channel",
];

#[test]
fn unary_operators_loops_and_parts() {
    let samples = values(false);
    for flags in MODES {
        check(&samples, &unary_sites(), flags, |site, i, _| {
            let x = &samples[i].value;
            match (site.operator, samples[i].text) {
                ("call", "function_of_one") => Ok("\"called\"".to_owned()),
                ("call", "int") => Ok("1".to_owned()),
                (operator, _) => shown(Model::unary(operator, x)),
            }
        });
    }
}

#[test]
fn tests_of_types() {
    let samples = values(false);
    let mut writer = Writer::default();
    for &ty in TYPES {
        for form in CONDITIONS.iter().chain(&["?"]) {
            writer.site("each", ty, form.replace('?', &format!("x is {ty}")), "");
        }
        let negated = format!("not (x is not {ty})");
        writer.site("each", ty, negated, "");
    }
    for flags in MODES {
        check(&samples, &writer, flags, |site, i, _| {
            Ok(Model::is(&samples[i].value, site.operator).to_string())
        });
    }
}

#[test]
fn patterns() {
    let samples = values(false);
    let mut writer = Writer::default();
    for &(pattern, _) in PATTERNS {
        let text = format!("match x {{ {pattern} => true, _ => false }}");
        writer.site("each", pattern, text, "");
    }
    for flags in MODES {
        check(&samples, &writer, flags, |site, i, _| {
            let (_, fits) = PATTERNS
                .iter()
                .find(|(pattern, _)| *pattern == site.operator)
                .expect("it is one of them");
            Ok(fits(&samples[i].value).to_string())
        });
    }
}

/// Short programs run in all of these.
const MODES: &[&[&str]] = &[&[], &["--stress=gc"], &["--stress=suspend"]];

#[test]
fn binary_operators() {
    check_operators(false, &[]);
}
#[test]
fn binary_operators_with_collections_everywhere() {
    check_operators(true, &["--stress=gc"]);
}
#[test]
fn binary_operators_suspended_everywhere() {
    check_operators(true, &["--stress=suspend"]);
}
