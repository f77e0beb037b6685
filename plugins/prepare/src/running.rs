//! Running totals beside the rows of samples, as columns that SQL over the rows may name.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type};
use datafusion::prelude::SessionContext;

use crate::error::PrepareError;
use crate::expression::{Expression, ReadyExpression, SAMPLE, numbers};
use crate::sample_rows::{Piece, SampleRows, gathered};
use crate::samples::BucketRows;
use crate::totals::PlannedTotal;
use crate::windows::Window;

/// Columns that are made row by row while the batches of some samples pass by.
pub struct RunningColumns<'a> {
    schema: SchemaRef,
    columns: Vec<Box<dyn Iterator<Item = f64> + 'a>>,
}

impl<'a> RunningColumns<'a> {
    /// None yet, beside rows of this schema.
    pub fn new(rows: &SchemaRef) -> Self {
        Self {
            schema: rows.clone(),
            columns: Vec::new(),
        }
    }

    /// Adds a column; `values` has one for each row of all batches.
    pub fn add(&mut self, name: &str, values: impl Iterator<Item = f64> + 'a) {
        self.schema = with_number(&self.schema, name);
        self.columns.push(Box::new(values));
    }

    /// Of the rows with the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch with its part of the columns.
    ///
    /// # Errors
    /// Fewer values than rows.
    pub fn beside(&mut self, batch: &RecordBatch) -> Result<RecordBatch, PrepareError> {
        let mut arrays = batch.columns().to_vec();
        let rows = batch.num_rows();
        arrays.extend(
            self.columns.iter_mut().map(|column| {
                Arc::new(Float64Array::from_iter_values(column.take(rows))) as ArrayRef
            }),
        );
        gathered(RecordBatch::try_new(self.schema.clone(), arrays))
    }
}

fn with_number(schema: &SchemaRef, name: &str) -> SchemaRef {
    let fields = schema.fields().iter().cloned();
    let number = Arc::new(Field::new(name, DataType::Float64, false));
    Arc::new(Schema::new(fields.chain([number]).collect::<Vec<_>>()))
}

/// The totals at the rows `cut` of some samples.
pub struct SampleTotals<'a> {
    rows: &'a BucketRows<'a>,
    windows: &'a [Window],
    cut: &'a [Range<usize>],
    /// By total that hangs on the sample: its values, row by row.
    by_sample: Vec<Vec<f64>>,
}

impl<'a> SampleTotals<'a> {
    /// `snapshots`: their times in microseconds.
    ///
    /// # Errors
    /// An expression that fails, or a sum that is not finite.
    pub fn compute(
        rows: &'a BucketRows<'a>,
        windows: &'a [Window],
        cut: &'a [Range<usize>],
        snapshots: &[i64],
    ) -> Result<Self, PrepareError> {
        let mut totals = Self {
            rows,
            windows,
            cut,
            by_sample: Vec::new(),
        };
        if !rows.totals.by_sample.is_empty() {
            totals.by_sample = totals.sums(snapshots)?;
        }
        Ok(totals)
    }

