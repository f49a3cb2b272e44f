//! Programs of the repository with one typical slip each: what is said first points at the slip, and mostly tells how to mend it.
//!
//! `cargo test -p heddle-compiler --test slips -- --nocapture` with `HEDDLE_SHOW=1` shows each of them.

mod support;

use heddle_compiler::lexer::{Tok, Token, lex};
use heddle_compiler::render::line_column;
use std::path::Path;
use support::{compile_with, options};

/// What stands in a good program, and what is typed in its place.
const SLIPS: &[(&str, &str)] = &[
    // Words of other languages.
    ("} else if ", "} elif "),
    ("} else if ", "} elsif "),
    ("nil", "null"),
    ("nil", "None"),
    ("nil", "undefined"),
    ("true", "True"),
    ("false", "False"),
    ("fn ", "function "),
    ("fn ", "def "),
    ("fn ", "func "),
    ("self.", "this."),
    (" and ", " && "),
    (" or ", " || "),
    ("not ", "!"),
    (" == ", " === "),
    (" != ", " <> "),
    (" += 1", "++"),
    (" -= 1", "--"),
    ("let ", "let mut "),
    ("let ", "const int "),
    ("let ", "auto "),
    ("import ", "require "),
    ("import ", "use "),
    ("match ", "switch "),
    (" => ", " -> "),
    (" in ", " of "),
    ("throw ", "raise "),
    ("catch ", "except "),
    ("struct ", "class "),
    ("# ", "// "),
    ("|", "lambda "),
    (".len()", ".length"),
    ("print(", "console.log("),
    ("print(", "println("),
    ("print(", "printf("),
    // Misspelt.
    ("return ", "retrun "),
    ("while ", "whlie "),
    ("match ", "mtach "),
    ("struct ", "strcut "),
    ("import ", "improt "),
    ("let ", "lte "),
    ("for ", "fro "),
    ("print(", "pritn("),
    // Punctuation.
    (") {", "):"),
    (" {\n", "\n{\n"),
    (" {\n", "\n"),
    (") {", " {"),
    (", ", ",, "),
    (", ", " "),
    (")\n", "\n"),
    (")\n", "))\n"),
    ("]\n", "\n"),
    ("\")", ")"),
    ("(\"", "(“"),
    (" = ", " == "),
    (" == ", " = "),
    (": ", "; "),
    ("}\n\n", "\n\n"),
    ("let ", "let x: int = 1; let "),
    ("let ", "if x then let "),
    ("let ", "var unset\nlet "),
];

fn programs() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(folder).expect("the examples");
    let mut found: Vec<(String, String)> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "hd"))
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a program");
            (name.into_owned(), text)
        })
        .collect();
    found.sort();
    found
}

/// Names that the program uses and does not declare: the prelude's.
fn prelude_of(text: &str) -> Vec<String> {
    let (_, findings) = compile_with(text, &options());
    let undefined = findings.iter().filter(|finding| finding.code == "E0201");
    undefined
        .map(|finding| text[finding.span.range()].to_owned())
        .chain(options().prelude_names.iter().cloned())
        .collect()
}

/// Whether a place is code, and not inside a text or comment.
fn is_code(tokens: &[Token], at: usize) -> bool {
    let inside = tokens
        .iter()
        .find(|token| (token.start as usize) < at && at < token.end as usize);
    !inside.is_some_and(|token| {
        use Tok::{Bytes, Comment, Str, StrHead, StrMid, StrTail};
        matches!(
            token.tok,
            Comment | Str | Bytes | StrHead | StrMid | StrTail
        )
    })
}

#[test]
fn what_is_said_first_points_at_the_slip() {
    let shows = std::env::var_os("HEDDLE_SHOW").is_some();
    let (mut broken, mut pointed, mut mended, mut found_many) = (0, 0, 0, 0);
    for (name, text) in programs() {
        let prelude = prelude_of(&text);
        let options = heddle_compiler::Options {
            prelude_names: &prelude,
            ..options()
        };
        let tokens = lex(&text).tokens;
        for &(good, slip) in SLIPS {
            // Somewhere in the middle, where there is code around it.
            let places = text.match_indices(good).map(|(at, _)| at);
            let places: Vec<usize> = places.filter(|&at| is_code(&tokens, at)).collect();
            let Some(&at) = places.get(places.len() / 2) else {
                continue;
            };
            let wrong = format!("{}{slip}{}", &text[..at], &text[at + good.len()..]);
            let (_, findings) = compile_with(&wrong, &options);
            let mut errors = findings.iter().filter(|finding| finding.is_error());
            let Some(first) = errors.next() else {
                // It means something, if not what was meant.
                continue;
            };
            broken += 1;
            found_many += usize::from(errors.count() > 2);
            let line = |at: usize| line_column(&wrong, at).0;
            let (from, to) = (line(at), line(at + slip.len()));
            let said = line(first.span.start as usize);
            let related = first
                .related
                .iter()
                .map(|(span, _)| line(span.start as usize));
            let is_near = |said: usize| (from..=to).contains(&said);
            // Of a bracket that is not closed any more the other one is shown.
            let is_open = good.contains(['}', ')', ']']) && first.code == "E0010";
            let is_pointed = is_near(said)
                || related.clone().any(is_near)
                || is_open && (first.span.start as usize) < at;
            let is_mended = first.help.is_some()
                || first.message.starts_with("expected `")
                || first
                    .label
                    .as_ref()
                    .is_some_and(|label| label.contains("is missing"));
            pointed += usize::from(is_pointed);
            mended += usize::from(is_mended);
            if shows && !(is_pointed && is_mended) {
                let source = wrong.lines().nth(from - 1).unwrap_or_default().trim();
                println!(
                    "{}{} {name}:{from} {good:?} -> {slip:?}: line {said} {}: {} | {:?}\n      {source}",
                    if is_pointed { "" } else { "ELSEWHERE " },
                    if is_mended { "" } else { "NO FIX" },
                    first.code,
                    first.message,
                    first.help
                );
            }
        }
    }
    println!(
        "{broken} broken programs: {pointed} pointed at, {mended} with a fix, {found_many} with more than three errors"
    );
    assert!(broken >= 150, "only {broken} broken programs");
    assert!(
        pointed * 100 >= broken * 99,
        "of {} the first message points elsewhere",
        broken - pointed
    );
    assert!(
        mended * 4 >= broken * 3,
        "only {mended} of {broken} tell how to mend it"
    );
}
