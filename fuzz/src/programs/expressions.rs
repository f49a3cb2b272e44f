//! Expressions. Each is in brackets wherever precedence could matter, and none spans lines.

use super::Writer;
use super::methods::{FUNCTIONS, METHODS};
use super::{Place, Type};

/// How deep expressions nest.
const DEPTH: usize = 6;

const FORMATS: &[&str] = &[
    "", ":>8", ":^12", ":*<5", ":+", ":x", ":.2", ":,", ":e", ":08.3", ":b", ":%", ":>200",
];
const ARITHMETIC: &[&str] = &["+", "-", "*", "//", "%", "&", "|", "^", "/"];
const COMPARISONS: &[&str] = &["==", "<", "!=", "<=", ">", ">=", "is", "in", "not in"];
const TYPE_NAMES: &[&str] = &[
    "int",
    "string",
    "list",
    "nil",
    "Point",
    "Shape",
    "Shape.Circle",
    "Named",
    "Error",
    "not nil",
    "map",
    "float",
    "generator",
    "Counter",
];

impl Writer<'_> {
    /// An expression that mostly gives a value of the wanted type.
    pub(super) fn expression(&mut self, wanted: Type) -> String {
        if self.depth >= DEPTH || self.is_exhausted() {
            return self.leaf(wanted);
        }
        self.budget -= 1;
        self.depth += 1;
        let text = if self.chance(24) {
            let other = self.any_type();
            self.of_type(other)
        } else {
            self.of_type(wanted)
        };
        self.depth -= 1;
        text
    }

    /// A variable or a constant.
    fn leaf(&mut self, wanted: Type) -> String {
        if self.pick(3) > 0
            && let Some(name) = self.variable(wanted)
        {
            return name;
        }
        match wanted {
            Type::Int => self.int_literal(),
            Type::Float => self.float_literal(),
            Type::Bool => self.one_of(&["true", "false"]).into(),
            Type::Str => self.string_literal(),
            Type::List => self
                .one_of(&[
                    "[1, 2, 3]",
                    "[]",
                    "[3, 1, 2, 1]",
                    "[\"b\", \"a\"]",
                    "[1.5, 2, nil]",
                    "nest(1, 40)",
                ])
                .into(),
            Type::Map => self
                .one_of(&[
                    "({a: 1})",
                    "({})",
                    "({\"key\": [1], 2: 3, 1.0: 4})",
                    "({a: {b: {}}})",
                ])
                .into(),
            Type::Set => self
                .one_of(&["Set([1, 2])", "Set()", "Set([\"a\", (1, 2), 1.0])"])
                .into(),
            Type::Tuple => self
                .one_of(&[
                    "(1, 2)",
                    "()",
                    "(1,)",
                    "(\"a\", [1], 2.5)",
                    "((1, 2), (3, 4))",
                ])
                .into(),
            Type::Range => self.range_literal(),
            Type::Bytes => self.bytes_literal(),
            Type::Duration => self.duration_literal(),
            Type::Fn1 => self
                .one_of(&[
                    "(|x| x)",
                    "(|x| x + 1)",
                    "str",
                    "len",
                    "(|x| x > 1)",
                    "(|x| [x])",
                    "Point",
                    "Shape.Circle",
                ])
                .into(),
            Type::Fn2 => self
                .one_of(&[
                    "(|x, y| x + y)",
                    "(|x, y| x - y)",
                    "(|x, y| x < y)",
                    "(|x, y| y)",
                    "min",
                    "Point",
                ])
                .into(),
            Type::Iter => self
                .one_of(&[
                    "count(3)",
                    "[1, 2].iter()",
                    "\"ab\".chars()",
                    "count(4, 2)",
                    "(0..5).map(|x| x)",
                ])
                .into(),
            Type::Point => self
                .one_of(&[
                    "Point(1, 2)",
                    "Point(1)",
                    "Point(x: 2, y: 1)",
                    "Point(Point(1))",
                    "Point([1], \"a\")",
                ])
                .into(),
            Type::Counter => self
                .one_of(&["Counter()", "Counter(2)", "Counter(more: [1])"])
                .into(),
            Type::Shape => self
                .one_of(&[
                    "Shape.Circle(2)",
                    "Shape.Empty",
                    "Shape.Rect(1, 2)",
                    "Shape.Rect(3)",
                ])
                .into(),
            Type::Task => "(spawn { 1 })".into(),
            Type::Any => self
                .one_of(&[
                    "nil",
                    "1",
                    "\"a\"",
                    "[1]",
                    "true",
                    "({a: 1})",
                    "(1, 2)",
                    "0.5",
                    "2s",
                    "b\"a\"",
                    "print",
                    "int",
                    "Shape.Empty",
                ])
                .into(),
        }
    }

    fn of_type(&mut self, wanted: Type) -> String {
        match self.pick(16) {
            0..=3 => self.leaf(wanted),
            4..=7 => self.call_giving(wanted),
            8 => self.choice_of(wanted),
            9 => self.call_of_declared(wanted),
            _ => self.specific(wanted),
        }
    }

    /// What only values of the type are made by.
    fn specific(&mut self, wanted: Type) -> String {
        match wanted {
            Type::Int => match self.pick(8) {
                0..=3 => self.arithmetic(Type::Int),
                4 => format!("(-{})", self.expression(Type::Int)),
                5 => format!(
                    "({} {} {})",
                    self.expression(Type::Int),
                    self.one_of(&["<<", ">>"]),
                    self.pick(80)
                ),
                6 => format!("({} ** {})", self.expression(Type::Int), self.pick(12)),
                _ => format!("(~{})", self.expression(Type::Int)),
            },
            Type::Float => match self.pick(4) {
                0..=1 => self.arithmetic(Type::Float),
                2 => format!(
                    "({} / {})",
                    self.expression(Type::Int),
                    self.expression(Type::Int)
                ),
                _ => format!(
                    "({} ** {})",
                    self.expression(Type::Float),
                    self.expression(Type::Float)
                ),
            },
            Type::Bool => self.condition(),
            Type::Str => match self.pick(4) {
                0..=1 => self.interpolation(),
                2 => format!(
                    "({} + {})",
                    self.expression(Type::Str),
                    self.expression(Type::Str)
                ),
                _ => format!("({} * {})", self.expression(Type::Str), self.pick(5)),
            },
            Type::List => match self.pick(6) {
                0..=2 => self.brackets("[", "]"),
                3 => self.slice(Type::List),
                4 => format!(
                    "({} + {})",
                    self.expression(Type::List),
                    self.expression(Type::List)
                ),
                _ => format!("({} * {})", self.expression(Type::List), self.pick(4)),
            },
            Type::Tuple => match self.pick(3) {
                0..=1 => self.brackets("(", ",)"),
                _ => self.slice(Type::Tuple),
            },
            Type::Map => self.map(),
            Type::Set => match self.pick(2) {
                0 => format!("Set({})", self.expression(Type::List)),
                _ => format!(
                    "({} {} {})",
                    self.expression(Type::Set),
                    self.one_of(&["|", "&", "-"]),
                    self.expression(Type::Set)
                ),
            },
            Type::Range => format!(
                "({}{}{})",
                self.small(),
                self.one_of(&["..", "..="]),
                self.small()
            ),
            Type::Bytes => match self.pick(2) {
                0 => self.slice(Type::Bytes),
                _ => format!(
                    "({} + {})",
                    self.expression(Type::Bytes),
                    self.expression(Type::Bytes)
                ),
            },
            Type::Duration => match self.pick(2) {
                0 => format!("({} * {})", self.expression(Type::Duration), self.small()),
                _ => format!(
                    "({} {} {})",
                    self.expression(Type::Duration),
                    self.one_of(&["+", "-", "/", "//", "%"]),
                    self.expression(Type::Duration)
                ),
            },
            Type::Fn1 => self.closure(1),
            Type::Fn2 => self.closure(2),
            Type::Iter => match self.pick(2) {
                0 => format!("count({}, {})", self.small(), self.expression(Type::Any)),
                _ => format!(
                    "{}.map({})",
                    self.expression(Type::Iter),
                    self.expression(Type::Fn1)
                ),
            },
            Type::Point => match self.pick(5) {
                0..=1 => format!(
                    "Point({}, {})",
                    self.expression(Type::Any),
                    self.expression(Type::Any)
                ),
                2 => format!(
                    "{}.with(y: {})",
                    self.expression(Type::Point),
                    self.expression(Type::Any)
                ),
                3 => format!(
                    "({} {} {})",
                    self.expression(Type::Point),
                    self.one_of(&["+", "-", "*"]),
                    self.expression(Type::Point)
                ),
                _ => format!("(-{})", self.expression(Type::Point)),
            },
            Type::Counter => format!("Counter({}, {})", self.small(), self.expression(Type::Any)),
            Type::Shape => match self.pick(2) {
                0 => format!("Shape.Circle({})", self.expression(Type::Any)),
                _ => format!(
                    "Shape.Rect({}, h: {})",
                    self.expression(Type::Int),
                    self.expression(Type::Any)
                ),
            },
            Type::Task => match self.pick(2) {
                0 => format!(
                    "(spawn {{ {} }})",
                    self.elsewhere(|w| w.expression(Type::Any))
                ),
                _ => format!(
                    "(spawn deep({}, {}))",
                    self.expression(Type::Fn1),
                    self.small()
                ),
            },
            Type::Any => match self.pick(8) {
                0 => format!(
                    "{}[{}]",
                    self.expression(Type::List),
                    self.expression(Type::Int)
                ),
                1 => format!(
                    "{}[{}]",
                    self.expression(Type::Map),
                    self.expression(Type::Str)
                ),
                2 => format!(
                    "{}.{}",
                    self.expression(Type::Point),
                    self.one_of(&["x", "y"])
                ),
                3 => format!(
                    "{}({})",
                    self.expression(Type::Fn1),
                    self.expression(Type::Any)
                ),
                4 => format!(
                    "{}.{}",
                    self.expression(Type::Map),
                    self.one_of(&["a", "b"])
                ),
                5 => format!(
                    "{}?.{}",
                    self.expression(Type::Any),
                    self.one_of(&["a", "x", "n", "more"])
                ),
                6 => format!(
                    "({} ?? {})",
                    self.expression(Type::Any),
                    self.expression(Type::Any)
                ),
                _ => {
                    let of = self.any_type();
                    self.expression(of)
                }
            },
        }
    }

    /// An int that is mostly small.
    pub(super) fn small(&mut self) -> String {
        if self.chance(6) {
            self.expression(Type::Int)
        } else {
            (self.pick(9) as i64 - 1).to_string()
        }
    }

    fn arithmetic(&mut self, of: Type) -> String {
        let (left, operator, right) = (
            self.expression(of),
            self.one_of(ARITHMETIC),
            self.expression(of),
        );
        format!("({left} {operator} {right})")
    }

    pub(super) fn condition(&mut self) -> String {
        match self.pick(8) {
            0..=3 => {
                let of = self.any_type();
                let (left, operator) = (self.expression(of), self.one_of(COMPARISONS));
                if operator == "is" {
                    return format!("({left} is {})", self.one_of(TYPE_NAMES));
                }
                let right = if self.chance(4) {
                    let of = self.any_type();
                    self.expression(of)
                } else {
                    self.expression(of)
                };
                format!("({left} {operator} {right})")
            }
            4 => format!(
                "({} and {})",
                self.expression(Type::Bool),
                self.expression(Type::Bool)
            ),
            5 => format!(
                "({} or {})",
                self.expression(Type::Bool),
                self.expression(Type::Any)
            ),
            6 => format!("(not {})", self.expression(Type::Bool)),
            _ => {
                // Hashes differ between engines, so only whether they agree is shown.
                let value = self.expression(Type::Any);
                format!("(hash({value}) == hash({}))", self.expression(Type::Any))
            }
        }
    }

    fn interpolation(&mut self) -> String {
        let of = self.any_type();
        let value = self.expression(of);
        format!("\"<{{{value}{}}}>\"", self.one_of(FORMATS))
    }

    fn brackets(&mut self, open: &str, close: &str) -> String {
        let count = 1 + self.pick(5);
        let items: Vec<String> = (0..count)
            .map(|_| {
                let of = self.one_of(&[Type::Int, Type::Any, Type::Str, Type::List]);
                self.expression(of)
            })
            .collect();
        format!("{open}{}{close}", items.join(", "))
    }

    fn map(&mut self) -> String {
        let mut text = String::from("({");
        for i in 0..1 + self.pick(4) {
            let key = match self.pick(4) {
                0 => ["a", "b", "c", "d", "e"][i].to_string(),
                1 => format!("\"{i}\""),
                2 => format!("[{}]", self.expression(Type::Any)),
                _ => format!("[{}]", self.expression(Type::Int)),
            };
            let value = self.expression(Type::Any);
            text += &format!("{key}: {value}, ");
        }
        text + "})"
    }

    fn slice(&mut self, of: Type) -> String {
        let whole = self.expression(of);
        match self.pick(3) {
            0 => format!("{whole}[{}..{}]", self.small(), self.small()),
            1 => format!("{whole}[{}..]", self.small()),
            _ => format!("{whole}[..={}]", self.small()),
        }
    }

    /// A call of a method or function of the prelude; any of them for `Any`.
    fn call_giving(&mut self, wanted: Type) -> String {
        let fits = |result: Type| wanted == Type::Any || result == wanted;
        let methods = METHODS.iter().filter(|(.., result)| fits(*result)).count();
        let functions = FUNCTIONS
            .iter()
            .filter(|(.., result)| fits(*result))
            .count();
        if methods + functions == 0 {
            return self.leaf(wanted);
        }
        let chosen = self.pick(methods + functions);
        if chosen >= methods {
            let (name, parameters, _) = FUNCTIONS
                .iter()
                .filter(|(.., result)| fits(*result))
                .nth(chosen - methods)
                .expect("counted above");
            return format!("{name}({})", self.arguments(parameters));
        }
        let (receiver, name, parameters, _) = METHODS
            .iter()
            .filter(|(.., result)| fits(*result))
            .nth(chosen)
            .expect("counted above");
        self.method_call(*receiver, name, parameters)
    }
    /// Mostly on a value of the right type.
    pub(super) fn method_call(
        &mut self,
        receiver: Type,
        name: &str,
        parameters: &[Type],
    ) -> String {
        let of = if self.chance(30) { Type::Any } else { receiver };
        let target = self.expression(of);
        let dot = if self.chance(30) { "?." } else { "." };
        format!("({target}){dot}{name}({})", self.arguments(parameters))
    }
    fn arguments(&mut self, parameters: &[Type]) -> String {
        let arguments: Vec<String> = parameters
            .iter()
            .map(|of| match of {
                Type::Int => self.small(),
                of => self.expression(*of),
            })
            .collect();
        arguments.join(", ")
    }

    /// A call of a function that the program declares.
    fn call_of_declared(&mut self, wanted: Type) -> String {
        let fitting: Vec<usize> = (0..self.functions.len())
            .filter(|&i| wanted == Type::Any || self.functions[i].result == wanted)
            .collect();
        if fitting.is_empty() {
            return self.leaf(wanted);
        }
        let chosen = fitting[self.pick(fitting.len())];
        let function = self.functions[chosen].clone();
        let mut arguments: Vec<String> = (0..function.required)
            .map(|_| self.expression(Type::Any))
            .collect();
        if function.defaults > 0 && self.chance(2) {
            let value = self.expression(Type::Any);
            arguments.push(if self.chance(2) {
                format!("d0: {value}")
            } else {
                value.clone()
            });
            if function.has_rest && !arguments.last().is_some_and(|a| a.starts_with("d0:")) {
                for _ in 1..function.defaults {
                    arguments.push("nil".into());
                }
                for _ in 0..self.pick(3) {
                    arguments.push(self.expression(Type::Any));
                }
            }
        }
        format!("{}({})", function.name, arguments.join(", "))
    }

    /// `if`, `match`, `try`, `do` as expressions.
    fn choice_of(&mut self, wanted: Type) -> String {
        match self.pick(4) {
            0 => format!(
                "(if {} {{ {} }} else {{ {} }})",
                self.condition(),
                self.inner(wanted),
                self.inner(wanted)
            ),
            1 => {
                let value = self.expression(wanted);
                let handler = self.inner(wanted);
                format!("(try {{ {value} }} catch e {{ note(e); {handler} }})")
            }
            2 => {
                let name = self.fresh("d");
                let value = self.expression(wanted);
                let result = self.scoped(|w| {
                    w.declare(&name, wanted, false);
                    w.inner(wanted)
                });
                format!("(do {{ let {name} = {value}; {result} }})")
            }
            _ => self.match_expression(wanted),
        }
    }
    /// The value of a block: an expression that cannot be read as anything else at the start of a statement.
    fn inner(&mut self, wanted: Type) -> String {
        self.expression(wanted)
    }

    fn match_expression(&mut self, wanted: Type) -> String {
        let of = self.any_type();
        let mut text = format!("(match {} {{ ", self.expression(of));
        for _ in 0..1 + self.pick(3) {
            text += &self.scoped(|w| {
                let pattern = w.pattern();
                let guard = if w.chance(4) {
                    format!(" if {}", w.condition())
                } else {
                    String::new()
                };
                format!("{pattern}{guard} => {}; ", w.expression(wanted))
            });
        }
        if !self.chance(5) {
            text += &format!("_ => {}; ", self.expression(wanted));
        }
        text + "})"
    }

    /// A pattern; its names are declared.
    pub(super) fn pattern(&mut self) -> String {
        let bind = |w: &mut Self, of: Type| {
            let name = w.fresh("p");
            w.declare(&name, of, false);
            name
        };
        match self.pick(14) {
            0 => self.int_pattern(),
            1 => bind(self, Type::Any),
            2 => format!("({}, {})", bind(self, Type::Any), bind(self, Type::Any)),
            3 => format!("[{}, ..{}]", bind(self, Type::Any), bind(self, Type::List)),
            4 => format!("Point(x: {})", bind(self, Type::Any)),
            5 => format!("Shape.Circle({})", bind(self, Type::Any)),
            6 => format!("{{a: {}}}", bind(self, Type::Any)),
            7 => "0..10".into(),
            8 => "nil".into(),
            9 => format!("Shape.Rect({}, ..)", bind(self, Type::Any)),
            10 => format!("[{}, {}]", self.int_pattern(), bind(self, Type::Any)),
            11 => format!("{} | {}", self.int_pattern(), self.int_pattern()),
            12 => "\"a\" | \"key\"".into(),
            _ => format!("[..{}, {}]", bind(self, Type::List), bind(self, Type::Any)),
        }
    }
    fn int_pattern(&mut self) -> String {
        self.one_of(&[
            "0",
            "1",
            "-1",
            "2",
            "9223372036854775808",
            "1.0",
            "true",
            "140737488355328",
        ])
        .into()
    }

    /// A closure with an expression or a few statements as its body.
    pub(super) fn closure(&mut self, parameters: usize) -> String {
        let names: Vec<String> = (0..parameters).map(|_| self.fresh("x")).collect();
        let body = self.elsewhere(|w| {
            w.scoped(|w| {
                for name in &names {
                    let of = w.one_of(&[Type::Any, Type::Int]);
                    w.declare(name, of, false);
                }
                let target = w.assignable();
                match (w.pick(4), target) {
                    (3, Some(target)) => {
                        let value = w.expression(target.of);
                        let result = w.expression(Type::Any);
                        format!("{{ {} = {value}; {result} }}", target.name)
                    }
                    (2, _) => format!(
                        "{{ print({}); {} }}",
                        names.join(", "),
                        w.expression(Type::Any)
                    ),
                    _ => w.expression(Type::Int),
                }
            })
        });
        format!("(|{}| {body})", names.join(", "))
    }

    /// Writes what stands in a function of its own.
    pub(super) fn elsewhere<R>(&mut self, write: impl FnOnce(&mut Self) -> R) -> R {
        let place = std::mem::replace(
            &mut self.place,
            Place {
                in_function: true,
                ..Place::default()
            },
        );
        let result = write(self);
        self.place = place;
        result
    }
}
