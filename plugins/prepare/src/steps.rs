//! The stored steps: the rows that some sample may see, and what depends on the event alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{take, take_record_batch};
use datafusion::prelude::SessionContext;
use supermoe_channels::Steps;

use crate::calendar::written;
use crate::channel::{PlannedChannel, RawValues};
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{DAYS_SINCE_PREVIOUS, Expression, numbers};
use crate::params::Counted;

/// The rows before the last snapshot.
pub struct StepTable<'a> {
    events: &'a Events,
    /// Rows of the events, ascending.
    rows: UInt32Array,
    /// The events' columns and `days_since_previous`.
    batch: RecordBatch,
    /// By row of the events: the index of its step, or of the next one.
    step_of_row: Vec<u64>,
}

/// By step; `first_of_window` is what the value is where a history begins.
pub struct StepValues {
    pub values: RawValues,
    pub first_of_window: Option<RawValues>,
}

impl<'a> StepTable<'a> {
    pub fn new(events: &'a Events, last_snapshot: i64) -> Result<Self, PrepareError> {
        let mut rows = Vec::new();
        let mut step_of_row = Vec::with_capacity(events.time.len());
        for (&time, row) in events.time.iter().zip(0..) {
            step_of_row.push(rows.len() as u64);
            if time < last_snapshot {
                rows.push(row);
            }
        }
        let rows = UInt32Array::from(rows);
        let gather = PrepareError::arrow("gather the steps");
        let batch = take_record_batch(&events.rows, &rows).map_err(&gather)?;
        let days = take(&events.days_since_previous, &rows, None).map_err(&gather)?;
        let batch = with_days_since_previous(&batch, days)?;
        Ok(Self {
            events,
            rows,
            batch,
            step_of_row,
        })
    }

    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// The index of a row's step.
    pub fn step(&self, row: usize) -> u64 {
        self.step_of_row[row]
    }

    /// Microseconds from 1970-01-01 UTC.
    pub fn time(&self, step: usize) -> i64 {
        self.events.time[self.rows.value(step) as usize]
    }

    pub fn steps(&self) -> Steps {
        let of = |values: &[u32]| {
            self.rows
                .values()
                .iter()
                .map(|&row| values[row as usize])
                .collect()
        };
        Steps {
            entity: of(&self.events.entity),
            visit: of(&self.events.visit),
        }
    }

    pub fn values(
        &self,
        context: &SessionContext,
        channel: &PlannedChannel,
    ) -> Result<StepValues, PrepareError> {
        let values = channel.values(context, &self.batch, |step| self.place(step))?;
        let first_of_window = if channel.expression.uses(DAYS_SINCE_PREVIOUS) {
            let zeros = Arc::new(Float64Array::from(vec![0.0; self.len()]));
            let alone = replace_last(&self.batch, zeros)?;
            Some(channel.values(context, &alone, |step| self.place(step))?)
        } else {
            None
        };
        Ok(StepValues {
            values,
            first_of_window,
        })
    }

    /// Counts from the first step of each entity to each step.
    pub fn counts(&self, counted: Counted) -> Vec<f64> {
        match counted {
            Counted::Rows => self.sums(|_| 1.0),
            Counted::Times => {
                let visits = self
                    .rows
                    .values()
                    .iter()
                    .map(|&row| f64::from(self.events.visit[row as usize]) + 1.0);
                visits.collect()
            }
        }
    }

    /// Sums of an expression from the first step of each entity to each step.
    pub fn totals(
        &self,
        context: &SessionContext,
        expression: &Expression,
    ) -> Result<Vec<f64>, PrepareError> {
        let values = numbers(
            &expression.param,
            &expression.evaluate(context, &self.batch)?,
        )?;
        let sums = self.sums(|step| values[step].unwrap_or(0.0));
        match sums.iter().position(|sum| !sum.is_finite()) {
            Some(step) => {
                let problem = format!(
                    "its sum is {} {}; guard the expression",
                    sums[step],
                    self.place(step)
                );
                Err(PrepareError::param(expression.param.as_str(), problem))
            }
            None => Ok(sums),
        }
    }

    fn sums(&self, value: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = Vec::with_capacity(self.len());
        let mut last_entity = None;
        let mut sum = 0.0;
        for (step, &row) in self.rows.values().iter().enumerate() {
            let entity = Some(self.events.entity[row as usize]);
            if entity != last_entity {
                (sum, last_entity) = (0.0, entity);
            }
            sum += value(step);
            sums.push(sum);
        }
        sums
    }

    fn place(&self, step: usize) -> String {
        let row = self.rows.value(step) as usize;
        let key = &self.events.keys[self.events.entity[row] as usize];
        format!("for entity {key} at {}", written(self.events.time[row]))
    }
}

fn with_days_since_previous(
    batch: &RecordBatch,
    days: ArrayRef,
) -> Result<RecordBatch, PrepareError> {
    let schema = batch.schema();
    let mut fields = schema.fields().to_vec();
    fields.push(Arc::new(crate::expression::special_fields()[0].clone()));
    let mut columns = batch.columns().to_vec();
    columns.push(days);
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(PrepareError::arrow("gather the steps"))
}

fn replace_last(batch: &RecordBatch, column: ArrayRef) -> Result<RecordBatch, PrepareError> {
    let mut columns = batch.columns().to_vec();
    columns.pop();
    columns.push(column);
    RecordBatch::try_new(batch.schema(), columns).map_err(PrepareError::arrow("gather the steps"))
}
