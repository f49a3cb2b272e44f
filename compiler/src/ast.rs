//! The syntax tree: what the parser hands to name resolution and code generation.
//!
//! Nodes live in arenas and name each other by id, so a deep tree is dropped and copied without
//! recursion. The parser caps the nesting of brackets (`MAX_NESTING`) and the depth of the tree (`MAX_DEPTH`,
//! which long chains such as `1 + 1 + …`, `a.b.c…` and `else if` count against too), so walking a tree may
//! recurse if each level goes through `stack::with_stack`.
//!
//! Every node carries its byte span in the source file.

use std::ops::Range;

/// How many brackets of all kinds may be open at once before the parser refuses the file.
pub const MAX_NESTING: usize = 500;

/// The most nodes (expressions, patterns, statements, functions) on any way from the root to a leaf. Large enough for
/// a generated sum of a thousand terms or a chain of two thousand `else if`.
pub const MAX_DEPTH: usize = 3000;

/// A byte range of the source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $id:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $id(pub u32);
    )*};
}

ids! {
    /// An interned identifier (`Ast::names`).
    Name,
    ExprId,
    PatId,
    StmtId,
    /// A function, closure, block of `spawn`, … (`Ast::fns`).
    FnId,
}

/// An identifier together with the place where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ident {
    pub name: Name,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

/// `{ … }`: statements, of which the last one, if it is an expression statement, is the value.
/// (`;` never changes a block's value.)
#[derive(Clone, Debug, Default)]
pub struct Block {
    pub stmts: Vec<StmtId>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Neg,
    BitNot,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    /// Short-circuit; the value is one of the operands.
    And,
    Or,
    /// `a ?? b`
    Coalesce,
}

#[derive(Clone, Debug)]
pub struct Arg {
    /// `name:` in front of the value.
    pub name: Option<Ident>,
    pub value: ExprId,
}

#[derive(Clone, Debug)]
pub enum MapKey {
    /// `name:` or `"text":` without interpolation: a string key.
    Str(Box<str>),
    /// Any other literal (`3:`, `2.5:`, `(1, 2):` …), an interpolated string, or `[expr]:`.
    Computed(ExprId),
}

#[derive(Clone, Debug)]
pub enum InterpPart {
    Text(Box<str>),
    /// `{value:spec}`; the spec is the text behind the colon, checked by the parser for form, or empty.
    Value {
        value: ExprId,
        spec: Box<str>,
    },
}

