//! Strings and bytes: making, hashing, indexing by code points, slicing, joining.
//!
//! Invariant: the bytes of a `Str` are UTF-8; `FLAG_ASCII` is set exactly if all are below 128. A string that is not ASCII knows
//! how many characters it has, and fills a table of where every 64th begins when it is first indexed.

use super::int;
use super::memory::{MAX_BYTES, reserve};
use super::{OpFail, OpResult, duration, float, int_text};
use crate::heap::Heap;
use crate::object::{Bytes, FLAG_ASCII, Header, Kind, Str, StrIndex, align_up, type_id};
use crate::types::ErrorKind;
use crate::value::Value;
use std::sync::atomic::{AtomicU32, Ordering};

/// Texts and bytes longer than this are copied in steps, so many bytes at a time.
pub const LONG_COPY: usize = 2 << 20;
pub const COPY_STEP: usize = 512 * 1024;
/// The table of a longer text is filled in steps, so many bytes at a time.
const LONG_TABLE: usize = 16 << 20;
const TABLE_STEP: usize = 4 << 20;
/// Characters per entry of a string's table.
const STRIDE: usize = 64;

/// Bytes of the index and table of a string of so many characters that is not ASCII.
const fn index_bytes(chars: usize) -> usize {
    size_of::<StrIndex>() + align_up(chars.div_ceil(STRIDE) * 4)
}

/// The text of a string.
///
/// The caller knows that it is one. The text lives until the next collection; `'a` is not tied to anything else.
#[inline]
pub(crate) fn str_of<'a>(value: Value) -> &'a str {
    debug_assert!(value.is_kind(Kind::Str));
    let object = value.as_object().cast::<Str>();
    // SAFETY: the kind is the caller's word, and by the layout the bytes are where `bytes_start` says, valid UTF-8.
    unsafe {
        let bytes = std::slice::from_raw_parts(bytes_start(object), (*object).len as usize);
        std::str::from_utf8_unchecked(bytes)
    }
}

/// The text of a string; `None` for other values.
#[inline]
pub fn as_str<'a>(value: Value) -> Option<&'a str> {
    value.is_kind(Kind::Str).then(|| str_of(value))
}

/// # Safety
/// `object` is a live string.
#[inline]
unsafe fn bytes_start(object: *mut Str) -> *mut u8 {
    // SAFETY: by the layout the bytes follow the fixed part, after index and table if the text is not ASCII.
    unsafe {
        let start = object.add(1).cast::<u8>();
        if (*object).header.has(FLAG_ASCII) {
            start
        } else {
            start.add(index_bytes((*start.cast::<StrIndex>()).chars as usize))
        }
    }
}

#[inline]
fn is_ascii(value: Value) -> bool {
    // SAFETY: the callers know that it is a string.
    unsafe { (*value.as_object()).has(FLAG_ASCII) }
}

/// The number of characters.
#[inline]
pub fn char_count(value: Value) -> usize {
    let object = value.as_object().cast::<Str>();
    // SAFETY: the callers know that it is a string; one that is not ASCII has an index.
    unsafe {
        if (*object).header.has(FLAG_ASCII) {
            (*object).len as usize
        } else {
            (*object.add(1).cast::<StrIndex>()).chars as usize
        }
    }
}

// --- making

/// An empty shell for a text of so many bytes and characters (equal: ASCII), and where its bytes go.
fn allocate(heap: &mut Heap, bytes: usize, chars: usize) -> (Value, *mut u8) {
    allocate_as(heap, bytes, chars, false)
}

fn allocate_as(heap: &mut Heap, bytes: usize, chars: usize, zeroed: bool) -> (Value, *mut u8) {
    let ascii = bytes == chars;
    let mut header = Header::new(Kind::Str, type_id::STRING, 0);
    header.flags = if ascii { FLAG_ASCII } else { 0 };
    let index = if ascii { 0 } else { index_bytes(chars) };
    let size = align_up(size_of::<Str>() + index + bytes);
    let object = if zeroed {
        heap.alloc_zeroed(header, size)
    } else {
        heap.alloc(header, size)
    }
    .cast::<Str>();
    // SAFETY: freshly allocated with room for all parts.
    unsafe {
        (*object).len = bytes as u32;
        (*object).hash = AtomicU32::new(0);
        if !ascii {
            let start = object.add(1).cast::<StrIndex>();
            (*start).chars = chars as u32;
            (*start).is_filled = AtomicU32::new(0);
        }
        (Value::local(object.cast()), bytes_start(object))
    }
}

