//! Every operator with every kind of operand, in every form that instructions have for it, against a small model of the language.
//!
//! A program is written that applies each operator to all pairs of the values in `values`, in the *forms* that lead to different
//! instructions: both operands in registers, at one place that meets all kinds and at a place of its own for each pair of kinds (where
//! instructions settle in their quick forms); a literal on the right, on the left, on both sides; assignment with an operator; conditions of
//! `if`, `while` and `and`. The same is done with unary operators, `is`, patterns, loops and calls. What it prints for each is compared with
//! `Model`, which is written from the reference and knows nothing of the VM: big integers of another crate, a value or the kind of an error.
//!
//! `HEDDLE_BIN` names another build's program (see `tests/scripts.rs`), and with it the other dispatch.

mod model;
mod programs;

#[path = "../support/mod.rs"]
mod support;
mod values;

use model::*;
use programs::*;
use values::*;

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
