//! The listing of a module: readable bytecode beside the source lines that it came from.
//!
//! Works on anything, verified or not: what is out of range is printed as a number.

use std::fmt::Write as _;

use super::{CaptureSource, Const, ModuleCode, Op, Operand, ProtoCode, TypeShape, Word, start};

/// Lists a whole module.
pub fn listing(module: &ModuleCode) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = write_module(&mut out, module);
    out
}

fn write_module(out: &mut String, module: &ModuleCode) -> std::fmt::Result {
    writeln!(out, "module {}", module.name)?;
    for (index, import) in module.imports.iter().enumerate() {
        writeln!(out, "  import {index}: {import:?}")?;
    }
    for (index, global) in module.globals.iter().enumerate() {
        let public = if global.is_pub { " pub" } else { "" };
        let constant = if global.is_const { " const" } else { "" };
        write!(
            out,
            "  global {index}: {}{public}{constant}",
            symbol(module, global.name)
        )?;
        match &global.initial {
            Some(initial) => writeln!(out, " = {}", constant_text(module, initial))?,
            None => writeln!(out)?,
        }
    }
    for (index, var) in module.vars.iter().enumerate() {
        let public = if var.is_pub { " pub" } else { "" };
        write!(out, "  var {index}: {}{public}", symbol(module, var.name))?;
        match var.initialiser {
            Some(proto) => writeln!(out, " = {}()", proto_name(module, proto))?,
            None => writeln!(out)?,
        }
    }
    for index in 0..module.types.len() {
        write_type(out, module, index)?;
    }
    for (name, proto) in &module.tests {
        writeln!(out, "  test {name:?}: {}", proto_name(module, *proto))?;
    }
    let lines = Lines::new(&module.source);
    for (index, proto) in module.protos.iter().enumerate() {
        write_proto(out, module, index, proto, &lines)?;
    }
    Ok(())
}

fn write_type(out: &mut String, module: &ModuleCode, index: usize) -> std::fmt::Result {
    let ty = &module.types[index];
    let shape = match ty.shape {
        TypeShape::Struct => "struct",
        TypeShape::Enum => "enum",
        TypeShape::Variant => "variant",
        TypeShape::Trait => "trait",
    };
    write!(
        out,
        "  type {index}: {shape} {}",
        type_name(module, index as u32)
    )?;
    for base in &ty.bases {
        write!(out, " : {}", constant_text(module, base))?;
    }
    let fields: Vec<String> = ty
        .fields
        .iter()
        .map(|&(name, is_var)| {
            format!(
                "{}{}",
                if is_var { "var " } else { "" },
                symbol(module, name)
            )
        })
        .collect();
    if !fields.is_empty() {
        write!(out, " ({})", fields.join(", "))?;
    }
    if ty.is_local {
        write!(out, " local")?;
    }
    for &(name, proto, has_self) in &ty.methods {
        let dot = if has_self { "self." } else { "" };
        write!(out, " {dot}{}=#{proto}", symbol(module, name))?;
    }
    for &name in &ty.required {
        write!(out, " {}=?", symbol(module, name))?;
    }
    if let Some(proto) = ty.constructor {
        write!(out, " new=#{proto}")?;
    }
    if let Some(parts) = &ty.as_error {
        write!(out, " error=(")?;
        for (position, &(name, default)) in parts.fields.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(out, "{comma}{}", symbol(module, name))?;
            if let Some(proto) = default {
                write!(out, "=#{proto}")?;
            }
        }
        write!(out, ")")?;
    }
    writeln!(out)
}

fn write_proto(
    out: &mut String,
    module: &ModuleCode,
    index: usize,
    proto: &ProtoCode,
    lines: &Lines,
) -> std::fmt::Result {
    let params: Vec<&str> = proto.params.iter().map(|name| &**name).collect();
    let rest = if proto.has_rest { ", .." } else { "" };
    let generator = if proto.is_generator { " generator" } else { "" };
    writeln!(
        out,
        "\n#{index} {}({}{rest}) required {} registers {}{generator}",
        proto.name,
        params.join(", "),
        proto.required,
        proto.registers
    )?;
    for (index, capture) in proto.captures.iter().enumerate() {
        match capture {
            CaptureSource::Register(register) => {
                writeln!(out, "  capture {index}: r{register} outside")?
            }
            CaptureSource::Capture(capture) => {
                writeln!(out, "  capture {index}: capture {capture} outside")?
            }
        }
    }
    let mut spans = proto.spans.iter().peekable();
    let mut shown_line = 0;
    let mut at = 0;
    while at < proto.code.len() {
        let mut place = None;
        while let Some((_, span)) = spans.next_if(|(first, _)| *first as usize <= at) {
            place = Some(span);
        }
        if let Some(span) = place {
            let line = lines.number(span.start as usize);
            if line != shown_line {
                shown_line = line;
                writeln!(out, "{:>5} | {}", line, lines.text(line).trim())?;
            }
        }
        let word = Word(proto.code[at]);
        match word.op() {
            Some(op) => {
                writeln!(
                    out,
                    "  {at:>4}  {}",
                    instruction(module, proto, at, op, word)
                )?;
                at += 1 + op.cache_words();
            }
            None => {
                writeln!(out, "  {at:>4}  .word {:#018x}", word.0)?;
                at += 1;
            }
        }
    }
    for handler in &proto.handlers {
        let kind = if handler.is_cleanup {
            "cleanup"
        } else {
            "catch"
        };
        writeln!(
            out,
            "  {kind} {}..{} -> {} in r{}",
            handler.start, handler.end, handler.target, handler.reg
        )?;
    }
    Ok(())
}