/// The size of the object that holds such a text.
pub fn object_bytes(bytes: usize, chars: usize) -> usize {
    size_of::<Str>()
        + bytes
        + if bytes == chars {
            0
        } else {
            index_bytes(chars)
        }
}

fn check_length(heap: &mut Heap, bytes: usize, chars: usize) -> OpResult<()> {
    if bytes > MAX_BYTES {
        return Err(OpFail::error(
            ErrorKind::Limit,
            format!("string of more than {MAX_BYTES} bytes"),
        ));
    }
    reserve(heap, object_bytes(bytes, chars))
}

/// A string of this text.
pub fn new(heap: &mut Heap, text: &str) -> OpResult {
    let chars = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    check_length(heap, text.len(), chars)?;
    Ok(new_counted(heap, text, chars))
}

/// A string of this text, which the caller knows to be small or has reserved room for (`object_bytes`).
pub fn new_reserved(heap: &mut Heap, text: &str) -> Value {
    let chars = if text.is_ascii() {
        text.len()
    } else {
        text.chars().count()
    };
    new_counted(heap, text, chars)
}

fn new_counted(heap: &mut Heap, text: &str, chars: usize) -> Value {
    let (value, start) = allocate(heap, text.len(), chars);
    // SAFETY: `allocate` made room for so many bytes.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), start, text.len()) };
    value
}

/// `chr(n)`
pub fn from_code_point(heap: &mut Heap, code: Value) -> OpResult {
    let Some(i) = int::to_i64(code) else {
        return Err(OpFail::wrong_type("chr expects an int, not {0}", code));
    };
    match u32::try_from(i).ok().and_then(char::from_u32) {
        Some(c) => Ok(new_reserved(heap, c.encode_utf8(&mut [0; 4]))),
        None => Err(OpFail::error(
            ErrorKind::Value,
            format!("{i} is no code point"),
        )),
    }
}

// --- in steps

/// A string of so many bytes and characters that is filled piece by piece (`fill`) before a script sees it.
pub fn unfinished(heap: &mut Heap, bytes: usize, chars: usize) -> OpResult {
    check_length(heap, bytes, chars)?;
    Ok(allocate_as(heap, bytes, chars, true).0)
}

/// Writes a piece of an unfinished string. All pieces together have as many bytes and characters as it was made for.
pub fn fill(unfinished: Value, at: usize, piece: &str) {
    let object = unfinished.as_object().cast::<Str>();
    // SAFETY: a live string, and the piece lies inside; what is not yet filled is zero, so it is UTF-8 at all times if the pieces come
    // one behind the other.
    unsafe {
        assert!(unfinished.is_kind(Kind::Str) && at + piece.len() <= (*object).len as usize);
        std::ptr::copy_nonoverlapping(piece.as_ptr(), bytes_start(object).add(at), piece.len());
    }
}

/// Bytes that are filled piece by piece (`fill_bytes`) before a script sees them; zero at first.
pub fn unfinished_bytes(heap: &mut Heap, len: usize) -> OpResult {
    allocate_bytes_as(heap, len, true).map(|(value, _)| value)
}

/// Writes a piece of unfinished bytes.
pub fn fill_bytes(unfinished: Value, at: usize, piece: &[u8]) {
    let object = unfinished.as_object().cast::<Bytes>();
    // SAFETY: live bytes, and the piece lies inside.
    unsafe {
        assert!(unfinished.is_kind(Kind::Bytes) && at + piece.len() <= (*object).len as usize);
        let to = object.add(1).cast::<u8>().add(at);
        std::ptr::copy_nonoverlapping(piece.as_ptr(), to, piece.len());
    }
}

// --- hashing

fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of bytes that differs with the seed; never 0. In the manner of wyhash: words folded by multiplication.
pub(crate) fn hash_bytes(bytes: &[u8], seed: u64) -> u32 {
    const K0: u64 = 0xA076_1D64_78BD_642F;
    const K1: u64 = 0xE703_7ED1_A0B4_28DB;
    let word = |i: usize| u64::from_le_bytes(bytes[i..i + 8].try_into().expect("eight bytes"));
    let half =
        |i: usize| u32::from_le_bytes(bytes[i..i + 4].try_into().expect("four bytes")) as u64;
    let len = bytes.len();
    let mut state = seed ^ K0;
    let (a, b) = match len {
        0 => (0, 0),
        1..4 => (
            (bytes[0] as u64) << 16 | (bytes[len / 2] as u64) << 8 | bytes[len - 1] as u64,
            0,
        ),
        4..=8 => (half(0), half(len - 4)),
        9..=16 => (word(0), word(len - 8)),
        _ => {
            let mut other = seed.rotate_left(32) ^ K1;
            let mut i = 0;
            while i + 32 < len {
                state = fold(word(i) ^ K1, word(i + 8) ^ state);
                other = fold(word(i + 16) ^ K0, word(i + 24) ^ other);
                i += 32;
            }
            if i + 16 < len {
                state = fold(word(i) ^ K1, word(i + 8) ^ state);
            }
            state ^= other;
            (word(len - 16), word(len - 8))
        }
    };
    let mixed = fold(a ^ K1, b ^ state);
    ((fold(mixed ^ K0 ^ len as u64, state.rotate_left(17) ^ K1) >> 32) as u32).max(1)
}

/// The hash of a string, kept in it.
#[inline]
pub fn hash(value: Value, seed: u64) -> u32 {
    let object = value.as_object().cast::<Str>();
    // SAFETY: the callers know that it is a string. Several carriers may store the same hash.
    let known = unsafe { &(*object).hash };
    match known.load(Ordering::Relaxed) {
        0 => {
            let hash = hash_bytes(str_of(value).as_bytes(), seed);
            known.store(hash, Ordering::Relaxed);
            hash
        }
        hash => hash,
    }
}

/// The hash of bytes, kept in them.
pub fn hash_of_bytes(value: Value, seed: u64) -> u32 {
    // SAFETY: the callers know that it is a `Bytes`.
    let known = unsafe { &(*value.as_object().cast::<Bytes>()).hash };
    match known.load(Ordering::Relaxed) {
        0 => {
            let hash = hash_bytes(bytes_of(value), !seed);
            known.store(hash, Ordering::Relaxed);
            hash
        }
        hash => hash,
    }
}

/// Whether two strings have the same text.
#[inline]
pub fn equal(a: Value, b: Value) -> bool {
    if a == b {
        return true;
    }
    let (x, y) = (a.as_object().cast::<Str>(), b.as_object().cast::<Str>());
    // SAFETY: the callers know that they are strings.
    let (x_hash, y_hash) = unsafe {
        if (*x).len != (*y).len {
            return false;
        }
        (
            (*x).hash.load(Ordering::Relaxed),
            (*y).hash.load(Ordering::Relaxed),
        )
    };
    (x_hash == y_hash || x_hash == 0 || y_hash == 0) && str_of(a) == str_of(b)
}

// --- positions

/// The byte at which a character begins; `chars` beyond the last gives the length.
pub fn byte_offset(value: Value, position: usize) -> usize {
    if is_ascii(value) {
        return position;
    }
    let text = str_of(value);
    if position >= char_count(value) {
        return text.len();
    }
    let from = table(value)[position / STRIDE].load(Ordering::Relaxed) as usize;
    from + nth_offset(&text.as_bytes()[from..], position % STRIDE)
}

/// The byte at which the `n`th character of the text begins.
fn nth_offset(bytes: &[u8], n: usize) -> usize {
    let mut offset = 0;
    for _ in 0..n {
        offset += char_width(bytes[offset]);
    }
    offset
}

/// The number of bytes of a character, by its first.
fn char_width(first: u8) -> usize {
    match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    }
}

/// The character to which a byte at a boundary belongs.
pub fn char_position(value: Value, offset: usize) -> usize {
    if is_ascii(value) {
        return offset;
    }
    let table = table(value);
    let entry = table.partition_point(|start| start.load(Ordering::Relaxed) as usize <= offset) - 1;
    let from = table[entry].load(Ordering::Relaxed) as usize;
    entry * STRIDE + str_of(value)[from..offset].chars().count()
}

