//! Dates and times in time zones, by `jiff`. Zones are the system's: reading one is left to an OS thread for blocking calls, and done once.

use heddle_vm::native::{Ctx, NativeResult, Trap};
use heddle_vm::thread::Outside;
use heddle_vm::types::ErrorKind;
use heddle_vm::{Value, ops};
use jiff::civil::DateTime;
use jiff::fmt::{strtime, temporal};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, Unit, ZonedDateTime};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The zones that were read. They belong to the process, as the system's list does; there are no more of them than that has.
static ZONES: LazyLock<RwLock<HashMap<String, TimeZone>>> = LazyLock::new(RwLock::default);

/// Formats and texts are short; a long one is a mistake.
const MAX_BYTES: usize = 10_000;

/// A zone that needs no reading, or was read.
fn known(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    if let Some(offset) = offset_of(name) {
        return Some(TimeZone::fixed(offset));
    }
    if let Some(zone) = ZONES.read().get(name) {
        return Some(zone.clone());
    }
    // A rule, as `CET-1CEST,M3.5.0,M10.5.0/3`.
    (name.contains(',') && name.len() < 100)
        .then(|| TimeZone::posix(name).ok())
        .flatten()
}

/// `+02:00`, `-0330`, `+01`
fn offset_of(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|&c| c != ':').collect();
    let is_form = matches!(digits.len(), 2 | 4 | 6) && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_form || rest.len() - digits.len() > 2 {
        return None;
    }
    let part = |i: usize| digits.get(i..i + 2).map_or(Ok(0), str::parse::<i32>);
    let (hours, minutes, seconds) = (part(0).ok()?, part(2).ok()?, part(4).ok()?);
    if minutes > 59 || seconds > 59 {
        return None;
    }
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60 + seconds)).ok()
}

/// `time.__load(name)`: gives the zone's name; `local` for that of the machine if it has none.
pub(super) fn load(ctx: &mut Ctx) -> NativeResult {
    let name = ctx.str_arg(0)?.to_string();
    ctx.note_outside(Outside::Env);
    if name.len() > MAX_BYTES {
        return Err(no_zone(ctx, "a text as long as this"));
    }
    ctx.block(
        move || {
            let found = match known(&name) {
                Some(zone) => Ok(zone),
                None if name == "local" => TimeZone::try_system(),
                None => TimeZone::get(&name),
            };
            match found {
                Ok(zone) => {
                    let shown = zone.iana_name().unwrap_or(&name).to_string();
                    if name == "local" || zone.iana_name().is_some() {
                        ZONES.write().insert(name, zone);
                    }
                    Ok(shown)
                }
                Err(_) => Err(name),
            }
        },
        |ctx, found| match found {
            Ok(name) => Ok(ctx.str(&name)),
            Err(name) => Err(no_zone(ctx, &format!("{name:?}"))),
        },
    )
}

fn no_zone(ctx: &mut Ctx, name: &str) -> Trap {
    let name: String = name.chars().take(60).collect();
    ctx.throw(
        ErrorKind::Value,
        format!("time: the system knows no time zone {name}"),
    )
}

/// `time.__zones()`
pub(super) fn zones(ctx: &mut Ctx) -> NativeResult {
    ctx.note_outside(Outside::Env);
    ctx.block(
        || {
            let mut names: Vec<String> = jiff::tz::db()
                .available()
                .map(|name| name.to_string())
                .collect();
            names.sort();
            names
        },
        |ctx, names| {
            let names: Vec<Value> = names.iter().map(|name| ctx.str(name)).collect();
            ctx.list(&names)
        },
    )
}

fn failed(ctx: &mut Ctx, name: &str, reason: &dyn std::fmt::Display) -> Trap {
    ctx.throw(ErrorKind::Value, format!("{name}: {reason}"))
}

