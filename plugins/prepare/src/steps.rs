//! The stored steps of a bucket: the rows that some sample may see, and what depends on the event
//! alone.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Float64Array, RecordBatch};
use datafusion::prelude::SessionContext;
use supermoe_channels::{Per, Split};

use crate::channel::{ChannelReader, Coding, PlannedChannel, RawColumn};
use crate::dates::written;
use crate::dictionary::Dictionary;
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{DAYS_SINCE_PREVIOUS, ReadyExpression, numbers};
use crate::sample_rows::{Piece, SampleRows, gathered};
use crate::totals::{Added, PlannedTotal};

/// Columns run over the steps.
#[derive(Debug)]
pub struct StepColumns {
    pub entity: Vec<u32>,
    pub visit: Vec<u32>,
    /// By channel; none for those that do not hang on the event alone.
    pub channels: Vec<Option<StepColumn>>,
    /// By total, those that are channels first: the sum from the entity's first step to this one.
    totals: Vec<Vec<f64>>,
    /// How many totals are channels.
    channel_totals: usize,
    /// By step: whether its values make the vocabularies.
    pub counted: Vec<bool>,
    /// By entity: its first step.
    starts: Vec<u64>,
}

/// `first_of_window` is what the value is where a history begins.
#[derive(Debug)]
pub struct StepColumn {
    pub values: RawColumn,
    pub first_of_window: Option<RawColumn>,
}

/// What is needed of the run to make the steps of a bucket.
pub struct StepPlan<'a> {
    pub channels: &'a [PlannedChannel],
    pub totals: &'a [PlannedTotal],
    /// Rows at or after this are no steps.
    pub last_snapshot: i64,
    /// Values of steps before this, of entities to train on, make the vocabularies; none: all do.
    pub training_end: Option<i64>,
}

impl StepPlan<'_> {
    /// `dictionaries`: by channel. `splits`: by entity.
    ///
    /// # Errors
    /// An expression that fails, or gives what it may not.
    pub fn compute(
        &self,
        context: &SessionContext,
        events: &Arc<Events>,
        splits: &[Split],
        dictionaries: &mut [Dictionary],
    ) -> Result<StepColumns, PrepareError> {
        let mut columns = StepColumns {
            entity: Vec::new(),
            visit: Vec::new(),
            channels: Vec::new(),
            totals: Vec::new(),
            channel_totals: self.totals.iter().filter(|total| total.is_channel).count(),
            counted: Vec::new(),
            starts: Vec::with_capacity(events.ranges.len()),
        };
        let mut pieces = Vec::new();
        for (range, entity) in events.ranges.iter().zip(0..) {
            columns.starts.push(columns.entity.len() as u64);
            let times = &events.time[range.clone()];
            let steps = times.partition_point(|&time| time < self.last_snapshot);
            let rows = range.start..range.start + steps;
            columns.entity.extend(rows.clone().map(|_| entity));
            columns.visit.extend_from_slice(&events.visit[rows.clone()]);
            pieces.push(Piece {
                history_start: rows.start,
                rows,
                snapshot: self.last_snapshot,
            });
        }
        columns.counted = self.counted(&pieces, events, splits);
        let by_step = self
            .channels
            .iter()
            .filter(|channel| channel.per == Per::Step);
        let mut wanted = crate::channel::columns(by_step);
        let expressions = self.totals.iter().filter_map(PlannedTotal::expression);
        wanted.extend(
            expressions.flat_map(|expression| expression.columns.iter().map(String::as_str)),
        );
        let rows = SampleRows::new(events, pieces, &wanted);
        let mut readers = Readers::new(context, self, &rows)?;
        let mut before = 0;
        for batch in rows.batches() {
            let batch = gathered(batch)?;
            let place = |row: usize| place(events, &columns, before + row);
            readers.read(&batch, dictionaries, &columns.counted[before..], &place)?;
            let sums = &mut readers.totals;
            let entities = &columns.entity[before..before + batch.num_rows()];
            for total in sums.iter_mut() {
                total.add(&batch, entities, &columns.visit[before..], &place)?;
            }
            before += batch.num_rows();
        }
        (columns.channels, columns.totals) = readers.finish();
        Ok(columns)
    }

    /// By step: whether its values make the vocabularies.
    fn counted(&self, pieces: &[Piece], events: &Events, splits: &[Split]) -> Vec<bool> {
        let mut counted = Vec::new();
        for (piece, split) in pieces.iter().zip(splits) {
            let times = &events.time[piece.rows.clone()];
            counted.extend(times.iter().map(|&time| match self.training_end {
                Some(end) => time < end && *split == Split::Train,
                None => true,
            }));
        }
        counted
    }
}

impl StepColumns {
    pub fn len(&self) -> usize {
        self.entity.len()
    }

    /// The totals that are channels: of each the sum from the entity's first step to this one.
    pub fn channel_totals(&self) -> &[Vec<f64>] {
        &self.totals[..self.channel_totals]
    }

    /// A total at some steps of a history that begins with the step `window_first`.
    pub fn running(
        &self,
        total: usize,
        window_first: usize,
        steps: Range<usize>,
    ) -> impl Iterator<Item = f64> {
        let sums = &self.totals[total];
        let same_entity = |before: &usize| self.entity[*before] == self.entity[window_first];
        let before = window_first.checked_sub(1).filter(same_entity);
        let before = before.map_or(0.0, |before| sums[before]);
        sums[steps].iter().map(move |sum| sum - before)
    }