#[derive(Clone, Debug)]
pub struct MatchArm {
    pub pat: PatId,
    pub guard: Option<ExprId>,
    pub body: ExprId,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct CatchArm {
    /// `catch e`; `catch { … }` binds nothing.
    pub binding: Option<Ident>,
    /// `if cond`
    pub guard: Option<ExprId>,
    pub body: Block,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum SelectArm {
    /// `pat = object.method(args) => body`, or without `pat =`. `op` is the call expression.
    Op {
        pat: Option<PatId>,
        op: ExprId,
        body: ExprId,
        span: Span,
    },
    /// `after duration => body`
    After {
        delay: ExprId,
        body: ExprId,
        span: Span,
    },
    /// `else => body`
    Else { body: ExprId, span: Span },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnKind {
    Spawn,
    Thread,
    Threadlet,
}

/// What is started by `spawn`, `thread`, `threadlet` or run by `defer`.
#[derive(Clone, Debug)]
pub enum Started {
    /// One call, whose callee, receiver and arguments the caller evaluates at once. An `ExprKind::Call`.
    Call(ExprId),
    /// `{ … }`: a function without parameters.
    Block(FnId),
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    Nil,
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// A larger one: its decimal digits.
    BigInt(Box<str>),
    Float(f64),
    /// In nanoseconds.
    Duration(i64),
    Str(Box<str>),
    Bytes(Box<[u8]>),
    Interp(Vec<InterpPart>),
    Name(Name),
    List(Vec<ExprId>),
    Tuple(Vec<ExprId>),
    Map(Vec<(MapKey, ExprId)>),
    /// `a..b`, `a..=b`; either end may be missing only as an index (`xs[a..]`, `xs[..]`).
    Range {
        start: Option<ExprId>,
        end: Option<ExprId>,
        inclusive: bool,
    },
    Unary {
        op: UnaryOp,
        operand: ExprId,
    },
    Binary {
        op: BinaryOp,
        left: ExprId,
        right: ExprId,
        op_span: Span,
    },
    /// `x is path`, `x is not path`; the path is a `Name`, `Field` chain or `Nil`.
    Is {
        value: ExprId,
        ty: ExprId,
        negated: bool,
    },
    Call {
        callee: ExprId,
        args: Vec<Arg>,
    },
    Index {
        object: ExprId,
        index: ExprId,
    },
    /// `x.name`, `x?.name`. The `?.` of a chain skips the rest of that chain when the left side is nil.
    Field {
        object: ExprId,
        name: Ident,
        safe: bool,
    },
    /// `|x| …` or `fn(x) { … }`
    Closure(FnId),
    If {
        cond: ExprId,
        then: Block,
        otherwise: Option<ExprId>,
    },
    Match {
        subject: ExprId,
        arms: Vec<MatchArm>,
    },
    /// `do { … }` and the block bodies of arms and `else`.
    Block(Block),
    Loop(Block),
    Try {
        body: Block,
        catches: Vec<CatchArm>,
    },
    Scope {
        options: Vec<Arg>,
        body: Block,
    },
    Select(Vec<SelectArm>),
    Spawn {
        kind: SpawnKind,
        options: Vec<Arg>,
        what: Started,
    },
    /// Expressions without a value.
    Return(Option<ExprId>),
    Break(Option<ExprId>),
    Continue,
    Throw(ExprId),
    Yield(Option<ExprId>),
    /// What recovery put where text could not be parsed; a diagnostic exists.
    Error,
}

#[derive(Clone, Debug)]
pub struct Pat {
    pub kind: PatKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum PatKind {
    /// `_`
    Wildcard,
    Bind(Name),
    /// A literal (number, string, nil, bool, duration, bytes, negative number): compared by `==`.
    Literal(ExprId),
    /// `1..10`, `1..=10`; the ends are literals.
    Range {
        start: ExprId,
        end: ExprId,
        inclusive: bool,
    },
    /// A dotted path without arguments (`Shape.Empty`, `config.LIMIT`): a `Field` chain, compared by `==`.
    Path(ExprId),
    Tuple(ListPat),
    List(ListPat),
    /// `{key: pat, name, "other key": pat}`: a map with at least these keys.
    Map(Vec<(Box<str>, PatId)>),
    /// `Point(x: 0, y)`, `Shape.Circle(r)`, `Shape.Rect(w, ..)`
    Struct {
        path: ExprId,
        parts: Vec<(Option<Ident>, PatId)>,
        has_rest: bool,
    },
    Or(Vec<PatId>),
    Error,
}

/// `a, b, ..rest, z`
#[derive(Clone, Debug, Default)]
pub struct ListPat {
    pub before: Vec<PatId>,
    pub rest: Option<RestPat>,
    pub after: Vec<PatId>,
}

#[derive(Clone, Copy, Debug)]
pub struct RestPat {
    /// `..rest` binds, `..` does not.
    pub name: Option<Ident>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Stmt {
    pub kind: StmtKind,
    pub span: Span,
    /// The `##` lines directly above, joined by newlines.
    pub doc: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindKind {
    Let,
    Var,
    Const,
    /// `local var`
    LocalVar,
}

#[derive(Clone, Debug)]
pub enum StmtKind {
    Expr(ExprId),
    Bind {
        kind: BindKind,
        is_pub: bool,
        pat: PatId,
        value: ExprId,
    },
    /// `target = value`, `target += value`. The target is a name, field, index, or a tuple/list of such
    /// (`(a, b) = (b, a)`: an `ExprKind::Tuple`).
    Assign {
        target: ExprId,
        op: Option<BinaryOp>,
        value: ExprId,
        op_span: Span,
    },
    While {
        cond: ExprId,
        body: Block,
    },
    /// `for pat in iter`, `for k, v in iter` (`value_pat`: pairs).
    For {
        pat: PatId,
        value_pat: Option<PatId>,
        iter: ExprId,
        body: Block,
    },
    Fn {
        is_pub: bool,
        func: FnId,
    },
    Struct(Box<StructDecl>),
    Enum(Box<EnumDecl>),
    Trait(Box<TraitDecl>),
    /// `import fs, os`, `import "./util.hd" as u`
    Import(Vec<ImportItem>),
    /// `from "./util.hd" import a, b as c`
    From {
        path: ImportPath,
        names: Vec<(Ident, Option<Ident>)>,
    },
    Defer(Started),
    Assert {
        cond: ExprId,
        message: Option<ExprId>,
    },
    Test {
        name: Box<str>,
        body: FnId,
    },
    Error,
}

#[derive(Clone, Debug)]
pub struct ImportItem {
    pub path: ImportPath,
    pub alias: Option<Ident>,
}

#[derive(Clone, Debug)]
pub enum ImportPath {
    /// A standard module: `fs`.
    Std(Ident),
    /// A file, as written: `"./util.hd"`.
    File(Box<str>, Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FnKind {
    /// `fn name(…) { … }` or `fn(…) { … }`
    Fn,
    /// `|x| …`
    Closure,
    /// The body of `spawn`, `thread`, `threadlet`.
    SpawnBlock,
    DeferBlock,
    /// A `test` block's body.
    Test,
}

#[derive(Clone, Debug)]
pub struct Param {
    pub pat: PatId,
    pub default: Option<ExprId>,
}

#[derive(Clone, Debug)]
pub struct Func {
    pub kind: FnKind,
    pub is_gen: bool,
    /// `nil` for anonymous ones. Operator methods are named by their symbol (`+`, `[]`, `[]=`, `neg`, `call` …).
    pub name: Option<Ident>,
    /// Methods list `self` as their first parameter, an ordinary `Bind` pattern.
    pub params: Vec<Param>,
    pub rest: Option<Ident>,
    pub body: FnBody,
    pub span: Span,
    pub doc: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub enum FnBody {
    Block(Block),
    Expr(ExprId),
    /// A trait's required method.
    Missing,
}

#[derive(Clone, Debug)]
pub struct FieldDecl {
    pub name: Ident,
    pub is_var: bool,
    pub default: Option<ExprId>,
}

#[derive(Clone, Debug)]
pub struct StructDecl {
    pub is_pub: bool,
    pub name: Ident,
    /// Traits, or `Error`, or another error kind: paths (`Name` or `Field` chains).
    pub bases: Vec<ExprId>,
    pub fields: Vec<FieldDecl>,
    pub methods: Vec<FnId>,
}

#[derive(Clone, Debug)]
pub struct VariantDecl {
    pub name: Ident,
    pub fields: Vec<FieldDecl>,
    /// `Circle(r)` against `Empty`.
    pub has_parens: bool,
}

#[derive(Clone, Debug)]
pub struct EnumDecl {
    pub is_pub: bool,
    pub name: Ident,
    pub bases: Vec<ExprId>,
    pub variants: Vec<VariantDecl>,
    pub methods: Vec<FnId>,
}

#[derive(Clone, Debug)]
pub struct TraitDecl {
    pub is_pub: bool,
    pub name: Ident,
    pub bases: Vec<ExprId>,
    pub methods: Vec<FnId>,
}

/// Identifiers of one file.
#[derive(Clone, Debug, Default)]
pub struct Names {
    texts: Vec<Box<str>>,
    ids: std::collections::HashMap<Box<str>, Name>,
}

impl Names {
    pub fn intern(&mut self, text: &str) -> Name {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = Name(self.texts.len() as u32);
        self.texts.push(text.into());
        self.ids.insert(text.into(), id);
        id
    }
    pub fn text(&self, name: Name) -> &str {
        &self.texts[name.0 as usize]
    }
    /// The name for `text`, if it occurs in the file.
    pub fn get(&self, text: &str) -> Option<Name> {
        self.ids.get(text).copied()
    }
}

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    pub names: Names,
    pub exprs: Vec<Expr>,
    pub pats: Vec<Pat>,
    pub stmts: Vec<Stmt>,
    pub fns: Vec<Func>,
    /// The file's statements in order.
    pub root: Block,
    /// The most nodes on a way from the root to a leaf, at most `MAX_DEPTH`.
    pub depth: u32,
}

impl Ast {
    /// Of a file with so many bytes: room for what such a file usually has. Room that is not needed takes no memory; lists that grow leave
    /// the shorter ones behind.
    pub fn for_bytes(bytes: usize) -> Ast {
        let bytes = bytes.min(1024 * 1024);
        Ast {
            exprs: Vec::with_capacity(bytes / 8),
            pats: Vec::with_capacity(bytes / 40),
            stmts: Vec::with_capacity(bytes / 28),
            ..Ast::default()
        }
    }
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }
    pub fn pat(&self, id: PatId) -> &Pat {
        &self.pats[id.0 as usize]
    }
    pub fn stmt(&self, id: StmtId) -> &Stmt {
        &self.stmts[id.0 as usize]
    }
    pub fn func(&self, id: FnId) -> &Func {
        &self.fns[id.0 as usize]
    }
    pub fn name(&self, name: Name) -> &str {
        self.names.text(name)
    }
    pub fn add_expr(&mut self, kind: ExprKind, span: Span) -> ExprId {
        self.exprs.push(Expr { kind, span });
        ExprId(self.exprs.len() as u32 - 1)
    }
    pub fn add_pat(&mut self, kind: PatKind, span: Span) -> PatId {
        self.pats.push(Pat { kind, span });
        PatId(self.pats.len() as u32 - 1)
    }
    pub fn add_stmt(&mut self, kind: StmtKind, span: Span, doc: Option<Box<str>>) -> StmtId {
        self.stmts.push(Stmt { kind, span, doc });
        StmtId(self.stmts.len() as u32 - 1)
    }
    pub fn add_fn(&mut self, func: Func) -> FnId {
        self.fns.push(func);
        FnId(self.fns.len() as u32 - 1)
    }
}
