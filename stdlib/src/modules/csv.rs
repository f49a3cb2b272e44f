//! `csv`: tables as text (RFC 4180), read in steps by the `csv-core` crate.

use crate::support::{new_str, settle};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, natives};

/// Bytes of text read in one step.
const STEP_BYTES: usize = 64 * 1024;

pub(super) static MODULE: NativeModule = NativeModule {
    name: "csv",
    functions: natives! {
        plain "csv.__reader" (separator) => reader;
        plain "csv.__read_step" (reader, text, rows) => read_step;
        plain "csv.__field" (text, separator) => field;
    },
    constants: |_| {},
    source: Some(include_str!("csv.hd")),
};

/// A text being read.
struct Reading {
    reader: Reader,
    position: usize,
    /// The record being read: its bytes, where its fields end.
    record: Vec<u8>,
    ends: Vec<usize>,
    used: usize,
    fields: usize,
}

fn separator(ctx: &mut Ctx, i: usize) -> Result<u8, heddle_vm::native::Trap> {
    match ctx.str_arg(i)?.as_bytes() {
        [byte] if byte.is_ascii() && *byte != b'"' => Ok(*byte),
        _ => {
            let shown = ctx.repr_short(ctx.arg(i));
            Err(ctx.throw(
                ErrorKind::Value,
                format!("csv: the separator must be one ASCII character, got {shown}"),
            ))
        }
    }
}

fn reader(ctx: &mut Ctx) -> NativeResult {
    let separator = separator(ctx, 0)?;
    let reading = Reading {
        reader: ReaderBuilder::new().delimiter(separator).build(),
        position: 0,
        record: vec![0; 1024],
        ends: vec![0; 32],
        used: 0,
        fields: 0,
    };
    Ok(ctx.host(Box::new(reading), "csv reader"))
}

/// Appends rows; true at the end of the text.
fn read_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?.as_bytes();
    let count = ctx.list_arg(2)?.len();
    ctx.reserve(STEP_BYTES * 16 + count * 16)?;
    let result = read_rows(ctx, text);
    settle(ctx, result)
}

fn read_rows(ctx: &mut Ctx, text: &[u8]) -> NativeResult {
    let rows = ctx.arg(2);
    let reading = ctx.host_arg::<Reading>(0)?;
    let stop = reading.position + STEP_BYTES;
    loop {
        let (result, read, written, ended) = reading.reader.read_record(
            &text[reading.position..],
            &mut reading.record[reading.used..],
            &mut reading.ends[reading.fields..],
        );
        reading.position += read;
        reading.used += written;
        reading.fields += ended;
        match result {
            // The rest of the text is empty: the reader is told so by the next call.
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull => reading.record.resize(reading.record.len() * 2, 0),
            ReadRecordResult::OutputEndsFull => reading.ends.resize(reading.ends.len() * 2, 0),
            ReadRecordResult::End => return Ok(Value::TRUE),
            ReadRecordResult::Record => {
                let mut start = 0;
                let mut row = Vec::with_capacity(reading.fields);
                for &end in &reading.ends[..reading.fields] {
                    // Parts of UTF-8 text between ASCII characters are UTF-8.
                    row.push(ctx.str(&String::from_utf8_lossy(&reading.record[start..end])));
                    start = end;
                }
                reading.used = 0;
                reading.fields = 0;
                let row = ctx.list(&row)?;
                ctx.list_push(rows, row)?;
                if reading.position >= stop {
                    return Ok(Value::FALSE);
                }
            }
        }
    }
}

/// A field as it is written: in quotes where it must be.
fn field(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(0)?;
    let separator = separator(ctx, 1)?;
    let must_quote = text
        .bytes()
        .any(|byte| byte == separator || matches!(byte, b'"' | b'\n' | b'\r'));
    if !must_quote {
        return Ok(ctx.arg(0));
    }
    new_str(ctx, &format!("\"{}\"", text.replace('"', "\"\"")))
}
