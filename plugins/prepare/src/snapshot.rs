//! The samples of one snapshot: aggregates over their history, labels from their future.

use std::ops::Range;

use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::{Per, TaskKind};

use crate::aggregate::Aggregates;
use crate::calendar::Snapshot;
use crate::channel::{PlannedChannel, RawValues, finite};
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{
    DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, Expression, SNAPSHOT, snapshot_row,
};
use crate::params::{Params, TaskParams};
use crate::session;
use crate::windows::{Gather, Window, label_rows, windows};

/// What is computed for every snapshot.
#[derive(Debug)]
pub struct Plan {
    history: i64,
    length: u32,
    aggregate_names: Vec<String>,
    aggregates: Aggregates,
    label_windows: Vec<LabelWindow>,
    tasks: usize,
    /// Channels that look at the snapshot, in the order of the params.
    channels: Vec<PlannedChannel>,
    data_end: i64,
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
    kind: TaskKind,
    /// Indices in the window's aggregates.
    label: usize,
    condition: Option<usize>,
}

/// Columns run over the samples.
#[derive(Debug)]
pub struct SnapshotSamples {
    pub snapshot: Snapshot,
    pub windows: Vec<Window>,
    /// By aggregate; NaN for NULL.
    pub aggregates: Vec<Vec<f32>>,
    /// By task; NaN for no label.
    pub labels: Vec<Vec<f32>>,
    /// By task: how many complete windows have a label that is NULL.
    pub null_labels: Vec<u64>,
    /// By channel of the plan: by sample and step, or one value for the snapshot.
    pub channels: Vec<RawValues>,
}

impl Plan {
    pub async fn new(
        context: &SessionContext,
        events: &Schema,
        params: &Params,
        channels: &[PlannedChannel],
        data_end: i64,
    ) -> Result<Self, PrepareError> {
        let allowed = [DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, SNAPSHOT];
        let aggregates = params.aggregates.iter().map(|(name, sql)| {
            Expression::parse(
                context,
                events,
                format!("with.aggregates.{name}"),
                sql,
                &allowed,
            )
        });
        let aggregates = Aggregates::new(aggregates.collect::<Result<_, _>>()?, events).await?;
        let seen = channels.iter().filter(|channel| channel.per != Per::Step);
        Ok(Self {
            history: params.history.micros(),
            length: params.length,
            aggregate_names: params.aggregates.keys().cloned().collect(),
            aggregates,
            label_windows: label_windows(context, events, params).await?,
            tasks: params.tasks.len(),
            channels: seen.cloned().collect(),
            data_end,
        })
    }

    /// Makes the samples of one snapshot.
    ///
    /// # Errors
    /// An expression that fails, or gives what it may not.
    pub async fn samples(
        &self,
        events: &Events,
        snapshot: Snapshot,
    ) -> Result<SnapshotSamples, PrepareError> {
        let at = snapshot.date.micros();
        let windows = windows(events, at, self.history);
        let aggregates = self.aggregates(events, at, &windows).await?;
        let (labels, null_labels) = self.labels(events, at, &windows).await?;
        let channels = self.channels(events, at, &windows)?;
        Ok(SnapshotSamples {
            snapshot,
            windows,
            aggregates,
            labels,
            null_labels,
            channels,
        })
    }

    async fn aggregates(
        &self,
        events: &Events,
        at: i64,
        windows: &[Window],
    ) -> Result<Vec<Vec<f32>>, PrepareError> {
        if self.aggregates.is_empty() {
            return Ok(Vec::new());
        }
        let ranges: Vec<Range<usize>> = windows
            .iter()
            .map(|window| window.history.clone())
            .collect();
        let gather = Gather {
            events,
            snapshot: at,
            columns: self.aggregates.columns(),
        };
        let rows = gather.rows(&ranges, |_| true)?;
        let values = self.aggregates.compute(rows, windows.len()).await?;
        let place = |sample: usize| entity(events, &windows[sample]);
        let named = values.into_iter().zip(&self.aggregate_names);
        named
            .map(|(values, name)| finite(&format!("with.aggregates.{name}"), values, place))
            .collect()
    }

