//! Chooses the interpreter's dispatch: sibling calls where the optimiser makes them (level 2 and 3), a `match` loop elsewhere or when
//! `HEDDLE_DISPATCH=match` says so.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(heddle_tail_calls)");
    println!("cargo::rerun-if-env-changed=HEDDLE_DISPATCH");
    let optimised = matches!(std::env::var("OPT_LEVEL").as_deref(), Ok("2" | "3"));
    let wanted = std::env::var("HEDDLE_DISPATCH").map_or(true, |d| d != "match");
    let sanitized = std::env::var("CARGO_CFG_SANITIZE").is_ok();
    let known = matches!(
        std::env::var("CARGO_CFG_TARGET_ARCH").as_deref(),
        Ok("x86_64" | "aarch64")
    );
    if optimised && wanted && known && !sanitized {
        println!("cargo::rustc-cfg=heddle_tail_calls");
    }
}
