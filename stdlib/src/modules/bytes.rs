//! `bytes`: numbers and digits as bytes. What is long takes steps (`bytes.hd`).

use crate::support::{new_bytes, wrong};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives, ops};

/// Digits read, and bytes combined, in one step.
const STEP: usize = 64 * 1024;
/// Values of one format.
const MAX_VALUES: usize = 50_000;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "bytes",
    functions: natives! {
        plain "bytes.__hex_step" (text, at, out) => hex_step;
        plain "bytes.__xor_step" (a, b, at) => xor_step;
        plain "bytes.__make" (value) => |ctx| { let bytes = ctx.engine().prelude_value("bytes"); match bytes { Some(bytes) => Err(ctx.tail_call(bytes, &[ctx.arg(0)])), None => Ok(Value::NIL) } };
        plain "bytes.__pack" (format, values) => pack;
        plain "bytes.__unpack" (format, data, at) => unpack;
        plain "bytes.__size" (format) => |ctx| { let format = Format::arg(ctx)?; Ok(ctx.int(format.bytes as i64)) };
        plain "bytes.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("bytes")),
};

/// Appends the bytes of some digits to a list; gives where to go on, nil at the end.
fn hex_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?.as_bytes();
    let mut at = (ctx.int_arg(1)?.max(0) as usize).min(text.len());
    let pieces = ctx.list_arg(2)?.len();
    ctx.reserve(STEP + 1024 + 16 * pieces)?;
    ctx.charge(STEP / 4);
    let mut bytes = Vec::with_capacity(STEP / 2);
    let end = text.len().min(at + STEP);
    while at < end {
        if text[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let digit = |i: usize| text.get(i).and_then(|&b| (b as char).to_digit(16));
        match (digit(at), digit(at + 1)) {
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => {
                let message =
                    format!("bytes.from_hex: two hexadecimal digits must stand at byte {at}");
                return Err(ctx.throw(ErrorKind::Value, message));
            }
        }
        at += 2;
    }
    let piece = ctx.bytes(&bytes)?;
    ctx.list_push(ctx.arg(2), piece)?;
    Ok(if at < text.len() {
        ctx.int(at as i64)
    } else {
        Value::NIL
    })
}

fn xor_step(ctx: &mut Ctx) -> NativeResult {
    let (a, b) = (ctx.bytes_arg(0)?, ctx.bytes_arg(1)?);
    let most = a.len().min(b.len());
    let at = (ctx.int_arg(2)?.max(0) as usize).min(most);
    let end = most.min(at + STEP);
    let bytes: Vec<u8> = a[at..end]
        .iter()
        .zip(&b[at..end])
        .map(|(a, b)| a ^ b)
        .collect();
    ctx.charge(bytes.len() / 16);
    new_bytes(ctx, &bytes)
}

/// What a letter of a format stands for.
#[derive(Clone, Copy)]
enum Item {
    Int { size: usize, is_signed: bool },
    Float { size: usize },
    Bool,
    Text { length: usize },
    Zeros { count: usize },
}

struct Format {
    is_little: bool,
    /// How often each item comes.
    items: Vec<(usize, Item)>,
    bytes: usize,
    values: usize,
}

impl Format {
    fn arg(ctx: &mut Ctx) -> Result<Format, Trap> {
        let text = ctx.str_arg(0)?;
        Format::of(text).map_err(|reason| {
            let shown = ctx.repr_short(ctx.arg(0));
            let message = format!("bytes: the format {shown} {reason}");
            ctx.throw(ErrorKind::Value, message)
        })
    }

    fn of(text: &str) -> Result<Format, String> {
        let (is_little, text) = match text.strip_prefix('<') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('>').unwrap_or(text)),
        };
        let mut format = Format {
            is_little,
            items: Vec::new(),
            bytes: 0,
            values: 0,
        };
        let mut count: Option<usize> = None;
        let too_long = || "stands for too many values or bytes".to_string();
        for c in text.chars() {
            if let Some(digit) = c.to_digit(10) {
                let n = count.unwrap_or(0) * 10 + digit as usize;
                if n > 1 << 30 {
                    return Err(too_long());
                }
                count = Some(n);
                continue;
            }
            let int = |size, is_signed| Item::Int { size, is_signed };
            let item = match c {
                ' ' if count.is_none() => continue,
                'b' | 'B' => int(1, c == 'b'),
                'h' | 'H' => int(2, c == 'h'),
                'i' | 'I' => int(4, c == 'i'),
                'q' | 'Q' => int(8, c == 'q'),
                'f' => Item::Float { size: 4 },
                'd' => Item::Float { size: 8 },
                '?' => Item::Bool,
                'x' => Item::Zeros {
                    count: count.unwrap_or(1),
                },
                's' => Item::Text {
                    length: count.unwrap_or(1),
                },
                _ => return Err(format!("has an unknown letter, {c:?}")),
            };
            let times = match item {
                Item::Zeros { .. } | Item::Text { .. } => 1,
                _ => count.unwrap_or(1),
            };
            count = None;
            let size = match item {
                Item::Int { size, .. } | Item::Float { size } => size,
                Item::Bool => 1,
                Item::Text { length } => length,
                Item::Zeros { count } => count,
            };
            format.bytes += times * size;
            if !matches!(item, Item::Zeros { .. }) {
                format.values += times;
            }
            // What is written at once must not take long.
            if format.values > MAX_VALUES || format.bytes > 4 << 20 {
                return Err(too_long());
            }
            format.items.push((times, item));
        }
        match count {
            Some(_) => Err("ends in a count".into()),
            None => Ok(format),
        }
    }
}