/// Stores where every 64th character begins. Whole blocks of bytes are counted at once: about a nanosecond for eight bytes. `bytes` begin at `start` with
/// `chars` characters in front of them; gives how many there are with them.
fn fill_table(bytes: &[u8], start: usize, mut chars: usize, table: &[AtomicU32]) -> usize {
    const BLOCK: usize = 64;
    let begins = |byte: u8| (byte as i8) >= -0x40;
    let mut next = chars.div_ceil(STRIDE);
    for (block, content) in bytes.chunks(BLOCK).enumerate() {
        let inside = content.iter().map(|&byte| begins(byte) as u8).sum::<u8>() as usize;
        // At most one entry begins in a block, as it has no more characters than bytes.
        if next < table.len() && chars + inside > next * STRIDE {
            let mut left = next * STRIDE - chars;
            for (i, &byte) in content.iter().enumerate() {
                if begins(byte) {
                    if left == 0 {
                        let at = start + block * BLOCK + i;
                        table[next].store(at as u32, Ordering::Relaxed);
                        break;
                    }
                    left -= 1;
                }
            }
            next += 1;
        }
        chars += inside;
    }
    chars
}

/// The table of a string that is not ASCII, and whether it is filled.
fn unfilled_table<'a>(value: Value) -> (&'a [AtomicU32], &'a AtomicU32) {
    debug_assert!(!is_ascii(value));
    let object = value.as_object().cast::<Str>();
    // SAFETY: a string that is not ASCII has an index and a table of this length behind its fixed part; other carriers may fill
    // the table of a shared one at the same time, with the same numbers.
    unsafe {
        let index = object.add(1).cast::<StrIndex>();
        let len = ((*index).chars as usize).div_ceil(STRIDE);
        (
            std::slice::from_raw_parts(index.add(1).cast::<AtomicU32>(), len),
            &(*index).is_filled,
        )
    }
}

/// The table of a string that is not ASCII, filled.
fn table<'a>(value: Value) -> &'a [AtomicU32] {
    let (table, is_filled) = unfilled_table(value);
    if is_filled.load(Ordering::Acquire) == 0 {
        fill_table(str_of(value).as_bytes(), 0, 0, table);
        is_filled.store(1, Ordering::Release);
    }
    table
}

/// Whether positions in this string are to be asked for only after `fill_table_step` has come to its end: else that takes long.
pub fn needs_table(value: Value) -> bool {
    str_of(value).len() > LONG_TABLE
        && !is_ascii(value)
        && unfilled_table(value).1.load(Ordering::Acquire) == 0
}

/// Fills some of the table, from a byte on with so many characters in front of it; gives where to go on, `None` at the end.
pub fn fill_table_step(value: Value, at: usize, chars: usize) -> Option<(usize, usize)> {
    if is_ascii(value) {
        return None;
    }
    let (table, is_filled) = unfilled_table(value);
    let bytes = str_of(value).as_bytes();
    if at >= bytes.len() || is_filled.load(Ordering::Acquire) != 0 {
        return None;
    }
    let end = bytes.len().min(at + TABLE_STEP);
    let chars = fill_table(&bytes[at..end], at, chars, table);
    if end < bytes.len() {
        return Some((end, chars));
    }
    is_filled.store(1, Ordering::Release);
    None
}

/// `s[i]`: a string of one character.
pub fn index(heap: &mut Heap, value: Value, position: Value) -> OpResult {
    let len = char_count(value);
    let at = super::checked_index(position, len, "string")?;
    let start = byte_offset(value, at);
    let text = str_of(value);
    let width = char_width(text.as_bytes()[start]);
    Ok(new_reserved(heap, &text[start..start + width]))
}

/// `s[from..to]` by characters; positions within the string (see `clamp_slice`).
pub fn slice(heap: &mut Heap, value: Value, from: usize, to: usize) -> OpResult {
    if from == 0 && to == char_count(value) {
        return Ok(value);
    }
    let (start, end) = (byte_offset(value, from), byte_offset(value, to));
    let text = &str_of(value)[start..end];
    check_length(heap, text.len(), to - from)?;
    Ok(new_counted(heap, text, to - from))
}

// --- joining

/// Whether `concat` can write the value: strings, ints that are not huge, floats, bools, nil, durations.
#[inline]
pub fn can_concat(value: Value) -> bool {
    !value.is_object() || can_concat_object(value)
}

fn can_concat_object(value: Value) -> bool {
    match value.kind() {
        Some(Kind::Str | Kind::Int64 | Kind::Duration) => true,
        Some(Kind::BigInt) => int::view(value).is_some_and(int_text::has_short_text),
        _ => false,
    }
}

