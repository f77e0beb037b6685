//! Which snapshots there are, and which sample belongs to which split.

use std::collections::BTreeMap;

use supermoe_channels::{HashPurpose, Split, stable_hash};

use crate::dates::{Date, written};
use crate::error::PrepareError;
use crate::params::{Params, TaskParams};
use crate::split_params::{Every, SnapshotRange, Snapshots, SplitBy, SplitPart};

/// More snapshots than this are taken for a mistake.
const MOST_SNAPSHOTS: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Snapshot {
    pub date: Date,
    pub role: SnapshotRole,
}

/// Which split the samples of a snapshot belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotRole {
    /// All to this one.
    All(Split),
    /// To that of their entity.
    ByEntity,
}

/// All snapshots, ascending, and what is worth a warning about them.
#[derive(Debug, Clone)]
pub struct Calendar {
    pub snapshots: Vec<Snapshot>,
    pub warnings: Vec<String>,
    shares: Shares,
}

/// Of all entities, by entity; the rest is for training.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Shares {
    valid: f64,
    test: f64,
}

impl Calendar {
    /// `fitted`: whether there is a fitted dataset, so that nothing need be trained on.
    ///
    /// # Errors
    /// No training snapshot where one is needed, a date in two splits, a label window of train or valid
    /// that ends after the first test snapshot, shares that are none, keys that do not go with `by`.
    pub fn new(params: &Params, fitted: bool) -> Result<Self, PrepareError> {
        let splits = &params.splits;
        let mut by_date: BTreeMap<Date, (SnapshotRole, &str)> = BTreeMap::new();
        let mut shares = Shares::default();
        let mut lists = Vec::new();
        match splits.by {
            SplitBy::Time => {
                if !snapshot_dates("snapshots", &splits.snapshots)?.is_empty() {
                    let problem = "it is for `by: entity`; by time, `train`, `valid` and `test` have \
                                   snapshots of their own";
                    return Err(PrepareError::param("with.splits.snapshots", problem));
                }
                let train = snapshot_dates("train", &splits.train)?;
                lists.push(("train", SnapshotRole::All(Split::Train), train));
                let parts = [
                    ("valid", Split::Valid, &splits.valid),
                    ("test", Split::Test, &splits.test),
                ];
                for (name, split, part) in parts {
                    lists.push((name, SnapshotRole::All(split), part_dates(name, part)?));
                }
            }
            SplitBy::Entity => {
                if !snapshot_dates("train", &splits.train)?.is_empty() {
                    let problem = "by entity all splits have the dates of `snapshots`, and train has the \
                                   entities that `valid` and `test` leave";
                    return Err(PrepareError::param("with.splits.train", problem));
                }
                shares = Shares {
                    valid: share("valid", &splits.valid)?,
                    test: share("test", &splits.test)?,
                };
                if shares.valid + shares.test >= 1.0 {
                    let problem = format!(
                        "valid {} and test {} leave no entity for training",
                        shares.valid, shares.test
                    );
                    return Err(PrepareError::param("with.splits", problem));
                }
                let dates = snapshot_dates("snapshots", &splits.snapshots)?;
                lists.push(("snapshots", SnapshotRole::ByEntity, dates));
            }
        }
        let predict = snapshot_dates("predict", &splits.predict)?;
        lists.push(("predict", SnapshotRole::All(Split::Predict), predict));
        for (name, role, dates) in lists {
            for date in dates {
                if let Some((_, other)) = by_date.insert(date, (role, name)) {
                    let problem = match other == name {
                        true => format!("{date} stands there twice"),
                        false => {
                            format!("{date} is in `{other}` too; a snapshot belongs to one split")
                        }
                    };
                    return Err(PrepareError::param(format!("with.splits.{name}"), problem));
                }
            }
        }
        let snapshots: Vec<Snapshot> = by_date
            .into_iter()
            .map(|(date, (role, _))| Snapshot { date, role })
            .collect();
        let calendar = Self {
            warnings: overlaps(params, &snapshots),
            snapshots,
            shares,
        };
        let nothing_to_do = !fitted || calendar.snapshots.is_empty();
        if nothing_to_do && calendar.training_end_micros().is_none() {
            let (part, problem) = match splits.by {
                SplitBy::Entity => ("snapshots", "it has no snapshot"),
                SplitBy::Time if fitted => ("predict", "there is no snapshot at all"),
                SplitBy::Time => ("train", "it has no snapshot"),
            };
            return Err(PrepareError::param(format!("with.splits.{part}"), problem));
        }
        check_label_windows(params, &calendar.snapshots)?;
        Ok(calendar)
    }

