//! Code generation: from the tree and the tables of name resolution to bytecode.
//!
//! `function` holds the code of one function while it grows, `declare` makes functions and types, `stmt`, `expr`, `call`,
//! `condition`, `control` and `pattern` each compile their part of the tree. Every expression is told where its value goes
//! (`Dest`), so that values are made in place and not moved; variables in registers are operands where they are.

mod call;
mod condition;
mod control;
mod coverage;
mod declare;
mod expr;
mod function;
mod hoist;
mod pattern;
mod stmt;
mod tasks;
mod variable;

use crate::ids::IdMap;
use std::collections::HashMap;

use crate::ast::{Ast, FnId, Name, Span};
use crate::compile::{Options, Role};
use crate::diagnostics::Diagnostic;
use crate::resolve::{BindingId, BindingKind, MODULE_BODY, Resolution};
use function::{Function, Place};
use heddle_bytecode::{CodeSpan, Const, GlobalDef, ModuleCode, Op, ProtoCode, VarDef};

/// How many top-level names may live in registers of the module's body; the rest become globals.
const ROOT_REGISTERS: usize = 120;

pub(crate) struct Generator<'a> {
    ast: &'a Ast,
    res: &'a Resolution,
    options: &'a Options<'a>,
    module: ModuleCode,
    symbols: HashMap<Box<str>, u32>,
    /// `None`: named, not yet made.
    protos: Vec<Option<ProtoCode>>,
    fn_protos: IdMap<FnId, u32>,
    /// Top-level names that are globals or variables of the module.
    root_places: IdMap<BindingId, Place>,
    /// The function being made; the functions around it wait in `outer`.
    f: Function,
    outer: Vec<Function>,
    /// Where the nil of a `?.` chain goes: the chain being compiled.
    nil_exits: Option<Vec<usize>>,
    places_in_tree: hoist::Places,
    diagnostics: Vec<Diagnostic>,
    /// Where lines begin; `None` where they are not counted.
    lines: Option<coverage::Lines>,
}

/// Makes the module's code. The tree must be free of errors.
pub(crate) fn generate(
    ast: &Ast,
    res: &Resolution,
    options: &Options,
    source: &str,
) -> (ModuleCode, Vec<Diagnostic>) {
    let mut generator = Generator {
        ast,
        res,
        options,
        module: ModuleCode {
            name: options.name.clone(),
            path: options.path.clone(),
            source: source.into(),
            imports: res.imports.clone(),
            ..ModuleCode::default()
        },
        symbols: HashMap::new(),
        protos: vec![None],
        fn_protos: IdMap::default(),
        root_places: IdMap::default(),
        f: Function::new(0, MODULE_BODY, false),
        outer: Vec::new(),
        nil_exits: None,
        places_in_tree: hoist::Places::new(ast, res),
        diagnostics: Vec::new(),
        lines: options.counts_lines.then(|| coverage::Lines::of(source)),
    };
    generator.place_root_names();
    generator.prepare_types();
    generator.module_body();
    generator.finish()
}

fn code_span(span: Span) -> CodeSpan {
    CodeSpan {
        start: span.start,
        end: span.end,
    }
}

