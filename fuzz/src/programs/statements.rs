//! Statements and declarations.

use super::methods::METHODS;
use super::{Function, Place, Type, Writer};

/// How deep blocks nest.
const DEPTH: usize = 4;

impl Writer<'_> {
    /// The program's own statements, until the bytes end.
    pub(super) fn program(&mut self) {
        while !self.is_exhausted() {
            match self.pick(8) {
                0..=2 => self.declaration(),
                3 => self.function(),
                4 => self.generator(),
                _ => {
                    self.block_with("try", "} catch e { note(e) }", |w| {
                        for _ in 0..1 + w.pick(4) {
                            w.statement();
                        }
                    });
                }
            }
        }
        let names: Vec<String> = self.variables.iter().map(|v| v.name.clone()).collect();
        for name in names {
            self.line(&format!(
                "try {{ print(\"{name}\", repr({name})) }} catch e {{ note(e) }}"
            ));
        }
    }

    /// `let` or `var` of a value that is made without an error leaving it.
    fn declaration(&mut self) {
        let of = self.any_type();
        let value = self.expression(of);
        let is_var = self.pick(2) == 0;
        let name = self.fresh(if is_var { "v" } else { "l" });
        let word = match (is_var, self.indent) {
            (true, _) => "var",
            (false, 0) if self.chance(8) => "const",
            (false, _) => "let",
        };
        self.line(&format!(
            "{word} {name} = try {{ {value} }} catch e {{ note(e); nil }}"
        ));
        self.declare(&name, of, is_var);
    }

    fn statement(&mut self) {
        if self.is_exhausted() || self.depth >= DEPTH {
            let value = self.expression(Type::Any);
            self.line(&format!("print({value})"));
            return;
        }
        self.budget -= 1;
        self.depth += 1;
        self.any_statement();
        self.depth -= 1;
    }

    fn any_statement(&mut self) {
        match self.pick(30) {
            0..=4 => {
                let of = self.any_type();
                let value = self.expression(of);
                let how = self.one_of(&["", "repr", "str", "type"]);
                self.line(&format!("print({how}({value}))"));
            }
            5..=6 => self.declaration(),
            7..=9 => self.assignment(),
            10..=12 => {
                let (receiver, name, parameters, _) = METHODS[self.pick(METHODS.len())];
                let call = self.method_call(receiver, name, parameters);
                self.line(&format!("print({call})"));
            }
            13 => {
                let condition = self.condition();
                self.block_with(&format!("if {condition}"), "}", |w| w.body(2));
                if self.chance(2) {
                    self.block("else", |w| w.body(2));
                }
            }
            14 => self.while_loop(),
            15..=16 => self.for_loop(),
            17 => {
                self.block_with("try", "} catch e {", |w| w.body(3));
                self.indent += 1;
                self.line("note(e)");
                self.scoped(|w| {
                    w.declare("e", Type::Any, false);
                    w.body(2);
                });
                self.indent -= 1;
                self.line("}");
            }
            18 => {
                let value = match self.pick(4) {
                    0 => self.expression(Type::Any),
                    1 => format!(
                        "Error({}, data: {})",
                        self.expression(Type::Str),
                        self.expression(Type::Any)
                    ),
                    2 => format!("Oops(\"oops\", {})", self.expression(Type::Any)),
                    _ => format!(
                        "{}(\"made\")",
                        self.one_of(&["TypeError", "KeyError", "StopIteration"])
                    ),
                };
                let condition = self.condition();
                self.line(&format!("if {condition} {{ throw {value} }}"));
            }
            19 => self.local_function(),
            20 => self.destructuring(),
            21 => self.spawning(),
            22 if self.place.in_function || self.indent == 0 => {
                let value = self.expression(Type::Any);
                self.line(&format!("defer {{ print(\"deferred\", {value}) }}"));
            }
            23 if self.place.in_function && !self.place.in_generator => {
                let (condition, value) = (self.condition(), self.expression(Type::Any));
                self.line(&format!("if {condition} {{ return {value} }}"));
            }
            24 if self.place.in_loop => {
                let (condition, how) = (self.condition(), self.one_of(&["break", "continue"]));
                self.line(&format!("if {condition} {{ {how} }}"));
            }
            25 if self.place.in_generator => {
                let value = self.expression(Type::Any);
                self.line(&format!("yield {value}"));
            }
            26 if !self.place.in_generator => self.line("yield"),
            27 => {
                let (of, value) = (self.any_type(), self.expression(Type::Any));
                let other = self.expression(of);
                self.line(&format!("assert {value} == {other}, \"compared\""));
            }
            28 => self.cycle(),
            _ => {
                let text = {
                    let of = self.any_type();
                    self.expression(of)
                };
                let name = self.fresh("c");
                self.line(&format!("let {name} = copy({text})"));
                self.declare(&name, Type::Any, false);
            }
        }
    }

    fn body(&mut self, most: usize) {
        for _ in 0..1 + self.pick(most) {
            self.statement();
        }
    }

    fn assignment(&mut self) {
        let Some(target) = self.assignable() else {
            return self.declaration();
        };
        let name = &target.name;
        let text = match self.pick(6) {
            0 => format!("{name} = {}", self.expression(target.of)),
            1 => format!(
                "{name} {} {}",
                self.one_of(&["+=", "-=", "*=", "//=", "|=", "%="]),
                self.expression(target.of)
            ),
            2 => format!("{name}[{}] = {}", self.index(), self.expression(Type::Any)),
            3 => format!(
                "{name}[{}] {} {}",
                self.index(),
                self.one_of(&["+=", "*="]),
                self.expression(Type::Int)
            ),
            4 => format!(
                "{name}.{} = {}",
                self.one_of(&["a", "x", "n", "more"]),
                self.expression(Type::Any)
            ),
            _ => format!("{name} = [{name}, {}]", self.expression(Type::Any)),
        };
        self.line(&text);
    }

    /// An index that may be assigned to: anything but a bare range, which would be a slice.
    fn index(&mut self) -> String {
        match self.pick(3) {
            0 => self.int_literal(),
            1 => self.string_literal(),
            _ => format!("[{}][0]", self.expression(Type::Any)),
        }
    }

    /// A list or map that holds itself.
    fn cycle(&mut self) {
        let name = self.fresh("o");
        let value = self.expression(Type::Any);
        match self.pick(3) {
            0 => self.line(&format!("let {name} = [{value}]; {name}.push({name})")),
            1 => self.line(&format!(
                "let {name} = {{a: {value}}}; {name}.b = ({name}, 1)"
            )),
            _ => self.line(&format!(
                "let {name} = Counter(1); {name}.more = [{name}, {value}]"
            )),
        }
        self.declare(&name, Type::Any, false);
        let use_of = self.one_of(&[
            "print({})",
            "print({} == copy({}))",
            "print(freeze({}))",
            "print(hash({}))",
            "print(copy({}))",
            "print([{}] < [{}])",
        ]);
        self.line(&use_of.replace("{}", &name));
    }

    fn while_loop(&mut self) {
        let name = self.fresh("i");
        let (condition, limit) = (self.condition(), self.pick(7));
        self.line(&format!("var {name} = 0"));
        self.block(&format!("while {name} < {limit} and {condition}"), |w| {
            w.line(&format!("{name} += 1"));
            w.declare(&name, Type::Int, false);
            w.in_loop(|w| w.body(3));
        });
    }

    fn for_loop(&mut self) {
        let of = self.one_of(&[
            Type::Range,
            Type::List,
            Type::Iter,
            Type::Map,
            Type::Str,
            Type::Tuple,
            Type::Set,
            Type::Bytes,
            Type::Counter,
            Type::Point,
            Type::Any,
        ]);
        let source = self.expression(of);
        let (one, two) = (self.fresh("k"), self.fresh("k"));
        let names = match self.pick(6) {
            4 => format!("{one}, {two}"),
            5 => format!("({one}, {two})"),
            _ => one.clone(),
        };
        let is_pair = names != one;
        self.block(&format!("for {names} in {source}"), |w| {
            w.declare(&one, Type::Any, false);
            if is_pair {
                w.declare(&two, Type::Any, false);
            }
            w.in_loop(|w| w.body(3));
        });
    }
    fn in_loop(&mut self, write: impl FnOnce(&mut Self)) {
        let was = std::mem::replace(&mut self.place.in_loop, true);
        write(self);
        self.place.in_loop = was;
    }

    fn destructuring(&mut self) {
        let (one, two, three) = (self.fresh("u"), self.fresh("u"), self.fresh("u"));
        let (list, point) = (self.expression(Type::List), self.expression(Type::Point));
        match self.pick(5) {
            0 => self.line(&format!(
                "let ({one}, {two}) = ({list}, {point}); let {three} = nil"
            )),
            1 => self.line(&format!("let [{one}, ..{two}] = {list}; let {three} = nil")),
            2 => self.line(&format!(
                "let Point({one}, {two}) = {point}; let {three} = nil"
            )),
            3 => {
                let map = self.expression(Type::Map);
                self.line(&format!(
                    "let {{a: {one}, b: {two}}} = {map}; let {three} = nil"
                ));
            }
            _ => {
                self.line(&format!(
                    "var {one} = {list}; var {two} = {point}; let {three} = 0"
                ));
                self.line(&format!("({one}, {two}) = ({two}, {one})"));
            }
        }
        for name in [one, two, three] {
            self.declare(&name, Type::Any, false);
        }
    }

    fn spawning(&mut self) {
        let name = self.fresh("t");
        let value = self.expression(Type::Any);
        self.line(&format!("let {name} = spawn {{"));
        self.indent += 1;
        self.elsewhere(|w| {
            w.scoped(|w| {
                if w.chance(2) {
                    w.line("yield");
                }
                w.body(3);
                w.line(&value);
            });
        });
        self.indent -= 1;
        self.line("}");
        self.declare(&name, Type::Task, false);
        if !self.chance(4) {
            self.line(&format!(
                "print(\"joined\", try {{ {name}.join() }} catch e {{ note(e) }})"
            ));
        }
    }

    /// A function of the top level, seen from here on (and by itself).
    fn function(&mut self) {
        let name = self.fresh("f");
        self.function_named(&name, true);
    }
    fn local_function(&mut self) {
        let name = self.fresh("g");
        self.function_named(&name, false);
    }
    fn function_named(&mut self, name: &str, may_recurse: bool) {
        let function = Function {
            name: name.into(),
            required: self.pick(4),
            defaults: self.pick(3),
            has_rest: self.chance(4),
            result: self.any_type(),
        };
        let mut parameters: Vec<String> = (0..function.required).map(|i| format!("r{i}")).collect();
        for i in 0..function.defaults {
            let value = self.elsewhere(|w| w.scoped(|w| w.expression(Type::Any)));
            parameters.push(format!("d{i} = {value}"));
        }
        if function.has_rest {
            parameters.push("..rest".into());
        }
        let head = format!("fn {name}({})", parameters.join(", "));
        if may_recurse && self.chance(3) {
            self.functions.push(function.clone());
        }
        let is_known = self.functions.last().is_some_and(|f| f.name == name);
        self.elsewhere(|w| {
            w.block(&head, |w| {
                for i in 0..function.required {
                    w.declare(&format!("r{i}"), Type::Any, false);
                }
                for i in 0..function.defaults {
                    w.declare(&format!("d{i}"), Type::Any, false);
                }
                if function.has_rest {
                    w.declare("rest", Type::List, false);
                }
                w.body(4);
                let value = w.expression(function.result);
                w.line(&value);
            });
        });
        if !is_known {
            self.functions.push(function);
        }
    }

    fn generator(&mut self) {
        let name = self.fresh("gen_");
        let place = Place {
            in_function: true,
            in_generator: true,
            in_loop: false,
        };
        let outer = std::mem::replace(&mut self.place, place);
        self.block(&format!("gen fn {name}(r0)"), |w| {
            w.declare("r0", Type::Any, false);
            if w.chance(3) {
                w.line("defer { print(\"left\", r0) }");
            }
            for _ in 0..1 + w.pick(3) {
                let value = w.expression(Type::Any);
                w.line(&format!("yield {value}"));
                w.statement();
            }
        });
        self.place = outer;
        self.functions.push(Function {
            name,
            required: 1,
            defaults: 0,
            has_rest: false,
            result: Type::Iter,
        });
    }
}