    /// Those of the totals that `wanted` says, beside the rows of the cut.
    pub fn beside(
        &'a self,
        rows: &SchemaRef,
        wanted: impl Fn(&PlannedTotal) -> bool,
    ) -> RunningColumns<'a> {
        let mut columns = RunningColumns::new(rows);
        self.add_by_step(&mut columns, self.cut, &wanted);
        let by_sample = self.rows.totals.by_sample.iter().zip(&self.by_sample);
        for (total, values) in by_sample.filter(|(total, _)| wanted(total)) {
            columns.add(&total.name, values.iter().copied());
        }
        columns
    }

    /// The totals by step at some rows of each sample.
    fn add_by_step<'b>(
        &self,
        columns: &mut RunningColumns<'b>,
        ranges: &'b [Range<usize>],
        wanted: &impl Fn(&PlannedTotal) -> bool,
    ) where
        'a: 'b,
    {
        let (rows, windows) = (self.rows, self.windows);
        for (index, total) in rows.totals.by_step.iter().enumerate() {
            if !wanted(total) {
                continue;
            }
            let values = windows.iter().zip(ranges).flat_map(move |(window, range)| {
                let step = |row| rows.steps.step(rows.events, window.entity, row) as usize;
                let first = step(range.start);
                let steps = first..first + range.len();
                rows.steps.running(index, step(window.history.start), steps)
            });
            columns.add(&total.name, values);
        }
    }

    /// By total that hangs on the sample: its running sums over each history, those of the cut kept.
    fn sums(&self, snapshots: &[i64]) -> Result<Vec<Vec<f64>>, PrepareError> {
        let planned = &self.rows.totals.by_sample;
        let expressions: Vec<&Expression> = planned
            .iter()
            .filter_map(PlannedTotal::expression)
            .collect();
        let columns = expressions
            .iter()
            .flat_map(|expression| &expression.columns);
        let columns = columns.map(String::as_str).collect();
        let histories: Vec<Range<usize>> = self
            .windows
            .iter()
            .map(|window| window.history.clone())
            .collect();
        let pieces = self.windows.iter().map(|window| Piece {
            rows: window.history.clone(),
            snapshot: snapshots[window.snapshot],
            history_start: window.history.start,
        });
        let of_samples = SampleRows::new(self.rows.events, pieces.collect(), &columns);
        let mut running = RunningColumns::new(of_samples.schema());
        self.add_by_step(&mut running, &histories, &|total| {
            columns.contains(total.name.as_str())
        });
        let skipped: Vec<usize> = self
            .windows
            .iter()
            .zip(self.cut)
            .map(|(window, cut)| cut.start - window.history.start)
            .collect();
        let mut schema = running.schema().clone();
        let mut sums = Vec::with_capacity(planned.len());
        for (total, expression) in planned.iter().zip(expressions) {
            sums.push(RunningSum::new(self.rows.context, expression, &schema)?);
            schema = with_number(&schema, &total.name);
        }
        for batch in of_samples.batches() {
            let mut batch = running.beside(&gathered(batch)?)?;
            for (total, sum) in planned.iter().zip(&mut sums) {
                let place = |sample: usize| {
                    let entity = self.windows[sample].entity as usize;
                    format!("for entity {}", self.rows.events.keys[entity])
                };
                let values = sum.add(&batch, &skipped, place)?;
                let mut arrays = batch.columns().to_vec();
                arrays.push(Arc::new(Float64Array::from(values)));
                let schema = with_number(&batch.schema(), &total.name);
                batch = gathered(RecordBatch::try_new(schema, arrays))?;
            }
        }
        Ok(sums.into_iter().map(|sum| sum.kept).collect())
    }
}

/// One total while the rows of all histories pass by.
struct RunningSum<'a> {
    expression: &'a Expression,
    ready: ReadyExpression,
    /// Of the last row: its sample, its place within it, the sum.
    last: Option<(u32, usize, f64)>,
    kept: Vec<f64>,
}

impl<'a> RunningSum<'a> {
    fn new(
        context: &SessionContext,
        expression: &'a Expression,
        schema: &Schema,
    ) -> Result<Self, PrepareError> {
        Ok(Self {
            expression,
            ready: expression.ready(context, schema)?,
            last: None,
            kept: Vec::new(),
        })
    }

    /// The sums at the rows of a batch. `skipped`: by sample, its rows before the cut.
    fn add(
        &mut self,
        batch: &RecordBatch,
        skipped: &[usize],
        place: impl Fn(usize) -> String,
    ) -> Result<Vec<f64>, PrepareError> {
        let param = self.expression.param.as_str();
        let values = numbers(param, &self.ready.evaluate(batch)?)?;
        let schema = batch.schema();
        let samples = batch.column(gathered(schema.index_of(SAMPLE))?);
        let samples = samples.as_primitive::<UInt32Type>().values();
        let mut sums = Vec::with_capacity(values.len());
        for (value, &sample) in values.into_iter().zip(samples) {
            let (row, before) = match self.last {
                Some((last, row, sum)) if last == sample => (row + 1, sum),
                _ => (0, 0.0),
            };
            let sum = before + value.unwrap_or(0.0);
            if !sum.is_finite() {
                let problem = format!(
                    "its sum is {sum} {}; guard the expression",
                    place(sample as usize)
                );
                return Err(PrepareError::param(param, problem));
            }
            self.last = Some((sample, row, sum));
            sums.push(sum);
            if row >= skipped[sample as usize] {
                self.kept.push(sum);
            }
        }
        Ok(sums)
    }
}
