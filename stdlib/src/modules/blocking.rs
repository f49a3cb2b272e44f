//! `blocking`: what becomes of calls that hold an OS thread, and where they are made.

use crate::support::new_str;
use heddle_vm::io::SiteReport;
use heddle_vm::native::{Class, Ctx, NativeModule, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "blocking",
    functions: natives! {
        /// What becomes of blocking calls: "offload", "capture" or "error".
        plain "blocking.policy" () => |ctx| { let name = ctx.blocking_policy().name(); new_str(ctx, name) };
        plain "blocking.__allow" (function, "file?") => allow;
        plain "blocking.__report" () => |ctx| { let sites = ctx.blocking_report(); report(ctx, &sites) };
        plain "blocking.__held" () => |ctx| { let sites = ctx.held_report(); report(ctx, &sites) };
        plain "blocking.__unused" () => unused;
    },
    constants: |_| {},
    source: Some(heddle_source!("blocking")),
};

/// The names of all functions that block.
fn blocking() -> impl Iterator<Item = String> {
    let all = super::MODULES.iter().flat_map(|module| module.functions);
    all.filter(|def| def.class == Class::Blocking)
        .map(|def| def.public_name())
}
/// Whether there is a function of this name that blocks; `fs.*`: any of a module or type.
pub fn blocks(function: &str) -> bool {
    match function.strip_suffix('*') {
        Some(start) => start.ends_with('.') && blocking().any(|name| name.starts_with(start)),
        None => blocking().any(|name| name == function),
    }
}

fn allow(ctx: &mut Ctx) -> NativeResult {
    let function = ctx.str_arg(0)?;
    let file = ctx.opt_str_arg(1)?;
    if !blocks(function) {
        let names: Vec<String> = blocking().collect();
        let hint = heddle_vm::error::did_you_mean(function, names.iter().map(String::as_str));
        let message = format!("blocking.allow: {function:?} is no function that blocks{hint}");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    ctx.allow_blocking(function, file);
    ctx.nil()
}

/// A tuple for each entry, in the order of the fields of `Site`.
fn report(ctx: &mut Ctx, sites: &[SiteReport]) -> NativeResult {
    ctx.reserve(sites.len() * 512)?;
    let mut entries = Vec::new();
    for site in sites {
        let parts = [
            ctx.str(&site.function),
            ctx.str(&site.site),
            ctx.int(site.count as i64),
            ctx.duration(site.total.as_nanos() as i64),
            ctx.duration(site.p50.as_nanos() as i64),
            ctx.duration(site.p99.as_nanos() as i64),
            ctx.duration(site.longest.as_nanos() as i64),
        ];
        entries.push(ctx.tuple(&parts)?);
    }
    ctx.list(&entries)
}

fn unused(ctx: &mut Ctx) -> NativeResult {
    let unused = ctx.unused_allowances();
    ctx.reserve(unused.len() * 256)?;
    let mut entries = Vec::new();
    for (function, file) in &unused {
        let file = match file {
            Some(file) => ctx.str(file),
            None => Value::NIL,
        };
        let parts = [ctx.str(function), file];
        entries.push(ctx.tuple(&parts)?);
    }
    ctx.list(&entries)
}