    /// The training period ends here: the last snapshot with training samples; none where nothing is
    /// trained on.
    pub fn training_end_micros(&self) -> Option<i64> {
        let training = |snapshot: &&Snapshot| {
            matches!(
                snapshot.role,
                SnapshotRole::All(Split::Train) | SnapshotRole::ByEntity
            )
        };
        let last = self.snapshots.iter().rfind(training);
        last.map(|snapshot| snapshot.date.micros())
    }

    /// The split of the sample of an entity at a snapshot.
    pub fn split(&self, snapshot: Snapshot, entity: Split) -> Split {
        match snapshot.role {
            SnapshotRole::All(split) => split,
            SnapshotRole::ByEntity => entity,
        }
    }

    /// The split of an entity where entities are apart; by time every entity is trained on.
    pub fn split_of_entity(&self, key: &str) -> Split {
        // The 53 highest bits, which a f64 holds exactly: from 0 up to, not including, 1.
        let at = (stable_hash(HashPurpose::Split, key) >> 11) as f64 / (1u64 << 53) as f64;
        let Shares { valid, test } = self.shares;
        if at < test {
            Split::Test
        } else if at < test + valid {
            Split::Valid
        } else {
            Split::Train
        }
    }

    /// Whether some sample can be of this split.
    pub fn asks_for(&self, split: Split) -> bool {
        self.snapshots.iter().any(|snapshot| match snapshot.role {
            SnapshotRole::All(of) => of == split,
            SnapshotRole::ByEntity => match split {
                Split::Train => true,
                Split::Valid => self.shares.valid > 0.0,
                Split::Test => self.shares.test > 0.0,
                Split::Predict => false,
            },
        })
    }
}

fn of_split(snapshots: &[Snapshot], split: Split) -> impl DoubleEndedIterator<Item = Date> {
    snapshots
        .iter()
        .filter(move |snapshot| snapshot.role == SnapshotRole::All(split))
        .map(|snapshot| snapshot.date)
}

fn share(name: &str, part: &SplitPart) -> Result<f64, PrepareError> {
    let problem = match part {
        SplitPart::Share(share) if (0.0..1.0).contains(share) => return Ok(*share),
        SplitPart::Dates(dates) if dates.is_empty() => return Ok(0.0),
        SplitPart::Share(share) => {
            format!("{share} is no share: expected 0 or more, and less than 1")
        }
        SplitPart::Dates(_) | SplitPart::Range(_) => {
            "by entity it is a share of the entities, such as 0.1; dates stand in `snapshots`"
                .to_owned()
        }
    };
    Err(PrepareError::param(format!("with.splits.{name}"), problem))
}

fn part_dates(name: &str, part: &SplitPart) -> Result<Vec<Date>, PrepareError> {
    match part {
        SplitPart::Dates(dates) => Ok(dates.clone()),
        SplitPart::Range(range) => range_dates(name, range),
        SplitPart::Share(_) => {
            let problem = "by time it is a list of dates, or a map of `from`, `to` and `every`; a share is \
                           for `by: entity`";
            Err(PrepareError::param(format!("with.splits.{name}"), problem))
        }
    }
}

fn snapshot_dates(name: &str, snapshots: &Snapshots) -> Result<Vec<Date>, PrepareError> {
    match snapshots {
        Snapshots::Dates(dates) => Ok(dates.clone()),
        Snapshots::Range(range) => range_dates(name, range),
    }
}

fn range_dates(part: &str, range: &SnapshotRange) -> Result<Vec<Date>, PrepareError> {
    let SnapshotRange { from, to, every } = range;
    let param = format!("with.splits.{part}");
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
    fn months_are_counted_from_the_first() {
        let [from, to] =
            ["2011-01-31", "2011-04-30"].map(|day| Date::try_from(day.to_owned()).expect("a date"));
        let range = SnapshotRange {
            from,
            to,
            every: Every::Month,
        };
        let days: Vec<String> = range_dates("train", &range)
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
