//! What of the observations a table holds, and which axes make its rows, its columns and its means.

use std::sync::Arc;

use indexmap::IndexSet;

use crate::comparison::error::ComparisonError;
use crate::comparison::grid::{Conflict, Grid, Table};
use crate::comparison::level::{
    CLASS, EVALUATION, INPUT, Level, METRIC, RUN, SOURCE, STAGE, TASK, levels_text,
};
use crate::comparison::observation::{Observation, Observations};
use crate::comparison::request::{ComparisonRequest, SEED};
use crate::comparison::written_level::{written_parts, written_value};

/// Taken for a row, one by one, where the matrix does not tell rows apart.
const TELLING: [&str; 5] = [SOURCE, STAGE, INPUT, RUN, EVALUATION];

/// The metric that is shown when none is asked for.
const FIRST_METRIC: &str = "auc";

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axes {
    pub rows: Vec<Arc<str>>,
    pub columns: Vec<Arc<str>>,
    pub over: Vec<Arc<str>>,
}

impl Axes {
    /// Whether an axis makes rows or columns.
    pub(crate) fn place(&self, axis: &str) -> bool {
        self.rows.iter().chain(&self.columns).any(|a| **a == *axis)
    }
}

/// The observations that are asked for.
pub(crate) struct Selected<'a> {
    pub values: Vec<&'a Observation>,
    /// What was left out though nobody asked for that, in words.
    pub note: Option<String>,
}

pub(crate) fn select<'a>(
    all: &'a Observations,
    request: &ComparisonRequest,
) -> Result<Selected<'a>, ComparisonError> {
    check_names(all, request)?;
    let asked_by = |axis: &str| {
        let named = request.rows.iter().chain(&request.columns);
        let filtered = request.filters.iter().map(|(axis, _)| axis);
        named.chain(filtered).any(|name| name == axis)
    };
    let of_classes = asked_by(CLASS);
    let values = all.values.iter();
    let mut chosen: Vec<&Observation> = values
        .filter(|value| (value.level(CLASS) != Level::Absent) == of_classes)
        .collect();
    if chosen.is_empty() {
        return Err(match of_classes {
            true => ComparisonError::NoClasses,
            false => ComparisonError::Nothing,
        });
    }
    filter(&mut chosen, &request.filters)?;
    let measured = chosen.clone();
    choose_metrics(&mut chosen, request)?;
    let note = match request.metrics.is_empty() {
        true => tasks_left_out(&measured, &chosen),
        false => None,
    };
    Ok(Selected {
        values: chosen,
        note,
    })
}

/// Tasks that have other metrics than the one that is shown without being asked for.
fn tasks_left_out(measured: &[&Observation], chosen: &[&Observation]) -> Option<String> {
    let shown = levels_of(chosen, TASK);
    let mut others = measured.to_vec();
    others.retain(|value| !shown.contains(&value.level(TASK)));
    let listed = |axis: &str| {
        let levels = levels_of(&others, axis).into_iter();
        levels.map(|level| level.to_string()).collect::<Vec<_>>()
    };
    (!others.is_empty()).then(|| {
        format!(
            "not in the table, for they have other metrics (--metric {}): {}",
            listed(METRIC).join(", --metric "),
            listed(TASK).join(", ")
        )
    })
}

