//! `csv`: tables as text (RFC 4180), read in steps by the `csv-core` crate.

use crate::support::new_str;
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
    pause: Pause,
}

/// Why a step ended inside a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Nothing,
    /// There must be room for more of the record's bytes, or ends of fields.
    Bytes,
    Ends,
    /// The record is complete and waits to become a row.
    Row,
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
        pause: Pause::Nothing,
    };
    Ok(ctx.host(Box::new(reading), "csv reader"))
}

/// Appends rows; true at the end of the text. What it has done at any time is a whole number of rows and a record in the reader,
/// so it can be run again after a collection.
fn read_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?.as_bytes();
    let rows = ctx.arg(2);
    let count = ctx.list_arg(2)?.len();
    let reading = ctx.host_arg::<Reading>(0)?;
    // A large record grows in its buffers, and then becomes a row.
    let record = 2 * reading.record.len() + reading.ends.len() * (size_of::<usize>() + 64);
    ctx.reserve(STEP_BYTES * 16 + count * 16 + record)?;
    ctx.charge(STEP_BYTES / 8);
    match reading.pause {
        Pause::Bytes => reading.record.resize(reading.record.len() * 2, 0),
        Pause::Ends => reading.ends.resize(reading.ends.len() * 2, 0),
        Pause::Nothing | Pause::Row => {}
    }
    let stop = text.len().min(reading.position + STEP_BYTES);
    loop {
        if reading.pause != Pause::Row {
            reading.pause = Pause::Nothing;
            let (result, read, written, ended) = reading.reader.read_record(
                &text[reading.position..stop],
                &mut reading.record[reading.used..],
                &mut reading.ends[reading.fields..],
            );
            reading.position += read;
            reading.used += written;
            reading.fields += ended;
            reading.pause = match result {
                ReadRecordResult::InputEmpty if stop < text.len() => return Ok(Value::FALSE),
                // The rest of the text is empty: the reader is told so by the next call.
                ReadRecordResult::InputEmpty => continue,
                ReadRecordResult::OutputFull => Pause::Bytes,
                ReadRecordResult::OutputEndsFull => Pause::Ends,
                ReadRecordResult::End => return Ok(Value::TRUE),
                ReadRecordResult::Record => Pause::Row,
            };
            if reading.pause != Pause::Row {
                return Ok(Value::FALSE);
            }
        }
        let mut start = 0;
        let mut row = Vec::with_capacity(reading.fields);
        for &end in &reading.ends[..reading.fields] {
            // Parts of UTF-8 text between ASCII characters are UTF-8.
            row.push(ctx.str(&String::from_utf8_lossy(&reading.record[start..end])));
            start = end;
        }
        let row = ctx.list(&row)?;
        ctx.list_push(rows, row)?;
        reading.pause = Pause::Nothing;
        reading.used = 0;
        reading.fields = 0;
        if reading.position >= stop && stop < text.len() {
            return Ok(Value::FALSE);
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
    let quotes = text.bytes().filter(|&byte| byte == b'"').count();
    ctx.reserve(2 * (text.len() + quotes))?;
    new_str(ctx, &format!("\"{}\"", text.replace('"', "\"\"")))
}
