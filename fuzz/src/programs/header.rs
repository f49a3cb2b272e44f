//! The types that every program has, with the methods that its bytes choose.

use super::{Type, Writer};

/// Operators and hooks of `Point`: how they are declared, and bodies to choose from besides one that is made up.
const HOOKS: &[(&str, &[&str])] = &[
    ("+(self, o)", &["Point(self.x + o.x, self.y)", "self.x + 1"]),
    ("-(self, o)", &["Point(self.x - 1, o)"]),
    ("*(self, o)", &["[self.x] * 3"]),
    (
        "==(self, o)",
        &["self.x == o.x", "self.y == o.y and self.x == o.x"],
    ),
    ("<(self, o)", &["self.x < o.x", "o.y < self.y"]),
    ("hash(self)", &["hash(self.x)", "7"]),
    ("str(self)", &["\"<{self.x} {self.y}>\"", "str(self.x)"]),
    ("[](self, i)", &["if i == 0 { self.x } else { self.y }"]),
    ("[]=(self, i, v)", &["print(i, v)"]),
    ("neg(self)", &["Point(-self.x, self.y)"]),
    ("call(self, k)", &["[self.x, k]"]),
    ("iter(self)", &["[self.x, self.y]", "0..3"]),
    ("in(self, v)", &["v == self.x"]),
];

impl Writer<'_> {
    pub(super) fn header(&mut self) {
        self.line("fn note(e) { if e is Error { print(\"!\", e.kind, e.message, e.trace.len()) } else { print(\"!\", repr(e)) } }");
        let is_var = if self.chance(2) { "var " } else { "" };
        self.block("struct Point", |w| {
            w.line(&format!("{is_var}x, {is_var}y = 0"));
            for (head, bodies) in HOOKS {
                if !w.chance(3) {
                    continue;
                }
                let made_up = w.chance(4);
                let body = if made_up {
                    w.scoped(|w| {
                        let parameters = head.split_once('(').map_or("", |(_, rest)| rest);
                        for name in parameters.trim_end_matches(')').split(", ") {
                            w.declare(name, Type::Any, false);
                        }
                        w.place.in_function = true;
                        let body = w.expression(Type::Any);
                        w.place.in_function = false;
                        body
                    })
                } else {
                    w.one_of(bodies).to_string()
                };
                w.line(&format!("fn {head} {{ {body} }}"));
            }
            w.line("fn len(self) { 2 }");
            w.line("fn sum(self) { self.x + self.y }");
            w.line("fn origin() { Point(0) }");
        });
        self.block("struct Counter", |w| {
            w.line("var n = 0");
            w.line("var more = nil");
            w.line("fn inc(self) { self.n += 1; self }");
            w.line("fn next(self) { if self.n > 4 { throw StopIteration(\"\") }; self.n += 1; [self.n, self.more] }");
        });
        self.line("trait Named { fn name(self); fn greet(self) { \"hi {self.name()}\" } }");
        self.line("enum Shape: Named { Circle(r), Rect(w, h = 1), Empty; fn name(self) { \"shape\" }; fn area(self) { match self { Shape.Circle(r) => r * r, Shape.Rect(w, h) => w * h, Shape.Empty => 0 } } }");
        self.line("struct Oops: Error { code = 1 }");
        self.line("gen fn count(n, x = 1) { defer { print(\"closed\", n) }; var i = 0; while i < n { i += 1; yield i * x } }");
        self.line("fn deep(f, n) { if n == 0 { f(0) } else { [deep(f, n - 1)] } }");
        self.line("fn nest(x, n) { var v = x; for i in 0..n { v = [v] }; v }");
    }
}
