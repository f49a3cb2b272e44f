//! `time`: clocks, and dates in time zones.

mod zones;

use crate::support::wrong;
use heddle_vm::native::{Ctx, NativeModule, NativeResult};
use heddle_vm::thread::Outside;
use heddle_vm::{Value, natives};
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) static MODULE: NativeModule = NativeModule {
    name: "time",
    functions: natives! {
        /// The time since some moment before the program's first use of it, as a duration: never goes back.
        plain "time.now" () => |ctx| { let ns = ctx.clock_ns() as i64; Ok(ctx.duration(ns)) };
        /// The same as now, as an int of nanoseconds.
        plain "time.now_ns" () => |ctx| { let ns = ctx.clock_ns() as i64; Ok(ctx.int(ns)) };
        /// Seconds since 1970 (UTC), as a float: what the wall clock says.
        plain "time.wall" () => |ctx| Ok(Value::float(wall_ns(ctx) as f64 / 1e9));
        /// Nanoseconds since 1970 (UTC), as an int.
        plain "time.wall_ns" () => |ctx| { let ns = wall_ns(ctx); Ok(ctx.int(ns)) };
        /// The date and time, UTC, of seconds since 1970 (now): `2026-01-31T12:00:00Z`.
        plain "time.iso" ("seconds?") => iso;
        blocking "time.__load" (zone) => zones::load;
        blocking "time.__zones" () => zones::zones;
        plain "time.__parts" (ns, zone) => zones::parts;
        plain "time.__date" (year, month, day, hour, minute, second, nanosecond, zone) => zones::instant;
        plain "time.__add" (ns, zone, years, months, weeks, days, hours, minutes, seconds) => zones::add;
        plain "time.__until" (ns, other, zone, unit) => zones::until;
        plain "time.__format" (ns, zone, format) => zones::format;
        plain "time.__iso" (ns, offset, is_utc) => zones::iso;
        plain "time.__duration" (ns) => zones::duration;
        plain "time.__parse" (text, format, zone) => zones::parse;
        plain "time.__wrong" (what, expected, value) => wrong;
    },
    constants: |_| {},
    source: Some(heddle_source!("time")),
};

fn wall_ns(ctx: &mut Ctx) -> i64 {
    ctx.note_outside(Outside::Clock);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

fn iso(ctx: &mut Ctx) -> NativeResult {
    let seconds = match ctx.opt_float_arg(0)? {
        Some(seconds) => seconds.floor() as i64,
        None => wall_ns(ctx).div_euclid(1_000_000_000),
    };
    Ok(ctx.str(&utc_text(seconds)))
}

fn utc_text(seconds: i64) -> String {
    let (year, month, day) = date_of(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day of a number of days since 1970: counted in eras of 400 years that begin in March, so that the leap day is
/// the last of a year.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::utc_text;

    #[test]
    fn dates_of_well_known_seconds() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(utc_text(seconds), text);
        }
    }
}
