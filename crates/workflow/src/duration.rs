//! Durations with units: `30s`, `5m`, `2h`, `1d`, `1h30m`, `500ms`; and backoffs: `5s..1m`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// The longest duration: 10 years.
const LONGEST_MS: u64 = 3650 * 86_400_000;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("has no unit")]
    NoUnit,
    #[error("has the unit `{0}`, which is none of ms, s, m, h and d")]
    UnknownUnit(String),
    #[error("begins with no number")]
    NoNumber,
    #[error("has a number with a decimal point")]
    Fraction,
    #[error("is longer than 3650d")]
    TooLong,
    #[error("is zero")]
    Zero,
}

/// Reads a duration of more than nothing: whole numbers, each with its unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Err(DurationError::NoNumber);
        }
        let number: u64 = rest[..digits].parse().map_err(|_| DurationError::TooLong)?;
        rest = &rest[digits..];
        if rest.starts_with(['.', ',']) {
            return Err(DurationError::Fraction);
        }
        let letters = rest
            .find(|letter: char| letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let unit = &rest[..letters];
        if unit.is_empty() {
            return Err(DurationError::NoUnit);
        }
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(DurationError::UnknownUnit(unit.trim().to_owned()));
        };
        total = number
            .checked_mul(*factor)
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= LONGEST_MS)
            .ok_or(DurationError::TooLong)?;
        rest = &rest[letters..];
        if rest.is_empty() {
            break;
        }
    }
    if total == 0 {
        Err(DurationError::Zero)
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Why a text is no backoff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BackoffError {
    #[error("its delay `{0}` {1}")]
    Delay(String, DurationError),
    #[error("its first delay is longer than its largest")]
    Falling,
}

/// Reads `first..largest`, or one delay that is both.
pub(crate) fn parse_backoff(text: &str) -> Result<(Duration, Duration), BackoffError> {
    let delay = |text: &str| {
        parse_duration(text).map_err(|error| BackoffError::Delay(text.trim().to_owned(), error))
    };
    let (first, largest) = match text.split_once("..") {
        Some((first, largest)) => (delay(first)?, delay(largest)?),
        None => (delay(text)?, delay(text)?),
    };
    if first > largest {
        Err(BackoffError::Falling)
    } else {
        Ok((first, largest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_add_up() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(parse_duration("30"), Err(DurationError::NoUnit));
        assert_eq!(
            parse_duration("5 min"),
            Err(DurationError::UnknownUnit("min".to_owned()))
        );
        assert_eq!(parse_duration("h"), Err(DurationError::NoNumber));
        assert_eq!(parse_duration("1.5h"), Err(DurationError::Fraction));
        assert_eq!(parse_duration("0s"), Err(DurationError::Zero));
        assert_eq!(
            parse_duration("99999999999999999999d"),
            Err(DurationError::TooLong)
        );
        assert_eq!(parse_backoff("1m..5s"), Err(BackoffError::Falling));
        assert!(matches!(
            parse_backoff("5s...1m"),
            Err(BackoffError::Delay(..))
        ));
    }

    #[test]
    fn a_backoff_is_a_range_or_one_delay() {
        let seconds = Duration::from_secs;
        assert_eq!(parse_backoff("5s..1m"), Ok((seconds(5), seconds(60))));
        assert_eq!(parse_backoff("5s .. 1m"), Ok((seconds(5), seconds(60))));
        assert_eq!(parse_backoff("10s"), Ok((seconds(10), seconds(10))));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([0-9]{1,25}|[a-zµ. ]|\\PC){0,6}") {
            let _ = parse_duration(&text);
            let _ = parse_backoff(&text);
        }
    }
}
