//! Asks the linker for a smaller program, where linker and system know how:
//!
//! - Addresses that the system's loader has to fill in are listed in a short form: a list of as many as this program has would take a third of a
//!   megabyte of every process.
//! - Functions of the same instructions become one.
//! - Names that only a debugger wants go, as the profile says: cargo forgets its `strip` for a package that has settings of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Loaders of the GNU C library know the form since this version.
const SINCE: (u32, u32) = (2, 36);

/// How a build says that it wants the names.
const STRIP: &str = "CARGO_PROFILE_RELEASE_STRIP";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={STRIP}");
    let target = std::env::var("TARGET").unwrap_or_default();
    let set = |name| std::env::var(name).unwrap_or_default();
    if target.contains("linux")
        && set("DEBUG") == "false"
        && set("OPT_LEVEL") != "0"
        && set(STRIP) != "none"
    {
        println!("cargo:rustc-link-arg-bins=-Wl,--strip-all");
    }
    // Another machine's library and linker are not known.
    let is_own = std::env::var("HOST").is_ok_and(|host| host == target);
    if !is_own || !target.ends_with("linux-gnu") {
        return;
    }
    if library_version().is_some_and(|it| it >= SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    const FOLD: &str = "-Wl,--icf=all";
    if is_known(FOLD) {
        println!("cargo:rustc-link-arg-bins={FOLD}");
    }
}

/// What `getconf` says of this machine: `glibc 2.36`.
fn library_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// Whether a program of nothing can be linked with it, by the linker that rustc takes here.
fn is_known(argument: &str) -> bool {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    let source = folder.join("nothing.rs");
    if std::fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let flags = flags.split('\u{1f}').filter(|flag| !flag.is_empty());
    let rustc = std::env::var_os("RUSTC").expect("cargo sets it");
    let status = Command::new(rustc)
        .args(flags)
        .arg(format!("-Clink-arg={argument}"))
        .args([Path::new("-o"), &folder.join("nothing"), &source])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
