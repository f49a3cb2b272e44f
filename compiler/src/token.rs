//! The tokens of the lexer and of the layout pass.

use crate::ast::Span;
use logos::Logos;

/// Operators as the expression chain of the grammar sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Is,
    IsNot,
    In,
    NotIn,
    Coalesce,
    Range,
    RangeInclusive,
    BitOr,
    BitXor,
    BitAnd,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

/// A token. The variants without a logos attribute are made by the string scanner and the layout pass.
#[derive(Logos, Clone, Copy, Debug, PartialEq, Eq)]
#[logos(skip r"[ \t\r\x0C]+")]
pub enum Tok {
    #[token("let")]
    Let,
    #[token("var")]
    Var,
    #[token("const")]
    Const,
    #[token("fn")]
    Fn,
    #[token("gen")]
    Gen,
    #[token("return")]
    Return,
    #[token("if")]
    If,
    #[token("else")]
    Else,
    #[token("while")]
    While,
    #[token("for")]
    For,
    #[token("in")]
    In,
    #[token("loop")]
    Loop,
    #[token("break")]
    Break,
    #[token("continue")]
    Continue,
    #[token("match")]
    Match,
    #[token("struct")]
    Struct,
    #[token("enum")]
    Enum,
    #[token("trait")]
    Trait,
    #[token("import")]
    Import,
    #[token("from")]
    From,
    #[token("as")]
    As,
    #[token("pub")]
    Pub,
    #[token("true")]
    True,
    #[token("false")]
    False,
    #[token("nil")]
    Nil,
    #[token("not")]
    Not,
    #[token("try")]
    Try,
    #[token("catch")]
    Catch,
    #[token("throw")]
    Throw,
    #[token("defer")]
    Defer,
    #[token("spawn")]
    Spawn,
    #[token("thread")]
    Thread,
    #[token("threadlet")]
    Threadlet,
    #[token("scope")]
    Scope,
    #[token("select")]
    Select,
    #[token("after")]
    After,
    #[token("yield")]
    Yield,
    #[token("local")]
    Local,
    #[token("assert")]
    Assert,
    #[token("test")]
    Test,
    #[token("do")]
    Do,

    /// Anything that is not ASCII is let in here and judged afterwards.
    #[regex("[a-zA-Z_\u{80}-\u{10FFFF}][a-zA-Z0-9_\u{80}-\u{10FFFF}]*")]
    Ident,
    /// Every kind of number with any suffix; its form is checked when its value is needed.
    #[regex(r"[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][+\-]?[0-9][0-9_]*)?[a-zA-Z0-9_]*")]
    Number,

    /// The start of a string; never leaves the lexer.
    #[token("\"")]
    #[token("'")]
    #[token("\"\"\"")]
    #[token("'''")]
    #[token("b\"")]
    #[token("b'")]
    #[token("b\"\"\"")]
    #[token("b'''")]
    #[token("r\"")]
    #[token("r'")]
    #[token("r\"\"\"")]
    #[token("r'''")]
    Quote,

    #[token("or", |_| Op::Or)]
    #[token("and", |_| Op::And)]
    #[token("==", |_| Op::Eq)]
    #[token("!=", |_| Op::Ne)]
    #[token("<", |_| Op::Lt)]
    #[token("<=", |_| Op::Le)]
    #[token(">", |_| Op::Gt)]
    #[token(">=", |_| Op::Ge)]
    #[token("is", |_| Op::Is)]
    #[token("??", |_| Op::Coalesce)]
    #[token("^", |_| Op::BitXor)]
    #[token("&", |_| Op::BitAnd)]
    #[token("<<", |_| Op::Shl)]
    #[token(">>", |_| Op::Shr)]
    #[token("+", |_| Op::Add)]
    #[token("*", |_| Op::Mul)]
    #[token("/", |_| Op::Div)]
    #[token("//", |_| Op::FloorDiv)]
    #[token("%", |_| Op::Mod)]
    #[token("**", |_| Op::Pow)]
    Op(Op),
    #[token("+=", |_| Op::Add)]
    #[token("-=", |_| Op::Sub)]
    #[token("*=", |_| Op::Mul)]
    #[token("/=", |_| Op::Div)]
    #[token("//=", |_| Op::FloorDiv)]
    #[token("%=", |_| Op::Mod)]
    #[token("**=", |_| Op::Pow)]
    #[token("&=", |_| Op::BitAnd)]
    #[token("|=", |_| Op::BitOr)]
    #[token("^=", |_| Op::BitXor)]
    #[token("<<=", |_| Op::Shl)]
    #[token(">>=", |_| Op::Shr)]
    OpAssign(Op),
    #[token("=")]
    Assign,
    #[token("-")]
    Minus,
    #[token("~")]
    Tilde,
    #[token("|")]
    Bar,
    #[token("||")]
    BarBar,
    #[token("..")]
    DotDot,
    #[token("..=")]
    DotDotEq,
    #[token(".")]
    Dot,
    #[token("?.")]
    QuestionDot,
    #[token(",")]
    Comma,
    #[token(";")]
    Semicolon,
    #[token(":")]
    Colon,
    #[token("=>")]
    Arrow,
    #[token("(")]
    LParen,
    #[token(")")]
    RParen,
    #[token("[")]
    LBracket,
    #[token("]")]
    RBracket,
    /// In the lexer's output any `{`; behind the layout pass only that of a block.
    #[token("{")]
    LBrace,
    #[token("}")]
    RBrace,

    #[token("\n")]
    Newline,
    #[regex(r"#[^\n]*", allow_greedy = true)]
    Comment,

    // Habits of other languages, understood only to say what to write instead.
    #[token("&&")]
    AmpAmp,
    #[token("!")]
    Bang,
    #[token("===")]
    #[token("!==")]
    TripleEq,
    #[token("++")]
    PlusPlus,
    #[token("->")]
    ThinArrow,
    #[token("::")]
    ColonColon,

    /// A string without interpolation, quotes included.
    Str,
    /// `b"…"`
    Bytes,
    /// `"text {`
    StrHead,
    /// `} text {`
    StrMid,
    /// `} text"`
    StrTail,
    /// `:>8.2` in an interpolation
    Spec,

    // Made by the layout pass.
    /// A newline or `;` that separates.
    Sep,
    /// A name directly before `:`.
    Key,
    /// `{` of a map.
    MapOpen,
    /// The bars around a closure's parameters.
    BarOpen,
    BarClose,
    /// `(` of the options of `spawn`, `thread`, `threadlet` and `scope`.
    OptionsOpen,
    /// `fn` and `gen` of a function without a name.
    FnAnonymous,
    GenAnonymous,
    /// What is defined by `fn +(…)`, `fn []=(…)`.
    OpName,
    /// Stands before a select arm that begins with a pattern.
    ArmPattern,
    /// Stands for a statement or entry that could not be parsed.
    Bad,
    Error,
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub tok: Tok,
    pub start: u32,
    pub end: u32,
}

impl Token {
    pub fn span(self) -> Span {
        Span {
            start: self.start,
            end: self.end,
        }
    }
}
