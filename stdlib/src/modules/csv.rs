//! `csv`: tables as text (RFC 4180), read in steps by the `csv-core` crate.

use crate::support::new_str;
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use heddle_vm::native::{Ctx, NativeModule, NativeResult, Trap};
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
    source: Some(heddle_source!("csv")),
};

/// A text being read.
struct Reading {
    reader: Reader,
    position: usize,
    /// Of the record being read what is not yet in its row: bytes, and where fields end, counted from the record's beginning.
    record: Vec<u8>,
    ends: Vec<usize>,
    used: usize,
    fields: usize,
    /// How many of the fields are in the row, and where in the record its bytes begin.
    taken: usize,
    base: usize,
    /// The last of the rows is that of the record.
    has_row: bool,
    pause: Pause,
}

/// Why the reader has stopped inside a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pause {
    Nothing,
    /// There is no room for more bytes, or ends of fields.
    Full,
    /// The record is complete.
    Row,
}

fn separator(ctx: &mut Ctx, i: usize) -> Result<u8, Trap> {
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
        record: vec![0; 4096],
        ends: vec![0; 512],
        used: 0,
        fields: 0,
        taken: 0,
        base: 0,
        has_row: false,
        pause: Pause::Nothing,
    };
    Ok(ctx.host(Box::new(reading), "csv reader"))
}

impl Reading {
    /// Puts the fields that are complete into the record's row. If there is no room, it can go on after a collection.
    fn take_fields(&mut self, ctx: &mut Ctx, rows: Value) -> Result<(), Trap> {
        if !self.has_row {
            let row = ctx.list(&[])?;
            ctx.list_push(rows, row)?;
            self.has_row = true;
        }
        let row = *ctx
            .as_list(rows)
            .and_then(|rows| rows.last())
            .expect("pushed");
        while self.taken < self.fields {
            let start = match self.taken {
                0 => 0,
                taken => self.ends[taken - 1] - self.base,
            };
            let end = self.ends[self.taken] - self.base;
            // Parts of UTF-8 text between ASCII characters are UTF-8.
            let field = ctx.str(&String::from_utf8_lossy(&self.record[start..end]));
            ctx.list_push(row, field)?;
            self.taken += 1;
        }
        if let Some(last) = self.fields.checked_sub(1) {
            let done = self.ends[last] - self.base;
            self.record.copy_within(done..self.used, 0);
            self.used -= done;
            self.base += done;
        }
        (self.fields, self.taken) = (0, 0);
        Ok(())
    }
}

/// Appends rows; true at the end of the text. A record of many fields is put into its row while it is being read.
fn read_step(ctx: &mut Ctx) -> NativeResult {
    let text = ctx.str_arg(1)?.as_bytes();
    let rows = ctx.arg(2);
    let items = ctx.list_arg(2)?;
    let row = items.last().and_then(|row| ctx.as_list(*row));
    let reading = ctx.host_arg::<Reading>(0)?;
    // Both lists may grow, and so may the buffer of a long field.
    let lists = (items.len() + row.map_or(0, <[Value]>::len)) * 16;
    ctx.reserve(STEP_BYTES * 16 + lists + 2 * reading.record.len())?;
    ctx.charge(STEP_BYTES / 8);
    let stop = text.len().min(reading.position + STEP_BYTES);
    loop {
        match reading.pause {
            Pause::Nothing => {}
            Pause::Full if reading.fields == 0 => {
                reading.record.resize(reading.record.len() * 2, 0);
            }
            Pause::Full => reading.take_fields(ctx, rows)?,
            Pause::Row => {
                reading.take_fields(ctx, rows)?;
                (reading.has_row, reading.used, reading.base) = (false, 0, 0);
            }
        }
        let has_row = reading.pause == Pause::Row;
        reading.pause = Pause::Nothing;
        if has_row && reading.position >= stop && stop < text.len() {
            return Ok(Value::FALSE);
        }
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
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => Pause::Full,
            ReadRecordResult::End => return Ok(Value::TRUE),
            ReadRecordResult::Record => Pause::Row,
        };
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
