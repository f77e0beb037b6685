//! Each row against a chosen one, pair by pair.

use std::collections::HashMap;

use indexmap::IndexSet;
use supermoe_metrics::holm;

use crate::comparison::error::ComparisonError;
use crate::comparison::level::{Level, levels_text};
use crate::comparison::observation::Observations;
use crate::comparison::request::PairedTest;
use crate::comparison::table::{
    Against, Comparison, ComparisonCell, PairedDifference, mean_and_deviation,
};
use crate::comparison::written_level::write_value;

/// Adds the differences from the row that `wanted` names, and corrects their p-values for how many
/// there are in the whole table.
///
/// # Errors
/// An axis that makes no row, and values that name no row, or several.
pub(crate) fn compare_with(
    comparison: &mut Comparison,
    wanted: &[(String, String)],
    test: PairedTest,
    all: &Observations,
) -> Result<(), ComparisonError> {
    check_axes(comparison, wanted, all)?;
    let baselines = baselines(comparison, wanted)?;
    let differences: Vec<Vec<Option<PairedDifference>>> = (0..comparison.rows.len())
        .map(|row| {
            let baseline = baselines[row].filter(|baseline| *baseline != row);
            (0..comparison.columns.len())
                .map(|column| {
                    let of_row = comparison.rows[row].cells[column].as_ref()?;
                    let of_baseline = comparison.rows[baseline?].cells[column].as_ref()?;
                    Some(difference(
                        of_row,
                        of_baseline,
                        test,
                        &comparison.over_text(),
                    ))
                })
                .collect()
        })
        .collect();
    for (row, differences) in comparison.rows.iter_mut().zip(differences) {
        for (cell, difference) in row.cells.iter_mut().zip(differences) {
            if let Some(cell) = cell {
                cell.difference = difference;
            }
        }
    }
    let tests = correct(comparison);
    note_what_was_not_tested(comparison);
    let wanted = wanted.iter().map(|(axis, level)| format!("{axis}={level}"));
    let name = wanted.collect::<Vec<_>>().join(", ");
    if !comparison.has_differences() {
        let why = why_no_differences(comparison, &baselines);
        comparison
            .notes
            .push(format!("nothing was compared with {name}: {why}"));
    }
    comparison.against = Some(Against { name, test, tests });
    Ok(())
}

fn check_axes(
    comparison: &Comparison,
    wanted: &[(String, String)],
    all: &Observations,
) -> Result<(), ComparisonError> {
    let axes = &comparison.row_axes;
    let mut wanted = wanted.iter().map(|(axis, _)| axis);
    let Some(axis) = wanted.find(|axis| !axes.iter().any(|known| **known == ***axis)) else {
        return Ok(());
    };
    let rows = axes.iter().map(|axis| axis.to_string()).collect();
    Err(match all.axes().any(|known| known == axis) {
        true => ComparisonError::NoRowAxis {
            axis: axis.clone(),
            rows,
        },
        false => ComparisonError::UnknownAxis {
            option: "--against",
            axis: axis.clone(),
            known: rows,
        },
    })
}

/// Of a table without a difference.
fn why_no_differences(comparison: &Comparison, baselines: &[Option<usize>]) -> &'static str {
    let others = || {
        let rows = baselines.iter().enumerate();
        rows.filter(|(row, baseline)| **baseline != Some(*row))
    };
    if comparison.rows.len() == 1 {
        "it is the only row of the table; name an axis with other values in --rows, leave out a --where, or give \
         more runs"
    } else if others().next().is_none() {
        "every row is one that is compared with; name more of its axes in --against, or give more runs"
    } else if others().all(|(_, baseline)| baseline.is_none()) {
        "it has no task, metric or class in common with the other rows"
    } else {
        "it has no value in the columns in which the other rows have some"
    }
}

