//! `json`: texts to values and back, both in steps driven by `json.hd`; texts that come in chunks are cut into values by a scanner.

mod encode;
mod parse;
mod scan;

use crate::prelude::builder::Builder;
use crate::prelude::call_prelude;
use crate::support::wrong;
use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "json",
    functions: natives! {
        plain "json.__parser" (max_depth) => parse::new_parser;
        plain "json.__parse_short" (text, max_depth) => parse::parse_short;
        plain "json.__parse_step" (parser, text, open) => parse::parse_step;
        plain "json.__parse_done" (parser) => parse::parse_done;
        plain "json.__long" (parser) => parse::long;
        plain "json.__long_step" (parser, text, builder) => parse::long_step;
        plain "json.__scanner" (by_items, max_bytes) => scan::new_scanner;
        plain "json.__scan" (scanner, chunk, at) => scan::scan;
        plain "json.__scan_end" (scanner) => scan::scan_end;
        plain "json.__wrong" (what, expected, value) => wrong;
        plain "json.__builder" () => |ctx| Ok(ctx.host(Box::new(Builder::default()), "text builder"));
        plain "json.__build" (builder) => |ctx| { let builder = ctx.arg(0); Err(call_prelude(ctx, "__build", &[builder])) };
        plain "json.__part" (text, from, to) => |ctx| { let args = [ctx.arg(0), ctx.arg(1), ctx.arg(2)]; Err(call_prelude(ctx, "__text_part", &args)) };
        plain "json.__encoder" (indent) => encode::new_encoder;
        plain "json.__encode_step" (encoder, open) => encode::encode_step;
        plain "json.__encode_done" (encoder) => encode::encode_done;
    },
    constants: |_| {},
    source: Some(heddle_source!("json")),
};
