//! Syntax errors in words: what stands there, what was expected, and the usual slips.

use crate::ast::Span;
use crate::diagnostics::Diagnostic;
use crate::lexer::{KEYWORDS, Op, Tok, Token};

/// The error at the token `at`, or at the end of the statement if there is none.
pub(crate) fn syntax_error(
    source: &str,
    tokens: &[Token],
    at: usize,
    expected: &[String],
    brace_follows: bool,
) -> Diagnostic {
    let place = Place {
        source,
        tokens,
        at,
        expected,
        brace_follows,
    };
    let begins_interpolation = matches!(place.prev(), Some(Tok::StrHead | Tok::StrMid));
    let is_empty = matches!(
        place.found(),
        Some(Tok::StrMid | Tok::StrTail | Tok::Spec) | None
    );
    if begins_interpolation && !is_empty {
        return place
            .plain()
            .help("in \"…\" a `{` begins an expression: write `\\{` for a brace that is text, or the text as '…'");
    }
    place.known_slip().unwrap_or_else(|| place.plain())
}

struct Place<'s> {
    source: &'s str,
    tokens: &'s [Token],
    at: usize,
    expected: &'s [String],
    /// The next line begins with `{`.
    brace_follows: bool,
}

impl Place<'_> {
    fn tok(&self, at: usize) -> Option<Tok> {
        self.tokens.get(at).map(|token| token.tok)
    }
    fn text(&self, at: usize) -> &str {
        self.tokens
            .get(at)
            .map_or("", |token| &self.source[token.span().range()])
    }
    fn found(&self) -> Option<Tok> {
        self.tok(self.at)
    }
    fn prev(&self) -> Option<Tok> {
        self.at.checked_sub(1).and_then(|at| self.tok(at))
    }
    fn expects(&self, what: &str) -> bool {
        self.expected
            .iter()
            .any(|name| name.trim_matches('"') == what)
    }
    fn expects_expression(&self) -> bool {
        self.expects("number") && self.expects("identifier") && self.expects("match")
    }

    /// The token itself, or the place right behind the last one.
    fn span(&self) -> Span {
        match self.tokens.get(self.at) {
            Some(token) if token.tok != Tok::Sep => token.span(),
            _ => {
                let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
                let start = last.map_or(0, |last| last.end as usize);
                let behind = self.source[start..].chars().next();
                Span::new(start, start + behind.map_or(0, char::len_utf8))
            }
        }
    }

    fn plain(&self) -> Diagnostic {
        let is_end = self.found().is_none() && {
            let rest = &self.source[(self.span().start as usize).min(self.source.len())..];
            rest.trim().is_empty()
        };
        let found = match self.tokens.get(self.at) {
            None if is_end => "end of input".to_string(),
            None => "end of line".to_string(),
            Some(token) => describe(token.tok, self.text(self.at)),
        };
        let mut message = format!("unexpected {found}");
        let wanted = self.wanted();
        if !wanted.is_empty() {
            message = format!("expected {wanted}, found {found}");
        }
        let code = if self.found().is_none() {
            "E0101"
        } else {
            "E0100"
        };
        Diagnostic::error(code, message, self.span())
    }

    /// What could stand here, if that is little enough to say.
    fn wanted(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: &str| {
            if !names.iter().any(|have| have == name) {
                names.push(name.to_string());
            }
        };
        if self.expects_expression() {
            add("an expression");
            for other in ["{", ")", "]", "}"] {
                if self.expects(other) {
                    add(&format!("`{other}`"));
                }
            }
        } else if self.expects("identifier") && self.expects("number") && self.expects("[") {
            add("a pattern");
            for other in [")", "]", "}", "x|"] {
                if self.expects(other) {
                    add(&terminal(other));
                }
            }
        } else {
            for name in self.expected {
                let name = name.trim_matches('"');
                match name {
                    "bad" | "error" | "arm pattern" => {}
                    // After a whole operand everything that continues it is allowed; that helps nobody.
                    "operator" | "-" | "|" | ".." | "..=" | "." | "?." | "(" | "[" | "in"
                        if self.expects("operator") => {}
                    _ => add(&terminal(name)),
                }
            }
            if names.len() > 5 {
                return String::new();
            }
        }
        match names.len() {
            0 => String::new(),
            1 => names.remove(0),
            _ => {
                let last = names.pop().unwrap_or_default();
                format!("{} or {last}", names.join(", "))
            }
        }
    }

    /// Whether the statement that holds the error begins with one of these.
    fn statement_start(&self) -> Option<Tok> {
        let mut depth = 0usize;
        for at in (0..self.at.min(self.tokens.len())).rev() {
            match self.tokens[at].tok {
                Tok::RParen | Tok::RBracket | Tok::RBrace | Tok::StrTail => depth += 1,
                Tok::LParen
                | Tok::LBracket
                | Tok::LBrace
                | Tok::MapOpen
                | Tok::StrHead
                | Tok::OptionsOpen => {
                    if depth == 0 {
                        return self.tok(at + 1);
                    }
                    depth -= 1;
                }
                Tok::Sep if depth == 0 => return self.tok(at + 1),
                Tok::If | Tok::While if depth == 0 => return self.tok(at),
                _ => {}
            }
        }
        self.tok(0)
    }

    fn known_slip(&self) -> Option<Diagnostic> {
        let found = self.found();
        let error = |code, message: String| Some(Diagnostic::error(code, message, self.span()));
        let with = |code, message: &str, help: &str| {
            error(code, message.to_string()).map(|found| found.help(help))
        };
        // Words of other languages, just before the error or at it.
        if let Some((word, at)) = self.foreign_word() {
            let (message, help) = word;
            let found = Diagnostic::error("E0120", message, at).help(help);
            return Some(match instead_of_word(&self.source[at.range()]) {
                Some(instead) => found.replace(at, instead),
                None => found,
            });
        }
        match (self.prev(), found) {
            (_, Some(Tok::Assign))
                if matches!(self.statement_start(), Some(Tok::If | Tok::While)) =>
            {
                with("E0121", "`=` assigns, it does not compare", "write `==`")
                    .map(|found| found.replace(self.span(), "=="))
            }
            (Some(Tok::Let | Tok::Var | Tok::Const), Some(tok)) if is_word(tok) => {
                let word = self.text(self.at).to_string();
                error(
                    "E0122",
                    format!("`{word}` is a keyword and cannot be a name"),
                )
            }
            (Some(Tok::Let | Tok::Var | Tok::Const), Some(Tok::Key)) => with(
                "E0123",
                "a variable has no declared type",
                "write `let name = value`",
            ),
            (_, Some(Tok::Key)) if self.ends_line(self.at + 2) => with(
                "E0124",
                "blocks are written in braces",
                "write `{ … }` instead of `:` and indentation",
            ),
            (_, Some(Tok::Colon)) if self.ends_line(self.at + 1) => with(
                "E0124",
                "blocks are written in braces",
                "write `{ … }` instead of `:` and indentation",
            ),
            (Some(Tok::LParen | Tok::Comma | Tok::BarOpen), Some(Tok::Key))
                if self.expects("identifier") && self.expects("..") =>
            {
                with(
                    "E0123",
                    "a parameter has no declared type",
                    "write just its name; `name = value` gives it a default",
                )
            }
            (Some(Tok::Catch), Some(Tok::Key)) => with(
                "E0123",
                "what is caught has no declared type",
                "write `catch e if e is Kind { … }`",
            ),
            (Some(Tok::For), Some(Tok::Key)) => with(
                "E0123",
                "a loop's variable has no declared type",
                "write just its name",
            ),
            // The body of a struct, or what a variant holds.
            (prev, Some(Tok::Key))
                if self.expects("identifier")
                    && !self.expects_expression()
                    && (self.expects("var") && self.expects("gen")
                        || matches!(prev, Some(Tok::LParen | Tok::Comma)) && self.expects(")")) =>
            {
                with(
                    "E0123",
                    "a field has no declared type",
                    "write just its name; `name = value` gives it a default",
                )
            }
            (_, Some(Tok::Sep) | None) if self.expects("{") && !self.expects_expression() => {
                let diagnostic = Diagnostic::error("E0125", "expected `{`", self.span());
                Some(if self.brace_follows {
                    diagnostic.help("put the `{` in the same line")
                } else {
                    diagnostic
                })
            }
            (Some(Tok::Minus), Some(Tok::Sep | Tok::RBrace | Tok::RParen) | None)
                if self.at >= 2 && self.tok(self.at - 2) == Some(Tok::Minus) =>
            {
                with("E0126", "there is no operator `--`", "write `x -= 1`")
            }
            (Some(Tok::StrHead | Tok::StrMid), Some(Tok::StrMid | Tok::StrTail | Tok::Spec)) => {
                with(
                    "E0127",
                    "nothing stands between the braces of this interpolation",
                    "write `\\{` for a brace that is text",
                )
            }
            (_, Some(Tok::Op(Op::FloorDiv | Op::Div | Op::Mul)))
                if self.expects_expression() || matches!(self.prev(), None | Some(Tok::Sep)) =>
            {
                with(
                    "E0100",
                    "expected an expression, found an operator",
                    "a comment begins with `#`",
                )
            }
            (Some(Tok::RBrace), Some(Tok::Else)) | (Some(Tok::Sep) | None, Some(Tok::Else)) => {
                with(
                    "E0100",
                    "`else` without an `if` before it",
                    "`else` follows the `}` of an `if`",
                )
            }
            (_, Some(Tok::LBrace)) if self.prev() == Some(Tok::Ident) && !self.expects("{") => {
                with(
                    "E0100",
                    "unexpected `{` behind a name",
                    "an instance is made by a call: `Point(1, y: 2)`",
                )
            }
            (Some(Tok::Comma), Some(Tok::Comma)) => with(
                "E0100",
                "unexpected `,` behind a comma",
                "one of the two is too many",
            )
            .map(|found| found.replace(self.span(), "")),
            (Some(Tok::Op(Op::Lt)), Some(Tok::Op(Op::Gt))) => {
                let both = self.tokens[self.at - 1].span().to(self.span());
                with("E0007", "there is no operator `<>`", "write `!=`")
                    .map(|found| found.replace(both, "!="))
            }
            (Some(Tok::Ident), Some(_)) if self.misspelt_keyword().is_some() => {
                let found = describe(self.found().unwrap_or(Tok::Error), self.text(self.at));
                let word = self.misspelt_keyword().unwrap_or_default();
                let diagnostic = error("E0100", format!("unexpected {found}"));
                let before = self.tokens[self.at - 1].span();
                diagnostic.map(|found| {
                    found
                        .related(before, "this is a name")
                        .did_you_mean(before, Some(word.to_string()))
                })
            }
            (Some(prev), Some(Tok::Ident | Tok::Number | Tok::Str)) if may_end(prev) => {
                let found = describe(self.found().unwrap_or(Tok::Error), self.text(self.at));
                let diagnostic = error("E0100", format!("unexpected {found}"));
                let wanted = if self.expects(",") {
                    "a comma or an operator"
                } else {
                    "an operator or a newline"
                };
                diagnostic.map(|found| found.label(format!("{wanted} is missing before this")))
            }
            (Some(Tok::Ident), Some(Tok::Sep) | None) if self.expects("=") && self.is_binding() => {
                with(
                    "E0128",
                    "a variable needs a value",
                    "write `var name = nil` if there is none yet",
                )
                .map(|found| {
                    let behind = self.tokens[self.at - 1].end;
                    let at = Span {
                        start: behind,
                        end: behind,
                    };
                    found.replace(at, " = nil")
                })
            }
            _ => None,
        }
    }

    /// The keyword that the name before the error is probably meant to be, if a statement begins with it.
    fn misspelt_keyword(&self) -> Option<&'static str> {
        let at = self.at.checked_sub(1)?;
        let begins = at == 0
            || matches!(
                self.tok(at - 1),
                Some(Tok::Sep | Tok::LBrace | Tok::RBrace | Tok::Arrow | Tok::Assign)
            );
        let word = self.text(at);
        let near = heddle_bytecode::nearest::nearest(word, KEYWORDS.iter().copied());
        near.filter(|_| begins && word.len() > 2)
    }

    fn is_binding(&self) -> bool {
        matches!(
            self.at.checked_sub(2).and_then(|at| self.tok(at)),
            Some(Tok::Let | Tok::Var | Tok::Const)
        )
    }

    fn ends_line(&self, at: usize) -> bool {
        if matches!(self.tok(at), None | Some(Tok::Sep)) {
            return true;
        }
        // `if x:` swallows the newline, since nothing can end with `:`.
        let (Some(colon), Some(next)) = (self.tokens.get(at - 1), self.tokens.get(at)) else {
            return false;
        };
        self.source[colon.end as usize..next.start as usize].contains('\n')
    }

    /// A word that another language has, and what Heddle says instead.
    fn foreign_word(&self) -> Option<((String, &'static str), Span)> {
        let candidates = [self.at.checked_sub(1), Some(self.at)];
        for at in candidates.into_iter().flatten() {
            if !matches!(self.tok(at), Some(Tok::Ident | Tok::Key)) {
                continue;
            }
            let is_start = at == 0
                || matches!(
                    self.tok(at - 1),
                    Some(Tok::Sep | Tok::LBrace | Tok::RBrace | Tok::MapOpen)
                );
            let word = self.text(at);
            let help = match word {
                "elif" | "elsif" | "elseif" | "elsewhen" if is_start => "write `else if`",
                "function" | "def" | "func" | "fun" | "proc" | "sub"
                    if at != self.at || is_start =>
                {
                    "functions are declared with `fn`"
                }
                "mut"
                    if matches!(
                        at.checked_sub(1).and_then(|at| self.tok(at)),
                        Some(Tok::Let)
                    ) =>
                {
                    "a variable that changes is declared with `var`"
                }
                "class" | "interface" | "record" if is_start => {
                    "types are declared with `struct`, `enum` and `trait`"
                }
                "switch" | "case" | "when" if is_start => "write `match x { 1 => …, _ => … }`",
                "except" | "rescue" | "finally" | "ensure" if is_start => {
                    "errors are caught by `try { … } catch e { … }`; `defer` runs code at the end"
                }
                "raise" if is_start => "errors are thrown with `throw`",
                "foreach" if is_start => "write `for x in xs { … }`",
                "until" | "unless" if is_start => "write `while not …` or `if not …`",
                "async" | "await" | "go" if is_start => "write `spawn f(x)` and `.join()`",
                "of" if self.at == at && self.expects("in") => "write `for x in xs { … }`",
                "lambda" => "a closure is written `|x| x + 1`",
                "new" => "an instance is made by a call: `Point(1, 2)`",
                "use" | "require" | "include" | "using" if is_start => {
                    "write `import name` or `import \"./file.hd\"`"
                }
                "export" | "public" if is_start => "what a module exports is marked with `pub`",
                "private" | "static" | "val" | "auto" if is_start => {
                    "write `let`, `var` or `const`"
                }
                "del" | "delete" if is_start => "`m.remove(key)` removes an entry",
                "pass" if is_start => "an empty block is `{}`",
                "then" | "begin" | "end" => "blocks are written in braces",
                "typeof" | "instanceof" | "isinstance" => "write `type(x)` or `x is int`",
                _ => continue,
            };
            let span = self.tokens[at].span();
            return Some((
                (format!("`{word}` is not a word of the language"), help),
                span,
            ));
        }
        None
    }
}

