//! The front end on any bytes: it ends without a panic, and its findings can be shown.

use heddle_compiler::format::{Refused, format};
use heddle_compiler::{Diagnostic, Options, ReplName, Role, codes, compile, completeness, render};
use heddle_vm::bytecode::{ModuleCode, dis, verify};
use std::sync::LazyLock;

/// Names of the prelude, as far as Rust defines them; programs may use others and get findings.
static PRELUDE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let engine = heddle_vm::Engine::new();
    for natives in heddle_stdlib::prelude().natives {
        engine.add_prelude_natives(natives);
    }
    engine.prelude_names()
});

/// Panics if the front end does something wrong.
pub fn check(bytes: &[u8]) {
    let text = match heddle_compiler::decode(bytes) {
        Ok(text) => text,
        Err(fault) => {
            check_finding(&fault, &String::from_utf8_lossy(bytes));
            return;
        }
    };
    completeness(text);
    check_format(text);
    let earlier = [ReplName {
        name: "x".into(),
        module: "<repl:1>".into(),
        is_var: true,
    }];
    for (is_test, repl_scope) in [(true, None), (false, None), (false, Some(&earlier[..]))] {
        let options = Options {
            path: "fuzz.hd".into(),
            name: "fuzz".into(),
            role: Role::Program,
            is_test,
            counts_lines: is_test,
            prelude_names: &PRELUDE,
            repl_scope,
            resolve: &|path| match path.len() % 3 {
                0 => Err("there is no such file".into()),
                _ => Ok(path.into()),
            },
        };
        check_module(compile(text, &options), text);
    }
}

/// What parses can be formatted, stays the same program, and is in the style then.
fn check_format(text: &str) {
    match format(text) {
        Ok(tidy) => match format(&tidy) {
            Ok(again) => assert_eq!(again, tidy, "the second time it is different"),
            Err(refused) => panic!("{refused:?}"),
        },
        Err(Refused::Wrong(findings)) => findings
            .iter()
            .for_each(|finding| check_finding(finding, text)),
        Err(Refused::Changed) => panic!("formatting makes another program of it"),
    }
}

fn check_module((code, findings): (Option<ModuleCode>, Vec<Diagnostic>), text: &str) {
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    assert!(errors <= 20, "{errors} errors");
    assert_eq!(
        code.is_none(),
        errors > 0,
        "there is code unless there are errors"
    );
    for finding in &findings {
        check_finding(finding, text);
    }
    if let Some(code) = code {
        if let Err(error) = verify::verify(&code, false) {
            panic!("the verifier refuses what the compiler made: {error}");
        }
        dis::listing(&code);
    }
}

/// The places of a finding lie in the text, and it can be shown.
fn check_finding(finding: &Diagnostic, text: &str) {
    let places = finding.related.iter().map(|(span, _)| *span);
    for span in places.chain([finding.span]) {
        assert!(
            text.get(span.range()).is_some(),
            "{}: {} is marked at {span:?} of {} bytes",
            finding.code,
            finding.message,
            text.len()
        );
    }
    assert!(
        codes::meaning(finding.code).is_some(),
        "{} is explained",
        finding.code
    );
    assert!(
        !finding.message.is_empty(),
        "{} says something",
        finding.code
    );
    for is_coloured in [false, true] {
        let shown = render::render(finding, "fuzz.hd", text, is_coloured);
        assert!(shown.contains(finding.code), "{shown}");
        assert!(
            shown.len() < 64 << 10,
            "{} is shown in {} bytes",
            finding.code,
            shown.len()
        );
    }
    render::render_short(finding, "fuzz.hd", text);
}
