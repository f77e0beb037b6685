//! `predictions.parquet` of a predictions artifact: entity, snapshot, split, task, class, label, score.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, TimestampMillisecondType};
use indexmap::IndexMap;
use serde_json::Value;
use supermoe_channels::parquet_table::{
    SNAPSHOT_TYPE, TakeIn, column_of, malformed, read, texts, texts_or_null,
};
use supermoe_channels::{Split, TaskKind};
use supermoe_metrics::LARGEST_NUMBER;

use crate::cell::{Cell, Column, Sample, Source, TaskPredictions};
use crate::error::EvaluateError;

/// The file within the artifact.
pub const PREDICTIONS_FILE: &str = "predictions.parquet";
/// The file's entry with the kind of each task, as a JSON map from name to kind.
pub const TASKS_ENTRY: &str = "supermoe.tasks";

/// Reads the test split of a predictions artifact.
///
/// # Errors
/// A missing or damaged file, a column that is missing or of another type, labels and scores that are
/// none of the task's kind, a sample that stands there twice, or no test split.
pub fn read_predictions(
    artifact: &Path,
    matrix: IndexMap<String, Value>,
) -> Result<Cell, EvaluateError> {
    let path = artifact.join(PREDICTIONS_FILE);
    let rows: Rows = read(&path).map_err(EvaluateError::of_table)?;
    let damaged = |problem| EvaluateError::of_table(malformed(&path, problem));
    if rows.count == 0 {
        return Err(damaged(
            "it has no rows; expected one for each sample and task of the test split".to_owned(),
        ));
    }
    let mut cell = Cell {
        source: Source::Predictions,
        matrix,
        tasks: BTreeMap::new(),
    };
    for (name, task) in rows.tasks {
        if task.tests.is_empty() {
            continue;
        }
        let kind = rows.kinds.get(&name).copied();
        let predictions = task
            .finish(kind)
            .map_err(|problem| damaged(problem.of(&name)))?;
        cell.tasks.insert(name, predictions);
    }
    if cell.tasks.is_empty() {
        return Err(EvaluateError::NoTest { cell: cell.name() });
    }
    Ok(cell)
}

/// The file's rows, task by task.
#[derive(Default)]
struct Rows {
    count: usize,
    kinds: BTreeMap<String, TaskKind>,
    tasks: BTreeMap<String, TaskRows>,
    /// Entities and classes, each held once.
    names: HashSet<Arc<str>>,
}

#[derive(Default)]
struct TaskRows {
    /// Some row, of whatever split, has a label that is neither 0 nor 1.
    has_numbers: bool,
    has_classes: bool,
    tests: Vec<Row>,
}

struct Row {
    class: Option<Arc<str>>,
    sample: Sample,
    label: Option<f32>,
    score: f64,
}