/// Nanoseconds since 1970: more than 64 bits hold.
fn timestamp(ctx: &mut Ctx, i: usize) -> Result<Timestamp, Trap> {
    let value = ctx.arg(i);
    let ns = match ops::int::to_i64(value) {
        Some(ns) => Some(i128::from(ns)),
        None => ctx.repr_short(value).parse::<i128>().ok(),
    };
    match ns.map(Timestamp::from_nanosecond) {
        Some(Ok(moment)) => Ok(moment),
        _ => {
            let message = "time: the moment is beyond the years -9999 to 9999";
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

fn instant_value(ctx: &mut Ctx, moment: Timestamp) -> Value {
    ops::int::from_i128(ctx.heap(), moment.as_nanosecond())
}

/// A moment in a zone, if that is known.
fn zoned(ctx: &mut Ctx, ns: usize, zone: usize) -> Result<Option<ZonedDateTime>, Trap> {
    let moment = timestamp(ctx, ns)?;
    let zone = known(ctx.str_arg(zone)?);
    Ok(zone.map(|zone| ZonedDateTime::new(moment, zone)))
}

/// `time.__parts(ns, zone)`
pub(super) fn parts(ctx: &mut Ctx) -> NativeResult {
    let Some(zoned) = zoned(ctx, 0, 1)? else {
        return ctx.nil();
    };
    let numbers = [
        i64::from(zoned.year()),
        zoned.month().into(),
        zoned.day().into(),
        zoned.hour().into(),
        zoned.minute().into(),
        zoned.second().into(),
        zoned.subsec_nanosecond().into(),
        zoned.weekday().to_monday_one_offset().into(),
        zoned.day_of_year().into(),
    ];
    let mut values: Vec<Value> = numbers.map(Value::small_int).to_vec();
    values.push(ctx.duration(i64::from(zoned.offset().seconds()) * 1_000_000_000));
    let info = zoned.time_zone().to_offset_info(zoned.timestamp());
    values.push(ctx.str(info.abbreviation()));
    ctx.tuple(&values)
}

/// An int argument that fits a part of a date.
fn part<T: TryFrom<i64>>(ctx: &mut Ctx, i: usize, what: &str) -> Result<T, Trap> {
    let n = ctx.int_arg(i)?;
    T::try_from(n).map_err(|_| failed(ctx, "time.date", &format!("{what} {n} is out of range")))
}

/// `time.__date(year, month, day, hour, minute, second, nanosecond, zone)`
pub(super) fn instant(ctx: &mut Ctx) -> NativeResult {
    let (year, month, day) = (
        part(ctx, 0, "year")?,
        part(ctx, 1, "month")?,
        part(ctx, 2, "day")?,
    );
    let (hour, minute) = (part(ctx, 3, "hour")?, part(ctx, 4, "minute")?);
    let (second, nanosecond) = (part(ctx, 5, "second")?, part(ctx, 6, "nanosecond")?);
    let Some(zone) = known(ctx.str_arg(7)?) else {
        return ctx.nil();
    };
    let moment = DateTime::new(year, month, day, hour, minute, second, nanosecond)
        .and_then(|date| zone.to_ambiguous_timestamp(date).compatible());
    match moment {
        Ok(moment) => Ok(instant_value(ctx, moment)),
        Err(reason) => Err(failed(ctx, "time.date", &reason)),
    }
}

/// `time.__add(ns, zone, years, months, weeks, days, hours, minutes, seconds)`
pub(super) fn add(ctx: &mut Ctx) -> NativeResult {
    let mut counts = [0; 7];
    for (i, count) in counts.iter_mut().enumerate() {
        *count = ctx.int_arg(i + 2)?;
    }
    let Some(zoned) = zoned(ctx, 0, 1)? else {
        return ctx.nil();
    };
    let [years, months, weeks, days, hours, minutes, seconds] = counts;
    // One after the other: a span has one sign.
    let spans = [
        Span::new().try_years(years),
        Span::new().try_months(months),
        Span::new().try_weeks(weeks),
        Span::new().try_days(days),
        Span::new().try_hours(hours),
        Span::new().try_minutes(minutes),
        Span::new().try_seconds(seconds),
    ];
    let mut result = Ok(zoned);
    for span in spans {
        result = result.and_then(|zoned| {
            let span = span?;
            if span.is_zero() {
                Ok(zoned)
            } else {
                zoned.checked_add(span)
            }
        });
    }
    match result {
        Ok(zoned) => Ok(instant_value(ctx, zoned.timestamp())),
        Err(reason) => Err(failed(ctx, "DateTime.add", &reason)),
    }
}

/// `time.__until(ns, other, zone, unit)`
pub(super) fn until(ctx: &mut Ctx) -> NativeResult {
    let unit = match ctx.str_arg(3)? {
        "years" => Unit::Year,
        "months" => Unit::Month,
        "weeks" => Unit::Week,
        "days" => Unit::Day,
        "hours" => Unit::Hour,
        "minutes" => Unit::Minute,
        _ => Unit::Second,
    };
    let (Some(from), Some(to)) = (zoned(ctx, 0, 2)?, zoned(ctx, 1, 2)?) else {
        return ctx.nil();
    };
    match from.until((unit, &to)) {
        Ok(span) => {
            let count = match unit {
                Unit::Year => i64::from(span.get_years()),
                Unit::Month => span.get_months().into(),
                Unit::Week => span.get_weeks().into(),
                Unit::Day => span.get_days().into(),
                Unit::Hour => span.get_hours().into(),
                Unit::Minute => span.get_minutes(),
                _ => span.get_seconds(),
            };
            Ok(ctx.int(count))
        }
        Err(reason) => Err(failed(ctx, "DateTime.until", &reason)),
    }
}

fn short_text<'c>(ctx: &mut Ctx<'c>, i: usize, what: &str) -> Result<&'c str, Trap> {
    let text = ctx.str_arg(i)?;
    if text.len() > MAX_BYTES {
        let message = format!("time: {what} is longer than {MAX_BYTES} bytes");
        return Err(ctx.throw(ErrorKind::Value, message));
    }
    Ok(text)
}

/// `time.__format(ns, zone, format)`
pub(super) fn format(ctx: &mut Ctx) -> NativeResult {
    let format = short_text(ctx, 2, "the format")?;
    let Some(zoned) = zoned(ctx, 0, 1)? else {
        return ctx.nil();
    };
    match strtime::format(format, &zoned) {
        Ok(text) => crate::support::new_str(ctx, &text),
        Err(reason) => Err(failed(ctx, "DateTime.format", &reason)),
    }
}

/// `time.__iso(ns, offset, is_utc)`
pub(super) fn iso(ctx: &mut Ctx) -> NativeResult {
    let moment = timestamp(ctx, 0)?;
    let seconds = ctx.int_arg(1)?;
    let text = match Offset::from_seconds(seconds.clamp(-90_000, 90_000) as i32) {
        Ok(offset) if !ctx.arg(2).is_truthy() => moment.display_with_offset(offset).to_string(),
        _ => moment.to_string(),
    };
    Ok(ctx.str(&text))
}

/// `time.__duration(ns)`
pub(super) fn duration(ctx: &mut Ctx) -> NativeResult {
    match ops::int::to_i64(ctx.arg(0)) {
        Some(ns) => Ok(ctx.duration(ns)),
        None => {
            let message = "DateTime: more than 292 years are no duration; 'until' counts them";
            Err(ctx.throw(ErrorKind::Value, message))
        }
    }
}

/// What a text says of the zone.
enum Said {
    Nothing,
    Offset(Offset),
    Zone(String),
}

/// `time.__parse(text, format, zone)`: the moment and its zone; nil and a zone that must be read first.
pub(super) fn parse(ctx: &mut Ctx) -> NativeResult {
    let text = short_text(ctx, 0, "the text")?;
    let format = match ctx.arg(1).is_nil() {
        true => None,
        false => Some(short_text(ctx, 1, "the format")?),
    };
    let zone = ctx.str_arg(2)?;
    let read = match format {
        None => read_iso(text),
        Some(format) => read_by_format(text, format),
    };
    let (date, said) = match read {
        Ok(found) => found,
        Err(reason) => {
            let shown = ctx.repr_short(ctx.arg(0));
            return Err(failed(ctx, "time.parse", &format!("{shown}: {reason}")));
        }
    };
    let name = match &said {
        Said::Nothing => zone.to_string(),
        Said::Offset(Offset::UTC) => "UTC".to_string(),
        Said::Offset(offset) => offset.to_string(),
        Said::Zone(name) => name.clone(),
    };
    let shown = ctx.str(&name);
    let Some(found) = known(&name) else {
        return ctx.tuple(&[Value::NIL, shown]);
    };
    match found.to_ambiguous_timestamp(date).compatible() {
        Ok(moment) => {
            let ns = instant_value(ctx, moment);
            ctx.tuple(&[ns, shown])
        }
        Err(reason) => Err(failed(ctx, "time.parse", &reason)),
    }
}

fn read_iso(text: &str) -> Result<(DateTime, Said), jiff::Error> {
    let pieces = temporal::DateTimeParser::new().parse_pieces(text)?;
    let time = pieces.time().unwrap_or_else(jiff::civil::Time::midnight);
    let said = match (pieces.time_zone_annotation(), pieces.to_numeric_offset()) {
        // The offset says which of two times is meant: kept, unless a zone is named.
        (Some(zone), _) => match zone.kind() {
            temporal::TimeZoneAnnotationKind::Named(name) => Said::Zone(name.as_str().into()),
            temporal::TimeZoneAnnotationKind::Offset(offset) => Said::Offset(*offset),
            _ => Said::Nothing,
        },
        (None, Some(offset)) => Said::Offset(offset),
        (None, None) => Said::Nothing,
    };
    Ok((pieces.date().to_datetime(time), said))
}

fn read_by_format(text: &str, format: &str) -> Result<(DateTime, Said), jiff::Error> {
    let found = strtime::parse(format, text)?;
    if let Some(moment) = found.timestamp() {
        let offset = found.offset().unwrap_or(Offset::UTC);
        return Ok((offset.to_datetime(moment), Said::Offset(offset)));
    }
    let time = found
        .to_time()
        .unwrap_or_else(|_| jiff::civil::Time::midnight());
    let date = found.to_date()?.to_datetime(time);
    let said = match (found.iana_time_zone(), found.offset()) {
        (Some(name), _) => Said::Zone(name.into()),
        (None, Some(offset)) => Said::Offset(offset),
        (None, None) => Said::Nothing,
    };
    Ok((date, said))
}