/// What to write instead of an undefined name that another language defines.
pub(crate) fn foreign_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" | "None" | "undefined" | "NULL" | "nullptr" | "Nil" => "write `nil`",
        "True" | "TRUE" => "write `true`",
        "False" | "FALSE" => "write `false`",
        "this" => "write `self`; a method lists it as its first parameter",
        "println" | "printf" | "puts" | "echo" | "console" => "write `print(…)`",
        "elif" | "elsif" | "elseif" => "write `else if`, on the line of the `}`",
        "Exception" | "RuntimeError" => "write `Error(\"message\")`",
        "parseInt" | "Integer" => "write `int(x)`",
        "parseFloat" => "write `float(x)`",
        "typeof" | "isinstance" => "write `type(x)` or `x is int`",
        "String" | "toString" | "to_s" => "write `str(x)`",
        "length" | "size" => "write `len(x)` or `x.len()`",
        "pass" => "an empty block is `{}`",
        "NaN" | "Infinity" => "write `float(\"nan\")`, `float(\"inf\")`",
        "async" | "await" => "write `spawn f(x)` and `.join()`",
        _ => return None,
    })
}

/// What can stand in the place of a word of another language.
fn instead_of_word(word: &str) -> Option<&'static str> {
    Some(match word {
        "elif" | "elsif" | "elseif" => "else if",
        "function" | "def" | "func" | "fun" | "proc" | "sub" => "fn",
        "class" | "record" => "struct",
        "interface" => "trait",
        "switch" => "match",
        "except" | "rescue" => "catch",
        "raise" => "throw",
        "foreach" => "for",
        "until" => "while not",
        "unless" => "if not",
        "of" => "in",
        "use" | "require" | "include" | "using" => "import",
        "export" | "public" => "pub",
        "val" | "auto" => "let",
        _ => return None,
    })
}

