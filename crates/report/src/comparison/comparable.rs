//! Whether what stands in one column was tested on the same samples with the same labels, by the same
//! metrics.

use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::comparison::axes::Axes;
use crate::comparison::error::ComparisonError;
use crate::comparison::level::{Level, TASK, levels_text};
use crate::comparison::observation::{Observation, Observations};

/// How the rows of a table agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreement {
    OneTestSet,
    /// Each repetition has its own test set, which all rows share, and every row has every repetition:
    /// the folds of a cross-validation.
    OnePerRepetition,
}

/// # Errors
/// Two rows of one column with different test sets.
pub(crate) fn check_comparable(
    all: &Observations,
    chosen: &[&Observation],
    axes: &Axes,
) -> Result<Agreement, ComparisonError> {
    // Columns may be of different data (a country each), but not of different runs of one.
    let columns: Vec<Arc<str>> = axes
        .columns
        .iter()
        .filter(|axis| all.matrix_axes.contains(*axis))
        .cloned()
        .collect();
    let mut groups: IndexMap<(Vec<Level>, Level), Vec<&Observation>> = IndexMap::new();
    for value in chosen {
        let key = (value.levels(&columns), value.level(TASK));
        groups.entry(key).or_default().push(value);
    }
    let mut agreement = Agreement::OneTestSet;
    for group in groups.values() {
        if first_difference(group).is_some() {
            check_repetitions(group, axes)?;
            agreement = Agreement::OnePerRepetition;
        }
    }
    Ok(agreement)
}

fn check_repetitions(group: &[&Observation], axes: &Axes) -> Result<(), ComparisonError> {
    let mut repetitions: IndexMap<Vec<Level>, Vec<&Observation>> = IndexMap::new();
    let mut of_rows: IndexMap<Vec<Level>, IndexSet<Vec<Level>>> = IndexMap::new();
    for value in group {
        let repetition = value.levels(&axes.over);
        let of_row = of_rows.entry(value.levels(&axes.rows)).or_default();
        of_row.insert(repetition.clone());
        repetitions.entry(repetition).or_default().push(value);
    }
    let mut within = repetitions
        .values()
        .filter_map(|same| first_difference(same));
    let mut rows = of_rows.values();
    let first = rows.next();
    let is_complete = rows.all(|row| Some(row.len()) == first.map(IndexSet::len))
        && of_rows.values().all(|row| row.len() == repetitions.len());
    let difference = match (within.next(), is_complete) {
        (None, true) => return Ok(()),
        (Some(difference), _) => Some(difference),
        (None, false) => first_difference(group),
    };
    match difference {
        Some(difference) => Err(not_comparable(difference, axes)),
        None => Ok(()),
    }
}

struct Difference<'a> {
    first: &'a Observation,
    second: &'a Observation,
    kind: Kind,
}

enum Kind {
    /// One of them says nothing of its test set.
    Untold,
    Differ(String),
}

fn first_difference<'a>(group: &[&'a Observation]) -> Option<Difference<'a>> {
    let (first, others) = group.split_first()?;
    others.iter().find_map(|second| {
        let (a, b) = (&first.test_set, &second.test_set);
        // Most share one, which is not worth a look.
        if Arc::ptr_eq(a, b) || a.is_same_artifact(b) {
            return None;
        }
        let kind = match a.is_told() && b.is_told() {
            true => Kind::Differ(a.difference(b)?),
            false => Kind::Untold,
        };
        Some(Difference {
            first,
            second,
            kind,
        })
    })
}

fn not_comparable(difference: Difference<'_>, axes: &Axes) -> ComparisonError {
    let (first, second) = (difference.first, difference.second);
    let name = |value: &Observation| {
        let row = levels_text(&axes.rows, &value.levels(&axes.rows));
        format!("`{row}` ({})", value.test_set.name)
    };
    let task = first.level(TASK).to_string();
    match difference.kind {
        Kind::Differ(difference) => ComparisonError::NotComparable {
            first: name(first),
            second: name(second),
            task,
            difference,
        },
        Kind::Untold => ComparisonError::UntoldTestSet {
            first: name(first),
            second: name(second),
            task,
            untold: [second, first]
                .into_iter()
                .find(|value| !value.test_set.is_told())
                .map_or_else(String::new, |value| value.test_set.name.clone()),
        },
    }
}
