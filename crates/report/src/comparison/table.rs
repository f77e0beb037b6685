//! A comparison: what stands in each cell, which of them is the best, and how rows differ from one.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;

use crate::comparison::against::compare_with;
use crate::comparison::axes::{Axes, Selected, lay_out, levels_of, select};
use crate::comparison::comparable::{Agreement, check_comparable};
use crate::comparison::error::ComparisonError;
use crate::comparison::grid::{Filled, Measured, Slot, Table};
use crate::comparison::level::{CLASS, Level, METRIC, TASK};
use crate::comparison::observation::{Observation, Observations};
use crate::comparison::request::{ComparisonRequest, PairedTest};
use crate::metric_name::{Better, metric_name};

/// A table of one or more metrics. In JSON, the document of `compare --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The metric of all cells; none where each row or column has its own.
    pub metric: Option<String>,
    pub row_axes: Vec<Arc<str>>,
    pub column_axes: Vec<Arc<str>>,
    /// Over which means are taken, and by which pairs are made.
    pub over: Vec<Arc<str>>,
    /// Levels by column axis.
    pub columns: Vec<Vec<Level>>,
    pub rows: Vec<ComparisonRow>,
    /// None where nothing was asked to be compared with.
    pub against: Option<Against>,
    pub notes: Vec<String>,
    #[serde(skip)]
    pub(crate) digits: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonRow {
    /// By row axis.
    pub levels: Vec<Level>,
    /// By column; none where nothing was measured.
    pub cells: Vec<Option<ComparisonCell>>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparisonCell {
    pub metric: Level,
    pub mean: f64,
    /// Sample standard deviation (n - 1); none for one value.
    pub deviation: Option<f64>,
    pub n: usize,
    /// Whether it reads as the best of those that it stands beside; none is where all read alike.
    pub best: bool,
    /// None in the row that is compared with, and where that one has nothing.
    pub difference: Option<PairedDifference>,
    pub values: Vec<Repeated>,
}

/// One of the values that a mean is over.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeated {
    /// By axis of `over`.
    pub levels: Vec<Level>,
    pub value: f64,
    /// Other places of the same result, which counts once.
    #[serde(skip)]
    pub(crate) also: Vec<Vec<Level>>,
}

impl Repeated {
    /// Where it stands on the axes of `over`; at least one place.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Vec<Level>> {
        std::iter::once(&self.levels).chain(&self.also)
    }
}

/// The row that others are compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// `model=supermoe`
    pub name: String,
    pub test: PairedTest,
    /// How many tests were made: what p-values are corrected for.
    pub tests: usize,
}

/// A cell's values less those of the row compared with, pair by pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedDifference {
    pub pairs: usize,
    /// None without pairs.
    pub mean: Option<f64>,
    pub deviation: Option<f64>,
    pub p: Option<f64>,
    /// Corrected for the number of tests in the table (Holm).
    pub p_holm: Option<f64>,
    /// Why there is no p.
    pub no_test: Option<String>,
}

/// Makes the table that is asked for.
///
/// # Errors
/// Names that are not there, cells that would hold several values, and rows that were not tested on
/// the same samples with the same labels.
pub fn compare(
    all: &Observations,
    request: &ComparisonRequest,
) -> Result<Comparison, ComparisonError> {
    let Selected {
        values: chosen,
        note,
    } = select(all, request)?;
    let (axes, table) = lay_out(all, &chosen, request)?;
    let agreement = check_comparable(all, &chosen, &axes)?;
    let mut comparison = Comparison::of(&table, &axes, &chosen, request);
    comparison.mark_best();
    if !request.against.is_empty() {
        compare_with(&mut comparison, &request.against, request.test, all)?;
    }
    comparison.notes.extend(note);
    comparison.note(agreement);
    Ok(comparison)
}

impl Comparison {
    fn of(
        table: &Table,
        axes: &Axes,
        chosen: &[&Observation],
        request: &ComparisonRequest,
    ) -> Comparison {
        let rows = in_order(table.slots.keys().map(|slot| &slot.row), &axes.rows, chosen);
        let columns = in_order(
            table.slots.keys().map(|slot| &slot.column),
            &axes.columns,
            chosen,
        );
        let rows = rows.into_iter().map(|row| {
            let cells = columns.iter().map(|column| {
                let slot = Slot {
                    row: row.clone(),
                    column: column.clone(),
                };
                table.slots.get(&slot).map(ComparisonCell::of)
            });
            ComparisonRow {
                cells: cells.collect(),
                levels: row,
            }
        });
        let metrics = levels_of(chosen, METRIC);
        let metric = metrics.first().filter(|_| metrics.len() == 1);
        Comparison {
            metric: metric.map(Level::to_string),
            row_axes: axes.rows.clone(),
            column_axes: axes.columns.clone(),
            over: axes.over.clone(),
            rows: rows.collect(),
            columns,
            against: None,
            notes: Vec::new(),
            digits: request.digits,
        }
    }

