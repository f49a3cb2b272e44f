//! Constants: mostly small ones, and those at the borders of representations.

use super::Writer;

/// The borders of 48 and 64 bits, and numbers beyond.
const INTS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "7",
    "10",
    "-1",
    "255",
    "1000",
    "140737488355327",
    "140737488355328",
    "-140737488355328",
    "-140737488355329",
    "281474976710656",
    "9007199254740993",
    "4611686018427387904",
    "-4611686018427387905",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "-170141183460469231731687303715884105728",
    "(10 ** 40)",
    "(3 ** 200)",
    "(-(7 ** 90))",
    "0xffff_ffff",
    "64kb",
];
const FLOATS: &[&str] = &[
    "0.0",
    "1.5",
    "-0.0",
    "-2.25",
    "1e308",
    "5e-324",
    "1e-5",
    "9.999e15",
    "1e16",
    "0.1",
    "140737488355328.0",
    "9007199254740992.0",
    "9223372036854775808.0",
    "1.8446744073709552e19",
    "(1.0 / 0)",
    "(-1.0 / 0)",
    "(0.0 / 0)",
];
const STRINGS: &[&str] = &[
    "\"\"",
    "\"a\"",
    "\"key\"",
    "\"x,y,z\"",
    "\" Two words \"",
    "\"12\"",
    "\"-0.5\"",
    "\"ä\u{1F600}ß\"",
    "\"x\\n\\t\\\"\\u{301}\"",
    "'{not}'",
    "\"0123456789abcdefghijklmnopqrstuvwxyz\"",
    "(\"ab\" * 300)",
    "(\"é\" * 50)",
    "chr(0x10ffff)",
    "\"1e400\"",
];
const BYTES: &[&str] = &[
    "b\"\"",
    "b\"ab\"",
    "b\"\\x00\\xff\"",
    "b\"\\xc3\\xa4\"",
    "b\"abcabcabcabc\"",
];
const DURATIONS: &[&str] = &["0ns", "5ms", "2s", "3h", "1ns", "(9223372036s)", "1m"];
const RANGES: &[&str] = &[
    "(0..4)",
    "(0..=3)",
    "(3..0)",
    "(-2..2)",
    "(0..10).step(3)",
    "(0..5).rev()",
    "(140737488355325..140737488355330)",
    "(9223372036854775806..=9223372036854775809)",
    "(0..0)",
    "(0..100000000000000000000).step(30000000000000000000)",
];

impl Writer<'_> {
    pub(super) fn int_literal(&mut self) -> String {
        if self.chance(3) {
            self.one_of(INTS).into()
        } else {
            (self.pick(12) as i64 - 2).to_string()
        }
    }
    pub(super) fn float_literal(&mut self) -> String {
        self.one_of(FLOATS).into()
    }
    pub(super) fn string_literal(&mut self) -> String {
        self.one_of(STRINGS).into()
    }
    pub(super) fn bytes_literal(&mut self) -> String {
        self.one_of(BYTES).into()
    }
    pub(super) fn duration_literal(&mut self) -> String {
        self.one_of(DURATIONS).into()
    }
    pub(super) fn range_literal(&mut self) -> String {
        self.one_of(RANGES).into()
    }
}