/// What is wrong with a task.
enum Problem {
    Score(Arc<str>, f64, &'static str),
    Label(f32, &'static str),
    Other(String),
}

impl Problem {
    fn of(self, task: &str) -> String {
        match self {
            Problem::Score(entity, score, expected) => format!(
                "the score of entity {entity}, task `{task}`, is {score}; expected {expected}"
            ),
            Problem::Label(label, expected) => {
                format!("label {label} of task `{task}`; expected {expected}")
            }
            Problem::Other(words) => format!("task `{task}`: {words}"),
        }
    }
}

impl TakeIn for Rows {
    fn entry(&mut self, key: &str, value: &str) -> Result<(), String> {
        if key != TASKS_ENTRY {
            return Ok(());
        }
        self.kinds = serde_json::from_str(value).map_err(|error| {
            format!("its entry `{TASKS_ENTRY}` is no map from task to kind: {error}")
        })?;
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let entities = texts(batch, "entity")?;
        let snapshots = column_of(batch, "snapshot", &SNAPSHOT_TYPE)?;
        let snapshots = snapshots.as_primitive::<TimestampMillisecondType>();
        let (splits, tasks) = (texts(batch, "split")?, texts(batch, "task")?);
        let classes = texts_or_null(batch, "class")?;
        let labels = column_of(batch, "label", &DataType::Float32)?.as_primitive::<Float32Type>();
        let scores = column_of(batch, "score", &DataType::Float64)?.as_primitive::<Float64Type>();
        if snapshots.null_count() + scores.null_count() > 0 {
            return Err("a snapshot or score is NULL".to_owned());
        }
        self.count += batch.num_rows();
        for row in 0..batch.num_rows() {
            let name = tasks.value(row);
            if !self.tasks.contains_key(name) {
                self.tasks.insert(name.to_owned(), TaskRows::default());
            }
            let task = self.tasks.entry(name.to_owned()).or_default();
            let label = labels.is_valid(row).then(|| labels.value(row));
            task.has_numbers |= label.is_some_and(|label| label != 0.0 && label != 1.0);
            task.has_classes |= classes.is_valid(row);
            if Split::from_str(splits.value(row))? != Split::Test {
                continue;
            }
            let class = classes
                .is_valid(row)
                .then(|| held_once(&mut self.names, classes.value(row)));
            let entity = held_once(&mut self.names, entities.value(row));
            task.tests.push(Row {
                class,
                sample: (entity, snapshots.value(row)),
                label,
                score: scores.value(row),
            });
        }
        Ok(())
    }
}

fn held_once(names: &mut HashSet<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(held) = names.get(name) {
        return Arc::clone(held);
    }
    let held: Arc<str> = name.into();
    names.insert(Arc::clone(&held));
    held
}

impl TaskRows {
    fn finish(mut self, kind: Option<TaskKind>) -> Result<TaskPredictions, Problem> {
        let kind = kind.unwrap_or(match (self.has_classes, self.has_numbers) {
            (true, _) => TaskKind::Multiclass,
            (false, true) => TaskKind::Regression,
            (false, false) => TaskKind::Binary,
        });
        self.tests.iter().try_for_each(|row| check_row(kind, row))?;
        self.tests
            .sort_by(|a, b| (&a.class, &a.sample).cmp(&(&b.class, &b.sample)));
        let mut samples: Vec<Sample> = Vec::new();
        let mut columns = Vec::new();
        for of_class in self.tests.chunk_by(|a, b| a.class == b.class) {
            let class = of_class[0].class.clone();
            if let Some(pair) = of_class
                .windows(2)
                .find(|pair| pair[0].sample == pair[1].sample)
            {
                return Err(twice(&pair[0]));
            }
            if columns.is_empty() {
                samples = of_class.iter().map(|row| row.sample.clone()).collect();
            } else if !samples.iter().eq(of_class.iter().map(|row| &row.sample)) {
                let other = of_class.len();
                let name = class.as_deref().unwrap_or_default();
                return Err(Problem::Other(format!(
                    "class `{name}` has other test samples ({other}) than the first class ({}); expected a row for \
                     each sample and class",
                    samples.len()
                )));
            }
            columns.push(Column {
                class: class.as_deref().map(str::to_owned),
                labels: of_class.iter().map(|row| row.label).collect(),
                scores: of_class.iter().map(|row| row.score).collect(),
            });
        }
        if kind == TaskKind::Multiclass {
            check_one_class_is_true(&samples, &columns)?;
        }
        Ok(TaskPredictions {
            kind,
            samples,
            columns,
        })
    }
}

fn twice(row: &Row) -> Problem {
    let of_class = row
        .class
        .as_ref()
        .map_or_else(String::new, |class| format!(", class `{class}`"));
    Problem::Other(format!(
        "entity {} stands twice at one snapshot in test{of_class}",
        row.sample.0
    ))
}

fn check_row(kind: TaskKind, row: &Row) -> Result<(), Problem> {
    if row.class.is_some() != (kind == TaskKind::Multiclass) {
        return Err(Problem::Other(match kind {
            TaskKind::Multiclass => "some rows have a class and some have none".to_owned(),
            _ => "it is no multiclass task, and has classes".to_owned(),
        }));
    }
    let entity = || row.sample.0.clone();
    if kind == TaskKind::Regression {
        if row.score.is_nan() || row.score.abs() > LARGEST_NUMBER {
            let expected = "a finite number of at most 1e150 in size";
            return Err(Problem::Score(entity(), row.score, expected));
        }
        if let Some(label) = row.label.filter(|label| !label.is_finite()) {
            return Err(Problem::Label(label, "a finite number or NULL"));
        }
        return Ok(());
    }
    if let Some(label) = row.label.filter(|&label| label != 0.0 && label != 1.0) {
        return Err(Problem::Label(label, "0, 1 or NULL"));
    }
    if !(0.0..=1.0).contains(&row.score) {
        return Err(Problem::Score(
            entity(),
            row.score,
            "a probability from 0 to 1",
        ));
    }
    Ok(())
}

/// Of a sample's classes at most one is true, and all have a label or none.
fn check_one_class_is_true(samples: &[Sample], columns: &[Column]) -> Result<(), Problem> {
    for (i, (entity, _)) in samples.iter().enumerate() {
        let labels = || columns.iter().map(|column| column.labels[i]);
        let wrong = if labels().filter(|&label| label == Some(1.0)).count() > 1 {
            "more than one true class"
        } else if labels().any(|label| label.is_none()) && labels().any(|label| label.is_some()) {
            "a label for some classes and none for others"
        } else {
            continue;
        };
        return Err(Problem::Other(format!("entity {entity} has {wrong}")));
    }
    Ok(())
}