impl Generator<'_> {
    fn symbol(&mut self, text: &str) -> u32 {
        if let Some(&index) = self.symbols.get(text) {
            return index;
        }
        let index = self.module.symbols.len() as u32;
        self.module.symbols.push(text.into());
        self.symbols.insert(text.into(), index);
        index
    }

    fn symbol_of(&mut self, name: Name) -> u32 {
        let ast = self.ast;
        self.symbol(ast.name(name))
    }

    /// Decides which top-level names are globals and variables of the module; the rest are registers of its body.
    fn place_root_names(&mut self) {
        let is_repl = self.options.repl_scope.is_some();
        let mut in_registers = 0;
        for index in 0..self.res.bindings.len() {
            let binding = &self.res.bindings[index];
            if !binding.is_root {
                continue;
            }
            let is_fn = matches!(binding.kind, BindingKind::Fn(_));
            let is_pub = binding.is_pub || is_repl || is_fn && self.options.role == Role::Prelude;
            let id = BindingId(index as u32);
            let name = binding.name;
            match binding.kind {
                BindingKind::Module(_) | BindingKind::Import { .. } => {}
                BindingKind::Fn(function) => {
                    if is_pub {
                        let initial = Some(Const::Fn(self.proto_of(function)));
                        self.add_global(name, true, false, initial);
                    }
                }
                BindingKind::Type(index) => {
                    if is_pub {
                        self.add_global(name, true, false, Some(Const::Type(index)));
                    }
                }
                BindingKind::Var | BindingKind::LocalVar => {
                    let is_shared =
                        is_pub || binding.is_captured || binding.kind == BindingKind::LocalVar;
                    if is_shared || in_registers >= ROOT_REGISTERS {
                        let name = self.symbol_of(name);
                        let var = self.module.vars.len() as u32;
                        self.module.vars.push(VarDef {
                            name,
                            is_pub,
                            initialiser: None,
                        });
                        self.root_places.insert(id, Place::Var(var));
                    } else {
                        in_registers += 1;
                    }
                }
                _ => {
                    let is_const = binding.kind == BindingKind::Const;
                    // Setting a global is what freezes a constant.
                    let is_frozen = is_const && binding.literal.is_none();
                    if is_pub || is_frozen || binding.is_captured || in_registers >= ROOT_REGISTERS
                    {
                        let global = self.add_global(name, is_pub, is_const, None);
                        self.root_places.insert(id, Place::Global(global));
                    } else {
                        in_registers += 1;
                    }
                }
            }
        }
    }

    fn add_global(
        &mut self,
        name: Name,
        is_pub: bool,
        is_const: bool,
        initial: Option<Const>,
    ) -> u32 {
        let name = self.symbol_of(name);
        self.module.globals.push(GlobalDef {
            name,
            is_pub,
            is_const,
            initial,
        });
        self.module.globals.len() as u32 - 1
    }

    /// The prototype of a function, which may be made later.
    fn proto_of(&mut self, function: FnId) -> u32 {
        if let Some(&proto) = self.fn_protos.get(&function) {
            return proto;
        }
        let proto = self.new_proto();
        self.fn_protos.insert(function, proto);
        proto
    }

    fn new_proto(&mut self) -> u32 {
        self.protos.push(None);
        self.protos.len() as u32 - 1
    }

    fn enter(&mut self, function: Function) {
        self.outer.push(std::mem::replace(&mut self.f, function));
    }

    /// Finishes the function being made and goes back to the one around it.
    fn leave(&mut self, name: String, span: Span) -> u32 {
        let around = self.outer.pop().expect("every function is within another");
        let function = std::mem::replace(&mut self.f, around);
        self.store(function, name, span)
    }

    fn store(&mut self, function: Function, name: String, span: Span) -> u32 {
        if function.has_overflown {
            self.diagnostics.push(
                Diagnostic::error("E0211", format!("`{name}` is too large"), span)
                    .label("more variables and temporary values than a function can hold (248)")
                    .help("split it into several functions"),
            );
        }
        if function.has_too_many_constants {
            self.diagnostics.push(
                Diagnostic::error("E0211", format!("`{name}` is too large"), span)
                    .label("more types and ranges to match among its constants than a function can name")
                    .help("split it into several functions"),
            );
        }
        let proto = function.proto;
        let mut code = function.finish();
        code.name = match self.options.role {
            // `list__map` is a method.
            Role::Prelude if !name.starts_with("__") => name.replacen("__", ".", 1),
            _ => name,
        };
        code.span = code_span(span);
        code.is_internal = self.options.role != Role::Program;
        self.protos[proto as usize] = Some(code);
        proto
    }

    fn finish(mut self) -> (ModuleCode, Vec<Diagnostic>) {
        // Functions that stand where nothing is generated, but that something names.
        while let Some((&function, _)) = self
            .fn_protos
            .iter()
            .find(|&(_, &proto)| self.protos[proto as usize].is_none())
        {
            self.make_function(function, None);
        }
        self.module.protos = self
            .protos
            .into_iter()
            .map(|proto| proto.expect("every prototype is made by the end"))
            .collect();
        (self.module, self.diagnostics)
    }

    // Shorthands for the function being made.

    fn emit(&mut self, span: Span, op: Op, a: u8, b: u8, c: u8, imm: i32) -> usize {
        self.f.emit(span, op, a, b, c, imm)
    }

    fn load_const(&mut self, span: Span, dst: u8, constant: Const) {
        let index = self.f.constant(constant);
        self.emit(span, Op::LoadK, dst, 0, 0, index);
    }

    fn move_to(&mut self, span: Span, dst: u8, src: u8) {
        if dst != src {
            self.emit(span, Op::Move, dst, src, 0, 0);
        }
    }
}