fn pack(ctx: &mut Ctx) -> NativeResult {
    let format = Format::arg(ctx)?;
    let values = ctx.list_arg(1)?;
    if values.len() != format.values {
        let message = format!(
            "bytes.pack: the format takes {} values, got {}",
            format.values,
            values.len()
        );
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    ctx.reserve(format.bytes)?;
    ctx.charge(format.values + format.bytes / 32);
    let mut out: Vec<u8> = Vec::with_capacity(format.bytes);
    let mut values = values.iter().copied();
    for &(times, item) in &format.items {
        for _ in 0..times {
            if let Item::Zeros { count } = item {
                out.resize(out.len() + count, 0);
                continue;
            }
            let value = values.next().expect("counted");
            write(ctx, &mut out, item, value, format.is_little)?;
        }
    }
    new_bytes(ctx, &out)
}

fn write(
    ctx: &mut Ctx,
    out: &mut Vec<u8>,
    item: Item,
    value: Value,
    is_little: bool,
) -> Result<(), Trap> {
    let mut number = |bytes: &[u8]| {
        if is_little {
            out.extend_from_slice(bytes);
        } else {
            out.extend(bytes.iter().rev());
        }
    };
    match item {
        Item::Int { size, is_signed } if ops::int::is_int(value) => {
            let bits = 8 * size as u32;
            // An unsigned one of 64 bits may be beyond what `i64` holds.
            let signed = ops::int::to_i64(value).map(i128::from);
            let n = signed.or_else(|| ops::int::to_u64(value).map(i128::from));
            let (least, most) = match is_signed {
                true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
                false => (0, (1i128 << bits) - 1),
            };
            match n {
                Some(n) if least <= n && n <= most => number(&n.to_le_bytes()[..size]),
                _ => {
                    let shown = ctx.repr_short(value);
                    let message = format!("bytes.pack: {shown} is not from {least} to {most}");
                    return Err(ctx.throw(ErrorKind::Value, message));
                }
            }
        }
        Item::Int { .. } => return Err(not_packed(ctx, "an int", value)),
        Item::Float { size } => match ops::float::number(value) {
            Some(f) if size == 4 => number(&(f as f32).to_le_bytes()),
            Some(f) => number(&f.to_le_bytes()),
            None => return Err(not_packed(ctx, "a number", value)),
        },
        Item::Bool if value.is_bool() => out.push(u8::from(value.is_truthy())),
        Item::Bool => return Err(not_packed(ctx, "a bool", value)),
        Item::Text { length } => {
            let text = ctx.as_str(value).map(str::as_bytes);
            let Some(data) = text.or_else(|| ctx.as_bytes(value)) else {
                return Err(not_packed(ctx, "a string or bytes", value));
            };
            let end = out.len() + length;
            out.extend_from_slice(&data[..data.len().min(length)]);
            out.resize(end, 0);
        }
        Item::Zeros { .. } => {}
    }
    Ok(())
}

fn not_packed(ctx: &mut Ctx, expected: &str, value: Value) -> Trap {
    let shown = ctx.repr_short(value);
    ctx.throw(
        ErrorKind::Type,
        format!("bytes.pack: expected {expected}, got {shown}"),
    )
}

fn unpack(ctx: &mut Ctx) -> NativeResult {
    let format = Format::arg(ctx)?;
    let data = ctx.bytes_arg(1)?;
    let at = ctx.int_arg(2)?;
    let from = crate::support::slice_bounds(Some(at), None, data.len()).0;
    let Some(mut data) = data[from..].get(..format.bytes) else {
        let message = format!(
            "bytes.unpack: the format takes {} bytes, from {at} on there are {}",
            format.bytes,
            data.len() - from
        );
        return Err(ctx.throw(ErrorKind::Value, message));
    };
    ctx.reserve(format.bytes + 48 * format.values)?;
    ctx.charge(format.values + format.bytes / 32);
    let mut values = Vec::with_capacity(format.values);
    for &(times, item) in &format.items {
        for _ in 0..times {
            let mut take = |n: usize| {
                let (taken, rest) = data.split_at(n);
                data = rest;
                taken
            };
            let value = match item {
                Item::Zeros { count } => {
                    take(count);
                    continue;
                }
                Item::Bool => Value::bool(take(1)[0] != 0),
                Item::Text { length } => ctx.bytes(take(length))?,
                Item::Int { size, is_signed } => {
                    let n = number(take(size), format.is_little);
                    let unused = 64 - 8 * size as u32;
                    match is_signed {
                        true => ctx.int((n << unused) as i64 >> unused),
                        false => ops::int::from_u64(ctx.heap(), n),
                    }
                }
                Item::Float { size } => {
                    let n = number(take(size), format.is_little);
                    Value::float(match size {
                        4 => f64::from(f32::from_bits(n as u32)),
                        _ => f64::from_bits(n),
                    })
                }
            };
            values.push(value);
        }
    }
    ctx.tuple(&values)
}

fn number(bytes: &[u8], is_little: bool) -> u64 {
    let add = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
    if is_little {
        bytes.iter().rev().fold(0, add)
    } else {
        bytes.iter().fold(0, add)
    }
}
