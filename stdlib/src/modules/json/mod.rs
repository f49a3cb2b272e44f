//! `json`: texts to values and back, both in steps driven by `json.hd`.

mod encode;
mod parse;

use heddle_vm::native::NativeModule;
use heddle_vm::natives;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "json",
    functions: natives! {
        plain "json.__parser" () => parse::new_parser;
        plain "json.__parse_short" (text) => parse::parse_short;
        plain "json.__parse_step" (parser, text, open) => parse::parse_step;
        plain "json.__parse_done" (parser) => parse::parse_done;
        plain "json.__encoder" (indent) => encode::new_encoder;
        plain "json.__encode_step" (encoder, open) => encode::encode_step;
        plain "json.__encode_done" (encoder) => encode::encode_done;
    },
    constants: |_| {},
    source: Some(include_str!("json.hd")),
};
