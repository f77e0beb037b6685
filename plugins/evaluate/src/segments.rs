//! Metrics of parts of the test set: each expression of the param `segments` parts it by its value.

mod sample_columns;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use indexmap::IndexMap;
use serde::Serialize;
use supermoe_channels::{Dataset, Split};
use supermoe_sql::{RowExpression, excerpt};

use crate::cell::{Cell, Column, Sample, TaskPredictions};
use crate::comparable::date;
use crate::error::EvaluateError;
use crate::groups::Group;
use crate::report::{Task, measure, undefined};
use crate::uncertainty::{Compare, Settings, Stop, judge};
use sample_columns::sample_columns;

/// Most values of one expression.
const MOST_VALUES: usize = 50;

/// One expression, and the parts that it makes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segmentation {
    pub name: String,
    pub sql: String,
    /// In the order of the values: numbers by size, then text, then none.
    pub segments: Vec<Segment>,
}

/// The test samples for which the expression has one value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Null where the expression is NULL.
    pub value: Option<String>,
    pub samples: u64,
    pub entities: u64,
    pub tasks: Vec<Task>,
    /// As the report's own.
    pub groups: Vec<Group>,
    /// What this part does not let be measured, in words.
    pub notes: Vec<String>,
}

/// The value of each expression for each test sample.
pub struct Segments {
    expressions: Vec<(String, String, HashMap<Sample, Option<String>>)>,
}

impl Segments {
    /// # Errors
    /// What is no SQL over the samples' columns, and an expression with very many values.
    pub fn of(
        expressions: &IndexMap<String, String>,
        dataset: &Dataset,
    ) -> Result<Segments, EvaluateError> {
        let ids = dataset.split(Split::Test);
        let columns = sample_columns(dataset, &ids).map_err(|problem| EvaluateError::Segment {
            segment: expressions.keys().next().cloned().unwrap_or_default(),
            problem,
        })?;
        let samples: Vec<Sample> = ids
            .iter()
            .map(|id| (dataset.entity(*id).into(), dataset.snapshot_ms(*id)))
            .collect();
        let parts = expressions.iter().map(|(name, sql)| {
            let refuse = |problem: String| EvaluateError::Segment {
                segment: name.clone(),
                problem,
            };
            let found = RowExpression::evaluate(sql, &columns);
            let found =
                found.map_err(|error| refuse(format!("{error} (in `{}`)", excerpt(sql))))?;
            let values = texts(&found).map_err(refuse)?;
            let by_sample = samples.iter().cloned().zip(values).collect();
            Ok((name.clone(), sql.clone(), by_sample))
        });
        let expressions = parts.collect::<Result<_, EvaluateError>>()?;
        Ok(Segments { expressions })
    }

    /// Measures every part.
    ///
    /// # Errors
    /// A test sample that the dataset has not, and what the report of all cells may fail with.
    pub fn measure(
        &self,
        cells: &[Cell],
        settings: &Settings,
        stop: Stop<'_>,
    ) -> Result<Vec<Segmentation>, EvaluateError> {
        let segmentations = self.expressions.iter().map(|(name, sql, values)| {
            let parts = parts(name, cells, values)?;
            let segments = parts.into_iter().map(|value| {
                stop()?;
                segment(cells, value, values, settings, stop)
            });
            Ok(Segmentation {
                name: name.clone(),
                sql: sql.clone(),
                segments: segments.collect::<Result<_, EvaluateError>>()?,
            })
        });
        segmentations.collect()
    }
}