/// What can stand in the place of a name that another language defines.
pub(crate) fn instead_of_name(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" | "None" | "undefined" | "NULL" | "nullptr" | "Nil" => "nil",
        "True" | "TRUE" => "true",
        "False" | "FALSE" => "false",
        "this" => "self",
        "println" | "printf" | "puts" | "echo" => "print",
        "Exception" | "RuntimeError" => "Error",
        "parseInt" | "Integer" => "int",
        "parseFloat" => "float",
        "typeof" => "type",
        "String" => "str",
        "length" | "size" => "len",
        _ => return None,
    })
}

fn may_end(tok: Tok) -> bool {
    matches!(
        tok,
        Tok::Ident
            | Tok::Number
            | Tok::Str
            | Tok::Bytes
            | Tok::StrTail
            | Tok::Nil
            | Tok::True
            | Tok::False
            | Tok::RParen
            | Tok::RBracket
    )
}

/// Whether a token is a keyword.
fn is_word(tok: Tok) -> bool {
    terminal_of(tok).is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase()))
}

/// A terminal of the grammar, for people.
fn terminal(name: &str) -> String {
    match name {
        "identifier" => "a name".into(),
        "name:" => "a name and `:`".into(),
        "number" => "a number".into(),
        "string" | "\"…{" => "a string".into(),
        "bytes" => "bytes".into(),
        "newline" => "a newline".into(),
        "operator" => "an operator".into(),
        "operator name" => "an operator".into(),
        "op=" => "an assignment".into(),
        "format spec" => "a format spec".into(),
        "}…{" | "}…\"" => "`}`".into(),
        "map{" => "`{`".into(),
        "|x" | "x|" => "`|`".into(),
        "options(" => "`(`".into(),
        "fn(" => "`fn`".into(),
        "gen fn(" => "`gen`".into(),
        other => format!("`{other}`"),
    }
}

