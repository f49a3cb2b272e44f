//! `hash`: digests, by `ring` and the `md-5` and `crc32fast` crates. Long data takes steps (`hash.hd`).

use crate::support::{new_bytes, new_str, wrong};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};
use md5::{Digest as _, Md5};
use ring::{digest, hmac};
use std::fmt::Write as _;

/// Bytes added in one step: below a millisecond for the slowest of them.
const STEP_BYTES: usize = 256 * 1024;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "hash",
    functions: natives! {
        plain "hash.__new" (algorithm, key) => new;
        plain "hash.__crc" (start) => crc;
        plain "hash.__update" (hasher, data, at) => update;
        plain "hash.__finish" (hasher, raw) => finish;
        plain "hash.__sum" (hasher) => sum;
        plain "hash.__equal" (a, b) => equal;
        plain "hash.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("hash")),
};

/// What has been added so far.
enum Hasher {
    Sha(digest::Context),
    Md5(Md5),
    Mac(hmac::Context),
    Crc(crc32fast::Hasher),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha(state) => state.update(bytes),
            Hasher::Md5(state) => state.update(bytes),
            Hasher::Mac(state) => state.update(bytes),
            Hasher::Crc(state) => state.update(bytes),
        }
    }
    /// The digest; the state is kept.
    fn digest(&self) -> Vec<u8> {
        match self {
            Hasher::Sha(state) => state.clone().finish().as_ref().to_vec(),
            Hasher::Md5(state) => state.clone().finalize().to_vec(),
            Hasher::Mac(state) => state.clone().sign().as_ref().to_vec(),
            Hasher::Crc(state) => state.clone().finalize().to_be_bytes().to_vec(),
        }
    }
}

fn bytes_arg<'c>(ctx: &mut Ctx<'c>, i: usize) -> Result<&'c [u8], Trap> {
    let data = ctx.arg(i);
    match ctx.as_str(data) {
        Some(text) => Ok(text.as_bytes()),
        None => match ctx.as_bytes(data) {
            Some(bytes) => Ok(bytes),
            None => Err(ctx.wrong_type(i, "a string or bytes")),
        },
    }
}

fn new(ctx: &mut Ctx) -> NativeResult {
    let name = ctx.str_arg(0)?;
    let key = match ctx.arg(1).is_nil() {
        true => None,
        false => Some(bytes_arg(ctx, 1)?),
    };
    let found = match (name, key) {
        ("md5", None) => Some(Hasher::Md5(Md5::new())),
        (_, None) => sha(name).map(|algorithm| Hasher::Sha(digest::Context::new(algorithm))),
        (_, Some(key)) => mac(name)
            .map(|algorithm| Hasher::Mac(hmac::Context::with_key(&hmac::Key::new(algorithm, key)))),
    };
    match found {
        Some(hasher) => Ok(ctx.host(Box::new(hasher), "hasher")),
        None => {
            let md5 = if key.is_some() { "" } else { "\"md5\", " };
            let shown = ctx.repr_short(ctx.arg(0));
            let message = format!(
                "hash: the algorithm must be {md5}\"sha1\", \"sha256\", \"sha384\" or \"sha512\", got {shown}"
            );
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

fn sha(name: &str) -> Option<&'static digest::Algorithm> {
    Some(match name {
        "sha1" => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => &digest::SHA256,
        "sha384" => &digest::SHA384,
        "sha512" => &digest::SHA512,
        _ => return None,
    })
}

fn mac(name: &str) -> Option<hmac::Algorithm> {
    Some(match name {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha384" => hmac::HMAC_SHA384,
        "sha512" => hmac::HMAC_SHA512,
        _ => return None,
    })
}

fn crc(ctx: &mut Ctx) -> NativeResult {
    let start = ctx.int_arg(0)?;
    match u32::try_from(start) {
        Ok(start) => {
            let state = crc32fast::Hasher::new_with_initial(start);
            Ok(ctx.host(Box::new(Hasher::Crc(state)), "hasher"))
        }
        Err(_) => {
            let message = format!("hash.crc32: start must be an int of 32 bits, got {start}");
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// Adds data from byte `at` on; gives where to go on, nil at the end.
fn update(ctx: &mut Ctx) -> NativeResult {
    let hasher = ctx.host_arg::<Hasher>(0)?;
    let data = bytes_arg(ctx, 1)?;
    let at = (ctx.int_arg(2)?.max(0) as usize).min(data.len());
    let end = data.len().min(at + STEP_BYTES);
    hasher.update(&data[at..end]);
    ctx.charge((end - at) / 16);
    Ok(if end < data.len() {
        ctx.int(end as i64)
    } else {
        Value::NIL
    })
}

fn finish(ctx: &mut Ctx) -> NativeResult {
    let digest = ctx.host_arg::<Hasher>(0)?.digest();
    if ctx.arg(1).is_truthy() {
        return new_bytes(ctx, &digest);
    }
    let mut text = String::with_capacity(2 * digest.len());
    for byte in digest {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    new_str(ctx, &text)
}

fn sum(ctx: &mut Ctx) -> NativeResult {
    let digest = ctx.host_arg::<Hasher>(0)?.digest();
    let sum = digest
        .iter()
        .fold(0, |sum, &byte| sum << 8 | i64::from(byte));
    Ok(ctx.int(sum))
}

/// All bytes are looked at, whatever they are. At a gigabyte per second; what is secret is short.
fn equal(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (bytes_arg(ctx, 0)?, bytes_arg(ctx, 1)?);
    let is_same_kind = ctx.as_str(ctx.arg(0)).is_some() == ctx.as_str(ctx.arg(1)).is_some();
    if a.len() > 4 << 20 && a.len() == b.len() {
        let message = "hash.is_equal: what is secret must be at most 4 MB long";
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    ctx.charge(a.len().min(b.len()) / 8);
    let differing = a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a ^ b));
    let is_equal = std::hint::black_box(differing) == 0 && a.len() == b.len();
    Ok(Value::bool(is_equal && is_same_kind))
}