/// By row: the one that it is compared with, which has the same task, metric and class where these make
/// rows.
fn baselines(
    comparison: &Comparison,
    wanted: &[(String, String)],
) -> Result<Vec<Option<usize>>, ComparisonError> {
    let axes = &comparison.row_axes;
    let is_wanted = |row: &usize| {
        let levels = &comparison.rows[*row].levels;
        wanted.iter().all(|(axis, wanted)| {
            let mut of_row = axes.iter().zip(levels);
            of_row.any(|(known, level)| **known == **axis && level.is_meant_by(wanted))
        })
    };
    let rows = 0..comparison.rows.len();
    let found: Vec<usize> = rows.clone().filter(is_wanted).collect();
    let name = |row: usize| levels_text(axes, &comparison.rows[row].levels);
    let spelled = || {
        let wanted = wanted.iter();
        let wanted = wanted.map(|(axis, level)| format!("{axis}={}", write_value(level)));
        wanted.collect::<Vec<_>>().join(",")
    };
    // As it can be given to --against.
    let written = |row: usize| {
        let levels = axes.iter().zip(&comparison.rows[row].levels);
        let levels = levels.filter(|(_, level)| **level != Level::Absent);
        let levels =
            levels.map(|(axis, level)| format!("{axis}={}", write_value(&level.to_string())));
        levels.collect::<Vec<_>>().join(",")
    };
    if found.is_empty() {
        return Err(ComparisonError::NoBaseline {
            wanted: spelled(),
            known: rows.map(written).collect(),
        });
    }
    rows.map(|row| {
        let contest = comparison.contest(row);
        let of_contest = found.iter().copied();
        let of_contest: Vec<usize> = of_contest
            .filter(|found| comparison.contest(*found) == contest)
            .collect();
        match of_contest.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => Err(ComparisonError::ManyBaselines {
                wanted: spelled(),
                rows: several.iter().map(|row| name(*row)).collect(),
            }),
        }
    })
    .collect()
}

fn difference(
    cell: &ComparisonCell,
    baseline: &ComparisonCell,
    test: PairedTest,
    over: &str,
) -> PairedDifference {
    let differences = paired_differences(cell, baseline);
    let (mean, deviation) = mean_and_deviation(&differences);
    let tested = match differences.is_empty() {
        true => Err(format!("no {over} in common")),
        false => test.of(&differences).map_err(|error| error.to_string()),
    };
    PairedDifference {
        pairs: differences.len(),
        mean: (!differences.is_empty()).then_some(mean),
        deviation,
        p: tested.as_ref().ok().map(|tested| tested.p),
        p_holm: None,
        no_test: tested.err(),
    }
}

/// Two results that stand at one place are a pair, which counts once however many places they share.
fn paired_differences(cell: &ComparisonCell, baseline: &ComparisonCell) -> Vec<f64> {
    let of_baseline = baseline.values.iter().enumerate();
    let by_place: HashMap<&Vec<Level>, usize> = of_baseline
        .flat_map(|(index, value)| value.places().map(move |place| (place, index)))
        .collect();
    let mut pairs: IndexSet<(usize, usize)> = IndexSet::new();
    for (index, value) in cell.values.iter().enumerate() {
        let others = value.places().filter_map(|place| by_place.get(place));
        pairs.extend(others.map(|other| (index, *other)));
    }
    let difference = |(a, b): (usize, usize)| cell.values[a].value - baseline.values[b].value;
    pairs.into_iter().map(difference).collect()
}

/// How many tests there are.
fn correct(comparison: &mut Comparison) -> usize {
    let cells = comparison.rows.iter_mut().flat_map(|row| &mut row.cells);
    let mut tested: Vec<&mut PairedDifference> = cells
        .flatten()
        .filter_map(|cell| cell.difference.as_mut())
        .filter(|difference| difference.p.is_some())
        .collect();
    let p: Vec<f64> = tested
        .iter()
        .filter_map(|difference| difference.p)
        .collect();
    for (difference, corrected) in tested.iter_mut().zip(holm(&p)) {
        difference.p_holm = Some(corrected);
    }
    p.len()
}

fn note_what_was_not_tested(comparison: &mut Comparison) {
    let cells = comparison.rows.iter().flat_map(|row| &row.cells).flatten();
    let differences = cells.filter_map(|cell| cell.difference.as_ref());
    let mut reasons: indexmap::IndexMap<&str, usize> = indexmap::IndexMap::new();
    for difference in differences {
        if let Some(reason) = &difference.no_test {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let notes: Vec<String> = reasons
        .into_iter()
        .map(|(reason, count)| match count {
            1 => format!("1 difference has no test: {reason}"),
            _ => format!("{count} differences have no test: {reason}"),
        })
        .collect();
    comparison.notes.extend(notes);
}