fn check_names(all: &Observations, request: &ComparisonRequest) -> Result<(), ComparisonError> {
    let filters: Vec<String> = request
        .filters
        .iter()
        .map(|(axis, _)| axis.clone())
        .collect();
    let lists = [
        ("--rows", &request.rows),
        ("--columns", &request.columns),
        ("--over", &request.over),
        ("--where", &filters),
    ];
    let mut seen: Vec<(&str, &'static str)> = Vec::new();
    for (option, axes) in lists {
        for axis in axes {
            if !all.axes().any(|known| known == axis) {
                return Err(ComparisonError::UnknownAxis {
                    option,
                    axis: axis.clone(),
                    known: all.axes().map(str::to_owned).collect(),
                });
            }
            if option == "--where" {
                continue;
            }
            if option == "--over" && [TASK, METRIC, CLASS].contains(&axis.as_str()) {
                return Err(ComparisonError::NotOver { axis: axis.clone() });
            }
            if let Some((_, first)) = seen.iter().find(|(known, _)| known == axis) {
                return Err(ComparisonError::AxisTwice {
                    axis: axis.clone(),
                    first,
                    second: option,
                });
            }
            seen.push((axis, option));
        }
    }
    Ok(())
}

fn filter(
    chosen: &mut Vec<&Observation>,
    filters: &[(String, String)],
) -> Result<(), ComparisonError> {
    for (axis, wanted) in filters {
        let levels = levels_of(chosen, axis);
        let is_whole = levels.iter().any(|level| level.is_meant_by(wanted));
        let wanted: Vec<String> = match is_whole {
            true => vec![wanted.clone()],
            false => {
                let parts = written_parts(wanted).into_iter();
                parts.map(written_value).collect()
            }
        };
        for wanted in &wanted {
            if !levels.iter().any(|level| level.is_meant_by(wanted)) {
                return Err(ComparisonError::UnknownLevel {
                    axis: axis.clone(),
                    level: wanted.clone(),
                    known: levels.iter().map(Level::to_string).collect(),
                });
            }
        }
        chosen.retain(|value| {
            let level = value.level(axis);
            wanted.iter().any(|wanted| level.is_meant_by(wanted))
        });
    }
    Ok(())
}

fn choose_metrics(
    chosen: &mut Vec<&Observation>,
    request: &ComparisonRequest,
) -> Result<(), ComparisonError> {
    let known = levels_of(chosen, METRIC);
    let mut wanted: Vec<Level> = request
        .metrics
        .iter()
        .map(|name| Level::named(name))
        .collect();
    if let Some(metric) = wanted.iter().find(|metric| !known.contains(*metric)) {
        return Err(ComparisonError::UnknownMetric {
            metric: metric.to_string(),
            known: known.iter().map(Level::to_string).collect(),
        });
    }
    let mut placed = request.rows.iter().chain(&request.columns);
    match (placed.any(|axis| axis == METRIC), wanted.len()) {
        (true, 0) => return Ok(()),
        (true, _) | (false, 1) => {}
        (false, 0) => {
            let first = Level::named(FIRST_METRIC);
            let metric = known.get(&first).or_else(|| known.first());
            wanted.extend(metric.cloned());
        }
        (false, _) => {
            return Err(ComparisonError::SeveralMetrics {
                metrics: request.metrics.clone(),
            });
        }
    }
    chosen.retain(|value| wanted.contains(&value.level(METRIC)));
    Ok(())
}

/// In the order of appearance.
pub(crate) fn levels_of(chosen: &[&Observation], axis: &str) -> IndexSet<Level> {
    chosen.iter().map(|value| value.level(axis)).collect()
}

/// The table's axes and what stands in it.
pub(crate) fn lay_out(
    all: &Observations,
    chosen: &[&Observation],
    request: &ComparisonRequest,
) -> Result<(Axes, Table), ComparisonError> {
    let owned = |axes: &[String]| axes.iter().map(|axis| axis.as_str().into()).collect();
    let mut axes = Axes {
        rows: owned(&request.rows),
        columns: owned(&request.columns),
        over: owned(&request.over),
    };
    let is_row = |axis: &str| request.rows.iter().any(|row| row == axis);
    if axes.over.is_empty() && all.matrix_axes.contains(SEED) && !axes.place(SEED) {
        axes.over.push(SEED.into());
    }
    if axes.columns.is_empty() {
        axes.columns = match is_row(TASK) {
            true => varying(all, chosen, &axes),
            false => vec![TASK.into()],
        };
    }
    if !axes.rows.is_empty() {
        let grid = Grid::lay(chosen, &axes).map_err(|conflict| ambiguous(all, conflict, &axes))?;
        return Ok((axes.clone(), grid.with_means(&axes)?));
    }
    axes.rows = varying(all, chosen, &axes);
    let nameless = |value: &&Observation| {
        let levels = value.levels(&axes.rows);
        levels.iter().all(|level| *level == Level::Absent) && value.level(STAGE) != Level::Absent
    };
    if chosen.iter().any(nameless) && !axes.columns.iter().any(|c| **c == *STAGE) {
        axes.rows.insert(0, STAGE.into());
    } else if axes.rows.is_empty() {
        axes.rows.push(SOURCE.into());
    }
    let grid = tell_apart(all, chosen, &mut axes)?;
    let grid = grid.with_means(&axes)?;
    Ok((axes, grid))
}

/// Axes of the matrix in which what is chosen differs, without those that are placed already.
fn varying(all: &Observations, chosen: &[&Observation], axes: &Axes) -> Vec<Arc<str>> {
    let free = all
        .matrix_axes
        .iter()
        .filter(|axis| !axes.place(axis) && !axes.over.contains(*axis));
    free.filter(|axis| levels_of(chosen, axis).len() > 1)
        .cloned()
        .collect()
}

/// Adds to the rows what tells them apart, until no cell holds two values.
fn tell_apart(
    all: &Observations,
    chosen: &[&Observation],
    axes: &mut Axes,
) -> Result<Grid, ComparisonError> {
    loop {
        let conflict = match Grid::lay(chosen, axes) {
            Ok(grid) => return Ok(grid),
            Err(conflict) => conflict,
        };
        let telling = TELLING
            .into_iter()
            .find(|axis| conflict.first.level(axis) != conflict.second.level(axis));
        match telling {
            Some(axis) => axes.rows.push(axis.into()),
            None => return Err(ambiguous(all, conflict, axes)),
        }
    }
}

fn ambiguous(all: &Observations, conflict: Conflict<'_>, axes: &Axes) -> ComparisonError {
    let (first, second) = (conflict.first, conflict.second);
    let placed: Vec<Arc<str>> = axes.rows.iter().chain(&axes.columns).cloned().collect();
    let differing = all
        .axes()
        .filter(|axis| first.level(axis) != second.level(axis));
    let over: Vec<&str> = axes.over.iter().map(|axis| &**axis).collect();
    ComparisonError::Ambiguous {
        slot: levels_text(&placed, &first.levels(&placed)),
        values: vec![first.value.to_string(), second.value.to_string()],
        differing: differing
            .map(|axis| {
                let levels = [first, second].map(|value| value.level(axis).to_string());
                (axis.to_owned(), levels.to_vec())
            })
            .collect(),
        over: over.iter().map(|axis| format!("{axis},")).collect(),
    }
}
