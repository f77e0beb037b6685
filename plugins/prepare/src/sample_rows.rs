//! The rows of many samples, one after another, made batch by batch while a query reads them.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use crate::dates::DAY_MICROS;
use crate::error::PrepareError;
use crate::events::Events;
use crate::expression::{
    DAYS_SINCE_FIRST, DAYS_SINCE_PREVIOUS, DAYS_TO_SNAPSHOT, SAMPLE, SNAPSHOT, SPECIAL_COLUMNS,
    special_fields,
};
use crate::session::BATCH_ROWS;

/// What a sample sees of the events.
#[derive(Debug, Clone)]
pub struct Piece {
    pub rows: Range<usize>,
    /// Microseconds.
    pub snapshot: i64,
    /// The first row of the sample's history: it has none before it, as far as the sample knows.
    pub history_start: usize,
}

/// Rows of the events by sample: piece 0's rows first. `__sample` is the index of the piece.
#[derive(Clone)]
pub struct SampleRows {
    events: Arc<Events>,
    pieces: Arc<Vec<Piece>>,
    /// Places in the events, by column that is not special.
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl fmt::Debug for SampleRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the rows of {} samples", self.pieces.len())
    }
}

impl SampleRows {
    /// `wanted`: names of columns, special ones included; `__sample` always comes, last.
    pub fn new(events: &Arc<Events>, pieces: Vec<Piece>, wanted: &BTreeSet<&str>) -> Self {
        let of_events = events.rows.schema();
        let mut columns = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        for (i, field) in of_events.fields().iter().enumerate() {
            if wanted.contains(field.name().as_str()) {
                columns.push(i);
                fields.push(field.as_ref().clone());
            }
        }
        let special = special_fields().into_iter();
        fields.extend(
            special
                .filter(|field| field.name() == SAMPLE || wanted.contains(field.name().as_str())),
        );
        Self {
            events: events.clone(),
            pieces: Arc::new(pieces),
            columns,
            schema: Arc::new(Schema::new(fields)),
        }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Number of rows in all.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.rows.len()).sum()
    }

    /// The rows in batches of one size, whatever the samples.
    pub fn batches(&self) -> Batches {
        Batches {
            rows: self.clone(),
            piece: 0,
            within: 0,
        }
    }
}

impl PartitionStream for SampleRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches = self
            .batches()
            .map(|batch| batch.map_err(|error| DataFusionError::ArrowError(Box::new(error), None)));
        let stream = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

/// See [`SampleRows::batches`].
pub struct Batches {
    rows: SampleRows,
    /// The next row: which piece, and which of its rows.
    piece: usize,
    within: usize,
}

/// A part of a piece that stands in one batch.
struct Part {
    piece: usize,
    rows: Range<usize>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut parts: Vec<Part> = Vec::new();
        let mut room = BATCH_ROWS;
        while room > 0 && self.piece < self.rows.pieces.len() {
            let rows = &self.rows.pieces[self.piece].rows;
            let start = rows.start + self.within;
            let end = rows.end.min(start + room);
            if start < end {
                parts.push(Part {
                    piece: self.piece,
                    rows: start..end,
                });
                room -= end - start;
            }
            if end == rows.end {
                (self.piece, self.within) = (self.piece + 1, 0);
            } else {
                self.within += end - start;
            }
        }
        (!parts.is_empty()).then(|| self.rows.batch(&parts, BATCH_ROWS - room))
    }
}

impl SampleRows {
    fn batch(&self, parts: &[Part], count: usize) -> Result<RecordBatch, ArrowError> {
        let events = &self.events.rows;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        match parts {
            [only] => {
                let (start, count) = (only.rows.start, only.rows.len());
                let columns = self.columns.iter();
                arrays.extend(columns.map(|&column| events.column(column).slice(start, count)));
            }
            _ => {
                // `Events` has at most u32::MAX rows.
                let rows = parts.iter().flat_map(|part| part.rows.clone());
                let rows = UInt32Array::from_iter_values(rows.map(|row| row as u32));
                for &column in &self.columns {
                    arrays.push(take(events.column(column), &rows, None)?);
                }
            }
        }
        for special in SPECIAL_COLUMNS {
            if self.schema.index_of(special).is_ok() {
                arrays.push(self.special(special, parts, count));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
    }

    fn special(&self, name: &str, parts: &[Part], count: usize) -> ArrayRef {
        match name {
            DAYS_SINCE_PREVIOUS => {
                let mut days: Vec<f64> = Vec::with_capacity(count);
                for part in parts {
                    let piece = &self.pieces[part.piece];
                    let first = days.len();
                    let all = self.events.days_since_previous.values();
                    days.extend_from_slice(&all[part.rows.clone()]);
                    if part.rows.start == piece.history_start {
                        days[first] = 0.0;
                    }
                }
                Arc::new(Float64Array::from(days))
            }
            DAYS_SINCE_FIRST => self.days(parts, |piece, time| {
                time - self.events.time[piece.history_start]
            }),
            DAYS_TO_SNAPSHOT => self.days(parts, |piece, time| piece.snapshot - time),
            SNAPSHOT => {
                let snapshots = parts.iter().flat_map(|part| {
                    let snapshot = self.pieces[part.piece].snapshot;
                    std::iter::repeat_n(snapshot, part.rows.len())
                });
                Arc::new(TimestampMicrosecondArray::from_iter_values(snapshots))
            }
            // The only other one is `__sample`.
            _ => {
                let samples = parts.iter().flat_map(|part| {
                    // Samples are cut into chunks far below u32::MAX.
                    std::iter::repeat_n(part.piece as u32, part.rows.len())
                });
                Arc::new(UInt32Array::from_iter_values(samples))
            }
        }
    }

    /// What `elapsed` gives for each row's time, in days.
    fn days(&self, parts: &[Part], elapsed: impl Fn(&Piece, i64) -> i64) -> ArrayRef {
        let days = parts.iter().flat_map(|part| {
            let piece = &self.pieces[part.piece];
            let times = self.events.time[part.rows.clone()].iter();
            let elapsed = &elapsed;
            times.map(move |&time| elapsed(piece, time) as f64 / DAY_MICROS as f64)
        });
        Arc::new(Float64Array::from_iter_values(days))
    }

    /// The piece that a row of all belongs to.
    pub fn piece_of(&self, row: usize) -> Option<usize> {
        let mut before = 0;
        self.pieces.iter().position(|piece| {
            before += piece.rows.len();
            row < before
        })
    }
}

/// A failure to gather, as an error of ours.
pub fn gathered<T>(result: Result<T, ArrowError>) -> Result<T, PrepareError> {
    result.map_err(PrepareError::arrow("gather rows"))
}
