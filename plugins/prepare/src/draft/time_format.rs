//! How the times of a column are written.

use jiff::civil::Time;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

use crate::draft::column_name::sql_text;

/// How a column's values are read as times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFormat {
    /// The file has times already.
    Typed,
    /// ISO 8601: `2021-03-04`, `2021-03-04T05:06:07.8+02:00`.
    Iso,
    /// A format of `to_timestamp`.
    Pattern(String),
    Epoch(EpochUnit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpochUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// Which zone's digits a time without a zone is taken for.
pub const WITHOUT_ZONE: &str = "UTC";

/// 1990 and 2100 in seconds: what is taken for a time.
const PLAUSIBLE: std::ops::Range<i64> = 631_152_000..4_102_444_800;

const MICROS: i64 = 1_000_000;

impl EpochUnit {
    pub const ALL: [EpochUnit; 4] = [
        EpochUnit::Seconds,
        EpochUnit::Milliseconds,
        EpochUnit::Microseconds,
        EpochUnit::Nanoseconds,
    ];

    fn per_second(self) -> i64 {
        match self {
            EpochUnit::Seconds => 1,
            EpochUnit::Milliseconds => 1_000,
            EpochUnit::Microseconds => MICROS,
            EpochUnit::Nanoseconds => 1_000 * MICROS,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            EpochUnit::Seconds => "seconds",
            EpochUnit::Milliseconds => "milliseconds",
            EpochUnit::Microseconds => "microseconds",
            EpochUnit::Nanoseconds => "nanoseconds",
        }
    }

    fn micros(self, text: &str) -> Option<i64> {
        let text = text.trim();
        let count: i64 = match text.split_once('.') {
            // As programs write whole numbers that have passed through floating point.
            Some((whole, fraction)) if fraction.bytes().all(|byte| byte == b'0') => whole.parse(),
            _ => text.parse(),
        }
        .ok()?;
        let seconds = count.div_euclid(self.per_second());
        if !PLAUSIBLE.contains(&seconds) {
            return None;
        }
        let rest = count.rem_euclid(self.per_second());
        Some(seconds * MICROS + (rest as i128 * MICROS as i128 / self.per_second() as i128) as i64)
    }
}

impl TimeFormat {
    /// Microseconds from 1970-01-01 UTC; None where the text is no time of this format.
    pub fn micros(&self, text: &str) -> Option<i64> {
        match self {
            TimeFormat::Typed | TimeFormat::Iso => iso_micros(text),
            TimeFormat::Pattern(pattern) => pattern_micros(pattern, text),
            TimeFormat::Epoch(unit) => unit.micros(text),
        }
    }

    /// SQL that makes a timestamp of the column.
    pub fn sql(&self, column: &str) -> String {
        match self {
            TimeFormat::Typed => column.to_owned(),
            TimeFormat::Iso => format!("CAST({column} AS TIMESTAMP)"),
            TimeFormat::Pattern(pattern) => {
                // Digits alone are read as a number where a file says no types.
                let column = match pattern.contains(['/', '-', '.', ' ', ':']) {
                    true => column.to_owned(),
                    false => format!("CAST({column} AS VARCHAR)"),
                };
                format!("to_timestamp({column}, {})", sql_text(pattern))
            }
            TimeFormat::Epoch(unit) => {
                let function = match unit {
                    EpochUnit::Seconds => "to_timestamp_seconds",
                    EpochUnit::Milliseconds => "to_timestamp_millis",
                    EpochUnit::Microseconds => "to_timestamp_micros",
                    EpochUnit::Nanoseconds => "to_timestamp_nanos",
                };
                format!("{function}(CAST({column} AS BIGINT))")
            }
        }
    }

    /// For the user: `dd/mm/yyyy hh:mm`, `milliseconds since 1970`.
    pub fn shown(&self) -> String {
        match self {
            TimeFormat::Typed => "a timestamp".to_owned(),
            TimeFormat::Iso => "ISO 8601".to_owned(),
            TimeFormat::Epoch(unit) => format!("{} since 1970-01-01 UTC", unit.name()),
            TimeFormat::Pattern(pattern) => {
                let mut shown = pattern.clone();
                for (from, to) in [
                    ("%Y", "yyyy"),
                    ("%y", "yy"),
                    ("%m", "mm"),
                    ("%d", "dd"),
                    ("%b", "Mon"),
                    ("%B", "Month"),
                    ("%H", "hh"),
                    ("%I", "hh"),
                    ("%M", "mm"),
                    ("%S%.f", "ss.fff"),
                    ("%S", "ss"),
                    ("%p", "AM"),
                    ("%:z", "+hh:mm"),
                    ("%z", "+hhmm"),
                ] {
                    shown = shown.replace(from, to);
                }
                shown
            }
        }
    }

    /// Whether values say in which zone they are.
    pub fn has_zone(&self, example: &str) -> bool {
        match self {
            TimeFormat::Typed | TimeFormat::Epoch(_) => true,
            TimeFormat::Pattern(pattern) => ["z", "Z", "UTC"].iter().any(|z| pattern.ends_with(z)),
            TimeFormat::Iso => example
                .get(10..)
                .is_some_and(|time| time.contains(['Z', '+', '-'])),
        }
    }

    /// The other reading of a date such as 03/04/2021.
    pub fn with_day_and_month_exchanged(&self) -> Option<TimeFormat> {
        let TimeFormat::Pattern(pattern) = self else {
            return None;
        };
        let (day, month) = (pattern.find("%d")?, pattern.find("%m")?);
        if pattern.starts_with("%Y") || day.abs_diff(month) != 3 {
            return None;
        }
        let exchanged = pattern
            .replace("%d", "%?")
            .replace("%m", "%d")
            .replace("%?", "%m");
        Some(TimeFormat::Pattern(exchanged))
    }

    pub fn day_is_first(&self) -> bool {
        matches!(self, TimeFormat::Pattern(pattern) if pattern.starts_with("%d"))
    }
}

/// What a cast to a timestamp reads.
fn iso_micros(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let pattern = match bytes.get(10) {
        None => "%Y-%m-%d",
        Some(b'T') => "%Y-%m-%dT%H:%M:%S%.f",
        Some(b' ') => "%Y-%m-%d %H:%M:%S%.f",
        Some(_) => return None,
    };
    // A zone stands behind the time, which has no sign itself.
    let zone = text
        .get(11..)
        .and_then(|time| time.find(['Z', '+', '-']))
        .map(|at| at + 11);
    let (local, zone) = match zone {
        Some(at) => (text.get(..at)?, text.get(at..)?),
        None => (text, ""),
    };
    if local.len() > 10 && local.len() < 19 {
        return None;
    }
    let offset = match zone {
        "" | "Z" => 0,
        zone => offset_seconds(zone)?,
    };
    Some(pattern_micros(pattern, local)? - offset * MICROS)
}

/// `+02:00`, `+0200`, `+02`.
fn offset_seconds(zone: &str) -> Option<i64> {
    let sign = match zone.bytes().next()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|&c| c != ':').collect();
    let colon_is_right = match zone.find(':') {
        Some(at) => at == 3 && digits.len() == 4,
        None => true,
    };
    if !colon_is_right || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = match digits.len() {
        2 => (digits.parse().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse().ok()?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn pattern_micros(pattern: &str, text: &str) -> Option<i64> {
    let first = text.bytes().next()?;
    if !first.is_ascii_alphanumeric() {
        return None;
    }
    let parsed = BrokenDownTime::parse(pattern, text).ok()?;
    let date = parsed.to_date().ok()?;
    // Four digits of a year may be two to a parser, and the other way round.
    let long_year = pattern.contains("%Y");
    if long_year && !(1900..2200).contains(&date.year()) {
        return None;
    }
    let time = match pattern.contains("%H") || pattern.contains("%I") {
        true => parsed.to_time().ok()?,
        false => Time::midnight(),
    };
    let zone = TimeZone::fixed(parsed.offset().unwrap_or(Offset::UTC));
    let instant = zone.to_timestamp(date.to_datetime(time)).ok()?;
    Some(instant.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_it_says() {
        let micros =
            |format: &TimeFormat, text: &str| format.micros(text).map(|micros| micros / MICROS);
        let noon = Some(1_614_859_200);
        assert_eq!(micros(&TimeFormat::Iso, "2021-03-04T12:00:00Z"), noon);
        assert_eq!(micros(&TimeFormat::Iso, "2021-03-04 14:00:00+02:00"), noon);
        let pattern = |pattern: &str| TimeFormat::Pattern(pattern.to_owned());
        assert_eq!(micros(&pattern("%d/%m/%Y %H:%M"), "4/3/2021 12:00"), noon);
        assert_eq!(
            micros(&pattern("%m/%d/%y %I:%M %p"), "03/04/21 12:00 PM"),
            noon
        );
        assert_eq!(
            micros(
                &pattern("%d/%b/%Y:%H:%M:%S %z"),
                "04/Mar/2021:13:00:00 +0100"
            ),
            noon
        );
        assert_eq!(
            micros(&TimeFormat::Epoch(EpochUnit::Milliseconds), "1614859200000"),
            noon
        );
        assert_eq!(
            micros(&TimeFormat::Epoch(EpochUnit::Seconds), "1614859200.0"),
            noon
        );
    }
}
