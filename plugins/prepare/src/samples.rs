//! The samples of a bucket, chunk by chunk: aggregates over their history, labels from their future,
//! and the channels that look at the snapshot.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::prelude::SessionContext;
use supermoe_channels::Per;

use crate::aggregate::{AggregateValues, Aggregates, Wanted};
use crate::channel::{ChannelReader, Coding, PlannedChannel, RawColumn, finite};
use crate::dictionary::Dictionary;
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{Expression, OF_A_SAMPLE, snapshot_rows};
use crate::labels::{LabelPlan, Labels};
use crate::params::Params;
use crate::running::SampleTotals;
use crate::sample_rows::{Piece, SampleRows, gathered};
use crate::steps::StepColumns;
use crate::totals::{PlannedTotal, Totals};
use crate::windows::Window;

/// A chunk has at most this many samples, and about this many steps.
const CHUNK_SAMPLES: usize = 32_768;
const CHUNK_STEPS: usize = 2_000_000;

/// What is computed for every sample.
#[derive(Debug)]
pub struct SamplePlan {
    pub length: u32,
    pub aggregates: Aggregates,
    pub labels: LabelPlan,
    /// By snapshot of the calendar: microseconds.
    pub snapshots: Vec<i64>,
    pub data_end: i64,
}

/// Columns run over the samples of a chunk.
#[derive(Debug)]
pub struct SampleChunk<'a> {
    pub windows: &'a [Window],
    /// Index of the first step after the cut, within the bucket.
    pub first_step: Vec<u64>,
    pub steps: Vec<u32>,
    /// Index of the first step of the history, within the bucket.
    pub window_first: Vec<u64>,
    /// By aggregate; NaN for NULL.
    pub aggregates: Vec<Vec<f32>>,
    pub labels: Labels,
    /// By channel: by sample and step, for those that look at both.
    pub channels: Vec<Option<RawColumn>>,
    /// Where a sample begins in the columns by sample and step; one more than samples.
    pub offsets: Vec<usize>,
}

/// What a bucket's samples are made from.
pub struct BucketRows<'a> {
    pub context: &'a SessionContext,
    pub events: &'a Arc<Events>,
    pub steps: &'a StepColumns,
    pub channels: &'a [PlannedChannel],
    pub totals: &'a Totals,
}

impl SamplePlan {
    /// # Errors
    /// An aggregate or label that is wrong.
    pub async fn new(
        context: &SessionContext,
        events: &Schema,
        params: &Params,
        snapshots: Vec<i64>,
    ) -> Result<Self, PrepareError> {
        let aggregates = params.aggregates.iter().map(|(name, sql)| {
            let param = format!("with.aggregates.{name}");
            let expression = Expression::parse(context, events, param, sql, &OF_A_SAMPLE)?;
            Ok((expression, Wanted::Number))
        });
        let aggregates = aggregates.collect::<Result<Vec<_>, PrepareError>>()?;
        Ok(Self {
            length: params.length,
            aggregates: Aggregates::new(context, aggregates, events).await?,
            labels: LabelPlan::new(context, events, params).await?,
            snapshots,
            data_end: i64::MAX,
        })
    }