    async fn labels(
        &self,
        events: &Events,
        at: i64,
        windows: &[Window],
    ) -> Result<(Vec<Vec<f32>>, Vec<u64>), PrepareError> {
        let mut labels = vec![vec![f32::NAN; windows.len()]; self.tasks];
        let mut null_labels = vec![0; self.tasks];
        for label_window in &self.label_windows {
            if at + label_window.within > self.data_end {
                continue;
            }
            let ranges: Vec<Range<usize>> = windows
                .iter()
                .map(|window| label_rows(events, window, at, label_window.within))
                .collect();
            let gather = Gather {
                events,
                snapshot: at,
                columns: label_window.aggregates.columns(),
            };
            let rows = gather.rows(&ranges, |_| false)?;
            let values = label_window.aggregates.compute(rows, windows.len()).await?;
            for task in &label_window.tasks {
                let param = &label_window.aggregates.expressions()[task.label].param;
                for (sample, &label) in values[task.label].iter().enumerate() {
                    let wanted = task
                        .condition
                        .is_none_or(|condition| values[condition][sample] == Some(1.0));
                    match label {
                        _ if !wanted => {}
                        None => null_labels[task.task] += 1,
                        Some(label) => {
                            check_label(param, task.kind, label)?;
                            labels[task.task][sample] = label as f32;
                        }
                    }
                }
            }
        }
        Ok((labels, null_labels))
    }

    fn channels(
        &self,
        events: &Events,
        at: i64,
        windows: &[Window],
    ) -> Result<Vec<RawValues>, PrepareError> {
        if self.channels.is_empty() {
            return Ok(Vec::new());
        }
        let context = session::new();
        let ranges: Vec<Range<usize>> = windows
            .iter()
            .map(|window| window.steps(self.length))
            .collect();
        let by_step = self
            .channels
            .iter()
            .filter(|channel| channel.per == Per::SampleStep);
        let columns = by_step
            .flat_map(|channel| &channel.expression.columns)
            .map(String::as_str);
        let gather = Gather {
            events,
            snapshot: at,
            columns: columns.collect(),
        };
        let steps = gather.rows(&ranges, |sample| {
            ranges[sample].start == windows[sample].history.start
        })?;
        let snapshot = snapshot_row(at)?;
        let values = self.channels.iter().map(|channel| match channel.per {
            Per::Snapshot => channel.values(&context, &snapshot, |_| "for the snapshot".to_owned()),
            Per::SampleStep | Per::Step => channel.values(&context, &steps, |step| {
                let mut before = 0;
                let sample = ranges.iter().position(|range| {
                    before += range.len();
                    step < before
                });
                sample.map_or_else(String::new, |sample| entity(events, &windows[sample]))
            }),
        });
        values.collect()
    }
}

fn entity(events: &Events, window: &Window) -> String {
    format!("for entity {}", events.keys[window.entity as usize])
}

fn check_label(param: &str, kind: TaskKind, label: f64) -> Result<(), PrepareError> {
    match kind {
        TaskKind::Binary if label == 0.0 || label == 1.0 => Ok(()),
        TaskKind::Binary => {
            let problem = format!("its value is {label}; a binary label is true or false, 1 or 0");
            Err(PrepareError::param(param, problem))
        }
    }
}

async fn label_windows(
    context: &SessionContext,
    events: &Schema,
    params: &Params,
) -> Result<Vec<LabelWindow>, PrepareError> {
    let mut spans: Vec<i64> = params
        .tasks
        .values()
        .map(|task| task.within.micros())
        .collect();
    spans.sort_unstable();
    spans.dedup();
    let mut label_windows = Vec::with_capacity(spans.len());
    for within in spans {
        let mut expressions = Vec::new();
        let mut tasks = Vec::new();
        for (
            task,
            (
                name,
                TaskParams {
                    kind,
                    label,
                    r#where,
                    ..
                },
            ),
        ) in params.tasks.iter().enumerate()
        {
            if params.tasks[task].within.micros() != within {
                continue;
            }
            let mut parse = |field: &str, sql: &str| {
                let param = format!("with.tasks.{name}.{field}");
                expressions.push(Expression::parse(context, events, param, sql, &[SNAPSHOT])?);
                Ok::<usize, PrepareError>(expressions.len() - 1)
            };
            let label = parse("label", label)?;
            let condition = r#where
                .as_deref()
                .map(|sql| parse("where", sql))
                .transpose()?;
            tasks.push(LabelTask {
                task,
                kind: *kind,
                label,
                condition,
            });
        }
        label_windows.push(LabelWindow {
            within,
            aggregates: Aggregates::new(expressions, events).await?,
            tasks,
        });
    }
    Ok(label_windows)
}