fn terminal_of(tok: Tok) -> Option<&'static str> {
    Some(match tok {
        Tok::Let => "let",
        Tok::Var => "var",
        Tok::Const => "const",
        Tok::Fn | Tok::FnAnonymous => "fn",
        Tok::Gen | Tok::GenAnonymous => "gen",
        Tok::Return => "return",
        Tok::If => "if",
        Tok::Else => "else",
        Tok::While => "while",
        Tok::For => "for",
        Tok::In => "in",
        Tok::Loop => "loop",
        Tok::Break => "break",
        Tok::Continue => "continue",
        Tok::Match => "match",
        Tok::Struct => "struct",
        Tok::Enum => "enum",
        Tok::Trait => "trait",
        Tok::Import => "import",
        Tok::From => "from",
        Tok::As => "as",
        Tok::Pub => "pub",
        Tok::True => "true",
        Tok::False => "false",
        Tok::Nil => "nil",
        Tok::Not => "not",
        Tok::Try => "try",
        Tok::Catch => "catch",
        Tok::Throw => "throw",
        Tok::Defer => "defer",
        Tok::Spawn => "spawn",
        Tok::Thread => "thread",
        Tok::Threadlet => "threadlet",
        Tok::Scope => "scope",
        Tok::Select => "select",
        Tok::After => "after",
        Tok::Yield => "yield",
        Tok::Local => "local",
        Tok::Assert => "assert",
        Tok::Test => "test",
        Tok::Do => "do",
        Tok::Op(Op::And) => "and",
        Tok::Op(Op::Or) => "or",
        Tok::Op(Op::Is) => "is",
        _ => return None,
    })
}

/// A token as found, for people.
fn describe(tok: Tok, text: &str) -> String {
    match tok {
        Tok::Sep if text.starts_with(';') => "`;`".into(),
        Tok::Sep => "end of line".into(),
        Tok::Number => format!("number `{}`", cut(text)),
        Tok::Str | Tok::StrHead => "a string".into(),
        Tok::Bytes => "bytes".into(),
        Tok::StrMid | Tok::StrTail => "`}`".into(),
        Tok::Spec => "a format spec".into(),
        Tok::Ident => format!("`{}`", cut(text)),
        Tok::Key => format!("`{}:`", cut(text)),
        _ => match terminal_of(tok) {
            Some(word) => format!("`{word}`"),
            None => format!("`{}`", cut(text)),
        },
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() > 30 {
        text.chars().take(30).chain(['…']).collect()
    } else {
        text.into()
    }
}
