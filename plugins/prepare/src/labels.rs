//! Labels: SQL aggregates over the window after a snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::{Split, TaskKind};

use crate::aggregate::{AggregateValues, Aggregates, Wanted};
use crate::dictionary::Dictionary;
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{Expression, SNAPSHOT};
use crate::params::{Params, TaskParams};
use crate::sample_rows::{Piece, SampleRows};
use crate::windows::{Window, label_rows};

/// The tasks of all label windows.
#[derive(Debug)]
pub struct LabelPlan {
    windows: Vec<LabelWindow>,
    kinds: Vec<TaskKind>,
}

/// The tasks with one `within`: their expressions run over the same rows.
#[derive(Debug)]
struct LabelWindow {
    within: i64,
    aggregates: Aggregates,
    tasks: Vec<LabelTask>,
}

#[derive(Debug)]
struct LabelTask {
    /// Index in the params.
    task: usize,
    /// Indices in the window's aggregates.
    label: usize,
    condition: Option<usize>,
}

/// The labels of some samples.
#[derive(Debug)]
pub struct Labels {
    /// By task, then by sample: NaN for no label; of a multiclass task the number of the class in the
    /// task's dictionary.
    pub values: Vec<Vec<f32>>,
    /// By task: how many complete windows have a label that is NULL.
    pub nulls: Vec<u64>,
}

impl LabelPlan {
    /// # Errors
    /// An expression that is no aggregate, or whose value is no label.
    pub async fn new(
        context: &SessionContext,
        events: &Schema,
        params: &Params,
    ) -> Result<Self, PrepareError> {
        let spans = params.tasks.values().map(|task| task.within.micros());
        let spans: BTreeSet<i64> = spans.collect();
        let mut windows = Vec::with_capacity(spans.len());
        for within in spans {
            windows.push(LabelWindow::new(context, events, params, within).await?);
        }
        Ok(Self {
            windows,
            kinds: params.tasks.values().map(|task| task.kind).collect(),
        })
    }

    /// Columns that some label looks at.
    pub fn columns(&self) -> BTreeSet<&str> {
        let columns = self
            .windows
            .iter()
            .map(|window| window.aggregates.columns());
        columns.flatten().collect()
    }

    /// `snapshots`: their times in microseconds; labels of windows that end after `data_end` are not
    /// known. `classes`: by task, the dictionary of a multiclass one.
    ///
    /// # Errors
    /// An expression that fails, a value that is no label of its kind.
    pub async fn compute(
        &self,
        context: &SessionContext,
        events: &Arc<Events>,
        samples: &[Window],
        snapshots: &[i64],
        data_end: i64,
        classes: &mut [Dictionary],
    ) -> Result<Labels, PrepareError> {
        let tasks = self.kinds.len();
        let mut labels = Labels {
            values: vec![vec![f32::NAN; samples.len()]; tasks],
            nulls: vec![0; tasks],
        };
        for window in &self.windows {
            let known = |sample: &Window| {
                let end = snapshots[sample.snapshot] + window.within;
                sample.split != Split::Predict && end <= data_end
            };
            let pieces = samples.iter().map(|sample| {
                let snapshot = snapshots[sample.snapshot];
                Piece {
                    rows: match known(sample) {
                        true => label_rows(events, sample, snapshot, window.within),
                        false => 0..0,
                    },
                    snapshot,
                    history_start: sample.history.start,
                }
            });
            let rows = SampleRows::new(events, pieces.collect(), &window.aggregates.columns());
            let values = window
                .aggregates
                .compute(context, rows, samples.len())
                .await?;
            for task in &window.tasks {
                let condition = task.condition.map(|condition| &values[condition]);
                let wanted = |i: usize| match condition {
                    Some(AggregateValues::Numbers(values)) => values[i] == Some(1.0),
                    _ => true,
                };
                let param = &window.aggregates.expressions()[task.label].param;
                let found = &values[task.label];
                for (i, _) in samples
                    .iter()
                    .enumerate()
                    .filter(|(_, sample)| known(sample))
                {
                    if !wanted(i) {
                        continue;
                    }
                    let kind = self.kinds[task.task];
                    match label(param, kind, found, i, &mut classes[task.task])? {
                        Some(label) => labels.values[task.task][i] = label,
                        None => labels.nulls[task.task] += 1,
                    }
                }
            }
        }
        Ok(labels)
    }
}

impl LabelWindow {
    async fn new(
        context: &SessionContext,
        events: &Schema,
        params: &Params,
        within: i64,
    ) -> Result<Self, PrepareError> {
        let mut expressions = Vec::new();
        let mut tasks = Vec::new();
        let of_window = params.tasks.iter().enumerate();
        let of_window = of_window.filter(|(_, (_, task))| task.within.micros() == within);
        for (task, (name, of_params)) in of_window {
            let TaskParams {
                kind,
                label,
                r#where: condition,
                ..
            } = of_params;
            let mut parse = |field: &str, sql: &str, wanted: Wanted| {
                let param = format!("with.tasks.{name}.{field}");
                let expression = Expression::parse(context, events, param, sql, &[SNAPSHOT])?;
                expressions.push((expression, wanted));
                Ok::<usize, PrepareError>(expressions.len() - 1)
            };
            let wanted = match kind {
                TaskKind::Binary | TaskKind::Regression => Wanted::Number,
                TaskKind::Multiclass => Wanted::Text,
            };
            let label = parse("label", label, wanted)?;
            let condition = condition
                .as_deref()
                .map(|sql| parse("where", sql, Wanted::Number))
                .transpose()?;
            tasks.push(LabelTask {
                task,
                label,
                condition,
            });
        }
        Ok(Self {
            within,
            aggregates: Aggregates::new(context, expressions, events).await?,
            tasks,
        })
    }
}

/// The label of one sample; none for NULL.
fn label(
    param: &str,
    kind: TaskKind,
    values: &AggregateValues,
    sample: usize,
    classes: &mut Dictionary,
) -> Result<Option<f32>, PrepareError> {
    let number = match values {
        AggregateValues::Numbers(values) => values[sample],
        AggregateValues::Texts(values) => {
            let class = values[sample].as_deref();
            // A bucket's classes are far fewer than an f32 counts exactly; more are refused later.
            return Ok(class.map(|class| classes.number(class) as f32));
        }
    };
    let Some(number) = number else {
        return Ok(None);
    };
    let fits = match kind {
        TaskKind::Binary => number == 0.0 || number == 1.0,
        TaskKind::Regression | TaskKind::Multiclass => (number as f32).is_finite(),
    };
    if fits {
        return Ok(Some(number as f32));
    }
    let expected = match kind {
        TaskKind::Binary => "a binary label is true or false, 1 or 0",
        TaskKind::Regression | TaskKind::Multiclass => {
            "a label is a finite number that fits 32 bits; guard the expression, or let it be NULL (no label)"
        }
    };
    let problem = format!("its value is {number}; {expected}");
    Err(PrepareError::param(param, problem))
}