/// Appends the text of a value that `can_concat`.
pub fn write_plain(out: &mut String, value: Value) -> OpResult<()> {
    use std::fmt::Write;
    if value.is_small_int() {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", value.as_small_int());
    } else if value.is_float() {
        float::write_float(out, value.as_float());
    } else if let Some(content) = as_str(value) {
        out.push_str(content);
    } else if let Some(i) = int::view(value) {
        out.push_str(&int_text::to_text(i)?);
    } else if let Some(ns) = duration::view(value) {
        out.push_str(&duration::to_text(ns));
    } else {
        out.push_str(match value {
            Value::NIL => "nil",
            Value::TRUE => "true",
            _ => "false",
        });
    }
    Ok(())
}

/// How long the decimal text of an int is.
fn int_length(i: i64) -> usize {
    (i < 0) as usize + i.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1
}

/// Writes the decimal text of an int, which is `length` long.
///
/// # Safety
/// `to` has room for `length` bytes.
unsafe fn write_int(to: *mut u8, i: i64, length: usize) {
    let mut rest = i.unsigned_abs();
    let mut at = length;
    let first = (i < 0) as usize;
    while at > first {
        at -= 1;
        // SAFETY: `at` is less than `length`.
        unsafe { *to.add(at) = b'0' + (rest % 10) as u8 };
        rest /= 10;
    }
    if i < 0 {
        // SAFETY: the length counts the sign.
        unsafe { *to = b'-' };
    }
}

/// The texts of the parts in a row; all of them `can_concat`.
pub fn concat(heap: &mut Heap, parts: &[Value]) -> OpResult {
    let (mut bytes, mut chars, mut ends) = (0, 0, 0);
    // Texts of parts that are neither strings nor small ints, each with an end mark.
    let mut scratch = String::new();
    for &part in parts {
        if part.is_kind(Kind::Str) {
            bytes += str_of(part).len();
            chars += char_count(part);
        } else if part.is_small_int() {
            let length = int_length(part.as_small_int());
            bytes += length;
            chars += length;
        } else {
            write_plain(&mut scratch, part)?;
            // Ends the part: no number contains it.
            scratch.push('\n');
            ends += 1;
        }
    }
    bytes += scratch.len() - ends;
    chars += scratch.len() - ends;
    check_length(heap, bytes, chars)?;
    if bytes > LONG_COPY {
        return Err(OpFail::NeedsSteps("__text_concat"));
    }
    let (value, mut to) = allocate(heap, bytes, chars);
    let mut others = scratch.split('\n');
    for &part in parts {
        // SAFETY: the lengths add up to what was allocated; the parts did not change, since nothing else ran.
        unsafe {
            if part.is_small_int() {
                let i = part.as_small_int();
                let length = int_length(i);
                write_int(to, i, length);
                to = to.add(length);
                continue;
            }
            let text = if part.is_kind(Kind::Str) {
                str_of(part)
            } else {
                others.next().unwrap_or("")
            };
            std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
            to = to.add(text.len());
        }
    }
    Ok(value)
}

/// The strings in a row, `separator` between them. All are strings (apply `str` first).
pub fn join(heap: &mut Heap, parts: &[Value], separator: &str) -> OpResult {
    let gaps = parts.len().saturating_sub(1);
    let (mut bytes, mut chars) = (
        separator.len().saturating_mul(gaps),
        separator.chars().count() * gaps,
    );
    for &part in parts {
        let Some(text) = as_str(part) else {
            return Err(OpFail::wrong_type("cannot join {0}, only strings", part));
        };
        bytes = bytes.saturating_add(text.len());
        chars += char_count(part);
    }
    check_length(heap, bytes, chars)?;
    let (value, mut to) = allocate(heap, bytes, chars);
    for (i, &part) in parts.iter().enumerate() {
        for text in [if i == 0 { "" } else { separator }, str_of(part)] {
            // SAFETY: the lengths add up to what was allocated.
            unsafe {
                std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len());
                to = to.add(text.len());
            }
        }
    }
    Ok(value)
}

/// `s * n`
pub fn repeat(heap: &mut Heap, value: Value, count: u64) -> OpResult {
    let text = str_of(value);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count == 1 {
        return Ok(value);
    }
    let (bytes, chars) = (
        text.len().saturating_mul(count),
        char_count(value).saturating_mul(count),
    );
    check_length(heap, bytes, chars)?;
    if bytes > LONG_COPY {
        return Err(OpFail::NeedsSteps("__text_repeat"));
    }
    let (result, to) = allocate(heap, bytes, chars);
    // SAFETY: room for `bytes` bytes was allocated.
    unsafe { fill_repeated(to, text.as_bytes(), bytes) };
    Ok(result)
}

