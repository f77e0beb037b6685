//! Dates, spans of time, and which snapshot belongs to which split.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::civil;
use jiff::tz::TimeZone;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use supermoe_channels::Split;

use crate::error::PrepareError;
use crate::params::{Every, Params, SnapshotRange, Snapshots, TaskParams};

pub const DAY_MICROS: i64 = 86_400_000_000;

/// More snapshots than this are taken for a mistake.
const MOST_SNAPSHOTS: usize = 10_000;

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
pub struct Date(civil::Date);

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    pub date: Date,
    pub split: Split,
}

/// All snapshots, ascending, and what is worth a warning about them.
#[derive(Debug)]
pub struct Calendar {
    pub snapshots: Vec<Snapshot>,
    pub warnings: Vec<String>,
}

impl Calendar {
    /// # Errors
    /// No training snapshot, a date in two splits, or a label window of train or valid that ends after
    /// the first test snapshot.
    pub fn new(params: &Params) -> Result<Self, PrepareError> {
        let splits = &params.splits;
        let mut by_date: BTreeMap<Date, Split> = BTreeMap::new();
        let lists = [
            (Split::Train, &splits.train),
            (Split::Valid, &splits.valid),
            (Split::Test, &splits.test),
        ];
        for (split, snapshots) in lists {
            for date in dates(split, snapshots)? {
                if let Some(other) = by_date.insert(date, split) {
                    let problem = match other == split {
                        true => format!("{date} stands there twice"),
                        false => {
                            format!("{date} is in `{other}` too; a snapshot belongs to one split")
                        }
                    };
                    return Err(PrepareError::param(format!("with.splits.{split}"), problem));
                }
            }
        }
        let snapshots: Vec<Snapshot> = by_date
            .into_iter()
            .map(|(date, split)| Snapshot { date, split })
            .collect();
        if !snapshots
            .iter()
            .any(|snapshot| snapshot.split == Split::Train)
        {
            return Err(PrepareError::param(
                "with.splits.train",
                "it has no snapshot",
            ));
        }
        check_label_windows(params, &snapshots)?;
        let warnings = overlaps(params, &snapshots);
        Ok(Self {
            snapshots,
            warnings,
        })
    }

    /// The training period ends here: the last training snapshot.
    pub fn training_end_micros(&self) -> i64 {
        // `new` has found a training snapshot.
        of_split(&self.snapshots, Split::Train)
            .last()
            .map_or(0, |date| date.micros())
    }
}

fn of_split(snapshots: &[Snapshot], split: Split) -> impl DoubleEndedIterator<Item = Date> {
    snapshots
        .iter()
        .filter(move |snapshot| snapshot.split == split)
        .map(|snapshot| snapshot.date)
}

fn dates(split: Split, snapshots: &Snapshots) -> Result<Vec<Date>, PrepareError> {
    let SnapshotRange { from, to, every } = match snapshots {
        Snapshots::Dates(dates) => return Ok(dates.clone()),
        Snapshots::Range(range) => range,
    };
    let param = format!("with.splits.{split}");
    if from > to {
        return Err(PrepareError::param(
            param,
            format!("`from` {from} is after `to` {to}"),
        ));
    }
    let mut dates = Vec::new();
    for i in 0.. {
        // Each is counted from the first, so that the 31st comes back after a month of 30 days.
        let step = match every {
            Every::Day => jiff::Span::new().try_days(i),
            Every::Week => jiff::Span::new().try_weeks(i),
            Every::Month => jiff::Span::new().try_months(i),
        };
        let Some(date) = step
            .and_then(|step| from.0.checked_add(step))
            .ok()
            .filter(|date| *date <= to.0)
        else {
            break;
        };
        dates.push(Date(date));
        if dates.len() > MOST_SNAPSHOTS {
            return Err(PrepareError::param(
                param,
                format!("more than {MOST_SNAPSHOTS} snapshots"),
            ));
        }
    }
    Ok(dates)
}

/// A label of train or valid must not look at days that a test label looks at.
fn check_label_windows(params: &Params, snapshots: &[Snapshot]) -> Result<(), PrepareError> {
    let Some(first_test) = of_split(snapshots, Split::Test).next() else {
        return Ok(());
    };
    for split in [Split::Train, Split::Valid] {
        let Some(last) = of_split(snapshots, split).last() else {
            continue;
        };
        for (task, TaskParams { within, .. }) in &params.tasks {
            let end = last.micros() + within.micros();
            if end > first_test.micros() {
                let end = written(end);
                return Err(PrepareError::param(
                    format!("with.splits.{split}"),
                    format!(
                        "the label window of snapshot {last} (task `{task}`, {within}) ends {end}, \
                         after the first test snapshot {first_test}; a label of `{split}` would look at days \
                         that a test label looks at"
                    ),
                ));
            }
        }
        if last >= first_test {
            let problem =
                format!("snapshot {last} is not before the first test snapshot {first_test}");
            return Err(PrepareError::param(format!("with.splits.{split}"), problem));
        }
    }
    Ok(())
}

fn overlaps(params: &Params, snapshots: &[Snapshot]) -> Vec<String> {
    let last_train = of_split(snapshots, Split::Train).last();
    let first_valid = of_split(snapshots, Split::Valid).next();
    let longest = params.tasks.iter().max_by_key(|(_, task)| task.within);
    let (Some(train), Some(valid), Some((name, task))) = (last_train, first_valid, longest) else {
        return Vec::new();
    };
    let end = train.micros() + task.within.micros();
    if end <= valid.micros() {
        return Vec::new();
    }
    let (within, end) = (task.within, written(end));
    vec![format!(
        "label windows of train and valid overlap: that of train snapshot {train} (task `{name}`, {within}) \
         ends {end}, after valid snapshot {valid}; this touches early stopping only"
    )]
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

    #[test]
    fn months_are_counted_from_the_first() {
        let [from, to] =
            ["2011-01-31", "2011-04-30"].map(|day| Date::try_from(day.to_owned()).expect("a date"));
        let range = Snapshots::Range(SnapshotRange {
            from,
            to,
            every: Every::Month,
        });
        let days: Vec<String> = dates(Split::Train, &range)
            .expect("a range")
            .iter()
            .map(Date::to_string)
            .collect();
        assert_eq!(
            days,
            ["2011-01-31", "2011-02-28", "2011-03-31", "2011-04-30"]
        );
    }
}