    /// Rows that a value is held against: those of the same task, metric and class.
    pub(crate) fn contest(&self, row: usize) -> Vec<&Level> {
        let axes = self.row_axes.iter().zip(&self.rows[row].levels);
        axes.filter(|(axis, _)| [TASK, METRIC, CLASS].contains(&&***axis))
            .map(|(_, level)| level)
            .collect()
    }

    /// Whether any row was compared with another.
    pub(crate) fn has_differences(&self) -> bool {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells).flatten();
        cells.any(|cell| cell.difference.is_some())
    }

    fn mark_best(&mut self) {
        let mut contests: IndexMap<Vec<Level>, Vec<usize>> = IndexMap::new();
        for row in 0..self.rows.len() {
            let contest = self.contest(row).into_iter().cloned().collect();
            contests.entry(contest).or_default().push(row);
        }
        for rows in contests.values() {
            for column in 0..self.columns.len() {
                let cells = rows
                    .iter()
                    .map(|row| self.rows[*row].cells[column].as_ref());
                let cells: Vec<Option<&ComparisonCell>> = cells.collect();
                let better = cells.iter().flatten().next().map(|cell| cell.better());
                let shown = cells
                    .iter()
                    .map(|cell| cell.map(|cell| self.as_read(cell.mean)));
                let best = better
                    .unwrap_or(Better::Unknown)
                    .best(&shown.collect::<Vec<_>>());
                for (row, best) in rows.iter().zip(best) {
                    if let Some(cell) = &mut self.rows[*row].cells[column] {
                        cell.best = best;
                    }
                }
            }
        }
    }

    /// A number as the table writes it: what reads the same is the same.
    fn as_read(&self, value: f64) -> f64 {
        let text = format!("{value:.*}", self.digits);
        text.parse().unwrap_or(value)
    }

    fn note(&mut self, agreement: Agreement) {
        let cells = || self.rows.iter().flat_map(|row| &row.cells);
        let missing = cells().filter(|cell| cell.is_none()).count();
        if missing > 0 {
            let all = cells().count();
            self.notes.push(format!(
                "{missing} of {all} cells have no value, written as -"
            ));
        }
        let values = cells().flatten().flat_map(|cell| &cell.values);
        if values.into_iter().any(|value| !value.also.is_empty()) {
            self.notes.push(format!(
                "some results stand at several values of {}, for they were made once and taken from the cache: each \
                 counts once",
                self.over_text()
            ));
        }
        if agreement == Agreement::OnePerRepetition {
            self.notes.push(format!(
                "each {} has a test set of its own, the same for all rows",
                self.over_text()
            ));
        }
    }

    /// `seed`, `fold and seed`
    pub(crate) fn over_text(&self) -> String {
        self.over.join(" and ")
    }
}

impl ComparisonCell {
    fn of(filled: &Filled) -> ComparisonCell {
        let values = each_once(filled);
        let numbers: Vec<f64> = values.iter().map(|repeated| repeated.value).collect();
        let (mean, deviation) = mean_and_deviation(&numbers);
        ComparisonCell {
            metric: filled.metric.clone(),
            mean,
            deviation,
            n: values.len(),
            best: false,
            difference: None,
            values,
        }
    }

    pub(crate) fn better(&self) -> Better {
        metric_name(&self.metric.to_string()).better
    }
}

/// A result that runs share, or cells of a matrix that differ in nothing it depends on, is no repetition
/// of itself.
fn each_once(filled: &Filled) -> Vec<Repeated> {
    let mut kept: Vec<(&Measured, Repeated)> = Vec::new();
    for (levels, measured) in &filled.values {
        match kept.iter_mut().find(|(known, _)| *known == measured) {
            Some((_, repeated)) => repeated.also.push(levels.clone()),
            None => {
                let repeated = Repeated {
                    levels: levels.clone(),
                    value: measured.value,
                    also: Vec::new(),
                };
                kept.push((measured, repeated));
            }
        }
    }
    kept.into_iter().map(|(_, repeated)| repeated).collect()
}

/// The sample deviation, of two or more.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, Option<f64>) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    (mean, deviation)
}

/// Each once, axis by axis in the order in which its levels appear; means last.
fn in_order<'a>(
    levels: impl Iterator<Item = &'a Vec<Level>>,
    axes: &[Arc<str>],
    chosen: &[&Observation],
) -> Vec<Vec<Level>> {
    let places: Vec<HashMap<Level, usize>> = axes
        .iter()
        .map(|axis| {
            let levels = levels_of(chosen, axis).into_iter();
            levels
                .enumerate()
                .map(|(place, level)| (level, place))
                .collect()
        })
        .collect();
    let place = |levels: &[Level]| -> Vec<usize> {
        let levels = levels.iter().zip(&places);
        levels
            .map(|(level, places)| places.get(level).copied().unwrap_or(usize::MAX))
            .collect()
    };
    let mut all: Vec<Vec<Level>> = levels.cloned().collect();
    all.sort_by_key(|levels| place(levels));
    all.dedup();
    all
}