/// The values that test samples have, in order.
fn parts(
    name: &str,
    cells: &[Cell],
    values: &HashMap<Sample, Option<String>>,
) -> Result<Vec<Option<String>>, EvaluateError> {
    let tasks = cells.iter().take(1).flat_map(|cell| cell.tasks.values());
    let mut found: BTreeMap<Order, Option<String>> = BTreeMap::new();
    for sample in tasks.flat_map(|task| &task.samples) {
        let Some(value) = values.get(sample) else {
            let (entity, snapshot) = sample;
            return Err(EvaluateError::Segment {
                segment: name.to_owned(),
                problem: format!(
                    "the dataset has no test sample of entity {entity} at {}; take as `dataset` the one that the \
                     predictions were made of",
                    date(*snapshot)
                ),
            });
        };
        found.insert(Order::of(value.as_deref()), value.clone());
    }
    Ok(found.into_values().collect())
}

/// Numbers by size, then text, then none.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// As an integer of the same order.
    Number(i64),
    Text(String),
    None,
}

impl Order {
    fn of(value: Option<&str>) -> Order {
        let Some(value) = value else {
            return Order::None;
        };
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let bits = (number + 0.0).to_bits() as i64;
                // As f64::total_cmp orders them.
                Order::Number(bits ^ (((bits >> 63) as u64) >> 1) as i64)
            }
            _ => Order::Text(value.to_owned()),
        }
    }
}

fn segment(
    cells: &[Cell],
    value: Option<String>,
    values: &HashMap<Sample, Option<String>>,
    settings: &Settings,
    stop: Stop<'_>,
) -> Result<Segment, EvaluateError> {
    let belongs = |sample: &Sample| values.get(sample) == Some(&value);
    let cells: Vec<Cell> = cells.iter().map(|cell| part(cell, &belongs)).collect();
    let mut measured = measure(&cells)?;
    let (uncertainty, _) = judge(
        &cells,
        &mut measured.groups,
        &measured.members,
        settings,
        Compare::Nothing,
        stop,
    )?;
    let mut notes: Vec<String> = measured.tasks.iter().filter_map(undefined).collect();
    notes.extend(uncertainty.too_few);
    let samples = cells.iter().take(1).flat_map(|cell| cell.tasks.values());
    let samples: BTreeSet<&Sample> = samples.flat_map(|task| &task.samples).collect();
    Ok(Segment {
        value,
        samples: samples.len() as u64,
        entities: uncertainty.entities,
        tasks: measured.tasks,
        groups: measured.groups,
        notes,
    })
}

/// A cell with the samples alone that belong to a segment.
fn part(cell: &Cell, belongs: &impl Fn(&Sample) -> bool) -> Cell {
    let tasks = cell.tasks.iter().map(|(name, task)| {
        let kept: Vec<usize> = (0..task.samples.len())
            .filter(|&i| belongs(&task.samples[i]))
            .collect();
        let columns = task.columns.iter().map(|column| Column {
            class: column.class.clone(),
            labels: kept.iter().map(|&i| column.labels[i]).collect(),
            scores: kept.iter().map(|&i| column.scores[i]).collect(),
        });
        let part = TaskPredictions {
            kind: task.kind,
            samples: kept.iter().map(|&i| task.samples[i].clone()).collect(),
            columns: columns.collect(),
        };
        (name.clone(), part)
    });
    Cell {
        source: cell.source,
        matrix: cell.matrix.clone(),
        tasks: tasks.collect(),
    }
}

/// An expression's value for each sample, as text.
fn texts(values: &ArrayRef) -> Result<Vec<Option<String>>, String> {
    let data_type = values.data_type();
    if data_type.is_nested() {
        return Err(format!(
            "its value is {data_type}; expected text, a number or a truth value"
        ));
    }
    let values = cast(values, &DataType::Utf8).map_err(|error| error.to_string())?;
    let values: Vec<Option<&str>> = values.as_string::<i32>().iter().collect();
    let mut distinct: Vec<&Option<&str>> = values.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() > MOST_VALUES {
        return Err(format!(
            "it has {} values; expected at most {MOST_VALUES}: bring them together, as in \
             `CASE WHEN sample_steps < 10 THEN 'short' ELSE 'long' END`",
            distinct.len()
        ));
    }
    Ok(values
        .into_iter()
        .map(|value| value.map(str::to_owned))
        .collect())
}
