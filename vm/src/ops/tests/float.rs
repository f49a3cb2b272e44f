use crate::ops::float::{Scan, parse};

/// Parses in steps of so many bytes.
fn scanned(text: &str, step: usize) -> Option<f64> {
    let mut scan = Scan::new(text);
    loop {
        if let Some(made) = scan.step(text.as_bytes(), step) {
            return made;
        }
    }
}

#[test]
fn steps_read_what_is_read_at_once() {
    let mut texts: Vec<String> = [
        "0",
        "-0",
        "1",
        "+1.5",
        "1.",
        ".5",
        ".",
        "",
        "-",
        "1e5",
        "1e",
        "1e+",
        "1E-3",
        "1e5.0",
        "1_000.5",
        "1__0",
        "_1",
        "1_",
        "1_.5",
        "1._5",
        "1e1_0",
        "1e1_",
        "1e_1",
        "  2.5\n",
        "2.5 x",
        "00012.3400e2",
        "0.000",
        "1e400",
        "1e-400",
        "5e-324",
        "2.4703282292062328e-324",
        "1e99999999999999999999",
        "-1e-99999999999999999999",
        "é",
        "1é",
    ]
    .map(String::from)
    .into();
    // More digits than are kept, with something behind them that decides, or not.
    for tail in ["", "1", "000", "0001", "e3", "1e-900"] {
        texts.push(format!("9007199254740993.{}{tail}", "0".repeat(2000)));
        texts.push(format!("9007199254740993{}{tail}", "0".repeat(200)));
        texts.push(format!("0.{}1{}{tail}", "0".repeat(300), "3".repeat(1000)));
        texts.push(format!("{}{tail}", "7".repeat(1200)));
        texts.push(format!("-{}.{}{tail}", "0".repeat(900), "12".repeat(900)));
    }
    for text in &texts {
        let expected = parse(text);
        for step in [1, 7, 100_000] {
            let found = scanned(text, step);
            let same = found.map(f64::to_bits) == expected.map(f64::to_bits);
            assert!(same, "{text:?}: {found:?}, not {expected:?}");
        }
    }
}
