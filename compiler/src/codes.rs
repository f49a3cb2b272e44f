//! Every code that a diagnostic may carry, with what it means in one line.
//!
//! E00xx: characters, literals, brackets. E01xx: syntax. E02xx, E03xx: names and what can be known of calls.
//! W: warnings. A test proves that each code used in this crate is listed.

/// Codes and meanings, in order.
pub const CODES: &[(&str, &str)] = &[
    ("E0001", "a character that means nothing here"),
    ("E0002", "a string without its closing quote"),
    ("E0003", "an interpolation without its closing brace"),
    (
        "E0004",
        "a number in a form that does not exist, or too large",
    ),
    ("E0005", "an escape that does not exist"),
    ("E0006", "a character in bytes that is no byte"),
    ("E0007", "an operator of another language"),
    ("E0008", "interpolations nested too deeply"),
    ("E0009", "brackets nested too deeply"),
    ("E0010", "a bracket that is never closed"),
    ("E0011", "a closing bracket without an opening one"),
    ("E0012", "a format spec in a form that does not exist"),
    ("E0013", "a file that is not UTF-8"),
    ("E0014", "a file that is too large"),
    ("E0100", "something else was expected here"),
    ("E0101", "the text ends too early"),
    ("E0102", "comparisons or ranges in a chain, as `a < b < c`"),
    ("E0103", "a closure or `spawn` as an operand"),
    ("E0104", "`not` behind an operator that binds more tightly"),
    ("E0105", "something other than a type behind `is`"),
    ("E0106", "`return` or the like as an operand"),
    (
        "E0107",
        "something behind the call of `spawn`, `thread` or `threadlet`",
    ),
    (
        "E0108",
        "`spawn`, `thread`, `threadlet` or `defer` without a call or block",
    ),
    ("E0109", "a parameter behind the one that collects the rest"),
    ("E0110", "a program nested too deeply"),
    (
        "E0111",
        "an assignment to what is no variable, field or element",
    ),
    (
        "E0112",
        "a select arm that waits for something other than `recv()`, `send(x)` or `join()`",
    ),
    ("E0113", "`..` twice in a pattern, or not at the end"),
    (
        "E0114",
        "an option that `spawn`, `thread`, `threadlet` or `scope` does not have",
    ),
    (
        "E0115",
        "`after` or `else` arms of one select that exclude each other, or no arms",
    ),
    ("E0120", "a word of another language"),
    ("E0121", "`=` where `==` is meant"),
    ("E0122", "a keyword as a name"),
    ("E0123", "a declared type"),
    ("E0124", "`:` and indentation instead of braces"),
    ("E0125", "a block without its opening brace"),
    ("E0126", "`--`"),
    ("E0127", "an interpolation without an expression"),
    ("E0128", "a variable without a value"),
    ("E0201", "a name that is not defined, or not yet"),
    ("E0202", "a name declared twice in one scope"),
    ("E0203", "an assignment to what is no `var`"),
    (
        "E0204",
        "a call with the wrong number or names of arguments",
    ),
    (
        "E0205",
        "a bare name in a pattern that hides a constant, type or variant",
    ),
    ("E0206", "a `thread` block that captures a local `var`"),
    ("E0207", "`break` or `continue` where no loop takes it"),
    ("E0208", "`return` outside a function"),
    ("E0209", "`yield` with a value outside a `gen fn`"),
    ("E0210", "an import of what cannot be found or named"),
    ("E0211", "a function that is too large"),
    ("E0212", "a positional argument behind a named one"),
    ("E0213", "a pattern that does not fit together"),
    ("E0214", "an assignment that is not possible in this form"),
    ("E0215", "a declaration that stands only at top level"),
    (
        "E0216",
        "a field's default that uses a local variable, in a type based on one of another module",
    ),
    (
        "E0217",
        "a range pattern whose ends are no whole numbers of 64 bits",
    ),
    (
        "E0218",
        "something other than a trait or error kind behind `:`",
    ),
    ("E0219", "a type that is based on itself"),
    ("E0220", "a type that is based on two kinds of error"),
    ("E0221", "a `yield` of a generator inside a `scope`"),
    ("W0201", "a variable that is never used"),
    ("W0202", "an import that is never used"),
    ("W0203", "code that is never reached"),
    ("W0204", "an arm or `catch` that is never reached"),
    ("W0205", "a field or method that the type does not have"),
    ("W0206", "an assignment to a field that is not `var`"),
    ("W0207", "a `thread` block that names a `var` of the module"),
];

/// What a code means, if there is such a code.
pub fn meaning(code: &str) -> Option<&'static str> {
    CODES
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, meaning)| *meaning)
}