/// One instruction in words: name and operands, the target of a jump, the text of a constant.
fn instruction(module: &ModuleCode, proto: &ProtoCode, at: usize, op: Op, word: Word) -> String {
    let mut text = format!("{:<12}", op.name());
    let [a, b, c, imm] = op.operands();
    for (operand, value) in [(a, word.a()), (b, word.b()), (c, word.c())] {
        // Writing into a string cannot fail.
        let _ = match operand {
            Operand::None | Operand::Pair => Ok(()),
            Operand::Dst
            | Operand::Src
            | Operand::Upd
            | Operand::Window
            | Operand::Run
            | Operand::Loop3
            | Operand::Loop2
            | Operand::Dst2 => write!(text, " r{value}"),
            Operand::Int16 => write!(text, " {}", word.pair() as i16),
            Operand::Const16 => {
                write!(
                    text,
                    " {}",
                    const_at(module, proto, usize::from(word.pair()))
                )
            }
            _ => write!(text, " {value}"),
        };
    }
    let number = word.imm();
    let _ = match imm {
        Operand::None => Ok(()),
        Operand::Const => write!(text, " {}", const_at(module, proto, number as usize)),
        Operand::Global => write!(text, " {}", global_name(module, number)),
        Operand::Var => write!(text, " {}", var_name(module, number)),
        Operand::Sym => write!(text, " .{}", symbol(module, number as u32)),
        Operand::Jump => write!(text, " -> {}", at as i64 + 1 + i64::from(number)),
        _ if op == Op::Spawn => {
            let kind = match number as u32 & 3 {
                start::SPAWN => "spawn",
                start::THREAD => "thread",
                _ => "?",
            };
            let name = word.a() + 2 + word.c();
            write!(text, " {kind} name in r{name}").map(|()| copied(&mut text, number as u32 >> 2))
        }
        _ => write!(text, " {number}"),
    };
    if op == Op::InvokeCopy {
        copied(
            &mut text,
            proto.code.get(at + 1).copied().unwrap_or(0) as u32,
        );
    }
    text
}

/// The arguments, counted from 0, that a call copies for the receiver.
fn copied(text: &mut String, mask: u32) {
    let indices: Vec<String> = (0..u32::BITS)
        .filter(|bit| mask >> bit & 1 == 1)
        .map(|bit| bit.to_string())
        .collect();
    if !indices.is_empty() {
        text.push_str(" copies ");
        text.push_str(&indices.join(", "));
    }
}

fn symbol(module: &ModuleCode, index: u32) -> String {
    match module.symbols.get(index as usize) {
        Some(name) => name.to_string(),
        None => format!("S[{index}]"),
    }
}

fn global_name(module: &ModuleCode, index: i32) -> String {
    match module.globals.get(index as usize) {
        Some(global) => symbol(module, global.name),
        None => format!("G[{index}]"),
    }
}

fn var_name(module: &ModuleCode, index: i32) -> String {
    match module.vars.get(index as usize) {
        Some(var) => symbol(module, var.name),
        None => format!("V[{index}]"),
    }
}

fn proto_name(module: &ModuleCode, index: u32) -> String {
    match module.protos.get(index as usize) {
        Some(proto) => format!("#{index} {}", proto.name),
        None => format!("#{index}"),
    }
}

fn type_name(module: &ModuleCode, index: u32) -> String {
    match module.types.get(index as usize) {
        Some(ty) => match ty
            .parent
            .and_then(|parent| module.types.get(parent as usize))
        {
            Some(parent) => format!(
                "{}.{}",
                symbol(module, parent.name),
                symbol(module, ty.name)
            ),
            None => symbol(module, ty.name),
        },
        None => format!("type {index}"),
    }
}

fn const_at(module: &ModuleCode, proto: &ProtoCode, index: usize) -> String {
    match proto.consts.get(index) {
        Some(constant) => constant_text(module, constant),
        None => format!("K[{index}]"),
    }
}

fn constant_text(module: &ModuleCode, constant: &Const) -> String {
    match constant {
        Const::Nil => "nil".into(),
        Const::Bool(value) => value.to_string(),
        Const::Int(value) => value.to_string(),
        Const::BigInt(digits) => digits.to_string(),
        Const::Float(value) => format!("{value:?}"),
        Const::Duration(nanos) => format!("{nanos}ns"),
        Const::Str(text) => format!("{text:?}"),
        Const::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Const::Range {
            start,
            end,
            inclusive,
        } => {
            format!("{start}..{}{end}", if *inclusive { "=" } else { "" })
        }
        Const::Fn(proto) => format!("fn {}", proto_name(module, *proto)),
        Const::Proto(proto) => format!("proto {}", proto_name(module, *proto)),
        Const::Type(index) => format!("type {}", type_name(module, *index)),
        Const::Import {
            module: import,
            name,
        } => format!("import {import}.{name}"),
        Const::Module(import) => format!("module {import}"),
        Const::Prelude(name) => format!("prelude {name}"),
        Const::Names(names) => {
            let names: Vec<String> = names.iter().map(|&name| symbol(module, name)).collect();
            format!("({})", names.join(", "))
        }
    }
}

/// The source by lines, counted from 1.
struct Lines<'s> {
    text: &'s str,
    starts: Vec<usize>,
}

impl<'s> Lines<'s> {
    fn new(text: &'s str) -> Lines<'s> {
        let ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(at, _)| at + 1))
            .collect();
        Lines { text, starts }
    }
    fn number(&self, offset: usize) -> usize {
        self.starts.partition_point(|&start| start <= offset)
    }
    fn text(&self, number: usize) -> &'s str {
        let Some(&start) = self.starts.get(number.wrapping_sub(1)) else {
            return "";
        };
        self.text
            .get(start..)
            .and_then(|rest| rest.lines().next())
            .unwrap_or("")
    }
}
