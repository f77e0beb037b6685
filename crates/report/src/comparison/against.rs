//! Each row against a chosen one, pair by pair.

use supermoe_metrics::holm;

use crate::comparison::error::ComparisonError;
use crate::comparison::level::{Level, levels_text};
use crate::comparison::request::PairedTest;
use crate::comparison::table::{
    Against, Comparison, ComparisonCell, PairedDifference, mean_and_deviation,
};

/// Adds the differences from the row that `wanted` names, and corrects their p-values for how many
/// there are in the whole table.
///
/// # Errors
/// An axis that makes no row, and values that name no row, or several.
pub(crate) fn compare_with(
    comparison: &mut Comparison,
    wanted: &[(String, String)],
    test: PairedTest,
) -> Result<(), ComparisonError> {
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
    comparison.against = Some(Against {
        name: wanted.collect::<Vec<_>>().join(", "),
        test,
        tests,
    });
    Ok(())
}

/// By row: the one that it is compared with, which has the same task, metric and class where these make
/// rows.
fn baselines(
    comparison: &Comparison,
    wanted: &[(String, String)],
) -> Result<Vec<Option<usize>>, ComparisonError> {
    let axes = &comparison.row_axes;
    for (axis, _) in wanted {
        if !axes.iter().any(|known| **known == **axis) {
            return Err(ComparisonError::UnknownAxis {
                option: "--against",
                axis: axis.clone(),
                known: axes.iter().map(|axis| axis.to_string()).collect(),
            });
        }
    }
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
        let wanted = wanted.iter().map(|(axis, level)| format!("{axis}={level}"));
        wanted.collect::<Vec<_>>().join(",")
    };
    if found.is_empty() {
        return Err(ComparisonError::NoBaseline {
            wanted: spelled(),
            known: rows.map(|row| name(row).replace(", ", ",")).collect(),
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
    let pair = |levels: &[Level]| {
        let mut values = baseline.values.iter();
        values.find(|value| value.levels == levels)
    };
    let pairs = cell.values.iter();
    let differences: Vec<f64> = pairs
        .filter_map(|value| Some(value.value - pair(&value.levels)?.value))
        .collect();
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