    /// The parts that samples are worked on in.
    pub fn chunks<'a>(&self, windows: &'a [Window]) -> Vec<&'a [Window]> {
        let mut chunks = Vec::new();
        let (mut start, mut steps) = (0, 0);
        for (i, window) in windows.iter().enumerate() {
            steps += window.steps(self.length).len();
            if i + 1 - start == CHUNK_SAMPLES || steps >= CHUNK_STEPS {
                chunks.push(&windows[start..=i]);
                (start, steps) = (i + 1, 0);
            }
        }
        if start < windows.len() {
            chunks.push(&windows[start..]);
        }
        chunks
    }

    /// `dictionaries`: by channel. `classes`: by task.
    ///
    /// # Errors
    /// An expression that fails, or gives what it may not.
    pub async fn compute<'a>(
        &self,
        rows: &BucketRows<'_>,
        windows: &'a [Window],
        dictionaries: &mut [Dictionary],
        classes: &mut [Dictionary],
    ) -> Result<SampleChunk<'a>, PrepareError> {
        let cut: Vec<Range<usize>> = windows
            .iter()
            .map(|window| window.steps(self.length))
            .collect();
        let step = |window: &Window, row| rows.steps.step(rows.events, window.entity, row);
        let mut offsets = vec![0];
        let mut end = 0;
        offsets.extend(cut.iter().map(|range| {
            end += range.len();
            end
        }));
        let labels = &self.labels;
        let labels = labels.compute(
            rows.context,
            rows.events,
            windows,
            &self.snapshots,
            self.data_end,
            classes,
        );
        let labels = labels.await?;
        let pairs = windows.iter().zip(&cut);
        Ok(SampleChunk {
            windows,
            first_step: pairs.map(|(window, cut)| step(window, cut.start)).collect(),
            // At most `length`, which is a u32.
            steps: cut.iter().map(|range| range.len() as u32).collect(),
            window_first: windows
                .iter()
                .map(|window| step(window, window.history.start))
                .collect(),
            aggregates: self.aggregates(rows, windows).await?,
            labels,
            channels: self.channels(rows, windows, &cut, dictionaries)?,
            offsets,
        })
    }

    async fn aggregates(
        &self,
        rows: &BucketRows<'_>,
        windows: &[Window],
    ) -> Result<Vec<Vec<f32>>, PrepareError> {
        if self.aggregates.is_empty() {
            return Ok(Vec::new());
        }
        let pieces = windows.iter().map(|window| Piece {
            rows: window.history.clone(),
            snapshot: self.snapshots[window.snapshot],
            history_start: window.history.start,
        });
        let of_samples = SampleRows::new(rows.events, pieces.collect(), &self.aggregates.columns());
        let values = self
            .aggregates
            .compute(rows.context, of_samples, windows.len())
            .await?;
        let place = |sample: usize| entity(rows.events, &windows[sample]);
        let named = values.into_iter().zip(self.aggregates.expressions());
        named
            .map(|(values, expression)| match values {
                AggregateValues::Numbers(values) => finite(&expression.param, values, place),
                // They are wanted as numbers.
                AggregateValues::Texts(_) => Ok(vec![f32::NAN; windows.len()]),
            })
            .collect()
    }

    fn channels(
        &self,
        rows: &BucketRows<'_>,
        windows: &[Window],
        cut: &[Range<usize>],
        dictionaries: &mut [Dictionary],
    ) -> Result<Vec<Option<RawColumn>>, PrepareError> {
        let looks = |channel: &&PlannedChannel| channel.per == Per::SampleStep;
        let wanted = crate::channel::columns(rows.channels.iter().filter(looks));
        if wanted.is_empty() {
            return Ok(rows.channels.iter().map(|_| None).collect());
        }
        let pieces = windows.iter().zip(cut).map(|(window, cut)| Piece {
            rows: cut.clone(),
            snapshot: self.snapshots[window.snapshot],
            history_start: window.history.start,
        });
        let steps = SampleRows::new(rows.events, pieces.collect(), &wanted);
        let totals = SampleTotals::compute(rows, windows, cut, &self.snapshots)?;
        let named = |total: &PlannedTotal| wanted.contains(total.name.as_str());
        let mut running = totals.beside(steps.schema(), named);
        let readers = rows.channels.iter().map(|channel| {
            let reader = || ChannelReader::new(rows.context, channel, running.schema());
            looks(&channel).then(reader).transpose()
        });
        let mut readers = readers.collect::<Result<Vec<_>, _>>()?;
        let mut before = 0;
        for batch in steps.batches() {
            let batch = running.beside(&gathered(batch)?)?;
            let place = |row: usize| {
                let sample = steps.piece_of(before + row);
                sample.map_or_else(String::new, |sample| entity(rows.events, &windows[sample]))
            };
            for (reader, dictionary) in readers.iter_mut().zip(dictionaries.iter_mut()) {
                if let Some(reader) = reader {
                    reader.read(&batch, dictionary, place)?;
                }
            }
            before += batch.num_rows();
        }
        let values = readers.into_iter();
        Ok(values
            .map(|reader| reader.map(|reader| reader.values))
            .collect())
    }

    /// The values of the channels of the snapshot, by channel, then by snapshot.
    ///
    /// # Errors
    /// An expression that fails, or gives what it may not.
    pub fn snapshot_columns(
        &self,
        context: &SessionContext,
        channels: &[PlannedChannel],
        dictionaries: &mut [Dictionary],
    ) -> Result<Vec<Option<RawColumn>>, PrepareError> {
        let batch = snapshot_rows(self.snapshots.clone())?;
        let columns = channels
            .iter()
            .zip(dictionaries)
            .map(|(channel, dictionary)| {
                if channel.per != Per::Snapshot {
                    return Ok(None);
                }
                let mut reader = ChannelReader::new(context, channel, batch.schema().as_ref())?;
                let place = |row: usize| {
                    format!(
                        "for snapshot {}",
                        crate::dates::written(self.snapshots[row])
                    )
                };
                reader.read(&batch, dictionary, place)?;
                Ok(Some(reader.values))
            });
        columns.collect()
    }
}

/// Whether a channel's values stand in a dictionary.
pub fn has_dictionary(channel: &PlannedChannel) -> bool {
    matches!(channel.coding, Coding::Vocabulary { .. })
}

fn entity(events: &Events, window: &Window) -> String {
    format!("for entity {}", events.keys[window.entity as usize])
}