    /// The index of a row's step.
    pub fn step(&self, events: &Events, entity: u32, row: usize) -> u64 {
        let entity = entity as usize;
        // Rows of an entity ascend, so its steps are its first rows.
        self.starts[entity] + (row - events.ranges[entity].start) as u64
    }
}

fn place(events: &Events, columns: &StepColumns, step: usize) -> String {
    let entity = columns.entity[step] as usize;
    let row = events.ranges[entity].start + step - columns.starts[entity] as usize;
    let (key, time) = (&events.keys[entity], written(events.time[row]));
    format!("for entity {key} at {time}")
}

/// The channels and totals while the batches pass by.
struct Readers<'a> {
    /// By channel.
    channels: Vec<Option<StepReader<'a>>>,
    totals: Vec<TotalReader<'a>>,
}

struct StepReader<'a> {
    values: ChannelReader<'a>,
    first_of_window: Option<ChannelReader<'a>>,
    vocabulary: bool,
}

impl<'a> Readers<'a> {
    fn new(
        context: &SessionContext,
        plan: &StepPlan<'a>,
        rows: &SampleRows,
    ) -> Result<Self, PrepareError> {
        let reader =
            |channel: &'a PlannedChannel| ChannelReader::new(context, channel, rows.schema());
        let channels = plan.channels.iter().map(|channel| {
            if channel.per != Per::Step {
                return Ok(None);
            }
            let looks_back = channel.expression.uses(DAYS_SINCE_PREVIOUS);
            Ok(Some(StepReader {
                values: reader(channel)?,
                first_of_window: looks_back.then(|| reader(channel)).transpose()?,
                vocabulary: matches!(channel.coding, Coding::Vocabulary { .. }),
            }))
        });
        let totals = plan.totals.iter().map(|total| {
            let expression = total.expression();
            let ready = expression.map(|expression| expression.ready(context, rows.schema()));
            Ok(TotalReader {
                total,
                expression: ready.transpose()?,
                sums: Vec::new(),
                last: None,
            })
        });
        Ok(Self {
            channels: channels.collect::<Result<_, PrepareError>>()?,
            totals: totals.collect::<Result<_, PrepareError>>()?,
        })
    }

    fn read(
        &mut self,
        batch: &RecordBatch,
        dictionaries: &mut [Dictionary],
        counted: &[bool],
        place: &impl Fn(usize) -> String,
    ) -> Result<(), PrepareError> {
        let mut alone = None;
        for (reader, dictionary) in self.channels.iter_mut().zip(dictionaries) {
            let Some(reader) = reader else {
                continue;
            };
            reader.values.read(batch, dictionary, place)?;
            if let (RawColumn::Codes(codes), true) = (&reader.values.values, reader.vocabulary) {
                let of_batch = &codes[codes.len() - batch.num_rows()..];
                for (&code, _) in of_batch
                    .iter()
                    .zip(counted)
                    .filter(|(_, counted)| **counted)
                {
                    dictionary.count(code, 1);
                }
            }
            if let Some(first) = &mut reader.first_of_window {
                let alone = match &alone {
                    Some(alone) => alone,
                    None => alone.insert(without_previous(batch)?),
                };
                first.read(alone, dictionary, place)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> (Vec<Option<StepColumn>>, Vec<Vec<f64>>) {
        let channels = self.channels.into_iter().map(|reader| {
            reader.map(|reader| StepColumn {
                values: reader.values.values,
                first_of_window: reader.first_of_window.map(|first| first.values),
            })
        });
        let totals = self.totals.into_iter().map(|total| total.sums);
        (channels.collect(), totals.collect())
    }
}

/// The batch with 0 in the place of the days since the row before.
fn without_previous(batch: &RecordBatch) -> Result<RecordBatch, PrepareError> {
    let schema = batch.schema();
    let mut columns = batch.columns().to_vec();
    if let Ok(index) = schema.index_of(DAYS_SINCE_PREVIOUS) {
        columns[index] = Arc::new(Float64Array::from(vec![0.0; batch.num_rows()]));
    }
    gathered(RecordBatch::try_new(schema, columns))
}

/// The sums of one total from each entity's first step on.
struct TotalReader<'a> {
    total: &'a PlannedTotal,
    expression: Option<ReadyExpression>,
    sums: Vec<f64>,
    /// The entity of the last step.
    last: Option<u32>,
}

impl TotalReader<'_> {
    fn add(
        &mut self,
        batch: &RecordBatch,
        entities: &[u32],
        visits: &[u32],
        place: &impl Fn(usize) -> String,
    ) -> Result<(), PrepareError> {
        let values = match (&self.expression, &self.total.adds) {
            (Some(expression), Added::Sum(sum)) => {
                Some(numbers(&sum.param, &expression.evaluate(batch)?)?)
            }
            _ => None,
        };
        for (row, &entity) in entities.iter().enumerate() {
            let before = match self.last == Some(entity) {
                true => self.sums.last().copied().unwrap_or(0.0),
                false => 0.0,
            };
            self.last = Some(entity);
            let sum = match (&self.total.adds, &values) {
                (Added::Times, _) => f64::from(visits[row]) + 1.0,
                (Added::Sum(_), Some(values)) => before + values[row].unwrap_or(0.0),
                _ => before + 1.0,
            };
            if let (Added::Sum(expression), false) = (&self.total.adds, sum.is_finite()) {
                let at = place(row);
                return Err(PrepareError::param(
                    expression.param.as_str(),
                    format!("its sum is {sum} {at}; guard the expression"),
                ));
            }
            self.sums.push(sum);
        }
        Ok(())
    }
}
