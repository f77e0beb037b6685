//! Times as text: ISO 8601, or a format of the user's.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;

/// How times are written, and where.
#[derive(Debug, Clone)]
pub struct TimeStyle {
    format: Option<String>,
    time_zone: TimeZone,
    utc: bool,
}

impl TimeStyle {
    /// # Errors
    /// A format that means nothing.
    pub fn new(format: Option<String>, time_zone: TimeZone) -> Result<Self, String> {
        if let Some(format) = &format {
            let example = jiff::civil::date(2011, 8, 1).at(12, 30, 0, 0);
            let written = example
                .to_zoned(TimeZone::UTC)
                .map_err(|error| error.to_string())
                .and_then(|time| strtime::format(format, &time).map_err(|error| error.to_string()))
                .map_err(|error| format!("`{format}` is no format of times: {error}"))?;
            let read = BrokenDownTime::parse(format, &written);
            let day = read.ok().and_then(|read| {
                read.to_date().ok().or_else(|| {
                    read.to_timestamp()
                        .ok()
                        .map(|time| time.to_zoned(TimeZone::UTC).date())
                })
            });
            if day != Some(example.date()) {
                return Err(format!(
                    "`{format}` does not say which day it is: expected one such as %d.%m.%Y %H:%M"
                ));
            }
        }
        Ok(Self {
            format,
            utc: time_zone == TimeZone::UTC,
            time_zone,
        })
    }

    /// What is expected, for messages.
    pub fn expected(&self) -> String {
        match &self.format {
            Some(format) => format!("of the form {format}"),
            None => "such as 2011-08-01 12:30:00".to_owned(),
        }
    }

    /// Microseconds from 1970-01-01 UTC.
    pub fn micros(&self, text: &str) -> Option<i64> {
        let Some(format) = &self.format else {
            let (time, offset) = iso(text)?;
            return self.instant(time, offset);
        };
        let parsed = BrokenDownTime::parse(format, text.trim()).ok()?;
        if parsed.offset().is_some() || parsed.iana_time_zone().is_some() {
            return Some(parsed.to_timestamp().ok()?.as_microsecond());
        }
        if let Ok(time) = parsed.to_datetime() {
            return self.instant(time, None);
        }
        match parsed.to_date() {
            Ok(date) => self.instant(date.at(0, 0, 0, 0), None),
            Err(_) => Some(parsed.to_timestamp().ok()?.as_microsecond()),
        }
    }

    /// The day, as it is written.
    pub fn date(&self, text: &str) -> Option<Date> {
        match &self.format {
            None => iso_date(text),
            Some(format) => BrokenDownTime::parse(format, text.trim())
                .ok()?
                .to_date()
                .ok(),
        }
    }

    /// `offset`: seconds that the place is ahead of UTC.
    fn instant(&self, time: DateTime, offset: Option<i64>) -> Option<i64> {
        match offset {
            Some(offset) => Some(micros_of(time) - offset * 1_000_000),
            None if self.utc => Some(micros_of(time)),
            None => {
                let zoned = time.to_zoned(self.time_zone.clone()).ok()?;
                Some(zoned.timestamp().as_microsecond())
            }
        }
    }
}

/// Of a time that is taken as UTC.
fn micros_of(time: DateTime) -> i64 {
    let days = i64::from((time.date() - jiff::civil::date(1970, 1, 1)).get_days());
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    (days * 86_400 + seconds) * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000
}

/// `2011-08-01`.
pub fn iso_date(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let (month, day) = (digits(&bytes[5..7])?, digits(&bytes[8..])?);
    // Four and two digits each.
    Date::new(year as i16, month as i8, day as i8).ok()
}