/// # Safety
/// `to` has room for `total` bytes, a multiple of the length of `pattern`.
unsafe fn fill_repeated(to: *mut u8, pattern: &[u8], total: usize) {
    if total == 0 {
        return;
    }
    // SAFETY: by the contract; what is there already is copied behind itself, never overlapping.
    unsafe {
        std::ptr::copy_nonoverlapping(pattern.as_ptr(), to, pattern.len());
        let mut done = pattern.len();
        while done < total {
            let more = done.min(total - done);
            std::ptr::copy_nonoverlapping(to, to.add(done), more);
            done += more;
        }
    }
}

// --- bytes

/// The content of a `bytes` value, of which the caller knows that it is one. Lives until the next collection.
#[inline]
pub(crate) fn bytes_of<'a>(value: Value) -> &'a [u8] {
    debug_assert!(value.is_kind(Kind::Bytes));
    let object = value.as_object().cast::<Bytes>();
    // SAFETY: by the layout `len` bytes follow the fixed part.
    unsafe { std::slice::from_raw_parts(object.add(1).cast(), (*object).len as usize) }
}

fn allocate_bytes(heap: &mut Heap, len: usize) -> OpResult<(Value, *mut u8)> {
    allocate_bytes_as(heap, len, false)
}

fn allocate_bytes_as(heap: &mut Heap, len: usize, zeroed: bool) -> OpResult<(Value, *mut u8)> {
    if len > MAX_BYTES {
        return Err(OpFail::error(
            ErrorKind::Limit,
            format!("more than {MAX_BYTES} bytes"),
        ));
    }
    reserve(heap, size_of::<Bytes>() + len)?;
    let header = Header::new(Kind::Bytes, type_id::BYTES, 0);
    let size = align_up(size_of::<Bytes>() + len);
    let object = if zeroed {
        heap.alloc_zeroed(header, size)
    } else {
        heap.alloc(header, size)
    }
    .cast::<Bytes>();
    // SAFETY: freshly allocated with room for `len` bytes behind the fixed part.
    unsafe {
        (*object).len = len as u32;
        (*object).hash = AtomicU32::new(0);
        Ok((Value::local(object.cast()), object.add(1).cast()))
    }
}

/// A `bytes` value.
pub fn new_bytes(heap: &mut Heap, content: &[u8]) -> OpResult {
    let (value, to) = allocate_bytes(heap, content.len())?;
    // SAFETY: room for so many bytes was allocated.
    unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), to, content.len()) };
    Ok(value)
}

pub fn concat_bytes(heap: &mut Heap, a: Value, b: Value) -> OpResult {
    let (a, b) = (bytes_of(a), bytes_of(b));
    if a.len() + b.len() > LONG_COPY {
        reserve(heap, a.len() + b.len())?;
        return Err(OpFail::NeedsSteps("__bytes_concat"));
    }
    let (value, to) = allocate_bytes(heap, a.len() + b.len())?;
    // SAFETY: room for both was allocated.
    unsafe {
        std::ptr::copy_nonoverlapping(a.as_ptr(), to, a.len());
        std::ptr::copy_nonoverlapping(b.as_ptr(), to.add(a.len()), b.len());
    }
    Ok(value)
}

pub fn repeat_bytes(heap: &mut Heap, value: Value, count: u64) -> OpResult {
    let content = bytes_of(value);
    let total = content
        .len()
        .saturating_mul(usize::try_from(count).unwrap_or(usize::MAX));
    if total > LONG_COPY && total <= MAX_BYTES {
        reserve(heap, total)?;
        return Err(OpFail::NeedsSteps("__bytes_repeat"));
    }
    let (result, to) = allocate_bytes(heap, total)?;
    // SAFETY: room for `total` bytes was allocated.
    unsafe { fill_repeated(to, content, total) };
    Ok(result)
}

/// `b[i]`: an int.
pub fn bytes_index(value: Value, position: Value) -> OpResult {
    let content = bytes_of(value);
    let at = super::checked_index(position, content.len(), "bytes")?;
    Ok(Value::small_int(content[at] as i64))
}

/// `b[from..to]`; positions within it (see `clamp_slice`).
pub fn bytes_slice(heap: &mut Heap, value: Value, from: usize, to: usize) -> OpResult {
    new_bytes(heap, &bytes_of(value)[from..to])
}
