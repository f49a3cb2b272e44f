//! The values that operators are applied to: as the model sees them, and as a program makes them.

use num_bigint::BigInt;

/// A value of the language as the model sees it.
#[derive(Clone, Debug)]
pub(crate) enum V {
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
pub(crate) enum Frozen {
    Yes,
    No,
}

/// A value, or the kind of an error.
pub(crate) type Outcome = Result<V, &'static str>;

pub(crate) const TYPE: Outcome = Err("TypeError");
pub(crate) const ARITHMETIC: Outcome = Err("ArithmeticError");
pub(crate) const VALUE: Outcome = Err("ValueError");
pub(crate) const LIMIT: Outcome = Err("LimitError");
pub(crate) const INDEX: Outcome = Err("IndexError");
pub(crate) const KEY: Outcome = Err("KeyError");

/// A value with its text in a program.
pub(crate) struct Sample {
    /// Places that meet one pair of kinds only are made for these.
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
    pub(crate) value: V,
    /// The text is a literal, which may stand as an operand.
    pub(crate) is_literal: bool,
    /// Among the values with which slow modes and rarer forms content themselves.
    pub(crate) is_core: bool,
}

/// What the programs begin with.
pub(crate) const PRELUDE: &str = r#"
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

pub(crate) fn int(text: &str) -> V {
    V::Int(text.parse().expect("an int"))
}
pub(crate) fn string(text: &str) -> V {
    V::Str(text.to_owned())
}
pub(crate) fn list(items: impl IntoIterator<Item = V>) -> V {
    V::List(items.into_iter().collect(), Frozen::No)
}
pub(crate) fn range(start: i64, end: i64) -> V {
    V::Range {
        start,
        end,
        is_inclusive: false,
    }
}

pub(crate) fn values(only_core: bool) -> Vec<Sample> {
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