/// A date with or without a time of day, and seconds that the place is ahead of UTC where it says so.
pub fn iso(text: &str) -> Option<(DateTime, Option<i64>)> {
    let date = iso_date(text.get(..10)?)?;
    let rest = &text.as_bytes()[10..];
    let Some((separator, rest)) = rest.split_first() else {
        return Some((date.at(0, 0, 0, 0), None));
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-' | b' '))
        .unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    if clock.len() < 5 || clock[2] != b':' {
        return None;
    }
    let (hour, minute) = (digits(&clock[..2])?, digits(&clock[3..5])?);
    let (second, nanosecond) = match &clock[5..] {
        [] => (0, 0),
        [b':', a, b] => (digits(&[*a, *b])?, 0),
        [b':', a, b, b'.' | b',', fraction @ ..] if (1..=9).contains(&fraction.len()) => {
            let scale = 10i64.pow(9 - fraction.len() as u32);
            (digits(&[*a, *b])?, digits(fraction)? * scale)
        }
        _ => return None,
    };
    // A leap second is taken for the one before it.
    let second = second.min(if second == 60 { 59 } else { i64::MAX });
    let in_day = hour < 24 && minute < 60 && second < 60;
    let time =
        in_day.then(|| date.at(hour as i8, minute as i8, second as i8, nanosecond as i32))?;
    Some((time, offset(zone)?))
}

/// `Z`, `+02`, `+0200`, `+02:00`, or nothing; a space may stand before it.
fn offset(zone: &[u8]) -> Option<Option<i64>> {
    let zone = zone.strip_prefix(b" ").unwrap_or(zone);
    let seconds = |sign: u8, hours: &[u8], minutes: &[u8]| {
        let seconds = digits(hours)? * 3600 + digits(minutes)? * 60;
        Some(if sign == b'-' { -seconds } else { seconds })
    };
    match zone {
        [] => Some(None),
        b"Z" | b"z" | b"UTC" => Some(Some(0)),
        [sign @ (b'+' | b'-'), h1, h2] => Some(Some(seconds(*sign, &[*h1, *h2], b"00")?)),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            Some(Some(seconds(*sign, &[*h1, *h2], &[*m1, *m2])?))
        }
        _ => None,
    }
}

/// At most nine digits.
fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0i64, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(format: Option<&str>, zone: &str) -> TimeStyle {
        let zone = TimeZone::get(zone).expect("a zone");
        TimeStyle::new(format.map(str::to_owned), zone).expect("a format")
    }

    #[test]
    fn iso_times_of_many_forms() {
        let utc = style(None, "UTC");
        let noon = 1_312_200_000_000_000;
        for text in [
            "2011-08-01T12:00:00",
            "2011-08-01 12:00",
            "2011-08-01T12:00:00Z",
            "2011-08-01 14:00:00+02:00",
            "2011-08-01T05:30:00-0630",
            "2011-08-01 12:00:00.000000 UTC",
        ] {
            assert_eq!(utc.micros(text), Some(noon), "{text}");
        }
        assert_eq!(utc.micros("2011-08-01 12:00:00.25"), Some(noon + 250_000));
        assert_eq!(utc.micros("1969-12-31"), Some(-86_400_000_000));
        for wrong in [
            "",
            "2011-08-32",
            "2011-8-1",
            "12:00",
            "2011-08-01 25:00",
            "2011-08-01x",
            "é011-08-01",
            "2011-08-01T12:00:00+2",
        ] {
            assert_eq!(utc.micros(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn formats_and_zones_of_the_user() {
        let german = style(Some("%d.%m.%Y %H:%M"), "Europe/Berlin");
        let utc = style(None, "UTC");
        assert_eq!(
            german.micros("01.08.2011 14:00"),
            utc.micros("2011-08-01 12:00")
        );
        assert_eq!(
            german.micros("01.02.2011 13:00"),
            utc.micros("2011-02-01 12:00")
        );
        assert_eq!(german.micros("2011-08-01 14:00"), None);
        let day = style(Some("%m/%d/%Y"), "UTC");
        assert_eq!(day.micros("08/01/2011"), utc.micros("2011-08-01"));
        assert_eq!(day.date("08/01/2011"), iso_date("2011-08-01"));
        let offset = style(Some("%Y%m%d %H%M %z"), "Europe/Berlin");
        assert_eq!(
            offset.micros("20110801 0700 -0500"),
            utc.micros("2011-08-01 12:00")
        );
        let seconds = style(Some("%s"), "UTC");
        assert_eq!(seconds.micros("1312200000"), utc.micros("2011-08-01 12:00"));
        assert!(TimeStyle::new(Some("%H:%M".to_owned()), TimeZone::UTC).is_err());
        assert!(TimeStyle::new(Some("%d.%m.%Y %q".to_owned()), TimeZone::UTC).is_err());
    }
}
