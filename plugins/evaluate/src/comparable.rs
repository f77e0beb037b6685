//! Whether cells were tested on the same samples with the same labels.

use std::collections::BTreeSet;

use crate::cell::{Cell, Sample, TaskPredictions};
use crate::error::EvaluateError;

/// # Errors
/// The first two cells whose test sets differ, and how: tasks, kinds, classes, snapshots, entities, or
/// labels.
pub fn check_comparable(cells: &[Cell]) -> Result<(), EvaluateError> {
    let Some((first, others)) = cells.split_first() else {
        return Err(EvaluateError::NoInputs);
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
fn name(cell: &Cell, place: usize) -> String {
    if cell.matrix.is_empty() {
        format!("input {place}")
    } else {
        format!("`{}`", cell.name())
    }
}

fn difference(first: &Cell, second: &Cell) -> Option<String> {
    if !first.tasks.keys().eq(second.tasks.keys()) {
        let list = |cell: &Cell| cell.tasks.keys().cloned().collect::<Vec<_>>().join(", ");
        return Some(format!(
            "its test tasks are {}, the other's {}",
            list(second),
            list(first)
        ));
    }
    let pairs = first.tasks.iter().zip(second.tasks.values());
    pairs.into_iter().find_map(|((task, a), b)| {
        differing_kinds(a, b)
            .or_else(|| differing_samples(a, b))
            .or_else(|| differing_labels(a, b))
            .map(|how| format!("task `{task}`: {how}"))
    })
}

fn differing_kinds(a: &TaskPredictions, b: &TaskPredictions) -> Option<String> {
    if a.kind != b.kind {
        let kind = |of: &TaskPredictions| format!("{:?}", of.kind).to_lowercase();
        return Some(format!("it is a {} task, the other's {}", kind(b), kind(a)));
    }
    if a.classes() != b.classes() {
        return Some(format!(
            "its classes are {}, the other's {}",
            b.classes().join(", "),
            a.classes().join(", ")
        ));
    }
    None
}

fn differing_samples(a: &TaskPredictions, b: &TaskPredictions) -> Option<String> {
    if a.samples == b.samples {
        return None;
    }
    let set =
        |of: &'_ TaskPredictions| -> BTreeSet<Sample> { of.samples.iter().cloned().collect() };
    let (of_a, of_b) = (set(a), set(b));
    let (only_a, only_b) = (
        of_a.difference(&of_b).count(),
        of_b.difference(&of_a).count(),
    );
    let example = of_a.symmetric_difference(&of_b).next();
    let example = example.map_or_else(String::new, |(entity, at)| {
        format!(", for example entity {entity} at {}", date(*at))
    });
    let snapshots = differing_snapshots(&of_a, &of_b).unwrap_or_default();
    Some(format!(
        "its test set has {} samples, the other's {}: {only_b} are in this one alone, {only_a} in the other \
         alone{example}{snapshots}",
        of_b.len(),
        of_a.len()
    ))
}

/// Where the snapshots differ, the entities need not: then the splits were made otherwise.
fn differing_snapshots(of_a: &BTreeSet<Sample>, of_b: &BTreeSet<Sample>) -> Option<String> {
    let snapshots =
        |of: &BTreeSet<Sample>| -> BTreeSet<i64> { of.iter().map(|sample| sample.1).collect() };
    let (of_a, of_b) = (snapshots(of_a), snapshots(of_b));
    let list = |of: &BTreeSet<i64>| of.iter().map(|at| date(*at)).collect::<Vec<_>>().join(", ");
    (of_a != of_b).then(|| {
        format!(
            "; its test snapshots are {}, the other's {}",
            list(&of_b),
            list(&of_a)
        )
    })
}

fn differing_labels(a: &TaskPredictions, b: &TaskPredictions) -> Option<String> {
    // The samples are the same, and sorted; so are the classes.
    let pairs = a.columns.iter().zip(&b.columns).flat_map(|(a, b)| {
        let labels = a.labels.iter().zip(&b.labels).enumerate();
        labels.map(move |(i, (of_a, of_b))| (i, a.class.as_deref(), *of_a, *of_b))
    });
    let differing: Vec<_> = pairs.filter(|(_, _, a, b)| a != b).collect();
    let &(i, class, of_a, of_b) = differing.first()?;
    let label =
        |label: Option<f32>| label.map_or_else(|| "none".to_owned(), |label| label.to_string());
    let (entity, snapshot_ms) = &a.samples[i];
    let of_class = class.map_or_else(String::new, |class| format!(", class `{class}`"));
    Some(format!(
        "{} labels differ, for example entity {entity} at {}{of_class}: {} here, {} there",
        differing.len(),
        date(*snapshot_ms),
        label(of_b),
        label(of_a)
    ))
}

/// The day of a snapshot, by Howard Hinnant's civil_from_days.
pub(crate) fn date(millis: i64) -> String {
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
