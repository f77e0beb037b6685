//! Whether cells were tested on the same samples with the same labels.

use std::collections::BTreeSet;

use crate::error::EvaluateError;
use crate::predictions::{Prediction, PredictionFile, TaskPredictions};

/// # Errors
/// The first two cells whose test sets differ, and how: tasks, samples, or labels.
pub fn check_comparable(cells: &[PredictionFile]) -> Result<(), EvaluateError> {
    let Some((first, others)) = cells.split_first() else {
        return Err(EvaluateError::NoPredictions);
    };
    for (i, other) in (2..).zip(others) {
        if let Some(difference) = difference(first, other) {
            return Err(EvaluateError::NotComparable {
                first: name(first, 1),
                second: name(other, i),
                difference,
            });
        }
    }
    Ok(())
}

/// Cells without matrix values are told apart by their place.
fn name(cell: &PredictionFile, place: usize) -> String {
    if cell.matrix.is_empty() {
        format!("input {place}")
    } else {
        format!("`{}`", cell.cell())
    }
}

fn difference(first: &PredictionFile, second: &PredictionFile) -> Option<String> {
    let tasks = |cell: &PredictionFile| -> BTreeSet<String> {
        cell.tests().map(|(task, _)| task.to_owned()).collect()
    };
    let (of_first, of_second) = (tasks(first), tasks(second));
    if of_first != of_second {
        let list = |tasks: BTreeSet<String>| tasks.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!(
            "its test tasks are {}, the other's {}",
            list(of_second),
            list(of_first)
        ));
    }
    let pairs = first.tests().zip(second.tests());
    pairs.into_iter().find_map(|((task, a), (_, b))| {
        differing_samples(a, b)
            .or_else(|| differing_labels(a, b))
            .map(|how| format!("task `{task}`: {how}"))
    })
}

fn differing_samples(a: &TaskPredictions, b: &TaskPredictions) -> Option<String> {
    let samples = |of: &TaskPredictions| -> BTreeSet<(String, i64)> {
        of.rows
            .iter()
            .map(|row| (row.entity.clone(), row.snapshot_ms))
            .collect()
    };
    let (of_a, of_b) = (samples(a), samples(b));
    if of_a == of_b {
        return None;
    }
    let (only_a, only_b) = (
        of_a.difference(&of_b).count(),
        of_b.difference(&of_a).count(),
    );
    let example = of_a.symmetric_difference(&of_b).next();
    let example = example.map_or_else(String::new, |(entity, at)| {
        format!(", for example entity {entity} at {}", date(*at))
    });
    Some(format!(
        "its test set has {} samples, the other's {}: {only_b} are in this one alone, {only_a} in the other \
         alone{example}",
        of_b.len(),
        of_a.len()
    ))
}

fn differing_labels(a: &TaskPredictions, b: &TaskPredictions) -> Option<String> {
    // The samples are the same, and sorted.
    let pairs = a
        .rows
        .iter()
        .zip(&b.rows)
        .filter(|(a, b)| a.label != b.label);
    let differing: Vec<(&Prediction, &Prediction)> = pairs.collect();
    let (a, b) = differing.first()?;
    let label =
        |label: Option<f32>| label.map_or_else(|| "none".to_owned(), |label| label.to_string());
    Some(format!(
        "{} labels differ, for example entity {} at {}: {} here, {} there",
        differing.len(),
        a.entity,
        date(a.snapshot_ms),
        label(b.label),
        label(a.label)
    ))
}

/// The day of a snapshot, by Howard Hinnant's civil_from_days.
fn date(millis: i64) -> String {
    let days = millis.div_euclid(86_400_000) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_are_written_as_days() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(1_312_156_800_000), "2011-08-01");
        assert_eq!(date(951_782_400_000), "2000-02-29");
        assert_eq!(date(-1), "1969-12-31");
    }
}
