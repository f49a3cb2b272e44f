//! The syntax tree as compact S-expressions, for tests and for looking at.
//!
//! Recursive, each level with room on the stack.

use crate::ast::*;
use crate::stack::with_stack;
use std::fmt::Write;

/// Writes the whole file, one line for each top-level statement.
pub fn dump(ast: &Ast) -> String {
    let mut dump = Dump {
        ast,
        out: String::new(),
    };
    for (index, &id) in ast.root.stmts.iter().enumerate() {
        if index > 0 {
            dump.out.push('\n');
        }
        dump.stmt(id);
    }
    dump.out
}

struct Dump<'a> {
    ast: &'a Ast,
    out: String,
}

impl Dump<'_> {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn word(&mut self, name: Name) {
        let text = self.ast.name(name);
        self.out.push_str(text);
    }

    fn block(&mut self, block: &Block) {
        self.put("{");
        for (index, &id) in block.stmts.iter().enumerate() {
            if index > 0 {
                self.put("; ");
            }
            self.stmt(id);
        }
        self.put("}");
    }

    fn opt(&mut self, id: Option<ExprId>) {
        if let Some(id) = id {
            self.put(" ");
            self.expr(id);
        }
    }

    fn exprs(&mut self, ids: &[ExprId]) {
        for &id in ids {
            self.put(" ");
            self.expr(id);
        }
    }

    fn args(&mut self, args: &[Arg]) {
        for arg in args {
            self.put(" ");
            if let Some(name) = arg.name {
                self.word(name.name);
                self.put(":");
            }
            self.expr(arg.value);
        }
    }

    fn doc(&mut self, doc: &Option<Box<str>>) {
        if let Some(doc) = doc {
            let _ = write!(self.out, "##{doc:?} ");
        }
    }

    fn func(&mut self, id: FnId) {
        let func = self.ast.func(id);
        self.doc(&func.doc);
        if func.is_gen {
            self.put("gen ");
        }
        self.put(match func.kind {
            FnKind::Fn => "fn",
            FnKind::Closure => "closure",
            FnKind::SpawnBlock | FnKind::DeferBlock | FnKind::Test => {
                if let FnBody::Block(block) = &func.body {
                    self.block(block);
                }
                return;
            }
        });
        if let Some(name) = func.name {
            self.put(" ");
            self.word(name.name);
        }
        self.put("(");
        for (index, param) in func.params.iter().enumerate() {
            if index > 0 {
                self.put(" ");
            }
            self.pat(param.pat);
            if let Some(default) = param.default {
                self.put("=");
                self.expr(default);
            }
        }
        if let Some(rest) = func.rest {
            self.put(" ..");
            self.word(rest.name);
        }
        self.put(")");
        match &func.body {
            FnBody::Block(block) => self.block(block),
            FnBody::Expr(id) => {
                self.put(" ");
                self.expr(*id);
            }
            FnBody::Missing => {}
        }
    }

    fn fields(&mut self, fields: &[FieldDecl]) {
        for field in fields {
            self.put(" ");
            if field.is_var {
                self.put("var:");
            }
            self.word(field.name.name);
            if let Some(default) = field.default {
                self.put("=");
                self.expr(default);
            }
        }
    }

    fn methods(&mut self, methods: &[FnId]) {
        for &id in methods {
            self.put(" (");
            self.func(id);
            self.put(")");
        }
    }

    fn head(&mut self, is_pub: bool, word: &str, name: Ident, bases: &[ExprId]) {
        self.put(if is_pub { "(pub " } else { "(" });
        self.put(word);
        self.put(" ");
        self.word(name.name);
        if !bases.is_empty() {
            self.put(" :");
            self.exprs(bases);
        }
    }

    fn path(&mut self, path: &ImportPath) {
        match path {
            ImportPath::Std(name) => self.word(name.name),
            ImportPath::File(text, _) => {
                let _ = write!(self.out, "{text:?}");
            }
        }
    }

    fn started(&mut self, what: &Started) {
        self.put(" ");
        match what {
            Started::Call(id) => self.expr(*id),
            Started::Block(id) => self.func(*id),
        }
    }

    fn stmt(&mut self, id: StmtId) {
        with_stack(|| self.stmt_inner(id));
    }

    fn stmt_inner(&mut self, id: StmtId) {
        let stmt = self.ast.stmt(id);
        if !matches!(stmt.kind, StmtKind::Fn { .. }) {
            self.doc(&stmt.doc);
        }
        match &stmt.kind {
            StmtKind::Expr(id) => self.expr(*id),
            StmtKind::Bind {
                kind,
                is_pub,
                pat,
                value,
            } => {
                self.put(if *is_pub { "(pub " } else { "(" });
                self.put(match kind {
                    BindKind::Let => "let ",
                    BindKind::Var => "var ",
                    BindKind::Const => "const ",
                    BindKind::LocalVar => "local ",
                });
                self.pat(*pat);
                self.put(" ");
                self.expr(*value);
                self.put(")");
            }
            StmtKind::Assign {
                target, op, value, ..
            } => {
                let _ = write!(self.out, "({}= ", op.map_or("", binary));
                self.expr(*target);
                self.put(" ");
                self.expr(*value);
                self.put(")");
            }
            StmtKind::While { cond, body } => {
                self.put("(while ");
                self.expr(*cond);
                self.put(" ");
                self.block(body);
                self.put(")");
            }
            StmtKind::For {
                pat,
                value_pat,
                iter,
                body,
            } => {
                self.put("(for ");
                self.pat(*pat);
                if let Some(pat) = value_pat {
                    self.put(", ");
                    self.pat(*pat);
                }
                self.put(" in ");
                self.expr(*iter);
                self.put(" ");
                self.block(body);
                self.put(")");
            }
            StmtKind::Fn { is_pub, func } => {
                self.put(if *is_pub { "(pub " } else { "(" });
                self.func(*func);
                self.put(")");
            }
            StmtKind::Struct(decl) => {
                self.head(decl.is_pub, "struct", decl.name, &decl.bases);
                self.fields(&decl.fields);
                self.methods(&decl.methods);
                self.put(")");
            }
            StmtKind::Enum(decl) => {
                self.head(decl.is_pub, "enum", decl.name, &decl.bases);
                for variant in &decl.variants {
                    self.put(" ");
                    self.word(variant.name.name);
                    if variant.has_parens {
                        self.put("(");
                        self.fields(&variant.fields);
                        self.put(" )");
                    }
                }
                self.methods(&decl.methods);
                self.put(")");
            }
            StmtKind::Trait(decl) => {
                self.head(decl.is_pub, "trait", decl.name, &decl.bases);
                self.methods(&decl.methods);
                self.put(")");
            }
            StmtKind::Import(items) => {
                self.put("(import");
                for item in items {
                    self.put(" ");
                    self.path(&item.path);
                    if let Some(alias) = item.alias {
                        self.put(" as ");
                        self.word(alias.name);
                    }
                }
                self.put(")");
            }
            StmtKind::From { path, names } => {
                self.put("(from ");
                self.path(path);
                for (name, alias) in names {
                    self.put(" ");
                    self.word(name.name);
                    if let Some(alias) = alias {
                        self.put(" as ");
                        self.word(alias.name);
                    }
                }
                self.put(")");
            }
            StmtKind::Defer(what) => {
                self.put("(defer");
                self.started(what);
                self.put(")");
            }
            StmtKind::Assert { cond, message } => {
                self.put("(assert ");
                self.expr(*cond);
                self.opt(*message);
                self.put(")");
            }
            StmtKind::Test { name, body } => {
                let _ = write!(self.out, "(test {name:?} ");
                self.func(*body);
                self.put(")");
            }
            StmtKind::Error => self.put("<error>"),
        }
    }

    fn list_pat(&mut self, list: &ListPat) {
        let mut first = true;
        for &id in &list.before {
            if !std::mem::take(&mut first) {
                self.put(" ");
            }
            self.pat(id);
        }
        if let Some(rest) = list.rest {
            if !std::mem::take(&mut first) {
                self.put(" ");
            }
            self.put("..");
            if let Some(name) = rest.name {
                self.word(name.name);
            }
        }
        for &id in &list.after {
            self.put(" ");
            self.pat(id);
        }
    }

    fn pat(&mut self, id: PatId) {
        with_stack(|| self.pat_inner(id));
    }

    fn pat_inner(&mut self, id: PatId) {
        match &self.ast.pat(id).kind {
            PatKind::Wildcard => self.put("_"),
            PatKind::Bind(name) => self.word(*name),
            PatKind::Literal(id) => self.expr(*id),
            PatKind::Path(id) => self.expr(*id),
            PatKind::Range {
                start,
                end,
                inclusive,
            } => {
                self.expr(*start);
                self.put(if *inclusive { "..=" } else { ".." });
                self.expr(*end);
            }
            PatKind::Tuple(list) => {
                self.put("(,");
                self.list_pat(list);
                self.put(")");
            }
            PatKind::List(list) => {
                self.put("[");
                self.list_pat(list);
                self.put("]");
            }
            PatKind::Map(entries) => {
                self.put("{");
                for (index, (key, pat)) in entries.iter().enumerate() {
                    let _ = write!(self.out, "{}{key:?}:", if index > 0 { " " } else { "" });
                    self.pat(*pat);
                }
                self.put("}");
            }
            PatKind::Struct {
                path,
                parts,
                has_rest,
            } => {
                self.expr(*path);
                self.put("(");
                for (index, (name, pat)) in parts.iter().enumerate() {
                    if index > 0 {
                        self.put(" ");
                    }
                    if let Some(name) = name {
                        self.word(name.name);
                        self.put(":");
                    }
                    self.pat(*pat);
                }
                if *has_rest {
                    self.put(" ..");
                }
                self.put(")");
            }
            PatKind::Or(pats) => {
                self.put("(|");
                for &id in pats {
                    self.put(" ");
                    self.pat(id);
                }
                self.put(")");
            }
            PatKind::Error => self.put("<error>"),
        }
    }

    fn arm_body(&mut self, body: ExprId) {
        self.put(" => ");
        self.expr(body);
        self.put(")");
    }

    fn expr(&mut self, id: ExprId) {
        with_stack(|| self.expr_inner(id));
    }

    fn expr_inner(&mut self, id: ExprId) {
        match &self.ast.expr(id).kind {
            ExprKind::Nil => self.put("nil"),
            ExprKind::Bool(value) => self.put(if *value { "true" } else { "false" }),
            ExprKind::Int(value) => {
                let _ = write!(self.out, "{value}");
            }
            ExprKind::BigInt(digits) => {
                let _ = write!(self.out, "{digits}n");
            }
            ExprKind::Float(value) => {
                let _ = write!(self.out, "{value:?}");
            }
            ExprKind::Duration(value) => {
                let _ = write!(self.out, "{value}ns");
            }
            ExprKind::Str(text) => {
                let _ = write!(self.out, "{text:?}");
            }
            ExprKind::Bytes(bytes) => {
                let _ = write!(self.out, "b\"{}\"", bytes.escape_ascii());
            }
            ExprKind::Interp(parts) => {
                self.put("(str");
                for part in parts {
                    self.put(" ");
                    match part {
                        InterpPart::Text(text) => {
                            let _ = write!(self.out, "{text:?}");
                        }
                        InterpPart::Value { value, spec } => {
                            self.put("{");
                            self.expr(*value);
                            if !spec.is_empty() {
                                self.put(":");
                                self.put(spec);
                            }
                            self.put("}");
                        }
                    }
                }
                self.put(")");
            }
            ExprKind::Name(name) => self.word(*name),
            ExprKind::List(items) => {
                self.put("(list");
                self.exprs(items);
                self.put(")");
            }
            ExprKind::Tuple(items) => {
                self.put("(tuple");
                self.exprs(items);
                self.put(")");
            }
            ExprKind::Map(entries) => {
                self.put("(map");
                for (key, value) in entries {
                    self.put(" ");
                    match key {
                        MapKey::Str(text) => {
                            let _ = write!(self.out, "{text:?}");
                        }
                        MapKey::Computed(id) => {
                            self.put("[");
                            self.expr(*id);
                            self.put("]");
                        }
                    }
                    self.put(":");
                    self.expr(*value);
                }
                self.put(")");
            }
            ExprKind::Range {
                start,
                end,
                inclusive,
            } => {
                self.put(if *inclusive { "(..=" } else { "(.." });
                for side in [start, end] {
                    match side {
                        Some(id) => self.opt(Some(*id)),
                        None => self.put(" _"),
                    }
                }
                self.put(")");
            }
            ExprKind::Unary { op, operand } => {
                self.put(match op {
                    UnaryOp::Neg => "(neg ",
                    UnaryOp::BitNot => "(~ ",
                    UnaryOp::Not => "(not ",
                });
                self.expr(*operand);
                self.put(")");
            }
            ExprKind::Binary {
                op, left, right, ..
            } => {
                let _ = write!(self.out, "({} ", binary(*op));
                self.expr(*left);
                self.put(" ");
                self.expr(*right);
                self.put(")");
            }
            ExprKind::Is { value, ty, negated } => {
                self.put(if *negated { "(is-not " } else { "(is " });
                self.expr(*value);
                self.put(" ");
                self.expr(*ty);
                self.put(")");
            }
            ExprKind::Call { callee, args } => {
                self.put("(call ");
                self.expr(*callee);
                self.args(args);
                self.put(")");
            }
            ExprKind::Index { object, index } => {
                self.put("(index ");
                self.expr(*object);
                self.put(" ");
                self.expr(*index);
                self.put(")");
            }
            ExprKind::Field { object, name, safe } => {
                self.expr(*object);
                self.put(if *safe { "?." } else { "." });
                self.word(name.name);
            }
            ExprKind::Closure(id) => {
                self.put("(");
                self.func(*id);
                self.put(")");
            }
            ExprKind::If {
                cond,
                then,
                otherwise,
            } => {
                self.put("(if ");
                self.expr(*cond);
                self.put(" ");
                self.block(then);
                self.opt(*otherwise);
                self.put(")");
            }
            ExprKind::Match { subject, arms } => {
                self.put("(match ");
                self.expr(*subject);
                for arm in arms {
                    self.put(" (");
                    self.pat(arm.pat);
                    if let Some(guard) = arm.guard {
                        self.put(" if ");
                        self.expr(guard);
                    }
                    self.arm_body(arm.body);
                }
                self.put(")");
            }
            ExprKind::Block(block) => self.block(block),
            ExprKind::Loop(block) => {
                self.put("(loop ");
                self.block(block);
                self.put(")");
            }
            ExprKind::Try { body, catches } => {
                self.put("(try ");
                self.block(body);
                for arm in catches {
                    self.put(" (catch");
                    if let Some(binding) = arm.binding {
                        self.put(" ");
                        self.word(binding.name);
                    }
                    if let Some(guard) = arm.guard {
                        self.put(" if ");
                        self.expr(guard);
                    }
                    self.put(" ");
                    self.block(&arm.body);
                    self.put(")");
                }
                self.put(")");
            }
            ExprKind::Scope { options, body } => {
                self.put("(scope");
                self.args(options);
                self.put(" ");
                self.block(body);
                self.put(")");
            }
            ExprKind::Select(arms) => {
                self.put("(select");
                for arm in arms {
                    self.put(" (");
                    match arm {
                        SelectArm::Op { pat, op, body, .. } => {
                            if let Some(pat) = pat {
                                self.pat(*pat);
                                self.put(" = ");
                            }
                            self.expr(*op);
                            self.arm_body(*body);
                        }
                        SelectArm::After { delay, body, .. } => {
                            self.put("after ");
                            self.expr(*delay);
                            self.arm_body(*body);
                        }
                        SelectArm::Else { body, .. } => {
                            self.put("else");
                            self.arm_body(*body);
                        }
                    }
                }
                self.put(")");
            }
            ExprKind::Spawn {
                kind,
                options,
                what,
            } => {
                self.put(match kind {
                    SpawnKind::Spawn => "(spawn",
                    SpawnKind::Thread => "(thread",
                    SpawnKind::Threadlet => "(threadlet",
                });
                self.args(options);
                self.started(what);
                self.put(")");
            }
            ExprKind::Return(value) => self.jump("return", *value),
            ExprKind::Break(value) => self.jump("break", *value),
            ExprKind::Continue => self.jump("continue", None),
            ExprKind::Throw(value) => self.jump("throw", Some(*value)),
            ExprKind::Yield(value) => self.jump("yield", *value),
            ExprKind::Error => self.put("<error>"),
        }
    }

    fn jump(&mut self, word: &str, value: Option<ExprId>) {
        self.put("(");
        self.put(word);
        self.opt(value);
        self.put(")");
    }
}

fn binary(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::FloorDiv => "//",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "**",
        BinaryOp::BitAnd => "&",
        BinaryOp::BitOr => "|",
        BinaryOp::BitXor => "^",
        BinaryOp::Shl => "<<",
        BinaryOp::Shr => ">>",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Lt => "<",
        BinaryOp::Le => "<=",
        BinaryOp::Gt => ">",
        BinaryOp::Ge => ">=",
        BinaryOp::In => "in",
        BinaryOp::NotIn => "not-in",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Coalesce => "??",
    }
}
