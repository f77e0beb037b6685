//! Snapshots, splits and label windows that fit into the time that the data span.

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};

const DAY_MICROS: i64 = 86_400_000_000;
/// More training snapshots add much work and little news.
const MOST_TRAIN: usize = 24;

/// Days of the data: the first, and the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    pub first: Date,
    pub end: Date,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitPlan {
    pub by: By,
    /// Days of the longest label window.
    pub window: i64,
    pub history: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Time {
        every: &'static str,
        train: Vec<Date>,
        valid: Date,
        test: Vec<Date>,
    },
    /// The data are too short for snapshots that follow each other.
    Entity { snapshots: Vec<Date> },
}

impl Days {
    pub fn of(first_micros: i64, last_micros: i64) -> Option<Days> {
        let day = |micros: i64| {
            let time = Timestamp::from_microsecond(micros).ok()?;
            Some(time.to_zoned(TimeZone::UTC).date())
        };
        Some(Days {
            first: day(first_micros)?,
            end: plus(day(last_micros)?, 1)?,
        })
    }

    pub fn count(self) -> i64 {
        days_between(self.first, self.end)
    }
}

impl SplitPlan {
    /// The snapshots of training.
    pub fn train(&self) -> &[Date] {
        match &self.by {
            By::Time { train, .. } => train,
            By::Entity { snapshots } => snapshots,
        }
    }
}

pub fn micros(date: Date) -> i64 {
    days_between(jiff::civil::date(1970, 1, 1), date) * DAY_MICROS
}

pub fn days_between(from: Date, to: Date) -> i64 {
    let between: SignedDuration = to.duration_since(from);
    between.as_hours() / 24
}

