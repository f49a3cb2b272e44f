//! Whole Heddle programs out of bytes.
//!
//! Every byte string is a program that compiles, ends soon (loops are counted, the rest is the fuel limit's) and prints most of what
//! it computes. Types are known loosely: mostly a value of the wanted type is written, now and then any other, so that operations on
//! wrong types are tried as well. Where the bytes end, every choice is the first one: the simplest.

mod expressions;
mod header;
mod literals;
mod methods;
mod statements;

use arbitrary::Unstructured;

/// The loose type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Bool,
    Str,
    List,
    Map,
    Set,
    Tuple,
    Range,
    Bytes,
    Duration,
    /// Functions of one and of two parameters.
    Fn1,
    Fn2,
    /// What a `for` loop takes once: a generator or a lazy iterator.
    Iter,
    Point,
    Counter,
    Shape,
    Task,
    Any,
}

const TYPES: [Type; 19] = [
    Type::Int,
    Type::Str,
    Type::List,
    Type::Float,
    Type::Map,
    Type::Tuple,
    Type::Bool,
    Type::Set,
    Type::Point,
    Type::Fn1,
    Type::Iter,
    Type::Range,
    Type::Shape,
    Type::Counter,
    Type::Fn2,
    Type::Bytes,
    Type::Duration,
    Type::Task,
    Type::Any,
];

/// A name in scope.
#[derive(Clone)]
struct Variable {
    name: String,
    of: Type,
    is_var: bool,
}

/// A declared function: how many parameters must be given and may be given.
#[derive(Clone)]
struct Function {
    name: String,
    required: usize,
    defaults: usize,
    has_rest: bool,
    result: Type,
}

/// What the statements around a place allow there.
#[derive(Clone, Copy, Default)]
struct Place {
    in_function: bool,
    in_generator: bool,
    in_loop: bool,
}

/// The program so far and what may be used in the next line of it.
struct Writer<'a> {
    choices: Unstructured<'a>,
    text: String,
    indent: usize,
    variables: Vec<Variable>,
    functions: Vec<Function>,
    next_name: usize,
    /// How deep the expression or statement is that is being written.
    depth: usize,
    /// Expressions and statements that may still be written.
    budget: usize,
    place: Place,
}

/// The program that `bytes` stand for.
pub fn write(bytes: &[u8]) -> String {
    let mut writer = Writer {
        choices: Unstructured::new(bytes),
        text: String::new(),
        indent: 0,
        variables: Vec::new(),
        functions: Vec::new(),
        next_name: 0,
        depth: 0,
        budget: 1500,
        place: Place::default(),
    };
    writer.header();
    writer.program();
    writer.text
}

/// Bytes from a number, of which to make a program: xorshift.
pub fn random(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    };
    next();
    let length = 50 + next() % 1500;
    (0..length).map(|_| next() as u8).collect()
}

impl Writer<'_> {
    /// One of `count` choices; the first when the bytes have ended.
    fn pick(&mut self, count: usize) -> usize {
        self.choices.int_in_range(0..=count - 1).unwrap_or(0)
    }
    /// Once in `count` times, and never when the bytes have ended.
    fn chance(&mut self, count: usize) -> bool {
        self.pick(count) == count - 1
    }
    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.pick(choices.len())]
    }
    fn is_exhausted(&self) -> bool {
        self.choices.is_empty() || self.budget == 0
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.next_name += 1;
        format!("{prefix}{}", self.next_name)
    }
    fn line(&mut self, text: &str) {
        for _ in 0..self.indent {
            self.text.push_str("    ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }
    /// `head {`, what `body` writes, `}`.
    fn block(&mut self, head: &str, body: impl FnOnce(&mut Self)) {
        self.block_with(head, "}", body);
    }
    fn block_with(&mut self, head: &str, tail: &str, body: impl FnOnce(&mut Self)) {
        self.line(&format!("{head} {{"));
        self.indent += 1;
        self.scoped(body);
        self.indent -= 1;
        self.line(tail);
    }
    /// Names that `body` declares are gone after it.
    fn scoped<R>(&mut self, body: impl FnOnce(&mut Self) -> R) -> R {
        let (variables, functions) = (self.variables.len(), self.functions.len());
        let result = body(self);
        self.variables.truncate(variables);
        self.functions.truncate(functions);
        result
    }
    fn declare(&mut self, name: &str, of: Type, is_var: bool) {
        self.variables.push(Variable {
            name: name.into(),
            of,
            is_var,
        });
    }
    /// A name in scope that holds such a value, the last ones more often.
    fn variable(&mut self, of: Type) -> Option<String> {
        let fitting: Vec<usize> = (0..self.variables.len())
            .rev()
            .filter(|&i| of == Type::Any || [of, Type::Any].contains(&self.variables[i].of))
            .take(12)
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let chosen = fitting[self.pick(fitting.len())];
        Some(self.variables[chosen].name.clone())
    }
    /// A `var` in scope.
    fn assignable(&mut self) -> Option<Variable> {
        let fitting: Vec<usize> = (0..self.variables.len())
            .rev()
            .filter(|&i| self.variables[i].is_var)
            .take(12)
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let chosen = fitting[self.pick(fitting.len())];
        Some(self.variables[chosen].clone())
    }
    fn any_type(&mut self) -> Type {
        self.one_of(&TYPES)
    }
}
