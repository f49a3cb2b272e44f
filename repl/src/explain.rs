//! `heddle explain`: what the codes of errors and warnings mean.

use crate::output::{complain, for_scripts};
use std::fmt::Write as _;
use std::io::Write as _;

/// Shows the sections of docs/errors.md that the codes name, or the list of all codes; 0 if there are all of them.
pub(crate) fn explain(codes: &[String]) -> u8 {
    let mut text = String::new();
    let mut code = 0;
    if codes.is_empty() {
        for (code, meaning) in heddle::codes() {
            let _ = writeln!(text, "{code}  {meaning}");
        }
    }
    for (index, name) in codes.iter().enumerate() {
        let Some(section) = heddle::explain(&name.to_uppercase()) else {
            complain(&format!(
                "error: there is no code {name}; `heddle explain` lists them\n"
            ));
            code = 1;
            continue;
        };
        if index > 0 {
            text.push('\n');
        }
        for_terminals(section, &mut text);
    }
    let mut output = for_scripts();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
    code
}

/// A section of the page without its Markdown.
fn for_terminals(section: &str, out: &mut String) {
    let mut is_code = false;
    for line in section.lines() {
        match line {
            "```wrong" => {
                is_code = true;
                out.push_str("Wrong:\n\n");
            }
            "```mended" => {
                is_code = true;
                out.push_str("\nMended:\n\n");
            }
            "```" => is_code = false,
            code if is_code => {
                let _ = writeln!(out, "    {code}");
            }
            text => {
                let _ = writeln!(out, "{}", text.trim_start_matches("## "));
            }
        }
    }
}
