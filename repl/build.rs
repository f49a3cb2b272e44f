//! Where the system's loader can read it, addresses that it has to fill in are listed in a short form: a list of as many as this program has
//! would take a third of a megabyte of every process.

use std::process::Command;

/// Loaders of the GNU C library know the form since this version.
const SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    // Another machine's library is not known.
    let is_own = std::env::var("HOST").is_ok_and(|host| host == target);
    if is_own && target.ends_with("linux-gnu") && library_version().is_some_and(|it| it >= SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// What `getconf` says of this machine: `glibc 2.36`.
fn library_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}
