//! Spans of time and dates, as they are written in params and messages.

use std::borrow::Cow;
use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

pub const DAY_MICROS: i64 = 86_400_000_000;

/// A length of time: a whole number and `h`, `d` or `w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span {
    hours: i64,
}

impl Span {
    pub fn micros(self) -> i64 {
        self.hours * 3_600_000_000
    }

    pub fn seconds(self) -> i64 {
        self.hours * 3600
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let problem =
            || format!("`{text}` is no span of time: expected a number and h, d or w, such as 30d");
        let (number, hours) = match text.char_indices().last() {
            Some((at, 'h')) => (&text[..at], 1),
            Some((at, 'd')) => (&text[..at], 24),
            Some((at, 'w')) => (&text[..at], 7 * 24),
            _ => return Err(problem()),
        };
        if number.is_empty()
            || number.len() > 6
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(problem());
        }
        let number: i64 = number.parse().map_err(|_| problem())?;
        if number == 0 {
            return Err(format!("`{text}`: expected more than no time"));
        }
        Ok(Self {
            hours: number * hours,
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hours % 24 == 0 {
            write!(f, "{}d", self.hours / 24)
        } else {
            write!(f, "{}h", self.hours)
        }
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^0*[1-9][0-9]{0,5}[hdw]$",
            "x-expected": "a span of time: a whole number and h, d or w (hours, days, weeks), such as 30d",
            "examples": ["30d"],
        })
    }
}

/// Years, months and the days that they have; which Februaries have 29 is left to [`Date`].
const DATE_PATTERN: &str = "^[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))$";

/// A day, written 2011-08-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Date(pub civil::Date);

impl Date {
    /// Microseconds from 1970-01-01 UTC to the day's 00:00 UTC.
    pub fn micros(self) -> i64 {
        let days = (self.0 - civil::date(1970, 1, 1)).get_days();
        i64::from(days) * DAY_MICROS
    }
}

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let form = text.len() == 10 && text.bytes().filter(|&byte| byte == b'-').count() == 2;
        let date = text.parse().ok().filter(|_| form);
        date.map(Date)
            .ok_or_else(|| format!("`{text}` is no date: expected one such as 2011-08-01"))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "date",
            "pattern": DATE_PATTERN,
            "x-expected": "a date such as 2011-08-01",
            "examples": ["2011-08-01"],
        })
    }
}

/// A time as `2009-12-01T07:45:00`, UTC.
pub fn written(micros: i64) -> String {
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => time.to_zoned(TimeZone::UTC).datetime().to_string(),
        Err(_) => format!("{micros} microseconds from 1970-01-01"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_with_a_unit() {
        let span = |text: &str| Span::try_from(text.to_owned());
        assert_eq!(span("30d").map(Span::seconds), Ok(30 * 86_400));
        assert_eq!(
            span("2w").map(|span| span.to_string()),
            Ok("14d".to_owned())
        );
        assert_eq!(
            span("36h").map(|span| span.to_string()),
            Ok("36h".to_owned())
        );
        for wrong in [
            "", "d", "30", "-1d", "0d", "1.5d", "30 d", "9999999d", "3m", "३d",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn dates_are_days_in_utc() {
        let date = |text: &str| Date::try_from(text.to_owned());
        assert_eq!(date("1970-01-02").map(Date::micros), Ok(DAY_MICROS));
        assert_eq!(date("1969-12-31").map(Date::micros), Ok(-DAY_MICROS));
        for wrong in [
            "",
            "2011-02-30",
            "2011-8-1",
            "20110801",
            "2011-08-01T00:00",
            "yesterday",
        ] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }
}