fn plus(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

/// The plans that the data are long enough for, the most telling first; none where they span one day.
pub fn plans(days: Days) -> Vec<SplitPlan> {
    let of_months = [30, 60, 90]
        .into_iter()
        .filter_map(|window| by_months(days, window));
    let of_steps = [(7, "week"), (14, "week"), (1, "day"), (3, "day")].into_iter();
    let of_steps = of_steps.filter_map(|(window, every)| by_steps(days, window, every));
    let of_entities = by_entity(days);
    of_months.chain(of_steps).chain(of_entities).collect()
}

fn history(days: Days) -> i64 {
    match days.count() {
        365.. => 365,
        count @ 60.. => ((count + 29) / 30 * 30).min(365),
        count => count,
    }
}

fn by_months(days: Days, window: i64) -> Option<SplitPlan> {
    if days.count() < 6 * window.max(30) {
        return None;
    }
    let month_of = |date: Date| date.first_of_month();
    let earlier = |date: Date, months: i64| {
        let span = Span::new().try_months(months).ok()?;
        Some(month_of(date.checked_sub(span).ok()?))
    };
    let last_test = month_of(plus(days.end, -window)?);
    let tests = match days.count() {
        365.. => 3,
        240.. => 2,
        _ => 1,
    };
    let first_test = earlier(last_test, tests - 1)?;
    let valid = month_of(plus(first_test, -window)?);
    let last_train = month_of(plus(valid, -window)?);
    let lead = plus(days.first, (days.count() / 6).clamp(28, 120))?;
    let months_back = |from: Date, count: i64| -> Vec<Date> {
        let dates = (0..count).filter_map(|back| earlier(from, back));
        let mut dates: Vec<Date> = dates.collect();
        dates.reverse();
        dates
    };
    let mut train = months_back(last_train, MOST_TRAIN as i64);
    train.retain(|date| *date >= lead);
    let test = months_back(last_test, tests);
    time_plan(days, "month", train, valid, test, window)
}

fn by_steps(days: Days, window: i64, every: &'static str) -> Option<SplitPlan> {
    let step = if every == "week" { 7 } else { 1 };
    if days.count() < 6 * window.max(step) {
        return None;
    }
    let last_test = plus(days.end, -window)?;
    let tests = if days.count() >= 12 * window.max(step) {
        2
    } else {
        1
    };
    let first_test = plus(last_test, -step * (tests - 1))?;
    let valid = plus(first_test, -window)?;
    let last_train = plus(valid, -window)?;
    let lead = plus(days.first, (days.count() / 6).max(window))?;
    let back = |from: Date, count: i64| -> Vec<Date> {
        let dates = (0..count).filter_map(|number| plus(from, -step * number));
        let mut dates: Vec<Date> = dates.collect();
        dates.reverse();
        dates
    };
    let mut train = back(last_train, MOST_TRAIN as i64);
    train.retain(|date| *date >= lead);
    let test = back(last_test, tests);
    time_plan(days, every, train, valid, test, window)
}

fn time_plan(
    days: Days,
    every: &'static str,
    train: Vec<Date>,
    valid: Date,
    test: Vec<Date>,
    window: i64,
) -> Option<SplitPlan> {
    (train.len() >= 2).then(|| SplitPlan {
        by: By::Time {
            every,
            train,
            valid,
            test,
        },
        window,
        history: history(days),
    })
}

fn by_entity(days: Days) -> Vec<SplitPlan> {
    let count = days.count();
    let windows = [(count * 3 / 10).clamp(1, 30), (count / 2).clamp(1, 30), 1];
    let mut plans: Vec<SplitPlan> = Vec::new();
    for window in windows {
        let Some(last) = plus(days.end, -window) else {
            continue;
        };
        let earliest = plus(days.first, (count / 3).max(1));
        let dates = (0..3).filter_map(|back| plus(last, -window * back));
        let mut snapshots: Vec<Date> = dates
            .filter(|date| *date == last || earliest.is_some_and(|earliest| *date >= earliest))
            .filter(|date| *date > days.first)
            .collect();
        snapshots.reverse();
        let plan = SplitPlan {
            by: By::Entity { snapshots },
            window,
            history: history(days),
        };
        if !plan.train().is_empty() && !plans.contains(&plan) {
            plans.push(plan);
        }
    }
    plans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(first: &str, end: &str) -> Days {
        Days {
            first: first.parse().expect("a date"),
            end: end.parse().expect("a date"),
        }
    }

    /// No label window of train or valid may end after the first test snapshot, none of test after the
    /// data, and no snapshot may stand before the data begin.
    fn check(days: Days, plan: &SplitPlan) {
        let after = |date: Date| plus(date, plan.window).expect("a date");
        assert!(
            plan.train().iter().all(|date| *date > days.first),
            "{plan:?}"
        );
        let last = match &plan.by {
            By::Time { test, .. } => test,
            By::Entity { snapshots } => snapshots,
        };
        assert!(last.iter().all(|date| after(*date) <= days.end), "{plan:?}");
        if let By::Time {
            train, valid, test, ..
        } = &plan.by
        {
            let last = train.last().expect("train");
            assert!(train.is_sorted() && test.is_sorted());
            assert!(
                after(*last) <= *valid && after(*valid) <= test[0],
                "{plan:?}"
            );
        }
    }

    #[test]
    fn windows_never_overlap_whatever_the_length() {
        for length in 1..900 {
            for first in ["2020-01-01", "2019-02-28", "2021-05-31"] {
                let first: Date = first.parse().expect("a date");
                let days = Days {
                    first,
                    end: plus(first, length).expect("a date"),
                };
                let plans = plans(days);
                assert_eq!(plans.is_empty(), length < 2, "{length}");
                plans.iter().for_each(|plan| check(days, plan));
            }
        }
    }

    #[test]
    fn two_years_are_split_by_months() {
        let plans = plans(days("2009-12-01", "2011-12-10"));
        let By::Time {
            every,
            train,
            valid,
            test,
        } = &plans[0].by
        else {
            panic!("by time");
        };
        assert_eq!(
            (*every, plans[0].window, plans[0].history),
            ("month", 30, 365)
        );
        let written = |dates: &[Date]| dates.iter().map(Date::to_string).collect::<Vec<_>>();
        assert_eq!(written(test), ["2011-09-01", "2011-10-01", "2011-11-01"]);
        assert_eq!(valid.to_string(), "2011-08-01");
        assert_eq!(written(&train[..1]), ["2010-04-01"]);
        assert_eq!(written(&train[train.len() - 1..]), ["2011-07-01"]);
    }

    #[test]
    fn a_few_days_are_split_by_entity() {
        let plans = plans(days("2021-03-01", "2021-03-04"));
        assert!(matches!(&plans[0].by, By::Entity { snapshots } if !snapshots.is_empty()));
    }
}
